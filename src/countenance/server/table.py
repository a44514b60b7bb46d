"""Prints docs/routes.md: every route, and who may use it. The access test goes by what is checked in there.

    python -m countenance.server.table > docs/routes.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from countenance.access.roles import Role
from countenance.server import app
from countenance.server.routing import Route

ANYONE = "anyone"
HEAD = """\
# Routes, and who may use them

Made by `python -m countenance.server.table`; a test compares. Another asks for every route in the name of every role,
and without one, and goes by the lines below: whoever is not named is refused before anything is looked at.
The roles are told in `src/countenance/access/roles.py`; `anyone` needs no sign-in.
Whoever is bound to one gate reaches that gate alone, and a person reaches themselves alone.
"""


def write(tables: Iterable[tuple[str, Sequence[Route]]]) -> str:
    """Return the page."""
    return "\n".join([HEAD, *(_section(name, routes) for name, routes in tables)])


def _section(name: str, routes: Sequence[Route]) -> str:
    rows = [f"| {route.method} | `{route.path}` | {roles_of(route)} | {route.summary} |" for route in routes]
    return "\n".join([f"## {name}", "", "| method | path | open to | what it does |", "|---|---|---|---|", *rows, ""])


def roles_of(route: Route) -> str:
    """Return who may use a route, in the order of the roles."""
    return ", ".join(role.value for role in Role if role in route.roles) or ANYONE


def main() -> None:
    """Print the page."""
    sys.stdout.write(write(app.tables()))


if __name__ == "__main__":
    main()
