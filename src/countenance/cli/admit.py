"""countenance admit: somebody is at the gate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from countenance.cli.common import (
    HERE,
    JsonOption,
    VenueOption,
    opened,
    picture,
    print_out,
    read_pass,
    read_text,
)
from countenance.errors import BadInput, CountenanceError, Refused

if TYPE_CHECKING:
    from countenance.flows.admit import Decision
    from countenance.formats.revocations import RevocationList

REFERRED = 7
"""What the command ends with where a comparison did not match: not an error, and not an admission."""

ADMIT, REFER = "Please come in.", "Staff will help."


class _List(NamedTuple):
    revoked: Path | None
    together: bool
    gate: str


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("admit")(admit)


def admit(
    pass_file: Annotated[Path | None, typer.Option("--pass", help="The pass that was shown.")] = None,
    image: Annotated[Path | None, typer.Option(help="What the gate's camera sees when it is started.")] = None,
    press: Annotated[bool, typer.Option("--press", help="The person in front pressed: look for me once.")] = False,
    purpose: Annotated[str, typer.Option(help="Which purpose to search, with --press.")] = "entry.search",
    lane: Annotated[str, typer.Option(help="face, or plain: the lane without faces.")] = "face",
    together: Annotated[bool, typer.Option("--together", help="The household or group comes in on this scan.")] = False,
    gate: Annotated[str, typer.Option("--gate", help="The gate's name, for the record of the visit.")] = "",
    revoked: Annotated[Path | None, typer.Option("--list", help="The gate's own copy of the revocation list.")] = None,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Decide at the gate: admit, or refer.

    Ends with 0 for admit. 7 is a comparison that did not match; any other status a refusal before one, with its reason
    for staff on stderr. The words for the person in front are the same two in every case.
    """
    try:
        if lane == "plain":
            _plain(venue, pass_file, revoked, together, as_json)
            return
        if lane != "face":
            raise BadInput("lane-unknown", "The lanes are face and plain.")
        if image is None:
            raise BadInput("image-missing", "The face lane needs a camera: --image FILE.")
        decision = _face(venue, pass_file, image, press, purpose, _List(revoked, together, gate))
    except CountenanceError as error:  # nothing was decided; the person in front hears the same words as ever
        print_out(as_json, {"outcome": "refer", "reason": error.code,
                            "error": {"code": error.code, "message": error.sentence}}, REFER)
        sys.stderr.write(f"{error.sentence} [{error.code}]\n")
        sys.exit(error.exit_status)
    print_out(as_json, {"outcome": decision.outcome.value, "reason": decision.reason, "people": decision.people,
                        "timings_ms": {k: round(v, 2) for k, v in decision.timings.ms.items()}},
              _words(decision))
    if decision.outcome.value != "admit":
        sys.exit(REFERRED)


def _words(decision: Decision) -> str:
    if decision.outcome.value != "admit":
        return REFER
    return ADMIT if decision.people == 1 else f"{ADMIT} ({decision.people})"


def _face(folder: Path, pass_file: Path | None, image: Path, press: bool, purpose: str, gate_list: _List) -> Decision:
    from countenance.consent import gate
    from countenance.flows import admit as story
    from countenance.flows import revocations
    from countenance.quantities import PurposeId

    with opened(folder) as venue:
        copy = None if gate_list.revoked is None else revocations.read(venue, read_text(gate_list.revoked))
        here = story.AtGate(together=gate_list.together, revoked=copy, name=gate_list.gate)
        if pass_file is not None:
            return story.by_pass(venue, read_pass(pass_file), picture(image), here)
        if not press:
            raise Refused("press-missing", "Nobody pressed: without a press no face is looked for.")
        venue.galleries.exact(PurposeId(purpose))  # read before the press is taken, as a gate does at start
        return story.by_face(venue, PurposeId(purpose), gate.press(venue.clock), picture(image), here)


def _plain(folder: Path, pass_file: Path | None, revoked: Path | None, together: bool, as_json: bool) -> None:
    """Check a pass with the public keys and the lists alone; no store and no secret is opened."""
    from countenance import settings
    from countenance.clock import SystemClock, utc_day, utc_text
    from countenance.flows import passes
    from countenance.flows.found import LIST, PLAIN_COUNTS, SIGNING
    from countenance.integrations.entitlements_open import open_entitlement
    from countenance.lane import counts
    from countenance.vault.keys import signing

    if pass_file is None:
        raise BadInput("pass-missing", "The lane without faces needs a pass: --pass FILE.")
    here, now = settings.load(folder), SystemClock().now()
    keys = signing.verifiers(folder / SIGNING, "pass")
    tickets = open_entitlement(folder, SystemClock())
    copy = _replaced(folder, here.venue, revoked or folder / LIST, needed=revoked is not None)
    if copy is not None and revoked is not None and now >= copy.good_until:
        until = utc_text(copy.good_until)
        sys.stderr.write(f"This gate's list was good until {until}; passes replaced since are not in it.\n")
    try:
        ticket = passes.plain_lane(read_pass(pass_file), keys, here.venue, tickets, now, copy)
        people = tickets.party(ticket.reference, utc_day(now)) if together else 1
    except CountenanceError:
        counts.add(folder / PLAIN_COUNTS, utc_day(now), "refer")
        raise
    finally:
        getattr(tickets, "close", lambda: None)()
    counts.add(folder / PLAIN_COUNTS, utc_day(now), "admit", people)
    print_out(as_json, {"outcome": "admit", "reason": "pass", "people": people, "timings_ms": {}},
              ADMIT if people == 1 else f"{ADMIT} ({people})")


def _replaced(folder: Path, venue: str, path: Path, *, needed: bool) -> RevocationList | None:
    """Return the list of replaced passes. This lane stays open without it: whatever fails is said, and no more."""
    from countenance.flows import revocations
    from countenance.flows.found import SIGNING
    from countenance.vault.keys import signing

    if not needed and not path.exists():
        return None
    try:
        return revocations.read_with(read_text(path), signing.verifier(folder / SIGNING, "list"), venue)
    except CountenanceError as error:
        sys.stderr.write(f"Replaced passes are not known here: {error.sentence} [{error.code}]\n")
        return None
