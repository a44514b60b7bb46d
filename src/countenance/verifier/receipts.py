"""A receipt, checked from its text alone (docs/formats/receipt.md)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import checkpoints, evidence, notices, receipts, signed_note
from countenance.formats.evidence import Keys
from countenance.formats.log_entries import Record
from countenance.formats.trust import Trust
from countenance.quantities import DAY
from countenance.verifier import chain
from countenance.verifier.checkpoints import cosigned, require_keys, require_witnesses
from countenance.verifier.report import Report, Unchecked, follow

_EVERY = {"kind": str, "venue": str, "venue_name": str, "person": str, "at": str, "origin": str, "events": list,
          "checkpoint": str, "keys": dict}
_CONSENT = {"purpose": str, "notice": str, "notice_canonical": str, "notice_text": str, "language": str, "act": str,
            "expires_at": str, "consent_record": dict}
MEMBERS: dict[str, dict[str, type]] = {
    "enrolment": {**_EVERY, **_CONSENT, "custody": str},
    "renewal": {**_EVERY, **_CONSENT},
    "erasure": {**_EVERY, "purpose": str, "ended": str, "final": bool, "final_by": str, "copies_open_until": str},
}
"""What a receipt of each kind must have. It may say more, under the venue's signature."""

GIVEN = frozenset({"consent-given", "consent-renewed"})
ERASED = frozenset({"template-erased", "person-erased"})
ENDED = frozenset({"consent-withdrawn", "consent-expired", "consent-replaced", "consent-lost"})
"""Types of event: a receipt has exactly one of GIVEN, or of ERASED, for its purpose."""

ENDS = frozenset({"withdrawn", "expired", "replaced", "lost", "erased"})
"""How a consent can have ended of which an erasure tells; `erased`: with the whole person."""

LATEST = DAY
"""Seconds after its newest event at which a receipt may have been written, at most."""

_MOMENTS = ("at", "expires_at", "final_by", "copies_open_until")

NO_LOG = "The log could not be read when this receipt was written, so it has no proof from it."


def verify(text: str, trust: Trust | None) -> Report:
    """Check a receipt."""
    receipt = _Receipt(text, trust)
    return follow("receipt", [
        ("form", receipt.form), ("signature of the venue", receipt.signed), ("events", receipt.opened),
        ("inclusion in the log", receipt.included), ("checkpoint", receipt.checkpointed),
        ("cosignatures", receipt.cosigned), ("notice", receipt.noticed), ("trust", receipt.trusted),
    ], trusted=trust is not None)


def verify_list(text: str, trust: Trust | None) -> Report:
    """Check a list of receipts in one file, as an erasure of several consents gives it: every step of each."""
    try:
        if len(text) > receipts.LARGEST:
            raise ValueError
        held = json.loads(text)
        if type(held) is not list or not held or evidence.spelled(held) != text:
            raise ValueError
        texts = [evidence.spelled(one) for one in held]
    except (ValueError, TypeError, RecursionError):
        return follow("receipts", [("form", _no_list)], trusted=trust is not None)
    steps = [replace(step, name=f"receipt {number}, {step.name}") for number, one in enumerate(texts, 1)
             for step in verify(one, trust).steps]
    numbered = tuple(replace(step, number=number) for number, step in enumerate(steps, 1))
    return Report("receipts", numbered, trusted=trust is not None)


def _no_list() -> str:
    raise BadInput("receipt-malformed", "This file is not a list of receipts.")


class _Receipt:
    def __init__(self, text: str, trust: Trust | None) -> None:
        self.text, self.trust = text, trust

    def form(self) -> str:
        self.body, _signed = receipts.split(self.text)
        try:
            self.keys = self._shape()
        except (BadInput, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadInput("receipt-malformed", "This file is not a receipt.") from None
        return f"A receipt ({self.body['kind']}) of {self.body['venue_name']}, {self.body['at']}."

    def _shape(self) -> Keys:
        body = self.body
        evidence.require_plain(body)
        members = MEMBERS[body["kind"]]
        keys = evidence.read_keys(body["keys"])
        self.events = receipts.proven(body)
        unlogged = not body["checkpoint"]
        fault = body.get("log_fault", "")
        if (any(type(body[name]) is not kind for name, kind in members.items()) or not self.events
                or type(fault) is not str or unlogged != bool(fault)
                or (unlogged and any(event.index != -1 or event.proof for event in self.events))):
            raise ValueError
        if any(_instant(body[name]) < 0 for name in _MOMENTS if name in members):
            raise ValueError
        if "ended" in members and body["ended"] not in ENDS:
            raise ValueError
        evidence.require_names(keys, body["origin"], body["venue"])
        return keys

    def signed(self) -> str:
        receipts.read(self.text, Ed25519PublicKey.from_public_bytes(self.keys.receipt.public))
        return "What it says is what was signed."

    def opened(self) -> str:
        self.records = chain.opened(self.events)
        chain.require_links(self.events, self.records, nobodys=self.body["kind"] == "erasure")
        # Others of the person's own may stand between: what happened meanwhile.
        about = [record for record in self.records if record.body.get("purpose", "") == self.body["purpose"]]
        needed = ERASED if self.body["kind"] == "erasure" else GIVEN
        if len([record for record in about if record.type in needed]) != 1:
            raise BadInput("events-other", "The events of this receipt are not those that one of its kind tells of.")
        for record in about:
            _require_same(self.body, record)
        chain.require_person(self.records, self.body["person"])
        newest = max(record.at for record in self.records)
        if not newest <= _instant(self.body["at"]) <= newest + LATEST:
            raise _other_facts()
        return f"Each of its {len(self.records)} events opens its leaf and says what the receipt says."

    def included(self) -> str:
        self._require_log()
        head = checkpoints.parse(signed_note.parse(self.body["checkpoint"]))
        chain.require_included(self.events, head)
        return f"Each event is in the log of {head.size} entries."

    def checkpointed(self) -> str:
        self._require_log()
        head, self.note = checkpoints.read(self.body["checkpoint"], self.keys.log)
        return f"The log has signed its checkpoint at {head.size} entries."

    def cosigned(self) -> str:
        self._require_log()
        return cosigned(self.note, self.keys.witnesses, self.keys.log.name, self.trust)

    def noticed(self) -> str:
        if self.body["kind"] == "erasure":
            return "A receipt of this kind needs no notice."
        other = BadInput("notice-other", "The text in this receipt is not that of the notice it names.")
        try:
            notice = notices.parse(bytes.fromhex(self.body["notice_canonical"]))
        except ValueError:
            raise other from None
        same = {"notice": notice.hash, "notice_canonical": notice.canonical().hex(), "purpose": notice.purpose,
                "venue": notice.venue, "notice_text": notice.texts.get(self.body["language"]),
                "custody": notice.custody}
        if any(self.body.get(name, value) != value for name, value in same.items()):
            raise other
        return "The text is that of the notice which was agreed to."

    def trusted(self) -> str:
        told = require_keys(self.keys, self.trust)
        self._require_log()
        if self.trust is None:
            raise Unchecked(told)
        return f"{told} {require_witnesses(self.note, self.trust, (self.keys.log, self.keys.receipt))}"

    def _require_log(self) -> None:
        if not self.body["checkpoint"]:
            raise Unchecked(NO_LOG)


def _require_same(body: dict[str, Any], record: Record) -> None:
    """Check that a receipt says what an event for its purpose says. Raises BadInput(facts-other)."""
    said, erasure = record.body, body["kind"] == "erasure"
    same = "custody" not in said or "custody" not in body or said["custody"] == body["custody"]
    if record.type in GIVEN and not erasure:
        same = chain.same(said.get("expires_at"), _instant(body["expires_at"])) and all(
            said.get(name) == body[name] for name in ("notice", "language", "act")) and _same_record(body, said)
    elif record.type == "person-erased":
        same = erasure and body["ended"] == "erased"
    elif record.type in ENDED and erasure:
        same = body["ended"] in (record.type.removeprefix("consent-"), "erased")
    if not same:
        raise _other_facts()


def _same_record(body: dict[str, Any], said: dict[str, Any]) -> bool:
    """Say whether the record of a consent is of the consent, person, purpose and notice that all else is about."""
    record = body["consent_record"]
    about = record.get("processing")
    return (isinstance(about, dict) and isinstance(record.get("record_id"), str)
            and record["record_id"] == said.get("consent")
            and record.get("pii_principal_id") == body["person"] and about.get("purpose") == body["purpose"]
            and about.get("privacy_notice") == body["notice"])


def _other_facts() -> BadInput:
    return BadInput("facts-other", "The receipt says something else than its event in the log.")


def _instant(text: str) -> int:
    """Return the seconds of an RFC 3339 text in its one spelling; -2 for another text."""
    if not evidence.AT.fullmatch(text):
        return -2
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return -2
