"""What the usual ways of testing a recurrent layer see of the fault catalogue, for comparison.

Four practices, each with its own inputs and tolerance, judge the wrong implementations that :mod:`conformance.power`
judges: constant weights and one step; square random weights and no states; random cases of equal length with a fixed
relative tolerance; and the node tests of the onnx package.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference
from conformance.faults import CATALOGUE, WrongBackend
from conformance.search import Search, agrees_with_reference, generation
from reference import Array, Case, Cell, Direction, Layer, Result, Weights

KINDS: tuple[dict[str, Any], ...] = (
    {"cell": Cell.RNN},
    {"cell": Cell.RNN, "activation": "relu"},
    {"cell": Cell.LSTM},
    {"cell": Cell.GRU},
    {"cell": Cell.GRU, "reset_after": False},
)
"""One of every function there is."""


@dataclass(frozen=True)
class Question:
    """A case with the outputs that are looked at, and how near they have to be."""

    case: Case
    wanted: dict[str, Array]
    rtol: float
    atol: float

    def accepts(self, result: Result) -> bool:
        """Whether every output is as near as numpy's ``allclose`` wants it, and of the right shape."""
        outputs = {name: getattr(result, name) for name in self.wanted}
        return all(
            isinstance(got, np.ndarray)
            and got.shape == self.wanted[name].shape
            and np.allclose(got, self.wanted[name], self.rtol, self.atol)
            for name, got in outputs.items()
        )


@dataclass(frozen=True)
class Practice:
    """A way to test a recurrent layer."""

    name: str
    says: str
    questions: tuple[Question, ...]

    def catches(self, fault: str) -> bool:
        """Whether any question tells a wrong implementation from a right one."""
        backend = WrongBackend(CATALOGUE[fault])
        return any(not self._accepts(question, backend) for question in self.questions)

    def _accepts(self, question: Question, backend: WrongBackend) -> bool:
        try:
            return question.accepts(backend.run(question.case.map(np.copy)))
        except Exception:
            return False

    def share(self, faults: Sequence[str]) -> float:
        """The share of faults that it catches; ``ValueError`` where it rejects the reference."""
        for question in self.questions:
            with np.errstate(all="ignore"):
                if not question.accepts(reference.run(question.case)):
                    raise ValueError(f"the practice {self.name!r} rejects the reference on {question.case}")
        return sum(map(self.catches, faults)) / len(faults)


def practices() -> list[Practice]:
    """All of them; the last one only where the onnx package is installed."""
    found = [
        Practice(
            "constant weights, one step",
            "every weight 0.1, no biases, T = 1, no states; rtol 1e-3, atol 1e-7",
            tuple(constant_weights()),
        ),
        Practice(
            "square random weights, no states",
            "B = I = H = 4, T = 3, one and two layers, no biases, no lengths, no states; rtol 1e-5, atol 1e-6",
            tuple(square_weights()),
        ),
        Practice(
            "random cases of equal length, rtol 1e-3",
            "the float32 cases of the agreement claim, without lengths; rtol 1e-3, atol 1e-5",
            tuple(equal_lengths()),
        ),
    ]
    if node_tests := tuple(onnx_node_tests()):
        found.append(
            Practice(
                "the node tests of onnx",
                f"{len(node_tests)} RNN, LSTM and GRU tests of the onnx package, all but that of peepholes;"
                " their own outputs, rtol 1e-3, atol 1e-7",
                node_tests,
            )
        )
    return found


def constant_weights() -> Iterator[Question]:
    """Constant weights, as in many a first test."""
    for layer in layers(input_size=2, hidden_size=3):
        case = _filled(layer, 3, 1, lambda shape: np.full(shape, 0.1, np.float32))
        x = np.arange(1, 7, dtype=np.float32).reshape(3, 1, 2)
        yield _question(replace(case, x=x), 1e-3, 1e-7)


def square_weights() -> Iterator[Question]:
    """Random weights of one size throughout."""
    random = np.random.default_rng(0)
    for num_layers in (1, 2):
        for layer in layers(input_size=4, hidden_size=4, num_layers=num_layers):
            case = _filled(layer, 4, 3, lambda shape: random.uniform(-0.5, 0.5, shape).astype(np.float32))
            yield _question(case, 1e-5, 1e-6)


def equal_lengths() -> Iterator[Question]:
    """The cases of this suite without their lengths."""
    cases: list[Case] = []
    search = Search(agrees_with_reference, wanted={"lengths": False})
    for cell in Cell:
        search.for_each(WrongBackend.capabilities, cell, ("float32",), "0", cases.append, generation(30))
    return (_question(case, 1e-3, 1e-5) for case in cases)


def layers(**sizes: Any) -> Iterator[Layer]:
    """Every function in every direction, without biases."""
    return (Layer(**kind, direction=direction, bias=False, **sizes) for kind in KINDS for direction in Direction)


def _filled(layer: Layer, batch: int, steps: int, numbers: Callable[[tuple[int, ...]], Array]) -> Case:
    gates, hidden = layer.num_gates, layer.hidden_size

    def weights_of(number: int) -> Weights:
        zeros = np.zeros((gates, hidden), np.float32)
        return Weights(
            numbers((gates, hidden, layer.input_size_of(number))), numbers((gates, hidden, hidden)), zeros, zeros
        )

    weights = tuple(weights_of(k // layer.num_directions) for k in range(layer.num_layers * layer.num_directions))
    return Case(layer, weights, numbers((batch, steps, layer.input_size)))


def _question(case: Case, rtol: float, atol: float) -> Question:
    with np.errstate(all="ignore"):
        return Question(case, dict(reference.run(case).items()), rtol, atol)


GATE_ORDERS = {"RNN": [0], "LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2]}
"""Where ONNX has the blocks of our gates: it stores i, o, f, c and z, r, h."""


def onnx_node_tests() -> Iterator[Question]:
    """The node tests of the onnx package that lie within what is claimed here; none where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tests of other operators, which overflow while they are collected
            import onnx
            from onnx.backend.test.loader import load_model_tests

            found = load_model_tests(kind="node")
    except ImportError:
        return
    for test in found:
        node = test.model.graph.node[0] if test.model is not None else None
        if node is not None and test.data_sets and node.op_type in GATE_ORDERS and "P" not in node.input:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            inputs, outputs = test.data_sets[0]
            named = dict(zip([name for name in node.input if name], inputs))
            expected = dict(zip([name for name in node.output if name], outputs))
            yield _node_question(node.op_type, attributes, named, expected, test.rtol, test.atol)


def _node_question(
    operator: str,
    attributes: dict[str, Any],
    inputs: dict[str, Array],
    outputs: dict[str, Array],
    rtol: float,
    atol: float,
) -> Question:
    """One node test in the conventions of this project."""
    if unknown := attributes.keys() - {"hidden_size", "direction", "layout"}:
        raise ValueError(f"a node test has the attributes {sorted(unknown)}, which are not expressed here")
    batchwise = attributes.get("layout", 0) == 1
    x = inputs["X"] if batchwise else inputs["X"].swapaxes(0, 1)
    layer = Layer(
        cell=Cell(operator.lower()),
        input_size=x.shape[2],
        hidden_size=attributes["hidden_size"],
        direction=Direction(attributes.get("direction", b"forward").decode()),
        reset_after=operator != "GRU",
        bias="B" in inputs,
    )
    case = Case(layer, tuple(_node_weights(layer, GATE_ORDERS[operator], inputs)), x)
    return Question(
        case, {_OUTPUTS[name]: _ours(name, array, batchwise) for name, array in outputs.items()}, rtol, atol
    )


_OUTPUTS = {"Y": "y", "Y_h": "h_n", "Y_c": "c_n"}


def _node_weights(layer: Layer, order: list[int], inputs: dict[str, Array]) -> Iterator[Weights]:
    gates, hidden = layer.num_gates, layer.hidden_size
    for d, (w, r) in enumerate(zip(inputs["W"], inputs["R"])):
        biases = inputs["B"][d] if "B" in inputs else np.zeros(2 * gates * hidden, np.float32)
        b_ih, b_hh = biases.reshape(2, gates, hidden)[:, order]
        yield Weights(w.reshape(gates, hidden, -1)[order], r.reshape(gates, hidden, hidden)[order], b_ih, b_hh)


def _ours(name: str, array: Array, batchwise: bool) -> Array:
    """An output in our layout; ONNX has (T, D, B, H) and (D, B, H), or batchwise (B, T, D, H) and (B, D, H)."""
    if name != "Y":
        return array.swapaxes(0, 1) if batchwise else array
    by_row = array if batchwise else array.transpose(2, 0, 1, 3)
    return by_row.reshape(*by_row.shape[:2], -1)
