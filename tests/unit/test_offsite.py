"""The epoch key is lost: its one copy elsewhere brings everything back, and without it nothing opens.

How a rotation and the copy go together is tests/unit/test_rotation.py, who may write over whom
tests/unit/test_key_attacks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from countenance import settings
from countenance.clock import SetClock
from countenance.errors import CountenanceError
from countenance.flows import rotate
from countenance.flows.restore import Copies, examine
from countenance.vault.keys import roots
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.third import ThirdPlace
from support import custody
from support import venue as support
from support.custody import Town, let_in, names, opened_by_attacker, restored, says_yes_again
from support.faults import BEFORE, Crash
from support.powercut import recorded
from support.venue import bytes_of, open_venue

MINUTE = 60


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    with pytest.MonkeyPatch.context() as patch:
        custody.unsynced(patch)
        return custody.build(tmp_path_factory.mktemp("town"))


@pytest.fixture
def home(town: Town, tmp_path: Path) -> tuple[Path, SetClock, Path]:
    """The town's venue, its clock, and the place of the copy."""
    folder, clock = town.moved_to(tmp_path / "zoo")
    there = tmp_path / "elsewhere"
    there.mkdir()
    name_place(folder, str(there))
    with open_venue(folder, clock) as venue:
        venue.keys.copy_offsite()
    clock.move(MINUTE)
    return folder, clock, there


def name_place(folder: Path, place: str) -> None:
    file = folder / "venue.toml"
    file.write_text(file.read_text("utf-8").replace('offsite = ""', f'offsite = "{place}"'), "utf-8")


def third(folder: Path) -> ThirdPlace:
    here = settings.load(folder)
    return ThirdPlace.of(folder, roots.open_root(here.root, folder), here.offsite)


def refused(act: Callable[[], object]) -> CountenanceError:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value


def opening(folder: Path, clock: SetClock) -> Callable[[], None]:
    def opens() -> None:
        with open_venue(folder, clock):
            pass

    return opens


def test_a_lost_epoch_is_one_sentence_and_its_copy_brings_everybody_back(
        town: Town, home: tuple[Path, SetClock, Path]) -> None:
    folder, clock, there = home
    (folder / "epoch.key").unlink()
    error = refused(opening(folder, clock))
    assert (error.code, error.sentence) == ("epoch-missing", "The epoch key is missing; no face can be opened.")
    assert opened_by_attacker(folder, town.everybody) == set()
    third(folder).epochs.fetch()
    assert (folder / "epoch.key").read_bytes() == (there / "epoch.key").read_bytes()
    assert (folder / "epoch.key").stat().st_mode & 0o777 == 0o600
    with open_venue(folder, clock) as venue:
        assert let_in(venue, town.everybody) == names(town.living + town.new)


@pytest.mark.promise(7)
def test_where_both_are_lost_nothing_opens_and_nothing_is_changed(
        town: Town, home: tuple[Path, SetClock, Path]) -> None:
    folder, clock, there = home
    with open_venue(folder, clock) as venue:
        passes = [one.pass_text for one in town.living]
        assert [support.other_lane(venue, text) for text in passes] == [one.name for one in town.living]
    (folder / "epoch.key").unlink()
    (there / "epoch.key").unlink()
    before = bytes_of(folder)
    for act in (opening(folder, clock), lambda: examine(folder, Copies(data=town.data)),
                lambda: restored(folder, clock, Copies()), lambda: restored(folder, clock, Copies(data=town.data)),
                lambda: restored(folder, clock, Copies(town.data, town.keys))):
        assert refused(act).code == "epoch-missing"
    assert refused(third(folder).epochs.fetch).code == "offsite-missing"
    assert bytes_of(folder) == before
    assert opened_by_attacker(folder, town.everybody, town.keys, town.data) == set()


def test_an_epoch_that_is_lost_in_a_rotation_comes_back_and_the_rotation_goes_on(
        town: Town, home: tuple[Path, SetClock, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, clock, there = home
    faults = custody.Deaths(5, BEFORE, dies=True, folder=folder, left=tmp_path / "left")
    with open_venue(folder, clock) as venue, faults.armed(monkeypatch), pytest.raises(Crash):
        rotate.rotate(venue)
    left = tmp_path / "left"
    (left / "epoch.key").unlink()
    third(left).epochs.fetch()
    with open_venue(left, clock) as venue:
        assert venue.keys.epoch[0] == 2
        assert let_in(venue, town.everybody) == names(town.living + town.new)
        venue.keys.place.epochs.require_offsite()
    assert opened_by_attacker(left, town.everybody, town.keys, there) == names(town.living + town.new)


@pytest.mark.promise(2)
def test_everything_is_lost_but_the_copies_and_the_epoch_elsewhere(
        town: Town, home: tuple[Path, SetClock, Path]) -> None:
    """The disk is gone: both databases, the epoch and the list. Nobody can say who left since, so all enrol again."""
    folder, clock, _there = home
    for name in ("countenance.db", "keys.db", "epoch.key", "gone.list"):
        (folder / name).unlink()
    third(folder).epochs.fetch()
    done = restored(folder, clock, Copies(town.data, town.keys))
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        venue.require_stores()
        assert let_in(venue, town.everybody) == set()
        assert opened_by_attacker(folder, town.everybody, town.data, town.keys) == set()
        again = support.enrolled(venue, town.living[0].name, town.living[0].face)
        assert support.comes_back(venue, again.pass_text, town.living[0].face).outcome.value == "admit"
    assert (done.asked_again, done.unopened) == (0, 9)


@pytest.mark.promise(2)
def test_a_restore_that_cannot_reach_the_copy_compares_nobody_who_left(
        town: Town, home: tuple[Path, SetClock, Path]) -> None:
    """Its last step, the new epoch, waits; old copies open until then, and the gate closes for all."""
    folder, clock, there = home
    there.rename(there.with_name("unplugged"))
    assert refused(lambda: restored(folder, clock, Copies(data=town.data))).code == "offsite-missing"
    clock.move(MINUTE)
    with open_venue(folder, clock) as venue:
        says_yes_again(venue, town.living[:2])
        assert let_in(venue, town.everybody) == set()
        assert opened_by_attacker(folder, town.gone) == set()
    there.with_name("unplugged").rename(there)
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
        assert let_in(venue, town.everybody) == names(town.living[:2])
    assert opened_by_attacker(folder, town.gone, town.data, town.keys, there) == set()


def test_fetching_survives_a_power_cut(
        town: Town, home: tuple[Path, SetClock, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file would be taken for the epoch key, and be in the way of the next attempt."""
    folder, clock, _there = home
    (folder / "epoch.key").unlink()
    recorder = recorded(folder, third(folder).epochs.fetch, monkeypatch)
    custody.unsynced(monkeypatch)
    states = 0
    for states, cut in enumerate(recorder.cuts(), 1):
        left = cut.disk.put(tmp_path / f"cut{states}")
        if not (left / "epoch.key").exists():
            third(left).epochs.fetch()
        with open_venue(left, clock) as venue:
            assert let_in(venue, town.living[:1]) == names(town.living[:1]), cut.told
    assert states >= 4


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"key"),
                                   lambda path: (path.unlink(), path.mkdir())])
def test_a_copy_that_is_none_is_not_fetched(
        home: tuple[Path, SetClock, Path], spoil: Callable[[Path], object]) -> None:
    folder, _clock, there = home
    (folder / "epoch.key").unlink()
    spoil(there / "epoch.key")
    assert refused(third(folder).epochs.fetch).code in {"epoch-malformed", "offsite-missing"}
    assert not (folder / "epoch.key").exists()


def test_a_place_without_a_slash_is_beside_the_settings_wherever_the_program_is_started(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    name_place(folder, "../elsewhere")
    (tmp_path / "elsewhere").mkdir()
    for where in (tmp_path, folder):
        monkeypatch.chdir(where)
        with open_venue(folder, clock) as venue:
            venue.keys.copy_offsite()
            venue.keys.place.epochs.require_offsite()
    assert (tmp_path / "elsewhere" / "epoch.key").read_bytes() == (folder / "epoch.key").read_bytes()


@pytest.mark.promise(2)
def test_copying_during_a_rotation_does_not_bring_the_old_epoch_back(
        town: Town, home: tuple[Path, SetClock, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """`keys copy` in another process has read the file, and is about to write what by then is the old one."""
    import threading

    folder, clock, there = home
    put, waits, goes_on = EpochFile._put_offsite, threading.Event(), threading.Event()

    def putting(self: EpochFile, data: bytes) -> None:
        if threading.current_thread() is other:
            waits.set()
            goes_on.wait(1)
        put(self, data)

    monkeypatch.setattr(EpochFile, "_put_offsite", putting)
    with open_venue(folder, clock) as venue, open_venue(folder, clock) as second:
        other = threading.Thread(target=second.keys.copy_offsite)
        other.start()
        assert waits.wait(10)
        rotate.rotate(venue)
        goes_on.set()
        other.join(10)
        venue.keys.place.epochs.require_offsite()
    assert opened_by_attacker(folder, town.gone, town.keys, there) == set()
