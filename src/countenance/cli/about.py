"""countenance about: what is held about one person, for that person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, YesOption, opened, print_out, write_new
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.quantities import PersonId


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("about")(about)


def about(
    person: Annotated[str, typer.Option(help="The person's number here.")],
    erase: Annotated[bool, typer.Option("--erase", help="Erase everything held about this person.")] = False,
    receipts_out: Annotated[Path | None, typer.Option(
        "--receipts-out", help="With --erase: an existing folder for the receipts.")] = None,
    yes: YesOption = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show, or erase, everything held about one person."""
    from countenance.flows import about as story
    from countenance.quantities import PersonId

    with opened(venue) as here:
        if erase:
            _erase(here, PersonId(person), receipts_out, yes, as_json)
            return
        held = story.about(here, PersonId(person))
    lines = [f"Held about {held['person']} (booking {held['reference']}):"]
    lines += [f"  consent  {c['purpose']}: {c['state']}, until {c['expires_at']} ({c['act']})"
              for c in held["consents"]]
    lines += [f"  face     {f['purpose']}: {f['state']}, {f['custody']}; key {f['key']}" for f in held["faces"]]
    lines += [f"  event    {e['number']:>3} {e['at']} {e['type']}" for e in held["events"]]
    print_out(as_json, held, *lines)


def _erase(venue: Venue, person: PersonId, receipts_out: Path | None, yes: bool, as_json: bool) -> None:
    from countenance.flows import withdraw

    if not yes and not typer.confirm("Erase everything? What is left as proof are your receipts only."):
        raise BadInput("not-confirmed", "Nothing was erased.")
    done = withdraw.erase(venue, person)
    for number, one in enumerate(done):
        if receipts_out is not None:
            write_new(receipts_out / f"erasure-{number + 1}.json", one.receipt)
    print_out(as_json, {"outcome": "erased", "person": person, "withdrawn": [one.purpose for one in done]},
              "Everything held about this person is erased; the receipts are the only proof left.")
