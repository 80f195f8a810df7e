"""From the tests of a run to its report, while they run.

The tests run in this process or in those of pytest-xdist; what each of them judged comes with its report as plain data
(:func:`contents_of`), so that the two make no difference here. The file says ``incomplete`` until everything that was
to be judged is, and is brought up to date as tests finish: however a run ends, what it had found is there, and what it
had not come to is listed as not run.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest

import conformance
from backends import DTYPES, Backend, describe
from backends.isolated import capabilities_to_json
from conformance.features import unclaimed
from conformance.report.contents import (
    INFINITE,
    BackendContents,
    Claim,
    Counts,
    DeviationContents,
    FailureContents,
    Outcome,
    Run,
    Selection,
)
from conformance.search import Count, Failure, Subject, Tally
from reference import Cell

if TYPE_CHECKING:
    from conformance.deviations import Deviation

CLAIM = "touchstone"
"""The user property by which the report of a test carries what it judged."""

DEVIATION = "touchstone deviation"
"""That by which it carries a known deviation: the name of its backend, and a :class:`DeviationContents`."""

PACKAGES = ("reference", "backends", "conformance", "golden")
"""What the suite is made of."""

CLAIMS = "conformance/test_"
"""How the ids of the suite's tests begin."""

DECLINED = "declined: "
"""How the reason of a skip begins where the backend does not claim what a claim is about."""


def contents_of(subject: Subject, tally: Tally, failure: Failure | None, says: str) -> dict[str, Any]:
    """What the report of a test carries of what it judged: the fields of a Claim that only the test knows."""
    return {
        "backend": subject.backend.name,
        "says": says,
        "cell": str(subject.cell),
        "dtypes": list(subject.dtypes),
        "elements": tally.elements,
        "total": counts_of(tally.total),
        "declined": dict(tally.declined),
        "deviating": dict(tally.deviating),
        "features": {
            dtype: {axis: {value: counts_of(count) for value, count in values.items()} for axis, values in axes.items()}
            for dtype, axes in tally.features.items()
        },
        "steps": {
            dtype: [[step, rounded_ratio(worst)] for step, worst in sorted(steps.items())]
            for dtype, steps in tally.steps.items()
        },
        "digests": dict(tally.digests),
        "failure": None
        if failure is None
        else {
            "message": str(failure),
            "case": failure.case,
            "first_steps": failure.first_steps,
            "diagnosis": failure.diagnosis,
            "rerun": failure.rerun,
        },
    }


def deviation_of(deviation: Deviation, subject: Subject, report: pytest.TestReport) -> dict[str, Any]:
    """What the report of a test carries of the deviation that it was about."""
    contents: DeviationContents = {
        "name": deviation.name,
        "summary": deviation.does,
        "still_deviates": not report.failed,
    }
    return {"backend": subject.backend.name, **contents}


def counts_of(count: Count) -> Counts:
    """A count without what is 0 or unknown, its numbers cut to what a reader can use."""
    counts: dict[str, Any] = {name: number for name, number in asdict(count).items() if number}
    if count.worst is not None:
        counts["worst"] = rounded_ratio(count.worst)
    if count.bits is not None:
        counts["bits"] = round(count.bits, 2)
    return counts  # type: ignore[return-value]


def rounded_ratio(ratio: float) -> float:
    """An ``|error| / sigma`` to four digits."""
    return min(float(f"{ratio:.4g}"), INFINITE)


class Collector:
    """Follows one run of pytest as one of its plugins; ``update`` is given the run now and then, while it lasts."""

    SECONDS_BETWEEN = 2.0
    """An update comes no sooner than this after the last."""

    SHARE_OF_TIME = 0.05
    """Updates take no more than this of the time."""

    def __init__(
        self,
        config: pytest.Config,
        backends: Mapping[str, Backend],
        missing: Mapping[str, str],
        update: Callable[[Run], None],
    ) -> None:
        self._started = time.time()
        self._update = update
        self._next = 0.0
        self._planned: dict[str, None] = {}
        self._claims: dict[str, Claim] = {}
        self._owner: dict[str, str] = {}
        self._deviations: dict[str, dict[str, DeviationContents]] = {}
        self._backends = dict(backends)
        self._run = _run_of(config, self._started, missing)
        self._ended = False

    @property
    def run(self) -> Run:
        """The run as far as it has come."""
        claims = {id: self._claims.get(id) or self._without_verdict(id, "not run") for id in self._planned}
        claims.update(self._claims)
        return {
            **self._run,
            "incomplete": not self._ended or any(claim["outcome"] == "not run" for claim in claims.values()),
            "seconds": round(time.time() - self._started, 1),
            "backends": [self._backend(spec, claims) for spec in self._backends],
        }

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What is to be judged, where the tests run in this process."""
        self._plan(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """What is to be judged, where they run in others."""
        self._plan(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one test."""
        properties: list[tuple[str, Any]] = report.user_properties
        for deviation in [value for name, value in properties if name == DEVIATION]:
            known = self._deviations.setdefault(deviation["backend"], {})
            known[deviation["name"]] = {
                "name": deviation["name"],
                "summary": deviation["summary"],
                "still_deviates": deviation["still_deviates"],
            }
        carried = next((value for name, value in properties if name == CLAIM), None)
        if report.when == "call" and carried is not None:
            self._owner[report.nodeid] = carried["backend"]
            self._claims[report.nodeid] = _judged_claim(report, carried)
        elif report.failed and self._is_claim(report.nodeid):
            self._claims[report.nodeid] = self._without_verdict(report.nodeid, "crashed", report.longreprtext)
        elif report.skipped and self._is_claim(report.nodeid) and report.nodeid not in self._claims:
            self._claims[report.nodeid] = self._without_verdict(report.nodeid, "skipped", _reason(report))
        else:
            return
        now = time.monotonic()
        if now >= self._next:
            self._update(self.run)
            took = time.monotonic() - now
            self._next = now + max(self.SECONDS_BETWEEN, took / self.SHARE_OF_TIME)

    def end(self, exit_status: int) -> Run:
        """The run as it is when nothing more comes; it is complete if pytest came to its end by itself."""
        self._ended = exit_status in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        )
        return self.run

    def _plan(self, ids: Iterable[str]) -> None:
        if not self._planned:
            self._planned = dict.fromkeys(id for id in ids if self._is_claim(id))
            self._update(self.run)

    def _is_claim(self, id: str) -> bool:
        return id in self._claims or (id.startswith(CLAIMS) and self._name_of(id) is not None)

    def _name_of(self, id: str) -> str | None:
        """The backend that a test judges, by the test's id: the longest of the names that it may begin with."""
        parameters = id.partition("[")[2]
        names = [backend.name for backend in self._backends.values() if parameters.startswith(f"{backend.name}-")]
        return max(names, key=len, default=None)

    def _without_verdict(self, id: str, outcome: Outcome, message: str = "") -> Claim:
        """A claim of which nothing is known but its test's id, and what became of that."""
        parameters = id.partition("[")[2].removesuffix("]").removeprefix(f"{self._name_of(id)}-").split("-")
        failure: FailureContents | None = None
        if outcome == "crashed":
            failure = {"message": message, "case": None, "first_steps": {}, "diagnosis": None, "rerun": None}
        kind, name = _titles(id)
        return {
            "id": id,
            "kind": kind,
            "name": name,
            "says": "",
            "cell": next((part for part in parameters if part in tuple(map(str, Cell))), None),
            "dtypes": [part for part in parameters if part in DTYPES],
            "outcome": outcome,
            "reason": message if outcome == "skipped" else None,
            "seconds": 0.0,
            "elements": 0,
            "total": {},
            "declined": {},
            "deviating": {},
            "features": {},
            "steps": {},
            "digests": {},
            "failure": failure,
        }

    def _backend(self, spec: str, claims: dict[str, Claim]) -> BackendContents:
        backend = self._backends[spec]
        capabilities = backend.capabilities
        own = [claim for id, claim in claims.items() if (self._owner.get(id) or self._name_of(id)) == backend.name]
        return {
            "name": backend.name,
            "spec": spec,
            "description": describe(backend),
            "device": getattr(backend, "device", None),
            "capabilities": json.loads(json.dumps(capabilities_to_json(capabilities))),
            "arithmetic": {dtype: capabilities.arithmetic_of(dtype) for dtype in capabilities.dtypes},
            "unclaimed": list(unclaimed(capabilities)),
            "claims": own,
            "deviations": sorted(self._deviations.get(backend.name, {}).values(), key=lambda each: each["name"]),
        }


def _judged_claim(report: pytest.TestReport, carried: dict[str, Any]) -> Claim:
    """A claim whose test ran to its end, or failed in judging."""
    reason = _reason(report) if report.skipped else None
    outcome: Outcome = report.outcome
    failure: FailureContents | None = carried["failure"]
    if reason is not None and reason.startswith(DECLINED):
        outcome, reason = "declined", reason.removeprefix(DECLINED)
    if report.failed and failure is None:  # the suite itself raised: that is no verdict
        outcome = "crashed"
        failure = {"message": report.longreprtext, "case": None, "first_steps": {}, "diagnosis": None, "rerun": None}
    known = {name: value for name, value in carried.items() if name != "backend"}
    kind, name = _titles(report.nodeid)
    return {
        **known,  # type: ignore[typeddict-item]
        "id": report.nodeid,
        "kind": kind,
        "name": name,
        "outcome": outcome,
        "reason": reason,
        "seconds": round(report.duration, 3),
        "failure": failure,
    }


def _titles(id: str) -> tuple[str, str]:
    """The kind of a claim and its name in words, from ``conformance/test_KIND.py::test_NAME[...]``."""
    path, _, rest = id.partition("::")
    function = rest.partition("[")[0]
    return PurePosixPath(path).stem.removeprefix("test_"), function.removeprefix("test_").replace("_", " ")


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def _run_of(config: pytest.Config, started: float, missing: Mapping[str, str]) -> Run:
    """A run before it has begun."""
    return {
        "incomplete": True,
        "started": datetime.fromtimestamp(started, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": 0.0,
        "profile": config.getoption("--profile"),
        "seed": str(config.getoption("--hypothesis-seed")),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "hypothesis": hypothesis.__version__,
        "touchstone": digest_of_sources(),
        "platform": f"{platform.system()} {platform.machine()}",
        "selection": _selection(config),
        "shard": config.getoption("--shard"),
        "unavailable": [{"spec": spec, "reason": reason} for spec, reason in missing.items()],
        "backends": [],
    }


def digest_of_sources(root: Path = Path(conformance.__file__).parents[1]) -> str:
    """Of the code that the cases come from: Hypothesis draws constants that it finds there, too."""
    digest = hashlib.sha256()
    for source in sorted(file for package in PACKAGES for file in (root / package).rglob("*.py")):
        digest.update(source.relative_to(root).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]


def _selection(config: pytest.Config) -> Selection:
    """What the command line asks for: paths from the root, in one spelling."""
    paths = []
    for argument in config.args:
        path, colons, test = argument.partition("::")
        absolute = (config.invocation_params.dir / path).resolve()
        inside = absolute.relative_to(config.rootpath) if absolute.is_relative_to(config.rootpath) else absolute
        paths.append(inside.as_posix() + colons + test)
    return {
        "paths": paths,
        "keyword": config.getoption("keyword") or None,
        "marker": config.getoption("markexpr") or None,
        "case": config.getoption("--case"),
    }
