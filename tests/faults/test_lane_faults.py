"""What goes wrong around the lane without faces: disks, clocks, lists, and people at its socket who never finish."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from countenance import durable
from countenance.clock import SetClock, SystemClock, utc_day
from countenance.flows import enrol, replace, revocations
from countenance.lane import connections, counts, pack
from countenance.lane.folder import LIST, LaneFolder
from countenance.lane.running import Lane
from countenance.quantities import DAY, HOUR
from countenance.server import lan
from support import browser
from support.faults import _no_space
from support.gate_server import certificate
from support.venue import START, everybody, open_venue, write_tickets

pytestmark = pytest.mark.promise(7)


@pytest.fixture
def shown(folder: Path) -> str:
    with open_venue(folder) as venue:
        revocations.post(venue)
        return str(enrol.say_no(venue, "ben", lambda text: text))


@pytest.fixture
def packed(folder: Path, shown: str, tmp_path: Path) -> Path:  # the list is posted with the pass
    pack.pack(folder, tmp_path / "lane")
    return tmp_path / "lane"


def lane_of(packed: Path, clock: SetClock) -> Lane:
    """Return a lane whose thread does not run: a test looks and writes for it."""
    lane = Lane(LaneFolder(packed, clock), packed / "plain.counts", clock)
    lane.folder.look()
    return lane


def look(lane: Lane) -> None:
    """Look until a changed file stands still between two looks."""
    for _ in range(2):
        lane.folder.look()


# -- disks


def test_a_full_disk_stops_no_answer_and_loses_no_count(packed: Path, shown: str,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    lane = lane_of(packed, SetClock(START))

    def full(*_: Any) -> None:
        raise _no_space()

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", full)
        for _ in range(3):
            assert lane.decide(shown).admitted
            lane._write()
            assert lane.health()["faults"]["counts"] == "counts-unwritten"
        lane.decide("nonsense")
    lane._write()
    assert "counts" not in lane.health()["faults"]
    found = {one["outcome"]: one["number"] for one in counts.by_day(packed / "plain.counts")}
    assert found == {"admit": 3, "refer": 1}


def test_a_file_that_cannot_be_made_too(packed: Path, shown: str) -> None:
    clock = SetClock(START)
    lane = Lane(LaneFolder(packed, clock), Path("/dev/full/plain.counts"), clock)
    lane.folder.look()
    assert lane.decide(shown).admitted
    lane._write()
    assert lane.health()["faults"]["counts"] == "counts-unwritten"
    assert lane.decide(shown).admitted


# -- clocks


def test_a_clock_set_back_brings_back_nothing(packed: Path, folder: Path, shown: str) -> None:
    write_tickets(folder, {"ben": utc_day(START)})
    pack.pack(folder, packed)
    clock = SetClock(START)
    lane = lane_of(packed, clock)
    assert lane.decide(shown).admitted
    clock.move(DAY)
    assert lane.decide(shown).reason == "ticket-expired"
    clock.move(-DAY)
    assert lane.decide(shown).reason == "ticket-expired"
    assert lane.health()["faults"]["clock"] == "clock-set-back"


def test_a_clock_far_back_at_the_start_keeps_the_lane_open(packed: Path, shown: str) -> None:
    found = lane_of(packed, SetClock(type(START)(86_400)))  # 1970: a machine without a battery
    assert found.decide(shown).admitted
    (packed / LIST).unlink()
    assert lane_of(packed, SetClock(type(START)(86_400))).decide(shown).reason == "pass-from-future"


@pytest.mark.parametrize(("ahead", "reason"), [(HOUR, "pass"), (40 * 365 * DAY, "pass-expired")])
def test_a_clock_ahead_refers_and_crashes_nothing(packed: Path, shown: str, ahead: int, reason: str) -> None:
    clock = SetClock(START)
    clock.move(ahead)
    assert lane_of(packed, clock).decide(shown).reason == reason


# -- lists


@pytest.fixture
def replaced(folder: Path, shown: str) -> str:
    """A pass that stands in the place of `shown`, a day later."""
    clock = SetClock(START)
    clock.move(DAY)
    with open_venue(folder, clock) as venue:
        new = replace.replace(venue, "ben", lambda text: text).pass_text
    assert new != shown
    return new


def test_a_list_that_is_replaced_while_it_runs_counts_at_once(packed: Path, folder: Path, shown: str,
                                                              replaced: str) -> None:
    clock = SetClock(START)
    lane = lane_of(packed, clock)
    clock.move(DAY)
    assert lane.decide(shown).admitted
    before = lane.health()["list"]
    pack.pack(folder, packed)
    look(lane)
    assert lane.health()["list"] > before
    assert lane.decide(shown).reason == "pass-void"
    assert lane.decide(replaced).admitted


def test_an_older_list_is_ignored(packed: Path, folder: Path, shown: str, replaced: str) -> None:
    older = (packed / LIST).read_bytes()
    pack.pack(folder, packed)
    clock = SetClock(START)
    clock.move(DAY)
    lane = lane_of(packed, clock)
    assert lane.decide(shown).reason == "pass-void"
    durable.write(packed / LIST, older)
    look(lane)
    assert lane.health()["faults"]["list"] == "list-older"
    assert lane.decide(shown).reason == "pass-void"
    assert lane.decide(replaced).admitted


@pytest.mark.parametrize("bad", [b"", b"CNL1:", b"\xff" * 100, b"x" * (25 << 20)],
                         ids=["empty", "cut", "no-text", "large"])
def test_a_damaged_list_of_replaced_passes_leaves_the_last_one(packed: Path, folder: Path, shown: str, replaced: str,
                                                               bad: bytes) -> None:
    pack.pack(folder, packed)
    clock = SetClock(START)
    clock.move(DAY)
    lane = lane_of(packed, clock)
    (packed / LIST).write_bytes(bad)
    look(lane)
    assert lane.health()["faults"]["list"]
    assert (lane.decide(shown).reason, lane.decide(replaced).reason) == ("pass-void", "pass")


def test_a_list_that_is_still_being_written_is_not_taken_yet(packed: Path, shown: str) -> None:
    lane = lane_of(packed, SetClock(START))
    file = packed / "tickets.csv"
    lines = file.read_bytes().splitlines(keepends=True)
    mine = next(line for line in lines if line.startswith(b"ben,"))
    file.write_bytes(b"".join([lines[0], *(line for line in lines[1:] if line != mine)]))
    lane.folder.look()  # a copy that has not come to `ben` yet
    assert lane.decide(shown).admitted
    with file.open("ab") as more:
        more.write(mine)
    look(lane)
    assert lane.decide(shown).admitted
    assert lane.health()["faults"] == {}


def test_a_list_without_any_ticket_leaves_the_last_one_but_is_one_at_the_start(packed: Path, shown: str) -> None:
    lane = lane_of(packed, SetClock(START))
    file = packed / "tickets.csv"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    look(lane)
    assert lane.health()["faults"]["tickets"] == "lane-tickets-empty"
    assert lane.decide(shown).admitted
    new = lane_of(packed, SetClock(START))
    assert new.decide(shown).reason == "ticket-unknown"
    assert new.health()["faults"] == {}


def test_a_pipe_or_a_folder_in_a_list_s_place_keeps_nobody_waiting(packed: Path, shown: str) -> None:
    lane = lane_of(packed, SetClock(START))
    for name in ("tickets.csv", LIST, "lane.toml"):
        (packed / name).unlink()
        os.mkfifo(packed / name)
    before = time.perf_counter()
    look(lane)
    assert time.perf_counter() - before < 1.0
    assert lane.decide(shown).admitted
    assert set(lane.health()["faults"]) == {"names", "tickets", "list"}


# -- over TLS, as a process


@pytest.fixture
def today(folder: Path, tmp_path: Path) -> tuple[Path, str]:
    """A lane's folder and a pass, both of today: a process has the machine's own clock."""
    write_tickets(folder, everybody())
    with open_venue(folder, SetClock(SystemClock().now())) as venue:
        revocations.post(venue)
        text = str(enrol.say_no(venue, "ben", lambda text: text))
    pack.pack(folder, tmp_path / "lane")
    return tmp_path / "lane", text


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[str, int]]:
    """Run a lane; give its address and its process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from countenance.cli import main; main.run()", "lane", "run", "--port", "0", "--json",
         *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        process.communicate(timeout=15)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture
def secured(today: tuple[Path, str], tmp_path: Path) -> Iterator[tuple[str, str, ssl.SSLContext]]:
    """A lane over TLS with a certificate of `serve --lan`: its address, a pass, and whom to trust."""
    made = lan.certificate(tmp_path, "127.0.0.1", SystemClock())
    trust = ssl.create_default_context(cafile=str(made.authority))
    with running("--lane", str(today[0]), "--cert", str(made.certificate), "--key", str(made.key)) as (url, _):
        yield url.replace("127.0.0.1", "localhost"), today[1], trust


def decide(url: str, text: str, trust: ssl.SSLContext | bool = True) -> dict[str, Any]:
    answer = httpx.post(f"{url}/decide", content=text, verify=trust, timeout=10)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_it_decides_over_tls_and_only_over_tls(secured: tuple[str, str, ssl.SSLContext]) -> None:
    url, shown, trust = secured
    assert url.startswith("https://")
    for _ in range(20):
        assert decide(url, shown, trust) == {"decision": "admit", "people": 1}
    assert decide(url, "x" * 8000, trust)["decision"] == "refer"  # in several records
    assert "Test Zoo" in httpx.get(url, verify=trust).text
    with pytest.raises(httpx.ConnectError, match="verify failed"):
        decide(url, shown)
    with pytest.raises(httpx.TransportError):
        decide(url.replace("https", "http"), shown)
    assert decide(url, shown, trust)["decision"] == "admit"


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"],
                         ids=["silent", "half a handshake", "no TLS"])
@pytest.mark.parametrize("number", [50, 400])
def test_handshakes_that_never_end_keep_no_scan_out(secured: tuple[str, str, ssl.SSLContext], first: bytes,
                                                    number: int) -> None:
    url, shown, trust = secured
    with ExitStack() as held:
        for _ in range(number):
            idle = held.enter_context(closing(socket.create_connection(("127.0.0.1", port_of(url)), timeout=5)))
            with contextlib.suppress(OSError):
                idle.sendall(first)
        took = [timed(lambda: decide(url, shown, trust)["decision"] == "admit") for _ in range(10)]
    assert sorted(took)[5] < 0.5
    assert max(took) < connections.CONNECTION_S


def timed(act: Callable[[], bool]) -> float:
    before = time.perf_counter()
    assert act()
    return time.perf_counter() - before


def test_a_handshake_has_an_end(secured: tuple[str, str, ssl.SSLContext]) -> None:
    url, _, trust = secured
    before = time.perf_counter()
    idle = socket.create_connection(("127.0.0.1", port_of(url)), timeout=20)
    plain = socket.create_connection(("127.0.0.1", port_of(url)), timeout=20)
    with closing(idle), closing(plain), trust.wrap_socket(plain, server_hostname="localhost") as shaken:
        shaken.sendall(b"POST /decide HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n")
        for line in (idle, shaken):
            with contextlib.suppress(OSError):
                assert line.recv(1) == b""
    took = time.perf_counter() - before
    assert connections.CONNECTION_S - 1 < took < connections.CONNECTION_S + 2


def test_no_connection_is_left_behind(today: tuple[Path, str], tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    del context
    trust = ssl.create_default_context(cafile=str(cert))
    with running("--lane", str(today[0]), "--cert", str(cert), "--key", str(cert.with_suffix(".key"))) as (url, pid):
        url = url.replace("127.0.0.1", "localhost")
        decide(url, today[1], trust)
        before = len([*Path(f"/proc/{pid}/fd").iterdir()])
        for _ in range(30):
            with closing(socket.create_connection(("127.0.0.1", port_of(url)), timeout=5)) as line:
                line.sendall(b"\x16\x03")
            decide(url, today[1], trust)
        time.sleep(0.5)
        assert len([*Path(f"/proc/{pid}/fd").iterdir()]) <= before + 2


# -- the page, in a browser


CHINESE = "\u8bf7"


def typed(tab: browser.Tab, text: str) -> None:
    """Type as a scanner does: keys, and Enter."""
    for letter in text:
        tab.tell("Input.dispatchKeyEvent", type="keyDown", text=letter, key=letter)
        tab.tell("Input.dispatchKeyEvent", type="keyUp", key=letter)
    for kind in ("keyDown", "keyUp"):
        tab.tell("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")


def shows(tab: browser.Tab, words: str) -> None:
    for _ in range(100):
        if words in str(tab.run("document.getElementById('answer').innerText")):
            return
        time.sleep(0.05)
    raise AssertionError(tab.run("document.getElementById('answer').innerText"))


LOOKS = """() => { const part = document.getElementById('english'), box = document.getElementById('answer');
  const seen = [part, box, document.body, document.documentElement].map((one) => { const style = getComputedStyle(one);
    return [style.color, style.backgroundColor, style.borderColor, style.fontSize, style.fontWeight,
            style.animationName]; });
  return JSON.stringify(seen); }"""


@pytest.mark.parametrize("staff", [False, True], ids=["bystanders", "staff"])
def test_the_page_takes_a_scan_and_both_answers_look_alike(today: tuple[Path, str], tmp_path: Path, *,
                                                           staff: bool) -> None:
    folder, shown = today
    shots = Path(os.environ.get("COUNTENANCE_SHOTS", str(tmp_path)))
    with running("--lane", str(folder), *(["--staff"] * staff)) as (url, _), \
            browser.opened(tmp_path / "profile", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                           f"--proxy-bypass-list=<-loopback>;127.0.0.1:{port_of(url)}") as tab:
        tab.size(1024, 768)
        visit(tab, url)
        shows(tab, "Please show your pass.")
        live = tab.run("['role', 'aria-live', 'aria-atomic'].map((name) => document.getElementById('answer')"
                       ".getAttribute(name)).join(' ')")
        assert live == "status assertive true"
        looks = {}
        for name, text, words in (("admit", shown, "Please come in."), ("refer", shown[:-3], "Staff will help.")):
            tab.run("document.activeElement.blur()")  # a scanner does not click first
            typed(tab, text)
            shows(tab, words)
            assert CHINESE in str(tab.run("document.getElementById('chinese').textContent"))
            assert tab.run("document.getElementById('pass').value") == ""  # nothing of it stays on the screen
            looks[name] = tab.call(LOOKS)
            said = tab.run("document.getElementById('staff').checkVisibility() ? "
                           "document.getElementById('staff').textContent : ''")
            assert said == ({"admit": "pass", "refer": "pass-malformed"}[name] if staff else "")
            tab.shot(shots / f"lane-{name}{'-staff' * staff}.png")
        assert looks["admit"] == looks["refer"]
        assert tab.faults() == []
        assert {address.partition("/decide")[0].rstrip("/") for address in tab.asked()} <= {
            url, f"{url}/page.css", f"{url}/page.js", f"{url}/favicon.ico"}


def visit(tab: browser.Tab, url: str) -> None:
    """Open an address and wait until it has loaded."""
    tab.seen = []
    tab.tell("Page.navigate", url=url)
    while not any(event["method"] == "Page.loadEventFired" for event in tab.seen):
        tab._next()
