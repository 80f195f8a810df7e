"""Backends that crash, hang, print, and return what is no result; for the tests of a process of their own.

Each misbehaves in every run without initial states, and gives what the reference gives in the others.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from backends import Capabilities
from reference import Case, Result, run
from reference.case_file import arrays_of_case


class Unruly:
    """A backend that is called as the function is which says what it does in place of returning a result."""

    capabilities = Capabilities()

    def __init__(self, misbehave: Callable[[Case], Any]) -> None:
        self.name = misbehave.__name__
        self._misbehave = misbehave

    def run(self, case: Case) -> Result:
        return run(case) if case.h_0 is not None else self._misbehave(case)


# Ending


@Unruly
def segfaults(case: Case) -> None:
    print("reading address 0")
    ctypes.string_at(0)


@Unruly
def exits(case: Case) -> None:
    os._exit(3)


@Unruly
def leaves(case: Case) -> None:
    sys.exit("there is no licence")


@Unruly
def leaves_talking(case: Case) -> None:
    """More than a pipe holds."""
    atexit.register(os.write, 2, b"goodbye\n" * 20_000)
    sys.exit(6)


@Unruly
def leaves_forever(case: Case) -> None:
    """As a framework whose destructors hang: after Python itself has ended."""
    libc = ctypes.CDLL(None)
    libc.__cxa_atexit(libc.sleep, ctypes.c_void_p(3600), None)
    sys.exit()


@Unruly
def aborts(case: Case) -> None:
    os.abort()


@Unruly
def is_killed(case: Case) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@Unruly
def leaves_a_helper(case: Case) -> None:
    """Which has all files open that the process had."""
    with open(os.environ["HELD_FILE"], "wb"):
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(4)


def segfaults_when_made() -> None:
    ctypes.string_at(0)


# Hanging


@Unruly
def hangs(case: Case) -> None:
    time.sleep(3600)


@Unruly
def hangs_on(case: Case) -> None:
    """And is not to be aborted."""
    signal.signal(signal.SIGABRT, signal.SIG_IGN)
    time.sleep(3600)


class HoldsAFile:
    """A backend that has a file open as long as it lives."""

    name = "holds-a-file"
    capabilities = Capabilities()

    def __init__(self) -> None:
        self._file = open(os.environ["HELD_FILE"], "wb")  # noqa: SIM115

    def run(self, case: Case) -> Result:
        time.sleep(3600)
        raise AssertionError


# Printing


@Unruly
def prints(case: Case) -> Result:
    print("from Python")
    os.write(1, b"to the descriptor\n")
    ctypes.CDLL(None).puts(b"from C")
    ctypes.CDLL(None).fflush(None)
    return run(case)


@Unruly
def prints_megabytes(case: Case) -> Result:
    for _ in range(100):
        os.write(2, b"all work and no play\n" * 2000)
    return run(case)


@Unruly
def prints_megabytes_and_exits(case: Case) -> None:
    for number in range(50_000):
        sys.stderr.write(f"line {number}\n")
    os._exit(5)


@Unruly
def scribbles(case: Case) -> Result:
    """Into every file that is open."""
    for descriptor in range(3, 100):
        try:
            os.write(descriptor, b"tragedy of the commons" * 10)
        except OSError:
            continue
    return run(case)


# Raising


class KernelError(Exception):
    pass


@Unruly
def raises(case: Case) -> None:
    raise KernelError("no kernel for this\nnor for that: \u2211")


@Unruly
def misses_a_key(case: Case) -> None:
    os.environ["NO_SUCH_KERNEL"]


@Unruly
def runs_out_of_memory(case: Case) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2**33, resource.getrlimit(resource.RLIMIT_AS)[1]))
    np.empty(2**34)


@Unruly
def warns(case: Case) -> Result:
    warnings.warn("the slow kernel is used", stacklevel=1)
    return run(case)


@Unruly
def looks(case: Case) -> None:
    """At all that there is to see of the arrays."""
    seen = [
        (name, str(array.dtype), array.shape, array.strides, array.flags.writeable, array.astype(np.float64).tolist())
        for name, array in arrays_of_case(case).items()
    ]
    raise AssertionError(repr(seen))


@Unruly
def looks_between(case: Case) -> None:
    """At what lies behind each element of x but the last, in the memory of a view that leaves every other out."""
    size = case.x.itemsize
    pairs = np.lib.stride_tricks.as_strided(case.x, (case.x.size - 1, 2), (2 * size, size))
    raise AssertionError(repr(pairs.tolist()))


# Returning

RETURNED: dict[str, Callable[[Result], Any]] = {
    "the same": lambda result: result,
    "nothing": lambda result: None,
    "nothing inside": lambda result: Result(None, None, None),  # type: ignore[arg-type]
    "a pair": lambda result: (result.y, result.h_n),
    "a list for y": lambda result: replace(result, y=result.y.tolist()),
    "no h_n": lambda result: replace(result, h_n=None),  # type: ignore[arg-type]
    "another shape": lambda result: replace(result, y=result.y[:, :-1]),
    "no elements": lambda result: replace(result, y=result.y[:0]),
    "no axes": lambda result: replace(result, y=result.y[0, 0, 0, ...]),
    "float64": lambda result: replace(result, y=result.y.astype(np.float64)),
    "complex numbers": lambda result: replace(result, y=result.y + 1j),
    "truths": lambda result: replace(result, y=result.y > 0),
    "text": lambda result: replace(result, y=result.y.astype(str)),
    "big-endian": lambda result: replace(result, y=result.y.astype(result.y.dtype.newbyteorder(">"))),
    "nan": lambda result: replace(result, y=result.y * np.nan),
    "transposed": lambda result: replace(result, y=result.y.T),
    "backwards": lambda result: replace(result, y=result.y[:, ::-1]),
    "constant": lambda result: replace(result, y=np.broadcast_to(result.y[:1], result.y.shape)),
    "objects": lambda result: replace(result, y=result.y.astype(object)),
}
"""What to make of the right result."""


class Returns:
    """A backend that returns each of :data:`RETURNED`, in turn."""

    name = "returns"
    capabilities = Capabilities()

    def __init__(self) -> None:
        self._turns = iter(RETURNED.values())

    def run(self, case: Case) -> Any:
        return next(self._turns)(run(case))


# Writing and remembering


@Unruly
def writes(case: Case) -> None:
    """Into every array that it may write into."""
    for array in arrays_of_case(case).values():
        if array.flags.writeable:
            array[...] = 1
    raise KernelError("after writing")


@Unruly
def writes_regardless(case: Case) -> Result:
    """As C does."""
    ctypes.memset(case.x.ctypes.data, 1, 1)
    return run(case)


class Reuses:
    """A backend that returns the same arrays again and again: full of the number of the run, and of its process."""

    name = "reuses"
    capabilities = Capabilities()

    def __init__(self) -> None:
        self._numbers, self._process = np.zeros((2, 3)), np.full(1, os.getpid())

    def run(self, case: Case) -> Result:
        if case.h_0 is None:
            os._exit(3)
        self._numbers += 1
        return Result(self._numbers, self._numbers[:, ::-2], self._process)
