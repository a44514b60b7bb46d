"""Whatever comes from outside: one sentence, a stable code, a status that is not 0, and the state as it was."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from countenance import clock
from countenance.flows.found import DATA, KEYS
from countenance.quantities import DAY
from journeys.conftest import Run
from support import venue as support

# -- pictures ---------------------------------------------------------------------------------------------


def _file(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _portrait(pictures: Path) -> bytes:
    return (pictures / "collins.jpg").read_bytes()


PICTURES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "corrupt": (lambda p: _portrait(p)[:400] + bytes(3000) + b"\xff\xd9", "image-unreadable"),
    "empty": (lambda _p: b"", "image-unreadable"),
    "truncated": (lambda p: _portrait(p)[:-4000], "image-truncated"),
    "animated": (lambda _p: _file(Image.new("RGB", (64, 64)), "PNG", save_all=True,
                                  append_images=[Image.new("RGB", (64, 64), "red")]), "image-animated"),
    "CMYK": (lambda _p: _file(Image.new("CMYK", (640, 480)), "JPEG"), "image-mode"),
    "16-bit": (lambda _p: _file(Image.fromarray(np.zeros((480, 640), np.uint16)), "PNG"), "image-mode"),
    "1x1": (lambda _p: _file(Image.new("RGB", (1, 1)), "PNG"), "image-too-small"),
    "50 megapixels": (lambda _p: _file(Image.new("1", (10_000, 5_000)), "PNG"), "image-too-large"),
    "a script": (lambda _p: b"#!/bin/sh\necho\n" * 100, "image-unreadable"),
    "a GIF": (lambda _p: _file(Image.new("RGB", (640, 480)), "GIF"), "image-unreadable"),
    "nobody": (lambda p: (p / "nobody.jpg").read_bytes(), "no-face"),
    "two people": (lambda p: (p / "two.jpg").read_bytes(), "several-faces"),
    "too far away": (lambda p: (p / "far.jpg").read_bytes(), "no-face"),
    "cut off": (lambda p: (p / "cut.jpg").read_bytes(), "face-cut-off"),
}


@pytest.fixture(params=PICTURES)
def bad_picture(request: pytest.FixtureRequest, pictures: Path, tmp_path: Path) -> tuple[Path, str]:
    made, code = PICTURES[request.param]
    path = tmp_path / "picture"
    path.write_bytes(made(pictures))
    return path, code


def test_a_bad_picture_admits_nobody(run: Run, home: Path, bad_picture: tuple[Path, str]) -> None:
    picture, code = bad_picture
    before = support.bytes_of(home)
    for gate in (("--press",), ("--pass", home / "verify.pass")):
        _refused(run("admit", "--venue", home / "zoo", *gate, "--image", picture), code)
    assert support.bytes_of(home) == before


def test_a_bad_picture_enrols_nobody(run: Run, home: Path, bad_picture: tuple[Path, str]) -> None:
    picture, code = bad_picture
    before = support.bytes_of(home)
    _refused(run("enrol", "--venue", home / "zoo", "--ref", "wen", "--image", picture, "--yes",
                 "--pass-out", home / "new.pass"), code)
    assert support.bytes_of(home) == before


def _refused(ended: object, code: str) -> None:
    assert ended.code == code  # type: ignore[attr-defined]
    assert ended.status not in (0, 7)  # type: ignore[attr-defined]
    said = ended.err.strip()  # type: ignore[attr-defined]
    assert "\n" not in said
    assert said.endswith(f"[{code}]")
    assert "Traceback" not in said


# -- passes, purposes, consents ---------------------------------------------------------------------------


def _other_venue(run: Run, home: Path) -> Path:
    run("init", home / "other", "--scenario", "annual-pass", "--regime", "cn")
    (home / "other" / "tickets.csv").write_text((home / "zoo" / "tickets.csv").read_text())
    run("pass", "issue", "--venue", home / "other", "--ref", "wen", "--pass-out", home / "other.pass")
    return home / "other.pass"


def _altered(_run: Run, home: Path) -> Path:
    text = (home / "verify.pass").read_text()
    at = len(text) // 2
    (home / "altered.pass").write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
    return home / "altered.pass"


def _short(_run: Run, home: Path) -> Path:
    (home / "short.pass").write_text((home / "verify.pass").read_text()[:-40])
    return home / "short.pass"


def _not_a_pass(_run: Run, home: Path) -> Path:
    (home / "not.pass").write_bytes(os.urandom(300))
    return home / "not.pass"


@pytest.mark.parametrize(("made", "codes"), [
    (_other_venue, {"pass-other-venue"}),
    (_altered, {"pass-altered", "pass-malformed"}),
    (_short, {"pass-malformed"}),
    (_not_a_pass, {"file-unreadable", "pass-malformed"}),
], ids=["of another venue", "altered by a character", "cut short", "random bytes"])
def test_a_bad_pass_opens_nothing(
    run: Run, home: Path, pictures: Path, made: Callable[[Run, Path], Path], codes: set[str]
) -> None:
    shown = made(run, home)
    before = support.bytes_of(home)
    for lane in (("--image", pictures / "later.jpg"), ("--lane", "plain")):
        ended = run("admit", "--venue", home / "zoo", "--pass", shown, *lane)
        assert ended.code in codes
        _refused(ended, ended.code)
    _refused(run("withdraw", "--venue", home / "zoo", "--pass", shown), ended.code)
    counted = {"zoo/plain.counts", "zoo/plain.counts.lock"}
    assert {name: data for name, data in support.bytes_of(home).items() if name not in counted} == before
    assert (home / "zoo" / "plain.counts").read_text().split()[1:] == ["refer", "1"]  # by the day, and of nobody


@pytest.mark.parametrize(("args", "code"), [
    (("admit", "--press", "--image", "{pictures}/later.jpg", "--purpose", "marketing"), "purpose-unknown"),
    (("admit", "--press", "--image", "{pictures}/later.jpg", "--purpose", "entry.verify"), "purpose-other"),
    (("admit", "--image", "{pictures}/later.jpg"), "press-missing"),
    (("admit", "--press"), "image-missing"),
    (("admit", "--press", "--image", "{home}/absent.jpg"), "file-unreadable"),
    (("admit", "--lane", "side", "--image", "{pictures}/later.jpg"), "lane-unknown"),
    (("enrol", "--ref", "wen", "--yes", "--purpose", "marketing", "--image", "{pictures}/later.jpg",
      "--pass-out", "{home}/new.pass"), "purpose-unknown"),
    (("enrol", "--ref", "wen", "--yes", "--no", "--pass-out", "{home}/new.pass"), "answer-both"),
    (("enrol", "--ref", "wen", "--pass-out", "{home}/new.pass"), "answer-missing"),
    (("enrol", "--ref", "wen", "--yes", "--channel", "sms", "--image", "{pictures}/later.jpg",
      "--pass-out", "{home}/new.pass"), "consent-message"),
    (("enrol", "--ref", "stranger", "--yes", "--image", "{pictures}/later.jpg", "--pass-out", "{home}/new.pass"),
     "ticket-unknown"),
    (("enrol", "--ref", "wen", "--yes", "--image", "{pictures}/later.jpg", "--pass-out", "{home}/verify.pass"),
     "file-exists"),
    (("enrol", "--ref", "wen", "--yes", "--language", "tlh", "--image", "{pictures}/later.jpg",
      "--pass-out", "{home}/new.pass"), "notice-language"),
    (("withdraw", "--person", "0" * 32), "consent-missing"),
    (("withdraw",), "person-missing"),
    (("about", "--person", "0" * 32), "person-unknown"),
    (("consent", "renew", "--person", "0" * 32, "--yes"), "template-missing"),
    (("demo", "--me", "{pictures}/later.jpg"), "demo-two-pictures"),
    (("demo", "--me", "{pictures}/nobody.jpg", "--later", "{pictures}/later.jpg", "--yes"), "no-face"),
    (("init", "{home}/new", "--scenario", "circus", "--regime", "cn"), "scenario-unknown"),
    (("init", "{home}/new", "--scenario", "annual-pass", "--regime", "mars"), "regime-unknown"),
    (("init", "{home}/zoo", "--scenario", "annual-pass", "--regime", "cn"), "store-exists"),
    (("models", "show", "nothing"), "model-pack-unknown"),
])
def test_a_bad_request_changes_nothing(
    run: Run, home: Path, pictures: Path, args: tuple[str, ...], code: str
) -> None:
    before = support.state_of(home / "zoo")
    filled = [a.format(home=home, pictures=pictures) for a in args]
    venue = [] if args[0] in {"demo", "init", "models"} else ["--venue", home / "zoo"]
    _refused(run(*filled, *venue), code)
    after = support.state_of(home / "zoo")
    assert {k for k in after if after[k] != before[k]} <= {f"{DATA}/mark"}  # the time it was seen at
    assert not (home / "new.pass").exists()
    assert not (home / "new").exists()


def test_a_failed_delivery_of_the_pass_undoes_the_enrolment(run: Run, home: Path, pictures: Path) -> None:
    before = support.state_of(home / "zoo")
    _refused(run("enrol", "--venue", home / "zoo", "--ref", "wen", "--yes", "--image", pictures / "hopper.jpg",
                 "--pass-out", home / "no" / "new.pass"), "pass-not-delivered")
    after = support.state_of(home / "zoo")
    unlinkable = {"gone.list", *(f"{DATA}/{t}" for t in ("event", "log", "mark", "gallery"))}
    assert {k for k in after if after[k] != before[k]} <= unlinkable
    assert after[f"{KEYS}/wrapped_key"] == before[f"{KEYS}/wrapped_key"]


def test_an_expired_consent_and_a_withdrawn_one(
    run: Run, home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = ("admit", "--venue", home / "zoo", "--pass", home / "verify.pass", "--image", pictures / "later.jpg")
    now = clock.SystemClock().now()
    monkeypatch.setattr(clock.SystemClock, "now", lambda _self: now + 364 * DAY)
    assert run("sweep", "--venue", home / "zoo").status == 0
    monkeypatch.setattr(clock.SystemClock, "now", lambda _self: now + 365 * DAY + 60)
    before = support.bytes_of(home)
    _refused(run(*gate), "consent-expired")
    assert support.bytes_of(home) == before
    assert run("sweep", "--venue", home / "zoo").json["expired"] == 2
    _refused(run(*gate), "consent-expired")
    assert run("withdraw", "--venue", home / "zoo", "--pass", home / "verify.pass").code == "consent-expired"


# -- the data folder --------------------------------------------------------------------------------------


def _without(name: str) -> Callable[[Path], None]:
    return lambda zoo: (zoo / name).unlink()


def _newer(zoo: Path) -> None:
    with closing(sqlite3.connect(zoo / DATA)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")


def _newer_settings(zoo: Path) -> None:
    text = (zoo / "venue.toml").read_text()
    (zoo / "venue.toml").write_text(text.replace("format = 1", "format = 2"))


def _misspelled(zoo: Path) -> None:
    text = (zoo / "venue.toml").read_text()
    (zoo / "venue.toml").write_text(text.replace("epoch_days", "epoch_dayz"))


def _damaged(zoo: Path) -> None:
    (zoo / DATA).write_bytes(os.urandom(8192))


def _other_root(zoo: Path) -> None:
    (zoo / "root.key").write_bytes(bytes(32))


def _open_root(zoo: Path) -> None:
    (zoo / "root.key").chmod(0o644)


def _bad_tickets(zoo: Path) -> None:
    (zoo / "tickets.csv").write_text("person,until\ncollins,2099-12-31\n")


@pytest.mark.parametrize(("harm", "code"), [
    (_without(KEYS), "store-missing"), (_without(DATA), "store-missing"),
    (_without("venue.toml"), "store-incomplete"), (_without("epoch.key"), "epoch-missing"),
    (_without("root.key"), "root-missing"), (_without("tickets.csv"), "entitlement-missing"),
    (_newer, "store-newer"), (_newer_settings, "store-newer"), (_misspelled, "settings-keys"),
    (_damaged, "store-corrupt"), (_other_root, "root-wrong"), (_open_root, "root-open"),
    (_bad_tickets, "entitlement-columns"),
], ids=["no keys.db", "no countenance.db", "half initialised", "no epoch key", "no root key", "no tickets",
        "a newer store", "newer settings", "a misspelled setting", "a damaged store", "another root key",
        "a root key for all to read", "an unreadable list of tickets"])
def test_a_harmed_data_folder_compares_nobody(
    run: Run, home: Path, pictures: Path, harm: Callable[[Path], None], code: str
) -> None:
    harm(home / "zoo")
    before = support.bytes_of(home)
    for gate in (("--pass", home / "verify.pass"), ("--press",)):
        _refused(run("admit", "--venue", home / "zoo", *gate, "--image", pictures / "later.jpg"), code)
    assert support.bytes_of(home) == before


def test_one_bad_line_of_the_tickets_closes_no_lane_for_others(run: Run, home: Path, pictures: Path) -> None:
    tickets = home / "zoo" / "tickets.csv"
    tickets.write_text("\ufeff" + tickets.read_text() + "slip,,31.12.2030,en,\nwen,,2099-12-31,en,\nshort,\n")
    gate = ("admit", "--venue", home / "zoo", "--image", pictures / "later.jpg")
    assert run(*gate, "--press").json["outcome"] == "admit"
    assert run(*gate, "--pass", home / "verify.pass").json["outcome"] == "admit"
    for reference in ("slip", "wen", "short"):
        ended = run("enrol", "--venue", home / "zoo", "--ref", reference, "--no", "--pass-out", home / "new.pass")
        assert ended.code == "ticket-unclear"
    told = run("doctor", "--venue", home / "zoo").json
    assert not told["ok"]
    assert [one["finding"] for one in told["findings"] if one["check"] == "tickets"] == [
        "In the list of tickets these lines count for nobody (dates are YYYY-MM-DD): 4, 5, 6. [entitlement-lines]"]


@pytest.mark.parametrize("story", ["enrol", "withdraw", "erase"])
def test_a_receipt_that_cannot_be_written_stops_the_story_before_it_begins(
    run: Run, home: Path, pictures: Path, story: str
) -> None:
    before = support.state_of(home / "zoo")
    person = json.loads((home / "search.json").read_text())["person"]
    nowhere = home / "nowhere" / "receipt.json"
    asked = {
        "enrol": ("enrol", "--ref", "wen", "--yes", "--image", pictures / "hopper.jpg",
                  "--pass-out", home / "new.pass", "--receipt-out", nowhere),
        "withdraw": ("withdraw", "--pass", home / "verify.pass", "--receipt-out", nowhere),
        "erase": ("about", "--person", person, "--erase", "--yes", "--receipts-out", nowhere.parent),
    }[story]
    _refused(run(*asked, "--venue", home / "zoo"), "file-unwritable")
    assert support.state_of(home / "zoo") == before
    assert not (home / "new.pass").exists()


def test_an_absent_venue(run: Run, tmp_path: Path) -> None:
    _refused(run("about", "--venue", tmp_path / "nowhere", "--person", "x"), "store-absent")
    assert not (tmp_path / "nowhere").exists()


def test_a_clock_set_back_closes_the_face_lane_only(
    run: Run, home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.SystemClock().now()
    monkeypatch.setattr(clock.SystemClock, "now", lambda _self: now - DAY // 2)
    before = support.bytes_of(home)
    for gate in (("--pass", home / "verify.pass"), ("--press",)):
        _refused(run("admit", "--venue", home / "zoo", *gate, "--image", pictures / "later.jpg"), "clock-set-back")
    _refused(run("enrol", "--venue", home / "zoo", "--ref", "wen", "--yes", "--image", pictures / "hopper.jpg",
                 "--pass-out", home / "new.pass"), "clock-set-back")
    assert support.bytes_of(home) == before
    assert run("withdraw", "--venue", home / "zoo", "--pass", home / "verify.pass").json["outcome"] == "final"


@pytest.fixture
def mounted(home: Path) -> Iterator[Callable[[str], Path]]:
    """Put the venue on a file system of its own, small or read-only."""
    points = []

    def mount(options: str) -> Path:
        point = home / "mounted"
        point.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", point], capture_output=True,
                              check=False)
        if done.returncode:
            pytest.skip("mounting a small file system needs root")
        points.append(point)
        shutil.copytree(home / "zoo", point / "zoo")
        if options == "full":
            filler = os.open(point / "filler", os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while os.write(filler, bytes(4096)):
                    pass
            os.close(filler)
        else:
            subprocess.run(["mount", "-o", "remount,ro", point], check=True)
        return point / "zoo"

    yield mount
    for point in points:
        subprocess.run(["umount", point], check=True)


@pytest.mark.parametrize(("options", "codes"), [
    ("full", {"store-full", "store-io", "store-missing"}), ("read-only", {"store-read-only", "store-missing"})])
def test_a_full_or_read_only_disk_admits_and_enrols_nobody(
    run: Run, home: Path, pictures: Path, mounted: Callable[[str], Path], options: str, codes: set[str]
) -> None:
    zoo = mounted(options)
    before = {name: digest for name, digest in support.bytes_of(zoo).items() if not name.endswith(("-shm", "-wal"))}
    for request in (
        ("admit", "--press", "--image", pictures / "later.jpg"),
        ("admit", "--pass", home / "verify.pass", "--image", pictures / "later.jpg"),
        ("enrol", "--ref", "wen", "--yes", "--image", pictures / "hopper.jpg", "--pass-out", home / "new.pass"),
    ):
        ended = run(*request, "--venue", zoo)
        assert ended.code in codes
        assert ended.status == 5
    after = {name: digest for name, digest in support.bytes_of(zoo).items() if not name.endswith(("-shm", "-wal"))}
    assert after == before
    assert not (home / "new.pass").exists()
    assert run("admit", "--lane", "plain", "--pass", home / "verify.pass", "--venue", zoo).status == 0


def test_an_error_never_shows_a_trace_or_its_locals(
    run: Run, home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from countenance.flows import admit

    def broken(*_args: object, **_more: object) -> None:
        marker = "the-secret-of-a-face"
        raise RuntimeError(marker)

    monkeypatch.setattr(admit, "by_pass", broken)
    ended = run("admit", "--venue", home / "zoo", "--pass", home / "verify.pass", "--image", pictures / "later.jpg")
    _refused(ended, "internal")
    assert "the-secret-of-a-face" not in ended.out + ended.err
    assert json.loads(ended.out)["error"]["code"] == "internal"
