"""What can be judged, what is claimed, and what became of a saved case.

python -m conformance backends             the backends, what they run on and what they claim
python -m conformance explain NAME         a claim, a fault or a known deviation, by its name or a part of it
python -m conformance rerun CASE           judge a saved case again by the claim that it broke
python -m conformance diagnose CASE        which known fault explains a saved case
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING, Any

import pytest

from backends import BACKENDS, BackendError, Capabilities, describe, load
from conformance.command_line import with_commands
from reference.case_file import load_case

if TYPE_CHECKING:
    from conformance.deviations import Deviation
    from conformance.faults import Fault

KINDS = ("smoke", "documents", "vectors", "agreement", "laws", "deviations")

EPILOGUE = """\
other commands, each with a --help of its own:
  pytest conformance/ --backend NAME     judge a backend; pytest --help lists the options under "touchstone"
  python -m conformance.report           show, merge and compare the reports of such runs
  python -m conformance.offers           what each backend offers, natively, built from parts or not at all
  python -m conformance.deviations       what frameworks are known to do differently
  python -m conformance.faults           the catalogue of faults
  python -m conformance.power            how many of these faults the suite detects
  python -m golden                       regenerate and check the golden vectors
"""


class Refusal(Exception):
    """A command that cannot be carried out; the message is one sentence that says what to do."""


def parser() -> argparse.ArgumentParser:
    """The commands, and what each of them takes."""
    whole, command = with_commands("python -m conformance", __doc__, EPILOGUE)

    listing = command("backends", _backends, "the backends, what they run on and what they claim")
    listing.add_argument("names", nargs="*", metavar="NAME", help="only these; package.module:attribute for your own")

    explaining = command("explain", _explain, "a claim, a fault or a known deviation, by its name or a part of it")
    explaining.add_argument("name", metavar="NAME", help="such as gates-read-as-figo, or reverse_equals_forward")

    again = command("rerun", _rerun, "judge a saved case again by the claim that it broke")
    again.add_argument("case", type=Path, metavar="CASE", help="a file that a failure has saved in .touchstone/")
    again.add_argument("--backend", metavar="NAME", help="another backend than the one that it was saved for")

    finding = command("diagnose", _diagnose, "which known fault explains a saved case")
    finding.add_argument("case", metavar="CASE", help="a file that a failure has saved in .touchstone/")
    finding.add_argument("--backend", metavar="NAME", help="another backend than the one that it was saved for")
    finding.add_argument("--seconds", metavar="S", help="how long it may take")
    return whole


def _backends(options: argparse.Namespace) -> int:
    missing = 0
    for spec in options.names or BACKENDS:
        try:
            backend = load(spec)
        except BackendError as error:
            print(f"{spec}: not here: {error}")
            missing += 1
            continue
        print(f"{spec}: {describe(backend) or 'no description'}")
        print("\n".join(f"  {line}" for line in claims_of(backend.capabilities)))
    return 2 if options.names and missing else 0


def claims_of(capabilities: Capabilities) -> Iterator[str]:
    """Capabilities in lines of words."""

    def listed(values: Any) -> str:
        return ", ".join(map(str, values))

    variants = [f"rnn with {activation}" for activation in capabilities.activations]
    variants += [f"gru with reset {'after' if after else 'before'} the product" for after in capabilities.reset_after]
    of_cells = [variant for variant in variants if variant[:3] in tuple(map(str, capabilities.cells))]
    most = "any number" if capabilities.max_layers is None else f"up to {capabilities.max_layers}"
    empty = {"hold": "hold their state", "zero": "have state zero", "reject": "are refused"}[capabilities.zero_length]
    yield f"cells: {listed(capabilities.cells)}" + (f" ({listed(of_cells)})" if of_cells else "")
    yield f"directions: {listed(capabilities.directions)}; layers: {most}"
    yield f"lengths: {'yes' if capabilities.lengths else 'no'}" + (
        f"; rows of length 0 {empty}" if capabilities.lengths else ""
    )
    yield f"bias: {listed('with' if bias else 'without' for bias in capabilities.bias)}" + (
        f"; input modes: {listed(capabilities.input_modes)}"
    )
    yield "calculates " + ", ".join(
        dtype if arithmetic == dtype else f"{dtype} as {arithmetic}"
        for dtype in capabilities.dtypes
        for arithmetic in [capabilities.arithmetic_of(dtype)]
    )


def _explain(options: argparse.Namespace) -> int:
    known = {**_claims(), **_faults(), **_deviations()}
    wanted = options.name.partition("[")[0].rpartition("::")[2].replace(" ", "_")
    exact = [name for name in (wanted, f"test_{wanted}") if name in known]
    found = exact or [name for name in known if wanted.lower() in name.lower()]
    if not found:
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
        guess = f"the nearest are {', '.join(near)}" if near else "python -m conformance.faults lists the faults"
        raise Refusal(f"no claim, fault or deviation is called {options.name!r}; {guess}")
    if len(found) > MOST_EXPLAINED:
        print(f"{len(found)} are called so:")
        print("\n".join(f"  {name}" for name in found))
    else:
        print("\n\n".join(known[name]() for name in found))
    return 0


MOST_EXPLAINED = 3
"""More than these are listed by name."""


def _claims() -> dict[str, Callable[[], str]]:
    """What is to be said of every claim, by the name of its test."""
    modules = {kind: importlib.import_module(f"conformance.test_{kind}") for kind in KINDS}
    return {
        name: lambda kind=kind, module=module, name=name: _about_claim(kind, module, name)  # type: ignore[misc]
        for kind, module in modules.items()
        for name, function in vars(module).items()
        if name.startswith("test_") and callable(function)
    }


def _about_claim(kind: str, module: Any, name: str) -> str:
    says = (getattr(module, name).__doc__ or "").strip()
    return _told(
        name,
        f"a claim ({kind})",
        says,
        (module.__doc__ or "").strip().splitlines()[0],
        f"judge by it alone: pytest conformance/test_{kind}.py::{name} --backend NAME",
    )


def _faults() -> dict[str, Callable[[], str]]:
    """What is to be said of every fault, by its name."""
    from conformance.faults import CATALOGUE  # takes a while, and only this command needs it

    return {name: lambda fault=fault: _about_fault(fault) for name, fault in CATALOGUE.items()}  # type: ignore[misc]


def _about_fault(fault: Fault) -> str:
    return _told(
        fault.name,
        f"a fault ({fault.group})",
        fault.says,
        f"shows with: {fault.shows.says}",
        f"look at: {fault.look_at} ({fault.where})",
        *(f"reported: {address}" for address in fault.origin),
        f"see it rejected: pytest conformance/ --backend conformance.faults:{fault.name}",
    )


def _deviations() -> dict[str, Callable[[], str]]:
    """What is to be said of every known deviation, by its name."""
    from conformance.deviations import DEVIATIONS

    return {each.name: lambda each=each: _about_deviation(each) for each in DEVIATIONS}  # type: ignore[misc]


def _about_deviation(deviation: Deviation) -> str:
    return _told(
        deviation.name,
        f"a known deviation of {', '.join(deviation.backends)} ({deviation.framework})",
        deviation.does,
        f"should: {deviation.should}",
        f"seen: {deviation.seen}",
        *(f"reported: {address}" for address in deviation.links),
    ) + ("\n  without this project:\n" + indent(deviation.reproducer.read_text("utf-8").strip(), "      "))


def _told(name: str, what: str, *paragraphs: str) -> str:
    return "\n".join([f"{name}: {what}", *map(_paragraph, paragraphs)])


def _paragraph(text: str) -> str:
    """Wrapped, unless it ends in a command, which is to be copied."""
    if ": pytest " in text:
        return f"  {text}"
    return fill(
        text, 110, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _rerun(options: argparse.Namespace) -> int:
    try:
        _, header = load_case(options.case)
    except (OSError, ValueError) as error:
        raise Refusal(f"{error}") from error
    if "test" not in header:
        run = f"pytest conformance/ --backend NAME --case {options.case}"
        raise Refusal(f"{options.case} does not say which claim it broke; judge it by all of them with {run}")
    # Of another backend the test has another id; of all its tests, the case concerns one.
    test = header["test"] if options.backend is None else header["test"].partition("[")[0]
    arguments = [test, "--backend", options.backend or header["backend"], "--case", str(options.case)]
    print(shlex.join(["pytest", *arguments]))
    return int(pytest.main(arguments))


def _diagnose(options: argparse.Namespace) -> int:
    from conformance import diagnose  # imports the catalogue of faults

    given = {"--backend": options.backend, "--seconds": options.seconds}
    return diagnose.main([options.case, *(part for name, value in given.items() if value for part in (name, value))])


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 where it cannot be carried out."""
    options = parser().parse_args(arguments)
    try:
        found: int = options.run(options)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    return found


if __name__ == "__main__":
    sys.exit(main())
