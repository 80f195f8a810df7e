"""The manifest of the computed vectors, and the vectors that it lists.

>>> vector = next(vector for vector in load() if vector.id == "rnn-relu-ones-float32")
>>> vector.case.layer.input_size, vector.exact.h_n.tolist()[0][0]
(520, [7846.0, 7846.0])
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from golden.corpus import FLAGS, corpus
from golden.produce import FORMAT, content_of
from golden.recipe import Recipe
from reference import Case, Result
from reference.case_file import case_from_arrays, decode, layer_from_json, layer_to_json, result_from_arrays

VECTORS = Path(__file__).parent / "vectors"
NAME = "manifest.json"

Line = dict[str, Any]
"""What the manifest says of one vector; ``manifest.schema.json`` says what that is."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A computed vector as it stands in its file."""

    id: str
    purpose: str
    flags: tuple[str, ...]
    path: Path
    case: Case
    exact: Result
    """the exact result, rounded to float64"""
    rounded: Result
    """the exact result, rounded to the dtype of the case: what a perfect implementation returns"""
    sigma: Result
    """see :mod:`reference.noise`, in the arithmetic that has the name of the dtype; 0 where only equality passes"""


@cache
def load(folder: Path = VECTORS) -> tuple[Stored, ...]:
    """Every vector of a manifest; ``ValueError`` for a file that is not the one it lists."""
    return tuple(_stored(folder / line["file"], line) for line in read(folder)["vectors"])


def _stored(path: Path, line: Line) -> Stored:
    content = path.read_bytes()
    if sha256(content) != line["sha256"]:
        raise ValueError(f"{path} has the sha256 {sha256(content)}, but its manifest says {line['sha256']}")
    arrays, header = decode(content)
    parts: dict[str, dict[str, Any]] = {"exact": {}, "sigma": {}}
    for name, array in arrays.items():
        prefix, _, rest = name.partition(".")
        if prefix in parts:
            parts[prefix][rest] = array
    return Stored(
        id=line["id"],
        purpose=line["purpose"],
        flags=tuple(line["flags"]),
        path=path,
        case=case_from_arrays(layer_from_json(header["layer"]), arrays),
        exact=Result(**parts["exact"]),
        rounded=result_from_arrays(arrays),
        sigma=Result(**parts["sigma"]),
    )


def read(folder: Path = VECTORS) -> dict[str, Any]:
    """The manifest of a folder: ``format``, ``flags`` and ``vectors``; ``ValueError`` where there is none."""
    path = folder / NAME
    try:
        manifest = json.loads(path.read_bytes())
        return {"format": manifest["format"], "flags": dict(manifest["flags"]), "vectors": list(manifest["vectors"])}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no manifest: {error}") from None


def file_of(id: str) -> str:
    """The name of the file of a vector."""
    return f"{id}.safetensors"


def regenerated(folder: Path, id: str) -> bytes:
    """The file of a vector as it should be; what stands in ``folder`` has a say in its number of replicas alone."""
    path = folder / file_of(id)
    recipe = next(recipe for recipe in corpus() if recipe.id == id)
    return content_of(recipe, path.read_bytes() if path.exists() else None)


def line_of(recipe: Recipe, content: bytes) -> Line:
    """What the manifest says of a vector whose file has this content."""
    return {
        "id": recipe.id,
        "file": file_of(recipe.id),
        "purpose": recipe.purpose,
        "flags": list(recipe.flags),
        "layer": layer_to_json(recipe.layer),
        "dtype": recipe.dtype,
        "batch_size": recipe.batch,
        "num_steps": recipe.steps,
        "lengths": None if recipe.lengths is None else list(recipe.lengths),
        "states": recipe.states,
        "sha256": sha256(content),
    }


def written(lines: Mapping[str, Line], format: int = FORMAT, flags: Mapping[str, str] = FLAGS) -> bytes:
    """The bytes of a manifest: a line for each vector, by id, so that a difference shows which vector changed."""
    vectors = ",\n".join(f"    {json.dumps(lines[id])}" for id in sorted(lines))
    head = json.dumps({"format": format, "flags": dict(flags)}, indent=2).removesuffix("\n}")
    return f'{head},\n  "vectors": [\n{vectors}\n  ]\n}}\n'.encode()


def sha256(content: bytes) -> str:
    """The checksum of a file."""
    return hashlib.sha256(content).hexdigest()
