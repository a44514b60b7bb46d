"""What an attacker, or a hand that means well, does to the files of the keys: refused, and nothing right is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countenance import settings
from countenance.cli import keys as cli
from countenance.clock import SetClock
from countenance.errors import CountenanceError, StoreFault
from countenance.flows import admit, enrol, gallery, intents, passes, recover, rotate, withdraw
from countenance.flows.venue import Venue
from countenance.formats import canonical
from countenance.formats.passes import Custody, pack_hash
from countenance.quantities import KeyId, PurposeId
from countenance.vault.keys import roots
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.in_pass import Shown
from countenance.vault.keys.store import PASS, RECORD
from countenance.vault.templates import Stored
from support.faults import Crash
from support.keystore import ADA, BEN, everybody_lives, made
from support.venue import (
    KEYED,
    SEARCH,
    VERIFY,
    comes_back,
    copy_of,
    enrolled,
    open_venue,
    rows_of,
)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def sql(folder: Path, name: str, *statements: str) -> None:
    with closing(sqlite3.connect(folder / name)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def key_ids(folder: Path) -> set[str]:
    return {row[0] for row in rows_of(folder / "keys.db", "wrapped_key")}


@pytest.fixture
def offsite(folder: Path, tmp_path: Path) -> Path:
    there = tmp_path / "elsewhere"
    there.mkdir()
    name_offsite(folder, there)
    return there


def name_offsite(folder: Path, there: Path) -> None:
    path = folder / settings.FILE
    path.write_text(path.read_text("utf-8").replace('offsite = ""', f'offsite = "{there}"'), encoding="utf-8")


def epoch_file(folder: Path, offsite: Path | None = None) -> EpochFile:
    return EpochFile(folder / "epoch.key", roots.open_root("file:root.key", folder), offsite and offsite / "epoch.key")


# -- an older epoch key is put back by hand


@pytest.fixture
def put_back(folder: Path, offsite: Path, clock: SetClock) -> tuple[enrol.Enrolled, bytes]:
    """A venue in epoch 2, whose file is that of epoch 1 again. Return somebody enrolled, and the right file."""
    with open_venue(folder, clock) as venue:
        ada = enrolled(venue)
        venue.keys.copy_offsite()
        old = (folder / "epoch.key").read_bytes()
        rotate.rotate(venue)
    right = (folder / "epoch.key").read_bytes()
    assert (offsite / "epoch.key").read_bytes() == right
    (folder / "epoch.key").write_bytes(old)
    return ada, right


def test_with_an_older_epoch_key_no_face_is_compared_and_the_right_copy_stays(
        folder: Path, offsite: Path, clock: SetClock, put_back: tuple[enrol.Enrolled, bytes]) -> None:
    ada, right = put_back
    with open_venue(folder, clock) as venue:
        assert code_of(venue.require_stores) == "epoch-older"
        for act in (lambda: rotate.rotate(venue), venue.keys.copy_offsite, venue.keys.drop_dead,
                    lambda: venue.keys.rotate(everybody_lives(venue))):
            assert code_of(act) == "epoch-older"
        for act in (lambda: comes_back(venue, ada.pass_text), lambda: enrolled(venue, "ben", 2)):
            assert code_of(act) in {"epoch-older", "key-altered"}  # no key opens, which may come before the gate asks
        assert code_of(venue.keys.place.epochs.require_offsite) == "offsite-newer"
        for act in (venue.keys.place.epochs.copy_offsite,
                    lambda: venue.keys.place.epochs.add_next(venue.keys.place.epochs.read()[0], clock.now())):
            assert code_of(act) == "offsite-newer"  # also where the key store says nothing against it
    assert (offsite / "epoch.key").read_bytes() == right
    (folder / "epoch.key").unlink()
    epoch_file(folder, offsite).fetch(2)
    with open_venue(folder, clock) as venue:
        assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
        rotate.rotate(venue)


def test_no_key_is_made_under_an_epoch_that_was_put_back_while_the_venue_is_open(
        folder: Path, offsite: Path, clock: SetClock) -> None:
    with open_venue(folder, clock) as venue:
        old = (folder / "epoch.key").read_bytes()
        rotate.rotate(venue)
        ref = made(venue.keys, kind=PASS)
        (folder / "epoch.key").write_bytes(old)
        assert code_of(lambda: made(venue.keys)) == "epoch-older"
        assert code_of(lambda: venue.keys.bind(ref, bytes(32))) == "epoch-older"


def test_an_older_copy_is_not_fetched(
        folder: Path, offsite: Path, clock: SetClock, put_back: tuple[enrol.Enrolled, bytes]) -> None:
    _ada, right = put_back
    old = (folder / "epoch.key").read_bytes()
    (folder / "epoch.key").unlink()
    (offsite / "epoch.key").write_bytes(old)
    result = CliRunner().invoke(cli.app, ["fetch", "--venue", str(folder)])
    assert isinstance(result.exception, StoreFault)
    assert result.exception.code == "epoch-older"
    assert not (folder / "epoch.key").exists()
    (offsite / "epoch.key").write_bytes(right)
    assert CliRunner().invoke(cli.app, ["fetch", "--venue", str(folder)]).exit_code == 0
    assert (folder / "epoch.key").read_bytes() == right


def test_another_key_of_the_same_number_or_another_root_is_not_written_over(
        folder: Path, offsite: Path, clock: SetClock, tmp_path: Path) -> None:
    other = copy_of(folder, tmp_path / "other")
    for change in (lambda: None, lambda: shutil.copy(tmp_path / "new.key", other / "root.key")):
        if not (tmp_path / "new.key").exists():
            roots.make_file(tmp_path / "new.key")
        change()
        (other / "epoch.key").unlink(missing_ok=True)
        epoch_file(other).begin(clock.now())
        theirs = (other / "epoch.key").read_bytes()
        (offsite / "epoch.key").write_bytes(theirs)
        with open_venue(folder, clock) as venue:
            assert code_of(venue.keys.copy_offsite) == "offsite-newer"
            assert code_of(lambda: rotate.rotate(venue)) == "offsite-newer"
            venue.require_stores()
        assert (offsite / "epoch.key").read_bytes() == theirs
    (offsite / "epoch.key").write_bytes(theirs[:40])  # half a copy is nobody's
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
        venue.keys.place.epochs.require_offsite()


def test_a_rotation_that_died_after_the_copy_was_written_goes_on_with_its_epoch(
        folder: Path, offsite: Path, clock: SetClock) -> None:
    with open_venue(folder, clock) as venue:
        ada, file = enrolled(venue), venue.keys.place.epochs
        venue.keys.copy_offsite()
        before = (folder / "epoch.key").read_bytes()
        begun = file.add_next(file.read()[0], clock.now())
        (folder / "epoch.key").write_bytes(before)
        assert code_of(file.copy_offsite) == "offsite-newer"
        assert rotate.rotate(venue) == begun.number
        assert file.read()[-1].key == begun.key
        file.require_offsite()
        assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT


@pytest.mark.parametrize("how", ["path", "folder link", "file link", "hard link"])
def test_a_copy_that_is_the_file_itself_is_none(folder: Path, clock: SetClock, tmp_path: Path, how: str) -> None:
    there = folder if how == "path" else tmp_path / "there"
    if how == "folder link":
        there.symlink_to(folder)
    elif how != "path":
        there.mkdir()
        if how == "file link":
            (there / "epoch.key").symlink_to(folder / "epoch.key")
        else:
            os.link(folder / "epoch.key", there / "epoch.key")
    name_offsite(folder, there)
    before = (folder / "epoch.key").read_bytes()
    with open_venue(folder, clock) as venue:
        for act in (venue.keys.copy_offsite, venue.keys.place.epochs.require_offsite, lambda: rotate.rotate(venue)):
            assert code_of(act) == "offsite-same"
    assert (folder / "epoch.key").read_bytes() == before


@pytest.mark.parametrize("numbers", [[2, 1], [1, 1], [0], [-1], [0, 1]])
def test_epochs_ascend_from_one(folder: Path, numbers: list[int]) -> None:
    value = canonical.decode((folder / "epoch.key").read_bytes(), "epoch")
    _number, made_at, wrapped = value["epochs"][0]
    rows = [[number, made_at, wrapped] for number in numbers]
    (folder / "epoch.key").write_bytes(canonical.encode({**value, "epochs": rows}))
    assert code_of(epoch_file(folder).read) == "epoch-malformed"


def test_a_copy_is_made_with_nobody_else_at_the_keys(
        folder: Path, offsite: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_venue(folder, clock) as venue, closing(sqlite3.connect(folder / "keys.db", timeout=0)) as other:
        locked: list[str] = []

        def tried(_self: EpochFile) -> None:
            with pytest.raises(sqlite3.OperationalError) as caught:
                other.execute("BEGIN IMMEDIATE")
            locked.append(str(caught.value))

        monkeypatch.setattr(EpochFile, "copy_offsite", tried)
        venue.keys.copy_offsite()
        assert locked == ["database is locked"]


# -- an older data store is put back by hand


@pytest.mark.promise(2)
def test_withdrawing_from_an_older_store_makes_it_no_newer(folder: Path, tmp_path: Path, clock: SetClock) -> None:
    with open_venue(folder, clock) as venue:
        ada, ben = enrolled(venue), enrolled(venue, "ben", 2)
        cem = enrolled(venue, "cem", 3)
        before = copy_of(folder, tmp_path / "before")
        withdraw.withdraw(venue, ada.person, VERIFY)
    right = copy_of(folder, tmp_path / "right")
    put(before, folder)
    with open_venue(folder, clock) as venue:
        assert code_of(venue.require_stores) == "store-restored"
        withdraw.withdraw(venue, ben.person, VERIFY)
    for _ in range(2):
        with open_venue(folder, clock) as venue:
            assert code_of(venue.require_stores) == "store-restored"
            assert code_of(lambda: comes_back(venue, cem.pass_text, 3)) == "store-restored"
    with open_venue(right, clock) as venue:
        venue.require_stores()


def put(source: Path, folder: Path) -> None:
    for end in ("", "-wal", "-shm"):
        (folder / f"countenance.db{end}").unlink(missing_ok=True)
        if (source / f"countenance.db{end}").exists():
            shutil.copy2(source / f"countenance.db{end}", folder / f"countenance.db{end}")


def test_a_key_that_the_data_store_does_not_know_stops_the_rotation(
        folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever enrolled since that copy would be left behind, and their face with them."""
    with open_venue(folder, clock) as venue:
        ada, ben = enrolled(venue), enrolled(venue, "ben", 2)
        keys, rows = key_ids(folder), rows_of(folder / "keys.db", "wrapped_key")
        with monkeypatch.context() as patch:  # an older data store as `_living` sees it
            needed = rotate.needed
            patch.setattr(rotate, "needed", lambda unit: needed(unit) - {sorted(keys)[0]})
            assert code_of(lambda: rotate.rotate(venue)) == "keys-unknown"
            assert rows_of(folder / "keys.db", "wrapped_key") == rows
            assert code_of(lambda: comes_back(venue, ada.pass_text)) == "keys-unknown"
            with open_venue(copy_of(folder, folder.with_name("again")), clock) as again:  # and so after every opening
                assert code_of(again.require_stores) == "keys-unknown"
                withdraw.withdraw(again, ada.person, VERIFY)
    with open_venue(folder, clock) as venue:  # with the right data store the rotation is finished
        assert not venue.keys.rotation_unfinished
        assert key_ids(folder) == keys
        assert comes_back(venue, ben.pass_text, 2).outcome is admit.Outcome.ADMIT


def test_a_key_that_was_made_while_the_living_were_listed_is_looked_for_again(venue: Venue, folder: Path) -> None:
    ref, asked = made(venue.keys), []

    def living() -> frozenset[str]:
        asked.append(1)
        return venue.keys.ids() if len(asked) > 1 else venue.keys.ids() - {ref.key_id}

    venue.keys.rotate(living)
    assert len(asked) == 2
    assert ref.key_id in key_ids(folder)
    asked.clear()
    venue.keys.rotate(living, leave_unknown=True)
    assert ref.key_id not in key_ids(folder)


def test_no_promise_is_met_while_a_rotation_is_under_way(venue: Venue, clock: SetClock) -> None:
    withdraw.withdraw(venue, enrolled(venue).person, VERIFY)
    file = venue.keys.place.epochs
    file.add_next(file.read()[0], clock.now())
    rotate.tell(venue)
    with venue.store.read() as unit:
        assert unit.mark("rotate_by") is not None
        assert unit.mark("epoch") != 2
    rotate.rotate(venue)
    with venue.store.read() as unit:
        assert unit.mark("rotate_by") is None


# -- destroying what belongs to somebody


@pytest.mark.promise(2)
@pytest.mark.parametrize("named", [[], ["ff" * 16], ["short"], ["benz"], ["mine"]])
def test_a_persons_keys_are_destroyed_whatever_the_data_store_names(
        venue: Venue, folder: Path, named: list[str]) -> None:
    mine = made(venue.keys, ADA, PASS, VERIFY)
    others = [made(venue.keys, BEN, PASS, VERIFY), made(venue.keys, ADA, PASS, KEYED),
              made(venue.keys, ADA, RECORD, "")]
    ids = {"benz": others[0].key_id, "mine": mine.key_id}
    venue.keys.destroy_of([(ADA, VERIFY, [ids.get(name, KeyId(name)) for name in named])])
    assert key_ids(folder) == {ref.key_id for ref in others}
    gone = venue.keys.place.gone.read().keys
    assert mine.key_id in gone
    assert not {ref.key_id for ref in others} & set(gone)


def test_a_key_hidden_under_another_kind_is_found(venue: Venue, folder: Path) -> None:
    made(venue.keys, ADA, PASS, VERIFY)
    sql(folder, "keys.db", "UPDATE wrapped_key SET kind = 'record'")
    venue.keys.destroy_of([(ADA, VERIFY, [])])
    assert key_ids(folder) == set()


@pytest.mark.parametrize("trigger", [
    "CREATE TRIGGER t AFTER DELETE ON wrapped_key BEGIN INSERT INTO wrapped_key VALUES"
    "(old.key_id, old.kind, old.binding, old.epoch, old.wrapped, old.made_at); END",
    "CREATE TRIGGER t BEFORE DELETE ON wrapped_key BEGIN SELECT RAISE(IGNORE); END"], ids=["back", "ignored"])
def test_a_key_that_stays_is_not_called_destroyed(venue: Venue, folder: Path, trigger: str) -> None:
    ref = made(venue.keys, ADA, PASS, VERIFY)
    sql(folder, "keys.db", trigger)
    assert code_of(lambda: venue.keys.destroy([ref.key_id])) == "store-corrupt"
    assert code_of(lambda: venue.keys.destroy_of([(ADA, VERIFY, [])])) == "store-corrupt"


# -- the list of what is gone


def test_count_and_keys_are_one_write_and_what_is_no_id_spoils_nothing(
        venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance import durable

    written: list[bytes] = []
    append = durable.append
    monkeypatch.setattr(durable, "append", lambda path, data: (written.append(data), append(path, data))[1])
    bad = ["", "short", "A" * 32, "a" * 31 + "\n", "a" * 32 + "\nlost", None, b"\0"]
    venue.keys.note(7, [KeyId("a" * 32), *bad])  # type: ignore[list-item]  # as an altered data store gives them
    assert written == [b"count 7\nkey " + b"a" * 32 + b"\n"]
    assert (venue.keys.place.gone.read().count, venue.keys.place.gone.read().keys) == (7, ["a" * 32])
    venue.keys.note(2**62)
    venue.keys.place.gone.add(bad)  # type: ignore[arg-type]  # as above
    assert venue.keys.place.gone.read().count == 10**15 - 1
    assert not venue.keys.place.gone.read().lost


# -- recovery


def dies(*_: object) -> None:
    raise Crash


@pytest.mark.promise(2)
def test_one_story_that_cannot_be_finished_keeps_nobody_from_withdrawing(
        folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_venue(folder, clock) as venue:
        ada, ben, cem = enrolled(venue), enrolled(venue, "ben", 2), enrolled(venue, "cem", 3)
        with monkeypatch.context() as patch:  # two desks die after the first step
            patch.setattr(withdraw, "finish", dies)
            for who in (ada, ben):
                with pytest.raises(Crash):
                    withdraw.withdraw(venue, who.person, VERIFY)
        with venue.store.read() as unit:
            first = intents.all_pending(unit)[0]
    finish = withdraw.finish

    def stuck(where: Venue, intent: intents.Intent) -> object:
        if intent.intent_id == first.intent_id:
            raise StoreFault("sealed-altered", "Altered.")
        return finish(where, intent)

    with monkeypatch.context() as patch:
        patch.setattr(withdraw, "finish", stuck)
        with open_venue(folder, clock) as venue:
            assert code_of(venue.require_stores) == "sealed-altered"
            assert code_of(lambda: comes_back(venue, cem.pass_text, 3)) == "sealed-altered"
            with venue.store.read() as unit:
                assert intents.all_pending(unit) == [first]  # the other one is finished
            withdraw.withdraw(venue, cem.person, VERIFY)
            assert code_of(lambda: recover.finish(venue)) == "sealed-altered"
    with open_venue(folder, clock) as venue:
        venue.require_stores()
        with venue.store.read() as unit:
            assert intents.all_pending(unit) == []


# -- what is made by hand


def at_hand(venue: Venue, who: enrol.Enrolled) -> tuple[Stored, Shown]:
    with venue.store.read() as unit:
        content = passes.read_here(venue, who.pass_text, unit.now)
        return (gallery.stored_template(enrol.live_template(unit, who.person, who.purpose)),
                passes.shown(venue, unit, who.pass_text, content))


@pytest.mark.promise(1)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_a_pass_opens_as_what_it_was_issued_for_only(venue: Venue, purpose: PurposeId) -> None:
    who = enrolled(venue, purpose=purpose)
    stored, shown = at_hand(venue, who)
    elsewhere = replace(stored, place=replace(stored.place, pack="other/1"))
    other = {Custody.CARRIED: Custody.HOLDER_KEYED, Custody.HOLDER_KEYED: Custody.CARRIED}[stored.custody]
    wrong = {
        "pack-other": (elsewhere, shown),
        "pass-altered": (elsewhere, of(shown, pack=pack_hash("other/1"))),
        "permit-scope": (stored, of(shown, purpose=SEARCH)),
        "custody-unknown": (replace(stored, custody=other), shown),
        "custody-unknown ": (replace(stored, custody=Custody.PLAIN), shown),
        "custody-unknown  ": (replace(stored, custody=Custody.PLAIN), of(shown, custody=Custody.PLAIN)),
        "pass-altered ": (replace(stored, custody=other), of(shown, custody=other))}
    for code, (kept, front) in wrong.items():
        permit = venue.gate.verify(who.person, purpose).permit
        assert code_of(lambda k=kept, f=front, p=permit: venue.vault.open(p, k, f)) == code.strip()
    with venue.vault.open(venue.gate.verify(who.person, purpose).permit, stored, shown) as reference:
        assert reference.codes.any()


def of(shown: Shown, **other: object) -> Shown:
    return replace(shown, content=replace(shown.content, **other))
