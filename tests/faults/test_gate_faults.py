"""A server that hangs, drips, resets, lies or says no; a lane that does not help; a camera that goes and comes back."""

from __future__ import annotations

import io
import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countenance.clock import SetClock, SystemClock
from countenance.errors import BadInput, Refused
from countenance.formats.passes import Custody
from countenance.gate.camera import Picture
from countenance.gate.client import Answer, Lane, Server
from countenance.gate.run import Gate, custody_of
from countenance.gate.settings import Place
from countenance.gate.triggers import Inbox, Trigger
from countenance.gate.words import Voice
from countenance.quantities import Instant
from support.gate_server import ADMIT, REFER, Act, certificate, says, serving

KEY = "cnt_key_secret"
VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "passes" / "valid"


def pass_of(custody: Custody) -> str:
    for path in sorted(VECTORS.glob("*.json")):
        text = str(json.loads(path.read_text())["text"])
        if custody_of(text) is custody:
            return text
    raise AssertionError(custody)


CARRIED, PLAIN = pass_of(Custody.CARRIED), pass_of(Custody.PLAIN)


def hangs(request: BaseHTTPRequestHandler) -> None:
    threading.Event().wait(5)


def drips(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(50):
        request.wfile.write(b" ")
        threading.Event().wait(0.1)


def continues(request: BaseHTTPRequestHandler) -> None:
    for _ in range(50):
        request.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        threading.Event().wait(0.1)


def resets(request: BaseHTTPRequestHandler) -> None:
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def cut_short(request: BaseHTTPRequestHandler) -> None:
    body = json.dumps(ADMIT).encode()
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(body) + 1) + body)


def garbage(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"\x00\xff" * 500)


AWAY: dict[str, Act] = {
    "hangs": hangs, "drips": drips, "continues": continues, "resets": resets, "cut short": cut_short,
    "garbage": garbage, "500": says(500, ADMIT), "503": says(503, b"later"), "429": says(429, b"{}"),
    "redirects": says(307, b"", location="http://127.0.0.1:9/"), "201": says(201, ADMIT), "page": says(200, b"<html>"),
    "huge": says(200, b'"' + b"a" * (1 << 20) + b'"'), "deep": says(200, b"[" * 60_000), "list": says(200, [ADMIT]),
    "nobody": says(200, ADMIT | {"people": 0}), "fewer": says(200, ADMIT | {"people": -1}),
    "crowd": says(200, ADMIT | {"people": 51}), "true people": says(200, ADMIT | {"people": True}),
    "text people": says(200, ADMIT | {"people": "1"}), "other word": says(200, ADMIT | {"decision": "ADMIT"}),
    "no word": says(200, {"people": 1}), "token for refer": says(200, REFER | {"door_token": "CND1:x"}),
    "odd token": says(200, ADMIT | {"door_token": 7}), "word list": says(200, ADMIT | {"decision": ["admit"]}),
}


def at(port: int, **more: Any) -> Place:
    return Place(**{"tls": False, "host": "127.0.0.1", "port": port, "path": ""} | more)


@pytest.mark.promise(7)
@pytest.mark.parametrize("name", AWAY)
def test_a_server_that_gives_no_answer_of_a_servers_is_away_in_time(name: str) -> None:
    clock = SystemClock()
    with serving(AWAY[name]) as there:
        start = clock.monotonic()
        with pytest.raises(BadInput) as caught:
            Server(at(there.port), "main", KEY, 0.5).decide(CARRIED)
        assert clock.monotonic() - start < 1.5
    assert caught.value.code == "server-away"
    assert KEY not in str(caught.value)
    assert len(there.asked) == 1  # never sent twice


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422])
def test_a_server_that_says_no_to_this_gate_is_not_away(status: int) -> None:
    with serving(says(status, b"{}")) as there, pytest.raises(Refused) as caught:
        Server(at(there.port), "main", KEY).decide(CARRIED)
    assert caught.value.code == "server-refused"


def test_what_is_sent_is_what_the_contract_says() -> None:
    with serving(says(200, ADMIT)) as there:
        server = Server(at(there.port, path="/zoo"), "main", KEY)
        assert server.decide(CARRIED, picture=memoryview(b"\xff\xd8jpeg")) == Answer("admit", 1, door=True)
        assert server.decide(press=True, picture=memoryview(b"\xff\xd8jpeg")).decision == "admit"
        server.decide(PLAIN)
    (path, headers, body), (_, pressed, _), (_, bare, nothing) = there.asked
    assert (path, body, nothing) == ("/zoo/v1/gates/main/decisions", b"\xff\xd8jpeg", b"")
    assert (headers["authorization"], headers["content-type"]) == (f"Bearer {KEY}", "image/jpeg")
    assert (headers["countenance-pass"], "countenance-press" in headers) == (CARRIED, False)
    assert (pressed["countenance-press"], "countenance-pass" in pressed) == ("1", False)
    assert "content-type" not in bare


def test_tls_is_checked_by_authority_and_by_name(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    _other, other_context = certificate(tmp_path, "elsewhere.example")
    with serving(says(200, ADMIT), context) as there:
        assert Server(at(there.port, tls=True, host="localhost", ca=cert), "main", KEY).decide().decision == "admit"
        for place in (at(there.port, tls=True, host="localhost"), at(there.port, tls=True, ca=cert)):
            with pytest.raises(BadInput, match="does not answer"):
                Server(place, "main", KEY).decide()
        assert len(there.asked) == 1
    with serving(says(200, ADMIT), other_context) as there:
        elsewhere = at(there.port, tls=True, host="localhost", ca=tmp_path / "elsewhere.example.pem")
        with pytest.raises(BadInput, match="does not answer"):
            Server(elsewhere, "main", KEY).decide()
        assert there.asked == []


# -- the gate around it


class FakeCamera:
    def __init__(self) -> None:
        self.looks, self.away = 0, False
        self.given: list[Any] = []

    def look(self, since: float) -> Picture:
        self.looks += 1
        if self.away:
            raise BadInput("camera-away", "The camera gives no picture.")
        self.given.append(np.full(100, 7, np.uint8))
        return Picture(self.given[-1], 3)


class FakeAsked:
    """A server, or a lane."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer, self.asked = answer, list[tuple[str, bool, bool]]()

    def decide(self, shown: str = "", *, press: bool = False, picture: memoryview | None = None) -> Answer:
        self.asked.append((shown, press, picture is not None and any(picture)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


GONE = BadInput("server-away", "The server does not answer.")


class Here:
    def __init__(self, server: Answer | Exception, lane: Answer | Exception | None = None) -> None:
        self.clock = SetClock(Instant(1_800_000_000))
        self.camera, self.server = FakeCamera(), FakeAsked(server)
        self.lane = None if lane is None else FakeAsked(lane)
        self.out, self.err = io.StringIO(), io.StringIO()
        self.gate = Gate(Inbox(self.clock, lambda _e, _c: None), self.camera, self.server, self.lane,  # type: ignore[arg-type]  # fakes
                         Voice(self.out, self.err, as_json=True), self.clock, has_door=True)

    def say(self, shown: str = "") -> tuple[str, str, str]:
        found = self.gate.answer(Trigger(self.clock.monotonic(), shown))
        return found.decision, found.by, found.code


ONE = Answer("admit", 1, door=True)


@pytest.mark.promise(7)
def test_while_the_server_is_away_the_lane_admits_passes_and_presses_are_referred() -> None:
    here = Here(GONE, ONE)
    assert here.say(CARRIED) == ("admit", "lane", "server-away")
    assert here.say() == ("refer", "gate", "server-away")
    here.lane.answer = Answer("refer", 0)  # type: ignore[union-attr]  # there is one
    assert here.say(CARRIED) == ("refer", "lane", "server-away")
    here.lane.answer = BadInput("lane-away", "The lane without faces does not answer.")  # type: ignore[union-attr]  # there is one
    assert here.say(CARRIED) == ("refer", "gate", "lane-away")
    assert len(here.server.asked) == 1  # it rests
    assert here.camera.looks == 1  # and nobody is looked at for nothing
    here.clock.move(1)
    here.server.answer = ONE
    assert here.say(CARRIED) == ("admit", "server", "")
    assert '"server-back"' in here.out.getvalue()


@pytest.mark.promise(7)
@pytest.mark.parametrize("fault", [Refused("server-refused", "No."), RuntimeError("odd"), MemoryError()])
def test_no_other_fault_admits_or_ends_the_gate(fault: Exception) -> None:
    here = Here(fault, ONE)
    for shown in (CARRIED, PLAIN, ""):
        assert here.say(shown)[:2] == ("refer", "gate")
    assert here.lane is not None
    assert here.lane.asked == []
    assert "odd" not in here.err.getvalue()


def test_without_a_lane_a_pass_is_referred() -> None:
    assert Here(GONE).say(CARRIED) == ("refer", "gate", "server-away")


@pytest.mark.promise(3)
@pytest.mark.parametrize("answer", [ONE, Answer("refer", 0), GONE, RuntimeError("odd")])
def test_the_picture_is_zero_after_every_answer(answer: Answer | Exception) -> None:
    here = Here(answer, ONE)
    here.say(CARRIED)
    assert here.server.asked == [(CARRIED, False, True)]  # it was a picture when it was sent
    assert not here.camera.given[0].any()


@pytest.mark.promise(8)
def test_the_holder_of_a_plain_pass_is_not_looked_at() -> None:
    here = Here(ONE)
    assert here.say(PLAIN) == ("admit", "server", "")
    assert here.camera.looks == 0
    assert here.server.asked == [(PLAIN, False, False)]


@pytest.mark.parametrize("shown", ["CN1:", "CN1:ABC", CARRIED[:-2], CARRIED + "0", "CN1:" + "0" * 5_000, CARRIED[:200]])
def test_what_is_no_pass_opens_no_camera_and_asks_nobody(shown: str) -> None:
    here = Here(ONE, ONE)
    assert here.say(shown) == ("refer", "gate", "pass-malformed")
    assert (here.camera.looks, here.server.asked) == (0, [])


def test_a_camera_that_goes_and_comes_back() -> None:
    here = Here(ONE, ONE)
    here.camera.away = True
    for _ in range(3):
        assert here.say(CARRIED) == ("refer", "gate", "camera-away")
    assert here.camera.looks == 1  # it rests
    here.clock.move(1)
    here.camera.away = False
    assert here.say(CARRIED) == ("admit", "server", "")
    assert here.err.getvalue().count("camera-away") == 1
    assert here.err.getvalue().count("camera-back") == 1


@pytest.mark.promise(4)
def test_no_pass_is_printed_and_no_token() -> None:
    for server in (ONE, Answer("refer", 0), GONE, RuntimeError(CARRIED)):
        here = Here(server, ONE)
        for shown in (CARRIED, PLAIN, CARRIED[:-2]):
            here.say(shown)
        assert "CN1:" not in here.out.getvalue() + here.err.getvalue()
        assert "CND1:" not in here.out.getvalue() + here.err.getvalue()


def test_the_lane_gets_the_pass_alone() -> None:
    with serving(says(200, REFER | {"decision": "admit", "people": 2})) as there:
        assert Lane(at(there.port)).decide(CARRIED) == Answer("admit", 2)
    path, headers, body = there.asked[0]
    assert (path, body.decode(), "authorization" in headers) == ("/decide", CARRIED, False)
    with serving(says(500, {})) as there, pytest.raises(BadInput) as caught:
        Lane(at(there.port)).decide(CARRIED)
    assert caught.value.code == "lane-away"
