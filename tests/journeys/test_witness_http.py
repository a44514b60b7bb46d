"""A real witness on a loopback port, and the client that asks it; witnesses that lie; and the two commands."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from countenance.cli import log_outside
from countenance.clock import SetClock, SystemClock
from countenance.errors import BadInput, CountenanceError, Refused
from countenance.formats import signed_note, strict64, trust
from countenance.formats.signed_note import WITNESS, NoteKey, Signature
from countenance.quantities import Instant
from countenance.transparency import cosigning, mirror, witness_http
from countenance.transparency.cosigning import WitnessAt
from countenance.transparency.monitor import Monitor
from countenance.transparency.witness import LARGEST_BODY, Witness
from support.small_log import ORIGIN, START, SmallLog, private_key

NAME = "witness.example/one"
PRIVATE = private_key("witness")
KEY = signed_note.key_of(PRIVATE, NAME, WITNESS)


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return SmallLog.of(40)


def cosign(text: str, at: Instant) -> Signature:
    return signed_note.cosign(text, NAME, PRIVATE, at)


@contextmanager
def serving(witness: Witness) -> Iterator[WitnessAt]:
    """Serve a witness on a free port of this machine."""
    with witness_http.listen("127.0.0.1", 0) as taken:
        server = witness_http.server_of(witness)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            yield WitnessAt(f"http://127.0.0.1:{taken.getsockname()[1]}", witness.key)
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def witness(log: SmallLog, tmp_path: Path) -> Witness:
    (tmp_path / "witness").mkdir()
    return Witness(tmp_path / "witness", KEY, cosign, [log.key], SetClock(START))


@pytest.fixture
def there(witness: Witness) -> Iterator[WitnessAt]:
    with serving(witness) as found:
        yield found


def asked(there: WitnessAt, log: SmallLog, size: int, old: int = 0) -> str:
    return cosigning.ask(there, log.checkpoint(size), lambda at: log.consistency(at, size), old)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    assert caught.value.sentence.endswith(".")
    return caught.value.code


# -- the witness, over HTTP


def post(there: WitnessAt, body: bytes, **more: Any) -> httpx.Response:
    return httpx.post(f"{there.url}/add-checkpoint", content=body, **more)


def body_of(log: SmallLog, old: int, size: int) -> bytes:
    proof = "".join(strict64.encode(h) + "\n" for h in log.consistency(old, size))
    return f"old {old}\n{proof}\n{log.checkpoint(size)}".encode()


def test_each_answer_has_the_status_and_type_that_c2sp_gives_it(there: WitnessAt, log: SmallLog) -> None:
    good = post(there, body_of(log, 0, 20))
    assert (good.status_code, good.text[:2], good.text[-1]) == (200, "\u2014 ", "\n")
    stale = post(there, body_of(log, 0, 40))
    assert (stale.status_code, stale.headers["content-type"], stale.text) == (409, "text/x.tlog.size", "20\n")
    fork = log.forked(5, 35)
    other = SmallLog.of(9, origin="countenance.invalid/hotel/log", seed="hotel")
    for body, status in ((body_of(fork, 20, 40), 422), (body_of(fork, 20, 20), 409), (body_of(other, 0, 9), 404),
                         (body_of(SmallLog(log.entries, seed="impostor"), 20, 40), 403), (b"old 20\n", 400),
                         (f"old 20\n\n{log.checkpoint(12)}".encode(), 400)):
        answer = post(there, body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text.count("\n") == 1
        assert answer.text.endswith("]\n")
        assert "Traceback" not in answer.text
    assert post(there, body_of(log, 20, 40)).status_code == 200


def test_its_key_stands_on_its_first_page_and_nothing_else_is_there(there: WitnessAt) -> None:
    assert httpx.get(there.url).text == f"{KEY.text}\n"
    assert httpx.get(f"{there.url}/add-checkpoint").status_code == 405
    assert httpx.get(f"{there.url}/docs").status_code == 404
    assert "server" not in httpx.get(there.url).headers


def test_a_long_request_is_cut_off_whether_it_says_its_length_or_not(there: WitnessAt, log: SmallLog) -> None:
    assert post(there, b"x" * (LARGEST_BODY + 1)).status_code == 413
    assert post(there, b"x" * LARGEST_BODY).status_code == 400

    def dripping() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    with suppress(httpx.WriteError):  # it had heard enough
        assert httpx.post(f"{there.url}/add-checkpoint", content=dripping()).status_code == 413
    assert post(there, body_of(log, 0, 20)).status_code == 200


def test_no_more_of_a_long_request_is_taken_than_the_limit(witness: Witness) -> None:
    taken, answers = list[int](), list[Any]()

    async def receive() -> dict[str, Any]:
        taken.append(1000)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": len(taken) < 1000}

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/add-checkpoint", "headers": [], "query_string": b""}
    asyncio.run(witness_http.app_of(witness)(scope, receive, send))
    assert answers[0]["status"] == 413
    assert sum(taken) <= LARGEST_BODY + 1000


def test_trouble_inside_is_one_sentence(there: WitnessAt, witness: Witness, log: SmallLog,
                                        monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def breaks(_body: bytes) -> str:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(witness, "add_checkpoint", breaks)
        answer = post(there, body_of(log, 0, 20))
    assert (answer.status_code, answer.text) == (
        500, "Something went wrong inside; nothing was cosigned. [internal]\n")
    assert "secret" not in "".join(capfd.readouterr())
    next_to_it = witness.folder / "lock"
    next_to_it.unlink(missing_ok=True)
    next_to_it.mkdir()
    assert post(there, body_of(log, 0, 20)).text.endswith("[witness-store]\n")


def test_of_many_forks_asked_for_at_once_one_is_cosigned(there: WitnessAt, log: SmallLog) -> None:
    post(there, body_of(log, 0, 20))
    bodies = [body_of(log, 20, 35)] + [body_of(SmallLog(log.entries[:20]).grow(15, f"{n}-"), 20, 35) for n in range(7)]
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda body: post(there, body).status_code, bodies))
    assert statuses == [200, *[409] * 7]


# -- the client


def test_the_client_adds_a_cosignature_and_finds_where_the_witness_stands(there: WitnessAt, log: SmallLog) -> None:
    for size in (7, 20, 20, 40):
        note = asked(there, log, size)
        assert signed_note.require_signed(signed_note.parse(note), KEY) == START
        assert note.startswith(log.checkpoint(size))
    assert asked(there, log, 40, old=40) == note


def test_the_client_says_why_there_is_none(there: WitnessAt, log: SmallLog) -> None:
    asked(there, log, 20)
    assert refusal(lambda: asked(there, log, 12)) == "witness-ahead"
    assert refusal(lambda: asked(there, log.forked(5, 35), 20)) == "witness-fork"
    assert refusal(lambda: asked(there, log.forked(5, 35), 40)) == "witness-fork"
    other = SmallLog.of(9, origin="countenance.invalid/hotel/log", seed="hotel")
    assert refusal(lambda: asked(there, other, 9)) == "witness-log-unknown"
    assert refusal(lambda: asked(there, SmallLog(log.entries, seed="impostor"), 40)) == "witness-refused"
    assert refusal(lambda: cosigning.ask(there, "hello", lambda _old: ())) == "note-malformed"
    assert refusal(lambda: asked(WitnessAt(there.url, log.key), log, 40)) == "witness-wrong"
    stranger = signed_note.key_of(private_key("stranger"), NAME, WITNESS)
    assert refusal(lambda: asked(WitnessAt(there.url, stranger), log, 40)) == "witness-wrong"
    asked(there, log, 40)


def test_one_witness_that_is_gone_leaves_the_others_cosignature(there: WitnessAt, log: SmallLog) -> None:
    gone = WitnessAt("http://127.0.0.1:9", signed_note.key_of(private_key("gone"), "gone.example/w", WITNESS))
    got = cosigning.gather([gone, there], log.checkpoint(20), lambda old: log.consistency(old, 20))
    assert {name: error.code for name, error in got.faults.items()} == {"gone.example/w": "witness-unreachable"}
    signed_note.require_signed(signed_note.parse(got.note), KEY)


def test_a_log_asks_its_witnesses_once_for_each_checkpoint(there: WitnessAt, witness: Witness, log: SmallLog,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    answers = witness.add_checkpoint
    monkeypatch.setattr(witness, "add_checkpoint", lambda body: (heard.append(body), answers(body))[1])
    ask = cosigning.asking([("http://127.0.0.1:9", KEY), (there.url, KEY)])
    for size in (20, 40):
        note = ask(signed_note.parse(log.checkpoint(size)), log.consistency)
        signed_note.require_signed(note, KEY)
        assert ask(note, log.consistency) == note
    assert [body[:7] for body in heard] == [b"old 0\n\n", b"old 20\n"]


def in_turn(*answers: tuple[int, str, bytes]) -> httpx.Client:
    """Return a client whose witness gives these answers, one after the other."""
    left = list(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        status, kind, body = left.pop(0)
        return httpx.Response(status, headers={"content-type": kind}, stream=httpx.ByteStream(body))

    return httpx.Client(transport=httpx.MockTransport(answer))


SIZE, PLAIN = "text/x.tlog.size", "text/plain; charset=utf-8"
THERE = WitnessAt("http://witness.invalid", KEY)


def lines(log: SmallLog, size: int, key: str = "witness", name: str = NAME) -> bytes:
    text = signed_note.parse(log.checkpoint(size)).text
    return signed_note.cosign(text, name, private_key(key), START).line.encode()


LIES: dict[str, tuple[list[tuple[int, str, bytes]], str]] = {
    "nothing": ([(200, PLAIN, b"")], "witness-wrong"),
    "no line": ([(200, PLAIN, b"ok\n")], "witness-wrong"),
    "no text": ([(200, PLAIN, b"\xff\n")], "witness-wrong"),
    "of another key": ([(200, PLAIN, lines(SmallLog.of(40), 40, "stranger"))], "witness-wrong"),
    "under another name": ([(200, PLAIN, lines(SmallLog.of(40), 40, name="other.example"))], "witness-wrong"),
    "over another size": ([(200, PLAIN, lines(SmallLog.of(40), 39))], "witness-wrong"),
    "over a fork": ([(200, PLAIN, lines(SmallLog.of(40, tag="x"), 40))], "witness-wrong"),
    "without its end": ([(200, PLAIN, lines(SmallLog.of(40), 40)[:-1])], "witness-wrong"),
    "text before it": ([(200, PLAIN, b"x\n\n" + lines(SmallLog.of(40), 40))], "witness-wrong"),
    "a size without its type": ([(409, PLAIN, b"20\n")], "witness-fork"),
    "a size that is none": ([(409, SIZE, b"twenty\n")], "witness-wrong"),
    "a size without its end": ([(409, SIZE, b"20")], "witness-wrong"),
    "a size with a zero": ([(409, SIZE, b"020\n")], "witness-wrong"),
    "a longer log than there is": ([(409, SIZE, b"41\n")], "witness-ahead"),
    "the size that it was given": ([(409, SIZE, b"0\n")], "witness-stale"),
    "another size each time": ([(409, SIZE, b"20\n"), (409, SIZE, b"21\n")], "witness-stale"),
    "elsewhere": ([(302, PLAIN, b"")], "witness-refused"),
    "trouble": ([(503, PLAIN, b"")], "witness-unreachable"),
    "too much": ([(200, PLAIN, b"x" * 70_000)], "witness-unreachable"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_witness_that_lies_is_not_believed(log: SmallLog, lie: str) -> None:
    answers, code = LIES[lie]
    with in_turn(*answers) as client:
        assert refusal(lambda: cosigning.ask(THERE, log.checkpoint(), lambda old: log.consistency(old, 40),
                                             client=client)) == code


def test_a_witness_that_tells_the_truth_the_same_way_is(log: SmallLog) -> None:
    stranger = lines(log, 40, "stranger", "stranger.example")
    with in_turn((409, SIZE, b"20\n"), (200, PLAIN, stranger + lines(log, 40))) as client:
        note = cosigning.ask(THERE, log.checkpoint(), lambda old: log.consistency(old, 40), client=client)
    assert [s.name for s in signed_note.parse(note).signatures] == [ORIGIN, NAME]  # and the stranger's is left out


def test_an_answer_that_drips_in_is_cut_off(log: SmallLog) -> None:
    clock = SetClock(START)

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock.move(1)
                yield b"x"

    with httpx.Client(transport=httpx.MockTransport(lambda _r: httpx.Response(200, stream=Drip()))) as client:
        assert refusal(lambda: cosigning.ask(THERE, log.checkpoint(), lambda old: (), client=client,
                                             clock=clock)) == "witness-unreachable"
        assert clock.now() - START <= cosigning.TIMEOUT_S + 1
        assert refusal(lambda: mirror.Address("http://log.invalid", client, clock).read("x")) == "log-unreadable"
        assert clock.now() - START <= cosigning.TIMEOUT_S + mirror.TIMEOUT_S + 2


@contextmanager
def slow(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """Listen at an address where each connection is answered so, until the other side has hung up."""
    heard: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            while True:
                answer(connection)

    def serve(taken: socket.socket) -> None:
        with suppress(OSError):
            while True:
                heard.append(threading.Thread(target=one, args=(taken.accept()[0],)))
                heard[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        serving = threading.Thread(target=serve, args=(taken,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            taken.shutdown(socket.SHUT_RDWR)
            serving.join(5)
            for thread in heard:
                thread.join(5)
                assert not thread.is_alive()  # whoever asked has hung up


def dripping(connection: socket.socket) -> None:
    connection.sendall(b"a")
    threading.Event().wait(0.05)


def drips_a_header(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-a: ")
    while True:
        dripping(connection)


def is_processing(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
    threading.Event().wait(0.02)


def drips_a_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")
    while True:
        dripping(connection)


def says_nothing(connection: socket.socket) -> None:
    if not connection.recv(1):
        raise OSError


SLOW = [drips_a_header, is_processing, drips_a_body, says_nothing]


@pytest.mark.promise(2)
@pytest.mark.parametrize("answer", SLOW, ids=lambda answer: answer.__name__)
def test_no_way_of_answering_puts_the_deadline_off(
        log: SmallLog, answer: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosigning, "TIMEOUT_S", 0.4)
    monkeypatch.setattr(mirror, "TIMEOUT_S", 0.4)
    with slow(answer) as url:
        for read, code in ((lambda: asked(WitnessAt(url, KEY), log, 20), "witness-unreachable"),
                           (lambda: reads(url), "log-unreadable")):
            since = SystemClock().monotonic()
            assert refusal(read) == code
            assert SystemClock().monotonic() - since < 3
    for thread in threading.enumerate():
        if thread.name == "exchange":
            thread.join(5)
            assert not thread.is_alive()


def reads(url: str) -> bytes:
    with mirror.opened(url) as there:
        return there.read("checkpoint")


def test_a_name_that_is_looked_up_for_ever_is_not_waited_for(log: SmallLog, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, look_up = threading.Event(), socket.getaddrinfo

    def looks_up(*given: Any, **more: Any) -> Any:
        goes_on.wait(20)
        return look_up(*given, **more)

    monkeypatch.setattr(cosigning, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", looks_up)
    with slow(is_processing) as url:
        assert refusal(lambda: asked(WitnessAt(url, KEY), log, 20)) == "witness-unreachable"
        (left,) = [thread for thread in threading.enumerate() if thread.name == "exchange"]
        assert left.daemon  # the process may end
        goes_on.set()
        left.join(5)  # it connects too late, and hangs up at once
        assert not left.is_alive()


def test_a_log_that_did_not_answer_in_time_is_asked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "TIMEOUT_S", 0.3)
    with slow(is_processing) as url, mirror.opened(url) as there:
        assert refusal(lambda: there.read("checkpoint")) == "log-unreadable"
        since = SystemClock().monotonic()
        assert refusal(lambda: there.read("tile/0/000")) == "log-unreadable"
        assert SystemClock().monotonic() - since < 0.2


@pytest.mark.parametrize(("name", "value"), [
    ("ALL_PROXY", "socks5://127.0.0.1:9"), ("HTTP_PROXY", "http://127.0.0.1:9"), ("http_proxy", "nonsense://["),
    ("SSL_CERT_FILE", "/nonexistent")])
def test_the_environment_steers_nothing(there: WitnessAt, log: SmallLog, tmp_path: Path, name: str, value: str,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    signed_note.require_signed(signed_note.parse(asked(there, log, 20)), KEY)
    with published(log.write(tmp_path / "log", 20)) as url:
        assert reads(url)


@pytest.mark.promise(2)
def test_a_machine_whose_client_cannot_be_built_has_no_cosignature_and_nothing_worse(
        there: WitnessAt, log: SmallLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_given: object, **_more: object) -> None:
        raise ImportError("socksio")

    monkeypatch.setattr(httpx, "Client", breaks)
    assert refusal(lambda: asked(there, log, 20)) == "witness-unreachable"
    assert refusal(lambda: reads(there.url)) == "log-unreadable"


def test_slow_connections_do_not_keep_others_out_for_good(
        witness: Witness, log: SmallLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: while they last nobody is served."""
    monkeypatch.setattr(witness_http, "CONNECTION_S", 1.5)
    monkeypatch.setattr(witness_http, "_AT_ONCE", 8)
    with serving(witness) as there, ExitStack() as held:
        host, port = there.url.removeprefix("http://").split(":")
        for _ in range(8):
            one = held.enter_context(socket.create_connection((host, int(port))))
            one.sendall(b"POST /add-checkpoint HTTP/1.1\r\nx: ")
        assert post(there, body_of(log, 0, 20)).status_code == 503
        one.settimeout(10)
        with suppress(ConnectionResetError):
            assert one.recv(1) == b""
        assert post(there, body_of(log, 0, 20)).status_code == 200


# -- a log behind an address


@contextmanager
def published(folder: Path, handler: type[BaseHTTPRequestHandler] | None = None) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, directory=str(folder), **more)

        def log_message(self, *_given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler or Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_log_is_watched_over_http_as_from_its_folder(tmp_path: Path, log: SmallLog) -> None:
    with published(log.write(tmp_path / "log", 20)) as url:
        for size in (20, 40):
            log.write(tmp_path / "log", size)
            with mirror.opened(url) as there, mirror.opened(str(tmp_path / "log")) as here:
                looks = []
                for name, place in (("a", there), ("b", here)):
                    watching = Monitor(place, tmp_path / name, [log.key])
                    looks.append(watching.look())
                    watching.believe(looks[-1])
            assert looks[0].clear == looks[1].clear
            assert len(looks[0].clear) == 7
        (tmp_path / "log/tile/entries/000.p/40").unlink()
        with mirror.opened(url) as there:
            assert refusal(lambda: Monitor(there, tmp_path / "c", [log.key]).look()) == "bundle-missing"
    with mirror.opened(url) as there:
        assert refusal(lambda: there.read("checkpoint")) == "log-unreadable"


def test_a_packed_file_is_read_and_one_that_unpacks_without_end_is_not() -> None:
    files = {"/good": gzip.compress(b"tile"), "/cut": gzip.compress(b"tile")[:-3], "/no": b"tile",
             "/bomb": gzip.compress(bytes(mirror.LARGEST + 1))}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(
            files[request.url.path]))

    clock = SetClock(START)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        there = mirror.Address("http://log.invalid", client, clock)
        assert there.read("good") == b"tile"
        for name in ("cut", "no", "bomb"):
            assert refusal(lambda name=name: there.read(name)) == "log-unreadable"  # type: ignore[misc]  # bound at once


# -- the commands

APP = typer.Typer()


@APP.callback()
def _log() -> None:
    """Stand for the group `log`."""


log_outside.register(APP)


def run(*words: str) -> Any:
    return CliRunner().invoke(APP, list(words))


STARTED = """
import sys
from journeys.test_witness_http import APP
APP(sys.argv[1:], standalone_mode=False)
"""


@contextmanager
def started(*words: str) -> Iterator[list[str]]:
    """Start `log witness` as a process of its own; give the lines that it says first."""
    tests = str(Path(__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", STARTED, "witness", *words], cwd=tests, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    try:
        yield [process.stdout.readline() for _ in range(3)]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        said = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    assert "Traceback" not in said


def test_the_witness_command_makes_its_key_once_and_cosigns(tmp_path: Path, log: SmallLog) -> None:
    words = ["--dir", str(tmp_path / "w"), "--log", log.key.text, "--listen", "127.0.0.1:0"]
    keys = set[str]()
    for size, name in ((20, ["--name", NAME]), (40, [])):
        with started(*words, *name) as said:
            key = signed_note.read_key(said[0].strip())
            url = said[2].split(" at ")[1].split(". ")[0]
            assert "A witness that the venue controls counts as none." in said[2]
            note = asked(WitnessAt(url, key), log, size)
        assert signed_note.require_signed(signed_note.parse(note), key) > START - 10**9
        keys.add(key.text)
    assert len(keys) == 1
    assert (tmp_path / "w/cosignature.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("words", "code"), [
    (["--name", "a b"], "witness-name"), (["--name", "a+b"], "witness-name"), ([], "witness-name"),
    (["--name", NAME, "--listen", "8064"], "listen-address"),
    (["--name", NAME, "--listen", "here:x"], "listen-address"),
    (["--name", NAME, "--listen", "127.0.0.1:99999"], "listen-address"),
    (["--name", NAME, "--log", "x+y+z"], "note-key"), (["--name", NAME, "--log", KEY.text], "note-key")])
def test_a_witness_that_cannot_start_says_why(tmp_path: Path, log: SmallLog, words: list[str], code: str) -> None:
    done = run("witness", "--dir", str(tmp_path / "w"), "--log", log.key.text, *words)
    assert isinstance(done.exception, CountenanceError)
    assert done.exception.code == code


def test_a_witness_does_not_take_another_name_or_key(tmp_path: Path, log: SmallLog) -> None:
    log_outside._witness(tmp_path / "w", NAME, [log.key.text])
    assert refusal(lambda: log_outside._witness(tmp_path / "w", "other.example", [])) == "witness-name"
    (tmp_path / "w/cosignature.key").write_bytes(bytes(32))
    assert refusal(lambda: log_outside._witness(tmp_path / "w", "", [])) == "witness-key"
    (tmp_path / "w/cosignature.key").chmod(0o644)
    assert refusal(lambda: log_outside._witness(tmp_path / "w", "", [])) == "signer-open"


def test_an_address_that_is_taken_is_said_to_be(tmp_path: Path, log: SmallLog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("witness", "--dir", str(tmp_path / "w"), "--name", NAME, "--log", log.key.text,
                   "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert isinstance(done.exception, BadInput)
    assert done.exception.code == "listen-address"


@pytest.mark.parametrize("part", ["uvicorn", "starlette.applications"])
def test_without_the_extra_it_says_what_to_install(tmp_path: Path, log: SmallLog, part: str,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "countenance.transparency.witness_http")
    monkeypatch.delattr("countenance.transparency.witness_http")
    monkeypatch.setitem(sys.modules, part, None)
    done = run("witness", "--dir", str(tmp_path / "w"), "--name", NAME, "--log", log.key.text)
    assert isinstance(done.exception, BadInput)
    assert done.exception.code == "extra-missing"
    assert "countenance[server]" in done.exception.sentence
    assert not (tmp_path / "w").exists()


def test_the_monitor_command_tells_what_is_new_once(tmp_path: Path, log: SmallLog) -> None:
    folder, state = str(log.write(tmp_path / "log", 20)), str(tmp_path / "state")
    first = run("monitor", folder, "--key", log.key.text, "--state", state)
    assert first.exit_code == 0, first.exception
    assert "20 entries" in first.stdout
    assert "first look" in first.stdout
    assert "  2027-01-15T08:00:03Z  purpose  purpose: entrance-3\n" in first.stdout
    assert "13 about people" in first.stdout
    log.write(tmp_path / "log", 40)
    second = json.loads(run("monitor", folder, "--key", log.key.text, "--state", state, "--json").stdout)
    assert (second["before"], second["size"], second["sealed"]) == (20, 40, 13)
    assert second["clear"][0] == {"index": 21, "type": "purpose", "at": "2027-01-15T08:00:21Z",
                                  "body": {"purpose": "entrance-21"}}
    third = run("monitor", folder, "--key", log.key.text, "--state", state, "--again")
    assert "0 more than at the last look" in third.stdout
    assert "entrance" not in third.stdout
    log.write(tmp_path / "log", 30)
    back = run("monitor", folder, "--key", log.key.text, "--state", state)
    assert isinstance(back.exception, Refused)
    assert back.exception.code == "log-rollback"


def test_the_monitor_command_goes_by_a_trust_file(tmp_path: Path, log: SmallLog) -> None:
    folder = log.write(tmp_path / "log", 40)

    def looks(name: str, *logs: NoteKey) -> Any:
        file = tmp_path / name
        file.write_text(trust.Trust(logs, (), (KEY,), 1).encode())
        return run("monitor", str(folder), "--trust", str(file), "--state", str(tmp_path / "state"))

    assert looks("one", log.key).exception.code == "cosignature-missing"
    note = signed_note.parse(log.checkpoint())
    (folder / "checkpoint").write_text(note.with_line(cosign(note.text, START)).encode())
    assert f"Cosigned by {NAME}." in looks("two", log.key).stdout
    other = private_key("other")
    assert looks("three", signed_note.key_of(other, "other.example")).exception.code == "trust-other-log"
    assert looks("four", signed_note.key_of(other, ORIGIN)).exception.code == "monitor-state"
    (tmp_path / "state").unlink()
    assert looks("five", signed_note.key_of(other, ORIGIN)).exception.code == "signature-missing"
    for words in ([], ["--key", log.key.text, "--trust", str(tmp_path / "one")]):
        assert run("monitor", str(folder), "--state", str(tmp_path / "s"), *words).exception.code == "monitor-key"


def test_what_a_log_says_steers_no_terminal(tmp_path: Path) -> None:
    from countenance.formats import log_entries

    bad = SmallLog([log_entries.clear("or\x1b[2Jder\u202e", START, {"who\n": "\x9b31m", "hash": b"\xff\x00"})])
    done = run("monitor", str(bad.write(tmp_path / "log")), "--key", bad.key.text, "--state", str(tmp_path / "s"))
    assert done.exit_code == 0
    assert not [c for c in done.stdout if not c.isprintable() and c != "\n"]
    assert "or\\u001b[2Jder\\u202e  hash: ff00, who\\u000a: \\u009b31m\n" in done.stdout


def test_a_witness_that_is_away_keeps_no_receipt_waiting_twice(log: SmallLog) -> None:
    clock = SetClock(START)
    asked: list[int] = []

    def prove(old: int, size: int) -> tuple[bytes, ...]:
        asked.append(size)
        return log.consistency(old, size)

    ask = cosigning.asking([("http://127.0.0.1:9", KEY)], clock)
    for size, wait in ((20, 0.0), (30, 1.0), (40, cosigning.QUIET_S)):
        clock.move(wait)
        note = signed_note.parse(log.checkpoint(size))
        assert ask(note, prove) == note
    assert asked == [20, 40]
