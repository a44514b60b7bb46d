"""countenance withdraw: the face is gone, the pass goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, read_pass, reserved
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.quantities import PersonId, PurposeId


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("withdraw")(withdraw)


def withdraw(
    person: Annotated[str, typer.Option(help="The person's number here.")] = "",
    purpose: Annotated[str, typer.Option(help="Which consent; with --person or --ref.")] = "entry.verify",
    pass_file: Annotated[Path | None, typer.Option("--pass", help="The person's pass, instead.")] = None,
    reference: Annotated[str, typer.Option("--ref", help="Their booking number, instead: no pass is needed.")] = "",
    receipt_out: Annotated[Path | None, typer.Option("--receipt-out", help="Where to write the receipt.")] = None,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Withdraw a consent: matching stops, the key is destroyed, the pass goes on as a plain one."""
    from countenance.clock import utc_text
    from countenance.flows import withdraw as story

    with opened(venue) as here, reserved(receipt_out) as write_receipt:
        done = story.withdraw(here, *_whose(here, person, purpose, pass_file, reference))
        write_receipt(done.receipt)
    until = utc_text(done.copies_open_until)
    gates = "" if done.final_by is None else utc_text(done.final_by)
    print_out(
        as_json, {"outcome": done.final, "final_by": gates, "person": done.person, "purpose": done.purpose,
                  "copies_open_until": until},
        "Withdrawn. This face is compared by nobody any more, and what opened it is destroyed. The pass goes on.",
        *([f"A gate that works from a copy of the list may learn of it as late as {gates}."] if gates else []),
        f"Backups made before lose their key with the next rotation, at the latest {until}.")


def _whose(venue: Venue, person: str, purpose: str, pass_file: Path | None,
           reference: str) -> tuple[PersonId, PurposeId]:
    from countenance.flows import passes, people
    from countenance.quantities import PersonId, PurposeId

    if pass_file is None:
        if reference:
            return people.by_reference(venue, reference), PurposeId(purpose)
        if not person:
            raise BadInput("person-missing", "Whose consent? Give --ref, --person or --pass.")
        return PersonId(person), PurposeId(purpose)
    content = passes.read_even_expired(venue, read_pass(pass_file))
    with venue.store.read() as unit:
        return passes.whose(unit, content), content.purpose
