"""The vectors of docs/formats/revocation-list.md: made by a script with fixed keys, read by our code and by `cwt`."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cwt import COSE, COSEKey

from countenance.errors import BadInput, Refused
from countenance.formats import passes, revocations
from countenance.formats.revocations import RevocationList
from countenance.quantities import Instant, VenueId
from support.make_list_vectors import FACES, FOLDER, FULL, face, shown, vectors, void
from support.make_pass_vectors import CARRIED, KEY, KID, PLAIN, SEARCHED


def load(kind: str) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / kind).glob("*.json"))}


VALID, INVALID = load("valid"), load("invalid")


def key_of(vector: dict[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(vector["public"]))


def verified_by_cwt(text: str) -> bytes:
    public = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: KEY.public_key().public_bytes_raw()})
    payload = COSE.new().decode(base64.b64decode(text), public)
    assert isinstance(payload, bytes)
    return payload


def test_there_are_enough_and_more_invalid_than_valid() -> None:
    assert len(VALID) >= 6
    assert len(INVALID) >= 80


def test_the_files_are_what_the_script_writes_byte_for_byte() -> None:
    written = {str(p.relative_to(FOLDER)): p.read_text("utf-8") for p in FOLDER.rglob("*.json")}
    assert written == vectors()


@pytest.mark.parametrize("name", VALID)
def test_a_valid_list_is_read_and_written_again_the_same(name: str) -> None:
    vector = VALID[name]
    read = revocations.read(vector["text"], key_of(vector))
    seen = {"format": "countenance/revocations/1", "venue": read.venue, "number": read.number,
            "issued_at": read.issued_at, "good_until": read.good_until,
            "faces": b"".join(sorted(read.faces)).hex(), "void": b"".join(sorted(read.void)).hex(),
            "before": [read.void[digest] for digest in sorted(read.void)]}
    assert seen == vector["expect"]
    assert revocations.write(read, KEY, KID) == vector["text"]
    assert revocations.read("\n" + vector["text"] + "\r\n", key_of(vector)) == read


@pytest.mark.parametrize("name", VALID)
def test_another_library_reads_the_same(name: str) -> None:
    assert shown(cbor2.loads(verified_by_cwt(VALID[name]["text"]))) == VALID[name]["expect"]


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_list_is_refused_with_its_code(name: str) -> None:
    vector = INVALID[name]
    with pytest.raises(BadInput) as caught:
        revocations.read(vector["text"], key_of(vector))
    assert caught.value.code == vector["expect"]
    assert [v["text"] for v in (*VALID.values(), *INVALID.values())].count(vector["text"]) == 1


@pytest.mark.parametrize("name", [name for name in INVALID if not name.startswith("frame-")])
def test_what_is_wrong_with_its_content_is_rightly_signed(name: str) -> None:
    assert verified_by_cwt(INVALID[name]["text"])


def test_what_stands_for_a_face_and_for_a_booking_number() -> None:
    assert [passes.face_hash(bytes([n]) * 16) for n in range(3)] == [face(n) for n in range(3)]
    assert passes.face_hash(bytes(16)) in FACES
    assert revocations.reference_hash("zoo", "年卡-0001") == void("年卡-0001", "zoo")
    assert revocations.reference_hash("zoo", "A-1001") != revocations.reference_hash("zoo", "A-1002")
    assert revocations.reference_hash("zoo", "A-1001") != revocations.reference_hash("park", "A-1001")
    assert len(revocations.reference_hash("", "")) == revocations.HASH_BYTES == 16


LIST = revocations.read(VALID["both"]["text"], KEY.public_key())


def code_of(shown_pass: passes.Pass, which: str) -> str | None:
    try:
        LIST.require_face(shown_pass) if which == "face" else LIST.require_not_void(shown_pass)
    except Refused as refused:
        return refused.code
    return None


@pytest.mark.parametrize(("shown_pass", "face_code", "void_code"), [
    (replace(CARRIED, reference="B-1", face_id=bytes([2]) * 16), "face-revoked", None),
    (replace(CARRIED, reference="B-1", face_id=bytes([3]) * 16), None, None),
    (replace(SEARCHED, reference="B-1", face_id=bytes(16)), "face-revoked", None),
    (replace(PLAIN, reference="B-1"), None, None),  # the pass of somebody whose face was never there
    (replace(PLAIN, reference="A-1001", issued_at=Instant(LIST.void[void("A-1001")])), None, "pass-void"),
    (replace(PLAIN, reference="A-1001", issued_at=Instant(LIST.void[void("A-1001")] - 1)), None, "pass-void"),
    (replace(PLAIN, reference="A-1001", issued_at=Instant(LIST.void[void("A-1001")] + 1)), None, None),
    (replace(PLAIN, reference="a-1001"), None, None),
], ids=["face", "other face", "searched", "plain", "void", "void before", "the new one", "other reference"])
def test_a_list_names_some_passes_and_no_others(
        shown_pass: passes.Pass, face_code: str | None, void_code: str | None) -> None:
    assert (code_of(shown_pass, "face"), code_of(shown_pass, "void")) == (face_code, void_code)


def test_a_list_of_ten_thousand_is_as_small_as_is_said() -> None:
    many = frozenset(number.to_bytes(16, "big") for number in range(10_000))
    text = revocations.write(RevocationList(VenueId("v"), 1, Instant(1), Instant(2), many, {}), KEY, KID)
    assert len(base64.b64decode(text)) < 160_000 + 300
    assert revocations.read(text, KEY.public_key()).faces == many


def test_a_list_may_be_larger_than_other_messages_but_not_without_end() -> None:
    from countenance.formats import canonical

    many = frozenset(number.to_bytes(16, "big") for number in range(80_000))
    text = revocations.write(RevocationList(VenueId("v"), 1, Instant(1), Instant(2), many, {}), KEY, KID)
    assert len(text) > canonical.LARGEST
    assert len(revocations.read(text, KEY.public_key()).faces) == 80_000
    with pytest.raises(BadInput) as caught:
        revocations.read("A" * (revocations.LARGEST * 4 // 3 + 8), KEY.public_key())
    assert caught.value.code == "list-malformed"
    assert FULL["faces"] == b"".join(FACES)
