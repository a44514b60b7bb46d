"""A story in which two people are erased, and an attacker who has everything on the disk and wants to link it to them.

The attacker reads all tables, with the row numbers that SQLite may hide in them, of today's stores and of every copy,
opens whatever any key in any of them opens, and reads the published log and what was signed last. `view` is all of
that with names taken away from what is random: two stories with one view cannot be told apart by it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from countenance.clock import SetClock
from countenance.errors import CountenanceError
from countenance.flows import backup, enrol, sweep, withdraw
from countenance.flows.venue import Venue
from countenance.formats import log_entries, receipts
from countenance.formats.log_entries import NONCE_BYTES, Record
from countenance.quantities import HOUR, MINUTE, Instant
from countenance.transparency import log as logs
from countenance.vault.keys import roots
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.sealing import Wrapping
from support import venue as support

DATA, KEYS = support.DATABASES
ERASED, LIVING = ("ada", "ben"), ("cem", "dan", "eve")
ORDER = ("cem", "ada", "dan", "ben", "eve")
"""Who enrolled when. The erased stand between the living, so that both have the same neighbours."""

ABOUT_PEOPLE = ("person", "consent", "template", "issued_pass", "intent", "revocation")
"""Tables with rows about people."""

_ROUNDS = 8
_RANDOM = re.compile(r"[0-9a-f]{32,64}")


@dataclass
class Story:
    """`before`: the folder as it lay before anybody was erased, third place and all, which no backup has.

    `copies`: backups by the name of their moment, of both stores. `told`: receipts, by whose they are.
    """

    folder: Path
    before: Path
    now: Instant
    people: dict[str, enrol.Enrolled]
    copies: dict[str, Path] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)

    def without(self, *names: str) -> dict[str, Path]:
        """Return the copies but some."""
        return {name: path for name, path in self.copies.items() if name.partition(" ")[0] not in names}


def lived(founded: Path, home: Path, *, visitor: str = "ada", first: str = "ada") -> Story:
    """Let five people enrol, `visitor` come three times and the other once, and erase both, `first` first."""
    clock = SetClock(support.START)
    home.mkdir()
    zoo = Path(shutil.copytree(founded, home / "zoo"))
    support.write_tickets(zoo, dict.fromkeys(ORDER, support.LONG))
    with support.open_venue(zoo, clock) as venue:
        people = {name: _after(clock, support.enrolled(venue, name, number)) for number, name in enumerate(ORDER, 1)}
        story = Story(zoo, home / "before", clock.now(), people)
        story.told = {name: [one.receipt] for name, one in people.items()}
        _saved(venue, story, home, "enrolled")
        for name in (visitor, "cem", visitor, _other(visitor), visitor, "dan"):
            comes(venue, story, name)
            clock.move(MINUTE)
        _saved(venue, story, home, "visited")
        support.copy_of(zoo, story.before)
        for name in (first, _other(first)):
            done = withdraw.erase(venue, people[name].person)
            story.told[name] += [*(one.receipt for one in done.withdrawn), done.receipt]
            clock.move(MINUTE)
            comes(venue, story, "dan")
            _saved(venue, story, home, "between" if name == first else "erased")
        clock.move(HOUR)
        assert sweep.sweep(venue).rotated
        comes(venue, story, "eve")
        _saved(venue, story, home, "rotated")
        support.copy_of(zoo, home / "today")
    story.folder, story.now = home / "today", clock.now()
    return story


def comes(venue: Venue, story: Story, name: str) -> None:
    """Let somebody in by their pass."""
    decision = support.comes_back(venue, story.people[name].pass_text, ORDER.index(name) + 1)
    assert decision.outcome.value == "admit"


def _after(clock: SetClock, one: enrol.Enrolled) -> enrol.Enrolled:
    clock.move(MINUTE)
    return one


def _other(name: str) -> str:
    return ERASED[1 - ERASED.index(name)]


def _saved(venue: Venue, story: Story, home: Path, moment: str) -> None:
    for which in (backup.DATA, backup.KEYS):
        story.copies[f"{moment} {which}"] = home / f"{moment}-{which}.copy"
        backup.backup(venue, which, home / f"{moment}-{which}.copy")


# -- the attacker


def tables(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables; before each row its hidden number, where the table has those."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in support.tables_of(database):
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
            try:
                found[table] = store.execute(f'SELECT rowid, * FROM "{table}"').fetchall()  # noqa: S608  # our own
            except sqlite3.OperationalError:
                found[table] = [(None, *row) for row in store.execute(f'SELECT * FROM "{table}"')]  # noqa: S608
    return found


def databases(folder: Path, copies: dict[str, Path]) -> dict[str, Path]:
    """Return today's stores and the copies, by name."""
    return {"today data": folder / DATA, "today keys": folder / KEYS, **copies}


def keys(folder: Path, copies: Iterable[Path], third: Path | None = None) -> dict[str, bytes]:
    """Return every key, by its id, that opens with the root and the epoch key of `third`, or today's."""
    where = third or folder
    root = roots.open_root("file:root.key", where)
    wrappings = [Wrapping(epoch.number, epoch.key) for epoch in EpochFile(where / "epoch.key", root).read()]
    opened: dict[str, bytes] = {}
    for path in (folder / KEYS, *copies):
        for row in support.rows_of(path, "wrapped_key") if "wrapped_key" in support.tables_of(path) else []:
            for wrapping in wrappings:
                try:
                    opened[row[0]] = bytes(wrapping.unwrap(row[0], row[2], row[4]))[:32]
                except CountenanceError:
                    continue
    return opened


@dataclass(frozen=True)
class Opened:
    """An event that the attacker has opened, and with which key."""

    key: str
    nonce: bytes
    record: Record


def opened(data: Path, known: dict[str, bytes]) -> dict[int, Opened]:
    """Return every event of a data store that opens, by its place; no tag and no binding is needed for it."""
    found: dict[int, Opened] = {}
    for place, entry, _tag, sealed in support.rows_of(data, "event"):
        for name, key in known.items() if sealed is not None else ():
            plain = Cipher(AES(key), CTR(sealed[:12] + b"\0\0\0\2")).decryptor().update(sealed[12:-16])
            start = NONCE_BYTES + 4
            nonce, record = plain[:NONCE_BYTES], plain[start:start + int.from_bytes(plain[NONCE_BYTES:start])]
            if log_entries.sealed(log_entries.leaf_of(nonce, record)) == entry:
                found[place] = Opened(name, nonce, log_entries.read_record(record))
    return found


def sealed_places(data: Path) -> dict[int, bytes]:
    """Return the leaves of all events about people, by their place."""
    return {row[0]: row[1][1:] for row in support.rows_of(data, "event") if row[3] is not None}


def leaves_told(texts: Sequence[str]) -> dict[bytes, Record]:
    """Return the leaves that receipts open, and what each says."""
    events = [event for text in texts for event in receipts.proven(receipts.split(text)[0])]
    return {event.leaf: log_entries.read_record(event.record) for event in events}


def log_size(folder: Path) -> int:
    """Return how many entries a log's folder says it has."""
    return int((folder / "checkpoint").read_text().splitlines()[1])


def view(folder: Path, copies: dict[str, Path], third: Path | None = None, told: Sequence[str] = ()) -> list[str]:
    """Return everything there is to see, sorted, without the random: what stays of that is where else it occurs.

    `third`: a folder with an older epoch key; `told`: receipts in the attacker's hands.
    """
    places = databases(folder, copies)
    known = keys(folder, copies.values(), third)
    rows: list[tuple[Any, ...]] = []
    for name, path in places.items():
        for table, found in tables(path).items():
            rows += [(name, table, *map(_plain, row)) for row in found]
    for place, event in opened(folder / DATA, known).items():
        rows.append(("opened", place, event.key, *_flat(event.record)))
    for leaf, record in leaves_told(told).items():
        rows.append(("told", leaf, *_flat(record)))
    signed = logs._read((folder / logs.SIGNED).read_bytes())
    rows += [("signed", signed.checkpoint.size, signed.start, number, _plain(entry))
             for number, entry in enumerate(signed.tail)]
    rows += [("gone", line) for text in [(folder / "gone.list").read_text()] for line in re.split(r"\s", text)]
    rows += [("file", str(path.relative_to(folder)), path.stat().st_size)
             for path in sorted((folder / "log").rglob("*")) if path.is_file() and path.name != "checkpoint"]
    return _nameless(rows)


def _plain(value: Any) -> Any:
    """Return a value as it is compared: an entry as its leaf, or as what it says."""
    if isinstance(value, bytes) and value[:1] in (b"\0", b"\1"):
        try:
            entry = log_entries.parse(value)
        except CountenanceError:
            return value
        return entry if isinstance(entry, bytes) else repr((entry.type, entry.at))
    return value


def _flat(record: Record) -> tuple[Any, ...]:
    return (record.type, record.at, record.number, record.before, *record.body.values())


def _is_random(value: Any) -> bool:
    if isinstance(value, bytes):
        return len(value) >= 16
    return isinstance(value, str) and bool(_RANDOM.fullmatch(value))


def _nameless(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Return the rows with each random value replaced by where it stands beside what (colour refinement)."""
    colour = {value: f"{type(value).__name__} {len(value)}" for row in rows for value in row if _is_random(value)}
    seen: list[str] = []
    for _round in range(_ROUNDS):
        seen = [_digest([colour[value] if _is_random(value) else value for value in row]) for row in rows]
        stands: dict[Any, list[str]] = {value: [] for value in colour}
        for row, digest in zip(rows, seen, strict=True):
            for at, value in enumerate(row):
                if _is_random(value):
                    stands[value].append(f"{at} {digest}")
        colour = {value: _digest(sorted(where)) for value, where in stands.items()}
    return sorted(seen)


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
