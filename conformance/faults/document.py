"""docs/faults.md: the catalogue for readers, made from the catalogue.

What is measured (by :mod:`conformance.power`) stands behind a marker and is kept when the rest is written anew.
"""

from __future__ import annotations

from pathlib import Path

from conformance.faults.fault import CATALOGUE, GROUPS, Fault
from conformance.faults.reports import CLASSES, NOT_EXPRESSIBLE, Kind
from reference.case_file import write_atomically

MARKER = "<!-- Measured. What follows is written by `python -m conformance.power --document`. -->\n"

OPENING = """\
# What goes wrong in recurrent layers

{count} faults, each of them a wrong implementation of a few lines in `conformance/faults/`. They serve three times: the
suite is measured by how many of them it rejects (`python -m conformance.power`), a failing backend is compared with
each of them to name what it does wrong (`python -m conformance.diagnose`), and they are written down here for whoever
implements a recurrent layer. Any of them can be judged like a backend:

    pytest conformance/ --backend conformance.faults:reverse-starts-in-padding

This page is generated: `python -m conformance.faults --write docs/faults.md`.
"""

ARGUMENT = """\
## Why these faults, and why they are not the target

Two implementations of a recurrent layer have the same few equations. They can differ in

- an **index**: which step, row, unit or column is read or written first, last, or one too far;
- an **axis**: which of two axes comes first in memory, or is folded into which;
- a **gate**: which block feeds it, what activation it has, where it enters;
- a **slot**: which layer or direction a parameter or a state belongs to;
- a **flag**: a direction, a variant, a bias, a mode, a state that is given or not;
- a **length**: where a row ends, and what stands beyond;
- a **magnitude**: the range in which a function is right, and the bits that a number keeps.

The strategies of the suite are built from this list: no two sizes, gates, slots, rows, steps or lengths of a case are
equal by accident, every flag is drawn both ways, and numbers come in every magnitude from lost in rounding to
saturating. The catalogue is built from the same list, and from public reports. A fault that survives is not a reason to
generate the case that it needs, but to ask which difference the strategies leave out. `python -m benchmarks.mutants`
asks the same with faults that nobody chose: every small change of the reference's own code.

The faults of one kind are not all different to everybody. A layer of one unit cannot tell a matrix from its transpose,
and where the biases only enter as a sum nobody can tell which of them was dropped; `shows with` says what a case needs.
In an RNN or a GRU, which have no `c_0`, `initial-states-ignored` and `h-0-ignored` are the same to everybody.
"""


def catalogue_part() -> str:
    """Everything that does not have to be measured."""
    parts = [OPENING.format(count=len(CATALOGUE)), ARGUMENT, *map(_group, GROUPS), _reports(), _not_expressible()]
    return "\n".join(parts) + "\n" + MARKER


def _group(title: str) -> str:
    faults = [fault for fault in CATALOGUE.values() if fault.group == title]
    return "\n".join(
        [
            f"## {title}",
            "",
            GROUPS[title],
            "",
            "| fault | what the wrong implementation does | shows with | look at | kind |",
            "| --- | --- | --- | --- | --- |",
            *map(_line, faults),
            "",
        ]
    )


def _line(fault: Fault) -> str:
    kind = "" if fault.kind is None else f"[{fault.kind}](#reports)"
    cells = [f"`{fault.name}`", fault.says, fault.shows.says, fault.look_at, kind]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _reports() -> str:
    return "\n".join(
        [
            "## Reports",
            "",
            "Public reports of faults of these kinds. Faults without a kind are argued from what can differ.",
            "",
            "| kind | what was wrong | faults here | reports |",
            "| --- | --- | ---: | --- |",
            *(_kind_line(name, kind) for name, kind in CLASSES.items()),
            "",
        ]
    )


def _kind_line(name: str, kind: Kind) -> str:
    count = sum(fault.kind == name for fault in CATALOGUE.values())
    links = ", ".join(f"[{report.title}]({report.url})" for report in kind.reports)
    return f"| {name} | {kind.says} | {count or ''} | {links} |"


def _not_expressible() -> str:
    return "\n".join(
        [
            "## What is not in the catalogue",
            "",
            "| what goes wrong elsewhere | why it is not here |",
            "| --- | --- |",
            *(f"| {says} | {reason} |" for says, reason in NOT_EXPRESSIBLE.items()),
            "",
        ]
    )


def parts_of(path: Path) -> tuple[str, str]:
    """A document up to its marker, and behind it; nothing where there is none."""
    if not path.exists():
        return "", ""
    before, marker, behind = path.read_text(encoding="utf-8").partition(MARKER)
    return before + marker, behind


def write(path: Path, measured: str | None = None) -> None:
    """Write the document, with what was measured now, or else with what its file has."""
    text = catalogue_part() + (parts_of(path)[1] if measured is None else measured)
    write_atomically(path, text.encode())
