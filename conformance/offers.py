"""``docs/backends.md``: what each backend offers and how, made from :mod:`backends.offers`.

python -m conformance.offers                           every backend, and what it does not offer
python -m conformance.offers --write docs/backends.md  the document
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from backends import DTYPES, Capabilities
from backends.offers import ADAPTER_OF, ADAPTERS, Adapter, Feature, Kind, Offer
from conformance.command_line import list_or_write
from conformance.features import AXES, unclaimed
from reference.case_file import write_atomically

FEATURES: tuple[Feature, ...] = tuple(
    (axis, value) for axis, values in {**AXES, "dtype": DTYPES}.items() for value in values
)
"""Every feature, in the order in which they are shown."""

OPENING = """\
<!-- Made by `python -m conformance.offers --write docs/backends.md`. -->

# What each backend offers

A backend is a framework and our adapter to it. Here is what it offers of the features that a case may have, and how:

- {NATIVE} **native**: a layer, an operator or an argument of the framework does it. The adapter hands over arrays, in
  the order and the layout that the framework wants.
- {BUILT} **built from parts**: the framework has the parts, and the adapter puts them together as its users would. What
  is judged is then the framework and the adapter.
- {ABSENT} **not offered**: it is not claimed, no case has it, and a reason stands below.

A sign in parentheses depends on the machine. What has a {DEVIATES} is documented, and so it is claimed and judged, but
under one name of the backend at least, and in the version that was judged, it came out wrong as a whole. What comes out
wrong in some cases only stands in [the findings](findings.md).

## Features
"""

SIGNS = {
    Kind.NATIVE: "\N{BLACK CIRCLE}",
    Kind.BUILT: "\N{CIRCLE WITH LEFT HALF BLACK}",
    Kind.ABSENT: "\N{WHITE CIRCLE}",
}

DEVIATES = "\N{DAGGER}"

ZERO_LENGTH = {"hold": "initial state", "zero": "zero", "reject": "refused"}
"""What becomes of a row of length 0, in a cell of a table."""

NAMES = """\
## Names

A backend is chosen by a name. `tox run -e` with its environment judges it; the dependency group of pyproject.toml has
the packages that it needs. Where there is none, install them yourself; `python -m benchmarks.gpu --out gpu-report`
judges all that find a GPU. The last columns say what is calculated with for each dtype: `float16-float32` stores
float16 and sums products in float32, `tf32` rounds the factors of float32 products to 11 bits, and a dash stands for a
dtype that is not offered.
"""


def not_claimed(capabilities: Capabilities) -> set[Feature]:
    """The features that lie outside ``capabilities``, dtypes among them."""
    return {*unclaimed(capabilities), *(("dtype", dtype) for dtype in DTYPES if dtype not in capabilities.dtypes)}


SHAPES = """\
## Few shapes

`flax` and `mindspore-graph` compile for every new shape, which takes a second or so, and say that: few_shapes of
`Capabilities`. The cases that are generated for them have one of twelve shapes, in which sizes and features come
together: every direction with and without lengths and initial states, one to three layers, a bias or none, such that
any two of these meet; sizes of 1, sizes that are no multiple of 8, and one large size of each axis. Numbers, lengths
and weights are drawn as for any other backend. What is given up: a fault that shows only at another size, or only where
three features meet that do not meet in the table, goes unseen, and activations are swept in one direction only. Of 299
faults of the catalogue none is lost: a wrong backend of few shapes is rejected for each (quick profile, one seed).
"""


def document() -> str:
    """The whole text."""
    signs = {kind.name: sign for kind, sign in SIGNS.items()}
    opening = OPENING.format(**signs, DEVIATES=DEVIATES)
    return "\n".join([opening, _matrix(), NAMES, _names(), SHAPES, *map(_section, ADAPTERS)])


def _table(head: Iterable[str], alignments: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in (head, alignments, *rows)), ""])


def _matrix() -> str:
    """Features down, adapters across; what becomes of rows of length 0 stands below the lengths."""
    return _table(
        ["", *(f"[{adapter.title}](#{_anchor(adapter)})" for adapter in ADAPTERS)],
        ["---", *(":-:" for _ in ADAPTERS)],
        _matrix_rows(),
    )


def _matrix_rows() -> Iterator[list[str]]:
    for feature in FEATURES:
        yield [_named([feature]), *(_sign(adapter.offer(feature)) for adapter in ADAPTERS)]
        if feature == ("lengths", AXES["lengths"][-1]):
            yield ["state of a row of length 0", *(ZERO_LENGTH[adapter.zero_length] for adapter in ADAPTERS)]


def _sign(offer: Offer) -> str:
    sign = f"({SIGNS[offer.kind]})" if offer.where else SIGNS[offer.kind]
    return f"{sign} {DEVIATES}" if offer.deviation else sign


def _named(features: Iterable[Feature]) -> str:
    """Features in words: each axis with its values."""
    axes = itertools.groupby(features, lambda feature: feature[0])
    return "; ".join(f"{axis}: {', '.join(value for _, value in values)}" for axis, values in axes)


def _anchor(adapter: Adapter) -> str:
    """Where the heading of an adapter is, as Markdown's readers make it of the title."""
    return adapter.title.lower().replace(" ", "-")


def _names() -> str:
    """What every name needs, and calculates with."""
    rows = [
        [
            f"[`{name}`](#{_anchor(adapter)})",
            entry.needs,
            entry.device,
            entry.environment or "",
            entry.group or "",
            *(
                "-" if adapter.offer(("dtype", dtype)).kind is Kind.ABSENT else entry.arithmetic.get(dtype, dtype)
                for dtype in DTYPES
            ),
        ]
        for name, adapter in ADAPTER_OF.items()
        for entry in [adapter.entries[name]]
    ]
    head = ["name", "needs", "device", "environment", "group", *DTYPES]
    return _table(head, ["---"] * len(head), rows)


def _section(adapter: Adapter) -> str:
    """What an adapter calls, and all that is to be said of its features."""
    names = ", ".join(f"`{name}`" for name in adapter.entries)
    parts = [f"## {adapter.title}\n", f"{names}\n", f"{adapter.calls}\n"]
    for kind in Kind:
        said: dict[Offer, list[Feature]] = {}
        for feature in FEATURES:
            offer = adapter.offer(feature)
            if offer.kind is kind and offer != Offer(kind=Kind.NATIVE):
                said.setdefault(offer, []).append(feature)
        if said:
            parts += [f"{str(kind).capitalize()}:\n", *map(_line, said, said.values()), ""]
    return "\n".join(parts)


def _line(offer: Offer, features: list[Feature]) -> str:
    sentences = [offer.says] if offer.says else []
    if offer.where:
        sentences.append(f"Where {offer.where}.")
    if offer.deviation:
        sentences.append(f"{DEVIATES} [{offer.deviation}](findings.md#{offer.deviation})")
    return f"- **{_named(features)}.** {' '.join(sentences)}"


def write(path: Path) -> None:
    """Write the document."""
    write_atomically(path, document().encode())


def _listed() -> Iterator[str]:
    for name, adapter in ADAPTER_OF.items():
        absent = [feature for feature in FEATURES if adapter.offer(feature).kind is Kind.ABSENT]
        yield f"{name}: {f'not offered: {_named(absent)}' if absent else 'everything is offered'}"


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    return list_or_write("python -m conformance.offers", __doc__, _listed(), write, arguments)


if __name__ == "__main__":
    sys.exit(main())
