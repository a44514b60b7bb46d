"""Enrolling, passes and withdrawing over HTTP, by those who may and those who may not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from countenance.access.roles import Role
from countenance.clock import SetClock
from countenance.errors import Refused, StoreFault
from countenance.flows.venue import Venue
from countenance.formats import log_entries, receipts
from countenance.server import state
from countenance.server.api import enrolments, gates, me, people, withdrawals
from countenance.server.state import READ_BACK_S, Serving
from countenance.verifier import receipts as verifier
from support import venue as support
from support.server import Client, decide, enrol, form_of, gate_of, key_of, refused, serving

TABLES = [people.ROUTES, enrolments.ROUTES, withdrawals.ROUTES, me.ROUTES, gates.ROUTES]
PLANTED = "Marlene Planted 4711"


@pytest.fixture
def here(venue: Venue) -> Serving:
    return serving(venue)


@pytest.fixture
def desk(here: Serving) -> Iterator[Client]:
    with Client(here, TABLES, headers=key_of(here, Role.DESK)) as client:
        yield client
        assert not client.undocumented()


def nobody_is_enrolled(folder: Path) -> None:
    assert support.count(folder, "template") == support.count(folder, "issued_pass") == 0
    assert support.count(folder, "consent") == support.count(folder, "person") == support.count(folder, "intent") == 0
    assert support.count(folder, "me_code") == 0


def all_but_counts(folder: Path) -> dict[str, str]:
    """Return the state without the log, and without what says that keys were destroyed and a gallery changed."""
    state = support.state_but_log(folder)
    del state["countenance.db/gallery"], state["gone.list"]
    return state


def checked(receipt: str) -> dict[str, Any]:
    """Return what a receipt says, once the offline verifier has no objection."""
    verifier.verify(receipt, None).require_ok()
    return receipts.split(receipt)[0]


def begun(desk: Client, **more: Any) -> dict[str, str]:
    answer = desk.post("/v1/enrolments", **form_of(desk.here, **more))
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


@pytest.mark.promise(2)
def test_a_journey_from_the_desk_to_nothing(desk: Client, here: Serving, folder: Path) -> None:
    gate = gate_of(here)
    ada = enrol(desk)
    assert decide(desk, gate, ada["pass"]) == "admit"
    assert decide(desk, gate, ada["pass"], person=2) == "refer"
    with Client(here, TABLES) as anybody:
        gone = anybody.post("/v1/withdrawals", json={"pass": ada["pass"]}).json()
        assert (gone["outcome"], gone["final_by"], gone["purpose"]) == ("final", None, "entry.verify")
        assert decide(desk, gate, ada["pass"]) == "refer"
        refused(anybody.post("/v1/withdrawals", json={"pass": ada["pass"]}), "consent-withdrawn")
        csrf = {"x-csrf-token": anybody.post("/v1/me/session", json={"code": ada["me_code"]}).json()["csrf"]}
        told = anybody.get("/v1/me/export").json()
        assert told["person"] == ada["person"] and told["consents"][0]["state"] == "withdrawn"
        erased = anybody.delete("/v1/me", headers=csrf).json()
        assert erased["outcome"] == "erased" and checked(erased["receipt"])["person"] == ada["person"]
        refused(anybody.get("/v1/me"), "sign-in-needed")
    assert support.count(folder, "person") == support.count(folder, "session") == 0
    assert support.other_lane(here.venue, ada["pass"]) == "ada"  # the pass goes on


@pytest.mark.promise(2)
def test_whoever_photographed_a_pass_learns_of_the_withdrawal_alone(desk: Client) -> None:
    ada = enrol(desk)
    desk.post(f"/v1/people/{ada['person']}/complaints", json={"text": PLANTED})
    with Client(desk.here, TABLES) as anybody:
        answer = anybody.post("/v1/withdrawals", json={"pass": ada["pass"]})
    assert PLANTED in desk.get(f"/v1/people/{ada['person']}", params={"why": "they asked"}).text  # it can be found
    events = receipts.proven(checked(answer.json()["receipt"]))
    kinds = [log_entries.read_record(event.record).type for event in events]
    assert kinds == ["consent-withdrawn", "pass-revoked", "template-erased"]


@pytest.mark.parametrize("read", ["CN1:OTHER", "", " "])
def test_another_pass_read_back_undoes_everything(desk: Client, folder: Path, read: str) -> None:
    before = all_but_counts(folder)
    shown = begun(desk)
    assert support.count(folder, "template") == 1  # it was there
    answer = desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": read})
    if not read:
        refused(answer, "request-invalid")
        desk.delete(f"/v1/enrolments/{shown['enrolment']}")
    else:
        refused(answer, "pass-not-read")
        refused(desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]}),
                "enrolment-unknown")
    assert all_but_counts(folder) == before
    nobody_is_enrolled(folder)


def test_nobody_is_enrolled_before_the_pass_is_read_back(desk: Client, here: Serving) -> None:
    gate, shown = gate_of(here), begun(desk)
    assert decide(desk, gate, shown["pass"]) == "refer"
    assert desk.get("/v1/people", params={"reference": "ada"}).json()["people"][0]["purposes"] == []
    desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]})
    assert decide(desk, gate, shown["pass"]) == "admit"


def test_only_who_began_an_enrolment_reads_its_pass_back(desk: Client, here: Serving, folder: Path) -> None:
    shown = begun(desk)
    other = key_of(here, Role.DESK)  # of the same label
    for answer in (desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]},
                             headers=other),
                   desk.delete(f"/v1/enrolments/{shown['enrolment']}", headers=other)):
        refused(answer, "enrolment-unknown", 404)
    assert support.count(folder, "me_code") == 0
    assert desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]}).status_code == 200


def test_an_enrolment_that_nobody_comes_back_for_is_undone(desk: Client, clock: SetClock, folder: Path) -> None:
    shown = begun(desk)
    clock.move(READ_BACK_S + 1)
    refused(desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]}),
            "enrolment-unknown")
    nobody_is_enrolled(folder)


def test_an_enrolment_can_be_given_up(desk: Client, folder: Path) -> None:
    shown = begun(desk)
    answer = desk.delete(f"/v1/enrolments/{shown['enrolment']}")
    assert (answer.status_code, answer.content) == (204, b"")
    nobody_is_enrolled(folder)
    refused(desk.delete(f"/v1/enrolments/{shown['enrolment']}"), "enrolment-unknown")


def test_a_receipt_is_handed_out_where_no_code_could_be_made(desk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> str:
        raise StoreFault("store-busy", "Another program holds the store.")

    monkeypatch.setattr(enrolments.me_codes, "give", busy)
    ada = enrol(desk)
    assert ada["me_code"] is None and checked(ada["receipt"])["person"] == ada["person"]


def test_too_many_that_wait_make_room_for_nobody(desk: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_WAITING", 1)
    shown = begun(desk)
    refused(desk.post("/v1/enrolments", **form_of(desk.here, "ben", 2)), "enrolments-waiting", 409)
    assert support.count(folder, "template") == support.count(folder, "person") == 1  # the second is undone
    desk.here.handed_over.give_up_late(everything=True)
    nobody_is_enrolled(folder)
    refused(desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]}),
            "enrolment-unknown")


def test_no_pass_code_or_receipt_is_kept_for_an_idempotency_key(desk: Client, folder: Path) -> None:
    first, second, third = ({"idempotency-key": name} for name in ("one", "two", "three"))
    shown = desk.post("/v1/enrolments", headers=first, **form_of(desk.here)).json()
    back = f"/v1/enrolments/{shown['enrolment']}/read-back"
    done = desk.post(back, headers=second, json={"pass": shown["pass"]}).json()
    complaint = f"/v1/people/{done['person']}/complaints"
    assert desk.post(complaint, headers=third, json={"text": "x"}).status_code == 201
    refused(desk.post("/v1/enrolments", headers=first, **form_of(desk.here)), "idempotency-secret")
    refused(desk.post(back, headers=second, json={"pass": shown["pass"]}), "idempotency-secret")
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b'{"recorded":"complaint"}' in kept  # what is kept can be found
    for secret in (shown["pass"], done["me_code"], done["me_code"].replace("-", ""), done["receipt"][:200]):
        assert secret.encode() not in kept
    answers = [row[3] for row in support.rows_of(folder / "countenance.db", "idempotent")]
    assert sorted(filter(None, answers)) == [b'{"recorded":"complaint"}'] and len(answers) == 3


def test_a_replayed_key_does_nothing_twice_and_no_other_thing(desk: Client) -> None:
    ada = enrol(desk)
    where, key = f"/v1/people/{ada['person']}/complaints", {"idempotency-key": "k-1"}
    first = desk.post(where, headers=key, json={"text": "once"})
    again = desk.post(where, headers=key, json={"text": "once"})
    assert again.status_code == first.status_code == 201 and again.headers["idempotency-replayed"] == "true"
    refused(desk.post(where, headers=key, json={"text": "another"}), "idempotency-other", 409)
    held = desk.get(f"/v1/people/{ada['person']}", params={"why": "they asked"}).json()
    assert [event["text"] for event in held["events"] if event["type"] == "complaint"] == ["once"]


def test_a_key_for_other_purposes_enrols_nobody_and_looks_at_no_picture(here: Serving, folder: Path) -> None:
    for purposes in ([], [support.SEARCH]):
        with Client(here, TABLES, headers=key_of(here, Role.DESK, purposes=purposes)) as client:
            sent = form_of(here)
            sent["files"] = {"image": ("image", b"no picture", "image/png")}  # is not even decoded
            refused(client.post("/v1/enrolments", **sent), "key-other-purpose", 403)
    nobody_is_enrolled(folder)


@pytest.mark.parametrize(("change", "code"), [
    ({"channel": "sms"}, "consent-message"), ({"channel": "letter"}, "consent-message"),
    ({"channel": "passkey"}, "consent-channel"), ({"channel": ""}, "enrolment-fields"),
    ({"notice": "0" * 64}, "notice-outdated"), ({"language": "xx"}, "notice-language"),
    ({"purpose": "entry.nothing"}, "key-other-purpose"), ({"reference": PLANTED}, "ticket-unknown"),
    ({"reference": "a" * 200}, "enrolment-fields"), ({"invitation": "ABCD"}, "enrolment-fields"),
])
def test_what_is_no_yes_enrols_nobody(desk: Client, folder: Path, change: dict[str, str], code: str) -> None:
    answer = desk.post("/v1/enrolments", **form_of(desk.here, other=change))
    refused(answer, code)
    assert PLANTED not in answer.text and PLANTED not in desk.log.getvalue()
    nobody_is_enrolled(folder)


@pytest.mark.parametrize(("files", "code"), [
    ({"image": ("image", b"", "image/png")}, "image-missing"),
    ({"image": ("image", b"GIF89a", "image/png")}, "image-unreadable"),
    ({"image": ("image", b"%PDF", "application/pdf")}, "body-type"),
    ({"image": ("image", b"x" * 17_000_000, "image/png")}, "body-too-large"),
])
def test_what_is_no_picture_enrols_nobody(desk: Client, folder: Path, files: Any, code: str) -> None:
    refused(desk.post("/v1/enrolments", **{**form_of(desk.here), "files": files}), code)
    nobody_is_enrolled(folder)


def test_a_second_enrolment_on_one_ticket_is_refused(desk: Client) -> None:
    enrol(desk)
    refused(desk.post("/v1/enrolments", **form_of(desk.here, person=2)), "consent-standing", 409)


def test_a_plain_pass_leaves_no_record(desk: Client, here: Serving, folder: Path) -> None:
    answer = desk.post("/v1/passes/plain", json={"reference": "ben"})
    assert answer.status_code == 201 and support.other_lane(here.venue, answer.json()["pass"]) == "ben"
    nobody_is_enrolled(folder)
    refused(desk.post("/v1/passes/plain", json={"reference": PLANTED}), "ticket-unknown", 404)
    with Client(here, TABLES) as anybody:
        refused(anybody.post("/v1/withdrawals", json={"pass": answer.json()["pass"]}), "pass-plain")


def test_a_replaced_pass_opens_nothing_and_the_new_one_the_other_lane(desk: Client, here: Serving) -> None:
    gate, ada = gate_of(here), enrol(desk)
    assert decide(desk, gate, ada["pass"]) == "admit"
    done = desk.post("/v1/passes/replacement", json={"reference": "ada"}).json()
    assert [one["purpose"] for one in done["ended"]] == ["entry.verify"] and done["final_by"] is None
    assert decide(desk, gate, ada["pass"]) == "refer"
    assert support.other_lane(here.venue, done["pass"]) == "ada"


def test_a_key_for_other_purposes_replaces_nothing(desk: Client, here: Serving) -> None:
    gate, ada = gate_of(here), enrol(desk)
    other = key_of(here, Role.DESK, purposes=[support.SEARCH])
    refused(desk.post("/v1/passes/replacement", json={"reference": "ada"}, headers=other), "key-other-purpose")
    assert decide(desk, gate, ada["pass"]) == "admit"


def test_a_card_is_drawn_for_passes_of_this_venue(desk: Client) -> None:
    ada = enrol(desk)
    for size in ("a6", "bank"):
        card = desk.post("/v1/passes/card", json={"pass": ada["pass"], "size": size})
        assert card.headers["content-type"].startswith("image/svg+xml") and card.text.startswith("<svg")
        assert card.headers["content-disposition"].startswith("attachment")
    altered = ada["pass"][:-4] + ("0000" if ada["pass"][-4:] != "0000" else "1111")
    assert desk.post("/v1/passes/card", json={"pass": altered}).status_code == 422
    refused(desk.post("/v1/passes/card", json={"pass": ada["pass"], "size": "a4"}), "request-invalid")


@pytest.mark.parametrize("text", ["", "x", "CN1:", "CN1:" + "A" * 9_000, "\x00", "é" * 100])
def test_what_is_no_pass_withdraws_nothing(desk: Client, here: Serving, text: str) -> None:
    gate, ada = gate_of(here), enrol(desk)
    with Client(here, TABLES) as anybody:
        answer = anybody.post("/v1/withdrawals", json={"pass": text})
        assert answer.status_code == 422 and answer.json()["code"] in {"pass-malformed", "request-invalid"}
    assert decide(desk, gate, ada["pass"]) == "admit"


def test_a_pass_of_another_venue_withdraws_nothing(desk: Client, tmp_path: Path) -> None:
    other = support.make_venue(tmp_path / "other")
    with support.open_venue(other) as venue:
        theirs = support.enrolled(venue).pass_text
        with Client(desk.here, TABLES) as anybody:
            refused(anybody.post("/v1/withdrawals", json={"pass": theirs}), "pass-other-venue")
        assert support.comes_back(venue, theirs).outcome.value == "admit"


def test_a_withdrawal_while_the_pass_is_on_its_way_holds(desk: Client, here: Serving, folder: Path) -> None:
    shown = begun(desk)
    with Client(here, TABLES) as anybody:
        assert anybody.post("/v1/withdrawals", json={"pass": shown["pass"]}).status_code == 200
    answer = desk.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]})
    refused(answer, "consent-withdrawn")
    with pytest.raises(Refused):
        support.comes_back(here.venue, shown["pass"])
    assert support.count(folder, "template") == 0


def test_a_desk_withdraws_what_its_key_is_for(desk: Client, here: Serving) -> None:
    gate, ada = gate_of(here), enrol(desk)
    where, body = f"/v1/people/{ada['person']}/withdrawals", {"purpose": "entry.verify"}
    refused(desk.post(where, json=body, headers=key_of(here, Role.DESK, purposes=[support.SEARCH])),
            "key-other-purpose")
    refused(desk.post(where, json={"purpose": "entry.key"}), "consent-other-purpose")
    assert decide(desk, gate, ada["pass"]) == "admit"
    done = desk.post(where, json=body).json()
    assert done["outcome"] == "final" and json.loads(done["receipt"])
    assert decide(desk, gate, ada["pass"]) == "refer"


def test_gates_with_a_copy_of_the_list_are_told_of(desk: Client, here: Serving) -> None:
    gate, ada = gate_of(here), enrol(desk)
    assert desk.get("/v1/gates/north/revocations", headers=gate).status_code == 200
    done = desk.post(f"/v1/people/{ada['person']}/withdrawals", json={"purpose": "entry.verify"}).json()
    assert done["outcome"] == "final_by" and done["final_by"] > "2026-06-21T00:00:00Z"
