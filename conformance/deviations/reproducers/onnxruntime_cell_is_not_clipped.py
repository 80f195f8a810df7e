"""ONNX Runtime does not apply the clip of LSTM to the cell state before its tanh.

ONNX: clip "is applied to the input of activations", and Ht = ot (.) h(Ct).
"""

import numpy as np
import onnx.parser
import onnxruntime

print("onnxruntime", onnxruntime.__version__)
model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 22]>
layer (float[1,1,1] X, float[1,4,1] W, float[1,4,1] R, float[1,1,1] c) => (float[1,1,1] Y_h) {
    Y, Y_h = LSTM <hidden_size = 1, clip = 1.0> (X, W, R, , , , c) }""")
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
X, W, c = np.zeros((1, 1, 1), np.float32), np.zeros((1, 4, 1), np.float32), np.full((1, 1, 1), 200, np.float32)
got = session.run(None, {"X": X, "W": W, "R": W, "c": c})[0].item()
print(f"clip = 1, initial_c = 200: Y_h = {got}, but should be 0.5 * tanh(1) = {0.5 * np.tanh(1):.6g}")
assert got == 0.5, "mended"
