"""Initial states: ignored, given to the wrong layer, direction or row, or left over from another call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.faults.conditions import (
    A_STEP,
    BOTH_WAYS,
    C_0,
    H_0,
    H_0_ZEROS,
    LSTM,
    NAN,
    NO_STATES,
    ROWS,
    SLOTS,
    STACKED,
    STATES,
    Condition,
)
from conformance.faults.fault import Group, Run
from reference import Array, Case, Cell, Direction, Result

GROUP = Group(
    "Initial states",
    "There is a state for every layer, direction and row, and two of each for an LSTM. While they are zero, or equal,"
    " they may be ignored or mixed up without anybody noticing.",
)


def change_states(case: Case, change: Callable[[Array], Array]) -> Case:
    """The case with its initial states changed, those that are given."""
    return replace(
        case,
        h_0=None if case.h_0 is None else change(case.h_0),
        c_0=None if case.c_0 is None else change(case.c_0),
    )


def slots(order: Callable[[Case], Array]) -> Callable[[Case], Case]:
    """An edit: slot k of the states becomes what slot ``order[k]`` is."""
    return lambda case: change_states(case, lambda state: state[order(case)])


def state_fault(
    name: str,
    says: str,
    look_at: str,
    shows: Condition,
    edit: Callable[[Case], Case],
    kind: str | None,
    where: str = "h_0 and c_0",
    cells: tuple[Cell, ...] = tuple(Cell),
) -> None:
    """A fault in which other initial states are used than were given."""
    GROUP.case(name, says, look_at=look_at, where=where, shows=shows, kind=kind, cells=cells)(edit)


state_fault(
    "initial-states-ignored",
    "Every sequence starts from zero.",
    "whether h_0 and c_0 reach the kernel",
    STATES,
    lambda case: change_states(case, np.zeros_like),
    "F32",
)
state_fault(
    "h-0-ignored",
    "The hidden state starts from zero.",
    "whether h_0 reaches the kernel",
    H_0,
    lambda case: case if case.h_0 is None else replace(case, h_0=np.zeros_like(case.h_0)),
    "F32",
    "h_0",
)
state_fault(
    "c-0-ignored",
    "The cell state starts from zero.",
    "whether c_0 reaches the kernel",
    LSTM & C_0,
    lambda case: case if case.c_0 is None else replace(case, c_0=np.zeros_like(case.c_0)),
    "F32",
    "c_0",
    (Cell.LSTM,),
)
state_fault(
    "c-0-ignored-where-h-0-is-zero",
    "Where all of h_0 is zero, initial states are taken to be left out, and c_0 is left out with it.",
    "the test by which initial states of zeros are left out",
    LSTM & C_0 & H_0_ZEROS,
    lambda case: case if case.c_0 is None or np.any(case.h_0) else replace(case, c_0=np.zeros_like(case.c_0)),
    "F32",
    "c_0",
    (Cell.LSTM,),
)
state_fault(
    "h-0-and-c-0-swapped",
    "The hidden state starts from c_0 and the cell state from h_0.",
    "the order of h_0 and c_0: some frameworks have (c, h)",
    LSTM & STATES,
    lambda case: case if case.c_0 is None else replace(case, h_0=case.c_0, c_0=case.h_0),
    "F53",
    cells=(Cell.LSTM,),
)
state_fault(
    "h-0-used-for-both",
    "The cell state starts from h_0 too.",
    "which array the initial cell state is read from",
    LSTM & STATES,
    lambda case: case if case.c_0 is None else replace(case, c_0=case.h_0),
    None,
    "c_0",
    (Cell.LSTM,),
)
state_fault(
    "nan-in-a-state-is-zero",
    "A state that starts from NaN starts from zero.",
    "whether initial states are made numbers on their way to the kernel",
    NAN.called("NaN in an initial state"),
    lambda case: change_states(case, lambda state: np.where(np.isnan(state), np.zeros_like(state), state)),
    "F55",
)


def _other_direction(case: Case) -> Array:
    k = np.arange(len(case.weights))
    return k ^ 1 if case.layer.direction is Direction.BIDIRECTIONAL else k


def _first_direction(case: Case) -> Array:
    k = np.arange(len(case.weights))
    return k - k % case.layer.num_directions


def directions_first(case: Case) -> Array:
    """Which of the slots, counted layer by layer, stands where they are counted direction by direction."""
    layers, directions = case.layer.num_layers, case.layer.num_directions
    return np.arange(layers * directions).reshape(directions, layers).T.reshape(-1)


def _layer_0(case: Case) -> Array:
    return np.arange(len(case.weights)) % case.layer.num_directions


def _layers_reversed(case: Case) -> Array:
    k = np.arange(len(case.weights)).reshape(-1, case.layer.num_directions)
    return k[::-1].reshape(-1)


state_fault(
    "initial-states-of-the-directions-swapped",
    "Each direction starts from the initial state of the other.",
    "the order of the directions in h_0 and c_0",
    BOTH_WAYS & STATES,
    slots(_other_direction),
    "F33",
)
state_fault(
    "initial-state-of-the-first-direction-for-both",
    "Both directions start from the initial state of the first.",
    "which slot of h_0 and c_0 the second direction reads",
    BOTH_WAYS & STATES,
    slots(_first_direction),
    "F33",
)
state_fault(
    "initial-states-direction-by-direction",
    "The slots of the initial states are taken to be all layers of one direction, then all of the other.",
    "whether layer or direction counts faster along the first axis of h_0 and c_0",
    BOTH_WAYS & STACKED & STATES,
    slots(directions_first),
    "F33",
)
state_fault(
    "initial-state-of-layer-0-for-all",
    "Every layer starts from the initial state of layer 0.",
    "which slot of h_0 and c_0 each layer reads",
    STACKED & STATES,
    slots(_layer_0),
    "F34",
)
state_fault(
    "initial-states-of-the-layers-reversed",
    "The layers read their initial states in reverse order, the top one first.",
    "the order of the layers along the first axis of h_0 and c_0",
    STACKED & STATES,
    slots(_layers_reversed),
    "F34",
)
state_fault(
    "initial-states-one-slot-late",
    "Every layer and direction starts from the initial state of the next.",
    "the slice of h_0 and c_0 that each layer and direction reads",
    SLOTS & STATES,
    slots(lambda case: np.roll(np.arange(len(case.weights)), -1)),
    "F34",
)
state_fault(
    "initial-states-for-slot-0-only",
    "Only the first layer and direction has its initial state; the others start from zero.",
    "whether all slots of h_0 and c_0 are copied",
    SLOTS & STATES,
    lambda case: change_states(case, lambda s: np.where(np.arange(len(s))[:, None, None] == 0, s, np.zeros_like(s))),
    "F34",
)
state_fault(
    "initial-state-of-row-0-for-all",
    "Every row starts from the initial state of row 0.",
    "the stride along the batch axis of h_0 and c_0, and whether a batch of one is broadcast",
    ROWS & STATES,
    lambda case: change_states(case, lambda s: np.repeat(s[:, :1], s.shape[1], axis=1)),
    "F35",
)
state_fault(
    "initial-states-for-row-0-only",
    "Only row 0 has its initial state; the other rows start from zero.",
    "whether all rows of h_0 and c_0 are copied",
    ROWS & STATES,
    lambda case: change_states(case, lambda s: np.where(np.arange(s.shape[1])[:, None] == 0, s, np.zeros_like(s))),
    "F35",
)
state_fault(
    "initial-states-read-batch-first",
    "The memory of the initial states is read as (B, L*D, H).",
    "the axis order of h_0 and c_0: batch_first applies to x and y only",
    ROWS & SLOTS & STATES,
    lambda case: change_states(case, lambda s: s.reshape(s.shape[1], s.shape[0], s.shape[2]).swapaxes(0, 1)),
    "F35",
)
state_fault(
    "initial-states-read-units-first",
    "The memory of the initial states is read as (L*D, H, B).",
    "the axis order of h_0 and c_0",
    ROWS & STATES,
    lambda case: change_states(case, lambda s: s.reshape(s.shape[0], s.shape[2], s.shape[1]).swapaxes(1, 2)),
    "F35",
)


def keeping(name: str, says: str, look_at: str, shows: Condition, always: bool) -> None:
    """A fault in which a call starts where the last one of its size ended."""

    def around(run: Run) -> Run:
        last: dict[tuple[object, ...], Result] = {}

        def wrong(case: Case) -> Result:
            size = (len(case.weights), case.batch_size, case.layer.hidden_size, case.layer.cell, case.dtype)
            if size in last and (always or case.h_0 is None):
                case = replace(case, h_0=last[size].h_n, c_0=last[size].c_n)
            last[size] = result = run(case)
            return replace(result, **{name: array.copy() for name, array in result.items()})

        return wrong

    GROUP.around(name, says, look_at=look_at, where="the state between calls", shows=shows, kind="F36", remembers=True)(
        around
    )


keeping(
    "state-kept-where-none-is-given",
    "Without an initial state, a call starts where the last one ended.",
    "whether a call without initial states sets them to zero",
    NO_STATES,
    always=False,
)
keeping(
    "state-kept-from-call-to-call",
    "A call starts where the last one ended, whatever initial state it is given.",
    "whether the layer is stateful, and when its state is reset",
    Condition("a second call", lambda case: True),
    always=True,
)


@GROUP.around(
    "initial-states-updated-in-place",
    "The states are stepped in the arrays of h_0 and c_0, which then hold the final state.",
    look_at="whether the caller's h_0 and c_0 are copied before the loop",
    where="h_0 and c_0 after the call",
    shows=(H_0 & A_STEP).called("h_0 given, any valid step"),
    kind="F51",
    remembers=True,
)
def _(run: Run) -> Run:
    def wrong(case: Case) -> Result:
        result = run(case)
        for given, final in ((case.h_0, result.h_n), (case.c_0, result.c_n)):
            if given is not None and final is not None and given.flags.writeable:
                given[...] = final
        return result

    return wrong
