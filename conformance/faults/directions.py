"""Layers that run backwards, and the two directions of a layer mixed up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.faults.conditions import A_STEP, BACKWARDS, BOTH_WAYS, ONLY_REVERSE, PADDING, STACKED, STEPS, UNITS
from conformance.faults.fault import Group
from conformance.faults.parts import Part
from reference import Array, Case, Direction, Result

GROUP = Group(
    "Directions",
    "The reverse direction reads a sequence from its end, yet its outputs stand in the order of time; it has parameters"
    " and states of its own, and the second half of the columns.",
)


def _forwards(part: Part) -> Part:
    return replace(part, read=part.forward_order, write=part.forward_order)


GROUP.part(
    "reverse-ignored",
    "A layer whose direction is reverse runs forwards.",
    look_at="whether the direction reaches the loop over time",
    where="the reverse direction",
    shows=ONLY_REVERSE & STEPS,
    kind="F21",
)(lambda part: _forwards(part) if part.case.layer.direction is Direction.REVERSE else part)

GROUP.part(
    "second-direction-runs-forwards",
    "Both directions of a bidirectional layer run forwards, each with its own parameters.",
    look_at="whether the input of the second direction is reversed",
    where="the second direction",
    shows=BOTH_WAYS & STEPS,
    kind="F21",
)(lambda part: _forwards(part) if part.d == 1 else part)

GROUP.part(
    "directions-run-the-wrong-way-round",
    "The first direction runs backwards, and the second one forwards.",
    look_at="which of the two directions comes first",
    where="both directions",
    shows=BOTH_WAYS & STEPS,
    kind="F23",
)(lambda part: _turned(part) if part.case.layer.direction is Direction.BIDIRECTIONAL else part)


def _turned(part: Part) -> Part:
    if part.d == 1:
        return _forwards(part)
    lengths, steps = part.lengths[:, None], part.forward_order
    backward = np.where(steps < lengths, lengths - 1 - steps, steps)
    return replace(part, read=backward, write=backward)


GROUP.part(
    "upper-layers-run-forwards",
    "Only layer 0 runs backwards; the layers above it run forwards.",
    look_at="whether the direction is passed on to every layer of the stack",
    where="the reverse direction of layer 1 and above",
    shows=STACKED & BACKWARDS & STEPS,
    kind="F21",
)(lambda part: _forwards(part) if part.number > 0 else part)

GROUP.part(
    "reverse-output-in-processing-order",
    "The outputs of the reverse direction stand in the order in which they were computed, the last step first.",
    look_at="whether the outputs of the reverse direction are reversed back, at every layer",
    where="y of the reverse direction",
    shows=BACKWARDS & STEPS,
    kind="F22",
)(lambda part: replace(part, write=part.forward_order) if part.is_reverse else part)


def _flipped_whole(part: Part) -> Part:
    """Outputs reversed over all of T, so that those of a short row end up in its padding."""
    if not part.is_reverse:
        return part
    return replace(part, write=part.forward_order[:, ::-1])


GROUP.part(
    "reverse-output-flipped-over-its-padding",
    "The outputs of the reverse direction are reversed back over all of T, and those of a short row end up too late.",
    look_at="whether outputs are reversed back over each row's own length",
    where="y of the reverse direction",
    shows=BACKWARDS & PADDING,
    kind="F22",
)(_flipped_whole)


def _shared(slug: str, what: str, fields: tuple[str, ...]) -> None:
    """A fault in which the second direction uses some of the parameters of the first."""

    def edit(part: Part) -> Part:
        first = part.case.weights[part.slot - part.d]
        return replace(part, weights=replace(part.weights, **{field: getattr(first, field) for field in fields}))

    GROUP.part(
        f"both-directions-use-{slug}-of-the-first",
        f"The second direction uses {what} of the first.",
        look_at=f"which {what.removeprefix('the ').removeprefix('all ')} the second direction is given",
        where=f"{what} of the second direction",
        shows=BOTH_WAYS & A_STEP,
        kind="F23",
    )(edit)


_shared("w-ih", "w_ih", ("w_ih",))
_shared("w-hh", "w_hh", ("w_hh",))
_shared("the-biases", "the biases", ("b_ih", "b_hh"))
_shared("the-parameters", "all parameters", ("w_ih", "w_hh", "b_ih", "b_hh"))


@GROUP.case(
    "parameters-of-the-directions-swapped",
    "Each direction uses the parameters of the other.",
    look_at="the order of the two directions within the packed parameters",
    where="the parameters of both directions",
    shows=BOTH_WAYS & A_STEP,
    kind="F23",
)
def _(case: Case) -> Case:
    if case.layer.direction is not Direction.BIDIRECTIONAL:
        return case
    return replace(case, weights=tuple(case.weights[k ^ 1] for k in range(len(case.weights))))


def _halves(case: Case, result: Result) -> tuple[Array, Array]:
    hidden = case.layer.hidden_size
    return result.y[..., :hidden], result.y[..., hidden:]


@GROUP.result(
    "halves-of-y-swapped",
    "The reverse half stands in the first columns of y, the forward half in the last.",
    look_at="the order in which the outputs of the directions are concatenated",
    where="the columns of y",
    shows=BOTH_WAYS & A_STEP,
    kind="F24",
)
def _(case: Case, result: Result) -> Result:
    if case.layer.direction is not Direction.BIDIRECTIONAL:
        return result
    return replace(result, y=np.concatenate(_halves(case, result)[::-1], axis=2))


@GROUP.result(
    "directions-interleaved-in-y",
    "The columns of y alternate between the two directions, unit by unit.",
    look_at="which of the axes direction and unit comes first where they are folded into the columns of y",
    where="the columns of y",
    shows=BOTH_WAYS & UNITS & A_STEP,
    kind="F24",
)
def _(case: Case, result: Result) -> Result:
    if case.layer.direction is not Direction.BIDIRECTIONAL:
        return result
    return replace(result, y=np.stack(_halves(case, result), axis=-1).reshape(result.y.shape))


@GROUP.result(
    "directions-summed",
    "The outputs of the two directions are added up in place of being put side by side.",
    look_at="how the outputs of the directions are merged",
    where="the columns of y",
    shows=BOTH_WAYS,
    kind="F24",
)
def _(case: Case, result: Result) -> Result:
    if case.layer.direction is not Direction.BIDIRECTIONAL:
        return result
    forward, backward = _halves(case, result)
    return replace(result, y=forward + backward)


@GROUP.result(
    "directions-on-an-axis-of-their-own",
    "y has the shape (D, B, T, H), or what that is folded into (B, T, D*H) without moving the axis.",
    look_at="whether the direction axis is moved next to the units before it is folded",
    where="the columns of y",
    shows=BOTH_WAYS & A_STEP,
    kind="F24",
)
def _(case: Case, result: Result) -> Result:
    if case.layer.direction is not Direction.BIDIRECTIONAL:
        return result
    return replace(result, y=np.stack(_halves(case, result)).reshape(result.y.shape))


@GROUP.finished(
    "reverse-final-state-from-the-last-step",
    "The final hidden state of the reverse direction is its output at the last step, which is the first it computed.",
    look_at="which end of y the final state of the reverse direction is taken from",
    where="h_n of the reverse direction",
    shows=BACKWARDS & STEPS,
    kind="F27",
)
def _(part: Part, result: Result) -> Result:
    if not part.is_reverse:
        return result
    rows = np.arange(part.case.batch_size)
    last = result.y[rows, np.maximum(part.lengths - 1, 0)]
    return replace(result, h_n=np.where(part.lengths[:, None] > 0, last, result.h_n[0])[None])


@GROUP.part(
    "second-direction-starts-from-the-first",
    "The second direction starts from the final state of the first instead of its own initial state.",
    look_at="which state the loop of the second direction starts from",
    where="the initial state of the second direction",
    shows=BOTH_WAYS & A_STEP,
    kind="F33",
)
def _(part: Part) -> Part:
    if part.d == 0:
        return part
    first = part.below[-1]
    return replace(part, h_0=first.h_n[0], c_0=None if first.c_n is None else first.c_n[0])


@GROUP.finished(
    "second-direction-left-out",
    "The second direction is not run: its half of y is zero, its final state the initial one.",
    look_at="whether a bidirectional layer runs both its directions",
    where="the second direction",
    shows=BOTH_WAYS & A_STEP,
    kind="F21",
)
def _(part: Part, result: Result) -> Result:
    if part.d == 0:
        return result
    zeros = np.zeros_like(result.h_n)
    c_n = None if result.c_n is None else zeros if part.c_0 is None else part.c_0[None]
    return Result(np.zeros_like(result.y), zeros if part.h_0 is None else part.h_0[None], c_n)


@GROUP.part(
    "second-direction-reads-what-the-first-wrote",
    "Above layer 0, the second direction reads the forward half of its input twice.",
    look_at="which columns of the layer below each direction reads: all D*H of them",
    where="the input of the second direction of layer 1 and above",
    shows=BOTH_WAYS & STACKED & A_STEP,
)
def _(part: Part) -> Part:
    if part.d == 0 or part.number == 0:
        return part
    hidden = part.case.layer.hidden_size
    return replace(part, x=np.concatenate([part.x[..., :hidden]] * 2, axis=2))
