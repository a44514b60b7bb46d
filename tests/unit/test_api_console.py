"""Signing in at the console, and the keys that are handed out there: over HTTP, with real passwords and passkeys."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from countenance.access import limits, operators, sessions
from countenance.access.roles import Role
from countenance.clock import SetClock
from countenance.flows.venue import Venue
from countenance.server.api import console, health
from countenance.server.api import gates as gate_routes
from countenance.server.state import Serving
from support import server
from support import venue as support
from support.authenticator import Authenticator
from support.server import Client, refused

WORDS, OTHER = "seven bees hum low", "nine owls look on"
TABLES = (console.ROUTES, gate_routes.ROUTES, health.ROUTES)


@pytest.fixture
def here(venue: Venue) -> Serving:
    return server.serving(venue)


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here, TABLES) as opened:
        yield opened


def other(here: Serving, address: str = "127.0.0.1") -> Client:
    return Client(here, TABLES, address=address)


def owner_code(here: Serving) -> str:
    with here.venue.store.write() as unit:
        return operators.first_code(unit)


def first(client: Client, name: str = "Ada", password: str = WORDS) -> dict[str, Any]:
    """Make an owner by a code, signed in; return what was answered, and send its CSRF secret from now on."""
    answer = client.post("/v1/session/first", json={"code": owner_code(client.here), "name": name,
                                                    "password": password})
    assert answer.status_code == 200, answer.text
    return taken(client, answer)


def taken(client: Client, answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    client.headers["x-csrf-token"] = body["csrf"]
    return body


def sign_in(client: Client, name: str = "Ada", password: str = WORDS) -> httpx.Response:
    return client.post("/v1/session", json={"name": name, "password": password})


def set_cookies(answer: httpx.Response) -> list[str]:
    return answer.headers.get_list("set-cookie")


# how one comes in

def test_a_code_makes_the_first_owner_once(client: Client, here: Serving) -> None:
    code = owner_code(here)
    asked = {"code": code, "name": "Ada", "password": WORDS}
    weak = client.post("/v1/session/first", json=asked | {"password": "short"})
    refused(weak, "password-short")
    answer = client.post("/v1/session/first", json=asked)  # still good after a password that was refused
    body = taken(client, answer)
    assert (body["role"], body["name"]) == ("owner", "Ada")
    assert client.get("/v1/operators").json()["operators"][0]["state"] == "active"
    with other(here) as stranger:
        refused(stranger.post("/v1/session/first", json=asked | {"name": "Eve"}), "code-unknown", 401)


def test_without_a_good_code_nothing_is_hashed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(operators, "hash_password", lambda text: hashed.append(text) or operators.Hashed("$x"))
    refused(client.post("/v1/session/first", json={"code": "AAAA-BBBB", "name": "Eve", "password": WORDS}),
            "code-unknown")
    assert hashed == []
    client.post("/v1/session/first", json={"code": owner_code(client.here), "name": "Ada", "password": WORDS})
    assert hashed == [WORDS]  # the search finds


def test_an_unknown_name_and_a_wrong_password_are_one_answer(client: Client, here: Serving) -> None:
    first(client)
    with other(here) as stranger:
        wrong, unknown = sign_in(stranger, password=OTHER), sign_in(stranger, name="Nobody", password=OTHER)
        both = [answer.json() | {"request_id": ""} for answer in (wrong, unknown)]
        assert both[0] == both[1] and both[0]["code"] == "sign-in-failed"
        assert wrong.status_code == unknown.status_code == 401
        told = [{k: v for k, v in a.headers.items() if k != "x-request-id"} for a in (wrong, unknown)]
        assert told[0] == told[1] and set_cookies(wrong) == []
        assert sign_in(stranger).status_code == 200


def test_a_sign_in_gives_a_new_token_and_ends_the_one_before(client: Client, here: Serving) -> None:
    first(client)
    before = client.cookies[here.cookie]
    planted = "planted-by-somebody"
    with other(here) as browser:
        browser.cookies.set(here.cookie, planted, domain="127.0.0.1", path="/")
        answer = sign_in(browser)
        assert answer.status_code == 200 and planted not in "".join(set_cookies(answer))
    body = taken(client, sign_in(client))
    assert client.cookies[here.cookie] != before
    assert client.get("/v1/session").json()["role"] == body["role"]
    client.cookies.set(here.cookie, before, domain="127.0.0.1", path="/")
    with other(here) as browser:
        refused(browser.get("/v1/session", headers={"cookie": f"{here.cookie}={before}"}), "session-unknown")


@pytest.mark.parametrize(("origin", "secure"), [(server.ORIGIN, False), ("https://zoo.example", True)])
def test_cookies_are_kept_from_scripts_and_other_sites(venue: Venue, origin: str, secure: bool) -> None:
    here = server.serving(venue, origin)
    with Client(here, TABLES) as client:
        first(client)
        answer = sign_in(client)
        assert len(set_cookies(answer)) == 2  # the session, and the device that is known next time
        for line in set_cookies(answer):
            parts = {part.strip().lower() for part in line.split(";")[1:]}
            assert {"httponly", "samesite=strict", "path=/"} <= parts and not any("domain" in p for p in parts)
            assert ("secure" in parts) is secure
            assert line.startswith("__Host-countenance" if secure else "countenance")
        gone = client.delete("/v1/session", headers={"x-csrf-token": answer.json()["csrf"]})
        assert gone.status_code == 204 and "max-age=0" in set_cookies(gone)[0].lower()


def test_no_password_code_or_token_reaches_a_log_or_another_answer(client: Client, here: Serving, folder: Path) -> None:
    body = first(client)
    sign_in(client, password=OTHER)
    taken(client, sign_in(client))
    answers = [client.get(path).text for path in ("/v1/operators", "/v1/session", "/v1/keys")]
    answers.append(client.post("/v1/session", json={"name": "Ada", "password": [WORDS]}).text)
    told = client.log.getvalue() + "".join(answers)
    assert '"route": "/v1/session"' in told  # there are lines
    for secret in (WORDS, OTHER, body["csrf"], client.cookies[here.cookie], "argon2"):
        assert secret not in told
    for path in folder.glob("*.db*"):
        assert WORDS.encode() not in path.read_bytes()


def test_a_change_needs_the_csrf_secret_of_this_very_session(client: Client, here: Serving) -> None:
    first(client)
    asked = {"name": "Ben", "role": "desk"}
    good = client.headers.pop("x-csrf-token")
    refused(client.post("/v1/operators", json=asked), "csrf-missing", 403)
    refused(client.post("/v1/operators", json=asked, headers={"x-csrf-token": "x" + good}), "csrf-missing", 403)
    with other(here) as browser:
        theirs = sign_in(browser).json()["csrf"]
    refused(client.post("/v1/operators", json=asked, headers={"x-csrf-token": theirs}), "csrf-missing", 403)
    assert len(client.get("/v1/operators").json()["operators"]) == 1
    renewed = client.get("/v1/session").json()["csrf"]
    refused(client.post("/v1/operators", json=asked, headers={"x-csrf-token": good}), "csrf-missing", 403)
    assert client.post("/v1/operators", json=asked, headers={"x-csrf-token": renewed}).status_code == 201


@pytest.mark.parametrize("end", ["sign-out", "idle", "long", "off"])
def test_a_session_ends(client: Client, here: Serving, clock: SetClock, end: str) -> None:
    first(client)
    assert client.get("/v1/session").status_code == 200
    cookie = {"cookie": f"{here.cookie}={client.cookies[here.cookie]}"}
    if end == "sign-out":
        assert client.delete("/v1/session", headers={"x-csrf-token": client.get("/v1/session").json()["csrf"]}
                             ).status_code == 204
    elif end == "idle":
        clock.move(sessions.IDLE["operator"])
    elif end == "long":
        for _ in range(sessions.LONGEST // 1_200):
            clock.move(1_200)
            client.get("/v1/session")
    else:
        with here.venue.store.write() as unit:
            mine = operators.all_of(unit)[0].operator_id
            operators.take_code(unit, operators.first_code(unit), "Cem", operators.Hashed("$x"))
            operators.switch_off(unit, mine)
    with other(here) as browser:
        assert browser.get("/v1/session", headers=cookie).json()["code"] in {"session-unknown", "session-expired"}


def test_who_tries_passwords_waits_and_keeps_nobody_else_out(client: Client, here: Serving) -> None:
    first(client)
    assert sign_in(client).status_code == 200  # this browser is known from now on
    with other(here, "203.0.113.9") as attacker:
        spelled = ("Ada", "ada", " ADA ", "Ada", "aDa", "ADA")
        answers = [sign_in(attacker, name=name, password=OTHER) for name in spelled]
        assert [a.status_code for a in answers[:5]] == [401] * 5
        refused(answers[5], "attempts", 429)  # however the name is spelled
        assert int(answers[5].headers["retry-after"]) >= 1
        refused(sign_in(attacker), "attempts", 429)  # with the true password too: it tells nothing
    assert sign_in(client).status_code == 200
    with other(here, "203.0.113.10") as elsewhere:
        assert sign_in(elsewhere).status_code == 200


def test_of_who_is_not_signed_in_nothing_is_kept_for_an_idempotency_key(client: Client, folder: Path) -> None:
    first(client)
    for key in ("one", "two"):
        assert client.post("/v1/session", json={"name": "Ada", "password": WORDS},
                           headers={"idempotency-key": key}).status_code == 200
    assert support.rows_of(folder / "countenance.db", "idempotent") == []  # nor a digest of a password


def test_a_crowd_that_tries_passwords_keeps_nobody_else_waiting(
        venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    def matches(_hash: str, _password: str) -> bool:
        with operators._AT_WORK:
            return False

    monkeypatch.setattr(operators, "_matches", matches)
    monkeypatch.setattr(limits, "FREE_FROM_ONE_ADDRESS", 1_000)  # they come from many
    here = server.serving(venue)
    app = server.application(here, TABLES)

    async def crowd() -> int:
        transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
        async with httpx.AsyncClient(transport=transport, base_url=server.ORIGIN) as asking:
            tries = [asyncio.create_task(asking.post("/v1/session", json={"name": f"n{n}", "password": OTHER}))
                     for n in range(60)]
            await asyncio.sleep(0.3)
            assert not any(one.done() for one in tries)
            answer = await asyncio.wait_for(asking.get("/v1/problems"), 5)
            for _ in range(operators.AT_ONCE):
                operators._AT_WORK.release()
            await asyncio.gather(*tries)
            return answer.status_code

    for _ in range(operators.AT_ONCE):  # passwords are being looked at just now
        operators._AT_WORK.acquire()
    assert asyncio.run(crowd()) == 200


def test_another_password_ends_every_session_but_gives_this_browser_one(client: Client, here: Serving) -> None:
    first(client)
    with other(here) as second:
        assert sign_in(second).status_code == 200
        refused(client.post("/v1/session/password", json={"old": OTHER, "new": OTHER}), "sign-in-failed", 401)
        refused(client.post("/v1/session/password", json={"old": WORDS, "new": "password1234"}), "password-common", 422)
        assert second.get("/v1/session").status_code == 200
        changed = client.post("/v1/session/password", json={"old": WORDS, "new": OTHER})
        assert changed.status_code == 200, changed.text
        refused(second.get("/v1/session"), "session-unknown")
        taken(client, changed)
        assert client.get("/v1/session").status_code == 200
        refused(sign_in(second), "sign-in-failed")
        assert sign_in(second, password=OTHER).status_code == 200


# operators

def test_owners_invite_and_switch_off(client: Client, here: Serving) -> None:
    first(client)
    refused(client.post("/v1/operators", json={"name": "Ben", "role": "gate"}), "operator-role")
    refused(client.post("/v1/operators", json={"name": "Ben", "role": "queen"}), "operator-role")
    refused(client.post("/v1/operators", json={"name": "ADA", "role": "desk"}), "operator-name-taken")
    code = client.post("/v1/operators", json={"name": "Ben", "role": "operator"}).json()["code"]
    with other(here) as ben:
        mine = taken(ben, ben.post("/v1/session/first", json={"code": code, "password": OTHER}))
        assert (mine["name"], mine["role"]) == ("Ben", "operator")
        refused(ben.get("/v1/operators"), "role-refused", 403)
        key = ben.post("/v1/keys", json={"role": "desk", "label": "desk"}).json()["key"]
        found = {one["name"]: one for one in client.get("/v1/operators").json()["operators"]}
        assert client.delete(f"/v1/operators/{found['Ben']['operator']}").json()["keys_revoked"] == 1
        refused(ben.get("/v1/session"), "session-unknown")
        refused(ben.get("/v1/session", headers={"x-api-key": key}), "key-revoked", 401)
        refused(sign_in(ben, "Ben", OTHER), "sign-in-failed")
    refused(client.delete(f"/v1/operators/{found['Ada']['operator']}"), "owner-last", 409)
    refused(client.delete("/v1/operators/nobody"), "operator-unknown", 404)


def test_a_lost_password_is_replaced_by_a_code_and_opens_nothing_more(client: Client, here: Serving) -> None:
    first(client)
    code = client.post("/v1/operators", json={"name": "Ben", "role": "desk"}).json()["code"]
    number = next(o["operator"] for o in client.get("/v1/operators").json()["operators"] if o["name"] == "Ben")
    again = client.post(f"/v1/operators/{number}/code").json()["code"]
    with other(here) as ben:
        refused(ben.post("/v1/session/first", json={"code": code, "password": OTHER}), "code-unknown")
        assert ben.post("/v1/session/first", json={"code": again, "password": OTHER}).status_code == 200
        assert client.post(f"/v1/operators/{number}/code").status_code == 201
        refused(ben.get("/v1/session"), "session-unknown")
        refused(sign_in(ben, "Ben", OTHER), "sign-in-failed")


# keys

def test_a_key_is_shown_once_and_does_what_it_is_for(client: Client, here: Serving) -> None:
    first(client)
    made = client.post("/v1/keys", json={"role": "gate", "gate": "main", "purposes": ["entry.verify"],
                                         "label": "north", "days": 9})
    assert made.status_code == 201, made.text
    text, number = made.json()["key"], made.json()["id"]
    listed = client.get("/v1/keys")
    assert text.split("_")[2] not in listed.text and listed.json()["keys"][0]["state"] == "good"
    with other(here) as gate:
        auth = {"authorization": f"Bearer {text}"}
        assert gate.get("/v1/gates/main", headers=auth).status_code == 200
        assert gate.get("/v1/session", headers=auth).json() == {"role": "gate", "name": "north", "gate": "main",
                                                                "csrf": ""}
        assert client.delete(f"/v1/keys/{number}").status_code == 204
        refused(gate.get("/v1/gates/main", headers=auth), "key-revoked", 401)
    assert client.get("/v1/keys").json()["keys"][0]["state"] == "revoked"
    refused(client.delete("/v1/keys/none"), "api-key-unknown", 404)


@pytest.mark.parametrize(("asked", "code"), [
    ({"role": "owner"}, "key-role-higher"), ({"role": "person"}, "key-role-higher"), ({"role": "queen"}, "key-role"),
    ({"role": "gate"}, "key-gate"), ({"role": "gate", "gate": "none"}, "key-gate"),
    ({"purposes": ["entry.none"]}, "key-purposes"), ({"days": 0}, "key-days"), ({"days": 401}, "key-days"),
    ({"days": -1}, "key-days"), ({"label": "\n"}, "key-label"), ({"pressed": "yes"}, "request-invalid"),
    ({"days": 10.5}, "request-invalid"), ({"secret": "mine"}, "request-invalid"),
])
def test_keys_that_may_not_be(client: Client, asked: dict[str, Any], code: str) -> None:
    first(client)
    refused(client.post("/v1/keys", json={"role": "desk", "label": "desk"} | asked), code)
    assert client.get("/v1/keys").json()["keys"] == []
    assert client.post("/v1/keys", json={"role": "desk", "label": "desk"}).status_code == 201


def test_nobody_makes_or_revokes_a_key_that_may_do_more_than_they(client: Client, here: Serving) -> None:
    first(client)
    mighty = client.post("/v1/keys", json={"role": "operator", "label": "program"}).json()
    with other(here) as ben:
        csrf = server.sign_in(ben, operator=server.operator_of(here, Role.OPERATOR))
        refused(ben.post("/v1/keys", json={"role": "operator", "label": "x"}, headers=csrf), "key-role-higher", 403)
        refused(ben.post("/v1/keys", json={"role": "auditor", "label": "x"}, headers=csrf), "key-role-higher", 403)
        refused(ben.delete(f"/v1/keys/{mighty['id']}", headers=csrf), "key-role-higher", 403)
        lower = ben.post("/v1/keys", json={"role": "desk", "label": "x"}, headers=csrf).json()
    with other(here) as program:  # a key makes and revokes none, whatever its role
        auth = {"x-api-key": mighty["key"]}
        assert len(program.get("/v1/keys", headers=auth).json()["keys"]) == 2
        refused(program.post("/v1/keys", json={"role": "desk", "label": "x"}, headers=auth), "key-role-higher", 403)
        refused(program.delete(f"/v1/keys/{lower['id']}", headers=auth), "key-role-higher", 403)
        refused(program.get("/v1/passkeys", headers=auth), "console-only", 403)
        refused(program.post("/v1/session/password", json={"old": WORDS, "new": OTHER}, headers=auth), "console-only")


# passkeys

def challenge_of(options: dict[str, Any]) -> bytes:
    text = options["challenge"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def with_passkey(client: Client) -> tuple[Authenticator, str]:
    asked = client.post("/v1/passkeys/options").json()
    key = Authenticator(asked["options"]["rp"]["id"], client.here.origin)
    done = client.post("/v1/passkeys", json={"id": asked["id"], "answer": key.made(challenge_of(asked["options"])),
                                             "label": "phone"})
    assert done.status_code == 201, done.text
    return key, str(done.json()["passkey"])


def by_passkey(client: Client, key: Authenticator, number: str = "") -> httpx.Response:
    asked = client.post("/v1/session/passkey/options").json()
    key.counter += 1
    answer = key.signed(challenge_of(asked["options"]))
    return client.post("/v1/session/passkey", json={"id": number or asked["id"], "answer": answer})


def test_a_passkey_signs_in_until_it_is_taken_away(client: Client, here: Serving) -> None:
    first(client)
    key, number = with_passkey(client)
    assert client.get("/v1/passkeys").json()["passkeys"][0]["passkey"] == number
    with other(here) as browser:
        body = taken(browser, by_passkey(browser, key))
        assert (body["name"], body["role"]) == ("Ada", "owner")
        assert browser.delete("/v1/passkeys/AAAA").json()["code"] == "passkey-unknown"
        assert browser.delete(f"/v1/passkeys/{number}").status_code == 204
        refused(by_passkey(browser, key), "passkey-failed", 401)


def test_a_challenge_is_for_one_use_and_for_whom_it_was_made(client: Client, here: Serving) -> None:
    first(client)
    key, _ = with_passkey(client)
    with other(here) as browser:
        asked = browser.post("/v1/session/passkey/options").json()
        key.counter += 1
        sent = {"id": asked["id"], "answer": key.signed(challenge_of(asked["options"]))}
        assert browser.post("/v1/session/passkey", json=sent).status_code == 200
        refused(browser.post("/v1/session/passkey", json=sent), "passkey-failed")  # once
        refused(by_passkey(browser, key, "made-up"), "passkey-failed")
        mine = client.post("/v1/passkeys/options").json()  # made for who is signed in, to make a key
        key.counter += 1
        sent = {"id": mine["id"], "answer": key.signed(challenge_of(mine["options"]))}
        refused(browser.post("/v1/session/passkey", json=sent), "passkey-failed")
        theirs = browser.post("/v1/session/passkey/options").json()  # made for anybody, to sign in
        made = Authenticator(here.rp_id, here.origin).made(challenge_of(theirs["options"]))
        refused(client.post("/v1/passkeys", json={"id": theirs["id"], "answer": made, "label": "x"}), "passkey-failed")
    assert len(client.get("/v1/passkeys").json()["passkeys"]) == 1


@pytest.mark.parametrize("answer", [{}, {"id": "x"}, {"id": 7, "response": []}, {"id": "\u0000", "response": {}}])
def test_what_is_no_answer_of_a_passkey_is_refused_alike(client: Client, answer: dict[str, Any]) -> None:
    asked = client.post("/v1/session/passkey/options").json()
    refused(client.post("/v1/session/passkey", json={"id": asked["id"], "answer": answer}), "passkey-failed", 401)


def test_one_passkey_opens_no_other_operators_session(client: Client, here: Serving) -> None:
    first(client)
    code = client.post("/v1/operators", json={"name": "Ben", "role": "desk"}).json()["code"]
    with other(here) as ben:
        taken(ben, ben.post("/v1/session/first", json={"code": code, "password": OTHER}))
        key, number = with_passkey(ben)
        refused(client.delete(f"/v1/passkeys/{number}"), "passkey-unknown", 404)  # not hers
        with other(here) as browser:
            assert by_passkey(browser, key).json()["role"] == "desk"
