"""List the fault catalogue, or write it down.

python -m conformance.faults                          names and sentences
python -m conformance.faults --write docs/faults.md   the document
"""

from __future__ import annotations

import sys

from conformance.command_line import list_or_write
from conformance.faults import CATALOGUE
from conformance.faults.document import write


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    return list_or_write(
        "python -m conformance.faults",
        __doc__,
        (f"{fault.name}: {fault.says}" for fault in CATALOGUE.values()),
        write,
        arguments,
        keeps=", keeping what it has measured",
    )


if __name__ == "__main__":
    sys.exit(main())
