"""What Keras does differently, on torch."""

from __future__ import annotations

import numpy as np

from conformance.deviations.deviation import Deviation
from conformance.deviations.erring import in_float32, one_unit
from reference import Case, Cell

FRAMEWORK = "Keras 3.15.1 on torch"

BACKENDS = ("keras",)


def _calls_matmul_of_keras(case: Case) -> bool:
    layer = case.layer
    is_plain = layer.cell is Cell.LSTM or (layer.cell is Cell.GRU and layer.reset_after)
    return case.dtype == np.float64 and (not is_plain or case.lengths is not None)


DEVIATIONS = (
    Deviation(
        name="keras-float64-products-in-float32",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="SimpleRNN, GRU without reset_after, and LSTM and GRU with a mask compute float64 products in float32.",
        should="float64; without a mask, LSTM and GRU do, so that a mask of ones changes their results.",
        seen="Errors of 1e-8 in what says float64: keras.ops.matmul casts both operands to float32.",
        concerns=_calls_matmul_of_keras,
        pinned=lambda: one_unit(Cell.RNN, [0.1], [0.1]).astype(np.float64),
        model=in_float32,
        links=("https://github.com/keras-team/keras/issues/23704",),
    ),
    Deviation(
        name="keras-sixteen-bit-layers-cannot-be-built",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="On the CPU, SimpleRNN, LSTM and GRU of dtype float16 or bfloat16 cannot be built.",
        should="They build, as they do with another recurrent_initializer.",
        seen="NotImplementedError: the default initializer is orthogonal, a QR, which torch does not have in 16 bits.",
    ),
    Deviation(
        name="keras-unrolled-backwards-with-a-mask-raises",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="A layer with unroll and go_backwards raises when it is given a mask.",
        should="What it gives with unroll=False.",
        seen="AttributeError: torch.flip is called on a tuple. So Bidirectional with unroll cannot have a mask.",
    ),
)
