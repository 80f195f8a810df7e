"""Cells whose equations are wrong, and states that do not reach the next step as they should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.faults.conditions import (
    A_STEP,
    GRU,
    H_0,
    LSTM,
    RECURRENT,
    RECURRENT_CELL,
    RESET_AFTER,
    RESET_BEFORE,
    STEPS,
    UNITS,
    Condition,
    at_least,
)
from conformance.faults.equations import Step
from conformance.faults.fault import Edits, Group
from conformance.faults.parts import Part, States
from reference import Array, Case, Cell

GROUP = Group(
    "Equations and the step",
    "There are two GRUs, two conventions for its update gate, and an LSTM has four gates that meet in two lines. A step"
    " reads the state that the step before wrote, in whole, and writes nothing that is still to be read.",
)


def equations(
    name: str, says: str, *, where: str, cell: Cell, changes: dict[str, Callable[..., Any]], **rest: Any
) -> None:
    """A fault of the equations alone."""
    edits = Edits(part=(lambda part: part.with_equations(**changes),))
    GROUP.add(name, says, edits, where=where, cells=(cell,), **rest)


def lstm(name: str, says: str, look_at: str, shows: Condition, kind: str | None = None, **changes: Any) -> None:
    """A fault of the equations of the LSTM."""
    where = "the cell state" if "lstm_cell" in changes else "the hidden state"
    equations(name, says, look_at=look_at, shows=LSTM & shows, kind=kind, where=where, cell=Cell.LSTM, changes=changes)


def gru(name: str, says: str, look_at: str, shows: Condition, kind: str | None = None, **changes: Any) -> None:
    """A fault of the equations of the GRU."""
    where = "the update of the state" if "gru_hidden" in changes else "the candidate n"
    equations(name, says, look_at=look_at, shows=shows, kind=kind, where=where, cell=Cell.GRU, changes=changes)


lstm(
    "h-from-the-candidate",
    "The hidden state is o*tanh(g), of the candidate instead of the cell.",
    "h' = o*tanh(c'), of the new cell state",
    A_STEP,
    "F12",
    lstm_hidden=lambda o, new, old, g, act: o * act(g),
)
lstm(
    "h-from-the-old-cell",
    "The hidden state is o*tanh(c), of the cell before the step.",
    "h' = o*tanh(c'), of the new cell state",
    A_STEP,
    "F12",
    lstm_hidden=lambda o, new, old, g, act: o * act(old),
)
lstm(
    "h-without-the-output-gate",
    "The hidden state is tanh(c') without the output gate.",
    "h' = o*tanh(c')",
    A_STEP,
    None,
    lstm_hidden=lambda o, new, old, g, act: act(new),
)
lstm(
    "cell-without-the-input-gate",
    "The candidate enters the cell whole: c' = f*c + g.",
    "c' = f*c + i*g",
    A_STEP,
    None,
    lstm_cell=lambda i, f, g, c: f * c + g,
)
lstm(
    "cell-without-the-forget-gate",
    "The cell forgets nothing: c' = c + i*g.",
    "c' = f*c + i*g",
    RECURRENT_CELL,
    None,
    lstm_cell=lambda i, f, g, c: c + i * g,
)
lstm(
    "forget-gate-coupled-to-the-input-gate",
    "The forget gate is 1-i, and its own parameters are ignored.",
    "an input_forget option that is always on",
    RECURRENT_CELL,
    None,
    lstm_cell=lambda i, f, g, c: (1 - i) * c + i * g,
)
lstm(
    "input-gate-coupled-to-the-forget-gate",
    "The input gate is 1-f, and its own parameters are ignored.",
    "an input_forget option that is always on",
    A_STEP,
    None,
    lstm_cell=lambda i, f, g, c: f * c + (1 - f) * g,
)

gru(
    "update-gate-inverted",
    "The update gate blends the wrong way round: h' = z*n + (1-z)*h.",
    "which of the two conventions of the update gate is meant: z = 1 keeps the state",
    GRU & A_STEP,
    "F11",
    gru_hidden=lambda z, n, h: z * n + (1 - z) * h,
)
gru(
    "gru-without-the-reset-gate",
    "The candidate sees the state whole, whatever the reset gate says.",
    "where r enters the candidate",
    GRU & A_STEP,
    "F54",
    gru_inner=lambda r, h_n: h_n,
    gru_reset=lambda r, h: h,
)
gru(
    "reset-gate-inverted",
    "The candidate sees the state times 1-r.",
    "the sign of the reset gate",
    GRU & A_STEP,
    None,
    gru_inner=lambda r, h_n: (1 - r) * h_n,
    gru_reset=lambda r, h: (1 - r) * h,
)
gru(
    "candidate-not-scaled-by-the-update-gate",
    "The candidate enters whole: h' = n + z*h.",
    "h' = (1-z)*n + z*h",
    GRU & A_STEP,
    None,
    gru_hidden=lambda z, n, h: n + z * h,
)
gru(
    "old-state-not-scaled-by-the-update-gate",
    "The old state stays whole: h' = (1-z)*n + h.",
    "h' = (1-z)*n + z*h",
    GRU & RECURRENT,
    None,
    gru_hidden=lambda z, n, h: (1 - z) * n + h,
)


@GROUP.case(
    "gru-resets-before-the-product",
    "The reset gate scales the state before the recurrent product, though after it was asked for.",
    look_at="linear_before_reset or reset_after, and its default",
    where="the candidate n",
    shows=RESET_AFTER & A_STEP,
    kind="F10",
    cells=(Cell.GRU,),
)
def _(case: Case) -> Case:
    return replace(case, layer=replace(case.layer, reset_after=False))


@GROUP.case(
    "gru-resets-after-the-product",
    "The reset gate scales the recurrent product, though the state before it was asked for.",
    look_at="linear_before_reset or reset_after, and its default",
    where="the candidate n",
    shows=RESET_BEFORE & A_STEP,
    kind="F10",
    cells=(Cell.GRU,),
)
def _(case: Case) -> Case:
    return replace(case, layer=replace(case.layer, reset_after=True))


def _reset_of_everything(step: Step) -> Step:
    """n = tanh(r*(x_n + ...)): the reset gate scales what the input contributes too."""

    def wrong(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array, ...]:
        from reference.cells import gates, sigmoid

        r = sigmoid(x[0] + gates(h, w_hh[:1], b_hh[:1])[0])
        return step(np.stack([x[0], x[1], r * x[2]]), h, w_hh, b_hh)

    return wrong


equations(
    "reset-gate-scales-the-input-too",
    "The reset gate also scales what the input contributes to the candidate.",
    look_at="n = tanh(x_n + r*(...)): r applies to the recurrent part only",
    shows=GRU & A_STEP,
    where="the candidate n",
    cell=Cell.GRU,
    changes={"around": _reset_of_everything},
)


def _update_before_read(step: Step) -> Step:
    """Unit after unit; each one reads the new h of those before it."""

    def wrong(x: Array, *rest: Array) -> tuple[Array, ...]:
        state, (w_hh, b_hh) = rest[:-2], rest[-2:]
        mixed = state[0].copy()
        new = tuple(array.copy() for array in state)
        for j in range(mixed.shape[1]):
            for whole, value in zip(new, step(x, mixed, *state[1:], w_hh, b_hh)):
                whole[:, j] = value[:, j]
            mixed[:, j] = new[0][:, j]
        return new

    return wrong


GROUP.part(
    "h-overwritten-while-read",
    "The new h of a unit is stored over the old one, which the units after it still have to read.",
    look_at="whether h_t is written into the buffer of h_(t-1), and fused loops",
    where="the recurrent product",
    shows=UNITS & A_STEP,
    kind="F16",
)(lambda part: part.with_equations(around=_update_before_read))


def carried(
    name: str,
    says: str,
    look_at: str,
    shows: Condition,
    start_of: Callable[[list[States]], States],
    cells: tuple[Cell, ...] = tuple(Cell),
    kind: str | None = "F15",
) -> None:
    """A fault in which a step starts from a wrong state."""
    GROUP.part(name, says, look_at=look_at, where="the state between steps", shows=shows, kind=kind, cells=cells)(
        lambda part: replace(part, start_of=start_of)
    )


carried(
    "state-not-carried",
    "Every step starts from the initial state.",
    "what each step of the loop reads as its state",
    STEPS,
    lambda states: states[0],
)
carried(
    "h-not-carried",
    "Every step starts from h_0; only the cell state is carried.",
    "what each step of the loop reads as h",
    LSTM & STEPS,
    lambda states: (states[0][0], states[-1][1]),
    (Cell.LSTM,),
)
carried(
    "c-not-carried",
    "Every step starts from c_0; only the hidden state is carried.",
    "what each step of the loop reads as c",
    LSTM & STEPS,
    lambda states: (states[-1][0], states[0][1]),
    (Cell.LSTM,),
)
carried(
    "state-one-step-late",
    "A step reads the state from before the step before it.",
    "whether the buffers of old and new state are exchanged after every step",
    STEPS,
    lambda states: states[max(0, len(states) - 2)],
)
carried(
    "initial-state-added-at-every-step",
    "Every step starts from the carried state plus the initial one.",
    "whether the initial state is added outside the loop, once",
    STEPS & (H_0 | RECURRENT_CELL),
    lambda states: states[-1] if len(states) == 1 else tuple(a + b for a, b in zip(states[-1], states[0])),
    kind=None,
)

STEPS_OF_A_CHUNK = 16


def _from_zero_each_chunk(states: list[States]) -> States:
    fresh = len(states) > 1 and (len(states) - 1) % STEPS_OF_A_CHUNK == 0
    return tuple(np.zeros_like(state) for state in states[-1]) if fresh else states[-1]


GROUP.part(
    "state-lost-between-chunks",
    f"Long sequences are run in chunks of {STEPS_OF_A_CHUNK} steps, and each chunk starts from zero.",
    look_at="how the state goes from one chunk, block or tile of steps to the next",
    where="the state between steps",
    shows=at_least("a length", STEPS_OF_A_CHUNK + 1, lambda case: int(max(case.row_lengths))),
)(lambda part: replace(part, start_of=_from_zero_each_chunk))


def _sums_the_state(step: Step) -> Step:
    def wrong(x: Array, h: Array, *rest: Array) -> tuple[Array, ...]:
        new = step(x, h, *rest)
        return (new[0] + h, *new[1:])

    return wrong


GROUP.part(
    "h-accumulated",
    "The new h is added to the old one instead of replacing it.",
    look_at="whether the buffer of h is overwritten or accumulated into",
    where="the hidden state",
    shows=RECURRENT,
)(lambda part: part.with_equations(around=_sums_the_state))


def _first_unit_for_all(part: Part) -> Part:
    """The recurrent product reads unit 0 of the state for every unit."""
    product = part.equations.product
    return part.with_equations(product=lambda h, w, b: product(np.repeat(h[:, :1], h.shape[1], axis=1), w, b))


GROUP.part(
    "recurrent-product-reads-unit-0-only",
    "The recurrent product reads unit 0 of the state in place of every unit.",
    look_at="the stride along the units of h within the product",
    where="the recurrent product",
    shows=UNITS & RECURRENT,
)(_first_unit_for_all)
