"""People over HTTP: found, shown, corrected and erased by those who may, and by nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from countenance.access.roles import Role
from countenance.consent import notices
from countenance.errors import CountenanceError
from countenance.flows import disclose
from countenance.flows.venue import Venue
from countenance.quantities import PersonId
from countenance.server.api import enrolments, gates, me, people, withdrawals
from countenance.server.routing import Route
from countenance.server.state import Serving
from countenance.verifier import evidence
from support import venue as support
from support.server import Client, auth_of, decide, enrol, gate_of, key_of, notice_of, refused, serving

OURS = [people.ROUTES, enrolments.ROUTES, withdrawals.ROUTES, me.ROUTES]
TABLES = [*OURS, gates.ROUTES]
PLANTED = "Marlene Planted 4711"
NOBODY = "0" * 32
WHY = {"why": "they asked"}


@pytest.fixture
def here(venue: Venue) -> Serving:
    return serving(venue)


@pytest.fixture
def desk(here: Serving) -> Iterator[Client]:
    with Client(here, TABLES, headers=key_of(here, Role.DESK)) as client:
        yield client
        assert not client.undocumented()


def events_of(desk: Client, person: str, kind: str) -> list[dict[str, Any]]:
    held = desk.get(f"/v1/people/{person}", params=WHY).json()
    return [event for event in held["events"] if event["type"] == kind]


def ask(client: Client, route: Route, person: str, headers: dict[str, str]) -> httpx.Response:
    """Ask a route for its operation with a body that is right in form."""
    path = route.path.format(person=person, purpose="entry.verify", enrolment=NOBODY, household="H")
    return client.request(route.method, path, headers=headers, json=route.asks,
                          params=WHY if route.method == "GET" else None)


def test_every_route_lets_in_its_roles_and_nobody_else(here: Serving) -> None:
    gate_of(here, "main-2")
    ada = support.enrolled(here.venue)
    ben = support.enrolled(here.venue, "ben", 2)
    person, asked = ada.person, 0
    with Client(here, TABLES) as client:
        for role in [*Role, None]:
            headers = auth_of(client, role, gate="main-2", person=ben.person)
            for route in (route for table in OURS for route in table):
                if not route.roles:
                    continue
                asked += 1
                if role in route.roles:
                    if (route.method, route.path.rpartition("/")[2]) in ENDS_IT:
                        continue  # asked in the stories
                    code = ask(client, route, NOBODY, headers).json() if route.media == "application/json" else {}
                    assert code.get("code") not in {"role-refused", "sign-in-needed", "csrf"}, (role, route.path)
                else:
                    refused(ask(client, route, person, headers), "role-refused" if role else "sign-in-needed")
    assert asked > 9 * 20
    assert support.comes_back(here.venue, ada.pass_text).outcome.value == "admit"  # what was refused did nothing


ENDS_IT = {("DELETE", "me"), ("DELETE", "session"), ("GET", "session")}


def test_what_is_answered_and_not_documented_is_found(desk: Client) -> None:
    """The search that ends every test here finds something planted."""
    assert desk.get("/v1/people").status_code == 200 and not desk.undocumented()
    told = desk.app.openapi()["paths"]["/v1/people"]["get"]["responses"]
    answer = told.pop("200")
    assert desk.undocumented() == {("get", "/v1/people", 200)}
    told["200"] = answer


def test_a_list_is_read_whole_and_each_once(desk: Client, here: Serving) -> None:
    known = {desk.post("/v1/people", json={"reference": name}).json()["person"] for name in "abcdefg"}
    seen: list[str] = []
    after = ""
    for _ in range(10):
        page = desk.get("/v1/people", params={"after": after, "limit": 2} if after else {"limit": 2}).json()
        assert len(page["people"]) <= 2
        seen += [one["person"] for one in page["people"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 7 and set(seen) == known
    assert PersonId(seen[0]) and "reference" not in desk.get("/v1/people").text


def test_a_cursor_that_was_tampered_with_is_refused(desk: Client) -> None:
    for name in "abc":
        desk.post("/v1/people", json={"reference": name})
    cursor = desk.get("/v1/people", params={"limit": 1}).json()["next"]
    assert desk.get("/v1/people", params={"after": cursor}).status_code == 200
    other = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1:] for at in range(len(cursor))]
    for text in [*other, cursor[:-1], cursor + "A", cursor + "=", NOBODY, "é", "-", "\x00"]:
        refused(desk.get("/v1/people", params={"after": text}), "cursor-unknown", 422)
    for limit in ("0", "201", "x", "-1"):
        refused(desk.get("/v1/people", params={"limit": limit}), "request-invalid")


def test_states_and_purposes_as_far_as_a_key_is_for_them(desk: Client, here: Serving) -> None:
    ada, ben = enrol(desk), enrol(desk, "ben", 2, support.SEARCH)
    desk.post("/v1/people", json={"reference": "cem"})
    desk.post(f"/v1/people/{ben['person']}/withdrawals", json={"purpose": "entry.search"})

    def state(reference: str, headers: dict[str, str] | None = None) -> tuple[str, list[str]]:
        found = desk.get("/v1/people", params={"reference": reference}, headers=headers).json()["people"][0]
        return found["state"], found["purposes"]

    assert state("ada") == ("enrolled", ["entry.verify"])
    assert state("ben") == ("none", []) and state("cem") == ("awaiting", [])
    assert state("ada", key_of(here, Role.DESK, purposes=[support.SEARCH])) == ("none", [])
    assert desk.get("/v1/people", params={"reference": "AD"}).json() == {"people": [], "next": None}
    assert desk.get("/v1/people", params={"reference": "ada"}).json()["people"][0]["person"] == ada["person"]


@pytest.mark.promise(5)
def test_nobody_reads_a_record_without_saying_why(desk: Client) -> None:
    ada = enrol(desk)
    before = len(events_of(desk, ada["person"], "operator-access"))
    for path in ("", "/consents", "/evidence"):
        where = f"/v1/people/{ada['person']}{path}"
        for params in ({}, {"why": ""}, {"why": "  "}, {"why": "x" * 301}):
            refused(desk.get(where, params=params), "request-invalid")
        refused(desk.get(where, params={"why": "\x1b[31m"}), "record-text")
    assert len(events_of(desk, ada["person"], "operator-access")) == before + 1  # the look before
    desk.get(f"/v1/people/{ada['person']}/consents", params={"why": "a call"})
    desk.get(f"/v1/people/{ada['person']}/evidence", params={"why": "a letter"})
    looks = {(one["by"], one["why"]) for one in events_of(desk, ada["person"], "operator-access")}
    assert {("desk one", "a call"), ("desk one", "evidence: a letter"), ("desk one", people.NEW_CODE)} <= looks


def test_a_number_that_nobody_has_is_answered_alike(here: Serving) -> None:
    ada = support.enrolled(here.venue).person
    asks = [route for table in OURS for route in table if "{person}" in route.path]
    assert len(asks) == 12
    with Client(here, TABLES) as client:
        for role in (Role.DESK, Role.OPERATOR, Role.OWNER):
            headers = auth_of(client, role)
            for route in asks:
                refused(ask(client, route, NOBODY, headers), "person-unknown", 404)
        headers = key_of(here, Role.DESK, purposes=[])
        client.cookies.clear()
        for route in asks:
            refused(ask(client, route, NOBODY, headers), "person-unknown", 404)
            if "{purpose}" in route.path or route.path.endswith(("{person}", "evidence", "consents", "me-code",
                                                                 "withdrawals", "reference")):
                refused(ask(client, route, ada, headers), "key-other-purpose", 403)
    with Client(here, TABLES, headers=key_of(here, Role.DESK)) as desk:
        assert [one["type"] for one in desk.get(f"/v1/people/{ada}", params=WHY).json()["events"]] == [
            "consent-given", "template-sealed", "pass-issued", "operator-access"]  # nothing but this look was added


@pytest.mark.promise(2)
def test_an_erasure_leaves_receipts_and_nothing_else(desk: Client, here: Serving, folder: Path) -> None:
    gate, ada = gate_of(here), enrol(desk)
    key = {"idempotency-key": "erase-1"}
    where = f"/v1/people/{ada['person']}"
    assert decide(desk, gate, ada["pass"]) == "admit"
    done = desk.delete(where, headers=key)
    assert [one["purpose"] for one in done.json()["withdrawn"]] == ["entry.verify"]
    assert decide(desk, gate, ada["pass"]) == "refer"
    refused(desk.get(where, params=WHY), "person-unknown")
    assert desk.get("/v1/people").json()["people"] == []
    refused(desk.delete(where), "person-unknown")
    for table in ("idempotent", "me_code", "session", "consent", "template"):
        assert ada["person"] not in repr(support.rows_of(folder / "countenance.db", table)), table
    assert len(support.rows_of(folder / "countenance.db", "idempotent")) == 1


def test_people_are_put_on_record_once(desk: Client) -> None:
    first = desk.post("/v1/people", json={"reference": " Z-1 ", "household": "H-7", "invite": True})
    assert first.status_code == 201 and not first.json()["known"] and len(first.json()["invitation"]) == 24
    again = desk.post("/v1/people", json={"reference": "Z-1"}).json()
    assert again == {"person": first.json()["person"], "known": True, "invitation": None}
    told = desk.get("/v1/households/H-7").json()
    assert [one["person"] for one in told["people"]] == [first.json()["person"]]
    refused(desk.get("/v1/households/H-8"), "household-unknown", 404)
    for body, code in (({"reference": "  "}, "reference-missing"), ({"reference": "a\u202eb"}, "reference-text"),
                       ({"reference": "a", "language": "??"}, "reference-language"),
                       ({"reference": "a", "household": "\x00"}, "reference-text"), ({}, "request-invalid"),
                       ({"reference": 7}, "request-invalid"), ({"reference": "a", "face": "x"}, "request-invalid"),
                       ({"reference": "\ud800"}, "request-invalid")):
        refused(desk.post("/v1/people", content=_json(body), headers={"content-type": "application/json"}), code, 422)
    assert len(desk.get("/v1/people").json()["people"]) == 1


def _json(body: dict[str, Any]) -> bytes:
    import json

    return json.dumps(body).encode()


def test_a_booking_number_is_corrected_before_there_is_a_pass(desk: Client) -> None:
    one = desk.post("/v1/people", json={"reference": "adda"}).json()["person"]
    assert desk.put(f"/v1/people/{one}/reference", json={"reference": "ada"}).status_code == 200
    assert desk.get(f"/v1/people/{one}", params=WHY).json()["reference"] == "ada"
    assert enrol(desk)["person"] == one
    refused(desk.put(f"/v1/people/{one}/reference", json={"reference": "ben"}), "person-has-pass", 409)


def test_a_consent_is_renewed_to_the_notice_in_force(desk: Client, here: Serving) -> None:
    gate, ada = gate_of(here), enrol(desk)
    older = notice_of(here)
    with here.venue.store.write() as unit:
        texts = notices.in_force(unit, support.VERIFY).texts
        notices.publish(unit, here.venue.venue_id, support.VERIFY, {name: text + " New." for name, text in
                                                                   texts.items()})
    assert decide(desk, gate, ada["pass"]) == "refer"
    where = f"/v1/people/{ada['person']}/consents/entry.verify/renewal"
    says = {"notice": notice_of(here), "language": "en", "channel": "desk"}
    refused(desk.post(where, json={**says, "notice": older}), "notice-outdated")
    refused(desk.post(where, json={**says, "channel": "sms"}), "request-invalid")
    refused(desk.post(where.replace("verify", "key"), json=says), "template-missing")
    assert decide(desk, gate, ada["pass"]) == "refer"
    assert desk.post(where, json=says).status_code == 200
    assert decide(desk, gate, ada["pass"]) == "admit"


def test_a_disclosure_is_agreed_to_apart_and_stopped(desk: Client, here: Serving) -> None:
    ada = enrol(desk)
    with here.venue.store.read() as unit:
        zone = notices.purpose(unit, support.VERIFY).zone
        languages = notices.in_force(unit, support.VERIFY).texts
    text = "Tram Club is told when you come, if you say yes to this. You can stop it at any desk. " * 5
    notice = disclose.offer(here.venue, "tram", "Tram Club", zone, dict.fromkeys(languages, text))
    where = f"/v1/people/{ada['person']}/disclosures/events.tram"
    says = {"notice": notice.hash, "language": "en", "channel": "desk"}
    refused(desk.post(where, json=says), "key-other-purpose")
    key = key_of(here, Role.DESK, purposes=[notice.purpose])
    refused(desk.delete(where, headers=key), "consent-other-purpose")
    assert desk.post(where, json=says, headers=key).status_code == 200
    refused(desk.post(where, json=says, headers=key), "consent-standing")
    stopped = desk.delete(where, headers=key)
    assert stopped.status_code == 200 and stopped.json()["purpose"] == "events.tram"
    refused(desk.post(where.replace("events.tram", "entry.verify"), json=says), "purpose-other")
    refused(desk.delete(where.replace("events.tram", "entry.verify")), "purpose-other")


def test_complaints_and_disclosures_stand_in_their_own_record(desk: Client, folder: Path) -> None:
    ada = enrol(desk)
    where = f"/v1/people/{ada['person']}"
    assert desk.post(f"{where}/complaints", json={"text": PLANTED}).json() == {"recorded": "complaint"}
    given = {"to": "a court", "what": PLANTED, "why": "order 7"}
    assert desk.post(f"{where}/disclosures-made", json=given).status_code == 201
    assert events_of(desk, ada["person"], "complaint")[0]["text"] == PLANTED
    assert events_of(desk, ada["person"], "disclosure")[0]["what"] == PLANTED
    assert PLANTED.encode() not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for text in ("", "x" * 2_001, "\x1b[31m", "   "):
        answer = desk.post(f"{where}/complaints", json={"text": text})
        assert answer.status_code == 422 and "xxx" not in answer.text and "[31m" not in answer.text
    assert len(events_of(desk, ada["person"], "complaint")) == 1


def test_evidence_verifies_offline(desk: Client) -> None:
    ada = enrol(desk)
    answer = desk.get(f"/v1/people/{ada['person']}/evidence", params=WHY)
    assert answer.headers["content-type"] == "application/zip"
    evidence.verify(answer.content, None).require_ok()
    with pytest.raises(CountenanceError):
        evidence.verify(answer.content[:-30], None).require_ok()


def test_a_new_code_ends_the_one_before_and_its_sessions(desk: Client, here: Serving) -> None:
    ada = enrol(desk)
    with Client(here, TABLES) as page:
        page.post("/v1/me/session", json={"code": ada["me_code"]})
        assert page.get("/v1/me").status_code == 200
        new = desk.post(f"/v1/people/{ada['person']}/me-code").json()["me_code"]
        refused(page.get("/v1/me"), "session-unknown")
        refused(page.post("/v1/me/session", json={"code": ada["me_code"]}), "me-code-unknown")
        assert page.post("/v1/me/session", json={"code": new}).status_code == 201
        looks = [(one["by"], one["why"]) for one in page.get("/v1/me").json()["looks"]]
        assert looks.count(("desk one", people.NEW_CODE)) == 2  # nobody makes one to look without a trace


@pytest.mark.promise(4)
def test_no_problem_repeats_what_was_sent_or_is_held(desk: Client, here: Serving) -> None:
    one = desk.post("/v1/people", json={"reference": PLANTED}).json()["person"]
    assert PLANTED in desk.get(f"/v1/people/{one}", params=WHY).text
    wrong: list[Callable[[], httpx.Response]] = [
        lambda: desk.post("/v1/people", json={"reference": PLANTED + "\x00"}),
        lambda: desk.post("/v1/people", json={"reference": 7, PLANTED: PLANTED}),
        lambda: desk.post("/v1/passes/plain", json={"reference": PLANTED}),
        lambda: desk.post("/v1/passes/replacement", json={"reference": PLANTED}),
        lambda: desk.get("/v1/households/" + PLANTED),
        lambda: desk.get("/v1/people/" + PLANTED, params=WHY),
        lambda: desk.get("/v1/people", params={"after": PLANTED}),
        lambda: desk.get(f"/v1/people/{one}", params={"why": PLANTED * 30}),
        lambda: desk.post(f"/v1/people/{one}/withdrawals", json={"purpose": PLANTED}),
        lambda: desk.post(f"/v1/people/{one}/complaints", json={"text": PLANTED + "\x07"}),
        lambda: desk.post(f"/v1/people/{one}/complaints", content=PLANTED.encode()),
        lambda: desk.post("/v1/enrolments", data={PLANTED: PLANTED}, files={"image": (PLANTED, b"x")}),
        lambda: desk.post(f"/v1/enrolments/{PLANTED}/read-back", json={"pass": PLANTED}),
        lambda: desk.post("/v1/passes/card", json={"pass": PLANTED, "size": PLANTED}),
        lambda: desk.put(f"/v1/people/{one}/reference", json={"reference": PLANTED + "\u202e"}),
        lambda: desk.post("/v1/withdrawals", json={"pass": PLANTED}),
        lambda: desk.post("/v1/me/session", json={"code": PLANTED}),
    ]
    for number, call in enumerate(wrong):
        answer = call()
        assert 400 <= answer.status_code < 500, (number, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        for part in PLANTED.split():
            assert part not in answer.text, number
    assert "Planted" not in desk.log.getvalue() and "/v1/people/{person}" in desk.log.getvalue()
