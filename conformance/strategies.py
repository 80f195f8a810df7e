"""Hypothesis strategies for cases within the capabilities of a backend.

Cases are constructed, never filtered. What can differ between two implementations is an index, an axis, a gate, a slot,
a flag, a length or a magnitude; so no two of these are equal by accident:

- B, T, I and H differ from one another, unless a coincidence is drawn; each of them is 1 now and then, and now and then
  next to a number that kernels block by, and now and then all of B, I and H fill whole blocks;
- every gate, direction, layer, row, step and state slot has numbers of its own;
- lengths are unsorted, with T, 1 and (where it is claimed) 0 among them, and none equal to T now and then;
- inputs, weights, biases and states have magnitudes of their own, from lost in rounding to saturating every gate;
- activations differ where their arguments lie, so :func:`sweeps` leads every gate through them.

Where numbers are equal nevertheless, or zero, in the examples that people write, a library may take that for a special
case; :func:`cases_that_repeat` and :func:`cases_with_zeros` have them.

Where a new shape costs a backend a compilation, sizes and features come together, from the table :data:`FEW_SHAPES`,
and everything else is drawn as ever.

A number is one byte of Hypothesis's own choice sequence, ``byte / 128 * scale``, exact in every dtype. Hypothesis often
leaves a block of bytes at zero, in half of the cases it generates and whenever it shrinks; so the byte is taken
together with a fixed one, another at each position, by which a zero byte stands for an eighth or a few, of either sign.
What a case shrinks to is therefore readable, and never empty. Dense numbers add a fixed fraction below the byte, so
that all the bits of the dtype are in use and no two numbers are equal.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from backends import Capabilities
from reference import GATES, Array, Case, Cell, Direction, Layer, Weights

MOST_BYTES = 4096
"""Half of what Hypothesis allows an example; larger cases go round their bytes."""

LARGE = {
    "T": (12, 16, 24, 40, 64),
    "H": (8, 15, 16, 17, 32, 33, 64, 65, 128, 129),
    "B": (8, 9, 16, 17, 32, 64, 65),
    "I": (8, 16, 31, 32, 64, 520),
    "L": (5,),
}
"""Sizes of what is large: long enough to forget, of whole blocks of a kernel and next to them, too many to add in few
bits. L is the number of layers, which otherwise is 3 at most."""

WHOLE = (8, 16, 24, 32)
"""Sizes of B, I and H where all of them fill blocks, as kernels of their own want it that work on whole tiles."""

PAST_A_BYTE = {"T": (256, 513, 1025), "H": (256, 320, 513, 513), "B": (256, 320, 513), "I": (257, 512, 1025)}
"""Sizes that a byte does not count, and a block of 256 threads does not hold, nor perhaps one of 512 or 1024."""

PAST_TWO_BYTES = {"B": 57, "T": 61, "H": 19}
"""Of a y with more elements than two bytes count, in one direction."""

SWEPT = (5, 9, 11)
"""B, T and H of a case that sweeps an activation: some five hundred points."""

GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples modulo 1 are spread evenly and never repeat."""


class Shape(NamedTuple):
    """All that is compiled for, but the dtype, the cell with its variant, and the input mode."""

    batch: int
    steps: int
    input_size: int
    hidden_size: int
    num_layers: int
    direction: Direction
    lengths: bool
    """Whether they are given."""
    states: bool
    """Whether they are given."""
    bias: bool


FEW_SHAPES = (
    # B, T, I, H, layers, direction, lengths, states, bias
    Shape(1, 3, 2, 4, 1, Direction.FORWARD, False, False, True),
    Shape(2, 4, 3, 8, 3, Direction.FORWARD, False, True, True),
    Shape(3, 5, 4, 1, 1, Direction.FORWARD, True, False, False),
    Shape(5, 4, 2, 6, 2, Direction.FORWARD, True, True, True),
    Shape(4, 3, 1, 5, 1, Direction.REVERSE, False, False, True),
    Shape(2, 3, 6, 7, 2, Direction.REVERSE, False, True, False),
    Shape(3, 6, 5, 4, 3, Direction.REVERSE, True, False, True),
    Shape(4, 24, 2, 16, 1, Direction.REVERSE, True, True, True),
    Shape(3, 2, 6, 3, 1, Direction.BIDIRECTIONAL, False, False, True),
    Shape(9, 1, 2, 17, 1, Direction.BIDIRECTIONAL, False, True, True),
    Shape(6, 3, 520, 5, 2, Direction.BIDIRECTIONAL, True, False, True),
    Shape(4, 5, 3, 3, 3, Direction.BIDIRECTIONAL, True, True, False),
)
"""Those of a backend of few shapes: every direction with and without lengths and states, the simplest first.

Any two of the features meet: a number of layers, a direction, lengths, states, a bias, or their absence. Each of B, T,
I and H is 1 once and large once, and they differ but for one shape where B is H and one where I is.
"""


@st.composite
def cases(
    draw: st.DrawFn,
    /,
    capabilities: Capabilities,
    cell: Cell,
    dtypes: st.SearchStrategy[str],
    *,
    lengths: bool | None = None,
    zero_length: bool = True,
    states: bool | None = None,
    min_batch: int = 1,
    min_steps: int = 1,
    **fixed: Any,
) -> Case:
    """Cases of one cell, in one of ``dtypes``, that ``capabilities`` claims.

    ``lengths`` and ``states`` say whether they are given (None: either way), ``zero_length`` whether a length may be 0;
    ``fixed`` gives fields of the layer.
    """
    if capabilities.few_shapes:
        wanted = {"lengths": lengths, "states": states, **fixed}
        layer, batch, steps, lengths, states = draw(few_shapes(capabilities, cell, min_batch, min_steps, wanted))
    else:
        layer, batch, steps = draw(shapes(capabilities, cell, min_batch, min_steps, fixed))
    with_lengths = draw(st.booleans()) if lengths is None and capabilities.lengths else bool(lengths)
    shortest = 0 if zero_length and capabilities.zero_length != "reject" else 1
    row_lengths = draw(st.lists(lengths_of(steps, shortest), min_size=batch, max_size=batch)) if with_lengths else None
    with_states = draw(st.booleans()) if states is None else states
    return draw(filled(layer, batch, steps, row_lengths, with_states, draw(dtypes)))


@st.composite
def shapes(
    draw: st.DrawFn, capabilities: Capabilities, cell: Cell, min_batch: int, min_steps: int, fixed: dict[str, Any]
) -> tuple[Layer, int, int]:
    """A layer, a batch size and a number of steps."""

    def pick(field: str, choices: Any) -> Any:
        return fixed[field] if field in fixed else draw(st.sampled_from(list(choices)))

    # One size may be large; where that makes many weights, there is one layer of them.
    most_layers = capabilities.max_layers or max(LARGE["L"])
    wide = draw(st.sampled_from(["", "", "", "", *LARGE, "BIH"]))
    layers = {
        "I": [1],
        "H": [1],
        "BIH": range(1, min(most_layers, 2) + 1),
        "L": [number for number in LARGE["L"] if number <= most_layers] or [most_layers],
    }
    num_layers = pick("num_layers", layers.get(wide, range(1, min(most_layers, 3) + 1)))
    input_mode = pick("input_mode", capabilities.input_modes)
    coincide = draw(st.integers(0, 3)) == 3
    taken: set[int] = set()

    def size(axis: str, smallest: int = 1) -> int:
        is_whole = wide == "BIH" and axis in wide
        large = WHOLE if is_whole else LARGE[axis] if axis == wide else ()
        drawn = draw(st.sampled_from(large) if large else st.integers(smallest, smallest + 5))
        while drawn in taken and not coincide:
            drawn += WHOLE[0] if is_whole else 1
        taken.add(drawn)
        return drawn

    steps, hidden_size, drawn_batch, drawn_input_size = size("T", min_steps), size("H"), size("B", min_batch), size("I")
    # As many rows as there are units of a large H would be thousands of elements in every step.
    may_be_as_many = coincide and wide != "H" and hidden_size >= min_batch
    batch = hidden_size if may_be_as_many and draw(st.booleans()) else drawn_batch
    square = input_mode == "skip" or (coincide and draw(st.booleans()))
    layer = Layer(
        cell=cell,
        input_size=hidden_size if square else drawn_input_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        direction=pick("direction", capabilities.directions),
        activation=pick("activation", capabilities.activations) if cell is Cell.RNN else "tanh",
        reset_after=pick("reset_after", capabilities.reset_after) if cell is Cell.GRU else True,
        bias=pick("bias", capabilities.bias),
        input_mode=input_mode,
    )
    return layer, batch, steps


@st.composite
def few_shapes(
    draw: st.DrawFn, capabilities: Capabilities, cell: Cell, min_batch: int, min_steps: int, wanted: dict[str, Any]
) -> tuple[Layer, int, int, bool, bool]:
    """One of :data:`FEW_SHAPES`, as a layer, a batch size, a number of steps, and whether lengths and states are given.

    Where none is as it has to be, those that need the fewest changes are changed.
    """
    allowed: dict[str, Any] = {
        "batch": range(min_batch, sys.maxsize),
        "steps": range(min_steps, sys.maxsize),
        "num_layers": range(1, (capabilities.max_layers or 3) + 1),
        "direction": capabilities.directions,
        "lengths": (False, True) if capabilities.lengths else (False,),
        "states": (False, True),
        "bias": capabilities.bias,
        "input_mode": capabilities.input_modes,
        "activation": capabilities.activations if cell is Cell.RNN else ("tanh",),
        "reset_after": capabilities.reset_after if cell is Cell.GRU else (True,),
    }
    allowed |= {name: (value,) for name, value in wanted.items() if value is not None}

    def changes(shape: Shape) -> dict[str, Any]:
        named = ((name, value) for name, value in shape._asdict().items() if name in allowed)
        return {name: allowed[name][0] for name, value in named if value not in allowed[name]}

    fewest = min(len(changes(shape)) for shape in FEW_SHAPES)
    shape = draw(st.sampled_from([shape for shape in FEW_SHAPES if len(changes(shape)) == fewest]))
    shape = shape._replace(**changes(shape))
    input_mode = draw(st.sampled_from(allowed["input_mode"]))
    layer = Layer(
        cell=cell,
        input_size=shape.hidden_size if input_mode == "skip" else shape.input_size,
        hidden_size=shape.hidden_size,
        num_layers=shape.num_layers,
        direction=shape.direction,
        activation=draw(st.sampled_from(allowed["activation"])),
        reset_after=draw(st.sampled_from(allowed["reset_after"])),
        bias=shape.bias,
        input_mode=input_mode,
    )
    return layer, shape.batch, shape.steps, shape.lengths, shape.states


@st.composite
def sweeps(draw: st.DrawFn, /, capabilities: Capabilities, cell: Cell, dtypes: st.SearchStrategy[str]) -> Case:
    """Cases in which the argument of one activation runs through an interval, and everything else stands still.

    An activation that is wrong on a short interval is wrong in few elements of other cases. Here every unit of every
    row and step takes it at another point: its gate reads nothing but the input of the unit's own. What the other gates
    read is a constant, which is the last input, as a backend may have no bias. ``"c"`` is the activation of an LSTM's
    cell state, whose argument is spread by ``c_0``; it is large where the forget or the output gate is swept, as an
    error of these shows beside any number. Weights may be large as well, where inputs are small.
    """
    batch, steps, hidden = SWEPT
    gates = GATES[cell]
    swept = draw(st.sampled_from([*gates, "c"] if cell is Cell.LSTM else gates))
    centre, span, start = draw(st.integers(-6, 6)), draw(st.sampled_from([32, 32, 8, 2])), draw(st.integers(0, 127))
    layer = draw(single_layers(capabilities, cell, hidden + 1, hidden))
    weight, cell_state = 2.0 ** draw(st.sampled_from([0, 0, 6, -6])), 256 if swept in "fo" else 1
    constants = st.integers(-24, 24).map(lambda n: (n or 8) / 8)
    dtype = numpy_dtype(draw(dtypes))

    def points(*shape: int) -> Array:
        place = (np.arange(math.prod(shape)) * GOLDEN + start / 128) % 1
        return (centre + span * (place - 0.5)).reshape(shape)

    def weights() -> Weights:
        w_ih = np.zeros((len(gates), hidden, hidden + 1))
        w_hh = np.zeros((len(gates), hidden, hidden))
        for g, gate in enumerate(gates):
            if gate == swept:
                w_ih[g, :, :hidden] = np.eye(hidden) * weight
            else:
                w_ih[g, :, hidden] = draw(constants)
                w_hh[g] = np.eye(hidden) * draw(constants) / 4
        bias = np.zeros((len(gates), hidden))
        return Weights(w_ih, w_hh, bias, bias.copy())

    slots = layer.num_directions
    x = np.concatenate([points(batch, steps, hidden) / weight, np.ones((batch, steps, 1))], axis=2)
    h_0 = points(slots, batch, hidden) / 16
    c_0 = points(slots, batch, hidden) * cell_state if cell is Cell.LSTM else None
    return Case(layer, tuple(weights() for _ in range(slots)), x, h_0, c_0).astype(dtype)


@st.composite
def large_cases(draw: st.DrawFn, /, capabilities: Capabilities, cell: Cell, dtypes: st.SearchStrategy[str]) -> Case:
    """Cases in which T, or H, or both B and I, are more than a byte counts, and everything else is small.

    Or y has more elements than two bytes count.
    """
    few = capabilities.few_shapes
    large = draw(st.sampled_from(["T", "H", "BI", "BTH"]))
    if large == "BTH":
        sizes = PAST_TWO_BYTES
    else:
        sizes = {axis: 257 if few else draw(st.sampled_from(PAST_A_BYTE[axis])) for axis in large}
    batch, steps, inputs, hidden = (sizes.get(axis) or (2 if few else draw(st.integers(1, 3))) for axis in "BTIH")
    layer = draw(single_layers(capabilities, cell, inputs, hidden))
    with_lengths = not few and capabilities.lengths and draw(st.booleans())
    lengths = draw(st.lists(lengths_of(steps, 1), min_size=batch, max_size=batch)) if with_lengths else None
    return draw(filled(layer, batch, steps, lengths, not few and draw(st.booleans()), draw(dtypes)))


@st.composite
def cases_that_repeat(
    draw: st.DrawFn, /, capabilities: Capabilities, cell: Cell, dtypes: st.SearchStrategy[str]
) -> Case:
    """Cases in which numbers are the same: along any axes of the input, of a kind of weights, of the initial states.

    Both biases may be the same as well, or both states. Many an example is made of constants, and many a layer begins
    with the identity. What is the same may be stored once, folded, or taken for something simpler, and its rounding
    errors are the same too.
    """
    case = draw(cases(capabilities, cell, dtypes))
    directions, hidden = case.layer.num_directions, case.layer.hidden_size

    def some_of(axes: int) -> set[int]:
        return draw(st.sets(st.sampled_from(range(axes))))

    of_x, of_w_ih, of_w_hh, of_biases, of_states = some_of(3), some_of(3), some_of(3), some_of(2), some_of(3)
    is_one_for_all, is_diagonal = draw(st.booleans()), draw(st.integers(0, 3)) == 3
    biases_are_one, states_are_one = draw(st.booleans()), draw(st.booleans())

    def recurrent(w_hh: Array) -> Array:
        if is_diagonal:
            diagonal = np.where(np.eye(hidden, dtype=bool), _repeated(w_hh, of_w_hh), w_hh.dtype.type(0))
            return _times(diagonal, _norm(hidden, 0))
        return _repeated_terms(w_hh, of_w_hh)

    def weights_of(k: int) -> Weights:
        # Above the first layer all have the same shape.
        w = case.weights[(0 if k < directions else directions) if is_one_for_all else k]
        return Weights(
            None if w.w_ih is None else _repeated_terms(w.w_ih, of_w_ih),
            recurrent(w.w_hh),
            _repeated(w.b_ih, of_biases),
            _repeated(w.b_ih if biases_are_one else w.b_hh, of_biases),
        )

    c_0 = case.h_0 if states_are_one else case.c_0
    return replace(
        case,
        weights=tuple(map(weights_of, range(len(case.weights)))),
        x=_repeated(case.x, of_x),
        h_0=None if case.h_0 is None else _repeated(case.h_0, of_states),
        c_0=None if case.c_0 is None or c_0 is None else _repeated(c_0, of_states),
    )


@st.composite
def cases_with_zeros(
    draw: st.DrawFn, /, capabilities: Capabilities, cell: Cell, dtypes: st.SearchStrategy[str]
) -> Case:
    """Cases in which numbers are zero: all of a kind, those at one place along an axis, or all but those.

    Or the input is one-hot. Many an example starts from zeros, shows what an impulse does, or reads characters. What is
    zero may be left out, and something that is not zero with it.
    """
    case = draw(cases(capabilities, cell, dtypes, states=True))
    names = ["h_0", *["c_0"] * (cell is Cell.LSTM), "x", "w_hh", "w_ih", *["b_ih", "b_hh"] * case.layer.bias]
    zeroing = {name: draw(_zeroing()) for name in draw(st.sets(st.sampled_from(names), min_size=1, max_size=3))}
    if "x" in zeroing and draw(st.booleans()):
        zeroing["x"] = _one_hot
    slots = range(len(case.weights))
    of_weights = set(slots) if draw(st.booleans()) else {draw(st.sampled_from(slots))}

    def zeroed(name: str, array: Any) -> Any:
        return zeroing[name](array) if array is not None and name in zeroing else array

    def weights_of(k: int) -> Weights:
        w = case.weights[k]
        return Weights(**{name: zeroed(name, array) for name, array in vars(w).items()}) if k in of_weights else w

    states = {name: zeroed(name, getattr(case, name)) for name in ("x", "h_0", "c_0")}
    return replace(case, weights=tuple(map(weights_of, slots)), **states)


@st.composite
def _zeroing(draw: st.DrawFn) -> Callable[[Array], Array]:
    """What makes zeros of all numbers of an array, of those at one place along an axis, or of all but those."""
    axis, place, others = draw(st.sampled_from([None, 0, 1, 2])), draw(st.integers(0, 63)), draw(st.booleans())

    def zeroed(array: Array) -> Array:
        if axis is None:
            return np.zeros_like(array)
        along = np.moveaxis(array.copy(), axis % array.ndim, 0)
        is_zero = (np.arange(len(along)) == place % len(along)) != others
        along[is_zero] = 0
        return np.moveaxis(along, 0, axis % array.ndim)

    return zeroed


def _one_hot(x: Array) -> Array:
    """The largest feature of every step becomes 1, and all others 0."""
    hot: Array = np.arange(x.shape[-1]) == np.argmax(x, axis=-1, keepdims=True)
    return hot.astype(x.dtype)


def _repeated(array: Array, axes: set[int]) -> Array:
    """The first numbers along ``axes`` in place of all others."""
    first = array[tuple(slice(1 if axis in axes else None) for axis in range(array.ndim))]
    return np.broadcast_to(first, array.shape).copy()


def _repeated_terms(w: Array, axes: set[int]) -> Array:
    """Weights that are the same along ``axes``; n terms that are the same add up to n, and others to about sqrt(n)."""
    return _times(_repeated(w, axes), 1 / _norm(w.shape[2], 0) if 2 in axes else 1.0)


def _times(array: Array, power_of_two: float) -> Array:
    product: Array = array * array.dtype.type(power_of_two)
    return product


@st.composite
def single_layers(draw: st.DrawFn, capabilities: Capabilities, cell: Cell, input_size: int, hidden_size: int) -> Layer:
    """Single layers of these sizes."""
    # Where each costs a compilation, another direction or a bias that is zero would show nothing new.
    most = 1 if capabilities.few_shapes else None
    return Layer(
        cell=cell,
        input_size=input_size,
        hidden_size=hidden_size,
        direction=draw(st.sampled_from(capabilities.directions[:most])),
        activation=draw(st.sampled_from(capabilities.activations)) if cell is Cell.RNN else "tanh",
        reset_after=draw(st.sampled_from(capabilities.reset_after)) if cell is Cell.GRU else True,
        bias=draw(st.sampled_from(capabilities.bias[:most])),
    )


def lengths_of(steps: int, shortest: int) -> st.SearchStrategy[int]:
    """Lengths of a row; the ends of the range are as frequent as everything between."""
    return st.sampled_from(sorted({steps, 1, shortest}, reverse=True)) | st.integers(shortest, steps)


@st.composite
def filled(
    draw: st.DrawFn,
    layer: Layer,
    batch: int,
    steps: int,
    lengths: list[int] | None,
    with_states: bool,
    dtype: str,
) -> Case:
    """Cases of the given shape."""
    scales = draw(magnitudes(layer, steps, dtype))
    numbers = _Numbers(draw, _count(layer, batch, steps), dtype)
    slots = layer.num_layers * layer.num_directions

    def weights_of(k: int) -> Weights:
        number = k // layer.num_directions
        gates, hidden, inputs = layer.num_gates, layer.hidden_size, layer.input_size_of(number)
        bias = scales["bias"] if layer.bias else 0.0
        return Weights(
            None
            if layer.input_mode == "skip" and number == 0
            else numbers.take((gates, hidden, inputs), scales["weight"] / _norm(inputs, scales["l1"])),
            numbers.take((gates, hidden, hidden), scales["weight"] / _norm(hidden, scales["l1"])),
            numbers.take((gates, hidden), bias),
            numbers.take((gates, hidden), bias),
        )

    x = numbers.take((batch, steps, layer.input_size), scales["x"])
    weights = tuple(weights_of(k) for k in range(slots))
    h_0 = numbers.take((slots, batch, layer.hidden_size), scales["h"]) if with_states else None
    with_cell = with_states and layer.cell is Cell.LSTM
    c_0 = numbers.take((slots, batch, layer.hidden_size), scales["c"]) if with_cell else None
    return Case(layer, weights, x, h_0, c_0, lengths)


@st.composite
def cases_with_nan(
    draw: st.DrawFn, /, capabilities: Capabilities, cell: Cell, dtypes: st.SearchStrategy[str], **wanted: Any
) -> Case:
    """Cases as :func:`cases` has them, with NaN for one number of a row, in its valid steps or its initial state."""
    case = draw(cases(capabilities, cell, dtypes, **wanted))
    row = draw(st.integers(0, case.batch_size - 1))
    states = [name for name in ("h_0", "c_0") if getattr(case, name) is not None]
    name = draw(st.sampled_from(["x", *states]))
    array = getattr(case, name).copy()
    # A row without valid steps has it in its padding, where it reaches nothing.
    along = max(int(case.row_lengths[row]), 1) if name == "x" else len(array)
    at, unit = draw(st.integers(0, along - 1)), draw(st.integers(0, array.shape[-1] - 1))
    array[(row, at, unit) if name == "x" else (at, row, unit)] = np.nan
    return replace(case, **{name: array})


@st.composite
def magnitudes(draw: st.DrawFn, layer: Layer, steps: int, dtype: str) -> dict[str, float]:
    """Scales, powers of two, of ``x``, ``weight``, ``bias``, ``h`` and ``c``.

    The scale of weights is that of a row's l2 norm, or where ``l1`` is above zero a bound of its l1 norm.
    """
    exponents = {
        "x": draw(st.sampled_from([0, 0, 1, -6, 3, 7])),
        "weight": draw(st.sampled_from([1, 1, 0, -4, 3])),
        "bias": draw(st.sampled_from([0, 0, -4, 3])),
        "h": draw(st.sampled_from([0, 0, -6, 2])),
        "c": draw(st.sampled_from([0, 0, 3, 6])),
    }
    if layer.activation == "relu" and (steps > 8 or dtype == "float16"):
        # A relu layer grows like a power of its weights; this keeps it from overflowing, which is another question.
        exponents.update(x=min(exponents["x"], 3), weight=min(exponents["weight"], 0), l1=0)
    return {"l1": 0.0} | {name: 2.0**exponent for name, exponent in exponents.items()}


class _Numbers:
    """The numbers of one case, taken off one block of drawn bytes."""

    def __init__(self, draw: st.DrawFn, count: int, dtype: str) -> None:
        self._dtype = numpy_dtype(dtype)
        # What makes a case harder to read is drawn first, so that shrinking drops it first.
        self._dense = draw(st.booleans())
        self._one_sign = draw(st.integers(0, 7)) == 7
        size = min(count, MOST_BYTES)
        self._bytes = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8).astype(np.int64)
        self._taken = 0

    def take(self, shape: tuple[int, ...], scale: float) -> Array:
        """The next numbers, between -scale and scale."""
        position = self._taken + np.arange(math.prod(shape))
        self._taken += len(position)
        byte = self._bytes[position % len(self._bytes)] ^ _fixed_bytes(position)
        numbers = np.where(byte % 2 == 0, byte // 2, -(byte // 2) - 1).astype(np.float64)
        if self._one_sign:
            numbers = np.abs(numbers)
        if self._dense:
            numbers += (position + 1) * GOLDEN % 1
        return (numbers / 128 * scale).reshape(shape).astype(self._dtype)


def _fixed_bytes(position: Array) -> Array:
    """What a zero byte at each position stands for: the bytes of 1/8, -1/8, 2/8, ... 7/8, -7/8, evenly spread."""
    eighths, negative = np.divmod((position + 1) * GOLDEN % 1 * 14, 2)
    return (32 * (eighths.astype(np.int64) + 1)) - (negative >= 1)


def _count(layer: Layer, batch: int, steps: int) -> int:
    """How many numbers a case of this shape has at most."""
    gates, hidden = layer.num_gates, layer.hidden_size
    weights = sum(
        layer.num_directions * gates * hidden * (layer.input_size_of(number) + hidden + 2)
        for number in range(layer.num_layers)
    )
    return batch * steps * layer.input_size + weights + 2 * layer.num_layers * layer.num_directions * batch * hidden


def _norm(n: int, l1: float) -> float:
    """A power of two, which divides exactly, that keeps sums of n terms from growing with n.

    About sqrt(n), the l2 norm of n ones, or where ``l1`` is above zero at least n, their l1 norm.
    """
    return float(2.0 ** (math.ceil(math.log2(n)) if l1 > 0 else round(math.log2(n) / 2)))


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy dtype called ``name``; bfloat16 is that of ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)
