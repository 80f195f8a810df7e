"""The ONNX model of a layer, and the two backends that run it: ONNX Runtime and the evaluator of the onnx package."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from backends import Backend, load
from conformance.strategies import numpy_dtype
from conformance.test_smoke import probes
from reference import Cell, Direction, Layer
from tests.adapted import accepted, bits
from tests.some_case import KINDS, LAYERS, arrays_in, backwards, read_only, some_case, transposed

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from backends import onnx_graph  # noqa: E402  # only where onnx is
from backends.onnx_graph import Signature, inputs_of, model_of, parameters_of  # noqa: E402

SPECS = {
    "onnxruntime": "backends.onnx_runtime:OnnxRuntime",
    "onnxruntime-constants": "backends.onnx_runtime:OnnxRuntimeConstants",
    "onnx-reference": "backends.onnx_reference:OnnxReference",
}

LENGTHS = (2, 5, 3, 1)
"""Of the 4 rows and 5 steps of ``some_case``: unsorted, with T and 1 among them."""

SKIPPING = [
    replace(kind, input_size=2, input_mode="skip", num_layers=2, direction=direction)
    for kind in KINDS
    for direction in Direction
]

TANH_LAYERS = [layer for layer in LAYERS if layer.activation == "tanh"]

LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, num_layers=2, direction=Direction.BIDIRECTIONAL)


@pytest.fixture(scope="module", params=SPECS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each of the backends in turn."""
    return backend_called(request.param)


@pytest.fixture(scope="module", params=["onnxruntime", "onnxruntime-constants"])
def runtime(request: pytest.FixtureRequest) -> Backend:
    """ONNX Runtime in both forms."""
    return backend_called(request.param)


@pytest.fixture(scope="module")
def evaluator() -> Backend:
    """The evaluator of the onnx package."""
    return backend_called("onnx-reference")


def backend_called(name: str) -> Backend:
    if name.startswith("onnxruntime"):
        pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    backend = load(SPECS[name])
    assert backend.name == name
    return backend


def telling_dtypes(backend: Backend, layer: Layer) -> list[str]:
    """The dtypes claimed, less float32 for the RNN of ONNX Runtime, whose tanh is off by 1e-7 whatever its size.

    It is 2*sigmoid(2x) - 1, and what float32 could tell of the adapter drowns in that.
    """
    inexact = backend.name.startswith("onnxruntime") and layer.cell is Cell.RNN and layer.activation == "tanh"
    return [dtype for dtype in backend.capabilities.dtypes if not (inexact and dtype == "float32")]


# The model


@pytest.mark.parametrize("layer", [*LAYERS, *SKIPPING], ids=str)
def test_every_model_passes_the_checker(layer: Layer) -> None:
    """In every dtype, with all that is optional and without, and with the shapes that it infers."""
    for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
        for lengths, states in ((None, False), (LENGTHS, True)):
            case = some_case(layer, lengths=lengths, states=states).astype(dtype)
            for constants in (None, parameters_of(case)):
                onnx.checker.check_model(model_of(Signature.of(case), constants), full_check=True)


@pytest.mark.parametrize("constants", [False, True])
@pytest.mark.parametrize("layer", [LSTM, replace(LSTM, bias=False), replace(LSTM, num_layers=1)], ids=str)
def test_the_inputs_are_those_that_a_case_has(layer: Layer, constants: bool) -> None:
    """By name, in any order: parameters are inputs or initializers, and no initializer goes unused."""
    for lengths, states in ((None, True), (LENGTHS, False), (LENGTHS, True), (None, False)):
        case = some_case(layer, lengths=lengths, states=states)
        parameters = parameters_of(case)
        graph = model_of(Signature.of(case), parameters if constants else None).graph
        expected = {*inputs_of(case)} if constants else {*inputs_of(case), *parameters}
        assert {value.name for value in graph.input} == expected
        assert [value.name for value in graph.output] == ["y", "h_n", "c_n"]
        initializers = {value.name for value in graph.initializer}
        assert initializers & {*parameters} == ({*parameters} if constants else set())
        assert initializers <= {name for node in graph.node for name in node.input}


def test_the_gates_lie_in_the_order_of_onnx() -> None:
    """iofc and zrh, the biases of the input before those of the state, and one direction after the other."""
    for cell, order in ((Cell.LSTM, (0, 3, 1, 2)), (Cell.GRU, (1, 0, 2)), (Cell.RNN, (0,))):
        layer = Layer(cell=cell, input_size=3, hidden_size=2, direction=Direction.BIDIRECTIONAL)
        case = some_case(layer)
        parameters = parameters_of(case)
        for d, w in enumerate(case.weights):
            assert w.w_ih is not None
            for place, gate in enumerate(order):
                rows = slice(2 * place, 2 * place + 2)
                np.testing.assert_array_equal(parameters["W_0"][d, rows], w.w_ih[gate])
                np.testing.assert_array_equal(parameters["R_0"][d, rows], w.w_hh[gate])
                np.testing.assert_array_equal(parameters["B_0"][d, rows], w.b_ih[gate])
                np.testing.assert_array_equal(parameters["B_0"][d, 2 * len(order) :][rows], w.b_hh[gate])


def test_the_model_can_be_read_by_onnx_runtime() -> None:
    """What onnx writes by default, opset and IR, may be newer than what ONNX Runtime reads."""
    model = model_of(Signature(LSTM, "float32", lengths=True, states=True))
    assert (model.ir_version, [(each.domain, each.version) for each in model.opset_import]) == (10, [("", 22)])


# Both


@pytest.mark.parametrize("cell", Cell, ids=str)
def test_every_parameter_of_every_gate_arrives(cell: Cell, backend: Backend) -> None:
    """Each by itself, in a layer of one unit and one step."""
    for reset_after in (True, False) if cell is Cell.GRU else (True,):
        layer = Layer(cell=cell, input_size=1, hidden_size=1, reset_after=reset_after)
        assert [probed for probed, case in probes(layer, "float32") if not accepted(backend, case)] == []


@pytest.mark.parametrize(("cell", "swapped"), [(Cell.LSTM, "oifg"), (Cell.GRU, "rzn")])
def test_two_gates_swapped_in_the_adapter_fail_smoke(
    cell: Cell, swapped: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong adapter is told by the smoke claim, before it looks like a wrong framework."""
    monkeypatch.setitem(onnx_graph.GATE_ORDER, cell, swapped)
    layer = Layer(cell=cell, input_size=1, hidden_size=1)
    assert [probed for probed, case in probes(layer, "float32") if not accepted(backend, case)] != []


@pytest.mark.parametrize("layer", TANH_LAYERS, ids=str)
def test_layers_and_directions_come_out_in_their_places(layer: Layer, backend: Backend) -> None:
    """Stacks, in every direction, and in every dtype that is claimed."""
    for dtype in telling_dtypes(backend, layer):
        case = some_case(layer).astype(numpy_dtype(dtype))
        assert accepted(backend, case)
        assert {array.dtype for _, array in backend.run(case).items()} == {case.dtype}


@pytest.mark.parametrize("layer", [replace(layer, bias=False) for layer in TANH_LAYERS], ids=str)
def test_biases_and_states_may_be_missing(layer: Layer, backend: Backend) -> None:
    """Optional inputs are left out, and those behind them keep their places."""
    for states in (True, False):
        assert accepted(backend, some_case(layer, states=states).astype(np.float16))


@pytest.mark.parametrize("layer", [layer for layer in SKIPPING if layer.activation == "tanh"], ids=str)
def test_layer_0_may_add_the_input_itself(layer: Layer, backend: Backend) -> None:
    """Products with identity matrices are exact: skip gives the bits that linear gives with w_ih of identities."""
    case = some_case(layer).astype(np.float32)
    identities = np.stack([np.eye(2, dtype=np.float32)] * layer.num_gates)
    weights = tuple(replace(w, w_ih=identities) if w.w_ih is None else w for w in case.weights)
    linear = replace(case, layer=replace(layer, input_mode="linear"), weights=weights)
    assert bits(backend.run(case)) == bits(backend.run(linear))
    assert accepted(backend, case.astype(np.float16))


@pytest.mark.parametrize("look", [read_only, backwards, transposed])
def test_arrays_of_every_layout_are_read_and_left_alone(look: Any, backend: Backend) -> None:
    """Read-only, of negative strides, not contiguous: to the bit what a plain copy gives."""
    case = some_case(LSTM).astype(np.float32)
    assert bits(backend.run(case.map(look))) == bits(backend.run(case))


def test_a_result_stays_as_it_is_when_more_is_run(backend: Backend) -> None:
    """No output is a view of a buffer that the next call fills, nor of the case."""
    case = some_case(LSTM).astype(np.float32)
    result = backend.run(case)
    before = bits(result)
    backend.run(some_case(LSTM, seed=1).astype(np.float32))
    for array in arrays_in(case):
        array[...] = 0
    assert bits(result) == before


def test_one_model_serves_every_batch_and_every_length(backend: Backend) -> None:
    """Calls of one layer with other sizes and other weights, in turn, give what each gives alone."""
    sizes = [(4, 5), (1, 1), (9, 3), (4, 5)]
    cases = [some_case(LSTM, batch=b, steps=t, seed=k).astype(np.float32) for k, (b, t) in enumerate(sizes)]
    assert len({Signature.of(case) for case in cases}) == 1
    first = [bits(backend.run(case)) for case in cases]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        assert [bits(backend.run(cases[k])) for k in order] == [first[k] for k in order]


# ONNX Runtime


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_onnx_runtime_keeps_to_the_lengths(layer: Layer, runtime: Backend) -> None:
    """Unsorted rows, in every layer and direction, relu too."""
    for dtype in telling_dtypes(runtime, layer):
        assert accepted(runtime, some_case(layer, lengths=LENGTHS).astype(dtype))


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_onnx_runtime_gives_a_row_of_length_0_a_state_of_zero(layer: Layer, runtime: Backend) -> None:
    """In every cell, direction and layer, whether other rows have steps or none has, which is the claimed dialect."""
    assert runtime.capabilities.zero_length == "zero"
    for lengths in ([0, 5, 0, 2], [0, 0, 0, 0]):
        case = some_case(layer, lengths=lengths).astype(np.float16)
        result = runtime.run(case)
        empty = np.array(lengths) == 0
        assert not any(np.any(array[:, empty]) for name, array in result.items() if name != "y")
        assert accepted(runtime, case)


def test_onnx_runtime_runs_on_one_thread() -> None:
    """Of the session's own pool; the test runner has a process on every core already."""
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    from backends.onnx_runtime import session_of

    options = session_of(model_of(Signature(LSTM, "float32", lengths=True, states=True))).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


@pytest.mark.parametrize("cell", Cell, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16])
def test_onnx_runtime_has_no_kernels_for_what_is_not_claimed(cell: Cell, dtype: Any, runtime: Backend) -> None:
    """The day that this fails, the adapter should claim the dtype."""
    case = some_case(Layer(cell=cell, input_size=3, hidden_size=2)).astype(dtype)
    with pytest.raises(Exception, match=r"does not support double yet|Could not find an implementation|bfloat16"):
        runtime.run(case)


# The evaluator


def test_the_evaluator_is_given_the_lengths() -> None:
    """That it ignores them is its own doing: they are in the model, at the place of sequence_lens, and in the call."""
    case = some_case(LSTM, lengths=LENGTHS)
    nodes = [node for node in model_of(Signature.of(case)).graph.node if node.op_type == "LSTM"]
    assert [node.input[4] for node in nodes] == ["lengths"] * 2
    assert inputs_of(case)["lengths"].tolist() == list(LENGTHS)
    assert inputs_of(case)["lengths"].dtype == np.int32


def test_the_evaluator_takes_lengths_that_are_all_t(evaluator: Backend) -> None:
    """What can be right of a case with lengths is right."""
    assert accepted(evaluator, some_case(LSTM, lengths=[5, 5, 5, 5]))
