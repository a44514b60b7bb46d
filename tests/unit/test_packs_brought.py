"""Bringing model packs in: small graphs made here, a folder, and a server on this machine that may lie."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from countenance.cli.main import app
from countenance.clock import SystemClock
from countenance.errors import CountenanceError
from countenance.permits import PermitBook, dataset_scope
from countenance.vision import models_folder, packs, yunet
from countenance.vision.embed import pattern
from countenance.vision.image import Frame
from countenance.vision.pack_runtime import FacePack

DIM = 24


def detector(scores: float = 0.9) -> bytes:
    """YuNet's layout, 320 x 320: one face of 96 pixels around the middle of whatever picture it is given."""
    values, nodes = [], []
    for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in yunet.STRIDES:
            side = 320 // stride
            made = np.zeros((1, side * side, width), np.float32)
            if stride == 32:
                middle = 5 * side + 5  # its corner is the middle of the picture
                made[0, middle] = {"cls": scores, "obj": scores, "bbox": [0, 0, np.log(3), np.log(3)],
                                   "kps": [-0.5, -0.5, 0.5, -0.5, 0, 0, -0.4, 0.5, 0.4, 0.5]}[kind]
            name = f"{kind}_{stride}"
            nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(made)))
            values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(made.shape)))
    return saved(nodes, [("input", [1, 3, 320, 320])], values, [])


def embedder(side: int = 112, dim: int = DIM, batch: int | str = "n", twice: bool = False) -> bytes:
    """One convolution of fixed random weights, averaged over the picture: not blind to colours or to places."""
    weights = np.random.default_rng(1).standard_normal((dim, 3, 16, 16)).astype(np.float32) / 100
    nodes = [helper.make_node("Conv", ["data", "w"], ["c"], strides=[16, 16]), helper.make_node("Relu", ["c"], ["r"]),
             helper.make_node("GlobalAveragePool", ["r"], ["g"]), helper.make_node("Flatten", ["g"], ["fc1"])]
    made = [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [batch, dim])]
    taken = [("data", [batch, 3, side, side])] + [("more", [1])] * twice
    return saved(nodes, taken, made, [numpy_helper.from_array(weights, "w")])


def saved(nodes: list[Any], taken: list[tuple[str, list[Any]]], made: list[Any], weights: list[Any]) -> bytes:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in taken]
    graph = helper.make_graph(nodes, "made", inputs, made, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def manifest(files: dict[str, bytes], **changed: str) -> str:
    """A pack called "made" with these files, by role; `changed`: lines of the manifest by their key."""
    keys = {"format": "1", "name": '"made"', "version": '"1"', "summary": '"A pack made by a test."',
            "detects": '"x"', "aligns": '"x"', "embeds": '"x"', "detector": '"yunet"', "alignment": '"arcface-5"',
            "embedder": '"onnx"', "dim": str(DIM), "step": "0.01", "mirrored": "true", "normalised": "true",
            "metric": '"euclidean"', "package": '""', "folder": '""', "licence": '"Apache-2.0"',
            "non_commercial": "false", "terms": '"Use it."', "training_data": '"None: it was drawn."',
            "error_rates": "[]"}
    colour, golden = changed.pop("colour", "RGB"), changed.pop("golden", "")
    names = {role: changed.pop(f"{role}_name", f"{role}.onnx") for role in files}
    text = "\n".join(f"{key} = {value}" for key, value in (keys | changed).items()) + "\n"
    for role, data in files.items():
        text += (f'[[files]]\nrole = "{role}"\nname = "{names[role]}"\nsize = {len(data)}\n'
                 f'sha256 = "{hashlib.sha256(data).hexdigest()}"\nlicence = "Apache-2.0"\nurl = "{names[role]}"\n')
    text += (f'[[inputs]]\nrole = "embedder"\nshape = [112, 112, 3]\nlayout = "height, width, colour"\n'
             f'colour = "{colour}"\nmean = [127.5, 127.5, 127.5]\ndivisor = 127.5\n')
    return text + golden


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTENANCE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {"detector": detector(), "embedder": embedder()}


def laid(folder: Path, files: dict[str, bytes], text: str | None = None) -> Path:
    folder.mkdir()
    for role, data in files.items():
        (folder / f"{role}.onnx").write_bytes(data)
    (folder / packs.MANIFEST).write_text(manifest(files) if text is None else text)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, arguments)])


def refused(result: Result, code: str, models: Path) -> None:
    """It ended with that code, in one sentence, and nothing is left of it."""
    error = result.exception
    assert isinstance(error, CountenanceError), result.output
    assert error.code == code
    assert "made" not in packs.names()
    assert not models.exists() or not [path for path in models.iterdir() if path.name != "other"]


def added(folder: Path, *more: str) -> Result:
    return run("add", folder, "--accept-licence", "--json", *more)


def test_a_pack_from_a_folder_finds_aligns_and_embeds(tmp_path: Path, files: dict[str, bytes], models: Path) -> None:
    result = added(laid(tmp_path / "from", files))
    assert result.exit_code == 0, result.output
    assert packs.names() == ["dlib-resnet", "made"]
    pack = FacePack.open("made")
    assert json.loads(result.stdout)["pack"] == pack.identity
    frame = Frame(pattern(640, 640))
    (face,) = pack.detect(frame, 100)
    assert face.points[2] == (320.0, 320.0)                     # the tip of the nose, by hand: the middle
    assert (face.box.left, face.box.right) == (224.0, 415.0)    # 96 pixels of 320 are 192 of 640
    chip = pack.align(frame, face)
    assert chip.shape == (112, 112, 3)
    book = PermitBook(SystemClock())
    issue, scope = book.appoint(), dataset_scope("x")
    (made,) = pack.embed_dataset(book, issue(scope), scope, chip[None])
    assert made.shape == (DIM,)
    assert abs(float(np.linalg.norm(made)) - 1) < 1e-6          # normalised
    (again,) = pack.embed_dataset(book, issue(scope), scope, chip[None, :, ::-1])
    assert np.abs(made - again).max() < 1e-6                    # mirrored
    (other,) = pack.embed_dataset(book, issue(scope), scope, chip[None, :, :, ::-1])
    assert np.abs(made - other).max() > 1e-3                    # colours matter to it


def test_who_accepted_is_written_down_and_needed(tmp_path: Path, files: dict[str, bytes], models: Path) -> None:
    added(laid(tmp_path / "from", files))
    record = models_folder.accepted(models / "made")
    assert record.pack == packs.load("made").identity
    assert record.terms_sha256 == hashlib.sha256(b"Use it.").hexdigest()
    assert not record.non_commercial
    assert record.by
    path = models / "made" / models_folder.ACCEPTANCE
    for text, code in ((path.read_text().replace("+", "-"), "model-licence"), ("[]", "model-acceptance"),
                       ('{"pack": 1}', "model-acceptance"), ("{", "model-acceptance"), (None, "model-licence")):
        path.unlink()
        if text is not None:
            path.write_text(text)
        with pytest.raises(CountenanceError) as fault:
            FacePack.open("made")
        assert fault.value.code == code


def test_without_the_licence_nothing_comes(tmp_path: Path, files: dict[str, bytes], models: Path) -> None:
    folder = laid(tmp_path / "from", files)
    refused(run("add", folder), "model-licence", models)
    (folder / packs.MANIFEST).write_text(manifest(files, non_commercial="true"))
    refused(added(folder), "model-non-commercial", models)
    refused(run("add", folder, "--acknowledge-non-commercial"), "model-licence", models)
    assert added(folder, "--acknowledge-non-commercial").exit_code == 0
    assert models_folder.accepted(models / "made").non_commercial


BAD: dict[str, tuple[Callable[[dict[str, bytes]], tuple[dict[str, bytes], dict[str, str]]], str]] = {
    "not ONNX": (lambda f: ({**f, "embedder": b"not ONNX at all"}, {}), "model-graph-unusable"),
    "an input of another size": (lambda f: ({**f, "embedder": embedder(side=128)}, {}), "model-shape"),
    "another number of numbers": (lambda f: ({**f, "embedder": embedder(dim=32)}, {}), "model-shape"),
    "two inputs": (lambda f: ({**f, "embedder": embedder(twice=True)}, {}), "model-graph-unusable"),
    "an embedder for a detector": (lambda f: ({**f, "detector": embedder()}, {}), "model-shape"),
    "an unheard-of colour order": (lambda f: (f, {"colour": "GRB"}), "model-manifest-invalid"),
    "a path upwards": (lambda f: (f, {"embedder_name": "../embedder.onnx"}), "model-path"),
    "an absolute path": (lambda f: (f, {"embedder_name": "/etc/passwd"}), "model-path"),
    "our own file": (lambda f: (f, {"embedder_name": "acceptance.json"}), "model-path"),
    "a name with a path": (lambda f: (f, {"name": '"../made"'}), "model-manifest-invalid"),
    "a name that ships": (lambda f: (f, {"name": '"dlib-resnet"'}), "model-known"),
    "a name to be pulled": (lambda f: (f, {"name": '"auraface"'}), "model-known"),
    "a detector with another's points": (lambda f: (f, {"alignment": '"dlib-5"'}), "model-manifest-invalid"),
    "a package": (lambda f: (f, {"package": '"os"'}), "model-manifest-invalid"),
    "a step of nothing": (lambda f: (f, {"step": "0.0"}), "model-manifest-invalid"),
    "not a manifest": (lambda f: (f, {"dim": "= ="}), "model-manifest-invalid"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_not_as_it_must_be_is_not_taken(
    what: str, tmp_path: Path, files: dict[str, bytes], models: Path
) -> None:
    change, code = BAD[what]
    given, keys = change(files)
    refused(added(laid(tmp_path / "from", given, manifest(given, **keys))), code, models)


def test_a_file_that_was_changed_is_not_taken_or_opened(
    tmp_path: Path, files: dict[str, bytes], models: Path
) -> None:
    folder = laid(tmp_path / "from", files)
    data = bytearray(files["embedder"])
    data[-1] ^= 1
    for content in (bytes(data), files["embedder"][:-1], files["embedder"] + b"x"):
        (folder / "embedder.onnx").write_bytes(content)
        refused(added(folder), "model-file-changed", models)
    (folder / "embedder.onnx").write_bytes(files["embedder"])
    assert added(folder).exit_code == 0
    (models / "made" / "embedder.onnx").write_bytes(bytes(data))
    with pytest.raises(CountenanceError) as fault:
        FacePack.open("made")
    assert fault.value.code == "model-file-changed"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, files: dict[str, bytes], models: Path) -> None:
    folder = laid(tmp_path / "from", files)
    (tmp_path / "elsewhere").write_bytes(files["embedder"])
    (folder / "embedder.onnx").unlink()
    (folder / "embedder.onnx").symlink_to(tmp_path / "elsewhere")
    refused(added(folder), "model-path", models)


def golden(pack: FacePack) -> str:
    made = pack._embedder.embed_pattern().astype(float)
    first = ", ".join(f"{value:.6f}" for value in made[:16])
    return (f"[golden]\nembedding = [{first}]\nembedding_norm = {np.linalg.norm(made):.6f}\n"
            "embedding_tolerance = 0.0001\n")


def test_a_wrong_colour_order_is_seen_where_a_golden_embedding_is_stated(
    tmp_path: Path, files: dict[str, bytes], models: Path
) -> None:
    added(laid(tmp_path / "first", files))
    stated = golden(FacePack.open("made"))
    run("remove", "made", "--yes")
    refused(added(laid(tmp_path / "wrong", files, manifest(files, colour="BGR", golden=stated))),
            "model-check-failed", models)
    assert added(laid(tmp_path / "right", files, manifest(files, golden=stated))).exit_code == 0


def test_packs_of_other_weights_or_colours_are_other_packs(files: dict[str, bytes]) -> None:
    given = packs.parse(manifest(files))
    others = [packs.parse(manifest(files, colour="BGR")), packs.parse(manifest(files, normalised="false")),
              packs.parse(manifest(files | {"embedder": files["embedder"] + b"x"}))]
    assert len({packs.Pack(one).identity for one in (given, *others)}) == 4


def test_a_pack_is_moved_and_removed(tmp_path: Path, files: dict[str, bytes], models: Path) -> None:
    added(laid(tmp_path / "from", files))
    identity = packs.load("made").identity
    assert run("move", "made", models / "other").exit_code == 0
    assert packs.names() == ["dlib-resnet"]
    assert packs.from_folder(models / "other" / "made").identity == identity
    packs.from_folder(models / "other" / "made").require_accepted()
    assert added(tmp_path / "from").exit_code == 0
    again = run("move", "made", models / "other")                # there is one there already
    assert isinstance(again.exception, CountenanceError)
    assert again.exception.code == "model-known"
    assert "made" in packs.names()
    assert run("remove", "made", "--yes").exit_code == 0
    for name, code in (("made", "model-pack-unknown"), ("dlib-resnet", "model-known"), ("..", "model-pack-unknown")):
        gone = run("remove", name, "--yes")
        assert isinstance(gone.exception, CountenanceError)
        assert gone.exception.code == code


class Server(http.server.BaseHTTPRequestHandler):
    """Serves what `content` holds, by path: bytes, or an address to go to."""

    content: dict[str, bytes | str]

    def do_GET(self) -> None:  # its base asks for this name
        found = self.content.get(self.path)
        if found is None:
            self.send_error(404)
        elif isinstance(found, str):
            self.send_response(302)
            self.send_header("Location", found)
            self.end_headers()
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(found)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's own name
        return


@pytest.fixture
def served(files: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes | str]]]:
    content: dict[str, bytes | str] = {f"/{role}.onnx": data for role, data in files.items()}
    content["/manifest.toml"] = manifest(files).encode()
    handler = type("Handler", (Server,), {"content": content})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", content
        server.shutdown()


def pulled(address: str, content: dict[str, bytes | str]) -> Result:
    data = content["/manifest.toml"]
    assert isinstance(data, bytes)
    return run("pull", f"{address}/manifest.toml", "--sha256", hashlib.sha256(data).hexdigest(), "--accept-licence")


def test_a_pack_is_fetched(served: tuple[str, dict[str, bytes | str]], models: Path) -> None:
    address, content = served
    content["/embedder.onnx"], content["/moved"] = "/moved", content["/embedder.onnx"]
    assert pulled(address, content).exit_code == 0
    assert FacePack.open("made").check()
    assert sorted(path.name for path in (models / "made").iterdir()) == [
        "acceptance.json", "detector.onnx", "embedder.onnx", "manifest.toml"]


def lies(content: dict[str, bytes | str], what: str) -> None:
    data = content["/embedder.onnx"]
    assert isinstance(data, bytes)
    content["/embedder.onnx"] = {
        "other bytes": data[:-1] + bytes([data[-1] ^ 1]), "cut short": data[:-1], "longer": data + b"x" * 5_000_000,
        "in a circle": "/embedder.onnx", "away over http": "http://example.org/embedder.onnx",
        "to a file": "file:///etc/passwd"}[what]


@pytest.mark.parametrize(("what", "code"), [
    ("other bytes", "model-file-changed"), ("cut short", "model-served-other"), ("longer", "model-served-other"),
    ("in a circle", "model-download"), ("away over http", "model-url"), ("to a file", "model-url")])
def test_a_served_file_that_differs_is_not_kept(
    what: str, code: str, served: tuple[str, dict[str, bytes | str]], models: Path
) -> None:
    address, content = served
    lies(content, what)
    refused(pulled(address, content), code, models)


def test_a_manifest_is_trusted_for_its_sum_only(served: tuple[str, dict[str, bytes | str]], models: Path) -> None:
    address, content = served
    refused(run("pull", f"{address}/manifest.toml", "--accept-licence"), "model-sum", models)
    refused(run("pull", f"{address}/manifest.toml", "--sha256", "0" * 64, "--accept-licence"), "model-served-other",
            models)
    refused(run("pull", "http://example.org/manifest.toml", "--sha256", "0" * 64), "model-url", models)
    del content["/embedder.onnx"]
    refused(pulled(address, content), "model-download", models)
    refused(run("pull", "http://127.0.0.1:9/manifest.toml", "--sha256", "0" * 64), "model-download", models)


def test_the_manifests_that_ship_are_whole_and_say_who_may_use_them() -> None:
    for name in packs.bundled():
        made = packs.load(name).manifest
        assert made.name == name
        assert made.terms
        assert made.training_data
        assert {file.role for file in made.files} >= {"detector", "embedder"}
        assert bool(made.package) != all(file.url.startswith("https://") for file in made.files)
    assert [name for name in packs.bundled() if packs.load(name).manifest.non_commercial] == ["buffalo-l"]
    refusal = run("pull", "buffalo-l", "--accept-licence")
    assert isinstance(refusal.exception, CountenanceError)
    assert refusal.exception.code == "model-non-commercial"
    assert "not commercial" in refusal.stderr
