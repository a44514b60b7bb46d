"""A venue that is served for a benchmark. The people are as in `place`.

A gate of the API may try 600 faces a minute at most, so that there are two gates for each client, each with an API
key of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update

from countenance import settings
from countenance.access import keys
from countenance.access.roles import Role
from countenance.bench import place
from countenance.bench.place import Progress
from countenance.clock import SystemClock
from countenance.errors import ModelFault
from countenance.evaluation import portraits
from countenance.flows import enrol, found, gates, pad
from countenance.flows.gates import COMPARES, Mode
from countenance.flows.opening import open_venue
from countenance.flows.venue import Venue
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import PurposeId
from countenance.storage import schema

VERIFY = PurposeId("entry.verify")
CLIENTS, GATES_EACH = 8, 2
ATTEMPTS = settings.MOST["server.attempts_per_minute"]
_PURPOSE = {Mode.PASS: "", Mode.PASS_AND_FACE: VERIFY, Mode.FACE: place.PURPOSE}


@dataclass(frozen=True)
class Served:
    """A venue's folder, and what its visitor brings. `gates`: by mode, the path of each and its API key."""

    folder: Path
    jpeg: bytes
    pass_text: str
    gates: dict[Mode, list[tuple[str, str]]]


@contextmanager
def served(people: int, progress: Progress) -> Iterator[Served]:
    """Set up a venue with gates of each mode, and close it, ready to be served; it is gone at the end of the block."""
    picture = portraits.at_gate(place.PORTRAIT)
    with tempfile.TemporaryDirectory(prefix="countenance-bench-") as temporary:
        folder = Path(temporary) / "venue"
        with _founded(folder, people) as venue:
            pad.pad(venue, place.PURPOSE, people, progress=progress)
            place.enrol_portrait(venue, portraits.jpeg(picture))
            text = place.enrol_portrait(venue, portraits.jpeg(picture), VERIFY)
            made = {mode: [_gate(venue, mode, number) for number in range(CLIENTS * GATES_EACH)] for mode in Mode}
        yield Served(folder, portraits.later(picture)[place.CAPTURE], text, made)


@dataclass(frozen=True)
class AtDoor:
    """One gate with a door, and what somebody brings there."""

    gate: str
    mode: str
    key: str
    pass_text: str


@dataclass(frozen=True)
class Doors:
    """A venue's folder, and its two lanes: `face` asks for a pass and a face, `plain` for a pass."""

    folder: Path
    lanes: dict[str, AtDoor]


@contextmanager
def with_a_door(outside: str) -> Iterator[Doors]:
    """Set up a venue with two gates that share the door named `bench`; `outside`: the text of its outside.toml."""
    with tempfile.TemporaryDirectory(prefix="countenance-bench-") as temporary:
        folder = Path(temporary) / "venue"
        with _founded(folder, 1) as venue:
            face = place.enrol_portrait(venue, portraits.jpeg(portraits.at_gate(place.PORTRAIT)), VERIFY)
            plain = enrol.say_no(venue, pad.reference(0), lambda text: text)
            lanes = {name: AtDoor(*_gate_with_a_door(venue, mode), text)
                     for name, mode, text in (("face", Mode.PASS_AND_FACE, face), ("plain", Mode.PASS, plain))}
        (folder / "outside.toml").write_text(outside, encoding="utf-8")
        (folder / "outside.toml").chmod(0o600)
        yield Doors(folder, lanes)


def _gate_with_a_door(venue: Venue, mode: Mode) -> tuple[str, str, str]:
    path, key = _gate(venue, mode, 0, door="bench")
    return path.split("/")[3], mode.value, key


@contextmanager
def filled(templates: int, progress: Progress) -> Iterator[Path]:
    """Set up a venue with so many templates that the server can search, whatever its scenario allows."""
    with tempfile.TemporaryDirectory(prefix="countenance-bench-") as temporary:
        folder = Path(temporary) / "venue"
        with _founded(folder, templates) as venue:
            with venue.store.write() as unit:
                unit.run(update(schema.purpose).where(schema.purpose.c.purpose_id == place.PURPOSE).values(
                    gallery_cap=templates))
            pad.pad(venue, place.PURPOSE, templates, progress=progress)
        yield folder


def without_search(folder: Path) -> None:
    """Take away every gate that looks for a face among others."""
    with _opened(folder) as venue, venue.store.write() as unit:
        for gate in gates.all_of(unit):
            if gate.mode is Mode.FACE:
                gates.remove(unit, gate.gate_id)


@contextmanager
def _founded(folder: Path, people: int) -> Iterator[Venue]:
    clock = SystemClock()
    found.found(folder, clock, name="Benchmark", contact="nobody", scenario="annual-pass", regime="cn",
                threshold=found.DEMO_ONLY)
    path = folder / settings.FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("attempts_per_minute = 60 ", f"attempts_per_minute = {ATTEMPTS} "), encoding="utf-8")
    if settings.load(folder).attempts_per_minute != ATTEMPTS:
        raise ModelFault("bench-settings", "The settings of a new venue are not what this benchmark changes.")
    place.write_tickets(folder / found.TICKETS, people, clock)
    with _opened(folder) as venue:
        yield venue


@contextmanager
def _opened(folder: Path) -> Iterator[Venue]:
    with open_venue(folder, CsvEntitlement(folder / found.TICKETS), SystemClock()) as venue:
        yield venue


def _gate(venue: Venue, mode: Mode, number: int, door: str = "") -> tuple[str, str]:
    name, purpose = f"bench-{mode.value}-{number}", _PURPOSE[mode]
    with venue.store.write() as unit:
        gates.add(unit, name, mode, purpose, zone="entrance", door=door)
        named = [PurposeId(purpose)] if COMPARES[mode] else []
        key = keys.make(unit, Role.GATE, gate=name, purposes=named, pressed=mode is Mode.FACE, label="bench",
                        by="machine", days=1)
    return f"/v1/gates/{name}/decisions", key.text
