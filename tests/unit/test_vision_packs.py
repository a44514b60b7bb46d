"""Manifests, weights, kept graphs and the check of a pack."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countenance.errors import ModelFault
from countenance.vision import cache, pack_runtime, packs
from countenance.vision.embed import pattern
from countenance.vision.image import Frame
from countenance.vision.pack_runtime import FacePack
from countenance.vision.session import Session


def text() -> str:
    return (Path(packs.__file__).parent / "manifests" / "dlib-resnet.toml").read_text("utf-8")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTENANCE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def code(fault: pytest.ExceptionInfo[ModelFault]) -> str:
    return fault.value.code


def test_the_default_pack_says_what_it_is() -> None:
    assert packs.names() == ["dlib-resnet"]
    assert packs.bundled() == ["auraface", "buffalo-l", "dlib-resnet", "yunet-sface"]
    shown = packs.load().describe()
    assert (shown["dim"], shown["metric"], shown["licence"]) == (128, "euclidean", "CC0-1.0")
    assert [file["role"] for file in shown["files"]] == ["detector", "landmarks", "embedder"]
    assert all(rate["origin"] in {"published", "measured"} for rate in shown["error_rates"])
    assert "golden" not in shown
    assert not any("68" in file["name"] for file in shown["files"])  # its licence forbids commercial use


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name = "dlib-resnet"', 'name = "dlib-resnet"\nnew = 1'),
        ('summary = ', 'sumary = '),
        ("dim = 128", 'dim = "128"'),
        ("dim = 128", "dim = true"),
        ("size = 729940", "size = 729940.0"),
        ("format = 1", "format = 2"),
        ('metric = "euclidean"', 'metric = "cosine"'),
        ("heat_cells = 4480", "heat_cells = 4480\nmore = 1"),
        ("points = [[220.0,", "points = [[220,"),
        ("format = 1", "format = "),
    ],
)
def test_a_manifest_is_strict(before: str, after: str) -> None:
    assert before in text()
    with pytest.raises(ModelFault) as fault:
        packs.parse(text().replace(before, after, 1))
    assert code(fault) == "model-manifest-invalid"


def test_identity_is_of_the_weights_and_not_of_the_wording() -> None:
    pack = packs.load()
    assert pack.identity.startswith("dlib-resnet@2+")
    assert packs.Pack(replace(pack.manifest, summary="x")).identity == pack.identity
    for changed in (
        replace(pack.manifest, version="3"),
        replace(pack.manifest, mirrored=False),
        replace(pack.manifest, files=[replace(pack.manifest.files[0], sha256="0" * 64), *pack.manifest.files[1:]]),
    ):
        assert packs.Pack(changed).identity != pack.identity


def test_an_unknown_pack_and_a_missing_package() -> None:
    with pytest.raises(ModelFault) as fault:
        packs.load("../dlib-resnet")
    assert code(fault) == "model-pack-unknown"
    with pytest.raises(ModelFault) as fault:
        packs.Pack(replace(packs.load().manifest, package="no_such_package_here")).read("detector")
    assert code(fault) == "model-file-missing"


def test_weights_that_were_changed_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = packs.load()
    data = bytearray(pack.path("detector").read_bytes())
    data[1000] ^= 1
    for content in (bytes(data), bytes(data[:-1])):
        (tmp_path / "changed").write_bytes(content)
        monkeypatch.setattr(packs.Pack, "path", lambda self, role: tmp_path / "changed")
        with pytest.raises(ModelFault) as fault:
            pack.read("detector")
        assert code(fault) == "model-file-changed"


def test_graphs_are_kept_and_damaged_ones_built_anew(kept: Path) -> None:
    FacePack.open()
    files = sorted(kept.iterdir())
    assert [path.name.split("-")[0] for path in files] == ["detector", "embedder", "landmarks"]
    whole = [path.read_bytes() for path in files]
    for path in files:
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
    FacePack.open().check()
    assert [hashlib.sha256(path.read_bytes()[32:]).digest() for path in files] == [data[:32] for data in whole]


def test_kept_bytes_are_used_and_empty_ones_are_not(kept: Path) -> None:
    calls = []

    def build() -> bytes:
        calls.append(1)
        return b"made"

    assert [cache.cached("x", build) for _ in range(3)] == [b"made"] * 3
    assert len(calls) == 1
    (kept / "x").write_bytes(b"")
    assert cache.cached("x", build) == b"made"
    assert len(calls) == 2


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("COUNTENANCE_CACHE", str(tmp_path / "file" / "kept"))
    assert cache.cached("x", lambda: b"made") == b"made"

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("COUNTENANCE_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr("countenance.durable.write", full)
    assert cache.cached("x", lambda: b"made") == b"made"


def test_where_things_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/a")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("COUNTENANCE_CACHE", raising=False)
    assert cache.folder() == Path("/home/a/.cache/countenance")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache.folder() == Path("/b/countenance")
    monkeypatch.setenv("COUNTENANCE_CACHE", "/c")
    assert cache.folder() == Path("/c")


def test_the_check_passes_and_a_wrong_golden_output_fails_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = FacePack.open()
    done = pack.check()
    assert len(done) == 6
    assert all(check.off_by <= check.tolerance for check in done)
    golden = pack._pack.manifest.golden
    for wrong in (
        {"embedding": [golden.embedding[0] + 0.01, *golden.embedding[1:]]},
        {"embedding_norm": golden.embedding_norm + 0.01},
        {"heat_peak": golden.heat_peak + 0.01},
        {"heat_cells": golden.heat_cells + 1},
        {"points": [[x + 2, y] for x, y in golden.points]},
    ):
        changed = packs.Pack(replace(pack._pack.manifest, golden=replace(golden, **wrong)))
        monkeypatch.setattr(pack, "_pack", changed)
        with pytest.raises(ModelFault) as fault:
            pack.check()
        assert code(fault) == "model-check-failed"


def test_the_drawn_face_is_found_where_it_was_drawn() -> None:
    pack = FacePack.open()
    frame = Frame(pattern(640, 480))
    (face,) = pack.detect(frame)
    assert face.box.left < 320 < face.box.right
    assert face.box.top < 240 < face.box.bottom
    right_eye, left_eye = pack.landmarks(frame, face)[[0, 2]]
    assert right_eye[0] > 320 > left_eye[0]


def test_threads_share_one_pack() -> None:
    pack = FacePack.open()
    frame = Frame(pattern(320, 240))
    alone = pack.detect(frame, 80)
    chip = pack.align(frame, alone[0])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: (pack.detect(frame, 80), pack.align(frame, alone[0])), range(16)))
    assert all(found == alone and (cut == chip).all() for found, cut in results)


def test_a_graph_that_is_none_and_an_input_that_does_not_fit() -> None:
    with pytest.raises(ModelFault) as fault:
        Session(b"no graph")
    assert code(fault) == "model-graph-unusable"
    graph = cache.cached(pack_runtime._key(packs.load(), "detector", "onnx"), lambda: b"")
    with pytest.raises(ModelFault) as fault:
        Session(graph).run(np.zeros((1, 2), np.float32))
    assert code(fault) == "model-run-failed"


def test_the_package_is_imported_without_its_heavy_parts() -> None:
    heavy = "{'onnx', 'onnxruntime', 'cv2', 'PIL', 'face_recognition_models', 'dlib'}"
    script = (
        "import sys, countenance.vision.pack_runtime, countenance.vision.quality, countenance.vision.image\n"
        f"found = {heavy} & set(sys.modules)\n"
        "assert not found, found\n"
        "import countenance.vision.packs as p\n"
        "p.load().read('detector')\n"
        "assert 'face_recognition_models' not in sys.modules\n"
    )
    process = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert process.returncode == 0, process.stderr.decode()
