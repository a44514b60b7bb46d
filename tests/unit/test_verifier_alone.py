"""The verifier in a folder of its own: nothing else of the project, no other package, and no network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import countenance
from support.make_proof_vectors import FOLDER, FOLDERS

NEEDED = ("cryptography", "cffi", "_cffi_backend", "pycparser", "cbor2", "_cbor2")
"""What cryptography and cbor2 are made of; not each version has each. `_openssl` is inside cryptography."""

RUNNER = """
import sys

def no_network(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        raise PermissionError(event)

sys.addaudithook(no_network)
sys.path[:0] = sys.argv[1:3]
import json
from pathlib import Path

from countenance.errors import CountenanceError
from countenance.verifier import files

told = []
for folder in sys.argv[3:]:
    for case in json.loads((Path(folder) / "index.json").read_text("utf-8")):
        try:
            trust = files.read_trust(Path(folder) / case["trust"]) if case["trust"] else None
            report = files.verify(Path(folder) / case["file"], trust)
            step = report.failed
            found = [report.verdict, step.number if step else None, step.code if step else None]
        except CountenanceError as error:
            found = ["refused", None, error.code]
        told.append([found, [case["verdict"], case["step"], case["code"]], case["file"]])
ours = sorted(name for name in sys.modules if name.startswith("countenance."))
others = sorted({name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names))

import socket

tried = {}
for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)):
    with socket.socket(family, kind) as one:
        try:
            one.connect(("127.0.0.1", 9))
            tried[str(kind)] = "connected"
        except OSError as error:
            tried[str(kind)] = type(error).__name__
print(json.dumps({"told": told, "ours": ours, "others": others, "tried": tried,
                  "devices": sorted(Path("/proc/net/dev").read_text().split())}))
"""


def _unshared() -> list[str]:
    """Return the words that take the network away from a command, where this machine lets us."""
    words = ["unshare", "-rn"]
    if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        return words
    return []


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the vectors' verdicts are there, what was imported, and what came of asking for the network."""
    here = tmp_path_factory.mktemp("alone")
    source, ours, theirs = Path(countenance.__file__).parent, here / "ours" / "countenance", here / "theirs"
    for name in ("formats", "verifier"):
        shutil.copytree(source / name, ours / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "errors.py", "quantities.py"):
        shutil.copyfile(source / name, ours / name)
    theirs.mkdir()
    for name in NEEDED:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            found = Path(spec.origin)
            found = found.parent if found.name == "__init__.py" else found
            (theirs / found.name).symlink_to(found)
    (here / "runner.py").write_text(RUNNER)
    words = [*_unshared(), sys.executable, "-I", "-S", "-W", "error", str(here / "runner.py"), str(ours.parent),
             str(theirs), *(str(FOLDER / folder) for folder in FOLDERS[:3])]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=here)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "unshared": bool(_unshared())}


def test_the_verdicts_are_those_of_the_index(alone: dict[str, Any]) -> None:
    assert len(alone["told"]) > 200
    assert [one for one in alone["told"] if one[0] != one[1]] == []
    assert {found[0] for found, _wanted, _name in alone["told"]} == {"verified", "self-consistent", "refused"}


def test_nothing_else_of_the_project_and_no_other_package_is_there(alone: dict[str, Any]) -> None:
    rooms = {name.split(".")[1] for name in alone["ours"]}
    assert rooms == {"errors", "quantities", "formats", "verifier"}
    assert set(alone["others"]) - {"__main__", "countenance"} <= {*NEEDED, "_openssl"}
    assert {"cryptography", "cbor2"} <= set(alone["others"])


def test_there_was_no_network(alone: dict[str, Any]) -> None:
    """The hook refuses in any case; where `unshare` works there is no network device but the one that is down."""
    assert set(alone["tried"].values()) == {"PermissionError"}
    if alone["unshared"]:
        assert not {name for name in alone["devices"] if name.endswith(":")} - {"lo:"}


def test_the_module_runs_as_a_command_there(tmp_path: Path) -> None:
    from support.make_proof_vectors import ENROLMENT

    path = tmp_path / "a.receipt"
    path.write_text(ENROLMENT, encoding="utf-8")
    words = [*_unshared(), sys.executable, "-m", "countenance.verifier", str(path), "--trust",
             str(FOLDER / "receipts" / "zoo.trust")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("verified.")
