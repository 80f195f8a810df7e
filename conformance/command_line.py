"""What the commands of this package have in common: commands of a command, and a document to list or to write."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Carried = Callable[[argparse.Namespace], int]
"""What carries a command out; it returns the exit status."""


def with_commands(
    prog: str, description: str | None, epilog: str | None = None
) -> tuple[argparse.ArgumentParser, Callable[[str, Carried, str], argparse.ArgumentParser]]:
    """A parser, and ``command(name, run, says)``, which adds a command to it; ``options.run`` is its ``run``."""
    whole = argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Carried, says: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says, description=says)
        added.set_defaults(run=run)
        return added

    return whole, command


def list_or_write(
    prog: str,
    description: str | None,
    lines: Iterable[str],
    write: Callable[[Path], Any],
    arguments: list[str] | None,
    keeps: str = "",
) -> int:
    """A command that prints ``lines``, or with ``--write FILE`` writes the document; ``keeps`` is what it leaves."""
    parser = argparse.ArgumentParser(prog=prog, description=(description or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"write the document{keeps}")
    options = parser.parse_args(arguments)
    if options.write is not None:
        write(options.write)
    else:
        print("\n".join(lines))
    return 0
