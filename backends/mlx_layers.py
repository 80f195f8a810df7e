"""MLX: ``mlx.nn.RNN``, ``LSTM`` and ``GRU`` on the CPU.

The layers return every state of a forward run, and know no lengths, directions or stacks. What MLX's users build from
them is built here: the state after the last valid step is selected, and so a row of length 0 keeps its initial state;
the reverse direction runs over the valid steps in reverse order; directions are concatenated; layers follow each other.

The LSTM and the RNN have one bias a gate, which takes the sum of both. Of float16 and bfloat16, products are summed in
float32. Not offered by MLX, and so not claimed: GRU with the reset before the product, ``input_mode="skip"``.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from mlx import core as mx
from mlx import nn

from backends import Capabilities
from reference import Array, Case, Cell, Direction, Layer, Result, Weights


class Mlx:
    """MLX layers, on the CPU, which has float64 too."""

    name = "mlx"
    capabilities = Capabilities(
        reset_after=(True,),
        input_modes=("linear",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        arithmetic={"float16": "float16-float32", "bfloat16": "bfloat16-float32"},
    )

    @property
    def description(self) -> str:
        """Version and device."""
        return f"mlx {version('mlx')}, cpu"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        with mx.stream(mx.cpu):
            y: Any = _tensor(case.x)
            finals: list[Any] = []
            for number in range(case.layer.num_layers):
                slots = range(number * case.layer.num_directions, (number + 1) * case.layer.num_directions)
                sides = [_one_direction(case, k, y) for k in slots]
                y = mx.concatenate([outputs for outputs, _ in sides], axis=-1)
                finals.extend(states for _, states in sides)
            y = mx.where(mx.array(case.valid)[:, :, None], y, mx.zeros_like(y))
            return Result(_array(y), *(_array(mx.stack(list(parts))) for parts in zip(*finals)))


def _one_direction(case: Case, k: int, x: Any) -> tuple[Any, list[Any]]:
    """The outputs, whatever they are past the lengths, and the final states of one direction of one layer."""
    layer, lengths = case.layer, case.row_lengths
    is_reverse = layer.direction is Direction.REVERSE or k % layer.num_directions == 1
    module = module_of(layer, k // layer.num_directions)
    load_weights(module, case.weights[k], layer)
    initial = [None if state is None else _tensor(state[k]) for state in (case.h_0, case.c_0)]
    if is_reverse:
        x = _reverse_valid_steps(x, lengths)
    every = list(module(x, *initial)) if layer.cell is Cell.LSTM else [module(x, initial[0])]
    finals = [_last_valid(states, first, lengths) for states, first in zip(every, initial)]
    return (_reverse_valid_steps(every[0], lengths) if is_reverse else every[0]), finals


@lru_cache(maxsize=64)
def module_of(layer: Layer, number: int) -> Any:
    """The module of one layer of a stack; its parameters are overwritten in every run."""
    sizes = layer.input_size_of(number), layer.hidden_size
    if layer.cell is Cell.LSTM:
        return nn.LSTM(*sizes, bias=layer.bias)
    if layer.cell is Cell.GRU:
        return nn.GRU(*sizes, bias=layer.bias)
    return nn.RNN(*sizes, bias=layer.bias, nonlinearity=mx.tanh if layer.activation == "tanh" else nn.relu)


def load_weights(module: Any, weights: Weights, layer: Layer) -> None:
    """Set the parameters: MLX stacks the gates, in our order, on the first axis."""
    assert weights.w_ih is not None  # as it is in every layer of input_mode="linear", the only one that is claimed
    w_ih, w_hh = (_tensor(w.reshape(-1, w.shape[2])) for w in (weights.w_ih, weights.w_hh))
    if layer.cell is Cell.RNN:
        module.Wxh, module.Whh = w_ih, w_hh
    else:
        module.Wx, module.Wh = w_ih, w_hh
    if not layer.bias:
        return
    if layer.cell is Cell.GRU:  # r and z have one bias, n has both
        both = np.concatenate([(weights.b_ih + weights.b_hh)[:2], weights.b_ih[2:]])
        module.b, module.bhn = _tensor(both.reshape(-1)), _tensor(weights.b_hh[2])
    else:
        module.bias = _tensor((weights.b_ih + weights.b_hh).reshape(-1))


def _last_valid(states: Any, initial: Any, lengths: Array) -> Any:
    """Of states (B, T, H), those after the last valid step (B, H)."""
    last = mx.array(np.maximum(lengths - 1, 0))[:, None, None]
    found = mx.take_along_axis(states, mx.broadcast_to(last, (len(lengths), 1, states.shape[2])), axis=1)[:, 0]
    return mx.where(mx.array(lengths > 0)[:, None], found, mx.zeros_like(found) if initial is None else initial)


def _reverse_valid_steps(x: Any, lengths: Array) -> Any:
    """(B, T, N) with the valid steps of every row in reverse order, and the padding where it was."""
    t, n = np.arange(x.shape[1])[None], lengths[:, None]
    source = mx.array(np.where(t < n, n - 1 - t, t))[:, :, None]
    return mx.take_along_axis(x, mx.broadcast_to(source, x.shape), axis=1)


def _tensor(array: Array) -> Any:
    array = np.ascontiguousarray(array)  # MLX refuses negative strides
    if array.dtype.name == "bfloat16":  # numpy knows it only by extension, so the bits go over as integers
        return mx.array(array.view(np.uint16)).view(mx.bfloat16)
    return mx.array(array, dtype=getattr(mx, array.dtype.name))


def _array(tensor: Any) -> Array:
    if tensor.dtype == mx.bfloat16:
        import ml_dtypes

        return np.array(tensor.view(mx.uint16)).view(ml_dtypes.bfloat16)
    return np.array(tensor)
