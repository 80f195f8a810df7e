"""Cells of flax.nnx with param_dtype float16 or bfloat16 cannot be constructed.

The default initializer is orthogonal, which needs a QR, and there is none of 16 bits. nnx.LSTMCell got a modified one
"for compatibility with half precision"; OptimizedLSTMCell, GRUCell and SimpleCell did not. Expected: all construct.
"""

import flax
import jax
import jax.numpy as jnp
from flax import nnx

print("flax", flax.__version__, "jax", jax.__version__)
for cell in (nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell):
    for dtype in (jnp.float16, jnp.bfloat16):
        try:
            cell(2, 3, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0))
            print(cell.__name__, dtype.__name__, "constructs")
            assert cell is nnx.LSTMCell, "mended"
        except NotImplementedError as error:
            print(cell.__name__, dtype.__name__, type(error).__name__, str(error).splitlines()[0][:100])
