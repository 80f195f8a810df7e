"""OpenVINO: the operations LSTMSequence, GRUSequence and RNNSequence on the CPU plugin.

The weights are constants of the model, as they are in a model converted from a trained one. ``openvino`` has static
shapes; ``openvino-dynamic`` leaves batch and time open, as conversion does where the source says nothing else. On
processors with instructions for it, the plugin computes float32 models in bfloat16 unless told otherwise; here
``INFERENCE_PRECISION_HINT`` is the dtype of the case. float16 and bfloat16 are claimed where the plugin lists them
among its capabilities, with products summed in float32. Models of float64 it computes in float32: not claimed.

A stack is built from parts, one operation a layer. Every operation takes a bias and an initial state: where the case
has none, they are zeros. Without lengths, ``sequence_lengths`` is T in every row. Not offered by OpenVINO, and so not
claimed: ``input_mode="skip"``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import openvino
from openvino import opset15 as ops

from backends import Capabilities
from reference import Array, Case, Cell, Layer, Result, Weights

_TYPES = {"float32": openvino.Type.f32, "float16": openvino.Type.f16, "bfloat16": openvino.Type.bf16}
_LISTED_AS = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}
_ORDERS = {Cell.RNN: [0], Cell.LSTM: [1, 0, 2, 3], Cell.GRU: [1, 0, 2]}
"""Where OpenVINO's gates, in its order fico and zrh, stand in ours, ifgo and rzn."""


class OpenVino:
    """The CPU plugin, with static shapes."""

    name = "openvino"
    has_dynamic_shapes = False

    def __init__(self) -> None:
        self._core = openvino.Core()
        self._compiled = lru_cache(maxsize=64)(self._compile)
        listed = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.capabilities = Capabilities(
            zero_length="zero",
            input_modes=("linear",),
            dtypes=tuple(dtype for dtype, name in _LISTED_AS.items() if name in listed),
            arithmetic={"float16": "float16-float32", "bfloat16": "bfloat16-float32"},
        )

    @property
    def description(self) -> str:
        """Version and processor."""
        return f"openvino {openvino.__version__}, {self._core.get_property('CPU', 'FULL_DEVICE_NAME')}"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        sizes = (-1, -1) if self.has_dynamic_shapes else (case.batch_size, case.num_steps)
        weights = tuple(array.tobytes() for w in case.weights for array in packed(w, case.layer))
        request = self._compiled(case.layer, case.dtype, sizes, case.lengths is not None, weights)
        zeros = np.zeros((len(case.weights), case.batch_size, case.layer.hidden_size), case.dtype)
        states = [case.h_0, case.c_0] if case.layer.cell is Cell.LSTM else [case.h_0]
        floats = [case.x, *(zeros if state is None else state for state in states)]
        lengths = [] if case.lengths is None else [case.row_lengths]
        request.infer([*map(_tensor, floats), *lengths])
        return Result(*(_array(output, case.dtype) for output in request.output_tensors))

    def _compile(
        self, layer: Layer, dtype: np.dtype[Any], sizes: tuple[int, int], with_lengths: bool, weights: tuple[bytes, ...]
    ) -> Any:
        """What infers y, h_n and c_n from x, the states and any lengths, for the content of these weights."""
        element = _TYPES[str(dtype)]
        model = _model(layer, element, sizes, with_lengths, [np.frombuffer(content, dtype) for content in weights])
        return self._core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": element}).create_infer_request()


class OpenVinoDynamic(OpenVino):
    """The CPU plugin, with batch and time open until a case is run."""

    name = "openvino-dynamic"
    has_dynamic_shapes = True


def packed(weights: Weights, layer: Layer) -> tuple[Array, Array, Array]:
    """W (G, H, I), R (G, H, H) and B (G, H), the gates in OpenVINO's order, the biases added.

    A GRU that resets after the product keeps its recurrent bias of the candidate apart, as a fourth row of B.
    """
    order = _ORDERS[layer.cell]
    assert weights.w_ih is not None  # as it is in every layer of input_mode="linear", the only one that is claimed
    bias = (weights.b_ih + weights.b_hh)[order]
    if layer.cell is Cell.GRU and layer.reset_after:
        bias = np.concatenate([bias[:2], weights.b_ih[2:], weights.b_hh[2:]])
    return weights.w_ih[order], weights.w_hh[order], bias


def _model(layer: Layer, element: Any, sizes: tuple[int, int], with_lengths: bool, weights: list[Array]) -> Any:
    """The model of a stack; states are (L*D, B, H) outside, (B, D, H) at an operation."""
    directions, hidden = layer.num_directions, layer.hidden_size
    x = ops.parameter([*sizes, layer.input_size], element)
    state_shape = [layer.num_layers * directions, sizes[0], hidden]
    states = [ops.parameter(state_shape, element) for _ in range(2 if layer.cell is Cell.LSTM else 1)]
    lengths = [ops.parameter(sizes[:1], np.int64)] if with_lengths else []
    initial = [ops.split(state, 0, layer.num_layers).outputs() for state in states]
    y, finals = x, []
    for number in range(layer.num_layers):
        given = [_transposed(state[number], [1, 0, 2]) for state in initial]
        constants = [
            _constant([weights[3 * (number * directions + d) + k] for d in range(directions)], columns)
            for k, columns in enumerate((layer.input_size_of(number), hidden, None))
        ]
        node = _sequence(layer, [y, *given, *(lengths or [_steps(x)]), *constants])
        y, *final = node.outputs()
        y = ops.reshape(_transposed(y, [0, 2, 1, 3]), [0, 0, directions * hidden], special_zero=True)
        finals.append([_transposed(state, [1, 0, 2]) for state in final])
    outputs = [y, *(ops.concat(list(parts), 0) for parts in zip(*finals))]
    return openvino.Model(outputs, [x, *states, *lengths])


def _sequence(layer: Layer, inputs: list[Any]) -> Any:
    """The operation of one layer."""
    arguments = *inputs, layer.hidden_size, str(layer.direction)
    if layer.cell is Cell.LSTM:
        return ops.lstm_sequence(*arguments)
    if layer.cell is Cell.GRU:
        return ops.gru_sequence(*arguments, linear_before_reset=layer.reset_after)
    return ops.rnn_sequence(*arguments, activations=[layer.activation])


def _constant(sides: list[Array], columns: int | None) -> Any:
    """A constant (D, G*H, columns), or (D, G*H), of one content for each direction."""
    array = np.stack(sides)
    shape = [len(sides), -1] if columns is None else [len(sides), array.shape[1] // columns, columns]
    return ops.constant(_tensor(array.reshape(shape)))


def _steps(x: Any) -> Any:
    """T for every row of x."""
    batch, steps = (ops.gather(ops.shape_of(x), [axis], 0) for axis in (0, 1))
    return ops.broadcast(steps, batch)


def _transposed(node: Any, axes: list[int]) -> Any:
    return ops.transpose(node, ops.constant(np.array(axes)))


def _tensor(array: Array) -> Any:
    tensor = openvino.Tensor(_TYPES[array.dtype.name], array.shape)
    tensor.data[...] = array.view(tensor.data.dtype)
    return tensor


def _array(tensor: Any, dtype: np.dtype[Any]) -> Array:
    """A copy of an output. OpenVINO shows bfloat16 to numpy as float16 of the same bits, in both directions."""
    array: Array = np.array(tensor.data)
    return array.view(dtype)
