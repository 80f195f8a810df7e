"""RNNv2 where there is none: what ``add_rnn_v2`` and ``add_rnn`` let a program say, said with a loop.

TensorRT 10 has neither. A program that was written for TensorRT 7 or 8 changes the call and nothing below it::

    rnn = network.add_rnn_v2(x, 1, 5, 4, trt.RNNOperation.LSTM)        # before
    rnn = add_rnn_v2(network, x, 1, 5, 4, RNNOperation.LSTM)           # now
    rnn.set_weights_for_gate(0, RNNGateType.INPUT, True, w)
    ...
    network.mark_output(rnn.get_output(0))

The layer is added to the network by the first ``get_output``; all settings come before it.

Equations, layouts and orders are those of TensorRT's own documentation of ``IRNNv2Layer`` and ``IRNNLayer``. A GRU
resets after the product, as cuDNN does. Of a bidirectional layer k, the forward direction is layer index 2k, the
reverse one 2k+1. Here a row may also have length 0, which RNNv2 does not allow; it keeps its initial state.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np

from backends.tensor_rt.network import add_recurrent_layer
from backends.tensor_rt.tensors import Tensor, Tensors
from reference import Array, Cell, Direction, Layer, Weights


class RNNOperation(Enum):
    """The cell."""

    RELU = 0
    TANH = 1
    LSTM = 2
    GRU = 3


class RNNInputMode(Enum):
    """Whether the first layer multiplies its input by weights, or takes it as it is."""

    LINEAR = 0
    SKIP = 1


class RNNDirection(Enum):
    """Forward, or forward and reverse side by side."""

    UNIDIRECTION = 0
    BIDIRECTION = 1


class RNNGateType(Enum):
    """The gates of all cells."""

    INPUT = 0
    OUTPUT = 1
    FORGET = 2
    UPDATE = 3
    RESET = 4
    CELL = 5
    HIDDEN = 6


_CELLS: dict[RNNOperation, dict[str, Any]] = {
    RNNOperation.RELU: {"cell": Cell.RNN, "activation": "relu"},
    RNNOperation.TANH: {"cell": Cell.RNN, "activation": "tanh"},
    RNNOperation.LSTM: {"cell": Cell.LSTM},
    RNNOperation.GRU: {"cell": Cell.GRU, "reset_after": True},
}

_I, _O, _F, _Z, _R, _C, _H = RNNGateType

GATES = {Cell.RNN: (_I,), Cell.LSTM: (_I, _F, _C, _O), Cell.GRU: (_R, _Z, _H)}
"""The gates of a cell in the order of :data:`reference.GATES`: h, ifgo, rzn."""

CONCATENATED = {Cell.RNN: (_I,), Cell.LSTM: (_F, _I, _C, _O), Cell.GRU: (_Z, _R, _H)}
"""The order in which ``add_rnn`` takes the gates of a cell."""

Key = tuple[int, RNNGateType, bool]
"""Layer index, gate, and whether of the input (``is_w``) or of the state."""


class RNNv2Layer:
    """What a program sets of an RNNv2 layer, and the loop that it becomes.

    ``N`` stands for any number of leading axes, the independent rows; more than one of them have to be static.
    """

    def __init__(
        self, network: Any, input: Tensor, layer_count: int, hidden_size: int, max_seq_length: int, op: RNNOperation
    ) -> None:
        if input.shape[-2] not in (-1, max_seq_length):
            raise ValueError(
                f"the input has shape {tuple(input.shape)}, but should have shape (*N, {max_seq_length}, E)"
                f" for max_seq_length {max_seq_length}"
            )
        self.network, self.input = network, input
        self.num_layers, self.hidden_size, self.max_seq_length = layer_count, hidden_size, max_seq_length
        self.op = op
        self.input_mode = RNNInputMode.LINEAR
        self.direction = RNNDirection.UNIDIRECTION
        self.seq_lengths: Tensor | None = None
        """(*N), int32; None: every row is as long as the tensor"""
        self.hidden_state: Tensor | None = None
        """(*N, L*D, H); None: zeros"""
        self.cell_state: Tensor | None = None
        """likewise, of an LSTM"""
        self._weights: dict[Key, Array] = {}
        self._bias: dict[Key, Array] = {}
        self._outputs: list[Tensor] | None = None

    @property
    def data_length(self) -> int:
        """E, the size of what the first layer reads at a time step."""
        return int(self.input.shape[-1])

    @property
    def layer(self) -> Layer:
        """The layer as the rest of this project describes it."""
        return Layer(
            **_CELLS[self.op],
            input_size=self.data_length,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            direction=Direction.FORWARD if self.direction is RNNDirection.UNIDIRECTION else Direction.BIDIRECTIONAL,
            input_mode="linear" if self.input_mode is RNNInputMode.LINEAR else "skip",
        )

    def set_weights_for_gate(self, layer_index: int, gate: RNNGateType, is_w: bool, weights: Array) -> None:
        """Set the matrix of a gate: (H, E) for the input (``is_w``), (H, H) for the state.

        As in TensorRT its elements count, row by row; an array of another shape with as many is taken as it lies.
        """
        self._weights[layer_index, gate, is_w] = np.asarray(weights)

    def set_bias_for_gate(self, layer_index: int, gate: RNNGateType, is_w: bool, bias: Array) -> None:
        """Set the bias of a gate, (H,): of the input (``is_w``) or of the state. Both have to be set."""
        self._bias[layer_index, gate, is_w] = np.asarray(bias)

    def get_output(self, index: int) -> Tensor:
        """Output 0 is y (*N, T, D*H); 1 is the last hidden state (*N, L*D, H); 2, of an LSTM, the last cell state."""
        if self._outputs is None:
            self._outputs = self._added()
        return self._outputs[index]

    def _added(self) -> list[Tensor]:
        t = Tensors(self.network)
        rows = tuple(self.input.shape[:-2])
        if len(rows) != 1 and -1 in tuple(self.input.shape):
            raise ValueError(
                f"the input has shape {tuple(self.input.shape)}, but should have shape (N, T, E) where it is dynamic"
            )
        if self.input_mode is RNNInputMode.SKIP and self.data_length != self.hidden_size:
            raise ValueError(
                f"the input has data_length {self.data_length}, but should have hidden_size {self.hidden_size} for SKIP"
            )
        layer = self.layer
        slots = layer.num_layers * layer.num_directions
        h_0, c_0 = (
            None if state is None else t.transpose(t.reshape(state, (-1, slots, layer.hidden_size)))
            for state in (self.hidden_state, self.cell_state)
        )
        flat = len(rows) == 1
        x = self.input if flat else t.reshape(self.input, (-1, *self.input.shape[-2:]))
        lengths = self.seq_lengths if flat or self.seq_lengths is None else t.reshape(self.seq_lengths, (-1,))
        outputs = add_recurrent_layer(self.network, layer, self._weights_of(layer), x, h_0, c_0, lengths)
        found = [outputs.y, *(t.transpose(tensor) for _, tensor in outputs.items()[1:])]
        return found if flat else [t.reshape(tensor, (*rows, *tensor.shape[-2:])) for tensor in found]

    def _weights_of(self, layer: Layer) -> list[Weights]:
        """The weights by layer and direction; ``ValueError`` for what is missing, left over or of another size."""
        gates = GATES[layer.cell]
        weights = _checked("weights", self._weights, matrix_shapes(layer, gates))
        bias = _checked("bias", self._bias, bias_shapes(layer, gates))

        def stacked(arrays: dict[Key, Array], index: int, is_w: bool) -> Array:
            return np.stack([arrays[index, gate, is_w] for gate in gates])

        return [
            Weights(
                stacked(weights, index, True) if (index, gates[0], True) in weights else None,
                stacked(weights, index, False),
                stacked(bias, index, True),
                stacked(bias, index, False),
            )
            for index in range(layer.num_layers * layer.num_directions)
        ]


def matrix_shapes(layer: Layer, gates: tuple[RNNGateType, ...]) -> dict[Key, tuple[int, ...]]:
    """The shape of every matrix of a layer: by layer index, then input before state, then gate."""
    shapes: dict[Key, tuple[int, ...]] = {}
    for index, is_w, gate in _places(layer, gates):
        number = index // layer.num_directions
        columns = layer.input_size_of(number) if is_w else layer.hidden_size
        if number > 0 or not is_w or layer.input_mode == "linear":
            shapes[index, gate, is_w] = (layer.hidden_size, columns)
    return shapes


def bias_shapes(layer: Layer, gates: tuple[RNNGateType, ...]) -> dict[Key, tuple[int, ...]]:
    """The shape of every bias of a layer, in the same order; there is one even where a matrix is skipped."""
    return {(index, gate, is_w): (layer.hidden_size,) for index, is_w, gate in _places(layer, gates)}


def _places(layer: Layer, gates: tuple[RNNGateType, ...]) -> Iterator[tuple[int, bool, RNNGateType]]:
    return itertools.product(range(layer.num_layers * layer.num_directions), (True, False), gates)


def _checked(kind: str, given: dict[Key, Array], wanted: dict[Key, tuple[int, ...]]) -> dict[Key, Array]:
    """The arrays given for the gates, each in the shape that is wanted of it."""

    def named(key: Key) -> str:
        index, gate, is_w = key
        return f"{kind} of layer index {index}, gate {gate.name}, is_w={is_w}"

    for key, shape in wanted.items():
        if key not in given:
            raise ValueError(f"{named(key)} is missing, but should be set, with shape {shape}")
        if given[key].size != math.prod(shape):
            raise ValueError(f"{named(key)} has shape {given[key].shape}, but should have shape {shape}")
    for key in given:
        if key not in wanted:
            raise ValueError(f"{named(key)} is set, but the layer has no such place")
    return {key: given[key].reshape(shape) for key, shape in wanted.items()}


def add_rnn_v2(
    network: Any, input: Tensor, layer_count: int, hidden_size: int, max_seq_length: int, op: RNNOperation
) -> RNNv2Layer:
    """What ``network.add_rnn_v2(input, ...)`` was."""
    return RNNv2Layer(network, input, layer_count, hidden_size, max_seq_length, op)


class RNNLayer:
    """What ``add_rnn`` made: all weights in one array, all biases in another, and time before batch.

    ``weights`` holds for every layer and direction the input's matrices of all gates, then the state's; ``bias``
    likewise their biases; the gates in the order of :data:`CONCATENATED`. Both, and the states, can be set again until
    the first ``get_output``.
    """

    def __init__(
        self,
        network: Any,
        input: Tensor,
        layer_count: int,
        hidden_size: int,
        max_seq_length: int,
        op: RNNOperation,
        mode: RNNInputMode,
        direction: RNNDirection,
        weights: Array,
        bias: Array,
    ) -> None:
        self._t = Tensors(network)
        self._rnn = RNNv2Layer(network, self._t.transpose(input), layer_count, hidden_size, max_seq_length, op)
        self._rnn.input_mode, self._rnn.direction = mode, direction
        self.weights, self.bias = weights, bias
        self.hidden_state: Tensor | None = None
        """(L*D, B, H); None: zeros"""
        self.cell_state: Tensor | None = None
        """likewise, of an LSTM"""
        self._outputs: dict[int, Tensor] = {}

    def get_output(self, index: int) -> Tensor:
        """Output 0 is y (T, B, D*H); 1 is the last hidden state (L*D, B, H); 2, of an LSTM, the last cell state."""
        if not self._outputs:
            self._take_apart()
            for name in ("hidden_state", "cell_state"):
                state = getattr(self, name)
                setattr(self._rnn, name, None if state is None else self._t.transpose(state))
        if index not in self._outputs:
            self._outputs[index] = self._t.transpose(self._rnn.get_output(index))
        return self._outputs[index]

    def _take_apart(self) -> None:
        rnn, gates = self._rnn, CONCATENATED[self._rnn.layer.cell]
        for name, array, shapes, put in (
            ("weights", self.weights, matrix_shapes(rnn.layer, gates), rnn.set_weights_for_gate),
            ("bias", self.bias, bias_shapes(rnn.layer, gates), rnn.set_bias_for_gate),
        ):
            sizes = [math.prod(shape) for shape in shapes.values()]
            if np.size(array) != sum(sizes):
                raise ValueError(f"{name} has {np.size(array)} elements, but should have {sum(sizes)}")
            for key, part in zip(shapes, np.split(np.reshape(array, -1), np.cumsum(sizes)[:-1])):
                put(*key, part)


def add_rnn(
    network: Any,
    input: Tensor,
    layer_count: int,
    hidden_size: int,
    max_seq_length: int,
    op: RNNOperation,
    mode: RNNInputMode,
    direction: RNNDirection,
    weights: Array,
    bias: Array,
) -> RNNLayer:
    """What ``network.add_rnn(input, ...)`` was; ``input`` is (T, B, E)."""
    return RNNLayer(network, input, layer_count, hidden_size, max_seq_length, op, mode, direction, weights, bias)
