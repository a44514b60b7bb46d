"""The list of what may not come back: whole lines only, and an older store is noticed by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from countenance.consent import notices
from countenance.errors import CountenanceError, StoreFault
from countenance.flows import admit, pad, rotate, withdraw
from countenance.flows.venue import Venue
from countenance.quantities import KeyId
from countenance.storage import schema
from countenance.vault.keys.gone import Gone, GoneList
from support.faults import AFTER, BEFORE, Crash, Faults
from support.venue import (
    KEYED,
    LONG,
    SEARCH,
    VERIFY,
    comes_back,
    copy_of,
    enrolled,
    open_venue,
    other_lane,
    write_tickets,
)

ONE, TWO, THREE = (KeyId(letter * 32) for letter in "abc")


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


@pytest.fixture
def gone(tmp_path: Path) -> GoneList:
    made = GoneList(tmp_path / "gone.list")
    made.begin()
    return made


def test_what_is_written_down_is_read(gone: GoneList, tmp_path: Path) -> None:
    assert gone.read() == Gone()
    gone.note(3)
    gone.add([ONE, TWO])
    gone.note(2)  # a slower process; the count never falls
    assert gone.read() == Gone(3, [ONE, TWO], [ONE, TWO])
    assert (tmp_path / "gone.list").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        gone.begin()


def test_a_rotation_forgets_what_no_copy_opens_any_more(gone: GoneList) -> None:
    gone.note(1)
    gone.add([ONE])
    gone.new_epoch(2)
    gone.add([TWO])
    assert gone.read() == Gone(1, [ONE, TWO], [TWO])
    gone.restart()
    assert gone.read() == Gone(1, [TWO], [TWO])
    gone.new_epoch(3)
    gone.restart()
    assert gone.read() == Gone(1)


def test_a_rotation_that_was_begun_twice_forgets_no_key_too_early(gone: GoneList) -> None:
    """Interrupted before it could say that it began: more is kept than need be, never less."""
    gone.add([ONE])
    gone.restart()
    assert gone.read().keys == [ONE]


def test_a_restore_is_under_way_until_it_ends(gone: GoneList) -> None:
    gone.note(4)
    gone.add([ONE])
    gone.restoring()
    gone.restoring()
    assert gone.read() == Gone(4, [ONE], [ONE], restoring=True)
    gone.new_epoch(2)
    gone.add([TWO])
    gone.restart()  # a rotation in between does not end it
    assert gone.read() == Gone(4, [TWO], [TWO], restoring=True)
    gone.restart(9)
    assert gone.read() == Gone(9, [TWO], [TWO])


@pytest.mark.parametrize("spoil", ["missing", "empty", "other"])
def test_a_restore_begins_a_lost_list_anew_and_says_so(gone: GoneList, tmp_path: Path, spoil: str) -> None:
    gone.add([ONE])
    path = tmp_path / "gone.list"
    path.unlink() if spoil == "missing" else path.write_text("" if spoil == "empty" else "something else\n")
    gone.restoring()
    assert gone.read() == Gone(0, [], [], restoring=True, lost=True)
    assert (path.stat().st_mode & 0o777) == 0o600
    gone.restart()
    assert gone.read().lost
    gone.restart(5)
    assert gone.read() == Gone(5)


@pytest.mark.parametrize(("end", "keys"), [
    (b"", [ONE]), (b"key " + b"b" * 31, [ONE]), (b"key " + b"b" * 32, [ONE]), (b"key " + b"b" * 32 + b"\n", [ONE, TWO]),
    (b"c", [ONE]), (b"\0\0\0\0", [ONE])])
def test_a_line_cut_by_a_crash_is_none_and_the_next_stands_alone(
        gone: GoneList, tmp_path: Path, end: bytes, keys: list[KeyId]) -> None:
    gone.add([ONE])
    path = tmp_path / "gone.list"
    path.write_bytes(path.read_bytes() + end)
    assert gone.read().keys == keys
    gone.add([THREE])
    assert gone.read().keys == [*keys, THREE]


@pytest.mark.parametrize("text", [
    "", "\n", "countenance/gone/1", "countenance/gone/2\n", " countenance/gone/1\n", "count 1\n",
    "countenance/gone/1\ncount\n", "countenance/gone/1\ncount -1\n", "countenance/gone/1\ncount 1.0\n",
    "countenance/gone/1\ncount 1000000000000000\n", "countenance/gone/1\nkey " + "a" * 31 + "\n",
    "countenance/gone/1\nkey " + "A" * 32 + "\n", "countenance/gone/1\nkey " + "a" * 33 + "\n",
    "countenance/gone/1\n\n", "countenance/gone/1\nrestoring now\n", "countenance/gone/1\nepoch x\n",
    "countenance/gone/1\ncount 1 \n", "countenance/gone/1\nLOST\n", "countenance/gone/1\nfound\n", "é\n"])
def test_another_file_is_no_list(gone: GoneList, tmp_path: Path, text: str) -> None:
    (tmp_path / "gone.list").write_text(text, encoding="utf-8")
    assert code_of(gone.read) == "gone-malformed"


@pytest.mark.parametrize("change", [
    lambda gone: gone.note(1), lambda gone: gone.add([ONE]), lambda gone: gone.new_epoch(2)])
def test_a_missing_list_is_not_begun_by_the_way(
        gone: GoneList, tmp_path: Path, change: Callable[[GoneList], None]) -> None:
    (tmp_path / "gone.list").unlink()
    assert code_of(lambda: change(gone)) == "gone-missing"
    assert not (tmp_path / "gone.list").exists()
    assert code_of(gone.read) == "gone-missing"


@pytest.mark.parametrize("change", [
    lambda gone: gone.note(1), lambda gone: gone.add([ONE]), lambda gone: gone.new_epoch(2),
    lambda gone: gone.restart(), lambda gone: gone.restoring()])
def test_a_full_disk_is_said_to_be_so(
        gone: GoneList, monkeypatch: pytest.MonkeyPatch, change: Callable[[GoneList], None]) -> None:
    with Faults(1, BEFORE, dies=False).armed(monkeypatch):
        assert code_of(lambda: change(gone)) == "store-io"
    assert gone.read() == Gone()


# -- who writes it


def listed(venue: Venue) -> Gone:
    return venue.keys.place.gone.read()


def test_what_an_older_store_would_not_know_is_counted_and_every_destroyed_key_named(venue: Venue) -> None:
    begun = listed(venue).count
    assert begun == 3  # three notices were published when the venue was set up
    keys = set()
    for done, purpose in enumerate((VERIFY, KEYED, SEARCH)):
        who = enrolled(venue, "ada", 1, purpose)
        assert listed(venue).count == begun + 2 * done + 1  # an older store would leave their key behind
        keys |= venue.keys.ids("face", "pass")
        withdraw.withdraw(venue, who.person, purpose)
        assert listed(venue).count == begun + 2 * done + 2
    assert set(listed(venue).keys) == keys
    assert len(keys) == 3
    with venue.store.write() as unit:
        texts = {k: v + " More." for k, v in notices.in_force(unit, VERIFY).texts.items()}
        notices.publish(unit, venue.venue_id, VERIFY, texts)
    assert listed(venue).count == begun + 7
    record = venue.keys.ids("record")
    withdraw.erase(venue, who.person)
    assert listed(venue).count == begun + 8
    assert record <= set(listed(venue).keys)
    with venue.store.read() as unit:
        assert unit.mark("forward") == begun + 8
    rotate.rotate(venue)
    assert listed(venue) == Gone(begun + 8)


def test_each_batch_of_made_up_people_is_counted(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pad, "BATCH", 2)
    begun = listed(venue)
    pad.pad(venue, SEARCH, 5)
    assert listed(venue) == Gone(begun.count + 3)


def test_what_does_not_take_effect_is_not_counted(venue: Venue) -> None:
    begun = listed(venue)
    with pytest.raises(StoreFault), venue.store.write() as unit:
        unit.move_forward()
        raise StoreFault("store-full", "Full.")
    assert listed(venue) == begun


def test_the_list_names_nobody(venue: Venue, folder: Path) -> None:
    write_tickets(folder, {"walrus": LONG})  # which no random id can spell
    who = enrolled(venue, "walrus")
    withdraw.withdraw(venue, who.person, VERIFY)
    text = (folder / "gone.list").read_text()
    assert who.person not in text
    assert "walrus" not in text
    assert "key " in text


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_count_that_a_crash_kept_from_the_list_is_made_up_for(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """The data store has committed; the note of it is the next effect."""
    with open_venue(folder) as venue:
        who = enrolled(venue)
        begun, key = listed(venue), venue.keys.ids("pass")
        faults = Faults(3, when, dies=True)
        with faults.armed(monkeypatch), pytest.raises(Crash):
            withdraw.withdraw(venue, who.person, VERIFY)
        assert faults.seen[:3] == ["commit countenance.db", "commit keys.db", "append gone.list"]
        assert venue.keys.ids("pass") == key
        # The count and the key that is to be destroyed are written at once, before it is.
        assert listed(venue) == (begun if when == BEFORE else Gone(begun.count + 1, [*key], [*key]))
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        venue.require_stores()
        assert listed(venue) == Gone(begun.count + 1, [*key], [*key])
        assert venue.keys.ids("pass") == frozenset()


# -- who reads it


def put_back(folder: Path, before: Path, *names: str) -> None:
    """Put databases of a folder back from a copy, as a restore by hand does."""
    for name in names:
        for end in ("", "-wal", "-shm"):
            (folder / (name + end)).unlink(missing_ok=True)
            if (before / (name + end)).exists():
                shutil.copy2(before / (name + end), folder / (name + end))


@pytest.mark.promise(2)
@pytest.mark.parametrize("names", [("countenance.db",), ("keys.db",), ("countenance.db", "keys.db")])
@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_older_stores_are_noticed_and_nobody_is_compared(
        folder: Path, tmp_path: Path, names: tuple[str, ...], purpose: str) -> None:
    with open_venue(folder) as venue:
        ben = enrolled(venue, "ben", 2)
        ada = enrolled(venue, "ada", 1, purpose)
        before = copy_of(folder, tmp_path / "before")
        withdraw.withdraw(venue, ada.person, purpose)
    put_back(folder, before, *names)
    with open_venue(folder) as venue:
        assert code_of(venue.require_stores) == "store-restored"
        for act in (lambda: comes_back(venue, ben.pass_text, 2), lambda: enrolled(venue, "cem", 3),
                    lambda: venue.galleries.exact(SEARCH), lambda: rotate.rotate(venue)):
            assert code_of(act) == "store-restored"
        assert other_lane(venue, ben.pass_text) == "ben"  # and the other lane is open


@pytest.mark.promise(2)
def test_the_right_stores_put_back_again_are_in_order(folder: Path, tmp_path: Path) -> None:
    """Opening the wrong ones has changed nothing: no recovery, no rotation, no note."""
    with open_venue(folder) as venue:
        ben, ada = enrolled(venue, "ben", 2), enrolled(venue)
        before = copy_of(folder, tmp_path / "before")
        withdraw.withdraw(venue, ada.person, VERIFY)
    right = copy_of(folder, tmp_path / "right")
    put_back(folder, before, "countenance.db", "keys.db")
    with open_venue(folder) as venue:
        assert code_of(venue.require_stores) == "store-restored"
    put_back(folder, right, "countenance.db", "keys.db")
    with open_venue(folder) as venue:
        assert comes_back(venue, ben.pass_text, 2).outcome is admit.Outcome.ADMIT
        assert code_of(lambda: comes_back(venue, ada.pass_text)) in {"consent-withdrawn", "pass-unknown"}


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_without_its_list_a_venue_compares_nobody_and_still_lets_people_withdraw(
        folder: Path, spoil: Callable[[Path], object]) -> None:
    with open_venue(folder) as venue:
        ada, ben = enrolled(venue), enrolled(venue, "ben", 2)
    spoil(folder / "gone.list")
    with open_venue(folder) as venue:
        assert code_of(lambda: comes_back(venue, ada.pass_text)) in {"gone-missing", "gone-malformed"}
        assert withdraw.withdraw(venue, ada.person, VERIFY).final == "final"
        assert other_lane(venue, ben.pass_text) == "ben"
        with venue.store.read() as unit:
            assert unit.run(select(schema.template.c.person_id)).scalars().all() == [ben.person]
        assert venue.keys.ids("pass") != frozenset()


def test_a_venue_that_is_open_elsewhere_looks_too(folder: Path, tmp_path: Path) -> None:
    """The second process has not the folder alone, recovers nothing, and still may not compare by an old store."""
    with open_venue(folder) as venue:
        ada = enrolled(venue)
        before = copy_of(folder, tmp_path / "before")
        withdraw.withdraw(venue, ada.person, VERIFY)
    put_back(folder, before, "countenance.db", "keys.db")
    with open_venue(folder), open_venue(folder) as second:
        assert code_of(lambda: comes_back(second, ada.pass_text)) == "store-restored"


@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_a_withdrawal_under_way_elsewhere_is_not_taken_for_an_older_store(
        folder: Path, monkeypatch: pytest.MonkeyPatch, purpose: str) -> None:
    """Between the line in the list and the commit that deletes the key, another process opens the folder."""
    seen: list[str] = []
    add = GoneList.add

    def adding(self: GoneList, keys: list[KeyId]) -> None:
        add(self, keys)
        with open_venue(folder) as other:
            other.require_stores()
            seen.append("in order")

    with open_venue(folder) as venue:
        who = enrolled(venue, "ada", 1, purpose)
        monkeypatch.setattr(GoneList, "add", adding)
        withdraw.withdraw(venue, who.person, purpose)
    assert seen == ["in order"]
