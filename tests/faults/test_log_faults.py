"""A venue that dies, runs out of room or loses its power at any write leaves a log that verifies.

No entry that was acknowledged is lost, no checkpoint that was handed out is, and no two were ever handed out for one
size. What counts as handed out is what a call returned, or what lies in the published folder. Each story's writes are
asserted, so that none slips past these loops.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from countenance import durable
from countenance.clock import SetClock
from countenance.errors import CountenanceError, Refused
from countenance.flows import backup, log, replay
from countenance.flows.restore import Copies
from countenance.flows.venue import Venue
from countenance.formats import checkpoints, signed_note
from countenance.formats.signed_note import Note
from countenance.quantities import MINUTE, PersonId
from countenance.storage.outbox import Entry
from countenance.storage.together import _Ticket
from countenance.storage.unit import Unit
from countenance.transparency.publish import FOLDER
from countenance.transparency.tree import Tree
from support import custody
from support.custody import restored
from support.faults import AFTER, BEFORE, Crash, Faults
from support.filled_log import entries_of, fill, require_whole
from support.powercut import Recorder, recorded
from support.venue import START, copy_of, enrolled, open_venue

FILLED = 254
"""Entries before the story: a tile becomes full in it."""


@dataclass
class Given:
    """What a story has handed out: entries that it called durable, and signed checkpoints."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def require(self, venue: Venue) -> None:
        """Require that a venue still has all of it, and says nothing else now."""
        found, note = venue.log.sign()
        by_size: dict[int, set[bytes]] = {}
        self.notes.append(note)
        with venue.store.read() as unit:
            tree = Tree(unit.connection)
            for one in map(checkpoints.parse, self.notes):
                by_size.setdefault(one.size, set()).add(one.root)
                if one.origin == found.origin:
                    assert one.size <= tree.size, "a checkpoint is lost"
                    assert tree.root(one.size) == one.root, "another history"
        assert all(len(roots) == 1 for roots in by_size.values()), "two checkpoints for one size"
        rows = dict(enumerate(entries_of(venue.folder), 1))
        for entry in self.entries:
            assert rows.get(entry.row) == b"\x00" + entry.leaf, "an acknowledged entry is lost"
        venue.log.prove(self.entries)
        require_whole(venue)


@dataclass
class Home:
    """A venue with one person in it, whose log is published, and will be again."""

    folder: Path
    person: PersonId
    clock: SetClock
    given: Given
    copy: Path

    def moved_to(self, folder: Path) -> Home:
        given = Given(list(self.given.entries), list(self.given.notes))
        return Home(Path(shutil.copytree(self.folder, folder)), self.person, SetClock(self.clock.now()), given,
                    self.copy)


@pytest.fixture(scope="module")
def home(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    place = tmp_path_factory.mktemp("log")
    folder, clock, given = Path(shutil.copytree(founded, place / "zoo")), SetClock(START), Given()
    with pytest.MonkeyPatch.context() as patch:
        custody.unsynced(patch)
        with open_venue(folder, clock) as venue:
            person = enrolled(venue).person
            fill(venue, 200)
            log.publish(venue)
            backup.backup(venue, backup.DATA, place / "data")
            fill(venue, FILLED)
            given.notes.append(venue.log.sign()[1])
            clock.move(venue.settings.log_minutes * MINUTE)
    return Home(folder, person, clock, given, place / "data")


def decides(venue: Venue, home: Home) -> None:
    with venue.store.write() as unit:
        entries = [unit.tell_of(home.person, "decision", {"which": number}) for number in range(3)]
    home.given.entries += entries


def together(venue: Venue, home: Home) -> None:
    """Two groups of threads that share a transaction, with one in each that fails; as their leader runs them."""
    def fails(unit: Unit) -> None:
        unit.tell_of(home.person, "decision", {"failed": True})
        raise Refused("stop", "Stop.")

    for number in range(2):
        group = [_Ticket(job) for job in (decision(home, number), fails, decision(home, number))]
        venue.store._together._waiting += group
        venue.store._together._lead()
        home.given.entries += [ticket.value for ticket in group if ticket.error is None]


def decision(home: Home, number: int) -> Callable[[Unit], Entry]:
    return lambda unit: unit.tell_of(home.person, "decision", {"which": number})


def signs(venue: Venue, home: Home) -> None:
    home.given.notes.append(venue.log.sign()[1])
    decides(venue, home)
    home.given.notes.append(venue.log.sign()[1])


def publishes(venue: Venue, home: Home) -> None:
    decides(venue, home)
    log.publish(venue)


Story = Callable[[Venue, Home], None]
WRITE = "commit countenance.db"
STORIES: dict[Story, list[str]] = {
    decides: [WRITE],
    together: [WRITE] * 2,
    signs: [WRITE, "write log.signed"],
    publishes: [WRITE, "write log.signed", "write 000", "write 000", "write 1", "write 1", "write 1",
                "write checkpoint", WRITE],
}


def published_note(folder: Path) -> list[Note]:
    path = folder / FOLDER / "checkpoint"
    return [signed_note.parse(path.read_text("utf-8"))] if path.exists() else []


def run(home: Home, story: Story, faults: Faults, monkeypatch: pytest.MonkeyPatch, left: Path) -> Path:
    """Run a story with a fault in it; return the folder as it is left. What was handed out before stays handed out."""
    with open_venue(home.folder, home.clock) as venue:
        with faults.armed(monkeypatch), suppress(Crash, CountenanceError, OSError):
            story(venue, home)
        home.given.notes += published_note(home.folder)
        if faults.dies:
            return copy_of(home.folder, left)
    return home.folder


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_story_of_the_log_has_these_writes(
        home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: Story) -> None:
    custody.unsynced(monkeypatch)
    here = home.moved_to(tmp_path / "zoo")
    faults = Faults(0, BEFORE, dies=True)
    run(here, story, faults, monkeypatch, tmp_path / "left")
    assert faults.seen == STORIES[story]


@pytest.mark.promise(5)
@pytest.mark.parametrize("dies", [True, False], ids=["dies", "fails"])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize(("story", "at"), [
    (story, at) for story, writes in STORIES.items() for at in range(1, len(writes) + 1)],
    ids=lambda value: getattr(value, "__name__", str(value)))
def test_wherever_it_goes_wrong_the_log_is_in_order(
        home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: Story, at: int, when: str,
        dies: bool) -> None:
    custody.unsynced(monkeypatch)
    here = home.moved_to(tmp_path / "zoo")
    faults = Faults(at, when, dies=dies)
    left = run(here, story, faults, monkeypatch, tmp_path / "left")
    assert faults.struck
    with open_venue(left, here.clock) as venue:
        here.given.require(venue)
        story(venue, here)  # and it goes on
        here.given.notes += published_note(left)
        here.given.require(venue)


# -- a restore


def replays(folder: Path, home: Home) -> None:
    restored(folder, home.clock, Copies(data=home.copy))


REPLAY = [WRITE]
"""Of its own; what a restore does besides: tests/faults/test_keys_and_copies.py."""


@pytest.mark.promise(5)
@pytest.mark.parametrize("signed", ["as it is", "unreadable"])
@pytest.mark.parametrize("dies", [True, False], ids=["dies", "fails"])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_replay_that_went_wrong_is_done_again(
        home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, dies: bool, signed: str) -> None:
    custody.unsynced(monkeypatch)
    here = home.moved_to(tmp_path / "zoo")
    if signed == "unreadable":
        (here.folder / "log.signed").write_bytes(b"noise")
    faults, real = Faults(1, when, dies=dies), replay.replay

    def faulty(*arguments: object) -> replay.Replayed:
        with faults.armed(monkeypatch):
            return real(*arguments)  # type: ignore[arg-type]  # as it was called

    with monkeypatch.context() as patch:
        patch.setattr(replay, "replay", faulty)
        with suppress(Crash, CountenanceError):
            replays(here.folder, here)
    assert faults.seen[:1] == REPLAY
    assert faults.struck
    left = copy_of(here.folder, tmp_path / "left")
    replays(left, here)
    with open_venue(left, here.clock) as venue:
        assert venue.log.key().name.endswith("/log") == (signed == "as it is")
        if signed == "unreadable":
            assert not (left / FOLDER).exists()  # it was moved away, and is kept
            assert list((left / FOLDER).parent.glob("log.1/checkpoint"))
        here.given.require(venue)


# -- power cuts


@pytest.fixture
def recording(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Story], Recorder]]:
    here = home.moved_to(tmp_path / "zoo")

    def record(story: Story) -> Recorder:
        with open_venue(here.folder, here.clock) as venue:
            return recorded(here.folder, lambda: story(venue, here), monkeypatch)

    yield record


def cut_everywhere(recorder: Recorder, home: Home, tmp_path: Path,
                   enough: Callable[[list[str]], bool] = lambda _bad: False) -> tuple[int, list[str]]:
    """Open the folder as each cut leaves it; what was handed out before the story must be there.

    Where bad states are looked for, the first that are `enough` end it.
    """
    bad: list[str] = []
    number = 0
    with pytest.MonkeyPatch.context() as patch:
        custody.unsynced(patch)
        for number, cut in enumerate(recorder.cuts(), 1):
            folder = cut.disk.put(tmp_path / f"cut{number}")
            try:
                given = Given(list(home.given.entries), [*home.given.notes, *published_note(folder)])
                with open_venue(folder, SetClock(home.clock.now())) as venue:
                    given.require(venue)
                    publishes(venue, Home(folder, home.person, home.clock, given, home.copy))
                    given.require(venue)
            except (AssertionError, CountenanceError, OSError) as error:
                bad.append(f"{cut.told}: {error}")
            shutil.rmtree(folder)
            if enough(bad):
                break
    return number, bad


@pytest.mark.promise(5)
@pytest.mark.parametrize("story", [signs, publishes], ids=lambda story: story.__name__)
def test_a_log_survives_a_power_cut(
        recording: Callable[[Story], Recorder], home: Home, tmp_path: Path, story: Story) -> None:
    recorder = recording(story)
    _disk, loose = recorder.durable(len(recorder.ops))
    assert [str(op) for op in loose if op.kind != "unlinked" and not op.name.endswith("-wal")
            and "lock" not in op.name and "publishing" not in op.name] == []
    number, bad = cut_everywhere(recorder, home, tmp_path)
    assert bad == []
    assert number >= 5


def test_the_simulator_finds_a_log_that_does_not_sync(
        recording: Callable[[Story], Recorder], home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsynced(path: Path, data: bytes, mode: int = durable.SHARED) -> None:
        path.with_name(path.name + ".new").write_bytes(data)
        path.with_name(path.name + ".new").replace(path)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", unsynced)
        recorder = recording(publishes)
    def enough(bad: list[str]) -> bool:
        return any("log.signed) cannot be read" in one for one in bad)

    assert enough(cut_everywhere(recorder, home, tmp_path, enough)[1])
