"""The tables of `countenance.db`. What holds a face, a name or a person's history is ciphertext here.

`event` has no person column on purpose: a sealed row can be tied to nobody without that person's
record key (DESIGN 4), and neither can its `tag`, by which the person's own chain is found.
Times are `Instant`s (seconds, UTC). `delete_at` is when the sweep removes the row. Tables with rows about people have
no hidden row numbers: their gaps would tell who enrolled, and whose face was revoked, before and after whom.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

HEAD = "0003"
"""The newest migration of this store; a folder that names a later one is of a newer program."""

metadata = MetaData()


def _id(name: str) -> Column[str]:
    return Column(name, String(64), primary_key=True)


zone = Table(
    "zone", metadata, _id("zone_id"),
    Column("kind", String(32), nullable=False),
    Column("name", String(200), nullable=False),
)

purpose = Table(
    "purpose", metadata, _id("purpose_id"),
    Column("zone_id", ForeignKey("zone.zone_id"), nullable=False),
    Column("comparison", String(8), nullable=False),   # verify | search | disclose
    Column("custody", String(16), nullable=False),     # carried | holder_keyed | venue_keyed | none
    Column("valid_days", Integer, nullable=False),
    Column("gallery_cap", Integer, nullable=False),    # 0 where nothing is searched
    CheckConstraint("comparison IN ('verify', 'search', 'disclose')"),
    CheckConstraint("(comparison = 'disclose') = (custody = 'none')"),
)

notice = Table(
    "notice", metadata,
    Column("notice_hash", String(64), primary_key=True),
    Column("purpose_id", ForeignKey("purpose.purpose_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("canonical", LargeBinary, nullable=False),  # docs/formats/notice.md; hashed as it stands
    Column("published_at", Integer, nullable=False),
    Index("notice_in_force", "purpose_id", "version", unique=True),
)

person = Table(
    "person", metadata, _id("person_id"),
    Column("record_key", String(32), nullable=False),
    Column("sealed_profile", LargeBinary, nullable=False),
    Column("household", String(64), nullable=True),
    Column("guardian", ForeignKey("person.person_id"), nullable=True),
    Column("synthetic", Boolean, nullable=False),
    Column("delete_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

consent = Table(
    "consent", metadata, _id("consent_id"),
    Column("person_id", ForeignKey("person.person_id"), nullable=False),
    Column("purpose_id", ForeignKey("purpose.purpose_id"), nullable=False),
    Column("notice_hash", ForeignKey("notice.notice_hash"), nullable=False),
    Column("language", String(8), nullable=False),
    Column("act", String(16), nullable=False),         # whose act it was: docs/flows.md, enrol (2)
    Column("state", String(12), nullable=False),       # consent/states.py
    Column("given_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),     # what was agreed to, under the person's record key
    Column("delete_at", Integer, nullable=False),
    Index("consent_of", "person_id", "purpose_id"),
    Index("consent_live", "purpose_id", "state", "expires_at"),
    sqlite_with_rowid=False,
)

template = Table(
    "template", metadata, _id("template_id"),
    Column("person_id", ForeignKey("person.person_id"), nullable=False),
    Column("purpose_id", ForeignKey("purpose.purpose_id"), nullable=False),
    Column("consent_id", ForeignKey("consent.consent_id"), nullable=False),
    Column("custody", String(16), nullable=False),
    Column("pack", String(80), nullable=False),
    Column("face_key", String(32), nullable=True),     # NULL: the key is in the person's pass only
    Column("sealed", LargeBinary, nullable=False),     # empty: so is the template
    Column("state", String(8), nullable=False),        # pending | live | stopped
    Column("delete_at", Integer, nullable=False),
    Index("template_of", "purpose_id", "state"),
    Index("template_person", "person_id", "purpose_id"),
    Index("template_consent", "consent_id"),
    CheckConstraint("(custody = 'carried') = (length(sealed) = 0)"),
    sqlite_with_rowid=False,
)

issued_pass = Table(
    "issued_pass", metadata, _id("pass_id"),
    Column("person_id", ForeignKey("person.person_id"), nullable=False),
    Column("purpose_id", String(64), nullable=True),
    Column("face_id_hash", LargeBinary, nullable=True),
    Column("pass_key", String(32), nullable=True),     # opens the secret inside the pass; bound to its bytes
    Column("state", String(8), nullable=False),        # pending | live | plain | void
    Column("delete_at", Integer, nullable=False),
    Index("pass_person", "person_id"),
    sqlite_with_rowid=False,
)

event = Table(
    "event", metadata,
    Column("event_id", Integer, primary_key=True),     # place in the log, counted from `log.first`
    Column("entry", LargeBinary, nullable=False),      # what the log holds (docs/formats/log_entry.md)
    Column("tag", LargeBinary, nullable=True),         # 16 bytes; from the person's record key and the number
    Column("sealed", LargeBinary, nullable=True),      # NULL: an event about nobody, whose entry says it all
    CheckConstraint("(tag IS NULL) = (sealed IS NULL)"),
    Index("event_of", "tag"),                          # not unique: a lost row must not keep later ones out
)

log = Table(
    "log", metadata,
    Column("generation", Integer, primary_key=True),   # the newest counts; another begins where a store is lost
    Column("name", String(16), nullable=False),        # random, from the second on: copies may begin it twice
    Column("first", Integer, nullable=False),          # event_id of its entry 0
    Column("size", Integer, nullable=False),           # moved by compare-and-swap only (storage/sequence.py)
)

log_tile = Table(
    "log_tile", metadata,
    Column("generation", Integer, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hashes", LargeBinary, nullable=False),     # 32 bytes each; level 0 full tiles only
)

intent = Table(
    "intent", metadata, _id("intent_id"),
    Column("story", String(16), nullable=False),       # flows/intents.py
    Column("step", Integer, nullable=False),
    Column("person_id", String(64), nullable=False),
    Column("purpose_id", String(64), nullable=False),
    Column("plan", LargeBinary, nullable=False),       # canonical CBOR; names of keys, never keys
    Column("begun_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

gallery = Table(
    "gallery", metadata,
    Column("purpose_id", ForeignKey("purpose.purpose_id"), primary_key=True),
    Column("generation", Integer, nullable=False),     # moves with every change of a consent or template
)

hourly_count = Table(
    "hourly_count", metadata,
    Column("hour", Integer, primary_key=True),
    Column("lane", String(8), primary_key=True),
    Column("outcome", String(8), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("delete_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

revocation = Table(
    "revocation", metadata,
    Column("kind", String(4), primary_key=True),       # face | void
    Column("hash", LargeBinary, primary_key=True),     # 16 bytes, of a face_id or of a booking number
    Column("before", Integer, nullable=False),         # void: passes issued up to this moment; face: 0
    Column("delete_at", Integer, nullable=False),      # no pass that it is about is good any more
    sqlite_with_rowid=False,
)

lease = Table(
    "lease", metadata,
    Column("gate", String(64), primary_key=True),      # who decides by a copy of the revocation list
    Column("number", Integer, nullable=False),         # of the newest list that it said it has
    Column("until", Integer, nullable=False),          # the newest list that was handed to it is good until then
)

operator = Table(
    "operator", metadata, _id("operator_id"),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),        # access/roles.py
    Column("password", String(200), nullable=False),   # argon2id, with its parameters; empty: none set yet
    Column("state", String(8), nullable=False),        # active | off
    Column("made_at", Integer, nullable=False),
)

passkey = Table(
    "passkey", metadata,
    Column("credential_id", String(1400), primary_key=True),  # base64url
    Column("operator_id", ForeignKey("operator.operator_id"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", Integer, nullable=False),
    Column("label", String(64), nullable=False),
    Column("made_at", Integer, nullable=False),
)

one_time = Table(
    "one_time", metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),         # owner | operator | invite
    Column("operator_id", String(64), nullable=False),  # empty: for nobody yet
    Column("person_id", String(64), nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("delete_at", Integer, nullable=False),
    Index("one_time_for", "kind", "operator_id", "person_id"),
    sqlite_with_rowid=False,
)

session = Table(
    "session", metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),         # operator | person
    Column("operator_id", String(64), nullable=False),
    Column("person_id", String(64), nullable=False),
    Column("csrf_hash", String(64), nullable=False),
    Column("made_at", Integer, nullable=False),
    Column("seen_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("delete_at", Integer, nullable=False),
    Index("session_of", "person_id"),
    sqlite_with_rowid=False,
)

api_key = Table(
    "api_key", metadata, _id("key_id"),
    Column("secret_hash", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("gate_id", String(64), nullable=False),     # empty: of no one gate
    Column("purposes", String(2000), nullable=False),  # JSON list
    Column("pressed", Boolean, nullable=False),        # each call stands for a press: the operator says so
    Column("label", String(64), nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("made_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("revoked_at", Integer, nullable=True),
)

gate = Table(
    "gate", metadata, _id("gate_id"),
    Column("zone_id", ForeignKey("zone.zone_id"), nullable=False),
    Column("purpose_id", ForeignKey("purpose.purpose_id"), nullable=True),  # NULL: no face here
    Column("mode", String(16), nullable=False),        # pass | pass-and-face | face
    Column("liveness", String(8), nullable=False),     # none | prompt
    Column("state", String(8), nullable=False),        # open | closed: of its lane for faces
    Column("closed_by", String(64), nullable=False),   # what rule closed it; empty while open
    Column("door", String(64), nullable=False),        # its name in outside.toml; empty: none
    Column("lease_minutes", Integer, nullable=False),  # how long it may go by a copy of the revocation list
    CheckConstraint("mode IN ('pass', 'pass-and-face', 'face')"),
    CheckConstraint("(mode = 'pass') = (purpose_id IS NULL)"),
)

idempotent = Table(
    "idempotent", metadata,
    Column("token", String(64), primary_key=True),     # SHA-256 of who asked and their key
    Column("digest", String(64), nullable=False),      # of what was asked, without any picture
    Column("status", Integer, nullable=False),         # of the answer; 0 while it runs
    Column("answer", LargeBinary, nullable=True),      # NULL where it holds a secret
    Column("at", Integer, nullable=False),
    Column("delete_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

me_code = Table(
    "me_code", metadata,
    Column("person_id", ForeignKey("person.person_id"), primary_key=True),
    Column("code_hash", String(64), nullable=False, unique=True),
    Column("made_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

delivery = Table(
    "delivery", metadata, _id("delivery_id"),
    Column("recipient", String(64), nullable=False),   # its name in outside.toml
    Column("event_id", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),       # JSON; no name, no biometrics
    Column("attempts", Integer, nullable=False),
    Column("next_at", Integer, nullable=False),
    Column("state", String(8), nullable=False),        # pending | dead
    Column("last_code", String(64), nullable=False),   # why the last attempt failed
    Column("made_at", Integer, nullable=False),
    Column("delete_at", Integer, nullable=False),
    Index("delivery_due", "state", "next_at"),
    sqlite_with_rowid=False,
)

statement = Table(
    "statement", metadata, _id("statement_id"),       # SHA-256 of the signed note
    Column("kind", String(16), nullable=False),        # formats/statements.py
    Column("subject", String(100), nullable=False),    # what it is about; of an order about a person "person"
    Column("document", String(64), nullable=False),    # SHA-256 of the paper, photograph or file that it is about
    Column("signer", String(64), nullable=False),
    Column("from_at", Integer, nullable=False),
    Column("until_at", Integer, nullable=False),
    Column("taken_at", Integer, nullable=False),
    Column("delete_at", Integer, nullable=False),
    Index("statement_of", "kind", "subject"),
    sqlite_with_rowid=False,
)

ruling = Table(
    "ruling", metadata, _id("ruling_id"),
    Column("effect", String(8), nullable=False),       # stop: nothing is compared; preserve: a record is not erased
    Column("scope", String(10), nullable=False),       # person | zone | controller
    Column("target", String(64), nullable=False),
    Column("ground", String(16), nullable=False),      # order | restriction | death
    Column("from_at", Integer, nullable=False),
    Column("until_at", Integer, nullable=True),        # NULL: until it is lifted
    Column("lifted_at", Integer, nullable=True),
    Column("delete_at", Integer, nullable=False),
    CheckConstraint("effect IN ('stop', 'preserve')"),
    CheckConstraint("scope IN ('person', 'zone', 'controller')"),
    Index("ruling_in_force", "effect", "scope", "target"),
    sqlite_with_rowid=False,
)

request = Table(
    "request", metadata, _id("request_id"),
    Column("person_id", String(64), nullable=False),   # empty once they were erased
    Column("kind", String(10), nullable=False),        # flows/rights.py
    Column("by_kin", Boolean, nullable=False),
    Column("outcome", String(8), nullable=False),      # open | granted | partly | refused
    Column("opened_at", Integer, nullable=False),
    Column("due_at", Integer, nullable=False),
    Column("decided_at", Integer, nullable=True),
    Column("delete_at", Integer, nullable=False),
    CheckConstraint("outcome IN ('open', 'granted', 'partly', 'refused')"),
    Index("request_of", "person_id"),
    sqlite_with_rowid=False,
)

withheld = Table(
    "withheld", metadata, _id("withheld_id"),
    Column("person_id", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),     # a disclosure, under their record key, until a seal ends
    Column("until_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

lane_proof = Table(
    "lane_proof", metadata, _id("zone_id"),            # the last time that a pass opened a gate without faces there
    Column("gate_id", String(64), nullable=False),
    Column("at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

lane_wait = Table(
    "lane_wait", metadata,
    Column("day", Integer, primary_key=True),          # since 1970
    Column("zone_id", String(64), primary_key=True),
    Column("lane", String(8), primary_key=True),       # face | pass
    Column("seconds", Integer, primary_key=True),      # rounded down to a step
    Column("number", Integer, nullable=False),         # how many waited so long; nobody's name
    Column("delete_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

mark = Table(
    "mark", metadata,
    # time, swept, rotate_by, asked_from, vacuum: moments; epoch, erased: epochs; forward, list: counts
    Column("name", String(16), primary_key=True),
    Column("at", Integer, nullable=False),
)
