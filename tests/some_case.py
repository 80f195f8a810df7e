"""Cases for the tests of ``reference``: no two numbers are alike, so that nothing is symmetric by accident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reference import Array, Case, Cell, Direction, Layer, Weights

KINDS = (
    Layer(cell=Cell.RNN, input_size=3, hidden_size=2),
    Layer(cell=Cell.RNN, input_size=3, hidden_size=2, activation="relu"),
    Layer(cell=Cell.LSTM, input_size=3, hidden_size=2),
    Layer(cell=Cell.GRU, input_size=3, hidden_size=2),
    Layer(cell=Cell.GRU, input_size=3, hidden_size=2, reset_after=False),
)
"""One forward layer of every function there is."""

LAYERS = tuple(replace(kind, num_layers=2, direction=direction) for kind in KINDS for direction in Direction)
"""Two layers of each, in every direction."""


def some_case(
    layer: Layer,
    *,
    batch: int = 4,
    steps: int = 5,
    lengths: Sequence[int] | None = None,
    states: bool = True,
    seed: int = 0,
) -> Case:
    """A float64 case of ``layer`` whose entries lie in [-0.5, 0.5), which keeps rounding errors tame."""
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> Array:
        return random.uniform(-0.5, 0.5, shape)

    gates, hidden, directions = layer.num_gates, layer.hidden_size, layer.num_directions

    def weights_of(number: int) -> Weights:
        w_ih = None if number == 0 and layer.input_mode == "skip" else draw(gates, hidden, layer.input_size_of(number))
        scale = 1.0 if layer.bias else 0.0
        return Weights(w_ih, draw(gates, hidden, hidden), scale * draw(gates, hidden), scale * draw(gates, hidden))

    entries = layer.num_layers * directions
    return Case(
        layer,
        tuple(weights_of(k // directions) for k in range(entries)),
        draw(batch, steps, layer.input_size),
        draw(entries, batch, hidden) if states else None,
        draw(entries, batch, hidden) if states and layer.cell is Cell.LSTM else None,
        lengths,
    )


def arrays_in(case: Case) -> list[Array]:
    """Every floating array of a case."""
    of_weights = [a for w in case.weights for a in (w.w_ih, w.w_hh, w.b_ih, w.b_hh)]
    return [a for a in (case.x, case.h_0, case.c_0, *of_weights) if a is not None]


def read_only(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


def backwards(array: Array) -> Array:
    """The same content in memory that is walked from its end."""
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def transposed(array: Array) -> Array:
    """The same content with the axes in memory in reverse order."""
    return np.ascontiguousarray(array.T).T
