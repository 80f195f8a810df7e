"""What the documents say about outputs whose numbers nobody can recompute: laws between y, h_n and c_n.

A relation looks at one run, or compares it with another of the same weights and inputs, and returns the worst element
that breaks it, or None. The same function judges printed arrays, where every element has the tolerance of its last
printed digit, and the outputs of an implementation, where the tolerance is 0 or what the caller passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reference import Array, Case, Cell, Layer, Result

Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """The outputs of one call, in the layout of the reference, and how well each element is known."""

    layer: Layer
    batch_size: int
    num_steps: int
    lengths: Array | None
    """(B,); None means T for every row"""
    values: Mapping[str, Array]
    """``y`` (B, T, D*H), ``h_n`` and ``c_n`` (L*D, B, H): those that there are"""
    tolerance: Mapping[str, Array]
    """by how much each element may be off, in the shapes of ``values``"""
    known: Mapping[str, npt.NDArray[np.bool_]]
    """False where an element cannot be read, and nothing is claimed"""

    @property
    def ends(self) -> Array:
        """(B,): the length of every row."""
        return np.full(self.batch_size, self.num_steps) if self.lengths is None else np.asarray(self.lengths)


@dataclass(frozen=True)
class Violation:
    """The element that breaks a relation most."""

    tensor: str
    index: Index
    excess: float
    """by how much it is off beyond what is tolerated; inf where nothing is tolerated, as for a wrong shape or NaN"""


Check = Callable[[Run, "Run | None", float], "Violation | None"]


@dataclass(frozen=True)
class Relation:
    """A law that a document states."""

    name: str
    says: str
    quotes: tuple[str, ...]
    """the documents' own words"""
    needs: tuple[str, ...]
    """the tensors that it looks at"""
    between_two: bool
    """whether it compares with the run of the vector's ``other``"""
    check: Check
    """``check(run, other, slack)``: ``slack`` is added to every tolerance"""


def run_of(case: Case, result: Result, tolerance: float = 0.0) -> Run:
    """The outputs of an implementation for a case, as a Run: every element is known, NaN too."""
    values = {name: np.asarray(array, np.float64) for name, array in result.items()}
    return Run(
        case.layer,
        case.batch_size,
        case.num_steps,
        lengths=None if case.lengths is None else np.asarray(case.lengths),
        values=values,
        tolerance={name: np.full(array.shape, tolerance) for name, array in values.items()},
        known={name: np.ones(array.shape, np.bool_) for name, array in values.items()},
    )


def zero_past_length(run: Run, other: Run | None, slack: float) -> Violation | None:
    """Y is exactly zero past the length of its row; no tolerance."""
    past = np.arange(run.num_steps) >= run.ends[:, None]
    excess = np.where(past[:, :, None], np.abs(run.values["y"]), 0.0)
    return _worst("y", excess, run.known["y"])


def no_step_is_zero(run: Run, other: Run | None, slack: float) -> Violation | None:
    """No step within the length of its row has an output of zeros only."""
    valid = np.arange(run.num_steps) < run.ends[:, None]
    zero = valid & np.all((run.values["y"] == 0) & run.known["y"], axis=2)
    return _worst("y", np.where(zero[:, :, None], np.inf, np.zeros(run.values["y"].shape)), run.known["y"])


def forward_state_is_last_output(run: Run, other: Run | None, slack: float) -> Violation | None:
    """h_n of the last layer, forward, is y at the last valid step, in the forward columns."""
    hidden = run.layer.hidden_size
    slot = -run.layer.num_directions
    return _state_is_output(run, slot, run.ends - 1, slice(0, hidden), slack)


def reverse_state_is_first_output(run: Run, other: Run | None, slack: float) -> Violation | None:
    """h_n of the last layer, reverse, is y at step 0, in the reverse columns."""
    return _state_is_output(run, -1, np.zeros_like(run.ends), slice(run.layer.hidden_size, None), slack)


def lower_layers_are_not_in_y(run: Run, other: Run | None, slack: float) -> Violation | None:
    """h_n of every layer but the last differs from what y ends with: y shows the last layer only."""
    hidden, directions = run.layer.hidden_size, run.layer.num_directions
    y, h_n = run.values["y"], run.values["h_n"]
    rows = np.arange(run.batch_size)
    excess = np.zeros(h_n.shape)
    for slot in range(h_n.shape[0] - directions):
        reverse = slot % directions == 1
        step = np.zeros_like(run.ends) if reverse else run.ends - 1
        seen = y[rows, step][:, hidden:] if reverse else y[rows, step][:, :hidden]
        excess[slot] = np.where(np.all(seen == h_n[slot], axis=1)[:, None], np.inf, 0.0)
    return _worst("h_n", excess, run.known["h_n"])


def shapes_as_stated(run: Run, other: Run | None, slack: float) -> Violation | None:
    """Y is (B, T, D*H), h_n and c_n are (L*D, B, H), and only an LSTM has c_n."""
    layer = run.layer
    state = (layer.num_layers * layer.num_directions, run.batch_size, layer.hidden_size)
    output = (run.batch_size, run.num_steps, layer.num_directions * layer.hidden_size)
    for name, array in run.values.items():
        if array.shape != (output if name == "y" else state) or (name == "c_n" and layer.cell is not Cell.LSTM):
            return Violation(name, (), np.inf)
    return None


def hidden_is_gated_tanh_of_cell(run: Run, other: Run | None, slack: float) -> Violation | None:
    """h_n = o * tanh(c_n) with o between 0 and 1: the sign of c_n, and no larger than tanh(c_n)."""
    h, c = run.values["h_n"], run.values["c_n"]
    limit = np.tanh(c)
    beyond = np.maximum(h - np.maximum(limit, 0), np.minimum(limit, 0) - h)
    excess = beyond - run.tolerance["h_n"] - run.tolerance["c_n"] - slack
    # A row of length 0 keeps its initial state, which no gate has touched.
    return _worst("h_n", excess, run.known["h_n"] & run.known["c_n"] & (run.ends > 0)[:, None])


def full_rows_agree(run: Run, other: Run | None, slack: float) -> Violation | None:
    """Rows of full length give the same y, h_n and c_n with lengths and without."""
    full = run.ends == run.num_steps
    masks = {"y": full[:, None, None], "h_n": full[None, :, None], "c_n": full[None, :, None]}
    return _agree_where(run, _given(other), masks, slack)


def valid_steps_agree(run: Run, other: Run | None, slack: float) -> Violation | None:
    """Of a single layer, the forward columns of y are the same with lengths and without, on every valid step."""
    valid = np.arange(run.num_steps) < run.ends[:, None]
    forward = np.arange(run.values["y"].shape[2]) < run.layer.hidden_size
    return _agree_where(run, _given(other), {"y": valid[:, :, None] & forward}, slack)


def outputs_agree(run: Run, other: Run | None, slack: float) -> Violation | None:
    """Two implementations of one layer give the same y, h_n and c_n."""
    everywhere = np.ones((1, 1, 1), np.bool_)
    return _agree_where(run, _given(other), {"y": everywhere, "h_n": everywhere, "c_n": everywhere}, slack)


def judge(relation: Relation, run: Run, other: Run | None = None, slack: float = 0.0) -> Violation | None:
    """Check one relation; an array of the wrong shape, or with NaN, breaks every one that looks at it."""
    for each in (run, *([other] if relation.between_two and other is not None else [])):
        wrong = shapes_as_stated(each, None, 0.0) or _nan(each, relation.needs or tuple(each.values))
        if wrong is not None:
            return wrong
    return relation.check(run, other, slack)


def _nan(run: Run, names: tuple[str, ...]) -> Violation | None:
    found = (_worst(n, np.where(np.isnan(run.values[n]), np.inf, 0.0), run.known[n]) for n in names)
    return next((violation for violation in found if violation is not None), None)


def _given(other: Run | None) -> Run:
    if other is None:
        raise ValueError("other is None, but a relation between two runs should be given the second one")
    return other


def _state_is_output(run: Run, slot: int, steps: Array, columns: slice, slack: float) -> Violation | None:
    """Compare h_n[slot] with y at one step a row; a row of length 0 has no output to compare with."""
    rows = np.arange(run.batch_size)

    def seen(arrays: Mapping[str, Array]) -> Array:
        return arrays["y"][rows, np.maximum(steps, 0)][:, columns]

    excess = _excess(
        run.values["h_n"][slot], seen(run.values), run.tolerance["h_n"][slot] + seen(run.tolerance) + slack
    )
    known = run.known["h_n"][slot] & seen(run.known) & (run.ends > 0)[:, None]
    worst = _worst("h_n", excess, known)
    slots = run.values["h_n"].shape[0]
    return None if worst is None else Violation("h_n", (slot % slots, *worst.index), worst.excess)


def _agree_where(run: Run, other: Run, masks: Mapping[str, Array], slack: float) -> Violation | None:
    found = []
    for name, mask in masks.items():
        if name in run.values and name in other.values:
            tolerance = run.tolerance[name] + other.tolerance[name] + slack
            excess = _excess(run.values[name], other.values[name], tolerance)
            found.append(_worst(name, excess, run.known[name] & other.known[name] & mask))
    return max((v for v in found if v is not None), key=lambda v: v.excess, default=None)


def _excess(a: Array, b: Array, tolerance: Array) -> Array:
    # Equal infinities have no difference.
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, np.abs(a - b)) - tolerance


def _worst(tensor: str, excess: Array, known: npt.NDArray[np.bool_]) -> Violation | None:
    """The largest positive excess among the known elements."""
    excess = np.where(known, excess, -np.inf)
    if not np.any(excess > 0):
        return None
    index = tuple(int(k) for k in np.unravel_index(np.argmax(excess), excess.shape))
    return Violation(tensor, index, float(excess[index]))


_ALL = (
    Relation(
        "zero-past-length",
        "y is exactly zero at every step past the length of its row.",
        ("the output parts that exceed the valid length are all 0s", "长度不足的部分计算结果为 0"),
        ("y",),
        False,
        zero_past_length,
    ),
    Relation(
        "no-step-is-zero",
        "No step within the length of its row has an output of zeros only; without lengths that is every step.",
        ("none of the output values of the lengths of output_0 are all 0s",),
        ("y",),
        False,
        no_step_is_zero,
    ),
    Relation(
        "forward-state-is-last-output",
        "h_n of the last layer's forward direction is y at the last valid step, forward columns.",
        (
            "consistent with the output of the last dimension within the valid length",
            "h_n[:, 0, :] = forward_output[:, -1, :]",
        ),
        ("y", "h_n"),
        False,
        forward_state_is_last_output,
    ),
    Relation(
        "reverse-state-is-first-output",
        "h_n of the last layer's reverse direction is y at step 0, reverse columns.",
        (
            "consistent with the value of hidden_size after the first dimension of output_1 starts to output",
            "h_n[:, 1, :] = backward_output[:, -1, :]",
        ),
        ("y", "h_n"),
        False,
        reverse_state_is_first_output,
    ),
    Relation(
        "lower-layers-are-not-in-y",
        "h_n holds the final state of every layer; those of all layers but the last are not what y ends with.",
        ("different from the output of output_1, which contains only the last layer",),
        ("y", "h_n"),
        False,
        lower_layers_are_not_in_y,
    ),
    Relation(
        "shapes-as-stated",
        "y is (B, T, D*H), h_n and c_n are (L*D, B, H).",
        ("The dimensions of both output_0 and output_1 are [4, 8, 16]", "The dimensions of hn_1 are [4, 4, 8]"),
        (),
        False,
        shapes_as_stated,
    ),
    Relation(
        "hidden-is-gated-tanh-of-cell",
        "h_n has the sign of c_n and is no larger than tanh(c_n), because the output gate lies between 0 and 1.",
        ("to obtain a value between -1 and 1. Multiply the value by the result of the output gate",),
        ("h_n", "c_n"),
        False,
        hidden_is_gated_tanh_of_cell,
    ),
    Relation(
        "full-rows-agree",
        "A row of full length gives the same y, h_n and c_n with lengths and without.",
        ("That is, the default valid seq_length is 8",),
        (),
        True,
        full_rows_agree,
    ),
    Relation(
        "valid-steps-agree",
        "The forward columns of a single layer's y are the same with lengths and without, on every valid step.",
        ("the output parts that exceed the valid length are all 0s",),
        ("y",),
        True,
        valid_steps_agree,
    ),
    Relation(
        "outputs-agree",
        "Two implementations of one layer give the same y, h_n and c_n.",
        ("验证bidirectional_rnn_function 的正确性", "lstm cell output h1 allclose:  ✅"),
        (),
        True,
        outputs_agree,
    ),
)

RELATIONS = {relation.name: relation for relation in _ALL}
"""Every relation by its name."""
