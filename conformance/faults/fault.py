"""What a fault is, and how one is run: small edits of a case, of a part of it, of a step or of a result.

A wrong implementation is the reference with one thing changed at a named place:

- ``case``: it computes another case than it was given;
- ``part``: one direction of one layer, which runs forwards over its steps in the order in which it visits them, reads
  another input, other weights, states, lengths, or steps in another order, or uses other :class:`Equations`;
- ``finished``: what such a part returns is wrong;
- ``result``: what the whole returns is wrong;
- ``around``: it wraps the run as a whole, and may remember something from one call to the next.

The places are independent of one another, so two faults can be had at once: ``first.edits + second.edits``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from conformance.faults.conditions import Condition, same
from conformance.faults.parts import Part, run_in_parts
from conformance.faults.reports import CLASSES
from reference import Case, Cell, Result
from reference import run as reference_run

Run = Callable[[Case], Result]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Edits:
    """What is changed at which place; every field is a chain, applied from left to right."""

    case: tuple[Callable[[Case], Case], ...] = ()
    part: tuple[Callable[[Part], Part], ...] = ()
    finished: tuple[Callable[[Part, Result], Result], ...] = ()
    result: tuple[Callable[[Case, Result], Result], ...] = ()
    around: tuple[Callable[[Run], Run], ...] = ()

    def __add__(self, other: Edits) -> Edits:
        return Edits(
            self.case + other.case,
            self.part + other.part,
            self.finished + other.finished,
            self.result + other.result,
            self.around + other.around,
        )

    def make(self) -> Run:
        """A wrong implementation, with a memory of its own where it has one."""

        def run(case: Case) -> Result:
            edited = _chained(self.case, case)
            result = run_in_parts(edited, self._part, self._finished) if self._in_parts else reference_run(edited)
            for edit in self.result:
                result = edit(case, result)
            return result

        around: Run = run
        for wrap in self.around:
            around = wrap(around)
        return _quiet(around)

    def meets(self, other: Edits) -> bool:
        """Whether both edit at one place, so that their order may matter."""
        return any(getattr(self, each.name) and getattr(other, each.name) for each in fields(self))

    @property
    def _in_parts(self) -> bool:
        return bool(self.part or self.finished)

    def _part(self, part: Part) -> Part:
        return _chained(self.part, part)

    def _finished(self, part: Part, result: Result) -> Result:
        for edit in self.finished:
            result = edit(part, result)
        return result


def _chained(edits: tuple[Callable[[Value], Value], ...], value: Value) -> Value:
    for edit in edits:
        value = edit(value)
    return value


def _quiet(run: Run) -> Run:
    """Wrong implementations overflow where right ones do not; the judge sees what comes of it."""

    def quiet(case: Case) -> Result:
        with np.errstate(all="ignore"):
            return run(case)

    return quiet


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to get a recurrent layer wrong."""

    name: str
    """A speaking name in kebab case; it is also how the fault is chosen as a backend."""
    group: str
    """The title of its :class:`Group`."""
    says: str
    """One sentence: what the wrong implementation does."""
    look_at: str
    """Half a sentence: what the author of such an implementation should look at."""
    where: str
    """What it concerns, in a few words: ``"gates i and f"``, ``"the reverse direction"``."""
    shows: Condition
    """Where it can be seen; elsewhere its result is the reference's."""
    kind: str | None
    """Its kind among public reports (:data:`conformance.faults.reports.CLASSES`); None: our own argument."""
    cells: tuple[Cell, ...]
    """The cells that it concerns; layers of the others it runs as the reference does."""
    remembers: bool
    """Whether a call depends on the calls before: then the first one may be right."""
    edits: Edits = field(repr=False)

    @property
    def origin(self) -> tuple[str, ...]:
        """The addresses of public reports of faults of its kind; none where it is our own argument."""
        return () if self.kind is None else tuple(report.url for report in CLASSES[self.kind].reports)

    def make(self) -> Run:
        """The wrong implementation, as new: nothing is remembered from calls of another one."""
        wrong = self.edits.make()
        return lambda case: wrong(case) if case.layer.cell in self.cells else reference_run(case)

    def run(self, case: Case) -> Result:
        """The result of the wrong implementation, called once."""
        return self.make()(case)


CATALOGUE: dict[str, Fault] = {}
"""Every fault by its name, in the order in which they are written down."""

GROUPS: dict[str, str] = {}
"""What the faults of each group have in common, by its title."""

EVERY_CELL = tuple(Cell)


@dataclass(frozen=True)
class Group:
    """A chapter of the catalogue; its methods are decorators that put an edit into it as a fault."""

    title: str
    says: str

    def __post_init__(self) -> None:
        GROUPS[self.title] = self.says

    def case(self, name: str, says: str, *, shows: Condition, **rest: Any) -> Callable[[Callable[[Case], Case]], Fault]:
        """A fault that computes another case; it shows at most where that is not the same case."""

        def decorate(edit: Callable[[Case], Case]) -> Fault:
            changed = Condition(shows.says, lambda case: shows(case) and not same(case, edit(case)))
            return self.add(name, says, Edits(case=(edit,)), shows=changed, **rest)

        return decorate

    def part(self, name: str, says: str, **rest: Any) -> Callable[[Callable[[Part], Part]], Fault]:
        """A fault in one direction of one layer."""
        return lambda edit: self.add(name, says, Edits(part=(edit,)), **rest)

    def finished(self, name: str, says: str, **rest: Any) -> Callable[[Callable[[Part, Result], Result]], Fault]:
        """A fault in what one direction of one layer returns."""
        return lambda edit: self.add(name, says, Edits(finished=(edit,)), **rest)

    def result(self, name: str, says: str, **rest: Any) -> Callable[[Callable[[Case, Result], Result]], Fault]:
        """A fault in what is returned."""
        return lambda edit: self.add(name, says, Edits(result=(edit,)), **rest)

    def around(self, name: str, says: str, **rest: Any) -> Callable[[Callable[[Run], Run]], Fault]:
        """A fault of the run as a whole; the decorated function is called once for every implementation made."""
        return lambda edit: self.add(name, says, Edits(around=(edit,)), **rest)

    def add(
        self,
        name: str,
        says: str,
        edits: Edits,
        *,
        look_at: str,
        where: str,
        shows: Condition,
        kind: str | None = None,
        cells: tuple[Cell, ...] = EVERY_CELL,
        remembers: bool = False,
    ) -> Fault:
        """Put a fault into the catalogue."""
        if name in CATALOGUE:
            raise ValueError(f"two faults are called {name!r}")
        if kind is not None and kind not in CLASSES:
            raise ValueError(f"fault {name!r} is of kind {kind!r}, but should be of one of {', '.join(CLASSES)}")
        CATALOGUE[name] = Fault(
            name=name,
            group=self.title,
            says=says,
            look_at=look_at,
            where=where,
            shows=shows,
            kind=kind,
            cells=cells,
            remembers=remembers,
            edits=edits,
        )
        return CATALOGUE[name]
