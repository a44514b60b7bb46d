"""A monitor believes what a log signed and what its files give, and names each way in which they differ."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.formats import checkpoints, log_entries, merkle, signed_note, tiles
from countenance.formats.signed_note import WITNESS, NoteKey
from countenance.transparency import mirror
from countenance.transparency.mirror import Folder
from countenance.transparency.monitor import Frontier, Look, Monitor
from support.small_log import ORIGIN, START, SmallLog, entry, private_key

ONE, TWO = "witness.example/one", "witness.example/two"


def witness_key(name: str) -> NoteKey:
    return signed_note.key_of(private_key(name), name, WITNESS)


class Watched:
    """A log, its folder, and somebody outside who watches it."""

    def __init__(self, folder: Path, log: SmallLog) -> None:
        self.log, self.folder, self.state = log, folder / "log", folder / "state"

    def publish(self, size: int, log: SmallLog | None = None) -> None:
        (log or self.log).write(self.folder, size)

    def replace(self, size: int, log: SmallLog) -> None:
        shutil.rmtree(self.folder)
        log.write(self.folder, size)

    def monitor(self, *witnesses: NoteKey, need: int = 0) -> Monitor:
        return Monitor(Folder(self.folder), self.state, [self.log.key], witnesses, need)

    def looks(self, *, again: bool = False) -> Look:
        monitor = self.monitor()
        look = monitor.look(again=again)
        monitor.believe(look)
        return look

    def refused(self, *, again: bool = False) -> CountenanceError:
        """Return why a look did not go well; what is believed stays as it was."""
        before = self.state.read_bytes() if self.state.exists() else None
        with pytest.raises(CountenanceError) as caught:
            self.monitor().look(again=again)
        assert (self.state.read_bytes() if self.state.exists() else None) == before
        return caught.value


@pytest.fixture(scope="module")
def long_log() -> SmallLog:
    return SmallLog.of(700)


@pytest.fixture
def watched(tmp_path: Path, long_log: SmallLog) -> Watched:
    """Watched since it had 300 entries; 700 are published now."""
    found = Watched(tmp_path, long_log)
    found.publish(300)
    found.looks()
    found.publish(700)
    return found


# -- a log that only grew


@pytest.mark.parametrize("sizes", [(0, 1), (1, 2, 3), (255, 256, 257), (256, 512), (5, 300, 300, 700), (700,),
                                   (257, 699)])
def test_what_was_added_is_told_once(tmp_path: Path, long_log: SmallLog, sizes: tuple[int, ...]) -> None:
    watched, before = Watched(tmp_path, long_log), None
    for size in sizes:
        watched.publish(size)
        look = watched.looks()
        new = range(before or 0, size)
        assert look.before == before
        assert [index for index, _entry in look.clear] == [i for i in new if i % 3 == 0]
        assert look.sealed == len([i for i in new if i % 3])
        assert look.believed.checkpoint.root == long_log.root(size)
        before = size
    for index, clear in look.clear:
        assert (clear.type, clear.at, clear.body) == ("purpose", START + index, {"purpose": f"entrance-{index}"})


def test_it_reads_only_what_is_new(watched: Watched) -> None:
    (watched.folder / tiles.path(tiles.ENTRIES, 0)).unlink()
    look = watched.looks()
    assert look.before == 300
    assert watched.refused(again=True).code == "bundle-missing"


def test_everything_can_be_read_again_and_only_the_new_is_told(watched: Watched) -> None:
    assert [i for i, _e in watched.looks(again=True).clear] == [i for i in range(300, 700) if i % 3 == 0]
    assert watched.looks(again=True).clear == ()


def test_a_partial_tile_that_is_gone_is_read_from_the_full_one(tmp_path: Path, long_log: SmallLog) -> None:
    watched = Watched(tmp_path, long_log)
    early, late = long_log.files(300), long_log.files(700)
    upper = "tile/1/000.p/1"
    for path, data in {**late, **{path: early[path] for path in ("checkpoint", upper)}}.items():
        if ".p/" not in path or path == upper:
            (watched.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (watched.folder / path).write_bytes(data)
    assert watched.looks().believed.checkpoint.size == 300


def test_entries_in_no_known_form_are_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path, SmallLog([entry(0), b"\x02hidden", b"", entry(1)]))
    watched.publish(4)
    look = watched.looks()
    assert (look.unreadable, look.sealed, len(look.clear)) == ((1, 2), 1, 1)


def test_a_tree_of_many_levels_is_read_and_its_upper_tiles_are_checked(tmp_path: Path) -> None:
    """65,536 leaves make a full tile on level 1, and so one hash on level 2."""
    size = 65_536 + 300
    log = SmallLog([log_entries.sealed(number.to_bytes(32)) for number in range(size)])
    watched = Watched(tmp_path, log)
    watched.publish(65_000)
    watched.looks()
    watched.publish(size)
    look = watched.looks()
    assert (look.before, look.sealed) == (65_000, 836)
    top = watched.folder / tiles.path(2, 0, 1)
    top.write_bytes(bytes([top.read_bytes()[0] ^ 1]) + top.read_bytes()[1:])
    assert watched.refused(again=True).sentence == "The tile tile/2/000.p/1 is not what its entries give."


# -- a log that did not


def kept(watched: Watched) -> checkpoints.Checkpoint:
    """Return the checkpoint that was kept because it contradicts the state."""
    return checkpoints.read(watched.state.with_name("state.other").read_text(), watched.log.key)[0]


@pytest.mark.parametrize("at", [0, 255, 256, 290, 299])
def test_a_fork_at_the_same_size_is_named(tmp_path: Path, long_log: SmallLog, at: int) -> None:
    watched = Watched(tmp_path, long_log)
    watched.publish(300)
    watched.looks()
    fork = long_log.forked(at, 300 - at)
    watched.replace(300, fork)
    assert watched.refused().code == "log-forked"
    assert (kept(watched).size, kept(watched).root) == (300, fork.root(300))


@pytest.mark.parametrize("at", [0, 255, 256, 290, 299])
@pytest.mark.parametrize("again", [False, True])
def test_a_fork_further_on_is_named(tmp_path: Path, long_log: SmallLog, at: int, again: bool) -> None:
    watched = Watched(tmp_path, long_log)
    watched.publish(300)
    watched.looks()
    fork = long_log.forked(at, 700 - at)
    watched.replace(700, fork)
    assert watched.refused(again=again).code == "log-forked"
    assert kept(watched).root == fork.root(700)


def test_a_log_that_differs_only_in_what_is_new_is_no_fork_to_who_has_not_seen_it(
        tmp_path: Path, long_log: SmallLog) -> None:
    watched = Watched(tmp_path, long_log)
    watched.publish(300)
    watched.looks()
    watched.replace(700, long_log.forked(300, 400))
    assert watched.looks().before == 300


@pytest.mark.parametrize("size", [0, 1, 256, 299])
def test_a_rollback_is_named(tmp_path: Path, long_log: SmallLog, size: int) -> None:
    watched = Watched(tmp_path, long_log)
    watched.publish(300)
    watched.looks()
    watched.publish(size)
    error = watched.refused()
    assert isinstance(error, Refused)
    assert error.code == "log-rollback"
    assert kept(watched).size == size


@pytest.mark.parametrize("size", [699, 701, 768])
def test_a_size_that_the_log_signed_falsely_over_a_root_is_found(watched: Watched, size: int) -> None:
    log = watched.log
    false = log.sign(checkpoints.Checkpoint(ORIGIN, size, log.root(700)).text)
    for path, data in log.files(min(size, 700)).items():
        (watched.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (watched.folder / path).write_bytes(data)
    (watched.folder / "checkpoint").write_text(false)
    assert watched.refused().code in {"root-other", "bundle-missing"}


# -- files that are not what was signed


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


FILES = {
    "tile/0/001": "tile", "tile/0/002.p/188": "tile", "tile/1/000.p/2": "tile",
    "tile/entries/001": "bundle", "tile/entries/002.p/188": "bundle",
}


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize(("how", "code"), [("missing", "{}-missing"), ("short", "{}-short"), ("long", "{}-short"),
                                           ("empty", "{}-short"), ("flipped", "tile-altered")])
def test_a_tile_or_bundle_that_is_missing_short_or_changed_is_named(
        watched: Watched, path: str, how: str, code: str) -> None:
    file = watched.folder / path
    data = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "flipped":
        flip(file)
    else:
        file.write_bytes({"short": data[:-1], "long": data + b"\0", "empty": b""}[how])
    error = watched.refused()
    assert error.code == code.format(FILES[path])
    assert path.removeprefix("tile/entries/").removeprefix("tile/") in error.sentence
    file.write_bytes(data)
    watched.looks()


@pytest.mark.parametrize(("number", "again"), [(1, False), (2, False), (0, True)])
def test_an_entry_changed_with_its_tile_is_found_by_the_root(watched: Watched, number: int, again: bool) -> None:
    """Number 1 holds what was seen before and what is new."""
    at = number * tiles.WIDTH
    width = min(tiles.WIDTH, 700 - at)
    entries = [log_entries.sealed(bytes(32)), *watched.log.entries[at + 1:at + width]]
    (watched.folder / tiles.path(tiles.ENTRIES, number, width)).write_bytes(tiles.bundle(entries))
    (watched.folder / tiles.path(0, number, width)).write_bytes(b"".join(map(merkle.leaf_hash, entries)))
    assert watched.refused(again=again).code == "root-other"
    assert not watched.state.with_name("state.other").exists()  # nobody signed that


CHECKPOINTS: dict[str, tuple[Callable[[SmallLog], str], str]] = {
    "another log's": (lambda log: SmallLog(log.entries, origin="countenance.invalid/hotel/log").checkpoint(),
                      "checkpoint-origin"),
    "another key's": (lambda log: SmallLog(log.entries, seed="impostor").checkpoint(), "signature-missing"),
    "a size altered": (lambda log: log.checkpoint().replace("\n700\n", "\n701\n"), "signature-wrong"),
    "cut": (lambda log: log.checkpoint()[:-4], "note-malformed"),
    "empty": (lambda log: "", "note-malformed"),
    "no text": (lambda log: "\udcff", "note-malformed"),
    "a note": (lambda log: log.sign("hello\n"), "checkpoint-malformed"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_that_is_not_the_logs_is_refused(watched: Watched, name: str) -> None:
    make, code = CHECKPOINTS[name]
    (watched.folder / "checkpoint").write_bytes(make(watched.log).encode(errors="surrogateescape"))
    assert watched.refused().code == code


def test_a_log_without_a_checkpoint_is_said_to_have_none(watched: Watched) -> None:
    (watched.folder / "checkpoint").unlink()
    assert watched.refused().code == "checkpoint-missing"
    (watched.folder / "checkpoint").mkdir()
    assert watched.refused().code == "log-unreadable"


# -- witnesses


def publish_cosigned(watched: Watched, *names: str) -> None:
    note = signed_note.parse(watched.log.checkpoint(700))
    for name in names:
        note = note.with_line(signed_note.cosign(note.text, name, private_key(name), START))
    (watched.folder / "checkpoint").write_text(note.encode())


def test_cosignatures_of_those_that_are_trusted_count_and_others_do_not(watched: Watched) -> None:
    publish_cosigned(watched, ONE, TWO, "stranger.example/w")
    look = watched.monitor(witness_key(ONE), witness_key(TWO), need=2).look()
    assert (look.witnesses, look.strangers) == ((ONE, TWO), ("stranger.example/w",))


def test_too_few_cosignatures_move_nothing(watched: Watched) -> None:
    publish_cosigned(watched, ONE, "stranger.example/w")
    keys = (witness_key(ONE), witness_key(TWO))
    assert watched.monitor(*keys, need=1).look().witnesses == (ONE,)
    with pytest.raises(Refused) as caught:
        watched.monitor(*keys, need=2).look()
    assert caught.value.code == "cosignature-missing"


def test_a_cosignature_over_another_checkpoint_is_refused(watched: Watched) -> None:
    note = signed_note.parse(watched.log.checkpoint(700))
    line = signed_note.cosign(watched.log.checkpoint(699), ONE, private_key(ONE), START)
    (watched.folder / "checkpoint").write_text(note.with_line(line).encode())
    with pytest.raises(BadInput) as caught:
        watched.monitor(witness_key(ONE), need=0).look()
    assert caught.value.code == "signature-wrong"


# -- what it remembers


def test_a_look_alone_moves_nothing(watched: Watched) -> None:
    before = watched.state.read_bytes()
    first, second = watched.monitor().look(), watched.monitor().look()
    assert watched.state.read_bytes() == before
    assert first.clear == second.clear
    assert first.clear


def test_of_two_monitors_with_one_state_the_slower_moves_nothing(watched: Watched) -> None:
    one, two = watched.monitor(), watched.monitor()
    slow = one.look()
    two.believe(two.look())
    after = watched.state.read_bytes()
    with pytest.raises(Refused, match="look again"):
        one.believe(slow)
    assert watched.state.read_bytes() == after


@pytest.mark.parametrize("change", [
    lambda text: "", lambda text: text[:-2], lambda text: "[]", lambda text: "null",
    lambda text: text.replace('"full": [', '"full": ["' + "A" * 43 + '=", '),
    lambda text: text.replace('\\n300\\n', '\\n299\\n'), lambda text: text + " ",
    lambda text: re.sub(r'"[^"]{43}="(?=\n ])', '"' + "A" * 43 + '="', text),
    lambda text: text.replace("monitor/1", "monitor/2"), lambda text: "\udcff"])
def test_a_state_that_no_monitor_wrote_is_not_gone_by(watched: Watched, change: Callable[[str], str]) -> None:
    good = watched.state.read_text()
    bad = change(good)
    assert bad != good
    watched.state.write_bytes(bad.encode(errors="surrogateescape"))
    error = watched.refused()
    assert isinstance(error, StoreFault)
    assert error.code == "monitor-state"


def test_a_state_of_another_log_is_not_gone_by(watched: Watched, tmp_path: Path) -> None:
    other = Watched(tmp_path / "hotel", SmallLog.of(9, origin="countenance.invalid/hotel/log", seed="hotel"))
    other.publish(9)
    other.looks()
    watched.state.write_bytes(other.state.read_bytes())
    assert watched.refused().code == "monitor-state"


def test_a_tree_is_taken_up_where_it_was_put_down() -> None:
    log = SmallLog.of(70)
    for size in range(71):
        tree = Frontier()
        for index in range(size):
            tree.add(log.leaf(index))
        again = Frontier(size, tree.full)
        for index in range(size, 70):
            again.add(log.leaf(index))
        assert again.root() == log.root(70)
        with pytest.raises(ValueError, match=str(size)):
            Frontier(size, (*tree.full, bytes(32)))


# -- where a log is read from


def test_a_place_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught, mirror.opened(str(tmp_path / "nothing")):
        pass
    assert caught.value.code == "log-missing"
