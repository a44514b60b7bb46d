"""Writes `tests/vectors/passes/`: passes under fixed keys, many more invalid than valid.

`python -m support.make_pass_vectors` in `tests/` writes them anew; a test compares byte for byte. Each file is
JSON: `why`, `public` (hex), `text`, and `expect`: the claims that are read, or the code that refuses. In
`valid/` and `invalid-secret/`, `pass_key` (hex) opens what is sealed inside. The layout is written out here from
docs/formats/pass.md, number by number, and taken from no code.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countenance.formats import base45
from countenance.formats.passes import Custody, Pass
from countenance.quantities import Instant, PassId, PurposeId, VenueId
from support.spelled import Raw, mapping, open_ended, pairs, spell, tagged

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "passes"
MALFORMED, ALTERED = "pass-malformed", "pass-altered"

# Keys of nobody, for vectors only.
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KID = hashlib.sha256(KEY.public_key().public_bytes_raw()).digest()[:8]
PASS_KEY, HOLDER_KEY, NONCE = bytes(range(64, 96)), bytes(range(96, 128)), b"twelve bytes"
TEMPLATE = bytes(number % 256 for number in range(-64, 64))
"""128 int8 codes, -64 to 63."""

NUMBER_OF = {Custody.PLAIN: 0, Custody.CARRIED: 1, Custody.HOLDER_KEYED: 2, Custody.VENUE_KEYED: 3}
PLAIN = Pass(
    PassId("000102030405060708090a0b0c0d0e0f"), VenueId("0123456789abcdef"), "A-1001", Custody.PLAIN,
    Instant(1_782_000_000), Instant(1_813_536_000), ask_not_before=Instant(1_782_172_800))
SEARCHED = replace(
    PLAIN, pass_id=PassId("10" * 16), custody=Custody.VENUE_KEYED, purpose=PurposeId("entry.search"),
    face_id=bytes(range(16)), pack=hashlib.sha256(b"dlib-resnet@1+0123456789ab").digest()[:8],
    ask_not_before=Instant(0))


def binding_of(content: Pass) -> bytes:
    """Return what the secret is bound to, as docs/formats/pass.md lists it."""
    return spell(["countenance/pass-secret/1", str(content.pass_id), str(content.venue), str(content.purpose),
                  content.custody.value, int(content.expires_at), content.face_id, content.pack])


def sealed(plain: bytes, bound: bytes, *, protected: bytes = b"\xa1\x01\x03", unprotected: Any = None,
           tag: int | None = 16, key: bytes = PASS_KEY) -> bytes:
    """Return a COSE_Encrypt0 made by hand, so that it can be made wrong."""
    box = AESGCM(key).encrypt(NONCE, plain, spell(["Encrypt0", protected, bound]))
    parts = [protected, {5: NONCE} if unprotected is None else unprotected, box]
    return spell(parts) if tag is None else tagged(tag, parts)


def template_claim(template: bytes) -> bytes:
    """Return CWT claim 169 around a template: attribute 62, data and format 1."""
    return spell({169: {62: {0: template, 1: 1}}})


def with_secret(blank: Pass, inside: bytes) -> Pass:
    """Return a pass with something sealed in it, rightly."""
    return replace(blank, secret=sealed(inside, binding_of(blank)))


_IN_PASS = replace(SEARCHED, pass_id=PassId("11" * 16), purpose=PurposeId("entry.verify"))
CARRIED = with_secret(replace(_IN_PASS, custody=Custody.CARRIED), template_claim(TEMPLATE))
SEALED = with_secret(replace(_IN_PASS, pass_id=PassId("12" * 16), custody=Custody.HOLDER_KEYED,
                             purpose=PurposeId("entry.key")), HOLDER_KEY)
INSIDE = {Custody.CARRIED: template_claim(TEMPLATE), Custody.HOLDER_KEYED: HOLDER_KEY}


def claims_of(content: Pass) -> dict[int, Any]:
    """Return the claims as docs/formats/pass.md numbers them."""
    ours: dict[int, Any] = {0: NUMBER_OF[content.custody], 1: content.reference}
    claims = {1: str(content.venue), 4: int(content.expires_at), 6: int(content.issued_at),
              7: bytes.fromhex(content.pass_id), -65537: ours}
    if content.custody is Custody.PLAIN:
        ours[2] = int(content.ask_not_before)
        return claims
    ours |= {3: content.face_id, 4: content.pack}
    if content.custody is not Custody.VENUE_KEYED:
        ours[5] = content.secret
    return claims | {3: str(content.purpose)}


def signed(payload: bytes, *, key: Ed25519PrivateKey = KEY, protected: bytes = b"\xa1\x01\x27",
           unprotected: Any = None, tag: int | None = 18) -> bytes:
    """Return a COSE_Sign1 made by hand, so that it can be made wrong."""
    signature = key.sign(spell(["Signature1", protected, b"", payload]))
    parts = [protected, {4: KID} if unprotected is None else unprotected, payload, signature]
    return spell(parts) if tag is None else tagged(tag, parts)


def text_of(message: bytes) -> str:
    """Return the text of a pass around any message."""
    return "CN1:" + base45.encode(message)


def shown(claims: dict[int, Any]) -> dict[str, Any]:
    """Return claims as JSON can hold them: bytes in hex, numbers of claims as text."""
    return {str(k): v.hex() if isinstance(v, bytes) else shown(v) if isinstance(v, dict) else v
            for k, v in claims.items()}


def _text(content: Pass, **wrong: Any) -> str:
    return text_of(signed(spell(claims_of(content)), **wrong))


_VALID = {
    "plain": ("somebody who said no", PLAIN),
    "plain-ask-any-time": ("a plain pass of somebody who did not say no", replace(PLAIN, ask_not_before=Instant(0))),
    "carried": ("the template is in the pass", CARRIED),
    "carried-512": ("of a model with 512 numbers", with_secret(
        replace(CARRIED, pass_id=PassId("13" * 16)), template_claim(TEMPLATE * 4))),
    "holder-keyed": ("the only key to a template is in the pass", SEALED),
    "venue-keyed": ("a searched gallery: nothing sealed in the pass", SEARCHED),
    "other-script": ("a booking number is any text", replace(PLAIN, reference="年卡-0001 é")),
    "no-reference": ("an empty booking number", replace(PLAIN, reference="")),
    "last-moment": ("the last second of the calendar", replace(PLAIN, expires_at=Instant(253_402_300_799))),
}
_INSIDE_512 = template_claim(TEMPLATE * 4)

# -- one claim, or one member of the private map, wrong: in a pass that is rightly signed

_CLAIMS = {"iss": 1, "aud": 3, "exp": 4, "iat": 6, "cti": 7, "ours": -65537}
_MEMBERS = {"custody": 0, "ref": 1, "ask-not-before": 2, "face-id": 3, "pack": 4, "secret": 5}
_OTHER_TYPE: dict[type, Callable[[Any], bytes]] = {
    int: lambda value: spell(str(value)), str: lambda value: spell(value.encode()),
    bytes: lambda value: spell(value.hex()), dict: lambda value: spell(list(value.values()))}
_TOO_MUCH: dict[type, Callable[[Any], bytes]] = {
    int: lambda _: tagged(2, (1 << 64).to_bytes(9, "big")), str: lambda value: spell(value + "x" * 3_000),
    bytes: lambda value: spell(value + b"\0" * (3_000 if len(value) > 16 else 1)),
    dict: lambda value: spell(value | {99: 0})}
_OPEN: dict[type, Callable[[Any], bytes]] = {
    int: lambda value: tagged(2, value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")), str: open_ended,
    bytes: open_ended, dict: open_ended}

Items = list[tuple[bytes, bytes]]
_WRONG: dict[str, tuple[str, Callable[[Items, int, int, Any], Items]]] = {
    "missing": ("left out", lambda items, at, _key, _value: items[:at] + items[at + 1 :]),
    "twice": ("twice", lambda items, at, _key, _value: [*items[:at], items[at], *items[at:]]),
    "other-type": ("of another type", lambda items, at, _key, value: _put(
        items, at, items[at][0], _OTHER_TYPE[type(value)](value))),
    "null": ("null", lambda items, at, _key, _value: _put(items, at, items[at][0], b"\xf6")),
    "long": ("in a longer spelling", lambda items, at, _key, value: _put(items, at, items[at][0], spell(value, 1))),
    "key-long": ("under a number in a longer spelling", lambda items, at, key, _value: _put(
        items, at, spell(key, 1), items[at][1])),
    "open": ("of indefinite length, a number as a bignum", lambda items, at, _key, value: _put(
        items, at, items[at][0], _OPEN[type(value)](value))),
    "unsorted": ("not in its place", lambda items, at, _key, _value: (
        [items[at], *items[:at], *items[at + 1 :]] if at else [*items[1:], items[0]])),
    "oversized": ("too long or too large", lambda items, at, _key, value: _put(
        items, at, items[at][0], _TOO_MUCH[type(value)](value))),
}


def _put(items: Items, at: int, key: bytes, value: bytes) -> Items:
    return [*items[:at], (key, value), *items[at + 1 :]]


def _claim_wrong(content: Pass, claim: int, wrong: str) -> str:
    claims = claims_of(content)
    items = pairs(claims)
    at = [k for k, _ in items].index(spell(claim))
    return text_of(signed(mapping(_WRONG[wrong][1](items, at, claim, claims[claim]))))


def _member_wrong(content: Pass, member: int, wrong: str) -> str:
    claims = claims_of(content)
    items = pairs(claims[-65537])
    at = [k for k, _ in items].index(spell(member))
    ours = mapping(_WRONG[wrong][1](items, at, member, claims[-65537][member]))
    return text_of(signed(spell(claims | {-65537: Raw(ours)})))


def _field_cases() -> dict[str, tuple[str, str]]:
    cases = {}
    for wrong, (why, _) in _WRONG.items():
        for name, claim in _CLAIMS.items():
            cases[f"{name}-{wrong}"] = (f"{name} {why}", _claim_wrong(CARRIED, claim, wrong))
        for name, member in _MEMBERS.items():
            content = PLAIN if member == 2 else CARRIED
            cases[f"{name}-{wrong}"] = (f"{name} {why}", _member_wrong(content, member, wrong))
    return cases


def _with(content: Pass, claims: dict[Any, Any] | None = None, ours: dict[Any, Any] | None = None,
          without: tuple[Any, ...] = ()) -> str:
    """Return the text of a pass with claims and members put in, or left out, and rightly signed."""
    every = claims_of(content)
    every[-65537] = {k: v for k, v in (every[-65537] | (ours or {})).items() if ("ours", k) not in without}
    return text_of(signed(spell({k: v for k, v in (every | (claims or {})).items() if k not in without})))


def _renamed(content: Pass, old: int, new: Any, *, inside: bool = False) -> str:
    """Return the text of a pass in which `true` or `false` stands for the number 1 or 0."""
    every = claims_of(content)
    there = every[-65537] if inside else every
    items = [(spell(new) if k == spell(old) else k, v) for k, v in pairs(there)]
    there_spelled = mapping(sorted(items, key=lambda pair: (len(pair[0]), pair[0])))
    return text_of(signed(spell(every | {-65537: Raw(there_spelled)}) if inside else there_spelled))


_CLAIM_CASES: dict[str, tuple[str, str]] = {
    "claim-unknown": ("a claim more than the format has", _with(PLAIN, {99: "x"})),
    "claim-sub": ("a pass names no person", _with(CARRIED, {2: "20" * 16})),
    "claim-169": ("a template in the clear", _with(CARRIED, {169: {62: {0: TEMPLATE, 1: 1}}})),
    "member-unknown": ("a member more than the map has", _with(CARRIED, ours={6: 0})),
    "iss-true": ("true is not 1", _renamed(PLAIN, 1, True)),  # noqa: FBT003  # the value itself
    "custody-false": ("false is not 0", _renamed(PLAIN, 0, False, inside=True)),  # noqa: FBT003  # as above
    "ref-true": ("true is not 1", _renamed(PLAIN, 1, True, inside=True)),  # noqa: FBT003  # as above
    "iat-true": ("iat as true", _with(PLAIN, {6: True})),
    "custody-value-false": ("custody as false", _with(PLAIN, ours={0: False})),
    "exp-float": ("exp as a float", _with(PLAIN, {4: Raw(b"\xfb" + struct.pack(">d", 1_813_536_000))})),
    "exp-date": ("exp as a tagged time", _with(PLAIN, {4: Raw(tagged(1, 1_813_536_000))})),
    "exp-never": ("exp after the calendar's end", _with(PLAIN, {4: 253_402_300_800})),
    "ask-never": ("ask-not-before after the calendar's end", _with(PLAIN, ours={2: 253_402_300_800})),
    "ask-negative": ("ask-not-before before 1970", _with(PLAIN, ours={2: -1})),
    "exp-not-after-iat": ("exp not after iat", _with(PLAIN, {4: 1_782_000_000})),
    "iat-zero": ("iat 0", _with(PLAIN, {6: 0})),
    "iat-negative": ("iat before 1970", _with(PLAIN, {6: -1})),
    "cti-short": ("15 bytes", _with(PLAIN, {7: bytes(15)})),
    "face-id-short": ("15 bytes", _with(CARRIED, ours={3: bytes(15)})),
    "face-id-empty": ("no bytes", _with(CARRIED, ours={3: b""})),
    "pack-short": ("7 bytes", _with(CARRIED, ours={4: bytes(7)})),
    "pack-identity": ("the identity itself", _with(CARRIED, ours={4: "dlib-resnet@1+0123456789ab"})),
    "purpose-empty": ("a face for nothing", _with(CARRIED, {3: ""})),
    "custody-four": ("a custody that does not exist", _with(CARRIED, ours={0: 4})),
    "custody-negative": ("a custody that does not exist", _with(CARRIED, ours={0: -1})),
    "custody-name": ("custody by its name", _with(CARRIED, ours={0: "carried"})),
    "custody-turned-plain": ("a carried pass that calls itself plain", _with(CARRIED, ours={0: 0})),
    "custody-turned-venue": ("a carried pass that calls itself venue_keyed", _with(CARRIED, ours={0: 3})),
    "plain-turned-carried": ("a plain pass that calls itself carried", _with(PLAIN, ours={0: 1})),
    "plain-with-purpose": ("a plain pass has no purpose", _with(PLAIN, {3: "entry.verify"})),
    "plain-with-face-id": ("a plain pass has no face", _with(PLAIN, ours={3: bytes(16)})),
    "plain-with-pack": ("a plain pass names no model", _with(PLAIN, ours={4: bytes(8)})),
    "plain-with-secret": ("a plain pass holds no secret", _with(PLAIN, ours={5: SEALED.secret})),
    "face-with-ask": ("only a plain pass says when to ask again", _with(CARRIED, ours={2: 0})),
    "carried-secret-empty": ("nothing sealed inside", _with(CARRIED, ours={5: b""})),
    "holder-without-secret": ("a holder's pass without the key", _with(SEALED, without=(("ours", 5),))),
    "venue-with-secret": ("a searched face has nothing in the pass", _with(SEARCHED, ours={5: SEALED.secret})),
    "claims-list": ("claims as a list", text_of(signed(b"\x80"))),
    "claims-empty": ("no claims", text_of(signed(b"\xa0"))),
    "claims-tagged": ("claims inside a CWT tag", text_of(signed(tagged(61, claims_of(PLAIN))))),
    "claims-open": ("claims of indefinite length", text_of(signed(open_ended(claims_of(PLAIN))))),
    "claims-long": ("claims under a longer head", text_of(signed(spell(claims_of(PLAIN), 1)))),
    "trailing-inside": ("a byte behind the claims", text_of(signed(spell(claims_of(PLAIN)) + b"\0"))),
}

# -- the message around the claims wrong

_PAYLOAD = spell(claims_of(PLAIN))
_SIGNATURE = signed(_PAYLOAD)[-64:]
_RIGHT: list[Any] = [b"\xa1\x01\x27", {4: KID}, _PAYLOAD, _SIGNATURE]


def _parts(at: int, part: Any) -> str:
    return text_of(tagged(18, [*_RIGHT[:at], part, *_RIGHT[at + 1 :]]))


def _flipped(message: bytes) -> bytes:
    at = message.index(b"A-1001")
    return message[:at] + b"B" + message[at + 1 :]


_FRAME_CASES: dict[str, tuple[str, str, str]] = {
    "altered": ("one letter of a claim", ALTERED, text_of(_flipped(signed(_PAYLOAD)))),
    "other-signer": ("signed by somebody else", ALTERED, _text(PLAIN, key=OTHER_KEY)),
    "signature-short": ("63 bytes", ALTERED, _parts(3, _SIGNATURE[:63])),
    "signature-empty": ("no signature", ALTERED, _parts(3, b"")),
    "signature-text": ("the signature as text", MALFORMED, _parts(3, _SIGNATURE.hex())),
    "payload-missing": ("detached", MALFORMED, _parts(2, None)),
    "payload-map": ("claims not wrapped in bytes", MALFORMED, _parts(2, claims_of(PLAIN))),
    "payload-open": ("the payload of indefinite length", MALFORMED, _parts(2, Raw(open_ended(_PAYLOAD)))),
    "payload-long": ("the payload under a longer head", MALFORMED, _parts(2, Raw(spell(_PAYLOAD, 1)))),
    "alg-outside": ("alg in the unprotected header only", MALFORMED,
                    _text(PLAIN, protected=b"", unprotected={1: -8, 4: KID})),
    "alg-also-outside": ("alg in both headers", MALFORMED, _text(PLAIN, unprotected={1: -8, 4: KID})),
    "alg-other": ("protected header says ES256", MALFORMED, _text(PLAIN, protected=b"\xa1\x01\x26")),
    "alg-missing": ("protected header is an empty map", MALFORMED, _text(PLAIN, protected=b"\xa0")),
    "alg-twice": ("alg twice in the protected header", MALFORMED, _text(PLAIN, protected=b"\xa2\x01\x26\x01\x27")),
    "alg-true": ("alg under true, which is not 1", MALFORMED, _text(PLAIN, protected=b"\xa1\xf5\x27")),
    "header-long": ("protected header in a longer spelling", MALFORMED, _text(PLAIN, protected=b"\xa1\x18\x01\x27")),
    "header-open": ("protected header of indefinite length", MALFORMED, _text(PLAIN, protected=b"\xbf\x01\x27\xff")),
    "header-trailing": ("a byte behind the protected header", MALFORMED, _text(PLAIN, protected=b"\xa1\x01\x27\0")),
    "header-more": ("a header more than the format has", MALFORMED, _text(PLAIN, unprotected={4: KID, 5: NONCE})),
    "kid-missing": ("no key id", MALFORMED, _text(PLAIN, unprotected={})),
    "kid-text": ("key id as text", MALFORMED, _text(PLAIN, unprotected={4: KID.hex()})),
    "kid-twice": ("key id twice", MALFORMED, _text(PLAIN, unprotected=Raw(mapping(pairs({4: KID}) * 2)))),
    "kid-open": ("unprotected header of indefinite length", MALFORMED,
                 _text(PLAIN, unprotected=Raw(open_ended({4: KID})))),
    "untagged": ("no CBOR tag", MALFORMED, _text(PLAIN, tag=None)),
    "tag-other": ("tagged as a COSE_Mac0", MALFORMED, _text(PLAIN, tag=17)),
    "tag-more": ("a CWT tag around it", MALFORMED, text_of(b"\xd8\x3d" + signed(_PAYLOAD))),
    "tag-long": ("the tag in a longer spelling", MALFORMED, text_of(b"\xd8\x12" + signed(_PAYLOAD)[1:])),
    "parts-three": ("no signature at all", MALFORMED, text_of(tagged(18, _RIGHT[:3]))),
    "parts-five": ("a part more", MALFORMED, text_of(tagged(18, [*_RIGHT, b""]))),
    "parts-open": ("parts of indefinite length", MALFORMED, text_of(tagged(18, Raw(open_ended(_RIGHT))))),
    "trailing": ("a byte behind the message", MALFORMED, text_of(signed(_PAYLOAD) + b"\0")),
    "cut-short": ("the last three characters are missing", MALFORMED, _text(PLAIN)[:-3]),
    "lower-case": ("base45 is upper case only", MALFORMED, "CN1:" + _text(PLAIN)[4:].lower()),
    "prefix-other": ("another prefix", MALFORMED, "CN2:" + _text(PLAIN)[4:]),
    "prefix-missing": ("no prefix", MALFORMED, _text(PLAIN)[4:]),
    "space": ("a space before it", MALFORMED, " " + _text(PLAIN)),
    "nothing": ("the prefix alone", MALFORMED, "CN1:"),
    "too-long": ("longer than a QR code holds", MALFORMED, _text(replace(PLAIN, reference="x" * 3_000))),
    "deep": ("2,500 lists in one another", MALFORMED, text_of(b"\x81" * 2_500 + b"\0")),
    "deep-enough": ("390 lists: cbor2 reads it", MALFORMED, text_of(b"\x81" * 390 + b"\0")),
}

# -- a pass that is read, with a secret that must not open

_BOUND = binding_of(CARRIED)
_CLAIM = template_claim(TEMPLATE)


def _box(**wrong: Any) -> bytes:
    return sealed(_CLAIM, _BOUND, **wrong)


_SECRET_CASES: dict[str, tuple[str, str, bytes]] = {
    "other-key": ("sealed under another pass's key", ALTERED, _box(key=bytes(32))),
    "moved": ("sealed for another pass", ALTERED, sealed(_CLAIM, binding_of(SEALED))),
    "unbound": ("sealed for no pass", ALTERED, sealed(_CLAIM, b"")),
    "flipped": ("one bit of the ciphertext", ALTERED, _box()[:-1] + bytes([_box()[-1] ^ 1])),
    "no-tag": ("ciphertext without its tag", ALTERED, tagged(16, [b"\xa1\x01\x03", {5: NONCE}, b"\0" * 15])),
    "alg-outside": ("alg in the unprotected header only", MALFORMED, _box(protected=b"", unprotected={1: 3, 5: NONCE})),
    "alg-also-outside": ("alg in both headers", MALFORMED, _box(unprotected={1: 3, 5: NONCE})),
    "alg-other": ("protected header says A128GCM", MALFORMED, _box(protected=b"\xa1\x01\x01")),
    "alg-twice": ("alg twice in the protected header", MALFORMED, _box(protected=b"\xa2\x01\x01\x01\x03")),
    "header-long": ("protected header in a longer spelling", MALFORMED, _box(protected=b"\xa1\x18\x01\x03")),
    "header-open": ("protected header of indefinite length", MALFORMED, _box(protected=b"\xbf\x01\x03\xff")),
    "kid": ("a key id, which the format has not", MALFORMED, _box(unprotected={4: KID, 5: NONCE})),
    "nonce-missing": ("no nonce", MALFORMED, _box(unprotected={})),
    "nonce-short": ("a nonce of 11 bytes", MALFORMED, _box(unprotected={5: NONCE[:11]})),
    "nonce-text": ("a nonce as text", MALFORMED, _box(unprotected={5: NONCE.decode()})),
    "nonce-twice": ("the nonce twice", MALFORMED, _box(unprotected=Raw(mapping(pairs({5: NONCE}) * 2)))),
    "partial-iv": ("a partial nonce", MALFORMED, _box(unprotected={6: NONCE})),
    "trailing": ("a byte behind the message", MALFORMED, _box() + b"\0"),
    "untagged": ("no CBOR tag", MALFORMED, _box(tag=None)),
    "tag-other": ("tagged as a COSE_Sign1", MALFORMED, _box(tag=18)),
    "tag-long": ("the tag in a longer spelling", MALFORMED, b"\xd8\x10" + _box()[1:]),
    "cut-short": ("a byte is missing", MALFORMED, _box()[:-1]),
    "no-cbor": ("no message at all", MALFORMED, b"\xff"),
    "inside-image": ("an image, not a template", MALFORMED, sealed(spell({169: {62: {0: TEMPLATE, 1: 0}}}), _BOUND)),
    "inside-true": ("true is not 1", MALFORMED, sealed(spell({169: {62: {0: TEMPLATE, 1: True}}}), _BOUND)),
    "inside-more": ("something else beside it", MALFORMED,
                    sealed(spell({169: {62: {0: TEMPLATE, 1: 1, 2: 0}}}), _BOUND)),
    "inside-other-claim": ("a claim more", MALFORMED,
                           sealed(spell({1: "x", 169: {62: {0: TEMPLATE, 1: 1}}}), _BOUND)),
    "inside-finger": ("another attribute", MALFORMED, sealed(spell({169: {50: {0: TEMPLATE, 1: 1}}}), _BOUND)),
    "inside-text": ("the template as text", MALFORMED, sealed(spell({169: {62: {0: TEMPLATE.hex(), 1: 1}}}), _BOUND)),
    "inside-list": ("two faces", MALFORMED, sealed(spell({169: {62: [{0: TEMPLATE, 1: 1}] * 2}}), _BOUND)),
    "inside-long": ("the claim in a longer spelling", MALFORMED,
                    sealed(spell({169: {62: {0: Raw(spell(TEMPLATE, 1)), 1: 1}}}), _BOUND)),
    "inside-trailing": ("a byte behind the claim", MALFORMED, sealed(_CLAIM + b"\0", _BOUND)),
    "inside-nothing": ("nothing", MALFORMED, sealed(b"", _BOUND)),
    "inside-key": ("a holder's key in a carried pass", MALFORMED, sealed(HOLDER_KEY, _BOUND)),
}


def vectors() -> dict[str, str]:
    """Return every file by its path below the folder."""
    files: dict[str, dict[str, Any]] = {}
    public = {"public": KEY.public_key().public_bytes_raw().hex()}
    for name, (why, content) in _VALID.items():
        opens = {"pass_key": PASS_KEY.hex(), "opens_to": (
            _INSIDE_512 if name == "carried-512" else INSIDE[content.custody]).hex()} if content.secret else {}
        files[f"valid/{name}.json"] = {
            "why": why, **public, "text": _text(content), **opens, "expect": shown(claims_of(content))}
    for name, (why, text) in {**_field_cases(), **_CLAIM_CASES}.items():
        files[f"invalid/{name}.json"] = {"why": why, **public, "text": text, "expect": MALFORMED}
    for name, (why, code, text) in _FRAME_CASES.items():
        files[f"invalid/frame-{name}.json"] = {"why": why, **public, "text": text, "expect": code}
    for name, (why, code, secret) in _SECRET_CASES.items():
        files[f"invalid-secret/{name}.json"] = {
            "why": why, **public, "text": _text(replace(CARRIED, secret=secret)), "pass_key": PASS_KEY.hex(),
            "expect": code}
    return {name: json.dumps(value, ensure_ascii=False, indent=1) + "\n" for name, value in sorted(files.items())}


def main() -> None:
    """Write the folder anew."""
    for old in FOLDER.glob("*/*.json"):
        old.unlink()
    for name, text in vectors().items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
