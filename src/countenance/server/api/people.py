"""People on record, for a desk: found, put on record, shown, corrected, erased; and what is written down about them.

Every answer that names somebody is kept for no idempotency key: an erasure would not reach it there. Whoever reads a
record says why, and the person reads that. A key for some purposes sees and touches those, and nobody's whole record
that holds others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from sqlalchemy import select
from starlette.responses import Response

from countenance.access import me_codes, sessions
from countenance.access.roles import Who
from countenance.consent.acts import act_from_channel
from countenance.consent.consents import Yes
from countenance.consent.states import State
from countenance.errors import Refused
from countenance.flows import about, awaiting, disclose, people, prove, record, renew, withdraw
from countenance.flows.awaiting import Newcomer
from countenance.quantities import PersonId, PurposeId
from countenance.server.api import cursors
from countenance.server.api.models import Name, Strict, Text
from countenance.server.api.whom import Why, on_record, wholly
from countenance.server.api.withdrawals import DESK, ENDS, ERASED, WITHDRAWN, told, told_erased
from countenance.server.routing import Caller, Here, Route
from countenance.storage import schema
from countenance.storage.unit import Unit

MOST = 200
NEW_CODE = "a new code for their own page"
"""What stands in the record of somebody for whom a code was made: whoever has it can read all of it."""


class NewPerson(Strict):
    """Somebody to put on record. `invite`: also make a code by which they can be asked to agree."""

    reference: Name
    language: Annotated[str, Field(min_length=2, max_length=16)] = "en"
    household: Annotated[str, Field(max_length=64)] = ""
    invite: bool = False


class Reference(Strict):
    """The right booking number."""

    reference: Name


class SaidYes(Strict):
    """That a person said yes: the hash of the notice they were shown, in which language, and where."""

    notice: Name
    language: Name
    channel: Literal["desk", "kiosk"]


class Complaint(Strict):
    """What somebody complains about, in their words."""

    text: Text


class Given(Strict):
    """What was given to whom, and on what ground."""

    to: Text
    what: Text
    why: Text


def list_people(
    here: Here, caller: Caller,
    reference: Annotated[str, Query(max_length=64, description="Only who has exactly this booking number.")] = "",
    after: Annotated[str, Query(max_length=200, description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> dict[str, Any]:
    """People on record, a page at a time. `awaiting`: never asked yet; `none`: nothing of theirs is compared.

    `purposes`: those that they agree to just now, as far as an API key is for them. No booking number is shown:
    that is in the record, and whoever reads it says why.
    """
    table = schema.person
    with here.venue.store.read() as unit:
        if reference:
            found = people.find(unit, here.venue.keys, reference)
            return {"people": _summaries(unit, [found] if found else [], caller), "next": None}
        since = cursors.read(after) if after else ""
        rows = unit.run(select(table).where(table.c.synthetic.is_(False), table.c.person_id > since)
                        .order_by(table.c.person_id).limit(limit + 1)).all()
        page = rows[:limit]
        return {"people": _summaries(unit, page, caller),
                "next": cursors.write(page[-1].person_id) if len(rows) > limit else None}


def show_household(here: Here, caller: Caller, household: str) -> dict[str, Any]:
    """The people of one household."""
    table = schema.person
    with here.venue.store.read() as unit:
        rows = unit.run(select(table).where(table.c.household == household, table.c.synthetic.is_(False))
                        .order_by(table.c.person_id).limit(MOST)).all()
        if not rows:
            raise Refused("household-unknown", "There is no household of this name.")
        return {"household": household, "people": _summaries(unit, rows, caller)}


def add_person(here: Here, caller: Caller, body: NewPerson) -> dict[str, Any]:
    """Put somebody on record who is to be asked; whoever is there already stays as they are (`known`).

    No picture is taken over, and who has not said yes within 30 days is erased.
    """
    one = Newcomer(awaiting.require_reference(body.reference), awaiting.require_language(body.language),
                   awaiting.require_reference(body.household) if body.household else "")
    added = awaiting.add_all(here.venue, [one], caller.role.value, invite=body.invite)[0]
    return {"person": added.person, "known": added.known, "invitation": added.invitation or None}


def show_person(here: Here, caller: Caller, person: str, why: Why) -> dict[str, Any]:
    """Everything that is held about one person. That it was shown, to whom and why, stands in it."""
    return about.about(here.venue, wholly(here, caller, person), caller.name, why)


def list_consents(here: Here, caller: Caller, person: str, why: Why) -> dict[str, Any]:
    """What a person agreed to, with the exact texts; written down in their record as every look."""
    whose = wholly(here, caller, person)
    return {"person": whose, "consents": about.about(here.venue, whose, caller.name, why)["consents"]}


def correct_reference(here: Here, caller: Caller, person: str, body: Reference) -> dict[str, Any]:
    """Correct the booking number of somebody who has no pass yet."""
    whose = wholly(here, caller, person)
    awaiting.rename(here.venue, whose, body.reference)
    return {"person": whose}


def erase_person(here: Here, caller: Caller, person: str) -> dict[str, Any]:
    """Erase everything that is held about a person. The receipts of the answer are the only proof that is left."""
    return told_erased(withdraw.erase(here.venue, wholly(here, caller, person)))


def renew_consent(here: Here, caller: Caller, person: str, purpose: str, body: SaidYes) -> dict[str, Any]:
    """Renew a consent to the notice in force, for somebody who read it and said yes."""
    whose, which = _for(here, caller, person, purpose)
    receipt = renew.renew(here.venue, whose, which, body.notice, body.language, body.channel)
    return {"person": whose, "purpose": which, "receipt": receipt}


def agree_to_disclosure(here: Here, caller: Caller, person: str, purpose: str, body: SaidYes) -> dict[str, Any]:
    """Write down that a person wants a recipient to be told of their visits."""
    whose, which = _for(here, caller, person, purpose)
    yes = Yes(body.notice, body.language, act_from_channel(body.channel))
    return {"person": whose, "purpose": which, "receipt": disclose.agree(here.venue, whose, which, yes)}


def stop_disclosure(here: Here, caller: Caller, person: str, purpose: str) -> dict[str, Any]:
    """Stop it: nothing more is told, and what was not sent yet is deleted."""
    whose, which = _for(here, caller, person, purpose)
    return told(disclose.stop(here.venue, whose, which))


def record_complaint(here: Here, person: str, body: Complaint) -> dict[str, Any]:
    """Write down what a person complains about, sealed in their own record."""
    record.complaint(here.venue, on_record(here, person), body.text)
    return {"recorded": "complaint"}


def record_disclosure(here: Here, person: str, body: Given) -> dict[str, Any]:
    """Write down that something about a person was given to somebody else: to whom, what, and on what ground."""
    record.disclosure(here.venue, on_record(here, person), body.to, body.what, body.why)
    return {"recorded": "disclosure"}


def fetch_evidence(here: Here, caller: Caller, person: str, why: Why) -> Response:
    """Evidence about one person: a ZIP with a page that checks it, offline; written down as every look."""
    return zipped(prove.person(here.venue, wholly(here, caller, person), caller.name, why))


def make_me_code(here: Here, caller: Caller, person: str) -> dict[str, Any]:
    """Make a new code for a person's own page, to be handed to them.

    The one before, and whoever is signed in by it, count no more. It opens everything held about them, so that it was
    made stands in their record as a look.
    """
    whose = wholly(here, caller, person)
    with here.venue.store.write() as unit:
        code = me_codes.give(unit, whose)
        sessions.end_all(unit, person=whose)
        record.access(unit, whose, caller.name, NEW_CODE)
    here.venue.log.sign_if_possible()
    return {"person": whose, "me_code": code}


def zipped(data: bytes) -> Response:
    """Return a file of evidence as an answer."""
    return Response(data, media_type=ZIP, headers={"content-disposition": 'attachment; filename="evidence.zip"'})


def _for(here: Here, caller: Who, person: str, purpose: str) -> tuple[PersonId, PurposeId]:
    whose, which = on_record(here, person), PurposeId(purpose)
    caller.require_purpose(which)
    return whose, which


def _summaries(unit: Unit, rows: Sequence[Any], caller: Who) -> list[dict[str, Any]]:
    ids = [row.person_id for row in rows]
    consent, template, issued = schema.consent, schema.template, schema.issued_pass
    faces = unit.run(select(template.c.person_id, template.c.purpose_id, template.c.state)
                     .where(template.c.person_id.in_(ids))).all()
    given = unit.run(select(consent.c.person_id, consent.c.purpose_id).where(
        consent.c.person_id.in_(ids), consent.c.state == State.GIVEN.value, consent.c.expires_at > unit.now)).all()
    known = {name for table in (consent, issued) for name in unit.run(
        select(table.c.person_id).where(table.c.person_id.in_(ids))).scalars()}
    live = {(face.person_id, face.purpose_id) for face in faces if face.state == "live"}
    waiting = {(face.person_id, face.purpose_id) for face in faces} - live
    agreed = {pair for pair in map(tuple, given) if pair not in waiting and _sees(caller, pair[1])}
    return [_summary(row, sorted(what for whose, what in agreed if whose == row.person_id),
                     live & agreed, row.person_id in known) for row in rows]


def _summary(row: Any, purposes: list[str], live: set[tuple[str, str]], known: bool) -> dict[str, Any]:
    enrolled = any(whose == row.person_id for whose, _ in live)
    state = "enrolled" if enrolled else "none" if known else "awaiting"
    return {"person": row.person_id, "state": state, "purposes": purposes, "household": row.household or ""}


def _sees(caller: Who, purpose: str) -> bool:
    return not caller.key_id or PurposeId(purpose) in caller.purposes


ZIP = "application/zip"
WHO = "3f9a0c1be27d4486b5d0a1c2e3f40516"
PERSON = {"person": WHO, "state": "enrolled", "purposes": ["entry.verify"], "household": ""}
CONSENT = {"purpose": "entry.verify", "state": "given", "act": "asserted", "language": "en",
           "given_at": "2026-06-21T00:00:00Z", "expires_at": "2027-06-21T00:00:00Z", "notice": "9b…", "text": "…"}
HELD = {
    "person": WHO, "reference": "Z-1001", "language": "en", "consents": [CONSENT],
    "faces": [{"purpose": "entry.verify", "custody": "carried", "state": "live", "measurement": "in your pass only",
               "key": "with the venue", "delete_at": "2027-06-21T00:00:00Z"}],
    "events": [{"number": 1, "at": "2026-06-21T00:00:00Z", "type": "operator-access", "by": "desk one",
                "why": "they asked"}]}
SAYS = {"notice": "9b…", "language": "en", "channel": "desk"}
AGREED = {"person": WHO, "purpose": "entry.verify", "receipt": "{…}"}
RECEIPT = ("signer-missing",)
_ONE = ("person-unknown",)
_WHOLE = (*_ONE, "key-other-purpose")
LOOK = ("record-text", "chain-broken", "key-destroyed")
_YES = (*_WHOLE, *RECEIPT, "purpose-unknown", "notice-outdated", "notice-language", "consent-message",
        "consent-channel", "consent-expired")

ROUTES = [
    Route("GET", "/v1/people", list_people, DESK, "List people", {"people": [PERSON], "next": None},
          errors=("cursor-unknown",)),
    Route("POST", "/v1/people", add_person, DESK, "Put somebody on record",
          {"person": WHO, "known": False, "invitation": None}, {"reference": "Z-1001", "language": "en"},
          ("reference-missing", "reference-text", "reference-language", "enrolment-crossed", "clock-set-back"), 201,
          secret=True),
    Route("GET", "/v1/households/{household}", show_household, DESK, "Show a household",
          {"household": "H-7", "people": [PERSON]}, errors=("household-unknown",)),
    Route("GET", "/v1/people/{person}", show_person, DESK, "Show a person's record", HELD, errors=(*_WHOLE, *LOOK)),
    Route("DELETE", "/v1/people/{person}", erase_person, DESK, "Erase a person", ERASED, errors=(*_WHOLE, *RECEIPT),
          secret=True),
    Route("PUT", "/v1/people/{person}/reference", correct_reference, DESK, "Correct a booking number",
          {"person": WHO}, {"reference": "Z-1002"},
          (*_WHOLE, "reference-missing", "reference-text", "person-has-pass", "reference-taken"), secret=True),
    Route("GET", "/v1/people/{person}/consents", list_consents, DESK, "List a person's consents",
          {"person": WHO, "consents": [CONSENT]}, errors=(*_WHOLE, *LOOK)),
    Route("POST", "/v1/people/{person}/consents/{purpose}/renewal", renew_consent, DESK, "Renew a consent", AGREED,
          SAYS, (*_YES, "consent-missing", "template-missing"), secret=True),
    Route("POST", "/v1/people/{person}/disclosures/{purpose}", agree_to_disclosure, DESK, "Agree to a disclosure",
          AGREED, SAYS, (*_YES, "purpose-other", "consent-standing"), secret=True),
    Route("DELETE", "/v1/people/{person}/disclosures/{purpose}", stop_disclosure, DESK, "Stop a disclosure",
          WITHDRAWN, errors=(*_WHOLE, *ENDS, "purpose-other"), secret=True),
    Route("POST", "/v1/people/{person}/complaints", record_complaint, DESK, "Write down a complaint",
          {"recorded": "complaint"}, {"text": "Nobody told me."}, (*_ONE, "record-text", "key-destroyed"), 201),
    Route("POST", "/v1/people/{person}/disclosures-made", record_disclosure, DESK, "Write down a disclosure",
          {"recorded": "disclosure"}, {"to": "the district court", "what": "days of visits", "why": "order 12/26"},
          (*_ONE, "record-text", "key-destroyed"), 201),
    Route("GET", "/v1/people/{person}/evidence", fetch_evidence, DESK, "Fetch evidence about a person",
          errors=(*_WHOLE, *LOOK, "evidence-too-large"), media=ZIP),
    Route("POST", "/v1/people/{person}/me-code", make_me_code, DESK, "Make a new code for a person's own page",
          {"person": WHO, "me_code": "7K3M-9QXA-…"}, errors=(*_WHOLE, "key-destroyed"), status=201, secret=True),
]
