"""The example of a ticketing system, as a process: a venue goes by it, without it, and by none that lies or hangs."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from countenance import settings
from countenance.clock import Clock, SystemClock, utc_day
from countenance.errors import CountenanceError
from countenance.flows import admit
from countenance.formats import entitlements
from countenance.formats.entitlements import Question
from countenance.integrations.entitlements_open import open_entitlement
from countenance.integrations.ticket_cache import FILE, CachedEntitlement
from countenance.integrations.ticketing import QUIET_S, TicketingEntitlement
from countenance.quantities import Instant, VenueId
from countenance.vault.keys import signing
from support.venue import comes_back, enrolled, make_venue, open_venue, other_lane, picture

SERVICE = Path(__file__).resolve().parents[2] / "examples" / "ticketing" / "service.py"
TITLE = "reference,household,valid_from,valid_until,not_before,language\n"
SOLD = TITLE + "".join(f"{name},H7,2020-01-01,2999-12-31,0,en\n" for name in ("ada", "ben")) + (
    "old,,2020-01-01,2020-01-02,0,en\nearly,,2990-01-01,2999-12-31,0,en\nused,,2020-01-01,2999-12-31,32503680000,en\n")


class Ahead:
    """The machine's clock, which a test may move on; only its second hand, for what waits."""

    def __init__(self) -> None:
        self.more = 0.0

    def now(self) -> Instant:
        return Instant(int(SystemClock().now() + self.more))

    def monotonic(self) -> float:
        return SystemClock().monotonic() + self.more


@contextmanager
def running(folder: Path, sold: Path, port: int = 0) -> Iterator[tuple[str, str]]:
    """Start the example; give its address and public key."""
    with subprocess.Popen([sys.executable, str(SERVICE), "--tickets", str(sold), "--venue-key",
                           str(folder / "signing" / "door.pub"), "--key", str(sold.with_name("ticketing.key")),
                           "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            key = process.stdout.readline().removeprefix("key ").strip()
            [url] = re.findall(r"http://\S+", process.stdout.readline())
            yield url, key
        finally:
            process.kill()


def settle(folder: Path, url: str, key: str) -> None:
    path = folder / settings.FILE
    text = re.sub(r'(?m)^url = "[^"]*"', f'url = "{url}"', path.read_text())
    path.write_text(re.sub(r'(?m)^key = "[^"]*"', f'key = "{key}"', text))


def asked(folder: Path, clock: Clock) -> TicketingEntitlement:
    found = open_entitlement(folder, clock)
    assert isinstance(found, TicketingEntitlement)
    return found


def code(tickets: TicketingEntitlement, reference: str, clock: Clock) -> str:
    with pytest.raises(CountenanceError) as caught:
        tickets.require_good(reference, utc_day(clock.now()))
    return caught.value.code


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return make_venue(tmp_path / "zoo", SystemClock(), tickets={})  # its own list is empty


@pytest.fixture
def sold(tmp_path: Path) -> Path:
    path = tmp_path / "sold.csv"
    path.write_text(SOLD, encoding="utf-8")
    return path


def test_a_day_with_a_ticketing_system_and_without(zoo: Path, sold: Path) -> None:
    clock = Ahead()
    with running(zoo, sold) as (url, key):
        settle(zoo, url, key)
        with closing(asked(zoo, clock)) as tickets, open_venue(zoo, clock) as venue:
            venue.entitlement = tickets
            tickets.require_whole()
            ada = enrolled(venue)
            assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
            together = admit.by_pass(venue, ada.pass_text, picture(1, 9), admit.AtGate(together=True))
            assert together.people == 2
            assert [code(tickets, name, clock) for name in ("none", "old", "early", "used")] == [
                "ticket-unknown", "ticket-expired", "ticket-early", "ticket-too-soon"]
    with closing(asked(zoo, clock)) as tickets, open_venue(zoo, clock) as venue:  # killed, and we were restarted
        venue.entitlement = tickets
        clock.more = 3_600
        assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
        assert other_lane(venue, ada.pass_text) == "ada"
        assert code(tickets, "ben", clock) == "ticketing-silent"
        assert CachedEntitlement(zoo / FILE, clock).require_good("ada", utc_day(clock.now()))
        clock.more = 25 * 3_600
        assert code(tickets, "ada", clock) == "ticketing-silent"


def test_a_cancelled_ticket_is_one_no_more(zoo: Path, sold: Path) -> None:
    clock = SystemClock()
    with running(zoo, sold) as (url, key):
        settle(zoo, url, key)
        with closing(asked(zoo, clock)) as tickets:
            assert tickets.require_good("ada", utc_day(clock.now())).valid_until == date(2999, 12, 31)
            sold.write_text(TITLE, encoding="utf-8")
        (zoo / FILE).unlink()
        with closing(asked(zoo, clock)) as tickets:
            assert code(tickets, "ada", clock) == "ticket-unknown"


def test_the_example_answers_nobody_but_the_venue_and_each_question_once(zoo: Path, sold: Path) -> None:
    clock, signer = SystemClock(), signing.signer(zoo / "signing", "door")
    other = signing.signer(zoo / "signing", "pass")
    nonces = iter(range(100))

    def question(by: signing.Signer, at: int = 0) -> bytes:
        return entitlements.write_question(
            Question(VenueId("zoo"), date(2026, 1, 1), Instant(clock.now() + at), bytes([next(nonces)]) * 16,
                     ("ada",)), by.key, by.kid)

    with running(zoo, sold) as (url, _key):
        def status(body: bytes) -> int:
            return httpx.post(url, content=body, trust_env=False).status_code

        good = question(signer)
        assert [status(good), status(good)] == [200, 403]
        assert [status(body) for body in (question(other), question(signer, -120), question(signer, 120), b"", b"{}",
                                          question(signer)[:-1])] == [403] * 6
        assert status(bytes((1 << 20) + 1)) == 413


@pytest.mark.parametrize("way", ["lies", "hangs", "drips"])
def test_one_that_lies_hangs_or_drips_admits_nobody_and_stops_nobody(zoo: Path, sold: Path, way: str) -> None:
    clock, ended = Ahead(), threading.Event()
    with running(zoo, sold) as (url, key):
        settle(zoo, url, key)
        with closing(asked(zoo, clock)) as tickets, open_venue(zoo, clock) as venue:
            venue.entitlement = tickets
            ada = enrolled(venue)

    class Bad(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with suppress(OSError):
                if way == "lies":
                    self.connection.sendall(b"HTTP/1.0 200 OK\r\ncontent-type: application/cose\r\n\r\n\xa1\x01\x02")
                while way != "lies" and not ended.wait(0.05):
                    self.connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" if way == "drips" else b"")

        def log_message(self, *_facts: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bad)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        settle(zoo, f"http://127.0.0.1:{server.server_address[1]}/", key)
        before = (zoo / FILE).read_bytes()
        with closing(asked(zoo, clock)) as tickets, open_venue(zoo, clock) as venue:
            venue.entitlement = tickets
            clock.more = 3_600
            start = clock.monotonic()
            for _ in range(5):
                assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
            assert clock.monotonic() - start < 4  # one of the five waited
            clock.more += QUIET_S
            assert code(tickets, "ben", clock) == ("tickets-malformed" if way == "lies" else "ticketing-silent")
        assert (zoo / FILE).read_bytes() == before
    finally:
        ended.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_nobody_listens(zoo: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settle(zoo, f"http://127.0.0.1:{taken.getsockname()[1]}/", (zoo / "signing" / "log.pub").read_text().strip())
        with closing(asked(zoo, SystemClock())) as tickets:
            assert code(tickets, "ada", SystemClock()) == "ticketing-silent"
