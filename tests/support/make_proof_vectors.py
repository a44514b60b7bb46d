"""Writes `tests/vectors/{receipts,evidence,checkpoints,log-entries}/`: what a venue hands out, as many wrong as right.

`python -m support.make_proof_vectors` in `tests/` writes them anew; a test compares byte for byte. Each folder has an
`index.json`: a list of `file`, `why`, `trust` (a trust file of the same folder, or null), `verdict`, and, for what is
refused, the `step` (null where it is not even known for what it is) and the `code`. Keys and nonces come from seeds.
The page that evidence brings along is run against the same files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from cbor2 import CBORTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.formats import canonical, checkpoints, cose, evidence, log_entries, receipts, signed_note, strict64
from countenance.formats.evidence import ClearEntry, Content, Earlier, KeptNotice, Keys
from countenance.formats.log_entries import Record
from countenance.formats.notices import Notice
from countenance.formats.receipts import Proven
from countenance.formats.signed_note import WITNESS, NoteKey
from countenance.formats.trust import Trust
from countenance.quantities import Instant, PurposeId, VenueId
from support.small_log import SmallLog, private_key

FOLDER = Path(__file__).resolve().parent.parent / "vectors"
FOLDERS = ("receipts", "evidence", "checkpoints", "log-entries")
VENUE, PERSON, PURPOSE = "zoo", "a1" * 16, "entry.verify"
ORIGIN, RECEIPT_NAME = f"countenance.invalid/{VENUE}/log", f"countenance.invalid/{VENUE}/receipt"
AT = 1_800_000_000
WRITTEN_TEXT = "2027-01-15T08:01:00Z"
AT_TEXT, EXPIRES_TEXT, EXPIRES = "2027-01-15T08:00:00Z", "2028-01-15T08:00:00Z", 1_831_536_000
RECEIPT_KEY, ELSE_KEY = private_key("receipt"), private_key("somebody else")
KID = cose.key_id(RECEIPT_KEY.public_key())
WITNESS_NAMES = ("witness.example/one", "witness.example/two")
NOTICE = Notice(VenueId(VENUE), PurposeId(PURPOSE), 1, "carried", 365, {
    "en": "We compare your face with your pass, at this gate only.", "zh": "我们只在本闸机将您的脸与您的通行证比对。"})
OLDER = Notice(VenueId(VENUE), PurposeId(PURPOSE), 2, "carried", 365, {
    "en": "We compare your face <b>\\u003c & \"once\"</script>.", "zh": "第二版。"})

JSON = dict[str, Any]
Case = tuple[str, bytes, str | None, str, int | None, str | None, str]
"""File, content, trust file, verdict, step, code, why."""

VERIFIED, SELF, REFUSED = "verified", "self-consistent", "refused"
TRUST, NO_WITNESS, OTHERS = "zoo.trust", "no-witness.trust", "others.trust"


def witness_key(name: str) -> NoteKey:
    """Return the public key of a witness."""
    return signed_note.key_of(private_key(name), name, WITNESS)


WITNESSES = tuple(witness_key(name) for name in WITNESS_NAMES)
STRANGER = "stranger.example/three"
RECEIPT_NOTE_KEY = signed_note.key_of(RECEIPT_KEY, RECEIPT_NAME)


def nonce(number: int, whose: str = "") -> bytes:
    """Return the nonce of an event."""
    return hashlib.sha256(f"nonce {whose}{number}".encode()).digest()


def chain(steps: list[tuple[str, JSON]], whose: str = "", first: int = 1, before: bytes = b"") -> list[Proven]:
    """Return the events of a person, not in any log yet."""
    found = []
    for number, (kind, body) in enumerate(steps, first):
        record = Record(kind, Instant(AT + number), number, before, body).encode()
        before = log_entries.leaf_of(nonce(number, whose), record)
        found.append(Proven(before, nonce(number, whose), record, -1, ()))
    return found


GIVEN = {"consent": "c1", "purpose": PURPOSE, "notice": NOTICE.hash, "language": "zh", "act": "asserted",
         "expires_at": EXPIRES}
STEPS: list[tuple[str, JSON]] = [
    ("consent-given", GIVEN),
    ("template-sealed", {"template": "t1", "purpose": PURPOSE, "custody": "carried", "pack": "dlib-resnet@1"}),
    ("pass-issued", {"pass": "p1", "purpose": PURPOSE}),
    ("decision", {"purpose": PURPOSE, "outcome": "admit", "people": 1, "gate": "north"}),
    ("consent-superseded", {"consent": "c1", "purpose": PURPOSE}),
    ("consent-renewed", {**GIVEN, "consent": "c2", "notice": OLDER.hash, "language": "en"}),
    ("operator-access", {"by": "desk 2", "why": "a question about opening hours"}),
    ("consent-withdrawn", {"consent": "c2", "purpose": PURPOSE}),
    ("template-erased", {"purpose": PURPOSE}),
]
MINE = chain(STEPS)
OTHERS_EVENTS = chain(STEPS[:3], "other")
ERASED = Record("person-erased", Instant(AT + 50), 0, b"", {"venue": VENUE}).encode()
ERASED_EVENT = Proven(log_entries.leaf_of(nonce(50), ERASED), nonce(50), ERASED, -1, ())


def clear_entries() -> list[bytes]:
    """Return the entries about nobody that the log has."""
    at = Instant(AT)
    return [
        log_entries.clear("venue-founded", at, {"venue": VENUE, "regime": "cn"}),
        log_entries.clear("purpose", at, {"purpose": PURPOSE, "custody": "carried"}),
        log_entries.clear("notice", at, {"purpose": PURPOSE, "version": 1, "hash": NOTICE.hash}),
        log_entries.clear("notice", Instant(AT + 4), {"purpose": PURPOSE, "version": 2, "hash": OLDER.hash}),
        log_entries.clear("epoch", Instant(AT + 6), {"number": 2}),
    ]


def zoo(seed: str = "log", origin: str = ORIGIN) -> SmallLog:
    """Return the log: clear entries, everybody's events in between, and others' commitments."""
    clear = clear_entries()
    leaves = [event.leaf for pair in zip(MINE, [*OTHERS_EVENTS, *[ERASED_EVENT] * 9], strict=False)
              for event in pair][:13]
    entries = [*clear[:3], *map(log_entries.sealed, leaves[:7]), clear[3], *map(log_entries.sealed, leaves[7:]),
               *[log_entries.sealed(event.leaf) for event in MINE[7:]], clear[4]]
    log = SmallLog(entries, origin=origin, seed=seed)
    return log.grow(300 - log.size, "z")


LOG = zoo()
SIZE = 277
KEYS = Keys(LOG.key, RECEIPT_NOTE_KEY, WITNESSES)


def cosigned(note: str, *names: str) -> str:
    """Return a note with the cosignatures of witnesses."""
    found = signed_note.parse(note)
    for name in names:
        found = found.with_line(signed_note.cosign(found.text, name, private_key(name), Instant(AT + 100)))
    return found.encode()


NOTE = cosigned(LOG.checkpoint(SIZE), *WITNESS_NAMES)
PLAIN_NOTE = LOG.checkpoint(SIZE)


def proven(events: list[Proven], log: SmallLog = LOG, size: int = SIZE) -> list[Proven]:
    """Return events with where they are in a log, and the proofs."""
    found = []
    for event in events:
        index = log.entries.index(log_entries.sealed(event.leaf))
        found.append(Proven(event.leaf, event.nonce, event.record, index, tuple(log.inclusion(index, size))))
    return found


def trusts() -> dict[str, Trust]:
    """Return the trust files."""
    other = signed_note.key_of(private_key("other log"), ORIGIN)
    other_receipt = signed_note.key_of(ELSE_KEY, RECEIPT_NAME)
    return {
        TRUST: Trust((LOG.key,), (RECEIPT_NOTE_KEY,), WITNESSES, 2),
        "one-witness.trust": Trust((LOG.key,), (RECEIPT_NOTE_KEY,), WITNESSES, 1),
        NO_WITNESS: Trust((LOG.key,), (RECEIPT_NOTE_KEY,), (), 0),
        "other-log.trust": Trust((other,), (RECEIPT_NOTE_KEY,), WITNESSES, 2),
        "other-receipt.trust": Trust((LOG.key,), (other_receipt,), WITNESSES, 2),
        "stranger.trust": Trust((LOG.key,), (RECEIPT_NOTE_KEY,), (witness_key(STRANGER),), 1),
        "log-as-witness.trust": Trust((LOG.key,), (RECEIPT_NOTE_KEY,), (NoteKey(ORIGIN, WITNESS, LOG.key.public),), 1),
        "small-order.trust": Trust((LOG.key,), (RECEIPT_NOTE_KEY,), (
            *WITNESSES, NoteKey("witness.example/small", WITNESS, NEUTRAL)), 2),
        "wide-name.trust": Trust((LOG.key,), (RECEIPT_NOTE_KEY,), (
            *WITNESSES, NoteKey("witness.example/\u7532", WITNESS, witness_key(STRANGER).public)), 2),
        "two-names.trust": Trust((LOG.key,), (RECEIPT_NOTE_KEY,), (
            WITNESSES[0], NoteKey("witness.example/alias", WITNESS, WITNESSES[0].public)), 2),
    }


# --- receipts

_EVERY: JSON = {"venue": VENUE, "venue_name": "动物园 Zoo", "person": PERSON, "at": WRITTEN_TEXT, "origin": ORIGIN,
                "checkpoint": NOTE, "keys": KEYS.value()}


def consent(kind: str = "enrolment", notice: Notice = NOTICE, language: str = "zh", **other: Any) -> JSON:
    """Return the facts of a receipt for a consent."""
    facts = {**_EVERY, "kind": kind, "purpose": PURPOSE, "notice": notice.hash,
             "notice_canonical": notice.canonical().hex(), "notice_text": notice.texts[language],
             "language": language, "act": "asserted", "expires_at": EXPIRES_TEXT,
             "consent_record": record_of("c1" if kind == "enrolment" else "c2", notice)}
    if kind == "enrolment":
        facts["custody"] = "carried"
    return {**facts, **other}


def record_of(consent_id: str, notice: Notice, **processing: Any) -> JSON:
    """Return the record of a consent."""
    return {"schema_version": "aligned with ISO/IEC TS 27560:2023", "record_id": consent_id,
            "pii_principal_id": PERSON, "processing": {
                "purpose": PURPOSE, "privacy_notice": notice.hash, "pii_controllers": ["Zoo"], **processing}}


def erasure(**other: Any) -> JSON:
    """Return the facts of a receipt for an erasure."""
    return {**_EVERY, "kind": "erasure", "purpose": PURPOSE, "ended": "withdrawn", "final": True,
            "final_by": WRITTEN_TEXT, "copies_open_until": "2027-01-16T08:01:00Z", **other}


def receipt(facts: JSON, events: list[Proven], key: Ed25519PrivateKey = RECEIPT_KEY) -> str:
    """Return a signed receipt."""
    return receipts.write(facts, events, key, cose.key_id(key.public_key()))


ENROLMENT = receipt(consent(), proven(MINE[:3]))
RENEWAL = receipt(consent("renewal", OLDER, "en"), proven(MINE[4:6]))
ERASURE = receipt(erasure(), proven(MINE[7:9]))
WHOLE = receipt(erasure(purpose="", ended="erased"), proven([ERASED_EVENT]))


def relaid(text: str, change: Callable[[JSON], object]) -> str:
    """Return a receipt whose readable part was changed, in its right spelling; the signature stands."""
    body = json.loads(text)
    change(body)
    return evidence.spelled(body)


def _flipped_signature(body: JSON) -> None:
    message = bytearray(base64.b64decode(body["signed"]))
    message[-1] ^= 1
    body["signed"] = strict64.encode(bytes(message))


def other_bits(text: str) -> str:
    """Return base64 of the same bytes in another spelling. It must end in padding."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stem = text.rstrip("=")
    assert stem != text
    return stem[:-1] + alphabet[alphabet.index(stem[-1]) + 1] + text[len(stem):]


def with_event(events: list[Proven], at: int, **change: Any) -> list[Proven]:
    """Return events, one of them changed."""
    return [Proven(**{**vars(event), **change}) if number == at else event for number, event in enumerate(events)]


NEUTRAL = b"\x01" + bytes(31)
_ORDER = (1 << 252) + 27742317777372353535851937790883648493


def small_r(private: Ed25519PrivateKey, message: bytes) -> bytes:
    """Return a signature that fits the equation of RFC 8032, and whose R is the neutral element."""
    scalar = bytearray(hashlib.sha512(private.private_bytes_raw()).digest()[:32])
    scalar[0], scalar[31] = scalar[0] & 248, scalar[31] & 127 | 64
    hashed = hashlib.sha512(NEUTRAL + private.public_key().public_bytes_raw() + message).digest()
    s = int.from_bytes(hashed, "little") * int.from_bytes(scalar, "little") % _ORDER
    return NEUTRAL + s.to_bytes(32, "little")


def small_r_message(signed: str) -> str:
    """Return a COSE message of the receipt key with such a signature."""
    message = canonical.decode(base64.b64decode(signed), "receipt")
    header, kid, payload, _signature = message.value
    made = small_r(RECEIPT_KEY, canonical.encode(["Signature1", header, b"", payload]))
    RECEIPT_KEY.public_key().verify(made, canonical.encode(["Signature1", header, b"", payload]))  # OpenSSL takes it
    return strict64.encode(canonical.encode(CBORTag(18, [header, kid, payload, made])))


def small_r_note(note: str) -> str:
    """Return a note with such a signature of the log."""
    found = signed_note.parse(note)
    first = found.signatures[0]
    made = signed_note.Signature(first.name, first.key_id, small_r(LOG.private, found.text.encode()))
    return signed_note.Note(found.text, (made, *found.signatures[1:])).encode()


def long_cbor(signed: str) -> str:
    """Return a COSE message whose outermost list is of indefinite length."""
    message = base64.b64decode(signed)
    assert message[:2] == b"\xd2\x84"
    return strict64.encode(b"\xd2\x9f" + message[2:] + b"\xff")


def _put(body: JSON, name: str, change: Callable[[str], str]) -> None:
    body[name] = change(body[name])


def _padded_receipt() -> str:
    """Return a receipt whose signature ends in padding."""
    some = (receipt(consent(venue_name="Z" * number), proven(MINE[:3])) for number in (3, 4, 5))
    return next(text for text in some if json.loads(text)["signed"].endswith("="))


def receipts_of() -> Iterator[Case]:
    """Give every vector of a receipt."""
    yield from _right_receipts()
    yield from _unformed_receipts()
    yield from _changed_receipts()
    yield from _lying_receipts()
    yield from _other_keys_receipts()


def _case(name: str, text: str | bytes, why: str, trust: str | None = TRUST, verdict: str = VERIFIED,
          step: int | None = None, code: str | None = None) -> Case:
    data = text.encode() if isinstance(text, str) else text
    return name, data, trust, verdict, step, code, why


def _wrong(name: str, text: str | bytes, step: int | None, code: str, why: str, trust: str | None = TRUST) -> Case:
    return _case(name, text, why, trust, REFUSED, step, code)


def _right_receipts() -> Iterator[Case]:
    yield _case("enrolment.receipt", ENROLMENT, "an enrolment")
    yield _case("renewal.receipt", RENEWAL, "a renewal, with a text that looks like the end of a page")
    yield _case("erasure.receipt", ERASURE, "an erasure")
    yield _case("whole.receipt", WHOLE, "a person was erased whole; in nobody's chain")
    yield _case("self-enrolment.receipt", ENROLMENT, "without a trust file", None, SELF)
    yield _case("self-erasure.receipt", ERASURE, "without a trust file", None, SELF)
    uncosigned = receipt(consent(checkpoint=PLAIN_NOTE), proven(MINE[:3]))
    yield _case("uncosigned.receipt", uncosigned, "nobody cosigned, and nobody need have", NO_WITNESS)
    yield _case("self-uncosigned.receipt", uncosigned, "nobody cosigned", None, SELF)
    stranger = receipt(consent(checkpoint=cosigned(NOTE, STRANGER)), proven(MINE[:3]))
    yield _case("stranger.receipt", stranger, "a third, unknown cosignature counts for nothing, and harms nothing")
    one = receipt(consent(checkpoint=cosigned(PLAIN_NOTE, WITNESS_NAMES[1])), proven(MINE[:3]))
    yield _case("one-of-two.receipt", one, "one of two witnesses is enough here", "one-witness.trust")
    yield _case("unnamed-witness.receipt", receipt(consent(keys={**KEYS.value(), "witnesses": []}), proven(MINE[:3])),
                "the receipt names no witness, the trust file does")
    fault = receipt(erasure(checkpoint="", log_fault="log-busy"), MINE[7:9])
    yield _case("unlogged.receipt", fault, "the log could not be read: never more than self-consistent", TRUST, SELF)
    yield _case("self-unlogged.receipt", fault, "the log could not be read", None, SELF)
    yield _case("more.receipt", receipt(consent(booking="A-1001", seats=[1, None, {"b": True, "a": -1}, [], {}]),
                                        proven(MINE[:3])), "a venue may say more")
    yield _case("astral.receipt", receipt(consent(**{"\uff5e": 1, "\U0001f600": 2}), proven(MINE[:3])),
                "names sort by code point, not by UTF-16")
    yield _case("meanwhile.receipt", receipt(consent("renewal", OLDER, "en"), proven(MINE[3:7])),
                "other events of the same person in between")
    yield _case("erased-since.receipt", receipt(erasure(), proven(MINE[5:9])), "an erasure, told from the consent on")
    yield _case("tree-of-one.receipt", _in_log_of_one(), "a log of one entry: an empty proof", NO_WITNESS)


    day_later = receipt(consent(at="2027-01-16T08:00:03Z"), proven(MINE[:3]))
    yield _case("day-later.receipt", day_later, "written a day after its newest event, and not a second more")
    yield _case("named.receipt", _named(PERSON), "the event in the log names the person", NO_WITNESS)
    yield _case("named-whole.receipt", _named_whole(PERSON), "so does that of a person erased whole", NO_WITNESS)


def alone(kind: str, body: JSON, number: int = 1) -> tuple[list[Proven], str]:
    """Return one event in a log of its own, and that log's checkpoint."""
    record = Record(kind, Instant(AT + 1), number, b"", body).encode()
    event = Proven(log_entries.leaf_of(nonce(1), record), nonce(1), record, 0, ())
    log = SmallLog([log_entries.sealed(event.leaf)], origin=ORIGIN)
    return [event], log.checkpoint()


def _named(person: str) -> str:
    events, note = alone("consent-given", {**GIVEN, "person": person})
    return receipt(consent(checkpoint=note), events)


def _named_whole(person: str) -> str:
    events, note = alone("person-erased", {"venue": VENUE, "person": person}, 0)
    return receipt(erasure(purpose="", ended="erased", checkpoint=note), events)


def _in_log_of_one() -> str:
    log = SmallLog([log_entries.sealed(ERASED_EVENT.leaf)], origin=ORIGIN)
    return receipt(erasure(purpose="", ended="erased", checkpoint=log.checkpoint()), proven([ERASED_EVENT], log, 1))


def _unformed_receipts() -> Iterator[Case]:
    malformed = "receipt-malformed"
    yield _wrong("reordered.receipt", _reordered(ENROLMENT), 1, malformed, "fields in another order")
    yield _wrong("doubled.receipt", ENROLMENT.replace(
        '\n "person": ', '\n "person": "b2",\n "person": '), 1, malformed, "a field twice")
    yield _wrong("compact.receipt", json.dumps(json.loads(ENROLMENT), ensure_ascii=False) + "\n", 1, malformed,
                 "the same facts in another spelling")
    yield _wrong("escaped.receipt", ENROLMENT.replace("动", "\\u52a8"), 1, malformed, "a letter escaped for no reason")
    yield _wrong("truncated.receipt", ENROLMENT[:-40], 1, malformed, "cut short")
    yield _wrong("no-end.receipt", ENROLMENT[:-1], 1, malformed, "no line break at the end")
    yield _wrong("two-ends.receipt", ENROLMENT + "\n", 1, malformed, "a line break more")
    yield _wrong("crlf.receipt", ENROLMENT.replace("\n", "\r\n"), 1, malformed, "line breaks of another system")
    yield _wrong("unsigned.receipt", relaid(ENROLMENT, lambda b: b.pop("signed")), 1, malformed, "no signature")
    yield _wrong("format-1.receipt", relaid(ENROLMENT, lambda b: b.update(format="countenance/receipt/1")), 1,
                 malformed, "an older format")
    padded = _padded_receipt()
    yield _wrong("base64-bits.receipt", relaid(padded, lambda b: _put(b, "signed", other_bits)), 1, malformed,
                 "base64 whose last bits say nothing")
    yield _wrong("base64-unpadded.receipt", relaid(padded, lambda b: _put(b, "signed", lambda t: t.rstrip("="))), 1,
                 malformed, "base64 without its end")
    yield _wrong("base64-proof.receipt", relaid(ENROLMENT, lambda b: _put_proof(b, other_bits)), 1, malformed,
                 "base64 of a proof in another spelling")
    yield _wrong("upper-hex.receipt", relaid(ENROLMENT, lambda b: _put(b["events"][0], "leaf", str.upper)), 1,
                 malformed, "hex in capitals")
    yield _wrong("other-kind.receipt", receipt(consent(kind="ticket"), proven(MINE[:3])), 1, malformed,
                 "a kind that is none")
    for name in ("custody", "notice_canonical", "consent_record", "keys", "origin", "checkpoint", "at"):
        facts = {key: value for key, value in consent().items() if key != name}
        yield _wrong(f"without-{name.replace('_', '-')}.receipt", receipt(facts, proven(MINE[:3])), 1, malformed,
                     f"signed without {name}")
    yield _wrong("number-for-text.receipt", receipt(consent(person=7), proven(MINE[:3])), 1, malformed,
                 "a number where a text stands")
    yield _wrong("fraction.receipt", receipt(consent(seats=1.5), proven(MINE[:3])), 1, malformed, "a fraction")
    yield _wrong("huge-number.receipt", receipt(consent(seats=1 << 53), proven(MINE[:3])), 1, malformed,
                 "a number that not every reader keeps")
    yield _wrong("no-event.receipt", receipt(consent(), []), 1, malformed, "no event")
    yield _wrong("other-venue.receipt", receipt(consent(venue="park"), proven(MINE[:3])), 1, malformed,
                 "keys under the name of another venue")
    yield _wrong("bad-key.receipt", receipt(consent(keys={**KEYS.value(), "log": KEYS.log.text[:-2] + "A="}),
                                            proven(MINE[:3])), 1, malformed, "a key that does not have its id")
    yield _wrong("at-otherwise.receipt", receipt(consent(at="2027-01-15 08:00:00"), proven(MINE[:3])), 1, malformed,
                 "a time in another spelling")
    yield _wrong("no-such-day.receipt", receipt(consent(at="2027-02-30T08:00:00Z"), proven(MINE[:3])), 1, malformed,
                 "a day that no calendar has")
    yield _wrong("expires-otherwise.receipt", receipt(consent(expires_at="never"), proven(MINE[:3])), 1, malformed,
                 "an end that is no time")
    for name, told in (("final-by-otherwise", {"final_by": "2027-01-15T08:01:00+00:00"}),
                       ("copies-otherwise", {"copies_open_until": "soon"}), ("ended-forgotten", {"ended": "forgotten"}),
                       ("ended-superseded", {"ended": "superseded"})):
        yield _wrong(f"{name}.receipt", receipt(erasure(**told), proven(MINE[7:9])), 1, malformed,
                     "an end that is none")
    half = receipt(consent(venue_name="Zoo \ufffd"), proven(MINE[:3]))
    yield _wrong("half-letter.receipt", half.replace("\ufffd", "\\ud800"), 1, malformed, "half a letter for U+FFFD")
    small = NoteKey(RECEIPT_NAME, signed_note.LOG, NEUTRAL)
    yield _wrong("small-key.receipt", receipt(consent(keys=Keys(LOG.key, small, ()).value()), proven(MINE[:3])), 1,
                 malformed, "a key of small order, under which one signature fits many texts")
    yield _wrong("unlogged-without-fault.receipt", receipt(erasure(checkpoint=""), MINE[7:9]), 1, malformed,
                 "no checkpoint, and no reason")
    yield _wrong("nothing.receipt", "\n", None, "file-unknown", "an empty file")
    yield _wrong("page.receipt", "<!doctype html>\n", None, "file-unknown", "something else")


def _reordered(text: str) -> str:
    body = json.loads(text)
    return json.dumps(dict(reversed(body.items())), ensure_ascii=False, indent=1) + "\n"


def _put_proof(body: JSON, change: Callable[[str], str]) -> None:
    body["events"][0]["proof"][0] = change(body["events"][0]["proof"][0])


def _changed_receipts() -> Iterator[Case]:
    altered = "receipt-altered"

    def changed(name: str, change: Callable[[JSON], object], why: str, text: str = ENROLMENT) -> Case:
        return _wrong(f"{name}.receipt", relaid(text, change), 2, altered, why)

    yield changed("person-changed", lambda b: b.update(person="b2" * 16), "another person")
    yield changed("notice-text-changed", lambda b: b.update(notice_text=b["notice_text"] + "!"), "the text altered")
    yield changed("final-changed", lambda b: b.update(final=False), "another fact", ERASURE)
    yield changed("one-more", lambda b: b.update(more=1), "a field more")
    yield changed("event-left-out", lambda b: b["events"].pop(), "an event less")
    yield changed("stripped", lambda b: b.update(checkpoint=PLAIN_NOTE), "cosignatures stripped")
    yield changed("added", lambda b: b.update(checkpoint=cosigned(NOTE, STRANGER)), "a cosignature added")
    yield changed("signature-flipped", _flipped_signature, "a bit of the signature")
    yield _wrong("other-receipts-signature.receipt", relaid(
        ENROLMENT, lambda b: b.update(signed=json.loads(RENEWAL)["signed"])), 2, altered, "another receipt's signature")
    yield _wrong("signed-by-other.receipt", receipt(consent(), proven(MINE[:3]), ELSE_KEY), 2, altered,
                 "signed by somebody else under the venue's name")
    yield changed("small-r", lambda b: _put(b, "signed", small_r_message), "a signature whose R is of small order")
    yield _wrong("cbor-open.receipt", relaid(ENROLMENT, lambda b: _put(b, "signed", long_cbor)), 2,
                 "receipt-malformed", "the signed message in another spelling of CBOR")
    yield _wrong("cbor-trailing.receipt", relaid(ENROLMENT, lambda b: _put(
        b, "signed", lambda t: strict64.encode(base64.b64decode(t) + b"\0"))), 2, "receipt-malformed",
        "a byte behind the signed message")


def _lying_receipts() -> Iterator[Case]:
    """Signed by the venue with its own key, and still wrong."""
    mine = proven(MINE[:3])

    def lying(name: str, facts: JSON, events: list[Proven], step: int, code: str, why: str) -> Case:
        return _wrong(f"{name}.receipt", receipt(facts, events), step, code, why)

    yield lying("nonce-other", consent(), with_event(mine, 0, nonce=bytes(32)), 3, "leaf-other", "another nonce")
    yield lying("record-other", consent(), with_event(mine, 1, record=mine[2].record), 3, "leaf-other",
                "the record of another event")
    yield lying("nonce-short", consent(), with_event(mine, 0, nonce=mine[0].nonce[:31],
                record=mine[0].nonce[31:] + mine[0].record), 3, "leaf-other", "the border of the nonce moved")
    yield lying("record-malformed", consent(), proven_in_other(b"\xa0"), 3, "entry-malformed", "an event that says "
                "nothing")
    yield lying("gap", consent(), [mine[0], mine[2]], 3, "chain-gap", "an event between two is missing")
    yield lying("swapped", consent(), [mine[1], mine[0], mine[2]], 3, "chain-gap", "events in another order")
    yield lying("doubled-event", consent(), [mine[0], mine[0], mine[1]], 3, "chain-gap", "an event twice")
    yield lying("nobodys", consent(), proven_in_other(Record("consent-given", Instant(AT), 0, b"", GIVEN).encode()), 3,
                "chain-gap", "an enrolment that is in nobody's chain")
    yield lying("first-with-before", consent(), proven_in_other(Record(
        "consent-given", Instant(AT), 1, bytes(32), GIVEN).encode()), 3, "chain-gap", "a first event with one before")
    yield lying("somebody-elses", consent(), [mine[0], proven(OTHERS_EVENTS)[1]], 3, "chain-gap",
                "somebody else's event")
    yield lying("no-consent", consent(), mine[1:], 3, "events-other", "an enrolment without a consent")
    yield lying("erasure-of-nothing", erasure(), proven(MINE[7:8]), 3, "events-other", "an erasure without one")
    yield lying("erasure-of-consent", erasure(), mine, 3, "events-other", "an enrolment called an erasure")
    yield lying("purpose-other", consent(purpose="entry.search"), mine, 3, "events-other", "another purpose")
    yield lying("two-consents", consent("renewal", OLDER, "en"), proven(MINE[:6]), 3, "events-other",
                "two consents to one purpose")
    yield lying("act-other", consent(act="passkey"), mine, 3, "facts-other", "the person's own act, it says")
    yield lying("expires-other", consent(expires_at=AT_TEXT), mine, 3, "facts-other", "another end")
    yield lying("notice-hash-other", consent(notice=OLDER, language="zh"), mine, 3, "facts-other", "another notice")
    yield lying("custody-other", consent(custody="venue_keyed"), mine, 3, "facts-other", "another custody")
    yield lying("ended-other", erasure(ended="expired"), proven(MINE[7:9]), 3, "facts-other", "ended otherwise")
    yield lying("at-before", consent(at=AT_TEXT), mine, 3, "facts-other", "written before its newest event")
    yield lying("at-late", consent(at="2027-01-16T08:00:04Z"), mine, 3, "facts-other", "written a day and a second on")
    for name, record in (
            ("consent", record_of("c2", NOTICE)), ("notice", record_of("c1", OLDER)), ("nothing", {}),
            ("purpose", record_of("c1", NOTICE, purpose="entry.search")),
            ("person", {**record_of("c1", NOTICE), "pii_principal_id": "b2" * 16})):
        yield lying(f"consent-record-{name}", consent(consent_record=record), mine, 3, "facts-other",
                    f"the record of the consent says another {name}")
    yield lying("expires-true", consent(expires_at="1970-01-01T00:00:01Z"),
                alone("consent-given", {**GIVEN, "expires_at": True})[0], 3, "facts-other", "true for a time")
    yield _wrong("named-other.receipt", _named("b2" * 16), 3, "facts-other", "the event names another person")
    yield _wrong("named-whole-other.receipt", _named_whole("b2" * 16), 3, "facts-other", "another was erased")
    yield lying("index-other", consent(), with_event(mine, 0, index=mine[0].index + 1), 4, "inclusion-wrong",
                "another place in the log")
    yield lying("proof-short", consent(), with_event(mine, 0, proof=mine[0].proof[:-1]), 4, "inclusion-wrong",
                "a hash too few")
    yield lying("proof-long", consent(), with_event(mine, 0, proof=(*mine[0].proof, bytes(32))), 4, "inclusion-wrong",
                "a hash too many")
    yield lying("proof-other-size", consent(), proven(MINE[:3], LOG, 256), 4, "inclusion-wrong",
                "a proof for another size")
    yield lying("index-negative", consent(), with_event(mine, 0, index=-1), 4, "inclusion-wrong", "nowhere in the log")
    yield lying("not-in-log", consent(), with_event(mine, 0, leaf=mine[1].leaf, nonce=mine[1].nonce,
                record=mine[1].record)[:1] + mine[1:], 3, "chain-gap", "an event in the place of another")
    yield lying("size-altered", consent(checkpoint=NOTE.replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n")), mine, 5,
                "signature-wrong", "the checkpoint's size altered, its root kept")
    other = zoo("other log")
    yield lying("from-other-log", consent(checkpoint=other.checkpoint(SIZE)), mine, 5, "signature-missing",
                "a checkpoint of another log of the same name")
    named = zoo("log", "countenance.invalid/zoo/log2")
    yield lying("of-other-name", consent(checkpoint=named.checkpoint(SIZE)), mine, 5, "checkpoint-origin",
                "a checkpoint of a log of another name")
    yield lying("checkpoint-flipped", consent(checkpoint=flipped_line(NOTE, 0)), mine, 5, "signature-wrong",
                "a bit of the log's signature")
    yield lying("checkpoint-no-note", consent(checkpoint="none"), mine, 4, "note-malformed", "no note")
    yield lying("cosignature-flipped", consent(checkpoint=flipped_line(NOTE, 2)), mine, 6, "signature-wrong",
                "a bit of a cosignature")
    yield lying("cosignature-moved", consent(checkpoint=_moved_in_time(NOTE)), mine, 6, "signature-wrong",
                "a cosignature dated back")
    yield lying("notice-text-other", consent(notice_text=NOTICE.texts["en"]), mine, 7, "notice-other",
                "the text in another language")
    yield lying("notice-text-altered", consent(notice_text="We compare nothing."), mine, 7, "notice-other",
                "a text that nobody was shown")
    yield lying("notice-canonical-other", consent(notice_canonical=OLDER.canonical().hex()), mine, 7, "notice-other",
                "the bytes of another notice")
    yield lying("notice-no-notice", consent(notice_canonical="a0"), mine, 7, "notice-malformed", "bytes of no notice")


def proven_in_other(record: bytes) -> list[Proven]:
    """Return an event that opens its leaf and says what is given, in no log."""
    return [Proven(log_entries.leaf_of(nonce(1), record), nonce(1), record, 0, ())]


def flipped_line(note: str, line: int) -> str:
    """Return a note with a bit of one signature flipped."""
    found = signed_note.parse(note)
    one = found.signatures[line]
    spoiled = signed_note.Signature(one.name, one.key_id, one.value[:-1] + bytes([one.value[-1] ^ 1]))
    lines = [spoiled if number == line else old for number, old in enumerate(found.signatures)]
    return signed_note.Note(found.text, tuple(lines)).encode()


def _moved_in_time(note: str) -> str:
    found = signed_note.parse(note)
    one = found.signatures[1]
    earlier = (int.from_bytes(one.value[:8]) - 60).to_bytes(8)
    moved = signed_note.Signature(one.name, one.key_id, earlier + one.value[8:])
    return signed_note.Note(found.text, (found.signatures[0], moved, *found.signatures[2:])).encode()


def _other_keys_receipts() -> Iterator[Case]:
    mine = proven(MINE[:3])
    yield _wrong("trust-other-log.receipt", ENROLMENT, 8, "trust-other-log", "another log is trusted",
                 "other-log.trust")
    yield _wrong("trust-other-receipt.receipt", ENROLMENT, 8, "trust-other-receipt", "another key for receipts",
                 "other-receipt.trust")
    yield _wrong("trust-stranger.receipt", ENROLMENT, 8, "cosignature-missing", "another witness is trusted",
                 "stranger.trust")
    yield _wrong("trust-two-names.receipt", ENROLMENT, None, "trust-malformed", "one witness under two names",
                 "two-names.trust")
    stripped = receipt(consent(checkpoint=cosigned(PLAIN_NOTE, WITNESS_NAMES[0])), mine)
    yield _wrong("trust-stripped.receipt", stripped, 8, "cosignature-missing", "one of two cosignatures, both needed")
    own = signed_note.cosign(signed_note.parse(PLAIN_NOTE).text, ORIGIN, LOG.private, Instant(AT))
    alone = signed_note.parse(PLAIN_NOTE).with_line(own).encode()
    yield _wrong("trust-log-as-witness.receipt", receipt(consent(checkpoint=alone), mine), None, "trust-malformed",
                 "the log is its own witness", "log-as-witness.trust")
    log = zoo("forger")
    keys = Keys(log.key, signed_note.key_of(ELSE_KEY, RECEIPT_NAME), ())
    forged = receipt(consent(checkpoint=log.checkpoint(SIZE), keys=keys.value()), proven(MINE[:3], log), ELSE_KEY)
    yield _wrong("forged.receipt", forged, 8, "trust-other-log",
                 "everything signed anew by somebody with their own keys")
    yield _case("self-forged.receipt", forged, "the same, without a trust file: nobody can tell", None, SELF)
    half = receipt(consent(keys=Keys(LOG.key, keys.receipt, WITNESSES).value()), mine, ELSE_KEY)
    yield _wrong("half-forged.receipt", half, 8, "trust-other-receipt", "the real log, another key for receipts")
    fault = receipt(erasure(checkpoint="", log_fault="log-busy", keys=keys.value()), MINE[7:9], ELSE_KEY)
    yield _wrong("unlogged-forged.receipt", fault, 8, "trust-other-log", "no log, and somebody else's keys")


# --- evidence


def content(**other: Any) -> Content:
    """Return evidence about a person."""
    clear = clear_entries()
    found = [ClearEntry(one, LOG.entries.index(one), tuple(LOG.inclusion(LOG.entries.index(one), SIZE)))
             for one in clear]
    facts: JSON = {
        "kind": "person", "venue": VENUE, "venue_name": "动物园 Zoo", "person": PERSON, "at": AT_TEXT,
        "origin": ORIGIN, "keys": KEYS, "checkpoint": NOTE,
        "earlier": tuple(earlier(size) for size in (0, 5, 128, SIZE)),
        "events": tuple(proven(MINE)), "clear": tuple(found),
        "notices": tuple(KeptNotice(one.hash, one.canonical()) for one in (NOTICE, OLDER)),
        "asserted": {"statistics": {"face": {"admitted": 120, "people": None}, "plain": {"admitted": 48}},
                     "rules": ["cn"], "<!--</script>": "\\u003c \u2028 \x7f \" \\", "\uff5e": True, "\U0001f600": []}}
    return Content(**{**facts, **other})


def earlier(size: int, log: SmallLog = LOG) -> Earlier:
    """Return an earlier checkpoint with its proof."""
    return Earlier(log.checkpoint(size), tuple(log.consistency(size, SIZE)))


def page(facts: str, signature: str) -> str:
    """Return a page that shows nothing and holds everything."""
    return ('<!doctype html>\n<meta charset="utf-8">\n<title>Evidence</title>\n<p>See below.</p>\n'
            + evidence.blocks(facts, signature))


def zipped(facts: Content | str, key: Ed25519PrivateKey = RECEIPT_KEY,
           html: Callable[[str, str], str] = page, signature: str = "") -> bytes:
    """Return the ZIP, also of what `evidence.write` would not write: the files are signed as they are."""
    text = facts if isinstance(facts, str) else evidence.spelled(facts.value())
    kid = cose.key_id(key.public_key())
    beside = signature or evidence.sign(text, key, kid)
    files = {"evidence.html": html(text, beside).encode(), "evidence.json": text.encode(),
             "evidence.sig": beside.encode()}
    payload = evidence._manifest(files)
    return evidence.pack({**files, "manifest.sig": (strict64.encode(cose.sign1(payload, key, kid)) + "\n").encode()})


EVIDENCE = zipped(content())
VENUE_EVIDENCE = zipped(content(kind="venue", person="", events=()))
FACTS = evidence.open_zip(EVIDENCE).facts


def _json_changed(change: Callable[[JSON], object]) -> str:
    body = json.loads(FACTS)
    change(body)
    return evidence.spelled(body)


def _with_files(**other: bytes) -> bytes:
    """Return the ZIP with files put in the place of its own, nothing signed anew."""
    files = evidence.unpack(EVIDENCE)
    return evidence.pack({**files, **{name.replace("_", "."): data for name, data in other.items()}})


def evidence_of() -> Iterator[Case]:
    """Give every vector of evidence."""
    yield _case("person.zip", EVIDENCE, "all about a person")
    yield _case("venue.zip", VENUE_EVIDENCE, "about the venue")
    yield _case("self-person.zip", EVIDENCE, "without a trust file", None, SELF)
    yield _case("self-venue.zip", VENUE_EVIDENCE, "without a trust file", None, SELF)
    yield _case("no-earlier.zip", zipped(content(earlier=())), "no earlier checkpoint")
    yield _case("nothing-clear.zip", zipped(content(clear=())), "no entry about nobody")
    yield _case("first-event.zip", zipped(content(
        events=tuple(proven(MINE[:1])), clear=(), notices=content().notices[:1])), "one event only")
    yield _case("empty-venue.zip", zipped(content(
        kind="venue", person="", events=(), clear=(), notices=(), asserted={})), "a venue with nothing to tell")
    yield _case("stranger.zip", zipped(content(checkpoint=cosigned(NOTE, STRANGER))), "an unknown cosignature more")
    yield _case("alone.json", FACTS, "evidence.json without its signature: never more than self-consistent", TRUST,
                SELF)
    yield _case("named.zip", _named_evidence(PERSON), "the event in the log names the person", NO_WITNESS)
    yield from _unformed_evidence()
    yield from _changed_evidence()
    yield from _lying_evidence()
    yield from _other_keys_evidence()


def _named_evidence(person: str) -> bytes:
    events, note = alone("consent-given", {**GIVEN, "person": person})
    return zipped(content(events=tuple(events), checkpoint=note, earlier=(), clear=(), notices=content().notices[:1]))


def _true_version() -> bytes:
    entry = log_entries.clear("notice", Instant(AT), {"purpose": PURPOSE, "version": True, "hash": NOTICE.hash})
    log = SmallLog([entry], origin=ORIGIN)
    return zipped(content(kind="venue", person="", events=(), checkpoint=log.checkpoint(), earlier=(),
                          clear=(ClearEntry(entry, 0, ()),), notices=content().notices[:1]))


def _unformed_evidence() -> Iterator[Case]:
    malformed = "evidence-malformed"

    def facts(name: str, text: str, why: str) -> Case:
        return _wrong(f"{name}.zip", zipped(text), 1, malformed, why)

    yield _wrong("truncated.zip", EVIDENCE[:-30], 1, malformed, "cut short")
    yield _wrong("behind.zip", EVIDENCE + b"\0", 1, malformed, "a byte behind the end")
    yield _wrong("in-front.zip", b"PK" + EVIDENCE, 1, malformed, "bytes in front")
    yield _wrong("dated.zip", EVIDENCE.replace(b"\0\0\x21\0", b"\0\0\x22\0", 1), 1, malformed, "another date")
    yield _wrong("crc.zip", EVIDENCE.replace("动".encode(), "重".encode()), 1, malformed, "a letter, and no checksum")
    yield _wrong("deflated.zip", deflated(EVIDENCE), 1, malformed, "the same files, compressed")
    yield _wrong("member-more.zip", _repacked([*evidence.unpack(EVIDENCE).items(), ("more.txt", b"x")]), 1, malformed,
                 "a file more")
    yield _wrong("member-missing.zip", _repacked(list(evidence.unpack(EVIDENCE).items())[:3]), 1, malformed,
                 "a file less")
    yield _wrong("member-order.zip", _repacked(list(reversed(evidence.unpack(EVIDENCE).items()))), 1, malformed,
                 "files in another order")
    yield _wrong("not-utf8.zip", _with_files(evidence_html=b"\xff"), 1, malformed, "a page that is no text")
    yield facts("reordered", _reordered(FACTS), "fields in another order")
    yield facts("doubled", FACTS.replace('\n "person": ', '\n "person": "b2",\n "person": '), "a field twice")
    yield facts("escaped", FACTS.replace("动", "\\u52a8"), "a letter escaped for no reason")
    yield facts("half-letter", FACTS.replace("动", "\\ud800"), "half a letter")
    yield facts("compact", json.dumps(json.loads(FACTS), ensure_ascii=False, sort_keys=True) + "\n", "another layout")
    yield facts("no-end", FACTS[:-1], "no line break at the end")
    yield facts("more", _json_changed(lambda b: b.update(more=1)), "a field more")
    for name in ("asserted", "person", "notices", "earlier"):
        yield facts(f"without-{name}", _json_changed(lambda b, n=name: b.pop(n)), f"without {name}")
    yield facts("fraction", _json_changed(lambda b: b["asserted"].update(rate=0.5)), "a fraction")
    yield facts("huge-number", _json_changed(lambda b: b["asserted"].update(n=1 << 53)), "a number too large")
    yield facts("deep", _json_changed(lambda b: b["asserted"].update(deep=_nested(20))), "lists in lists in lists")
    yield facts("base64-proof", _json_changed(lambda b: _put_proof(b, other_bits)), "base64 in another spelling")
    yield facts("index-true", _json_changed(lambda b: b["events"][0].update(index=True)), "true for a number")
    yield facts("clear-order", _json_changed(lambda b: b["clear"].reverse()), "entries in another order")
    yield facts("clear-twice", _json_changed(lambda b: b["clear"].append(b["clear"][-1])), "an entry twice")
    yield facts("nobody", _json_changed(lambda b: b.update(person="")), "about a person, and about none")
    yield facts("kind", _json_changed(lambda b: b.update(kind="people")), "a kind that is none")
    yield facts("event-more", _json_changed(lambda b: b["events"][0].update(name="Ada")), "a field more in an event")
    yield facts("venue-other", _json_changed(lambda b: b.update(venue="park")), "keys of another venue's name")


def _nested(levels: int) -> Any:
    return [_nested(levels - 1)] if levels else 1


def _repacked(files: list[tuple[str, bytes]]) -> bytes:
    names = evidence.NAMES
    try:
        evidence.NAMES = tuple(name for name, _data in files)  # type: ignore[assignment]  # other names, other ZIP
        return evidence.pack(dict(files))
    finally:
        evidence.NAMES = names


def deflated(data: bytes) -> bytes:
    """Return a ZIP of the same files, compressed."""
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in evidence.unpack(data).items():
            about = zipfile.ZipInfo(name)
            about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(about, part)
    return out.getvalue()


def _changed_evidence() -> Iterator[Case]:
    altered = "evidence-altered"
    changed = _json_changed(lambda b: b.update(at="2027-01-15T08:00:01Z"))
    yield _wrong("facts-changed.zip", _with_files(evidence_json=changed.encode()), 2, altered, "a fact changed")
    html = evidence.unpack(EVIDENCE)["evidence.html"]
    yield _wrong("page-changed.zip", _with_files(evidence_html=html.replace(b"See below.", b"See above.")), 2, altered,
                 "the page changed")
    other = evidence.unpack(VENUE_EVIDENCE)
    yield _wrong("other-signature.zip", _with_files(evidence_sig=other["evidence.sig"]), 2, altered,
                 "the signature of other evidence")
    yield _wrong("other-manifest.zip", _with_files(manifest_sig=other["manifest.sig"]), 2, altered,
                 "the manifest of other evidence")
    yield _wrong("other-page.zip", _with_files(evidence_html=other["evidence.html"]), 2, altered,
                 "the page of other evidence")
    there, held = json.loads(FACTS), evidence.open_zip(VENUE_EVIDENCE)
    assert there
    yield _wrong("html-other-json.zip", zipped(content(), html=lambda _f, s: page(held.facts, s)), 2, altered,
                 "the page embeds other facts")
    yield _wrong("html-other-signature.zip", zipped(content(), html=lambda f, _s: page(f, held.signature)), 2, altered,
                 "the page embeds another signature")
    yield _wrong("html-two.zip", zipped(content(), html=lambda f, s: page(held.facts, s) + page(f, s)), 2, altered,
                 "the page embeds two")
    yield _wrong("html-id-twice.zip", zipped(content(), html=lambda f, s: "<p ID=evidence>x</p>" + page(f, s)), 2,
                 altered, "the page has another element of the name")
    for name, more in (("number", "<p id=&#101;vidence>x</p>"), ("name", "<p ID = 'e&vert;'>x</p>")):
        yield _wrong(f"html-id-by-{name}.zip", zipped(content(), html=lambda f, s, m=more: m + page(f, s)), 2,
                     altered, f"an element whose id is written by a letter's {name}")
    yield _wrong("html-unescaped.zip", zipped(content(), html=lambda f, s: page(f, s).replace("\\u003c", "<")), 2,
                 altered, "the page embeds the facts unescaped")
    yield _wrong("html-none.zip", zipped(content(), html=lambda _f, _s: "<!doctype html>\n"), 2, altered,
                 "the page embeds nothing")
    yield _wrong("signed-by-other.zip", zipped(content(), ELSE_KEY), 2, altered, "signed by somebody else")
    text = evidence.spelled(content().value())
    once = evidence.sign(text, RECEIPT_KEY, KID)
    for name, signature, why in (
            ("signature-no-base64", "!\n", "no base64"), ("signature-no-end", once[:-1], "no line break"),
            ("signature-two-ends", once + "\n", "a line break more"),
            ("signature-cbor-open", long_cbor(once.strip()) + "\n", "CBOR in another spelling")):
        yield _wrong(f"{name}.zip", zipped(text, signature=signature), 2, "evidence-malformed", why)
    swapped = strict64.encode(cose.sign1(evidence._manifest({}), RECEIPT_KEY, KID)) + "\n"
    yield _wrong("signature-of-manifest.zip", zipped(text, signature=swapped), 2, altered,
                 "a signature over something else")


def _lying_evidence() -> Iterator[Case]:
    """Signed by the venue with its own key, and still wrong."""
    def lying(name: str, step: int, code: str, why: str, **other: Any) -> Case:
        return _wrong(f"{name}.zip", zipped(content(**other)), step, code, why)

    whole = content()
    mine = list(whole.events)
    forged = zoo("other log")
    yield lying("from-other-log", 3, "signature-missing", "a checkpoint of another log of this name",
                checkpoint=forged.checkpoint(SIZE))
    yield lying("of-other-name", 3, "checkpoint-origin", "a checkpoint of a log of another name",
                checkpoint=zoo("log", "countenance.invalid/zoo/log2").checkpoint(SIZE))
    yield lying("size-altered", 3, "signature-wrong", "the size altered, the root kept",
                checkpoint=NOTE.replace(f"\n{SIZE}\n", "\n278\n"))
    yield lying("checkpoint-flipped", 3, "signature-wrong", "a bit of the log's signature",
                checkpoint=flipped_line(NOTE, 0))
    yield lying("checkpoint-none", 3, "note-malformed", "no checkpoint", checkpoint="")
    yield lying("cosignature-flipped", 4, "signature-wrong", "a bit of a cosignature", checkpoint=flipped_line(NOTE, 1))
    yield lying("proof-other-size", 5, "inclusion-wrong", "a proof for another size",
                events=tuple(proven(MINE, LOG, 256)))
    yield lying("index-other", 5, "inclusion-wrong", "another place", events=tuple(with_event(mine, 2, index=99)))
    yield lying("proof-missing", 5, "inclusion-wrong", "no proof", events=tuple(with_event(mine, 2, proof=())))
    yield lying("clear-altered", 5, "inclusion-wrong", "an entry about nobody altered", clear=_with_clear(
        log_entries.clear("epoch", Instant(AT + 6), {"number": 3})))
    yield lying("clear-sealed", 5, "entry-malformed", "a commitment among the entries about nobody",
                clear=_with_clear(log_entries.sealed(bytes(32))))
    yield lying("clear-oversized", 5, "entry-malformed", "an entry above 65,535 bytes",
                clear=_with_clear(oversized()))
    yield lying("clear-open", 5, "entry-malformed", "CBOR in another spelling",
                clear=_with_clear(b"\x01\xbf\xff"))
    fork = LOG.forked(100, 200)
    yield lying("earlier-forked", 6, "consistency-wrong", "an earlier checkpoint of a forked log",
                earlier=(Earlier(fork.checkpoint(150), tuple(LOG.consistency(150, SIZE))),))
    yield lying("earlier-proof", 6, "consistency-wrong", "a hash too few",
                earlier=(Earlier(LOG.checkpoint(150), tuple(LOG.consistency(150, SIZE))[:-1]),))
    yield lying("earlier-other-size", 6, "consistency-wrong", "a proof for another size",
                earlier=(Earlier(LOG.checkpoint(150), tuple(LOG.consistency(149, SIZE))),))
    yield lying("earlier-later", 6, "consistency-wrong", "a later checkpoint",
                earlier=(Earlier(LOG.checkpoint(290), tuple(LOG.consistency(SIZE, 290))),))
    yield lying("earlier-unsigned", 6, "signature-missing", "a checkpoint that another log signed",
                earlier=(Earlier(forged.checkpoint(150), tuple(LOG.consistency(150, SIZE))),))
    yield lying("gap", 7, "chain-gap", "an event is missing", events=tuple(mine[:3] + mine[4:]))
    yield lying("first-missing", 7, "chain-gap", "the first event is missing", events=tuple(mine[1:]))
    yield lying("somebody-elses", 7, "chain-gap", "somebody else's event",
                events=(*mine[:1], proven(OTHERS_EVENTS)[1], *mine[2:]))
    yield lying("somebody-elses-more", 7, "chain-gap", "somebody else's event more",
                events=(*mine, proven(OTHERS_EVENTS)[2]))
    yield lying("no-chain", 7, "chain-gap", "an event that is in nobody's chain",
                events=(*mine, *proven([ERASED_EVENT])))
    yield lying("no-events", 7, "chain-gap", "about a person, without an event", events=(), clear=whole.clear)
    yield lying("venue-events", 7, "chain-gap", "about the venue, with a person's events", kind="venue", person="")
    yield lying("nonce-other", 7, "leaf-other", "another nonce", events=tuple(with_event(mine, 3, nonce=bytes(32))))
    yield lying("record-other", 7, "leaf-other", "another record",
                events=tuple(with_event(mine, 3, record=mine[4].record)))
    yield _wrong("named-other.zip", _named_evidence("b2" * 16), 7, "facts-other", "the event names another person")
    yield _wrong("version-true.zip", _true_version(), 8, "notice-other", "true for a notice's version")
    yield lying("notice-missing", 8, "notice-missing", "a notice left out", notices=whole.notices[:1])
    yield lying("notice-more", 8, "notice-other", "a notice that nothing names", events=tuple(mine[:1]),
                clear=())
    yield lying("notice-altered", 8, "notice-other", "a notice's text altered", notices=(
        whole.notices[0], KeptNotice(OLDER.hash, OLDER.canonical().replace(b"compare", b"forgets"))))
    yield lying("notice-malformed", 8, "notice-malformed", "bytes of no notice",
                notices=(whole.notices[0], KeptNotice(OLDER.hash, b"\xa0")))
    yield lying("notice-twice", 8, "notice-other", "a notice twice", notices=(*whole.notices, whole.notices[0]))


def oversized() -> bytes:
    """Return an entry that is a byte too long."""
    short = log_entries.clear("order", Instant(AT), {"what": "x" * 65_000})
    return b"\x01" + cbor_map(65_000 + 65_536 - len(short))


def cbor_map(letters: int) -> bytes:
    """Return the record of an order with so many letters."""
    from countenance.formats import canonical

    return canonical.encode({"type": "order", "at": AT, "body": {"what": "x" * letters}})


def _with_clear(entry: bytes) -> tuple[ClearEntry, ...]:
    clear = list(content().clear)
    return (*clear[:-1], ClearEntry(entry, clear[-1].index, clear[-1].proof))


def _other_keys_evidence() -> Iterator[Case]:
    for name in ("other-log", "other-receipt"):
        yield _wrong(f"trust-{name}.zip", EVIDENCE, 9, f"trust-{name}", "other keys are trusted", f"{name}.trust")
    yield _wrong("trust-stranger.zip", EVIDENCE, 9, "cosignature-missing", "another witness is trusted",
                 "stranger.trust")
    yield _wrong("trust-stripped.zip", zipped(content(checkpoint=cosigned(PLAIN_NOTE, WITNESS_NAMES[0]))), 9,
                 "cosignature-missing", "one of two cosignatures")
    log = zoo("forger")
    keys = Keys(log.key, signed_note.key_of(ELSE_KEY, RECEIPT_NAME), ())
    forged = zipped(content(keys=keys, checkpoint=log.checkpoint(SIZE),
                            earlier=(earlier(128, log),)), ELSE_KEY)
    yield _wrong("forged.zip", forged, 9, "trust-other-log", "everything signed anew by somebody else")
    yield _case("self-forged.zip", forged, "the same without a trust file: nobody can tell", None, SELF)


# --- checkpoints and entries


def checkpoints_of() -> Iterator[Case]:
    """Give every vector of a checkpoint."""
    yield _case("cosigned.checkpoint", NOTE, "cosigned by both witnesses")
    yield _case("self-cosigned.checkpoint", NOTE, "without a trust file: nothing of it was checked", None, SELF)
    yield _case("plain.checkpoint", PLAIN_NOTE, "no cosignature, and none needed", NO_WITNESS)
    yield _case("one.checkpoint", cosigned(PLAIN_NOTE, WITNESS_NAMES[1]), "one of two", "one-witness.trust")
    yield _case("stranger.checkpoint", cosigned(NOTE, STRANGER), "an unknown cosignature counts for nothing")
    yield _case("empty.checkpoint", cosigned(LOG.checkpoint(0), *WITNESS_NAMES), "an empty log")
    yield _case("extra.checkpoint", cosigned(LOG.checkpoint(SIZE, ("more",)), *WITNESS_NAMES), "a line more")
    yield _case("large.checkpoint", cosigned(LOG.sign(checkpoints.Checkpoint(
        ORIGIN, (1 << 63) - 1, bytes(32)).text), *WITNESS_NAMES), "the largest size")

    def wrong(name: str, text: str, step: int | None, code: str, why: str, trust: str | None = TRUST) -> Case:
        return _wrong(f"{name}.checkpoint", text, step, code, why, trust)

    yield wrong("no-signature", NOTE.split("\n\n")[0] + "\n\n", None, "file-unknown", "no signature at all")
    yield wrong("truncated", NOTE[:-5], 1, "note-malformed", "cut short")
    yield wrong("doubled", NOTE + NOTE.splitlines(keepends=True)[-1], 1, "note-malformed", "a signature twice")
    yield wrong("crlf", NOTE.replace("\n\n", "\r\n\n"), 1, "note-malformed", "line breaks of another system")
    yield wrong("behind", NOTE + "x\n", 1, "note-malformed", "a line behind")
    yield wrong("wide-name", NOTE + NOTE.splitlines(keepends=True)[-1].replace("two", "\u7532"), 1, "note-malformed",
                "a name that is not in ASCII")
    yield wrong("size-zeroes", LOG.sign(f"{ORIGIN}\n0{SIZE}\n{_root64()}\n"), 1, "checkpoint-malformed", "a 0 in front")
    yield wrong("size-negative", LOG.sign(f"{ORIGIN}\n-1\n{_root64()}\n"), 1, "checkpoint-malformed", "below 0")
    yield wrong("size-too-large", LOG.sign(f"{ORIGIN}\n{1 << 63}\n{_root64()}\n"), 1, "checkpoint-malformed", "2^63")
    yield wrong("root-short", LOG.sign(f"{ORIGIN}\n{SIZE}\n{strict64.encode(bytes(31))}\n"), 1, "checkpoint-malformed",
                "31 bytes")
    yield wrong("root-bits", LOG.sign(f"{ORIGIN}\n{SIZE}\n{other_bits(_root64())}\n"), 1, "checkpoint-malformed",
                "base64 in another spelling")
    yield wrong("root-of-nothing", LOG.sign(f"{ORIGIN}\n0\n{_root64()}\n"), 1, "checkpoint-malformed",
                "an empty log with another root")
    yield wrong("no-root", LOG.sign(f"{ORIGIN}\n{SIZE}\n"), 1, "checkpoint-malformed", "no root")
    yield wrong("size-altered", NOTE.replace(f"\n{SIZE}\n", "\n278\n"), 2, "signature-wrong",
                "the size altered, the root kept")
    yield wrong("root-altered", NOTE.replace(_root64(), strict64.encode(LOG.root(SIZE - 1))), 2, "signature-wrong",
                "another root")
    yield wrong("signature-flipped", flipped_line(NOTE, 0), 2, "signature-wrong", "a bit of the signature")
    yield wrong("small-r", small_r_note(NOTE), 2, "signature-wrong", "a signature whose R is of small order")
    yield wrong("unsigned", _without(NOTE, 0), 2, "signature-missing", "the witnesses' signatures only")
    yield wrong("other-log", zoo("other log").checkpoint(SIZE), 2, "signature-missing", "another log of this name")
    yield wrong("other-name", zoo("log", "countenance.invalid/zoo/log2").checkpoint(SIZE), 2, "trust-other-log",
                "a log of another name")
    yield wrong("cosignature-flipped", flipped_line(NOTE, 1), 3, "signature-wrong", "a bit of a cosignature")
    yield wrong("cosignature-moved", _moved_in_time(NOTE), 3, "signature-wrong", "dated back")
    yield wrong("stripped", _without(NOTE, 2), 4, "cosignature-missing", "one of two stripped")
    yield wrong("stripped-whole", PLAIN_NOTE, 4, "cosignature-missing", "both stripped")
    yield wrong("stranger-only", cosigned(PLAIN_NOTE, STRANGER), 4, "cosignature-missing", "an unknown one only")
    yield wrong("two-names", NOTE, None, "trust-malformed", "one witness under two names", "two-names.trust")
    yield wrong("small-order", NOTE, None, "trust-malformed", "a witness whose key is of small order",
                "small-order.trust")
    yield wrong("trust-wide-name", NOTE, None, "trust-malformed", "a witness's name that is not in ASCII",
                "wide-name.trust")


def _root64() -> str:
    return strict64.encode(LOG.root(SIZE))


def _without(note: str, line: int) -> str:
    found = signed_note.parse(note)
    lines = [one for number, one in enumerate(found.signatures) if number != line]
    return signed_note.Note(found.text, tuple(lines)).encode()


def entries_of() -> Iterator[Case]:
    """Give every vector of an entry: `verdict` is read or refused; nothing is verified about one by itself."""
    def entry(name: str, data: bytes, why: str, code: str | None = None) -> Case:
        return _case(f"{name}.hex", data.hex() + "\n", why, None, REFUSED if code else "read", None, code)

    for number, data in enumerate(clear_entries()):
        yield entry(f"clear-{number}", data, "in the clear")
    yield entry("sealed", log_entries.sealed(MINE[0].leaf), "a commitment")
    longest = b"\x01" + cbor_map(65_000 + 65_535 - len(log_entries.clear("order", Instant(AT), {"what": "x" * 65_000})))
    assert len(longest) == 65_535 == len(oversized()) - 1
    yield entry("longest", longest, "65,535 bytes")
    malformed = "entry-malformed"
    whole = clear_entries()[1]
    for name, data, why in (
            ("empty", b"", "nothing"), ("oversized", oversized(), "65,536 bytes"),
            ("other-kind", b"\x02" + whole[1:], "neither clear nor sealed"),
            ("sealed-short", b"\0" + bytes(31), "31 bytes"), ("sealed-long", b"\0" + bytes(33), "33 bytes"),
            ("truncated", whole[:-1], "cut short"), ("behind", whole + b"\0", "a byte behind"),
            ("open", b"\x01\xbf" + whole[2:] + b"\xff", "of indefinite length"),
            ("no-map", b"\x01\x80", "a list"), ("nothing-said", b"\x01\xa0", "an empty map"),
            ("more", _spelled_entry(more=1), "a name more"), ("type-number", _spelled_entry(type=1), "another type"),
            ("at-true", _spelled_entry(at=True), "true for a time"), ("at-negative", _spelled_entry(at=-1), "below 0"),
            ("at-late", _spelled_entry(at=253_402_300_800), "after the calendar's end"),
            ("body-list", _spelled_entry(body=[]), "a list for a map")):
        yield entry(name, data, why, malformed)


def _spelled_entry(**other: Any) -> bytes:
    from countenance.formats import canonical

    return b"\x01" + canonical.encode({"type": "epoch", "at": AT, "body": {"number": 1}, **other})


# --- all


def vectors() -> dict[str, dict[str, bytes]]:
    """Return every file by its folder and name."""
    found: dict[str, dict[str, bytes]] = {}
    for folder, cases in zip(FOLDERS, (receipts_of, evidence_of, checkpoints_of, entries_of), strict=True):
        files = {name: one.encode().encode() for name, one in trusts().items()} if folder != "log-entries" else {}
        index = []
        for name, data, trust, verdict, step, code, why in cases():
            assert name not in files, name
            files[name] = data
            index.append({"file": name, "why": why, "trust": trust, "verdict": verdict, "step": step, "code": code})
        files["index.json"] = (json.dumps(index, ensure_ascii=False, indent=1) + "\n").encode()
        found[folder] = deepcopy(files)
    return found


def main() -> None:
    """Write the folders anew."""
    for folder, files in vectors().items():
        shutil.rmtree(FOLDER / folder, ignore_errors=True)
        (FOLDER / folder).mkdir(parents=True)
        for name, data in files.items():
            (FOLDER / folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
