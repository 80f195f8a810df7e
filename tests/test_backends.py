"""Choosing a backend, what it claims, and which module may import which."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import backends
import reference
from backends import BACKENDS, BackendError, Capabilities, describe, load
from reference import Case, Cell, Direction, Layer
from tests.some_case import some_case
from tests.suite_run import ROOT

LENGTHS = (2, 5, 3, 1)
"""Of the 4 rows and 5 steps of ``some_case``: unsorted, with T and 1 among them."""

FRAMEWORKS = {"torch", "mindspore", "onnx", "onnxruntime", "jax", "flax", "keras", "openvino", "mlx"} | {
    "tensorrt",
    "tensorrt_rtx",
}

MINE = "tests.third_party"


# Choosing


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("reference", "reference"),
        ("backends.numpy_reference:Reference", "reference"),
        (f"{MINE}:Right", "right"),
        (f"{MINE}:right", "right"),
        (f"{MINE}:make", "right"),
        ("tests.test_backends:nested.deeper.backend", "right"),
    ],
)
def test_a_backend_is_had_by_name_or_by_where_it_is(spec: str, name: str) -> None:
    """A name of the table, an instance, a class, a function, or any of them inside something else."""
    assert load(spec).name == name


def test_an_instance_is_taken_as_it_is_and_a_class_is_called_each_time() -> None:
    """Two names for one object are one object; two calls are two."""
    assert load(f"{MINE}:right") is load(f"{MINE}:right")
    assert load(f"{MINE}:Right") is not load(f"{MINE}:Right")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("nosuch", "no backend is named 'nosuch'; the names are reference, pytorch, pytorch-cuda, pytorch-cuda-tf32"),
        ("pytorhc", "no backend is named 'pytorhc'; did you mean 'pytorch'? The names are reference, pytorch,"),
        ("refrence", "no backend is named 'refrence'; did you mean 'reference'?"),
        ("no_such_module:Thing", "backend 'no_such_module:Thing' needs the module 'no_such_module', which is not on "),
        (f"{MINE}.deeper:Thing", f"backend '{MINE}.deeper:Thing' needs the module '{MINE}.deeper', which is not"),
        (f"{MINE}:Nothing", f"backend '{MINE}:Nothing' cannot be made: AttributeError: module '{MINE}' has no attr"),
        (f"{MINE}:Right.nothing", "has no attribute 'nothing'"),
        (f"{MINE}:", f"backend '{MINE}:'"),
        (":Right", "backend ':Right'"),
        (f"{MINE}:NoBackend", "is a NoBackend, but should have a name, capabilities (a Capabilities) and run(case)"),
        (f"{MINE}:A_NUMBER", "but should have a name, capabilities (a Capabilities) and run(case)"),
        (f"{MINE}:NeedsMissing", "needs the module 'a_framework_that_is_not_installed', which is not installed"),
        (f"{MINE}:BreaksDown", "cannot be made: RuntimeError: the driver is too old"),
    ],
)
def test_a_backend_that_cannot_be_had_is_told_in_one_sentence(spec: str, sentence: str) -> None:
    """It says what was asked for, and why it cannot be had."""
    with pytest.raises(BackendError) as caught:
        load(spec)
    message = str(caught.value)
    assert sentence in message
    assert len(message.splitlines()) == 1


def test_a_backend_without_a_description_has_an_empty_one() -> None:
    """It is optional."""
    assert describe(load("reference")).startswith("numpy ")
    nameless: Any = SimpleNamespace(name="x", capabilities=Capabilities(), run=reference.run)
    assert describe(nameless) == ""


# Capabilities

LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=3, num_layers=2)
RELU = replace(LSTM, cell=Cell.RNN, activation="relu")
GRU_BEFORE = replace(LSTM, cell=Cell.GRU, reset_after=False)

DECLINED = [
    ("cells", (Cell.GRU,), some_case(LSTM), "cell lstm"),
    ("activations", ("tanh",), some_case(RELU), "activation relu"),
    ("directions", (Direction.REVERSE,), some_case(LSTM), "direction forward"),
    ("max_layers", 1, some_case(LSTM), "2 layers"),
    ("reset_after", (True,), some_case(GRU_BEFORE), "reset_after=False"),
    ("lengths", False, some_case(LSTM, lengths=LENGTHS), "sequence lengths"),
    ("zero_length", "reject", some_case(LSTM, lengths=(5, 0, 1, 2)), "rows of length 0"),
    ("bias", (True,), some_case(replace(LSTM, bias=False)), "bias=False"),
    ("input_modes", ("linear",), some_case(replace(LSTM, input_mode="skip")), "input mode skip"),
    ("dtypes", ("float32",), some_case(LSTM), "dtype float64"),
]


@pytest.mark.parametrize(("field", "value", "case", "reason"), DECLINED, ids=[entry[0] for entry in DECLINED])
def test_what_is_not_claimed_is_declined(field: str, value: Any, case: Case, reason: str) -> None:
    """Each field alone, with its reason, while a backend that claims everything declines nothing."""
    assert Capabilities().declines(case) is None
    assert Capabilities(**{field: value}).declines(case) == reason


def test_every_field_that_limits_cases_is_among_those_tested() -> None:
    """A new field of Capabilities needs a line above, unless it limits none."""
    others = {"arithmetic", "few_shapes"}
    assert {entry[0] for entry in DECLINED} == {field.name for field in fields(Capabilities)} - others


@pytest.mark.parametrize(
    ("capabilities", "case"),
    [
        (Capabilities(activations=("tanh",)), some_case(LSTM)),
        (Capabilities(activations=("relu",)), some_case(LSTM)),
        (Capabilities(reset_after=(False,)), some_case(LSTM)),
        (Capabilities(lengths=False), some_case(LSTM)),
        (Capabilities(zero_length="reject"), some_case(LSTM, lengths=LENGTHS)),
        (Capabilities(max_layers=2), some_case(LSTM)),
    ],
)
def test_a_field_that_does_not_concern_a_case_declines_nothing(capabilities: Capabilities, case: Case) -> None:
    """An activation is of the RNN, a reset of the GRU, and a zero length of cases that have one."""
    assert capabilities.declines(case) is None


def test_the_arithmetic_is_that_of_the_dtype_unless_another_is_claimed() -> None:
    """By the name of the dtype, bfloat16 too."""
    capabilities = Capabilities(arithmetic={"float32": "tf32"})
    assert capabilities.arithmetic_of(np.dtype(np.float32)) == "tf32"
    assert capabilities.arithmetic_of(np.dtype(np.float64)) == "float64"
    assert capabilities.arithmetic_of(np.dtype(ml_dtypes.bfloat16)) == "bfloat16"


# The table, and who imports whom


def test_the_documented_table_lists_the_backends() -> None:
    """In the order of BACKENDS, each with the file that it is in."""
    documented = re.findall(r"^``([^`]+)``\s+(\S+)", str(backends.__doc__), flags=re.MULTILINE)
    files = [spec.partition(":")[0].removeprefix("backends.").replace(".", "/") + ".py" for spec in BACKENDS.values()]
    assert documented == list(zip(BACKENDS, files))
    assert all((ROOT / "backends" / file).is_file() for _, file in documented)


@pytest.mark.parametrize(
    "module", ["backends", "backends.offers", "conformance.plugin", "golden", "backends.numpy_reference"]
)
def test_importing_a_module_imports_no_framework(module: str) -> None:
    """A framework is imported when its backend is chosen, not before."""
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not FRAMEWORKS & set(done.stdout.split())


ALLOWED = {
    "reference": {"reference"},
    "backends": {"backends", "reference"},
    "golden": {"golden", "reference"},
    "conformance": {"conformance", "backends", "golden", "reference"},
}
"""Which of our packages each of them may import."""


def files() -> Iterator[Path]:
    for package in (*ALLOWED, "tests", "benchmarks"):
        yield from sorted((ROOT / package).rglob("*.py"))


def imported_by(path: Path) -> set[str]:
    """The top-level names of all that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names.add(str(node.module))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package: str) -> None:
    """reference <- backends <- conformance, golden from reference alone, and tests from nowhere but tests."""
    ours = {*ALLOWED, "tests", "benchmarks"}
    for path in (ROOT / package).rglob("*.py"):
        assert imported_by(path) & ours <= ALLOWED[package], path


def test_every_file_is_python_3_10() -> None:
    """The oldest version that pyproject.toml names reads all of it."""
    for path in files():
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 10))


def test_no_file_is_named_as_a_module_of_the_standard_library_or_a_framework() -> None:
    """Such a file would be imported in place of it by whoever runs a script beside it."""
    taken = {*sys.stdlib_module_names, *FRAMEWORKS}
    assert [path for path in files() if path.stem in taken] == []


nested = SimpleNamespace(deeper=SimpleNamespace(backend=load(f"{MINE}:right")))
