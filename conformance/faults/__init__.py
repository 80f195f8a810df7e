"""The fault catalogue: what goes wrong in recurrent layers, as data and as wrong implementations.

>>> fault = CATALOGUE["reverse-starts-in-padding"]
>>> fault.says
'The reverse direction starts at step T-1 of every row, and has read the padding when it gets to the valid steps.'

Each fault is a few lines in one place, and appears by itself in the catalogue, in the measured power of the suite
(:mod:`conformance.power`), in the diagnosis of a failing backend and in the documentation. To judge one as a backend:
``pytest conformance/ --backend conformance.faults:reverse-starts-in-padding``.
"""

from __future__ import annotations

import difflib

from backends import Capabilities
from conformance.faults import (  # noqa: F401  (each one fills the catalogue, in this order)
    activations,
    biases,
    directions,
    gates,
    lengths,
    outputs,
    precision,
    stacking,
    states,
    steps,
    storage,
)
from conformance.faults.conditions import Condition
from conformance.faults.fault import CATALOGUE, GROUPS, Edits, Fault, Group, Run
from conformance.faults.reports import CLASSES, NOT_EXPRESSIBLE, Kind, Report
from reference import Case, Result

__all__ = [
    "CATALOGUE",
    "CLASSES",
    "GROUPS",
    "NOT_EXPRESSIBLE",
    "Condition",
    "Edits",
    "Fault",
    "Group",
    "Kind",
    "Report",
    "Run",
    "WrongBackend",
    "backend_of",
]


class WrongBackend:
    """A fault as a backend that claims everything."""

    capabilities = Capabilities(dtypes=("float32", "float64"))

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.name = f"fault:{fault.name}"
        self.description = fault.says
        self._run = fault.make()

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return self._run(case)


def backend_of(fault: Fault) -> WrongBackend:
    """The fault as a backend, as new."""
    return WrongBackend(fault)


def __getattr__(name: str) -> WrongBackend:
    """The fault called ``name`` as a backend, so that ``--backend conformance.faults:NAME`` finds it."""
    if name in CATALOGUE:
        return backend_of(CATALOGUE[name])
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    near = difflib.get_close_matches(name, CATALOGUE, n=1)
    raise AttributeError(f"no fault is named {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
