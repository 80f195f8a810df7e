"""Whether something is a report: what ``schema.json`` says, as far as the keywords go that it uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

Rule = dict[str, Any]

KEYWORDS = {
    *("$schema", "$defs", "$ref", "title", "description", "type", "enum", "pattern", "minimum"),
    *("required", "properties", "additionalProperties", "items", "minItems", "maxItems"),
}
"""Of JSON Schema: those that :func:`violations` knows."""

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@cache
def schema() -> Rule:
    """The schema of a report."""
    found: Rule = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))
    return found


def violations(value: Any, rule: Rule | None = None, root: Rule | None = None, where: str = "report") -> Iterator[str]:
    """Where a value breaks a JSON schema, each in half a sentence; ``ValueError`` for a keyword that is not known."""
    root = schema() if root is None else root
    rule = root if rule is None else rule
    if unknown := rule.keys() - KEYWORDS:
        raise ValueError(f"the schema uses {', '.join(sorted(unknown))}, but should use {', '.join(sorted(KEYWORDS))}")
    if "$ref" in rule:
        rule = root["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    allowed = [rule["type"]] if isinstance(rule.get("type"), str) else rule.get("type", list(KINDS))
    if type(value) not in {kind for name in allowed for kind in KINDS[name]}:
        yield f"{where} is {value!r:.60}, but should be {' or '.join(allowed)}"
    elif "enum" in rule and value not in rule["enum"]:
        yield f"{where} is {value!r:.60}, but should be one of {rule['enum']}"
    elif isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        yield f"{where} is {value!r:.60}, but should match {rule['pattern']}"
    elif isinstance(value, (int, float)) and value < rule.get("minimum", value):
        yield f"{where} is {value!r}, but should be at least {rule['minimum']}"
    elif isinstance(value, (list, tuple)):
        yield from _in_array(value, rule, root, where)
    elif isinstance(value, dict):
        yield from _in_object(value, rule, root, where)


def _in_array(value: Any, rule: Rule, root: Rule, where: str) -> Iterator[str]:
    if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
        yield f"{where} has {len(value)} items"
    for k, item in enumerate(value):
        yield from violations(item, rule.get("items", {}), root, f"{where}[{k}]")


def _in_object(value: dict[str, Any], rule: Rule, root: Rule, where: str) -> Iterator[str]:
    yield from (f"{where}.{name} is missing" for name in rule.get("required", ()) if name not in value)
    for name, item in value.items():
        inner = rule.get("properties", {}).get(name, rule.get("additionalProperties", {}))
        if inner is False:
            yield f"{where}.{name} is superfluous"
        else:
            yield from violations(item, inner, root, f"{where}.{name}")
