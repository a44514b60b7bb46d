"""Files that are whole or as before, and secrets that are replaced."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from countenance import durable


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.write(path, b"one")
    assert path.stat().st_mode & 0o777 == 0o644
    durable.write(path, b"two", durable.SECRET)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o600)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "file"
    durable.write(path, b"one")

    def fails(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os if failing == "fsync" else Path, failing, fails)
        with pytest.raises(OSError, match="No space"):
            durable.write(path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_exists_is_not_created_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    durable.create(path, b"one", durable.SECRET)
    with pytest.raises(FileExistsError):
        durable.create(path, b"two", durable.SECRET)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o600)


def test_lines_are_added_behind_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "list"
    with pytest.raises(FileNotFoundError):
        durable.append(path, b"one\n")
    durable.create(path, b"one\n", durable.SECRET)
    durable.append(path, b"two\nthree\n")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one\ntwo\nthree\n", 0o600)


@pytest.mark.parametrize(("left", "whole"), [
    (b"one\ntw", b"one\n"), (b"one\n\0\0\0", b"one\n"), (b"on", b""), (b"", b""), (b"one\n", b"one\n")])
def test_half_a_line_that_a_crash_left_is_cut_off(tmp_path: Path, left: bytes, whole: bytes) -> None:
    path = tmp_path / "list"
    path.write_bytes(left)
    durable.append(path, b"next\n")
    assert path.read_bytes() == whole + b"next\n"


@pytest.mark.parametrize("how", ["replace", "destroy"])
def test_the_old_bytes_of_a_secret_are_overwritten_before_they_are_let_go(tmp_path: Path, how: str) -> None:
    path, other_name = tmp_path / "key", tmp_path / "seen"
    durable.create(path, b"old secret", durable.SECRET)
    other_name.hardlink_to(path)  # the same blocks by another name: what the disk still holds
    assert other_name.read_bytes() == b"old secret"
    if how == "replace":
        durable.replace_secret(path, b"new")
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
    else:
        durable.destroy(path)
        durable.destroy(path)
        assert not path.exists()
    assert len(other_name.read_bytes()) == 10
    assert other_name.read_bytes() != b"old secret"


def test_everything_is_synced_before_it_is_said_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (
        order.append("folder" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "file"), fsync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda one, two: (order.append("rename"), replace(one, two))[1])
    durable.write(tmp_path / "file", b"x")
    assert order == ["file", "rename", "folder"]
    for act, expected in ((lambda: durable.append(tmp_path / "file", b"y\n"), ["file"]),
                          (lambda: durable.create(tmp_path / "new", b"z"), ["file", "folder"]),
                          (lambda: durable.sync(tmp_path / "new"), ["file", "folder"])):
        order.clear()
        act()
        assert order == expected


# -- reading what others may have put there


def test_a_file_is_read_up_to_what_it_may_hold(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    with pytest.raises(FileNotFoundError):
        durable.read(path, 3)
    path.write_bytes(b"one")
    link.symlink_to(path)
    assert durable.read(path, 3) == durable.read(path, 4) == durable.read(link, 3) == b"one"
    with pytest.raises(OSError, match="larger") as large:
        durable.read(path, 2)
    assert large.value.errno == errno.EFBIG
    path.write_bytes(b"")
    assert durable.read(path, 0) == b""
    path.unlink()
    with pytest.raises(FileNotFoundError):
        durable.read(link, 3)


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "link to a pipe"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if "pipe" in kind:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(OSError, match="not a regular file") as caught:
        durable.read(tmp_path / "pipe" if kind == "pipe" else path, 1 << 20)
    assert caught.value.errno == errno.EINVAL


def test_a_huge_file_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(12 << 30)  # no room is needed for it
    with pytest.raises(OSError, match="larger"):
        durable.read(path, 8 << 20)


def test_a_file_that_grows_while_it_is_read_is_not_believed_to_be_small(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fstat = tmp_path / "file", os.fstat
    path.write_bytes(b"one")

    def growing(handle: int) -> os.stat_result:
        found = fstat(handle)
        path.write_bytes(b"x" * 100)
        return found

    monkeypatch.setattr(os, "fstat", growing)
    with pytest.raises(OSError, match="larger"):
        durable.read(path, 99)


def test_no_handle_is_left_open_by_a_file_that_is_refused(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(OSError, match="not a regular"):
            durable.read(tmp_path, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# -- secrets that another process replaces


def secrets_read(path: Path, read: Callable[[Path], bytes], times: int) -> set[bytes]:
    """Read a secret again and again while another thread replaces it; return what was found."""
    good, done = [bytes([number]) * 4096 for number in (1, 2)], threading.Event()
    durable.create(path, good[0], durable.SECRET)

    def replacing() -> None:
        number = 0
        while not done.is_set():
            number += 1
            durable.replace_secret(path, good[number % 2])

    other = threading.Thread(target=replacing)
    other.start()
    try:
        return {read(path) for _ in range(times)} - set(good)
    finally:
        done.set()
        other.join()


def test_a_secret_that_is_being_replaced_is_read_whole(tmp_path: Path) -> None:
    assert secrets_read(tmp_path / "key", durable.read_secret, 2000) == set()


def test_a_reader_that_was_overtaken_reads_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: read at once it is noise."""
    path, open_file, overtaken = tmp_path / "key", Path.open, [False]
    durable.create(path, b"old secret", durable.SECRET)

    def opening(self: Path, mode: str = "r") -> object:
        file = open_file(self, mode)
        if mode == "rb" and not overtaken[0]:
            overtaken[0] = True
            durable.replace_secret(path, b"new secret")
        return file

    monkeypatch.setattr(Path, "open", opening)
    with path.open("rb") as file:
        assert file.read() not in {b"old secret", b"new secret"}
    overtaken[0] = False
    assert durable.read_secret(path) == b"new secret"


def test_a_secret_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        durable.read_secret(tmp_path / "key")
