"""MindSpore, CPU, float32: tanh is wrong by up to 1.0e-4, which is 1600 ulp, and exceeds 1 just below 5.

It is the continued fraction x (135135 + 17325 x^2 + 378 x^4 + x^6) / (135135 + 62370 x^2 + 3150 x^4 + 28 x^6) up to 5,
and the constant 1 beyond: TanhOpt in nnacl. The state of nn.RNN has the same values. float16 is right.
"""

import mindspore as ms
import numpy as np

print("mindspore", ms.__version__)
x = np.array([1, 2, 3, 4, 4.97, 5, 5.0000005, 6, 7, 8], np.float32)
rnn = ms.nn.RNN(1, 1, has_bias=False, batch_first=True).set_train(False)
for parameter in rnn.get_parameters():
    parameter.set_data(ms.Tensor(np.ones(parameter.shape, np.float32)))
tanh = ms.ops.tanh(ms.Tensor(x)).asnumpy()
state = rnn(ms.Tensor(x.reshape(-1, 1, 1)))[1].asnumpy().ravel()
right = np.tanh(x.astype(np.float64))
for a, got, h, should in zip(x, tanh, state, right):
    ulps = abs(got - should) / np.spacing(np.float32(should))
    print(f"tanh({a:.9g}) = {got:.9g}, nn.RNN {h:.9g}, but should be {should:.9g}: off by {ulps:.1f} ulp")
assert tanh.max() > 1 and state.max() > 1 and np.abs(tanh - right).max() > 9e-5, "mended"
