"""A witness cosigns what only grew, and nothing else: each attack by name, beside the same request without it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from countenance import durable
from countenance.clock import SetClock
from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.formats import checkpoints, merkle, signed_note, strict64
from countenance.formats.signed_note import WITNESS, NoteKey
from countenance.transparency import witness as witnessing
from countenance.transparency import witness_http
from countenance.transparency.witness import LARGEST_BODY, Stale, Witness
from support.small_log import ORIGIN, START, SmallLog, private_key

NAME = "witness.example/one"
PRIVATE = private_key("witness")
KEY = signed_note.key_of(PRIVATE, NAME, WITNESS)
MORE = "countenance.invalid/hotel/log"


def open_witness(folder: Path, logs: list[NoteKey], clock: SetClock | None = None) -> Witness:
    folder.mkdir(exist_ok=True)
    return Witness(folder, KEY, lambda text, at: signed_note.cosign(text, NAME, PRIVATE, at), logs,
                   clock or SetClock(START))


def body_of(log: SmallLog, old: int, size: int, note: str | None = None) -> bytes:
    """Return an honest request to follow a log from `old` to `size`, with another note in it where one is given."""
    proof = "".join(strict64.encode(h) + "\n" for h in log.consistency(old, size))
    return f"old {old}\n{proof}\n{note or log.checkpoint(size)}".encode()


def cosigned_at(line: str, note: str, key: NoteKey = KEY) -> int:
    """Check a cosignature over a note's text with the format's own code; return its moment."""
    text = signed_note.parse(note).text
    return signed_note.require_signed(signed_note.parse(f"{text}\n{line}"), key)


@pytest.fixture
def log() -> SmallLog:
    return SmallLog.of(40)


@pytest.fixture
def witness(log: SmallLog, tmp_path: Path) -> Witness:
    """A witness that stands at 20 entries."""
    here = open_witness(tmp_path / "witness", [log.key])
    here.add_checkpoint(body_of(log, 0, 20))
    return here


def refused(witness: Witness, body: bytes, origin: str = ORIGIN) -> CountenanceError:
    """Return why it refused; it stands where it stood."""
    before = witness.newest(origin)
    with pytest.raises(CountenanceError) as caught:
        witness.add_checkpoint(body)
    assert witness.newest(origin) == before
    return caught.value


# -- what is cosigned


@pytest.mark.parametrize(("old", "size"), [(0, 1), (0, 7), (0, 40), (1, 2), (7, 8), (8, 16), (20, 33), (39, 40)])
def test_a_log_that_grew_is_cosigned_and_remembered(tmp_path: Path, log: SmallLog, old: int, size: int) -> None:
    witness = open_witness(tmp_path / "w", [log.key])
    if old:
        witness.add_checkpoint(body_of(log, 0, old))
    line = witness.add_checkpoint(body_of(log, old, size))
    assert cosigned_at(line, log.checkpoint(size)) == START
    now, at = witness.newest(ORIGIN) or pytest.fail("nothing is remembered")
    assert (now.size, now.root, at) == (size, log.root(size), START)


def test_the_same_size_is_cosigned_again_with_the_new_moment(log: SmallLog, tmp_path: Path) -> None:
    clock = SetClock(START)
    witness = open_witness(tmp_path / "w", [log.key], clock)
    witness.add_checkpoint(body_of(log, 0, 20))
    clock.move(60)
    assert cosigned_at(witness.add_checkpoint(body_of(log, 20, 20)), log.checkpoint(20)) == START + 60


def test_an_empty_log_may_be_cosigned_and_then_grows(tmp_path: Path, log: SmallLog) -> None:
    witness = open_witness(tmp_path / "w", [log.key])
    witness.add_checkpoint(body_of(log, 0, 0))
    witness.add_checkpoint(body_of(log, 0, 20))
    assert (witness.newest(ORIGIN) or pytest.fail("none"))[0].size == 20


def test_what_it_remembers_outlives_it(witness: Witness, log: SmallLog) -> None:
    anew = open_witness(witness.folder, [log.key])
    assert anew.newest(ORIGIN) == witness.newest(ORIGIN)
    anew.add_checkpoint(body_of(log, 20, 40))


def test_two_logs_have_nothing_to_do_with_each_other(tmp_path: Path, log: SmallLog) -> None:
    other = SmallLog.of(9, origin=MORE, seed="hotel")
    witness = open_witness(tmp_path / "w", [log.key, other.key])
    witness.add_checkpoint(body_of(log, 0, 20))
    witness.add_checkpoint(body_of(other, 0, 9))
    sizes = [(witness.newest(origin) or pytest.fail("none"))[0].size for origin in (ORIGIN, MORE)]
    assert sizes == [20, 9]


def test_either_of_a_logs_two_keys_will_do(tmp_path: Path) -> None:
    old, new = SmallLog.of(5), SmallLog.of(9, seed="new key")
    witness = open_witness(tmp_path / "w", [old.key, new.key])
    witness.add_checkpoint(body_of(old, 0, 5))
    witness.add_checkpoint(body_of(new, 5, 9))


def test_extension_lines_are_cosigned_with_the_rest_and_not_without(witness: Witness, log: SmallLog) -> None:
    note = log.checkpoint(30, ("extension one",))
    line = witness.add_checkpoint(body_of(log, 20, 30, note))
    assert cosigned_at(line, note) == START
    with pytest.raises(BadInput, match="does not belong"):
        cosigned_at(line, log.checkpoint(30))


def test_signatures_of_others_are_ignored_and_not_kept(witness: Witness, log: SmallLog) -> None:
    parsed = signed_note.parse(log.checkpoint(30))
    stranger = signed_note.sign(parsed.text, "stranger.example", private_key("stranger"))
    witness.add_checkpoint(body_of(log, 20, 30, parsed.with_line(stranger).encode()))
    kept = next(witness.folder.glob("*.checkpoint")).read_text()
    assert "stranger" not in kept
    assert kept.count("\u2014 ") == 2


def test_a_request_is_written_as_it_is_read(log: SmallLog) -> None:
    body = body_of(log, 13, 40)
    assert witnessing.parse(body).encode() == body


# -- attacks: the log


def test_a_fork_at_the_same_size_is_refused_and_what_convicts_the_log_is_kept(witness: Witness, log: SmallLog) -> None:
    fork = log.forked(15, 5)
    error = refused(witness, body_of(fork, 20, 20))
    assert error.code == "witness-fork"
    mine, theirs = (next(witness.folder.glob(f"*{end}")).read_text() for end in (".checkpoint", ".fork"))
    convicts = [checkpoints.read(text, log.key)[0] for text in (mine, theirs)]
    assert [point.size for point in convicts] == [20, 20]
    assert convicts[0].root != convicts[1].root
    refused(witness, body_of(log.forked(3, 17), 20, 20))  # the first is kept; another fills no disk
    assert next(witness.folder.glob("*.fork")).read_text() == theirs


def test_a_fork_further_on_is_refused_with_every_proof_it_can_have(witness: Witness, log: SmallLog) -> None:
    fork = log.forked(15, 25)
    merkle.require_consistency(20, fork.root(20), 40, fork.root(40), fork.consistency(20, 40))  # valid, elsewhere
    assert refused(witness, body_of(fork, 20, 40)).code == "witness-proof"
    head, proof = f"old 20\n{{}}\n{fork.checkpoint(40)}", log.consistency(20, 40)
    ours = "".join(strict64.encode(h) + "\n" for h in proof)
    assert refused(witness, head.format(ours).encode()).code == "witness-proof"
    assert refused(witness, head.format("").encode()).code == "witness-proof"
    witness.add_checkpoint(body_of(log, 20, 40))


@pytest.mark.parametrize("size", [0, 1, 12, 19])
def test_a_rollback_is_refused_from_wherever_it_starts(witness: Witness, log: SmallLog, size: int) -> None:
    for old in (0, size):
        assert refused(witness, body_of(log, old, size)).code == "witness-stale"
    backwards = f"old 20\n\n{log.checkpoint(size)}".encode()
    assert refused(witness, backwards).code == "witness-old-large"


@pytest.mark.parametrize("old", [0, 1, 19, 21, 40])
def test_a_stale_size_is_refused_with_the_size_where_it_stands(witness: Witness, log: SmallLog, old: int) -> None:
    error = refused(witness, body_of(log, old, 40))
    assert isinstance(error, Stale)
    assert error.size == 20


def test_a_size_altered_and_the_root_kept_is_refused(witness: Witness, log: SmallLog) -> None:
    """By anybody but the log. One that itself signs a false size is found by whoever reads it: test_monitor.py."""
    altered = log.checkpoint(30).replace("\n30\n", "\n31\n")
    for size in (30, 31):
        assert refused(witness, body_of(log, 20, size, altered)).code == "witness-log-signature"
    witness.add_checkpoint(body_of(log, 20, 30))


def test_another_origin_is_unknown_even_with_the_known_key(witness: Witness, log: SmallLog) -> None:
    other = SmallLog(log.entries, origin=MORE)
    other.private = log.private
    assert refused(witness, body_of(other, 0, 40), MORE).code == "witness-log-unknown"


def test_an_unknown_key_under_the_known_name_is_refused(witness: Witness, log: SmallLog) -> None:
    impostor = SmallLog(log.entries, seed="impostor")
    assert refused(witness, body_of(impostor, 20, 40)).code == "witness-log-signature"
    both = signed_note.parse(impostor.checkpoint(40)).with_line(
        signed_note.sign(log.sign("x\n"), ORIGIN, log.private))  # the right key over another text
    assert refused(witness, body_of(log, 20, 40, both.encode())).code == "witness-log-signature"


def test_a_cosignature_is_no_signature_of_a_log(tmp_path: Path) -> None:
    """A key's kind is in its id: who trusts a key as a log's is not fooled with a witness's."""
    for log in (KEY, signed_note.key_of(PRIVATE, ORIGIN)):
        with pytest.raises(BadInput, match="mixed up"):
            open_witness(tmp_path / "w", [log])


# -- attacks: the request

BAD: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _b: b"",
    "no old": lambda b: b.partition(b"\n")[2],
    "old with a zero before it": lambda b: b.replace(b"old 20", b"old 020", 1),
    "old with a plus": lambda b: b.replace(b"old 20", b"old +20", 1),
    "old below nothing": lambda b: b.replace(b"old 20", b"old -1", 1),
    "old in other digits": lambda b: b.replace(b"old 20", "old \u0662\u0660".encode(), 1),
    "old with two blanks": lambda b: b.replace(b"old 20", b"old  20", 1),
    "old that is endless": lambda b: b.replace(b"old 20", b"old " + b"9" * 5000, 1),
    "line ends of another system": lambda b: b.replace(b"\n", b"\r\n"),
    "no empty line": lambda b: b.replace(b"\n\n", b"\n", 1),
    "two empty lines": lambda b: b.replace(b"\n\n", b"\n\n\n", 1),
    "a short hash": lambda b: b.replace(b"\n\n", b"\nAAAA\n\n", 1),
    "a hash without its padding": lambda b: b.replace(b"=\n", b"\n", 1),
    "a hash with spare bits": lambda b: b.replace(b"\n\n", b"\n" + b"A" * 42 + b"B=\n\n", 1),
    "64 lines of proof": lambda b: b.replace(b"\n\n", b"\n" + (b"A" * 43 + b"=\n") * (64 - b[:b.index(b"\n\n")].count(
        b"\n")) + b"\n", 1),
    "no checkpoint": lambda b: b[:b.index(b"\n\n") + 2],
    "a note that is no checkpoint": lambda b: b[:b.index(b"\n\n") + 2] + SmallLog().sign("hello\n").encode(),
    "a checkpoint cut short": lambda b: b[:-20],
    "something behind it": lambda b: b + b"x",
    "no text": lambda b: b"\xff" + b,
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_request_is_refused(witness: Witness, log: SmallLog, name: str) -> None:
    good = body_of(log, 20, 37)
    bad = BAD[name](good)
    assert bad != good
    assert refused(witness, bad).code == "witness-body"
    witness.add_checkpoint(good)


def test_63_lines_of_proof_are_read_and_64_are_not(witness: Witness, log: SmallLog) -> None:
    line = "A" * 43 + "=\n"
    for number, code in ((63, "witness-proof"), (64, "witness-body")):
        body = f"old 20\n{line * number}\n{log.checkpoint(40)}".encode()
        assert refused(witness, body).code == code


def test_an_oversize_request_is_not_read(witness: Witness, log: SmallLog) -> None:
    body = body_of(log, 20, 40)
    assert refused(witness, body + b"x" * (LARGEST_BODY - len(body) + 1)).code == "witness-body-large"
    assert refused(witness, body + b"x" * (LARGEST_BODY - len(body))).code == "witness-body"


def test_no_single_byte_of_a_request_can_be_changed_to_get_another_checkpoint_cosigned(
        tmp_path: Path, log: SmallLog) -> None:
    body = body_of(log, 20, 37)
    wanted = (37, log.root(37))
    outcomes = {True: 0, False: 0}
    for at in range(len(body)):
        witness = open_witness(tmp_path / f"w{at}", [log.key])
        witness.add_checkpoint(body_of(log, 0, 20))
        altered = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        try:
            witness.add_checkpoint(altered)
        except (BadInput, Refused):
            outcomes[False] += 1
        else:
            outcomes[True] += 1
        now, _at = witness.newest(ORIGIN) or pytest.fail("none")
        assert (now.size, now.root) in {(20, log.root(20)), wanted}
    assert outcomes == {True: 0, False: len(body)}  # one log signature stands in it, and each byte counts


# -- two at once


@contextmanager
def no_lock(_file: Path) -> Iterator[None]:
    yield


def race(log: SmallLog, folder: Path, number: int) -> list[str]:
    """Ask two witnesses in one folder at the same moment for two forks; return what was cosigned."""
    fork, start = log.forked(20, 20), threading.Barrier(2)
    open_witness(folder, [log.key]).add_checkpoint(body_of(log, 0, 20))

    def one(branch: SmallLog) -> str:
        witness = open_witness(folder, [log.key])
        start.wait()
        try:
            return witness.add_checkpoint(body_of(branch, 20, 30 + number))
        except Refused as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(one, (log, fork)))


def test_of_two_forks_asked_for_at_once_one_is_cosigned(tmp_path: Path, log: SmallLog) -> None:
    for number in range(10):
        line, code = sorted(race(log, tmp_path / f"w{number}", number), key=lambda s: s == "witness-stale")
        assert line.startswith("\u2014 ")
        assert code == "witness-stale"


def test_without_the_lock_both_would_be(tmp_path: Path, log: SmallLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race above can be lost: both read the old state before either writes."""
    monkeypatch.setattr(witnessing, "waited_for", no_lock)
    both_read = threading.Barrier(2)
    newest = Witness.newest

    def slowly(self: Witness, origin: str) -> object:
        found = newest(self, origin)
        if found:
            both_read.wait(10)
        return found

    write, one_writes = durable.write, threading.Lock()

    def in_turn(*given: Any) -> None:
        with one_writes:
            write(*given)

    monkeypatch.setattr(Witness, "newest", slowly)
    monkeypatch.setattr(durable, "write", in_turn)
    assert [line[:2] for line in race(log, tmp_path / "w", 0)] == ["\u2014 ", "\u2014 "]


# -- its own side


def test_a_state_that_it_did_not_write_is_not_gone_by(witness: Witness, log: SmallLog) -> None:
    state = next(witness.folder.glob("*.checkpoint"))
    good = state.read_bytes()
    forged = log.checkpoint(5).encode()  # signed by the log, and never cosigned here
    another = SmallLog.of(40, origin=MORE, seed="hotel")
    theirs = open_witness(witness.folder.parent / "other", [another.key])
    theirs.add_checkpoint(body_of(another, 0, 5))
    swapped = next(theirs.folder.glob("*.checkpoint")).read_bytes()
    for bad in (b"", good[:-5], good.replace(b"\n20\n", b"\n19\n"), forged, swapped, b"\xff"):
        state.write_bytes(bad)
        with pytest.raises(StoreFault) as caught:
            witness.add_checkpoint(body_of(log, 5, 40))
        assert caught.value.code == "witness-state"
    state.write_bytes(good)
    witness.add_checkpoint(body_of(log, 20, 40))


def test_a_clock_that_jumped_back_stops_it_and_one_set_right_lets_it_go_on(log: SmallLog, tmp_path: Path) -> None:
    clock = SetClock(START)
    witness = open_witness(tmp_path / "w", [log.key], clock)
    witness.add_checkpoint(body_of(log, 0, 20))
    clock.move(-1)
    assert refused(witness, body_of(log, 20, 40)).code == "witness-clock"
    clock.move(1)
    witness.add_checkpoint(body_of(log, 20, 40))


def test_every_refusal_has_its_status() -> None:
    source = Path(witnessing.__file__).read_text()
    raised = set(re.findall(r"(?:BadInput|Refused|StoreFault|__init__)\(\s*\"([a-z-]+)\"", source))
    assert len(raised) > 8
    assert raised - {"witness-key-kind"} | {"store-busy"} == set(witness_http.STATUS)  # of the lock
    assert json.dumps(witness_http.STATUS)
