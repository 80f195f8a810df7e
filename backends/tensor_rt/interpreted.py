"""The backend ``tensorrt-network``: the loop network of a case, evaluated in numpy.

It judges the wiring of the network on any machine, and the interpreter. What a GPU makes of the network is for
:mod:`backends.tensor_rt.runtime`.
"""

from __future__ import annotations

from backends.tensor_rt import api
from backends.tensor_rt.interpreter import evaluate
from backends.tensor_rt.network import CAPABILITIES, network_inputs, network_of
from reference import Case, Result


class Interpreted:
    """The loop network of each case, through the interpreter."""

    name = "tensorrt-network"
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self._trt = api.tensorrt()
        api.builder_of(self._trt)  # so that a machine which cannot make one says so when the backend is chosen

    @property
    def description(self) -> str:
        """Whose network API it is."""
        return f"networks of {api.version_of(self._trt)}, evaluated in numpy"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return Result(**evaluate(network_of(case, self._trt), network_inputs(case)))
