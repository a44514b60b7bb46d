"""Is this pass good at the lane without faces? The one place that says so, for the process and for the stories.

Needs a public key, the venue's id, tickets, and a list of replaced passes where there is one: no database and no
secret key, so that whatever happens to faces, this lane stays open (DESIGN 1.7).
"""

from __future__ import annotations

from datetime import date
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from countenance.clock import utc_day
from countenance.errors import BadInput, Refused
from countenance.formats import cose
from countenance.formats import passes as form
from countenance.formats.passes import Pass
from countenance.formats.revocations import RevocationList
from countenance.lane.tickets import Ticket
from countenance.quantities import HOUR, Instant, VenueId


class PublicKeys(Protocol):
    """Who signs passes here, and the ids of the keys that sign no more."""

    @property
    def key(self) -> Ed25519PublicKey:
        """The key in force."""

    @property
    def retired(self) -> frozenset[bytes]:
        """Ids of keys; what they signed is good no more."""


class Tickets(Protocol):
    """Whose ticket is good."""

    def require_good(self, reference: str, on: date) -> Ticket:
        """Return the ticket. Raises Refused(ticket-*), StoreFault."""


def require_good(text: str, keys: PublicKeys, venue: VenueId, tickets: Tickets, now: Instant,
                 revoked: RevocationList | None = None) -> Ticket:
    """Check a pass for the lane without faces; return the ticket it stands for.

    Every pass is good here, the one of somebody who withdrew too. `revoked`, however old, names passes that were
    replaced; it also witnesses that it is no earlier than its own date, so that a clock that was set back, or began
    in 1970, makes no pass one of the future.
    Raises BadInput (pass-*), Refused (pass-other-venue, pass-retired, pass-expired, pass-void, ticket-*), StoreFault.
    """
    content = require_ours(text, keys, venue)
    require_in_time(content, now, now if revoked is None else Instant(max(now, revoked.issued_at)))
    if revoked is not None:
        revoked.require_not_void(content)
    return tickets.require_good(content.reference, utc_day(now))


def require_ours(text: str, keys: PublicKeys, venue: VenueId) -> Pass:
    """Read a pass that this venue's key in force signed. Raises BadInput(pass-*), Refused(pass-*)."""
    kid = form.peek_kid(text)
    if kid in keys.retired:
        raise Refused("pass-retired",
                      "This pass was signed with a retired key; the desk gives a new one, or withdraws without it.")
    _of_this_venue(kid, cose.key_id(keys.key))
    content = form.read(text, keys.key)
    _of_this_venue(content.venue, venue)
    return content


def require_in_time(content: Pass, now: Instant, latest: Instant) -> None:
    """Raise where a pass has expired `now`, or was made later than at `latest`, the latest that it can be.

    Raises BadInput(pass-from-future), Refused(pass-expired). A later `now` is stricter, a later `latest` laxer.
    """
    if content.issued_at > latest + HOUR:
        raise BadInput("pass-from-future", "This pass was made later than now; the clock here may be wrong.")
    if now >= content.expires_at:
        raise Refused("pass-expired", "This pass has expired.")


def _of_this_venue(found: bytes | str, expected: bytes | str) -> None:
    if found != expected:
        raise Refused("pass-other-venue", "This pass is of another venue, or signed by a key not known here.")
