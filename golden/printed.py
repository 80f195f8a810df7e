"""Numbers as a document prints them: each carries the precision of its own last digit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import prod

import numpy as np
import numpy.typing as npt

from reference import Array

UNREADABLE = "?"
"""Stands for a number that the document once printed and that cannot be read in its text."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Printed numbers, as arrays of one shape."""

    value: Array
    """float64; NaN where nothing can be read"""
    unit: Array
    """float64, one unit of the last printed digit: 1e-8 for ``0.76158684``, 1 for ``1717.``; NaN likewise"""

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        """False where nothing can be read."""
        return ~np.isnan(self.value)

    def map(self, function: Callable[[Array], Array]) -> Numbers:
        """The same numbers with both arrays rearranged by ``function``."""
        return Numbers(function(self.value), function(self.unit))


def unit_of(token: str) -> float:
    """One unit of the last digit of a printed number.

    >>> unit_of("0.359429"), unit_of("1717."), unit_of("3.7055e-01")
    (1e-06, 1.0, 1e-05)
    """
    exponent = Decimal(token).as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{token!r} is printed, but should be a finite number or '{UNREADABLE}'")
    return float(Decimal(1).scaleb(exponent))


def read(printed: str, shape: Sequence[int]) -> Numbers:
    """Read white space separated tokens, last axis fastest, into arrays of ``shape``.

    Raises ``ValueError`` with one sentence where a token is no number or the count does not fit.

    >>> read("0.25 ? 1.5e-3", (3,)).value
    array([0.25  ,    nan, 0.0015])
    """
    tokens = printed.split()
    if len(tokens) != prod(shape):
        raise ValueError(f"{len(tokens)} numbers are printed, but shape {tuple(shape)} should have {prod(shape)}")
    pairs = [(np.nan, np.nan) if token == UNREADABLE else (_value_of(token), unit_of(token)) for token in tokens]
    value, unit = np.array(pairs, np.float64).reshape(-1, 2).T
    return Numbers(value.reshape(shape), unit.reshape(shape))


def count(printed: str) -> int:
    """How many numbers can be read.

    >>> count("1. ? 2.")
    2
    """
    return sum(token != UNREADABLE for token in printed.split())


def _value_of(token: str) -> float:
    try:
        return float(Decimal(token))
    except InvalidOperation:
        raise ValueError(f"{token!r} is printed, but should be a number or '{UNREADABLE}'") from None
