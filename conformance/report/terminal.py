"""The matrix in a terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from conformance.report.contents import Report
from conformance.report.matrix import MEANINGS, SYMBOLS, Column, Standing, Status, columns, rows

STYLES: dict[Status, str] = {
    "right": "blue",
    "wrong": "bold red reverse",
    "crashed": "bold reverse",
    "deviates": "yellow",
    "declined": "dim",
    "open": "dim",
}


def matrix(report: Report, dtype: str) -> Table:
    """Effective bits by feature and backend, in one dtype."""
    found = columns(report)
    caption = "   ".join(f"{SYMBOLS[status]} {meaning}" for status, meaning in MEANINGS.items())
    state = " (incomplete)" if report["incomplete"] else ""
    table = Table(
        title=f"effective bits, {dtype}{state}",
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=SIMPLE,
    )
    table.add_column("", no_wrap=True)
    for column in found:
        table.add_column(column.name, justify="right", overflow="fold", min_width=6)
    table.add_row("everything", *(_field(column.overall(dtype)) for column in found), end_section=True)
    features = list(rows())
    for k, (axis, value) in enumerate(features):
        is_last = k + 1 == len(features) or features[k + 1][0] != axis
        name = value if value.startswith(("rnn", "gru", "lstm")) else f"{axis} {value}"
        table.add_row(name, *(_field(column.standing(dtype, axis, value)) for column in found), end_section=is_last)
    table.add_row("claims that hold", *(_claims(column) for column in found))
    return table


def _claims(column: Column) -> Text:
    status: Status = "wrong" if column.broken else "open" if column.pending else "right"
    return Text(f"{column.held}/{len(column.claims)}", STYLES[status])


def _field(standing: Standing) -> Text:
    bits = f" {standing.counts['bits']:4.1f}" if "bits" in standing.counts else ""
    return Text(standing.symbol + bits, STYLES[standing.status])
