"""The order in which layers are evaluated: once for a network, not once for an evaluation.

A network becomes a list of steps, in which every layer comes after those it reads. A loop is one step among them, with
a list of its own for what lies inside of it; a conditional is one step with two lists. Only what an output depends on
is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import ABSENT, Graph, Node
from backends.tensor_rt.interpreter.layers import LAYERS, Function
from backends.tensor_rt.interpreter.regions import ENTRANCES, EXITS, Region, Regions

Values = list[Any]
"""The values of an evaluation by slot: arrays, None where there is no value."""


class Step(Protocol):
    """What is done at one place of a list."""

    def run(self, values: Values) -> None:
        """Read some slots and fill others."""


@dataclass(frozen=True)
class LayerStep:
    """A layer that is no boundary: its function, applied to the values of its inputs."""

    name: str
    function: Function
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def run(self, values: Values) -> None:
        """See :class:`Step`."""
        try:
            result = self.function(*[values[slot] for slot in self.inputs])
        except InterpreterError as error:
            raise InterpreterError(f"{self.name}: {error}") from error
        if len(self.outputs) == 1:
            values[self.outputs[0]] = result
        else:
            for slot, value in zip(self.outputs, result):
                values[slot] = value


@dataclass(frozen=True)
class RegionStep:
    """A loop or a conditional, and what it reads from outside."""

    step: Step
    needs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(eq=False)
class Plan:
    """The list of steps of one region, or of the network (None), as it grows."""

    graph: Graph
    regions: Regions
    region: Region | None
    step_of: Callable[[Plan, Region], RegionStep]
    """How a loop or a conditional becomes a step: what :mod:`.loops` and :mod:`.conditionals` know."""
    needed: frozenset[int]
    """Every slot that an output depends on."""
    outer: dict[int, None] = field(default_factory=dict)
    """The slots that were found to come from outside of the region, in order."""
    done: set[int] = field(default_factory=set)
    inner: dict[Region, RegionStep] = field(default_factory=dict)

    def nested(self, region: Region) -> Plan:
        """An empty plan for the inside of ``region``."""
        return Plan(self.graph, self.regions, region, self.step_of, self.needed)

    def steps_to(self, goals: Iterable[int]) -> list[Step]:
        """The steps that are still missing for the values in ``goals``, each after what it reads."""
        steps: list[Step] = []
        started: set[Node | Region] = set()
        stack = [(slot, False) for slot in reversed(list(goals))]
        while stack:
            slot, ready = stack.pop()
            if slot in self.done:
                continue
            unit = self._unit(slot)
            if unit is None:
                self.done.add(slot)
            elif ready:
                steps.append(self._finish(unit))
            elif unit in started:
                raise InterpreterError(
                    f"{unit.name} depends on its own output, but only the second input of a recurrence should lead back"
                )
            else:
                started.add(unit)
                stack.append((slot, True))
                stack.extend((read, False) for read in reversed(self._needs(unit)))
        return steps

    def _unit(self, slot: int) -> Node | Region | None:
        """What has to be evaluated for a slot; None where its value is there before the steps begin."""
        if slot == ABSENT:
            return None
        if self.regions.home(slot) is not self.region:
            self.outer[slot] = None
            return None
        node = self.graph.producers.get(slot)
        if node is None or node.kind in ENTRANCES:
            return None
        return self.regions.of[node] if node.kind in EXITS else node

    def _needs(self, unit: Node | Region) -> tuple[int, ...]:
        if isinstance(unit, Node):
            return unit.inputs
        if unit not in self.inner:
            self.inner[unit] = self.step_of(self, unit)
        return self.inner[unit].needs

    def _finish(self, unit: Node | Region) -> Step:
        if isinstance(unit, Region):
            region_step = self.inner[unit]
            self.done.update(region_step.outputs)
            return region_step.step
        self.done.update(unit.outputs)
        return layer_step(unit)


def layer_step(node: Node) -> LayerStep:
    """A layer that is no boundary, as a step; raises :class:`InterpreterError` for a kind that is not evaluated."""
    if node.kind not in LAYERS:
        raise InterpreterError(
            f"{node.name} is of a kind that is not evaluated, but should be one of {', '.join(sorted(LAYERS))}"
        )
    try:
        function = LAYERS[node.kind](node.layer)
    except InterpreterError as error:
        raise InterpreterError(f"{node.name}: {error}") from error
    return LayerStep(node.name, function, node.inputs, node.outputs)


def assertions_in(graph: Graph, regions: Regions, region: Region | None) -> list[int]:
    """The slots of the assertions that lie in a region, or outside of all (None)."""
    slots = [slot for node in graph.nodes if node.kind == "ASSERTION" for slot in node.outputs]
    return [slot for slot in slots if regions.home(slot) is region]


def needed_slots(graph: Graph, regions: Regions) -> frozenset[int]:
    """Every slot that an output, or an assertion, depends on."""
    goals = [
        *graph.outputs.values(),
        *(slot for node in graph.nodes if node.kind == "ASSERTION" for slot in node.outputs),
    ]
    found: set[int] = set()
    while goals:
        slot = goals.pop()
        if slot in found or slot not in graph.producers:
            continue
        found.add(slot)
        node = graph.producers[slot]
        goals.extend(node.inputs)
        if node.kind in EXITS:
            limits = ("TRIP_LIMIT", "CONDITION")
            goals.extend(read for each in regions.of[node].boundary if each.kind in limits for read in each.inputs)
    return frozenset(found)
