"""What is published is whole at every moment, verifies for strangers, and is mended where a file of it is lost."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from countenance import durable
from countenance.clock import SetClock
from countenance.errors import StoreFault
from countenance.flows import log
from countenance.flows.venue import Venue
from countenance.formats import checkpoints, signed_note, tiles
from countenance.formats.checkpoints import Checkpoint
from countenance.quantities import MINUTE
from countenance.transparency import mirror
from countenance.transparency.publish import FOLDER
from countenance.verifier import files
from support.filled_log import alter, entries_of, fill, require_whole
from support.venue import bytes_of, make_venue, open_venue


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(StoreFault) as caught:
        act()
    return caught.value.code


def tell(venue: Venue) -> None:
    with venue.store.write() as unit:
        unit.tell("zone", {"zone": "mine"})


def later(venue: Venue) -> None:
    assert isinstance(venue.clock, SetClock)
    venue.clock.move(venue.settings.log_minutes * MINUTE)


def again(venue: Venue, size: int = 0) -> log.Published:
    """Publish at the next moment at which that is due; first fill up to `size`."""
    fill(venue, size)
    later(venue)
    return log.publish(venue)


def of(venue: Venue) -> Path:
    return venue.folder / FOLDER


def standing_in(venue: Venue) -> Checkpoint | None:
    note = venue.log.published()
    return None if note is None else checkpoints.parse(note)


def verdict(venue: Venue) -> str | None:
    return str(files.verify(of(venue), log.trust(venue)).value()["code"] or "") or None


def test_nothing_appears_before_its_time(venue: Venue) -> None:
    first = log.publish(venue)
    assert (first.anew, standing_in(venue)) == (True, venue.log.sign()[0])
    before = bytes_of(of(venue))
    tell(venue)
    for _ in range(2):
        between = log.publish(venue)
        assert (between.anew, between.size, between.next_at) == (False, first.size, first.next_at)
        assert bytes_of(of(venue)) == before
        assert isinstance(venue.clock, SetClock)
        venue.clock.move((first.next_at - venue.clock.now()) - 1)
    venue.clock.move(1)
    assert log.publish(venue).anew
    assert standing_in(venue) == venue.log.sign()[0]
    assert venue.clock.now() % (venue.settings.log_minutes * MINUTE) == 0


def test_a_clock_that_was_set_back_publishes_nothing_before_its_time(venue: Venue) -> None:
    log.publish(venue)
    assert isinstance(venue.clock, SetClock)
    venue.clock.move(-10 * MINUTE)
    tell(venue)
    assert not log.publish(venue).anew


@pytest.mark.parametrize("size", [255, 256, 257, 512, 513])
def test_strangers_read_what_is_published(venue: Venue, folder: Path, size: int) -> None:
    assert again(venue, size).size == size
    require_whole(venue)
    report = files.verify(of(venue), log.trust(venue))
    assert report.verdict == "verified"
    with mirror.opened(str(of(venue))) as files_:
        note = signed_note.parse(mirror.checkpoint(files_))
        assert checkpoints.parse(note) == venue.log.sign()[0]
        assert mirror.origin(files_) == venue.log.key().name
        found = [entry for number in range(-(-size // 256))
                 for entry in mirror.bundle(files_, number, min(256, size - 256 * number))]
        assert found == entries_of(folder)
        for level, last, width in tiles.widths(size):
            assert len(mirror.tile(files_, level, last, width)) == width


def test_full_tiles_are_written_once_and_partial_ones_are_tidied(
        venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    again(venue, 300)
    written: list[str] = []
    write = durable.write

    def noted(path: Path, data: bytes, *mode: int) -> None:
        written.append(str(path.relative_to(venue.folder)))
        write(path, data, *mode)

    monkeypatch.setattr(durable, "write", noted)
    again(venue, 310)
    assert [one for one in written if one.startswith("log/")] == [
        "log/tile/entries/001.p/54", "log/tile/0/001.p/54", "log/tile/1/000.p/1", "log/checkpoint"]
    assert partials(venue) == {"0/001.p/54", "1/000.p/1", "entries/001.p/54"}
    again(venue, 512)
    assert partials(venue) == {"1/000.p/2"}
    again(venue, 600)
    assert partials(venue) == {"0/002.p/88", "1/000.p/2", "entries/002.p/88"}
    assert [one for one in written if one in {"log/tile/0/000", "log/tile/entries/000"}] == []
    require_whole(venue)


def partials(venue: Venue) -> set[str]:
    tile = of(venue) / "tile"
    return {str(path.relative_to(tile)) for path in tile.rglob("*") if path.is_file() and ".p" in path.parent.name}


@pytest.mark.parametrize(("path", "how", "code"), [
    ("tile/0/000", "missing", "tile-missing"), ("tile/0/000", "short", "tile-short"),
    ("tile/0/000", "flipped", "tile-altered"), ("tile/entries/000", "missing", "bundle-missing"),
    ("tile/entries/000", "short", "bundle-short"), ("tile/entries/001", "flipped", "tile-altered"),
    ("tile/1/000.p/2", "missing", "tile-missing"), ("tile/1/000.p/2", "short", "tile-short"),
    ("tile/1/000.p/2", "flipped", "tile-altered"), ("tile/0/002.p/88", "flipped", "tile-altered"),
    ("tile/entries/002.p/88", "missing", "bundle-missing"), ("checkpoint", "flipped", "signature-wrong"),
])
def test_a_file_that_is_damaged_is_told_and_mended(venue: Venue, path: str, how: str, code: str) -> None:
    again(venue, 600)
    before = bytes_of(of(venue))
    file, data = of(venue) / path, (of(venue) / path).read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "short":
        file.write_bytes(data[:-1])
    else:
        at = len(data) - 20
        letter = b"B" if data[at:at + 1] == b"A" else b"A"
        file.write_bytes(data[:at] + letter + data[at + 1:])
    assert verdict(venue) == code
    file.unlink(missing_ok=True)
    later(venue)
    log.publish(venue)
    assert bytes_of(of(venue)) == before
    require_whole(venue)


def test_a_flipped_entry_is_told(venue: Venue) -> None:
    again(venue, 600)
    file = of(venue) / "tile/entries/000"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert verdict(venue) == "tile-altered"


class Cut(BaseException):
    """The process is gone."""


def test_a_crash_between_any_two_files_leaves_a_folder_that_verifies(
        venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again(venue, 300)
    fill(venue, 700)
    later(venue)
    standing = standing_in(venue)
    write = durable.write
    shutil.copytree(of(venue), tmp_path / "standing")
    for at in range(1, 20):
        left = [at]
        shutil.rmtree(of(venue))
        shutil.copytree(tmp_path / "standing", of(venue))

        def dying(path: Path, data: bytes, *mode: int, left: list[int] = left) -> None:
            if path.is_relative_to(of(venue)):
                left[0] -= 1
                if left[0] == 0:
                    path.with_name(path.name + ".new").write_bytes(data[:1])
                    raise Cut
            write(path, data, *mode)

        with monkeypatch.context() as patch:
            patch.setattr(durable, "write", dying)
            try:
                log.publish(venue)
            except Cut:
                assert standing_in(venue) == standing
                assert verdict(venue) is None
                continue
        break
    assert at == 7  # bundles and tiles 1 and 2, tile 1/000, the checkpoint: 6 places to die, all passed
    assert standing_in(venue) == venue.log.sign()[0]
    require_whole(venue)
    again(venue)
    assert not list(of(venue).rglob("*.new"))


def test_the_checkpoint_comes_last(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    again(venue, 300)
    fill(venue, 520)
    later(venue)
    write = durable.write
    order: list[str] = []

    def noted(path: Path, data: bytes, *mode: int) -> None:
        order.append(path.name)
        write(path, data, *mode)

    monkeypatch.setattr(durable, "write", noted)
    log.publish(venue)
    assert order[0] == "log.signed"
    assert order[-1] == "checkpoint"


@pytest.mark.parametrize(("fault", "code"), [(errno.ENOSPC, "store-full"), (errno.EACCES, "store-io")])
def test_without_room_what_was_published_stands(
        venue: Venue, monkeypatch: pytest.MonkeyPatch, fault: int, code: str) -> None:
    again(venue, 300)
    fill(venue, 600)
    later(venue)
    standing, write = standing_in(venue), durable.write

    def full(path: Path, data: bytes, *mode: int) -> None:
        if path.is_relative_to(of(venue)):
            raise OSError(fault, "No.")
        write(path, data, *mode)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", full)
        assert code_of(lambda: log.publish(venue)) == code
    assert standing_in(venue) == standing
    assert verdict(venue) is None
    assert log.publish(venue).size == 600  # in the same interval: it was not done yet
    require_whole(venue)


def test_a_folder_of_another_log_is_refused(venue: Venue, tmp_path: Path) -> None:
    again(venue)
    with open_venue(make_venue(tmp_path / "other")) as other:
        shutil.copytree(of(venue), of(other))
        before = bytes_of(of(other))
        assert code_of(lambda: log.publish(other)) == "log-other"
        assert bytes_of(of(other)) == before


def test_a_checkpoint_that_is_ahead_is_not_replaced(venue: Venue, folder: Path) -> None:
    again(venue, 300)
    alter(folder, "DELETE FROM event WHERE event_id = 300")
    alter(folder, "UPDATE log SET size = 299")
    (folder / "log.signed").unlink()
    alter(folder, "DELETE FROM mark WHERE name = 'signed'")
    later(venue)
    before = bytes_of(of(venue))
    assert code_of(lambda: log.publish(venue)) == "log-behind"
    assert code_of(lambda: log.verify(venue)) == "log-behind"
    assert bytes_of(of(venue)) == before


@pytest.mark.parametrize("which", ["signed", "published"])
def test_verifying_looks_at_what_was_signed_and_at_what_is_published_for_itself(
        venue: Venue, folder: Path, which: str) -> None:
    """Also where both are of one size."""
    again(venue, 300)
    found = require_whole(venue)
    assert found.size == found.signed == found.published == 300
    path = folder / "log.signed" if which == "signed" else of(venue) / "checkpoint"
    note = signed_note.parse((of(venue) / "checkpoint").read_text("utf-8"))
    text = checkpoints.Checkpoint(venue.log.key().name, 300, bytes(32)).text
    forged = signed_note.Note(text, (signed_note.sign(text, venue.log.key().name, venue.signer("log").key),))
    path.write_bytes(path.read_bytes().replace(note.encode().encode(), forged.encode().encode()))
    assert code_of(lambda: log.verify(venue)) == ("log-forked" if which == "signed" else "log-published-other")


def test_two_who_publish_at_once_put_no_older_checkpoint_over_a_newer(venue: Venue, folder: Path) -> None:
    again(venue, 300)
    later(venue)
    faults: list[BaseException] = []
    with open_venue(folder, venue.clock) as other:  # type: ignore[arg-type]  # a SetClock, as in `later`
        def publish(one: Venue) -> None:
            try:
                for _ in range(5):
                    tell(one)
                    log.publish(one)
            except BaseException as fault:  # noqa: BLE001  # looked at below
                faults.append(fault)

        threads = [threading.Thread(target=publish, args=(one,)) for one in (venue, other, venue, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert faults == []
    require_whole(venue)
