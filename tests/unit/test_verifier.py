"""The verifier: what it says of receipts, evidence, checkpoints and whole logs, and how its commands end."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.errors import BadInput, Refused
from countenance.formats import log_entries, tiles
from countenance.formats.evidence import spelled
from countenance.formats.trust import Trust
from countenance.verifier import __main__ as command
from countenance.verifier import files, logs, page_builder
from countenance.verifier.report import FAILED, OK, UNCHECKED, Report, Step, Unchecked, follow
from support.make_proof_vectors import (
    ENROLMENT,
    ERASURE,
    EVIDENCE,
    FACTS,
    FOLDER,
    MINE,
    NOTE,
    RECEIPT_NOTE_KEY,
    STRANGER,
    TRUST,
    content,
    cosigned,
    erasure,
    receipt,
    trusts,
    zipped,
)
from support.small_log import SmallLog

BELIEVED = trusts()[TRUST]


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- reports


def _fails() -> str:
    raise BadInput("thing-wrong", "It is wrong.")


def _skips() -> str:
    raise Unchecked("No key.")


def test_after_a_failed_step_nothing_is_looked_at() -> None:
    looked: list[int] = []
    report = follow("thing", [("one", lambda: "Fine."), ("two", _fails), ("three", lambda: str(looked.append(3)))],
                    trusted=True)
    assert [(step.number, step.outcome) for step in report.steps] == [(1, OK), (2, FAILED), (3, UNCHECKED)]
    assert looked == []
    assert (report.verdict, report.failed) == ("refused", report.steps[1])
    with pytest.raises(Refused) as caught:
        report.require_ok()
    assert caught.value.code == "thing-wrong"
    assert caught.value.sentence == "Step 2, two: It is wrong."


def test_a_page_that_another_made_is_told_and_refuses_nothing() -> None:
    other = files.verify_bytes(EVIDENCE, BELIEVED)
    assert other.verdict == "verified"
    assert "is NOT the one that this program makes" in other.steps[1].sentence
    own = files.verify_bytes(zipped(content(), html=page_builder.render), BELIEVED)
    assert own.verdict == "verified"
    assert own.steps[1].sentence.endswith("The page is the one that this program makes of exactly these facts.")


def test_only_all_steps_and_a_trust_file_make_it_verified() -> None:
    fine, skipped = ("one", lambda: "Fine."), ("two", _skips)
    assert follow("thing", [fine], trusted=True).verdict == "verified"
    assert follow("thing", [fine], trusted=False).verdict == "self-consistent"
    assert follow("thing", [fine, skipped], trusted=True).verdict == "self-consistent"
    assert Report("thing", (), trusted=True).verdict == "self-consistent"
    follow("thing", [fine, skipped], trusted=False).require_ok()
    with pytest.raises(Refused) as caught:
        follow("thing", [fine, skipped], trusted=True).require_ok()
    assert caught.value.code == "not-verified"


def test_a_report_says_what_self_consistent_means() -> None:
    assert "nobody but the venue vouches for it" in files.verify_bytes(ENROLMENT.encode()).lines()[-1]
    assert "nobody but the venue" not in files.verify_bytes(ENROLMENT.encode(), BELIEVED).lines()[-1]


def test_an_unknown_cosignature_is_told_and_counts_for_nothing() -> None:
    report = files.verify_bytes(cosigned(NOTE, STRANGER).encode(), BELIEVED)
    assert report.verdict == "verified"
    assert f"unknown cosignature {STRANGER}: counts for nothing" in report.steps[2].sentence
    alone = files.verify_bytes(NOTE.encode(), None)
    assert "log: counts for nothing" not in alone.steps[2].sentence  # that of the log is no cosignature
    assert [step.outcome for step in alone.steps] == [OK, UNCHECKED, OK, UNCHECKED]


def test_a_receipt_that_the_log_did_not_prove_is_never_verified() -> None:
    report = files.verify_bytes(receipt(erasure(checkpoint="", log_fault="log-busy"), MINE[7:9]).encode(), BELIEVED)
    assert report.verdict == "self-consistent"
    with pytest.raises(Refused):
        report.require_ok()


def test_a_list_of_receipts_is_checked_one_by_one() -> None:
    held = [json.loads(ENROLMENT), json.loads(ERASURE)]
    text = json.dumps(held, ensure_ascii=False, indent=1) + "\n"  # as the commands write it
    report = files.verify_bytes(text.encode(), BELIEVED)
    assert (report.what, report.verdict, [step.number for step in report.steps]) == (
        "receipts", "verified", list(range(1, 17)))
    held[1]["person"] = "b2" * 16
    report = files.verify_bytes(spelled(held).encode(), BELIEVED)
    assert report.failed is not None
    assert (report.failed.number, report.failed.name) == (10, "receipt 2, signature of the venue")
    held.reverse()  # what is wrong with the first does not hide the second
    report = files.verify_bytes(spelled(held).encode(), BELIEVED)
    assert report.verdict == "refused"
    assert [step.outcome for step in report.steps[8:]] == [OK] * 8


@pytest.mark.parametrize("spoil", [lambda text: text + " ", lambda text: text.replace("\n", ""), lambda text: text[:-9],
                                   lambda text: '["countenance/receipt/2", ' + text[1:]])
def test_a_list_in_another_spelling_is_refused(spoil: Callable[[str], str]) -> None:
    step = files.verify_bytes(spoil(spelled([json.loads(ENROLMENT)])).encode(), BELIEVED).failed
    assert step is not None
    assert (step.number, step.code) == (1, "receipt-malformed")


SPOOF = "Zoo.\n  2  ok  all\x1b[8m\x9b8m\u202e\u200b\u2028\U000e0041\r\x00"
"""Would paint lines that nobody checked, hide what follows, and turn it round."""


def test_what_others_wrote_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.loads(ENROLMENT)
    report = files.verify_bytes(spelled({**body, "venue_name": SPOOF}).encode(), BELIEVED)
    assert len(report.lines()) == 9
    assert all(line.isprintable() for line in report.lines())
    assert "\\u001b[8m\\u009b8m\\u202e\\u200b\\u2028" in report.lines()[0]
    odd = Report("thing", (Step(1, "one", FAILED, "x", SPOOF),), trusted=True)
    with pytest.raises(Refused) as caught:
        odd.require_ok()
    assert caught.value.sentence.isprintable()
    with pytest.raises(BadInput) as unknown:
        files.verify(saved(tmp_path, "b\x1b[8m\u202e", "x"))
    assert unknown.value.sentence.isprintable()
    path = saved(tmp_path, "a\x1b[8m\u202e", spelled({**body, "venue_name": SPOOF}))
    assert command.main([str(path)]) == command.main([str(path), "--json"]) == 3
    told = "".join(capsys.readouterr())
    done = CliRunner().invoke(app, ["verify", str(path)])
    assert all(line.isprintable() for line in (told + done.output).split("\n"))


# --- what a file is


@pytest.mark.parametrize(("name", "content", "what"), [
    ("a", ENROLMENT, "receipt"), ("b.json", ERASURE, "receipt"), ("c", EVIDENCE, "evidence"),
    ("d", FACTS, "evidence.json"), ("e", NOTE, "checkpoint")])
def test_a_file_is_known_by_its_content_not_its_name(tmp_path: Path, name: str, content: str, what: str) -> None:
    assert files.verify(saved(tmp_path, name, content)).what == what


@pytest.mark.parametrize("content", [
    "", "x", "{}\n", "[]\n", b"\xff\xfe", '{"format": "countenance/pass/1"}', b"\0" * 99])
def test_something_else_is_one_sentence(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(BadInput) as caught:
        files.verify(saved(tmp_path, "thing", content))
    assert caught.value.code == "file-unknown"
    assert caught.value.sentence == "thing is no receipt, evidence, checkpoint or log."


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(files.LARGEST + 1)
    (tmp_path / "empty").mkdir()
    for name, code in (("none", "file-unreadable"), ("pipe", "file-unreadable"), ("large", "file-too-large"),
                       ("empty", "file-unreadable"), ("nul\0", "file-unreadable")):
        with pytest.raises(BadInput) as caught:
            files.verify(tmp_path / name)
        assert caught.value.code == code, name
    with pytest.raises(BadInput) as caught:
        files.read_trust(saved(tmp_path, "no.trust", b"\xff"))
    assert caught.value.code == "file-unreadable"


def test_evidence_json_with_its_signature_beside_it_is_verified(tmp_path: Path) -> None:
    path = saved(tmp_path, "evidence.json", FACTS)
    assert files.verify(path, BELIEVED).verdict == "self-consistent"
    from countenance.formats import evidence

    saved(tmp_path, "evidence.sig", evidence.open_zip(EVIDENCE).signature)
    assert files.verify(path, BELIEVED).verdict == "verified"
    saved(tmp_path, "evidence.sig", "AAAA\n")
    assert (files.verify(path, BELIEVED).failed or pytest.fail()).number == 2


# --- logs


def trust_of(log: SmallLog) -> Trust:
    return Trust((log.key,), (RECEIPT_NOTE_KEY,), (), 0)


@pytest.fixture(scope="module")
def large() -> SmallLog:
    return SmallLog.of(66_000)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 300, 511, 512, 513, 1_000])
def test_a_log_is_verified_at_any_size(tmp_path: Path, size: int) -> None:
    log = SmallLog.of(size)
    folder = log.write(tmp_path / "log")
    told: list[tuple[int, int]] = []
    report = logs.verify(folder, (folder / "checkpoint").read_text(), trust_of(log), lambda d, a: told.append((d, a)))
    assert report.verdict == "verified"
    assert [step.outcome for step in report.steps] == [OK] * 7
    assert told[-1:] == ([(size, size)] if size else [])
    assert files.verify(folder).verdict == "self-consistent"


def test_a_large_log_takes_no_more_memory_than_a_small_one(tmp_path: Path, large: SmallLog) -> None:
    folder = large.write(tmp_path / "log")
    tracemalloc.start()
    try:
        assert files.verify(folder, trust_of(large)).verdict == "verified"
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def spoiled(folder: Path, path: str, data: bytes | None) -> None:
    (folder / path).chmod(0o644)
    if data is None:
        (folder / path).unlink()
    else:
        (folder / path).write_bytes(data)


def failing(folder: Path, trust: Trust | None) -> tuple[int, str]:
    step = files.verify(folder, trust).failed
    assert step is not None
    return step.number, step.code


@pytest.mark.parametrize("size", [300, 1_000])
def test_each_byte_of_each_file_counts(tmp_path: Path, size: int) -> None:
    log = SmallLog.of(size)
    folder = log.write(tmp_path / "log")
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert len(found) >= 6
    for path in found:
        before = path.read_bytes()
        for place in {0, 1, 2, 40, len(before) // 2, len(before) - 1} & set(range(len(before))):
            path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1:])
            with pytest.raises((BadInput, Refused)):
                files.verify(folder, trust_of(log)).require_ok()
        path.write_bytes(before)
    assert files.verify(folder, trust_of(log)).verdict == "verified"


LAST = 300 - 256
PLACES: dict[str, tuple[str, Any, int, str]] = {
    "tile missing": (tiles.path(0, 0), None, 5, "tile-missing"),
    "partial tile missing": (tiles.path(0, 1, LAST), None, 5, "tile-missing"),
    "upper tile missing": (tiles.path(1, 0, 1), None, 6, "tile-missing"),
    "bundle missing": (tiles.path(tiles.ENTRIES, 0), None, 5, "bundle-missing"),
    "tile short": (tiles.path(0, 0), lambda b: b[:-32], 5, "tile-short"),
    "tile long": (tiles.path(0, 0), lambda b: b + bytes(32), 5, "tile-short"),
    "tile cut in a hash": (tiles.path(0, 1, LAST), lambda b: b[:-1], 5, "tile-short"),
    "tile empty": (tiles.path(0, 0), lambda b: b"", 5, "tile-short"),
    "upper tile short": (tiles.path(1, 0, 1), lambda b: b[:-1], 6, "tile-short"),
    "tile flipped": (tiles.path(0, 1, LAST), lambda b: b[:-1] + bytes([b[-1] ^ 1]), 5, "tile-altered"),
    "upper tile flipped": (tiles.path(1, 0, 1), lambda b: bytes(32), 6, "tile-altered"),
    "bundle short": (tiles.path(tiles.ENTRIES, 0), lambda b: b[:-1], 5, "bundle-short"),
    "bundle long": (tiles.path(tiles.ENTRIES, 0), lambda b: b + b"\0", 5, "bundle-short"),
    "entry malformed": (tiles.path(tiles.ENTRIES, 1, LAST), lambda b: tiles.bundle(
        [b"\x05", *tiles.unbundle(b, LAST)[1:]]), 5, "entry-malformed"),
    "entry other": (tiles.path(tiles.ENTRIES, 1, LAST), lambda b: tiles.bundle(
        [log_entries.sealed(bytes(32)), *tiles.unbundle(b, LAST)[1:]]), 5, "tile-altered"),
    "entry too long": (tiles.path(tiles.ENTRIES, 1, LAST), lambda b: b"\0" * (1 << 25), 5, "bundle-short"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_spoiled_file_of_a_log_is_named(tmp_path: Path, name: str) -> None:
    log = SmallLog.of(300)
    folder = log.write(tmp_path / "log")
    path, change, step, code = PLACES[name]
    spoiled(folder, path, change and change((folder / path).read_bytes()))
    assert failing(folder, trust_of(log)) == (step, code)
    assert failing(folder, None) == (step, code)


def test_a_folder_or_a_pipe_for_a_tile_is_a_missing_tile(tmp_path: Path) -> None:
    log = SmallLog.of(300)
    for make in (Path.mkdir, os.mkfifo):
        folder = log.write(tmp_path / make.__name__)
        (folder / tiles.path(0, 0)).unlink()
        make(folder / tiles.path(0, 0))
        assert failing(folder, None) == (5, "tile-missing")


@pytest.mark.parametrize(("path", "step"), [(tiles.path(1, 0), 6), (tiles.path(2, 0, 1), 6), (tiles.path(1, 1, 1), 6),
                                            (tiles.path(0, 100), 5)])
def test_an_upper_tile_of_a_large_log_is_named(tmp_path: Path, large: SmallLog, path: str, step: int) -> None:
    folder = large.write(tmp_path / "log")
    spoiled(folder, path, bytes(len((folder / path).read_bytes())))
    assert failing(folder, trust_of(large)) == (step, "tile-altered")
    spoiled(folder, path, None)
    assert failing(folder, trust_of(large)) == (step, "tile-missing")


def test_other_entries_with_their_own_tiles_do_not_give_the_root(tmp_path: Path) -> None:
    log, other = SmallLog.of(300), SmallLog.of(300, tag="other-")
    folder = other.write(tmp_path / "log")
    shutil.copyfile(log.write(tmp_path / "true") / "checkpoint", folder / "checkpoint")
    assert failing(folder, trust_of(log)) == (7, "root-other")
    one = SmallLog(log.entries[:-1], origin=log.origin)
    one.grow(1, "other-")
    folder = one.write(tmp_path / "last")
    shutil.copyfile(tmp_path / "true" / "checkpoint", folder / "checkpoint")
    assert failing(folder, trust_of(log)) == (7, "root-other")


def test_a_checkpoint_that_claims_more_than_there_is_ends_at_once(tmp_path: Path) -> None:
    log = SmallLog.of(300)
    folder = log.write(tmp_path / "log")
    huge = log.sign(f"{log.origin}\n{(1 << 63) - 1}\n{log.checkpoint().splitlines()[2]}\n")
    saved(folder, "checkpoint", huge)
    assert failing(folder, trust_of(log)) == (5, "bundle-missing")


@pytest.mark.parametrize("size", [1_000, 1 << 40, 1 << 60])
def test_a_few_files_and_many_links_are_no_log_of_any_size(tmp_path: Path, size: int) -> None:
    """Without a trust file nobody's signature is asked for, so a folder may claim what it likes."""
    log = SmallLog([log_entries.sealed(bytes(32))] * 256)
    folder = log.write(tmp_path / "log")
    assert files.verify(folder).failed is None
    for level in ("entries", "0"):
        here = folder / "tile" / level
        for number in range(1, 1_000):
            (here / f"{number:03}").symlink_to("000")
            (here / f"x{number:03}").symlink_to(".")
    saved(folder, "checkpoint", log.sign(f"{log.origin}\n{size}\n{log.checkpoint().splitlines()[2]}\n"))
    assert failing(folder, None) == (5, "bundle-missing")


@pytest.mark.parametrize(("path", "code"), [
    (tiles.path(tiles.ENTRIES, 0), "bundle-missing"), ("tile/entries", "bundle-missing"), ("tile", "bundle-missing"),
    (tiles.path(0, 0), "tile-missing"), (tiles.path(1, 0, 1), "tile-missing"), ("checkpoint", "file-unreadable")])
def test_no_link_is_followed_below_a_logs_folder(tmp_path: Path, path: str, code: str) -> None:
    folder = SmallLog.of(300).write(tmp_path / "log")
    (tmp_path / "link").symlink_to(folder)
    assert files.verify(tmp_path / "link").failed is None  # the folder itself may be one
    (folder / path).rename(tmp_path / "elsewhere")
    (folder / path).symlink_to(tmp_path / "elsewhere")
    try:
        assert failing(folder, None)[1] == code
    except BadInput as error:
        assert (error.code, path) == (code, "checkpoint")


def test_a_full_tile_stands_in_for_a_partial_one_that_was_cleared_away(tmp_path: Path) -> None:
    log = SmallLog.of(600)
    folder = log.write(tmp_path / "log")
    saved(folder, "checkpoint", log.checkpoint(300))
    assert files.verify(folder, trust_of(log)).verdict == "refused"  # tile 1/0 has two hashes by now, not one
    (folder / tiles.path(1, 0, 1)).parent.mkdir(parents=True, exist_ok=True)
    saved(folder, tiles.path(1, 0, 1), (folder / tiles.path(1, 0, 2)).read_bytes()[:32])
    assert files.verify(folder, trust_of(log)).verdict == "verified"


# --- the two commands


@pytest.fixture
def papers(tmp_path: Path) -> dict[str, str]:
    own = {"right": saved(tmp_path, "right", ENROLMENT), "trust": saved(tmp_path, "zoo.trust", BELIEVED.encode()),
           "wrong": saved(tmp_path, "wrong", ENROLMENT.replace("asserted", "passkey")),
           "other": FOLDER / "receipts" / "other-log.trust", "evidence": saved(tmp_path, "e.zip", EVIDENCE),
           "alone": saved(tmp_path, "alone.json", FACTS), "unknown": saved(tmp_path, "unknown", "x")}
    return {name: str(path) for name, path in own.items()}


ENDS = [
    (["right"], 0, None), (["right", "--trust", "trust"], 0, None),
    (["right", "evidence", "--trust", "trust"], 0, None),
    (["alone"], 0, None), (["alone", "--trust", "trust"], 3, "not-verified"), (["wrong"], 3, "receipt-altered"),
    (["right", "wrong"], 3, "receipt-altered"), (["right", "--trust", "other"], 3, "trust-other-log"),
    (["unknown"], 4, "file-unknown"), (["unknown", "wrong"], 4, "file-unknown"),
    (["right", "--trust", "right"], 4, "trust-malformed"),
]


@pytest.mark.parametrize(("words", "status", "code"), ENDS)
def test_python_m_ends_as_it_should(papers: dict[str, str], capsys: pytest.CaptureFixture[str], words: list[str],
                                    status: int, code: str | None) -> None:
    assert command.main([papers.get(word, word) for word in words]) == status
    out, err = capsys.readouterr()
    assert (f"[{code}]" in err) if code else (err == "")
    if status == 0:
        assert "  1  ok" in out


@pytest.mark.parametrize(("words", "status", "code"), ENDS)
def test_countenance_verify_ends_the_same(papers: dict[str, str], words: list[str], status: int,
                                          code: str | None) -> None:
    done = CliRunner().invoke(app, ["verify", *(papers.get(word, word) for word in words)])
    if status == 0:
        assert (done.exit_code, done.exception) == (0, None)
        assert "  1  ok" in done.stdout
        return
    error = done.exception
    assert error is not None
    assert (getattr(error, "exit_status", None), getattr(error, "code", None)) == (status, code)


def test_json_tells_all_steps_even_when_refused(papers: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([papers["wrong"], "--json"]) == 3
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["step"], told["code"], len(told["steps"])) == ("refused", 2, "receipt-altered", 8)
    done = CliRunner().invoke(app, ["verify", papers["wrong"], "--json"])
    assert done.exit_code == 3
    body = json.loads(done.stdout)
    assert body["error"]["code"] == "receipt-altered"
    assert {**body["files"][0], "file": ""} == {**told, "file": ""}
