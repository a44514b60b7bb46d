"""The call to a ticketing system over a real wire: each way of answering wrongly, slowly or for ever."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance import settings
from countenance.clock import SystemClock, utc_day
from countenance.errors import CountenanceError
from countenance.formats import entitlements
from countenance.formats.cose import key_id
from countenance.formats.entitlements import Answer, Question, State
from countenance.integrations import ticketing_call
from countenance.quantities import Instant
from countenance.vault.keys import signing

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (5, 6))
CLOCK = SystemClock()


class Lies:
    """What the server does with a question; `reply` gets the handler, the message and the question."""

    reply: Callable[[BaseHTTPRequestHandler, bytes, Question], None]
    hits = 0


def right(message: bytes, question: Question, **other: Any) -> bytes:
    given = {"answers": [Answer(one, State.UNKNOWN) for one in question.references], "asked": message,
             "on": question.on, "at": CLOCK.now(), "key": KEY, "kid": key_id(KEY.public_key())} | other
    return entitlements.write_answers(**given)


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content_type": "application/cose", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    with suppress(OSError):
        handler.wfile.write(body)


@pytest.fixture
def lies(folder: Path) -> Iterator[tuple[Lies, ticketing_call.Ticketing]]:
    found = Lies()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.hits += 1
            message = self.rfile.read(int(self.headers["content-length"]))
            key = signing.verifier(folder / "signing", "door")
            found.reply(self, message, entitlements.read_question(message, key))

        def do_GET(self) -> None:
            found.hits += 1

        def log_message(self, *_facts: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    here = replace(settings.load(folder), ticketing_url=f"http://127.0.0.1:{server.server_address[1]}/",
                   ticketing_key=KEY.public_key().public_bytes_raw().hex())
    try:
        yield found, ticketing_call.from_settings(folder, here, CLOCK)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


Served = tuple[Lies, ticketing_call.Ticketing]


def ask(there: ticketing_call.Ticketing) -> tuple[Answer, ...]:
    return there(["A-1", "A-2"], utc_day(CLOCK.now()))


def code(there: ticketing_call.Ticketing) -> str:
    with pytest.raises(CountenanceError) as caught:
        ask(there)
    assert caught.value.sentence.endswith(".")
    return caught.value.code


def test_a_right_answer_is_taken(lies: Served) -> None:
    lies[0].reply = lambda handler, message, question: send(handler, right(message, question))
    assert ask(lies[1]) == (Answer("A-1", State.UNKNOWN), Answer("A-2", State.UNKNOWN))


def test_no_two_questions_are_alike(lies: Served) -> None:
    asked: list[bytes] = []
    lies[0].reply = lambda handler, message, question: (asked.append(message), send(handler, right(message, question)))
    ask(lies[1])
    ask(lies[1])
    assert len(set(asked)) == 2


def test_an_answer_that_was_recorded_is_refused(lies: Served) -> None:
    kept: list[bytes] = []

    def reply(handler: BaseHTTPRequestHandler, message: bytes, question: Question) -> None:
        kept.append(right(message, question))
        send(handler, kept[0])

    lies[0].reply = reply
    ask(lies[1])
    assert code(lies[1]) == "tickets-other-question"


@pytest.mark.parametrize(("change", "expected"), [
    ({"key": OTHER}, "tickets-altered"), ({"key": OTHER, "kid": key_id(OTHER.public_key())}, "tickets-altered"),
    ({"asked": b"another"}, "tickets-other-question"), ({"on": utc_day(Instant(0))}, "tickets-other-day"),
    ({"at": Instant(CLOCK.now() - 120)}, "tickets-stale"), ({"at": Instant(CLOCK.now() + 600)}, "tickets-stale"),
    ({"answers": []}, "tickets-other"),
    ({"answers": [Answer(one, State.UNKNOWN) for one in ("A-1", "A-2", "A-3")]}, "tickets-other"),
    ({"answers": [Answer(one, State.UNKNOWN) for one in ("A-1", "A-1", "A-2")]}, "tickets-other"),
    ({"answers": [Answer("A-1", State.UNKNOWN)]}, "tickets-other")])
def test_what_is_signed_and_does_not_fit_is_refused(lies: Served, change: dict[str, Any], expected: str) -> None:
    lies[0].reply = lambda handler, message, question: send(handler, right(message, question, **change))
    assert code(lies[1]) == expected


def test_what_is_not_signed_is_refused(lies: Served) -> None:
    lies[0].reply = lambda handler, message, question: send(handler, b"\xa1\x65state\x64good")
    assert code(lies[1]) == "tickets-malformed"
    lies[0].reply = lambda handler, message, question: send(handler, message)  # our own question, sent back
    assert code(lies[1]) == "tickets-altered"


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 308, 400, 403, 404])
def test_another_status_is_refused_and_no_redirection_followed(lies: Served, status: int) -> None:
    lies[0].reply = lambda handler, message, question: send(handler, b"", status, location=lies[1].url)
    assert code(lies[1]) == "ticketing-wrong"
    assert lies[0].hits == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_system_that_cannot_answer_now_is_silent(lies: Served, status: int) -> None:
    lies[0].reply = lambda handler, message, question: send(handler, b"", status)
    assert code(lies[1]) == "ticketing-silent"


@pytest.mark.parametrize("headers", [{"content_encoding": "gzip"}, {"content_encoding": "identity"},
                                     {"content_type": "text/html"}, {"content_type": ""}])
def test_a_compressed_answer_or_one_of_another_type_is_refused(lies: Served, headers: dict[str, str]) -> None:
    lies[0].reply = lambda handler, message, question: send(
        handler, gzip.compress(right(message, question)) if headers.get("content_encoding") == "gzip"
        else right(message, question), **headers)
    assert code(lies[1]) == "ticketing-wrong"


def test_an_oversized_answer_is_refused(lies: Served) -> None:
    lies[0].reply = lambda handler, message, question: send(handler, bytes(ticketing_call.LARGEST_ANSWER + 1))
    assert code(lies[1]) == "ticketing-wrong"


def dripping(connection: socket.socket, what: bytes, ended: threading.Event) -> None:
    with suppress(OSError):
        while not ended.wait(0.05):
            connection.sendall(what)


@pytest.mark.parametrize(("begin", "drip"), [
    (b"", b""), (b"HTTP/1.1 200 OK\r\nx: ", b"x"), (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    (b"HTTP/1.1 200 OK\r\ncontent-type: application/cose\r\ncontent-length: 9999\r\n\r\n", b"\xa0")])
def test_one_that_hangs_or_drips_is_cut_off_after_two_seconds(lies: Served, begin: bytes, drip: bytes) -> None:
    ended = threading.Event()

    def reply(handler: BaseHTTPRequestHandler, message: bytes, question: Question) -> None:
        with suppress(OSError):
            handler.connection.sendall(begin)
        dripping(handler.connection, drip, ended)

    lies[0].reply = reply
    start = CLOCK.monotonic()
    try:
        assert code(lies[1]) == "ticketing-silent"
        assert CLOCK.monotonic() - start < ticketing_call.TIMEOUT_S + 1
    finally:
        ended.set()


def test_nobody_there_is_silent(lies: Served) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        assert code(replace(lies[1], url=f"http://127.0.0.1:{taken.getsockname()[1]}/")) == "ticketing-silent"


def test_a_proxy_of_the_environment_is_not_used(lies: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    lies[0].reply = lambda handler, message, question: send(handler, right(message, question))
    assert ask(lies[1])


@contextmanager
def refused(expected: str) -> Iterator[None]:
    with pytest.raises(CountenanceError) as caught:
        yield
    assert caught.value.code == expected


@pytest.mark.parametrize("url", ["http://tickets.example/", "http://localhost:8070/", "http://10.0.0.1/", "ftp://x/",
                                 "https://", "https://user:word@tickets.example/", "tickets", "http://[::1",
                                 "https://tickets.example/#x", "http://127.0.0.1.example/"])
def test_booking_numbers_go_nowhere_in_the_clear(folder: Path, url: str) -> None:
    here = replace(settings.load(folder), ticketing_url=url, ticketing_key=KEY.public_key().public_bytes_raw().hex())
    with refused("ticketing-address"):
        ticketing_call.from_settings(folder, here, CLOCK)


@pytest.mark.parametrize("key", ["", "00" * 32, "01" + "00" * 31, "xy" * 32, "ab" * 31, "ab" * 33])
def test_a_key_that_is_none_or_takes_any_signature_is_refused(folder: Path, key: str) -> None:
    here = replace(settings.load(folder), ticketing_url="https://tickets.example/", ticketing_key=key)
    with refused("ticketing-key"):
        ticketing_call.from_settings(folder, here, CLOCK)


@pytest.mark.parametrize("url", ["https://tickets.example/q", "http://127.0.0.1:8070/", "http://[::1]:8070/"])
def test_addresses_that_may_be_asked(folder: Path, url: str) -> None:
    here = replace(settings.load(folder), ticketing_url=url, ticketing_key=KEY.public_key().public_bytes_raw().hex())
    assert ticketing_call.from_settings(folder, here, CLOCK).url == url
