"""How far correct implementations are from sigma, over many generated cases.

    python -m benchmarks.noise --cases 20000 --dtype float32 --backend pytorch --out measured.jsonl
    python -m benchmarks.noise --plot docs/noise.svg measured.jsonl ...

The first form judges a backend, PyTorch or the reference in the dtype of the case, on cases drawn as the suite draws
them or, with ``--of``, of another kind, and appends one line a case to ``--out``. The second draws the figure of
``docs/noise.md`` (matplotlib), and both print the tables. Cases drawn twice are judged once, and cases whose weights
are all zero, in which little can go wrong, not at all.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import platform
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from backends import Backend, Capabilities, describe, load
from conformance.power import single_threaded
from conformance.search import content_of
from conformance.strategies import cases, cases_that_repeat, cases_with_zeros, filled, single_layers, sweeps
from conformance.tolerance import K, ratios, truth_of
from reference import Array, Case, Cell, Weights
from reference.noise import ARITHMETICS

Strategy = Callable[..., st.SearchStrategy[Case]]

CHUNK = 500
"""Cases of one Hypothesis run, which takes its later cases from variations of the earlier ones."""

CHUNKS = 20
"""Of a process, which makes room for another then: what Hypothesis draws it keeps."""

TOLERANCES: dict[str, Callable[[Case, Array, float], Array]] = {
    "rtol 1e-3": lambda case, value, u: 1e-3 * np.abs(value),
    "rtol 1e-5": lambda case, value, u: 1e-5 * np.abs(value),
    "rtol 1e-5 + atol 1e-8": lambda case, value, u: 1e-5 * np.abs(value) + 1e-8,
    "4 eps n T L": lambda case, value, u: np.full(value.shape, 8 * u * _terms(case)),
}
"""What others would accept: (case, truth, unit roundoff) -> the largest accepted error of each element."""


def _terms(case: Case) -> int:
    """n T L: the terms of the longest product, the steps and the layers."""
    layer = case.layer
    n = max(layer.input_size_of(number) + layer.hidden_size for number in range(layer.num_layers))
    return n * case.num_steps * layer.num_layers


@st.composite
def wide_cases(draw: st.DrawFn, /, capabilities: Capabilities, cell: Cell, dtypes: st.SearchStrategy[str]) -> Case:
    """Cases with many units and many rows, which cost too much for the suite to draw them."""
    batch, hidden = draw(st.sampled_from([16, 32])), draw(st.sampled_from([64, 96, 128]))
    steps, inputs = draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from([16, 64]))
    layer = draw(single_layers(capabilities, cell, inputs, hidden))
    return draw(filled(layer, batch, steps, None, False, draw(dtypes)))


STRATEGIES: dict[str, Strategy] = {
    "usual": cases,
    "repeating": cases_that_repeat,
    "zeros": cases_with_zeros,
    "sweeps": sweeps,
    "wide": wide_cases,
}


@dataclass(frozen=True)
class Study:
    """What is measured, in names that another process can read."""

    backend: str
    dtype: str
    arithmetic: str | None
    """To judge by, if not the claimed one."""
    of: str
    """Which cases, of :data:`STRATEGIES`."""

    def load(self) -> tuple[Backend, Capabilities]:
        """The backend, and what it claims or is said to claim."""
        backend = load(self.backend)
        claimed = backend.capabilities
        return backend, replace(claimed, arithmetic={self.dtype: self.arithmetic}) if self.arithmetic else claimed


def measured(study: Study, cell: Cell, count: int, first_seed: int, pool: Pool) -> Iterator[dict[str, Any]]:
    """The lines of ``count`` different cases, drawn in chunks of a seed each."""
    seen: set[bytes] = set()
    while len(seen) < count:
        seeds = range(first_seed, first_seed + math.ceil((count - len(seen)) / CHUNK))
        for lines in pool.imap(partial(measured_chunk, study, cell), seeds):
            new = [key for key in lines if key not in seen][: count - len(seen)]
            seen.update(new)
            yield from (lines[key] for key in new)
        first_seed = seeds.stop


def measured_chunk(study: Study, cell: Cell, chunk_seed: int) -> dict[bytes, dict[str, Any]]:
    """The lines of one chunk, by the content of their cases."""
    warnings.simplefilter("ignore")  # of hypothesis, about its speed
    backend, capabilities = study.load()
    found = _chunk(STRATEGIES[study.of](capabilities, cell, st.just(study.dtype)), chunk_seed)
    different = {content_of(case): case for case in found if any(map(_multiplies, case.weights))}
    with np.errstate(all="ignore"):
        return {key: measure(backend, capabilities, case) for key, case in different.items()}


def _multiplies(weights: Weights) -> bool:
    """Whether any weight is not zero, as all are in the case that Hypothesis tries first."""
    return any(np.any(w) for w in (weights.w_ih, weights.w_hh) if w is not None)


def _chunk(strategy: st.SearchStrategy[Case], chunk_seed: int) -> list[Case]:
    """What one run of Hypothesis draws."""
    found: list[Case] = []

    @seed(chunk_seed)
    @settings(
        max_examples=CHUNK,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


def measure(backend: Backend, capabilities: Capabilities, case: Case) -> dict[str, Any]:
    """One line of the measurements: the ratios of one case, and what other tolerances make of it."""
    truth = truth_of(case, capabilities)
    line: dict[str, Any] = {"cell": str(case.layer.cell), "case": str(case), "informative": truth.informative}
    if not truth.informative:
        return line
    got = backend.run(case)
    value, sigma, error = truth.value, truth.sigma, truth.error_of(got)
    parts = [(name, getattr(value, name), getattr(sigma, name), np.abs(errors)) for name, errors in error.items()]
    ratio = np.concatenate(
        [ratios(getattr(got, name).astype(np.float64), wanted, errors, s).ravel() for name, wanted, s, errors in parts]
    )
    erring = np.concatenate([s.ravel() for _, _, s, _ in parts]) > 0
    line |= {
        "worst": float(np.max(ratio)),
        "rms": float(np.sqrt(np.mean(ratio[erring] ** 2))) if erring.any() else 0.0,
        "elements": int(ratio.size),
    }
    others = {"K sigma": lambda name, wanted, s: K * s} | {
        label: lambda name, wanted, s, bound=bound: bound(case, wanted, truth.arithmetic.unit)
        for label, bound in TOLERANCES.items()
    }
    line["others"] = {label: _verdict(parts, bound) for label, bound in others.items()}
    return line


def _verdict(parts: list[tuple[str, Array, Array, Array]], bound: Callable[..., Array]) -> list[float]:
    """The largest error in units of a tolerance, and the median of tolerance / error over the elements that err."""
    largest, slack = 0.0, []
    for name, wanted, s, errors in parts:
        allowed = bound(name, wanted, s)
        wrong = errors > 0
        with np.errstate(divide="ignore"):
            largest = max(largest, float(np.max(errors[wrong] / allowed[wrong], initial=0.0)))
        slack.append(allowed[wrong] / errors[wrong])
    together = np.concatenate(slack)
    return [largest, float(np.median(together)) if together.size else float("nan")]


def measure_many(study: Study, cells: list[Cell], count: int, first_seed: int, processes: int, out: Path) -> None:
    """Append ``count`` lines to ``out``, as many of each of the ``cells``."""
    name = study.load()[0].name
    with (
        single_threaded(),
        multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=CHUNKS) as pool,
        out.open("a") as file,
    ):
        for cell in cells:
            start = time.monotonic()
            share = count // len(cells)
            for number, line in enumerate(measured(study, cell, share, first_seed, pool), 1):
                file.write(json.dumps({"backend": name, "dtype": study.dtype, **line}) + "\n")
                if number % 1000 == 0 or number == share:
                    seconds = time.monotonic() - start
                    print(f"{name} {study.dtype} {cell}: {number} of {share} cases, {seconds:.0f} s", flush=True)


def read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The lines of several files."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def table_of_ratios(lines: list[dict[str, Any]]) -> str:
    """Markdown: the distribution of the largest ``|error| / sigma`` of a case, by backend, dtype and cell."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[line["backend"], line["dtype"], line["cell"]].append(line)
    rows = [
        "| backend | dtype | cell | cases | uninformative | elements | rms | median | 99% | 99.9% | largest |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (backend, dtype, cell), group in sorted(groups.items()):
        judged = [line for line in group if line["informative"]]
        worst = np.array([line["worst"] for line in judged])
        elements = sum(line["elements"] for line in judged)
        rms = np.sqrt(np.mean([line["rms"] ** 2 for line in judged]))
        median, high, higher = np.quantile(worst, [0.5, 0.99, 0.999])
        rows.append(
            f"| {backend} | {dtype} | {cell} | {len(group):,} | {len(group) - len(judged):,} | {elements:,} "
            f"| {rms:.2f} | {median:.2f} | {high:.2f} | {higher:.2f} | **{worst.max():.2f}** |"
        )
    return "\n".join(rows)


def table_of_others(lines: list[dict[str, Any]]) -> str:
    """Markdown: false alarms and slack of K sigma and of other tolerances on the same results."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        for label, (largest, slack) in line.get("others", {}).items():
            groups[label, line["dtype"]].append((largest, slack))
    rows = [
        "| tolerance | dtype | cases | correct results rejected | median of tolerance / error |",
        "|---|---|--:|--:|--:|",
    ]
    for (label, dtype), found in groups.items():
        largest, slack = np.array(found).T
        alarms = int(np.sum(largest > 1))
        share = f"{alarms:,} ({alarms / len(found):.1%})"
        rows.append(f"| {label} | {dtype} | {len(found):,} | {share} | {np.nanmedian(slack):,.3g} |")
    return "\n".join(rows)


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """The share of cases whose largest ratio exceeds r, for every r, by cell and dtype."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "touchstone", "svg.fonttype": "none", "font.size": 10})
    colours = {"rnn": "#0072B2", "lstm": "#D55E00", "gru": "#009E73"}  # Okabe and Ito
    styles = {"pytorch": "-", "reference": (0, (4, 2))}
    dtypes = [name for name in ("float64", "float32", "float16", "bfloat16") if any(x["dtype"] == name for x in lines)]
    figure, axes = plt.subplots(1, len(dtypes), figsize=(2.9 * len(dtypes) + 0.6, 3.6), sharey=True, squeeze=False)
    smallest_share = 1.0
    for axis, dtype in zip(axes[0], dtypes):
        for backend, style in styles.items():
            for cell, colour in colours.items():
                worst = [
                    x["worst"]
                    for x in lines
                    if x["informative"] and (x["backend"], x["dtype"], x["cell"]) == (backend, dtype, cell)
                ]
                if worst:
                    # Whole at the end that matters, thinned where thousands of steps would lie on one another.
                    kept = np.unique(len(worst) - np.geomspace(len(worst), 1, 400).astype(int))
                    share = 1 - kept / len(worst)
                    smallest_share = min(smallest_share, share[-1])
                    label = f"{cell}, {'numpy' if backend == 'reference' else 'PyTorch'}"
                    axis.step(
                        np.sort(worst)[kept], share, colour, linestyle=style, where="post", linewidth=1.4, label=label
                    )
        axis.axvline(K, color="#444444", linewidth=1.2)
        axis.text(K - 0.12, 0.6, f"K = {K:g}: rejected beyond", rotation=90, va="top", ha="right", color="#444444")
        axis.set(title=dtype, yscale="log", xlim=(0, K + 0.5), xlabel="r", ylim=(0.7 * smallest_share, 1.4))
        axis.grid(True, color="#e4e4e4", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("share of cases with\nmax |error| / sigma beyond r")
    handles = {label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=6, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path, metadata={"Date": None})


def machine() -> str:
    """The processor, as the operating system names it."""
    try:
        found = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    except OSError:
        found = []
    return found[0].split(":", 1)[1].strip() if found else platform.processor() or platform.machine()


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=__doc__.splitlines()[0])
    parser.add_argument("measured", nargs="*", type=Path, help="files written by --out, to be tabled together")
    parser.add_argument("--cases", type=int, default=0, help="how many cases to draw and judge")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cells", nargs="+", type=Cell, default=list(Cell), help="of which cells, as many of each")
    parser.add_argument("--arithmetic", choices=ARITHMETICS, help="to judge by, if not the claimed one")
    parser.add_argument("--backend", default="pytorch", help="a name, or module:attribute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", choices=STRATEGIES, default="usual", help="which cases are drawn (usual)")
    parser.add_argument("--processes", type=int, default=2, help="which change nothing but the time it takes (2)")
    parser.add_argument("--out", type=Path, default=Path("measured.jsonl"))
    parser.add_argument("--plot", type=Path, help="where to draw the figure")
    options = parser.parse_args()
    files = options.measured
    if options.cases:
        study = Study(options.backend, options.dtype, options.arithmetic, options.of)
        backend, capabilities = study.load()
        arithmetic = capabilities.arithmetic_of(study.dtype)
        print(f"{describe(backend)}; numpy {np.__version__}; {machine()}; {arithmetic} arithmetic")
        measure_many(study, options.cells, options.cases, options.seed, options.processes, options.out)
        files = [*files, options.out]
    lines = read(files)
    print(table_of_ratios(lines), table_of_others(lines), sep="\n\n")
    if options.plot:
        plot(lines, options.plot)


if __name__ == "__main__":
    main()
