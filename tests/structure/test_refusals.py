"""Promise 9: what this program refuses to do, it has no way to do. And no photograph is in the tree."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest
import typer.main
from source import ROOT, SOURCE, modules

from countenance.cli.main import app
from countenance.vision import packs

pytestmark = pytest.mark.promise(9)
FORBIDDEN = re.compile(
    r"watch_?list|gender|ethnic|emotion|estimate_age|predict_age|\brace\b|\bsex\b|mood", re.IGNORECASE)


def _names(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return found


def test_no_code_infers_anything_about_a_face() -> None:
    assert FORBIDDEN.search("watch_list") and FORBIDDEN.search("predict_age")  # the search can find
    for module in modules():
        assert not [name for name in _names(module.tree) if FORBIDDEN.search(name)], module.name


def test_no_pack_detects_aligns_or_embeds_anything_but_a_face() -> None:
    assert packs.names()
    for name in packs.names():
        roles = {file.role for file in packs.load(name).manifest.files}
        assert roles == {"detector", "landmarks", "embedder"}


def test_no_command_compares_two_uploads_searches_a_strangers_photo_or_exports_templates() -> None:
    top = typer.main.get_command(app)
    words = set(top.commands)  # type: ignore[attr-defined]
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        if name != "bench":  # `bench search` looks through random numbers, which are nobody's
            words |= set(getattr(command, "commands", {}))
    assert words & {"compare", "identify", "search", "embed", "export", "watchlist", "track", "recognize"} == set()


def test_no_photograph_no_weights_and_nothing_large_is_in_the_tree() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    files = [ROOT / line for line in listed.stdout.splitlines()]
    if not files:
        pytest.skip("this is no git checkout")
    pictures = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".dat", ".onnx", ".npz", ".npy", ".pt"}
    assert [f for f in files if f.suffix.lower() in pictures] == []
    assert [f for f in files if f.exists() and f.stat().st_size > 300_000] == []


def test_a_photograph_is_not_a_template(tmp_path: object) -> None:
    """There is no importer of photographs: the only readers of pictures are a gate's camera and an evaluation."""
    # `integrations.codes` looks for QR codes, and wipes the picture.
    readers = {module.name for module in modules() if "image.decode" in ast.unparse(module.tree)
               or "import decode" in ast.unparse(module.tree)}
    assert readers == {"flows.capture", "flows.liveness", "evaluation.dataset", "evaluation.finding",
                       "evaluation.altered",
                       "demo.attacker", "demo.mine", "integrations.codes"}
    assert SOURCE.is_dir() and tmp_path
