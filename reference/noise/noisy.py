"""An array type over which the unchanged reference code errs as a given arithmetic errs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.noise.arithmetics import COMPARISONS, MOVES, UFUNC_NOISE
from reference.noise.products import NO_PRODUCT

if TYPE_CHECKING:
    from reference.noise.source import NoiseSource


class Noisy(np.ndarray[Any, np.dtype[np.float64]]):
    """A float64 array whose every operation errs as ``source`` says; an operation without a noise model is refused.

    It knows the operations that the reference is made of; any other raises a TypeError rather than pass unperturbed.
    """

    source: NoiseSource
    terms = NO_PRODUCT
    """Of the product that its elements are, with or without a bias."""

    def __array_finalize__(self, parent: Any) -> None:
        if self.dtype.char != "d":
            raise TypeError(f"noisy numbers are float64, and a conversion to {self.dtype} has no noise model")
        if isinstance(parent, Noisy):
            self.source, self.terms = parent.source, parent.terms
            self.source.settle()  # before the parent is copied

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        source, values = self.source, [plain(value) for value in inputs]
        if method != "__call__" or kwargs:
            raise TypeError(f"np.{ufunc.__name__}.{method} with {list(kwargs)} has no noise model")
        adds_bias = ufunc is np.add and not isinstance(inputs[1], Noisy)
        if adds_bias and out and source.awaits_bias(out[0]):
            source.add_bias(values[1], self.terms)
            return out[0]
        source.settle()
        if ufunc in COMPARISONS:
            return ufunc(*values)
        if ufunc is np.matmul:
            if out or not (isinstance(inputs[0], Noisy) and inputs[0].ndim == inputs[1].ndim == 2):
                raise TypeError(
                    "np.matmul has a noise model for a noisy matrix times another matrix, and no other product"
                )
            return source.product(*values)
        if ufunc is np.maximum and (out or np.any(values[1])):
            raise TypeError("np.maximum has a noise model for noisy numbers and 0, and for no other limit")
        if ufunc not in UFUNC_NOISE:
            raise TypeError(f"np.{ufunc.__name__} has no noise model; reference.noise.UFUNC_NOISE has those that do")
        result = np.asarray(ufunc(*values)) if out is None else ufunc(*values, out=plain(out[0]))
        if adds_bias:
            bias = source.first_of(np.broadcast_to(values[1], result.shape))
            source.disturb_sum(result, source.first_of(result) - bias, self.terms, bias, NO_PRODUCT)
        elif ufunc is np.add and isinstance(inputs[0], Noisy) and inputs[1].terms.number:
            x, h = map(source.first_of, values)
            source.disturb_sum(result, x, self.terms, h, inputs[1].terms)
        elif ufunc is np.maximum:
            source.disturb_beside_zero(result, values[0])
        elif ufunc is np.subtract and not isinstance(inputs[0], Noisy):
            # (1 - z)*n + z*h is n + z*(h - n) elsewhere, which rounds twice at the size of z*n.
            source.disturb_beside(result, math.sqrt(2) * source.first_of(values[1]), ufunc)
        else:
            source.disturb(result, ufunc)
        return source.noisy(result) if out is None else out[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func not in MOVES:
            raise TypeError(f"np.{func.__name__} has no noise model")
        self.source.settle()
        return super().__array_function__(func, types, args, kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.source.settle()
        super().__setitem__(key, value)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("this method of noisy numbers has no noise model")

    dot = round = _refuse  # the methods that reach no ufunc


def plain(value: Any) -> Any:
    """``value`` as an array without errors, if it has any."""
    return value.view(np.ndarray) if isinstance(value, Noisy) else value
