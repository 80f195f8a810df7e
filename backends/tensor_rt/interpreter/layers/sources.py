"""Layers that make values of nothing, or of a shape; and the assertion, which makes nothing of a value."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.dtypes import numpy_dtype
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.layers.table import Function, evaluates
from reference import Array


@evaluates("CONSTANT")
def constant(layer: Any) -> Function:
    """The weights of the layer, in its shape.

    They are copied: the network only points to the memory of whoever set them.
    """
    weights, shape = layer.weights, tuple(layer.shape)
    if not isinstance(weights, np.ndarray):
        raise InterpreterError(
            f"the weights are {weights.dtype.name}, which TensorRT's Python API does not show, but should be of a type"
            " of numpy, with a cast after them"
        )
    value = weights.copy().reshape(shape)
    return lambda: value


@evaluates("FILL")
def fill(layer: Any) -> Function:
    """LINSPACE: ``y[i, j, ...] = alpha + beta[0] i + beta[1] j + ...``.

    The shape, alpha and beta are attributes, or the inputs 0, 1 and 2. The random operations are not evaluated: their
    numbers are the implementation's own.
    """
    if layer.operation.name != "LINSPACE":
        raise InterpreterError(f"the operation {layer.operation.name} is not evaluated, but should be LINSPACE")
    dtype = numpy_dtype(layer.get_output(0).dtype)
    given = [layer.get_input(index) is not None for index in range(layer.num_inputs)]
    fixed_shape = None if given[:1] == [True] else tuple(layer.shape)
    fixed_alpha, fixed_beta = (None, None) if given[1:2] == [True] else (layer.alpha, layer.beta)

    def evaluate(shape: Array | None = None, alpha: Array | None = None, beta: Array | None = None) -> Array:
        sizes = fixed_shape if shape is None else tuple(int(size) for size in shape)
        assert sizes is not None
        start = np.asarray(fixed_alpha if alpha is None else alpha, dtype)
        steps = np.atleast_1d(np.asarray(fixed_beta if beta is None else beta, dtype))
        if len(steps) != len(sizes):
            raise InterpreterError(f"beta has {len(steps)} numbers, but should have one for each dimension of {sizes}")
        indices = np.indices(sizes, dtype=dtype)
        terms = [step * index for step, index in zip(steps, indices)]
        return np.asarray(sum(terms, start), dtype)

    return evaluate


@evaluates("SHAPE")
def shape(layer: Any) -> Function:
    """The sizes of the input, as a vector of int64 (int32 in TensorRT 8)."""
    dtype = numpy_dtype(layer.get_output(0).dtype)
    return lambda x: np.array(x.shape, dtype)


@evaluates("ASSERTION")
def assertion(layer: Any) -> Function:
    """Nothing, and an error with the message of the layer where an element of the input is False.

    An assertion inside of a conditional is not looked at, as it does not say which branch it belongs to.
    """
    message = layer.message

    def evaluate(holds: Array) -> None:
        if not np.all(holds):
            raise InterpreterError(f"the assertion does not hold: {message or 'it has no message'}")

    return evaluate
