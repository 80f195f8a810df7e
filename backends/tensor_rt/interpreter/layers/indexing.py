"""Layers that pick elements by their index."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.dtypes import check_types, numpy_dtype
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import shape_of
from backends.tensor_rt.interpreter.layers.table import Function, evaluates
from reference import Array


@evaluates("SLICE")
def slice_layer(layer: Any) -> Function:
    """``y[i, j, ...] = x[start[0] + i stride[0], start[1] + j stride[1], ...]``, in the shape ``size``.

    Start, size and stride are attributes, or the inputs 1, 2 and 3; they are of all dimensions, or of those in ``axes``
    (attribute, or input 5). Strides may be negative or zero. Where an index is outside of the dimension n:

    =============  ===============================================================================
    STRICT_BOUNDS  it is an error; DEFAULT is the older name
    WRAP           it is taken modulo n
    CLAMP          it becomes 0 or n-1
    FILL           the element is input 4, or zero without it
    REFLECT        it is reflected at 0 and n-1, which are not repeated: 2 1 [0 1 2] 1 0
    =============  ===============================================================================
    """
    mode = layer.mode.name
    fixed = [_fixed(layer, index, name) for index, name in ((1, "start"), (2, "shape"), (3, "stride"))]
    fixed_axes = _fixed(layer, 5, "axes") if hasattr(layer, "axes") else None

    def evaluate(
        x: Array,
        start: Array | None = None,
        size: Array | None = None,
        stride: Array | None = None,
        filling: Array | None = None,
        axes: Array | None = None,
    ) -> Array:
        given = [_ints(dynamic, static) for dynamic, static in zip((start, size, stride), fixed)]
        starts, sizes, strides = _on_all_axes(x, given, fixed_axes if axes is None else _ints(axes, None))
        if mode in ("STRICT_BOUNDS", "DEFAULT"):
            return _strict(x, starts, sizes, strides)
        indices = [first + step * np.arange(count) for first, count, step in zip(starts, sizes, strides)]
        if mode == "FILL":
            return _filled(x, indices, filling)
        return x[np.ix_(*(_inside(mode, index, n) for index, n in zip(indices, x.shape)))]

    return evaluate


def _fixed(layer: Any, index: int, attribute: str) -> tuple[int, ...] | None:
    """An attribute of the layer, or None where an input stands for it."""
    if layer.num_inputs > index and layer.get_input(index) is not None:
        return None
    value = getattr(layer, attribute)
    return None if value is None else tuple(value)


def _ints(dynamic: Array | None, static: tuple[int, ...] | None) -> tuple[int, ...]:
    if dynamic is not None:
        return tuple(dynamic.tolist())
    assert static is not None
    return static


def _on_all_axes(x: Array, given: list[tuple[int, ...]], axes: tuple[int, ...] | None) -> list[list[int]]:
    """Start, size and stride of every dimension; a dimension that is not among ``axes`` is whole."""
    places = tuple(range(x.ndim)) if axes is None else axes
    if any(len(numbers) != len(places) for numbers in given):
        lengths = ", ".join(str(len(numbers)) for numbers in given)
        raise InterpreterError(f"start, size and stride have {lengths} numbers, but should have {len(places)}")
    if min(given[1], default=0) < 0:
        raise InterpreterError(f"the size is {given[1]}, but should be at least 0 in each dimension")
    whole = [[0] * x.ndim, list(x.shape), [1] * x.ndim]
    for all_numbers, numbers in zip(whole, given):
        for place, number in zip(places, numbers):
            all_numbers[place] = number
    return whole


def _strict(x: Array, starts: list[int], sizes: list[int], strides: list[int]) -> Array:
    picked: list[Any] = []
    for axis, (first, count, step) in enumerate(zip(starts, sizes, strides)):
        last = first + (count - 1) * step
        if count and not (0 <= first < x.shape[axis] and 0 <= last < x.shape[axis]):
            raise InterpreterError(
                f"the indices {first} to {last} of dimension {axis} should be in 0..{x.shape[axis] - 1}"
                f" of the input of shape {x.shape}"
            )
        if count == 0:
            picked.append(slice(0, 0))
        elif step > 0:
            picked.append(slice(first, last + 1, step))
        elif step < 0:
            picked.append(slice(first, last - 1 if last else None, step))
        else:
            x = np.repeat(x.take([first], axis), count, axis)
            picked.append(slice(None))
    return x[(*picked, ...)]


def _inside(mode: str, index: Array, n: int) -> Array:
    """Indices in 0..n-1 for indices of any size."""
    if n == 0 and len(index):
        raise InterpreterError("a dimension of size 0 has no element to repeat, so its size should be 0")
    if n == 0:
        return index
    if mode == "WRAP":
        return index % n
    if mode == "CLAMP":
        return np.clip(index, 0, n - 1)
    if mode == "REFLECT":
        return n - 1 - np.abs(index % (2 * n - 2) - (n - 1)) if n > 1 else np.zeros_like(index)
    raise InterpreterError(f"the mode {mode} is not evaluated")


def _filled(x: Array, indices: list[Array], filling: Array | None) -> Array:
    value = np.zeros((), x.dtype) if filling is None else filling.astype(x.dtype)
    y = np.full([len(index) for index in indices], value.reshape(()), x.dtype)
    inside = [(0 <= index) & (index < n) for index, n in zip(indices, x.shape)]
    y[np.ix_(*inside)] = x[np.ix_(*(index[valid] for index, valid in zip(indices, inside)))]
    return y


@evaluates("GATHER")
def gather(layer: Any) -> Function:
    """Elements of ``data`` whose places ``indices`` names.

    ========  =========================================================================================================
    DEFAULT   ``indices`` takes the place of the axis: ``y[.., i, j, ..] = data[.., indices[i, j], ..]``; with
              ``num_elementwise_dims`` 1, the first dimension of both is walked together
    ELEMENT   ``y[i, j] = data[indices[i, j], j]`` along axis 0, and likewise along another
    ND        the last dimension of ``indices`` is an index into the dimensions of ``data`` after the
              ``num_elementwise_dims`` first ones, which both have in common
    ========  =========================================================================================================

    An index of -1 means the last element, but only of a dimension that is not dynamic. Zero stands for an element
    outside of ``data``.
    """
    axis, shared = layer.axis, layer.num_elementwise_dims
    dynamic = frozenset(place for place, size in enumerate(shape_of(layer.get_input(0)) or ()) if size == -1)
    pick = {"DEFAULT": _along_axis, "ELEMENT": _elements, "ND": _subscripts}[layer.mode.name]

    def evaluate(data: Array, indices: Array) -> Array:
        if indices.dtype.kind != "i":
            raise InterpreterError(f"the indices are {indices.dtype}, but should be int32 or int64")
        return pick(data, indices, dynamic, axis, shared)

    return evaluate


def _along_axis(data: Array, indices: Array, dynamic: frozenset[int], axis: int, shared: int) -> Array:
    if shared == 0:
        index, outside = _inside_of(indices, data.shape[axis], axis in dynamic)
        y: Array = np.asarray(data.take(index, axis))
        if outside is not None:
            places: list[Any] = [*[slice(None)] * axis, outside]
            y[tuple(places)] = 0
        return y
    rows = np.broadcast_shapes(data.shape[:1], indices.shape[:1])
    pairs = zip(np.broadcast_to(data, (*rows, *data.shape[1:])), np.broadcast_to(indices, (*rows, *indices.shape[1:])))
    others = frozenset(place - 1 for place in dynamic)
    return np.stack([_along_axis(x, i, others, axis - 1, 0) for x, i in pairs])


def _elements(data: Array, indices: Array, dynamic: frozenset[int], axis: int, shared: int) -> Array:
    places: list[Any] = list(np.indices(indices.shape, sparse=True))
    places[axis], outside = _inside_of(indices, data.shape[axis], axis in dynamic)
    y: Array = data[tuple(places)]
    if outside is not None:
        y[outside] = 0
    return y


def _subscripts(data: Array, indices: Array, dynamic: frozenset[int], axis: int, shared: int) -> Array:
    walked: Any = np.indices(indices.shape[:shared], sparse=True)
    places: list[Any] = [np.expand_dims(place, tuple(range(shared, indices.ndim - 1))) for place in walked]
    outside = np.zeros(indices.shape[:-1], np.bool_)
    for k, index in enumerate(np.moveaxis(indices, -1, 0), start=shared):
        place, beyond = _inside_of(index, data.shape[k], k in dynamic)
        places.append(place)
        if beyond is not None:
            outside |= beyond
    y = np.array(data[tuple(places)])
    y[outside] = 0
    return y


def _inside_of(indices: Array, n: int, dynamic: bool) -> tuple[Array, Array | None]:
    """Indices in 0..n-1, and where those are that lie outside and became 0; None where there are none."""
    if indices.size == 0 or (indices.min() >= 0 and indices.max() < n):
        return indices, None
    if dynamic and indices.min() < 0:
        raise InterpreterError("an index is negative, which has no defined meaning where the dimension is dynamic")
    if n == 0:
        raise InterpreterError("the dimension to gather from has size 0, but should have an element")
    index = np.where(indices < 0, indices + n, indices)
    outside = (index < 0) | (index >= n)
    return np.where(outside, 0, index), outside


@evaluates("SCATTER")
def scatter(layer: Any) -> Function:
    """``data`` with ``updates`` in the places that ``indices`` names, as in the modes ELEMENT and ND of a gather.

    What stands in a place that is named twice is not defined; here it is the last update.
    """
    mode, axis = layer.mode.name, layer.axis

    def evaluate(data: Array, indices: Array, updates: Array) -> Array:
        check_types((data, updates))
        places: list[Any]
        if mode == "ELEMENT":
            places = list(np.indices(indices.shape, sparse=True))
            places[axis] = indices
        else:
            places = list(np.moveaxis(indices, -1, 0))
        y = data.copy()
        try:
            y[tuple(places)] = updates
        except (IndexError, ValueError) as error:
            shapes = f"{data.shape}, indices {indices.shape}, updates {updates.shape}"
            raise InterpreterError(f"data of shape {shapes} do not fit together: {error}") from error
        return y

    return evaluate


@evaluates("ONE_HOT")
def one_hot(layer: Any) -> Function:
    """The on-value where the new axis has the index in ``indices``, the off-value elsewhere.

    ``values`` is (off, on). An index outside of the depth gives off-values only.
    """
    axis = layer.axis

    def evaluate(indices: Array, values: Array, depth: Array) -> Array:
        hot = indices[..., None] == np.arange(int(depth))
        return np.moveaxis(np.where(hot, values[1], values[0]).astype(values.dtype, copy=False), -1, axis)

    return evaluate


@evaluates("NON_ZERO")
def non_zero(layer: Any) -> Function:
    """(D, C): a column for each of the C elements that are not zero, with its D indices, in the order of the input."""
    dtype = numpy_dtype(layer.get_output(0).dtype)
    return lambda x: np.stack(np.nonzero(x)).astype(dtype)
