"""What an activation with a known error does to a case: the reference is run with that error.

An error of an activation matters in one case and drowns in another. So that a deviation concerns no more cases than it
must, and excuses no other error in these, the reference runs each case with activations that err as the framework's do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

import reference
from conformance.tolerance import K, Truth, has_nan
from reference import Array, Case, Cell, Layer, Result, Weights
from reference.cells import Step
from reference.noise import ARITHMETICS, sigma

Activation = Callable[[Array], Array]
StepOf = Callable[[Layer], Step]

ROUNDING_ON_TOP = 0.4
"""The share of what is accepted that an error has to use up to be of concern; honest rounding may use up the rest."""


def with_activations(**activations: Activation) -> StepOf:
    """The steps of the reference with another ``sigmoid``, ``tanh`` or ``relu``."""
    # Imported here, because it brings the catalogue of faults along, and most runs have nothing to excuse.
    from conformance.faults.equations import Equations

    return replace(Equations(), **activations).step_of  # type: ignore[arg-type]


SIGNS = range(8)
"""Of errors whose size is known, so many choices of signs: in one of them errors may happen to cancel."""


def off_by(function: Activation, absolute: float, signs: int = 0) -> Activation:
    """``function`` with an absolute error of this size, whose sign is that of chance; ``signs`` says of which."""

    def erring(x: Array) -> Array:
        # Neighbouring arguments have different signs, and so do different gates of a unit.
        mantissa = np.frexp(x)[0]
        return function(x) + absolute * np.where(np.sin(1e6 * mantissa + signs) < 0, -1.0, 1.0)

    return erring


def difference(case: Case, step_of: StepOf) -> Result:
    """What steps that err add to the outputs of a case, in float64."""
    exact = case.astype(np.float64)
    with np.errstate(all="ignore"):
        right, wrong = reference.run(exact), reference.run(exact, step_of)
        return Result(**{name: array - getattr(right, name) for name, array in wrong.items()})


def shows(case: Case, step_of: StepOf, share: float = 1.0) -> bool:
    """Whether steps that err use up this share of what is accepted of the plain arithmetic of the dtype."""
    with np.errstate(all="ignore"):
        allowed = sigma(case, ARITHMETICS[str(case.dtype)])
        return any(
            bool(np.any(np.abs(array) > share * K * getattr(allowed, name)))
            for name, array in difference(case, step_of).items()
        )


def is_relu_of_nan(case: Case) -> bool:
    """Whether a relu meets NaN."""
    return case.layer.cell is Cell.RNN and case.layer.activation == "relu" and has_nan(case)


@dataclass(frozen=True, kw_only=True)
class Erring(Truth):
    """What steps that err give in place of a truth."""

    step_of: StepOf

    @classmethod
    def of(cls, truth: Truth, step_of: StepOf) -> Erring:
        """In place of ``truth``."""
        return cls(truth.case, truth.arithmetic, truth.zero_length, step_of=step_of)

    @cached_property
    def value(self) -> Result:
        """The right answer and the difference, in float64."""
        right, apart = super().value, difference(self.case, self.step_of)
        return Result(**{name: array + getattr(apart, name) for name, array in right.items()})

    def error_of(self, candidate: Result) -> Result:
        """What a candidate has too much in each element, as float64 arrays."""
        return Result(**{name: getattr(candidate, name).astype(np.float64) - a for name, a in self.value.items()})


@dataclass(frozen=True, kw_only=True)
class Loose(Truth):
    """A truth with room for errors of known size and unknown sign, on top of those of rounding."""

    steps_of: tuple[StepOf, ...]
    """Samples of such errors."""

    @classmethod
    def of(cls, truth: Truth, *steps_of: StepOf) -> Loose:
        """In place of ``truth``."""
        return cls(truth.case, truth.arithmetic, truth.zero_length, steps_of=steps_of)

    @cached_property
    def sigma(self) -> Result:
        """That of rounding and, added to it, the root mean square of what the steps differ by.

        It counts at least as much as over the units, so that none is small by chance. K times that leaves room for
        worse luck.
        """
        rounding, samples = super().sigma, [difference(self.case, step_of) for step_of in self.steps_of]

        def room(name: str) -> Array:
            square = np.mean([getattr(sample, name) ** 2 for sample in samples], axis=0)
            return np.asarray(np.sqrt(np.maximum(square, np.mean(square, axis=-1, keepdims=True))))

        return Result(**{name: array + room(name) for name, array in rounding.items()})


def in_float32(truth: Truth) -> Truth:
    """The right answer with the error of float32, where more is claimed."""
    return replace(truth, arithmetic=ARITHMETICS["float32"])


def one_unit(
    cell: Cell, w_ih: list[float], x: list[float], h_0: float | None = None, c_0: float | None = None, **layer: str
) -> Case:
    """A float32 case of one unit and one step, with a ``w_ih`` for each gate, an ``x`` for each row, and zeros else."""
    w = np.array(w_ih, np.float32).reshape(-1, 1, 1)
    b = np.zeros((len(w_ih), 1), np.float32)
    states = [None if state is None else np.full((1, len(x), 1), state, np.float32) for state in (h_0, c_0)]
    return Case(
        Layer(cell=cell, input_size=1, hidden_size=1, bias=False, **layer),  # type: ignore[arg-type]
        (Weights(w, np.zeros_like(w), b, b.copy()),),
        np.array(x, np.float32).reshape(-1, 1, 1),
        *states,
    )
