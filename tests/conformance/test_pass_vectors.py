"""The vectors of docs/formats/pass.md: made by a script with fixed keys, read by our code and by `cwt`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cwt import COSE, COSEKey

from countenance.errors import BadInput
from countenance.formats import base45, claim169, cose, passes
from countenance.formats.passes import Custody, Pass
from support.make_pass_vectors import (
    CARRIED,
    FOLDER,
    HOLDER_KEY,
    KEY,
    KID,
    MALFORMED,
    NUMBER_OF,
    PASS_KEY,
    PLAIN,
    SEALED,
    SEARCHED,
    TEMPLATE,
    binding_of,
    shown,
    vectors,
)


def load(kind: str) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / kind).glob("*.json"))}


VALID, INVALID, SECRETS = load("valid"), load("invalid"), load("invalid-secret")
OPENED = [name for name, vector in VALID.items() if "pass_key" in vector]


def key_of(vector: dict[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(vector["public"]))


def verified_by_cwt(text: str) -> bytes:
    """Return the payload of a pass as the other library verifies it."""
    public = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: KEY.public_key().public_bytes_raw()})
    payload = COSE.new().decode(base45.decode(text.removeprefix("CN1:")), public)
    assert isinstance(payload, bytes)
    return payload


def test_there_are_enough_and_more_invalid_than_valid() -> None:
    assert {passes.read(v["text"], key_of(v)).custody for v in VALID.values()} == set(Custody)
    assert len(VALID) >= 9
    assert len(INVALID) >= 190
    assert len(SECRETS) >= 30


def test_the_files_are_what_the_script_writes_byte_for_byte() -> None:
    written = {str(p.relative_to(FOLDER)): p.read_text("utf-8") for p in FOLDER.rglob("*.json")}
    assert written == vectors()


def seen(content: Pass) -> dict[str, Any]:
    """Return the claims that our code read, under the numbers of docs/formats/pass.md."""
    ours = {"0": NUMBER_OF[content.custody], "1": content.reference}
    claims = {"1": content.venue, "4": content.expires_at, "6": content.issued_at, "7": content.pass_id,
              "-65537": ours}
    if content.custody is Custody.PLAIN:
        assert (content.purpose, content.face_id, content.pack, content.secret) == ("", b"", b"", b"")
        ours["2"] = content.ask_not_before
        return claims
    assert content.ask_not_before == 0
    ours |= {"3": content.face_id.hex(), "4": content.pack.hex()}
    if content.custody is Custody.VENUE_KEYED:
        assert content.secret == b""
    else:
        ours["5"] = content.secret.hex()
    return claims | {"3": content.purpose}


@pytest.mark.parametrize("name", VALID)
def test_a_valid_pass_is_read_and_written_again_the_same(name: str) -> None:
    vector = VALID[name]
    content = passes.read(vector["text"], key_of(vector))
    assert seen(content) == vector["expect"]
    assert passes.write(content, KEY, KID) == vector["text"]
    assert passes.peek_kid(vector["text"]) == KID
    assert passes.read(vector["text"] + "\r\n", key_of(vector)) == content
    assert passes.issued_digest(vector["text"] + "\r\n") == passes.issued_digest(vector["text"])


@pytest.mark.parametrize("name", VALID)
def test_another_library_reads_the_same_claims(name: str) -> None:
    claims = cbor2.loads(verified_by_cwt(VALID[name]["text"]))
    assert shown(claims) == VALID[name]["expect"]


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_pass_is_refused_with_its_code(name: str) -> None:
    vector = INVALID[name]
    with pytest.raises(BadInput) as caught:
        passes.read(vector["text"], key_of(vector))
    assert caught.value.code == vector["expect"]


@pytest.mark.parametrize("name", [name for name, v in INVALID.items() if v["expect"] == MALFORMED])
def test_an_invalid_pass_differs_from_a_valid_one_by_more_than_its_name(name: str) -> None:
    assert INVALID[name]["text"] not in {v["text"] for v in VALID.values()}
    assert [v["text"] for v in INVALID.values()].count(INVALID[name]["text"]) == 1


@pytest.mark.parametrize("name", [name for name in INVALID if not name.startswith("frame-")])
def test_what_is_wrong_with_its_claims_is_rightly_signed(name: str) -> None:
    """So that nothing but the shape of the claims refuses it."""
    payload = verified_by_cwt(INVALID[name]["text"])
    assert payload not in [verified_by_cwt(v["text"]) for v in VALID.values()]
    assert len(INVALID[name]["text"]) < 4_296 or name.endswith("-oversized")


# -- what is sealed inside


@pytest.mark.parametrize("name", OPENED)
def test_what_is_sealed_opens_under_this_pass_only(name: str) -> None:
    vector = VALID[name]
    content = passes.read(vector["text"], key_of(vector))
    key = bytes.fromhex(vector["pass_key"])
    assert content.binding() == binding_of(content)
    assert cose.decrypt0(content.secret, key, "pass", content.binding()).hex() == vector["opens_to"]
    others = [passes.read(v["text"], key_of(v)) for other, v in VALID.items() if other != name]
    for other in others:
        with pytest.raises(BadInput) as caught:
            cose.decrypt0(content.secret, key, "pass", other.binding())
        assert caught.value.code == "pass-altered"


@pytest.mark.parametrize("name", OPENED)
def test_another_library_opens_it_too(name: str) -> None:
    vector = VALID[name]
    ours = cbor2.loads(verified_by_cwt(vector["text"]))[-65537]
    sealer = COSEKey.new({1: 4, 3: 3, -1: bytes.fromhex(vector["pass_key"])})
    bound = binding_of(passes.read(vector["text"], key_of(vector)))
    assert COSE.new().decode(ours[5], sealer, external_aad=bound).hex() == vector["opens_to"]


def test_what_is_sealed_is_claim_169_or_a_key() -> None:
    assert claim169.read(bytes.fromhex(VALID["carried"]["opens_to"])) == TEMPLATE
    assert claim169.write(TEMPLATE).hex() == VALID["carried"]["opens_to"]
    assert cbor2.loads(bytes.fromhex(VALID["carried"]["opens_to"])) == {169: {62: {0: TEMPLATE, 1: 1}}}
    assert VALID["holder-keyed"]["opens_to"] == HOLDER_KEY.hex()


@pytest.mark.parametrize("name", SECRETS)
def test_a_wrong_secret_does_not_open_in_a_pass_that_is_read(name: str) -> None:
    vector = SECRETS[name]
    content = passes.read(vector["text"], key_of(vector))
    with pytest.raises(BadInput) as caught:
        claim169.read(cose.decrypt0(content.secret, bytes.fromhex(vector["pass_key"]), "pass", content.binding()))
    assert caught.value.code == vector["expect"]


CHANGES: dict[str, Any] = {
    "pass_id": "ff" * 16, "venue": "f" * 16, "purpose": "entry.search", "custody": Custody.HOLDER_KEYED,
    "expires_at": 1_900_000_000, "face_id": bytes(16), "pack": bytes(8)}


@pytest.mark.parametrize("field", CHANGES)
def test_each_field_that_says_what_it_opens_is_bound(field: str) -> None:
    changed = replace(CARRIED, **{field: CHANGES[field]})
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(CARRIED.secret, PASS_KEY, "pass", changed.binding())
    assert caught.value.code == "pass-altered"


def test_a_pass_names_no_person_and_no_field_of_the_value_is_lost() -> None:
    for content in (PLAIN, CARRIED, SEALED, SEARCHED):
        assert passes.read(passes.write(content, KEY, KID), KEY.public_key()) == content
    assert not [field for field in Pass.__dataclass_fields__ if "person" in field]
