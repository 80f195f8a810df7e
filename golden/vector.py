"""A vector: one configuration of a document, the inputs it gives and the outputs it prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from golden.axes import LAYOUTS, rearrange, shape_of, sizes_of
from golden.printed import Numbers, read
from golden.relations import Run
from reference import Array, Case, Layer, Weights, run
from reference.cells import lstm_gates
from reference.layer import input_projection

LSTM_GATES = "ifgo"


@dataclass(frozen=True)
class Output:
    """One printed tensor of a vector."""

    name: str
    """unique in its vector"""
    tensor: str
    """``y``, ``h_n``, ``c_n``, or ``gates`` for the gates of one step"""
    locator: str
    shape: tuple[int, ...]
    """as the document states it"""
    axes: str
    """one name an axis of ``shape``, see :mod:`golden.axes`"""
    printed: str
    """the tokens as printed; those of another output where the document says that the two are the same"""
    printed_shape: tuple[int, ...]
    printed_axes: str
    steps: int | None = None
    """the output belongs to the run of the first ``steps`` steps; for ``gates`` it is that of the last of them"""
    gates: str = ""
    """which of ``ifgo`` the print stands for"""
    same_as: str = ""
    """``vector.output`` that the document points to instead of printing this one"""
    note: str = ""

    def numbers(self) -> Numbers:
        """The printed numbers in the shape in which they are printed."""
        return read(self.printed, self.printed_shape)


@dataclass(frozen=True)
class Agreement:
    """A document's statement that two implementations agree on a tensor: ``|a - b| <= atol + rtol * |b|``."""

    tensor: str
    quote: str
    atol: float
    rtol: float


@dataclass(frozen=True, eq=False)
class Vector:
    """One configuration of a document."""

    document: str
    id: str
    locator: str
    purpose: str
    layer: Layer
    batch_size: int
    num_steps: int
    lengths: Array | None
    """(B,)"""
    outputs: tuple[Output, ...]
    relations: tuple[str, ...]
    """names in :data:`golden.relations.RELATIONS`"""
    other: str
    """the vector that a relation between two runs compares with: same weights and inputs, other call; or empty"""
    agreements: tuple[Agreement, ...]
    data: Mapping[str, Any]
    """the whole entry of the TOML file, with everything that has no field here"""

    @property
    def sizes(self) -> dict[str, int]:
        """The size of every axis name."""
        return sizes_of(self.layer, self.batch_size, self.num_steps)

    @property
    def is_known(self) -> bool:
        """Whether the document gives every input and weight, so that its outputs can be computed."""
        arrays = [*self.data["input"].values(), *self.data.get("weights", {}).values()]
        return "weights" in self.data and all(array.get("fill") not in DRAWN for array in arrays)

    def output(self, name: str) -> Output:
        """The output of that name."""
        return next(output for output in self.outputs if output.name == name)

    def case(self, rng: np.random.Generator | None = None) -> Case:
        """The call as the document makes it, in float32 as all documents compute.

        Where the document draws numbers at random, ``rng`` draws them anew from the same distribution.
        Raises ``ValueError`` with one sentence where numbers are to be drawn and there is no ``rng``, and where an
        array has another shape than its axes say.
        """
        arrays = {name: self._array(name, spec, rng) for name, spec in self.data["input"].items() if name != "lengths"}
        states = {name: arrays.get(name) for name in ("h_0", "c_0")}
        return Case(self.layer, self._weights(rng), arrays["x"], **states, lengths=self.lengths)

    def _array(self, name: str, spec: Mapping[str, Any], rng: np.random.Generator | None) -> Array:
        array = self._filled(name, tuple(spec["shape"]), spec["axes"], spec["fill"], rng)
        # A single step, as of a cell, is a sequence of one.
        return rearrange(array, spec["axes"], LAYOUTS[name], self.sizes)

    def _filled(
        self, name: str, shape: tuple[int, ...], axes: str, fill: str, rng: np.random.Generator | None
    ) -> Array:
        self._check_shape(name, shape, axes)
        if fill not in DRAWN:
            return np.full(shape, float(fill), np.float32)
        if rng is None:
            raise ValueError(f"{self} draws {name} at random, but case() is given no generator and should be")
        return DRAWN[fill](rng, shape, self.layer.hidden_size).astype(np.float32)

    def _check_shape(self, name: str, shape: tuple[int, ...], axes: str) -> None:
        expected = shape_of(axes, self.sizes)
        if shape != expected:
            raise ValueError(f"{self} has {name} of shape {shape}, but axes {axes!r} should give {expected}")

    def _weights(self, rng: np.random.Generator | None) -> tuple[Weights, ...]:
        return tuple(
            self._weights_of(slot // self.layer.num_directions, rng)
            for slot in range(self.layer.num_layers * self.layer.num_directions)
        )

    def _weights_of(self, number: int, rng: np.random.Generator | None) -> Weights:
        """The weights of one direction of layer ``number``: every gate has the array that the document gives."""
        specs = self.data.get("weights", FRAMEWORK_WEIGHTS)
        gates = self.layer.num_gates

        def gatewise(name: str) -> Array:
            fill, axes = specs[name]["fill"], specs[name].get("axes", LAYOUTS[name])
            shape = tuple(specs[name].get("shape", shape_of(axes, self.sizes)))
            return np.stack([self._filled(name, shape, axes, fill, rng) for _ in range(gates)])

        if "w" in specs:
            inputs, hidden = self.layer.input_size, self.layer.hidden_size
            w, b = gatewise("w"), gatewise("b")
            return Weights(w[..., :inputs], w[..., inputs:], b[:, :hidden], b[:, hidden:])
        skipped = number == 0 and self.layer.input_mode == "skip"
        w_ih = None if skipped else gatewise("w_ih" if number == 0 else "w_ih_deeper")
        return Weights(w_ih, gatewise("w_hh"), gatewise("b_ih"), gatewise("b_hh"))

    def __str__(self) -> str:
        return f"{self.document}/{self.id}"


def _framework(rng: np.random.Generator, shape: tuple[int, ...], hidden: int) -> Array:
    """The initialisation of PyTorch and MindSpore: uniform within 1 / sqrt(H)."""
    return rng.uniform(-(hidden**-0.5), hidden**-0.5, shape)


DRAWN: dict[str, Callable[[np.random.Generator, tuple[int, ...], int], Array]] = {
    "uniform": lambda rng, shape, hidden: rng.random(shape),
    "normal": lambda rng, shape, hidden: rng.standard_normal(shape),
    "framework": _framework,
}
"""The fills that a document draws at random: numpy.random.rand, torch.randn, a framework's initial weights."""

FRAMEWORK_WEIGHTS = {name: {"fill": "framework"} for name in ("w_ih", "w_ih_deeper", "w_hh", "b_ih", "b_hh")}


def first_steps(case: Case, steps: int | None) -> Case:
    """The same case over its first ``steps`` steps; all of them for None. Cases with lengths have no such part here."""
    return case if steps is None else replace(case, x=case.x[:, :steps])


def in_reference_layout(vector: Vector, output: Output) -> Numbers:
    """The printed numbers of an output in the layout of the reference: y (B, T, D*H), h_n and c_n (L*D, B, H).

    ``gates`` become (G', B, H), one slot a letter of ``output.gates``. Raises ``ValueError`` with one sentence where
    the printed shape is not what its axes say.
    """
    sizes = {**vector.sizes, "G": len(output.gates)}
    if output.printed_shape != shape_of(output.printed_axes, sizes):
        raise ValueError(
            f"{vector} prints {output.name} in shape {output.printed_shape}, "
            f"but axes {output.printed_axes!r} should give {shape_of(output.printed_axes, sizes)}"
        )
    return output.numbers().map(lambda array: rearrange(array, output.printed_axes, LAYOUTS[output.tensor], sizes))


def computed(case: Case, output: Output) -> Array:
    """What the reference computes for a printed output, in the arithmetic and the layout of ``case``."""
    part = first_steps(case, output.steps)
    if output.tensor == "gates":
        return _gates(part)[[LSTM_GATES.index(gate) for gate in output.gates]]
    return dict(run(part).items())[output.tensor]


def beyond_print(numbers: Numbers, values: Array, allowance: Array | float = 0.0) -> Array:
    """By how much each value is off beyond one unit of the last printed digit and ``allowance``.

    Positive means wrong; -inf where nothing can be read, inf where a value is NaN. One unit, and not half of one,
    because some documents truncate.
    """
    excess = np.abs(np.asarray(values, np.float64) - numbers.value) - numbers.unit - allowance
    return np.where(numbers.readable, np.where(np.isnan(excess), np.inf, excess), -np.inf)


def printed_run(vector: Vector) -> Run:
    """The printed outputs of a vector, for :func:`golden.relations.judge`: each element known to its last digit."""
    whole = [o for o in vector.outputs if o.tensor != "gates" and o.steps is None]
    numbers = {output.tensor: in_reference_layout(vector, output) for output in whole}
    return Run(
        vector.layer,
        vector.batch_size,
        vector.num_steps,
        vector.lengths,
        values={name: n.value for name, n in numbers.items()},
        tolerance={name: n.unit for name, n in numbers.items()},
        known={name: n.readable for name, n in numbers.items()},
    )


def _gates(case: Case) -> Array:
    """The gates i, f, g, o of the last step of a forward single-layer LSTM: (4, B, H)."""
    (weights,) = case.weights
    h = _state_before_last_step(case)
    x = input_projection(case.x.swapaxes(0, 1), weights)[:, -1]
    return np.stack(lstm_gates(x, h, weights.w_hh, weights.b_hh))


def _state_before_last_step(case: Case) -> Array:
    if case.num_steps > 1:
        return run(first_steps(case, case.num_steps - 1)).h_n[0]  # type: ignore[no-any-return]
    shape = (case.batch_size, case.layer.hidden_size)
    return np.zeros(shape, case.dtype) if case.h_0 is None else case.h_0[0]
