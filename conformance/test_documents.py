"""The documents: a backend gives what they print, and their sentences about outputs are true of it.

The printed values are those of ``golden/``, with its errata laid over them. All documents compute in float32.
"""

from __future__ import annotations

import numpy as np
import pytest

import golden
import reference
from conformance.search import Subject, Tally, agrees_with_reference, examine, fail
from conformance.tolerance import K, Truth, Verdict, truth_of
from golden import Output, Run, Vector
from golden.vector import first_steps
from reference import Case, Result

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
        truth, result = truth_of(part, subject.backend.capabilities), subject.backend.run(part)
        if unlike := unlike_print(vector, output, truth, result):
            fail(unlike, subject, request)


@pytest.mark.vectors(where=lambda vector: vector.relations)
def test_the_sentences_about_the_outputs_are_true(
    vector: Vector, subject: Subject, tally: Tally, request: pytest.FixtureRequest
) -> None:
    """What a document says of its outputs in words: zeros past the length, the final state among the outputs, ..."""
    case = claimed_case(vector, subject)
    run, other = run_of(subject, case), other_run(vector, subject, case)
    for name in vector.relations:
        relation = golden.RELATIONS[name]
        violation = golden.judge(relation, run, other)
        tally.add(Verdict(elements=sum(run.values[tensor].size for tensor in relation.needs or run.values)))
        if violation is not None:
            place = f"{violation.tensor}{list(violation.index)} is off by {violation.excess:.3g}"
            fail(f"{name} ({relation.says}) is broken in the configuration of {vector}: {place}", subject, request)


@pytest.mark.vectors(where=lambda vector: vector.agreements)
def test_the_stated_agreement_is_kept(
    vector: Vector, subject: Subject, tally: Tally, request: pytest.FixtureRequest
) -> None:
    """Where a document shows two implementations to agree within a tolerance, the backend and the reference do."""
    case = claimed_case(vector, subject)
    expected, result = reference.run(case.astype(np.float64)), subject.backend.run(case)
    for agreement in vector.agreements:
        wanted, got = (getattr(outputs, agreement.tensor) for outputs in (expected, result))
        excess = np.abs(got.astype(np.float64) - wanted) - agreement.atol - agreement.rtol * np.abs(wanted)
        tally.add(Verdict(elements=got.size))
        if np.any(excess > 0):
            beyond = f"{np.max(excess):.3g} beyond atol={agreement.atol:g}, rtol={agreement.rtol:g}"
            fail(f"{agreement.tensor} is off by {beyond} in the configuration of {vector}", subject, request)


def claimed_case(vector: Vector, subject: Subject) -> Case:
    """The case of a vector, or a skip with the reason why the backend does not claim it."""
    case = vector.case(np.random.default_rng(SEED))
    if reason := subject.backend.capabilities.declines(case):
        pytest.skip(f"declined: {subject.backend.name} does not claim {reason}")
    return case


def unlike_print(vector: Vector, output: Output, truth: Truth, result: Result) -> str | None:
    """Where one printed tensor is not what a result has, or None."""
    numbers = golden.in_reference_layout(vector, output)
    got, sigma = getattr(result, output.tensor), getattr(truth.sigma, output.tensor)
    excess = golden.beyond_print(numbers, got, K * sigma)
    index = tuple(int(k) for k in np.unravel_index(np.argmax(excess), excess.shape))
    if excess[index] <= 0:
        return None
    printed = f"{vector} prints {numbers.value[index]:.9g} ({output.locator})"
    return f"{output.tensor}{list(index)} = {got[index]:.9g}, but {printed}"


def run_of(subject: Subject, case: Case) -> Run:
    """The outputs of the backend, each known to within K sigma."""
    truth, result = truth_of(case, subject.backend.capabilities), subject.backend.run(case)
    tolerance = max(float(np.max(K * sigma)) for _, sigma in truth.sigma.items())
    return golden.run_of(case, result, tolerance)


def other_run(vector: Vector, subject: Subject, case: Case) -> Run:
    """What a relation between two runs compares with.

    The backend's run of the vector's other call, which has the same weights and inputs, or the reference's run of the
    same call.
    """
    if not vector.other:
        return golden.run_of(case, reference.run(case.astype(np.float64)))
    other = next(v for v in golden.vectors() if (v.document, v.id) == (vector.document, vector.other))
    return run_of(subject, other.case(np.random.default_rng(SEED)))
