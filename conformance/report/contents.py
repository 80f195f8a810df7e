"""What a report holds.

A report is JSON, and these are its types; ``schema.json`` says the same for other languages, and a test holds the two
against each other. One run of pytest, in one environment, is one :class:`Run`; a merged report has several.

What is not known is null, and a count that is left out is 0.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypedDict

FORMAT = 2
"""Of the file; it changes when a reader has to."""

INFINITE = 1e30
"""Stands for an infinite ``|error| / sigma`` (an error where there may be none), which JSON cannot hold."""


def sigmas(ratio: float) -> str:
    """An ``|error| / sigma`` for readers."""
    if ratio >= INFINITE:
        return "∞"
    return f"{ratio:.2g}" if ratio < 1e4 else f"10^{math.log10(ratio):.0f}"


Outcome = Literal["passed", "failed", "declined", "skipped", "crashed", "not run"]
"""Of a claim. Declined: the backend does not claim what it is about. Skipped: it does not speak of the case that was
asked for. Crashed: the test ended without a verdict, because its process did or because the suite itself failed. Not
run: it was to be judged, and the run ended before."""

OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "declined", "skipped", "crashed", "not run")


class Counts(TypedDict, total=False):
    """What became of some cases; see :class:`conformance.search.Count`."""

    cases: int
    passed: int
    failed: int
    crashed: int
    uninformative: int
    deviating: int
    worst: float
    bits: float


ByFeature = dict[str, dict[str, Counts]]
"""By axis and value; see :mod:`conformance.features`."""


class FailureContents(TypedDict):
    """Why a claim does not hold; see :class:`conformance.search.Failure`."""

    message: str
    """All of it, as the run has shown it."""
    case: str | None
    first_steps: dict[str, int]
    diagnosis: str | None
    rerun: str | None


class Claim(TypedDict):
    """One claim about one cell of one backend, in one dtype or in all."""

    id: str
    """The test, as pytest is given it to run it again."""
    kind: str
    """``smoke``, ``documents``, ``vectors``, ``agreement``, ``laws`` or ``deviations``."""
    name: str
    """What is claimed, in the words of the test's name."""
    says: str
    """The same in a sentence."""
    cell: str | None
    """Null where a test has ended without saying."""
    dtypes: list[str]
    outcome: Outcome
    reason: str | None
    """Why it was declined or skipped."""
    seconds: float
    elements: int
    total: Counts
    declined: dict[str, int]
    """Golden vectors that the backend does not claim, by what it does not claim."""
    deviating: dict[str, int]
    """Cases by the known deviation that shows in them."""
    features: dict[str, ByFeature]
    """The cases by dtype, axis and value."""
    steps: dict[str, list[tuple[int, float]]]
    """By dtype: the largest ``|error| / sigma`` from a time step on, up to the next one listed."""
    digests: dict[str, str]
    """Of the bits of a result, by golden vector."""
    failure: FailureContents | None


class DeviationContents(TypedDict):
    """A known deviation; see :mod:`conformance.deviations`."""

    name: str
    summary: str
    still_deviates: bool


class BackendContents(TypedDict):
    """One backend in one run."""

    name: str
    spec: str
    """What ``--backend`` was given."""
    description: str
    """Framework, version and device, in its own words."""
    device: str | None
    capabilities: dict[str, Any]
    arithmetic: dict[str, str]
    """What it claims to calculate in, by dtype."""
    unclaimed: list[tuple[str, str]]
    """Features that it does not claim, as axis and value."""
    claims: list[Claim]
    deviations: list[DeviationContents]


class Selection(TypedDict):
    """Which of the suite's tests the run was told to run; null: all."""

    paths: list[str]
    keyword: str | None
    marker: str | None
    case: str | None


class Unavailable(TypedDict):
    """A backend that this environment does not have."""

    spec: str
    reason: str


class Run(TypedDict):
    """One run of pytest."""

    incomplete: bool
    """Whether it ended before everything was judged, or has not ended yet."""
    started: str
    """In UTC, as ISO 8601 has it."""
    seconds: float
    profile: str
    seed: str
    python: str
    numpy: str
    hypothesis: str
    touchstone: str
    """A digest of the code of the suite, which decides with Hypothesis which cases are generated."""
    platform: str
    selection: Selection
    shard: str | None
    """``2/3``: the second of three; several, with commas, after a merge that lacks some."""
    unavailable: list[Unavailable]
    backends: list[BackendContents]


class Report(TypedDict):
    """The whole file."""

    format: int
    incomplete: bool
    """Whether a run of it is, or lacks shards."""
    runs: list[Run]


def is_whole(run: Run) -> bool:
    """Whether everything was judged that was asked for."""
    return not run["incomplete"] and run["shard"] is None


def new_report(runs: list[Run]) -> Report:
    """The report of some runs."""
    return {"format": FORMAT, "incomplete": not all(map(is_whole, runs)), "runs": runs}
