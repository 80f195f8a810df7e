"""Reports: what a run leaves behind, however it ends, and that nothing in it is missing or made up."""

from __future__ import annotations

import json
import shutil
import signal
import time
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.features import AXES, features_of, unclaimed
from conformance.report import contents, store
from conformance.report.collect import digest_of_sources
from conformance.report.contents import BackendContents, Claim, Report, Run, new_report
from conformance.report.matrix import added, columns, standing_of
from conformance.report.merge import MergeError, merge
from conformance.report.schema import schema, violations
from conformance.report.store import ReportError
from reference import Case
from tests.some_case import LAYERS, some_case
from tests.suite_run import ROOT, Starter, SuiteRun

pytestmark = pytest.mark.slow

SMOKE = "conformance/test_smoke.py"
AGREEMENT = "conformance/test_agreement.py::test_every_output_agrees_with_the_reference"
EQUAL_BITS = "conformance/test_laws.py::test_two_calls_give_equal_bits"
PADDED = "conformance/test_laws.py::test_a_padded_row_equals_the_row_alone"
CHOSEN = (SMOKE, AGREEMENT, EQUAL_BITS, PADDED, "-k", "float32 or laws and not relu")
BACKENDS = tuple(f"--backend=mine:{name}" for name in ("Right", "SwapsGates", "Raises", "ClaimsLittle"))


def report_in(folder: Path) -> Report:
    """The report that a run wrote, checked against its schema."""
    report = store.read(folder)
    assert list(violations(report)) == []
    return report


def claims_of(report: Report, name: str) -> list[Claim]:
    (backend,) = [backend for run in report["runs"] for backend in run["backends"] if backend["name"] == name]
    return backend["claims"]


def timeless(report: Report) -> Report:
    """A report without what no two runs have in common: times, and what was found within a time."""
    copy: Report = json.loads(json.dumps(report))
    for run in copy["runs"]:
        run["started"], run["seconds"] = "", 0
        for backend in run["backends"]:
            for claim in backend["claims"]:
                claim["seconds"] = 0
                if claim["failure"] is not None:
                    claim["failure"] = {**claim["failure"], "message": "", "case": "", "rerun": "", "first_steps": {}}
    return copy


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Starter:
    starter = Starter(tmp_path_factory.mktemp("report"))
    shutil.copy(ROOT / "tests" / "mortal.py", starter.folder)
    return starter


@pytest.fixture(scope="module")
def ran(suite: Starter) -> SuiteRun:
    """One run over right and wrong backends."""
    return suite.run(*BACKENDS, *CHOSEN, "--report", str(suite.folder / "report"))


@pytest.fixture(scope="module")
def report(suite: Starter, ran: SuiteRun) -> Report:
    return report_in(suite.folder / "report")


# What it holds


def test_every_test_that_ran_is_in_the_report_with_its_outcome(ran: SuiteRun, report: Report) -> None:
    """As many as pytest has counted, and the failures by name."""
    assert ran.code == 1
    assert not report["incomplete"] and not report["runs"][0]["incomplete"]
    claims = [claim for run in report["runs"] for backend in run["backends"] for claim in backend["claims"]]
    outcomes = Counter(claim["outcome"] for claim in claims)
    summed = ran.output.strip().splitlines()[-1]
    assert f"{outcomes['failed']} failed, {outcomes['passed']} passed, {outcomes['declined']} skipped" in summed
    assert outcomes["failed"] and outcomes["passed"] and outcomes["declined"]
    assert {claim["id"].rpartition("::")[2] for claim in claims if claim["outcome"] == "failed"} == set(ran.failures)
    assert {claim["kind"] for claim in claims} == {"smoke", "agreement", "laws"}


def test_a_backend_says_what_it_is_and_what_it_claims(report: Report) -> None:
    """Name, how it was chosen, description, capabilities, arithmetic, and what lies outside."""
    (run,) = report["runs"]
    right, *_, little = run["backends"]
    assert (right["name"], right["spec"], right["description"]) == ("right", "mine:Right", "loops over numpy, cpu")
    assert right["arithmetic"] == {"float64": "float64", "float32": "float32"}
    assert right["unclaimed"] == []
    assert little["capabilities"]["cells"] == ["gru"] and little["capabilities"]["max_layers"] == 1
    assert ["direction", "forward"] in [list(feature) for feature in little["unclaimed"]]


def test_cases_add_up_by_outcome_and_by_every_axis(report: Report) -> None:
    """Passed, failed, crashed, uninformative and deviating are all cases; so are the values on an axis, by dtype."""
    for run in report["runs"]:
        for backend in run["backends"]:
            for claim in backend["claims"]:
                parts = ("passed", "failed", "crashed", "uninformative", "deviating")
                counts = [claim["total"]]
                for axes in claim["features"].values():
                    for axis in ("direction", "layers", "lengths", "bias", "initial state", "input mode"):
                        on_axis = added(axes[axis].values())
                        assert on_axis["cases"] == added(axes["cell"].values())["cases"]
                        counts += axes[axis].values()
                for count in counts:
                    assert sum(typing.cast(dict[str, int], count).get(part, 0) for part in parts) == count.get(
                        "cases", 0
                    )
                cells = [count for axes in claim["features"].values() for count in axes["cell"].values()]
                assert added(cells).get("cases", 0) == claim["total"].get("cases", 0)


def test_a_failure_says_what_was_wrong_how_often_and_how_to_see_it_again(report: Report) -> None:
    """The message as it was shown, the case, the first step that differs, the command; every case is counted."""
    failed = [claim for claim in claims_of(report, "swaps-gates") if claim["outcome"] == "failed"]
    (agreement,) = [claim for claim in failed if claim["kind"] == "agreement"]
    failure = agreement["failure"]
    assert failure is not None
    assert failure["message"].startswith("swaps-gates does not hold to the claim: All of y, h_n and c_n agree")
    assert failure["case"] is not None and failure["case"] in failure["message"]
    assert failure["rerun"] is not None and failure["rerun"].startswith("pytest 'conformance/test_agreement.py::")
    assert all(isinstance(step, int) for step in failure["first_steps"].values())
    assert agreement["total"]["cases"] > 15 and agreement["total"]["failed"] > 5
    assert agreement["total"]["bits"] < 12 and agreement["total"]["worst"] > 100
    assert agreement["steps"]["float32"][0][0] == 0


def test_a_backend_that_raises_has_crashed_and_not_just_failed(report: Report) -> None:
    """The search ends after a few, because a process that ended may take long to come back."""
    (agreement,) = [claim for claim in claims_of(report, "raises") if claim["kind"] == "agreement"]
    assert agreement["outcome"] == "failed"
    assert agreement["total"] == {"cases": 5, "crashed": 5}
    assert agreement["failure"] is not None and "no kernel for this" in agreement["failure"]["message"]


def test_what_is_declined_has_its_reason_and_counts_for_nothing(report: Report) -> None:
    """A law about lengths is not asked of a backend without them."""
    declined = [claim for claim in claims_of(report, "claims-little") if claim["outcome"] == "declined"]
    assert [(claim["reason"], claim["total"]) for claim in declined] == [
        ("claims-little does not claim sequence lengths", {})
    ]


def test_a_report_says_what_was_asked_for(report: Report) -> None:
    """A part of the suite does not look like the whole."""
    (run,) = report["runs"]
    assert run["selection"]["paths"] == list(CHOSEN[:4])
    assert run["selection"]["keyword"] == CHOSEN[-1]
    assert (run["profile"], run["seed"], run["shard"]) == ("quick", "None", None)


def test_the_types_and_the_schema_say_the_same() -> None:
    """Every type has the fields that the schema requires of its object, and no other."""
    rules = schema()["$defs"]
    kinds: list[tuple[Any, dict[str, Any]]] = [
        (contents.Report, schema()),
        (contents.Run, rules["run"]),
        (contents.Selection, rules["selection"]),
        (contents.Unavailable, rules["run"]["properties"]["unavailable"]["items"]),
        (contents.BackendContents, rules["backend"]),
        (contents.DeviationContents, rules["deviation"]),
        (contents.Claim, rules["claim"]),
        (contents.FailureContents, rules["failure"]),
        (contents.Counts, rules["counts"]),
    ]
    for kind, rule in kinds:
        assert set(kind.__annotations__) == set(rule["properties"])
        assert kind.__required_keys__ == set(rule.get("required", ()))
    assert list(contents.OUTCOMES) == rules["claim"]["properties"]["outcome"]["enum"]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("format",), 1, "report.format is 1, but should be one of [2]"),
        (("runs", 0, "seed"), None, "report.runs[0].seed is None, but should be string"),
        (("runs", 0, "started"), "today", "report.runs[0].started is 'today', but should match"),
        (("runs", 0, "new"), 1, "report.runs[0].new is superfluous"),
        (("runs", 0, "backends", 0, "claims", 0, "elements"), -1, "elements is -1, but should be at least 0"),
        (("runs", 0, "backends", 0, "claims", 0, "outcome"), "fine", "outcome is 'fine', but should be one of"),
        (("runs", 0, "backends", 0, "unclaimed"), [["cell"]], "unclaimed[0] has 1 items"),
    ],
)
def test_what_breaks_the_schema_is_said_in_half_a_sentence(
    path: tuple[Any, ...], value: Any, says: str, report: Report
) -> None:
    """By the name of its place; a missing field too."""
    broken: Any = json.loads(json.dumps(report))
    inner = broken
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    (found,) = violations(broken)
    assert says in found
    del inner[path[-1]]
    assert [line for line in violations(broken) if not line.endswith("is missing")] == []


def test_a_schema_with_a_keyword_that_is_not_checked_is_refused() -> None:
    """It would seem to be checked."""
    with pytest.raises(ValueError, match="the schema uses maximum, but should use"):
        list(violations(1, {"maximum": 0}))


# However the run goes


def test_workers_give_the_same_report_as_one_process(suite: Starter, report: Report) -> None:
    """But for times, and for what was found within a time."""
    spread = suite.run(*BACKENDS, *CHOSEN, "--report", str(suite.folder / "spread"), "-n", "2")
    assert spread.code == 1
    assert timeless(report_in(suite.folder / "spread")) == timeless(report)


def test_shards_put_together_are_the_whole(suite: Starter, report: Report) -> None:
    """Each test is in one of them; without one of them it is incomplete, and with one twice it is refused."""
    folders = [suite.folder / f"shard-{part}" for part in (1, 2, 3)]
    for part, folder in enumerate(folders, start=1):
        suite.run(*BACKENDS, *CHOSEN, "--report", str(folder), "--shard", f"{part}/3")
    shards = [report_in(folder) for folder in folders]
    assert all(shard["incomplete"] and not shard["runs"][0]["incomplete"] for shard in shards)
    sizes = [sum(len(backend["claims"]) for run in shard["runs"] for backend in run["backends"]) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    whole, ordered = timeless(merge(shards)), timeless(report)
    for backend in ordered["runs"][0]["backends"]:
        backend["claims"].sort(key=lambda claim: claim["id"])
    assert whole == ordered
    assert merge([shards[2], shards[0], merge([shards[1]])])["runs"][0]["shard"] is None
    lacking = merge([shards[0], shards[2]])
    assert lacking["incomplete"] and lacking["runs"][0]["shard"] == "1,3/3" and not merge(shards)["incomplete"]
    assert timeless(merge([lacking, shards[1]])) == whole
    assert merge([shards[0], shards[0]]) == shards[0]
    again = json.loads(json.dumps(shards[0]))
    again["runs"][0]["started"] = "2001-01-01T00:00:00Z"
    with pytest.raises(MergeError, match="shard 1/3 is there twice, but should be there once"):
        merge([shards[0], again])


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/"])
def test_a_shard_that_does_not_exist_is_one_sentence(shard: str, suite: Starter) -> None:
    """Before anything is judged."""
    run = suite.run("--backend", "mine:Right", SMOKE, "--shard", shard)
    assert run.code == 4
    assert run.output.strip() == f"ERROR: --shard is {shard!r}, but should be I/N with I from 1 to N, such as 1/4"


def test_a_killed_run_leaves_what_it_had_and_says_that_it_is_incomplete(
    suite: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged is there with its outcome, and what was not is listed as not run."""
    folder, stalled = suite.folder / "killed", suite.folder / "stalled"
    monkeypatch.setenv("STALLED", str(stalled))
    started = suite.start("--backend", "mortal:Stalls", SMOKE, "--report", str(folder), "-p", "tests.eager")
    wait_for(stalled)
    started.process.send_signal(signal.SIGKILL)
    started.wait()
    report = report_in(folder)
    assert report["incomplete"]
    outcomes = [claim["outcome"] for claim in claims_of(report, "stalls")]
    assert outcomes == ["passed"] + 5 * ["not run"]
    assert "Incomplete" in (folder / "index.html").read_text(encoding="utf-8")
    assert columns(report)[0].pending == 5


@pytest.mark.parametrize("seconds", [0.3, 0.6, 0.9, 1.2, 1.5, 2, 2.5, 3])
def test_a_run_killed_at_any_moment_leaves_no_report_or_an_incomplete_one(seconds: float, tmp_path: Path) -> None:
    """Or a complete one, if it had come to its end."""
    suite = Starter(tmp_path)
    folder = tmp_path / "report"
    started = suite.start("--backend", "mine:Right", SMOKE, EQUAL_BITS, "--report", str(folder), "-p", "tests.eager")
    time.sleep(seconds)
    ended = started.process.poll() is not None
    started.process.send_signal(signal.SIGKILL)
    started.wait()
    if (folder / store.REPORT).exists():
        report = report_in(folder)
        outcomes = {claim["outcome"] for run in report["runs"] for claim in claims_of(new_report([run]), "right")}
        assert report["incomplete"] or (outcomes == {"passed"} and (folder / store.PAGE).exists())
    else:
        assert not ended


def wait_for(path: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.02)


def test_a_new_run_leaves_nothing_of_an_older_report(
    suite: Starter, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that dies early must not stand beside the page of the one before."""
    folder, stalled = tmp_path / "report", tmp_path / "stalled"
    store.write(folder, report)
    monkeypatch.setenv("STALLED", str(stalled))
    started = suite.start("--backend", "mortal:Stalls", SMOKE, "-k", "lstm", "--report", str(folder))
    wait_for(stalled)
    started.process.send_signal(signal.SIGKILL)
    started.wait()
    assert report_in(folder)["incomplete"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "swaps-gates" not in page and "Incomplete" in page


def test_a_worker_that_dies_is_a_crashed_claim(suite: Starter) -> None:
    """Its test has no verdict, which is not the same as nothing wrong; the others are judged by another worker."""
    folder = suite.folder / "crashed"
    run = suite.run("--backend", "mortal:Mortal", SMOKE, "--report", str(folder), "-n", "1")
    assert run.code == 1
    outcomes = {claim["id"].partition("::")[2]: claim["outcome"] for claim in claims_of(report_in(folder), "mortal")}
    assert outcomes == {
        "test_every_parameter_of_every_gate_arrives[mortal-rnn-float32]": "passed",
        "test_every_parameter_of_every_gate_arrives[mortal-lstm-float32]": "passed",
        "test_states_and_outputs_have_their_places[mortal-rnn-float32]": "crashed",
        "test_states_and_outputs_have_their_places[mortal-lstm-float32]": "crashed",
    }
    crashed = [claim for claim in claims_of(report_in(folder), "mortal") if claim["outcome"] == "crashed"]
    assert [(claim["cell"], claim["dtypes"]) for claim in crashed] == [("rnn", ["float32"]), ("lstm", ["float32"])]
    assert all(claim["failure"] and "crashed" in claim["failure"]["message"] for claim in crashed)


def test_a_claim_without_a_verdict_says_no_more_than_the_name_of_its_test(suite: Starter) -> None:
    """A test of a document does not tell its cell by its name, unless the document does."""
    folder = suite.folder / "documents"
    documents = "conformance/test_documents.py::test_the_printed_values_come_out"
    suite.run("--backend", "mine:SwapsGates", SMOKE, documents, "-x", "--report", str(folder))
    claims = claims_of(report_in(folder), "swaps-gates")
    cells = {claim["id"].partition("[")[2]: claim["cell"] for claim in claims if claim["kind"] == "documents"}
    assert cells["swaps-gates-tensorrt-loop-static-lstm]"] == "lstm"
    assert cells["swaps-gates-tensorrt-rnnv2-seq-lengths]"] is None
    assert {claim["outcome"] for claim in claims} == {"failed", "not run"}


def test_a_run_that_stops_at_the_first_failure_is_incomplete(suite: Starter) -> None:
    """With ``-x`` what comes after is not run, and said not to be."""
    folder = suite.folder / "stopped"
    suite.run("--backend", "mine:SwapsGates", SMOKE, EQUAL_BITS, "-x", "--report", str(folder))
    report = report_in(folder)
    outcomes = [claim["outcome"] for claim in claims_of(report, "swaps-gates")]
    assert report["incomplete"] and outcomes == ["failed", "not run", "not run"]


def test_a_place_that_cannot_be_written_to_is_one_sentence(suite: Starter) -> None:
    """Before anything is judged, not after an hour of it."""
    (suite.folder / "file").touch()
    run = suite.run("--backend", "mine:Right", SMOKE, "--report", str(suite.folder / "file"))
    assert run.code == 4
    assert run.output.strip().startswith(f"ERROR: --report: {suite.folder / 'file'} cannot be written to: ")


# Reading and merging


def test_reports_of_several_environments_stand_side_by_side(report: Report) -> None:
    """In their order; the same one twice is there once; backends of one name are told apart."""
    other: Report = json.loads(json.dumps(report))
    (run,) = other["runs"]
    run["numpy"], run["started"] = "1.1.0", "2001-01-01T00:00:00Z"
    run["backends"] = run["backends"][:1]
    both = merge([report, other, report])
    assert len(both["runs"]) == 2 and not both["incomplete"]
    names = [column.name for column in columns(both)]
    mine = report["runs"][0]
    assert names == [
        f"right, Python {mine['python']}, numpy {mine['numpy']}",
        *("swaps-gates", "raises", "claims-little"),
        f"right, Python {mine['python']}, numpy 1.1.0",
    ]
    assert len({column.key for column in columns(both)}) == 5
    run["incomplete"] = True
    assert merge([report, other])["incomplete"]


def test_two_runs_alike_in_everything_are_numbered(report: Report) -> None:
    """Nothing else tells them apart."""
    again: Report = json.loads(json.dumps(report))
    again["runs"][0]["started"] = "2001-01-01T00:00:00Z"
    names = [column.name for column in columns(merge([report, again]))]
    assert names[:1] + names[4:5] == ["right", "right, run 2"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read (No such file or directory), but should be what --report has written"),
        ("garbage", "is not JSON, but should be what --report has written"),
        ("[]", "is no report: report is [], but should be object"),
        ('{"format": 9}', "has format 9, but should have format 2"),
        ('{"format": 2, "incomplete": false}', "is no report: report.runs is missing"),
    ],
)
def test_a_file_that_is_no_report_is_one_sentence(content: str | None, says: str, tmp_path: Path) -> None:
    """With the name of the file."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReportError) as raised:
        store.read(tmp_path if content is not None else path)
    assert str(path) in str(raised.value) and says in str(raised.value)
    assert "\n" not in str(raised.value)


# Features


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_every_feature_of_a_case_is_one_of_those_that_are_shown(layer: Any) -> None:
    """At most one on each axis, and one on each that does not depend on the cell."""
    for case in cases_of(layer):
        features = list(features_of(case))
        axes = [axis for axis, _ in features]
        assert len(axes) == len(set(axes)) and set(AXES) - set(axes) <= {"variant"}
        assert all(value in AXES[axis] for axis, value in features)


def cases_of(layer: Any) -> Iterator[Case]:
    for lengths in (None, (1, 2, 5, 3), (1, 0, 5, 3)):
        for states in (True, False):
            yield some_case(layer, lengths=lengths, states=states)


def test_what_is_not_claimed_is_what_the_capabilities_decline() -> None:
    """A case has a feature that is not claimed just where it is declined."""
    from tests.third_party import ClaimsLittle, ClaimsTheRest, Right

    for backend in (Right(), ClaimsLittle(), ClaimsTheRest()):
        outside = set(unclaimed(backend.capabilities))
        for layer in LAYERS:
            for case in cases_of(layer):
                declined = backend.capabilities.declines(case.astype("float32")) is not None
                assert declined == bool(outside & set(features_of(case))), str(case)


@pytest.mark.parametrize(
    ("counts", "claimed", "status"),
    [
        ({"cases": 3, "passed": 2, "failed": 1, "crashed": 1}, True, "wrong"),
        ({"cases": 3, "passed": 2, "crashed": 1}, True, "crashed"),
        ({"cases": 3, "passed": 2, "deviating": 1}, True, "deviates"),
        ({"cases": 3, "passed": 1, "uninformative": 2}, True, "right"),
        ({"cases": 3, "uninformative": 3}, True, "open"),
        ({}, True, "open"),
        ({}, False, "declined"),
    ],
)
def test_a_standing_follows_from_what_became_of_the_cases(counts: Any, claimed: bool, status: str) -> None:
    """What is worst counts; nothing judged is not right."""
    assert standing_of(counts, claimed).status == status


def test_the_code_of_the_suite_has_a_digest(tmp_path: Path) -> None:
    """Every source counts, by its name and its content; what is no source does not."""
    (tmp_path / "backends" / "onnx").mkdir(parents=True)
    source = tmp_path / "backends" / "onnx" / "one.py"
    source.write_text("A = 1")
    (before, again) = digest_of_sources(tmp_path), digest_of_sources(tmp_path)
    (tmp_path / "backends" / "notes.txt").write_text("none")
    beside = digest_of_sources(tmp_path)
    source.write_text("A = 2")
    changed = digest_of_sources(tmp_path)
    source.rename(source.with_name("two.py"))
    assert before == again == beside
    assert len({before, changed, digest_of_sources(tmp_path)}) == 3


def some_run(**fields: Any) -> Run:
    """A run in which nothing was judged."""
    selection: contents.Selection = {"paths": [], "keyword": None, "marker": None, "case": None}
    run: Any = {
        "incomplete": False,
        "started": "2026-01-01T00:00:00Z",
        "seconds": 1.0,
        **dict.fromkeys(("profile", "seed", "python", "numpy", "hypothesis", "touchstone", "platform"), "x"),
        "selection": selection,
        "shard": None,
        "unavailable": [],
        "backends": [],
    }
    return typing.cast(Run, {**run, **fields})


def test_a_report_of_nothing_is_valid_and_has_a_page(tmp_path: Path) -> None:
    """As of a run that was ended before it knew what to judge."""
    backend: BackendContents = {
        "name": "idle",
        "spec": "idle",
        "description": "",
        "device": None,
        "capabilities": {},
        "arithmetic": {"float32": "tf32"},
        "unclaimed": [],
        "claims": [],
        "deviations": [],
    }
    for backends in ([], [backend]):
        store.write(tmp_path, new_report([some_run(backends=backends)]))
        report_in(tmp_path)
        assert "<h1>" in (tmp_path / "index.html").read_text(encoding="utf-8")
