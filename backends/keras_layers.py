"""Keras: the layers ``SimpleRNN``, ``LSTM`` and ``GRU``, on the Keras backend that KERAS_BACKEND names, or on torch.

Lengths are a mask. Past them a layer repeats its last output unless ``zero_output_for_mask`` is set, as it is here. A
bidirectional layer is a ``Bidirectional``. A layer that only runs in reverse has ``go_backwards``; it returns its
outputs in the order of computation, so they are reversed here, as ``Bidirectional`` does. A stack is built from parts,
one layer after the other. A row of length 0 keeps its initial state.

Of float16 and bfloat16, every operation returns the dtype and products are summed in float32. Not offered by Keras, and
so not claimed: ``input_mode="skip"``.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")  # read once, when keras is imported
import keras

from backends import Capabilities
from reference import Array, Case, Cell, Direction, Layer, Result, Weights

_LAYERS = {Cell.RNN: keras.layers.SimpleRNN, Cell.LSTM: keras.layers.LSTM, Cell.GRU: keras.layers.GRU}
_ORDERS = {Cell.RNN: [0], Cell.LSTM: [0, 1, 2, 3], Cell.GRU: [1, 0, 2]}
"""Where the gates of Keras, in its order ifco and zrh, stand in ours, ifgo and rzn."""


class Keras:
    """Keras layers, called eagerly."""

    name = "keras"
    capabilities = Capabilities(
        input_modes=("linear",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        arithmetic={"float16": "float16-float32", "bfloat16": "bfloat16-float32"},
    )

    @property
    def description(self) -> str:
        """Version and the backend of Keras."""
        return f"keras {keras.__version__} on {keras.backend.backend()}"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        layer, directions = case.layer, case.layer.num_directions
        mask = None if case.lengths is None else case.valid
        y, finals = case.x, []
        for number, built in enumerate(layers_of(layer, str(case.dtype))):
            slots = range(number * directions, (number + 1) * directions)
            built.set_weights([array for k in slots for array in packed(case.weights[k], layer)])
            y, *final = built(y, mask=mask, initial_state=_initial_state(case, slots))
            if layer.direction is Direction.REVERSE:
                y = keras.ops.flip(y, axis=1)
            finals.extend(final)
        states = [np.stack([_array(state, case) for state in finals])]
        if layer.cell is Cell.LSTM:  # h and c in turn
            states = [states[0][::2], states[0][1::2]]
        return Result(_array(y, case), *states)


@lru_cache(maxsize=64)
def layers_of(layer: Layer, dtype: str) -> list[Any]:
    """The built Keras layers of a stack; their weights are overwritten in every run."""
    # The default, an orthogonal matrix, is not to be had in 16 bits on every backend of Keras.
    options: dict[str, Any] = {"activation": layer.activation, "recurrent_initializer": "zeros"}
    if layer.cell is Cell.GRU:
        options["reset_after"] = layer.reset_after
    stack = []
    for number in range(layer.num_layers):
        built = _LAYERS[layer.cell](
            layer.hidden_size,
            use_bias=layer.bias,
            return_sequences=True,
            return_state=True,
            go_backwards=layer.direction is Direction.REVERSE,
            zero_output_for_mask=True,
            dtype=dtype,
            **options,
        )
        if layer.direction is Direction.BIDIRECTIONAL:
            built = keras.layers.Bidirectional(built, dtype=dtype)
        built.build((None, None, layer.input_size_of(number)))
        stack.append(built)
    return stack


def packed(weights: Weights, layer: Layer) -> list[Array]:
    """Kernel (I, G*H), recurrent kernel (H, G*H), and the bias: (2, G*H) for a GRU that resets after the product.

    The other cells have one bias (G*H,), the sum of both.
    """
    order = _ORDERS[layer.cell]
    assert weights.w_ih is not None  # as it is in every layer of input_mode="linear", the only one that is claimed
    kernels = [w[order].reshape(-1, w.shape[2]).T for w in (weights.w_ih, weights.w_hh)]
    if not layer.bias:
        return kernels
    biases = np.stack([b[order].reshape(-1) for b in (weights.b_ih, weights.b_hh)])
    return [*kernels, biases if layer.cell is Cell.GRU and layer.reset_after else biases[0] + biases[1]]


def _initial_state(case: Case, slots: range) -> list[Array] | None:
    if case.h_0 is None:
        return None
    states = [case.h_0] if case.c_0 is None else [case.h_0, case.c_0]
    return [state[k] for k in slots for state in states]


def _array(tensor: Any, case: Case) -> Array:
    array: Array = np.array(keras.ops.convert_to_numpy(tensor))
    return array
