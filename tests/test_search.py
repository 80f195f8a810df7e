"""What the search keeps count of, and when it ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from conformance import search
from conformance.search import Patience, Tally, content_of
from conformance.tolerance import Mismatch, Verdict
from reference import Case
from tests.some_case import KINDS, some_case

CASE = some_case(KINDS[2], lengths=(2, 5, 0, 1))


def test_a_tally_adds_up_what_was_judged() -> None:
    """Sums of cases and elements, the largest error, the fewest bits."""
    tally = Tally()
    assert tally == Tally(cases=0, elements=0, uninformative=0, worst=0.0, bits=None)
    for verdict in (
        Verdict(elements=10, worst=2.0),
        Verdict(elements=5, worst=9.0, bits=22.5),
        Verdict(informative=False),
        Verdict((Mismatch("type", "wrong"),)),
        Verdict(elements=1, worst=1.0, bits=24.0),
    ):
        tally.add(verdict)
    assert tally == Tally(cases=5, elements=16, uninformative=1, worst=9.0, bits=22.5)


@pytest.mark.parametrize(
    "other",
    [
        replace(CASE, x=np.nextafter(CASE.x, 1)),
        replace(CASE, lengths=(2, 5, 0, 2)),
        replace(CASE, lengths=None),
        replace(CASE, h_0=None, c_0=None),
        replace(CASE, weights=(replace(CASE.weights[0], b_hh=-CASE.weights[0].b_hh),)),
        CASE.astype(np.float32),
    ],
)
def test_the_content_of_a_case_is_all_that_it_is(other: Case) -> None:
    """Any array, to the last bit, and nothing else."""
    assert content_of(other) != content_of(CASE)
    assert content_of(CASE.map(np.copy)) == content_of(CASE)


def test_patience_begins_with_the_first_failure_and_ends_for_new_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while only the cases seen to fail go on failing, which leaves nothing to be tried."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    patience = Patience()
    now += math.ceil(2 * search.SHRINKING_SECONDS)
    assert not patience.is_over_for(b"one")
    patience.found(b"one")
    now += search.SHRINKING_SECONDS / 2
    assert not patience.is_over_for(b"other")
    now += search.SHRINKING_SECONDS
    assert patience.is_over_for(b"other") and not patience.is_over_for(b"one")
