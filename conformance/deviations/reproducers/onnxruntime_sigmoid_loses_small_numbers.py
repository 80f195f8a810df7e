"""ONNX Runtime's LSTM and GRU have a sigmoid of 0.5 + p(x)/q(x): its error is absolute, and it is 0 from -18 on.

MlasComputeLogistic. A forget gate that is nearly closed has few bits, where exp(x) has all of them.
"""

import numpy as np
import onnx.parser
import onnxruntime

print("onnxruntime", onnxruntime.__version__)
model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 22]>
layer (float[1,N,1] X, float[1,4,1] W, float[1,4,1] R, float[1,N,1] c) => (float[1,N,1] Y_c) {
    Y, Y_h, Y_c = LSTM <hidden_size = 1> (X, W, R, , , , c) }""")
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
x = np.array([-3, -6, -8, -10, -12, -15, -17.9, -18, -20], np.float32)
W = np.array([0, 0, 1, 0], np.float32).reshape(1, 4, 1)  # the forget gate reads x, the others are 0: c' = f * c
c = np.ones((1, len(x), 1), np.float32)
got = session.run(None, {"X": x.reshape(1, -1, 1), "W": W, "R": 0 * W, "c": c})[0].ravel()
should = 1 / (1 + np.exp(-x.astype(np.float64)))
errors = abs(got / should - 1)
for row in zip(x, got, should, errors, -np.log2(errors)):
    print("sigmoid({:g}) = {:.9g}, but should be {:.9g}: relative error {:.2g}, {:.1f} bits".format(*row))
assert got[7] == 0 and errors[2] > 1e-4, "mended"
