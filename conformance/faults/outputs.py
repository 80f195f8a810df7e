"""Right numbers that are returned at the wrong place, in the wrong shape, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.faults.conditions import (
    A_STEP,
    BACKWARDS,
    BOTH_WAYS,
    LSTM,
    PADDING,
    ROWS,
    SLOTS,
    STACKED,
    STEPS,
    Condition,
    at_least,
    of_dtype,
)
from conformance.faults.fault import Group, Run
from conformance.faults.states import directions_first
from reference import Array, Case, Cell, Result

GROUP = Group(
    "Outputs and layout",
    "Three outputs with four kinds of axes between them: batch, time, layer and direction, and unit. An axis in the"
    " wrong place is seen at once where sizes differ, and only by the values where they are equal.",
)


def change_final(result: Result, change: Callable[[Array], Array]) -> Result:
    """The result with its final states changed."""
    return replace(result, **{name: change(state) for name, state in result.items() if name != "y"})


LONG = at_least("T", 2, lambda case: case.num_steps)


def _always(says: str) -> Condition:
    return Condition(says, lambda case: True)


@GROUP.result(
    "y-time-major",
    "y has the shape (T, B, D*H).",
    look_at="batch_first or time_major, and whether the output is transposed back",
    where="the axes of y",
    shows=_always("any case, and by its values where B = T"),
    kind="F39",
)
def _(case: Case, result: Result) -> Result:
    return replace(result, y=result.y.swapaxes(0, 1))


@GROUP.result(
    "y-time-major-in-memory",
    "y has the right shape over memory in which time comes before batch.",
    look_at="a reshape where a transpose is needed",
    where="the axes of y",
    shows=ROWS & LONG & A_STEP,
    kind="F39",
)
def _(case: Case, result: Result) -> Result:
    return replace(result, y=np.ascontiguousarray(result.y.swapaxes(0, 1)).reshape(result.y.shape))


@GROUP.case(
    "x-read-time-major",
    "The memory of x is read as (T, B, I).",
    look_at="batch_first or time_major, and a reshape where a transpose is needed",
    where="the axes of x",
    shows=ROWS & LONG & A_STEP,
    kind="F39",
)
def _(case: Case) -> Case:
    batch, steps, inputs = case.x.shape
    return replace(case, x=case.x.reshape(steps, batch, inputs).swapaxes(0, 1))


def one_step(name: str, says: str, index: Callable[[Case], int], kept: bool) -> None:
    """A fault that returns one step for all."""
    GROUP.result(
        name,
        says,
        look_at="return_sequences, and which step the outputs of the loop are taken from",
        where="the time axis of y",
        shows=LONG,
        kind="F38",
    )(
        lambda case, result: replace(
            result, y=np.repeat(result.y[:, [index(case)]], case.num_steps if kept else 1, axis=1)
        )
    )


one_step("y-of-the-last-step-only", "y holds the last step alone.", lambda case: case.num_steps - 1, kept=False)
one_step("y-of-the-first-step-only", "y holds the first step alone.", lambda case: 0, kept=False)
one_step("y-of-the-last-step-repeated", "Every step of y is the last one.", lambda case: case.num_steps - 1, kept=True)


@GROUP.result(
    "y-one-step-late",
    "y holds the state before each step, not after it.",
    look_at="whether y is stored before or after the step",
    where="the time axis of y",
    shows=A_STEP,
    kind="F38",
)
def _(case: Case, result: Result) -> Result:
    late = np.zeros_like(result.y)
    late[:, 1:] = result.y[:, :-1]
    return replace(result, y=np.where(case.valid[:, :, None], late, np.zeros_like(late)))


@GROUP.result(
    "y-of-layer-0",
    "y is the output of the first layer, not of the last.",
    look_at="which layer's output is returned",
    where="y",
    shows=STACKED & A_STEP,
    kind="F38",
)
def _(case: Case, result: Result) -> Result:
    layer, directions = case.layer, case.layer.num_directions
    from reference import run

    single = replace(
        case,
        layer=replace(layer, num_layers=1),
        weights=case.weights[:directions],
        h_0=None if case.h_0 is None else case.h_0[:directions],
        c_0=None if case.c_0 is None else case.c_0[:directions],
    )
    return replace(result, y=run(single).y)


def final(
    name: str,
    says: str,
    look_at: str,
    shows: Condition,
    change: Callable[[Case, Result], Result],
    kind: str | None = None,
    cells: tuple[Cell, ...] = tuple(Cell),
    where: str = "h_n and c_n",
) -> None:
    """A fault in the final states."""
    GROUP.result(name, says, look_at=look_at, where=where, shows=shows, kind=kind, cells=cells)(change)


final(
    "final-states-of-the-last-layer-only",
    "The final states of the last layer are returned for every layer.",
    "whether the final state of every layer is kept",
    STACKED,
    lambda case, result: change_final(
        result, lambda s: np.concatenate([s[-case.layer.num_directions :]] * case.layer.num_layers)
    ),
    "F37",
)
final(
    "final-states-of-the-layers-reversed",
    "The final states stand in reverse order of the layers.",
    "the order of the layers along the first axis of h_n and c_n",
    STACKED,
    lambda case, result: change_final(
        result, lambda s: s.reshape(-1, case.layer.num_directions, *s.shape[1:])[::-1].reshape(s.shape)
    ),
)
final(
    "final-states-of-the-directions-swapped",
    "The final states of the two directions change places.",
    "the order of the directions along the first axis of h_n and c_n",
    BOTH_WAYS,
    lambda case, result: change_final(
        result, lambda s: s.reshape(-1, case.layer.num_directions, *s.shape[1:])[:, ::-1].reshape(s.shape)
    ),
    "F33",
)
final(
    "final-states-direction-by-direction",
    "The final states are those of all layers of one direction, then of the other.",
    "whether layer or direction counts faster along the first axis of h_n and c_n",
    BOTH_WAYS & STACKED,
    lambda case, result: change_final(result, lambda s: s[np.argsort(directions_first(case))]),
    "F33",
)
final(
    "final-states-batch-first",
    "The final states have the shape (B, L*D, H).",
    "the axis order of h_n and c_n: batch_first applies to x and y only",
    _always("any case, and by its values where B = L*D"),
    lambda case, result: change_final(result, lambda s: s.swapaxes(0, 1)),
    "F39",
)
final(
    "final-states-batch-first-in-memory",
    "The final states have the right shape over memory in which the batch comes first.",
    "a reshape where a transpose is needed",
    ROWS & SLOTS,
    lambda case, result: change_final(result, lambda s: np.ascontiguousarray(s.swapaxes(0, 1)).reshape(s.shape)),
    "F39",
)
final(
    "h-n-is-the-last-column-of-y",
    "The final hidden state of the last layer is y at step T-1: past the end of short rows, and the first step that a"
    " reverse direction computed.",
    "which step of y the final state is taken from, for each row and direction",
    (PADDING | BACKWARDS).called("a row shorter than T, or a reverse direction"),
    lambda case, result: replace(
        result, h_n=np.concatenate([result.h_n[: -case.layer.num_directions], _last_column(case, result)])
    ),
    "F27",
    where="h_n",
)


def _last_column(case: Case, result: Result) -> Array:
    return result.y[:, -1].reshape(case.batch_size, case.layer.num_directions, -1).swapaxes(0, 1)


final(
    "h-n-and-c-n-swapped",
    "The final cell state is returned as h_n, and the hidden state as c_n.",
    "the order of h_n and c_n: some frameworks have (c, h)",
    LSTM,
    lambda case, result: result if result.c_n is None else replace(result, h_n=result.c_n, c_n=result.h_n),
    "F53",
    cells=(Cell.LSTM,),
)
final(
    "c-n-is-h-n",
    "The final hidden state is returned as c_n too.",
    "which buffer c_n is read from",
    LSTM,
    lambda case, result: replace(result, c_n=result.h_n),
    "F37",
    cells=(Cell.LSTM,),
    where="c_n",
)
final(
    "c-n-missing",
    "The final cell state is not returned.",
    "whether all three outputs are asked for and passed on",
    LSTM,
    lambda case, result: replace(result, c_n=None),
    "F37",
    cells=(Cell.LSTM,),
    where="c_n",
)
final(
    "c-n-after-tanh",
    "The final cell state is returned after its tanh.",
    "whether the tanh of c' is stored over c'",
    LSTM,
    lambda case, result: result if result.c_n is None else replace(result, c_n=np.tanh(result.c_n)),
    cells=(Cell.LSTM,),
    where="c_n",
)
final(
    "final-states-zero",
    "The final states are zero, as where nobody asked for them.",
    "whether h_n and c_n are written where y is",
    _always("a final state that is not zero"),
    lambda case, result: change_final(result, np.zeros_like),
    "F37",
)
final(
    "final-states-without-empty-axes",
    "Axes of size 1 are removed from the final states.",
    "a squeeze that does not name its axis",
    Condition(
        "a size of 1 among L*D, B and H", lambda case: 1 in (len(case.weights), case.batch_size, case.layer.hidden_size)
    ),
    lambda case, result: change_final(result, np.squeeze),
    "F44",
)
final(
    "y-without-empty-axes",
    "Axes of size 1 are removed from y.",
    "a squeeze that does not name its axis",
    Condition(
        "a size of 1 among B, T and D*H",
        lambda case: 1 in (case.batch_size, case.num_steps, case.layer.num_directions * case.layer.hidden_size),
    ),
    lambda case, result: replace(result, y=np.squeeze(result.y)),
    "F44",
    where="the axes of y",
)
final(
    "batch-of-one-without-its-axis",
    "A batch of one loses its batch axis in y.",
    "code for inputs without a batch axis that runs where there is one",
    Condition("a batch of one", lambda case: case.batch_size == 1),
    lambda case, result: replace(result, y=result.y[0]) if case.batch_size == 1 else result,
    "F44",
    where="the axes of y",
)
final(
    "results-in-float64",
    "The results of a float32 layer are float64.",
    "the dtype of the buffers for outputs",
    of_dtype("float32"),
    lambda case, result: replace(result, **{name: array.astype(np.float64) for name, array in result.items()}),
    where="the dtype of all outputs",
)
final(
    "results-in-float32",
    "The results of a float64 layer are float32.",
    "the dtype of the buffers for outputs",
    of_dtype("float64"),
    lambda case, result: replace(result, **{name: array.astype(np.float32) for name, array in result.items()}),
    where="the dtype of all outputs",
)
final(
    "only-row-0-of-y",
    "Only row 0 of y is written; the other rows are zero.",
    "the stride along the batch axis of y",
    ROWS & A_STEP,
    lambda case, result: replace(
        result, y=np.where(np.arange(case.batch_size)[:, None, None] == 0, result.y, np.zeros_like(result.y))
    ),
    "F40",
    where="the batch axis of y",
)
final(
    "row-0-of-y-for-all",
    "Every row of y is row 0.",
    "the stride along the batch axis of y",
    ROWS & A_STEP,
    lambda case, result: replace(result, y=np.repeat(result.y[:1], case.batch_size, axis=0)),
    "F40",
    where="the batch axis of y",
)


@GROUP.case(
    "row-0-of-x-for-all",
    "Every row reads row 0 of x.",
    look_at="the stride along the batch axis of x",
    where="the batch axis of x",
    shows=ROWS & A_STEP,
    kind="F40",
)
def _(case: Case) -> Case:
    return replace(case, x=np.repeat(case.x[:1], case.batch_size, axis=0))


@GROUP.case(
    "step-0-of-x-for-all",
    "Every step reads step 0 of x.",
    look_at="the stride along the time axis of x",
    where="the time axis of x",
    shows=STEPS,
)
def _(case: Case) -> Case:
    return replace(case, x=np.repeat(case.x[:, :1], case.num_steps, axis=1))


@GROUP.around(
    "results-overwritten-by-the-next-call",
    "Results are views of buffers that the next call of the same size writes into.",
    look_at="who owns the memory of the outputs",
    where="the memory of all outputs",
    shows=_always("a second call of the same size"),
    remembers=True,
)
def _(run: Run) -> Run:
    buffers: dict[tuple[object, ...], Array] = {}

    def wrong(case: Case) -> Result:
        result = run(case)
        for name, array in result.items():
            buffers.setdefault((name, array.shape, array.dtype), np.empty_like(array))[...] = array
        return replace(result, **{name: buffers[name, array.shape, array.dtype] for name, array in result.items()})

    return wrong
