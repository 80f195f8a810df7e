"""MindSpore, CPU: relu turns NaN into 0, in float32 and in float16, and so does nn.RNN with it.

numpy's maximum, PyTorch and JAX keep the NaN; nn.RNN with tanh does too.
"""

import mindspore as ms
import numpy as np

print("mindspore", ms.__version__)
for dtype in (np.float32, np.float16):
    got = ms.ops.relu(ms.Tensor(np.array([np.nan, -1, 2], dtype))).asnumpy()
    print(f"relu of [nan -1 2] in {np.dtype(dtype)}: {got}, but should be [nan 0 2]")
    assert got[0] == 0, "mended"
for nonlinearity in ("tanh", "relu"):
    rnn = ms.nn.RNN(1, 1, nonlinearity=nonlinearity, batch_first=True).set_train(False)
    got = rnn(ms.Tensor(np.full((1, 1, 1), np.nan, np.float32)))[1].asnumpy().item()
    print(f"nn.RNN with {nonlinearity} of NaN: {got}, but should be nan")
    assert np.isnan(got) == (nonlinearity == "tanh"), "mended"
