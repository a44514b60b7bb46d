"""The vectors of receipts, evidence, checkpoints and entries: made by a script with fixed keys, judged by our verifier.

The JavaScript of the page in evidence is run against the same files, by another test.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from countenance.errors import BadInput, CountenanceError
from countenance.formats import checkpoints, evidence, log_entries, receipts, signed_note
from countenance.verifier import files
from support.make_proof_vectors import EVIDENCE, FOLDER, FOLDERS, VERIFIED, vectors


def load(folder: str) -> dict[str, dict[str, Any]]:
    return {case["file"]: case for case in json.loads((FOLDER / folder / "index.json").read_text("utf-8"))}


INDEX = {folder: load(folder) for folder in FOLDERS}
CASES = [(folder, name) for folder in FOLDERS[:3] for name in INDEX[folder]]


def judged(folder: Path, case: dict[str, Any]) -> tuple[str, int | None, str | None]:
    """Return the verdict, the failing step and its code."""
    try:
        trust = files.read_trust(folder / case["trust"]) if case["trust"] else None
        report = files.verify(folder / case["file"], trust)
    except CountenanceError as error:
        return "refused", None, error.code
    step = report.failed
    return report.verdict, step.number if step else None, step.code if step else None


def test_the_files_are_what_the_script_writes_byte_for_byte() -> None:
    for folder, written in vectors().items():
        assert {path.name: path.read_bytes() for path in (FOLDER / folder).iterdir()} == written


@pytest.mark.parametrize(("folder", "name"), CASES, ids=[name for _, name in CASES])
def test_each_is_judged_as_its_index_says(folder: str, name: str) -> None:
    case = INDEX[folder][name]
    assert judged(FOLDER / folder, case) == (case["verdict"], case["step"], case["code"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_as_many_are_wrong_as_are_right_and_no_two_alike(folder: str) -> None:
    cases = list(INDEX[folder].values())
    wrong = [case for case in cases if case["verdict"] == "refused"]
    assert len(wrong) * 2 >= len(cases)
    assert all(case["code"] and case["why"] for case in wrong)
    contents = [((FOLDER / folder / case["file"]).read_bytes(), case["trust"]) for case in cases]
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize(("folder", "steps"), [("receipts", 8), ("evidence", 9), ("checkpoints", 4)])
def test_something_fails_at_each_step(folder: str, steps: int) -> None:
    failed = {case["step"] for case in INDEX[folder].values()} - {None}
    assert failed == set(range(1, steps + 1))


@pytest.mark.parametrize("name", INDEX["log-entries"])
def test_each_entry_is_read_exactly_or_refused(name: str) -> None:
    case = INDEX["log-entries"][name]
    entry = bytes.fromhex((FOLDER / "log-entries" / name).read_text())
    if case["code"] is None:
        found = log_entries.parse(entry)
        again = log_entries.sealed(found) if isinstance(found, bytes) else log_entries.clear(
            found.type, found.at, found.body)
        assert again == entry
        return
    with pytest.raises(BadInput) as caught:
        log_entries.parse(entry)
    assert caught.value.code == case["code"]


@pytest.mark.parametrize(("folder", "name"), [
    (folder, name) for folder, name in CASES if INDEX[folder][name]["verdict"] != "refused"])
def test_what_is_right_is_written_again_the_same(folder: str, name: str) -> None:
    data = (FOLDER / folder / name).read_bytes()
    if name.endswith(".zip"):
        found = evidence.open_zip(data)
        assert found.encode() == data
        assert evidence.spelled(evidence.parse(found.facts).value()) == found.facts
    elif name.endswith(".receipt"):
        body, _message = receipts.split(data.decode())
        assert [event.value() for event in receipts.proven(body)] == body["events"]
        assert evidence.read_keys(body["keys"]).value() == body["keys"]
    elif name.endswith(".checkpoint"):
        note = signed_note.parse(data.decode())
        assert note.encode().encode() == data
        assert checkpoints.parse(note).text == note.text
    else:
        assert evidence.spelled(evidence.parse(data.decode()).value()).encode() == data


def test_another_reader_of_zips_reads_ours_and_its_writer_writes_the_same() -> None:
    with zipfile.ZipFile(io.BytesIO(EVIDENCE)) as archive:
        assert archive.testzip() is None
        members = {name: archive.read(name) for name in archive.namelist()}
    assert tuple(members) == evidence.NAMES
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            about = zipfile.ZipInfo(name)
            about.external_attr = 0o100644 << 16
            archive.writestr(about, data)
    assert out.getvalue() == EVIDENCE


def test_the_verdict_verified_is_given_only_with_a_trust_file() -> None:
    seen = set()
    for folder, name in CASES:
        case = INDEX[folder][name]
        if case["verdict"] == VERIFIED:
            assert case["trust"]
            verdict, step, _code = judged(FOLDER / folder, {**case, "trust": None})
            assert (verdict, step) == ("self-consistent", None)
            seen.add(folder)
    assert seen == set(FOLDERS[:3])
