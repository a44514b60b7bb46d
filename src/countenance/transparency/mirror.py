"""Reading a published log from outside: a folder, or an address. Nothing that is read here is checked yet."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from countenance import durable
from countenance.clock import Clock, SystemClock
from countenance.errors import BadInput
from countenance.formats import checkpoints, log_entries, signed_note, tiles
from countenance.transparency.exchange import Line

if TYPE_CHECKING:
    import httpx  # a tenth of a second, which who reads a folder need not wait

TIMEOUT_S = 30.0
"""Seconds for one whole file."""

LARGEST = tiles.WIDTH * (2 + log_entries.LARGEST)
"""Bytes: a bundle of the largest entries. No file of a log is longer."""

_GZIP = 31
"""What zlib calls gzip. It is unpacked here, where a small file that unpacks into a large one is cut off."""


class Mirror(Protocol):
    """Gives the files of a log, by the paths of C2SP tlog-tiles."""

    def read(self, path: str) -> bytes:
        """Return a file. Raises BadInput: file-missing where there is none, log-unreadable for other trouble."""


class Folder:
    """A log on a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str) -> bytes:
        """See `Mirror.read`."""
        try:
            return durable.read(self._folder / path, LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            raise BadInput("file-missing", f"{path} is missing from the log.") from None
        except OSError:
            raise _unreadable(path) from None


class Address:
    """A log behind http or https. One file that does not come in time, and no other is asked for."""

    def __init__(self, url: str, client: httpx.Client, clock: Clock) -> None:
        self._url, self._client, self._clock = url.rstrip("/"), client, clock
        self._line = Line()

    def read(self, path: str) -> bytes:
        """See `Mirror.read`. A file that drips in is cut off like one that does not come."""
        try:
            return self._line.exchange(TIMEOUT_S, lambda: self._got(path))
        except BadInput:
            raise
        except Exception:  # noqa: BLE001  # whatever an address brings forth: the file cannot be read
            raise _unreadable(path) from None

    def close(self) -> None:
        """Let go of the connection. One that did not answer in time is its thread's to close."""
        if not self._line.cut:
            self._client.close()
        self._line.close()

    def _got(self, path: str) -> bytes:
        until, got = self._clock.monotonic() + TIMEOUT_S, bytearray()
        with self._client.stream("GET", f"{self._url}/{path}", headers={"accept-encoding": "gzip"},
                                 extensions={"trace": self._line.told}) as answer:
            if answer.status_code in {404, 410}:
                raise BadInput("file-missing", f"{path} is missing from the log.")
            packed = answer.headers.get("content-encoding", "identity")
            if answer.status_code != 200 or packed not in {"identity", "gzip"}:
                raise _unreadable(path)
            unpacker = zlib.decompressobj(_GZIP) if packed == "gzip" else None
            for part in answer.iter_raw():
                got += unpacker.decompress(part, LARGEST + 1 - len(got)) if unpacker else part
                if len(got) > LARGEST or self._clock.monotonic() > until:
                    raise _unreadable(path)
            if unpacker and not unpacker.eof:
                raise _unreadable(path)
        return bytes(got)


@contextmanager
def opened(place: str, clock: Clock | None = None) -> Iterator[Mirror]:
    """Open a log at an address (http or https) or in a folder. Raises BadInput(log-missing, log-unreadable).

    A proxy that the environment names is not used.
    """
    if place.startswith(("http://", "https://")):
        address = _address(place, clock or SystemClock())
        try:
            yield address
        finally:
            address.close()
        return
    folder = Path(place)
    if not folder.is_dir():
        raise BadInput("log-missing", "There is no folder of that name to read a log from.")
    yield Folder(folder)


def _address(url: str, clock: Clock) -> Address:
    import httpx

    try:
        return Address(url, httpx.Client(timeout=TIMEOUT_S, trust_env=False), clock)
    except Exception:  # noqa: BLE001  # the machine's TLS, say
        raise BadInput("log-unreadable", "A log at an address cannot be read from this machine.") from None


def checkpoint(mirror: Mirror) -> str:
    """Return the newest checkpoint's note. Raises BadInput: checkpoint-missing, note-malformed, log-unreadable."""
    data = _read(mirror, "checkpoint", "checkpoint-missing", "The log has no checkpoint.")
    try:
        if len(data) <= 4 * signed_note.LARGEST:
            return data.decode()
    except UnicodeDecodeError:
        pass
    raise BadInput("note-malformed", "This is not a signed note.")


def origin(mirror: Mirror) -> str:
    """Return the name that the log gives itself. Raises as `checkpoint`, and BadInput(checkpoint-malformed)."""
    return checkpoints.parse(signed_note.parse(checkpoint(mirror))).origin


def tile(mirror: Mirror, level: int, number: int, width: int) -> list[bytes]:
    """Return the first `width` hashes of a tile; from the full one where the partial one is gone.

    Raises BadInput: tile-missing, tile-short, log-unreadable.
    """
    path = tiles.path(level, number, width)
    data, found = _part(mirror, level, number, width, "tile-missing", f"The tile {path} is missing.")
    try:
        return tiles.split(data, found)[:width]
    except BadInput:
        raise BadInput("tile-short", f"The tile {path} is shorter or longer than it must be.") from None


def bundle(mirror: Mirror, number: int, width: int) -> list[bytes]:
    """Return the first `width` entries of a bundle; from the full one where the partial one is gone.

    Raises BadInput: bundle-missing, bundle-short, log-unreadable.
    """
    path = tiles.path(tiles.ENTRIES, number, width)
    data, found = _part(mirror, tiles.ENTRIES, number, width, "bundle-missing", f"The bundle {path} is missing.")
    try:
        return tiles.unbundle(data, found)[:width]
    except BadInput:
        raise BadInput("bundle-short", f"The bundle {path} is shorter or longer than it must be.") from None


def _part(mirror: Mirror, level: int, number: int, width: int, code: str, sentence: str) -> tuple[bytes, int]:
    """Return a file and how many it holds: `width`, or those of a full one."""
    if width < tiles.WIDTH:
        try:
            return mirror.read(tiles.path(level, number, width)), width
        except BadInput as error:
            if error.code != "file-missing":
                raise
    return _read(mirror, tiles.path(level, number), code, sentence), tiles.WIDTH


def _read(mirror: Mirror, path: str, code: str, sentence: str) -> bytes:
    try:
        return mirror.read(path)
    except BadInput as error:
        if error.code != "file-missing":
            raise
        raise BadInput(code, sentence) from None


def _unreadable(path: str) -> BadInput:
    return BadInput("log-unreadable", f"{path} of the log cannot be read.")
