"""Power cuts: what a story did to its files is recorded, then the folder is built as a cut may have left it.

The model is the weakest disk that POSIX allows. What was written to a file is on the disk once that file was synced;
which names a folder has, once the folder was. Of everything after that any part may be there, in any order: a rename
without the bytes of what was renamed, an unlink without the one before it, half of a write. What SQLite writes and
syncs by itself (its databases and their logs) counts as there at each commit, whole; that is SQLite's to prove. A log
that it deletes may come back: it does not sync the folder for that.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from countenance.storage import engine as engines

LOG, MEMORY = "-wal", "-shm"
BLOCK = 512
"""Bytes of a file that reach the disk together; smaller is stricter."""

SAMPLED = 4
"""How many further subsets of what was not synced are drawn at each moment."""


@dataclass(frozen=True)
class Op:
    """One thing that happened. `inode` is a number of ours, never used twice; `name` is relative to the folder.

    wrote: the bytes of a file are now `data`. linked, unlinked, renamed (from `source`): names of a folder.
    synced: a file. listed: the names of a folder, which is `name`. stored: what SQLite wrote since, durable and whole.
    """

    kind: str
    inode: int = 0
    name: str = ""
    source: str = ""
    data: bytes = b""
    stored: tuple[tuple[int, bytes], ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.source, self.name)))


@dataclass
class Disk:
    """Names, and bytes by inode."""

    names: dict[str, int] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> Disk:
        return Disk(dict(self.names), dict(self.data))

    def apply(self, op: Op) -> None:
        if op.kind == "wrote":
            self.data[op.inode] = op.data
        elif op.kind == "stored":
            self.data |= dict(op.stored)
        elif op.kind == "linked":
            self.names[op.name] = op.inode
        elif op.kind == "unlinked" and self.names.get(op.name) == op.inode:
            del self.names[op.name]
        elif op.kind == "renamed":
            if self.names.get(op.source) == op.inode:
                del self.names[op.source]
            self.names[op.name] = op.inode

    def files(self) -> dict[str, bytes]:
        return {name: self.data.get(inode, b"") for name, inode in self.names.items()}

    def put(self, folder: Path) -> Path:
        """Make the folder."""
        for name, data in self.files().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o600)
        return folder


@dataclass(frozen=True)
class Cut:
    """A state in which the power went, and how it came about."""

    disk: Disk
    told: str
    unsynced: str


class Recorder:
    """Watches a folder and everything below it while a story runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ops: list[Op] = []
        self._numbers = 0
        self._inodes: dict[int, int] = {}  # the system's number, which it uses again, to ours
        self._now = Disk()
        self._look()
        self._begun = self._now.copy()
        self.ops.clear()

    @contextmanager
    def recording(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Record what happens inside this block."""
        fsync, rename, unlink = os.fsync, Path.replace, Path.unlink
        writing, empty_wal = engines.writing, engines.empty_wal

        def synced(handle: int) -> None:
            self._look()
            self._look_at(handle)
            fsync(handle)
            self._synced(handle)

        def renamed(one: Path, two: Path) -> Path:
            self._look()
            inode = self._now.names.get(self._name(one))
            done = rename(one, two)
            if inode is not None:
                self._did(Op("renamed", inode, self._name(Path(two)), self._name(one)))
            return done

        def unlinked(path: Path, missing_ok: bool = False) -> None:  # as pathlib has it
            self._look()
            unlink(path, missing_ok)
            self._look()

        @contextmanager
        def commit(engine: Engine) -> Iterator[Connection]:
            with writing(engine) as connection:
                yield connection
                self._look(but=engine)
            self._look()

        def emptied(engine: Engine) -> None:
            self._look()
            empty_wal(engine)
            self._look()

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", synced)
            patch.setattr(Path, "replace", renamed)
            patch.setattr(Path, "unlink", unlinked)
            patch.setattr(engines, "writing", commit)
            patch.setattr(engines, "empty_wal", emptied)
            yield
        self._look()

    def cuts(self, seed: int = 1) -> Iterator[Cut]:
        """Give every different state that is looked at, after each thing that happened and left something unsynced.

        Of that: all, none, all but one, one alone, and some at random; and with half of the last that was written.
        """
        chance, seen = random.Random(seed), set()  # noqa: S311  # to be drawn alike each time
        for done in range(len(self.ops) + 1):
            base, loose = self.durable(done)
            if not loose:
                continue  # as if the process had died there: tests/faults/test_keys_and_copies.py
            for chosen in _subsets(len(loose), chance):
                disk = base.copy()
                for number in chosen[:-1]:
                    disk.apply(loose[number])
                for how, last in _ways(disk, [loose[number] for number in chosen[-1:]]):
                    left = disk.copy()
                    left.apply(last)
                    if (found := _print_of(left)) not in seen:
                        seen.add(found)
                        yield Cut(left, self._tell(done, loose, chosen, how), " ".join(map(str, loose)))

    def durable(self, done: int) -> tuple[Disk, list[Op]]:
        """Return what is on the disk for certain after so many things, and what else happened, in order."""
        disk, loose = self._begun.copy(), list[Op]()
        for op in self.ops[:done]:
            if op.kind == "stored":
                disk.apply(op)
            elif op.kind in {"synced", "listed"}:
                for one in [o for o in loose if _covers(op, o)]:
                    disk.apply(one)
                    loose.remove(one)
            else:
                loose.append(op)
        return disk, loose

    def _tell(self, done: int, loose: list[Op], chosen: list[int], how: str) -> str:
        last = f"{self.ops[done - 1]}" if done else "nothing"
        there = ", ".join(str(loose[number]) for number in chosen) or "nothing"
        lost = ", ".join(str(op) for number, op in enumerate(loose) if number not in chosen) or "nothing"
        return f"after {done} ({last}): there {there} {how}; lost {lost}"

    # -- looking

    def _name(self, path: Path) -> str:
        return str(Path(path).relative_to(self.folder)) if Path(path).is_relative_to(self.folder) else ""

    def _did(self, op: Op) -> None:
        self.ops.append(op)
        self._now.apply(op)

    def _number(self, system: int, *, new: bool) -> int:
        if new or system not in self._inodes:
            self._numbers += 1
            self._inodes[system] = self._numbers
        return self._inodes[system]

    def _look(self, but: Engine | None = None) -> None:
        """Write down what has changed since the last look: names first, then bytes."""
        found = {}
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file() and not p.name.endswith(MEMORY)):
            found[self._name(path)] = path
        for name in set(self._now.names) - set(found):
            self._did(Op("unlinked", self._now.names[name], name))
        named = set(self._now.names.values())
        for name, path in found.items():
            if name not in self._now.names:
                known = self._inodes.get(path.stat().st_ino)
                inode = self._number(path.stat().st_ino, new=known is None or known not in named)
                self._did(Op("linked", inode, name))
                if name.endswith(LOG):  # SQLite syncs the folder of a log that it makes
                    self._did(Op("listed", name=str(Path(name).parent)))
        open_now = "" if but is None else Path(str(but.url.database)).name
        stored = []
        for name, path in found.items():
            inode, data = self._now.names[name], path.read_bytes()
            if open_now and path.name.startswith(open_now):  # whose transaction is not committed yet
                continue
            if self._is_sqlites(inode, name):
                stored += [(inode, data)] if self._now.data.get(inode, b"") != data else []
            else:
                self._bytes(inode, name, data)
        if stored:
            names = " ".join(name for name, inode in self._now.names.items() if inode in dict(stored))
            self._did(Op("stored", name=names, stored=tuple(stored)))

    def _look_at(self, handle: int) -> None:
        """Look at an open file, which may have no name any more."""
        inode = self._inodes.get(os.fstat(handle).st_ino)
        path = Path(f"/proc/self/fd/{handle}")
        if inode is not None and path.is_file():
            self._bytes(inode, "", path.read_bytes())

    def _bytes(self, inode: int, name: str, data: bytes) -> None:
        if self._now.data.get(inode, b"") != data:
            self._did(Op("wrote", inode, name, data=data))

    def _is_sqlites(self, inode: int, name: str) -> bool:
        copied = name.endswith(".restored") and inode in self._now.data  # written by us once; what comes after is not
        return copied or name.endswith((".db", LOG))

    def _synced(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").resolve()
        if path.is_dir() and (path == self.folder or path.is_relative_to(self.folder)):
            self.ops.append(Op("listed", name=self._name(path)))
        elif (inode := self._inodes.get(os.fstat(handle).st_ino)) is not None:
            self.ops.append(Op("synced", inode, self._name(path)))


def _covers(sync: Op, op: Op) -> bool:
    if sync.kind == "synced":
        return op.kind == "wrote" and op.inode == sync.inode
    folder = str(Path(op.name).parent)
    return op.kind in {"linked", "unlinked", "renamed"} and folder == sync.name


def _ways(disk: Disk, last: list[Op]) -> Iterator[tuple[str, Op]]:
    """Give the ways in which the last thing may be there: whole; of bytes also half, none but their room, or holed.

    Blocks of a file reach the disk each for itself: the second may be there without the first.
    """
    if not last:
        yield "", Op("nothing")
        return
    (op,) = last
    yield "", op
    if op.kind == "wrote":
        before = disk.data.get(op.inode, b"")
        same = next((at for at, (one, two) in enumerate(zip(before, op.data, strict=False)) if one != two),
                    min(len(before), len(op.data)))
        new = len(op.data) - same
        edge = (same // BLOCK + 1) * BLOCK
        yield "by half", replace(op, data=op.data[: same + new // 2])
        yield "as zeros", replace(op, data=op.data[:same] + bytes(new))
        if edge < len(op.data):
            yield "but its first block", replace(op, data=op.data[:same] + bytes(edge - same) + op.data[edge:])


def _subsets(number: int, chance: random.Random) -> list[list[int]]:
    every = list(range(number))
    some: list[list[int]] = [every, []]
    for one in every:
        some += [[other for other in every if other != one], [one]]
    some += [[one for one in every if chance.random() < 0.5] for _ in range(SAMPLED if number > 2 else 0)]
    return some


def _print_of(disk: Disk) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(disk.files().items()):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()


def recorded(folder: Path, story: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Run a story in a folder and return what it did."""
    recorder = Recorder(folder)
    with recorder.recording(monkeypatch):
        story()
    return recorder
