"""Attacks on the server by whoever holds too little for them: each is named by what the attacker would claim."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from countenance.access import operators
from countenance.access.roles import Role
from countenance.flows import gates, pad
from countenance.flows.gates import Mode
from countenance.flows.venue import Venue
from countenance.formats import base45
from countenance.quantities import PurposeId
from countenance.server.state import Serving
from support import server
from support import venue as support
from support.server import Client


@pytest.fixture
def here(venue: Venue) -> Serving:
    return server.serving(venue)


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here) as made:
        yield made


def _desk(here: Serving, *purposes: PurposeId, pressed: bool = False) -> dict[str, str]:
    return server.key_of(here, Role.DESK, purposes=purposes, pressed=pressed)


def _shown(person: int = 1) -> bytes:
    return support.picture(person, shade=9)()


# comparison

@pytest.mark.parametrize("purposes", [(), (support.SEARCH,)])
def test_a_gate_key_that_names_another_purpose_compares_all_the_same(
    here: Serving, client: Client, purposes: tuple[PurposeId, ...],
) -> None:
    good = server.gate_of(here)
    done = server.enrol(client, headers=_desk(here, support.VERIFY))
    assert server.decide(client, good, done["pass"]) == "admit"

    other = server.key_of(here, Role.GATE, gate="north", purposes=purposes)
    answer = client.post("/v1/gates/north/decisions", content=_shown(),
                         headers={**other, "content-type": "image/png", "countenance-pass": done["pass"]})

    server.refused(answer, "key-other-purpose")


# withdrawal is final, and erasure reaches everything

def test_a_recognition_is_repeated_after_the_withdrawal_by_an_idempotency_key(here: Serving, client: Client) -> None:
    desk = _desk(here, support.SEARCH, pressed=True)
    done = server.enrol(client, purpose=support.SEARCH, headers=desk)
    asks = {**desk, "content-type": "image/png", "idempotency-key": "again"}
    first = client.post("/api/v1/recognition/recognize", content=_shown(), headers=asks)
    assert first.json()["result"][0]["subjects"] == [{"similarity": 1.0, "subject": "ada"}]
    assert client.post(f"/v1/people/{done['person']}/withdrawals", json={"purpose": support.SEARCH},
                       headers=desk).status_code == 200

    second = client.post("/api/v1/recognition/recognize", content=_shown(), headers=asks)

    assert "ada" not in second.text


def test_a_stranger_is_somebody_by_anothers_idempotency_key(here: Serving, client: Client) -> None:
    desk = _desk(here, support.SEARCH, pressed=True)
    server.enrol(client, purpose=support.SEARCH, headers=desk)
    asks = {**desk, "content-type": "image/png", "idempotency-key": "again"}
    assert "ada" in client.post("/api/v1/recognition/recognize", content=_shown(), headers=asks).text

    stranger = client.post("/api/v1/recognition/recognize", content=_shown(77), headers=asks)

    assert "ada" not in stranger.text


def test_the_name_of_an_erased_subject_is_kept_for_an_idempotency_key(here: Serving, client: Client) -> None:
    desk = _desk(here, support.SEARCH)
    added = client.post("/api/v1/recognition/subjects", json={"subject": "zoo-person-77"},
                        headers={**desk, "idempotency-key": "one"})
    assert added.status_code == 201
    assert client.delete("/api/v1/recognition/subjects/zoo-person-77", headers=desk).status_code == 200

    assert not [row for row in support.rows_of(here.venue.folder / "countenance.db", "idempotent")
                if b"zoo-person-77" in repr(row).encode()]


# one purpose's key and another's

def test_a_desk_reads_everything_about_somebody_by_enrolling_them_for_its_own_purpose(
    here: Serving, client: Client,
) -> None:
    server.enrol(client, headers=_desk(here, support.VERIFY))
    small = _desk(here, support.SEARCH)
    listed = client.get("/v1/people", params={"reference": "ada"}, headers=small).json()["people"][0]
    server.refused(client.post(f"/v1/people/{listed['person']}/me-code", headers=small), "key-other-purpose")

    done = server.enrol(client, "ada", 2, support.SEARCH, headers=small)

    assert done["me_code"] is None


def test_whoever_signed_in_before_an_enrolment_reads_on(here: Serving, client: Client) -> None:
    nothing = _desk(here)
    person = client.post("/v1/people", json={"reference": "ada"}, headers=nothing).json()["person"]
    code = client.post(f"/v1/people/{person}/me-code", headers=nothing).json()["me_code"]
    assert client.post("/v1/me/session", json={"code": code}).status_code == 201
    assert client.get("/v1/me").status_code == 200

    with Client(here) as desk:
        server.enrol(desk, headers=_desk(here, support.VERIFY))

    server.refused(client.get("/v1/me"), "session-unknown")


def test_a_key_for_one_collection_erases_what_somebody_agreed_to_elsewhere(here: Serving, client: Client) -> None:
    gate = server.gate_of(here)
    done = server.enrol(client, headers=_desk(here, support.VERIFY))

    client.delete("/api/v1/recognition/subjects/ada", headers=_desk(here, support.SEARCH))

    assert server.decide(client, gate, done["pass"]) == "admit"


def test_an_operators_key_ends_every_consent_to_another_purpose_by_a_new_notice(here: Serving, client: Client) -> None:
    key = server.key_of(here, Role.OPERATOR, purposes=(support.SEARCH,))
    texts = client.get(f"/v1/purposes/{support.VERIFY}/notice").json()["texts"]
    answer = client.post(f"/v1/purposes/{support.VERIFY}/notices", headers=key,
                         json={"texts": {name: text + " New." for name, text in texts.items()}})
    server.refused(answer, "key-other-purpose")


# limits that lock others out

def test_a_stolen_gate_key_stops_the_lane_without_faces(here: Serving, client: Client) -> None:
    with here.venue.store.write() as unit:
        gates.add(unit, "side", Mode.PASS, zone="entrance")
    desk = _desk(here, support.VERIFY)
    text = client.post("/v1/passes/plain", json={"reference": "ada"}, headers=desk).json()["pass"]
    stolen = server.key_of(here, Role.GATE, gate="side", purposes=())
    own = server.key_of(here, Role.GATE, gate="side", purposes=())
    for _ in range(here.venue.settings.attempts_per_minute):
        client.post("/v1/gates/side/decisions", headers={**stolen, "countenance-pass": "x"})

    assert server.decide(client, own, text, gate="side") == "admit"


def test_a_stolen_gate_key_stops_the_gates_other_keys(here: Serving, client: Client) -> None:
    own = server.gate_of(here)
    stolen = server.key_of(here, Role.GATE_STAFF, gate="north")
    done = server.enrol(client, headers=_desk(here, support.VERIFY))
    for _ in range(here.venue.settings.attempts_per_minute):
        client.post("/v1/gates/north/decisions", headers=stolen)

    assert server.decide(client, own, done["pass"]) == "admit"


def test_one_desk_lets_no_other_enrol(here: Serving, client: Client) -> None:
    one, other = _desk(here, *server.ALL_PURPOSES), _desk(here, support.VERIFY)
    last = None
    for reference in ("ada", "ben", *(pad.reference(number) for number in range(20))):  # 66 waiting at once
        for purpose in server.ALL_PURPOSES:
            last = client.post("/v1/enrolments", headers=one, **server.form_of(here, reference, 1, purpose))
    assert last is not None
    server.refused(last, "enrolments-waiting")

    assert server.enrol(client, "cem", 3, headers=other)["person"]


def test_ten_junk_codes_keep_the_first_owner_out(here: Serving, client: Client) -> None:
    with here.venue.store.write() as unit:
        code = operators.first_code(unit)
    for _ in range(12):
        client.post("/v1/session/first", json={"code": "junk", "password": "x"})

    answer = client.post("/v1/session/first", json={"code": code, "name": "Ada", "password": "a long day at sea"})
    assert answer.status_code == 200, answer.text


def test_a_visitor_has_evidence_made_without_end(here: Serving, client: Client) -> None:
    done = server.enrol(client, headers=_desk(here, support.VERIFY))
    assert client.post("/v1/me/session", json={"code": done["me_code"]}).status_code == 201

    assert 429 in {client.get("/v1/me/evidence").status_code for _ in range(6)}


def test_strangers_fill_the_store_with_idempotency_keys(here: Serving, client: Client) -> None:
    for number in range(3):
        client.post("/v1/receipts/check", json={"receipt": "x"}, headers={"idempotency-key": f"k{number}"})

    assert not support.rows_of(here.venue.folder / "countenance.db", "idempotent")


def test_who_gives_no_picture_may_send_sixteen_megabytes(here: Serving, client: Client) -> None:
    answer = client.post("/v1/receipts/check", content=bytes(1 << 20), headers={"content-type": "image/jpeg"})
    server.refused(answer, "body-too-large")


def test_two_content_types_get_a_large_json_body_parsed(here: Serving, client: Client) -> None:
    body = b'{"receipt": "' + b"x" * (1 << 20) + b'"}'
    answer = client.post("/v1/receipts/check", content=body,
                         headers=[("content-type", "application/json"), ("content-type", "image/jpeg")])
    assert answer.json()["code"] in {"body-too-large", "request-malformed"}, answer.text


# doors and keys

class _Stuck:
    """A door whose controller does not answer until the test is over."""

    def __init__(self) -> None:
        self.free, self.reached = threading.Event(), threading.Semaphore(0)

    def open(self, _token: str, _people: int) -> None:
        self.reached.release()
        self.free.wait(20)


def test_one_gates_stuck_door_stops_the_lane_without_faces(here: Serving, client: Client) -> None:
    with here.venue.store.write() as unit:
        gates.add(unit, "side", Mode.PASS, zone="entrance", door="broken")
        gates.add(unit, "back", Mode.PASS, zone="entrance")
    text = client.post("/v1/passes/plain", json={"reference": "ada"}, headers=_desk(here)).json()["pass"]
    side, back = (server.key_of(here, Role.GATE, gate=name, purposes=()) for name in ("side", "back"))
    here.doors["broken"] = stuck = cast("Any", _Stuck())
    said: list[str] = []

    def come(gate: str, key: dict[str, str]) -> None:
        with Client(here) as one:
            said.append(gate + " " + server.decide(one, key, text, gate=gate))

    waiting = [threading.Thread(target=come, args=("side", side)) for _ in range(4)]
    for thread in waiting:
        thread.start()
        assert stuck.reached.acquire(timeout=10)
    other = threading.Thread(target=come, args=("back", back))
    other.start()
    other.join(5)
    so_far = list(said)
    stuck.free.set()
    for thread in (*waiting, other):
        thread.join()
    assert so_far == ["back admit"]


# what a waiting enrolment is good for

def test_the_pass_of_a_waiting_enrolment_is_compared(here: Serving, client: Client) -> None:
    gate, desk = server.gate_of(here), _desk(here, support.VERIFY)
    begun = client.post("/v1/enrolments", headers=desk, **server.form_of(here)).json()

    assert server.decide(client, gate, begun["pass"]) == "refer"
    client.post(f"/v1/enrolments/{begun['enrolment']}/read-back", json={"pass": begun["pass"]}, headers=desk)
    assert server.decide(client, gate, begun["pass"]) == "admit"


def test_a_pass_that_was_withdrawn_while_it_waited_goes_live(here: Serving, client: Client) -> None:
    gate, desk = server.gate_of(here), _desk(here, support.VERIFY)
    begun = client.post("/v1/enrolments", headers=desk, **server.form_of(here)).json()
    assert client.post("/v1/withdrawals", json={"pass": begun["pass"]}).status_code == 200

    done = client.post(f"/v1/enrolments/{begun['enrolment']}/read-back", json={"pass": begun["pass"]}, headers=desk)

    server.refused(done, "consent-withdrawn")
    assert server.decide(client, gate, begun["pass"]) == "refer"


def test_a_face_comes_back_after_an_erasure_while_it_waited(here: Serving, client: Client) -> None:
    desk = _desk(here, support.VERIFY, support.SEARCH)
    first = server.enrol(client, purpose=support.SEARCH, headers=desk)
    begun = client.post("/v1/enrolments", headers=desk, **server.form_of(here)).json()
    assert client.delete(f"/v1/people/{first['person']}", headers=desk).status_code == 200

    done = client.post(f"/v1/enrolments/{begun['enrolment']}/read-back", json={"pass": begun["pass"]}, headers=desk)

    server.refused(done, "consent-missing")
    assert not support.rows_of(here.venue.folder / "countenance.db", "template")
    assert not support.rows_of(here.venue.folder / "countenance.db", "person")


# texts

@pytest.mark.parametrize("text", [
    "[" * 60_000, '{"receipt":' * 5_000, '{"receipt": "' + "[" * 50_000 + '"}', '{"receipt": "\\ud800"}', "NaN",
    '{"receipt": "' + '{\\"a\\":' * 8_000 + '"}', '{"receipt": ' + "9" * 60_000 + "}"])
def test_a_text_breaks_what_reads_it(client: Client, text: str) -> None:
    for path in ("/v1/receipts/check", "/v1/withdrawals", "/v1/session", "/v1/me/session", "/v1/session/passkey"):
        answer = client.post(path, content=text.encode(), headers={"content-type": "application/json"})
        assert answer.status_code < 500, (path, answer.text)


@pytest.mark.parametrize("raw", [
    b"\x81" * 5_000 + b"\x00", b"\xd2" * 5_000, b"\xa1\x00" * 2_500, b"\xc2\x5b" + b"\xff" * 8, b"\x9f" * 4_000])
def test_a_pass_breaks_what_reads_it(client: Client, raw: bytes) -> None:
    answer = client.post("/v1/withdrawals", json={"pass": "CN1:" + base45.encode(raw)})
    assert answer.status_code in {400, 422}, answer.text


@pytest.mark.parametrize("name", ["", ".", "..", "%2e%2e", "%2F", "a%2Fb", "%20", "%00", "%ed%a0%80", "?subject="])
def test_a_name_that_is_none_deletes_everybody(here: Serving, client: Client, name: str) -> None:
    desk = _desk(here, support.SEARCH)
    server.enrol(client, purpose=support.SEARCH, headers=desk)

    answer = client.delete("/api/v1/recognition/subjects/" + name, headers=desk)

    assert 400 <= answer.status_code < 500
    assert client.get("/api/v1/recognition/subjects", headers=desk).json() == {"subjects": ["ada"]}
