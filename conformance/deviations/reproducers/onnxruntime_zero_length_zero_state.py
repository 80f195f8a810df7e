"""ONNX Runtime gives a row of sequence_lens 0 a final state of zero, and not its initial state.

ONNX does not say what it should be; a caller who carries states from call to call loses that of an idle row.
"""

import numpy as np
import onnx.parser
import onnxruntime

print("onnxruntime", onnxruntime.__version__)
for op, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3)):
    for direction in ("forward", "reverse", "bidirectional"):
        D = 2 if direction == "bidirectional" else 1
        model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 22]>
        layer (float[3,2,1] X, float[{D},{gates},1] W, float[{D},{gates},1] R, int32[2] lens, float[{D},2,1] h)
            => (float[{D},2,1] Y_h) {{
            Y, Y_h = {op} <hidden_size = 1, direction = "{direction}"> (X, W, R, , lens, h) }}""")
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        W, h = np.ones((D, gates, 1), np.float32), np.full((D, 2, 1), 0.75, np.float32)
        feeds = {"X": np.ones((3, 2, 1), np.float32), "W": W, "R": W, "lens": np.array([0, 3], np.int32), "h": h}
        got = session.run(None, feeds)[0][:, 0].ravel()
        print(f"{op} {direction}: Y_h = {got}, but should be initial_h = 0.75")
        assert not got.any(), "mended"
