"""The TensorRT layers that a recurrent network is made of, each as a function from tensors to a tensor.

``network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)`` is ``t.add(a, b)`` here, and no more than
that happens, so that a network can be read as its equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.tensor_rt import api
from reference import Array

Tensor = Any
"""A TensorRT ``ITensor``."""


class Tensors:
    """Adds layers to ``network``."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.trt = api.module_of(network)

    def constant(self, array: Array) -> Tensor:
        """A constant of the shape and dtype of ``array``, which may be a scalar.

        TensorRT reads the array when it builds; the binding keeps it alive as long as the network, since it is
        contiguous as it is passed.
        """
        contiguous = np.asarray(array, order="C")  # np.ascontiguousarray would make a scalar 1-D
        return self._added(self.network.add_constant(contiguous.shape, contiguous.reshape(-1))).get_output(0)

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """(..., M, K) times (..., K, N)."""
        plain = self.trt.MatrixOperation.NONE
        return self._added(self.network.add_matrix_multiply(a, plain, b, plain)).get_output(0)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """A + b; sizes of 1 are broadcast."""
        return self._elementwise(a, b, "SUM")

    def sub(self, a: Tensor, b: Tensor) -> Tensor:
        """A - b."""
        return self._elementwise(a, b, "SUB")

    def mul(self, a: Tensor, b: Tensor) -> Tensor:
        """A * b."""
        return self._elementwise(a, b, "PROD")

    def less(self, a: Tensor, b: Tensor) -> Tensor:
        """A < b."""
        return self._elementwise(a, b, "LESS")

    def _elementwise(self, a: Tensor, b: Tensor, operation: str) -> Tensor:
        return self._added(
            self.network.add_elementwise(a, b, getattr(self.trt.ElementWiseOperation, operation))
        ).get_output(0)

    def sigmoid(self, x: Tensor) -> Tensor:
        """The logistic function."""
        return self._added(self.network.add_activation(x, self.trt.ActivationType.SIGMOID)).get_output(0)

    def tanh(self, x: Tensor) -> Tensor:
        """The hyperbolic tangent."""
        return self._added(self.network.add_activation(x, self.trt.ActivationType.TANH)).get_output(0)

    def relu(self, x: Tensor) -> Tensor:
        """The larger of x and 0."""
        return self._added(self.network.add_activation(x, self.trt.ActivationType.RELU)).get_output(0)

    def select(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        """``yes`` where the condition holds, ``no`` where not; what is not chosen may be NaN."""
        return self._added(self.network.add_select(condition, yes, no)).get_output(0)

    def concatenate(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """The tensors one after the other; one alone is itself."""
        if len(tensors) == 1:
            return tensors[0]
        layer = self._added(self.network.add_concatenation(list(tensors)))
        layer.axis = axis
        return layer.get_output(0)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The same numbers in another shape; one size may be -1 and is inferred."""
        layer = self._added(self.network.add_shuffle(x))
        layer.reshape_dims = tuple(shape)
        return layer.get_output(0)

    def transpose(self, x: Tensor) -> Tensor:
        """(A, B, C) -> (B, A, C)."""
        layer = self._added(self.network.add_shuffle(x))
        layer.first_transpose = (1, 0, 2)
        return layer.get_output(0)

    def element(self, x: Tensor, index: int, axis: int = 0) -> Tensor:
        """What ``x`` has at an index of an axis, without that axis: for that the index is a scalar."""
        return self._added(self.network.add_gather(x, self.constant(np.array(index, np.int32)), axis)).get_output(0)

    def fill(self, value: Array, shape: Tensor) -> Tensor:
        """A tensor of ``shape``, which may be known only at run time, full of ``value``, one number in as many axes.

        It is a slice that does not advance.
        """
        nowhere = (0,) * value.ndim
        layer = self._added(self.network.add_slice(self.constant(value), nowhere, nowhere, nowhere))
        layer.set_input(2, shape)
        return layer.get_output(0)

    def shape(self, x: Tensor) -> Tensor:
        """The shape of ``x``, a 1-D tensor."""
        return self._added(self.network.add_shape(x)).get_output(0)

    def _added(self, layer: Any) -> Any:
        """A layer that TensorRT was asked to add; ``RefusedNetwork`` where it gave none."""
        if layer is None:
            raise api.refusal(self.trt)
        return layer
