"""What a venue asks a ticketing system, what that answers, and what is kept of it (docs/formats/entitlement.md).

Question and answers are COSE_Sign1 over deterministic CBOR: the question by the venue's key "door", the answers by the
ticketing system's. An answer names the SHA-256 of the whole question, which holds a random nonce, so that it fits no
other. Nothing here concerns a face.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput, Refused
from countenance.formats import canonical, cose
from countenance.quantities import END_OF_TIME, HOUR, MINUTE, Instant, VenueId

_QUESTION = "countenance/ticket-question/1"
_ANSWERS = "countenance/ticket-answers/1"
_CACHE = "countenance/ticket-cache/1"

MOST = 2_000
"""Tickets in one question: with the longest names their answers stay below 1 MiB."""

MOST_KEPT = 100_000
MOST_AT_ONCE = 50
"""How many people one scan admits at most. Fewer is stricter."""

LONGEST = 128
"""Bytes of a reference or of a household's name."""

NONCE_BYTES = 16
SKEW_S = MINUTE
"""Seconds by which the two clocks may differ. Shorter is stricter."""

LAST_YEAR = 2999
LARGEST_CACHE = 64 << 20
_LANGUAGE = re.compile(r"([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3})?")
_MOST_HOURS = 72
_NEVER = Instant(0)
_HASH_BYTES = 32


class State(Enum):
    """What the ticketing system says of a ticket on a day. `EARLY`: it opens on a later day."""

    GOOD = "good"
    UNKNOWN = "unknown"
    ENDED = "ended"
    EARLY = "early"


@dataclass(frozen=True)
class Answer:
    """One ticket on one day. What stands behind `state` is only said of a good one.

    `party`: people of its household with a good ticket, itself included; `not_before`: nobody enters by it before
    this moment (no re-entry), 0 where there is none.
    """

    reference: str
    state: State
    household: str = ""
    party: int = 0
    valid_until: date = date.min
    not_before: Instant = _NEVER
    language: str = ""

    def require_good(self, on: date, now: Instant) -> None:
        """Raise Refused (ticket-unknown, ticket-expired, ticket-early, ticket-too-soon) unless it is good then."""
        if self.state is State.UNKNOWN:
            raise Refused("ticket-unknown", "There is no ticket with this reference.")
        if self.state is State.EARLY:
            raise Refused("ticket-early", "This ticket is for a later day.")
        if self.state is State.ENDED or on > self.valid_until:
            raise Refused("ticket-expired", "This ticket has expired.")
        if now < self.not_before:
            raise Refused("ticket-too-soon", "This ticket was used a short while ago.")


@dataclass(frozen=True)
class Question:
    """`references`: ascending, none twice, 1 to MOST. `nonce`: NONCE_BYTES random bytes. `on`: the UTC day."""

    venue: VenueId
    on: date
    at: Instant
    nonce: bytes
    references: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """An answer with the day that it is about and the moment at which it was had."""

    answer: Answer
    on: date
    given_at: Instant

    def ends(self, hours: int) -> Instant:
        """Return the first moment at which it stands for nothing any more, asked or not."""
        return Instant(self.given_at + hours * HOUR)

    def stands(self, now: Instant, hours: int) -> bool:
        """Say whether it may stand in for a ticketing system that is silent. One from the future does not."""
        return self.given_at - HOUR <= now < self.ends(hours)


@dataclass(frozen=True)
class Cache:
    """What was kept. `hours`: how long an answer stands in for a ticketing system that is silent."""

    venue: VenueId
    hours: int
    kept: dict[str, Kept]


def may_be_asked(reference: str) -> bool:
    """Say whether a booking number has a form that a question can hold."""
    try:
        return 0 < len(reference.encode()) <= LONGEST
    except UnicodeEncodeError:
        return False


def write_question(question: Question, key: Ed25519PrivateKey, kid: bytes) -> bytes:
    """Return the signed message."""
    return cose.sign1(canonical.encode({
        "format": _QUESTION, "venue": question.venue, "on": question.on.isoformat(), "at": question.at,
        "nonce": question.nonce, "references": list(question.references)}), key, kid)


def read_question(message: bytes, key: Ed25519PublicKey) -> Question:
    """Read and verify. Raises BadInput(ticket-question-malformed, ticket-question-altered). The time is the reader's.

    For a ticketing system: whether `at` is within SKEW_S, the venue its own and the nonce a new one.
    """
    what = "ticket-question"
    payload = cose.verify1(message, key, what)
    value = _map(canonical.decode(payload, what), what, {
        "format": str, "venue": str, "on": str, "at": int, "nonce": bytes, "references": list})
    references = value["references"]
    if (value["format"] != _QUESTION or len(value["nonce"]) != NONCE_BYTES or not 0 < len(references) <= MOST
            or not all(type(one) is str and may_be_asked(one) for one in references)
            or any(one >= other for one, other in pairwise(references))):
        raise _malformed(what)
    return Question(VenueId(value["venue"]), _day(value["on"], what), _moment(value["at"], what), value["nonce"],
                    tuple(references))


def write_answers(answers: Sequence[Answer], asked: bytes, on: date, at: Instant, key: Ed25519PrivateKey,
                  kid: bytes) -> bytes:
    """Return the signed answers to the question whose message is `asked`."""
    return cose.sign1(canonical.encode({
        "format": _ANSWERS, "question": hashlib.sha256(asked).digest(), "on": on.isoformat(), "at": at,
        "tickets": [_plain(answer) for answer in answers]}), key, kid)


def read_answers(message: bytes, key: Ed25519PublicKey, asked: bytes, question: Question,
                 now: Instant) -> tuple[Answer, ...]:
    """Read, verify, and hold against the question; one answer for each reference, in its order.

    Raises BadInput: tickets-malformed, tickets-altered, tickets-other-question, tickets-other-day, tickets-stale (not
    of this minute), tickets-other (one left out, added, or twice). Then nothing of it counts.
    """
    what = "tickets"
    value = _map(canonical.decode(cose.verify1(message, key, what), what), what, {
        "format": str, "question": bytes, "on": str, "at": int, "tickets": list})
    if value["format"] != _ANSWERS or len(value["question"]) != _HASH_BYTES:
        raise _malformed(what)
    on, at = _day(value["on"], what), _moment(value["at"], what)
    if value["question"] != hashlib.sha256(asked).digest():
        raise BadInput("tickets-other-question", "The ticketing system answered another question.")
    if on != question.on:
        raise BadInput("tickets-other-day", "The ticketing system answered for another day.")
    if abs(now - at) > SKEW_S:
        raise BadInput("tickets-stale", "The answer is not of this minute, or one of the two clocks is wrong.")
    answers = tuple(_answer(ticket, what) for ticket in value["tickets"])
    if tuple(answer.reference for answer in answers) != question.references:
        raise BadInput("tickets-other", "The ticketing system did not answer for exactly the tickets asked about.")
    if any(answer.state is State.GOOD and answer.valid_until < on for answer in answers):
        raise _malformed(what)
    return answers


def write_cache(cache: Cache) -> bytes:
    """Return the bytes of `tickets.cache`."""
    return canonical.encode({
        "format": _CACHE, "venue": cache.venue, "hours": cache.hours,
        "kept": [_plain(one.answer) | {"on": one.on.isoformat(), "given_at": one.given_at}
                 for _, one in sorted(cache.kept.items())]})


def read_cache(data: bytes) -> Cache:
    """Read what `write_cache` wrote. Raises BadInput(ticket-cache-malformed)."""
    what = "ticket-cache"
    value = _map(canonical.decode(data, what, LARGEST_CACHE), what, {
        "format": str, "venue": str, "hours": int, "kept": list})
    if value["format"] != _CACHE or not 0 < value["hours"] <= _MOST_HOURS or len(value["kept"]) > MOST_KEPT:
        raise _malformed(what)
    kept = [_kept(one, what) for one in value["kept"]]
    if any(one.answer.reference >= other.answer.reference for one, other in pairwise(kept)):
        raise _malformed(what)
    return Cache(VenueId(value["venue"]), value["hours"], {one.answer.reference: one for one in kept})


def _kept(value: Any, what: str) -> Kept:
    if not isinstance(value, Mapping) or not {"on", "given_at"} <= set(value):
        raise _malformed(what)
    ticket = {name: part for name, part in value.items() if name not in {"on", "given_at"}}
    if type(value["on"]) is not str or type(value["given_at"]) is not int:
        raise _malformed(what)
    return Kept(_answer(ticket, what), _day(value["on"], what), _moment(value["given_at"], what))


def _plain(answer: Answer) -> dict[str, Any]:
    named: dict[str, Any] = {"reference": answer.reference, "state": answer.state.value}
    if answer.state is not State.GOOD:
        return named
    return named | {"household": answer.household, "party": answer.party, "not_before": answer.not_before,
                    "valid_until": answer.valid_until.isoformat(), "language": answer.language}


_SAID = {"reference": str, "state": str}
_SAID_GOOD = _SAID | {"household": str, "party": int, "valid_until": str, "not_before": int, "language": str}
_NOT_GOOD = {state.value: state for state in State if state is not State.GOOD}


def _answer(value: Any, what: str) -> Answer:
    good = isinstance(value, Mapping) and value.get("state") == State.GOOD.value
    value = _map(value, what, _SAID_GOOD if good else _SAID)
    if not may_be_asked(value["reference"]):
        raise _malformed(what)
    if not good:
        if value["state"] not in _NOT_GOOD:
            raise _malformed(what)
        return Answer(value["reference"], _NOT_GOOD[value["state"]])
    if (len(value["household"].encode()) > LONGEST or not 1 <= value["party"] <= MOST_AT_ONCE
            or not 0 <= value["not_before"] < END_OF_TIME or not _LANGUAGE.fullmatch(value["language"])):
        raise _malformed(what)
    return Answer(value["reference"], State.GOOD, value["household"], value["party"],
                  _day(value["valid_until"], what), Instant(value["not_before"]), value["language"])


def _map(value: Any, what: str, kinds: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(kinds):
        raise _malformed(what)
    if any(type(value[name]) is not kind for name, kind in kinds.items()):
        raise _malformed(what)
    return value


def _day(text: str, what: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise _malformed(what) from None
    if day.isoformat() != text or day.year > LAST_YEAR:
        raise _malformed(what)
    return day


def _moment(value: int, what: str) -> Instant:
    if not 0 < value < END_OF_TIME:
        raise _malformed(what)
    return Instant(value)


def _malformed(what: str) -> BadInput:
    return BadInput(f"{what}-malformed", "These are no tickets in the form that a venue and its ticketing share.")
