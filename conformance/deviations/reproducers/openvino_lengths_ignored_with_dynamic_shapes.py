"""OpenVINO's LSTMSequence, GRUSequence and RNNSequence ignore sequence_lengths when batch or time is dynamic.

On the CPU plugin, with weights that are constants, as in every converted model. With static shapes the lengths count;
with the batch or the time dimension dynamic, the same model returns what it returns for full lengths: outputs past the
length are not zero, and the final states are those after the padding. No warning.

Expected: every line says 0.000, as the first of each four does, and the h_n of that line.
"""

import numpy as np
import openvino as ov
from openvino import opset15 as ops

B, T, I, H = 2, 3, 2, 2
rng = np.random.default_rng(0)
x, h = rng.standard_normal((B, T, I)).astype(np.float32), np.zeros((B, 1, H), np.float32)
lengths = np.array([1, 3])

print("openvino", ov.__version__)
core = ov.Core()
for sequence, gates, states in ((ops.lstm_sequence, 4, 2), (ops.gru_sequence, 3, 1), (ops.rnn_sequence, 1, 1)):
    shapes = ((1, gates * H, I), (1, gates * H, H), (1, gates * H))
    constants = [ops.constant(rng.standard_normal(shape).astype(np.float32)) for shape in shapes]
    for batch, steps in ((B, T), (B, -1), (-1, T), (-1, -1)):
        floats = [ops.parameter([batch, steps, I], np.float32)]
        floats += [ops.parameter([batch, 1, H], np.float32) for _ in range(states)]
        inputs = [*floats, ops.parameter([batch], np.int64)]
        node = sequence(*inputs, *constants, H, "forward")
        model = core.compile_model(ov.Model(list(node.outputs()), inputs), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        y, h_n, *_ = model([x, *[h] * states, lengths]).values()
        past = abs(y[0, 0, 1:]).max()
        print(f"{sequence.__name__}, batch {batch:2}, time {steps:2}: row 0 past its length up to {past:.3f}", end="")
        print(f", h_n {h_n[0, 0]}")
        assert (past > 0) == (-1 in (batch, steps)), "mended"
