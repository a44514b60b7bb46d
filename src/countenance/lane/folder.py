"""What the lane goes by, read from its own folder or from the venue's: public keys, names and lists, nothing else.

Every file is looked at anew while the lane runs. One that is missing, half written or damaged never takes the place
of what was read before: the lane goes on by that, and `faults` says so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from countenance import durable, settings
from countenance.clock import Clock
from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.formats import entitlements, revocations
from countenance.formats.revocations import RevocationList
from countenance.lane import tickets
from countenance.lane.kept import KeptTickets
from countenance.lane.tickets import TicketList
from countenance.quantities import VenueId

FILE = "lane.toml"
SIGNING, LIST, COUNTS, TICKETS, CACHE = "signing", "revocations.list", "plain.counts", "tickets.csv", "tickets.cache"
PASS_KEY, LIST_KEY = f"{SIGNING}/pass.pub", f"{SIGNING}/list.pub"
RETIRED = re.compile(r"pass\.([0-9a-f]{16})\.retired")
LARGEST_TICKETS, LARGEST_LIST, SMALL = 64 << 20, 24 << 20, 64 << 10
"""Bytes that are read of one file at most."""

_SHAPE = {"format": int, "venue": str, "name": str, "tickets": str}
_T = TypeVar("_T")


@dataclass(frozen=True)
class Keys:
    """The public key in force, and the ids of retired ones."""

    key: Ed25519PublicKey
    retired: frozenset[bytes]


@dataclass(frozen=True)
class Names:
    """Whose lane it is, and where its tickets are: a CSV, or what a ticketing system said."""

    venue: VenueId
    name: str
    tickets: Path
    cached: bool


class Piece(Generic[_T]):
    """One thing that is read from files, by the last good reading."""

    def __init__(self) -> None:
        self.value: _T | None = None
        self.fault = ""
        self._version, self._seen = "never", "never"

    def look(self, version: Callable[[], str], read: Callable[[], _T]) -> None:
        """Read anew what has changed, once it stands still between two looks. The first reading waits for nothing."""
        try:
            found = version()
            settled, self._seen = found == self._seen, found
            if found == self._version and not self.fault:
                return
            if self.value is not None and not settled:
                return  # somebody may be writing it
            self.value = read()
            self._version, self.fault = found, ""
        except CountenanceError as error:
            self.fault = error.code
        except (OSError, ValueError):
            self.fault = "lane-file"


class LaneFolder:
    """The lane's files. `look` may take as long as the disk does; everything else is at hand."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        if not folder.is_dir():
            raise StoreFault("lane-absent", "There is no folder for this lane; `countenance lane pack` makes one.")
        self._folder, self._clock = folder, clock
        self.names, self.keys = Piece[Names](), Piece[Keys]()
        self.revoked, self.tickets = Piece[RevocationList](), Piece[TicketList | KeptTickets]()

    def look(self) -> None:
        """Read what has changed; raises nothing."""
        self.names.look(lambda: _versions(*(self._folder / name for name in (FILE, settings.FILE))), self._names)
        signing = self._folder / SIGNING
        self.keys.look(lambda: f"{_versions(self._folder / PASS_KEY)} {sorted(_retired(signing))}", self._keys)
        names = self.names.value
        if names is not None:
            self.tickets.look(lambda: _versions(names.tickets), lambda: self._tickets(names))
            self.revoked.look(lambda: _versions(self._folder / LIST, self._folder / LIST_KEY),
                              lambda: self._list(names.venue))

    def faults(self) -> dict[str, str]:
        """Return what could not be read, or not anew: the piece, and the code of why."""
        pieces = {"names": self.names, "keys": self.keys, "list": self.revoked, "tickets": self.tickets}
        return {name: piece.fault for name, piece in pieces.items() if piece.fault}  # type: ignore[attr-defined]  # all are pieces

    def _names(self) -> Names:
        own = self._folder / FILE
        if own.exists():
            return read_names(own)
        here = settings.load(self._folder)
        file = CACHE if here.ticketing_url else here.entitlement_csv
        return Names(here.venue, here.name, self._folder / file, bool(here.ticketing_url))

    def _keys(self) -> Keys:
        return Keys(read_key(self._folder / PASS_KEY), _retired(self._folder / SIGNING))

    def _tickets(self, names: Names) -> TicketList | KeptTickets:
        if names.cached:
            cache = entitlements.read_cache(durable.read(names.tickets, entitlements.LARGEST_CACHE))
            if cache.venue != names.venue:
                raise BadInput("lane-tickets-other", "These kept answers are of another venue.")
            return KeptTickets(cache, self._clock)
        found = tickets.parse(durable.read(names.tickets, LARGEST_TICKETS))
        before = self.tickets.value
        if not found.tickets and isinstance(before, TicketList) and before.tickets:
            raise BadInput("lane-tickets-empty", "The new list of tickets has none; the last one stands.")
        return found

    def _list(self, venue: VenueId) -> RevocationList:
        text = durable.read(self._folder / LIST, LARGEST_LIST).decode()
        found = revocations.read(text, read_key(self._folder / LIST_KEY))
        if found.venue != venue:
            raise Refused("list-other-venue", "This list is of another venue.")
        before = self.revoked.value
        if before is not None and found.issued_at < before.issued_at:
            raise Refused("list-older", "The new list is older than the one in force, which stands.")
        return found


def read_names(path: Path) -> Names:
    """Read a `lane.toml`. Raises BadInput(lane-settings), OSError."""
    try:
        value: dict[str, Any] = tomllib.loads(durable.read(path, SMALL).decode())
    except ValueError:
        value = {}
    if {key: type(one) for key, one in value.items()} != _SHAPE or value["format"] != 1:
        raise BadInput("lane-settings", f"{FILE} has a wrong or missing key.")
    where = path.parent / value["tickets"]
    return Names(VenueId(value["venue"]), value["name"], where, where.name == CACHE)


def read_key(path: Path) -> Ed25519PublicKey:
    """Read a public key in hex. Raises ValueError, OSError."""
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(durable.read(path, SMALL).decode().strip()))


def _retired(folder: Path) -> frozenset[bytes]:
    found = (RETIRED.fullmatch(path.name) for path in folder.iterdir())
    return frozenset(bytes.fromhex(name[1]) for name in found if name)


def _versions(*paths: Path) -> str:
    """Return what changes with these files. One that is not there is a version too."""
    told = []
    for path in paths:
        try:
            stat = path.stat()
            told.append(f"{stat.st_mtime_ns}/{stat.st_size}/{stat.st_ino}")
        except FileNotFoundError:
            told.append("absent")
    return " ".join(told)
