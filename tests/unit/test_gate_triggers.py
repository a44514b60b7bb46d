"""What starts a gate, and what does not."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from countenance.clock import SetClock, SystemClock
from countenance.errors import BadInput
from countenance.gate.run import Growing
from countenance.gate.triggers import AGAIN_S, LONGEST_LINE, WAITS_S, HttpButton, Inbox, Lines, Scanner
from countenance.gate.words import Voice
from countenance.quantities import Instant

ONE, TWO, THREE = b"CN1:ONE", b"CN1:TWO", b"CN1:THREE"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(Instant(1_800_000_000))


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def inbox(clock: SetClock, told: list[tuple[str, str]]) -> Inbox:
    return Inbox(clock, lambda event, code: told.append((event, code)))


def shown(inbox: Inbox) -> str:
    taken = inbox.take()
    assert taken is not None
    return taken.shown


def test_one_runs_one_pass_waits_and_the_third_is_dropped(inbox: Inbox, told: list[tuple[str, str]]) -> None:
    assert inbox.scan(ONE) == "taken"
    assert shown(inbox) == "CN1:ONE"
    assert [inbox.scan(TWO), inbox.scan(THREE)] == ["waits", "dropped"]
    assert told == [("dropped", "busy")]
    inbox.done()
    assert shown(inbox) == "CN1:TWO"


def test_a_press_never_waits(inbox: Inbox) -> None:
    assert inbox.press() == "taken"
    assert shown(inbox) == ""
    assert inbox.press() == "dropped"
    assert inbox.scan(ONE) == "waits"
    inbox.done()
    assert inbox.press() == "dropped"  # a pass is next


def test_the_same_pass_is_not_taken_twice_in_a_row(inbox: Inbox, clock: SetClock) -> None:
    assert inbox.scan(ONE) == "taken"
    assert inbox.scan(ONE) == "dropped"
    assert shown(inbox) == "CN1:ONE"
    assert inbox.scan(ONE) == "dropped"
    inbox.done()
    assert inbox.scan(ONE) == "dropped"
    clock.move(AGAIN_S)
    assert inbox.scan(ONE) == "taken"


def test_a_pass_that_waited_too_long_is_dropped(inbox: Inbox, clock: SetClock, told: list[tuple[str, str]]) -> None:
    inbox.scan(ONE)
    shown(inbox)
    inbox.scan(TWO)
    clock.move(WAITS_S + 1)
    inbox.done()
    threading.Timer(0.1, lambda: inbox.scan(THREE)).start()
    assert shown(inbox) == "CN1:THREE"
    assert told == [("dropped", "waited")]


def test_a_closed_inbox_takes_nothing(inbox: Inbox) -> None:
    inbox.scan(ONE)
    inbox.close()
    assert inbox.take() is None
    assert inbox.press() == "dropped"


@pytest.mark.parametrize(("line", "code"), [
    (b"hello", "scan-unknown"), (b"cn1:ONE", "scan-unknown"), (b" CN1:ONE", "scan-unknown"),
    (b"https://zoo.example/CN1:ONE", "scan-unknown"), (b"CN1:ON\x1bE", "scan-control"), (b"CN1:\x00", "scan-control"),
    (b"CN1:\x7f", "scan-control"), ("CN1:é".encode(), "scan-control"), (b"CN1:A\tB", "scan-control"),
    (b"CN1:" + b"A" * LONGEST_LINE, "scan-long"),
])
def test_what_is_no_pass_is_ignored(inbox: Inbox, told: list[tuple[str, str]], line: bytes, code: str) -> None:
    assert inbox.scan(line) == "ignored"
    assert told == [("ignored", code)]


def test_lines_are_put_together_and_bounded() -> None:
    got: list[bytes] = []
    lines = Lines(got.append)
    for part in (b"CN1:", b"ONE\r", b"\n\n", b"CN1:TWO\nCN1:TH", b"REE\n"):
        lines.feed(part)
    assert got == [b"CN1:ONE", b"CN1:TWO", b"CN1:THREE"]
    got.clear()
    for _ in range(1_000):
        lines.feed(b"A" * 4_096)
    assert len(lines._line) == LONGEST_LINE + 1
    lines.feed(b"\nCN1:ONE\n")
    assert (len(got[0]), got[1]) == (LONGEST_LINE + 1, b"CN1:ONE")


def test_half_a_line_is_forgotten_after_a_pause() -> None:
    got: list[bytes] = []
    lines = Lines(got.append)
    lines.feed(b"CN1:HAL")
    lines.pause()
    lines.feed(b"CN1:ONE\n")
    assert got == [b"CN1:ONE"]


def test_a_scanner_reads_a_pipe_and_says_when_it_ends(inbox: Inbox) -> None:
    reading, writing = os.pipe()
    ended = threading.Event()
    scanner = Scanner(reading, inbox, ended.set)
    scanner.start()
    os.write(writing, b"CN1:ONE\r\n")
    assert shown(inbox) == "CN1:ONE"
    assert not ended.is_set()
    os.close(writing)
    assert ended.wait(5)
    scanner.close()
    os.close(reading)


def test_a_terminal_does_not_show_what_is_scanned_and_is_given_back(inbox: Inbox) -> None:
    import pty
    import termios

    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    assert before[3] & termios.ECHO
    scanner = Scanner(slave, inbox, lambda: None)
    scanner.start()
    os.write(master, b"CN1:ONE\r")
    assert shown(inbox) == "CN1:ONE"
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    scanner.close()
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


@pytest.fixture
def button(inbox: Inbox) -> Iterator[HttpButton]:
    there = HttpButton(0, inbox)
    there.start()
    yield there
    there.close()


def post(button: HttpButton, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", button.port, timeout=5)
    try:
        connection.request("POST", path, body, {"countenance-trigger": "1"} | headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["trigger"]
    finally:
        connection.close()


def test_a_button_over_http(button: HttpButton, inbox: Inbox) -> None:
    assert post(button, "/press") == (202, "taken")
    assert shown(inbox) == ""
    assert post(button, "/press") == (409, "dropped")
    assert post(button, "/pass", b"CN1:ONE\n") == (202, "waits")
    assert post(button, "/pass", b"hello") == (422, "ignored")
    assert post(button, "/pass", b"A" * (LONGEST_LINE + 1)) == (413, "ignored")
    assert post(button, "/elsewhere") == (404, "ignored")


def test_a_page_in_a_browser_cannot_press(button: HttpButton, inbox: Inbox) -> None:
    for headers in ({"countenance-trigger": ""}, {"origin": "https://evil.example"}, {"origin": "null"},
                    {"host": "evil.example"}, {"host": f"evil.example:{button.port}"}):
        assert post(button, "/press", **headers) == (403, "refused")
    assert inbox._waiting is None


def test_the_button_is_on_loopback_only_and_its_port_is_its_own(button: HttpButton, inbox: Inbox) -> None:
    assert button._server.server_address[0] == "127.0.0.1"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput) as caught:
            HttpButton(taken.getsockname()[1], inbox)
    assert caught.value.code == "gate-port"


def test_slow_and_half_requests_do_not_keep_others_from_pressing(button: HttpButton, inbox: Inbox) -> None:
    slow = [socket.create_connection(("127.0.0.1", button.port)) for _ in range(7)]
    for line in slow:
        line.sendall(b"POST /pass HTTP/1.1\r\ncontent-length: 50\r\n")
    assert post(button, "/press") == (202, "taken")
    for line in slow:
        line.settimeout(10)
        assert line.recv(100) == b""  # hung up on
        line.close()


def test_waits_grow_up_to_a_bound_and_end_when_it_works(clock: SetClock) -> None:
    rest, waits = Growing(clock, 10.0), []
    assert not rest.resting
    for _ in range(6):
        rest.failed()
        waited = 0
        while rest.resting:
            clock.move(1)
            waited += 1
        waits.append(waited)
    assert waits == [1, 2, 4, 8, 10, 10]
    rest.worked()
    rest.failed()
    clock.move(1)
    assert not rest.resting


@pytest.mark.promise(6)
def test_the_same_two_sentences_and_nothing_more() -> None:
    for as_json in (False, True):
        out, err = io.StringIO(), io.StringIO()
        voice = Voice(out, err, as_json=as_json)
        voice.answer("admit", 3, by="server")
        voice.answer("refer", 0, by="gate", code="camera-away")
        voice.answer("refer", 0, by="server", code="")
        lines = out.getvalue().splitlines()
        if as_json:
            assert [json.loads(line)["words"] for line in lines] == [
                {"en": "Please come in. (3)", "zh": "请进。 (3)"},
                *[{"en": "Staff will help.", "zh": "请工作人员协助。"}] * 2]
        else:
            assert lines == ["Please come in. (3) 请进。 (3)", *["Staff will help. 请工作人员协助。"] * 2]
        assert "\x1b" not in out.getvalue()  # no colour
        assert "\x07" not in out.getvalue()  # no sound
        assert err.getvalue() == ""


def test_a_listener_that_went_away_stops_no_gate() -> None:
    out = io.StringIO()
    out.close()
    Voice(out, out, as_json=True).answer("refer", 0)


def test_the_clock_of_a_trigger_is_monotonic() -> None:
    clock = SystemClock()
    inbox = Inbox(clock, lambda _event, _code: None)
    before = clock.monotonic()
    inbox.press()
    taken = inbox.take()
    assert taken is not None
    assert before <= taken.at <= clock.monotonic()
