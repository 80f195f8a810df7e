"""Loops: what they mean, and which are valid.

A tensor inside of a loop of n trips is a sequence ``X[0], X[1], ..., X[n-1]``, one value an iteration; a tensor from
outside is the same in every one. A layer works on its inputs iteration by iteration. At the boundary
(M is the trip count, that is the COUNT limit; ``axis`` is an attribute of the layer):

=====================  ==================================================================================
TRIP_LIMIT COUNT       n = M, a scalar int32 (or int64) from outside of the loop
TRIP_LIMIT WHILE       n is the first i for which the scalar bool X[i] is False; with COUNT too, n <= M
ITERATOR               ``Y[i] = X[.., i, ..]``, the index on the axis
ITERATOR reverse       ``Y[i] = X[.., M-1-i, ..]``: it starts at the trip count, however long the axis is
RECURRENCE             ``Y[0] = initial``, ``Y[i+1] = next[i]``, both of the same shape and type
LAST_VALUE             ``Y[n]`` of a recurrence: its ``next`` in the last iteration, ``initial`` without any
CONCATENATE            ``Z[.., i, ..] = X[i]``, i on a new axis of the size in input 1, which is at least n
REVERSE                ``Z[.., n-1-i, ..] = X[i]``, likewise
=====================  ==================================================================================

What stands past n on the axis of a concatenation is arbitrary. Here it is NaN, the lowest integer, or False, so that it
shows where it is used.

All recurrences advance at once: each ``next`` is read before any of them changes. An index that an iterator has not on
its axis is an error, where a kernel would read whatever lies there.

Source: NVIDIA, `Working with Loops
<https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-with-loops.html>`_ ("Formal semantics"),
and the class references of ILoop, ITripLimitLayer, IIteratorLayer, IRecurrenceLayer and ILoopOutputLayer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.dtypes import numpy_dtype
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import ABSENT, Graph, Node, shape_of
from backends.tensor_rt.interpreter.regions import Region, Regions
from backends.tensor_rt.interpreter.schedule import Plan, RegionStep, Step, Values, assertions_in
from reference import Array


@dataclass(frozen=True)
class Iterator:
    """``Y[i] = X[.., i, ..]``, or ``X[.., M-1-i, ..]`` in reverse."""

    name: str
    tensor: int
    output: int
    axis: int
    reverse: bool

    def elements(self, values: Values) -> Array:
        """X with its axis in front."""
        x = values[self.tensor]
        if not 0 <= self.axis < x.ndim:
            raise InterpreterError(f"{self.name}: the axis is {self.axis}, but should be one of the shape {x.shape}")
        return np.moveaxis(x, self.axis, 0)

    def at(self, trip: int, limit: int | None, elements: Array) -> Array:
        """Y[trip] of ``elements``."""
        if not self.reverse:
            index = trip
        elif limit is None:
            raise InterpreterError(f"{self.name} is reverse, so its loop should have a trip limit of the kind COUNT")
        else:
            index = limit - 1 - trip
        if index >= len(elements):
            raise InterpreterError(
                f"{self.name} reads index {index} of an axis of size {len(elements)}, but the axis should be as long as"
                " the trip count"
            )
        return elements[index, ...]


@dataclass(frozen=True)
class Recurrence:
    """``Y[0] = initial``, ``Y[i+1] = next[i]``."""

    name: str
    initial: int
    next: int
    output: int

    def check(self, old: Array, new: Array) -> None:
        """Raise :class:`InterpreterError` where a new value does not replace the old one."""
        if old.shape != new.shape or old.dtype != new.dtype:
            raise InterpreterError(
                f"{self.name}: the next value is {new.dtype} of shape {new.shape}, but should be {old.dtype} of shape"
                f" {old.shape}, as the initial one is"
            )


@dataclass(frozen=True)
class LastValue:
    """``Y[n]`` of a recurrence."""

    recurrence: int
    output: int


@dataclass(frozen=True)
class Concatenation:
    """``Z[.., i, ..] = X[i]``, or ``Z[.., n-1-i, ..] = X[i]`` in reverse."""

    name: str
    tensor: int
    length: int
    output: int
    axis: int
    reverse: bool
    declared: tuple[int, ...] | None
    """The shape of Z: all that is known of an element where there is none."""
    dtype: np.dtype[Any]

    def result(self, elements: list[Array], values: Values, recurrences: tuple[Recurrence, ...]) -> Array:
        """Z of the elements that n iterations gave."""
        length = scalar(values[self.length], "the length", self.name)
        n = len(elements)
        if length < n:
            raise InterpreterError(f"{self.name}: the length is {length}, but should be at least {n}, the trips made")
        shape = elements[0].shape if elements else self._element_shape(values, recurrences)
        for element in elements:
            if element.shape != shape:
                raise InterpreterError(
                    f"{self.name}: an element has shape {element.shape}, but should have shape {shape}, like the first"
                )
        if not 0 <= self.axis <= len(shape):
            raise InterpreterError(f"{self.name}: the axis is {self.axis}, but should be in 0..{len(shape)}")
        z = np.empty((length, *shape), self.dtype)
        z[n:] = arbitrary(self.dtype)
        if elements:
            z[:n] = elements[::-1] if self.reverse else elements
        return np.moveaxis(z, 0, self.axis)

    def _element_shape(self, values: Values, recurrences: tuple[Recurrence, ...]) -> tuple[int, ...]:
        """The shape of an element where there is none: that of the state it is, or the declared one."""
        for recurrence in recurrences:
            if self.tensor in (recurrence.next, recurrence.output):
                return tuple(values[recurrence.initial].shape)
        shape = None if self.declared is None else (*self.declared[: self.axis], *self.declared[self.axis + 1 :])
        if shape is None or -1 in shape:
            raise InterpreterError(
                f"{self.name}: the loop makes no trip, and an element would have shape {shape}, which should not be"
                " dynamic"
            )
        return shape


@dataclass(frozen=True)
class LoopStep:
    """A loop, as a step of what lies around it."""

    name: str
    count: int
    """The slot of M, or ABSENT."""
    condition: int
    """The slot of the WHILE limit, or ABSENT."""
    condition_is_fixed: bool
    """Whether the WHILE limit comes from outside."""
    iterators: tuple[Iterator, ...]
    recurrences: tuple[Recurrence, ...]
    before: tuple[Step, ...]
    """What the WHILE limit depends on."""
    body: tuple[Step, ...]
    """All else in an iteration."""
    last_values: tuple[LastValue, ...]
    concatenations: tuple[Concatenation, ...]

    def run(self, values: Values) -> None:
        """See :class:`.schedule.Step`."""
        limit = None if self.count == ABSENT else trip_count(values[self.count], self.name)
        elements = [iterator.elements(values) for iterator in self.iterators]
        scans: list[list[Array]] = [[] for _ in self.concatenations]
        for recurrence in self.recurrences:
            values[recurrence.output] = values[recurrence.initial]
        trip = 0
        if limit is None and self.condition_is_fixed and values[self.condition]:
            raise InterpreterError(
                f"{self.name} never ends: its WHILE limit comes from outside and is True, but should depend on a"
                " recurrence, or stand beside a COUNT limit"
            )
        try:
            while self._continues(trip, limit, values):
                for iterator, x in zip(self.iterators, elements):
                    values[iterator.output] = iterator.at(trip, limit, x)
                for step in self.body:
                    step.run(values)
                for scan, concatenation in zip(scans, self.concatenations):
                    scan.append(values[concatenation.tensor])
                self._advance(values)
                trip += 1
        except InterpreterError as error:
            raise InterpreterError(f"{self.name}, iteration {trip}: {error}") from error
        for last in self.last_values:
            values[last.output] = values[last.recurrence]
        for scan, concatenation in zip(scans, self.concatenations):
            values[concatenation.output] = concatenation.result(scan, values, self.recurrences)

    def _continues(self, trip: int, limit: int | None, values: Values) -> bool:
        if limit is not None and trip >= limit:
            return False
        if self.condition == ABSENT:
            return True
        for step in self.before:
            step.run(values)
        condition = values[self.condition]
        if condition.dtype != np.bool_ or condition.ndim != 0:
            raise InterpreterError(
                f"the WHILE limit is {condition.dtype} of shape {condition.shape}, but should be a scalar bool"
            )
        return bool(condition)

    def _advance(self, values: Values) -> None:
        new = [values[recurrence.next] for recurrence in self.recurrences]
        for recurrence, value in zip(self.recurrences, new):
            recurrence.check(values[recurrence.output], value)
            values[recurrence.output] = value


def trip_count(value: Array, name: str) -> int:
    """M."""
    count = scalar(value, "the COUNT limit", name)
    if count < 0:
        raise InterpreterError(f"{name}: the COUNT limit is {count}, but should be at least 0")
    return count


def scalar(value: Array, what: str, name: str) -> int:
    """An integer without dimensions, as a number."""
    if value.ndim != 0 or value.dtype not in (np.int32, np.int64):
        raise InterpreterError(
            f"{name}: {what} is {value.dtype} of shape {value.shape}, but should be a scalar int32 or int64"
        )
    return int(value)


def arbitrary(dtype: np.dtype[Any]) -> Any:
    """What stands where nothing is defined."""
    if dtype.kind in "fV":
        return np.nan
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def loop_step(plan: Plan, loop: Region) -> RegionStep:
    """Make a loop a step of ``plan``, with only those of its boundary layers that are needed."""
    count, condition = limits(loop)
    nodes = [node for node in loop.boundary if plan.needed.intersection(node.outputs)]
    iterators = tuple(
        Iterator(node.name, node.input(0), node.outputs[0], node.layer.axis, node.layer.reverse)
        for node in nodes
        if node.kind == "ITERATOR"
    )
    recurrences = tuple(
        Recurrence(node.name, node.input(0), node.input(1), node.outputs[0])
        for node in nodes
        if node.kind == "RECURRENCE"
    )
    outputs = [node for node in nodes if node.kind == "LOOP_OUTPUT"]
    last_values = tuple(
        LastValue(node.input(0), node.outputs[0]) for node in outputs if node.layer.kind.name == "LAST_VALUE"
    )
    concatenations = tuple(
        _concatenation(node) for node in outputs if node.layer.kind.name in ("CONCATENATE", "REVERSE")
    )
    inside = plan.nested(loop)
    before = inside.steps_to([condition])
    body = inside.steps_to(
        [
            *(recurrence.next for recurrence in recurrences),
            *(concatenation.tensor for concatenation in concatenations),
            *assertions_in(plan.graph, plan.regions, loop),
        ]
    )
    # What enters at the boundary takes no step here: it is only noted as coming from outside.
    inside.steps_to([count, *(iterator.tensor for iterator in iterators)])
    inside.steps_to([*(recurrence.initial for recurrence in recurrences), *(each.length for each in concatenations)])
    step = LoopStep(
        name=loop.name,
        count=count,
        condition=condition,
        condition_is_fixed=condition != ABSENT and not plan.regions.is_inside(condition, loop),
        iterators=iterators,
        recurrences=recurrences,
        before=tuple(before),
        body=tuple(body),
        last_values=last_values,
        concatenations=concatenations,
    )
    return RegionStep(step, tuple(inside.outer), tuple(slot for node in outputs for slot in node.outputs))


def _concatenation(node: Node) -> Concatenation:
    reverse, tensor = node.layer.kind.name == "REVERSE", node.layer.get_output(0)
    return Concatenation(
        node.name,
        node.input(0),
        node.input(1),
        node.outputs[0],
        node.layer.axis,
        reverse,
        shape_of(tensor),
        numpy_dtype(tensor.dtype),
    )


def limits(loop: Region) -> tuple[int, int]:
    """The slots of the COUNT and the WHILE limit, ABSENT for one that is not there."""
    found = {"COUNT": ABSENT, "WHILE": ABSENT}
    for node in loop.of_kind("TRIP_LIMIT"):
        kind = node.layer.kind.name
        if found[kind] != ABSENT:
            raise InterpreterError(f"{loop.name} has two trip limits of the kind {kind}, but should have one")
        found[kind] = node.input(0)
    if not any(found.values()):
        raise InterpreterError(
            f"{loop.name} has no trip limit, but should have one of the kind COUNT or WHILE, or both"
        )
    return found["COUNT"], found["WHILE"]


def check_loop(graph: Graph, regions: Regions, loop: Region) -> None:
    """Raise :class:`InterpreterError` where the layers of a loop are not connected as the documentation has it."""
    count, condition = limits(loop)
    outside = [(count, f"the COUNT limit of {loop.name}")]
    for node in loop.of_kind("ITERATOR"):
        outside.append((node.input(0), f"the input of {node.name}"))
    for node in loop.of_kind("RECURRENCE"):
        if node.input(1) == ABSENT:
            raise InterpreterError(
                f"{node.name} has no second input, but should have one: its value after an iteration"
            )
        outside.append((node.input(0), f"the initial value of {node.name}"))
    for node in loop.of_kind("LOOP_OUTPUT"):
        _check_output(graph, regions, loop, node)
        outside.append((node.input(1), f"the length of {node.name}"))
    for slot, what in outside:
        if regions.is_inside(slot, loop):
            raise InterpreterError(f"{what} is computed inside of {loop.name}, but should come from outside")
    _check_condition(graph, regions, loop, condition)


def _check_output(graph: Graph, regions: Regions, loop: Region, node: Node) -> None:
    kind, source = node.layer.kind.name, graph.producers.get(node.input(0))
    if kind == "LAST_VALUE":
        if source is None or source.kind != "RECURRENCE" or regions.of[source] is not loop:
            raise InterpreterError(
                f"{node.name} takes the LAST_VALUE of {graph.name_of(node.input(0))}, but should take that of a"
                f" recurrence of {loop.name}"
            )
    elif node.input(1) == ABSENT:
        raise InterpreterError(f"{node.name} is a {kind} without length, but should have it as its second input")


def _check_condition(graph: Graph, regions: Regions, loop: Region, condition: int) -> None:
    """A WHILE limit decides before an iteration, so it depends on recurrences, not on what the iteration reads."""
    seen: set[int] = set()
    slots = [condition]
    while slots:
        slot = slots.pop()
        node = graph.producers.get(slot)
        if slot in seen or node is None or not regions.is_inside(slot, loop):
            continue
        seen.add(slot)
        if node.kind in ("ITERATOR", "LOOP_OUTPUT"):
            raise InterpreterError(
                f"the WHILE limit of {loop.name} depends on {node.name}, but should depend on recurrences only"
            )
        if node.kind != "RECURRENCE":
            slots.extend(node.inputs)
