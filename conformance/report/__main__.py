"""What can be done with reports that ``pytest conformance/ --report DIR`` has written.

python -m conformance.report merge A B --out DIR            several reports, or the shards of a run, in one
python -m conformance.report page DIR                       write DIR/index.html anew
python -m conformance.report show DIR                       the matrix, in the terminal
python -m conformance.report badge DIR --out BADGES         BADGES/<backend>.json for shields.io
python -m conformance.report compare DIR --baseline PATH    what has become worse since a recorded run
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from backends import DTYPES
from conformance.command_line import with_commands
from conformance.report import baseline, store
from conformance.report.badge import badge
from conformance.report.matrix import columns
from conformance.report.merge import MergeError, merge
from conformance.report.page import shown_first
from reference.case_file import write_atomically


def parser() -> argparse.ArgumentParser:
    """The commands, and what each of them takes."""
    whole, command = with_commands("python -m conformance.report", __doc__)

    merging = command("merge", _merge, "several reports, or the shards of a run, in one")
    merging.add_argument(
        "reports",
        nargs="+",
        type=Path,
        metavar="REPORT",
        help="a report.json, a folder with one, or one with such folders",
    )
    merging.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the merged report goes")

    paging = command("page", _page, "write the page of a report anew, after power.json was put beside it")
    paging.add_argument("report", type=Path, metavar="DIR", help="a folder with a report.json")

    showing = command("show", _show, "the matrix of features against backends, in the terminal")
    showing.add_argument("report", type=Path, metavar="REPORT", help="a report.json, or a folder with one")
    showing.add_argument("--dtype", choices=DTYPES, help="the dtype that most backends claim, unless given")

    badging = command("badge", _badge, "a JSON file for each backend, which shields.io shows as a badge")
    badging.add_argument("report", type=Path, metavar="REPORT", help="a report.json, or a folder with one")
    badging.add_argument("--out", type=Path, required=True, metavar="DIR", help="where <backend>.json goes")

    comparing = command("compare", _compare, "what has become worse since a recorded run; 1 if anything has")
    comparing.add_argument("report", type=Path, metavar="REPORT", help="a report.json, or a folder with one")
    comparing.add_argument("--baseline", type=Path, required=True, metavar="PATH", help="what --record-baseline wrote")
    return whole


def _merge(options: argparse.Namespace) -> int:
    store.write(options.out, merge(store.read(path) for each in options.reports for path in reports_in(each)))
    print(f"written: {options.out / store.PAGE} and {options.out / store.REPORT}")
    return 0


def reports_in(path: Path) -> list[Path]:
    """A report as it is; a folder that has none itself stands for the reports in its folders."""
    inside = sorted(path.glob(f"*/{store.REPORT}")) if not (path / store.REPORT).exists() else []
    return inside or [path]


def _page(options: argparse.Namespace) -> int:
    store.write_page(options.report, store.read(options.report))
    print(f"written: {options.report / store.PAGE}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from rich.console import Console  # only where something is shown

    from conformance.report.terminal import matrix

    report = store.read(options.report)
    Console().print(matrix(report, options.dtype or shown_first(columns(report))))
    return 0


def _badge(options: argparse.Namespace) -> int:
    for column in columns(store.read(options.report)):
        path = options.out / f"{column.key}.json"
        write_atomically(path, (json.dumps(badge(column), indent=2) + "\n").encode())
        print(f"written: {path}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    report = store.read(options.report)
    comparison = baseline.compare(report, baseline.read(options.baseline, baseline.entries_of(report)))
    print("\n".join(comparison.lines()))
    return 1 if comparison.worse else 0


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 where it cannot be carried out."""
    options = parser().parse_args(arguments)
    try:
        found: int = options.run(options)
    except (store.ReportError, MergeError, baseline.BaselineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return found


if __name__ == "__main__":
    sys.exit(main())
