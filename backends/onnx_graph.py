"""The ONNX model of a layer: one RNN, LSTM or GRU node for each layer of the stack, between transposes.

ONNX is time-major and keeps the directions on an axis of their own: X is (T, B, I), Y is (T, D, B, H), and both states
are (D, B, H). The model takes and returns what a :class:`reference.Case` and a :class:`reference.Result` hold, so the
transposes stand in the graph; the attribute ``layout=1``, which would spare them, is refused by ONNX Runtime. Batch and
time are symbolic, and one model serves cases of every B and T.

Gates lie in the order ``iofc`` (LSTM; ONNX's c is our g) and ``zrh`` (GRU; its h is our n). ``B_l`` holds the biases of
the input and then those of the state. ``reset_after`` is ``linear_before_reset=1``. ONNX has nothing like
``input_mode="skip"``: ``W_0`` is then made of identity matrices, whose product with finite numbers is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from reference import GATES, Array, Case, Cell, Layer

OPSET, IR_VERSION = 22, 10
"""Those that brought the present RNN, LSTM and GRU; ONNX Runtime cannot read what ``onnx`` writes by default."""

GATE_ORDER = {Cell.RNN: "h", Cell.LSTM: "iofg", Cell.GRU: "zrn"}
"""The gate axis of every ONNX weight, in the letters of :data:`reference.GATES`."""

ELEMENT_TYPES = {
    "float64": TensorProto.DOUBLE,
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
}

Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Signature:
    """What a model depends on."""

    layer: Layer
    dtype: str
    lengths: bool
    """Whether there are lengths."""
    states: bool
    """Whether there are initial states."""

    @classmethod
    def of(cls, case: Case) -> Signature:
        """The signature of the model that takes ``case``."""
        return cls(case.layer, str(case.dtype), case.lengths is not None, case.h_0 is not None)


def model_of(signature: Signature, constants: Mapping[str, Array] | None = None) -> onnx.ModelProto:
    """The model whose inputs are called as :func:`inputs_of` and :func:`parameters_of` call them.

    ``constants`` are the parameters, if they are to be initializers, a part of the model, and not inputs. The outputs
    are those of a Result, in its order.
    """
    layer = signature.layer
    state: Shape = (layer.num_layers * layer.num_directions, "B", layer.hidden_size)
    inputs: dict[str, Shape] = {"x": ("B", "T", layer.input_size)}
    if signature.lengths:
        inputs["lengths"] = ("B",)
    if signature.states:
        inputs |= {f"{s}_0": state for s in _carried(layer)}
    if constants is None:
        inputs |= _parameter_shapes(layer)
    outputs: dict[str, Shape] = {"y": ("B", "T", layer.num_directions * layer.hidden_size)}
    outputs |= {f"{s}_n": state for s in _carried(layer)}

    def declared(shapes: dict[str, Shape]) -> list[onnx.ValueInfoProto]:
        dtype = ELEMENT_TYPES[signature.dtype]
        return [
            helper.make_tensor_value_info(name, TensorProto.INT32 if name == "lengths" else dtype, shape)
            for name, shape in shapes.items()
        ]

    initializers = {**_integers(signature), **(constants or {})}
    graph = helper.make_graph(
        list(_nodes(signature)),
        str(layer),
        declared(inputs),
        declared(outputs),
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def inputs_of(case: Case) -> dict[str, Array]:
    """What the model takes but the parameters: ``x``, and as far as the case has them ``lengths``, ``h_0``, ``c_0``."""
    lengths = None if case.lengths is None else case.row_lengths.astype(np.int32)
    given = {"x": case.x, "lengths": lengths, "h_0": case.h_0, "c_0": case.c_0}
    return {name: array for name, array in given.items() if array is not None}


def parameters_of(case: Case) -> dict[str, Array]:
    """The parameters as ONNX has them: for layer l ``W_l`` (D, G*H, I), ``R_l`` (D, G*H, H), ``B_l`` (D, 2*G*H).

    There is no ``B_l`` where ``layer.bias`` is False.
    """
    layer, directions = case.layer, case.layer.num_directions
    order = [GATES[layer.cell].index(gate) for gate in GATE_ORDER[layer.cell]]
    identities = np.stack([np.eye(layer.hidden_size, dtype=case.dtype)] * layer.num_gates)
    parameters = {}
    for number in range(layer.num_layers):
        weights = case.weights[number * directions : (number + 1) * directions]
        parameters[f"W_{number}"] = np.stack([identities if w.w_ih is None else w.w_ih[order] for w in weights])
        parameters[f"R_{number}"] = np.stack([w.w_hh[order] for w in weights])
        if layer.bias:
            parameters[f"B_{number}"] = np.stack([np.stack([w.b_ih[order], w.b_hh[order]]) for w in weights])
    return {name: parameters[name].reshape(shape) for name, shape in _parameter_shapes(layer).items()}


def _parameter_shapes(layer: Layer) -> dict[str, Any]:
    directions, hidden, rows = layer.num_directions, layer.hidden_size, layer.num_gates * layer.hidden_size
    shapes: dict[str, Any] = {}
    for number in range(layer.num_layers):
        shapes[f"W_{number}"] = (directions, rows, layer.input_size_of(number))
        shapes[f"R_{number}"] = (directions, rows, hidden)
        if layer.bias:
            shapes[f"B_{number}"] = (directions, 2 * rows)
    return shapes


def _carried(layer: Layer) -> str:
    """The states that the cell carries from step to step."""
    return "hc" if layer.cell is Cell.LSTM else "h"


def _integers(signature: Signature) -> dict[str, Array]:
    """What Reshape and Split read as inputs: the shape (T, B, D*H), and D slots of a state for each layer."""
    layer = signature.layer
    joined = np.array([0, 0, layer.num_directions * layer.hidden_size])
    slots = np.full(layer.num_layers, layer.num_directions)
    return {"joined": joined, "slots": slots} if signature.states else {"joined": joined}


def _nodes(signature: Signature) -> Iterator[onnx.NodeProto]:
    """Batch-first to time-major, the layers one above the other, and back."""
    layer, carried = signature.layer, _carried(signature.layer)
    numbers = range(layer.num_layers)
    yield helper.make_node("Transpose", ["x"], ["X_0"], perm=[1, 0, 2])
    if signature.states:
        for s in carried:
            yield helper.make_node("Split", [f"{s}_0", "slots"], [f"initial_{s}_{n}" for n in numbers], axis=0)
    for n in numbers:
        # An empty name stands for an optional input that is left out.
        optional = [f"B_{n}" if layer.bias else "", "lengths" if signature.lengths else ""]
        initial = [f"initial_{s}_{n}" for s in carried] if signature.states else []
        yield helper.make_node(
            str(layer.cell).upper(),
            [f"X_{n}", f"W_{n}", f"R_{n}", *optional, *initial],
            [f"Y_{n}", *(f"Y_{s}_{n}" for s in carried)],
            **_attributes(layer),
        )
        yield helper.make_node("Transpose", [f"Y_{n}"], [f"units_{n}"], perm=[0, 2, 1, 3])  # (T, B, D, H)
        yield helper.make_node("Reshape", [f"units_{n}", "joined"], [f"X_{n + 1}"])
    yield helper.make_node("Transpose", [f"X_{layer.num_layers}"], ["y"], perm=[1, 0, 2])
    for s in carried:
        yield helper.make_node("Concat", [f"Y_{s}_{n}" for n in numbers], [f"{s}_n"], axis=0)


def _attributes(layer: Layer) -> dict[str, Any]:
    attributes: dict[str, Any] = {"direction": str(layer.direction), "hidden_size": layer.hidden_size}
    if layer.cell is Cell.RNN:
        attributes["activations"] = [layer.activation.capitalize()] * layer.num_directions
    if layer.cell is Cell.GRU:
        attributes["linear_before_reset"] = int(layer.reset_after)
    return attributes
