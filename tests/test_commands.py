"""The commands ``python -m conformance`` and ``python -m conformance.report``, as a user meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conformance.__main__ import main as conformance
from conformance.deviations import DEVIATIONS, Deviation
from conformance.report import store
from conformance.report.__main__ import main as report
from reference.case_file import save_case
from tests.made_report import made_report, wrong_backend
from tests.some_case import KINDS, some_case
from tests.suite_run import ROOT, Starter

pytestmark = pytest.mark.slow

Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a report."""
    store.write(tmp_path / "report", made_report(wrong_backend()))
    return tmp_path / "report"


def refusal(capsys: Output) -> str:
    """The one line by which a command refuses."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.mark.parametrize("command", [conformance, report])
def test_help_names_every_command_in_the_description(command: object, capsys: Output) -> None:
    """And what else there is to run."""
    assert callable(command)
    with pytest.raises(SystemExit) as ended:
        command(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    name = "conformance" if command is conformance else "conformance.report"
    listed = told.partition("positional arguments:")[2].partition("options:")[0]
    commands = [line.split()[0] for line in listed.splitlines() if line.startswith("    ") and line[4] != " "]
    assert len(commands) >= 4
    assert all(f"python -m {name} {each}" in told for each in commands)


# python -m conformance


def test_backends_are_listed_with_what_they_claim_or_why_they_are_missing(capsys: Output) -> None:
    """One that was asked for by name and is missing makes the command fail."""
    assert conformance(["backends", "reference", "tests.third_party:ClaimsLittle"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"reference: numpy {np.__version__}, cpu"
    assert "  cells: gru (gru with reset before the product)" in told
    assert "  directions: reverse; layers: up to 1" in told
    assert conformance(["backends", "reference", "tests.third_party:NeedsMissing"]) == 2
    assert "not here: backend 'tests.third_party:NeedsMissing' needs the module" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("two_calls_give_equal_bits", "A second call with the same case gives the same bits, whatever ran in between."),
        (
            "conformance/test_laws.py::test_two_calls_give_equal_bits[mine-lstm]",
            "pytest conformance/test_laws.py::test_",
        ),
        ("tanh-by-table", "The tanh is looked up in a table of 4096 values over [-8, 8]."),
        ("tanh-by-table", "pytest conformance/ --backend conformance.faults:tanh-by-table"),
        ("reverse_equals", "test_reverse_equals_forward_on_the_reversed_sequence: a claim (laws)"),
        ("tanh-", "are called so:\n"),
    ],
)
def test_a_claim_or_a_fault_is_explained_by_its_name_or_a_part_of_it(name: str, says: str, capsys: Output) -> None:
    """Also by the id of a test; many of one name are listed."""
    assert conformance(["explain", name]) == 0
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.name)
def test_every_deviation_is_explained(deviation: Deviation, capsys: Output) -> None:
    """With the framework that shows it, and the program in the framework's own words."""
    assert conformance(["explain", deviation.name]) == 0
    said = capsys.readouterr().out
    assert deviation.framework in said
    assert deviation.reproducer.read_text("utf-8").splitlines()[-1].strip() in said


def test_a_name_that_nothing_has_is_one_sentence_with_the_nearest(capsys: Output) -> None:
    """As a slip of the keyboard makes it."""
    assert conformance(["explain", "tanh-by-tabel"]) == 2
    assert refusal(capsys).startswith(
        "no claim, fault or deviation is called 'tanh-by-tabel'; the nearest are tanh-by-"
    )


def test_a_file_that_is_no_case_is_one_sentence(tmp_path: Path, capsys: Output) -> None:
    """A case that does not say which claim it broke, too."""
    assert conformance(["rerun", str(tmp_path / "none.safetensors")]) == 2
    assert "none.safetensors" in refusal(capsys)
    save_case(tmp_path / "some.safetensors", some_case(KINDS[0]))
    assert conformance(["rerun", str(tmp_path / "some.safetensors")]) == 2
    assert "does not say which claim it broke; judge it by all of them with pytest conformance/" in refusal(capsys)


def test_a_saved_case_is_judged_again_and_diagnosed(tmp_path: Path) -> None:
    """By the claim and for the backend that it was saved for, or for another; from a failure of a real run."""
    suite = Starter(tmp_path)
    test = "conformance/test_agreement.py::test_every_output_agrees_with_the_reference[swaps-gates-lstm-float32]"
    suite.run("--backend", "mine:SwapsGates", test)
    (case,) = (tmp_path / "failing").glob("*.safetensors")
    again = suite.run_module("conformance", "rerun", str(case))
    assert again.code == 1 and "swaps-gates does not hold to the claim: All of y, h_n and c_n" in again.output
    right = suite.run_module("conformance", "rerun", str(case), "--backend", "mine:Right")
    assert right.code == 0 and "right: 1 claims hold, 0 do not" in right.output
    found = suite.run_module("conformance", "diagnose", str(case))
    assert found.code == 0 and "agrees with fault `gates-read-as-figo`" in found.output


# python -m conformance.report


def test_reports_are_merged_from_files_folders_and_folders_of_folders(folder: Path, capsys: Output) -> None:
    """All the reports below one folder need not be named."""
    other = folder.parent / "other"
    store.write(other, made_report())
    merged = folder.parent / "merged"
    for arguments in ([str(folder), str(other / "report.json")], [str(folder.parent)]):
        assert report(["merge", *arguments, "--out", str(merged)]) == 0
        assert len(store.read(merged)["runs"]) == 2 and (merged / "index.html").exists()
        assert f"written: {merged / 'index.html'}" in capsys.readouterr().out
        shutil.rmtree(merged)


def test_the_matrix_is_shown_in_the_terminal(folder: Path, capsys: Output) -> None:
    """With symbols and bits; in a dtype that nobody claims too."""
    assert report(["show", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "effective bits, float32" in told and "✗ 13.9" in told and "✓ 24.0" in told and "1/3" in told
    assert report(["show", str(folder), "--dtype", "float16"]) == 0
    assert "13.9" not in capsys.readouterr().out


def test_a_badge_is_written_for_every_backend(folder: Path) -> None:
    """A file of its own, by the name of the backend."""
    assert report(["badge", str(folder), "--out", str(folder / "badges")]) == 0
    (badge,) = (folder / "badges").iterdir()
    assert badge.name == "wrong.json"
    assert json.loads(badge.read_text())["message"] == "1 of 3 claims fail, 13.9 bits in float32"


def test_a_report_is_compared_with_a_baseline(folder: Path, capsys: Output) -> None:
    """1 where something is worse; a merged report too."""
    from conformance.report import baseline

    baseline.write(folder / "baseline.json", made_report(wrong_backend()))
    assert report(["compare", str(folder), "--baseline", str(folder / "baseline.json")]) == 0
    worse = wrong_backend()
    worse["claims"][0]["outcome"] = "failed"
    store.write(folder, made_report(worse))
    assert report(["compare", str(folder), "--baseline", str(folder / "baseline.json")]) == 1
    assert "wrong against its baseline: 1 thing is worse" in capsys.readouterr().out


def test_a_page_is_written_anew(folder: Path) -> None:
    """After something was put beside its report."""
    (folder / "index.html").unlink()
    assert report(["page", str(folder)]) == 0
    assert (folder / "index.html").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "nowhere"],
        ["merge", "nowhere", "--out", "x"],
        ["badge", "nowhere", "--out", "x"],
        ["compare", "nowhere", "--baseline", "x"],
    ],
)
def test_a_report_that_is_not_there_is_one_sentence(arguments: list[str], capsys: Output) -> None:
    """With what it should be; nothing is written."""
    assert report(arguments) == 2
    assert refusal(capsys) == (
        "nowhere cannot be read (No such file or directory), but should be what --report has written"
    )
    assert not (ROOT / "x").exists()
