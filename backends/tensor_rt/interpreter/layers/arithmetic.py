"""Layers that compute element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.tensor_rt.interpreter.dtypes import BOOL, FLOATING, NUMBERS, check_types, numpy_dtype, widened
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.layers.table import Function, evaluates
from reference import Array


@evaluates("ELEMENTWISE")
def elementwise(layer: Any) -> Function:
    """``z[i] = x[i] op y[i]``.

    Both inputs have the same type and the same number of dimensions, and each dimension is the same in both, or 1 in
    one of them, which is then repeated. EQUAL, GREATER and LESS give booleans; AND, OR and XOR take them.
    """
    name, operation = layer.op.name, _BINARY[layer.op.name]
    kind = {"AND": BOOL, "OR": BOOL, "XOR": BOOL, "EQUAL": None}.get(name, NUMBERS)

    def evaluate(x: Array, y: Array) -> Array:
        check_types((x, y), kind)
        check_broadcast(x, y)
        return operation(x, y)

    return evaluate


def check_broadcast(*arrays: Array) -> None:
    """Raise :class:`InterpreterError` unless the shapes have one rank, and sizes that are equal or 1."""
    first = arrays[0].shape
    for array in arrays[1:]:
        if array.shape == first:
            continue
        if array.ndim != len(first):
            raise InterpreterError(
                f"the inputs have shapes {_shapes(arrays)}, but should have one number of dimensions: a dimension of 1"
                " is repeated, a missing one is not added"
            )
        for m, n in zip(first, array.shape):
            if m != n and m != 1 and n != 1:
                raise InterpreterError(
                    f"the inputs have shapes {_shapes(arrays)}, but each dimension should be equal, or 1 in one"
                )


def _shapes(arrays: tuple[Array, ...]) -> str:
    return " and ".join(str(each.shape) for each in arrays)


def divide(x: Array, y: Array) -> Array:
    """The quotient; that of integers is cut towards zero, as in C."""
    if x.dtype.kind in "iu":
        rounded_down = np.floor_divide(x, y)
        quotient: Array = rounded_down + ((rounded_down * y != x) & ((x < 0) != (y < 0)))
        return quotient
    return np.true_divide(x, y)


def floor_divide(x: Array, y: Array) -> Array:
    """The quotient, rounded down."""
    return np.floor_divide(x, y) if x.dtype.kind in "iu" else np.floor(np.true_divide(x, y))


def power(x: Array, y: Array) -> Array:
    """``x ** y``; integers have no negative powers."""
    if x.dtype.kind in "iu" and np.any(y < 0):
        raise InterpreterError("an exponent of integers is negative, but should be at least 0")
    return np.power(x, y)


_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "SUM": np.add,
    "PROD": np.multiply,
    "MAX": np.maximum,
    "MIN": np.minimum,
    "SUB": np.subtract,
    "DIV": divide,
    "POW": power,
    "FLOOR_DIV": floor_divide,
    "AND": np.logical_and,
    "OR": np.logical_or,
    "XOR": np.logical_xor,
    "EQUAL": np.equal,
    "GREATER": np.greater,
    "LESS": np.less,
}


@evaluates("UNARY")
def unary(layer: Any) -> Function:
    """``y[i] = op(x[i])``.

    ROUND takes halves to the even neighbour. NOT takes booleans; ISINF and ISNAN give them; ABS, NEG and SIGN take
    integers too, and every other operation takes floating numbers only.
    """
    name, operation = layer.op.name, _UNARY[layer.op.name]
    kind = {"NOT": BOOL, "ABS": NUMBERS, "NEG": NUMBERS, "SIGN": NUMBERS}.get(name, FLOATING)

    def evaluate(x: Array) -> Array:
        check_types((x,), kind)
        y = operation(widened(x))
        return y if y.dtype == np.bool_ else y.astype(x.dtype, copy=False)

    return evaluate


def erf(x: Array) -> Array:
    """The error function, which numpy lacks."""
    y: Array = np.vectorize(math.erf, otypes=[np.float64])(x)
    return y.astype(x.dtype)


_UNARY: dict[str, Callable[[Array], Array]] = {
    "EXP": np.exp,
    "LOG": np.log,
    "SQRT": np.sqrt,
    "RECIP": np.reciprocal,
    "ABS": np.abs,
    "NEG": np.negative,
    "SIN": np.sin,
    "COS": np.cos,
    "TAN": np.tan,
    "SINH": np.sinh,
    "COSH": np.cosh,
    "ASIN": np.arcsin,
    "ACOS": np.arccos,
    "ATAN": np.arctan,
    "ASINH": np.arcsinh,
    "ACOSH": np.arccosh,
    "ATANH": np.arctanh,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "ERF": erf,
    "NOT": np.logical_not,
    "SIGN": np.sign,
    "ROUND": np.rint,
    "ISINF": np.isinf,
    "ISNAN": np.isnan,
}


@evaluates("ACTIVATION")
def activation(layer: Any) -> Function:
    """``y[i] = f(x[i])``, where alpha and beta of the layer are a and b.

    ================  ============================================
    RELU              max(x, 0)
    SIGMOID           1 / (1 + exp(-x))
    TANH              tanh(x)
    LEAKY_RELU        x if x >= 0, else a x
    ELU               x if x >= 0, else a (exp(x) - 1)
    SELU              b x if x > 0, else b (a exp(x) - a)
    SOFTSIGN          x / (1 + |x|)
    SOFTPLUS          a log(exp(b x) + 1)
    CLIP              max(a, min(b, x))
    HARD_SIGMOID      max(0, min(1, a x + b))
    SCALED_TANH       a tanh(b x)
    THRESHOLDED_RELU  x if x > a, else 0
    GELU_ERF          x/2 (1 + erf(sqrt(1/2) x))
    GELU_TANH         x/2 (1 + tanh(sqrt(2/pi) (0.044715 x^3 + x)))
    ================  ============================================
    """
    function, a, b = _ACTIVATIONS[layer.type.name], float(layer.alpha), float(layer.beta)
    kind = NUMBERS if layer.type.name == "RELU" else FLOATING

    def evaluate(x: Array) -> Array:
        check_types((x,), kind)
        return function(widened(x), a, b).astype(x.dtype, copy=False)

    return evaluate


_ACTIVATIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "RELU": lambda x, a, b: np.maximum(x, 0),
    "SIGMOID": lambda x, a, b: 1 / (1 + np.exp(-x)),
    "TANH": lambda x, a, b: np.tanh(x),
    "LEAKY_RELU": lambda x, a, b: np.where(x >= 0, x, a * x),
    "ELU": lambda x, a, b: np.where(x >= 0, x, a * np.expm1(x)),
    "SELU": lambda x, a, b: b * np.where(x > 0, x, a * np.expm1(x)),
    "SOFTSIGN": lambda x, a, b: x / (1 + np.abs(x)),
    "SOFTPLUS": lambda x, a, b: a * np.logaddexp(0, b * x),  # log(exp(b x) + 1) without overflow
    "CLIP": lambda x, a, b: np.maximum(a, np.minimum(b, x)),
    "HARD_SIGMOID": lambda x, a, b: np.maximum(0, np.minimum(1, a * x + b)),
    "SCALED_TANH": lambda x, a, b: a * np.tanh(b * x),
    "THRESHOLDED_RELU": lambda x, a, b: np.where(x > a, x, 0),
    "GELU_ERF": lambda x, a, b: x / 2 * (1 + erf(math.sqrt(0.5) * x)),
    "GELU_TANH": lambda x, a, b: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (0.044715 * x**3 + x))),
}


@evaluates("PARAMETRIC_RELU")
def parametric_relu(layer: Any) -> Function:
    """``y[i] = x[i] if x[i] >= 0, else slope[i] x[i]``; the slopes are repeated like an elementwise input."""

    def evaluate(x: Array, slopes: Array) -> Array:
        check_types((x, slopes), FLOATING)
        check_broadcast(x, slopes)
        return np.where(x >= 0, x, slopes * x)

    return evaluate


@evaluates("SELECT")
def select(layer: Any) -> Function:
    """``z[i] = x[i] where condition[i], else y[i]``; all three broadcast as elementwise inputs do."""

    def evaluate(condition: Array, x: Array, y: Array) -> Array:
        if condition.dtype != np.bool_:
            raise InterpreterError(f"the condition is {condition.dtype}, but should be bool")
        check_types((x, y))
        check_broadcast(condition, x, y)
        return np.where(condition, x, y)

    return evaluate


@evaluates("CAST")
@evaluates("IDENTITY")
def cast(layer: Any) -> Function:
    """The same numbers in the type of the output.

    Floating numbers are cut towards zero to become integers, and what is not zero becomes True.
    """
    dtype = numpy_dtype(layer.get_output(0).dtype)
    return lambda x: x.astype(dtype, copy=False)
