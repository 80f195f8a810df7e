"""What the search keeps count of, and when it ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from conformance import search
from conformance.search import Count, Judged, Patience, Search, Subject, Tally, content_of
from conformance.tolerance import Mismatch, Verdict
from reference import Case, Cell, Direction, Layer
from tests.some_case import KINDS, some_case
from tests.third_party import Right

CASE = some_case(KINDS[2], lengths=(2, 5, 0, 1))


def test_a_tally_adds_up_what_was_judged() -> None:
    """Sums of cases and elements, by what became of them; the largest error, the fewest bits."""
    tally = Tally()
    assert (tally.total, tally.elements, tally.worst) == (Count(), 0, 0.0)
    for verdict in (
        Verdict(elements=10, worst=2.0),
        Verdict((Mismatch("value", "wrong"),), elements=5, worst=9.0, bits=22.5),
        Verdict(informative=False),
        Verdict((Mismatch("raised", "wrong"),)),
        Verdict(elements=1, worst=1.0, bits=24.0),
        Verdict(elements=1, worst=4.0, bits=23.5, deviation="known"),
    ):
        tally.add(verdict, CASE)
    total = Count(cases=6, passed=2, failed=1, crashed=1, uninformative=1, deviating=1, worst=9.0, bits=22.5)
    assert (tally.total, tally.elements, tally.deviating) == (total, 17, {"known": 1})
    assert (tally.cases, tally.worst) == (6, 9.0)


def test_a_tally_counts_every_feature_of_a_case() -> None:
    """By dtype and axis; each axis adds up to all cases."""
    tally = Tally()
    for case in (CASE, replace(CASE, lengths=None), CASE.astype(np.float32)):
        tally.add(Verdict(elements=1, worst=1.0), case)
    assert {dtype: axes["cell"]["lstm"].cases for dtype, axes in tally.features.items()} == {"float64": 2, "float32": 1}
    lengths = tally.features["float64"]["lengths"]
    assert {value: count.cases for value, count in lengths.items()} == {"given, some 0": 1, "none": 1}
    for axes in tally.features.values():
        assert {sum(count.cases for count in values.values()) for values in axes.values()} in ({1}, {2})


def test_a_tally_keeps_the_largest_error_of_every_stretch_of_steps() -> None:
    """One by one up to 16, then four to a doubling; only of what is judged against the right answer."""
    tally = Tally()
    steps = tuple(float(step) for step in range(40))
    tally.add(Verdict(elements=1, bits=24.0, steps=steps), CASE)
    tally.add(Verdict(elements=1, bits=24.0, steps=(50.0,)), CASE)
    tally.add(Verdict(elements=1, steps=(99.0,)), CASE)
    assert tally.steps == {
        "float64": {0: 50.0} | {k: float(k) for k in range(1, 16)} | {16: 19, 20: 22, 23: 26, 27: 31, 32: 38, 39: 39}
    }


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


def test_examples_are_judged_before_what_is_generated() -> None:
    """Those that concern the subject and that the claim speaks of; one that fails stands as it is."""
    judged: list[bytes] = []

    def claim(backend: Judged, case: Case) -> Verdict:
        judged.append(content_of(case))
        return Verdict((Mismatch("value", "wrong"),)) if case.num_steps == 23 else Verdict(elements=1)

    settings.register_profile("touchstone", search.generation(5))
    asked, subject = Search(claim, wanted={"lengths": True}), Subject(Judged(Right()), "right", Cell.LSTM, ("float64",))
    examples = [
        some_case(KINDS[2], steps=steps, lengths=lengths).astype(dtype)
        for steps in (22, 23)
        for lengths in (None, (1, 2, 3, 0))
        for dtype in (np.float64, np.float32)
    ]
    tally = Tally()
    found = asked.disagreement(subject, tally, "0", [*examples, some_case(KINDS[0], lengths=(1, 2, 3, 0))])
    wanted = [content_of(examples[2]), content_of(examples[6])]
    assert judged[:2] == wanted and not set(judged[2:]) & set(map(content_of, examples))
    assert found is not None and content_of(found.case) == wanted[1]
    assert (tally.total.failed, tally.cases) == (1, len(judged))
    assert asked.disagreement(subject, Tally(), "0") is None


def test_a_search_judges_all_cases_whatever_becomes_of_the_first() -> None:
    """What fails, and in how many cases, is what a report is asked for; each is judged once."""
    judged: list[bytes] = []

    def claim(backend: Judged, case: Case) -> Verdict:
        judged.append(content_of(case))
        return Verdict((Mismatch("value", "wrong"),)) if case.layer.bias else Verdict(elements=1)

    settings.register_profile("touchstone", search.generation(20))
    tally = Tally()
    found = Search(claim).disagreement(Subject(Judged(Right()), "right", Cell.GRU, ("float32",)), tally, "0")
    assert found is not None and found.case.layer.bias
    assert tally.total.failed > 1 and tally.total.passed > 1
    assert len(set(judged[: tally.cases])) == tally.cases
    assert tally.features["float32"]["bias"]["with"].passed == 0
    assert tally.features["float32"]["bias"]["without"].failed == 0


def test_a_large_case_that_fails_is_told_as_any_other() -> None:
    """Hypothesis's complaint about its length is nobody's."""

    def claim(backend: Judged, case: Case) -> Verdict:
        return Verdict((Mismatch("value", "wrong"),))

    layer = Layer(cell=Cell.GRU, input_size=30, hidden_size=8, direction=Direction.BIDIRECTIONAL, num_layers=5)
    large = some_case(layer, batch=16, steps=2)
    assert len(repr(large)) > 30_000
    search = Search(claim, strategy=lambda *_, **__: st.just(large))
    found = search.disagreement(Subject(Judged(Right()), "right", Cell.GRU, ("float64",)), Tally(), "0")
    assert found is not None and found.case == large


def test_a_search_gives_up_on_a_backend_without_results() -> None:
    """Each of them may have taken a process with it."""

    def claim(backend: Judged, case: Case) -> Verdict:
        return Verdict((Mismatch("raised", "no result"),))

    settings.register_profile("touchstone", search.generation(20))
    tally = Tally()
    assert Search(claim).disagreement(Subject(Judged(Right()), "right", Cell.GRU, ("float32",)), tally, "0") is not None
    assert (tally.cases, tally.total.crashed) == (search.MOST_CRASHES, search.MOST_CRASHES)
