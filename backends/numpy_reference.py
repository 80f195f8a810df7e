"""The reference as a backend: the same judge, turned on the definition itself."""

from __future__ import annotations

import numpy as np

import reference
from backends import DTYPES, Capabilities
from reference import Case, Result


class Reference:
    """``reference.run`` in the dtype of the case; bfloat16 needs ml_dtypes."""

    name = "reference"
    description = f"numpy {np.__version__}, cpu"
    capabilities = Capabilities(
        dtypes=DTYPES,
        # numpy and ml_dtypes add up products in float32.
        arithmetic={"float16": "float16-float32", "bfloat16": "bfloat16-float32"},
    )

    def run(self, case: Case) -> Result:
        """See :class:`backends.Backend`."""
        return reference.run(case)
