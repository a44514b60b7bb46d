"""renew: the notice has changed, and the person says yes to the new one (docs/flows.md, renew)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countenance.clock import utc_text
from countenance.consent import consents, notices
from countenance.consent.acts import act_from_channel
from countenance.consent.consents import Yes
from countenance.flows import enrol, people, receipts
from countenance.quantities import PersonId, PurposeId

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
    with venue.store.write() as unit:
        enrol.live_template(unit, person, purpose)
        consent, entry = consents.renew(unit, person, purpose, Yes(notice_hash, language, act))   # (2) (3)
        people.keep(unit, person)
        text = notices.by_hash(unit, notice_hash).texts[language]
        now = unit.now
    return receipts.write(venue, "renewal", person, now, entry, {           # (4)
        "purpose": purpose, "notice": notice_hash, "notice_text": text, "language": language,
        "act": act.value, "expires_at": utc_text(consent.expires_at)})
