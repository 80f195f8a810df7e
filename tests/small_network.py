"""Small TensorRT networks for the tests of the interpreter; what imports this is skipped without TensorRT."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.tensor_rt import api
from backends.tensor_rt.interpreter import Program
from reference import Array
from tests.tensor_rt_module import tensorrt_or_skip

trt = tensorrt_or_skip()

TYPES = {
    "float32": trt.float32,
    "float16": trt.float16,
    "bfloat16": trt.bfloat16,
    "int32": trt.int32,
    "int64": trt.int64,
    "bool": trt.bool,
}


class SmallNetwork:
    """A network that remembers what its inputs are to be."""

    def __init__(self) -> None:
        self.definition = api.empty_network(trt)
        self.given: dict[str, Array] = {}

    def input(self, array: Array, shape: tuple[int, ...] | None = None) -> Any:
        """An input of the type of ``array`` and of its shape, or of another one with some -1 in it."""
        name = f"in{len(self.given)}"
        self.given[name] = array
        return self.definition.add_input(name, TYPES[array.dtype.name], array.shape if shape is None else shape)

    def constant(self, value: Any, dtype: Any = None) -> Any:
        """A constant of the shape of ``value``."""
        array = np.asarray(value, dtype, order="C")
        return self.definition.add_constant(array.shape, array.reshape(-1)).get_output(0)

    def mark(self, *tensors: Any) -> None:
        """Make tensors the outputs out0, out1, ..."""
        for number, tensor in enumerate(tensors):
            tensor.name = f"out{number}"
            self.definition.mark_output(tensor)

    def run(self) -> Any:
        """The value of out0, or a tuple of all outputs where there are more."""
        outputs = tuple(Program(self.definition).run(self.given).values())
        return outputs[0] if len(outputs) == 1 else outputs


def result_of(layer: Any, network: SmallNetwork) -> Any:
    """Mark all outputs of a layer, and evaluate."""
    network.mark(*(layer.get_output(index) for index in range(layer.num_outputs)))
    return network.run()


def same_values(got: Array, expected: Any) -> None:
    """The same type, shape and numbers; NaN is NaN."""
    wanted = np.asarray(expected)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    if got.dtype.kind == "V":  # numpy compares NaN with NaN in its own types only
        got, wanted = got.astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_array_equal(got, wanted)
