"""OpenVINO ends a row of length 0 in state zero, whatever its initial state (static shapes, CPU plugin).

Nothing in the specification of LSTMSequence says what a row of length 0 returns; ONNX Runtime returns zero too, while a
state that no step has changed would be the initial one.
"""

import numpy as np
import openvino as ov
from openvino import opset15 as ops

x, h = ops.parameter([1, 1, 1], np.float32), ops.parameter([1, 1, 1], np.float32)
lengths, one = ops.parameter([1], np.int64), ops.constant(np.ones((1, 1, 1), np.float32))
node = ops.rnn_sequence(x, h, lengths, one, one, ops.constant(np.zeros((1, 1), np.float32)), 1, "forward")
model = ov.Core().compile_model(
    ov.Model(list(node.outputs()), [x, h, lengths]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
)
ones = np.ones((1, 1, 1), np.float32)
y, h_n = model([ones, ones * 0.5, np.array([0])]).values()
print("openvino", ov.__version__, "h_0 = 0.5, length 0: h_n =", h_n.item())
assert h_n.item() == 0, "mended"
