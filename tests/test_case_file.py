"""Cases and results as files: they come back as they were, byte for byte, and a file is whole or refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from reference import Array, Case, Cell, Layer, run
from reference.case_file import (
    arrays_of_case,
    case_from_arrays,
    decode,
    encode,
    layer_from_json,
    layer_to_json,
    load_case,
    result_from_arrays,
    save_case,
    write_atomically,
)
from tests.some_case import KINDS, LAYERS, arrays_in, some_case

SKIP = Layer(cell=Cell.GRU, input_size=2, hidden_size=2, num_layers=2, input_mode="skip", reset_after=False)
NO_BIAS = replace(KINDS[2], bias=False)
DTYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]
LENGTHS = (2, 5, 0, 1)

every_layer = pytest.mark.parametrize("layer", [*LAYERS, SKIP, NO_BIAS], ids=str)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def assert_same_arrays(got: dict[str, Array], expected: dict[str, Array]) -> None:
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        assert (got[name].dtype, got[name].shape) == (array.dtype, array.shape), name
        assert got[name].tobytes() == array.tobytes(), name


def python(code: str, **environment: str) -> subprocess.Popen[str]:
    """Another interpreter that runs ``code`` in the root of the project."""
    root = str(Path(reference.__file__).parent.parent)
    everything = {**os.environ, "PYTHONPATH": root, **environment}
    return subprocess.Popen([sys.executable, "-c", code], cwd=root, env=everything, text=True, stdout=subprocess.PIPE)


# There and back


@pytest.mark.parametrize(("lengths", "states"), [(LENGTHS, True), (None, False), (None, True), (LENGTHS, False)])
@every_dtype
@every_layer
def test_a_case_comes_back_as_it_was(
    layer: Layer, dtype: Any, lengths: tuple[int, ...] | None, states: bool, tmp_path: Path
) -> None:
    """Every array to the bit, the layer, and the header."""
    case = some_case(layer, lengths=lengths, states=states).astype(dtype)
    path = tmp_path / "case.safetensors"
    save_case(path, case, backend="some backend", numbers=[1, 2.5, None])
    loaded, header = load_case(path)
    assert loaded.layer == layer and str(loaded) == str(case)
    assert_same_arrays(arrays_of_case(loaded), arrays_of_case(case))
    assert header == {"backend": "some backend", "numbers": [1, 2.5, None], "layer": layer_to_json(layer)}


@every_layer
def test_a_loaded_case_runs_to_the_same_bits(layer: Layer, tmp_path: Path) -> None:
    """Though its arrays are read-only."""
    case = some_case(layer, lengths=LENGTHS)
    save_case(tmp_path / "case.safetensors", case)
    loaded, _ = load_case(tmp_path / "case.safetensors")
    assert_same_arrays(dict(run(loaded).items()), dict(run(case).items()))


@every_dtype
@every_layer
def test_a_result_comes_back_as_it_was(layer: Layer, dtype: Any) -> None:
    """With ``c_n`` where there is one, next to the case it belongs to."""
    case = some_case(layer, lengths=LENGTHS).astype(dtype)
    result = run(case)
    arrays, _ = decode(encode({**arrays_of_case(case), **dict(result.items())}, {}))
    assert_same_arrays(dict(result_from_arrays(arrays).items()), dict(result.items()))
    assert_same_arrays(arrays_of_case(case_from_arrays(layer, arrays)), arrays_of_case(case))


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -0.0, 5e-324])
def test_numbers_of_every_kind_come_back_to_the_bit(value: float) -> None:
    """NaN, infinity, negative zero, and the smallest number there is."""
    array = np.full((2, 3), value)
    assert decode(encode({"a": array}, {}))[0]["a"].tobytes() == array.tobytes()


def test_views_and_byte_orders_are_stored_as_the_numbers_they_show() -> None:
    """Transposed, strided and big-endian arrays come back contiguous and little-endian."""
    array = np.arange(12.0).reshape(3, 4)
    for view in (array.T, array[:, ::2], array[::-1], array.astype(">f8")):
        back = decode(encode({"a": view}, {}))[0]["a"]
        assert back.dtype == np.dtype("<f8") and back.tolist() == view.tolist()


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1)], ids=str)
def test_arrays_of_every_shape_come_back(shape: tuple[int, ...]) -> None:
    """Also of no axes and of no entries."""
    assert decode(encode({"a": np.zeros(shape)}, {}))[0]["a"].shape == shape


@every_layer
def test_a_layer_comes_back_through_json(layer: Layer) -> None:
    """Through the text of it, with nothing but names and numbers inside."""
    text = json.dumps(layer_to_json(layer), allow_nan=False)
    assert layer_from_json(json.loads(text)) == layer
    assert type(json.loads(text)["cell"]) is str


def test_a_layer_with_numpy_sizes_can_be_stored(tmp_path: Path) -> None:
    """A Case accepts them, so a file has to."""
    case = some_case(KINDS[0])
    sizes: dict[str, Any] = {"input_size": np.int64(3), "hidden_size": np.int32(2)}
    save_case(tmp_path / "case.safetensors", replace(case, layer=replace(case.layer, **sizes)))
    assert load_case(tmp_path / "case.safetensors")[0].layer == case.layer


# Equal content, equal bytes


def test_the_order_of_names_changes_no_byte() -> None:
    """Neither that of the arrays nor that of the header."""
    a, b = np.arange(3.0), np.arange(4.0, dtype=np.float32)
    assert encode({"a": a, "b": b}, {"p": 1, "q": 2}) == encode({"b": b, "a": a}, {"q": 2, "p": 1})


def test_equal_cases_give_equal_bytes_in_every_process() -> None:
    """Whatever the seed of its string hashes."""
    code = """
import hashlib
from reference.case_file import *
from tests.some_case import LAYERS, some_case
digest = hashlib.sha256()
for layer in LAYERS:
    header = {"layer": layer_to_json(layer), **{name: name for name in {"one", "two", "three", "four"}}}
    digest.update(encode(arrays_of_case(some_case(layer, lengths=(2, 5, 0, 1))), header))
print(digest.hexdigest())
"""
    processes = [python(code, PYTHONHASHSEED=seed) for seed in ("0", "1", "2")]
    digests = [process.communicate(timeout=60)[0] for process in processes]
    assert len(digests[0]) == 65 and len(set(digests)) == 1


# Writing


def test_a_write_makes_the_folders_above_it(tmp_path: Path) -> None:
    """And leaves nothing but the file."""
    path = tmp_path / "one" / "two" / "file"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    assert os.listdir(path.parent) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: the error comes through, and no temporary file stays."""

    def fail(descriptor: int) -> None:
        raise OSError("no space left")

    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_written_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    """Those that the umask leaves, so that others can read what one has written."""
    write_atomically(tmp_path / "atomic", b"")
    (tmp_path / "plain").write_bytes(b"")
    atomic, plain = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("atomic", "plain"))
    assert oct(atomic) == oct(plain)


@pytest.mark.parametrize("moment", [0.0, 0.003, 0.011, 0.023, 0.04, 0.07])
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(moment: float, tmp_path: Path) -> None:
    """And whoever reads meanwhile sees the old content or the new, never a part."""
    path = tmp_path / "file"
    size = 2**21
    contents = {letter * size for letter in (b"a", b"b")}
    write_atomically(path, b"a" * size)
    writer = python(
        f"""
from pathlib import Path
from reference.case_file import write_atomically
print("ready", flush=True)
while True:
    write_atomically(Path({str(path)!r}), b"b" * {size})
    write_atomically(Path({str(path)!r}), b"a" * {size})
"""
    )
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        end = time.monotonic() + moment
        while time.monotonic() < end:
            assert path.read_bytes() in contents
    finally:
        writer.kill()
        writer.communicate(timeout=60)
    assert path.read_bytes() in contents
    write_atomically(path, b"later")
    assert path.read_bytes() == b"later"


# Files that hold no case


CASE = some_case(KINDS[2], batch=2, steps=3, lengths=[1, 3])
WHOLE = encode(arrays_of_case(CASE), {"layer": layer_to_json(CASE.layer)})


def safetensors_of(entries: str) -> bytes:
    """A file that is nothing but its JSON."""
    return len(entries).to_bytes(8, "little") + entries.encode()


def with_header(header: Any) -> bytes:
    return encode(arrays_of_case(CASE), header)


def with_layer(**fields: Any) -> bytes:
    return with_header({"layer": {**layer_to_json(CASE.layer), **fields}})


def with_array(name: str, array: Array | None) -> bytes:
    arrays = {**arrays_of_case(CASE), name: array}
    kept = {key: value for key, value in arrays.items() if value is not None}
    return encode(kept, {"layer": layer_to_json(CASE.layer)})


UNREADABLE = {
    "empty": b"",
    "text": b"This is no case.",
    "zeros": bytes(100),
    "no text at all": b"\xff" * 100,
    "a list": safetensors_of("[]"),
    "a number": safetensors_of("5"),
    "nothing inside": safetensors_of("{}"),
    "metadata null": safetensors_of('{"__metadata__":null}'),
    "metadata list": safetensors_of('{"__metadata__":[]}'),
    "header list": with_header([]),
    "header number": with_header(5),
    "header null": with_header(None),
    "nested without end": safetensors_of("[" * 100_000),
    "half a length": WHOLE[:4],
    "half a header": WHOLE[:100],
    "one byte short": WHOLE[:-1],
    "one byte long": WHOLE + b"x",
    "no layer": with_header({}),
    "layer null": with_header({"layer": None}),
    "layer empty": with_header({"layer": {}}),
    "unknown field": with_layer(dropout=0.5),
    "unknown cell": with_layer(cell="mut1"),
    "no cell": with_layer(cell=None),
    "unknown direction": with_layer(direction=["forward"]),
    "layers as text": with_layer(num_layers="2"),
    "more layers": with_layer(num_layers=2),
    "another size": with_layer(hidden_size=5),
    "no x": with_array("x", None),
    "no w_hh": with_array("weights.0.w_hh", None),
    "no c_0": with_array("c_0", None),
    "x of another shape": with_array("x", np.zeros(3)),
    "x of integers": with_array("x", np.zeros((2, 3, 3), np.int64)),
    "x of bytes": with_array("x", np.zeros((2, 3, 3), np.int8)),
    "x of float8": with_array("x", np.zeros((2, 3, 3), ml_dtypes.float8_e4m3fn)),
    "lengths of floats": with_array("lengths", np.array([1.0, 3.0])),
    "lengths past T": with_array("lengths", np.array([1, 4])),
}


def refusal_of(path: Path) -> str:
    with pytest.raises(ValueError) as refusal:
        load_case(path)
    assert type(refusal.value) is ValueError
    return str(refusal.value)


def assert_one_sentence_about(path: Path, message: str) -> None:
    assert message.startswith(f"{path} holds no case, but should ")
    assert "\n" not in message


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_holds_no_case_is_refused_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    """It names the path, whatever the file holds."""
    path = tmp_path / "case.safetensors"
    path.write_bytes(content)
    assert_one_sentence_about(path, refusal_of(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no x", "x is missing"),
        ("no layer", "layer is missing"),
        ("layer empty", "layer.cell is missing"),
        ("no w_hh", "weights[0].w_hh is None"),
        ("no c_0", "h_0 is given and c_0 is None"),
        ("lengths past T", "lengths[1] is 4, but should be in 0..3"),
    ],
    ids=lambda text: text.replace(" ", "-"),
)
def test_the_refusal_says_what_is_missing_or_wrong(content: str, words: str, tmp_path: Path) -> None:
    """In words, not as a bare name."""
    path = tmp_path / "case.safetensors"
    path.write_bytes(UNREADABLE[content])
    assert words in refusal_of(path)


def cuts() -> Iterator[int]:
    header = 8 + int.from_bytes(WHOLE[:8], "little")
    yield from range(0, header, 5)
    yield from range(header, len(WHOLE), 16)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """At no place does a part of a file pass for a case."""
    path = tmp_path / "case.safetensors"
    for size in cuts():
        path.write_bytes(WHOLE[:size])
        assert_one_sentence_about(path, refusal_of(path))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, int.from_bytes(WHOLE[:8], "little") + 7), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_header_gives_a_case_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    """And no other error."""
    damaged = bytearray(WHOLE)
    damaged[place] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(damaged)
    try:
        loaded, _ = load_case(path)
    except ValueError as error:
        assert_one_sentence_about(path, str(error))
    else:
        assert isinstance(loaded, Case) and len(arrays_in(loaded)) == len(arrays_in(CASE))


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_path_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    """A file that is not there, or a folder, is an OSError."""
    with pytest.raises(OSError) as refusal:
        load_case(tmp_path / name)
    assert str(tmp_path) in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("dtype", [np.longdouble, object])
def test_a_dtype_that_no_file_holds_is_refused_before_anything_is_written(dtype: Any, tmp_path: Path) -> None:
    """The error names the dtype, and the old file stays."""
    path = tmp_path / "case.safetensors"
    path.write_bytes(b"old")
    with pytest.raises((TypeError, ValueError), match=str(np.dtype(dtype))):
        save_case(path, CASE.astype(dtype))
    assert path.read_bytes() == b"old" and len(os.listdir(tmp_path)) == 1
