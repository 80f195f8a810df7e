"""flax.nnx.GRUCell has no bias b_hn, which its own equation has, and which flax.linen.GRUCell has too.

    n = tanh(W_in x + b_in + r * (W_hn h + b_hn))

Known upstream: https://github.com/google/flax/issues/5594, open when this was written. Weights of linen, PyTorch,
cuDNN, Keras (reset_after) or ONNX (linear_before_reset) have no place to go to.

Expected: a bias of dense_h, or of the candidate's product with h alone.
"""

import flax
import jax
import jax.numpy as jnp
from flax import linen, nnx

print("flax", flax.__version__, "jax", jax.__version__)
cell = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
names = sorted(".".join(map(str, path)) for path, _ in nnx.to_flat_state(nnx.state(cell, nnx.Param)))
print("nnx:  ", names)
variables = linen.GRUCell(4).init(jax.random.key(0), jnp.zeros((1, 4)), jnp.zeros((1, 3)))
print("linen:", sorted(f"{gate}.{name}" for gate, parts in variables["params"].items() for name in parts))
assert names == ["dense_h.kernel", "dense_i.bias", "dense_i.kernel"], "mended"
