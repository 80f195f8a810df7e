"""What the tests of every adapter ask of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backends import Backend
from conformance.tolerance import judge, truth_of
from reference import Case, Direction, Result


def accepted(backend: Backend, case: Case) -> bool:
    """Whether the backend is right about a case, which has to be one that it claims."""
    assert backend.capabilities.declines(case) is None
    return judge(truth_of(case, backend.capabilities), backend.run(case)).accepted


def bits(result: Result) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(array).tobytes() for name, array in result.items()}


def reverse_half(both: Case) -> Case:
    """The reverse direction of a bidirectional layer, as a layer of its own."""
    return replace(
        both,
        layer=replace(both.layer, direction=Direction.REVERSE),
        weights=both.weights[1:],
        h_0=None if both.h_0 is None else both.h_0[1:],
        c_0=None if both.c_0 is None else both.c_0[1:],
    )
