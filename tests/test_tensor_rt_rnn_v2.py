"""RNNv2 said with a loop: the programs of the RNNv2 document, one after the other, and the add_rnn of before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import golden
import reference
from backends import BackendError
from backends.tensor_rt import api
from backends.tensor_rt.compiling import compiled
from backends.tensor_rt.interpreter import evaluate
from backends.tensor_rt.network import network_inputs
from backends.tensor_rt.rnn_v2 import (
    GATES,
    RNNDirection,
    RNNGateType,
    RNNInputMode,
    RNNLayer,
    RNNOperation,
    RNNv2Layer,
    add_rnn,
    add_rnn_v2,
)
from backends.tensor_rt.rnn_v2_layer import RNN_V2_CAPABILITIES, rnn_v2_network, tensorrt_rnnv2
from golden import Vector
from reference import Array, Case, Cell, Direction, Layer, Result
from tests.some_case import some_case
from tests.tensor_rt_module import tensorrt_or_skip

trt = tensorrt_or_skip()

DOCUMENT = {vector.id: vector for vector in golden.vectors() if vector.document == "tensorrt-rnnv2"}
FLOAT32 = 6 * 2.0**-24
"""What float32 may be off in these examples, as a share of the number."""


def evaluated(network: Any, outputs: dict[str, Any], **inputs: Array) -> dict[str, Array]:
    """The values of the given tensors, which become the outputs of the network, after TensorRT has compiled it."""
    for name, tensor in outputs.items():
        tensor.name = name
        network.mark_output(tensor)
    compiled(network)
    return evaluate(network, inputs)


def assert_printed(vector: Vector, name: str, value: Array) -> None:
    """Assert that a value is what a document prints, in the shape in which the document states it."""
    output = vector.output(name)
    assert value.shape == output.shape
    numbers = output.numbers()
    assert output.printed_shape == output.shape or numbers.value.size == value.size
    excess = golden.beyond_print(numbers, value.reshape(output.printed_shape), FLOAT32 * np.abs(value).max())
    assert np.max(excess) <= 0


class Program:
    """The lines that the programs of the document share, under the names that they have there."""

    def __init__(self, n_in: int = 1, c_in: int = 3, h_in: int = 4, w_in: int = 7, len_h: int = 5) -> None:
        self.nIn, self.cIn, self.hIn, self.wIn, self.lenH = n_in, c_in, h_in, w_in, len_h
        self.data = np.ones((n_in, c_in, h_in, w_in), np.float32)
        self.weightX = np.ones((len_h, w_in), np.float32)
        self.weightH = np.ones((len_h, len_h), np.float32)
        self.bias = np.zeros(len_h, np.float32)
        self.network = api.empty_network(trt)
        self.inputT0 = self.network.add_input("inputT0", trt.float32, (n_in, c_in, h_in, w_in))

    def constant(self, array: Array) -> Any:
        return self.network.add_constant(array.shape, array).get_output(0)

    def set_gates(self, rnn: RNNv2Layer, layers: int, x: Array | None, *kinds: RNNGateType) -> None:
        for layer in range(layers):
            for kind in kinds:
                if x is not None:
                    rnn.set_weights_for_gate(layer, kind, True, x)
                rnn.set_weights_for_gate(layer, kind, False, self.weightH)
                rnn.set_bias_for_gate(layer, kind, True, self.bias)
                rnn.set_bias_for_gate(layer, kind, False, self.bias)

    def run(self, rnn: RNNv2Layer | RNNLayer, *names: str, **inputs: Array) -> dict[str, Array]:
        outputs = {name: rnn.get_output(index) for index, name in enumerate(names)}
        return evaluated(self.network, outputs, inputT0=self.data, **inputs)


LSTM = (RNNGateType.INPUT, RNNGateType.CELL, RNNGateType.FORGET, RNNGateType.OUTPUT)


def test_the_initial_example() -> None:
    """初始示例代码: one ReLU layer from a state of zero."""
    p = Program()
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.RELU)
    p.set_gates(rnn, 1, p.weightX, RNNGateType.INPUT)
    values = p.run(rnn, "y", "h_n")
    assert_printed(DOCUMENT["initial"], "h_n", values["h_n"])
    assert values["y"].shape == (1, 3, 4, 5)
    np.testing.assert_array_equal(values["y"][0, :, :, 0], np.broadcast_to([7, 42, 217, 1092], (3, 4)))


def test_the_example_of_lengths() -> None:
    """seq_lengths: past its length a row gives zero, and its last state is that of its last step."""
    p, vector = Program(), DOCUMENT["seq-lengths"]
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.RELU)
    rnn.seq_lengths = p.network.add_input("inputT1", trt.int32, (p.nIn, p.cIn))
    p.set_gates(rnn, 1, p.weightX, RNNGateType.INPUT)
    values = p.run(rnn, "y", "h_n", inputT1=np.array([[4, 3, 2]], np.int32))
    for output in vector.outputs:
        assert_printed(vector, output.name, values[output.tensor])
    assert values["y"].shape == (1, 3, 4, 5)
    np.testing.assert_array_equal(values["y"][0, :, :, 0], [[7, 42, 217, 1092], [7, 42, 217, 0], [7, 42, 0, 0]])


def test_the_sizes_are_told() -> None:
    """num_layers & hidden_size & max_seq_length & data_length: as the document prints them."""
    p = Program()
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.RELU)
    printed = DOCUMENT["layer-attributes"].data["attributes"]
    assert printed == {name: getattr(rnn, name) for name in printed}


def test_the_example_of_skipped_input() -> None:
    """input_mode: the input takes the place of its product, and both biases are still set."""
    p, vector = Program(w_in=5), DOCUMENT["skip"]
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.RELU)
    rnn.input_mode = RNNInputMode.SKIP
    p.set_gates(rnn, 1, None, RNNGateType.INPUT)
    values = p.run(rnn, "y", "h_n")
    for output in vector.outputs:
        assert_printed(vector, output.name, values[output.tensor])


def test_a_skipped_input_still_needs_its_bias() -> None:
    """在 SKIP 模式...仍然需要设置 biasX: without it the document gets an error, and so does a program here."""
    p = Program(w_in=5)
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.RELU)
    rnn.input_mode = RNNInputMode.SKIP
    rnn.set_weights_for_gate(0, RNNGateType.INPUT, False, p.weightH)
    rnn.set_bias_for_gate(0, RNNGateType.INPUT, False, p.bias)
    with pytest.raises(ValueError, match=r"^bias of layer index 0, gate INPUT, is_w=True is missing"):
        rnn.get_output(0)


def test_the_example_of_both_directions() -> None:
    """direction: the two directions side by side in y, one after the other in h_n; layer index 1 is the reverse one."""
    p, vector = Program(), DOCUMENT["direction"]
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.RELU)
    rnn.direction = RNNDirection.BIDIRECTION
    p.set_gates(rnn, 2, p.weightX.T, RNNGateType.INPUT)  # (wIn, lenH), as the document has it
    values = p.run(rnn, "y", "h_n")
    assert_printed(vector, "y", values["y"])
    np.testing.assert_array_equal(values["h_n"], np.full((1, 3, 2, 5), 1092))


def test_the_example_of_an_initial_state() -> None:
    """hidden_state: a constant of ones."""
    p, vector = Program(), DOCUMENT["hidden-state"]
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.RELU)
    rnn.hidden_state = p.constant(np.ones((p.cIn, 1, p.lenH), np.float32))
    p.set_gates(rnn, 1, p.weightX, RNNGateType.INPUT)
    values = p.run(rnn, "y", "h_n")
    for output in vector.outputs:
        assert_printed(vector, output.name, values[output.tensor])


@pytest.mark.parametrize(
    ("name", "direction", "rows"),
    [("cell-state", RNNDirection.UNIDIRECTION, 1), ("bidirectional-lstm", RNNDirection.BIDIRECTION, 2)],
    ids=["cell-state", "bidirectional-lstm"],
)
def test_the_examples_of_an_lstm(name: str, direction: RNNDirection, rows: int) -> None:
    """cell_state, and the bidirectional LSTM: three outputs, as printed for the h_0 with which the prints agree."""
    p, vector = Program(), DOCUMENT[name]
    case = vector.case()
    assert case.h_0 is not None and case.c_0 is not None
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.LSTM)
    rnn.direction = direction
    rnn.hidden_state = p.constant(np.ascontiguousarray(case.h_0.swapaxes(0, 1)))
    rnn.cell_state = p.constant(np.ascontiguousarray(case.c_0.swapaxes(0, 1)))
    p.set_gates(rnn, rows, p.weightX, *LSTM)
    values = p.run(rnn, "y", "h_n", "c_n")
    for output in vector.outputs:
        if output.steps is None:
            assert_printed(vector, output.name, values[output.tensor])


def test_the_example_of_add_rnn() -> None:
    """add_rnn: weights and biases in one array each, set anew after the layer was made; time before batch."""
    p, vector = Program(), DOCUMENT["add-rnn"]
    network = api.empty_network(trt)  # the document's has an implicit batch of nIn in front of these axes
    x = network.add_input("inputT0", trt.float32, (p.cIn, p.hIn, p.wIn))
    shuffle = network.add_shuffle(x)
    shuffle.first_transpose = (1, 0, 2)
    random = np.random.default_rng(0)
    rnn = add_rnn(
        network,
        shuffle.get_output(0),
        1,
        p.lenH,
        p.hIn,
        RNNOperation.RELU,
        RNNInputMode.LINEAR,
        RNNDirection.UNIDIRECTION,
        random.random((p.lenH, p.wIn + p.lenH), np.float32),
        random.random(2 * p.lenH, np.float32),
    )
    rnn.weights = np.ones((p.lenH, p.wIn + p.lenH), np.float32)
    rnn.bias = np.zeros(2 * p.lenH, np.float32)
    values = evaluated(network, {"y": rnn.get_output(0), "h_n": rnn.get_output(1)}, inputT0=p.data[0])
    assert values["y"][None].shape == (1, 4, 3, 5)
    np.testing.assert_array_equal(values["y"][:, :, 0], np.repeat([[7], [42], [217], [1092]], 3, axis=1))
    assert values["h_n"][None].shape == vector.output("h_n").shape
    np.testing.assert_array_equal(values["h_n"], np.full((1, 3, 5), 1092))


def test_the_example_of_two_layers() -> None:
    """多层数的 RNN 的例子: the second layer reads the first, and both last states come out."""
    p, vector = Program(), DOCUMENT["two-layers"]
    rnn = add_rnn_v2(p.network, p.inputT0, 2, p.lenH, p.hIn, RNNOperation.RELU)
    p.set_gates(rnn, 2, p.weightH, RNNGateType.INPUT)
    rnn.set_weights_for_gate(0, RNNGateType.INPUT, True, p.weightX)
    values = p.run(rnn, "y", "h_n")
    for output in vector.outputs:
        assert_printed(vector, output.name, values[output.tensor])


def test_every_vector_of_the_document_is_among_these_tests() -> None:
    """A program that is added to the transcription is missed here."""
    assert set(DOCUMENT) == {
        *("initial", "seq-lengths", "layer-attributes", "skip", "direction", "hidden-state"),
        *("cell-state", "bidirectional-lstm", "add-rnn", "two-layers"),
    }


# ---- what the document's equal weights cannot tell apart

OPERATIONS = {
    RNNOperation.RELU: {"cell": Cell.RNN, "activation": "relu"},
    RNNOperation.TANH: {"cell": Cell.RNN},
    RNNOperation.LSTM: {"cell": Cell.LSTM},
    RNNOperation.GRU: {"cell": Cell.GRU},
}


def case_of(operation: RNNOperation, direction: RNNDirection, mode: RNNInputMode) -> Case:
    """A ragged float32 case of two layers, no two numbers of which are alike."""
    bidirectional = direction is RNNDirection.BIDIRECTION
    layer = Layer(
        **OPERATIONS[operation],  # type: ignore[arg-type]
        input_size=5 if mode is RNNInputMode.SKIP else 3,
        hidden_size=5,
        num_layers=2,
        direction=Direction.BIDIRECTIONAL if bidirectional else Direction.FORWARD,
        input_mode=mode.name.lower(),  # type: ignore[arg-type]
    )
    return some_case(layer, lengths=[4, 1, 0, 5]).astype(np.float32)


def assert_right(case: Case, values: dict[str, Array]) -> None:
    """Assert that y, h_n and c_n, in the layouts of the reference, are right."""
    result = Result(values["y"], values["h_n"], values.get("c_n"))
    for (name, got), (_, expected) in zip(result.items(), reference.run(case.astype(np.float64)).items()):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6, err_msg=name)


ALL = pytest.mark.parametrize(
    ("operation", "direction", "mode"),
    [(o, d, m) for o in RNNOperation for d in RNNDirection for m in RNNInputMode],
    ids=lambda value: value.name.lower(),
)


@ALL
def test_every_gate_layer_and_direction_has_its_place(
    operation: RNNOperation, direction: RNNDirection, mode: RNNInputMode
) -> None:
    """Weights that all differ, set gate by gate, give what the reference gives."""
    case = case_of(operation, direction, mode)
    network = api.empty_network(trt)
    x = network.add_input("x", trt.float32, case.x.shape)
    rnn = add_rnn_v2(network, x, 2, 5, case.num_steps, operation)
    rnn.direction, rnn.input_mode = direction, mode
    rnn.seq_lengths = network.add_input("lengths", trt.int32, (case.batch_size,))
    slots = len(case.weights)
    inputs = {"x": case.x, "lengths": case.row_lengths.astype(np.int32)}
    for name, attribute, state in (("h_0", "hidden_state", case.h_0), ("c_0", "cell_state", case.c_0)):
        if state is not None:
            setattr(rnn, attribute, network.add_input(name, trt.float32, (case.batch_size, slots, 5)))
            inputs[name] = state.swapaxes(0, 1)
    for index, w in enumerate(case.weights):
        for g, gate in enumerate(GATES[case.layer.cell]):
            if w.w_ih is not None:
                rnn.set_weights_for_gate(index, gate, True, w.w_ih[g])
            rnn.set_weights_for_gate(index, gate, False, w.w_hh[g])
            rnn.set_bias_for_gate(index, gate, True, w.b_ih[g])
            rnn.set_bias_for_gate(index, gate, False, w.b_hh[g])
    names = ("y", "h_n", "c_n") if case.c_0 is not None else ("y", "h_n")
    values = evaluated(network, {name: rnn.get_output(k) for k, name in enumerate(names)}, **inputs)
    assert_right(case, {name: value if name == "y" else value.swapaxes(0, 1) for name, value in values.items()})


@ALL
def test_concatenated_weights_are_taken_apart_in_the_documented_order(
    operation: RNNOperation, direction: RNNDirection, mode: RNNInputMode
) -> None:
    """add_rnn: for each layer and direction W of all gates, then R; an LSTM's gates as f i c o, a GRU's as z r h."""
    order = {Cell.RNN: [0], Cell.LSTM: [1, 0, 2, 3], Cell.GRU: [1, 0, 2]}
    case = case_of(operation, direction, mode)
    case = Case(case.layer, case.weights, case.x, case.h_0, case.c_0)
    gates = order[case.layer.cell]
    matrices, vectors = [], []
    for w in case.weights:
        matrices += [*([] if w.w_ih is None else [w.w_ih[gates].ravel()]), w.w_hh[gates].ravel()]
        vectors += [w.b_ih[gates].ravel(), w.b_hh[gates].ravel()]
    network = api.empty_network(trt)
    x = network.add_input("x", trt.float32, (case.num_steps, case.batch_size, case.layer.input_size))
    weights, bias = np.concatenate(matrices), np.concatenate(vectors)
    rnn = add_rnn(network, x, 2, 5, case.num_steps, operation, mode, direction, weights, bias)
    inputs = {"x": case.x.swapaxes(0, 1)}
    for name, attribute, state in (("h_0", "hidden_state", case.h_0), ("c_0", "cell_state", case.c_0)):
        if state is not None:
            setattr(rnn, attribute, network.add_input(name, trt.float32, state.shape))
            inputs[name] = state
    names = ("y", "h_n", "c_n") if case.c_0 is not None else ("y", "h_n")
    values = evaluated(network, {name: rnn.get_output(k) for k, name in enumerate(names)}, **inputs)
    assert_right(case, {**values, "y": values["y"].swapaxes(0, 1)})


# ---- what is refused, in one sentence


def lstm() -> RNNv2Layer:
    p = Program()
    rnn = add_rnn_v2(p.network, p.inputT0, 1, p.lenH, p.hIn, RNNOperation.LSTM)
    p.set_gates(rnn, 1, p.weightX, *LSTM)
    return rnn


def an_unknown_gate(rnn: RNNv2Layer) -> None:
    rnn.set_weights_for_gate(0, RNNGateType.RESET, True, np.ones((5, 7), np.float32))


def a_layer_too_many(rnn: RNNv2Layer) -> None:
    rnn.set_bias_for_gate(1, RNNGateType.INPUT, True, np.ones(5, np.float32))


def a_matrix_of_another_size(rnn: RNNv2Layer) -> None:
    rnn.set_weights_for_gate(0, RNNGateType.CELL, True, np.ones((5, 5), np.float32))


def skipping_an_input_of_another_size(rnn: RNNv2Layer) -> None:
    rnn.input_mode = RNNInputMode.SKIP


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (an_unknown_gate, "weights of layer index 0, gate RESET, is_w=True is set, but the layer has no such place"),
        (a_layer_too_many, "bias of layer index 1, gate INPUT, is_w=True is set, but the layer has no such place"),
        (
            a_matrix_of_another_size,
            "weights of layer index 0, gate CELL, is_w=True has shape (5, 5), but should have shape (5, 7)",
        ),
        (skipping_an_input_of_another_size, "the input has data_length 7, but should have hidden_size 5 for SKIP"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_fit_is_named(change: Callable[[RNNv2Layer], None], message: str) -> None:
    """One sentence says which setting it is and what it should be."""
    rnn = lstm()
    change(rnn)
    with pytest.raises(ValueError) as caught:
        rnn.get_output(0)
    assert str(caught.value) == message


def test_an_input_of_another_length_is_named() -> None:
    """max_seq_length is the size of the time axis."""
    p = Program()
    with pytest.raises(ValueError, match=r"^the input has shape \(1, 3, 4, 7\), but should have shape \(\*N, 6, E\)"):
        add_rnn_v2(p.network, p.inputT0, 1, p.lenH, 6, RNNOperation.RELU)


def test_concatenated_weights_of_another_size_are_named() -> None:
    """The number of elements that the layer takes is in the message."""
    network = api.empty_network(trt)
    x = network.add_input("x", trt.float32, (4, 3, 7))
    mode, direction = RNNInputMode.LINEAR, RNNDirection.UNIDIRECTION
    rnn = add_rnn(
        network, x, 1, 5, 4, RNNOperation.RELU, mode, direction, np.ones(59, np.float32), np.ones(10, np.float32)
    )
    with pytest.raises(ValueError, match=r"^weights has 59 elements, but should have 60$"):
        rnn.get_output(0)


# ---- the layer itself, as TensorRT 8 has it, with the loops of this module in its place


class TensorRT8:
    """A module that has RNNv2, as far as a program that uses it sees: what it adds to a network is a loop."""

    RNNOperation, RNNInputMode, RNNDirection, RNNGateType = RNNOperation, RNNInputMode, RNNDirection, RNNGateType

    def __getattr__(self, name: str) -> Any:
        return getattr(trt, name)


class Network8:
    """A network with ``add_rnn_v2``."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def add_rnn_v2(self, *arguments: Any) -> RNNv2Layer:
        return add_rnn_v2(self.network, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


@ALL
def test_a_case_is_told_to_the_layer_itself(
    operation: RNNOperation, direction: RNNDirection, mode: RNNInputMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter of RNNv2 sets every gate, state and length where the layer has it."""
    case = case_of(operation, direction, mode)
    case = Case(case.layer, case.weights, case.x, case.h_0, case.c_0, lengths=[4, 1, 2, 5])
    assert RNN_V2_CAPABILITIES.declines(case) is None
    network = Network8(api.empty_network(trt))
    monkeypatch.setattr(api, "empty_network", lambda module: network)
    monkeypatch.setattr(api, "module_of", lambda item: trt)
    built = rnn_v2_network(case, TensorRT8())  # type: ignore[arg-type]
    values = evaluate(built.network, network_inputs(case))
    assert_right(case, values)


def test_a_tensorrt_without_the_layer_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, with the version that is there."""
    monkeypatch.setattr(api, "tensorrt", lambda name: trt)
    with pytest.raises(BackendError, match=r"^backend 'tensorrt-rnnv2' needs TensorRT 8, .*, but has [\d.]+$"):
        tensorrt_rnnv2()
