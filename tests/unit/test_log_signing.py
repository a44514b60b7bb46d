"""The log signs one root for each size, ever, whatever becomes of its files."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from countenance import durable
from countenance.cli import keys as keys_command
from countenance.errors import BadInput, StoreFault
from countenance.flows import receipts
from countenance.flows.venue import Venue
from countenance.formats import checkpoints, signed_note
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.signed_note import WITNESS, Note
from countenance.quantities import Instant
from countenance.transparency.log import SIGNED, Consistency, Log, Signer
from countenance.vault.keys import signing
from support.filled_log import alter, fill, require_whole, size_of
from support.small_log import private_key
from support.venue import copy_of, enrolled, make_venue, open_venue


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(StoreFault) as caught:
        act()
    return caught.value.code


def tell(venue: Venue, name: str = "mine") -> None:
    with venue.store.write() as unit:
        unit.tell("zone", {"zone": name})


def test_what_is_signed_is_the_whole_log_under_its_key(venue: Venue, folder: Path) -> None:
    found, note = venue.log.sign()
    signed_note.require_signed(note, venue.log.key())
    assert checkpoints.parse(note) == found
    assert (found.size, found.origin) == (size_of(folder), f"countenance.invalid/{venue.venue_id}/log")
    standing = venue.log.last_signed()
    assert standing is not None
    assert (standing.note, standing.start, len(standing.tail)) == (note, 0, found.size)
    assert venue.log.sign() == (found, note)


@pytest.mark.promise(5)
def test_a_store_that_was_put_back_is_not_signed_for(venue: Venue, folder: Path, tmp_path: Path) -> None:
    venue.log.sign()
    old = copy_of(folder, tmp_path / "old")
    tell(venue)
    venue.log.sign()
    venue.close()
    for name in ("countenance.db", "countenance.db-wal"):
        (folder / name).unlink(missing_ok=True)
        if (old / name).exists():
            shutil.copyfile(old / name, folder / name)
    with open_venue(folder) as older:
        assert code_of(older.log.sign) == "log-behind"
        tell(older, "another")  # as many as before, but not the same
        assert code_of(older.log.sign) == "log-forked"
        tell(older)
        assert code_of(older.log.sign) == "log-forked"


@pytest.mark.promise(5)
def test_an_event_that_was_changed_is_not_signed_over(venue: Venue, folder: Path) -> None:
    venue.log.sign()
    before = (folder / SIGNED).read_bytes()
    alter(folder, "UPDATE event SET entry = CAST(x'00' || zeroblob(32) AS BLOB) WHERE event_id = 1")
    assert code_of(venue.log.sign) == "log-forked"
    tell(venue)
    assert code_of(venue.log.sign) == "log-forked"
    assert (folder / SIGNED).read_bytes() == before


def spoilt(kind: str, data: bytes) -> bytes:
    return {
        "empty": b"", "short": data[:-1], "half": data[:len(data) // 2], "longer": data + b"x",
        "noise": bytes(100), "signature": data.replace(b"\xe2\x80\x94", b"\xe2\x80\x93", 1),
        "size": data.replace(b"\n20\n", b"\n21\n", 1), "flipped": flipped(data)}[kind]


def flipped(data: bytes) -> bytes:
    """With one letter of the signature another."""
    at = data.index(b"\n\n") + 2
    end = data.index(b"\n", at) - 20
    return data[:end] + (b"A" if data[end:end + 1] != b"A" else b"B") + data[end + 1:]


@pytest.mark.parametrize("kind", ["empty", "short", "half", "longer", "noise", "signature", "size", "flipped"])
def test_a_damaged_file_is_told_and_not_replaced(venue: Venue, folder: Path, kind: str) -> None:
    fill(venue, 20)
    venue.log.sign()
    data = spoilt(kind, (folder / SIGNED).read_bytes())
    assert data != (folder / SIGNED).read_bytes()
    (folder / SIGNED).write_bytes(data)
    tell(venue)
    assert code_of(venue.log.sign) == "log-signed"
    assert (folder / SIGNED).read_bytes() == data
    tell(venue)  # withdrawing goes on


def test_a_file_that_was_there_and_is_missing_is_told_and_not_written_again(venue: Venue, folder: Path) -> None:
    """Otherwise whoever deletes it could have a rewritten history signed anew."""
    venue.log.sign()
    (folder / SIGNED).unlink()
    assert code_of(venue.log.sign) == "log-signed"
    assert not (folder / SIGNED).exists()
    tell(venue)  # withdrawing goes on


def test_the_file_of_another_venue_says_nothing_here(venue: Venue, folder: Path, tmp_path: Path) -> None:
    other = make_venue(tmp_path / "other")
    with open_venue(other) as stranger:
        stranger.log.sign()
    shutil.copyfile(other / SIGNED, folder / SIGNED)
    found, note = venue.log.sign()
    signed_note.require_signed(note, venue.log.key())
    assert found.origin == venue.log.key().name


def test_a_root_that_a_stranger_signed_under_this_name_is_not_taken_for_what_an_older_key_signed(
        venue: Venue, folder: Path) -> None:
    found, _ = venue.log.sign()
    text = Checkpoint(found.origin, found.size, bytes(32)).text
    note = Note(text, (signed_note.sign(text, found.origin, private_key("another")),))
    standing = venue.log.last_signed()
    assert standing is not None
    (folder / SIGNED).write_bytes((folder / SIGNED).read_bytes().replace(standing.note.encode().encode(),
                                                                        note.encode().encode()))
    assert code_of(venue.log.sign) == "log-signed"


def test_a_renewed_key_signs_the_same_log(venue: Venue, folder: Path) -> None:
    before, old = venue.log.sign()
    old_key = venue.log.key()
    app = typer.Typer()
    app.add_typer(keys_command.app, name="keys")
    venue.close()
    result = CliRunner().invoke(app, ["keys", "renew-signer", "log", "--yes", "--venue", str(folder)])
    assert result.exit_code == 0, result.exception
    assert "log" in signing.USES
    with open_venue(folder) as again:
        assert again.log.key() != old_key
        found, note = again.log.sign()
        assert (found.origin, found.size >= before.size) == (before.origin, True)
        signed_note.require_signed(note, again.log.key())
        with pytest.raises(BadInput) as caught:
            signed_note.require_signed(note, old_key)
        assert caught.value.code == "signature-missing"
        if found.size == before.size:
            assert found.root == before.root
            assert note.text == old.text
        alter(folder, "UPDATE event SET entry = CAST(x'00' || zeroblob(32) AS BLOB) WHERE event_id = 1")
        assert code_of(again.log.sign) == "log-forked"


@pytest.mark.promise(5)
def test_threads_that_write_and_sign_get_one_root_for_each_size(venue: Venue, folder: Path) -> None:
    notes: list[Note] = []
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for at in range(8):
                venue.store.together(lambda unit, at=at: unit.tell("zone", {"zone": f"{number}-{at}"}))
                notes.append(venue.log.sign()[1])
        except BaseException as fault:  # noqa: BLE001  # looked at below
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert len(notes) == 64
    by_size: dict[int, set[bytes]] = {}
    for note in notes:
        found = checkpoints.parse(note)
        by_size.setdefault(found.size, set()).add(found.root)
    assert all(len(roots) == 1 for roots in by_size.values())
    last = venue.log.last_signed()
    assert last is not None
    assert last.checkpoint.size == max(by_size) == size_of(folder)
    require_whole(venue)


@pytest.mark.parametrize("function", ["write", "lock"])
def test_without_room_nothing_is_handed_out(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    venue.log.sign()
    before = (folder / SIGNED).read_bytes()
    tell(venue)
    with monkeypatch.context() as patch:
        if function == "write":
            patch.setattr(durable, "write", full)
        else:
            patch.setattr("countenance.transparency.log.waited_for", full)
        assert code_of(venue.log.sign) == "store-io"
        assert code_of(lambda: venue.log.prove([])) == "store-io"
    assert (folder / SIGNED).read_bytes() == before
    assert venue.log.sign()[0].size == size_of(folder)


def full(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_room_an_enrolment_has_no_receipt_and_an_erasure_has_one(
        venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    who = enrolled(venue)
    tell(venue)
    with monkeypatch.context() as patch:
        patch.setattr("countenance.transparency.log.durable.write", full)
        with pytest.raises(StoreFault):
            receipts.write(venue, "enrolment", who.person, venue.clock.now(), [], {})
        text = receipts.write(venue, "erasure", who.person, venue.clock.now(), [], {})
    assert '"log_fault": "store-io"' in text
    assert '"checkpoint": ""' in text


WITNESS_KEY = private_key("witness")
NAME = "witness.example/one"


def cosigning_log(venue: Venue, cosign: Callable[[Note, Consistency], Note]) -> Log:
    return Log(venue.store, venue.folder, lambda: Signer(venue.venue_id, venue.signer("log").key, cosign))


def cosigned(note: Note, _prove: Consistency) -> Note:
    return note.with_line(signed_note.cosign(note.text, NAME, WITNESS_KEY, Instant(1_800_000_000)))


def test_a_cosignature_is_kept_with_what_it_signs(venue: Venue) -> None:
    found, note = cosigning_log(venue, cosigned).sign()
    key = signed_note.key_of(WITNESS_KEY, NAME, WITNESS)
    signed_note.require_signed(note, key)
    last = venue.log.last_signed()
    assert last is not None
    assert last.note == note
    assert venue.log.sign() == (found, note)  # also when no witness is asked
    tell(venue)
    assert len(venue.log.sign()[1].signatures) == 1  # which is of an older one


@pytest.mark.parametrize("fault", [BadInput("witness", "It says no."), OSError(), StoreFault("store-io", "No.")])
def test_a_witness_that_fails_leaves_a_log_that_signs(venue: Venue, fault: Exception) -> None:
    def fails(_note: Note, _prove: Consistency) -> Note:
        raise fault

    with pytest.raises(type(fault)):
        cosigning_log(venue, fails).sign()
    signed = venue.log.last_signed()
    assert signed is not None
    found, note = venue.log.sign()
    assert (found, note) == (signed.checkpoint, signed.note)
    tell(venue)
    assert cosigning_log(venue, cosigned).sign()[0].size == found.size + 1


def test_a_witness_that_is_slow_does_not_put_an_older_checkpoint_over_a_newer(venue: Venue) -> None:
    def slow(note: Note, prove: Consistency) -> Note:
        tell(venue)
        venue.log.sign()
        return cosigned(note, prove)

    found, note = cosigning_log(venue, slow).sign()
    assert len(note.signatures) == 2
    last = venue.log.last_signed()
    assert last is not None
    assert last.checkpoint.size == found.size + 1


def test_a_witness_is_given_proofs_that_hold(venue: Venue) -> None:
    from countenance.formats import merkle

    first, _ = venue.log.sign()
    fill(venue, 300)
    asked: list[int] = []

    def asks(note: Note, prove: Consistency) -> Note:
        found = checkpoints.parse(note)
        merkle.require_consistency(first.size, first.root, found.size, found.root, prove(first.size, found.size))
        asked.append(found.size)
        return note

    cosigning_log(venue, asks).sign()
    assert asked == [300]
