"""Memory: strides that are not looked at, and inputs that are written to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.faults.conditions import (
    A_STEP,
    BACKWARD_VIEW,
    BIAS,
    PADDING,
    RECURRENT,
    STATES,
    STRIDED,
    Condition,
)
from conformance.faults.fault import Group, Run
from conformance.faults.gates import change_fields, change_weights
from conformance.faults.states import change_states
from reference import Array, Case, Result

GROUP = Group(
    "Memory",
    "An array is more than a pointer and a shape. A view has strides, and what is passed in belongs to the caller.",
)


def as_if_contiguous(array: Array) -> Array:
    """What lies in memory from the first element on, read as if there were no strides."""
    span = sum((size - 1) * stride for size, stride in zip(array.shape, array.strides)) + array.itemsize
    if min(array.strides, default=0) < 0 or span < array.nbytes:
        return array  # it would be read outside of its memory, where the fault would be a crash
    strides = np.empty(array.shape, np.int8).strides
    return np.lib.stride_tricks.as_strided(array, strides=[stride * array.itemsize for stride in strides]).copy()


def strided(name: str, says: str, where: str, shows: Condition, edit: Callable[[Case], Case]) -> None:
    """A fault of reading views."""
    GROUP.case(
        name,
        says,
        look_at="the strides of arrays that are passed in, or a call that makes them contiguous",
        where=where,
        shows=STRIDED & shows,
        kind="F43",
    )(edit)


strided(
    "strides-of-x-ignored",
    "x is read as if it were contiguous.",
    "x",
    A_STEP,
    lambda case: replace(case, x=as_if_contiguous(case.x)),
)
strided(
    "strides-of-initial-states-ignored",
    "h_0 and c_0 are read as if they were contiguous.",
    "h_0 and c_0",
    STATES,
    lambda case: change_states(case, as_if_contiguous),
)
strided(
    "strides-of-matrices-ignored",
    "The weight matrices are read as if they were contiguous.",
    "w_ih and w_hh",
    A_STEP,
    lambda case: change_weights(case, lambda w: change_fields(w, ("w_ih", "w_hh"), as_if_contiguous)),
)
strided(
    "strides-of-biases-ignored",
    "The biases are read as if they were contiguous.",
    "b_ih and b_hh",
    BIAS & A_STEP,
    lambda case: (
        change_weights(case, lambda w: change_fields(w, ("b_ih", "b_hh"), as_if_contiguous))
        if case.layer.bias
        else case
    ),
)


strided(
    "outer-strides-ignored",
    "An array whose last axis is contiguous is read as if all of it were.",
    "every array that is passed in",
    A_STEP,
    lambda case: case.map(lambda array: as_if_contiguous(array) if array.strides[-1] == array.itemsize else array),
)


@GROUP.case(
    "signs-of-strides-ignored",
    "An array that lies in memory from the end to the beginning is read from the beginning.",
    look_at="whether strides may be negative, and where the first element lies then",
    where="every array that is passed in",
    shows=BACKWARD_VIEW & A_STEP,
    kind="F43",
)
def _(case: Case) -> Case:
    return case.map(lambda array: np.flip(array, tuple(np.flatnonzero(np.array(array.strides) < 0).tolist())))


def writing(name: str, says: str, look_at: str, where: str, shows: Condition, write: Callable[[Case], None]) -> None:
    """A fault of writing to what belongs to the caller, once the result is computed."""

    def around(run: Run) -> Run:
        def wrong(case: Case) -> Result:
            result = run(case)
            write(case)
            return result

        return wrong

    GROUP.around(name, says, look_at=look_at, where=where, shows=shows, kind="F51", remembers=True)(around)


def _mask(case: Case) -> None:
    if case.x.flags.writeable:
        case.x[~case.valid] = 0


def _scale(case: Case) -> None:
    for w in case.weights:
        if w.w_hh.flags.writeable:
            w.w_hh[...] *= 2


writing(
    "padding-zeroed-in-place",
    "The padding of the caller's x is set to zero.",
    "whether x is copied before it is masked",
    "x after the call",
    PADDING,
    _mask,
)
writing(
    "weights-scaled-in-place",
    "The caller's w_hh is scaled for the kernel and not scaled back.",
    "whether weights are copied before they are packed",
    "w_hh after the call",
    RECURRENT.called("w_hh not zero"),
    _scale,
)


@GROUP.around(
    "weights-of-the-first-call-kept",
    "The weights of the first call of a layer are packed once, and used in every later call of the same layer.",
    look_at="what a cache of packed weights is keyed by",
    where="the parameters, from the second call on",
    shows=Condition("a second call of the same layer with other weights", lambda case: True),
    remembers=True,
)
def _(run: Run) -> Run:
    packed: dict[object, Case] = {}

    def wrong(case: Case) -> Result:
        first = packed.setdefault((case.layer, case.dtype), case.map(np.copy))
        return run(replace(case, weights=first.weights))

    return wrong


@GROUP.around(
    "weights-kept-by-array",
    "Weights are packed once for each array that holds them, and not again when what the array holds has changed.",
    look_at="what a cache of packed weights is keyed by, and what happens to it when weights are updated in place",
    where="the parameters, once they have changed",
    shows=Condition("a second call with other weights in the same arrays", lambda case: True),
    remembers=True,
)
def _(run: Run) -> Run:
    packed: dict[int, tuple[Array, Array]] = {}

    def kept(array: Array) -> Array:
        return packed.setdefault(id(array), (array, array.copy()))[1]  # which keeps the array alive, and its id

    return lambda case: run(change_weights(case, lambda w: change_fields(w, tuple(vars(w)), kept)))


@GROUP.around(
    "lengths-of-the-first-call-kept",
    "The lengths of the first call of a shape are kept with its plan, and used in every later call of that shape.",
    look_at="what a cache of plans is keyed by",
    where="the lengths, from the second call on",
    shows=Condition("a second call of the same shape with other lengths", lambda case: case.lengths is not None),
    remembers=True,
)
def _(run: Run) -> Run:
    plans: dict[object, Array] = {}

    def wrong(case: Case) -> Result:
        if case.lengths is None:
            return run(case)
        lengths = plans.setdefault((case.layer, case.x.shape), case.row_lengths.copy())
        return run(replace(case, lengths=lengths))

    return wrong
