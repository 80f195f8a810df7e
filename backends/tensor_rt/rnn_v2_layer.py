"""The RNNv2 layer itself, which TensorRT had up to 8: the backend ``tensorrt-rnnv2``.

``tensorrt==8.5.3.1`` (Python 3.6 to 3.10) is the last whole package on the public index that has it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from backends import BackendError, Capabilities
from backends.tensor_rt import api
from backends.tensor_rt.compiling import compiled
from backends.tensor_rt.network import CAPABILITIES, input_shapes
from backends.tensor_rt.rnn_v2 import GATES
from backends.tensor_rt.runtime import OnGpu
from backends.tensor_rt.tensors import Tensors
from reference import Case, Cell, Direction

RNN_V2_CAPABILITIES = Capabilities(
    directions=(Direction.FORWARD, Direction.BIDIRECTIONAL),
    reset_after=(True,),
    zero_length="reject",
    dtypes=CAPABILITIES.dtypes,
    arithmetic=CAPABILITIES.arithmetic,
)
"""What TensorRT documents of RNNv2: no reverse layer alone, a GRU as cuDNN has it, lengths of at least 1."""


def tensorrt_rnnv2() -> OnGpu:
    """RNNv2 on the GPU; :class:`backends.BackendError` where TensorRT has none any more."""
    trt = api.tensorrt("tensorrt")
    if not hasattr(trt, "RNNOperation"):
        raise BackendError(f"backend 'tensorrt-rnnv2' needs TensorRT 8, the last with RNNv2, but has {trt.__version__}")
    return OnGpu("tensorrt-rnnv2", "tensorrt", plan_of=rnn_v2_plan, claimed=RNN_V2_CAPABILITIES, resizable=False)


def rnn_v2_plan(case: Case, trt: ModuleType, tf32: bool) -> bytes:
    """The engine of the RNNv2 layer of a case, for just its sizes."""
    contiguous = case.map(np.ascontiguousarray)  # which the builder reads, so that it has to live until then
    return compiled(rnn_v2_network(contiguous, trt), tf32=tf32)


def rnn_v2_network(case: Case, trt: ModuleType) -> Any:
    """The RNNv2 layer of a case, with the inputs and outputs of :func:`backends.tensor_rt.network.loop_network`.

    It reads the weights of the case when it is built; they have to be contiguous, and to live until then.
    """
    layer = case.layer
    network = api.empty_network(trt)
    t = Tensors(network)
    given = (case.lengths is not None, case.h_0 is not None)
    inputs = {
        name: network.add_input(name, api.data_type(trt, "int32" if name == "lengths" else case.dtype), shape)
        for name, shape in input_shapes(layer, case.batch_size, case.num_steps, *given).items()
    }
    name = layer.activation.upper() if layer.cell is Cell.RNN else layer.cell.name
    operation = getattr(trt.RNNOperation, name)
    rnn = network.add_rnn_v2(inputs["x"], layer.num_layers, layer.hidden_size, case.num_steps, operation)
    if layer.direction is Direction.BIDIRECTIONAL:
        rnn.direction = trt.RNNDirection.BIDIRECTION
    if layer.input_mode == "skip":
        rnn.input_mode = trt.RNNInputMode.SKIP
    if "lengths" in inputs:
        rnn.seq_lengths = inputs["lengths"]
    if "h_0" in inputs:
        rnn.hidden_state = t.transpose(inputs["h_0"])
    if "c_0" in inputs:
        rnn.cell_state = t.transpose(inputs["c_0"])
    for index, w in enumerate(case.weights):
        for g, gate in enumerate(getattr(trt.RNNGateType, gate.name) for gate in GATES[layer.cell]):
            if w.w_ih is not None:
                rnn.set_weights_for_gate(index, gate, True, w.w_ih[g])
            rnn.set_weights_for_gate(index, gate, False, w.w_hh[g])
            rnn.set_bias_for_gate(index, gate, True, w.b_ih[g])
            rnn.set_bias_for_gate(index, gate, False, w.b_hh[g])
    outputs = {"y": rnn.get_output(0), "h_n": t.transpose(rnn.get_output(1))}
    if layer.cell is Cell.LSTM:
        outputs["c_n"] = t.transpose(rnn.get_output(2))
    for name, tensor in outputs.items():
        tensor.name = name
        network.mark_output(tensor)
    return network
