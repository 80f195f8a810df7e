"""List the known deviations, or write them down.

python -m conformance.deviations                            names and sentences
python -m conformance.deviations --write docs/findings.md   the document
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.deviations import DEVIATIONS
from conformance.deviations.document import write


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m conformance.deviations", description=description)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the document")
    options = parser.parse_args(arguments)
    if options.write is not None:
        write(options.write)
    else:
        for deviation in DEVIATIONS:
            print(f"{deviation.name}: {deviation.does}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
