"""Gates: set up, opened and closed, asked for decisions, and watched by their staff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from countenance.access.roles import Role, Who
from countenance.clock import utc_text
from countenance.errors import Refused, StoreFault
from countenance.flows import at_a_gate, gates, revocations
from countenance.flows.admit import Decision
from countenance.flows.at_a_gate import Shown
from countenance.flows.found import SIGNING
from countenance.flows.gates import Gate, Mode
from countenance.flows.ports import Camera
from countenance.formats import door_tokens
from countenance.quantities import PurposeId, random_id
from countenance.server import streams
from countenance.server.api.models import Line, Name, Strict
from countenance.server.bodies import Upload
from countenance.server.routing import Caller, Here, Route
from countenance.server.state import Serving
from countenance.server.uploads import Picture, camera, field
from countenance.storage.unit import Unit
from countenance.vault.keys import signing
from countenance.vision.liveness.prompts import COLOUR_SECONDS, TURN_SECONDS

IN_CHARGE = frozenset({Role.OWNER, Role.OPERATOR})
AT_GATE = frozenset({Role.GATE, Role.GATE_STAFF})
STAFF = IN_CHARGE | {Role.GATE_STAFF}
READERS = IN_CHARGE | AT_GATE | {Role.DESK, Role.AUDITOR}
TRUE = {"1", "true", "yes"}

GATE = {"gate": "main", "zone": "entrance", "purpose": "entry.verify", "mode": "pass-and-face", "liveness": "none",
        "state": "open", "closed_by": "", "door": "", "lease_minutes": 60}
ADMITTED = {"decision": "admit", "people": 1, "door_token": None, "id": "6f0c"}


class NewGate(Strict):
    """A gate to be set up."""

    gate: Name
    mode: Literal["pass", "pass-and-face", "face"]
    purpose: str = ""
    zone: str = ""
    door: str = ""
    lease_minutes: int = 60
    liveness: Literal["none", "prompt"] = "none"


class NewState(Strict):
    """Whether a gate's lane for faces is open."""

    state: Literal["open", "closed"]


class Screen(Strict):
    """Whether whoever stands at the gate sees a screen that can show colours."""

    screen: bool


class ByHand(Strict):
    """What staff decided, and why, in one of the fixed words."""

    outcome: Literal["admit", "turn-away"]
    reason: Line


def list_gates(here: Here) -> dict[str, Any]:
    """Every gate of this venue."""
    with here.venue.store.read() as unit:
        return {"gates": [_told(gate) for gate in gates.all_of(unit)]}


def show_gate(here: Here, caller: Caller, gate: str) -> dict[str, Any]:
    """One gate."""
    caller.require_gate(gate)
    with here.venue.store.read() as unit:
        return _told(gates.one(unit, gate))


def add_gate(here: Here, caller: Caller, body: NewGate) -> dict[str, Any]:
    """Set up a gate, open. What it compares follows from its purpose."""
    if body.purpose:
        caller.require_purpose(PurposeId(body.purpose))
    with here.venue.store.write() as unit:
        made = gates.add(unit, body.gate, Mode(body.mode), body.purpose, zone=body.zone, door=body.door,
                         lease_minutes=body.lease_minutes, liveness=body.liveness)
        gates.tell_others(unit, here.venue, body.gate, opened=True)
    return _told(made)


def set_gate_state(here: Here, caller: Caller, gate: str, body: NewState) -> dict[str, Any]:
    """Open or close a gate's lane for faces; passes go on either way."""
    with here.venue.store.write() as unit:
        before, opened = _theirs(unit, caller, gate), body.state == "open"
        done = gates.set_state(unit, gate, opened=opened, by=caller.role.value)
        if before.open != opened:
            gates.tell_others(unit, here.venue, gate, opened=opened, by=caller.role.value)
    here.feed.tell("gate.state", gate, {"state": body.state})
    return _told(done)


def remove_gate(here: Here, caller: Caller, gate: str) -> None:
    """Take a gate away, with its keys."""
    with here.venue.store.write() as unit:
        before = _theirs(unit, caller, gate)
        gates.remove(unit, gate)
        if before.open:
            gates.tell_others(unit, here.venue, gate, opened=False, by="removed")


def _theirs(unit: Unit, caller: Who, gate: str) -> Gate:
    """Return a gate that this caller may change. Raises Refused(gate-unknown, key-other-purpose)."""
    found = gates.one(unit, gate)
    if found.purpose:  # a gate for passes alone is of none
        caller.require_purpose(found.purpose)
    return found


def decide(here: Here, caller: Caller, request: Request, gate: str, upload: Picture) -> dict[str, Any]:
    """Decide about the person in front of a gate.

    The body is the picture (headers `countenance-pass`, `countenance-press: 1`), or a form with `image`, `pass`,
    `press` and `together`. A gate that asks for liveness gets a capture session instead of a picture, as
    `application/octet-stream`, with the prompt's `nonce` (header `countenance-nonce`): docs/liveness.md. What goes
    wrong with the person's matter is `refer`, and why is for staff.
    """
    caller.require_gate(gate)
    with here.venue.store.read() as unit:
        known = gates.one(unit, gate)
    if known.mode is not Mode.PASS:  # a pass alone is never held up by what is there for faces
        caller.require_purpose(known.purpose)
        most = here.venue.settings.attempts_per_minute
        here.limits.attempt("gate", gate, caller.key_id or caller.operator_id, per_minute=most, burst=most)
    turn = _Turn(here)
    shown = Shown(turn.camera(upload), field(upload, "pass", "countenance-pass", request).strip(),
                  field(upload, "press", "countenance-press", request) in TRUE,
                  field(upload, "nonce", "countenance-nonce", request).strip(),
                  field(upload, "together", "countenance-together", request) in TRUE)
    door = _Door(here, known, turn.end)
    try:
        decision = at_a_gate.decide(here.venue, known, shown, here.passes, here.tally, door.open,
                                    here.sessions)
    finally:
        turn.end()
    return _answered(here, caller, known, decision, door.token)


def draw_prompt(here: Here, caller: Caller, gate: str, body: Screen) -> dict[str, Any]:
    """Draw what the person at a gate is asked to do; its answer is wanted within 15 seconds, once."""
    caller.require_gate(gate)
    known = _known(here, gate)
    if known.liveness == "none":
        raise Refused("liveness-none", "This gate asks nobody to do anything.")
    drawn = here.sessions.begin(gate, screen=body.screen)
    return {"nonce": drawn.nonce, "direction": drawn.prompt.direction.value,
            "colours": [one.value for one in drawn.prompt.colours], "colour_seconds": COLOUR_SECONDS,
            "turn_seconds": TURN_SECONDS, "expires_seconds": drawn.expires}


class _Turn:
    """One of the pictures that are looked at together: from the moment of the capture until a door is to open.

    Nobody waits for somebody else's ticket or door, and a pass alone waits for no picture.
    """

    def __init__(self, here: Serving) -> None:
        self._places, self._taken = here.camera, False

    def camera(self, upload: Upload) -> Camera:
        """Return the camera, which waits for its turn."""
        take = camera(upload)

        def wait() -> bytes:
            self._places.acquire()
            self._taken = True
            return take()

        return wait

    def end(self) -> None:
        """Let the next one look; once is enough."""
        if self._taken:
            self._taken = False
            self._places.release()


class _Door:
    """Opens what stands at a gate, by a token that its controller can check; remembers the token for the answer."""

    def __init__(self, here: Serving, gate: Gate, looked: Callable[[], None] = lambda: None) -> None:
        self._here, self._gate, self._looked = here, gate, looked
        self.token: str | None = None

    def open(self, people: int) -> None:
        self._looked()
        venue = self._here.venue
        signer = signing.signer(venue.folder / SIGNING, "door")
        issued = door_tokens.issue(venue.venue_id, self._gate.gate_id, venue.clock.now(), people)
        token = door_tokens.write(issued, signer.key, signer.kid)
        if self._gate.door:
            known = self._here.doors.get(self._gate.door)
            if known is None:
                raise StoreFault("door-unknown", "This gate's door is not in outside.toml.")
            known.open(token, people)
        self.token = token


def _answered(here: Serving, caller: Caller, gate: Gate, decision: Decision, token: str | None) -> dict[str, Any]:
    number, lane = random_id(), "plain" if gate.mode is Mode.PASS else "face"
    outcome = decision.outcome.value
    here.metrics.observe(decision.timings.ms)
    here.metrics.decided(lane, outcome, decision.reason)
    here.feed.tell("gate.answered", gate.gate_id, {"id": number, "decision": outcome, "reason": decision.reason,
                                                   "people": decision.people})
    answer = {"decision": outcome, "people": decision.people, "door_token": token, "id": number}
    return answer | ({"reason": decision.reason} if caller.role is Role.GATE_STAFF else {})


def decide_by_hand(here: Here, caller: Caller, gate: str, body: ByHand) -> dict[str, Any]:
    """Admit somebody, or turn them away, in the place of the gate; the reason is one of the fixed words."""
    caller.require_gate(gate)
    gates.by_hand(here.venue, gate, body.outcome, body.reason)
    door = None
    if body.outcome == "admit":
        door = _Door(here, _known(here, gate))
        door.open(1)
    here.feed.tell("gate.by-hand", gate, {"outcome": body.outcome, "reason": body.reason})
    return {"outcome": body.outcome, "reason": body.reason, "door_token": door.token if door else None}


def fetch_list(here: Here, caller: Caller, gate: str) -> Response:
    """Hand the revocation list in force to a gate that goes by a copy; its lease begins."""
    caller.require_gate(gate)
    _known(here, gate)
    done = revocations.publish(here.venue, gate)
    return Response(done.text, media_type="text/plain",
                    headers={"countenance-good-until": utc_text(done.good_until)})


class Has(Strict):
    """The list that a gate has."""

    list: str


def acknowledge_list(here: Here, caller: Caller, gate: str, body: Has) -> dict[str, Any]:
    """Say that a gate goes by this list now: a withdrawal then does not wait for its lease."""
    caller.require_gate(gate)
    return {"gate": gate, "number": revocations.acknowledge(here.venue, gate, body.list)}


async def watch_gate(here: Here, caller: Caller, request: Request, gate: str) -> StreamingResponse:
    """What happens at a gate, as server-sent events, for its staff: no name, no picture, no number of a person."""
    caller.require_gate(gate)
    await run_in_threadpool(_known, here, gate)
    return await streams.answer(here, request, STAFF, [gate])


def _known(here: Serving, gate: str) -> Gate:
    with here.venue.store.read() as unit:
        return gates.one(unit, gate)


def _told(gate: Gate) -> dict[str, Any]:
    return {"gate": gate.gate_id, "zone": gate.zone, "purpose": gate.purpose, "mode": gate.mode.value,
            "liveness": gate.liveness, "state": "open" if gate.open else "closed", "closed_by": gate.closed_by,
            "door": gate.door, "lease_minutes": gate.lease_minutes}


_ONE = ("gate-unknown",)
_MINE = ("gate-unknown", "key-other-gate")
PROMPT = {"nonce": "5f0c…", "direction": "left", "colours": ["red", "blue", "green", "blue"], "colour_seconds": 0.3,
          "turn_seconds": 3.0, "expires_seconds": 15.0}
ROUTES = [
    Route("GET", "/v1/gates", list_gates, READERS, "List gates", {"gates": [GATE]}),
    Route("POST", "/v1/gates", add_gate, IN_CHARGE, "Set up a gate", GATE,
          {"gate": "main", "mode": "pass-and-face", "purpose": "entry.verify"},
          ("gate-name", "gate-mode", "gate-lease", "gate-door", "gate-liveness", "gate-known", "purpose-unknown",
           "purpose-other", "zone-unknown", "zone-other", "key-other-purpose"), 201),
    Route("GET", "/v1/gates/{gate}", show_gate, READERS, "Show a gate", GATE, errors=_MINE),
    Route("PUT", "/v1/gates/{gate}/state", set_gate_state, IN_CHARGE, "Open or close a gate to faces", GATE,
          {"state": "closed"}, (*_ONE, "key-other-purpose")),
    Route("DELETE", "/v1/gates/{gate}", remove_gate, IN_CHARGE, "Take a gate away",
          errors=(*_ONE, "key-other-purpose"), status=204),
    Route("POST", "/v1/gates/{gate}/decisions", decide, AT_GATE, "Decide at a gate", ADMITTED,
          errors=(*_MINE, "key-other-purpose"), secret=True, picture=True),
    Route("POST", "/v1/gates/{gate}/prompts", draw_prompt, AT_GATE, "Draw a prompt for liveness", PROMPT,
          {"screen": True}, (*_MINE, "liveness-none")),
    Route("POST", "/v1/gates/{gate}/by-hand", decide_by_hand, STAFF, "Decide by hand",
          {"outcome": "admit", "reason": "assistance", "door_token": None},
          {"outcome": "admit", "reason": "assistance"},
          (*_MINE, "by-hand-outcome", "by-hand-reason", "door-unknown", "door-unreachable", "door-refused",
           "door-timeout", "door-stuck"), secret=True),
    Route("GET", "/v1/gates/{gate}/revocations", fetch_list, AT_GATE | IN_CHARGE, "Fetch the revocation list",
          errors=_MINE, media="text/plain"),
    Route("POST", "/v1/gates/{gate}/revocations", acknowledge_list, AT_GATE | IN_CHARGE, "Acknowledge a list",
          {"gate": "north", "number": 4}, {"list": "CNL1:…"},
          (*_MINE, "list-malformed", "list-altered", "list-other-venue", "list-stale")),
    Route("GET", "/v1/gates/{gate}/feed", watch_gate, STAFF, "Watch a gate", errors=(*_MINE, "feed-full"),
          media="text/event-stream"),
]
