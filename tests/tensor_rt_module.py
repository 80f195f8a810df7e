"""The TensorRT that tests of networks run on, or the reason why they cannot."""

from __future__ import annotations

from types import ModuleType

import pytest

from backends import BackendError
from backends.tensor_rt import api


def tensorrt_or_skip() -> ModuleType:
    """The module that makes networks here; where there is none, the test module that asks is skipped."""
    try:
        trt = api.tensorrt()
        api.builder_of(trt)
    except BackendError as error:
        pytest.skip(f"{error} (tox run -e tensorrt has all that it needs)", allow_module_level=True)
    return trt
