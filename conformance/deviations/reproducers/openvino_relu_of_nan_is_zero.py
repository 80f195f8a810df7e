"""OpenVINO's RNNSequence with relu turns NaN into 0 on the CPU, so that a diverged model looks healthy.

numpy, PyTorch and JAX: relu(NaN) is NaN. The operation with tanh gives NaN here too.
Expected: nan, everywhere.
"""

import numpy as np
import openvino as ov
from openvino import opset15 as ops

core, options, nan = ov.Core(), {"INFERENCE_PRECISION_HINT": "f32"}, np.full((1, 1, 1), np.nan, np.float32)
one, zero = (ops.constant(np.full((1, 1, 1), value, np.float32)) for value in (1, 0))
bias, length = ops.constant(np.zeros((1, 1), np.float32)), ops.constant(np.array([1]))
print("openvino", ov.__version__)
for activation in ("tanh", "relu"):
    x = ops.parameter([1, 1, 1], np.float32)
    node = ops.rnn_sequence(x, zero, length, one, one, bias, 1, "forward", activations=[activation])
    got = core.compile_model(ov.Model([node.output(1)], [x]), "CPU", options)(nan)[0].item()
    print(f"RNNSequence with {activation} of NaN: {got}, but should be nan")
    assert np.isnan(got) == (activation == "tanh"), "mended"
x = ops.parameter([1, 1, 1], np.float32)
got = core.compile_model(ov.Model([ops.relu(x)], [x]), "CPU", options)(nan)[0].item()
print(f"Relu of NaN: {got}, but should be nan")
assert got == 0, "mended"
