"""What TensorRT does differently."""

from __future__ import annotations

from conformance.deviations.deviation import Deviation

DEVIATIONS = (
    Deviation(
        name="tensorrt-parser-ignores-layout",
        framework="TensorRT-RTX 1.7.1",
        backends=("tensorrt-network",),
        does="The ONNX parser ignores layout = 1, batch first, of RNN, LSTM and GRU.",
        should="ONNX has had the attribute since opset 14: the first axis of X is the batch. Or the model is refused.",
        seen="X (5, 3, 4) gives Y (5, 1, 3, 6) where it should give (5, 3, 1, 6), and no warning.",
        links=("https://onnx.ai/onnx/operators/onnx__LSTM.html",),
    ),
)
