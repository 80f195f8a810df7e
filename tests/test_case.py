"""What a Case accepts, and the one sentence with which it refuses everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from itertools import product
from typing import Any, Literal

import ml_dtypes
import numpy as np
import pytest

from reference import GATES, Array, Case, Cell, Direction, Layer, Weights, run
from tests.some_case import KINDS, LAYERS, arrays_in, some_case

LSTM = some_case(
    Layer(cell=Cell.LSTM, input_size=3, hidden_size=5, num_layers=2, direction=Direction.BIDIRECTIONAL),
    batch=2,
    steps=4,
)
RNN = some_case(Layer(cell=Cell.RNN, input_size=3, hidden_size=5), batch=2, steps=4)
GRU = some_case(Layer(cell=Cell.GRU, input_size=3, hidden_size=5), batch=2, steps=4)
SKIP = some_case(Layer(cell=Cell.GRU, input_size=5, hidden_size=5, num_layers=2, input_mode="skip"), batch=2, steps=4)
OBJECT = RNN.astype(object)

Build = Callable[[], Case]


def edit(case: Case, **fields: Any) -> Build:
    """Build ``case`` with other fields."""
    return lambda: replace(case, **fields)


def edit_layer(case: Case, **fields: Any) -> Build:
    """Build ``case`` with other fields of its layer."""
    return lambda: replace(case, layer=replace(case.layer, **fields))


def edit_weights(case: Case, k: int, **fields: Any) -> Build:
    """Build ``case`` with other fields of the weights number ``k``."""
    return lambda: replace(
        case, weights=tuple(replace(w, **fields) if k == j else w for j, w in enumerate(case.weights))
    )


def zeros(*shape: int, dtype: Any = np.float64) -> Array:
    return np.zeros(shape, dtype)


def objects(*shape: int, of: Any) -> Array:
    """An object array with ``of`` in every place."""
    array = np.empty(shape, object)
    for place in np.ndindex(*shape):
        array[place] = of
    return array


class Spread:
    """Something whose ``repr`` takes two lines."""

    def __repr__(self) -> str:
        return "spread\nout"


X_SHAPE = "but should have shape (B, T, 3) with every size at least 1"
FLOATING = "but should have a floating dtype"
OF_X = "but should have dtype float64, the dtype of x"
LENGTHS_SHAPE = "but should have shape (2,), one length for each row of x"
CELLS = "but should be one of Cell.RNN, Cell.LSTM, Cell.GRU"
DIRECTIONS = "but should be one of Direction.FORWARD, Direction.REVERSE, Direction.BIDIRECTIONAL"
SIZE = "but should be an integer of at least 1"
BOTH = "but an LSTM should have either both or neither"
NO_CELL_STATE = "which has no cell state"

REFUSED: list[tuple[str, Build, type[Exception], str]] = [
    # layer
    ("layer as dict", edit(RNN, layer={}), TypeError, "layer is a dict, but should be a Layer"),
    ("no layer", edit(RNN, layer=None), TypeError, "layer is a NoneType, but should be a Layer"),
    ("layer class", edit(RNN, layer=Layer), TypeError, "layer is a type, but should be a Layer"),
    ("cell as string", edit_layer(RNN, cell="rnn"), TypeError, f"layer.cell is 'rnn', {CELLS}"),
    ("no cell", edit_layer(RNN, cell=None), TypeError, f"layer.cell is None, {CELLS}"),
    (
        "direction as string",
        edit_layer(RNN, direction="forward"),
        TypeError,
        f"layer.direction is 'forward', {DIRECTIONS}",
    ),
    ("direction as number", edit_layer(RNN, direction=1), TypeError, f"layer.direction is 1, {DIRECTIONS}"),
    *(
        (f"{field} {value!r}", edit_layer(RNN, **{field: value}), ValueError, f"layer.{field} is {value!r}, {SIZE}")
        for field, value in product(
            ("input_size", "hidden_size", "num_layers"), (0, -1, True, 2.0, float("nan"), None, "3", (3,))
        )
    ),
    *(
        (
            f"{field} {value!r}",
            edit_layer(RNN, **{field: value}),
            TypeError,
            f"layer.{field} is {value!r}, but should be True or False",
        )
        for field, value in product(("reset_after", "bias"), (0, 1, None, "True"))
    ),
    (
        "unknown activation",
        edit_layer(RNN, activation="Tanh"),
        ValueError,
        "layer.activation is 'Tanh', but should be 'tanh' or 'relu'",
    ),
    (
        "no activation",
        edit_layer(RNN, activation=None),
        ValueError,
        "layer.activation is None, but should be 'tanh' or 'relu'",
    ),
    (
        "unknown input mode",
        edit_layer(RNN, input_mode="skip_input"),
        ValueError,
        "layer.input_mode is 'skip_input', but should be 'linear' or 'skip'",
    ),
    *(
        (
            f"relu {case.layer.cell}",
            edit_layer(case, activation="relu"),
            ValueError,
            "layer.activation is 'relu', but should be 'tanh' for a cell that is not an RNN",
        )
        for case in (LSTM, GRU)
    ),
    *(
        (
            f"reset before {case.layer.cell}",
            edit_layer(case, reset_after=False),
            ValueError,
            "layer.reset_after is False, but should be True for a cell that is not a GRU",
        )
        for case in (LSTM, RNN)
    ),
    (
        "skip of another size",
        edit_layer(LSTM, input_mode="skip"),
        ValueError,
        "layer.input_size is 3, but should be layer.hidden_size = 5 for input_mode 'skip'",
    ),
    # x
    ("x as list", edit(RNN, x=[[[1.0]]]), TypeError, "x is [[[1.0]]], but should be a numpy array of shape (B, T, 3)"),
    (
        "x as long list",
        edit(RNN, x=RNN.x.tolist()),
        TypeError,
        "x is a list, but should be a numpy array of shape (B, T, 3)",
    ),
    ("no x", edit(RNN, x=None), TypeError, "x is None, but should be a numpy array of shape (B, T, 3)"),
    (
        "x as scalar",
        edit(RNN, x=np.float64(1)),
        TypeError,
        f"x is {np.float64(1)!r}, but should be a numpy array of shape (B, T, 3)",
    ),
    ("x of no axes", edit(RNN, x=zeros()), ValueError, f"x has shape (), {X_SHAPE}"),
    ("x of one row", edit(RNN, x=zeros(4, 3)), ValueError, f"x has shape (4, 3), {X_SHAPE}"),
    ("x of four axes", edit(RNN, x=zeros(2, 4, 3, 1)), ValueError, f"x has shape (2, 4, 3, 1), {X_SHAPE}"),
    ("x of another size", edit(RNN, x=zeros(2, 4, 2)), ValueError, f"x has shape (2, 4, 2), {X_SHAPE}"),
    ("no rows", edit(RNN, x=zeros(0, 4, 3)), ValueError, f"x has shape (0, 4, 3), {X_SHAPE}"),
    ("no steps", edit(RNN, x=zeros(2, 0, 3)), ValueError, f"x has shape (2, 0, 3), {X_SHAPE}"),
    *(
        (f"x of {name}", edit(RNN, x=zeros(2, 4, 3, dtype=dtype)), TypeError, f"x has dtype {name}, {FLOATING}")
        for dtype, name in (
            (np.int64, "int64"),
            (np.uint8, "uint8"),
            (np.bool_, "bool"),
            (np.complex128, "complex128"),
            ("<U3", "<U3"),
            ("S3", "|S3"),
            ("M8[s]", "datetime64[s]"),
            ("m8[s]", "timedelta64[s]"),
            ("V8", "|V8"),
            ([("a", "<f8")], "[('a', '<f8')]"),
            (ml_dtypes.int4, "int4"),
        )
    ),
    *(
        (
            f"x of objects {held}",
            edit(OBJECT, x=objects(2, 4, 3, of=item)),
            TypeError,
            f"x holds {held}, but should hold numbers",
        )
        for item, held in ((None, "None"), ("a", "'a'"), ([1.0], "[1.0]"), (list(range(99)), "a list"), ({}, "{}"))
    ),
    # weights
    (
        "weights as list",
        edit(LSTM, weights=list(LSTM.weights)),
        TypeError,
        "weights is a list, but should be a tuple of 4 Weights",
    ),
    (
        "weights by themselves",
        edit(RNN, weights=RNN.weights[0]),
        TypeError,
        "weights is a Weights, but should be a tuple of 1 Weights",
    ),
    ("no weights", edit(RNN, weights=None), TypeError, "weights is a NoneType, but should be a tuple of 1 Weights"),
    ("empty weights", edit(RNN, weights=()), ValueError, "weights has 0 entries, but should have L*D = 1"),
    (
        "too few weights",
        edit(LSTM, weights=LSTM.weights[:3]),
        ValueError,
        "weights has 3 entries, but should have L*D = 4",
    ),
    (
        "too many weights",
        edit(RNN, weights=RNN.weights * 2),
        ValueError,
        "weights has 2 entries, but should have L*D = 1",
    ),
    (
        "no w_ih",
        edit_weights(LSTM, 1, w_ih=None),
        TypeError,
        "weights[1].w_ih is None, but should be a numpy array of shape (4, 5, 3)",
    ),
    (
        "w_ih in skip mode",
        edit_weights(SKIP, 0, w_ih=zeros(3, 5, 5)),
        ValueError,
        "weights[0].w_ih is given, but should be None in layer 0 of input_mode 'skip'",
    ),
    (
        "no w_ih above layer 0 of skip mode",
        edit_weights(SKIP, 1, w_ih=None),
        TypeError,
        "weights[1].w_ih is None, but should be a numpy array of shape (3, 5, 5)",
    ),
    *(
        (
            f"{field} of shape {shape}",
            edit_weights(LSTM, k, **{field: zeros(*shape)}),
            ValueError,
            f"weights[{k}].{field} has shape {shape}, but should have shape {wanted}",
        )
        for k, field, shape, wanted in (
            (0, "w_ih", (20, 3), "(4, 5, 3)"),
            (1, "w_ih", (4, 3, 5), "(4, 5, 3)"),
            (2, "w_ih", (4, 5, 3), "(4, 5, 10)"),
            (3, "w_ih", (4, 5, 5), "(4, 5, 10)"),
            (0, "w_hh", (20, 5), "(4, 5, 5)"),
            (3, "w_hh", (3, 5, 5), "(4, 5, 5)"),
            (0, "w_hh", (4, 5, 3), "(4, 5, 5)"),
            (0, "b_ih", (20,), "(4, 5)"),
            (2, "b_ih", (4, 1), "(4, 5)"),
            (0, "b_hh", (), "(4, 5)"),
            (3, "b_hh", (5, 4), "(4, 5)"),
        )
    ),
    *(
        (
            f"{field} {note}",
            edit_weights(RNN, 0, **{field: value}),
            TypeError,
            f"weights[0].{field} {message}",
        )
        for field, shape, wanted in (
            ("w_ih", (1, 5, 3), "(1, 5, 3)"),
            ("w_hh", (1, 5, 5), "(1, 5, 5)"),
            ("b_ih", (1, 5), "(1, 5)"),
            ("b_hh", (1, 5), "(1, 5)"),
        )
        for note, value, message in (
            ("as list", [0.5], f"is [0.5], but should be a numpy array of shape {wanted}"),
            ("of float32", zeros(*shape, dtype=np.float32), f"has dtype float32, {OF_X}"),
            ("of int64", zeros(*shape, dtype=np.int64), f"has dtype int64, {OF_X}"),
            ("of objects", zeros(*shape, dtype=object), f"has dtype object, {OF_X}"),
        )
    ),
    (
        "strings among object weights",
        edit_weights(OBJECT, 0, w_hh=objects(1, 5, 5, of="a")),
        TypeError,
        "weights[0].w_hh holds 'a', but should hold numbers",
    ),
    *(
        (
            f"{field} without bias",
            lambda field=field: replace(
                RNN,
                layer=replace(RNN.layer, bias=False),
                weights=(replace(RNN.weights[0], **{"b_ih": zeros(1, 5), "b_hh": zeros(1, 5), field: np.eye(5)[:1]}),),
            ),
            ValueError,
            f"weights[0].{field} has non-zero entries, but should be zero where layer.bias is False",
        )
        for field in ("b_ih", "b_hh")
    ),
    # states
    ("h_0 alone", edit(LSTM, c_0=None), ValueError, f"h_0 is given and c_0 is None, {BOTH}"),
    ("c_0 alone", edit(LSTM, h_0=None), ValueError, f"c_0 is given and h_0 is None, {BOTH}"),
    *(
        (
            f"c_0 of {case.layer.cell}",
            edit(case, c_0=case.h_0),
            ValueError,
            f"c_0 is given, but should be None for the cell {case.layer.cell}, {NO_CELL_STATE}",
        )
        for case in (RNN, GRU)
    ),
    *(
        (
            f"{field} {note}",
            edit(LSTM, **{field: value}),
            error,
            f"{field} {message}",
        )
        for field in ("h_0", "c_0")
        for note, value, error, message in (
            ("as list", [0.5], TypeError, "is [0.5], but should be a numpy array of shape (4, 2, 5)"),
            ("as zero", 0, TypeError, "is 0, but should be a numpy array of shape (4, 2, 5)"),
            ("of one entry", zeros(1, 2, 5), ValueError, "has shape (1, 2, 5), but should have shape (4, 2, 5)"),
            ("of one row", zeros(4, 1, 5), ValueError, "has shape (4, 1, 5), but should have shape (4, 2, 5)"),
            ("batch first", zeros(2, 4, 5), ValueError, "has shape (2, 4, 5), but should have shape (4, 2, 5)"),
            ("of another size", zeros(4, 2, 3), ValueError, "has shape (4, 2, 3), but should have shape (4, 2, 5)"),
            ("of two axes", zeros(2, 5), ValueError, "has shape (2, 5), but should have shape (4, 2, 5)"),
            ("of float32", zeros(4, 2, 5, dtype=np.float32), TypeError, f"has dtype float32, {OF_X}"),
            ("of int64", zeros(4, 2, 5, dtype=np.int64), TypeError, f"has dtype int64, {OF_X}"),
        )
    ),
    # lengths
    ("one length", edit(RNN, lengths=3), ValueError, f"lengths has shape (), {LENGTHS_SHAPE}"),
    ("too few lengths", edit(RNN, lengths=[3]), ValueError, f"lengths has shape (1,), {LENGTHS_SHAPE}"),
    ("too many lengths", edit(RNN, lengths=[3, 2, 1]), ValueError, f"lengths has shape (3,), {LENGTHS_SHAPE}"),
    ("empty lengths", edit(RNN, lengths=[]), ValueError, f"lengths has shape (0,), {LENGTHS_SHAPE}"),
    ("lengths as column", edit(RNN, lengths=[[3], [2]]), ValueError, f"lengths has shape (2, 1), {LENGTHS_SHAPE}"),
    (
        "ragged lengths",
        edit(RNN, lengths=[[3], [2, 1]]),
        ValueError,
        "lengths is ragged, but should have shape (2,), one length for each row of x",
    ),
    *(
        (
            f"lengths of {note}",
            edit(RNN, lengths=value),
            TypeError,
            f"lengths has dtype {name}, but should have an integer dtype",
        )
        for note, value, name in (
            ("whole floats", [3.0, 2.0], "float64"),
            ("NaN", [float("nan"), 2], "float64"),
            ("bools", [True, False], "bool"),
            ("strings", ["3", "2"], "<U1"),
            ("None", [3, None], "object"),
            ("numbers beyond int64", [3, 2**70], "object"),
        )
    ),
    *(
        (
            f"length {n}",
            edit(RNN, lengths=[4, n]),
            ValueError,
            f"lengths[1] is {n}, but should be in 0..4, the time steps of x",
        )
        for n in (-1, 5, 2**40)
    ),
    (
        "length beyond int64",
        edit(RNN, lengths=np.array([0, 2**64 - 1], np.uint64)),
        ValueError,
        "lengths[1] is 18446744073709551615, but should be in 0..4, the time steps of x",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), [pytest.param(*rest, id=name) for name, *rest in REFUSED])
def test_bad_input_is_refused_in_one_sentence(build: Build, error: type[Exception], message: str) -> None:
    """The sentence names the field, what it is and what it should be."""
    with pytest.raises(error) as refusal:
        build()
    assert type(refusal.value) is error
    assert str(refusal.value) == message


FURTHER: list[tuple[str, str, Build]] = [
    ("activation as array", "layer.activation", edit_layer(RNN, activation=np.array(["tanh", "relu"]))),
    ("input mode as array", "layer.input_mode", edit_layer(RNN, input_mode=np.array(["linear", "skip"]))),
    ("cell as matrix", "layer.cell", edit_layer(RNN, cell=np.eye(3))),
    ("bias as matrix", "layer.bias", edit_layer(RNN, bias=np.eye(3))),
    ("size as matrix", "layer.input_size", edit_layer(RNN, input_size=np.eye(3))),
    ("x of two lines", "x", edit(RNN, x=Spread())),
    ("x of objects of two lines", "x", edit(OBJECT, x=objects(2, 4, 3, of=Spread()))),
    ("x of arrays", "x", edit(OBJECT, x=objects(2, 4, 3, of=np.ones(2)))),
    ("x masked", "x", edit(RNN, x=np.ma.masked_array(RNN.x, RNN.x > 0))),
    ("weights as tuple of dicts", "weights[0]", edit(RNN, weights=({"w_ih": None},))),
    ("weights as tuple of None", "weights[1]", edit(LSTM, weights=(LSTM.weights[0], None, *LSTM.weights[2:]))),
    ("lengths as ragged arrays", "lengths", edit(RNN, lengths=[np.ones((2, 3)), np.ones((2, 4))])),
    ("lengths as seconds", "lengths", edit(RNN, lengths=np.array([1, 2], "m8[s]"))),
    ("lengths as nanoseconds", "lengths", edit(RNN, lengths=np.array([1, 2], "m8[ns]"))),
    ("lengths masked", "lengths", edit(RNN, lengths=np.ma.masked_array([1, 2], [False, True]))),
    ("lengths as set", "lengths", edit(RNN, lengths={1, 2})),
    ("lengths as iterator", "lengths", edit(RNN, lengths=iter([1, 2]))),
    ("lengths as string", "lengths", edit(RNN, lengths="12")),
]


@pytest.mark.parametrize(("field", "build"), [pytest.param(*rest, id=name) for name, *rest in FURTHER])
def test_stranger_input_is_refused_in_one_sentence_too(field: str, build: Build) -> None:
    """One line that begins with the field and says what it should be, whatever it is."""
    with pytest.raises((TypeError, ValueError)) as refusal:
        build()
    message = str(refusal.value)
    assert message.startswith((f"{field} ", f"{field}["))
    assert " but should " in message
    assert "\n" not in message and len(message) < 200


# What is accepted


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_arrays_are_kept_as_they_are(kind: Layer) -> None:
    """The same objects, not copies."""
    case = some_case(kind)
    again = Case(case.layer, case.weights, case.x, case.h_0, case.c_0)
    assert all(a is b for a, b in zip(arrays_in(again), arrays_in(case), strict=True))


@pytest.mark.parametrize(
    "lengths",
    [
        [4, 0],
        (4, 0),
        np.array([4, 0], np.int8),
        np.array([4, 0], np.uint64),
        [np.int32(4), np.int32(0)],
        range(4, -1, -4),
    ],
    ids=repr,
)
def test_lengths_are_kept_as_int64(lengths: Any) -> None:
    """From any sequence or array of integers."""
    kept = replace(RNN, lengths=lengths).lengths
    assert isinstance(kept, np.ndarray)
    assert kept.dtype == np.int64
    assert kept.tolist() == [4, 0]


def test_lengths_do_not_follow_the_array_they_came_from() -> None:
    """Or a checked case could become a wrong one."""
    lengths = np.array([4, 0])
    case = replace(RNN, lengths=lengths)
    lengths[0] = 99
    assert case.lengths is not None and list(case.lengths) == [4, 0]


def test_a_case_without_lengths_keeps_none() -> None:
    """And every step of it is valid."""
    assert RNN.lengths is None
    assert RNN.valid.shape == (2, 4) and RNN.valid.all()


def test_valid_steps_lie_within_the_length() -> None:
    """(B, T), True from 0 to n-1."""
    assert replace(RNN, lengths=[3, 0]).valid.tolist() == [[True, True, True, False], [False] * 4]


def test_a_case_knows_its_sizes() -> None:
    """B, T and the dtype come from x."""
    assert (LSTM.batch_size, LSTM.num_steps, LSTM.dtype) == (2, 4, np.dtype(np.float64))


def test_a_layer_knows_its_sizes() -> None:
    """D, G, and what each layer reads."""
    layer = LSTM.layer
    assert (layer.num_directions, layer.num_gates) == (2, 4)
    assert [layer.input_size_of(number) for number in range(2)] == [3, 10]
    assert (RNN.layer.num_directions, RNN.layer.num_gates, RNN.layer.input_size_of(1)) == (1, 1, 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.longdouble, object, ml_dtypes.bfloat16, ">f8"])
@pytest.mark.parametrize("kind", [*KINDS, SKIP.layer], ids=str)
def test_astype_converts_every_array_but_the_lengths(kind: Layer, dtype: Any) -> None:
    """And leaves the case it was called on as it was."""
    case = some_case(kind, lengths=[1, 2, 3, 4])
    converted = case.astype(dtype)
    assert converted.dtype == np.dtype(dtype)
    assert all(array.dtype == np.dtype(dtype) for array in arrays_in(converted))
    assert all(array.dtype == np.float64 for array in arrays_in(case))
    assert len(arrays_in(converted)) == len(arrays_in(case))
    assert isinstance(converted.lengths, np.ndarray) and converted.lengths.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.int64, np.complex128, "U3", np.bool_], ids=str)
def test_astype_refuses_what_a_case_refuses(dtype: Any) -> None:
    """A case of integers is no case."""
    with pytest.raises(TypeError, match="^x has dtype .*, but should have a floating dtype$"):
        RNN.astype(dtype)


@pytest.mark.parametrize("number", [Fraction(1, 3), 1, 1.5, np.float32(2)], ids=repr)
def test_object_arrays_may_hold_any_kind_of_number(number: Any) -> None:
    """Fractions, integers, floats."""
    assert replace(OBJECT, x=objects(2, 4, 3, of=number)).dtype == object


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_are_not_checked(value: float) -> None:
    """NaN and infinity are accepted in every array."""
    assert LSTM.map(lambda array: np.full_like(array, value)).dtype == np.float64


def test_negative_zero_is_a_zero_bias() -> None:
    """``bias=False`` asks for zeros of either sign."""
    layer = replace(RNN.layer, bias=False)
    weights = replace(RNN.weights[0], b_ih=zeros(1, 5), b_hh=-zeros(1, 5))
    assert not replace(RNN, layer=layer, weights=(weights,)).layer.bias


def test_sizes_may_be_numpy_integers() -> None:
    """As sizes taken from the shape of an array of another library may be."""
    case = edit_layer(RNN, input_size=np.int64(3), hidden_size=np.int32(5))()
    assert run(case).y.shape == (2, 4, 5)


# Names and identity


@pytest.mark.parametrize("member", [*Cell, *Direction], ids=str)
def test_the_name_of_a_member_is_its_value(member: Cell | Direction) -> None:
    """In ``str``, in f-strings with and without a width, and in comparisons."""
    assert str(member) == f"{member}" == format(member) == member.value == member
    assert f"{member:>15}" == member.value.rjust(15)
    assert type(member)(str(member)) is member


def test_the_cells_and_directions_are_these() -> None:
    """And every cell has its gates."""
    assert [str(cell) for cell in Cell] == ["rnn", "lstm", "gru"]
    assert [str(direction) for direction in Direction] == ["forward", "reverse", "bidirectional"]
    assert GATES == {Cell.RNN: "h", Cell.LSTM: "ifgo", Cell.GRU: "rzn"}


def configurations() -> list[Layer]:
    """Every sensible combination of the fields of a layer, over a few sizes."""
    functions = [replace(kind, num_layers=n, direction=d) for kind in KINDS for n in (1, 12) for d in Direction]
    sizes: list[tuple[int, int, Literal["linear", "skip"]]] = [
        (1, 1, "linear"),
        (1, 1, "skip"),
        (2, 11, "linear"),
        (21, 1, "linear"),
        (12, 12, "skip"),
    ]
    return [
        replace(layer, input_size=i, hidden_size=h, input_mode=mode, bias=bias)
        for layer in functions
        for (i, h, mode) in sizes
        for bias in (True, False)
    ]


def test_a_layer_prints_as_no_other_does() -> None:
    """So its ``str`` serves as a test id."""
    layers = configurations()
    assert len({str(layer) for layer in layers}) == len(set(layers)) == len(layers) > 200
    assert not any(set(str(layer)) & set(" []\n") for layer in layers)


def test_a_layer_prints_what_is_unusual_about_it() -> None:
    """And its sizes."""
    assert str(LSTM.layer) == "lstm-bidirectional-I3-H5-L2"
    assert str(replace(RNN.layer, activation="relu", bias=False)) == "rnn-forward-I3-H5-L1-relu-no-bias"
    assert str(replace(SKIP.layer, reset_after=False)) == "gru-forward-I5-H5-L2-reset-before-skip"


def test_a_layer_is_hashable_and_equal_by_its_fields() -> None:
    """So it serves as a cache key."""
    for layer in LAYERS:
        assert {layer: 1}[replace(layer)] == 1


@pytest.mark.parametrize(
    ("thing", "field"), [(RNN, "x"), (RNN.layer, "cell"), (RNN.weights[0], "w_hh"), (run(RNN), "y")]
)
def test_nothing_can_be_assigned_to(thing: Any, field: str) -> None:
    """A checked case stays a checked case."""
    with pytest.raises(FrozenInstanceError):
        setattr(thing, field, None)


def test_layers_and_weights_are_compared_as_they_should_be() -> None:
    """A layer takes its fields by name; weights, cases and results, which hold arrays, are equal only to themselves."""
    with pytest.raises(TypeError):
        Layer(Cell.RNN, 3, 5)  # type: ignore[call-arg]
    first = RNN.weights[0]
    copy = Weights(first.w_ih, first.w_hh, first.b_ih, first.b_hh)
    assert first != copy and replace(RNN) != RNN
    assert first in [first] and first not in [copy]


def test_a_case_prints_on_one_line() -> None:
    """Configuration, dtype, sizes, lengths, and whether there is a state."""
    assert str(LSTM) == "lstm-bidirectional-I3-H5-L2 float64 B2 T4 lengths=none h_0=given"
    short = replace(RNN.astype(np.float32), lengths=[4, 0], h_0=None)
    assert str(short) == "rnn-forward-I3-H5-L1 float32 B2 T4 lengths=[4, 0] h_0=none"


def test_a_result_lists_the_outputs_it_has() -> None:
    """``c_n`` for an LSTM only."""
    assert [name for name, _ in run(LSTM).items()] == ["y", "h_n", "c_n"]
    assert [name for name, _ in run(GRU).items()] == ["y", "h_n"]
