"""What MLX does differently on the CPU."""

from __future__ import annotations

import numpy as np

from conformance.deviations.deviation import Deviation
from conformance.deviations.erring import in_float32, one_unit
from reference import Case, Cell

FRAMEWORK = "MLX 0.32.4"


def _has_gates(case: Case) -> bool:
    return case.dtype == np.float64 and case.layer.cell is not Cell.RNN


DEVIATIONS = (
    Deviation(
        name="mlx-float64-sigmoid-in-float32",
        framework=FRAMEWORK,
        backends=("mlx",),
        does="The sigmoid and exp of float64 are computed in float32, and with them the gates of LSTM and GRU.",
        should="float64, which the result says it is, and which tanh, products and sums are.",
        seen="A relative error of 3e-7 of sigmoid and exp, and of 2e-16 of tanh.",
        concerns=_has_gates,
        pinned=lambda: one_unit(Cell.GRU, [0, -0.3, 0], [1], h_0=1.0).astype(np.float64),
        model=in_float32,
    ),
)
