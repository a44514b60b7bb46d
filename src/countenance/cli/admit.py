"""countenance admit: somebody is at the gate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import (
    HERE,
    JsonOption,
    VenueOption,
    opened,
    picture,
    print_out,
    read_text,
)
from countenance.errors import BadInput, CountenanceError, Refused

if TYPE_CHECKING:
    from countenance.flows.admit import Decision

REFERRED = 7
"""What the command ends with where a comparison did not match: not an error, and not an admission."""

ADMIT, REFER = "Please come in.", "Staff will help."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("admit")(admit)


def admit(
    pass_file: Annotated[Path | None, typer.Option("--pass", help="The pass that was shown.")] = None,
    image: Annotated[Path | None, typer.Option(help="What the gate's camera sees when it is started.")] = None,
    press: Annotated[bool, typer.Option("--press", help="The person in front pressed: look for me once.")] = False,
    purpose: Annotated[str, typer.Option(help="Which purpose to search, with --press.")] = "entry.search",
    lane: Annotated[str, typer.Option(help="face, or plain: the lane without faces.")] = "face",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Decide at the gate: admit, or refer.

    Ends with 0 for admit. 7 is a comparison that did not match; any other status a refusal before one, with its reason
    for staff on stderr. The words for the person in front are the same two in every case.
    """
    try:
        if lane == "plain":
            _plain(venue, pass_file, as_json)
            return
        if lane != "face":
            raise BadInput("lane-unknown", "The lanes are face and plain.")
        if image is None:
            raise BadInput("image-missing", "The face lane needs a camera: --image FILE.")
        decision = _face(venue, pass_file, image, press, purpose)
    except CountenanceError as error:  # nothing was decided; the person in front hears the same words as ever
        print_out(as_json, {"outcome": "refer", "reason": error.code,
                            "error": {"code": error.code, "message": error.sentence}}, REFER)
        sys.stderr.write(f"{error.sentence} [{error.code}]\n")
        sys.exit(error.exit_status)
    print_out(as_json, {"outcome": decision.outcome.value, "reason": decision.reason,
                        "timings_ms": {k: round(v, 2) for k, v in decision.timings.ms.items()}},
              ADMIT if decision.outcome.value == "admit" else REFER)
    if decision.outcome.value != "admit":
        sys.exit(REFERRED)


def _face(folder: Path, pass_file: Path | None, image: Path, press: bool, purpose: str) -> Decision:
    from countenance.consent import gate
    from countenance.flows import admit as story
    from countenance.quantities import PurposeId

    with opened(folder) as venue:
        if pass_file is not None:
            return story.by_pass(venue, read_text(pass_file), picture(image))
        if not press:
            raise Refused("press-missing", "Nobody pressed: without a press no face is looked for.")
        venue.galleries.exact(PurposeId(purpose))  # read before the press is taken, as a gate does at start
        return story.by_face(venue, PurposeId(purpose), gate.press(venue.clock), picture(image))


def _plain(folder: Path, pass_file: Path | None, as_json: bool) -> None:
    """Check a pass with the public key and the ticket list alone; no store and no secret is opened."""
    from countenance import settings
    from countenance.clock import SystemClock
    from countenance.flows import passes
    from countenance.flows.found import SIGNING
    from countenance.integrations.entitlement import CsvEntitlement
    from countenance.vault.keys import signing

    if pass_file is None:
        raise BadInput("pass-missing", "The lane without faces needs a pass: --pass FILE.")
    here = settings.load(folder)
    key = signing.verifier(folder / SIGNING, "pass")
    passes.plain_lane(read_text(pass_file), key, here.venue, CsvEntitlement(folder / here.entitlement_csv),
                      SystemClock().now())
    print_out(as_json, {"outcome": "admit", "reason": "pass", "timings_ms": {}}, ADMIT)
