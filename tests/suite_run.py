"""Runs of the suite in a process of its own, as a user starts them, with backends from outside the checkout."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

import reference

ROOT = Path(reference.__file__).resolve().parent.parent


@dataclass(frozen=True)
class SuiteRun:
    """What a run came to."""

    code: int
    output: str
    failures: dict[str, str]
    """The messages of the tests that failed, by name."""

    def lines(self, start: str) -> list[str]:
        """The lines of the output that begin so, without the beginning."""
        return [line.removeprefix(start) for line in self.output.splitlines() if line.startswith(start)]

    @property
    def summary(self) -> list[str]:
        """The summary by backend at the end."""
        lines = self.output.splitlines()
        start = next(k for k, line in enumerate(lines) if line.strip("= ") == "touchstone")
        return lines[start + 1 : next(k for k in range(start + 1, len(lines)) if lines[k].startswith("="))]


@dataclass(frozen=True)
class Starter:
    """Starts runs whose files are in ``folder``, which also is where their backends are imported from."""

    folder: Path

    def __post_init__(self) -> None:
        shutil.copy(ROOT / "tests" / "third_party.py", self.folder / "mine.py")

    def start(self, *arguments: str) -> Started:
        """Start ``pytest`` with these arguments."""
        report = self.folder / f"report-{len(list(self.folder.iterdir()))}.xml"
        report.touch()
        # The cache and the failing cases of a user are none of a test's business.
        options = ["-p", "no:cacheprovider", "-p", "tests.impatient", "--diagnosis=0", f"--junitxml={report}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *arguments],
            cwd=ROOT,
            env=self.environment(),
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Started(process, report)

    def run(self, *arguments: str) -> SuiteRun:
        """Start, and wait."""
        return self.start(*arguments).wait()

    def run_command(self, command: str) -> SuiteRun:
        """Run a command that the suite printed."""
        program, *arguments = shlex.split(command)
        assert program == "pytest"
        return self.run(*arguments)

    def run_module(self, module: str, *arguments: str) -> SuiteRun:
        """Run ``python -m module`` in place of pytest."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**self.environment(), "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)])},
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        return SuiteRun(done.returncode, done.stdout, {})

    def environment(self) -> dict[str, str]:
        """That of this process, without what belongs to this run of pytest."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))}
        return {
            **kept,
            "PYTHONPATH": str(self.folder),
            "FAILING_CASES": str(self.folder / "failing"),
            "COLUMNS": "200",
            "PYTHONIOENCODING": "utf-8",
        }


@dataclass(frozen=True)
class Started:
    """A run under way."""

    process: subprocess.Popen[str]
    report: Path

    def wait(self) -> SuiteRun:
        """What the run comes to."""
        try:
            output, _ = self.process.communicate(timeout=120)
        finally:
            self.process.kill()
            self.process.communicate()
        content = self.report.read_text(encoding="utf-8")
        cases = xml.fromstring(content).iter("testcase") if content else iter(())
        failures = {
            case.attrib["name"]: failure.text or ""
            for case in cases
            for failure in (*case.findall("failure"), *case.findall("error"))
        }
        return SuiteRun(self.process.returncode, output, failures)
