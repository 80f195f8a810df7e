"""From a claim about one case to a test over many: generation, counting, and the report of a failure.

A claim is a function ``claim(backend, case) -> Verdict``. ``@for_every_case()`` makes of it a pytest test that searches
for a case in which it does not hold, shrinks that, saves it, and fails with a message that says how to run it again.
With ``--case FILE`` the saved case takes the place of the search.
"""

from __future__ import annotations

import functools
import hashlib
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from backends import Backend, Capabilities
from conformance.strategies import cases
from conformance.tolerance import Mismatch, Verdict, judge, truth_of
from reference import Case, Cell, Direction
from reference.case_file import arrays_of_case, encode, layer_to_json, load_case, write_atomically

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


Claim = Callable[[Backend, Case], Verdict]

Visit = Callable[[Case], None]

SHRINKING_SECONDS = 5.0
"""A smaller failing case is easier to read, but nobody waits minutes for it."""

FAILURES = Path(".touchstone")
"""Where failing cases are saved, below the directory that pytest runs in."""


@dataclass(frozen=True)
class Subject:
    """What a test judges: the cases of one cell on one backend, in some of the dtypes that it claims."""

    backend: Backend
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
    bits: float | None = None
    """The fewest effective bits of any case; None where nothing was judged against the right answer."""

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
    """Goes to :func:`conformance.strategies.cases`."""

    def unclaimed(self, capabilities: Capabilities) -> str | None:
        """What the claim needs and ``capabilities`` leave out, or None."""
        for direction in Direction:
            if direction in (*self.needs, self.wanted.get("direction")) and direction not in capabilities.directions:
                return f"direction {direction}"
        if "lengths" in self.needs and not capabilities.lengths:
            return "sequence lengths"
        if self.wanted.get("num_layers", 1) > (capabilities.max_layers or math.inf):
            return f"{self.wanted['num_layers']} layers"
        if self.wanted.get("input_mode", "linear") not in capabilities.input_modes:
            return f"input mode {self.wanted['input_mode']}"
        return None

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
        @given(cases(capabilities, cell, st.sampled_from(dtypes), **self.wanted))
        def every(case: Case) -> None:
            visit(case)

        every()

    def disagreement(self, subject: Subject, tally: Tally, run_seed: str) -> Disagreement | None:
        """A case in which the claim does not hold, as small as :data:`SHRINKING_SECONDS` allow, or None."""
        patience = Patience()

        def visit(case: Case) -> None:
            if patience.is_over_for(case):
                return
            verdict = verdict_of(self.claim, subject.backend, case)
            tally.add(verdict)
            hypothesis.target(min(verdict.worst, 1e6))
            if not verdict.accepted:
                patience.found(case)
                raise Disagreement(case, verdict)

        try:
            self.for_each(subject.backend.capabilities, subject.cell, subject.dtypes, run_seed, visit)
        except Disagreement as found:
            return found
        return None


SEARCHES: dict[str, Search] = {}
"""Every claim under ``@for_every_case`` by the name of its test, once its module is imported."""


def for_every_case(
    needs: tuple[str | Direction, ...] = (), examples: float = 1.0, **wanted: Any
) -> Callable[[Claim], Callable[..., None]]:
    """Make a test of a claim: it holds for every case that the subject's backend claims and that is as ``wanted``.

    See :class:`Search` for the arguments.
    """

    def decorate(claim: Claim) -> Callable[..., None]:
        search = SEARCHES[claim.__name__] = Search(claim, needs, examples, wanted)

        @functools.wraps(claim)
        def test(subject: Subject, tally: Tally, request: pytest.FixtureRequest) -> None:
            if reason := search.unclaimed(subject.backend.capabilities):
                pytest.skip(f"declined: {subject.backend.name} does not claim {reason}")
            saved = request.config.getoption("--case")
            if saved is not None:
                examine(claim, subject, load_case(Path(saved))[0], tally, request)
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

    def found(self, case: Case) -> None:
        """Remember a failing case; the first one starts the clock."""
        if not self._failing:
            self._until = time.monotonic() + SHRINKING_SECONDS
        self._failing.add(content_of(case))

    def is_over_for(self, case: Case) -> bool:
        """Whether the time is up, and ``case`` is not one of those known to fail."""
        return time.monotonic() > self._until and content_of(case) not in self._failing


def content_of(case: Case) -> bytes:
    """A digest of all that a case is."""
    digest = hashlib.sha256(repr(case.layer).encode())
    for name, array in arrays_of_case(case).items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.digest()


def examine(claim: Claim, subject: Subject, case: Case, tally: Tally, request: pytest.FixtureRequest) -> None:
    """Judge one given case, and fail with its message where the claim does not hold."""
    if reason := subject.backend.capabilities.declines(case):
        pytest.skip(f"declined: {subject.backend.name} does not claim {reason}")
    if case.layer.cell is not subject.cell or str(case.dtype) not in subject.dtypes:
        pytest.skip(f"the case is of {case.layer.cell} in {case.dtype}")
    verdict = verdict_of(claim, subject.backend, case)
    tally.add(verdict)
    if not verdict.accepted:
        pytest.fail(failure_message(Disagreement(case, verdict), subject, request), pytrace=False)


def verdict_of(claim: Claim, backend: Backend, case: Case) -> Verdict:
    """The verdict of a claim; a backend that raises on a case within its capabilities is wrong in a way of its own."""
    try:
        return claim(backend, case)
    except Exception as error:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        return Verdict(
            (Mismatch("raised", "the backend raised, but should return a result\n    " + "    ".join(lines[-3:])),)
        )


def agrees_with_reference(backend: Backend, case: Case) -> Verdict:
    """The claim that all of y, h_n and c_n are right."""
    return judge(truth_of(case, backend.capabilities), backend.run(case))


def failure_message(found: Disagreement, subject: Subject, request: pytest.FixtureRequest) -> str:
    """All that a reader needs: the claim, the case, what is wrong where, and the command that runs it again."""
    path = save(found.case, subject, request.node.nodeid)
    claim = (request.function.__doc__ or request.node.name).strip().splitlines()[0]
    return "\n".join(
        [
            f"{subject.backend.name} does not hold to the claim: {claim}",
            f"case: {found.case}",
            *(mismatch.message for mismatch in found.verdict.mismatches),
            f'rerun: pytest "{request.node.nodeid}" --backend {subject.spec} --case {path}',
        ]
    )


def save(case: Case, subject: Subject, nodeid: str) -> Path:
    """Save a failing case under a name made of its content."""
    header = {"layer": layer_to_json(case.layer), "backend": subject.spec, "test": nodeid}
    content = encode(arrays_of_case(case), header)
    path = FAILURES / f"{subject.backend.name}-{case.layer.cell}-{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
    write_atomically(path, content)
    return path
