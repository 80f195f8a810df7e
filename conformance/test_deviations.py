"""Deviations: what a framework is known to do differently it still does, so that nothing mended stays excused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.deviations import Deviation
from conformance.search import Subject, Tally, explains, fail


def test_the_deviation_still_shows(
    deviation: Deviation, subject: Subject, tally: Tally, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The program that shows a known deviation still does, and so does its pinned case."""
    if subject.spec.startswith("isolated:"):
        pytest.skip("the programs of deviations run where the framework is, and this backend is isolated")
    tally.deviating[deviation.name] = 1
    # In a folder of its own: some compilers leave files behind.
    program = [sys.executable, str(deviation.reproducer)]
    done = subprocess.run(program, capture_output=True, cwd=tmp_path, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        fail(f"{deviation.name} does not show any more, and its entry should go: {said}", subject, request)
    if deviation.pinned is None or deviation.concerns is None:
        return
    case = deviation.pinned()
    if reason := subject.backend.capabilities.declines(case):
        fail(f"the pinned case of {deviation.name} should be claimed, and is declined: {reason}", subject, request)
    if not deviation.concerns(case):
        fail(f"the pinned case of {deviation.name} should be among those that it concerns", subject, request)
    if deviation not in subject.backend.deviations:
        fail(f"the pinned case of {deviation.name} is right, and its entry should go", subject, request)
    if not explains(deviation, subject.backend, case):
        fail(f"the pinned case of {deviation.name} is wrong otherwise than its model says", subject, request)
