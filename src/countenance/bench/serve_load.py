"""The part of bench serve that asks: clients in a process of their own, each with one connection that stays open.

Each waits for its answer before it asks again. What is no `admit` with status 200 is an error, counted by what it was.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from countenance.clock import SystemClock

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

TIMEOUT_S = 30.0
_TOLD_EVERY = 100


@dataclass(frozen=True)
class Load:
    """What is asked. `asked`: for each client the paths that it asks in turn, each with its API key, "" for none.

    `number`: of all requests, or 0: until the pipe says to stop. `every_s`: the least time between two of one client.
    """

    port: int
    asked: list[list[tuple[str, str]]]
    number: int
    headers: dict[str, str]
    body: bytes = b""
    every_s: float = 0.0


@dataclass
class _Shared:
    load: Load
    pipe: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    begun: int = 0
    took_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def next(self) -> bool:
        with self.lock:
            self.begun += 1
            return not self.stop.is_set() and (not self.load.number or self.begun <= self.load.number)

    def add(self, ms: float, error: str) -> None:
        with self.lock:
            if error:
                self.errors[error] += 1
            else:
                self.took_ms.append(ms)
            done = len(self.took_ms) + self.errors.total()
            if done % _TOLD_EVERY == 0:
                self.pipe.send_bytes(json.dumps(done).encode())


def main(load: Load, pipe: Connection) -> None:
    """Ask, and send the number that is done now and then, and in the end times and errors."""
    shared = _Shared(load, pipe)
    clock = SystemClock()
    clients = [threading.Thread(target=_client, args=(shared, own)) for own in load.asked]
    start = clock.monotonic()
    for client in clients:
        client.start()
    if not load.number:
        pipe.recv_bytes()
        shared.stop.set()
    for client in clients:
        client.join()
    told = {"seconds": clock.monotonic() - start, "took_ms": shared.took_ms, "errors": dict(shared.errors)}
    pipe.send_bytes(json.dumps(told).encode())
    pipe.close()


def _client(shared: _Shared, own: list[tuple[str, str]]) -> None:
    clock, load = SystemClock(), shared.load
    connection = http.client.HTTPConnection("127.0.0.1", load.port, timeout=TIMEOUT_S)
    due, turn = clock.monotonic(), 0
    while shared.next():
        shared.stop.wait(max(0.0, due - clock.monotonic()))
        due = max(due + load.every_s, clock.monotonic())
        path, key = own[turn % len(own)]
        turn += 1
        start = clock.monotonic()
        error = _ask(connection, path, load.headers | ({"x-api-key": key} if key else {}), load.body)
        shared.add((clock.monotonic() - start) * 1000, error)
    connection.close()


def _ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str], body: bytes) -> str:
    """Return what went wrong, "" for nothing."""
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        told: Any = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()  # the next request opens a new one
        return type(error).__name__
    if answer.status != http.client.OK:
        return f"{answer.status} {told.get('code')}"
    return "" if told.get("decision") == "admit" else f"decision {told.get('decision')}"
