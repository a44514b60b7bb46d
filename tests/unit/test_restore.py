"""Copies of stores: made while the venue is open, looked at before anything is changed, and put back for good.

What goes wrong in the middle is tests/faults. The people of these tests are `support.custody`'s town: `early` withdrew
before the copies were made, `later` after that, `new` enrolled after that.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from countenance import settings
from countenance.clock import SetClock
from countenance.consent import notices
from countenance.errors import CountenanceError, StoreFault
from countenance.flows import backup, drill, enrol, pad, recover, restore, rotate, sweep, withdraw
from countenance.flows.replay import Replayed
from countenance.flows.restore import Copies, Loss, examine
from countenance.flows.venue import Venue
from countenance.quantities import DAY
from countenance.storage import engine as engines
from countenance.storage.folder import moved_in
from countenance.vault.keys.store import FACE, PASS
from support import custody
from support import venue as support
from support.custody import Town, admitted, let_in, names, opened_by_attacker, restored, says_yes_again, zombies
from support.faults import AFTER, BEFORE, Crash
from support.venue import (
    SEARCH,
    VERIFY,
    bytes_of,
    clear_events,
    enrolled,
    make_venue,
    open_venue,
    rows_of,
    state_but_log,
    state_of,
)

MINUTE = 60
DATA, KEYS = "countenance.db", "keys.db"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    with pytest.MonkeyPatch.context() as patch:
        custody.unsynced(patch)
        return custody.build(tmp_path_factory.mktemp("town"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    custody.unsynced(monkeypatch)


@pytest.fixture
def home(town: Town, tmp_path: Path) -> tuple[Path, SetClock]:
    """The town's venue, of one's own, a while later."""
    folder, clock = town.moved_to(tmp_path / "zoo")
    clock.move(MINUTE)
    return folder, clock


def refused(act: Callable[[], object]) -> CountenanceError:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value


def code_of(act: Callable[[], object]) -> str:
    return refused(act).code


# -- backup


def test_a_backup_is_whole_while_others_write(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One moment: each transaction of the other thread is in the copy whole or not at all."""
    folder, clock = home
    monkeypatch.setattr(engines, "BACKUP_PAGES", 8, raising=False)
    with open_venue(folder, clock) as venue:
        with engines.writing(venue.store.engine) as connection:
            connection.exec_driver_sql("CREATE TABLE ballast (n INTEGER PRIMARY KEY, round INTEGER, room BLOB)")
            for n in range(24):
                connection.exec_driver_sql("INSERT INTO ballast VALUES (?, 0, zeroblob(1000000))", (n,))
        over, rounds, at = threading.Event(), [0], list[int]()

        def writes() -> None:
            while not over.is_set():
                rounds[0] += 1
                with engines.writing(venue.store.engine) as connection:
                    connection.exec_driver_sql("UPDATE ballast SET round = ?", (rounds[0],))

        other = threading.Thread(target=writes)

        def page(done: int, total: int) -> None:
            at.append(rounds[0])
            if len(at) == 1:
                other.start()
            waited = rounds[0]
            while rounds[0] < waited + 2 and len(at) < 4:  # so that something was committed between two steps
                pass

        def too_long() -> None:
            raise AssertionError("it begins anew at each commit")

        timer = threading.Timer(60, too_long)
        timer.start()
        try:
            backup.backup(venue, backup.DATA, tmp_path / "copy", page)
        finally:
            over.set()
            timer.cancel()
            other.join()
        assert at[-1] > at[0] + 1, "nobody wrote meanwhile"
        assert len(at) < 20
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert len(copy.execute("SELECT DISTINCT round FROM ballast").fetchall()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "zoo"]


@pytest.mark.parametrize(("which", "code"), [
    ("data", "file-exists"), ("keys", "file-exists"), ("both", "backup-which")])
def test_a_backup_replaces_nothing(
        home: tuple[Path, SetClock], tmp_path: Path, which: str, code: str) -> None:
    folder, clock = home
    (tmp_path / "copy").write_bytes(b"of last week")
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    with open_venue(folder, clock) as venue:
        before = state_of(folder)
        assert code_of(lambda: backup.backup(venue, which, tmp_path / "copy")) == code
        assert (tmp_path / "copy").read_bytes() == b"of last week"
        assert code_of(lambda: backup.backup(venue, which, tmp_path / "dangling")) == code
        assert not (tmp_path / "elsewhere").exists()
        assert code_of(lambda: backup.backup(venue, "data", tmp_path / "no" / "copy")) == "backup-unwritable"
        assert state_of(folder) == before  # the log tells of no backup that there is not


def test_a_backup_changes_nothing_and_is_the_owners(home: tuple[Path, SetClock], tmp_path: Path) -> None:
    folder, clock = home
    with open_venue(folder, clock) as venue:
        before, told = state_but_log(folder), len(clear_events(folder))
        for which, name in ((backup.KEYS, KEYS), (backup.DATA, DATA)):
            backup.backup(venue, which, tmp_path / which)
            assert (tmp_path / which).stat().st_mode & 0o777 == 0o600
            for table in support.tables_of(folder / name):  # the event that tells of it is in the copy, too
                assert rows_of(tmp_path / which, table) == rows_of(folder / name, table)
        assert state_but_log(folder) == before
    assert [(event.type, event.body) for event in clear_events(folder)[told:]] == [
        ("backup", {"store": "keys"}), ("backup", {"store": "data"})]


# -- examine: nothing is changed before it is sure


def test_what_would_be_lost_is_counted(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, _clock = home
    before = state_of(folder)
    events = len(rows_of(folder / DATA, "event")) - len(rows_of(town.data, "event"))
    assert examine(folder, Copies(data=town.data)) == Loss(len(town.new), events)
    assert examine(folder, Copies()) == Loss(0, 0)
    assert state_of(folder) == before
    assert not list(folder.glob("*.restored*"))


def test_an_older_key_store_is_refused_with_what_it_would_do(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    before = state_of(folder)
    for act in (lambda: examine(folder, Copies(keys=town.keys)),
                lambda: restored(folder, clock, Copies(keys=town.keys)),
                lambda: restored(folder, clock, Copies(town.data, town.keys))):
        error = refused(act)
        assert error.code == "restore-older"
        # Each newcomer has two keys, of their record and their face; of each who left later one was destroyed.
        assert "lacks 6 of its keys" in error.sentence
        assert "3 destroyed ones would come back" in error.sentence
    assert state_of(folder) == before


def test_a_copy_of_an_epoch_that_is_over_is_refused(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
    (folder / KEYS).unlink()
    before = bytes_of(folder)
    error = refused(lambda: restored(folder, clock, Copies(keys=town.keys)))
    assert error.code == "restore-epoch"
    assert "epoch 1" in error.sentence
    assert bytes_of(folder) == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(8_192 + 3, len(data), 4_096):  # in the head of each page but the first two
        data[at] ^= 0xFF
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This is the backup of last week.\n" * 100)


def another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE song (title TEXT)")


@pytest.mark.parametrize("spoil", [cut, short, flipped, empty, text, another_database])
@pytest.mark.parametrize("which", ["data", "keys"])
def test_a_damaged_copy_is_refused(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, which: str, spoil: Callable[[Path], None]) -> None:
    folder, clock = home
    (folder / KEYS).unlink() if which == "keys" else None
    copy = Path(shutil.copyfile(town.data if which == "data" else town.keys, tmp_path / "copy"))
    spoil(copy)
    before, bytes_before = bytes_of(folder), copy.read_bytes()
    copies = Copies(data=copy) if which == "data" else Copies(keys=copy)
    for act in (lambda: examine(folder, copies), lambda: restored(folder, clock, copies)):
        assert code_of(act) == "backup-damaged"
    assert bytes_of(folder) == before
    assert copy.read_bytes() == bytes_before
    assert list(tmp_path.glob("copy-*")) == []


def test_a_copy_of_the_other_store_is_refused(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, _clock = home
    assert code_of(lambda: examine(folder, Copies(data=town.keys))) == "backup-damaged"
    (folder / KEYS).unlink()
    assert code_of(lambda: examine(folder, Copies(keys=town.data))) == "backup-damaged"


@pytest.mark.parametrize("missing", [Path("nowhere/copy"), Path()])
def test_a_copy_that_cannot_be_read_is_said_to_be_so(home: tuple[Path, SetClock], missing: Path) -> None:
    folder, _clock = home
    assert code_of(lambda: examine(folder, Copies(data=missing))) == "backup-unreadable"
    assert not list(folder.glob("*.restored*"))


def test_where_one_of_two_copies_is_bad_neither_is_left_lying(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path) -> None:
    folder, _clock = home
    before = bytes_of(folder)
    assert code_of(lambda: examine(folder, Copies(town.data, tmp_path / "nowhere"))) == "backup-unreadable"
    assert bytes_of(folder) == before


def test_another_venues_data_is_refused(town: Town, home: tuple[Path, SetClock], tmp_path: Path) -> None:
    folder, clock = home
    other = make_venue(tmp_path / "other", name="Other Zoo")
    with open_venue(other) as venue:
        backup.backup(venue, backup.DATA, tmp_path / "copy")
    before = state_of(folder)
    assert code_of(lambda: restored(folder, clock, Copies(data=tmp_path / "copy"))) == "backup-other-venue"
    assert state_of(folder) == before


def test_another_venues_keys_open_nothing(town: Town, home: tuple[Path, SetClock], tmp_path: Path) -> None:
    folder, clock = home
    other = make_venue(tmp_path / "other", name="Other Zoo")
    with open_venue(other) as venue:
        enrolled(venue)
        backup.backup(venue, backup.KEYS, tmp_path / "copy")
    (folder / KEYS).unlink()
    before = bytes_of(folder)
    assert code_of(lambda: restored(folder, clock, Copies(keys=tmp_path / "copy"))) in {
        "backup-other-venue", "backup-damaged"}
    assert bytes_of(folder) == before


def test_a_restore_needs_the_folder_alone(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    with open_venue(folder, clock) as venue:
        before = state_of(folder)
        for act in (lambda: examine(folder, Copies(data=town.data)), lambda: restored(folder, clock, Copies()),
                    lambda: restored(folder, clock, Copies(data=town.data))):
            assert code_of(act) == "store-busy"
        assert state_of(folder) == before
        assert admitted(venue, town.living[0])


def test_whoever_opens_the_venue_during_a_restore_gets_the_new_stores(
        town: Town, home: tuple[Path, SetClock], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the files that were there when they began to wait, which have no name any more."""
    folder, clock = home
    put, opened = restore._put, list[str]()

    def opens() -> None:
        with open_venue(folder, clock) as venue:
            opened.extend(path for path in (str(Path(f"/proc/self/fd/{fd}").resolve()) for fd in _descriptors())
                          if "deleted" in path and str(folder) in path)
            opened.append(f"{len(venue.keys.ids())} keys")
            venue.keys.make([custody.nobody()])

    other = threading.Thread(target=opens)

    def putting(where: Path, beside: Copies) -> None:
        other.start()
        other.join(0.5)  # it waits for the folder by now
        put(where, beside)

    monkeypatch.setattr(restore, "_put", putting)
    restored(folder, clock, Copies(data=town.data))
    other.join(10)
    keys = len(rows_of(folder / KEYS, "wrapped_key"))
    assert opened == [f"{keys - 1} keys"]  # and the one that it made is in the file that counts


def _descriptors() -> list[str]:
    return [path.name for path in Path("/proc/self/fd").iterdir()]


# -- restore: everybody is asked again, nobody who left is back


@pytest.mark.promise(2)
@pytest.mark.parametrize("which", ["data", "both"])
def test_after_a_restore_everybody_is_asked_again(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, which: str) -> None:
    way = custody.Restoring(town, which)
    folder, clock = way.prepared(tmp_path / "lost")
    clock.move(MINUTE)
    done = restored(folder, clock, way.copies)
    assert (done.asked_again, done.epoch) == (6, 2)
    assert (done.unopened, done.erased) == (3, 0)  # what is lost with the data: those who came since
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        assert let_in(venue, town.everybody) == set()
        for one in town.living[:4]:
            assert code_of(lambda one=one: support.comes_back(venue, one.pass_text, one.face)) == "consent-ask-again"
        assert venue.galleries.exact(SEARCH).owners == ()
        for one in town.living:
            assert support.other_lane(venue, one.pass_text) == one.name
        says_yes_again(venue, town.living[:1])
        assert let_in(venue, town.everybody) == names(town.living[:1])
        says_yes_again(venue, town.living[1:])
        assert let_in(venue, town.everybody) == names(town.living)
        assert len(venue.galleries.exact(SEARCH).owners) == 2
        assert opened_by_attacker(folder, town.everybody, town.data, town.keys) == names(town.living)
        assert zombies(venue) == set()


@pytest.mark.promise(2)
def test_where_only_the_keys_are_put_back_nobody_is_asked_again(town: Town, tmp_path: Path) -> None:
    """The data store stayed, and log and third place say that it lacks nothing: it knows who withdrew."""
    way = custody.Restoring(town, "keys")
    folder, clock = way.prepared(tmp_path / "lost")
    clock.move(MINUTE)
    done = restored(folder, clock, way.copies)
    assert (done.asked_again, done.epoch, done.log) == (0, 2, Replayed(0, anew=False))
    assert (done.unopened, done.erased) == (0, 3)  # what the keys that are lost would open
    assert clear_events(folder)[-1].type == "epoch"
    assert [event.body for event in clear_events(folder) if event.type == "restored"] == [{"asked_again": False}]
    with open_venue(folder, clock) as venue:
        assert let_in(venue, town.everybody) == names(town.living)
        assert opened_by_attacker(folder, town.everybody, town.data, town.keys) == names(town.living)
        assert zombies(venue) == set()


def without_what_was_signed(town: Town, folder: Path) -> None:
    (folder / "log.signed").unlink()


def with_an_entry_changed(town: Town, folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATA)) as connection, connection:
        connection.execute("UPDATE event SET entry = CAST(x'00' || randomblob(32) AS BLOB) WHERE event_id = 20")


def with_older_data(town: Town, folder: Path) -> None:
    shutil.copyfile(town.data, folder / DATA)


def with_a_restore_begun(town: Town, folder: Path) -> None:
    restore._third(folder, None).gone.restoring()


@pytest.mark.promise(2)
@pytest.mark.parametrize("spoil", [
    without_what_was_signed, with_an_entry_changed, with_older_data, with_a_restore_begun])
def test_with_the_keys_put_back_everybody_is_asked_where_the_data_may_be_older(
        town: Town, tmp_path: Path, spoil: Callable[[Town, Path], None]) -> None:
    way = custody.Restoring(town, "keys")
    folder, clock = way.prepared(tmp_path / "lost")
    spoil(town, folder)
    clock.move(MINUTE)
    done = restored(folder, clock, way.copies)
    assert (done.asked_again, done.epoch) == (6, 2)
    assert done.log.anew == (spoil in {without_what_was_signed, with_an_entry_changed})
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        assert let_in(venue, town.everybody) == set()
        says_yes_again(venue, town.living[:2])
        assert let_in(venue, town.everybody) == names(town.living[:2])


@pytest.mark.promise(2)
@pytest.mark.parametrize("group", ["early", "later", "new"])
def test_whoever_is_not_there_after_a_restore_may_enrol_again(
        town: Town, home: tuple[Path, SetClock], group: str) -> None:
    folder, clock = home
    restored(folder, clock, Copies(data=town.data))
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        for one in getattr(town, group):
            again = enrol.enrol(venue, one.name, one.purpose, support.says_yes(venue, one.purpose),
                                support.picture(one.face), support.as_written)
            if one.purpose != SEARCH:
                assert support.comes_back(venue, again.pass_text, one.face).outcome.value == "admit"
                assert code_of(lambda one=one: support.comes_back(venue, one.pass_text, one.face)) == "pass-unknown"


@pytest.mark.promise(2)
def test_an_erased_person_is_not_on_record_after_a_restore(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    ada = town.living[0]
    with open_venue(folder, clock) as venue:
        withdraw.erase(venue, ada.person)
    done = restored(folder, clock, Copies(data=town.data))
    assert done.erased == 1
    for table in ("person", "consent", "template", "issued_pass"):
        assert not [row for row in rows_of(folder / DATA, table) if ada.person in row], table


@pytest.mark.promise(2)
def test_a_notice_that_was_replaced_stays_replaced_or_nobody_is_compared(
        town: Town, home: tuple[Path, SetClock]) -> None:
    """The old notice comes back with the data; whoever agreed to it is asked all the same."""
    folder, clock = home
    with open_venue(folder, clock) as venue, venue.store.write() as unit:
        texts = {k: v + " More." for k, v in notices.in_force(unit, VERIFY).texts.items()}
        notices.publish(unit, venue.venue_id, VERIFY, texts)
    restored(folder, clock, Copies(data=town.data))
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        assert let_in(venue, town.living) == set()


def test_a_restore_ends_what_a_copy_was_in_the_middle_of(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies made while somebody enrols, and while somebody withdraws."""
    folder, clock = home
    with open_venue(folder, clock) as venue:
        go_live, destroy = enrol._go_live, venue.keys.destroy

        def copied_first(*arguments: object) -> object:
            backup.backup(venue, backup.DATA, tmp_path / "data")
            return go_live(*arguments)  # type: ignore[arg-type]  # as it was called

        with monkeypatch.context() as patch:
            patch.setattr(enrol, "_go_live", copied_first)
            enrolled(venue, "p20", 20)

        def copied_before(keys: list[str]) -> None:
            if not (tmp_path / "later").exists():
                backup.backup(venue, backup.DATA, tmp_path / "later")
            destroy(keys)  # type: ignore[arg-type]  # as it was called

        monkeypatch.setattr(venue.keys, "destroy", copied_before)
        withdraw.withdraw(venue, town.living[0].person, VERIFY)
    for name in ("data", "later"):
        restored(folder, clock, Copies(data=tmp_path / name))
        assert rows_of(folder / DATA, "intent") == []
        clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        says_yes_again(venue, town.living[1:])
        assert let_in(venue, town.living) == names(town.living[1:])
        assert zombies(venue) == set()


def test_keys_of_an_epoch_that_ended_do_not_stay_as_zombies(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy made in the middle of a rotation holds keys of both epochs."""
    from countenance.vault.keys import rotation

    folder, clock = home
    monkeypatch.setattr(rotation, "_PART", rotation._PART.limit(4))
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue, lambda done, _all: backup.backup(venue, backup.KEYS, tmp_path / "keys")
                      if not (tmp_path / "keys").exists() else None)
    assert {row[3] for row in rows_of(tmp_path / "keys", "wrapped_key")} == {1, 2}
    (folder / KEYS).unlink()
    done = restored(folder, clock, Copies(keys=tmp_path / "keys"))
    assert done.asked_again + done.unopened <= len(town.living + town.new)
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        assert zombies(venue) == set()
        assert venue.keys.check() == len(venue.keys.ids())
        assert {row[3] for row in rows_of(folder / KEYS, "wrapped_key")} == {3}


# -- stores put back by hand


def by_hand(town: Town, folder: Path, which: str) -> None:
    if which in {"data", "both"}:
        shutil.copyfile(town.data, folder / DATA)
    if which in {"keys", "both"}:
        shutil.copyfile(town.keys, folder / KEYS)


def spoilt(folder: Path, how: str) -> None:
    path = folder / "gone.list"
    if how == "deleted":
        path.unlink()
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "damaged":
        path.write_bytes(path.read_bytes().replace(b"key", b"kez"))


@pytest.mark.promise(2)
@pytest.mark.parametrize(("which", "how"), [
    *((which, "") for which in ("data", "keys", "both", "neither")),
    *(("both", how) for how in ("deleted", "emptied", "damaged")), ("neither", "deleted"), ("keys", "damaged")])
def test_stores_put_back_by_hand_are_noticed_and_settled(
        town: Town, home: tuple[Path, SetClock], which: str, how: str) -> None:
    folder, clock = home
    by_hand(town, folder, which)
    spoilt(folder, how)
    if (which, how) == ("neither", ""):
        with open_venue(folder, clock) as venue:
            venue.require_stores()
            assert admitted(venue, town.living[0])
        return
    expected = {"": "store-restored", "deleted": "gone-missing"}.get(how, "gone-malformed")
    with open_venue(folder, clock) as venue:
        assert code_of(venue.require_stores) == expected
        assert let_in(venue, town.everybody) == set()
        assert code_of(lambda: sweep.sweep(venue)) == expected
        assert support.other_lane(venue, town.living[0].pass_text) == town.living[0].name
    done = restored(folder, clock, Copies())
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        venue.require_stores()
        says_yes_again(venue, town.living[:3] if not how else ())
        back = town.living if which == "keys" else town.living[:3]  # whose data stayed, and are whole
        assert let_in(venue, town.everybody) == (names(back) if not how else set())
        assert opened_by_attacker(folder, town.gone, town.data, town.keys) == set()
        assert zombies(venue) == set()
        assert (venue.keys.ids(FACE, PASS) == frozenset()) == bool(how)  # nobody can say which may not come back
        assert done.epoch == 2


@pytest.mark.promise(2)
def test_the_older_data_are_still_noticed_after_as_many_withdrawals(town: Town, home: tuple[Path, SetClock]) -> None:
    """Whoever withdraws from the store that was put back moves its count; that makes it no newer."""
    folder, clock = home
    by_hand(town, folder, "data")
    with open_venue(folder, clock) as venue:
        for one in town.living[:4]:
            withdraw.withdraw(venue, one.person, one.purpose)
    with open_venue(folder, clock) as venue:
        assert code_of(venue.require_stores) == "store-restored"
        assert let_in(venue, town.everybody) == set()
    restored(folder, clock, Copies())
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        says_yes_again(venue, town.living[4:])
        assert let_in(venue, town.everybody) == names(town.living[4:])


def test_a_key_store_of_an_epoch_that_is_over_is_noticed(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
    right = shutil.copyfile(folder / KEYS, folder.with_name("right"))
    by_hand(town, folder, "keys")
    with open_venue(folder, clock) as venue:
        assert code_of(venue.require_stores) == "store-restored"
    assert code_of(lambda: restored(folder, clock, Copies())) == "restore-epoch"  # it would be everybody's end
    shutil.copyfile(right, folder / KEYS)
    with open_venue(folder, clock) as venue:
        assert let_in(venue, town.everybody) == names(town.living + town.new)


def test_data_without_the_newest_people_are_noticed_before_their_keys_are_left_behind(
        folder: Path, tmp_path: Path, clock: SetClock) -> None:
    """Nothing has ended since the copy. The right store may follow, and needs those keys."""
    with open_venue(folder, clock) as venue:
        enrolled(venue)
        backup.backup(venue, backup.DATA, tmp_path / "data")
        ben = enrolled(venue, "ben", 2)
    shutil.copyfile(folder / DATA, tmp_path / "right")
    shutil.copyfile(tmp_path / "data", folder / DATA)
    clock.move(7 * DAY)
    with open_venue(folder, clock) as venue, suppress(CountenanceError):
        sweep.sweep(venue)
    shutil.copyfile(tmp_path / "right", folder / DATA)
    with open_venue(folder, clock) as venue:
        with suppress(CountenanceError):
            sweep.sweep(venue)
        assert support.comes_back(venue, ben.pass_text, 2).outcome.value == "admit"


# -- the list for gates


@pytest.mark.promise(2)
def test_after_a_restore_a_withdrawal_waits_for_gates_with_a_list_from_before(
        town: Town, home: tuple[Path, SetClock]) -> None:
    """The copy does not know that they were handed one, nor how far the lists' numbers had come."""
    from countenance.flows import revocations

    folder, clock = home
    with open_venue(folder, clock) as venue:
        handed = revocations.publish(venue, "north")
        revocations.acknowledge(venue, "north", handed.text)
    restored(folder, clock, Copies(data=town.data))
    with open_venue(folder, clock) as venue:
        one = town.living[0]
        done = withdraw.withdraw(venue, one.person, one.purpose)
        assert done.final == "final_by"
        assert done.final_by == handed.good_until
        with suppress(CountenanceError):
            revocations.acknowledge(venue, "north", handed.text)  # which does not name who withdrew just now
        with venue.store.read() as unit:
            assert revocations.final_by(unit) == handed.good_until


# -- drill


@pytest.fixture
def drillable(home: tuple[Path, SetClock], tmp_path: Path) -> tuple[Path, SetClock, Path]:
    """A venue with a copy of its epoch elsewhere."""
    folder, clock = home
    there = tmp_path / "elsewhere"
    there.mkdir()
    file = folder / "venue.toml"
    file.write_text(file.read_text("utf-8").replace('offsite = ""', f'offsite = "{there}"'), "utf-8")
    with open_venue(folder, clock) as venue:
        venue.keys.place.epochs.copy_offsite()
    return folder, clock, there


def of_the_keys(folder: Path) -> dict[str, str]:
    """Every file that a rehearsal may not touch, by its bytes; of the data store see `state_but_log`."""
    return {name: digest for name, digest in bytes_of(folder).items()
            if not name.endswith(("-wal", "-shm")) and name != DATA}


def test_a_drill_finds_the_venue_in_order_and_leaves_nothing(
        town: Town, drillable: tuple[Path, SetClock, Path]) -> None:
    folder, clock, there = drillable
    with open_venue(folder, clock) as venue:
        before, state, away = of_the_keys(folder), state_but_log(folder), bytes_of(there)
        told = len(clear_events(folder))
        done = drill.drill(venue)
        assert (done.asked_again, done.gone) == (9, 6)
        assert done.keys == len(rows_of(folder / KEYS, "wrapped_key"))
        assert (of_the_keys(folder), state_but_log(folder), bytes_of(there)) == (before, state, away)
    assert of_the_keys(folder) == before
    assert clear_events(folder)[told:] == []  # its copies were destroyed at once


@pytest.mark.parametrize("spelt", ['offsite="{}"', '  offsite = "{}"', "offsite  =  '{}'", 'offsite = "{}"  # ours'])
def test_a_drill_leaves_the_copy_elsewhere_alone_however_it_is_spelt(
        drillable: tuple[Path, SetClock, Path], spelt: str) -> None:
    folder, clock, there = drillable
    file = folder / "venue.toml"
    lines = [spelt.format(there) if line.startswith("offsite") else line for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines) + "\n")
    assert settings.load(folder).offsite == str(there)
    before = bytes_of(there)
    with open_venue(folder, clock) as venue:
        with suppress(StoreFault):
            drill.drill(venue)
        assert bytes_of(there) == before
        venue.keys.place.epochs.require_offsite()


class Stop(Exception):  # no error of ours
    """Whatever else may happen."""


@pytest.mark.parametrize("stage", ["copy", "restore", "_looked"])
@pytest.mark.parametrize("error", [OSError(28, "full"), StoreFault("store-full", "Full."), Stop(), KeyboardInterrupt()],
                         ids=lambda error: type(error).__name__)
def test_a_drill_that_fails_leaves_nothing_behind(
        drillable: tuple[Path, SetClock, Path], monkeypatch: pytest.MonkeyPatch, stage: str,
        error: BaseException) -> None:
    folder, clock, there = drillable

    def fails(*_arguments: object, **_more: object) -> None:
        raise error

    with open_venue(folder, clock) as venue:
        before, state, away = of_the_keys(folder), state_but_log(folder), bytes_of(there)
        monkeypatch.setattr(drill.backup if stage == "copy" else drill, stage, fails)
        with pytest.raises(StoreFault if isinstance(error, OSError) else type(error)):
            drill.drill(venue)
        assert (of_the_keys(folder), state_but_log(folder), bytes_of(there)) == (before, state, away)


DRILLED = 50


def test_a_drill_has_so_many_effects(
        drillable: tuple[Path, SetClock, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, clock, _there = drillable
    faults = custody.Deaths(0, BEFORE, dies=True, folder=folder, left=tmp_path / "left")
    with open_venue(folder, clock) as venue, faults.armed(monkeypatch):
        drill.drill(venue)
    assert len(faults.seen) == DRILLED, faults.seen


@pytest.mark.promise(2)
@pytest.mark.parametrize(("at", "when"), [(at, BEFORE) for at in range(1, DRILLED + 1, 6)] + [(DRILLED, AFTER)])
def test_a_drill_that_died_leaves_nothing_that_opens_an_old_copy(
        town: Town, drillable: tuple[Path, SetClock, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        at: int, when: str) -> None:
    """Somebody else has the venue open all along, so that nobody who opens it may recover; then it rotates."""
    folder, clock, _there = drillable
    faults = custody.Deaths(at, when, dies=True, folder=folder, left=tmp_path / "left")
    with open_venue(folder, clock) as venue, faults.armed(monkeypatch), pytest.raises(Crash):
        drill.drill(venue)
    left = tmp_path / "left"
    monkeypatch.setattr(recover, "recover", lambda venue: None)
    with moved_in(left / "lock") as tenancy:
        tenancy.share()
        with open_venue(left, clock) as venue:
            venue.require_stores()
            assert opened_by_attacker(left, town.gone) == set()
            rotate.rotate(venue)
            assert opened_by_attacker(left, town.everybody, town.keys, town.data) == names(town.living + town.new)
    with open_venue(left, clock) as venue:
        assert not (left / ".drill").exists()
        venue.keys.place.epochs.require_offsite()


def test_a_rehearsal_notices_a_key_that_does_not_open(
        town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    with open_venue(folder, clock) as venue:
        with engines.writing(venue.keys.engine) as connection:
            connection.exec_driver_sql("UPDATE wrapped_key SET wrapped = zeroblob(60) WHERE kind = 'record'")
        assert code_of(lambda: drill.drill(venue)) == "key-altered"
        assert not (folder / ".drill").exists()


def test_a_rotation_gives_up_on_a_key_that_it_cannot_move(venue: Venue) -> None:
    """Not without end: a row that no walk through the table comes by."""
    pad.pad(venue, SEARCH, 2)
    with engines.writing(venue.keys.engine) as connection:
        connection.exec_driver_sql("INSERT INTO wrapped_key SELECT '', kind, binding, epoch, wrapped, made_at "
                                   "FROM wrapped_key LIMIT 1")
    assert code_of(lambda: venue.keys.rotate(venue.keys.ids)) == "store-corrupt"
