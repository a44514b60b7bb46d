"""The pages of docs/formats say what the code does: modules, labels, claim numbers, uses and codes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import countenance
from countenance.consent.states import State
from countenance.flows import about, renew, withdraw
from countenance.flows import record as flows_record
from countenance.flows.venue import Venue
from countenance.formats import checkpoints, log_entries, merkle, passes, signed_note, tiles, trust
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.log_entries import Clear, Record
from countenance.formats.passes import Custody
from countenance.quantities import Instant, PersonId
from countenance.storage import outbox, schema
from countenance.vault.keys import signing
from support.venue import comes_back, enrolled, says_yes

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "docs" / "formats"
CODE = Path(countenance.__file__).parent
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES.glob("*.md")}
MODULES = {name: re.findall(r"`([a-z_/0-9]+\.py)`", text) for name, text in TEXTS.items()}


def test_there_are_pages() -> None:
    assert {"encoding.md", "pass.md", "notice.md", "receipt.md", "epoch.md", "event.md", "template.md",
            "signers.md", "gone.md", "revocation-list.md"} <= set(TEXTS)


def test_each_module_of_formats_has_its_page() -> None:
    named = {module for modules in MODULES.values() for module in modules}
    modules = {f"formats/{path.name}" for path in (CODE / "formats").glob("*.py") if path.name != "__init__.py"}
    assert len(modules) >= 6
    assert modules <= named


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_each_page_names_modules_that_exist(page: str) -> None:
    assert MODULES[page]
    for module in MODULES[page]:
        assert (CODE / module).is_file() or (REPOSITORY / module).is_file(), module


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_each_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[page]):
        assert (PAGES / target).is_file(), target


def test_the_claims_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (-?\d+) \| ([A-Z_]+) \|", TEXTS["pass.md"], re.M)
    assert len(rows) == 12
    assert {name: int(number) for number, name in rows} == {name: getattr(passes, name) for _, name in rows}
    constants = {name for name, value in vars(passes).items() if name.isupper() and isinstance(value, int)
                 and not name.startswith("_")} - {"LONGEST", "END_OF_TIME"}
    assert {name for _, name in rows} == {name for name in constants if not name.endswith("_BYTES")}
    for name in ("PASS_ID", "FACE_ID", "PACK"):
        row = next(line for line in TEXTS["pass.md"].splitlines() if f"| {name.replace('PASS_ID', 'CTI')} |" in line)
        assert f"{getattr(passes, f'{name}_BYTES')} bytes" in row
    for number, custody in enumerate(Custody):
        assert f"{number} `{custody.value}`" in TEXTS["pass.md"]
    assert f"{passes.LONGEST:,} characters" in TEXTS["pass.md"]
    assert f"`{passes.PREFIX}`" in TEXTS["pass.md"]
    assert all(f"`{custody.value}`" in TEXTS["pass.md"] for custody in Custody)


def test_each_label_of_the_code_is_on_a_page_and_the_other_way_round() -> None:
    pattern = re.compile(r"countenance/[a-z-]+/\d+")
    used = {label for path in CODE.rglob("*.py") for label in pattern.findall(path.read_text("utf-8"))}
    told = {label for text in TEXTS.values() for label in pattern.findall(text)}
    assert len(used) >= 8
    assert told == used


def test_each_code_that_a_page_names_is_raised_somewhere() -> None:
    source = "\n".join(path.read_text("utf-8") for path in CODE.rglob("*.py"))
    codes = {code for text in TEXTS.values()
             for code in re.findall(r"`([a-z]+-(?:malformed|altered|wrong|broken|unknown|expired|text|"
                                    r"other-venue|from-future))`", text)}
    assert len(codes) >= 12
    for code in codes:
        what, _, kind = code.partition("-")
        made = kind in {"malformed", "altered"} and (f'f"{{what}}-{kind}"' in source) and f'"{what}"' in source
        assert f'"{code}"' in source or made, code


def test_each_signing_key_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", TEXTS["signers.md"], re.M)
    assert {row[0] for row in rows} == set(signing.USES)
    assert all(cell.strip() for row in rows for cell in row)


def test_each_event_about_a_person_is_on_its_page() -> None:
    source = "\n".join(path.read_text("utf-8") for path in CODE.rglob("*.py"))
    types = set(re.findall(r'tell_(?:of|of_even_if_lost|for)\(\s*(?:[\w.]+,\s*)?"([a-z-]+)"', source))
    types |= {f"consent-{state.value}" for state in State}
    types |= set(re.findall(r'give\([^)]*"(consent-[a-z]+)"\)', source))
    assert {"decision", "pass-issued", "template-sealed", "person-erased", "consent-renewed", "disclosure"} <= types
    section = TEXTS["event.md"].split("| type | body | when |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.M)
    assert {type_ for row in rows for type_ in re.findall(r"`([a-z-]+)`", row)} == types


def test_the_bodies_of_a_persons_events_are_those_of_the_page(venue: Venue) -> None:
    """Of every type that a person's life brings forth here."""
    told: dict[str, set[str]] = {}

    def look(person: PersonId) -> None:
        with venue.store.read() as unit:
            for entry in unit.outbox.chain(person):
                read = log_entries.read_record(entry.record)
                told.setdefault(read.type, set(read.body))

    who = enrolled(venue)
    comes_back(venue, who.pass_text)
    yes = says_yes(venue)
    renew.renew(venue, who.person, who.purpose, yes.notice_hash, "en", "kiosk")
    about.about(venue, who.person)
    flows_record.disclosure(venue, who.person, "an insurer", "a day", "they asked")
    flows_record.complaint(venue, who.person, "Too slow.")
    withdraw.withdraw(venue, who.person, who.purpose)
    look(who.person)
    assert len(told) >= 11
    section = TEXTS["event.md"].split("| type | body | when |")[1].split("\n\n")[0]
    page = {type_: set(re.findall(r"`([a-z_]+)`", body))
            for types, body in re.findall(r"^\| (`[^|]*) \|([^|]*)\|", section, re.M)
            for type_ in re.findall(r"`([a-z-]+)`", types)}
    assert page["consent-renewed"] == set()
    page["consent-renewed"] = page["consent-given"]  # "as consent-given": no names of its own
    assert told == {type_: page[type_] for type_ in told}


def test_what_the_page_of_events_says_of_a_row() -> None:
    page = TEXTS["event.md"]
    assert f"multiple of {outbox.SEALED_STEP}" in page
    assert f"{outbox.CHAFF_BYTES} bytes" in page
    assert f"of {outbox.TAG_BYTES} bytes" in page
    columns = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.M)) & {column.name for column in schema.event.c}
    assert columns == {column.name for column in schema.event.c}


def test_the_log_has_its_pages() -> None:
    assert {"log_entry.md", "checkpoint.md", "trust.md"} <= set(TEXTS)
    for name, needed in {"log_entry.md": {"entry-malformed", "inclusion-wrong", "consistency-wrong", "tile-short",
                                          "bundle-short"},
                         "checkpoint.md": {"note-malformed", "checkpoint-malformed", "checkpoint-origin", "note-key",
                                           "signature-wrong", "signature-missing"},
                         "trust.md": {"trust-malformed"}}.items():
        assert needed <= set(re.findall(r"`([a-z]+-[a-z]+)`", TEXTS[name]))
    assert f"{log_entries.LARGEST:,} bytes" in TEXTS["log_entry.md"]
    assert f"at most {merkle.LONGEST_PROOF} hashes" in TEXTS["log_entry.md"]
    assert f"{signed_note.LARGEST:,} characters" in TEXTS["checkpoint.md"]
    assert f"1 to {signed_note.MOST_SIGNATURES} of them" in TEXTS["checkpoint.md"]
    assert f"1 to {checkpoints.LONGEST_ORIGIN} characters" in TEXTS["checkpoint.md"]
    assert f"{trust.LARGEST:,} characters" in TEXTS["trust.md"]
    assert f"`{trust.FIRST}`" in TEXTS["trust.md"]


def test_each_event_about_nobody_is_on_its_page() -> None:
    source = "\n".join(path.read_text("utf-8") for path in CODE.rglob("*.py"))
    told = re.findall(r'unit\.tell\(\s*"([a-z-]+)"(?: if \w+ else "([a-z-]+)")?', source)
    types = {type_ for both in told for type_ in both if type_}
    assert {"venue-founded", "notice", "epoch", "gate-closed"} <= types
    section = TEXTS["log_entry.md"].split("| type | body | when |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.M)
    assert {type_ for row in rows for type_ in re.findall(r"`([a-z-]+)`", row)} == types


def _shown(page: str, label: str) -> list[str]:
    """Return what stands behind a label in a page's example."""
    example = TEXTS[page].split("## Example")[1]
    return re.findall(rf"^    (?:  )?{label} +(\S.*)$", example, re.M)


def test_the_example_of_log_entries_is_what_the_page_says() -> None:
    """The hashes are computed here by the page's own words; the code reads the bytes as the page spells them out."""
    page = "log_entry.md"
    (entry,), (sealed,), (nonce,), (record,), (leaf,), (root,) = (
        [bytes.fromhex(text) for text in _shown(page, label)]
        for label in ("entry 0", "entry 1", "nonce", "record", "leaf", "root"))
    hashes = [bytes.fromhex(text) for text in _shown(page, "hash")]
    assert hashes == [hashlib.sha256(b"\x00" + data).digest() for data in (entry, sealed)]
    assert leaf == hashlib.sha256(nonce + record).digest() == sealed[1:]
    assert root == hashlib.sha256(b"\x01" + b"".join(hashes)).digest()
    assert log_entries.parse(entry) == Clear("epoch", Instant(1_782_000_000), {"number": 3})
    assert log_entries.parse(sealed) == leaf == log_entries.leaf_of(nonce, record)
    assert log_entries.read_record(record) == Record("decision", Instant(1_782_000_060), 1, b"", {"purpose": "entry"})
    merkle.require_inclusion(hashes[1], 1, 2, hashes[:1], root)
    assert tiles.widths(2) == [(0, 0, 2)]
    assert f"`{tiles.path(0, 0, 2)}`" in TEXTS[page]
    assert tiles.unbundle(b"\x00\x23" + entry + b"\x00\x21" + sealed, 2) == [entry, sealed]


def checkpoint_of_the_page() -> str:
    """Return the note in the page's example."""
    example = TEXTS["checkpoint.md"].split("## Example")[1]
    lines = example.split("\n\n    ", 1)[1].split("\n\n    text ")[0].split("\n")
    return "".join(f"{line.strip()}\n" for line in lines)


def test_the_example_of_a_checkpoint_is_what_the_page_says() -> None:
    page, note = "checkpoint.md", checkpoint_of_the_page()
    (text,), publics = map(bytes.fromhex, _shown(page, "text")), [*map(bytes.fromhex, _shown(page, "public"))]
    log_value, seen_value = map(bytes.fromhex, _shown(page, "value"))
    assert publics == [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32).public_key().public_bytes_raw()
                       for n in (1, 2)]
    Ed25519PublicKey.from_public_bytes(publics[0]).verify(log_value, text)
    Ed25519PublicKey.from_public_bytes(publics[1]).verify(
        seen_value[8:], b"cosignature/v1\ntime 1782000120\n" + text)
    log, witness = (signed_note.read_key(key) for label in ("log", "witness") for key in _shown(page, label))
    found, read = checkpoints.read(note, log)
    [root] = _shown("log_entry.md", "root")
    assert found == Checkpoint("countenance.invalid/zoo/log", 2, bytes.fromhex(root))
    assert found.text.encode() == text
    assert signed_note.require_signed(read, witness) == 1_782_000_120
    assert [signature.value for signature in read.signatures] == [log_value, seen_value]
    assert [log.public, witness.public] == publics


def test_the_example_of_a_trust_file_is_what_the_page_says() -> None:
    example = TEXTS["trust.md"].split("## Example")[1].split("\n\n")[1]
    believed = trust.parse("".join(f"{line[4:]}\n" for line in example.split("\n")))
    assert [key.text for key in believed.logs] == _shown("checkpoint.md", "log")
    assert [key.text for key in believed.witnesses] == _shown("checkpoint.md", "witness")
    [receipt] = believed.receipts
    assert receipt.public == Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32).public_key().public_bytes_raw()
    assert receipt.name == "countenance.invalid/zoo/receipt"
    assert believed.need == 1
    assert believed.encode().encode().endswith(bytes.fromhex("6e65656420310a"))
