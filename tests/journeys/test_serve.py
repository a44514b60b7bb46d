"""`countenance serve` as people start it: a process, its options, what it says and what it leaves."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from countenance.clock import SetClock, SystemClock
from countenance.server import handshakes, lan
from support.venue import LONG, START, bytes_of, make_venue

READY_S = 40
EVERYWHERE = "0.0.0.0"  # noqa: S104  # which is refused
RUN = [sys.executable, "-c", "from countenance.cli.main import run; run()"]


@dataclass
class Started:
    process: subprocess.Popen[str]
    said: dict[str, Any]

    def ended(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the status it ended with, and everything it said to people."""
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=30)
        return self.process.returncode, told


@contextmanager
def serving(*options: object, **environment: str) -> Iterator[Started]:
    process = subprocess.Popen([*RUN, "serve", "--json", "--port", "0", *map(str, options)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], READY_S)
        assert ready, "it says nothing"
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Started(process, json.loads(line))
    finally:
        process.kill()
        process.communicate()


def refused(*options: object) -> tuple[int, str]:
    """Return the status and the code that a start ends with."""
    done = subprocess.run([*RUN, "serve", "--json", *map(str, options)], capture_output=True, text=True, check=False,
                          timeout=READY_S)
    return done.returncode, json.loads(done.stdout.splitlines()[0])["error"]["code"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> lan.Made:
    return lan.certificate(tmp_path_factory.mktemp("tls"), "192.0.2.7", SystemClock())


def test_a_demo_leaves_a_working_venue(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    with serving("--demo", "--venue", home, SSH_CONNECTION="192.0.2.1 50000 192.0.2.9 22") as server:
        origin, keys = server.said["origin"], server.said["keys"]
        with httpx.Client(base_url=origin) as client:
            assert client.get("/v1/health").json() == {"status": "ok"}
            for path in ("/gate/main", "/staff/main", "/me", "/enrol", "/console"):
                assert client.get(path).status_code == 200
            plain = client.post("/v1/passes/plain", json={"reference": "ZOO-1003"}, headers={"x-api-key": keys["desk"]})
            text = plain.json()["pass"]
        status, told = server.ended()
    port = origin.rpartition(":")[2]
    assert f"ssh -L {port}:localhost:{port} 192.0.2.9" in told
    assert (status, told.splitlines()[-1]) == (0, "Ended; what was acknowledged is kept.")
    with serving("--demo", "--venue", home) as again, httpx.Client(base_url=again.said["origin"]) as client:
        older = client.get("/v1/gates", headers={"x-api-key": keys["desk"]})
        assert older.json()["code"] == "key-revoked"  # the keys of the start before open nothing more
        key = {"x-api-key": again.said["keys"]["gate"]}
        assert {gate["gate"] for gate in client.get("/v1/gates", headers=key).json()["gates"]} == {
            "main", "plain", "quick"}
        shown = client.post("/v1/gates/main/decisions", headers={**key, "countenance-pass": text})
        assert shown.json()["decision"] == "admit"  # who said no comes in at the same gate


def test_a_venue_that_no_demo_made_is_not_opened_to_everybody(tmp_path: Path) -> None:
    home = make_venue(tmp_path / "zoo")
    before = bytes_of(home)
    assert refused("--demo", "--venue", home, "--port", "0") == (4, "demo-not")
    assert bytes_of(home) == before


@pytest.mark.parametrize(("options", "code"), [
    (["--host", EVERYWHERE], "serve-tls"),
    (["--host", "::"], "serve-tls"),
    (["--host", EVERYWHERE, "--behind-proxy"], "serve-origin"),
    (["--cert", "no.pem"], "serve-tls"),
    (["--cert", "no.pem", "--key", "no.key"], "serve-tls"),
    (["--lan", "--cert", "no.pem", "--key", "no.key"], "serve-tls"),
])
def test_without_tls_nobody_beyond_this_machine_is_served(tmp_path: Path, options: list[str], code: str) -> None:
    home = make_venue(tmp_path / "zoo")
    before = bytes_of(home)
    assert refused("--venue", home, "--port", "0", *options) == (4, code)
    assert bytes_of(home) == before


def test_a_port_that_is_taken_leaves_no_demo(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused("--demo", "--venue", tmp_path / "demo", "--port", port) == (4, "listen-address")
    assert not (tmp_path / "demo").exists()


def test_with_a_certificate_it_is_served_over_tls(tmp_path: Path, pair: lan.Made) -> None:
    home = make_venue(tmp_path / "zoo", tickets={"ada": LONG})
    trusted = ssl.create_default_context(cafile=str(pair.authority))
    with serving("--venue", home, "--cert", pair.certificate, "--key", pair.key) as server:
        origin = server.said["origin"]
        assert origin.startswith("https://localhost:")
        with httpx.Client(base_url=origin, verify=trusted) as client:
            assert client.get("/v1/health").status_code == 200
        with httpx.Client(base_url=origin) as stranger, pytest.raises(httpx.ConnectError):
            stranger.get("/v1/health")
        assert server.ended()[0] == 0


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_silent_and_half_handshakes_stop_nobody_and_end(tmp_path: Path, pair: lan.Made, sent: bytes) -> None:
    home = make_venue(tmp_path / "zoo")
    trusted = ssl.create_default_context(cafile=str(pair.authority))
    with ExitStack() as stack:
        server = stack.enter_context(serving("--venue", home, "--cert", pair.certificate, "--key", pair.key))
        origin = server.said["origin"]
        port = int(origin.rpartition(":")[2])
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                  for _ in range(handshakes.AT_ONCE + 44)]
        for one in opened:
            with suppress(OSError):  # those that had to make room
                one.sendall(sent)
        with httpx.Client(base_url=origin, verify=trusted, timeout=handshakes.HANDSHAKE_S - 1) as client:
            assert client.get("/v1/health").json() == {"status": "ok"}
        until = time.monotonic() + handshakes.HANDSHAKE_S * 3
        assert all(ended(one, until) for one in opened)
        assert server.ended()[0] == 0


def ended(one: socket.socket, until: float) -> bool:
    """Tell whether the other side ends this connection in time, whatever it says first."""
    one.settimeout(max(0.1, until - time.monotonic()))
    try:
        while one.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


# -- the authority of one building


def handshake(made: lan.Made, name: str, certificate: Path | None = None) -> None:
    """Shake hands in memory as a browser that trusts the authority alone; raises ssl.SSLError."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate or made.certificate, made.key)
    theirs = ssl.create_default_context(cafile=str(made.authority))
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = theirs.wrap_bio(to_them, to_us, server_hostname=name)
    server = ours.wrap_bio(to_us, to_them, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("name", ["localhost", "192.0.2.7", "127.0.0.1"])
def test_the_authority_vouches_for_this_machine(pair: lan.Made, name: str) -> None:
    handshake(pair, name)


def test_and_for_nobody_else(pair: lan.Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(pair, "zoo.example")  # the certificate does not say this name
    speaks_for, leaves = ["localhost", "192.0.2.7"], []
    permitted = lan._permitted

    def only_those(one: Any) -> Any:  # as if somebody had kept the authority's key, to sign for another name
        leaves.append(str(one.value))
        return permitted(one) if str(one.value) in speaks_for else permitted(lan._general("localhost"))

    monkeypatch.setattr(lan, "_permitted", only_those)
    lan._make(tmp_path / "tls", ("localhost", "192.0.2.7", "zoo.example"), SystemClock())
    assert "zoo.example" in leaves
    forged = lan.Made(tmp_path / "tls", "", ())
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(forged, "zoo.example")


def test_a_certificate_is_kept_until_the_address_changes_or_it_is_nearly_over(tmp_path: Path) -> None:
    clock = SetClock(START)
    first = lan.certificate(tmp_path, "192.0.2.7", clock).certificate.read_bytes()
    clock.move((lan.SERVER_DAYS - lan.RENEW_DAYS - 1) * 86_400)
    made = lan.certificate(tmp_path, "192.0.2.7", clock)
    assert made.certificate.read_bytes() == first
    clock.move(2 * 86_400)
    second = lan.certificate(tmp_path, "192.0.2.7", clock).certificate.read_bytes()
    assert second != first
    assert lan.certificate(tmp_path, "192.0.2.8", clock).certificate.read_bytes() != second
    assert {path.name: path.stat().st_mode & 0o777 for path in made.folder.iterdir()}["server.key"] == 0o600


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", [lan.AUTHORITY, lan.CERTIFICATE, lan.KEY])
@pytest.mark.parametrize("how", ["of another try", "cut off", "missing"])
def test_files_that_do_not_belong_together_are_made_anew(tmp_path: Path, name: str, how: str) -> None:
    clock = SystemClock()
    made, other = (lan.certificate(_made(tmp_path / home), "192.0.2.7", clock) for home in ("here", "there"))
    left = {"of another try": (other.folder / name).read_bytes(), "cut off": (made.folder / name).read_bytes()[:100]}
    (made.folder / name).write_bytes(left[how]) if how in left else (made.folder / name).unlink()
    handshake(lan.certificate(tmp_path / "here", "192.0.2.7", clock), "localhost")


def test_the_authority_is_handed_out_and_nothing_else(pair: lan.Made) -> None:
    giving = lan.hand_out(pair, "127.0.0.1", 0)
    try:
        port = giving.server_address[1]
        for path in ("/", "/authority.crt", "/../server.key", "/server.key"):
            got = httpx.get(f"http://127.0.0.1:{port}{path}")
            assert got.content == pair.authority.read_bytes()
            assert b"PRIVATE" not in got.content
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(40)]
            until = time.monotonic() + lan.HANDED_WITHIN_S + 5
            assert all(ended(one, until) for one in silent)  # most at once, the others when their time is up
        assert httpx.get(f"http://127.0.0.1:{port}/").content == pair.authority.read_bytes()
    finally:
        giving.shutdown()
        giving.server_close()
