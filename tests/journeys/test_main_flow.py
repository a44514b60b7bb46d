"""The story of the README, by the command line: enrolled, admitted, referred, withdrawn, erased."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from countenance import settings
from countenance.flows.found import DATA, KEYS
from countenance.formats import receipts
from countenance.quantities import PurposeId
from countenance.vault import residue
from countenance.vault.keys import signing
from journeys.conftest import Run
from support import venue as support


def test_a_face_is_enrolled_admitted_withdrawn_and_referred(run: Run, home: Path, pictures: Path) -> None:
    gate = ("admit", "--venue", home / "zoo")
    assert run(*gate, "--press", "--image", pictures / "later.jpg").json["outcome"] == "admit"
    assert run(*gate, "--pass", home / "verify.pass", "--image", pictures / "later.jpg").json["outcome"] == "admit"

    referred = run(*gate, "--press", "--image", pictures / "hopper.jpg")
    assert (referred.status, referred.json["outcome"]) == (7, "refer")
    referred = run(*gate, "--pass", home / "verify.pass", "--image", pictures / "hopper.jpg")
    assert (referred.status, referred.json["reason"]) == (7, "no-match")

    for name in ("verify", "search"):
        done = run("withdraw", "--venue", home / "zoo", "--pass", home / f"{name}.pass",
                   "--receipt-out", home / f"gone-{name}.json")
        assert done.json["outcome"] == "final"
    assert run(*gate, "--press", "--image", pictures / "collins.jpg").json["outcome"] == "refer"
    withdrawn = run(*gate, "--pass", home / "verify.pass", "--image", pictures / "collins.jpg")
    assert (withdrawn.code, withdrawn.json["outcome"]) == ("consent-withdrawn", "refer")
    for name in ("verify", "search"):
        assert run(*gate, "--lane", "plain", "--pass", home / f"{name}.pass").json["outcome"] == "admit"


def test_saying_no_ends_in_a_pass_and_leaves_no_record(run: Run, home: Path) -> None:
    before = support.state_of(home / "zoo")
    said = run("enrol", "--venue", home / "zoo", "--ref", "wen", "--no", "--pass-out", home / "wen.pass")
    assert said.json["outcome"] == "plain"
    assert support.state_of(home / "zoo") == before
    assert run("admit", "--venue", home / "zoo", "--lane", "plain", "--pass", home / "wen.pass").status == 0
    shown = run("pass", "show", home / "wen.pass", "--venue", home / "zoo").json
    assert shown["custody"] == "plain"
    assert "person" not in shown
    assert shown["ask_not_before"]


@pytest.mark.promise(8)
def test_a_stranger_leaves_at_most_a_count(run: Run, home: Path, pictures: Path) -> None:
    before = support.state_of(home / "zoo")
    assert run("admit", "--venue", home / "zoo", "--press", "--image", pictures / "hopper.jpg").status == 7
    after = support.state_of(home / "zoo")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - {f"{DATA}/mark"} == {f"{DATA}/hourly_count"}
    with closing(sqlite3.connect(home / "zoo" / DATA)) as store:
        rows = store.execute("SELECT hour % 3600, lane, outcome, number FROM hourly_count").fetchall()
    assert rows == [(0, "face", "refer", 1)]


@pytest.mark.promise(6)
def test_a_non_match_and_a_withdrawn_person_get_the_same_words(run: Run, home: Path, pictures: Path) -> None:
    stranger = run("admit", "--venue", home / "zoo", "--press", "--image", pictures / "hopper.jpg", json_out=False)
    run("withdraw", "--venue", home / "zoo", "--pass", home / "search.pass")
    withdrawn = run("admit", "--venue", home / "zoo", "--press", "--image", pictures / "collins.jpg", json_out=False)
    by_pass = run("admit", "--venue", home / "zoo", "--pass", home / "search.pass", "--image",
                  pictures / "collins.jpg", json_out=False)
    assert stranger == withdrawn
    assert by_pass.out == stranger.out  # what staff read on stderr is not for the bystander
    assert "denied" not in stranger.out.lower()
    assert "Staff will help." in stranger.out


@pytest.mark.promise(4)
def test_no_answer_and_no_record_holds_a_score_or_a_template(run: Run, home: Path, pictures: Path) -> None:
    for picture in ("later", "hopper"):
        told = run("admit", "--venue", home / "zoo", "--press", "--image", pictures / f"{picture}.jpg").json
        assert set(told) == {"outcome", "reason", "people", "timings_ms"}
        assert set(told["timings_ms"]) == {"decode", "detect", "align", "embed", "search", "decision"}
    person = json.loads((home / "search.json").read_text())["person"]
    held = run("about", "--venue", home / "zoo", "--person", person).out
    receipt = (home / "search.json").read_text()
    for text in (held, receipt):
        assert not [v for v in _values(json.loads(text)) if isinstance(v, float)]
        assert not [v for v in _values(json.loads(text)) if isinstance(v, list) and len(v) > 100]


def _values(value: object) -> list[object]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *(found for one in inner for found in _values(one))]


@pytest.mark.promise(3)
def test_no_picture_reaches_a_file(
    run: Run, home: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from countenance.demo import attacker

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    shown = ("collins", "later", "hopper")
    for name in shown:
        run("admit", "--venue", home / "zoo", "--press", "--image", pictures / f"{name}.jpg")
        run("admit", "--venue", home / "zoo", "--pass", home / "verify.pass", "--image", pictures / f"{name}.jpg")
    needles = attacker.picture_needles([(pictures / f"{name}.jpg").read_bytes() for name in shown])
    for place in (home, scratch):
        (place / "planted").write_bytes(b"x" + needles[3].secret)
        assert [f.file.name for f in residue.search(place, needles)] == ["planted"]
        (place / "planted").unlink()
        assert residue.search(place, needles) == []


@pytest.mark.promise(7)
def test_the_other_lane_stays_open_whatever_happens_to_faces(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    for name in (DATA, KEYS, "epoch.key", "root.key"):
        (zoo / name).unlink()
    assert run("admit", "--venue", zoo, "--lane", "plain", "--pass", home / "verify.pass").json["outcome"] == "admit"
    closed = run("admit", "--venue", zoo, "--pass", home / "verify.pass", "--image", pictures / "later.jpg")
    assert closed.code == "root-missing"


@pytest.mark.promise(2)
def test_withdrawal_leaves_neither_the_plain_nor_the_wrapped_key_in_any_file(home: Path) -> None:
    from countenance.flows import withdraw
    from countenance.flows.enrol import live_template
    from countenance.quantities import KeyId, PersonId
    from countenance.vault.keys.store import FACE, KeyRef

    zoo, search = home / "zoo", PurposeId("entry.search")
    person = PersonId(json.loads((home / "search.json").read_text())["person"])
    from countenance.clock import SystemClock
    from countenance.flows.opening import open_venue
    from countenance.integrations.entitlement import CsvEntitlement

    with open_venue(zoo, CsvEntitlement(zoo / "tickets.csv"), SystemClock()) as venue:
        with venue.store.read() as unit:
            row = live_template(unit, person, search)
        needles = support.needles(venue, KeyRef(KeyId(row.face_key), FACE, person, search))
        ciphertext = residue.Needle("ciphertext", bytes(row.sealed)[:64])
        assert {f.name for f in residue.search(zoo, [*needles, ciphertext])} == {"wrapped key", "ciphertext"}
        done = withdraw.withdraw(venue, person, search)
        assert residue.search(zoo, [*needles, ciphertext]) == []
    facts = receipts.read(done.receipt, signing.verifier(zoo / "signing", "receipt"))
    assert (facts["kind"], facts["person"], facts["final"]) == ("erasure", person, True)


@pytest.mark.promise(5)
def test_the_person_sees_every_change_in_order(run: Run, home: Path, pictures: Path) -> None:
    person = json.loads((home / "search.json").read_text())["person"]
    run("admit", "--venue", home / "zoo", "--press", "--image", pictures / "later.jpg")
    run("withdraw", "--venue", home / "zoo", "--pass", home / "search.pass")
    events = run("about", "--venue", home / "zoo", "--person", person).json["events"]
    assert [e["type"] for e in events] == [
        *["consent-given", "template-sealed", "pass-issued"] * 2, "decision", "consent-withdrawn", "pass-revoked",
        "template-erased", "operator-access"]
    assert [e["number"] for e in events] == list(range(1, 12))
    again = run("about", "--venue", home / "zoo", "--person", person).json["events"]
    assert again[:-1] == events  # and whoever looks is seen, each time
    assert (again[-1]["type"], again[-1]["by"]) == ("operator-access", "desk")


def test_erasing_a_person_leaves_nothing_to_show(run: Run, home: Path) -> None:
    person = json.loads((home / "search.json").read_text())["person"]
    done = run("about", "--venue", home / "zoo", "--person", person, "--erase", "--yes", "--receipts-out", home)
    assert done.json["outcome"] == "erased"
    kept = json.loads((home / "erasures.json").read_text())
    assert [(one["kind"], one["person"]) for one in kept] == [("erasure", person)] * 3
    assert [one["ended"] for one in kept] == ["withdrawn", "withdrawn", "erased"]
    assert run("about", "--venue", home / "zoo", "--person", person).code == "person-unknown"
    assert residue.search(home / "zoo", [residue.Needle("person", person.encode())]) == []


def test_a_changed_notice_stops_matching_until_renewed(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    (home / "en.txt").write_text("A new text.")
    (home / "zh.txt").write_text("新的文本。")
    short = run("notice", "publish", "--venue", zoo, "--en", home / "en.txt", "--zh", home / "zh.txt")
    assert short.code == "notice-incomplete"  # it says next to nothing
    before = next(one for one in settings.preset("scenarios", "annual-pass")["purpose"] if one["id"] == "entry.verify")
    for name in ("en", "zh"):
        (home / f"{name}.txt").write_text(before["notice"][name].replace("{venue}", "We") + "\n.")
    gate = ("admit", "--venue", zoo, "--pass", home / "verify.pass", "--image", pictures / "later.jpg")
    assert run("notice", "publish", "--venue", zoo, "--en", home / "en.txt", "--zh", home / "zh.txt").status == 0
    assert run(*gate).code == "notice-outdated"
    person = json.loads((home / "verify.json").read_text())["person"]
    assert run("consent", "renew", "--venue", zoo, "--person", person, "--channel", "sms").code == "consent-message"
    assert run(*gate).code == "notice-outdated"
    assert run("consent", "renew", "--venue", zoo, "--person", person, "--yes").status == 0
    assert run(*gate).json["outcome"] == "admit"


def test_sweep_and_rotation_by_the_command_line(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    run("withdraw", "--venue", zoo, "--pass", home / "search.pass")
    planned = run("sweep", "--venue", zoo, "--dry-run").json
    assert planned["rotated"]
    assert run("keys", "status", "--venue", zoo).json["epoch"] == 1
    assert run("sweep", "--venue", zoo).json["rotated"]
    assert run("keys", "status", "--venue", zoo).json["epoch"] == 2
    assert run("keys", "rotate", "--venue", zoo).json["epoch"] == 3
    again = run("admit", "--venue", zoo, "--pass", home / "verify.pass", "--image", pictures / "later.jpg")
    assert again.json["outcome"] == "admit"
    assert run("doctor", "--venue", zoo).json["ok"]
