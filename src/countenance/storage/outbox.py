"""Events, written in the transaction of the change that they tell of (DESIGN 4).

An event about nobody is in the clear. An event about a person is sealed under that person's record key and
its row names nobody; what stands in the clear is its leaf, SHA-256(nonce ‖ record), which says nothing
without the nonce. Each record carries its number in the person's chain and the leaf before it, so that
a person can see that nothing of theirs was left out. The head of the chain is sealed in the person's row.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, bindparam, func, insert, select, update

from countenance.errors import StoreFault
from countenance.formats import canonical
from countenance.quantities import Instant, KeyId, PersonId
from countenance.storage import schema

NONCE_BYTES = 32


class Sealer(Protocol):
    """What the outbox needs of the vault."""

    def seal_record(self, key: KeyId, person: PersonId, label: str, plain: bytes) -> bytes:
        """Seal `plain` under a person's record key."""

    def open_record(self, key: KeyId, person: PersonId, label: str, sealed: bytes) -> bytes:
        """Open it again. Raises StoreFault(key-destroyed, sealed-altered)."""

    def note(self, count: int, keys: Sequence[KeyId] = ()) -> None:
        """Keep outside both stores how often something has ended, and which keys with it (Unit.move_forward)."""


@dataclass(frozen=True)
class Entry:
    """One event of a person, as they may take it home."""

    leaf: bytes
    nonce: bytes
    record: bytes


def _entry(record: bytes) -> Entry:
    nonce = os.urandom(NONCE_BYTES)
    return Entry(hashlib.sha256(nonce + record).digest(), nonce, record)


@dataclass
class _Head:
    key: KeyId
    number: int
    leaf: bytes
    row: int
    moved: bool = False


_PERSON = schema.person.c.person_id == bindparam("whose")
_HEAD_OF = select(schema.person.c.record_key, schema.person.c.sealed_head).where(_PERSON)
_SET_HEAD = update(schema.person).where(_PERSON).values(sealed_head=bindparam("sealed"))
_NEWEST = select(func.max(schema.event.c.event_id))
_ADD = insert(schema.event)


class Outbox:
    """The events of one unit of work. `flush` writes them; nothing is written before."""

    def __init__(self, connection: Connection, sealer: Sealer, now: Instant) -> None:
        self._connection = connection
        self._sealer = sealer
        self._now = now
        self._rows: list[dict[str, Any]] = []
        self._heads: dict[PersonId, _Head] = {}
        self._next_row: int | None = None

    def tell(self, kind: str, body: dict[str, Any]) -> None:
        """Record an event about no person, in the clear."""
        clear = canonical.encode({"type": kind, "at": self._now, "body": body})
        self._add(hashlib.sha256(clear).digest(), clear=clear)

    def tell_of(self, person: PersonId, kind: str, body: dict[str, Any]) -> Entry:
        """Record an event about a person, sealed; it becomes the head of their chain."""
        head = self._head(person)
        record = canonical.encode({
            "type": kind, "at": self._now, "number": head.number + 1, "before": head.leaf,
            "row_before": head.row, "body": body,
        })
        entry = _entry(record)
        sealed = self._sealer.seal_record(head.key, person, "event", entry.nonce + record)
        row = self._add(entry.leaf, sealed=sealed)
        self._heads[person] = _Head(head.key, head.number + 1, entry.leaf, row, moved=True)
        return entry

    def tell_of_even_if_lost(self, person: PersonId, kind: str, body: dict[str, Any]) -> Entry:
        """As `tell_of`; where the person's record key is gone the event stands alone, by its leaf only.

        For withdrawing and erasing: nothing that is lost may keep a face.
        """
        try:
            return self.tell_of(person, kind, body)
        except StoreFault as fault:
            if fault.code not in {"key-destroyed", "key-altered", "sealed-altered"}:
                raise
        self._heads.pop(person, None)
        return self.tell_for(kind, body)

    def tell_for(self, kind: str, body: dict[str, Any]) -> Entry:
        """Record an event in nobody's chain whose record only the holder of the returned entry knows."""
        entry = _entry(canonical.encode({
            "type": kind, "at": self._now, "number": 0, "before": b"", "row_before": 0, "body": body}))
        self.tell("leaf", {"leaf": entry.leaf})
        return entry

    def begin_chain(self, person: PersonId, key: KeyId) -> None:
        """Take note of a person whose row was written in this very unit of work."""
        self._heads[person] = _Head(key, 0, b"", 0)

    def go_on_with(self, person: PersonId, key: KeyId, sealed_head: bytes | None) -> None:
        """Take note of a person whose row was just read, so that it is not read again."""
        self._heads[person] = self._opened_head(person, key, sealed_head)

    def flush(self) -> None:
        """Write events and heads; the last thing before the commit. Nothing is left to write after it."""
        if self._rows:
            self._connection.execute(_ADD, self._rows)
        moved = [
            {"whose": person, "sealed": self._sealed_head(person, head)}
            for person, head in self._heads.items() if head.moved
        ]
        if moved:
            self._connection.execute(_SET_HEAD, moved)
        self._rows, self._heads = [], {}

    def seal_for(self, person: PersonId, label: str, plain: bytes) -> bytes:
        """Seal something beside the chain under a person's record key. Raises StoreFault as `Sealer`."""
        return self._sealer.seal_record(self._key_of(person), person, label, plain)

    def open_for(self, person: PersonId, label: str, sealed: bytes) -> bytes:
        """Open what `seal_for` made. Raises StoreFault as `Sealer`."""
        return self._sealer.open_record(self._key_of(person), person, label, sealed)

    def _key_of(self, person: PersonId) -> KeyId:
        if person in self._heads:
            return self._heads[person].key
        return KeyId(self._row_of(person).record_key)

    def _row_of(self, person: PersonId) -> Any:
        found = self._connection.execute(_HEAD_OF, {"whose": person}).one_or_none()
        if found is None:
            raise StoreFault("person-unknown", "There is no record of this person.")
        return found

    def chain(self, person: PersonId) -> list[Entry]:
        """Return all events of a person, newest first. Raises StoreFault(chain-broken) where one is missing."""
        head = self._head(person)
        entries: list[Entry] = []
        row, leaf = head.row, head.leaf
        while row:
            found = self._connection.execute(
                select(schema.event.c.leaf, schema.event.c.sealed).where(schema.event.c.event_id == row)
            ).one_or_none()
            if found is None or found.leaf != leaf or found.sealed is None:
                raise StoreFault("chain-broken", "An event of this person's history is missing.")
            opened = self._sealer.open_record(head.key, person, "event", found.sealed)
            if hashlib.sha256(opened).digest() != leaf:  # the sealed part of another event of theirs
                raise StoreFault("chain-broken", "An event of this person's history is missing.")
            entry = Entry(leaf, opened[:NONCE_BYTES], opened[NONCE_BYTES:])
            entries.append(entry)
            record = canonical.decode(entry.record, "event")
            row, leaf = record["row_before"], record["before"]
        return entries

    def _add(self, leaf: bytes, clear: bytes | None = None, sealed: bytes | None = None) -> int:
        if self._next_row is None:  # BEGIN IMMEDIATE: nobody else adds rows meanwhile
            newest = self._connection.execute(_NEWEST).scalar_one()
            self._next_row = (newest or 0) + 1
        row = self._next_row
        self._next_row += 1
        self._rows.append({"event_id": row, "leaf": leaf, "clear": clear, "sealed": sealed, "published": False})
        return row

    def _head(self, person: PersonId) -> _Head:
        if person not in self._heads:
            found = self._row_of(person)
            self.go_on_with(person, KeyId(found.record_key), found.sealed_head)
        return self._heads[person]

    def _opened_head(self, person: PersonId, key: KeyId, sealed: bytes | None) -> _Head:
        if sealed is None:
            return _Head(key, 0, b"", 0)
        opened = self._sealer.open_record(key, person, "head", sealed)
        number, leaf, row = canonical.decode(opened, "event")
        return _Head(key, number, leaf, row)

    def _sealed_head(self, person: PersonId, head: _Head) -> bytes:
        plain = canonical.encode([head.number, head.leaf, head.row])
        return self._sealer.seal_record(head.key, person, "head", plain)
