"""How much the suite sees: every fault of the catalogue, judged as a backend by the claims of the suite.

    python -m conformance.power                       the quick profile under the seeds 0 to 4
    python -m conformance.power --seed 7 --only 'gates-*' --write power.md

The claims, the strategies and the numbers of cases are those of ``pytest conformance/ --hypothesis-seed S``. What that
generates does not depend on the backend, so each claim's cases are generated once and shown to all faults, each until
it is rejected, and all faults share the right answers. A fault that remembers something between calls starts anew for
each claim, where in a run of the suite it would go on.
"""

from __future__ import annotations

import argparse
import fnmatch
import inspect
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import hypothesis
import numpy as np
import pytest

import golden
from backends import Capabilities
from conformance import search, test_agreement, test_documents, test_laws, test_smoke, test_vectors, tolerance
from conformance.faults import CATALOGUE, Condition, Edits, Fault, WrongBackend, document
from conformance.plugin import QUICK_EXAMPLES
from conformance.practices import practices
from conformance.search import SEARCHES, Judged, Subject, Tally, content_of, generation, verdict_of
from conformance.tolerance import K, Truth
from golden import manifest
from reference import Case, Cell
from reference.case_file import write_atomically

KINDS: dict[str, ModuleType] = {
    "smoke": test_smoke,
    "documents": test_documents,
    "vectors": test_vectors,
    "agreement": test_agreement,
    "laws": test_laws,
}
"""The kinds of claims in the order in which they are judged, and the modules that hold them."""

LAST = "laws"
"""What costs most: asked only about what nothing else rejects, unless all is asked."""

SEEDS = ("0", "1", "2", "3", "4")

Progress = Callable[[str, int, int], None]
"""Is told how many of how many tests of a kind are done."""

CAPABILITIES: Capabilities = WrongBackend.capabilities
"""Of every fault: it claims everything."""

CONTROL = Fault(
    name="nothing-wrong",
    group="",
    says="Nothing is wrong.",
    look_at="the suite, if it rejects this",
    where="nowhere",
    shows=Condition("nothing", lambda case: False),
    kind=None,
    cells=tuple(Cell),
    remembers=False,
    edits=Edits(),
)
"""A right implementation, judged along with the wrong ones: a suite that rejects it says nothing of the others."""


def fault_called(name: str) -> Fault:
    """A fault of the catalogue, or the control."""
    return CONTROL if name == CONTROL.name else CATALOGUE[name]


@dataclass(frozen=True)
class Test:
    """One test of the suite for one cell, as it is run for every backend."""

    kind: str
    claim: str
    cell: Cell
    dtypes: tuple[str, ...]
    seed: str | None
    """None where nothing is generated."""

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.claim.removeprefix("test_").replace("_", " ")

    @property
    def function(self) -> Callable[..., Any]:
        """The test function."""
        found: Callable[..., Any] = getattr(KINDS[self.kind], self.claim)
        return found


@dataclass(frozen=True)
class Outcome:
    """What one test said of one fault."""

    fault: str
    test: Test
    caught: bool
    cases: int
    """Judged, the rejected one included."""
    worst: float
    """The largest ``|error| / sigma`` that was accepted."""
    seconds: float


@dataclass(frozen=True)
class Row:
    """What the suite says of one fault under one seed."""

    fault: str
    seed: str
    outcomes: tuple[Outcome, ...] = field(repr=False)

    @property
    def catching(self) -> list[Outcome]:
        """The tests that reject it, in the order of the suite."""
        return [outcome for outcome in self.outcomes if outcome.caught]

    @property
    def caught(self) -> bool:
        """Whether any test rejects it."""
        return bool(self.catching)

    @property
    def first(self) -> Outcome | None:
        """The test that rejects it first."""
        return next(iter(self.catching), None)

    @property
    def kinds(self) -> list[str]:
        """The kinds of claims that reject it, in the order of the suite."""
        return [kind for kind in KINDS if any(outcome.test.kind == kind for outcome in self.catching)]

    def fewest(self, kind: str) -> int | None:
        """After how many cases a test of one kind rejects it, the quickest of them; None where none does."""
        return min((outcome.cases for outcome in self.catching if outcome.test.kind == kind), default=None)

    @property
    def reason(self) -> str:
        """Why it survives, if it does: in how many of the cases of the agreement claim it shows, and how much."""
        fault = fault_called(self.fault)
        tests = [outcome.test for outcome in self.outcomes if outcome.test.kind == "agreement"]
        cases = [case for test in tests for case in generated(test)]
        shown = sum(map(fault.shows, cases))
        worst = max((outcome.worst for outcome in self.outcomes), default=0.0)
        return (
            f"its condition ({fault.shows.says}) holds in {shown} of the {len(cases)} cases of the agreement claim,"
            f" and the largest error anywhere is {worst:.2g} sigma, of {K:g} that are accepted"
        )


def suite_of(seed: str, kind: str) -> list[Test]:
    """Every test of one kind for every cell, in the order of the suite; the generated ones under ``seed``."""
    return [
        Test(kind, name, cell, dtypes, seed if name in SEARCHES else None)
        for name, function in vars(KINDS[kind]).items()
        if name.startswith("test_") and callable(function)
        for cell in Cell
        for dtypes in (zip(CAPABILITIES.dtypes) if _is_marked(function, "each_dtype") else [CAPABILITIES.dtypes])
    ]


def _is_marked(function: Any, marker: str) -> bool:
    return any(mark.name == marker for mark in getattr(function, "pytestmark", ()))


def judge_all(test: Test, faults: Sequence[str]) -> list[Outcome]:
    """What one test says of every fault that concerns its cell."""
    concerned = [fault for fault in map(fault_called, faults) if test.cell in fault.cells]
    if not concerned:
        return []
    with shared_truths(), warnings.catch_warnings():
        warnings.simplefilter("error")  # as pytest is configured here
        judged = replayed(test) if test.seed is not None else vectors(test) if test.kind == "vectors" else called(test)
        return [judged(fault) for fault in concerned]


@contextmanager
def shared_truths() -> Iterator[None]:
    """While this lasts, equal cases have one Truth between them, whatever backend is judged by it."""
    truths: dict[object, Truth] = {}
    original = tolerance.truth_of

    def shared(case: Case, capabilities: Capabilities) -> Truth:
        key = (content_of(case), capabilities.arithmetic_of(case.dtype), capabilities.zero_length)
        if key not in truths:
            truths[key] = original(case.map(np.copy), capabilities)
        return truths[key]

    modules = [search, *KINDS.values()]
    with ExitStack() as stack:
        for module in modules:
            if hasattr(module, "truth_of"):
                stack.enter_context(mock.patch.object(module, "truth_of", shared))
        # A failing case is expected here, and is not worth a file.
        stack.enter_context(mock.patch.object(search, "failure_message", return_value=""))
        yield


Judge = Callable[[Fault], Outcome]


def replayed(test: Test) -> Judge:
    """Judge a fault by a claim about generated cases: by each of them until one is rejected."""
    claim = SEARCHES[test.claim]
    cases = generated(test)

    def judge(fault: Fault) -> Outcome:
        backend = Judged(WrongBackend(fault))
        verdicts = (verdict_of(claim.claim, backend, case.map(np.copy)) for case in cases)
        return _outcome(fault, test, ((v.accepted, v.worst) for v in verdicts))

    return judge


def generated(test: Test) -> list[Case]:
    """The cases that a test generates, whatever backend it judges."""
    cases: list[Case] = []
    claim = SEARCHES[test.claim]
    claim.for_each(CAPABILITIES, test.cell, test.dtypes, str(test.seed), cases.append, generation(QUICK_EXAMPLES))
    return cases


def vectors(test: Test) -> Judge:
    """Judge a fault by the golden vectors: by each of them until one is rejected."""
    stored = [v for v in manifest.load() if v.case.layer.cell is test.cell and str(v.case.dtype) in test.dtypes]
    claimed = [vector for vector in stored if test_vectors.declines(CAPABILITIES, vector) is None]

    def judge(fault: Fault) -> Outcome:
        subject = _subject(fault, test)
        verdicts = (test_vectors.verdict_on(subject, vector) for vector in claimed)
        return _outcome(fault, test, ((v.accepted, v.worst) for v in verdicts))

    return judge


def called(test: Test) -> Judge:
    """Judge a fault by a test that brings its own cases: by calling it, for each of its vectors if it has any."""
    by_vector = [mark.kwargs["where"] for mark in getattr(test.function, "pytestmark", ()) if mark.name == "vectors"]
    calls: list[dict[str, Any]] = [{}]
    if by_vector:
        calls = [{"vector": v} for v in golden.vectors() if v.layer.cell is test.cell and by_vector[0](v)]
    names = inspect.signature(test.function).parameters

    def judge(fault: Fault) -> Outcome:
        start = time.perf_counter()
        subject = _subject(fault, test)
        tally, caught = Tally(), False
        for arguments in calls:
            available = {**arguments, "subject": subject, "tally": tally, "request": None}
            try:
                test.function(**{name: available[name] for name in names})
            except pytest.skip.Exception:
                continue
            except (Exception, pytest.fail.Exception):
                caught = True
                break
        # A test that raises has not counted the case that it raised for.
        cases = max(tally.cases, 1) if caught else tally.cases
        worst = 0.0 if caught else tally.worst
        return Outcome(fault.name, test, caught, cases, worst, time.perf_counter() - start)

    return judge


def _subject(fault: Fault, test: Test) -> Subject:
    backend = WrongBackend(fault)
    return Subject(Judged(backend), backend.name, test.cell, test.dtypes)


def _outcome(fault: Fault, test: Test, judged: Iterator[tuple[bool, float]]) -> Outcome:
    start = time.perf_counter()
    cases, worst = 0, 0.0
    for accepted, ratio in judged:
        cases += 1
        if not accepted:
            return Outcome(fault.name, test, True, cases, worst, time.perf_counter() - start)
        worst = max(worst, ratio)
    return Outcome(fault.name, test, False, cases, worst, time.perf_counter() - start)


def measure(
    faults: Sequence[str],
    seeds: Sequence[str] = SEEDS,
    processes: int = 0,
    every_claim: bool = False,
    kinds: Sequence[str] = tuple(KINDS),
    progress: Progress = lambda kind, done, of: None,
) -> list[Row]:
    """Judge faults under every seed; the rows seed by seed, in the order of ``faults``.

    The laws, which cost most, are asked only about what nothing else has rejected, unless ``every_claim``. With
    ``processes`` 0 all is done in this one, where faults may be registered that others do not know of.
    """
    outcomes: dict[tuple[str, Test], Outcome] = {}
    for kind in kinds:
        tests = list(dict.fromkeys(test for seed in seeds for test in suite_of(seed, kind)))
        asked = {test: tuple(faults) for test in tests}
        if kind == LAST and not every_claim:
            asked = {test: _uncaught(faults, test.seed, outcomes.values()) for test in tests}
        for done, found in enumerate(_judged(asked, processes), start=1):
            outcomes.update({(outcome.fault, outcome.test): outcome for outcome in found})
            progress(kind, done, len(tests))
    suite = {seed: [test for kind in kinds for test in suite_of(seed, kind)] for seed in seeds}
    return [
        Row(fault, seed, tuple(outcomes[fault, test] for test in suite[seed] if (fault, test) in outcomes))
        for seed in seeds
        for fault in faults
    ]


def _uncaught(faults: Sequence[str], seed: str | None, outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """What neither a test without a seed nor one under this seed has rejected."""
    caught = {outcome.fault for outcome in outcomes if outcome.caught and outcome.test.seed in (None, seed)}
    return tuple(fault for fault in faults if fault not in caught)


def _judged(asked: Mapping[Test, tuple[str, ...]], processes: int) -> Iterator[list[Outcome]]:
    """The outcomes of every test, in any order."""
    if processes == 0:
        yield from (judge_all(test, faults) for test, faults in asked.items())
        return
    with single_threaded(), ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(judge_all, test, faults) for test, faults in asked.items()]):
            yield future.result()


@contextmanager
def single_threaded() -> Iterator[None]:
    """While this lasts, new processes multiply on one thread: on such small matrices more of them only wait."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    with mock.patch.dict(os.environ, {name: os.environ.get(name, "1") for name in names}):
        yield


@dataclass(frozen=True)
class Power:
    """What was measured, and under what."""

    rows: tuple[Row, ...]
    seeds: tuple[str, ...]
    seconds: float
    control: tuple[Row, ...] = ()
    """What the suite says of a right implementation, seed by seed."""

    @property
    def false_alarms(self) -> list[str]:
        """The tests that reject a right implementation."""
        return [
            f"{outcome.test.title} ({outcome.test.cell}, seed {row.seed}, case {outcome.cases})"
            for row in self.control
            for outcome in row.catching
        ]

    @property
    def faults(self) -> list[str]:
        """Their names, in the order of the catalogue."""
        return list(dict.fromkeys(row.fault for row in self.rows))

    @property
    def survivors(self) -> list[Row]:
        """The faults that no claim rejects under some seed."""
        return [row for row in self.rows if not row.caught]

    def share(self, seed: str, kind: str | None = None) -> float:
        """The share of faults that is rejected under a seed, by one kind of claims or by any."""
        rows = [row for row in self.rows if row.seed == seed]
        return sum(row.caught if kind is None else kind in row.kinds for row in rows) / len(rows)

    def of(self, fault: str) -> list[Row]:
        """One fault under every seed."""
        return [row for row in self.rows if row.fault == fault]


def versions() -> str:
    """What decides which cases are generated, and what is computed."""
    return f"numpy {np.__version__}, hypothesis {hypothesis.__version__}"


def as_markdown(power: Power, timed: bool = False) -> str:
    """The shares, the survivors with their reasons, and one line for every fault; with times they differ every time."""
    last = "" if all(_all_asked(power, LAST, seed) for seed in power.seeds) else f"; {LAST} asked about the rest only"
    lines = [
        f"{len(power.faults)} faults, quick profile, seeds {', '.join(power.seeds)}; {versions()}{last}.",
        "",
        "| seed | caught | " + " | ".join(f"by {kind}" for kind in KINDS) + " |",
        "| --- | ---: | " + " | ".join("---:" for _ in KINDS) + " |",
        *(
            f"| {seed} | {power.share(seed):.1%} | "
            + " | ".join(f"{power.share(seed, kind):.1%}" if _all_asked(power, kind, seed) else "" for kind in KINDS)
            + " |"
            for seed in power.seeds
        ),
        "",
        f"A right implementation, judged along with them, is rejected by {'; '.join(power.false_alarms) or 'nothing'}.",
        "",
        *(f"- survives under seed {row.seed}: `{row.fault}`, because {row.reason}" for row in power.survivors),
        *([""] if power.survivors else []),
        "| fault | caught first by | after cases | agreement, after cases | at all by |" + " seconds |" * timed,
        "| --- | --- | ---: | ---: | --- |" + " ---: |" * timed,
        *(_line(fault, power.of(fault), timed) for fault in power.faults),
    ]
    return "\n".join(lines) + "\n"


def _all_asked(power: Power, kind: str, seed: str) -> bool:
    """Whether every fault was judged by claims of some kind."""
    rows = [row for row in power.rows if row.seed == seed]
    return all(any(outcome.test.kind == kind for outcome in row.outcomes) for row in rows)


def _line(fault: str, rows: list[Row], timed: bool) -> str:
    first = [row.first for row in rows]
    claims = dict.fromkeys("nothing" if one is None else f"{one.test.kind}: {one.test.title}" for one in first)
    after = [one.cases for one in first if one is not None]
    agreement = [row.fewest("agreement") for row in rows]
    seen = _range([n for n in agreement if n is not None])
    fewest = " or ".join(filter(None, [seen, "never" if None in agreement else ""]))
    kinds = [kind for kind in KINDS if any(kind in row.kinds for row in rows)]
    return (
        f"| `{fault}` | {'; '.join(claims)} | {_range(after)} | {fewest} |"
        f" {', '.join(kinds)} |" + f" {_seconds(rows):.2f} |" * timed
    )


def _seconds(rows: list[Row]) -> float:
    """How long it took to judge one fault; tests without a seed are run once."""
    return sum({outcome.test: outcome.seconds for row in rows for outcome in row.outcomes}.values())


def _range(numbers: list[int]) -> str:
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def as_section(power: Power) -> str:
    """What the document says of power: that of this suite, and that of what is usually done."""
    with single_threaded(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        compared = pool.submit(shares_of_practices, power.faults).result()
    own = min(power.share(seed) for seed in power.seeds)
    lines = [
        f"| this suite, quick profile, worst of {len(power.seeds)} seeds | derived tolerance | {own:.1%} |",
        *(f"| {name} | {says} | {share:.1%} |" for name, says, share in compared),
    ]
    return "\n".join(
        [
            "",
            "## What other ways of testing see",
            "",
            "The same faults, judged by what is usually done: each practice has inputs and a tolerance of its own, and"
            " accepts the reference.",
            "",
            "| practice | inputs and tolerance | faults caught |",
            "| --- | --- | ---: |",
            *lines,
            "",
            "## What this suite sees",
            "",
            as_markdown(power),
        ]
    )


def shares_of_practices(faults: Sequence[str]) -> list[tuple[str, str, float]]:
    """Name, description and share of faults caught of every practice."""
    return [(practice.name, practice.says, practice.share(faults)) for practice in practices()]


def as_json(power: Power) -> str:
    """Everything but the times, which no two runs have in common."""
    rows = [
        {
            "fault": row.fault,
            "seed": row.seed,
            "caught": row.caught,
            "reason": None if row.caught else row.reason,
            "claims": [
                {
                    "kind": outcome.test.kind,
                    "claim": outcome.test.claim,
                    "cell": str(outcome.test.cell),
                    "dtypes": list(outcome.test.dtypes),
                    "cases": outcome.cases,
                }
                for outcome in row.catching
            ],
        }
        for row in power.rows
    ]
    return (
        json.dumps(
            {"versions": versions(), "seeds": list(power.seeds), "false alarms": power.false_alarms, "rows": rows},
            indent=1,
        )
        + "\n"
    )


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar where there is a terminal to show it on."""
    if not sys.stderr.isatty():
        yield lambda kind, done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        tasks = {kind: bar.add_task(kind, total=None) for kind in KINDS}
        yield lambda kind, done, of: bar.update(tasks[kind], completed=done, total=of)


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 with ``--check`` where a fault survives or the control does not, 2 where nothing is to judge."""
    parser = argparse.ArgumentParser(prog="python -m conformance.power", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", action="append", help="as pytest's --hypothesis-seed; repeatable (0 to 4)")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="judge only faults so named; repeatable")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="judge by these claims only; repeatable")
    parser.add_argument("--every-claim", action="store_true", help="ask the laws about every fault, not only the rest")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many (%(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table, as JSON or as Markdown")
    parser.add_argument("--document", type=Path, metavar="FILE", help="write docs/faults.md with what is measured now")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a fault survives or the control does not")
    options = parser.parse_args(arguments)
    patterns = options.only or ["*"]
    faults = [name for name in CATALOGUE if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    if not faults:
        print(f"no fault is named like {' or '.join(patterns)}", file=sys.stderr)
        return 2
    seeds = tuple(options.seed or SEEDS)
    start = time.monotonic()
    with progress_bar() as progress:
        kinds = [kind for kind in KINDS if kind in (options.kind or KINDS)]
        judged = [*faults, CONTROL.name]
        rows = measure(judged, seeds, max(1, options.processes), options.every_claim, kinds, progress)
    wrong, right = (tuple(r for r in rows if (r.fault == CONTROL.name) is control) for control in (False, True))
    power = Power(wrong, seeds, time.monotonic() - start, right)
    if options.write is not None:
        text = as_json(power) if options.write.suffix == ".json" else as_markdown(power)
        write_atomically(options.write, text.encode())
    if options.document is not None:
        document.write(options.document, as_section(power))
    if options.write is None and options.document is None:
        print(as_markdown(power, timed=True), end="")
    caught = len(power.rows) - len(power.survivors)
    print(
        f"{caught} of {len(power.rows)} caught ({len(faults)} faults, {len(seeds)} seeds) in {power.seconds:.0f} s",
        file=sys.stderr,
    )
    if power.false_alarms:
        print(f"a right implementation is rejected by {'; '.join(power.false_alarms)}", file=sys.stderr)
    return 1 if options.check and (power.survivors or power.false_alarms) else 0


if __name__ == "__main__":
    sys.exit(main())
