"""Checkpoints: one spelling of origin, size and root, and only of the log whose key is asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.errors import BadInput
from countenance.formats import checkpoints, merkle, signed_note, strict64
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.signed_note import Note, Signature
from countenance.quantities import Instant

ORIGIN = "countenance.invalid/zoo/log"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
KEY = signed_note.key_of(PRIVATE, ORIGIN)
ROOT = merkle.root(map(merkle.leaf_hash, (b"one", b"two", b"three")))
POINT = Checkpoint(ORIGIN, 3, ROOT)
ENCODED = strict64.encode(ROOT)


def code_of(act: Callable[..., object], *given: object) -> str:
    with pytest.raises(BadInput) as caught:
        act(*given)
    return caught.value.code


def note_of(text: str, name: str = ORIGIN, private: Ed25519PrivateKey = PRIVATE) -> Note:
    return Note(text, (signed_note.sign(text, name, private),))


def signed(text: str) -> str:
    return note_of(text).encode()


# -- what is read


def test_the_text_is_three_lines() -> None:
    assert POINT.text == f"countenance.invalid/zoo/log\n3\n{ENCODED}\n"
    assert len(ENCODED) == 44


@pytest.mark.parametrize("point", [
    POINT,
    Checkpoint(ORIGIN, 0, merkle.EMPTY),
    Checkpoint(ORIGIN, 1, ROOT),
    Checkpoint(ORIGIN, 2**63 - 1, ROOT),
    Checkpoint(ORIGIN, 3, ROOT, ("more",)),
    Checkpoint(ORIGIN, 3, ROOT, ("Timestamp: 1679315147", " ", "\u2014 not a signature", "+")),
    Checkpoint("a", 3, ROOT),
    Checkpoint("go.sum database tree", 3, ROOT),
    Checkpoint("日" * 255, 3, ROOT),
])
def test_a_checkpoint_is_read_as_it_was_written(point: Checkpoint) -> None:
    assert checkpoints.parse(signed_note.parse(signed(point.text))) == point


def test_a_signed_checkpoint_is_read_with_its_note() -> None:
    note = note_of(POINT.text).with_line(signed_note.cosign(POINT.text, "w", PRIVATE, Instant(5)))
    assert checkpoints.read(note.encode(), KEY) == (POINT, note)


# -- what is no checkpoint


def three(size: str, root: str = ENCODED, origin: str = ORIGIN) -> str:
    return f"{origin}\n{size}\n{root}\n"


@pytest.mark.parametrize("text", [
    pytest.param(f"{ORIGIN}\n", id="one line"),
    pytest.param(f"{ORIGIN}\n3\n", id="two lines"),
    pytest.param(three("", ""), id="empty lines"),
    pytest.param(f"\n3\n{ENCODED}\n", id="no origin"),
    pytest.param(three("3", origin="a" * 256), id="a long origin"),
    pytest.param(three("3") + "\n", id="an empty line behind"),
    pytest.param(three("3") + "more\n\n", id="an empty line behind more"),
    pytest.param(three("3") + "\nmore\n", id="an empty line before more"),
    pytest.param("\n" + three("3"), id="an empty line before"),
    pytest.param(f"{ORIGIN}\n\n3\n{ENCODED}\n", id="an empty line between"),
    pytest.param(f"3\n{ORIGIN}\n{ENCODED}\n", id="lines in another order"),
    pytest.param(three(""), id="no size"),
    pytest.param(three("03"), id="leading zero"),
    pytest.param(three("00"), id="two zeros"),
    pytest.param(three("+3"), id="plus sign"),
    pytest.param(three("-3"), id="below zero"),
    pytest.param(three("-0"), id="minus zero"),
    pytest.param(three("1_000"), id="underscore"),
    pytest.param(three("1,000"), id="comma"),
    pytest.param(three("3.0"), id="a fraction"),
    pytest.param(three("3e0"), id="an exponent"),
    pytest.param(three("0x3"), id="base 16"),
    pytest.param(three(" 3"), id="space before"),
    pytest.param(three("3 "), id="space behind"),
    pytest.param(three("3\u00a0"), id="unbreakable space behind"),
    pytest.param(three("\u0663"), id="Arabic digit"),
    pytest.param(three("\uff13"), id="wide digit"),
    pytest.param(three("\u00b3"), id="raised digit"),
    pytest.param(three(str(2**63)), id="2^63"),
    pytest.param(three(str(2**64 + 3)), id="2^64 + 3"),
    pytest.param(three("9" * 5_000), id="5,000 digits"),
    pytest.param(three("3", ""), id="no root"),
    pytest.param(three("3", strict64.encode(ROOT[:-1])), id="31 bytes"),
    pytest.param(three("3", strict64.encode(ROOT + b"\x00")), id="33 bytes"),
    pytest.param(three("3", strict64.encode(ROOT * 2)), id="64 bytes"),
    pytest.param(three("3", ENCODED.rstrip("=")), id="no padding"),
    pytest.param(three("3", ENCODED + "="), id="padding too long"),
    pytest.param(three("3", ENCODED + " "), id="space behind the root"),
    pytest.param(three("3", " " + ENCODED), id="space before the root"),
    pytest.param(three("3", ROOT.hex()), id="root in hex"),
    pytest.param(three("0"), id="a root of an empty log that is not"),
    pytest.param(three("0", strict64.encode(bytes(32))), id="zeros for the empty log's root"),
])
def test_what_is_no_checkpoint_is_refused_although_it_is_signed(text: str) -> None:
    assert checkpoints.read(signed(POINT.text), KEY)[0] == POINT
    assert code_of(checkpoints.parse, note_of(text)) == "checkpoint-malformed"
    assert code_of(checkpoints.read, signed(text), KEY) == "checkpoint-malformed"


def test_a_root_with_spare_bits_is_refused() -> None:
    last = ENCODED[-2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    spare = alphabet[alphabet.index(last) | 1]
    assert spare != last
    changed = three("3", f"{ENCODED[:-2]}{spare}=")
    assert code_of(checkpoints.read, signed(changed), KEY) == "checkpoint-malformed"


# -- whose


def test_a_checkpoint_of_another_log_is_refused() -> None:
    other = Checkpoint("countenance.invalid/mall/log", 3, ROOT).text
    assert code_of(checkpoints.read, note_of(other).encode(), KEY) == "checkpoint-origin"
    assert code_of(checkpoints.read, note_of(other, other.split("\n")[0]).encode(), KEY) == "checkpoint-origin"


def test_a_checkpoint_that_only_others_signed_is_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
    for note in (note_of(POINT.text, private=stranger), note_of(POINT.text, "elsewhere"),
                 Note(POINT.text, (signed_note.cosign(POINT.text, ORIGIN, PRIVATE, Instant(5)),))):
        assert code_of(checkpoints.read, note.encode(), KEY) == "signature-missing"
    forged = Signature(ORIGIN, KEY.key_id, stranger.sign(POINT.text.encode()))
    assert code_of(checkpoints.read, Note(POINT.text, (forged,)).encode(), KEY) == "signature-wrong"


@pytest.mark.parametrize(("was", "becomes"), [
    ("\n3\n", "\n4\n"), ("\n3\n", "\n2\n"), (ENCODED, strict64.encode(merkle.EMPTY)),
    (f"{ENCODED}\n\n", f"{ENCODED}\nmore\n\n"),
])
def test_a_checkpoint_whose_text_was_changed_is_refused(was: str, becomes: str) -> None:
    """Among them one with its size altered and its root kept."""
    written = signed(POINT.text)
    assert was in written
    assert code_of(checkpoints.read, written.replace(was, becomes, 1), KEY) == "signature-wrong"


def test_each_character_of_a_checkpoint_is_needed() -> None:
    written = signed(POINT.text)
    codes = set()
    for at in range(len(written)):
        for changed in (written[:at] + written[at + 1:], written[:at] + "\x01" + written[at:],
                        written[:at] + ("A" if written[at] != "A" else "B") + written[at + 1:]):
            codes.add(code_of(checkpoints.read, changed, KEY))
    assert codes == {"note-malformed", "checkpoint-malformed", "checkpoint-origin", "signature-missing",
                     "signature-wrong"}
