"""Every layer kind against numpy, or against the sentence that defines it written as a loop over elements."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from backends.tensor_rt.interpreter import InterpreterError, Program, evaluate
from reference import Array
from tests.small_network import TYPES, SmallNetwork, result_of, same_values, trt

examples = settings(max_examples=25, deadline=None)

FLOATS = ("float32", "float16", "bfloat16")
DTYPES = {name: np.dtype(getattr(ml_dtypes, name, None) or name) for name in TYPES}
UNIT = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}

shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
float_types = st.sampled_from(FLOATS)
number_types = st.sampled_from([*FLOATS, "int32", "int64"])
all_types = st.sampled_from(list(TYPES))


@st.composite
def arrays(draw: Any, shape: Any = shapes, dtype: Any = number_types, low: float = -4, high: float = 4) -> Array:
    """Small numbers that every type holds exactly: multiples of 1/4, or integers."""
    size, name = (
        (draw(shape) if isinstance(shape, st.SearchStrategy) else shape),
        (draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype),
    )
    if name == "bool":
        return np.asarray(draw(arrays_of.arrays(np.bool_, size)))
    whole = name.startswith("int")
    step = 1 if whole else 4
    numbers = draw(arrays_of.arrays(np.int64, size, elements=st.integers(int(low * step), int(high * step))))
    return np.asarray(np.asarray(numbers) / step if not whole else numbers).astype(DTYPES[name])


@st.composite
def broadcast_shapes(draw: Any, number: int) -> list[tuple[int, ...]]:
    """Shapes of one rank whose sizes are equal or 1."""
    full = draw(shapes)
    return [tuple(draw(st.sampled_from([1, size])) for size in full) for _ in range(number)]


def exact_or_rounded(function: Callable[..., Any], *inputs: Array) -> Array:
    """A function of numbers on broadcast arrays, in Python's own numbers."""
    kind: Any = int if inputs[0].dtype.kind == "i" else bool if inputs[0].dtype.kind == "b" else float
    wide = np.broadcast_arrays(*(x.astype(object) for x in inputs))
    values = [function(*(kind(x) for x in numbers)) for numbers in zip(*(x.reshape(-1) for x in wide))]
    return np.array(values, dtype=object).reshape(wide[0].shape)


ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "SUM": lambda x, y: x + y,
    "PROD": lambda x, y: x * y,
    "MAX": max,
    "MIN": min,
    "SUB": lambda x, y: x - y,
    "DIV": lambda x, y: x / y if isinstance(x, float) else int(math.copysign(abs(x) // abs(y), x * y)),
    "POW": lambda x, y: x**y,
    "FLOOR_DIV": lambda x, y: x // y,
    "AND": lambda x, y: x and y,
    "OR": lambda x, y: x or y,
    "XOR": lambda x, y: x != y,
    "EQUAL": lambda x, y: x == y,
    "GREATER": lambda x, y: x > y,
    "LESS": lambda x, y: x < y,
}
COMPARISONS = ("EQUAL", "GREATER", "LESS")


@pytest.mark.parametrize("name", trt.ElementWiseOperation.__members__)
@given(data=st.data())
@examples
def test_an_elementwise_operation_repeats_dimensions_of_one(name: str, data: Any) -> None:
    """Every operation, on every type it takes, gives what Python's own numbers give."""
    dtype = data.draw(st.just("bool") if name in ("AND", "OR", "XOR") else number_types)
    x_shape, y_shape = data.draw(broadcast_shapes(2))
    low = 1 if name in ("DIV", "FLOOR_DIV", "POW") else -4
    x = data.draw(arrays(x_shape, dtype, low=low if name == "POW" else -4))
    y = data.draw(arrays(y_shape, dtype, low=low))
    network = SmallNetwork()
    operation = getattr(trt.ElementWiseOperation, name)
    got = result_of(network.definition.add_elementwise(network.input(x), network.input(y), operation), network)
    expected = exact_or_rounded(ELEMENTWISE[name], x, y)
    if name == "POW" and x.dtype.kind != "i":
        wanted = expected.astype(np.float64)
        assert got.dtype == x.dtype
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=3 * UNIT[dtype])
    else:
        same_values(got, expected.astype(np.bool_ if name in COMPARISONS else x.dtype))


def test_the_division_of_integers_is_cut_towards_zero() -> None:
    """-7 / 2 is -3 by DIV and -4 by FLOOR_DIV."""
    network = SmallNetwork()
    x, y = network.constant([-7, 7, -6, 7], np.int32), network.constant([2, -2, 3, 2], np.int32)
    operations = trt.ElementWiseOperation
    cut = network.definition.add_elementwise(x, y, operations.DIV).get_output(0)
    floored = network.definition.add_elementwise(x, y, operations.FLOOR_DIV).get_output(0)
    network.mark(cut, floored)
    got, down = network.run()
    assert got.tolist() == [-3, -3, -2, 3]
    assert down.tolist() == [-4, -4, -2, 3]


def test_nan_and_infinities_go_the_way_of_ieee_754() -> None:
    """Nothing warns, and 1/0, 0/0 and max(NaN, 1) are what they are."""
    network = SmallNetwork()
    x = network.input(np.array([1, 0, np.nan, -np.inf], np.float32))
    y = network.input(np.array([0, 0, 1, -np.inf], np.float32))
    operations = trt.ElementWiseOperation
    kinds = (operations.DIV, operations.MAX, operations.SUB)
    network.mark(*(network.definition.add_elementwise(x, y, kind).get_output(0) for kind in kinds))
    quotient, largest, difference = network.run()
    np.testing.assert_array_equal(quotient, [np.inf, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(largest, [1, 0, np.nan, -np.inf])
    np.testing.assert_array_equal(difference, [1, 0, np.nan, np.nan])


UNARY: dict[str, Callable[[Any], Any]] = {
    "EXP": math.exp,
    "LOG": math.log,
    "SQRT": math.sqrt,
    "RECIP": lambda x: 1 / x,
    "ABS": abs,
    "NEG": lambda x: -x,
    "SIN": math.sin,
    "COS": math.cos,
    "TAN": math.tan,
    "SINH": math.sinh,
    "COSH": math.cosh,
    "ASIN": math.asin,
    "ACOS": math.acos,
    "ATAN": math.atan,
    "ASINH": math.asinh,
    "ACOSH": math.acosh,
    "ATANH": math.atanh,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "ERF": math.erf,
    "NOT": lambda x: not x,
    "SIGN": lambda x: (x > 0) - (x < 0),
    "ROUND": round,
    "ISINF": lambda x: False,
    "ISNAN": lambda x: False,
}
POSITIVE = ("LOG", "SQRT", "RECIP", "ACOSH")
WITHIN_ONE = ("ASIN", "ACOS", "ATANH")


@pytest.mark.parametrize("name", trt.UnaryOperation.__members__)
@given(data=st.data())
@examples
def test_a_unary_operation_is_that_of_the_real_number_rounded(name: str, data: Any) -> None:
    """Within two units of the last place of the type in float32, and one in the narrow ones."""
    wanted_types = {"NOT": st.just("bool"), "ABS": number_types, "NEG": number_types, "SIGN": number_types}
    low, high = (1, 4) if name in POSITIVE else (-0.75, 0.75) if name in WITHIN_ONE else (-4, 4)
    x = data.draw(arrays(shapes, wanted_types.get(name, float_types), low=low, high=high))
    network = SmallNetwork()
    got = result_of(network.definition.add_unary(network.input(x), getattr(trt.UnaryOperation, name)), network)
    expected = exact_or_rounded(UNARY[name], x)
    if x.dtype.kind in "ib" or name in ("ISINF", "ISNAN"):
        same_values(got, expected.astype(np.bool_ if name in ("NOT", "ISINF", "ISNAN") else x.dtype))
    else:
        assert got.dtype == x.dtype
        wanted = expected.astype(np.float64)
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=5 * UNIT[str(x.dtype)], atol=1e-30)


def test_isinf_and_isnan_find_them() -> None:
    """They are the only operations that give booleans of floating numbers."""
    network = SmallNetwork()
    x = network.input(np.array([np.inf, -np.inf, np.nan, 0], np.float16))
    operations = (trt.UnaryOperation.ISINF, trt.UnaryOperation.ISNAN)
    network.mark(*(network.definition.add_unary(x, operation).get_output(0) for operation in operations))
    infinite, missing = network.run()
    assert infinite.tolist() == [True, True, False, False]
    assert missing.tolist() == [False, False, True, False]


ACTIVATIONS: dict[str, Callable[[float, float, float], float]] = {
    "RELU": lambda x, a, b: max(x, 0),
    "SIGMOID": lambda x, a, b: 1 / (1 + math.exp(-x)),
    "TANH": lambda x, a, b: math.tanh(x),
    "LEAKY_RELU": lambda x, a, b: x if x >= 0 else a * x,
    "ELU": lambda x, a, b: x if x >= 0 else a * (math.exp(x) - 1),
    "SELU": lambda x, a, b: b * x if x > 0 else b * (a * math.exp(x) - a),
    "SOFTSIGN": lambda x, a, b: x / (1 + abs(x)),
    "SOFTPLUS": lambda x, a, b: a * math.log(math.exp(b * x) + 1),
    "CLIP": lambda x, a, b: max(a, min(b, x)),
    "HARD_SIGMOID": lambda x, a, b: max(0, min(1, a * x + b)),
    "SCALED_TANH": lambda x, a, b: a * math.tanh(b * x),
    "THRESHOLDED_RELU": lambda x, a, b: x if x > a else 0,
    "GELU_ERF": lambda x, a, b: 0.5 * x * (1 + math.erf(math.sqrt(0.5) * x)),
    "GELU_TANH": lambda x, a, b: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (0.044715 * x**3 + x))),
}


@pytest.mark.parametrize("name", trt.ActivationType.__members__)
@given(x=arrays(dtype=float_types), alpha=st.sampled_from([0.25, 0.5, 1.5]), beta=st.sampled_from([0.75, 2.0]))
@examples
def test_an_activation_is_its_formula(name: str, x: Array, alpha: float, beta: float) -> None:
    """With alpha and beta where it has them, computed in float32 and rounded once."""
    network = SmallNetwork()
    layer = network.definition.add_activation(network.input(x), getattr(trt.ActivationType, name))
    layer.alpha, layer.beta = alpha, beta
    got = result_of(layer, network)
    assert got.dtype == x.dtype
    expected = exact_or_rounded(lambda number: ACTIVATIONS[name](number, alpha, beta), x).astype(np.float64)
    # Near zero the formulas cancel: an absolute error of some units of float32 is in them.
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=6 * UNIT[str(x.dtype)], atol=1e-6)


@pytest.mark.parametrize("name", ["SIGMOID", "SOFTPLUS", "TANH"])
def test_an_activation_of_a_large_number_does_not_overflow_on_the_way(name: str) -> None:
    """exp(1000) is infinite in float32, and no activation is."""
    network = SmallNetwork()
    x = network.input(np.array([-1000, 1000], np.float32))
    layer = network.definition.add_activation(x, getattr(trt.ActivationType, name))
    expected = {"SIGMOID": [0, 1], "SOFTPLUS": [0, 1000], "TANH": [-1, 1]}[name]
    assert result_of(layer, network).tolist() == expected


@given(data=st.data())
@examples
def test_a_parametric_relu_multiplies_what_is_negative_by_its_slope(data: Any) -> None:
    """The slopes are repeated as an elementwise input is."""
    x_shape, slope_shape = data.draw(broadcast_shapes(2))
    full = np.broadcast_shapes(x_shape, slope_shape)
    x, slopes = data.draw(arrays(full, "float32")), data.draw(arrays(slope_shape, "float32"))
    if x.ndim == 0:
        x, slopes = x.reshape(1), slopes.reshape(1)
    network = SmallNetwork()
    got = result_of(network.definition.add_parametric_relu(network.input(x), network.input(slopes)), network)
    same_values(got, np.where(x < 0, x * slopes, x))


@given(data=st.data(), dtype=all_types)
@examples
def test_select_takes_the_first_where_the_condition_holds(data: Any, dtype: str) -> None:
    """All three inputs are broadcast."""
    chosen, x_shape, y_shape = data.draw(broadcast_shapes(3))
    condition = data.draw(arrays(chosen, "bool"))
    x, y = data.draw(arrays(x_shape, dtype)), data.draw(arrays(y_shape, dtype))
    network = SmallNetwork()
    layer = network.definition.add_select(network.input(condition), network.input(x), network.input(y))
    got = result_of(layer, network)
    expected = np.empty(np.broadcast_shapes(chosen, x_shape, y_shape), x.dtype)
    for index in np.ndindex(expected.shape):
        at = [tuple(i if n > 1 else 0 for i, n in zip(index, shape)) for shape in (chosen, x_shape, y_shape)]
        expected[index] = x[at[1]] if condition[at[0]] else y[at[2]]
    same_values(got, expected)


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(TYPES, 2)))
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_a_cast_keeps_the_number_or_cuts_it_towards_zero(source: str, target: str, data: Any) -> None:
    """Between all types; what is not zero becomes True."""
    x = data.draw(arrays(shapes, source))
    network = SmallNetwork()
    got = result_of(network.definition.add_cast(network.input(x), TYPES[target]), network)
    kind: Any = bool if target == "bool" else int if target.startswith("int") else float
    expected = np.array([kind(number) for number in x.reshape(-1)], dtype=DTYPES[target]).reshape(x.shape)
    same_values(got, expected)


@given(x=arrays(dtype=all_types))
@examples
def test_an_identity_gives_its_input(x: Array) -> None:
    """In every type."""
    network = SmallNetwork()
    same_values(result_of(network.definition.add_identity(network.input(x)), network), x)


OPERATIONS = ("NONE", "TRANSPOSE", "VECTOR")


@pytest.mark.parametrize(("left", "right"), list(itertools.product(OPERATIONS, repeat=2)))
@given(data=st.data())
@examples
def test_a_matrix_product_is_the_sum_of_products(left: str, right: str, data: Any) -> None:
    """With transposes, vectors, and batch dimensions that are equal or 1; exact, as the numbers are small."""
    m, k, n = (data.draw(st.integers(1, 4)) for _ in range(3))
    a_batch, b_batch = data.draw(broadcast_shapes(2))
    dtype = data.draw(st.sampled_from(["float32", "float16"]))
    a_shape = {"NONE": (m, k), "TRANSPOSE": (k, m), "VECTOR": (k,)}[left]
    b_shape = {"NONE": (k, n), "TRANSPOSE": (n, k), "VECTOR": (k,)}[right]
    a, b = data.draw(arrays((*a_batch, *a_shape), dtype)), data.draw(arrays((*b_batch, *b_shape), dtype))
    network = SmallNetwork()
    layer = network.definition.add_matrix_multiply(
        network.input(a), getattr(trt.MatrixOperation, left), network.input(b), getattr(trt.MatrixOperation, right)
    )
    letters = {"NONE": ("...mk", "...kn"), "TRANSPOSE": ("...km", "...nk"), "VECTOR": ("...k", "...k")}
    rows, columns = "" if left == "VECTOR" else "m", "" if right == "VECTOR" else "n"
    equation = f"{letters[left][0]},{letters[right][1]}->...{rows}{columns}"
    expected = np.einsum(equation, a.astype(np.float64), b.astype(np.float64))
    same_values(result_of(layer, network), np.asarray(expected).astype(a.dtype))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrow_product_is_summed_in_float32_and_rounded_once(dtype: str) -> None:
    """A sum of 4096 ones stops at 2048 in float16 and at 256 in bfloat16, if every addition is rounded."""
    network = SmallNetwork()
    x, y = np.ones((1, 4096), DTYPES[dtype]), np.ones((4096, 1), DTYPES[dtype])
    plain = trt.MatrixOperation.NONE
    layer = network.definition.add_matrix_multiply(network.input(x), plain, network.input(y), plain)
    same_values(result_of(layer, network), np.array([[4096]], DTYPES[dtype]))


@given(data=st.data())
@examples
def test_an_einsum_is_that_of_numpy(data: Any) -> None:
    """A batch of products, an outer product and a trace-like sum."""
    equation, first, second = data.draw(
        st.sampled_from([("bij,bjk->bik", "bij", "bjk"), ("i,j->ij", "i", "j"), ("ij,ij->", "ij", "ij")])
    )
    sizes = {letter: data.draw(st.integers(1, 4)) for letter in "bijk"}
    a = data.draw(arrays(tuple(sizes[letter] for letter in first), "float32"))
    b = data.draw(arrays(tuple(sizes[letter] for letter in second), "float32"))
    network = SmallNetwork()
    layer = network.definition.add_einsum([network.input(a), network.input(b)], equation)
    same_values(result_of(layer, network), np.asarray(np.einsum(equation, a, b)))


@given(x=arrays(dtype=all_types))
@examples
def test_a_shape_layer_gives_the_sizes_of_now(x: Array) -> None:
    """As int64, with a dynamic shape too."""
    network = SmallNetwork()
    got = result_of(network.definition.add_shape(network.input(x, (-1,) * x.ndim)), network)
    same_values(got, np.array(x.shape, np.int64))


@given(data=st.data())
@examples
def test_a_shuffle_transposes_reshapes_and_transposes(data: Any) -> None:
    """With the new shape as an attribute or as an input, whole, or with a -1 or a 0 in it."""
    x = data.draw(arrays())
    first = data.draw(st.permutations(range(x.ndim)))
    turned = x.transpose(first)
    sizes = data.draw(st.permutations([*turned.shape, 1]).flatmap(lambda each: st.sampled_from([each, [x.size]])))
    asked = list(sizes)
    place = data.draw(st.integers(0, len(asked) - 1))
    special = data.draw(st.sampled_from([None, -1, 0]))
    if special == -1 or (special == 0 and place < x.ndim and turned.shape[place] == asked[place]):
        asked[place] = special
    second = data.draw(st.permutations(range(len(sizes))))
    network = SmallNetwork()
    layer = network.definition.add_shuffle(network.input(x))
    layer.first_transpose = tuple(first)
    layer.second_transpose = tuple(second)
    if data.draw(st.booleans()):
        layer.set_input(1, network.constant(asked, np.int32))
    else:
        layer.reshape_dims = tuple(asked)
    same_values(result_of(layer, network), turned.reshape(sizes).transpose(second))


def test_a_shuffle_makes_a_scalar() -> None:
    """As the count of a loop has to be: an empty new shape is none of no change."""
    network = SmallNetwork()
    layer = network.definition.add_shuffle(network.input(np.array([7], np.int32)))
    layer.reshape_dims = ()
    same_values(result_of(layer, network), np.array(7, np.int32))


def test_a_zero_in_a_new_shape_is_a_size_where_it_is_no_placeholder() -> None:
    """Without ``zero_is_placeholder``, it makes an empty tensor."""
    network = SmallNetwork()
    layer = network.definition.add_shuffle(network.input(np.zeros((3, 0), np.float32)))
    layer.zero_is_placeholder = False
    layer.reshape_dims = (0, 5)
    assert result_of(layer, network).shape == (0, 5)


@given(x=arrays(), data=st.data())
@examples
def test_unsqueeze_and_squeeze_are_inverse(x: Array, data: Any) -> None:
    """Axes may be counted from the end."""
    rank = x.ndim + 2
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=2, max_size=2, unique=True))
    asked = np.array([axes[0], axes[1] - rank], np.int32)
    network = SmallNetwork()
    wide = network.definition.add_unsqueeze(network.input(x), network.constant(asked)).get_output(0)
    narrow = network.definition.add_squeeze(wide, network.constant(asked)).get_output(0)
    network.mark(wide, narrow)
    with_ones, back = network.run()
    same_values(with_ones, np.expand_dims(x, tuple(int(axis) for axis in asked)))
    same_values(back, x)


def test_a_squeeze_without_axes_takes_what_is_declared_as_one() -> None:
    """A dynamic dimension stays, and has no meaning where it is 1."""
    network = SmallNetwork()
    x = np.ones((1, 3, 1, 2), np.float32)
    network.mark(network.definition.add_squeeze(network.input(x, (1, -1, 1, 2))).get_output(0))
    assert network.run().shape == (3, 2)
    network.given["in0"] = x[:, :1]
    with pytest.raises(InterpreterError, match="a dynamic dimension of the input .* is 1, but should not be"):
        network.run()


@given(data=st.data(), dtype=all_types)
@examples
def test_a_concatenation_puts_its_inputs_one_behind_the_other(data: Any, dtype: str) -> None:
    """Along any axis; they may differ in it."""
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    axis = data.draw(st.integers(0, len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    parts = [data.draw(arrays((*shape[:axis], n, *shape[axis + 1 :]), dtype)) for n in lengths]
    network = SmallNetwork()
    layer = network.definition.add_concatenation([network.input(part) for part in parts])
    layer.axis = axis
    same_values(result_of(layer, network), np.concatenate(parts, axis))


@given(data=st.data())
@examples
def test_a_reverse_sequence_turns_the_first_steps_of_each_row(data: Any) -> None:
    """As many as its length says; the axes may be either way round."""
    steps, batch = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    x = data.draw(arrays((steps, batch, 2), "float32"))
    lengths = np.array(data.draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch)), np.int32)
    batch_first = data.draw(st.booleans())
    network = SmallNetwork()
    given_x = x.swapaxes(0, 1).copy() if batch_first else x
    layer = network.definition.add_reverse_sequence(network.input(given_x), network.input(lengths))
    layer.batch_axis, layer.sequence_axis = (0, 1) if batch_first else (1, 0)
    expected = x.copy()
    for row, n in enumerate(lengths):
        expected[:n, row] = x[:n, row][::-1]
    same_values(result_of(layer, network), expected.swapaxes(0, 1) if batch_first else expected)


def place_in(mode: str, index: int, n: int) -> int | None:
    """Where an index of any size reads, None where it reads the filling."""
    if mode == "WRAP":
        return index % n
    if mode == "CLAMP":
        return min(max(index, 0), n - 1)
    if mode == "REFLECT":
        while n > 1 and not 0 <= index < n:
            index = -index if index < 0 else 2 * (n - 1) - index
        return index if n > 1 else 0
    return index if 0 <= index < n else None


@pytest.mark.parametrize("mode", trt.SampleMode.__members__)
@given(data=st.data())
@examples
def test_a_slice_reads_where_its_mode_says(mode: str, data: Any) -> None:
    """Start, size and stride as attributes or as inputs; strides of any sign, and zero."""
    x = data.draw(arrays(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)))
    strict = mode == "STRICT_BOUNDS"
    starts, sizes, strides = [], [], []
    for n in x.shape:
        stride = data.draw(st.integers(-2, 2))
        start = data.draw(st.integers(0, n - 1) if strict else st.integers(-7, 7))
        room = 4 if not strict or stride == 0 else (n - 1 - start if stride > 0 else start) // abs(stride) + 1
        starts.append(start)
        sizes.append(data.draw(st.integers(0, min(4, room))))
        strides.append(stride)
    network = SmallNetwork()
    layer = network.definition.add_slice(network.input(x), tuple(starts), tuple(sizes), tuple(strides))
    layer.mode = getattr(trt.SampleMode, mode)
    for index, numbers in enumerate((starts, sizes, strides), start=1):
        if data.draw(st.booleans()):
            layer.set_input(index, network.constant(numbers, data.draw(st.sampled_from([np.int32, np.int64]))))
    filling = x.dtype.type(0)
    if mode == "FILL" and data.draw(st.booleans()):
        filling = x.dtype.type(3)
        layer.set_input(4, network.input(np.array(3, x.dtype)))
    expected = np.empty(sizes, x.dtype)
    for place in np.ndindex(*sizes):
        places = [place_in(mode, a + i * d, n) for a, i, d, n in zip(starts, place, strides, x.shape)]
        expected[place] = filling if None in places else x[tuple(places)]
    same_values(result_of(layer, network), expected)


def test_a_slice_of_some_axes_leaves_the_others_whole() -> None:
    """As the class reference's own example does."""
    network = SmallNetwork()
    x = np.array([[0, 2, 4], [1, 3, 5]], np.float32)
    layer = network.definition.add_slice(network.input(x), (1,), (2,), (1,))
    layer.axes = (1,)
    same_values(result_of(layer, network), np.array([[2, 4], [3, 5]], np.float32))


@pytest.mark.parametrize("shared", [0, 1])
@given(data=st.data())
@examples
def test_a_gather_along_an_axis_puts_the_indices_in_its_place(shared: int, data: Any) -> None:
    """Of any rank, scalars too; an index of -1 is the last element, and zero stands for an element outside."""
    x = data.draw(arrays(st.lists(st.integers(1, 4), min_size=1 + shared, max_size=3).map(tuple)))
    axis = data.draw(st.integers(shared, x.ndim - 1))
    n = x.shape[axis]
    shape = (x.shape[0],) * shared + tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    indices = np.asarray(data.draw(arrays_of.arrays(np.int32, shape, elements=st.integers(-n, n + 1))))
    network = SmallNetwork()
    layer = network.definition.add_gather(network.input(x), network.input(indices), axis)
    layer.num_elementwise_dims = shared
    got = result_of(layer, network)
    padded = np.concatenate([x, np.zeros_like(x.take([0, 0], axis))], axis)
    places = np.where(indices < 0, indices + n, indices)
    if shared:
        expected = np.stack([row.take(at, axis - 1) for row, at in zip(padded, places)])
    else:
        expected = padded.take(places, axis)
    same_values(got, expected)


@given(data=st.data())
@examples
def test_a_gather_of_elements_moves_along_its_axis_only(data: Any) -> None:
    """``y[i, j] = x[indices[i, j], j]``, and likewise along the other axes; the indices may be fewer."""
    x = data.draw(arrays(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)))
    axis = data.draw(st.integers(0, x.ndim - 1))
    shape = tuple(data.draw(st.integers(1, 4 if place == axis else n)) for place, n in enumerate(x.shape))
    n = x.shape[axis]
    indices = np.asarray(data.draw(arrays_of.arrays(np.int64, shape, elements=st.integers(-n, n))))
    network = SmallNetwork()
    layer = network.definition.add_gather_v2(network.input(x), network.input(indices), trt.GatherMode.ELEMENT)
    layer.axis = axis
    expected = np.zeros(shape, x.dtype)
    for index in np.ndindex(shape):
        place = int(indices[index])
        if place < n:
            expected[index] = x[(*index[:axis], place, *index[axis + 1 :])]
    same_values(result_of(layer, network), expected)


@given(data=st.data())
@examples
def test_a_gather_by_subscripts_reads_what_each_of_them_names(data: Any) -> None:
    """With dimensions in front that both have in common, and slices where a subscript is shorter than the rank."""
    x = data.draw(arrays(st.lists(st.integers(1, 3), min_size=2, max_size=4).map(tuple)))
    shared = data.draw(st.integers(0, x.ndim - 2))
    depth = data.draw(st.integers(1, x.ndim - shared))
    places = tuple(data.draw(st.lists(st.integers(1, 3), max_size=1)))
    shape = (*x.shape[:shared], *places, depth)
    columns = [
        np.asarray(data.draw(arrays_of.arrays(np.int32, shape[:-1], elements=st.integers(-n, n))))
        for n in x.shape[shared : shared + depth]
    ]
    indices = np.stack(columns, -1)
    network = SmallNetwork()
    layer = network.definition.add_gather_v2(network.input(x), network.input(indices), trt.GatherMode.ND)
    layer.num_elementwise_dims = shared
    expected = np.zeros((*shape[:-1], *x.shape[shared + depth :]), x.dtype)
    for index in np.ndindex(*shape[:-1]):
        subscript = tuple(int(place) for place in indices[index])
        if all(place < n for place, n in zip(subscript, x.shape[shared:])):
            expected[index] = x[index[:shared] + subscript]
    same_values(result_of(layer, network), expected)


@given(data=st.data())
@examples
def test_a_scatter_writes_where_a_gather_would_read(data: Any) -> None:
    """Each place once; the rest stays."""
    x = data.draw(arrays(st.tuples(st.integers(2, 4), st.integers(2, 4)), "float32"))
    rows = data.draw(st.permutations(range(x.shape[0])))[:2]
    updates = data.draw(arrays((2, x.shape[1]), "float32"))
    expected = x.copy()
    for row, values in zip(rows, updates):
        expected[row] = values
    by_subscript, by_element = SmallNetwork(), SmallNetwork()
    indices = np.array(rows, np.int32)[:, None]
    given = [by_subscript.input(each) for each in (x, indices, updates)]
    same_values(result_of(by_subscript.definition.add_scatter(*given, trt.ScatterMode.ND), by_subscript), expected)
    indices = np.repeat(indices, x.shape[1], 1)
    given = [by_element.input(each) for each in (x, indices, updates)]
    layer = by_element.definition.add_scatter(*given, trt.ScatterMode.ELEMENT)
    layer.axis = 0
    same_values(result_of(layer, by_element), expected)


@given(data=st.data(), axis=st.integers(-1, 1))
@examples
def test_a_one_hot_is_on_at_the_index(data: Any, axis: int) -> None:
    """Along a new axis in any place."""
    indices = np.asarray(data.draw(arrays_of.arrays(np.int32, (3,), elements=st.integers(0, 3))))
    network = SmallNetwork()
    values, depth = network.input(np.array([-1, 5], np.float32)), network.constant(4, np.int32)
    layer = network.definition.add_one_hot(network.input(indices), values, depth, axis)
    expected = np.where(np.eye(4, dtype=np.bool_)[indices], np.float32(5), np.float32(-1))
    same_values(result_of(layer, network), expected.T if axis == 0 else expected)


@given(x=arrays(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), "float32"))
@examples
def test_non_zero_lists_the_indices_in_order(x: Array) -> None:
    """One column for each element that is not zero."""
    network = SmallNetwork()
    layer = network.definition.add_non_zero(network.input(x))
    expected = [index for index in np.ndindex(x.shape) if x[index] != 0]
    same_values(result_of(layer, network), np.array(expected, np.int32).reshape(-1, x.ndim).T)


REDUCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "SUM": sum,
    "PROD": math.prod,
    "MAX": max,
    "MIN": min,
    "AVG": lambda each: sum(each) / len(each),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
@examples
def test_a_reduction_goes_over_the_axes_of_its_mask(name: str, data: Any) -> None:
    """Of any number, which stay as dimensions of 1 or go; an average of integers is cut towards zero."""
    x = data.draw(arrays(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)))
    axes = data.draw(st.sets(st.integers(0, x.ndim - 1), min_size=1))
    keep = data.draw(st.booleans())
    network = SmallNetwork()
    operation, mask = getattr(trt.ReduceOperation, name), sum(1 << axis for axis in axes)
    got = result_of(network.definition.add_reduce(network.input(x), operation, mask, keep), network)
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    groups: dict[tuple[int, ...], list[Any]] = {}
    for index in np.ndindex(x.shape):
        where = tuple(0 if axis in axes else i for axis, i in enumerate(index))
        groups.setdefault(where, []).append(int(x[index]) if x.dtype.kind == "i" else float(x[index]))
    values = {where: REDUCTIONS[name](each) for where, each in groups.items()}
    assume(x.dtype != np.float16 or max(map(abs, values.values())) < 2.0**15)  # where float16 ends
    expected = np.empty(kept, x.dtype)
    for where, value in values.items():
        expected[where] = int(value) if x.dtype.kind == "i" else value
    if not keep:
        expected = expected.reshape([n for axis, n in enumerate(x.shape) if axis not in axes])
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    unit = UNIT.get(str(x.dtype), 0)
    exact = name in ("SUM", "MAX", "MIN") or x.dtype.kind == "i"
    np.testing.assert_allclose(
        got.astype(np.float64), expected.astype(np.float64), rtol=0 if exact else 4 * unit, atol=0
    )


def test_a_reduction_of_nothing_gives_the_neutral_number() -> None:
    """0, 1, -inf, inf and NaN, after the table of the class reference."""
    network = SmallNetwork()
    x = network.input(np.zeros((0, 2), np.float32))
    operations = [getattr(trt.ReduceOperation, name) for name in REDUCTIONS]
    network.mark(*(network.definition.add_reduce(x, each, 1, False).get_output(0) for each in operations))
    np.testing.assert_array_equal([each[0] for each in network.run()], [0, 1, -np.inf, np.inf, np.nan])


@given(x=arrays(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), float_types), data=st.data())
@examples
def test_a_softmax_gives_shares_of_one(x: Array, data: Any) -> None:
    """Along the axis whose bit is set."""
    axis = data.draw(st.integers(0, x.ndim - 1))
    network = SmallNetwork()
    layer = network.definition.add_softmax(network.input(x))
    layer.axes = 1 << axis
    powers = np.exp(x.astype(np.float64))
    got = result_of(layer, network)
    assert got.dtype == x.dtype
    expected = powers / powers.sum(axis, keepdims=True)
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=8 * UNIT[str(x.dtype)])


@pytest.mark.parametrize("name", ["MAX", "MIN"])
@given(x=arrays(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple), "float32"), data=st.data())
@examples
def test_topk_sorts_the_first_k(name: str, x: Array, data: Any) -> None:
    """And says where they stood; of equal ones, the first comes first."""
    axis = data.draw(st.integers(0, x.ndim - 1))
    k = data.draw(st.integers(1, x.shape[axis]))
    network = SmallNetwork()
    layer = network.definition.add_topk(network.input(x), getattr(trt.TopKOperation, name), k, 1 << axis)
    values, indices = result_of(layer, network)
    signs = -1 if name == "MAX" else 1
    order = np.argsort(signs * x, axis, kind="stable").take(np.arange(k), axis)
    same_values(indices, order.astype(np.int32))
    same_values(values, np.take_along_axis(x, order, axis))


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@given(x=arrays(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)), data=st.data())
@examples
def test_a_cumulative_sum_adds_what_came_before(exclusive: bool, backwards: bool, x: Array, data: Any) -> None:
    """With the element itself or without it, from either end."""
    axis = data.draw(st.integers(0, x.ndim - 1))
    network = SmallNetwork()
    layer = network.definition.add_cumulative(
        network.input(x), network.constant(axis, np.int32), trt.CumulativeOperation.SUM, exclusive, backwards
    )
    wide = np.moveaxis(x.astype(np.float64), axis, 0)
    sums = np.zeros_like(wide)
    for j in range(len(wide)):
        before = wide[j + exclusive :] if backwards else wide[: j + 1 - exclusive]
        sums[j] = before.sum(0)
    same_values(result_of(layer, network), np.moveaxis(sums, 0, axis).astype(x.dtype))


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_a_linspace_is_affine_in_its_indices(dtype: str) -> None:
    """The class reference's example: alpha 1 and beta (100, 10) over 3 by 4, as inputs."""
    network = SmallNetwork()
    layer = network.definition.add_fill((1, 1), trt.FillOperation.LINSPACE, TYPES[dtype])
    layer.set_input(0, network.constant([3, 4], np.int32))
    layer.set_input(1, network.constant(1, dtype))
    layer.set_input(2, network.constant([100, 10], dtype))
    expected = [[1, 11, 21, 31], [101, 111, 121, 131], [201, 211, 221, 231]]
    same_values(result_of(layer, network), np.array(expected, dtype))


def test_a_linspace_has_a_shape_alpha_and_beta_of_its_own() -> None:
    """As attributes, in one dimension."""
    network = SmallNetwork()
    layer = network.definition.add_fill((4,), trt.FillOperation.LINSPACE, trt.float32)
    layer.alpha, layer.beta = 0.5, 2.0
    same_values(result_of(layer, network), np.array([0.5, 2.5, 4.5, 6.5], np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int64", "bool"])
def test_a_constant_is_its_weights(dtype: str) -> None:
    """In its shape, and unmoved by a later change of the array it was made from."""
    array = np.array([[1, 0, 1], [0, 1, 1]], dtype)
    network = SmallNetwork()
    constant = network.definition.add_constant(array.shape, array)
    network.mark(network.definition.add_identity(constant.get_output(0)).get_output(0))
    program = Program(network.definition)
    expected = array.copy()
    array[:] = 1 - array.astype(np.int32)
    same_values(program.run({})["out0"], expected)


def test_an_assertion_that_does_not_hold_says_its_message() -> None:
    """Though nothing depends on it."""
    network = SmallNetwork()
    sizes = network.definition.add_shape(network.input(np.zeros((2, 3), np.float32), (-1, -1))).get_output(0)
    equal = network.definition.add_elementwise(
        sizes, network.constant([2, 2], np.int64), trt.ElementWiseOperation.EQUAL
    ).get_output(0)
    network.definition.add_assertion(equal, "two by two")
    network.mark(sizes)
    with pytest.raises(InterpreterError, match="the assertion does not hold: two by two"):
        network.run()


Layer = Callable[[SmallNetwork], Any]
SUM = trt.ElementWiseOperation.SUM
PLAIN = trt.MatrixOperation.NONE


def ones(network: SmallNetwork, *shape: int, dtype: Any = np.float32) -> Any:
    return network.input(np.ones(shape, dtype))


REFUSED: dict[str, tuple[Layer, str]] = {
    "ranks of an elementwise": (
        lambda n: n.definition.add_elementwise(ones(n, 2, 3), ones(n, 3), SUM),
        r"shapes \(2, 3\) and \(3,\), but should have one number of dimensions",
    ),
    "sizes of an elementwise": (
        lambda n: n.definition.add_elementwise(ones(n, 2, 3), ones(n, 2, 4), SUM),
        r"shapes \(2, 3\) and \(2, 4\), but each dimension should be equal, or 1 in one",
    ),
    "types of an elementwise": (
        lambda n: n.definition.add_elementwise(ones(n, 2), ones(n, 2, dtype=np.float16), SUM),
        "the inputs are float32 and float16, but should be of one type",
    ),
    "a logical operation of numbers": (
        lambda n: n.definition.add_elementwise(ones(n, 2), ones(n, 2), trt.ElementWiseOperation.AND),
        "the input is float32, but should be bool",
    ),
    "a function of integers": (
        lambda n: n.definition.add_unary(ones(n, 2, dtype=np.int32), trt.UnaryOperation.EXP),
        "the input is int32, but should be floating",
    ),
    "inner sizes of a product": (
        lambda n: n.definition.add_matrix_multiply(ones(n, 2, 3), PLAIN, ones(n, 4, 5), PLAIN),
        r"\(2, 3\) \(NONE\) and \(4, 5\) \(NONE\) meet in 3 columns and 4 rows, but these should be as many",
    ),
    "ranks of a product": (
        lambda n: n.definition.add_matrix_multiply(ones(n, 2, 3), PLAIN, ones(n, 6, 3, 5), PLAIN),
        "should have as many dimensions before their matrices",
    ),
    "batches of a product": (
        lambda n: n.definition.add_matrix_multiply(ones(n, 2, 2, 3), PLAIN, ones(n, 3, 3, 5), PLAIN),
        "should agree in each dimension before their matrices, or have 1 there",
    ),
    "a vector where a matrix is wanted": (
        lambda n: n.definition.add_matrix_multiply(ones(n, 3), PLAIN, ones(n, 3, 5), PLAIN),
        r"an input \(3,\) \(NONE\) should have at least 2 dimensions",
    ),
    "a slice beyond its bounds": (
        lambda n: n.definition.add_slice(ones(n, 4), (2,), (3,), (1,)),
        r"the indices 2 to 4 of dimension 0 should be in 0\.\.3",
    ),
    "a slice of a negative size": (
        lambda n: sliced_to(n, ones(n, 4), -1),
        r"the size is \(-1,\), but should be at least 0 in each dimension",
    ),
    "a new shape of another size": (
        lambda n: reshaped(n, ones(n, 2, 3), (4, 2)),
        r"the new shape \(4, 2\) does not hold the 6 elements of shape \(2, 3\)",
    ),
    "a concatenation of different sizes": (
        lambda n: n.definition.add_concatenation([ones(n, 2, 3), ones(n, 2, 4)]),
        r"shapes \(2, 3\) and \(2, 4\), but should be equal in all dimensions but 0",
    ),
    "a condition of numbers": (
        lambda n: n.definition.add_select(ones(n, 2), ones(n, 2), ones(n, 2)),
        "the condition is float32, but should be bool",
    ),
    "a random fill": (
        lambda n: n.definition.add_fill((2,), trt.FillOperation.RANDOM_UNIFORM, trt.float32),
        "the operation RANDOM_UNIFORM is not evaluated",
    ),
}


def sliced_to(network: SmallNetwork, x: Any, size: int) -> Any:
    layer = network.definition.add_slice(x, (0,), (1,), (1,))
    layer.set_input(2, network.input(np.array([size], np.int32)))
    return layer


def reshaped(network: SmallNetwork, x: Any, shape: tuple[int, ...]) -> Any:
    layer = network.definition.add_shuffle(x)
    layer.reshape_dims = shape
    return layer


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_valid_is_refused_in_one_sentence(case: str) -> None:
    """The sentence opens with the layer, and says what is wrong and what would be right."""
    make, sentence = REFUSED[case]
    network = SmallNetwork()
    layer = make(network)
    layer.name = "the layer"
    with pytest.raises(InterpreterError, match=f"^[a-z_]+ layer 'the layer': .*{sentence}"):
        result_of(layer, network)


def test_a_layer_of_a_kind_that_is_not_evaluated_is_named() -> None:
    """Its kind, its name, and the kinds there are."""
    network = SmallNetwork()
    layer = network.definition.add_pooling_nd(ones(network, 1, 1, 4, 4), trt.PoolingType.MAX, (2, 2))
    layer.name = "the pool"
    with pytest.raises(InterpreterError, match="^pooling layer 'the pool' is of a kind that is not evaluated.*UNARY"):
        result_of(layer, network)


def test_a_layer_that_nothing_depends_on_is_not_evaluated() -> None:
    """Even one that could not be."""
    network = SmallNetwork()
    x = np.ones((1, 1, 4, 4), np.float32)
    tensor = network.input(x)
    network.definition.add_pooling_nd(tensor, trt.PoolingType.MAX, (2, 2))
    same_values(result_of(network.definition.add_identity(tensor), network), x)


def test_inputs_are_checked_against_the_network() -> None:
    """Names, types and shapes, each with its sentence; nothing is coerced."""
    network = SmallNetwork()
    x = np.ones((2, 3), np.float32)
    network.mark(network.definition.add_identity(network.input(x, (-1, 3))).get_output(0))
    program = Program(network.definition)
    assert program.run({"in0": np.ones((5, 3), np.float32)})["out0"].shape == (5, 3)
    with pytest.raises(InterpreterError, match=r"input 'in0' is missing, but should be float32 of shape \(-1, 3\)"):
        program.run({})
    with pytest.raises(InterpreterError, match="the network has no input 'x', but 'in0'"):
        program.run({"in0": x, "x": x})
    for wrong in (x.astype(np.float64), np.ones((2, 4), np.float32), np.ones(3, np.float32)):
        with pytest.raises(InterpreterError, match=r"input 'in0' is .*, but should be float32 of shape \(-1, 3\)"):
            program.run({"in0": wrong})
    with pytest.raises(InterpreterError, match="input 'in0' is a list, but should be a numpy array"):
        program.run({"in0": [1.0, 2.0]})  # type: ignore[dict-item]


def test_dimensions_of_one_name_have_one_size() -> None:
    """As TensorRT requires of its inputs."""
    network = SmallNetwork()
    x, y = (network.input(np.ones(2, np.float32), (-1,)) for _ in range(2))
    for tensor in (x, y):
        tensor.set_dimension_name(0, "batch")
    network.mark(network.definition.add_elementwise(x, y, SUM).get_output(0))
    assert network.run().shape == (2,)
    network.given["in1"] = np.ones(1, np.float32)
    with pytest.raises(InterpreterError, match="dimension 'batch' is 1 in input 'in1', but should be 2 as in 'in0'"):
        network.run()


def test_outputs_are_new_arrays_and_inputs_stay_as_they_are() -> None:
    """An output that is an input, or a view of one, is a copy."""
    network = SmallNetwork()
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    before = x.copy()
    tensor = network.input(x)
    network.mark(network.definition.add_identity(tensor).get_output(0), reshaped(network, tensor, (3, 2)).get_output(0))
    for output in network.run():
        assert not np.shares_memory(output, x)
        output[:] = -1
    same_values(x, before)


def test_evaluate_prepares_and_runs_at_once() -> None:
    """By the names of inputs and outputs."""
    network = SmallNetwork()
    x = np.arange(3, dtype=np.float32)
    network.mark(network.definition.add_activation(network.input(x), trt.ActivationType.RELU).get_output(0))
    assert list(evaluate(network.definition, {"in0": x})) == ["out0"]
