"""Reading and writing a report and its page."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.report.contents import FORMAT, Report
from conformance.report.page import page
from conformance.report.schema import violations
from reference.case_file import write_atomically

REPORT, PAGE, POWER = "report.json", "index.html", "power.json"
"""The files of a report's folder. The last is there where ``python -m conformance.power --write`` has put it."""


class ReportError(Exception):
    """A file that is no report; the message is one sentence."""


def write(folder: Path, report: Report) -> None:
    """Write a report and its page, the report last: where it says that it is complete, everything is there."""
    write_page(folder, report)
    write_report(folder, report)


def write_report(folder: Path, report: Report) -> None:
    """Write the report alone: at every moment the file is the old one or the new one, whole."""
    write_atomically(folder / REPORT, json.dumps(report, separators=(",", ":"), allow_nan=False).encode() + b"\n")


def write_page(folder: Path, report: Report) -> None:
    """Write the page alone, with the table of power where the folder has one."""
    power = folder / POWER
    measured = json.loads(power.read_text(encoding="utf-8")) if power.exists() else None
    write_atomically(folder / PAGE, page(report, measured).encode())


def read(path: Path) -> Report:
    """The report in a file, or in a folder's ``report.json``; raises :class:`ReportError` where there is none."""
    file = path / REPORT if path.is_dir() else path
    try:
        report = json.loads(file.read_bytes())
    except OSError as error:
        raise ReportError(
            f"{file} cannot be read ({error.strerror}), but should be what --report has written"
        ) from error
    except ValueError as error:
        raise ReportError(f"{file} is not JSON, but should be what --report has written: {error}") from error
    if isinstance(report, dict) and report.get("format") not in (FORMAT, None):
        raise ReportError(
            f"{file} has format {report['format']}, but should have format {FORMAT}: it is of another version"
        )
    if wrong := next(violations(report), None):
        raise ReportError(f"{file} is no report: {wrong}")
    found: Report = report
    return found
