"""The suite as a user meets it: choosing backends, header, summary, messages, and the command for another run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backends import BACKENDS
from conformance.plugin import Summary
from reference import Cell, Layer
from reference.case_file import save_case
from tests.some_case import some_case
from tests.suite_run import ROOT, Starter, SuiteRun

pytestmark = pytest.mark.slow

AGREEMENT = "conformance/test_agreement.py::test_every_output_agrees_with_the_reference"
LAWS = "conformance/test_laws.py::test_"
SMOKE = "conformance/test_smoke.py"
LSTM = "lstm-float32"


@pytest.fixture
def suite(tmp_path: Path) -> Starter:
    return Starter(tmp_path)


def error_of(run: SuiteRun) -> str:
    """The one line by which pytest refuses to run."""
    (error,) = run.output.strip().splitlines()
    return error


# Choosing backends


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "pytorhc",
            "no backend is named 'pytorhc'; did you mean 'pytorch'? The names are reference, pytorch, pytorch-cuda",
        ),
        ("mine:NeedsMissing", "needs the module 'a_framework_that_is_not_installed', which is not installed"),
    ],
)
def test_a_backend_that_cannot_be_had_is_one_sentence_and_exit_code_4(spec: str, sentence: str, suite: Starter) -> None:
    """A chosen backend is never skipped; which sentence it is, tests/test_backends.py tells of more of them."""
    run = suite.run("--backend", "mine:Right", "--backend", spec, SMOKE)
    assert run.code == 4
    assert error_of(run).startswith("ERROR: ") and sentence in error_of(run)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ('ModuleNotFoundError("No module named \'torch\'", name="torch")', "needs the module 'torch'"),
        ('ImportError("libtorch.so: cannot open")', "cannot be made: ImportError: libtorch.so: cannot open"),
    ],
)
def test_with_none_chosen_those_available_are_judged_and_the_others_listed(
    cause: str, reason: str, suite: Starter
) -> None:
    """A framework that is missing, or broken, is a reason in the header and no error."""
    (suite.folder / "torch.py").write_text(f"raise {cause}\n")
    run = suite.run("--collect-only", SMOKE)
    assert run.code == 0
    judged = run.lines("judged: ")
    assert judged[0] == f"reference (numpy {np.__version__}, cpu)"
    missing = run.lines("not judged: ")
    assert len(judged) + len(missing) == len(BACKENDS)
    torch = [line for line in missing if line.startswith(("backend 'pytorch'", "backend 'pytorch-cuda'"))]
    assert len(torch) == 2 and all(reason in line for line in torch)
    assert "reference-lstm-float32]" in run.output and "pytorch-lstm" not in run.output


def test_the_projects_own_tests_import_no_framework_and_have_no_header(suite: Starter) -> None:
    """``pytest tests/`` does not wait for frameworks that it does not need."""
    program = (
        "import sys, pytest; code = pytest.main(['--collect-only', '-p', 'no:cacheprovider', 'tests/test_case.py']);"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=suite.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "judged" not in done.stdout and "touchstone:" not in done.stdout


def test_a_run_imports_nothing_that_only_failures_and_reports_need(suite: Starter) -> None:
    """The catalogue of faults and the page take a while to import."""
    program = (
        "import sys, pytest; code = pytest.main(['--collect-only', '-p', 'no:cacheprovider', '--backend', 'mine:Right',"
        " 'tests/test_case.py']); late = {'conformance.faults', 'conformance.diagnose', 'jinja2'} & set(sys.modules);"
        " sys.exit(str(late) if late else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=suite.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


# Header and summary


def test_header_and_summary_say_what_was_judged(suite: Starter) -> None:
    """Version and device in the header; claims, cases, elements, bits and reasons of skips at the end."""
    law = f"{LAWS}a_padded_row_equals_the_row_alone"
    run = suite.run("--backend", "mine:Right", "--backend", "mine:ClaimsLittle", SMOKE, law)
    assert run.code == 0, run.output
    (profile,) = run.lines("touchstone: ")
    assert profile.startswith("profile quick, ") and profile.endswith(f", numpy {np.__version__}")
    assert run.lines("judged: ") == ["right (loops over numpy, cpu)", "claims-little (loops over numpy, cpu)"]
    right, bits, largest, little, few_bits, little_largest, skipped = run.summary
    count = r"(\d+) claims hold, 0 do not; \d+ cases and \d+ elements judged, \d+ cases uninformative"
    assert re.fullmatch(f"right: {count}", right) and "right: 15 claims" in right
    assert re.fullmatch(f"claims-little: {count}", little) and "claims-little: 2 claims" in little
    assert re.fullmatch(r"  effective bits: float64 5[0-3]\.\d, float32 2[0-4]\.\d", bits)
    assert re.fullmatch(r"  effective bits: float32 2[0-4]\.\d", few_bits)
    ratio = r"(0|0?\.\d+|[1-5](\.\d)?)"
    of_which = "  largest error in sigma, of which 6 are accepted: "
    assert re.fullmatch(f"{of_which}float64 {ratio}, float32 {ratio}", largest)
    assert re.fullmatch(f"{of_which}float32 {ratio}", little_largest)
    assert re.fullmatch(r"  not judged: declined: claims-little does not claim (sequence )?lengths \(1\)", skipped)


def test_errors_of_known_deviations_are_said_to_be_among_the_largest() -> None:
    """They are accepted however large they are."""
    summary = Summary(largest={"float32": 1e30, "float16": 1.26}, bits={"float32": 4.0, "float16": 11.0})
    largest = "  largest error in sigma, of which 6 are accepted: float32 ∞, float16 1.3"
    assert list(summary.lines("mine"))[2] == largest
    summary.counts["deviating"] = 2
    assert list(summary.lines("mine"))[2] == f"{largest} (known deviations included)"


def test_workers_count_as_one_process_does(suite: Starter) -> None:
    """With pytest-xdist the header and the counts are the same to the last element."""
    arguments = ["--backend", "mine:Right", SMOKE, f"{LAWS}two_calls_give_equal_bits", "-k", "lstm"]
    alone, spread = suite.run(*arguments), suite.run(*arguments, "-n", "2")
    assert alone.code == spread.code == 0, spread.output
    assert spread.lines("judged: ") == alone.lines("judged: ") == ["right (loops over numpy, cpu)"]
    assert len(alone.summary) == 3
    assert spread.summary == alone.summary


def test_two_backends_of_one_name_are_told_apart(suite: Starter) -> None:
    """Refused, or counted each by itself: two versions of one backend may be judged in one run."""
    run = suite.run("--backend", "mine:Right", "--backend", "mine:SecondName", SMOKE, "-k", LSTM)
    if run.code == 4:
        assert "right" in error_of(run)
    else:
        assert len([line for line in run.summary if "claims hold" in line]) == 2


# Right backends


def test_a_users_own_right_implementation_passes(suite: Starter) -> None:
    """Written apart from the reference, in another style, by loops over rows and steps."""
    run = suite.run("--backend", "mine:Right", SMOKE, AGREEMENT, "-k", "float32")
    assert run.code == 0, run.output
    assert run.summary[0].startswith("right: 9 claims hold, 0 do not; ")


def test_a_backend_is_judged_only_by_what_it_claims(suite: Starter) -> None:
    """Neither the search nor a law asks for a direction, a number of layers or an input mode that is not claimed."""
    run = suite.run("--backend", "mine:ClaimsLittle", "--backend", "mine:ClaimsTheRest", "conformance")
    assert run.failures == {}
    assert run.code == 0
    assert [line.partition(":")[0] for line in run.summary if "claims hold" in line] == [
        "claims-little",
        "claims-the-rest",
    ]


def test_a_warning_of_a_backend_is_no_failure(suite: Starter) -> None:
    """That warnings are errors is a rule of this project, not of those who are judged by it."""
    run = suite.run("--backend", "mine:Warns", SMOKE)
    assert run.failures == {}


# Wrong backends

WRONG = [
    ("raises", AGREEMENT, LSTM, "the backend raised, but should return a result", "no kernel for this"),
    ("time-major", AGREEMENT, LSTM, r"y has shape \((\d+), (\d+), (\d+)\), but should have shape \(\2, \1, \3\)", ""),
    ("widens", AGREEMENT, LSTM, "y has dtype float64, but should have dtype float32, as the case", ""),
    ("returns-nothing", AGREEMENT, LSTM, "the result is a NoneType, but should be a reference.Result", ""),
    ("forgets-the-cell", AGREEMENT, LSTM, r"c_n is None, but should be an array of shape \(\d+, \d+, \d+\)", ""),
    ("returns-nan", AGREEMENT, LSTM, r"h_n\[\d+, \d+, \d+\] = nan, but should be", ""),
    ("works-in-place", f"{LAWS}inputs_and_states_are_not_modified", LSTM, "x was modified by the run", ""),
    ("remembers", f"{LAWS}two_calls_give_equal_bits", LSTM, r"y\[.*\] = .*, but should be .* exactly", ""),
    ("wavers", AGREEMENT, LSTM, r"h_n\[\d+, \d+, \d+\] = \S+, but should be", ""),
    ("masks-by-product", f"{LAWS}what_stands_in_the_padding_changes_no_bit", LSTM, r"but should be nan|= nan, but", ""),
]


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """One run over all wrong backends, each under the claim meant for it."""
    specs = {
        "".join(word.capitalize() for word in name.split("-")): f"{claim}[{name}-{parameters}]"
        for name, claim, parameters, *_ in WRONG
    }
    backends = [option for attribute in specs for option in ("--backend", f"mine:{attribute}")]
    return Starter(tmp_path_factory.mktemp("wrong")).run(*backends, *specs.values())


@pytest.mark.parametrize(("name", "claim", "parameters", "kind", "more"), WRONG, ids=[entry[0] for entry in WRONG])
def test_each_kind_of_wrong_has_its_message(
    name: str, claim: str, parameters: str, kind: str, more: str, wrong: SuiteRun
) -> None:
    """A claim fails, and is not skipped; the message says in which way the result is wrong."""
    message = wrong.failures[f"{claim.rpartition('::')[2]}[{name}-{parameters}]"]
    assert message.startswith(f"{name} does not hold to the claim: ")
    assert re.search(kind, message), message
    assert more in message


def test_a_run_with_wrong_backends_fails_and_says_so(wrong: SuiteRun) -> None:
    """The exit code is that of failed tests, and the summary counts one broken claim for each."""
    assert wrong.code == 1
    assert [line.partition(";")[0] for line in wrong.summary if "claims hold" in line] == [
        f"{name}: 0 claims hold, 1 do not" for name, *_ in WRONG
    ]


def test_a_failure_tells_all_and_its_command_fails_again_in_the_same_element(suite: Starter) -> None:
    """The claim, the case, the element and what its axes mean, |error|/sigma, the first wrong step, and the rerun."""
    test = f"{AGREEMENT}[swaps-gates-{LSTM}]"
    first = suite.run("--backend", "mine:SwapsGates", test)
    (message,) = first.failures.values()
    claim, case, *mismatches, rerun = message.splitlines()
    assert claim == (
        "swaps-gates does not hold to the claim:"
        " All of y, h_n and c_n agree with the reference within the error of the claimed arithmetic."
    )
    assert re.fullmatch(
        r"case: lstm-\w+-I\d+-H\d+-L\d+(-no-bias)?(-skip)? float32 B\d+ T\d+ lengths=(none|\[.*\]) h_0=(none|given)",
        case,
    )
    element = (
        r"(y\[\d+, \d+, \d+\] = \S+, but should be \S+ \+- \S+ \(row \d+, step \d+, (forward|reverse) unit \d+\)"
        r"|[hc]_n\[\d+, \d+, \d+\] = \S+, but should be \S+ \+- \S+ \(layer \d+ (forward|reverse), row \d+, unit \d+\))"
    )
    assert re.fullmatch(element, mismatches[0])
    assert re.fullmatch(
        r"    \|error\|/sigma = \S+, accepted up to 6; \d+ of \d+ elements of (y|h_n|c_n) disagree", mismatches[1]
    )
    if mismatches[0].startswith("y"):
        assert mismatches[2].startswith("    the first step to disagree, in the order of computation: ")
    assert rerun.startswith(f"rerun: pytest '{test}' --backend mine:SwapsGates --case ")

    second = suite.run_command(rerun.removeprefix("rerun: "))
    assert second.code == 1
    assert second.failures == first.failures
    assert second.summary[0].startswith("swaps-gates: 0 claims hold, 1 do not; 1 cases ")


def test_a_case_changed_by_the_backend_is_saved_as_it_was(suite: Starter) -> None:
    """The command that runs it again meets the same input."""
    test = f"{LAWS}inputs_and_states_are_not_modified[works-in-place-{LSTM}]"
    first = suite.run("--backend", "mine:WorksInPlace", test)
    (message,) = first.failures.values()
    second = suite.run_command(message.splitlines()[-1].removeprefix("rerun: "))
    assert second.code == 1
    assert second.failures == first.failures


# Which cases


def test_a_seed_changes_the_cases_and_without_one_they_are_always_the_same(suite: Starter) -> None:
    """Counted in elements, of which other cases have another number."""
    arguments = ["--backend", "mine:Right", f"{AGREEMENT}[right-{LSTM}]"]
    choices = [[], ["--hypothesis-seed=1"]]
    counts: dict[str, set[str]] = {}
    for _ in range(2):
        for choice, run in [(choice, suite.start(*arguments, *choice)) for choice in choices]:
            counts.setdefault(str(choice), set()).add(run.wait().summary[0])
    assert [len(seen) for seen in counts.values()] == [1, 1]
    assert len(set.union(*counts.values())) == 2


@pytest.mark.parametrize(("profile", "cases"), [("quick", 10), ("thorough", 200)])
def test_a_profile_says_how_many_cases(profile: str, cases: int, suite: Starter) -> None:
    """Thorough is twenty times quick."""
    (suite.folder / "told.py").write_text(
        "import hypothesis\n"
        "def pytest_collection_finish():\n"
        "    print('examples:', hypothesis.settings.get_profile('touchstone').max_examples)\n"
    )
    run = suite.run("-p", "told", "--collect-only", "--profile", profile, "--backend", "mine:Right", SMOKE)
    assert run.lines("examples: ") == [str(cases)]


def not_there(path: Path) -> None:
    path.unlink(missing_ok=True)


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage")


@pytest.mark.parametrize("make", [not_there, garbage])
def test_a_case_file_that_holds_no_case_is_one_sentence(make: Callable[[Path], None], suite: Starter) -> None:
    """It names the file, and comes before any test is run."""
    path = suite.folder / "some.safetensors"
    make(path)
    run = suite.run("--backend", "mine:Right", "--case", str(path), AGREEMENT)
    assert run.code == 4
    assert error_of(run).startswith("ERROR: ") and str(path) in error_of(run)


def test_saved_cases_are_tried_before_others_by_a_run_with_another_seed(suite: Starter) -> None:
    """From the folder that failures are saved in; a folder that is not there yet is an empty one."""
    test, folder = f"{AGREEMENT}[swaps-gates-{LSTM}]", suite.folder / "failing"
    options = ["--backend", "mine:SwapsGates", test, "--examples", str(folder)]
    (first,) = suite.run(*options).failures.values()
    (second,) = suite.run(*options, "--hypothesis-seed=7").failures.values()
    assert second == first
    garbage(folder / "garbage.safetensors")
    run = suite.run(*options)
    assert run.code == 4 and error_of(run).startswith(
        f"ERROR: --examples: {folder / 'garbage.safetensors'} holds no case"
    )


def test_a_saved_case_is_judged_by_those_claims_that_speak_of_it(suite: Starter) -> None:
    """A law about reverse layers, or about rows that are not empty, has nothing to say of another case."""
    path = suite.folder / "saved.safetensors"
    case = some_case(Layer(cell=Cell.LSTM, input_size=3, hidden_size=2), lengths=(2, 0, 5, 1))
    save_case(path, case.astype(np.float32))
    run = suite.run("--backend", "mine:Right", "--case", str(path), "conformance/test_laws.py", "-k", "lstm")
    assert run.failures == {}
