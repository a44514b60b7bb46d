"""A person's own page: everything held about them, their withdrawals, their erasure, and what they take along.

They sign in with the code they were handed at the desk; it stands on no pass. A session reaches the person it was
begun for, and no route here takes a number of anybody.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from countenance.access import me_codes, sessions
from countenance.access.limits import network
from countenance.access.roles import Role, Who
from countenance.clock import utc_text
from countenance.errors import Refused
from countenance.flows import about, prove, record, withdraw
from countenance.quantities import PurposeId
from countenance.server.api.models import Code, Strict
from countenance.server.api.people import CONSENT, HELD, LOOK, RECEIPT, ZIP, Complaint, zipped
from countenance.server.api.withdrawals import ENDS, ERASED, WITHDRAWN, Which, told, told_erased
from countenance.server.routing import ANYONE, Caller, Here, Route, address_of
from countenance.server.state import Serving

PERSON = frozenset({Role.PERSON})
THEMSELVES, WHY = "the person themselves", "on their own page"
"""Who looked, and why, as it stands in the record."""

WRONG_CODES = 10
"""Unknown codes a minute from one address before they are answered with `attempts`. Fewer is stricter.

A right code is never refused for somebody else's wrong ones: it has 100 bits, which no number of attempts finds.
"""


class SignIn(Strict):
    """The code that was handed over at the desk; case, blanks and dashes do not matter."""

    code: Code


def sign_in_me(here: Here, request: Request, response: Response, body: SignIn) -> dict[str, Any]:
    """Sign in to one's own page. The session is a cookie; `csrf` goes along in every change, as `x-csrf-token`."""
    with here.venue.store.read() as unit:  # whoever guesses holds nobody up
        try:
            me_codes.whose(unit, body.code)
        except Refused:
            here.limits.attempt("me-code", network(address_of(request)), per_minute=WRONG_CODES, burst=WRONG_CODES)
            raise
    with here.venue.store.write() as unit:
        person = me_codes.whose(unit, body.code)
        begun = sessions.begin(unit, person=person, instead_of=request.cookies.get(here.cookie, ""))
    response.set_cookie(here.cookie, begun.token, path="/", secure=here.secure, httponly=True, samesite="strict")
    return {"csrf": begun.csrf, "expires_at": utc_text(begun.expires_at)}


def renew_me_session(here: Here, request: Request) -> dict[str, Any]:
    """Get a new CSRF secret for a page that was loaded anew; the one before counts no more."""
    with here.venue.store.write() as unit:
        return {"csrf": sessions.renew_csrf(unit, request.cookies[here.cookie])}


def sign_out_me(here: Here, request: Request, response: Response) -> None:
    """End the session."""
    with here.venue.store.write() as unit:
        sessions.end(unit, request.cookies[here.cookie])
    _forget_cookie(here, response)


def show_me(here: Here, caller: Caller) -> dict[str, Any]:
    """What is held about oneself: texts agreed to, faces, each use at a gate, who looked, who was told.

    This look stands there too.
    """
    held = _held(here, caller)
    of = {name: [event for event in held["events"] if event["type"] == kind] for name, kind in KINDS.items()}
    return {**held, **of}


def withdraw_mine(here: Here, caller: Caller, body: Which) -> dict[str, Any]:
    """Withdraw a consent of one's own, for good. The pass goes on as a plain one."""
    return told(withdraw.withdraw(here.venue, caller.person, PurposeId(body.purpose)))


def erase_me(here: Here, caller: Caller, response: Response) -> dict[str, Any]:
    """Erase everything held about oneself. The receipts are the only proof that is left; the session ends."""
    done = told_erased(withdraw.erase(here.venue, caller.person))
    _forget_cookie(here, response)
    return done


def complain(here: Here, caller: Caller, body: Complaint) -> dict[str, Any]:
    """Write down a complaint, sealed in one's own record."""
    record.complaint(here.venue, caller.person, body.text)
    return {"recorded": "complaint"}


def fetch_my_evidence(here: Here, caller: Caller) -> Response:
    """Evidence about oneself: a ZIP with a page that checks it, offline."""
    here.limits.attempt("evidence", caller.person, per_minute=2, burst=2)
    return zipped(prove.person(here.venue, caller.person, THEMSELVES, WHY))


def export_me(here: Here, caller: Caller) -> Response:
    """What `GET /v1/me` shows, as a file to keep or to take elsewhere."""
    return JSONResponse(_held(here, caller), headers={"content-disposition": 'attachment; filename="about-me.json"'})


def _held(here: Serving, caller: Who) -> dict[str, Any]:
    return about.about(here.venue, caller.person, THEMSELVES, WHY)


def _forget_cookie(here: Serving, response: Response) -> None:
    response.delete_cookie(here.cookie, path="/", secure=here.secure, httponly=True, samesite="strict")


KINDS = {"uses": "decision", "looks": "operator-access", "disclosures": "disclosure", "complaints": "complaint"}
"""Parts of a person's events, by what they ask first."""

ME = {**HELD, "uses": [{"number": 4, "at": "2026-06-22T08:00:00Z", "type": "decision", "purpose": "entry.verify",
                        "outcome": "admit", "people": 1, "gate": "main"}],
      "looks": HELD["events"], "disclosures": [], "complaints": [], "consents": [CONSENT]}
_GONE = ("person-unknown",)

ROUTES = [
    Route("POST", "/v1/me/session", sign_in_me, ANYONE, "Sign in to one's own page",
          {"csrf": "kX3…", "expires_at": "2026-06-21T12:00:00Z"}, {"code": "7K3M-9QXA-…"},
          ("me-code-unknown", "sign-in-failed"), 201, secret=True),
    Route("GET", "/v1/me/session", renew_me_session, PERSON, "Get a new CSRF secret", {"csrf": "kX3…"}),
    Route("DELETE", "/v1/me/session", sign_out_me, PERSON, "Sign out of one's own page", status=204),
    Route("GET", "/v1/me", show_me, PERSON, "Show what is held about oneself", ME, errors=(*_GONE, *LOOK)),
    Route("DELETE", "/v1/me", erase_me, PERSON, "Erase oneself", ERASED, errors=(*_GONE, *RECEIPT), secret=True),
    Route("POST", "/v1/me/withdrawals", withdraw_mine, PERSON, "Withdraw a consent of one's own", WITHDRAWN,
          {"purpose": "entry.verify"}, ENDS, secret=True),
    Route("POST", "/v1/me/complaints", complain, PERSON, "Complain", {"recorded": "complaint"},
          {"text": "Nobody told me."}, (*_GONE, "record-text", "key-destroyed"), 201),
    Route("GET", "/v1/me/evidence", fetch_my_evidence, PERSON, "Fetch evidence about oneself",
          errors=(*_GONE, *LOOK, "evidence-too-large"), media=ZIP),
    Route("GET", "/v1/me/export", export_me, PERSON, "Take what is held along", HELD, errors=(*_GONE, *LOOK)),
]
