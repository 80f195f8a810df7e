"""The arithmetics that a backend may claim, and how much each of their operations errs.

The constants are standard deviations in units of the arithmetic's unit roundoff u. ``docs/noise.md`` says what they
were measured against, ``benchmarks/noise.py`` measures it again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

NEGLIGIBLY_SMALL = 2.0**-100
"""Numbers that no weight lifts to where they count; the smallest normal number is one in all formats but float16."""


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What a backend claims of its rounding. A unit roundoff is half the distance from 1 to the next number."""

    name: str
    unit: float
    """u, of everything that is stored: elementwise operations, and the result of a product."""
    accumulate_unit: float
    """u of the sums within a product."""
    operand_unit: float = 0.0
    """u to which the factors of a product are rounded before it; 0 where they are taken as they are."""
    smallest_normal: float
    """Below it the spacing of numbers no longer shrinks."""

    @property
    def counts_small(self) -> bool:
        """Whether weights may lift what is below the smallest normal number to where it counts."""
        return self.smallest_normal > NEGLIGIBLY_SMALL

    def coarser(self, factor: float) -> Arithmetic:
        """The same arithmetic with every unit roundoff ``factor`` times as large."""
        return replace(
            self,
            unit=self.unit * factor,
            accumulate_unit=self.accumulate_unit * factor,
            operand_unit=self.operand_unit * factor,
        )


def _arithmetic(
    name: str, bits: int, exponent: int, *, accumulate_bits: int | None = None, operand_bits: int | None = None
) -> Arithmetic:
    return Arithmetic(
        name=name,
        unit=2.0**-bits,
        accumulate_unit=2.0 ** -(accumulate_bits or bits),
        operand_unit=0.0 if operand_bits is None else 2.0**-operand_bits,
        smallest_normal=2.0**exponent,
    )


ARITHMETICS: Mapping[str, Arithmetic] = MappingProxyType(
    {
        arithmetic.name: arithmetic
        for arithmetic in (
            _arithmetic("float64", 53, -1022),
            _arithmetic("float32", 24, -126),
            _arithmetic("tf32", 24, -126, operand_bits=11),
            _arithmetic("float16", 11, -14),
            _arithmetic("float16-float32", 11, -14, accumulate_bits=24),
            _arithmetic("bfloat16", 8, -126),
            _arithmetic("bfloat16-float32", 8, -126, accumulate_bits=24),
        )
    }
)
"""By name. ``float16-float32`` stores float16 and sums products in float32, as most kernels do."""

ROUNDING = 1 / math.sqrt(3)
"""The root mean square of one rounding, in units of u, relative to a result at the bottom of its binade, where it is
largest: there the error is spread evenly between -u and u. Over all results it is 0.42 on average."""

FUNCTION = 1.0
"""Of ``exp`` and ``tanh``, which implementations compute to one or two units in the last place; such a unit is 2u."""

OPERANDS = math.sqrt(2) * ROUNDING
"""Of rounding both factors of a product of n terms before it, in units of the operands' u."""

UFUNC_NOISE: Mapping[Any, float] = MappingProxyType(
    {
        **dict.fromkeys((np.add, np.subtract, np.multiply, np.divide), ROUNDING),
        **dict.fromkeys((np.exp, np.tanh), FUNCTION),
        **dict.fromkeys((np.negative, np.maximum), 0.0),
    }
)
"""The standard deviation of an elementwise operation, relative to its result."""

COMPARISONS: frozenset[Any] = frozenset((np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal))
"""Operations whose results are not numbers."""

MOVES: frozenset[Any] = frozenset(
    (np.zeros_like, np.empty_like, np.copyto, np.copy, np.moveaxis, np.swapaxes, np.transpose, np.reshape)
)
"""Functions that move numbers about and calculate nothing."""
