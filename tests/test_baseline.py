"""Baselines: what counts as worse, what is told, and that a recorded file is not lost."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.report.baseline import BaselineError, Comparison, Entry, compare, entries_of, read, write
from conformance.report.contents import Report
from tests.made_report import made_report
from tests.suite_run import Starter

pytestmark = pytest.mark.slow

SMOKE = "conformance/test_smoke.py"
LSTM = "agreement/every_output_agrees[some-lstm-float32]"


@pytest.fixture
def recorded() -> dict[str, Entry]:
    return entries_of(made_report())


def compared(recorded: dict[str, Entry], report: Report) -> Comparison:
    """By way of a file, as a run does."""
    return compare(report, json.loads(json.dumps(recorded)))


def test_a_run_against_itself_has_nothing_to_tell(recorded: dict[str, Entry]) -> None:
    """Nothing is worse, better or noted, and every claim stands as it stood."""
    (found,) = compared(recorded, made_report()).differences
    assert (found.worse, found.better, found.told, found.same) == ([], [], [], 3)
    lines = list(compared(recorded, made_report()).lines())
    assert lines == ["some against its baseline: nothing is worse; 3 claims stand as they stood"]


def test_a_claim_that_held_and_is_broken_is_worse(recorded: dict[str, Entry]) -> None:
    """With its bits, where they tell something."""
    report = made_report()
    claim = report["runs"][0]["backends"][0]["claims"][0]
    claim["outcome"], claim["total"]["bits"] = "failed", 14.2
    comparison = compared(recorded, report)
    assert comparison.worse == [f"{LSTM} held and is broken (24.0 bits then, 14.2 now)"]
    assert next(iter(comparison.lines())).startswith("some against its baseline: 1 thing is worse; 2 claims")


@pytest.mark.parametrize(("bits", "is_worse"), [(14.1, True), (15.0, False), (15.2, False)])
def test_a_broken_claim_may_not_lose_more_than_a_bit(bits: float, is_worse: bool, recorded: dict[str, Entry]) -> None:
    """It is broken before and after."""
    recorded["some"]["claims"][LSTM] = "broken 15.2"
    report = made_report()
    claim = report["runs"][0]["backends"][0]["claims"][0]
    claim["outcome"], claim["total"]["bits"] = "failed", bits
    lost = f"{LSTM} has lost bits: 15.2 then, {bits} now"
    assert compared(recorded, report).worse == ([lost] if is_worse else [])


@pytest.mark.parametrize(
    "otherwise", [{"seed": "7"}, {"profile": "thorough"}, {"hypothesis": "7"}, {"touchstone": "7"}, {}]
)
@pytest.mark.parametrize("holds", [True, False])
def test_what_holds_may_have_fewer_bits_in_other_cases(
    otherwise: dict[str, Any], holds: bool, recorded: dict[str, Entry]
) -> None:
    """They are of another dtype, or of a known deviation; in the same cases, or of what is broken, they are news."""
    report = made_report()
    claim = report["runs"][0]["backends"][0]["claims"][0]
    claim["total"]["bits"], claim["outcome"] = 11.0, "passed" if holds else "failed"
    recorded["some"]["claims"][LSTM] = "holds 24.0" if holds else "broken 24.0"
    report["runs"][0].update(otherwise)  # type: ignore[typeddict-item]
    is_worse = not (holds and otherwise)
    comparison = compared(recorded, report)
    assert comparison.worse == ([f"{LSTM} has lost bits: 24.0 then, 11.0 now"] if is_worse else [])
    told = f"{LSTM} has other bits, as it may in other cases: 24.0 then, 11.0 now"
    assert (told in comparison.differences[0].told) != is_worse


def test_a_feature_that_is_not_claimed_any_more_is_worse(recorded: dict[str, Entry]) -> None:
    """Whichever field of the capabilities it is in; one that is new is better."""
    report = made_report()
    capabilities = report["runs"][0]["backends"][0]["capabilities"]
    capabilities.update(directions=["forward"], max_layers=2, lengths=False, bias=[True])
    gone = ["direction reverse", "direction bidirectional", "bias=False", "lengths", "rows of length 0", "3 layers"]
    gone += ["any number of layers"]
    assert compared(recorded, report).worse == [f"claimed then, and not now: {feature}" for feature in gone]
    again = compared(entries_of(report), made_report())
    assert again.worse == []
    assert again.differences[0].better == [f"claimed now: {feature}" for feature in gone]


def test_rows_of_length_0_that_are_refused_are_not_claimed(recorded: dict[str, Entry]) -> None:
    """Another dialect for them is no loss."""
    report = made_report()
    capabilities = report["runs"][0]["backends"][0]["capabilities"]
    capabilities["zero_length"] = "zero"
    assert compared(recorded, report).worse == []
    capabilities["zero_length"] = "reject"
    assert compared(recorded, report).worse == ["claimed then, and not now: rows of length 0"]


def test_what_became_better_is_told(recorded: dict[str, Entry]) -> None:
    """Broken before, and with fewer bits."""
    recorded["some"]["claims"][LSTM] = "broken 13.0"
    comparison = compared(recorded, made_report())
    assert comparison.worse == []
    assert comparison.differences[0].better == [f"{LSTM} was broken and holds (13.0 bits then, 24.0 now)"]


def test_versions_cases_and_other_bits_are_told_and_fail_nothing(recorded: dict[str, Entry]) -> None:
    """They are what a reader needs to judge a difference."""
    report = made_report()
    (run,) = report["runs"]
    run["numpy"], run["touchstone"], run["seed"] = "9.9", "f" * 12, "7"
    run["backends"][0]["description"] = "some 2.0"
    run["backends"][0]["claims"][1]["digests"]["lstm-one"] = "f" * 16
    del run["backends"][0]["claims"][2]
    comparison = compared(recorded, report)
    assert comparison.worse == []
    assert comparison.differences[0].told == [
        "1 of 3 recorded claims were not judged in this run",
        "description was 'some 1.0' and is 'some 2.0'",
        "numpy was '2.0.0' and is '9.9'",
        "touchstone was '000000000000' and is 'ffffffffffff', so other cases may have been judged",
        "seed was 'None' and is '7', so other cases were judged",
        "1 of 2 golden vectors give other bits, as they may: lstm-one",
    ]


def test_backends_that_only_one_of_the_two_has_are_named(recorded: dict[str, Entry]) -> None:
    """A backend that was not chosen is not a backend that was lost."""
    recorded["other"] = recorded["some"]
    assert list(compared(recorded, made_report()).lines())[-1] == ("other: in the baseline, and not judged in this run")
    del recorded["some"]
    assert list(compared(recorded, made_report()).lines()) == [
        "other: in the baseline, and not judged in this run",
        "some: judged in this run, and not in the baseline",
        "nothing was compared: the run and the baseline have no backend in common",
    ]


def test_a_baseline_is_sorted_and_has_a_line_for_each_thing_that_can_change(tmp_path: Path) -> None:
    """So that its history can be read in diffs; the same run gives the same bytes."""
    write(tmp_path / "one.json", made_report())
    write(tmp_path / "two.json", made_report())
    content = (tmp_path / "one.json").read_text()
    assert content == (tmp_path / "two.json").read_text()
    assert f'    "{LSTM}": "holds 24.0",\n' in content
    assert read(tmp_path / "one.json") == entries_of(made_report())
    assert content.index('"gru') < content.index('"lstm-one')


def test_an_incomplete_run_is_not_recorded(tmp_path: Path) -> None:
    """What it has not judged would not be missed later."""
    report = made_report()
    report["incomplete"] = report["runs"][0]["incomplete"] = True
    with pytest.raises(BaselineError, match="the run is incomplete, but a baseline should be of a whole one"):
        write(tmp_path / "one.json", report)
    assert not (tmp_path / "one.json").exists()


def test_a_report_with_two_backends_of_one_name_is_refused() -> None:
    """A merged report may have them."""
    report = made_report()
    report["runs"].append(copy.deepcopy(report["runs"][0]))
    with pytest.raises(BaselineError, match="two backends called 'some', but a baseline should be of one run"):
        entries_of(report)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read (No such file or directory), but should be what --record-baseline wrote"),
        ("garbage", "is no baseline, but should be what --record-baseline wrote"),
        ("[]", "is no baseline"),
        ('{"format": 2, "backends": {}}', "has format 2, but should have format 1"),
        ('{"format": 1, "backends": {"some": {"versions": []}}}', "is no baseline"),
    ],
)
def test_a_file_that_is_no_baseline_is_one_sentence(content: str | None, says: str, tmp_path: Path) -> None:
    """With the name of the file."""
    path = tmp_path / "baseline.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BaselineError) as raised:
        read(path)
    assert str(path) in str(raised.value) and says in str(raised.value)


# In a run of the suite


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Starter:
    return Starter(tmp_path_factory.mktemp("baseline"))


@pytest.fixture(scope="module")
def baseline(suite: Starter) -> Path:
    """Of a run over the right backend; its smoke tests in float32."""
    path = suite.folder / "baseline.json"
    run = suite.run("--backend", "mine:Right", SMOKE, "-k", "float32", "--record-baseline", str(path))
    assert run.code == 0 and run.output.count(f"the baseline is in {path}") == 1
    return path


def test_a_run_passes_against_itself(suite: Starter, baseline: Path) -> None:
    """And says so."""
    run = suite.run("--backend", "mine:Right", SMOKE, "-k", "float32", "--baseline", str(baseline))
    assert run.code == 0, run.output
    assert "right against its baseline: nothing is worse; 6 claims stand as they stood" in run.output


def test_a_run_fails_where_everything_holds_but_less_is_claimed(suite: Starter, baseline: Path) -> None:
    """The exit code is that of failed tests, though none has failed."""
    run = suite.run("--backend", "mine:RightButLess", SMOKE, "-k", "float32", "--baseline", str(baseline))
    assert run.code == 1
    assert run.failures == {}
    assert "  worse: claimed then, and not now: direction bidirectional" in run.output


def test_an_existing_baseline_is_replaced_only_where_that_is_asked_for(suite: Starter, baseline: Path) -> None:
    """Refused before anything is judged, with what to do."""
    before = baseline.read_bytes()
    run = suite.run("--backend", "mine:Right", SMOKE, "--record-baseline", str(baseline))
    assert run.code == 4
    assert run.output.strip() == (
        f"ERROR: --record-baseline: {baseline} is there already; --replace-baseline {baseline} replaces it"
    )
    assert baseline.read_bytes() == before
    copied = suite.folder / "copied.json"
    copied.write_bytes(before)
    run = suite.run("--backend", "mine:Right", SMOKE, "-k", "lstm-float32", "--replace-baseline", str(copied))
    assert run.code == 0 and list(read(copied)["right"]["claims"]) == [
        "smoke/every_parameter_of_every_gate_arrives[right-lstm-float32]",
        "smoke/states_and_outputs_have_their_places[right-lstm-float32]",
    ]


def test_a_folder_has_a_file_for_each_backend(suite: Starter) -> None:
    """Those that are judged are looked up in it, and those that are new are recorded."""
    folder = suite.folder / "each"
    folder.mkdir()
    asked = (SMOKE, "-k", "lstm-float32")
    run = suite.run("--backend", "mine:Right", *asked, "--record-baseline", str(folder))
    assert run.code == 0 and [path.name for path in folder.iterdir()] == ["right.json"]
    run = suite.run("--backend", "mine:Right", "--backend", "reference", *asked, "--record-baseline", str(folder))
    assert run.code == 4 and f"{folder / 'right.json'} is there already" in run.output
    run = suite.run("--backend", "mine:Right", "--backend", "reference", *asked, "--baseline", str(folder))
    assert run.code == 0
    assert "right against its baseline: nothing is worse; 2 claims stand as they stood" in run.output
    assert "reference: judged in this run, and not in the baseline" in run.output
    run = suite.run("--backend", "reference", *asked, "--record-baseline", str(folder))
    assert run.code == 0 and sorted(path.name for path in folder.iterdir()) == ["reference.json", "right.json"]
    assert list(read(folder, ["right", "reference", "other"])) == ["right", "reference"]


def test_a_missing_baseline_is_one_sentence_before_anything_is_judged(suite: Starter) -> None:
    """Not after an hour of judging."""
    run = suite.run("--backend", "mine:Right", SMOKE, "--baseline", "nowhere.json")
    assert run.code == 4
    assert run.output.strip().startswith("ERROR: --baseline: nowhere.json cannot be read (No such file or directory)")


def test_the_baselines_that_come_with_the_project_can_be_read() -> None:
    """Each holds the backend that it is called after."""
    files = sorted((Path(__file__).parent.parent / "baselines").glob("*.json"))
    assert {"pytorch", "reference"} <= {file.stem for file in files}
    for file in files:
        assert list(read(file)) == [file.stem]
        assert "/" not in file.read_text().partition('"vectors"')[0].partition('"versions"')[0]
