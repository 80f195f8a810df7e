"""A pytest plugin for the runs that tests start: little shrinking, and failing cases in a folder of the test."""

from __future__ import annotations

import os
from pathlib import Path

from conformance import search

search.SHRINKING_SECONDS = 0.3
search.FAILURES = Path(os.environ["FAILING_CASES"])
