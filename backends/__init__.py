"""Implementations of recurrent layers behind one small interface.

A backend is any object with a ``name``, its ``capabilities`` and a method ``run``; see :class:`Backend`. Packing, gate
order, layout, devices and engines are its own business. Each adapter is one file, and its framework is imported when
the backend is chosen, not before:

=========================  =========================  =============================================
name                       file                       needs
=========================  =========================  =============================================
``reference``              numpy_reference.py         numpy
``pytorch``                pytorch.py                 torch
``pytorch-cuda``           pytorch.py                 torch, and a device that torch.cuda sees
``pytorch-cuda-tf32``      pytorch.py                 torch, and a device that torch.cuda sees
``onnxruntime``            onnx_runtime.py            onnxruntime, onnx
``onnxruntime-constants``  onnx_runtime.py            onnxruntime, onnx
``onnx-reference``         onnx_reference.py          onnx
``mindspore``              mind_spore.py              mindspore, numpy below 2
``mindspore-graph``        mind_spore.py              mindspore, numpy below 2
``flax``                   flax_layers.py             jax, flax
``keras``                  keras_layers.py            keras, and a backend of keras such as torch
``openvino``               open_vino.py               openvino
``openvino-dynamic``       open_vino.py               openvino
``mlx``                    mlx_layers.py              mlx
``tensorrt-network``       tensor_rt/interpreted.py   tensorrt-rtx or tensorrt; no GPU
``tensorrt-rtx``           tensor_rt/runtime.py       tensorrt-rtx, cuda-python and a GPU
``tensorrt-rtx-tf32``      tensor_rt/runtime.py       tensorrt-rtx, cuda-python and a GPU
``tensorrt``               tensor_rt/runtime.py       tensorrt, cuda-python and a GPU
``tensorrt-tf32``          tensor_rt/runtime.py       tensorrt, cuda-python and a GPU
``tensorrt-rnnv2``         tensor_rt/rnn_v2_layer.py  tensorrt 8, cuda-python and a GPU
=========================  =========================  =============================================

Each of them, and your own, runs in a process of its own, under another interpreter too, as ``isolated:SPEC@PYTHON``:
see isolated.py.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

from reference import Case, Cell, Direction, Layer, Result
from reference.noise import ARITHMETICS

BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "reference": "backends.numpy_reference:Reference",
        "pytorch": "backends.pytorch:PyTorch",
        "pytorch-cuda": "backends.pytorch:PyTorchCuda",
        "pytorch-cuda-tf32": "backends.pytorch:PyTorchCudaTf32",
        "onnxruntime": "backends.onnx_runtime:OnnxRuntime",
        "onnxruntime-constants": "backends.onnx_runtime:OnnxRuntimeConstants",
        "onnx-reference": "backends.onnx_reference:OnnxReference",
        "mindspore": "backends.mind_spore:MindSpore",
        "mindspore-graph": "backends.mind_spore:MindSporeGraph",
        "flax": "backends.flax_layers:Flax",
        "keras": "backends.keras_layers:Keras",
        "openvino": "backends.open_vino:OpenVino",
        "openvino-dynamic": "backends.open_vino:OpenVinoDynamic",
        "mlx": "backends.mlx_layers:Mlx",
        "tensorrt-network": "backends.tensor_rt.interpreted:Interpreted",
        "tensorrt-rtx": "backends.tensor_rt.runtime:tensorrt_rtx",
        "tensorrt-rtx-tf32": "backends.tensor_rt.runtime:tensorrt_rtx_tf32",
        "tensorrt": "backends.tensor_rt.runtime:tensorrt",
        "tensorrt-tf32": "backends.tensor_rt.runtime:tensorrt_tf32",
        "tensorrt-rnnv2": "backends.tensor_rt.rnn_v2_layer:tensorrt_rnnv2",
    }
)
"""The backends that come with the project: name -> ``module:attribute``."""


DTYPES = ("float64", "float32", "float16", "bfloat16")
"""Of a case; bfloat16 is that of ml_dtypes."""


class BackendError(Exception):
    """A backend that was asked for cannot be had; the message is one sentence that says why."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend claims to compute. Every case within it must run, and run right.

    The defaults claim everything; a backend names what it leaves out.
    """

    cells: tuple[Cell, ...] = tuple(Cell)
    activations: tuple[str, ...] = ("tanh", "relu")
    """Of the RNN cell."""
    directions: tuple[Direction, ...] = tuple(Direction)
    max_layers: int | None = None
    """None: any number."""
    reset_after: tuple[bool, ...] = (True, False)
    """The GRU variants: True resets after the recurrent product, False before."""
    lengths: bool = True
    zero_length: Literal["hold", "zero", "reject"] = "hold"
    """The state of a row of length 0: the initial state, zero, or an error instead of a result."""
    bias: tuple[bool, ...] = (True, False)
    input_modes: tuple[str, ...] = ("linear", "skip")
    dtypes: tuple[str, ...] = ("float64", "float32")
    arithmetic: Mapping[str, str] = field(default_factory=dict)
    """The arithmetic really used for a dtype, where it is not the dtype's own: ``{"float32": "tf32"}``."""
    few_shapes: bool = False
    """Whether a new shape costs a compilation, so that generated cases have few of them.

    They then are of the shapes in :data:`conformance.strategies.FEW_SHAPES`, while numbers, lengths and weights are as
    free as ever. What goes unseen is a fault that needs another size, or features that do not meet in that table.
    """

    def __post_init__(self) -> None:
        for field_name, choices in (
            ("cells", tuple(Cell)),
            ("activations", ("tanh", "relu")),
            ("directions", tuple(Direction)),
            ("reset_after", (True, False)),
            ("bias", (True, False)),
            ("input_modes", ("linear", "skip")),
            ("dtypes", DTYPES),
        ):
            claimed = getattr(self, field_name)
            wrong = [item for item in claimed if type(item) is not type(choices[0]) or item not in choices]
            if wrong or not claimed:
                said = f"holds {wrong[0]!r}" if wrong else "is empty"
                raise ValueError(
                    f"capabilities.{field_name} {said}, but should hold some of {', '.join(map(str, choices))}"
                )
        if self.max_layers is not None and self.max_layers < 1:
            raise ValueError(f"capabilities.max_layers is {self.max_layers}, but should be at least 1, or None")
        if self.zero_length not in ("hold", "zero", "reject"):
            raise ValueError(
                f"capabilities.zero_length is {self.zero_length!r}, but should be 'hold', 'zero' or 'reject'"
            )
        for dtype, name in self.arithmetic.items():
            if name not in ARITHMETICS:
                raise ValueError(
                    f"capabilities.arithmetic[{dtype!r}] is {name!r}, but should be one of {', '.join(ARITHMETICS)}"
                )

    def arithmetic_of(self, dtype: Any) -> str:
        """The name of the arithmetic claimed for cases of ``dtype``."""
        return self.arithmetic.get(str(dtype), str(dtype))

    def declines(self, case: Case) -> str | None:
        """The reason why ``case`` lies outside the claim, or None where it lies within."""
        if reason := self.declines_layer(case.layer):
            return reason
        if str(case.dtype) not in self.dtypes:
            return f"dtype {case.dtype}"
        if case.lengths is not None and not self.lengths:
            return "sequence lengths"
        if case.lengths is not None and self.zero_length == "reject" and min(case.lengths) == 0:
            return "rows of length 0"
        return None

    def declines_layer(self, layer: Layer) -> str | None:
        """The reason why no case of ``layer`` lies within the claim, or None."""
        checks = [
            (layer.cell in self.cells, f"cell {layer.cell}"),
            (layer.cell is not Cell.RNN or layer.activation in self.activations, f"activation {layer.activation}"),
            (layer.direction in self.directions, f"direction {layer.direction}"),
            (self.max_layers is None or layer.num_layers <= self.max_layers, f"{layer.num_layers} layers"),
            (layer.cell is not Cell.GRU or layer.reset_after in self.reset_after, f"reset_after={layer.reset_after}"),
            (layer.bias in self.bias, f"bias={layer.bias}"),
            (layer.input_mode in self.input_modes, f"input mode {layer.input_mode}"),
        ]
        return next((reason for claimed, reason in checks if not claimed), None)


class Backend(Protocol):
    """An implementation under judgement.

    It may also have a ``description``, such as ``"torch 2.13.0, cpu"``, for headers and reports.
    """

    @property
    def name(self) -> str:
        """How headers, reports and test ids call it; an attribute will do."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it claims; an attribute will do."""
        ...

    def run(self, case: Case) -> Result:
        """Compute ``case``, leaving its arrays as they are; the result has the dtype of the case."""
        ...


def load(spec: str) -> Backend:
    """The backend called ``spec``: a name of :data:`BACKENDS`, or ``package.module:attribute``, or either isolated.

    The attribute is a backend, or a class or function that returns one when called without arguments.
    Raises :class:`BackendError` where it cannot be had.
    """
    if spec.startswith("isolated:"):
        from backends.isolated import Isolated  # only where it is chosen, because it imports this module

        return Isolated(spec.removeprefix("isolated:"))
    if spec not in BACKENDS and ":" not in spec:
        raise BackendError(_unknown(spec))
    module_name, _, attribute = BACKENDS.get(spec, spec).partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
        backend = found if _is_backend(found) or not callable(found) else found()
    except BackendError:
        raise
    except ModuleNotFoundError as error:
        hint = f", which is not on {sys.executable}'s path" if error.name and module_name.startswith(error.name) else ""
        raise BackendError(
            f"backend {spec!r} needs the module {error.name!r}{hint or ', which is not installed'}"
        ) from error
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        raise BackendError(f"backend {spec!r} cannot be made: {type(error).__name__}: {said}") from error
    if not _is_backend(backend):
        raise BackendError(
            f"backend {spec!r} is a {type(backend).__name__},"
            " but should have a name, capabilities (a Capabilities) and run(case)"
        )
    return backend  # type: ignore[no-any-return]


def describe(backend: Backend) -> str:
    """What a backend runs on, in a few words, as far as it says so."""
    return str(getattr(backend, "description", ""))


def _is_backend(found: Any) -> bool:
    if isinstance(found, type):
        return False
    return (
        isinstance(getattr(found, "name", None), str)
        and isinstance(getattr(found, "capabilities", None), Capabilities)
        and callable(getattr(found, "run", None))
    )


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), BACKENDS, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]!r}? The names are" if near else "the names are"
    return (
        f"no backend is named {name!r}; {guess} {', '.join(BACKENDS)}, or write package.module:attribute for your own"
    )
