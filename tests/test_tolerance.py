"""The judge: what it accepts to the last bit, what it rejects, and what it says of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from backends import Capabilities
from conformance.tolerance import HONEST, K, Truth, Verdict, effective_bits, judge, judge_alike, truth_of
from reference import Case, Cell, Direction, Layer, Result, exact
from reference.noise import ARITHMETICS
from tests.some_case import KINDS, LAYERS, some_case

LENGTHS = (2, 5, 0, 1)
"""Of the 4 rows and 5 steps of ``some_case``."""

LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, num_layers=2, direction=Direction.BIDIRECTIONAL)
GRU = replace(LSTM, cell=Cell.GRU)

FLOAT32_IN_FLOAT64 = Capabilities(arithmetic={"float64": "float32"})
"""Numbers that are float64, so that they can be placed finely, and judged as if they were float32."""


def some_truth(layer: Layer = LSTM) -> Truth:
    return truth_of(some_case(layer, lengths=LENGTHS), FLOAT32_IN_FLOAT64)


def with_error(truth: Truth, name: str, index: tuple[int, ...], sigmas: float) -> Result:
    """The right answer with one element off by so many sigma."""
    return with_value(
        truth.value, name, index, getattr(truth.value, name)[index] + sigmas * getattr(truth.sigma, name)[index]
    )


def with_value(result: Result, name: str, index: tuple[int, ...], value: float) -> Result:
    array = getattr(result, name).copy()
    array[index] = value
    return replace(result, **{name: array})


def only(verdict: Verdict) -> tuple[str, str]:
    """The kind and the message of the one thing that is wrong."""
    (mismatch,) = verdict.mismatches
    return mismatch.kind, mismatch.message


# Values

ELEMENTS = [("y", (1, 3, 2)), ("h_n", (3, 1, 0)), ("c_n", (0, 3, 1))]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_the_right_answer_is_accepted(layer: Layer) -> None:
    """All elements are judged, none is off, and all bits are there."""
    truth = some_truth(layer)
    verdict = judge(truth, truth.value)
    assert verdict.accepted and verdict.informative
    assert verdict.elements == sum(array.size for _, array in truth.value.items())
    assert (verdict.worst, verdict.bits) == (0.0, 24.0)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_honest_arithmetic_is_accepted(layer: Layer, dtype: Any) -> None:
    """The reference in the dtype itself errs, and by less than K sigma."""
    case = some_case(layer, lengths=LENGTHS).astype(dtype)
    verdict = judge(truth_of(case, Capabilities()), reference.run(case))
    assert verdict.accepted
    assert 0 < verdict.worst < K


@pytest.mark.parametrize(("name", "index"), ELEMENTS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_border_lies_at_k_sigma(name: str, index: tuple[int, ...], sign: int) -> None:
    """One element just within it is accepted, and just beyond it rejected."""
    truth = some_truth()
    within = judge(truth, with_error(truth, name, index, sign * K * (1 - 1e-6)))
    beyond = judge(truth, with_error(truth, name, index, sign * K * (1 + 1e-6)))
    assert within.accepted and not beyond.accepted
    assert within.worst == pytest.approx(K, rel=1e-5) and beyond.worst == pytest.approx(K, rel=1e-5)
    kind, message = only(beyond)
    assert kind == "value"
    assert f"{name}{list(index)} = " in message
    assert f"1 of {getattr(truth.value, name).size} elements of {name} disagree" in message


@pytest.mark.parametrize("tiny", [5e-324, -1e-30, 1.0])
@pytest.mark.parametrize(("name", "index"), [("y", (0, 4, 3)), ("y", (2, 0, 0))])
def test_padding_is_exactly_zero(name: str, index: tuple[int, ...], tiny: float) -> None:
    """The smallest number there is, is too large; a negative zero is zero."""
    truth = some_truth()
    kind, message = only(judge(truth, with_value(truth.value, name, index, tiny)))
    assert kind == "value" and "but should be 0 exactly" in message
    assert judge(truth, with_value(truth.value, name, index, -0.0)).accepted


def test_the_state_of_an_empty_row_is_exactly_the_initial_one() -> None:
    """No rounding reaches it, so no error is accepted."""
    truth = some_truth()
    index = (1, 2, 0)
    off = np.nextafter(truth.value.h_n[index], 1)
    kind, message = only(judge(truth, with_value(truth.value, "h_n", index, off)))
    assert kind == "value" and " exactly (layer 0 reverse, row 2, unit 0)" in message


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "nan"), (np.inf, "value"), (-np.inf, "value")])
@pytest.mark.parametrize(("name", "index"), [*ELEMENTS, ("y", (0, 4, 3))])
def test_what_is_no_number_is_rejected(value: float, kind: str, name: str, index: tuple[int, ...]) -> None:
    """NaN is a kind of its own; both are shown as they are, in the padding too."""
    truth = some_truth()
    verdict = judge(truth, with_value(truth.value, name, index, value))
    found, message = only(verdict)
    assert found == kind
    assert message.startswith(f"{name}{list(index)} = {value}, but should be ")
    assert verdict.worst == math.inf


def test_the_worst_element_stands_for_the_others() -> None:
    """Worst in units of its own sigma, and the others are counted."""
    truth = some_truth()
    h_n = truth.value.h_n.copy()
    for index, sigmas in (((0, 0, 0), 40), ((3, 3, 1), 50), ((2, 1, 0), 30)):
        h_n[index] += sigmas * truth.sigma.h_n[index]
    _, message = only(judge(truth, replace(truth.value, h_n=h_n)))
    assert message.startswith("h_n[3, 3, 1] = ")
    assert "|error|/sigma = 50, accepted up to 6; 3 of 32 elements of h_n disagree" in message


def test_each_output_has_a_message_of_its_own() -> None:
    """y, h_n and c_n, in this order."""
    truth = some_truth()
    off = Result(*(array + 1 for _, array in truth.value.items()))
    assert [mismatch.message.partition("[")[0] for mismatch in judge(truth, off).mismatches] == ["y", "h_n", "c_n"]


# Structure


@pytest.mark.parametrize(
    ("layer", "change", "kind", "message"),
    [
        (LSTM, lambda r: None, "type", "the result is a NoneType, but should be a reference.Result"),
        (LSTM, lambda r: (r.y, r.h_n), "type", "the result is a tuple, but should be a reference.Result"),
        (LSTM, lambda r: replace(r, c_n=None), "missing", "c_n is None, but should be an array of shape (4, 4, 2)"),
        (LSTM, lambda r: replace(r, y=1.5), "missing", "y is 1.5, but should be an array of shape (4, 5, 4)"),
        (GRU, lambda r: replace(r, c_n=r.h_n), "missing", "c_n is given, but should be None for the cell gru"),
        (
            LSTM,
            lambda r: replace(r, y=r.y.transpose(1, 0, 2)),
            "shape",
            "y has shape (5, 4, 4), but should have shape (4, 5, 4)",
        ),
        (LSTM, lambda r: replace(r, h_n=r.h_n[0]), "shape", "h_n has shape (4, 2), but should have shape (4, 4, 2)"),
        (
            LSTM,
            lambda r: replace(r, c_n=r.c_n.astype(np.float32)),
            "dtype",
            "c_n has dtype float32, but should have dtype float64, as the case",
        ),
        (
            GRU,
            lambda r: replace(r, y=r.y.astype(np.int64)),
            "dtype",
            "y has dtype int64, but should have dtype float64, as the case",
        ),
    ],
)
def test_a_result_of_the_wrong_make_is_told_by_its_kind(
    layer: Layer, change: Callable[[Result], Any], kind: str, message: str
) -> None:
    """Before any value is looked at, with both judges."""
    truth = some_truth(layer)
    wrong = change(truth.value)
    for verdict in (
        judge(truth, wrong),
        judge_alike(truth, wrong, truth.value),
        judge_alike(truth, truth.value, wrong),
    ):
        assert only(verdict) == (kind, message)
        assert verdict.elements == 0


def test_all_that_is_wrong_in_make_is_told_at_once() -> None:
    """One line for each output."""
    truth = some_truth()
    wrong = Result(truth.value.y[0], truth.value.h_n.astype(np.float32), None)
    assert [mismatch.kind for mismatch in judge(truth, wrong).mismatches] == ["shape", "dtype", "missing"]


# What the axes mean


@pytest.mark.parametrize(
    ("name", "index", "meaning"),
    [
        ("y", (3, 0, 0), "row 3, step 0, forward unit 0"),
        ("y", (1, 4, 1), "row 1, step 4, forward unit 1"),
        ("y", (1, 2, 2), "row 1, step 2, reverse unit 0"),
        ("y", (0, 1, 3), "row 0, step 1, reverse unit 1"),
        ("h_n", (0, 3, 1), "layer 0 forward, row 3, unit 1"),
        ("h_n", (1, 0, 0), "layer 0 reverse, row 0, unit 0"),
        ("c_n", (2, 1, 1), "layer 1 forward, row 1, unit 1"),
        ("c_n", (3, 1, 0), "layer 1 reverse, row 1, unit 0"),
    ],
)
def test_an_element_is_named_by_what_its_axes_mean(name: str, index: tuple[int, ...], meaning: str) -> None:
    """Two layers in both directions."""
    truth = some_truth()
    _, message = only(judge(truth, with_error(truth, name, index, 100)))
    assert message.splitlines()[0].endswith(f" ({meaning})")


def test_a_reverse_layer_has_reverse_units() -> None:
    """Though it has one direction only."""
    truth = some_truth(replace(LSTM, direction=Direction.REVERSE))
    _, message = only(judge(truth, with_error(truth, "y", (1, 2, 1), 100)))
    assert "(row 1, step 2, reverse unit 1)" in message and "reverse t = 2" in message
    _, message = only(judge(truth, with_error(truth, "h_n", (1, 3, 0), 100)))
    assert "(layer 1 reverse, row 3, unit 0)" in message


@pytest.mark.parametrize(
    ("wrong", "steps"),
    [
        ([(1, 3, 0), (1, 1, 1), (0, 1, 0)], "forward t = 1"),
        ([(1, 3, 2), (1, 1, 3), (0, 1, 2)], "reverse t = 3"),
        ([(1, 2, 0), (1, 4, 1), (1, 2, 2), (1, 0, 3)], "forward t = 2, reverse t = 2"),
        ([(0, 4, 0)], "forward t = 4"),
    ],
)
def test_the_first_step_to_disagree_is_the_first_computed(wrong: list[tuple[int, ...]], steps: str) -> None:
    """The smallest t forwards, the largest in reverse."""
    truth = some_truth()
    candidate = truth.value
    for index in wrong:
        candidate = with_value(candidate, "y", index, 9.0)
    _, message = only(judge(truth, candidate))
    assert message.splitlines()[-1] == f"    the first step to disagree, in the order of computation: {steps}"


# Bits


@pytest.mark.parametrize(
    ("arithmetic", "worst", "bits"),
    [
        ("float32", 0.0, 24.0),
        ("float32", K, 24.0),
        ("float32", 8 * HONEST, 21.0),
        ("float32", 8192 * HONEST, 11.0),
        ("float32", 1e30, 0.0),
        ("float64", 8 * HONEST, 50.0),
        ("float16", 1.0, 11.0),
        ("bfloat16", 16 * HONEST, 4.0),
    ],
)
def test_effective_bits_are_those_of_the_arithmetic_up_to_k_sigma(arithmetic: str, worst: float, bits: float) -> None:
    """Beyond it one less than them for each doubling of what is honest, down to none."""
    assert effective_bits(worst, ARITHMETICS[arithmetic]) == bits


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_coarser_arithmetic_is_rejected_and_its_bits_are_told(kind: Layer) -> None:
    """A result that went through float16 on its way has about the 11 bits of it."""
    case = some_case(kind).astype(np.float32)
    through_float16 = reference.run(case.astype(np.float16))
    verdict = judge(
        truth_of(case, Capabilities()), Result(**{n: a.astype(np.float32) for n, a in through_float16.items()})
    )
    assert not verdict.accepted
    assert verdict.bits == pytest.approx(12.5, abs=2.5)


# Two results of one backend


def test_two_results_may_differ_by_the_error_of_two() -> None:
    """By K sqrt(2) sigma, whatever the right answer is."""
    truth = some_truth()
    far_off = Result(*(array + 7 for _, array in truth.value.items()))
    for sigmas, alike in ((K * 1.414, True), (K * 1.415, False)):
        other = with_value(far_off, "h_n", (0, 0, 0), far_off.h_n[0, 0, 0] + sigmas * truth.sigma.h_n[0, 0, 0])
        assert judge_alike(truth, other, far_off).accepted is alike
        assert judge_alike(truth, far_off, other).accepted is alike


def test_two_results_may_be_asked_to_be_equal() -> None:
    """Then the last bit counts, and equal infinities and NaN are equal."""
    truth = some_truth()
    odd = with_value(with_value(truth.value, "y", (0, 0, 0), np.nan), "h_n", (0, 0, 0), np.inf)
    assert judge_alike(truth, odd, odd, exactly=True).accepted
    other = with_value(odd, "y", (1, 1, 1), np.nextafter(odd.y[1, 1, 1], 9))
    assert judge_alike(truth, other, odd).mismatches == ()
    kind, message = only(judge_alike(truth, other, odd, exactly=True))
    assert kind == "value" and message.startswith("y[1, 1, 1] = ") and " exactly (" in message
    for one, two in ((odd, truth.value), (truth.value, odd)):
        assert len(judge_alike(truth, one, two, exactly=True).mismatches) == 2


def test_bits_are_only_of_what_was_judged_against_the_right_answer() -> None:
    """Two results that are alike may both be wrong."""
    truth = some_truth()
    assert math.isnan(judge_alike(truth, truth.value, truth.value).bits)


# What says nothing


def chaotic_case() -> Case:
    """A recurrence in which any difference grows until it is as large as the state, which takes less than 100 steps."""
    case = some_case(Layer(cell=Cell.RNN, input_size=2, hidden_size=16), batch=2, steps=100)
    (weights,) = case.weights
    return replace(case, weights=(replace(weights, w_hh=3 * weights.w_hh),)).astype(np.float32)


def test_a_chaotic_case_is_not_judged() -> None:
    """Where honest float32 is off as far as a wrong result is, nothing is said but that."""
    truth = truth_of(chaotic_case(), Capabilities())
    zeros = Result(*(np.zeros_like(array, dtype=np.float32) for _, array in truth.value.items()))
    for verdict in (judge(truth, zeros), judge_alike(truth, zeros, zeros)):
        assert verdict.accepted and not verdict.informative
        assert (verdict.elements, verdict.worst) == (0, 0.0) and math.isnan(verdict.bits)


def test_a_chaotic_case_still_has_a_shape_and_equal_bits() -> None:
    """What needs no right answer is judged all the same."""
    truth = truth_of(chaotic_case(), Capabilities())
    zeros = Result(*(np.zeros_like(array, dtype=np.float32) for _, array in truth.value.items()))
    assert only(judge(truth, replace(zeros, y=zeros.y[0])))[0] == "shape"
    assert only(judge_alike(truth, replace(zeros, y=zeros.y + 1), zeros, exactly=True))[0] == "value"


def test_an_overflowing_case_is_not_judged() -> None:
    """Where the right answer is infinite, or not a number."""
    layer = Layer(cell=Cell.RNN, input_size=3, hidden_size=2, activation="relu")
    case = some_case(layer, steps=40).map(lambda array: np.abs(array) * 1e18).astype(np.float32)
    with np.errstate(all="ignore"):
        result = reference.run(case)
    assert not judge(truth_of(case, Capabilities()), result).informative


# The dialect of empty rows


def with_nan(case: Case, row: int, step: int) -> Case:
    x = case.x.copy()
    x[row, step, 0] = np.nan
    return replace(case, x=x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_asked_for_in_all_that_depends_on_it(dtype: Any) -> None:
    """From its step on in the direction of the layer, and in no other row; the rest is judged as without it."""
    case = some_case(Layer(cell=Cell.GRU, input_size=3, hidden_size=2), lengths=LENGTHS).astype(dtype)
    case.x[1, 3, 0] = 0
    truth = truth_of(with_nan(case, row=1, step=3), Capabilities())
    reached = np.zeros((4, 5, 2), bool)
    reached[1, 3:] = True
    assert np.array_equal(np.isnan(truth.value.y), reached)
    assert np.array_equal(np.isnan(truth.value.h_n[0]), reached[:, 4])
    right = Result(**{name: array.astype(dtype) for name, array in truth.value.items()})
    assert judge(truth, right).accepted
    assert truth.informative
    unaffected = truth_of(case, Capabilities())
    assert np.array_equal(truth.sigma.y[~reached], unaffected.sigma.y[~reached])
    lost, spread = right.y.copy(), right.y.copy()
    lost[1, 3, 0], spread[1, 2, 0] = 0, np.nan
    kind, message = only(judge(truth, replace(right, y=lost)))
    assert kind == "value" and "y[1, 3, 0] = 0, but should be nan (row 1" in message
    assert only(judge(truth, replace(right, y=spread)))[0] == "nan"


@pytest.mark.parametrize("zero_length", ["hold", "zero"])
@pytest.mark.parametrize("name", ["h_0", "c_0"])
def test_nan_in_a_state_is_asked_for_in_its_row_alone(name: str, zero_length: Any) -> None:
    """Of a row without steps it is the state in the end, or zero, as the dialect says; y has nothing of it."""
    case = some_case(replace(LSTM, num_layers=1, direction=Direction.FORWARD), lengths=LENGTHS)
    state = getattr(case, name).copy()
    state[0, [1, 2], 0] = np.nan  # the third row is empty
    truth = truth_of(replace(case, **{name: state}), Capabilities(zero_length=zero_length))
    first_unit = np.arange(2) == 0
    reached = np.zeros((4, 5, 2), bool)
    reached[1, : case.row_lengths[1]] = True
    assert truth.value.c_n is not None
    # In the first step NaN of c reaches its own unit alone.
    reached[1, 0] = first_unit | (name == "h_0")
    assert np.array_equal(np.isnan(truth.value.y), reached)
    for ending, array in (("h_0", truth.value.h_n), ("c_0", truth.value.c_n)):
        assert np.isnan(array[0, 1]).all() and not np.isnan(array[0, [0, 3]]).any()
        assert np.array_equal(np.isnan(array[0, 2]), first_unit & (zero_length == "hold") & (ending == name))
    assert judge(truth, truth.value).accepted and truth.informative


def test_nan_in_the_padding_reaches_nothing() -> None:
    """What stands there is not looked at."""
    case = some_case(GRU, lengths=LENGTHS)
    truth = truth_of(with_nan(case, row=0, step=2), FLOAT32_IN_FLOAT64)
    assert all(np.all(np.isfinite(array)) for _, array in truth.value.items())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_empty_row_ends_as_its_dialect_says(dtype: Any) -> None:
    """Held, or zero: each is right in its own dialect and wrong in the other."""
    case = some_case(LSTM, lengths=LENGTHS).astype(dtype)
    held = reference.run(case)
    zero = Result(held.y, held.h_n.copy(), None if held.c_n is None else held.c_n.copy())
    for state in (zero.h_n, zero.c_n):
        assert state is not None
        state[:, 2] = 0
    for dialect, right, wrong in (("hold", held, zero), ("zero", zero, held)):
        truth = truth_of(case, Capabilities(zero_length=dialect))  # type: ignore[arg-type]
        assert judge(truth, right).accepted
        assert [mismatch.message[:3] for mismatch in judge(truth, wrong).mismatches] == ["h_n", "c_n"]


# Truth beyond float64


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_float64_is_judged_against_the_exact_result(kind: Layer) -> None:
    """The correctly rounded result is off by less than half a unit in the last place, and by more than nothing."""
    case = some_case(kind, lengths=LENGTHS)
    truth = truth_of(case, Capabilities())
    rounded = exact.run(case)
    verdict = judge(truth, rounded)
    assert verdict.accepted and verdict.bits == 53
    assert verdict.worst < K / 3
    for name, error in truth.error_of(rounded).items():
        assert np.all(np.abs(error) <= np.spacing(np.abs(getattr(rounded, name))) / 2)
        assert np.any(error != 0)


def test_an_error_far_below_the_last_place_is_seen() -> None:
    """Two neighbours in float64 are off by amounts that differ by their distance."""
    case = some_case(KINDS[2])
    truth = truth_of(case, Capabilities())
    rounded = exact.run(case)
    up = replace(rounded, y=np.nextafter(rounded.y, np.inf))
    low, high = truth.error_of(rounded).y, truth.error_of(up).y
    assert np.all(np.abs(low) < 1e-16) and np.all(low != 0)
    np.testing.assert_allclose(high - low, up.y - rounded.y, rtol=1e-14)


def test_a_better_truth_leaves_room_for_float32() -> None:
    """In every other arithmetic float64 is near enough, and an error of its own does not count."""
    case = some_case(KINDS[2]).astype(np.float32)
    truth = truth_of(case, Capabilities())
    exactly = truth_of(case.astype(np.float64), Capabilities()).value
    for name, value in truth.value.items():
        assert np.all(np.abs(value - getattr(exactly, name)) <= 1e-6 * getattr(truth.sigma, name))
