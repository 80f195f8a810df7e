"""Everything that only a machine with a GPU can show, in one run.

    python -m benchmarks.gpu --out gpu-report

1. The suite judges every backend that finds the GPU, each in its own process, and the merged report is shown: effective
   bits by cell and dtype, with TF32 off and on.
2. The memory of the device before and after 200 runs of each backend says whether anything leaks; a run of each under
   ``compute-sanitizer --leak-check full``, where that is installed, says it of every allocation.
3. The loop network of TensorRT and PyTorch's cuDNN layer run the same case, timed by CUDA events.

What is not there (a framework, TensorRT's libraries, compute-sanitizer) is named with its reason. PyTorch is needed, as
it gives the memory and the events.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from backends import Backend, BackendError, describe, load
from backends.pytorch import load_weights, module_of
from reference import Case, Cell, Direction, Layer, Weights

BACKENDS = (
    "pytorch-cuda",
    "pytorch-cuda-tf32",
    "tensorrt-rtx",
    "tensorrt-rtx-tf32",
    "tensorrt",
    "tensorrt-tf32",
    "tensorrt-rnnv2",
)

RUNS = 200

LAYERS = {
    "LSTM": Layer(cell=Cell.LSTM, input_size=256, hidden_size=256),
    "GRU": Layer(cell=Cell.GRU, input_size=256, hidden_size=256),
    "RNN": Layer(cell=Cell.RNN, input_size=256, hidden_size=256),
    "LSTM, 2 layers, bidirectional": Layer(
        cell=Cell.LSTM, input_size=256, hidden_size=256, num_layers=2, direction=Direction.BIDIRECTIONAL
    ),
}


def available(chosen: tuple[str, ...]) -> Iterator[tuple[str, Backend]]:
    """The backends that can be had here; the reasons of the others are printed."""
    for name in chosen:
        try:
            yield name, load(name)
        except BackendError as error:
            print(f"not here: {error}")


def judge(names: list[str], out: Path) -> bool:
    """Run the suite on each backend, show the merged report, and say whether every claim holds."""
    reports = [out / name for name in names]
    codes = [
        subprocess.run(
            [sys.executable, "-m", "pytest", "conformance", "--backend", name, "--report", str(report), "-q"]
        ).returncode
        for name, report in zip(names, reports)
    ]
    merge = [sys.executable, "-m", "conformance.report", "merge", *map(str, reports), "--out", str(out)]
    subprocess.run(merge, check=True)
    subprocess.run([sys.executable, "-m", "conformance.report", "show", str(out)], check=True)
    return not any(codes)


def leaked(backend: Backend, case: Case) -> int:
    """Bytes of device memory that :data:`RUNS` runs have not given back."""
    run_often(backend, case, 10)  # what is kept on purpose, modules and engines and pools, is there now
    before = free_memory()
    run_often(backend, case, RUNS)
    return before - free_memory()


def run_often(backend: Backend, case: Case, times: int) -> None:
    """Run a case so many times, and let go of what PyTorch keeps for the next."""
    for _ in range(times):
        backend.run(case)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()


def free_memory() -> int:
    """Bytes of the device that nobody holds."""
    free, _ = torch.cuda.mem_get_info()
    return int(free)


def sanitized(name: str) -> str:
    """What compute-sanitizer says of one run of a backend."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return "compute-sanitizer is not installed"
    imports = "from backends import load; from benchmarks.gpu import LAYERS, a_case"
    program = f"{imports}; load({name!r}).run(a_case(LAYERS['LSTM']))"
    done = subprocess.run([tool, "--leak-check", "full", sys.executable, "-c", program], capture_output=True, text=True)
    return next((line for line in reversed(done.stdout.splitlines()) if "SUMMARY" in line), f"exit {done.returncode}")


def milliseconds(run: Callable[[], object], repeats: int = 50) -> float:
    """The median time between two CUDA events around a run."""
    for _ in range(5):
        run()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(float(start.elapsed_time(end)))
    return median(times)


def cudnn(case: Case) -> Callable[[], object]:
    """PyTorch's layer alone, with its weights and its input on the device."""
    module = module_of(case.layer, "float32", "cuda")
    x = torch.from_numpy(case.x).cuda()
    with torch.no_grad():
        load_weights(module, case.weights, case.layer)

    def run() -> object:
        with torch.no_grad():
            return module(x)

    return run


def a_case(layer: Layer, batch: int = 32, steps: int = 128) -> Case:
    """A float32 case of arbitrary numbers."""
    random = np.random.default_rng(0)

    def numbers(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    gates, hidden = layer.num_gates, layer.hidden_size
    weights = tuple(
        Weights(
            numbers(gates, hidden, layer.input_size_of(k // layer.num_directions)),
            numbers(gates, hidden, hidden),
            numbers(gates, hidden),
            numbers(gates, hidden),
        )
        for k in range(layer.num_layers * layer.num_directions)
    )
    return Case(layer, weights, numbers(batch, steps, layer.input_size))


def main() -> int:
    """The command; 0 where every claim holds and nothing leaks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-report"), help="where the reports go (%(default)s)")
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="only this one (repeatable)")
    options = parser.parse_args()
    found = dict(available(tuple(options.backend or BACKENDS)))
    if not torch.cuda.is_available() or not found:
        print(f"there is nothing to show here: torch {torch.__version__} sees no GPU, or no backend does")
        return 1
    for name, backend in found.items():
        print(f"{name}: {describe(backend)}")
    holds = judge(list(found), options.out)

    print("\n| backend | bytes kept after 200 runs | compute-sanitizer |\n| --- | --: | --- |")
    kept = {name: leaked(backend, a_case(LAYERS["LSTM"], 4, 16)) for name, backend in found.items()}
    for name, count in kept.items():
        print(f"| {name} | {count:,} | {sanitized(name)} |")

    timed = [name for name in found if name.startswith("tensorrt")]
    print("\nMedians of 50 calls by CUDA events, float32 B32 T128; a backend's call copies its inputs and outputs.\n")
    print("| layer | cuDNN, on the device (ms) | " + " | ".join(f"{name} (ms)" for name in timed) + " |")
    print("| --- | --: |" + " --: |" * len(timed))
    for title, layer in LAYERS.items():
        case = a_case(layer)
        row = [milliseconds(cudnn(case)), *(milliseconds(partial(found[name].run, case)) for name in timed)]
        print(f"| {title} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    return 0 if holds and not any(count > 0 for count in kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
