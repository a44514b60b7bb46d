"""Signed notes and their keys: what is read, and what somebody tried to pass off as one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.errors import BadInput
from countenance.formats import signed_note
from countenance.formats.signed_note import LOG, WITNESS, Note, NoteKey, Signature
from countenance.quantities import END_OF_TIME, Instant

NAME, SEEN_BY = "countenance.invalid/zoo/log", "witness.example/w1"
PRIVATE, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
KEY, WITNESS_KEY = signed_note.key_of(PRIVATE, NAME), signed_note.key_of(OTHER, SEEN_BY, WITNESS)
TEXT = "one\n\ntwo 二\n"
AT = Instant(1_782_000_000)
SIGNED, SEEN = signed_note.sign(TEXT, NAME, PRIVATE), signed_note.cosign(TEXT, SEEN_BY, OTHER, AT)
NOTE = Note(TEXT, (SIGNED, SEEN))
WRITTEN = NOTE.encode()
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group of Ed25519: S and S + ORDER would both verify if S were not bounded (RFC 8032 5.1.7)."""

# Published by the Go project with its package note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PROBLEM = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
ANSWER = (PROBLEM + "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
          "ngotpRZb6KE6RyyBwJnAM=\n")

# The example in C2SP tlog-cosignature; its keys are not published.
SOFA = ("example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz"
        "Gku9nTo+zyWE+xeMcTOAYQ8=\n"
        "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1"
        "nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n")


def code_of(act: Callable[..., object], *given: object) -> str:
    with pytest.raises(BadInput) as caught:
        act(*given)
    return caught.value.code


def checked(note: Note, key: NoteKey) -> str:
    try:
        signed_note.require_signed(note, key)
    except BadInput as refused:
        return refused.code
    return "signed"


# -- what is read


def test_a_note_is_its_text_an_empty_line_and_a_line_for_each_signature() -> None:
    dash = b"\xe2\x80\x94 "
    key_id = hashlib.sha256(NAME.encode() + b"\n\x01" + PRIVATE.public_key().public_bytes_raw()).digest()[:4]
    line = dash + NAME.encode() + b" " + base64.b64encode(key_id + PRIVATE.sign(TEXT.encode())) + b"\n"
    key_id = hashlib.sha256(SEEN_BY.encode() + b"\n\x04" + OTHER.public_key().public_bytes_raw()).digest()[:4]
    seen = OTHER.sign(b"cosignature/v1\ntime 1782000000\n" + TEXT.encode())
    other = dash + SEEN_BY.encode() + b" " + base64.b64encode(key_id + AT.to_bytes(8, "big") + seen) + b"\n"
    assert WRITTEN.encode() == TEXT.encode() + b"\n" + line + other


def test_a_note_is_read_as_it_was_written_and_checked() -> None:
    note = signed_note.parse(WRITTEN)
    assert note == NOTE
    assert signed_note.require_signed(note, KEY) == 0
    assert signed_note.require_signed(note, WITNESS_KEY) == AT


def test_the_published_note_of_go() -> None:
    key, note = signed_note.read_key(NEUMANN), signed_note.parse(ANSWER)
    assert (key.name, key.kind, key.key_id.hex(), key.text) == ("PeterNeumann", LOG, "c74f20a3", NEUMANN)
    assert note.text == PROBLEM
    assert note.encode() == ANSWER
    signed_note.require_signed(note, key)
    assert checked(Note(PROBLEM.replace("answer", "Answer"), note.signatures), key) == "signature-wrong"


def test_the_published_example_of_a_cosignature() -> None:
    note = signed_note.parse(SOFA)
    assert note.encode() == SOFA
    assert [(s.name, s.key_id.hex(), len(s.value)) for s in note.signatures] == [
        ("example.com/behind-the-sofa", "033de0ae", 64), ("witness.example.com/w1", "8d66cf3f", 72)]
    assert int.from_bytes(note.signatures[1].value[:8], "big") == 1_679_315_147


@pytest.mark.parametrize("text", ["a\n", "a\n\n", "a\n\n\n", "\n\u2014 b\n", "a\n\u2014 b AA\n", "\x7f\n", "a\n\nb\n"])
def test_odd_texts_come_back(text: str) -> None:
    note = Note(text, (signed_note.sign(text, NAME, PRIVATE),))
    assert signed_note.parse(note.encode()) == note
    assert checked(signed_note.parse(note.encode()), KEY) == "signed"


def test_as_many_signatures_as_are_allowed_and_one_more() -> None:
    lines = [Signature(f"w{n}", bytes(4), b"?") for n in range(signed_note.MOST_SIGNATURES + 1)]
    assert len(signed_note.parse(Note(TEXT, tuple(lines[:-1])).encode()).signatures) == 64 >= 16
    assert code_of(signed_note.parse, Note(TEXT, tuple(lines)).encode()) == "note-malformed"


def test_a_signature_of_an_unknown_kind_is_carried_along() -> None:
    """ML-DSA-44 with its moment has 2,428 bytes; a reader that does not know it must not stumble over it."""
    note = NOTE.with_line(Signature("pq.example", b"\x06\x06\x06\x06", bytes(2_428)))
    assert signed_note.parse(note.encode()) == note
    assert checked(signed_note.parse(note.encode()), KEY) == "signed"


def test_a_newer_signature_of_a_key_takes_the_place_of_the_older() -> None:
    later = signed_note.cosign(TEXT, SEEN_BY, OTHER, Instant(AT + 5))
    note = NOTE.with_line(later)
    assert note.signatures == (SIGNED, later)
    assert signed_note.require_signed(signed_note.parse(note.encode()), WITNESS_KEY) == AT + 5


def test_the_longest_note_and_one_character_more() -> None:
    tail = "\n" + SIGNED.line
    fits = "a" * (signed_note.LARGEST - len(tail) - 1) + "\n"
    assert signed_note.parse(fits + tail).text == fits
    assert code_of(signed_note.parse, "a" + fits + tail) == "note-malformed"


# -- what is no note

LINE = SIGNED.line


def spelled(name: str, encoded: str) -> str:
    return f"{TEXT}\n\u2014 {name} {encoded}\n"


BASE64 = base64.b64encode(SIGNED.key_id + SIGNED.value).decode()


@pytest.mark.parametrize("note", [
    pytest.param("", id="nothing"),
    pytest.param(TEXT, id="no signature"),
    pytest.param(TEXT + "\n", id="an empty line and no signature"),
    pytest.param("\n" + LINE, id="no text and no empty line"),
    pytest.param("\n\n" + LINE, id="no text"),
    pytest.param("one\ntwo\n" + LINE, id="no empty line"),
    pytest.param("one\ntwo" + LINE, id="no line break"),
    pytest.param(WRITTEN[:-1], id="cut by the last line break"),
    pytest.param(WRITTEN[:-2], id="cut short"),
    pytest.param(WRITTEN + "\n", id="an empty line behind"),
    pytest.param(WRITTEN + " ", id="a space behind"),
    pytest.param(WRITTEN + "x\n", id="a line behind"),
    pytest.param("\ufeff" + WRITTEN.replace("\n\n\u2014", "\n\u2014"), id="a mark before and no empty line"),
    pytest.param(WRITTEN.replace("\n", "\r\n"), id="CR LF"),
    pytest.param(WRITTEN.replace("\n\n\u2014", "\n\r\n\u2014"), id="CR in the empty line"),
    pytest.param(WRITTEN.replace("one", "one\r"), id="CR in the text"),
    pytest.param(WRITTEN.replace("one", "on\te"), id="tab in the text"),
    pytest.param(WRITTEN.replace("one", "on\x00e"), id="null in the text"),
    pytest.param(WRITTEN.replace("one", "on\x1be"), id="escape in the text"),
    pytest.param(WRITTEN.replace("one", "on\ud800e"), id="half a pair in the text"),
    pytest.param(WRITTEN.replace(f"{NAME} ", f"{NAME}\t"), id="tab for the space"),
    pytest.param(WRITTEN.replace(f"{NAME} ", f"{NAME}  "), id="two spaces"),
    pytest.param(WRITTEN.replace("\u2014 ", "\u2014"), id="no space behind the dash"),
    pytest.param(WRITTEN.replace("\u2014 ", "\u2014\u00a0"), id="unbreakable space behind the dash"),
    pytest.param(WRITTEN.replace("\u2014", "\u2013"), id="another dash"),
    pytest.param(WRITTEN.replace("\u2014", "--"), id="two hyphens"),
    pytest.param(WRITTEN + LINE, id="a line twice"),
    pytest.param(WRITTEN + SEEN.line, id="a cosignature twice"),
    pytest.param(WRITTEN + Signature(NAME, KEY.key_id, bytes(64)).line, id="two signatures of one key"),
    pytest.param(WRITTEN.replace(LINE, LINE + "\u2028"), id="a line separator behind a line"),
    pytest.param(WRITTEN.replace(LINE, LINE[:-1] + "\u2028"), id="a line separator for a line break"),
    pytest.param(WRITTEN.replace(LINE, LINE[:-1] + "\x85"), id="a next-line for a line break"),
    pytest.param(spelled("", BASE64), id="no name"),
    pytest.param(spelled("a+b", BASE64), id="plus in a name"),
    pytest.param(spelled("a b", BASE64), id="space in a name"),
    pytest.param(spelled("a\u00a0b", BASE64), id="unbreakable space in a name"),
    pytest.param(spelled("a\u3000b", BASE64), id="wide space in a name"),
    pytest.param(spelled("a\u2003b", BASE64), id="em space in a name"),
    pytest.param(spelled("a\u1680b", BASE64), id="Ogham space in a name"),
    pytest.param(spelled("a\u200bb", BASE64), id="space without width in a name"),
    pytest.param(spelled("a\u202eb", BASE64), id="turned direction in a name"),
    pytest.param(spelled("a\x7fb", BASE64), id="delete in a name"),
    pytest.param(spelled(NAME, ""), id="no signature after the name"),
    pytest.param(spelled(NAME, BASE64.rstrip("=")), id="no padding"),
    pytest.param(spelled(NAME, BASE64 + "="), id="padding too long"),
    pytest.param(spelled(NAME, BASE64 + " "), id="space behind"),
    pytest.param(spelled(NAME, BASE64[:40] + "\n" + BASE64[40:]), id="wrapped"),
    pytest.param(spelled(NAME, BASE64[:-1] + "\uff1d"), id="wide equals sign"),
    pytest.param(spelled(NAME, BASE64.replace("+", "-").replace("/", "_") + "-"), id="the URL's alphabet"),
    pytest.param(spelled(NAME, "AAAA"), id="three bytes"),
    pytest.param(spelled(NAME, "AAAAAA=="), id="an id alone"),
    pytest.param(spelled(NAME, "AAAAAAB="), id="spare bits"),
])
def test_what_is_no_note_is_refused(note: str) -> None:
    assert note != WRITTEN
    assert signed_note.parse(WRITTEN) == NOTE
    assert code_of(signed_note.parse, note) == "note-malformed"


def test_a_note_cut_anywhere_is_refused_or_has_lost_whole_signatures() -> None:
    whole = TEXT + "\n" + LINE
    for length in range(len(WRITTEN)):
        if WRITTEN[:length] == whole:
            assert checked(signed_note.parse(whole), WITNESS_KEY) == "signature-missing"
        else:
            assert code_of(signed_note.parse, WRITTEN[:length]) == "note-malformed"


# -- signatures that are none


def test_a_signature_is_for_its_text() -> None:
    assert checked(NOTE, KEY) == checked(NOTE, WITNESS_KEY) == "signed"
    for other in ("one\n\ntwo\n", TEXT + "\n", "\n" + TEXT, TEXT[:-1], TEXT.replace("one", "One")):
        assert checked(Note(other, NOTE.signatures), KEY) == "signature-wrong"
        assert checked(Note(other, NOTE.signatures), WITNESS_KEY) == "signature-wrong"


def test_a_signature_is_for_its_name() -> None:
    """The same key under another name is another key; and a name with another key's id is not that key."""
    renamed = signed_note.key_of(PRIVATE, "countenance.invalid/mall/log")
    assert checked(NOTE, renamed) == "signature-missing"
    assert checked(Note(TEXT, (Signature(renamed.name, KEY.key_id, SIGNED.value),)), renamed) == "signature-missing"
    assert checked(Note(TEXT, (Signature(renamed.name, KEY.key_id, SIGNED.value),)), KEY) == "signature-missing"
    assert checked(Note(TEXT, (Signature(NAME, bytes(4), SIGNED.value),)), KEY) == "signature-missing"


def test_another_key_that_claims_the_id_is_refused() -> None:
    for private in (OTHER, Ed25519PrivateKey.generate()):
        forged = Signature(NAME, KEY.key_id, private.sign(TEXT.encode()))
        assert checked(Note(TEXT, (forged,)), KEY) == "signature-wrong"


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 72, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    value = (SIGNED.value * 2)[:length]
    assert checked(Note(TEXT, (Signature(NAME, KEY.key_id, value),)), KEY) == "signature-wrong"
    value = (SEEN.value * 2)[:length + (length == 72)]
    assert checked(Note(TEXT, (Signature(SEEN_BY, WITNESS_KEY.key_id, value),)), WITNESS_KEY) == "signature-wrong"


@pytest.mark.parametrize(("line", "key"), [(SIGNED, KEY), (SEEN, WITNESS_KEY)])
def test_no_second_signature_can_be_made_from_one(line: Signature, key: NoteKey) -> None:
    """With S + L in place of S, or with another S, a note would have a second encoding that verifies."""
    before, number = line.value[:-32], int.from_bytes(line.value[-32:], "little")
    assert checked(NOTE, key) == "signed"
    assert 0 < number < ORDER
    others = [s for s in (*(number + n * ORDER for n in range(1, 16)), ORDER - number, number ^ 1) if s < 1 << 256]
    assert len(others) >= 10
    for s in others:
        value = before + s.to_bytes(32, "little")
        assert checked(Note(TEXT, (Signature(line.name, line.key_id, value),)), key) == "signature-wrong"


def test_each_flipped_bit_of_a_signature_is_seen() -> None:
    for line, key in ((SIGNED, KEY), (SEEN, WITNESS_KEY)):
        for bit in range(len(line.value) * 8):
            value = bytearray(line.value)
            value[bit // 8] ^= 1 << bit % 8
            assert checked(Note(TEXT, (Signature(line.name, line.key_id, bytes(value)),)), key) == "signature-wrong"


# -- cosignatures


@pytest.mark.parametrize("at", [0, AT - 1, AT + 1, END_OF_TIME - 1, END_OF_TIME, 2**63, 2**64 - 1])
def test_a_cosignature_with_another_moment_is_refused(at: int) -> None:
    moved = Signature(SEEN_BY, WITNESS_KEY.key_id, at.to_bytes(8, "big") + SEEN.value[8:])
    assert checked(Note(TEXT, (moved,)), WITNESS_KEY) == "signature-wrong"


@pytest.mark.parametrize("at", [END_OF_TIME, 2**63, 2**64 - 1])
def test_a_moment_that_no_calendar_has_is_refused_although_it_is_signed(at: int) -> None:
    assert signed_note.require_signed(
        Note(TEXT, (signed_note.cosign(TEXT, SEEN_BY, OTHER, Instant(END_OF_TIME - 1)),)), WITNESS_KEY) > AT
    note = Note(TEXT, (signed_note.cosign(TEXT, SEEN_BY, OTHER, Instant(at)),))
    assert checked(note, WITNESS_KEY) == "signature-wrong"


def test_a_logs_signature_is_no_cosignature_and_the_other_way_round() -> None:
    """One key, both kinds: each line is found by its own id only, and moved below the other id it is wrong."""
    as_log, as_witness = signed_note.key_of(OTHER, SEEN_BY), WITNESS_KEY
    plain = signed_note.sign(TEXT, SEEN_BY, OTHER)
    assert as_log.key_id != as_witness.key_id
    assert checked(Note(TEXT, (plain,)), as_witness) == checked(NOTE, as_log) == "signature-missing"
    assert checked(Note(TEXT, (Signature(SEEN_BY, as_log.key_id, SEEN.value),)), as_log) == "signature-wrong"
    moved = Signature(SEEN_BY, as_witness.key_id, AT.to_bytes(8, "big") + plain.value)
    assert checked(Note(TEXT, (moved,)), as_witness) == "signature-wrong"


def test_a_log_that_signs_a_cosignatures_words_cosigns_nothing() -> None:
    """A log's text that begins like a cosignature: its plain signature would be a cosignature of the same key."""
    words = f"cosignature/v1\ntime {AT}\n{TEXT}"
    crafted = signed_note.sign(words, SEEN_BY, OTHER)
    moved = Signature(SEEN_BY, WITNESS_KEY.key_id, AT.to_bytes(8, "big") + crafted.value)
    assert checked(Note(TEXT, (moved,)), WITNESS_KEY) == "signed", "the known reason for a key of its own per use"
    assert checked(Note(TEXT, (moved,)), signed_note.key_of(OTHER, SEEN_BY)) == "signature-missing"


# -- keys


def test_a_key_is_read_as_it_was_written() -> None:
    for key in (KEY, WITNESS_KEY, NoteKey("!*,-~zoo.example/AZ09", LOG, KEY.public)):
        assert signed_note.read_key(key.text) == key
    assert WITNESS_KEY.text == f"{SEEN_BY}+{WITNESS_KEY.key_id.hex()}+" + base64.b64encode(
        b"\x04" + OTHER.public_key().public_bytes_raw()).decode()


PUBLIC = KEY.public
TYPED = {kind: base64.b64encode(bytes([kind]) + PUBLIC).decode() for kind in range(8)}


def with_id(name: str, body: bytes) -> str:
    """A key whose id is right for what it says, whatever that is."""
    key_id = hashlib.sha256(name.encode("utf-8", "surrogatepass") + b"\n" + body).hexdigest()[:8]
    return f"{name}+{key_id}+{base64.b64encode(body).decode()}"


@pytest.mark.parametrize("text", [
    pytest.param("", id="nothing"),
    pytest.param("zoo", id="a name"),
    pytest.param(f"{NAME}+{TYPED[1]}", id="no id"),
    pytest.param(f"{NAME}++{TYPED[1]}", id="an empty id"),
    pytest.param(f"{NAME}+00000000+{TYPED[1]}", id="a wrong id"),
    pytest.param(f"{NAME}+{KEY.key_id.hex()[:-1]}+{TYPED[1]}", id="a short id"),
    pytest.param(f"{NAME}+{KEY.key_id.hex()}00+{TYPED[1]}", id="a long id"),
    pytest.param(f"{NAME}+{KEY.key_id.hex()}+", id="no key"),
    pytest.param(f"{NAME}+{KEY.key_id.hex()}+{TYPED[4]}", id="the id of the other kind"),
    pytest.param(f"other+{KEY.key_id.hex()}+{TYPED[1]}", id="the id of another name"),
    pytest.param(KEY.text + "\n", id="line break behind"),
    pytest.param(KEY.text + "+", id="plus behind"),
    pytest.param(" " + KEY.text, id="space before"),
    pytest.param("PRIVATE+KEY+" + KEY.text, id="a private key's beginning"),
    pytest.param(with_id(NAME, b"\x00" + PUBLIC), id="kind 0"),
    pytest.param(with_id(NAME, b"\x02" + PUBLIC), id="kind 2, ECDSA"),
    pytest.param(with_id(NAME, b"\x05" + PUBLIC), id="kind 5, RFC 6962"),
    pytest.param(with_id(NAME, b"\x06" + PUBLIC), id="kind 6, ML-DSA"),
    pytest.param(with_id(NAME, b"\x01" + PUBLIC[:-1]), id="31 bytes"),
    pytest.param(with_id(NAME, b"\x01" + PUBLIC + b"\x00"), id="33 bytes"),
    pytest.param(with_id(NAME, b"\x01"), id="no bytes"),
    pytest.param(with_id("", b"\x01" + PUBLIC), id="no name"),
    pytest.param(with_id("a b", b"\x01" + PUBLIC), id="space in the name"),
    pytest.param(with_id("a\u3000b", b"\x01" + PUBLIC), id="wide space in the name"),
    pytest.param(with_id("zoo.example/\u65e5", b"\x01" + PUBLIC), id="a letter that is not in ASCII"),
    pytest.param(with_id("a\x7f", b"\x01" + PUBLIC), id="delete in the name"),
    pytest.param(with_id("a", b"\x01\x01" + bytes(31)), id="the neutral element"),
    pytest.param(with_id("a", b"\x01" + bytes(32)), id="a point of order 4"),
    pytest.param(with_id("a", b"\x04" + ((1 << 255) - 20).to_bytes(32, "little")), id="a point of order 2"),
    pytest.param(with_id("a", b"\x01" + ((1 << 255) - 18).to_bytes(32, "little")), id="another spelling of a point"),
    pytest.param(with_id("a\u200bb", b"\x01" + PUBLIC), id="space without width in the name"),
    pytest.param(with_id("a\nb", b"\x01" + PUBLIC), id="line break in the name"),
    pytest.param(with_id("a\ud800", b"\x01" + PUBLIC), id="half a pair in the name"),
])
def test_what_is_no_key_is_refused(text: str) -> None:
    assert with_id(NAME, b"\x01" + PUBLIC) == KEY.text
    assert code_of(signed_note.read_key, text) == "note-key"


def test_an_id_has_one_spelling() -> None:
    keys = (NoteKey(f"log{n}", LOG, PUBLIC) for n in range(99))
    key = next(key for key in keys if not key.key_id.hex().isdecimal())
    assert signed_note.read_key(key.text) == key
    loud = key.text.replace(key.key_id.hex(), key.key_id.hex().upper())
    assert code_of(signed_note.read_key, loud) == "note-key"
