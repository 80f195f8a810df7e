"""Speed of the reference beside PyTorch's, in one run on one thread; peak memory beside what a layer has to hold.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 pytest benchmarks/test_speed.py

The number in parentheses is the ratio to the fastest of the group. ``products`` is what no implementation can leave
out: the matrix products of the layer, step by step, in numpy. What judging costs is printed, in units of a run of the
reference that alternates with it.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import reference
from backends.pytorch import PyTorch, load_weights, module_of
from conformance.tolerance import Truth
from reference import Array, Case, Cell, Direction, Layer, Weights, exact
from reference.noise import ARITHMETICS

LAYERS = {
    "lstm": Layer(cell=Cell.LSTM, input_size=256, hidden_size=256),
    "gru": Layer(cell=Cell.GRU, input_size=256, hidden_size=256),
    "rnn": Layer(cell=Cell.RNN, input_size=256, hidden_size=256),
    "lstm-2-bidirectional": Layer(
        cell=Cell.LSTM, input_size=256, hidden_size=256, num_layers=2, direction=Direction.BIDIRECTIONAL
    ),
}

SMALL = Layer(cell=Cell.LSTM, input_size=4, hidden_size=8, num_layers=2, direction=Direction.BIDIRECTIONAL)
MEDIUM = Layer(cell=Cell.LSTM, input_size=64, hidden_size=64)


def a_case(layer: Layer, batch: int, steps: int) -> Case:
    """A case with the weights that a framework would begin with."""
    numbers = np.random.default_rng(0)
    scale = layer.hidden_size**-0.5

    def weights_of(number: int) -> Weights:
        gates, hidden = layer.num_gates, layer.hidden_size
        shapes = [
            (gates, hidden, layer.input_size_of(number)),
            (gates, hidden, hidden),
            (gates, hidden),
            (gates, hidden),
        ]
        return Weights(*(numbers.uniform(-scale, scale, shape) for shape in shapes))

    slots = range(layer.num_layers * layer.num_directions)
    weights = tuple(weights_of(k // layer.num_directions) for k in slots)
    return Case(layer, weights, numbers.standard_normal((batch, steps, layer.input_size)))


def products(case: Case) -> None:
    """The matrix products of a run and nothing else: one for all inputs, and one a step for the state."""
    layer = case.layer
    h = np.ones((case.batch_size, layer.hidden_size))
    for k, weights in enumerate(case.weights):
        x = np.ones((case.batch_size * case.num_steps, layer.input_size_of(k // layer.num_directions)))
        assert weights.w_ih is not None
        x @ _stacked(weights.w_ih)
        for _ in range(case.num_steps):
            h @ _stacked(weights.w_hh)


def _stacked(w: Array) -> Array:
    return w.reshape(-1, w.shape[-1]).T


def torch_layer(case: Case) -> Callable[[], Any]:
    """PyTorch's layer alone, its weights loaded and its input converted beforehand."""
    module = module_of(case.layer, "float64", "cpu")
    x = torch.from_numpy(case.x)
    with torch.no_grad():
        load_weights(module, case.weights, case.layer)

    def run() -> None:
        with torch.no_grad():
            module(x)

    return run


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("who", ["torch", "reference", "products"])
@pytest.mark.parametrize("name", LAYERS)
def test_forward(benchmark: Any, name: str, who: str) -> None:
    """float64, B32 T128 I256 H256."""
    benchmark.group = f"forward {name} B32 T128 I256 H256 float64"
    case = a_case(LAYERS[name], batch=32, steps=128)
    run = {
        "torch": torch_layer(case),
        "reference": lambda: reference.run(case),
        "products": lambda: products(case),
    }[who]
    benchmark(run)


def beside(work: Callable[[], Any], run: Callable[[], Any], rounds: int = 40) -> Array:
    """The time of ``work`` in units of ``run``, which is timed just before and just after it: quartiles of all rounds.

    A machine that others use as well changes its speed from second to second, which hits both alike this way.
    """

    def seconds(function: Callable[[], Any], times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            function()
        return (time.perf_counter() - start) / times

    before, ratios = seconds(run, 5), []
    for _ in range(rounds):
        took, after = seconds(work, 1), seconds(run, 5)
        ratios.append(2 * took / (before + after))
        before = after
    quartiles: Array = np.quantile(ratios, [0.25, 0.5, 0.75])
    return quartiles


@pytest.mark.parametrize(("size", "what"), [("small", "tolerance"), ("small", "exact"), ("medium", "tolerance")])
def test_judging(size: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What judging costs beside one float64 run: the tolerance of a case, and its exact result."""
    case = a_case(SMALL, batch=4, steps=8) if size == "small" else a_case(MEDIUM, batch=16, steps=32)
    work = {
        "tolerance": lambda: Truth(case, ARITHMETICS["float32"]).sigma,
        "exact": lambda: exact.run(case),
    }[what]
    low, median, high = beside(work, lambda: reference.run(case))
    with capsys.disabled():
        print(f"\n{what} of {case}: {median:.1f} runs of the reference, half of the time {low:.1f} to {high:.1f}")


@pytest.mark.parametrize("name", LAYERS)
def test_peak_memory(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The reference needs at most twice its inputs, its outputs and the projections of one layer."""
    case = a_case(LAYERS[name], batch=32, steps=128)
    layer = case.layer
    tracemalloc.start()
    result = reference.run(case)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    inputs = case.x.nbytes + sum(
        a.nbytes for w in case.weights for a in (w.w_ih, w.w_hh, w.b_ih, w.b_hh) if a is not None
    )
    outputs = sum(array.nbytes for _, array in result.items())
    projections = layer.num_gates * case.batch_size * case.num_steps * layer.hidden_size * 8
    # The inputs were there before the run, and count on both sides.
    ratio = (inputs + peak) / (inputs + outputs + projections)
    with capsys.disabled():
        print(f"\npeak memory of {name}: {ratio:.2f} times inputs, outputs and one layer's projections")
    assert ratio <= 2


def test_the_adapter(benchmark: Any) -> None:
    """What the PyTorch adapter adds to the layer, on a small case."""
    benchmark.group = "adapter"
    case = a_case(SMALL, batch=4, steps=8)
    benchmark(lambda: PyTorch().run(case))
