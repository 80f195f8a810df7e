"""Fewer bits than are claimed, and functions that are a little wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.faults.activations import beyond
from conformance.faults.conditions import A_STEP, NOT_RELU, Condition, of_cells, of_dtype, reaching
from conformance.faults.equations import Function
from conformance.faults.fault import Group
from conformance.faults.gates import change_fields, change_weights
from conformance.faults.parts import Part
from reference import Array, Case, Cell, Result
from reference.cells import sigmoid

GROUP = Group(
    "Precision",
    "Everything is at its place, and yet numbers lose bits on the way: in the operands of a product, in its sum, in the"
    " state, or in an activation that is a table, a polynomial, or a fast exponential.",
)

GATED = (Cell.LSTM, Cell.GRU)


def rounded(bits: int) -> Function:
    """Rounding to so many significant bits, the range of exponents left as it is."""

    def function(x: Array) -> Array:
        mantissa, exponent = np.frexp(x)
        scale = 2.0**bits
        return np.ldexp(np.rint(mantissa * scale) / scale, exponent).astype(x.dtype)

    return function


def to_float16(x: Array) -> Array:
    """Rounding to float16 with its range."""
    return x.astype(np.float16).astype(x.dtype)


FORMATS: dict[str, Function] = {"tf32": rounded(11), "bfloat16": rounded(8), "float16": to_float16}


def rounded_operands(part: Part, to: Function) -> Part:
    """Both products take rounded factors and add them up as accurately as ever."""
    product = part.equations.product
    weights = change_fields(part.weights, ("w_ih", "w_hh"), to)
    x = part.x if weights.w_ih is None else to(part.x)
    part = replace(part, x=x, weights=weights)
    return part.with_equations(product=lambda h, w, b: product(to(h), w, b))


def summed_in(to: Function) -> Callable[[Array, Array, Array], Array]:
    """``x w^T + b`` for every gate, rounding the sum after every term."""

    def product(x: Array, w: Array, b: Array) -> Array:
        flat, rows = x.reshape(-1, x.shape[-1]), w.reshape(-1, w.shape[-1])
        total = np.zeros((len(flat), len(rows)), x.dtype)
        for n in range(x.shape[-1]):
            total = to(total + flat[:, n, None] * rows[:, n])
        total = total + b.reshape(-1)
        return np.moveaxis(total.reshape(*x.shape[:-1], *w.shape[:2]), -2, 0)

    return product


def _of_format(name: str, to: Function) -> None:
    GROUP.part(
        f"operands-rounded-to-{name}",
        f"The factors of every product are rounded to {name}.",
        look_at=f"a {name} mode of the matrix product that is on by default",
        where="the operands of both products",
        shows=A_STEP,
        kind="F45",
    )(lambda part: rounded_operands(part, to))
    GROUP.part(
        f"state-rounded-to-{name}",
        f"States are kept in {name} from one step to the next.",
        look_at="the dtype of the buffers between steps",
        where="the state between steps",
        shows=A_STEP,
        kind="F45",
    )(lambda part: part.with_equations(stored=to))


def _of_storage_format(name: str, to: Function) -> None:
    product = summed_in(to)
    GROUP.part(
        f"products-summed-in-{name}",
        f"Products are summed in {name}, term by term.",
        look_at="the dtype of the accumulator of a product",
        where="the sums of both products",
        shows=A_STEP,
        kind="F45",
    )(lambda part: replace(part, project=product).with_equations(product=product))
    GROUP.part(
        f"weights-rounded-to-{name}",
        f"Matrices and biases are stored in {name}.",
        look_at="the dtype that weights are packed or exported in",
        where="all parameters",
        shows=A_STEP,
    )(lambda part: replace(part, weights=change_fields(part.weights, ("w_ih", "w_hh", "b_ih", "b_hh"), to)))


for _name, _to in FORMATS.items():
    _of_format(_name, _to)
for _name in ("bfloat16", "float16"):
    _of_storage_format(_name, FORMATS[_name])


def _result_of(name: str, says: str, look_at: str, to: Function, where: str = "all outputs") -> None:
    GROUP.result(name, says, look_at=look_at, where=where, shows=A_STEP)(
        lambda case, result: replace(result, **{output: to(array) for output, array in result.items()})
    )


_result_of(
    "results-rounded-to-20-bits",
    "Results are rounded to 20 bits.",
    "conversions of the outputs",
    rounded(20),
)


def _flushed(limit: float) -> None:
    def small_is_zero(x: Array) -> Array:
        return np.where(np.abs(x) < limit, np.zeros_like(x), x)

    GROUP.part(
        f"small-states-flushed-at-{limit:.0e}".replace("e-0", "e-"),
        f"States smaller than {limit:g} become zero.",
        look_at="thresholds, and fixed-point formats with too few bits behind the point",
        where="the state between steps",
        shows=A_STEP,
    )(lambda part: part.with_equations(stored=small_is_zero))


_flushed(1e-4)
_flushed(1e-6)


@GROUP.around(
    "float64-computed-in-float32",
    "A float64 layer is computed in float32 and its results converted.",
    look_at="kernels that exist in float32 only",
    where="all arithmetic",
    shows=of_dtype("float64") & A_STEP,
)
def _(run: Callable[[Case], Result]) -> Callable[[Case], Result]:
    def wrong(case: Case) -> Result:
        if case.dtype != np.float64:
            return run(case)
        narrow = run(case.astype(np.float32))
        return replace(narrow, **{name: array.astype(np.float64) for name, array in narrow.items()})

    return wrong


@GROUP.case(
    "inputs-rounded-to-float32",
    "The inputs of a float64 layer pass through float32.",
    look_at="conversions on the way to the kernel",
    where="x of a float64 layer",
    shows=of_dtype("float64") & A_STEP,
)
def _(case: Case) -> Case:
    return case if case.dtype != np.float64 else replace(case, x=case.x.astype(np.float32).astype(np.float64))


def _has_large_weight(case: Case) -> bool:
    return any(w is not None and bool(np.any(np.abs(w) > 8)) for each in case.weights for w in (each.w_ih, each.w_hh))


@GROUP.case(
    "weights-clipped-at-eight",
    "Weights beyond 8 are clipped to 8, the range that they were calibrated for.",
    look_at="the range of weights that are quantized",
    where="w_ih and w_hh",
    shows=Condition("a weight beyond 8", _has_large_weight) & A_STEP,
)
def _(case: Case) -> Case:
    return change_weights(case, lambda w: change_fields(w, ("w_ih", "w_hh"), lambda array: np.clip(array, -8, 8)))


def function(name: str, says: str, look_at: str, shows: Condition, **changes: Any) -> None:
    """A fault of an activation that is nearly right."""
    only_gates = set(changes) == {"sigmoid"}
    GROUP.part(
        name,
        says,
        look_at=look_at,
        where="the sigmoid of every gate" if only_gates else "the tanh",
        shows=(of_cells(*GATED) if only_gates else NOT_RELU) & A_STEP & shows,
        cells=GATED if only_gates else tuple(Cell),
    )(lambda part: part.with_equations(**changes))


def _constant(value: float, x: Array) -> Array:
    return np.asarray(value, x.dtype)


def _between(low: float, high: float, of: str) -> Condition:
    return reaching(
        f"an argument of {of} between {low:g} and {high:g} in size",
        of,
        lambda x: bool(np.any((np.abs(x) > low) & (np.abs(x) < high))),
    )


ANY = Condition("any argument", lambda case: True)


def tanh_off_near_5(x: Array) -> Array:
    """Up to 1e-4 too large around 5, where a polynomial meets its end."""
    bump = _constant(1e-4, x) * np.exp(-((np.abs(x) - 5) ** 2) * 2)
    return np.tanh(x) + np.where(np.abs(np.abs(x) - 5) < 1, np.copysign(bump, x), np.zeros_like(x))


def tanh_pade(x: Array) -> Array:
    """x (27 + x^2) / (27 + 9 x^2), cut off where it reaches 1."""
    square = np.minimum(np.abs(x), 3) ** 2
    fraction: Array = x * (27 + square) / (27 + 9 * square)
    return np.where(np.abs(x) > 3, np.sign(x), fraction).astype(x.dtype)


def tanh_continued(x: Array) -> Array:
    """A rational function of degree 7 over 6, right to about 1e-5 below 5, cut off there."""
    y = np.clip(x, -4.97, 4.97)
    s = y * y
    fraction: Array = y * (135135 + s * (17325 + s * (378 + s))) / (135135 + s * (62370 + s * (3150 + s * 28)))
    return fraction.astype(x.dtype)


def tanh_linear(x: Array) -> Array:
    """x itself below 1/32."""
    return np.where(np.abs(x) < 1 / 32, x, np.tanh(x))


def _table(function_: Function, reach: float, steps: int) -> Function:
    """The nearest of a number of tabulated values, evenly spaced over [-reach, reach]."""
    spacing = 2 * reach / steps

    def looked_up(x: Array) -> Array:
        nearest = np.clip(np.rint(x / spacing), -steps // 2, steps // 2) * spacing
        return np.asarray(function_(nearest.astype(x.dtype)))

    return looked_up


def _interpolated(function_: Function, reach: float, steps: int) -> Function:
    """Straight lines between tabulated values."""
    knots = np.linspace(-reach, reach, steps + 1)
    values = function_(knots)
    return lambda x: np.interp(x, knots, values).astype(x.dtype)


def fast_exp(x: Array) -> Array:
    """2**k times a straight line: an exponential made by writing into the bits of the exponent."""
    power: Array = np.clip(x, -80, 80) / np.log(2)
    whole: Array = np.floor(power)
    value: Array = np.ldexp(1 + (power - whole) - 0.0430, whole.astype(np.int32))
    return value.astype(x.dtype)


def short_exp(x: Array) -> Array:
    """An exponential of 16 bits."""
    return rounded(16)(np.exp(np.clip(x, -80, 80)))


def _sigmoid_by(exp: Function) -> Function:
    return lambda x: 1 / (1 + exp(-x))


def _tanh_by(exp: Function) -> Function:
    return lambda x: 1 - 2 / (1 + exp(2 * x))


function(
    "tanh-off-by-1e-4-near-5",
    "The tanh is wrong by up to 1e-4 around 5, and right elsewhere.",
    "where the approximation of tanh meets its saturation",
    _between(4, 6, "tanh"),
    tanh=tanh_off_near_5,
)
function(
    "tanh-by-a-small-fraction",
    "The tanh is x (27 + x^2) / (27 + 9 x^2).",
    "the approximation of tanh, which is wrong in the second digit",
    ANY,
    tanh=tanh_pade,
)
function(
    "tanh-by-a-large-fraction",
    "The tanh is a rational function of degree 7, right to four digits.",
    "the approximation of tanh",
    ANY,
    tanh=tanh_continued,
)
function(
    "tanh-linear-below-one-32nd",
    "The tanh is x itself where |x| < 1/32.",
    "the branch for small arguments",
    ANY,
    tanh=tanh_linear,
)
function(
    "tanh-by-table",
    "The tanh is looked up in a table of 4096 values over [-8, 8].",
    "the table of tanh, and whether it is interpolated",
    ANY,
    tanh=_table(np.tanh, 8, 4096),
)
function(
    "tanh-by-lines",
    "The tanh is interpolated between 256 values over [-8, 8].",
    "the table of tanh",
    ANY,
    tanh=_interpolated(np.tanh, 8, 256),
)
function(
    "tanh-by-a-fast-exponential",
    "The tanh is made of an exponential that is a straight line between powers of two.",
    "the exponential within tanh",
    ANY,
    tanh=_tanh_by(fast_exp),
)
function(
    "sigmoid-off-by-2e-5",
    "The sigmoid is too large by 2e-5.",
    "the constants of the approximation of sigmoid",
    ANY,
    sigmoid=lambda x: sigmoid(x) + _constant(2e-5, x),
)
function(
    "sigmoid-by-table",
    "The sigmoid is looked up in a table of 4096 values over [-8, 8].",
    "the table of sigmoid, and whether it is interpolated",
    ANY,
    sigmoid=_table(sigmoid, 8, 4096),
)
function(
    "sigmoid-by-lines",
    "The sigmoid is interpolated between 256 values over [-8, 8].",
    "the table of sigmoid",
    ANY,
    sigmoid=_interpolated(sigmoid, 8, 256),
)
function(
    "sigmoid-by-a-fast-exponential",
    "The sigmoid is made of an exponential that is a straight line between powers of two.",
    "the exponential within sigmoid",
    ANY,
    sigmoid=_sigmoid_by(fast_exp),
)
function(
    "sigmoid-by-a-short-exponential",
    "The sigmoid is made of an exponential of 16 bits.",
    "the exponential within sigmoid",
    ANY,
    sigmoid=_sigmoid_by(short_exp),
)
function(
    "sigmoid-flushed-below-1e-4",
    "The sigmoid is 0 where it would be below 1e-4, and 1 where it would be as near to 1.",
    "where the approximation of sigmoid saturates",
    beyond(9.2, "sigmoid"),
    sigmoid=lambda x: np.where(np.abs(x) > 9.2103, (x > 0).astype(x.dtype), sigmoid(x)),
)
