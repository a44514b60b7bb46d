"""Reads the source as text and as syntax trees; nothing of it is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "countenance"


@dataclass(frozen=True)
class Module:
    """One file: its dotted name below the package, its path and its tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        """The folder it stands in, or its own name at the top."""
        return self.name.split(".")[0]


def modules() -> list[Module]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "countenance"
        found.append(Module(name, path, ast.parse(path.read_text(encoding="utf-8"))))
    assert len(found) > 60
    return found


def imports(module: Module, *, run_time_only: bool = False) -> Iterator[str]:
    """Give every module that is imported, dotted; `run_time_only` leaves out what is for types."""
    typed = {id(inner) for node in ast.walk(module.tree) if isinstance(node, ast.If)
             and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" for inner in ast.walk(node)}
    for node in ast.walk(module.tree):
        if run_time_only and id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions() -> Iterator[tuple[Module, ast.FunctionDef]]:
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef):
                yield module, node
