"""ONNX Runtime on the CPU: the operators RNN, LSTM and GRU, with ``sequence_lens``.

The model is run in two forms. With weights as inputs, one session serves all cases of a layer, so what is judged is a
session that has run other sizes and other weights before. With weights as initializers, as exporters write them, ONNX
Runtime packs them for its products when it makes a session, and each case has a session of its own.

A row of length 0 gets a state of zero. ONNX Runtime has kernels for float32. It puts casts around them in float16: the
states, and all between two layers, are float16, and what happens within a layer is float32. float64 and bfloat16 are
not claimed: the kernels for float64 that LSTM and GRU are listed with raise ("does not support double yet").
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import onnx
import onnxruntime

from backends import Capabilities
from backends.onnx_graph import Signature, inputs_of, model_of, parameters_of
from reference import Case, Result


class OnnxRuntime:
    """ONNX Runtime with the weights as inputs."""

    name = "onnxruntime"
    description = f"onnxruntime {onnxruntime.__version__}, cpu, 1 thread, weights as inputs"
    capabilities = Capabilities(
        zero_length="zero",
        dtypes=("float32", "float16"),
        arithmetic={"float16": "float16-float32"},
    )

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return Result(*_kept_session_of(Signature.of(case)).run(None, inputs_of(case) | parameters_of(case)))


class OnnxRuntimeConstants(OnnxRuntime):
    """ONNX Runtime with the weights as initializers."""

    name = "onnxruntime-constants"
    description = f"onnxruntime {onnxruntime.__version__}, cpu, 1 thread, weights as initializers"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return Result(*session_of(model_of(Signature.of(case), parameters_of(case))).run(None, inputs_of(case)))


def session_of(model: onnx.ModelProto) -> Any:
    """A session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=64)
def _kept_session_of(signature: Signature) -> Any:
    return session_of(model_of(signature))
