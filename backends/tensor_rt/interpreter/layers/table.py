"""The table of layer kinds: the name of a ``LayerType`` -> what makes the function of such a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]
"""From the values of a layer's inputs (None for one that is missing) to that of its output, or a tuple of several."""

LAYERS: dict[str, Callable[[Any], Function]] = {}
"""``LAYERS["ELEMENTWISE"](layer)`` reads the attributes of the layer, once, and returns its function."""


def evaluates(kind: str) -> Callable[[Callable[[Any], Function]], Callable[[Any], Function]]:
    """Enter the decorated function into :data:`LAYERS` as what evaluates layers of this kind."""

    def enter(maker: Callable[[Any], Function]) -> Callable[[Any], Function]:
        LAYERS[kind] = maker
        return maker

    return enter
