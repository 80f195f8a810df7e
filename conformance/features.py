"""The features of a case by which a report counts, and which of them a backend does not claim.

A feature is an axis and a value on it, such as ``("direction", "reverse")``. Every case has one value on most axes; an
axis that says nothing of a cell, such as the variant of an LSTM, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from backends import Capabilities
from reference import Case, Cell, Direction

AXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cell": tuple(map(str, Cell)),
        "variant": ("rnn tanh", "rnn relu", "gru reset after", "gru reset before"),
        "direction": tuple(map(str, Direction)),
        "layers": ("1", "2", "3 or more"),
        "lengths": ("none", "given", "given, some 0"),
        "bias": ("with", "without"),
        "initial state": ("given", "none"),
        "input mode": ("linear", "skip"),
    }
)
"""Every axis with its values, in the order in which they are shown."""


def features_of(case: Case) -> Iterator[tuple[str, str]]:
    """The features of a case."""
    layer = case.layer
    yield "cell", str(layer.cell)
    if layer.cell is Cell.RNN:
        yield "variant", f"rnn {layer.activation}"
    if layer.cell is Cell.GRU:
        yield "variant", f"gru reset {'after' if layer.reset_after else 'before'}"
    yield "direction", str(layer.direction)
    yield "layers", AXES["layers"][min(layer.num_layers, 3) - 1]
    empty = case.lengths is not None and min(case.row_lengths) == 0
    yield "lengths", "none" if case.lengths is None else "given, some 0" if empty else "given"
    yield "bias", "with" if layer.bias else "without"
    yield "initial state", "none" if case.h_0 is None else "given"
    yield "input mode", layer.input_mode


def unclaimed(capabilities: Capabilities) -> dict[tuple[str, str], str]:
    """Every feature that lies outside ``capabilities``, and what it is that is not claimed."""
    most = capabilities.max_layers or len(AXES["layers"])
    claimed: dict[str, set[str]] = {
        "cell": set(map(str, capabilities.cells)),
        "variant": {
            *(f"rnn {activation}" for activation in capabilities.activations if Cell.RNN in capabilities.cells),
            *(f"gru reset {'after' if after else 'before'}" for after in capabilities.reset_after),
        }
        - ({"gru reset after", "gru reset before"} if Cell.GRU not in capabilities.cells else set()),
        "direction": set(map(str, capabilities.directions)),
        "layers": set(AXES["layers"][:most]),
        "lengths": {
            "none",
            *(["given"] if capabilities.lengths else []),
            *(["given, some 0"] if capabilities.lengths and capabilities.zero_length != "reject" else []),
        },
        "bias": {"with" if bias else "without" for bias in capabilities.bias},
        "initial state": set(AXES["initial state"]),
        "input mode": set(capabilities.input_modes),
    }
    return {
        (axis, value): f"{axis} {value}"
        for axis, values in AXES.items()
        for value in values
        if value not in claimed[axis]
    }
