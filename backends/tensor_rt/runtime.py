"""Engines on a GPU: the backends ``tensorrt`` and ``tensorrt-rtx``, and the same with TF32.

Memory is allocated, filled, read and freed in the order of one stream, through cuda-python. Whatever fails, all that
was allocated is freed: every allocation is a context manager. Every return code is looked at.

TensorRT rounds the factors of float32 products to the 11 bits of TF32 unless told not to. It is told not to for
``tensorrt`` and ``tensorrt-rtx``, which claim float32, and left to it for ``tensorrt-tf32`` and ``tensorrt-rtx-tf32``,
which claim tf32.
"""

from __future__ import annotations

import hashlib
import importlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from backends import BackendError, Capabilities
from backends.tensor_rt import api
from backends.tensor_rt.compiling import Shapes, compiled
from backends.tensor_rt.interpreter.dtypes import numpy_dtype
from backends.tensor_rt.network import CAPABILITIES, input_shapes, network_inputs, network_of
from reference import Array, Case, Result
from reference.case_file import arrays_of_case

Sizes = tuple[int, int]
"""Batch size and number of time steps."""

PlanOf = Callable[[Case, ModuleType, bool], bytes]
"""The engine of a case, of a module of TensorRT, with or without TF32."""

KEPT_ENGINES = 32
"""How many engines stay on the GPU; the one not used for longest goes first."""


class ExecutionError(RuntimeError):
    """CUDA or TensorRT failed in the middle of a run; the message is one sentence with what it says."""


class Cuda:
    """The few calls of ``cuda.bindings.runtime`` that a run needs; each raises :class:`ExecutionError` if it fails."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call a function by name; what it returns after its error code."""
        error, *results = getattr(self._runtime, name)(*arguments)
        if int(error) != 0:
            raise ExecutionError(f"{name} failed with {self.describe(error)}")
        return results[0] if results else None

    def describe(self, error: Any) -> str:
        """An error code in words."""
        _, text = self._runtime.cudaGetErrorString(error)
        return f"{error.name} ({text.decode()})"

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """A stream that has finished its work when it is left, so that host arrays outlive what reads them."""
        stream = self("cudaStreamCreate")
        try:
            yield stream
        finally:
            try:
                self("cudaStreamSynchronize", stream)
            finally:
                self("cudaStreamDestroy", stream)

    @contextmanager
    def memory(self, size: int, stream: Any) -> Iterator[int]:
        """The address of ``size`` bytes on the device, freed in the order of the stream."""
        address = int(self("cudaMallocAsync", size, stream))
        try:
            yield address
        finally:
            self("cudaFreeAsync", address, stream)

    def to_device(self, address: int, array: Array, stream: Any) -> None:
        """Copy a contiguous array, which has to live until the stream is done."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, stream)

    def to_host(self, array: Array, address: int, stream: Any) -> None:
        """Fill a contiguous array, which has its content when the stream is done."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, stream)


class Engine:
    """An engine on the GPU, ready to run."""

    def __init__(self, trt: ModuleType, plan: bytes, cuda: Cuda) -> None:
        self._trt, self._cuda, self._messages = trt, cuda, api.messages_of(trt)
        self._runtime = self._made(trt.Runtime, self._messages.logger)  # which has to outlive the engine
        self._engine = self._made(self._runtime.deserialize_cuda_engine, plan)
        self._context = self._made(self._engine.create_execution_context)
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        self.inputs = [name for name in names if modes[name] == trt.TensorIOMode.INPUT]
        self.outputs = [name for name in names if modes[name] == trt.TensorIOMode.OUTPUT]

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, for inputs by name; ``KeyError`` for an input that is missing."""
        self._messages.forget()
        contiguous = {name: np.asarray(arrays[name], order="C") for name in self.inputs}
        results: dict[str, Array] = {}
        with ExitStack() as stack:
            stream = stack.enter_context(self._cuda.stream())

            def on_device(name: str, array: Array) -> int:
                address = stack.enter_context(self._cuda.memory(array.nbytes, stream))
                self._told(self._context.set_tensor_address, name, address)
                return address

            for name, array in contiguous.items():
                self._check_dtype(name, array)
                self._told(self._context.set_input_shape, name, tuple(array.shape))
                self._cuda.to_device(on_device(name, array), array, stream)
            addresses = {}
            for name in self.outputs:
                results[name] = np.empty(tuple(self._context.get_tensor_shape(name)), self._dtype(name))
                addresses[name] = on_device(name, results[name])
            self._told(self._context.execute_async_v3, int(stream))
            for name, address in addresses.items():
                self._cuda.to_host(results[name], address, stream)
            self._cuda("cudaStreamSynchronize", stream)
        return results

    def _dtype(self, name: str) -> np.dtype[Any]:
        return numpy_dtype(self._engine.get_tensor_dtype(name))

    def _check_dtype(self, name: str, array: Array) -> None:
        if array.dtype != self._dtype(name):
            raise TypeError(f"{name} has dtype {array.dtype}, but should have dtype {self._dtype(name)}")

    def _made(self, make: Callable[..., Any], *arguments: Any) -> Any:
        self._messages.forget()
        made = make(*arguments)
        if made is None:
            raise ExecutionError(f"{api.version_of(self._trt)}: {self._messages.last()}")
        return made

    def _told(self, call: Callable[..., bool], *arguments: Any) -> None:
        if not call(*arguments):
            said = f"{call.__name__}{arguments} failed: {self._messages.last()}"
            raise ExecutionError(f"{api.version_of(self._trt)}: {said}")


def extents(case: Case) -> Shapes:
    """The optimization profile for a case: made for its sizes, and good for all smaller ones."""
    given = (case.lengths is not None, case.h_0 is not None)
    smallest = input_shapes(case.layer, 1, 1, *given)
    largest = input_shapes(case.layer, case.batch_size, case.num_steps, *given)
    return {name: (smallest[name], largest[name], largest[name]) for name in largest}


def loop_plan(case: Case, trt: ModuleType, tf32: bool) -> bytes:
    """The engine of the loop network of a case, for its sizes and smaller ones."""
    return compiled(network_of(case, trt), extents(case), tf32=tf32)


class OnGpu:
    """A backend that runs the network of each case on the GPU: a loop network, or what ``plan_of`` makes an engine of.

    Engines are kept under the hash of their network. One that is ``resizable`` serves all sizes up to those that it was
    built for.
    Raises :class:`backends.BackendError` where there is no TensorRT, no cuda-python or no GPU.
    """

    def __init__(
        self,
        name: str,
        module: str,
        *,
        tf32: bool = False,
        plan_of: PlanOf = loop_plan,
        claimed: Capabilities = CAPABILITIES,
        resizable: bool = True,
    ) -> None:
        self.name = name
        arithmetic = {**claimed.arithmetic, **({"float32": "tf32"} if tf32 else {})}
        self.capabilities = replace(claimed, arithmetic=arithmetic)
        self._trt, self._tf32, self._plan_of, self._resizable = api.tensorrt(module), tf32, plan_of, resizable
        self._cuda, self._device = first_gpu(name, api.version_of(self._trt))
        self._kept: OrderedDict[str, tuple[Sizes, Engine]] = OrderedDict()

    @property
    def description(self) -> str:
        """TensorRT and the GPU."""
        return f"{api.version_of(self._trt)}, {self._device}"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return Result(**self.engine_of(case).run(network_inputs(case)))

    def engine_of(self, case: Case) -> Engine:
        """The engine of a case, built where none is kept of its network that serves its sizes."""
        key, sizes = network_hash(case), (case.batch_size, case.num_steps)
        kept = self._kept.pop(key, None)
        if kept is None or not self._serves(kept[0], sizes):
            kept = sizes, Engine(self._trt, self._plan_of(case, self._trt, self._tf32), self._cuda)
        self._kept[key] = kept
        if len(self._kept) > KEPT_ENGINES:
            self._kept.popitem(last=False)
        return kept[1]

    def _serves(self, built: Sizes, wanted: Sizes) -> bool:
        return built == wanted or (self._resizable and built[0] >= wanted[0] and built[1] >= wanted[1])


def tensorrt() -> OnGpu:
    """TensorRT, in float32."""
    return OnGpu("tensorrt", "tensorrt")


def tensorrt_tf32() -> OnGpu:
    """TensorRT as it is by default: products of float32 in TF32."""
    return OnGpu("tensorrt-tf32", "tensorrt", tf32=True)


def tensorrt_rtx() -> OnGpu:
    """TensorRT-RTX, in float32."""
    return OnGpu("tensorrt-rtx", "tensorrt_rtx")


def tensorrt_rtx_tf32() -> OnGpu:
    """TensorRT-RTX as it is by default: products of float32 in TF32."""
    return OnGpu("tensorrt-rtx-tf32", "tensorrt_rtx", tf32=True)


def first_gpu(backend: str, version: str) -> tuple[Cuda, str]:
    """The calls to the first GPU, and what it is; :class:`backends.BackendError` where there is none."""
    try:
        runtime, bindings = cuda_python()
    except ImportError as error:
        raise BackendError(f"backend {backend!r} has {version}, but needs cuda-python: {error}") from error
    cuda, found = Cuda(runtime), f"{version} and cuda-python {bindings}"
    try:
        count = cuda("cudaGetDeviceCount")
        if not count:
            raise BackendError(f"backend {backend!r} needs a GPU, and {found} find none")
        properties, driver = cuda("cudaGetDeviceProperties", 0), cuda("cudaDriverGetVersion")
    except ExecutionError as error:
        raise BackendError(f"backend {backend!r} needs a GPU, and {found} find none: {error}") from error
    capability = f"compute capability {properties.major}.{properties.minor}"
    return cuda, f"{properties.name.decode()} of {capability}, CUDA driver {driver // 1000}.{driver % 1000 // 10}"


def cuda_python() -> tuple[Any, str]:
    """The bindings of the CUDA runtime, and their version."""
    bindings = importlib.import_module("cuda.bindings")
    return importlib.import_module("cuda.bindings.runtime"), str(bindings.__version__)


def network_hash(case: Case) -> str:
    """A digest of all that goes into the network of a case: not of its inputs, nor of their sizes."""
    digest = hashlib.sha256(repr((case.layer, case.lengths is None, case.h_0 is None)).encode())
    for name, array in arrays_of_case(case).items():
        if name.startswith("weights."):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
