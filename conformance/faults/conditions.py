"""When a fault shows: conditions on a case, in words and as predicates.

A condition may hold where a fault happens not to show; it does not hold where the fault cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from conformance.faults.equations import Equations
from conformance.tolerance import has_nan
from reference import Array, Case, Cell, Direction, run
from reference.case_file import arrays_of_case


@dataclass(frozen=True)
class Condition:
    """Whether a case is of some kind; called with a case it says so."""

    says: str
    """The kind in a few words, as after "shows with"."""
    holds: Callable[[Case], bool] = field(repr=False)

    def __call__(self, case: Case) -> bool:
        """Whether ``case`` is of this kind."""
        return bool(self.holds(case))

    def __and__(self, other: Condition) -> Condition:
        return Condition(f"{self.says}, {other.says}", lambda case: self(case) and other(case))

    def __or__(self, other: Condition) -> Condition:
        return Condition(f"{self.says} or {other.says}", lambda case: self(case) or other(case))

    def called(self, says: str) -> Condition:
        """The same in other words."""
        return Condition(says, self.holds)


def same(case: Case, other: Case) -> bool:
    """Whether two cases are the same up to what stands in their padding."""
    if case.layer != other.layer:
        return False
    arrays, others = arrays_of_case(case), arrays_of_case(other)
    if arrays.keys() != others.keys() or not np.array_equal(case.row_lengths, other.row_lengths):
        return False
    for of_one in (arrays, others):
        of_one["x"] = of_one["x"][case.valid]
    return all(np.array_equal(array, others[name], equal_nan=True) for name, array in arrays.items())


def _nonzero(array: Array | None) -> bool:
    return array is not None and bool(np.any(array != 0))


def of_cells(*cells: Cell) -> Condition:
    """Layers of these cells."""
    return Condition(" or ".join(str(cell).upper() for cell in cells), lambda case: case.layer.cell in cells)


def at_least(size: str, n: int, of: Callable[[Case], int]) -> Condition:
    """A size of at least ``n``."""
    return Condition(f"{size} of at least {n}", lambda case: of(case) >= n)


def multiples(sizes: str, n: int, of: Callable[[Case], tuple[int, ...]]) -> Condition:
    """Sizes that are all multiples of ``n``."""
    return Condition(f"{sizes} a multiple of {n}", lambda case: not any(size % n for size in of(case)))


LSTM, GRU, RNN = of_cells(Cell.LSTM), of_cells(Cell.GRU), of_cells(Cell.RNN)
RESET_AFTER = Condition("GRU with reset_after", lambda case: case.layer.cell is Cell.GRU and case.layer.reset_after)
RESET_BEFORE = Condition(
    "GRU without reset_after", lambda case: case.layer.cell is Cell.GRU and not case.layer.reset_after
)
RELU = Condition("relu", lambda case: case.layer.activation == "relu")
NOT_RELU = Condition("tanh", lambda case: case.layer.activation == "tanh")

A_STEP = Condition("any valid step", lambda case: bool(np.any(case.row_lengths >= 1)))
STEPS = Condition("two steps or more", lambda case: bool(np.any(case.row_lengths >= 2)))
H_0 = Condition("h_0 not zero", lambda case: _nonzero(case.h_0))
H_0_ZEROS = Condition("h_0 given as zeros", lambda case: case.h_0 is not None and not np.any(case.h_0))
C_0 = Condition("c_0 not zero", lambda case: _nonzero(case.c_0))
STATES = (H_0 | C_0).called("initial states not zero")
RECURRENT = (STEPS | (H_0 & A_STEP)).called("two steps or more, or h_0 not zero")
RECURRENT_CELL = (STEPS | (STATES & A_STEP)).called("two steps or more, or an initial state not zero")
NAN = Condition("NaN in a valid step or a state", has_nan)
NO_STATES = Condition("no initial states", lambda case: case.h_0 is None)

STEP_OF_ZEROS = Condition(
    "a valid step at which all of x is zero", lambda case: bool(np.any(~case.x.any(axis=2) & case.valid))
)
LENGTHS = Condition("lengths", lambda case: case.lengths is not None)
PADDING = Condition("a row shorter than T", lambda case: bool(np.any(case.row_lengths < case.num_steps)))
EMPTY = Condition("a row of length 0", lambda case: bool(np.any(case.row_lengths == 0)))
UNEQUAL = Condition("rows of unequal length", lambda case: len(set(case.row_lengths.tolist())) > 1)
ALL_SHORT = Condition("no row of length T", lambda case: bool(np.all(case.row_lengths < case.num_steps)))

BACKWARDS = Condition("a reverse direction", lambda case: case.layer.direction is not Direction.FORWARD)
ONLY_REVERSE = Condition("direction reverse", lambda case: case.layer.direction is Direction.REVERSE)
BOTH_WAYS = Condition("both directions", lambda case: case.layer.direction is Direction.BIDIRECTIONAL)
STACKED = Condition("two layers or more", lambda case: case.layer.num_layers >= 2)
SLOTS = Condition("two layers or directions or more", lambda case: len(case.weights) >= 2)
EQUAL_SLOTS = Condition(
    "the same w_hh in two layers or directions",
    lambda case: len({w.w_hh.tobytes() for w in case.weights}) < len(case.weights),
)
ROWS = Condition("two rows or more", lambda case: case.batch_size >= 2)
UNITS = Condition("two units or more", lambda case: case.layer.hidden_size >= 2)
SKIP = Condition("input_mode skip", lambda case: case.layer.input_mode == "skip")
NO_BIAS = Condition("a layer without bias", lambda case: not case.layer.bias)
BIAS = Condition("biases not zero", lambda case: any(_nonzero(w.b_ih) or _nonzero(w.b_hh) for w in case.weights))
B_IH = Condition("b_ih not zero", lambda case: any(_nonzero(w.b_ih) for w in case.weights))
B_HH = Condition("b_hh not zero", lambda case: any(_nonzero(w.b_hh) for w in case.weights))
STRIDED = Condition(
    "an array that is not contiguous",
    lambda case: any(not array.flags.c_contiguous for array in arrays_of_case(case).values()),
)
BACKWARD_VIEW = Condition(
    "an array that runs backwards in memory",
    lambda case: any(min(array.strides) < 0 for array in arrays_of_case(case).values()),
)


def of_dtype(name: str) -> Condition:
    """Cases in one dtype."""
    return Condition(name, lambda case: str(case.dtype) == name)


def bias_of(gate: int) -> Condition:
    """A bias of one gate that is not zero."""
    return Condition(
        "that bias not zero", lambda case: any(_nonzero(w.b_ih[gate]) or _nonzero(w.b_hh[gate]) for w in case.weights)
    )


def reaching(says: str, function: str, holds: Callable[[Array], bool]) -> Condition:
    """Cases in which an argument of ``sigmoid``, ``tanh`` or ``relu`` (one may name several) is of some kind."""

    def reached(case: Case) -> bool:
        seen: list[Array] = []
        recorded: dict[str, Any] = {
            name: partial(_record, seen, original) for name, original in _FUNCTIONS.items() if name in function
        }
        with np.errstate(all="ignore"):
            run(case, step_of=Equations(**recorded).step_of)
            return any(holds(array) for array in seen)

    return Condition(says, reached)


_FUNCTIONS = {name: getattr(Equations(), name) for name in ("sigmoid", "tanh", "relu")}


def _record(seen: list[Array], function: Callable[[Array], Array], x: Array) -> Array:
    seen.append(x)
    return function(x)
