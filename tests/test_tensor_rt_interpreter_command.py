"""The command, and what NVIDIA's ONNX parser makes of recurrent layers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.tensor_rt.interpreter import InterpreterError, Program
from backends.tensor_rt.interpreter.__main__ import main
from backends.tensor_rt.interpreter.onnx_model import parse_onnx
from reference import Array, Case, Cell, Direction, Layer, run
from tests.small_network import same_values
from tests.some_case import KINDS, some_case

onnx = pytest.importorskip("onnx", reason="the models of these tests are made with onnx")

OPERATORS = {Cell.RNN: "RNN", Cell.LSTM: "LSTM", Cell.GRU: "GRU"}
GATE_ORDER = {Cell.RNN: [0], Cell.LSTM: [0, 3, 1, 2], Cell.GRU: [1, 0, 2]}
"""ONNX has the gates in the order iofc and zrh."""
ORDINARY = {Cell.RNN: ["Tanh"], Cell.LSTM: ["Sigmoid", "Tanh", "Tanh"], Cell.GRU: ["Sigmoid", "Tanh"]}


def saved(
    path: Path,
    nodes: Sequence[Any],
    inputs: dict[str, Array],
    outputs: Sequence[str],
    constants: dict[str, Array] | None = None,
    sizes: dict[str, list[int | str]] | None = None,
) -> Path:
    """Write a model whose inputs are like ``inputs``, of their shapes or of ``sizes``."""
    helper, kinds = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, kinds(x.dtype), (sizes or {}).get(name, x.shape))
            for name, x in inputs.items()
        ],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(x, name) for name, x in (constants or {}).items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def weights_of(case: Case) -> dict[str, Array]:
    """W, R and B of ONNX."""
    order = GATE_ORDER[case.layer.cell]

    def stacked(name: str) -> Array:
        return np.stack([np.concatenate(getattr(w, name)[order]) for w in case.weights])

    return {"W": stacked("w_ih"), "R": stacked("w_hh"), "B": np.concatenate([stacked("b_ih"), stacked("b_hh")], axis=1)}


def inputs_of(case: Case) -> dict[str, Array]:
    """X, and what the case has of sequence_lens, initial_h and initial_c."""
    given = {"X": case.x.swapaxes(0, 1).copy()}
    if case.lengths is not None:
        given["sequence_lens"] = case.row_lengths.astype(np.int32)
    given |= {} if case.h_0 is None else {"initial_h": case.h_0}
    return given | ({} if case.c_0 is None else {"initial_c": case.c_0})


def model_of(case: Case, path: Path, dynamic: bool = False, **attributes: Any) -> Path:
    """An ONNX model of one node for a case of one layer."""
    layer = case.layer
    inputs, constants = inputs_of(case), weights_of(case)
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c"]
    names = [name if name in inputs or name in constants else "" for name in order]
    outputs = ["Y", "Y_h", *(["Y_c"] if layer.cell is Cell.LSTM else [])]
    if layer.activation == "relu":
        attributes["activations"] = ["Relu"] * layer.num_directions
    if layer.cell is Cell.GRU:
        attributes["linear_before_reset"] = int(layer.reset_after)
    node = onnx.helper.make_node(
        OPERATORS[layer.cell],
        names,
        outputs,
        hidden_size=layer.hidden_size,
        direction=str(layer.direction),
        **attributes,
    )
    sizes: dict[str, list[int | str]] = {"X": ["T", "B", layer.input_size], "sequence_lens": ["B"]}
    sizes |= {name: [layer.num_directions, "B", layer.hidden_size] for name in ("initial_h", "initial_c")}
    return saved(path, [node], inputs, outputs, constants, sizes if dynamic else None)


def evaluated(path: Path, inputs: dict[str, Array]) -> dict[str, Array]:
    model = parse_onnx(path)
    return Program(model.network).run(inputs)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("lengths", [None, (2, 5, 0, 1)], ids=["whole", "lengths"])
@pytest.mark.parametrize("states", [False, True], ids=["no-states", "states"])
@pytest.mark.parametrize("direction", Direction, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_parser_builds_a_recurrent_layer_as_onnx_defines_it(
    tmp_path: Path, kind: Layer, direction: Direction, states: bool, lengths: Sequence[int] | None, dynamic: bool
) -> None:
    """Its loops agree with the reference; a row of length 0 keeps its initial state, which ONNX leaves open."""
    layer = replace(kind, direction=direction)
    case = some_case(layer, lengths=lengths, states=states).astype(np.float32)
    got = evaluated(model_of(case, tmp_path / "model.onnx", dynamic), inputs_of(case))
    expected = run(case.astype(np.float64))
    y = got["Y"].transpose(2, 0, 1, 3).reshape(expected.y.shape)  # (T, D, B, H) in ONNX
    pairs = [(y, expected.y), (got["Y_h"], expected.h_n)]
    if expected.c_n is not None:
        pairs.append((got["Y_c"], expected.c_n))
    for value, wanted in pairs:
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-6)  # some 20 roundings of numbers below 1


def test_the_parser_makes_a_loop_of_a_scan_and_of_a_loop(tmp_path: Path) -> None:
    """A running sum by Scan; and by Loop, which ends where the sum is 6 or more."""
    helper, number, truth = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Add", ["sum", "x_i"], ["new"]), helper.make_node("Identity", ["new"], ["out"])],
        "body",
        [value("sum", number, [2]), value("x_i", number, [2])],
        [value("new", number, [2]), value("out", number, [2])],
    )
    scan = helper.make_node("Scan", ["start", "x"], ["last", "all"], num_scan_inputs=1, body=body)
    start, x = np.zeros(2, np.float32), np.arange(8, dtype=np.float32).reshape(4, 2)
    path = saved(tmp_path / "scan.onnx", [scan], {"start": start, "x": x}, ["last", "all"])
    got = evaluated(path, {"start": start, "x": x})
    same_values(got["last"], x.sum(0))
    same_values(got["all"], x.cumsum(0, dtype=np.float32))
    steps = [
        helper.make_node("Add", ["sum", "step"], ["new"]),
        helper.make_node("Less", ["new", "enough"], ["more"]),
        helper.make_node("Identity", ["more"], ["more_out"]),
    ]
    body = helper.make_graph(
        steps,
        "body",
        [value("i", onnx.TensorProto.INT64, []), value("before", truth, []), value("sum", number, [])],
        [value("more_out", truth, []), value("new", number, [])],
    )
    loop = helper.make_node("Loop", ["count", "true", "start"], ["last"], body=body)
    constants = {
        "count": np.array(10, np.int64),
        "true": np.array(True),
        "start": np.array(0, np.float32),
        "enough": np.array(6, np.float32),
    }
    path = saved(tmp_path / "loop.onnx", [loop], {"step": np.array(2.5, np.float32)}, ["last"], constants)
    for step, last in ((2.5, 7.5), (0.25, 2.5)):
        assert evaluated(path, {"step": np.array(step, np.float32)})["last"] == last


def one_unit(path: Path, x: float, **attributes: Any) -> float:
    """An RNN of one step and one unit, without bias and with weights of 1."""
    one = np.ones((1, 1, 1), np.float32)
    node = onnx.helper.make_node("RNN", ["X", "W", "R"], ["Y"], hidden_size=1, **attributes)
    saved(path, [node], {"X": one}, ["Y"], {"W": one, "R": one})
    return float(evaluated(path, {"X": one * np.float32(x)})["Y"].item())


def test_the_parser_takes_a_softplus_cell_for_zero(tmp_path: Path) -> None:
    """A fault of NVIDIA's parser: it sets alpha and beta of the activation to 0, and log(1 + exp(3)) is 3.05."""
    assert one_unit(tmp_path / "model.onnx", 3.0, activations=["Softplus"]) == 0.0


def test_the_parser_does_not_see_the_layout(tmp_path: Path) -> None:
    """A fault of NVIDIA's parser: with layout=1 the first axis is the batch, and it iterates over it all the same."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=3, hidden_size=2), states=False).astype(np.float32)
    model = model_of(case, tmp_path / "model.onnx", layout=1)
    got = evaluated(model, inputs_of(case))
    as_without = evaluated(model_of(case, tmp_path / "other.onnx"), inputs_of(case))
    for name, array in as_without.items():
        same_values(got[name], array)


def test_what_the_parser_refuses_comes_with_its_reason(tmp_path: Path) -> None:
    """A coupled input and forget gate, and a file that is no model."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=3, hidden_size=2), states=False).astype(np.float32)
    coupled = model_of(case, tmp_path / "model.onnx", input_forget=1)
    with pytest.raises(InterpreterError, match=r"TensorRT's parser refuses .*model.onnx: .*[Cc]oupled"):
        parse_onnx(coupled)
    nothing = tmp_path / "nothing.onnx"
    nothing.write_bytes(b"not a model")
    with pytest.raises(InterpreterError, match="TensorRT's parser refuses .*nothing.onnx"):
        parse_onnx(nothing)
    with pytest.raises(InterpreterError, match="there is no file .*missing.onnx, but should be an ONNX model"):
        parse_onnx(tmp_path / "missing.onnx")


@pytest.fixture(name="doubling")
def doubling_model(tmp_path: Path) -> Path:
    """y = x + x, over any number of rows of 2."""
    node = onnx.helper.make_node("Add", ["x", "x"], ["y"])
    return saved(tmp_path / "doubling.onnx", [node], {"x": np.ones((1, 2), np.float32)}, ["y"], sizes={"x": ["N", 2]})


def test_the_command_evaluates_a_model(doubling: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints a line for every output, and writes them where it is told to."""
    np.save(tmp_path / "x.npy", np.array([[1, 2], [3, np.nan]], np.float32))
    arguments = [str(doubling), "--input", f"x={tmp_path / 'x.npy'}", "--output", str(tmp_path / "results")]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "y: float32 (2, 2) min 2 mean 4 max 6 not finite 1",
        f"wrote {tmp_path / 'results' / 'y.npy'}",
    ]
    same_values(np.load(tmp_path / "results" / "y.npy"), np.array([[2, 4], [6, np.nan]], np.float32))


def test_the_command_lists_the_layers(doubling: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Inputs first, then every layer with what it reads and writes, then the outputs."""
    assert main([str(doubling), "--layers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "input x FLOAT (-1, 2)"
    assert lines[-1] == "output y FLOAT (-1, 2)"
    assert any("ELEMENTWISE" in line and "(x, x) -> (y FLOAT (-1, 2))" in line for line in lines)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], r"error: input 'x' is missing, but should be float32 of shape \(-1, 2\)"),
        (["--input", "x"], "error: --input is 'x', but should be NAME=FILE"),
        (["--input", "x=none.npy"], "error: 'none.npy' cannot be read as a .npy file"),
    ],
    ids=["no input", "no file name", "no file"],
)
def test_the_command_ends_in_one_sentence(
    doubling: Path, given: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the error stream, and with status 1."""
    assert main([str(doubling), *given]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert re.match(sentence, printed.err)


def test_the_command_runs_as_a_module(doubling: Path) -> None:
    """With nothing but its own lines, as the messages of TensorRT stay out of them."""
    command = [sys.executable, "-m", "backends.tensor_rt.interpreter", str(doubling), "--layers"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("input x FLOAT (-1, 2)\n")
