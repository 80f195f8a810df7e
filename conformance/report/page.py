"""The page: everything a report says, in one file that needs no network.

It is made of ``page.html.jinja``, ``page.css`` and ``page.js``. The page reads from top to bottom without a script and
on paper; the script adds the choice of a dtype, the filter, and what stands behind each field of the matrix.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from backends import DTYPES
from conformance.features import AXES
from conformance.report.contents import Claim, Report, Run, sigmas
from conformance.report.matrix import MEANINGS, SYMBOLS, Column, Status, columns
from conformance.tolerance import K

FOLDER = Path(__file__).parent

KINDS = ("smoke", "documents", "vectors", "agreement", "laws", "deviations")
"""The kinds of claims, in the order in which to look at them."""

NAMED = re.compile(r"`([^`]+)`")
"""A fault in the text of a diagnosis."""


def page(report: Report, power: dict[str, Any] | None) -> str:
    """The page of a report, with the table of power where it was measured."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(sigmas=sigmas, moment=moment, plural=plural, coded=coded)
    found = columns(report)
    return environment.get_template("page.html.jinja").render(
        report=report,
        columns=found,
        dtypes=[dtype for dtype in DTYPES if any(dtype in column.dtypes for column in found)],
        shown=shown_first(found),
        axes=AXES,
        symbols=SYMBOLS,
        meanings=MEANINGS,
        kinds=kinds_of(found),
        claim_tallies={column.key: claim_tallies(column) for column in found},
        anchors={column.key: anchors(column) for column in found},
        summaries={column.key: {d["name"]: d["summary"] for d in column.backend["deviations"]} for column in found},
        findings={column.key: findings(column) for column in found},
        growth={column.key: growth(column) for column in found},
        declined={column.key: declined(column) for column in found},
        notes=[note for run in report["runs"] for note in partial(run)],
        unavailable=unavailable(report),
        power=None if power is None else Detection(power),
        data=json.dumps(data(found), separators=(",", ":")).replace("<", "\\u003c"),
        css=(FOLDER / "page.css").read_text(encoding="utf-8"),
        js=(FOLDER / "page.js").read_text(encoding="utf-8"),
        limit=K,
    )


def moment(iso: str) -> str:
    """A time as people write it."""
    return datetime.strptime(iso, "%Y-%m-%dT%H:%M:%SZ").strftime("%-d %B %Y, %H:%M UTC")


def plural(number: int, word: str) -> str:
    """A number of things."""
    return f"{number:,} {word}".replace(",", "\u202f") + ("" if number == 1 else "s")


def coded(text: str) -> Markup:
    """A sentence in which what stands in backticks is code."""
    return Markup(NAMED.sub(r"<code>\1</code>", str(escape(text[:1].upper() + text[1:]))))


def shown_first(found: list[Column]) -> str:
    """The dtype that most backends claim, float32 if that is one."""
    claims = {dtype: sum(dtype in column.dtypes for column in found) for dtype in ("float32", *DTYPES)}
    return max(claims, key=lambda dtype: claims[dtype])


def kinds_of(found: list[Column]) -> dict[str, list[str]]:
    """The names of all claims by their kind."""
    names: dict[str, dict[str, None]] = {kind: {} for kind in KINDS}
    for column in found:
        for claim in column.backend["claims"]:
            names.setdefault(claim["kind"], {})[claim["name"]] = None
    return {kind: list(each) for kind, each in names.items() if each}


def anchors(column: Column) -> dict[str, str]:
    """The names of the places that tell of broken claims, by the id of the claim."""
    return {claim["id"]: f"f-{column.key}-{k}" for k, claim in enumerate(column.broken)}


@dataclass(frozen=True)
class ClaimTally:
    """How the tests of one claim came out for a backend."""

    status: Status
    says: str


def claim_tallies(column: Column) -> dict[tuple[str, str], ClaimTally]:
    """By the kind and the name of the claim: how many of its tests hold."""
    outcomes: dict[tuple[str, str], Counter[str]] = {}
    for claim in column.backend["claims"]:
        outcomes.setdefault((claim["kind"], claim["name"]), Counter())[claim["outcome"]] += 1
    return {key: _claim_tally(counts) for key, counts in outcomes.items()}


def _claim_tally(counts: Counter[str]) -> ClaimTally:
    judged = counts["passed"] + counts["failed"] + counts["crashed"] + counts["not run"]
    if not judged:
        return ClaimTally("declined" if counts["declined"] else "open", "")
    status: Status = (
        "wrong" if counts["failed"] else "crashed" if counts["crashed"] else "open" if counts["not run"] else "right"
    )
    return ClaimTally(status, f"{counts['passed']}/{judged}")


@dataclass
class Finding:
    """What several broken claims of a backend have in common."""

    title: str
    text: str
    claims: list[Claim] = field(default_factory=list)

    @property
    def short(self) -> str:
        """What the faults do, without how well they explain it."""
        return self.text.partition(" failing cases. ")[2] or self.text

    @property
    def bits(self) -> float | None:
        """The fewest that any of them delivers."""
        return min((claim["total"]["bits"] for claim in self.claims if "bits" in claim["total"]), default=None)


def findings(column: Column) -> list[Finding]:
    """The broken claims of a backend by their explanation, the explanation of the most first."""
    found: dict[str, Finding] = {}
    for claim in column.broken:
        title, text = explanation(claim)
        found.setdefault(title, Finding(title, text)).claims.append(claim)
    return sorted(found.values(), key=lambda finding: -len(finding.claims))


def explanation(claim: Claim) -> tuple[str, str]:
    """Why a claim is broken: in a few words, which are the same for the same reason, and at length."""
    failure = claim["failure"]
    diagnosis = None if failure is None else failure["diagnosis"]
    if claim["outcome"] == "crashed":
        return "the test itself crashed", "There is no verdict: the process of the test ended, or the suite failed."
    if diagnosis is not None and diagnosis.startswith("agrees with fault"):
        return " and ".join(NAMED.findall(diagnosis.partition(" to ")[0])), diagnosis
    if claim["total"].get("crashed"):
        raised = [] if failure is None else [line.strip() for line in failure["message"].splitlines()]
        errors = [line for line in raised if re.match(r"[\w.]*(Error|Exception|Failure)\b", line)]
        return "no result", errors[-1] if errors else "The backend raised where it should have returned a result."
    return "not explained", diagnosis or "No diagnosis was made."


def declined(column: Column) -> dict[str, int]:
    """What a backend does not claim, and how many claims or golden vectors it is therefore not asked for."""
    found: dict[str, int] = {}
    for claim in column.backend["claims"]:
        if claim["outcome"] == "declined":
            reason = (claim["reason"] or "").removeprefix(f"{column.backend['name']} does not claim ")
            found[reason] = found.get(reason, 0) + 1
        else:
            for reason, times in claim["declined"].items():
                found[reason] = found.get(reason, 0) + times
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def partial(run: Run) -> Iterator[str]:
    """In what a run was less than the whole suite."""
    names = ", ".join(backend["name"] for backend in run["backends"])
    selection = run["selection"]
    chosen = [path for path in selection["paths"] if path.strip("/") not in ("conformance", "", ".")]
    asked = [
        *chosen,
        *(
            f"{option} {value}"
            for option, value in (("-k", selection["keyword"]), ("-m", selection["marker"]))
            if value
        ),
        *(["one saved case"] if selection["case"] else []),
    ]
    if asked:
        yield f"{names}: only a part of the suite was asked for ({', '.join(asked)})."
    if run["shard"] is not None:
        yield f"{names}: only shard {run['shard']} is here."


def unavailable(report: Report) -> dict[str, str]:
    """Backends that no run had, and why."""
    judged = {backend["spec"] for run in report["runs"] for backend in run["backends"]}
    missing = [each for run in report["runs"] for each in run["unavailable"]]
    return {each["spec"]: each["reason"] for each in missing if each["spec"] not in judged}


# Error growth

WIDTH, HEIGHT = 300, 150
LEFT, RIGHT, TOP, BOTTOM = 30, 72, 8, 22
"""Margins: for the numbers of the axes, and for the names of the lines."""

LOWEST, HIGHEST = -1.0, 6.0
"""Decades of ``|error| / sigma`` that are drawn."""


@dataclass(frozen=True)
class Line:
    """One dtype in a chart."""

    dtype: str
    points: str
    end: float
    """The height of its last point."""
    label: float = 0.0
    """That of its name."""


@dataclass(frozen=True)
class Growth:
    """Error over time steps: a chart of logarithms, in a drawing of :data:`WIDTH` by :data:`HEIGHT`."""

    lines: list[Line]
    ticks_x: list[tuple[float, int]]
    ticks_y: list[tuple[float, str]]
    limit: float
    """Where the accepted errors end."""
    says: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    top: int = TOP


def growth(column: Column) -> Growth | None:
    """The chart of a backend; None where nothing was judged by value."""
    worst: dict[str, dict[int, float]] = {}
    for claim in column.claims:
        for dtype, pairs in claim["steps"].items():
            steps = worst.setdefault(dtype, {})
            for step, ratio in pairs:
                steps[step] = max(ratio, steps.get(step, 0.0))
    if not worst:
        return None
    last = max(max(steps) for steps in worst.values())
    decades = HIGHEST if any(max(steps.values()) > 1e3 for steps in worst.values()) else 3.0

    def x(step: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log2(step + 1) / max(1.0, math.log2(last + 1))

    def y(ratio: float) -> float:
        decade = min(max(math.log10(max(ratio, 1e-9)), LOWEST), decades)
        return TOP + (HEIGHT - TOP - BOTTOM) * (decades - decade) / (decades - LOWEST)

    lines: list[Line] = []
    for dtype in [dtype for dtype in DTYPES if dtype in worst]:
        points = [(round(x(step), 1), round(y(ratio), 1)) for step, ratio in sorted(worst[dtype].items())]
        lines.append(Line(dtype, " ".join(f"{a},{b}" for a, b in points), points[-1][1]))
    ticks = [n for n in (1, 4, 16, 64, 256, 1024) if n <= last + 1]
    exponents = range(0, int(decades) + 1, 1 if decades <= 3 else 2)
    peaks = ", ".join(f"{dtype} {sigmas(max(steps.values()))}" for dtype, steps in worst.items())
    return Growth(
        _spread(lines),
        [(round(x(n - 1), 1), n) for n in ticks],
        [(round(y(10.0**n), 1), "1" if n == 0 else f"10{'⁰¹²³⁴⁵⁶'[n]}" if n > 1 else "10") for n in exponents],
        round(y(K), 1),
        f"The largest error of {column.name} in any step, in units of sigma: {peaks}; accepted up to {K:g}.",
    )


def _spread(lines: list[Line], apart: float = 12.0) -> list[Line]:
    """The lines with their names beside their ends, in the same order, and none upon another."""
    placed: list[Line] = []
    for line in sorted(lines, key=lambda line: line.end):
        lowest = placed[-1].label + apart if placed else 0.0
        placed.append(replace(line, label=max(line.end, lowest)))
    over = max(0.0, placed[-1].label - (HEIGHT - BOTTOM))
    return [replace(line, label=round(line.label - over, 1)) for line in placed]


# What stands behind the fields of the matrix


def data(found: list[Column]) -> dict[str, Any]:
    """What the script shows of a field: for every backend the claims, and their counts by dtype and feature."""
    features = [f"{axis}: {value}" for axis, values in AXES.items() for value in values]
    number = {feature: k for k, feature in enumerate(features)}
    return {
        "features": features,
        "columns": {
            column.key: {
                "name": column.name,
                "claims": [
                    {
                        "kind": claim["kind"],
                        "name": claim["name"],
                        "cell": claim["cell"],
                        "failure": anchors(column).get(claim["id"]),
                        "counts": {
                            dtype: {
                                number[f"{axis}: {value}"]: [
                                    *(count.get(name, 0) for name in ("cases", "failed", "crashed", "uninformative")),
                                    count.get("deviating", 0),
                                    sigmas(count["worst"]) if "worst" in count else "",
                                    count.get("bits"),
                                ]
                                for axis, values in axes.items()
                                for value, count in values.items()
                            }
                            for dtype, axes in claim["features"].items()
                        },
                    }
                    for claim in column.claims
                ],
            }
            for column in found
        },
    }


class Detection:
    """The table of power, as ``python -m conformance.power --write power.json`` has measured it."""

    def __init__(self, measured: dict[str, Any]) -> None:
        self.versions: str = measured["versions"]
        self.seeds: list[str] = measured["seeds"]
        self._rows: list[dict[str, Any]] = measured["rows"]
        self.faults: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows:
            self.faults.setdefault(row["fault"], []).append(row)

    @property
    def survivors(self) -> list[dict[str, Any]]:
        """What nothing rejects under some seed."""
        return [row for row in self._rows if not row["caught"]]

    def share(self, seed: str) -> str:
        """The share of faults that is rejected under a seed."""
        rows = [row for row in self._rows if row["seed"] == seed]
        return f"{sum(row['caught'] for row in rows) / len(rows):.1%}"

    def kinds(self, fault: str) -> list[str]:
        """The kinds of claims that reject a fault."""
        caught = {claim["kind"] for row in self.faults[fault] for claim in row["claims"]}
        return [kind for kind in KINDS if kind in caught]
