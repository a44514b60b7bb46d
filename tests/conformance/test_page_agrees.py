"""The page's JavaScript and the Python verifier say the same of every vector: verdict, step, code, names of the steps.

Run in Chromium, twice: with the browser's own Ed25519, and with the page's. A page sees evidence.json and evidence.sig
only, so a vector whose fault is in the ZIP around them is compared with what Python says of those two files alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from countenance.errors import BadInput, CountenanceError
from countenance.formats import canonical, evidence, signed_note, trust
from countenance.formats.signed_note import LOG, NoteKey
from countenance.formats.trust import Trust
from countenance.verifier import checkpoints, page_builder, receipts
from countenance.verifier import evidence as evidence_verifier
from countenance.verifier.report import Report
from support import browser
from support.browser import Tab
from support.make_proof_vectors import NEUTRAL

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
WHERE = {"receipts": "verifyReceipt", "checkpoints": "verifyCheckpoint", "evidence": "verifyEvidence"}
FALLBACK = pytest.mark.parametrize("fallback", [False, True], ids=["webcrypto", "fallback"])
SEED = 20_270_115
P = 2**255 - 19
ORDER_8 = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")

Case = tuple[str, list[str | None], str | None, dict[str, Any]]
"""Name, the texts to verify, the trust file's text, the vector's line in its index."""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "bare.html").write_text(
        f'<!doctype html><meta charset="utf-8"><script>{page_builder.script()}</script>', encoding="utf-8")
    with browser.opened(folder / "profile") as opened:
        opened.go(folder / "bare.html")
        yield opened
        assert opened.faults() == []
        assert opened.asked() == []


def of_page(tab: Tab, function: str, cases: list[list[str | None]], fallback: bool) -> list[dict[str, Any]]:
    """Return what the page says of each list of texts, the trust file's last."""
    found: list[dict[str, Any]] = tab.call(
        """async (name, cases, fallback) => {
            window.countenance.forceFallback = fallback;
            const found = [];
            for (const texts of cases) found.push(await window.countenance[name](...texts));
            return found;
        }""", function, cases, fallback)
    return found


def told(report: Report) -> dict[str, Any]:
    """Return what is compared, of Python."""
    whole = report.value()
    steps = [{name: step[name] for name in ("number", "name", "outcome", "code")} for step in whole["steps"]]
    return {"verdict": whole["verdict"], "step": whole["step"], "code": whole["code"], "steps": steps}


def told_by_page(found: dict[str, Any]) -> dict[str, Any]:
    steps = [{name: step[name] for name in ("number", "name", "outcome", "code")} for step in found["steps"]]
    return {"verdict": found["verdict"], "step": found["step"], "code": found["code"], "steps": steps}


def read_trust(text: str | None) -> Trust | None:
    return None if text is None else trust.parse(text)


def of_python(folder: str, texts: list[str | None], trusted: str | None) -> Report:
    first = texts[0]
    assert first is not None
    if folder == "evidence":
        return evidence_verifier.verify_facts(first, texts[1], read_trust(trusted))
    if folder == "receipts" and first.startswith("["):
        return receipts.verify_list(first, read_trust(trusted))
    return {"receipts": receipts, "checkpoints": checkpoints}[folder].verify(first, read_trust(trusted))


def index_of(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / folder / "index.json").read_text(encoding="utf-8"))
    return found


def texts_of(folder: str, line: dict[str, Any]) -> list[str | None] | None:
    """Return the texts of a vector; None where not even evidence.json can be taken out of it."""
    data = (VECTORS / folder / line["file"]).read_bytes()
    try:
        if folder != "evidence":
            return [data.decode()]
        if line["file"].endswith(".json"):
            return [data.decode(), None]
        files = evidence.open_zip(data)
    except (UnicodeDecodeError, BadInput):
        return None
    return [files.facts, files.signature]


def cases_of(folder: str) -> tuple[list[Case], list[str]]:
    """Return the vectors that a page can see, and the names of those that it cannot."""
    seen: list[Case] = []
    unseen = []
    for line in index_of(folder):
        texts = texts_of(folder, line)
        if texts is None or (line["step"] is None and line["verdict"] == "refused"):
            unseen.append(line["file"])
            continue
        trusted = line["trust"] and (VECTORS / folder / line["trust"]).read_text(encoding="utf-8")
        seen.append((line["file"], texts, trusted, line))
    return seen, unseen


@FALLBACK
@pytest.mark.parametrize("folder", WHERE)
def test_the_page_says_of_every_vector_what_python_says(tab: Tab, folder: str, fallback: bool) -> None:
    cases, unseen = cases_of(folder)
    assert len(cases) > 20
    assert len(unseen) < len(cases) / 3, unseen
    assert {line["verdict"] for _, _, _, line in cases} == {"verified", "self-consistent", "refused"}
    found = of_page(tab, WHERE[folder], [[*texts, trusted] for _, texts, trusted, _ in cases], fallback)
    other_by_index = []
    for (name, texts, trusted, line), one in zip(cases, found, strict=True):
        assert told_by_page(one) == told(of_python(folder, texts, trusted)), name
        if any(one[member] != line[member] for member in ("verdict", "step", "code")):
            other_by_index.append(name)
    in_the_zip = [line["file"] for _, _, _, line in cases if folder == "evidence" and of_zip_only(line)]
    assert other_by_index == in_the_zip


def of_zip_only(line: dict[str, Any]) -> bool:
    """Say whether a vector's fault is in evidence.html, manifest.sig or between the files: Python finds none in the
    two texts that a page has in it, but refuses the ZIP.
    """
    texts = texts_of("evidence", line)
    assert texts is not None
    trusted = line["trust"] and (VECTORS / "evidence" / line["trust"]).read_text(encoding="utf-8")
    alone = of_python("evidence", texts, trusted)
    return line["verdict"] == "refused" and alone.verdict != "refused"


@pytest.mark.parametrize("folder", ["receipts", "checkpoints"])
def test_the_page_refuses_the_trust_files_that_python_refuses(tab: Tab, folder: str) -> None:
    lines = [line for line in index_of(folder) if line["code"] == "trust-malformed"]
    assert lines
    for line in lines:
        text = (VECTORS / folder / line["trust"]).read_text(encoding="utf-8")
        with pytest.raises(BadInput):
            trust.parse(text)
        assert tab.call("(name, text) => window.countenance[name]('', text).catch((error) => error.code)",
                        WHERE[folder], text) == "trust-malformed"


def test_both_take_the_same_trust_files(tab: Tab) -> None:
    dice = random.Random(SEED)  # noqa: S311  # the same cases in every run
    right = (VECTORS / "receipts" / "zoo.trust").read_text(encoding="utf-8")
    odd = [right + more for more in (
        "need 2\n", "\n#\u2028log x\n", "\ufeff", "\x1f#\n", "need\n", "\u0085\n", "# \r need 9")]
    hidden = right.replace("need 2", "# all of them")
    odd += [hidden + f"# a note{end}need 0\n" for end in ("\r", "\v", "\f", "\x1c", "\u0085", "\u2028", "\u2029", "\n")]
    odd += [(VECTORS / "receipts" / f"{name}.trust").read_text(encoding="utf-8") for name in (
        "small-order", "wide-name", "two-names", "log-as-witness")]
    odd += [right.replace("need 2", f"need {number}") for number in (
        "0", "1", "3", "-1", "1 ", " 1", "\u0661", "0" * 12, "0002", "00002")]
    texts = [right, *odd, "\ufeff" + right, right.replace("\n", "\r\n"), *(mutated(right, dice) for _ in range(500))]
    found = tab.call("""(texts) => Promise.all(texts.map((text) => window.countenance.verifyReceipt("", text).then(
        () => true, (error) => error.code !== "trust-malformed" && error.message)))""", texts)
    assert found == [_is_trust(text) for text in texts]
    assert 10 < sum(found) < len(found) - 100


def _is_trust(text: str) -> bool:
    try:
        trust.parse(text)
    except BadInput:
        return False
    return True


def mutated(text: str, dice: random.Random) -> str:
    """Return a text with one small change that leaves it a text."""
    at = dice.randrange(len(text))
    kind = dice.randrange(5)
    if kind == 0:
        return text[:at] + text[at + 1:]
    if kind == 1:
        return text[:at] + dice.choice('"{}[]:, \n\\0123456789abcdefAZ+/=<\u2028\u00e9\U0001f600-.eE') + text[at:]
    if kind == 2:
        end = min(len(text), at + dice.randrange(1, 60))
        return text[:at] + text[at:end] + text[at:end] + text[end:]
    if kind == 3:
        other = dice.randrange(len(text))
        low, high = min(at, other), max(at, other)
        return text if low == high else text[:low] + text[high] + text[low + 1:high] + text[low] + text[high + 1:]
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]


def test_the_page_says_of_lists_of_receipts_what_python_says(tab: Tab) -> None:
    read = {name: (VECTORS / "receipts" / f"{name}.receipt").read_text(encoding="utf-8")
            for name in ("enrolment", "erasure", "person-changed", "unlogged")}
    trusted = (VECTORS / "receipts" / "zoo.trust").read_text(encoding="utf-8")
    lists = [evidence.spelled([json.loads(read[name]) for name in names]) for names in (
        ("enrolment", "erasure"), ("enrolment",), ("erasure", "unlogged"), ("enrolment", "person-changed"), ())]
    lists += [lists[0] + "\n", lists[0].replace(" ", "  ", 1), "[", "[" * 500, "[1]\n", "[\n 1\n]\n"]
    cases: list[list[str | None]] = [[text, given] for text in lists for given in (trusted, None)]
    verdicts = []
    for (text, given), one in zip(cases, of_page(tab, "verifyReceipt", cases, fallback=False), strict=True):
        assert told_by_page(one) == told(of_python("receipts", [text], given)), text
        verdicts.append(one["verdict"])
    assert verdicts[:4] == ["verified", "self-consistent"] * 2
    assert set(verdicts[6:]) == {"refused"}


@pytest.mark.parametrize("folder", WHERE)
def test_the_page_says_of_altered_files_what_python_says(tab: Tab, folder: str) -> None:
    dice = random.Random(SEED)  # noqa: S311  # the same cases in every run
    right = [case for case in cases_of(folder)[0] if case[3]["verdict"] != "refused"]
    originals = {texts[0] for _, texts, _, _ in right}
    cases: list[list[str | None]] = []
    while len(cases) < 400:
        _, texts, trusted, _ = dice.choice(right)
        first = texts[0]
        assert first is not None
        cases.append([mutated(first, dice), *texts[1:], trusted])
    for texts, one in zip(cases, of_page(tab, WHERE[folder], cases, fallback=False), strict=True):
        assert told_by_page(one) == told(of_python(folder, texts[:-1], texts[-1])), texts[0]
        if folder != "checkpoints":  # an unknown cosignature may be anything
            assert one["verdict"] == "refused" or texts[0] in originals


def test_both_take_the_same_names_and_public_keys(tab: Tab) -> None:
    keys = [NEUTRAL, bytes(32), bytes([5]) * 32, *((number).to_bytes(32, "little") for number in (
        2, P - 2, P - 1, P, P + 1, 2**255 - 1, 2**255, 2**255 + 1, 2**255 + P - 1, 2**256 - 1)), ORDER_8]
    texts = [NoteKey("w", LOG, key).text for key in keys]
    texts += [NoteKey(f"w{letter}", LOG, bytes([5]) * 32).text for letter in map(
        chr, [*range(300), 0x3000, 0x4e2d, 0x1f600, 0x1fae9, 0xe0041, 0x10ffff])]
    found = tab.call("""(texts) => texts.map((text) => {
        try { return window.countenance.inner.readKey(text, [1], "note-key").text === text; } catch (error) {
            if (error.code !== "note-key") throw error;
            return false;
        }
    })""", texts)
    assert found == [_is_key(text) for text in texts]
    assert sum(found[len(keys):]) == 0x7e - 0x21
    assert found[:len(keys)] == [False, False, True, True, True, *[False] * 9]


def _is_key(text: str) -> bool:
    try:
        return signed_note.read_key(text).text == text
    except BadInput:
        return False


def test_both_refuse_half_a_letter(tab: Tab) -> None:
    texts = [f'{{\n "a": "{text}"\n}}\n' for text in ("x", "\U0001f600", "\\ud800", "\\udfff", "\\ud83d\\ude00")]
    texts.append('{\n "\\udbff": 1\n}\n')
    found = tab.call("""(texts) => texts.map((text) => {
        try { return window.countenance.inner.readJson(text, "x").size; } catch { return null; }
    })""", texts)
    assert found == [1, 1, None, None, None, None]


def _some_value(dice: random.Random, level: int = 0) -> Any:
    kind = dice.randrange(8 if level < 4 else 5)
    if kind == 0:
        return dice.choice([0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**32, 2**53, 2**64 - 1, 2**64, -1, -24, -2**64,
                            -2**64 - 1, -2**70])
    if kind == 1:
        return "".join(dice.choice("ab\u00e9\u4e2d\U0001f600\ufeff\0") for _ in range(dice.randrange(30)))
    if kind == 2:
        return dice.randbytes(dice.randrange(40))
    if kind in (3, 4):
        return dice.choice([True, False, None])
    if kind == 5:
        return [_some_value(dice, level + 1) for _ in range(dice.randrange(5))]
    names = [_some_value(dice, 9), dice.randrange(99), "k" * dice.randrange(9)]
    return {dice.choice(names): _some_value(dice, level + 1) for _ in range(dice.randrange(5))}


def _python_reads(data: bytes) -> bool:
    try:
        canonical.decode(data, "entry")
    except CountenanceError:
        return False
    return True


def test_both_read_the_same_cbor_and_write_it_again_the_same(tab: Tab) -> None:
    dice = random.Random(SEED)  # noqa: S311  # the same cases in every run
    right = [canonical.encode(_some_value(dice)) for _ in range(1_000)]
    wrong = []
    for data in right:
        at = dice.randrange(len(data))
        wrong.append(data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1:])
        wrong.append(data[:at] + dice.randbytes(dice.randrange(3)) + data[at + 1:])
    wrong += [dice.randbytes(dice.randrange(1, 12)) for _ in range(2_000)]
    found = tab.call("""(all) => all.map((hex) => {
        const { decodeCbor, encodeCbor, hexOf, fromHex } = window.countenance.inner;
        try { return hexOf(encodeCbor(decodeCbor(fromHex(hex), "entry-malformed"))); } catch (e) {
            if (e.code !== "entry-malformed") throw e;
            return null;
        }
    })""", [data.hex() for data in right + wrong])
    assert found[:len(right)] == [data.hex() for data in right]
    for data, written in zip(wrong, found[len(right):], strict=True):
        assert written == (data.hex() if _python_reads(data) else None), data.hex()
    assert 100 < sum(map(_python_reads, wrong)) < len(wrong) - 100
