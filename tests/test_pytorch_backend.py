"""The adapter of PyTorch."""

from __future__ import annotations

import gc
import itertools
import re
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from backends import Backend, BackendError, describe, load
from reference import Cell, Direction, Layer
from tests.adapted import accepted, bits, reverse_half
from tests.some_case import LAYERS, arrays_in, backwards, read_only, some_case, transposed

torch = pytest.importorskip("torch", reason="PyTorch is not installed; tox run -e pytorch has it")

LENGTHS = (2, 5, 3, 1)
"""Of the 4 rows and 5 steps of ``some_case``: unsorted, with T and 1 among them."""


@pytest.fixture(scope="module")
def pytorch() -> Backend:
    return load("pytorch")


@pytest.mark.parametrize("gate", range(4))
def test_it_has_our_gate_order(gate: int, pytorch: Backend) -> None:
    """i, f, g, o of one unit: with the other biases at 0, that of one gate gives a result to be had by hand."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=1, hidden_size=1), batch=1, steps=1).map(np.zeros_like)
    case.weights[0].b_ih[gate] = 1.0
    c_0 = np.full((1, 1, 1), 2.0)
    i, f, o = (1 / (1 + np.exp(-1.0)) if gate == k else 0.5 for k in (0, 1, 3))
    c = f * 2 + i * (np.tanh(1.0) if gate == 2 else 0.0)
    result = pytorch.run(replace(case, c_0=c_0))
    assert result.c_n is not None
    np.testing.assert_allclose((result.c_n.item(), result.h_n.item()), (c, o * np.tanh(c)), rtol=1e-14)


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer.reset_after], ids=str)
def test_it_keeps_unsorted_rows_in_their_places(layer: Layer, pytorch: Backend) -> None:
    """Packed sequences are sorted inside; nobody outside should notice."""
    assert accepted(pytorch, some_case(layer, lengths=LENGTHS).astype(np.float32))


@pytest.mark.parametrize("cell", Cell, ids=str)
def test_reverse_is_the_reverse_half_of_bidirectional(cell: Cell, pytorch: Backend) -> None:
    """Built from parts here, computed by PyTorch itself there."""
    layer = Layer(cell=cell, input_size=3, hidden_size=2, direction=Direction.BIDIRECTIONAL)
    both = some_case(layer, lengths=LENGTHS)
    whole, reverse = pytorch.run(both), pytorch.run(reverse_half(both))
    np.testing.assert_allclose(reverse.y, whole.y[:, :, 2:], rtol=0, atol=1e-15)
    np.testing.assert_allclose(reverse.h_n, whole.h_n[1:], rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_it_takes_and_returns_every_dtype_that_it_claims(dtype: Any, pytorch: Backend) -> None:
    """bfloat16, which numpy does not know by itself, goes there and back bit by bit."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=3, hidden_size=2), lengths=LENGTHS).astype(dtype)
    assert accepted(pytorch, case)
    # With every gate of an update shut, the state comes back as it was given.
    kept = case.map(np.zeros_like)
    kept.weights[0].b_ih[0], kept.weights[0].b_ih[1] = -1e4, 1e4
    result = pytorch.run(replace(kept, c_0=case.c_0))
    assert result.c_n is not None and case.c_0 is not None
    assert result.c_n.dtype == dtype and result.c_n.tobytes() == case.c_0.tobytes()


@pytest.mark.parametrize("look", [read_only, backwards, transposed])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_it_reads_arrays_of_every_layout(look: Any, dtype: Any, pytorch: Backend) -> None:
    """Read-only, of negative strides, not contiguous: to the bit what a plain copy gives, without a warning."""
    for direction in Direction:
        layer = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, direction=direction)
        case = some_case(layer, lengths=LENGTHS).astype(dtype)
        assert bits(pytorch.run(case.map(look))) == bits(pytorch.run(case))


def test_it_carries_nothing_from_one_call_to_the_next(pytorch: Backend) -> None:
    """Modules are kept, weights are not: calls of one layer, in turn, give what each gives alone."""
    layer = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, num_layers=2, direction=Direction.BIDIRECTIONAL)
    cases = [
        some_case(layer, seed=1),
        some_case(layer, seed=2, states=False),
        some_case(layer, seed=3, lengths=LENGTHS),
    ]
    first = [bits(pytorch.run(case)) for case in cases]
    for order in itertools.permutations(range(3)):
        assert [bits(pytorch.run(cases[k])) for k in order] == [first[k] for k in order]


def test_results_stay_as_they_are_when_more_is_run(pytorch: Backend) -> None:
    """No result is a view of a buffer that the next call fills, nor of the case."""
    case = some_case(Layer(cell=Cell.GRU, input_size=3, hidden_size=2))
    result = pytorch.run(case)
    before = bits(result)
    pytorch.run(some_case(case.layer, seed=1))
    for array in arrays_in(case):
        array[...] = 0
    assert bits(result) == before


def test_it_records_no_gradients(pytorch: Backend) -> None:
    """Neither a parameter nor a result remembers how it came about, and the switch is back where it was."""
    pytorch.run(some_case(Layer(cell=Cell.RNN, input_size=3, hidden_size=2)))
    assert torch.is_grad_enabled()
    modules = [found for found in gc.get_objects() if type(found) is torch.nn.RNN]
    parameters = [parameter for module in modules for parameter in module.parameters()]
    assert parameters
    assert all(parameter.grad_fn is None and parameter.grad is None for parameter in parameters)


def test_it_tells_its_threads(pytorch: Backend) -> None:
    """The description says what runs now, not what ran when the backend was made."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert describe(pytorch) == f"torch {torch.__version__}, cpu, 1 threads"
    finally:
        torch.set_num_threads(before)


def test_a_machine_without_a_cuda_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that names the device and the version."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match=f"needs a CUDA device, and torch {re.escape(torch.__version__)} sees none"):
        load("pytorch-cuda")
