"""Writes evidence of a made-up zoo, about a person and about the venue, to look at: always the same bytes.

`python tests/support/sample_evidence.py FOLDER` writes FOLDER/{person,venue}/evidence.html and beside it evidence.zip,
and FOLDER/zoo.trust and FOLDER/person.receipt to open in the page.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from countenance.formats import cose, evidence, log_entries, receipts, signed_note
from countenance.formats.evidence import ClearEntry, Content, Earlier, KeptNotice, Keys
from countenance.formats.log_entries import Record
from countenance.formats.notices import Notice
from countenance.formats.receipts import Proven
from countenance.formats.signed_note import WITNESS
from countenance.formats.trust import Trust
from countenance.quantities import DAY, HOUR, Instant, PurposeId, VenueId
from countenance.verifier import page_builder
from support.small_log import SmallLog, private_key

VENUE, NAME, PERSON, PURPOSE = "5e1d" * 8, "Hangzhou Bay Zoo", "3fa9" * 8, "entry.verify"
ORIGIN, RECEIPT_NAME = f"countenance.invalid/{VENUE}/log", f"countenance.invalid/{VENUE}/receipt"
START = Instant(1_767_600_000)  # 2026-01-05
RECEIPT = private_key("sample receipt")
WITNESS_NAME = "witness.example/consumers"
NOTICE = Notice(VenueId(VENUE), PurposeId(PURPOSE), 1, "carried", 365, {
    "en": "We would like to compare your face with your pass at our gates, so that you need no card.\n\n"
          "You need not agree: the other lane is open at the same price. The measurement of your face is kept in your "
          "pass only, and you can withdraw at any desk, at any time, without a reason.",
    "zh-Hans": "我们希望在入园闸口将您的脸与您的通行证比对。这样您无须出示卡片。\n\n"
               "您可以不同意。另一通道同价开放。您的人脸特征仅存于您的通行证内。您可随时在任一服务台撤回而无须说明理由。"})
NEWER = Notice(VenueId(VENUE), PurposeId(PURPOSE), 2, "carried", 365, {
    **NOTICE.texts, "en": NOTICE.texts["en"] + " From June on this includes the aquarium's gate."})

_VISITS = (6, 20, 27, 34, 48, 62, 69, 76, 83, 90, 97, 118, 125)

Told = tuple[Instant, str, dict[str, Any]]


def _after(days: int, seconds: int = 0) -> Instant:
    return Instant(START + days * DAY + seconds)


def _consent(notice: Notice, number: int, given: Instant, language: str) -> dict[str, Any]:
    return {"consent": hashlib.sha256(b"%d" % number).hexdigest()[:32], "purpose": PURPOSE, "notice": notice.hash,
            "language": language, "act": "asserted", "expires_at": given + 365 * DAY}


def told_of_person() -> list[Told]:
    """Return what happened to the person, in order."""
    first = _consent(NOTICE, 1, _after(0, 10 * HOUR), "zh-Hans")
    newer = _consent(NEWER, 2, _after(150, 9 * HOUR), "en")
    named = {"consent": first["consent"], "purpose": PURPOSE}
    visits = [(_after(day, 10 * HOUR + day * 61), "decision", {
        "purpose": PURPOSE, "outcome": "admit" if day % 17 else "refer", "people": 1 + day % 3, "gate": gate})
        for day, gate in zip(_VISITS, ("north", "south") * len(_VISITS), strict=False)]
    return [
        (_after(0, 10 * HOUR), "consent-given", first),
        (_after(0, 10 * HOUR + 40), "template-sealed", {
            "template": "7c" * 16, "purpose": PURPOSE, "custody": "carried", "pack": "dlib-resnet"}),
        (_after(0, 10 * HOUR + 60), "pass-issued", {"pass": "1b" * 16, "purpose": PURPOSE}),
        *visits,
        (_after(130, 14 * HOUR), "operator-access", {"by": "desk 2", "why": "The person asked what is held of them."}),
        (_after(150, 9 * HOUR), "consent-superseded", named),
        (_after(150, 9 * HOUR), "consent-renewed", newer),
        (_after(155, 10 * HOUR), "decision", {"purpose": PURPOSE, "outcome": "admit", "people": 2, "gate": "aquarium"}),
        (_after(190, 16 * HOUR), "disclosure", {
            "to": "District court, case 2026-114", "what": "This record", "why": "Ordered by the court."}),
        (_after(200, 11 * HOUR), "complaint", {"text": "The gate was slow, and I was asked twice."}),
        (_after(210, 12 * HOUR), "consent-withdrawn", {"consent": newer["consent"], "purpose": PURPOSE}),
        (_after(210, 12 * HOUR + 1), "template-erased", {"purpose": PURPOSE}),
    ]


def told_of_nobody() -> list[Told]:
    """Return the entries about nobody, in order."""
    return [
        (START, "venue-founded", {"venue": VENUE, "regime": "cn"}),
        (START, "purpose", {"purpose": PURPOSE, "custody": "carried"}),
        (START, "notice", {"purpose": PURPOSE, "version": 1, "hash": NOTICE.hash}),
        (_after(0, 8 * HOUR), "gate-opened", {"gate": "north", "zone": "entrance"}),
        *((_after(7 * week, 3 * HOUR), "epoch", {"number": 1 + week}) for week in range(1, 21)),
        (_after(148), "notice", {"purpose": PURPOSE, "version": 2, "hash": NEWER.hash}),
        (_after(188), "order", {"authority": "District court", "reference": "2026-114", "what": "Some records"}),
        (_after(209), "backup", {"store": "data"}),
    ]


def chain(told: list[Told]) -> list[Proven]:
    """Return a person's events, not in any log yet."""
    found, before = [], b""
    for number, (at, kind, body) in enumerate(told, 1):
        record = Record(kind, at, number, before, body).encode()
        nonce = hashlib.sha256(b"sample nonce %d" % number).digest()
        before = log_entries.leaf_of(nonce, record)
        found.append(Proven(before, nonce, record, -1, ()))
    return found


class Sample:
    """The zoo's log, and what it hands out. `person` and `nobody`: what happened, for other stories than this one."""

    def __init__(self, person: list[Told] | None = None, nobody: list[Told] | None = None,
                 notices: tuple[Notice, ...] = (NOTICE, NEWER), name: str = NAME) -> None:
        self.name, self.notices = name, notices
        told = told_of_person() if person is None else person
        self.events = chain(told)
        self.clear = [log_entries.clear(kind, at, body) for at, kind, body in (
            told_of_nobody() if nobody is None else nobody)]
        moments = [at for at, _kind, _body in told] + [
            at for at, _kind, _body in (told_of_nobody() if nobody is None else nobody)]
        entries = [log_entries.sealed(event.leaf) for event in self.events] + self.clear
        ordered = [entry for _at, entry in sorted(zip(moments, entries, strict=True), key=lambda pair: pair[0])]
        self.log = SmallLog(ordered, origin=ORIGIN, seed="sample log").grow(300, "sample")
        note = signed_note.parse(self.log.checkpoint())
        cosignature = signed_note.cosign(note.text, WITNESS_NAME, private_key("sample witness"), _after(211))
        self.note = note.with_line(cosignature).encode()
        self.keys = Keys(self.log.key, signed_note.key_of(RECEIPT, RECEIPT_NAME),
                         (signed_note.key_of(private_key("sample witness"), WITNESS_NAME, WITNESS),))

    def trust(self) -> str:
        """Return the trust file."""
        return Trust((self.keys.log,), (self.keys.receipt,), self.keys.witnesses, 1).encode()

    def proven(self, events: list[Proven]) -> list[Proven]:
        """Return events with their places in the log and the proofs."""
        found = []
        for event in events:
            index = self.log.entries.index(log_entries.sealed(event.leaf))
            found.append(Proven(event.leaf, event.nonce, event.record, index, self._proof(index)))
        return found

    def content(self, kind: str = "person", **asserted: Any) -> Content:
        """Return what evidence of this kind says."""
        clear = [(self.log.entries.index(entry), entry) for entry in self.clear]
        return Content(
            kind, VENUE, self.name, PERSON if kind == "person" else "", "2026-08-05T09:00:00Z", ORIGIN, self.keys,
            self.note, tuple(Earlier(self.log.checkpoint(size), tuple(self.log.consistency(size, self.log.size)))
                             for size in (10, 200)),
            tuple(self.proven(self.events)) if kind == "person" else (),
            tuple(ClearEntry(entry, index, self._proof(index)) for index, entry in sorted(clear)),
            tuple(KeptNotice(notice.hash, notice.canonical()) for notice in self.notices), asserted or _ASSERTED)

    def zip(self, content: Content) -> bytes:
        """Return evidence, signed."""
        return evidence.write(content, page_builder.render, RECEIPT, cose.key_id(RECEIPT.public_key()))

    def receipt(self) -> str:
        """Return the receipt of the person's enrolment."""
        return receipts.write({
            "kind": "enrolment", "venue": VENUE, "venue_name": self.name, "person": PERSON,
            "at": "2026-01-05T18:01:00Z", "origin": ORIGIN, "checkpoint": self.note, "keys": self.keys.value(),
            "purpose": PURPOSE, "notice": NOTICE.hash, "notice_canonical": NOTICE.canonical().hex(),
            "notice_text": NOTICE.texts["zh-Hans"], "language": "zh-Hans", "act": "asserted",
            "expires_at": "2027-01-05T18:00:00Z", "custody": "carried", "consent_record": {
                "record_id": hashlib.sha256(b"1").hexdigest()[:32], "pii_principal_id": PERSON,
                "processing": {"purpose": PURPOSE, "privacy_notice": NOTICE.hash}},
        }, self.proven(self.events[:3]), RECEIPT, cose.key_id(RECEIPT.public_key()))

    def _proof(self, index: int) -> tuple[bytes, ...]:
        return tuple(self.log.inclusion(index, self.log.size))


_ASSERTED: dict[str, Any] = {  # in the shape of flows/prove.py
    "lanes": [
        {"month": "2026-01", "lane": "face", "outcome": "admit", "number": 41_208},
        {"month": "2026-01", "lane": "face", "outcome": "refer", "number": 517},
        {"month": "2026-01", "lane": "plain", "outcome": "admit", "number": 63_990}],
    "rules": [
        {"cite": "PIPL art 15", "says": "Consent can be withdrawn, conveniently.", "control": "K07", "sure": "read"},
        {"cite": "FRT Measures art 10", "says": "Where another way does the same, a face may not be the only way.",
         "control": "K06", "sure": "second-hand"}],
    "settings": {
        "regime": "cn", "scenario": "annual-pass", "threshold": "demo-only", "model": "dlib-resnet", "epoch_days": 7,
        "rotate_within_hours": 24, "lease_minutes": 60},
    "purposes": [
        {"purpose": PURPOSE, "zone": "entrance", "comparison": "verify", "custody": "carried", "valid_days": 365},
        {"purpose": "entry.search", "zone": "entrance", "comparison": "search", "custody": "venue_keyed",
         "valid_days": 365}],
    "zones": [{"zone": "entrance", "kind": "entrance", "name": "Main entrance"}],
}


def main(folder: Path) -> None:
    """Write the samples."""
    sample = Sample()
    for kind in evidence.KINDS:
        data = sample.zip(sample.content(kind))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / "evidence.zip").write_bytes(data)
        for name, file in evidence.unpack(data).items():
            (folder / kind / name).write_bytes(file)
    (folder / "zoo.trust").write_text(sample.trust(), encoding="utf-8")
    (folder / "person.receipt").write_text(sample.receipt(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
