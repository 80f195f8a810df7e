"""The reference as a backend: the same judge, turned on the definition itself."""

from __future__ import annotations

import numpy as np

import reference
from backends import Capabilities
from reference import Case, Result


class Reference:
    """``reference.run`` in the dtype of the case; bfloat16 needs ml_dtypes."""

    name = "reference"
    description = f"numpy {np.__version__}, cpu"
    capabilities = Capabilities()

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return reference.run(case)
