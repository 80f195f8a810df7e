"""What OpenVINO does differently, in its CPU plugin."""

from __future__ import annotations

import math

from conformance.deviations.deviation import Deviation
from conformance.deviations.erring import is_relu_of_nan, one_unit
from conformance.deviations.lengths import has_padding, padded, without_lengths
from reference import Cell

FRAMEWORK = "OpenVINO 2026.4.1"

BACKENDS = ("openvino", "openvino-dynamic")

DEVIATIONS = (
    Deviation(
        name="openvino-lengths-ignored-with-dynamic-shapes",
        framework=FRAMEWORK,
        backends=("openvino-dynamic",),
        does="LSTMSequence, GRUSequence and RNNSequence ignore sequence_lengths where batch or time is dynamic.",
        should="What the same model gives with static shapes, where lengths count.",
        seen="Outputs past the length, final states after the padding, no warning; the weights are constants.",
        concerns=has_padding,
        pinned=lambda: padded(Cell.LSTM, [1, 1, 1, 1], [1, 2], length=1),
        model=without_lengths,
    ),
    Deviation(
        name="openvino-relu-of-nan-is-zero",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The relu of NaN is 0, and so is the state of RNNSequence with it.",
        should="NaN, as in numpy, PyTorch and JAX: a model that has diverged should not look healthy.",
        seen="Relu alone and in RNNSequence; with tanh the state is NaN.",
        concerns=is_relu_of_nan,
        pinned=lambda: one_unit(Cell.RNN, [1], [math.nan], activation="relu"),
    ),
    Deviation(
        name="openvino-zero-length-zero-state",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="A row of length 0 has a final state of zero, and not its initial state.",
        should="OpenVINO does not say; a state that is carried from call to call is lost. A declared dialect here.",
        seen="h_0 = 0.5 and a length of 0 give h_n = 0, with static shapes.",
    ),
    Deviation(
        name="openvino-bfloat16-by-default",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="A float32 model is computed in bfloat16 on processors with instructions for it, unless told otherwise.",
        should="float32. It is documented (INFERENCE_PRECISION_HINT), and leaves 8 of 24 bits all the same.",
        seen="An error of 1.5e-2 in an RNNSequence; none with that hint, or with EXECUTION_MODE_HINT = ACCURACY.",
    ),
)
