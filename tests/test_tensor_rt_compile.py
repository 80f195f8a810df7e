"""Loop networks compile without a GPU, and what TensorRT refuses reaches the user in one sentence with its words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends import BackendError
from backends.tensor_rt import api, compiling
from backends.tensor_rt.compiling import (
    Configuration,
    Port,
    arbitrary_case,
    compiled,
    configurations,
    covering,
    network_as,
    ports,
    profile_of,
)
from backends.tensor_rt.network import add_recurrent_layer, loop_network, network_of
from backends.tensor_rt.tensors import Tensors
from reference import Cell, Direction, Layer
from tests.some_case import some_case
from tests.tensor_rt_module import tensorrt_or_skip

trt = tensorrt_or_skip()

TABLE = list(configurations())
LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, num_layers=2, direction=Direction.BIDIRECTIONAL)

only_rtx = pytest.mark.skipif(trt.__name__ != "tensorrt_rtx", reason="a finding about TensorRT-RTX")


def test_the_table_has_every_configuration_once() -> None:
    """Five cells, three directions, one or two layers, linear or skip, bias or none; lengths, states, shapes, types."""
    assert len(set(TABLE)) == len(TABLE) == len({str(configuration) for configuration in TABLE})
    assert len(TABLE) == 5 * 3 * 2 * 2 * 2 * (3 + 2) * 2 * 2


def test_the_covering_part_has_every_pair_of_choices() -> None:
    """What the whole table puts together in any two columns, these few do too."""

    def pairs(table: list[Configuration]) -> set[Any]:
        rows = [{**vars(c.layer), "dtype": c.dtype, "d": c.dynamic, "l": c.lengths, "s": c.states} for c in table]
        return {((a, row[a]), (b, row[b])) for row in rows for a in row for b in row}

    chosen = covering(TABLE)
    assert pairs(chosen) == pairs(TABLE)
    assert len(chosen) < len(TABLE) / 20


@pytest.mark.parametrize("configuration", covering(TABLE), ids=str)
def test_every_configuration_compiles(configuration: Configuration) -> None:
    """As many as have every pair of choices; python -m backends.tensor_rt.compiling compiles the whole table."""
    case = arbitrary_case(configuration)
    network = network_as(configuration, case)
    plan = compiled(network, profile_of(configuration, case))
    inputs, outputs = ports(network)
    assert all(port.name.encode() in plan for port in (*inputs, *outputs) if len(port.name) > 1)
    batch, steps = (-1, -1) if configuration.dynamic else (case.batch_size, case.num_steps)
    layer = case.layer
    state = (layer.num_layers * layer.num_directions, batch, layer.hidden_size)
    wanted = [Port("x", (batch, steps, layer.input_size), configuration.dtype)]
    if configuration.states == "inputs":
        wanted += [Port(name, state, configuration.dtype) for name in ("h_0", "c_0")[: 1 + (case.c_0 is not None)]]
    if configuration.lengths:
        wanted.append(Port("lengths", (batch,), "int32"))
    assert inputs == wanted
    assert outputs == [
        Port("y", (batch, steps, layer.num_directions * layer.hidden_size), configuration.dtype),
        *(Port(name, state, configuration.dtype) for name in ("h_n", "c_n")[: 1 + (layer.cell is Cell.LSTM)]),
    ]


def test_the_command_counts_what_compiles(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last line has the version and the counts, and its exit status is 0 where all compile."""
    monkeypatch.setattr(compiling, "configurations", lambda: iter(TABLE[:3]))
    assert compiling.main(["--jobs", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"{api.version_of(trt)}: 3 of 3 networks compile, of 3 configurations;")


# ---- what TensorRT says


def loop_with(network: Any) -> tuple[Tensors, Any, Any, Any]:
    """A loop of four steps over an input (3, 4, 7): the tensors, the loop, what it iterates over, a recurrence."""
    t = Tensors(network)
    loop = network.add_loop()
    loop.add_trip_limit(t.constant(np.array(4, np.int32)), trt.TripLimit.COUNT)
    x = loop.add_iterator(network.add_input("x", trt.float32, (3, 4, 7)), 1, False)
    return t, loop, x.get_output(0), loop.add_recurrence(t.constant(np.zeros((3, 7), np.float32)))


def without_a_recurrence_input() -> Any:
    network = api.empty_network(trt)
    _, loop, _, state = loop_with(network)
    network.mark_output(loop.add_loop_output(state.get_output(0), trt.LoopOutput.LAST_VALUE, 0).get_output(0))
    return network


def without_the_length_of_an_output() -> Any:
    network = api.empty_network(trt)
    t, loop, x, state = loop_with(network)
    after = t.add(x, state.get_output(0))
    state.set_input(1, after)
    network.mark_output(loop.add_loop_output(after, trt.LoopOutput.CONCATENATE, 1).get_output(0))
    return network


def with_dimensions_that_do_not_fit() -> Any:
    other = Layer(cell=Cell.LSTM, input_size=8, hidden_size=5)
    weights = some_case(other).astype(np.float32).weights
    return loop_network(Layer(cell=Cell.LSTM, input_size=7, hidden_size=5), weights, batch_size=3, num_steps=4)


def with_types_that_do_not_fit() -> Any:
    case = some_case(LSTM).astype(np.float16)
    network = api.empty_network(trt)
    x = network.add_input("x", trt.float32, case.x.shape)
    network.mark_output(add_recurrent_layer(network, LSTM, case.weights, x).y)
    return network


def without_a_profile() -> Any:
    return network_of(some_case(LSTM).astype(np.float32))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (without_a_recurrence_input, "IRecurrenceLayer expected 2 inputs but received 1"),
        (without_the_length_of_an_output, "ILoopOutputLayer with CONCATENATE should have 2 inputs"),
        (
            with_dimensions_that_do_not_fit,
            "last dimension of input0 = 7 and second to last dimension of input1 = 8 but must match",
        ),
        (with_types_that_do_not_fit, "`A` is of type Float and `B` is of type Half"),
        (without_a_profile, "Network has dynamic or shape inputs, but no optimization profile has been defined"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_malformed_network_is_refused_in_the_words_of_tensorrt(make: Any, said: str) -> None:
    """One line that names the module, its version and what it has against the network; never None."""
    with pytest.raises(api.RefusedNetwork) as caught:
        compiled(make())
    message = str(caught.value)
    assert message.startswith(f"{api.version_of(trt)} refuses the network: ")
    assert said in message
    assert "\n" not in message


def test_a_layer_that_tensorrt_does_not_add_is_refused_at_once() -> None:
    """Where an add_... call returns None, there is an exception in its place."""
    t = Tensors(api.empty_network(trt))
    with pytest.raises(api.RefusedNetwork, match=r"refuses the network: .*"):
        t.concatenate([t.constant(np.zeros(2, np.float32)), None], axis=0)


def test_an_earlier_error_is_not_blamed_on_a_later_network() -> None:
    """Messages are forgotten before each build."""
    with pytest.raises(api.RefusedNetwork):
        compiled(without_a_recurrence_input())
    with pytest.raises(api.RefusedNetwork) as caught:
        compiled(without_a_profile())
    assert "IRecurrenceLayer" not in str(caught.value)


# ---- findings about TensorRT-RTX


@only_rtx
@pytest.mark.parametrize(
    ("dtype", "capability"),
    [
        *(("float32", name) for name in ("SM80", "SM86", "SM89", "SM120", "SM121")),
        *(("float16", name) for name in ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")),
    ],
)
def test_an_engine_can_be_built_for_each_compute_capability(dtype: str, capability: str) -> None:
    """On any machine, for one kind of GPU alone."""
    network = static_lstm(dtype)
    assert compiled(network, compute_capabilities=(capability,))


@only_rtx
def test_float32_products_are_refused_for_turing() -> None:
    """TensorRT-RTX 1.7 multiplies no float32 matrices on compute capability 7.5; float16 it does."""
    with pytest.raises(api.RefusedNetwork, match=r"for Turing \(SM75\): FP32 GEMM is not supported"):
        compiled(static_lstm("float32"), compute_capabilities=("SM75",))


@only_rtx
def test_an_engine_is_for_several_compute_capabilities_at_once() -> None:
    """It has the code of each."""
    one = compiled(static_lstm("float32"), compute_capabilities=("SM80",))
    assert len(compiled(static_lstm("float32"), compute_capabilities=("SM80", "SM120"))) > len(one)


@only_rtx
def test_tf32_is_a_property_of_the_engine() -> None:
    """With TF32 allowed, another engine is built from the same network; a byte or so is another in every build."""
    plans = [compiled(static_lstm("float32"), tf32=allowed) for allowed in (True, True, False, False)]
    a, b, c, d = (np.frombuffer(plan, np.uint8) for plan in plans)
    assert np.any((a == b) & (c == d) & (a != c))


def test_tf32_is_off_unless_asked_for() -> None:
    """TensorRT's own default is on."""
    network = static_lstm("float32")
    assert api.builder_of(trt).create_builder_config().get_flag(trt.BuilderFlag.TF32)
    assert not api.builder_config(network, tf32=False).get_flag(trt.BuilderFlag.TF32)
    assert api.builder_config(network, tf32=True).get_flag(trt.BuilderFlag.TF32)


def static_lstm(dtype: str) -> Any:
    """A small LSTM of fixed sizes."""
    case = some_case(Layer(cell=Cell.LSTM, input_size=3, hidden_size=2)).astype(dtype)
    return loop_network(case.layer, case.weights, batch_size=4, num_steps=5)


# ---- the API


def test_layers_come_as_objects_of_their_own_class() -> None:
    """A network gives them as ILayer, which knows neither axis nor reverse."""
    network = network_of(some_case(LSTM).astype(np.float32))
    reverse = [layer.reverse for layer in api.layers(network) if layer.type == trt.LayerType.ITERATOR]
    assert reverse == [False, True] * LSTM.num_layers
    kinds = {type(layer).__name__ for layer in api.layers(network)}
    assert {"IRecurrenceLayer", "ILoopOutputLayer", "ITripLimitLayer", "IMatrixMultiplyLayer"} <= kinds
    assert "ILayer" not in kinds


def test_every_layer_type_has_a_class() -> None:
    """But the plugins of old, whose class is gone."""
    missing = set(trt.LayerType.__members__.values()) - set(api.layer_classes(trt))
    assert {kind.name for kind in missing} <= {"PLUGIN"}


def test_a_module_that_is_not_there_is_named() -> None:
    """And how to get it."""
    with pytest.raises(BackendError, match=r"^the module tensorrt_x is not installed; pip install tensorrt-x gets it$"):
        api.tensorrt("tensorrt_x")


def test_the_module_of_a_network_is_the_one_that_made_it() -> None:
    """So that nothing has to be told twice."""
    assert api.module_of(api.empty_network(trt)) is trt
