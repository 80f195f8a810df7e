"""The data types of TensorRT as those of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.errors import InterpreterError
from reference import Array

_NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}


@cache
def numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """The numpy dtype of a ``DataType``; BF16 is that of ml_dtypes.

    Raises :class:`InterpreterError` for the types of less than 16 bits that are no integers numpy knows.
    """
    if dtype.name == "BF16":
        import ml_dtypes  # only a network with such tensors needs it

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    if dtype.name not in _NUMPY:
        known = ", ".join([*_NUMPY, "BF16"])
        raise InterpreterError(f"the data type {dtype.name} is not evaluated, but should be one of {known}")
    return np.dtype(_NUMPY[dtype.name])


def is_narrow(dtype: np.dtype[Any]) -> bool:
    """Whether ``dtype`` is a floating type of 16 bits, whose functions and sums a kernel computes in float32."""
    return dtype.itemsize == 2 and dtype.kind in "fV"


def widened(x: Array) -> Array:
    """Float16 and bfloat16 as float32, which holds them exactly; anything else as it is."""
    return x.astype(np.float32) if is_narrow(x.dtype) else x


FLOATING, NUMBERS, BOOL = ("floating", "fV"), ("numbers", "fViu"), ("bool", "b")
"""Kinds of types, as messages call them, and their letters in numpy, where bfloat16 is V."""


def check_types(arrays: Sequence[Array], kind: tuple[str, str] | None = None) -> None:
    """Raise :class:`InterpreterError` unless all inputs of a layer have one type, which is of ``kind``."""
    first = arrays[0].dtype
    for array in arrays:
        if array.dtype != first:
            found = " and ".join(str(each.dtype) for each in arrays)
            raise InterpreterError(f"the inputs are {found}, but should be of one type, which takes a cast layer")
    if kind is not None and first.kind not in kind[1]:
        raise InterpreterError(f"the input is {first}, but should be {kind[0]}")
