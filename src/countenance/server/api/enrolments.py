"""Enrolling at a desk or a kiosk, and passes.

An enrolment has two steps. The first takes the picture and answers with the pass; the second says what was read back
from it when it was in its holder's hand. Only then it counts, for whoever began it alone; one that nobody comes back
for is undone, keys first. A pass stands in no other answer, and in none that is kept for an idempotency key.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from countenance.access import me_codes, sessions
from countenance.access.roles import Who
from countenance.clock import utc_day, utc_text
from countenance.consent.acts import Age, act_from_channel, age_from
from countenance.consent.consents import Yes
from countenance.errors import BadInput, CountenanceError
from countenance.flows import enrol, passes, people, record, replace, revocations
from countenance.flows.enrol import Waiting
from countenance.integrations import cards
from countenance.quantities import PersonId, PurposeId
from countenance.server.api.models import Name, PassText, Strict
from countenance.server.api.people import NEW_CODE
from countenance.server.api.whom import wholly
from countenance.server.api.withdrawals import DESK, WITHDRAWN, told
from countenance.server.routing import Caller, Here, Route
from countenance.server.state import READ_BACK_S, Serving
from countenance.server.uploads import Picture, camera

FIELDS = ("reference", "purpose", "notice", "language", "channel")
ASKED = ("age", "guardian")
"""What comes with the picture: each as text, each once."""

_LONGEST = 128


class ReadBack(Strict):
    """What was read from the pass when it was in its holder's hand."""

    pass_text: PassText = Field(alias="pass")


class Holder(Strict):
    """Whose pass: their booking number."""

    reference: Name


class Printed(Strict):
    """A pass to be printed, on which card."""

    pass_text: PassText = Field(alias="pass")
    size: Literal["a6", "bank"] = "a6"


def begin_enrolment(here: Here, caller: Caller, upload: Picture) -> dict[str, Any]:
    """Enrol somebody who read the notice and said yes: everything but the pass in their hand.

    A form: the picture, taken now, as `image`; `reference`, `purpose`, `notice` (the hash of the text that was shown),
    `language`, and `channel` (`desk` or `kiosk`); what they answered about their `age` (`of-age` or `minor`), which a
    calibrated venue needs, and for a child its `guardian`'s booking number. The pass of the answer is handed over and
    read back (`read-back`) within five minutes; until then nobody is enrolled.
    """
    given = _fields(upload.fields)
    purpose = PurposeId(given["purpose"])
    caller.require_purpose(purpose)
    yes = Yes(given["notice"], given["language"], act_from_channel(given["channel"]),
              age_from(given.get("age", Age.UNASKED.value)), given.get("guardian", ""))
    with here.camera:
        waiting = enrol.begin(here.venue, given["reference"], purpose, yes, camera(upload))
    return {"enrolment": here.handed_over.put(waiting, _asks(caller)), "pass": waiting.pass_text,
            "read_back_within_s": READ_BACK_S}


def read_back(here: Here, caller: Caller, enrolment: str, body: ReadBack) -> dict[str, Any]:
    """Say what was read from the pass. From here on the person is enrolled; another text undoes everything.

    `receipt` and `me_code` are the person's: the code opens their own page, and an older one counts no more. Where
    none could be made (`null`) another can be asked for.
    """
    waiting = _taken(here, caller, enrolment)
    done = enrol.confirm(here.venue, waiting, lambda _text: body.pass_text)
    return {"person": done.person, "purpose": done.purpose, "receipt": done.receipt,
            "me_code": _me_code(here, caller, done.person)}


def give_up_enrolment(here: Here, caller: Caller, enrolment: str) -> None:
    """Undo an enrolment whose pass was not handed over."""
    enrol.give_up(here.venue, _taken(here, caller, enrolment))


def make_plain_pass(here: Here, body: Holder) -> dict[str, Any]:
    """Make a plain pass for somebody who said no: same gate, same price, no record, and they are not asked again soon.

    Whether it arrived is not checked: one that did not can be made again.
    """
    return {"pass": enrol.say_no(here.venue, body.reference, _unread)}


def replace_pass(here: Here, caller: Caller, body: Holder) -> dict[str, Any]:
    """Replace a lost or photographed pass by a plain one. The old one is void in both lanes, and a face in it ends.

    The old one is void whether the new one arrived or not; whoever did not get it asks again. `final_by`: until then
    a gate that goes by a copy of the list may take the old one.
    """
    _require_whole(here, caller, body.reference)
    done = replace.replace(here.venue, body.reference, _unread)
    with here.venue.store.read() as unit:
        final_by = revocations.final_by(unit)
    return {"pass": done.pass_text, "ended": [told(one) for one in done.ended],
            "final_by": utc_text(final_by) if final_by else None}


def draw_card(here: Here, body: Printed) -> Response:
    """Draw a pass of this venue as a card to print, at 100%: an SVG picture."""
    venue, text = here.venue, body.pass_text.strip()
    with venue.store.read() as unit:
        content = passes.read_here(venue, text, unit.now)
    facts = cards.CardFacts(venue.settings.name, venue.settings.contact, content.reference, content.custody,
                            utc_day(content.expires_at) - timedelta(days=1))
    drawn = cards.card(text, facts, cards.Size.A6 if body.size == "a6" else cards.Size.BANK_CARD)
    return Response(drawn, media_type=SVG, headers={"content-disposition": 'attachment; filename="card.svg"'})


def _fields(given: dict[str, str]) -> dict[str, str]:
    """Return the texts of the form. Raises BadInput(enrolment-fields)."""
    known = set(FIELDS) <= set(given) <= {*FIELDS, *ASKED}
    if not known or not all(0 < len(text) <= _LONGEST for text in given.values()):
        raise BadInput("enrolment-fields", f"An enrolment comes with {', '.join(FIELDS)}, perhaps "
                       f"{' and '.join(ASKED)}, and nothing else.")
    return given


def _asks(caller: Who) -> str:
    """Return who began an enrolment: this key or operator. Labels of keys may be alike."""
    return f"key {caller.key_id}" if caller.key_id else f"operator {caller.operator_id}"


def _taken(here: Serving, caller: Who, enrolment: str) -> Waiting:
    here.handed_over.give_up_late()
    return here.handed_over.take(enrolment, _asks(caller))


def _me_code(here: Serving, caller: Who, person: PersonId) -> str | None:
    try:
        wholly(here, caller, person)  # whoever has the code reads what their other purposes hold, too
        with here.venue.store.write() as unit:
            code = me_codes.give(unit, person)
            sessions.end_all(unit, person=person)
            record.access(unit, person, caller.name, NEW_CODE)
    except CountenanceError:
        return None  # they are enrolled, and their receipt must not be lost for it
    return code


def _require_whole(here: Serving, caller: Who, reference: str) -> None:
    """Raise Refused(key-other-purpose) where a key is not for all that would end."""
    if not caller.key_id:
        return
    with here.venue.store.read() as unit:
        row = people.find(unit, here.venue.keys, reference)
    if row is not None:
        wholly(here, caller, row.person_id)


def _unread(text: str) -> str:
    """Stand in for the holder of a pass that nothing hangs on: what was handed over is taken as read."""
    return text


SVG = "image/svg+xml"
FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["image", *FIELDS], "additionalProperties": False,
    "properties": {"image": {"type": "string", "format": "binary"}, "channel": {"enum": ["desk", "kiosk"]},
                   **{name: {"type": "string", "minLength": 1, "maxLength": _LONGEST} for name in FIELDS[:-1]}}}}}}}
TICKET = ("ticket-unknown", "ticket-expired", "ticket-early", "ticket-unclear", "tickets-stale",
          "entitlement-missing", "ticketing-silent", "ticketing-wrong", "clock-set-back", "signer-missing")
_PASS = ("pass-malformed", "pass-altered", "pass-other-venue", "pass-retired", "pass-expired", "pass-from-future")
_ENROL = ("enrolment-fields", "key-other-purpose", "purpose-unknown", "notice-missing", "notice-outdated",
          "notice-language", "consent-message", "consent-channel", "consent-standing", "enrolment-crossed",
          "enrolments-waiting", "gallery-full", "image-missing", "image-unreadable", "image-too-large",
          "image-too-small", "image-truncated", "image-animated", "image-mode", "no-face", "several-faces",
          "face-too-small", "face-cut-off", "face-unusable", "model-file-missing", "store-restored")
_WAITS = ("enrolment-unknown",)
_READ = (*_WAITS, "enrolment-abandoned", "pass-not-read", "consent-withdrawn", "signer-missing")

ROUTES = [
    Route("POST", "/v1/enrolments", begin_enrolment, DESK, "Begin an enrolment",
          {"enrolment": "8c1f…", "pass": "CN1:…", "read_back_within_s": READ_BACK_S}, errors=(*_ENROL, *TICKET),
          status=201, secret=True, picture=True, openapi=FORM),
    Route("POST", "/v1/enrolments/{enrolment}/read-back", read_back, DESK, "Read a pass back, and enrol",
          {"person": "3f9a…", "purpose": "entry.verify", "receipt": "{…}", "me_code": "7K3M-9QXA-…"},
          {"pass": "CN1:…"}, _READ, secret=True),
    Route("DELETE", "/v1/enrolments/{enrolment}", give_up_enrolment, DESK, "Give an enrolment up", errors=_WAITS,
          status=204),
    Route("POST", "/v1/passes/plain", make_plain_pass, DESK, "Make a plain pass", {"pass": "CN1:…"},
          {"reference": "Z-1001"}, TICKET, 201, secret=True),
    Route("POST", "/v1/passes/replacement", replace_pass, DESK, "Replace a pass",
          {"pass": "CN1:…", "ended": [WITHDRAWN], "final_by": None}, {"reference": "Z-1001"},
          (*TICKET, "key-other-purpose"), 201, secret=True),
    Route("POST", "/v1/passes/card", draw_card, DESK, "Draw a card",
          asks={"pass": "CN1:…", "size": "a6"}, errors=(*_PASS, "card-text", "code-too-long"), secret=True,
          media=SVG),
]
