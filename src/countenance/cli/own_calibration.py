"""countenance calibrate offer, agree, gallery: a gallery's own people make its threshold stricter, if they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, LanguageOption, RefOption, VenueOption, opened, print_out

PurposeArgument = Annotated[str, typer.Argument(help="The purpose whose gallery it is, such as entry.search.")]
Texts = Annotated[list[str], typer.Option("--text", help="LANGUAGE=FILE: the notice; every language of the venue.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group `calibrate`."""
    app.command("offer")(offer)
    app.command("agree")(agree)
    app.command("gallery")(gallery)


def offer(purpose: PurposeArgument, text: Texts, venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Let people be asked whether their face may be compared with others', only to set a threshold. Off otherwise."""
    from countenance.cli.common import read_text
    from countenance.flows import own_calibration
    from countenance.quantities import PurposeId

    texts = {name: read_text(Path(file)) for name, _, file in (one.partition("=") for one in text)}
    with opened(venue) as here:
        notice = own_calibration.offer(here, PurposeId(purpose), texts)
    print_out(as_json, {"purpose": notice.purpose, "notice": notice.hash},
              f"People can agree to {notice.purpose} now; nobody has yet.")


def agree(
    purpose: PurposeArgument,
    reference: RefOption = "",
    person: Annotated[str, typer.Option(help="Whose: their number here.")] = "",
    language: LanguageOption = "en",
    channel: Annotated[str, typer.Option(help="Where the person says yes: desk or kiosk.")] = "desk",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write down that somebody, who read that notice, agrees; print the receipt. `withdraw` ends it."""
    from countenance.cli.common import notice_in_force, person_of
    from countenance.consent.acts import act_from_channel
    from countenance.consent.consents import Yes
    from countenance.flows import own_calibration
    from countenance.quantities import PurposeId

    with opened(venue) as here:
        notice = notice_in_force(here, own_calibration.of(PurposeId(purpose)))
        whose = person_of(here, person, reference)
        receipt = own_calibration.agree(here, whose, PurposeId(purpose),
                                        Yes(notice.hash, language, act_from_channel(channel)))
    print_out(as_json, {"person": whose, "purpose": notice.purpose, "receipt": receipt}, receipt)


def gallery(purpose: PurposeArgument, venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Compare those who agreed with each other, and make the gallery's threshold stricter if they lie closer.

    Nothing but counts comes out. Some seconds for 10,000 people. Needs the rate in venue.toml (gate.fpir).
    """
    from countenance.flows import own_calibration
    from countenance.quantities import PurposeId

    with opened(venue) as here:
        done = own_calibration.run(here, PurposeId(purpose))
    made = done.moved
    print_out(as_json, {"purpose": purpose, "pairs": made.pairs, "duplicates": made.duplicates,
                        "stricter_by": done.stricter_by, "before": done.before},
              f"{made.pairs:,} pairs of people; the threshold is {done.stricter_by:.3f} below its calibration's "
              f"(before: {done.before:.3f}).",
              f"{made.duplicates} pairs are nearer than two people should be: somebody enrolled twice, or twins. "
              "Look at how enrolment is done; nobody is named." if made.duplicates else
              "No pair is nearer than two people should be.")
