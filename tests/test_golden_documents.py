"""The values transcribed from the documents: they are reproduced, their errata are real, their relations can fail."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

import golden
from golden import Enumeration, Erratum, Output, Relation, Run, Vector, load
from golden.axes import LAYOUTS, shape_of
from golden.printed import read
from reference import GATES, Array, Cell, Direction, Layer, run

ALLOWANCE = 6 * 2.0**-24
"""What float32 may be off, as a share of the largest number of the tensor."""

VECTORS = {str(vector): vector for vector in golden.vectors()}
ERRATA = {erratum.id: erratum for erratum in golden.errata()}
KNOWN_OUTPUTS = [(v, o) for v in VECTORS.values() if v.is_known for o in v.outputs]
PRINTED_RELATIONS = [
    (vector, golden.RELATIONS[name])
    for vector in VECTORS.values()
    if vector.outputs
    for name in vector.relations
    if set(golden.RELATIONS[name].needs) <= set(golden.printed_run(vector).values)
]
ALL_RELATIONS = [(vector, golden.RELATIONS[name]) for vector in VECTORS.values() for name in vector.relations]


def id_of(value: object) -> str:
    """A test id for a vector, an output, a relation or an erratum."""
    return str(getattr(value, "name", value) if not isinstance(value, Vector) else value)


def excess(vector: Vector, output: Output) -> Array:
    """By how much the reference misses each printed element; positive is wrong."""
    values = golden.computed(vector.case().astype(np.float64), output)
    return golden.beyond_print(golden.in_reference_layout(vector, output), values, ALLOWANCE * np.abs(values).max())


def as_printed(erratum: Erratum) -> Vector:
    """The vector of an erratum with every other erratum corrected."""
    vectors = golden.vectors(without={erratum.id})
    return next(v for v in vectors if (v.document, v.id) == (erratum.document, erratum.vector))


def table_of(erratum: Erratum) -> dict[str, Any]:
    """The table of the vector file in which an erratum stands, as printed; raises where it no longer does."""
    entries = {v.id: dict(v.data) for v in golden.vectors(corrected=False) if v.document == erratum.document}
    return load.locate(erratum, entries)[0]


def errata_of(kind: str) -> list[Erratum]:
    """The errata of one kind."""
    return [erratum for erratum in ERRATA.values() if erratum.kind == kind]


def other_run(vector: Vector) -> Run | None:
    """The printed outputs of the vector that a relation between two runs compares with."""
    return golden.printed_run(VECTORS[f"{vector.document}/{vector.other}"]) if vector.other else None


def slack_of(relation: Relation) -> float:
    """Two runs differ by the noise of float32; within one run the documents print the same numbers twice."""
    return ALLOWANCE if relation.between_two else 0.0


# ---- the printed numbers


@pytest.mark.parametrize(("vector", "output"), KNOWN_OUTPUTS, ids=id_of)
def test_the_reference_reproduces_what_is_printed(vector: Vector, output: Output) -> None:
    """After the errata, the exact values lie within one unit of the last printed digit, and float32's noise."""
    assert np.all(excess(vector, output) <= 0)


@pytest.mark.parametrize(("vector", "output"), KNOWN_OUTPUTS, ids=id_of)
def test_the_reference_in_float32_reproduces_what_is_printed(vector: Vector, output: Output) -> None:
    """So do the values in the arithmetic of the documents themselves."""
    values = golden.computed(vector.case(), output)
    allowance = ALLOWANCE * np.abs(values).max()
    assert np.all(golden.beyond_print(golden.in_reference_layout(vector, output), values, allowance) <= 0)


@pytest.mark.parametrize(("vector", "output"), KNOWN_OUTPUTS, ids=id_of)
def test_a_changed_value_is_not_what_is_printed(vector: Vector, output: Output) -> None:
    """Two units off, in any readable element, is noticed, and so is NaN."""
    numbers = golden.in_reference_layout(vector, output)
    for wrong in (numbers.value + 2 * numbers.unit, np.full(numbers.value.shape, np.nan)):
        assert np.array_equal(golden.beyond_print(numbers, wrong) > 0, numbers.readable)


@pytest.mark.parametrize(
    ("vector", "output"),
    [
        (v, o)
        for v in VECTORS.values()
        for o in v.outputs
        if v.document == "mindspore-lstm-post" or (v.document == "tensorrt-loop" and o.steps is None)
    ],
    ids=id_of,
)
def test_every_number_printed_by_numpy_is_a_float32(vector: Vector, output: Output) -> None:
    """Numpy prints a float32 with the digits that identify it: a digit copied wrongly would mostly print otherwise."""

    def printed_again(token: str) -> str:
        number = np.float32(token)
        if "e" not in token:
            return np.format_float_positional(number, precision=8, trim=".")
        digits = len(token.lstrip("-").split("e")[0]) - 2
        return np.format_float_scientific(number, precision=digits, unique=False, exp_digits=2)

    assert [printed_again(token) for token in output.printed.split()] == output.printed.split()


@pytest.mark.parametrize("vector", VECTORS.values(), ids=id_of)
def test_stated_shapes_are_those_of_the_tensors(vector: Vector) -> None:
    """Of every output, and of every shape that a sentence of the document states."""
    sizes = vector.sizes
    for output in vector.outputs:
        assert output.shape == shape_of(output.axes, {**sizes, "G": len(output.gates)})
    for stated in vector.data.get("stated", []):
        digits = re.search(r"\((\d+(?:,\d+)+)\)", stated["quote"])
        if "axes" in stated and digits:
            assert shape_of(stated["axes"], sizes) == tuple(map(int, digits[1].split(",")))


@pytest.mark.parametrize("step", [1, 2])
def test_the_worked_computation_comes_out(step: int) -> None:
    """The operands that the loop chapter writes out give the printed sum, and that is the printed hidden state."""
    vector = VECTORS["tensorrt-loop/relu-rnn"]
    prefix = f"h-{step}-"
    tables = [table for table in vector.data["worked"] if table["name"].startswith(prefix)]
    term = {t["name"].removeprefix(prefix): read(t["printed"], shape_of(t["axes"], vector.sizes)).value for t in tables}
    total = term["w-ih"] @ term["x"] + term["w-hh"] @ term["h"] + term["b-ih"] + term["b-hh"]
    assert np.array_equal(total, term["sum"])
    assert np.array_equal(vector.output(f"h-{step}").numbers().value, term["sum"])


@pytest.mark.parametrize("vector", VECTORS.values(), ids=id_of)
def test_printed_inputs_are_what_the_program_fills_in(vector: Vector) -> None:
    """An input that the document prints besides making it has the numbers that it is made of."""
    for name, spec in vector.data["input"].items():
        if "fill" in spec and "printed" in spec:
            assert set(map(float, spec["printed"].split())) == {float(spec["fill"])}, name


def test_a_run_of_equal_numbers_is_what_the_reference_has() -> None:
    """Where the text has one number over and over, that number is every element of the tensor."""
    found = [(v, u) for v in VECTORS.values() for u in v.data.get("unreadable", []) if "every_number" in u]
    assert len(found) == 1
    for vector, damaged in found:
        values = dict(run(vector.case()).items())[damaged["tensor"]]
        assert np.all(values == float(damaged["every_number"]))


def test_all_printed_numbers_are_counted() -> None:
    """So that a number that goes missing from a file is missed."""
    assert golden.printed_count() == {
        "tensorrt-loop": 485,
        "tensorrt-rnnv2": 681,
        "pytorch-birnn-notebook": 78,
        "pytorch-lstm-notebook": 0,
        "mindspore-lstm-post": 3468,
    }


# ---- what is stated besides numbers


def test_layer_attributes_are_fields_of_the_layer() -> None:
    """What the RNNv2 layer reports of itself is what the vector says of its configuration."""
    vector = VECTORS["tensorrt-rnnv2/layer-attributes"]
    assert vector.data["attributes"] == {
        "num_layers": vector.layer.num_layers,
        "hidden_size": vector.layer.hidden_size,
        "max_seq_length": vector.num_steps,
        "data_length": vector.layer.input_size,
    }


def test_the_profile_of_the_dynamic_network_covers_its_inputs() -> None:
    """The smallest shape fits in the usual one, that of the program's input, and that in the largest."""
    vector = VECTORS["tensorrt-loop/dynamic-lstm"]
    for name, profile in vector.data["attributes"].items():
        assert profile["opt"] == vector.data["input"][name]["shape"]
        for sizes in zip(profile["network"], profile["min"], profile["opt"], profile["max"]):
            network, smallest, usual, largest = sizes
            assert smallest <= usual <= largest
            assert network == (-1 if smallest < largest else usual)


@pytest.mark.parametrize("enumeration", golden.enumerations(), ids=id_of)
def test_enumerations_name_configurations_of_the_reference(enumeration: Enumeration) -> None:
    """Every listed member is a value of a reference layer's field, with the number of gates that is stated."""
    for member in enumeration.members.values():
        layer = Layer(
            cell=Cell(member.get("cell", "rnn")),
            direction=Direction(member.get("direction", "forward")),
            input_size=5,
            hidden_size=5,
            **{name: member[name] for name in ("activation", "input_mode") if name in member},
        )
        assert member.get("gates", 1) == len(GATES[layer.cell])


def test_enumerations_leave_nothing_out() -> None:
    """The documents list every cell and input mode of the reference."""
    listed = {e.name: list(e.members.values()) for e in golden.enumerations()}
    assert {m["cell"] for m in listed["trt.RNNOperation"]} == set(map(str, Cell))
    assert {m["input_mode"] for m in listed["trt.RNNInputMode"]} == {"linear", "skip"}
    assert {m["direction"] for m in listed["trt.RNNDirection"]} == {"forward", "bidirectional"}


# ---- errata


@pytest.mark.parametrize("erratum", ERRATA.values(), ids=lambda e: e.id)
def test_an_erratum_still_stands_as_printed(erratum: Erratum) -> None:
    """The vector file holds what the erratum says is printed, and the correction is another thing."""
    table_of(erratum)
    assert erratum.corrected != erratum.printed
    assert erratum.problem.endswith(".") and erratum.evidence.endswith(".")
    assert erratum.status in ("misprint", "conversion damage")


@pytest.mark.parametrize("erratum", errata_of("value"), ids=lambda e: e.id)
def test_a_misprinted_value_is_still_wrong(erratum: Erratum) -> None:
    """As printed, the reference disagrees with exactly the elements that the erratum names."""
    vector = as_printed(erratum)
    wrong = sum(int(np.sum(excess(vector, output) > 0)) for output in vector.outputs)
    assert wrong == len(erratum.index)


@pytest.mark.parametrize("erratum", errata_of("input"), ids=lambda e: e.id)
def test_a_misprinted_input_still_gives_another_output(erratum: Erratum) -> None:
    """From the printed input the reference computes other results than the printed ones."""
    vector = as_printed(erratum)
    wrong = {output.name for output in vector.outputs if np.any(excess(vector, output) > 0)}
    assert {"y", "c_n"} <= wrong


@pytest.mark.parametrize("erratum", errata_of("count"), ids=lambda e: e.id)
def test_a_wrong_count_is_still_wrong(erratum: Erratum) -> None:
    """More numbers are printed than the tensor has, and the correction has as many."""
    axes = table_of(erratum)["axes"]
    size = prod(shape_of(axes, as_printed(erratum).sizes))
    assert len(erratum.printed.split()) > size == len(erratum.corrected.split())


@pytest.mark.parametrize("erratum", errata_of("shape"), ids=lambda e: e.id)
def test_a_wrong_shape_is_still_wrong(erratum: Erratum) -> None:
    """The printed shape is not that of the axes, and loading with it is refused."""
    vector = as_printed(erratum)
    expected = shape_of(table_of(erratum)["axes"], vector.sizes)
    assert tuple(erratum.printed) != expected == tuple(erratum.corrected)
    with pytest.raises(ValueError, match="shape"):
        vector.case()
        for output in vector.outputs:
            golden.in_reference_layout(vector, output)


@pytest.mark.parametrize("erratum", errata_of("axes"), ids=lambda e: e.id)
def test_wrong_axes_are_still_wrong(erratum: Erratum) -> None:
    """The printed axes give another shape than the tensor has."""
    vector, tensor = as_printed(erratum), table_of(erratum)["tensor"]
    corrected = shape_of(erratum.corrected, vector.sizes)
    assert shape_of(erratum.printed, vector.sizes) != corrected
    assert set(erratum.corrected.split()) <= {*LAYOUTS[tensor].split(), "H"}
    if tensor in [output.name for output in vector.outputs]:
        assert corrected == vector.output(tensor).shape
    if tensor in vector.data["input"]:
        assert corrected == tuple(vector.data["input"][tensor]["shape"])


@pytest.mark.parametrize("erratum", errata_of("code"), ids=lambda e: e.id)
def test_a_broken_line_is_still_broken(erratum: Erratum) -> None:
    """The printed line raises what the erratum says, and the corrected one runs."""
    names = {name: stand_in(kind) for name, kind in table_of(erratum)["given"].items()}
    with pytest.raises(Exception) as caught:
        exec(compile(erratum.printed, erratum.id, "exec"), dict(names))
    assert caught.type.__name__ == erratum.raises
    exec(compile(erratum.corrected, erratum.id, "exec"), dict(names))


def stand_in(kind: str | int) -> Any:
    """What a name of a printed line stands for: numpy, a number, or anything that can be called and asked."""
    if kind == "numpy":
        return np
    if kind == "pairs":
        return MagicMock(**{"cudaMallocAsync.return_value": (0, 1)})
    if kind == "weights":
        weight = MagicMock(**{"size.return_value": 512})
        return [[weight]]
    return kind if isinstance(kind, int) else MagicMock()


def test_errata_have_unique_names_in_kebab_case() -> None:
    """An id is never given twice."""
    assert len(ERRATA) == len(golden.errata())
    assert all(load.KEBAB_CASE.fullmatch(name.replace("_", "-")) for name in ERRATA)


def test_every_kind_of_erratum_is_judged() -> None:
    """No erratum is of a kind that no test looks at."""
    assert {e.kind for e in ERRATA.values()} == {"value", "input", "count", "shape", "axes", "code", "text"}


def test_what_looks_wrong_names_a_vector() -> None:
    """So that a reader finds it."""
    assert all(f"{item.document}/{item.vector}" in VECTORS for item in golden.looks_wrong())


# ---- relations


@pytest.mark.parametrize(("vector", "relation"), PRINTED_RELATIONS, ids=id_of)
def test_a_relation_holds_on_the_printed_arrays(vector: Vector, relation: Relation) -> None:
    """What the text says of the arrays is true of them, to the last printed digit."""
    assert golden.judge(relation, golden.printed_run(vector), other_run(vector), slack_of(relation)) is None


@pytest.mark.parametrize(("vector", "relation"), PRINTED_RELATIONS, ids=id_of)
def test_a_relation_fails_on_a_corrupted_array(vector: Vector, relation: Relation) -> None:
    """One wrong element is enough, and it is the one that is named."""
    printed = golden.printed_run(vector)
    values = {name: array.copy() for name, array in printed.values.items()}
    tensor, index = CORRUPTIONS[relation.name](printed, values)
    violation = golden.judge(relation, replace(printed, values=values), other_run(vector), slack_of(relation))
    assert violation is not None
    # The relation of h_n with c_n is found broken at h_n.
    assert (violation.tensor, violation.index) == ("h_n" if relation.name.startswith("hidden") else tensor, index)
    assert violation.excess > 0


Place = tuple[str, tuple[int, ...]]
"""A tensor and an index into it."""


def add(values: dict[str, Array], tensor: str, index: tuple[int, ...], amount: float) -> Place:
    """Add to one element."""
    values[tensor][index] += amount
    return tensor, index


def write_past_length(printed: Run, values: dict[str, Array]) -> Place:
    """Put the smallest of numbers where zero should be."""
    row = int(np.argmin(printed.ends))
    return add(values, "y", (row, int(printed.ends[row]), 2), 1e-30)


def clear_a_step(printed: Run, values: dict[str, Array]) -> Place:
    """Set one whole step to zero."""
    values["y"][0, 0] = 0
    return "y", (0, 0, 0)


def show_the_lower_layer(printed: Run, values: dict[str, Array]) -> Place:
    """Let the first layer end with what the last one shows."""
    rows = np.arange(printed.batch_size)
    values["h_n"][0] = values["y"][rows, printed.ends - 1][:, : printed.layer.hidden_size]
    row, column = np.argwhere(printed.known["h_n"][0])[0]
    return "h_n", (0, int(row), int(column))


def swap_axes(printed: Run, values: dict[str, Array]) -> Place:
    """Put the second axis first."""
    tensor = next(iter(values))
    values[tensor] = values[tensor].swapaxes(0, 1)
    return tensor, ()


CORRUPTIONS: dict[str, Callable[[Run, dict[str, Array]], Place]] = {
    "zero-past-length": write_past_length,
    "no-step-is-zero": clear_a_step,
    "forward-state-is-last-output": lambda r, v: add(v, "h_n", (len(v["h_n"]) - r.layer.num_directions, 1, 2), 10),
    "reverse-state-is-first-output": lambda r, v: add(v, "h_n", (len(v["h_n"]) - 1, 1, 2), 10),
    "lower-layers-are-not-in-y": show_the_lower_layer,
    "shapes-as-stated": swap_axes,
    "hidden-is-gated-tanh-of-cell": lambda r, v: add(v, "c_n", (0, 1, 2), -2 * v["c_n"][0, 1, 2]),
    "full-rows-agree": lambda r, v: add(v, "c_n", (0, int(np.argmax(r.ends)), 3), 1e-6),
    "valid-steps-agree": lambda r, v: add(v, "y", (int(np.argmin(r.ends)), 0, 1), 1e-6),
    "outputs-agree": lambda r, v: add(v, "y", (0, 0, 1), 1e-3),
}
"""How each relation is broken, and where it should then be found broken."""


@pytest.mark.parametrize(("vector", "relation"), ALL_RELATIONS, ids=id_of)
def test_a_relation_holds_on_a_run_of_the_reference(vector: Vector, relation: Relation) -> None:
    """In the same configuration, with weights and inputs drawn anew where the document draws them."""
    other = drawn_run(f"{vector.document}/{vector.other}" if vector.other else str(vector))
    assert golden.judge(relation, drawn_run(str(vector)), other, slack_of(relation)) is None


@cache
def drawn_run(name: str) -> Run:
    """The reference's outputs for a vector, always from the same draw."""
    case = VECTORS[name].case(np.random.default_rng(7))
    return golden.run_of(case, run(case))


@pytest.mark.parametrize("name", golden.RELATIONS)
def test_a_relation_does_not_let_nan_pass(name: str) -> None:
    """An implementation that returns NaN breaks every relation."""
    relation = golden.RELATIONS[name]
    vector = VECTORS["mindspore-lstm-post/single-layer-bidirectional-lengths"]
    case = vector.case(np.random.default_rng(7))
    good = golden.run_of(case, run(case))
    nan = {tensor: np.full(array.shape, np.nan) for tensor, array in good.values.items()}
    assert golden.judge(relation, replace(good, values=nan), good) is not None


def test_every_relation_is_used_and_explained() -> None:
    """Each stands in a vector, says one sentence, and quotes a document."""
    assert {relation.name for _, relation in ALL_RELATIONS} == set(golden.RELATIONS)
    assert all(relation.says.endswith(".") and relation.quotes for relation in golden.RELATIONS.values())


@pytest.mark.parametrize("vector", [v for v in VECTORS.values() if v.agreements], ids=id_of)
def test_the_stated_agreement_is_within_reach_of_float32(vector: Vector) -> None:
    """The reference in float32 agrees with itself in float64 as closely as the notebook says that two layers do."""
    case = vector.case(np.random.default_rng(7))
    single, double = run(case), run(case.astype(np.float64))
    for agreement in vector.agreements:
        a, b = getattr(single, agreement.tensor), getattr(double, agreement.tensor)
        assert np.all(np.abs(a - b) <= agreement.atol + agreement.rtol * np.abs(b))


# ---- loading


def test_vectors_have_unique_names_in_kebab_case() -> None:
    """Documents and vectors are found by name."""
    assert len(VECTORS) == len(golden.vectors())
    assert len({document.id for document in golden.documents()}) == 5
    assert all(load.KEBAB_CASE.fullmatch(part) for name in VECTORS for part in name.split("/"))
    for vector in VECTORS.values():
        names = [output.name for output in vector.outputs]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("vector", VECTORS.values(), ids=id_of)
def test_every_vector_gives_a_case(vector: Vector) -> None:
    """In float32, with the sizes that the document states."""
    case = vector.case(np.random.default_rng(0))
    assert case.dtype == np.float32
    assert (case.batch_size, case.num_steps) == (vector.batch_size, vector.num_steps)
    assert vector.is_known == (vector.document in ("tensorrt-loop", "tensorrt-rnnv2"))


def test_vectors_of_one_pair_draw_the_same_numbers() -> None:
    """With one seed, the runs with lengths and without have the same weights and inputs."""
    for vector in VECTORS.values():
        if vector.other:
            first = VECTORS[f"{vector.document}/{vector.other}"].case(np.random.default_rng(3))
            second = vector.case(np.random.default_rng(3))
            assert np.array_equal(first.x, second.x)
            assert all(np.array_equal(a.w_hh, b.w_hh) for a, b in zip(first.weights, second.weights))


def test_documents_are_named_by_what_they_say_of_themselves() -> None:
    """A checksum tells whoever holds the text that it is the one."""
    for document in golden.documents():
        assert re.fullmatch("[0-9a-f]{64}", document.sha256)
        assert document.title and document.origin and document.language in ("Chinese", "English")


def test_what_cannot_be_read_is_listed() -> None:
    """Every output with a gap has an entry that says what is missing."""
    places = {place for place, _, _ in golden.unreadable()}
    for vector in VECTORS.values():
        if any("?" in output.printed for output in vector.outputs):
            assert str(vector) in places


def broken_vector(**changes: Any) -> None:
    """Build a vector of an entry that was changed."""
    entry = copy.deepcopy(dict(VECTORS["tensorrt-loop/relu-rnn"].data))
    load.build_vector("tensorrt-loop", {**entry, **changes}, {})


def broken_erratum(**changes: Any) -> None:
    """Apply an erratum that was changed."""
    erratum = replace(ERRATA["loop-relu-12-for-67"], **changes)
    table_of(erratum)


def refers_to_nothing() -> None:
    """Build a vector with an output that refers to no printed one."""
    output = dict(VECTORS["tensorrt-loop/dynamic-lstm"].data["output"][0])
    broken_vector(output=[{**output, "same_as": "nothing.h_n"}])


ERRORS: dict[str, Callable[[], object]] = {
    "unknown field": lambda: broken_vector(weight={}),
    "missing field": lambda: load.build_vector("tensorrt-loop", {"id": "relu-rnn"}, {}),
    "id": lambda: broken_vector(id="ReLU RNN"),
    "other": lambda: broken_vector(other="no-such"),
    "input": lambda: broken_vector(input={"h_0": {}}),
    "array": lambda: broken_vector(input={"x": {"shape": [3, 4, 7]}}),
    "fill": lambda: broken_vector(input={"x": {"shape": [3, 4, 7], "axes": "B T I", "fill": "ones"}}),
    "relation": lambda: broken_vector(relations=["all-is-well"]),
    "layer": lambda: broken_vector(layer={"cell": "rnn", "input_size": 7, "hidden": 5}),
    "same_as": refers_to_nothing,
    "erratum vector": lambda: broken_erratum(vector="no-such"),
    "erratum field": lambda: broken_erratum(field="output.z.printed"),
    "erratum key": lambda: broken_erratum(field="output.y.digits"),
    "erratum printed": lambda: broken_erratum(printed="13."),
    "erratum entry": lambda: load.build(Erratum, {"id": "x"}, "errata.toml, erratum 1"),
    "token": lambda: read("1. l.", (2,)),
    "infinite token": lambda: read("1. inf", (2,)),
    "count": lambda: read("1. 2.", (3,)),
    "axes": lambda: shape_of("B Q", {"B": 3}),
    "random": VECTORS["mindspore-lstm-post/single-layer"].case,
    "missing file": lambda: load.read_toml("no-such.toml"),
    "not TOML": lambda: load.read_toml("__init__.py"),
    "one run of two": lambda: golden.RELATIONS["outputs-agree"].check(MagicMock(), None, 0.0),
}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_one_sentence(error: str) -> None:
    """It says what is wrong and what it should be."""
    with pytest.raises(ValueError, match=r"^[^\n]+, but [^\n]+$"):
        ERRORS[error]()
