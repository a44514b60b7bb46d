"""Files that are whole or as before, and secrets that are replaced."""

from __future__ import annotations

import os
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
