"""MindSpore, CPU, float32: sigmoid loses 4 to 5 bits, and more where it is small.

Its exp is 2^n times a Taylor polynomial of degree 5 with 0.693147 for ln 2 (simd_exp32_f32 in nnacl): the relative
error is 2.4e-6 at odd multiples of ln(2)/2, where the polynomial ends, and grows with |x| below, to 2.2e-5 at -86.
The gates of nn.GRU, and of nn.LSTM with seq_length, have the same values.
"""

import mindspore as ms
import numpy as np

print("mindspore", ms.__version__)
x = np.array([-0.346650004, -1.0397, -1.73290002, -2.42604256, 1.03953874, -10, -40, -86], np.float32)
got = ms.ops.sigmoid(ms.Tensor(x)).asnumpy()
should = 1 / (1 + np.exp(-x.astype(np.float64)))
errors = np.abs(got / should - 1)
for row in zip(x, got, should, errors, errors * should / np.spacing(should.astype(np.float32))):
    print("sigmoid({:.9g}) = {:.9g}, but should be {:.9g}: relative error {:.2g}, {:.1f} ulp".format(*row))

gru = ms.nn.GRU(1, 1, batch_first=True).set_train(False)
zeros = np.zeros((1, 1, 1), np.float32)
for name, parameter in gru.parameters_dict().items():
    bias = np.array([0, x[0], 0], np.float32)  # r, z, n: the candidate is 0, and h' = sigmoid(x[0]) * h
    parameter.set_data(ms.Tensor(bias if name == "bias_ih_l0" else np.zeros(parameter.shape, np.float32)))
h = gru(ms.Tensor(zeros), ms.Tensor(zeros + 1))[1].asnumpy().item()
print(f"nn.GRU: h_n = {h:.9g}, but should be {should[0]:.9g}")
assert errors.max() > 2e-6 and abs(h / should[0] - 1) > 1e-6, "mended"
