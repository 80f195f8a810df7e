"""Biases dropped, doubled, or added at the wrong place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.faults.conditions import (
    A_STEP,
    B_HH,
    B_IH,
    BACKWARDS,
    BIAS,
    GRU,
    LSTM,
    NO_BIAS,
    NO_STATES,
    RECURRENT_CELL,
    RESET_AFTER,
    RESET_BEFORE,
    ROWS,
    SLOTS,
    STACKED,
    STEPS,
    Condition,
    bias_of,
    of_cells,
)
from conformance.faults.equations import Step
from conformance.faults.fault import Group
from conformance.faults.gates import change_fields, change_weights
from conformance.faults.parts import Part
from reference import GATES, Array, Case, Cell, Weights

GROUP = Group(
    "Biases",
    "There are two biases in some frameworks and one in others, and for most gates only their sum counts, so that one"
    " of them can be lost without a test noticing while it is zero. In a GRU that resets after the product, the"
    " recurrent bias of the candidate has a place of its own.",
)

BOTH = ("b_ih", "b_hh")


def _of_one_bias(field: str, what: str, nonzero: Condition) -> None:
    slug = field.replace("_", "-")
    GROUP.case(
        f"{slug}-dropped",
        f"The {what} bias is never added.",
        look_at=f"whether {field} is read at all",
        where=field,
        shows=nonzero & A_STEP,
        kind="F06",
    )(lambda case: change_weights(case, lambda w: change_fields(w, (field,), np.zeros_like)))
    GROUP.case(
        f"{slug}-added-twice",
        f"The {what} bias is added twice.",
        look_at=f"whether {field} is added in two places, or also folded into another bias",
        where=field,
        shows=nonzero & A_STEP,
        kind="F06",
    )(lambda case: change_weights(case, lambda w: change_fields(w, (field,), lambda b: b + b)))


_of_one_bias("b_ih", "input", B_IH)
_of_one_bias("b_hh", "recurrent", B_HH)

GROUP.case(
    "b-ih-used-for-both",
    "The input bias is also used in place of the recurrent bias.",
    look_at="where the recurrent half of the biases is read from",
    where="b_hh",
    shows=BIAS & A_STEP,
    kind="F06",
)(lambda case: change_weights(case, lambda w: replace(w, b_hh=w.b_ih)))

GROUP.case(
    "b-hh-used-for-both",
    "The recurrent bias is also used in place of the input bias.",
    look_at="where the input half of the biases is read from",
    where="b_ih",
    shows=BIAS & A_STEP,
    kind="F06",
)(lambda case: change_weights(case, lambda w: replace(w, b_ih=w.b_hh)))

GROUP.part(
    "biases-swapped",
    "The two biases are exchanged, which makes a difference to the candidate of a GRU that resets after the product.",
    look_at="the order of the two biases; only b_hh of the candidate is scaled by the reset gate",
    where="b_ih and b_hh of gate n",
    shows=RESET_AFTER & BIAS & A_STEP,
    kind="F07",
    cells=(Cell.GRU,),
)(lambda part: replace(part, weights=replace(part.weights, b_ih=part.weights.b_hh, b_hh=part.weights.b_ih)))


def _of_one_gate(cell: Cell, gate: str) -> None:
    g = GATES[cell].index(gate)

    def without(bias: Array) -> Array:
        changed = bias.copy()
        changed[g] = 0
        return changed

    GROUP.case(
        f"biases-of-gate-{gate}-dropped",
        f"Both biases of gate {gate} are dropped.",
        look_at=f"whether the biases of gate {gate} are added",
        where=f"the biases of gate {gate}",
        shows=of_cells(cell) & bias_of(g) & A_STEP,
        kind="F06",
        cells=(cell,),
    )(lambda case: change_weights(case, lambda w: change_fields(w, BOTH, without)))


for _cell in (Cell.LSTM, Cell.GRU):
    for _gate in GATES[_cell]:
        _of_one_gate(_cell, _gate)


@GROUP.part(
    "b-hn-outside-the-reset",
    "The recurrent bias of the candidate is added outside the product with the reset gate, merged with b_ih.",
    look_at="n = tanh(x_n + b_in + r*(h_n + b_hn)): with reset_after, b_hn cannot be merged into b_in",
    where="b_hh of gate n",
    shows=RESET_AFTER & B_HH & A_STEP,
    kind="F07",
    cells=(Cell.GRU,),
)
def _(part: Part) -> Part:
    if not part.case.layer.reset_after:
        return part
    b_ih, b_hh = part.weights.b_ih.copy(), part.weights.b_hh.copy()
    b_ih[2] += b_hh[2]
    b_hh[2] = 0
    return replace(part, weights=replace(part.weights, b_ih=b_ih, b_hh=b_hh))


@GROUP.part(
    "b-hn-inside-the-reset",
    "Without reset_after, the recurrent bias of the candidate is scaled by the reset gate all the same.",
    look_at="n = tanh(x_n + b_in + (r*h) w_hn^T + b_hn): without reset_after, b_hn is not scaled by r",
    where="b_hh of gate n",
    shows=RESET_BEFORE & B_HH & A_STEP,
    kind="F07",
    cells=(Cell.GRU,),
)
def _(part: Part) -> Part:
    if part.case.layer.reset_after:
        return part
    of_n = part.weights.b_hh[2].copy()
    b_hh = part.weights.b_hh.copy()
    b_hh[2] = 0

    def scaled(step: Step) -> Step:
        def wrong(x: Array, h: Array, w_hh: Array, b_hh: Array) -> tuple[Array, ...]:
            h_r = part.equations.product(h, w_hh[:1], b_hh[:1])[0]
            r = part.equations.sigmoid(x[0] + h_r)
            return step(np.stack([x[0], x[1], x[2] + r * of_n]), h, w_hh, b_hh)

        return wrong

    return replace(part, weights=replace(part.weights, b_hh=b_hh)).with_equations(around=scaled)


@GROUP.part(
    "forget-bias-after-the-sigmoid",
    "The biases of the forget gate are added to the gate itself, after its sigmoid.",
    look_at="f = sigmoid(a_f + b_f), and not sigmoid(a_f) + b_f",
    where="the biases of gate f",
    shows=LSTM & bias_of(1) & RECURRENT_CELL,
    kind="F08",
    cells=(Cell.LSTM,),
)
def _(part: Part) -> Part:
    of_f = part.weights.b_ih[1] + part.weights.b_hh[1]

    def without(bias: Array) -> Array:
        changed = bias.copy()
        changed[1] = 0
        return changed

    part = replace(part, weights=change_fields(part.weights, BOTH, without))
    return part.with_equations(lstm_cell=lambda i, f, g, c: (f + of_f) * c + i * g)


def _with_forget_bias(w: Weights) -> Weights:
    b_ih = w.b_ih.copy()
    b_ih[1] += 1
    return replace(w, b_ih=b_ih)


GROUP.part(
    "forget-bias-of-one-added",
    "One is added to the bias of the forget gate, as if the weights came untrained from an initializer.",
    look_at="a forget_bias or unit_forget_bias option, which belongs to initialization",
    where="the biases of gate f",
    shows=LSTM & RECURRENT_CELL,
    cells=(Cell.LSTM,),
)(lambda part: replace(part, weights=_with_forget_bias(part.weights)))


@GROUP.part(
    "biases-missing-in-the-reverse-direction",
    "The reverse direction runs without biases.",
    look_at="whether the biases of the reverse direction are passed on",
    where="the biases of the reverse direction",
    shows=BACKWARDS & BIAS & A_STEP,
    kind="F05",
)
def _(part: Part) -> Part:
    if not part.is_reverse:
        return part
    return replace(part, weights=change_fields(part.weights, BOTH, np.zeros_like))


GROUP.case(
    "biases-read-at-half-the-stride",
    "From one layer or direction to the next, the pointer to the biases advances by one bias, though there are two.",
    look_at="the stride between the biases of consecutive layers: b_ih and b_hh each have G*H entries",
    where="the biases of layer 1 and above, and of the second direction",
    shows=SLOTS & BIAS & A_STEP,
    kind="F05",
)(lambda case: _half_stride(case))


def _half_stride(case: Case) -> Case:
    flat = [bias for w in case.weights for bias in (w.b_ih, w.b_hh)]
    return replace(case, weights=tuple(replace(w, b_ih=flat[k], b_hh=flat[k + 1]) for k, w in enumerate(case.weights)))


@GROUP.part(
    "no-bias-scratch-not-cleared",
    "Without biases, the buffer for the recurrent product is not cleared for rows after the second, and accumulates.",
    look_at="what initializes the buffer of h w_hh^T where there is no bias to initialize it with",
    where="the recurrent product of a layer without bias",
    shows=NO_BIAS & ROWS & STEPS,
    kind="F09",
)
def _(part: Part) -> Part:
    if part.case.layer.bias:
        return part
    before: list[Array] = []

    def accumulating(h: Array, w_hh: Array, b_hh: Array) -> Array:
        product = np.array(part.equations.product(h, w_hh, b_hh))
        if before and before[-1].shape == product.shape:
            product[:, 2:] += before[-1][:, 2:]
        before.append(product)
        return product

    return part.with_equations(product=accumulating)


@GROUP.part(
    "upper-layers-without-biases",
    "Only layer 0 adds its biases.",
    look_at="whether the biases of layer 1 and above are passed on",
    where="the biases of layer 1 and above",
    shows=STACKED & BIAS & A_STEP,
    kind="F05",
)
def _(part: Part) -> Part:
    return part if part.number == 0 else replace(part, weights=change_fields(part.weights, BOTH, np.zeros_like))


GROUP.part(
    "b-hn-dropped",
    "The recurrent bias of the candidate is dropped, and no other.",
    look_at="n = tanh(x_n + b_in + r*(h_n + b_hn)): the candidate has a recurrent bias too",
    where="b_hh of gate n",
    shows=GRU & B_HH & A_STEP,
    kind="F06",
    cells=(Cell.GRU,),
)(lambda part: replace(part, weights=replace(part.weights, b_hh=_without_last(part.weights.b_hh))))


def _without_last(bias: Array) -> Array:
    changed = bias.copy()
    changed[-1] = 0
    return changed


def _without_b_hh_at_first(step: Step) -> Step:
    first = True

    def wrong(x: Array, *rest: Array) -> tuple[Array, ...]:
        nonlocal first
        b_hh = np.zeros_like(rest[-1]) if first else rest[-1]
        first = False
        return step(x, *rest[:-1], b_hh)

    return wrong


GROUP.part(
    "first-step-without-b-hh",
    "Without an initial state, the first step skips all that is recurrent, and b_hh with it.",
    look_at="a branch for h_0 = None, which saves the product with h and must not save b_hh",
    where="b_hh in the first step",
    shows=NO_STATES & B_HH & A_STEP,
    kind="F52",
)(lambda part: part.with_equations(around=_without_b_hh_at_first) if part.h_0 is None else part)


def left_out_where(name: str, says: str, look_at: str, given: str, where: Callable[[Weights], bool]) -> None:
    """A fault in which recurrent biases are not added where weights are as ``given`` says."""
    shows = Condition(given, lambda case: any(where(w) for w in case.weights))
    GROUP.case(name, says, look_at=look_at, where="b_hh", shows=shows & B_HH & A_STEP)(
        lambda case: change_weights(
            case, lambda w: change_fields(w, ("b_hh",), np.zeros_like) if case.layer.bias and where(w) else w
        )
    )


left_out_where(
    "equal-biases-added-once",
    "Where b_hh equals b_ih, the two are taken to be one parameter, which is added once.",
    "whether parameters are told apart by what is in them",
    "b_ih equal to b_hh",
    lambda w: np.array_equal(w.b_ih, w.b_hh),
)
left_out_where(
    "biases-in-one-array-added-once",
    "Where b_ih and b_hh are given as one array, that is added once.",
    "whether parameters are told apart by where they are in memory",
    "one array for both biases",
    lambda w: w.b_ih is w.b_hh,
)
left_out_where(
    "b-hh-left-out-where-w-hh-is-zero",
    "Where w_hh is zero, the recurrent product is left out, and b_hh with it.",
    "what is left out with a product of zeros",
    "a w_hh of zeros",
    lambda w: not np.any(w.w_hh),
)


def _is_one_hot(case: Case) -> bool:
    x = case.x[case.valid]
    return len(x) > 0 and all(bool(np.all(np.sum(is_so, axis=-1) == 1)) for is_so in (x == 1, x != 0))


@GROUP.case(
    "one-hot-input-without-b-ih",
    "Where x is one-hot, columns of w_ih are looked up in place of a product, and b_ih is left out.",
    look_at="the path of inputs that stand for indices",
    where="b_ih of the first layer",
    shows=Condition("a one-hot x", _is_one_hot) & B_IH & A_STEP,
)
def _(case: Case) -> Case:
    if not _is_one_hot(case):
        return case
    first = case.layer.num_directions
    without = [change_fields(w, ("b_ih",), np.zeros_like) for w in case.weights[:first]]
    return replace(case, weights=(*without, *case.weights[first:]))
