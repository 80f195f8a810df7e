"""A report written by hand, for the tests of what is made of reports."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from backends import Capabilities
from conformance.report.contents import BackendContents, Claim, Counts, Outcome, Report, new_report

WRONG = Counts(cases=4, passed=1, failed=2, uninformative=1, worst=3.1e4, bits=13.9)
RIGHT = Counts(cases=4, passed=4, worst=2.5, bits=24.0)
MESSAGE = """\
some does not hold to the claim: Every gate is <right>.
case: gru-forward-I2-H2-L1 float32 B3 T1 lengths=none h_0=none
y[0, 0, 1] = 1.00001, but should be 1 +- 1e-06
diagnosis: agrees with fault `tanh-by-table` to 24.0 bits on 4 of 4 failing cases. The tanh is looked up. Look at it.
rerun: pytest 'conformance/test_agreement.py::test_every_gate[some-gru-float32]' --backend some --case x.safetensors"""


def made_claim(test: str, cell: str, outcome: Outcome = "passed", counts: Counts = RIGHT, **fields: Any) -> Claim:
    kind, _, name = test.partition("/")
    by_feature = {"cell": {cell: counts}, "direction": {"forward": counts}, "layers": {"1": counts}}
    claim: Claim = {
        "id": f"conformance/test_{kind}.py::test_{name}[some-{cell}-float32]",
        "kind": kind,
        "name": name.replace("_", " "),
        "says": "Something holds.",
        "cell": cell,
        "dtypes": ["float32"],
        "outcome": outcome,
        "reason": None,
        "seconds": 0.1,
        "elements": 10,
        "total": Counts(**counts),
        "declined": {},
        "deviating": {},
        "features": {"float32": by_feature},
        "steps": {"float32": [(0, counts.get("worst", 0.0)), (1, 2.0), (16, 1e30)]},
        "digests": {},
        "failure": None,
    }
    claim.update(fields)  # type: ignore[typeddict-item]
    return claim


def made_failure() -> dict[str, Any]:
    return {
        "message": MESSAGE,
        "case": MESSAGE.splitlines()[1].removeprefix("case: "),
        "first_steps": {"forward": 0},
        "diagnosis": MESSAGE.splitlines()[3].removeprefix("diagnosis: "),
        "rerun": MESSAGE.splitlines()[4].removeprefix("rerun: "),
    }


def made_backend(name: str = "some", **fields: Any) -> BackendContents:
    backend: BackendContents = {
        "name": name,
        "spec": name,
        "description": f"{name} 1.0",
        "device": "cpu",
        "capabilities": json.loads(json.dumps({**asdict(Capabilities(dtypes=("float32",), arithmetic={}))})),
        "arithmetic": {"float32": "float32"},
        "unclaimed": [("input mode", "skip")],
        "claims": [
            made_claim("agreement/every_output_agrees", "lstm"),
            made_claim("vectors/the_vectors_come_out", "lstm", digests={"lstm-one": "0" * 16, "gru-one": "1" * 16}),
            made_claim("laws/two_calls_give_equal_bits", "lstm", counts=Counts(cases=3, passed=3, worst=0.0)),
            made_claim("laws/a_law_of_lengths", "lstm", "declined", Counts(), reason=f"{name} does not claim lengths"),
        ],
        "deviations": [],
    }
    backend.update(fields)  # type: ignore[typeddict-item]
    return backend


def made_report(*backends: BackendContents) -> Report:
    """Of one complete run; of a backend that holds to everything unless others are given."""
    return new_report(
        [
            {
                "incomplete": False,
                "started": "2026-01-02T03:04:05Z",
                "seconds": 1.0,
                "profile": "quick",
                "seed": "None",
                "python": "3.11.7",
                "numpy": "2.0.0",
                "hypothesis": "6.100.0",
                "touchstone": "0" * 12,
                "platform": "Linux",
                "selection": {"paths": ["conformance"], "keyword": None, "marker": None, "case": None},
                "shard": None,
                "unavailable": [{"spec": "absent", "reason": "backend 'absent' needs the module 'absent'"}],
                "backends": list(backends) or [made_backend()],
            }
        ]
    )


def wrong_backend() -> BackendContents:
    """One whose GRU is wrong, with two known deviations."""
    return made_backend(
        "wrong",
        claims=[
            made_claim("agreement/every_output_agrees", "lstm"),
            made_claim("agreement/every_gate", "gru", "failed", WRONG, failure=made_failure()),
            made_claim("laws/two_calls_give_equal_bits", "gru", "not run", Counts(), features={}, steps={}),
        ],
        deviations=[{"name": "zero-for-empty", "summary": "Empty rows have state zero.", "still_deviates": True}],
    )
