"""Asking witnesses to cosign a checkpoint (C2SP tlog-witness, the client's side).

Nothing that a witness answers is believed before its signature was checked with the key known for it. What a
cosignature is worth depends on who runs the witness: one that the venue controls counts as none. A proxy that the
environment names is not used: what stands in the settings is what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx

from countenance.clock import Clock, SystemClock
from countenance.errors import BadInput, CountenanceError, Refused
from countenance.formats import checkpoints, signed_note
from countenance.formats.signed_note import WITNESS, Note, NoteKey, Signature
from countenance.transparency.exchange import Line
from countenance.transparency.witness import Request

TIMEOUT_S = 3.0
"""Seconds for the whole answer of one witness."""

QUIET_S = 60.0
"""Seconds for which a witness that gave no cosignature is not asked again on the way to a receipt."""

LARGEST_ANSWER = 1 << 16
"""Bytes."""

_SIZE_TYPE = "text/x.tlog.size"
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")

Prove = Callable[[int], Sequence[bytes]]
"""Returns the proof from so many entries to the checkpoint; asked for 0, the checkpoint's size, and any between."""


@dataclass(frozen=True)
class WitnessAt:
    """A witness: where it answers (`add-checkpoint` is put behind `url`) and its public key."""

    url: str
    key: NoteKey


@dataclass(frozen=True)
class Cosigned:
    """The note with every cosignature that was got. `faults`: name of a witness to why it gave none."""

    note: str
    faults: dict[str, CountenanceError] = field(default_factory=dict)


def gather(witnesses: Sequence[WitnessAt], note: str, prove: Prove, *, client: httpx.Client | None = None,
           clock: Clock | None = None) -> Cosigned:
    """Ask every witness, one after the other; one that fails leaves the others' cosignatures as they are."""
    faults: dict[str, CountenanceError] = {}
    for witness in witnesses:
        try:
            note = ask(witness, note, prove, client=client, clock=clock)
        except CountenanceError as error:
            faults[witness.key.name] = error
    return Cosigned(note, faults)


def asking(named: Sequence[tuple[str, NoteKey]], clock: Clock | None = None) -> Callable[
        [Note, Callable[[int, int], Sequence[bytes]]], Note]:
    """Return what a log asks for cosignatures: (note, proof between two sizes) to the note with those that were got.

    A witness that gives none is left out, and raises nothing; whose valid cosignature is there is not asked again.
    Where each stood is remembered, so that the next question is one answer long; and one that gave none is left alone
    for QUIET_S, because people wait for their receipts. `named`: address and key.
    """
    stood: dict[str, int] = {}
    quiet: dict[str, float] = {}
    ticks = clock or SystemClock()

    def cosign(note: Note, consistency: Callable[[int, int], Sequence[bytes]]) -> Note:
        size = checkpoints.parse(note).size
        for url, key in named:
            if _has(note, key) or ticks.monotonic() < quiet.get(url, 0.0):
                continue
            try:
                note = signed_note.parse(ask(WitnessAt(url, key), note.encode(), lambda old: consistency(old, size),
                                             stood.get(key.text, 0), clock=ticks))
                stood[key.text] = size
            except CountenanceError:
                quiet[url] = ticks.monotonic() + QUIET_S
        return note

    return cosign


def _has(note: Note, key: NoteKey) -> bool:
    try:
        signed_note.require_signed(note, key)
    except BadInput:
        return False
    return True


def ask(witness: WitnessAt, note: str, prove: Prove, old: int = 0, *, client: httpx.Client | None = None,
        clock: Clock | None = None) -> str:
    """Return the note with this witness's cosignature added. `old`: the size at which it is thought to stand.

    Raises BadInput: witness-unreachable, witness-wrong, note-malformed, checkpoint-malformed; Refused:
    witness-log-unknown, witness-refused, witness-fork, witness-ahead, witness-stale. The note is as it was then.
    """
    if witness.key.kind != WITNESS:
        raise BadInput("witness-wrong", "This is the key of a log, not of a witness.")
    parsed = signed_note.parse(note)
    size = checkpoints.parse(parsed).size
    old = min(old, size)
    asking = _Asking(witness, parsed, client, clock or SystemClock())
    told = asking.once(old, prove)
    if isinstance(told, int):
        told = asking.once(_start(told, old, size), prove)
    if isinstance(told, int):
        raise Refused("witness-stale", f"{witness.key.name} names another size each time it is asked.")
    return parsed.with_line(told).encode()


def _start(told: int, asked: int, size: int) -> int:
    """Return the size from which to prove. Raises Refused (witness-ahead, witness-stale)."""
    if told > size:
        raise Refused("witness-ahead", "The witness has seen this log longer than it is now: it was rolled back.")
    if told == asked:
        raise Refused("witness-stale", "The witness asks for the size that it was given.")
    return told


class _Asking:
    def __init__(self, witness: WitnessAt, note: Note, client: httpx.Client | None, clock: Clock) -> None:
        self.witness, self.note, self._client, self._clock = witness, note, client, clock

    def once(self, old: int, prove: Prove) -> Signature | int:
        """Return the cosignature, checked, or the size at which the witness says it stands."""
        request = Request(old, tuple(prove(old)), self.note, checkpoints.parse(self.note))
        status, kind, body = self._post(request.encode())
        name = self.witness.key.name
        if status == 200:
            return self._cosignature(body)
        if status == 409 and kind == _SIZE_TYPE:
            told = _SIZE.fullmatch(body)
            if not told:
                raise BadInput("witness-wrong", f"{name} does not answer as a witness does.")
            return int(told[1])
        if status in {409, 422}:
            raise Refused("witness-fork", f"{name} says that this log is not the one it cosigned.")
        if status == 404:
            raise Refused("witness-log-unknown", f"{name} does not witness this log.")
        if status >= 500 or status == 429:
            raise BadInput("witness-unreachable", f"{name} cannot answer now.")
        raise Refused("witness-refused", f"{name} refused this checkpoint with status {status}.")

    def _cosignature(self, body: bytes) -> Signature:
        wrong = BadInput("witness-wrong", f"{self.witness.key.name} gave no cosignature of its key for this text.")
        key = self.witness.key
        try:
            answered = signed_note.parse(f"{self.note.text}\n{body.decode()}")
            signed_note.require_signed(answered, key)
        except (UnicodeDecodeError, BadInput):
            raise wrong from None
        return next(s for s in answered.signatures if (s.name, s.key_id) == (key.name, key.key_id))

    def _post(self, body: bytes) -> tuple[int, str, bytes]:
        """Return status, type and body. An answer that drips in is cut off like one that does not come."""
        line = Line()
        try:
            return line.exchange(TIMEOUT_S, lambda: self._exchanged(body, line))
        except Exception:  # noqa: BLE001  # an address, or the machine's TLS: whatever it is, nobody's receipt waits
            raise BadInput("witness-unreachable", f"{self.witness.key.name} does not answer.") from None
        finally:
            line.close()

    def _exchanged(self, body: bytes, line: Line) -> tuple[int, str, bytes]:
        until, got = self._clock.monotonic() + TIMEOUT_S, bytearray()
        headers = {"content-type": "text/plain; charset=utf-8", "accept-encoding": "identity"}
        with ExitStack() as opened:
            client = self._client or opened.enter_context(httpx.Client(timeout=TIMEOUT_S, trust_env=False))
            answer = opened.enter_context(client.stream(
                "POST", f"{self.witness.url.rstrip('/')}/add-checkpoint", content=body, headers=headers,
                extensions={"trace": line.told}))
            for part in answer.iter_raw():
                got += part
                if len(got) > LARGEST_ANSWER or self._clock.monotonic() > until:
                    raise ValueError(len(got))
            return answer.status_code, answer.headers.get("content-type", ""), bytes(got)
