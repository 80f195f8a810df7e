"""Generated cases: within the capabilities, exact, varied, readable when they shrink, and never filtered."""

from __future__ import annotations

import ast
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any

import hypothesis
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import conformance.strategies
import conformance.test_agreement
import conformance.test_laws
from backends import Capabilities
from conformance.search import SEARCHES, content_of
from conformance.strategies import (
    FEW_SHAPES,
    Shape,
    cases,
    cases_that_repeat,
    cases_with_nan,
    cases_with_zeros,
    large_cases,
    numpy_dtype,
    sweeps,
)
from conformance.tolerance import has_nan
from reference import GATES, Array, Case, Cell, Direction
from reference.case_file import arrays_of_case
from tests.some_case import arrays_in

DTYPES = ("float64", "float32", "float16", "bfloat16")

every_cell = pytest.mark.parametrize("cell", Cell, ids=str)

same_every_time = settings(database=None, derandomize=True, deadline=None, phases=[Phase.generate])


EVERYTHING = Capabilities()


def drawn(
    cell: Cell,
    count: int,
    capabilities: Capabilities = EVERYTHING,
    dtypes: tuple[str, ...] = ("float64",),
    **wanted: Any,
) -> list[Case]:
    """So many cases, the same every time, with Hypothesis's own checks of health in force."""
    found: list[Case] = []

    @settings(same_every_time, max_examples=count, suppress_health_check=[HealthCheck.too_slow])
    @given(cases(capabilities, cell, st.sampled_from(dtypes), **wanted))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


@cache
def sample_of(cell: Cell, few_shapes: bool = False) -> list[Case]:
    """Three hundred cases of a backend that claims everything."""
    return drawn(cell, 300, Capabilities(few_shapes=few_shapes))


of_any_or_few_shapes = pytest.mark.parametrize("few_shapes", [False, True], ids=["of any shape", "of few shapes"])


# Within the capabilities

RESTRICTED = [
    ("activations", ("relu",)),
    ("activations", ("tanh",)),
    ("directions", (Direction.REVERSE,)),
    ("directions", (Direction.FORWARD, Direction.BIDIRECTIONAL)),
    ("max_layers", 1),
    ("max_layers", 2),
    ("max_layers", 12),
    ("reset_after", (False,)),
    ("lengths", False),
    ("zero_length", "reject"),
    ("zero_length", "zero"),
    ("bias", (False,)),
    ("bias", (True,)),
    ("input_modes", ("skip",)),
    ("input_modes", ("linear",)),
    ("dtypes", ("bfloat16",)),
]


@of_any_or_few_shapes
@pytest.mark.parametrize(("field", "value"), RESTRICTED, ids=lambda value: str(value))
def test_every_case_lies_within_the_capabilities(field: str, value: Any, few_shapes: bool) -> None:
    """One field restricted at a time."""
    claimed: dict[str, Any] = {field: value}
    capabilities = Capabilities(**claimed, few_shapes=few_shapes)
    for cell in Cell:
        for case in drawn(cell, 60, capabilities, dtypes=capabilities.dtypes):
            assert capabilities.declines(case) is None


def test_every_field_that_limits_cases_is_restricted_once() -> None:
    """Cells are left out, as a strategy is asked for the cases of one; arithmetic and few shapes limit nothing."""
    assert {field for field, _ in RESTRICTED} == {field.name for field in fields(Capabilities)} - {
        "cells",
        "arithmetic",
        "few_shapes",
    }


# Exact, and different from one another


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_is_finite_and_of_the_dtype(dtype: str) -> None:
    """No array overflows or has another dtype, and converting to float64 and back changes nothing."""
    for cell in Cell:
        for case in drawn(cell, 15, Capabilities(dtypes=(dtype,)), dtypes=(dtype,)):
            for array in arrays_in(case):
                assert array.dtype == numpy_dtype(dtype)
                assert np.all(np.isfinite(array.astype(np.float64)))
                assert array.astype(np.float64).astype(array.dtype).tobytes() == array.tobytes()


def test_sparse_numbers_are_the_same_in_every_dtype() -> None:
    """One byte times a power of two fits all of them, so that a case means the same everywhere."""
    sparse = [case for case in sample_of(Cell.LSTM)[:60] if not is_dense(case)]
    assert len(sparse) > 10
    for case in sparse:
        for array in arrays_in(case):
            for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
                np.testing.assert_array_equal(array.astype(dtype).astype(np.float64), array)


def is_dense(case: Case) -> bool:
    """Whether the numbers of a case use more bits than the eight of a byte."""
    return any(np.any(array.astype(ml_dtypes.bfloat16) != array) for array in arrays_in(case))


@every_cell
def test_no_two_numbers_of_a_dense_case_are_equal(cell: Cell) -> None:
    """But for zeros: every weight, step, row and slot has numbers of its own."""
    dense = [case for case in sample_of(cell) if is_dense(case) and not wide(case)]
    assert len(dense) > 30
    for case in dense:
        for array in arrays_in(case):
            assert len(np.unique(array[array != 0])) in (np.count_nonzero(array), 0)


def wide(case: Case) -> bool:
    """Whether a case has so many numbers that their bytes are used again."""
    return sum(array.size for array in arrays_in(case)) > conformance.strategies.MOST_BYTES


def same_bits(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


# Varied


FEATURES: dict[str, Callable[[Case], bool]] = {
    **{str(d): lambda case, d=d: case.layer.direction is d for d in Direction},  # type: ignore[misc]
    **{f"{n} layers": lambda case, n=n: case.layer.num_layers == n for n in (1, 2, 3)},  # type: ignore[misc]
    "bias": lambda case: case.layer.bias,
    "no bias": lambda case: not case.layer.bias,
    "linear": lambda case: case.layer.input_mode == "linear",
    "skip": lambda case: case.layer.input_mode == "skip",
    "no lengths": lambda case: case.lengths is None,
    "a length of T": lambda case: case.lengths is not None and case.num_steps in case.lengths,
    "a length of 1 in more steps": lambda case: case.lengths is not None and 1 in case.lengths and case.num_steps > 1,
    "a length of 0": lambda case: case.lengths is not None and 0 in case.lengths,
    "T, 1 and 0 in one": lambda case: {case.num_steps, 1, 0} <= set(case.row_lengths) and case.num_steps > 1,
    "all lengths below T": lambda case: max(case.row_lengths) < case.num_steps,
    "all lengths 0": lambda case: max(case.row_lengths) == 0,
    "unsorted lengths": lambda case: bool(
        np.any(np.diff(case.row_lengths) > 0) and np.any(np.diff(case.row_lengths) < 0)
    ),
    "states": lambda case: case.h_0 is not None,
    "no states": lambda case: case.h_0 is None,
    "B = 1": lambda case: case.batch_size == 1,
    "T = 1": lambda case: case.num_steps == 1,
    "I = 1": lambda case: case.layer.input_size == 1,
    "H = 1": lambda case: case.layer.hidden_size == 1,
    "a square case": lambda case: case.layer.input_mode == "linear" and case.layer.input_size == case.layer.hidden_size,
    "B = H": lambda case: case.batch_size == case.layer.hidden_size,
    "a large H": lambda case: case.layer.hidden_size > 16,
    "a large I": lambda case: case.layer.input_size >= 16,
    "many steps": lambda case: case.num_steps >= 24,
    "dense": is_dense,
    "sparse": lambda case: not is_dense(case),
    "one sign": lambda case: min(float(array.min()) for array in arrays_in(case)) >= 0,
    "large inputs": lambda case: float(np.abs(case.x).max()) > 16,
    "tiny inputs": lambda case: 0 < float(np.abs(case.x).max()) < 0.05,
}
OF_ONE_CELL: dict[Cell, dict[str, Callable[[Case], bool]]] = {
    Cell.RNN: {
        "tanh": lambda case: case.layer.activation == "tanh",
        "relu": lambda case: case.layer.activation == "relu",
    },
    Cell.LSTM: {"a large c_0": lambda case: case.c_0 is not None and float(np.abs(case.c_0).max()) > 16},
    Cell.GRU: {
        "reset after": lambda case: case.layer.reset_after,
        "reset before": lambda case: not case.layer.reset_after,
    },
}


@of_any_or_few_shapes
@every_cell
def test_every_feature_is_reached(cell: Cell, few_shapes: bool) -> None:
    """Within three hundred cases, several times."""
    sample = sample_of(cell, few_shapes)
    reached = {feature: sum(map(has, sample)) for feature, has in (FEATURES | OF_ONE_CELL[cell]).items()}
    assert {feature: times for feature, times in reached.items() if times < 2} == {}


@of_any_or_few_shapes
@every_cell
def test_the_sizes_of_a_case_mostly_differ(cell: Cell, few_shapes: bool) -> None:
    """B, T, I and H, so that an axis taken for another shows; with the input as the state, I is H."""
    sample = [case for case in sample_of(cell, few_shapes) if case.layer.input_mode == "linear"]
    distinct = sum(
        len({case.batch_size, case.num_steps, case.layer.input_size, case.layer.hidden_size}) == 4 for case in sample
    )
    assert distinct > 0.6 * len(sample)


def test_the_same_cases_come_every_time() -> None:
    """Nothing is random but Hypothesis's own choices."""
    first, second = (drawn(Cell.GRU, 20) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert str(a) == str(b)
        assert all(same_bits(one, other) for one, other in zip(arrays_in(a), arrays_in(b), strict=True))


# Of few shapes


def shape_of(case: Case) -> Shape:
    """All that a program is compiled for, of a cell and a dtype."""
    layer = case.layer
    sizes = (case.batch_size, case.num_steps, layer.input_size, layer.hidden_size, layer.num_layers)
    return Shape(*sizes, layer.direction, case.lengths is not None, case.h_0 is not None, layer.bias)


LINEAR = Capabilities(input_modes=("linear",))
FEW = replace(LINEAR, few_shapes=True)


@every_cell
def test_a_backend_of_few_shapes_is_given_those_of_the_table(cell: Cell) -> None:
    """All of them and no other, where another backend is given many times as many."""
    assert {shape_of(case) for case in drawn(cell, 200, FEW)} == set(FEW_SHAPES)
    assert len({shape_of(case) for case in drawn(cell, 200, LINEAR)}) > 6 * len(FEW_SHAPES)


@pytest.mark.parametrize("claim", [name for name, search in SEARCHES.items() if search.strategy is cases])
def test_no_claim_needs_a_shape_of_its_own(claim: str) -> None:
    """What a claim wants of its cases, some shape of the table has."""
    wanted: dict[str, Any] = dict(SEARCHES[claim].wanted)
    assert {shape_of(case) for case in drawn(Cell.LSTM, 20, FEW, **wanted)} <= set(FEW_SHAPES)


CHOICES = {
    "direction": tuple(Direction),
    "num_layers": (1, 2, 3),
    "lengths": (False, True),
    "states": (False, True),
    "bias": (False, True),
}


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(CHOICES, 2)))
def test_any_two_features_meet_in_some_shape(one: str, other: str) -> None:
    """So that a fault which needs both of them is seen."""
    met = {(getattr(shape, one), getattr(shape, other)) for shape in FEW_SHAPES}
    assert met == set(itertools.product(CHOICES[one], CHOICES[other]))


@every_cell
def test_the_numbers_and_lengths_of_few_shapes_are_free(cell: Cell) -> None:
    """Cases of one shape have other numbers, and lengths of every kind."""
    sample = sample_of(cell, few_shapes=True)
    longest = max(shape.steps for shape in FEW_SHAPES if shape.lengths)
    lengths = {length for case in sample if case.num_steps == longest for length in case.row_lengths.tolist()}
    assert {0, 1, longest} < lengths and len(lengths) > 8
    assert len(set(map(content_of, sample))) > 0.8 * len(sample)


def test_a_sweep_of_few_shapes_has_one() -> None:
    """An activation is the same in every direction, with a bias or without."""
    found: list[Case] = []

    @settings(same_every_time, max_examples=20)
    @given(sweeps(FEW, Cell.GRU, st.just("float32")))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    assert len(found) == 20 and len(set(map(shape_of, found))) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        lambda shape: True,
        lambda shape: shape.lengths and shape.states,
        lambda shape: shape.num_layers == 3,
        lambda shape: shape.direction is Direction.REVERSE and shape.lengths,
    ],
)
def test_a_case_of_few_shapes_shrinks_to_the_first_that_will_do(wanted: Callable[[Shape], bool]) -> None:
    """The table has the simplest first; the numbers are eighths, as ever."""
    found = hypothesis.find(
        cases(FEW, Cell.LSTM, st.just("float32")),
        lambda case: wanted(shape_of(case)),
        settings=settings(same_every_time, max_examples=300, phases=[Phase.generate, Phase.shrink]),
    )
    assert shape_of(found) == next(filter(wanted, FEW_SHAPES))
    assert not is_dense(found) and np.all(8 * found.x % 1 == 0)


# As wanted


@of_any_or_few_shapes
@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"lengths": True}, lambda case: case.lengths is not None),
        ({"lengths": False}, lambda case: case.lengths is None),
        ({"lengths": True, "zero_length": False}, lambda case: min(case.row_lengths) > 0),
        (
            {"states": True},
            lambda case: case.h_0 is not None and (case.c_0 is not None) == (case.layer.cell is Cell.LSTM),
        ),
        ({"states": False}, lambda case: case.h_0 is None),
        ({"min_batch": 2}, lambda case: case.batch_size >= 2),
        ({"min_steps": 3}, lambda case: case.num_steps >= 3),
        ({"direction": Direction.REVERSE}, lambda case: case.layer.direction is Direction.REVERSE),
        ({"num_layers": 2}, lambda case: case.layer.num_layers == 2),
        ({"input_mode": "linear"}, lambda case: case.layer.input_mode == "linear"),
        ({"bias": False}, lambda case: not case.layer.bias),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "kept",
)
def test_a_constraint_is_kept(wanted: dict[str, Any], holds: Callable[[Case], bool], few_shapes: bool) -> None:
    """In every case of every cell."""
    for cell in Cell:
        assert all(map(holds, drawn(cell, 10, Capabilities(few_shapes=few_shapes), **wanted)))


@of_any_or_few_shapes
@pytest.mark.parametrize("field", ["activation", "reset_after"])
def test_a_field_of_one_cell_may_be_fixed(field: str, few_shapes: bool) -> None:
    """The activation of the RNN, the reset of the GRU."""
    cell, value = {"activation": (Cell.RNN, "relu"), "reset_after": (Cell.GRU, False)}[field]
    fixed: dict[str, Any] = {field: value}
    sample = drawn(cell, 30, Capabilities(few_shapes=few_shapes), **fixed)
    assert {getattr(case.layer, field) for case in sample} == {value}


@every_cell
def test_where_no_shape_of_few_is_as_wanted_some_are_made_so(cell: Cell) -> None:
    """More layers than any has, in more steps; or one layer where those that would do have two."""
    deep = drawn(cell, 20, FEW, num_layers=7, min_steps=30)
    assert all(case.layer.num_layers == 7 and case.num_steps >= 30 for case in deep)
    shallow = drawn(
        cell, 20, replace(FEW, max_layers=1), lengths=False, states=True, min_steps=2, direction=Direction.FORWARD
    )
    assert all(case.layer.num_layers == 1 and case.h_0 is not None and case.lengths is None for case in shallow)


# Readable, and never filtered


@pytest.mark.parametrize(
    ("predicate", "largest"),
    [
        (lambda case: True, 4),
        (lambda case: case.lengths is not None and case.h_0 is not None, 4),
        (lambda case: case.num_steps >= 5, 5),
        (lambda case: case.layer.num_layers == 2, 4),
        (lambda case: bool(np.any(case.x != 0)), 4),
    ],
)
def test_a_case_shrinks_to_small_sizes_and_plain_numbers(predicate: Callable[[Case], bool], largest: int) -> None:
    """One layer unless two are needed, the first of every choice, and eighths."""
    found = hypothesis.find(
        cases(Capabilities(), Cell.LSTM, st.just("float32")),
        predicate,
        settings=settings(same_every_time, max_examples=300, phases=[Phase.generate, Phase.shrink]),
    )
    sizes = (found.batch_size, found.num_steps, found.layer.input_size, found.layer.hidden_size)
    assert max(sizes) <= largest
    assert found.layer.bias and found.layer.input_mode == "linear" and not is_dense(found)
    assert np.all(8 * found.x % 1 == 0)


def test_cases_are_constructed_and_never_filtered() -> None:
    """No strategy filters, assumes or rejects: Hypothesis draws as many cases as it is asked for."""
    tree = ast.parse(str(conformance.strategies.__loader__.get_source("conformance.strategies")))  # type: ignore[union-attr]
    called = Counter(
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    )
    assert not {"filter", "assume", "reject"} & called.keys()
    for cell in Cell:
        assert len(sample_of(cell)) == 300


def test_a_case_is_drawn_within_the_bytes_that_hypothesis_allows() -> None:
    """The largest sizes do not overrun its buffer."""
    capabilities = replace(Capabilities(), max_layers=1)
    assert len(drawn(Cell.LSTM, 50, capabilities, min_steps=40, min_batch=9)) == 50


# Sweeps


@every_cell
def test_a_sweep_leads_every_gate_through_its_interval(cell: Cell) -> None:
    """Of an activation off by little on a fifth of a unit every gate shows it, some example at least."""
    found: list[Case] = []

    @settings(same_every_time, max_examples=400)
    @given(sweeps(EVERYTHING, cell, st.just("float32")))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    arguments: dict[int, list[Array]] = {gate: [] for gate in range(len(GATES[cell]))}
    for case in found:
        for gate, w_ih in enumerate(np.asarray(case.weights[0].w_ih)):
            if w_ih[:, :-1].any():
                assert np.array_equal(w_ih, w_ih[0, 0] * np.eye(*w_ih.shape))
                assert not case.weights[0].w_hh[gate].any()
                arguments[gate].append(w_ih[0, 0] * case.x[:, :, :-1].ravel())
    for points in arguments.values():
        gaps = np.diff(np.sort(np.concatenate(points)))
        inside = np.abs(np.sort(np.concatenate(points))[1:]) < 10
        assert gaps[inside].max() < 0.2
    assert {np.max(np.abs(np.asarray(case.weights[0].w_ih))) > 8 for case in found} == {True, False}
    if cell is Cell.LSTM:
        assert {np.max(np.abs(np.asarray(case.c_0))) > 1000 for case in found} == {True, False}


def test_a_sweep_stays_within_what_is_claimed() -> None:
    """The direction, the activation, the reset and the bias are claimed ones."""
    narrow = Capabilities(
        directions=(Direction.REVERSE,), activations=("relu",), reset_after=(False,), bias=(False,), lengths=False
    )
    for cell in Cell:

        @settings(same_every_time, max_examples=20)
        @given(sweeps(narrow, cell, st.just("float64")))
        def is_claimed(case: Case) -> None:
            assert narrow.declines(case) is None

        is_claimed()


# Large cases


@every_cell
@pytest.mark.parametrize("capabilities", [EVERYTHING, FEW], ids=["any-shape", "few-shapes"])
def test_every_size_is_past_a_byte_now_and_then(cell: Cell, capabilities: Capabilities) -> None:
    """Or y has more elements than two bytes count. Of few shapes there are four."""
    found: list[Case] = []

    @settings(same_every_time, max_examples=100)
    @given(large_cases(capabilities, cell, st.just("float32")))
    def collect(case: Case) -> None:
        assert capabilities.declines(case) is None
        found.append(case)

    collect()
    sizes = np.array([(*case.x.shape, case.layer.hidden_size) for case in found])
    assert (sizes.max(axis=0) > 256).all() and (sizes.min(axis=0) < 4).all()
    batch, steps, _, hidden = sizes.T
    is_past_two_bytes = batch * steps * hidden > 65536
    assert (is_past_two_bytes | (sizes > 255).any(axis=1)).all() and is_past_two_bytes.any()
    assert (len(set(map(shape_of, found))) == 4) == capabilities.few_shapes


# Numbers that repeat


@every_cell
def test_numbers_repeat_along_any_axes(cell: Cell) -> None:
    """Each array is the same along each of its axes in some cases, and along all of them, and in others it is not."""
    seen: defaultdict[tuple[str, int | str], set[bool]] = defaultdict(set)

    @settings(same_every_time, max_examples=200)
    @given(cases_that_repeat(EVERYTHING, cell, st.just("float32")))
    def look(case: Case) -> None:
        assert EVERYTHING.declines(case) is None
        w, hidden = case.weights[-1], case.layer.hidden_size
        for name, array in {"x": case.x, "w_ih": w.w_ih, "w_hh": w.w_hh, "b_hh": w.b_hh, "h_0": case.h_0}.items():
            if array is not None and array.any():
                for axis in np.flatnonzero(np.array(array.shape) > 1).tolist():
                    seen[name, axis].add(bool((array == array.take([0], axis)).all()))
                    seen[name, "all"].add(bool((array == array.flat[0]).all()))
        seen["b_hh", "b_ih"].add(np.array_equal(w.b_hh, w.b_ih))
        if case.h_0 is not None and case.c_0 is not None:
            seen["c_0", "h_0"].add(np.array_equal(case.c_0, case.h_0))
        if hidden > 1:
            seen["w_hh", "diagonal"].add(not w.w_hh[:, ~np.eye(hidden, dtype=bool)].any())
        if case.layer.direction is Direction.BIDIRECTIONAL:
            seen["w_hh", "directions"].add(np.array_equal(case.weights[0].w_hh, case.weights[1].w_hh))

    look()
    assert len(seen) == {Cell.RNN: 19, Cell.LSTM: 23, Cell.GRU: 22}[cell]
    assert all(values == {False, True} for values in seen.values()), seen


@every_cell
def test_terms_that_repeat_come_to_no_more_than_others(cell: Cell) -> None:
    """Of n inputs that are 1 they make 8 at most, the largest scale, or twice that where sqrt(n) is rounded down."""

    @settings(same_every_time, max_examples=200)
    @given(cases_that_repeat(EVERYTHING, cell, st.just("float32")))
    def look(case: Case) -> None:
        for w in case.weights:
            for matrix in (w.w_ih, w.w_hh):
                if matrix is not None and (matrix == matrix[:, :, :1]).all():
                    assert np.abs(matrix.sum(axis=2)).max() <= 16

    look()


# Numbers that are zero


@every_cell
def test_numbers_of_every_kind_are_zero(cell: Cell) -> None:
    """Each array is zero as a whole in some cases, in part in others, and not at all in others."""
    seen: defaultdict[str, set[Any]] = defaultdict(set)

    @settings(same_every_time, max_examples=1000)
    @given(cases_with_zeros(EVERYTHING, cell, st.just("float32")))
    def look(case: Case) -> None:
        assert EVERYTHING.declines(case) is None
        of_weights = itertools.chain.from_iterable(vars(w).items() for w in case.weights)
        for name, array in [("x", case.x), ("h_0", case.h_0), ("c_0", case.c_0), *of_weights]:
            if array is not None and (case.layer.bias or not name.startswith("b_")):
                seen[name].update(zeros_of(array))
        if cell is Cell.LSTM:
            seen["only one of the states"].add((np.any(case.h_0), np.any(case.c_0)))
        seen["one-hot"].add(
            bool(np.all(np.sort(case.x)[..., -1] == 1) and np.all(np.count_nonzero(case.x, axis=-1) == 1))
        )

    look()
    assert seen.pop("one-hot") == {True, False}
    if cell is Cell.LSTM:
        assert len(seen.pop("only one of the states")) == 4
    assert len(seen) == (7 if cell is Cell.LSTM else 6)
    assert all({"all", "none"} < found for found in seen.values()), seen


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5)])
def test_any_place_of_an_array_may_be_zero(shape: tuple[int, ...]) -> None:
    """All of it, one place along any of its axes, or all but that."""
    found: set[Any] = set()

    @settings(same_every_time, max_examples=500)
    @given(conformance.strategies._zeroing())
    def look(zeroing: Callable[[Array], Array]) -> None:
        found.update(zeros_of(zeroing(np.ones(shape))))

    look()
    assert found == {"all", *itertools.product(range(len(shape)), ("one", "others"))}


def zeros_of(array: Array) -> Iterator[Any]:
    """Where an array is zero, in words."""
    zero = array == 0
    if zero.all() or not zero.any():
        yield "all" if zero.all() else "none"
        return
    for axis in np.flatnonzero(np.array(array.shape) > 2).tolist():
        along = zero.all(axis=tuple({*range(array.ndim)} - {axis}))
        is_all_there_is = along.sum() * zero.size == zero.sum() * len(along)
        if is_all_there_is and along.sum() in (1, len(along) - 1):
            yield axis, "one" if along.sum() == 1 else "others"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_case_with_nan_has_one_where_it_counts(dtype: str) -> None:
    """In any valid step or either state, of any row; or in the padding, if that is all there is of a row."""
    places: set[tuple[str, bool, bool]] = set()

    @settings(same_every_time, max_examples=60)
    @given(cases_with_nan(EVERYTHING, Cell.LSTM, st.just(dtype)))
    def look(case: Case) -> None:
        ((name, array),) = [
            (n, a) for n, a in arrays_of_case(case).items() if a.dtype != np.int64 and np.isnan(a).any()
        ]
        ((first, second, _),) = np.argwhere(np.isnan(array))
        row, at = (first, second) if name == "x" else (second, first)
        assert has_nan(case) or case.row_lengths[row] == 0
        assert case.dtype == numpy_dtype(dtype)
        places.add((name, bool(row > 0), bool(at > 0)))

    look()
    assert {name for name, _, _ in places} == {"x", "h_0", "c_0"} and len(places) >= 8
