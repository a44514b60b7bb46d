"""Events, written in the transaction of the change that they tell of, each with its place in the log (DESIGN 4).

An event about nobody is in the clear. One about a person is sealed under that person's record key and its row names
nobody: what stands in the log is its leaf, SHA-256(nonce ‖ record), and the row is found again by a tag that only
whoever holds the record key can compute. No row of the person changes with it, all rows have one length, and a row
whose key is gone cannot be told from any other such row. Each record carries its number in the person's chain and
the leaf before it, so that a person can see that nothing of theirs was left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from sqlalchemy import Connection, bindparam, insert, select

from countenance.errors import StoreFault
from countenance.formats import log_entries
from countenance.formats.log_entries import NONCE_BYTES, Record
from countenance.quantities import Instant, KeyId, PersonId
from countenance.storage import schema, sequence

TAG_BYTES = 16
SEALED_STEP = 512
"""Bytes. What is sealed is filled up to a multiple of this, so that its length does not say what it is."""

_LENGTH_BYTES, _OVERHEAD = 4, 28  # of the record's length; nonce and tag of AES-GCM
_AHEAD = range(2, 10)  # of the number at which a chain seems to end
CHAFF_BYTES = SEALED_STEP + _OVERHEAD
"""How long a sealed record mostly is."""


class Sealer(Protocol):
    """What the outbox needs of the vault."""

    def seal_record(self, key: KeyId, person: PersonId, label: str, plain: bytes) -> bytes:
        """Seal `plain` under a person's record key."""

    def open_record(self, key: KeyId, person: PersonId, label: str, sealed: bytes) -> bytes:
        """Open it again. Raises StoreFault(key-destroyed, sealed-altered)."""

    def tag_record(self, key: KeyId, person: PersonId, number: int) -> bytes:
        """Return 16 bytes that nobody without the record key can compute or tell from random ones."""

    def note(self, count: int, keys: Sequence[KeyId] = ()) -> None:
        """Keep outside both stores how often something has ended, and which keys with it (Unit.move_forward)."""


@dataclass(frozen=True)
class Entry:
    """One event of a person, as they may take it home. `row`: its event_id, from which its place in the log follows."""

    leaf: bytes
    nonce: bytes
    record: bytes
    row: int


@dataclass(frozen=True)
class Mark:
    """How far a unit of work had come."""

    rows: tuple[dict[str, Any], ...]
    heads: dict[PersonId, _Head]
    log: sequence.Head | None


@dataclass
class _Head:
    key: KeyId
    number: int
    leaf: bytes


_PERSON = schema.person.c.person_id == bindparam("whose")
_KEY_OF = select(schema.person.c.record_key).where(_PERSON)
_TAGGED = select(schema.event).where(schema.event.c.tag == bindparam("wanted")).order_by(
    schema.event.c.event_id.desc()).limit(1)
_TWO_TAGGED = select(schema.event).where(
    schema.event.c.tag.in_([bindparam("one"), bindparam("other")])).order_by(schema.event.c.event_id)
_ADD = insert(schema.event)
_BROKEN = "An event of this person's history is missing."


class Outbox:
    """The events of one unit of work. `flush` writes them; nothing is written before."""

    def __init__(self, connection: Connection, sealer: Sealer, now: Instant,
                 hints: dict[PersonId, int] | None = None) -> None:
        self._connection = connection
        self._sealer = sealer
        self._now = now
        self._rows: list[dict[str, Any]] = []
        self._heads: dict[PersonId, _Head] = {}
        self._log: sequence.Head | None = None
        self._hints = {} if hints is None else hints

    def tell(self, kind: str, body: dict[str, Any]) -> int:
        """Record an event about no person, in the clear; return its row. Raises BadInput(entry-too-large)."""
        return self._add(log_entries.clear(kind, self._now, body))

    def tell_of(self, person: PersonId, kind: str, body: dict[str, Any]) -> Entry:
        """Record an event about a person, sealed; it becomes the head of their chain."""
        head = self._head(person)
        record = Record(kind, self._now, head.number + 1, head.leaf, body).encode()
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._sealer.seal_record(head.key, person, "event", _filled(nonce, record))
        tag = self._sealer.tag_record(head.key, person, head.number + 1)
        entry = self._added(nonce, record, tag, sealed)
        self._heads[person] = _Head(head.key, head.number + 1, entry.leaf)
        return entry

    def tell_of_even_if_lost(self, person: PersonId, kind: str, body: dict[str, Any]) -> Entry:
        """As `tell_of`; where the person's record key, or the log, is gone the event stands alone, by its leaf only.

        For withdrawing and erasing: nothing that is lost may keep a face.
        """
        try:
            return self.tell_of(person, kind, body)
        except StoreFault as fault:
            if fault.code not in {"key-destroyed", "key-altered", "sealed-altered", "log-missing"}:
                raise
        self._heads.pop(person, None)
        return self.tell_for(kind, body)

    def tell_for(self, kind: str, body: dict[str, Any]) -> Entry:
        """Record an event in nobody's chain whose record only the holder of the returned entry knows.

        In the place of tag and sealed record stand random bytes: the row looks like one whose key is gone. Where the
        log itself is lost nothing is written (`row` -1), and nobody's erasure waits for it.
        """
        nonce, record = os.urandom(NONCE_BYTES), Record(kind, self._now, 0, b"", body).encode()
        length = len(_filled(nonce, record)) + _OVERHEAD
        try:
            return self._added(nonce, record, os.urandom(TAG_BYTES), os.urandom(length))
        except StoreFault as fault:
            if fault.code != "log-missing":
                raise
            return Entry(log_entries.leaf_of(nonce, record), nonce, record, -1)

    def begin_chain(self, person: PersonId, key: KeyId) -> None:
        """Take note of a person whose row was written in this very unit of work."""
        self._heads[person] = _Head(key, 0, b"")

    def go_on_with(self, person: PersonId, key: KeyId) -> None:
        """Take note of a person whose row was just read, so that it is not read again."""
        if person not in self._heads:  # of which the newest event may not be written yet
            self._heads[person] = self._newest(person, key)

    def flush(self) -> None:
        """Write the events and give them their place in the log. Raises StoreFault(log-fenced)."""
        if self._log is not None:
            self._connection.execute(_ADD, self._rows)
            sequence.advance(self._connection, self._log, len(self._rows))
            self._hints.update({person: head.number for person, head in self._heads.items()})
        self._rows, self._log = [], None

    def mark(self) -> Mark:
        """Return how far this unit of work has come, for `back_to`."""
        return Mark(tuple(self._rows), dict(self._heads), self._log)

    def back_to(self, mark: Mark) -> None:
        """Go on from a mark; the transaction undoes what was written since, and what it was not yet is written then."""
        self._rows, self._heads, self._log = list(mark.rows), dict(mark.heads), mark.log

    def seal_for(self, person: PersonId, label: str, plain: bytes) -> bytes:
        """Seal something beside the chain under a person's record key. Raises StoreFault as `Sealer`."""
        return self._sealer.seal_record(self._key_of(person), person, label, plain)

    def open_for(self, person: PersonId, label: str, sealed: bytes) -> bytes:
        """Open what `seal_for` made. Raises StoreFault as `Sealer`."""
        return self._sealer.open_record(self._key_of(person), person, label, sealed)

    def newest(self, person: PersonId, most: int) -> Iterator[Entry]:
        """Yield at most `most` of a person's newest events, newest first. Raises StoreFault(chain-broken) at a gap."""
        self.flush()
        key = self._key_of(person)
        last = self._newest(person, key).number
        for number in range(last, max(0, last - most), -1):
            yield self._opened(person, key, number)

    def chain(self, person: PersonId) -> list[Entry]:
        """Return all events of a person, newest first. Raises StoreFault(chain-broken) where one is missing."""
        key = self._key_of(person)
        newest = self._newest(person, key)
        if any(self._tagged(person, key, newest.number + ahead) is not None for ahead in _AHEAD):
            raise StoreFault("chain-broken", _BROKEN)  # the search ended at a gap
        entries = [self._opened(person, key, number) for number in range(newest.number, 0, -1)]
        for later, entry in pairwise([*entries, None]):
            before = entry.leaf if entry else b""
            if later and log_entries.read_record(later.record).before != before:
                raise StoreFault("chain-broken", _BROKEN)
        return entries

    def _opened(self, person: PersonId, key: KeyId, number: int) -> Entry:
        row = self._tagged(person, key, number)
        if row is None or row.sealed is None:
            raise StoreFault("chain-broken", _BROKEN)
        nonce, record = _emptied(self._sealer.open_record(key, person, "event", row.sealed))
        leaf = log_entries.leaf_of(nonce, record)
        if row.entry != log_entries.sealed(leaf) or log_entries.read_record(record).number != number:
            raise StoreFault("chain-broken", _BROKEN)  # the sealed part, or the tag, of another event of theirs
        return Entry(leaf, nonce, record, row.event_id)

    def _newest(self, person: PersonId, key: KeyId) -> _Head:
        """Find the end of a person's chain: by doubling, then by halving, as tags are found by number only.

        A hint of where it was a moment ago (it may be wrong) makes that one lookup.
        """
        low = self._hints.get(person, 0)
        found, row = self._next_to(person, key, low) if low else (None, None)
        if found is None:
            low, row = 0, self._tagged(person, key, 1)
        step, high = 1, low + 1
        while row is not None:
            found, low, step, high = row, high, step * 2, high + step * 2
            row = self._tagged(person, key, high)
        while high - low > 1:
            middle = (low + high) // 2
            row = self._tagged(person, key, middle)
            found, low, high = (row, middle, high) if row is not None else (found, low, middle)
        return _Head(key, low, b"" if found is None else found.entry[1:])

    def _next_to(self, person: PersonId, key: KeyId, number: int) -> tuple[Any, Any]:
        """Return the newest rows of an event and of the one after it."""
        one, other = (self._sealer.tag_record(key, person, number + more) for more in (0, 1))
        rows = {row.tag: row for row in self._connection.execute(_TWO_TAGGED, {"one": one, "other": other})}
        return rows.get(one), rows.get(other)

    def _tagged(self, person: PersonId, key: KeyId, number: int) -> Any:
        return self._connection.execute(
            _TAGGED, {"wanted": self._sealer.tag_record(key, person, number)}).one_or_none()

    def _added(self, nonce: bytes, record: bytes, tag: bytes, sealed: bytes) -> Entry:
        leaf = log_entries.leaf_of(nonce, record)
        return Entry(leaf, nonce, record, self._add(log_entries.sealed(leaf), tag, sealed))

    def _add(self, entry: bytes, tag: bytes | None = None, sealed: bytes | None = None) -> int:
        if self._log is None:  # BEGIN IMMEDIATE: nobody else adds rows meanwhile
            self._log = sequence.head(self._connection)
        row = self._log.next_id + len(self._rows)
        self._rows.append({"event_id": row, "entry": entry, "tag": tag, "sealed": sealed})
        return row

    def _head(self, person: PersonId) -> _Head:
        if person not in self._heads:
            self.go_on_with(person, self._key_of(person))
        return self._heads[person]

    def _key_of(self, person: PersonId) -> KeyId:
        if person in self._heads:
            return self._heads[person].key
        found = self._connection.execute(_KEY_OF, {"whose": person}).scalar_one_or_none()
        if found is None:
            raise StoreFault("person-unknown", "There is no record of this person.")
        return KeyId(found)


def _filled(nonce: bytes, record: bytes) -> bytes:
    plain = nonce + len(record).to_bytes(_LENGTH_BYTES) + record
    return plain + bytes(-len(plain) % SEALED_STEP)


def _emptied(plain: bytes) -> tuple[bytes, bytes]:
    start = NONCE_BYTES + _LENGTH_BYTES
    length = int.from_bytes(plain[NONCE_BYTES:start])
    return plain[:NONCE_BYTES], plain[start:start + length]
