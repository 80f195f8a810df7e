"""The ReferenceEvaluator of onnx gives LSTM without P peepholes of zero, so that an infinite cell state gives NaN.

It computes i + P * C with P = 0 where the input P is absent, and 0 * inf is NaN.
"""

import warnings

import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

warnings.simplefilter("ignore")
print("onnx", onnx.__version__)
model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 22]>
layer (float[1,1,1] X, float[1,4,1] W, float[1,4,1] R, float[1,1,1] c) => (float[1,1,1] Y_h) {
    Y, Y_h = LSTM <hidden_size = 1> (X, W, R, , , , c) }""")
X, W, c = np.zeros((1, 1, 1), np.float32), np.zeros((1, 4, 1), np.float32), np.full((1, 1, 1), np.inf, np.float32)
got = ReferenceEvaluator(model).run(None, {"X": X, "W": W, "R": W, "c": c})[0].item()
print(f"initial_c = inf: Y_h = {got}, but should be o * tanh(inf) = 0.5")
assert np.isnan(got), "mended"
