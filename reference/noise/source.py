"""The rounding errors of one case: how large those of each operation are, and which of them each replica gets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.case import Array, Case
from reference.noise import draws
from reference.noise.arithmetics import OPERANDS, ROUNDING, UFUNC_NOISE, Arithmetic
from reference.noise.noisy import Noisy
from reference.noise.products import NO_PRODUCT, Product, Terms, spacing_of

FLUSHED = 0.5
"""Of a gate so small that some implementations take it for zero, relative to it."""

SAME_UNITS = 2
"""How many units of a gate have the same weights, on average, before it is asked which numbers are equal."""

SMALLEST_SPACING = 2.0**-10
"""Of the largest weight, in units of u: with a smaller spacing ties are too rare for any number of terms."""

FARTHEST = 6
"""Of their deviations, how many rounding errors are off by at most: two in a billion normal numbers are by more."""


class NoiseSource:
    """A reproducible stream of the rounding errors of one arithmetic, for the replicas of one case.

    Rounding is a function: where a recurrence repeats its operands, as it does on constant input, the same errors
    recur in every step and add up, or cancel. In the first half of the replicas every step therefore errs alike, in
    the second half every step for itself.

    The errors of a product wait until its bias has been added, which errs besides, so that both are drawn as one; or
    until anything else is done.
    """

    def __init__(self, arithmetic: Arithmetic, case: Case, replicas: int, seed: int, magnified: float = 1.0) -> None:
        self.arithmetic = arithmetic.coarser(magnified)
        self.magnified = magnified
        self.replicas = replicas
        self._batch, self._steps = case.batch_size, case.num_steps
        self._blocks: dict[tuple[int, ...], tuple[draws.Block, ...]] = {}
        lengths = case.row_lengths
        # However many take part in a step, they are the longest, so that their number says which.
        taking_part = (np.flatnonzero(lengths >= least) for least in (0, *np.unique(lengths), lengths.max() + 1))
        self._rows_of_step = {len(rows): rows for rows in taking_part}
        self._units_are_same = any(_has_same_rows(w) for weights in case.weights for w in (weights.w_ih, weights.w_hh))
        self._factors = {
            ufunc: draws.factors(noise * self.arithmetic.unit) if noise else None
            for ufunc, noise in UFUNC_NOISE.items()
        }
        self._places = draws.places(seed)
        self._products: dict[tuple[Any, ...], Product] = {}
        self._in_every_step: list[int] = []
        self._operation = 0
        self._waiting: _Waiting | None = None

    def noisy(self, array: Array, terms: Terms = NO_PRODUCT) -> Noisy:
        """``array``, products of these terms, as numbers that err from here on."""
        noisy = array.view(Noisy)
        noisy.source, noisy.terms = self, terms
        return noisy

    def first_of(self, array: Array) -> Array:
        """The first replica, (S, B, ..., N); it says for all how large errors are, which is all they differ by."""
        return self._in_replicas(array)[:, 0]

    def disturb(self, result: Array, ufunc: Any) -> None:
        """Add to the ``result`` of an elementwise operation the error of rounding it, in place."""
        factors = self._factors[ufunc]
        if factors is None:
            return
        half = result.size // 2
        is_whole_step = result.ndim == 2 and len(result) == self.replicas * self._batch
        if is_whole_step and half <= draws.BLOCK and result.flags.c_contiguous and not self._units_are_same:
            # One block for each half, as it is in most steps.
            flat, (start, other_start) = result.reshape(-1), self._starts()
            first, second = flat[:half], flat[half:]
            first *= factors[start : start + half]
            second *= factors[other_start : other_start + half]
            self._operation += 1
        else:
            for block, numbers, _, _ in self._drawn(result, factors, self._same(self.first_of(result))):
                block *= numbers
        self._disturb_small(result, UFUNC_NOISE[ufunc] * self.arithmetic.unit, ufunc)

    def disturb_beside(self, result: Array, other: Array, ufunc: Any) -> None:
        """Add to ``result`` the error of rounding the larger of it and ``other``, in the first replica, in place."""
        noise = UFUNC_NOISE[ufunc] * self.arithmetic.unit
        first = self.first_of(result)
        self._add_errors(result, noise * np.maximum(np.abs(first), np.abs(other)), self._same(first))
        self._disturb_small(result, noise, ufunc)

    def disturb_beside_zero(self, result: Array, x: Array) -> None:
        """Add to ``result = max(x, 0)``, in place, what it may err by where few replicas of ``x`` are above 0.

        Let m be x without errors, and s their deviation. As x may come to m + FARTHEST*s, the result should err by
        s + m/FARTHEST where m is negative, and by s where it is not. Of those few alone it could be anything.
        """
        values = self._in_replicas(x).swapaxes(0, 1)
        lowest, highest = values.min(axis=0), values.max(axis=0)
        size = np.maximum(highest, -lowest)
        near = (lowest < 0) & (highest > lowest * (FARTHEST / (FARTHEST + 1))) & (size < np.inf)
        if not near.any():
            return
        halves = (values[:, near] / size[near]).reshape(2, self.replicas // 2, -1)
        m = halves.mean(axis=(0, 1))
        s, shown = (
            np.sqrt(np.mean((some - exact) ** 2, axis=1))
            for some, exact in ((halves, m), (np.maximum(halves, 0), np.maximum(m, 0)))
        )
        wanted = np.maximum(s + np.minimum(m, 0) / FARTHEST, shown)
        scale = np.zeros(size.shape)
        scale[near] = size[near] * np.sqrt(wanted**2 - shown**2).max(axis=0)
        self._add_errors(result, scale, self._same(self.first_of(x)))

    def disturb_sum(self, result: Array, x: Array, x_terms: Terms, h: Array, h_terms: Terms) -> None:
        """Add to ``result = x + h``, in place, what adding up all that it consists of errs by, in whichever order.

        ``x`` and ``h`` are of the first replica.
        """
        first = self.first_of(result)
        self._add_errors(result, self._scale_of_sum(first, x, x_terms, h, h_terms), self._same(first))
        self._disturb_small(result, ROUNDING * self.arithmetic.unit, np.add)

    def _scale_of_sum(self, total: Array, x: Array, x_terms: Terms, h: Array, h_terms: Terms) -> Array:
        """The standard deviation of ``total = x + h``, beside what the two err by themselves.

        Either may have terms. They may be added up by themselves, or one by one onto the other: a loop may start from
        the bias, and go on from the input to the state. Then each rounding is of the size of both, which changes
        evenly from the other to the sum; what a product errs by itself, which is no less than if it grew evenly from
        0, counts once.
        """
        arithmetic = self.arithmetic
        scale: Array = ROUNDING * arithmetic.unit * np.maximum(np.abs(total), np.abs(x))
        # From a to a + b the mean square of the sum is a*(a + b) + b^2/3, of which b^2/3 is b's own.
        square, more = (ROUNDING * arithmetic.accumulate_unit) ** 2, np.zeros(())
        for start, terms in (h, x_terms), (x, h_terms):
            if terms.number:
                more = np.maximum(more, square * terms.repeats * terms.number * start * total)
            if terms.spacing:
                self._raise_to_ties(scale, terms, np.maximum(np.abs(start), np.abs(total)))
        return np.maximum(scale, np.sqrt(more), out=scale) if more.ndim else scale

    def _raise_to_ties(self, scale: Array, terms: Terms, size: Array) -> None:
        """Make ``scale``, in place, at least what ties make of adding up ``terms`` to sums of about this ``size``.

        Of multiples of q, one in so many lies half way between two numbers as there are q in the spacing of numbers,
        and all of these may be rounded the same way: n*q/2. Other roundings are as good as independent.
        """
        spacing = 2 * self.arithmetic.accumulate_unit / self.magnified * size
        ties = self.magnified * terms.number * terms.spacing / 2
        # Where sums are multiples of the spacing none is rounded; the size is known but for a factor of 2.
        np.maximum(scale, ties, out=scale, where=terms.spacing < 2 * spacing)

    def product(self, a: Array, b: Array) -> Noisy:
        """``a @ b``, whose errors, of its operands, of its sums and of storing it, wait to be added."""
        # Steps are alike from product to product, and products are told apart by where their weights are.
        place = b.__array_interface__["data"][0], b.shape
        if place not in self._products:
            self._products[place] = Product(b)
        product = self._products[place]
        self._in_every_step, self._operation = product.starts, 0
        alike = self._alike(a)
        result = np.empty((len(a), b.shape[1])) if alike else a @ b
        shape, first = self.first_of(result).shape, self.first_of(a).reshape(-1, len(b))
        total = (first @ b).reshape(shape) if alike else self.first_of(result)
        terms = Terms(len(b), self._spacing_of_terms(product, a), float(np.max(product.repeats(first), initial=1.0)))
        scale_of = functools.partial(self._scale_of_product, product, terms)
        scale = _by_rows(scale_of, first, total.reshape(-1, shape[-1])).reshape(shape)
        self._waiting = _Waiting(result, total, alike, scale, self._same(total))
        return self.noisy(result, terms)

    def _spacing_of_terms(self, product: Product, a: Array) -> float:
        """See :class:`Terms`; only numbers without errors, as those of the case, have one that counts."""
        counts = product.spacing > SMALLEST_SPACING * self.arithmetic.accumulate_unit / self.magnified * product.largest
        return product.spacing * spacing_of(self.first_of(a)) if counts and self._is_given(a) else 0.0

    def _scale_of_product(self, product: Product, terms: Terms, a: Array, total: Array) -> Array:
        """The standard deviation of ``total = a @ b``."""
        arithmetic, size = self.arithmetic, np.abs(total)
        largest = np.maximum(size, np.sqrt((a * a) @ product.squares))
        if arithmetic.counts_small:
            np.maximum(largest, arithmetic.smallest_normal, out=largest, where=largest > 0)
        scale = arithmetic.accumulate_unit * product.noise(a, largest)
        if terms.spacing:
            self._raise_to_ties(scale, terms, largest)
        if arithmetic.operand_unit:
            scale = _hypot(scale, OPERANDS * arithmetic.operand_unit * largest)
        if arithmetic.accumulate_unit != arithmetic.unit:
            scale = _hypot(scale, size * (ROUNDING * arithmetic.unit))
        return scale

    def awaits_bias(self, result: Noisy) -> bool:
        """Whether ``result`` is the product whose errors wait."""
        return self._waiting is not None and self._waiting.result is result.base

    def add_bias(self, bias: Array, terms: Terms) -> None:
        """Add ``bias`` to the product that waits, which has these terms, and the errors of both."""
        waiting, self._waiting = self._waiting, None
        assert waiting is not None
        result, total = waiting.result, waiting.total
        added_to = total if waiting.alike else result
        added_to += bias

        def scale_of(total: Array, scale: Array) -> Array:
            return _hypot(self._scale_of_sum(total, total - bias, terms, bias, NO_PRODUCT), scale)

        rows = (array.reshape(-1, len(bias)) for array in (total, waiting.scale))
        scale = _by_rows(scale_of, *rows).reshape(total.shape)
        self._add_errors(result, scale, waiting.same, total if waiting.alike else None)
        self._disturb_small(result, ROUNDING * self.arithmetic.unit, np.add)

    def settle(self) -> None:
        """Add the errors that wait."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._add_errors(waiting.result, waiting.scale, waiting.same, waiting.total if waiting.alike else None)

    def _add_errors(self, result: Array, scale: Array, same: Array | None, total: Array | None = None) -> None:
        """Add normal errors of the deviation ``scale`` to every replica in ``result``, or to ``total`` in its place."""
        for block, numbers, step, rows in self._drawn(result, draws.normal(), same):
            np.add(block if total is None else total[step, rows], scale[step, rows] * numbers, out=block)

    def _drawn(self, result: Array, pool: Array, same: Array | None) -> Iterator[tuple[Array, Array, int, slice]]:
        """Views of ``result`` that make up all of it, as many numbers of ``pool``, and of which step and rows.

        With the places that ``same`` tells (see :meth:`_same`), numbers that are the same get the same of ``pool``.
        A row gets those that it gets in other steps, however many rows take part in this one.
        """
        steps = self._in_replicas(result)
        blocks = self._blocks_of(steps.shape[1:])
        for step, replicas in enumerate(steps):
            starts = self._starts()
            for half, some, rows, offset, shape, chosen in blocks:
                numbers = draws.numbers(pool, starts[half] + offset, shape)
                if chosen is not None:
                    numbers = numbers.take(chosen, axis=1)
                block = replicas[some, rows]
                if same is not None:
                    numbers = np.take_along_axis(numbers, same[step, rows][None], axis=-1)
                yield block, numbers, step, rows
        self._operation += 1

    def _blocks_of(self, shape: tuple[int, ...]) -> tuple[draws.Block, ...]:
        """The blocks of (R, B, ..., N), of a step in which B rows take part."""
        replicas, rows, *row = shape
        if rows == self._batch:
            return draws.blocks(shape)
        if shape not in self._blocks:
            whole, taking_part = draws.blocks((replicas, self._batch, *row)), self._rows_of_step[rows]
            self._blocks[shape] = tuple(draws.taking_part(block, taking_part) for block in whole)
        return self._blocks[shape]

    def _disturb_small(self, result: Array, noise: float, ufunc: Any) -> None:
        """Add what is lost of results below the smallest normal number, where the spacing no longer shrinks."""
        if not self.arithmetic.counts_small:
            return
        smallest, start = self.arithmetic.smallest_normal, next(self._places)
        near = np.abs(self.first_of(result)).swapaxes(0, 1) < 2 * smallest
        replicas = np.moveaxis(self._in_replicas(result), 0, 2)
        values = replicas[:, near]
        if values.size == 0:
            return
        below = np.abs(values) < smallest
        if ufunc is np.divide:
            # The largest number is 4 / smallest. A gate is zero where the exponential in it is larger.
            flushed = draws.numbers(draws.factors(FLUSHED), start, values.shape)
            values *= np.where(np.abs(values) < smallest / 4, flushed, 1)
        values += (below & (values != 0)) * (noise * smallest) * draws.numbers(draws.normal(), start, values.shape)
        replicas[:, near] = values

    def _same(self, first: Array) -> Array | None:
        """Where in the last axis each number of the first replica stands first, if units may be the same.

        Units with the same weights calculate the same, and err alike.
        """
        return _first_of_equals(first) if self._units_are_same else None

    def _in_replicas(self, array: Array) -> Array:
        """A view (S, R, B, ..., N) of (S*R*B, N), (G, R*B, N) or (G, S, R*B, N); S is 1, or all steps."""
        if array.ndim == 2:
            return array.reshape(self._steps_of(array), self.replicas, -1, array.shape[1])
        if array.ndim == 3:
            return array.transpose(1, 0, 2).reshape(1, self.replicas, -1, len(array), array.shape[2])
        gates, steps, _, hidden = array.shape
        return array.transpose(1, 2, 0, 3).reshape(steps, self.replicas, -1, gates, hidden)

    def _steps_of(self, rows: Array) -> int:
        """Of how many steps ``rows`` are, (S*R*B, N): of all or of one."""
        return self._steps if len(rows) == self._steps * self.replicas * self._batch else 1

    def _alike(self, rows: Array) -> bool:
        """Whether ``rows`` are of several steps, and still the same in all replicas, as those of the input are."""
        if self._steps_of(rows) == 1:
            return False
        replicas = self._in_replicas(rows).swapaxes(0, 1)
        return all(np.array_equal(replicas[0], other) for other in replicas[1:])

    def _is_given(self, rows: Array) -> bool:
        """Whether ``rows`` have no errors yet."""
        replicas = self._in_replicas(rows)
        return np.array_equal(replicas[:, 0], replicas[:, 1])

    def _starts(self) -> tuple[int, int]:
        """Where this operation draws from in every step, and where it draws from in this one."""
        if len(self._in_every_step) == self._operation:
            self._in_every_step.append(next(self._places))
        return self._in_every_step[self._operation], next(self._places)


@dataclass
class _Waiting:
    """A product whose errors have not been added yet."""

    result: Array
    """Of all replicas; not filled in where they are alike."""
    total: Array
    """Of the first replica."""
    alike: bool
    """Whether it is that of every replica."""
    scale: Array
    """The standard deviation of the errors."""
    same: Array | None
    """Where each of ``total`` stands first, before any bias."""


def _has_same_rows(weights: Array | None) -> bool:
    """Whether units of a gate have the same ``weights``, (G, H, n), as others."""
    return weights is not None and any(
        # Most are told apart by their first weight.
        all(len(some) >= SAME_UNITS * len(np.unique(some, axis=0)) for some in (gate[:, :1], gate))
        for gate in weights
    )


def _first_of_equals(numbers: Array) -> Array:
    """For each number the place of the first that equals it, along the last axis, but for what float64 rounds."""
    keys = ((numbers + 0.0).view(np.int64) + 2**11) >> 12
    order = np.argsort(keys, axis=-1, kind="stable")
    ordered = np.take_along_axis(keys, order, axis=-1)
    starts = np.zeros(order.shape, dtype=np.intp)
    starts[..., 1:] = np.where(ordered[..., 1:] != ordered[..., :-1], np.arange(1, order.shape[-1]), 0)
    first = np.take_along_axis(order, np.maximum.accumulate(starts, axis=-1), axis=-1)
    places = np.empty_like(order)
    np.put_along_axis(places, order, first, axis=-1)
    return places


def _hypot(a: Array, b: Array) -> Array:
    """sqrt(a^2 + b^2), and the larger where squares are too small to be numbers; many times as fast as numpy's."""
    norm: Array = np.maximum(np.sqrt(a * a + b * b), np.maximum(a, b))
    return norm


def _by_rows(function: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
    """``function(a, b)`` of as many rows of the two at once as make a block of ``b``."""
    at_once = max(1, draws.BLOCK // b.shape[1])
    if len(b) <= at_once:
        return function(a, b)
    parts = range(0, len(b), at_once)
    return np.concatenate([function(a[first : first + at_once], b[first : first + at_once]) for first in parts])
