"""What the ReferenceEvaluator of the ``onnx`` package does differently."""

from __future__ import annotations

from conformance.deviations.deviation import Deviation
from conformance.deviations.erring import one_unit
from conformance.deviations.lengths import has_padding, padded, without_lengths
from reference import Cell

FRAMEWORK = "onnx 1.23.2 (ReferenceEvaluator)"

BACKENDS = ("onnx-reference",)


DEVIATIONS = (
    Deviation(
        name="onnx-reference-ignores-sequence-lens",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="RNN, LSTM and GRU ignore sequence_lens: every row is run to its end.",
        should="ONNX: an optional tensor specifying the lengths of the sequences in a batch.",
        seen="In every direction; the argument is unused in the source.",
        concerns=has_padding,
        pinned=lambda: padded(Cell.LSTM, [1, 1, 1, 1], [1, 2], length=1),
        model=without_lengths,
        links=("https://onnx.ai/onnx/operators/onnx__LSTM.html",),
    ),
    Deviation(
        name="onnx-reference-rnn-knows-no-relu",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does='RNN raises on activations = ["Relu"].',
        should="ONNX: Relu, Tanh and Sigmoid are the activations that every implementation has.",
        seen="RuntimeError from the constructor of the operator.",
        concerns=lambda case: case.layer.activation == "relu",
        pinned=lambda: one_unit(Cell.RNN, [1], [1], activation="relu"),
    ),
    Deviation(
        name="onnx-reference-infinite-c-is-nan",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="LSTM multiplies the cell state by peepholes of zero where it has none.",
        should="Without the input P there are no peepholes: an infinite cell state gives o*tanh(inf) = o.",
        seen="NaN.",
    ),
    Deviation(
        name="onnx-reference-ignores-activations-clip-and-input-forget",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="LSTM and GRU ignore activations; RNN, LSTM and GRU ignore clip; LSTM ignores input_forget.",
        should="They are attributes of the operators.",
        seen="A bidirectional RNN uses the activation of its forward direction in both.",
    ),
)
