"""ONNX Runtime aborts the process: GRU on a sequence of no steps, and LSTM and GRU on an empty batch.

RNN and LSTM on a sequence of no steps return zero, where initial_h would be the state.
"""

import subprocess
import sys

import onnxruntime

PROGRAM = '''
import sys, numpy as np, onnx.parser, onnxruntime
op, steps, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[op]
model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 22]>
layer (float[T,B,1] X, float[1,{gates},1] W, float[1,{gates},1] R, float[1,B,1] h) => (float[1,B,1] Y_h) {{
    Y, Y_h = {op} <hidden_size = 1> (X, W, R, , , h) }}""")
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
X, W = np.ones((steps, batch, 1), np.float32), np.ones((1, gates, 1), np.float32)
print("Y_h =", session.run(None, {"X": X, "W": W, "R": W, "h": np.ones((1, batch, 1), np.float32)})[0].ravel())
'''
print("onnxruntime", onnxruntime.__version__)
codes = {}
for op in ("RNN", "LSTM", "GRU"):
    for steps, batch in ((0, 2), (2, 0)):
        arguments = [sys.executable, "-c", PROGRAM, op, str(steps), str(batch)]
        done = subprocess.run(arguments, capture_output=True, text=True)
        codes[op, steps, batch] = done.returncode
        said = (done.stdout or done.stderr).strip()[-60:]
        print(f"{op} on {steps} steps of a batch of {batch}: exit {done.returncode}, {said}")
assert codes["GRU", 0, 2] == codes["GRU", 2, 0] == codes["LSTM", 2, 0] == -6, "mended"
