"""``python -m golden``: what it writes, what it leaves alone, what it says, and what a kill leaves behind."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from golden.__main__ import main
from golden.corpus import corpus
from golden.manifest import VECTORS, file_of, read, sha256, written
from reference.case_file import decode, encode

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
FEW = "rnn-relu-integers-*"
IDS = [recipe.id for recipe in corpus() if recipe.id.startswith("rnn-relu-integers-")]
ONE = IDS[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a few vectors and their manifest."""
    few = tmp_path / "vectors"
    few.mkdir()
    for id in IDS:
        shutil.copy(VECTORS / file_of(id), few)
    (few / "manifest.json").write_bytes(written({line["id"]: line for line in read()["vectors"] if line["id"] in IDS}))
    return few


def run(folder: Path, *options: str) -> int:
    return main(["--directory", str(folder), "--only", FEW, *options])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change(path: Path) -> None:
    """Change one number of a vector's file."""
    arrays, header = decode(path.read_bytes())
    changed = arrays["y"].copy()
    changed[0, 0, 0] += 0.5
    path.write_bytes(encode({**arrays, "y": changed}, header))


def edit_line(folder: Path, id: str, **fields: Any) -> None:
    """Change one line of the manifest."""
    lines = {line["id"]: line for line in read(folder)["vectors"]}
    lines[id] = {**lines[id], **fields}
    (folder / "manifest.json").write_bytes(written(lines))


def test_a_folder_that_is_as_it_should_be_passes_and_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mode agrees, and not a byte is written."""
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    for options in ([], ["--check"], ["--accept"]):
        assert run(folder, *options) == 0
        assert capsys.readouterr().out == f"{len(IDS)} vectors: {len(IDS)} as they should be\n"
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_an_empty_folder_is_filled(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the same bytes, manifest included, and the folder is made."""
    assert run(tmp_path / "new" / "folder") == 0
    assert capsys.readouterr().out == f"{len(IDS)} vectors: {len(IDS)} new\n"
    assert contents(tmp_path / "new" / "folder") == contents(folder)


def test_a_file_that_differs_is_named_and_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both --check and a plain run say which array differs and by how much, and fail."""
    change(folder / file_of(ONE))
    before = contents(folder)
    for options in ([], ["--check"]):
        assert run(folder, *options) == 1
        assert contents(folder) == before
        first, second, *_, last = capsys.readouterr().out.splitlines()
        assert first == f"differs: {ONE}"
        assert second.strip().startswith("y in 1 of ")
        assert second.endswith("elements, by at most 0.5")
        assert last == f"{len(IDS)} vectors: 1 differ, {len(IDS) - 1} as they should be"


def test_accept_changes_what_differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File and line, and it says so."""
    wanted = contents(folder)
    change(folder / file_of(ONE))
    edit_line(folder, ONE, sha256=sha256((folder / file_of(ONE)).read_bytes()))
    edit_line(folder, IDS[1], purpose="Another purpose.")
    assert run(folder, "--accept") == 0
    assert contents(folder) == wanted
    out = capsys.readouterr().out
    assert f"accepted: {ONE}\n" in out
    assert f"accepted: {IDS[1]}\n    the manifest says purpose 'Another purpose.', but should say" in out


def test_a_file_that_is_no_vector_differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever stands in its place is named, and replaced with --accept."""
    wanted = contents(folder)
    (folder / file_of(ONE)).write_bytes(b"half a fi")
    assert run(folder) == 1
    assert "not a vector: " in capsys.readouterr().out
    assert run(folder, "--accept") == 0
    assert contents(folder) == wanted


def test_a_missing_file_is_named_or_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A check names it; a plain run writes it, as nothing is lost by that."""
    wanted = contents(folder)
    (folder / file_of(ONE)).unlink()
    assert run(folder, "--check") == 1
    assert f"missing: {ONE}\n    the file\n" in capsys.readouterr().out
    assert ONE not in "".join(contents(folder))
    assert run(folder) == 0
    assert contents(folder) == wanted


def test_a_missing_manifest_is_named_or_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a missing file is."""
    wanted = contents(folder)
    (folder / "manifest.json").unlink()
    assert run(folder, "--check") == 1
    assert f"missing: {ONE}\n    its line in the manifest\n" in capsys.readouterr().out
    assert run(folder) == 0
    assert contents(folder) == wanted


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sha256": "0" * 64}, "the manifest says sha256 '0000"),
        ({"dtype": "float64"}, "the manifest says dtype 'float64', but should say"),
        ({"extra": 1}, "the manifest says extra 1, but should say None"),
    ],
)
def test_a_stale_line_is_named(
    fields: dict[str, Any], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that says something else about a file that is right."""
    wanted = contents(folder)
    edit_line(folder, ONE, **fields)
    before = contents(folder)
    for options in ([], ["--check"]):
        assert run(folder, *options) == 1
        assert f"differs: {ONE}\n    {said}" in capsys.readouterr().out
        assert contents(folder) == before
    assert run(folder, "--accept") == 0
    assert contents(folder) == wanted


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda content: b"{", "is no manifest"),
        (lambda content: content.replace(b'"format": 1', b'"format": 0'), "format is not as in the corpus"),
        (lambda content: content.replace(b"Catches", b"Misses"), "flags is not as in the corpus"),
        (lambda content: json.dumps(json.loads(content)).encode(), "it is not written as this command writes it"),
    ],
)
def test_a_manifest_that_differs_as_a_whole_is_left_alone(
    edit: Any, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its head and its form have to be accepted as well."""
    wanted = contents(folder)
    (folder / "manifest.json").write_bytes(edit(wanted["manifest.json"]))
    before = contents(folder)
    for options in ([], ["--check"]):
        assert run(folder, *options) == 1
        out = capsys.readouterr().out
        assert out.startswith("differs: manifest.json\n")
        assert said in out
        assert contents(folder) == before
    assert run(folder, "--accept") == 0
    assert contents(folder) == wanted


def test_lines_of_other_vectors_stay(folder: Path) -> None:
    """--only leaves the rest of the manifest as it is."""
    wanted = contents(folder)
    assert main(["--directory", str(folder), "--only", ONE, "--accept"]) == 0
    assert contents(folder) == wanted


def test_what_belongs_to_no_vector_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is never removed; a line is, with --accept."""
    few = tuple(recipe for recipe in corpus() if recipe.id in IDS[1:])
    monkeypatch.setattr("golden.__main__.corpus", lambda: few)
    (folder / "theirs.safetensors").write_bytes(b"theirs")
    before = contents(folder)
    assert main(["--directory", str(folder)]) == 1
    assert contents(folder) == before
    out = capsys.readouterr().out
    assert f"superfluous: {file_of(ONE)}\n" in out
    assert "superfluous: theirs.safetensors\n" in out
    assert f"differs: {ONE}\n    the manifest lists it, but the corpus has no such vector\n" in out
    assert main(["--directory", str(folder), "--accept"]) == 1
    assert [line["id"] for line in read(folder)["vectors"]] == IDS[1:]
    assert {path.name for path in folder.iterdir()} == set(before)


def test_what_a_killed_run_left_behind_is_removed(folder: Path) -> None:
    """By a run that writes, and only what can be such a thing."""
    wanted = contents(folder)
    for name in (f".{file_of(ONE)}.123", ".manifest.json.77"):
        (folder / name).write_bytes(b"ha")
    (folder / ".other.123").write_bytes(b"theirs")
    assert run(folder, "--check") == 0
    assert len(contents(folder)) == len(wanted) + 3
    assert run(folder) == 0
    assert contents(folder) == {**wanted, ".other.123": b"theirs"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "nothing-*"], "--only is 'nothing-*', but should match the id of at least one of"),
        (["--check", "--accept"], "not allowed with argument"),
        (["--directory", __file__, "--only", ONE], "test_golden_command.py"),
    ],
)
def test_a_wrong_call_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence and the status 2."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_the_help_says_what_there_is_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option, and every exit status."""
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    for word in ("--check", "--accept", "--only", "--directory", "exit status"):
        assert word in out


def test_a_kill_at_any_moment_leaves_whole_files(folder: Path, tmp_path: Path) -> None:
    """Each file is the old one or the new one, and so is the manifest; running again puts all right."""
    new = contents(folder)
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    for id in IDS:
        change(old / file_of(id))
        edit_line(old, id, sha256=sha256((old / file_of(id)).read_bytes()))
    before = contents(old)
    moments = random.Random(1)
    for kill in range(12):
        shutil.rmtree(folder)
        shutil.copytree(old, folder)
        command = [sys.executable, "-u", "-m", "golden", "--only", FEW, "--accept", "--directory", str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            # What is accepted is said, in three lines, just before it is written.
            assert process.stdout is not None
            for _ in range(1 + kill * len(IDS) * 3 // 12):
                process.stdout.readline()
            time.sleep(moments.uniform(0, 0.004))
            process.kill()
        found = {name: content for name, content in contents(folder).items() if not name.startswith(".")}
        assert found.keys() == before.keys()
        for name, content in found.items():
            assert content in (before[name], new[name])
        if found["manifest.json"] == new["manifest.json"]:
            assert found == new
    assert run(folder, "--accept") == 0
    assert contents(folder) == new


def test_an_interrupt_is_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends the command with the status that shells give it."""

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("golden.__main__.regenerated", interrupted)
    assert run(folder) == 130
    assert capsys.readouterr().err == "stopped: every file is whole, run the command again\n"
