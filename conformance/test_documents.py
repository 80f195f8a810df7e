"""The documents: a backend gives what they print, and their sentences about outputs are true of it.

The printed values are those of ``golden/``, with its errata laid over them. All documents compute in float32.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import golden
import reference
from conformance.search import Judged, Subject, Tally, agrees_with_reference, examine, fail, verdict_of
from conformance.tolerance import K, Mismatch, Verdict, truth_of
from golden import Agreement, Output, Run, Vector
from golden.vector import first_steps
from reference import Case

SEED = 20220701
"""Of the numbers that a document draws at random without saying what they were."""


@pytest.mark.vectors(where=lambda vector: vector.is_known)
def test_the_printed_values_come_out(
    vector: Vector, subject: Subject, tally: Tally, request: pytest.FixtureRequest
) -> None:
    """Every printed number, within one unit of its last digit and the error of float32."""
    case = claimed_case(vector, subject)
    for output in vector.outputs:
        if output.tensor == "gates":
            continue  # inside a step, where no backend can be asked; tests/test_golden_documents.py asks the reference
        part = first_steps(case, output.steps)
        examine(agrees_with_reference, subject, part, tally, request)
        verdict = verdict_of(partial(prints, vector, output), subject.backend, part)
        if not verdict.accepted:
            tally.add(verdict, part)
            fail(told(verdict), subject, request)


@pytest.mark.vectors(where=lambda vector: vector.relations)
def test_the_sentences_about_the_outputs_are_true(
    vector: Vector, subject: Subject, tally: Tally, request: pytest.FixtureRequest
) -> None:
    """What a document says of its outputs in words: zeros past the length, the final state among the outputs, ..."""
    case = claimed_case(vector, subject)
    for name in vector.relations:
        verdict = verdict_of(partial(is_true, vector, name), subject.backend, case)
        tally.add(verdict, case)
        if not verdict.accepted:
            fail(told(verdict), subject, request)


@pytest.mark.vectors(where=lambda vector: vector.agreements)
def test_the_stated_agreement_is_kept(
    vector: Vector, subject: Subject, tally: Tally, request: pytest.FixtureRequest
) -> None:
    """Where a document shows two implementations to agree within a tolerance, the backend and the reference do."""
    case = claimed_case(vector, subject)
    for agreement in vector.agreements:
        verdict = verdict_of(partial(keeps, vector, agreement), subject.backend, case)
        tally.add(verdict, case)
        if not verdict.accepted:
            fail(told(verdict), subject, request)


def claimed_case(vector: Vector, subject: Subject) -> Case:
    """The case of a vector, or a skip with the reason why the backend does not claim it."""
    case = vector.case(np.random.default_rng(SEED))
    if reason := subject.backend.capabilities.declines(case):
        pytest.skip(f"declined: {subject.backend.name} does not claim {reason}")
    return case


def prints(vector: Vector, output: Output, backend: Judged, case: Case) -> Verdict:
    """The verdict on one printed tensor."""
    numbers, truth = golden.in_reference_layout(vector, output), truth_of(case, backend.capabilities)
    got, sigma = getattr(backend.run(case), output.tensor), getattr(truth.sigma, output.tensor)
    excess = golden.beyond_print(numbers, got, K * sigma)
    index = tuple(int(k) for k in np.unravel_index(np.argmax(excess), excess.shape))
    if excess[index] <= 0:
        return Verdict()
    printed = f"{vector} prints {numbers.value[index]:.9g} ({output.locator})"
    return wrong("value", f"{output.tensor}{list(index)} = {got[index]:.9g}, but {printed}")


def is_true(vector: Vector, name: str, backend: Judged, case: Case) -> Verdict:
    """The verdict on one sentence about the outputs."""
    relation, run = golden.RELATIONS[name], run_of(backend, case)
    violation = golden.judge(relation, run, other_run(vector, backend, case))
    elements = sum(run.values[tensor].size for tensor in relation.needs or run.values)
    if violation is None:
        return Verdict(elements=elements)
    place = f"{violation.tensor}{list(violation.index)} is off by {violation.excess:.3g}"
    return wrong("law", f"{name} ({relation.says}) is broken in the configuration of {vector}: {place}", elements)


def keeps(vector: Vector, agreement: Agreement, backend: Judged, case: Case) -> Verdict:
    """The verdict on one stated agreement."""
    expected, result = reference.run(case.astype(np.float64)), backend.run(case)
    wanted, got = (getattr(outputs, agreement.tensor) for outputs in (expected, result))
    excess = np.abs(got.astype(np.float64) - wanted) - agreement.atol - agreement.rtol * np.abs(wanted)
    if not np.any(excess > 0):
        return Verdict(elements=got.size)
    beyond = f"{np.max(excess):.3g} beyond atol={agreement.atol:g}, rtol={agreement.rtol:g}"
    return wrong("value", f"{agreement.tensor} is off by {beyond} in the configuration of {vector}", got.size)


def wrong(kind: str, message: str, elements: int = 0) -> Verdict:
    """A verdict of one mismatch."""
    return Verdict((Mismatch(kind, message),), elements)


def told(verdict: Verdict) -> str:
    """What is wrong, in words."""
    return "\n".join(mismatch.message for mismatch in verdict.mismatches)


def run_of(backend: Judged, case: Case) -> Run:
    """The outputs of the backend, each known to within K sigma."""
    truth, result = truth_of(case, backend.capabilities), backend.run(case)
    tolerance = max(float(np.max(K * sigma)) for _, sigma in truth.sigma.items())
    return golden.run_of(case, result, tolerance)


def other_run(vector: Vector, backend: Judged, case: Case) -> Run:
    """What a relation between two runs compares with.

    The backend's run of the vector's other call, which has the same weights and inputs, or the reference's run of the
    same call.
    """
    if not vector.other:
        return golden.run_of(case, reference.run(case.astype(np.float64)))
    other = next(v for v in golden.vectors() if (v.document, v.id) == (vector.document, vector.other))
    return run_of(backend, other.case(np.random.default_rng(SEED)))
