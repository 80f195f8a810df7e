"""Flax on JAX: the cells of ``flax.nnx`` in its layer ``RNN``, a ``lax.scan``, and ``Bidirectional``; compiled by XLA.

Lengths are ``seq_lengths``. Past them Flax goes on computing and says so; the steps beyond are set to zero here, as its
users do. A stack is built from parts, one compiled layer after the other. The cells have one bias a gate, which takes
the sum of both, and no switch for it: without a bias it is zero. Of the equation that ``GRUCell`` documents, ``b_hn``
has no parameter; here the product with the state is given one, as that equation needs it.

Of float16 and bfloat16, products are summed in float32. float64 is switched on for the cases that have it, and only
while they run. Not offered by Flax, and so not claimed: GRU with the reset before the product, ``input_mode="skip"``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import flax
import jax
import numpy as np
from flax import nnx
from jax import numpy as jnp

from backends import Capabilities
from reference import Case, Cell, Direction, Layer, Result, Weights


class Flax:
    """``flax.nnx`` on the CPU."""

    name = "flax"
    capabilities = Capabilities(
        reset_after=(True,),
        input_modes=("linear",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        arithmetic={"float16": "float16-float32", "bfloat16": "bfloat16-float32"},
        few_shapes=True,
    )

    @property
    def description(self) -> str:
        """Versions and device."""
        return f"flax {flax.__version__}, jax {jax.__version__}, {jax.devices()[0].device_kind}"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        with jax.enable_x64(case.dtype == np.float64):
            return _run(case)


def _run(case: Case) -> Result:
    layer, directions = case.layer, case.layer.num_directions
    lengths = None if case.lengths is None else jnp.asarray(case.row_lengths, jnp.int32)
    y: Any = jnp.asarray(case.x)
    finals: list[Any] = []
    for number, module in enumerate(modules_of(layer, str(case.dtype))):
        slots = range(number * directions, (number + 1) * directions)
        for k, rnn in zip(slots, _rnns_of(module)):
            load_weights(rnn.cell, case.weights[k], layer)
        carry, y = _compiled(module, y, _initial_carry(case, slots), lengths)
        finals.extend(carry if directions == 2 else [carry])
    if lengths is not None:
        y = jnp.where(case.valid[:, :, None], y, 0)
    states = zip(*finals) if layer.cell is Cell.LSTM else [finals]  # the carry of an LSTM is (c, h)
    return Result(np.array(y), *(np.stack(parts) for parts in reversed(list(states))))


def _call(module: Any, x: Any, carry: Any, lengths: Any) -> Any:
    return module(x, initial_carry=carry, seq_lengths=lengths, return_carry=True)


_compiled = nnx.jit(_call)


@lru_cache(maxsize=64)
def modules_of(layer: Layer, dtype: str) -> list[Any]:
    """The layers of a stack; their parameters are overwritten in every run."""

    def rnn(number: int, **options: Any) -> Any:
        return nnx.RNN(_cell(layer, layer.input_size_of(number), jnp.dtype(dtype)), **options)

    if layer.direction is Direction.BIDIRECTIONAL:
        return [nnx.Bidirectional(rnn(number), rnn(number)) for number in range(layer.num_layers)]
    is_reverse = layer.direction is Direction.REVERSE
    return [rnn(number, reverse=is_reverse, keep_order=is_reverse) for number in range(layer.num_layers)]


def _cell(layer: Layer, inputs: int, dtype: Any) -> Any:
    options: dict[str, Any] = {"dtype": dtype, "param_dtype": dtype, "rngs": nnx.Rngs(0)}
    options |= {"kernel_init": _zeros, "bias_init": _zeros}
    if layer.cell is Cell.LSTM:
        return nnx.OptimizedLSTMCell(inputs, layer.hidden_size, **options, recurrent_kernel_init=_zeros)
    if layer.cell is Cell.RNN:
        options |= {"recurrent_kernel_init": _zeros, "activation_fn": getattr(nnx, layer.activation)}
        return nnx.SimpleCell(inputs, layer.hidden_size, **options)
    cell = nnx.GRUCell(inputs, layer.hidden_size, **options, recurrent_kernel_init=_zeros)
    cell.dense_h = nnx.Linear(layer.hidden_size, 3 * layer.hidden_size, **options)  # the same, with a bias
    return cell


def _zeros(_: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """In place of the defaults, of which one is not to be had in 16 bits, and all are compiled for every shape."""
    return jnp.asarray(np.zeros(shape, dtype))


def _rnns_of(module: Any) -> list[Any]:
    return [module.forward_rnn, module.backward_rnn] if isinstance(module, nnx.Bidirectional) else [module]


def load_weights(cell: Any, weights: Weights, layer: Layer) -> None:
    """Set the parameters: kernels (I, G*H) and (H, G*H) in our order of gates, and biases (G*H,)."""
    assert weights.w_ih is not None  # as it is in every layer of input_mode="linear", the only one that is claimed
    cell.dense_i.kernel[...] = jnp.asarray(weights.w_ih.reshape(-1, weights.w_ih.shape[2]).T)
    cell.dense_h.kernel[...] = jnp.asarray(weights.w_hh.reshape(-1, weights.w_hh.shape[2]).T)
    bias = weights.b_ih + weights.b_hh
    if layer.cell is Cell.LSTM:
        cell.dense_h.bias[...] = jnp.asarray(bias.reshape(-1))
    elif layer.cell is Cell.RNN:
        cell.dense_i.bias[...] = jnp.asarray(bias.reshape(-1))
    else:  # the bias of r and z on the side of the input, as GRUCell has it, and of n on either side
        apart = np.zeros_like(bias)
        bias[2], apart[2] = weights.b_ih[2], weights.b_hh[2]
        cell.dense_i.bias[...] = jnp.asarray(bias.reshape(-1))
        cell.dense_h.bias[...] = jnp.asarray(apart.reshape(-1))


def _initial_carry(case: Case, slots: range) -> Any:
    """The carry of one layer: (c, h) of an LSTM; a pair, forward and reverse, of a bidirectional layer."""
    if case.h_0 is None:
        return None
    carries: list[Any] = []
    for k in slots:
        h = jnp.asarray(case.h_0[k])
        carries.append(h if case.c_0 is None else (jnp.asarray(case.c_0[k]), h))
    return tuple(carries) if len(carries) == 2 else carries[0]
