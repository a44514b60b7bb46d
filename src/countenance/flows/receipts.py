"""Receipts that the stories hand out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from countenance.clock import utc_text
from countenance.formats import receipts as form
from countenance.quantities import Instant, PersonId
from countenance.storage.outbox import Entry

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


def write(venue: Venue, kind: str, person: PersonId, at: Instant, entry: Entry, facts: dict[str, Any]) -> str:
    """Return a signed receipt. It holds the person's own event, with the nonce that opens its leaf."""
    signer = venue.signer("receipt")
    return form.write({
        "kind": kind, "venue": venue.venue_id, "venue_name": venue.settings.name, "person": person,
        "at": utc_text(at), "event": {"leaf": entry.leaf.hex(), "nonce": entry.nonce.hex(),
                                      "record": entry.record.hex()},
        **facts}, signer.key, signer.kid)
