"""countenance init: set up a venue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import JsonOption, print_out


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    scenario: Annotated[str, typer.Option(help="What kind of place: annual-pass, hotel, mall, airport, residential, "
                                          "office or conference.")],
    regime: Annotated[str, typer.Option(help="Whose rules: cn, eu or us-il.")],
    name: Annotated[str, typer.Option(help="The venue's name, as its notices say it.")] = "This venue",
    contact: Annotated[str, typer.Option(help="Where people reach you.")] = "the service desk",
    root: Annotated[str, typer.Option(help="The root key: file:PATH, env:NAME or pkcs11:URI.")] = "file:root.key",
    try_out: Annotated[bool, typer.Option(
        "--demo-threshold", help="Open gates with the demo's threshold, which is for trying out only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Set up a venue: keys, stores, purposes and notices."""
    from countenance.clock import SystemClock
    from countenance.flows.found import CLOSED, DEMO_ONLY, found

    threshold = DEMO_ONLY if try_out else CLOSED
    venue = found(folder, SystemClock(), name=name, contact=contact, scenario=scenario, regime=regime,
                  root=root, threshold=threshold)
    print_out(
        as_json, {"venue": venue, "folder": str(folder), "threshold": threshold},
        f"{name} is set up in {folder}.",
        "Gates open to faces with the demo's threshold: for trying out only." if try_out else
        "Gates stay closed to faces until they are calibrated; gate.threshold in venue.toml says so.",
        f"Next: put tickets into {folder / 'tickets.csv'}, then countenance enrol --venue {folder} --help")
