"""From a network to an engine, on any machine; and every kind of network that there is here, compiled.

``python -m backends.tensor_rt.compiling`` compiles the whole table of configurations and reports what TensorRT refuses.

TensorRT-RTX builds an engine without a GPU, but it does not read one without: deserialising asks the driver which GPU
there is. What can be checked of an engine on such a machine is therefore that it was built, and the names, shapes and
types of the network that it was built from.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from backends.tensor_rt import api
from backends.tensor_rt.interpreter.dtypes import numpy_dtype
from backends.tensor_rt.network import States, input_shapes, loop_network
from reference import Array, Case, Cell, Direction, Layer, Weights

Shapes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""Of the dynamic inputs, by name: the smallest shape, the one to optimise for, and the largest."""


@dataclass(frozen=True)
class Port:
    """An input or output of a network."""

    name: str
    shape: tuple[int, ...]
    """-1 where it is dynamic"""
    dtype: str


def compiled(
    network: Any, shapes: Shapes | None = None, *, tf32: bool = False, compute_capabilities: tuple[str, ...] = ()
) -> bytes:
    """The serialised engine of a network.

    ``shapes`` is the optimization profile that a network with dynamic shapes needs; the other arguments are those of
    :func:`backends.tensor_rt.api.builder_config`. Raises :class:`backends.tensor_rt.api.RefusedNetwork`, with
    TensorRT's own message.
    """
    trt = api.module_of(network)
    builder, messages = api.builder_of(trt), api.messages_of(trt)
    config = api.builder_config(network, tf32=tf32, compute_capabilities=compute_capabilities)
    if shapes:
        profile = builder.create_optimization_profile()
        for name, extent in shapes.items():
            profile.set_shape(name, *extent)
        config.add_optimization_profile(profile)
    messages.forget()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise api.refusal(trt)
    return bytes(plan)


def ports(network: Any) -> tuple[list[Port], list[Port]]:
    """The inputs and the outputs of a network, which are those of its engine."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]

    def port(tensor: Any) -> Port:
        return Port(tensor.name, tuple(tensor.shape), str(numpy_dtype(tensor.dtype)))

    return [port(tensor) for tensor in inputs], [port(tensor) for tensor in outputs]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One row of the feature table: a layer, and how its network is built."""

    layer: Layer
    dtype: str
    dynamic: bool
    """batch size and number of steps"""
    lengths: bool
    states: str
    """``"zero"``, ``"inputs"`` or ``"constants"``"""

    def __str__(self) -> str:
        parts = [str(self.layer), self.dtype, "dynamic" if self.dynamic else "static"]
        return "-".join([*parts, *(["lengths"] if self.lengths else []), f"states-{self.states}"])


def configurations() -> Iterator[Configuration]:
    """The whole table: every combination that means something.

    A constant state has a batch size, so it goes with static shapes only.
    """
    cells: list[dict[str, Any]] = [
        {"cell": Cell.RNN, "activation": "tanh"},
        {"cell": Cell.RNN, "activation": "relu"},
        {"cell": Cell.LSTM},
        {"cell": Cell.GRU, "reset_after": True},
        {"cell": Cell.GRU, "reset_after": False},
    ]
    modes = [{"input_mode": "linear", "input_size": 7}, {"input_mode": "skip", "input_size": 5}]
    shapes = [(False, "zero"), (False, "inputs"), (False, "constants"), (True, "zero"), (True, "inputs")]
    for cell, direction, num_layers, mode, bias in itertools.product(cells, Direction, (1, 2), modes, (True, False)):
        layer = Layer(**cell, **mode, direction=direction, num_layers=num_layers, bias=bias, hidden_size=5)
        for (dynamic, states), lengths, dtype in itertools.product(shapes, (False, True), ("float32", "float16")):
            yield Configuration(layer=layer, dtype=dtype, dynamic=dynamic, lengths=lengths, states=states)


def covering(table: Iterable[Configuration]) -> list[Configuration]:
    """Some of the table, in which every two choices that go together anywhere in it still do."""
    chosen, seen = [], set[tuple[Any, Any]]()
    for configuration in table:
        own = vars(configuration)
        choices = {**vars(own["layer"]), **own}.items()
        pairs = set(itertools.combinations([choice for choice in choices if choice[0] != "layer"], 2))
        if not pairs <= seen:
            chosen.append(configuration)
            seen |= pairs
    return chosen


def arbitrary_case(configuration: Configuration) -> Case:
    """A case for a configuration, with arbitrary numbers, the lengths among them."""
    layer, batch_size, num_steps = configuration.layer, 3, 4
    slots = layer.num_layers * layer.num_directions
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> Array:
        return random.uniform(-1, 1, shape).astype(configuration.dtype)

    def weights(number: int) -> Weights:
        gates, hidden = layer.num_gates, layer.hidden_size
        scale = np.dtype(configuration.dtype).type(layer.bias)
        skipped = number == 0 and layer.input_mode == "skip"
        w_ih = None if skipped else drawn(gates, hidden, layer.input_size_of(number))
        return Weights(w_ih, drawn(gates, hidden, hidden), scale * drawn(gates, hidden), scale * drawn(gates, hidden))

    given = configuration.states != "zero"
    return Case(
        layer,
        tuple(weights(slot // layer.num_directions) for slot in range(slots)),
        drawn(batch_size, num_steps, layer.input_size),
        drawn(slots, batch_size, layer.hidden_size) if given else None,
        drawn(slots, batch_size, layer.hidden_size) if given and layer.cell is Cell.LSTM else None,
        (2, 0, 4) if configuration.lengths else None,
    )


def network_as(configuration: Configuration, case: Case) -> Any:
    """The network of a case, built as a configuration says."""
    states: States = "zero"
    if configuration.states == "inputs":
        states = "inputs"
    elif configuration.states == "constants":
        states = tuple(state for state in (case.h_0, case.c_0) if state is not None)
    return loop_network(
        case.layer,
        case.weights,
        batch_size=None if configuration.dynamic else case.batch_size,
        num_steps=None if configuration.dynamic else case.num_steps,
        lengths=configuration.lengths,
        states=states,
    )


def profile_of(configuration: Configuration, case: Case) -> Shapes | None:
    """The optimization profile of that network, from half the sizes of the case to twice as much; None if static."""
    if not configuration.dynamic:
        return None
    smallest, middle, largest = (
        input_shapes(
            case.layer,
            int(case.batch_size * scale),
            int(case.num_steps * scale),
            configuration.lengths,
            configuration.states == "inputs",
        )
        for scale in (0.5, 1, 2)
    )
    return {name: (smallest[name], middle[name], largest[name]) for name in middle}


def refusal(configuration: Configuration) -> str | None:
    """What TensorRT has against the network of a configuration, or None where it compiles."""
    case = arbitrary_case(configuration)
    try:
        compiled(network_as(configuration, case), profile_of(configuration, case))
    except api.RefusedNetwork as error:
        return str(error)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile the table; 1 where something is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m backends.tensor_rt.compiling",
        description="Compile the loop network of every configuration, and say what TensorRT refuses.",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time (default: one a core)")
    parser.add_argument("--covering", action="store_true", help="only as many as have every pair of choices")
    options = parser.parse_args(arguments)
    table = list(configurations())
    chosen = covering(table) if options.covering else table
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        refused = [(c, said) for c, said in zip(chosen, pool.map(refusal, chosen, chunksize=8)) if said is not None]
    for configuration, said in refused:
        print(f"{configuration}: {said}")
    print(
        f"{api.version_of(api.tensorrt())}: {len(chosen) - len(refused)} of {len(chosen)} networks compile,"
        f" of {len(table)} configurations; {time.monotonic() - began:.0f} s"
    )
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
