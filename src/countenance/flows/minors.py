"""Children: their age is asked, never guessed; a guardian of the same household agrees; own, narrower rules.

One to one only, under the child's own pass, for half a year at most. Nobody's date of birth is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from countenance import settings
from countenance.clock import utc_day
from countenance.consent.acts import Act, Age
from countenance.consent.consents import Yes
from countenance.consent.notices import Purpose
from countenance.errors import CountenanceError, Refused
from countenance.flows.found import CALIBRATED
from countenance.flows.ports import Ticket
from countenance.formats.passes import Custody

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


def under_years(venue: Venue) -> int:
    """Return the age below which a guardian agrees, by the venue's regime."""
    return int(settings.parameters(venue.settings.regime)["minors_under_years"])


def answered(venue: Venue, purpose: Purpose, ticket: Ticket, yes: Yes) -> Yes:
    """Return the yes, of a child as its guardian's act.

    Raises Refused: age-unasked (not where a venue is for trying out), minor-search, guardian-missing, guardian-other.
    """
    if yes.age is Age.OF_AGE:
        return yes
    if yes.age is Age.UNASKED:
        if venue.settings.threshold == CALIBRATED:
            raise Refused("age-unasked", f"Ask first whether they are {under_years(venue)} or older; nobody guesses.")
        return yes
    if purpose.comparison != "verify" or purpose.custody == Custody.VENUE_KEYED.value:
        raise Refused("minor-search", "A child is compared with their own pass only.")
    _require_guardian(venue, ticket, yes.guardian)
    return replace(yes, act=Act.GUARDIAN)


def _require_guardian(venue: Venue, ticket: Ticket, guardian: str) -> None:
    if not guardian or guardian == ticket.reference:
        raise Refused("guardian-missing", "A parent or guardian agrees for a child: give their own booking number.")
    try:
        theirs = venue.entitlement.require_good(guardian, utc_day(venue.clock.now()))
    except CountenanceError:
        raise Refused("guardian-other", "The guardian has no good ticket of this household.") from None
    if not ticket.household or theirs.household != ticket.household:
        raise Refused("guardian-other", "The guardian has no good ticket of this household.")
