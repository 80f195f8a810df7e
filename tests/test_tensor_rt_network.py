"""Loop networks compute what they should: every configuration, every number of the documents, and no wrong wiring."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase

import conformance.test_agreement  # that its search is known
import golden
from backends.tensor_rt import api, cells, network
from backends.tensor_rt.compiling import Configuration, arbitrary_case, configurations, covering, network_as
from backends.tensor_rt.interpreted import Interpreted
from backends.tensor_rt.interpreter import evaluate
from backends.tensor_rt.network import CAPABILITIES, loop_network, network_inputs, network_of
from backends.tensor_rt.tensors import Tensors
from conformance.search import SEARCHES, Judged, generation, verdict_of
from conformance.tolerance import judge, truth_of
from golden import Output, Vector
from golden.vector import first_steps
from reference import Array, Case, Cell, Direction, Layer, Result
from tests.some_case import LAYERS, some_case
from tests.tensor_rt_module import tensorrt_or_skip

trt = tensorrt_or_skip()

assert conformance.test_agreement
FLOAT32 = 6 * 2.0**-24
"""What float32 may be off in the documents' examples, as a share of the largest number."""

COVERING = covering(configurations())
LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, num_layers=2, direction=Direction.BIDIRECTIONAL)


def outputs_of(built: Any, case: Case, states: str = "inputs") -> Result:
    """The outputs of a network for the inputs of a case."""
    inputs = network_inputs(case)
    given = inputs if states == "inputs" else {name: inputs[name] for name in inputs if name not in ("h_0", "c_0")}
    return Result(**evaluate(built, given))


@pytest.mark.parametrize("configuration", COVERING, ids=str)
def test_every_configuration_computes_its_layer(configuration: Configuration) -> None:
    """Static and dynamic, states as inputs, constants and zero, both types: judged as the suite judges."""
    case = arbitrary_case(configuration)
    result = outputs_of(network_as(configuration, case), case, configuration.states)
    verdict = judge(truth_of(case, CAPABILITIES), result)
    assert verdict.informative
    assert verdict.accepted, verdict.mismatches


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_one_dynamic_network_serves_every_size(layer: Layer) -> None:
    """The batch size and the number of steps are those of the inputs."""
    case = some_case(layer, lengths=[4, 1, 0, 5]).astype(np.float32)
    built = network_of(case)
    for batch, steps in ((4, 5), (1, 4), (2, 5)):
        part = Case(
            layer,
            case.weights,
            case.x[:batch, :steps],
            None if case.h_0 is None else case.h_0[:, :batch],
            None if case.c_0 is None else case.c_0[:, :batch],
            case.row_lengths[:batch],
        )
        assert judge(truth_of(part, CAPABILITIES), outputs_of(built, part)).accepted


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30])
def test_garbage_in_the_padding_changes_no_bit(garbage: float) -> None:
    """Masking selects; a product with zero would let NaN and infinity through."""
    case = some_case(LSTM, lengths=[4, 1, 0, 5]).astype(np.float32)
    built = network_of(case)
    clean = outputs_of(built, case)
    case.x[~case.valid] = garbage
    for (name, value), (_, expected) in zip(outputs_of(built, case).items(), clean.items()):
        np.testing.assert_array_equal(value, expected, err_msg=name)
    assert not np.any(clean.y[~case.valid])


# ---- the documents

PRINTED = [
    (vector, output)
    for vector in golden.vectors()
    if vector.document in ("tensorrt-loop", "tensorrt-rnnv2") and vector.is_known
    for output in vector.outputs
]


@pytest.fixture
def exposed_gates(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """The gates of an LSTM, (B, T, H) each, as further outputs of the loops that are built."""
    found: dict[str, list[Any]] = {"step": [], "loop": []}
    lstm_gates, collected = cells.lstm_gates, network.collected

    def remembered(*arguments: Any) -> Any:
        found["step"] = list(lstm_gates(*arguments))
        return found["step"]

    def with_gates(t: Tensors, loop: Any, tensor: Any, num_steps: Any, reverse: bool) -> Any:
        found["loop"] += [collected(t, loop, gate, num_steps, reverse) for gate in found["step"]]
        return collected(t, loop, tensor, num_steps, reverse)

    monkeypatch.setattr(cells, "lstm_gates", remembered)
    monkeypatch.setattr(network, "collected", with_gates)
    return found


@pytest.mark.parametrize("form", ["static", "dynamic"])
@pytest.mark.parametrize(
    ("vector", "output"), PRINTED, ids=lambda value: value.name if isinstance(value, Output) else str(value)
)
def test_the_printed_values_come_out(
    vector: Vector, output: Output, form: str, exposed_gates: dict[str, list[Any]]
) -> None:
    """Every number that the two TensorRT documents print, worked steps and gates too, in the layout of the print."""
    case = first_steps(vector.case(), output.steps)
    configuration = Configuration(
        layer=case.layer,
        dtype="float32",
        dynamic=form == "dynamic",
        lengths=case.lengths is not None,
        states="zero" if case.h_0 is None else "inputs" if form == "dynamic" else "constants",
    )
    built = network_as(configuration, case)
    for name, tensor in zip("ifgo", exposed_gates["loop"]):
        tensor.name = name
        built.mark_output(tensor)
    inputs = network_inputs(case)
    if configuration.states == "constants":
        inputs = {name: array for name, array in inputs.items() if name not in ("h_0", "c_0")}
    values = evaluate(built, inputs)
    if output.tensor == "gates":
        value = np.stack([values[gate][:, -1] for gate in output.gates])
    else:
        value = values[output.tensor]
    excess = golden.beyond_print(golden.in_reference_layout(vector, output), value, FLOAT32 * np.abs(value).max())
    assert np.max(excess) <= 0
    if vector.document == "tensorrt-loop" and output.steps is None:
        (row,) = [value] if output.tensor == "y" else value  # of one layer and direction
        assert row.shape == output.shape


def test_the_documents_print_what_these_tests_think() -> None:
    """Outputs, worked steps and gates of both documents are among the printed values."""
    assert Counter(vector.document for vector, _ in PRINTED) == {"tensorrt-loop": 18, "tensorrt-rnnv2": 25}
    assert {output.tensor for _, output in PRINTED} == {"y", "h_n", "c_n", "gates"}


# ---- how a network is made


def count(built: Any, kind: str) -> int:
    """How many layers of a kind there are in a network."""
    return sum(layer.type.name == kind for layer in api.layers(built))


@pytest.mark.parametrize(
    ("layer", "products"),
    [
        (Layer(cell=Cell.RNN, input_size=3, hidden_size=2), 2),
        (Layer(cell=Cell.LSTM, input_size=3, hidden_size=2), 2),
        (Layer(cell=Cell.GRU, input_size=3, hidden_size=2), 2),
        (Layer(cell=Cell.GRU, input_size=3, hidden_size=2, reset_after=False), 3),
        (Layer(cell=Cell.LSTM, input_size=2, hidden_size=2, input_mode="skip"), 1),
    ],
    ids=str,
)
def test_a_step_has_one_product(layer: Layer, products: int) -> None:
    """One for the inputs of all steps, one for the state; a GRU that resets first needs a second one."""
    assert count(network_of(some_case(layer).astype(np.float32)), "MATRIX_MULTIPLY") == products


def test_both_directions_run_in_one_loop() -> None:
    """A bidirectional layer takes no more iterations than a forward one."""
    assert count(network_of(some_case(LSTM).astype(np.float32)), "TRIP_LIMIT") == LSTM.num_layers


def test_without_bias_there_is_none() -> None:
    """No zeros are added."""
    with_bias, without = (
        Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, bias=True),
        Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, bias=False),
    )
    sums = [count(network_of(some_case(layer).astype(np.float32)), "ELEMENTWISE") for layer in (with_bias, without)]
    assert sums[0] - sums[1] == 2


def test_weights_outlive_the_arrays_that_they_came_from() -> None:
    """The binding keeps what a constant reads, although nobody else does."""
    case = some_case(LSTM).astype(np.float32)
    expected = outputs_of(network_of(case), case)
    built = network_of(case.map(np.copy))
    gc.collect()
    rubbish = [np.full(shape, np.nan, np.float32) for shape in ((4, 2, 3), (4, 2, 2), (4, 2)) for _ in range(1000)]
    assert rubbish
    np.testing.assert_array_equal(outputs_of(built, case).y, expected.y)


def test_inputs_and_outputs_have_the_names_of_a_case() -> None:
    """x, h_0, c_0, lengths and y, h_n, c_n, in this order."""
    built = network_of(some_case(LSTM, lengths=[1, 2, 3, 4]).astype(np.float32))
    assert [built.get_input(k).name for k in range(built.num_inputs)] == ["x", "h_0", "c_0", "lengths"]
    assert [built.get_output(k).name for k in range(built.num_outputs)] == ["y", "h_n", "c_n"]


def test_float64_is_refused() -> None:
    """TensorRT does not calculate in it, and nothing is converted in silence."""
    case = some_case(LSTM)
    with pytest.raises(TypeError, match=r"^dtype float64 has no place in these TensorRT networks"):
        loop_network(case.layer, case.weights)


# ---- wrong wiring


def forward_iterator_for_the_reverse_pass(patch: pytest.MonkeyPatch) -> None:
    step_of = network.step_of
    patch.setattr(network, "step_of", lambda loop, tensor, reverse: step_of(loop, tensor, False))


def concatenate_for_reverse(patch: pytest.MonkeyPatch) -> None:
    collected = network.collected
    patch.setattr(network, "collected", lambda t, loop, y, steps, reverse: collected(t, loop, y, steps, False))


def state_taken_before_the_update(patch: pytest.MonkeyPatch) -> None:
    step, collected, before = cells.step, network.collected, list[Any]()

    def remembering(t: Tensors, layer: Layer, w: Any, x: Any, state: Any) -> Any:
        before[:] = state
        return step(t, layer, w, x, state)

    patch.setattr(network, "step", remembering)
    patch.setattr(network, "collected", lambda t, loop, y, *rest: collected(t, loop, before[0], *rest))


def mask_off_by_one(patch: pytest.MonkeyPatch) -> None:
    valid_steps = network.valid_steps

    def one_more(t: Tensors, x: Any, lengths: Any) -> Any:
        return valid_steps(t, x, t.add(lengths, t.constant(np.array([1], np.int32))))

    patch.setattr(network, "valid_steps", one_more)


def one_recurrence_fed_with_the_update_of_the_other(patch: pytest.MonkeyPatch) -> None:
    carry_on = network.carry_on
    patch.setattr(network, "carry_on", lambda state, after: carry_on(state, after[::-1]))


WRONG_WIRINGS: list[tuple[Callable[[pytest.MonkeyPatch], None], Cell]] = [
    *((forward_iterator_for_the_reverse_pass, cell) for cell in Cell),
    *((concatenate_for_reverse, cell) for cell in Cell),
    *((state_taken_before_the_update, cell) for cell in Cell),
    *((mask_off_by_one, cell) for cell in Cell),
    (one_recurrence_fed_with_the_update_of_the_other, Cell.LSTM),
]


def agreement_holds(cell: Cell) -> bool:
    """Whether the networks of a cell hold to the suite's claim of agreement, in as many cases as a run of it has."""
    search = SEARCHES["test_every_output_agrees_with_the_reference"]
    backend = Judged(Interpreted())

    def visit(case: Case) -> None:
        if not verdict_of(search.claim, backend, case).accepted:
            raise Disagrees

    try:
        search.for_each(CAPABILITIES, cell, ("float32",), "none", visit, generation(10, (Phase.generate,)))
    except Disagrees:
        return False
    return True


class Disagrees(Exception):
    """Ends a search."""


@pytest.mark.parametrize(("wire", "cell"), WRONG_WIRINGS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_wrong_wiring_is_caught(
    wire: Callable[[pytest.MonkeyPatch], None], cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The faults that a loop invites: the suite rejects each on the interpreted network."""
    wire(monkeypatch)
    assert not agreement_holds(cell)


@pytest.mark.parametrize("cell", list(Cell), ids=str)
def test_right_wiring_is_accepted(cell: Cell) -> None:
    """In the same cases."""
    assert agreement_holds(cell)


def test_states_may_be_absent_one_by_one() -> None:
    """h_0 without c_0: RNNv2 has each on its own, with zeros for the other."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=3, hidden_size=2)).astype(np.float32)
    assert case.h_0 is not None and case.c_0 is not None
    built = api.empty_network(trt)
    x = built.add_input("x", trt.float32, case.x.shape)
    h_0 = built.add_input("h_0", trt.float32, case.h_0.shape)
    for name, tensor in network.add_recurrent_layer(built, case.layer, case.weights, x, h_0).items():
        tensor.name = name
        built.mark_output(tensor)
    inputs: dict[str, Array] = {"x": case.x, "h_0": case.h_0}
    zero = Case(case.layer, case.weights, case.x, case.h_0, np.zeros_like(case.c_0))
    assert judge(truth_of(zero, CAPABILITIES), Result(**evaluate(built, inputs))).accepted
