"""The expected rounding error of a case: the unchanged reference over numbers that err as an arithmetic errs.

Every operation on a :class:`Noisy` array returns its result with a random error of the size that rounding makes in a
given :class:`Arithmetic` (stochastic arithmetic: Parker's Monte Carlo arithmetic, the CESTAC method). Several replicas,
stacked along the batch, run side by side, and the root mean square of their deviations is ``sigma``: what an honest
implementation in that arithmetic deviates by, element by element, *in this case*. Conditioning, length and depth need
no formula; they come in by themselves.

The standard deviations, in units of the arithmetic's unit roundoff u, are :data:`PRODUCT_NOISE` and :data:`UFUNC_NOISE`;
``benchmarks/noise.py`` measures how they compare with what implementations do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from reference.case import Array, Case, Result
from reference.case_file import arrays_of_case
from reference.layer import run


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

    def coarser(self, factor: float) -> Arithmetic:
        """The same arithmetic with every unit roundoff ``factor`` times as large."""
        return replace(
            self,
            unit=self.unit * factor,
            accumulate_unit=self.accumulate_unit * factor,
            operand_unit=self.operand_unit * factor,
        )


def _arithmetic(name: str, bits: int, exponent: int, **units: float) -> Arithmetic:
    unit = 2.0**-bits
    return Arithmetic(
        **{"name": name, "unit": unit, "accumulate_unit": unit, "smallest_normal": 2.0**exponent, **units}
    )  # type: ignore[arg-type]


ARITHMETICS: Mapping[str, Arithmetic] = MappingProxyType(
    {
        arithmetic.name: arithmetic
        for arithmetic in (
            _arithmetic("float64", 53, -1022),
            _arithmetic("float32", 24, -126),
            _arithmetic("tf32", 24, -126, operand_unit=2.0**-11),
            _arithmetic("float16", 11, -14),
            _arithmetic("float16-float32", 11, -14, accumulate_unit=2.0**-24),
            _arithmetic("bfloat16", 8, -126),
            _arithmetic("bfloat16-float32", 8, -126, accumulate_unit=2.0**-24),
        )
    }
)
"""By name. ``float16-float32`` stores float16 and sums products in float32, as most kernels do."""

REPLICAS = 16

SMALLEST_SIMULATED = 2.0**-32
"""A unit roundoff beside which that of the simulation itself, 2^-53, vanishes."""

PRODUCT_NOISE = 0.5
"""Of a product of n terms: this times sqrt(n), as the errors of n additions are independent, relative to the larger of
the result and the l2 norm of the terms, which is what partial sums look like."""

UFUNC_NOISE: Mapping[str, float] = MappingProxyType(
    {
        "add": 1.0,
        "subtract": 1.0,
        "multiply": 1.0,
        "divide": 1.0,
        "exp": 2.0,
        "tanh": 2.0,
        "negative": 0.0,
        "maximum": 0.0,
    }
)
"""Of the elementwise operations, relative to the result. An operation that is not here has no noise model yet."""


class Noisy(np.ndarray[Any, np.dtype[np.float64]]):
    """A float64 array whose every operation errs as ``source`` says."""

    source: NoiseSource

    def __array_finalize__(self, parent: Any) -> None:
        self.source = getattr(parent, "source", None)  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        plain = [_plain(value) for value in inputs]
        result = getattr(ufunc, method)(*plain, **kwargs)
        if not isinstance(result, np.ndarray) or result.dtype != np.float64:
            return result  # a comparison, or a scalar
        if ufunc is np.matmul:
            self.source.disturb_product(result, *plain)
        else:
            self.source.disturb(result, UFUNC_NOISE[ufunc.__name__])
        if out is not None:
            out[0][...] = result
            return out[0]
        noisy = result.view(Noisy)
        noisy.source = self.source
        return noisy


class NoiseSource:
    """A reproducible stream of rounding errors of one arithmetic."""

    # A prime, so that large arrays, which go round the pool several times, do not repeat in step with their rows.
    POOL = 65521

    def __init__(self, arithmetic: Arithmetic, seed: int) -> None:
        self.arithmetic = arithmetic
        # Sums of eight 16-bit integers: near enough to normal, and, unlike the distributions of numpy.random, the
        # same in every version of numpy.
        raw = np.random.PCG64(seed).random_raw(2 * self.POOL).view(np.uint16).reshape(self.POOL, 8)
        self._pool = (raw.sum(axis=1, dtype=np.float64) - 8 * 32767.5) / np.sqrt(8 * (65536.0**2 - 1) / 12)
        self._position = 0

    def disturb(self, result: Array, noise: float) -> None:
        """Add rounding errors to ``result``, in place."""
        if noise:
            result *= 1 + self._draw(result) * (noise * self.arithmetic.unit)

    def disturb_product(self, result: Array, a: Array, b: Array) -> None:
        """Add to ``result = a @ b`` the errors of its operands, of its sums and of storing it, in place."""
        arithmetic = self.arithmetic
        terms = np.sqrt((a * a) @ (b * b))
        sums = PRODUCT_NOISE * np.sqrt(a.shape[-1]) * arithmetic.accumulate_unit
        scale = sums * np.maximum(np.maximum(np.abs(result), terms), arithmetic.smallest_normal)
        if arithmetic.operand_unit:
            scale = np.hypot(scale, terms * arithmetic.operand_unit)
        if arithmetic.accumulate_unit != arithmetic.unit:
            scale = np.hypot(scale, arithmetic.unit * np.maximum(np.abs(result), arithmetic.smallest_normal))
        result += scale * self._draw(result)

    def _draw(self, like: Array) -> Array:
        start, size = self._position, like.size
        self._position = (start + size + 7919) % self.POOL
        if start + size <= self.POOL:
            return self._pool[start : start + size].reshape(like.shape)
        return np.resize(np.roll(self._pool, -start), like.shape)


def sigma(case: Case, arithmetic: Arithmetic, truth: Result | None = None, replicas: int = REPLICAS) -> Result:
    """The root mean square error that ``arithmetic`` makes in each output element of ``case``, as float64 arrays.

    ``truth`` is the float64 result, computed here unless given. An element that no rounding reaches (padding, the
    state of an empty row) has sigma 0. Elsewhere sigma is at least its root mean square over the units of the same
    row and step, so that an element is not held to an error that is small by chance.
    """
    case = case.astype(np.float64)
    truth = truth or run(case)
    # The replicas are computed in float64, which has errors of its own. Where those would count, the simulated ones
    # are made larger, and the result smaller by as much: errors this small grow in proportion.
    magnified = max(1.0, SMALLEST_SIMULATED / arithmetic.unit)
    noisy = run(_replicated(case, NoiseSource(arithmetic.coarser(magnified), _seed(case)), replicas))
    spread = {}
    for name, exact in truth.items():
        batch_axis = 0 if name == "y" else 1
        values = _plain(getattr(noisy, name))
        values = values.reshape(*exact.shape[:batch_axis], replicas, *exact.shape[batch_axis:])
        square = np.mean((values - np.expand_dims(exact, batch_axis)) ** 2, axis=batch_axis)
        error = np.sqrt(np.maximum(square, _mean_over_units(square, case.layer.hidden_size))) / magnified
        # Where numbers are so small that their spacing no longer shrinks, neither does the error.
        spread[name] = np.where(error > 0, np.maximum(error, arithmetic.unit * arithmetic.smallest_normal), 0.0)
    return Result(**spread)


def _mean_over_units(square: Array, hidden: int) -> Array:
    """The mean over the H units of a state, in place of each of them; zero where nothing errs at all."""
    states = square.reshape(*square.shape[:-1], -1, hidden)
    return np.broadcast_to(states.mean(axis=-1, keepdims=True), states.shape).reshape(square.shape)


def _replicated(case: Case, source: NoiseSource, replicas: int) -> Case:
    """The case ``replicas`` times over, stacked along the batch, its inputs noisy from the first operation on."""

    def noisy(array: Array, batch_axis: int) -> Array:
        tiled = np.concatenate([array] * replicas, axis=batch_axis).view(Noisy)
        tiled.source = source
        return tiled

    return Case(
        case.layer,
        case.weights,
        noisy(case.x, 0),
        None if case.h_0 is None else noisy(case.h_0, 1),
        None if case.c_0 is None else noisy(case.c_0, 1),
        None if case.lengths is None else np.tile(case.lengths, replicas),
    )


def _seed(case: Case) -> int:
    """A seed that depends on the content of the case alone; padding counts for nothing."""
    digest = hashlib.blake2b(repr(case.layer).encode(), digest_size=8)
    for name, array in sorted(arrays_of_case(case).items()):
        content = np.where(case.valid[:, :, None], array, 0) if name == "x" else array
        digest.update(f"{name}{content.shape}".encode() + np.ascontiguousarray(content).tobytes())
    return int.from_bytes(digest.digest(), "little")


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Noisy) else value
