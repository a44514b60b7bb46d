"""renew: the notice has changed, and the person says yes to the new one (docs/flows.md, renew)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countenance.clock import end_of_day, utc_day
from countenance.consent import consents, notices
from countenance.consent.acts import act_from_channel
from countenance.consent.consents import Yes
from countenance.flows import enrol, people, receipts, scenarios
from countenance.quantities import Instant, PersonId, PurposeId

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


def renew(
    venue: Venue, person: PersonId, purpose: PurposeId, notice_hash: str, language: str, channel: str
) -> str:
    """Renew a consent, and return the receipt.

    (1) it is the person's act, not a message; (2) the notice they saw is the one in force; (3) the new
    consent takes the old one's place, the template stays; (4) receipt. Raises Refused: consent-message,
    consent-channel, notice-outdated, consent-missing.
    """
    act = act_from_channel(channel)                                         # (1)
    latest = _latest(venue, person)
    with venue.store.write() as unit:
        enrol.live_template(unit, person, purpose)
        consent, _ = consents.renew(unit, person, purpose, Yes(notice_hash, language, act), latest)   # (2) (3)
        people.keep(unit, person)
        events = receipts.events_of(unit, person, "consent-superseded", purpose)
        facts = receipts.agreed(venue, consent, notices.by_hash(unit, notice_hash))
        now = unit.now
    return receipts.write(venue, "renewal", person, now, events, facts)     # (4)


def _latest(venue: Venue, person: PersonId) -> Instant | None:
    """Return when the person's ticket ends, where no consent outlives it: a stay is not extended by renewing."""
    if not scenarios.ends_with_ticket(venue.settings):
        return None
    with venue.store.read() as unit:
        reference, today = people.profile(unit, venue.keys, person).reference, utc_day(unit.now)
    return end_of_day(venue.entitlement.require_good(reference, today).valid_until)
