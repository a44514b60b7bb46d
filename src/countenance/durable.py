"""Files that are there after a power cut, and files that are gone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

SECRET = 0o600
SHARED = 0o644
_SECTOR = 512
_REPLACED_AT_MOST = 5  # times while one reads it: nobody rotates keys that fast


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, largest: int) -> bytes:
    """Return a file's bytes, at most `largest` of them, without waiting for anybody.

    In a folder that others reach, the name may be a pipe that nobody writes to, a device without an end or more than
    the memory holds. Raises FileNotFoundError; OSError: EINVAL for what is no regular file, EFBIG for a larger one.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if os.fstat(handle).st_size > largest:
            raise OSError(errno.EFBIG, "larger than it may be", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(largest + 1)  # not by its size alone: it may be growing
    finally:
        os.close(handle)
    if len(data) > largest:
        raise OSError(errno.EFBIG, "larger than it may be", str(path))
    return data


def sync(path: Path) -> None:
    """Make a file that something else wrote durable, and its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    _sync_folder(path.parent)


def write(path: Path, data: bytes, mode: int = SHARED) -> None:
    """Replace `path` by `data`: durable on return, and never half written.

    The new bytes lie in a file beside it until they are complete; its name ends in `.new`.
    Raises OSError; then the old file stands as it was.
    """
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def create(path: Path, data: bytes, mode: int = SHARED) -> None:
    """Write a file that must not exist yet; durable on return.

    Raises FileExistsError, or another OSError, and then there is no file. A power cut may leave half of one.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def append(path: Path, data: bytes) -> None:
    """Add whole lines to a text file; durable on return. What a crash left of a half line is cut off first.

    A power cut leaves the first part of `data`, never a later one without it: what would lie in two sectors, each of
    which reaches the disk for itself, is written with the whole file anew. One writer at a time. Raises
    FileNotFoundError; OSError, then the file may hold part of `data`.
    """
    with path.open("r+b") as file:
        text = file.read()
        end = _after_last_line(text)
        if end // _SECTOR == (end + len(data) - 1) // _SECTOR:
            file.seek(end)
            file.truncate()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            return
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    write(path, text[:end] + data, mode)


def _after_last_line(text: bytes) -> int:
    return text.rfind(b"\n") + 1


def destroy(path: Path) -> None:
    """Overwrite a small secret in place, then unlink it; durable on return, absent is fine.

    The overwriting helps on plain disks only. On flash and on copy-on-write file systems the old
    blocks live on until they are reused: what counts there is that the secret was itself wrapped.
    """
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    _sync_folder(path.parent)


def read_secret(path: Path) -> bytes:
    """Return a secret file's bytes, never those that `replace_secret` puts over the old ones in another process.

    It overwrites a file only once another has its name: bytes of a file that still has its name are good. Raises
    OSError.
    """
    for _ in range(_REPLACED_AT_MOST):
        with path.open("rb") as file:
            data = file.read()
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
    return data


def replace_secret(path: Path, data: bytes) -> None:
    """Replace a secret file: the new one is durable first, then the old bytes are overwritten in place.

    See `destroy` on what overwriting is worth. Others read it by `read_secret` meanwhile.
    """
    with path.open("r+b") as old:
        length = os.fstat(old.fileno()).st_size
        write(path, data, SECRET)
        old.write(os.urandom(length))  # the unlinked old file, through the handle kept on it
        old.flush()
        os.fsync(old.fileno())
