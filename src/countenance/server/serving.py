"""A venue that is being served: what is opened for it, what runs beside it, and how it ends.

Faces are compared once the model is loaded and the galleries are read; passes are good from the first second. What
runs beside: the sweep once an hour, the log's publication, enrolments whose pass nobody took, events to be sent, and
heartbeats of doors. Each may fail by itself: then it is tried again, and faces wait where a rule says so.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket
from threading import Event, Thread
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from countenance.clock import Clock, SystemClock
from countenance.errors import CountenanceError
from countenance.flows import events_out, gates, log, sweep
from countenance.flows.gates import Mode
from countenance.flows.opening import open_venue
from countenance.integrations import outside, outside_events
from countenance.integrations.dispatcher import Dispatcher
from countenance.integrations.doors.opening import open_doors
from countenance.integrations.entitlements_open import open_entitlement
from countenance.integrations.feed import Feed
from countenance.quantities import HOUR
from countenance.server.api import health
from countenance.server.app import app_of
from countenance.server.handshakes import Handshakes, secured
from countenance.server.logs import Log, take_over
from countenance.server.metrics import Metrics
from countenance.server.protocol import bounded
from countenance.server.state import Serving

SWEEP_EVERY_S = HOUR
LOOK_EVERY_S = 5.0
"""Seconds between sweeps, and between looks at what is due."""

GOODBYE_S = 10
"""Seconds in which requests may end after the server was told to."""


@dataclass(frozen=True)
class Address:
    """Where the server listens, and how browsers see it. `hosts`: what a Host header may say."""

    origin: str
    hosts: frozenset[str]
    certificate: Path | None = None
    key: Path | None = None


@contextmanager
def opened(folder: Path, origin: str, lines: Log, clock: Clock | None = None,
           pack: Any = None, *, behind_proxy: bool = False) -> Iterator[Serving]:
    """Open a venue for serving, and close it with everything beside it.

    Raises as `open_venue`, and StoreFault(outside-*). `pack`: in place of the model that the settings name, for tests.
    """
    clock = clock or SystemClock()
    told = outside.load(folder)
    with ExitStack() as stack:
        entitlement = open_entitlement(folder, clock)
        stack.callback(getattr(entitlement, "close", _nothing))
        venue = stack.enter_context(open_venue(folder, entitlement, clock))
        if pack is not None:
            venue.use_pack(pack)
        outside_events.attach(venue, told.recipients, told.mqtt)
        here = Serving(venue, origin, Feed(), Metrics(), open_doors(told, clock), behind_proxy)
        stack.callback(here.feed.close)
        for door in here.doors.values():
            stack.callback(door.close)
        sending = Dispatcher(venue, outside_events.senders(venue, told.recipients, told.mqtt))
        stack.callback(sending.close)
        beside = _Beside(here, lines)
        stack.callback(beside.close)
        sending.start()
        beside.start()
        yield here


def _nothing() -> None:
    """There is nothing to close."""


class _Beside:
    """What runs beside the requests, each in a thread of its own."""

    def __init__(self, here: Serving, lines: Log) -> None:
        self._here, self._lines = here, lines
        self._stop = here.ending
        self._health: str | None = None  # as it was told last
        jobs: list[tuple[str, Callable[[], None]]] = [("due", self._look), ("warm", self._warm)]
        jobs += [(f"door {name}", self._beating(name)) for name, door in here.doors.items() if door.door.heartbeat_s]
        self._threads = [Thread(target=job, name=name, daemon=True) for name, job in jobs]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End, and undo the enrolments that wait for their pass."""
        self._stop.set()
        for thread in self._threads:
            thread.join(GOODBYE_S)
        self._here.tally.write()
        with suppress(CountenanceError):
            self._here.handed_over.give_up_late(everything=True)

    def _warm(self) -> None:
        """Load the model, and the galleries of the gates that search; then the server is ready."""
        self._tried("warm", self._load)
        self._here.ready.set()

    def _load(self) -> None:
        venue = self._here.venue
        with venue.store.read() as unit:
            searched = {gate.purpose for gate in gates.all_of(unit) if gate.mode is Mode.FACE}
            compares = any(gate.mode is not Mode.PASS for gate in gates.all_of(unit))
        if compares:
            _ = venue.pack
        for purpose in searched:
            self._tried("gallery", partial(venue.galleries.exact, purpose))

    def _look(self) -> None:
        clock = self._here.venue.clock
        due = clock.monotonic()
        while not self._stop.wait(LOOK_EVERY_S):
            self._tried("read-back", self._here.handed_over.give_up_late)
            self._tried("counts", self._here.tally.write)
            if clock.monotonic() >= due:
                due = clock.monotonic() + SWEEP_EVERY_S
                self._tried("sweep", lambda: sweep.sweep(self._here.venue))
            self._tried("publish", lambda: log.publish(self._here.venue))
            self._tried("health", self.tell_health)

    def tell_health(self) -> None:
        """Tell whoever is told of it when faces can be compared again, or no more; and once at the beginning."""
        venue = self._here.venue
        if venue.outside is None or not venue.outside.told_of("health.changed") or not self._here.ready.is_set():
            return
        code = next(iter(health.not_ready(self._here).values()), "")
        if code != self._health:
            with venue.store.write() as unit:
                events_out.clear(unit, venue, "health.changed", {"ready": not code, "code": code})
            self._health = code

    def _beating(self, name: str) -> Callable[[], None]:
        door = self._here.doors[name]

        def beat() -> None:
            while not self._stop.wait(door.door.heartbeat_s):
                self._tried("heartbeat", door.heartbeat)

        return beat

    def _tried(self, job: str, act: Callable[[], object]) -> None:
        try:
            act()
        except CountenanceError as error:
            self._lines.trouble("job-failed", error, job=job, code=error.code)
        except Exception as error:  # noqa: BLE001  # the next look tries again; the thread must not end
            self._lines.trouble("job-failed", error, job=job)


class Server(uvicorn.Server):
    """uvicorn, which tells streams that it ends: they would otherwise hold it up."""

    def __init__(self, config: uvicorn.Config, ending: Event) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end: no new connections, and what is under way is finished."""
        self._ending.set()
        super().handle_exit(sig, frame)


def server_of(app: ASGIApp, ending: Event, address: Address) -> Server:
    """Return the server; `run(sockets=[...])` serves until it is told to stop."""
    protocol = bounded()
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, date_header=True, proxy_headers=False,
        lifespan="off", ws="none", timeout_graceful_shutdown=GOODBYE_S,
        http=protocol if address.certificate is None else secured(Handshakes(_tls(address)), protocol))
    return Server(config, ending)


def _tls(address: Address) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(address.certificate or "", address.key, password="")  # one with a password would ask for it
    return context


def run(here: Serving, lines: Log, address: Address, taken: Collection[socket]) -> None:
    """Serve until told to stop; what was acknowledged is on the disk by then."""
    take_over(lines)
    server_of(app_of(here, lines, address.hosts), here.ending, address).run(sockets=list(taken))

