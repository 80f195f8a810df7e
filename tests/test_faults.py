"""The catalogue: what it says is in order, and each fault is wrong where it says, and right elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import reference
from backends import BackendError, load
from conformance.faults import CATALOGUE, CLASSES, GROUPS, NOT_EXPRESSIBLE, Condition, Edits, Fault, Group, WrongBackend
from conformance.faults.__main__ import main
from conformance.faults.document import catalogue_part, parts_of, write
from conformance.faults.equations import Equations
from conformance.faults.parts import run_in_parts
from conformance.search import Search, agrees_with_reference, generation
from conformance.tolerance import Truth, Verdict, judge, judge_alike, truth_of
from reference import Array, Case, Cell, Direction, Layer, Result
from tests.some_case import KINDS, arrays_in, some_case

DOCUMENT = Path(reference.__file__).resolve().parent.parent / "docs" / "faults.md"

FAULTS = list(CATALOGUE.values())


@dataclass(frozen=True)
class Tried:
    """A case, what is right, and whether a fault that looks at it shows."""

    case: Case
    truth: Truth

    def verdict(self, result: Result) -> Verdict:
        return judge(self.truth, result)


def generated(dtype: str, examples: int, cell: Cell) -> list[Case]:
    cases: list[Case] = []
    search = Search(agrees_with_reference)
    search.for_each(WrongBackend.capabilities, cell, (dtype,), "tests", cases.append, generation(examples))
    return cases


def special(kind: Layer) -> Iterator[Case]:
    """Cases that show what few generated ones do."""
    layer = replace(kind, input_size=3, hidden_size=5)
    both = replace(layer, direction=Direction.BIDIRECTIONAL, num_layers=3)
    yield some_case(both, batch=3, steps=4, lengths=[2, 0, 3])
    yield some_case(replace(layer, hidden_size=3, input_mode="skip"), batch=2, steps=3)
    alike = some_case(replace(both, num_layers=1), batch=2, steps=3)
    yield replace(alike, weights=alike.weights[:1] * 2)
    yield replace(alike, weights=tuple(replace(w, b_hh=w.b_ih) for w in alike.weights))
    yield replace(alike, weights=tuple(replace(w, w_hh=np.zeros_like(w.w_hh)) for w in alike.weights))
    yield replace(alike, h_0=np.zeros_like(alike.h_0))
    still = some_case(layer, batch=3, steps=4, lengths=[4, 2, 3])
    still.x[:, 1] = 0
    yield still
    yield replace(still, x=np.tile(np.eye(still.x.shape[2])[0], (*still.x.shape[:2], 1)))
    yield some_case(layer, batch=9, steps=18)
    yield some_case(replace(layer, input_size=514), batch=1, steps=2, states=False)
    yield some_case(replace(layer, hidden_size=514), batch=2, steps=2)
    yield some_case(layer, batch=258, steps=2)
    yield some_case(replace(layer, bias=False), batch=4, steps=3, states=False)
    yield some_case(replace(both, input_size=10, num_layers=2), batch=4, steps=4)
    ragged = some_case(replace(layer, direction=Direction.REVERSE), batch=3, steps=4, lengths=[4, 1, 2])
    yield replace(ragged, x=np.where(ragged.valid[:, :, None], ragged.x, np.nan))
    lost = some_case(layer, batch=3, steps=4, lengths=[2, 4, 3])
    lost.x[1, 1, 2] = np.nan
    yield lost
    assert ragged.h_0 is not None
    yield replace(ragged, h_0=np.where(np.arange(ragged.batch_size)[:, None] == 1, np.nan, ragged.h_0))
    yield some_case(both, batch=3, steps=4).map(np.asfortranarray)
    full = some_case(layer, batch=2, steps=3)
    yield full if full.c_0 is None else replace(full, c_0=full.c_0 * 8192)
    yield some_case(layer, batch=2, steps=3).map(lambda array: array * 64)
    yield some_case(layer, batch=2, steps=3).map(lambda array: array * 1024)
    yield some_case(layer, batch=2, steps=3).map(lambda array: array * 2.0**-14)


@cache
def tried() -> tuple[Tried, ...]:
    """Cases of every cell with their truths, which all faults share."""
    cases = [case for cell in Cell for case in generated("float32", 6, cell)]
    cases += [case.astype(np.float32) for kind in KINDS for case in special(kind)]
    cases += [some_case(replace(kind, num_layers=2), lengths=[5, 0, 3, 1]) for kind in KINDS]  # in float64
    one = some_case(KINDS[0])
    cases.append(replace(one, weights=tuple(replace(w, b_hh=w.b_ih) for w in one.weights)))
    cases += [one.map(np.flip), one.map(lambda array: np.pad(array, 1)[(slice(1, -1),) * array.ndim])]
    cases.append(some_case(replace(KINDS[0], input_size=2, hidden_size=19), batch=57, steps=61).astype(np.float32))
    return tuple(Tried(case, truth_of(case, WrongBackend.capabilities)) for case in cases)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_told_in_order(fault: Fault) -> None:
    """A name in kebab case, a sentence, half a sentence, and addresses."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fault.name)
    first = fault.says.split()[0]
    assert (first[0].isupper() or first in ("x", "y", "h_0")) and fault.says.endswith(".") and ". " not in fault.says
    for half in (fault.look_at, fault.where, fault.shows.says):
        assert half and not half.endswith(".") and "  " not in half
    assert fault.group in GROUPS and fault.cells
    assert all(re.fullmatch(r"https://\S+", url) for url in fault.origin)
    assert bool(fault.origin) == (fault.kind is not None)


def test_sentences_differ() -> None:
    """No two faults say the same."""
    assert len({fault.says for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("number", CLASSES)
def test_a_kind_is_expressed_or_says_why_not(number: str) -> None:
    """Each kind of public report has faults in the catalogue, or a reason."""
    kind = CLASSES[number]
    assert kind.reports and not kind.says.endswith(".")
    assert any(fault.kind == number for fault in FAULTS) == (kind.not_expressed is None)
    assert kind.not_expressed is None or NOT_EXPRESSIBLE[kind.says] == kind.not_expressed


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_named_equations_are_those_of_the_reference(kind: Layer) -> None:
    """With nothing replaced, the equations give the same bits as the reference."""
    case = some_case(replace(kind, num_layers=2, direction=Direction.BIDIRECTIONAL), lengths=[5, 0, 3, 1])
    assert_equal(reference.run(case, step_of=Equations().step_of), reference.run(case))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("direction", Direction, ids=str)
def test_parts_put_together_are_the_whole(kind: Layer, direction: Direction) -> None:
    """With nothing edited, the parts of a layer give what the reference gives, one step at a time too."""
    case = some_case(replace(kind, num_layers=2, direction=direction), lengths=[5, 0, 3, 1]).astype(np.float32)
    truth = truth_of(case, WrongBackend.capabilities)
    stepwise = run_in_parts(
        case, lambda part: replace(part, start_of=lambda states: states[-1]), lambda part, result: result
    )
    whole = run_in_parts(case, lambda part: part, lambda part, result: result)
    for result in (whole, stepwise):
        assert judge_alike(truth, result, reference.run(case)).accepted


@pytest.mark.parametrize("group", GROUPS)
def test_a_fault_is_right_where_it_does_not_show(group: str) -> None:
    """Where its condition does not hold, a fault gives what the reference gives."""
    for fault in (fault for fault in FAULTS if fault.group == group):
        for each in tried():
            if each.case.layer.cell in fault.cells and not fault.shows(each.case):
                verdict = each.verdict(fault.run(each.case.map(np.copy)))
                assert verdict.accepted, f"{fault.name} on {each.case}: {verdict.mismatches[0].message}"


@pytest.mark.parametrize("group", GROUPS)
def test_a_fault_is_wrong_where_it_shows(group: str) -> None:
    """In some case in which its condition holds, a fault gives something else than the reference."""
    for fault in (fault for fault in FAULTS if fault.group == group):
        shown = (each for each in tried() if fault.shows(each.case))
        assert any(is_wrong(fault, each) for each in shown), f"{fault.name} is right in every case"


def is_wrong(fault: Fault, each: Tried) -> bool:
    """Whether a call is wrong; of a fault that remembers, a call after another one, or what that left behind."""
    run, case = fault.make(), each.case
    if not fault.remembers:
        return not each.verdict(run(case)).accepted
    other = replace(case, weights=case.map(lambda array: array / 2).weights, x=-case.x).map(np.array)
    lengths = None if case.lengths is None else (case.row_lengths + 1) % (case.num_steps + 1)
    first = run(replace(other, lengths=lengths))
    kept = first.y.copy()
    for array, right in zip(arrays_in(other), arrays_in(case)):
        array[...] = right
    wrong = not each.verdict(run(other)).accepted
    return wrong or not np.array_equal(first.y, kept) or not same_arrays(other, case)


def same_arrays(case: Case, other: Case) -> bool:
    pairs = [(case.x, other.x), (case.h_0, other.h_0), (case.weights[0].w_hh, other.weights[0].w_hh)]
    return all(a is None or b is None or np.array_equal(a, b, equal_nan=True) for a, b in pairs)


PAIRS = [
    ("h-0-ignored", "b-hh-dropped"),
    ("reverse-ignored", "state-rounded-to-float16"),
    ("gates-read-as-fgio", "h-n-and-c-n-swapped"),
    ("final-states-zero", "y-one-step-late"),
    ("upper-layers-run-forwards", "lengths-ignored"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_faults_at_once_are_both_there(one: str, other: str) -> None:
    """Edits add up: the sum is none of the two, and where one of them does not show it is the other."""
    layer = Layer(cell=Cell.LSTM, input_size=3, hidden_size=4, num_layers=2, direction=Direction.REVERSE)
    case = some_case(layer, lengths=[5, 2, 3, 1])
    first, second = CATALOGUE[one], CATALOGUE[other]
    both = (first.edits + second.edits).make()
    assert differ(both(case), first.run(case)) and differ(both(case), second.run(case))
    assert_equal((first.edits + Edits()).make()(case), first.run(case))
    assert_equal((Edits() + second.edits).make()(case), second.run(case))


def differ(result: Result, other: Result) -> bool:
    return any(not np.array_equal(array, getattr(other, name)) for name, array in result.items())


def assert_equal(result: Result, other: Result) -> None:
    assert not differ(result, other)


def test_a_fault_is_a_backend() -> None:
    """A fault is chosen by its name like any backend, and claims everything."""
    backend = load("conformance.faults:reverse-starts-in-padding")
    assert backend.name == "fault:reverse-starts-in-padding"
    case = some_case(replace(KINDS[0], direction=Direction.REVERSE), lengths=[5, 2, 3, 1])
    assert backend.capabilities.declines(case) is None
    assert differ(backend.run(case), reference.run(case))


def test_an_unknown_fault_is_refused_with_the_nearest_name() -> None:
    """A wrong name is answered with the right one."""
    with pytest.raises(BackendError, match="did you mean 'reverse-ignored'"):
        load("conformance.faults:reverse-ignore")


def test_a_fault_of_another_cell_is_right() -> None:
    """A fault leaves alone the cells that it does not concern."""
    case = some_case(KINDS[0])
    assert_equal(CATALOGUE["gates-read-as-fgio"].run(case), reference.run(case))


@pytest.fixture
def new_fault() -> Iterator[Fault]:
    """A fault that was not there before, as somebody would add one."""
    group = Group("Made for a test", "Nothing else is in it.")

    @group.result(
        "last-row-missing",
        "The last row of y is not written.",
        look_at="the loop over rows",
        where="the batch axis of y",
        shows=Condition("any case", lambda case: True),
    )
    def fault(case: Case, result: Result) -> Result:
        return replace(result, y=without_last_row(result.y))

    yield fault
    del CATALOGUE[fault.name], GROUPS[group.title]


def without_last_row(y: Array) -> Array:
    changed = y.copy()
    changed[-1] = 0
    return changed


def test_a_new_fault_appears_by_itself(new_fault: Fault, capsys: pytest.CaptureFixture[str]) -> None:
    """In the listing, in the document and as a backend."""
    assert main([]) == 0
    assert f"{new_fault.name}: {new_fault.says}" in capsys.readouterr().out
    assert f"| `{new_fault.name}` | {new_fault.says} |" in catalogue_part()
    assert "## Made for a test" in catalogue_part()
    assert load(f"conformance.faults:{new_fault.name}").name == "fault:last-row-missing"


def test_names_are_taken_once(new_fault: Fault) -> None:
    """A name that is taken, or a kind that is not known, is refused."""
    group = Group(new_fault.group, GROUPS[new_fault.group])
    common = {"look_at": "x", "where": "x", "shows": new_fault.shows}
    with pytest.raises(ValueError, match="two faults are called 'last-row-missing'"):
        group.add("last-row-missing", "Again.", Edits(), **common)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is of kind 'F99'"):
        group.add("another", "Again.", Edits(), kind="F99", **common)  # type: ignore[arg-type]


def test_the_document_is_in_step_with_the_catalogue() -> None:
    """docs/faults.md says what the catalogue says: python -m conformance.faults --write docs/faults.md"""
    assert parts_of(DOCUMENT)[0] == catalogue_part()


def test_writing_the_document_keeps_what_was_measured(tmp_path: Path) -> None:
    """The catalogue is written anew, what stands behind the marker stays, unless it was measured anew."""
    path = tmp_path / "faults.md"
    write(path, "measured\n")
    write(path)
    assert parts_of(path) == (catalogue_part(), "measured\n")
    assert main(["--write", str(path)]) == 0
    assert parts_of(path) == (catalogue_part(), "measured\n")
