"""flax.nnx.SimpleCell computes in float32 whatever the dtype of its inputs and parameters.

Its dtype defaults to float32; that of LSTMCell, OptimizedLSTMCell, GRUCell and of flax.linen.SimpleCell to None, which
is "infer from inputs and params". float64 models lose half of their bits without a word.

Expected: float64, four times.
"""

import flax
import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
from flax import linen, nnx

print("flax", flax.__version__, "jax", jax.__version__)
x, h = jnp.ones((1, 2), jnp.float64), jnp.ones((1, 3), jnp.float64)
for cell, carry in ((nnx.SimpleCell, h), (nnx.GRUCell, h), (nnx.OptimizedLSTMCell, (h, h))):
    y = cell(2, 3, param_dtype=jnp.float64, rngs=nnx.Rngs(0))(carry, x)[1]
    print("nnx", cell.__name__, y.dtype)
    assert (y.dtype == jnp.float32) == (cell is nnx.SimpleCell), "mended"
cell = linen.SimpleCell(3, param_dtype=jnp.float64)
print("linen SimpleCell", cell.apply(cell.init(jax.random.key(0), h, x), h, x)[1].dtype)
