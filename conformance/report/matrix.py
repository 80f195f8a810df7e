"""Features against backends: what became of the cases that have a feature, and how many bits they delivered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from backends import DTYPES
from conformance.features import AXES
from conformance.report.contents import BackendContents, Claim, Counts, Report, Run
from conformance.tolerance import effective_bits
from reference.noise import ARITHMETICS

Status = Literal["right", "wrong", "crashed", "deviates", "declined", "open"]

SYMBOLS: Mapping[Status, str] = MappingProxyType(
    {"right": "✓", "wrong": "✗", "crashed": "‼", "deviates": "≈", "declined": "–", "open": "·"}
)

MEANINGS: Mapping[Status, str] = MappingProxyType(
    {
        "right": "every case is right",
        "wrong": "some case is wrong",
        "crashed": "some case gives no result, and none is wrong",
        "deviates": "some case is wrong as the backend is known to be, the rest is right",
        "declined": "not claimed by the backend",
        "open": "claimed, and nothing was judged",
    }
)

SURELY = 10
"""From so many cases on that are right, and none that is not, a feature is said to be spared."""

COUNTED = ("cases", "passed", "failed", "crashed", "uninformative", "deviating")


def added(counts: Iterable[Counts]) -> Counts:
    """Several counts in one."""
    total: Counts = {}
    for each in counts:
        for name in COUNTED:
            if name in each:
                total[name] = total.get(name, 0) + each[name]  # type: ignore[literal-required]
        if "worst" in each:
            total["worst"] = max(each["worst"], total.get("worst", 0.0))
        if "bits" in each:
            total["bits"] = min(each["bits"], total.get("bits", each["bits"]))
    return total


@dataclass(frozen=True)
class Standing:
    """How a backend stands in one feature."""

    status: Status
    counts: Counts

    @property
    def is_bad(self) -> bool:
        """Whether some case is wrong or without a result, known or not."""
        return self.status in ("wrong", "crashed", "deviates")

    @property
    def is_surely_right(self) -> bool:
        """Whether nothing is wrong in so many cases that this is no accident."""
        return self.status == "right" and self.counts.get("passed", 0) >= SURELY

    @property
    def is_mostly(self) -> bool:
        """Whether at least half of the cases that say something are as the status says, where that is no good one."""
        counts = self.counts
        bad = counts.get("failed", 0) + counts.get("crashed", 0) + counts.get("deviating", 0)
        return 2 * bad >= counts.get("cases", 0) - counts.get("uninformative", 0)

    @property
    def symbol(self) -> str:
        """Of its status, for those who see no colours."""
        return SYMBOLS[self.status]

    @property
    def says(self) -> str:
        """In words."""
        if self.status in ("declined", "open"):
            return MEANINGS[self.status]
        named = {"failed": "wrong", "crashed": "without a result", "deviating": "wrong as known"}
        parts = [f"{self.counts[name]} {word}" for name, word in named.items() if name in self.counts]  # type: ignore[literal-required]
        bits = f"{self.counts['bits']:.1f} bits, " if "bits" in self.counts else ""
        return bits + ", ".join([f"{self.counts.get('cases', 0)} cases", *parts])


def standing_of(counts: Counts, claimed: bool) -> Standing:
    """The standing that follows from what became of the cases."""
    status: Status = "open"
    if counts.get("failed"):
        status = "wrong"
    elif counts.get("crashed"):
        status = "crashed"
    elif counts.get("deviating"):
        status = "deviates"
    elif counts.get("passed"):
        status = "right"
    elif not claimed:
        status = "declined"
    return Standing(status, counts)


@dataclass(frozen=True)
class Column:
    """One backend of a report."""

    name: str
    """Its own name, with what tells it from others of that name."""
    backend: BackendContents
    run: Run

    @property
    def key(self) -> str:
        """The name as an identifier."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def dtypes(self) -> list[str]:
        """Those that it claims, the widest first."""
        return [dtype for dtype in DTYPES if dtype in self.backend["arithmetic"]]

    def full_bits(self, dtype: str) -> float:
        """What the claimed arithmetic has."""
        return effective_bits(0.0, ARITHMETICS[self.backend["arithmetic"][dtype]])

    @cached_property
    def claims(self) -> list[Claim]:
        """Those that were judged, or should have been."""
        return [claim for claim in self.backend["claims"] if claim["outcome"] not in ("declined", "skipped")]

    @cached_property
    def broken(self) -> list[Claim]:
        """The claims that do not hold, and those whose test crashed."""
        return [claim for claim in self.claims if claim["outcome"] in ("failed", "crashed")]

    @property
    def pending(self) -> int:
        """How many claims the run did not come to."""
        return sum(claim["outcome"] == "not run" for claim in self.claims)

    @property
    def held(self) -> int:
        """How many claims hold."""
        return sum(claim["outcome"] == "passed" for claim in self.claims)

    @property
    def deviating(self) -> dict[str, int]:
        """In how many cases each known deviation shows, the most frequent first."""
        total = Counter({name: 0 for claim in self.claims for name in claim["deviating"]})
        for claim in self.claims:
            total.update(claim["deviating"])
        return dict(total.most_common())

    @property
    def spared(self) -> list[str]:
        """Dtypes and features in which nothing is wrong though others of their axis are: they tell where to look."""
        standings = {dtype: self.overall(dtype) for dtype in self.dtypes}
        bad = [dtype for dtype, standing in standings.items() if standing.is_bad]
        found = [dtype for dtype, standing in standings.items() if bad and standing.is_surely_right]
        for axis, values in AXES.items():
            on_axis = {value: [self.standing(dtype, axis, value) for dtype in bad] for value in values}
            if any(standing.is_bad for each in on_axis.values() for standing in each):
                found += [
                    value if axis in ("cell", "variant", "direction") else f"{axis} {value}"
                    for value, each in on_axis.items()
                    if all(standing.is_surely_right for standing in each)
                ]
        return found

    def overall(self, dtype: str) -> Standing:
        """All cases of a dtype; every case has a cell."""
        if dtype not in self.backend["arithmetic"]:
            return standing_of({}, claimed=False)
        cells = (claim["features"].get(dtype, {}).get("cell", {}) for claim in self.claims)
        return standing_of(added(count for values in cells for count in values.values()), claimed=True)

    def standing(self, dtype: str, axis: str, value: str) -> Standing:
        """How it stands in a feature."""
        counts = added(
            claim["features"][dtype][axis][value]
            for claim in self.claims
            if value in claim["features"].get(dtype, {}).get(axis, {})
        )
        unclaimed = [axis, value] in [list(feature) for feature in self.backend["unclaimed"]]
        return standing_of(counts, dtype in self.backend["arithmetic"] and not unclaimed)


def columns(report: Report) -> list[Column]:
    """Every backend of a report, in its order; those of one name are told apart by what they run on."""
    found = [(backend, run) for run in report["runs"] for backend in run["backends"]]
    labels = [_labels(backend, run) for backend, run in found]
    named = []
    for k, (backend, run) in enumerate(found):
        rivals = [other for j, other in enumerate(labels) if j != k and other[0] == labels[k][0]]
        telling = [label for level, label in enumerate(labels[k][1:], 1) if any(r[level] != label for r in rivals)]
        twins = [j for j in range(k) if labels[j] == labels[k]]
        parts = [*(telling[:1] if rivals else []), *([f"run {len(twins) + 1}"] if twins else [])]
        named.append(Column(", ".join([backend["name"], *parts]), backend, run))
    return named


def _labels(backend: BackendContents, run: Run) -> tuple[str, ...]:
    """What tells backends apart, the shortest that will do first."""
    environment = f"Python {run['python']}, numpy {run['numpy']}"
    return (backend["name"], backend["description"], environment, run["platform"], f"seed {run['seed']}")


def rows() -> Iterator[tuple[str, str]]:
    """Every feature, in the order in which it is shown."""
    for axis, values in AXES.items():
        for value in values:
            yield axis, value
