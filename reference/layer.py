"""Time, direction, stacking and lengths: from one step to a whole layer.

Semantics:

- Of a row of length n, the steps 0..n-1 are valid. Past them ``y`` is exactly zero, and ``h_n``, ``c_n`` are the state
  after the last valid step; a row of length 0 keeps its initial state. Padding is never read.
- The reverse direction starts at step n-1 and ends at step 0. Its output stands at the step it was computed for.
- ``y`` of a bidirectional layer holds forward in the first H columns and reverse in the last H; the next layer reads
  that.
- Without ``h_0`` (and ``c_0``) the initial state is zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reference.case import Array, Case, Cell, Direction, Layer, Result, Weights
from reference.cells import Step, gates, step_of


def run(case: Case, step_of: Callable[[Layer], Step] = step_of) -> Result:
    """Run the layer of ``case`` in the arithmetic of its arrays.

    ``step_of`` gives the time step of a layer; whoever passes another one gets this layer around it.
    """
    layer = case.layer
    states = [_initial(case, case.h_0)]
    if layer.cell is Cell.LSTM:
        states.append(_initial(case, case.c_0))
    step = step_of(layer)
    lengths = None if case.lengths is None else case.row_lengths
    y = _without_padding(case)
    for number in range(layer.num_layers):
        x, y = y, np.zeros_like(y, shape=_output_shape(case))
        for d, order in enumerate(_orders(layer.direction, case.num_steps)):
            k = number * layer.num_directions + d
            columns = slice(d * layer.hidden_size, (d + 1) * layer.hidden_size)
            sweep(step, case.weights[k], x, [state[k] for state in states], y[:, :, columns], lengths, order)
    return Result(y, *states)


def sweep(
    step: Step, weights: Weights, x: Array, state: list[Array], y: Array, lengths: Array | None, order: range
) -> None:
    """Carry ``state`` through the valid steps of ``x`` in the given order, writing each hidden state into ``y``.

    ``x`` is (B, T, I), each state (B, H) and ``y`` (B, T, H); states and ``y`` are filled in place.
    """
    # Time first, so that what a step reads lies together.
    projected = input_projection(x.swapaxes(0, 1), weights)
    for t in order:
        # A row takes part in the steps within its length, so that it waits in its initial state for step n-1
        # when time runs backwards, and in its final one when time runs forwards.
        rows = slice(None) if lengths is None else lengths > t
        new = step(projected[:, t, rows], *(s[rows] for s in state), weights.w_hh, weights.b_hh)
        for s, value in zip(state, new):
            s[rows] = value
        y[rows, t] = new[0]


def input_projection(x: Array, weights: Weights) -> Array:
    """What the input contributes to every gate at every step: (T, B, I) -> (G, T, B, H), in one product.

    Without ``w_ih`` (``input_mode="skip"``) the input contributes itself.
    """
    if weights.w_ih is None:
        return x + weights.b_ih[:, None, None]
    return gates(x, weights.w_ih, weights.b_ih)


def _orders(direction: Direction, steps: int) -> list[range]:
    forward, reverse = range(steps), range(steps - 1, -1, -1)
    return {
        Direction.FORWARD: [forward],
        Direction.REVERSE: [reverse],
        Direction.BIDIRECTIONAL: [forward, reverse],
    }[direction]


def _initial(case: Case, state: Array | None) -> Array:
    """The initial state of all layers and directions, (L*D, B, H), free to be overwritten."""
    if state is not None:
        return state.copy()
    layer = case.layer
    return np.zeros_like(case.x, shape=(layer.num_layers * layer.num_directions, case.batch_size, layer.hidden_size))


def _without_padding(case: Case) -> Array:
    """``x`` with zeros for whatever stands in its padding, so that the one product over all steps cannot see it."""
    if case.lengths is None:
        return case.x
    x = case.x.copy()
    x[~case.valid] = 0
    return x


def _output_shape(case: Case) -> tuple[int, int, int]:
    return case.batch_size, case.num_steps, case.layer.num_directions * case.layer.hidden_size
