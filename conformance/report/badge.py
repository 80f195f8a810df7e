"""A line for each backend, as shields.io reads it from an address (its "endpoint" badge)."""

from __future__ import annotations

from typing import Any

from conformance.report.contents import is_whole
from conformance.report.matrix import Column


def badge(column: Column) -> dict[str, Any]:
    """The content of a badge: what holds, and how many bits are delivered in the dtype of most interest."""
    message, colour = _message(column)
    return {"schemaVersion": 1, "label": f"touchstone: {column.name}", "message": message, "color": colour}


def _message(column: Column) -> tuple[str, str]:
    if not is_whole(column.run):
        return "incomplete", "lightgrey"
    if not column.claims:
        return "nothing judged", "lightgrey"
    dtype = "float32" if "float32" in column.dtypes else column.dtypes[0]
    bits = column.overall(dtype).counts.get("bits")
    delivered = "" if bits is None else f", {bits:.1f} bits in {dtype}"
    if column.broken:
        return f"{len(column.broken)} of {len(column.claims)} claims fail{delivered}", "orange"
    return f"{len(column.claims)} claims hold{delivered}", "blue"
