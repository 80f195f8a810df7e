"""Which TensorRT there is, and where the APIs of its versions differ: 8.5, 10, 11 and TensorRT-RTX.

Two modules have this API. ``tensorrt`` needs a GPU even to make a builder; ``tensorrt_rtx`` builds networks and engines
on any machine. All that differs between them, and between versions, stands in this file:

====================  ==========================================  =====================================
what                  TensorRT 8.5 to 10                          TensorRT 11 and TensorRT-RTX
====================  ==========================================  =====================================
types                 8: the builder chooses, float16 by a flag;  a network is always strongly typed
                      10: strongly typed by a flag
batch axis            8: explicit by a flag                       always explicit
shape of a tensor     8: int32; 10: int64                         int64
``add_fill``          8.5: without a type; later with one         with a type
target of an engine   the GPU that is there                       RTX: compute capabilities, by default
                                                                  all but 7.5
====================  ==========================================  =====================================

In all of them memory comes in pools of which the defaults will do (the workspace size that older programs set is not
needed), ``build_serialized_network`` makes the engine, and tensors go by name (``set_tensor_address``,
``execute_async_v3``); bindings by number were the way before 8.5.

What TensorRT has to say of a failure goes to its logger, and the call returns None. Here that becomes an exception
whose message has TensorRT's words.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from backends import BackendError

MODULES = ("tensorrt_rtx", "tensorrt")
"""The modules with this API, the one that needs no GPU first."""

BESIDE_THE_POINT = ("catchCudaError", "getCurrentCC")
"""Marks of messages that a machine without a GPU gives beside the one that matters."""


class RefusedNetwork(ValueError):
    """TensorRT does not take a network; the message is one sentence with what TensorRT says of it."""


def tensorrt(name: str | None = None) -> ModuleType:
    """The module ``name``, or the first of :data:`MODULES` that is installed.

    Raises :class:`backends.BackendError` where there is none, or where it cannot be imported.
    """
    names = MODULES if name is None else (name,)
    found = next((known for known in names if importlib.util.find_spec(known)), None)
    if found is None:
        packages = " or ".join(known.replace("_", "-") for known in names)
        raise BackendError(f"the module {' or '.join(names)} is not installed; pip install {packages} gets it")
    try:
        return importlib.import_module(found)
    except (ImportError, OSError, RuntimeError) as error:  # such as a missing libcuda or libcudnn
        raise BackendError(f"{found} is installed, but cannot be imported: {one_line(str(error))}") from error


def module_of(item: Any) -> ModuleType:
    """The module that a network, layer, tensor or engine comes from."""
    package = type(item).__module__.partition(".")[0]
    return importlib.import_module(package.removesuffix("_bindings"))


def version_of(trt: ModuleType) -> str:
    """Module and version, as in ``tensorrt_rtx 1.7.1.116``."""
    return f"{trt.__name__} {trt.__version__}"


def one_line(text: str) -> str:
    """A message on one line."""
    return " ".join(text.split())


class Messages:
    """The errors that TensorRT has logged since :meth:`forget`."""

    def __init__(self, trt: ModuleType) -> None:
        kept = self._kept = list[str]()

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity.name in ("INTERNAL_ERROR", "ERROR"):
                    kept.append(one_line(message))

        self.logger = Logger()

    def forget(self) -> None:
        """Start afresh."""
        self._kept.clear()

    def last(self) -> str:
        """The last error, which is that of the call that failed; where there is none, words that say so."""
        said = [message for message in self._kept if not any(mark in message for mark in BESIDE_THE_POINT)]
        return re.sub(r"^I\w+::\w+: ", "", said[-1]) if said else "no message"


@cache
def messages_of(trt: ModuleType) -> Messages:
    """The messages of a module: TensorRT knows one logger a process, so there is one for all it makes."""
    return Messages(trt)


@cache
def builder_of(trt: ModuleType) -> Any:
    """The builder of a module; raises :class:`backends.BackendError` where it makes none, as without a GPU."""
    messages = messages_of(trt)
    messages.forget()
    try:
        return trt.Builder(messages.logger)
    except TypeError as error:  # "factory function returned nullptr"
        raise BackendError(f"{version_of(trt)} cannot make a builder on this machine: {messages.last()}") from error


def refusal(trt: ModuleType) -> RefusedNetwork:
    """The exception for a call that returned None, to be raised."""
    return RefusedNetwork(f"{version_of(trt)} refuses the network: {messages_of(trt).last()}")


def empty_network(trt: ModuleType) -> Any:
    """A network with an explicit batch axis, strongly typed where the version knows the word."""
    flags = trt.NetworkDefinitionCreationFlag.__members__
    flag = flags["STRONGLY_TYPED"] if "STRONGLY_TYPED" in flags else flags["EXPLICIT_BATCH"]
    return builder_of(trt).create_network(1 << int(flag))


def builder_config(network: Any, *, tf32: bool, compute_capabilities: tuple[str, ...] = ()) -> Any:
    """How to build the engine of a network.

    ``tf32`` lets float32 products round their factors to 11 bits, which is TensorRT's own default.
    ``compute_capabilities``, of TensorRT-RTX, are names such as ``"SM89"``.
    """
    trt = module_of(network)
    config = builder_of(trt).create_builder_config()
    (config.set_flag if tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    strongly_typed = "STRONGLY_TYPED" in trt.NetworkDefinitionCreationFlag.__members__
    if not strongly_typed and any(network.get_input(k).dtype == trt.float16 for k in range(network.num_inputs)):
        config.set_flag(trt.BuilderFlag.FP16)
    if compute_capabilities:
        config.num_compute_capabilities = len(compute_capabilities)
        for index, name in enumerate(compute_capabilities):
            config.set_compute_capability(trt.ComputeCapability.__members__[name], index)
    return config


def linspace(network: Any, dtype: Any) -> Any:
    """A fill layer of evenly spaced numbers; its inputs 0, 1 and 2 are to be its shape, first number and steps."""
    trt = module_of(network)
    with_type = () if trt.__version__.startswith("8.5") else (dtype,)
    return network.add_fill((1,), trt.FillOperation.LINSPACE, *with_type)


def data_type(trt: ModuleType, dtype: Any) -> Any:
    """TensorRT's type of a numpy dtype; raises ``TypeError`` for one that networks here do not have."""
    known = ("float32", "float16", "int32")
    if str(dtype) not in known:
        raise TypeError(f"dtype {dtype} has no place in these TensorRT networks, but should be {', '.join(known)}")
    return getattr(trt, str(dtype))


def layers(network: Any) -> Iterator[Any]:
    """Every layer of a network, in the order they were added, as an object of its own class.

    The network gives each as an ``ILayer``, which hides what its own class has: axis, reverse, weights, ...
    """
    classes = layer_classes(module_of(network))
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        layer.__class__ = classes.get(layer.type, layer.__class__)
        yield layer


@cache
def layer_classes(trt: ModuleType) -> dict[Any, type]:
    """The class of each layer type: an ``ILoopOutputLayer`` is of the type ``LOOP_OUTPUT``."""
    types = {name.replace("_", ""): kind for name, kind in trt.LayerType.__members__.items()}
    names = [name for name in dir(trt) if re.fullmatch(r"I\w+Layer", name)]
    spelled = {name: name[1:-5].upper().replace("IFCONDITIONAL", "CONDITIONAL") for name in names}
    return {types[spelled[name]]: getattr(trt, name) for name in names if spelled[name] in types}
