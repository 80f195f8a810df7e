"""Power: what it says of a wrong backend is what a run of the suite says, and a right one survives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conformance import power
from conformance.faults import CATALOGUE, GROUPS, Condition, Edits, Fault, Group
from conformance.power import CONTROL, KINDS, Power, Row, as_json, as_markdown, judge_all, main, measure, suite_of
from conformance.practices import GATE_ORDERS, Practice, constant_weights, square_weights
from reference import Case, Cell, Result, run
from tests.suite_run import Starter

pytestmark = pytest.mark.slow

SEED = "5"


@pytest.fixture
def group() -> Iterator[Group]:
    """A chapter whose faults are gone after the test."""
    before = dict(CATALOGUE)
    group = Group("Made for a test", "Nothing else is in it.")
    yield group
    CATALOGUE.clear()
    CATALOGUE.update(before)
    del GROUPS[group.title]


def add(group: Group, edits: Edits, shows: bool = True) -> Fault:
    """A fault of the RNN."""
    return group.add(
        "made-for-a-test",
        "Something is wrong.",
        edits,
        look_at="the test",
        where="everywhere",
        shows=Condition("any case", lambda case: shows),
        cells=(Cell.RNN,),
    )


def unchanged(case: Case, result: Result) -> Result:
    return result


def rows_of(fault: str, every_claim: bool = False) -> list[Row]:
    return measure([fault], [SEED], every_claim=every_claim)


def test_a_right_backend_survives_every_claim(group: Group) -> None:
    """An implementation with nothing wrong is caught by no test of any kind."""
    fault = add(group, Edits(result=(unchanged,)))
    (row,) = rows_of(fault.name, every_claim=True)
    assert not row.caught
    asked = [outcome.test.kind for outcome in row.outcomes]
    assert list(dict.fromkeys(asked)) == list(KINDS)
    for kind in KINDS:
        assert sum(outcome.cases for outcome in row.outcomes if outcome.test.kind == kind) > 0


def test_a_right_implementation_is_judged_along_with_the_others() -> None:
    """The report says whether the control is rejected, and by what."""
    wrong, control = measure(["h-not-carried", CONTROL.name], [SEED], kinds=["smoke"])
    assert wrong.caught and not control.caught
    calm, alarmed = (as_markdown(Power((wrong,), (SEED,), 0.0, (row,))) for row in (control, wrong))
    assert "A right implementation, judged along with them, is rejected by nothing." in calm
    assert f"is rejected by states and outputs have their places (lstm, seed {SEED}, case 1)" in alarmed


def test_a_survivor_has_its_reason(group: Group, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What survives is reported with what was seen of it, and fails the check."""
    fault = add(group, Edits(result=(unchanged,)), shows=False)
    rows = measure([fault.name], [SEED], kinds=["agreement"])
    report = as_markdown(Power(tuple(rows), (SEED,), 0.0))
    reason = f"survives under seed {SEED}: `{fault.name}`, because its condition (any case) holds in 0 of the "
    assert re.search(re.escape(reason) + r"[1-9]\d+ cases", report)
    assert "| `made-for-a-test` | nothing |" in report


def test_a_new_fault_is_judged_by_itself(group: Group) -> None:
    """A fault that is registered is caught, by the first claim that sees it, after the first case."""

    def doubled(case: Case, result: Result) -> Result:
        return replace(result, y=result.y * 2)

    fault = add(group, Edits(result=(doubled,)))
    (row,) = rows_of(fault.name)
    assert row.caught and row.first is not None
    assert (row.first.test.kind, row.first.cases) == ("smoke", 1)
    assert row.kinds == ["smoke", "documents", "vectors", "agreement"]
    report = as_markdown(Power((row,), (SEED,), 0.0))
    assert "| `made-for-a-test` | smoke: every parameter of every gate arrives | 1 | " in report


@pytest.mark.parametrize(
    ("name", "kind", "words"), [("relu-leaks", "agreement", "float32"), ("strides-of-x-ignored", "laws", "features")]
)
def test_power_agrees_with_a_run_of_the_suite(name: str, kind: str, words: str, tmp_path: Path) -> None:
    """The tests that reject a fault are those that fail when pytest judges it under the same seed."""
    ids = {f"{test.claim}[{_id(name, test)}]": test for test in suite_of(SEED, kind) if test.cell is Cell.RNN}
    caught = {id for id, test in ids.items() if words in id and judge_all(test, [name])[0].caught}
    options = ["--backend", f"conformance.faults:{name}", "--hypothesis-seed", SEED, "-k", f"rnn and {words}"]
    found = Starter(tmp_path).run(f"conformance/test_{kind}.py", *options)
    assert set(found.failures) == caught and caught


def _id(name: str, test: power.Test) -> str:
    parts = [f"fault:{name}", str(test.cell), *(test.dtypes if len(test.dtypes) == 1 else ())]
    return "-".join(parts)


def test_the_number_of_processes_changes_nothing() -> None:
    """The same rows come out of this process and of two others."""
    faults, kinds = ["relu-leaks", "sums-clipped-at-5"], ["smoke", "vectors"]
    here = measure(faults, ["0", "1"], 0, kinds=kinds)
    there = measure(faults, ["0", "1"], 2, kinds=kinds)
    assert as_json(Power(tuple(here), ("0", "1"), 1.0)) == as_json(Power(tuple(there), ("0", "1"), 2.0))


def test_the_cases_of_a_test_are_its_own() -> None:
    """Every claim and every seed has other cases, and the same ones again."""
    tests = [test for seed in ("0", "1") for test in suite_of(seed, "agreement")]
    drawn = {test: [str(case) for case in power.generated(test)] for test in tests[::3]}
    assert len(set(map(tuple, drawn.values()))) == len(drawn)
    assert [str(case) for case in power.generated(tests[0])] == drawn[tests[0]]


def test_a_fault_that_writes_into_its_case_spoils_no_other() -> None:
    """The cases and truths that faults share stay as they are."""
    (test,) = (t for t in suite_of(SEED, "laws") if t.cell is Cell.RNN and t.claim.endswith("_not_modified"))
    names = ["weights-scaled-in-place", "padding-zeroed-in-place", "relu-leaks"]
    outcomes = {outcome.fault: outcome.caught for outcome in judge_all(test, names)}
    assert outcomes == {"weights-scaled-in-place": True, "padding-zeroed-in-place": True, "relu-leaks": False}


def test_the_command_writes_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table as JSON, a summary, and the exit status."""
    path = tmp_path / "power.json"
    arguments = ["--only", "relu-leaks", "--kind", "smoke", "--seed", "3", "--processes", "1", "--check"]
    assert main([*arguments, "--write", str(path)]) == 1  # the smoke tests draw no relu
    assert "0 of 1 caught (1 faults, 1 seeds)" in capsys.readouterr().err
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["seeds"] == ["3"] and content["rows"][0]["fault"] == "relu-leaks"
    assert main(["--only", "no-such-*"]) == 2
    assert "no fault is named like no-such-*" in capsys.readouterr().err


def test_a_practice_accepts_the_reference() -> None:
    """What a practice asks, a right implementation answers; one that asks for something else is not measured."""
    questions = (*constant_weights(), *square_weights())
    assert all(question.accepts(run(question.case)) for question in questions)
    other = replace(questions[0], wanted={"y": questions[0].wanted["y"] + 1})
    with pytest.raises(ValueError, match="'wrong' rejects the reference"):
        Practice("wrong", "", (other,)).share(["b-hh-dropped"])


def test_constant_weights_cannot_tell_gates_apart() -> None:
    """The reason why a first test so often passes."""
    practice = Practice("constant weights", "", tuple(constant_weights()))
    assert not practice.catches("gates-read-as-fgio")
    assert practice.catches("h-without-the-output-gate")


def test_onnx_gates_are_found_in_ours() -> None:
    """The gate orders of ONNX, by the letters that it uses."""
    onnx_letters = {"RNN": "h", "LSTM": "iofg", "GRU": "zrn"}
    for operator, order in GATE_ORDERS.items():
        ours = {"RNN": "h", "LSTM": "ifgo", "GRU": "rzn"}[operator]
        assert "".join(np.array(list(onnx_letters[operator]))[order]) == ours
