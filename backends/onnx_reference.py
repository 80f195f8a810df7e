"""The evaluator that the ``onnx`` package carries: ``onnx.reference.ReferenceEvaluator``, ONNX's operators in numpy.

What ONNX documents of its operators is claimed, sequence lengths and relu among it. Nothing says what becomes of a row
of length 0. The arithmetic is numpy's: products in float16 and bfloat16 are summed in float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from backends import Capabilities
from backends.onnx_graph import Signature, inputs_of, model_of, parameters_of
from reference import Case, Result


class OnnxReference:
    """The ReferenceEvaluator, with the weights as inputs."""

    name = "onnx-reference"
    description = f"onnx {onnx.__version__}, numpy {np.__version__}, cpu"
    capabilities = Capabilities(
        dtypes=("float64", "float32", "float16", "bfloat16"),
        arithmetic={"float16": "float16-float32", "bfloat16": "bfloat16-float32"},
    )

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return Result(*_evaluator_of(Signature.of(case)).run(None, inputs_of(case) | parameters_of(case)))


@lru_cache(maxsize=64)
def _evaluator_of(signature: Signature) -> Any:
    return ReferenceEvaluator(model_of(signature))
