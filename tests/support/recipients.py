"""Recipients for tests: a venue that tells somebody, and servers on loopback that answer in many ways."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from countenance.consent import notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.flows import disclose, events_out
from countenance.flows.events_out import Outgoing, Recipient
from countenance.flows.venue import Venue
from countenance.quantities import PersonId, PurposeId
from support.venue import rows_of

PARKING, LOUNGE = PurposeId("events.parking"), PurposeId("events.lounge")
TEXTS = {"en": "{0} is told when you come in. You may say no.", "zh": "{0} 会得知您入园。您可以拒绝。"}


def recipient(name: str, *types: str, title: str = "") -> Recipient:
    visits = events_out.VISIT in types
    purpose = PurposeId(f"events.{name}" if visits else "")
    return Recipient(name, title or f"{name.title()} Ltd", frozenset(types), purpose)


def tells(venue: Venue, *told: Recipient, valid_days: int = 365) -> None:
    """Have a venue tell these, each with its purpose offered."""
    for one in told:
        if one.purpose:
            texts = {language: text.format(one.title) for language, text in TEXTS.items()}
            disclose.offer(venue, one.name, one.title, "entrance", texts, valid_days)
    events_out.require_asked(venue, told)
    venue.outside = Outgoing(told)


def yes(venue: Venue, purpose: PurposeId) -> Yes:
    with venue.store.read() as unit:
        return Yes(notices.in_force(unit, purpose).hash, "en", Act.ASSERTED)


def agrees(venue: Venue, person: PersonId, purpose: PurposeId = PARKING) -> str:
    return disclose.agree(venue, person, purpose, yes(venue, purpose))


COLUMNS = ("delivery_id", "recipient", "event_id", "body", "attempts", "next_at", "state", "last_code", "made_at",
           "delete_at")


def rows(venue: Venue, state: str = "pending") -> list[dict[str, Any]]:
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows_of(venue.folder / "countenance.db", "delivery")]
    return sorted((row for row in found if row["state"] == state), key=lambda row: (row["made_at"], row["event_id"]))


class There:
    """A server on loopback. `seen`: every request as it came, headers and body."""

    def __init__(self, answer: Callable[[socket.socket, threading.Event], None]) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.connected = 0
        self._answer, self._over = answer, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._open: list[socket.socket] = []

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _from = self._socket.accept()
                self.connected += 1
                self._open.append(line)
                threading.Thread(target=self._one, args=(line,), daemon=True).start()

    def _one(self, line: socket.socket) -> None:
        with suppress(OSError, ValueError), line:
            data = b""
            while b"\r\n\r\n" not in data:
                got = line.recv(65_536)
                if not got:
                    return
                data += got
            head, _, body = data.partition(b"\r\n\r\n")
            parts = (one.decode().partition(": ") for one in head.split(b"\r\n")[1:])
            headers = {name.lower(): value for name, _, value in parts}
            while len(body) < int(headers["content-length"]):
                body += line.recv(65_536)
            self.seen.append((headers, body))
            self._answer(line, self._over)

    def close(self) -> None:
        self._over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        for line in self._open:
            line.close()


@contextmanager
def serving(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[There]:
    there = There(answer)
    there._thread.start()
    try:
        yield there
    finally:
        there.close()


def status(number: int, *more: str) -> Callable[[socket.socket, threading.Event], None]:
    text = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {number} X", "content-length: 0", "connection: close", *more))
    return lambda line, _over: line.sendall(f"{text}\r\n".encode())
