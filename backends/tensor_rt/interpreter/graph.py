"""What a network consists of, as far as order and scope are concerned: layers and the tensors between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.tensor_rt.api import layers, module_of

ABSENT = 0
"""The slot of an input that is missing; its value is always None."""


@dataclass(frozen=True, eq=False)
class Node:
    """A layer, with its tensors as slots: numbers by which the values of an evaluation are kept."""

    layer: Any
    """As an object of its own class: an ``IIteratorLayer``."""
    kind: str
    """The name of its ``LayerType``: ``"ITERATOR"``."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    """An assertion, which has no output, has one slot too, by which it is asked for."""

    def input(self, index: int) -> int:
        """The slot of an input, :data:`ABSENT` where the layer has not so many."""
        return self.inputs[index] if index < len(self.inputs) else ABSENT

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.kind.lower()} layer {self.layer.name!r}"


@dataclass(frozen=True, eq=False)
class Graph:
    """The layers of a network in the order they were added, and who computes which slot."""

    nodes: tuple[Node, ...]
    producers: dict[int, Node]
    tensors: dict[int, Any]
    """slot -> ``ITensor``; the slot of an assertion has none."""
    inputs: dict[str, int]
    outputs: dict[str, int]

    @property
    def num_slots(self) -> int:
        """How many values an evaluation keeps."""
        return max([ABSENT, *self.tensors, *self.producers]) + 1

    def name_of(self, slot: int) -> str:
        """How messages call a tensor."""
        return f"tensor {self.tensors[slot].name!r}" if slot in self.tensors else self.producers[slot].name


def shape_of(tensor: Any) -> tuple[int, ...] | None:
    """The declared shape of an ``ITensor``, -1 for what is dynamic; None where TensorRT cannot infer it.

    It cannot in a network that is not valid, whose evaluation says what is wrong with it.
    """
    try:
        return tuple(tensor.shape)
    except (RuntimeError, ValueError):
        return None


def dimension_names_of(tensor: Any) -> tuple[str, ...]:
    """What the dimensions of an input are called, "" for one without a name; no TensorRT before 8.6 has such names."""
    if not hasattr(tensor, "get_dimension_name"):
        return ()
    return tuple(tensor.get_dimension_name(place) or "" for place in range(len(shape_of(tensor) or ())))


def graph_of(network: Any) -> Graph:
    """Read an ``INetworkDefinition``."""
    kind_of = module_of(network).ILayer.type.fget  # the ``type`` of an IActivationLayer is its ActivationType
    slots: dict[int, int] = {}
    tensors: dict[int, Any] = {}  # holds every ITensor, so that no other can take its identity

    def slot_of(tensor: Any) -> int:
        if tensor is None:
            return ABSENT
        if id(tensor) not in slots:
            slots[id(tensor)] = len(slots) + 1
            tensors[slots[id(tensor)]] = tensor
        return slots[id(tensor)]

    given = [network.get_input(index) for index in range(network.num_inputs)]
    inputs = {tensor.name: slot_of(tensor) for tensor in given}
    nodes = []
    for layer in layers(network):
        read = tuple(slot_of(layer.get_input(index)) for index in range(layer.num_inputs))
        written = tuple(slot_of(layer.get_output(index)) for index in range(layer.num_outputs))
        nodes.append(Node(layer, kind_of(layer).name, read, written))
    marked = [network.get_output(index) for index in range(network.num_outputs)]
    outputs = {tensor.name: slot_of(tensor) for tensor in marked}
    number = len(slots) + 1
    for index, node in enumerate(nodes):
        if not node.outputs:
            nodes[index] = Node(node.layer, node.kind, node.inputs, (number,))
            number += 1
    producers = {slot: node for node in nodes for slot in node.outputs}
    return Graph(tuple(nodes), producers, tensors, inputs, outputs)
