"""Rows of different lengths: what stands in the padding, and where the state ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.faults.conditions import (
    A_STEP,
    ALL_SHORT,
    BACKWARDS,
    EMPTY,
    LENGTHS,
    LSTM,
    NAN,
    PADDING,
    ROWS,
    STACKED,
    STATES,
    STEP_OF_ZEROS,
    UNEQUAL,
    Condition,
)
from conformance.faults.fault import Edits, Group, Run
from conformance.faults.parts import Part, run_part
from reference import Array, Case, Cell, Result

GROUP = Group(
    "Lengths and padding",
    "The state of a row ends after its last valid step, its outputs past that are zero, its reverse direction starts"
    " there, and what stands in the padding is read by nobody. A row of length 0 keeps its initial state.",
)


def lengths_fault(
    name: str, says: str, look_at: str, shows: Condition, change: Callable[[Case], Array], kind: str = "F25"
) -> None:
    """A fault in which other lengths are used than were given."""
    GROUP.case(name, says, look_at=look_at, where="the lengths", shows=LENGTHS & shows, kind=kind)(
        lambda case: case if case.lengths is None else replace(case, lengths=change(case))
    )


lengths_fault(
    "lengths-ignored",
    "Every row runs T steps, through its padding.",
    "whether the lengths reach the kernel",
    PADDING,
    lambda case: np.full(case.batch_size, case.num_steps),
)
lengths_fault(
    "lengths-of-row-0-for-all",
    "Every row has the length of row 0.",
    "the index by which the loop over rows reads the lengths",
    UNEQUAL,
    lambda case: np.repeat(case.row_lengths[:1], case.batch_size),
)
lengths_fault(
    "longest-length-for-all",
    "Every row runs as many steps as the longest.",
    "whether rows stop each at its own length or all at the end of the loop",
    UNEQUAL,
    lambda case: np.repeat(case.row_lengths.max(), case.batch_size),
)
lengths_fault(
    "shortest-length-for-all",
    "Every row runs as many steps as the shortest.",
    "whether rows stop each at its own length",
    UNEQUAL,
    lambda case: np.repeat(case.row_lengths.min(), case.batch_size),
)
lengths_fault(
    "lengths-one-too-short",
    "The last valid step of every row is left out.",
    "t < n against t <= n, and whether lengths count from 0",
    A_STEP,
    lambda case: np.maximum(case.row_lengths - 1, 0),
)
lengths_fault(
    "lengths-one-too-long",
    "Every row runs one step into its padding.",
    "t < n against t <= n",
    PADDING,
    lambda case: np.minimum(case.row_lengths + 1, case.num_steps),
)
lengths_fault(
    "lengths-sorted",
    "The lengths are sorted, longest first, and the rows are not.",
    "whether everything that has a batch axis is sorted along with the lengths",
    UNEQUAL,
    lambda case: np.sort(case.row_lengths)[::-1],
)
lengths_fault(
    "empty-row-runs-one-step",
    "A row of length 0 runs one step.",
    "a loop that tests its condition after the step, or a length clamped to 1",
    EMPTY,
    lambda case: np.maximum(case.row_lengths, 1),
    "F31",
)
lengths_fault(
    "empty-row-runs-all-steps",
    "Length 0 is taken for no length given, and the row runs T steps.",
    "whether 0 stands for something else than no steps",
    EMPTY,
    lambda case: np.where(case.row_lengths == 0, case.num_steps, case.row_lengths),
    "F31",
)


def _sorted_order(case: Case) -> Array:
    return np.argsort(-case.row_lengths, kind="stable")


def _rows(case: Case, order: Array, states: bool = True) -> Case:
    """The case with its rows in another order."""
    take = {name: getattr(case, name) for name in ("h_0", "c_0")}
    moved = {name: s[:, order] for name, s in take.items() if s is not None} if states else {}
    return replace(case, x=case.x[order], lengths=case.row_lengths[order], **moved)


def _result_rows(result: Result, order: Array, y: bool = True, states: bool = True) -> Result:
    changes: dict[str, Array] = {name: s[:, order] for name, s in result.items() if name != "y"} if states else {}
    return replace(result, **({"y": result.y[order]} if y else {}), **changes)


def sorting(
    name: str, says: str, look_at: str, where: str, shows: Condition, wrong: Callable[[Run, Case], Result]
) -> None:
    """A fault of an implementation that sorts the rows by length."""

    def around(run: Run) -> Run:
        return lambda case: run(case) if case.lengths is None else wrong(run, case)

    GROUP.around(name, says, look_at=look_at, where=where, shows=LENGTHS & UNEQUAL & shows)(around)


sorting(
    "sorted-rows-not-restored",
    "Rows are sorted by length, longest first, and the results are not put back.",
    "whether results are put back into the order of the rows",
    "the batch axis of all outputs",
    A_STEP,
    lambda run, case: run(_rows(case, _sorted_order(case))),
)
sorting(
    "sorted-y-not-restored",
    "Rows are sorted by length; the final states are put back into order, y is not.",
    "whether y is put back into the order of the rows",
    "the batch axis of y",
    A_STEP,
    lambda run, case: _result_rows(run(_rows(case, _sorted_order(case))), np.argsort(_sorted_order(case)), y=False),
)
sorting(
    "sorted-final-states-not-restored",
    "Rows are sorted by length; y is put back into order, the final states are not.",
    "whether h_n and c_n are put back into the order of the rows",
    "the batch axis of h_n and c_n",
    A_STEP,
    lambda run, case: _result_rows(
        run(_rows(case, _sorted_order(case))), np.argsort(_sorted_order(case)), states=False
    ),
)
sorting(
    "initial-states-not-sorted",
    "Rows are sorted by length, but the initial states are not sorted along with them.",
    "whether h_0 and c_0 are sorted along with the rows",
    "the batch axis of h_0 and c_0",
    STATES,
    lambda run, case: _result_rows(
        run(_rows(case, _sorted_order(case), states=False)), np.argsort(_sorted_order(case))
    ),
)


def _masked(case: Case, result: Result) -> Result:
    return replace(result, y=np.where(case.valid[:, :, None], result.y, np.zeros_like(result.y)))


def _all_steps(case: Case) -> Case:
    return case if case.lengths is None else replace(case, lengths=None)


def _all_steps_on_zeros(case: Case) -> Case:
    x = np.where(case.valid[:, :, None], case.x, np.zeros_like(case.x))
    return case if case.lengths is None else replace(case, x=x, lengths=None)


def _up_to_the_longest(case: Case) -> Case:
    return case if case.lengths is None else replace(case, lengths=np.repeat(case.row_lengths.max(), case.batch_size))


for _name, _says, _edit, _shows in (
    (
        "final-state-after-the-padding",
        "Every row runs T steps through whatever stands in its padding, and only y is masked.",
        _all_steps,
        PADDING,
    ),
    (
        "final-state-after-zero-padding",
        "Every row runs T steps, on zeros past its length, and only y is masked.",
        _all_steps_on_zeros,
        PADDING,
    ),
    (
        "final-state-at-the-longest-length",
        "Every row runs as many steps as the longest, and only y is masked.",
        _up_to_the_longest,
        UNEQUAL,
    ),
):
    GROUP.add(
        _name,
        _says,
        Edits(case=(_edit,), result=(_masked,)),
        look_at="where h_n and c_n are taken: after the n valid steps of each row",
        where="h_n and c_n",
        shows=LENGTHS & _shows,
        kind="F27",
    )


def reverse(
    name: str, says: str, look_at: str, edit: Callable[[Part], Part], shows: Condition = PADDING, kind: str = "F26"
) -> None:
    """A fault of the reverse direction, where y past the lengths is zero all the same."""

    def finished(part: Part, result: Result) -> Result:
        return _masked(part.case, result) if part.is_reverse else result

    GROUP.add(
        name,
        says,
        Edits(part=(lambda part: edit(part) if part.is_reverse else part,), finished=(finished,)),
        look_at=look_at,
        where="the reverse direction of rows that are shorter than T",
        shows=BACKWARDS & LENGTHS & shows,
        kind=kind,
    )


def _from_the_end(part: Part) -> Part:
    """From step T-1 down to step 0, padding and all."""
    order = part.forward_order[:, ::-1]
    return replace(part, read=order, write=order, lengths=np.full_like(part.lengths, part.case.num_steps))


def _on_zeros(part: Part) -> Part:
    return replace(part, x=np.where(part.case.valid[:, :, None], part.x, np.zeros_like(part.x)))


reverse(
    "reverse-starts-in-padding",
    "The reverse direction starts at step T-1 of every row, and has read the padding when it gets to the valid steps.",
    "where the reverse direction of a short row starts: at step n-1, not at T-1",
    _from_the_end,
)
reverse(
    "reverse-starts-in-zero-padding",
    "The reverse direction starts at step T-1 of every row, on zeros until it gets to the valid steps.",
    "where the reverse direction of a short row starts: zeros still move the state",
    lambda part: _from_the_end(_on_zeros(part)),
)
reverse(
    "reverse-flips-the-padding-to-the-front",
    "The sequence is reversed over all of T, and the reverse direction then runs the first n steps of that.",
    "whether each row is reversed over its own length",
    lambda part: replace(part, read=part.forward_order[:, ::-1], write=part.forward_order[:, ::-1]),
)
reverse(
    "reverse-runs-on-into-step-0",
    "The reverse direction starts at step n-1 and takes T steps, reading step 0 again and again.",
    "where the reverse direction of a short row stops",
    lambda part: replace(
        part, read=_clamped(part), write=_clamped(part), lengths=np.where(part.lengths > 0, part.case.num_steps, 0)
    ),
)


def _clamped(part: Part) -> Array:
    steps: Array = part.lengths[:, None] - 1 - part.forward_order
    return np.maximum(steps, 0)


@GROUP.part(
    "lengths-in-layer-0-only",
    "The layers above layer 0 run T steps; what they read past the length is zero.",
    look_at="whether the lengths are passed on to every layer of the stack",
    where="the lengths of layer 1 and above",
    shows=LENGTHS & STACKED & PADDING,
    kind="F25",
)
def _(part: Part) -> Part:
    return part if part.number == 0 else replace(part, read=_whole(part), write=_whole(part), lengths=_full(part))


def _full(part: Part) -> Array:
    return np.full_like(part.lengths, part.case.num_steps)


def _whole(part: Part) -> Array:
    return part.forward_order[:, ::-1] if part.is_reverse else part.forward_order


@GROUP.part(
    "padding-expected-in-front",
    "The valid steps are taken to be the last n of a row, behind its padding.",
    look_at="on which side of a row its padding stands",
    where="the input of rows that are shorter than T",
    shows=LENGTHS & PADDING & A_STEP,
    kind="F25",
)
def _(part: Part) -> Part:
    if part.number > 0:
        return part
    shift = (part.case.num_steps - part.lengths)[:, None]
    return replace(part, read=np.where(part.read < part.lengths[:, None], part.read + shift, part.read))


def _past_the_length(case: Case, result: Result, padding: Array) -> Result:
    return replace(result, y=np.where(case.valid[:, :, None], result.y, padding))


@GROUP.result(
    "y-holds-the-last-state",
    "Past the length of a row, y repeats the hidden state of its last valid step.",
    look_at="what the loop writes for rows that have ended: zero, not the state they hold",
    where="y past the length",
    shows=PADDING & A_STEP,
    kind="F29",
)
def _(case: Case, result: Result) -> Result:
    rows = np.arange(case.batch_size)
    last = result.y[rows, np.maximum(case.row_lengths - 1, 0)]
    return _past_the_length(case, result, last[:, None])


@GROUP.result(
    "y-past-the-length-starts-over",
    "Past the length of a row, y repeats its outputs from step 0 on.",
    look_at="what y holds before the loop writes into it",
    where="y past the length",
    shows=PADDING & A_STEP,
    kind="F28",
)
def _(case: Case, result: Result) -> Result:
    rows = np.arange(case.batch_size)[:, None]
    wrapped = np.arange(case.num_steps) % np.maximum(case.row_lengths, 1)[:, None]
    return replace(result, y=result.y[rows, wrapped])


@GROUP.around(
    "y-not-masked",
    "The loop goes on through the padding and writes y there; only the final states are held.",
    look_at="whether y is set to zero past the length of a row",
    where="y past the length",
    shows=LENGTHS & PADDING,
    kind="F29",
)
def _(run: Run) -> Run:
    return lambda case: _past_the_length(case, run(case), run(_all_steps(case)).y)


@GROUP.around(
    "y-past-the-length-not-written",
    "Past the length of a row, y keeps what an earlier call left in the buffer.",
    look_at="what y holds before the loop writes into it, in the second call with the same buffer",
    where="y past the length",
    shows=LENGTHS & PADDING,
    kind="F28",
    remembers=True,
)
def _(run: Run) -> Run:
    buffers: dict[tuple[int, ...], Array] = {}

    def wrong(case: Case) -> Result:
        result = run(case)
        if result.y.shape in buffers:
            result = _past_the_length(case, result, buffers[result.y.shape].astype(result.y.dtype))
        buffers[result.y.shape] = result.y
        return result

    return wrong


@GROUP.result(
    "y-not-zeroed-past-the-longest-length",
    "y is zero past the length of a row up to the longest one, and 1 past that, where no loop comes.",
    look_at="who writes y between the longest length and T",
    where="y past the longest length",
    shows=LENGTHS & ALL_SHORT,
    kind="F28",
)
def _(case: Case, result: Result) -> Result:
    nobody = np.arange(case.num_steps) >= case.row_lengths.max()
    return replace(result, y=np.where(nobody[None, :, None], np.ones_like(result.y), result.y))


@GROUP.result(
    "y-cut-at-the-longest-length",
    "y has as many steps as the longest row, not T.",
    look_at="the number of steps that y is padded to",
    where="the time axis of y",
    shows=LENGTHS & ALL_SHORT,
    kind="F28",
)
def _(case: Case, result: Result) -> Result:
    return replace(result, y=result.y[:, : max(1, int(case.row_lengths.max()))])


@GROUP.result(
    "y-aligned-to-the-end",
    "The outputs of a short row stand in its last n steps.",
    look_at="on which side of a row its padding stands",
    where="y of rows that are shorter than T",
    shows=LENGTHS & PADDING & A_STEP,
)
def _(case: Case, result: Result) -> Result:
    return replace(
        result, y=np.stack([np.roll(y, case.num_steps - n, axis=0) for y, n in zip(result.y, case.row_lengths)])
    )


NOT_FINITE = Condition(
    "NaN or infinity in the padding", lambda case: not bool(np.all(np.isfinite(case.x[~case.valid].astype(np.float64))))
)


@GROUP.around(
    "padding-masked-by-a-product",
    "The input is multiplied by a mask of ones and zeros, and NaN times zero is NaN.",
    look_at="whether masking selects or multiplies",
    where="the input past the length",
    shows=LENGTHS & NOT_FINITE,
    kind="F30",
)
def _(run: Run) -> Run:
    def wrong(case: Case) -> Result:
        mask = np.where(case.valid[:, :, None], 0, case.x)[:, :, :1] * np.asarray(0, case.dtype)
        result = run(case)
        poison = mask.sum(axis=1)
        states = {name: state + poison for name, state in result.items() if name != "y"}
        return replace(result, y=result.y + mask, **states)

    return wrong


@GROUP.result(
    "output-masked-by-a-product",
    "Past the length the state is put out times zero, which is NaN where the state is.",
    look_at="whether masking selects or multiplies",
    where="y past the length",
    shows=LENGTHS & PADDING & NAN,
    kind="F30",
)
def _(case: Case, result: Result) -> Result:
    held = np.concatenate(result.h_n[-case.layer.num_directions :], axis=-1)[:, None]
    return replace(result, y=np.where(case.valid[:, :, None], result.y, 0 * np.abs(held)))


@GROUP.result(
    "rows-sorted-by-a-product",
    "Rows are put in order by a product with a matrix of ones and zeros, which passes NaN on to every row.",
    look_at="whether rows are moved or multiplied",
    where="rows beside one with NaN",
    shows=LENGTHS & ROWS & NAN,
    kind="F30",
)
def _(case: Case, result: Result) -> Result:
    if case.lengths is None:
        return result
    batch_axes = {"y": 0, "h_n": 1, "c_n": 1}
    passed_on = {n: (0 * np.abs(array)).sum(batch_axes[n], keepdims=True) for n, array in result.items()}
    return Result(**{n: array + passed_on[n] for n, array in result.items()})


@GROUP.result(
    "empty-row-state-zero",
    "The final state of a row of length 0 is zero, not its initial state.",
    look_at="what the final states hold before the loop writes into them",
    where="h_n and c_n of rows of length 0",
    shows=EMPTY & STATES,
    kind="F31",
)
def _(case: Case, result: Result) -> Result:
    empty = (case.row_lengths == 0)[:, None]
    return replace(result, **{n: np.where(empty, np.zeros_like(s), s) for n, s in result.items() if n != "y"})


@GROUP.result(
    "empty-row-takes-the-row-before",
    "The final hidden state of a row of length 0 is read at step n-1 = -1, which lies in the row before.",
    look_at="the index n-1 where n is 0",
    where="h_n of rows of length 0",
    shows=EMPTY,
    kind="F31",
)
def _(case: Case, result: Result) -> Result:
    empty = (case.row_lengths == 0)[:, None]
    hidden, directions = case.layer.hidden_size, case.layer.num_directions
    last = np.roll(result.y[:, -1], 1, axis=0).reshape(-1, directions, hidden).swapaxes(0, 1)
    h_n = result.h_n.copy()
    h_n[-directions:] = np.where(empty, last, h_n[-directions:])
    return replace(result, h_n=h_n)


@GROUP.finished(
    "c-n-one-step-early",
    "The final cell state is that before the last valid step.",
    look_at="whether c_n is stored before or after the step",
    where="c_n",
    shows=LSTM & A_STEP,
    kind="F27",
    cells=(Cell.LSTM,),
)
def _(part: Part, result: Result) -> Result:
    before = run_part(replace(part, lengths=np.maximum(part.lengths - 1, 0)))
    return replace(result, c_n=before.c_n)


@GROUP.part(
    "steps-of-zeros-taken-for-padding",
    "A step at which all of x is zero is taken for padding: it is passed over, and its output is zero.",
    look_at="whether padding is told by lengths, or by a number that stands in it",
    where="the steps of layer 0",
    shows=STEP_OF_ZEROS,
)
def _(part: Part) -> Part:
    if part.number > 0:
        return part
    rows, steps = np.arange(part.case.batch_size)[:, None], np.arange(part.case.num_steps)
    taken = (steps < part.lengths[:, None]) & part.x[rows, part.read].any(axis=2)
    first = np.argsort(~taken, axis=1, kind="stable")
    return replace(part, read=part.read[rows, first], write=part.write[rows, first], lengths=taken.sum(axis=1))
