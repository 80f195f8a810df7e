"""The adapters of Flax, Keras, MLX and OpenVINO, each where its framework is installed."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import pytest

from backends import Backend, describe, load
from conformance.strategies import numpy_dtype
from reference import Cell, Direction, Layer
from tests.adapted import accepted, bits
from tests.some_case import KINDS, arrays_in, backwards, read_only, some_case, transposed

# Keras on torch gives numpy its tensors in a way that numpy 2 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

LENGTHS = (2, 5, 3, 1)
"""Of the 4 rows and 5 steps of ``some_case``: unsorted, with T and 1 among them."""

DTYPES = ("float64", "float32", "float16", "bfloat16")

LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2)

FLAX = ("flax", "backends.flax_layers:Flax")
KERAS = ("keras", "backends.keras_layers:Keras")
MLX = ("mlx", "backends.mlx_layers:Mlx")
OPENVINO = ("openvino", "backends.open_vino:OpenVino")
OPENVINO_DYNAMIC = ("openvino", "backends.open_vino:OpenVinoDynamic")


def adapter(framework: str, spec: str) -> Backend:
    # Not pytest.importorskip: the adapter of Keras sets its backend before it imports it.
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    return load(spec)


@pytest.fixture(params=[FLAX, KERAS, MLX, OPENVINO], ids=lambda chosen: chosen[0])
def backend(request: pytest.FixtureRequest) -> Backend:
    return adapter(*request.param)


@pytest.mark.parametrize("direction", Direction, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_agrees_in_every_direction(kind: Layer, direction: Direction, backend: Backend) -> None:
    """Two layers of different input sizes over ragged rows, with a bias and without."""
    layer = replace(kind, num_layers=2, direction=direction)
    if backend.capabilities.declines_layer(layer) is not None:
        assert not kind.reset_after and backend.name in ("flax", "mlx")  # the one kind that two of them do not offer
        pytest.skip(f"declined: {backend.name} does not claim reset_after=False")
    assert accepted(backend, some_case(layer, lengths=LENGTHS).astype(np.float32))
    assert accepted(backend, some_case(replace(layer, bias=False), lengths=LENGTHS, seed=1).astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dtype_that_is_claimed_goes_in_and_comes_out(dtype: str, backend: Backend) -> None:
    """With every gate of an update shut, the cell state comes back to the bit as it was given."""
    if dtype not in backend.capabilities.dtypes:
        pytest.skip(f"declined: {backend.name} does not claim dtype {dtype}")
    case = some_case(LSTM).astype(numpy_dtype(dtype))
    kept = case.map(np.zeros_like)
    kept.weights[0].b_ih[0], kept.weights[0].b_ih[1] = -1e4, 1e4
    result = backend.run(replace(kept, c_0=case.c_0))
    assert result.c_n is not None and case.c_0 is not None
    assert result.c_n.dtype == case.dtype and result.c_n.tobytes() == case.c_0.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("look", [read_only, backwards, transposed])
def test_arrays_of_every_layout_are_read(look: Any, dtype: str, backend: Backend) -> None:
    """Read-only, of negative strides, not contiguous: to the bit what a plain copy gives, without a warning."""
    if dtype not in backend.capabilities.dtypes:
        pytest.skip(f"declined: {backend.name} does not claim dtype {dtype}")
    case = some_case(LSTM, lengths=LENGTHS).astype(numpy_dtype(dtype))
    assert bits(backend.run(case.map(look))) == bits(backend.run(case))


def test_nothing_is_carried_from_one_call_to_the_next(backend: Backend) -> None:
    """What is built is kept, and weights are not: calls of one layer, in turn, give what each gives alone."""
    layer = replace(LSTM, direction=Direction.BIDIRECTIONAL)
    cases = [some_case(layer, seed=1), some_case(layer, seed=2, states=False), some_case(layer, seed=3)]
    cases = [case.astype(np.float32) for case in cases]
    first = [bits(backend.run(case)) for case in cases]
    assert [bits(backend.run(case)) for case in reversed(cases)] == first[::-1]
    assert len({result["y"] for result in first}) == 3


def test_a_result_is_neither_a_view_of_its_case_nor_of_a_buffer(backend: Backend) -> None:
    """It stays as it is when more is run, and when the arrays of the case change."""
    case = some_case(LSTM).astype(np.float32)
    result = backend.run(case)
    before = bits(result)
    backend.run(some_case(LSTM, seed=1).astype(np.float32))
    for array in arrays_in(case):
        array[...] = 0
    assert bits(result) == before


@pytest.mark.parametrize("direction", Direction, ids=str)
@pytest.mark.parametrize("chosen", [KERAS, MLX, OPENVINO], ids=lambda chosen: chosen[0])
def test_a_row_of_length_zero_ends_as_declared(chosen: tuple[str, str], direction: Direction) -> None:
    """In its initial state on Keras and MLX, in state zero on OpenVINO."""
    backend = adapter(*chosen)
    case = some_case(replace(LSTM, direction=direction), lengths=(0, 5, 2, 0)).astype(np.float32)
    result = backend.run(case)
    assert case.h_0 is not None
    expected, declared = (np.zeros_like(case.h_0), "zero") if chosen is OPENVINO else (case.h_0, "hold")
    np.testing.assert_array_equal(result.h_n[:, [0, 3]], expected[:, [0, 3]])
    assert backend.capabilities.zero_length == declared
    assert accepted(backend, case)


@pytest.mark.parametrize("chosen", [FLAX, KERAS, MLX, OPENVINO], ids=lambda chosen: chosen[0])
def test_the_description_says_what_runs(chosen: tuple[str, str]) -> None:
    """The framework and its version, as installed, and on what."""
    backend = adapter(*chosen)
    name, version, *where = describe(backend).replace(",", "").split()
    assert name == chosen[0] and where
    assert metadata.version(name).startswith(version.partition("-")[0])


def test_flax_has_float64_switched_on_only_while_such_a_case_runs() -> None:
    """A process that uses JAX otherwise notices nothing."""
    backend = adapter(*FLAX)
    import jax
    from jax import numpy as jnp

    assert accepted(backend, some_case(LSTM))
    assert jnp.ones(1).dtype == np.float32 and not jax.config.jax_enable_x64
    assert accepted(backend, some_case(LSTM).astype(np.float32))


def test_flax_gives_the_candidate_of_a_gru_its_recurrent_bias() -> None:
    """The bias that ``nnx.GRUCell`` leaves out, alone: r = 1/2 of it goes into the candidate, and 1 - z = 1/2 out."""
    backend = adapter(*FLAX)
    case = some_case(Layer(cell=Cell.GRU, input_size=1, hidden_size=1), batch=1, steps=1).map(np.zeros_like)
    case.weights[0].b_hh[2] = 1.0
    np.testing.assert_allclose(backend.run(case).h_n.item(), np.tanh(0.5) / 2, rtol=1e-14)


def test_keras_reads_its_backend_from_the_environment() -> None:
    """Torch unless KERAS_BACKEND says otherwise, and the description says which."""
    backend = adapter(*KERAS)
    import os

    import keras

    assert describe(backend) == f"keras {keras.__version__} on {os.environ['KERAS_BACKEND']}"


def test_openvino_claims_the_dtypes_that_the_processor_has() -> None:
    """float32 always; float16 and bfloat16 where the CPU plugin lists them."""
    backend = adapter(*OPENVINO)
    import openvino

    listed = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names = {"FP32": "float32", "FP16": "float16", "BF16": "bfloat16"}
    assert set(backend.capabilities.dtypes) == {names[name] for name in listed if name in names}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_openvino_computes_the_same_with_shapes_left_open(kind: Layer) -> None:
    """Without lengths, one model serves every batch and number of steps."""
    static, dynamic = adapter(*OPENVINO), adapter(*OPENVINO_DYNAMIC)
    layer = replace(kind, num_layers=2, direction=Direction.BIDIRECTIONAL)
    for batch, steps in ((4, 5), (1, 1), (3, 7)):
        case = some_case(layer, batch=batch, steps=steps).astype(np.float32)
        assert accepted(dynamic, case) and accepted(static, case)
