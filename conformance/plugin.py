"""pytest options, fixtures, header and summary of the conformance suite.

Loaded with ``addopts = -p conformance.plugin``, so that ``pytest --backend X`` knows its options wherever it is called.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

import golden
from backends import BACKENDS, Backend, BackendError, describe, load
from conformance.report.collect import CLAIM, DEVIATION, contents_of, deviation_of
from conformance.report.contents import sigmas
from conformance.search import (
    BREADTH,
    CLIMB,
    DIAGNOSIS_SECONDS,
    EXAMPLES,
    EXPLAIN,
    FAILURE,
    SAVED_CASE,
    Judged,
    Subject,
    Tally,
    claim_of,
    content_of,
    generation,
)
from conformance.tolerance import K
from reference import Case
from reference.case_file import load_case

PROFILES = {"quick": 1, "thorough": 20}
"""How many times the quick number of cases each profile judges."""

QUICK_EXAMPLES = 10

SUITE = Path(__file__).resolve().parent

BACKENDS_KEY: pytest.StashKey[dict[str, Judged]] = pytest.StashKey()
MISSING_KEY: pytest.StashKey[dict[str, str]] = pytest.StashKey()
SHARD: pytest.StashKey[tuple[int, int]] = pytest.StashKey()
"""Which part of how many is run, from 1."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the suite."""
    group = parser.getgroup("touchstone", "conformance of recurrent layers")
    group.addoption(
        "--backend",
        action="append",
        metavar="NAME",
        help="judge this backend: one of " + ", ".join(BACKENDS) + ", or package.module:attribute (repeatable)",
    )
    group.addoption("--profile", choices=list(PROFILES), default="quick", help="how many cases to judge: %(choices)s")
    group.addoption(
        "--diagnosis",
        type=float,
        default=DIAGNOSIS_SECONDS,
        metavar="SECONDS",
        help="how long to look for the fault that explains a failure; 0: not at all (default: %(default)s)",
    )
    group.addoption("--case", metavar="FILE", help="judge this saved case in place of generated ones")
    group.addoption("--examples", metavar="DIR", help="judge the saved cases in DIR before the generated ones")
    group.addoption(
        "--shard", metavar="I/N", help="run the I-th of N parts of the tests; merge their reports afterwards"
    )
    group.addoption("--report", metavar="DIR", help="write DIR/report.json and DIR/index.html")
    group.addoption(
        "--baseline",
        action="append",
        metavar="PATH",
        help="fail where a backend has become worse than in this recorded run (repeatable)",
    )
    group.addoption(
        "--record-baseline",
        metavar="PATH",
        help="record this run, for a later --baseline, in a new file, or in a folder with a new file for each backend",
    )
    group.addoption("--replace-baseline", metavar="PATH", help="the same, in files that may be there already")


def pytest_configure(config: pytest.Config) -> None:
    """Load the chosen backends, or those that this environment has; set Hypothesis's profile."""
    config.addinivalue_line("markers", "each_dtype: one test for each dtype that the backend claims")
    config.addinivalue_line("markers", "vectors(where): only those vectors of the documents for which it is true")
    config.stash[EXPLAIN] = _explainer(config.getoption("--diagnosis"))
    config.stash[SHARD] = _shard(config.getoption("--shard"))
    config.stash[SAVED_CASE] = _saved_case(config.getoption("--case"))
    config.stash[EXAMPLES] = _examples(config.getoption("--examples"))
    backends, missing = _load(config.getoption("--backend"), _is_judging(config))
    # One for all tests of a backend: it remembers what the backend is known to do differently.
    config.stash[BACKENDS_KEY] = {spec: Judged(backend) for spec, backend in backends.items()}
    config.stash[MISSING_KEY] = missing
    profile = config.getoption("--profile")
    settings = generation(QUICK_EXAMPLES * PROFILES[profile], CLIMB if profile == "thorough" else BREADTH)
    hypothesis.settings.register_profile("touchstone", settings)
    wanted = ("--report", "--baseline", "--record-baseline", "--replace-baseline")
    is_worker, judges_nothing = hasattr(config, "workerinput"), config.getoption("collectonly")
    if any(map(config.getoption, wanted)) and not is_worker and not judges_nothing:
        from conformance.report.session import Session  # only where there is something to report

        config.pluginmanager.register(Session(config, backends, missing))


def _explainer(seconds: float) -> Callable[[Judged, str, Case], str | None]:
    """What explains failures; the catalogue of faults takes a while to import, and most runs do not fail."""

    @functools.cache
    def explainer() -> Callable[[Judged, str, Case], str | None]:
        from conformance.diagnose import Explainer

        return Explainer(seconds).explain

    return lambda backend, spec, case: explainer()(backend, spec, case)


def _shard(text: str | None) -> tuple[int, int]:
    """Which part of how many ``--shard`` asks for, from 1; the whole unless it is given."""
    part, slash, parts = (text or "1/1").partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise pytest.UsageError(f"--shard is {text!r}, but should be I/N with I from 1 to N, such as 1/4")
    return int(part), int(parts)


def _load(chosen: list[str] | None, judging: bool) -> tuple[dict[str, Backend], dict[str, str]]:
    """The backends to judge, by what chose them, and why the others are missing."""
    found, missing = {}, {}
    for spec in chosen or (BACKENDS if judging else ()):
        try:
            found[spec] = load(spec)
        except BackendError as error:
            if chosen:
                raise pytest.UsageError(str(error)) from error
            missing[spec] = str(error)
    names = Counter(backend.name for backend in found.values())
    for name, times in names.items():
        if times > 1:
            specs = " and ".join(spec for spec, backend in found.items() if backend.name == name)
            raise pytest.UsageError(f"{specs} are both called {name!r}, but each should have a name of its own")
    return found, missing


def _saved_case(path: str | None) -> Case | None:
    """The case of ``--case``."""
    try:
        return None if path is None else load_case(Path(path))[0]
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--case: {error}") from error


def _examples(folder: str | None) -> tuple[Case, ...]:
    """The cases in the folder of ``--examples``, each once; none where the folder is not there yet."""
    try:
        cases = [load_case(path)[0] for path in sorted(Path(folder).glob("*.safetensors"))] if folder else []
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--examples: {error}") from error
    return tuple({content_of(case): case for case in cases}.values())


def _is_judging(config: pytest.Config) -> bool:
    """Whether the suite itself is among what pytest was asked to run: importing frameworks takes seconds."""
    asked = [(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args]
    return any(SUITE.is_relative_to(path) or path.is_relative_to(SUITE) for path in asked)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each backend and cell; for each dtype too where the test is marked ``each_dtype``.

    A test that takes a ``vector`` too runs for each backend and vector of the documents, and one that takes a
    ``deviation`` for each known deviation of each backend.
    """
    if "subject" not in metafunc.fixturenames:
        return
    backends = metafunc.config.stash[BACKENDS_KEY].items()
    if "vector" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("vectors")
        pairs = [
            (vector, Subject(backend, spec, vector.layer.cell, ("float32",)))
            for spec, backend in backends
            for vector in golden.vectors()
            if marker is None or marker.kwargs["where"](vector)
        ]
        ids = [f"{subject.backend.name}-{vector.document}-{vector.id}" for vector, subject in pairs]
        metafunc.parametrize(("vector", "subject"), pairs, ids=ids)
    elif "deviation" in metafunc.fixturenames:
        from conformance.deviations import DEVIATIONS  # imports the faults, which take a while

        shown = [
            (each, Subject(backend, spec, backend.capabilities.cells[0], backend.capabilities.dtypes))
            for spec, backend in backends
            for each in DEVIATIONS
            if backend.name in each.backends
        ]
        ids = [f"{subject.backend.name}-{each.name}" for each, subject in shown]
        metafunc.parametrize(("deviation", "subject"), shown, ids=ids)
    else:
        each_dtype = metafunc.definition.get_closest_marker("each_dtype") is not None
        subjects = [
            Subject(backend, spec, cell, dtypes)
            for spec, backend in backends
            for cell in backend.capabilities.cells
            for dtypes in (zip(backend.capabilities.dtypes) if each_dtype else [backend.capabilities.dtypes])
        ]
        metafunc.parametrize("subject", subjects, ids=str)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep every N-th of the tests that are left; neighbours, which take about as long, go to different shards."""
    part, parts = config.stash[SHARD]
    if parts > 1:
        kept = items[part - 1 :: parts]
        config.hook.pytest_deselected(items=[item for k, item in enumerate(items) if k % parts != part - 1])
        items[:] = kept


@pytest.fixture
def tally() -> Tally:
    """Counts what a test judges; the report of the test carries it."""
    return Tally()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give the report of a test what it judged, in plain data, so that it passes from worker to controller."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    if call.when == "call" and "tally" in arguments:
        contents = contents_of(arguments["subject"], arguments["tally"], item.stash.get(FAILURE, None), claim_of(item))
        report.user_properties.append((CLAIM, contents))
        if "deviation" in arguments:
            told = deviation_of(arguments["deviation"], arguments["subject"], report)
            report.user_properties.append((DEVIATION, told))
    return report


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Which backends are judged, and which are not and why."""
    if not config.stash[BACKENDS_KEY] and not config.stash[MISSING_KEY]:
        return []
    seed = config.getoption("--hypothesis-seed")
    lines = [f"touchstone: profile {config.getoption('--profile')}, seed {seed}, numpy {np.__version__}"]
    for backend in config.stash[BACKENDS_KEY].values():
        lines.append(f"judged: {backend.name} ({describe(backend.backend) or 'no description'})")
    return lines + [f"not judged: {reason}" for reason in config.stash[MISSING_KEY].values()]


@dataclass
class Summary:
    """What was judged of one backend."""

    outcomes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    bits: dict[str, float] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)
    """By dtype: the largest ``|error| / sigma`` where results were judged against the right answer."""
    reasons: Counter[str] = field(default_factory=Counter)
    declined: Counter[str] = field(default_factory=Counter)

    def add(self, report: pytest.TestReport, judged: dict[str, Any]) -> None:
        """Count one claim about one cell."""
        self.outcomes[report.outcome] += 1
        self.counts.update({"elements": judged["elements"]})
        self.counts.update({name: judged["total"].get(name, 0) for name in ("cases", "uninformative", "deviating")})
        self.declined.update(judged["declined"])
        if "bits" in judged["total"] and len(judged["dtypes"]) == 1:
            (dtype,) = judged["dtypes"]
            self.bits[dtype] = min(judged["total"]["bits"], self.bits.get(dtype, np.inf))
            self.largest[dtype] = max(judged["total"]["worst"], self.largest.get(dtype, 0.0))
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def lines(self, name: str) -> Iterator[str]:
        """The summary in words."""
        yield (
            f"{name}: {self.outcomes['passed']} claims hold, {self.outcomes['failed']} do not;"
            f" {self.counts['cases']} cases and {self.counts['elements']} elements judged,"
            f" {self.counts['uninformative']} cases uninformative"
            + (f", {self.counts['deviating']} deviating as known" if self.counts["deviating"] else "")
        )
        if self.bits:
            yield "  effective bits: " + ", ".join(f"{dtype} {bits:.1f}" for dtype, bits in self.bits.items())
            largest = ", ".join(f"{dtype} {sigmas(ratio)}" for dtype, ratio in self.largest.items())
            aside = " (known deviations included)" if self.counts["deviating"] else ""
            yield f"  largest error in sigma, of which {K:g} are accepted: {largest}{aside}"
        if self.declined:
            reasons = ", ".join(f"{reason} ({times})" for reason, times in self.declined.most_common())
            yield f"  golden vectors not claimed: {reasons}"
        for reason, times in self.reasons.most_common():
            yield f"  not judged: {reason} ({times})"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was judged, by backend, and what was not and why."""
    summaries: dict[str, Summary] = defaultdict(Summary)
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            # A file that is skipped as a whole has a report without properties.
            for name, judged in getattr(report, "user_properties", ()):
                if name == CLAIM:
                    summaries[judged["backend"]].add(report, judged)
    if summaries:
        terminalreporter.section("touchstone")
    for name, summary in summaries.items():
        for line in summary.lines(name):
            terminalreporter.write_line(line)
