"""Layers on top of one another, sizes that are taken for one another, and the input that skips its matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.faults.conditions import (
    A_STEP,
    B_HH,
    BOTH_WAYS,
    GRU,
    LSTM,
    SKIP,
    STACKED,
    Condition,
    at_least,
    multiples,
)
from conformance.faults.fault import Group, Run
from conformance.faults.gates import change_fields
from conformance.faults.parts import Part, run_in_parts
from conformance.faults.states import directions_first
from reference import Array, Case, Cell, Result, Weights
from reference.cells import relu

GROUP = Group(
    "Stacking and sizes",
    "The layer above reads D*H columns, not I, and has parameters of its own. Kernels work in blocks, and what does not"
    " fill a block is a case of its own, as is what does.",
)


def upper(
    name: str,
    says: str,
    look_at: str,
    where: str,
    edit: Callable[[Part], Part],
    kind: str | None = None,
    shows: Condition = STACKED & A_STEP,
) -> None:
    """A fault above layer 0."""
    GROUP.part(name, says, look_at=look_at, where=where, shows=shows, kind=kind)(
        lambda part: edit(part) if part.number > 0 else part
    )


def _below(part: Part) -> Weights:
    return part.case.weights[part.slot - part.case.layer.num_directions]


upper(
    "upper-layers-use-w-hh-of-the-layer-below",
    "A layer uses w_hh of the layer below it.",
    "the offset of w_hh of each layer within the packed parameters",
    "w_hh of layer 1 and above",
    lambda part: replace(part, weights=replace(part.weights, w_hh=_below(part).w_hh)),
    "F05",
)
upper(
    "upper-layers-use-the-biases-of-the-layer-below",
    "A layer uses the biases of the layer below it.",
    "the offset of the biases of each layer within the packed parameters",
    "the biases of layer 1 and above",
    lambda part: replace(part, weights=replace(part.weights, b_ih=_below(part).b_ih, b_hh=_below(part).b_hh)),
    "F05",
)
upper(
    "upper-layers-use-w-ih-of-the-layer-below",
    "A layer uses w_ih of the layer below it, wherever the shape is the same.",
    "the offset of w_ih of each layer within the packed parameters",
    "w_ih of layer 1 and above",
    lambda part: replace(part, weights=replace(part.weights, w_ih=_w_ih_below(part))),
    "F05",
)


def _w_ih_below(part: Part) -> Array | None:
    below, own = _below(part).w_ih, part.weights.w_ih
    return below if below is not None and own is not None and below.shape == own.shape else own


@GROUP.case(
    "parameters-direction-by-direction",
    "The parameters are taken to be those of all layers of one direction, then of the other, wherever that fits.",
    look_at="whether layer or direction counts faster in the packed parameters",
    where="the parameters of all layers but the first",
    shows=BOTH_WAYS & STACKED & A_STEP,
    kind="F05",
)
def _(case: Case) -> Case:
    order = directions_first(case)

    def moved(k: int) -> Weights:
        own, other = case.weights[k], case.weights[order[k]]
        w_ih = other.w_ih if _shape(own) == _shape(other) else own.w_ih
        return Weights(w_ih, other.w_hh, other.b_ih, other.b_hh)

    return replace(case, weights=tuple(map(moved, range(len(order)))))


def _shape(w: Weights) -> tuple[int, ...] | None:
    return None if w.w_ih is None else w.w_ih.shape


@GROUP.part(
    "columns-of-x-beyond-h-not-read",
    "The input is taken to have as many columns as there are units; the others are not read.",
    look_at="which of I and H the loop over columns of x runs to",
    where="w_ih where a layer reads more columns than it has units",
    shows=Condition("a layer that reads more than H columns", lambda case: _widest(case) > case.layer.hidden_size)
    & A_STEP,
    kind="F41",
)
def _(part: Part) -> Part:
    return _reading(part, part.case.layer.hidden_size)


def _widest(case: Case) -> int:
    return max(0 if w.w_ih is None else w.w_ih.shape[2] for w in case.weights)


def _reading(part: Part, columns: int) -> Part:
    """The part whose w_ih is zero beyond some number of columns."""

    def cut(w_ih: Array) -> Array:
        changed = w_ih.copy()
        changed[:, :, columns:] = 0
        return changed

    return replace(part, weights=change_fields(part.weights, ("w_ih",), cut))


@GROUP.part(
    "w-ih-read-with-rows-of-h",
    "The memory of w_ih is read as if its rows had H entries, and runs on into what lies behind.",
    look_at="the row stride of w_ih: I in layer 0, D*H above",
    where="w_ih where a layer reads another number of columns than it has units",
    shows=Condition(
        "a layer that reads other than H columns",
        lambda case: any(
            (_shape(w) or (0, 0, case.layer.hidden_size))[2] != case.layer.hidden_size for w in case.weights
        ),
    )
    & A_STEP,
    kind="F41",
)
def _(part: Part) -> Part:
    w_ih, hidden = part.weights.w_ih, part.case.layer.hidden_size
    if w_ih is None or w_ih.shape[2] == hidden:
        return part
    rows, columns = w_ih.shape[0] * w_ih.shape[1], w_ih.shape[2]
    index = (np.arange(rows)[:, None] * hidden + np.arange(columns)) % w_ih.size
    return replace(part, weights=replace(part.weights, w_ih=w_ih.reshape(-1)[index].reshape(w_ih.shape)))


upper(
    "upper-layers-read-the-forward-half-only",
    "Above layer 0, the columns of the reverse half are not read.",
    "the input size of layer 1 and above: D*H, not H",
    "w_ih of layer 1 and above",
    lambda part: _reading(part, part.case.layer.hidden_size),
    "F41",
    BOTH_WAYS & STACKED & A_STEP,
)
upper(
    "upper-layers-read-the-halves-swapped",
    "Above layer 0, the reverse half is read in front of the forward half.",
    "the order of the directions in what layer 1 and above read",
    "the input of layer 1 and above",
    lambda part: replace(part, x=np.roll(part.x, part.case.layer.hidden_size, axis=2)),
    "F24",
    BOTH_WAYS & STACKED & A_STEP,
)
upper(
    "relu-between-layers",
    "There is a relu between one layer and the next.",
    "what stands between the layers of the stack: nothing",
    "the input of layer 1 and above",
    lambda part: replace(part, x=relu(part.x)),
)
upper(
    "residual-between-layers",
    "What a layer reads is added to what it returns, before the next layer reads it, wherever that fits.",
    "a residual option that is always on",
    "the input of layer 2 and above",
    lambda part: _with_residual(part),
    shows=Condition("three layers or more", lambda case: case.layer.num_layers >= 3) & A_STEP,
)


def _with_residual(part: Part) -> Part:
    """Add what the layer below has read; for layer 1 that is x, which need not fit."""
    directions = part.case.layer.num_directions
    if part.number < 2:
        return part
    start = (part.number - 2) * directions
    read = np.concatenate([result.y for result in part.below[start : start + directions]], axis=2)
    return replace(part, x=part.x + read)


@GROUP.around(
    "dropout-between-layers",
    "Dropout of one half is applied between the layers, though the layer is not being trained.",
    look_at="whether the layer is told that it infers: eval(), training=False",
    where="the input of layer 1 and above",
    shows=STACKED & A_STEP,
    kind="F42",
    remembers=True,
)
def _(run: Run) -> Run:
    random = np.random.default_rng(0)

    def dropped(part: Part) -> Part:
        kept = random.integers(0, 2, part.x.shape) * 2
        return replace(part, x=part.x * kept.astype(part.x.dtype)) if part.number > 0 else part

    return lambda case: run_in_parts(case, dropped, lambda part, result: result)


def skipping(
    name: str,
    says: str,
    look_at: str,
    edit: Callable[[Part], Part],
    shows: Condition = SKIP & A_STEP,
    cells: tuple[Cell, ...] = tuple(Cell),
) -> None:
    """A fault of ``input_mode="skip"``."""
    GROUP.part(name, says, look_at=look_at, where="the input of layer 0", shows=shows, cells=cells)(
        lambda part: edit(part) if part.weights.w_ih is None else part
    )


skipping(
    "skipped-input-not-added",
    "With input_mode skip, the input is left out altogether.",
    "what the input contributes where it has no matrix: itself",
    lambda part: replace(part, x=np.zeros_like(part.x)),
)
skipping(
    "skipped-input-without-its-bias",
    "With input_mode skip, b_ih is left out along with the matrix.",
    "whether b_ih is added where there is no w_ih",
    lambda part: replace(part, weights=replace(part.weights, b_ih=np.zeros_like(part.weights.b_ih))),
)


def _to_gate(gate: int, count: int) -> Callable[[Part], Part]:
    """The input reaches one gate only, by a matrix that is the identity for that gate and zero for the others."""

    def edit(part: Part) -> Part:
        hidden = part.case.layer.hidden_size
        w_ih = np.zeros((count, hidden, hidden), part.x.dtype)
        w_ih[gate] = np.eye(hidden)
        return replace(part, weights=replace(part.weights, w_ih=w_ih))

    return edit


skipping(
    "skipped-input-to-the-candidate-only-in-lstm",
    "With input_mode skip, the input of an LSTM is added to its candidate alone.",
    "which gates the input is added to: all of them",
    _to_gate(2, 4),
    LSTM & SKIP & A_STEP,
    (Cell.LSTM,),
)
skipping(
    "skipped-input-to-the-candidate-only-in-gru",
    "With input_mode skip, the input of a GRU is added to its candidate alone.",
    "which gates the input is added to: all of them",
    _to_gate(2, 3),
    GRU & SKIP & A_STEP,
    (Cell.GRU,),
)

LANES = 4
COLUMNS = 512


UNITS_LEFT_OVER = (
    Condition(
        f"H above {LANES} and no multiple of it",
        lambda case: case.layer.hidden_size > LANES and case.layer.hidden_size % LANES > 0,
    )
    & A_STEP
)
"""Units are handled in blocks, and some are left after the last full one."""


def _with_units(part: Part, count: int) -> Part:
    """The part with the units after the first ``count`` left at zero in every step."""

    def cut(state: Array) -> Array:
        changed = np.array(state)
        changed[:, count:] = 0
        return changed

    return part.with_equations(stored=cut)


@GROUP.part(
    "last-units-not-computed",
    f"Units are computed in blocks of {LANES}; those after the last full block stay zero, unless there is none.",
    look_at="the loop over what does not fill a block of units",
    where="the last units of every layer",
    shows=UNITS_LEFT_OVER,
)
def _(part: Part) -> Part:
    whole = part.case.layer.hidden_size // LANES * LANES
    return part if whole == 0 else _with_units(part, whole)


def _with_room_for(units: int) -> None:
    GROUP.part(
        f"units-after-the-first-{units}-not-computed",
        f"A state has room for {units} units; those after them stay zero.",
        look_at="the size of the buffer that holds a state, and whether wide layers take another kernel",
        where="the units of a wide layer",
        shows=at_least("H", units + 1, lambda case: case.layer.hidden_size) & A_STEP,
    )(lambda part: _with_units(part, units))


for _units in (128, 256):
    _with_room_for(_units)


BLOCK = 32


@GROUP.part(
    "last-unit-of-full-blocks-not-computed",
    f"Units are computed in blocks of {BLOCK}; where none are left over, the last one stays zero.",
    look_at="the bounds of the loop over full blocks of units",
    where="the last unit of every layer",
    shows=multiples("H", BLOCK, lambda case: (case.layer.hidden_size,)) & A_STEP,
)
def _(part: Part) -> Part:
    hidden = part.case.layer.hidden_size
    return part if hidden % BLOCK else _with_units(part, hidden - 1)


TILE = 8
FULL_TILES = multiples("each of B, I and H", TILE, lambda case: (*case.x.shape[::2], case.layer.hidden_size))


@GROUP.part(
    "b-hh-left-out-in-full-tiles",
    f"Where B, I and H are multiples of {TILE}, a kernel for full tiles runs, and it does not add b_hh.",
    look_at="the kernel for sizes that need no padding",
    where="the recurrent bias",
    shows=FULL_TILES & B_HH & A_STEP,
)
def _(part: Part) -> Part:
    b_hh = np.zeros_like(part.weights.b_hh)
    return replace(part, weights=replace(part.weights, b_hh=b_hh)) if FULL_TILES(part.case) else part


@GROUP.part(
    "last-columns-of-h-not-multiplied",
    f"Products add up blocks of {LANES} terms; those of the recurrent product after the last full block are left out.",
    look_at="the loop over what does not fill a block of terms",
    where="the recurrent product",
    shows=UNITS_LEFT_OVER,
)
def _(part: Part) -> Part:
    whole = part.case.layer.hidden_size // LANES * LANES
    if whole == 0:
        return part
    w_hh = part.weights.w_hh.copy()
    w_hh[:, :, whole:] = 0
    return replace(part, weights=replace(part.weights, w_hh=w_hh))


GROUP.part(
    "products-of-512-terms-at-most",
    f"Products stop after {COLUMNS} terms, the size of a tile.",
    look_at="the loop over tiles of a long product",
    where="the input product",
    shows=at_least("I", COLUMNS + 1, lambda case: case.layer.input_size) & A_STEP,
)(lambda part: _reading(part, COLUMNS))

THREADS = 512


GROUP.part(
    "units-after-the-first-512-not-computed",
    f"A block of {THREADS} threads computes one unit each, and there is only one block.",
    look_at="how many blocks of units are launched for a wide layer",
    where="the units of every layer",
    shows=at_least("H", THREADS + 1, lambda case: case.layer.hidden_size) & A_STEP,
)(lambda part: _with_units(part, THREADS))

ROWS_OF_A_TILE = 8
ROWS_AT_MOST = 64
BYTE = 256


def _with_rows(result: Result, count: int) -> Result:
    """The result with the rows after the first ``count`` left at zero in y."""
    y = result.y.copy()
    y[count:] = 0
    return replace(result, y=y)


GROUP.result(
    "rows-after-the-first-tile-not-written",
    f"Rows are computed in tiles of {ROWS_OF_A_TILE}, and only the first tile is.",
    look_at="the loop over tiles of rows, and the rows that do not fill one",
    where="the batch axis of y",
    shows=at_least("B", ROWS_OF_A_TILE + 1, lambda case: case.batch_size) & A_STEP,
    kind="F40",
)(lambda case, result: _with_rows(result, ROWS_OF_A_TILE))

GROUP.result(
    "rows-after-the-first-64-not-written",
    f"A launch computes {ROWS_AT_MOST} rows at most, and there is only one.",
    look_at="how many blocks of rows are launched for a large batch",
    where="the batch axis of y",
    shows=at_least("B", ROWS_AT_MOST + 1, lambda case: case.batch_size) & A_STEP,
    kind="F40",
)(lambda case, result: _with_rows(result, ROWS_AT_MOST))

GROUP.result(
    "rows-counted-in-a-byte",
    "The number of rows is kept in a byte, so that only one of 257 is written.",
    look_at="the type of what counts rows",
    where="the batch axis of y",
    shows=at_least("B", BYTE, lambda case: case.batch_size) & A_STEP,
    kind="F40",
)(lambda case, result: _with_rows(result, case.batch_size % BYTE))

TWO_BYTES = 2**16


def _size_of_y(case: Case) -> int:
    return case.valid.size * case.layer.num_directions * case.layer.hidden_size


@GROUP.result(
    "offsets-of-y-in-two-bytes",
    f"Offsets into y have two bytes, so that elements after the first {TWO_BYTES} are not written.",
    look_at="the type of offsets into large arrays",
    where="the last rows of y",
    shows=at_least("B*T*D*H", TWO_BYTES + 1, _size_of_y) & A_STEP,
)
def _(case: Case, result: Result) -> Result:
    y = result.y.copy()
    y.reshape(-1)[TWO_BYTES:] = 0
    return replace(result, y=y)
