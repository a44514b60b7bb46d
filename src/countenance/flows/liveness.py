"""liveness: a short capture session before a comparison at a gate that nobody watches (docs/flows.md, liveness).

(1) a prompt is drawn at random and bound to a nonce, this gate and a moment; (2) the frames come back with that nonce,
once, in time, to the same gate; (3) they are judged: live, not live, not assessed; (4) who is not live, or could not
be assessed, is referred, and the frames are wiped whatever happens.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from countenance.clock import Clock
from countenance.errors import Refused
from countenance.flows.ports import Camera
from countenance.vision import image
from countenance.vision.liveness import bundle, prompts, session
from countenance.vision.liveness.bundle import Sent
from countenance.vision.liveness.prompts import Prompt
from countenance.vision.liveness.session import Taken
from countenance.vision.liveness.verdict import Live, NotLive, Thresholds, Verdict

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.vision.liveness.session import Model, Sees

EXPIRES_SECONDS = 15.0
MOST_OPEN = 256
"""Challenges at a time; the oldest goes, so that nobody can fill the memory of a gate."""


@dataclass(frozen=True)
class Challenge:
    """What a gate's screen is told: `nonce` comes back with the frames; seconds count from when it was given."""

    nonce: str
    prompt: Prompt
    expires: float = EXPIRES_SECONDS


@dataclass(frozen=True)
class _Open:
    gate: str
    prompt: Prompt
    until: float


class Sessions:
    """The challenges that are open, in memory; safe for use by several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    def begin(self, gate: str, *, screen: bool) -> Challenge:
        """Draw a challenge for one gate. `screen`: it can show colours."""
        challenge = Challenge(secrets.token_hex(16), prompts.drawn(screen=screen))          # (1)
        until = self._clock.monotonic() + EXPIRES_SECONDS
        with self._lock:
            while len(self._open) >= MOST_OPEN:
                del self._open[next(iter(self._open))]
            self._open[challenge.nonce] = _Open(gate, challenge.prompt, until)
        return challenge

    def judged(self, gate: str, nonce: str, taken: Sequence[Taken], pack: Sees, alignment: str,
               limits: Thresholds | None = None, model: Model | None = None) -> tuple[Verdict, float]:
        """Judge the frames that answer a challenge; the challenge is gone, whatever they are.

        Returns the verdict, and from when on no colour was on the face, in seconds. Raises Refused: liveness-unknown
        (never given, given to another gate, or answered before), liveness-late;
        BadInput: frames-many, frames-order.
        """
        try:
            prompt = self._taken(gate, nonce)                                               # (2)
            return session.judge(taken, prompt, pack, alignment, limits, model), prompt.turns_at  # (3)
        finally:
            for one in taken:                                                               # (4)
                one.frame.wipe()

    def _taken(self, gate: str, nonce: str) -> Prompt:
        with self._lock:
            found = self._open.pop(nonce, None)
        if found is None or found.gate != gate:
            raise Refused("liveness-unknown", "Please begin again: these pictures answer nothing that was asked here.")
        if self._clock.monotonic() > found.until:
            raise Refused("liveness-late", "That took too long; please begin again.")
        return found.prompt


def camera(sessions: Sessions, gate: str, nonce: str, sent: Camera, venue: Venue) -> Camera:
    """Return a camera that gives the one picture to compare, out of a session that was live.

    It is of the very frames that were judged: nobody can show one thing and hand in another. It raises BadInput
    (frames-*, image-*), Refused (liveness-*), when it is called, which is after the permit was given.
    """

    def take() -> bytes:
        frames = bundle.parse(sent())
        taken = _decoded(frames)
        verdict, ahead = sessions.judged(gate, nonce, taken, venue.pack, venue.pack.alignment)
        require_live(verdict)
        return next((one.picture for one in frames if one.moment >= ahead), frames[0].picture)

    return take


def _decoded(frames: Sequence[Sent]) -> list[Taken]:
    """Decode every frame; where one cannot be, those before it are wiped. Raises BadInput(image-*)."""
    taken: list[Taken] = []
    try:
        for one in frames:
            taken.append(Taken(one.moment, image.decode(one.picture)))
    except BaseException:
        for before in taken:
            before.frame.wipe()
        raise
    return taken


def require_live(verdict: Verdict) -> Live:
    """Return the verdict if it is live. Raises Refused: liveness-not-live, liveness-not-assessed; both refer."""
    if isinstance(verdict, Live):
        return verdict
    if isinstance(verdict, NotLive):
        raise Refused("liveness-not-live", "Staff will help.")
    raise Refused("liveness-not-assessed", "That could not be seen well enough; staff will help.")
