"""A receipt's QR code: one spelling, and found in a copy of the log or refused by name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from countenance.clock import SetClock
from countenance.errors import BadInput
from countenance.flows import log
from countenance.formats import base45, canonical, log_entries, receipt_codes, receipts
from countenance.formats.receipt_codes import PREFIX, Code
from countenance.integrations import codes as pictures
from countenance.verifier import codes
from countenance.verifier.report import Report
from support.small_log import SmallLog
from support.venue import START, enrolled, make_venue, open_venue

CODE = Code("countenance.invalid/x/log", 7, bytes(32), bytes(range(32)))
VALUE = [CODE.origin, CODE.index, CODE.nonce, CODE.leaf]


def text_of(value: object) -> str:
    return PREFIX + base45.encode(canonical.encode(value))


def test_a_code_is_read_as_it_was_written() -> None:
    assert receipt_codes.parse(CODE.encode()) == CODE
    assert pictures.read(pictures.png(CODE.encode(), 4)) == CODE.encode()


@pytest.mark.parametrize("text", [
    "", CODE.encode()[1:], CODE.encode().lower(), CODE.encode() + "0", CODE.encode()[:-1], PREFIX,
    text_of([*VALUE, 1]), text_of(VALUE[:3]), text_of([b"x", *VALUE[1:]]), text_of([VALUE[0], -1, *VALUE[2:]]),
    text_of([VALUE[0], True, *VALUE[2:]]), text_of([*VALUE[:2], bytes(31), VALUE[3]]),
    text_of([*VALUE[:3], bytes(33)]), text_of(["", *VALUE[1:]]), text_of(["x" * 256, *VALUE[1:]]),
    text_of({"origin": "x"}), PREFIX + base45.encode(b"\x9f\x61x\x00\x40\x40\xff"), PREFIX + "A" * 2_000,
])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        receipt_codes.parse(text)
    assert refused.value.code == "receipt-code-malformed"


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, Code]:
    clock = SetClock(START)
    folder = make_venue(tmp_path / "zoo", clock)
    with open_venue(folder, clock) as venue:
        body, _ = receipts.split(enrolled(venue).receipt)
        log.publish(venue)
    return folder / "log", receipt_codes.of(body["origin"], receipts.proven(body))


def test_a_code_is_found_in_a_copy_of_the_log(published: tuple[Path, Code]) -> None:
    folder, code = published
    assert codes.find(code, folder, None).failed is None


@pytest.mark.parametrize(("change", "refused"), [
    ({"leaf": bytes(32)}, "receipt-not-in-log"), ({"index": 0}, "receipt-not-in-log"),
    ({"index": 10_000}, "receipt-unpublished"), ({"origin": "elsewhere/log"}, "receipt-other-log"),
])
def test_a_code_of_something_else_is_refused_by_name(
        published: tuple[Path, Code], change: dict[str, object], refused: str) -> None:
    folder, code = published
    report = codes.find(replace(code, **change), folder, None)  # type: ignore[arg-type]  # each of its own kind
    assert report.failed is not None
    assert (report.failed.number, report.failed.code) == (8, refused)


def test_nothing_is_looked_up_in_a_damaged_log(published: tuple[Path, Code]) -> None:
    folder, code = published
    bundle = next((folder / "tile" / "entries").rglob("*.p/*"))
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"\x00")
    report = codes.find(code, folder, None)
    assert report.failed is not None and report.failed.number == 5
    assert report.steps[-1].outcome == "unchecked"


def test_the_full_bundle_stands_in_for_the_partial_one(tmp_path: Path) -> None:
    entries = [log_entries.sealed(bytes([n]) * 32) for n in range(256)]
    log = SmallLog(entries)
    folder = log.write(tmp_path / "log")
    (folder / "checkpoint").write_text(log.checkpoint(200))
    code = Code(log.origin, 199, bytes(32), bytes([199]) * 32)
    assert codes.find(code, folder, None).failed is None
    other = codes.find(replace(code, leaf=bytes(32)), folder, None).failed
    assert other is not None and other.code == "receipt-not-in-log"


@pytest.mark.parametrize("spoil", ["pipe", "folder", "link", "bytes", "none"])
def test_a_log_that_cannot_be_read_is_one_sentence(published: tuple[Path, Code], spoil: str) -> None:
    folder, code = published
    path = folder / "checkpoint"
    data = path.read_bytes()
    path.unlink()
    if spoil == "pipe":
        os.mkfifo(path)
    elif spoil == "folder":
        path.mkdir()
    elif spoil == "link":
        (folder / "other").write_bytes(data)
        path.symlink_to("other")
    elif spoil == "bytes":
        path.write_bytes(b"\xff" + data)
    with pytest.raises(BadInput) as refused:
        codes.find(code, folder, None)
    assert refused.value.code == "file-unreadable"


def test_a_bundle_that_goes_between_two_looks_is_refused_by_name(
        published: tuple[Path, Code], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, code = published
    whole = codes.logs.verify

    def then_gone(*given: Any) -> Report:
        report = whole(*given)
        for bundle in (folder / "tile" / "entries").rglob("*.p/*"):
            bundle.unlink()
        return report

    monkeypatch.setattr(codes.logs, "verify", then_gone)
    report = codes.find(code, folder, None)
    assert report.failed is not None
    assert (report.failed.number, report.failed.code) == (8, "bundle-missing")


def test_a_receipt_without_a_place_has_no_code() -> None:
    with pytest.raises(BadInput) as refused:
        receipt_codes.of("x/log", [])
    assert refused.value.code == "receipt-unlogged"
