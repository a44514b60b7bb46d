"""A venue for tests: founded once, copied for each test, its clock set by hand, its camera without faces.

The camera takes drawn pictures of one colour; the stub pack finds "one face" in each and measures its colour, so
that consent, keys, permits, stores and passes run as they are and no photograph of anybody is needed.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from countenance.clock import SetClock, utc_day
from countenance.consent import notices
from countenance.consent.acts import Act, Age
from countenance.consent.consents import Yes
from countenance.demo import attacker
from countenance.features import Probe, quantise
from countenance.flows import admit, duties, enrol, found, gates, pad, passes
from countenance.flows import opening as venues
from countenance.flows.venue import Venue
from countenance.formats import log_entries, signed_note, statements
from countenance.integrations.entitlement import COLUMNS, CsvEntitlement
from countenance.permits import Door, Permit, PermitBook, Scope
from countenance.quantities import Instant, PurposeId
from countenance.vault.keys import signing
from countenance.vault.keys.store import KeyRef
from countenance.vault.residue import Needle
from countenance.vision import packs
from countenance.vision.detect import Box, Detection
from countenance.vision.face_quality import Assessment, Component
from countenance.vision.image import Frame

START = Instant(1_782_000_000)  # 2026-06-21T00:00:00Z
VERIFY, KEYED, SEARCH = PurposeId("entry.verify"), PurposeId("entry.key"), PurposeId("entry.search")
"""Carried, holder_keyed, venue_keyed."""

DATABASES = ("countenance.db", "keys.db")
LONG = date(2029, 12, 31)


FLAWLESS = Assessment({name: Component(native, 100) for name, native in (
    ("HeadPoseYaw", 0.0), ("HeadPosePitch", 0.0), ("HeadPoseRoll", 0.0), ("OwnSharpness", 1.0))})


class StubPack:
    """Plays a `FacePack`: every picture holds one face in its middle, and a face is its colour."""

    identity = packs.load().identity
    dim = 128
    step = packs.load().manifest.step

    def assess(self, frame: Frame, found: list[Detection], face: Detection) -> Assessment:
        return FLAWLESS

    def own(self, name: str) -> Path | None:
        return None

    def detect(self, frame: Frame, smallest_face_px: float) -> list[Detection]:
        width, height = frame.size
        side = smallest_face_px * 1.25
        left, top = (width - side) / 2, (height - side) / 2
        return [Detection(Box(left, top, left + side - 1, top + side - 1), 1.0)]

    def align(self, frame: Frame, detection: Detection) -> NDArray[np.uint8]:
        return np.ascontiguousarray(frame.pixels[100:250, 100:250])

    def embed(self, book: PermitBook, permit: Permit, scope: Scope, chip: NDArray[np.uint8]) -> Probe:
        book.spend(permit, Door.EMBED, scope)
        measured = vector_of(int(chip[0, 0, 0]), int(chip[0, 0, 1]))
        return Probe(quantise(measured, self.step), self.identity, permit, self.step)


def vector_of(person: int, shade: int = 0) -> NDArray[np.float32]:
    """Return the vector that the stub pack measures; strangers lie about 1.4 apart, shades about 0.1."""
    base = np.random.default_rng(person).standard_normal(StubPack.dim)
    noise = np.random.default_rng([person, shade]).standard_normal(StubPack.dim) * 0.1 * (shade > 0)
    return np.asarray(base / np.linalg.norm(base) + noise / np.sqrt(StubPack.dim), np.float32)


def picture(person: int, shade: int = 0) -> Callable[[], bytes]:
    """Return a camera that takes one picture of one made-up person, as PNG."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, :] = (7, shade, person)  # OpenCV's order: blue, green, red
    return lambda: bytes(cv2.imencode(".png", pixels)[1])


def no_camera() -> bytes:
    """Stand where a camera must not be used."""
    raise AssertionError("a picture was taken")


def write_tickets(folder: Path, tickets: dict[str, date]) -> None:
    """Write `tickets.csv`: booking number to last day."""
    with (folder / "tickets.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows([ref, "", until.isoformat(), "en", ""] for ref, until in tickets.items())


def everybody(synthetic: int = 20) -> dict[str, date]:
    """Return tickets for `ada`, `ben`, `cem` and for the first made-up people of `flows.pad`."""
    return dict.fromkeys(("ada", "ben", "cem", *(pad.reference(n) for n in range(synthetic))), LONG)


def make_venue(folder: Path, clock: SetClock | None = None, *, name: str = "Test Zoo", root: str = "file:root.key",
               tickets: dict[str, date] | None = None) -> Path:
    """Found a venue, open with the demo's threshold, and write its tickets."""
    found.found(folder, clock or SetClock(START), name=name, contact="desk", scenario="annual-pass", regime="cn",
                root=root, threshold=found.DEMO_ONLY)
    write_tickets(folder, everybody() if tickets is None else tickets)
    return folder


@contextmanager
def open_venue(folder: Path, clock: SetClock | None = None, pack: Any = None) -> Iterator[Venue]:
    """Open a venue with the stub pack, or with `pack`."""
    entitlement = CsvEntitlement(folder / "tickets.csv")
    with venues.open_venue(folder, entitlement, clock or SetClock(START)) as venue:
        venue._pack = cast("Any", pack or StubPack())
        yield venue


def copy_of(folder: Path, to: Path) -> Path:
    """Copy a folder as it lies on the disk now: what a crash, or a backup, leaves."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm")))


def says_yes(venue: Venue, purpose: PurposeId = VERIFY, act: Act = Act.ASSERTED) -> Yes:
    """Return a yes to the notice in force."""
    with venue.store.read() as unit:
        return Yes(notices.in_force(unit, purpose).hash, "en", act, Age.OF_AGE)


def as_written(text: str) -> str:
    """Hand a pass over and read it back."""
    return text


def enrolled(venue: Venue, reference: str = "ada", person: int = 1, purpose: PurposeId = VERIFY) -> enrol.Enrolled:
    """Enrol one made-up person."""
    return enrol.enrol(venue, reference, purpose, says_yes(venue, purpose), picture(person), as_written)


def comes_back(venue: Venue, pass_text: str, person: int = 1) -> admit.Decision:
    """Show a pass at the gate, with another picture of the same person; raises as `admit.by_pass`."""
    return admit.by_pass(venue, pass_text, picture(person, shade=9))


def other_lane(venue: Venue, pass_text: str, at: Instant | None = None) -> str:
    """Show a pass at the lane without faces; return the booking number that it stands for, or raise."""
    keys = signing.verifiers(venue.folder / found.SIGNING, "pass")
    now = venue.clock.now() if at is None else at
    return passes.plain_lane(pass_text, keys, venue.venue_id, venue.entitlement, now).reference


def rows_of(database: Path, table: str) -> list[tuple[Any, ...]]:
    """Return all rows of one table, read by a connection of its own."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608  # from our own schema


def needles(venue: Venue, ref: KeyRef) -> list[Needle]:
    """Return what a search for a key looks for; whoever has the root and today's files can tell."""
    return attacker.key_needles(venue, ref)


def count(folder: Path, table: str) -> int:
    """Return how many rows a table has."""
    return len(rows_of(folder / ("keys.db" if table == "wrapped_key" else "countenance.db"), table))


def clear_events(folder: Path) -> list[log_entries.Clear]:
    """Return the events about nobody, oldest first."""
    found = (log_entries.parse(row[1]) for row in rows_of(folder / "countenance.db", "event"))
    return [event for event in found if isinstance(event, log_entries.Clear)]


def tables_of(database: Path) -> list[str]:
    """Return the names of all tables of a database."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return sorted(name for (name,) in names)


def state_of(folder: Path) -> dict[str, str]:
    """Return a digest of every table's rows of both databases, and of the bytes of every other file."""
    state = {}
    for name in DATABASES:
        for table in tables_of(folder / name) if (folder / name).exists() else []:
            rows = sorted(repr(row) for row in rows_of(folder / name, table))
            state[f"{name}/{table}"] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    for path in _files(folder):
        if not path.name.startswith(DATABASES):
            state[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return state


def state_but_log(folder: Path) -> dict[str, str]:
    """Return `state_of` for stories that write into the log and change nothing else: without its tables, and the time.

    What they wrote: `clear_events`.
    """
    logged = {f"countenance.db/{table}" for table in ("event", "log", "log_tile", "mark")}
    state = {name: digest for name, digest in state_of(folder).items() if name not in logged}
    marks = {f"mark {name}": str(at) for name, at in rows_of(folder / "countenance.db", "mark")}
    del marks["mark time"]
    return state | marks


def bytes_of(folder: Path) -> dict[str, str]:
    """Return the hash of every file's bytes."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in _files(folder)}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def duties_done(folder: Path, clock: SetClock | None = None) -> None:
    """Have the duties of a venue with a calibrated threshold done: a signer, an assessment, a sign, a pass shown."""
    clock = clock or SetClock(START)
    private = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    path = folder / "venue.toml"
    key = signed_note.key_of(private, "counsel").text
    path.write_text(path.read_text("utf-8").replace("signers = []", f'signers = ["{key}"]'), "utf-8")
    with venues.open_venue(folder, CsvEntitlement(folder / "tickets.csv"), clock) as venue:
        do_duties(venue)


def do_duties(venue: Venue) -> None:
    """As `duties_done`, in an open venue, which believes this key until it is closed."""
    private = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    venue.settings = replace(venue.settings, signers=(signed_note.key_of(private, "counsel").text,))
    with venue.store.read() as unit:
        config = duties.configuration(unit, venue.settings)
        zones = sorted({gate.zone for gate in gates.all_of(unit) if gate.purpose})
        subjects = [("assessment", config), *(("sign", f"zone:{zone}") for zone in zones)]
        if duties.needs_counsel(venue.settings):
            subjects.append(("counsel", venue.settings.scenario))
        missing = [(kind, subject) for kind, subject in subjects if duties.standing(unit, kind, subject) is None]
    for kind, subject in missing:
        duties.take(venue, signed(venue, kind, subject, private))
    for zone in zones:
        duties.proven(venue, zone, "plain")


def signed(venue: Venue, kind: str, subject: str, private: Ed25519PrivateKey | None = None, days: int = 300) -> str:
    """Return a statement about this venue, signed by the key that `duties_done` settles."""
    private = private or Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    today = utc_day(venue.clock.now())
    text = statements.Statement(kind, venue.venue_id, subject, hashlib.sha256(kind.encode()).hexdigest(), today,
                                today + timedelta(days)).text()
    return signed_note.Note(text, (signed_note.sign(text, "counsel", private),)).encode()
