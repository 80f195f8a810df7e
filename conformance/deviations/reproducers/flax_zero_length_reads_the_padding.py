"""Flax's RNN with seq_lengths returns for a row of length 0 the carry after all of its padding, in nnx and in linen.

The documentation: elements past the length "will be considered padding and will be ignored", and with return_carry
the carry is "the state of the last valid element of each sequence". _select_last_carry takes carries[seq_lengths - 1],
which for length 0 is carries[-1], the last one. NaN in the padding comes out.

Expected: the initial carry, 0.5, whatever stands in the padding.
"""

import flax
import jax
import jax.numpy as jnp
from flax import linen, nnx

print("flax", flax.__version__, "jax", jax.__version__)
lengths, carry = jnp.array([0]), jnp.array([[0.5]])
layer = nnx.RNN(nnx.SimpleCell(1, 1, rngs=nnx.Rngs(0)), return_carry=True)
old = linen.RNN(linen.SimpleCell(1), return_carry=True)
variables = old.init(jax.random.key(0), jnp.zeros((1, 2, 1)))
for padding in (1.0, 2.0, jnp.nan):
    x = jnp.full((1, 2, 1), padding)
    new = layer(x, initial_carry=carry, seq_lengths=lengths)[0].item()
    former = old.apply(variables, x, initial_carry=carry, seq_lengths=lengths)[0].item()
    print(f"padding {padding}: nnx {new}, linen {former}, but should be 0.5")
    assert new != 0.5 and former != 0.5, "mended"
