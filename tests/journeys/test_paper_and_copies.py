"""Custody as its users meet it: cards and codes, lost passes, families, copies of stores, lists for gates."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from countenance import clock
from countenance.flows.found import DATA, KEYS
from journeys.conftest import Run
from support import venue as support

FAMILY = """person_ref,household,valid_until,language,contact
collins,chen,2099-12-31,en,
wen,chen,2099-12-31,zh,
li,chen,2020-01-01,zh,
other,,2099-12-31,en,
"""


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def gate(home: Path, pictures: Path, pass_file: object, *more: object) -> list[object]:
    return ["admit", "--venue", home / "zoo", "--pass", pass_file, "--image", pictures / "later.jpg", *more]


# -- paper


@pytest.mark.parametrize("size", ["a6", "bank"])
def test_a_card_is_printed_and_its_code_admits(run: Run, home: Path, pictures: Path, size: str) -> None:
    card, code = home / "card.svg", home / "code.png"
    told = run("pass", "card", home / "verify.pass", "--out", card, "--size", size, "--venue", home / "zoo")
    assert (told.status, told.json["size"]) == (0, size)
    text = card.read_text()
    for words in ("collins", "face on your pass", "2099-12-31"):
        assert words in text
    assert run("pass", "code", home / "verify.pass", "--out", code).status == 0
    assert run(*gate(home, pictures, code)).json["outcome"] == "admit"
    photograph = np.full((720, 1280, 3), 200, np.uint8)
    photograph[100:500, 300:700] = cv2.resize(cv2.imread(str(code)), (400, 400), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(home / "photo.jpg"), photograph)
    assert run(*gate(home, pictures, home / "photo.jpg")).json["outcome"] == "admit"
    assert run("pass", "show", home / "photo.jpg", "--venue", home / "zoo").json["custody"] == "carried"


def test_a_scanner_types_the_pass(run: Run, home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, (home / "verify.pass").read_text().strip() + "\r\n")
    assert run(*gate(home, pictures, "-")).json["outcome"] == "admit"
    typed(monkeypatch, "\n")
    assert run(*gate(home, pictures, "-")).err.endswith("[pass-missing]\n")


@pytest.mark.parametrize(("picture", "code"), [("collins.jpg", "code-missing"), ("nobody.jpg", "code-missing")])
def test_a_picture_without_a_code_is_no_pass(
        run: Run, home: Path, pictures: Path, picture: str, code: str) -> None:
    before = support.bytes_of(home / "zoo")
    assert run(*gate(home, pictures, pictures / picture)).json["reason"] == code
    assert support.bytes_of(home / "zoo") == before


def test_a_code_of_something_else_is_no_pass(run: Run, home: Path, pictures: Path) -> None:
    (home / "menu.txt").write_text("HTTPS://LAKESIDE.EXAMPLE/MENU\n")
    assert run("pass", "code", home / "menu.txt", "--out", home / "menu.png").status == 0
    assert run(*gate(home, pictures, home / "menu.png")).json["reason"] == "pass-malformed"


def test_an_enrolment_counts_once_the_card_was_scanned(
        run: Run, home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = ["enrol", "--venue", home / "zoo", "--ref", "wen", "--yes", "--image", pictures / "hopper.jpg", "--scan"]
    typed(monkeypatch, "CN1:SOMETHING ELSE\n")
    failed = run(*order, "--pass-out", home / "one.pass", "--card", home / "one.svg")
    assert failed.code == "pass-not-read"

    class Scanner(io.StringIO):
        """Types what was just written, as somebody who scans the card does."""

        def readline(self, _size: int = -1) -> str:  # type: ignore[override]  # of a scanner: one line
            return (home / "two.pass").read_text()

    monkeypatch.setattr(sys, "stdin", Scanner())
    assert run(*order, "--pass-out", home / "two.pass", "--card", home / "two.svg").status == 0
    shown = run("admit", "--venue", home / "zoo", "--pass", home / "two.pass", "--image", pictures / "hopper.jpg")
    assert shown.json["outcome"] == "admit"


@pytest.mark.parametrize(("args", "code"), [
    (("pass", "card", "PASS", "--out", "OUT.svg", "--size", "poster"), "card-size"),
    (("pass", "code", "PASS", "--out", "OUT.pdf"), "code-kind"),
    (("pass", "card", "PASS", "--out", "PASS"), "file-exists"),
    (("pass", "replace", "--ref", "nobody", "--pass-out", "OUT"), "ticket-unknown"),
    (("withdraw", "--ref", "nobody"), "person-unknown"),
    (("withdraw", "--ref", "wen"), "person-unknown"),
    (("backup", "both", "--to", "OUT"), "backup-which"),
    (("backup", "data", "--to", "PASS"), "file-exists"),
    (("backup", "data", "--to", "no/where"), "backup-unwritable"),
    (("restore", "--yes"), "restore-what"),
    (("restore", "--in-place", "--data", "PASS", "--yes"), "restore-what"),
    (("restore", "--data", "PASS", "--yes"), "backup-damaged"),
    (("restore", "--data", "nothing", "--yes"), "backup-unreadable"),
    (("keys", "copy"), "offsite-none"),
    (("keys", "fetch"), "epoch-present"),
    (("keys", "renew-signer", "gate", "--yes"), "signer-unknown"),
    (("revocations", "acknowledge", "PASS", "--gate", "north"), "list-malformed"),
    (("revocations", "forget", "--gate", "north"), "gate-unknown"),
    (("revocations", "publish", "--gate", "", "--out", "OUT"), "gate-name"),
], ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]))
def test_what_is_refused_changes_nothing(run: Run, home: Path, args: tuple[str, ...], code: str) -> None:
    before = support.state_of(home / "zoo")
    places = {"PASS": home / "verify.pass", "OUT": home / "out", "OUT.svg": home / "out.svg",
              "OUT.pdf": home / "out.pdf", "no/where": home / "no" / "where", "nothing": home / "nothing"}
    here = () if args[1] == "code" else ("--venue", home / "zoo")
    told = run(*(places.get(arg, arg) for arg in args), *here)
    assert (told.code, told.status != 0) == (code, True)
    assert support.state_of(home / "zoo") == before
    assert not (home / "out").exists()


# -- lost passes and families


def test_the_desk_replaces_a_lost_pass_by_its_booking_number(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    done = run("pass", "replace", "--ref", "collins", "--pass-out", home / "new.pass", "--card", home / "new.svg",
               "--venue", zoo).json
    assert done["ended"] == ["entry.verify"]
    assert "no face" in (home / "new.svg").read_text()
    for lane in ("face", "plain"):
        told = run("admit", "--venue", zoo, "--lane", lane, "--pass", home / "verify.pass",
                   "--image", pictures / "later.jpg")
        assert (told.json["outcome"], told.json["reason"]) == ("refer", "pass-void")
    assert run("admit", "--venue", zoo, "--lane", "plain", "--pass", home / "new.pass").status == 0
    told = run("admit", "--venue", zoo, "--press", "--image", pictures / "later.jpg")
    assert told.json["outcome"] == "admit"  # the face that the venue keeps was in no pass


def test_the_desk_withdraws_without_a_pass(run: Run, home: Path, pictures: Path) -> None:
    told = run("withdraw", "--venue", home / "zoo", "--ref", "collins", "--purpose", "entry.verify").json
    assert (told["outcome"], told["final_by"], told["purposes"]) == ("final", "", ["entry.verify"])
    assert told["standing"] == ["entry.search"]
    assert run(*gate(home, pictures, home / "verify.pass")).json["reason"] == "consent-withdrawn"
    assert run("admit", "--venue", home / "zoo", "--lane", "plain", "--pass", home / "verify.pass").status == 0


def test_withdrawing_by_booking_number_ends_everything_that_stands(run: Run, home: Path, pictures: Path) -> None:
    told = run("withdraw", "--venue", home / "zoo", "--ref", "collins", "--receipt-out", home / "gone.json").json
    assert (sorted(told["purposes"]), told["standing"]) == (["entry.search", "entry.verify"], [])
    assert [one["kind"] for one in json.loads((home / "gone.json").read_text())] == ["erasure", "erasure"]
    told = run("admit", "--venue", home / "zoo", "--press", "--image", pictures / "later.jpg")
    assert told.json["outcome"] == "refer"
    assert run("withdraw", "--venue", home / "zoo", "--ref", "collins").code == "consent-withdrawn"


def test_what_came_to_nothing_is_taken_back(
        run: Run, home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = ["enrol", "--venue", home / "zoo", "--ref", "wen", "--yes", "--image", pictures / "hopper.jpg", "--scan",
             "--pass-out", home / "one.pass", "--card", home / "one.svg"]
    typed(monkeypatch, "CN1:SOMETHING ELSE\n")
    assert run(*order).code == "pass-not-read"
    assert not (home / "one.pass").exists()
    assert not (home / "one.svg").exists()
    (home / "one.svg").write_text("somebody's drawing")
    assert run(*order).code == "file-exists"
    assert (home / "one.svg").read_text() == "somebody's drawing"
    assert run("enrol", "--venue", home / "zoo", "--ref", "wen", "--no", "--pass-out", home / "no.pass", "--card",
               home / "no.svg").status == 0
    assert "no face" in (home / "no.svg").read_text()


@pytest.mark.parametrize("lane", ["face", "plain"])
def test_one_scan_admits_the_family_as_many_as_have_good_tickets(
        run: Run, home: Path, pictures: Path, lane: str) -> None:
    (home / "zoo" / "tickets.csv").write_text(FAMILY)
    order = gate(home, pictures, home / "verify.pass", "--lane", lane)
    assert run(*order).json["people"] == 1
    told = run(*order, "--together").json
    assert (told["outcome"], told["people"]) == ("admit", 2)  # the third one's ticket is over
    assert "(2)" in run(*order, "--together", json_out=False).out
    (home / "zoo" / "tickets.csv").write_text(FAMILY.replace("collins,chen", "collins,"))
    assert run(*order, "--together").json["people"] == 1  # no household is nobody's household


# -- copies of stores


def test_backup_drill_and_restore(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    for which in ("data", "keys"):
        assert run("backup", which, "--to", home / which, "--venue", zoo).status == 0
    drilled = run("doctor", "--restore-drill", "--venue", zoo).json
    assert (drilled["ok"], drilled["keys"], drilled["asked_again"]) == (True, 3, 2)
    assert not (zoo / ".drill").exists()
    assert run(*gate(home, pictures, home / "verify.pass")).json["outcome"] == "admit"

    run("withdraw", "--venue", zoo, "--ref", "collins", "--purpose", "entry.search")
    old = run("restore", "--keys", home / "keys", "--venue", zoo, "--yes")
    assert old.code == "restore-older"
    assert "1 destroyed ones would come back" in old.json["error"]["message"]

    for name in (DATA, KEYS):  # the disk is gone; what is left is the third place, and the copies
        (zoo / name).unlink()
    done = run("restore", "--data", home / "data", "--keys", home / "keys", "--venue", zoo, "--yes").json
    assert (done["asked_again"], done["unopened"]) == (1, 1)
    assert run(*gate(home, pictures, home / "verify.pass")).json["reason"] == "consent-ask-again"
    assert run("admit", "--venue", zoo, "--press", "--image", pictures / "later.jpg").json["outcome"] == "refer"
    assert run("admit", "--venue", zoo, "--lane", "plain", "--pass", home / "verify.pass").status == 0


def test_stores_that_were_put_back_by_hand_are_noticed(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    assert run("sweep", "--venue", zoo).status == 0
    copies = shutil.copytree(zoo, home / "copies")
    run("withdraw", "--venue", zoo, "--ref", "collins", "--purpose", "entry.verify")
    for name in (DATA, KEYS):
        shutil.copy(copies / name, zoo / name)
    assert run(*gate(home, pictures, home / "verify.pass")).json["reason"] == "store-restored"
    assert run("sweep", "--venue", zoo).code == "store-restored"
    assert "store-restored" in json.dumps(run("doctor", "--venue", zoo).json)
    assert run("admit", "--venue", zoo, "--lane", "plain", "--pass", home / "verify.pass").status == 0
    done = run("restore", "--in-place", "--venue", zoo, "--yes").json
    assert (done["asked_again"], done["unopened"]) == (1, 1)
    assert run(*gate(home, pictures, home / "verify.pass")).json["outcome"] == "refer"
    assert run("sweep", "--venue", zoo).status == 0


def test_the_epoch_key_has_one_copy_elsewhere(run: Run, home: Path, pictures: Path) -> None:
    zoo, away = home / "zoo", home / "away"
    away.mkdir()
    settings = zoo / "venue.toml"
    settings.write_text(settings.read_text().replace('offsite = ""', f'offsite = "{away}"'))
    assert "offsite-missing" in json.dumps(run("doctor", "--venue", zoo).json)
    assert run("keys", "copy", "--venue", zoo).status == 0
    assert "offsite" not in json.dumps(run("doctor", "--venue", zoo).json)
    assert run("keys", "rotate", "--venue", zoo).json["epoch"] == 2
    assert (away / "epoch.key").read_bytes() == (zoo / "epoch.key").read_bytes()

    (zoo / "epoch.key").unlink()
    assert run(*gate(home, pictures, home / "verify.pass")).json["reason"] == "epoch-missing"
    assert run("keys", "fetch", "--venue", zoo).status == 0
    assert run(*gate(home, pictures, home / "verify.pass")).json["outcome"] == "admit"

    shutil.move(away, home / "unplugged")
    assert run("keys", "rotate", "--venue", zoo).code == "offsite-missing"
    assert run(*gate(home, pictures, home / "verify.pass")).json["outcome"] == "admit"  # its date has not passed
    shutil.move(home / "unplugged", away)
    assert run("keys", "rotate", "--venue", zoo).status == 0


# -- signing keys and gates


def test_a_retired_signing_key_is_refused_in_both_lanes(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    assert run("keys", "renew-signer", "pass", "--yes", "--venue", zoo).status == 0
    for lane in ("face", "plain"):
        told = run(*gate(home, pictures, home / "verify.pass", "--lane", lane))
        assert (told.json["outcome"], told.json["reason"]) == ("refer", "pass-retired")
    assert run("pass", "replace", "--ref", "collins", "--pass-out", home / "new.pass", "--venue", zoo).status == 0
    assert run("admit", "--venue", zoo, "--lane", "plain", "--pass", home / "new.pass").status == 0


def test_a_gate_goes_by_its_list(run: Run, home: Path, pictures: Path) -> None:
    zoo = home / "zoo"
    told = run("revocations", "publish", "--gate", "north", "--out", home / "one.list", "--venue", zoo).json
    assert run(*gate(home, pictures, home / "verify.pass", "--list", home / "one.list")).json["outcome"] == "admit"
    gone = run("withdraw", "--venue", zoo, "--ref", "collins", "--purpose", "entry.verify").json
    assert (gone["outcome"], gone["final_by"]) == ("final_by", told["good_until"])
    run("revocations", "publish", "--gate", "north", "--out", home / "two.list", "--venue", zoo)
    assert run("revocations", "acknowledge", home / "two.list", "--gate", "north", "--venue", zoo).status == 0
    shown = run("revocations", "show", home / "two.list", "--venue", zoo).json
    assert (shown["faces"], shown["replaced"]) == (1, 0)
    told = run(*gate(home, pictures, home / "verify.pass", "--list", home / "two.list"))
    assert told.json["reason"] == "face-revoked"
    plain = run("admit", "--venue", zoo, "--lane", "plain", "--pass", home / "verify.pass", "--list", home / "two.list")
    assert plain.status == 0


@pytest.mark.promise(7)
def test_an_old_list_does_not_close_the_lane_without_faces_and_is_told(
        run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("revocations", "publish", "--gate", "north", "--out", home / "one.list", "--venue", home / "zoo")
    order = ("admit", "--venue", home / "zoo", "--lane", "plain", "--pass", home / "verify.pass", "--list",
             home / "one.list")
    assert run(*order).err == ""
    now = clock.SystemClock().now()
    monkeypatch.setattr(clock.SystemClock, "now", lambda _self: now + 3_601)
    late = run(*order)
    assert late.json["outcome"] == "admit"
    assert "passes replaced since are not in it" in late.err


@pytest.mark.promise(7)
def test_a_broken_list_does_not_close_the_lane_without_faces(run: Run, home: Path, pictures: Path) -> None:
    (home / "bad.list").write_text("bad")
    order = gate(home, pictures, home / "verify.pass", "--list", home / "bad.list")
    assert run(*order).json["reason"] == "list-malformed"
    plain = run(*order, "--lane", "plain")
    assert plain.json["outcome"] == "admit"
    assert "list-malformed" in plain.err


def test_the_persons_page_says_where_the_measurement_and_its_key_are(run: Run, home: Path) -> None:
    person = json.loads((home / "verify.json").read_text())["person"]
    faces = {f["purpose"]: (f["measurement"], f["key"])
             for f in run("about", "--venue", home / "zoo", "--person", person).json["faces"]}
    assert faces == {"entry.verify": ("in your pass only", "with the venue"),
                     "entry.search": ("with the venue, locked", "with the venue")}
