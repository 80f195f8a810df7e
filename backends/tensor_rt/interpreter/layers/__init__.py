"""What each kind of layer computes, apart from loops and conditionals: one function a kind.

==================  ========================================================================================
file                layers
==================  ========================================================================================
arithmetic.py       element by element: ELEMENTWISE, UNARY, ACTIVATION, PARAMETRIC_RELU, SELECT, CAST, IDENTITY
products.py         MATRIX_MULTIPLY, EINSUM
arrangement.py      the same elements in another shape or order: SHUFFLE, SQUEEZE, UNSQUEEZE, CONCATENATION,
                    REVERSE_SEQUENCE
indexing.py         elements by their index: SLICE, GATHER, SCATTER, ONE_HOT, NON_ZERO
reductions.py       along an axis: REDUCE, SOFTMAX, TOPK, CUMULATIVE
sources.py          from nothing, or from a shape: CONSTANT, FILL, SHAPE; and ASSERTION, which gives nothing
==================  ========================================================================================

What a docstring says of a kind is NVIDIA's documentation of it, the class reference (``NvInfer.h``, the Python API) and
the `operator pages <https://docs.nvidia.com/deeplearning/tensorrt/latest/_static/operators/index.html>`_, in short.
Where that leaves something open, the docstring says what is taken here.

Values have the type of their tensor. In float16 and bfloat16 a layer computes in float32 and rounds its result once,
as kernels do that accumulate in float32. NaN and infinities go the way of IEEE 754.
"""

from backends.tensor_rt.interpreter.layers import arithmetic, arrangement, indexing, products, reductions, sources
from backends.tensor_rt.interpreter.layers.table import LAYERS, Function

__all__ = ["LAYERS", "Function", "arithmetic", "arrangement", "indexing", "products", "reductions", "sources"]
