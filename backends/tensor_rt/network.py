"""The loop network of any recurrent layer: what took the place of RNNv2.

A loop has iterators, which hand it one time step of a tensor after the other; recurrences, which carry a state from one
step to the next; a trip limit, which is how many steps there are; and loop outputs, which take out of it the last value
of a state, or one value after the other. Layers outside the loop run once, so the input's share of all gates is one
product for all steps, and a step is left with one product of its own, with the state, for all gates at once. (A GRU
that resets before the product needs two, as the second reads the result of the first.)

The two directions of a layer run in the same loop, the reverse one over reverse iterators, with a REVERSE output, which
puts what is computed last in front. Rows shorter than the tensor are masked by selection: past its length a row keeps
its state and gives zero, whatever its padding holds. A reverse row so waits in its initial state until its last valid
step comes.

The layouts are those of :class:`reference.Case` and :class:`reference.Result`; so are the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from backends import Capabilities
from backends.tensor_rt import api
from backends.tensor_rt.cells import step, transposed
from backends.tensor_rt.interpreter.dtypes import numpy_dtype
from backends.tensor_rt.tensors import Tensor, Tensors
from reference import Array, Case, Cell, Direction, Layer, Weights

CAPABILITIES = Capabilities(dtypes=("float32", "float16"), arithmetic={"float16": "float16-float32"})
"""Of loop networks: all but float64, which TensorRT does not calculate in."""

States = Literal["zero", "inputs"] | tuple[Array, ...]
"""Where the initial states come from: zeros, network inputs, or constants ``(h_0,)``, for an LSTM ``(h_0, c_0)``."""


@dataclass(frozen=True)
class Outputs:
    """What a recurrent layer gives."""

    y: Tensor
    """(B, T, D*H)"""
    h_n: Tensor
    """(L*D, B, H)"""
    c_n: Tensor | None
    """(L*D, B, H), of an LSTM"""

    def items(self) -> list[tuple[str, Tensor]]:
        """Those that are there, by name."""
        named = [("y", self.y), ("h_n", self.h_n)]
        return named if self.c_n is None else [*named, ("c_n", self.c_n)]


def loop_network(
    layer: Layer,
    weights: Sequence[Weights],
    *,
    batch_size: int | None = None,
    num_steps: int | None = None,
    lengths: bool = False,
    states: States = "inputs",
    trt: ModuleType | None = None,
) -> Any:
    """A network that is ``layer``: inputs x, h_0, c_0, lengths as far as there are any; outputs y, h_n, c_n.

    Its dtype is that of the weights. A batch size or a number of steps of None is dynamic. Raises
    :class:`backends.tensor_rt.api.RefusedNetwork` where TensorRT refuses a part of it.
    """
    trt = trt or api.tensorrt()
    network = api.empty_network(trt)
    dtype = weights[0].w_hh.dtype
    inputs = {}
    for name, shape in input_shapes(layer, batch_size or -1, num_steps or -1, lengths, states == "inputs").items():
        inputs[name] = network.add_input(name, api.data_type(trt, "int32" if name == "lengths" else dtype), shape)
    if isinstance(states, tuple):
        t = Tensors(network)
        inputs |= {name: t.constant(state) for name, state in zip(("h_0", "c_0"), states)}
    outputs = add_recurrent_layer(network, layer, weights, **inputs)
    for name, tensor in outputs.items():
        tensor.name = name
        network.mark_output(tensor)
    return network


def input_shapes(
    layer: Layer, batch_size: int, num_steps: int, lengths: bool, states: bool
) -> dict[str, tuple[int, ...]]:
    """The shapes of the network inputs, by name, for the given sizes."""
    shapes: dict[str, tuple[int, ...]] = {"x": (batch_size, num_steps, layer.input_size)}
    if states:
        state = (layer.num_layers * layer.num_directions, batch_size, layer.hidden_size)
        shapes |= {"h_0": state, "c_0": state} if layer.cell is Cell.LSTM else {"h_0": state}
    if lengths:
        shapes["lengths"] = (batch_size,)
    return shapes


def network_of(case: Case, trt: ModuleType | None = None) -> Any:
    """The network of a case: shapes dynamic, states and lengths as inputs where the case has them."""
    return loop_network(
        case.layer,
        case.weights,
        lengths=case.lengths is not None,
        states="zero" if case.h_0 is None else "inputs",
        trt=trt,
    )


def network_inputs(case: Case) -> dict[str, Array]:
    """What a network of the layer of ``case`` is fed with, by name."""
    lengths = None if case.lengths is None else case.row_lengths.astype(np.int32)
    arrays = {"x": case.x, "h_0": case.h_0, "c_0": case.c_0, "lengths": lengths}
    return {name: array for name, array in arrays.items() if array is not None}


def add_recurrent_layer(
    network: Any,
    layer: Layer,
    weights: Sequence[Weights],
    x: Tensor,
    h_0: Tensor | None = None,
    c_0: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Outputs:
    """Add ``layer`` to a network: all its layers and directions.

    ``x`` is (B, T, I), ``h_0`` and ``c_0`` are (L*D, B, H) and zero where they are None, ``lengths`` is (B,) int32.
    ``weights`` has L*D entries, in the order of :class:`reference.Case`; they become constants of the network.
    """
    t = Tensors(network)
    valid = None if lengths is None else valid_steps(t, x, lengths)
    states = (h_0, c_0) if layer.cell is Cell.LSTM else (h_0,)
    zero = zero_state(t, layer, x, weights[0].w_hh.dtype) if any(state is None for state in states) else None
    final: list[list[Tensor]] = []
    for number in range(layer.num_layers):
        slots = range(number * layer.num_directions, (number + 1) * layer.num_directions)
        initial = [[zero if state is None else t.element(state, slot) for state in states] for slot in slots]
        x, last = add_loop(t, layer, [weights[slot] for slot in slots], x, initial, valid)
        final += last
    h_n, *c_n = [stacked(t, layer, state) for state in zip(*final)]
    return Outputs(x, h_n, c_n[0] if c_n else None)


def add_loop(
    t: Tensors,
    layer: Layer,
    weights: Sequence[Weights],
    x: Tensor,
    initial: Sequence[Sequence[Tensor]],
    valid: Tensor | None,
) -> tuple[Tensor, list[list[Tensor]]]:
    """Add one layer, its directions side by side in one loop: its outputs (B, T, D*H), and the last states of each."""
    num_steps = t.element(t.shape(x), 1)
    loop = t.network.add_loop()
    loop.add_trip_limit(num_steps, t.trt.TripLimit.COUNT)
    outputs, final = [], []
    for w, reverse, initial_states in zip(weights, reversals(layer.direction), initial):
        projected = step_of(loop, input_projection(t, layer, w, x), reverse)
        state = [recurrence(loop, value) for value in initial_states]
        before = [carried.get_output(0) for carried in state]
        after = step(t, layer, w, projected, before)
        y = after[0]
        if valid is not None:
            within = step_of(loop, valid, reverse)
            after = [t.select(within, new, old) for new, old in zip(after, before)]
            y = t.select(within, y, t.constant(np.zeros((1, 1), w.w_hh.dtype)))
        carry_on(state, after)
        outputs.append(collected(t, loop, y, num_steps, reverse))
        final.append([last_value(t, loop, value) for value in before])
    return t.concatenate(outputs, axis=2), final


def reversals(direction: Direction) -> list[bool]:
    """For each direction of a layer, whether it runs backwards."""
    return {Direction.FORWARD: [False], Direction.REVERSE: [True], Direction.BIDIRECTIONAL: [False, True]}[direction]


def step_of(loop: Any, tensor: Tensor, reverse: bool) -> Tensor:
    """(B, T, N) -> (B, N): in iteration i time step i, or T-1-i backwards."""
    return loop.add_iterator(tensor, 1, reverse).get_output(0)


def recurrence(loop: Any, initial: Tensor) -> Any:
    """A state that is ``initial`` in the first step."""
    return loop.add_recurrence(initial)


def carry_on(state: Sequence[Any], after: Sequence[Tensor]) -> None:
    """Let each recurrence be in the next step what came out of this one."""
    for carried, value in zip(state, after):
        carried.set_input(1, value)


def collected(t: Tensors, loop: Any, tensor: Tensor, num_steps: Tensor, reverse: bool) -> Tensor:
    """(B, H) of every step -> (B, T, H), each at the time step that it was computed for."""
    kind = t.trt.LoopOutput.REVERSE if reverse else t.trt.LoopOutput.CONCATENATE
    output = loop.add_loop_output(tensor, kind, 1)
    output.set_input(1, num_steps)
    return output.get_output(0)


def last_value(t: Tensors, loop: Any, carried: Tensor) -> Tensor:
    """What a recurrence holds after the last step; ``carried`` is its output."""
    return loop.add_loop_output(carried, t.trt.LoopOutput.LAST_VALUE, 0).get_output(0)


def input_projection(t: Tensors, layer: Layer, w: Weights, x: Tensor) -> Tensor:
    """What the input contributes to all gates in all steps, x w_ih^T + b_ih: (B, T, I) -> (B, T, G*H).

    Without ``w_ih`` (``input_mode="skip"``) the input contributes itself to every gate.
    """
    if w.w_ih is None:
        projected = t.concatenate([x] * layer.num_gates, axis=2)
    else:
        projected = t.matmul(x, t.constant(transposed(w.w_ih)[None]))
    return t.add(projected, t.constant(w.b_ih.reshape(1, 1, -1))) if layer.bias else projected


def zero_state(t: Tensors, layer: Layer, x: Tensor, dtype: Any) -> Tensor:
    """(B, H) of zeros, B being that of ``x``."""
    shape = t.shape(x)
    batch_size = t.reshape(t.element(shape, 0), (1,))
    hidden_size = t.constant(np.array([layer.hidden_size], numpy_dtype(shape.dtype)))
    return t.fill(np.zeros((1, 1), dtype), t.concatenate([batch_size, hidden_size], axis=0))


def valid_steps(t: Tensors, x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, 1): whether a time step lies within the length of its row."""
    dtype = numpy_dtype(lengths.dtype)
    steps = api.linspace(t.network, lengths.dtype)
    steps.set_input(0, t.reshape(t.element(t.shape(x), 1), (1,)))
    steps.set_input(1, t.constant(np.array(0, dtype)))
    steps.set_input(2, t.constant(np.array([1], dtype)))
    return t.less(t.reshape(steps.get_output(0), (1, -1, 1)), t.reshape(lengths, (-1, 1, 1)))


def stacked(t: Tensors, layer: Layer, states: Sequence[Tensor]) -> Tensor:
    """The states of all layers and directions, each (B, H), as one (L*D, B, H)."""
    return t.concatenate([t.reshape(state, (1, -1, layer.hidden_size)) for state in states], axis=0)
