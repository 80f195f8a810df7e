"""How much a product of matrices errs: one rounding for each of its partial sums, whichever size these have."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from reference.case import Array
from reference.noise.arithmetics import ROUNDING

REPEATS = 4
"""How often a weight occurs in an element, on average, before it is asked how often its terms do."""

SAME_BITS = 8
"""Factors that are the same to so many bits are taken for the same number, which errors have changed."""

PIECES = 8
"""In how many pieces a product is cut to see its partial sums, each of at least as many terms."""


class Terms(NamedTuple):
    """What the elements of a product are sums of."""

    number: int
    spacing: float
    """A power of two of which all are multiples; 0 where none is known."""
    repeats: float
    """How often the same one occurs at most, on average over those of an element."""


NO_PRODUCT = Terms(0, 0.0, 1.0)
"""The terms of what is no product."""


class Product:
    """What is kept of a product with certain weights, of shape (n, N)."""

    def __init__(self, weights: Array) -> None:
        n, columns = weights.shape
        width = max(PIECES, -(-n // PIECES))
        self.pieces = -(-n // width)
        self.weights = weights
        """Kept, so that nothing else takes their place."""
        self.squares = np.ascontiguousarray(weights * weights)
        self.spacing = spacing_of(weights)
        self.largest = np.abs(weights).max(initial=0.0)
        self.distinct = _distinct(weights.T)
        self.nonzero = np.count_nonzero(weights, axis=0)
        self.is_varied = bool((REPEATS * self.distinct >= self.nonzero).all())
        self.in_pieces = np.zeros((self.pieces, width, columns))
        self.in_pieces.reshape(-1, columns)[:n] = weights
        self.form = _form_of_partial_sums(np.minimum(width, n - width * np.arange(self.pieces)))
        self.starts: list[int] = []
        """From where it and the operations that follow it draw in every step."""

    def repeats(self, a: Array) -> Array | float:
        """How often, on average, the same term occurs in the elements of ``a @ weights``."""
        if self.is_varied:
            return 1.0
        # Numbers that differ by errors count as the same.
        factors = _distinct(np.round(a / np.abs(a).max(axis=1, keepdims=True, initial=1e-300) * 2**SAME_BITS))
        distinct = np.maximum(np.maximum(factors[:, None], self.distinct), 1)
        times: Array = np.maximum(self.nonzero / distinct, 1)
        return times

    def noise(self, a: Array, largest: Array) -> Array:
        """The standard deviation of ``a @ weights``; ``largest`` is the larger of its size and its terms' l2 norm.

        That of n roundings, one for each partial sum, as in a loop of fused multiply-adds. Terms of random signs have
        partial sums of sqrt(k/n) of their l2 norm, k = 1..n, whose squares add up to (n + 1)/2 of it. Terms of one
        sign have k/n of the result, whose squares add up to (n + 1)(2n + 1)/6n, which is less. But where those of one
        sign happen to come first, partial sums are larger than both, and then they count as they are; they are taken
        between the pieces of the product, and change evenly within one. Sums in blocks or trees err less than all of
        this. Where a term occurs again and again, so does its error.
        """
        noise: Array = math.sqrt((len(self.weights) + 1) / 2) * largest
        if self.pieces > 1:
            np.maximum(noise, self._partial_sums(a), out=noise)
        if not self.is_varied:
            noise *= np.sqrt(self.repeats(a))
        return ROUNDING * noise

    def _partial_sums(self, a: Array) -> Array:
        """The l2 norm of the n partial sums of ``a @ weights``."""
        rows, n = a.shape
        pieces, width, columns = self.in_pieces.shape
        if n < pieces * width:
            a = np.concatenate([a, np.zeros((rows, pieces * width - n))], axis=1)
        products = a.reshape(rows, pieces, width).swapaxes(0, 1) @ self.in_pieces
        parts = self.form @ products.reshape(pieces, -1)
        norm: Array = np.sqrt(np.einsum("pe,pe->e", parts, parts))
        return norm.reshape(rows, columns)


def _form_of_partial_sums(terms: Array) -> Array:
    """R, so that ``R @ p`` has the l2 norm of all partial sums where the pieces, of so many terms, add up to p.

    Within a piece the sum goes evenly from b to b + p: the mean of its square is (b + p/2)^2 + p^2/12.
    """
    middle = np.tri(len(terms), k=-1) + np.eye(len(terms)) / 2
    squares = middle.T @ (terms[:, None] * middle) + np.diag(terms) / 12
    form: Array = np.ascontiguousarray(np.linalg.cholesky(squares).T)
    return form


def spacing_of(numbers: Array) -> float:
    """The largest power of two of which all ``numbers`` are multiples; 0 if there is none, as of zeros."""
    mantissas, exponents = np.frexp(numbers[np.isfinite(numbers) & (numbers != 0)])
    if mantissas.size == 0:
        return 0.0
    integers = np.ldexp(mantissas, 53).astype(np.int64)
    return float(np.min(np.ldexp((integers & -integers).astype(np.float64), exponents - 53)))


def _distinct(rows: Array) -> Array:
    """How many different numbers other than 0 there are in each row."""
    ordered = np.sort(rows, axis=1)
    new = np.ones(rows.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    counts: Array = np.count_nonzero(new & (ordered != 0), axis=1)
    return counts
