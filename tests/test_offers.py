"""What is written down of the backends: it is complete, it is what they claim, and docs/backends.md says it."""

from __future__ import annotations

import importlib
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends import BACKENDS, DTYPES, BackendError, Capabilities, load
from backends.offers import ADAPTER_OF, ADAPTERS, RNN_V2, TENSOR_RT, Adapter, Kind, Offer
from backends.tensor_rt.network import CAPABILITIES
from backends.tensor_rt.rnn_v2_layer import RNN_V2_CAPABILITIES
from conformance.deviations import DEVIATIONS
from conformance.offers import FEATURES, document, main, not_claimed
from tests.suite_run import ROOT

DOCUMENT = ROOT / "docs" / "backends.md"


def title_of(adapter: Adapter) -> str:
    return adapter.title.replace(" ", "-")


every_adapter = pytest.mark.parametrize("adapter", ADAPTERS, ids=title_of)


# What the backends claim


def check(name: str, capabilities: Capabilities) -> None:
    """What a backend is said not to offer is what lies outside its capabilities; what depends may be either."""
    adapter = ADAPTER_OF[name]
    offers = {feature: adapter.offer(feature) for feature in FEATURES}
    absent = {feature for feature, offer in offers.items() if offer.kind is Kind.ABSENT}
    depending = {feature for feature, offer in offers.items() if offer.where}
    assert absent == not_claimed(capabilities) - depending
    assert adapter.zero_length == capabilities.zero_length
    arithmetic = adapter.entries[name].arithmetic
    for dtype in capabilities.dtypes:
        assert arithmetic.get(dtype, dtype) == capabilities.arithmetic_of(dtype)


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_not_offered_is_what_is_not_claimed(name: str) -> None:
    """Of every backend that this environment has, with the dialect and the arithmetic that are claimed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a framework may say what it likes while it is imported
            capabilities = load(name).capabilities
    except BackendError as error:
        pytest.skip(str(error))
    check(name, capabilities)


@pytest.mark.parametrize("name", [*TENSOR_RT.entries, *RNN_V2.entries])
def test_what_tensorrt_offers_is_known_without_it(name: str) -> None:
    """Its engines need a GPU, and what they claim does not; those in TF32 differ in float32 alone."""
    claimed = RNN_V2_CAPABILITIES if name in RNN_V2.entries else CAPABILITIES
    tf32 = {"float32": "tf32"} if name.endswith("tf32") else {}
    check(name, replace(claimed, arithmetic={**claimed.arithmetic, **tf32}))


@pytest.mark.parametrize("attribute", ["PyTorchCuda", "PyTorchCudaTf32"])
def test_what_pytorch_offers_on_cuda_is_known_without_a_device(attribute: str) -> None:
    """It needs torch, which says the same everywhere."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    backend = getattr(importlib.import_module("backends.pytorch"), attribute)
    check(backend.name, backend.capabilities)


@pytest.mark.parametrize(
    "changed",
    [
        {"input_modes": ("linear",)},
        {"reset_after": (True, False)},
        {"dtypes": ("float64", "float32", "float16")},
        {"lengths": False},
        {"zero_length": "hold"},
        {"arithmetic": {"float16": "float16"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_declaration_that_does_not_hold_is_found(changed: dict[str, Any]) -> None:
    """A feature too few or too many, another dialect, another arithmetic."""
    check("tensorrt-rnnv2", RNN_V2_CAPABILITIES)
    with pytest.raises(AssertionError):
        check("tensorrt-rnnv2", replace(RNN_V2_CAPABILITIES, **changed))


def test_dtypes_are_among_what_is_not_claimed() -> None:
    """Beside the features that a report counts by."""
    assert not_claimed(Capabilities(dtypes=DTYPES)) == set()
    assert not_claimed(Capabilities(dtypes=("float32",), input_modes=("linear",))) == {
        ("dtype", "float64"),
        ("dtype", "float16"),
        ("dtype", "bfloat16"),
        ("input mode", "skip"),
    }


# What is written down


def test_every_backend_stands_in_its_place() -> None:
    """Once, and in the order of the table of names."""
    assert list(ADAPTER_OF) == list(BACKENDS)
    assert sum(len(adapter.entries) for adapter in ADAPTERS) == len(BACKENDS)


@every_adapter
def test_an_adapter_is_told_in_order(adapter: Adapter) -> None:
    """Sentences, of features that there are; a finding that there is, of one of its backends."""
    findings = {each.name: set(each.backends) for each in DEVIATIONS}
    assert adapter.calls.endswith(".")
    assert set(adapter.offers) <= set(FEATURES)
    for offer in adapter.offers.values():
        assert not offer.says or re.fullmatch(r"[A-Z`](?!.*(?:  |\. )).*\.", offer.says)
        assert not offer.where.endswith(".")
        assert not offer.deviation or findings[offer.deviation] & set(adapter.entries)


@every_adapter
def test_what_depends_on_the_machine_is_offered_on_some(adapter: Adapter) -> None:
    """What is absent is absent everywhere, and has not been seen to deviate."""
    assert not [
        offer for offer in adapter.offers.values() if offer.kind is Kind.ABSENT and offer.where + offer.deviation
    ]


@pytest.mark.parametrize("kind", [Kind.BUILT, Kind.ABSENT], ids=str)
def test_what_is_not_native_has_a_sentence(kind: Kind) -> None:
    """How it is built, or why there is none."""
    with pytest.raises(ValueError, match=f"says is empty, but should be a sentence for what is {kind}"):
        Offer(kind=kind)
    assert Offer(kind=Kind.NATIVE).says == ""


@pytest.mark.parametrize("name", BACKENDS)
def test_environments_and_groups_are_those_that_there_are(name: str) -> None:
    """In tox.ini and pyproject.toml."""
    entry = ADAPTER_OF[name].entries[name]
    sections = re.findall(r"^\[testenv:\{?([\w,-]+)", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE)
    groups = re.findall(r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert entry.environment is None or entry.environment in ",".join(sections).split(",")
    assert entry.group is None or entry.group in groups
    assert entry.environment is None or entry.group is not None


# The page


def test_the_document_is_in_step_with_what_is_offered() -> None:
    """docs/backends.md says what it says: python -m conformance.offers --write docs/backends.md"""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_the_document_shows_every_feature_of_every_backend() -> None:
    """Rows of one width, a section for each adapter, and links that lead somewhere."""
    text = document()
    matrix, names = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in (matrix, names):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert len(matrix.splitlines()) == 2 + len(FEATURES) + 1
    assert re.findall(r"^\| \[`(.+?)`\]", names, re.MULTILINE) == list(BACKENDS)
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.+?)\)", text)) <= headings
    files = {link.partition("#")[0] for link in re.findall(r"\]\(([^#)].*?)\)", text)}
    assert files and all((ROOT / "docs" / file).is_file() for file in files)
    for adapter in ADAPTERS:
        for offer in adapter.offers.values():
            assert offer.says in text and offer.where in text and offer.deviation in text


def test_the_command_lists_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each backend with what it does not offer, and the document."""
    assert main([]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == list(BACKENDS)
    assert lines["onnx-reference"] == "everything is offered"
    assert lines["mlx"] == "not offered: variant: gru reset before; input mode: skip"
    written = tmp_path / "backends.md"
    assert main(["--write", str(written)]) == 0
    assert written.read_text(encoding="utf-8") == document()
