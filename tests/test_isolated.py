"""A backend in a process of its own: it is judged as in this one, and what ends its process ends only its case."""

from __future__ import annotations

import gc
import itertools
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np
import pytest

from backends import Backend, BackendError, Capabilities, describe, isolated, load
from backends.isolated import (
    Isolated,
    ProcessFailure,
    capabilities_from_json,
    capabilities_to_json,
    layouts_of,
    pack,
    unpack,
)
from conformance import test_laws
from conformance.faults import CATALOGUE
from conformance.search import SEARCHES, Judged, verdict_of
from conformance.tolerance import judge, truth_of
from reference import Array, Case, Cell, Direction, Result
from tests.some_case import KINDS, LAYERS, arrays_in, backwards, read_only, some_case, transposed
from tests.suite_run import ROOT, Starter
from tests.unruly import RETURNED

pytestmark = pytest.mark.slow

LENGTHS = (2, 5, 0, 1)
GOOD = some_case(KINDS[2], lengths=LENGTHS)
BAD = replace(GOOD, h_0=None, c_0=None)
"""A case that the backends of tests/unruly.py misbehave on."""

UNRULY = "tests.unruly"


@pytest.fixture(scope="module")
def reference() -> Backend:
    return load("isolated:reference")


@pytest.fixture
def isolate() -> Iterator[Callable[[str], Isolated]]:
    """Makes isolated backends, and ends their processes after the test."""
    made = []

    def make(name: str) -> Isolated:
        made.append(Isolated(f"{UNRULY}:{name}"))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def failure_of(backend: Backend, case: Case = BAD) -> str:
    with pytest.raises(ProcessFailure) as caught:
        backend.run(case)
    return str(caught.value)


def bits(result: Result) -> dict[str, Any]:
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in result.items()}


def process_of(backend: Isolated) -> int:
    """The number of the process that runs the cases of ``Reuses``."""
    result = backend.run(GOOD)
    assert result.c_n is not None
    return int(result.c_n[0])


def is_there(process: int) -> bool:
    """Whether there is such a process; a zombie is one."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# Judged as here


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_result_is_to_the_bit_what_it_is_here(layer: Any, dtype: Any, reference: Backend) -> None:
    """With and without lengths and states, in every dtype."""
    for lengths, states in ((LENGTHS, True), (None, False)):
        case = some_case(layer, lengths=lengths, states=states).astype(dtype)
        assert bits(reference.run(case)) == bits(load("reference").run(case))


def test_name_and_claims_are_those_of_the_backend_and_the_description_says_where_it_runs() -> None:
    """The process introduces the backend by what it is there."""
    backend = load("isolated:tests.third_party:ClaimsLittle")
    plain = load("tests.third_party:ClaimsLittle")
    assert (backend.name, backend.capabilities) == (plain.name, plain.capabilities)
    version = ".".join(map(str, sys.version_info[:3]))
    assert describe(backend) == f"{describe(plain)}, in Python {version} of {sys.executable}"
    assert describe(load(f"isolated:{UNRULY}:exits")) == f"in Python {version} of {sys.executable}"


@pytest.mark.parametrize(
    "capabilities",
    [
        Capabilities(),
        Capabilities(
            cells=(Cell.GRU, Cell.RNN),
            activations=("relu",),
            directions=(Direction.REVERSE,),
            max_layers=3,
            reset_after=(False,),
            lengths=False,
            zero_length="reject",
            bias=(True,),
            input_modes=("skip",),
            dtypes=("bfloat16",),
            arithmetic={"bfloat16": "bfloat16-float32"},
            few_shapes=True,
        ),
    ],
)
def test_claims_come_back_through_json(capabilities: Capabilities) -> None:
    """Every field, of its type."""
    text = json.dumps(capabilities_to_json(capabilities))
    assert capabilities_from_json(json.loads(text)) == capabilities


def as_it_is(array: Array) -> Array:
    return array


def every_other(array: Array) -> Array:
    """The same content with numbers of another kind between the elements."""
    return np.stack([array, np.full_like(array, 7)], axis=-1)[..., 0]


LOOKS = [as_it_is, read_only, backwards, transposed, every_other, test_laws.as_strided_view]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_arrays_arrive_in_the_layout_that_they_have(look: Any, dtype: Any, isolate: Any) -> None:
    """Values, strides and whether they may be written to, of every array."""
    case = BAD.astype(dtype).map(look)
    assert raised_by(isolate("looks"), case) == raised_by(load(f"{UNRULY}:looks"), case)


def test_what_lies_between_the_elements_of_a_view_arrives_too(isolate: Any) -> None:
    """Whoever reads past the strides reads there what would be read here."""
    case = BAD.map(every_other)
    kind, message = raised_by(isolate("looks_between"), case)
    assert (kind, message) == raised_by(load(f"{UNRULY}:looks_between"), case)
    assert message.count("7.0") == case.x.size - 1


def raised_by(backend: Backend, case: Case) -> tuple[str, str]:
    with pytest.raises(Exception) as caught:
        backend.run(case)
    return type(caught.value).__qualname__, str(caught.value)


@pytest.mark.parametrize("name", ["raises", "misses_a_key", "runs_out_of_memory"])
def test_what_is_raised_there_reads_as_if_raised_here(name: str, isolate: Any) -> None:
    """Kind, message, and the last lines of the backend's own code."""

    def told(backend: Backend) -> list[str]:
        with pytest.raises(Exception) as caught:
            backend.run(BAD)
        return traceback.format_exception(None, caught.value, caught.value.__traceback__)[-3:]

    if name == "runs_out_of_memory":  # which would set a limit to this process
        entries = told(isolate(name))
        assert "np.empty(2**34)" in entries[1] and "MemoryError: Unable to allocate 128. GiB" in entries[2]
    else:
        assert told(isolate(name)) == [without_carets(entry) for entry in told(load(f"{UNRULY}:{name}"))]


def without_carets(entry: str) -> str:
    """Where in its line a place is, which newer Pythons underline, does not travel."""
    return "".join(line for line in entry.splitlines(keepends=True) if line.strip(" ^~\n"))


def test_what_raises_goes_on(isolate: Any) -> None:
    """The process is the same afterwards, and nothing of the case is left."""
    backend = isolate("raises")
    for _ in range(2):
        assert raised_by(backend, BAD) == ("KernelError", "no kernel for this\nnor for that: \u2211")
        assert bits(backend.run(GOOD)) == bits(load("reference").run(GOOD))


def test_what_is_returned_there_is_judged_as_if_returned_here() -> None:
    """Results of wrong types, shapes, dtypes and layouts, and such that are none."""
    here, there = load(f"{UNRULY}:Returns"), load(f"isolated:{UNRULY}:Returns")
    case = GOOD.astype(np.float32)
    truth = truth_of(case, Capabilities())
    for said in RETURNED:
        expected = judge(truth, here.run(case))
        if said == "objects":
            assert raised_by(there, case) == (
                "TypeError",
                "y has dtype object, but should have one that can be sent to another process",
            )
        else:
            verdict = judge(truth, there.run(case))
            assert (verdict.mismatches, verdict.worst) == (expected.mismatches, expected.worst), said
            assert verdict.accepted == (said == "the same")


@pytest.mark.parametrize("look", LOOKS)
def test_a_run_writes_into_the_arrays_of_the_caller(look: Any, isolate: Any) -> None:
    """And into nothing between their elements, nor into what is read-only; also when it raises in the end."""
    here, there = BAD.map(look), BAD.map(look)
    assert raised_by(load(f"{UNRULY}:writes"), here) == raised_by(isolate("writes"), there)
    assert [array.tobytes() for array in arrays_in(there)] == [array.tobytes() for array in arrays_in(here)]
    assert [base.tobytes() for base in memory_behind(there)] == [base.tobytes() for base in memory_behind(here)]
    assert there.lengths is not None and list(there.lengths) == [1, 1, 1, 1]


def memory_behind(case: Case) -> list[Array]:
    return [array.base for array in arrays_in(case) if array.base is not None]


def test_writing_into_a_read_only_array_is_an_error(isolate: Any) -> None:
    """C writes where numpy would not; it is not repeated here, but it is told."""
    with pytest.raises(ValueError, match="^x is read-only, but the backend wrote to it$"):
        isolate("writes_regardless").run(BAD.map(read_only))


def test_an_earlier_result_changes_with_the_arrays_of_the_backend(isolate: Any) -> None:
    """For as long as the caller has it, or a view of it, and no longer."""
    backend = isolate("Reuses")
    first = backend.run(GOOD)
    view = first.y[0, 1:]
    assert (first.y == 1).all() and first.h_n.strides[1] < 0
    second = backend.run(GOOD)
    assert (first.y == 2).all() and (first.h_n == 2).all() and (second.y == 2).all()
    del first, second
    third = backend.run(GOOD)
    assert (view == 3).all() and (third.y == 3).all()


def test_laws_of_memory_and_of_repetition_come_to_the_same_verdicts() -> None:
    """On the faults of the catalogue that they are there for, of which each law finds some."""
    laws = [
        "test_inputs_and_states_are_not_modified",
        "test_strided_views_give_the_same_as_copies",
        "test_two_calls_give_equal_bits",
        "test_a_result_outlives_the_next_call",
        "test_permuting_the_batch_permutes_the_result",
    ]
    rejected = set()
    for fault in CATALOGUE.values():
        if not fault.remembers and fault.group != "Memory":
            continue
        backends = [Judged(load(f"{way}conformance.faults:{fault.name}")) for way in ("", "isolated:")]
        for law, states in itertools.product(laws, (True, False)):
            case = some_case(LAYERS[8], lengths=(2, 5, 3, 1), states=states).astype(np.float32)
            here, there = (verdict_of(SEARCHES[law].claim, backend, case) for backend in backends)
            assert (here.mismatches, here.worst) == (there.mismatches, there.worst), (fault.name, law)
            rejected |= set() if here.accepted else {law}
    assert rejected == set(laws)


def test_a_process_lasts_from_case_to_case(isolate: Any) -> None:
    """What the backend remembers, it remembers here too."""
    backend = isolate("Reuses")
    assert process_of(backend) == process_of(backend) != os.getpid()


def test_the_suite_says_the_same_of_wrong_backends_in_either_way(tmp_path: Path) -> None:
    """Which claims hold, and each message of those that do not."""
    names = ("Right", "Raises", "ReturnsNothing", "ForgetsTheCell", "WorksInPlace", "Remembers")
    claims = [
        "conformance/test_smoke.py",
        "conformance/test_laws.py::test_inputs_and_states_are_not_modified",
        "conformance/test_laws.py::test_two_calls_give_equal_bits",
        "conformance/test_laws.py::test_strided_views_give_the_same_as_copies",
        "-k=lstm",
    ]
    suite = Starter(tmp_path)
    started = [suite.start(*[f"--backend={way}mine:{name}" for name in names], *claims) for way in ("", "isolated:")]
    here, there = (each.wait() for each in started)
    assert here.failures and there.summary == here.summary
    told_here, told_there = (
        {name: comparable(message) for name, message in run.failures.items()} for run in (here, there)
    )
    assert told_there == told_here


def comparable(message: str) -> str:
    """A failure without what has to differ: the spec, the file named after it, and how the backend was called."""
    message = re.sub(r"^rerun: .*|^ *File .*(search|isolated)\.py.*\n.*\n", "", message, flags=re.MULTILINE)
    return without_carets(message)


# What ends a process


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("segfaults", "was killed by SIGSEGV; it printed last:\n    reading address 0\n    Fatal Python error: Segm"),
        ("exits", "ended with exit status 3, and printed nothing"),
        ("leaves", "ended with exit status 1; it printed last:\n    there is no licence"),
        ("leaves_talking", "ended with exit status 6; it printed last:\n    goodbye\n"),
        ("aborts", "was killed by SIGABRT; it printed last:\n    Fatal Python error: Aborted"),
        ("is_killed", "was killed by SIGKILL, as the system does when memory runs out, and printed nothing"),
        ("scribbles", "sent garbage in place of an answer, b'tragedy of the commonstragedy of the com', and printed"),
    ],
)
def test_what_ends_a_process_is_the_result_of_its_case(name: str, what: str, isolate: Any) -> None:
    """With what it printed last; the next case has a new process, and is right."""
    backend = isolate(name)
    for _ in range(2):
        assert failure_of(backend).startswith(f"the process of the backend {what}")
        assert bits(backend.run(GOOD)) == bits(load("reference").run(GOOD))


@pytest.mark.parametrize(
    ("name", "where"),
    [("hangs", "in hangs"), ("hangs_on", ", and printed nothing"), ("leaves_forever", ", and printed nothing")],
)
def test_a_case_that_takes_too_long_is_told_with_where_it_is(name: str, where: str, isolate: Any) -> None:
    """By the stack that faulthandler prints, unless the process is past that."""
    backend = isolate(name)
    backend.case_seconds = 1
    told = failure_of(backend)
    assert told.startswith("the process of the backend took longer than the 1 s that TOUCHSTONE_CASE_SECONDS allows")
    assert where in told
    backend.case_seconds = 60
    assert bits(backend.run(GOOD)) == bits(load("reference").run(GOOD))


def test_a_suite_goes_on_after_a_crash(tmp_path: Path) -> None:
    """A claim about cases that crash fails with the signal; the others hold."""
    law = "test_zero_initial_states_equal_none"
    run = Starter(tmp_path).run(
        "--backend", f"isolated:{UNRULY}:segfaults", "conformance/test_smoke.py", f"conformance/test_laws.py::{law}"
    )
    assert set(run.failures) == {f"{law}[segfaults-{cell}]" for cell in Cell}
    assert all("was killed by SIGSEGV; it printed last" in message for message in run.failures.values())


@pytest.mark.parametrize("name", ["prints", "prints_megabytes", "warns"])
def test_printing_disturbs_nothing(name: str, isolate: Any) -> None:
    """To stdout or stderr, from Python or C, a line or megabytes."""
    backend = isolate(name)
    for case in (BAD, GOOD, BAD):
        assert bits(backend.run(case)) == bits(load("reference").run(case))


def test_of_much_that_was_printed_the_end_is_told(isolate: Any) -> None:
    """Twenty lines of it."""
    lines = failure_of(isolate("prints_megabytes_and_exits")).splitlines()
    assert lines[0] == "the process of the backend ended with exit status 5; it printed last:"
    assert lines[1:] == [f"    line {number}" for number in range(49_980, 50_000)]


def test_large_cases_go_through(reference: Backend) -> None:
    """Of some megabytes, which no buffer between the processes holds."""
    case = some_case(replace(KINDS[0], input_size=300, hidden_size=200), batch=300, steps=8)
    assert case.x.nbytes > 5e6
    assert bits(reference.run(case)) == bits(load("reference").run(case))


# What is left behind


def test_crashes_leave_no_process_and_no_open_file(isolate: Any) -> None:
    """However often it crashes."""
    backend = isolate("Reuses")
    gc.collect()
    files, processes = len(os.listdir("/dev/fd")), []
    for _ in range(5):
        processes.append(process_of(backend))
        failure_of(backend)
    assert len(set(processes)) == 5 and not any(map(is_there, processes))
    backend.run(GOOD)
    assert len(os.listdir("/dev/fd")) == files


def test_a_helper_of_a_process_ends_with_it(tmp_path: Path, isolate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it has open what the process had open."""
    held = tmp_path / "held"
    os.mkfifo(held)
    monkeypatch.setenv("HELD_FILE", str(held))
    backend = isolate("leaves_a_helper")
    with open(os.open(held, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        assert "ended with exit status 4" in failure_of(backend)
        assert is_at_its_end(file)


def is_at_its_end(file: BinaryIO) -> bool:
    """Whether the last process that has the file open for writing ends, within a minute."""
    return bool(select.select([file], [], [], 60)[0]) and file.read() == b""


def test_closing_and_forgetting_a_backend_end_its_process() -> None:
    """At once, not when the interpreter ends; a closed one starts another when it is asked to run."""
    backend = Isolated(f"{UNRULY}:Reuses")
    first = process_of(backend)
    backend.close()
    assert not is_there(first)
    second = process_of(backend)
    assert is_there(second)
    del backend
    gc.collect()
    assert not is_there(second)


def test_a_process_ended_from_outside_is_told_and_replaced(isolate: Any) -> None:
    """Between two cases, the later one says so."""
    backend = isolate("Reuses")
    os.kill(process_of(backend), signal.SIGTERM)
    assert "was killed by SIGTERM" in failure_of(backend, GOOD)
    assert process_of(backend)


@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start(); backend.run(some_case(KINDS[2]))",
    ],
    ids=["ends", "is-killed", "is-killed-in-a-run"],
)
def test_a_process_ends_with_the_one_that_started_it(ending: str, tmp_path: Path) -> None:
    """Whatever it is doing: the file that it holds open is closed."""
    held = tmp_path / "held"
    os.mkfifo(held)
    program = f"""
import os, signal, threading
from backends import load
from tests.some_case import KINDS, some_case
backend = load("isolated:{UNRULY}:HoldsAFile")
{ending}
"""
    environment = {**os.environ, "HELD_FILE": str(held)}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment), open(held, "rb") as file:
        assert is_at_its_end(file)


def test_every_worker_has_a_process_of_its_own(tmp_path: Path) -> None:
    """Of a run on two."""
    run = Starter(tmp_path).run("-n2", "--backend", "isolated:reference", "conformance/test_smoke.py")
    assert run.code == 0 and "0 do not" in run.summary[0]


def test_a_fork_has_a_process_of_its_own(isolate: Any) -> None:
    """And leaves that of its parent alone when it ends."""
    backend = isolate("Reuses")
    process = process_of(backend)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
        fork = os.fork()
    if fork == 0:
        os.write(writing, str(process_of(backend)).encode())
        backend.close()
        os._exit(0)
    os.waitpid(fork, 0)
    os.close(writing)
    with open(reading) as file:
        assert int(file.read()) not in (process, fork)
    assert process_of(backend) == process


# What cannot be had


def script(folder: Path, content: str) -> Path:
    """A program in place of an interpreter."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{content}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("", "backend 'isolated:' should be of the form isolated:SPEC or isolated:SPEC@PYTHON"),
        ("reference@", "backend 'isolated:reference@' should be of the form isolated:SPEC or isolated:SPEC@PYTHON"),
        ("@python", "backend 'isolated:@python' should be of the form"),
        ("reference@/no/such/python", "because there is no /no/such/python"),
        ("reference@nosuch", "/.tox/nosuch/bin/python; `tox run --notest -e nosuch` makes that environment, and the"),
        ("nosuch", f"because {sys.executable} says: no backend is named 'nosuch'; the names are reference, pytorch"),
        ("tests.third_party:NeedsMissing", "needs the module 'a_framework_that_is_not_installed', which is not insta"),
        ("tests.third_party:BreaksDown", "cannot be made: RuntimeError: the driver is too old by two versions"),
        (f"{UNRULY}:segfaults_when_made", f"because {sys.executable} was killed by SIGSEGV before it was ready"),
    ],
)
def test_a_backend_that_cannot_be_had_is_told_in_one_sentence(spec: str, sentence: str) -> None:
    """The process's own sentence is in it, if it has one."""
    assert sentence in refusal_of(f"isolated:{spec}")


def refusal_of(spec: str) -> str:
    with pytest.raises(BackendError) as caught:
        load(spec)
    message = str(caught.value)
    assert message.startswith(f"backend '{spec}' ") and len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("echo one; echo two >&2; exit 7", "python ended with exit status 7 before it was ready: two"),
        (
            "exec cat /dev/zero",
            "python took longer than the 0.5 s that TOUCHSTONE_START_SECONDS allows before it was ready",
        ),
        ("sleep 3600", "python took longer than the 0.5 s that TOUCHSTONE_START_SECONDS allows before it was ready"),
        (f'exec {shlex.quote(sys.executable)} -S "$@"', "exit status 1 before it was ready: ModuleNotFoundError: No"),
        ("", "python ended with exit status 0 before it was ready"),
    ],
)
def test_an_interpreter_that_does_not_start_is_told_in_one_sentence(
    content: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the last that it printed, where it ended by itself."""
    if "0.5 s" in sentence:
        monkeypatch.setenv("TOUCHSTONE_START_SECONDS", "0.5")
    assert sentence in refusal_of(f"isolated:reference@{script(tmp_path, content)}")


def test_a_file_that_cannot_be_run_is_told_in_one_sentence(tmp_path: Path) -> None:
    """By the system's reason."""
    path = script(tmp_path, "")
    path.chmod(0o644)
    assert refusal_of(f"isolated:reference@{path}").endswith(f"because {path} cannot be run: Permission denied")


def test_a_backend_that_can_no_longer_be_had_fails_its_case(tmp_path: Path) -> None:
    """The process ended, and its interpreter is no longer there."""
    path = script(tmp_path, f'exec {shlex.quote(sys.executable)} "$@"')
    backend = load(f"isolated:{UNRULY}:exits@{path}")
    failure_of(backend)
    path.unlink()
    with pytest.raises(BackendError, match="cannot be run: No such file"):
        backend.run(GOOD)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", ""])
@pytest.mark.parametrize("variable", ["TOUCHSTONE_CASE_SECONDS", "TOUCHSTONE_START_SECONDS"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence that names the variable."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(BackendError, match=f"^{variable} is {text!r}, but should be a number of seconds above 0$"):
        load("isolated:reference")


def test_the_environment_limits_a_case(monkeypatch: pytest.MonkeyPatch, isolate: Any) -> None:
    """As no option of a spec can."""
    monkeypatch.setenv("TOUCHSTONE_CASE_SECONDS", "0.25")
    assert "took longer than the 0.25 s" in failure_of(isolate("hangs"))


# Other interpreters


def test_a_tox_environment_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name has no slash."""
    (tmp_path / "other" / "bin").mkdir(parents=True)
    path = script(tmp_path / "other" / "bin", f'exec {shlex.quote(sys.executable)} "$@"')
    monkeypatch.setattr(isolated, "TOX", tmp_path)
    assert describe(load("isolated:reference@other")).endswith(f" of {path}")


def test_backends_of_the_current_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or of a PYTHONPATH relative to it, though the project is looked through first; and files are opened in it."""
    (tmp_path / "mine_alone.py").write_text(
        "import os\nfrom backends.numpy_reference import Reference\n"
        "class Mine(Reference):\n    name = 'mine'\n    description = os.getcwd()\n"
    )
    (tmp_path / "reference.py").write_text("raise ImportError('not the project')")
    monkeypatch.chdir(tmp_path)
    assert describe(load("isolated:mine_alone:Mine")).startswith(f"{tmp_path}, in Python ")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", f"..{os.pathsep}nowhere")
    assert describe(load("isolated:mine_alone:Mine")).startswith(f"{tmp_path / 'elsewhere'}, in Python ")


@pytest.mark.parametrize("environment", ["tests", "tests-py310-numpy1", "pytorch"])
def test_other_pythons_and_numpys_give_the_same(environment: str) -> None:
    """Those of the tox environments that are installed here."""
    if not (isolated.TOX / environment).is_dir():
        pytest.skip(f"the tox environment {environment} is not installed")
    backend = load(f"isolated:reference@{environment}")
    for layer in LAYERS:
        case = some_case(layer, lengths=LENGTHS)
        for (name, got), (_, expected) in zip(backend.run(case).items(), load("reference").run(case).items()):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14, err_msg=name)


# Packed memory


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("look", [as_it_is, read_only, backwards, transposed, every_other])
def test_packed_arrays_are_unpacked_as_they_were(look: Any, shape: tuple[int, ...]) -> None:
    """Of any number of axes and elements, several at a time."""
    arrays = {
        str(dtype): look(np.arange(np.prod(shape)).astype(dtype).reshape(shape))
        for dtype in ("float64", "<f2", ">f4", "int8", "bool", "complex64", "<U3", ml_dtypes.bfloat16)
        if shape or look is not backwards
    }
    again = unpack(pack(arrays).copy(), layouts_of(arrays))
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        assert again[name].strides == array.strides or not array.size
        assert again[name].flags.writeable == array.flags.writeable
        assert again[name].tolist() == array.tolist()


def test_records_cannot_be_packed() -> None:
    """Nor can objects."""
    for dtype in (object, [("a", "f4")]):
        with pytest.raises(TypeError, match=r"^a has dtype .*, but should have one that can be sent"):
            layouts_of({"a": np.zeros(3, dtype)})
