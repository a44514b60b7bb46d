"""The founding case, run as examples/founding_case.sh tells it, with the real model and the public-domain portraits."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from countenance.formats import receipts
from journeys.conftest import Run

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "founding_case.sh"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("case")
    for name in ("collins", "later"):
        shutil.copy(pictures / f"{name}.jpg", home)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["sh", SCRIPT, "collins.jpg", "later.jpg"], cwd=home, check=False, capture_output=True,
                          text=True, env={**os.environ, "PATH": path}, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return home, done.stdout


@pytest.mark.promise(2)
def test_the_founding_case(told: tuple[Path, str]) -> None:
    home, out = told
    for name in ("guo", "wife"):                                   # the message switched nobody
        assert json.loads((home / f"{name}.refused").read_text())["error"]["code"] == "consent-message"
        assert not (home / f"{name}.never").exists()
    assert out.count("Please come in.") == 4                       # entry was kept, with and without a face
    assert list((home / "fingerprints").iterdir()) == []           # both records are gone,
    assert len(list((home / "fingerprint-receipts").iterdir())) == 2   # each with a receipt,
    assert len(re.findall(r"^verified\.", out, re.MULTILINE)) == 7     # and all of it verifies without the venue


@pytest.mark.promise(2)
def test_what_the_receipt_of_a_fingerprint_says_cannot_be_changed(told: tuple[Path, str], run: Run,
                                                                    tmp_path: Path) -> None:
    text = (told[0] / "fingerprint-receipts" / "guo.receipt").read_text()
    body, _ = receipts.split(text)
    assert (body["method"], body["reference"], body["ended"]) == ("fingerprint", "guo", "erased")
    trust = told[0] / "zoo.trust"
    assert run("verify", told[0] / "fingerprint-receipts" / "guo.receipt", "--trust", trust).status == 0
    changed = tmp_path / "changed.receipt"
    changed.write_text(text.replace(body["sha256"], "0" * 64))
    assert run("verify", changed, "--trust", trust).status != 0


def test_nobody_is_left_in_the_store(told: tuple[Path, str], run: Run) -> None:
    listed = run("rights", "list", "--venue", told[0] / "zoo").json["requests"]
    assert [(one["kind"], one["outcome"]) for one in listed] == [("delete", "granted")]
    asked = run("prove", "--venue", told[0] / "zoo", "--ref", "wife", "--out", told[0] / "x.zip")
    assert asked.code == "person-unknown"


@pytest.mark.parametrize(("words", "code"), [
    (("end", "face", "--replacement", "main", "--refund", "x"), "gate-other"),
    (("end", "face", "--replacement", "moon", "--refund", "x"), "gate-unknown"),
    (("end", "Face id", "--replacement", "plain", "--refund", "x"), "method-name"),
    (("delete", "face", "--receipts", "r", "--records", "x", "--yes"), "method-name"),
    (("delete", "iris", "--receipts", "r", "--yes"), "method-name"),
    (("delete", "iris", "--receipts", "r", "--records", "nowhere", "--yes"), "folder-unreadable")])
def test_a_method_that_cannot_end_so(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...],
                                       code: str) -> None:
    monkeypatch.chdir(home)
    assert run("method", *words, "--venue", home / "zoo").code == code


@pytest.mark.promise(2)
def test_faces_given_up_leave_none_and_asking_again_is_safe(home: Path, run: Run) -> None:
    zoo = home / "zoo"
    assert run("method", "end", "face", "--replacement", "plain", "--refund", "At the desk", "--venue", zoo).status == 0
    done = run("method", "delete", "face", "--receipts", home / "r", "--yes", "--venue", zoo)
    assert done.json["destroyed"] == len(list((home / "r").iterdir())) == 2
    assert run("method", "delete", "face", "--receipts", home / "r", "--yes", "--venue", zoo).json["destroyed"] == 0
    for receipt in (home / "r").iterdir():
        assert run("verify", receipt).status == 0
    found = {one["id"]: one for one in run("controls", "--venue", zoo).json["controls"]}
    assert (found["K32"]["outcome"], "none is left" in found["K32"]["evidence"]) == ("holds", True)
    assert not [one for one in run("gate", "list", "--venue", zoo).json["gates"] if one["state"] == "open"
                and one["purpose"]]
