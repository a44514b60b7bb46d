"""countenance consent: what a person agreed to, and renewing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import (
    HERE,
    JsonOption,
    LanguageOption,
    RefOption,
    VenueOption,
    YesOption,
    confirmed,
    notice_in_force,
    opened,
    person_of,
    print_out,
    reserved,
)

app = typer.Typer(help="Show and renew consents.", no_args_is_help=True)
PersonOption = Annotated[str, typer.Option("--person", help="The person's number here.")]


@app.command("show")
def show(
    person: PersonOption = "", reference: RefOption = "", venue: VenueOption = HERE, as_json: JsonOption = False,
) -> None:
    """Show a person's consents with the exact texts they agreed to."""
    from countenance.flows import about as story

    with opened(venue) as here:
        held = story.about(here, person_of(here, person, reference))["consents"]
    lines = [f"{c['purpose']}: {c['state']}, until {c['expires_at']} ({c['act']})\n\n{c['text']}\n" for c in held]
    print_out(as_json, {"consents": held}, *lines)


@app.command("renew")
def renew(
    person: PersonOption = "",
    reference: RefOption = "",
    purpose: Annotated[str, typer.Option(help="Which consent.")] = "entry.verify",
    channel: Annotated[str, typer.Option(help="Where the person says yes: desk or kiosk.")] = "desk",
    language: LanguageOption = "en",
    receipt_out: Annotated[Path | None, typer.Option("--receipt-out", help="Where to write the receipt.")] = None,
    yes: YesOption = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Renew a consent to the notice in force, after the person has read it and said yes."""
    from countenance.consent.acts import act_from_channel
    from countenance.flows import renew as story
    from countenance.quantities import PurposeId

    act_from_channel(channel)
    with opened(venue) as here:
        whose = person_of(here, person, reference)
        notice = notice_in_force(here, purpose)
        if not yes:
            typer.echo(notice.texts.get(language, ""), err=True)
        confirmed("Did the person in front read this and say yes?", "Nothing was renewed.", yes)
        with reserved(receipt_out) as write_receipt:
            write_receipt(
                story.renew(here, whose, PurposeId(purpose), notice.hash, language, channel))
    print_out(as_json, {"outcome": "renewed", "person": whose, "purpose": purpose, "notice": notice.hash},
              f"Renewed for {purpose}, to the notice in force.")
