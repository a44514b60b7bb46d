"""A witness that dies, runs out of room or loses its power at any write has never cosigned two roots for one size.

What counts as cosigned is what was answered. The number of writes is asserted, so that none slips past these loops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from countenance import durable
from countenance.clock import SetClock
from countenance.errors import CountenanceError, StoreFault
from countenance.formats import checkpoints, signed_note
from countenance.formats.signed_note import WITNESS
from countenance.transparency.cosigning import Prove
from countenance.transparency.mirror import Folder
from countenance.transparency.monitor import Monitor
from countenance.transparency.witness import Request, Stale, Witness
from support.faults import AFTER, BEFORE, Crash, Faults
from support.powercut import recorded
from support.small_log import ORIGIN, START, SmallLog, private_key

NAME = "witness.example/one"
PRIVATE = private_key("witness")
KEY = signed_note.key_of(PRIVATE, NAME, WITNESS)
LOG = SmallLog.of(40)
FORK = LOG.forked(20, 20)
STEPS = (20, 30, 40)

Cosigned = dict[int, set[bytes]]
"""Size to the roots that were cosigned for it."""


def witness_at(folder: Path) -> Witness:
    folder.mkdir(exist_ok=True)
    return Witness(folder, KEY, lambda text, at: signed_note.cosign(text, NAME, PRIVATE, at), [LOG.key],
                   SetClock(START))


def asks(witness: Witness, log: SmallLog, size: int, cosigned: Cosigned) -> None:
    """Ask as a log does that only knows what it is told; note down what is answered."""
    note, old = signed_note.parse(log.checkpoint(size)), 0
    prove: Prove = lambda old: log.consistency(old, size)  # noqa: E731  # named for what it is
    for _ in range(2):
        try:
            line = witness.add_checkpoint(Request(old, tuple(prove(old)), note, checkpoints.parse(note)).encode())
        except Stale as stale:
            if stale.size > size:
                return
            old = stale.size
        else:
            signed_note.require_signed(signed_note.parse(f"{note.text}\n{line}"), KEY)
            cosigned.setdefault(size, set()).add(log.root(size))
            return


def both_ask(folder: Path, first: SmallLog, second: SmallLog, cosigned: Cosigned) -> None:
    """Ask for every size of both, one after the other, and look away from refusals."""
    witness = witness_at(folder)
    for log in (first, second):
        for size in STEPS:
            try:
                asks(witness, log, size, cosigned)
            except CountenanceError:
                continue


def one_root_each(cosigned: Cosigned) -> bool:
    return all(len(roots) == 1 for roots in cosigned.values())


def test_without_a_fault_the_whole_log_is_cosigned_and_the_fork_is_not(tmp_path: Path) -> None:
    cosigned: Cosigned = {}
    both_ask(tmp_path / "w", LOG, FORK, cosigned)
    assert cosigned == {size: {LOG.root(size)} for size in STEPS}


WRITES = 3
"""One for each checkpoint; and none for what is refused, but the one that keeps a fork."""


def test_every_cosignature_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Faults(0, BEFORE, dies=True)
    with faults.armed(monkeypatch):
        both_ask(tmp_path / "w", LOG, LOG, {})
    assert len(faults.seen) == WRITES + 1  # the last is asked for twice, and cosigned with the new moment
    assert {name.partition(" ")[0] for name in faults.seen} == {"write"}


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
@pytest.mark.parametrize("second", ["the log", "a fork"])
def test_it_dies_at_a_write_and_two_logs_ask_when_it_is_back(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str, second: str) -> None:
    cosigned: Cosigned = {}
    faults = Faults(at, when, dies=True)
    with faults.armed(monkeypatch), pytest.raises(Crash):
        both_ask(tmp_path / "w", LOG, LOG, cosigned)
    assert set(cosigned) == set(STEPS[:at - 1])  # what was not written down was not answered
    later = (LOG, FORK) if second == "the log" else (FORK, LOG)
    both_ask(tmp_path / "w", *later, cosigned)
    assert one_root_each(cosigned)
    assert STEPS[-1] in cosigned  # and it goes on


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_no_room_at_a_write_and_two_logs_go_on_asking(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    """AFTER: it failed, but persisted. Then the fork finds it standing further on."""
    cosigned: Cosigned = {}
    witness = witness_at(tmp_path / "w")
    faults = Faults(at, when, dies=False)
    with faults.armed(monkeypatch):
        for size in STEPS[:at - 1]:
            asks(witness, LOG, size, cosigned)
        with pytest.raises(StoreFault) as caught:
            asks(witness, LOG, STEPS[at - 1], cosigned)
        assert caught.value.code == "witness-store"
        assert STEPS[at - 1] not in cosigned
        both_ask(tmp_path / "w", FORK, LOG, cosigned)
    assert faults.struck
    assert one_root_each(cosigned)
    assert STEPS[-1] in cosigned


def test_a_witness_that_answers_before_it_writes_would_be_caught(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search above can find: here what is written is lost in a crash after the answer."""
    cosigned: Cosigned = {}
    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", lambda *_given: None)
        asks(witness_at(tmp_path / "w"), LOG, 30, cosigned)
    both_ask(tmp_path / "w", FORK, LOG, cosigned)
    assert not one_root_each(cosigned)


# -- the power goes


def story(folder: Path, cosigned: Cosigned) -> None:
    asks(witness_at(folder), LOG, 30, cosigned)


@pytest.mark.parametrize("before", [0, 20])
def test_the_power_goes_while_it_cosigns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    folder, cosigned = tmp_path / "w", Cosigned()
    witness_at(folder)
    if before:
        asks(witness_at(folder), LOG, before, cosigned)
    recorder = recorded(folder, lambda: story(folder, cosigned), monkeypatch)
    states = set()
    for number, cut in enumerate(recorder.cuts()):
        left = tmp_path / f"cut{number}"
        left.mkdir()
        stood = witness_at(cut.disk.put(left)).newest(ORIGIN)
        states.add(stood[0].size if stood else 0)
        if stood:
            assert stood[0].root == LOG.root(stood[0].size), cut.told
    assert states == {before, 30}
    disk, loose = recorder.durable(len(recorder.ops))
    assert [str(op) for op in loose if op.name != "lock"] == []  # what was answered is on the disk
    done = tmp_path / "done"
    done.mkdir()
    now = witness_at(disk.put(done)).newest(ORIGIN)
    assert now is not None
    assert now[0].size == 30


def test_the_simulator_finds_a_missing_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "w"
    witness_at(folder)

    def unsafe(path: Path, data: bytes, _mode: int) -> None:
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", unsafe)
        recorder = recorded(folder, lambda: story(folder, {}), monkeypatch)
    disk, _loose = recorder.durable(len(recorder.ops))
    left = tmp_path / "left"
    left.mkdir()
    assert witness_at(disk.put(left)).newest(ORIGIN) is None


# -- and a monitor


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("dies", [True, False])
def test_a_monitor_that_fails_at_its_write_looks_again_and_misses_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, dies: bool) -> None:
    def monitor() -> Monitor:
        return Monitor(Folder(tmp_path / "log"), tmp_path / "state", [LOG.key])

    LOG.write(tmp_path / "log", 20)
    first = monitor()
    first.believe(first.look())
    LOG.write(tmp_path / "log", 40)
    told: list[Any] = []
    faults = Faults(1, when, dies=dies)
    with faults.armed(monkeypatch), pytest.raises(Crash if dies else OSError):
        watching = monitor()
        look = watching.look()
        told += look.clear
        watching.believe(look)
    again = monitor()
    look = again.look()
    again.believe(look)
    assert {index for index, _entry in [*told, *look.clear]} == {i for i in range(20, 40) if i % 3 == 0}
    assert again.look().clear == ()
    assert look.believed.checkpoint.size == 40


def test_half_a_state_file_is_no_state(tmp_path: Path) -> None:
    """No write of ours leaves one: it is replaced whole. A disk may."""
    folder = tmp_path / "w"
    asks(witness_at(folder), LOG, 20, {})
    state = next(folder.glob("*.checkpoint"))
    good = state.read_bytes()
    for length in range(len(good)):
        state.write_bytes(good[:length])
        with pytest.raises(StoreFault) as caught:
            asks(witness_at(folder), LOG, 30, {})
        assert caught.value.code == "witness-state"
