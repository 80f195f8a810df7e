"""``docs/findings.md``: every known deviation, with the program that shows it."""

from __future__ import annotations

import itertools
from pathlib import Path

from conformance.deviations import DEVIATIONS, Deviation
from reference.case_file import write_atomically

OPENING = """\
<!-- Made by `python -m conformance.deviations --write docs/findings.md`. -->

# Findings

What implementations of recurrent layers do otherwise than they should, found with this suite: {count} deviations of
{frameworks} frameworks, in the versions named. Each has a program in the framework's own words that shows it, and fails
once it is mended; `conformance/test_deviations.py` runs them along with the suite.

Those marked with a {mark} show in results that the suite judges. A failing case that such a deviation concerns is
counted as deviating, and not as failing, if its result is what the deviation makes of the right one, where that can be
said, and for as long as the pinned case of the deviation fails. The others lie where no case of the suite
goes, or in a dialect that the backend declares.
"""

MARK = "\N{BLACK CIRCLE}"


def document() -> str:
    """The whole text."""
    frameworks = [
        (framework, list(found)) for framework, found in itertools.groupby(DEVIATIONS, lambda each: each.framework)
    ]
    parts = [OPENING.format(count=len(DEVIATIONS), frameworks=len(frameworks), mark=MARK)]
    parts += itertools.starmap(_contents, frameworks)
    for framework, found in frameworks:
        parts += [f"## {framework}\n", *map(_section, found)]
    return "\n".join(parts)


def _contents(framework: str, found: list[Deviation]) -> str:
    """The list of the deviations of one framework."""
    lines = [f"**{framework}**", ""]
    for each in found:
        mark = f" {MARK}" if each.concerns else ""
        lines.append(f"- [{each.name}](#{each.name}){mark}: {each.does}")
    return "\n".join(lines) + "\n"


def _section(deviation: Deviation) -> str:
    links = "".join(f"- See: <{link}>\n" for link in deviation.links)
    return f"""\
### {deviation.name}

{deviation.does}

- Expected: {deviation.should}
- Seen: {deviation.seen}
{links}
<details><summary>A program that shows it</summary>

```python
{deviation.reproducer.read_text(encoding="utf-8").rstrip()}
```

</details>
"""


def write(path: Path) -> None:
    """Write the document."""
    write_atomically(path, document().encode())
