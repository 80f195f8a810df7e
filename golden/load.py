"""Reading the TOML files: documents, their vectors as printed, and the errata that correct them.

Every error is a ``ValueError`` of one sentence that names the file, the entry, what is wrong and what it should be.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from golden.printed import count
from golden.relations import RELATIONS
from golden.vector import DRAWN, Agreement, Output, Vector
from reference import Cell, Direction, Layer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent

VECTOR_FIELDS = {
    *("id", "locator", "purpose", "layer", "input", "weights", "output", "relations", "other", "agreement"),
    *("attributes", "worked", "stated", "code", "unreadable"),
}
INPUT_FIELDS = {"x", "h_0", "c_0", "lengths"}
WEIGHT_FIELDS = {"w_ih", "w_ih_deeper", "w_hh", "b_ih", "b_hh", "w", "b"}
ARRAY_FIELDS = {"shape", "axes", "fill", "printed"}
OUTPUT_FIELDS = {"name", "tensor", "locator", "shape", "axes", "printed", "steps", "gates", "same_as", "note"}
NUMBER = re.compile(r"-?\d+(\.\d*)?")
KEBAB_CASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Document:
    """A document that prints numbers."""

    id: str
    title: str
    origin: str
    """what the document says of itself: author, address, framework and version"""
    language: str
    sha256: str
    """of the bytes of its text, so that whoever holds it can tell that it is the one"""
    file: str
    """the TOML file with its vectors"""


@dataclass(frozen=True)
class Erratum:
    """Something printed that is wrong, and what it should be.

    ``kind`` is ``value`` (a printed element of an output), ``count`` (more or fewer numbers than the tensor has),
    ``input`` (the printed input does not give the printed output), ``shape``, ``axes``, ``code`` (a line that does
    not run) or ``text``.
    """

    id: str
    document: str
    vector: str
    field: str
    """path into the vector; an entry of a list is addressed by its name"""
    kind: str
    printed: Any
    corrected: Any
    problem: str
    evidence: str
    status: str
    """``misprint``: the author's; ``conversion damage``: of the text that we have"""
    index: tuple[tuple[int, ...], ...] = ()
    """which elements of a printed output, for the kind ``value``"""
    raises: str = ""
    """what running the line raises, for the kind ``code``"""


@dataclass(frozen=True)
class LooksWrong:
    """Something printed that looks wrong and is right."""

    document: str
    vector: str
    printed: str
    reason: str


@dataclass(frozen=True)
class Enumeration:
    """The members of an enumeration that a document lists, each with the fields that it means here."""

    document: str
    name: str
    locator: str
    members: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def documents() -> tuple[Document, ...]:
    """The source documents, in the order of ``documents.toml``."""
    entries = read_toml("documents.toml")["document"]
    return tuple(build(Document, entry, f"documents.toml, document {k + 1}") for k, entry in enumerate(entries))


def errata() -> tuple[Erratum, ...]:
    """All errata."""
    entries = read_toml("errata.toml").get("erratum", [])
    return tuple(
        build(Erratum, {**entry, "index": _tuples(entry.get("index", []))}, f"errata.toml, erratum {k + 1}")
        for k, entry in enumerate(entries)
    )


def looks_wrong() -> tuple[LooksWrong, ...]:
    """What looks wrong in the documents and is right."""
    entries = read_toml("errata.toml").get("looks_wrong", [])
    return tuple(build(LooksWrong, entry, f"errata.toml, looks_wrong {k + 1}") for k, entry in enumerate(entries))


def enumerations() -> tuple[Enumeration, ...]:
    """The enumerations that the documents list."""
    return tuple(
        Enumeration(document.id, entry["name"], entry["locator"], entry["members"])
        for document in documents()
        for entry in read_toml(document.file).get("enumeration", [])
    )


def unreadable() -> tuple[tuple[str, str, str], ...]:
    """What is missing from the documents' text: (document or document/vector, locator, what is missing)."""
    found = []
    for document in documents():
        content = read_toml(document.file)
        places = [(document.id, content), *((f"{document.id}/{v['id']}", v) for v in content["vector"])]
        found += [(place, u["locator"], u["missing"]) for place, entry in places for u in entry.get("unreadable", [])]
    return tuple(found)


def vectors(corrected: bool = True, without: Collection[str] = ()) -> tuple[Vector, ...]:
    """All vectors, with the errata applied but those named in ``without``; as printed with ``corrected=False``."""
    applied = [erratum for erratum in errata() if corrected and erratum.id not in without]
    return tuple(vector for document in documents() for vector in _vectors_of(document, applied))


def printed_count() -> dict[str, int]:
    """How many printed numbers each document contributes, not counting what cannot be read or is referred to."""
    totals: dict[str, int] = {}
    for document in documents():
        tables = list(_tables_with_numbers(read_toml(document.file)))
        totals[document.id] = sum(count(str(table["printed"])) for table in tables)
    return totals


def _tables_with_numbers(item: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(item, list):
        for entry in item:
            yield from _tables_with_numbers(entry)
    elif isinstance(item, dict):
        if "printed" in item:
            yield item
        for entry in item.values():
            yield from _tables_with_numbers(entry)


def _vectors_of(document: Document, applied: Collection[Erratum]) -> Iterator[Vector]:
    content = copy.deepcopy(read_toml(document.file))
    entries = {entry["id"]: entry for entry in content["vector"]}
    if len(entries) < len(content["vector"]):
        raise ValueError(f"{document.file} has two vectors of one id, but every id should be unique")
    for erratum in applied:
        if erratum.document == document.id:
            apply(erratum, entries)
    for entry in entries.values():
        yield build_vector(document.id, entry, entries)


def apply(erratum: Erratum, entries: Mapping[str, dict[str, Any]]) -> None:
    """Correct one vector among ``entries``, by id, in place."""
    table, key = locate(erratum, entries)
    if not erratum.index:
        table[key] = erratum.corrected
        return
    tokens = table[key].split()
    for position in _flat(erratum, table["shape"]):
        tokens[position] = erratum.corrected
    table[key] = " ".join(tokens)


def locate(erratum: Erratum, entries: Mapping[str, dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The table and the key that an erratum speaks of; ``ValueError`` where its printed thing does not stand there."""
    where = f"erratum {erratum.id!r}"
    if erratum.vector not in entries:
        raise ValueError(f"{where} names vector {erratum.vector!r}, but should name one of {', '.join(entries)}")
    table: Any = entries[erratum.vector]
    *path, key = erratum.field.split(".")
    for name in path:
        table = _entry(table.get(name) if isinstance(table, dict) else table, name, table)
        if table is None:
            raise ValueError(f"{where} names field {erratum.field!r}, but vector {erratum.vector!r} has no such field")
    if not isinstance(table, dict) or key not in table:
        raise ValueError(f"{where} names field {erratum.field!r}, but vector {erratum.vector!r} has no such field")
    for found in _found(erratum, table, key):
        if found != erratum.printed:
            raise ValueError(f"{where} says that {erratum.printed!r} is printed, but the vector file has {found!r}")
    return table, key


def _entry(value: Any, name: str, table: Any) -> Any:
    """Step into a table by key, or into a list of tables by the name of its entry."""
    if isinstance(table, list):
        return next((entry for entry in table if entry["name"] == name), None)
    return value


def _found(erratum: Erratum, table: Mapping[str, Any], key: str) -> list[Any]:
    if not erratum.index:
        return [table[key]]
    tokens = table[key].split()
    return [tokens[position] for position in _flat(erratum, table["shape"])]


def _flat(erratum: Erratum, shape: list[int]) -> list[int]:
    return [int(np.ravel_multi_index(index, tuple(shape))) for index in erratum.index]


def build_vector(document: str, entry: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> Vector:
    """Make a Vector of its TOML entry; ``entries`` are all of its document, for outputs that refer to another's."""
    where = f"{document}, vector {entry.get('id')!r}"
    _check_keys(entry, VECTOR_FIELDS, {"id", "locator", "purpose", "layer", "input"}, where)
    if not KEBAB_CASE.fullmatch(entry["id"]):
        raise ValueError(f"{where} has an id that is not in kebab-case, but should be like 'relu-rnn'")
    unknown = [name for name in entry.get("relations", []) if name not in RELATIONS]
    if unknown:
        raise ValueError(f"{where} names the relation {unknown[0]!r}, but should name one of {', '.join(RELATIONS)}")
    if entry.get("other", entry["id"]) not in {*entries, entry["id"]}:
        raise ValueError(f"{where} names the other {entry['other']!r}, but should name one of {', '.join(entries)}")
    _check_arrays(entry["input"], INPUT_FIELDS, {"x"}, f"{where}, input")
    _check_arrays(entry.get("weights", {}), WEIGHT_FIELDS, set(), f"{where}, weights")
    x, lengths = entry["input"]["x"], entry["input"].get("lengths")
    sizes = dict(zip(x["axes"].split(), x["shape"]))
    return Vector(
        document=document,
        id=entry["id"],
        locator=entry["locator"],
        purpose=entry["purpose"],
        layer=_layer(entry["layer"], where),
        batch_size=sizes["B"],
        num_steps=sizes.get("T", 1),
        lengths=None if lengths is None else np.array(lengths["printed"].split(), np.int64),
        outputs=tuple(_output(table, entries, where) for table in entry.get("output", [])),
        relations=tuple(entry.get("relations", [])),
        other=entry.get("other", ""),
        agreements=tuple(_agreement(table) for table in entry.get("agreement", [])),
        data=entry,
    )


def _check_arrays(table: Mapping[str, Any], known: Collection[str], required: Collection[str], where: str) -> None:
    """Check the arrays of a call: what they are called, and that each has a shape, axes and numbers."""
    _check_keys(table, known, required, where)
    for name, spec in table.items():
        _check_keys(
            spec, ARRAY_FIELDS, {"shape", "axes", "printed" if name == "lengths" else "fill"}, f"{where}, {name}"
        )
        fill = spec.get("fill", "0")
        if fill not in DRAWN and not NUMBER.fullmatch(fill):
            raise ValueError(
                f"{where}, {name} has fill {fill!r}, but should have a number or one of {', '.join(DRAWN)}"
            )


def _layer(table: Mapping[str, Any], where: str) -> Layer:
    names = {f.name for f in fields(Layer)}
    _check_keys(table, names, {"cell", "input_size", "hidden_size"}, f"{where}, layer")
    direction = Direction(table.get("direction", "forward"))
    return Layer(**{**table, "cell": Cell(table["cell"]), "direction": direction})


def _output(table: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]], where: str) -> Output:
    where = f"{where}, output {table.get('name')!r}"
    _check_keys(table, OUTPUT_FIELDS, {"name", "tensor", "locator", "shape", "axes"}, where)
    source = table if "printed" in table else _source(table.get("same_as", ""), entries, where)
    return Output(
        **{
            **table,
            "shape": tuple(table["shape"]),
            "printed": source["printed"],
            "printed_shape": tuple(source["shape"]),
            "printed_axes": source["axes"],
        }
    )


def _source(reference: str, entries: Mapping[str, Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    vector, _, name = reference.partition(".")
    for table in entries.get(vector, {}).get("output", []):
        if table["name"] == name and "printed" in table:
            return table  # type: ignore[no-any-return]
    raise ValueError(f"{where} is the same as {reference!r}, but should name a printed output, as 'vector.output'")


def _agreement(table: Mapping[str, Any]) -> Agreement:
    return Agreement(table["tensor"], table["quote"], float(table["atol"]), float(table["rtol"]))


def _check_keys(table: Mapping[str, Any], known: Collection[str], required: Collection[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{where} has the field {key!r}, but should have only {', '.join(sorted(known))}")
    for key in required:
        if key not in table:
            raise ValueError(f"{where} has no field {key!r}, but should have it")


def build(kind: Any, entry: Mapping[str, Any], where: str) -> Any:
    """Make a dataclass of a TOML table, whose fields are its fields."""
    names = [f.name for f in fields(kind)]
    required = names if kind is not Erratum else [n for n in names if n not in ("index", "raises")]
    _check_keys(entry, names, required, where)
    return kind(**entry)


def _tuples(index: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(position) for position in index)


@cache
def read_toml(name: str) -> dict[str, Any]:
    """The content of a file of this folder; whoever changes it makes a copy first."""
    try:
        return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"golden/{name} is missing, but should stand beside documents.toml") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"golden/{name} is not TOML ({error}), but should be") from None
