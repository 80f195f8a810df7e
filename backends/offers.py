"""What each backend offers, and how: by the framework's own layer, built from parts by our adapter, or not at all.

:class:`backends.Capabilities` says what is claimed, and an adapter has to be loaded for it, its framework with it. Here
the same is written down for readers, with the reasons, and no framework is needed. What is said to be not offered is
held against the capabilities of every backend that can be loaded (tests/test_offers.py), and docs/backends.md is made
from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal

Feature = tuple[str, str]
"""An axis and a value on it, as ``conformance.features`` has them, or ``("dtype", "float16")``."""


class Kind(str, Enum):
    """How a feature is had."""

    NATIVE = "native"
    BUILT = "built from parts"
    ABSENT = "not offered"

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """How an adapter offers a feature."""

    kind: Kind
    says: str = ""
    """A sentence: what is called or composed, or why it is not offered. It may be left out of what is native."""
    where: str = ""
    """A clause: what has to hold of the machine, where the feature depends on it."""
    deviation: str = ""
    """The known deviation by which the feature as a whole comes out wrong in the version that was judged."""

    def __post_init__(self) -> None:
        if self.kind is not Kind.NATIVE and not self.says:
            raise ValueError(f"says is empty, but should be a sentence for what is {self.kind}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A name under which an adapter is chosen."""

    needs: str
    """What has to be installed."""
    device: str = "CPU"
    environment: str | None = None
    """The environment of tox.ini that judges it; None where there is none."""
    group: str | None = None
    """The dependency group of pyproject.toml that has what it needs; None where there is none."""
    arithmetic: Mapping[str, str] = field(default_factory=dict)
    """As in :class:`backends.Capabilities`."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """Backends that offer the same: one adapter, under one name or several."""

    title: str
    """The framework, or what of it is meant."""
    calls: str
    """A sentence or two: what the adapter calls, and how its names differ."""
    entries: Mapping[str, Entry]
    """By the name in :data:`backends.BACKENDS`."""
    zero_length: Literal["hold", "zero", "reject"]
    """As in :class:`backends.Capabilities`."""
    offers: Mapping[Feature, Offer]
    """Of the features that are not native, or of which there is something to say; :meth:`offer` has all."""

    def offer(self, feature: Feature) -> Offer:
        """How a feature is offered."""
        return self.offers.get(feature, Offer(kind=Kind.NATIVE))


def _native(says: str, *, where: str = "", deviation: str = "") -> Offer:
    return Offer(kind=Kind.NATIVE, says=says, where=where, deviation=deviation)


def _built(says: str, *, deviation: str = "") -> Offer:
    return Offer(kind=Kind.BUILT, says=says, deviation=deviation)


def _absent(says: str) -> Offer:
    return Offer(kind=Kind.ABSENT, says=says)


RELU, RESET_BEFORE = ("variant", "rnn relu"), ("variant", "gru reset before")
REVERSE, BIDIRECTIONAL = ("direction", "reverse"), ("direction", "bidirectional")
TWO_LAYERS, MORE_LAYERS = ("layers", "2"), ("layers", "3 or more")
NO_LENGTHS, LENGTHS, ZERO_LENGTHS = ("lengths", "none"), ("lengths", "given"), ("lengths", "given, some 0")
BIAS, NO_BIAS = ("bias", "with"), ("bias", "without")
STATE, NO_STATE = ("initial state", "given"), ("initial state", "none")
LINEAR, SKIP = ("input mode", "linear"), ("input mode", "skip")
FLOAT64, FLOAT16, BFLOAT16 = ("dtype", "float64"), ("dtype", "float16"), ("dtype", "bfloat16")

NARROW = {"float16": "float16-float32", "bfloat16": "bfloat16-float32"}
TF32 = {**NARROW, "float32": "tf32"}


def _stacked(says: str) -> dict[Feature, Offer]:
    """Layers above each other, built from parts."""
    return dict.fromkeys((TWO_LAYERS, MORE_LAYERS), _built(says))


REFERENCE = Adapter(
    title="Reference",
    calls="The definition itself, in plain numpy: `reference.run`.",
    entries={"reference": Entry(needs="numpy", environment="pytorch", group="suite", arithmetic=NARROW)},
    zero_length="hold",
    offers={},
)

PYTORCH = Adapter(
    title="PyTorch",
    calls="`torch.nn.RNN`, `LSTM` and `GRU`. On CUDA they go through cuDNN where that has them; "
    "`pytorch-cuda` switches TF32 off, `pytorch-cuda-tf32` switches it on.",
    entries={
        "pytorch": Entry(needs="torch", environment="pytorch", group="pytorch", arithmetic=NARROW),
        "pytorch-cuda": Entry(needs="torch, made for CUDA", device="CUDA GPU", arithmetic=NARROW),
        "pytorch-cuda-tf32": Entry(needs="torch, made for CUDA", device="CUDA GPU", arithmetic=TF32),
    },
    zero_length="reject",
    offers={
        RESET_BEFORE: _absent("`torch.nn.GRU` resets after the product, and has no switch for it."),
        REVERSE: _built("The valid steps of every row are reversed, run forwards, and reversed again."),
        LENGTHS: _native("`pack_padded_sequence` and `pad_packed_sequence`."),
        ZERO_LENGTHS: _absent('`pack_padded_sequence` raises "Length of all samples has to be greater than 0".'),
        SKIP: _absent("The layers always multiply their input by `weight_ih`."),
    },
)

OF_ONNX_MODELS: Mapping[Feature, Offer] = {
    RESET_BEFORE: _native("The attribute `linear_before_reset` says which of the two."),
    **_stacked("A node for each layer, with transposes between them."),
    LENGTHS: _native("The optional input `sequence_lens`."),
    NO_BIAS: _native("The optional input `B` is left out."),
    STATE: _native("The optional inputs `initial_h` and `initial_c`."),
    SKIP: _built("The weights of the input are identity matrices, whose product with finite numbers is exact."),
}
"""Of the models of ``backends.onnx_graph``, whoever runs them."""

ONNX_RUNTIME = Adapter(
    title="ONNX Runtime",
    calls="The operators RNN, LSTM and GRU. `onnxruntime` has the weights as inputs of the model, and so one session "
    "for all cases of a layer; `onnxruntime-constants` has them as initializers, as exporters write them.",
    entries={
        name: Entry(needs="onnxruntime, onnx", environment="onnx", group="onnx", arithmetic=NARROW)
        for name in ("onnxruntime", "onnxruntime-constants")
    },
    zero_length="zero",
    offers={
        **OF_ONNX_MODELS,
        FLOAT64: _absent('LSTM and GRU raise "does not support double yet", and RNN has no kernel for it.'),
        FLOAT16: _native("ONNX Runtime puts casts around its kernels for float32; all between two layers is float16."),
        BFLOAT16: _absent('There are no kernels: "Could not find an implementation".'),
    },
)

ONNX_REFERENCE = Adapter(
    title="ONNX evaluator",
    calls="`onnx.reference.ReferenceEvaluator`, which the `onnx` package carries, on the same models as ONNX Runtime "
    "with the weights as inputs. What ONNX documents of its operators is claimed.",
    entries={"onnx-reference": Entry(needs="onnx", environment="onnx", group="onnx", arithmetic=NARROW)},
    zero_length="hold",
    offers={
        **OF_ONNX_MODELS,
        RELU: _native("The attribute `activations`.", deviation="onnx-reference-rnn-knows-no-relu"),
        LENGTHS: _native("The optional input `sequence_lens`.", deviation="onnx-reference-ignores-sequence-lens"),
        ZERO_LENGTHS: _native(
            "ONNX does not say what becomes of such a row; it is expected to keep its state.",
            deviation="onnx-reference-ignores-sequence-lens",
        ),
    },
)

MIND_SPORE = Adapter(
    title="MindSpore",
    calls="`mindspore.nn.RNN`, `LSTM` and `GRU`. `mindspore` runs them operator by operator (PyNative mode), "
    "`mindspore-graph` compiles them for the shapes of their inputs (Graph mode).",
    entries={
        name: Entry(needs="mindspore, numpy below 2", environment="mindspore", group="mindspore", arithmetic=NARROW)
        for name in ("mindspore", "mindspore-graph")
    },
    zero_length="hold",
    offers={
        RESET_BEFORE: _absent(
            "`nn.GRU` resets after the product; `ops.DynamicGRUV2`, which has a switch for it, does not run on the CPU."
        ),
        REVERSE: _built("The valid steps of every row are reversed, run forwards, and reversed again."),
        LENGTHS: _native("The argument `seq_length`."),
        SKIP: _absent("The layers always multiply their input by `weight_ih`."),
        FLOAT64: _absent('With an initial state the layers raise: "must be one of Float32, Float16".'),
        FLOAT16: _native("The parameters are float32, and the layers convert them in every call."),
        BFLOAT16: _absent("The CPU has no kernels for it: the matrix product and the LSTM raise."),
    },
)

FLAX = Adapter(
    title="Flax",
    calls="The cells of `flax.nnx` in its layers `RNN` and `Bidirectional`, compiled by JAX.",
    entries={"flax": Entry(needs="jax, flax", environment="flax", group="flax", arithmetic=NARROW)},
    zero_length="hold",
    offers={
        RESET_BEFORE: _absent("`GRUCell` resets after the product, and has no switch for it."),
        REVERSE: _native("`RNN` with `reverse` and `keep_order`."),
        **_stacked("A compiled layer for each, one after the other."),
        LENGTHS: _built("`seq_lengths`; past them Flax goes on computing, and those outputs are set to zero."),
        ZERO_LENGTHS: _built(
            "In the same way; such a row is expected to keep its state.",
            deviation="flax-zero-length-reads-the-padding",
        ),
        BIAS: _built(
            "The cells have one bias a gate, which takes the sum of both; "
            "`GRUCell` is given the `b_hn` that its equation has and that it lacks."
        ),
        NO_BIAS: _built("There is no switch for it: the biases are zero."),
        SKIP: _absent("The cells always multiply their input by a kernel."),
        FLOAT64: _native("By `jax.enable_x64`, while such a case runs."),
    },
)

KERAS = Adapter(
    title="Keras",
    calls="`SimpleRNN`, `LSTM` and `GRU`, called eagerly, on the Keras backend that `KERAS_BACKEND` names, "
    "or on torch.",
    entries={
        "keras": Entry(
            needs="keras, and a backend of Keras such as torch", environment="keras", group="keras", arithmetic=NARROW
        )
    },
    zero_length="hold",
    offers={
        RESET_BEFORE: _native("The argument `reset_after` says which of the two."),
        REVERSE: _built("`go_backwards`, which returns outputs in the order of computation; they are reversed."),
        BIDIRECTIONAL: _native("The layer `Bidirectional`."),
        **_stacked("One layer after the other."),
        LENGTHS: _native("A mask, with `zero_output_for_mask`."),
        BIAS: _native("One a gate, which takes the sum of both, except in a GRU that resets after the product."),
        SKIP: _absent("The layers always multiply their input by a kernel."),
    },
)

OPEN_VINO = Adapter(
    title="OpenVINO",
    calls="The operations RNNSequence, LSTMSequence and GRUSequence on the CPU plugin, with the weights as constants. "
    "`openvino` has static shapes, `openvino-dynamic` leaves batch and time open.",
    entries={
        name: Entry(needs="openvino", environment="openvino", group="openvino", arithmetic=NARROW)
        for name in ("openvino", "openvino-dynamic")
    },
    zero_length="zero",
    offers={
        RESET_BEFORE: _native("The attribute `linear_before_reset` says which of the two."),
        **_stacked("An operation for each layer, with transposes between them."),
        NO_LENGTHS: _built("Every operation takes `sequence_lengths`: they are T in every row."),
        LENGTHS: _native(
            "The input `sequence_lengths`, which `openvino-dynamic` finds ignored.",
            deviation="openvino-lengths-ignored-with-dynamic-shapes",
        ),
        ZERO_LENGTHS: _native(
            "In the same way; the state of such a row is zero.",
            deviation="openvino-lengths-ignored-with-dynamic-shapes",
        ),
        BIAS: _native("One a gate, which takes the sum of both; of a GRU that resets after it, `b_hn` stays apart."),
        NO_BIAS: _built("Every operation takes a bias: it is zero."),
        NO_STATE: _built("Every operation takes an initial state: it is zero."),
        SKIP: _absent("The operations always multiply their input by `W`."),
        FLOAT64: _absent("The CPU plugin computes models of float64 in float32 at most."),
        FLOAT16: _native("", where="the CPU plugin lists FP16 among what it is optimized for"),
        BFLOAT16: _native("", where="the CPU plugin lists BF16 among what it is optimized for"),
    },
)

MLX = Adapter(
    title="MLX",
    calls="`mlx.nn.RNN`, `LSTM` and `GRU`, which return every state of a forward run. They have no lengths, directions "
    "or stacks.",
    entries={"mlx": Entry(needs="mlx", environment="mlx", group="mlx", arithmetic=NARROW)},
    zero_length="hold",
    offers={
        RELU: _native("The argument `nonlinearity`."),
        RESET_BEFORE: _absent("`nn.GRU` resets after the product, and has no switch for it."),
        REVERSE: _built("The valid steps of every row are reversed, run forwards, and reversed again."),
        BIDIRECTIONAL: _built(
            "Two layers, one of them over the valid steps in reverse, and their outputs side by side."
        ),
        **_stacked("One layer after the other."),
        LENGTHS: _built("The state after the last valid step is selected, and outputs past it are set to zero."),
        ZERO_LENGTHS: _built("In the same way; for such a row the initial state is selected."),
        BIAS: _native("One a gate, which takes the sum of both; `b_hn` of the GRU stays apart."),
        SKIP: _absent("The layers always multiply their input by a matrix."),
        FLOAT64: _native("On the CPU only, which is where the layers are run."),
    },
)

TENSOR_RT_NARROW = {"float16": "float16-float32"}
TENSOR_RT_TF32 = {**TENSOR_RT_NARROW, "float32": "tf32"}
IN_A_LOOP = _built("The equations of the cell from matrix products, sums and activations, within a loop.")

TENSOR_RT = Adapter(
    title="TensorRT loops",
    calls="Loop networks, which took the place of the recurrent layers that TensorRT 10 removed: see "
    "[TensorRT](tensorrt.md). `tensorrt-network` evaluates them in numpy as TensorRT documents its layers; the others "
    "build an engine and run it, those in `tf32` as TensorRT does by default.",
    entries={
        "tensorrt-network": Entry(
            needs="tensorrt-rtx; or tensorrt, and a GPU for it to make networks",
            environment="tensorrt",
            group="tensorrt",
            arithmetic=TENSOR_RT_NARROW,
        ),
        "tensorrt-rtx": Entry(
            needs="tensorrt-rtx, cuda-python", device="CUDA GPU", group="tensorrt", arithmetic=TENSOR_RT_NARROW
        ),
        "tensorrt-rtx-tf32": Entry(
            needs="tensorrt-rtx, cuda-python", device="CUDA GPU", group="tensorrt", arithmetic=TENSOR_RT_TF32
        ),
        "tensorrt": Entry(needs="tensorrt, cuda-python", device="CUDA GPU", arithmetic=TENSOR_RT_NARROW),
        "tensorrt-tf32": Entry(needs="tensorrt, cuda-python", device="CUDA GPU", arithmetic=TENSOR_RT_TF32),
    },
    zero_length="hold",
    offers={
        **dict.fromkeys((("cell", "rnn"), ("cell", "lstm"), ("cell", "gru")), IN_A_LOOP),
        **dict.fromkeys((("variant", "rnn tanh"), RELU, ("variant", "gru reset after"), RESET_BEFORE), IN_A_LOOP),
        REVERSE: _native("Reverse iterators, and a reverse loop output."),
        BIDIRECTIONAL: _built("Both directions in one loop, and their outputs side by side."),
        **_stacked("One loop after the other."),
        LENGTHS: _built("By selection: past its length a row keeps its state and gives zero."),
        ZERO_LENGTHS: _built("In the same way; such a row keeps its initial state."),
        BIAS: _built("Sums beside the matrix products."),
        NO_BIAS: _built("These sums are left out."),
        STATE: _native("What a recurrence starts from."),
        NO_STATE: _built("Zeros, for the batch size that the input turns out to have."),
        LINEAR: _built("One matrix product for all steps, ahead of the loop."),
        SKIP: _built("The input itself, once for each gate."),
        FLOAT64: _absent("TensorRT has no such data type."),
        BFLOAT16: _absent(
            "TensorRT has it from version 10 on, but these networks are built in float32 and float16 only."
        ),
    },
)

RNN_V2 = Adapter(
    title="TensorRT RNNv2",
    calls="The layer `IRNNv2Layer` itself, which TensorRT had up to version 8.",
    entries={
        "tensorrt-rnnv2": Entry(
            needs="tensorrt 8, cuda-python; Python 3.10 or older",
            device="CUDA GPU",
            environment="tensorrt-8",
            group="tensorrt-8",
            arithmetic=TENSOR_RT_NARROW,
        )
    },
    zero_length="reject",
    offers={
        RESET_BEFORE: _absent("Its GRU resets after the product, as that of cuDNN does."),
        REVERSE: _absent("It runs forwards or in both directions."),
        LENGTHS: _native("The input `seq_lengths`."),
        ZERO_LENGTHS: _absent("TensorRT documents lengths of at least 1."),
        NO_BIAS: _built("The biases are zero."),
        SKIP: _native("The mode `RNNInputMode.SKIP`."),
        FLOAT64: _absent("TensorRT has no such data type."),
        BFLOAT16: _absent("TensorRT 8.5 has no such data type."),
    },
)

ADAPTERS = (
    REFERENCE,
    PYTORCH,
    ONNX_RUNTIME,
    ONNX_REFERENCE,
    MIND_SPORE,
    FLAX,
    KERAS,
    OPEN_VINO,
    MLX,
    TENSOR_RT,
    RNN_V2,
)
"""In the order of :data:`backends.BACKENDS`."""

ADAPTER_OF: Mapping[str, Adapter] = MappingProxyType(
    {name: adapter for adapter in ADAPTERS for name in adapter.entries}
)
"""By the name in :data:`backends.BACKENDS`."""
