"""The adapter of MindSpore: layers, lengths, states and layouts, in both modes; needs mindspore."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

import golden
from backends import Backend, describe, load
from golden import Vector
from reference import Array, Case, Cell, Direction, Layer, Result
from tests.adapted import accepted, bits, reverse_half
from tests.some_case import LAYERS, backwards, read_only, some_case, transposed

pytest.importorskip("mindspore", reason="MindSpore is not installed")

MODES = {"pynative": "backends.mind_spore:MindSpore", "graph": "backends.mind_spore:MindSporeGraph"}

LENGTHS = (2, 5, 3, 1)
"""Of the 4 rows and 5 steps of ``some_case``: unsorted, with T and 1 among them."""

CLAIMED = [layer for layer in LAYERS if layer.reset_after]

BIDIRECTIONAL_LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, num_layers=2, direction=Direction.BIDIRECTIONAL)

PROGRAMS = [vector for vector in golden.vectors() if vector.document == "mindspore-lstm-post" and not vector.other]
"""The three programs of the post by their first call; the second has lengths."""


@pytest.fixture(scope="module")
def pynative() -> Backend:
    return load(MODES["pynative"])


@pytest.fixture(scope="module", params=MODES)
def either(request: pytest.FixtureRequest) -> Backend:
    return load(MODES[request.param])


# MindSpore's float32 sigmoid and tanh are off by more than float32 is (conformance/deviations/); its float16 is not,
# so that this is what an adapter can be told right in.


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("layer", CLAIMED, ids=str)
def test_every_layer_arrives(layer: Layer, lengths: tuple[int, ...] | None, pynative: Backend) -> None:
    """Gates, biases, directions, layers, states and rows, each different from all others, are in their places."""
    assert accepted(pynative, some_case(layer, lengths=lengths).astype(np.float16))


@pytest.mark.parametrize("layer", [layer for layer in CLAIMED if layer.direction is Direction.BIDIRECTIONAL], ids=str)
def test_graph_mode_is_the_same_layer(layer: Layer) -> None:
    """Each cell, compiled, in both directions, with lengths and states."""
    single = replace(layer, num_layers=1)  # half as long to compile
    assert accepted(load(MODES["graph"]), some_case(single, lengths=LENGTHS).astype(np.float16))


def test_an_lstm_without_lengths_is_right_in_float32(either: Backend) -> None:
    """It comes from oneDNN, whose activations are accurate; one layer of it says that the parameters are float32."""
    assert accepted(either, some_case(BIDIRECTIONAL_LSTM).astype(np.float32))


@pytest.mark.parametrize("cell", Cell, ids=str)
def test_a_layer_may_have_neither_bias_nor_states(cell: Cell, pynative: Backend) -> None:
    """MindSpore is built without biases and called without states."""
    layer = Layer(cell=cell, input_size=3, hidden_size=2, direction=Direction.BIDIRECTIONAL, bias=False)
    assert accepted(pynative, some_case(layer, lengths=LENGTHS, states=False).astype(np.float16))


@pytest.mark.parametrize("cell", Cell, ids=str)
def test_reverse_is_the_reverse_half_of_bidirectional(cell: Cell, pynative: Backend) -> None:
    """Built from parts here, computed by MindSpore itself there: the same operators on the same numbers."""
    layer = Layer(cell=cell, input_size=3, hidden_size=2, direction=Direction.BIDIRECTIONAL)
    both = some_case(layer, lengths=LENGTHS).astype(np.float32)
    whole, reverse = pynative.run(both), pynative.run(reverse_half(both))
    np.testing.assert_array_equal(reverse.y, whole.y[:, :, 2:])
    np.testing.assert_array_equal(reverse.h_n, whole.h_n[1:])


@pytest.mark.parametrize("direction", Direction, ids=str)
@pytest.mark.parametrize("cell", Cell, ids=str)
def test_a_row_of_length_zero_holds_its_state(cell: Cell, direction: Direction, pynative: Backend) -> None:
    """To the bit, in every layer and direction, whatever stands in its steps."""
    layer = Layer(cell=cell, input_size=3, hidden_size=2, num_layers=2, direction=direction)
    case = some_case(layer, lengths=(0, 5, 0, 1)).astype(np.float32)
    case.x[0] = np.nan
    result = pynative.run(case)
    for before, after in ((case.h_0, result.h_n), (case.c_0, result.c_n)):
        if before is not None and after is not None:
            np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])
    assert not result.y[[0, 2]].any()


@pytest.mark.parametrize("look", [read_only, backwards, transposed])
def test_arrays_of_every_layout_are_read(look: Callable[[Array], Array], pynative: Backend) -> None:
    """Read-only, of negative strides, not contiguous: to the bit what a plain copy gives."""
    case = some_case(BIDIRECTIONAL_LSTM, lengths=LENGTHS).astype(np.float32)
    assert bits(pynative.run(case.map(look))) == bits(pynative.run(case))


def test_nothing_is_carried_from_one_call_to_the_next(either: Backend) -> None:
    """Layers and what is compiled of them are kept, weights and states are not."""
    layer = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2)
    cases = [some_case(layer, seed=seed, lengths=LENGTHS).astype(np.float32) for seed in (1, 2)]
    cases.append(replace(cases[0], h_0=None, c_0=None))
    first = [bits(either.run(case)) for case in cases]
    assert len({result["y"] for result in first}) == len(cases)
    for order in itertools.permutations(range(3)):
        assert [bits(either.run(cases[k])) for k in order] == [first[k] for k in order]


def test_the_two_modes_may_take_turns() -> None:
    """The mode is a setting of the process, and each run sets it; both compute the same operators."""
    case = some_case(Layer(cell=Cell.GRU, input_size=3, hidden_size=2), lengths=LENGTHS).astype(np.float32)
    pynative, graph = load(MODES["pynative"]), load(MODES["graph"])
    results = [backend.run(case) for backend in (pynative, graph, pynative, graph)]
    assert bits(results[0]) == bits(results[2]) and bits(results[1]) == bits(results[3])
    np.testing.assert_allclose(results[0].y, results[1].y, rtol=0, atol=1e-6)


def test_new_states_do_not_compile_a_layer_again() -> None:
    """In Graph mode the tensors of a plain tuple are constants, and every new pair of states a new graph."""
    from backends.mind_spore import layer_of

    backend = load(MODES["graph"])
    layer = Layer(cell=Cell.LSTM, input_size=4, hidden_size=3)
    for seed in range(3):
        backend.run(some_case(layer, seed=seed).astype(np.float32))
    assert len(layer_of(layer, backend.mode).compile_cache) == 1  # type: ignore[attr-defined]


def test_version_and_mode_are_told(either: Backend) -> None:
    """A report names what it judged."""
    import mindspore

    mode = {"mindspore": "PyNative", "mindspore-graph": "Graph"}[either.name]
    assert describe(either) == f"mindspore {mindspore.__version__}, cpu, {mode} mode"


# The programs of the post, in its own words: the layers have the random weights that MindSpore gives them.


def calls(vector: Vector) -> Iterator[tuple[Case, Result]]:
    """The two calls of a program of the post: without lengths, and with them."""
    from mindspore import PYNATIVE_MODE, Tensor, dtype, set_context
    from mindspore.nn import LSTM

    set_context(mode=PYNATIVE_MODE)
    layer = vector.layer
    lstm = LSTM(
        input_size=layer.input_size,
        hidden_size=layer.hidden_size,
        num_layers=layer.num_layers,
        has_bias=True,
        batch_first=True,
        dropout=0.0,
        bidirectional=layer.direction is Direction.BIDIRECTIONAL,
    )
    random_data = np.random.default_rng(0).random((4, 8, 4))
    ones = np.ones((layer.num_layers * layer.num_directions, 4, layer.hidden_size), np.float32)
    for seq_length in (None, [3, 8, 5, 1]):
        lengths = None if seq_length is None else Tensor(seq_length, dtype=dtype.int32)
        state = Tensor(ones), Tensor(ones)
        output, (hn, cn) = lstm(Tensor(random_data, dtype=dtype.float32), state, lengths)
        case = replace(vector.case(np.random.default_rng(0)), lengths=seq_length)
        yield case, Result(output.asnumpy(), hn.asnumpy(), cn.asnumpy())


@pytest.mark.parametrize("vector", PROGRAMS, ids=str)
def test_the_programs_of_the_post_show_what_it_says(vector: Vector, pynative: Backend) -> None:
    """Shapes, zeros past the length, final states among the outputs, and both calls alike where both are valid."""
    with_lengths = next(v for v in golden.vectors() if v.document == vector.document and v.other == vector.id)
    tolerance = 1e-5  # the two calls come from two kernels, one of which has an inaccurate sigmoid
    first, second = (golden.run_of(case, result, tolerance) for case, result in calls(vector))
    for name in vector.relations:
        assert golden.judge(golden.RELATIONS[name], first) is None
    for name in with_lengths.relations:
        assert golden.judge(golden.RELATIONS[name], second, first) is None
