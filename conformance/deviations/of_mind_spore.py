"""What MindSpore does differently on the CPU."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance.deviations.deviation import Deviation
from conformance.deviations.erring import (
    ROUNDING_ON_TOP,
    Erring,
    Loose,
    StepOf,
    is_relu_of_nan,
    one_unit,
    shows,
    with_activations,
)
from conformance.deviations.lengths import has_padding, padded
from conformance.tolerance import Truth, has_nan
from reference import Array, Case, Cell

FRAMEWORK = "MindSpore 2.10.0"

BACKENDS = ("mindspore", "mindspore-graph")

LONGEST = 238
"""Steps that the compiler unrolls before it has nested too deep."""

LN_2 = float(np.float32(0.693147))


def tanh(x: Array) -> Array:
    """What MindSpore computes in float32 for tanh: a continued fraction up to 5, and the sign beyond."""
    square = np.minimum(np.abs(x), 6) ** 2
    above = ((square + 378) * square + 17325) * square + 135135
    below = ((28 * square + 3150) * square + 62370) * square + 135135
    return np.asarray(np.where(np.abs(x) > 5, np.sign(x), x * above / below))


def sigmoid(x: Array) -> Array:
    """What MindSpore computes in float32 for sigmoid, with 2^n times a Taylor polynomial for exp."""
    x = np.clip(-x, np.log(2.0**-126), np.log(2.0**128))
    n = np.floor(x / np.log(2) + 0.5)
    d = x - n * LN_2
    series = 1 + d * (1 + d * (1 / 2 + d * (1 / 6 + d * (1 / 24 + d / 120))))
    return np.asarray(1 / (1 + np.ldexp(series, np.nan_to_num(n).astype(int))))


def _steps() -> StepOf:
    return with_activations(tanh=tanh, sigmoid=sigmoid)


def _is_stepwise(case: Case) -> bool:
    """Computed step by step: all but an LSTM without lengths, which is one kernel of oneDNN and right."""
    return case.layer.cell is not Cell.LSTM or case.lengths is not None


def _model(truth: Truth) -> Truth:
    """Both approximations, where they are used."""
    return Erring.of(truth, _steps()) if _is_stepwise(truth.case) else truth


def _rnn_tanh(case: Case) -> bool:
    is_tanh = case.layer.cell is Cell.RNN and case.layer.activation == "tanh"
    return is_tanh and case.dtype == np.float32 and shows(case, _steps(), ROUNDING_ON_TOP)


def _gates(case: Case) -> bool:
    """A law may run an LSTM without lengths with them, so that whether a case has lengths does not count here."""
    has_gates = case.layer.cell is not Cell.RNN
    return has_gates and case.dtype == np.float32 and shows(case, _steps(), ROUNDING_ON_TOP)


def _has_gates_and_room_for_nan(case: Case) -> bool:
    has_gates = case.layer.cell is not Cell.RNN
    return has_gates and case.dtype == np.float32 and (has_padding(case) or has_nan(case))


def _beside_nan(truth: Truth) -> Truth:
    """Either approximation or what it approximates, and all between; the approximation where no NaN is about."""
    if np.all(np.isfinite(truth.case.x)):
        return _model(truth)
    return Loose.of(truth, _steps())


def _padded_with_nan() -> Case:
    """A GRU row with z = sigmoid(-0.34665), where the approximation is bad, beside one that ends in NaN."""
    case = one_unit(Cell.GRU, [0, -0.34665, 0], [1, 1], h_0=1.0)
    x = np.array([[[1], [np.nan]], [[1], [1]]], np.float32)
    return replace(case, x=x, lengths=[1, 2])


def _long() -> Case:
    return padded(Cell.RNN, [1], [1] * 512, length=512)


def _is_long(case: Case) -> bool:
    return _is_stepwise(case) and case.num_steps > LONGEST


DEVIATIONS = (
    Deviation(
        name="mindspore-tanh-exceeds-one",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The float32 tanh is a continued fraction up to 5 and the constant 1 beyond, and exceeds 1 before it.",
        should="A tanh is at most 1, and within two units in the last place, as it is in float16.",
        seen="Off by 1.0e-4 just below 5, by 15 ulp at 3, 250 at 4 and 200 at 6; a state of nn.RNN of 1.00001.",
        concerns=_rnn_tanh,
        pinned=lambda: one_unit(Cell.RNN, [1], [5]),
        model=_model,
        links=("https://github.com/pytorch/pytorch/issues/176367",),
    ),
    Deviation(
        name="mindspore-sigmoid-loses-bits",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The float32 sigmoid, and with it the gates of GRU and of LSTM with lengths, loses 4 to 5 bits.",
        should="A sigmoid within two or three units in the last place, as float16 has it, and LSTM without lengths.",
        seen="A relative error of 2.4e-6 at odd multiples of ln(2)/2, and of 2.2e-5 at -86.",
        concerns=_gates,
        pinned=lambda: one_unit(Cell.GRU, [0, -0.34665, 0], [1], h_0=1.0),
        model=_model,
    ),
    Deviation(
        name="mindspore-nan-changes-its-neighbours",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="One NaN in a tensor changes what the float32 sigmoid gives for its other elements.",
        should="An element of a result depends on its own element; what stands in the padding of a row, on nothing.",
        seen="Beside a NaN the sigmoid is accurate: NaN in the padding changes valid outputs of other rows.",
        concerns=_has_gates_and_room_for_nan,
        pinned=_padded_with_nan,
        model=_beside_nan,
    ),
    Deviation(
        name="mindspore-relu-of-nan-is-zero",
        framework=FRAMEWORK,
        backends=BACKENDS,
        does="The relu of NaN is 0, and so is the state of nn.RNN with it.",
        should="NaN, as in numpy, PyTorch and JAX: a model that has diverged should not look healthy.",
        seen="In float32 and float16; with tanh the state is NaN.",
        concerns=is_relu_of_nan,
        pinned=lambda: one_unit(Cell.RNN, [1], [math.nan], activation="relu"),
    ),
    Deviation(
        name="mindspore-graph-cannot-compile-long-sequences",
        framework=FRAMEWORK,
        backends=("mindspore-graph",),
        does="In Graph mode, RNN, GRU and LSTM with lengths raise on a long sequence.",
        should="What PyNative mode does, which runs the same layer.",
        seen='"Exceed function call depth limit 1000", from 239 steps on: the loop is unrolled, and nests.',
        concerns=_is_long,
        pinned=_long,
    ),
    Deviation(
        name="mindspore-graph-compiles-states-in",
        framework=FRAMEWORK,
        backends=("mindspore-graph",),
        does="In Graph mode, LSTM is compiled anew for every pair of initial states.",
        should="One graph for every shape of the inputs; the states are documented as a tuple of tensors.",
        seen="3 graphs after 3 calls, each a second or more; 1 where the tuple is mindspore.mutable.",
    ),
)
