"""A network prepared for evaluation, and the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.conditionals import conditional_step
from backends.tensor_rt.interpreter.dtypes import numpy_dtype
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import Graph, dimension_names_of, graph_of, shape_of
from backends.tensor_rt.interpreter.loops import check_loop, loop_step
from backends.tensor_rt.interpreter.regions import ENTRANCES, Region, Regions, regions_of
from backends.tensor_rt.interpreter.schedule import Plan, RegionStep, Values, assertions_in, needed_slots
from reference import Array


@dataclass(frozen=True)
class Declared:
    """What a network says of an input or an output."""

    name: str
    slot: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None
    """-1 stands for a dynamic dimension; None is the shape of a tensor that TensorRT cannot infer."""
    dimension_names: tuple[str, ...] = ()
    """Of an input: dimensions of one name have one size."""

    def fits(self, array: Array) -> bool:
        """Whether ``array`` has the type and the shape."""
        if self.shape is None or array.dtype != self.dtype or array.ndim != len(self.shape):
            return False
        return all(size in (-1, found) for size, found in zip(self.shape, array.shape))

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


class Program:
    """A network in the order of its evaluation.

    It has copies of all it needs: the network may change or go afterwards. Raises :class:`InterpreterError` where the
    network is not valid, or has a layer that is not evaluated.
    """

    def __init__(self, network: Any) -> None:
        graph = graph_of(network)
        regions = regions_of(graph)
        for region in regions.all:
            if region.kind == "loop":
                check_loop(graph, regions, region)
        _check_exits(graph, regions)
        plan = Plan(graph, regions, None, _region_step, needed_slots(graph, regions))
        self._steps = plan.steps_to([*graph.outputs.values(), *assertions_in(graph, regions, None)])
        self._num_slots = graph.num_slots
        self.inputs = {name: _declared(graph, slot) for name, slot in graph.inputs.items()}
        self.outputs = {name: _declared(graph, slot) for name, slot in graph.outputs.items()}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of the network, by name, for ``inputs`` by name.

        Each input has the type and the shape that the network declares; a dimension of -1 takes any size. The outputs
        are new arrays. Raises :class:`InterpreterError` where an input, or a value on the way, does not fit.
        """
        self._check(inputs)
        values: Values = [None] * self._num_slots
        for name, declared in self.inputs.items():
            values[declared.slot] = inputs[name]
        with np.errstate(all="ignore"):
            for step in self._steps:
                step.run(values)
        return {name: self._output(declared, values) for name, declared in self.outputs.items()}

    def _check(self, inputs: Mapping[str, Array]) -> None:
        sizes: dict[str, tuple[str, int]] = {}
        names = ", ".join(repr(name) for name in self.inputs) or "no inputs"
        for name in inputs:
            if name not in self.inputs:
                raise InterpreterError(f"the network has no input {name!r}, but {names}")
        for name, declared in self.inputs.items():
            if name not in inputs:
                raise InterpreterError(f"input {name!r} is missing, but should be {declared}")
            array = inputs[name]
            if not isinstance(array, np.ndarray):
                raise InterpreterError(
                    f"input {name!r} is a {type(array).__name__}, but should be a numpy array, {declared}"
                )
            if not declared.fits(array):
                raise InterpreterError(
                    f"input {name!r} is {array.dtype} of shape {array.shape}, but should be {declared}"
                )
            for dimension, size in zip(declared.dimension_names, array.shape):
                first, expected = sizes.setdefault(dimension, (name, size))
                if dimension and size != expected:
                    raise InterpreterError(
                        f"dimension {dimension!r} is {size} in input {name!r}, but should be {expected} as in {first!r}"
                    )

    @staticmethod
    def _output(declared: Declared, values: Values) -> Array:
        array = np.array(values[declared.slot])
        assert declared.shape is None or declared.fits(array), (
            f"output {declared.name!r} is {array.dtype} of shape {array.shape} here, while TensorRT infers {declared}"
        )
        return array


def evaluate(network: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Evaluate an ``INetworkDefinition`` once; see :class:`Program`, which can do it more often."""
    return Program(network).run(inputs)


def _region_step(plan: Plan, region: Region) -> RegionStep:
    return loop_step(plan, region) if region.kind == "loop" else conditional_step(plan, region)


def _check_exits(graph: Graph, regions: Regions) -> None:
    """Raise :class:`InterpreterError` where an output of the network lies inside of a loop or a conditional."""
    for name, slot in graph.outputs.items():
        region = regions.home(slot)
        if region is None:
            continue
        way = "a loop output" if region.kind == "loop" else "an output of the conditional"
        entrance = _entrance(graph, regions, slot, region)
        raise InterpreterError(
            f"output {name!r} lies inside of {region.name}, as it depends on {entrance},"
            f" but should leave it through {way}"
        )


def _entrance(graph: Graph, regions: Regions, slot: int, region: Region) -> str:
    """A boundary layer of ``region`` through which a tensor depends on it."""
    seen, slots = set[int](), [slot]
    while True:
        node = graph.producers[slots.pop()]
        if node.kind in ENTRANCES and regions.of[node] is region:
            return node.name
        for read in node.inputs:
            if read not in seen and regions.is_inside(read, region):
                seen.add(read)
                slots.append(read)


def _declared(graph: Graph, slot: int) -> Declared:
    tensor = graph.tensors[slot]
    names = dimension_names_of(tensor) if tensor.is_network_input else ()
    return Declared(tensor.name, slot, numpy_dtype(tensor.dtype), shape_of(tensor), names)
