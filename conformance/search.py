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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import indent
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from backends import Backend, Capabilities
from conformance.strategies import cases
from conformance.tolerance import Mismatch, Verdict, judge, truth_of
from reference import Case, Cell, Direction, Result
from reference.case_file import arrays_of_case, encode, layer_to_json, write_atomically

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

EXPLAIN: pytest.StashKey[Callable[[Judged, str, Case], str | None]] = pytest.StashKey()
"""What is to be said of why a backend, chosen by a spec, fails on a case; None for nothing."""

SHRINKING_SECONDS = 5.0
"""A smaller failing case is easier to read, but nobody waits minutes for it."""

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

    def __str__(self) -> str:
        names = [self.backend.name, str(self.cell)]
        return "-".join(names if len(self.dtypes) > 1 else [*names, *self.dtypes])


@dataclass
class Tally:
    """What one test judged."""

    cases: int = 0
    elements: int = 0
    uninformative: int = 0
    worst: float = 0.0
    declined: dict[str, int] = field(default_factory=dict)
    """Cases that the backend does not claim, by what it does not claim."""
    bits: float | None = None
    """The fewest effective bits of any case; None where nothing was judged against the right answer."""

    def decline(self, reason: str) -> None:
        """Count a case that was not judged."""
        self.declined[reason] = self.declined.get(reason, 0) + 1

    def add(self, verdict: Verdict) -> None:
        """Count one case."""
        self.cases += 1
        self.elements += verdict.elements
        self.uninformative += not verdict.informative
        self.worst = max(self.worst, verdict.worst)
        if not math.isnan(verdict.bits):
            self.bits = verdict.bits if self.bits is None else min(self.bits, verdict.bits)


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

        every()

    def disagreement(self, subject: Subject, tally: Tally, run_seed: str) -> Disagreement | None:
        """A case in which the claim does not hold, as small as :data:`SHRINKING_SECONDS` allow, or None."""
        patience = Patience()
        first: list[Disagreement] = []
        accepted: set[bytes] = set()

        def visit(case: Case) -> None:
            content = content_of(case)
            # Hypothesis may generate a case again, which would say nothing new.
            if content in accepted or patience.is_over_for(content):
                return
            verdict = verdict_of(self.claim, subject.backend, case)
            tally.add(verdict)
            if verdict.accepted:
                accepted.add(content)
            hypothesis.target(min(verdict.worst, 1e6))
            if not verdict.accepted:
                patience.found(content)
                first.append(Disagreement(case, verdict))
                raise first[-1]

        try:
            self.for_each(subject.backend.capabilities, subject.cell, subject.dtypes, run_seed, visit)
        except Disagreement as found:
            return found
        except hypothesis.errors.Flaky:
            verdict = first[0].verdict
            wavering = Mismatch(
                "wavers", "another call with the same case held to the claim: the result is not always the same"
            )
            return Disagreement(first[0].case, replace(verdict, mismatches=(*verdict.mismatches, wavering)))
        return None


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
            found = search.disagreement(subject, tally, str(request.config.getoption("--hypothesis-seed")))
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
    tally.add(verdict)
    if not verdict.accepted:
        message = failure_message(Disagreement(case, verdict), subject, request)
        pytest.fail("\n".join(filter(None, [headline, message])), pytrace=False)


def verdict_of(claim: Claim, backend: Judged, case: Case) -> Verdict:
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


def failure_message(found: Disagreement, subject: Subject, request: pytest.FixtureRequest) -> str:
    """All that a reader needs: the claim, the case, what is wrong where, and the command that runs it again."""
    path = save(found.case, subject, request.node.nodeid, request.config.rootpath)
    diagnosis = request.config.stash[EXPLAIN](subject.backend, subject.spec, found.case)
    command = ["pytest", request.node.nodeid, "--backend", subject.spec, "--case", str(path)]
    return "\n".join(
        [
            f"{subject.backend.name} does not hold to the claim: {claim_of(request)}",
            f"case: {found.case}",
            *(mismatch.message for mismatch in found.verdict.mismatches),
            *([] if diagnosis is None else [f"diagnosis: {diagnosis}"]),
            f"rerun: {shlex.join(command)}",
        ]
    )


def claim_of(request: pytest.FixtureRequest) -> str:
    """What a test claims, in its own words."""
    return str(request.function.__doc__ or request.node.name).strip().splitlines()[0]


def fail(message: str, subject: Subject, request: pytest.FixtureRequest) -> None:
    """Fail with a message of the same form for a claim about something else than a generated case."""
    command = shlex.join(["pytest", request.node.nodeid, "--backend", subject.spec])
    headline = f"{subject.backend.name} does not hold to the claim: {claim_of(request)}"
    pytest.fail(f"{headline}\n{message}\nrerun: {command}", pytrace=False)


def save(case: Case, subject: Subject, nodeid: str, root: Path) -> Path:
    """Save a failing case under a name made of its content; the path from ``root``."""
    header = {"layer": layer_to_json(case.layer), "backend": subject.spec, "test": nodeid}
    content = encode(arrays_of_case(case), header)
    name = re.sub(r"[^\w.-]+", "-", subject.backend.name)
    path = FAILURES / f"{name}-{case.layer.cell}-{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
    write_atomically(root / path, content)
    return path
