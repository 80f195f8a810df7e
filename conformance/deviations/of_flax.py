"""What Flax does differently."""

from __future__ import annotations

import numpy as np

from conformance.deviations.deviation import Deviation
from conformance.deviations.erring import ROUNDING_ON_TOP, Loose, StepOf, one_unit, shows, with_activations
from conformance.deviations.lengths import padded
from reference import Case, Cell

FRAMEWORK = "Flax 0.12.8"

BACKENDS = ("flax",)

TANH = 7.7e-16
"""What the float64 tanh may be off, relative to it; this was seen from 19 to 20."""


def _has_empty_rows(case: Case) -> bool:
    return case.lengths is not None and 0 in case.row_lengths


def _erring_tanh() -> StepOf:
    return with_activations(tanh=lambda x: np.tanh(x) * (1 + TANH))


def _is_float64_tanh(case: Case) -> bool:
    return case.dtype == np.float64 and case.layer.activation == "tanh" and shows(case, _erring_tanh(), ROUNDING_ON_TOP)


DEVIATIONS = (
    Deviation(
        name="flax-zero-length-reads-the-padding",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="RNN with seq_lengths returns, for a row of length 0, the carry after all of its padding.",
        should="Flax: what is past the length is ignored. The initial carry, whatever stands in the padding.",
        seen="carries[seq_lengths - 1] takes the last one where the length is 0, in nnx and in linen; NaN comes out.",
        concerns=_has_empty_rows,
        pinned=lambda: padded(Cell.RNN, [1], [1, 2], length=0, h_0=0.5),
    ),
    Deviation(
        name="flax-float64-tanh-is-not-monotonic",
        framework=f"{FRAMEWORK} with JAX 0.10.2",
        backends=BACKENDS,
        does="The float64 tanh of XLA on the CPU is off by up to 7 units in the last place, and falls here and there.",
        should="A tanh within two units in the last place, and monotonic, as numpy's is.",
        seen="0.99999999999999922 from 19 to 20, and 1 beyond; up and down by 5 units from 15 to 18; 4 units below 3.",
        concerns=_is_float64_tanh,
        pinned=lambda: one_unit(Cell.RNN, [1], list(np.linspace(19, 20, 64))).astype(np.float64),
        model=lambda truth: Loose.of(truth, _erring_tanh()),
    ),
    Deviation(
        name="flax-gru-without-b-hn",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="nnx.GRUCell has no bias b_hn.",
        should="Its own equation, n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), has one, and linen.GRUCell does too.",
        seen="The parameters are dense_h.kernel, dense_i.kernel and dense_i.bias.",
        links=("https://github.com/google/flax/issues/5594",),
    ),
    Deviation(
        name="flax-simple-cell-computes-in-float32",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="nnx.SimpleCell computes in float32 whatever the dtype of its inputs and parameters.",
        should="The dtype of its inputs and parameters, as the other cells of nnx and linen.SimpleCell do.",
        seen="Its dtype defaults to float32, that of the others to None; float64 inputs and parameters give float32.",
    ),
    Deviation(
        name="flax-sixteen-bit-parameters-cannot-be-made",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="OptimizedLSTMCell, GRUCell and SimpleCell cannot be constructed with parameters of 16 bits.",
        should="They construct, as LSTMCell does.",
        seen="NotImplementedError: the default initializer is orthogonal, a QR, which does not exist in 16 bits.",
    ),
    Deviation(
        name="flax-carry-of-several-batch-axes",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="RNN with seq_lengths and return_carry picks wrong carries where the batch has more than one axis.",
        should="Flax: inputs are (*batch, time, *features). A carry of shape (*batch, features).",
        seen="(2, 2) gives a carry of shape (2, 2, 2, 1) in place of (2, 2, 1); (2, 3) raises.",
    ),
)
