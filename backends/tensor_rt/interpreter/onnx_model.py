"""A network from an ONNX model, through NVIDIA's own parser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.tensor_rt import api
from backends.tensor_rt.interpreter.errors import InterpreterError


@dataclass(frozen=True)
class ParsedModel:
    """A network, and the parser that owns the weights it points to."""

    network: Any
    parser: Any


def parse_onnx(path: Path) -> ParsedModel:
    """Parse the ONNX model in a file.

    Raises :class:`InterpreterError` with the parser's own words where it refuses the model, and
    :class:`backends.BackendError` where there is no TensorRT that can build networks.
    """
    trt = api.tensorrt()
    if not hasattr(trt, "OnnxParser"):
        raise InterpreterError(
            f"{trt.__name__} {trt.__version__} has no ONNX parser, but should have one to read {path}"
        )
    if not path.is_file():
        raise InterpreterError(f"there is no file {path}, but should be an ONNX model")
    network = api.empty_network(trt)
    messages = api.messages_of(trt)
    messages.forget()
    parser = trt.OnnxParser(network, messages.logger)
    if not parser.parse_from_file(str(path)):
        said = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise InterpreterError(f"TensorRT's parser refuses {path}: {'; '.join(map(api.one_line, said))}")
    return ParsedModel(network, parser)
