"""bench gate, search and log: the shape of their answers and their refusals. No timing is asserted: a busy machine is
no bug.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from countenance.bench import gate, peer
from countenance.bench import log as bench_log
from countenance.bench import search as bench_search
from countenance.cli import bench
from countenance.errors import BadInput, ModelFault
from countenance.matching.embedded import blocks

PARTS = {"decode", "detect", "align", "embed", "search", "decision", "rest"}


def run(*arguments: str) -> Any:
    app = typer.Typer()
    app.add_typer(bench.app, name="bench")
    return CliRunner().invoke(app, ["bench", "gate", "--people", "5", "--rounds", "2", *arguments])


def test_the_answer_without_a_peer() -> None:
    result = run("--json")
    assert result.exit_code == 0, result.exception
    value = json.loads(result.stdout)
    assert set(value) == {"median_ms", "p95_ms", "rounds", "runs", "people", "parts_ms", "machine"}
    assert (value["rounds"], value["runs"], value["people"]) == (2, 2, 6)
    assert set(value["parts_ms"]) == PARTS
    assert 0 < value["median_ms"] <= value["p95_ms"]
    assert value["machine"]["threads"] == 1


def test_the_table_is_80_columns() -> None:
    result = run()
    assert result.exit_code == 0, result.exception
    assert "detect" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run("--json").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_peer() -> None:
    result = run("--against", "somebody_else")
    assert isinstance(result.exception, BadInput)
    assert result.exception.code == "bench-peer-unknown"


@pytest.mark.parametrize("missing", ["face_recognition", "dlib", "pkg_resources"])
def test_a_missing_peer(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(peer, "find_spec", lambda name: None if name == missing else object())
    result = run("--against", "face_recognition")
    assert isinstance(result.exception, BadInput)
    assert result.exception.code == "bench-peer-missing"
    assert "pip install --no-deps face_recognition" in result.exception.sentence


def test_a_peer_that_ends_the_process_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_name: str) -> None:
        raise SystemExit

    monkeypatch.setattr(peer, "find_spec", lambda _name: object())
    monkeypatch.setattr("importlib.import_module", leave)
    with pytest.raises(BadInput) as refused:
        peer.load(np.zeros((1, 128), np.float32), 0.5)
    assert refused.value.code == "bench-peer-missing"


class Library:
    """Stands in for the library: notes what it is asked, and finds one face (or as many as told)."""

    def __init__(self, faces: int = 1) -> None:
        self.asked: list[tuple[tuple[int, ...], int, str]] = []
        self.encoded: list[Any] = []
        self.compared = 0
        self._faces = faces

    def load_image_file(self, _file: Any) -> Any:
        return np.zeros((480, 640, 3), np.uint8)

    def face_locations(self, picture: Any, number_of_times_to_upsample: int = 1, model: str = "hog") -> Any:
        self.asked.append((picture.shape, number_of_times_to_upsample, model))
        return [(10, 110, 110, 10)] * self._faces

    def face_encodings(self, picture: Any, boxes: Any) -> Any:
        self.encoded.append((picture.shape, boxes))
        return [np.zeros(128)]

    def face_distance(self, known: Any, _vector: Any) -> Any:
        self.compared = len(known)
        return np.linalg.norm(known, axis=1)


def test_with_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(peer, "require", lambda _name: None)
    monkeypatch.setattr(peer, "load", lambda known, shrink: peer.Peer(library, known, shrink))
    value = gate.run(4, 5, "face_recognition", lambda _done, _all: None)
    for group in ("against", "same_resolution"):
        assert {name: one["runs"] for name, one in value[group].items()} == {"hog": 4, "cnn": 3}
        assert all(isinstance(one["ratio"], float) for one in value[group].values())
    assert value["runs"] == 2 * 4 + 2 * 3  # ours, right before each of theirs
    assert library.compared == 5
    assert set(library.asked) == {((480, 640, 3), 1, "hog"), ((480, 640, 3), 1, "cnn"),
                                  ((185, 246, 3), 0, "hog"), ((185, 246, 3), 0, "cnn")}


def test_the_small_way_measures_the_face_in_the_full_picture() -> None:
    library = Library()
    (small,) = (way for way in peer.Peer(library, np.zeros((3, 128), np.float32), 0.5).ways(1)
                if (way.group, way.model) == ("same_resolution", "hog"))
    small.decide(b"")
    assert library.encoded == [((480, 640, 3), [(20, 220, 220, 20)])]


def test_a_peer_that_finds_no_face_is_not_timed() -> None:
    way = peer.Peer(Library(faces=0), np.zeros((3, 128), np.float32), 0.5).ways(1)[0]
    with pytest.raises(ModelFault) as fault:
        way.decide(b"")
    assert fault.value.code == "bench-peer-missed"


def test_a_gate_that_refers_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance.flows import admit

    monkeypatch.setattr("countenance.flows.admit.by_face",
                        lambda *_a, **_k: SimpleNamespace(outcome=admit.Outcome.REFER))
    with pytest.raises(ModelFault) as fault:
        gate.run(1, 1, None, lambda _done, _all: None)
    assert fault.value.code == "bench-referred"


def run_search(*arguments: str) -> Any:
    app = typer.Typer()
    app.add_typer(bench.app, name="bench")
    return CliRunner().invoke(app, ["bench", "search", "--people", "300", "--rounds", "3", *arguments])


@pytest.mark.parametrize("size", [blocks.BLOCK_BYTES, 16 * 512, 512])
@pytest.mark.parametrize("dim", ["16", "128", "512"])
def test_search_answers(monkeypatch: pytest.MonkeyPatch, size: int, dim: str) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    result = run_search("--dim", dim, "--json")
    assert result.exit_code == 0, result.exception
    value = json.loads(result.stdout)
    ratios = {"plain_over_faiss", "sealed_over_plain", "sealed_over_parts"}
    assert set(value) == {"plain_ms", "faiss_ms", "aes_ms", "sealed_ms", *ratios,
                          "people", "dim", "rounds", "blocks", "machine"}
    assert all(value[name] > 0 for name in ratios)
    assert (value["people"], value["dim"], value["rounds"]) == (300, int(dim), 3)
    count = -(-300 // (size // int(dim)))
    assert (value["blocks"], value["machine"]["threads"]) == (count, 2 if count >= 16 else 1)


def test_the_table_of_search_is_80_columns() -> None:
    result = run_search("--people", "20000")
    assert result.exit_code == 0, result.exception
    assert "20,000 templates of 128" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_progress_of_search_ends_once() -> None:
    told: list[tuple[int, int]] = []
    bench_search.run(40_000, 128, 2, 1, lambda done, total: told.append((done, total)))
    assert told == [(number, 7) for number in range(1, 8)]


def test_ways_that_find_different_rows_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_search.Bare, "nearest", lambda _self, _codes, _each: 5)
    result = run_search()
    assert isinstance(result.exception, ModelFault)
    assert result.exception.code == "bench-search-differs"


def run_log(*arguments: str) -> Any:
    app = typer.Typer()
    app.add_typer(bench.app, name="bench")
    return CliRunner().invoke(app, ["bench", "log", "--leaves", "600", "--appends", "2", *arguments])


def test_log_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run_log("--json")
    assert result.exit_code == 0, result.exception
    value = json.loads(result.stdout)
    times = {"fdatasync_ms", "one_writer_ms", "one_writer_fdatasyncs", "p50_ms", "p99_ms", "proof_ms", "proof_p99_ms",
             "verify_receipt_ms", "log_verify_s", "log_verify_store_s", "publish_s"}
    assert set(value) == {*times, "writers", "appends", "appends_per_s", "leaves", "peak_mb", "peak_mb_after",
                          "machine"}
    assert (value["writers"], value["appends"], value["machine"]["threads"]) == (64, 128, 64)
    assert value["leaves"] >= 600
    assert value["p50_ms"] <= value["p99_ms"]
    assert value["proof_ms"] <= value["proof_p99_ms"]
    assert all(value[name] >= 0 for name in times)
    assert set(value["peak_mb_after"]) == {"proofs", "store"}
    assert value["peak_mb"] >= max(value["peak_mb_after"].values()) > 0
    assert list(tmp_path.iterdir()) == []


def test_the_table_of_log_is_80_columns() -> None:
    result = run_log()
    assert result.exit_code == 0, result.exception
    assert "64 writers" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_progress_of_log_goes_forward_and_ends() -> None:
    told: list[tuple[int, int]] = []
    bench_log.run(600, 1, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert {total for _, total in told} == {64 + 4 * 600}
    assert told[-1][0] == told[-1][1]


def test_a_log_that_does_not_verify_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance.flows import log

    publish = log.publish

    def spoilt(venue: Any, *arguments: Any) -> Any:
        published = publish(venue, *arguments)
        (venue.folder / "log" / "tile" / "0" / "000").unlink()
        return published

    monkeypatch.setattr("countenance.flows.log.publish", spoilt)
    with pytest.raises(ModelFault) as fault:
        bench_log.run(600, 1, lambda _done, _all: None)
    assert fault.value.code == "bench-log-reader"
    assert "tile-missing" in fault.value.sentence
