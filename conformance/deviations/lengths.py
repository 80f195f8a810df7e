"""Lengths that an implementation ignores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.deviations.erring import one_unit
from conformance.tolerance import Truth
from reference import Case, Cell


def has_padding(case: Case) -> bool:
    """Whether some row is shorter than the steps there are."""
    return not bool(np.all(case.valid))


def without_lengths(truth: Truth) -> Truth:
    """What comes of it when every row is run to its end."""
    return replace(truth, case=replace(truth.case, lengths=None))


def padded(cell: Cell, w_ih: list[float], x: list[float], length: int, h_0: float | None = None) -> Case:
    """A case of one unit and one row, of which ``length`` steps are valid."""
    one = one_unit(cell, w_ih, [0], h_0)
    return replace(one, x=np.array(x, np.float32).reshape(1, -1, 1), lengths=[length])
