"""What somebody can do with a copy, with the files of a venue, or with a rehearsal of a restore that was killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance import settings
from countenance.clock import SetClock
from countenance.errors import CountenanceError
from countenance.flows import backup, drill, restore, revocations, rotate, withdraw
from countenance.flows.restore import Copies, Loss, examine
from countenance.formats import log_entries, signed_note
from countenance.formats.signed_note import WITNESS
from countenance.quantities import DAY, Instant
from countenance.storage import engine as engines
from countenance.vault.keys import signing
from support import custody
from support.custody import Town, let_in, names, opened_by_attacker, restored, says_yes_again
from support.venue import VERIFY, bytes_of, count, make_venue, open_venue, rows_of

MINUTE = 60
DATA, KEYS = "countenance.db", "keys.db"
TESTS = Path(__file__).resolve().parents[1]


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
    folder, clock = town.moved_to(tmp_path / "zoo")
    clock.move(MINUTE)
    return folder, clock


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    assert caught.value.sentence.endswith(".")
    return caught.value.code


def sql(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def put_by_hand(copy: Path, place: Path) -> None:
    for log in ("-wal", "-shm"):
        place.with_name(place.name + log).unlink(missing_ok=True)
    shutil.copyfile(copy, place)


# -- a rehearsal that is killed

KILLED = """
import os, signal, sys
from pathlib import Path
from countenance.clock import SetClock
from countenance.flows import drill
from support.venue import open_venue
if sys.argv[3] == "before":
    drill.restore = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
else:
    drill._looked = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
with open_venue(Path(sys.argv[1]), SetClock(int(sys.argv[2]))) as venue:
    drill.drill(venue)
"""


def killed_drill(folder: Path, clock: SetClock, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(clock.now()), when], cwd=TESTS, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.promise(2)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_killed_drill_leaves_opens_nothing_once_keys_have_rotated(
        town: Town, home: tuple[Path, SetClock], when: str) -> None:
    """A gate has the venue open all along, so that nobody recovers."""
    folder, clock = home
    ada = town.living[0]
    with open_venue(folder, clock):
        killed_drill(folder, clock, when)
        left = shutil.copytree(folder / ".drill", folder.parent / "left")
        assert (left / "keys.copy").exists()
        assert (left / "epoch.key").exists()
        with open_venue(folder, clock) as venue:
            withdraw.withdraw(venue, ada.person, ada.purpose)
            rotate.rotate(venue)
        assert opened_by_attacker(folder, town.everybody, left) == names(town.living + town.new) - {ada.name}
        real = (town.folder / "epoch.key").read_bytes()
        (left / "epoch.key").write_bytes(real)  # what it would be under the venue's own root
        assert ada.name in opened_by_attacker(folder, town.everybody, left)


def test_the_scratch_folder_has_no_signing_key_of_the_venue(
        home: tuple[Path, SetClock], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, clock = home
    seen = list[set[bytes]]()
    looked = drill._looked

    def looks(*arguments: object) -> tuple[int, int]:
        seen.append({path.read_bytes() for path in (folder / ".drill").rglob("*.key")})
        return looked(*arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(drill, "_looked", looks)
    with open_venue(folder, clock) as venue:
        drill.drill(venue)
    ours = {path.read_bytes() for path in folder.rglob("*.key")}
    assert len(seen[0]) == len(signing.USES) + 1 == 6  # and the epoch's
    assert len(ours) == 7
    assert seen[0] & ours == set()


def test_what_a_killed_drill_left_is_discarded_by_the_next_and_on_demand(home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    with open_venue(folder, clock) as venue:
        for end in (lambda: drill.drill(venue), lambda: drill.discard_stale(folder)):
            killed_drill(folder, clock, "before")
            (folder / ".drill" / "deep").mkdir()
            end()
            assert not (folder / ".drill").exists()
        drill.discard_stale(folder)


def test_a_second_drill_is_refused_and_leaves_the_first_alone(
        home: tuple[Path, SetClock], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, clock = home
    looked, codes = drill._looked, list[str]()
    with open_venue(folder, clock) as venue, open_venue(folder, clock) as other:
        def looks(*arguments: object) -> tuple[int, int]:
            codes.append(code_of(lambda: drill.drill(other)))
            drill.discard_stale(folder)
            return looked(*arguments)  # type: ignore[arg-type]  # handed through

        monkeypatch.setattr(drill, "_looked", looks)
        assert drill.drill(venue).keys > 0
    assert codes == ["drill-running"]
    assert not (folder / ".drill").exists()


@pytest.mark.parametrize("spelt", [
    'offsite="{}"', '"offsite" = "{}"', "  offsite = '{}'", 'offsite = """{}"""', '"off\\u0073ite" = "{}"'])
def test_a_drill_never_sees_the_copy_elsewhere(
        home: tuple[Path, SetClock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelt: str) -> None:
    folder, clock = home
    there = tmp_path / "away"
    there.mkdir()
    file = folder / "venue.toml"
    lines = [spelt.format(there) if line.startswith("offsite") else line for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines).replace('name = "Test Zoo"', r'name = "Zoo \u007f \\ \" 动物园 🦁"') + "\n")
    assert settings.load(folder).offsite == str(there)
    looked, told = drill._looked, list[str]()

    def looks(*arguments: object) -> tuple[int, int]:
        told.append((folder / ".drill" / "venue.toml").read_text())
        return looked(*arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(drill, "_looked", looks)
    with open_venue(folder, clock) as venue:
        venue.keys.place.epochs.copy_offsite()
        before = bytes_of(there)
        drill.drill(venue)
        assert bytes_of(there) == before
        venue.keys.place.epochs.require_offsite()
    assert "Zoo" in told[0]
    assert str(there) not in told[0]


def test_a_drill_asks_no_witness(home: tuple[Path, SetClock], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it signs is signed by a key of its own, of which no witness has heard."""
    folder, clock = home
    key = signed_note.key_of(Ed25519PrivateKey.from_private_bytes(b"w" * 32), "witness.invalid/one", WITNESS).text
    file = folder / "venue.toml"
    file.write_text(file.read_text("utf-8").replace("witnesses = []", f'witnesses = ["http://127.0.0.1:9 {key}"]'))
    looked, told = drill._looked, list[tuple[str, ...]]()

    def looks(*arguments: object) -> tuple[int, int]:
        told.append(settings.load(folder / ".drill").witnesses)
        return looked(*arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(drill, "_looked", looks)
    with open_venue(folder, clock) as venue:
        assert len(venue.witnesses()) == 1
        drill.drill(venue)
    assert told == [()]


# -- what a restore in place would lose


def test_keys_of_an_epoch_that_is_over_are_refused_in_place_too(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
    right = shutil.copy(folder / KEYS, folder.parent / "right")
    put_by_hand(town.keys, folder / KEYS)
    people = count(folder, "person")
    assert code_of(lambda: examine(folder, Copies(), clock)) == "restore-epoch"
    assert code_of(lambda: restored(folder, clock, Copies())) == "restore-epoch"
    assert code_of(lambda: restored(folder, clock, Copies(data=town.data))) == "restore-epoch"
    assert count(folder, "person") == people
    put_by_hand(right, folder / KEYS)
    assert restored(folder, clock, Copies()).erased == 0


def test_people_and_faces_without_a_key_are_counted_before_and_then_lost(
        town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    assert examine(folder, Copies(), clock) == Loss(0, 0)
    put_by_hand(town.keys, folder / KEYS)  # of the epoch in force, but older than the newcomers
    loss = examine(folder, Copies(), clock)
    assert loss == Loss(0, 0, len(town.new), len(town.new))
    done = restored(folder, clock, Copies())
    assert done.erased == loss.records
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        says_yes_again(venue, town.living)
        assert let_in(venue, town.living) == names(town.living)


def test_where_the_list_of_what_is_gone_is_lost_every_face_is_counted(town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    (folder / "gone.list").unlink()
    loss = examine(folder, Copies(), clock)
    assert loss == Loss(0, 0, 0, len(town.living + town.new))
    assert restored(folder, clock, Copies()).unopened == loss.faces


# -- crafted copies

FIRST = "UPDATE event SET entry = ? WHERE event_id = (SELECT min(event_id) FROM event)"


def _entry(body: dict[str, object]) -> str:
    """Return the hex of an entry in its right form; `body` is not that of a founding."""
    return log_entries.clear("venue-founded", Instant(1_782_000_000), body).hex()


def mark(name: str, at: object) -> str:
    return f"INSERT OR REPLACE INTO mark VALUES ('{name}', {at})"  # noqa: S608  # of this file's own


DATA_CRAFTS = {
    "trigger": ["CREATE TRIGGER t AFTER UPDATE ON mark WHEN NEW.name = 'asked_from' AND NEW.at > 0 "
                "BEGIN UPDATE mark SET at = 0 WHERE name = 'asked_from'; END"],
    "hidden trigger": ["CREATE TRIGGER t AFTER INSERT ON mark BEGIN DELETE FROM person; END",
                       "PRAGMA writable_schema=ON",
                       "UPDATE sqlite_master SET name = 'sqlite_t' WHERE name = 't'"],
    "view": ["CREATE VIEW v AS SELECT 1"],
    "endless view": ["DROP TABLE alembic_version", "CREATE VIEW alembic_version AS WITH RECURSIVE n(version_num) AS "
                     "(SELECT 1 UNION ALL SELECT 1 FROM n) SELECT max(version_num) AS version_num FROM n"],
    "table": ["CREATE TABLE more (a TEXT)"],
    "index": ["CREATE INDEX more ON person (household)"],
    "column": ["ALTER TABLE person ADD COLUMN more TEXT"],
    "default": ["PRAGMA writable_schema=ON", "UPDATE sqlite_master SET sql = replace(sql, 'at\" INTEGER NOT NULL', "
                "'at\" INTEGER NOT NULL DEFAULT 0'), sql = replace(sql, 'at INTEGER NOT NULL', "
                "'at INTEGER NOT NULL DEFAULT 0') WHERE name = 'mark'"],
    **{f"no {table}": ["PRAGMA foreign_keys=OFF", f"DROP TABLE {table}"]
       for table in ("intent", "person", "consent", "gallery", "mark", "lease")},
    "no index": ["DROP INDEX pass_person"],
    "two versions": ["INSERT INTO alembic_version VALUES ('0000')"],
    "no version": ["DELETE FROM alembic_version"],
    "text for a number": ["UPDATE person SET delete_at = 'never'"],
    "blob for a text": ["UPDATE consent SET state = X'00'"],
    "nothing": ["PRAGMA writable_schema=ON", "DELETE FROM sqlite_master"],
    **{f"first event {entry}": [FIRST.replace("?", entry)]
       for entry in ("X'01'", "X'00'", "7", "'text'", "X''", "X'0180'", "X'A16464626F6479F6'", "X'01A16464626F6479A0'",
                     *(f"X'{_entry(body)}'" for body in ({}, {"venue": 1}, {"venue": b"x"}, {"other": "x"})))},
    **{f"mark {name} {at}": [mark(name, at)] for name, at in (
        ("forward", 10**15), ("forward", 2**63 - 1), ("time", 10**11), ("swept", 10**11), ("asked_from", 10**11),
        ("rotate_by", 10**11), ("forward", "'x'"), ("forward", "X'00'"), ("list", 2**63 - 1), ("epoch", "'x'"),
        ("erased", 10**13), ("time", -1), ("other", 1), ("swept", 1.5))},
}

KEY_CRAFTS = {
    "trigger": ["CREATE TRIGGER t AFTER DELETE ON wrapped_key BEGIN INSERT INTO wrapped_key VALUES "
                "(OLD.key_id, OLD.kind, OLD.binding, OLD.epoch, OLD.wrapped, OLD.made_at); END"],
    "no keys": ["DROP TABLE wrapped_key"],
    "a table with row ids": ["ALTER TABLE wrapped_key RENAME TO w", "CREATE TABLE wrapped_key AS SELECT * FROM w",
                             "DROP TABLE w"],
    "epoch": ["UPDATE wrapped_key SET epoch = 'one'"],
}


@pytest.mark.promise(2)
@pytest.mark.parametrize("craft", DATA_CRAFTS)
def test_a_crafted_copy_of_the_data_is_refused_and_nothing_is_changed(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, craft: str) -> None:
    folder, clock = home
    copy = Path(shutil.copyfile(town.data, tmp_path / "copy"))
    sql(copy, *DATA_CRAFTS[craft])
    assert copy.read_bytes() != town.data.read_bytes()
    before = bytes_of(folder)
    assert code_of(lambda: examine(folder, Copies(data=copy), clock)) == "backup-damaged"
    assert code_of(lambda: restored(folder, clock, Copies(data=copy))) == "backup-damaged"
    assert bytes_of(folder) == before


@pytest.mark.promise(2)
@pytest.mark.parametrize("craft", KEY_CRAFTS)
def test_a_crafted_copy_of_the_keys_is_refused_and_nothing_is_changed(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, craft: str) -> None:
    folder, clock = home
    (folder / KEYS).unlink()
    copy = Path(shutil.copyfile(town.keys, tmp_path / "copy"))
    sql(copy, *KEY_CRAFTS[craft])
    before = bytes_of(folder)
    assert code_of(lambda: restored(folder, clock, Copies(keys=copy))) == "backup-damaged"
    assert bytes_of(folder) == before


@pytest.mark.promise(2)
@pytest.mark.parametrize("which", ["data", "keys"])
def test_a_crafted_store_that_was_put_back_by_hand_is_refused(
        home: tuple[Path, SetClock], which: str) -> None:
    folder, clock = home
    place = folder / (DATA if which == "data" else KEYS)
    sql(place, *(DATA_CRAFTS if which == "data" else KEY_CRAFTS)["trigger"])
    assert code_of(lambda: examine(folder, Copies(), clock)) == "store-altered"
    gone = (folder / "gone.list").read_bytes()
    assert code_of(lambda: restored(folder, clock, Copies())) == "store-altered"
    assert (folder / "gone.list").read_bytes() == gone


def test_a_copy_whose_people_cannot_be_read_is_no_copy_without_loss(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path) -> None:
    folder, clock = home
    copy = Path(shutil.copyfile(town.data, tmp_path / "copy"))
    sql(copy, "PRAGMA foreign_keys=OFF", "DROP TABLE person")
    assert code_of(lambda: examine(folder, Copies(data=copy), clock)) == "backup-damaged"


def test_keys_that_do_not_open_are_refused_before_anything_is_changed(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path) -> None:
    folder, clock = home
    (folder / KEYS).unlink()
    copy = Path(shutil.copyfile(town.keys, tmp_path / "copy"))
    sql(copy, "UPDATE wrapped_key SET wrapped = zeroblob(60) WHERE kind = 'record'")
    before = bytes_of(folder)
    assert code_of(lambda: restored(folder, clock, Copies(keys=copy))) == "key-altered"
    assert bytes_of(folder) == before


def test_a_database_made_by_the_migrations_is_as_they_make_it(tmp_path: Path) -> None:
    """After a rewriting, too."""
    folder = make_venue(tmp_path / "zoo")
    clock = SetClock(Instant(1_782_000_000))
    with open_venue(folder, clock) as venue:
        for engine in (venue.store.engine, venue.keys.engine):
            engines.rewrite(engine)
    assert examine(folder, Copies(), clock) == Loss(0, 0)


# -- marks, lists and gates


def marks(folder: Path) -> dict[str, int]:
    return {str(name): int(at) for name, at in rows_of(folder / DATA, "mark")}


@pytest.mark.parametrize(("swept", "expected"), [(-3 * DAY, -3 * DAY), (DAY - 10, 0), (None, 0)])
def test_a_sweep_of_long_ago_stays_one_and_none_is_yet_to_come(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, swept: int | None, expected: int) -> None:
    folder, clock = home
    copy = Path(shutil.copyfile(town.data, tmp_path / "copy"))
    sql(copy, "DELETE FROM mark WHERE name = 'swept'",
        *([mark("swept", clock.now() + swept)] if swept is not None else []))
    restored(folder, clock, Copies(data=copy))
    assert marks(folder)["swept"] == clock.now() + expected


@pytest.mark.promise(2)
def test_a_list_from_before_a_restore_acknowledges_nothing_that_came_after_it(
        town: Town, home: tuple[Path, SetClock]) -> None:
    folder, clock = home
    ada = next(one for one in town.living if one.purpose == VERIFY)
    with open_venue(folder, clock) as venue:
        for one in (two for two in town.living + town.new if two != ada):
            withdraw.withdraw(venue, one.person, one.purpose)  # the numbers of lists grow
        handed = revocations.publish(venue, "north")
    clock.move(1)
    restored(folder, clock, Copies(data=town.data))
    clock.move(1)
    with open_venue(folder, clock) as venue:
        leased = clock.now() - 1 + settings.load(folder).lease_minutes * MINUTE
        done = withdraw.withdraw(venue, ada.person, ada.purpose)
        assert done.final_by == leased, "the north gate still goes by its list, of which this store does not know"
        assert code_of(lambda: revocations.acknowledge(venue, "north", handed.text)) == "gate-unknown"
        again = revocations.publish(venue, "north")
        assert again.number > handed.number
        revocations.acknowledge(venue, "north", handed.text)
        with venue.store.read() as unit:
            assert revocations.final_by(unit) is not None
    clock.move(2 * DAY)
    with open_venue(folder, clock) as venue, venue.store.read() as unit:
        assert revocations.final_by(unit) is None


# -- what is no file


def test_a_pipe_a_device_and_a_folder_are_no_copies(home: tuple[Path, SetClock], tmp_path: Path) -> None:
    folder, clock = home
    os.mkfifo(tmp_path / "pipe")
    before = bytes_of(folder)
    signal.alarm(20)
    try:
        for copy in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
            assert code_of(lambda copy=copy: examine(folder, Copies(data=copy), clock)) == "backup-unreadable"
    finally:
        signal.alarm(0)
    assert bytes_of(folder) == before


def test_an_interruption_while_copying_leaves_no_copy(
        town: Town, home: tuple[Path, SetClock], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, clock = home
    real = shutil.copyfileobj

    def stops(source: object, out: object) -> None:
        real(source, out)  # type: ignore[arg-type]  # handed through
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", stops)
    with pytest.raises(KeyboardInterrupt):
        restore.examine(folder, Copies(town.data), clock)
    assert not list(folder.glob("*.restored*"))


def test_a_backup_is_a_copy_that_is_taken(home: tuple[Path, SetClock], tmp_path: Path) -> None:
    """The counterpart of all these refusals."""
    folder, clock = home
    with open_venue(folder, clock) as venue:
        backup.backup(venue, backup.DATA, tmp_path / "data")
        backup.backup(venue, backup.KEYS, tmp_path / "keys")
    for name in (DATA, KEYS):
        (folder / name).unlink()
    assert examine(folder, Copies(tmp_path / "data", tmp_path / "keys"), clock) == Loss(0, 0)
    assert restored(folder, clock, Copies(tmp_path / "data", tmp_path / "keys")).erased == 0


@pytest.mark.parametrize(("thousandths", "taken"), [(1_500, True), (0, True), (-1, False), (100_001, False)])
def test_what_a_gallery_learnt_comes_back_with_a_copy_within_reason(
        town: Town, home: tuple[Path, SetClock], tmp_path: Path, thousandths: int, taken: bool) -> None:
    folder, clock = home
    copy = Path(shutil.copyfile(town.data, tmp_path / "copy"))
    sql(copy, mark("stricter/entry.search", thousandths))
    if taken:
        restored(folder, clock, Copies(data=copy))
        assert marks(folder)["stricter/entry.search"] == thousandths
    else:
        assert code_of(lambda: examine(folder, Copies(data=copy), clock)) == "backup-damaged"
