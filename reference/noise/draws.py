"""The random numbers of the replicas: a pool of them, and the places in it where an operation draws its own.

They are made from the raw bits of PCG64, and are therefore the same with every version of numpy.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from reference.case import Array

BLOCK = 2**13
"""How many numbers are worked on at once: so few that they stay in the processor's cache meanwhile."""


class Block(NamedTuple):
    """Some replicas of one half, and some of their rows."""

    half: int
    replicas: slice
    rows: slice
    offset: int
    """What lies in the pool between where the half begins and where this begins."""
    shape: tuple[int, ...]
    """Of the numbers that it has of the pool."""
    chosen: Array | None = None
    """Of the rows of these numbers, those that take part in a step; None for all."""


@functools.lru_cache(maxsize=256)
def blocks(shape: tuple[int, ...]) -> tuple[Block, ...]:
    """Of (R, B, ..., N), some replicas of one half and some of their rows at a time."""
    replicas, rows, *row = shape
    rows_at_once = max(1, min(rows, BLOCK // math.prod(row)))
    at_once = max(1, BLOCK // (math.prod(row) * rows_at_once))
    half = replicas // 2
    return tuple(
        Block(number, some, part, block * STRIDE, (some.stop - some.start, part.stop - part.start, *row))
        for number in (0, 1)
        for block, (some, part) in enumerate(
            itertools.product(_slices(number * half, half, at_once), _slices(0, rows, rows_at_once))
        )
    )


def taking_part(block: Block, rows: Array) -> Block:
    """The same numbers for those of its rows that are among ``rows``, where these are all that there is of a step."""
    first, last = np.searchsorted(rows, (block.rows.start, block.rows.stop)).tolist()
    return block._replace(rows=slice(first, last), chosen=rows[first:last] - block.rows.start)


def _slices(start: int, length: int, width: int) -> list[slice]:
    """``length`` places from ``start`` on, at most ``width`` at a time."""
    stop = start + length
    return [slice(first, min(first + width, stop)) for first in range(start, stop, width)]


POOL = 65521
"""Random numbers in stock, enough that a case goes round them only a few dozen times, each time from elsewhere."""

STRIDE = 25033
"""What lies between the beginnings of one block and the next in the pool; about 0.38 of it."""


def places(seed: int) -> Iterator[int]:
    """Places in the pool, without end."""
    random = np.random.PCG64(seed)
    while True:
        yield from (random.random_raw(256) % POOL).tolist()


def numbers(pool: Array, start: int, shape: tuple[int, ...]) -> Array:
    """Numbers of ``pool`` from place ``start`` on; copied only if the pool has too few."""
    first, size = start % POOL, math.prod(shape)
    if size > POOL:
        return np.resize(pool[first:], shape)
    return pool[first : first + size].reshape(shape)


@functools.lru_cache(maxsize=1)
def normal() -> Array:
    """Normal random numbers, the same in every version of numpy, once more at the end of themselves; read-only."""
    # Sums of eight 16-bit integers: near enough to normal, and unlike numpy's distributions not subject to change.
    raw = np.random.PCG64(0).random_raw(2 * POOL).view(np.uint16).reshape(POOL, 8)
    pool = (raw.sum(axis=1, dtype=np.float64) - 8 * 32767.5) / math.sqrt(8 * (65536**2 - 1) / 12)
    return _read_only(np.concatenate([pool, pool]))


@functools.lru_cache(maxsize=32)
def factors(deviation: float) -> Array:
    """What multiplies a number to give it an error of this relative standard deviation; read-only."""
    return _read_only(1 + deviation * normal())


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array
