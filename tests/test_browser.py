"""The page in a real browser: chromium, driven by playwright, without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.report import store
from tests.made_report import made_backend, made_report, wrong_backend

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; tox run -e browser has it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = os.environ.get("AXE_CORE", "")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is on the PATH")

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # A container has no user namespaces for the sandbox, and the page is our own.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    store.write(folder, made_report(made_backend(), wrong_backend()))
    return folder / store.PAGE


@pytest.fixture(params=list(SIZES))
def page(request: pytest.FixtureRequest, browser: Any, file: Path) -> Iterator[Any]:
    """The page, opened; whatever it complains of or asks the network for fails the test."""
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
    )
    page.goto(file.as_uri())
    yield page
    context.close()
    assert complaints == []


def test_the_page_opens_and_fits_its_width(page: Any) -> None:
    """Only the tables scroll sideways."""
    assert page.title() == "Touchstone: some, wrong"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".card").count() == 2


def test_the_filter_chooses_backends_and_rows(page: Any) -> None:
    """A word of a backend's name chooses backends, others choose rows and failures; nothing is lost for good."""
    box = page.locator("#filter")
    box.fill("wrong gru")
    assert page.locator(".card:visible h3").all_inner_texts() == ["wrong"]
    assert page.locator("#matrix tr[data-feature]:visible th[scope=row]").all_inner_texts() == [
        "gru",
        "gru reset after",
        "gru reset before",
    ]
    assert page.locator("#filtered").inner_text() == "1 of 2 backends"
    assert page.locator("details[id^=f-]:visible").count() == 1
    box.fill("nosuchthing")
    assert page.locator("#filtered").inner_text() == "nothing is called that"
    box.fill("")
    assert page.locator(".card:visible").count() == 2
    assert page.locator("#matrix tr[data-feature]:visible").count() == page.locator("#matrix tr[data-feature]").count()


def test_a_field_opens_what_stands_behind_it_and_leads_to_the_failure(page: Any) -> None:
    """With the keyboard as with a mouse; Escape leads back to the field."""
    field = page.locator("button.field[data-column=wrong][data-feature='cell: gru']:visible")
    field.focus()
    page.keyboard.press("Enter")
    assert page.locator("#details-title").inner_text() == "wrong, float32, cell: gru"
    assert page.locator("#details tbody tr").all_inner_texts() == ["every gate (gru)\t4\t2\t\t10^4\t13.9"]
    page.keyboard.press("Escape")
    assert not page.locator("#details").is_visible()
    assert field.evaluate("element => element === document.activeElement")
    field.click()
    page.locator("#details a").click()
    assert not page.locator("#details").is_visible()
    assert (
        page.locator("details[open] pre")
        .inner_text()
        .startswith("some does not hold to the claim: Every gate is <right>.")
    )


def test_a_failure_can_be_linked_to(browser: Any, file: Path) -> None:
    """Its address opens it."""
    page = browser.new_page()
    page.goto(f"{file.as_uri()}#f-wrong-0")
    assert page.locator("#f-wrong-0").get_attribute("open") is not None
    page.close()


def test_the_dtype_of_the_matrix_can_be_chosen(browser: Any, tmp_path: Path) -> None:
    """Its fields are shown in place of the others, and the table says which."""
    both = made_backend(arithmetic={"float64": "float64", "float32": "float32"})
    store.write(tmp_path, made_report(both))
    page = browser.new_page()
    page.goto((tmp_path / store.PAGE).as_uri())
    shown = page.locator("#matrix .overall .field:visible")
    assert shown.get_attribute("data-dtype") == "float32"
    page.locator("#choice label", has_text="float64").click()
    assert shown.get_attribute("data-dtype") == "float64"
    assert page.locator(".dtype-name").inner_text() == "float64"
    page.close()


@pytest.mark.skipif(not AXE, reason="AXE_CORE does not name axe.min.js; tox run -e browser installs it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(scheme: str, page: Any) -> None:
    """As far as axe-core can tell, closed and with a field open, in both colour schemes."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.add_script_tag(path=AXE)
    for opened in (False, True):
        if opened:
            page.evaluate("for (const element of document.querySelectorAll('details')) element.open = true")
            page.locator("button.field:visible").first.click()
        found = page.evaluate("axe.run(document)")["violations"]
        assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []
