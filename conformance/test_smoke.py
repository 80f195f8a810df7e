"""Smoke: the adapter is sane, before anything is said of the framework behind it.

Every parameter of every gate is probed by itself in a layer of one unit and one step, which can be checked by hand: an
adapter that permutes gates, swaps biases, transposes or drops a parameter is told by name here, and does not look like
a framework that computes the wrong thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backends import Capabilities
from conformance.search import Subject, Tally, agrees_with_reference, examine
from conformance.strategies import numpy_dtype
from reference import GATES, Case, Cell, Layer, Weights

PARAMETERS = ("w_ih", "w_hh", "b_ih", "b_hh")

BASE = (0.5, -1.0, 0.75, 2.0)
"""What w_ih gives each gate to begin with, so that every gate matters to the result."""


def probes(layer: Layer, dtype: str) -> Iterator[tuple[str, Case]]:
    """A case for each parameter of each gate, in which that one is larger by 1; B = T = I = H = 1, x = 1, h_0 = 0.5."""
    gates = layer.num_gates
    base = {name: np.zeros((gates, 1, 1) if name.startswith("w") else (gates, 1)) for name in PARAMETERS}
    base["w_ih"][:, 0, 0] = BASE[:gates]
    h_0, c_0 = np.full((1, 1, 1), 0.5), np.full((1, 1, 1), -0.25)
    for name in PARAMETERS if layer.bias else PARAMETERS[:2]:
        for g, gate in enumerate(GATES[layer.cell]):
            bumped = base[name].copy()
            bumped[g] += 1
            weights = Weights(**{**base, name: bumped})
            case = Case(layer, (weights,), np.ones((1, 1, 1)), h_0, c_0 if layer.cell is Cell.LSTM else None)
            yield f"{name} of gate {gate}", case.astype(numpy_dtype(dtype))


@pytest.mark.each_dtype
def test_every_parameter_of_every_gate_arrives(subject: Subject, tally: Tally, request: pytest.FixtureRequest) -> None:
    """Each parameter of each gate, alone in a layer of one unit and one step, has the effect it should have."""
    capabilities = subject.backend.capabilities
    layer = simplest_layer(
        capabilities, subject.cell, input_size=1, hidden_size=1, direction=capabilities.directions[0]
    )
    for probed, case in probes(layer, subject.dtypes[0]):
        examine(
            agrees_with_reference, subject, case, tally, request, f"the adapter does not bring {probed} to its place"
        )


@pytest.mark.each_dtype
def test_states_and_outputs_have_their_places(subject: Subject, tally: Tally, request: pytest.FixtureRequest) -> None:
    """Rows, steps, units, layers and directions, all of different number, come out where they belong."""
    capabilities = subject.backend.capabilities
    layer = simplest_layer(
        capabilities,
        subject.cell,
        input_size=2,
        hidden_size=5,
        num_layers=min(2, capabilities.max_layers or 2),
        direction=capabilities.directions[-1],
    )
    case = counting_case(layer, batch=3, steps=4).astype(numpy_dtype(subject.dtypes[0]))
    for each in [case, replace(case, lengths=[2, 4, 1])] if capabilities.lengths else [case]:
        examine(agrees_with_reference, subject, each, tally, request)


def simplest_layer(capabilities: Capabilities, cell: Cell, **fields: Any) -> Layer:
    """A layer of the given fields, and elsewhere of what is claimed first; with w_ih, as every probe needs it."""
    return Layer(
        cell=cell,
        activation=capabilities.activations[0] if cell is Cell.RNN else "tanh",  # type: ignore[arg-type]
        reset_after=capabilities.reset_after[0] if cell is Cell.GRU else True,
        bias=capabilities.bias[0],
        **fields,
    )


def counting_case(layer: Layer, batch: int, steps: int) -> Case:
    """A case whose numbers are small, exact in every dtype, and all over different from their neighbours."""
    count = 0

    def numbers(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        nonlocal count
        position = count + np.arange(np.prod(shape))
        count += len(position)
        return ((position * 37 % 101 - 50) / 64).reshape(shape)

    def weights_of(k: int) -> Weights:
        gates, hidden = layer.num_gates, layer.hidden_size
        bias = 1 if layer.bias else 0
        return Weights(
            numbers(gates, hidden, layer.input_size_of(k // layer.num_directions)),
            numbers(gates, hidden, hidden),
            bias * numbers(gates, hidden),
            bias * numbers(gates, hidden),
        )

    slots = layer.num_layers * layer.num_directions
    x = numbers(batch, steps, layer.input_size)
    state = (slots, batch, layer.hidden_size)
    return Case(
        layer,
        tuple(weights_of(k) for k in range(slots)),
        x,
        numbers(*state),
        numbers(*state) if layer.cell is Cell.LSTM else None,
    )
