"""What ONNX Runtime does differently, on its CPU provider."""

from __future__ import annotations

import math

import numpy as np

from conformance.deviations.deviation import Deviation
from conformance.deviations.erring import SIGNS, Loose, StepOf, off_by, one_unit, shows, with_activations
from conformance.tolerance import has_nan
from reference import Case, Cell
from reference.cells import sigmoid

FRAMEWORK = "ONNX Runtime 1.31.1"

BACKENDS = ("onnxruntime", "onnxruntime-constants")

GATE = 2.0**-23
"""What the sigmoid of LSTM and GRU, and the tanh of RNN, may be off, whatever their size; 1.7e-7 was seen."""

CANDIDATE = 6e-7
"""What the tanh of the GRU may be off, relative to it; 10 units of 2^-24 just below 10, and 8 beyond, were seen."""


def _erring_tanh(signs: int = 0) -> StepOf:
    return with_activations(tanh=off_by(np.tanh, GATE, signs))


def _erring_gates(signs: int = 0) -> StepOf:
    return with_activations(sigmoid=off_by(sigmoid, GATE, signs))


def _erring_gru(signs: int = 0) -> StepOf:
    return with_activations(sigmoid=off_by(sigmoid, GATE, signs), tanh=lambda x: np.tanh(x) * (1 + CANDIDATE))


def _rnn_tanh(case: Case) -> bool:
    is_tanh = case.layer.cell is Cell.RNN and case.layer.activation == "tanh"
    return is_tanh and case.dtype == np.float32 and shows(case, _erring_tanh())


def _sigmoid(case: Case) -> bool:
    has_gates = case.layer.cell is not Cell.RNN
    return has_gates and case.dtype == np.float32 and shows(case, _erring_gates())


def _gru_candidate(case: Case) -> bool:
    return case.layer.cell is Cell.GRU and case.dtype == np.float32 and shows(case, _erring_gru())


def _loses_nan(case: Case) -> bool:
    layer = case.layer
    return has_nan(case) and (layer.activation == "relu" if layer.cell is Cell.RNN else layer.bias)


DEVIATIONS = (
    Deviation(
        name="onnxruntime-rnn-tanh-loses-small-numbers",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The tanh of the RNN operator is computed as 2*sigmoid(2x) - 1, which cancels: its error is absolute.",
        should="The tanh of a small number is that number; numpy, PyTorch and the LSTM operator keep its bits.",
        seen="An absolute error of up to 1.7e-7: tanh(1e-4) has 13 bits, and below 3e-8 the result is 0.",
        concerns=_rnn_tanh,
        model=lambda truth: Loose.of(truth, *map(_erring_tanh, SIGNS)),
        pinned=lambda: one_unit(Cell.RNN, [1], [1e-4]),
    ),
    Deviation(
        name="onnxruntime-sigmoid-loses-small-numbers",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The sigmoid of LSTM and GRU is 0.5 + p(x)/q(x), clamped at -18: its error is absolute.",
        should="A gate that is nearly closed is small and has a relative accuracy: exp(x)/(1 + exp(x)).",
        seen="An absolute error of up to 1.7e-7: sigmoid(-8) has 12 bits, and from -18 on the result is 0.",
        concerns=_sigmoid,
        model=lambda truth: Loose.of(truth, *map(_erring_gates, SIGNS)),
        pinned=lambda: one_unit(Cell.GRU, [0, -8, 0], [1], h_0=1.0),
    ),
    Deviation(
        name="onnxruntime-gru-candidate-exceeds-one",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The tanh of the GRU operator exceeds 1.",
        should="A tanh is at most 1, and within two units in the last place.",
        seen="10 units of 2^-24 just below 10, and 8 beyond: a saturated candidate, and so the state, is 1.0000005.",
        concerns=_gru_candidate,
        model=lambda truth: Loose.of(truth, *map(_erring_gru, SIGNS)),
        pinned=lambda: one_unit(Cell.GRU, [0, -0.2, 1], list(np.linspace(9.8, 10, 64))),
    ),
    Deviation(
        name="onnxruntime-nan-becomes-a-number",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="LSTM and GRU with a bias take a NaN pre-activation for the largest float32, and Relu takes it for 0.",
        should="NaN in an input gives NaN in what depends on it; without a bias it does.",
        seen="std::min(clip, x) and std::max(0, x) return their first argument where x is NaN.",
        concerns=_loses_nan,
        pinned=lambda: one_unit(Cell.RNN, [1], [math.nan], activation="relu"),
    ),
    Deviation(
        name="onnxruntime-cell-is-not-clipped",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The attribute clip of LSTM is not applied to the cell state before its tanh.",
        should="ONNX says that clip is applied to the input of activations, and h' = o*tanh(c').",
        seen="With clip = 1 and c = 200 the output is 0.5*tanh(100) and not 0.5*tanh(1).",
        links=("https://onnx.ai/onnx/operators/onnx__LSTM.html",),
    ),
    Deviation(
        name="onnxruntime-zero-length-zero-state",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="A row of length 0 has a final state of zero, and not its initial state.",
        should="ONNX does not say; a state that is carried from call to call is lost. A declared dialect here.",
        seen="In RNN, LSTM and GRU, in every direction.",
    ),
    Deviation(
        name="onnxruntime-empty-input-aborts",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="GRU on a sequence of no steps, and LSTM and GRU on an empty batch, abort the process.",
        should="An empty input has an empty output, or raises.",
        seen="SIGABRT. RNN and LSTM on no steps return zero in place of the initial state.",
    ),
    Deviation(
        name="onnxruntime-double-is-listed-and-refused",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="LSTM and GRU are listed with kernels for float64, and raise when such a session is run.",
        should="What has no kernel is refused when the session is made, and is not listed.",
        seen='"LSTM operator does not support double yet", from the first run.',
    ),
    Deviation(
        name="onnxruntime-layout-1-is-refused",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The attribute layout = 1, batch first, is refused.",
        should="It has been part of the operators RNN, LSTM and GRU since opset 14.",
        seen="An error when the session is made. TensorRT's parser takes the model, and ignores the attribute.",
    ),
)
