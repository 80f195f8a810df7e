"""Backends as a user of the suite might write them, right and wrong; tests copy this file out of the checkout.

It imports no more of the project than a user would: what a backend claims, and what it is given and returns.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from backends import Capabilities
from reference import Array, Case, Cell, Direction, Layer, Result, Weights

LSTM = Capabilities(cells=(Cell.LSTM,), dtypes=("float32",))


def sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small))


class Right:
    name = "right"
    description = "loops over numpy, cpu"
    capabilities = Capabilities()

    def run(self, case: Case) -> Result:
        layer, hidden = case.layer, case.layer.hidden_size
        nothing = np.zeros((layer.num_layers * layer.num_directions, case.batch_size, hidden), case.dtype)
        h = nothing.copy() if case.h_0 is None else case.h_0.copy()
        c = nothing.copy() if case.c_0 is None else case.c_0.copy()
        x = case.x
        for k, weights in enumerate(case.weights):
            d = k % layer.num_directions
            if d == 0:
                y = np.zeros((case.batch_size, case.num_steps, layer.num_directions * hidden), case.dtype)
            backwards = d == 1 or layer.direction is Direction.REVERSE
            for row, length in enumerate(case.row_lengths):
                for t in reversed(range(length)) if backwards else range(length):
                    h[k, row], c[k, row] = self.step(layer, weights, x[row, t], h[k, row], c[k, row])
                    y[row, t, d * hidden : (d + 1) * hidden] = h[k, row]
            if d == layer.num_directions - 1:
                x = y
        return Result(x, h, c if layer.cell is Cell.LSTM else None)

    def step(self, layer: Layer, weights: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """The new h and c of one row."""
        from_x = (x if weights.w_ih is None else weights.w_ih @ x) + weights.b_ih
        from_h = weights.w_hh @ h + weights.b_hh
        if layer.cell is Cell.RNN:
            total = from_x[0] + from_h[0]
            return np.tanh(total) if layer.activation == "tanh" else np.maximum(total, 0), c
        if layer.cell is Cell.GRU:
            r, z = sigmoid(from_x[:2] + from_h[:2])
            inner = r * from_h[2] if layer.reset_after else weights.w_hh[2] @ (r * h) + weights.b_hh[2]
            return (1 - z) * np.tanh(from_x[2] + inner) + z * h, c
        i, f, g, o = from_x + from_h
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c


class SwapsGates(Right):
    """Takes the input gate for the forget gate."""

    name = "swaps-gates"
    capabilities = LSTM

    def step(self, layer: Layer, weights: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        order = [1, 0, 2, 3]
        w_ih = None if weights.w_ih is None else weights.w_ih[order]
        weights = Weights(w_ih, weights.w_hh[order], weights.b_ih[order], weights.b_hh[order])
        return super().step(layer, weights, x, h, c)


class Raises(Right):
    name = "raises"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        raise NotImplementedError("no kernel for this")


class TimeMajor(Right):
    name = "time-major"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        result = super().run(case)
        return replace(result, y=result.y.transpose(1, 0, 2))


class Widens(Right):
    name = "widens"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        result = super().run(case)
        return replace(result, y=result.y.astype(np.float64))


class ReturnsNothing(Right):
    name = "returns-nothing"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        return None  # type: ignore[return-value]


class ForgetsTheCell(Right):
    name = "forgets-the-cell"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        return replace(super().run(case), c_n=None)


class ReturnsNan(Right):
    name = "returns-nan"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        result = super().run(case)
        result.h_n[-1, -1, -1] = np.nan
        return result


class WorksInPlace(Right):
    name = "works-in-place"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        result = super().run(case)
        case.x[...] = 3
        return result


class Remembers(Right):
    """Starts where the last call of the same size ended, unless it is told otherwise."""

    name = "remembers"
    capabilities = LSTM

    def __init__(self) -> None:
        self._last: dict[tuple[int, ...], Result] = {}

    def run(self, case: Case) -> Result:
        size = (len(case.weights), case.batch_size, case.layer.hidden_size)
        if case.h_0 is None and size in self._last:
            case = replace(case, h_0=self._last[size].h_n, c_0=self._last[size].c_n)
        self._last[size] = super().run(case)
        return self._last[size]


class Wavers(Right):
    """Is wrong in one call out of seven, as a race between threads may be."""

    name = "wavers"
    capabilities = LSTM

    def __init__(self) -> None:
        self._calls = 0

    def run(self, case: Case) -> Result:
        self._calls += 1
        result = super().run(case)
        return replace(result, h_n=result.h_n + 1) if self._calls % 7 == 0 else result


class MasksByProduct(Right):
    """Multiplies the padding by zero, which is no zero where the padding is NaN."""

    name = "masks-by-product"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        result = super().run(case)
        padding = np.where(case.valid[:, :, None], 0, case.x)[:, :, :1]
        with np.errstate(invalid="ignore"):
            return replace(result, y=result.y + 0 * padding)


class ClaimsLittle(Right):
    """Claims one cell, one direction, one layer and one input mode, and refuses what it does not claim."""

    name = "claims-little"
    capabilities = Capabilities(
        cells=(Cell.GRU,),
        directions=(Direction.REVERSE,),
        max_layers=1,
        reset_after=(False,),
        lengths=False,
        bias=(True,),
        input_modes=("linear",),
        dtypes=("float32",),
    )

    def run(self, case: Case) -> Result:
        if reason := self.capabilities.declines(case):
            raise NotImplementedError(f"{reason} is not supported")
        return super().run(case)


class ClaimsTheRest(ClaimsLittle):
    """Claims as little, of other things."""

    name = "claims-the-rest"
    capabilities = Capabilities(
        cells=(Cell.RNN,),
        activations=("relu",),
        directions=(Direction.FORWARD,),
        zero_length="reject",
        bias=(False,),
        input_modes=("skip",),
        dtypes=("float32",),
    )


class Warns(Right):
    """Right, and talkative."""

    name = "warns"
    capabilities = LSTM

    def run(self, case: Case) -> Result:
        warnings.warn("the slow kernel is used", stacklevel=1)
        return super().run(case)


class SecondName(Right):
    """Another backend of the same name."""


class RightButLess(Right):
    """Another version of the same backend, which claims less."""

    capabilities = Capabilities(directions=(Direction.FORWARD, Direction.REVERSE))


class NeedsMissing(Right):
    name = "needs-missing"

    def __init__(self) -> None:
        import a_framework_that_is_not_installed  # type: ignore[import-not-found] # noqa: F401


class BreaksDown(Right):
    def __init__(self) -> None:
        raise RuntimeError("the driver is too old\nby two versions")


class NoBackend:
    name = "no-backend"


right = Right()
A_NUMBER = 5


def make() -> Right:
    return Right()
