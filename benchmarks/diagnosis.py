"""How often the diagnosis of a wrong backend names the faults it was made of.

    python -m benchmarks.diagnosis --pairs 100

A diagnosis is right if it names the faults, or others that give the same in every case that was looked at: then
nobody could have told. A fault that shows in no result (it changes its inputs, say) has nothing to be diagnosed from.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from backends import Capabilities
from conformance.diagnose import SECONDS, cases_like, diagnose, explain, observe
from conformance.faults import CATALOGUE, Edits
from conformance.faults.fault import Run
from conformance.search import Judged, Search, agrees_with_reference, generation, verdict_of
from reference import Case, Cell

Task = tuple[Cell, tuple[str, ...], float]


@dataclass(frozen=True)
class Wrong:
    """A backend with some faults."""

    run: Run
    capabilities: Capabilities
    name: str = "wrong"


def outcome(task: Task) -> tuple[Task, str, str]:
    """``right``, ``equal``, ``none``, ``other`` or ``hidden``, and what was said."""
    cell, names, seconds = task
    faults = tuple(CATALOGUE[name] for name in names)
    edits = sum((fault.edits for fault in faults), start=Edits())
    backend = Judged(Wrong(edits.make(), Capabilities(cells=(cell,), dtypes=("float32", "float64"))))
    case = first_failure(backend, cell)
    if case is None:
        return task, "hidden", ""
    diagnosis = diagnose(backend, case, seconds)
    if diagnosis.best is None:
        return task, "none", str(diagnosis)
    named = {fault.name for fault in diagnosis.best.faults}
    if named == set(names):
        return task, "right", ""
    observed = list(observe(backend, cases_like(backend, case, "diagnosis"), math.inf))
    own = max((explain(faults, observed), explain(faults[::-1], observed)), key=lambda each: each.rank)
    is_equal = own.explained - own.contradicted <= diagnosis.best.explained - diagnosis.best.contradicted
    return task, "equal" if is_equal else "other", " + ".join(sorted(named))


def first_failure(backend: Judged, cell: Cell) -> Case | None:
    """The first generated case that the backend gets wrong."""
    generated: list[Case] = []
    search = Search(agrees_with_reference)
    search.for_each(
        backend.capabilities, cell, backend.capabilities.dtypes, "first failure", generated.append, generation(100)
    )
    wrong = (case for case in generated if not verdict_of(agrees_with_reference, backend, case).accepted)
    return next(wrong, None)


def tasks(pairs: int, seed: int, seconds: float) -> Iterator[Task]:
    """Every fault of the catalogue in one of its cells, or so many pairs at random."""
    numbers = random.Random(seed)
    if not pairs:
        for fault in CATALOGUE.values():
            yield numbers.choice(fault.cells), (fault.name,), seconds
    for _ in range(pairs):
        cell = numbers.choice(list(Cell))
        two = numbers.sample([fault.name for fault in CATALOGUE.values() if cell in fault.cells], 2)
        yield cell, tuple(two), seconds


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("--pairs", type=int, default=0, help="so many random pairs in place of every single fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each diagnosis (%(default)s)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(options.processes) as pool:
        for (cell, names, _), what, said in pool.map(outcome, tasks(options.pairs, options.seed, options.seconds)):
            counts[what] += 1
            if what in ("equal", "none", "other"):
                print(f"{what}: {cell} {' + '.join(names)}: {said}", flush=True)
    judged = sum(counts.values()) - counts["hidden"]
    share = (counts["right"] + counts["equal"]) / max(1, judged)
    print(f"{share:.1%} right of {judged}: {dict(counts)}")


if __name__ == "__main__":
    main()
