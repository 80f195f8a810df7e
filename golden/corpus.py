"""Which computed vectors there are, and what each is for: two tables of features, and a table of themes.

A vector that is here once keeps its id and its numbers for ever; README.md says how to add one and how to retire one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, product
from typing import Any

from golden.recipe import Fill, Recipe
from reference import Cell, Direction, Layer

FLAGS: Mapping[str, str] = {
    "bidirectional": "Catches halves of y in the wrong order or interleaved, and a reverse half that is computed with"
    " the parameters or the state of the forward half.",
    "block-edge": "Catches a kernel that loses, repeats or overwrites what is left over where a size is one less or one"
    " more than a multiple of its block.",
    "default-state": "Catches a state that does not start from zero where none is given, such as that of the call"
    " before.",
    "exact": "Every product and every partial sum, in any order, is a number of the dtype, so sigma is 0 and only"
    " equality passes: catches a single lost, repeated or misplaced term.",
    "full-lengths": "Catches an implementation that treats lengths that all equal T otherwise than no lengths.",
    "gates-apart": "Every gate has a bias of its own size, far from the others': catches gates in another order.",
    "hold": "The gates hold the state for 20 steps: catches i and f, or z and 1-z, exchanged, and a state that leaks.",
    "initial-state": "Catches initial states that are ignored, or that reach another layer, direction or row.",
    "large": "Catches a clipped cell state, an intermediate result that overflows, and an activation beyond its range.",
    "long": "Catches errors that add up over 512 steps, such as those of an approximate activation, and loops that end"
    " early.",
    "long-product": "130 or 520 terms of one sign: catches sums that are kept in a coarser format than claimed, and a"
    " tail of the product that is left out.",
    "low-precision": "Catches a state or a sum that is kept in too coarse a format, and an overflow where float32 has"
    " none.",
    "lower-layers": "Catches layers that read the input in place of the layer below, or share its parameters or state.",
    "no-bias": "Catches a bias that is added where there is none, such as memory that was never written.",
    "one-bias": "One of the two biases is zero: catches an implementation that drops the other, and one that moves b_hn"
    " of a GRU out of the product with the reset gate.",
    "padding": "NaN or the largest number stands past the lengths: catches any reading of it, also one that multiplies"
    " it by zero later.",
    "ragged": "Unsorted lengths with T and 1 among them: catches a final state taken at step T-1, output past the"
    " length, and rows that are sorted and not put back.",
    "reset-after": "Catches a GRU that resets the state before the recurrent product.",
    "reset-before": "Catches a GRU that resets the recurrent product, with its bias, after it.",
    "reverse": "Catches a direction that is ignored, output in the order of processing, and a start in the padding.",
    "saturated": "Catches an exponential that overflows to NaN, and an activation that does not reach its limit.",
    "short": "Every length is below T: catches y cut to the longest row, and steps past it that are left unwritten.",
    "size-one": "Catches an axis of size 1 that is dropped, broadcast or taken for another.",
    "skip": "Catches an input that is multiplied or dropped where it should be added to every gate, with b_ih.",
    "square": "B = T = I = H: catches a transposed matrix or a mistaken axis that other sizes turn into an error.",
    "tiny": "Catches an activation with an absolute error, which only shows where numbers are small, and inputs below"
    " the smallest normal number that are taken for zero.",
    "zero-length": "Rows of length 0: catches step -1 read in place of the initial state, and rows that are left out.",
}
"""Flag -> which bug a vector with this flag catches."""

CELLS: Mapping[str, Mapping[str, Any]] = {
    "rnn-tanh": {"cell": Cell.RNN},
    "rnn-relu": {"cell": Cell.RNN, "activation": "relu"},
    "lstm": {"cell": Cell.LSTM},
    "gru-after": {"cell": Cell.GRU},
    "gru-before": {"cell": Cell.GRU, "reset_after": False},
}
"""Every function there is."""

LENGTHS = ("none", "ragged-zero", "ragged", "short", "full")
"""Kinds of lengths; see :func:`lengths_of`."""

EVERY_PAIR = """
lengths      dtype     direction      layers  bias  states  mode
none         float64   forward        1       yes   yes     linear
none         float32   reverse        3       no    no      linear
none         float16   bidirectional  2       no    yes     skip
none         bfloat16  bidirectional  2       yes   no      skip
ragged-zero  float64   reverse        2       no    yes     skip
ragged-zero  float32   forward        2       yes   no      skip
ragged-zero  float16   bidirectional  3       yes   yes     linear
ragged-zero  bfloat16  bidirectional  1       no    no      linear
short        float64   bidirectional  3       yes   no      skip
short        float32   bidirectional  1       no    yes     skip
short        float16   forward        2       no    no      linear
short        bfloat16  reverse        2       yes   yes     linear
full         float64   bidirectional  2       no    no      linear
full         float32   bidirectional  2       yes   yes     linear
full         float16   reverse        1       yes   no      skip
full         bfloat16  forward        3       no    yes     skip
"""
"""For every cell: any two of these features meet somewhere (an orthogonal array of strength 2 with 16 rows)."""

EVERY_PAIR_IN_FLOAT32 = """
lengths      direction      layers  bias  states
none         forward        1       no    yes
none         reverse        2       yes   no
none         bidirectional  3       no    yes
ragged       forward        2       yes   yes
ragged       reverse        3       no    no
ragged       bidirectional  1       yes   no
short        forward        3       yes   yes
short        reverse        1       no    no
short        bidirectional  2       no    yes
full         forward        1       yes   no
full         reverse        2       no    yes
full         bidirectional  3       yes   no
"""
"""The same for an implementation that has no more than float32, linear inputs and rows of at least one step."""

SIZES = ((3, 7, 4, 5), (4, 6, 3, 2), (5, 8, 2, 3), (3, 5, 6, 4), (4, 9, 5, 3), (6, 5, 3, 4), (3, 4, 7, 6))
"""B, T, I, H, by turns; no two alike within one."""

GATED = ("lstm", "gru-after", "gru-before")
SMOOTH = ("rnn-tanh", *GATED)
COMMON = ("lstm", "gru-after")


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Vectors that have one purpose, one for each cell and dtype."""

    name: str
    purpose: str
    flags: tuple[str, ...]
    cells: tuple[str, ...] = tuple(CELLS)
    dtypes: tuple[str, ...] = ("float32",)
    sizes: tuple[int, int, int, int] = (3, 7, 4, 5)
    """B, T, I, H"""
    layers: int = 1
    direction: str = "forward"
    lengths: str | tuple[int, ...] = "none"
    """One of :data:`LENGTHS`, or the lengths themselves."""
    states: bool = True
    fill: Fill = field(default_factory=Fill)


DEEP: Mapping[str, Any] = {"layers": 2, "direction": "bidirectional"}

INTEGERS = Fill(numbers="integers")
ROTATION = Fill(numbers="integers", recurrence="rotation")

THEMES = (
    # Sizes of one, and sizes that are alike
    Theme(name="one", purpose="One row, step, input and unit.", flags=("size-one",), cells=SMOOTH,
          sizes=(1, 1, 1, 1)),
    Theme(name="one-row", purpose="A batch of one.", flags=("size-one",), cells=COMMON, sizes=(1, 6, 3, 4)),
    Theme(name="one-step", purpose="One step.", flags=("size-one",), cells=COMMON, sizes=(3, 1, 4, 5), **DEEP),
    Theme(name="one-input", purpose="One input.", flags=("size-one",), cells=COMMON, sizes=(3, 6, 1, 4)),
    Theme(name="one-unit", purpose="One unit.", flags=("size-one",), cells=COMMON, sizes=(3, 6, 4, 1)),
    Theme(name="square", purpose="B = T = I = H.", flags=("square",), sizes=(4, 4, 4, 4)),
    # Lengths
    Theme(name="zero-rows-first", purpose="Rows of length 0 come first, between and last.", flags=("zero-length",),
          cells=("rnn-tanh", *COMMON), sizes=(6, 5, 3, 4), lengths=(0, 5, 0, 1, 3, 0), **DEEP),
    Theme(name="zero-rows-only", purpose="Every row has length 0, and keeps its state.", flags=("zero-length",),
          cells=COMMON, lengths=(0, 0, 0), **DEEP),
    Theme(name="zero-rows-no-state", purpose="Every row has length 0, and there is no state to keep.",
          flags=("zero-length",), cells=("lstm",), lengths=(0, 0, 0), states=False),
    Theme(name="lengths-of-one", purpose="Every row has length 1, in a longer batch.", flags=("short",),
          cells=COMMON, lengths=(1, 1, 1), **DEEP),
    Theme(name="padding-nan", purpose="NaN stands in the padding.", flags=("padding",), cells=("rnn-tanh", *COMMON),
          lengths="ragged", fill=Fill(padding="nan"), **DEEP),
    Theme(name="padding-largest", purpose="The largest number of the dtype stands in the padding.",
          flags=("padding",), cells=COMMON, lengths="ragged", fill=Fill(padding="largest"), **DEEP),
    # Biases and gates
    Theme(name="b-ih-only", purpose="Of the biases, b_hh is zero.", flags=("one-bias",), cells=GATED,
          fill=Fill(bias=1, biases="b_ih")),
    Theme(name="b-hh-only", purpose="Of the biases, b_ih is zero.", flags=("one-bias",), cells=GATED,
          fill=Fill(bias=1, biases="b_hh")),
    Theme(name="gates-apart", purpose="The biases of the gates are far apart.", flags=("gates-apart",),
          cells=("lstm",), fill=Fill(weight=-2, bias=-3, gates={"i": -1.5, "f": 2.0, "g": 0.75, "o": 0.25})),
    Theme(name="gates-apart", purpose="The biases of the gates are far apart.", flags=("gates-apart",),
          cells=("gru-after", "gru-before"), fill=Fill(weight=-2, bias=-3, gates={"r": 2.0, "z": -1.5, "n": 0.75})),
    # Saturation, of both signs
    Theme(name="hold", purpose="The forget gate is 1 and the input gate 0: the cell keeps its value.",
          flags=("hold", "saturated"), cells=("lstm",), dtypes=("float64", "float32"), sizes=(2, 20, 3, 4),
          fill=Fill(gates={"i": -128.0, "f": 128.0, "o": 128.0})),
    Theme(name="hold", purpose="The update gate is 1: the state keeps its value.", flags=("hold", "saturated"),
          cells=("gru-after", "gru-before"), sizes=(2, 20, 3, 4), fill=Fill(gates={"r": -128.0, "z": 128.0})),
    Theme(name="overwrite", purpose="The forget gate is 0 and the input gate 1: the cell is new in every step.",
          flags=("saturated",), cells=("lstm",), fill=Fill(gates={"i": 128.0, "f": -128.0, "o": 128.0})),
    Theme(name="overwrite", purpose="The update gate is 0 and the reset gate 1: the state is new in every step.",
          flags=("saturated",), cells=("gru-after", "gru-before"), fill=Fill(gates={"r": 128.0, "z": -128.0})),
    Theme(name="tanh-high", purpose="The tanh of every unit is 1.", flags=("saturated",), cells=("rnn-tanh",),
          dtypes=("float32", "float16"), fill=Fill(gates={"h": 128.0})),
    Theme(name="tanh-high", purpose="The tanh of every candidate is 1.", flags=("saturated",), cells=("lstm",),
          fill=Fill(gates={"g": 128.0})),
    Theme(name="tanh-high", purpose="The tanh of every candidate is 1.", flags=("saturated",), cells=("gru-after",),
          fill=Fill(gates={"n": 128.0})),
    Theme(name="tanh-low", purpose="The tanh of every candidate is -1.", flags=("saturated",), cells=("lstm",),
          dtypes=("bfloat16",), fill=Fill(gates={"g": -128.0})),
    Theme(name="tanh-low", purpose="The tanh of every candidate is -1.", flags=("saturated",), cells=("gru-before",),
          fill=Fill(gates={"n": -128.0})),
    Theme(name="saturated", purpose="Every gate of every unit is far to one side, now this one, now that.",
          flags=("saturated",), cells=SMOOTH, fill=Fill(x=9)),
    Theme(name="saturated", purpose="Every gate of every unit is far to one side, now this one, now that.",
          flags=("saturated",), cells=("lstm",), dtypes=("float64",), fill=Fill(x=7)),
    # Magnitudes
    Theme(name="large-input", purpose="Inputs of 2^60 meet weights of 2^-60.", flags=("large",),
          cells=("rnn-tanh", *COMMON), fill=Fill(x=60, input_weight=-60)),
    Theme(name="large-cell", purpose="Cell states up to 2^8, far beyond what tanh tells apart.", flags=("large",),
          cells=("lstm",), dtypes=("float64", "float32", "float16"), fill=Fill(c=8)),
    Theme(name="tiny", purpose="Inputs, biases and states of 2^-20, where every activation is linear.",
          flags=("tiny",), fill=Fill(x=-20, h=-20, bias=-20, c=-20)),
    Theme(name="subnormal", purpose="Inputs below the smallest normal number, which large weights lift above it.",
          flags=("tiny",), cells=("rnn-tanh", *COMMON), dtypes=("float16",),
          fill=Fill(x=-14, input_weight=8, bias=-6, h=-6, c=-6)),
    # What can be checked by hand
    Theme(name="ones", purpose="All ones, 520 inputs: the first step gives 520 + 2 + 2, the next 520 + 2 * 524 + 2.",
          flags=("exact", "long-product"), cells=("rnn-relu",), sizes=(3, 4, 520, 2), fill=Fill(numbers="ones")),
    Theme(name="integers", purpose="Small integers all over.", flags=("exact",), cells=("rnn-relu",),
          dtypes=("float32", "float16", "bfloat16"), sizes=(4, 3, 5, 2), lengths=(1, 3, 0, 2), fill=INTEGERS),
    Theme(name="integers-reverse", purpose="Small integers all over, in reverse.", flags=("exact",),
          cells=("rnn-relu",), sizes=(4, 5, 3, 6), direction="reverse", lengths=(2, 5, 1, 3), fill=INTEGERS),
    Theme(name="integers-deep", purpose="Small integers all over, in three layers of both directions.",
          flags=("exact",), cells=("rnn-relu",), sizes=(4, 5, 2, 3), layers=3, direction="bidirectional",
          lengths=(2, 5, 1, 3), fill=INTEGERS),
    Theme(name="integers-deep", purpose="Small integers all over, in two layers of both directions.", flags=("exact",),
          cells=("rnn-relu",), dtypes=("float16",), sizes=(4, 3, 5, 2), lengths=(2, 3, 1, 3), fill=INTEGERS, **DEEP),
    Theme(name="rotation", purpose="Every step hands the state of each unit to the next one and adds an integer.",
          flags=("exact", "long"), cells=("rnn-relu",), sizes=(2, 512, 3, 5), direction="bidirectional",
          fill=ROTATION),
    Theme(name="rotation", purpose="Every step hands the state of each unit to the next one and adds an integer.",
          flags=("exact",), cells=("rnn-relu",), dtypes=("float16", "bfloat16"), sizes=(2, 20, 3, 5),
          direction="bidirectional", fill=ROTATION),
    # Long axes
    Theme(name="long", purpose="512 steps.", flags=("long",), sizes=(2, 512, 4, 3)),
    Theme(name="long", purpose="512 steps.", flags=("long",), cells=("lstm",), dtypes=("float64",),
          sizes=(2, 512, 4, 3)),
    Theme(name="long-ragged", purpose="512 steps in reverse, of rows of other lengths.", flags=("long",),
          cells=COMMON, sizes=(4, 512, 3, 2), direction="reverse", lengths=(300, 512, 1, 511)),
    Theme(name="long-product", purpose="520 positive inputs and weights.", flags=("long-product",),
          cells=("rnn-relu", *COMMON), sizes=(3, 2, 520, 4), fill=Fill(numbers="positive", weight=-2)),
    Theme(name="long-product", purpose="520 positive inputs and weights.", flags=("long-product",),
          cells=("rnn-relu",), dtypes=("float64", "float16"), sizes=(3, 2, 520, 4),
          fill=Fill(numbers="positive", weight=-2)),
    # Of more terms, what is added in bfloat16 onto a bias is lost in rounding.
    Theme(name="product-of-130", purpose="130 positive inputs and weights.", flags=("long-product",),
          cells=("rnn-relu",), dtypes=("bfloat16",), sizes=(3, 2, 130, 4), fill=Fill(numbers="positive", weight=-2)),
    # What kernels block by
    Theme(name="units-15", purpose="15 units.", flags=("block-edge",), cells=COMMON, sizes=(2, 4, 7, 15)),
    Theme(name="units-16", purpose="16 units.", flags=("block-edge",), cells=COMMON, sizes=(5, 4, 8, 16)),
    Theme(name="units-17", purpose="17 units.", flags=("block-edge",), cells=SMOOTH, sizes=(2, 3, 16, 17)),
    Theme(name="units-33", purpose="33 units.", flags=("block-edge",), cells=SMOOTH, sizes=(4, 3, 31, 33)),
    Theme(name="rows-17", purpose="17 rows.", flags=("block-edge",), cells=("lstm",), sizes=(17, 4, 3, 5),
          lengths=(4, 1, 3, 2, 4, 4, 2, 1, 3, 1, 4, 2, 3, 4, 1, 2, 3)),
    Theme(name="wide", purpose="65 rows and 129 units.", flags=("block-edge",), cells=COMMON, sizes=(65, 2, 4, 129)),
)  # fmt: skip
"""By theme; what the purpose does not speak of is as in any other case."""


@cache
def corpus() -> tuple[Recipe, ...]:
    """Every computed vector, by id."""
    recipes = sorted([*_of_table(EVERY_PAIR), *_of_table(EVERY_PAIR_IN_FLOAT32), *_of_themes()], key=lambda r: r.id)
    ids = [recipe.id for recipe in recipes]
    repeated = {id for id in ids if ids.count(id) > 1}
    if repeated:
        raise ValueError(f"the corpus has two vectors called {min(repeated)!r}, but every id should be unique")
    return tuple(recipes)


def _of_table(table: str) -> Iterator[Recipe]:
    """A vector for each cell and each row of a table of features."""
    header, *rows = (line.split() for line in table.strip().splitlines())
    sizes = cycle(SIZES)
    for name in CELLS:
        for row in rows:
            yield _of_features(name, {"dtype": "float32", "mode": "linear", **dict(zip(header, row))}, next(sizes))


def _of_features(name: str, row: Mapping[str, str], sizes: tuple[int, int, int, int]) -> Recipe:
    batch, steps, inputs, hidden = sizes
    layer = Layer(
        **CELLS[name],
        input_size=hidden if row["mode"] == "skip" else inputs,
        hidden_size=hidden,
        num_layers=int(row["layers"]),
        direction=Direction(row["direction"]),
        bias=row["bias"] == "yes",
        input_mode=row["mode"],  # type: ignore[arg-type]
    )
    parts = [name, row["direction"], row["layers"]]
    if row["lengths"] != "none":
        parts.append(row["lengths"])
    parts += [f"no-{feature}" for feature in ("bias", "states") if row[feature] == "no"]
    if row["mode"] == "skip":
        parts.append("skip")
    return _recipe(
        id="-".join([*parts, row["dtype"]]),
        purpose=f"A row of the table in which any two features meet: {_in_words(row)}.",
        flags=(),
        layer=layer,
        dtype=row["dtype"],
        batch=batch,
        steps=steps,
        lengths=lengths_of(row["lengths"], batch, steps),
        states=row["states"] == "yes",
    )


def _in_words(row: Mapping[str, str]) -> str:
    lengths = {
        "none": "no lengths",
        "ragged-zero": "unsorted lengths with T, 1 and 0",
        "ragged": "unsorted lengths with T and 1",
        "short": "lengths all below T",
        "full": "lengths all equal to T",
    }[row["lengths"]]
    layers = "one layer" if row["layers"] == "1" else f"{row['layers']} layers"
    with_or_without = [
        f"{'with' if row[feature] == 'yes' else 'without'} {thing}"
        for feature, thing in (("bias", "biases"), ("states", "initial state"))
    ]
    return ", ".join([layers, row["direction"], lengths, *with_or_without, f"{row['mode']} input"])


def _flags(layer: Layer, dtype: str, lengths: tuple[int, ...] | None, steps: int, states: bool) -> set[str]:
    """The flags that follow from the features of a vector."""
    given = lengths or ()
    flags = {
        "bidirectional": layer.direction is Direction.BIDIRECTIONAL,
        "reverse": layer.direction is not Direction.FORWARD,
        "lower-layers": layer.num_layers > 1,
        "ragged": {steps, 1} <= set(given) and list(given) != sorted(given, reverse=True),
        "zero-length": 0 in given,
        "short": steps > max(given, default=steps),
        "full-lengths": set(given) == {steps},
        "no-bias": not layer.bias,
        "initial-state": states,
        "default-state": not states,
        "skip": layer.input_mode == "skip",
        "low-precision": dtype in ("float16", "bfloat16"),
        "reset-after": layer.cell is Cell.GRU and layer.reset_after,
        "reset-before": layer.cell is Cell.GRU and not layer.reset_after,
    }
    return {flag for flag, holds in flags.items() if holds}


def _of_themes() -> Iterator[Recipe]:
    """A vector for each theme, each of its cells and each of its dtypes."""
    for theme in THEMES:
        batch, steps, inputs, hidden = theme.sizes
        for name, dtype in product(theme.cells, theme.dtypes):
            layer = Layer(
                **CELLS[name],
                input_size=inputs,
                hidden_size=hidden,
                num_layers=theme.layers,
                direction=Direction(theme.direction),
            )
            yield _recipe(
                id=f"{name}-{theme.name}-{dtype}",
                purpose=theme.purpose,
                flags=theme.flags,
                layer=layer,
                dtype=dtype,
                batch=batch,
                steps=steps,
                lengths=lengths_of(theme.lengths, batch, steps) if isinstance(theme.lengths, str) else theme.lengths,
                states=theme.states,
                fill=theme.fill,
            )


def _recipe(*, flags: tuple[str, ...], **fields: Any) -> Recipe:
    """A recipe with ``flags`` and those that follow from its features."""
    names = ("layer", "dtype", "lengths", "steps", "states")
    return Recipe(flags=tuple(sorted({*flags, *_flags(*(fields[name] for name in names))})), **fields)


def lengths_of(kind: str, batch: int, steps: int) -> tuple[int, ...] | None:
    """Lengths of one of the kinds :data:`LENGTHS`; those that are not ``full`` are unsorted and differ.

    >>> [lengths_of(kind, 4, 7) for kind in LENGTHS]
    [None, (1, 7, 0, 6), (5, 7, 1, 6), (1, 6, 5, 2), (7, 7, 7, 7)]
    """
    kinds = {
        "none": None,
        "ragged-zero": (1, steps, 0, steps - 1, 2, steps),
        "ragged": (steps - 2, steps, 1, steps - 1, 2, steps),
        "short": (1, steps - 1, steps - 2, 2, steps - 1, 1),
        "full": (steps,) * batch,
    }
    lengths = kinds[kind]
    return None if lengths is None else lengths[:batch]
