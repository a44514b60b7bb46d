"""countenance enrol: show the notice, ask, and enrol; or give a plain pass to somebody who says no."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
    read_pass,
    reserved,
)
from countenance.cli.passes import write_card
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.consent.consents import Yes
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
    purpose: Annotated[str, typer.Option(
        help="entry.verify (face on the pass), entry.key (key on the pass) or entry.search.")] = "entry.verify",
    image: Annotated[list[Path] | None, typer.Option(
        help="A picture of the person, taken now; up to five are averaged, which misses fewer people.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Also write a card to print: a new SVG file.")] = None,
    size: Annotated[str, typer.Option(help="Of the card: a6, or bank for a bank card.")] = "a6",
    scan: Annotated[bool, typer.Option(
        "--scan", help="Wait until the printed card was scanned: only then the enrolment counts.")] = False,
    receipt_out: Annotated[Path | None, typer.Option("--receipt-out", help="Where to write the receipt.")] = None,
    channel: Annotated[str, typer.Option(help="Where the person says yes: desk or kiosk.")] = "desk",
    age: Annotated[str, typer.Option(help="What they answered when asked: of-age or minor.")] = "unasked",
    guardian: Annotated[str, typer.Option(help="For a child: the booking number of the parent or guardian who "
                                          "agrees.")] = "",
    language: LanguageOption = "en",
    yes: Annotated[bool, typer.Option("--yes", help="The person in front read the notice and said yes.")] = False,
    no: Annotated[bool, typer.Option("--no", help="The person said no: a plain pass, and no record.")] = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Enrol one person who says yes; who says no gets a plain pass."""
    from countenance.consent.acts import act_from_channel, age_from
    from countenance.consent.consents import Yes

    if yes and no:
        raise BadInput("answer-both", "The answer is --yes or --no, not both.")
    with opened(venue) as here:
        notice = _notice(here, purpose, language)
        agreed = yes or (not no and _ask(notice, language))
        if not agreed:
            _say_no(here, reference, _Paper(pass_out, card, size, scan), as_json)
        else:
            _say_yes(here, reference, Yes(notice.hash, language, act_from_channel(channel),
                                           age_from(age), guardian), notice, image or [],
                     _Paper(pass_out, card, size, scan), receipt_out, as_json)


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


def _say_no(venue: Venue, reference: str, paper: _Paper, as_json: bool) -> None:
    from countenance.flows.enrol import say_no

    with _taken_back_on_failure(paper):
        say_no(venue, reference, _hand_over(venue, paper))
    print_out(as_json, {"outcome": "plain", "pass": str(paper.file)},
              f"A plain pass is in {paper.file}. Nothing about this person's face was taken or kept.")


class _Paper(NamedTuple):
    """How the pass is handed over: as a file, and on a card that may have to be scanned before it counts."""

    file: Path
    card: Path | None
    size: str
    scan: bool


@contextmanager
def _taken_back_on_failure(paper: _Paper) -> Iterator[None]:
    """Delete the files of a pass that came to nothing; what stood there before is left alone."""
    for path in (paper.file, paper.card):
        if path is not None and path.exists():
            raise BadInput("file-exists", f"{path.name} exists already; give another name.")
    try:
        yield
    except BaseException:
        for path in (paper.file, paper.card):
            if path is not None:
                path.unlink(missing_ok=True)
        raise


def _hand_over(venue: Venue, paper: _Paper) -> Callable[[str], str]:
    as_file = hand_over(paper.file)

    def give(text: str) -> str:
        read = as_file(text)
        if paper.card is not None:
            write_card(venue, text, paper.card, paper.size)
        if not paper.scan:
            return read
        sys.stderr.write("Print the card, and scan its code now.\n")
        return read_pass(Path("-"))

    return give


def _say_yes(venue: Venue, reference: str, answer: Yes, notice: Notice, images: list[Path],
             paper: _Paper, receipt_out: Path | None, as_json: bool) -> None:
    from countenance.flows import enrol as story

    if not images:
        raise BadInput("image-missing", "A picture of the person is needed: --image FILE.")
    with _taken_back_on_failure(paper), reserved(receipt_out) as write_receipt:
        enrolled = story.enrol(venue, reference, notice.purpose, answer, [picture(one) for one in images],
                               _hand_over(venue, paper))
        write_receipt(enrolled.receipt)
    print_out(
        as_json, {"outcome": "enrolled", "person": enrolled.person, "purpose": enrolled.purpose,
                  "custody": notice.custody, "pass": str(paper.file)},
        f"Enrolled for {enrolled.purpose}; the pass is in {paper.file}.",
        f"The person's number here is {enrolled.person}.")
