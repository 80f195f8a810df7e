"""The known deviations: what they say is in order, and they excuse what they should and nothing else."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reference
from backends import BACKENDS, Capabilities
from conformance import deviations, test_deviations
from conformance.deviations import DEVIATIONS, REPRODUCERS, Deviation
from conformance.deviations import deviation as deviation_module
from conformance.deviations.__main__ import main
from conformance.deviations.document import document
from conformance.deviations.erring import SIGNS, Erring, Loose, StepOf, off_by, one_unit, shows, with_activations
from conformance.deviations.lengths import padded, without_lengths
from conformance.search import Judged, Subject, Tally, agrees_with_reference, explains, verdict_of
from conformance.tolerance import Mismatch, Truth, Verdict, judge, truth_of
from reference import Array, Case, Cell, Result
from reference.cells import sigmoid
from reference.noise import ARITHMETICS
from tests.some_case import KINDS, some_case

DOCUMENT = Path(reference.__file__).resolve().parent.parent / "docs" / "findings.md"

EXPRESSED = [each for each in DEVIATIONS if each.pinned is not None]

OURS = {"backends", "benchmarks", "conformance", "golden", "reference", "tests"}


def name_of(deviation: Deviation) -> str:
    return deviation.name


# What is written down


def test_names_are_unique_and_those_of_the_reproducers() -> None:
    """Every deviation has its program, and every program its deviation."""
    names = [each.name for each in DEVIATIONS]
    assert len(set(names)) == len(names)
    assert {each.reproducer for each in DEVIATIONS} == set(REPRODUCERS.glob("*.py"))


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=name_of)
def test_a_deviation_is_told_in_order(deviation: Deviation) -> None:
    """A name in kebab case, sentences, backends that there are, and addresses."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", deviation.name)
    for text in (deviation.does, deviation.should, deviation.seen):
        assert text.endswith(".") and "  " not in text
    assert ". " not in deviation.does
    assert re.search(r"\d", deviation.framework)
    assert deviation.backends and set(deviation.backends) <= set(BACKENDS)
    assert all(re.fullmatch(r"https://\S+", link) for link in deviation.links)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=name_of)
def test_a_reproducer_is_a_program_of_the_framework_alone(deviation: Deviation) -> None:
    """It compiles, imports nothing of this project, opens with a line about itself, and says when it is mended."""
    text = deviation.reproducer.read_text(encoding="utf-8")
    tree = ast.parse(text)
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert modules and not {module.partition(".")[0] for module in modules} & OURS
    summary = (ast.get_docstring(tree) or "").splitlines()[0]
    assert summary.endswith(".") and "touchstone" not in text.lower()
    assert "mended" in text and "__version__" in text.replace('version("', "__version__")


@pytest.mark.parametrize("deviation", EXPRESSED, ids=name_of)
def test_the_pinned_case_is_one_of_those_that_are_concerned(deviation: Deviation) -> None:
    """And the reference, on the same small case without anything that could go wrong, is not."""
    assert deviation.concerns is not None and deviation.pinned is not None
    assert deviation.concerns(deviation.pinned())
    assert not deviation.concerns(one_unit(Cell.LSTM, [0, 0, 0, 0], [0.5]))


@pytest.mark.parametrize("deviation", [each for each in EXPRESSED if each.model is not None], ids=name_of)
def test_a_model_is_not_accepted_of_a_wrong_gate(deviation: Deviation) -> None:
    """A result that is off by 1/2 in a state is not what a framework with this deviation gives."""
    assert deviation.pinned is not None and deviation.model is not None
    case = deviation.pinned()
    expected = deviation.model(Truth(case, ARITHMETICS[str(case.dtype)]))
    right = Result(**{name: array.astype(case.dtype) for name, array in expected.value.items()})
    assert judge(expected, right).accepted
    assert not judge(expected, replace(right, h_n=(right.h_n + 0.5).astype(case.dtype))).accepted


def test_a_deviation_has_both_a_predicate_and_a_pinned_case_or_neither() -> None:
    """And a model only with them."""
    told = {"framework": "made up 1", "backends": ("reference",), "does": "Errs.", "should": "Not.", "seen": "Yes."}
    with pytest.raises(ValueError, match="'made-up' should have both the cases that it concerns and a pinned one"):
        Deviation(name="made-up", concerns=lambda case: True, **told)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'made-up' has a model, and should have the cases that it concerns"):
        Deviation(name="made-up", model=lambda truth: truth, **told)  # type: ignore[arg-type]


def test_the_document_is_in_step_with_the_deviations() -> None:
    """docs/findings.md says what they say: python -m conformance.deviations --write docs/findings.md"""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_the_command_lists_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each deviation, and the document."""
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{each.name}: {each.does}" for each in DEVIATIONS]
    assert main(["--write", str(tmp_path / "findings.md")]) == 0
    assert (tmp_path / "findings.md").read_text(encoding="utf-8") == document()


# What it rests on

LSTM = some_case(KINDS[2], lengths=(2, 5, 3, 1)).astype(np.float32)


def test_an_error_of_an_activation_shows_where_it_is_larger_than_rounding() -> None:
    """1e-3 does in any case, 1e-10 in none, and a share of what is accepted is used up sooner than all of it."""
    for absolute, seen in ((1e-3, True), (1e-10, False)):
        assert shows(LSTM, with_activations(sigmoid=off_by(sigmoid, absolute))) is seen
    small = with_activations(sigmoid=off_by(sigmoid, 3e-7))
    assert shows(LSTM, small, 0.01) and not shows(LSTM, small, 1e3)


def test_models_accept_what_errs_as_they_say() -> None:
    """Erring accepts that error alone; Loose what is right too, and the error with the other sign."""
    truth = truth_of(LSTM, Capabilities(zero_length="zero"))
    above, below = (with_activations(sigmoid=lambda x, by=by: sigmoid(x) + by) for by in (1e-4, -1e-4))  # type: ignore[misc]

    def result(step_of: object = None) -> Result:
        exact = LSTM.astype(np.float64)
        answer = reference.run(exact) if step_of is None else reference.run(exact, step_of)  # type: ignore[arg-type]
        return Result(**{name: array.astype(np.float32) for name, array in answer.items()})

    erring, loose = Erring.of(truth, above), Loose.of(truth, above)
    assert [judge(erring, result(steps)).accepted for steps in (above, below, None)] == [True, False, False]
    assert [judge(loose, result(steps)).accepted for steps in (above, below, None)] == [True, True, True]
    wrong = replace(result(), h_n=result().h_n + np.float32(0.1))
    assert not judge(loose, wrong).accepted


def test_errors_that_cancel_with_some_signs_are_allowed_for_with_others() -> None:
    """Where c and g of an LSTM are opposite, errors of the same sign in i and f cancel, and others add up."""
    truth = truth_of(one_unit(Cell.LSTM, [0.25, -0.125, 1, 0.5], [-1], h_0=0, c_0=math.tanh(1)), Capabilities())
    steps = [with_activations(sigmoid=off_by(sigmoid, 1e-4, signs)) for signs in SIGNS]

    def room(*steps: StepOf) -> float:
        return float(dict(Loose.of(truth, *steps).sigma.items())["c_n"].item())

    alone = [room(step) for step in steps]
    assert min(alone) < 1e-7 and max(alone) == pytest.approx(2e-4 * math.tanh(1), rel=1e-3)
    assert room(*steps) == pytest.approx(np.sqrt(np.mean(np.square(alone))), rel=1e-3)


def test_a_row_run_to_its_end_is_what_comes_of_ignored_lengths() -> None:
    """The truth of the case without its lengths."""
    case = padded(Cell.GRU, [1, 1, 1], [1, 2], length=1)
    truth = without_lengths(truth_of(case, Capabilities()))
    np.testing.assert_array_equal(truth.value.y, reference.run(replace(case, lengths=None).astype(np.float64)).y)


# The excuse


class Saturates:
    """Takes tanh(x) for 1 from 2 on; ``broken`` adds another error, ``mended`` takes the first one away."""

    name = "saturates"
    capabilities = Capabilities(dtypes=("float32",))

    def __init__(self, broken: bool = False, mended: bool = False) -> None:
        self.broken, self.mended = broken, mended

    def run(self, case: Case) -> Result:
        steps = with_activations() if self.mended else with_activations(tanh=early)
        result = reference.run(case.astype(np.float64), steps)
        result = Result(**{name: array.astype(np.float32) for name, array in result.items()})
        return replace(result, h_n=result.h_n * np.float32(0.9)) if self.broken else result


def early(x: Array) -> Array:
    return np.asarray(np.where(np.abs(x) < 2, np.tanh(x), np.sign(x)))


def made_up(**changed: object) -> Deviation:
    fields = {
        "name": "tanh-saturates-early",
        "framework": "made up 1",
        "backends": ("saturates",),
        "does": "The tanh is 1 from 2 on.",
        "should": "It is 0.96 there.",
        "seen": "Yes.",
        "concerns": lambda case: case.layer.cell is Cell.RNN and shows(case, with_activations(tanh=early)),
        "pinned": lambda: one_unit(Cell.RNN, [1], [3]),
        "model": lambda truth: Erring.of(truth, with_activations(tanh=early)),
    }
    return Deviation(**{**fields, **changed})  # type: ignore[arg-type]


def known(monkeypatch: pytest.MonkeyPatch, deviation: Deviation) -> None:
    monkeypatch.setattr(deviations, "DEVIATIONS", (deviation,))


def test_a_case_is_excused_where_it_is_concerned_and_the_model_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted as deviating, and not as failed."""
    known(monkeypatch, made_up())
    case = one_unit(Cell.RNN, [1], [2.5])
    verdict = verdict_of(agrees_with_reference, Judged(Saturates()), case)
    assert verdict.accepted and verdict.deviation == "tanh-saturates-early"
    tally = Tally()
    tally.add(verdict, case)
    assert (tally.total.deviating, tally.total.failed, tally.deviating) == (1, 0, {"tanh-saturates-early": 1})


def test_what_is_right_does_not_deviate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the deviation concerns the case."""
    known(monkeypatch, made_up(concerns=lambda case: True))
    verdict = verdict_of(agrees_with_reference, Judged(Saturates()), one_unit(Cell.RNN, [1], [1]))
    assert verdict.accepted and verdict.deviation is None


@pytest.mark.parametrize(
    ("backend", "case"),
    [
        (Saturates(broken=True), one_unit(Cell.RNN, [1], [2.5])),
        (Saturates(), one_unit(Cell.GRU, [0, 0, 1], [2.5])),
        (Saturates(mended=True, broken=True), one_unit(Cell.RNN, [1], [2.5])),
    ],
    ids=["another error too", "a case of no concern", "the deviation is mended"],
)
def test_nothing_else_is_excused(backend: Saturates, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another error beside the deviation, a case that it does not concern, and one that no longer deviates."""
    known(monkeypatch, made_up())
    verdict = verdict_of(agrees_with_reference, Judged(backend), case)
    assert not verdict.accepted and verdict.deviation is None


def test_a_deviation_that_is_mended_excuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is wrong in a case that it concerns, and without a model to say so."""
    known(monkeypatch, made_up(model=None, pinned=lambda: one_unit(Cell.RNN, [1], [0])))
    backend, case = Judged(Saturates()), one_unit(Cell.RNN, [1], [2.5])
    assert backend.deviations == ()
    assert not verdict_of(agrees_with_reference, backend, case).accepted


def test_without_a_model_the_predicate_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the framework raises, and there is no result."""

    class Refuses(Saturates):
        def run(self, case: Case) -> Result:
            raise NotImplementedError("no kernel")

    known(monkeypatch, made_up(model=None))
    case = one_unit(Cell.RNN, [1], [2.5])
    assert verdict_of(agrees_with_reference, Judged(Refuses()), case).deviation == "tanh-saturates-early"
    assert not explains(made_up(), Judged(Refuses()), case)


def test_a_law_is_excused_by_the_result_of_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result that a law starts from has to be the model's, whatever the law compares it with."""
    known(monkeypatch, made_up())

    def law(backend: Judged, case: Case) -> Verdict:
        backend.run(case)
        return Verdict((Mismatch("law", "broken"),))

    case = one_unit(Cell.RNN, [1], [2.5])
    assert verdict_of(law, Judged(Saturates()), case).deviation == "tanh-saturates-early"
    assert not verdict_of(law, Judged(Saturates(broken=True)), case).accepted


SHOWS = "print('it is so')"
MENDED = "raise SystemExit('mended')"


@pytest.mark.parametrize(
    ("program", "changed", "backend", "sentence"),
    [
        (MENDED, {}, Saturates(), "does not show any more, and its entry should go: mended"),
        (
            SHOWS,
            {},
            Saturates(mended=True),
            "tanh-saturates-early is right, and its entry should go",
        ),
        (SHOWS, {}, Saturates(broken=True), "is wrong otherwise than its model says"),
        (SHOWS, {"concerns": lambda case: False}, Saturates(), "should be among those that it concerns"),
        (SHOWS, {"pinned": lambda: LSTM.astype(np.float16)}, Saturates(), "and is declined: dtype float16"),
    ],
    ids=["program", "pinned case", "model", "concerns", "declined"],
)
def test_an_entry_that_does_not_hold_is_told(
    program: str,
    changed: dict[str, object],
    backend: Saturates,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """By the test of the suite, with the sentence that says what to do."""
    deviation = made_up(**changed)
    with pytest.raises(pytest.fail.Exception, match=re.escape(sentence)):
        hold_to(deviation, backend, program, monkeypatch, request, tmp_path)


def test_an_entry_that_holds_passes(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Its program shows it, and its pinned case is wrong as its model says."""
    hold_to(made_up(), Saturates(), SHOWS, monkeypatch, request, tmp_path)


def hold_to(
    deviation: Deviation,
    backend: Saturates,
    program: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    folder: Path,
) -> None:
    known(monkeypatch, deviation)
    monkeypatch.setattr(deviation_module, "REPRODUCERS", folder)
    deviation.reproducer.write_text(program, encoding="utf-8")
    subject = Subject(Judged(backend), "saturates", Cell.RNN, ("float32",))
    test_deviations.test_the_deviation_still_shows(deviation, subject, Tally(), request, folder)
