"""countenance withdraw: the face is gone, the pass goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, read_text, reserved
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.quantities import PersonId, PurposeId


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("withdraw")(withdraw)


def withdraw(
    person: Annotated[str, typer.Option(help="The person's number here.")] = "",
    purpose: Annotated[str, typer.Option(help="Which consent; with --person.")] = "entry.verify",
    pass_file: Annotated[Path | None, typer.Option("--pass", help="The person's pass, instead.")] = None,
    receipt_out: Annotated[Path | None, typer.Option("--receipt-out", help="Where to write the receipt.")] = None,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Withdraw a consent: matching stops, the key is destroyed, the pass goes on as a plain one."""
    from countenance.clock import utc_text
    from countenance.flows import withdraw as story

    with opened(venue) as here, reserved(receipt_out) as write_receipt:
        done = story.withdraw(here, *_whose(here, person, purpose, pass_file))
        write_receipt(done.receipt)
    until = utc_text(done.copies_open_until)
    print_out(
        as_json, {"outcome": done.final, "person": done.person, "purpose": done.purpose,
                  "copies_open_until": until},
        "Withdrawn. This face is compared by nobody any more, and what opened it is destroyed. The pass goes on.",
        f"Backups made before lose their key with the next rotation, at the latest {until}.")


def _whose(venue: Venue, person: str, purpose: str, pass_file: Path | None) -> tuple[PersonId, PurposeId]:
    from countenance.flows import passes
    from countenance.quantities import PersonId, PurposeId

    if pass_file is None:
        if not person:
            raise BadInput("person-missing", "Whose consent? Give --person or --pass.")
        return PersonId(person), PurposeId(purpose)
    content = passes.read_even_expired(venue, read_text(pass_file))
    if not content.person:
        raise BadInput("pass-plain", "This pass is a plain one: there is no face to withdraw.")
    return content.person, content.purpose
