"""List the fault catalogue, or write it down.

python -m conformance.faults                          names and sentences
python -m conformance.faults --write docs/faults.md   the document
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.faults import CATALOGUE
from conformance.faults.document import write


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m conformance.faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the document, keeping what it has measured")
    options = parser.parse_args(arguments)
    if options.write is not None:
        write(options.write)
    else:
        for fault in CATALOGUE.values():
            print(f"{fault.name}: {fault.says}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
