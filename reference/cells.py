"""One time step of each cell, written as its equations.

The arguments are alike everywhere. ``x`` is what the input contributes, ``x_t w_ih^T + b_ih`` for every gate, of shape
(G, B, H): a layer projects all its steps in one product. ``h`` and ``c`` are the state before the step, (B, H).
``w_hh`` is (G, H, H), ``b_hh`` is (G, H). A step returns the new state as a tuple, the hidden state first.

Only numpy functions that exist for every kind of number are used, and no dtype is named: the same lines run on floats,
on noisy numbers and on balls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.case import Array, Cell, Layer

Step = Callable[..., tuple[Array, ...]]
"""``step(x, *state, w_hh, b_hh)`` returns the new state."""


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``.

    ``exp`` may overflow to infinity far below zero, and then the quotient is the right answer, 0.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    """Return ``max(x, 0)``; NaN stays NaN.

    >>> relu(np.array([-2.0, 3.0]))
    array([0., 3.])
    """
    return np.maximum(x, 0)


def gates(x: Array, w: Array, b: Array) -> Array:
    """Return ``x w_g^T + b_g`` for every gate g, the gate axis first.

    ``x`` is (..., N), ``w`` is (G, H, N), ``b`` is (G, H); the result is (G, ..., H).

    >>> gates(np.ones((3, 7)), np.ones((1, 5, 7)), np.zeros((1, 5)))[0, 0]
    array([7., 7., 7., 7., 7.])
    """
    num_gates, hidden, n = w.shape
    # The cast changes nothing but a bfloat16 product, which ml_dtypes returns in float32.
    products = (x.reshape(-1, n) @ w.reshape(num_gates * hidden, n).T).astype(x.dtype, copy=False)
    products += b.reshape(-1)
    return products.reshape(-1, num_gates, hidden).swapaxes(0, 1).reshape(num_gates, *x.shape[:-1], hidden)


def rnn_tanh(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
    """h' = tanh(x + h w_hh^T + b_hh)

    >>> rnn_tanh(np.array([[[0.5]]]), np.array([[2.0]]), np.array([[[0.25]]]), np.array([[-1.0]]))
    (array([[0.]]),)
    """
    (x_h,), (h_h,) = x, gates(h, w_hh, b_hh)
    return (np.tanh(x_h + h_h),)


def rnn_relu(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
    """h' = max(x + h w_hh^T + b_hh, 0)

    Ones everywhere, I = 7 and H = 5: 7 + 5*1 = 12, then 7 + 5*12 = 67, 342, 1717.

    >>> h = np.ones((1, 5))
    >>> for step in range(4):
    ...     (h,) = rnn_relu(np.full((1, 1, 5), 7.0), h, np.ones((1, 5, 5)), np.zeros((1, 5)))
    ...     print(h[0, 0])
    12.0
    67.0
    342.0
    1717.0
    """
    (x_h,), (h_h,) = x, gates(h, w_hh, b_hh)
    return (relu(x_h + h_h),)


def lstm_gates(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array, Array, Array, Array]:
    """i, f, o = sigmoid(...), g = tanh(...), each of x + h w_hh^T + b_hh; returned in the order i, f, g, o."""
    i, f, g, o = x + gates(h, w_hh, b_hh)
    return sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)


def lstm(x: Array, h: Array, c: Array, w_hh: Array, b_hh: Array) -> tuple[Array, Array]:
    """c' = f*c + i*g;  h' = o*tanh(c')

    Saturated gates (i = f = o = 1) and g = 0 keep the cell:

    >>> x = np.array([100.0, 100.0, 0.0, 100.0]).reshape(4, 1, 1)
    >>> h, c = lstm(x, np.zeros((1, 1)), np.ones((1, 1)), np.zeros((4, 1, 1)), np.zeros((4, 1)))
    >>> c, h == np.tanh(1.0)
    (array([[1.]]), array([[ True]]))
    """
    i, f, g, o = lstm_gates(x, h, w_hh, b_hh)
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, c


def gru_reset_after(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
    """r, z = sigmoid(...);  n = tanh(x_n + r*(h w_hn^T + b_hn));  h' = (1-z)*n + z*h

    With z saturated at 1 the state stays:

    >>> x = np.array([0.0, 100.0, 3.0]).reshape(3, 1, 1)
    >>> gru_reset_after(x, np.array([[0.25]]), np.ones((3, 1, 1)), np.zeros((3, 1)))
    (array([[0.25]]),)
    """
    x_r, x_z, x_n = x
    h_r, h_z, h_n = gates(h, w_hh, b_hh)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * h,)


def gru_reset_before(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array]:
    """r, z = sigmoid(...);  n = tanh(x_n + (r*h) w_hn^T + b_hn);  h' = (1-z)*n + z*h

    With r saturated at 0 the candidate does not see the state:

    >>> x = np.array([-1000.0, -1000.0, 0.0]).reshape(3, 1, 1)
    >>> gru_reset_before(x, np.array([[0.25]]), np.ones((3, 1, 1)), np.zeros((3, 1)))
    (array([[0.]]),)
    """
    x_r, x_z, x_n = x
    h_r, h_z = gates(h, w_hh[:2], b_hh[:2])
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    (h_n,) = gates(r * h, w_hh[2:], b_hh[2:])
    n = np.tanh(x_n + h_n)
    return ((1 - z) * n + z * h,)


def step_of(layer: Layer) -> Step:
    """The step function of a layer."""
    steps: dict[Cell, Any] = {
        Cell.RNN: rnn_relu if layer.activation == "relu" else rnn_tanh,
        Cell.LSTM: lstm,
        Cell.GRU: gru_reset_after if layer.reset_after else gru_reset_before,
    }
    return steps[layer.cell]  # type: ignore[no-any-return]
