"""Backends that end or stop the process that judges them; tests copy this file out of the checkout."""

from __future__ import annotations

import os
import time
from pathlib import Path

import reference
from backends import Capabilities
from reference import Case, Cell, Result


class Mortal:
    """Ends the process in the first case of two layers, as a fault in native code does."""

    name = "mortal"
    capabilities = Capabilities(cells=(Cell.RNN, Cell.LSTM), dtypes=("float32",))

    def run(self, case: Case) -> Result:
        if case.layer.num_layers == 2:
            os._exit(11)
        return reference.run(case)


class Stalls:
    """Says in the file STALLED that it has come to its second LSTM, and stays there."""

    name = "stalls"
    capabilities = Capabilities(dtypes=("float32",))

    def __init__(self) -> None:
        self._lstms = 0

    def run(self, case: Case) -> Result:
        self._lstms += case.layer.cell is Cell.LSTM
        if self._lstms == 2:
            Path(os.environ["STALLED"]).touch()
            time.sleep(600)
        return reference.run(case)
