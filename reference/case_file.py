"""A Case, and a Result, as one safetensors file: how they travel between processes, machines and languages.

The arrays keep their names: ``x``, ``h_0``, ``c_0``, ``lengths``, ``weights.<k>.w_ih`` and so on, ``y``, ``h_n``,
``c_n``. The metadata has the one entry ``touchstone``, a JSON object whose ``layer`` is the configuration: one entry,
because safetensors writes several in a random order, and equal content should give equal bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from reference.case import Array, Case, Cell, Direction, Layer, Result, Weights


def layer_to_json(layer: Layer) -> dict[str, Any]:
    """The fields of a layer, with names for the enumerations."""
    sizes = {field: int(getattr(layer, field)) for field in ("input_size", "hidden_size", "num_layers")}
    return {**asdict(layer), **sizes, "cell": str(layer.cell), "direction": str(layer.direction)}


def layer_from_json(fields: dict[str, Any]) -> Layer:
    """The inverse of :func:`layer_to_json`."""
    for field in ("cell", "direction"):
        if field not in fields:
            raise ValueError(f"layer.{field} is missing")
    return Layer(**{**fields, "cell": Cell(fields["cell"]), "direction": Direction(fields["direction"])})


def arrays_of_case(case: Case) -> dict[str, Array]:
    """Every array of a case under its name in the file."""
    arrays = {"x": case.x, "h_0": case.h_0, "c_0": case.c_0, "lengths": case.lengths}
    for k, w in enumerate(case.weights):
        for field in ("w_ih", "w_hh", "b_ih", "b_hh"):
            arrays[f"weights.{k}.{field}"] = getattr(w, field)
    return {name: np.asarray(array) for name, array in arrays.items() if array is not None}


def save_case(path: Path, case: Case, **header: Any) -> None:
    """Write ``case`` to ``path``, atomically, with further entries of the header."""
    write_atomically(path, encode(arrays_of_case(case), {**header, "layer": layer_to_json(case.layer)}))


def load_case(path: Path) -> tuple[Case, dict[str, Any]]:
    """Read a case, and the header stored with it.

    Raises ``ValueError`` with one sentence where the file holds no case, ``OSError`` where it cannot be read.
    """
    content = path.read_bytes()
    try:
        arrays, header = decode(content)
        for name, place in (("layer", header), ("x", arrays)):
            if name not in place:
                raise ValueError(f"{name} is missing")
        return case_from_arrays(layer_from_json(header["layer"]), arrays), header
    except (ValueError, TypeError, safetensors.SafetensorError, RecursionError) as error:
        raise ValueError(f"{path} holds no case, but should be a file that save_case wrote: {error}") from error


def case_from_arrays(layer: Layer, arrays: dict[str, Array]) -> Case:
    """The inverse of :func:`arrays_of_case`; further arrays are left alone."""
    weights = tuple(
        Weights(*(arrays.get(f"weights.{k}.{field}") for field in ("w_ih", "w_hh", "b_ih", "b_hh")))  # type: ignore[arg-type]
        for k in range(layer.num_layers * layer.num_directions)
    )
    return Case(layer, weights, arrays["x"], arrays.get("h_0"), arrays.get("c_0"), arrays.get("lengths"))


def result_from_arrays(arrays: dict[str, Array]) -> Result:
    """The Result among the arrays of a file."""
    return Result(arrays["y"], arrays["h_n"], arrays.get("c_n"))


def encode(arrays: dict[str, Array], header: dict[str, Any]) -> bytes:
    """The bytes of a safetensors file: the same bytes for the same content.

    Raises ``TypeError`` for a dtype that such a file cannot hold.
    """
    metadata = {"touchstone": json.dumps(header, sort_keys=True)}
    try:
        content = safetensors.numpy.save({n: np.asarray(a, order="C") for n, a in sorted(arrays.items())}, metadata)
    except safetensors.SafetensorError as error:
        raise TypeError(f"a safetensors file cannot hold the case: {error}") from error
    return bytes(content)


def decode(content: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the header of a safetensors file."""
    arrays = {
        name: np.frombuffer(entry["data"], _dtype(entry["dtype"])).reshape(entry["shape"])
        for name, entry in safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    }
    entries = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    header = json.loads((entries.get("__metadata__") or {}).get("touchstone", "{}"))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return arrays, header


def _dtype(name: str) -> np.dtype[Any]:
    if name == "BF16":
        import ml_dtypes  # only where such an array is read

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    known = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
    if name not in known:
        raise ValueError(f"an array has the dtype {name}, but should have one of BF16, {', '.join(known)}")
    return np.dtype(known[name])


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at every moment it is the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
