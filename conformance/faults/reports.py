"""The kinds of fault that recurrent layers have shipped with, and public reports of them.

A sample of what goes wrong, and no boundary: most faults of the catalogue are argued from what can differ between two
implementations. A kind that the catalogue does not express says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Report:
    """A public report."""

    url: str
    """Its address. It was read: its description, or the comment or the change that shows the fault."""

    @property
    def title(self) -> str:
        """``owner/repository#number``, or whatever comes next to it."""
        parts = self.url.removeprefix("https://github.com/").split("/")
        return f"{parts[0]}/{parts[1]}#{parts[-1]}" if parts[2] in ("issues", "pull") else "/".join(parts)


@dataclass(frozen=True)
class Kind:
    """One way in which implementations have been wrong."""

    says: str
    reports: tuple[Report, ...]
    not_expressed: str | None = None
    """Why no fault of the catalogue is of this kind; None where some are."""


def issue(repository: str, *numbers: int) -> tuple[Report, ...]:
    """Issues of a repository on GitHub."""
    return tuple(Report(f"https://github.com/{repository}/issues/{number}") for number in numbers)


def pull(repository: str, *numbers: int) -> tuple[Report, ...]:
    """Pull requests of a repository on GitHub."""
    return tuple(Report(f"https://github.com/{repository}/pull/{number}") for number in numbers)


def commit(repository: str, name: str) -> tuple[Report, ...]:
    """A commit of a repository on GitHub, where the fault is told by nothing but its correction."""
    return (Report(f"https://github.com/{repository}/commit/{name}"),)


NO_PEEPHOLES = "no cell here has peepholes"
NO_GRADIENTS = "no gradients are computed here"

CLASSES: Mapping[str, Kind] = MappingProxyType(
    {
        "F01": Kind(
            "The gate blocks of an LSTM are read in another order than they are stored, or documented, in",
            pull("CrispStrobe/CrispASR", 106) + pull("apple/coremltools", 93),
        ),
        "F02": Kind(
            "The update gate and the reset gate of a GRU change places",
            pull("openvinotoolkit/openvino", 17651) + commit("CrispStrobe/CrispASR", "fe28cf3"),
        ),
        "F03": Kind(
            "Peephole weights are read in another order than they are stored in",
            pull("opencv/opencv", 29931) + pull("webmachinelearning/webnn-baseline", 81),
            NO_PEEPHOLES,
        ),
        "F04": Kind(
            "A matrix is used untransposed",
            issue("keras-team/keras", 8720) + pull("onnx/onnx", 920),
        ),
        "F05": Kind(
            "The parameters of an upper layer or a second direction are read at a wrong offset",
            issue("apache/mxnet", 17818) + pull("apache/mxnet", 17872),
        ),
        "F06": Kind(
            "One of the two biases is dropped, added twice, or filled from the other",
            pull("PINTO0309/onnx2tf", 291)
            + issue("onnx/keras-onnx", 98)
            + pull("onnx/keras-onnx", 103)
            + issue("ml-explore/mlx", 3249)
            + issue("google/flax", 5594)
            + issue("lisa-lab/DeepLearningTutorials", 81),
        ),
        "F07": Kind(
            "The recurrent bias of a GRU's candidate is on the wrong side of the reset gate",
            issue("apple/coremltools", 1124)
            + issue("webmachinelearning/webnn", 689)
            + issue("nntrainer/nntrainer", 1768),
        ),
        "F08": Kind(
            "The bias of the forget gate, or a peephole, is added after the sigmoid",
            pull("apache/tvm", 3410) + issue("Lasagne/Lasagne", 448),
        ),
        "F09": Kind(
            "Where a layer has no bias, a buffer is not allocated or not cleared",
            pull("microsoft/onnxruntime", 3893, 3797),
        ),
        "F10": Kind(
            "The other one of the two GRUs is computed",
            issue("microsoft/onnxscript", 2852) + issue("tracel-ai/burn", 2701) + issue("pytorch/pytorch", 189225),
        ),
        "F11": Kind(
            "A GRU blends old and new state the wrong way round",
            pull("ElektrischesSchaf/LayerNorm_GRU", 1)
            + issue("XiaLiPKU/RESCAN", 2)
            + issue("bionick87/ConvGRUCell-pytorch", 1),
        ),
        "F12": Kind(
            "The hidden state of an LSTM is made of something else than the new cell state",
            commit("MartinuzziFrancesco/RecurrentLayers.jl", "d59f996"),
        ),
        "F13": Kind(
            "The output gate's peephole looks at the old cell state",
            pull("MartinuzziFrancesco/RecurrentLayers.jl", 134),
            NO_PEEPHOLES,
        ),
        "F14": Kind("Peephole weights are accepted and ignored", pull("PINTO0309/onnx2tf", 286), NO_PEEPHOLES),
        "F15": Kind(
            "A step does not start from the state that the step before left",
            issue("tracel-ai/burn", 2701) + pull("tracel-ai/burn", 2704),
        ),
        "F16": Kind("The state is overwritten while it is still being read", pull("onnx/onnx-mlir", 367)),
        "F17": Kind(
            "Another activation is applied than was asked for, or none",
            issue("sonos/tract", 2751) + issue("onnx/tensorflow-onnx", 2211) + issue("XiaLiPKU/RESCAN", 2),
        ),
        "F18": Kind(
            "Sigmoid and hard sigmoid are confused",
            issue("sonos/tract", 2751) + issue("tensorflow/tensorflow", 47495),
        ),
        "F19": Kind(
            "Sigmoid or tanh does not saturate",
            issue("clab/dynet", 1525)
            + issue("ARM-software/ComputeLibrary", 779)
            + pull("BVLC/caffe", 1455)
            + pull("ooples/AiDotNet.Tensors", 594),
        ),
        "F20": Kind(
            "A clip that is asked for is not applied, or not everywhere",
            issue("sonos/tract", 2751) + issue("microsoft/onnxruntime", 27224),
            "no layer here has a clip to ask for; clipping that nobody asked for is in the catalogue",
        ),
        "F21": Kind(
            "The reverse direction runs forwards",
            pull("apache/tvm", 15261) + issue("stanfordmlgroup/nlc", 8),
        ),
        "F22": Kind(
            "The outputs of the reverse direction stand in the order of computation",
            issue("microsoft/onnxruntime", 4187)
            + issue("onnx/keras-onnx", 523)
            + pull("PINTO0309/onnx2tf", 287)
            + issue("VeriSilicon/TIM-VX", 401)
            + pull("VeriSilicon/TIM-VX", 520)
            + issue("keras-team/keras", 1431),
        ),
        "F23": Kind(
            "The second direction uses parameters of the first",
            pull("PaddlePaddle/PaddleSpeech", 802, 794) + issue("fordDeepDSP/deepSpeech", 20),
        ),
        "F24": Kind(
            "The outputs of the two directions are put together along the wrong axis or in the wrong order",
            issue("pytorch/pytorch", 10838) + pull("pytorch/pytorch", 11368),
        ),
        "F25": Kind(
            "Lengths are ignored, or not passed on to every layer",
            pull("pytorch/glow", 5512) + issue("apache/mxnet", 19323) + pull("onnx/onnx-mlir", 2479),
        ),
        "F26": Kind(
            "The reverse direction of a short row starts in its padding",
            issue("onnx/onnx-tensorflow", 342) + pull("jax-ml/jax", 15169) + pull("tensorflow/tensor2tensor", 859),
        ),
        "F27": Kind(
            "The final state is not that after the last valid step",
            issue("ray-project/ray", 21392) + pull("onnx/onnx-mlir", 2479) + pull("jax-ml/jax", 15169),
        ),
        "F28": Kind(
            "What stands in the outputs past the length of a row was never written",
            pull("microsoft/onnxruntime", 1361, 1193),
        ),
        "F29": Kind("Past the length of a row the outputs hold its last state", issue("microsoft/onnxruntime", 12492)),
        "F30": Kind("Padding is masked by a product, which passes NaN on", pull("keras-team/keras", 449)),
        "F31": Kind(
            "A row of length 0 is mistaken for one of another length, or its outputs are not written",
            pull("microsoft/onnxruntime", 28052, 749) + pull("onnx/keras-onnx", 386),
        ),
        "F32": Kind(
            "Initial states are ignored",
            pull("ARM-software/CMSIS-NN", 219) + pull("tensorflow/tflite-micro", 3564) + issue("Tencent/ncnn", 1012),
        ),
        "F33": Kind(
            "Initial or final states go to the wrong direction",
            issue("onnx/onnx-tensorflow", 409)
            + issue("microsoft/onnxruntime", 1607)
            + pull("microsoft/onnxruntime", 1626)
            + pull("PaddlePaddle/Paddle", 27644),
        ),
        "F34": Kind(
            "Initial states go to the wrong layer",
            pull("pytorch/pytorch", 95137) + issue("onnx/onnx", 921),
        ),
        "F35": Kind(
            "Initial states of one row are used for all, or read along another axis",
            issue("pytorch/pytorch", 3789, 6178) + pull("pytorch/pytorch", 4074),
        ),
        "F36": Kind("The state of one call is left for the next", issue("tensorflow/tensorflow", 47813)),
        "F37": Kind(
            "An output is missing, or another one is returned for it",
            pull("onnx/onnx", 7664) + pull("kendryte/nncase", 475),
        ),
        "F38": Kind(
            "One step is returned where the sequence is wanted, or another step",
            pull("tflearn/tflearn", 229) + issue("alibaba/MNN", 1138),
        ),
        "F39": Kind(
            "Batch and time change places in an input or output",
            issue("pytorch/pytorch", 80306)
            + pull("pytorch/pytorch", 80597)
            + issue("alibaba/MNN", 1138)
            + issue("NISCHALPI/xLSTM-and-mLSTM", 2),
        ),
        "F40": Kind(
            "Only the first rows of a batch are right",
            issue("tensorflow/tensorflow", 51561)
            + pull("ARM-software/CMSIS-NN", 219)
            + pull("tensorflow/tflite-micro", 3564),
        ),
        "F41": Kind(
            "The input size is taken to be the hidden size",
            issue("dmlc/mxnet-notebooks", 2) + issue("apache/mxnet", 17479),
        ),
        "F42": Kind(
            "Dropout is active though the layer is not being trained",
            issue("espnet/espnet", 230) + issue("pytorch/pytorch", 180744),
        ),
        "F43": Kind(
            "Arrays that are not contiguous are misread", issue("pytorch/pytorch", 619) + pull("pytorch/pytorch", 620)
        ),
        "F44": Kind(
            "Axes of size 1 get lost",
            issue("onnx/onnx-tensorflow", 949) + issue("webmachinelearning/webnn", 889),
        ),
        "F45": Kind(
            "Products are summed, or states kept, in fewer bits than are claimed",
            issue("jax-ml/ml_dtypes", 63) + pull("microsoft/onnxruntime", 20338) + issue("IBM/aihwkit", 766),
        ),
        "F46": Kind(
            "The gradient with respect to the final cell state is dropped",
            issue("deeplearning4j/deeplearning4j", 8838),
            NO_GRADIENTS,
        ),
        "F47": Kind(
            "The gradient does not flow from step to step",
            pull("ooples/AiDotNet", 722),
            NO_GRADIENTS,
        ),
        "F48": Kind(
            "The gradient of one layer or direction overwrites what another still reads",
            pull("apache/mxnet", 18203),
            NO_GRADIENTS,
        ),
        "F49": Kind(
            "Activations saved for the gradient are overwritten, or are not the activations",
            issue("microsoft/onnxruntime", 16862),
            NO_GRADIENTS,
        ),
        "F50": Kind(
            "Gradients are accumulated in the wrong order of time",
            pull("elixir-nx/axon", 646),
            NO_GRADIENTS,
        ),
        "F51": Kind("A call writes into its caller's input", issue("tensorflow/tensorflow", 19641)),
        "F52": Kind(
            "Without an initial state, the first step leaves out more than the product with it",
            issue("ml-explore/mlx", 3249),
        ),
        "F53": Kind(
            "The cell state is used where the hidden state belongs",
            issue("microsoft/nni", 2839)
            + pull("microsoft/nni", 2842)
            + issue("pytorch/examples", 167)
            + issue("neulab/xnmt", 223),
        ),
        "F54": Kind(
            "A gate is left out of an equation",
            issue("zhiyongc/GRU-D", 2),
        ),
        "F55": Kind(
            "NaN within the valid steps is swallowed",
            issue("pytorch/pytorch", 7999)
            + issue("apache/mxnet", 11115)
            + issue("tensorflow/tensorflow", 32730)
            + issue("mindspore-ai/mindspore", 380)
            + issue("PaddlePaddle/Paddle", 79351),
        ),
    }
)
"""By a number that is theirs for good."""

NOT_EXPRESSIBLE: Mapping[str, str] = MappingProxyType(
    {
        **{kind.says: kind.not_expressed for kind in CLASSES.values() if kind.not_expressed is not None},
        "Inputs of a wrong shape are accepted in silence": "a case whose shapes do not fit cannot be made",
        "An output is wrong only where another one is not asked for": "a backend always returns all outputs",
        "Activations have parameters of their own (slopes, thresholds) that are ignored": (
            "tanh and relu are the only activations that can be chosen"
        ),
        "A projection of the hidden state, layer normalization, zoneout": "no layer here has them",
        "Results depend on the number of threads, or on what runs at the same time": "one call runs at a time",
        "Memory is read or written outside of its bounds": "a wrong backend here must not crash the suite",
    }
)
"""What goes wrong with recurrent layers and is not in the catalogue, with the reason."""
