"""From a claim about one case to a test over many: generation, counting, and the report of a failure.

A claim is a function ``claim(backend, case) -> Verdict``. ``@for_every_case()`` makes of it a pytest test that searches
for a case in which it does not hold, shrinks that, saves it, and fails with a message that says how to run it again.
With ``--case FILE`` the saved case takes the place of the search.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
import shlex
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from backends import Backend, Capabilities
from conformance.features import features_of
from conformance.strategies import cases
from conformance.tolerance import Mismatch, Verdict, judge, truth_of
from reference import Case, Cell, Direction, Result
from reference.case_file import arrays_of_case, encode, layer_to_json, write_atomically

if TYPE_CHECKING:
    from conformance.deviations import Deviation

BREADTH = (hypothesis.Phase.generate, hypothesis.Phase.shrink)
"""Phases that look at as many different cases as they can."""

CLIMB = (hypothesis.Phase.generate, hypothesis.Phase.target, hypothesis.Phase.shrink)
"""Phases that spend half of the cases on climbing towards larger errors, which pays where there are many."""


def generation(examples: int, phases: tuple[hypothesis.Phase, ...] = BREADTH) -> settings:
    """Settings of Hypothesis under which the same seed gives the same cases."""
    return settings(
        max_examples=examples,
        phases=phases,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


class BackendRaised(Exception):
    """A backend raised where it should have returned a result."""


class Judged:
    """A backend under judgement, as claims see it: it cannot change their cases, and what it raises is told apart."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.name = backend.name
        self.capabilities = backend.capabilities

    @cached_property
    def deviations(self) -> tuple[Deviation, ...]:
        """What it is known to do differently in some cases, and still does."""
        from conformance.deviations import DEVIATIONS  # takes a while, and most runs do not fail

        known = (each for each in DEVIATIONS if self.name in each.backends)
        return tuple(
            each
            for each in known
            if each.pinned is not None and not judged(agrees_with_reference, self, each.pinned()).accepted
        )

    def run(self, case: Case) -> Result:
        """Run the backend on a copy of ``case``."""
        return self.run_in_place(case.map(np.copy))

    def run_in_place(self, case: Case) -> Result:
        """Run the backend on ``case`` itself, for the claim that it leaves its inputs alone."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a backend may say what it likes; it is judged by what it returns
                return self.backend.run(case)
        except Exception as error:
            raise BackendRaised from error


Claim = Callable[[Judged, Case], Verdict]

Visit = Callable[[Case], None]

SAVED_CASE: pytest.StashKey[Case | None] = pytest.StashKey()
"""The case that ``--case`` names."""

EXAMPLES: pytest.StashKey[tuple[Case, ...]] = pytest.StashKey()
"""The cases in the folder that ``--examples`` names."""

DIAGNOSIS_SECONDS = 10.0
"""How long a diagnosis may take."""

EXPLAIN: pytest.StashKey[Callable[[Judged, str, Case], str | None]] = pytest.StashKey()
"""What is to be said of why a backend, chosen by a spec, fails on a case; None for nothing."""

SHRINKING_SECONDS = 5.0
"""A smaller failing case is easier to read, but nobody waits minutes for it."""

MOST_CRASHES = 5
"""After so many cases without a result a test asks for no more: a process that ends may take seconds to start again."""

FAILURES = Path(".touchstone")
"""Where failing cases are saved, below pytest's root directory."""


@dataclass(frozen=True)
class Subject:
    """What a test judges: the cases of one cell on one backend, in some of the dtypes that it claims."""

    backend: Judged
    spec: str
    """What ``--backend`` was given to choose it."""
    cell: Cell
    dtypes: tuple[str, ...]

    def takes(self, case: Case) -> bool:
        """Whether a case is one of those."""
        is_own = case.layer.cell is self.cell and str(case.dtype) in self.dtypes
        return is_own and self.backend.capabilities.declines(case) is None

    def __str__(self) -> str:
        names = [self.backend.name, str(self.cell)]
        return "-".join(names if len(self.dtypes) > 1 else [*names, *self.dtypes])


@dataclass
class Count:
    """What became of some cases."""

    cases: int = 0
    """All of the following five."""
    passed: int = 0
    failed: int = 0
    crashed: int = 0
    """Those for which the backend raised, or its process ended, in place of a result."""
    uninformative: int = 0
    deviating: int = 0
    """Those in which a known deviation shows."""
    worst: float | None = None
    """The largest ``|error| / sigma``; None where nothing was compared."""
    bits: float | None = None
    """The fewest effective bits of any case; None where nothing was judged against the right answer."""

    def add(self, verdict: Verdict) -> None:
        """Count one case."""
        self.cases += 1
        if verdict.deviation is not None:
            self.deviating += 1
        elif not verdict.informative:
            self.uninformative += 1
        elif verdict.accepted:
            self.passed += 1
        elif any(mismatch.kind == "raised" for mismatch in verdict.mismatches):
            self.crashed += 1
        else:
            self.failed += 1
        if verdict.elements:
            self.worst = max(verdict.worst, self.worst or 0.0)
        if not math.isnan(verdict.bits):
            self.bits = verdict.bits if self.bits is None else min(self.bits, verdict.bits)


@dataclass
class Tally:
    """What one test judged."""

    total: Count = field(default_factory=Count)
    elements: int = 0
    declined: dict[str, int] = field(default_factory=dict)
    """Cases that the backend does not claim, by what it does not claim."""
    deviating: dict[str, int] = field(default_factory=dict)
    """Cases in which a known deviation shows, by its name."""
    features: dict[str, dict[str, dict[str, Count]]] = field(default_factory=dict)
    """The cases by dtype, axis and value (:mod:`conformance.features`)."""
    steps: dict[str, dict[int, float]] = field(default_factory=dict)
    """By dtype: the largest ``|error| / sigma`` of ``y`` from one step of :func:`first_of_its_stretch` to the next."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of the bits of a result, by the id of its golden vector."""

    @property
    def cases(self) -> int:
        """How many cases were judged."""
        return self.total.cases

    @property
    def worst(self) -> float:
        """The largest ``|error| / sigma``."""
        return self.total.worst or 0.0

    def decline(self, reason: str) -> None:
        """Count a case that was not judged."""
        self.declined[reason] = self.declined.get(reason, 0) + 1

    def add(self, verdict: Verdict, case: Case) -> None:
        """Count one case."""
        self.total.add(verdict)
        self.elements += verdict.elements
        if verdict.deviation is not None:
            self.deviating[verdict.deviation] = self.deviating.get(verdict.deviation, 0) + 1
        dtype = str(case.dtype)
        axes = self.features.setdefault(dtype, {})
        for axis, value in features_of(case):
            axes.setdefault(axis, {}).setdefault(value, Count()).add(verdict)
        if not math.isnan(verdict.bits):
            steps = self.steps.setdefault(dtype, {})
            for step, ratio in enumerate(verdict.steps):
                start = first_of_its_stretch(step)
                steps[start] = max(ratio, steps.get(start, 0.0))


def first_of_its_stretch(step: int) -> int:
    """Steps are told one by one up to 16, and from there on by four stretches for each doubling."""
    return step if step < 16 else math.ceil(2 ** (math.floor(4 * math.log2(step)) / 4))


class Disagreement(AssertionError):
    """A claim does not hold for a case."""

    def __init__(self, case: Case, verdict: Verdict) -> None:
        super().__init__("\n".join(mismatch.message for mismatch in verdict.mismatches))
        self.case, self.verdict = case, verdict


@dataclass(frozen=True)
class Search:
    """A claim, and the cases that it is searched in."""

    claim: Claim
    needs: tuple[str | Direction, ...] = ()
    """What has to be claimed for it: ``"lengths"``, or a direction."""
    examples: float = 1.0
    """Times the profile's number of cases."""
    wanted: Mapping[str, Any] = field(default_factory=dict)
    """Goes to the strategy."""
    strategy: Callable[..., SearchStrategy[Case]] = cases
    """One of :mod:`conformance.strategies`."""

    def unclaimed(self, capabilities: Capabilities) -> str | None:
        """What the claim needs and ``capabilities`` leave out, or None."""
        for direction in Direction:
            if direction in (*self.needs, self.wanted.get("direction")) and direction not in capabilities.directions:
                return f"direction {direction}"
        if "lengths" in self.needs and not capabilities.lengths:
            return "sequence lengths"
        if self.wanted.get("num_layers", 1) > (capabilities.max_layers or math.inf):
            return f"{self.wanted['num_layers']} layers"
        if "linear" in (*self.needs, self.wanted.get("input_mode")) and "linear" not in capabilities.input_modes:
            return "input mode linear"
        return None

    def speaks_of(self, case: Case) -> bool:
        """Whether the claim is made of cases like this one."""
        wanted = dict(self.wanted)
        lengths, states = wanted.pop("lengths", None), wanted.pop("states", None)
        return (
            lengths in (None, case.lengths is not None)
            and states in (None, case.h_0 is not None)
            and (wanted.pop("zero_length", True) or min(case.row_lengths) > 0)
            and case.batch_size >= wanted.pop("min_batch", 1)
            and case.num_steps >= wanted.pop("min_steps", 1)
            and all(getattr(case.layer, name) == value for name, value in wanted.items())
        )

    def for_each(
        self,
        capabilities: Capabilities,
        cell: Cell,
        dtypes: tuple[str, ...],
        run_seed: str,
        visit: Visit,
        profile: settings | None = None,
    ) -> None:
        """Call ``visit`` with every generated case, and with smaller ones after it has raised.

        The cases are the same for the same ``run_seed``, and others for every claim, cell and set of dtypes.
        """
        profile = profile or settings.get_profile("touchstone")
        digest = hashlib.sha256(repr((self.claim.__name__, str(cell), dtypes, run_seed)).encode()).digest()

        @seed(int.from_bytes(digest[:8], "little"))
        @settings(profile, max_examples=max(1, round(profile.max_examples * self.examples)))
        @given(self.strategy(capabilities, cell, st.sampled_from(dtypes), **self.wanted))
        def every(case: Case) -> None:
            visit(case)

        with warnings.catch_warnings():
            # Of a case that fails it makes a text that nobody sees, and complains where that is long.
            warnings.filterwarnings("ignore", "Generating overly large repr", hypothesis.errors.HypothesisWarning)
            every()

    def disagreement(
        self, subject: Subject, tally: Tally, run_seed: str, examples: Iterable[Case] = ()
    ) -> Disagreement | None:
        """A case in which the claim does not hold, as small as :data:`SHRINKING_SECONDS` allow, or None.

        All cases are judged and counted, whatever becomes of the first; only then is a failing one made smaller. The
        ``examples`` come first, as far as they concern the subject, and are small enough as they are.
        """
        seen: dict[bytes, float] = {}
        failing: dict[bytes, Disagreement] = {}
        crashes = 0

        def survey(case: Case) -> float:
            nonlocal crashes
            content = content_of(case)
            # Hypothesis may generate a case again, which would say nothing new.
            if content not in seen and crashes < MOST_CRASHES:
                verdict = verdict_of(self.claim, subject.backend, case)
                tally.add(verdict, case)
                seen[content] = min(verdict.worst, 1e6)
                if not verdict.accepted:
                    failing[content] = Disagreement(case, verdict)
                    crashes += any(mismatch.kind == "raised" for mismatch in verdict.mismatches)
            return seen.get(content, 0.0)

        def climb(case: Case) -> None:
            hypothesis.target(survey(case))

        for case in examples:
            if subject.takes(case) and self.speaks_of(case):
                survey(case)
        failed_before = next(iter(failing.values()), None)
        self.for_each(subject.backend.capabilities, subject.cell, subject.dtypes, run_seed, climb)
        if failed_before is not None or not failing:
            return failed_before
        return self._smallest(subject, run_seed, seen, failing)

    def _smallest(
        self, subject: Subject, run_seed: str, seen: dict[bytes, float], failing: dict[bytes, Disagreement]
    ) -> Disagreement:
        """A failing case made smaller: the first of ``failing``, unless that does not fail again."""
        patience = Patience()
        accepted = {content: worst for content, worst in seen.items() if content not in failing}

        def visit(case: Case) -> None:
            content = content_of(case)
            if content not in accepted:
                if patience.is_over_for(content):
                    return
                verdict = verdict_of(self.claim, subject.backend, case)
                if not verdict.accepted:
                    patience.found(content)
                    raise Disagreement(case, verdict)
                accepted[content] = min(verdict.worst, 1e6)
            hypothesis.target(accepted[content])

        try:
            self.for_each(subject.backend.capabilities, subject.cell, subject.dtypes, run_seed, visit)
        except Disagreement as found:
            return found
        except hypothesis.errors.Flaky:
            pass
        first = next(iter(failing.values()))
        wavering = Mismatch(
            "wavers", "another call with the same case held to the claim: the result is not always the same"
        )
        return Disagreement(first.case, replace(first.verdict, mismatches=(*first.verdict.mismatches, wavering)))


SEARCHES: dict[str, Search] = {}
"""Every claim under ``@for_every_case`` by the name of its test, once its module is imported."""


def for_every_case(
    needs: tuple[str | Direction, ...] = (),
    examples: float = 1.0,
    strategy: Callable[..., SearchStrategy[Case]] = cases,
    **wanted: Any,
) -> Callable[[Claim], Callable[..., None]]:
    """Make a test of a claim: it holds for every case that the subject's backend claims and that is as ``wanted``.

    See :class:`Search` for the arguments.
    """

    def decorate(claim: Claim) -> Callable[..., None]:
        search = SEARCHES[claim.__name__] = Search(claim, needs, examples, wanted, strategy)

        @functools.wraps(claim)
        def test(subject: Subject, tally: Tally, request: pytest.FixtureRequest) -> None:
            if reason := search.unclaimed(subject.backend.capabilities):
                pytest.skip(f"declined: {subject.backend.name} does not claim {reason}")
            saved = request.config.stash[SAVED_CASE]
            if saved is not None:
                if not search.speaks_of(saved):
                    pytest.skip("the claim is not made of cases like the saved one")
                examine(claim, subject, saved, tally, request)
                return
            run_seed = str(request.config.getoption("--hypothesis-seed"))
            examples = request.config.stash[EXAMPLES]
            found = search.disagreement(subject, tally, run_seed, examples)
            if found is not None:
                pytest.fail(failure_message(found, subject, request), pytrace=False)

        # pytest reads the parameters of the test from here; those of the claim are the decorator's business.
        del test.__wrapped__
        return test

    return decorate


class Patience:
    """Ends the shrinking of a failing case after a while: then only the cases seen to fail go on failing."""

    def __init__(self) -> None:
        self._failing: set[bytes] = set()
        self._until = math.inf

    def found(self, content: bytes) -> None:
        """Remember a failing case by its content; the first one starts the clock."""
        if not self._failing:
            self._until = time.monotonic() + SHRINKING_SECONDS
        self._failing.add(content)

    def is_over_for(self, content: bytes) -> bool:
        """Whether the time is up, and a case of this content is not one of those known to fail."""
        return time.monotonic() > self._until and content not in self._failing


def content_of(case: Case) -> bytes:
    """A digest of all that a case is."""
    digest = hashlib.sha256(repr(case.layer).encode())
    for name, array in arrays_of_case(case).items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.digest()


def examine(
    claim: Claim,
    subject: Subject,
    case: Case,
    tally: Tally,
    request: pytest.FixtureRequest,
    headline: str | None = None,
) -> None:
    """Judge one given case, and fail with its message, below ``headline``, where the claim does not hold."""
    if reason := subject.backend.capabilities.declines(case):
        pytest.skip(f"declined: {subject.backend.name} does not claim {reason}")
    if case.layer.cell is not subject.cell or str(case.dtype) not in subject.dtypes:
        pytest.skip(f"the case is of {case.layer.cell} in {case.dtype}")
    verdict = verdict_of(claim, subject.backend, case)
    tally.add(verdict, case)
    if not verdict.accepted:
        message = failure_message(Disagreement(case, verdict), subject, request)
        pytest.fail("\n".join(filter(None, [headline, message])), pytrace=False)


def verdict_of(claim: Claim, backend: Judged, case: Case) -> Verdict:
    """The verdict of a claim; a failure that a known deviation explains is told as such."""
    verdict = judged(claim, backend, case)
    if not verdict.accepted:
        known = (each.name for each in backend.deviations if explains(each, backend, case))
        if (name := next(known, None)) is not None:
            return replace(verdict, mismatches=(), deviation=name)
    return verdict


def explains(deviation: Deviation, backend: Judged, case: Case) -> bool:
    """Whether a deviation concerns a case, and the backend gives in it what the model of the deviation says."""
    if deviation.concerns is None or not deviation.concerns(case):
        return False
    model = deviation.model
    if model is None:
        return True
    expected = model(truth_of(case, backend.capabilities))
    return judged(lambda backend, case: judge(expected, backend.run(case)), backend, case).accepted


def judged(claim: Claim, backend: Judged, case: Case) -> Verdict:
    """The verdict of a claim; a backend that raises on a case within its capabilities is wrong in a way of its own."""
    try:
        # On a copy, so that a case which a backend has changed is reported and saved as it was.
        return claim(backend, case.map(np.copy))
    except BackendRaised as raised:
        error = raised.__cause__
        assert error is not None
        lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)[-3:]).rstrip()
        return Verdict(
            (Mismatch("raised", f"the backend raised, but should return a result\n{indent(lines, '    ')}"),)
        )


def agrees_with_reference(backend: Judged, case: Case) -> Verdict:
    """The claim that all of y, h_n and c_n are right."""
    return judge(truth_of(case, backend.capabilities), backend.run(case))


@dataclass(frozen=True)
class Failure:
    """Why a claim does not hold, in parts, for reports; :meth:`__str__` is what is shown."""

    headline: str
    case: str | None
    """The case in a line; None where the claim is about something else than one."""
    details: str
    """What is wrong where."""
    first_steps: dict[str, int]
    """The first step of y to disagree, by direction."""
    diagnosis: str | None
    rerun: str
    """The command that runs it again."""

    def __str__(self) -> str:
        lines = [
            self.headline,
            f"case: {self.case}" if self.case else None,
            self.details,
            f"diagnosis: {self.diagnosis}" if self.diagnosis else None,
            f"rerun: {self.rerun}",
        ]
        return "\n".join(line for line in lines if line is not None)


FAILURE: pytest.StashKey[Failure] = pytest.StashKey()
"""The failure of a test, in the stash of its node."""


def failure_message(found: Disagreement, subject: Subject, request: pytest.FixtureRequest) -> str:
    """All that a reader needs: the claim, the case, what is wrong where, and the command that runs it again."""
    path = save(found.case, subject, request.node.nodeid, request.config.rootpath)
    first_steps = [mismatch.first_steps for mismatch in found.verdict.mismatches if mismatch.first_steps]
    failure = request.node.stash[FAILURE] = Failure(
        headline=f"{subject.backend.name} does not hold to the claim: {claim_of(request.node)}",
        case=str(found.case),
        details="\n".join(mismatch.message for mismatch in found.verdict.mismatches),
        first_steps=dict(next(iter(first_steps), {})),
        diagnosis=request.config.stash[EXPLAIN](subject.backend, subject.spec, found.case),
        rerun=shlex.join(["pytest", request.node.nodeid, "--backend", subject.spec, "--case", str(path)]),
    )
    return str(failure)


def claim_of(node: Any) -> str:
    """What a test claims, in its own words."""
    return str(node.function.__doc__ or node.name).strip().splitlines()[0]


def fail(message: str, subject: Subject, request: pytest.FixtureRequest, case: Case | None = None) -> None:
    """Fail with a message of the same form for a claim about something else than a generated case.

    ``case``, where there is one, is what a diagnosis looks at.
    """
    failure = request.node.stash[FAILURE] = Failure(
        headline=f"{subject.backend.name} does not hold to the claim: {claim_of(request.node)}",
        case=None,
        details=message,
        first_steps={},
        diagnosis=None if case is None else request.config.stash[EXPLAIN](subject.backend, subject.spec, case),
        rerun=shlex.join(["pytest", request.node.nodeid, "--backend", subject.spec]),
    )
    pytest.fail(str(failure), pytrace=False)


def save(case: Case, subject: Subject, nodeid: str, root: Path) -> Path:
    """Save a failing case under a name made of its content; the path from ``root``."""
    header = {"layer": layer_to_json(case.layer), "backend": subject.spec, "test": nodeid}
    content = encode(arrays_of_case(case), header)
    name = re.sub(r"[^\w.-]+", "-", subject.backend.name)
    path = FAILURES / f"{name}-{case.layer.cell}-{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
    write_atomically(root / path, content)
    return path
