"""ONNX Runtime's GRU has a tanh that goes up to 1.0000006: a saturated candidate is 1.0000005, and so is the state."""

import numpy as np
import onnx.parser
import onnxruntime

print("onnxruntime", onnxruntime.__version__)
model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 22]>
layer (float[1,N,1] X, float[1,3,1] W, float[1,3,1] R, float[1,6] B) => (float[1,N,1] Y_h) {
    Y, Y_h = GRU <hidden_size = 1> (X, W, R, B) }""")
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
x = np.array([5, 8, 9.92, 10, 20, 1e4], np.float32)
W = np.array([0, 0, 1], np.float32).reshape(1, 3, 1)  # the candidate reads x
B = np.array([-30, 0, 0, 0, 0, 0], np.float32).reshape(1, 6)  # z = 0: the state is the candidate
got = session.run(None, {"X": x.reshape(1, -1, 1), "W": W, "R": 0 * W, "B": B})[0].ravel()
should = np.tanh(x.astype(np.float64))
for a, h, right in zip(x, got, should):
    print(f"tanh({a:g}) = {h:.9g}, but should be {right:.9g}: off by {abs(h - right) * 2**24:.3g} * 2^-24")
assert got.max() > 1 + 2**-22, "mended"
