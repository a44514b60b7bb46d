"""countenance notice: the texts people agree to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, notice_in_force, opened, print_out, read_text

app = typer.Typer(help="Show and publish notices.", no_args_is_help=True)
PurposeOption = Annotated[str, typer.Option("--purpose", help="entry.verify or entry.search.")]


@app.command("show")
def show(purpose: PurposeOption = "entry.verify", venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show the notice in force, in every language."""
    with opened(venue) as here:
        notice = notice_in_force(here, purpose)
    print_out(as_json, {"purpose": purpose, "version": notice.version, "hash": notice.hash, "texts": notice.texts},
              f"Version {notice.version}, {notice.hash}",
              *(f"\n[{language}]\n{text}" for language, text in notice.texts.items()))


@app.command("publish")
def publish(
    english: Annotated[Path, typer.Option("--en", help="The English text.")],
    chinese: Annotated[Path, typer.Option("--zh", help="The Chinese text.")],
    purpose: PurposeOption = "entry.verify",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Put a new text in force. Nobody who agreed to the old one is compared until they renew."""
    from countenance.consent import consents, notices
    from countenance.quantities import PurposeId

    texts = {"en": read_text(english), "zh": read_text(chinese)}
    with opened(venue) as here, here.store.write() as unit:
        notice = notices.publish(unit, here.venue_id, PurposeId(purpose), texts)
        waiting = consents.waiting(unit, PurposeId(purpose))
    print_out(as_json, {"purpose": purpose, "version": notice.version, "hash": notice.hash, "waiting": waiting},
              f"Version {notice.version} is in force; {waiting} consents to older ones wait for their renewal.")
