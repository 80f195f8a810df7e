"""A layer taken apart: every direction of every layer as a forward run of its own.

With nothing edited, the parts put together again are what ``reference.run`` returns, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.faults.equations import Equations
from reference import Array, Case, Cell, Direction, Result, Weights
from reference import run as reference_run

States = tuple[Array, ...]
"""h, and c of an LSTM, each (B, H)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """One direction of one layer, about to run forwards over its steps in the order in which it visits them."""

    case: Case
    """The whole of which it is a part."""
    number: int
    """Of its layer."""
    d: int
    """Of its direction: 0, or 1 for the second one of a bidirectional layer."""
    x: Array
    """(B, T, N) in the order of time: what the layer reads."""
    weights: Weights
    h_0: Array | None
    """(B, H)"""
    c_0: Array | None
    lengths: Array
    """(B,): how many steps each row runs."""
    read: Array
    """(B, T): the step of x that each row reads as its k-th."""
    write: Array
    """(B, T): the step of y at which the output of the k-th stands."""
    below: tuple[Result, ...] = ()
    """What the parts before it have returned."""
    equations: Equations = field(default_factory=Equations)
    project: Callable[[Array, Array, Array], Array] | None = None
    """``x, w_ih, b_ih``: what the input contributes to every gate, (G, B, T, H); None: as the reference does."""
    start_of: Callable[[list[States]], States] | None = None
    """The state that the next step starts from, given all states so far, the initial one first; None: the last."""

    @property
    def slot(self) -> int:
        """Its place among weights and states."""
        return self.number * self.case.layer.num_directions + self.d

    @property
    def is_reverse(self) -> bool:
        """Whether it visits the last valid step of a row first."""
        return self.d == 1 or self.case.layer.direction is Direction.REVERSE

    @property
    def forward_order(self) -> Array:
        """(B, T): the steps as they come."""
        return np.broadcast_to(np.arange(self.case.num_steps), self.read.shape)

    def with_equations(self, **changes: Any) -> Part:
        """The same with some of its equations replaced."""
        return replace(self, equations=replace(self.equations, **changes))


def run_in_parts(case: Case, edit: Callable[[Part], Part], finished: Callable[[Part, Result], Result]) -> Result:
    """Run every part, edited, and put the results together."""
    below: list[Result] = []
    x = case.x
    for number in range(case.layer.num_layers):
        for d in range(case.layer.num_directions):
            part = edit(_part_of(case, number, d, x, tuple(below)))
            below.append(finished(part, run_part(part)))
        x = np.concatenate([result.y for result in below[-case.layer.num_directions :]], axis=2)
    states = [np.concatenate([getattr(part, name) for part in below]) for name in _state_names(case)]
    return Result(x, *states)


def _part_of(case: Case, number: int, d: int, x: Array, below: tuple[Result, ...]) -> Part:
    k = number * case.layer.num_directions + d
    steps, lengths = np.arange(case.num_steps), case.row_lengths[:, None]
    forward = np.broadcast_to(steps, (case.batch_size, case.num_steps))
    backward = np.where(steps < lengths, lengths - 1 - steps, steps)
    order = backward if d == 1 or case.layer.direction is Direction.REVERSE else forward
    return Part(
        case=case,
        number=number,
        d=d,
        x=x,
        weights=case.weights[k],
        h_0=None if case.h_0 is None else case.h_0[k],
        c_0=None if case.c_0 is None else case.c_0[k],
        lengths=case.row_lengths,
        read=order,
        write=order,
        below=below,
    )


def run_part(part: Part) -> Result:
    """The result of one part: y (B, T, H), each state (1, B, H)."""
    rows = np.arange(part.case.batch_size)[:, None]
    single = _single(part, part.x[rows, part.read])
    result = _run(single, part) if part.start_of is None else _run_stepwise(single, part, part.start_of)
    y = np.zeros_like(result.y)
    y[rows, part.write] = result.y
    return replace(result, y=y)


def _single(part: Part, x: Array) -> Case:
    """The part as a case."""
    layer, weights = part.case.layer, part.weights
    if part.project is not None and weights.w_ih is not None:
        # The reference then multiplies what is already a sum by a matrix that only picks, which is exact.
        projected = np.moveaxis(part.project(x, weights.w_ih, weights.b_ih), 0, 2)
        x = projected.reshape(*x.shape[:2], -1)
        picks = np.eye(x.shape[2], dtype=x.dtype).reshape(weights.b_ih.shape + x.shape[2:])
        weights = replace(weights, w_ih=picks, b_ih=np.zeros_like(weights.b_ih))
    has_bias = bool(np.any(weights.b_ih != 0) or np.any(weights.b_hh != 0))
    layer = replace(
        layer,
        num_layers=1,
        direction=Direction.FORWARD,
        input_size=x.shape[2],
        input_mode="skip" if weights.w_ih is None else "linear",
        bias=layer.bias or has_bias,
    )
    h_0, c_0 = (None if state is None else state[None] for state in (part.h_0, part.c_0))
    lengths = None if np.all(part.lengths == x.shape[1]) else part.lengths
    return Case(layer, (weights,), x, h_0, c_0, lengths)


def _run(single: Case, part: Part) -> Result:
    return reference_run(single, step_of=part.equations.step_of)


def _run_stepwise(single: Case, part: Part, start_of: Callable[[list[States]], States]) -> Result:
    """One step after the other, each from the state that ``start_of`` gives."""
    zeros = np.zeros_like(single.x, shape=(single.batch_size, single.layer.hidden_size))
    names = _state_names(single)
    given = (single.h_0, single.c_0)[: len(names)]
    states: list[States] = [tuple(zeros if state is None else state[0] for state in given)]
    outputs = []
    for t in range(single.num_steps):
        h_0, *c_0 = (state[None] for state in start_of(states))
        lengths = (single.row_lengths > t).astype(np.int64)
        step = replace(single, x=single.x[:, t : t + 1], h_0=h_0, c_0=next(iter(c_0), None), lengths=lengths)
        result = _run(step, part)
        outputs.append(result.y)
        running = (single.row_lengths > t)[:, None]
        after = (getattr(result, name)[0] for name in names)
        states.append(tuple(np.where(running, new, old) for new, old in zip(after, states[-1])))
    return Result(np.concatenate(outputs, axis=1), *(state[None] for state in states[-1]))


def _state_names(case: Case) -> list[str]:
    return ["h_n", "c_n"] if case.layer.cell is Cell.LSTM else ["h_n"]
