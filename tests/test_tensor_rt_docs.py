"""The examples of docs/tensorrt.md run, one after the other, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import reference
from tests.tensor_rt_module import tensorrt_or_skip

tensorrt_or_skip()

PAGE = Path(reference.__file__).resolve().parent.parent / "docs" / "tensorrt.md"


def test_the_examples_run() -> None:
    """In one namespace, as a reader types them; the last value of each is what the page says."""
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(examples) == 4
    namespace: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), namespace)
    assert namespace["outputs"]["h_n"].shape == (3, 1, 5)
    assert len(namespace["plan"]) > 0
