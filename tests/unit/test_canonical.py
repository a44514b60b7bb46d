"""Deterministic CBOR: bytes written by hand from RFC 8949, so that both ways are held to it and not to cbor2."""

from __future__ import annotations

from typing import Any

import pytest

from countenance.errors import BadInput
from countenance.formats import canonical

GOOD: list[tuple[str, Any]] = [
    ("00", 0), ("17", 23), ("1818", 24), ("1903e8", 1000), ("20", -1), ("3903e7", -1000),
    ("1bffffffffffffffff", 2**64 - 1), ("c249010000000000000000", 2**64),
    ("f4", False), ("f5", True), ("f6", None), ("4401020304", b"\1\2\3\4"), ("62c3bc", "ü"),
    ("83010203", [1, 2, 3]), ("a0", {}), ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("a3016161206162186461" + "63", {1: "a", -1: "b", 100: "c"}),  # length first: 1, -1, 100
]

BAD = [
    ("duplicate key", "a201000101"), ("duplicate key, true and one", "a2010af50b"),
    ("long integer", "1817"), ("long integer, 2 bytes", "190018"), ("long length of a text", "780161"),
    ("long length of a list", "980100"), ("indefinite list", "9f01ff"), ("indefinite map", "bf0102ff"),
    ("indefinite bytes", "5f4101ff"), ("indefinite text", "7f6161ff"),
    ("unsorted map", "a203040102"), ("map sorted bytewise", "a2186400" + "2000"),
    ("trailing byte", "0000"), ("trailing value", "a0a0"), ("nothing", ""), ("cut short", "830102"),
    ("half float", "f93c00"), ("float", "fb3ff8000000000000"), ("NaN", "f97e00"), ("float in a map", "a101f93c00"),
    ("undefined", "f7"), ("undefined in a list", "81f7"), ("simple value", "f0"), ("simple value, long", "f8ff"),
    ("break", "ff"), ("bad UTF-8", "61ff"), ("surrogate", "63eda080"),
    ("date as text", "c074323031332d30332d32315432303a30343a30305a"), ("date as number", "c11a514b67b0"),
    ("small integer as a bignum", "c24101"), ("bignum with leading zero", "c24a00010000000000000000"),
    ("set", "d9010281" + "01"), ("self-described", "d9d9f700"), ("decimal", "c48221196ab3"),
    ("regular expression", "d8236128"), ("UUID", "d82550" + "00" * 16), ("list that holds itself", "d81c81d81d00"),
    ("shared", "d81c8100"), ("fraction", "d81e820103"), ("IP address", "d9010444c0000201"),
    ("huge length", "5bffffffffffffffff"), ("huge list", "9bffffffffffffffff"), ("reserved length", "1c"),
]


@pytest.mark.parametrize(("spelled", "value"), GOOD)
def test_one_value_has_one_encoding(spelled: str, value: Any) -> None:
    assert canonical.encode(value).hex() == spelled
    assert canonical.decode(bytes.fromhex(spelled), "thing") == value


@pytest.mark.parametrize("spelled", [spelled for _, spelled in BAD], ids=[name for name, _ in BAD])
def test_every_other_spelling_is_refused(spelled: str) -> None:
    with pytest.raises(BadInput) as caught:
        canonical.decode(bytes.fromhex(spelled), "thing")
    assert caught.value.code == "thing-malformed"


@pytest.mark.parametrize("depth", [300, 399, 400, 5_000, 200_000])
def test_deep_nesting_is_refused_and_not_a_crash(depth: int) -> None:
    def called_from(level: int) -> None:  # a server calls from deep down its own stack
        if level:
            return called_from(level - 1)
        with pytest.raises(BadInput) as caught:
            canonical.decode(b"\x81" * depth + b"\x00", "thing")
        assert caught.value.code == "thing-malformed"
        return None

    called_from(300)


def test_too_much_is_refused_unread() -> None:
    longest = canonical.encode(b"x" * (canonical.LARGEST - 5))
    assert len(longest) == canonical.LARGEST
    assert canonical.decode(longest, "thing") == b"x" * (canonical.LARGEST - 5)
    with pytest.raises(BadInput):
        canonical.decode(canonical.encode(b"x" * (canonical.LARGEST - 4)), "thing")
