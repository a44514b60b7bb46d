"""The power goes, at any moment of a story, and any part of what was not yet synced is lost or there without the rest.

Each state is built as a folder, opened, and asked what tests/faults/test_keys_and_copies.py asks: nobody who withdrew
comes back, nobody living is lost. First the simulator shows that it finds a missing sync.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from countenance import durable
from countenance.clock import SetClock
from countenance.errors import CountenanceError
from countenance.flows import replace, rotate, withdraw
from countenance.flows.restore import Copies
from countenance.quantities import KeyId
from countenance.storage import engine as engines
from countenance.vault.keys.gone import GoneList
from support import custody
from support.custody import (
    Restoring,
    Town,
    let_in,
    names,
    opened_by_attacker,
    require_restored,
    restored,
    waits_for_a_restore,
    zombies,
)
from support.powercut import BLOCK, Cut, Recorder, recorded
from support.venue import KEYED, SEARCH, VERIFY, as_written, open_venue

MINUTE = 60
LINE = len("key \n") + 32


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    with pytest.MonkeyPatch.context() as patch:
        custody.unsynced(patch)
        return custody.build(tmp_path_factory.mktemp("town"))


def survives(cuts: Iterable[Cut], tmp_path: Path, check: Callable[[Path, int], None],
             enough: str = "") -> tuple[int, list[str]]:
    """Build every state, look at it, and return how many there were and which were bad.

    Where bad ones are looked for, one that says `enough` is.
    """
    bad: list[str] = []
    number = 0
    with pytest.MonkeyPatch.context() as patch:
        custody.unsynced(patch)  # the recording is over
        for number, cut in enumerate(cuts, 1):
            folder = cut.disk.put(tmp_path / f"cut{number}")
            try:
                check(folder, number)
            except (AssertionError, CountenanceError, OSError) as error:
                bad.append(f"{cut.told}: {error}")
            shutil.rmtree(folder)
            if enough and bad and enough in bad[-1]:
                break
    return number, bad


def nothing_unsynced(recorder: Recorder) -> None:
    """What a story says is done is on the disk."""
    _disk, loose = recorder.durable(len(recorder.ops))
    assert [str(op) for op in loose if not op.name.endswith("-wal")] == []


# -- rotate


def rotating(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    folder, clock = town.moved_to(tmp_path / "zoo")
    with open_venue(folder, clock) as venue:
        return recorded(folder, lambda: rotate.rotate(venue), monkeypatch)


def rotated(town: Town) -> Callable[[Path, int], None]:
    here = town.living + town.new

    def check(folder: Path, number: int) -> None:
        with open_venue(folder, SetClock(town.now)) as venue:
            venue.require_stores()
            some = [here[number % len(here)], *town.gone]
            assert let_in(venue, some) == {some[0].name}, "at the gate"
            rotate.rotate(venue)
            assert zombies(venue) == set()
            assert opened_by_attacker(folder, town.everybody, town.keys) == names(here), "on the disk"

    return check


@pytest.mark.promise(2)
def test_a_rotation_survives_a_power_cut(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = rotating(town, tmp_path, monkeypatch)
    nothing_unsynced(recorder)
    number, bad = survives(recorder.cuts(), tmp_path, rotated(town))
    assert bad == []
    assert number >= 10


def write_without_syncing_the_file(path: Path, data: bytes, mode: int = durable.SHARED) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    beside.chmod(mode)
    beside.replace(path)
    durable._sync_folder(path.parent)


def append_without_syncing(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize(("function", "poor"), [
    ("write", write_without_syncing_the_file), ("_sync_folder", lambda folder: None)])
def test_the_simulator_finds_a_rotation_that_does_not_sync(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str,
        poor: Callable[..., None]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(durable, function, poor)
        recorder = rotating(town, tmp_path, patch)
    _number, bad = survives(recorder.cuts(), tmp_path, rotated(town))
    assert any("epoch-malformed" in one or "damaged" in one for one in bad)


# -- withdraw, replace


def ended(town: Town, purpose: str, story: str, tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> tuple[Recorder, Callable[[Path, int], None]]:
    """Return what ending somebody's face did, and what must hold after a cut: also if both stores are put back."""
    folder, clock = town.moved_to(tmp_path / "zoo")
    ada, ben = [one for one in town.living if one.purpose == purpose]
    with open_venue(folder, clock) as venue:
        recorder = recorded(folder, lambda: withdraw.withdraw(venue, ada.person, ada.purpose) if story == "withdraw"
                            else replace.replace(venue, ada.name, as_written), monkeypatch)

    def check(folder: Path, number: int) -> None:
        del number
        with open_venue(folder, clock) as venue:
            venue.require_stores()
            still = let_in(venue, [ada, ben])
            assert ben.name in still, "somebody else is lost"
            assert let_in(venue, town.gone) == set()
            again = opened_by_attacker(folder, town.everybody)
            assert again >= names(town.living + town.new) - {ada.name}
            begun = ada.person not in custody.standing(venue)
            assert not begun or ada.name not in again | still, "they are still here"
        for name in ("countenance.db", "keys.db"):
            shutil.copyfile(town.folder / name, folder / name)
        with open_venue(folder, clock) as venue:
            assert not begun or let_in(venue, [ada]) == set(), "they came back with yesterday's stores"
        if begun:
            restored(folder, clock, Copies())
            assert opened_by_attacker(folder, [ada, *town.gone]) == set(), "a restore brought them back"

    return recorder, check


@pytest.mark.promise(2)
@pytest.mark.parametrize(("purpose", "story"), [
    (VERIFY, "withdraw"), (KEYED, "withdraw"), (SEARCH, "withdraw"), (KEYED, "replace")])
def test_an_end_survives_a_power_cut(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: str, story: str) -> None:
    recorder, check = ended(town, purpose, story, tmp_path, monkeypatch)
    nothing_unsynced(recorder)
    number, bad = survives(recorder.cuts(), tmp_path, check)
    assert bad == []
    assert number >= 6


def test_the_simulator_finds_a_list_that_is_not_synced(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(durable, "append", append_without_syncing)
        recorder, check = ended(town, VERIFY, "withdraw", tmp_path, patch)
    latest = reversed(list(recorder.cuts()))
    _number, bad = survives(latest, tmp_path, check, enough="brought them back")
    assert any("brought them back" in one for one in bad)


@pytest.mark.promise(2)
@pytest.mark.parametrize("more", [1, 3, 300])
@pytest.mark.parametrize("room", [0, 1, 20, 200])
def test_a_long_list_is_never_damaged_by_a_power_cut(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, more: int) -> None:
    """A line that lies in two blocks of the disk may come to have its second half only: every face would be given up.

    `room` is what is left of the first block, in bytes, `more` how many keys are then added at once.
    """
    folder = tmp_path / "third"
    folder.mkdir()
    gone = GoneList(folder / "gone.list")
    gone.begin()
    size = (folder / "gone.list").stat().st_size
    lines = (BLOCK - room - size) // LINE
    gone.add([KeyId(f"{n:032x}") for n in range(lines)])
    gone.note(10 ** ((BLOCK - room - size) % LINE % 8))  # any few bytes
    before, new = gone.read(), [KeyId(f"{n:032x}") for n in range(lines, lines + more)]

    def check(cut: Path, number: int) -> None:
        del number
        found = GoneList(cut / "gone.list").read()
        assert found.count == before.count
        assert found.keys[:lines] == before.keys
        assert set(found.keys) <= set(before.keys) | set(new)

    recorder = recorded(folder, lambda: gone.add(new), monkeypatch)
    nothing_unsynced(recorder)
    _number, bad = survives(recorder.cuts(), tmp_path, check)
    assert bad == []


# -- restore


def with_logs(folder: Path, town: Town, to: Path) -> None:
    """Leave logs beside the stores, as a machine that was switched off does; what they hold is newer than any copy."""
    with open_venue(folder, SetClock(town.now)) as venue:
        withdraw.withdraw(venue, town.new[0].person, town.new[0].purpose)
        venue.keys.make([custody.nobody()])
        shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm"))
    shutil.rmtree(folder)
    to.rename(folder)


WAYS = ["data", "keys", "by hand", "logs left"]
"""The last: both stores are lost, and logs of theirs are there."""

STEP = 10


def some_of(cuts: Iterable[Cut]) -> list[Cut]:
    """Return every state in which a store's files are not all there yet, and one in ten of the others.

    Those are in steps that every way shares, and which tests above go through.
    """
    every = list(cuts)
    return [cut for at, cut in enumerate(every) if at % STEP == 0 or ".db" in cut.unsynced]


def restoring(town: Town, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Recorder, Restoring]:
    way = Restoring(town, "both" if which == "logs left" else which)
    if which == "logs left":
        folder, clock = town.moved_to(tmp_path / "zoo")
        with_logs(folder, town, tmp_path / "with logs")
        assert (folder / "keys.db-wal").stat().st_size > 0
        for name in ("keys.db", "countenance.db"):
            (folder / name).unlink()
    else:
        folder, clock = way.prepared(tmp_path / "zoo")
    return recorded(folder, lambda: restored(folder, clock, way.copies), monkeypatch), way


def brings_nobody_back(town: Town, way: Restoring) -> Callable[[Path, int], None]:
    def check(folder: Path, number: int) -> None:
        clock = SetClock(town.now)
        clock.move(MINUTE)
        waits, whole = True, all((folder / name).exists() for name in ("countenance.db", "keys.db"))
        if whole:
            with open_venue(folder, clock) as venue:
                assert let_in(venue, town.gone) == set(), "at the gate"
                waits = waits_for_a_restore(venue, way)
                put = way.which in {"keys", "by hand"} or not custody.standing(venue) & custody.persons(town.new)
        if waits:
            in_place = whole and put and number % 2 and not venue.in_order
            restored(folder, clock, Copies() if in_place else way.copies)
        clock.move(MINUTE)
        with open_venue(folder, clock) as venue:
            engines.require_whole(venue.keys.engine)
            engines.require_whole(venue.store.engine)
            require_restored(venue, folder, way, [town.living[number % 6]])

    return check


@pytest.mark.promise(2)
@pytest.mark.parametrize("which", WAYS)
def test_a_restore_survives_a_power_cut(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    recorder, way = restoring(town, which, tmp_path, monkeypatch)
    nothing_unsynced(recorder)
    number, bad = survives(some_of(recorder.cuts()), tmp_path, brings_nobody_back(town, way))
    assert bad == []
    assert number >= 15


def test_the_simulator_finds_a_copy_that_is_not_synced(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(durable, "sync", lambda path: None)
        recorder, way = restoring(town, "both", tmp_path, patch)
    swapped = [cut for cut in recorder.cuts() if "renamed" in cut.unsynced]
    _number, bad = survives(swapped, tmp_path, brings_nobody_back(town, way), enough="empty")
    assert any("empty" in one for one in bad)
