"""Axes by name: how the layouts of the documents become the layout of the reference.

A layout is a string with one name an axis, such as ``"1 B T H"``. The names are the shape letters of the reference,
with ``L`` for the L*D slots of a state, ``1`` for an axis of size one that means nothing, and the compound sizes
``D*H``, ``I+H`` and ``2*H``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reference import Array, Layer

LAYOUTS = {
    "x": "B T I",
    "y": "B T D*H",
    "h_n": "L B H",
    "c_n": "L B H",
    "h_0": "L B H",
    "c_0": "L B H",
    "lengths": "B",
    "gates": "G B H",
    "w_ih": "H I",
    "w_hh": "H H",
    "b_ih": "H",
    "b_hh": "H",
    "w_ih_deeper": "H D*H",
    "w": "H I+H",
    "b": "2*H",
}
"""The layout of every tensor in the reference; a weight is that of one gate, or of input and state side by side."""


def sizes_of(layer: Layer, batch: int, steps: int) -> dict[str, int]:
    """The size of every axis name in one configuration.

    >>> from reference import Cell
    >>> sizes_of(Layer(cell=Cell.RNN, input_size=7, hidden_size=5, num_layers=2), 3, 4)["L"]
    2
    """
    hidden, directions = layer.hidden_size, layer.num_directions
    return {
        "1": 1,
        "B": batch,
        "T": steps,
        "I": layer.input_size,
        "H": hidden,
        "L": layer.num_layers * directions,
        "D*H": directions * hidden,
        "I+H": layer.input_size + hidden,
        "2*H": 2 * hidden,
    }


def shape_of(axes: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a layout; raises ``ValueError`` for an axis of no known name.

    >>> shape_of("1 B H", {"1": 1, "B": 3, "H": 5})
    (1, 3, 5)
    """
    unknown = [axis for axis in axes.split() if axis not in sizes]
    if unknown:
        raise ValueError(f"axes {axes!r} name {unknown[0]!r}, but an axis should be one of {', '.join(sizes)}")
    return tuple(sizes[axis] for axis in axes.split())


def rearrange(array: Array, axes: str, target: str, sizes: Mapping[str, int]) -> Array:
    """Bring an array from one layout to another.

    A target axis that the array lacks is filled by repetition: a print of one row holds for every row.

    >>> rearrange(np.array([[[1.0], [2.0]]]), "1 T B", "B T", {"B": 1, "T": 2})
    array([[1., 2.]])
    """
    names = ["D*H" if axis == "H" and "D*H" in target else axis for axis in axes.split()]
    kept = [name for name in names if name != "1"]
    wanted = target.split()
    if not set(kept) <= set(wanted):
        raise ValueError(f"axes {axes!r} do not fit, but should be among those of {target!r}")
    squeezed = array.reshape([size for name, size in zip(names, array.shape) if name != "1"])
    ordered = squeezed.transpose(sorted(range(len(kept)), key=lambda k: wanted.index(kept[k])))
    expanded = ordered.reshape([sizes[name] if name in kept else 1 for name in wanted])
    return np.broadcast_to(expanded, _sizes_in_order(wanted, sizes)).copy()


def _sizes_in_order(names: Sequence[str], sizes: Mapping[str, int]) -> list[int]:
    return [sizes[name] for name in names]
