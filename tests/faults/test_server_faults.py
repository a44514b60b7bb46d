"""The served venue as real processes: killed under load, told to end, and asked while hundreds of others say nothing.

`COUNTENANCE_IDLE=1000` opens as many idle connections as the measure names; by default it is fewer.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from countenance.bench.serve_place import Served, served
from countenance.bench.serve_process import Lane, Server
from countenance.clock import SystemClock
from countenance.flows import found, log
from countenance.flows.gates import Mode
from countenance.flows.opening import open_venue
from countenance.integrations.entitlement import CsvEntitlement

PEOPLE, CLIENTS = 20, 4
IDLE = int(os.environ.get("COUNTENANCE_IDLE", "300"))
SLOW = 20
GOODBYE_S = 12
PRESSED = {"content-type": "image/jpeg", "countenance-press": "1"}


@pytest.fixture(scope="module")
def made() -> Iterator[Served]:
    with served(PEOPLE, lambda _done, _all: None) as venue:
        yield venue


@pytest.fixture
def venue(made: Served, tmp_path: Path) -> Served:
    shutil.copytree(made.folder, tmp_path / "venue")
    return replace(made, folder=tmp_path / "venue")


@dataclass
class Client:
    """Asks again and again on one connection; notes what was acknowledged, and what never was."""

    act: Callable[[], str]
    told: list[str] = field(default_factory=list)
    lost: int = 0


def ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str], body: bytes) -> str:
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    value = json.loads(answer.read())
    return str(value.get("decision", value))


@contextmanager
def clients(number: int, port: int, at: list[tuple[str, str]], headers: dict[str, str],
            body: bytes) -> Iterator[list[Client]]:
    """Let clients ask until the end of the block, each at a gate of its own."""
    stop, all_ = threading.Event(), []

    def one(client: Client, connection: http.client.HTTPConnection) -> None:
        while not stop.is_set():
            try:
                client.told.append(client.act())
            except (OSError, http.client.HTTPException):
                client.lost += 1
                connection.close()
                stop.wait(0.02)
        connection.close()

    threads = []
    for path, key in at[:number]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        sent = headers | ({"x-api-key": key} if key else {})
        client = Client(lambda c=connection, p=path, h=sent: ask(c, p, h, body))  # type: ignore[misc]  # each its own
        all_.append(client)
        threads.append(threading.Thread(target=one, args=(client, connection)))
    for thread in threads:
        thread.start()
    try:
        yield all_
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for(all_: list[Client], number: int) -> None:
    for _ in range(600):
        if sum(len(client.told) for client in all_) >= number:
            return
        threading.Event().wait(0.05)
    raise AssertionError([(client.told[:3], client.lost) for client in all_])


def counted(folder: Path) -> tuple[int, int]:
    """Return admissions as they are counted, and events of the log."""
    with closing(sqlite3.connect(folder / found.DATA)) as store:
        admitted = store.execute("SELECT coalesce(sum(number), 0) FROM hourly_count WHERE lane = 'face' "
                                 "AND outcome = 'admit'").fetchone()[0]
        return int(admitted), int(store.execute("SELECT count(*) FROM event").fetchone()[0])


@pytest.mark.promise(5)
@pytest.mark.promise(7)
def test_a_killed_server_loses_nothing_that_it_acknowledged_and_the_other_lane_goes_on(venue: Served) -> None:
    before = counted(venue.folder)
    with (Server(venue.folder) as server, Lane(venue.folder) as lane,
          clients(1, lane.port, [("/decide", "")], {}, venue.pass_text.encode()) as passes):
        with clients(CLIENTS, server.port, venue.gates[Mode.FACE], PRESSED, venue.jpeg) as faces:
            wait_for(faces, 40)
            server.kill()
            at_death = len(passes[0].told)
            wait_for(passes, at_death + 20)
        acknowledged = [told for client in faces for told in client.told]
        assert set(acknowledged) == {"admit"}
        shutil.copytree(venue.folder, venue.folder.with_name("as it was left"))
        admitted, events = counted(venue.folder.with_name("as it was left"))
        assert len(acknowledged) <= admitted - before[0] <= len(acknowledged) + CLIENTS
        assert events - before[1] == admitted - before[0]  # each counted one is logged, and each logged one counted
        whole_again(venue)
        path, key = venue.gates[Mode.FACE][0]
        with (Server(venue.folder) as again,
              closing(http.client.HTTPConnection("127.0.0.1", again.port, timeout=20)) as connection):
            assert ask(connection, path, PRESSED | {"x-api-key": key}, venue.jpeg) == "admit"
    assert set(passes[0].told) == {"admit"}
    assert passes[0].lost == 0


def whole_again(venue: Served) -> None:
    with open_venue(venue.folder, CsvEntitlement(venue.folder / found.TICKETS), SystemClock()) as opened:
        assert opened.in_order
        log.publish(opened)
        log.verify(opened)


def begin(server: Server, venue: Served, part: int) -> socket.socket:
    """Send a decision's request up to a part of its picture."""
    path, key = venue.gates[Mode.FACE][-1]
    head = "".join(f"{name}: {value}\r\n" for name, value in (PRESSED | {
        "host": "localhost", "x-api-key": key, "content-length": str(len(venue.jpeg))}).items())
    taken = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    taken.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + venue.jpeg[:part])
    return taken


def test_told_to_end_it_answers_what_is_under_way(venue: Served) -> None:
    before = counted(venue.folder)
    ended: list[tuple[int, float]] = []
    with (Server(venue.folder) as server,
          clients(CLIENTS, server.port, venue.gates[Mode.FACE], PRESSED, venue.jpeg) as faces,
          closing(begin(server, venue, 1_000)) as half):
        wait_for(faces, 20)
        ending = threading.Thread(target=lambda: ended.append(server.end()))
        ending.start()
        refused(server)
        half.sendall(venue.jpeg[1_000:])
        with closing(http.client.HTTPResponse(half)) as answer:
            answer.begin()
            assert json.loads(answer.read())["decision"] == "admit"
        ending.join()
    status, seconds = ended[0]
    assert status == 0
    assert seconds < GOODBYE_S
    acknowledged = [told for client in faces for told in client.told]
    assert set(acknowledged) == {"admit"}
    assert counted(venue.folder)[0] - before[0] == len(acknowledged) + 1  # all that began was answered


def refused(server: Server) -> None:
    """Wait until nobody new is let in."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        except ConnectionRefusedError:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the server still takes connections")


def test_one_that_never_sends_the_rest_does_not_keep_it_from_ending(venue: Served) -> None:
    with Server(venue.folder) as server, closing(begin(server, venue, 1_000)):
        status, seconds = server.end()
    assert status == 0
    assert seconds < GOODBYE_S


@pytest.mark.promise(7)
def test_idle_and_slow_connections_do_not_stop_decisions(venue: Served) -> None:
    stop = threading.Event()
    with Server(venue.folder) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(IDLE)]
        slow = [begin(server, venue, 0) for _ in range(SLOW)]
        slow += [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(SLOW)]
        dripping = threading.Thread(target=drip, args=(slow, venue.jpeg, stop))
        dripping.start()
        try:
            with clients(CLIENTS, server.port, venue.gates[Mode.FACE], PRESSED, venue.jpeg) as faces, \
                    clients(1, server.port, venue.gates[Mode.PASS], {"countenance-pass": venue.pass_text},
                            b"") as passes:
                wait_for(faces, 60)
                wait_for(passes, 20)
            still = sum(open_still(one) for one in idle)
        finally:
            stop.set()
            dripping.join()
            for one in idle + slow:
                one.close()
    assert {told for client in faces + passes for told in client.told} == {"admit"}
    assert sum(client.lost for client in faces + passes) == 0
    assert still > IDLE / 2  # they were there while decisions were made


def drip(slow: list[socket.socket], picture: bytes, stop: threading.Event) -> None:
    for at in range(len(picture)):
        for one in slow:
            with suppress(OSError):
                one.send(picture[at:at + 1] if one in slow[:SLOW] else b"G")
        if stop.wait(0.1):
            return


def open_still(one: socket.socket) -> bool:
    one.settimeout(0)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
