"""Values with a source: what five public documents print, and where they are wrong.

>>> relu = next(vector for vector in vectors() if vector.id == "relu-rnn")
>>> relu.output("h_n").numbers().value[0]
array([1717., 1717., 1717., 1717., 1717.])
"""

from golden.load import (
    Document,
    Enumeration,
    Erratum,
    LooksWrong,
    documents,
    enumerations,
    errata,
    looks_wrong,
    printed_count,
    unreadable,
    vectors,
)
from golden.printed import Numbers
from golden.relations import RELATIONS, Relation, Run, Violation, judge, run_of
from golden.vector import Agreement, Output, Vector, beyond_print, computed, in_reference_layout, printed_run

__all__ = [
    "RELATIONS",
    "Agreement",
    "Document",
    "Enumeration",
    "Erratum",
    "LooksWrong",
    "Numbers",
    "Output",
    "Relation",
    "Run",
    "Vector",
    "Violation",
    "beyond_print",
    "computed",
    "documents",
    "enumerations",
    "errata",
    "in_reference_layout",
    "judge",
    "looks_wrong",
    "printed_count",
    "printed_run",
    "run_of",
    "unreadable",
    "vectors",
]
