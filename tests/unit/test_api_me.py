"""A person's own page over HTTP: their own, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from countenance.access.roles import Role
from countenance.clock import SetClock
from countenance.flows.venue import Venue
from countenance.quantities import MINUTE
from countenance.server.api import enrolments, gates, me, people, withdrawals
from countenance.server.routing import UNSAFE
from countenance.server.state import Serving
from countenance.verifier import evidence
from support import venue as support
from support.server import Client, decide, enrol, gate_of, key_of, operator_of, refused, serving, sign_in

TABLES = [people.ROUTES, enrolments.ROUTES, withdrawals.ROUTES, me.ROUTES, gates.ROUTES]


@pytest.fixture
def here(venue: Venue) -> Serving:
    return serving(venue)


@pytest.fixture
def desk(here: Serving) -> Iterator[Client]:
    with Client(here, TABLES, headers=key_of(here, Role.DESK)) as client:
        yield client
        assert not client.undocumented()


@pytest.fixture
def page(here: Serving) -> Iterator[Client]:
    """A browser in which nobody has signed in yet."""
    with Client(here, TABLES) as client:
        yield client
        assert not client.undocumented()


def signed_in(page: Client, code: str) -> dict[str, str]:
    answer = page.post("/v1/me/session", json={"code": code})
    assert answer.status_code == 201, answer.text
    return {"x-csrf-token": answer.json()["csrf"]}


def test_the_code_is_taken_as_people_type_it(desk: Client, page: Client) -> None:
    code = enrol(desk)["me_code"]
    for typed in (code, code.lower(), code.replace("-", " "), f"  {code.replace('0', 'O').replace('1', 'l')}  "):
        assert page.post("/v1/me/session", json={"code": typed}).status_code == 201
    assert support.count(desk.here.venue.folder, "session") == 1  # each took the place of the one before


@pytest.mark.parametrize(("origin", "name", "secure"), [
    ("http://127.0.0.1:8080", "countenance", False), ("https://zoo.example", "__Host-countenance", True)])
def test_the_cookie_stays_with_this_host_and_away_from_scripts(venue: Venue, origin: str, name: str,
                                                               secure: bool) -> None:
    here = serving(venue, origin)
    with Client(here, TABLES, headers=key_of(here, Role.DESK)) as desk, Client(here, TABLES) as page:
        answer = page.post("/v1/me/session", json={"code": enrol(desk)["me_code"]})
        first, *rest = answer.headers["set-cookie"].split("; ")
        told = {part.lower() for part in rest}
        assert first.startswith(f"{name}=") and len(first) > 40
        assert {"httponly", "samesite=strict", "path=/"} <= told and ("secure" in told) == secure
        assert not any(part.startswith("domain") for part in told)
        csrf = {"x-csrf-token": answer.json()["csrf"]}
        assert page.get("/v1/me").status_code == 200
        gone = page.delete("/v1/me/session", headers=csrf)
        assert gone.status_code == 204 and "max-age=0" in gone.headers["set-cookie"].lower()
        refused(page.get("/v1/me"), "sign-in-needed")


def test_nobody_is_signed_in_by_a_form_of_another_site(desk: Client, page: Client) -> None:
    body = json.dumps({"code": enrol(desk)["me_code"]}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        refused(page.post("/v1/me/session", content=body, headers={"content-type": kind}), "request-invalid")
    assert page.post("/v1/me/session", content=body, headers={"content-type": "application/json"}).status_code == 201


def test_every_change_needs_the_secret_of_this_session(desk: Client, page: Client, here: Serving) -> None:
    ada, ben = enrol(desk), enrol(desk, "ben", 2)
    own = signed_in(page, ada["me_code"])
    with Client(here, TABLES) as other:
        foreign = signed_in(other, ben["me_code"])
    unsafe = [route for route in me.ROUTES if route.method in UNSAFE and route.roles]
    assert len(unsafe) == 4
    for route in unsafe:
        for headers in ({}, {"x-csrf-token": ""}, {"x-csrf-token": "forged"}, foreign):
            refused(page.request(route.method, route.path, json=route.asks, headers=headers), "csrf-missing", 403)
    assert page.get("/v1/me").json()["consents"][0]["state"] == "given"
    assert page.post("/v1/me/complaints", json={"text": "x"}, headers=own).status_code == 201


def test_a_page_that_was_loaded_anew_gets_another_secret(desk: Client, page: Client) -> None:
    before = signed_in(page, enrol(desk)["me_code"])
    after = {"x-csrf-token": page.get("/v1/me/session").json()["csrf"]}
    refused(page.post("/v1/me/complaints", json={"text": "x"}, headers=before), "csrf-missing")
    assert page.post("/v1/me/complaints", json={"text": "x"}, headers=after).status_code == 201


def test_a_person_reaches_their_own_record_alone(desk: Client, page: Client) -> None:
    ada, ben = enrol(desk), enrol(desk, "ben", 2)
    csrf = signed_in(page, ada["me_code"])
    for route in (route for table in (people.ROUTES, enrolments.ROUTES, withdrawals.ROUTES) for route in table):
        if not route.roles:
            continue
        for whose in (ada["person"], ben["person"]):
            path = route.path.format(person=whose, purpose="entry.verify", enrolment="0" * 32, household="H")
            refused(page.request(route.method, path, json=route.asks, headers=csrf, params={"why": "x"}),
                    "role-refused", 403)
    assert page.get("/v1/me", params={"person": ben["person"]}).json()["person"] == ada["person"]
    refused(page.post("/v1/me/withdrawals", headers=csrf, json={"purpose": "entry.verify", "person": ben["person"]}),
            "request-invalid")
    for path in ("/v1/me", "/v1/me/export"):
        assert ben["person"] not in page.get(path).text and ada["person"] in page.get(path).text


def test_an_operator_is_nobody_at_this_page_and_a_key_neither(page: Client, here: Serving, desk: Client) -> None:
    sign_in(page, operator=operator_of(here, Role.OWNER))
    refused(page.get("/v1/me"), "role-refused")
    refused(desk.get("/v1/me"), "role-refused")


def test_wrong_codes_are_slowed_and_lock_nobody_out(desk: Client, page: Client, here: Serving) -> None:
    code = enrol(desk)["me_code"]
    for _ in range(me.WRONG_CODES):
        refused(page.post("/v1/me/session", json={"code": "0000-0000-0000-0000-0000"}), "me-code-unknown", 401)
    slow = page.post("/v1/me/session", json={"code": "0000-0000-0000-0000-0000"})
    refused(slow, "attempts", 429)
    assert int(slow.headers["retry-after"]) >= 1
    signed_in(page, code)  # from the same address, too
    with Client(here, TABLES, address="192.0.2.7") as other:
        refused(other.post("/v1/me/session", json={"code": "x"}), "me-code-unknown")


def test_what_is_shown_at_a_gate_opens_no_page(desk: Client, page: Client) -> None:
    ada = enrol(desk)
    for code in (ada["pass"][:200], ada["person"], "ada", ada["me_code"][:-1], ada["me_code"] + "0"):
        refused(page.post("/v1/me/session", json={"code": code}), "me-code-unknown")
    refused(page.post("/v1/me/session", json={"code": ""}), "request-invalid")
    refused(page.get("/v1/me"), "sign-in-needed")


def test_a_session_ends_when_nobody_uses_it(desk: Client, page: Client, clock: SetClock) -> None:
    csrf = signed_in(page, enrol(desk)["me_code"])
    clock.move(14 * MINUTE)
    assert page.get("/v1/me").status_code == 200
    clock.move(16 * MINUTE)
    refused(page.get("/v1/me"), "session-expired", 401)
    refused(page.post("/v1/me/complaints", json={"text": "x"}, headers=csrf), "session-unknown", 401)


def test_a_forged_session_is_nobody(desk: Client, page: Client, folder: Path) -> None:
    signed_in(page, enrol(desk)["me_code"])
    stored = str(support.rows_of(folder / "countenance.db", "session")[0][0])
    for token in (stored, "x", "é".encode().hex(), "A" * 43):
        page.cookies.clear()
        page.cookies.set("countenance", token)
        refused(page.get("/v1/me"), "session-unknown", 401)


def test_a_person_sees_each_use_each_look_and_each_disclosure(desk: Client, page: Client, here: Serving) -> None:
    gate, ada = gate_of(here), enrol(desk)
    assert decide(desk, gate, ada["pass"]) == "admit"
    desk.get(f"/v1/people/{ada['person']}", params={"why": "a lost child"})
    desk.post(f"/v1/people/{ada['person']}/disclosures-made",
              json={"to": "a court", "what": "visits", "why": "order 7"})
    csrf = signed_in(page, ada["me_code"])
    page.post("/v1/me/complaints", json={"text": "too slow"}, headers=csrf)
    told = page.get("/v1/me").json()
    assert [(one["gate"], one["outcome"]) for one in told["uses"]] == [("north", "admit")]
    assert ("desk one", "a lost child") in {(one["by"], one["why"]) for one in told["looks"]}
    assert (me.THEMSELVES, me.WHY) in {(one["by"], one["why"]) for one in told["looks"]}
    assert [one["to"] for one in told["disclosures"]] == ["a court"]
    assert [one["text"] for one in told["complaints"]] == ["too slow"]
    assert told["faces"][0]["measurement"] == "in your pass only" and told["consents"][0]["text"]
    assert not {"score", "template", "embedding", "key_id"} & set(told["faces"][0])


@pytest.mark.promise(2)
def test_a_person_withdraws_takes_everything_along_and_is_erased(desk: Client, page: Client, here: Serving,
                                                                 folder: Path) -> None:
    gate, ada = gate_of(here), enrol(desk)
    csrf = signed_in(page, ada["me_code"])
    assert decide(desk, gate, ada["pass"]) == "admit"
    assert page.post("/v1/me/withdrawals", headers=csrf, json={"purpose": "entry.verify"}).json()["outcome"] == "final"
    assert decide(desk, gate, ada["pass"]) == "refer"
    refused(page.post("/v1/me/withdrawals", headers=csrf, json={"purpose": "entry.key"}), "consent-other-purpose")
    refused(page.post("/v1/me/withdrawals", headers=csrf, json={"purpose": "nothing"}), "purpose-unknown")
    export = page.get("/v1/me/export")
    assert export.headers["content-disposition"].startswith("attachment") and export.json()["reference"] == "ada"
    evidence.verify(page.get("/v1/me/evidence").content, None).require_ok()
    gone = page.delete("/v1/me", headers=csrf)
    assert gone.json()["outcome"] == "erased" and "max-age=0" in gone.headers["set-cookie"].lower()
    refused(page.post("/v1/me/session", json={"code": ada["me_code"]}), "me-code-unknown")
    for table in ("person", "session", "me_code", "consent", "template", "issued_pass"):
        assert support.count(folder, table) == 0, table
