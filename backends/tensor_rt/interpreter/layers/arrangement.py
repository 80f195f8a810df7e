"""Layers that give the same elements in another shape or order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.dtypes import check_types
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import shape_of
from backends.tensor_rt.interpreter.layers.table import Function, evaluates
from reference import Array


@evaluates("SHUFFLE")
def shuffle(layer: Any) -> Function:
    """A transpose, a reshape and another transpose, each of them optional.

    A transpose moves dimension ``order[k]`` to place k. The new shape is an attribute, or input 1; in it, 0 stands for
    the size that the tensor has in the same place before the reshape (for a size of 0 where ``zero_is_placeholder`` is
    False), and one -1 for what is left over.
    """
    first, second = tuple(layer.first_transpose), tuple(layer.second_transpose)
    zero_copies = layer.zero_is_placeholder
    dynamic = layer.num_inputs > 1 and layer.get_input(1) is not None
    fixed = None if dynamic or layer.reshape_dims is None else tuple(layer.reshape_dims)

    def evaluate(x: Array, shape: Array | None = None) -> Array:
        x = _transposed(x, first)
        if shape is not None:
            x = _reshaped(x, [int(size) for size in shape], zero_copies)
        elif fixed is not None:
            x = _reshaped(x, fixed, zero_copies)
        return _transposed(x, second)

    return evaluate


def _transposed(x: Array, order: tuple[int, ...]) -> Array:
    """``order`` is of the eight dimensions that a tensor may have."""
    axes = order[: x.ndim]
    return x if axes == tuple(range(x.ndim)) else x.transpose(axes)


def _reshaped(x: Array, wanted: Sequence[int], zero_copies: bool) -> Array:
    sizes = list(wanted)
    if zero_copies:
        if any(size == 0 and place >= x.ndim for place, size in enumerate(sizes)):
            raise InterpreterError(f"the new shape {tuple(wanted)} has a 0 where {x.shape} has no size to copy")
        sizes = [x.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    if sizes.count(-1) == 1:
        others = math.prod(size for size in sizes if size != -1)
        if others == 0:
            raise InterpreterError(f"the -1 of the new shape {tuple(wanted)} could be any size beside a size of 0")
        sizes[sizes.index(-1)] = x.size // others
    if math.prod(sizes) != x.size or min(sizes, default=0) < 0:
        raise InterpreterError(
            f"the new shape {tuple(wanted)} does not hold the {x.size} elements of shape {x.shape}, but should"
        )
    return x.reshape(sizes)


@evaluates("SQUEEZE")
def squeeze(layer: Any) -> Function:
    """The input without the dimensions in input 1, each of size 1.

    Without that input, the dimensions go that are declared as 1; a dynamic one stays, and must not be 1.
    """
    declared = shape_of(layer.get_input(0)) or ()

    def evaluate(x: Array, axes: Array | None = None) -> Array:
        if axes is not None:
            places = tuple(int(axis) for axis in axes.reshape(-1))
        elif any(size == -1 and found == 1 for size, found in zip(declared, x.shape)):
            raise InterpreterError(
                f"a dynamic dimension of the input of shape {x.shape} is 1, but should not be without axes to squeeze"
            )
        else:
            places = tuple(axis for axis, size in enumerate(declared) if size == 1)
        if any(not -x.ndim <= axis < x.ndim or x.shape[axis] != 1 for axis in places):
            raise InterpreterError(f"the axes {places} should be dimensions of size 1 of the input of shape {x.shape}")
        return x.squeeze(places)

    return evaluate


@evaluates("UNSQUEEZE")
def unsqueeze(layer: Any) -> Function:
    """The input with a dimension of size 1 at each place of the output that input 1 names."""

    def evaluate(x: Array, axes: Array) -> Array:
        return np.expand_dims(x, tuple(int(axis) for axis in axes.reshape(-1)))

    return evaluate


@evaluates("CONCATENATION")
def concatenation(layer: Any) -> Function:
    """The inputs one behind the other along an axis; their other dimensions are equal."""
    axis = layer.axis

    def evaluate(*parts: Array) -> Array:
        check_types(parts)
        others = {(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts}
        if len(others) > 1 or len({part.ndim for part in parts}) > 1:
            shapes = " and ".join(str(part.shape) for part in parts)
            raise InterpreterError(f"the inputs have shapes {shapes}, but should be equal in all dimensions but {axis}")
        return np.concatenate(parts, axis)

    return evaluate


@evaluates("REVERSE_SEQUENCE")
def reverse_sequence(layer: Any) -> Function:
    """In each slice i along the batch axis, the first ``lengths[i]`` elements of the sequence axis in reverse order."""
    batch_axis, sequence_axis = layer.batch_axis, layer.sequence_axis

    def evaluate(x: Array, lengths: Array) -> Array:
        sequences = np.moveaxis(x, (batch_axis, sequence_axis), (0, 1))  # (B, T, ...)
        t, n = np.arange(sequences.shape[1]), lengths.reshape(-1, 1)
        source = np.where(t < n, n - 1 - t, t)  # (B, T)
        y = sequences[np.arange(len(sequences))[:, None], source]
        return np.moveaxis(y, (0, 1), (batch_axis, sequence_axis))

    return evaluate
