"""The cells once more, with a name for every place at which an implementation may go wrong.

With nothing replaced these equations give, bit for bit, what ``reference.cells`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference import Array, Cell, Layer, cells

Function = Callable[[Array], Array]
Step = cells.Step


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class Equations:
    """One time step of every cell."""

    sigmoid: Function = cells.sigmoid
    tanh: Function = np.tanh
    relu: Function = cells.relu
    of_gate: Mapping[str, Function] = field(default_factory=dict)
    """In place of sigmoid or tanh, for a gate by its letter; ``c`` is the cell state within ``h' = o*tanh(c')``."""
    product: Callable[[Array, Array, Array], Array] = cells.gates
    """``h, w_hh, b_hh``: what the state contributes to every gate."""
    total: Function = _same
    """Of the sums that the activations are applied to, gate axis first where there are several."""
    lstm_cell: Callable[[Array, Array, Array, Array], Array] = lambda i, f, g, c: f * c + i * g
    lstm_hidden: Callable[[Array, Array, Array, Array, Function], Array] = lambda o, new, old, g, act: o * act(new)
    gru_inner: Callable[[Array, Array], Array] = lambda r, h_n: r * h_n
    """With ``reset_after``: what the state contributes to the candidate."""
    gru_reset: Callable[[Array, Array], Array] = lambda r, h: r * h
    """Without ``reset_after``: the state that the candidate sees."""
    gru_hidden: Callable[[Array, Array, Array], Array] = lambda z, n, h: (1 - z) * n + z * h
    stored: Function = _same
    """Of every state that is kept from one step to the next."""
    around: Callable[[Step], Step] = _same
    """Of a step as a whole."""

    def step_of(self, layer: Layer) -> Step:
        """The step function of a layer."""
        gru = self._gru_after if layer.reset_after else self._gru_before
        steps: dict[Cell, Step] = {
            Cell.RNN: self._rnn_relu if layer.activation == "relu" else self._rnn_tanh,
            Cell.LSTM: self._lstm,
            Cell.GRU: gru,
        }
        return self.around(steps[layer.cell])

    def _of(self, gate: str) -> Function:
        return self.of_gate.get(gate, self.tanh if gate in "gnhc" else self.sigmoid)

    def _rnn_tanh(self, x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
        (total,) = self.total(x + self.product(h, w_hh, b_hh))
        return (self.stored(self._of("h")(total)),)

    def _rnn_relu(self, x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
        (total,) = self.total(x + self.product(h, w_hh, b_hh))
        return (self.stored(self.relu(total)),)

    def _lstm(self, x: Array, h: Array, c: Array, w_hh: Array, b_hh: Array) -> tuple[Array, Array]:
        totals = self.total(x + self.product(h, w_hh, b_hh))
        i, f, g, o = (self._of(gate)(total) for gate, total in zip("ifgo", totals))
        new = self.stored(self.lstm_cell(i, f, g, c))
        return self.stored(self.lstm_hidden(o, new, c, g, self._of("c"))), new

    def _gru_after(self, x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
        x_r, x_z, x_n = x
        h_r, h_z, h_n = self.product(h, w_hh, b_hh)
        r, z = self._of("r")(self.total(x_r + h_r)), self._of("z")(self.total(x_z + h_z))
        n = self._of("n")(self.total(x_n + self.gru_inner(r, h_n)))
        return (self.stored(self.gru_hidden(z, n, h)),)

    def _gru_before(self, x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
        x_r, x_z, x_n = x
        h_r, h_z = self.product(h, w_hh[:2], b_hh[:2])
        r, z = self._of("r")(self.total(x_r + h_r)), self._of("z")(self.total(x_z + h_z))
        (h_n,) = self.product(self.gru_reset(r, h), w_hh[2:], b_hh[2:])
        n = self._of("n")(self.total(x_n + h_n))
        return (self.stored(self.gru_hidden(z, n, h)),)
