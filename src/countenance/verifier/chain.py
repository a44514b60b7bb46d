"""The events of one person: each opens its leaf, stands in the log, and follows the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from countenance.errors import BadInput
from countenance.formats import log_entries, merkle
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.log_entries import NONCE_BYTES, Record
from countenance.formats.receipts import Proven

NAMING = frozenset({"consent-given", "consent-renewed", "template-erased", "person-erased"})
"""Types of event whose body has the person's id."""


def opened(events: Sequence[Proven]) -> list[Record]:
    """Return what each event says. Raises BadInput: leaf-other, entry-malformed."""
    return [_opened(event) for event in events]


def require_links(events: Sequence[Proven], records: Sequence[Record], *, nobodys: bool) -> None:
    """Check that each event follows the one before it in the person's chain, without a gap.

    `nobodys`: an event in nobody's chain (number 0) may stand alone; it breaks none. Raises BadInput(chain-gap).
    """
    last: tuple[int, bytes] | None = None
    for event, record in zip(events, records, strict=True):
        first = record.number < 2
        broken = first == bool(record.before) or not (record.number or nobodys)
        if record.number:
            broken = broken or (last is not None and last != (record.number - 1, record.before))
            last = record.number, event.leaf
        if broken:
            raise BadInput("chain-gap", "An event is missing, or is somebody else's, or not in its place.")


def require_whole(events: Sequence[Proven], records: Sequence[Record]) -> None:
    """Check that a chain begins at 1 and has no gap. That it goes on after its last event, nobody can see from it.

    Raises BadInput(chain-gap).
    """
    require_links(events, records, nobodys=False)
    if [record.number for record in records] != list(range(1, len(records) + 1)):
        raise BadInput("chain-gap", "An event is missing, or is somebody else's, or not in its place.")


def require_included(events: Sequence[Proven], head: Checkpoint) -> None:
    """Check that each event is in the log. Raises BadInput(inclusion-wrong)."""
    for event in events:
        leaf = merkle.leaf_hash(log_entries.sealed(event.leaf))
        merkle.require_inclusion(leaf, event.index, head.size, event.proof, head.root)


def require_person(records: Sequence[Record], person: str) -> None:
    """Check that each event that names its person names this one. Older ones name nobody. Raises BadInput(facts-other).
    """
    if any(record.type in NAMING and not same(record.body.get("person", person), person) for record in records):
        raise BadInput("facts-other", "An event in the log names another person.")


def same(one: Any, other: Any) -> bool:
    """Say whether two values of a body are alike, of one type too: in Python True is 1."""
    return type(one) is type(other) and bool(one == other)


def _opened(event: Proven) -> Record:
    if len(event.nonce) != NONCE_BYTES or log_entries.leaf_of(event.nonce, event.record) != event.leaf:
        raise BadInput("leaf-other", "An event is not what its leaf in the log was made from.")
    return log_entries.read_record(event.record)
