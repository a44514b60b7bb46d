"""Writes `tests/vectors/door-tokens/`: door tokens under fixed keys, more invalid than valid.

`python -m support.make_door_vectors` in `tests/` writes them anew; a test compares byte for byte. Each file is JSON:
`why`, `public` (hex), `text`, `now`, `gate`, `venue`, and `expect`: the claims that are read, or the code that refuses.
The layout is written out here from docs/formats/door_token.md and taken from no code.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.make_pass_vectors import KEY, KID, OTHER_KEY, signed
from support.spelled import Raw, mapping, open_ended, pairs, spell, tagged

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "door-tokens"
MALFORMED, ALTERED = "door-token-malformed", "door-token-altered"
AT, VENUE, GATE = 1_782_000_000, "0123456789abcdef", "north1"

CLAIMS: dict[int, Any] = {1: VENUE, 2: GATE, 4: AT + 10, 6: AT, 7: bytes(range(16)), -65538: 1}
NAMES = {"iss": 1, "sub": 2, "exp": 4, "iat": 6, "cti": 7, "people": -65538}


def text_of(message: bytes) -> str:
    """Return the text of a token around any message."""
    return "CND1:" + base64.urlsafe_b64encode(message).decode().rstrip("=")


def _text(claims: dict[Any, Any], **wrong: Any) -> str:
    return text_of(signed(spell(claims), **wrong))


_LAST = 253_402_300_799
_VALID: dict[str, tuple[str, dict[int, Any], dict[str, Any]]] = {
    "one": ("one person, now", CLAIMS, {}),
    "family": ("a counted group", CLAIMS | {-65538: 5}, {}),
    "most": ("as many as one token can say", CLAIMS | {-65538: 99}, {}),
    "last-second": ("its last second", CLAIMS, {"now": AT + 9}),
    "slow-clock": ("a controller's clock two seconds behind", CLAIMS, {"now": AT - 2}),
    "short": ("good for one second", CLAIMS | {4: AT + 1}, {}),
    "other-script": ("a gate's name is any text", CLAIMS | {2: "北门-1 é"}, {"gate": "北门-1 é"}),
    "long-names": ("names of 128 bytes", CLAIMS | {1: "v" * 128, 2: "g" * 128},
                   {"venue": "v" * 128, "gate": "g" * 128}),
    "end-of-time": ("the last second of the calendar", CLAIMS | {4: _LAST, 6: _LAST - 10}, {"now": _LAST - 1}),
}

Items = list[tuple[bytes, bytes]]
_OTHER_TYPE: dict[type, Callable[[Any], bytes]] = {
    int: lambda value: spell(str(value)), str: lambda value: spell(value.encode()),
    bytes: lambda value: spell(value.hex())}
_TOO_MUCH: dict[type, Callable[[Any], bytes]] = {
    int: lambda _: tagged(2, (1 << 64).to_bytes(9, "big")), str: lambda value: spell(value + "x" * 129),
    bytes: lambda value: spell(value + b"\0")}
_OPEN: dict[type, Callable[[Any], bytes]] = {
    int: lambda value: tagged(2, value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")), str: open_ended,
    bytes: open_ended}
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


def _field(claim: int, wrong: str) -> str:
    items = pairs(CLAIMS)
    at = [key for key, _ in items].index(spell(claim))
    return text_of(signed(mapping(_WRONG[wrong][1](items, at, claim, CLAIMS[claim]))))


def _renamed(old: int, new: Any) -> str:
    items = [(spell(new) if key == spell(old) else key, value) for key, value in pairs(CLAIMS)]
    return text_of(signed(mapping(sorted(items, key=lambda pair: (len(pair[0]), pair[0])))))


_CLAIM_CASES: dict[str, tuple[str, str]] = {
    "claim-unknown": ("a claim more than the format has", _text(CLAIMS | {99: "x"})),
    "claim-aud": ("a purpose", _text(CLAIMS | {3: "entry"})),
    "claim-person": ("who it is", _text(CLAIMS | {-65537: "10" * 16})),
    "iss-true": ("true is not 1", _renamed(1, True)),  # noqa: FBT003  # the value itself
    "people-true": ("people as true", _text(CLAIMS | {-65538: True})),
    "people-none": ("for nobody", _text(CLAIMS | {-65538: 0})),
    "people-negative": ("for less than nobody", _text(CLAIMS | {-65538: -1})),
    "people-hundred": ("for a hundred", _text(CLAIMS | {-65538: 100})),
    "exp-float": ("exp as a float", _text(CLAIMS | {4: Raw(b"\xfb" + struct.pack(">d", AT + 10))})),
    "exp-date": ("exp as a tagged time", _text(CLAIMS | {4: Raw(tagged(1, AT + 10))})),
    "exp-same": ("good for no time", _text(CLAIMS | {4: AT})),
    "exp-before": ("over before it began", _text(CLAIMS | {4: AT - 1})),
    "exp-eleven": ("good for eleven seconds", _text(CLAIMS | {4: AT + 11})),
    "exp-day": ("good for a day", _text(CLAIMS | {4: AT + 86_400})),
    "exp-never": ("exp after the calendar's end", _text(CLAIMS | {6: _LAST, 4: _LAST + 1})),
    "iat-zero": ("iat 0", _text(CLAIMS | {6: 0, 4: 10})),
    "iat-negative": ("iat before 1970", _text(CLAIMS | {6: -1, 4: 9})),
    "iss-empty": ("of no venue", _text(CLAIMS | {1: ""})),
    "sub-empty": ("for no gate", _text(CLAIMS | {2: ""})),
    "cti-short": ("an id of 15 bytes", _text(CLAIMS | {7: bytes(15)})),
    "cti-empty": ("an empty id", _text(CLAIMS | {7: b""})),
    "list": ("a list, not a map", text_of(signed(spell(list(CLAIMS.values()))))),
    "nothing-said": ("an empty map", text_of(signed(spell({})))),
    "trailing-inside": ("a byte behind the map", text_of(signed(spell(CLAIMS) + b"\0"))),
    "map-open": ("a map of indefinite length", text_of(signed(open_ended(CLAIMS)))),
    "map-long": ("a map under a longer head", text_of(signed(spell(CLAIMS, 1)))),
    "map-tagged": ("a CWT tag", text_of(signed(tagged(61, CLAIMS)))),
}

_GOOD = signed(spell(CLAIMS))
_FRAME_CASES: dict[str, tuple[str, str, str]] = {
    "altered": ("one letter", ALTERED, text_of(_GOOD.replace(b"north1", b"north2"))),
    "more-people": ("one more person", ALTERED, text_of(_GOOD.replace(spell({-65538: 1})[1:], spell({-65538: 2})[1:]))),
    "signature-bit": ("one bit of the signature", ALTERED, text_of(_GOOD[:-1] + bytes([_GOOD[-1] ^ 1]))),
    "other-signer": ("signed by somebody else", ALTERED, _text(CLAIMS, key=OTHER_KEY)),
    "other-kid": ("another key's id", ALTERED, _text(CLAIMS, unprotected={4: bytes(8)})),
    "no-signature": ("an empty signature", ALTERED,
                     text_of(tagged(18, [b"\xa1\x01\x27", {4: KID}, spell(CLAIMS), b""]))),
    "alg-outside": ("alg in the unprotected header only", MALFORMED,
                    _text(CLAIMS, protected=b"", unprotected={1: -8, 4: KID})),
    "alg-also-outside": ("alg in both headers", MALFORMED, _text(CLAIMS, unprotected={1: -8, 4: KID})),
    "alg-other": ("protected header says ES256", MALFORMED, _text(CLAIMS, protected=b"\xa1\x01\x26")),
    "alg-none": ("an empty protected header", MALFORMED, _text(CLAIMS, protected=b"")),
    "header-long": ("protected header in a longer spelling", MALFORMED, _text(CLAIMS, protected=b"\xa1\x18\x01\x27")),
    "header-open": ("protected header of indefinite length", MALFORMED,
                    _text(CLAIMS, protected=b"\xbf\x01\x27\xff")),
    "kid-missing": ("no key id", MALFORMED, _text(CLAIMS, unprotected={})),
    "untagged": ("no CBOR tag", MALFORMED, _text(CLAIMS, tag=None)),
    "tag-other": ("tagged as a COSE_Mac0", MALFORMED, _text(CLAIMS, tag=17)),
    "trailing": ("a byte behind the message", MALFORMED, text_of(_GOOD + b"\0")),
    "cut-short": ("a byte is missing", MALFORMED, text_of(_GOOD[:-1])),
    "unsigned": ("the claims alone", MALFORMED, text_of(spell(CLAIMS))),
    "nothing": ("no text", MALFORMED, ""),
    "prefix-only": ("nothing behind the prefix", MALFORMED, "CND1:"),
    "prefix-missing": ("no prefix", MALFORMED, text_of(_GOOD)[5:]),
    "prefix-of-a-pass": ("the prefix of a pass", MALFORMED, "CN1:" + text_of(_GOOD)[5:]),
    "prefix-small": ("the prefix in small letters", MALFORMED, "cnd1:" + text_of(_GOOD)[5:]),
    "padded": ("with padding", MALFORMED, ""),  # filled in below
    "other-spelling": ("base64url whose last bits say nothing", MALFORMED, ""),  # filled in below
    "other-alphabet": ("standard base64", MALFORMED, ""),  # filled in below
    "line-end": ("a line end behind it", MALFORMED, text_of(_GOOD) + "\n"),
    "blank": ("a blank in it", MALFORMED, text_of(_GOOD)[:40] + " " + text_of(_GOOD)[40:]),
    "too-long": ("longer than any token", MALFORMED, "CND1:" + "A" * 1_020),
    "not-ascii": ("letters that look like others", MALFORMED, text_of(_GOOD).replace("A", "А")),  # noqa: RUF001  # so
}


def _ending() -> bytes:
    """Return a good message whose base64 needs padding and has a letter beyond base64's common 62."""
    for number in range(200):
        message = signed(spell(CLAIMS | {1: VENUE + "v" * (number % 3), 7: bytes([number]) * 16}))
        text = base64.urlsafe_b64encode(message).decode()
        if text.endswith("=") and "-" in text + "_":
            return message
    raise AssertionError


_PADDED = base64.urlsafe_b64encode(_ending()).decode()
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_STEM = _PADDED.rstrip("=")
for _name, _spelled in {
        "padded": _PADDED, "other-spelling": _STEM[:-1] + _ALPHABET[_ALPHABET.index(_STEM[-1]) + 1],
        "other-alphabet": _STEM.replace("-", "+").replace("_", "/")}.items():
    _FRAME_CASES[_name] = (*_FRAME_CASES[_name][:2], "CND1:" + _spelled)

_PLACE_CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "other-gate": ("another gate of the venue", "door-token-other-gate", {"gate": "north2"}),
    "other-case": ("a gate's name in capitals", "door-token-other-gate", {"gate": "NORTH1"}),
    "other-venue": ("another venue's gate of the same name", "door-token-other-venue", {"venue": "f" * 16}),
    "expired": ("its end has come", "door-token-expired", {"now": AT + 10}),
    "long-expired": ("a day later", "door-token-expired", {"now": AT + 86_400}),
    "from-future": ("three seconds ahead", "door-token-from-future", {"now": AT - 3}),
    "other-venue-expired": ("another venue's, and expired", "door-token-other-venue",
                            {"venue": "f" * 16, "now": AT + 10}),
}


def shown(claims: dict[int, Any]) -> dict[str, Any]:
    """Return claims as JSON can hold them."""
    return {str(name): value.hex() if isinstance(value, bytes) else value for name, value in claims.items()}


def vectors() -> dict[str, str]:
    """Return every file by its path below the folder."""
    files: dict[str, dict[str, Any]] = {}
    here = {"public": KEY.public_key().public_bytes_raw().hex(), "now": AT, "gate": GATE, "venue": VENUE}
    for name, (why, claims, place) in _VALID.items():
        files[f"valid/{name}.json"] = {"why": why, **here, **place, "text": _text(claims), "expect": shown(claims)}
    fields = {f"{name}-{wrong}": (f"{name} {why}", _field(claim, wrong))
              for name, claim in NAMES.items() for wrong, (why, _) in _WRONG.items()}
    for name, (why, text) in {**fields, **_CLAIM_CASES}.items():
        files[f"invalid/{name}.json"] = {"why": why, **here, "text": text, "expect": MALFORMED}
    for name, (why, code, text) in _FRAME_CASES.items():
        files[f"invalid/frame-{name}.json"] = {"why": why, **here, "text": text, "expect": code}
    for name, (why, code, place) in _PLACE_CASES.items():
        files[f"invalid/place-{name}.json"] = {"why": why, **here, **place, "text": _text(CLAIMS), "expect": code}
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
