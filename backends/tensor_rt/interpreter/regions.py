"""Which loops and conditionals a tensor lies in.

Nothing in a network says which layers are inside of a loop; that follows from the flow of data, by the rules of
NVIDIA's `Working with Loops
<https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-with-loops.html>`_:

- What an iterator or a recurrence of a loop gives lies inside of the loop, and so does what is computed from it.
- What a loop output gives lies outside again. It is the only way out.
- A loop that uses what lies inside of another loop is nested in it. Two loops that use each other's are refused.
- What depends on nothing inside of a loop lies outside, wherever it is used, and is computed once.

The same holds for conditionals, whose ways in and out are their inputs and outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import ABSENT, Graph, Node

LOOP_LAYERS = ("TRIP_LIMIT", "ITERATOR", "RECURRENCE", "LOOP_OUTPUT")
CONDITIONAL_LAYERS = ("CONDITION", "CONDITIONAL_INPUT", "CONDITIONAL_OUTPUT")
ENTRANCES = ("ITERATOR", "RECURRENCE", "CONDITIONAL_INPUT")
"""The layers whose outputs lie inside of the region that they belong to."""
EXITS = ("LOOP_OUTPUT", "CONDITIONAL_OUTPUT")
"""The layers whose outputs lie outside of it again."""


@dataclass(eq=False)
class Region:
    """A loop or a conditional, with the layers at its boundary in the order they were added."""

    kind: str
    """``"loop"`` or ``"conditional"``"""
    handle: Any
    """The ``ILoop`` or ``IIfConditional``."""
    boundary: list[Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.kind} {self.handle.name!r}"

    def of_kind(self, kind: str) -> list[Node]:
        """The boundary layers of a kind."""
        return [node for node in self.boundary if node.kind == kind]


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a graph, and where every tensor lies."""

    all: tuple[Region, ...]
    of: dict[Node, Region]
    """boundary layer -> its loop or conditional"""
    around: dict[Region, frozenset[Region]]
    """The regions that a region lies in."""
    scopes: dict[int, frozenset[Region]]
    """slot -> the regions that a tensor lies in, as far as the flow of data says so"""

    def home(self, slot: int) -> Region | None:
        """The innermost region that a tensor lies in, None outside of all."""
        return self._innermost(self.scopes.get(slot, frozenset()))

    def parent(self, region: Region) -> Region | None:
        """The innermost region around a region."""
        return self._innermost(self.around[region])

    def is_inside(self, slot: int, region: Region) -> bool:
        """Whether a tensor is computed anew in every iteration, or in a branch, of ``region``."""
        return region in self.scopes.get(slot, frozenset())

    def _innermost(self, regions: frozenset[Region]) -> Region | None:
        if not regions:
            return None
        everything = regions.union(*(self.around[region] for region in regions))
        innermost = max(everything, key=lambda region: len(self.around[region]))
        if everything != self.around[innermost] | {innermost}:
            names = " and ".join(sorted(region.name for region in regions))
            raise InterpreterError(f"{names} use each other's tensors, but one should lie inside of the other")
        return innermost


def regions_of(graph: Graph) -> Regions:
    """Find the regions of a graph and what lies in them."""
    regions = _collect(graph)
    of = {node: region for region in regions for node in region.boundary}
    scopes = _scopes(graph, regions, of)
    around = _around(regions, scopes)
    for region in regions:
        if region in around[region]:
            names = " and ".join(sorted(other.name for other in around[region] if region in around[other]))
            raise InterpreterError(f"{names} use each other's tensors, but one should lie inside of the other")
    return Regions(tuple(regions), of, around, scopes)


def _collect(graph: Graph) -> list[Region]:
    regions: dict[int, Region] = {}
    for node in graph.nodes:
        if node.kind in LOOP_LAYERS:
            handle, kind = node.layer.loop, "loop"
        elif node.kind in CONDITIONAL_LAYERS:
            handle, kind = node.layer.conditional, "conditional"
        else:
            continue
        region = regions.setdefault(id(handle), Region(kind, handle))
        region.boundary.append(node)
    return list(regions.values())


def _scopes(graph: Graph, regions: list[Region], of: dict[Node, Region]) -> dict[int, frozenset[Region]]:
    """Follow the flow of data until nothing changes: a recurrence lies where its second input does."""
    scopes: dict[int, frozenset[Region]] = {}

    def union(slots: list[int]) -> frozenset[Region]:
        return frozenset().union(*(scopes.get(slot, frozenset()) for slot in slots))

    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            scope = union(list(node.inputs))
            if node.kind in ENTRANCES:
                scope |= {of[node]}
            elif node.kind in EXITS:
                region = of[node]
                scope = union([slot for each in region.boundary for slot in each.inputs]) - {region}
            for slot in node.outputs:
                if scope != scopes.get(slot, frozenset()):
                    scopes[slot] = scope
                    changed = True
    return scopes


def _around(regions: list[Region], scopes: dict[int, frozenset[Region]]) -> dict[Region, frozenset[Region]]:
    """The regions around each: those in which anything lies that enters or leaves it, and those around these."""
    around = {
        region: frozenset().union(
            *(scopes.get(slot, frozenset()) for node in region.boundary for slot in node.inputs if slot != ABSENT)
        )
        - {region}
        for region in regions
    }
    changed = True
    while changed:
        changed = False
        for region in regions:
            wider = around[region].union(*(around[other] for other in around[region]))
            if wider != around[region]:
                around[region] = wider
                changed = True
    return around
