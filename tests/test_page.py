"""The page of a report, as it is written; tests/test_browser.py opens it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from conformance.features import AXES
from conformance.report import store
from conformance.report.badge import badge
from conformance.report.contents import Counts, Report, sigmas
from conformance.report.matrix import columns
from conformance.report.page import explanation, findings, growth, page
from tests.made_report import RIGHT, WRONG, made_backend, made_claim, made_report, wrong_backend

POWER = {
    "versions": "numpy 2.0.0, hypothesis 6.100.0",
    "seeds": ["0"],
    "false alarms": [],
    "rows": [
        {"fault": "caught-one", "seed": "0", "caught": True, "reason": None, "claims": [{"kind": "laws"}]},
        {"fault": "left-one", "seed": "0", "caught": False, "reason": "it is too small", "claims": []},
    ],
}


class Elements(HTMLParser):
    """Every element with its attributes and the text right inside, and the nesting checked on the way."""

    VOID = frozenset({"meta", "link", "input", "line", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: dict[int, str] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text[len(self.found) - 1] = self.text.get(len(self.found) - 1, "") + data

    def all(self, tag: str, **wanted: str) -> Iterator[dict[str, str | None]]:
        for name, attributes in self.found:
            if name == tag and all(attributes.get(key.rstrip("_")) == value for key, value in wanted.items()):
                yield attributes


@pytest.fixture(scope="module")
def report() -> Report:
    return made_report(made_backend(), wrong_backend())


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return page(report, None)


def test_the_page_is_well_formed_and_every_id_is_there_once(html: str) -> None:
    """Every element is closed where it should be, and every link and label inside the page leads somewhere."""
    elements = Elements(html)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in elements.found:
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids
        for name in ("aria-labelledby", "for"):
            assert attributes.get(name) is None or attributes[name] in ids


def test_the_page_needs_nothing_from_elsewhere(html: str) -> None:
    """No address but its own and those in prose; what it may fetch is nothing."""
    assert "default-src 'none'" in html
    for tag, attributes in Elements(html).found:
        assert "src" not in attributes
        if "href" in attributes:
            assert (attributes["href"] or "").startswith(("#", "data:")), tag
    assert not re.search(r"@import|url\(", html)


def test_every_feature_has_a_field_for_every_backend_and_dtype(html: str, report: Report) -> None:
    """With a state that is said in words and has a symbol, so that no colour is needed."""
    fields = [a for _, a in Elements(html).found if "data-dtype" in a and "field" in (a.get("class") or "")]
    features = sum(map(len, AXES.values())) + 1
    assert len(fields) == features * len(columns(report))
    labels = [a["aria-label"] for a in fields if "aria-label" in a]
    assert "cell: gru, wrong, float32: 13.9 bits, 4 cases, 2 wrong" in labels
    assert "cell: lstm, some, float32: 24.0 bits, 15 cases" not in labels  # eleven: a law judges no bits
    assert "cell: lstm, some, float32: 24.0 bits, 11 cases" in labels


def test_what_is_wrong_is_told_with_its_explanation_its_message_and_its_command(html: str) -> None:
    """Escaped, because a message may hold anything."""
    assert "tanh-by-table" in html
    assert "Every gate is &lt;right&gt;." in html and "<right>" not in html
    assert "conformance/test_agreement.py::test_every_gate[some-gru-float32]" in html
    assert "In the smallest case the first step to disagree is t = 0 forward." in html


def test_what_a_backend_does_not_claim_and_what_is_known_of_it_is_told(html: str) -> None:
    """And which backends nobody had, and why."""
    assert re.search(r"lengths <span class=\"quiet\">\(1\)", html)
    assert "<b>zero-for-empty</b>: Empty rows have state zero." in html
    assert "backend &#39;absent&#39; needs the module &#39;absent&#39;" in html


def test_a_page_of_an_incomplete_or_partial_run_says_so() -> None:
    """At its top; what has no verdict is not counted as right."""
    whole = made_report()
    assert 'class="banner"' not in page(whole, None)
    whole["incomplete"] = whole["runs"][0]["incomplete"] = True
    assert "<strong>Incomplete.</strong>" in page(whole, None)
    part = made_report()
    part["runs"][0]["selection"]["keyword"] = "lstm"
    assert "some: only a part of the suite was asked for (-k lstm)." in page(part, None)
    part["runs"][0]["shard"] = "1,3/3"
    assert "some: only shard 1,3/3 is here." in page(part, None)
    pending = page(made_report(wrong_backend()), None)
    assert "1 of 3 claims does not hold" in pending


def test_the_table_of_power_is_there_where_it_was_measured(html: str, tmp_path: Path) -> None:
    """Read from the folder of the report."""
    assert "What the suite can see" not in html
    (tmp_path / "power.json").write_text(json.dumps(POWER))
    store.write(tmp_path, made_report())
    with_power = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "2 wrong implementations" in with_power and "50.0% of them rejected" in with_power
    assert "<b>left-one</b> survives under seed 0: it is too small." in with_power
    Elements(with_power)


def test_broken_claims_are_put_together_by_their_explanation(report: Report) -> None:
    """By the faults of the diagnosis; without one, by what was raised."""
    (finding,) = findings(columns(report)[1])
    assert (finding.title, finding.bits, len(finding.claims)) == ("tanh-by-table", 13.9, 1)
    assert finding.short == "The tanh is looked up. Look at it."
    message = "it does not hold\nthe backend raised\n    File x\n    RuntimeError: no kernel\nrerun: pytest"
    failure: dict[str, Any] = {"message": message, "case": None, "first_steps": {}, "diagnosis": None, "rerun": None}
    crashed = made_claim("laws/x", "gru", "failed", {"cases": 1, "crashed": 1}, failure=failure)
    assert explanation(crashed) == ("no result", "RuntimeError: no kernel")
    unexplained = made_claim("laws/x", "gru", "failed", failure={**failure, "diagnosis": "no known fault explains it"})
    assert explanation(unexplained) == ("not explained", "no known fault explains it")
    assert explanation(made_claim("laws/x", "gru", "crashed"))[0] == "the test itself crashed"


def test_a_card_says_which_features_are_spared(report: Report) -> None:
    """Those that are right in many cases, while others on the same axis are wrong: they tell where to look."""
    many = {"cases": 12, "passed": 12, "bits": 24.0}
    claims = [
        made_claim("laws/x", "rnn", "failed", WRONG, features={"float32": {"variant": {"rnn tanh": WRONG}}}),
        made_claim("laws/y", "rnn", features={"float32": {"variant": {"rnn relu": many}, "cell": {"lstm": many}}}),
        made_claim(
            "laws/z", "gru", features={"float32": {"variant": {"gru reset after": RIGHT}, "cell": {"rnn": WRONG}}}
        ),
    ]
    (column,) = columns(made_report(made_backend(claims=claims)))
    assert column.spared == ["lstm", "rnn relu"]
    assert columns(report)[0].spared == []


def test_a_backend_that_is_wrong_only_as_known_is_not_called_right() -> None:
    """Its card has a state of its own, and names what is known."""
    known = Counts(cases=4, passed=3, deviating=1, bits=4.0)
    features = {"float32": {"cell": {"lstm": known}}}
    claim = made_claim("laws/x", "lstm", counts=known, features=features, deviating={"zero-for-empty": 1})
    deviations = wrong_backend()["deviations"]
    right = [made_backend("one"), made_backend("two")]
    html = page(made_report(*right, made_backend(claims=[claim], deviations=deviations)), None)
    assert 'class="card known"' in html and "the claim holds, but for 1 known deviation" in " ".join(html.split())
    assert "<b>zero-for-empty</b><span>Empty rows have state zero. 1 case.</span>" in html


def test_errors_over_time_are_drawn_within_the_drawing(report: Report) -> None:
    """An infinite one at the top; nothing is drawn where nothing was judged."""
    chart = growth(columns(report)[0])
    assert chart is not None
    (line,) = chart.lines
    points = [tuple(map(float, point.split(","))) for point in line.points.split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points) and len(points) == 3
    assert all(chart.left <= x <= chart.right and chart.top <= y <= chart.bottom for x, y in points)
    assert points[-1][1] == chart.top
    assert growth(columns(made_report(made_backend(claims=[])))[0]) is None


@pytest.mark.parametrize(("ratio", "text"), [(0, "0"), (2.512, "2.5"), (31.2, "31"), (3.1e5, "10^5"), (1e30, "∞")])
def test_ratios_are_short(ratio: float, text: str) -> None:
    """Two digits are as much as they tell."""
    assert sigmas(ratio) == text


@pytest.mark.parametrize(
    ("change", "message", "color"),
    [
        ({}, "3 claims hold, 24.0 bits in float32", "blue"),
        ({"claims": []}, "nothing judged", "lightgrey"),
        (wrong_backend(), "1 of 3 claims fail, 13.9 bits in float32", "orange"),
    ],
)
def test_a_badge_says_what_holds_and_how_many_bits(change: Any, message: str, color: str) -> None:
    """In the form of a shields.io endpoint."""
    (column,) = columns(made_report(made_backend(**{k: v for k, v in change.items() if k == "claims"})))
    assert badge(column) == {"schemaVersion": 1, "label": "touchstone: some", "message": message, "color": color}


def test_a_badge_of_an_incomplete_run_says_nothing_else() -> None:
    """Whatever has held so far."""
    report = made_report()
    report["runs"][0]["incomplete"] = True
    assert badge(columns(report)[0])["message"] == "incomplete"
