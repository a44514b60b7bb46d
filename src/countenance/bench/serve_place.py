"""A venue that is served for a benchmark, and its server: the program's own command, in a process of its own.

The people are as in `place`. A gate of the API may try 600 faces a minute at most, so that there are two gates for
each client, each with an API key of its own.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
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
from countenance.demo import portraits
from countenance.errors import ModelFault
from countenance.flows import found, gates, pad
from countenance.flows.gates import COMPARES, Mode
from countenance.flows.opening import open_venue
from countenance.flows.venue import Venue
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import PurposeId
from countenance.storage import schema

VERIFY = PurposeId("entry.verify")
CLIENTS, GATES_EACH = 8, 2
ATTEMPTS = settings.MOST["server.attempts_per_minute"]
READY_WITHIN_S = 120.0
_LOOK_S = 0.005
_ENDED_WITHIN_S = 30.0
_PURPOSE = {Mode.PASS: "", Mode.PASS_AND_FACE: VERIFY, Mode.FACE: place.PURPOSE}
_COMMAND = (sys.executable, "-c", "from countenance.cli.main import run; run()")


@dataclass(frozen=True)
class Served:
    """A venue's folder, and what its visitor brings. `gates`: by mode, the name of each gate and its API key."""

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


def _gate(venue: Venue, mode: Mode, number: int) -> tuple[str, str]:
    name, purpose = f"bench-{mode.value}-{number}", _PURPOSE[mode]
    with venue.store.write() as unit:
        gates.add(unit, name, mode, purpose, zone="entrance")
        named = [PurposeId(purpose)] if COMPARES[mode] else []
        key = keys.make(unit, Role.GATE, gate=name, purposes=named, pressed=mode is Mode.FACE, label="bench",
                        by="machine", days=1)
    return name, key.text


class Server:
    """`countenance serve` of one folder, in a process of its own; `with Server(folder) as server:` ends it."""

    def __init__(self, folder: Path) -> None:
        self._clock = SystemClock()
        self._began = self._clock.monotonic()
        self._process = subprocess.Popen(  # noqa: S603  # this program
            [*_COMMAND, "serve", "--port", "0", "--venue", str(folder)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            self.port = self._told()
            self.listens_s = self._clock.monotonic() - self._began
            self.ready_s = self._until_ready()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def rss_mb(self) -> float:
        """Return the memory that the process holds now, in MB (10**6 bytes)."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        return 0.0

    def cpu_s(self) -> float:
        """Return the seconds of processors that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> tuple[int, float]:
        """Tell it to end; return its exit status, and how many seconds it took."""
        began = self._clock.monotonic()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(_ENDED_WITHIN_S)
        return status, self._clock.monotonic() - began

    def kill(self) -> None:
        """End it with nothing said."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def _told(self) -> int:
        assert self._process.stderr is not None  # noqa: S101  # a pipe, above
        for line in self._process.stderr:
            _, serving, origin = line.partition("Serving at ")
            if serving:
                return int(origin.rpartition(":")[2])
        raise ModelFault("bench-server", "The server ended before it listened.")

    def _until_ready(self) -> float:
        wait = threading.Event()
        while (passed := self._clock.monotonic() - self._began) < READY_WITHIN_S:
            if self._answers("/v1/ready") == 200:
                return passed
            wait.wait(_LOOK_S)
        raise ModelFault("bench-server", "The server was not ready in time.")

    def _answers(self, path: str) -> int:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            asked.request("GET", path)
            return asked.getresponse().status
        except OSError:
            return 0
        finally:
            asked.close()
