"""Receipts as the stories hand them out: each verifies against the venue's keys, and says what happened, in order."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from countenance.clock import SetClock, utc_text
from countenance.consent import notices
from countenance.consent.states import State
from countenance.errors import StoreFault
from countenance.flows import backup, enrol, log, renew, replace, sweep, withdraw
from countenance.flows.venue import Venue
from countenance.formats import log_entries, receipts, signed_note
from countenance.formats.log_entries import Record
from countenance.formats.trust import parse as read_trust
from countenance.quantities import DAY, HOUR, PurposeId
from countenance.storage.folder import waited_for
from countenance.transparency import log as logs
from countenance.verifier import receipts as verifier
from countenance.verifier.report import REFUSED, SELF_CONSISTENT, VERIFIED
from support import linking
from support import venue as support
from support.small_log import private_key
from support.venue import KEYED, SEARCH, START, VERIFY

pytestmark = pytest.mark.promise(5)
DATA, KEYS = support.DATABASES


def verdict(venue: Venue, text: str) -> str:
    """Check a receipt with the venue's keys as a trust file has them."""
    return verifier.verify(text, read_trust(log.trust(venue).encode())).verdict


def said(text: str) -> tuple[dict[str, Any], list[Record]]:
    """Return what a receipt says, and what its events say."""
    body, _signed = receipts.split(text)
    return body, [log_entries.read_record(event.record) for event in receipts.proven(body)]


def types(records: list[Record]) -> list[str]:
    return [record.type for record in records]


# -- what each says


@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_an_enrolment_is_proved_from_consent_to_pass(venue: Venue, purpose: PurposeId) -> None:
    who = support.enrolled(venue, purpose=purpose)
    assert verdict(venue, who.receipt) == VERIFIED
    body, records = said(who.receipt)
    assert types(records) == ["consent-given", "template-sealed", "pass-issued"]
    assert [record.number for record in records] == [1, 2, 3]
    assert (body["kind"], body["person"], body["purpose"], body["act"]) == (
        "enrolment", who.person, purpose, "asserted")
    with venue.store.read() as unit:
        notice = notices.in_force(unit, purpose)
    assert (body["notice"], body["notice_text"]) == (notice.hash, notice.texts["en"])
    assert (records[0].body["act"], records[0].body["notice"]) == ("asserted", notice.hash)
    assert body["expires_at"] == utc_text(records[0].body["expires_at"])
    assert records[0].at == START


def test_a_renewal_is_proved(venue: Venue, clock: SetClock) -> None:
    who = support.enrolled(venue)
    clock.move(DAY)
    text = renew.renew(venue, who.person, VERIFY, support.says_yes(venue).notice_hash, "zh", "kiosk")
    assert verdict(venue, text) == VERIFIED
    body, records = said(text)
    assert types(records) == ["consent-superseded", "consent-renewed"]
    assert [record.number for record in records] == [4, 5]
    assert (body["kind"], body["language"], body["at"]) == ("renewal", "zh", utc_text(clock.now()))
    assert body["consent_record"]["event"]["event_state"] == "given"


def withdrawn(venue: Venue, clock: SetClock, who: enrol.Enrolled) -> str:
    return withdraw.withdraw(venue, who.person, who.purpose).receipt


def expired(venue: Venue, clock: SetClock, who: enrol.Enrolled) -> str:
    clock.move(366 * DAY)
    return withdraw.withdraw(venue, who.person, who.purpose, State.EXPIRED).receipt


def replaced(venue: Venue, clock: SetClock, who: enrol.Enrolled) -> str:
    (ended,) = replace.replace(venue, "ada", support.as_written).ended
    return ended.receipt


@pytest.mark.parametrize("act", [withdrawn, expired, replaced], ids=lambda act: act.__name__)
def test_an_end_is_proved_with_its_reason(
        venue: Venue, clock: SetClock, act: Callable[[Venue, SetClock, enrol.Enrolled], str]) -> None:
    who = support.enrolled(venue)
    text = act(venue, clock, who)
    assert verdict(venue, text) == VERIFIED
    body, records = said(text)
    assert types(records) == [f"consent-{act.__name__}", "pass-revoked", "template-erased"]
    first = 5 if act is replaced else 4  # that their pass was replaced is told before
    assert [record.number for record in records] == [first, first + 1, first + 2]
    last = receipts.proven(receipts.split(who.receipt)[0])[-1]
    assert (records[0].before == last.leaf) == (first == 4)  # it goes on where the enrolment's receipt ended
    assert (body["kind"], body["ended"], body["final"], body["purpose"]) == ("erasure", act.__name__, True, VERIFY)


def test_a_whole_erasure_is_proved_in_nobodys_chain(venue: Venue) -> None:
    who = support.enrolled(venue)
    support.enrolled(venue, "ada", 1, SEARCH)
    done = withdraw.erase(venue, who.person)
    assert {said(one.receipt)[0]["purpose"] for one in done.withdrawn} == {VERIFY, SEARCH}
    for text in (*(one.receipt for one in done.withdrawn), done.receipt):
        assert verdict(venue, text) == VERIFIED
    body, records = said(done.receipt)
    assert [(record.type, record.number, record.before) for record in records] == [("person-erased", 0, b"")]
    assert records[0].body["person"] == who.person  # only the receipt knows it: the leaf is in nobody's chain
    assert (body["ended"], body["person"], body["purpose"]) == ("erased", who.person, "")


def test_a_changed_or_somebody_elses_receipt_is_refused(venue: Venue) -> None:
    ada, ben = support.enrolled(venue), support.enrolled(venue, "ben", 2)
    assert verdict(venue, ada.receipt.replace(ada.person, ben.person)) == REFUSED
    assert verdict(venue, ada.receipt.replace('"asserted"', '"passkey"')) == REFUSED
    stranger = verifier.verify(ada.receipt, None)
    assert stranger.verdict == SELF_CONSISTENT  # without a trust file


@pytest.mark.parametrize("hours_before", [0, 1])
def test_after_the_time_it_names_no_backup_opens(
        venue: Venue, folder: Path, clock: SetClock, tmp_path: Path, hours_before: int) -> None:
    """With the sweep run when it is due. Control: until then the older copy of the key store opens."""
    who = support.enrolled(venue)
    clock.move(6 * DAY + 10 * HOUR)  # the epoch ends by its age before the 24 hours are over
    sweep.sweep(venue)
    backup.backup(venue, backup.KEYS, tmp_path / "older")
    (key,) = [row[1] for row in support.rows_of(folder / DATA, "person")]
    receipt = withdraw.erase(venue, who.person).receipt
    until = said(receipt)[0]["copies_open_until"]
    assert until == utc_text(venue.keys.epoch[1] + 7 * DAY)
    assert key in linking.keys(folder, [tmp_path / "older"])
    clock.move(14 * HOUR - hours_before * HOUR)
    assert sweep.sweep(venue).rotated
    assert utc_text(clock.now()) <= until
    assert key not in linking.keys(folder, [tmp_path / "older"])


# -- a damaged log


def _sql(*statements: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with closing(sqlite3.connect(folder / DATA)) as store, store:
            for statement in statements:
                store.execute(statement)
    return damage


def _spoilt(folder: Path) -> None:
    (folder / logs.SIGNED).write_bytes(b"half a file")


DAMAGE = {
    "all events": (_sql("DELETE FROM event"), "log-damaged"),
    "a clear event": (_sql("DELETE FROM event WHERE event_id = 1"), "log-damaged"),
    "their first": (_sql("DELETE FROM event WHERE event_id = (SELECT min(event_id) FROM event WHERE tag NOT NULL)"),
                    "log-damaged"),
    "their newest": (_sql("DELETE FROM event WHERE event_id = (SELECT max(event_id) FROM event WHERE tag NOT NULL)"),
                     "log-damaged"),
    "an entry changed": (_sql("UPDATE event SET entry = zeroblob(33) WHERE event_id = 2"), "log-forked"),
    "the log's row": (_sql("DELETE FROM log"), "log-missing"),
    "what was signed": (_spoilt, "log-signed"),
}


@pytest.mark.promise(2)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("whole", [False, True], ids=["withdraw", "erase"])
def test_a_damaged_log_keeps_no_face_and_the_receipt_says_so(
        venue: Venue, folder: Path, damage: tuple[Callable[[Path], None], str], whole: bool) -> None:
    spoil, code = damage
    who = support.enrolled(venue)
    trust = log.trust(venue)
    assert support.count(folder, "wrapped_key") == 2
    spoil(folder)
    if whole:
        done = withdraw.erase(venue, who.person)
        texts = [*(one.receipt for one in done.withdrawn), done.receipt]
    else:
        texts = [withdraw.withdraw(venue, who.person, VERIFY).receipt]
    assert support.count(folder, "template") == 0
    assert support.count(folder, "wrapped_key") == (0 if whole else 1)
    for text in texts:
        body, records = said(text)
        assert (body["kind"], body["checkpoint"], body["log_fault"]) == ("erasure", "", code)
        assert {event.index for event in receipts.proven(body)} == {-1}
        assert types(records)[-1] in {"template-erased", "person-erased"}
        report = verifier.verify(text, trust)
        assert report.verdict == SELF_CONSISTENT
        assert "inclusion in the log" in [step.name for step in report.steps if step.outcome == "unchecked"]


def _dead_witness(folder: Path) -> None:
    file, key = folder / "venue.toml", signed_note.key_of(private_key("w"), "witness.example/w", signed_note.WITNESS)
    text = re.sub(r"witnesses = \[.*?\]", f'witnesses = ["http://127.0.0.1:9 {key.text}"]', file.read_text("utf-8"))
    assert key.text in text
    file.write_text(text, "utf-8")


def _no_witness(folder: Path) -> None:
    file = folder / "venue.toml"
    text = re.sub(r"witnesses = \[.*?\]", 'witnesses = ["http://127.0.0.1:9 no key"]', file.read_text("utf-8"))
    assert "no key" in text
    file.write_text(text, "utf-8")


def _pipe(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    return damage


def _huge(folder: Path) -> None:
    with (folder / logs.SIGNED).open("wb") as file:
        file.truncate(12 << 30)


def _breaks(*_given: object, **_more: object) -> None:
    raise ZeroDivisionError


TROUBLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (lambda _folder: None, ""),
    "a dead witness": (_dead_witness, ""),
    "a witness's line that is none": (_no_witness, "settings-value"),
    "a pipe": (_pipe(logs.SIGNED), "log-signed"),
    "a huge file": (_huge, "log-signed"),
    "a folder": (lambda folder: ((folder / logs.SIGNED).unlink(), (folder / logs.SIGNED).mkdir())[1], "log-signed"),
    "a pipe as the lock": (_pipe(logs.LOCK), ""),
}


@pytest.mark.promise(2)
@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_whatever_the_log_waits_for_an_erasure_ends_with_a_receipt(
        folder: Path, trouble: tuple[Callable[[Path], None], str]) -> None:
    spoil, code = trouble
    with support.open_venue(folder) as venue:
        who = support.enrolled(venue)
        support.enrolled(venue, "ada", 1, SEARCH)
    spoil(folder)
    with support.open_venue(folder) as venue:
        done = withdraw.erase(venue, who.person)
    assert [support.count(folder, table) for table in ("person", "template", "wrapped_key", "intent")] == [0] * 4
    for text in (*(one.receipt for one in done.withdrawn), done.receipt):
        assert said(text)[0].get("log_fault", "") == code
        assert verifier.verify(text, None).verdict == SELF_CONSISTENT


@pytest.mark.promise(2)
def test_a_stopped_process_that_holds_the_logs_lock_keeps_no_face(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all receipts together it is waited for once."""
    who = support.enrolled(venue)
    support.enrolled(venue, "ada", 1, SEARCH)
    asked: list[float] = []
    monkeypatch.setattr(logs, "waited_for", lambda file: (asked.append(1), waited_for(file, 0.05))[1])
    with waited_for(folder / logs.LOCK):
        done = withdraw.erase(venue, who.person)
    assert len(asked) == 1
    assert [support.count(folder, table) for table in ("person", "template", "wrapped_key")] == [0] * 3
    assert said(done.receipt)[0]["log_fault"] == "store-busy"
    assert len(done.withdrawn) == 2


@pytest.mark.promise(2)
def test_every_face_is_gone_before_a_witness_is_asked(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who = support.enrolled(venue)
    support.enrolled(venue, "ada", 1, SEARCH)
    left: list[list[int]] = []
    real = logs.Log.prove

    def proving(self: logs.Log, *given: Any, **more: Any) -> Any:
        left.append([support.count(folder, table) for table in ("person", "template", "wrapped_key", "intent")])
        return real(self, *given, **more)

    monkeypatch.setattr(logs.Log, "prove", proving)
    done = withdraw.erase(venue, who.person)
    assert left == [[0, 0, 0, 0]]
    assert {verdict(venue, text) for text in (*(one.receipt for one in done.withdrawn), done.receipt)} == {VERIFIED}


@pytest.mark.promise(2)
def test_whatever_breaks_while_it_is_proved_an_erasure_has_its_receipt(
        venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: an enrolment without its proof is none."""
    who = support.enrolled(venue)
    monkeypatch.setattr(logs.Log, "prove", _breaks)
    assert said(withdraw.withdraw(venue, who.person, VERIFY).receipt)[0]["log_fault"] == "internal"
    with pytest.raises(ZeroDivisionError):
        support.enrolled(venue, "ben", 2)


@pytest.mark.promise(2)
def test_the_sweep_and_the_next_opening_write_no_receipt(
        folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: who withdraws is given one."""
    with support.open_venue(folder, clock) as venue:
        ada, ben = support.enrolled(venue), support.enrolled(venue, "ben", 2)
        support.enrolled(venue, "cem", 3)
        with venue.store.write() as unit:
            withdraw._stop(venue, unit, ada.person, VERIFY, State.WITHDRAWN)
    written: list[str] = []
    real = withdraw.receipts.write_all

    def writing(*given: Any) -> list[str]:
        written.append(given[2])
        return real(*given)

    monkeypatch.setattr(withdraw.receipts, "write_all", writing)
    with support.open_venue(folder, clock) as venue:
        assert support.count(folder, "template") == 2
        withdraw.withdraw(venue, ben.person, VERIFY)
        clock.move(366 * DAY)
        assert sweep.sweep(venue).expired == 1
    assert support.count(folder, "template") == 0
    assert written == [ben.person]


@pytest.mark.promise(5)
def test_the_events_that_a_receipt_is_about_name_their_person(venue: Venue, clock: SetClock) -> None:
    who = support.enrolled(venue)
    clock.move(DAY)
    renewed = renew.renew(venue, who.person, VERIFY, support.says_yes(venue).notice_hash, "zh", "kiosk")
    done = withdraw.erase(venue, who.person)
    named = {record.type: record.body["person"] for text in (
        who.receipt, renewed, done.receipt, *(one.receipt for one in done.withdrawn))
        for record in said(text)[1] if "person" in record.body}
    assert named == dict.fromkeys(("consent-given", "consent-renewed", "template-erased", "person-erased"), who.person)


@pytest.mark.promise(2)
def test_a_withdrawal_whose_first_event_is_lost_meanwhile_is_finished(venue: Venue, folder: Path) -> None:
    who = support.enrolled(venue)
    trust = log.trust(venue)
    with venue.store.write() as unit:
        intent = withdraw._stop(venue, unit, who.person, VERIFY, State.WITHDRAWN)
    _sql("DELETE FROM event WHERE event_id = (SELECT max(event_id) - 1 FROM event)")(folder)
    text = withdraw.told(venue, [withdraw.finish(venue, intent)])[0].receipt
    assert [support.count(folder, table) for table in ("template", "intent")] == [0, 0]
    assert types(said(text)[1]) == ["template-erased"]
    assert verifier.verify(text, trust).verdict == SELF_CONSISTENT


# -- an enrolment that cannot be proved does not happen


@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_an_enrolment_whose_log_cannot_be_signed_leaves_nothing(
        venue: Venue, folder: Path, purpose: PurposeId) -> None:
    support.enrolled(venue, "ben", 2, purpose)
    there = {table: support.rows_of(folder / DATA, table) for table in linking.ABOUT_PEOPLE}
    keys = support.rows_of(folder / KEYS, "wrapped_key")
    whole = (folder / logs.SIGNED).read_bytes()
    _spoilt(folder)
    shown: list[str] = []
    with pytest.raises(StoreFault) as refused:
        enrol.enrol(venue, "ada", purpose, support.says_yes(venue, purpose), support.picture(1),
                    lambda text: shown.append(text) or text)  # type: ignore[func-returns-value]  # to see that it came
    assert refused.value.code == "log-signed"
    assert len(shown) == 1  # it had come as far as the pass
    assert {table: support.rows_of(folder / DATA, table) for table in linking.ABOUT_PEOPLE} == there
    assert support.rows_of(folder / KEYS, "wrapped_key") == keys
    (folder / logs.SIGNED).write_bytes(whole)
    assert verdict(venue, support.enrolled(venue, "ada", 1, purpose).receipt) == VERIFIED


def test_saying_no_leaves_no_record_and_no_entry(venue: Venue, folder: Path) -> None:
    """Control: saying yes changes what is compared."""
    before = support.state_of(folder)
    enrol.say_no(venue, "ada", support.as_written)
    assert support.state_of(folder) == before
    support.enrolled(venue, "ben", 2)
    assert {name for name, state in support.state_of(folder).items() if before.get(name) != state} >= {
        f"{DATA}/event", f"{DATA}/person", f"{DATA}/log", f"{KEYS}/wrapped_key"}


# -- ISO/IEC TS 27560


FIELDS = {
    "": {"schema_version", "record_id", "pii_principal_id", "processing", "data", "parties", "event"},
    "processing": {
        "privacy_notice", "language", "purpose", "purpose_type", "lawful_basis", "pii_controllers",
        "collection_method", "processing_method", "storage_locations", "retention_period", "jurisdiction",
        "recipient_third_parties", "withdrawal_method", "privacy_rights"},
    "data": {"pii_type", "pii_optional", "sensitive_pii_category"},
    "parties": {"party_id", "party_name", "party_role", "party_contact"},
    "event": {"event_time", "validity_duration", "entity_id", "event_type", "event_state"},
}


def test_a_consents_record_has_the_fields_of_27560(venue: Venue) -> None:
    """Those known of the standard's blocks that a venue can fill; "aligned with", never "conformant"."""
    who = support.enrolled(venue)
    body, events = said(who.receipt)
    record = body["consent_record"]
    assert set(record) >= FIELDS[""]
    assert set(record["processing"]) >= FIELDS["processing"]
    assert set(record["event"]) >= FIELDS["event"]
    assert all(set(one) >= FIELDS["data"] for one in record["data"])
    assert all(set(one) >= FIELDS["parties"] for one in record["parties"])
    assert (record["pii_principal_id"], record["record_id"]) == (who.person, events[0].body["consent"])
    assert record["processing"]["privacy_notice"] == body["notice"]
    assert record["parties"][0]["party_id"] == record["event"]["entity_id"] == venue.venue_id  # asserted by the venue
    assert record["event"]["event_time"] == utc_text(START)
    assert re.fullmatch(r"P[0-9]+D", record["event"]["validity_duration"])
    assert "aligned with" in record["schema_version"]
    assert "conformant" not in who.receipt
    assert record["alternative_offered"] is True
