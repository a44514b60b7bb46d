"""After a restore the log goes on with every entry that was signed for, or another one begins and says so."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from countenance.clock import SetClock
from countenance.errors import CountenanceError
from countenance.flows import backup, log, rotate
from countenance.flows.restore import Copies, Restored
from countenance.flows.venue import Venue
from countenance.formats import checkpoints, log_entries, merkle, signed_note
from countenance.quantities import MINUTE
from countenance.storage import schema
from countenance.transparency.log import SIGNED
from countenance.transparency.publish import FOLDER
from countenance.transparency.tree import Tree
from support.custody import not_asked_again, restored
from support.filled_log import alter, entries_of, fill, require_whole, size_of
from support.small_log import SmallLog
from support.venue import clear_events, comes_back, enrolled, open_venue


def prepared(folder: Path, tmp_path: Path, clock: SetClock, *, published: bool) -> Path:
    """Make a copy of the data store; then somebody enrols, comes back, and the log is signed and published."""
    copies = tmp_path / "copies"
    copies.mkdir()
    with open_venue(folder, clock) as venue:
        fill(venue, 200)
        log.publish(venue)
        backup.backup(venue, backup.DATA, copies / "data")
        ada = enrolled(venue)
        comes_back(venue, ada.pass_text)
        fill(venue, 270)
        clock.move(venue.settings.log_minutes * MINUTE)
        if published:
            log.publish(venue)
        comes_back(venue, ada.pass_text)
        venue.log.sign()
    return copies / "data"


def put_back(folder: Path, clock: SetClock, copy: Path) -> Restored:
    clock.move(MINUTE)
    return restored(folder, clock, Copies(data=copy))


@pytest.mark.parametrize("published", [True, False])
def test_the_log_goes_on_with_every_entry_that_was_signed_for(
        folder: Path, tmp_path: Path, clock: SetClock, published: bool) -> None:
    copy = prepared(folder, tmp_path, clock, published=published)
    before = entries_of(folder)
    with open_venue(folder, clock) as venue:
        checkpoint = venue.log.last_signed()
    assert checkpoint is not None
    assert checkpoint.checkpoint.size == len(before)
    done = put_back(folder, clock, copy)
    assert not done.log.anew
    assert not done.log.whole
    after = entries_of(folder)
    assert after[:len(before)] == before
    assert done.log.entries == len(before) - 201  # the copy's own entry is the last that it has
    with open_venue(folder, clock) as venue:
        assert not not_asked_again(venue)
        found, _note = venue.log.sign()
        with venue.store.read() as unit:
            proof = Tree(unit.connection).consistency(len(before), found.size)
        merkle.require_consistency(len(before), checkpoint.checkpoint.root, found.size, found.root, proof)
        clock.move(60 * MINUTE)
        log.publish(venue)
        require_whole(venue)
    assert [event.type for event in clear_events(folder)].count("restored") == 1


def without_signed(folder: Path) -> None:
    (folder / SIGNED).unlink()


def with_noise(folder: Path) -> None:
    (folder / SIGNED).write_bytes(b"noise")


def without_published(folder: Path) -> None:
    shutil.rmtree(folder / FOLDER)


def without_a_bundle(folder: Path) -> None:
    """The one that holds what came after the copy."""
    for path in (folder / FOLDER / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.unlink()


def with_other_entries(folder: Path) -> None:
    for path in (folder / FOLDER / "tile" / "entries").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("spoil", [
    without_signed, with_noise, without_published, without_a_bundle, with_other_entries])
def test_where_what_was_signed_for_is_lost_another_log_begins(
        folder: Path, tmp_path: Path, clock: SetClock, spoil: Callable[[Path], None]) -> None:
    copy = prepared(folder, tmp_path, clock, published=True)
    with open_venue(folder, clock) as venue:
        old = venue.log.key()
    last = signed_note.parse((folder / SIGNED).read_text("utf-8", errors="replace").partition("\0")[0])
    spoil(folder)
    done = put_back(folder, clock, copy)
    assert (done.log.anew, done.log.entries) == (True, 0)
    began = [event for event in clear_events(folder) if event.type == "log-began-anew"]
    assert len(began) == 1
    assert began[0].body["before"] == 1
    if spoil in {without_published, without_a_bundle, with_other_entries}:  # what was signed is known all the same
        found = checkpoints.parse(last)
        assert (began[0].body["size"], began[0].body["root"]) == (found.size, found.root)
    with open_venue(folder, clock) as venue:
        assert not not_asked_again(venue)
        assert re.fullmatch(re.escape(old.name) + "/[0-9a-f]{16}", venue.log.key().name)
        first, note = venue.log.sign()
        signed_note.require_signed(note, venue.log.key())
        assert first.origin == venue.log.key().name
        if (folder / FOLDER).exists():
            shutil.move(folder / FOLDER, tmp_path / "kept")  # as `log-other` asks
        clock.move(60 * MINUTE)
        log.publish(venue)
        require_whole(venue)


def test_the_first_entry_of_the_new_log_says_what_it_follows(folder: Path, tmp_path: Path, clock: SetClock) -> None:
    copy = prepared(folder, tmp_path, clock, published=True)
    without_signed(folder)
    put_back(folder, clock, copy)
    with open_venue(folder, clock) as venue, venue.store.read() as unit:
        first = log_entries.parse(Tree(unit.connection).entries(0, 1)[0])
    assert isinstance(first, log_entries.Clear)
    assert first.type == "log-began-anew"


@pytest.mark.promise(5)
def test_a_forged_copy_of_the_log_is_not_believed(folder: Path, tmp_path: Path, clock: SetClock) -> None:
    """Longer than the log, and signed by a key of the same name: nothing of it comes into the store."""
    copy = prepared(folder, tmp_path, clock, published=True)
    before = entries_of(folder)
    with open_venue(folder, clock) as venue:
        name = venue.log.key().name
    forged = SmallLog([*before, *(log_entries.sealed(bytes([n]) * 32) for n in range(50))], origin=name)
    shutil.rmtree(folder / FOLDER)
    forged.write(folder / FOLDER)
    done = put_back(folder, clock, copy)
    after = entries_of(folder)
    assert not any(log_entries.sealed(bytes([n]) * 32) in after for n in range(50))
    assert done.log.anew  # what came between the copy and the last signature was in the published folder only


@pytest.mark.promise(5)
def test_a_copy_elsewhere_is_taken_in_place_of_the_folder(folder: Path, tmp_path: Path, clock: SetClock) -> None:
    from countenance.flows import restore
    from countenance.integrations.entitlement import CsvEntitlement

    copy = prepared(folder, tmp_path, clock, published=True)
    before = entries_of(folder)
    shutil.move(folder / FOLDER, tmp_path / "elsewhere")
    clock.move(MINUTE)
    done = restore.restore(folder, CsvEntitlement(folder / "tickets.csv"), clock, Copies(data=copy),
                           log=tmp_path / "elsewhere")
    assert not done.log.anew
    assert entries_of(folder)[:len(before)] == before


def test_a_store_that_lacks_nothing_gets_nothing(folder: Path, clock: SetClock, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with open_venue(folder, clock) as venue:
        ada = enrolled(venue)
        log.publish(venue)
        backup.backup(venue, backup.KEYS, copies / "keys")
        size = size_of(folder)
    (folder / "keys.db").unlink()
    clock.move(MINUTE)
    done = restored(folder, clock, Copies(keys=copies / "keys"))
    assert (done.log.whole, done.log.entries, done.log.anew, done.asked_again) == (True, 0, False, 0)
    assert size_of(folder) > size
    with open_venue(folder, clock) as venue:
        assert not_asked_again(venue)
        comes_back(venue, ada.pass_text)
        require_whole(venue)


def test_where_one_entry_is_missing_everybody_is_asked_again(folder: Path, clock: SetClock, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with open_venue(folder, clock) as venue:
        ada = enrolled(venue)
        log.publish(venue)
        backup.backup(venue, backup.KEYS, copies / "keys")
        comes_back(venue, ada.pass_text)
        venue.log.sign()
        size = size_of(folder)
    alter(folder, "DELETE FROM event WHERE event_id = (SELECT max(event_id) FROM event)")
    alter(folder, "UPDATE log SET size = size - 1")
    (folder / "keys.db").unlink()
    clock.move(MINUTE)
    done = restored(folder, clock, Copies(keys=copies / "keys"))
    assert (done.log.entries, done.log.anew, done.asked_again) == (1, False, 1)
    with open_venue(folder, clock) as venue:
        assert not not_asked_again(venue)
        with pytest.raises(CountenanceError):
            comes_back(venue, ada.pass_text)
        assert size_of(folder) > size
        require_whole(venue)


def test_what_is_put_back_of_people_looks_like_the_rows_of_the_erased(
        folder: Path, tmp_path: Path, clock: SetClock) -> None:
    copy = prepared(folder, tmp_path, clock, published=True)
    put_back(folder, clock, copy)
    with open_venue(folder, clock) as venue:
        rows = _rows(venue)
        for row in rows[201:]:
            if isinstance(log_entries.parse(row.entry), log_entries.Clear):
                assert (row.tag, row.sealed) == (None, None)
            else:
                assert (len(row.tag), len(row.sealed)) == (16, 540)
        rotate.rotate(venue)


def _rows(venue: Venue) -> list[Any]:
    with venue.store.read() as unit:
        return list(unit.run(select(schema.event).order_by(schema.event.c.event_id)).all())
