"""What a deviation is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.tolerance import Truth
from reference import Case

REPRODUCERS = Path(__file__).resolve().parent / "reproducers"


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One thing that a framework does otherwise than it should."""

    name: str
    """A speaking name in kebab case; with underscores, that of its file in ``reproducers/``."""
    framework: str
    """Its name and the version in which it was seen."""
    backends: tuple[str, ...]
    """Names of the backends that show it, or stand on what shows it."""
    does: str
    """One sentence: what the framework does."""
    should: str
    """What it should do, and who says so."""
    seen: str
    """What was measured."""
    concerns: Callable[[Case], bool] | None = None
    """Whether it can show in a case, as narrow as can be said; None where no case of this suite can express it."""
    pinned: Callable[[], Case] | None = None
    """A case in which it shows; None where no case of this suite can express it."""
    model: Callable[[Truth], Truth] | None = None
    """What the framework gives in place of a truth: a result that is not accepted of it either is not excused.

    None where there is no result, or nothing to be said of it.
    """
    links: tuple[str, ...] = ()
    """Where the framework documents it, or where it was reported."""

    def __post_init__(self) -> None:
        if (self.concerns is None) != (self.pinned is None):
            raise ValueError(f"deviation {self.name!r} should have both the cases that it concerns and a pinned one")
        if self.model is not None and self.concerns is None:
            raise ValueError(f"deviation {self.name!r} has a model, and should have the cases that it concerns")

    @property
    def reproducer(self) -> Path:
        """A program in the framework's own words, without anything of this project: it fails once this is mended."""
        return REPRODUCERS / f"{self.name.replace('-', '_')}.py"
