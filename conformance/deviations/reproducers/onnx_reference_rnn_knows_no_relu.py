"""The ReferenceEvaluator of onnx raises on an RNN with activations = ["Relu"].

Relu, Tanh and Sigmoid are the activations that every implementation of the operator has to have.
"""

import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__)
model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 22]>
layer (float[1,1,1] X, float[1,1,1] W, float[1,1,1] R) => (float[1,1,1] Y_h) {
    Y, Y_h = RNN <hidden_size = 1, activations = ["Relu"]> (X, W, R) }""")
onnx.checker.check_model(model, full_check=True)
ones = np.ones((1, 1, 1), np.float32)
try:
    got = ReferenceEvaluator(model).run(None, {"X": ones, "W": ones, "R": ones})
except RuntimeError as error:
    print(f"RuntimeError: {error} It should give Y_h = 1.")
else:
    raise SystemExit(f"mended: Y_h = {got}")
