"""Evidence, checked from its file alone (docs/formats/evidence.md)."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import checkpoints, log_entries, merkle, notices
from countenance.formats import evidence as form
from countenance.formats.evidence import Files
from countenance.formats.log_entries import Clear, Record
from countenance.formats.notices import Notice
from countenance.formats.trust import Trust
from countenance.verifier import chain, page_builder
from countenance.verifier.checkpoints import cosigned, require_keys, require_witnesses
from countenance.verifier.report import Report, Unchecked, follow


def verify(data: bytes, trust: Trust | None) -> Report:
    """Check the ZIP."""
    return _Evidence(data, None, trust).report("evidence")


def verify_facts(text: str, signature: str | None, trust: Trust | None) -> Report:
    """Check evidence.json alone, with evidence.sig where that is at hand; without it, nothing is `verified`."""
    return _Evidence(text, signature, trust).report("evidence.json")


class _Evidence:
    def __init__(self, given: bytes | str, signature: str | None, trust: Trust | None) -> None:
        self.given, self.signature, self.trust = given, signature, trust
        self.files: Files | None = None

    def report(self, what: str) -> Report:
        return follow(what, [
            ("form", self.form), ("signatures of the venue", self.signed), ("checkpoint", self.checkpointed),
            ("cosignatures", self.cosigned), ("inclusion in the log", self.included),
            ("earlier checkpoints", self.grown), ("chain of events", self.chained), ("notices", self.noticed),
            ("trust", self.trusted),
        ], trusted=self.trust is not None)

    def form(self) -> str:
        if isinstance(self.given, bytes):
            self.files = form.open_zip(self.given)
        self.content = form.parse(self.given if isinstance(self.given, str) else self.files_of().facts)
        whom = f"person {self.content.person}" if self.content.person else "the venue"
        return f"Evidence of {self.content.venue_name} about {whom}, {self.content.at}."

    def files_of(self) -> Files:
        if self.files is None:
            raise Unchecked("There is no ZIP, and so no list of its files.")
        return self.files

    def signed(self) -> str:
        key = Ed25519PublicKey.from_public_bytes(self.content.keys.receipt.public)
        if isinstance(self.given, bytes):
            form.require_signed(self.files_of(), key)
            return f"The venue has signed the facts and the files. {self._told_of_page()}"
        if self.signature is None:
            raise Unchecked("There is no evidence.sig beside it.")
        form.require_facts_signed(self.given, self.signature, key)
        return "The venue has signed the facts."

    def _told_of_page(self) -> str:
        files = self.files_of()
        if files.page == page_builder.render(files.facts, files.signature):
            return "The page is the one that this program makes of exactly these facts."
        return ("The page has exactly these facts in it, but is NOT the one that this program makes of them: another "
                "version made it, or somebody else, and what it shows may be something else than what is checked here.")

    def checkpointed(self) -> str:
        self.head, self.note = checkpoints.read(self.content.checkpoint, self.content.keys.log)
        return f"The log has signed its checkpoint at {self.head.size} entries."

    def cosigned(self) -> str:
        keys = self.content.keys
        return cosigned(self.note, keys.witnesses, keys.log.name, self.trust)

    def included(self) -> str:
        self.clear: list[Clear] = []
        chain.require_included(self.content.events, self.head)
        for one in self.content.clear:
            found = log_entries.parse(one.entry)
            if isinstance(found, bytes):
                raise BadInput("entry-malformed", "An entry that should be in the clear is a commitment.")
            merkle.require_inclusion(
                merkle.leaf_hash(one.entry), one.index, self.head.size, one.proof, self.head.root)
            self.clear.append(found)
        return (f"{len(self.content.events)} events and {len(self.clear)} entries about nobody are in the log of "
                f"{self.head.size} entries.")

    def grown(self) -> str:
        for one in self.content.earlier:
            old, _note = checkpoints.read(one.checkpoint, self.content.keys.log)
            merkle.require_consistency(old.size, old.root, self.head.size, self.head.root, one.proof)
        return f"The log only grew since each of {len(self.content.earlier)} earlier checkpoints."

    def chained(self) -> str:
        self.records = chain.opened(self.content.events)
        chain.require_whole(self.content.events, self.records)
        if bool(self.records) != (self.content.kind == "person"):
            raise BadInput("chain-gap", "An event is missing, or is somebody else's, or not in its place.")
        chain.require_person(self.records, self.content.person)
        if not self.records:
            return "It is about the venue, and so has no person's events."
        return f"Events 1 to {len(self.records)} are there, each tied to the one before."

    def noticed(self) -> str:
        held: dict[str, Notice] = {}
        for one in self.content.notices:
            notice = notices.parse(one.canonical)
            if notice.hash != one.hash or notice.venue != self.content.venue or one.hash in held:
                raise _other_notice()
            held[one.hash] = notice
        named = [_named_in_event(record) for record in self.records] + [_named_in_clear(one) for one in self.clear]
        asked = {name["hash"] for name in named if name}
        if not asked <= set(held):
            raise BadInput("notice-missing", "A notice that an event names is not in this evidence.")
        if asked != set(held):
            raise _other_notice()
        for name in named:
            _require_same(name, held)
        return f"All {len(held)} notices that events name are there, letter for letter."

    def trusted(self) -> str:
        told = require_keys(self.content.keys, self.trust)
        if self.trust is None:
            raise Unchecked(told)
        own = (self.content.keys.log, self.content.keys.receipt)
        return f"{told} {require_witnesses(self.note, self.trust, own)}"


def _named_in_event(record: Record) -> dict[str, Any]:
    if "notice" not in record.body:
        return {}
    return {"hash": _hash(record.body["notice"]), "purpose": record.body.get("purpose"),
            "language": record.body.get("language")}


def _named_in_clear(entry: Clear) -> dict[str, Any]:
    if entry.type != "notice":
        return {}
    return {"hash": _hash(entry.body.get("hash")), "purpose": entry.body.get("purpose"),
            "version": entry.body.get("version")}


def _hash(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _require_same(name: dict[str, Any], held: dict[str, Notice]) -> None:
    """Check that a notice is of the purpose, version and language that an event gives it. Raises BadInput."""
    if not name:
        return
    notice = held[name["hash"]]
    if (notice.purpose != name["purpose"] or not chain.same(name.get("version", notice.version), notice.version)
            or ("language" in name and name["language"] not in list(notice.texts))):  # a list: it may be anything
        raise _other_notice()


def _other_notice() -> BadInput:
    return BadInput("notice-other", "A notice is not the one that its hash, or the event that names it, means.")
