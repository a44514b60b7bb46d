"""countenance enrol: show the notice, ask, and enrol; or give a plain pass to somebody who says no."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import (
    HERE,
    JsonOption,
    LanguageOption,
    VenueOption,
    hand_over,
    notice_in_force,
    opened,
    picture,
    print_out,
    reserved,
)
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.formats.notices import Notice


_QUESTION = {
    "en": "Use my face, or enter without my face? [face/without]",
    "zh": "刷脸入园,还是不刷脸入园? [face = 刷脸 / without = 不刷脸]",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enrol")(enrol)


def enrol(
    reference: Annotated[str, typer.Option("--ref", help="The person's booking number in the ticket list.")],
    pass_out: Annotated[Path, typer.Option("--pass-out", help="Where to write the pass; a new file.")],
    purpose: Annotated[str, typer.Option(help="What for: entry.verify or entry.search.")] = "entry.verify",
    image: Annotated[Path | None, typer.Option(help="A picture of the person, taken now.")] = None,
    receipt_out: Annotated[Path | None, typer.Option("--receipt-out", help="Where to write the receipt.")] = None,
    channel: Annotated[str, typer.Option(help="Where the person says yes: desk or kiosk.")] = "desk",
    language: LanguageOption = "en",
    yes: Annotated[bool, typer.Option("--yes", help="The person in front read the notice and said yes.")] = False,
    no: Annotated[bool, typer.Option("--no", help="The person said no: a plain pass, and no record.")] = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Enrol one person who says yes; who says no gets a plain pass."""
    if yes and no:
        raise BadInput("answer-both", "The answer is --yes or --no, not both.")
    with opened(venue) as here:
        notice = _notice(here, purpose, language)
        agreed = yes or (not no and _ask(notice, language))
        if not agreed:
            _say_no(here, reference, pass_out, as_json)
        else:
            _say_yes(here, reference, notice, language, channel, image, pass_out, receipt_out, as_json)


def _notice(venue: Venue, purpose: str, language: str) -> Notice:
    notice = notice_in_force(venue, purpose)
    if language not in notice.texts:
        raise BadInput("notice-language", "The notice has no text in this language.")
    return notice


def _ask(notice: Notice, language: str) -> bool:
    if not sys.stdin.isatty():
        raise BadInput("answer-missing", "Nobody is here to answer; say --yes or --no for the person in front.")
    sys.stderr.write(notice.texts[language] + "\n\n")
    while True:
        answer = str(typer.prompt(_QUESTION.get(language, _QUESTION["en"]), err=True)).strip().lower()
        if answer in {"face", "without"}:
            return answer == "face"


def _say_no(venue: Venue, reference: str, pass_out: Path, as_json: bool) -> None:
    from countenance.flows.enrol import say_no

    say_no(venue, reference, hand_over(pass_out))
    print_out(as_json, {"outcome": "plain", "pass": str(pass_out)},
              f"A plain pass is in {pass_out}. Nothing about this person's face was taken or kept.")


def _say_yes(venue: Venue, reference: str, notice: Notice, language: str, channel: str, image: Path | None,
             pass_out: Path, receipt_out: Path | None, as_json: bool) -> None:
    from countenance.consent.acts import act_from_channel
    from countenance.consent.consents import Yes
    from countenance.flows import enrol as story

    if image is None:
        raise BadInput("image-missing", "A picture of the person is needed: --image FILE.")
    if pass_out.exists():
        raise BadInput("file-exists", f"{pass_out.name} exists already; it was left as it is.")
    answer = Yes(notice.hash, language, act_from_channel(channel))
    with reserved(receipt_out) as write_receipt:
        enrolled = story.enrol(venue, reference, notice.purpose, answer, picture(image),
                               hand_over(pass_out))
        write_receipt(enrolled.receipt)
    print_out(
        as_json, {"outcome": "enrolled", "person": enrolled.person, "purpose": enrolled.purpose,
                  "custody": notice.custody, "pass": str(pass_out)},
        f"Enrolled for {enrolled.purpose}; the pass is in {pass_out}.",
        f"The person's number here is {enrolled.person}.")
