"""What somebody tried with lists, notices, settings and the list of tickets, and may not reach by it."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance import durable, settings
from countenance.cli import keys as cli_keys
from countenance.clock import SetClock
from countenance.consent import gate, notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.errors import CountenanceError
from countenance.flows import admit, enrol, passes, replace, revocations, sweep, withdraw
from countenance.flows.admit import AtGate, Outcome
from countenance.flows.found import LIST, SIGNING
from countenance.flows.venue import Venue
from countenance.formats import canonical, cose
from countenance.formats import notices as notice_form
from countenance.formats import revocations as form
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import DAY, HOUR, MINUTE, PurposeId
from countenance.vault.keys import signing
from support.venue import (
    KEYED,
    LONG,
    SEARCH,
    START,
    VERIFY,
    as_written,
    comes_back,
    copy_of,
    count,
    enrolled,
    open_venue,
    picture,
    rows_of,
    state_of,
    write_tickets,
)

TODAY = date(2026, 6, 21)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def edit(folder: Path, *statements: str) -> None:
    """Write into the data store as somebody who has the file and no key."""
    with closing(sqlite3.connect(folder / "countenance.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def plain(venue: Venue, text: str) -> str:
    """Show a pass at the lane without faces, which goes by the posted list."""
    keys = signing.verifiers(venue.folder / SIGNING, "pass")
    posted = revocations.read(venue, (venue.folder / LIST).read_text()) if (venue.folder / LIST).exists() else None
    return passes.plain_lane(text, keys, venue.venue_id, venue.entitlement, venue.clock.now(), posted).reference


# -- notices


@pytest.mark.promise(1)
@pytest.mark.parametrize(("purpose", "change"), [
    (VERIFY, "custody = 'venue_keyed', comparison = 'search', gallery_cap = 100000"),
    (VERIFY, "custody = 'venue_keyed'"),
    (VERIFY, "comparison = 'search', gallery_cap = 100000"),
    (VERIFY, "custody = 'holder_keyed'"),
    (KEYED, "custody = 'carried'"),
    (SEARCH, "comparison = 'verify'"),
    (SEARCH, "custody = 'carried', comparison = 'verify'"),
    (VERIFY, "valid_days = 36500"),
])
def test_a_purpose_that_is_not_what_its_notice_says_serves_nobody(
    venue: Venue, folder: Path, purpose: PurposeId, change: str,
) -> None:
    with venue.store.read() as unit:
        notice = notices.in_force(unit, purpose)
        assert notices.purpose(unit, purpose).custody == notice.custody
    edit(folder, f"UPDATE purpose SET {change} WHERE purpose_id = '{purpose}'")  # noqa: S608  # from this list
    before = state_of(folder)
    yes = Yes(notice.hash, "en", Act.ASSERTED)
    assert code_of(lambda: enrol.enrol(venue, "ada", purpose, yes, picture(1), as_written)) == "purpose-altered"
    assert state_of(folder) == before
    for act in (notices.purpose, notices.in_force):
        with venue.store.read() as unit:
            assert code_of(lambda act=act, unit=unit: act(unit, purpose)) == "purpose-altered"  # type: ignore[misc]  # bound in the loop
    with venue.store.read() as unit:
        notices.require_known(unit, purpose)  # what ends a consent asks only this


def test_no_new_notice_makes_an_altered_purpose_good(venue: Venue, folder: Path) -> None:
    edit(folder, "UPDATE purpose SET custody = 'venue_keyed', comparison = 'search' WHERE purpose_id = 'entry.verify'")
    with venue.store.write() as unit:
        texts = {"en": "Another.", "zh": "Another."}
        assert code_of(lambda: notices.publish(unit, venue.venue_id, VERIFY, texts)) == "purpose-altered"


def _newer(venue: Venue, more: str = "More.") -> None:
    with venue.store.write() as unit:
        texts = {k: f"{v}\n{more}" for k, v in notices.in_force(unit, VERIFY).texts.items()}
        notices.publish(unit, venue.venue_id, VERIFY, texts)


@pytest.mark.promise(1)
def test_an_old_notice_is_not_put_in_force_by_its_row(venue: Venue, folder: Path, clock: SetClock) -> None:
    who = enrolled(venue)
    clock.move(MINUTE)
    _newer(venue)
    assert code_of(lambda: comes_back(venue, who.pass_text)) == "notice-outdated"
    edit(folder, "UPDATE notice SET version = 99 WHERE purpose_id = 'entry.verify' AND version = 1",
         "UPDATE notice SET version = 1 WHERE purpose_id = 'entry.verify' AND version = 2",
         "UPDATE notice SET version = 2 WHERE version = 99")
    assert code_of(lambda: comes_back(venue, who.pass_text)) == "notice-altered"
    with venue.store.read() as unit:
        assert code_of(lambda: notices.hash_in_force(unit, VERIFY)) == "notice-altered"


def test_a_notice_of_another_purpose_is_not_in_force(venue: Venue, folder: Path) -> None:
    edit(folder, "UPDATE notice SET version = 2, purpose_id = 'entry.verify' WHERE purpose_id = 'entry.search'")
    with venue.store.read() as unit:
        assert code_of(lambda: notices.hash_in_force(unit, VERIFY)) == "notice-altered"


def test_a_notice_is_parsed_once(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    _newer(venue, "As nobody has parsed it yet.")
    parsed: list[bytes] = []
    real = notice_form.parse
    monkeypatch.setattr(notice_form, "parse", lambda data: parsed.append(data) or real(data))
    for _ in range(3):
        with venue.store.read() as unit:
            assert notices.hash_in_force(unit, VERIFY) == notices.in_force(unit, VERIFY).hash
            assert notices.purpose(unit, VERIFY).comparison == "verify"
    assert len(parsed) == 1


# -- a gate that goes by a list


def _admitted(venue: Venue, person: int, listed: AtGate) -> admit.Decision:
    return admit.by_face(venue, SEARCH, gate.press(venue.clock), picture(person, 9), listed)


@pytest.mark.promise(2)
def test_a_gate_that_searches_a_copy_goes_by_its_list(venue: Venue, folder: Path, clock: SetClock) -> None:
    ada, _ben = enrolled(venue, "ada", 1, SEARCH), enrolled(venue, "ben", 2, SEARCH)
    clock.move(MINUTE)
    copy = copy_of(folder, folder.parent / "gate")
    before = revocations.publish(venue, "north").text
    withdraw.withdraw(venue, ada.person, SEARCH)
    after = revocations.publish(venue, "north").text
    with open_venue(copy, clock) as north:
        old, new = (AtGate(revoked=revocations.read(north, text)) for text in (before, after))
        assert _admitted(north, 1, old).outcome is Outcome.ADMIT  # she is in the copy
        refused = _admitted(north, 1, new)
        assert refused == _admitted(north, 3, new)  # a stranger hears the same
        assert (refused.outcome, refused.reason) == (Outcome.REFER, "no-match")
        assert _admitted(north, 2, new).outcome is Outcome.ADMIT


@pytest.mark.parametrize("replaced", [False, True])
def test_who_came_back_after_a_withdrawal_is_found_by_a_list(venue: Venue, clock: SetClock, *, replaced: bool) -> None:
    withdraw.withdraw(venue, enrolled(venue, "ada", 1, SEARCH).person, SEARCH)
    clock.move(MINUTE)
    enrolled(venue, "ada", 1, SEARCH)
    if replaced:  # every pass is void; the face that the venue keeps stays
        replace.replace(venue, "ada", as_written)
    listed = AtGate(revoked=revocations.read(venue, revocations.publish(venue, "north").text))
    assert _admitted(venue, 1, listed).outcome is Outcome.ADMIT


def test_whom_no_list_can_name_any_more_is_not_found_by_one(venue: Venue, folder: Path, clock: SetClock) -> None:
    enrolled(venue, "ada", 1, SEARCH)
    clock.move(MINUTE)
    listed = AtGate(revoked=revocations.read(venue, revocations.publish(venue, "north").text))
    assert _admitted(venue, 1, listed).outcome is Outcome.ADMIT
    edit(folder, f"UPDATE issued_pass SET delete_at = {clock.now()}")  # noqa: S608  # a number
    assert _admitted(venue, 1, listed).outcome is Outcome.REFER


# -- replaced passes


def test_a_renewed_key_signs_the_posted_list_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = SetClock(START)
    with open_venue(folder, clock) as venue:
        lost = enrol.say_no(venue, "ada", as_written)
        clock.move(MINUTE)
        new = replace.replace(venue, "ada", as_written).pass_text
        assert code_of(lambda: plain(venue, lost)) == "pass-void"
        old_key = signing.verifier(folder / SIGNING, "list")
    cli_keys.renew_signer("list", yes=True, venue=folder, as_json=True)
    assert '"use": "list"' in capsys.readouterr().out
    with open_venue(folder, clock) as venue:
        assert cose.key_id(old_key) != cose.key_id(signing.verifier(folder / SIGNING, "list"))
        assert code_of(lambda: plain(venue, lost)) == "pass-void"
        assert plain(venue, new) == "ada"


def test_a_lost_pass_stays_void_when_its_ticket_is_prolonged_again(venue: Venue, folder: Path, clock: SetClock) -> None:
    lost = enrol.say_no(venue, "ada", as_written)
    clock.move(MINUTE)
    face = enrolled(venue).pass_text
    clock.move(MINUTE)
    write_tickets(folder, {"ada": date(2026, 6, 22)})
    new = replace.replace(venue, "ada", as_written).pass_text
    for days in (3, 1_000):
        clock.move(days * DAY)
        sweep.sweep(venue)
        write_tickets(folder, {"ada": LONG})
        assert code_of(lambda: plain(venue, lost)) == "pass-void"
        assert code_of(lambda: plain(venue, face)) == "pass-void"
        assert code_of(lambda: plain(venue, new)) == "pass-expired"
    assert count(folder, "revocation") >= 1
    clock.move(revocations.VOID_KEPT_DAYS * DAY)
    sweep.sweep(venue)
    assert count(folder, "revocation") == 0  # nor is it kept for ever


def test_nothing_is_void_while_a_new_pass_would_be_from_the_future(
    venue: Venue, folder: Path, clock: SetClock
) -> None:
    held = enrol.say_no(venue, "ada", as_written)
    clock.move(300 * DAY)
    with venue.store.write():
        pass  # the store has seen that day
    clock.move(-300 * DAY)
    handed: list[str] = []
    assert code_of(lambda: replace.replace(venue, "ada", lambda text: handed.append(text) or text)) == "clock-set-back"
    assert (handed, rows_of(folder / "countenance.db", "revocation")) == ([], [])
    assert plain(venue, held) == "ada"
    clock.move(300 * DAY)
    assert plain(venue, replace.replace(venue, "ada", as_written).pass_text) == "ada"


def test_each_of_many_replacements_in_one_second_ends_the_one_before(venue: Venue, clock: SetClock) -> None:
    given = [replace.replace(venue, "ada", as_written).pass_text for _ in range(4)]
    for lost in given[:-1]:
        assert code_of(lambda lost=lost: plain(venue, lost)) == "pass-void"  # type: ignore[misc]  # bound in the loop
    assert plain(venue, given[-1]) == "ada"
    clock.move(HOUR)
    again = enrolled(venue)
    assert comes_back(venue, again.pass_text).outcome is Outcome.ADMIT


def test_an_older_list_never_overtakes_a_newer_one(
    venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = durable.write, []

    def meanwhile(path: Path, data: bytes, mode: int = durable.SHARED) -> None:
        if path.name == LIST:
            with closing(sqlite3.connect(folder / "countenance.db", timeout=0)) as other:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")  # what a replacement elsewhere begins with
                tried.append(path)
        real(path, data, mode)

    monkeypatch.setattr(durable, "write", meanwhile)
    revocations.post(venue)
    assert tried == [folder / LIST]


def test_a_list_that_cannot_be_written_is_a_fault_and_the_store_goes_on(venue: Venue, folder: Path) -> None:
    (folder / LIST).mkdir()
    assert code_of(lambda: revocations.post(venue)) == "store-io"
    (folder / LIST).rmdir()
    revocations.post(venue)
    assert revocations.read(venue, (folder / LIST).read_text()).number == 0


# -- files that somebody hands in

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIZE = form.LARGEST - 256


def _frame(payload: bytes) -> bytes:
    """Wrap as a signed list does, with a signature of zeros."""
    return (bytes.fromhex("d28443a10127a10448") + cose.key_id(KEY.public_key()) + payload
            + bytes.fromhex("5840") + bytes(64))


def _many(item: bytes) -> bytes:
    return b"\x9a" + SIZE.to_bytes(4) + item * SIZE


@pytest.mark.parametrize(("message", "code"), [
    (_many(b"\x80"), "list-malformed"), (_many(b"\xa0"), "list-malformed"),
    (_frame(_many(b"\x80")), "list-malformed"),
    (b"\xd2\x84" + _many(b"\x80"), "list-malformed"),
    (_frame(b"\x5a" + (SIZE + 5).to_bytes(4) + _many(b"\x80")), "list-altered"),
    (_frame(b"\x5a" + (SIZE + 4).to_bytes(4) + _many(b"\x80")), "list-malformed"),
    (_frame(b"\x5b" + (SIZE + 5).to_bytes(8) + _many(b"\x80")), "list-malformed"),
    (b"", "list-malformed"), (bytes.fromhex("d28443a10127a10448"), "list-malformed"),
], ids=["lists", "maps", "lists in the frame", "a begun frame", "unsigned", "too short", "other head", "empty", "cut"])
def test_of_a_large_list_that_nobody_signed_nothing_is_decoded(
    monkeypatch: pytest.MonkeyPatch, message: bytes, code: str
) -> None:
    decoded: list[Any] = []
    real = canonical.decode
    monkeypatch.setattr(canonical, "decode", lambda *given: decoded.append(real(*given)) or decoded[-1])
    assert code_of(lambda: form.read(base64.b64encode(message).decode(), KEY.public_key())) == code
    assert [type(part) for frame in decoded for part in frame.value if isinstance(part, list | tuple)] == []
    assert len(decoded) == (code == "list-altered")  # the frame alone, whose payload is bytes


@pytest.mark.parametrize("name", [
    "pass.old copy.retired", "pass..retired", "pass.0123.retired", "pass.0123456789ABCDEF.retired",
    "pass.0123456789abcdef.0.retired", "pass.zzzzzzzzzzzzzzzz.retired", "pass. 123456789abcde.retired"])
def test_a_file_with_an_odd_name_closes_no_lane(venue: Venue, folder: Path, name: str) -> None:
    held = enrol.say_no(venue, "ada", as_written)
    old = signing.verifier(folder / SIGNING, "pass")
    (folder / SIGNING / name).write_text("x")
    assert plain(venue, held) == "ada"
    signing.renew(folder / SIGNING, "pass")
    assert signing.verifiers(folder / SIGNING, "pass").retired == {cose.key_id(old)}
    assert code_of(lambda: plain(venue, held)) == "pass-retired"


@pytest.mark.parametrize(("household", "people"), [
    ("", 1), (" ", 1), ("\t ", 1), ("\u3000", 1), ("-", 1), (" - ", 1), ("--", 1), ("a", 3), (" a ", 3), ("a-b", 3)])
def test_a_household_has_a_name(tmp_path: Path, household: str, people: int) -> None:
    lines = "".join(f"x{n},{household},2029-12-31,en,\n" for n in range(3))
    (tmp_path / "t.csv").write_text(f"person_ref,household,valid_until,language,contact\n{lines}", encoding="utf-8")
    assert CsvEntitlement(tmp_path / "t.csv").party("x0", TODAY) == people


@pytest.mark.parametrize(("members", "people"), [(49, 49), (50, 50), (51, 50), (500, 50)])
def test_one_scan_admits_so_many_and_no_more(tmp_path: Path, members: int, people: int) -> None:
    lines = "".join(f"x{n},club,2029-12-31,en,\n" for n in range(members))
    (tmp_path / "t.csv").write_text(f"person_ref,household,valid_until,language,contact\n{lines}", encoding="utf-8")
    assert CsvEntitlement(tmp_path / "t.csv").party("x0", TODAY) == people


@pytest.mark.parametrize(("key", "standing", "most"), [
    ("sweep_late_after_hours", 36, 72), ("lease_minutes", 60, 1_440), ("epoch_days", 7, 31),
    ("rotate_within_hours", 24, 24)])
def test_no_setting_puts_a_promise_off(folder: Path, key: str, standing: int, most: int) -> None:
    path = folder / settings.FILE
    text = path.read_text("utf-8")
    assert f"{key} = {standing} " in text
    path.write_text(text.replace(f"{key} = {standing} ", f"{key} = {most} "), encoding="utf-8")
    assert getattr(settings.load(folder), key) == most
    for value in (most + 1, 999_999_999_999):
        path.write_text(text.replace(f"{key} = {standing} ", f"{key} = {value} "), encoding="utf-8")
        assert code_of(lambda: settings.load(folder)) == "settings-value"
