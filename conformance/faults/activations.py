"""Activations that are other functions, or the right ones over too small a range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.faults.conditions import A_STEP, LSTM, NAN, NOT_RELU, RELU, RNN, Condition, of_cells, reaching
from conformance.faults.equations import Function
from conformance.faults.fault import Edits, Group
from conformance.faults.parts import Part
from reference import Array, Cell
from reference.cells import relu, sigmoid

GROUP = Group(
    "Activations",
    "Sigmoid, hard sigmoid and tanh are alike near zero. What tells them apart is a number from where they bend, and"
    " what tells a robust one from a fragile one is a number from where they are flat.",
)

GATED = (Cell.LSTM, Cell.GRU)


def activation(
    name: str,
    says: str,
    look_at: str,
    where: str,
    shows: Condition,
    cells: tuple[Cell, ...] = tuple(Cell),
    kind: str | None = None,
    **changes: Any,
) -> None:
    """A fault of the functions alone."""

    def edit(part: Part) -> Part:
        return part.with_equations(**changes)

    GROUP.add(name, says, Edits(part=(edit,)), look_at=look_at, where=where, shows=shows, cells=cells, kind=kind)


def beyond(limit: float, function: str = "sigmoid tanh relu") -> Condition:
    """Cases in which an argument of ``function`` exceeds ``limit`` in size."""
    return reaching(
        f"an argument of {' or '.join(function.split())} beyond {limit:g}",
        function,
        lambda x: bool(np.any(np.abs(x) > limit)),
    )


_OTHERS: dict[str, tuple[str, Callable[[Array], Array]]] = {"sigmoid": ("tanh", np.tanh), "tanh": ("sigmoid", sigmoid)}
_PLACES = {
    **{("lstm", gate): "sigmoid" for gate in "ifo"},
    ("lstm", "g"): "tanh",
    ("lstm", "c"): "tanh",
    ("gru", "r"): "sigmoid",
    ("gru", "z"): "sigmoid",
    ("gru", "n"): "tanh",
    ("rnn", "h"): "tanh",
}
for (_cell, _gate), _right in _PLACES.items():
    _wrong, _function = _OTHERS[_right]
    _of = "the cell state within h'" if _gate == "c" else f"gate {_gate}" if _cell != "rnn" else "the sum"
    activation(
        f"{_wrong}-for-{_right}-of-{_cell}-{_gate}",
        f"The activation of {_of} in the {_cell.upper()} is {_wrong} in place of {_right}.",
        f"which activation {_of} has",
        _of,
        of_cells(Cell(_cell)) & NOT_RELU & A_STEP,
        (Cell(_cell),),
        "F17",
        of_gate={_gate: _function},
    )

activation(
    "h-without-tanh-of-the-cell",
    "The hidden state is o*c', without the tanh.",
    "h' = o*tanh(c')",
    "the cell state within h'",
    LSTM & A_STEP,
    (Cell.LSTM,),
    "F17",
    of_gate={"c": lambda x: x},
)
activation(
    "candidate-without-tanh",
    "The candidate of the LSTM is its sum, without the tanh.",
    "g = tanh(...)",
    "gate g",
    LSTM & A_STEP,
    (Cell.LSTM,),
    "F17",
    of_gate={"g": lambda x: x},
)
activation(
    "tanh-for-relu",
    "The activation is always tanh, though relu was asked for.",
    "whether the activation that is asked for reaches the kernel",
    "the activation",
    RELU & A_STEP,
    (Cell.RNN,),
    "F17",
    relu=np.tanh,
)
activation(
    "relu-for-tanh",
    "The activation of the RNN is always relu, though tanh was asked for.",
    "whether the activation that is asked for reaches the kernel",
    "the activation",
    RNN & NOT_RELU & A_STEP,
    (Cell.RNN,),
    "F17",
    of_gate={"h": relu},
)
activation(
    "relu-leaks",
    "The relu passes a hundredth of what is below zero.",
    "whether it is a relu or a leaky one",
    "the activation",
    RELU & A_STEP,
    (Cell.RNN,),
    "F17",
    relu=lambda x: np.where(x > 0, x, x * np.asarray(0.01, x.dtype)),
)
activation(
    "relu-stops-at-six",
    "The relu is cut off at 6.",
    "whether it is a relu or a relu6",
    "the activation",
    RELU & beyond(6, "relu"),
    (Cell.RNN,),
    "F17",
    relu=lambda x: np.minimum(relu(x), np.asarray(6, x.dtype)),
)
activation(
    "identity-for-relu",
    "The RNN is linear: its relu is left out.",
    "whether the activation that is asked for reaches the kernel",
    "the activation",
    RELU & A_STEP,
    (Cell.RNN,),
    "F17",
    relu=lambda x: x,
)
activation(
    "relu-of-nan-is-zero",
    "The relu of NaN is 0.",
    "which of its arguments a maximum returns where one is NaN",
    "the activation",
    RELU & NAN,
    (Cell.RNN,),
    "F55",
    relu=lambda x: np.fmax(x, np.asarray(0, x.dtype)),
)


def _clipped(x: Array) -> Array:
    return np.asarray(np.fmin(x, np.asarray(np.finfo(np.float16).max, x.dtype)))


activation(
    "gates-clip-nan",
    "Sums are cut off at a large number, and NaN becomes that number.",
    "which of its arguments a minimum returns where one is NaN",
    "the sigmoid and the tanh",
    NOT_RELU & NAN,
    tuple(Cell),
    "F55",
    sigmoid=lambda x: sigmoid(_clipped(x)),
    tanh=lambda x: np.tanh(_clipped(x)),
)


def hard_sigmoid(slope: float) -> Function:
    """A line through (0, 1/2), cut off at 0 and 1."""
    return lambda x: np.clip(x * np.asarray(slope, x.dtype) + np.asarray(0.5, x.dtype), 0, 1).astype(x.dtype)


for _slope, _text in ((0.2, "x/5"), (1 / 6, "x/6")):
    activation(
        f"hard-sigmoid-of-slope-one-{'fifth' if _slope == 0.2 else 'sixth'}",
        f"The gates use the hard sigmoid {_text} + 1/2, cut off at 0 and 1.",
        "whether the gates have a sigmoid or a hard sigmoid",
        "the sigmoid of every gate",
        of_cells(*GATED) & A_STEP,
        GATED,
        "F18",
        sigmoid=hard_sigmoid(_slope),
    )


def _exponential_sigmoid(x: Array) -> Array:
    power: Array = np.exp(x)
    return np.asarray(power / (1 + power))


def _exponential_tanh(x: Array) -> Array:
    power = np.exp(2 * x)
    # Beyond the overflow alone: where nothing overflows the function is the library's, as accurate as ever.
    return np.where(np.isinf(power), np.asarray(np.nan, x.dtype), np.tanh(x))


def _sigmoid_within(limit: float) -> Function:
    return lambda x: np.where(np.abs(x) > limit, np.asarray(0.5, x.dtype), sigmoid(x))


activation(
    "sigmoid-overflows",
    "The sigmoid is exp(x)/(1+exp(x)), which is NaN once exp(x) overflows.",
    "the sigmoid of large positive numbers",
    "the sigmoid of every gate",
    of_cells(*GATED)
    & reaching(
        "an argument of sigmoid whose exponential overflows", "sigmoid", lambda x: bool(np.any(np.isinf(np.exp(x))))
    ),
    GATED,
    "F19",
    sigmoid=_exponential_sigmoid,
)
activation(
    "tanh-overflows",
    "The tanh is (exp(2x)-1)/(exp(2x)+1), which is NaN once exp(2x) overflows.",
    "the tanh of large positive numbers",
    "the tanh",
    NOT_RELU
    & reaching(
        "an argument of tanh whose exponential overflows", "tanh", lambda x: bool(np.any(np.isinf(np.exp(2 * x))))
    ),
    tuple(Cell),
    "F19",
    tanh=_exponential_tanh,
)
activation(
    "sigmoid-half-beyond-40",
    "The sigmoid is 1/2 beyond 40 on either side, outside the range it was written for.",
    "the sigmoid of large numbers of either sign",
    "the sigmoid of every gate",
    of_cells(*GATED) & beyond(40, "sigmoid"),
    GATED,
    "F19",
    sigmoid=_sigmoid_within(40),
)
activation(
    "tanh-one-for-large-negatives",
    "The tanh saturates at 1 on both sides.",
    "the sign of the saturated tanh",
    "the tanh",
    NOT_RELU & beyond(9, "tanh"),
    tuple(Cell),
    "F19",
    tanh=lambda x: np.where(x < -9, np.asarray(1, x.dtype), np.tanh(x)),
)

for _limit in (5, 10, 50):
    activation(
        f"sums-clipped-at-{_limit}",
        f"What the activations are applied to is clipped to [-{_limit}, {_limit}].",
        "a clip, or a range of inputs that a table or a polynomial covers",
        "the argument of the activations",
        beyond(_limit),
        tuple(Cell),
        total=lambda x, limit=_limit: np.clip(x, -limit, limit),
    )
for _limit, _name in ((3, "three"), (1000, "a-thousand")):
    activation(
        f"cell-clipped-at-{_name}",
        f"The cell state is clipped to [-{_limit}, {_limit}] after every step.",
        "a cell_clip option that is always on",
        "the cell state",
        LSTM & beyond(_limit, "tanh"),
        (Cell.LSTM,),
        lstm_cell=lambda i, f, g, c, limit=_limit: np.clip(f * c + i * g, -limit, limit),
    )
activation(
    "state-clipped-at-one",
    "The hidden state is clipped to [-1, 1] after every step.",
    "a range that is right for tanh and not for relu, nor for a GRU that starts outside it",
    "the hidden state",
    A_STEP,
    (Cell.RNN, Cell.GRU),
    stored=lambda h: np.clip(h, -1, 1),
)
