"""One time step of each cell as TensorRT layers: the equations of :mod:`reference.cells`, by the same names.

The arguments are alike everywhere. ``x`` is what the input contributes to all gates, (B, G*H); ``h`` and ``c`` are the
state before the step, (B, H). A step returns the state after it, the hidden state first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backends.tensor_rt.tensors import Tensor, Tensors
from reference import Array, Cell, Layer, Weights


def step(t: Tensors, layer: Layer, w: Weights, x: Tensor, state: Sequence[Tensor]) -> list[Tensor]:
    """The state after a step of the cell of ``layer``."""
    cells: dict[Cell, Callable[..., list[Tensor]]] = {
        Cell.RNN: rnn,
        Cell.LSTM: lstm,
        Cell.GRU: gru_reset_after if layer.reset_after else gru_reset_before,
    }
    return cells[layer.cell](t, layer, w, x, *state)


def rnn(t: Tensors, layer: Layer, w: Weights, x: Tensor, h: Tensor) -> list[Tensor]:
    """h' = act(x + h w_hh^T + b_hh)"""
    activation = t.relu if layer.activation == "relu" else t.tanh
    return [activation(t.add(x, recurrent_product(t, layer, h, w.w_hh, w.b_hh)))]


def lstm_gates(t: Tensors, layer: Layer, w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    """i, f, o = sigmoid(...), g = tanh(...), each of x + h w_hh^T + b_hh; returned in the order i, f, g, o."""
    i, f, g, o = gates(t, layer, t.add(x, recurrent_product(t, layer, h, w.w_hh, w.b_hh)))
    return t.sigmoid(i), t.sigmoid(f), t.tanh(g), t.sigmoid(o)


def lstm(t: Tensors, layer: Layer, w: Weights, x: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
    """c' = f*c + i*g;  h' = o*tanh(c')"""
    i, f, g, o = lstm_gates(t, layer, w, x, h)
    c = t.add(t.mul(f, c), t.mul(i, g))
    return [t.mul(o, t.tanh(c)), c]


def gru_reset_after(t: Tensors, layer: Layer, w: Weights, x: Tensor, h: Tensor) -> list[Tensor]:
    """r, z = sigmoid(...);  n = tanh(x_n + r*(h w_hn^T + b_hn));  h' = (1-z)*n + z*h"""
    x_r, x_z, x_n = gates(t, layer, x)
    h_r, h_z, h_n = gates(t, layer, recurrent_product(t, layer, h, w.w_hh, w.b_hh))
    r, z = t.sigmoid(t.add(x_r, h_r)), t.sigmoid(t.add(x_z, h_z))
    n = t.tanh(t.add(x_n, t.mul(r, h_n)))
    return [interpolated(t, z, n, h, w)]


def gru_reset_before(t: Tensors, layer: Layer, w: Weights, x: Tensor, h: Tensor) -> list[Tensor]:
    """r, z = sigmoid(...);  n = tanh(x_n + (r*h) w_hn^T + b_hn);  h' = (1-z)*n + z*h"""
    x_r, x_z, x_n = gates(t, layer, x)
    h_r, h_z = gates(t, layer, recurrent_product(t, layer, h, w.w_hh[:2], w.b_hh[:2]), num_gates=2)
    r, z = t.sigmoid(t.add(x_r, h_r)), t.sigmoid(t.add(x_z, h_z))
    n = t.tanh(t.add(x_n, recurrent_product(t, layer, t.mul(r, h), w.w_hh[2:], w.b_hh[2:])))
    return [interpolated(t, z, n, h, w)]


def interpolated(t: Tensors, z: Tensor, n: Tensor, h: Tensor, w: Weights) -> Tensor:
    """(1-z)*n + z*h"""
    one = t.constant(np.ones((1, 1), w.w_hh.dtype))
    return t.add(t.mul(t.sub(one, z), n), t.mul(z, h))


def recurrent_product(t: Tensors, layer: Layer, h: Tensor, w_hh: Array, b_hh: Array) -> Tensor:
    """What the state contributes to the gates of ``w_hh``, h w_hh^T + b_hh: (B, H) -> (B, G*H), in one product."""
    product = t.matmul(h, t.constant(transposed(w_hh)))
    return t.add(product, t.constant(b_hh.reshape(1, -1))) if layer.bias else product


def gates(t: Tensors, layer: Layer, x: Tensor, num_gates: int | None = None) -> list[Tensor]:
    """(B, G*H) -> a (B, H) of every gate."""
    num_gates = num_gates or layer.num_gates
    apart = t.reshape(x, (-1, num_gates, layer.hidden_size))
    return [t.element(apart, g, axis=1) for g in range(num_gates)]


def transposed(w: Array) -> Array:
    """(G, H, N) -> (N, G*H), the gates side by side, to be multiplied with from the right."""
    return w.reshape(-1, w.shape[-1]).T
