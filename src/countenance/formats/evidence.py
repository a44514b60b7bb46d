"""Evidence: what a person or a venue lays before somebody who was not there (docs/formats/evidence.md).

A ZIP of four files that has one spelling, as has the JSON in it: it is read by taking it apart and writing it again.
Nothing in it is compressed, so nothing can swell.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import canonical, cose, receipts, signed_note, strict64
from countenance.formats.receipts import Proven
from countenance.formats.signed_note import LOG, WITNESS, NoteKey

FORMAT = "countenance/evidence/1"
MANIFEST_FORMAT = "countenance/evidence-manifest/1"
PAGE, FACTS, SIGNATURE, MANIFEST = NAMES = ("evidence.html", "evidence.json", "evidence.sig", "manifest.sig")
KINDS = ("person", "venue")

LARGEST = 64 << 20
"""Bytes of the ZIP that are read at all."""

LONGEST = 16 << 20
"""Characters of evidence.json that are read at all."""

LARGEST_INTEGER = (1 << 53) - 1
"""Either way of 0: what every reader of JSON keeps exactly."""

DEEPEST = 16
"""Levels of lists and maps."""

AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_OPEN_FACTS = '<script type="application/json" id="evidence">'
_OPEN_SIGNATURE = '<script type="text/plain" id="signature">'
_CLOSE = "</script>"
_OUR_IDS = re.compile(r"""\bid\s*=\s*["']?(?:evidence|signature)["'\s>]""", re.IGNORECASE)
_WRITTEN_OTHERWISE = re.compile(r"""&\#|\bid\s*=\s*(?:"[^"]*|'[^']*|[^\s>]*)&""", re.IGNORECASE | re.VERBOSE)
"""Letters by their numbers anywhere, or by a name in an id: what a browser makes of them, nobody sees in the text."""


@dataclass(frozen=True)
class Keys:
    """The keys that a file says it can be checked with. Whether they are the venue's, only a trust file says."""

    log: NoteKey
    receipt: NoteKey
    witnesses: tuple[NoteKey, ...]

    def value(self) -> dict[str, Any]:
        """Return them as they stand in the file."""
        return {"log": self.log.text, "receipt": self.receipt.text, "witnesses": [key.text for key in self.witnesses]}


@dataclass(frozen=True)
class ClearEntry:
    """An entry of the log about nobody, where it is, and the proof (32 bytes each) from it to the checkpoint."""

    entry: bytes
    index: int
    proof: tuple[bytes, ...]

    def value(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {"entry": self.entry.hex(), "index": self.index, "proof": [strict64.encode(one) for one in self.proof]}


@dataclass(frozen=True)
class Earlier:
    """An earlier checkpoint (a signed note) and the proof (32 bytes each) that the newer log begins with it."""

    checkpoint: str
    proof: tuple[bytes, ...]

    def value(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {"checkpoint": self.checkpoint, "proof": [strict64.encode(one) for one in self.proof]}


@dataclass(frozen=True)
class KeptNotice:
    """A notice that an event names: its hash in hex, and its canonical bytes (formats/notices.py)."""

    hash: str
    canonical: bytes

    def value(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {"hash": self.hash, "canonical": self.canonical.hex()}


@dataclass(frozen=True)
class Content:
    """What evidence.json says. `person` is empty where it is about the venue; `asserted` is the venue's word only."""

    kind: str
    venue: str
    venue_name: str
    person: str
    at: str
    origin: str
    keys: Keys
    checkpoint: str
    earlier: tuple[Earlier, ...]
    events: tuple[Proven, ...]
    clear: tuple[ClearEntry, ...]
    notices: tuple[KeptNotice, ...]
    asserted: dict[str, Any]

    def value(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {
            "format": FORMAT, "kind": self.kind, "venue": self.venue, "venue_name": self.venue_name,
            "person": self.person, "at": self.at, "origin": self.origin, "keys": self.keys.value(),
            "checkpoint": self.checkpoint, "earlier": [one.value() for one in self.earlier],
            "events": [one.value() for one in self.events], "clear": [one.value() for one in self.clear],
            "notices": [one.value() for one in self.notices], "asserted": self.asserted}


@dataclass(frozen=True)
class Files:
    """The four files of the ZIP, none of them believed yet."""

    page: str
    facts: str
    signature: str
    manifest: str

    def encode(self) -> bytes:
        """Return the ZIP."""
        return pack({PAGE: self.page.encode(), FACTS: self.facts.encode(), SIGNATURE: self.signature.encode(),
                     MANIFEST: self.manifest.encode()})


def spelled(value: Any) -> str:
    """Return the one spelling of a JSON value: names sorted, one space a level, no letter escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write(content: Content, page: Callable[[str, str], str], key: Ed25519PrivateKey, kid: bytes) -> bytes:
    """Return the ZIP, signed by the receipt key. `page` gives the HTML for evidence.json's and evidence.sig's text.

    Raises BadInput(evidence-malformed) for content that `read` would not take.
    """
    try:
        facts = spelled(content.value())
    except (ValueError, TypeError, RecursionError):
        raise _malformed() from None
    parse(facts)
    signature = sign(facts, key, kid)
    html = page(facts, signature)
    embeds(html, facts, signature)
    files = {PAGE: html.encode(), FACTS: facts.encode(), SIGNATURE: signature.encode()}
    return pack({**files, MANIFEST: _signed(_manifest(files), key, kid).encode()})


def read(data: bytes, key: Ed25519PublicKey) -> Content:
    """Return what evidence says, the venue's signatures checked; no proof in it is. Raises as `open_zip`, `parse`
    and `require_signed`.
    """
    files = open_zip(data)
    content = parse(files.facts)
    require_signed(files, key)
    return content


def sign(facts: str, key: Ed25519PrivateKey, kid: bytes) -> str:
    """Return evidence.sig for the text of evidence.json."""
    return _signed(_statement(facts), key, kid)


def open_zip(data: bytes) -> Files:
    """Take a ZIP apart. Raises BadInput(evidence-malformed) unless it is, byte for byte, what `pack` writes."""
    files = unpack(data)
    try:
        return Files(*(files[name].decode() for name in NAMES))
    except UnicodeDecodeError:
        raise _malformed() from None


def parse(text: str) -> Content:
    """Read the text of evidence.json, unverified. Raises BadInput(evidence-malformed)."""
    try:
        if len(text) > LONGEST:
            raise _malformed()
        value = json.loads(text)
        require_plain(value)
        content = _content(value)
        same = spelled(content.value()) == text and text.encode() != b""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInput):
        raise _malformed() from None
    if not same:
        raise _malformed()
    return content


def require_facts_signed(facts: str, signature: str, key: Ed25519PublicKey) -> None:
    """Check evidence.sig. Raises BadInput: evidence-malformed, evidence-altered."""
    if _payload(signature, key) != _statement(facts):
        raise _altered()


def require_signed(files: Files, key: Ed25519PublicKey) -> None:
    """Check both signatures, and that the page has exactly these facts in it.

    Raises BadInput: evidence-malformed, evidence-altered.
    """
    require_facts_signed(files.facts, files.signature, key)
    beside = {PAGE: files.page.encode(), FACTS: files.facts.encode(), SIGNATURE: files.signature.encode()}
    if _payload(files.manifest, key) != _manifest(beside):
        raise _altered()
    embeds(files.page, files.facts, files.signature)


def embedded_json(text: str) -> str:
    """Return evidence.json's text as it stands in a page: no `<`, so that nothing in it ends the element it is in."""
    return text.replace("<", "\\u003c")


def recovered_json(embedded: str) -> str:
    """Return evidence.json's text from the page. In its one spelling no `<` is escaped, so this is exact."""
    return re.sub(r"\\(?:u003c|.)", lambda found: "<" if found[0] == "\\u003c" else found[0], embedded)


def blocks(facts: str, signature: str) -> str:
    """Return the two elements that a page holds: the facts and their signature."""
    return "".join(f"{element}\n" for element in _elements(facts, signature))


def embeds(html: str, json_text: str, signature: str) -> None:
    """Check that a page holds exactly these facts and this signature, once. Raises BadInput(evidence-altered)."""
    for element in _elements(json_text, signature):
        if html.count(element) != 1:
            raise _altered()
        html = html.replace(element, "")
    if _OUR_IDS.search(html) or _WRITTEN_OTHERWISE.search(html):
        raise _altered()


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the ZIP of the four files: stored, in this order, dated 1980-01-01, nothing beside."""
    local, central = b"", b""
    for name in NAMES:
        data, named = files[name], name.encode()
        head = struct.pack("<5H3I2H", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(named), 0)
        central += (b"PK\x01\x02" + struct.pack("<H", 0x0314) + head
                    + struct.pack("<3H2I", 0, 0, 0, 0o100644 << 16, len(local)) + named)
        local += b"PK\x03\x04" + head + named + data
    end = struct.pack("<4H2IH", 0, 0, len(NAMES), len(NAMES), len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + end


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the four files of a ZIP. Raises BadInput(evidence-malformed)."""
    files, at = {}, 0
    if len(data) > LARGEST:
        raise _malformed()
    for name in NAMES:
        begin = at + 30 + len(name)
        length = int.from_bytes(data[at + 18:at + 22], "little")
        files[name], at = data[begin:begin + length], begin + length
    if pack(files) != data:
        raise _malformed()
    return files


def read_keys(value: Any) -> Keys:
    """Read the keys that a receipt or evidence names. Raises BadInput(note-key), ValueError."""
    keys = Keys(signed_note.read_key(value["log"]), signed_note.read_key(value["receipt"]),
                tuple(signed_note.read_key(text) for text in value["witnesses"]))
    kinds = (keys.log.kind, keys.receipt.kind, *{key.kind for key in keys.witnesses})
    twice = len(set(keys.witnesses)) != len(keys.witnesses)
    if keys.value() != value or kinds not in ((LOG, LOG), (LOG, LOG, WITNESS)) or twice:
        raise ValueError
    return keys


def require_names(keys: Keys, origin: str, venue: str) -> None:
    """Check that the keys sign under the names of this venue and this log. Raises ValueError."""
    ours = f"countenance.invalid/{venue}/"
    if not venue or keys.log.name != origin or not origin.startswith(ours) or keys.receipt.name != f"{ours}receipt":
        raise ValueError


def require_plain(value: Any, level: int = 0) -> None:
    """Check that a JSON value holds nothing that two readers may take for two things.

    Raises ValueError for fractions, integers beyond 2^53 - 1 either way, and more than 16 levels.
    """
    inside: Sequence[Any] = ()
    if isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, list):
        inside = value
    wrong = isinstance(value, float) or (isinstance(value, int) and abs(value) > LARGEST_INTEGER)
    if wrong or level > DEEPEST:
        raise ValueError
    for one in inside:
        require_plain(one, level + 1)


def _elements(facts: str, signature: str) -> tuple[str, str]:
    return f"{_OPEN_FACTS}{embedded_json(facts)}{_CLOSE}", f"{_OPEN_SIGNATURE}{signature}{_CLOSE}"


def _content(value: Any) -> Content:
    if set(value) != {"format", *Content.__dataclass_fields__} or value["format"] != FORMAT:
        raise ValueError
    texts = ("kind", "venue", "venue_name", "person", "at", "origin", "checkpoint")
    if any(type(value[name]) is not str for name in texts) or type(value["asserted"]) is not dict:
        raise ValueError
    content = Content(
        **{name: value[name] for name in texts}, keys=read_keys(value["keys"]),
        earlier=tuple(Earlier(one["checkpoint"], _proof(one)) for one in value["earlier"]),
        events=tuple(receipts.proven(value)),
        clear=tuple(ClearEntry(bytes.fromhex(one["entry"]), one["index"], _proof(one)) for one in value["clear"]),
        notices=tuple(KeptNotice(one["hash"], bytes.fromhex(one["canonical"])) for one in value["notices"]),
        asserted=value["asserted"])
    about_person = content.kind == "person"
    if content.kind not in KINDS or bool(content.person) != about_person or not AT.fullmatch(content.at):
        raise ValueError
    if any(type(one.checkpoint) is not str for one in content.earlier):
        raise ValueError
    require_names(content.keys, content.origin, content.venue)
    indices = [one.index for one in content.clear]
    if any(type(index) is not int for index in indices) or sorted(set(indices)) != indices:
        raise ValueError
    return content


def _proof(value: dict[str, Any]) -> tuple[bytes, ...]:
    return tuple(strict64.decode(one, 32) for one in value["proof"])


def _statement(facts: str) -> bytes:
    return canonical.encode({"format": FORMAT, FACTS: hashlib.sha256(facts.encode()).digest()})


def _manifest(files: Mapping[str, bytes]) -> bytes:
    return canonical.encode({"format": MANIFEST_FORMAT, "files": {
        name: hashlib.sha256(data).digest() for name, data in files.items()}})


def _signed(payload: bytes, key: Ed25519PrivateKey, kid: bytes) -> str:
    return strict64.encode(cose.sign1(payload, key, kid)) + "\n"


def _payload(signature: str, key: Ed25519PublicKey) -> bytes:
    try:
        message = strict64.decode(signature.removesuffix("\n"))
    except ValueError:
        raise _malformed() from None
    if not signature.endswith("\n"):
        raise _malformed()
    return cose.verify1(message, key, "evidence")


def _malformed() -> BadInput:
    return BadInput("evidence-malformed",
                    "This is no evidence, or it is altered or incomplete; use the file as it was handed out.")


def _altered() -> BadInput:
    return BadInput("evidence-altered", "This evidence was altered, or signed by somebody else.")
