"""Several reports in one: those of several environments side by side, and the shards of one run put together."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.report.contents import BackendContents, Claim, Report, Run, new_report


class MergeError(Exception):
    """Reports that do not go together; the message is one sentence."""


def merge(reports: Iterable[Report]) -> Report:
    """One report with every run of several.

    The shards of one run, which agree in everything but what they judged and when, become one run; the report is
    incomplete until all of them are there. The same run twice is there once.
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    for report in reports:
        for run in report["runs"]:
            runs = groups.setdefault(_identity(run), [])
            if run not in runs:
                runs.append(run)
    return new_report([_joined(runs) for runs in groups.values()])


def _identity(run: Run) -> tuple[object, ...]:
    """What the shards of a run have in common; of a run that is no shard, all that it is."""
    selection = run["selection"]
    asked = (tuple(selection["paths"]), selection["keyword"], selection["marker"], selection["case"])
    environment = (run["python"], run["numpy"], run["hypothesis"], run["touchstone"], run["platform"])
    backends = tuple((backend["name"], backend["spec"], backend["description"]) for backend in run["backends"])
    parts = None if run["shard"] is None else run["shard"].partition("/")[2]
    return (run["profile"], run["seed"], environment, asked, backends, parts, None if parts else run["started"])


def _joined(runs: list[Run]) -> Run:
    """The shards of a run as one run; a run that is none as it is."""
    first = runs[0]
    if len(runs) == 1:
        return first
    parts = [(shard.partition("/")[0].split(","), shard.partition("/")[2]) for shard in _shards(runs)]
    present = sorted(int(part) for numbers, _ in parts for part in numbers)
    count = int(parts[0][1])
    if len(set(present)) < len(present):
        twice = next(part for part in present if present.count(part) > 1)
        raise MergeError(f"shard {twice}/{count} is there twice, but should be there once")
    return {
        **first,
        "incomplete": any(run["incomplete"] for run in runs),
        "started": min(run["started"] for run in runs),
        "seconds": round(sum(run["seconds"] for run in runs), 1),
        "shard": None if present == list(range(1, count + 1)) else f"{','.join(map(str, present))}/{count}",
        "backends": [_joined_backends(list(same)) for same in zip(*(run["backends"] for run in runs))],
    }


def _shards(runs: list[Run]) -> list[str]:
    return [run["shard"] for run in runs if run["shard"] is not None]


def _joined_backends(shards: list[BackendContents]) -> BackendContents:
    """One backend with the claims of all shards, in the order of their ids."""
    claims: dict[str, Claim] = {claim["id"]: claim for shard in shards for claim in shard["claims"]}
    deviations = {deviation["name"]: deviation for shard in shards for deviation in shard["deviations"]}
    return {
        **shards[0],
        "claims": [claims[id] for id in sorted(claims)],
        "deviations": [deviations[name] for name in sorted(deviations)],
    }
