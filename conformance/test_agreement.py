"""Agreement: in every case that a backend claims, all of y, h_n and c_n are right."""

from __future__ import annotations

import pytest

from conformance.search import Judged, agrees_with_reference, for_every_case
from conformance.strategies import cases_that_repeat, cases_with_nan, cases_with_zeros, large_cases, sweeps
from conformance.tolerance import Verdict
from reference import Case


@pytest.mark.each_dtype
@for_every_case(examples=3)
def test_every_output_agrees_with_the_reference(backend: Judged, case: Case) -> Verdict:
    """All of y, h_n and c_n agree with the reference within the error of the claimed arithmetic."""
    return agrees_with_reference(backend, case)


@pytest.mark.each_dtype
@for_every_case(needs=("linear",), strategy=sweeps)
def test_every_activation_agrees_wherever_its_argument_lies(backend: Judged, case: Case) -> Verdict:
    """Every gate is right at every point of intervals through which its argument runs."""
    return agrees_with_reference(backend, case)


@for_every_case(needs=("linear",), strategy=large_cases)
def test_no_size_is_too_large(backend: Judged, case: Case) -> Verdict:
    """Rows, steps, features and units past the first 256, and elements past the first 65536, are as those before."""
    return agrees_with_reference(backend, case)


@pytest.mark.each_dtype
@for_every_case(strategy=cases_that_repeat)
def test_numbers_that_repeat_are_as_any_others(backend: Judged, case: Case) -> Verdict:
    """Inputs, weights and states that are the same along an axis, or diagonal, are no special case."""
    return agrees_with_reference(backend, case)


@pytest.mark.each_dtype
@for_every_case(strategy=cases_with_zeros)
def test_numbers_that_are_zero_are_as_any_others(backend: Judged, case: Case) -> Verdict:
    """Inputs, weights and states that are zero, all of them or those in one place, are no special case."""
    return agrees_with_reference(backend, case)


@for_every_case(input_mode="linear", strategy=cases_with_nan)
def test_nan_reaches_what_depends_on_it_and_nothing_else(backend: Judged, case: Case) -> Verdict:
    """NaN in a valid step or an initial state makes NaN of every output that depends on it, and changes no other."""
    return agrees_with_reference(backend, case)
