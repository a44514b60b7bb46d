"""at a gate: what a gate of the server was shown, and which story answers it (docs/flows.md, at a gate).

(1) what the gate asks for: a pass, a pass and a face, or a face and a press; (2) its lane for faces is open, and this
pass has not failed here too often just now; (3) the story, `admit`; (4) what the person is told, and what staff are.
A gate for passes alone needs no key, no model and no face: whatever happens to those, it goes on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from countenance.clock import utc_day
from countenance.consent import gate as consent_gate
from countenance.errors import BadInput, CountenanceError, Refused
from countenance.flows import admit, duties, liveness, passes, revocations
from countenance.flows.admit import AtGate, Decision, Outcome
from countenance.flows.capture import Timings
from countenance.flows.found import SIGNING
from countenance.flows.gates import Gate, Mode
from countenance.flows.liveness import Sessions
from countenance.flows.ports import Camera, Door, no_door
from countenance.formats.revocations import RevocationList
from countenance.lane.counts import Tally
from countenance.vault.keys import signing

if TYPE_CHECKING:
    from countenance.access.limits import PassAttempts
    from countenance.flows.venue import Venue


@dataclass(frozen=True)
class Shown:
    """What came to a gate in one go. `camera` gives the picture that came along, or raises BadInput(image-missing)."""

    camera: Camera
    pass_text: str = ""
    pressed: bool = False
    nonce: str = ""
    together: bool = False


def decide(venue: Venue, gate: Gate, shown: Shown, attempts: PassAttempts, tally: Tally,
           door: Door = no_door, sessions: Sessions | None = None) -> Decision:
    """Answer somebody who is at a gate: `admit` or `refer`, whatever goes wrong. Nothing is raised.

    `sessions`: the challenges that this gate gave, where it asks for liveness; without them it refers.
    """
    if gate.liveness != "none":
        challenges = sessions or Sessions(venue.clock)
        shown = replace(shown, camera=liveness.camera(challenges, gate.gate_id, shown.nonce, shown.camera, venue))
    timings = Timings(venue.clock)
    here = AtGate(door=door, together=shown.together, name=gate.gate_id)

    def story() -> Decision:
        if gate.mode is Mode.PASS:                                          # (1)
            decision = _by_pass_alone(venue, shown, here, tally, timings)
            with suppress(CountenanceError):  # it needs no store: that it is alive is written down if one is there
                duties.proven_now_and_then(venue, gate.zone, gate.gate_id)
            return decision
        if gate.mode is Mode.FACE:
            gate.require_open()                                             # (2)
            if not shown.pressed:
                raise Refused("press-missing", "Nobody pressed: without a press no face is looked for.")
            pressed = consent_gate.press(venue.clock)
            return admit.by_face(venue, gate.purpose, pressed, shown.camera, here, timings)  # (3)
        if not passes.read_even_expired(venue, _the_pass(shown)).purpose:
            return _by_pass_alone(venue, shown, here, tally, timings)  # who said no comes in at the same gate
        gate.require_open()                                                 # (2)
        return _by_pass_and_face(venue, gate, shown, here, attempts, timings)

    return admit.at_gate(venue, story)                                      # (4)


def _by_pass_and_face(venue: Venue, gate: Gate, shown: Shown, here: AtGate, attempts: PassAttempts,
                      timings: Timings) -> Decision:
    content = passes.read_here(venue, _the_pass(shown), venue.clock.now())
    if content.purpose and content.purpose != gate.purpose:
        raise Refused("purpose-other", "This pass is for another purpose than this gate's.")
    attempts.require(gate.gate_id, content.pass_id)
    decision = admit.by_pass(venue, shown.pass_text, shown.camera, here, timings)
    if decision.outcome is Outcome.ADMIT:
        attempts.matched(gate.gate_id, content.pass_id)
    else:
        attempts.failed(gate.gate_id, content.pass_id)
    return decision


def _by_pass_alone(venue: Venue, shown: Shown, here: AtGate, tally: Tally, timings: Timings) -> Decision:
    now = venue.clock.now()  # not the store's: a mark far ahead must not close the lane without faces
    keys = signing.verifiers(venue.folder / SIGNING, "pass")
    try:
        ticket = passes.plain_lane(_the_pass(shown), keys, venue.venue_id, venue.entitlement, now, _replaced(venue))
        people = venue.entitlement.party(ticket.reference, utc_day(now)) if here.together else 1
        tally.add(utc_day(now), Outcome.ADMIT.value, people)
    except CountenanceError:
        tally.add(utc_day(now), Outcome.REFER.value)
        raise
    here.door(people)
    return Decision(Outcome.ADMIT, "pass", timings, people)


def _replaced(venue: Venue) -> RevocationList | None:
    """Return the posted list of replaced passes; this lane stays open without it."""
    with suppress(CountenanceError):
        return revocations.posted(venue)
    return None


def _the_pass(shown: Shown) -> str:
    if not shown.pass_text:
        raise BadInput("pass-missing", "No pass was shown.")
    return shown.pass_text
