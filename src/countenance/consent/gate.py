"""The consent gate: the only maker of permits (DESIGN 1.1).

What it asks before each kind:

    ENROL      a consent just given and live; the venue in order
    LOAD       the venue in order; the list of live members is the gate's own, and complete
    VERIFY     that person's live consent to the notice in force; the venue in order
    SEARCH     a press, once and fresh; the gallery in memory is exactly the people with live consents
    DATASET    a folder of photographs; no venue at all, so the permit fits no venue's doors
    CALIBRATE  live consents of each person to both, the search and its calibration; the venue in order

No ruling stops it: an order, a wish that nothing is done for now, a death (`rulings`); and in its zone people have
done what they have to (`flows/duties.py`).

"The venue in order": neither store was put back to an earlier state, the clock was not set back, the sweep has
run, and no rotation that was promised to somebody who withdrew is late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, select

from countenance.clock import Clock
from countenance.consent import consents, notices, rulings
from countenance.consent.states import State
from countenance.errors import Refused
from countenance.permits import Kind, Permit, PermitBook, Scope, dataset_scope, gallery_scope, load_scope, person_scope
from countenance.quantities import HOUR, Instant, PersonId, PurposeId, VenueId, random_id
from countenance.storage import schema
from countenance.storage.unit import Store, Unit

PRESS_SECONDS = 15.0
"""How long a press may lie before the capture. Shorter is stricter."""

_GENERATION = select(schema.gallery.c.generation).where(schema.gallery.c.purpose_id == bindparam("wanted"))


@dataclass(frozen=True, eq=False)
class Press:
    """A deliberate act of the person in front of the gate: search for me once, keep nothing."""

    number: str
    moment: float


def press(clock: Clock) -> Press:
    """Return the press that just happened."""
    return Press(random_id(), clock.monotonic())


class Stale(Refused):
    """The gallery in memory is not what it must be any more; reading it anew mends it."""


@dataclass(frozen=True)
class Granted:
    """A permit with the scope that its doors must be given."""

    permit: Permit
    scope: Scope


@dataclass(frozen=True)
class Members:
    """Who may be searched for at one moment: `generation` says which, `until` when the first consent ends."""

    purpose: PurposeId
    generation: int
    until: Instant
    templates: frozenset[str]


class ConsentGate:
    """The gate of one open venue. Safe for several threads."""

    def __init__(
        self, venue: VenueId, store: Store, book: PermitBook, clock: Clock, sweep_late_hours: int,
        require_stores: Callable[[], None], require_duties: Callable[[Unit, str], None] = lambda _unit, _zone: None,
    ) -> None:
        self._venue = venue
        self._store = store
        self._clock = clock
        self._sweep_late = sweep_late_hours * HOUR
        self._require_stores = require_stores
        self._require_duties = require_duties
        self._issue = book.appoint()
        self._pressed: dict[str, float] = {}
        self._lock = threading.Lock()

    def enrol(self, unit: Unit, person: PersonId, purpose: PurposeId) -> Granted:
        """Permit one template of somebody who has just said yes. Raises Refused, StoreFault."""
        self._in_order(unit)
        self._for_a_face(unit, purpose)
        consents.require_live(unit, person, purpose)
        return self._granted(person_scope(Kind.ENROL, self._venue, purpose, person))

    def verify(self, person: PersonId, purpose: PurposeId) -> Granted:
        """Permit one comparison of one person with themselves. Raises Refused, StoreFault."""
        with self._store.read() as unit:
            unit.require_forward()
            self._in_order(unit)
            self._compares(unit, purpose, "verify")
            consents.require_live(unit, person, purpose)
        return self._granted(person_scope(Kind.VERIFY, self._venue, purpose, person))

    def search(self, purpose: PurposeId, pressed: Press, held: Members) -> Granted:
        """Permit one search of the gallery that was loaded as `held`. Raises Refused, StoreFault.

        Codes of its own: press-missing, press-old, press-used, gallery-stale.
        """
        self._of_this_purpose(held, purpose)
        with self._store.read() as unit:
            unit.require_forward()
            self._in_order(unit)
            self._compares(unit, purpose, "search")
            self._still_exact(unit, held)
        self.require_pressed(pressed)  # last: a press is not spent on a gallery that must be read anew first
        return self._granted(gallery_scope(Kind.SEARCH, self._venue, purpose, held.generation))

    def load(self, purpose: PurposeId) -> tuple[Granted, Members]:
        """Permit to hold the gallery in memory, with the complete list of its live members."""
        with self._store.read() as unit:
            unit.require_forward()
            self._in_order(unit)
            self._compares(unit, purpose, "search")
            members = self._members(unit, purpose)
        return self._granted(load_scope(self._venue, purpose, members.generation, members.templates)), members

    def calibrate(self, purpose: PurposeId, own: PurposeId) -> tuple[Granted, Members]:
        """Permit to compare with each other the templates of those who agreed to the purpose and to `own`, too.

        Raises Refused (consent-missing where nobody did, purpose-*), StoreFault.
        """
        with self._store.read() as unit:
            unit.require_forward()
            self._in_order(unit)
            self._compares(unit, purpose, "search")
            members = self._members(unit, purpose)
            agreed = {row.person_id for row in self._agreed(unit, own)}
            template = schema.template
            theirs = frozenset(row.template_id for row in unit.run(select(template.c.template_id, template.c.person_id)
                               .where(template.c.purpose_id == purpose)) if row.person_id in agreed)
        members = replace(members, templates=members.templates & theirs)
        if not members.templates:
            raise Refused("consent-missing", "Nobody agreed that their face is compared with others' for calibration.")
        scope = load_scope(self._venue, purpose, members.generation, members.templates, calibrates=True)
        return self._granted(scope), members

    def is_exact(self, unit: Unit, held: Members) -> None:
        """Raise Refused(gallery-stale) unless `held` is still exactly the people with live consents."""
        self._still_exact(unit, held)

    def require_live(self, unit: Unit, person: PersonId, purpose: PurposeId) -> None:
        """Read the consent again, inside the transaction that commits the decision. Raises Refused."""
        consents.require_live(unit, person, purpose)

    def _granted(self, scope: Scope) -> Granted:
        return Granted(self._issue(scope), scope)

    def _in_order(self, unit: Unit) -> None:
        self._require_stores()
        self.require_swept(unit)
        self.require_rotated(unit)

    def require_swept(self, unit: Unit) -> None:
        """Raise Refused(sweep-late) where the sweep has not run for longer than it may."""
        swept = unit.mark("swept")
        if swept is None or unit.now - swept > self._sweep_late:
            raise Refused("sweep-late", "Nothing is compared until `countenance sweep` has run.")

    def require_rotated(self, unit: Unit) -> None:
        """Raise Refused where a rotation of keys that was promised to somebody who withdrew is late."""
        due = unit.mark("rotate_by")
        if due is not None and unit.now > due:
            raise Refused("rotation-late", "Nothing is compared until `countenance keys rotate` has run.")

    def _compares(self, unit: Unit, purpose: PurposeId, how: str) -> None:
        found = notices.purpose(unit, purpose)
        if found.comparison != how:
            raise Refused("purpose-other", "This purpose is not for this kind of comparison.")
        rulings.require_none(unit, found.zone)
        self._require_duties(unit, found.zone)

    def _for_a_face(self, unit: Unit, purpose: PurposeId) -> None:
        found = notices.purpose(unit, purpose)
        if found.comparison == notices.DISCLOSE:
            raise Refused("purpose-other", "This purpose is to tell others something; it needs no face, and gets none.")
        self._require_duties(unit, found.zone)

    def require_pressed(self, pressed: Press) -> None:
        """Take a press, once and while it is fresh. Raises Refused: press-missing, press-old, press-used."""
        if not isinstance(pressed, Press):
            raise Refused("press-missing", "Nobody pressed: without a press no face is looked for.")
        now = self._clock.monotonic()
        if not 0 <= now - pressed.moment <= PRESS_SECONDS:
            raise Refused("press-old", "The press was too long ago; press again.")
        with self._lock:
            self._pressed = {n: m for n, m in self._pressed.items() if now - m <= PRESS_SECONDS}
            if pressed.number in self._pressed:
                raise Refused("press-used", "This press has been used; press again.")
            self._pressed[pressed.number] = pressed.moment

    def _of_this_purpose(self, held: Members, purpose: PurposeId) -> None:
        if held.purpose != purpose:
            raise Refused("purpose-other", "These people agreed to another purpose.")

    def _still_exact(self, unit: Unit, held: Members) -> None:
        if held.generation != _generation(unit, held.purpose) or unit.now >= held.until:
            raise Stale("gallery-stale", "Consents have changed; the gallery must be read again.")

    def _members(self, unit: Unit, purpose: PurposeId) -> Members:
        cap = notices.purpose(unit, purpose).gallery_cap
        template = schema.template
        # Two plain reads, joined here: SQLite without statistics joins these tables in quadratic time.
        ends: dict[str, int] = {row.consent_id: row.expires_at for row in self._agreed(unit, purpose)}
        rows = [row for row in unit.run(
            select(template.c.template_id, template.c.consent_id).where(
                template.c.purpose_id == purpose, template.c.state == "live")) if row.consent_id in ends]
        self._within_cap(len(rows), cap)
        until = min((ends[row.consent_id] for row in rows), default=unit.now + HOUR)
        names = frozenset(row.template_id for row in rows)
        return Members(purpose, _generation(unit, purpose), Instant(until), names)

    def _agreed(self, unit: Unit, purpose: PurposeId) -> list[Any]:
        """Return the live consents to the notice in force."""
        consent, stopped = schema.consent, rulings.stopped_people(unit)
        return [row for row in unit.run(
            select(consent.c.consent_id, consent.c.person_id, consent.c.expires_at).where(
                consent.c.purpose_id == purpose, consent.c.state == State.GIVEN.value,
                consent.c.expires_at > unit.now, consent.c.notice_hash == notices.hash_in_force(unit, purpose),
                consent.c.given_at > consents.asked_from(unit))) if row.person_id not in stopped]

    def _within_cap(self, number: int, cap: int) -> None:
        if number > cap:
            raise Refused("gallery-full", "This gallery holds more people than its error rate allows.")


def _generation(unit: Unit, purpose: PurposeId) -> int:
    return int(unit.run(_GENERATION, {"wanted": purpose}).scalar_one_or_none() or 0)


class DatasetGate:
    """Permits the evaluation of folders of photographs. Opens no venue's door.

    Needs a book of its own: in an open venue's book the venue's gate is the issuer already, and this
    raises Refused(permit-issuer).
    """

    def __init__(self, book: PermitBook) -> None:
        self._issue = book.appoint()

    def permit(self, folder_digest: str) -> Granted:
        """Permit one batch of one folder, named by the digest of its listing."""
        scope = dataset_scope(folder_digest)
        return Granted(self._issue(scope), scope)
