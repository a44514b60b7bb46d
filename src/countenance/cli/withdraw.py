"""countenance withdraw: the face is gone, the pass goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, person_of, print_out, read_pass, reserved
from countenance.quantities import Instant

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.quantities import PersonId, PurposeId


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("withdraw")(withdraw)


def withdraw(
    person: Annotated[str, typer.Option(help="The person's number here.")] = "",
    purpose: Annotated[str, typer.Option(help="Which consent; otherwise all of theirs, or that of the pass.")] = "",
    pass_file: Annotated[Path | None, typer.Option("--pass", help="The person's pass, instead.")] = None,
    reference: Annotated[str, typer.Option("--ref", help="Their booking number, instead: no pass is needed.")] = "",
    receipt_out: Annotated[Path | None, typer.Option("--receipt-out", help="Where to write the receipt.")] = None,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Withdraw consents: matching stops, the key is destroyed, the pass goes on as a plain one."""
    from countenance.clock import utc_text
    from countenance.flows import withdraw as story

    with opened(venue) as here, reserved(receipt_out) as write_receipt:
        whose, purposes = _whose(here, person, purpose, pass_file, reference)
        done = story.told(here, [story.end(here, whose, one) for one in purposes])  # every face before any receipt
        write_receipt(_receipts([one.receipt for one in done]))
        left = _standing(here, whose)
    until = utc_text(max(one.copies_open_until for one in done))
    latest = max(one.final_by or 0 for one in done)
    gates = utc_text(Instant(latest)) if latest else ""
    ended = [one.purpose for one in done]
    print_out(
        as_json, {"outcome": "final_by" if gates else "final", "final_by": gates, "person": whose, "purposes": ended,
                  "standing": left, "copies_open_until": until},
        f"Withdrawn: {', '.join(ended)}. For that this face is compared by nobody any more, and what opened it is "
        "destroyed. The pass goes on.",
        *([f"Still agreed to: {', '.join(left)} (withdraw --purpose)."] if left else []),
        *([f"A gate that works from a copy of the list may learn of it as late as {gates}."] if gates else []),
        f"Older backups open it no more after the next rotation, at the latest {until}.")


def _receipts(texts: list[str]) -> str:
    """Return one receipt as it is, or several as a list."""
    if len(texts) == 1:
        return texts[0]
    return json.dumps([json.loads(text) for text in texts], ensure_ascii=False, indent=1) + "\n"


def _standing(venue: Venue, person: PersonId) -> list[str]:
    from countenance.consent import consents
    from countenance.consent.states import State

    with venue.store.read() as unit:
        return [c.purpose for c in consents.all_of(unit, person) if c.state is State.GIVEN]


def _whose(venue: Venue, person: str, purpose: str, pass_file: Path | None,
           reference: str) -> tuple[PersonId, list[PurposeId]]:
    from countenance.flows import passes
    from countenance.quantities import PurposeId

    if pass_file is None:
        whose = person_of(venue, person, reference)
        standing = [PurposeId(one) for one in _standing(venue, whose)] if not purpose else []
        return whose, standing or [PurposeId(purpose or "entry.verify")]
    content = passes.read_even_expired(venue, read_pass(pass_file))
    with venue.store.read() as unit:
        return passes.whose(unit, content), [PurposeId(purpose) if purpose else content.purpose]
