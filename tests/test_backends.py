"""Choosing a backend, what it claims, which module may import which, and the adapter of PyTorch."""

from __future__ import annotations

import ast
import gc
import itertools
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
from backends import BACKENDS, Backend, BackendError, Capabilities, describe, load
from conformance.tolerance import judge, truth_of
from reference import Case, Cell, Direction, Layer, Result
from tests.some_case import LAYERS, arrays_in, backwards, read_only, some_case, transposed
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


# PyTorch


@pytest.fixture(scope="module")
def pytorch() -> Backend:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return load("pytorch")


def accepted(backend: Backend, case: Case) -> bool:
    return judge(truth_of(case, backend.capabilities), backend.run(case)).accepted


def bits(result: Result) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(array).tobytes() for name, array in result.items()}


@pytest.mark.parametrize("gate", range(4))
def test_pytorch_has_our_gate_order(gate: int, pytorch: Backend) -> None:
    """i, f, g, o of one unit: with the other biases at 0, that of one gate gives a result to be had by hand."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=1, hidden_size=1), batch=1, steps=1).map(np.zeros_like)
    case.weights[0].b_ih[gate] = 1.0
    c_0 = np.full((1, 1, 1), 2.0)
    i, f, o = (1 / (1 + np.exp(-1.0)) if gate == k else 0.5 for k in (0, 1, 3))
    c = f * 2 + i * (np.tanh(1.0) if gate == 2 else 0.0)
    result = pytorch.run(replace(case, c_0=c_0))
    assert result.c_n is not None
    np.testing.assert_allclose((result.c_n.item(), result.h_n.item()), (c, o * np.tanh(c)), rtol=1e-14)


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer.reset_after], ids=str)
def test_pytorch_keeps_unsorted_rows_in_their_places(layer: Layer, pytorch: Backend) -> None:
    """Packed sequences are sorted inside; nobody outside should notice."""
    assert accepted(pytorch, some_case(layer, lengths=LENGTHS).astype(np.float32))


@pytest.mark.parametrize("cell", Cell, ids=str)
def test_pytorch_in_reverse_is_the_reverse_half_of_bidirectional(cell: Cell, pytorch: Backend) -> None:
    """Built from parts here, computed by PyTorch itself there."""
    layer = Layer(cell=cell, input_size=3, hidden_size=2, direction=Direction.BIDIRECTIONAL)
    both = some_case(layer, lengths=LENGTHS)
    alone = replace(
        both,
        layer=replace(layer, direction=Direction.REVERSE),
        weights=both.weights[1:],
        h_0=None if both.h_0 is None else both.h_0[1:],
        c_0=None if both.c_0 is None else both.c_0[1:],
    )
    whole, reverse = pytorch.run(both), pytorch.run(alone)
    np.testing.assert_allclose(reverse.y, whole.y[:, :, 2:], rtol=0, atol=1e-15)
    np.testing.assert_allclose(reverse.h_n, whole.h_n[1:], rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_pytorch_takes_and_returns_every_dtype_that_it_claims(dtype: Any, pytorch: Backend) -> None:
    """bfloat16, which numpy does not know by itself, goes there and back bit by bit."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=3, hidden_size=2), lengths=LENGTHS).astype(dtype)
    assert accepted(pytorch, case)
    # With every gate of an update shut, the state comes back as it was given.
    kept = case.map(np.zeros_like)
    kept.weights[0].b_ih[0], kept.weights[0].b_ih[1] = -1e4, 1e4
    result = pytorch.run(replace(kept, c_0=case.c_0))
    assert result.c_n is not None and case.c_0 is not None
    assert result.c_n.dtype == dtype and result.c_n.tobytes() == case.c_0.tobytes()


@pytest.mark.parametrize("look", [read_only, backwards, transposed])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_pytorch_reads_arrays_of_every_layout(look: Any, dtype: Any, pytorch: Backend) -> None:
    """Read-only, of negative strides, not contiguous: to the bit what a plain copy gives, without a warning."""
    for direction in Direction:
        layer = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, direction=direction)
        case = some_case(layer, lengths=LENGTHS).astype(dtype)
        assert bits(pytorch.run(case.map(look))) == bits(pytorch.run(case))


def test_pytorch_carries_nothing_from_one_call_to_the_next(pytorch: Backend) -> None:
    """Modules are kept, weights are not: calls of one layer, in turn, give what each gives alone."""
    layer = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, num_layers=2, direction=Direction.BIDIRECTIONAL)
    cases = [
        some_case(layer, seed=1),
        some_case(layer, seed=2, states=False),
        some_case(layer, seed=3, lengths=LENGTHS),
    ]
    first = [bits(pytorch.run(case)) for case in cases]
    for order in itertools.permutations(range(3)):
        assert [bits(pytorch.run(cases[k])) for k in order] == [first[k] for k in order]


def test_pytorch_results_stay_as_they_are_when_more_is_run(pytorch: Backend) -> None:
    """No result is a view of a buffer that the next call fills, nor of the case."""
    case = some_case(Layer(cell=Cell.GRU, input_size=3, hidden_size=2))
    result = pytorch.run(case)
    before = bits(result)
    pytorch.run(some_case(case.layer, seed=1))
    for array in arrays_in(case):
        array[...] = 0
    assert bits(result) == before


def test_pytorch_records_no_gradients(pytorch: Backend) -> None:
    """Neither a parameter nor a result remembers how it came about, and the switch is back where it was."""
    import torch

    pytorch.run(some_case(Layer(cell=Cell.RNN, input_size=3, hidden_size=2)))
    assert torch.is_grad_enabled()
    modules = [found for found in gc.get_objects() if type(found) is torch.nn.RNN]
    parameters = [parameter for module in modules for parameter in module.parameters()]
    assert parameters
    assert all(parameter.grad_fn is None and parameter.grad is None for parameter in parameters)


def test_pytorch_tells_its_threads(pytorch: Backend) -> None:
    """The description says what runs now, not what ran when the backend was made."""
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert describe(pytorch) == f"torch {torch.__version__}, cpu, 1 threads"
    finally:
        torch.set_num_threads(before)


def test_pytorch_without_a_cuda_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that names the device and the version."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match=f"needs a CUDA device, and torch {re.escape(torch.__version__)} sees none"):
        load("pytorch-cuda")


nested = SimpleNamespace(deeper=SimpleNamespace(backend=load(f"{MINE}:right")))
