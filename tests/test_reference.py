"""The reference against a second implementation, and every sentence of the semantics by itself."""

from __future__ import annotations

import doctest
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any, Literal

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
import reference.case
import reference.case_file
import reference.cells
import reference.layer
from reference import Array, Case, Cell, Direction, Layer, Result, Weights, run
from tests import scalar
from tests.some_case import KINDS, LAYERS, arrays_in, some_case

LENGTHS = (2, 5, 0, 1)
"""Of the 4 rows and 5 steps of ``some_case``: unsorted, with T, 1 and 0 among them."""

every_layer = pytest.mark.parametrize("layer", LAYERS, ids=str)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
every_direction = pytest.mark.parametrize("direction", Direction, ids=str)


def assert_close(got: Array, expected: Any) -> None:
    """Within 1e-12 of the largest expected number: thousands of roundings of float64, and far below any mistake."""
    wanted = np.asarray(expected, dtype=np.float64)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * max(1.0, float(np.abs(wanted).max(initial=0.0))))


def assert_results_close(got: Result, expected: Result) -> None:
    for (name, a), (other, b) in zip(got.items(), expected.items(), strict=True):
        assert name == other
        assert_close(a, b)


def assert_same_bits(got: Result, expected: Result) -> None:
    for (name, a), (_, b) in zip(got.items(), expected.items(), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        assert a.tobytes() == b.tobytes(), name


def row_of(case: Case, b: int) -> Case:
    """Row ``b`` alone, cut to its length."""
    n = case.num_steps if case.lengths is None else int(case.lengths[b])
    h_0 = None if case.h_0 is None else case.h_0[:, b : b + 1]
    c_0 = None if case.c_0 is None else case.c_0[:, b : b + 1]
    return replace(case, x=case.x[b : b + 1, :n], h_0=h_0, c_0=c_0, lengths=None)


def one_direction(case: Case, k: int, direction: Direction, x: Array) -> Case:
    """Entry ``k`` of the weights and states of ``case`` as a layer by itself, reading ``x``."""
    return replace(
        case,
        layer=replace(case.layer, num_layers=1, direction=direction, input_size=x.shape[2]),
        weights=(case.weights[k],),
        x=x,
        h_0=None if case.h_0 is None else case.h_0[k : k + 1],
        c_0=None if case.c_0 is None else case.c_0[k : k + 1],
    )


@contextmanager
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# Two implementations


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any case of 1 to 5 in every size."""
    cell = draw(st.sampled_from(Cell))
    input_mode: Literal["linear", "skip"] = draw(st.sampled_from(["linear", "skip"]))
    hidden, batch, steps = (draw(st.integers(1, 5)) for _ in range(3))
    layer = Layer(
        cell=cell,
        input_size=hidden if input_mode == "skip" else draw(st.integers(1, 5)),
        hidden_size=hidden,
        num_layers=draw(st.integers(1, 3)),
        direction=draw(st.sampled_from(Direction)),
        activation=draw(st.sampled_from(["tanh", "relu"])) if cell is Cell.RNN else "tanh",
        reset_after=draw(st.booleans()) if cell is Cell.GRU else True,
        bias=draw(st.booleans()),
        input_mode=input_mode,
    )
    length = st.sampled_from([0, 1, steps]) | st.integers(0, steps)
    lengths = draw(st.none() | st.lists(length, min_size=batch, max_size=batch))
    return some_case(
        layer,
        batch=batch,
        steps=steps,
        lengths=lengths,
        states=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@settings(max_examples=200, deadline=None)
@given(cases())
def test_the_reference_agrees_with_plain_python(case: Case) -> None:
    """Whatever the configuration, the sizes, the lengths and the states."""
    got, expected = run(case), scalar.run(case)
    assert_close(got.y, expected.y)
    assert_close(got.h_n, expected.h_n)
    if case.layer.cell is Cell.LSTM:
        assert got.c_n is not None
        assert_close(got.c_n, expected.c_n)
    else:
        assert got.c_n is None


# The equations


def one_step(layer: Layer, w_ih: list[float], w_hh: list[float], b_ih: list[float], b_hh: list[float]) -> Result:
    """One step of one unit from x = 0.7, h = -0.3 and c = 0.4, with one number a gate."""
    gates = len(w_ih)
    weights = Weights(
        np.array(w_ih).reshape(gates, 1, 1),
        np.array(w_hh).reshape(gates, 1, 1),
        np.array(b_ih).reshape(gates, 1),
        np.array(b_hh).reshape(gates, 1),
    )
    h_0, c_0 = np.full((1, 1, 1), -0.3), np.full((1, 1, 1), 0.4)
    return run(Case(layer, (weights,), np.full((1, 1, 1), 0.7), h_0, c_0 if layer.cell is Cell.LSTM else None))


W_IH, W_HH, B_IH, B_HH = [0.5, -1.1, 0.9, 1.7], [0.3, 0.8, -0.6, 1.2], [0.1, -0.2, 0.4, -0.7], [0.05, 0.15, -0.35, 0.6]


def of_input(gate: int) -> float:
    return 0.7 * W_IH[gate] + B_IH[gate]


def of_state(gate: int, h: float = -0.3) -> float:
    return h * W_HH[gate] + B_HH[gate]


def logistic(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def test_an_rnn_step_is_the_activation_of_the_sum() -> None:
    """h' = act(x w_ih + b_ih + h w_hh + b_hh), for tanh and for relu on either side of zero."""
    layer = Layer(cell=Cell.RNN, input_size=1, hidden_size=1)
    total = of_input(0) + of_state(0)
    assert_close(one_step(layer, W_IH[:1], W_HH[:1], B_IH[:1], B_HH[:1]).h_n, [[[math.tanh(total)]]])
    rectified = replace(layer, activation="relu")
    assert_close(one_step(rectified, W_IH[:1], W_HH[:1], B_IH[:1], B_HH[:1]).h_n, [[[total]]])
    assert one_step(rectified, W_IH[:1], W_HH[:1], B_IH[:1], [-2.0]).h_n.item() == 0


def test_an_lstm_step_has_its_gates_in_the_order_i_f_g_o() -> None:
    """C' = f*c + i*g, h' = o*tanh(c')."""
    i, f, o = (logistic(of_input(gate) + of_state(gate)) for gate in (0, 1, 3))
    c = f * 0.4 + i * math.tanh(of_input(2) + of_state(2))
    result = one_step(Layer(cell=Cell.LSTM, input_size=1, hidden_size=1), W_IH, W_HH, B_IH, B_HH)
    assert result.c_n is not None
    assert_close(result.c_n, [[[c]]])
    assert_close(result.h_n, [[[o * math.tanh(c)]]])


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_gru_step_has_its_gates_in_the_order_r_z_n(reset_after: bool) -> None:
    """h' = (1-z)*n + z*h, where r scales the recurrent product and its bias, or the state before the product."""
    r, z = (logistic(of_input(gate) + of_state(gate)) for gate in (0, 1))
    n = math.tanh(of_input(2) + (r * of_state(2) if reset_after else of_state(2, r * -0.3)))
    layer = Layer(cell=Cell.GRU, input_size=1, hidden_size=1, reset_after=reset_after)
    assert_close(one_step(layer, W_IH[:3], W_HH[:3], B_IH[:3], B_HH[:3]).h_n, [[[(1 - z) * n + z * -0.3]]])


def ones(direction: Direction) -> Case:
    """A relu RNN in which everything is one, but the biases, which are zero: I = 7, H = 5."""
    layer = Layer(cell=Cell.RNN, input_size=7, hidden_size=5, activation="relu", direction=direction)
    weights = Weights(np.ones((1, 5, 7)), np.ones((1, 5, 5)), np.zeros((1, 5)), np.zeros((1, 5)))
    entries = layer.num_directions
    return Case(layer, (weights,) * entries, np.ones((3, 4, 7)), h_0=np.ones((entries, 3, 5)))


def test_ones_count_to_1717() -> None:
    """7 + 5*1 = 12, then 7 + 5*12 = 67, 342, 1717, in every row and unit."""
    result = run(ones(Direction.FORWARD))
    np.testing.assert_array_equal(result.y, np.broadcast_to(np.array([12, 67, 342, 1717])[:, None], (3, 4, 5)))
    np.testing.assert_array_equal(result.h_n, np.full((1, 3, 5), 1717))


def test_ones_count_backwards_from_the_last_valid_step() -> None:
    """Bidirectional, with lengths 2, 4 and 0: forward and reverse mirror each other within the length."""
    y = run(replace(ones(Direction.BIDIRECTIONAL), lengths=[2, 4, 0])).y
    assert y[:, :, 0].tolist() == [[12, 67, 0, 0], [12, 67, 342, 1717], [0, 0, 0, 0]]
    assert y[:, :, 5].tolist() == [[67, 12, 0, 0], [1717, 342, 67, 12], [0, 0, 0, 0]]


@every_direction
@every_kind
def test_skip_mode_adds_the_input_to_every_gate(kind: Layer, direction: Direction) -> None:
    """As a ``w_ih`` of identity matrices in layer 0 would."""
    linear = some_case(replace(kind, input_size=2, num_layers=2, direction=direction), lengths=LENGTHS)
    first = linear.layer.num_directions
    eye = np.broadcast_to(np.eye(2), (kind.num_gates, 2, 2))

    def with_w_ih(layer: Layer, w_ih: Array | None) -> Case:
        changed = tuple(replace(w, w_ih=w_ih) if k < first else w for k, w in enumerate(linear.weights))
        return replace(linear, layer=layer, weights=changed)

    skip = with_w_ih(replace(linear.layer, input_mode="skip"), None)
    assert_results_close(run(skip), run(with_w_ih(linear.layer, eye)))


def test_another_step_runs_inside_the_same_layer() -> None:
    """``run`` takes the step from ``step_of``, and gives it the lengths, directions and layers."""

    def count(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
        return (h + 1,)

    case = some_case(replace(KINDS[0], direction=Direction.REVERSE), lengths=LENGTHS, states=False)
    result = run(case, lambda layer: count)
    assert result.h_n[0, :, 0].tolist() == [2, 5, 0, 1]
    assert result.y[:, :, 0].tolist() == [[2, 1, 0, 0, 0], [5, 4, 3, 2, 1], [0] * 5, [1, 0, 0, 0, 0]]


# Lengths


@every_layer
def test_outputs_past_the_length_are_exactly_zero(layer: Layer) -> None:
    """And positive zero, in every column."""
    case = some_case(layer, lengths=LENGTHS)
    padding = run(case).y[~case.valid]
    assert padding.size > 0
    assert not padding.any() and not np.signbit(padding).any()


@every_layer
def test_a_padded_row_gives_what_it_gives_alone(layer: Layer) -> None:
    """So ``h_n`` and ``c_n`` are the states after the last valid step, and no row sees another."""
    case = some_case(layer, lengths=LENGTHS)
    result = run(case)
    for b, n in enumerate(LENGTHS):
        if n == 0:
            continue
        alone = run(row_of(case, b))
        assert_close(result.y[b : b + 1, :n], alone.y)
        assert_close(result.h_n[:, b : b + 1], alone.h_n)
        if result.c_n is not None and alone.c_n is not None:
            assert_close(result.c_n[:, b : b + 1], alone.c_n)


@every_layer
def test_the_last_hidden_state_is_the_last_output_visited(layer: Layer) -> None:
    """``h_n`` of the last layer stands in ``y`` at step n-1 for forward and at step 0 for reverse."""
    result = run(some_case(layer, lengths=LENGTHS))
    for d in range(layer.num_directions):
        backwards = layer.direction is Direction.REVERSE or d == 1
        columns = slice(d * layer.hidden_size, (d + 1) * layer.hidden_size)
        for b, n in enumerate(LENGTHS):
            if n > 0:
                last = result.y[b, 0 if backwards else n - 1, columns]
                assert last.tolist() == result.h_n[layer.num_directions + d, b].tolist()


@every_kind
def test_reverse_is_forward_over_the_flipped_valid_steps(kind: Layer) -> None:
    """It starts at step n-1 and ends at step 0, and its output stands at the step it was computed for."""
    backward = some_case(replace(kind, direction=Direction.REVERSE), lengths=LENGTHS)
    flipped = backward.x.copy()
    for b, n in enumerate(LENGTHS):
        flipped[b, :n] = flipped[b, :n][::-1]
    got, expected = run(backward), run(replace(backward, layer=kind, x=flipped))
    for b, n in enumerate(LENGTHS):
        assert_close(got.y[b, :n], expected.y[b, :n][::-1])
    assert_close(got.h_n, expected.h_n)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.activation == "tanh"], ids=str)
@pytest.mark.parametrize(
    ("direction", "step", "reached"),
    [
        (Direction.FORWARD, 0, [0, 1, 2]),
        (Direction.FORWARD, 2, [2]),
        (Direction.REVERSE, 0, [0]),
        (Direction.REVERSE, 2, [0, 1, 2]),
        (Direction.BIDIRECTIONAL, 1, [0, 1, 2]),
    ],
    ids=str,
)
def test_an_input_reaches_the_outputs_after_it_in_the_order_of_time(
    kind: Layer, direction: Direction, step: int, reached: list[int]
) -> None:
    """Within a length of 3 of 5: reverse carries step 2 to step 0, and step 0 nowhere."""
    case = some_case(replace(kind, direction=direction), lengths=[3] * 4)
    x = case.x.copy()
    x[:, step] += 0.25
    changed = (run(case).y != run(replace(case, x=x)).y).any(axis=(0, 2))
    assert np.flatnonzero(changed).tolist() == reached


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30, -1e300])
@every_layer
def test_garbage_in_the_padding_changes_no_bit_and_warns_of_nothing(layer: Layer, garbage: float) -> None:
    """Padding is never read."""
    case = some_case(layer, lengths=LENGTHS)
    x = case.x.copy()
    x[~case.valid] = garbage
    expected = run(case)
    with no_warnings():
        assert_same_bits(run(replace(case, x=x)), expected)


@every_layer
def test_a_row_of_length_zero_holds_its_initial_state(layer: Layer) -> None:
    """To the bit, in every layer and direction, and its outputs are zero."""
    case = some_case(layer, lengths=LENGTHS)
    result, b = run(case), LENGTHS.index(0)
    for got, start in ((result.h_n, case.h_0), (result.c_n, case.c_0)):
        if got is not None and start is not None:
            assert got[:, b].tobytes() == start[:, b].tobytes()
    assert not result.y[b].any()


@every_layer
def test_without_states_a_row_of_length_zero_ends_in_zeros(layer: Layer) -> None:
    """Also where every row has length 0, and no step runs at all."""
    for lengths in (LENGTHS, (0, 0, 0, 0)):
        for name, output in run(some_case(layer, lengths=lengths, states=False)).items():
            row = lengths.index(0)
            assert not (output[row] if name == "y" else output[:, row]).any()


@every_layer
def test_lengths_of_all_the_steps_are_no_lengths(layer: Layer) -> None:
    """T for every row gives the bits that None gives."""
    assert_same_bits(run(some_case(layer, lengths=[5] * 4)), run(some_case(layer)))


@every_layer
def test_a_nan_in_a_valid_step_stays_in_its_row(layer: Layer) -> None:
    """It reaches its own row, through every activation, and no other."""
    case = some_case(layer, lengths=LENGTHS)
    x = case.x.copy()
    x[0, 1] = np.nan
    result, expected = run(replace(case, x=x)), run(case)
    assert np.isnan(result.y[0, 1]).all()
    assert result.y[1:].tobytes() == expected.y[1:].tobytes()
    assert result.h_n[:, 1:].tobytes() == expected.h_n[:, 1:].tobytes()


# Directions and layers


@every_kind
def test_bidirectional_is_forward_in_the_first_columns_and_reverse_in_the_last(kind: Layer) -> None:
    """Each with its own entry of the weights and states."""
    case = some_case(replace(kind, direction=Direction.BIDIRECTIONAL), lengths=LENGTHS)
    both = run(case)
    for k, direction in enumerate((Direction.FORWARD, Direction.REVERSE)):
        alone = run(one_direction(case, k, direction, case.x))
        assert_close(both.y[:, :, 2 * k : 2 * k + 2], alone.y)
        assert_close(both.h_n[k : k + 1], alone.h_n)


@every_direction
@every_kind
def test_the_next_layer_reads_the_outputs_of_the_one_below(kind: Layer, direction: Direction) -> None:
    """Both halves of them: layer 1 by itself, over the concatenated outputs of layer 0, gives the stack."""
    case = some_case(replace(kind, num_layers=2, direction=direction), lengths=LENGTHS)
    orders = [Direction.FORWARD, Direction.REVERSE] if direction is Direction.BIDIRECTIONAL else [direction]
    x = case.x
    for number in range(2):
        alone = [run(one_direction(case, number * len(orders) + d, order, x)) for d, order in enumerate(orders)]
        x = np.concatenate([result.y for result in alone], axis=2)
        first = number * len(orders)
        assert_close(run(case).h_n[first : first + len(orders)], np.concatenate([result.h_n for result in alone]))
    assert_close(run(case).y, x)


@every_kind
def test_a_sequence_may_be_cut_and_the_state_carried(kind: Layer) -> None:
    """The first 2 steps, then the other 3 from where they ended, give all 5."""
    case = some_case(replace(kind, num_layers=2))
    whole, head = run(case), run(replace(case, x=case.x[:, :2]))
    tail = run(replace(case, x=case.x[:, 2:], h_0=head.h_n, c_0=head.c_n))
    assert_close(np.concatenate([head.y, tail.y], axis=1), whole.y)
    assert_close(tail.h_n, whole.h_n)


# States, inputs, memory


@every_layer
def test_no_initial_state_is_a_zero_initial_state(layer: Layer) -> None:
    """To the bit."""
    without = some_case(layer, lengths=LENGTHS, states=False)
    zeros = np.zeros((2 * layer.num_directions, 4, 2))
    given = replace(without, h_0=zeros, c_0=zeros if layer.cell is Cell.LSTM else None)
    assert_same_bits(run(without), run(given))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no lengths", "lengths"])
@every_layer
def test_inputs_and_states_are_not_modified(layer: Layer, lengths: tuple[int, ...] | None) -> None:
    """They may even be read-only."""
    case = some_case(layer, lengths=lengths)
    before = [array.tobytes() for array in arrays_in(case)]
    for array in arrays_in(case):
        array.setflags(write=False)
    run(case)
    assert [array.tobytes() for array in arrays_in(case)] == before


@every_layer
def test_two_calls_give_equal_bits(layer: Layer) -> None:
    """Nothing is kept between calls."""
    case = some_case(layer, lengths=LENGTHS)
    assert_same_bits(run(case), run(case))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no lengths", "lengths"])
@every_layer
def test_results_share_memory_with_nothing(layer: Layer, lengths: tuple[int, ...] | None) -> None:
    """Neither with the inputs nor with one another, so that whoever writes into one changes no other."""
    case = some_case(layer, lengths=lengths)
    outputs = [output for _, output in run(case).items()]
    for k, output in enumerate(outputs):
        assert not any(np.shares_memory(output, other) for other in [*arrays_in(case), *outputs[:k]])
        assert output.flags.writeable


def strided(array: Array) -> Array:
    """Every second entry of an array twice as long in every axis, full of NaN otherwise."""
    wide = np.full([2 * size for size in array.shape], np.nan, array.dtype)
    view: Array = wide[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


def negative(array: Array) -> Array:
    """The same entries over negative strides."""
    back = (slice(None, None, -1),) * array.ndim
    view: Array = np.ascontiguousarray(array[back])[back]
    return view


def to_fraction(array: Array) -> Array:
    """Multiples of 1/64 close to the entries."""
    fractions: Array = np.vectorize(lambda v: Fraction(round(64 * v), 64), otypes=[object])(array)
    return fractions


@pytest.mark.parametrize("view", [np.asfortranarray, strided, negative])
@every_layer
def test_views_that_are_not_contiguous_give_equal_results(layer: Layer, view: Callable[[Array], Array]) -> None:
    """Up to the order in which a product of matrices adds, which numpy chooses by the layout in memory."""
    case = some_case(layer, lengths=LENGTHS)
    assert_results_close(run(case.map(view)), run(case))


@pytest.mark.parametrize("view", [np.asfortranarray, strided, negative])
@every_direction
def test_views_that_are_not_contiguous_give_equal_fractions(
    direction: Direction, view: Callable[[Array], Array]
) -> None:
    """Where no rounding hides a difference."""
    layer = replace(KINDS[1], num_layers=2, direction=direction)
    case = some_case(layer, lengths=LENGTHS).map(to_fraction)
    assert run(case.map(view)).y.tolist() == run(case).y.tolist()


# Arithmetic


@pytest.mark.parametrize(
    ("dtype", "unit"),
    [
        (np.longdouble, 2.0**-53),
        (np.float64, 2.0**-53),
        (np.float32, 2.0**-24),
        (np.float16, 2.0**-11),
        (ml_dtypes.bfloat16, 2.0**-8),
    ],
)
@every_layer
def test_the_result_has_the_dtype_and_the_precision_of_the_case(layer: Layer, dtype: type, unit: float) -> None:
    """A few units of roundoff from float64 on the same numbers, with states and without."""
    for states in (True, False):
        case = some_case(layer, lengths=LENGTHS, states=states).astype(dtype)
        result, expected = run(case), run(case.astype(np.float64))
        for (_, got), (_, wanted) in zip(result.items(), expected.items(), strict=True):
            assert got.dtype == np.dtype(dtype)
            np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=0, atol=8 * unit)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.longdouble, ml_dtypes.bfloat16])
@every_layer
def test_every_step_takes_and_gives_the_dtype_of_the_case(layer: Layer, dtype: type) -> None:
    """No step is computed in a wider type and rounded when it is stored."""
    seen: set[np.dtype[Any]] = set()

    def watched(layer: Layer) -> reference.cells.Step:
        step = reference.cells.step_of(layer)

        def watch(*arrays: Array) -> tuple[Array, ...]:
            new = step(*arrays)
            seen.update(array.dtype for array in (*arrays, *new))
            return new

        return watch

    run(some_case(layer, lengths=LENGTHS, states=False).astype(dtype), watched)
    assert seen == {np.dtype(dtype)}


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="longdouble is float64 here")
@every_layer
def test_no_float64_slips_into_longdouble(layer: Layer) -> None:
    """The results have digits that float64 does not hold."""
    result = run(some_case(layer).astype(np.longdouble))
    for output in (result.y, result.h_n):
        assert (output != output.astype(np.float64)).any()


@pytest.mark.parametrize("states", [True, False])
@every_direction
def test_a_relu_rnn_of_fractions_is_exact(direction: Direction, states: bool) -> None:
    """No float slips in, and plain Python finds the same fractions."""
    layer = replace(KINDS[1], num_layers=2, direction=direction)
    case = some_case(layer, lengths=LENGTHS, states=states).map(to_fraction)
    result, expected = run(case), scalar.run(case)
    assert result.y.tolist() == expected.y
    assert result.h_n.tolist() == expected.h_n
    assert all(isinstance(v, (Fraction, int)) for _, output in result.items() for v in output.flat)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.activation == "tanh"], ids=str)
def test_saturated_gates_are_finite_and_warn_of_nothing(kind: Layer) -> None:
    """An input of 1e4 of either sign overflows ``exp``, and the gate is 0 or 1 all the same."""
    case = some_case(kind)
    with no_warnings():
        for scale in (2e4, -2e4):
            assert np.isfinite(run(replace(case, x=scale * case.x)).y).all()


@pytest.mark.parametrize(
    "module",
    [reference, reference.case, reference.case_file, reference.cells, reference.layer],
    ids=lambda m: m.__name__,
)
def test_the_examples_in_the_documentation_hold(module: ModuleType) -> None:
    """Every doctest of the module passes."""
    assert doctest.testmod(module).failed == 0
