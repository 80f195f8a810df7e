"""What the README tells a new user to do works."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from tests.suite_run import ROOT, Starter

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_backend_in_the_readme_is_whole_and_passes(tmp_path: Path) -> None:
    """Copied out as it stands, it is judged, and holds to every claim that is made of it."""
    suite = Starter(tmp_path)
    code = re.search(r"```python\n# mine\.py\n(.*?)```", README, re.DOTALL)
    assert code is not None
    (tmp_path / "mine.py").write_text(code[1], encoding="utf-8")
    run = suite.run("--backend", "mine:Backend", "conformance")
    assert run.code == 0, run.output
    assert re.match(r"mine: [1-9]\d claims hold, 0 do not; \d{3} cases ", run.summary[0])


def test_every_environment_that_the_readme_names_is_one_of_tox() -> None:
    """The two commands of the beginning among them."""
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    named = re.findall(r"tox run -e ([\w,-]+)", README)
    assert len(named) >= 2
    for environment in ",".join(named).split(","):
        assert f"testenv:{environment}" in tox


def test_every_file_that_the_readme_names_is_there() -> None:
    """Links and claims both."""
    for path in re.findall(r"\]\(([\w./-]+)\)", README) + [
        f"conformance/{name}" for name in re.findall(r"`(test_\w+\.py)`", README)
    ]:
        assert (ROOT / path).exists(), path
