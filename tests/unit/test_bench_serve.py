"""bench serve: that it runs small, and counts as an error whatever is no `admit`. No timing is asserted."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from countenance.bench import serve as bench_serve
from countenance.bench import serve_load
from countenance.bench.serve_load import Load
from countenance.bench.serve_process import Server
from countenance.cli import bench
from countenance.errors import ModelFault

ADMIT, REFER = {"decision": "admit"}, {"decision": "refer"}
Act = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    acts: list[Act]
    asked: list[tuple[str, str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        number = len(self.asked)
        self.asked.append((self.path, self.headers["x-api-key"], body))
        self.acts[number % len(self.acts)](self)

    def log_message(self, *_arguments: Any) -> None:
        pass


def says(status: int, value: object) -> Act:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    def act(request: Handler) -> None:
        request.send_response(status)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return act


def hangs_up(request: Handler) -> None:
    request.close_connection = True


@contextmanager
def answering(*acts: Act) -> Iterator[tuple[int, list[tuple[str, str | None, bytes]]]]:
    handler = type("Answers", (Handler,), {"acts": list(acts), "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port, handler.asked  # type: ignore[attr-defined]  # made above
        finally:
            server.shutdown()
            thread.join()


def asked(load: Load) -> dict[str, Any]:
    here, there = multiprocessing.Pipe()
    serve_load.main(load, there)
    with here:
        while not isinstance(told := json.loads(here.recv_bytes()), dict):
            pass
    return dict(told)


def test_whatever_is_no_admit_is_an_error() -> None:
    acts = (says(200, ADMIT), says(200, REFER), says(429, {"code": "attempts"}), says(500, b"<html>"), hangs_up,
            says(200, b"{}"), says(503, ADMIT), says(200, ADMIT))
    with answering(*acts) as (port, seen):
        told = asked(Load(port, [[("/one", "k1"), ("/two", "k2")]], 16, {}, b"picture"))
    assert len(seen) == 16
    assert seen[:3] == [("/one", "k1", b"picture"), ("/two", "k2", b"picture"), ("/one", "k1", b"picture")]
    assert len(told["took_ms"]) == 4
    assert told["errors"] == {"decision refer": 2, "429 attempts": 2, "JSONDecodeError": 2,
                              "RemoteDisconnected": 2, "decision None": 2, "503 None": 2}


def test_clients_together_ask_as_often_as_they_are_told() -> None:
    with answering(says(200, ADMIT)) as (port, seen):
        told = asked(Load(port, [[(f"/{name}", "")] for name in "abc"], 31, {}))
    assert len(seen) == len(told["took_ms"]) == 31
    assert {path for path, _key, _body in seen} <= {"/a", "/b", "/c"}
    assert {key for _path, key, _body in seen} == {None}


def test_a_load_without_an_end_stops_when_it_is_told_to() -> None:
    with answering(says(200, ADMIT)) as (port, seen):
        with bench_serve._beside(Load(port, [[("/a", "")], [("/b", "")]], 0, {})):
            before = len(seen)
        assert before >= 100
        after = len(seen)
        threading.Event().wait(0.2)
        assert len(seen) == after


def test_a_server_that_admits_nobody_is_not_timed() -> None:
    with answering(says(200, REFER)) as (port, _seen), pytest.raises(ModelFault) as fault:
        bench_serve._count(Load(port, [[("/a", "")]], 5, {}))
    assert fault.value.code == "bench-load"
    assert "decision refer" in fault.value.sentence


def test_a_folder_without_a_venue_is_not_timed(tmp_path: Path) -> None:
    with pytest.raises(ModelFault) as fault:
        Server(tmp_path)
    assert fault.value.code == "bench-server"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], str, list[Path]]]:
    """Run it once, small; return what it says as JSON and to people, and what it leaves."""
    folder = tmp_path_factory.mktemp("bench")
    app = typer.Typer()
    app.add_typer(bench.app, name="bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        result = CliRunner().invoke(app, ["bench", "serve", "--decisions", "48", "--people", "5", "--templates", "30",
                                          "--json"])
    assert result.exit_code == 0, result.exception
    value = json.loads(result.stdout)
    yield value, "\n".join(bench._serve_table(value)), list(folder.iterdir())


def test_serve_answers(results: tuple[dict[str, Any], str, list[Path]]) -> None:
    value, _table, left = results
    for name in ("plain", "lane", "plain_beside_faces", "lane_beside_faces"):
        assert 0 < value[f"{name}_p50_ms"] <= value[f"{name}_p99_ms"]
        assert value[f"{name}_errors"] == 0
    assert (value["decisions"], value["people"], value["errors"], value["exit_status"]) == (48, 6, 0, 0)
    assert (value["clients"], value["gates"], value["machine"]["threads"]) == (8, 16, 8)
    assert 0 < value["p50_ms"] <= value["p99_ms"]
    assert value["decisions_per_s"] > 0
    assert value["rss_growth_mb"] == pytest.approx(value["rss_mb"] - value["rss_early_mb"], abs=0.11)
    assert value["restart_filled"]["templates"] == 30
    for one in (value["restart"], value["restart_filled"]["face"], value["restart_filled"]["pass-and-face"]):
        assert 0 < one["listens_s"] <= one["ready_s"]
    assert left == []


def test_the_table_of_serve_is_80_columns(results: tuple[dict[str, Any], str, list[Path]]) -> None:
    _value, table, _left = results
    assert "decisions a second" in table
    assert max(len(line) for line in table.splitlines()) <= 80
