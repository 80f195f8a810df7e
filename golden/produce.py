"""From a recipe to the bytes of its file: the exact result, and how far an honest implementation may be from it.

The result is exact, and rounded correctly, so its bytes are the same everywhere. ``sigma`` is not: it is computed in
float64, by whatever BLAS and exponential function there are, and differs from machine to machine by up to 2e-7 of
itself. Rounding it does not help by itself: some element lies so close to a boundary between two rounded values that
one machine sees it above and another below, and a rule for such elements only moves the boundary. What does help is to
choose once and to write the choice down:

- sigma is rounded to :data:`SIGMA_BITS` significant bits, upwards, though what exceeds a rounded value by less than
  an eighth of a step still becomes that value: so no boundary lies on a power of two, where sigma often is exactly;
- sigma comes from some number of replicas, that of :func:`reference.noise.replicas_for` or a few more: the first for
  which no element lies within :data:`MARGIN` of a boundary. Another number draws other rounding errors;
- the file says in its header which number that was. Who makes it again takes this number, if every element is still
  at least half as far from a boundary: a machine that is off by less than 5e-6 gets the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors import SafetensorError

from golden.recipe import Recipe
from reference import Array, Case, Result, exact
from reference.case_file import arrays_of_case, decode, encode, layer_to_json
from reference.noise import ARITHMETICS, replicas_for, sigma

FORMAT = 1
"""Of the files and the manifest. A changed value is a new format."""

SIGMA_BITS = 4
"""Eight values an octave: sigma is an estimate from few replicas, and the limit is several of it."""

MARGIN = 1e-5
"""How near to a boundary sigma may lie when a number of replicas is chosen, relative to sigma; fifty times what
machines have been seen to differ by."""

ATTEMPTS = 100
"""How many numbers of replicas are tried; one in ten will do for the largest vectors."""

MOST_REPLICAS = 1000
"""What a file may ask for."""

DAMAGED = (ValueError, TypeError, SafetensorError, RecursionError)
"""What decoding a file raises that is not one."""


def content_of(recipe: Recipe, present: bytes | None = None) -> bytes:
    """The file of a vector; ``present`` is what stands there already, and keeps its number of replicas if it can."""
    case = recipe.case()
    spread, replicas = rounded_sigma(recipe, case, replicas_of(present))
    outputs = {"": exact.run(case, case.dtype), "exact.": exact.run(case, np.float64), "sigma.": spread}
    arrays = arrays_of_case(case)
    for prefix, result in outputs.items():
        arrays.update({f"{prefix}{name}": array for name, array in result.items()})
    header = {
        "format": FORMAT,
        "id": recipe.id,
        "layer": layer_to_json(recipe.layer),
        "arithmetic": recipe.dtype,
        "replicas": replicas,
    }
    return encode(arrays, header)


def rounded_sigma(recipe: Recipe, case: Case, replicas: int | None) -> tuple[Result, int]:
    """Sigma in the arithmetic of the case's dtype, and of how many replicas it is, ``replicas`` if that will do."""
    arithmetic = ARITHMETICS[recipe.dtype]
    if "exact" in recipe.flags:
        return Result(**{name: np.zeros(array.shape) for name, array in exact.run(case).items()}), 0
    if replicas:
        spread = sigma(case, arithmetic, replicas=replicas)
        if distance(spread) >= MARGIN / 2:
            return rounded(spread), replicas
    first = replicas_for(case)
    for number in range(first, first + 2 * ATTEMPTS, 2):
        spread = sigma(case, arithmetic, replicas=number)
        if distance(spread) >= MARGIN:
            return rounded(spread), number
    raise ArithmeticError(
        f"{first} to {number} replicas all leave an element of sigma of {recipe.id} on a boundary of its rounding,"
        " but some number of them should not"
    )


def rounded(spread: Result) -> Result:
    """Sigma in :data:`SIGMA_BITS` bits.

    >>> rounded(Result(np.array([0.0, 8.0, 8.1, 8.2, 15.9]), np.array([1.0]))).y
    array([ 0.,  8.,  8.,  9., 16.])
    """
    # Where sigma is 0, ceil gives -0.0, and adding zero to that gives 0.
    return Result(**{name: np.ldexp(np.ceil(steps - 0.125) + 0.0, power) for name, (steps, power) in _steps(spread)})


def distance(spread: Result) -> float:
    """How near the nearest element of sigma is to a boundary of the rounding, relative to sigma.

    >>> distance(Result(np.array([0.0, 8.0, 9.5]), np.array([10.0])))
    0.0125
    """
    nearest = np.inf
    for _, (steps, _) in _steps(spread):
        positive = steps[steps > 0]
        beyond = positive - 0.125
        nearest = min(nearest, np.min(np.abs(beyond - np.round(beyond)) / positive, initial=np.inf))
    return float(nearest)


def _steps(spread: Result) -> list[tuple[str, tuple[Array, Array]]]:
    """Each element as ``steps * 2**exponent`` with ``2**(SIGMA_BITS - 1) <= steps < 2**SIGMA_BITS``, or 0."""
    split = []
    for name, array in spread.items():
        fraction, exponent = np.frexp(array)
        split.append((name, (np.ldexp(fraction, SIGMA_BITS), exponent - SIGMA_BITS)))
    return split


def replicas_of(content: bytes | None) -> int | None:
    """The number of replicas that the header of a file names; None where there is no file, or no such number."""
    if content is None:
        return None
    try:
        _, header = decode(content)
    except DAMAGED:
        return None
    number = header.get("replicas")
    return number if isinstance(number, int) and 0 < number < MOST_REPLICAS else None


def differences(present: bytes, wanted: bytes) -> list[str]:
    """How the content of a file differs from what it should be, each difference in a few words."""
    if present == wanted:
        return []
    try:
        (old, old_header), (new, new_header) = decode(present), decode(wanted)
    except DAMAGED as error:
        return [f"not a vector: {error}"]
    found = [f"{name} is missing" for name in new if name not in old]
    found += [f"{name} is superfluous" for name in old if name not in new]
    found += [difference for name in new if name in old for difference in _between(name, old[name], new[name])]
    found += [
        f"header {key}: {old_header.get(key)!r}, but should be {new_header.get(key)!r}"
        for key in sorted({*old_header, *new_header})
        if old_header.get(key) != new_header.get(key)
    ]
    return found or ["the same content in other bytes"]


def _between(name: str, old: Array, new: Array) -> list[str]:
    """How an array differs, if it does."""
    for what, present, wanted in (("shape", old.shape, new.shape), ("dtype", old.dtype, new.dtype)):
        if present != wanted:
            return [f"{name} has {what} {present}, but should have {wanted}"]
    if old.tobytes() == new.tobytes():
        return []
    a, b = old.astype(np.float64), new.astype(np.float64)
    with np.errstate(invalid="ignore"):  # equal infinities
        apart: Any = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    if not np.any(apart):
        return [f"{name} in bits that make no difference to any number, such as the sign of zero"]
    return [f"{name} in {np.count_nonzero(apart)} of {apart.size} elements, by at most {np.max(apart):.3g}"]
