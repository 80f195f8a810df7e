"""The computed golden vectors: a backend gives the exact results, within the stored error of its arithmetic.

Nothing is computed here but what the backend computes: the right answer and sigma are those in the files, which is how
an implementer without Python uses them. A vector that the backend does not claim is counted as declined.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from backends import Capabilities
from conformance.search import Judged, Subject, Tally, fail, verdict_of
from conformance.tolerance import Truth, Verdict, judge
from golden import manifest
from golden.manifest import Stored
from reference import Array, Case, Result
from reference.noise import ARITHMETICS


@dataclass(frozen=True, kw_only=True)
class StoredTruth(Truth):
    """The answer and the error that a file holds, in the dialect of a backend."""

    vector: Stored

    @cached_property
    def value(self) -> Result:
        """The right answer, in float64."""
        return self._in_dialect(self.vector.exact)

    @cached_property
    def sigma(self) -> Result:
        """The error of the plain arithmetic of the dtype."""
        return self._in_dialect(self.vector.sigma)

    def error_of(self, candidate: Result) -> Result:
        """What a candidate has too much in each element, as float64 arrays."""
        return Result(**{name: getattr(candidate, name).astype(np.float64) - a for name, a in self.value.items()})

    def _in_dialect(self, stored: Result) -> Result:
        """Rows of length 0 hold their state in the files, and have state zero in another dialect."""
        if self.zero_length != "zero" or self.case.lengths is None:
            return stored
        empty = self.case.row_lengths == 0

        def without_empty_rows(name: str, array: Array) -> Array:
            return array if name == "y" else np.where(empty[:, None], 0.0, array)

        return Result(**{name: without_empty_rows(name, array) for name, array in stored.items()})


@pytest.mark.each_dtype
def test_the_vectors_come_out(subject: Subject, tally: Tally, request: pytest.FixtureRequest) -> None:
    """Every golden vector that is claimed comes out, within the error of the plain arithmetic of its dtype."""
    wrong: list[str] = []
    first: Case | None = None
    for vector in manifest.load():
        if vector.case.layer.cell is not subject.cell or str(vector.case.dtype) not in subject.dtypes:
            continue
        if reason := declines(subject.backend.capabilities, vector):
            tally.decline(reason)
            continue
        verdict = verdict_on(subject, vector, tally.digests)
        tally.add(verdict, vector.case)
        if not verdict.accepted:
            wrong.append(message(vector, verdict))
            first = first or vector.case
    if wrong:
        listed = "\n".join(wrong[:MOST_LISTED])
        more = f"\n... and {len(wrong) - MOST_LISTED} more" if len(wrong) > MOST_LISTED else ""
        count = f"{len(wrong)} of {tally.cases} vectors of {subject.cell} in {', '.join(subject.dtypes)} are wrong"
        fail(f"{count}\n{listed}{more}", subject, request, first)
    if not tally.cases:
        pytest.skip(f"declined: {subject.backend.name} does not claim {', '.join(tally.declined)}")


MOST_LISTED = 5
"""How many wrong vectors are shown in full."""


def verdict_on(subject: Subject, vector: Stored, digests: dict[str, str] | None = None) -> Verdict:
    """The verdict on one vector; ``digests`` gets the digest of the result under the id of the vector."""
    backend, case = subject.backend, vector.case
    truth = StoredTruth(case, ARITHMETICS[str(case.dtype)], backend.capabilities.zero_length, vector=vector)

    def claim(backend: Judged, case: Case) -> Verdict:
        result = backend.run(case)
        verdict = judge(truth, result)
        if digests is not None and isinstance(result, Result):
            digests[vector.id] = digest_of(result)
        return verdict

    return verdict_of(claim, backend, case)


def digest_of(result: Result) -> str:
    """Of every bit of a result: two results of one digest are the same, NaNs and signs of zeros included."""
    digest = hashlib.sha256()
    for name, array in result.items():
        if isinstance(array, np.ndarray):
            digest.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def declines(capabilities: Capabilities, vector: Stored) -> str | None:
    """The reason why a vector lies outside the claim, or None where it lies within."""
    if reason := capabilities.declines(vector.case):
        return reason
    plain, claimed = (
        ARITHMETICS[name] for name in (str(vector.case.dtype), capabilities.arithmetic_of(vector.case.dtype))
    )
    is_coarser = any(
        getattr(claimed, unit) > getattr(plain, unit) for unit in ("unit", "accumulate_unit", "operand_unit")
    )
    return f"the arithmetic {plain.name}" if is_coarser else None


def message(vector: Stored, verdict: Verdict) -> str:
    """What is wrong with one vector, and which bugs it is known to catch."""
    flags = manifest.read()["flags"]
    return "\n".join(
        [
            f"vector {vector.id}: {vector.purpose}",
            f"  {vector.case}",
            *(f"  {mismatch.message}" for mismatch in verdict.mismatches),
            *(f"  {flag}: {flags[flag]}" for flag in vector.flags),
        ]
    )
