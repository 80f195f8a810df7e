"""A run recorded in a small file, and what has become worse since.

Worse is, for a backend that both have:

- a claim that held and does not hold any more;
- effective bits of a claim that are lower by more than :data:`BITS`, unless it holds and other cases were judged: these
  may be of another dtype, and how much of a known deviation shows depends on the case;
- a feature that was claimed and is not claimed any more.

Everything else is told: what has become better, which versions differ, which golden vectors give other bits, and what
cannot be compared because one of the two did not judge it.

A baseline is a file, or a folder with a file for each backend. The file is JSON, versions first and the rest sorted,
with a line for each thing that can change, so that its history can be read in diffs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.report.contents import BackendContents, Claim, Report, Run
from reference.case_file import write_atomically

FORMAT = 1

BITS = 1.0
"""How many effective bits a claim may lose without being called worse."""

VERSIONS = ("description", "python", "numpy", "hypothesis", "touchstone", "platform")

ASKED = ("profile", "seed")
"""What the command line says of the cases."""

GENERATING = ("hypothesis", "touchstone")
"""The versions that decide with it which cases are generated."""

DEVIATING = "deviating"
"""After a claim in which a known deviation shows."""

Entry = dict[str, Any]
"""What is recorded of one backend: ``versions``, ``cases``, ``claimed``, ``claims`` and ``vectors``."""


class BaselineError(Exception):
    """A file that is no baseline, or a run that cannot be one; the message is one sentence."""


def entries_of(report: Report) -> dict[str, Entry]:
    """What a baseline records, by the name of the backend."""
    found: dict[str, Entry] = {}
    for run in report["runs"]:
        for backend in run["backends"]:
            if backend["name"] in found:
                raise BaselineError(
                    f"the report has two backends called {backend['name']!r}, but a baseline should be of one run"
                )
            found[backend["name"]] = _entry(backend, run)
    return found


def _entry(backend: BackendContents, run: Run) -> Entry:
    judged = [claim for claim in backend["claims"] if claim["outcome"] in ("passed", "failed", "crashed")]
    return {
        "versions": {name: {**run, **backend}[name] for name in VERSIONS},
        "cases": {name: run[name] for name in ASKED},  # type: ignore[literal-required]
        "claimed": claimed(backend),
        "claims": {_title(claim): _standing(claim) for claim in sorted(judged, key=_title)},
        "vectors": dict(sorted(pair for claim in judged for pair in claim["digests"].items())),
    }


def claimed(backend: BackendContents) -> list[str]:
    """What the capabilities of a backend hold, each in a few words."""
    capabilities = backend["capabilities"]
    words = {
        "cells": "cell ",
        "activations": "activation ",
        "directions": "direction ",
        "reset_after": "reset_after=",
        "bias": "bias=",
        "input_modes": "input mode ",
        "dtypes": "dtype ",
    }
    return [
        *(f"{word}{value}" for name, word in words.items() for value in capabilities[name]),
        *(["lengths"] if capabilities["lengths"] else []),
        *(["rows of length 0"] if capabilities["lengths"] and capabilities["zero_length"] != "reject" else []),
        *(f"{n} layer{'s' * (n > 1)}" for n in range(1, (capabilities["max_layers"] or 3) + 1)),
        *(["any number of layers"] if capabilities["max_layers"] is None else []),
    ]


def _title(claim: Claim) -> str:
    """A claim in words, and to whom it was put."""
    return claim["id"].removeprefix("conformance/test_").replace(".py::test_", "/")


def _standing(claim: Claim) -> str:
    """``holds`` or ``broken``, the effective bits where they were measured, and whether a known deviation shows."""
    parts = ["holds" if claim["outcome"] == "passed" else "broken"]
    if "bits" in claim["total"]:
        parts.append(f"{claim['total']['bits']:.1f}")
    if claim["deviating"]:
        parts.append(DEVIATING)
    return " ".join(parts)


def files_of(path: Path, names: Iterable[str]) -> list[Path]:
    """The file that is a baseline or, where it is a folder, those of the backends of these names."""
    return [path / f"{name}.json" for name in names] if path.is_dir() else [path]


def write(path: Path, report: Report) -> None:
    """Record a report; what the files had before is lost."""
    if report["incomplete"]:
        raise BaselineError("the run is incomplete, but a baseline should be of a whole one: nothing was recorded")
    entries = dict(sorted(entries_of(report).items()))
    parts = [{name: entry} for name, entry in entries.items()] if path.is_dir() else [entries]
    for file, part in zip(files_of(path, entries), parts):
        content = {"format": FORMAT, "backends": part}
        write_atomically(file, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read(path: Path, names: Iterable[str] = ()) -> dict[str, Entry]:
    """The entries of a file or, of a folder, those of the backends of these ``names`` that it has.

    Raises :class:`BaselineError` where a file holds none.
    """
    files = [file for file in files_of(path, names) if file == path or file.exists()]
    return {name: entry for file in files for name, entry in _read(file).items()}


def _read(path: Path) -> dict[str, Entry]:
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise BaselineError(f"{path} has format {content['format']}, but should have format {FORMAT}")
        entries: dict[str, Entry] = content["backends"]
        for entry in entries.values():
            for name, kind in (
                ("versions", dict),
                ("cases", dict),
                ("claimed", list),
                ("claims", dict),
                ("vectors", dict),
            ):
                if not isinstance(entry[name], kind):
                    raise ValueError(f"{name} is of the wrong kind")
    except OSError as error:
        raise BaselineError(
            f"{path} cannot be read ({error.strerror}), but should be what --record-baseline wrote"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaselineError(f"{path} is no baseline, but should be what --record-baseline wrote: {error}") from error
    return entries


@dataclass
class Difference:
    """What one backend's run has in which a baseline has otherwise."""

    name: str
    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    same: int = 0
    """Claims that stand as they stood."""


@dataclass(frozen=True)
class Comparison:
    """A report against a baseline."""

    differences: tuple[Difference, ...]
    only_recorded: tuple[str, ...]
    only_judged: tuple[str, ...]

    @property
    def worse(self) -> list[str]:
        """All that is worse, of any backend."""
        return [line for difference in self.differences for line in difference.worse]

    def lines(self) -> Iterator[str]:
        """The comparison in words, the verdict first."""
        for difference in self.differences:
            verdict = f"{len(difference.worse)} things are worse" if len(difference.worse) > 1 else "1 thing is worse"
            verdict = verdict if difference.worse else "nothing is worse"
            yield f"{difference.name} against its baseline: {verdict}; {difference.same} claims stand as they stood"
            for mark, told in (("worse", difference.worse), ("better", difference.better), ("note", difference.told)):
                yield from (f"  {mark}: {line}" for line in told)
        for names, says in (
            (self.only_recorded, "in the baseline, and not judged in this run"),
            (self.only_judged, "judged in this run, and not in the baseline"),
        ):
            if names:
                yield f"{', '.join(names)}: {says}"
        if not self.differences:
            yield "nothing was compared: the run and the baseline have no backend in common"


def compare(report: Report, recorded: Mapping[str, Entry]) -> Comparison:
    """What a report has otherwise than a baseline."""
    judged = entries_of(report)
    return Comparison(
        tuple(difference(name, recorded[name], judged[name]) for name in judged if name in recorded),
        tuple(name for name in recorded if name not in judged),
        tuple(name for name in judged if name not in recorded),
    )


def difference(name: str, before: Entry, now: Entry) -> Difference:
    """What one backend has otherwise."""
    found = Difference(name)
    gone = [feature for feature in before["claimed"] if feature not in now["claimed"]]
    found.worse += [f"claimed then, and not now: {feature}" for feature in gone]
    found.better += [f"claimed now: {feature}" for feature in now["claimed"] if feature not in before["claimed"]]
    missing, same_cases = 0, _cases_of(before) == _cases_of(now)
    for title, stood in before["claims"].items():
        if title in now["claims"]:
            _compare_claim(found, title, stood, now["claims"][title], same_cases)
        else:
            missing += 1
    if missing:
        found.told.append(f"{missing} of {len(before['claims'])} recorded claims were not judged in this run")
    _tell_versions(found, before, now)
    _tell_bits(found, before["vectors"], now["vectors"])
    return found


def _compare_claim(found: Difference, title: str, stood: str, stands: str, same_cases: bool) -> None:
    (was, *had), (is_, *has) = stood.split(), stands.split()
    lost, bits = 0.0, ""
    if had and has and DEVIATING not in (had[0], has[0]):
        lost, bits = float(had[0]) - float(has[0]), f"{had[0]} then, {has[0]} now"
    aside = f" ({had[0]} bits then, {has[0]} now)" if abs(lost) > BITS else ""
    is_of_the_cases = not same_cases and was == is_ == "holds"
    if was == "holds" and is_ == "broken":
        found.worse.append(f"{title} held and is broken{aside}")
    elif lost > BITS and not is_of_the_cases:
        found.worse.append(f"{title} has lost bits: {bits}")
    elif was == "broken" and is_ == "holds":
        found.better.append(f"{title} was broken and holds{aside}")
    elif abs(lost) > BITS and is_of_the_cases:
        found.told.append(f"{title} has other bits, as it may in other cases: {bits}")
    elif lost < -BITS:
        found.better.append(f"{title} has won bits: {bits}")
    else:
        found.same += 1


def _cases_of(entry: Entry) -> tuple[Any, ...]:
    """What decides which cases an entry is of."""
    return tuple({**entry["versions"], **entry["cases"]}.get(name) for name in ASKED + GENERATING)


def _tell_versions(found: Difference, before: Entry, now: Entry) -> None:
    changed = {name: (before["versions"].get(name), now["versions"][name]) for name in VERSIONS}
    for name, (then, current) in changed.items():
        if then != current:
            cases = ", so other cases may have been judged" if name in GENERATING else ""
            found.told.append(f"{name} was {then!r} and is {current!r}{cases}")
    other_cases = {name: (before["cases"].get(name), now["cases"][name]) for name in now["cases"]}
    for name, (then, current) in other_cases.items():
        if then != current:
            found.told.append(f"{name} was {then!r} and is {current!r}, so other cases were judged")


def _tell_bits(found: Difference, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    both = [vector for vector in before if vector in now]
    changed = [vector for vector in both if before[vector] != now[vector]]
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        found.told.append(f"{len(changed)} of {len(both)} golden vectors give other bits, as they may: {shown}")
