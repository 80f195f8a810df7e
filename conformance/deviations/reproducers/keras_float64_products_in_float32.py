"""Keras on torch: a SimpleRNN of float64, and an LSTM or GRU with a mask, compute their products in float32.

So does a GRU with reset_after=False. The result says float64, and has 24 bits. keras.ops.matmul casts both operands to
keras.backend.result_type("float64", "float64"), which is float32 on every backend but TensorFlow, with floatx float64
too. Without a mask, LSTM and GRU call torch.matmul themselves and are right, so that a mask of ones changes the result.

Known upstream for Dense: https://github.com/keras-team/keras/issues/23704.
Expected: about 1e-16 in every line.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
import numpy as np

print("keras", keras.__version__, "on", keras.backend.backend())
keras.config.set_floatx("float64")
rng = np.random.default_rng(0)
x, ones = rng.standard_normal((2, 1, 3)), np.ones((2, 1), bool)
layer = keras.layers.SimpleRNN(4, dtype="float64")
y = keras.ops.convert_to_numpy(layer(x))
exact = np.tanh(x[:, 0] @ keras.ops.convert_to_numpy(layer.cell.kernel))
print(f"SimpleRNN: {y.dtype}, error {abs(y - exact).max():.1e}")
assert abs(y - exact).max() > 1e-12, "mended"
for layer in (keras.layers.LSTM(4, dtype="float64"), keras.layers.GRU(4, dtype="float64")):
    plain, masked = (keras.ops.convert_to_numpy(layer(x, mask=mask)) for mask in (None, ones))
    print(f"{type(layer).__name__}: with and without a mask of ones differ by {abs(plain - masked).max():.1e}")
    assert abs(plain - masked).max() > 1e-12, "mended"
