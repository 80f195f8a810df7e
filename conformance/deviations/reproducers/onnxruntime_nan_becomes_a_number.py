"""ONNX Runtime's LSTM and GRU with a bias take a NaN pre-activation for the largest float32: NaN gives a number.

clip_add_bias computes std::min(clip, x), which is clip where x is NaN, and clip is FLT_MAX where the attribute is
absent. Without B the NaN stays. RNN with Relu computes std::max(0, x), which is 0 where x is NaN.
"""

import numpy as np
import onnx.parser
import onnxruntime

print("onnxruntime", onnxruntime.__version__)
lost = 0
for op, gates, attributes in (("LSTM", 4, ""), ("GRU", 3, ""), ("RNN", 1, ""), ("RNN", 1, ', activations = ["Relu"]')):
    for given in ("R, B", "R"):
        bias = f", float[1,{2 * gates}] B" if "B" in given else ""
        model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 22]>
        layer (float[1,1,1] X, float[1,{gates},1] W, float[1,{gates},1] R{bias}) => (float[1,1,1] Y_h) {{
            Y, Y_h = {op} <hidden_size = 1{attributes}> (X, W, {given}) }}""")
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        W = np.ones((1, gates, 1), np.float32)
        feeds = {"X": np.full((1, 1, 1), np.nan, np.float32), "W": W, "R": W}
        if bias:
            feeds["B"] = np.zeros((1, 2 * gates), np.float32)
        got = session.run(None, feeds)[0].item()
        print(f"{op}{attributes} {'with' if bias else 'without'} B, X = NaN: Y_h = {got:.6g}, but should be nan")
        lost += not np.isnan(got)
assert lost == 4, "mended"
