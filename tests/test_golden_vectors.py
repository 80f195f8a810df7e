"""The computed golden vectors: complete, exact, and covering what they should."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference
from conformance.report.schema import violations
from conformance.tolerance import UNINFORMATIVE, K
from golden import manifest
from golden.corpus import CELLS, FLAGS, LENGTHS, THEMES, corpus, lengths_of
from golden.manifest import VECTORS, Stored, file_of, line_of, regenerated, written
from golden.produce import MARGIN, content_of, differences, distance, rounded
from golden.recipe import Recipe, half_log2, largest, stream
from reference import Array, Case, Cell, Result, exact
from reference.case_file import arrays_of_case, decode, encode, load_case
from reference.exact import FORMATS
from reference.noise import ARITHMETICS, sigma

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "golden" / "README.md"
SCHEMA = ROOT / "golden" / "manifest.schema.json"
STORED = {vector.id: vector for vector in manifest.load()}
RECIPES = {recipe.id: recipe for recipe in corpus()}
HANDFUL = [
    "gru-after-subnormal-float16",
    "gru-before-bidirectional-1-ragged-zero-no-bias-no-states-bfloat16",
    "lstm-reverse-2-ragged-zero-no-bias-skip-float64",
    "lstm-saturated-float32",
    "rnn-relu-integers-deep-float32",
    "rnn-tanh-padding-nan-float32",
]

every_vector = pytest.mark.parametrize("vector", list(STORED.values()), ids=list(STORED))


def all_finite(case: Case) -> Case:
    """The case in float64, with zero in its padding."""
    case = case.astype(np.float64)
    case.x[~case.valid] = 0
    return case


# ---- the manifest


def test_the_manifest_is_what_the_corpus_and_the_files_say() -> None:
    """Complete, sorted, and every checksum is that of the file."""
    lines = {recipe.id: line_of(recipe, (VECTORS / file_of(recipe.id)).read_bytes()) for recipe in corpus()}
    assert (VECTORS / "manifest.json").read_bytes() == written(lines)
    assert list(lines) == sorted(lines)


def test_the_folder_has_the_files_of_the_manifest_and_no_others() -> None:
    """Nothing is missing, nothing is left over."""
    listed = {"manifest.json", *(line["file"] for line in manifest.read()["vectors"])}
    assert {path.name for path in VECTORS.iterdir()} == listed


def test_everything_together_is_small() -> None:
    """Between 150 and 250 vectors in less than 8 MB."""
    assert 150 <= len(STORED) <= 250
    assert sum(path.stat().st_size for path in VECTORS.iterdir()) < 8e6


def test_ids_are_in_kebab_case_and_purposes_are_sentences() -> None:
    """An id is a file name in every file system; a purpose ends in a full stop."""
    for recipe in corpus():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", recipe.id)
        assert recipe.purpose.endswith(".")
        assert not recipe.purpose[0].islower()


def test_two_vectors_of_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second vector of an id would overwrite the first."""
    monkeypatch.setattr("golden.corpus.THEMES", (*THEMES, THEMES[0]))
    with pytest.raises(ValueError, match="the corpus has two vectors called 'gru-after-one-float32', but every id"):
        corpus.__wrapped__()


def test_the_manifest_keeps_to_its_schema() -> None:
    """The schema holds for the manifest, and for none that lacks a field, has another or a wrong one."""
    schema = json.loads(SCHEMA.read_text())
    content = json.loads((VECTORS / "manifest.json").read_text())
    assert list(violations(content, schema, schema)) == []
    for field, wrong in (("id", "Not kebab"), ("batch_size", 0), ("dtype", "float8"), ("lengths", ["1"]), ("new", 1)):
        broken = {**content, "vectors": [{**content["vectors"][0], field: wrong}]}
        assert list(violations(broken, schema, schema)) != []
    assert "manifest.vectors is missing" in violations({"format": 1, "flags": {}}, schema, schema, "manifest")


# ---- the files


@every_vector
def test_a_file_holds_the_case_of_its_line(vector: Stored) -> None:
    """The file loads as a case, its layer is the manifest's, and its numbers are those of the recipe."""
    case, header = load_case(vector.path)
    line = next(line for line in manifest.read()["vectors"] if line["id"] == vector.id)
    assert header["layer"] == line["layer"]
    assert (header["id"], header["format"], header["arithmetic"]) == (vector.id, 1, line["dtype"])
    assert (str(case.dtype), case.batch_size, case.num_steps) == (line["dtype"], line["batch_size"], line["num_steps"])
    assert (None if case.lengths is None else list(case.lengths)) == line["lengths"]
    assert (case.h_0 is not None) == line["states"]
    wanted = arrays_of_case(RECIPES[vector.id].case())
    assert {name: array.tobytes() for name, array in arrays_of_case(case).items()} == {
        name: array.tobytes() for name, array in wanted.items()
    }


@every_vector
def test_the_outputs_have_their_shapes_and_dtypes(vector: Stored) -> None:
    """The exact outputs and sigma are float64, those rounded have the dtype of the case, and none is NaN."""
    layer, case = vector.case.layer, vector.case
    states = (layer.num_layers * layer.num_directions, case.batch_size, layer.hidden_size)
    shapes = {"y": (case.batch_size, case.num_steps, layer.num_directions * layer.hidden_size), "h_n": states}
    if layer.cell is Cell.LSTM:
        shapes["c_n"] = states
    for result, dtype in ((vector.rounded, case.dtype), (vector.exact, np.float64), (vector.sigma, np.float64)):
        assert {name: array.shape for name, array in result.items()} == shapes
        assert all(array.dtype == dtype for _, array in result.items())
        assert all(np.all(np.isfinite(array)) for _, array in result.items())
    for name, array in vector.exact.items():
        assert np.array_equal(getattr(vector.rounded, name), array.astype(case.dtype))


@every_vector
def test_the_float64_reference_errs_as_float64_does(vector: Stored) -> None:
    """Within 4 sigma of the exact result, where sigma is that of u = 2^-53: its certificate on the whole corpus."""
    case = all_finite(vector.case)
    truth = exact.truth(case)
    spread = sigma(case, ARITHMETICS["float64"], truth.hi)
    for name, error in truth.error(reference.run(case)).items():
        assert np.all(np.abs(error) <= 4 * getattr(spread, name))


@every_vector
def test_the_reference_reproduces_a_vector(vector: Stored) -> None:
    """In float64 it lies within K sigma of the exact result, which is zero in the padding as sigma is."""
    result = reference.run(vector.case.astype(np.float64))
    for name, truth in vector.exact.items():
        assert np.all(np.abs(getattr(result, name) - truth) <= K * getattr(vector.sigma, name))
    assert not np.any(vector.exact.y[~vector.case.valid])
    assert not np.any(vector.sigma.y[~vector.case.valid])


@every_vector
def test_a_vector_can_tell_right_from_wrong(vector: Stored) -> None:
    """Sigma is small beside the outputs, and these are not all zero but where there is nothing to compute."""
    limit = max(UNINFORMATIVE, 8 * ARITHMETICS[str(vector.case.dtype)].unit)
    for name, array in vector.exact.items():
        assert np.max(getattr(vector.sigma, name)) <= limit * np.max(np.abs(array))
    assert np.any(vector.exact.y) or not np.any(vector.case.valid)


@every_vector
def test_rows_of_length_zero_keep_their_state(vector: Stored) -> None:
    """Their final state is the initial one, of which nothing is to be rounded."""
    empty = vector.case.row_lengths == 0
    for final, initial, spread in (
        (vector.rounded.h_n, vector.case.h_0, vector.sigma.h_n),
        (vector.rounded.c_n, vector.case.c_0, vector.sigma.c_n),
    ):
        if final is not None and spread is not None:
            assert np.array_equal(
                final[:, empty], np.zeros_like(final[:, empty]) if initial is None else initial[:, empty]
            )
            assert not np.any(spread[:, empty])


@pytest.mark.parametrize("id", HANDFUL)
def test_the_outputs_are_those_of_the_exact_arithmetic(id: str) -> None:
    """Correctly rounded, to float64 and to the dtype of the case."""
    vector = STORED[id]
    for result, dtype in ((vector.exact, np.float64), (vector.rounded, vector.case.dtype)):
        wanted = dict(exact.run(vector.case, dtype).items())
        assert {name: array.tobytes() for name, array in result.items()} == {
            name: array.tobytes() for name, array in wanted.items()
        }


@pytest.mark.parametrize("id", HANDFUL)
def test_a_file_is_made_again_byte_for_byte(id: str) -> None:
    """With the number of replicas that the file names."""
    assert regenerated(VECTORS, id) == STORED[id].path.read_bytes()


EXACT = [vector for vector in STORED.values() if "exact" in vector.flags]


@pytest.mark.parametrize("vector", EXACT, ids=[vector.id for vector in EXACT])
def test_an_exact_vector_is_exact_in_any_order(vector: Stored) -> None:
    """With every number taken for its size, no sum exceeds the integers that the dtype holds; sigma is 0."""
    sizes = reference.run(all_finite(vector.case).map(np.abs))
    largest_integer = 2.0 ** FORMATS[str(vector.case.dtype)].precision
    assert all(np.max(array) <= largest_integer for _, array in sizes.items())
    assert all(not np.any(array) for _, array in vector.sigma.items())
    assert all(np.array_equal(array, np.round(array)) for _, array in vector.exact.items())
    plain = reference.run(vector.case)
    assert all(np.array_equal(getattr(plain, name), array) for name, array in vector.rounded.items())


def test_a_file_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    """The manifest's checksum is checked before a file is believed."""
    line = manifest.read()["vectors"][0]
    (tmp_path / "manifest.json").write_bytes(written({line["id"]: line}))
    (tmp_path / line["file"]).write_bytes(b"something else")
    with pytest.raises(ValueError, match="but its manifest says"):
        manifest.load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"format": 1, "flags": {}}', b'{"format": 1, "flags": 1, "vectors": []}']
)
def test_a_broken_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    """With a sentence that names it."""
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"manifest\.json is no manifest"):
        manifest.read(tmp_path)


# ---- what the corpus covers


FEATURES = {
    "direction": ("forward", "reverse", "bidirectional"),
    "layers": (1, 2, 3),
    "lengths": ("none", "ragged-zero", "short", "full"),
    "bias": (True, False),
    "states": (True, False),
    "mode": ("linear", "skip"),
    "dtype": ("float64", "float32", "float16", "bfloat16"),
}


def features_of(recipe: Recipe) -> dict[str, Any]:
    layer = recipe.layer
    lengths = (kind for kind in LENGTHS if lengths_of(kind, recipe.batch, recipe.steps) == recipe.lengths)
    return {
        "cell": {"rnn": f"rnn-{layer.activation}", "gru": f"gru-{'after' if layer.reset_after else 'before'}"}.get(
            layer.cell, "lstm"
        ),
        "direction": str(layer.direction),
        "layers": layer.num_layers,
        "lengths": next(lengths, "others"),
        "bias": layer.bias,
        "states": recipe.states,
        "mode": layer.input_mode,
        "dtype": recipe.dtype,
    }


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("first", "second"), list(combinations(FEATURES, 2)))
def test_any_two_features_meet(cell: str, first: str, second: str) -> None:
    """For every cell, every value of a feature meets every value of every other."""
    met = {(f[first], f[second]) for f in map(features_of, corpus()) if f["cell"] == cell}
    assert set(product(FEATURES[first], FEATURES[second])) <= met


@pytest.mark.parametrize("cell", CELLS)
def test_any_two_features_meet_in_float32(cell: str) -> None:
    """Also for an implementation that has nothing but float32, linear inputs and rows of at least one step."""
    allowed = {name: FEATURES[name] for name in ("direction", "layers", "bias", "states")}
    allowed["lengths"] = ("none", "ragged", "short", "full")
    rows = [
        f
        for f in map(features_of, corpus())
        if (f["cell"], f["dtype"], f["mode"]) == (cell, "float32", "linear") and f["lengths"] in allowed["lengths"]
    ]
    for first, second in combinations(allowed, 2):
        assert set(product(allowed[first], allowed[second])) <= {(f[first], f[second]) for f in rows}


def test_no_two_sizes_are_equal_by_accident() -> None:
    """B, T, I and H differ in every row of the tables, but for I = H in skip mode."""
    for recipe in corpus():
        if recipe.purpose.startswith("A row of the table"):
            sizes = [recipe.batch, recipe.steps, recipe.layer.hidden_size]
            if recipe.layer.input_mode == "linear":
                sizes.append(recipe.layer.input_size)
            assert len(set(sizes)) == len(sizes)


def test_every_flag_is_used_and_every_flag_used_is_known() -> None:
    """The dictionary of flags has no dead entry, and none is missing."""
    assert {flag for recipe in corpus() for flag in recipe.flags} == set(FLAGS)


def test_no_two_vectors_have_the_same_numbers() -> None:
    """Each stream starts from the id of its vector; a vector of ones has no stream."""
    contents = [case.x.tobytes() for case in (recipe.case() for recipe in corpus())]
    assert len(set(contents)) == len(contents)


# ---- where the numbers come from


def test_the_stream_is_splitmix64_from_the_hash_of_the_key() -> None:
    """Against both written out in Python's own integers."""
    for key in ("", "lstm-long-float32/x"):
        state = 0xCBF29CE484222325
        for byte in key.encode():
            state = (state ^ byte) * 0x100000001B3 % 2**64
        wanted = []
        for _ in range(5):
            state = (state + 0x9E3779B97F4A7C15) % 2**64
            z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
            wanted.append(z ^ z >> 31)
        assert stream(key, 5).tolist() == wanted


@pytest.mark.parametrize("recipe", corpus(), ids=list(RECIPES))
def test_every_number_is_exact_in_its_dtype(recipe: Recipe) -> None:
    """The conversion to the dtype rounds nothing, and no number but an integer is zero."""
    for name, array in arrays_of_case(recipe.case()).items():
        if name == "lengths":
            continue
        values = array.astype(np.float64)
        finite = values[np.isfinite(values)]
        form = FORMATS[recipe.dtype]
        fraction, exponent = np.frexp(finite)
        assert np.all(np.abs(finite) <= largest(recipe.dtype))
        assert np.array_equal(np.ldexp(fraction, form.precision), np.round(np.ldexp(fraction, form.precision)))
        assert np.all(exponent[finite != 0] > form.lowest)
        if recipe.fill.numbers == "any" and "b_" not in name:
            assert np.all(values != 0)


def test_subnormal_inputs_are_there() -> None:
    """All of them, and more than one bit of each."""
    x = np.abs(RECIPES["lstm-subnormal-float16"].case().x.astype(np.float64))
    assert np.all(x <= 2.0**-14)
    assert len(np.unique(x)) > x.size / 2


def test_the_scale_of_a_row_does_not_depend_on_its_length() -> None:
    """Its l2 norm stays about one half."""
    for size in (1, 5, 33, 520):
        assert 2.0**-0.5 <= 2.0 ** half_log2(size) / np.sqrt(size) <= 2.0**0.5


def test_padding_holds_what_it_is_said_to_hold() -> None:
    """NaN or the largest number past the lengths, and nowhere else."""
    nan, most = (RECIPES[f"lstm-padding-{what}-float32"].case() for what in ("nan", "largest"))
    assert np.array_equal(np.isnan(nan.x).all(axis=2), ~nan.valid)
    assert np.array_equal((most.x == np.finfo(np.float32).max).all(axis=2), ~most.valid)


# ---- sigma


def test_sigma_is_stored_a_little_above_what_it_is() -> None:
    """By at most one step of eight, and never more than one sixty-fourth below."""
    for id in HANDFUL[:4]:
        vector = STORED[id]
        replicas = decode(vector.path.read_bytes())[1]["replicas"]
        spread = sigma(vector.case, ARITHMETICS[str(vector.case.dtype)], replicas=replicas)
        for name, array in spread.items():
            stored, positive = getattr(vector.sigma, name), array > 0
            ratio = stored[positive] / array[positive]
            assert np.array_equal(stored > 0, positive)
            assert np.all((1 - 1 / 64 <= ratio) & (ratio <= 1 + 1 / 8))


def test_rounding_has_no_boundary_at_a_power_of_two() -> None:
    """There sigma often lies exactly, and may be computed just above it."""
    values = 2.0 ** np.arange(-40, 3)
    nudged = Result(values * (1 + 1e-6), values * (1 - 1e-6))
    assert np.array_equal(rounded(nudged).y, values)
    assert np.array_equal(rounded(nudged).h_n, values)
    assert distance(nudged) > 100 * MARGIN


def test_values_that_differ_by_less_than_the_margin_round_alike() -> None:
    """Unless the distance says that they lie on a boundary."""
    values = np.random.default_rng(0).uniform(1, 2, 100_000)
    spread, near = Result(values, values), Result(values * (1 + MARGIN / 3), values * (1 - MARGIN / 3))
    clear = np.array([distance(Result(v, v)) >= MARGIN / 2 for v in values.reshape(-1, 10)])
    for other in (near.y, near.h_n):
        same = (rounded(spread).y == rounded(Result(other, other)).y).reshape(-1, 10).all(axis=1)
        assert np.all(same[clear])
    assert 0.5 < np.mean(clear) < 1


def test_another_number_of_replicas_is_taken_where_one_will_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first whose sigma lies nowhere on a boundary, and it is kept while it is half as far from one."""
    asked: list[int] = []
    half_way = {64: 8.125, 66: 8.125 * (1 + 0.9 * MARGIN), 68: 8.5}

    def fake(case: Case, arithmetic: Any, truth: Result | None = None, replicas: int | None = None) -> Result:
        assert replicas is not None
        asked.append(replicas)
        return Result(np.full((1, 1, 1), half_way[replicas]), np.full((1, 1, 1), half_way[replicas]))

    monkeypatch.setattr("golden.produce.sigma", fake)
    monkeypatch.setattr("golden.produce.replicas_for", lambda case: 64)
    recipe = RECIPES["rnn-tanh-one-float32"]
    content = content_of(recipe)
    assert asked == [64, 66, 68]
    assert decode(content)[1]["replicas"] == 68
    assert content_of(recipe, content) == content
    assert asked[3:] == [68]
    arrays, header = decode(content)
    nearer = content_of(recipe, encode(arrays, {**header, "replicas": 66}))
    assert decode(nearer)[1]["replicas"] == 66
    half_way.clear()
    half_way.update(dict.fromkeys(range(1000), 8.125))
    with pytest.raises(ArithmeticError, match="64 to 262 replicas all leave an element of sigma of rnn-tanh-one"):
        content_of(recipe)


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("core", ["Haswell", "SkylakeX", "Sandybridge"])
def test_other_machines_make_the_same_files(core: str, threads: str) -> None:
    """Other kernels of the BLAS and another number of threads give the same bytes."""
    environment = {
        **os.environ,
        "OPENBLAS_CORETYPE": core,
        "OPENBLAS_NUM_THREADS": threads,
        "OMP_NUM_THREADS": threads,
    }
    command = [sys.executable, "-m", "golden", "--check", "--only", "lstm-*-ragged-zero-*"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- what a difference is called


def test_a_difference_is_named() -> None:
    """Which array, in how many elements, by how much."""
    content = STORED["lstm-one-row-float32"].path.read_bytes()
    arrays, header = decode(content)
    changed = {name: array.copy() for name, array in arrays.items()}
    changed["y"][0, 0, 0] += 0.25
    del changed["sigma.y"]
    changed["h_n"] = changed["h_n"].astype(np.float64)
    changed["x"] = changed["x"][:, :1]
    changed["more"] = changed["y"]
    assert differences(content, content) == []
    assert set(differences(encode(changed, {**header, "format": 0}), content)) == {
        "sigma.y is missing",
        "more is superfluous",
        "y in 1 of 24 elements, by at most 0.25",
        "h_n has dtype float64, but should have float32",
        "x has shape (1, 1, 3), but should have (1, 6, 3)",
        "header format: 0, but should be 1",
    }
    assert differences(content[:-3], content)[0].startswith("not a vector: ")


def test_a_difference_in_nan_and_in_sign_is_named() -> None:
    """A NaN for a number differs by NaN, and a negative zero by nothing but its sign."""

    def file(*values: float) -> bytes:
        return encode({"y": np.array(values)}, {})

    assert differences(file(np.nan, np.inf), file(np.nan, np.inf)) == []
    assert differences(file(np.nan, np.inf), file(0.0, np.inf)) == ["y in 1 of 2 elements, by at most nan"]
    assert differences(file(-0.0), file(0.0)) == [
        "y in bits that make no difference to any number, such as the sign of zero"
    ]


# ---- the README


def test_the_readme_explains_every_flag() -> None:
    """Its table is that of the manifest, which is that of the corpus."""
    table = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|$", README.read_text(), re.MULTILINE))
    assert table == dict(FLAGS) == manifest.read()["flags"]


def test_a_file_is_laid_out_as_the_readme_says() -> None:
    """Eight bytes of length, a header, data: read and judged here without any library for such files."""
    for id in ("gru-after-reverse-2-short-bfloat16", "lstm-subnormal-float16", "rnn-tanh-padding-nan-float32"):
        file = STORED[id].path.read_bytes()
        start = 8 + int.from_bytes(file[:8], "little")
        header = json.loads(file[8:start])
        assert header.pop("__metadata__").keys() == {"touchstone"}
        arrays = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            assert start + end <= len(file)
            arrays[name] = as_float64(file[start + begin : start + end], entry["dtype"]).reshape(entry["shape"])
        for name, wanted in arrays_of_case(STORED[id].case).items():
            assert np.array_equal(arrays[name], wanted.astype(np.float64), equal_nan=True)
        for name in ("y", "h_n"):
            assert np.all(np.abs(arrays[name] - arrays[f"exact.{name}"]) <= 6 * arrays[f"sigma.{name}"])


def as_float64(data: bytes, dtype: str) -> Array:
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}[dtype]).astype(np.float64)


def test_the_readme_has_the_rule_that_the_suite_judges_by() -> None:
    """The one constant is the same."""
    assert f"{K:g} * sigma" in README.read_text()


def test_the_readme_speaks_of_every_array() -> None:
    """Of each name in any file, and of each entry of its header."""
    text = README.read_text()
    for vector in STORED.values():
        arrays, header = decode(vector.path.read_bytes())
        names = {re.sub(r"weights\.\d+", "weights.<k>", name) for name in arrays}
        assert {name for name in {*names, *header} if f"`{name}`" not in text} == set()
