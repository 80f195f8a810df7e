"""Flax's RNN with seq_lengths and return_carry picks wrong carries where the batch has more than one axis.

The documentation: inputs are (*batch, time, *features) and seq_lengths (*batch). _select_last_carry indexes
carries[seq_lengths - 1, arange(B1)], which fits one batch axis only: with (B1, B2) it raises where B2 does not fit B1,
and where it does, it silently returns an array of the wrong shape.
"""

import flax
import jax
import jax.numpy as jnp
from flax import nnx

print("flax", flax.__version__, "jax", jax.__version__)
layer = nnx.RNN(nnx.SimpleCell(1, 1, rngs=nnx.Rngs(0)), return_carry=True)
for batch in ((2, 2), (2, 3)):
    should = (*batch, 1)
    try:
        carry, _ = layer(jnp.ones((*batch, 4, 1)), seq_lengths=jnp.full(batch, 2))
    except ValueError as error:
        print(f"batch {batch}: {str(error).splitlines()[0]}")
    else:
        print(f"batch {batch}: the carry has the shape {carry.shape}, but should have {should}")
        assert carry.shape != should, "mended"
