"""What of the runtime can be tested without a GPU: that nothing leaks, whatever fails, and what it says without one."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends import BackendError, load
from backends.tensor_rt import api, runtime
from backends.tensor_rt.compiling import compiled
from backends.tensor_rt.network import CAPABILITIES, network_of
from backends.tensor_rt.runtime import Cuda, Engine, ExecutionError, OnGpu, extents, network_hash
from reference import Cell, Direction, Layer
from tests.some_case import some_case

LSTM = Layer(cell=Cell.LSTM, input_size=3, hidden_size=2, direction=Direction.BIDIRECTIONAL)
CASE = some_case(LSTM, lengths=[4, 1, 0, 5]).astype(np.float32)


class Code(int):
    """An error code of CUDA."""

    name = "cudaErrorSomething"


class Device:
    """A stand-in for ``cuda.bindings.runtime``: host memory, a list of what is alive, and one call that may fail."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.calls: list[str] = []
        self.memory: dict[int, Any] = {}
        self.streams: set[int] = set()
        self.devices = 1

    def _code(self, name: str) -> Code:
        self.calls.append(name)
        return Code(2 if len(self.calls) - 1 == self.fails_at else 0)

    def cudaGetErrorString(self, error: Code) -> tuple[Code, bytes]:
        return Code(0), b"something is wrong"

    def cudaStreamCreate(self) -> tuple[Code, int | None]:
        if code := self._code("cudaStreamCreate"):
            return code, None
        stream = 70 + len(self.calls)
        self.streams.add(stream)
        return code, stream

    def cudaStreamSynchronize(self, stream: int) -> tuple[Code]:
        assert stream in self.streams
        return (self._code("cudaStreamSynchronize"),)

    def cudaStreamDestroy(self, stream: int) -> tuple[Code]:
        self.streams.remove(stream)
        return (self._code("cudaStreamDestroy"),)

    def cudaMallocAsync(self, size: int, stream: int) -> tuple[Code, int | None]:
        assert stream in self.streams and size > 0
        if code := self._code("cudaMallocAsync"):
            return code, None
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return code, ctypes.addressof(block)

    def cudaFreeAsync(self, address: int, stream: int) -> tuple[Code]:
        assert stream in self.streams
        del self.memory[address]
        return (self._code("cudaFreeAsync"),)

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> tuple[Code]:
        assert stream in self.streams
        on_device = to if kind == self.cudaMemcpyKind.cudaMemcpyHostToDevice else source
        assert len(self.memory[on_device]) == size
        if not (code := self._code("cudaMemcpyAsync")):
            ctypes.memmove(to, source, size)
        return (code,)

    def cudaGetDeviceCount(self) -> tuple[Code, int]:
        return self._code("cudaGetDeviceCount"), self.devices

    def cudaGetDeviceProperties(self, device: int) -> tuple[Code, Any]:
        return self._code("cudaGetDeviceProperties"), SimpleNamespace(name=b"Some GPU", major=8, minor=9)

    def cudaDriverGetVersion(self) -> tuple[Code, int]:
        return self._code("cudaDriverGetVersion"), 13020


class DataType(Enum):
    """A stand-in for TensorRT's own."""

    FLOAT = 0


class Doubling:
    """A stand-in for an engine and its context, with an input x and an output y = 2 x, both float32."""

    def __init__(self, device: Device, refuses: str = "") -> None:
        self.device, self.refuses = device, refuses
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()
        self.num_io_tensors = 2

    def get_tensor_name(self, index: int) -> str:
        return "xy"[index]

    def get_tensor_mode(self, name: str) -> str:
        return {"x": "in", "y": "out"}[name]

    def get_tensor_dtype(self, name: str) -> Any:
        return DataType.FLOAT

    def create_execution_context(self) -> Doubling | None:
        return None if self.refuses == "create_execution_context" else self

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return self.refuses != "set_input_shape"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return self.refuses != "set_tensor_address"

    def execute_async_v3(self, stream: int) -> bool:
        assert stream in self.device.streams
        x, y = (self.device.memory[self.addresses[name]] for name in "xy")
        doubled = 2 * np.frombuffer(x, np.float32, int(np.prod(self.shape)))
        ctypes.memmove(y, doubled.tobytes(), doubled.nbytes)
        return self.refuses != "execute_async_v3"


def stand_in(device: Device, refuses: str = "") -> Any:
    """A stand-in for a TensorRT module whose every engine is a :class:`Doubling`."""

    class ILogger:
        pass

    def deserialize(plan: bytes) -> Doubling | None:
        return None if refuses == "deserialize_cuda_engine" else Doubling(device, refuses)

    return SimpleNamespace(
        __name__="tensorrt_stand_in",
        __version__="1.2.3",
        ILogger=ILogger,
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=deserialize),
        TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"),
    )


@pytest.fixture(autouse=True)
def stand_ins_have_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SimpleNamespace has no hash, so that its messages cannot be kept."""
    monkeypatch.setattr(api, "messages_of", api.Messages)


def engine_on(device: Device, refuses: str = "") -> Engine:
    return Engine(stand_in(device, refuses), b"plan", Cuda(device))


X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_run_copies_in_computes_and_copies_out() -> None:
    """In the order of one stream, which is done before the result is looked at."""
    device = Device()
    result = engine_on(device).run({"x": X})
    np.testing.assert_array_equal(result["y"], 2 * X)
    assert device.calls == [
        *("cudaStreamCreate", "cudaMallocAsync", "cudaMemcpyAsync", "cudaMallocAsync", "cudaMemcpyAsync"),
        *("cudaStreamSynchronize", "cudaFreeAsync", "cudaFreeAsync", "cudaStreamSynchronize", "cudaStreamDestroy"),
    ]
    assert not device.memory and not device.streams


def test_views_are_made_contiguous() -> None:
    """What CUDA copies is one block of memory."""
    np.testing.assert_array_equal(engine_on(Device()).run({"x": X.T[::-1]})["y"], 2 * X.T[::-1])


@pytest.mark.parametrize("fails_at", range(10))
def test_nothing_is_left_whichever_call_fails(fails_at: int) -> None:
    """Every allocation and the stream are freed, and the error names the call and what CUDA says of it."""
    device = Device(fails_at)
    with pytest.raises(
        ExecutionError, match=r"^cuda\w+ failed with cudaErrorSomething \(something is wrong\)$"
    ) as caught:
        engine_on(device).run({"x": X})
    assert str(caught.value).startswith(device.calls[fails_at])
    assert not device.memory and not device.streams


@pytest.mark.parametrize("refuses", ["set_input_shape", "set_tensor_address", "execute_async_v3"])
def test_nothing_is_left_when_tensorrt_refuses(refuses: str) -> None:
    """A call that returns False is an exception that names it."""
    device = Device()
    with pytest.raises(ExecutionError, match=rf"^tensorrt_stand_in 1\.2\.3: {refuses}\(.*\) failed: no message$"):
        engine_on(device, refuses).run({"x": X})
    assert not device.memory and not device.streams


@pytest.mark.parametrize("refuses", ["deserialize_cuda_engine", "create_execution_context"])
def test_an_engine_that_tensorrt_does_not_read_is_an_error(refuses: str) -> None:
    """None is never taken for an engine or a context."""
    with pytest.raises(ExecutionError, match=r"^tensorrt_stand_in 1\.2\.3: no message$"):
        engine_on(Device(), refuses)


def test_an_input_of_another_type_is_refused_before_anything_is_copied() -> None:
    """TensorRT would read its bytes as numbers of its own type."""
    device = Device()
    with pytest.raises(TypeError, match=r"^x has dtype float64, but should have dtype float32$"):
        engine_on(device).run({"x": X.astype(np.float64)})
    assert "cudaMallocAsync" not in device.calls
    assert not device.streams


# ---- engines are kept


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> OnGpu:
    """A backend that builds no networks, and whose engines are only told apart."""
    monkeypatch.setattr(api, "tensorrt", lambda name: stand_in(Device()))
    monkeypatch.setattr(runtime, "first_gpu", lambda backend, version: (Cuda(Device()), "a stand-in"))
    monkeypatch.setattr(runtime, "Engine", lambda trt, plan, cuda: object())
    return OnGpu("tensorrt", "tensorrt", plan_of=lambda case, trt, tf32: b"a plan")


def test_an_engine_is_built_once_for_a_network(gpu: OnGpu) -> None:
    """Other inputs of no larger sizes run on the same one; larger ones need another."""
    engine = gpu.engine_of(CASE)
    smaller = replace(CASE, x=-CASE.x[:, :3], lengths=[3, 3, 3, 3])
    assert gpu.engine_of(smaller) is engine
    larger = replace(CASE, x=np.concatenate([CASE.x, CASE.x], axis=1))
    assert gpu.engine_of(larger) is not engine
    assert gpu.engine_of(CASE) is gpu.engine_of(larger)


def test_an_engine_of_fixed_sizes_serves_only_these(gpu: OnGpu) -> None:
    """That of an RNNv2 layer."""
    fixed = OnGpu("tensorrt-rnnv2", "tensorrt", plan_of=lambda case, trt, tf32: b"a plan", resizable=False)
    engine = fixed.engine_of(CASE)
    assert fixed.engine_of(replace(CASE, x=-CASE.x)) is engine
    assert fixed.engine_of(replace(CASE, x=CASE.x[:, :3], lengths=[3, 3, 3, 3])) is not engine


def test_the_engine_not_used_for_longest_goes_first(gpu: OnGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the memory of a GPU is not filled by a search through thousands of networks."""
    monkeypatch.setattr(runtime, "KEPT_ENGINES", 2)
    a, b, c = (some_case(LSTM, seed=seed) for seed in range(3))
    first, second = gpu.engine_of(a), gpu.engine_of(b)
    assert gpu.engine_of(a) is first
    gpu.engine_of(c)
    assert gpu.engine_of(a) is first
    assert gpu.engine_of(b) is not second


@pytest.mark.parametrize(
    "change",
    [
        lambda case: replace(case, weights=(replace(case.weights[0], b_hh=-case.weights[0].b_hh), case.weights[1])),
        lambda case: replace(case, weights=case.weights[::-1]),
        lambda case: replace(case, lengths=None),
        lambda case: replace(case, h_0=None, c_0=None),
        lambda case: case.astype(np.float16),
    ],
    ids=["a bias", "the directions", "lengths", "states", "the type"],
)
def test_the_hash_of_a_network_is_of_all_that_it_is_made_of(change: Callable[[Any], Any]) -> None:
    """Two networks that differ have different engines."""
    assert network_hash(change(CASE)) != network_hash(CASE)


def test_the_hash_of_a_network_is_not_of_its_inputs() -> None:
    """Values and sizes of inputs belong to a run."""
    assert CASE.h_0 is not None and CASE.c_0 is not None
    other = replace(CASE, x=CASE.x[:2, :3], h_0=-CASE.h_0[:, :2], c_0=CASE.c_0[:, :2], lengths=[1, 3])
    assert network_hash(other) == network_hash(CASE)


def test_the_profile_reaches_from_one_to_the_sizes_of_the_case() -> None:
    """For every input that the network has."""
    assert extents(CASE) == {
        "x": ((1, 1, 3), (4, 5, 3), (4, 5, 3)),
        "h_0": ((2, 1, 2), (2, 4, 2), (2, 4, 2)),
        "c_0": ((2, 1, 2), (2, 4, 2), (2, 4, 2)),
        "lengths": ((1,), (4,), (4,)),
    }


# ---- what is claimed, and what is said without a GPU


def test_tf32_is_claimed_where_it_is_on(gpu: OnGpu) -> None:
    """The arithmetic of float32 is the only difference."""
    assert gpu.capabilities == CAPABILITIES
    tf32 = OnGpu("tensorrt-tf32", "tensorrt", tf32=True)
    assert tf32.capabilities.arithmetic_of("float32") == "tf32"
    assert tf32.capabilities.arithmetic_of("float16") == CAPABILITIES.arithmetic_of("float16")


NAMES = {"tensorrt": False, "tensorrt_tf32": True, "tensorrt_rtx": False, "tensorrt_rtx_tf32": True}


@pytest.mark.parametrize("function", NAMES)
def test_each_backend_has_its_name_its_module_and_its_tf32(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the function with hyphens."""
    monkeypatch.setattr(runtime, "OnGpu", lambda name, module, tf32=False: (name, module, tf32))
    made = getattr(runtime, function)()
    assert made == (function.replace("_", "-"), function.removesuffix("_tf32"), NAMES[function])


def test_a_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, its compute capability and the driver."""
    monkeypatch.setattr(runtime, "cuda_python", lambda: (Device(), "13.0"))
    _, description = runtime.first_gpu("tensorrt", "tensorrt 1.2.3")
    assert description == "Some GPU of compute capability 8.9, CUDA driver 13.2"


def test_a_machine_without_a_gpu_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the versions that were found; CUDA may count none, or fail to count."""
    none = Device()
    none.devices = 0
    monkeypatch.setattr(runtime, "cuda_python", lambda: (none, "13.0"))
    message = "^backend 'tensorrt' needs a GPU, and tensorrt 1.2.3 and cuda-python 13.0 find none$"
    with pytest.raises(BackendError, match=message):
        runtime.first_gpu("tensorrt", "tensorrt 1.2.3")
    monkeypatch.setattr(runtime, "cuda_python", lambda: (Device(0), "13.0"))
    with pytest.raises(BackendError, match=r"find none: cudaGetDeviceCount failed with cudaErrorSomething \("):
        runtime.first_gpu("tensorrt", "tensorrt 1.2.3")


def test_a_machine_without_cuda_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT alone allocates nothing."""
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(BackendError, match=r"^backend 'tensorrt' has tensorrt 1\.2\.3, but needs cuda-python: "):
        runtime.first_gpu("tensorrt", "tensorrt 1.2.3")


@pytest.mark.parametrize("function", NAMES)
def test_the_backends_load_or_say_why_not(function: str) -> None:
    """On the machine of this test, whatever it has: a backend, or one line that somebody thought of."""
    try:
        said = load(f"backends.tensor_rt.runtime:{function}").name
    except BackendError as error:
        said = str(error)
    assert "\n" not in said
    assert "cannot be made" not in said


def test_a_machine_without_a_gpu_does_not_read_an_engine() -> None:
    """TensorRT-RTX builds without a driver and reads only with one; it says so."""
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    cuda = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
    if int(cuda.cudaGetDeviceCount()[0]) == 0:
        pytest.skip("there is a GPU here")
    plan = compiled(network_of(CASE, trt), extents(CASE))
    with pytest.raises(ExecutionError, match=r"^tensorrt_rtx [\d.]+: .*cudaError"):
        Engine(trt, plan, Cuda(cuda))
