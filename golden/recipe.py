"""From a recipe to a case: where the numbers of a computed vector come from.

Every array has a stream of its own, and every number of it is exact in the dtype. The stream is splitmix64 (Steele, Lea
and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), started from the FNV-1a hash of the text
``<id of the vector>/<name of the array>``: integers only, and so the same on every machine and in every language.
Of each 64 bits the first is the sign, and the next p are the magnitude m; the number is ``(m + 1) * 2**(e - p)`` with
that sign, where 2**e is the scale of the array and p is the precision of the dtype, or less where 2**(e - p) would lie
below its smallest number. So numbers lie in [-2**e, 2**e], none is zero, and all bits of the dtype are in use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from reference import GATES, Array, Case, Cell, Layer, Weights
from reference.exact import FORMATS


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What the numbers of a case are like. The scales are exponents of two."""

    x: int = 0
    weight: int = 0
    """Of the l2 norm of a row of weights, whatever its length."""
    input_weight: int = 0
    """What the rows of ``w_ih`` in layer 0 have beyond ``weight``."""
    bias: int = -1
    h: int = -1
    c: int = 0
    numbers: Literal["any", "positive", "integers", "ones"] = "any"
    """integers: -1, 0 and 1 for weights, -2 to 2 for all else. ones: 1 everywhere."""
    recurrence: Literal["any", "rotation"] = "any"
    """rotation: ``w_hh`` hands every unit's state to the next unit, times 1."""
    biases: Literal["both", "b_ih", "b_hh"] = "both"
    """Which of the two are not zero, in a layer that has them."""
    gates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Gate letter -> what its ``b_ih`` is, all over."""
    padding: Literal["any", "nan", "largest"] = "any"
    """What stands in ``x`` past the lengths."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A computed vector before it is computed."""

    id: str
    """kebab-case, unique, never reused"""
    purpose: str
    """one sentence"""
    flags: tuple[str, ...]
    layer: Layer
    dtype: str
    batch: int
    """B"""
    steps: int
    """T"""
    lengths: tuple[int, ...] | None
    """(B,)"""
    states: bool
    """h_0, and c_0 of an LSTM, are given"""
    fill: Fill = field(default_factory=Fill)

    def case(self) -> Case:
        """The case, in its dtype."""
        layer, slots = self.layer, self.layer.num_layers * self.layer.num_directions
        state = (slots, self.batch, layer.hidden_size)
        has_cell = self.states and layer.cell is Cell.LSTM
        case = Case(
            layer,
            tuple(self._weights(k) for k in range(slots)),
            self._numbers("x", (self.batch, self.steps, layer.input_size), self.fill.x),
            self._numbers("h_0", state, self.fill.h) if self.states else None,
            self._numbers("c_0", state, self.fill.c) if has_cell else None,
            self.lengths,
        )
        if self.fill.padding != "any":
            padding = math.nan if self.fill.padding == "nan" else largest(self.dtype)
            case.x[~case.valid] = padding
        return case.astype(numpy_dtype(self.dtype))

    def _weights(self, k: int) -> Weights:
        """The parameters of slot ``k`` of the L*D."""
        layer, fill = self.layer, self.fill
        gates, hidden, number = layer.num_gates, layer.hidden_size, k // layer.num_directions
        inputs = layer.input_size_of(number)
        scale = fill.weight + (fill.input_weight if number == 0 else 0) - half_log2(inputs)
        w_ih = self._numbers(f"weights.{k}.w_ih", (gates, hidden, inputs), scale, largest_integer=1)
        w_hh = self._numbers(
            f"weights.{k}.w_hh", (gates, hidden, hidden), fill.weight - half_log2(hidden), largest_integer=1
        )
        if fill.recurrence == "rotation":
            w_hh = np.broadcast_to(np.roll(np.eye(hidden), 1, axis=1), w_hh.shape)
        is_skipped = number == 0 and layer.input_mode == "skip"
        return Weights(None if is_skipped else w_ih, w_hh, self._bias(k, "b_ih"), self._bias(k, "b_hh"))

    def _bias(self, k: int, side: str) -> Array:
        layer, fill = self.layer, self.fill
        bias = self._numbers(f"weights.{k}.{side}", (layer.num_gates, layer.hidden_size), fill.bias)
        if side == "b_ih":
            for gate, value in fill.gates.items():
                bias[GATES[layer.cell].index(gate)] = value
        return bias if layer.bias and fill.biases in ("both", side) else np.zeros_like(bias)

    def _numbers(self, name: str, shape: tuple[int, ...], scale: int, largest_integer: int = 2) -> Array:
        """The numbers of one array, in float64, between ``-2**scale`` and ``2**scale``."""
        if self.fill.numbers == "ones":
            return np.ones(shape)
        raw = stream(f"{self.id}/{name}", math.prod(shape)).reshape(shape)
        if self.fill.numbers == "integers":
            return (raw % np.uint64(2 * largest_integer + 1)).astype(np.float64) - largest_integer
        bits = min(FORMATS[self.dtype].precision, scale - FORMATS[self.dtype].lowest)
        magnitude = ((raw << np.uint64(1)) >> np.uint64(64 - bits)).astype(np.float64) + 1
        numbers = np.ldexp(magnitude, scale - bits)
        return numbers if self.fill.numbers == "positive" else np.where(raw >> np.uint64(63), -numbers, numbers)


def stream(key: str, count: int) -> npt.NDArray[np.uint64]:
    """The first ``count`` numbers of the stream of ``key``.

    >>> [hex(number) for number in stream("", 2).tolist()]
    ['0xc3817c016ba4ff30', '0x100cdaacc0bc9316']
    """
    start = 0xCBF29CE484222325
    for byte in key.encode():
        start = (start ^ byte) * 0x100000001B3 % 2**64
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def half_log2(n: int) -> int:
    """The exponent of the power of two next to sqrt(n).

    >>> [half_log2(n) for n in (1, 2, 3, 5, 16, 520)]
    [0, 0, 1, 1, 2, 5]
    """
    return round(math.log2(n) / 2)


def largest(dtype: str) -> float:
    """The largest finite number of a dtype.

    >>> largest("float16")
    65504.0
    """
    form = FORMATS[dtype]
    return math.ldexp(2.0**form.precision - 1, form.highest - form.precision)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy dtype called ``name``; bfloat16 is that of ml_dtypes."""
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes  # only where such an array is made

    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16
