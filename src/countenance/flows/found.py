"""found: set up a venue's data folder from a scenario and a regime (docs/flows.md)."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from countenance import durable, settings
from countenance.clock import Clock
from countenance.consent import notices
from countenance.errors import BadInput, StoreFault
from countenance.flows import gates, record, scenarios
from countenance.quantities import Instant, PurposeId, VenueId, random_id
from countenance.storage import engine as engines
from countenance.storage import key_schema, migrate, schema, sequence
from countenance.storage.unit import Store, Unit
from countenance.vault.keys import roots, signing
from countenance.vault.keys.store import KeyStore
from countenance.vault.keys.third import ThirdPlace

DATA, KEYS, SIGNING, TICKETS = "countenance.db", "keys.db", "signing", "tickets.csv"
LOCK = "lock"
DRILL = ".drill"
"""Where a restore is rehearsed; gone when that is over."""

LIST = "revocations.list"
"""For the lane without faces on this machine: which passes were replaced."""
PLAIN_COUNTS = "plain.counts"
"""How many passes that lane took, by the day."""
DEMO_ONLY = "demo-only"
CALIBRATED = "calibrated"
CLOSED = "none"


def found(folder: Path, clock: Clock, *, name: str, contact: str, scenario: str, regime: str,
          root: str = "file:root.key", threshold: str = CLOSED) -> VenueId:
    """Set up `folder`, which must not hold anything yet, and return the venue's id.

    (1) the regime allows faces at all; (2) everything is made in a folder beside it; (3) keys and
    databases; (4) purposes and notices from the scenario; (5) settings last; (6) one rename makes it a
    venue. A failure leaves nothing behind. Raises BadInput (…-unknown, regime-several, regime-banned, store-exists,
    venue-name), Refused(zone-banned), StoreFault.
    """
    if re.search(r"[,+ ]", regime.strip()):
        raise BadInput("regime-several", "A venue has one regime: two may contradict each other. Choose the stricter.")
    rules, plan = settings.preset("regimes", regime), scenarios.load(scenario)
    _allowed(rules)
    plan = scenarios.fitting(rules, plan)
    _empty(folder)
    venue = VenueId(random_id()[:16])
    texts = {"id": venue, "name": _line(name, "name"), "contact": _line(contact, "contact"),
             "regime": regime, "scenario": scenario}
    beside = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True, mode=0o700)
        (beside / SIGNING).mkdir(mode=0o700)
        _keys(beside, root, clock)
        _data(beside, root, clock, texts, plan, threshold)
        durable.create(beside / TICKETS, b"person_ref,household,valid_until,language,contact\n", durable.SECRET)
        durable.create(beside / LOCK, b"", durable.SECRET)
        for name in (DATA, KEYS):
            (beside / name).chmod(durable.SECRET)
        durable.write(beside / settings.FILE, _settings(texts, plan, root, threshold).encode())
        beside.replace(folder)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise StoreFault("store-read-only", "The data folder cannot be written to.") from None
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return venue


def _allowed(rules: dict[str, Any]) -> None:
    if rules["face"] != "allowed":
        raise BadInput("regime-banned", "This regime allows no face recognition in places like this.")


def _empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("store-exists", "This folder is not empty; give a new one.")


def _line(text: str, what: str) -> str:
    text = text.strip()
    if not text or len(text) > 200 or not text.isprintable() or "{" in text:
        raise BadInput(f"venue-{what}", f"The venue's {what} must be one line of plain text.")
    return text


def _keys(folder: Path, root: str, clock: Clock) -> None:
    roots.make(root, folder)
    ThirdPlace.of(folder, roots.open_root(root, folder)).begin(clock.now())
    for use in signing.USES:
        signing.make(folder / SIGNING, use)
    engine = engines.open_engine(folder / KEYS, create=True)
    migrate.upgrade(engine, "keys")
    migrate.require_current(engine, key_schema.HEAD, "key")
    engine.dispose()


def _data(folder: Path, root: str, clock: Clock, texts: dict[str, str], plan: dict[str, Any], threshold: str) -> None:
    engine = engines.open_engine(folder / DATA, create=True)
    migrate.upgrade(engine, "data")
    keys_engine = engines.open_engine(folder / KEYS)
    keys = KeyStore(keys_engine, ThirdPlace.of(folder, roots.open_root(root, folder)), clock)
    store = Store(engine, clock, keys)
    with store.write() as unit:
        sequence.begin(unit.connection)
        unit.tell("venue-founded", {"venue": texts["id"], "regime": texts["regime"]})
        unit.set_mark("swept", unit.now)
        unit.set_mark("epoch", Instant(1))
        record.gate(unit, threshold)
        for zone in plan["zone"]:
            unit.run(insert(schema.zone).values(zone_id=zone["id"], kind=zone["kind"], name=zone["name"]))
        for purpose in plan["purpose"]:
            _purpose(unit, purpose, texts)
        for gate in plan["gates"]:
            gates.add(unit, gate["id"], gates.Mode(gate["mode"]), gate["purpose"], zone=gate["zone"],
                      lease_minutes=plan["gate"]["lease_minutes"])
    store.close()
    keys.close()


def _purpose(unit: Unit, purpose: dict[str, Any], texts: dict[str, str]) -> None:
    unit.run(insert(schema.purpose).values(
        purpose_id=purpose["id"], zone_id=purpose["zone"], comparison=purpose["comparison"],
        custody=purpose["custody"], valid_days=purpose["valid_days"], gallery_cap=purpose["gallery_cap"]))
    unit.tell("purpose", {"purpose": purpose["id"], "custody": purpose["custody"]})
    written = {language: text.format(venue=texts["name"], contact=texts["contact"])
               for language, text in purpose["notice"].items()}
    notices.publish(unit, VenueId(texts["id"]), PurposeId(purpose["id"]), written)


def _settings(texts: dict[str, str], plan: dict[str, Any], root: str, threshold: str) -> str:
    q = json.dumps  # a JSON string is a TOML basic string
    gate, keys = plan["gate"], plan["keys"]
    return f"""# The settings of this venue (docs/operating/settings.md). Unknown keys are errors.
format = {settings.FORMAT}

[venue]
id = {q(texts["id"])}
name = {q(texts["name"], ensure_ascii=False)}
contact = {q(texts["contact"], ensure_ascii=False)}
regime = {q(texts["regime"])}
scenario = {q(texts["scenario"])}

[gate]
smallest_face_px = {gate["smallest_face_px"]}          # pixels across; smaller faces are nobody
most_cut_off_percent = {gate["most_cut_off_percent"]}       # of a face's box that may lie outside the picture
sweep_late_after_hours = {gate["sweep_late_after_hours"]}     # hours without a sweep close the face lane
lease_minutes = {gate["lease_minutes"]}               # how long a copy of the revocation list is good
threshold = {q(threshold)}         # "none": closed; "calibrated": by the rates below; "demo-only": for trying out
fmr = 0.001                    # false match rate, 1:1: strangers with somebody's pass who are taken for them
fpir = 0.01                    # false positive identification rate, 1:N: strangers who are taken for anybody

[keys]
root = {q(root)}     # file:PATH, env:NAME or pkcs11:... (docs/operating/keys.md)
epoch_days = {keys["epoch_days"]}                 # days between rotations
rotate_within_hours = {keys["rotate_within_hours"]}       # hours after a withdrawal
offsite = ""                   # folder for the one copy of epoch.key, on another machine; "": none

[entitlement]
csv = {q(TICKETS)}
url = ""                       # a ticketing system that is asked instead (docs/operating/ticketing.md); "": none
key = ""                       # its Ed25519 public key, in hex
cache_hours = 24               # how long its last answer is good while it does not answer

[server]
origin = ""                    # as browsers see it, such as "https://zoo.example"; "": where it listens
key_days = 365                 # how long an API key lasts at most
attempts_per_minute = 60       # faces that one gate may try
private_recipients = []        # hosts with private addresses that events may be sent to

[log]
interval_minutes = 10          # at least between two publications of the log
witnesses = []                 # who cosigns it: "URL KEY" each (docs/operating/witness.md)

[rules]
signers = []                   # who may sign statements and orders: "NAME+ID+KEY" each (docs/operating/rules.md)
# the check of a document that comparing faces stands in for, where the regime asks for one
replaces = {q(plan.get("replaces", ""), ensure_ascii=False)}

[models]
pack = "dlib-resnet"
"""
