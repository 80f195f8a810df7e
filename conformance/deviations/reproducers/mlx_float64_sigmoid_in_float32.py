"""MLX, CPU: sigmoid and exp of float64 are computed in float32, and with them the gates of LSTM and GRU.

The result says float64. tanh, products and sums of float64 are those of float64.
Expected: about 1e-16 in every line.
"""

from importlib.metadata import version

import mlx.core as mx
import numpy as np

mx.set_default_device(mx.cpu)
x = np.linspace(-4, 4, 101)
print("mlx", version("mlx"))
for name, exact in (("sigmoid", 1 / (1 + np.exp(-x))), ("exp", np.exp(x)), ("tanh", np.tanh(x))):
    y = getattr(mx, name)(mx.array(x, dtype=mx.float64))
    error = np.max(abs(np.array(y) - exact) / abs(exact).clip(1e-6))
    print(f"{name}: {y.dtype}, relative error {error:.1e}")
    assert (error > 1e-12) == (name != "tanh"), "mended"
