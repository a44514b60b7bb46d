"""The server's limits over real sockets: slow, silent, odd and large requests, while others are answered."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from countenance.errors import BadInput, Refused
from countenance.server import bodies, problems
from countenance.server.limits_middleware import LARGEST_JSON, Limits
from countenance.server.protocol import BoundedProtocol, Times, bounded

TIMES = Times(idle=1.0, head=0.5, body=0.5, answer=1.0)
OFF = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


class Named(BaseModel):
    model_config = {"extra": "forbid"}
    name: int


def application() -> FastAPI:
    app = FastAPI(telemetry=OFF, openapi_url=None, docs_url=None, redoc_url=None)
    problems.install(app)

    @app.get("/small")
    async def small() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/echo")
    async def echo(value: str) -> Response:
        return Response("", headers={"x-echo": value})

    @app.post("/picture")
    async def picture(request: Request) -> dict[str, int]:
        upload = await bodies.read_picture(request, within=0.3)
        return {"bytes": len(upload.picture or b"")}

    @app.post("/json")
    async def read(named: Named) -> Named:
        return named

    @app.get("/refused")
    async def refused() -> None:
        error = Refused("attempts", "There were too many attempts.")
        error.retry_after = 7.2  # type: ignore[attr-defined]  # as the limits give it
        raise error

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("the secret of Ann")

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def stream() -> Any:
            import asyncio

            for number in range(5):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.5)

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get("/never")
    async def never() -> None:
        import asyncio

        await asyncio.sleep(30)

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    before = logging.getLogger("uvicorn.error").level
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as taken:
        server = uvicorn.Server(uvicorn.Config(
            Limits(application(), {"127.0.0.1", "[::1]", "zoo.example"}, within=0.4), log_config=None,
            access_log=False, server_header=False, proxy_headers=False, lifespan="off", ws="none",
            http=bounded(TIMES, 400), timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            yield taken.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)
            logging.getLogger("uvicorn.error").setLevel(before)


def talk(port: int, sent: bytes, *, seconds: float = 5.0, half: bool = False) -> bytes:
    """Send, and return everything until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), seconds) as line:
        line.sendall(sent)
        if half:
            line.shutdown(socket.SHUT_WR)
        got = bytearray()
        with suppress(ConnectionResetError):
            while piece := line.recv(65536):
                got += piece
        return bytes(got)


def get(path: str, *headers: str, host: str = "127.0.0.1", method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(path: str, kind: str, body: bytes, *headers: str) -> bytes:
    return get(path, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, method="POST") + body


def told(answer: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), headers, json.loads(body) if body else None


def works(port: int) -> bool:
    return told(talk(port, get("/small")))[0] == 200


def test_what_is_sound_is_answered(port: int) -> None:
    status, headers, body = told(talk(port, get("/small", "x-request-id: mine-1.a_B")))
    assert (status, body, headers["x-request-id"]) == (200, {"ok": True}, "mine-1.a_B")
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers
    assert told(talk(port, post("/picture", "image/jpeg", b"x" * 300_000)))[2] == {"bytes": 300_000}
    assert told(talk(port, get("/small", host="ZOO.example:443")))[0] == 200


@pytest.mark.parametrize("given", ["a b", "x" * 65, "é", "<script>", "a;b", ""])
def test_an_odd_request_id_is_replaced(port: int, given: str) -> None:
    got = told(talk(port, get("/small", f"x-request-id: {given}")))[1]["x-request-id"]
    assert got != given and len(got) == 32


ODD = {
    "path-refused": ["//small", "/x//small", "/../small", "/%2e%2e/small", "/.%2E/small", "/./small", "/small/..",
                     "/small%00", "/a%2fb", "/a%5Cb", "/a\\b", "/a%0d%0ab", "http://evil.example/small", "*"],
    "host-refused": ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil", "localhost", "127.0.0.1:99:99",
                     "127.0.0.1, evil.example", "zoo.example."],
}


@pytest.mark.parametrize("path", ODD["path-refused"])
def test_a_path_that_is_not_plain_is_refused(port: int, path: str) -> None:
    status, _, body = told(talk(port, get(path)))
    assert (status, body["code"]) == (400, "path-refused")


@pytest.mark.parametrize("host", ODD["host-refused"])
def test_another_host_is_refused(port: int, host: str) -> None:
    status, headers, body = told(talk(port, get("/small", host=host)))
    assert (status, body["code"], headers["connection"]) == (400, "host-refused", "close")


RAW = {
    "NUL in the path": b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "no host": b"GET /small HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /small HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\n\r\n",
    "two lengths": b"POST /json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "length and chunks": b"POST /json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another encoding": b"POST /json HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a negative length": b"POST /json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    "a blank before the colon": b"GET /small HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "another version": b"GET /small HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a bad chunk": b"POST /picture HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("sent", RAW)
def test_what_is_no_request_is_refused(port: int, sent: str) -> None:
    status, headers, body = told(talk(port, RAW[sent]))
    assert (status, body["code"]) == (400, "request-malformed")
    assert headers["x-request-id"] == body["request_id"] and headers["connection"] == "close"
    assert works(port)


@pytest.mark.parametrize("sent", [
    get("/" + "a" * 5000), get("/small", "A: " + "b" * 20_000), get("/small", *(f"a{n}: b" for n in range(101))),
    b"GET /small HTTP/1.1\r\nA: " + b"b" * 200_000,
])
def test_large_headers_are_refused(port: int, sent: bytes) -> None:
    status, _, body = told(talk(port, sent))
    assert (status, body["code"]) == (431, "headers-too-large")
    assert told(talk(port, get("/small", *(f"a{n}: b" for n in range(90)))))[0] == 200


def test_a_large_body_is_refused_before_a_byte_of_it(port: int) -> None:
    for path, kind, size in (("/json", "application/json", LARGEST_JSON + 1), ("/picture", "image/jpeg", 100_000_000),
                             ("/picture", "text/plain", LARGEST_JSON + 1), ("/picture", "image/jpeg", 10**18)):
        sent = get(path, f"Content-Type: {kind}", f"Content-Length: {size}", method="POST")
        status, headers, body = told(talk(port, sent))
        assert (status, body["code"], headers["connection"]) == (413, "body-too-large", "close")


def test_a_large_body_in_chunks_is_refused(port: int) -> None:
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    head = get("/json", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST")
    status, _, body = told(talk(port, head + piece + b"1\r\n \r\n0\r\n\r\n"))
    assert (status, body["code"]) == (413, "body-too-large")
    small = b'd\r\n{"name": 12} \r\n0\r\n\r\n'
    assert told(talk(port, head + small))[0] == 200


@pytest.mark.parametrize(("path", "kind"), [("/picture", "image/jpeg"), ("/json", "application/json")])
def test_a_slow_body_is_refused(port: int, path: str, kind: str) -> None:
    answer = talk(port, get(path, f"Content-Type: {kind}", "Content-Length: 50", method="POST") + b"x")
    status, _, body = told(answer)
    assert (status, body["code"]) == (408, "body-slow")


def test_a_request_that_trickles_in_is_cut(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        waiting = threading.Event()
        sent = 0
        with suppress(ConnectionError):
            for byte in get("/small", "A: " + "b" * 200):
                line.sendall(bytes([byte]))
                sent += 1
                waiting.wait(0.05)
        assert 5 < sent < 60  # half a second of it, not as long as bytes come
    assert works(port)


def test_a_silent_connection_ends_and_one_that_is_used_does_not(port: int) -> None:
    assert talk(port, b"") == b""
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        for _ in range(4):
            line.sendall(get("/small").replace(b"Connection: close\r\n", b""))
            got = b""
            while not got.endswith(b'{"ok":true}'):
                piece = line.recv(65536)
                assert piece
                got += piece
            threading.Event().wait(0.4)


def test_a_half_closed_connection_does_no_harm(port: int) -> None:
    talk(port, get("/small"), half=True)
    talk(port, get("/small")[:20], half=True)
    talk(port, post("/picture", "image/jpeg", b"x" * 100)[:-50], half=True)
    assert works(port)


def test_an_answer_that_never_comes_ends_and_a_stream_of_events_does_not(port: int) -> None:
    assert talk(port, get("/never")) == b""
    assert talk(port, get("/events")).count(b"data: ") == 5  # longer than an answer may take


def test_idle_and_slow_connections_do_not_keep_others_out(port: int) -> None:
    """Twice as many as there is room for."""
    with ExitStack() as held:
        for number in range(800):
            line = held.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            with suppress(ConnectionError):
                line.sendall(b"" if number % 2 else b"GET /small HT")
            if number % 100 == 99:
                assert works(port)


def test_a_header_cannot_be_planted_in_an_answer(port: int) -> None:
    answer = talk(port, get("/echo?value=a%0d%0aset-cookie:%20planted=1"))
    assert b"set-cookie" not in answer.lower()
    assert b"x-echo: a b" in talk(port, get("/echo?value=a%20b"))


def test_every_error_is_a_problem(port: int) -> None:
    for sent, status, code in ((get("/nothing/Ann"), 404, "route-unknown"), (get("/broken"), 500, "internal"),
                               (get("/small", method="PUT"), 405, "method-refused"),
                               (get("/refused"), 429, "attempts")):
        got, headers, body = told(talk(port, sent))
        assert (got, body["status"], body["code"], body["type"]) == (status, status, code, f"/v1/problems/{code}")
        assert headers["content-type"] == "application/problem+json" and body["request_id"] == headers["x-request-id"]
        assert "Ann" not in json.dumps(body)
    assert told(talk(port, get("/refused")))[1]["retry-after"] == "8"
    assert told(talk(port, get("/small", method="PUT")))[1]["allow"] == "GET"


@pytest.mark.parametrize(("sent", "fields"), [
    ({"name": "Ann"}, ["body.name"]), ({"Ann": 1, "name": 2}, ["body.?"]), ({}, ["body.name"]), ("Ann", ["body"]),
])
def test_what_is_invalid_is_named_by_its_place_and_not_by_its_value(port: int, sent: Any, fields: list[str]) -> None:
    status, _, body = told(talk(port, post("/json", "application/json", json.dumps(sent).encode())))
    assert (status, body["code"], body["fields"]) == (422, "request-invalid", fields)
    assert "Ann" not in json.dumps(body)
    status, _, body = told(talk(port, post("/json", "application/json", b"{Ann")))
    assert (status, body["fields"]) == (422, ["body"])


def test_the_protocol_is_what_uvicorn_runs() -> None:
    assert issubclass(bounded(), BoundedProtocol) and bounded()._most >= 64
    with pytest.raises(Refused, match="no problem"):
        problems.about("not-a-code")
    assert problems.about("body-cut")["status"] == problems.status_of(BadInput("body-cut", "Cut.")) == 400
