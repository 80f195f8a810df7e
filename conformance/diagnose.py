"""Which known fault explains what a backend gets wrong.

The backend and every fault of the catalogue run the same cases. A fault explains a case if it gives what the backend
gives, to within the error of the claimed arithmetic, where the reference does not. The fault that explains the most
cases, without contradicting any that the backend gets right, is named; two at once are tried when none alone will do.

    python -m conformance.diagnose .touchstone/mine-lstm-0123456789ab.safetensors --backend mine:Backend
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backends import BackendError, load
from conformance.faults import CATALOGUE, Edits, Fault
from conformance.search import DIAGNOSIS_SECONDS as SECONDS
from conformance.search import Judged, Search, agrees_with_reference, generation
from conformance.tolerance import K, Truth, effective_bits, judge, ratios, truth_of
from reference import Array, Case, Cell, Result
from reference.case_file import load_case

MORE_CASES = 40
"""Generated beside the failing one: a small case alone is explained by many faults."""

ENOUGH = 0.8
"""The share of the failing cases that an explanation has to explain."""

PATIENCE = {1: 3, 2: 1}
"""How many cases one fault, or two, may miss before any is explained. Two are tried first on the cases that neither
explains alone, and miss these at once if they are not the two; one of two misses those, and may explain others."""

FAR = 1e3
"""So many times sigma off is too far for any conditioning to explain, and not worth a second run."""

FLIPS = 0.1
"""The share of the wrong elements of a case that may stay unexplained. A fault that rounds may round one number in many
the other way, because the backend's own rounding errors put it on the other side."""


@dataclass(frozen=True)
class Observation:
    """What the backend returns for one case, and where that is wrong."""

    truth: Truth
    candidate: Result
    wrong: int
    """Elements that disagree with the truth; all where the shape, the dtype or the presence of an output does."""

    @cached_property
    def form(self) -> list[tuple[str, tuple[int, ...], str]]:
        """See :func:`form_of`."""
        return form_of(self.candidate)

    @cached_property
    def is_misshapen(self) -> bool:
        """Whether an output is missing, or has another shape or dtype than it should."""
        return self.form != form_of(self.truth.value, self.truth.case)

    @property
    def tolerated(self) -> float:
        """How many elements may stay unexplained."""
        return 0 if self.is_misshapen else FLIPS * self.wrong

    @cached_property
    def sigma(self) -> Result:
        """That of the truth, and for an output of another shape the largest there is."""
        known = self.truth.sigma
        largest = max(float(np.max(array)) for _, array in known.items())

        def shaped_as(name: str, array: Array) -> Array:
            own: Array | None = getattr(known, name)
            return own if own is not None and own.shape == array.shape else np.full(array.shape, largest)

        return Result(**{name: shaped_as(name, array) for name, array in self.candidate.items()})

    @property
    def cost(self) -> int:
        """About what running the case costs."""
        layer = self.truth.case.layer
        return self.truth.case.num_steps * layer.num_layers * layer.num_directions


@dataclass(frozen=True)
class Explanation:
    """How well some faults together reproduce a backend."""

    faults: tuple[Fault, ...]
    cases: frozenset[int]
    """The failing cases that are explained, as numbers of observations."""
    failing: int
    contradicted: int
    """Cases that the backend gets right and the faults do not."""
    bits: float
    """To how many bits it agrees on the explained cases."""
    closeness: float
    """The share of the wrong elements that it gives as the backend does, on average over the failing cases tried."""

    @property
    def explained(self) -> int:
        """How many failing cases are explained."""
        return len(self.cases)

    @property
    def rank(self) -> tuple[float, ...]:
        """Better explanations have a larger one."""
        return (self.explained - self.contradicted, -len(self.faults), self.bits)

    @property
    def suffices(self) -> bool:
        """Whether it may be called the explanation."""
        return self.contradicted == 0 and self.explained >= max(1, ENOUGH * self.failing)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to explain."""
        return self.contradicted == 0 and self.explained == self.failing

    def __str__(self) -> str:
        names = " and ".join(f"`{fault.name}`" for fault in self.faults)
        word = "fault" if len(self.faults) == 1 else "faults"
        says = " ".join(f"{fault.says} Look at {fault.look_at} ({fault.where})." for fault in self.faults)
        share = f"{self.explained} of {self.failing} failing cases"
        return f"agrees with {word} {names} to {self.bits:.1f} bits on {share}. {says}"


@dataclass(frozen=True)
class Diagnosis:
    """What was found, best first, and how far the search went."""

    explanations: tuple[Explanation, ...]
    failing: int
    observed: int
    tried: int
    seconds: float

    @property
    def best(self) -> Explanation | None:
        """The explanation, where there is one."""
        return self.explanations[0] if self.explanations and self.explanations[0].suffices else None

    def __str__(self) -> str:
        if self.observed == 0:
            return "there is none, as the backend returned nothing that could be looked at"
        if self.failing == 0:
            return f"the outputs agree with the reference in all of {self.observed} cases, so it is not their values"
        if self.best is not None:
            return str(self.best)
        near = next(iter(self.explanations), None)
        nearest = f"; the nearest is `{near.faults[0].name}`, on {near.explained}" if near else ""
        return (
            f"no known fault explains it ({self.tried} faults and pairs tried on {self.failing} failing cases in"
            f" {self.seconds:.1f} s{nearest})"
        )


def diagnose(backend: Judged, case: Case, seconds: float = SECONDS, run_seed: str = "diagnosis") -> Diagnosis:
    """Explain why ``backend`` fails on ``case``, within ``seconds``."""
    start = time.monotonic()
    observed = list(observe(backend, cases_like(backend, case, run_seed), start + seconds / 3))
    failing = sum(observation.wrong > 0 for observation in observed)
    found: list[Explanation] = []
    if failing:
        for explanation in explanations(observed):
            found.append(explanation)
            is_settled = explanation.is_complete and len(explanation.faults) == 2
            if is_settled or time.monotonic() - start > seconds:
                break
    best = sorted((each for each in found if each.explained), key=lambda each: each.rank, reverse=True)
    return Diagnosis(tuple(best), failing, len(observed), len(found), time.monotonic() - start)


def explanations(observed: list[Observation]) -> Iterator[Explanation]:
    """Of every fault of the cell, and unless one of them explains all of every pair, the likelier ones first.

    Where only one of two faults shows, it explains the case by itself, and where the other spoils some elements, it
    still gives the rest: so all pairs with the fault that comes closest are tried first.
    """
    cell = observed[0].truth.case.layer.cell
    alone = []
    for fault in CATALOGUE.values():
        if cell in fault.cells:
            alone.append(explain((fault,), observed))
            yield alone[-1]
    if any(explanation.is_complete for explanation in alone):
        return
    closest = sorted(alone, key=lambda explanation: -explanation.closeness)
    for first, second in itertools.combinations(closest, 2):
        settled = first.cases | second.cases
        yield explain(first.faults + second.faults, observed, settled)
        if first.faults[0].edits.meets(second.faults[0].edits):
            yield explain(second.faults + first.faults, observed, settled)


def cases_like(backend: Judged, case: Case, run_seed: str) -> list[Case]:
    """The case itself, and others of its cell and dtype that the backend claims, the cheap ones first."""
    more: list[Case] = []
    search = Search(agrees_with_reference)
    search.for_each(
        backend.capabilities, case.layer.cell, (str(case.dtype),), run_seed, more.append, generation(MORE_CASES)
    )
    return [case, *more]


def observe(backend: Judged, cases: Iterable[Case], until: float) -> Iterator[Observation]:
    """Run the backend on the first case, and on others for as long as there is time.

    What raises or says nothing is left out.
    """
    for k, case in enumerate(cases):
        if k > 0 and time.monotonic() > until:
            return
        truth = truth_of(case, backend.capabilities)
        try:
            candidate = backend.run(case)
            verdict = judge(truth, candidate)
        except Exception:  # a crash is reported as what it is; here it only tells nothing
            continue
        if not isinstance(candidate, Result) or not verdict.informative:
            continue
        if verdict.accepted or verdict.elements:
            wrong, _ = disagreements(truth.value, candidate, truth.sigma)
        else:
            wrong = sum(np.size(array) for _, array in candidate.items())
        yield Observation(truth, candidate, wrong)


def explain(
    faults: tuple[Fault, ...], observed: list[Observation], settled: frozenset[int] = frozenset()
) -> Explanation:
    """How well the faults together reproduce what was observed; given up where they are too often wrong.

    ``settled`` are cases that say little about these faults together, because one of them explains them alone.
    """
    run = sum((fault.edits for fault in faults), start=Edits()).make()
    remembers = any(fault.remembers for fault in faults)
    failing = sum(observation.wrong > 0 for observation in observed)
    few = max(1, (1 - ENOUGH) * failing)
    explained: set[int] = set()
    contradicted = misses = 0
    worst = 0.0
    shares: list[float] = []
    for number in _order(faults, observed, settled):
        observation = observed[number]
        found = residual(run, observation, remembers)
        if observation.wrong:
            shares.append(found.closeness_to(observation))
        if found.left <= observation.tolerated:
            if observation.wrong:
                explained.add(number)
            worst = max(worst, found.ratio if found.left == 0 else 0.0)
        else:
            contradicted += observation.wrong == 0
            misses += 1
            if misses > (few if explained else min(few, PATIENCE[len(faults)])):
                break
    bits = effective_bits(worst, observed[0].truth.arithmetic) if explained else math.nan
    return Explanation(faults, frozenset(explained), failing, contradicted, bits, float(np.mean(shares or 0.0)))


def _order(faults: tuple[Fault, ...], observed: list[Observation], settled: frozenset[int]) -> Iterable[int]:
    """The numbers of the observations: telling ones, failing ones and cheap ones first.

    Where the order of the calls is what matters, they stay in it.
    """
    if any(fault.remembers for fault in faults):
        return range(len(observed))
    return sorted(range(len(observed)), key=lambda k: (observed[k].wrong == 0, k in settled, observed[k].cost))


class Residual(NamedTuple):
    """What a wrong implementation leaves unexplained of an observation."""

    left: float
    """Elements that are not the candidate's, if its own conditioning is allowed for."""
    apart: float
    """Elements that are not the candidate's to within the error of the claimed arithmetic."""
    ratio: float
    """The largest ``|difference| / sigma``."""

    def closeness_to(self, observation: Observation) -> float:
        """The share of the wrong elements that come out; where the form is wrong too, that form is half of it."""
        share = max(0.0, 1 - self.apart / observation.wrong)
        return (1 + share) / 2 if observation.is_misshapen and self.apart < math.inf else share


NOTHING = Residual(math.inf, math.inf, math.inf)
"""Of an implementation that cannot run here, or whose outputs have another form: it explains nothing."""


def residual(run: Callable[[Case], Result], observation: Observation, remembers: bool = False) -> Residual:
    """What a wrong implementation leaves unexplained; one that remembers is called once, as the backend was."""
    case, sigma, unit = observation.truth.case, observation.sigma, observation.truth.arithmetic.unit
    try:
        rounded = run(case.map(np.copy))  # a fault may write into what it is given
        if form_of(rounded) != observation.form:
            return NOTHING
        # Where a wrong function depends on the format of its numbers, only itself in that format shows it.
        apart, ratio = disagreements(rounded, observation.candidate, sigma)
        if apart == 0 or remembers:
            return Residual(apart, apart, ratio)
        far, _ = disagreements(rounded, observation.candidate, _scaled(sigma, FAR))
        if far > observation.tolerated:
            return Residual(far, apart, math.inf)
        # A wrong function has a conditioning of its own: what its own rounding does to it is allowed too.
        exact = run(case.astype(np.float64))
        spread = {
            name: np.maximum(getattr(sigma, name), _own_spread(getattr(rounded, name), value, case, unit))
            for name, value in exact.items()
        }
        left, ratio = disagreements(exact, observation.candidate, Result(**spread))
        return Residual(left, apart, ratio)
    except Exception:
        return NOTHING


def form_of(result: Result, case: Case | None = None) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and dtype of every output, the dtype as if it had been computed for ``case``."""
    return [
        (name, array.shape, str(array.dtype if case is None else case.dtype))
        for name, array in result.items()
        if isinstance(array, np.ndarray)
    ]


def _scaled(spread: Result, factor: float) -> Result:
    """A multiple of a spread, nowhere smaller than it is at the typical element of its output."""
    return Result(*(factor * np.maximum(array, np.mean(array)) + 1e-4 for _, array in spread.items()))


def _own_spread(rounded: Array, exact: Array, case: Case, unit: float) -> Array:
    """The root mean square over the units of how far the rounded result is off, and of one rounding of it."""
    hidden = case.layer.hidden_size
    off = (rounded.astype(np.float64) - exact).reshape(*exact.shape[:-1], -1, hidden)
    mean = np.sqrt(np.mean(off**2, axis=-1, keepdims=True))
    return np.broadcast_to(mean, off.shape).reshape(exact.shape) + unit * np.abs(exact)


def disagreements(expected: Result, candidate: Result, spread: Result) -> tuple[int, float]:
    """How many elements of a candidate are not as expected, and the largest ``|difference| / spread``."""
    count, worst = 0, 0.0
    with np.errstate(all="ignore"):
        for name, array in expected.items():
            got, value = getattr(candidate, name).astype(np.float64), array.astype(np.float64)
            ratio = ratios(got, value, got - value, getattr(spread, name))
            count += int(np.sum(ratio > K))
            worst = max(worst, float(np.max(ratio)))
    return count, worst


class Explainer:
    """Diagnoses the failures of one run, each backend and cell as seldom as will do."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._known: dict[tuple[str, Cell], Diagnosis] = {}

    def explain(self, backend: Judged, spec: str, case: Case) -> str | None:
        """What is to be said of the failure on ``case``; None where no diagnosis is wanted.

        An explanation that was found before is said again where it explains this case too. Whatever goes wrong here is
        said in place of a diagnosis: it must not hide the failure.
        """
        if self.seconds <= 0:
            return None
        key = (spec, case.layer.cell)
        try:
            if key not in self._known or not self._explains(self._known[key], backend, case):
                self._known[key] = diagnose(backend, case, self.seconds)
            return str(self._known[key])
        except Exception as error:
            return f"none, because looking for it failed: {type(error).__name__}: {error}"

    @staticmethod
    def _explains(diagnosis: Diagnosis, backend: Judged, case: Case) -> bool:
        if diagnosis.best is None:
            return True  # it was looked for, and is not to be had
        observed = list(observe(backend, [case], math.inf))
        return not observed or explain(diagnosis.best.faults, observed).is_complete


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 where an explanation was found, 1 where none was, 2 where it could not be looked for."""
    parser = argparse.ArgumentParser(prog="python -m conformance.diagnose", description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path, help="a failing case, as a failure has saved it")
    parser.add_argument("--backend", help="the backend; the one that the case was saved for, unless given")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long it may take (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        case, header = load_case(options.case)
        backend = Judged(load(options.backend or str(header.get("backend"))))
    except (OSError, ValueError, BackendError) as error:
        print(f"cannot diagnose: {error}", file=sys.stderr)
        return 2
    diagnosis = diagnose(backend, case, options.seconds)
    print(f"{backend.name}: {diagnosis}")
    for explanation in diagnosis.explanations[1:4]:
        names = " + ".join(fault.name for fault in explanation.faults)
        print(f"  next: {names}, on {explanation.explained} of {explanation.failing}")
    return 1 if diagnosis.best is None else 0


if __name__ == "__main__":
    sys.exit(main())
