"""OpenVINO computes a float32 model in bfloat16 unless told otherwise, on processors with instructions for it.

Documented (INFERENCE_PRECISION_HINT), and a surprise all the same: of 24 bits, 8 are left. The hint "f32", or
EXECUTION_MODE_HINT ACCURACY, brings them back.
"""

import numpy as np
import openvino as ov
from openvino import opset15 as ops

rng = np.random.default_rng(0)
I, H = 8, 8
x, h = ops.parameter([1, 4, I], np.float32), ops.parameter([1, 1, H], np.float32)
w, r, b = (ops.constant(rng.standard_normal(shape).astype(np.float32)) for shape in ((1, H, I), (1, H, H), (1, H)))
node = ops.rnn_sequence(x, h, ops.constant(np.array([4])), w, r, b, H, "forward")
core, given = ov.Core(), [rng.standard_normal((1, 4, I)).astype(np.float32), np.zeros((1, 1, H), np.float32)]
model = ov.Model([node.output(0)], [x, h])
exact = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(given)[0]
if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
    print("this processor has no bfloat16 instructions, and cannot show it")
    raise SystemExit(0)
print("openvino", ov.__version__)
for options in ({}, {"EXECUTION_MODE_HINT": "ACCURACY"}):
    apart = abs(core.compile_model(model, "CPU", options)(given)[0] - exact).max()
    print(f"{options or 'by default'}: the largest difference from float32 is {apart:.1e}")
    assert (apart > 1e-4) == (not options), "mended"
