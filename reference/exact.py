"""The reference over balls: a rigorous enclosure of the exact result, and from it correctly rounded results.

A ball is a number with a bound on its error, an ``arb`` of python-flint: every operation encloses all that its exact
operands could give. The code of :mod:`reference.layer` and :mod:`reference.cells` runs on arrays of balls as it stands,
at a working precision that doubles until the question at hand is decided. Weights, inputs and states are taken as the
numbers they are, so the function evaluated is the one on the case as given, whatever dtype it is given in.

- :func:`run` rounds the exact result to a dtype: every element is the value of that dtype nearest to the exact one.
- :func:`truth` holds the exact result as a sum of two float64 arrays, to judge a float64 candidate against.
- :func:`certificate` measures the float64 reference against it.
- :func:`enclose` returns the balls.

The working precision is flint's own global context, which is set while a function of this module runs and restored
when it returns; two threads cannot run them at once.

Source: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Transactions on
Computers 66(8), 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

import reference
from reference.case import Array, Case, Result

START_PRECISION = 128
"""Bits of the first attempt at rounding: two machine words, 75 bits more than float64 has."""
MAX_PRECISION = 8192
"""Bits of the last attempt. 2048 decide what rounds to zero in any dtype; the rest is for chaotic recurrences."""
TRUTH_BITS = 100
"""The relative accuracy of a :class:`Truth`; its first attempt takes a word more than one at rounding."""
SMALLEST = 2.0**-1074
"""The smallest positive float64, below which a :class:`Truth` holds nothing."""


class Undecidable(ArithmeticError):
    """No precision up to :data:`MAX_PRECISION` decides the result, or no number is there to be decided."""


def _matmul(a: Array, b: Array) -> Array:
    """(m, k) @ (k, n) in one call, with one rounding for every element."""
    if not a.ndim == b.ndim == 2 or a.shape[1] != b.shape[0]:
        raise TypeError(f"a product of balls has shapes {a.shape} and {b.shape}, but should have (m, k) and (k, n)")
    (m, k), n = a.shape, b.shape[1]
    product = arb_mat(m, k, a.ravel().tolist()) * arb_mat(k, n, b.ravel().tolist())
    return np.array(product.entries(), dtype=object).reshape(m, n)


_OPERATIONS: dict[np.ufunc, Callable[..., Any]] = {
    **{ufunc: ufunc for ufunc in (np.add, np.subtract, np.multiply, np.divide, np.negative, np.absolute, np.not_equal)},
    np.exp: np.frompyfunc(arb.exp, 1, 1),
    np.tanh: np.frompyfunc(arb.tanh, 1, 1),
    np.maximum: np.frompyfunc(arb.max, 2, 1),
    np.minimum: np.frompyfunc(arb.min, 2, 1),
    np.matmul: _matmul,
}
"""What is known to be rigorous. numpy's own loop is where it calls the operator of the balls and nothing else."""


class Balls(np.ndarray[Any, np.dtype[Any]]):
    """An object array whose every element is a ball, and whose every operation is rigorous or a TypeError.

    numpy's object arrays would run most of the reference as they are, but ``np.maximum`` of them takes a ball that
    straddles zero for one side of it, and what they hold is not balls alone.
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc not in _OPERATIONS or method != "__call__" or not kwargs.keys() <= {"out"}:
            return NotImplemented
        if "out" in kwargs:
            kwargs["out"] = tuple(target.view(np.ndarray) for target in kwargs["out"])
        result = _OPERATIONS[ufunc](*(balls(item).view(np.ndarray) for item in inputs), **kwargs)
        return result.view(Balls) if isinstance(result, np.ndarray) and result.dtype == object else result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(func, types, args, kwargs)
        # Zeros of an object array are integers, and the quotient of two integers would be rounded to a float.
        return balls(result.view(np.ndarray)) if func is np.zeros_like else result

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, balls(value)[()])  # a single ball as such: numpy would store an array of no axes whole


_to_balls = np.frompyfunc(arb, 1, 1)


def balls(numbers: Any) -> Balls:
    """Return ``numbers``, an array or a number, as balls of radius 0, converted without rounding.

    Every dtype whose values float64 holds will do, and integers, and objects that are balls already; another is
    refused with a TypeError.

    >>> balls(np.float16([0.5, 3])) - 1
    Balls([-0.500000000000000, 2.00000000000000], dtype=object)
    """
    if isinstance(numbers, Balls):
        return numbers
    array = np.asarray(numbers)
    if array.dtype != object and not np.issubdtype(array.dtype, np.integer):
        # Of the dtype, because numpy 1 takes a cast of a number for safe wherever it does not overflow.
        if not np.can_cast(array.dtype, np.float64):
            raise TypeError(f"the numbers are {array.dtype}, but should be of a dtype whose values float64 holds")
        array = array.astype(np.float64)
    return np.asarray(_to_balls(array.astype(object)), dtype=object).view(Balls)


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, as far as rounding to it needs: IEEE 754-2019, 3.3."""

    precision: int
    """Bits of the significand, the leading one counted."""
    lowest: int
    """The exponent of the smallest positive value, ``2**lowest``."""
    highest: int
    """What rounds to ``2**highest`` or above overflows."""


FORMATS = {
    "float64": Format(precision=53, lowest=-1074, highest=1024),
    "float32": Format(precision=24, lowest=-149, highest=128),
    "float16": Format(precision=11, lowest=-24, highest=16),
    "bfloat16": Format(precision=8, lowest=-133, highest=128),
}
"""By name of the dtype."""


def round_dyadic(mantissa: int, exponent: int, form: Format) -> float:
    """Round ``mantissa * 2**exponent`` to the nearest value of a format, a tie to the even one.

    Subnormal values, underflow and overflow to infinity are those of IEEE 754, with one difference: what rounds to
    zero is +0.0, whatever its sign, so that a number known to lie close about zero needs no more precision.

    >>> [round_dyadic(m, 0, FORMATS["bfloat16"]) for m in (255, 257, 258, 259, 261)]
    [255.0, 256.0, 258.0, 260.0, 260.0]
    """
    bits = mantissa.bit_length()
    last = max(bits + exponent - form.precision, form.lowest)  # the exponent of the last bit that is kept
    shift = last - exponent
    if mantissa == 0 or shift > bits:  # below half of the smallest value; so long a shift might not fit in memory
        return 0.0
    if shift <= 0:
        kept, last = mantissa, exponent
    else:
        kept = mantissa >> shift  # towards minus infinity, so that the remainder is never negative
        remainder, half = mantissa - (kept << shift), 1 << (shift - 1)
        kept += remainder > half or (remainder == half and kept % 2 == 1)
    if kept.bit_length() + last > form.highest:
        return math.copysign(math.inf, kept)
    return math.ldexp(kept, last)


def round_ball(ball: arb, form: Format) -> float | None:
    """Return the value of a format to which every number in ``ball`` rounds, or None where they round to several."""
    if not ball.is_finite():
        return None
    low, high = _round_exact(ball.lower(), form), _round_exact(ball.upper(), form)
    return low if low == high else None


def _round_exact(number: arb, form: Format) -> float:
    mantissa, exponent = number.man_exp()
    return round_dyadic(int(mantissa), int(exponent), form)


def run(case: Case, dtype: npt.DTypeLike = np.float64) -> Result:
    """Return the exact result of ``case``, every element correctly rounded to ``dtype``, ties to even.

    ``dtype`` is float64, float32, float16 or bfloat16; any other raises ValueError. A zero is +0.0.
    Raises :class:`Undecidable`, with one sentence that names the element, where a NaN or an infinity is read, and
    where :data:`MAX_PRECISION` bits do not decide an element: it lies halfway between two values of ``dtype`` and
    only an enclosure of it is known, or the recurrence loses more bits than that. Raises TypeError for a case whose
    dtype is not contained in float64.
    """
    target = np.dtype(dtype)
    if target.name not in FORMATS:
        raise ValueError(f"dtype is {target.name}, but should be one of {', '.join(FORMATS)}")
    form = FORMATS[target.name]
    result, _ = _settle(case, lambda ball: round_ball(ball, form), f"one {target.name}", START_PRECISION)
    return _map(result, lambda array: array.astype(target))


def enclose(case: Case, precision: int) -> Result:
    """Return a result of balls that contain the exact one, by one run at ``precision`` bits.

    Raises as :func:`run` does, but for elements that stay undecided. An operation on the balls outside this module
    rounds to the precision that flint is set to there.
    """
    exact = _exact(case)
    with _working(precision):
        return reference.run(exact)


@dataclass(frozen=True, eq=False)
class Truth:
    """The exact result of a case as the unevaluated sum ``hi + lo`` of two results in float64.

    The sum is off by at most ``2**-TRUTH_BITS`` of itself or by :data:`SMALLEST`, whichever is larger. ``hi`` is
    one of the two float64 next to it, and infinite where it overflows.
    """

    hi: Result
    lo: Result
    precision: int
    """The bits it took."""

    def error(self, candidate: Result) -> Result:
        """Return ``candidate - truth`` in float64, signed, also where it is far below a unit in the last place.

        Off by a relative 2**-52 of itself at most, apart from what ``hi + lo`` is off. Where the truth overflows, the
        right infinity has error 0. NaN where the candidate is NaN.
        """
        return _map(candidate, _difference, self.hi, self.lo)


def truth(case: Case) -> Truth:
    """Return the exact result of ``case`` as a double-double. Raises as :func:`run` does."""
    pairs, precision = _settle(case, _double_double, f"{TRUTH_BITS} correct bits", START_PRECISION + 64)
    return Truth(_map(pairs, lambda array: array[..., 0]), _map(pairs, lambda array: array[..., 1]), precision)


def _double_double(ball: arb) -> tuple[float, float] | None:
    # rel_accuracy_bits compares exponents, and may promise two bits more than there are; of an exact ball it is huge.
    if not ball.is_finite() or (ball.rel_accuracy_bits() < TRUTH_BITS + 4 and not abs(ball) < SMALLEST):
        return None
    hi = float(ball)
    return hi, 0.0 if math.isinf(hi) else float(ball - hi)


def _difference(candidate: Array, hi: Array, lo: Array) -> Array:
    candidate = candidate.astype(np.float64)
    with np.errstate(invalid="ignore"):  # equal infinities agree
        return np.where(candidate == hi, 0.0, candidate - hi) - lo


@dataclass(frozen=True)
class Error:
    """The largest error of an output."""

    absolute: float
    ulp: float
    """In units in the last place of the float64 nearest to the exact value."""


@dataclass(frozen=True)
class Certificate:
    """How far the float64 reference is from the exact result of one case."""

    y: Error
    h_n: Error
    c_n: Error | None = None
    """None unless the cell is an LSTM."""


def certificate(case: Case) -> Certificate:
    """Measure the reference, run in float64, against the exact result of ``case``. Raises as :func:`run` does."""
    exact = truth(case)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is part of the error
        errors = exact.error(reference.run(case.astype(np.float64)))
    hi = dict(exact.hi.items())
    return Certificate(**{name: _largest(error, hi[name]) for name, error in errors.items()})


def _largest(error: Array, hi: Array) -> Error:
    error = np.abs(error)
    with np.errstate(invalid="ignore"):  # an infinity has no last place, and no error where both are infinite
        ulps = np.where(error == 0, 0.0, error / np.spacing(np.abs(hi)))
    return Error(float(error.max()), float(ulps.max()))


def _settle(case: Case, settle: Callable[[arb], Any], wanted: str, precision: int) -> tuple[Result, int]:
    """Double the precision until ``settle`` has an answer for every ball; return the answers and the precision."""
    exact = _exact(case)
    while True:
        with _working(precision):
            result = reference.run(exact)
            answers = {name: [settle(ball) for ball in array.flat] for name, array in result.items()}
        name = next((name for name, values in answers.items() if None in values), None)
        if name is None:
            # An answer is a number, or several that make up a last axis.
            shaped = {n: np.array(answers[n]).reshape(*a.shape, *np.shape(answers[n][0])) for n, a in result.items()}
            return Result(**shaped), precision
        if precision >= MAX_PRECISION:
            array = getattr(result, name)
            index = np.unravel_index(answers[name].index(None), array.shape)
            middle, radius = array[index].mid().str(20, radius=False), array[index].rad().str(3, radius=False)
            raise Undecidable(
                f"{_element(name, index)} lies in {middle} +/- {radius}, which {precision} bits "
                f"of working precision do not narrow down to {wanted}"
            )
        precision = min(2 * precision, MAX_PRECISION)


def _exact(case: Case) -> Case:
    """The case over balls of radius 0, after a look at whether there are numbers in all that is read of it."""
    if not np.can_cast(case.dtype, np.float64):
        raise TypeError(f"case.dtype is {case.dtype}, but should be float64 or a dtype whose values float64 holds")
    arrays = {"x": case.x, "h_0": case.h_0, "c_0": case.c_0}
    for k, w in enumerate(case.weights):
        arrays.update({f"weights[{k}].{field}": getattr(w, field) for field in ("w_ih", "w_hh", "b_ih", "b_hh")})
    for name, array in arrays.items():
        if array is None:
            continue
        lost = ~np.isfinite(array)
        if name == "x":
            lost &= case.valid[..., None]
        if lost.any():
            index = tuple(np.argwhere(lost)[0])
            found = f"{_element(name, index)} is {array[index]}"
            raise Undecidable(f"{found}, but should be finite for an exact result to exist")
    return case.map(balls)


def _element(name: str, index: tuple[Any, ...]) -> str:
    return f"{name}[{', '.join(str(int(i)) for i in index)}]"


def _map(result: Result, function: Callable[..., Array], *others: Result) -> Result:
    """Apply ``function`` to each output of one result, or of several side by side."""
    rest = [dict(other.items()) for other in others]
    return Result(**{name: function(array, *(other[name] for other in rest)) for name, array in result.items()})


@contextmanager
def _working(precision: int) -> Iterator[None]:
    before = flint.ctx.prec
    flint.ctx.prec = precision
    try:
        yield
    finally:
        flint.ctx.prec = before
