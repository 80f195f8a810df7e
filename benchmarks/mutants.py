"""How many faults that nobody chose the suite detects: small changes of the reference's own code, one at a time.

    python -m benchmarks.mutants

The catalogue of faults is what somebody thought of. A mutant is what nobody did: in one place of a function of
``reference/cells.py`` or ``reference/layer.py`` an operator, a number, a comparison, a name, a slice, a call or the
order of a tuple is another, or a statement is missing. Each is judged as a backend by the claims of the suite in its
quick profile until one rejects it. Mutants that raise whatever they are given are left out: it takes no suite to see
them. The survivors are printed, to be looked at one by one, since many compute the same by another way.
"""

from __future__ import annotations

import argparse
import ast
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

from conformance.faults import CATALOGUE, Edits, Fault
from conformance.faults.fault import Run
from conformance.power import CONTROL, KINDS, generated, measure, suite_of
from reference import Case, Cell, Result, cells, layer

OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult,),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.Eq: (ast.NotEq,),
}
"""What an operator may be taken for."""

FUNCTIONS = {"sigmoid": "np.tanh", "np.tanh": "sigmoid", "np.maximum": "np.minimum"}
"""What a function may be taken for."""

Node = ast.expr | ast.stmt
"""What has a place in the code."""


@dataclass(frozen=True)
class Mutant:
    """The reference with one place changed."""

    function: str
    change: str
    """What becomes of what and where, in the words of the code."""
    run: Run

    @property
    def fault(self) -> Fault:
        """The mutant as a fault of the catalogue, of the cells that its function serves."""
        served = tuple(cell for cell in Cell if self.function.startswith(cell)) or tuple(Cell)
        return replace(CONTROL, name=self.change, cells=served, edits=Edits(around=(lambda _: self.run,)))


def mutants() -> Iterator[Mutant]:
    """Every mutant of the two modules, no two of them alike, in the order of the code."""
    for module, build in ((cells, _with_cells), (layer, lambda names: names["run"])):
        path = Path(str(module.__file__))
        tree = ast.parse(path.read_text())
        seen = {ast.unparse(tree)}
        for function in (statement for statement in tree.body if isinstance(statement, ast.FunctionDef)):
            for place, change in _mutations(function):
                code = ast.unparse(tree)
                if code not in seen:
                    seen.add(code)
                    run = build(_executed(module, code))
                    yield Mutant(function.name, f"{path.name}:{place}: {change}", _quietly(run))


def _executed(module: ModuleType, code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(code, f"mutant of {module.__name__}", "exec"), names)  # of our own code, changed in one place
    return names


def _with_cells(names: dict[str, Any]) -> Run:
    """The layer with other steps, and another projection of its inputs."""

    def run(case: Case) -> Result:
        with mock.patch.object(layer, "gates", names["gates"]):
            return layer.run(case, names["step_of"])

    return run


def _quietly(run: Run) -> Run:
    """Wrong implementations compare what cannot be compared."""

    def quiet(case: Case) -> Result:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run(case)

    return quiet


def _mutations(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Line and column, and what becomes of what; while it is being looked at, the tree is changed so."""
    stored = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    names = sorted({node.id for node in stored})
    names += [argument.arg for argument in function.args.args if argument.arg not in names]
    for node, put in list(_places(function)):
        for other in _others(node, names):
            put(other)
            yield f"{node.lineno}:{node.col_offset}", f"`{_line(node)}` becomes `{_line(other)}`"
            put(node)


def _line(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _places(parent: ast.AST) -> Iterator[tuple[Node, Callable[[ast.AST], None]]]:
    """Every node below ``parent`` that computes something, and what puts another one in its place."""
    for name, value in ast.iter_fields(parent):
        if name in ("args", "annotation", "returns", "ctx", "op", "ops") and not isinstance(parent, ast.Call):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_docstring(child):
                continue
            if isinstance(child, Node):
                yield child, _setter(parent, name, index if isinstance(value, list) else None)
            yield from _places(child)


def _setter(parent: ast.AST, name: str, index: int | None) -> Callable[[ast.AST], None]:
    def put(node: ast.AST) -> None:
        if index is None:
            setattr(parent, name, node)
        else:
            getattr(parent, name)[index] = node

    return put


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _operators_for(op: ast.AST) -> list[Any]:
    return [other() for other in OPERATORS.get(type(op), ())]


def _others(node: ast.AST, names: list[str]) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``."""
    match node:
        case ast.BinOp(left, op, right):
            yield from (ast.BinOp(left, other, right) for other in _operators_for(op))
            yield from (left, right)
        case ast.Compare(left, [op], right):
            yield from (ast.Compare(left, [other], right) for other in _operators_for(op))
        case ast.UnaryOp(_, operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.Constant(int(number)) if not isinstance(number, bool):
            yield from (ast.Constant(number + 1), ast.Constant(number - 1))
        case ast.Name(name, ast.Load()) if name in names:
            yield from (ast.Name(other, ast.Load()) for other in names if other != name)
        case ast.Call(function, arguments, keywords):
            if (other := FUNCTIONS.get(ast.unparse(function))) is not None:
                yield ast.Call(ast.parse(other, mode="eval").body, arguments, keywords)
            yield from arguments[:1]
            if isinstance(function, ast.Attribute):
                yield function.value
            yield from (
                ast.Call(function, arguments, [k for k in keywords if k is not left_out]) for left_out in keywords
            )
        case ast.Attribute(value, "T"):
            yield value
        case ast.Subscript(value, _, ast.Load()):
            yield value
        case ast.Slice(lower, upper, step) if lower or upper:
            yield from (ast.Slice(None, upper, step), ast.Slice(lower, None, step))
        case ast.Tuple(elements, context):
            for k in range(len(elements) - 1):
                yield ast.Tuple([*elements[:k], elements[k + 1], elements[k], *elements[k + 2 :]], context)
        case ast.AugAssign(target, op, value):
            yield from (ast.AugAssign(target, other, value) for other in _operators_for(op))
            yield ast.Pass()
        case ast.If(_, body, _):
            yield from (ast.If(ast.Constant(True), body, []), ast.Pass())
        case ast.Assign() | ast.Expr():
            yield ast.Pass()


@cache
def probes(cell: Cell) -> list[Case]:
    """What the claims of agreement draw first for a cell."""
    return [case for test in suite_of("0", "agreement") if test.cell is cell for case in generated(test)[:40]]


def ever_returns(fault: Fault) -> bool:
    """Whether a mutant has a result for any of the :func:`probes`."""
    return any(_returns(fault, case) for cell in fault.cells for case in probes(cell))


def _returns(fault: Fault, case: Case) -> bool:
    try:
        fault.run(case.map(np.copy))
    except Exception:  # whatever it is: others will see it too
        return False
    return True


def judged(faults: list[str], seed: str) -> tuple[dict[str, int], list[str]]:
    """How many faults each kind of claims rejects first, and which of them none does."""
    first = {}
    for kind in KINDS:
        rows = measure(faults, (seed,), kinds=(kind,))
        survivors = [row.fault for row in rows if not row.caught]
        first[kind] = len(faults) - len(survivors)
        faults = survivors
        print(f"{kind}: {first[kind]} rejected, {len(faults)} left", flush=True)
    return first, faults


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=str(__doc__).splitlines()[0])
    parser.add_argument("--seed", default="0", help="of the generated cases; 0 unless given")
    seed = parser.parse_args().seed
    every = {mutant.change: mutant.fault for mutant in mutants()}
    with mock.patch.dict(CATALOGUE, every):
        running = [name for name, fault in every.items() if ever_returns(fault)]
        print(f"{len(every)} mutants, of which {len(running)} have results")
        first, survivors = judged(running, seed)
    print(f"{sum(first.values())} of {len(running)} are rejected; these are not:", *survivors, sep="\n")


if __name__ == "__main__":
    main()
