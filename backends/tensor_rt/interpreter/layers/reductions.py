"""Layers that go along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.dtypes import FLOATING, NUMBERS, check_types, numpy_dtype, widened
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.layers.arithmetic import divide
from backends.tensor_rt.interpreter.layers.table import Function, evaluates
from reference import Array


def axes_of(mask: int) -> tuple[int, ...]:
    """The axes whose bits are set."""
    return tuple(axis for axis in range(mask.bit_length()) if mask >> axis & 1)


@evaluates("REDUCE")
def reduce(layer: Any) -> Function:
    """SUM, PROD, MAX, MIN or AVG over the axes of the bit mask, which stay as dimensions of 1 with ``keep_dims``.

    Over nothing, SUM is 0, PROD 1, MAX and MIN the lowest and the highest number, AVG NaN (0 for integers). The average
    of integers is cut towards zero.
    """
    name, axes, keep = layer.op.name, axes_of(layer.axes), layer.keep_dims
    if name not in ("SUM", "PROD", "MAX", "MIN", "AVG"):
        raise InterpreterError(f"the operation {name} is not evaluated, but should be SUM, PROD, MAX, MIN or AVG")

    def evaluate(x: Array) -> Array:
        check_types((x,), NUMBERS)
        if any(axis >= x.ndim for axis in axes):
            raise InterpreterError(f"the axes are {axes}, but should be dimensions of the input of shape {x.shape}")
        return _reduced(name, widened(x), axes, keep).astype(x.dtype, copy=False)

    return evaluate


def _reduced(name: str, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    y: Array
    if name == "SUM":
        y = np.sum(x, axis=axes, keepdims=keep, dtype=x.dtype)
    elif name == "PROD":
        y = np.prod(x, axis=axes, keepdims=keep, dtype=x.dtype)
    elif name == "MAX":
        y = np.max(x, axis=axes, keepdims=keep, initial=_limits(x)[0])
    elif name == "MIN":
        y = np.min(x, axis=axes, keepdims=keep, initial=_limits(x)[1])
    else:
        count = math.prod(x.shape[axis] for axis in axes)
        y = divide(np.sum(x, axis=axes, keepdims=keep, dtype=x.dtype), np.array(count, x.dtype))
    return y


def _limits(x: Array) -> tuple[Any, Any]:
    """The lowest and the highest number of a type."""
    return (-np.inf, np.inf) if x.dtype.kind == "f" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)


@evaluates("SOFTMAX")
def softmax(layer: Any) -> Function:
    """``exp(x) / sum(exp(x))`` along the axis whose bit is set, with the largest x subtracted first."""
    axes = axes_of(layer.axes)

    def evaluate(x: Array) -> Array:
        check_types((x,), FLOATING)
        wide = widened(x)
        powers = np.exp(wide - np.max(wide, axis=axes, keepdims=True))
        shares: Array = powers / np.sum(powers, axis=axes, keepdims=True)
        return shares.astype(x.dtype, copy=False)

    return evaluate


@evaluates("TOPK")
def topk(layer: Any) -> Function:
    """The k largest (MAX) or smallest (MIN) elements along an axis, the first of them first, and their indices.

    k is an attribute, or input 1. Of equal elements, the one of the lower index comes first here.
    """
    axes, largest, fixed = axes_of(layer.axes), layer.op.name == "MAX", layer.k
    if len(axes) != 1:
        raise InterpreterError(f"the axes are {axes}, but should be one")
    axis, dtype = axes[0], numpy_dtype(layer.get_output(1).dtype)

    def evaluate(x: Array, k: Array | None = None) -> tuple[Array, Array]:
        count, n = fixed if k is None else int(k), x.shape[axis]
        if not 0 <= count <= n:
            raise InterpreterError(f"k is {count}, but should be in 0..{n}, the size of axis {axis}")
        if largest:  # a stable sort of the reversed axis keeps equal elements in order once it is reversed again
            order = n - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
        else:
            order = np.argsort(x, axis, kind="stable")
        order = order.take(np.arange(count), axis)
        return np.take_along_axis(x, order, axis), order.astype(dtype)

    return evaluate


@evaluates("CUMULATIVE")
def cumulative(layer: Any) -> Function:
    """``y[j]`` is the sum of ``x[0..j]`` along the axis in input 1.

    Exclusive, it is that of ``x[0..j-1]``; reverse, it is that of ``x[j..n-1]``; both, of ``x[j+1..n-1]``.
    """
    exclusive, backwards = layer.exclusive, layer.reverse

    def evaluate(x: Array, axis: Array) -> Array:
        check_types((x,), NUMBERS)
        place = int(axis)
        steps = np.flip(x, place) if backwards else x
        total = np.cumsum(widened(steps), place, dtype=widened(steps[:0]).dtype)
        if exclusive:
            total = np.roll(total, 1, place)
            total[(slice(None),) * (place % x.ndim) + (slice(0, 1),)] = 0
        y = np.flip(total, place) if backwards else total
        return y.astype(x.dtype, copy=False)

    return evaluate
