"""MindSpore: ``mindspore.nn.RNN``, ``LSTM`` and ``GRU`` on the CPU, with ``seq_length`` for lengths.

Not offered by MindSpore, and so not claimed: GRU with the reset before the product, ``input_mode="skip"``, bfloat16 and
float64. A layer that only runs in reverse is built from parts: the valid steps of every row are reversed, run forwards,
and reversed again.

There are two backends, because MindSpore has two ways to run: PyNative, operator by operator, and Graph, where a layer
is compiled for the shapes of its inputs. Both compute an LSTM without lengths in oneDNN's kernel, and everything else
step by step from elementary operators.

In float16 the layers keep float32 parameters and convert them to the dtype of the input in every call.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import mindspore
import numpy as np
from mindspore import Tensor, mutable, nn, ops

from backends import Capabilities
from reference import Case, Cell, Direction, Layer, Result, Weights

_LAYERS = {Cell.RNN: nn.RNN, Cell.LSTM: nn.LSTM, Cell.GRU: nn.GRU}


class MindSpore:
    """MindSpore on the CPU in PyNative mode."""

    name = "mindspore"
    mode = mindspore.PYNATIVE_MODE
    capabilities = Capabilities(
        reset_after=(True,),
        input_modes=("linear",),
        dtypes=("float32", "float16"),
        arithmetic={"float16": "float16-float32"},
    )

    def __init__(self) -> None:
        _configure()

    @property
    def description(self) -> str:
        """Version, device and mode."""
        mode = "PyNative" if self.mode == mindspore.PYNATIVE_MODE else "Graph"
        return f"mindspore {mindspore.__version__}, cpu, {mode} mode"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        mindspore.set_context(mode=self.mode)
        return _run(case, layer_of(case.layer, self.mode))


class MindSporeGraph(MindSpore):
    """MindSpore on the CPU in Graph mode, which compiles a layer once for every shape of its inputs."""

    name = "mindspore-graph"
    mode = mindspore.GRAPH_MODE
    capabilities = replace(MindSpore.capabilities, few_shapes=True)


@lru_cache(maxsize=1)
def _configure() -> None:
    """Set up the process, once: MindSpore refuses to be told the number of threads again."""
    mindspore.set_device("CPU")
    # Handing each small operator over to another thread takes several times as long as computing it.
    mindspore.runtime.launch_blocking()
    mindspore.device_context.cpu.op_tuning.threads_num(1)


def _run(case: Case, module: Any) -> Result:
    layer = case.layer
    load_weights(module, case.weights, layer)
    x = Tensor(case.x)
    lengths = None if case.lengths is None else Tensor(case.row_lengths)
    state = None
    if case.h_0 is not None:
        # Graph mode takes the tensors of a plain tuple for constants, and compiles again when they change.
        state = Tensor(case.h_0) if case.c_0 is None else mutable((Tensor(case.h_0), Tensor(case.c_0)))
    if layer.direction is Direction.REVERSE:
        x = _reverse_valid_steps(x, case)
    y, final = module(x, state, lengths)
    if layer.direction is Direction.REVERSE:
        y = _reverse_valid_steps(y, case)
    h_n, c_n = final if layer.cell is Cell.LSTM else (final, None)
    return Result(y.asnumpy(), h_n.asnumpy(), None if c_n is None else c_n.asnumpy())


@lru_cache(maxsize=64)
def layer_of(layer: Layer, mode: int) -> Any:
    """A MindSpore layer for ``layer``, with what is compiled of it in ``mode``; its parameters change in every run."""
    options: dict[str, Any] = {"nonlinearity": layer.activation} if layer.cell is Cell.RNN else {}
    return _LAYERS[layer.cell](
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        has_bias=layer.bias,
        batch_first=True,
        bidirectional=layer.direction is Direction.BIDIRECTIONAL,
        **options,
    ).set_train(False)


def load_weights(module: Any, weights: tuple[Weights, ...], layer: Layer) -> None:
    """Copy the weights: MindSpore stacks the gates, in the same order, on the first axis, and names them as torch."""
    parameters = module.parameters_dict()
    for k, w in enumerate(weights):
        number, direction = divmod(k, layer.num_directions)
        suffix = f"_l{number}" + ("_reverse" if direction else "")
        assert w.w_ih is not None  # as it is in every layer of input_mode="linear", the only one that is claimed
        arrays = {"weight_ih": w.w_ih, "weight_hh": w.w_hh}
        if layer.bias:
            arrays |= {"bias_ih": w.b_ih, "bias_hh": w.b_hh}
        for name, array in arrays.items():
            parameter = parameters[name + suffix]
            parameter.set_data(Tensor(array.reshape(parameter.shape).astype(np.float32)))


def _reverse_valid_steps(x: Any, case: Case) -> Any:
    """(B, T, N) with the valid steps of every row in reverse order, and the padding where it was."""
    return ops.reverse_sequence(x, Tensor(case.row_lengths), seq_dim=1, batch_dim=0)
