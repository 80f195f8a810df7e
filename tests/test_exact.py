"""Enclosures contain the exact result, rounded results are the nearest, and what cannot be decided says so."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import flint
import ml_dtypes
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from reference import Array, Case, Cell, Direction, Layer, Weights, exact
from tests import scalar
from tests.some_case import KINDS, LAYERS, some_case

LENGTHS = (2, 4, 0, 1)
"""Of the 4 rows and 5 steps of ``some_case``: at the last step no row is valid."""
DTYPES = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)

every_layer = pytest.mark.parametrize("layer", LAYERS, ids=str)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)

MANTISSAS = st.integers(-(2**200), 2**200) | st.integers(-(2**12), 2**12)
EXPONENTS = st.integers(-1400, 1200) | st.integers(-170, 20)


def form_of(dtype: Any) -> exact.Format:
    return exact.FORMATS[np.dtype(dtype).name]


def nearest(number: Fraction, form: exact.Format) -> float:
    """The definition of rounding: the nearest multiple of the spacing around a dyadic number, of two the even one."""
    exponent = number.numerator.bit_length() - number.denominator.bit_length()  # of the leading bit
    spacing = Fraction(2) ** max(form.lowest, exponent - form.precision + 1)
    multiple = round(number / spacing) * spacing  # round() of a Fraction takes the even one of two
    if abs(multiple) >= 2**form.highest:
        return math.inf if multiple > 0 else -math.inf
    return float(multiple)


def rounded(number: Fraction, form: exact.Format) -> float:
    """What the module makes of a fraction whose denominator is a power of two."""
    return exact.round_dyadic(number.numerator, 1 - number.denominator.bit_length(), form)


def fraction(ball: Any) -> Fraction:
    """The midpoint of a ball."""
    mantissa, exponent = ball.mid().man_exp()
    return int(mantissa) * Fraction(2) ** int(exponent)


def fractions(array: Array) -> list[Fraction]:
    return [fraction(ball) for ball in array.flat]


def one_unit(cell: Cell, **numbers: Any) -> Case:
    """One unit, step and row: ``x``, ``w_ih``, ``c`` and the bias of a gate by its letter (``b``: RNN), else zero."""
    letters = "b" if cell is Cell.RNN else reference.GATES[cell]

    def filled(name: str, gates: int = 1) -> Array:
        return np.full((gates, 1, 1), numbers.get(name, 0.0))

    b_ih = np.array([[numbers.get(letter, 0.0)] for letter in letters])
    weights = Weights(filled("w_ih", len(letters)), filled("w_hh", len(letters)), b_ih, 0 * b_ih)
    layer = Layer(cell=cell, input_size=1, hidden_size=1, activation=numbers.get("activation", "tanh"))
    return Case(layer, (weights,), filled("x"), filled("h"), filled("c") if cell is Cell.LSTM else None)


def cancelling() -> Case:
    """Two equal units of a first layer, whose difference is what the second layer sees: exactly 0, never known so."""
    layer = Layer(cell=Cell.RNN, input_size=1, hidden_size=2, num_layers=2)
    zero = np.zeros((1, 2))
    first = Weights(np.ones((1, 2, 1)), np.zeros((1, 2, 2)), zero, zero)
    second = Weights(np.array([[[1.0, -1.0], [1.0, -1.0]]]), np.zeros((1, 2, 2)), zero, zero)
    return Case(layer, (first, second), np.full((1, 1, 1), 0.7))


def straddling_tie() -> Case:
    """A forget gate of 1 - exp(-1e6) takes c from a tie of float16 to so little below it that no precision tells."""
    return one_unit(Cell.LSTM, f=1e6, c=1 + 2.0**-11)


def test_the_examples_in_the_docstrings_are_right() -> None:
    """Every doctest of the module passes."""
    outcome = doctest.testmod(exact)
    assert outcome.failed == 0 and outcome.attempted > 0


def test_reference_imports_without_flint() -> None:
    """python-flint is needed by ``reference.exact`` alone."""
    code = "import sys; sys.modules['flint'] = None; import reference, reference.layer"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Balls


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])
@every_layer
def test_an_enclosure_contains_a_second_implementation_over_plain_balls(
    layer: Layer, lengths: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists and loops over single balls at 500 bits land inside the balls of 100 bits, all but as sharp as those."""
    case = some_case(layer, lengths=lengths)
    monkeypatch.setattr(scalar, "math", SimpleNamespace(exp=arb.exp, tanh=arb.tanh))
    with exact._working(500):
        expected = scalar.run(case.map(exact.balls))
        for name, array in exact.enclose(case, 100).items():
            assert isinstance(array, exact.Balls)
            for ball, number in zip(array.flat, np.array(getattr(expected, name), dtype=object).flat, strict=True):
                assert ball.contains(number), name
                assert ball.rad() < 2.0**-80, name


@every_kind
@given(seed=st.integers(0, 2**32 - 1), precision=st.integers(2, 200))
@settings(max_examples=10, deadline=None)
def test_an_enclosure_contains_one_of_higher_precision(kind: Layer, seed: int, precision: int) -> None:
    """Even at 2 bits the balls contain what 500 bits know."""
    case = some_case(kind, lengths=LENGTHS, seed=seed)
    sharp = exact.enclose(case, 500)
    with exact._working(500):
        for (name, wide), (_, narrow) in zip(exact.enclose(case, precision).items(), sharp.items(), strict=True):
            assert all(a.contains(b) for a, b in zip(wide.flat, narrow.flat, strict=True)), name


@pytest.mark.parametrize(("ufunc", "chosen"), [(np.maximum, max), (np.minimum, min)], ids=["maximum", "minimum"])
@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1))
@settings(deadline=None)
def test_the_larger_and_the_smaller_are_enclosed_where_a_ball_straddles(
    ufunc: np.ufunc, chosen: Callable[..., Any], middle: float, radius: float, other: float
) -> None:
    """For both ends and the middle of a ball, and a number on either side of it or within."""
    ball = arb(middle, radius)
    result = ufunc(exact.balls(np.array([ball])), other)[0]
    with exact._working(2500):  # so that the ends are exact
        for number in (ball.lower(), ball.mid(), ball.upper()):
            assert result.contains(chosen(number, arb(other)))


def test_relu_of_a_ball_around_zero_reaches_from_zero_to_its_upper_end() -> None:
    """Taking one side of it, as numpy's own maximum of objects does, would lose the other."""
    relu = np.maximum(exact.balls(np.array([arb(-0.25, 1)])), 0)[0]
    assert relu.contains(0) and relu.contains(0.75) and relu < 0.8 and relu > -0.1


def test_every_view_of_balls_is_balls_and_holds_balls() -> None:
    """Slices, copies, reshaped ones, zeros and whatever is assigned: no plain number is ever inside."""
    array = exact.balls(np.arange(6.0).reshape(2, 3))
    zeros = np.zeros_like(array, shape=(2, 2))
    array[0, 1:] = 0.5
    array[0, 0] = array[1, 2]
    array[np.array([False, True])] = 0
    total = array.copy()
    total += exact.balls(np.arange(1, 4, dtype=np.float32))
    views = (
        array,
        total,
        zeros,
        array.copy(),
        array[:1],
        array[..., 0],
        array.reshape(3, 2).T,
        np.moveaxis(array, 0, 1),
        1 + array,
    )
    for view in views:
        assert isinstance(view, exact.Balls)
        assert all(isinstance(ball, arb) for ball in view.flat)
    assert [float(ball) for ball in total.flat] == [6, 2.5, 3.5, 1, 2, 3]


@pytest.mark.parametrize("shapes", [((3, 4), (4, 2)), ((0, 4), (4, 2)), ((1, 1), (1, 1))], ids=str)
def test_a_product_of_balls_is_the_product(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Of integers it is exact; no rows give no rows."""
    a, b = (np.arange(math.prod(shape)).reshape(shape) for shape in shapes)
    product = exact.balls(a) @ b
    assert isinstance(product, exact.Balls)
    assert product.shape == (a @ b).shape
    assert all(ball == number for ball, number in zip(product.flat, (a @ b).flat, strict=True))


@pytest.mark.parametrize(
    "operation",
    [
        np.sin,
        np.add.reduce,
        lambda a: a @ a,
        lambda a: np.add(a, 1, where=[True, False, True]),
        lambda a: a + np.longdouble(1),
    ],
    ids=["unknown", "reduction", "shapes", "where", "longdouble"],
)
def test_what_is_not_known_to_be_rigorous_is_a_type_error(operation: Callable[[Array], Any]) -> None:
    """No operation falls back to numpy's own."""
    with pytest.raises(TypeError):
        operation(exact.balls(np.ones(3)))


# Rounding


@every_dtype
@given(mantissa=MANTISSAS, exponent=EXPONENTS)
@settings(max_examples=300, deadline=None)
def test_a_dyadic_number_rounds_to_the_nearest(dtype: Any, mantissa: int, exponent: int) -> None:
    """As the definition of rounding says, in fractions, over all of the range and beyond it."""
    form = form_of(dtype)
    assert exact.round_dyadic(mantissa, exponent, form) == nearest(mantissa * Fraction(2) ** exponent, form)


@every_dtype
@given(bits=st.integers(0, 2**64 - 1))
@settings(max_examples=300, deadline=None)
def test_half_way_between_two_neighbours_the_even_one_wins(dtype: Any, bits: int) -> None:
    """For neighbours anywhere in the format, subnormal ones too, and a hair to either side goes to that side."""
    form, kind = form_of(dtype), np.dtype(f"u{np.dtype(dtype).itemsize}")
    infinity = int(np.array(np.inf, dtype).view(kind))
    pattern = bits % (infinity - 1)
    low, high = (np.array(p, kind).view(dtype).astype(np.float64).item() for p in (pattern, pattern + 1))
    middle, hair = (Fraction(low) + Fraction(high)) / 2, Fraction(2) ** -1200
    expected = {-1: low, 0: low if pattern % 2 == 0 else high, 1: high}
    for sign in (1, -1):
        for side, value in expected.items():
            assert rounded(sign * (middle + side * hair), form) == sign * value
        assert rounded(Fraction(sign * low), form) == sign * low


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.floats(-70000, 70000),
    st.sampled_from([np.float32, np.float16]),
)
@settings(max_examples=300, deadline=None)
def test_rounding_agrees_with_numpy(number: float, dtype: Any) -> None:
    """Numpy's casts from float64 round once."""
    with np.errstate(over="ignore", under="ignore"):
        expected = float(np.float64(number).astype(dtype))
    assert rounded(Fraction(number), form_of(dtype)) == expected


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(max_examples=300, deadline=None)
def test_rounding_agrees_with_ml_dtypes(number: float) -> None:
    """From float32, which bfloat16 is the upper half of."""
    expected = float(np.float32(number).astype(ml_dtypes.bfloat16))
    assert rounded(Fraction(number), form_of(ml_dtypes.bfloat16)) == expected


@every_dtype
def test_the_ends_of_a_format_round_as_ieee_754_says(dtype: Any) -> None:
    """Half of the smallest goes to zero, a little more to the smallest; half a unit above the largest overflows."""
    form = form_of(dtype)
    kind = np.dtype(f"u{np.dtype(dtype).itemsize}")
    infinity = np.array(np.inf, dtype).view(kind).item()
    smallest, largest = (float(np.array(pattern, kind).view(dtype)) for pattern in (1, infinity - 1))
    top = (2 << form.precision) - 1  # one bit more than the format has, all ones: the tie above the largest
    assert exact.round_dyadic(1, form.lowest - 1, form) == 0
    assert exact.round_dyadic(2**99 + 1, form.lowest - 100, form) == smallest
    assert exact.round_dyadic(2 * top - 1, form.highest - form.precision - 2, form) == largest
    assert exact.round_dyadic(-top, form.highest - form.precision - 1, form) == -math.inf
    assert exact.round_dyadic(1, 10**30, form) == math.inf
    assert math.copysign(1, exact.round_dyadic(-1, -(10**30), form)) == 1


@every_dtype
def test_a_ball_is_decided_when_both_its_ends_round_alike(dtype: Any) -> None:
    """A tie is decided where it is exact, and open in a ball however small; around zero a ball is zero in the end."""
    form = form_of(dtype)
    with exact._working(2048):
        half = arb(2) ** -form.precision
        for tie, even in ((1 + half, 1), (1 + 3 * half, 1 + 4 * half)):
            below, above = float(tie - half), float(tie + half)
            assert exact.round_ball(tie, form) == even
            assert exact.round_ball(tie + arb(0, 2.0**-1000), form) is None
            assert exact.round_ball(tie + arb(-(2.0**-999), 2.0**-1000), form) == below
            assert exact.round_ball(tie + arb(2.0**-999, 2.0**-1000), form) == above
        assert exact.round_ball(arb(0, 1e-3), form) is None
        assert exact.round_ball(arb(0, 1) * arb(2) ** (form.lowest - 2), form) == 0
        assert exact.round_ball(arb("nan"), form) is None
        assert exact.round_ball(arb(0, math.inf), form) is None


# Results


@every_dtype
@every_layer
def test_a_rounded_result_is_the_nearest_to_the_exact_one(layer: Layer, dtype: Any) -> None:
    """As 500 bits know it, in fractions: far more than any of these elements is from a tie."""
    case = some_case(layer, lengths=LENGTHS)
    for (name, got), (_, balls) in zip(exact.run(case, dtype).items(), exact.enclose(case, 500).items(), strict=True):
        assert got.dtype == dtype
        expected = [nearest(number, form_of(dtype)) for number in fractions(balls)]
        assert got.astype(np.float64).ravel().tolist() == expected, name


DYADIC = st.integers(-(2**30), 2**30).map(lambda n: n / 2**20) | st.sampled_from([0.0, 1.0, 2.0**-60, 1 + 2.0**-52])


@given(st.lists(DYADIC, min_size=13, max_size=13), st.sampled_from(Direction))
@settings(deadline=None)
def test_a_relu_layer_is_what_fractions_say(numbers: list[float], direction: Direction) -> None:
    """With relu the exact result is rational, and ``float`` of a Fraction rounds correctly: they agree bit for bit."""
    layer = Layer(cell=Cell.RNN, input_size=2, hidden_size=2, activation="relu", direction=direction)
    w_ih, w_hh, b, last = np.split(np.array(numbers), [4, 8, 12])
    weights = Weights(w_ih.reshape(1, 2, 2), w_hh.reshape(1, 2, 2), b[:2].reshape(1, 2), b[2:].reshape(1, 2))
    x = np.resize(np.array([*numbers[::2], *last]), (2, 5, 2))
    case = Case(layer, (weights,) * layer.num_directions, x, lengths=(5, 3))
    in_fractions = reference.run(case.map(np.vectorize(Fraction, otypes=[object])))
    for (name, got), (_, expected) in zip(exact.run(case).items(), in_fractions.items(), strict=True):
        assert got.ravel().tolist() == [float(number) for number in expected.flat], name


@pytest.mark.parametrize("changes", [{}, {"bias": False}, {"input_size": 2, "input_mode": "skip"}], ids=str)
@pytest.mark.parametrize("states", [True, False], ids=["states", "no states"])
@every_layer
def test_the_float64_reference_is_within_a_few_roundings(layer: Layer, changes: dict[str, Any], states: bool) -> None:
    """On tame cases of every kind, direction, bias and input mode, with rows of several lengths."""
    case = some_case(replace(layer, **changes), lengths=LENGTHS, states=states)
    got, expected = reference.run(case), exact.run(case)
    for (name, a), (_, b) in zip(got.items(), expected.items(), strict=True):
        assert b.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-15, err_msg=name)
    certificate = exact.certificate(case)
    for name, array in got.items():
        largest = np.abs(array - getattr(expected, name)).max()
        assert getattr(certificate, name).absolute == pytest.approx(largest, abs=2.0**-53)  # what rounding it moves it
    assert (certificate.c_n is None) == (expected.c_n is None)


@every_dtype
@every_kind
def test_a_case_is_taken_as_the_numbers_it_holds(kind: Layer, dtype: Any) -> None:
    """A case in a narrow dtype and the same numbers in float64 have one exact result."""
    case = some_case(kind).astype(dtype)
    for (name, a), (_, b) in zip(exact.run(case).items(), exact.run(case.astype(np.float64)).items(), strict=True):
        assert a.tobytes() == b.tobytes(), name


@pytest.mark.parametrize("start", [2, 61, 300])
@every_kind
def test_the_starting_precision_changes_nothing(kind: Layer, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Correct rounding has one answer."""
    case = some_case(kind)
    expected = exact.run(case)
    monkeypatch.setattr(exact, "START_PRECISION", start)
    for (name, a), (_, b) in zip(exact.run(case).items(), expected.items(), strict=True):
        assert a.tobytes() == b.tobytes(), name


def test_relu_at_exactly_zero_is_decided_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that cancels exactly is a ball of radius 0, which is on neither side of 0."""
    monkeypatch.setattr(exact, "MAX_PRECISION", exact.START_PRECISION)
    bias = float(np.float32(0.1))
    for x, expected in ((-bias, 0.0), (np.nextafter(-bias, 0), np.spacing(bias)), (np.nextafter(-bias, -1), 0.0)):
        assert exact.run(one_unit(Cell.RNN, activation="relu", x=x, w_ih=1.0, b=bias)).y.item() == expected


def test_zero_is_positive() -> None:
    """Where the exact result is below half of the smallest number, of either sign, and where it is 0."""
    for x in (-1e-300, 1e-300, 0.0, -0.0):
        result = exact.run(one_unit(Cell.RNN, x=x, w_ih=1e-300)).y.item()
        assert (result, math.copysign(1, result)) == (0, 1)


def test_a_saturated_gru_from_a_zero_state_is_decided() -> None:
    """1 - z is exp(-1e6) and no ball of any precision tells it from 0, but it rounds to 0."""
    assert exact.run(one_unit(Cell.GRU, z=1e6, n=1.0)).y.item() == 0
    assert exact.truth(one_unit(Cell.GRU, z=1e6, n=1.0)).hi.y.item() == 0


@pytest.mark.parametrize(("gate", "expected"), [(-1e300, 0.0), (1e300, math.tanh(0.5)), (-1e5, 0.0), (-800.0, 0.0)])
def test_a_gate_at_any_distance_from_zero_is_decided(gate: float, expected: float) -> None:
    """The exponential of 1e300 has more digits than could be stored, and still a ball."""
    result = exact.run(one_unit(Cell.LSTM, o=gate, f=40.0, i=-800.0, c=0.5))
    assert result.y.item() == pytest.approx(expected, abs=1e-16)


def test_a_result_beyond_the_largest_number_overflows() -> None:
    """As IEEE 754 rounds it, and the right infinity is no error."""
    case = one_unit(Cell.RNN, activation="relu", x=1e308, w_ih=10.0)
    assert exact.run(case).y.item() == math.inf
    truth = exact.truth(case)
    assert (truth.hi.y.item(), truth.lo.y.item()) == (math.inf, 0)
    assert truth.error(exact.run(case)).y.item() == 0
    assert exact.certificate(case).y == exact.Error(0, 0)


# What cannot be decided


def test_a_tie_that_is_only_enclosed_is_undecidable(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence names the element, its enclosure and the precision; another dtype has no tie there."""
    monkeypatch.setattr(exact, "MAX_PRECISION", 1024)
    with pytest.raises(exact.Undecidable) as caught:
        exact.run(straddling_tie(), np.float16)
    sentence = str(caught.value)
    assert sentence.startswith("c_n[0, 0, 0] lies in 1.00048828125")
    assert sentence.endswith("which 1024 bits of working precision do not narrow down to one float16")
    assert exact.run(straddling_tie(), np.float32).c_n == np.float32(1 + 2.0**-11)


def test_a_hidden_zero_is_undecidable_until_it_can_only_round_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller the smallest number of the dtype, the more bits it takes."""
    case = cancelling()
    assert (exact.run(case).y == 0).all()
    assert (exact.truth(case).hi.y == 0).all()
    monkeypatch.setattr(exact, "MAX_PRECISION", 512)
    assert (exact.run(case, np.float32).y == 0).all()
    with pytest.raises(exact.Undecidable, match=r"^y\[0, 0, 0\] lies in 0 \+/- .*, which 512 .* to one float64$"):
        exact.run(case)
    with pytest.raises(exact.Undecidable, match="which 512 bits .* to 100 correct bits$"):
        exact.truth(case)


@every_layer
def test_nan_in_the_padding_changes_no_bit(layer: Layer) -> None:
    """Padding is never read, so it need not be a number."""
    case = some_case(layer, lengths=LENGTHS)
    for garbage in (math.nan, math.inf):
        other = replace(case, x=np.where(case.valid[..., None], case.x, garbage))
        for (name, a), (_, b) in zip(exact.run(other).items(), exact.run(case).items(), strict=True):
            assert a.tobytes() == b.tobytes(), name


@every_dtype
@pytest.mark.parametrize("field", ["x", "h_0", "c_0", "w_ih", "b_hh"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_where_they_are_read_are_undecidable(field: str, value: float, dtype: Any) -> None:
    """One sentence names the element and says what it is."""
    case = some_case(replace(KINDS[2], direction=Direction.BIDIRECTIONAL), lengths=LENGTHS).astype(dtype)
    array = getattr(case, field) if hasattr(case, field) else getattr(case.weights[1], field)
    index = (1,) * array.ndim
    array[index] = value
    name = field if hasattr(case, field) else f"weights[1].{field}"
    with pytest.raises(exact.Undecidable) as caught:
        exact.run(case)
    element = f"{name}[{', '.join(map(str, index))}]"
    assert str(caught.value) == f"{element} is {value}, but should be finite for an exact result to exist"


def test_a_dtype_that_cannot_be_served_is_refused() -> None:
    """Of the case, where float64 does not hold its values; of the result, where no format is known."""
    case = some_case(KINDS[0])
    for dtype in (object, np.longdouble):
        with pytest.raises(TypeError, match=r"^case\.dtype is (object|float128), but should be float64 or"):
            exact.run(case.astype(dtype))
    with pytest.raises(ValueError, match="^dtype is int64, but should be one of float64, float32, float16, bfloat16$"):
        exact.run(case, np.int64)


def test_the_precision_of_flint_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a result and after an exception."""
    before = flint.ctx.prec, flint.ctx.dps
    flint.ctx.prec = 77
    try:
        for function in (exact.run, exact.truth, exact.certificate, lambda case: exact.enclose(case, 99)):
            function(some_case(KINDS[0]))
            assert flint.ctx.prec == 77
        monkeypatch.setattr(exact, "MAX_PRECISION", 256)
        with pytest.raises(exact.Undecidable):
            exact.run(cancelling())
        assert flint.ctx.prec == 77
    finally:
        flint.ctx.prec = before[0]
    assert (flint.ctx.prec, flint.ctx.dps) == before


# Truth in two parts


@pytest.mark.parametrize("start", [2, exact.START_PRECISION])
@every_layer
def test_the_two_parts_of_a_truth_add_up_to_it(layer: Layer, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 2**-100 of itself, whatever the first attempt, and the larger part is one of the float64 next to it."""
    monkeypatch.setattr(exact, "START_PRECISION", start)
    case = some_case(layer, lengths=LENGTHS)
    truth, balls = exact.truth(case), exact.enclose(case, 500)
    for (name, hi), (_, lo), (_, enclosure) in zip(truth.hi.items(), truth.lo.items(), balls.items(), strict=True):
        for large, small, number in zip(hi.flat, lo.flat, fractions(enclosure), strict=True):
            off = abs(Fraction(large) + Fraction(small) - number)
            assert off <= abs(number) * Fraction(2) ** -exact.TRUTH_BITS, name
            assert abs(small) < np.spacing(abs(large)), name


@every_kind
@given(st.integers(-3, 3), st.sampled_from([np.float64, np.float32]))
@settings(max_examples=10, deadline=None)
def test_the_error_of_a_candidate_is_right_far_below_an_ulp(kind: Layer, ulps: int, dtype: Any) -> None:
    """For a correctly rounded candidate and its neighbours, to all but the last bits of float64."""
    case = some_case(kind)
    candidate = exact._map(exact.run(case, dtype), lambda array: array + np.asarray(ulps, dtype) * np.spacing(array))
    errors, balls = exact.truth(case).error(candidate), exact.enclose(case, 500)
    for (name, array), (_, error), (_, enclosure) in zip(candidate.items(), errors.items(), balls.items(), strict=True):
        assert error.dtype == np.float64
        for value, difference, number in zip(array.flat, error.flat, fractions(enclosure), strict=True):
            wanted = Fraction(float(value)) - number
            allowed = abs(wanted) * Fraction(2) ** -52 + abs(number) * Fraction(2) ** -exact.TRUTH_BITS
            assert abs(Fraction(float(difference)) - wanted) <= allowed, name


def test_a_candidate_that_is_nan_has_a_nan_error() -> None:
    """It is for the judge to say what that means."""
    case = some_case(KINDS[0])
    candidate = reference.run(case)
    candidate.y[0, 0, 0] = math.nan
    error = exact.truth(case).error(candidate)
    assert math.isnan(error.y[0, 0, 0]) and np.isfinite(error.y.ravel()[1:]).all()
