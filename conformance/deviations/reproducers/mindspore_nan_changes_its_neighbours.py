"""MindSpore, CPU, float32: one NaN in a tensor changes what sigmoid gives for the other elements.

Without a NaN they come from an approximation, next to one from an accurate exponential. So what stands in the padding
of a batch changes the valid outputs of nn.GRU, and of nn.LSTM with seq_length.
"""

import mindspore as ms
import numpy as np

print("mindspore", ms.__version__)
x = np.array([-1.3812797, 0.6398147, -2.900834, -0.34665], np.float32)
alone = ms.ops.sigmoid(ms.Tensor(x)).asnumpy()
beside = np.array([ms.ops.sigmoid(ms.Tensor(np.array([np.nan, a], np.float32))).asnumpy()[1] for a in x])
for row in zip(x, alone, beside, 1 / (1 + np.exp(-x.astype(np.float64)))):
    print("sigmoid({:.9g}) = {:.9g}; beside a NaN it is {:.9g}; both should be {:.9g}".format(*row))

rng = np.random.default_rng(0)
gru = ms.nn.GRU(3, 2, batch_first=True).set_train(False)
for parameter in gru.get_parameters():
    parameter.set_data(ms.Tensor(rng.uniform(-0.7, 0.7, parameter.shape).astype(np.float32)))
x = rng.uniform(-0.5, 0.5, (4, 5, 3)).astype(np.float32)
seq_length = np.array([2, 5, 3, 1], np.int32)
with_nan = np.where((np.arange(5) < seq_length[:, None])[:, :, None], x, np.float32(np.nan))
y, y_nan = (gru(ms.Tensor(each), None, ms.Tensor(seq_length))[0].asnumpy() for each in (x, with_nan))
print(f"nn.GRU: NaN in the padding changes {np.sum(y != y_nan)} of {y.size} outputs, but should change none")
assert np.any(alone != beside) and np.any(y != y_nan), "mended"
