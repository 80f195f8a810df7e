"""Layers that sum products."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.dtypes import FLOATING, NUMBERS, check_types, widened
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.layers.table import Function, evaluates
from reference import Array


@evaluates("MATRIX_MULTIPLY")
def matrix_multiply(layer: Any) -> Function:
    """``C = op0(A) op1(B)`` for matrices in the last two dimensions.

    NONE takes them as they are and TRANSPOSE exchanges them. VECTOR takes the last dimension of A as a row, or that of
    B as a column, and the result lacks the dimension that they lack. The dimensions before are as many in A as in B;
    each is the same in both, or 1 in one of them, which is then repeated.

    Float16 is multiplied and summed in float32 and rounded once.
    """
    op_a, op_b = layer.op0.name, layer.op1.name

    def evaluate(a: Array, b: Array) -> Array:
        check_types((a, b), FLOATING)
        x, y = _row_matrices(a, op_a), _column_matrices(b, op_b)
        if x.ndim != y.ndim:
            raise InterpreterError(
                f"the inputs {_told(a, op_a)} and {_told(b, op_b)} should have as many dimensions before their matrices"
            )
        if x.shape[-1] != y.shape[-2]:
            raise InterpreterError(
                f"the inputs {_told(a, op_a)} and {_told(b, op_b)} meet in {x.shape[-1]} columns and {y.shape[-2]}"
                " rows, but these should be as many"
            )
        if any(m != n and 1 not in (m, n) for m, n in zip(x.shape[:-2], y.shape[:-2])):
            raise InterpreterError(
                f"the inputs {_told(a, op_a)} and {_told(b, op_b)} should agree in each dimension before their"
                " matrices, or have 1 there"
            )
        product: Array = np.matmul(widened(x), widened(y)).astype(a.dtype, copy=False)
        if op_a == "VECTOR":
            product = product[..., 0, :]
        if op_b == "VECTOR":
            product = product[..., 0]
        return product

    return evaluate


def _row_matrices(a: Array, op: str) -> Array:
    """A as matrices: a vector is a row."""
    return _with_rank(a, 1, op)[..., None, :] if op == "VECTOR" else _matrices(a, op)


def _column_matrices(b: Array, op: str) -> Array:
    """B as matrices: a vector is a column."""
    return _with_rank(b, 1, op)[..., None] if op == "VECTOR" else _matrices(b, op)


def _matrices(x: Array, op: str) -> Array:
    matrices = _with_rank(x, 2, op)
    return matrices.swapaxes(-1, -2) if op == "TRANSPOSE" else matrices


def _with_rank(x: Array, rank: int, op: str) -> Array:
    if x.ndim < rank:
        raise InterpreterError(f"an input {_told(x, op)} should have at least {rank} dimensions")
    return x


def _told(x: Array, op: str) -> str:
    return f"{x.shape} ({op})"


@evaluates("EINSUM")
def einsum(layer: Any) -> Function:
    """The sum of products that the equation of the layer spells out, ``"bij,bjk->bik"``."""
    equation = layer.equation

    def evaluate(*factors: Array) -> Array:
        check_types(factors, NUMBERS)
        try:
            total: Array = np.einsum(equation, *(widened(x) for x in factors))
            return total.astype(factors[0].dtype, copy=False)
        except ValueError as error:
            shapes = " and ".join(str(x.shape) for x in factors)
            raise InterpreterError(
                f"the equation {equation!r} does not fit inputs of shapes {shapes}: {error}"
            ) from error

    return evaluate
