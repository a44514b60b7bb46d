"""Attacks on withdrawal, on the other lane and on what is left behind, by the numbers of THREATS.md 2 and 3."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from countenance.clock import SetClock
from countenance.consent import consents, notices
from countenance.errors import CountenanceError, StoreFault
from countenance.flows import admit, enrol, passes, rotate, sweep, withdraw
from countenance.flows.admit import Outcome
from countenance.flows.venue import Venue
from countenance.formats import base45
from countenance.formats import passes as pass_form
from countenance.quantities import DAY, HOUR, PersonId, PurposeId
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.storage.key_schema import wrapped_key
from countenance.vault import residue
from countenance.vault.keys import epochs
from countenance.vault.keys.store import FACE, RECORD, KeyRef, new_ref
from countenance.vault.residue import Needle
from countenance.vision import image
from support import venue as support
from support.venue import KEYED, SEARCH, VERIFY


def code_of(error: pytest.ExceptionInfo[CountenanceError]) -> str:
    return error.value.code


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_a_lost_record_key_keeps_no_face(venue: Venue, folder: Path, purpose: str) -> None:
    """2.8: one row of the key store is gone; withdrawing, erasing, sweeping and the others' gate go on."""
    ada = support.enrolled(venue, "ada", 1, purpose)
    ben = support.enrolled(venue, "ben", 2, SEARCH)
    with venue.store.read() as unit:
        record = unit.run(schema.person.select().where(schema.person.c.person_id == ada.person)).one().record_key
    with engines.writing(venue.keys.engine) as keys:
        assert keys.execute(delete(wrapped_key).where(wrapped_key.c.key_id == record)).rowcount == 1
    gate = admit.by_face(venue, SEARCH, admit_press(venue), support.picture(2, shade=9))
    assert gate.outcome is Outcome.ADMIT
    assert withdraw.withdraw(venue, ada.person, purpose).final == "final"
    assert support.count(folder, "template") == 1
    sweep.sweep(venue)
    assert "erased" in withdraw.erase(venue, ada.person).receipt
    assert {row[0] for row in support.rows_of(folder / "countenance.db", "person")} == {ben.person}


def admit_press(venue: Venue) -> admit.Press:
    from countenance.consent import gate

    return gate.press(venue.clock)


@pytest.mark.promise(2)
def test_two_rotations_at_once_lose_no_key(folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """2.9: a sweep by cron meets an operator's rotation."""
    both_have_read = threading.Barrier(2)
    add_next = epochs.EpochFile.add_next

    def slowly(self: epochs.EpochFile, *arguments: object) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):  # only one is let in at a time: as it should be
            both_have_read.wait(0.2)
        return add_next(self, *arguments)  # type: ignore[arg-type]

    with support.open_venue(folder, clock) as one, support.open_venue(folder, clock) as other:
        who = support.enrolled(one)
        monkeypatch.setattr(epochs.EpochFile, "add_next", slowly)
        numbers: list[int] = []
        threads = [threading.Thread(target=lambda v=v: numbers.append(rotate.rotate(v))) for v in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(numbers) == 2
        assert one.keys.epoch == other.keys.epoch
        for venue in (one, other):
            assert support.comes_back(venue, who.pass_text).outcome is Outcome.ADMIT


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_a_withdrawal_during_a_rotation_waits_for_the_next(venue: Venue, purpose: PurposeId) -> None:
    """Her key may have been rewrapped already; a copy made then opens until the rotation after this one."""
    ada = support.enrolled(venue, purpose=purpose)
    support.enrolled(venue, "ben", 2)
    rotate.rotate(venue, lambda _done, _all: withdraw_once(venue, ada))
    with venue.store.read() as unit:
        assert unit.mark("rotate_by") is not None
    assert sweep.sweep(venue).rotated
    with venue.store.read() as unit:
        assert unit.mark("rotate_by") is None


def withdraw_once(venue: Venue, who: enrol.Enrolled) -> None:
    try:
        withdraw.withdraw(venue, who.person, who.purpose)
    except CountenanceError as error:
        assert error.code == "consent-withdrawn"


@pytest.mark.promise(2)
def test_a_closed_key_store_makes_no_key_under_a_wiped_epoch(folder: Path) -> None:
    with support.open_venue(folder) as venue:
        pass
    with pytest.raises(StoreFault) as refused:
        venue.keys.make([new_ref(FACE, PersonId("a"), "x")])
    assert code_of(refused) == "store-closed"
    assert support.count(folder, "wrapped_key") == 0


@pytest.mark.promise(2)
def test_an_enrolment_that_nobody_finished_is_undone_by_the_sweep(
    folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process is gone; its own undoing does not run either."""

    with support.open_venue(folder, clock) as gate:  # a gate runs all the time, so nobody ever has the folder alone
        with support.open_venue(folder, clock) as desk, monkeypatch.context() as patch:
            patch.setattr("countenance.flows.intents.undo", lambda *_: None)
            with pytest.raises(Killed):
                enrol.enrol(desk, "ada", VERIFY, support.says_yes(desk), support.picture(1), killing(Killed))
        assert support.count(folder, "template") == 1
        sweep.sweep(gate)
        assert support.count(folder, "intent") == 1  # it may still be under way
        clock.move(2 * HOUR)
        sweep.sweep(gate)
        assert [support.count(folder, t) for t in ("intent", "template", "person", "wrapped_key")] == [0, 0, 0, 0]


@pytest.mark.promise(2)
def test_an_enrolment_that_was_undone_takes_nothing_of_the_next_one_with_it(venue: Venue, clock: SetClock) -> None:
    support.enrolled(venue, "ada", 1, SEARCH)  # so that both enrolments below are of somebody on record
    anew: list[enrol.Enrolled] = []

    def slowly(text: str) -> str:
        clock.move(2 * HOUR)
        sweep.sweep(venue)
        anew.append(support.enrolled(venue, "ada", 1, VERIFY))
        return text

    with pytest.raises(CountenanceError) as refused:
        enrol.enrol(venue, "ada", VERIFY, support.says_yes(venue), support.picture(1), slowly)
    assert code_of(refused) == "enrolment-abandoned"
    assert support.comes_back(venue, anew[0].pass_text).outcome is Outcome.ADMIT


def killing(error: type[BaseException]) -> enrol.HandOver:
    def hand_over(_text: str) -> str:
        raise error

    return hand_over


@pytest.mark.promise(4)
def test_a_search_does_not_say_whom_it_found_once_they_withdrew(
    venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, opened = support.enrolled(venue, "ada", 1, SEARCH), []
    search = venue.matcher.search

    def searched(*arguments: object) -> object:
        found = search(*arguments)  # type: ignore[arg-type]
        withdraw.withdraw(venue, ada.person, SEARCH)
        return found

    monkeypatch.setattr(venue.matcher, "search", searched)
    decision = admit.by_face(venue, SEARCH, admit_press(venue), support.picture(1, shade=9),
                             admit.AtGate(lambda: opened.append(1)))
    assert (decision.outcome, decision.reason, opened) == (Outcome.REFER, "no-match", [])
    assert [row[2:4] for row in support.rows_of(folder / "countenance.db", "hourly_count")] == [("refer", 1)]


@pytest.mark.promise(1)
@pytest.mark.parametrize("edit", ["expires_at", "notice_hash", "given_at"])
def test_an_edited_consent_is_not_in_the_gallery(venue: Venue, clock: SetClock, edit: str) -> None:
    """Somebody who can write to the store, and has no key, makes an outdated consent look alive."""
    support.enrolled(venue, "ada", 1, SEARCH)
    assert len(venue.galleries.exact(SEARCH).owners) == 1
    with venue.store.write() as unit:
        if edit == "notice_hash":
            texts = {k: v + " More." for k, v in notices.in_force(unit, SEARCH).texts.items()}
            unit.run(update(schema.consent).values(
                notice_hash=notices.publish(unit, venue.venue_id, SEARCH, texts).hash))
        else:
            column = schema.consent.c[edit]
            unit.run(update(schema.consent).values({column: column + DAY}))
            unit.move_gallery(SEARCH)
    assert len(venue.galleries.exact(SEARCH).owners) == 0
    assert admit.by_face(venue, SEARCH, admit_press(venue), support.picture(1, shade=9)).outcome is Outcome.REFER


@pytest.mark.promise(2)
def test_one_ticket_is_one_person_so_that_final_is_true(venue: Venue) -> None:
    first = support.enrolled(venue, "ada", 1, SEARCH)
    with pytest.raises(CountenanceError) as refused:
        support.enrolled(venue, "ada", 2, SEARCH)
    assert code_of(refused) == "consent-standing"
    assert support.enrolled(venue, "ada", 1, VERIFY).person == first.person


@pytest.mark.promise(2)
def test_erased_people_leave_no_number_behind(venue: Venue, folder: Path) -> None:
    """SQLite leaves shreds of rows where pages were split; the sweep after an erasure writes the files anew.

    Which shreds depends on chance, so some are planted: rows deleted by a connection that does not overwrite.
    """
    who = support.enrolled(venue)
    shreds = {name: _shred(folder / name, table) for name, table in
              (("countenance.db", "mark"), ("keys.db", "alembic_version"))}
    assert {f.name for f in residue.search(folder, list(shreds.values()))} == {"shred"}
    assert len(residue.search(folder, list(shreds.values()))) == 2
    withdraw.erase(venue, who.person)
    sweep.sweep(venue)
    assert residue.search(folder, list(shreds.values())) == []
    assert residue.search(folder, [Needle("person", who.person.encode())]) == []


def _shred(database: Path, table: str) -> Needle:
    text = "shred of " + database.name + "/" * 40
    with contextlib.closing(sqlite3.connect(database)) as store, store:
        store.execute("PRAGMA secure_delete = OFF")
        columns = len(store.execute(f"PRAGMA table_info({table})").fetchall())
        store.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", [text, 0][:columns])  # noqa: S608
    with contextlib.closing(sqlite3.connect(database)) as store, store:
        store.execute("PRAGMA secure_delete = OFF")
        store.execute(f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")  # noqa: S608
    return Needle("shred", text.encode())


@pytest.mark.promise(7)
@pytest.mark.parametrize("text", ["CN1:R/OAE3QPJ300", pass_form.PREFIX + base45.encode(bytes.fromhex("c4820903")),
                                  pass_form.PREFIX + base45.encode(b"\xc1\xfb\x7f\xf0" + bytes(6))])
def test_a_hostile_pass_refers_and_does_not_crash_either_lane(venue: Venue, text: str) -> None:
    """Numbers too large to hold, and times that are none, inside a pass that nobody signed."""
    with pytest.raises(CountenanceError) as refused:
        support.other_lane(venue, text)
    assert code_of(refused) == "pass-malformed"
    decision = admit.at_gate(venue, lambda: admit.by_pass(venue, text, support.no_camera))
    assert (decision.outcome, decision.reason) == (Outcome.REFER, "pass-malformed")


@pytest.mark.promise(7)
def test_whatever_goes_wrong_at_a_gate_refers(venue: Venue) -> None:
    decision = admit.at_gate(venue, support.no_camera)  # type: ignore[arg-type]  # raises AssertionError
    assert (decision.outcome, decision.reason) == (Outcome.REFER, "internal")


@pytest.mark.promise(7)
def test_a_clock_that_jumped_does_not_close_the_other_lane(venue: Venue, clock: SetClock) -> None:
    clock.move(3 * DAY)
    with venue.store.write():
        pass  # the jump is believed, and kept
    clock.move(-3 * DAY)
    text = enrol.say_no(venue, "ada", support.as_written)
    assert support.other_lane(venue, text) == "ada"
    with pytest.raises(StoreFault):  # and nothing is destroyed by it
        sweep.sweep(venue)


def test_a_picture_of_a_thousand_scans_is_refused_before_it_is_decoded() -> None:
    """A few kilobytes that cost a pass over all pixels each (progressive JPEG)."""
    start = b"\xff\xd8\xff\xc2\x00\x0b\x08\x20\x00\x20\x00\x01\x01\x11\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x00"
    with pytest.raises(CountenanceError) as refused:
        image._whole_jpeg(start + scan * (image.MOST_SCANS + 1) + b"\xff\xd9")
    assert code_of(refused) == "image-unreadable"
    image._whole_jpeg(start + scan * image.MOST_SCANS + b"\xff\xd9")


@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_a_withdrawal_by_an_expired_pass_is_taken(venue: Venue, clock: SetClock, purpose: PurposeId) -> None:
    who = support.enrolled(venue, purpose=purpose)
    clock.move(2_000 * DAY)
    content = passes.read_even_expired(venue, who.pass_text)
    with venue.store.read() as unit:
        assert passes.whose(unit, content) == who.person
    with pytest.raises(CountenanceError) as refused:
        passes.read_here(venue, who.pass_text, clock.now())
    assert code_of(refused) == "pass-expired"


def test_a_fresh_consent_is_not_ended_by_a_sweep_that_listed_the_old_one(
    venue: Venue, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = support.enrolled(venue)
    monkeypatch.setattr(consents, "_unaltered", lambda *_: None)  # the dates are set by hand here
    with venue.store.write() as unit:
        unit.run(update(schema.consent).values(expires_at=unit.now + HOUR))
    clock.move(2 * HOUR)
    listed = sweep._due(venue)
    with venue.store.write() as unit:
        unit.run(update(schema.consent).values(expires_at=unit.now + DAY))  # renewed meanwhile
    monkeypatch.setattr(sweep, "_due", lambda _venue: listed)
    sweep.sweep(venue)
    assert support.comes_back(venue, who.pass_text).outcome is Outcome.ADMIT


def test_a_key_is_bound_to_its_owner(venue: Venue) -> None:
    ref = new_ref(RECORD, PersonId("ada"), "")
    venue.keys.make([ref])
    sealed = venue.keys.seal(ref, "profile", b"ada's")
    with pytest.raises(StoreFault) as refused:
        venue.keys.open(KeyRef(ref.key_id, RECORD, PersonId("ben"), ""), "profile", sealed)
    assert code_of(refused) == "key-altered"
