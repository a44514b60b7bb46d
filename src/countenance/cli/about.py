"""countenance about: what is held about one person, for that person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countenance.cli.common import (
    HERE,
    JsonOption,
    RefOption,
    VenueOption,
    YesOption,
    confirmed,
    opened,
    person_of,
    print_out,
    reserved,
)

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.quantities import PersonId


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("about")(about)


def about(
    person: Annotated[str, typer.Option(help="The person's number here.")] = "",
    reference: RefOption = "",
    by: Annotated[str, typer.Option(help="Who looks; the person sees it in their record.")] = "desk",
    why: Annotated[str, typer.Option(help="Why; the person sees it in their record.")] = "the person asked",
    erase: Annotated[bool, typer.Option("--erase", help="Erase everything held about this person.")] = False,
    receipts_out: Annotated[Path | None, typer.Option(
        "--receipts-out", help="With --erase: an existing folder; erasures.json is written there.")] = None,
    yes: YesOption = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show, or erase, everything held about one person."""
    from countenance.flows import about as story

    with opened(venue) as here:
        whose = person_of(here, person, reference)
        if erase:
            _erase(here, whose, receipts_out, yes, as_json)
            return
        held = story.about(here, whose, by, why)
    lines = [f"Held about {held['person']} (booking {held['reference']}):"]
    lines += [f"  consent  {c['purpose']}: {c['state']}"
              + (f", until {c['expires_at']}" if c["state"] == "given" else "") + f" ({c['act']})"
              for c in held["consents"]]
    lines += [f"  face     {f['purpose']}: {f['state']}; {f['measurement']}; its key {f['key']}" for f in held["faces"]]
    lines += [f"  event    {e['number']:>3} {e['at']} {e['type']}{_details(e)}" for e in held["events"]]
    print_out(as_json, held, *lines)


_TOLD = ("purpose", "outcome", "gate", "by", "to", "what", "why", "text")
"""What of an event a person reads; the rest are numbers, and in --json."""


def _details(event: dict[str, Any]) -> str:
    said = [f"{name}: {event[name]}" for name in _TOLD if event.get(name)]
    return f" ({'; '.join(said)})" if said else ""


def _erase(venue: Venue, person: PersonId, receipts_out: Path | None, yes: bool, as_json: bool) -> None:
    from countenance.flows import withdraw

    confirmed("Erase everything? What is left as proof are your receipts only.", "Nothing was erased.", yes)
    with reserved(receipts_out and receipts_out / "erasures.json") as write_receipts:
        done = withdraw.erase(venue, person)
        receipts = [json.loads(text) for text in (*(one.receipt for one in done.withdrawn), done.receipt)]
        write_receipts(json.dumps(receipts, ensure_ascii=False, indent=1) + "\n")
    print_out(as_json, {"outcome": "erased", "person": person, "withdrawn": [one.purpose for one in done.withdrawn]},
              "Everything held about this person is erased; the receipts are the only proof left.")
