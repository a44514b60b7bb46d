"""One gate at work: a trigger, one picture, one question, one of two sentences; then it waits again.

Whatever fails, the person in front hears `refer`, or is let in by the lane without faces, and the gate stays. It ends
when it is told to, and for nothing else. What was away is tried again when somebody acts, after waits that grow up to
a bound: a gate at which nobody stands opens no camera and asks nobody. So a server that hangs costs only a few
people two seconds, and the others are answered at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from countenance.clock import Clock
from countenance.errors import BadInput, CountenanceError, Refused
from countenance.formats import base45, canonical, passes
from countenance.formats.passes import Custody

if TYPE_CHECKING:
    from countenance.gate.camera import Camera
    from countenance.gate.client import Answer, Lane, Server
    from countenance.gate.triggers import Inbox, Trigger
    from countenance.gate.words import Voice

FIRST_WAIT_S, LONGEST_CAMERA_WAIT_S, LONGEST_SERVER_WAIT_S = 1.0, 10.0, 30.0
"""Seconds before what was away is tried again: doubled from the first up to the longest."""

_PAYLOAD = 2  # of the four parts of a COSE_Sign1


@dataclass(frozen=True)
class Outcome:
    """What the person is told. `code` is about the gate's own parts, "" where all of them worked; for staff."""

    decision: Literal["admit", "refer"]
    people: int
    by: Literal["server", "lane", "gate"]
    code: str = ""
    door: str = "none"


class Growing:
    """When to try again what was away: after waits that double with each failure, up to `longest` seconds."""

    def __init__(self, clock: Clock, longest: float) -> None:
        self._clock, self._longest = clock, longest
        self._wait, self._until = 0.0, 0.0

    @property
    def resting(self) -> bool:
        """Tell whether it is not to be tried yet."""
        return self._wait > 0 and self._clock.monotonic() < self._until

    def failed(self) -> None:
        """It was tried, and was away."""
        self._wait = min(max(2 * self._wait, FIRST_WAIT_S), self._longest)
        self._until = self._clock.monotonic() + self._wait

    def worked(self) -> None:
        """It was tried, and was there."""
        self._wait = 0.0


def custody_of(shown: str) -> Custody:
    """Return what a pass says about its holder's face, in the clear. Nothing is verified: that is the server's.

    A forged one that says `plain` saves its holder a picture, and is then refused. Raises BadInput(pass-malformed).
    """
    malformed = BadInput("pass-malformed", "This is not a pass, or it is cut short.")
    if not shown.startswith(passes.PREFIX) or len(shown) > passes.LONGEST:
        raise malformed
    try:
        message = canonical.decode(base45.decode(shown[len(passes.PREFIX):]), "pass")
        number = canonical.decode(message.value[_PAYLOAD], "pass")[passes.OURS][passes.CUSTODY]
        if type(number) is not int or number < 0:
            raise malformed
        return list(Custody)[number]
    except (BadInput, AttributeError, LookupError, TypeError):
        raise malformed from None


class Gate:
    """One gate. `camera` is None at one that only reads passes, `lane` where there is none to fall back on."""

    def __init__(self, inbox: Inbox, camera: Camera | None, server: Server, lane: Lane | None, voice: Voice,
                 clock: Clock, *, has_door: bool = False) -> None:
        self._inbox, self._camera, self._server, self._lane = inbox, camera, server, lane
        self._voice, self._clock, self._has_door = voice, clock, has_door
        self._camera_rest = Growing(clock, LONGEST_CAMERA_WAIT_S)
        self._server_rest = Growing(clock, LONGEST_SERVER_WAIT_S)
        self._states: dict[str, str] = {}

    def run(self) -> None:
        """Answer one trigger after the other, until the inbox is closed."""
        while (trigger := self._inbox.take()) is not None:
            try:
                self.answer(trigger)
            finally:
                self._inbox.done()

    def answer(self, trigger: Trigger) -> Outcome:
        """Decide about one trigger, and say it."""
        try:
            outcome = self._decided(trigger)
        except CountenanceError as error:
            outcome = Outcome("refer", 0, "gate", error.code)
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody stands in front, and others will
            self._voice.staff("internal", f"Something went wrong inside ({type(error).__name__}); nobody was let in.")
            outcome = Outcome("refer", 0, "gate", "internal")
        self._voice.answer(outcome.decision, outcome.people, by=outcome.by, code=outcome.code, door=outcome.door,
                           ms=round((self._clock.monotonic() - trigger.at) * 1000))
        return outcome

    def _decided(self, trigger: Trigger) -> Outcome:
        plain = bool(trigger.shown) and custody_of(trigger.shown) is Custody.PLAIN
        if not trigger.shown and self._camera is None:
            raise BadInput("camera-none", "This gate has no camera.")
        try:
            if self._server_rest.resting:
                raise _resting()
            answer = self._asked(trigger, None if plain else self._camera)
        except BadInput as error:
            if error.code != "server-away" or not trigger.shown or self._lane is None:
                raise
            return self._plain(self._lane, trigger.shown)
        door = "server" if self._has_door and answer.door else "none"
        if self._has_door and answer.decision == "admit" and not answer.door:
            self._voice.staff("door-missing", "The server admitted, and gave no sign for a door.")
        return Outcome(answer.decision, answer.people, "server", "", door)

    def _asked(self, trigger: Trigger, camera: Camera | None) -> Answer:
        """Look, where there is a camera for this trigger, and ask the server. The picture is gone on return."""
        if camera is None:  # nobody is looked at: the holder of a plain pass said no
            return self._told(trigger, None)
        if self._camera_rest.resting:
            raise BadInput("camera-away", "The camera gives no picture.")
        try:
            picture = camera.look(trigger.at)
        except CountenanceError as error:
            self._camera_rest.failed()
            self._state("camera", error)
            raise
        try:
            self._camera_rest.worked()
            self._state("camera")
            return self._told(trigger, picture.data)
        finally:
            picture.wipe()

    def _told(self, trigger: Trigger, picture: memoryview | None) -> Answer:
        try:
            answer = self._server.decide(trigger.shown, press=not trigger.shown, picture=picture)
        except Refused as error:  # it is there, and says no to this gate: no reason to go around it
            self._state("server", error)
            raise
        except CountenanceError as error:
            self._server_rest.failed()
            self._state("server", error)
            raise
        self._server_rest.worked()
        self._state("server")
        return answer

    def _plain(self, lane: Lane, shown: str) -> Outcome:
        """The server is away: the lane without faces admits by the pass alone."""
        try:
            answer = lane.decide(shown)
        except CountenanceError as error:
            self._state("lane", error)
            raise
        self._state("lane")
        return Outcome(answer.decision, answer.people, "lane", "server-away")

    def _state(self, part: str, error: CountenanceError | None = None) -> None:
        """Tell staff when one of the gate's parts goes away or comes back; not at every trigger."""
        state, before = error.code if error else "", self._states.get(part, "")
        self._states[part] = state
        if state == before:
            return
        self._voice.event(part, state=state or f"{part}-back")
        if error is not None:
            self._voice.staff(error.code, error.sentence)
        else:
            self._voice.staff(f"{part}-back", f"The {part} is there again.")


def _resting() -> BadInput:
    return BadInput("server-away", "The server does not answer.")
