"""The lane as its own process, over real sockets: it decides while everything else is gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from countenance.cli import lane as cli
from countenance.clock import SetClock, SystemClock
from countenance.errors import BadInput
from countenance.flows import enrol, revocations
from countenance.lane import pack
from support.venue import everybody, open_venue, write_tickets

RUN = ("import sys; from countenance.cli import lane, main; sys.argv[1:1] = ['lane']; "
       "main.app.add_typer(lane.app, name='lane'); main.run()")
pytestmark = pytest.mark.promise(7)


@dataclass
class Running:
    url: str
    process: subprocess.Popen[str]

    def decide(self, text: str, query: str = "", **more: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/decide{query}", content=text, timeout=10, **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def health(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/health").json())

    def until(self, fault: str, code: str | None) -> None:
        for _ in range(80):
            if self.health()["faults"].get(fault) == code:
                return
            time.sleep(0.1)
        raise AssertionError(self.health())


@contextmanager
def running(*options: str) -> Iterator[Running]:
    process = subprocess.Popen([sys.executable, "-c", RUN, "run", "--port", "0", "--json", *options],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Running(json.loads(process.stdout.readline())["url"], process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def zoo(folder: Path) -> Path:
    write_tickets(folder, everybody())
    return folder


@pytest.fixture
def shown(zoo: Path) -> str:
    with open_venue(zoo, SetClock(SystemClock().now())) as venue:
        revocations.post(venue)
        return str(enrol.say_no(venue, "ben", lambda text: text))


@pytest.fixture
def packed(zoo: Path, shown: str, tmp_path: Path) -> Path:
    pack.pack(zoo, tmp_path / "lane")
    return tmp_path / "lane"


def test_it_admits_and_refers_and_says_why_only_to_staff(packed: Path, shown: str) -> None:
    with running("--lane", str(packed)) as lane:
        assert lane.decide(shown) == {"decision": "admit", "people": 1}
        for bad in (shown[:-3], "", "nonsense", shown.replace("CN1:", "CN2:")):
            assert lane.decide(bad) == {"decision": "refer", "people": 0}
        assert httpx.post(f"{lane.url}/decide", content="x" * 8193).status_code == 413
    with running("--lane", str(packed), "--staff") as lane:
        assert lane.decide(shown[:-3])["reason"] == "pass-malformed"


def test_other_pages_in_a_browser_here_cannot_ask(packed: Path, shown: str) -> None:
    with running("--lane", str(packed)) as lane:
        for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}, {"origin": "null"}):
            assert httpx.post(f"{lane.url}/decide", content=shown, headers=headers).status_code == 403
        assert lane.decide(shown, headers={"origin": lane.url})["decision"] == "admit"


def test_it_goes_on_without_databases_and_keeps_to_its_own_files(zoo: Path, shown: str) -> None:
    for name in ("countenance.db", "keys.db", "epoch.key", "root.key"):
        (zoo / name).unlink(missing_ok=True)
    for secret in (zoo / "signing").glob("*.key"):
        secret.unlink()
    with running("--venue", str(zoo)) as lane:
        assert lane.decide(shown)["decision"] == "admit"


def test_it_opens_no_database_and_no_secret(zoo: Path, shown: str, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace here")
    log = tmp_path / "calls"
    process = subprocess.Popen(["strace", "-f", "-e", "trace=open,openat", "-o", str(log), sys.executable, "-c", RUN,
                                "run", "--port", "0", "--json", "--venue", str(zoo)], stdout=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        assert process.stdout
        url = json.loads(process.stdout.readline())["url"]
        assert httpx.post(f"{url}/decide", content=shown).json()["decision"] == "admit"
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # strace itself does not listen to it
        process.communicate(timeout=20)
    opened = {Path(line.split('"')[1]).name for line in log.read_text().splitlines() if f'"{zoo}' in line}
    assert {"pass.pub", "tickets.csv", "venue.toml"} <= opened  # the search finds
    assert not [name for name in opened if ".db" in name or name.endswith(".key") or name == "lock"]


def test_nothing_heavy_is_loaded() -> None:
    code = ("import sys\nfrom countenance.cli import main, lane\nfrom countenance.lane import http, pack, running\n"
            "print([m for m in ('sqlalchemy', 'onnx', 'onnxruntime', 'cv2', 'numpy', 'faiss', 'sqlite3', 'alembic')"
            " if m in sys.modules], 'cbor2' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"


def test_idle_and_slow_connections_keep_no_scan_out(packed: Path, shown: str) -> None:
    with running("--lane", str(packed)) as lane, ExitStack() as held:
        port = int(lane.url.rpartition(":")[2])
        for number in range(300):
            idle = held.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=5)))
            if number % 2:
                idle.sendall(b"POST /decide HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nCN1:")
        took = []
        for _ in range(20):
            before = time.perf_counter()
            assert lane.decide(shown)["decision"] == "admit"
            took.append(time.perf_counter() - before)
        assert sorted(took)[10] < 1.0


def test_a_bad_list_leaves_the_last_good_one(packed: Path, shown: str) -> None:
    tickets = packed / "tickets.csv"
    good = tickets.read_bytes()
    with running("--lane", str(packed)) as lane:
        for bad, code in ((b"\xff\xfe", "entitlement-malformed"), (b"", "entitlement-columns"),
                          (good.splitlines(keepends=True)[0], "lane-tickets-empty")):
            tickets.write_bytes(bad)
            lane.until("tickets", code)
            assert lane.decide(shown)["decision"] == "admit"
        tickets.unlink()
        lane.until("tickets", "lane-file")
        assert lane.decide(shown)["decision"] == "admit"
        tickets.write_bytes(good.replace(b"ben,", b"zed,"))
        lane.until("tickets", None)
        assert lane.decide(shown)["decision"] == "refer"


def test_a_bad_list_at_the_start_refers_everybody_until_it_is_mended(packed: Path, shown: str) -> None:
    tickets = packed / "tickets.csv"
    good = tickets.read_bytes()
    tickets.write_bytes(b"nonsense")
    with running("--lane", str(packed), "--staff") as lane:
        assert lane.decide(shown) == {"decision": "refer", "people": 0, "reason": "lane-tickets"}
        tickets.write_bytes(good)
        lane.until("tickets", None)
        assert lane.decide(shown)["decision"] == "admit"


def test_it_ends_within_a_second_and_has_counted(packed: Path, shown: str) -> None:
    with running("--lane", str(packed)) as lane, ExitStack() as held:
        lane.decide(shown)
        lane.decide("nonsense")
        slow = held.enter_context(closing(socket.create_connection(("127.0.0.1", int(lane.url.rpartition(":")[2])))))
        slow.sendall(b"POST /decide HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nCN1:")
        before = time.perf_counter()
        os.kill(lane.process.pid, signal.SIGTERM)
        lane.process.wait(10)
        assert time.perf_counter() - before < 1.0
    told = (packed / "plain.counts").read_text().split()
    assert told[1:3] == ["admit", "1"]
    assert told[4:] == ["refer", "1"]
    assert not [path for path in packed.rglob("*") if path.suffix == ".key" or ".db" in path.name]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104  # what must be refused
def test_beyond_this_machine_it_asks_for_tls(packed: Path, host: str) -> None:
    with pytest.raises(BadInput) as caught:
        cli.run(lane=packed, host=host, port=0, staff=False, behind_proxy=False, cert=None, key=None, counts=None)
    assert caught.value.code == "listen-open"


def test_the_page_is_strict_and_names_the_venue(packed: Path) -> None:
    with running("--lane", str(packed)) as lane:
        page = httpx.get(lane.url)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "Test Zoo" in page.text
        assert "<script>" not in page.text
        assert "style=" not in page.text
        for part in ("page.js", "page.css"):
            assert httpx.get(f"{lane.url}/{part}").status_code == 200
        assert httpx.get(f"{lane.url}/lane.toml").status_code == 404
