"""What everybody may know of a venue, its notices, its counts, and how the server itself is; over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from countenance import settings
from countenance.access.roles import Role
from countenance.clock import SetClock
from countenance.errors import Refused
from countenance.flows import gates, revocations, sweep, withdraw
from countenance.flows.gates import Mode
from countenance.flows.venue import Venue
from countenance.quantities import HOUR
from countenance.server import codes
from countenance.server.api import health, setting
from countenance.server.state import Serving
from support import server
from support import venue as support
from support.server import Client, refused

TABLES = (setting.ROUTES, health.ROUTES)
PURPOSES = settings.preset("scenarios", "annual-pass")["purpose"]
TEXTS = {name: text.replace("{venue}", "We") + "\nAnew." for name, text in PURPOSES[0]["notice"].items()}


@pytest.fixture
def here(venue: Venue) -> Serving:
    return server.serving(venue)


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here, TABLES) as opened:
        yield opened


def test_what_everybody_may_know_of_a_venue(client: Client, here: Serving) -> None:
    (venue,) = client.get("/v1/venues").json()["venues"]
    assert venue == {"venue": here.venue.venue_id, "name": "Test Zoo", "contact": "desk", "regime": "cn",
                     "languages": ["en", "zh"]}
    zones = {one["zone"] for one in client.get("/v1/zones").json()["zones"]}
    for purpose in client.get("/v1/purposes").json()["purposes"]:
        assert purpose["zone"] in zones
        shown = client.get(f"/v1/purposes/{purpose['purpose']}/notice").json()
        assert shown["hash"] == purpose["notice"] and set(shown["texts"]) == {"en", "zh"}
        assert client.get(f"/v1/notices/{shown['hash']}").json() == shown
    refused(client.get("/v1/purposes/entry.none/notice"), "purpose-unknown", 404)
    refused(client.get("/v1/notices/none"), "notice-missing", 404)


def test_a_new_notice_asks_everybody_again(client: Client, here: Serving) -> None:
    agreed = support.enrolled(here.venue)
    support.comes_back(here.venue, agreed.pass_text)
    before = client.get("/v1/purposes/entry.verify/notice").json()
    owner = server.key_of(here, Role.OPERATOR)
    made = client.post("/v1/purposes/entry.verify/notices", json={"texts": TEXTS}, headers=owner)
    assert made.status_code == 201, made.text
    assert (made.json()["version"], made.json()["waiting"]) == (before["version"] + 1, 1)
    with pytest.raises(Refused) as found:
        support.comes_back(here.venue, agreed.pass_text)
    assert found.value.code == "notice-outdated"
    assert client.get("/v1/purposes/entry.verify/notice").json()["texts"] == TEXTS
    assert client.get(f"/v1/notices/{before['hash']}").json() == before  # what they agreed to can be read still


@pytest.mark.parametrize(("texts", "code"), [
    ({"en": "One language."}, "notice-languages"), ({**TEXTS, "de": "Neu."}, "notice-languages"),
    ({**TEXTS, "en": "hid\u202eden"}, "notice-text"), ({**TEXTS, "en": "   "}, "notice-text"),
    ({}, "request-invalid"), ({**TEXTS, "en": 7}, "request-invalid"), ({**TEXTS, "en": ""}, "request-invalid"),
])
def test_no_notice_that_says_less(client: Client, here: Serving, texts: dict[str, str], code: str) -> None:
    owner = server.key_of(here, Role.OPERATOR)
    before = client.get("/v1/purposes").json()
    refused(client.post("/v1/purposes/entry.verify/notices", json={"texts": texts}, headers=owner), code, 422)
    assert client.get("/v1/purposes").json() == before


def test_the_notice_in_force_again_is_no_new_one(client: Client, here: Serving) -> None:
    texts = client.get("/v1/purposes/entry.verify/notice").json()["texts"]
    owner = server.key_of(here, Role.OPERATOR)
    refused(client.post("/v1/purposes/entry.verify/notices", json={"texts": texts}, headers=owner), "notice-unchanged")
    refused(client.post("/v1/purposes/entry.none/notices", json={"texts": texts}, headers=owner), "purpose-unknown")


def test_counts_are_by_the_hour_and_go_back_as_far_as_asked(client: Client, here: Serving, clock: SetClock) -> None:
    agreed = support.enrolled(here.venue)
    support.comes_back(here.venue, agreed.pass_text)
    auditor = server.key_of(here, Role.AUDITOR)
    (hour,) = client.get("/v1/counts", headers=auditor).json()["hours"]
    assert (hour["outcome"], hour["number"]) == ("admit", 1)
    clock.move(3 * 24 * HOUR)
    assert client.get("/v1/counts?days=2", headers=auditor).json()["hours"] == []
    assert client.get("/v1/counts?days=4", headers=auditor).json()["hours"] == [hour]
    for days in ("0", "93", "x", "1.5", "9" * 40):
        refused(client.get(f"/v1/counts?days={days}", headers=auditor), "request-invalid", 422)


def test_the_posted_list_is_told_of_and_hands_out_nothing_to_go_by(client: Client, here: Serving) -> None:
    agreed = support.enrolled(here.venue)
    revocations.post(here.venue)
    operator = server.key_of(here, Role.OPERATOR)
    before = client.get("/v1/revocations", headers=operator).json()
    withdraw.withdraw(here.venue, agreed.person, support.VERIFY)
    revocations.post(here.venue)
    after = client.get("/v1/revocations", headers=operator).json()
    assert after["number"] > before["number"] and (before["faces"], after["faces"]) == (0, 1)
    assert set(after) == {"number", "issued_at", "good_until", "faces", "replaced"}


def test_a_receipt_is_checked_and_nothing_of_the_venue_told(client: Client, here: Serving) -> None:
    agreed = support.enrolled(here.venue)
    told = client.post("/v1/receipts/check", json={"receipt": agreed.receipt}).json()
    assert told["verdict"] == "verified" and all(step["outcome"] == "ok" for step in told["steps"])
    assert "self-consistent" in told["meaning"]  # what the venue's word alone is worth
    changed = json.dumps(json.loads(agreed.receipt) | {"venue_name": "Other Zoo"}, ensure_ascii=False)
    for bad in (agreed.receipt.replace("Test Zoo", "Best Zoo"), changed, "{}", "x", "[" * 50_000):
        told = client.post("/v1/receipts/check", json={"receipt": bad}).json()
        assert told["verdict"] == "refused" and told["code"], bad[:40]
        assert set(told) == {"verdict", "code", "meaning", "steps"}
        assert all(set(step) == {"name", "outcome"} for step in told["steps"])
    assert agreed.person not in client.post("/v1/receipts/check", json={"receipt": agreed.receipt}).text


# how the server is

def test_ready_names_what_is_not(client: Client, here: Serving, clock: SetClock, folder: Path) -> None:
    assert client.get("/v1/health").json() == {"status": "ok"}
    assert client.get("/v1/ready").json() == {"status": "ready"}
    clock.move((here.venue.settings.sweep_late_after_hours + 1) * HOUR)
    answer = client.get("/v1/ready")
    refused(answer, "not-ready", 503)
    assert answer.json()["not_ready"] == ["sweep"]
    sweep.sweep(here.venue)
    assert client.get("/v1/ready").status_code == 200
    clock.move(-2 * HOUR)  # set back
    assert client.get("/v1/ready").json()["not_ready"] == ["store"]
    clock.move(2 * HOUR)
    here.venue.log.sign()
    (folder / "log.signed").unlink()
    assert client.get("/v1/ready").json()["not_ready"] == ["log"]
    here.ending.set()
    assert client.get("/v1/ready").json()["not_ready"] == ["start"]
    assert client.get("/v1/health").status_code == 200


def test_ready_asks_for_a_threshold_where_a_gate_compares_faces(
        client: Client, here: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_venue: Venue, _comparison: str) -> None:
        raise Refused("gate-uncalibrated", "This gate has no calibration, so no face opens it.")

    monkeypatch.setattr(Venue, "threshold", none)
    with here.venue.store.write() as unit:
        for gate in gates.all_of(unit):
            gates.remove(unit, gate.gate_id)
        gates.add(unit, "by-pass", Mode.PASS, "")
    assert client.get("/v1/ready").json() == {"status": "ready"}  # this venue looks at nobody
    server.gate_of(here)
    assert client.get("/v1/ready").json()["not_ready"] == ["threshold"]


def test_ready_names_a_rotation_that_is_late(client: Client, here: Serving, clock: SetClock) -> None:
    withdraw.withdraw(here.venue, support.enrolled(here.venue).person, support.VERIFY)
    with here.venue.store.read() as unit:
        due = unit.mark("rotate_by")
    assert due is not None
    clock.move(due - clock.now() + 1)
    assert "rotation" in client.get("/v1/ready").json()["not_ready"]
    sweep.sweep(here.venue)  # which rotates
    assert client.get("/v1/ready").json() == {"status": "ready"}


def test_metrics_say_what_is_so_now(client: Client, here: Serving, clock: SetClock) -> None:
    def value(name: str) -> float:
        lines = client.get("/metrics", headers=auditor).text.splitlines()
        return float(next(line for line in lines if line.startswith(f"countenance_{name} ")).split()[1])

    auditor = server.key_of(here, Role.AUDITOR)
    sweep.sweep(here.venue)
    clock.move(90)
    assert value("sweep_age_seconds") == 90
    here.venue.log.sign()
    assert value("log_unsigned") == 0
    size = value("log_size")
    with here.venue.store.write() as unit:
        unit.tell("evidence", {"kind": "venue"})
    assert (value("log_size"), value("log_unsigned")) == (size + 1, 1)
    answer = client.get("/metrics", headers=auditor)
    assert answer.headers["content-type"].startswith("text/plain") and "build_info" in answer.text


def test_every_code_of_an_error_can_be_looked_up(client: Client) -> None:
    listed = client.get("/v1/problems").json()["problems"]
    assert {one["code"]: one["status"] for one in listed} == codes.STATUS
    for one in listed[::25]:
        assert client.get(one["type"]).json() == one
    refused(client.get("/v1/problems/none"), "problem-unknown", 404)
