"""Any backend in a process of its own, also under another interpreter: ``isolated:SPEC@PYTHON``.

``SPEC`` is what :func:`backends.load` accepts. ``PYTHON`` is the path of an interpreter or, where it has no slash, the
name of a tox environment, whose interpreter is ``.tox/NAME/bin/python``; without ``@PYTHON`` it is this interpreter.
The other one may have another Python and another numpy, of those that the project runs on. On its path are this
project, the current directory and PYTHONPATH.

The backend is judged there as it would be here:

- Arrays travel as the memory that they lie in, gaps included, and arrive as views of the same strides. What a run
  writes into them is written into the caller's, and what a later run writes into an earlier result is written there.
  Only this is lost: arrays that overlap arrive apart, and the backend does not see what the caller writes after a run.
- What the backend raises is raised here under the same name, with the same message, and from the same lines of its
  files.
- What it returns that is no array reads the same here, by its type's name and its ``repr``.

A crash, an exit, a hang, and garbage in place of an answer are results of the case: :class:`ProcessFailure` says what
happened and what the process printed last. What it prints cannot get between cases and results, which travel on a line
of their own. The next case gets a new process, which remembers nothing.

The environment may set two limits in seconds: ``TOUCHSTONE_CASE_SECONDS`` for a case, and ``TOUCHSTONE_START_SECONDS``
for the import and the making of the backend. All this needs POSIX.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
import weakref
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from textwrap import indent
from types import TracebackType
from typing import Any, BinaryIO, NoReturn

import numpy as np

from backends import Backend, BackendError, Capabilities, describe, load
from reference import Array, Case, Cell, Direction, Result
from reference.case_file import arrays_of_case, case_from_arrays, decode, encode, layer_from_json, layer_to_json

CASE_LIMIT, CASE_SECONDS = "TOUCHSTONE_CASE_SECONDS", 30.0
"""How long a case may take: what the variable of the environment says, or else these seconds."""

START_LIMIT, START_SECONDS = "TOUCHSTONE_START_SECONDS", 120.0
"""How long the import and the making of a backend may take."""

ROOT = Path(__file__).resolve().parent.parent

TOX = ROOT / ".tox"

LOG_BYTES, LOG_LINES = 4096, 20
"""How much of what a process prints is kept, and told."""

MARK = b"RNN>"

HEAD = struct.Struct("<4sIQ")
"""What every message opens with: :data:`MARK`, and the CRC-32 and the length of its content."""


class ProcessFailure(Exception):
    """The process of a backend gave no result: what it did instead, and what it printed last."""

    def __init__(self, what: str, log: str) -> None:
        printed = f"; it printed last:\n{indent(log, '    ')}" if log else ", and printed nothing"
        super().__init__(f"the process of the backend {what}{printed}")
        self.what, self.log = what, log


class Isolated:
    """The backend that ``SPEC@PYTHON`` names (see the module), under its own name."""

    def __init__(self, chosen: str) -> None:
        self._chosen = f"isolated:{chosen}"
        self._spec, at, python = chosen.partition("@")
        if os.name != "posix":
            raise BackendError(f"backend {self._chosen!r} cannot be had on {sys.platform}, because it needs POSIX")
        if not self._spec or (at and not python):
            raise BackendError(f"backend {self._chosen!r} should be of the form isolated:SPEC or isolated:SPEC@PYTHON")
        self._python = _interpreter(self._chosen, python) if at else sys.executable
        self.case_seconds = _limit(CASE_LIMIT, CASE_SECONDS)
        self.start_seconds = _limit(START_LIMIT, START_SECONDS)
        self._runs = 0
        # The memory of the earlier results that the caller still has, by the number of the run.
        self._results: weakref.WeakValueDictionary[int, Array] = weakref.WeakValueDictionary()
        self._process: Process | None = None
        hello = self._start()
        self.name: str = hello["name"]
        self.description = f"{hello['description']}, in Python {hello['python']} of {self._python}".removeprefix(", ")
        self.capabilities = capabilities_from_json(hello["capabilities"])

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`; raises :class:`ProcessFailure` where the process gives no result."""
        if self._process is None or self._process.owner != os.getpid():  # a fork has no part in the line of its parent
            self._start()
        assert self._process is not None
        self._runs += 1
        inputs = arrays_of_case(case)
        header = {
            "run": self._runs,
            "layer": layer_to_json(case.layer),
            "inputs": layouts_of(inputs),
            "results": list(self._results),
        }
        request = encode({"inputs": pack(inputs)}, header)
        try:
            answer = self._process.exchange(request, self.case_seconds, CASE_LIMIT)
        except BaseException:
            self.close()
            raise
        return self._received(inputs, *decode(answer))

    def close(self) -> None:
        """End the process; the next case starts another."""
        self._results.clear()
        if self._process is not None:
            self._process.end()
            self._process = None

    def _start(self) -> dict[str, Any]:
        """Start a process; how it introduces itself."""
        self.close()
        try:
            self._process = Process(self._python, self._spec)
            _, hello = decode(self._process.exchange(b"", self.start_seconds, START_LIMIT))
        except OSError as error:
            raise self._missing(f"because {self._python} cannot be run: {error.strerror}") from error
        except ProcessFailure as failure:
            self.close()
            # An interpreter that ends by itself says why in its last line; the stack of a crash is left to the cause.
            said = "".join(f": {line}" for line in failure.log.splitlines()[-1:] if "exit status" in failure.what)
            raise self._missing(f"because {self._python} {failure.what} before it was ready{said}") from failure
        except BaseException:
            self.close()
            raise
        if "refused" in hello:
            self.close()
            raise self._missing(f"because {self._python} says: {hello['refused']}")
        return hello

    def _missing(self, reason: str) -> BackendError:
        return BackendError(f"backend {self._chosen!r} cannot be had, {reason}")

    def _received(self, inputs: Mapping[str, Array], memory: Mapping[str, Array], answer: dict[str, Any]) -> Result:
        """Do here what an answer says: write what the run has written, and return or raise as it did."""
        if "inputs" in memory:
            write_back(inputs, memory["inputs"])
        for number in map(int, memory.keys() - {"inputs", "outputs"}):
            if (earlier := self._results.get(number)) is not None:
                earlier[:] = memory[str(number)]
        if "raised" in answer:
            raise _raised(answer["raised"])
        if "returned" in answer:
            return _stand_in(answer["returned"])  # type: ignore[no-any-return]
        # A copy owns its memory, which then lives as long as any view of any output.
        outputs = self._results[self._runs] = memory["outputs"].copy()
        others = {name: _stand_in(told) for name, told in answer["others"].items()}
        return Result(**unpack(outputs, answer["outputs"]), **others)


def _interpreter(chosen: str, python: str) -> str:
    """The path of the interpreter that ``python`` names."""
    if os.sep in python:
        path, hint = Path(os.path.abspath(os.path.expanduser(python))), ""
    else:
        path = TOX / python / "bin" / "python"
        hint = f"; `tox run --notest -e {python}` makes that environment, and the path of an interpreter has a slash"
    if not path.is_file():
        raise BackendError(f"backend {chosen!r} cannot be had, because there is no {path}{hint}")
    return str(path)


def _limit(variable: str, default: float) -> float:
    """The seconds that a variable of the environment sets."""
    text = os.environ.get(variable, str(default))
    with contextlib.suppress(ValueError):
        if float(text) > 0:
            return float(text)
    raise BackendError(f"{variable} is {text!r}, but should be a number of seconds above 0")


# This side of the line


class Process:
    """An interpreter that serves one backend."""

    def __init__(self, python: str, spec: str) -> None:
        self.owner = os.getpid()
        here = os.getcwd()
        path = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        self._line, theirs = socket.socketpair()
        with theirs:
            try:
                self._popen = subprocess.Popen(
                    [python, "-u", "-X", "faulthandler", "-m", "backends.isolated", spec, str(theirs.fileno()), here],
                    bufsize=0,
                    cwd=ROOT,  # where -m looks first; the process itself goes on to the current directory
                    env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), here, *map(os.path.abspath, path)])},
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # so that what it starts itself can be ended with it
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            except BaseException:
                self._line.close()
                raise
        assert self._popen.stdout is not None
        self._printed, self._log = self._popen.stdout, b""
        self._line.setblocking(False)
        os.set_blocking(self._printed.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self._printed, select.POLLIN)
        self.end = weakref.finalize(self, _end, self._popen, self._line, self.owner)
        """End the process; done in any case when this object is forgotten, and when the interpreter ends."""

    def exchange(self, content: bytes, seconds: float, limit: str) -> bytes:
        """Send ``content``, unless it is empty, and wait for the content of the answer.

        Raises :class:`ProcessFailure` where none comes, or none within ``seconds``, as the variable ``limit`` says.
        """
        deadline = time.monotonic() + seconds
        unsent, received = memoryview(frame(content) if content else b""), bytearray()
        wanted = HEAD.size
        while len(received) < wanted:
            if time.monotonic() > deadline:
                self._fail_where_it_is(f"took longer than the {seconds:g} s that {limit} allows")
            # Asked first: what a process sends before it ends can still be read afterwards.
            ended = self._popen.poll() is not None
            self._wait(min(0.1, deadline - time.monotonic()), writing=len(unsent) > 0)
            try:
                unsent = self._send(unsent)
                piece = self._receive()
            except OSError:  # reset by a process that ended before it had read everything
                piece = b""
            if piece == b"" or (piece is None and ended):
                self._fail(self._ending())
            received += piece or b""
            if wanted == HEAD.size <= len(received) and received.startswith(MARK):
                wanted += HEAD.unpack_from(received)[2]
        answer = content_of(bytes(received))
        if answer is None:
            self._fail(f"sent garbage in place of an answer, {bytes(received[:40])!r}")
        return answer

    def _wait(self, seconds: float, writing: bool) -> None:
        """Wait until something can be received, or sent if so asked, and take in what is printed."""
        self._poll.register(self._line, select.POLLIN | (select.POLLOUT if writing else 0))
        for descriptor, _ in self._poll.poll(max(0.0, 1e3 * seconds)):
            if descriptor == self._printed.fileno() and self._take_in() == b"":
                self._poll.unregister(self._printed)

    def _send(self, unsent: memoryview) -> memoryview:
        """Send what can be sent at once; what is left."""
        with contextlib.suppress(BlockingIOError):
            return unsent[self._line.send(unsent) :] if unsent else unsent
        return unsent

    def _receive(self) -> bytes | None:
        """What has come; None if nothing has, no bytes if nothing will."""
        with contextlib.suppress(BlockingIOError):
            return self._line.recv(2**20)
        return None

    def _take_in(self) -> bytes | None:
        """What has been printed; None if nothing has, no bytes if nothing will be."""
        printed = self._printed.read(2**16)
        self._log = (self._log + (printed or b""))[-LOG_BYTES:]
        return printed

    def _ending(self) -> str:
        """How the process ended, in words."""
        status = self._popen.wait()
        if status >= 0:
            return f"ended with exit status {status}"
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        return f"was killed by {name}" + (", as the system does when memory runs out" if name == "SIGKILL" else "")

    def _fail_where_it_is(self, what: str) -> NoReturn:
        """Fail after a moment in which faulthandler, told by SIGABRT, prints where the process is."""
        self._popen.send_signal(signal.SIGABRT)
        until = time.monotonic() + 3
        while self._popen.poll() is None and time.monotonic() < until:
            self._take_in()
            time.sleep(0.01)
        self._fail(what)

    def _fail(self, what: str) -> NoReturn:
        _kill(self._popen)
        for _ in range(16):  # enough for what a pipe holds, and an end where a stray process prints without one
            self._take_in()
        lines = [line[:200] for line in self._log.decode(errors="replace").splitlines() if line.strip()]
        raise ProcessFailure(what, "\n".join(lines[-LOG_LINES:]))


def _end(popen: subprocess.Popen[bytes], line: socket.socket, owner: int) -> None:
    """Leave no process, no zombie and no open file behind; a fork of the owner only closes its files."""
    line.close()
    if os.getpid() == owner:
        _kill(popen)
    assert popen.stdout is not None
    popen.stdout.close()


def _kill(popen: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()


# The other side of the line


def serve(spec: str, line: socket.socket) -> None:
    """Load the backend ``spec``, and run what comes on ``line`` until its other end is closed."""
    _thread.start_new_thread(_end_with, (line,))  # which takes one line of the stacks that faulthandler prints
    try:
        backend = load(spec)
    except BackendError as error:
        line.sendall(frame(encode({}, {"refused": str(error)})))
        return
    hello = {
        "name": backend.name,
        "description": describe(backend),
        "capabilities": capabilities_to_json(backend.capabilities),
        "python": platform.python_version(),
    }
    line.sendall(frame(encode({}, hello)))
    requests, results = line.makefile("rb"), Results()
    while (content := _next(requests)) is not None:
        line.sendall(frame(_answer(backend, results, *decode(content))))


def _end_with(line: socket.socket) -> None:
    """End this process, and what it has started, when the other end is closed, also in the middle of a run.

    Waiting for that also keeps this end open until the process has ended, whatever it does last.
    """
    poll = select.poll()
    poll.register(line, 0)  # for nothing but the hang-up, which is always told
    poll.poll()
    os.killpg(os.getpid(), signal.SIGKILL)


def _next(requests: BinaryIO) -> bytes | None:
    """The content of the next message; None where there is none."""
    head = requests.read(HEAD.size)
    return content_of(head + requests.read(HEAD.unpack(head)[2])) if len(head) == HEAD.size else None


class Results:
    """The results that the caller still has, which are kept here too: a later run may write into their arrays."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Mapping[str, Array], Array]] = {}

    def keep(self, number: int, outputs: Mapping[str, Array], memory: Array) -> None:
        """Keep the outputs of a run, whose packed memory the caller has got."""
        self._kept[number] = outputs, memory

    def forget_all_but(self, numbers: list[int]) -> None:
        """Forget what the caller has forgotten."""
        self._kept = {number: self._kept[number] for number in numbers}

    def changed(self) -> dict[str, Array]:
        """The memory of those that are no longer what the caller has got, by number."""
        found = {}
        for number, (outputs, known) in self._kept.items():
            now = pack(outputs)
            if not np.array_equal(now, known):
                found[str(number)] = now
                self.keep(number, outputs, now)
        return found


def _answer(backend: Backend, results: Results, arrays: Mapping[str, Array], request: dict[str, Any]) -> bytes:
    """Run one case: what came of it, and all memory that is not what the caller knows it to be."""
    results.forget_all_but(request["results"])
    case = case_from_arrays(layer_from_json(request["layer"]), unpack(arrays["inputs"].copy(), request["inputs"]))
    outputs: dict[str, Array] = {}
    memory: dict[str, Array] = {}
    try:
        answer, outputs = _outcome(backend.run(case))
        answer["outputs"] = layouts_of(outputs)
        memory["outputs"] = pack(outputs)
    except Exception as error:
        answer = {"raised": _told_error(error)}
    memory |= results.changed()
    inputs = pack(arrays_of_case(case))
    if not np.array_equal(inputs, arrays["inputs"]):
        memory["inputs"] = inputs
    if "outputs" in memory:
        results.keep(request["run"], outputs, memory["outputs"])
    return encode(memory, answer)


def _outcome(result: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """What a backend has returned: what is said of it, and its arrays."""
    if not isinstance(result, Result):
        return {"returned": _told(result)}, {}
    values = {field.name: getattr(result, field.name) for field in fields(Result)}
    arrays = {name: np.asarray(value) for name, value in values.items() if isinstance(value, np.ndarray)}
    return {"others": {name: _told(value) for name, value in values.items() if name not in arrays}}, arrays


# What travels on it


def frame(content: bytes) -> bytes:
    """A message."""
    return HEAD.pack(MARK, zlib.crc32(content), len(content)) + content


def content_of(message: bytes) -> bytes | None:
    """The content of a message; None if it is garbage."""
    content = message[HEAD.size :]
    return content if HEAD.unpack_from(message) == (MARK, zlib.crc32(content), len(content)) else None


def pack(arrays: Mapping[str, Array]) -> Array:
    """The memory that arrays lie in, in one piece, as read-only uint8."""
    padded = [memory.tobytes().ljust(_aligned(memory.size), b"\0") for _, memory, _ in _places(arrays)]
    return np.frombuffer(b"".join(padded), np.uint8)


def layouts_of(arrays: Mapping[str, Array]) -> dict[str, list[Any]]:
    """What is needed to :func:`unpack` them. Raises ``TypeError`` for arrays of objects and of records."""
    for name, array in arrays.items():
        if array.dtype.hasobject or array.dtype.fields:
            raise TypeError(f"{name} has dtype {array.dtype}, but should have one that can be sent to another process")
    layouts = {}
    for name, _, start in _places(arrays):
        array = arrays[name]
        dtype = array.dtype.name if array.dtype.kind == "V" else array.dtype.str
        first = start - sum((n - 1) * stride for n, stride in zip(array.shape, array.strides) if stride < 0)
        layouts[name] = [dtype, array.shape, array.strides, first, array.flags.writeable]
    return layouts


def unpack(packed: Array, layouts: Mapping[str, list[Any]]) -> dict[str, Array]:
    """The arrays as they were, but as views of ``packed``."""
    arrays = {}
    for name, (dtype, shape, strides, first, writeable) in layouts.items():
        arrays[name] = np.ndarray(shape, _dtype(dtype), packed, first, strides)
        arrays[name].flags.writeable = writeable
    return arrays


def write_back(arrays: Mapping[str, Array], packed: Array) -> None:
    """Write into the memory of arrays what it has become in ``packed``."""
    for name, memory, start in _places(arrays):
        new = packed[start : start + memory.size]
        if not np.array_equal(memory, new):
            if not memory.flags.writeable:
                raise ValueError(f"{name} is read-only, but the backend wrote to it")
            memory[:] = new


def _places(arrays: Mapping[str, Array]) -> Iterator[tuple[str, Array, int]]:
    """Each array's name, its memory, and where that starts when packed."""
    start = 0
    for name, array in arrays.items():
        memory = memory_of(array)
        yield name, memory, start
        start += _aligned(memory.size)


def _aligned(size: int) -> int:
    """The next size that serves every dtype and vector unit."""
    return -(-size // 64) * 64


def memory_of(array: Array) -> Array:
    """All bytes from the first to the last of ``array``, those between its elements too, as a view of uint8."""
    if array.flags.c_contiguous:
        return array.reshape(-1).view(np.uint8)
    upwards = array[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in array.strides)]
    size = array.itemsize + sum((n - 1) * stride for n, stride in zip(upwards.shape, upwards.strides))
    first = upwards[(slice(1),) * array.ndim].reshape(1).view(np.uint8)
    return np.lib.stride_tricks.as_strided(first, (size,), (1,))


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # only where such an array is read

        extension: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return extension


def capabilities_to_json(capabilities: Capabilities) -> dict[str, Any]:
    """The fields of ``capabilities``, of types that JSON has."""
    claimed = {field.name: getattr(capabilities, field.name) for field in fields(capabilities)}
    return {**claimed, "arithmetic": dict(capabilities.arithmetic)}


def capabilities_from_json(claimed: Mapping[str, Any]) -> Capabilities:
    """The inverse of :func:`capabilities_to_json`."""
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in claimed.items()
    }
    given["cells"], given["directions"] = tuple(map(Cell, given["cells"])), tuple(map(Direction, given["directions"]))
    return Capabilities(**given)


def _told(value: Any) -> dict[str, str]:
    """What a reader would see of something that is no array."""
    return {"type": type(value).__name__, "repr": repr(value)[:200]}


def _stand_in(told: Mapping[str, str]) -> Any:
    """Something that reads as was told."""
    if told["type"] == "NoneType":
        return None
    return type(told["type"], (), {"__repr__": lambda self: told["repr"]})()


def _told_error(error: Exception) -> dict[str, Any]:
    """What a reader would see of an exception that :func:`_answer` has caught."""
    kind = type(error)
    frames = list(traceback.walk_tb(error.__traceback__))[1:][-20:]
    places = [(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in frames]
    return {"module": kind.__module__, "type": kind.__qualname__, "message": str(error), "places": places}


def _raised(told: Mapping[str, Any]) -> Exception:
    """An exception that reads as was told, with its traceback."""
    traced: TracebackType | None = None
    for file, line, name in reversed(told["places"]):
        here = {"sys": sys}
        exec(compile("frame = sys._getframe()", file, "exec").replace(co_name=name), here)
        traced = TracebackType(traced, here["frame"], -1, line)  # type: ignore[arg-type]
    kind = type(told["type"], (Exception,), {"__module__": told["module"]})
    error: Exception = kind(told["message"]).with_traceback(traced)
    return error


if __name__ == "__main__":
    _, spec, descriptor, directory = sys.argv
    os.chdir(directory)
    os.set_inheritable(int(descriptor), False)
    serve(spec, socket.socket(fileno=int(descriptor)))
