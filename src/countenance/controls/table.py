"""Writes docs/controls.md: `python -m countenance.controls.table > docs/controls.md`. A test compares."""

from __future__ import annotations

import sys

from countenance.controls import regime as regimes
from countenance.controls.catalogue import CONTROLS, Control

_HEAD = """# Rules, controls and tests

Written by `python -m countenance.controls.table > docs/controls.md`; a test compares it with the code.

**Not legal advice.** These are an engineer's readings of some rules, each with how sure we are of its text: *read*,
*second-hand* (a digest that quotes it was read), *unconfirmed* (from memory: look it up). A control that holds shows
what this program does, not that a court would be content.

`countenance controls` looks at every control that the venue's regime asks for, in its live store: **holds**, **fails**,
or **needs a person**, each with what shows it; it ends with 1 where one fails. `--list` names rule, code and test.
`--sabotage K07` breaks one in a scratch copy and shows that its check fails. A regime is chosen at `init`; without one
no face is compared, and `us-portland` founds no venue at all. In `eu` and `us-il` no face lies under the venue's key.

## Controls
"""


def text() -> str:
    """Return the page."""
    rows = ["| id | asserts | kept by | its test |", "|---|---|---|---|"]
    rows += [_row(CONTROLS[name]) for name in sorted(CONTROLS)]
    parts = [_HEAD + "\n".join(rows)]
    for name in regimes.names():
        found = regimes.load(name)
        lines = ["| rule | says | control | how sure | evidence |", "|---|---|---|---|---|"]
        lines += [f"| {one.cite} | {one.says} | {one.control} | {one.sure} | {one.evidence} |" for one in found.rules]
        banned = " Faces are banned." if found.face == "banned" else ""
        parts.append(f"## Regime `{name}`\n{banned}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _row(one: Control) -> str:
    return f"| {one.id} | {one.asserts} | `{one.code}` | `{one.test}` |"


if __name__ == "__main__":
    sys.stdout.write(text())
