"""The ReferenceEvaluator of onnx ignores activations, clip and input_forget.

LSTM and GRU ignore activations; RNN, LSTM and GRU ignore clip; LSTM ignores input_forget; and a bidirectional RNN uses
the activation of its forward direction in both. Below, W = 1, R = 0, X = 2 and the initial states are given, so that
every result can be had by hand.
"""

import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


affine = 'activations = ["Affine", "Tanh"], activation_alpha = [3.0, 3.0], activation_beta = [0.0, 0.0]'
i, c = sigmoid(2), np.tanh(2)
print("onnx", onnx.__version__)
for op, gates, attributes, state, should in (
    ("LSTM", 4, 'activations = ["Sigmoid", "Relu", "Relu"]', 0, i * (i * 2)),
    ("GRU", 3, 'activations = ["Sigmoid", "Relu"]', 0, (1 - i) * 2),
    ("RNN", 1, "clip = 0.5", 0, np.tanh(0.5)),
    ("GRU", 3, "clip = 0.5", 0, (1 - sigmoid(0.5)) * np.tanh(0.5)),
    ("LSTM", 4, "clip = 0.5", 0, sigmoid(0.5) * np.tanh(sigmoid(0.5) * np.tanh(0.5))),
    ("LSTM", 4, "input_forget = 1", 1, i * np.tanh((1 - i) * 1 + i * c)),
    ("RNN", 1, f'direction = "bidirectional", {affine}', 0, np.tanh(2)),
):
    D = 2 if "bidirectional" in attributes else 1
    given = "R, , , s, s" if op == "LSTM" else "R, , , s"
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 22]>
    layer (float[1,1,1] X, float[{D},{gates},1] W, float[{D},{gates},1] R, float[{D},1,1] s) => (float[{D},1,1] Y_h) {{
        Y, Y_h = {op} <hidden_size = 1, {attributes}> (X, W, {given}) }}""")
    feeds = {
        "X": np.full((1, 1, 1), 2, np.float32),
        "W": np.ones((D, gates, 1), np.float32),
        "R": np.zeros((D, gates, 1), np.float32),
        "s": np.full((D, 1, 1), state, np.float32),
    }
    got = ReferenceEvaluator(model).run(None, feeds)[0].ravel()[-1]
    print(f"{op} {attributes}: Y_h = {got:.6g}, but should be {should:.6g}")
    assert abs(got - should) > 1e-3, "mended"
