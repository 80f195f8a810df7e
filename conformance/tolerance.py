"""Accept or reject a result, and say how many bits of it are right.

An element is accepted if ``|candidate - truth| <= K * sigma``, where ``sigma`` is the root mean square error that the
claimed arithmetic makes in this element of this case (:mod:`reference.noise`). There is one constant, the same for
every backend and every cell, and no relative or absolute tolerance anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

import reference
from backends import Capabilities
from reference import Array, Case, Direction, Layer, Result, exact
from reference.noise import ARITHMETICS, Arithmetic, sigma

K = 6.0
"""The largest accepted error in units of sigma. Correct implementations have been seen to reach 3.8, and 5.1 in wide
layers with many rows (docs/noise.md)."""

HONEST = 1.4
"""What the worst element of a correct implementation typically comes to, in units of sigma."""

FLOAT64 = ARITHMETICS["float64"]

UNINFORMATIVE = 1e-2
"""A case whose sigma exceeds this share of its output's largest element says nothing about a backend that errs there:
it is counted, and not judged. Arithmetics too coarse ever to be below it get ``8 u`` instead."""


@dataclass(frozen=True)
class Mismatch:
    """One way in which a result is wrong; the element that is worst stands for the others of its output."""

    kind: str
    """``value``, ``nan``, ``shape``, ``dtype``, ``missing``, ``type``, ``raised`` or ``law``."""
    message: str
    """One or a few lines, ready to be shown."""
    first_steps: Mapping[str, int] = field(default_factory=dict)
    """Of ``y``: the first step to disagree, in the order of computation, by direction."""


@dataclass(frozen=True)
class Verdict:
    """What judging one case said."""

    mismatches: tuple[Mismatch, ...] = ()
    elements: int = 0
    """Elements judged."""
    worst: float = 0.0
    """The largest ``|error| / sigma``."""
    bits: float = float("nan")
    """Effective bits; NaN where nothing was judged by value."""
    informative: bool = True
    steps: tuple[float, ...] = ()
    """The largest ``|error| / sigma`` of ``y`` in each step, in the order of computation; see :func:`by_step`."""
    deviation: str | None = None
    """The known deviation by which the case fails, where one does: then it is not held against the backend."""

    @property
    def accepted(self) -> bool:
        """Nothing is wrong."""
        return not self.mismatches


@dataclass(frozen=True)
class Truth:
    """The right answer to a case, and the error that an arithmetic may make in it.

    NaN in a valid step or in an initial state makes NaN of what depends on it. What does not has the value and the
    sigma that it has anyway.
    """

    case: Case
    arithmetic: Arithmetic
    zero_length: str = "hold"
    """What becomes of the state of a row of length 0; see :class:`backends.Capabilities`."""

    @cached_property
    def value(self) -> Result:
        """The right answer, in float64."""
        value = self._value_and_rest[0]
        if self._numbers is self.case:
            return value
        with np.errstate(all="ignore"):
            reached = self._in_dialect(reference.run(self.case.astype(np.float64)))
        return Result(
            **{name: np.where(np.isnan(getattr(reached, name)), np.nan, array) for name, array in value.items()}
        )

    @cached_property
    def sigma(self) -> Result:
        """See :func:`reference.noise.sigma`."""
        with np.errstate(all="ignore"):
            return sigma(self._numbers, self.arithmetic, self._value_and_rest[0])

    @cached_property
    def informative(self) -> bool:
        """Whether rounding leaves enough of the outputs to tell right from wrong, and none of them overflows."""
        limit = max(UNINFORMATIVE, 8 * self.arithmetic.unit)
        with np.errstate(over="ignore"):
            return self._is_within(limit)

    def _is_within(self, limit: float) -> bool:
        return all(
            bool(np.all(np.isfinite(value.astype(self.case.dtype))))
            and np.max(getattr(self.sigma, name)) <= limit * np.max(np.abs(value))
            for name, value in self._value_and_rest[0].items()
            if np.any(value)
        )

    def error_of(self, candidate: Result) -> Result:
        """What a candidate has too much in each element, as float64 arrays."""
        rest = self._value_and_rest[1]
        with np.errstate(invalid="ignore"):  # of a signalling NaN
            errors = {name: getattr(candidate, name).astype(np.float64) - value for name, value in self.value.items()}
            if rest is not None:
                errors = {name: error - getattr(rest, name) for name, error in errors.items()}
        return Result(**errors)

    @cached_property
    def _numbers(self) -> Case:
        """The case with zeros for its NaN."""
        if not has_nan(self.case):
            return self.case
        return self.case.map(lambda array: np.where(np.isnan(array), 0, array).astype(array.dtype))

    @cached_property
    def _value_and_rest(self) -> tuple[Result, Result | None]:
        """The answer without NaN, and what float64 cannot hold of it where that counts: where float64 is judged."""
        if self.arithmetic.unit > FLOAT64.unit:
            with np.errstate(all="ignore"):  # a case may be meant to overflow; the judging sees what comes of it
                return self._in_dialect(reference.run(self._numbers.astype(np.float64))), None
        answer = exact.truth(self._numbers)
        return self._in_dialect(answer.hi), self._in_dialect(answer.lo)

    def _in_dialect(self, result: Result) -> Result:
        """``result``, in which states of rows of length 0 are made zero, in place, where the backend says so."""
        if self.zero_length == "zero" and self.case.lengths is not None:
            for name, array in result.items():
                if name != "y":
                    array[:, self.case.row_lengths == 0] = 0
        return result


def has_nan(case: Case) -> bool:
    """Whether there is NaN in a valid step or in an initial state."""
    given = (case.x[case.valid], *(state for state in (case.h_0, case.c_0) if state is not None))
    return any(bool(np.any(np.isnan(array))) for array in given)


def truth_of(case: Case, capabilities: Capabilities) -> Truth:
    """The truth of ``case`` in the arithmetic and the dialect that a backend claims."""
    return Truth(case, ARITHMETICS[capabilities.arithmetic_of(case.dtype)], capabilities.zero_length)


def judge(truth: Truth, candidate: Any) -> Verdict:
    """Judge all of y, h_n and c_n of a candidate result."""
    if wrong := _structure(truth.case, truth.value, candidate):
        return Verdict(tuple(wrong))
    if not truth.informative:
        return Verdict(informative=False)
    verdict = _compare(truth, candidate, truth.value, truth.error_of(candidate), 1.0)
    return replace(verdict, bits=effective_bits(verdict.worst, truth.arithmetic))


def judge_alike(truth: Truth, candidate: Result, other: Result, exactly: bool = False) -> Verdict:
    """Judge whether two results of one backend for ``truth.case`` are alike, whatever the right answer is.

    Each of the two may err by sigma, so their difference may by sqrt(2) sigma; ``exactly`` asks for equality.
    """
    for result in (candidate, other):
        if wrong := _structure(truth.case, truth.value, result):
            return Verdict(tuple(wrong))
    if not exactly and not truth.informative:
        return Verdict(informative=False)
    with np.errstate(all="ignore"):
        apart = {
            name: getattr(candidate, name).astype(np.float64) - array.astype(np.float64)
            for name, array in other.items()
        }
    return _compare(truth, candidate, other, Result(**apart), 0.0 if exactly else np.sqrt(2.0))


def effective_bits(worst: float, arithmetic: Arithmetic) -> float:
    """The bits that a result delivers whose largest ``|error| / sigma`` is ``worst``.

    All that u has for a result that is accepted; otherwise as many fewer as its worst error is above an honest one.
    """
    lost = 0.0 if worst <= K else np.log2(worst / HONEST)
    return max(0.0, float(-np.log2(arithmetic.unit) - lost))


def _structure(case: Case, expected: Result, candidate: Any) -> list[Mismatch]:
    """What is wrong with a result before its values are looked at."""
    if not isinstance(candidate, Result):
        return [Mismatch("type", f"the result is a {type(candidate).__name__}, but should be a reference.Result")]
    wrong = []
    for name in ("y", "h_n", "c_n"):
        wanted, got = getattr(expected, name), getattr(candidate, name)
        if wanted is None:
            if got is not None:
                wrong.append(Mismatch("missing", f"{name} is given, but should be None for the cell {case.layer.cell}"))
        elif not isinstance(got, np.ndarray):
            wrong.append(Mismatch("missing", f"{name} is {got!r:.60}, but should be an array of shape {wanted.shape}"))
        elif got.shape != wanted.shape:
            wrong.append(Mismatch("shape", f"{name} has shape {got.shape}, but should have shape {wanted.shape}"))
        elif got.dtype != case.dtype:
            wrong.append(
                Mismatch("dtype", f"{name} has dtype {got.dtype}, but should have dtype {case.dtype}, as the case")
            )
    return wrong


def _compare(truth: Truth, candidate: Result, wanted: Result, errors: Result, widening: float) -> Verdict:
    """The verdict on ``errors``, candidate minus wanted, of which each may reach K times a widened sigma."""
    steps: tuple[float, ...] = ()
    mismatches, elements, worst = [], 0, 0.0
    for name, error in errors.items():
        got, expected = (getattr(result, name).astype(np.float64) for result in (candidate, wanted))
        bound = widening * getattr(truth.sigma, name) if widening else np.zeros(error.shape)
        ratio = ratios(got, expected, error, bound)
        elements += got.size
        worst = max(worst, float(np.max(ratio)))
        if name == "y":
            steps = by_step(truth.case, ratio)
        if np.any(ratio > K):
            mismatches.append(_mismatch(truth.case, name, got, expected, bound, ratio))
    return Verdict(tuple(mismatches), elements, worst, steps=steps)


def by_step(case: Case, ratio: Array) -> tuple[float, ...]:
    """The largest of (B, T, D*H) ratios in each step, where step 0 is what a direction computes first in its row."""
    layer = case.layer
    steps, lengths = np.arange(case.num_steps), case.row_lengths[:, None]
    backwards = np.where(case.valid, lengths - 1 - steps, steps)
    worst = np.zeros(case.num_steps)
    for d in range(layer.num_directions):
        part = ratio[:, :, d * layer.hidden_size : (d + 1) * layer.hidden_size].max(axis=2)
        if _direction(layer, d) == "reverse":
            part = np.take_along_axis(part, backwards, axis=1)
        worst = np.maximum(worst, part.max(axis=0))
    return tuple(worst.tolist())


def ratios(got: Array, expected: Array, error: Array, bound: Array) -> Array:
    """``|error| / bound``: 0 where there is none, infinity where there is one and there may be none."""
    with np.errstate(all="ignore"):
        ratio = np.abs(error) / bound
    none = (error == 0) | (np.isinf(got) & (got == expected)) | (np.isnan(got) & np.isnan(expected))
    return np.where(none, 0.0, np.where(np.isnan(ratio), np.inf, ratio))


def _mismatch(case: Case, name: str, got: Array, expected: Array, bound: Array, ratio: Array) -> Mismatch:
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
    kind = "nan" if np.isnan(got[index]) and not np.isnan(expected[index]) else "value"
    margin = f" +- {K * bound[index]:.2g}" if bound[index] > 0 else " exactly"
    if np.isnan(expected[index]):
        margin = ""
    lines = [
        f"{name}{list(index)} = {_number(got[index], case)}, but should be {_number(expected[index], case)}{margin}"
        f" ({_axes(case.layer, name, index)})",
        f"    |error|/sigma = {ratio[index]:.3g}, accepted up to {K:g};"
        f" {np.sum(ratio > K)} of {ratio.size} elements of {name} disagree",
    ]
    first = _first_steps(case.layer, ratio > K) if name == "y" else {}
    if first:
        steps = ", ".join(f"{direction} t = {step}" for direction, step in first.items())
        lines.append(f"    the first step to disagree, in the order of computation: {steps}")
    return Mismatch(kind, "\n".join(lines), first)


def _number(value: Any, case: Case) -> str:
    digits = {"float64": 17, "float32": 9}.get(str(case.dtype), 6)
    return f"{float(value):.{digits}g}"


def _axes(layer: Layer, name: str, index: tuple[int, ...]) -> str:
    """What the axes of an element mean."""
    if name == "y":
        direction, unit = divmod(index[2], layer.hidden_size)
        return f"row {index[0]}, step {index[1]}, {_direction(layer, direction)} unit {unit}"
    number, direction = divmod(index[0], layer.num_directions)
    return f"layer {number} {_direction(layer, direction)}, row {index[1]}, unit {index[2]}"


def _direction(layer: Layer, direction: int) -> str:
    return "reverse" if direction == 1 or layer.direction is Direction.REVERSE else "forward"


def _first_steps(layer: Layer, wrong: Array) -> dict[str, int]:
    """The first step, in the order of computation, at which each direction disagrees; (B, T, D*H) of booleans."""
    found = {}
    for d in range(layer.num_directions):
        steps = np.flatnonzero(wrong[:, :, d * layer.hidden_size : (d + 1) * layer.hidden_size].any(axis=(0, 2)))
        if steps.size:
            name = _direction(layer, d)
            found[name] = int(steps[-1] if name == "reverse" else steps[0])
    return found
