"""Make the computed vectors again, and compare them with those that are there."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from golden.corpus import FLAGS, corpus
from golden.manifest import NAME, VECTORS, Line, file_of, line_of, read, regenerated, written
from golden.produce import FORMAT, differences
from golden.recipe import Recipe
from reference.case_file import write_atomically

DESCRIPTION = """\
Make the computed vectors of golden/vectors again, and compare them with the files that are there.

Files that are missing are written. A file that would change is left as it is, unless --accept is given: the command
says what differs in it, and fails. The same goes for the manifest, line by line. Files of no vector of the corpus are
named and never removed. Every file is written whole or not at all, and the manifest last, so that the command may be
stopped at any moment and run again.
"""
EPILOG = """\
exit status: 0 everything is as it should be, 1 something is not, 2 the command could not be run

  python -m golden --check                   does everything regenerate to the same bytes?
  python -m golden --only 'lstm-*' --accept  take over the new values of these vectors
"""

LEFT_BEHIND = re.compile(r"\.(.+)\.\d+")
"""The name under which a file is written before it gets its own; see :func:`reference.case_file.write_atomically`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    recipes = [recipe for recipe in corpus() if fnmatchcase(recipe.id, options.only)]
    if not recipes:
        parser.error(f"--only is {options.only!r}, but should match the id of at least one of {len(corpus())} vectors")
    try:
        run = Regeneration(options.directory, writing=not options.check, accepting=options.accept)
        return run.run(recipes)
    except OSError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("stopped: every file is whole, run the command again", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m golden",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare only, and write nothing")
    mode.add_argument("--accept", action="store_true", help="change files, and lines of the manifest, that differ")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="only vectors whose id matches, as in 'gru-*'")
    parser.add_argument("--directory", type=Path, default=VECTORS, help="in place of golden/vectors")
    return parser


class Regeneration:
    """One run of the command over one folder."""

    def __init__(self, folder: Path, *, writing: bool, accepting: bool) -> None:
        self.folder, self.writing, self.accepting = folder, writing, accepting
        self.counts: Counter[str] = Counter()
        self.failed = False
        """Whether something is not as it should be, and stays so."""
        self.lines: dict[str, Line] = {}
        """The lines of the manifest as it is to be left behind."""
        self.is_locked = not writing
        """Whether the manifest stays as it is."""

    def run(self, recipes: Sequence[Recipe]) -> int:
        """Make some vectors; the exit status."""
        self._read_manifest()
        if self.writing:
            self._remove_left_behind()
        for recipe in _with_progress(recipes):
            self._settle(recipe, regenerated(self.folder, recipe.id))
        if len(recipes) == len(corpus()):
            self._name_the_superfluous()
        self._write_manifest()
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        print(f"{len(recipes)} vectors: {counts}")
        return int(self.failed)

    def _report(self, what: str, subject: str, reasons: Iterable[str] = (), resolved: bool = False) -> None:
        print(f"{what}: {subject}", *(f"    {reason}" for reason in reasons), sep="\n")
        self.failed |= not resolved

    def _changes(self, subject: str, reasons: list[str]) -> bool:
        """Report what would change in something that is there, and return whether it may."""
        self._report("accepted" if self.accepting else "differs", subject, reasons, resolved=self.accepting)
        return self.accepting

    def _read_manifest(self) -> None:
        path = self.folder / NAME
        if not path.exists():
            return
        reasons = []
        try:
            manifest = read(self.folder)
            self.lines = {line["id"]: line for line in manifest["vectors"]}
            if path.read_bytes() != written(self.lines, manifest["format"], manifest["flags"]):
                reasons.append("it is not written as this command writes it")
            for name, wanted in (("format", FORMAT), ("flags", dict(FLAGS))):
                if manifest[name] != wanted:
                    reasons.append(f"{name} is not as in the corpus")
        except (ValueError, TypeError, KeyError) as error:
            reasons.append(str(error))
        if reasons and not self._changes(NAME, reasons):
            self.is_locked = True

    def _remove_left_behind(self) -> None:
        """Remove what runs that were killed have left behind."""
        ours = {NAME, *(file_of(recipe.id) for recipe in corpus())}
        for path in self.folder.glob(".*"):
            match = LEFT_BEHIND.fullmatch(path.name)
            if match and match[1] in ours:
                path.unlink(missing_ok=True)

    def _settle(self, recipe: Recipe, content: bytes) -> None:
        """Compare a vector with its file and its line in the manifest, and write what is to be written."""
        path, wanted = self.folder / file_of(recipe.id), line_of(recipe, content)
        present = path.read_bytes() if path.exists() else None
        line = self.lines.get(recipe.id)
        changes = [] if present is None else differences(present, content)
        changes += [] if line is None else _between_lines(line, wanted, but="sha256" if changes else "")
        missing = [what for what, found in (("the file", present), ("its line in the manifest", line)) if found is None]
        if not changes and not missing:
            self.counts["as they should be"] += 1
        elif changes and not self._changes(recipe.id, changes):
            self.counts["differ"] += 1
        elif not self.writing:
            self.counts["missing"] += 1
            self._report("missing", recipe.id, missing)
        else:
            self.counts["accepted" if changes else "new"] += 1
            if present != content:
                write_atomically(path, content)
            self.lines[recipe.id] = wanted

    def _name_the_superfluous(self) -> None:
        """Name the files and lines of no vector. Lines go with ``--accept``; files are never removed."""
        known = {recipe.id for recipe in corpus()}
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.stem not in known:
                self._report("superfluous", path.name, ["it belongs to no vector of the corpus, and should be removed"])
        for id in sorted(set(self.lines) - known):
            if self._changes(id, ["the manifest lists it, but the corpus has no such vector"]):
                del self.lines[id]

    def _write_manifest(self) -> None:
        path, content = self.folder / NAME, written(self.lines)
        if not self.is_locked and not (path.exists() and path.read_bytes() == content):
            write_atomically(path, content)


def _between_lines(line: Line, wanted: Line, but: str) -> list[str]:
    """How a line of the manifest differs from what it should be, ``but`` for one field that has been spoken of."""
    return [
        f"the manifest says {name} {line.get(name)!r}, but should say {wanted.get(name)!r}"
        for name in {**wanted, **line}
        if line.get(name) != wanted.get(name) and name != but
    ]


def _with_progress(recipes: Sequence[Recipe]) -> Iterable[Recipe]:
    """The same, with a bar on a terminal that has rich."""
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from rich.console import Console
            from rich.progress import track

            return track(recipes, "vectors", console=Console(stderr=True), transient=True)
    return recipes


if __name__ == "__main__":
    sys.exit(main())
