"""Trust files: whom to believe, and files that would make a reader believe somebody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.errors import BadInput
from countenance.formats import signed_note, trust
from countenance.formats.signed_note import LOG, WITNESS, NoteKey
from countenance.formats.trust import Trust

LOG_KEY, RECEIPT_KEY, FIRST, SECOND, THIRD = (
    signed_note.key_of(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32), name, kind)
    for n, (name, kind) in enumerate([("countenance.invalid/zoo/log", LOG), ("countenance.invalid/zoo/receipt", LOG),
                                      ("w1.example", WITNESS), ("w2.example", WITNESS), ("w3.example", WITNESS)]))
HEAD = "countenance trust 1\n"
BASE = f"{HEAD}log {LOG_KEY.text}\n"
ALL = f"{BASE}receipt {RECEIPT_KEY.text}\nwitness {FIRST.text}\nwitness {SECOND.text}\n"


def code_of(act: Callable[..., object], *given: object) -> str:
    with pytest.raises(BadInput) as caught:
        act(*given)
    return caught.value.code


# -- what is read


@pytest.mark.parametrize("believed", [
    Trust((LOG_KEY,), (), (), 0),
    Trust((LOG_KEY,), (RECEIPT_KEY,), (FIRST, SECOND, THIRD), 2),
    Trust((LOG_KEY,), (RECEIPT_KEY,), (FIRST,), 0),
    Trust((LOG_KEY, NoteKey("countenance.invalid/zoo/log2", LOG, LOG_KEY.public)), (), (FIRST,), 1),
])
def test_a_file_is_read_as_it_was_written(believed: Trust) -> None:
    assert trust.parse(believed.encode()) == believed


def test_a_file_by_hand() -> None:
    text = (f"# whom I believe\r\n\r\n  {trust.FIRST}  \r\n\nwitness {SECOND.text}\n# log {RECEIPT_KEY.text}\n"
            f"\treceipt {RECEIPT_KEY.text}\nneed 1\nlog {LOG_KEY.text}\nwitness {FIRST.text}")
    assert trust.parse(text) == Trust((LOG_KEY,), (RECEIPT_KEY,), (SECOND, FIRST), 1)


def test_without_a_number_every_witness_is_needed() -> None:
    assert trust.parse(ALL).need == 2
    assert trust.parse(BASE).need == 0
    assert trust.parse(ALL + "need 0\n").need == 0


def test_the_longest_file_and_one_character_more() -> None:
    comment = "#" + "x" * (trust.LARGEST - len(BASE) - 1)
    assert trust.parse(BASE + comment) == trust.parse(BASE)
    assert code_of(trust.parse, BASE + comment + "x") == "trust-malformed"


# -- what is no trust file


@pytest.mark.parametrize("text", [
    pytest.param("", id="nothing"),
    pytest.param("\n# only a comment\n", id="comments"),
    pytest.param(HEAD, id="no key"),
    pytest.param(f"log {LOG_KEY.text}\n", id="no first line"),
    pytest.param(f"log {LOG_KEY.text}\n{HEAD}", id="first line last"),
    pytest.param(BASE.replace("1", "2", 1), id="another version"),
    pytest.param(BASE.replace("countenance", "Countenance", 1), id="capital"),
    pytest.param("\ufeff" + BASE, id="a mark before"),
    pytest.param(BASE + HEAD, id="first line twice"),
    pytest.param(f"{HEAD}receipt {RECEIPT_KEY.text}\nwitness {FIRST.text}\n", id="no log"),
    pytest.param(f"{BASE}log {LOG_KEY.text}\n", id="a log twice"),
    pytest.param(f"{ALL}witness {FIRST.text}\n", id="a witness twice"),
    pytest.param(f"{ALL}receipt {RECEIPT_KEY.text}\n", id="a receipt key twice"),
    pytest.param(f"{HEAD}log {FIRST.text}\n", id="a witness for a log"),
    pytest.param(f"{BASE}receipt {FIRST.text}\n", id="a witness for a receipt key"),
    pytest.param(f"{BASE}witness {RECEIPT_KEY.text}\n", id="a log for a witness"),
    pytest.param(f"{BASE}Witness {FIRST.text}\n", id="a word in capitals"),
    pytest.param(f"{BASE}owner {FIRST.text}\n", id="an unknown word"),
    pytest.param(f"{BASE}{FIRST.text}\n", id="no word"),
    pytest.param(f"{BASE}witness\n", id="no key after the word"),
    pytest.param(f"{BASE}witness  {FIRST.text}\n", id="two spaces"),
    pytest.param(f"{BASE}witness\t{FIRST.text}\n", id="tab"),
    pytest.param(f"{BASE}witness {FIRST.text} {SECOND.text}\n", id="two keys on a line"),
    pytest.param(f"{BASE}witness {FIRST.text} # mine\n", id="a comment behind a key"),
    pytest.param(f"{BASE}witness {FIRST.text[:-1]}\n", id="a key cut short"),
    pytest.param(f"{BASE}witness {FIRST.text.replace('w1', 'w9')}\n", id="a key under another name"),
    pytest.param(f"{ALL}need\n", id="need without a number"),
    pytest.param(f"{ALL}need 3\n", id="more than there are"),
    pytest.param(f"{BASE}need 1\n", id="one of none"),
    pytest.param(f"{ALL}need 1\nneed 1\n", id="need twice"),
    pytest.param(f"{ALL}need -1\n", id="below zero"),
    pytest.param(f"{ALL}need +1\n", id="plus sign"),
    pytest.param(f"{ALL}need 1_0\n", id="underscore"),
    pytest.param(f"{ALL}need 1.0\n", id="a fraction"),
    pytest.param(f"{ALL}need  1\n", id="two spaces before the number"),
    pytest.param(f"{ALL}need all\n", id="a word for a number"),
    pytest.param(f"{ALL}need \u0661\n", id="Arabic digit"),
    pytest.param(f"{ALL}need \u00b9\n", id="raised digit"),
    pytest.param(f"{ALL}need {'0' * 5_000}\n", id="5,000 zeros"),
    pytest.param(f"{ALL}need {'9' * 5_000}\n", id="5,000 digits"),
])
def test_what_is_no_trust_file_is_refused(text: str) -> None:
    assert trust.parse(ALL).witnesses == (FIRST, SECOND)
    assert code_of(trust.parse, text) == "trust-malformed"


# -- files that look harmless


@pytest.mark.parametrize("hidden", ["\r", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_a_key_cannot_hide_in_a_comment(hidden: str) -> None:
    """Who reads the file sees one comment; a reader that also breaks lines here would believe the second log."""
    stranger = signed_note.key_of(Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32), "evil.example")
    assert trust.parse(f"{BASE}# note\nlog {stranger.text}\n").logs == (LOG_KEY, stranger)
    assert trust.parse(f"{BASE}# note{hidden}log {stranger.text}\n").logs == (LOG_KEY,)


def test_one_key_under_two_names_is_not_two_witnesses() -> None:
    alias = NoteKey("w9.example", WITNESS, FIRST.public)
    assert trust.parse(f"{BASE}witness {FIRST.text}\nwitness {SECOND.text}\n").need == 2
    assert code_of(trust.parse, f"{BASE}witness {FIRST.text}\nwitness {alias.text}\n") == "trust-malformed"


@pytest.mark.parametrize("own", [LOG_KEY, RECEIPT_KEY])
def test_the_venue_is_no_witness_of_itself(own: NoteKey) -> None:
    """A log's key could also be made to sign the words of a cosignature: tests/unit/test_signed_note.py."""
    alias = NoteKey("w9.example", WITNESS, own.public)
    assert code_of(trust.parse, f"{ALL}witness {alias.text}\n") == "trust-malformed"
