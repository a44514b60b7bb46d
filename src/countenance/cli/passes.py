"""countenance pass: issued, replaced, printed, and what a pass says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import (
    HERE,
    JsonOption,
    VenueOption,
    hand_over,
    opened,
    print_out,
    read_pass,
    write_bytes,
)
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

app = typer.Typer(help="Issue plain passes, replace lost ones, print and read any pass.", no_args_is_help=True)
CardOption = Annotated[Path | None, typer.Option("--card", help="Also write a card to print: a new SVG file.")]
SizeOption = Annotated[str, typer.Option(help="Of the card: a6, or bank for a bank card.")]


@app.command("issue")
def issue(
    reference: Annotated[str, typer.Option("--ref", help="The person's booking number in the ticket list.")],
    out: Annotated[Path, typer.Option("--pass-out", help="Where to write the pass; a new file.")],
    card: CardOption = None,
    size: SizeOption = "a6",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Issue a plain pass: no face, same gate, same price."""
    from countenance.flows.enrol import say_no

    with opened(venue) as here:
        text = say_no(here, reference, hand_over(out))
        if card is not None:
            write_card(here, text, card, size)
    print_out(as_json, {"outcome": "plain", "pass": str(out)}, f"A plain pass is in {out}.")


@app.command("replace")
def replace(
    reference: Annotated[str, typer.Option("--ref", help="The booking number whose pass is lost.")],
    out: Annotated[Path, typer.Option("--pass-out", help="Where to write the new pass; a new file.")],
    card: CardOption = None,
    size: SizeOption = "a6",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Replace a lost or photographed pass by a plain one; the old one is void in both lanes.

    A face that was in the old pass is ended. Who wants one again enrols again.
    """
    from countenance.clock import utc_text
    from countenance.flows import replace as story
    from countenance.flows import revocations

    with opened(venue) as here:
        done = story.replace(here, reference, hand_over(out))
        if card is not None:
            write_card(here, done.pass_text, card, size)
        with here.store.read() as unit:
            final_by = revocations.final_by(unit)
    until = utc_text(final_by) if final_by else ""
    ended = [one.purpose for one in done.ended]
    print_out(as_json, {"outcome": "replaced", "pass": str(out), "ended": ended, "final_by": until},
              f"The old pass is void. A plain pass is in {out}.",
              *([f"The face in it is ended, for: {', '.join(ended)}."] if ended else []),
              *([f"A gate that works from a copy of the list takes the old one until it gets the next, "
                 f"at the latest {until}."] if until else []))


@app.command("card")
def card(
    file: Annotated[Path, typer.Argument(help="The pass: a text file, a picture of its code, or - for a scanner.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the card; a new SVG file, to print at 100%.")],
    size: SizeOption = "a6",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write a pass as a card to print, A6 or bank-card size, in both languages."""
    text = read_pass(file)
    with opened(venue) as here:
        write_card(here, text, out, size)
    print_out(as_json, {"card": str(out), "size": size}, f"The card is in {out}; print it at 100%.")


@app.command("code")
def code(
    file: Annotated[Path, typer.Argument(help="The pass: a text file, or - for a scanner.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the QR code; a new file, .svg or .png.")],
    as_json: JsonOption = False,
) -> None:
    """Write a pass as a QR code, SVG or PNG, for a telephone or a page."""
    from countenance.integrations import codes

    text = read_pass(file)
    if out.suffix == ".svg":
        write_bytes(out, codes.svg(text).encode())
    elif out.suffix == ".png":
        write_bytes(out, codes.png(text, 8))
    else:
        raise BadInput("code-kind", "A code is written as .svg or .png.")
    print_out(as_json, {"code": str(out)}, f"The code is in {out}.")


def write_card(venue: Venue, text: str, out: Path, size: str) -> None:
    """Write the card of a pass of this venue as a new file. Raises BadInput, Refused."""
    from datetime import timedelta

    from countenance.clock import utc_day
    from countenance.flows import passes
    from countenance.integrations import cards

    if size not in {"a6", "bank"}:
        raise BadInput("card-size", "A card is a6 or bank.")
    with venue.store.read() as unit:
        content = passes.read_here(venue, text, unit.now)
    facts = cards.CardFacts(venue.settings.name, venue.settings.contact, content.reference, content.custody,
                            utc_day(content.expires_at) - timedelta(days=1))
    write_bytes(out, cards.card(text.strip(), facts, cards.Size.A6 if size == "a6" else cards.Size.BANK_CARD).encode())


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="The pass: a text file, a picture of its code, or - for a scanner.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Verify a pass and show what it says."""
    from countenance.clock import utc_text
    from countenance.flows import passes

    text = read_pass(file)
    with opened(venue) as here, here.store.read() as unit:
        content = passes.read_here(here, text, unit.now)
    value = {
        "pass": content.pass_id, "venue": content.venue, "reference": content.reference,
        "custody": content.custody.value, "purpose": content.purpose,
        "expires_at": utc_text(content.expires_at),
        "ask_not_before": utc_text(content.ask_not_before) if content.ask_not_before else "",
    }
    print_out(as_json, value, *(f"{name:>15}  {text}" for name, text in value.items() if text))
