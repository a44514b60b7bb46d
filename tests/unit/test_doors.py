"""Doors behind HTTP, MQTT and a command: each opens once, says what went wrong, and keeps nobody waiting."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from standardwebhooks import Webhook as Oracle
from standardwebhooks import WebhookVerificationError
from test_mqtt import heard, needs_mosquitto, settings

from countenance.clock import SystemClock
from countenance.errors import StoreFault
from countenance.formats import door_tokens
from countenance.integrations.doors.command import Command
from countenance.integrations.doors.opening import NoDoor, OpenDoor
from countenance.integrations.doors.over_mqtt import OverMqtt
from countenance.integrations.doors.settings import CommandDoor, Door, MqttDoor, WebhookDoor
from countenance.integrations.doors.webhook import Webhook, signature
from countenance.quantities import Instant, VenueId
from support import wires
from support.make_pass_vectors import KEY, KID

SECRET = bytes(range(32))
NOW = SystemClock().now()
TOKEN = door_tokens.issue(VenueId("zoo"), "north", NOW, 3)
TEXT = door_tokens.write(TOKEN, KEY, KID)
MARGIN_S = 0.6
Got = list[tuple[str, dict[str, str], bytes]]


@contextlib.contextmanager
def http(status: int = 204, headers: dict[str, str] | None = None, body: bytes = b"") -> Iterator[tuple[str, Got]]:
    """Give the address of a server that answers so, and what it got."""
    got: Got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, {key.lower(): value for key, value in self.headers.items()}, data))
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_args: Any) -> None:
            """Be quiet."""

    with ThreadingHTTPServer((wires.LOOP, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://{wires.LOOP}:{server.server_port}/open", got
        finally:
            server.shutdown()
            thread.join()


def webhook(url: str, **other: Any) -> Webhook:
    door = WebhookDoor(name="north", url=url, secret=SECRET, **{"timeout_s": 1} | other)
    return Webhook(door, SystemClock())  # the oracle looks at the real time


def code_of(act: Callable[[], None], within_s: float = 1 + MARGIN_S) -> str:
    began = time.perf_counter()
    with pytest.raises(StoreFault) as caught:
        act()
    assert time.perf_counter() - began < within_s
    return caught.value.code


# -- webhook


def test_a_webhook_is_signed_as_the_standard_says() -> None:
    with http() as (url, got):
        webhook(url).open(TEXT, 3)
    [(path, headers, body)] = got
    assert path == "/open"
    assert json.loads(body) == {"gate": "north", "people": 3, "door_token": TEXT}
    assert headers["webhook-id"] == f"door_{TOKEN.token_id.hex()}"
    assert headers["content-type"] == "application/json"
    Oracle(SECRET).verify(body, headers)
    for changed, theirs in ((body + b" ", headers), (body, headers | {"webhook-id": "door_x"}),
                            (body, headers | {"webhook-timestamp": str(NOW + 1)})):
        with pytest.raises(WebhookVerificationError):
            Oracle(SECRET).verify(changed, theirs)
    with pytest.raises(WebhookVerificationError):
        Oracle(bytes(32)).verify(body, headers)


def test_our_signature_is_the_oracle_s() -> None:
    for body in (b"{}", "{\"名\": 1}".encode(), b"x" * 5_000):
        theirs = Oracle(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), body.decode())
        assert signature(SECRET, "msg_1", NOW, body) == theirs


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500, 503])
def test_a_status_that_is_no_yes_is_a_no(status: int) -> None:
    with http(status) as (url, got):
        assert code_of(lambda: webhook(url).open(TEXT, 1)) == "door-refused"
    assert len(got) == 1, "nothing is tried a second time"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with http() as (elsewhere, reached), http(status, {"location": elsewhere}) as (url, _):
        assert code_of(lambda: webhook(url).open(TEXT, 1)) == "door-refused"
    assert reached == []


def test_an_answer_without_an_end_is_not_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"ffff\r\n" + bytes(0xFFFF) + b"\r\n"
    with wires.listening(wires.saying(endless)) as port:
        began = time.perf_counter()
        webhook(f"http://{wires.LOOP}:{port}/").open(TEXT, 1)
        assert time.perf_counter() - began < 0.9


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
BAD_SERVERS: dict[str, tuple[wires.Act, set[str]]] = {
    "silent": (wires.silent, {"door-timeout"}),
    "resets": (wires.resetting, {"door-unreachable"}),
    "drips": (wires.dripping(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 90), {"door-timeout"}),
    "goes on with 102": (wires.dripping(b"HTTP/1.1 102 Processing\r\n\r\n", 0.005), {"door-timeout"}),
    "no HTTP": (wires.saying(b"\x16\x03\x01 open, open!\r\n\r\n"), {"door-unreachable"}),
    "headers without an end": (wires.saying(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300_000), {"door-unreachable"}),
}


@pytest.mark.parametrize("name", BAD_SERVERS)
def test_no_server_keeps_anybody_at_the_door(name: str) -> None:
    act, codes = BAD_SERVERS[name]
    with wires.listening(act) as port:
        door = webhook(f"http://{wires.LOOP}:{port}/")
        assert code_of(lambda: door.open(TEXT, 1)) in codes


def test_nobody_there_and_no_such_name() -> None:
    assert code_of(lambda: webhook(f"http://{wires.LOOP}:{wires.closed_port()}/").open(TEXT, 1)) == "door-unreachable"
    assert code_of(lambda: webhook("http://nobody.invalid/").open(TEXT, 1)) in {"door-unreachable", "door-timeout"}


def test_a_server_that_speaks_no_tls_opens_nothing() -> None:
    with http() as (url, got):
        assert code_of(lambda: webhook(url.replace("http:", "https:")).open(TEXT, 1)) in {
            "door-unreachable", "door-timeout"}
    assert got == []


def test_only_a_fail_safe_door_is_held_and_never_opened_for_it() -> None:
    with http() as (url, got):
        webhook(url).heartbeat()
        assert got == []
        webhook(url, fail="safe", heartbeat_s=5).heartbeat()
    [(_, headers, body)] = got
    assert json.loads(body) == {"door": "north", "hold_s": 15}
    assert headers["webhook-id"].startswith("hold_")
    Oracle(SECRET).verify(body, headers)


def test_no_proxy_of_the_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with http() as (proxy, seen), http() as (url, got):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        webhook(url).open(TEXT, 1)
    assert (len(seen), len(got)) == (0, 1)


# -- MQTT


@needs_mosquitto
def test_a_token_goes_over_mqtt_and_nobody_keeps_it(tmp_path: Path) -> None:
    door = MqttDoor(name="north", topic="doors/north", fail="safe", heartbeat_s=5, timeout_s=1)
    with wires.mosquitto(tmp_path) as port, contextlib.closing(OverMqtt(door, settings(port))) as opened:
        assert code_of(lambda: opened.open(TEXT, 3)) == "door-unreachable"  # the broker is there; nobody listens
        with heard(port, "doors/#") as queue:
            opened.open(TEXT, 3)
            message = queue.get(timeout=2)
            assert (message.topic, message.payload.decode(), message.retain) == ("doors/north", TEXT, False)
            assert message.properties.MessageExpiryInterval <= door_tokens.GOOD_FOR_S  # type: ignore[union-attr]  # it has
            token = door_tokens.read(message.payload.decode(), KEY.public_key(), NOW, "north", VenueId("zoo"))
            assert token.people == 3
            opened.heartbeat()
            message = queue.get(timeout=2)
            assert (message.topic, json.loads(message.payload)) == ("doors/north/hold", {"door": "north", "hold_s": 15})


@pytest.mark.parametrize(("act", "code"), [
    (wires.silent, "door-timeout"), (wires.resetting, "door-unreachable"),
    (wires.saying(bytes.fromhex("20 03 00 87 00")), "door-refused")])
def test_no_broker_keeps_anybody_at_the_door(act: wires.Act, code: str) -> None:
    door = MqttDoor(name="north", topic="doors/north", timeout_s=1)
    with wires.listening(act) as port, contextlib.closing(OverMqtt(door, settings(port))) as opened:
        assert code_of(lambda: opened.open(TEXT, 1)) == code


def deaf_to_heartbeats(line: socket.socket, over: Event) -> None:
    """Be a broker that acknowledges a token, and says nothing to a heartbeat."""
    line.recv(4_096)
    line.sendall(bytes.fromhex("20 03 00 00 00"))
    while data := line.recv(4_096):
        topic = b"doors/north"
        if data[0] & 0xF0 == 0x30 and b"/hold" not in data:
            at = data.index(topic) + len(topic)
            line.sendall(b"\x40\x02" + data[at : at + 2])


def test_a_heartbeat_that_hangs_keeps_nobody_at_the_door() -> None:
    door = MqttDoor(name="north", topic="doors/north", fail="safe", heartbeat_s=5, timeout_s=1)
    with wires.listening(deaf_to_heartbeats) as port, contextlib.closing(OverMqtt(door, settings(port))) as opened:
        codes: list[str] = []
        thread = Thread(target=lambda: codes.append(code_of(opened.heartbeat)))
        thread.start()
        time.sleep(0.3)
        began = time.perf_counter()
        opened.open(TEXT, 1)
        assert time.perf_counter() - began < 0.5
        thread.join()
        assert codes == ["door-timeout"]


# -- command


def command(*words: str, timeout_s: int = 1) -> Command:
    return Command(CommandDoor(name="north", argv=(sys.executable, "-c", *words), timeout_s=timeout_s))


def test_a_command_gets_the_token_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    out = tmp_path / "out.json"
    command("import sys, os, json; json.dump([sys.stdin.read(), dict(os.environ), os.getcwd(), sys.argv[1:], "
            f"sorted(os.listdir('/proc/self/fd'))], open({str(out)!r}, 'w'))", "$(id); rm", timeout_s=5).open(TEXT, 1)
    given, environment, folder, argv, handles = json.loads(out.read_text())
    assert given == f"{TEXT}\n"
    assert set(environment) <= {"LC_CTYPE"}  # which Python itself sets
    assert (folder, argv) == ("/", ["$(id); rm"])
    assert len(handles) <= 5


def test_a_command_s_status_is_its_answer(tmp_path: Path) -> None:
    assert code_of(lambda: command("raise SystemExit(3)", timeout_s=5).open(TEXT, 1), 6) == "door-refused"
    killed = command("import os; os.kill(os.getpid(), 9)", timeout_s=5)
    assert code_of(lambda: killed.open(TEXT, 1), 6) == "door-refused"
    nothing = Command(CommandDoor(name="north", argv=(str(tmp_path / "none"),)))
    assert code_of(lambda: nothing.open(TEXT, 1)) == "door-unreachable"
    command("", timeout_s=5).open(TEXT, 1)  # it need not read what it is given


def test_at_the_timeout_the_command_and_its_children_are_killed(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    program = ("import subprocess, sys, os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
               "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
               f"open({str(told)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
               "child.wait()")
    assert code_of(lambda: command(program, timeout_s=2).open(TEXT, 1), 2 + MARGIN_S) == "door-timeout"
    pids = [int(pid) for pid in told.read_text().split()]
    assert len(pids) == 2
    for _ in range(100):
        if not [pid for pid in pids if alive(pid)]:
            return
        time.sleep(0.02)
    pytest.fail("somebody is alive")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"  # an orphan waits for whoever collects it


def test_no_door() -> None:
    door: OpenDoor = NoDoor(Door(name="south"))
    door.open(TEXT, 1)
    door.heartbeat()
    door.close()
    assert door.door.heartbeat_s == 0
    assert isinstance(NOW, int) and Instant(NOW)
