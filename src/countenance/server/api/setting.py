"""How the venue is set up, as far as everybody may know it: zones, purposes, and the texts people agree to."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field, StringConstraints
from sqlalchemy import select
from starlette.requests import Request

from countenance.access.roles import Role
from countenance.clock import utc_text
from countenance.consent import consents, notices
from countenance.errors import Refused
from countenance.flows import log, revocations
from countenance.flows.found import PLAIN_COUNTS
from countenance.formats.notices import Notice
from countenance.lane import counts
from countenance.quantities import DAY, Instant, PurposeId
from countenance.server.api.models import Strict
from countenance.server.routing import ANYONE, Caller, Here, Route, address_of
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.verifier import receipts

IN_CHARGE = frozenset({Role.OWNER, Role.OPERATOR})
COUNTING = IN_CHARGE | {Role.AUDITOR}
AT_GATES = IN_CHARGE | {Role.GATE, Role.GATE_STAFF}
MOST_DAYS, MOST_LANGUAGES = 92, 16
CHECKS_PER_MINUTE = 30
"""Receipts a minute from one address. Fewer is stricter; each takes some 50 ms."""

Language = Annotated[str, StringConstraints(min_length=2, max_length=8)]
NoticeText = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]


class NewNotice(Strict):
    """A notice's new texts: one for every language that the one in force has."""

    texts: dict[Language, NoticeText] = Field(min_length=1, max_length=MOST_LANGUAGES)


class AReceipt(Strict):
    """The text of a receipt, as its file holds it."""

    receipt: Annotated[str, StringConstraints(min_length=1, max_length=60_000)]


def list_venues(here: Here) -> dict[str, Any]:
    """The venue that this server is for: one."""
    settled = here.venue.settings
    with here.venue.store.read() as unit:
        languages = {language for _, notice in _purposes(unit) for language in notice.texts}
    return {"venues": [{"venue": here.venue.venue_id, "name": settled.name, "contact": settled.contact,
                        "regime": settled.regime, "languages": sorted(languages)}]}


def list_zones(here: Here) -> dict[str, Any]:
    """The zones of this venue."""
    with here.venue.store.read() as unit:
        rows = unit.run(select(schema.zone).order_by(schema.zone.c.zone_id)).all()
    return {"zones": [{"zone": row.zone_id, "kind": row.kind, "name": row.name} for row in rows]}


def list_purposes(here: Here) -> dict[str, Any]:
    """The purposes that one can agree to here, each with what is kept for it and the notice in force."""
    with here.venue.store.read() as unit:
        found = _purposes(unit)
    return {"purposes": [{"purpose": purpose.purpose_id, "zone": purpose.zone, "comparison": purpose.comparison,
                          "custody": purpose.custody, "valid_days": purpose.valid_days, "notice": notice.hash}
                         for purpose, notice in found]}


def notice_in_force(here: Here, purpose: str) -> dict[str, Any]:
    """The text that is agreed to for a purpose, word for word, in every language; a consent names its hash."""
    with here.venue.store.read() as unit:
        return _told(notices.in_force(unit, PurposeId(purpose)))


def show_notice(here: Here, notice: str) -> dict[str, Any]:
    """A notice by its hash, in force or not: what somebody agreed to at the time."""
    with here.venue.store.read() as unit:
        return _told(notices.by_hash(unit, notice))


def publish_notice(here: Here, caller: Caller, purpose: str, body: NewNotice) -> dict[str, Any]:
    """Put a new text in force, in every language of the one before.

    Everybody is asked again: nobody who agreed to an older text is compared until they have agreed to this one.
    `waiting` is how many that are.
    """
    with here.venue.store.read() as unit:
        notices.require_known(unit, PurposeId(purpose))
    caller.require_purpose(PurposeId(purpose))
    with here.venue.store.write() as unit:
        notice = notices.publish(unit, here.venue.venue_id, PurposeId(purpose), dict(body.texts))
        waiting = consents.waiting(unit, PurposeId(purpose))
    here.venue.log.sign_if_possible()
    return _told(notice) | {"waiting": waiting}


def list_counts(here: Here, days: Days = 7) -> dict[str, Any]:
    """How the lanes fared: by the hour where faces are compared, and by the day in the lane without."""
    table = schema.hourly_count
    with here.venue.store.read() as unit:
        since = Instant(unit.now - days * DAY)
        rows = unit.run(select(table).where(table.c.hour >= since).order_by(
            table.c.hour, table.c.lane, table.c.outcome)).all()
    first = utc_text(since)[:10]
    return {"hours": [{"hour": utc_text(Instant(row.hour)), "lane": row.lane, "outcome": row.outcome,
                       "number": row.number} for row in rows],
            "days": [one for one in counts.by_day(here.venue.folder / PLAIN_COUNTS) if one["day"] >= first]}


def show_revocations(here: Here) -> dict[str, Any]:
    """What the list says that this machine's lanes go by: its number, until when it is good, how long it is.

    The list itself is handed out by its gate's own route alone: from then on a withdrawal waits for that gate.
    """
    found = revocations.posted(here.venue)
    return {"number": found.number, "issued_at": utc_text(found.issued_at), "good_until": utc_text(found.good_until),
            "faces": len(found.faces), "replaced": len(found.void)}


def check_receipt(here: Here, request: Request, body: AReceipt) -> dict[str, Any]:
    """Check a receipt by this venue's own keys, and by nothing of what the venue holds about anybody.

    That is worth no more than the venue's word; `countenance verify` with a trust file from elsewhere is.
    Nothing that was sent is kept. The receipt's kind, and where a check failed, are all that is told.
    """
    here.limits.attempt("receipt", address_of(request), per_minute=CHECKS_PER_MINUTE, burst=CHECKS_PER_MINUTE)
    told = receipts.verify(body.receipt, log.trust(here.venue)).value()
    return {"verdict": told["verdict"], "code": told["code"] or "", "meaning": told["meaning"],
            "steps": [{"name": step["name"], "outcome": step["outcome"]} for step in told["steps"]]}


def _purposes(unit: Unit) -> list[tuple[notices.Purpose, Notice]]:
    found = []
    for name in unit.run(select(schema.purpose.c.purpose_id).order_by(schema.purpose.c.purpose_id)).scalars().all():
        with suppress(Refused):  # without a notice nobody can agree to it
            found.append((notices.purpose(unit, PurposeId(name)), notices.in_force(unit, PurposeId(name))))
    return found


def _told(notice: Notice) -> dict[str, Any]:
    return {"purpose": notice.purpose, "version": notice.version, "hash": notice.hash, "custody": notice.custody,
            "valid_days": notice.valid_days, "texts": notice.texts}


_TEXTS = {"en": "Entry by face. …", "zh": "人脸入园。…"}
NOTICE = {"purpose": "entry.verify", "version": 1, "hash": "9c1d…", "custody": "carried", "valid_days": 365,
          "texts": _TEXTS}
CHECKED = {"verdict": "self-consistent", "code": "", "meaning": "Nothing in it contradicts itself, …",
           "steps": [{"name": "form", "outcome": "ok"}]}
_ALTERED = ("purpose-altered", "notice-altered")
ROUTES = [
    Route("GET", "/v1/venues", list_venues, ANYONE, "Show the venue", {"venues": [{
        "venue": "b7e0", "name": "Zoo", "contact": "desk", "regime": "cn", "languages": ["en", "zh"]}]},
        errors=_ALTERED),
    Route("GET", "/v1/zones", list_zones, ANYONE, "List zones",
          {"zones": [{"zone": "entrance", "kind": "entrance", "name": "Entrance"}]}),
    Route("GET", "/v1/purposes", list_purposes, ANYONE, "List purposes", {"purposes": [{
        "purpose": "entry.verify", "zone": "entrance", "comparison": "verify", "custody": "carried",
        "valid_days": 365, "notice": "9c1d…"}]}, errors=_ALTERED),
    Route("GET", "/v1/purposes/{purpose}/notice", notice_in_force, ANYONE, "Show the notice in force", NOTICE,
          errors=("purpose-unknown", "notice-missing", *_ALTERED)),
    Route("GET", "/v1/notices/{notice}", show_notice, ANYONE, "Show a notice by its hash", NOTICE,
          errors=("notice-missing", "notice-altered")),
    Route("POST", "/v1/purposes/{purpose}/notices", publish_notice, IN_CHARGE, "Put a new notice in force",
          NOTICE | {"version": 2, "waiting": 120}, {"texts": _TEXTS},
          ("purpose-unknown", "notice-text", "notice-languages", "notice-unchanged", *_ALTERED), 201),
    Route("GET", "/v1/counts", list_counts, COUNTING, "Count admissions", {
        "hours": [{"hour": "2026-06-21T09:00:00Z", "lane": "face", "outcome": "admit", "number": 41}],
        "days": [{"day": "2026-06-21", "lane": "plain", "outcome": "admit", "number": 380}]}),
    Route("GET", "/v1/revocations", show_revocations, AT_GATES, "Show how the posted revocation list stands", {
        "number": 4, "issued_at": "2026-06-21T09:00:00Z", "good_until": "2026-06-21T10:00:00Z", "faces": 2,
        "replaced": 1}, errors=("list-unreadable", "list-malformed", "list-altered", "list-other-venue")),
    Route("POST", "/v1/receipts/check", check_receipt, ANYONE, "Check a receipt", CHECKED, {"receipt": "{…}"},
          ("log-missing", "settings-value")),
]
