"""What a run of pytest does with its report: writes it, compares it with a baseline, records it as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backends import Backend
from conformance.report import baseline, store
from conformance.report.collect import Collector
from conformance.report.contents import Run, new_report


class Session:
    """The plugin behind ``--report`` and the options of baselines; it runs where pytest's own summary is made."""

    def __init__(self, config: pytest.Config, backends: Mapping[str, Backend], missing: Mapping[str, str]) -> None:
        self._folder = _path(config.getoption("--report"))
        names = [backend.name for backend in backends.values()]
        self._recorded = _recorded(config.getoption("--baseline"), names)
        new, replaced = (_path(config.getoption(f"--{verb}-baseline")) for verb in ("record", "replace"))
        self._record = _to_record(new, replaced, names)
        self._collector = Collector(config, backends, missing, self._update)
        self._lines: list[str] = []
        config.pluginmanager.register(self._collector)
        if self._folder is not None:
            # Before anything is judged, so that nothing that an earlier run has left there can be taken for this one's.
            try:
                store.write(self._folder, new_report([self._collector.run]))
            except OSError as error:
                raise pytest.UsageError(f"--report: {self._folder} cannot be written to: {error.strerror}") from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write what there is to write; what has become worse makes the run fail."""
        run = self._collector.end(exitstatus)
        report = new_report([run])
        if self._folder is not None:
            store.write(self._folder, report)
            state = "the report, incomplete, is in" if report["incomplete"] else "the report is in"
            self._lines.append(f"{state} {self._folder / store.PAGE} and {self._folder / store.REPORT}")
        if self._recorded is not None:
            comparison = baseline.compare(report, self._recorded)
            self._lines += comparison.lines()
            if comparison.worse and exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._record is not None:
            try:
                baseline.write(self._record, report)
                self._lines.append(f"the baseline is in {self._record}")
            except baseline.BaselineError as error:
                self._lines.append(f"no baseline: {error}")

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the report is, and how the run compares with its baseline."""
        for line in self._lines:
            terminalreporter.write_line(line)

    def _update(self, run: Run) -> None:
        if self._folder is not None:
            store.write_report(self._folder, new_report([run]))


def _path(option: str | None) -> Path | None:
    return None if option is None else Path(option)


def _recorded(paths: list[str] | None, names: list[str]) -> dict[str, baseline.Entry] | None:
    """The baselines to compare with, read before anything is judged."""
    try:
        recorded = [baseline.read(Path(path), names) for path in paths or ()]
    except baseline.BaselineError as error:
        raise pytest.UsageError(f"--baseline: {error}") from error
    return {name: entry for entries in recorded for name, entry in entries.items()} if recorded else None


def _to_record(new: Path | None, replaced: Path | None, names: list[str]) -> Path | None:
    """Where to record the run; a file that is there is replaced only where that was asked for."""
    for file in baseline.files_of(new, names) if new is not None else ():
        if file.exists():
            raise pytest.UsageError(f"--record-baseline: {file} is there already; --replace-baseline {new} replaces it")
    return new or replaced
