"""Rotation: living keys go on under a new epoch, everything else is left behind, and the old epoch dies everywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from countenance import settings
from countenance.clock import SetClock
from countenance.errors import CountenanceError, Refused, StoreFault
from countenance.flows import admit, gallery, intents, pad, passes, rotate, sweep, withdraw
from countenance.flows.venue import Venue
from countenance.formats import canonical
from countenance.formats.log_entries import Clear
from countenance.quantities import DAY, HOUR, Instant, PersonId
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.vault import residue
from countenance.vault.keys import in_pass, roots, rotation
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.store import FACE, KeyRef, KeyStore
from support.faults import AFTER, BEFORE, Crash, Faults
from support.keystore import everybody_lives, faces_of, made
from support.venue import (
    KEYED,
    SEARCH,
    START,
    VERIFY,
    clear_events,
    comes_back,
    copy_of,
    enrolled,
    open_venue,
    rows_of,
)


@pytest.fixture(autouse=True)
def below_the_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are of the key store itself; who may use the keys of faces is tests/attacks 1.55 to 1.57."""
    monkeypatch.setattr(KeyStore, "_no_face", lambda *_: None)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def key_rows(folder: Path) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row for row in rows_of(folder / "keys.db", "wrapped_key")}


def test_a_rotation_rewraps_every_living_key_and_tells_the_log(
        venue: Venue, folder: Path, clock: SetClock) -> None:
    pad.pad(venue, SEARCH, 5)
    who = enrolled(venue)
    clock.move(3 * DAY)
    with venue.store.write() as unit:
        unit.set_mark("swept", unit.now)
    seen: list[tuple[int, int]] = []
    before = {name: row[4] for name, row in key_rows(folder).items()}
    old_file = (folder / "epoch.key").read_bytes()
    assert rotate.rotate(venue, lambda done, total: seen.append((done, total))) == 2
    after = key_rows(folder)
    assert seen == [(12, 12)]
    assert after.keys() == before.keys()
    assert {row[3] for row in after.values()} == {2}
    assert all(after[name][4] != before[name] for name in before)
    assert venue.keys.epoch == (2, START + 3 * DAY)
    assert (folder / "epoch.key").read_bytes() != old_file
    assert (folder / "epoch.key").stat().st_mode & 0o777 == 0o600
    assert not (folder / "epoch.key.new").exists()
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    assert clear_events(folder)[-1] == Clear("epoch", Instant(START + 3 * DAY), {"number": 2})


@pytest.mark.parametrize("batch", [1, 2, 5, 12, 13])
def test_batches_of_any_size_leave_nobody_out(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(rotation, "BATCH", batch)
    monkeypatch.setattr(rotation, "_PART", rotation._PART.limit(batch))
    pad.pad(venue, SEARCH, 6)
    seen: list[tuple[int, int]] = []
    rotate.rotate(venue, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert {row[3] for row in key_rows(folder).values()} == {2}
    assert len(venue.galleries.exact(SEARCH).owners) == 6


# -- what nobody needs is left behind


@pytest.mark.promise(2)
def test_a_key_that_nobody_needs_is_left_behind_where_that_was_asked_for(venue: Venue, folder: Path) -> None:
    """A row of the key store that a restore by hand, or a fault, brought back."""
    who = enrolled(venue)
    orphan = made(venue.keys)
    assert orphan.key_id in key_rows(folder)
    rotate.rotate(venue, leave_unknown=True)
    assert orphan.key_id not in key_rows(folder)
    assert len(key_rows(folder)) == 2
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


def test_a_key_that_a_story_under_way_has_named_is_not(venue: Venue, folder: Path) -> None:
    named = made(venue.keys)
    with venue.store.write() as unit:
        intent = intents.begin(unit, "enrol", named.person, VERIFY, [named.key_id])
    rotate.rotate(venue)
    assert named.key_id in key_rows(folder)
    with venue.store.write() as unit:
        intents.end(unit, intent)
    rotate.rotate(venue, leave_unknown=True)
    assert named.key_id not in key_rows(folder)


def test_every_kind_of_key_is_needed_by_somebody(venue: Venue) -> None:
    for purpose in (VERIFY, KEYED, SEARCH):
        enrolled(venue, "ada", 1, purpose)
    with venue.store.read() as unit:
        assert rotate.needed(unit) == venue.keys.ids()
    assert venue.keys.count() == 4  # one record, two passes, one face


@pytest.mark.promise(2)
def test_where_a_store_was_put_back_nothing_is_left_behind(venue: Venue, folder: Path, tmp_path: Path) -> None:
    """The data store is an old one: a rotation by it would leave behind the keys of everybody enrolled since."""
    before = copy_of(folder, tmp_path / "before")
    ada = enrolled(venue)
    withdraw.withdraw(venue, enrolled(venue, "ben", 2).person, VERIFY)
    venue.store.empty_wal()
    venue.close()
    right = copy_of(folder, tmp_path / "right")
    for name in ("countenance.db", "countenance.db-wal"):
        (folder / name).unlink(missing_ok=True)
    shutil.copy2(before / "countenance.db", folder / "countenance.db")
    if (before / "countenance.db-wal").exists():
        shutil.copy2(before / "countenance.db-wal", folder / "countenance.db-wal")
    keys = key_rows(folder)
    with open_venue(folder) as wrong:
        assert code_of(lambda: rotate.rotate(wrong)) == "store-restored"
        assert code_of(lambda: sweep.sweep(wrong)) == "store-restored"
    assert key_rows(folder) == keys
    with open_venue(right) as again:  # and with the right one back everybody is there
        rotate.rotate(again)
        assert comes_back(again, ada.pass_text).outcome is admit.Outcome.ADMIT


# -- interrupted

ROTATE = ["commit keys.db", "replace epoch.key", "append gone.list", "commit keys.db", "commit keys.db",
          "empty keys.db", "commit keys.db", "replace epoch.key", "write gone.list", "commit countenance.db"]


def test_a_rotation_has_these_effects(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    enrolled(venue)
    faults = Faults(0, BEFORE, dies=True)
    with faults.armed(monkeypatch):
        rotate.rotate(venue)
    assert faults.seen == ROTATE


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "fails"])
@pytest.mark.parametrize(("at", "when"), [(at, when) for at in range(1, len(ROTATE) + 1) for when in (BEFORE, AFTER)])
def test_a_rotation_is_rolled_forward_wherever_it_stopped(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str, dies: bool) -> None:
    with open_venue(folder) as venue:
        who = enrolled(venue)
        pad.pad(venue, SEARCH, 3)
        old = bytes(venue.keys._known[1].key)
        faults = Faults(at, when, dies=dies)
        with faults.armed(monkeypatch), pytest.raises(Crash if dies else StoreFault):
            rotate.rotate(venue)
        if not dies:  # the same process goes on
            assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        begun = (at, when) != (2, BEFORE)  # the first commit ends after the file was replaced inside it
        assert venue.keys.epoch[0] == (2 if begun else 1)
        assert {row[3] for row in key_rows(left).values()} == {venue.keys.epoch[0]}
        assert len(key_rows(left)) == 8
        assert len(epoch_file(left).read()) == 1
        assert (bytes(venue.keys._known[venue.keys.epoch[0]].key) != old) == begun
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
        assert len(venue.galleries.exact(SEARCH).owners) == 3
        told = [event.body["number"] for event in clear_events(left) if event.type == "epoch"]
        assert told == ([2] if begun else [])


def epoch_file(folder: Path, offsite: Path | None = None) -> EpochFile:
    return EpochFile(folder / "epoch.key", roots.open_root("file:root.key", folder), offsite)


def test_faces_open_while_a_rotation_is_under_way(venue: Venue) -> None:
    ref = made(venue.keys)
    sealed = venue.keys.seal(ref, "x", b"a face")
    opened: list[bytes] = []
    venue.keys.rotate(everybody_lives(venue),
                      lambda _done, _all: opened.append(bytes(venue.keys.open(ref, "x", sealed))))
    assert opened == [b"a face"]


def test_a_key_made_during_a_rotation_lives(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[KeyRef] = []
    empty_wal = engines.empty_wal

    def another_thread_enrols(engine: Any) -> None:
        if not late:
            late.append(made(venue.keys))
        empty_wal(engine)

    monkeypatch.setattr(engines, "empty_wal", another_thread_enrols)
    venue.keys.rotate(frozenset)  # nothing that was made before is needed
    assert len(venue.keys.needles(late[0])) == 2


def test_somebody_who_enrols_during_a_rotation_is_not_left_behind(
        venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the moment at which the living keys were listed and the last rewrapping."""
    anew: list[Any] = []
    living = rotate._living

    def listed(where: Venue) -> frozenset[str]:
        found = living(where)
        anew.extend(enrolled(where, name, number, purpose) for name, number, purpose in (
            ("ada", 1, VERIFY), ("ben", 2, KEYED), ("cem", 3, SEARCH)))
        return found

    monkeypatch.setattr(rotate, "_living", listed)
    rotate.rotate(venue)
    assert venue.keys.count() == 6
    for who, number in zip(anew[:2], (1, 2), strict=True):
        assert comes_back(venue, who.pass_text, number).outcome is admit.Outcome.ADMIT
    assert len(venue.galleries.exact(SEARCH).owners) == 1


# -- the promised one


def test_a_rotation_that_is_due_is_done_by_the_sweep(venue: Venue, clock: SetClock) -> None:
    assert not rotate.is_due(venue)
    clock.move(7 * DAY - 1)
    assert not sweep.sweep(venue).rotated
    clock.move(1)
    assert rotate.is_due(venue)
    assert sweep.sweep(venue).rotated
    assert not rotate.is_due(venue)
    withdraw.withdraw(venue, enrolled(venue).person, VERIFY)
    assert rotate.is_due(venue)


# -- the copy elsewhere


@pytest.fixture
def offsite(folder: Path, tmp_path: Path) -> Path:
    """A folder on another machine, which the settings name."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    path = folder / settings.FILE
    path.write_text(path.read_text("utf-8").replace('offsite = ""', f'offsite = "{there}"'), encoding="utf-8")
    return there


def numbers_in(folder: Path, file: Path) -> list[int]:
    return [epoch.number for epoch in EpochFile(file, roots.open_root("file:root.key", folder)).read()]


def test_the_copy_elsewhere_is_replaced_with_every_epoch(folder: Path, offsite: Path) -> None:
    with open_venue(folder) as venue:
        file = venue.keys.place.epochs
        assert code_of(file.require_offsite) == "offsite-missing"
        file.copy_offsite()
        file.require_offsite()
        assert (offsite / "epoch.key").stat().st_mode & 0o777 == 0o600
        old = (offsite / "epoch.key").read_bytes()
        rotate.rotate(venue)
        file.require_offsite()
        assert numbers_in(folder, offsite / "epoch.key") == numbers_in(folder, folder / "epoch.key") == [2]
        (offsite / "epoch.key").write_bytes(old)
        assert code_of(file.require_offsite) == "offsite-stale"
        (offsite / "epoch.key").unlink()
        rotate.rotate(venue)  # made anew where it is missing
        file.require_offsite()


@pytest.mark.promise(2)
@pytest.mark.parametrize("at", [1, 2])
def test_a_rotation_that_cannot_reach_the_copy_is_not_finished(
        folder: Path, offsite: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The old epoch must not go on living elsewhere: the gate closes when the promised time has come."""
    with open_venue(folder, clock) as venue:
        ada = enrolled(venue)
        withdraw.withdraw(venue, enrolled(venue, "ben", 2).person, VERIFY)
        put, tries = EpochFile._put_offsite, []

        def out_of_reach(self: EpochFile, data: bytes) -> None:
            tries.append(1)
            if len(tries) >= at and offsite.exists():
                offsite.rename(offsite.with_name("gone"))
            put(self, data)

        monkeypatch.setattr(EpochFile, "_put_offsite", out_of_reach)
        assert code_of(lambda: rotate.rotate(venue)) == "offsite-missing"
        assert numbers_in(folder, folder / "epoch.key") == ([1] if at == 1 else [1, 2])
        assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
        clock.move(24 * HOUR + 1)
        assert code_of(lambda: comes_back(venue, ada.pass_text)) == "rotation-late"
    monkeypatch.undo()
    with open_venue(folder, clock) as venue:  # opening does not fail over it either
        assert code_of(lambda: comes_back(venue, ada.pass_text)) == "rotation-late"
        offsite.with_name("gone").rename(offsite)
        rotate.rotate(venue)
        assert numbers_in(folder, offsite / "epoch.key") == numbers_in(folder, folder / "epoch.key")
        assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT


@pytest.mark.parametrize(("at", "when"), [(at, when) for at in range(1, 13) for when in (BEFORE, AFTER)])
def test_the_copy_elsewhere_is_never_behind_what_is_destroyed_here(
        folder: Path, offsite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    with open_venue(folder) as venue:
        who = enrolled(venue)
        venue.keys.place.epochs.copy_offsite()
        faults = Faults(at, when, dies=True)
        with faults.armed(monkeypatch), pytest.raises(Crash):
            rotate.rotate(venue)
        assert faults.seen[:4] == [*ROTATE[:1], "replace epoch.key", *ROTATE[1:3]][: len(faults.seen)]
        here = numbers_in(folder, folder / "epoch.key")
        there = numbers_in(folder, offsite / "epoch.key")
        assert set(here) & set(there), "neither opens what the other's keys wrap"
        assert here != [2] or there == [2], "the old epoch lives on elsewhere"
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        rotate.rotate(venue)
        venue.keys.place.epochs.require_offsite()
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


def test_a_lost_epoch_is_fetched_from_its_copy_and_a_present_one_is_not(folder: Path, offsite: Path) -> None:
    with open_venue(folder) as venue:
        who = enrolled(venue)
        venue.keys.place.epochs.copy_offsite()
    file = epoch_file(folder, offsite / "epoch.key")
    assert code_of(file.fetch) == "epoch-present"
    (folder / "epoch.key").unlink()
    assert code_of(lambda: open_venue(folder).__enter__()) == "epoch-missing"
    data = (offsite / "epoch.key").read_bytes()
    middle = len(data) // 2  # of the wrapped key
    (offsite / "epoch.key").write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    assert code_of(file.fetch) == "root-wrong"
    assert not (folder / "epoch.key").exists()
    (offsite / "epoch.key").write_bytes(data)
    file.fetch()
    assert (folder / "epoch.key").stat().st_mode & 0o777 == 0o600
    with open_venue(folder) as venue:
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    (folder / "epoch.key").unlink()
    (offsite / "epoch.key").unlink()
    assert code_of(file.fetch) == "offsite-missing"


def test_no_copy_is_made_where_none_is_named(venue: Venue) -> None:
    with pytest.raises(Refused) as caught:
        venue.keys.place.epochs.copy_offsite()
    assert caught.value.code == "offsite-none"
    venue.keys.place.epochs.require_offsite()  # nothing to ask for


# -- what older copies open then


@pytest.mark.promise(2)
def test_after_a_rotation_root_old_copies_and_todays_disk_open_nothing(
        folder: Path, tmp_path: Path, clock: SetClock) -> None:
    """The attacker has the root key, yesterday's copies of both stores, and today's disk (epoch.key: no copy)."""
    with open_venue(folder, clock) as venue:
        held = enrolled(venue, "ada", 1, KEYED)             # the attacker found the pass too
        kept = enrolled(venue, "ben", 2, SEARCH)
        yesterday = copy_of(folder, tmp_path / "yesterday")
        needles = venue.keys.needles(face_key(venue, kept.person))
        withdraw.withdraw(venue, held.person, held.purpose)
        withdraw.withdraw(venue, kept.person, SEARCH)
    stolen = attackers_folder(folder, yesterday, tmp_path / "before rotation")
    with open_venue(stolen, clock) as theirs:               # without a rotation the old copies do open
        assert open_old(theirs, kept.person, held.pass_text) == ["opened", "opened"]
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
    stolen = attackers_folder(folder, yesterday, tmp_path / "after rotation")
    with open_venue(stolen, clock) as theirs:
        assert open_old(theirs, kept.person, held.pass_text) == ["key-altered", "key-altered"]
    assert residue.search(folder, needles) == []


def face_key(venue: Venue, person: PersonId) -> KeyRef:
    with venue.store.read() as unit:
        row = unit.run(select(schema.template).where(schema.template.c.person_id == person)).one()
    return KeyRef(row.face_key, FACE, person, row.purpose_id)


def attackers_folder(today: Path, yesterday: Path, to: Path) -> Path:
    stolen = copy_of(today, to)
    for name in ("countenance.db", "keys.db"):
        for end in ("", "-wal"):
            (stolen / (name + end)).unlink(missing_ok=True)
            if (yesterday / (name + end)).exists():
                shutil.copy2(yesterday / (name + end), stolen / (name + end))
    return stolen


def open_old(theirs: Venue, person: PersonId, pass_text: str) -> list[str]:
    """Try both withdrawn faces, with the program's own code and no gate in the way."""
    answers = []
    for attempt in (lambda: from_store(theirs, person), lambda: from_pass(theirs, pass_text)):
        try:
            assert len(attempt()) == 128
            answers.append("opened")
        except CountenanceError as error:
            answers.append(error.code)
    return answers


def from_store(theirs: Venue, person: PersonId) -> bytearray:
    with theirs.store.read() as unit:
        row = unit.run(select(schema.template).where(schema.template.c.person_id == person)).one()
    stored = gallery.stored_template(row)
    return theirs.keys.open(face_key(theirs, person), stored.place.label(), stored.sealed)


def from_pass(theirs: Venue, pass_text: str) -> bytearray:
    content = passes.read_here(theirs, pass_text, START)
    with theirs.store.read() as unit:
        person = passes.whose(unit, content)
        row = unit.run(select(schema.template).where(schema.template.c.person_id == person)).one()
        shown = passes.shown(theirs, unit, pass_text, content)
    stored = gallery.stored_template(row)
    bound = in_pass.holder_aad(stored.place.label(), person, content.purpose)
    return in_pass.open_for_holder(faces_of(theirs.keys), shown, bound, stored.sealed)


# -- the file of the epoch


@pytest.mark.parametrize("spoil", [
    lambda data: b"", lambda data: data[:-1], lambda data: data + b"\0", lambda data: b"\xa0",
    lambda data: canonical.encode({"format": "countenance/epoch/1", "epochs": []}),
    lambda data: canonical.encode({"format": "countenance/epoch/1", "epochs": [[1, 2]]}),
    lambda data: canonical.encode({"format": "countenance/epoch/1", "epochs": ["abc"]}),
    lambda data: canonical.encode({**canonical.decode(data, "x"), "format": "countenance/epoch/2"}),
    lambda data: canonical.encode({**canonical.decode(data, "x"), "more": 1}),
    lambda data: canonical.encode({"format": "countenance/epoch/1",
                                   "epochs": canonical.decode(data, "x")["epochs"] * 3}),
], ids=["nothing", "cut", "trailing", "no map", "none", "short row", "text row", "format", "more", "three"])
def test_a_damaged_epoch_file_closes_the_face_lane(folder: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = folder / "epoch.key"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == "epoch-malformed"


def test_an_epoch_that_calls_itself_another_does_not_open(folder: Path) -> None:
    path = folder / "epoch.key"
    value = canonical.decode(path.read_bytes(), "x")
    value["epochs"][0][0] = 2
    path.write_bytes(canonical.encode(value))
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == "root-wrong"


