"""Asking the server, and where it does not answer the lane without faces. Nothing is compared or kept here.

An exchange runs in a thread of its own and is cut off at a deadline that no way of answering puts off: a byte now and
then, or a name that is never found. Each has a connection of its own, so that none is sent twice. No proxy that the
environment names is used and no redirection followed: the key goes to the address in the settings only.
"""

from __future__ import annotations

import http.client
import json
import socket
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Literal
from urllib.parse import quote

from countenance.errors import BadInput, Refused
from countenance.gate.settings import Place

ANSWERS_WITHIN_S = 2.0
"""Seconds for a whole exchange, from looking up the name to the last byte."""

LARGEST_ANSWER = 1 << 16
"""Bytes."""

MOST_PEOPLE = 50
"""What one scan can let in; an answer that says more is none."""

Body = bytes | memoryview
_OURS = {401, 403, 404}  # key or gate is not known there any more


@dataclass(frozen=True)
class Answer:
    """What was decided. `door`: whether a door token came with it; the token itself is not kept."""

    decision: Literal["admit", "refer"]
    people: int
    door: bool = False


class Server:
    """The decision route of one gate. `seconds` is for tests."""

    def __init__(self, place: Place, gate_id: str, key: str, seconds: float = ANSWERS_WITHIN_S) -> None:
        self._line = _Line(place, seconds)
        self._path = f"{place.path}/v1/gates/{quote(gate_id, safe='')}/decisions"
        self._key = key

    def decide(self, shown: str = "", *, press: bool = False, picture: memoryview | None = None) -> Answer:
        """Ask with a pass, a press, or both; `picture`: a JPEG, which is sent from where it lies.

        Raises BadInput(server-away): no whole answer in time, 5xx, 429, TLS, or no answer of a server's;
        Refused(server-refused): it does not take this gate's key or request.
        """
        headers = {"authorization": f"Bearer {self._key}", "accept": "application/json"}
        headers |= {"countenance-pass": shown} if shown else {}
        headers |= {"countenance-press": "1"} if press else {}
        headers |= {"content-type": "image/jpeg"} if picture is not None else {}
        away = BadInput("server-away", "The server does not answer.")
        status, body = self._line.post(self._path, headers, b"" if picture is None else picture, away)
        if 400 <= status < 500 and status != 429:
            what = "gate's key, or does not know the gate" if status in _OURS else "way of asking"
            raise Refused("server-refused", f"The server does not take this {what} (status {status}).")
        return _answer(status, body, away)


class Lane:
    """The lane without faces, which admits by the pass alone. `seconds` is for tests."""

    def __init__(self, place: Place, seconds: float = ANSWERS_WITHIN_S) -> None:
        self._line, self._path = _Line(place, seconds), f"{place.path}/decide"

    def decide(self, shown: str) -> Answer:
        """Ask about a pass. Raises BadInput(lane-away)."""
        away = BadInput("lane-away", "The lane without faces does not answer.")
        headers = {"content-type": "text/plain; charset=utf-8", "accept": "application/json"}
        status, body = self._line.post(self._path, headers, shown.encode(), away)
        return _answer(status, body, away)


def _answer(status: int, body: bytes, wrong: BadInput) -> Answer:
    """Read an answer strictly: what is no decision of a server's opens nothing."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise wrong from None
    if status != 200 or not isinstance(value, dict):
        raise wrong
    decision, people, token = value.get("decision"), value.get("people"), value.get("door_token")
    fewest = 1 if decision == "admit" else 0
    if decision not in ("admit", "refer") or type(people) is not int or not fewest <= people <= MOST_PEOPLE:
        raise wrong
    if not (token is None or (isinstance(token, str) and decision == "admit")):
        raise wrong
    return Answer(decision, people, bool(token))


class _Line:
    """The way to one place."""

    def __init__(self, place: Place, seconds: float) -> None:
        self._place, self._seconds, self._context = place, seconds, place.context()

    def post(self, path: str, headers: dict[str, str], body: Body, away: BadInput) -> tuple[int, bytes]:
        """Return status and body. Raises `away`, whatever went wrong."""
        ended: Future[tuple[int, bytes]] = Future()
        held = _Held()

        def run() -> None:
            try:
                ended.set_result(self._posted(path, headers, body, held))
            except BaseException as error:  # noqa: BLE001  # it is raised where somebody waits for it
                ended.set_exception(error)

        Thread(target=run, name="asking", daemon=True).start()
        try:
            return ended.result(self._seconds)
        except Exception:  # noqa: BLE001  # an address, the line, the machine's TLS, or the deadline
            raise away from None
        finally:
            held.hang_up()

    def _posted(self, path: str, headers: dict[str, str], body: Body, held: _Held) -> tuple[int, bytes]:
        there = self._place
        connection = http.client.HTTPConnection(there.host, there.port, timeout=self._seconds)
        raw = socket.create_connection((there.host, there.port), timeout=self._seconds)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            held.hold(raw)
            connection.sock = self._context.wrap_socket(raw, server_hostname=there.host) if self._context else raw
            connection.request("POST", path, body, {**headers, "host": self._named(), "connection": "close",
                                                    "content-length": str(len(body))})
            with connection.getresponse() as answer:
                data = answer.read(LARGEST_ANSWER + 1)
                if len(data) > LARGEST_ANSWER or answer.length:  # longer than may be, or cut short
                    raise ValueError(len(data))
                return answer.status, data
        finally:
            connection.close()
            raw.close()

    def _named(self) -> str:
        there = self._place
        host = f"[{there.host}]" if ":" in there.host else there.host
        return host if there.port == (443 if there.tls else 80) else f"{host}:{there.port}"


class _Held:
    """A second handle of a connection, which TLS does not take away: to end it from another thread."""

    def __init__(self) -> None:
        self._lock, self._cut = Lock(), False
        self._socket: socket.socket | None = None

    def hold(self, taken: socket.socket) -> None:
        with self._lock:
            if self._cut:  # it came after the deadline
                raise TimeoutError
            self._socket = taken.dup()

    def hang_up(self) -> None:
        with self._lock:
            self._cut = True
            if self._socket is not None:
                with suppress(OSError):  # it is gone
                    self._socket.shutdown(socket.SHUT_RDWR)
                self._socket.close()
                self._socket = None
