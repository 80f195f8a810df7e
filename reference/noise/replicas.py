"""Sigma: what replicas of a case, each with rounding errors of its own, are off by."""

from __future__ import annotations

import zlib

import numpy as np

from reference.case import Array, Case, Result
from reference.case_file import arrays_of_case
from reference.layer import run
from reference.noise.arithmetics import ROUNDING, Arithmetic
from reference.noise.noisy import plain
from reference.noise.source import NoiseSource

NEGLIGIBLE = 64
"""The smallest sigma in units of the smallest normal number: what becomes of smaller numbers is held against nobody."""

SMALLEST_SIMULATED = 2.0**-32
"""A unit roundoff beside which that of the simulation itself, 2^-53, vanishes."""

PROPORTIONAL = 2.0**-10
"""Up to this share of the outputs, errors grow in proportion to the unit roundoff."""

FEWEST, MOST = 5, 32
"""Of the replicas in one half."""


def replicas_for(case: Case) -> int:
    """How many replicas make the error of ``case`` known well enough; an even number, for two halves.

    A root mean square of n samples is itself off by about 1/sqrt(2n) of it, and where there are many elements, some of
    them are off by much more. So there are as many as cost little beside what a step costs anyway: with many units that
    is the products with H^2 weights, with many rows the elements of replicas that no longer fit into a cache.
    """
    hidden, batch = case.layer.hidden_size, case.batch_size
    return 2 * min(max(2**14 // hidden**2, 2**10 // batch**2, FEWEST), MOST)


def sigma(case: Case, arithmetic: Arithmetic, truth: Result | None = None, replicas: int | None = None) -> Result:
    """The root mean square error that ``arithmetic`` makes in each output element of ``case``, as float64 arrays.

    ``truth`` is the float64 result, computed here unless given. An element that no rounding reaches (padding, the
    state of an empty row) has sigma 0. Elsewhere sigma is at least its root mean square over the units of the same
    row and step, so that an element is not held to an error that is small by chance; and it is the larger of what
    errors alike in every step and errors independent of one another come to.
    """
    case = case.map(lambda array: np.ascontiguousarray(array, dtype=np.float64))
    truth = truth or run(case)
    replicas = replicas or replicas_for(case)
    if replicas % 2:
        raise ValueError(f"replicas is {replicas}, but should be even")
    # The replicas are computed in float64, which has errors of its own. Where those would count, the simulated ones
    # are made larger, and the result smaller by as much, but not so large that they no longer grow in proportion.
    magnified = max(1.0, SMALLEST_SIMULATED / arithmetic.unit)
    errors = _errors(case, truth, arithmetic, replicas, magnified)
    while magnified > 1 and any(
        magnified * error.max(initial=0) > PROPORTIONAL * np.abs(getattr(truth, name)).max(initial=0)
        for name, error in errors.items()
    ):
        magnified = max(1.0, magnified * PROPORTIONAL)
        errors = _errors(case, truth, arithmetic, replicas, magnified)
    # What is stored below the smallest normal number loses a rounding at least, even where relu turns all replicas
    # to 0; in a format where such numbers count for nothing, their loss is held against nobody.
    smallest = arithmetic.smallest_normal * (ROUNDING * arithmetic.unit if arithmetic.counts_small else NEGLIGIBLE)
    spread = {}
    for name, exact in truth.items():
        errs = (errors[name] > 0) | (exact != 0) & (np.abs(exact) < arithmetic.smallest_normal)
        spread[name] = np.where(errs, np.maximum(errors[name], smallest), errors[name])
    return Result(**spread)


def _errors(case: Case, truth: Result, arithmetic: Arithmetic, replicas: int, magnified: float) -> dict[str, Array]:
    """The root mean square error of replicas that err ``magnified`` times as much as the arithmetic, over that."""
    noisy = run(_replicated(case, NoiseSource(arithmetic, case, replicas, _seed(case), magnified)))
    errors = {}
    for name, values in noisy.items():
        batch_axis = 0 if name == "y" else 1
        shape = *values.shape[:batch_axis], replicas, -1, *values.shape[batch_axis + 1 :]
        side_by_side = plain(values).reshape(shape).swapaxes(0, batch_axis)
        one, another = side_by_side[:2]
        # Where no rounding reaches, replicas are equal; they are right, and a state of an empty row may differ.
        off = side_by_side - np.where(one == another, one, getattr(truth, name))
        halves = np.split(off.reshape(*off.shape[:-1], -1, case.layer.hidden_size), 2)
        errors[name] = np.maximum(*map(_root_mean_square, halves)).reshape(one.shape) / magnified
    return errors


def _root_mean_square(states: Array) -> Array:
    """Along the first axis, at least its mean over the H units of a state, which the last axis is."""
    pooled = _pooled_square(states)
    root: Array = np.sqrt(pooled)
    extreme = ~((pooled > 1e-280) & (pooled < 1e280)).all(axis=-1)
    if extreme.any():
        # Of about the size of 1, so that their squares are numbers.
        states = states[:, extreme]
        exponent = np.maximum(np.frexp(np.abs(states).max(axis=(0, -1), keepdims=True))[1], -1000)
        root[extreme] = np.ldexp(np.sqrt(_pooled_square(np.ldexp(states, -exponent))), exponent[0])
    return root


def _pooled_square(states: Array) -> Array:
    """The mean square along the first axis, at least its mean along the last."""
    square = np.einsum("r...,r...->...", states, states) / len(states)
    pooled: Array = np.maximum(square, square.mean(axis=-1, keepdims=True))
    return pooled


def _replicated(case: Case, source: NoiseSource) -> Case:
    """The case several times over, stacked along the batch, its inputs noisy from the first operation on."""

    def noisy(array: Array) -> Array:
        return source.noisy(np.concatenate([array] * source.replicas, axis=1))

    return Case(
        case.layer,
        case.weights,
        noisy(case.x.swapaxes(0, 1)).swapaxes(0, 1),  # in memory time comes first, as it is read
        None if case.h_0 is None else noisy(case.h_0),
        None if case.c_0 is None else noisy(case.c_0),
        None if case.lengths is None else np.tile(case.lengths, source.replicas),
    )


def _seed(case: Case) -> int:
    """A seed that depends on the content of the case alone; padding counts for nothing."""
    digest = zlib.crc32(repr(case.layer).encode())
    for name, array in sorted(arrays_of_case(case).items()):
        content = np.where(case.valid[:, :, None], array, 0) if name == "x" else array
        digest = zlib.crc32(content.tobytes(), zlib.crc32(f"{name}{content.shape}".encode(), digest))
    return digest
