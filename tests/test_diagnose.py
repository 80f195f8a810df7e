"""Diagnosis: a wrong backend made of a fault is told by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import Capabilities
from conformance import diagnose as module
from conformance.diagnose import Diagnosis, Explainer, diagnose, explain, main, observe
from conformance.faults import CATALOGUE, Edits, Fault
from conformance.search import Judged, Search, agrees_with_reference, generation, verdict_of
from reference import Case, Cell, Result, run
from reference.case_file import save_case

pytestmark = pytest.mark.slow

FEW = [fault for fault in list(CATALOGUE.values())[::24] if fault.name != "float64-computed-in-float32"]
"""Some of the catalogue, as all of it takes minutes."""

PAIRS = [
    ("gates-read-as-figo", "lengths-ignored"),
    ("b-hh-dropped", "initial-states-ignored"),
]


@dataclass(frozen=True)
class Wrong:
    """A backend of one cell with some faults."""

    run: Callable[[Case], Result]
    capabilities: Capabilities
    name: str = "wrong"


def wrong_in(cell: Cell, *faults: Fault) -> Judged:
    edits = sum((fault.edits for fault in faults), start=Edits())
    return Judged(Wrong(edits.make(), Capabilities(cells=(cell,), dtypes=("float32",))))


def failing_case(backend: Judged, cell: Cell) -> Case:
    """The first generated case that the backend gets wrong."""
    generated: list[Case] = []
    search = Search(agrees_with_reference)
    search.for_each(backend.capabilities, cell, ("float32",), "tests", generated.append, generation(150))
    return next(case for case in generated if not verdict_of(agrees_with_reference, backend, case).accepted)


def explains_all(diagnosis: Diagnosis) -> bool:
    return diagnosis.best is not None and diagnosis.best.is_complete


@pytest.mark.parametrize("fault", FEW, ids=lambda fault: fault.name)
def test_a_fault_is_named(fault: Fault) -> None:
    """Or another one that gives the same in every case that was looked at."""
    cell = fault.cells[-1]
    backend = wrong_in(cell, fault)
    try:
        case = failing_case(backend, cell)
    except StopIteration:
        pytest.skip("the fault does not show in what a call returns, but in what it does to its inputs or later calls")
    diagnosis = diagnose(backend, case, seconds=300)
    assert explains_all(diagnosis), str(diagnosis)
    assert diagnosis.best is not None
    if diagnosis.best.faults != (fault,):
        observed = list(observe(backend, module.cases_like(backend, case, "diagnosis"), np.inf))
        assert explain((fault,), observed).rank[:2] == diagnosis.best.rank[:2], str(diagnosis)


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_a_pair_of_faults_is_named(names: tuple[str, str]) -> None:
    """Where neither alone explains all that is wrong."""
    backend = wrong_in(Cell.LSTM, *(CATALOGUE[name] for name in names))
    diagnosis = diagnose(backend, failing_case(backend, Cell.LSTM), seconds=300)
    assert diagnosis.best is not None, str(diagnosis)
    assert {fault.name for fault in diagnosis.best.faults} == set(names)


@pytest.mark.parametrize("cell", Cell)
def test_a_right_backend_is_not_diagnosed(cell: Cell) -> None:
    """There is nothing to explain, and it is said so."""
    right = Judged(Wrong(run, Capabilities(cells=(cell,), dtypes=("float32",))))
    generated: list[Case] = []
    search = Search(agrees_with_reference)
    search.for_each(right.capabilities, cell, ("float32",), "tests", generated.append, generation(5))
    diagnosis = diagnose(right, generated[-1])
    assert diagnosis.best is None
    assert diagnosis.failing == 0
    assert "agree with the reference in all of" in str(diagnosis)


def scrambled(case: Case) -> Result:
    """Wrong in a way that no fault of the catalogue is: every output is shifted by its own cosine."""
    result = run(case)
    return replace(result, y=result.y + np.cos(7 * result.y).astype(case.dtype) * (result.y != 0))


def test_what_no_fault_explains_is_said_to_be_so() -> None:
    """In the time that there is, if only for the failing case itself."""
    backend = Judged(Wrong(scrambled, Capabilities(cells=(Cell.GRU,), dtypes=("float32",))))
    diagnosis = diagnose(backend, failing_case(backend, Cell.GRU), seconds=0)
    assert diagnosis.best is None
    assert diagnosis.failing == diagnosis.observed == 1
    assert diagnosis.tried == 1
    assert str(diagnosis).startswith("no known fault explains it")


def test_a_backend_that_only_raises_gives_nothing_to_diagnose() -> None:
    """And it is said so, not that its values were right."""

    def raises(case: Case) -> Result:
        raise RuntimeError("out of memory")

    backend = Judged(Wrong(raises, Capabilities(cells=(Cell.GRU,), dtypes=("float32",))))
    case = failing_case(Judged(Wrong(scrambled, backend.capabilities)), Cell.GRU)
    assert str(diagnose(backend, case, seconds=1)).startswith("there is none, as the backend returned nothing")


def test_an_explanation_is_said_again_where_it_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """And looked for once."""
    fault = CATALOGUE["gates-read-as-figo"]
    backend = wrong_in(Cell.LSTM, fault)
    calls = []

    def counted(*arguments: Any) -> Diagnosis:
        calls.append(arguments)
        return diagnose(*arguments)

    monkeypatch.setattr(module, "diagnose", counted)
    explainer = Explainer(seconds=30)
    case = failing_case(backend, Cell.LSTM)
    first = explainer.explain(backend, "spec", case)
    assert first is not None
    assert fault.name in first
    assert explainer.explain(backend, "spec", replace(case, x=-case.x)) == first
    assert len(calls) == 1


def test_a_diagnosis_that_goes_wrong_says_so_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure itself must come through."""

    def broken(*_: object) -> Diagnosis:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(module, "diagnose", broken)
    backend = wrong_in(Cell.RNN, CATALOGUE["b-hh-dropped"])
    said = Explainer(seconds=1).explain(backend, "spec", failing_case(backend, Cell.RNN))
    assert said == "none, because looking for it failed: RuntimeError: out of luck"
    assert Explainer(seconds=0).explain(backend, "spec", failing_case(backend, Cell.RNN)) is None


def test_the_command_diagnoses_a_saved_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the backend that it names, or the one that was saved with it."""
    fault = CATALOGUE["gates-read-as-figo"]
    backend = wrong_in(Cell.LSTM, fault)
    path = tmp_path / "case.safetensors"
    save_case(path, failing_case(backend, Cell.LSTM), backend="mine:Backend")
    monkeypatch.setattr(module, "load", lambda spec: backend.backend)
    assert main([str(path)]) == 0
    assert f"agrees with fault `{fault.name}` to " in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"garbage"])
def test_the_command_refuses_what_is_no_case_in_one_sentence(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And exits with 2."""
    path = tmp_path / "case.safetensors"
    if content is not None:
        path.write_bytes(content)
    assert main([str(path), "--backend", "reference"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("cannot diagnose: ")
    assert said.count("\n") == 1
    assert str(path) in said
