"""PyTorch: ``torch.nn.RNN``, ``LSTM`` and ``GRU``, with packed sequences for lengths.

Not offered by PyTorch, and so not claimed: GRU with the reset before the product, ``input_mode="skip"``, rows of
length 0 (``pack_padded_sequence`` refuses them). A layer that only runs in reverse is built from parts, as PyTorch's
users do it: the valid steps of every row are reversed, run forwards, and reversed again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from backends import BackendError, Capabilities
from reference import Array, Case, Cell, Direction, Layer, Result, Weights

_MODULES = {Cell.RNN: torch.nn.RNN, Cell.LSTM: torch.nn.LSTM, Cell.GRU: torch.nn.GRU}
_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class PyTorch:
    """PyTorch on the CPU."""

    name = "pytorch"
    device = "cpu"
    capabilities = Capabilities(
        reset_after=(True,),
        zero_length="reject",
        input_modes=("linear",),
        dtypes=tuple(_DTYPES),
        arithmetic={"float16": "float16-float32", "bfloat16": "bfloat16-float32"},
    )

    @property
    def description(self) -> str:
        """Version, device and, on the CPU, the number of threads."""
        return f"torch {torch.__version__}, cpu, {torch.get_num_threads()} threads"

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        with torch.no_grad():
            return _run(case, self.device)


class PyTorchCuda(PyTorch):
    """PyTorch on the first CUDA device, through cuDNN, with TF32 switched off."""

    name = "pytorch-cuda"
    device = "cuda"
    tf32 = False

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise BackendError(f"backend {self.name!r} needs a CUDA device, and torch {torch.__version__} sees none")

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        torch.backends.cuda.matmul.allow_tf32 = self.tf32
        torch.backends.cudnn.allow_tf32 = self.tf32
        return super().run(case)

    @property
    def description(self) -> str:
        """Version, device and cuDNN."""
        cudnn = torch.backends.cudnn.version()
        return f"torch {torch.__version__}, {torch.cuda.get_device_name()}, cuDNN {cudnn}"


class PyTorchCudaTf32(PyTorchCuda):
    """The same with TF32 switched on, which it is by default within cuDNN."""

    name = "pytorch-cuda-tf32"
    tf32 = True
    capabilities = replace(
        PyTorchCuda.capabilities, arithmetic={**PyTorchCuda.capabilities.arithmetic, "float32": "tf32"}
    )


def _run(case: Case, device: str) -> Result:
    layer = case.layer
    lengths = None if case.lengths is None else case.row_lengths
    module = module_of(layer, str(case.dtype), device)
    load_weights(module, case.weights, layer)
    x = _tensor(case.x, device)
    state = None
    if case.h_0 is not None:
        state = (
            _tensor(case.h_0, device) if case.c_0 is None else (_tensor(case.h_0, device), _tensor(case.c_0, device))
        )
    if layer.direction is Direction.REVERSE:
        x = _reverse_valid_steps(x, lengths)
    if lengths is None:
        y, final = module(x, state)
    else:
        sequences = pack_padded_sequence(x, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False)
        packed, final = module(sequences, state)
        y, _ = pad_packed_sequence(packed, batch_first=True, total_length=case.num_steps)
    if layer.direction is Direction.REVERSE:
        y = _reverse_valid_steps(y, lengths)
    h_n, c_n = final if layer.cell is Cell.LSTM else (final, None)
    return Result(_array(y), _array(h_n), None if c_n is None else _array(c_n))


@lru_cache(maxsize=64)
def module_of(layer: Layer, dtype: str, device: str) -> Any:
    """A torch module for ``layer``; its parameters are overwritten in every run."""
    options: dict[str, Any] = {"nonlinearity": layer.activation} if layer.cell is Cell.RNN else {}
    return _MODULES[layer.cell](
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bias=layer.bias,
        batch_first=True,
        bidirectional=layer.direction is Direction.BIDIRECTIONAL,
        dtype=_DTYPES[dtype],
        device=device,
        **options,
    ).eval()


def load_weights(module: Any, weights: tuple[Weights, ...], layer: Layer) -> None:
    """Copy the weights: torch stacks the gates, in the same order, on the first axis."""
    for k, w in enumerate(weights):
        number, direction = divmod(k, layer.num_directions)
        suffix = f"_l{number}" + ("_reverse" if direction else "")
        assert w.w_ih is not None  # as it is in every layer of input_mode="linear", the only one that is claimed
        parameters = {"weight_ih": w.w_ih, "weight_hh": w.w_hh}
        if layer.bias:
            parameters |= {"bias_ih": w.b_ih, "bias_hh": w.b_hh}
        for name, array in parameters.items():
            parameter = getattr(module, name + suffix)
            parameter.copy_(_tensor(array, "cpu").reshape(parameter.shape))


def _reverse_valid_steps(x: torch.Tensor, lengths: Array | None) -> torch.Tensor:
    """(B, T, N) with the valid steps of every row in reverse order, and the padding where it was."""
    if lengths is None:
        return x.flip(1)
    t, n = torch.arange(x.shape[1])[None], torch.from_numpy(lengths)[:, None]
    source = torch.where(t < n, n - 1 - t, t).to(x.device)
    return x.gather(1, source[:, :, None].expand(x.shape))


def _tensor(array: Array, device: str) -> torch.Tensor:
    """A tensor with the content, and where torch can express them the strides, of ``array``."""
    if any(stride < 0 for stride in array.strides) or not array.flags.writeable:
        array = array.copy()
    if array.dtype.name == "bfloat16":  # numpy knows it only by extension, so the bits go over as integers
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


def _array(tensor: torch.Tensor) -> Array:
    is_bfloat16 = tensor.dtype is torch.bfloat16
    array: Array = (tensor.view(torch.int16) if is_bfloat16 else tensor).cpu().numpy()
    if is_bfloat16:
        import ml_dtypes

        return array.view(ml_dtypes.bfloat16)
    return array
