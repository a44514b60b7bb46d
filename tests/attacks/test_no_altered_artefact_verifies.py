"""No altered artefact verifies: more than 100,000 of them, each other than what a venue handed out.

Bytes are flipped, put in, left out, swapped and cut; fields are changed and spelled rightly again, with the venue's
signature left as it was, or signed anew by somebody else, with or without naming their own key. Nothing but an error
with a code comes out. Without a trust file, only what was signed anew throughout by keys of the forger's own holds
together, and nothing can tell.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput
from countenance.formats import checkpoints, evidence, log_entries, receipts, signed_note, strict64
from countenance.formats.trust import Trust
from countenance.quantities import Instant
from countenance.verifier import files
from countenance.verifier import receipts as judge_of_receipts
from support.make_proof_vectors import (
    ELSE_KEY,
    ENROLMENT,
    ERASURE,
    EVIDENCE,
    FACTS,
    NOTE,
    ORIGIN,
    RECEIPT_NAME,
    RENEWAL,
    SELF,
    SIZE,
    TRUST,
    VENUE_EVIDENCE,
    VERIFIED,
    WHOLE,
    clear_entries,
    zipped,
)
from support.make_proof_vectors import MINE as EVENTS
from support.make_proof_vectors import page as page_of
from support.make_proof_vectors import trusts as all_trusts
from support.small_log import private_key

BELIEVED: Trust = all_trusts()[TRUST]
RECEIPTS = [ENROLMENT, RENEWAL, ERASURE, WHOLE]
SIGNATURE = evidence.open_zip(EVIDENCE).signature
MINE = signed_note.key_of(ELSE_KEY, RECEIPT_NAME).text
"""The forger's key, under the venue's name."""

BYTES = {"receipts": 26_000, "ZIP": 40_000, "facts": 10_000, "checkpoints": 26_000}
FIELDS = {"receipts": 2_500, "evidence": 1_000}
"""How many of each; each of FIELDS is tried in three ways, with and without a trust file."""


def verdict(data: bytes, trust: Trust | None = BELIEVED, signature: str | None = None) -> str:
    """Return the verdict, or the code of what was not even known for what it is."""
    try:
        report = files.verify_bytes(data, trust, signature)
    except BadInput as error:
        return error.code
    assert (report.failed is None) == (report.verdict != "refused")
    return report.verdict


def altered_bytes(data: bytes, dice: random.Random, other: bytes) -> bytes:
    """Return other bytes than these, by one small change."""
    place, length = dice.randrange(len(data)), dice.randint(1, 12)
    end, elsewhere = place + length, dice.randrange(len(data))
    way = dice.randrange(8)
    if way == 0:
        return data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1:]
    if way == 1:
        return data[:place] + bytes([dice.randrange(256)]) + data[place + 1:]
    if way == 2:
        return data[:place] + data[end:]
    if way == 3:
        return data[:place] + dice.randbytes(length) + data[place:]
    if way == 4:
        return data[:place] + data[elsewhere:elsewhere + length] + data[place:]
    if way == 5:
        return data[:place] + data[elsewhere:elsewhere + length] + data[end:]
    if way == 6:
        return data[:place] if dice.random() < 0.5 else data[place:]
    return data[:place] + other[place:end] + data[end:]


def many(originals: list[bytes], number: int, seed: int) -> Iterator[bytes]:
    """Give so many altered artefacts, none of which is one of the originals."""
    dice = random.Random(seed)  # noqa: S311  # the same alterations each time
    while number:
        made = altered_bytes(dice.choice(originals), dice, dice.choice(originals))
        if made not in originals:
            number -= 1
            yield made


@pytest.mark.parametrize(("what", "originals", "signature"), [
    ("receipts", [text.encode() for text in RECEIPTS], None), ("ZIP", [EVIDENCE, VENUE_EVIDENCE], None),
    ("facts", [FACTS.encode()], SIGNATURE), ("checkpoints", [NOTE.encode()], None)])
def test_no_altered_bytes_verify(what: str, originals: list[bytes], signature: str | None) -> None:
    assert {verdict(original, BELIEVED, signature) for original in originals} == {VERIFIED}
    seen = Counter(verdict(made, BELIEVED, signature) for made in many(originals, BYTES[what], 4))
    assert VERIFIED not in seen
    assert SELF not in seen
    assert seen.total() == BYTES[what]


@pytest.mark.parametrize(("what", "originals"), [
    ("receipts", [text.encode() for text in RECEIPTS]), ("ZIP", [EVIDENCE, VENUE_EVIDENCE])])
def test_no_altered_bytes_hold_together_even_without_a_trust_file(what: str, originals: list[bytes]) -> None:
    """A checkpoint alone has no key with it, so there nothing was checked, and the report says so."""
    assert {verdict(original, None) for original in originals} == {SELF}
    seen = Counter(verdict(made, None) for made in many(originals, BYTES[what] // 20, 5))
    assert VERIFIED not in seen
    assert SELF not in seen


# --- fields


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path to each value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield (*here, name)
        yield from paths(one, (*here, name))


def _other_text(text: str, dice: random.Random) -> str:
    if not text:
        return "x"
    place = dice.randrange(len(text))
    letter = dice.choice("0123456789abcdefABCDEF+/= \n-Z\u2014é" + text)
    return dice.choice([text[:place] + letter + text[place + 1:], text[:place], text[:place] + letter + text[place:],
                        text[::-1], text.upper(), ""])


def _other_value(value: Any, dice: random.Random) -> Any:
    if isinstance(value, bool) or value is None:
        return dice.choice([True, False, None, 1, 0, ""])
    if isinstance(value, int):
        return dice.choice([value + 1, value - 1, -value, 0, value ^ 256, True, str(value), 1 << 60, None])
    if isinstance(value, str):
        return dice.choice([_other_text(value, dice), _other_text(value, dice), None, 0, [value]])
    if isinstance(value, list):
        return dice.choice([value[:-1], value[1:], value[::-1], [*value, *value[-1:]], [], [*value, 0], None])
    return dice.choice([{}, None, {**value, "more": 1}, list(value)])


def altered_fields(text: str, dice: random.Random, other: str) -> dict[str, Any]:
    """Return a file's content with one field changed, taken away, or taken from another file."""
    body: dict[str, Any] = json.loads(text)
    donor = json.loads(other)
    path = dice.choice(list(paths(body)))
    inside = body
    for name in path[:-1]:
        inside = inside[name]
        donor = donor[name] if isinstance(donor, dict) and name in donor else donor
    way, last = dice.randrange(6), path[-1]
    if way == 0:
        del inside[last]
    elif way == 1 and isinstance(last, str):
        inside[_other_text(last, dice)] = inside.pop(last)
    elif way == 2 and isinstance(donor, dict) and last in donor:
        inside[last] = donor[last]
    else:
        inside[last] = _other_value(inside[last], dice)
    return body


def _forged_receipts(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    facts = {name: value for name, value in body.items() if name not in ("format", "events", "signed")}
    mine = {**facts, "keys": {**facts["keys"], "receipt": MINE}} if isinstance(facts.get("keys"), dict) else facts
    yield "as it was", evidence.spelled(body).encode()
    for how, said in (("signed anew", facts), ("own key", mine)):
        try:
            events = receipts.proven(body)
            yield how, receipts.write(said, events, ELSE_KEY, receipts.cose.key_id(ELSE_KEY.public_key())).encode()
        except (BadInput, TypeError, ValueError):  # events that no writer would write
            yield how, evidence.spelled({**body, **said}).encode()


def _forged_evidence(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    files_before = evidence.open_zip(EVIDENCE)
    text = evidence.spelled(body)
    mine = {**body, "keys": {**body["keys"], "receipt": MINE}} if isinstance(body.get("keys"), dict) else body
    html = page_of(text, files_before.signature)
    yield "as it was", evidence.Files(html, text, files_before.signature, files_before.manifest).encode()
    yield "signed anew", zipped(text, ELSE_KEY)
    yield "own key", zipped(evidence.spelled(mine), ELSE_KEY)


Forge = Callable[[dict[str, Any]], Iterator[tuple[str, bytes]]]


@pytest.mark.parametrize(("what", "originals", "forged"), [
    ("receipts", RECEIPTS, _forged_receipts),
    ("evidence", [FACTS, evidence.open_zip(VENUE_EVIDENCE).facts], _forged_evidence)])
def test_no_altered_fields_verify_whoever_signs_them(what: str, originals: list[str], forged: Forge) -> None:
    dice = random.Random(6)  # noqa: S311  # the same alterations each time
    seen: Counter[tuple[str, str]] = Counter()
    alone: Counter[tuple[str, str]] = Counter()
    for _ in range(FIELDS[what]):
        text = dice.choice(originals)
        body = altered_fields(text, dice, dice.choice(originals))
        if evidence.spelled(body) in originals:
            continue
        for how, data in forged(body):
            seen[how, verdict(data)] += 1
            alone[how, verdict(data, None)] += 1
    assert {how for how, _ in seen} == {"as it was", "signed anew", "own key"}
    assert {(how, found) for how, found in (*seen, *alone) if found == VERIFIED} == set()
    assert {how for how, found in seen if found == SELF} == set()
    assert {how for how, found in alone if found == SELF} == {"own key"}  # nobody can tell, without a trust file
    assert seen.total() + alone.total() > FIELDS[what] * 5


def test_no_checkpoint_signed_anew_verifies() -> None:
    """Whoever signs it, under whatever name, with the true cosignatures left below or without."""
    forger, found = private_key("forger"), signed_note.parse(NOTE)
    head = checkpoints.parse(found)
    texts = [found.text, checkpoints.Checkpoint(ORIGIN, SIZE + 1, head.root).text,
             checkpoints.Checkpoint(ORIGIN, SIZE, bytes(32)).text]
    for text in texts:
        mine = [signed_note.sign(text, ORIGIN, forger), *(
            signed_note.cosign(text, key.name, forger, Instant(1)) for key in BELIEVED.witnesses)]
        renamed = [signed_note.Signature(old.name, old.key_id, new.value)
                   for old, new in zip(found.signatures, mine, strict=True)]
        for lines in (mine, renamed, [mine[0], *found.signatures[1:]], [renamed[0], *found.signatures[1:]],
                      [found.signatures[0], *mine[1:]], [found.signatures[0], *renamed[1:]]):
            assert verdict(signed_note.Note(text, tuple(lines)).encode().encode()) == "refused"


def test_the_attack_sees_a_verifier_that_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison of the readable part with the signed one, altered receipts verify, and it is noticed."""
    monkeypatch.setattr(judge_of_receipts.receipts, "read", lambda text, _key: receipts.split(text)[0])
    seen = Counter(verdict(made) for made in many([text.encode() for text in RECEIPTS], 2_000, 4))
    assert seen[VERIFIED] > 10


def test_there_are_a_hundred_thousand_of_them() -> None:
    assert sum(BYTES.values()) >= 100_000


READERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "receipt": (ENROLMENT.encode(), lambda data: _receipt_again(data.decode())),
    "evidence.json": (FACTS.encode(), lambda data: evidence.spelled(evidence.parse(data.decode()).value()).encode()),
    "ZIP": (EVIDENCE, lambda data: evidence.open_zip(data).encode()),
    "note": (NOTE.encode(), lambda data: signed_note.parse(data.decode()).encode().encode()),
    "checkpoint": (NOTE.encode(), lambda data: _checkpoint_again(data.decode())),
    "key": (MINE.encode(), lambda data: signed_note.read_key(data.decode()).text.encode()),
    "entry": (clear_entries()[2], lambda data: _entry_again(data)),
    "record": (EVENTS[0].record, lambda data: log_entries.read_record(data).encode()),
}
"""For each format something in it, and what reads bytes and writes again what was read."""


def _receipt_again(text: str) -> bytes:
    body, message = receipts.split(text)
    events = [event.value() for event in receipts.proven(body)]
    return evidence.spelled({**body, "events": events, "signed": strict64.encode(message)}).encode()


def _checkpoint_again(text: str) -> bytes:
    note = signed_note.parse(text)
    return signed_note.Note(checkpoints.parse(note).text, note.signatures).encode().encode()


def _entry_again(data: bytes) -> bytes:
    found = log_entries.parse(data)
    if isinstance(found, bytes):
        return log_entries.sealed(found)
    return log_entries.clear(found.type, found.at, found.body)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_whatever_is_read_is_written_again_the_same(name: str, data: st.DataObject) -> None:
    original, again = READERS[name]
    assert again(original) == original
    place, end = data.draw(st.integers(0, len(original))), data.draw(st.integers(0, 6))
    new = data.draw(st.binary(max_size=4) | st.sampled_from([original[at:at + 3] for at in range(len(original))]))
    changed = original[:place] + new + original[place + end:]
    try:
        written = again(changed)
    except (BadInput, UnicodeDecodeError):
        return
    assert written == changed
