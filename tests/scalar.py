"""A second implementation of the semantics: plain numbers, lists and loops, sharing no code with ``reference``.

It takes one row after the other, cut to its length, so that there is no padding and nothing to mask, and one unit after
the other, so that there are no products of matrices. Where it and ``reference`` agree, two readings do.
Any number with ``+ - * max`` will do for a relu RNN; the other cells need what ``math`` takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from reference import Array, Case, Cell, Direction, Layer, Weights

Number = Any
Vector = list[Number]


@dataclass
class State:
    """What one direction of one layer carries through one row."""

    h: Vector
    c: Vector


@dataclass
class Outputs:
    """The fields of a ``Result`` as nested lists; ``c_n`` is zero for a cell that has no cell state."""

    y: list[list[Vector]]
    h_n: list[list[Vector]]
    c_n: list[list[Vector]]


class Unit:
    """The sums that unit ``j`` forms, by the letter of the gate."""

    def __init__(self, weights: Weights, letters: str, j: int) -> None:
        self.j = j
        self.letters = letters
        self.w_ih = None if weights.w_ih is None else weights.w_ih[:, j].tolist()
        self.w_hh = weights.w_hh[:, j].tolist()
        self.b_ih = weights.b_ih[:, j].tolist()
        self.b_hh = weights.b_hh[:, j].tolist()

    def of_input(self, letter: str, x: Vector) -> Number:
        gate = self.letters.index(letter)
        return (x[self.j] if self.w_ih is None else dot(self.w_ih[gate], x)) + self.b_ih[gate]

    def of_state(self, letter: str, h: Vector) -> Number:
        gate = self.letters.index(letter)
        return dot(self.w_hh[gate], h) + self.b_hh[gate]

    def both(self, letter: str, x: Vector, h: Vector) -> Number:
        return self.of_input(letter, x) + self.of_state(letter, h)


def dot(a: Vector, b: Vector) -> Number:
    return sum(p * q for p, q in zip(a, b, strict=True))


def sigmoid(v: float) -> float:
    # Written so that exp never overflows.
    return 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))


def next_state(layer: Layer, units: list[Unit], x: Vector, state: State) -> State:
    """One time step of one row."""
    new = State([], [])
    for unit in units:
        h, c = rnn_lstm_or_gru(layer, unit, units, x, state)
        new.h.append(h)
        new.c.append(c)
    return new


def rnn_lstm_or_gru(layer: Layer, unit: Unit, units: list[Unit], x: Vector, state: State) -> tuple[Number, Number]:
    """The new ``h`` and ``c`` of one unit."""
    h, c = state.h, state.c[unit.j]
    if layer.cell is Cell.RNN:
        total = unit.both("h", x, h)
        return (max(total, 0) if layer.activation == "relu" else math.tanh(total)), c
    if layer.cell is Cell.LSTM:
        forget, write = sigmoid(unit.both("f", x, h)), sigmoid(unit.both("i", x, h))
        c = forget * c + write * math.tanh(unit.both("g", x, h))
        return sigmoid(unit.both("o", x, h)) * math.tanh(c), c
    update = sigmoid(unit.both("z", x, h))
    if layer.reset_after:
        recurrent = sigmoid(unit.both("r", x, h)) * unit.of_state("n", h)
    else:
        recurrent = unit.of_state("n", [sigmoid(other.both("r", x, h)) * h[other.j] for other in units])
    return (1 - update) * math.tanh(unit.of_input("n", x) + recurrent) + update * h[unit.j], c


def run_one_direction(
    layer: Layer, weights: Weights, steps: list[Vector], state: State, backwards: bool
) -> tuple[list[Vector], State]:
    """The hidden state at every step, where it stands in time, and the last state visited."""
    letters = {Cell.RNN: "h", Cell.LSTM: "ifgo", Cell.GRU: "rzn"}[layer.cell]
    units = [Unit(weights, letters, j) for j in range(layer.hidden_size)]
    hidden: dict[int, Vector] = {}
    for t in sorted(range(len(steps)), reverse=backwards):
        state = next_state(layer, units, steps[t], state)
        hidden[t] = state.h
    return [hidden[t] for t in range(len(steps))], state


def run(case: Case) -> Outputs:
    """What ``reference.run`` should return."""
    layer = case.layer
    directions = {Direction.FORWARD: [False], Direction.REVERSE: [True], Direction.BIDIRECTIONAL: [False, True]}
    backwards = directions[layer.direction]
    entries = layer.num_layers * len(backwards)
    out = Outputs([], [[] for _ in range(entries)], [[] for _ in range(entries)])

    def initial(state: Array | None, entry: int, row: int) -> Vector:
        return [0] * layer.hidden_size if state is None else state[entry, row].tolist()

    for row, whole in enumerate(case.x.tolist()):
        length = len(whole) if case.lengths is None else int(case.lengths[row])
        steps = whole[:length]
        for number in range(layer.num_layers):
            halves = []
            for d, backward in enumerate(backwards):
                entry = number * len(backwards) + d
                start = State(initial(case.h_0, entry, row), initial(case.c_0, entry, row))
                hidden, last = run_one_direction(layer, case.weights[entry], steps, start, backward)
                out.h_n[entry].append(last.h)
                out.c_n[entry].append(last.c)
                halves.append(hidden)
            steps = [[value for half in at_t for value in half] for at_t in zip(*halves, strict=True)]
        zero = [0] * (layer.hidden_size * len(backwards))
        out.y.append(steps + [zero] * (len(whole) - length))
    return out
