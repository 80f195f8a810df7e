"""What a recurrent layer is given and what it returns: the types that everything else builds on.

Shape letters, used in every docstring of this project:

=====  =========================================================================
``B``  batch
``T``  time steps
``I``  input size
``H``  hidden size
``L``  layers
``D``  directions: 1, or 2 for a bidirectional layer
``G``  gates, in the order of :data:`GATES`
=====  =========================================================================

The conventions are those of ``torch.nn.LSTM(batch_first=True)``, with the gate axis made visible:
``weight_ih`` of shape ``(G*H, I)`` is ``w_ih`` of shape ``(G, H, I)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Cell(str, Enum):
    """The recurrence of one time step."""

    RNN = "rnn"
    LSTM = "lstm"
    GRU = "gru"

    def __str__(self) -> str:
        return str(self.value)


class Direction(str, Enum):
    """The order in which a layer visits the time steps."""

    FORWARD = "forward"
    REVERSE = "reverse"
    BIDIRECTIONAL = "bidirectional"

    def __str__(self) -> str:
        return str(self.value)


GATES = {Cell.RNN: "h", Cell.LSTM: "ifgo", Cell.GRU: "rzn"}
"""The gate axis of every weight, in this order."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The configuration of a stack of recurrent layers: nothing numeric but sizes.

    Hashable and printable, so that it serves as a test id and as a cache key. A :class:`Case`
    checks that its fields make sense together.
    """

    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int = 1
    direction: Direction = Direction.FORWARD
    activation: Literal["tanh", "relu"] = "tanh"
    """RNN only."""
    reset_after: bool = True
    """GRU only: True resets after the recurrent product (PyTorch, cuDNN), False before (ONNX's default)."""
    bias: bool = True
    """False: ``b_ih`` and ``b_hh`` are zero, and the backend is built without them."""
    input_mode: Literal["linear", "skip"] = "linear"
    """skip: layer 0 adds x itself in place of ``x w_ih^T``; it needs I == H and has no ``w_ih``."""

    @property
    def num_directions(self) -> int:
        """D."""
        return 2 if self.direction is Direction.BIDIRECTIONAL else 1

    @property
    def num_gates(self) -> int:
        """G."""
        return len(GATES[self.cell])

    def input_size_of(self, layer: int) -> int:
        """The size of what layer number ``layer`` reads: I, and D*H from the second layer on."""
        return self.input_size if layer == 0 else self.num_directions * self.hidden_size

    def __str__(self) -> str:
        parts = [
            str(self.cell),
            str(self.direction),
            f"I{self.input_size}",
            f"H{self.hidden_size}",
            f"L{self.num_layers}",
        ]
        if self.activation != "tanh":
            parts.append(self.activation)
        if self.cell is Cell.GRU:
            parts.append("reset-after" if self.reset_after else "reset-before")
        if not self.bias:
            parts.append("no-bias")
        if self.input_mode == "skip":
            parts.append("skip")
        return "-".join(parts)


@dataclass(frozen=True, eq=False)
class Weights:
    """The parameters of one direction of one layer."""

    w_ih: Array | None
    """(G, H, I), or (G, H, D*H) from the second layer on; None in layer 0 of ``input_mode="skip"``."""
    w_hh: Array
    """(G, H, H)"""
    b_ih: Array
    """(G, H)"""
    b_hh: Array
    """(G, H)"""


@dataclass(frozen=True, eq=False)
class Case:
    """One call of a recurrent layer: configuration, parameters and inputs.

    Every array has the dtype of ``x``: a floating dtype, or ``object`` for numbers of another kind.
    Constructing a Case checks every shape, dtype, length and combination, and raises ``ValueError`` or
    ``TypeError`` with one sentence that names the field, what it is and what it should be.
    Nothing is copied, and nothing is converted but ``lengths``, of which an int64 array is kept.
    """

    layer: Layer
    weights: tuple[Weights, ...]
    """L*D of them: layer 0 forward, layer 0 reverse, layer 1 forward, ..."""
    x: Array
    """(B, T, I)"""
    h_0: Array | None = None
    """(L*D, B, H); None means zeros."""
    c_0: Array | None = None
    """(L*D, B, H), LSTM only: given together with ``h_0`` or not at all."""
    lengths: Array | Sequence[int] | None = None
    """(B,) valid steps of each row, each in 0..T; None means T for every row."""

    def __post_init__(self) -> None:
        _check_layer(self.layer)
        _check_array("x", self.x, ("B", "T", self.layer.input_size), dtype=None)
        _check_weights(self.layer, self.weights, self.dtype)
        _check_states(self.layer, self.h_0, self.c_0, self.batch_size, self.dtype)
        if self.lengths is not None:
            object.__setattr__(self, "lengths", _checked_lengths(self.lengths, self.batch_size, self.num_steps))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of every array of the case."""
        return self.x.dtype

    @property
    def batch_size(self) -> int:
        """B."""
        return int(self.x.shape[0])

    @property
    def num_steps(self) -> int:
        """T."""
        return int(self.x.shape[1])

    @property
    def row_lengths(self) -> npt.NDArray[np.int64]:
        """(B,): the length of every row, T where none is given."""
        return np.full(self.batch_size, self.num_steps) if self.lengths is None else np.asarray(self.lengths)

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """(B, T): True where a step lies within the length of its row."""
        return np.arange(self.num_steps) < self.row_lengths[:, None]

    def astype(self, dtype: npt.DTypeLike) -> Case:
        """The same case with every array converted to ``dtype``."""
        return self.map(lambda array: array.astype(dtype))

    def map(self, function: Any) -> Case:
        """The same case with ``function`` applied to every floating array of it."""

        def weights_of(w: Weights) -> Weights:
            w_ih = None if w.w_ih is None else function(w.w_ih)
            return Weights(w_ih, function(w.w_hh), function(w.b_ih), function(w.b_hh))

        return replace(
            self,
            weights=tuple(weights_of(w) for w in self.weights),
            x=function(self.x),
            h_0=None if self.h_0 is None else function(self.h_0),
            c_0=None if self.c_0 is None else function(self.c_0),
        )

    def __str__(self) -> str:
        lengths = "none" if self.lengths is None else np.asarray(self.lengths).tolist()
        state = "none" if self.h_0 is None else "given"
        return f"{self.layer} {self.dtype} B{self.batch_size} T{self.num_steps} lengths={lengths} h_0={state}"


@dataclass(frozen=True, eq=False)
class Result:
    """What a recurrent layer returns."""

    y: Array
    """(B, T, D*H): the hidden state at every valid step, zero past the length; forward half first."""
    h_n: Array
    """(L*D, B, H): the hidden state after the last valid step of each layer and direction."""
    c_n: Array | None = None
    """(L*D, B, H): the cell state likewise; None unless the cell is an LSTM."""

    def items(self) -> list[tuple[str, Array]]:
        """The outputs that are there, by name."""
        named = [("y", self.y), ("h_n", self.h_n)]
        return named if self.c_n is None else [*named, ("c_n", self.c_n)]


def _check_layer(layer: Layer) -> None:
    if not isinstance(layer, Layer):
        raise TypeError(f"layer is a {type(layer).__name__}, but should be a Layer")
    for field, kind in (("cell", Cell), ("direction", Direction)):
        value = getattr(layer, field)
        if not isinstance(value, kind):
            members = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
            raise TypeError(f"layer.{field} is {_short(value)}, but should be one of {members}")
    for field in ("input_size", "hidden_size", "num_layers"):
        value = getattr(layer, field)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"layer.{field} is {_short(value)}, but should be an integer of at least 1")
    for field in ("reset_after", "bias"):
        value = getattr(layer, field)
        if not isinstance(value, bool):
            raise TypeError(f"layer.{field} is {_short(value)}, but should be True or False")
    for field, choices in (("activation", ("tanh", "relu")), ("input_mode", ("linear", "skip"))):
        value = getattr(layer, field)
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"layer.{field} is {_short(value)}, but should be {choices[0]!r} or {choices[1]!r}")
    _check_combinations(layer)


def _check_combinations(layer: Layer) -> None:
    if layer.activation != "tanh" and layer.cell is not Cell.RNN:
        raise ValueError(
            f"layer.activation is {layer.activation!r}, but should be 'tanh' for a cell that is not an RNN"
        )
    if not layer.reset_after and layer.cell is not Cell.GRU:
        raise ValueError("layer.reset_after is False, but should be True for a cell that is not a GRU")
    if layer.input_mode == "skip" and layer.input_size != layer.hidden_size:
        raise ValueError(
            f"layer.input_size is {layer.input_size}, but should be layer.hidden_size = {layer.hidden_size}"
            " for input_mode 'skip'"
        )


def _check_weights(layer: Layer, weights: tuple[Weights, ...], dtype: np.dtype[Any]) -> None:
    expected = layer.num_layers * layer.num_directions
    if not isinstance(weights, tuple):
        raise TypeError(f"weights is a {type(weights).__name__}, but should be a tuple of {expected} Weights")
    if len(weights) != expected:
        raise ValueError(f"weights has {len(weights)} entries, but should have L*D = {expected}")
    for k, w in enumerate(weights):
        if not isinstance(w, Weights):
            raise TypeError(f"weights[{k}] is {_short(w)}, but should be a Weights")
        _check_direction(layer, k, w, dtype)


def _check_direction(layer: Layer, k: int, w: Weights, dtype: np.dtype[Any]) -> None:
    gates, hidden, number = layer.num_gates, layer.hidden_size, k // layer.num_directions
    if number > 0 or layer.input_mode == "linear":
        _check_array(f"weights[{k}].w_ih", w.w_ih, (gates, hidden, layer.input_size_of(number)), dtype)
    elif w.w_ih is not None:
        raise ValueError(f"weights[{k}].w_ih is given, but should be None in layer 0 of input_mode 'skip'")
    _check_array(f"weights[{k}].w_hh", w.w_hh, (gates, hidden, hidden), dtype)
    for field in ("b_ih", "b_hh"):
        bias = getattr(w, field)
        _check_array(f"weights[{k}].{field}", bias, (gates, hidden), dtype)
        if not layer.bias and np.any(bias != 0):
            raise ValueError(f"weights[{k}].{field} has non-zero entries, but should be zero where layer.bias is False")


def _check_states(layer: Layer, h_0: Array | None, c_0: Array | None, batch: int, dtype: np.dtype[Any]) -> None:
    shape = (layer.num_layers * layer.num_directions, batch, layer.hidden_size)
    if layer.cell is not Cell.LSTM and c_0 is not None:
        raise ValueError(f"c_0 is given, but should be None for the cell {layer.cell}, which has no cell state")
    if layer.cell is Cell.LSTM and (h_0 is None) != (c_0 is None):
        given, missing = ("c_0", "h_0") if h_0 is None else ("h_0", "c_0")
        raise ValueError(f"{given} is given and {missing} is None, but an LSTM should have either both or neither")
    for name, state in (("h_0", h_0), ("c_0", c_0)):
        if state is not None:
            _check_array(name, state, shape, dtype)


def _check_array(name: str, array: Any, shape: tuple[int | str, ...], dtype: np.dtype[Any] | None) -> None:
    """Check type, shape (a letter stands for any size of at least 1) and dtype (None: any floating one)."""
    if type(array) is np.ndarray and array.shape == shape and array.dtype == dtype and array.dtype.char != "O":
        return  # nearly always, and so at once
    wanted = "(" + ", ".join(map(str, shape)) + ")"
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is {_short(array)}, but should be a numpy array of shape {wanted}")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, but should be a plain numpy array, with lengths for what is valid")
    fits = array.ndim == len(shape) and all(
        size >= 1 if isinstance(letter, str) else size == letter for size, letter in zip(array.shape, shape)
    )
    if not fits:
        sizes = " with every size at least 1" if any(isinstance(letter, str) for letter in shape) else ""
        raise ValueError(f"{name} has shape {array.shape}, but should have shape {wanted}{sizes}")
    if dtype is not None and array.dtype != dtype:
        raise TypeError(f"{name} has dtype {array.dtype}, but should have dtype {dtype}, the dtype of x")
    if array.dtype == object:
        wrong = {kind for kind in map(type, array.flat) if not _is_number(kind)}
        if wrong:
            item = next(item for item in array.flat if type(item) in wrong)
            raise TypeError(f"{name} holds {_short(item)}, but should hold numbers")
    elif not (array.dtype.kind == "f" or array.dtype.name == "bfloat16"):
        raise TypeError(f"{name} has dtype {array.dtype}, but should have a floating dtype")


def _is_number(kind: type) -> bool:
    """Whether elements of a type can be calculated with, as balls and fractions can and strings cannot."""
    operations = ("__add__", "__sub__", "__mul__", "__truediv__")
    return not issubclass(kind, np.ndarray) and all(hasattr(kind, operation) for operation in operations)


def _checked_lengths(lengths: Any, batch: int, steps: int) -> npt.NDArray[np.int64]:
    if isinstance(lengths, np.ma.MaskedArray):
        raise TypeError("lengths is a masked array, but should be a plain sequence of integers")
    try:
        array = np.asarray(lengths)
    except ValueError as error:
        raise ValueError(
            f"lengths is ragged, but should have shape ({batch},), one length for each row of x"
        ) from error
    if array.shape != (batch,):
        raise ValueError(
            f"lengths has shape {array.shape}, but should have shape ({batch},), one length for each row of x"
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths has dtype {array.dtype}, but should have an integer dtype")
    for row, length in enumerate(array.tolist()):
        if not 0 <= length <= steps:
            raise ValueError(f"lengths[{row}] is {length}, but should be in 0..{steps}, the time steps of x")
    return array.astype(np.int64)


def _short(value: Any) -> str:
    """A value on one line of a message."""
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else f"a {type(value).__name__}"
