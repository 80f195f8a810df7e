"""List the known deviations, or write them down.

python -m conformance.deviations                            names and sentences
python -m conformance.deviations --write docs/findings.md   the document
"""

from __future__ import annotations

import sys

from conformance.command_line import list_or_write
from conformance.deviations import DEVIATIONS
from conformance.deviations.document import write


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    lines = (f"{deviation.name}: {deviation.does}" for deviation in DEVIATIONS)
    return list_or_write("python -m conformance.deviations", __doc__, lines, write, arguments)


if __name__ == "__main__":
    sys.exit(main())
