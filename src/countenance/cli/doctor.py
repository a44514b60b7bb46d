"""countenance doctor: is this venue in order?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out
from countenance.errors import CountenanceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countenance.flows.venue import Venue


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Bring the databases to the newest schema.")] = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Check a venue, part by part.

    Opening it checks stores and keys and finishes what was interrupted; then clock, tickets, signing keys, model,
    thresholds, retention and the gallery are looked at.
    """
    if upgrade:
        _upgrade(venue)
    findings = []
    with opened(venue) as here:
        here.store.empty_wal()
        for name, look in _looks(here).items():
            findings.append({"check": name, "finding": _found(look)})
    bad = [one for one in findings if one["finding"] != "in order"]
    print_out(as_json, {"ok": not bad, "findings": findings},
              *(f"{one['check']:<10} {one['finding']}" for one in findings))
    if bad:
        raise typer.Exit(1)


def _looks(venue: Venue) -> dict[str, Callable[[], object]]:
    from countenance.quantities import PurposeId

    return {
        "clock": venue.store.require_forward,
        "tickets": venue.entitlement.require_whole,
        "signing": lambda: [venue.signer(use) for use in ("pass", "receipt")],
        "model": lambda: venue.pack.check(),
        "gate": lambda: venue.threshold("verify"),
        "gallery": lambda: venue.galleries.exact(PurposeId("entry.search")),
    }


def _found(look: Callable[[], object]) -> str:
    try:
        look()
    except CountenanceError as error:
        return f"{error.sentence} [{error.code}]"
    return "in order"


def _upgrade(folder: Path) -> None:
    from countenance.flows.found import DATA, KEYS
    from countenance.storage import engine as engines
    from countenance.storage import migrate

    for file, which in ((DATA, "data"), (KEYS, "keys")):
        engine = engines.open_engine(folder / file)
        migrate.upgrade(engine, which)
        engine.dispose()
