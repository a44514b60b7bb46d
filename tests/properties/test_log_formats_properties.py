"""What holds for all bytes and all texts of the log's formats: read exactly, or refused with the code that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput
from countenance.formats import canonical, checkpoints, log_entries, merkle, signed_note, strict64, tiles, trust
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.log_entries import Clear, Record
from countenance.formats.signed_note import LOG, WITNESS, Note, NoteKey, Signature
from countenance.formats.trust import Trust
from countenance.quantities import END_OF_TIME, Instant
from support import naive_tree

PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5)]
ORIGIN = "countenance.invalid/zoo/log"
KEY = signed_note.key_of(PRIVATE[0], ORIGIN)
WITNESSES = [signed_note.key_of(private, f"w{n}", WITNESS) for n, private in enumerate(PRIVATE[1:])]
POINT = Checkpoint(ORIGIN, 3, merkle.root([merkle.leaf_hash(b"%d" % n) for n in range(3)]))
NOTE = Note(POINT.text, (signed_note.sign(POINT.text, ORIGIN, PRIVATE[0]),
                         signed_note.cosign(POINT.text, "w0", PRIVATE[1], Instant(1_782_000_000))))
WRITTEN = NOTE.encode()
TRUSTED = Trust((KEY,), (signed_note.key_of(PRIVATE[0], "zoo/receipt"),), tuple(WITNESSES), 2).encode()
ENTRY = log_entries.clear("notice", Instant(1_782_000_000), {"purpose": "entry", "version": 1, "hash": bytes(32)})
RECORD = Record("decision", Instant(1_782_000_000), 2, bytes(32), {"purpose": "entry", "people": 1}).encode()

HASHES = st.binary(min_size=32, max_size=32)
NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="+"), min_size=1, max_size=12)
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=12)
TEXTS = st.lists(LINES, min_size=1, max_size=5).map(lambda lines: "".join(f"{line}\n" for line in lines)).filter(
    lambda text: text != "\n")
SIGNATURES = st.builds(Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))
PUBLIC = HASHES.map(lambda seed: Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())
KEYS = st.builds(NoteKey, NAMES, st.sampled_from([LOG, WITNESS]), PUBLIC)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
BODIES = st.dictionaries(st.text(max_size=6), st.recursive(
    st.none() | st.booleans() | NUMBERS | st.binary(max_size=12) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8),
    max_size=4)
MOMENTS = st.integers(0, END_OF_TIME - 1).map(Instant)


def changed_text(text: str) -> st.SearchStrategy[str]:
    """The text with a stretch of it replaced by anything at all, half a pair of surrogates included."""
    places = st.integers(0, len(text))
    anything = st.text(max_size=4) | st.text(st.characters(categories=["Cs", "Cc", "Zs", "Zl", "Cf"]), max_size=2)
    return st.builds(lambda a, b, new: text[:min(a, b)] + new + text[max(a, b):], places, places, anything) | st.builds(
        lambda at, new: text[:at] + new + text[at + 1:], places, anything)


def changed_bytes(data: bytes) -> st.SearchStrategy[bytes]:
    places = st.integers(0, len(data))
    return st.builds(lambda a, new, skip: data[:a] + new + data[a + skip:], places, st.binary(max_size=4),
                     st.integers(0, 4))


def read_or(codes: set[str], act: Callable[..., Any], *given_to: object) -> Any:
    """Return what is read, or None where it is refused with one of these codes; anything else fails."""
    try:
        return act(*given_to)
    except BadInput as refused:
        assert refused.code in codes
        assert refused.sentence.endswith(".")
        return None


# -- written, then read


@given(st.binary(max_size=70))
def test_base64_gives_back_what_was_written(data: bytes) -> None:
    assert strict64.decode(strict64.encode(data), len(data)) == data


@given(TEXTS, st.lists(SIGNATURES, min_size=1, max_size=5, unique_by=lambda s: (s.name, s.key_id)))
def test_a_note_gives_back_what_was_written(text: str, signatures: list[Signature]) -> None:
    note = Note(text, tuple(signatures))
    assert signed_note.parse(note.encode()) == note


@given(KEYS)
def test_a_key_gives_back_what_was_written(key: NoteKey) -> None:
    assert signed_note.read_key(key.text) == key


@given(TEXTS, st.integers(0, END_OF_TIME - 1))
def test_what_was_signed_is_checked_in_its_own_text_only(text: str, at: int) -> None:
    note = Note(text, (signed_note.sign(text, ORIGIN, PRIVATE[0]),
                       signed_note.cosign(text, "w0", PRIVATE[1], Instant(at))))
    assert signed_note.require_signed(note, KEY) == 0
    assert signed_note.require_signed(note, WITNESSES[0]) == at
    for key in (KEY, WITNESSES[0]):
        assert read_or({"signature-wrong"}, signed_note.require_signed, Note(f"x{text}", note.signatures), key) is None


@given(LINES.filter(bool), st.integers(1, 2**63 - 1), HASHES, st.lists(LINES.filter(bool), max_size=3))
def test_a_checkpoint_gives_back_what_was_written(origin: str, size: int, root: bytes, extra: list[str]) -> None:
    point = Checkpoint(origin, size, root, tuple(extra))
    assert checkpoints.parse(Note(point.text, ())) == point


@given(st.text(max_size=12), MOMENTS, BODIES)
def test_an_entry_gives_back_what_was_written(type_: str, at: Instant, body: dict[str, Any]) -> None:
    assert log_entries.parse(log_entries.clear(type_, at, body)) == Clear(type_, at, body)


@given(st.text(max_size=12), MOMENTS, st.integers(0, 2**63 - 1), st.just(b"") | HASHES, BODIES)
def test_a_record_gives_back_what_was_written(
        type_: str, at: Instant, number: int, before: bytes, body: dict[str, Any]) -> None:
    record = Record(type_, at, number, before, body)
    assert log_entries.read_record(record.encode()) == record


@given(st.lists(st.binary(max_size=300), max_size=12))
def test_a_bundle_gives_back_what_was_written(entries: list[bytes]) -> None:
    assert tiles.unbundle(tiles.bundle(entries), len(entries)) == entries


# -- anything, read exactly or refused


@given(st.text(alphabet="ABCDEFGHIJKLMNOPabcdefghijklmnop0123456789+/-_= \n", max_size=12) | st.text(max_size=8))
def test_base64_has_one_spelling(text: str) -> None:
    try:
        data = strict64.decode(text)
    except ValueError:
        return
    assert strict64.encode(data) == text


@given(st.text(max_size=60) | changed_text(WRITTEN) | changed_text("a\n\n" + NOTE.signatures[0].line))
def test_any_text_is_a_note_or_is_refused(text: str) -> None:
    note = read_or({"note-malformed"}, signed_note.parse, text)
    if note is not None:
        assert note.encode() == text
        text.encode()


@given(changed_text(WRITTEN))
def test_a_changed_checkpoint_is_refused_or_has_the_same_text(text: str) -> None:
    """What may be added or lost is a signature of somebody else; the text and the log's own signature may not."""
    found = read_or({"note-malformed", "checkpoint-malformed", "checkpoint-origin", "signature-missing",
                     "signature-wrong"}, checkpoints.read, text, KEY)
    if found is not None:
        assert found[0] == POINT
        assert found[1].encode() == text
        assert NOTE.signatures[0] in found[1].signatures


@given(changed_text(WRITTEN))
def test_a_changed_cosignature_counts_for_nothing(text: str) -> None:
    found = read_or({"note-malformed"}, signed_note.parse, text)
    if found is not None and read_or({"signature-missing", "signature-wrong"}, signed_note.require_signed, found,
                                     WITNESSES[0]) is not None:
        assert found.text == POINT.text
        assert NOTE.signatures[1] in found.signatures


@given(changed_text(POINT.text) | st.text(max_size=60).map(lambda text: f"{text}\n"))
def test_any_text_is_a_checkpoint_or_is_refused(text: str) -> None:
    point = read_or({"checkpoint-malformed"}, checkpoints.parse, Note(text, ()))
    if point is not None:
        assert point.text == text


@given(st.text(max_size=60) | changed_text(KEY.text) | changed_text(WITNESSES[0].text))
def test_any_text_is_a_key_or_is_refused(text: str) -> None:
    key = read_or({"note-key"}, signed_note.read_key, text)
    if key is not None:
        assert key.text == text
        assert key in (KEY, WITNESSES[0])


@given(st.text(max_size=60) | changed_text(TRUSTED))
def test_any_text_is_a_trust_file_of_named_keys_or_is_refused(text: str) -> None:
    believed = read_or({"trust-malformed"}, trust.parse, text)
    if believed is not None:
        assert trust.parse(believed.encode()) == believed
        assert set(believed.logs + believed.receipts + believed.witnesses) <= set(
            trust.parse(TRUSTED).logs + trust.parse(TRUSTED).receipts + trust.parse(TRUSTED).witnesses)


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda data: b"\x01" + data) | changed_bytes(ENTRY)
       | st.dictionaries(st.sampled_from(["type", "at", "body", "x"]), st.integers() | st.text(max_size=3) | BODIES
                         ).map(lambda value: b"\x01" + canonical.encode(value)))
def test_any_bytes_are_an_entry_or_are_refused(data: bytes) -> None:
    entry = read_or({"entry-malformed"}, log_entries.parse, data)
    if isinstance(entry, Clear):
        assert log_entries.clear(entry.type, entry.at, entry.body) == data
    elif entry is not None:
        assert log_entries.sealed(entry) == data


@given(st.binary(max_size=60) | changed_bytes(RECORD))
def test_any_bytes_are_a_record_or_are_refused(data: bytes) -> None:
    record = read_or({"entry-malformed"}, log_entries.read_record, data)
    if record is not None:
        assert record.encode() == data


@given(st.binary(max_size=40) | changed_bytes(tiles.bundle([b"one", b"", b"three"])), st.integers(0, 5))
def test_any_bytes_are_a_bundle_or_are_refused(data: bytes, width: int) -> None:
    entries = read_or({"bundle-short"}, tiles.unbundle, data, width)
    if entries is not None:
        assert len(entries) == width
        assert tiles.bundle(entries) == data


@given(st.integers(0, 2**60), st.integers(-1, 7), st.integers(1, 256))
def test_a_path_says_which_tile_it_is(number: int, level: int, width: int) -> None:
    _tile, of, *groups = tiles.path(level, number, width).split("/")
    if width < tiles.WIDTH:
        groups[-2:] = [groups[-2].removesuffix(".p")]
        assert tiles.path(level, number, width).endswith(f".p/{width}")
    assert of == ("entries" if level == tiles.ENTRIES else str(level))
    assert int("".join(group.removeprefix("x") for group in groups)) == number
    assert all(len(group) == 4 and group[0] == "x" for group in groups[:-1])
    assert len(groups[-1]) == 3


# -- proofs

ENTRIES = [b"%d" % number for number in range(40)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
STEPS = st.lists(HASHES | st.sampled_from(LEAVES) | st.binary(max_size=33), max_size=7)


@given(st.integers(1, 40), st.integers(0, 39), st.integers(-2, 2**64), st.integers(-2, 2**64), STEPS)
def test_no_proof_but_the_right_one_shows_an_entry(size: int, index: int, at: int, of: int, steps: list[bytes]) -> None:
    index %= size
    root, right = naive_tree.mth(ENTRIES[:size]), naive_tree.path(index, ENTRIES[:size])
    merkle.require_inclusion(LEAVES[index], index, size, right, root)
    if steps != right:
        for where, whole in ((index, size), (at, of)):
            read_only_refused("inclusion-wrong", merkle.require_inclusion, LEAVES[index], where, whole, steps, root)
    if at != index:
        read_only_refused("inclusion-wrong", merkle.require_inclusion, LEAVES[index], at, size, right, root)


@given(st.integers(1, 40), st.integers(1, 39), st.integers(-2, 2**64), STEPS, HASHES)
def test_no_proof_but_the_right_one_shows_growth(
        size: int, old: int, other: int, steps: list[bytes], forged: bytes) -> None:
    old = 1 + old % size
    root, old_root = naive_tree.mth(ENTRIES[:size]), naive_tree.mth(ENTRIES[:old])
    right = naive_tree.proof(old, ENTRIES[:size])
    merkle.require_consistency(old, old_root, size, root, right)
    wrong = merkle.require_consistency
    if steps != right:
        read_only_refused("consistency-wrong", wrong, old, old_root, size, root, steps)
    if other != old:
        read_only_refused("consistency-wrong", wrong, other, old_root, size, root, right)
    read_only_refused("consistency-wrong", wrong, old, forged, size, root, right)
    read_only_refused("consistency-wrong", wrong, old, old_root, size, forged, right)


def read_only_refused(code: str, act: Callable[..., None], *given_to: object) -> None:
    try:
        act(*given_to)
    except BadInput as refused:
        assert refused.code == code
    else:
        raise AssertionError("accepted")
