"""The ReferenceEvaluator of onnx ignores sequence_lens of RNN, LSTM and GRU.

A row of 2 valid steps and one of padding should end in the state that its 2 steps give alone.
"""

import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__)
X = np.array([1, 2, 9], np.float32).reshape(3, 1, 1)  # 9 is padding
for op, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3)):
    W, R = np.full((1, gates, 1), 0.5, np.float32), np.full((1, gates, 1), 0.25, np.float32)
    for direction in ("forward", "reverse"):
        model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 22]>
        layer (float[T,1,1] X, float[1,{gates},1] W, float[1,{gates},1] R, int32[1] lens) => (float[1,1,1] Y_h) {{
            Y, Y_h = {op} <hidden_size = 1, direction = "{direction}"> (X, W, R, , lens) }}""")
        evaluator, given = ReferenceEvaluator(model), {"W": W, "R": R, "lens": np.array([2], np.int32)}
        got, alone = (evaluator.run(None, {"X": steps, **given})[0].item() for steps in (X, X[:2]))
        print(f"{op} {direction}: Y_h = {got:.6g}, but should be {alone:.6g}, as without the padding")
        assert got != alone, "mended"
