"""Proof by the command line: what a person takes home, what the venue publishes, and who can check it.

Whoever checks has a trust file from elsewhere; one byte changed anywhere is refused, by name and exit status.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from countenance.formats import log_entries
from countenance.vault import residue
from countenance.vault.residue import Needle
from journeys.conftest import Ran, Run

pytestmark = pytest.mark.promise(5)
REFUSED = 3
COMPLAINT = "The gate at the east side took 40 seconds."
DISCLOSED = {"to": "district police", "what": "times of two visits", "why": "order 77 of the district court"}


@pytest.fixture
def told(run: Run, home: Path, pictures: Path) -> Path:
    """A folder in which Collins was let in, complained, and something about her was disclosed; `zoo.trust` beside."""
    zoo = home / "zoo"
    for where in (("--press",), ("--pass", home / "verify.pass")):
        assert run("admit", "--venue", zoo, *where, "--image", pictures / "later.jpg").json["outcome"] == "admit"
    assert run("record", "complaint", "--venue", zoo, "--ref", "collins", "--text", COMPLAINT).status == 0
    flags = [part for name, value in DISCLOSED.items() for part in (f"--{name}", value)]
    assert run("record", "disclosure", "--venue", zoo, "--ref", "collins", *flags).status == 0
    assert run("record", "order", "--venue", zoo, "--authority", "District court", "--number", "77",
               "--what", "hand over times of visits").status == 0
    assert run("log", "trust", "--venue", zoo, "--out", home / "zoo.trust").status == 0
    return home


def checked(run: Run, path: Path, trust: Path | None) -> Ran:
    return run("verify", path, *(["--trust", trust] if trust else []))


def facts(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        found: dict[str, Any] = json.loads(archive.read("evidence.json"))
        return found


def records(evidence: dict[str, Any]) -> list[log_entries.Record]:
    return [log_entries.read_record(bytes.fromhex(event["record"])) for event in evidence["events"]]


def clear(evidence: dict[str, Any]) -> list[log_entries.Clear]:
    found = [log_entries.parse(bytes.fromhex(entry["entry"])) for entry in evidence["clear"]]
    assert all(isinstance(entry, log_entries.Clear) for entry in found)
    return [entry for entry in found if isinstance(entry, log_entries.Clear)]


def flipped(path: Path, at: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return path


# -- receipts


def test_receipts_verify_with_keys_from_elsewhere_and_not_without(run: Run, told: Path) -> None:
    zoo, trust = told / "zoo", told / "zoo.trust"
    done = run("withdraw", "--venue", zoo, "--pass", told / "verify.pass", "--receipt-out", told / "gone.json")
    assert done.json["outcome"] == "final"
    for name in ("verify.json", "search.json", "gone.json"):
        assert checked(run, told / name, trust).json["files"][0]["verdict"] == "verified"
        alone = checked(run, told / name, None)
        assert (alone.status, alone.json["files"][0]["verdict"]) == (0, "self-consistent")
    both = run("verify", told / "verify.json", told / "gone.json", "--trust", trust)
    assert [one["verdict"] for one in both.json["files"]] == ["verified", "verified"]


@pytest.mark.parametrize(("old", "new", "code"), [
    ('"asserted"', '"passkey"', "receipt-altered"), ('"kind": "enrolment"', '"kind": "erasure"', "receipt-malformed"),
    ('"origin"', '"origim"', "receipt-malformed"), ("\n}\n", "\n}", "receipt-malformed")])
def test_a_receipt_with_something_changed_is_refused_by_name(
        run: Run, told: Path, old: str, new: str, code: str) -> None:
    text = (told / "verify.json").read_text()
    assert old in text
    (told / "changed.json").write_text(text.replace(old, new, 1))
    ended = checked(run, told / "changed.json", told / "zoo.trust")
    assert (ended.status, ended.code) == (REFUSED, code)
    assert ended.json["files"][0]["verdict"] == "refused"
    assert f"[{code}]" in run("verify", told / "changed.json", json_out=False).err


def test_another_venues_trust_file_refuses(run: Run, told: Path) -> None:
    run("init", told / "other", "--scenario", "annual-pass", "--regime", "cn", "--demo-threshold")
    assert run("log", "trust", "--venue", told / "other", "--out", told / "other.trust").status == 0
    run("log", "publish", "--venue", told / "zoo")
    for name in ("verify.json", "zoo/log"):
        ended = checked(run, told / name, told / "other.trust")
        assert (ended.status, ended.code) == (REFUSED, "trust-other-log")


# -- evidence


def test_evidence_holds_everything_that_happened_to_one_person(run: Run, told: Path) -> None:
    made = run("prove", "--venue", told / "zoo", "--ref", "collins", "--out", told / "collins.zip", "--by", "lawyer",
               "--why", "she goes to court")
    assert (made.status, made.json["bytes"]) == (0, (told / "collins.zip").stat().st_size)
    assert checked(run, told / "collins.zip", told / "zoo.trust").json["files"][0]["verdict"] == "verified"
    assert checked(run, told / "collins.zip", None).json["files"][0]["verdict"] == "self-consistent"
    held = facts(told / "collins.zip")
    events = records(held)
    assert [event.type for event in events] == [
        *["consent-given", "template-sealed", "pass-issued"] * 2, "decision", "decision", "complaint", "disclosure",
        "operator-access"]
    by_type = {event.type: event.body for event in events}
    assert (by_type["complaint"], by_type["disclosure"]) == ({"text": COMPLAINT}, DISCLOSED)
    assert by_type["operator-access"] == {"by": "lawyer", "why": "evidence: she goes to court"}
    assert {event["type"] for event in run("about", "--venue", told / "zoo", "--ref", "collins").json["events"]} >= {
        "complaint", "disclosure", "operator-access", "decision"}
    orders = [entry.body for entry in clear(held) if entry.type == "order"]
    assert orders == [{"authority": "District court", "reference": "77", "what": "hand over times of visits"}]
    assert {notice["hash"] for notice in held["notices"]} >= {e.body["notice"] for e in events if "notice" in e.body}
    with zipfile.ZipFile(told / "collins.zip") as archive:
        assert archive.namelist() == ["evidence.html", "evidence.json", "evidence.sig", "manifest.sig"]


def test_evidence_with_one_byte_changed_is_refused(run: Run, told: Path) -> None:
    whole = told / "collins.zip"
    run("prove", "--venue", told / "zoo", "--ref", "collins", "--out", whole)
    size = whole.stat().st_size
    for at in (0, 100, size // 3, size // 2, size - 2_000, size - 1):
        shutil.copyfile(whole, told / "changed.zip")
        ended = checked(run, flipped(told / "changed.zip", at), told / "zoo.trust")
        assert (ended.status in {3, 4}, ended.json["files"][0]["verdict"]) == (True, "refused"), at
        assert ended.code
    assert checked(run, flipped(flipped(whole, 100), 100), told / "zoo.trust").status == 0


def test_evidence_about_the_venue_holds_nobodys_data(run: Run, told: Path) -> None:
    """What is searched for is found in the person's own evidence first."""
    person = json.loads((told / "verify.json").read_text())["person"]
    for name, whose in (("hers", ("--ref", "collins")), ("venue", ("--venue-wide",))):
        (told / name).mkdir()
        assert run("prove", "--venue", told / "zoo", *whose, "--out", told / name / "evidence.zip").status == 0
        assert checked(run, told / name / "evidence.zip", told / "zoo.trust").json["files"][0]["verdict"] == "verified"
    held = facts(told / "hers" / "evidence.zip")
    planted = [Needle("person", person.encode()), Needle("complaint", COMPLAINT.encode()),
               Needle("disclosure", DISCLOSED["what"].encode())]
    for event, record in zip(held["events"], records(held), strict=True):
        planted += [Needle("leaf", bytes.fromhex(event["leaf"])), Needle("nonce", bytes.fromhex(event["nonce"]))]
        planted += [Needle(name, str(record.body[name]).encode()) for name in ("consent", "template", "pass")
                    if name in record.body]
    found = {one.name for one in residue.search(told / "hers", planted)}
    assert found == {"person", "complaint", "disclosure", "leaf", "nonce", "consent", "template", "pass"}
    assert residue.search(told / "venue", planted) == []
    venue = facts(told / "venue" / "evidence.zip")
    assert (venue["kind"], venue["person"], venue["events"]) == ("venue", "", [])
    assert {entry.type for entry in clear(venue)} >= {"venue-founded", "purpose", "notice", "gate-opened", "order"}
    assert "collins" not in json.dumps(venue, ensure_ascii=False)


def test_evidence_is_about_one_person_or_the_venue(run: Run, told: Path) -> None:
    zoo, out = told / "zoo", told / "no.zip"
    assert run("prove", "--venue", zoo, "--out", out).code == "prove-whom"
    assert run("prove", "--venue", zoo, "--out", out, "--venue-wide", "--ref", "collins").code == "prove-whom"
    assert run("prove", "--venue", zoo, "--out", out, "--ref", "nobody").code == "person-unknown"
    assert not out.exists()
    assert run("prove", "--venue", zoo, "--out", told / "verify.json", "--venue-wide").code == "file-exists"


@pytest.mark.parametrize("words", [
    ("complaint", "--ref", "collins", "--text", " "), ("complaint", "--ref", "collins", "--text", "x" * 2_001),
    ("disclosure", "--ref", "collins", "--to", "a\tb", "--what", "x", "--why", "x"),
    ("order", "--authority", "", "--number", "1", "--what", "x")])
def test_what_cannot_be_recorded_is_said(run: Run, told: Path, words: tuple[str, ...]) -> None:
    ended = run("record", words[0], "--venue", told / "zoo", *words[1:])
    assert (ended.status, ended.code) == (4, "record-text")


# -- the log


def test_the_published_log_verifies_and_a_flipped_byte_is_named(run: Run, told: Path) -> None:
    zoo, trust = told / "zoo", told / "zoo.trust"
    shutil.rmtree(zoo / "log", ignore_errors=True)  # so that it is due
    done = run("log", "publish", "--venue", zoo).json
    assert done["published"]
    assert done["size"] > 10
    again = run("log", "publish", "--venue", zoo).json
    assert (again["published"], again["size"]) == (False, done["size"])
    found = run("log", "verify", "--venue", zoo).json
    assert found["published"] == done["size"] <= found["signed"] <= found["size"]
    whole = checked(run, zoo / "log", trust)
    assert (whole.status, whole.json["files"][0]["verdict"]) == (0, "verified")
    assert checked(run, zoo / "log" / "checkpoint", trust).json["files"][0]["verdict"] == "verified"
    codes = set()
    for path in sorted(p for p in (zoo / "log").rglob("*") if p.is_file()):
        shutil.rmtree(told / "copy", ignore_errors=True)
        shutil.copytree(zoo / "log", told / "copy")
        flipped(told / "copy" / path.relative_to(zoo / "log"), 40)
        ended = checked(run, told / "copy", trust)
        assert (ended.status, ended.json["files"][0]["verdict"]) == (REFUSED, "refused"), path.name
        codes.add(ended.code)
    assert "tile-altered" in codes
    (told / "copy" / "tile" / "0" / "000.p" / str(done["size"])).unlink()
    assert checked(run, told / "copy", trust).status == REFUSED


def test_a_person_finds_their_erasure_in_the_published_log(run: Run, told: Path) -> None:
    """After everything of theirs is gone: the leaf in their receipt is in the venue's files, where it says."""
    zoo = told / "zoo"
    done = run("about", "--venue", zoo, "--ref", "collins", "--erase", "--yes", "--receipts-out", told)
    assert done.json["outcome"] == "erased"
    ended = checked(run, told / "erasures.json", told / "zoo.trust")
    assert (ended.status, ended.json["files"][0]["verdict"]) == (0, "verified")
    shutil.rmtree(zoo / "log", ignore_errors=True)
    size = run("log", "publish", "--venue", zoo).json["size"]
    entries = (zoo / "log" / "tile" / "entries" / "000.p" / str(size)).read_bytes()
    leaves = [event["leaf"] for one in json.loads((told / "erasures.json").read_text()) for event in one["events"]]
    assert len(leaves) == 3 + 3 + 1
    assert all(b"\0\x21\0" + bytes.fromhex(leaf) in entries for leaf in leaves)
    assert run("prove", "--venue", zoo, "--ref", "collins", "--out", told / "late.zip").code == "person-unknown"
