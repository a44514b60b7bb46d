"""Purposes and their notices. The newest version of a notice is the one in force.

What is done with a face is what its notice says: a purpose whose row says another custody, or another time, than the
notice in force is altered, and serves nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import bindparam, func, insert, select

from countenance.consent import notice_terms
from countenance.errors import BadInput, Refused, StoreFault
from countenance.formats import notices as form
from countenance.formats.notices import Notice
from countenance.formats.passes import Custody
from countenance.quantities import PurposeId, VenueId
from countenance.storage import schema
from countenance.storage.unit import Unit


@dataclass(frozen=True)
class Purpose:
    """A purpose as the venue set it up. `comparison` is "verify" (1:1), "search" (1:N) or "disclose" (no face)."""

    purpose_id: PurposeId
    zone: str
    comparison: str
    custody: str
    valid_days: int
    gallery_cap: int


def _purpose(row: Any) -> Purpose:
    return Purpose(PurposeId(row.purpose_id), row.zone_id, row.comparison, row.custody,
                   row.valid_days, row.gallery_cap)


DISCLOSE, NOTHING = "disclose", "none"
"""How a purpose without a face is compared: not at all; and what is kept of a face for it."""

_COMPARED = {Custody.VENUE_KEYED.value: "search", Custody.CARRIED.value: "verify", Custody.HOLDER_KEYED.value: "verify",
             NOTHING: DISCLOSE}

_PURPOSE = select(schema.purpose).where(schema.purpose.c.purpose_id == bindparam("wanted"))
_IN_FORCE = (select(schema.notice.c.canonical, schema.notice.c.notice_hash, schema.notice.c.version)
             .where(schema.notice.c.purpose_id == bindparam("wanted"))
             .order_by(schema.notice.c.version.desc()).limit(1))


def purpose(unit: Unit, purpose_id: PurposeId) -> Purpose:
    """Return a purpose, as its notice in force says it.

    Raises Refused(purpose-unknown, notice-missing), StoreFault(purpose-altered, notice-altered).
    """
    if f"purpose/{purpose_id}" not in unit.memo:
        found = _known(unit, purpose_id)
        _as_told(found, _newest(unit, purpose_id)[0])
        unit.memo[f"purpose/{purpose_id}"] = found
    return cast("Purpose", unit.memo[f"purpose/{purpose_id}"])


def require_known(unit: Unit, purpose_id: PurposeId) -> None:
    """Raise Refused(purpose-unknown). For what ends a consent: that goes on where a purpose or notice was altered."""
    _known(unit, purpose_id)


def in_force(unit: Unit, purpose_id: PurposeId) -> Notice:
    """Return the notice in force for a purpose. Raises as `purpose`."""
    purpose(unit, purpose_id)
    return _newest(unit, purpose_id)[0]


def hash_in_force(unit: Unit, purpose_id: PurposeId) -> str:
    """Return the hash of the notice in force. Raises Refused(notice-missing), StoreFault(notice-altered)."""
    return _newest(unit, purpose_id)[1]


def _known(unit: Unit, purpose_id: PurposeId) -> Purpose:
    row = unit.run(_PURPOSE, {"wanted": purpose_id}).one_or_none()
    if row is None:
        raise Refused("purpose-unknown", "This venue has no such purpose.")
    return _purpose(row)


def _as_told(found: Purpose, notice: Notice) -> None:
    told = (notice.custody, notice.valid_days, _COMPARED.get(notice.custody))
    if (found.custody, found.valid_days, found.comparison) != told:
        raise StoreFault("purpose-altered", "This purpose is not what its notice says; it was altered in the store.")


def _unaltered(canonical: bytes, notice_hash: str) -> Notice:
    notice, found = _parsed(canonical)
    if found != notice_hash:
        raise StoreFault("notice-altered", "The text of a notice was altered after people agreed to it.")
    return notice


@lru_cache(maxsize=64)
def _parsed(canonical: bytes) -> tuple[Notice, str]:
    """Parse and hash a notice once in a process: every decision at a gate asks for the one in force."""
    notice = form.parse(canonical)
    return notice, notice.hash


def _newest(unit: Unit, purpose_id: PurposeId) -> tuple[Notice, str]:
    if f"notice/{purpose_id}" not in unit.memo:
        row = unit.run(_IN_FORCE, {"wanted": purpose_id}).one_or_none()
        if row is None:
            raise Refused("notice-missing", "There is no notice for this purpose, so nobody can agree to it.")
        notice = _unaltered(row.canonical, row.notice_hash)
        _in_its_row(notice, purpose_id, row.version)
        unit.memo[f"notice/{purpose_id}"] = notice, row.notice_hash
    return cast("tuple[Notice, str]", unit.memo[f"notice/{purpose_id}"])


def _in_its_row(notice: Notice, purpose_id: PurposeId, version: int) -> None:
    if (notice.purpose, notice.version) != (purpose_id, version):
        raise StoreFault("notice-altered", "A notice stands in the place of another; the store was altered.")


def by_hash(unit: Unit, notice_hash: str) -> Notice:
    """Return the exact notice of a consent. Raises Refused(notice-missing)."""
    table = schema.notice
    row = unit.run(select(table.c.canonical).where(table.c.notice_hash == notice_hash)).one_or_none()
    if row is None:
        raise Refused("notice-missing", "The text of this notice is not here any more.")
    return _unaltered(row.canonical, notice_hash)


def add_without_a_face(unit: Unit, venue: VenueId, purpose_id: PurposeId, zone: str, texts: dict[str, str],
                       valid_days: int) -> Notice:
    """Add a purpose to which people agree by itself, and for which no face is taken, with its first notice.

    Raises Refused(purpose-known), BadInput(notice-text).
    """
    try:
        require_known(unit, purpose_id)
    except Refused:
        pass
    else:
        raise Refused("purpose-known", "There is a purpose of this name already; publish a new notice for it.")
    unit.run(insert(schema.purpose).values(
        purpose_id=purpose_id, zone_id=zone, comparison=DISCLOSE, custody=NOTHING, valid_days=valid_days,
        gallery_cap=0))
    unit.tell("purpose", {"purpose": purpose_id, "custody": NOTHING})
    return publish(unit, venue, purpose_id, texts)


def publish(unit: Unit, venue: VenueId, purpose_id: PurposeId, texts: dict[str, str]) -> Notice:
    """Put a new version in force. Consents to older ones stop matching until renewed (K04).

    `texts` needs exactly the languages of the version before. Raises BadInput: notice-text, notice-languages,
    notice-unchanged, notice-incomplete, notice-void (K27). Raises as `purpose` too, but for notice-missing.
    """
    about = _known(unit, purpose_id)
    table = schema.notice
    newest = select(func.max(table.c.version)).where(table.c.purpose_id == purpose_id)
    last = unit.run(newest).scalar_one() or 0
    notice = Notice(venue, purpose_id, last + 1, about.custody, about.valid_days,
                    {language: form.clean_text(text) for language, text in texts.items()})
    if last:
        _differs(in_force(unit, purpose_id), notice)
    if about.comparison != DISCLOSE:
        notice_terms.require_fit(notice.texts)
    unit.run(insert(table).values(
        notice_hash=notice.hash, purpose_id=purpose_id, version=notice.version,
        canonical=notice.canonical(), published_at=unit.now))
    unit.memo[f"notice/{purpose_id}"] = notice, notice.hash
    unit.move_gallery(purpose_id)
    unit.move_forward()
    unit.tell("notice", {"purpose": purpose_id, "version": notice.version, "hash": notice.hash})
    return notice


def _differs(before: Notice, after: Notice) -> None:
    if set(before.texts) != set(after.texts):
        raise BadInput("notice-languages", f"A notice needs a text in each of: {', '.join(sorted(before.texts))}.")
    if before.texts == after.texts:
        raise BadInput("notice-unchanged", "This notice is already in force, word for word.")
