"""Withdrawing: by anybody who holds the pass, and at a desk for the person in front of it.

Whoever photographed a pass can withdraw its face and nothing else: the answer's receipt tells of the withdrawal
alone. An answer names a person, so none is kept for an idempotency key: an erasure would not reach it there.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.requests import Request

from countenance.access.roles import Role
from countenance.clock import utc_text
from countenance.errors import CountenanceError
from countenance.flows import passes, withdraw
from countenance.flows.withdraw import Erased, Withdrawn
from countenance.quantities import PurposeId
from countenance.server.api.models import Name, PassText, Strict
from countenance.server.api.whom import on_record
from countenance.server.routing import ANYONE, Caller, Here, Route, address_of

WRONG_PASSES = 60
"""Passes a minute from one address that are none. Fewer is stricter."""

DESK = frozenset({Role.DESK, Role.OPERATOR, Role.OWNER})


class ByPass(Strict):
    """The pass whose face is to go."""

    pass_text: PassText = Field(alias="pass")


class Which(Strict):
    """What is withdrawn."""

    purpose: Name


def withdraw_by_pass(here: Here, request: Request, body: ByPass) -> dict[str, Any]:
    """Withdraw the face that a pass is for, for good. The pass goes on as a plain one; its date does not matter."""
    try:
        content = passes.read_even_expired(here.venue, body.pass_text.strip())
        with here.venue.store.read() as unit:
            person = passes.whose(unit, content)
    except CountenanceError:  # only what is no good is counted: nobody's withdrawal waits for others behind one address
        here.limits.attempt("withdrawal", address_of(request), per_minute=WRONG_PASSES, burst=WRONG_PASSES)
        raise
    return told(withdraw.withdraw(here.venue, person, content.purpose))


def withdraw_for(here: Here, caller: Caller, person: str, body: Which) -> dict[str, Any]:
    """Withdraw a consent for the person in front, or who wrote: any way of asking counts, and no reason is needed."""
    whose, purpose = on_record(here, person), PurposeId(body.purpose)
    caller.require_purpose(purpose)
    return told(withdraw.withdraw(here.venue, whose, purpose))


def told(done: Withdrawn) -> dict[str, Any]:
    """Return what is answered about a consent that has ended."""
    return {"purpose": done.purpose, "outcome": done.final,
            "final_by": utc_text(done.final_by) if done.final_by else None,
            "copies_open_until": utc_text(done.copies_open_until), "receipt": done.receipt}


def told_erased(done: Erased) -> dict[str, Any]:
    """Return what is answered about a person who is erased: their receipts, the only proof that is left."""
    return {"outcome": "erased", "withdrawn": [told(one) for one in done.withdrawn], "receipt": done.receipt}


WITHDRAWN = {"purpose": "entry.verify", "outcome": "final", "final_by": None,
             "copies_open_until": "2026-06-22T00:00:00Z", "receipt": "{…}"}
ERASED = {"outcome": "erased", "withdrawn": [WITHDRAWN], "receipt": "{…}"}
ENDS = ("purpose-unknown", "consent-missing", "consent-other-purpose", "consent-withdrawn", "consent-expired",
        "consent-replaced", "consent-lost", "signer-missing")

ROUTES = [
    Route("POST", "/v1/withdrawals", withdraw_by_pass, ANYONE, "Withdraw with a pass", WITHDRAWN, {"pass": "CN1:…"},
          (*ENDS, "pass-malformed", "pass-altered", "pass-other-venue", "pass-plain", "pass-unknown", "pass-retired"),
          secret=True),
    Route("POST", "/v1/people/{person}/withdrawals", withdraw_for, DESK, "Withdraw for a person", WITHDRAWN,
          {"purpose": "entry.verify"}, (*ENDS, "person-unknown", "key-other-purpose"), secret=True),
]
