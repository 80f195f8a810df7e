"""Parameters that arrive at the wrong gate, or in the wrong order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np

from conformance.faults.conditions import A_STEP, BOTH_WAYS, EQUAL_SLOTS, RECURRENT, STACKED, UNITS, of_cells
from conformance.faults.fault import Group
from conformance.faults.parts import Part
from reference import GATES, Array, Case, Cell, Weights

GROUP = Group(
    "Gates and weight matrices",
    "A framework has an order of its own for the gates, and an axis order for its matrices. Whoever packs the weights"
    " of one for another permutes blocks and transposes, and every such step can be forgotten, done twice, or done for"
    " some of the tensors only.",
)

CELLS_WITH_GATES = (Cell.LSTM, Cell.GRU)

FIELDS = {"w-ih": ("w_ih",), "w-hh": ("w_hh",), "biases": ("b_ih", "b_hh")}


def change_weights(case: Case, change: Callable[[Weights], Weights]) -> Case:
    """The case with every direction of every layer having other weights."""
    return replace(case, weights=tuple(change(w) for w in case.weights))


def change_fields(w: Weights, fields: tuple[str, ...], change: Callable[[Array], Array]) -> Weights:
    """The weights with some of the arrays changed, those of them that there are."""
    arrays = {field: getattr(w, field) for field in fields}
    return replace(w, **{field: change(array) for field, array in arrays.items() if array is not None})


def reordered(order: list[int], fields: tuple[str, ...] = ("w_ih", "w_hh", "b_ih", "b_hh")) -> Callable[[Case], Case]:
    """An edit: gate ``g`` gets the block of gate ``order[g]``."""
    return lambda case: change_weights(case, lambda w: change_fields(w, fields, lambda array: array[order]))


def wrong_orders(cell: Cell) -> Iterator[str]:
    """Every order of the gates of a cell but the right one."""
    right = GATES[cell]
    return (order for order in map("".join, permutations(right)) if order != right)


for _cell in CELLS_WITH_GATES:
    _right = GATES[_cell]
    for _order in wrong_orders(_cell):
        GROUP.case(
            f"gates-read-as-{_order}",
            f"The gate blocks, stored in the order {', '.join(_right)}, are read as {', '.join(_order)}.",
            look_at=f"the gate order in which weights and biases are packed: {_right} is given, {_order} is assumed",
            where="the gates " + " and ".join(a for a, b in zip(_right, _order) if a != b),
            shows=of_cells(_cell) & A_STEP,
            kind="F01" if _cell is Cell.LSTM else "F02",
            cells=(_cell,),
        )(reordered([_order.index(gate) for gate in _right]))
    for _a, _b in combinations(_right, 2):
        _swapped = [_right.index({_a: _b, _b: _a}.get(gate, gate)) for gate in _right]
        for _name, _fields in FIELDS.items():
            _says = _name.replace("-", "_") if _name != "biases" else "both biases"
            GROUP.case(
                f"gates-{_a}-{_b}-swapped-in-{_name}",
                f"The blocks of the gates {_a} and {_b} are swapped in {_says}, and nowhere else.",
                look_at=f"the gate order that {_says} is packed in, which is not that of the other parameters",
                where=f"the gates {_a} and {_b} in {_says}",
                shows=of_cells(_cell) & (RECURRENT if _name == "w-hh" else A_STEP),
                kind="F01" if _cell is Cell.LSTM else "F02",
                cells=(_cell,),
            )(reordered(_swapped, _fields))


def interleaved(array: Array) -> Array:
    """(G, H, ...) read as if it were (H, G, ...)."""
    gates, hidden = array.shape[:2]
    return np.ascontiguousarray(array.reshape(hidden, gates, *array.shape[2:]).swapaxes(0, 1))


def transposed(array: Array) -> Array:
    """Every gate's matrix transposed, where it is square."""
    return array.swapaxes(1, 2) if array.shape[1] == array.shape[2] else array


def column_major(array: Array) -> Array:
    """Every gate's matrix read down its columns instead of along its rows."""
    gates, hidden, inputs = array.shape
    return array.reshape(gates, inputs, hidden).swapaxes(1, 2)


GROUP.case(
    "gates-interleaved",
    "The rows of the stacked weights are taken to be unit by unit with the gates side by side, not gate by gate.",
    look_at="which of the axes gate and unit comes first where the two are folded into one",
    where="the gate axis of all parameters",
    shows=of_cells(*CELLS_WITH_GATES) & UNITS & A_STEP,
    cells=CELLS_WITH_GATES,
)(lambda case: change_weights(case, lambda w: change_fields(w, ("w_ih", "w_hh", "b_ih", "b_hh"), interleaved)))

GROUP.case(
    "w-hh-transposed",
    "The recurrent matrix of every gate is used untransposed; being square, it fits.",
    look_at="whether h is multiplied by w_hh or by its transpose",
    where="w_hh of every gate",
    shows=UNITS & RECURRENT,
    kind="F04",
)(lambda case: change_weights(case, lambda w: change_fields(w, ("w_hh",), transposed)))

GROUP.case(
    "w-ih-transposed-where-square",
    "The input matrix of every gate is used untransposed wherever it is square.",
    look_at="whether x is multiplied by w_ih or by its transpose",
    where="w_ih of every gate",
    shows=UNITS & A_STEP,
    kind="F04",
)(lambda case: change_weights(case, lambda w: change_fields(w, ("w_ih",), transposed)))

GROUP.case(
    "w-ih-read-by-columns",
    "The input matrix of every gate is read down its columns, whatever its shape.",
    look_at="the axis order in which w_ih lies in memory: unit by unit, or input by input",
    where="w_ih of every gate",
    shows=UNITS & A_STEP,
    kind="F04",
)(lambda case: change_weights(case, lambda w: change_fields(w, ("w_ih",), column_major)))


def _transpose_one_gate(cell: Cell, gate: str) -> None:
    g = GATES[cell].index(gate)

    def one(array: Array) -> Array:
        changed = array.copy()
        changed[g] = array[g].T
        return changed

    GROUP.case(
        f"w-hh-of-gate-{gate}-transposed",
        f"The recurrent matrix of gate {gate} alone is used untransposed.",
        look_at=f"how the recurrent matrix of gate {gate} is laid out, beside those of the other gates",
        where=f"w_hh of gate {gate}",
        shows=of_cells(cell) & UNITS & RECURRENT,
        kind="F04",
        cells=(cell,),
    )(lambda case: change_weights(case, lambda w: change_fields(w, ("w_hh",), one)))


for _cell in CELLS_WITH_GATES:
    for _gate in GATES[_cell]:
        _transpose_one_gate(_cell, _gate)


@GROUP.part(
    "gates-reversed-in-the-second-direction",
    "The gate blocks are in the right order for the first direction and in the reverse order for the second.",
    look_at="whether the weights of the second direction go through the same reordering as those of the first",
    where="all gates of the second direction",
    shows=of_cells(*CELLS_WITH_GATES) & BOTH_WAYS & A_STEP,
    kind="F01",
    cells=CELLS_WITH_GATES,
)
def _(part: Part) -> Part:
    return part if part.d == 0 else replace(part, weights=_backwards(part.weights))


@GROUP.part(
    "gates-reversed-in-upper-layers",
    "The gate blocks are in the right order for layer 0 and in the reverse order above it.",
    look_at="whether the weights of every layer go through the same reordering as those of layer 0",
    where="all gates of layer 1 and above",
    shows=of_cells(*CELLS_WITH_GATES) & STACKED & A_STEP,
    kind="F01",
    cells=CELLS_WITH_GATES,
)
def _(part: Part) -> Part:
    return part if part.number == 0 else replace(part, weights=_backwards(part.weights))


def _backwards(w: Weights) -> Weights:
    return change_fields(w, ("w_ih", "w_hh", "b_ih", "b_hh"), lambda array: array[::-1])


@GROUP.case(
    "equal-w-hh-packed-twice",
    "Recurrent weights that are equal are kept once, and their gates are reordered in place once for each of their"
    " layers and directions.",
    look_at="whether weights that share memory are packed more than once",
    where="w_hh where it is that of another layer or direction",
    shows=EQUAL_SLOTS & RECURRENT,
    cells=CELLS_WITH_GATES,
)
def _(case: Case) -> Case:
    count = Counter(w.w_hh.tobytes() for w in case.weights)

    def packed(w: Weights) -> Weights:
        once_too_often = count[w.w_hh.tobytes()] - 1
        return change_fields(w, ("w_hh",), lambda w_hh: np.roll(w_hh, once_too_often, axis=0))

    return change_weights(case, packed)
