"""Evaluate an ONNX model as TensorRT understands it, without a GPU.

``python -m backends.tensor_rt.interpreter model.onnx --input x=x.npy --output results``

NVIDIA's parser makes a TensorRT network of the model, and the interpreter evaluates that. Inputs come from .npy files.
Every output is printed with its type, its shape and a few statistics; ``--output DIR`` also writes each to
``DIR/NAME.npy``. ``--layers`` lists the network instead of evaluating it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from backends import BackendError
from backends.tensor_rt.interpreter.dtypes import widened
from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import ABSENT, Graph, graph_of, shape_of
from backends.tensor_rt.interpreter.onnx_model import parse_onnx
from backends.tensor_rt.interpreter.program import Program
from reference import Array


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 where it ends in an error."""
    options = _parser().parse_args(arguments)
    try:
        model = parse_onnx(options.model)
        if options.layers:
            print("\n".join(listing(graph_of(model.network))))
            return 0
        program = Program(model.network)
        outputs = program.run(dict(_loaded(given) for given in options.input))
    except (InterpreterError, BackendError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, array in outputs.items():
        print(f"{name}: {array.dtype} {array.shape}{statistics(array)}")
    if options.output is not None:
        for name, array in outputs.items():
            print(f"wrote {_write(options.output, name, array)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m backends.tensor_rt.interpreter",
        description=summary,
        epilog=details.replace("``", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="an ONNX model")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=FILE", help="an input, from a .npy file")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the outputs there, one .npy file each")
    parser.add_argument("--layers", action="store_true", help="list the layers of the network, and stop")
    return parser


def _loaded(given: str) -> tuple[str, Array]:
    name, equals, path = given.partition("=")
    if not equals:
        raise InterpreterError(f"--input is {given!r}, but should be NAME=FILE")
    try:
        return name, np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InterpreterError(f"{path!r} cannot be read as a .npy file: {error}") from error


def _write(directory: Path, name: str, array: Array) -> Path:
    """Write ``name.npy``; a name that is a path in the model is none here, and bfloat16 is written as float32."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name.replace('/', '_')}.npy"
    np.save(path, widened(array) if array.dtype.kind == "V" else array, allow_pickle=False)
    return path


def statistics(array: Array) -> str:
    """Lowest, mean and highest of the finite numbers, and how many are not finite."""
    if array.size == 0 or array.dtype == np.bool_:
        return "" if array.size == 0 else f" true {np.count_nonzero(array)} of {array.size}"
    numbers = array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    text = f" min {finite.min():.6g} mean {finite.mean():.6g} max {finite.max():.6g}" if finite.size else ""
    return text + (f" not finite {array.size - finite.size}" if finite.size < array.size else "")


def listing(graph: Graph) -> list[str]:
    """A line for each input and output of a network, and for each layer."""

    def told(slot: int) -> str:
        if slot == ABSENT:
            return "-"
        tensor = graph.tensors[slot]
        return f"{tensor.name} {tensor.dtype.name} {shape_of(tensor)}"

    lines = [f"input {told(slot)}" for slot in graph.inputs.values()]
    for number, node in enumerate(graph.nodes):
        read = ", ".join(graph.tensors[slot].name if slot != ABSENT else "-" for slot in node.inputs)
        written = ", ".join(told(slot) for slot in node.outputs if slot in graph.tensors)
        lines.append(f"{number} {node.kind} {node.layer.name}: ({read}) -> ({written})")
    return lines + [f"output {told(slot)}" for slot in graph.outputs.values()]


if __name__ == "__main__":
    sys.exit(main())
