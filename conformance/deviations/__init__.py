"""What frameworks are known to do differently: data, each with a program in the framework's own words that shows it.

A deviation excuses the failures of its backends on the cases that it concerns, and on no others: they are judged, and
counted as deviating in place of failing. Where it has a model, the result has to be what that says. It excuses only as
long as its pinned case still deviates, so that nothing stays excused that a framework has mended;
``test_deviations.py`` then asks for the entry to be removed.

``python -m conformance.deviations --write docs/findings.md`` makes the document.
"""

from __future__ import annotations

from conformance.deviations import (
    of_flax,
    of_keras,
    of_mind_spore,
    of_mlx,
    of_onnx_reference,
    of_onnx_runtime,
    of_open_vino,
    of_tensor_rt,
)
from conformance.deviations.deviation import REPRODUCERS, Deviation

DEVIATIONS: tuple[Deviation, ...] = (
    *of_mind_spore.DEVIATIONS,
    *of_onnx_runtime.DEVIATIONS,
    *of_onnx_reference.DEVIATIONS,
    *of_tensor_rt.DEVIATIONS,
    *of_open_vino.DEVIATIONS,
    *of_flax.DEVIATIONS,
    *of_keras.DEVIATIONS,
    *of_mlx.DEVIATIONS,
)
"""Every known deviation, by framework."""

__all__ = ["DEVIATIONS", "REPRODUCERS", "Deviation"]
