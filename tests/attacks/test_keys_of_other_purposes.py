"""Attacks with an API key of one purpose on what belongs to another: gates, and the list of subjects."""

from __future__ import annotations

import pytest

from countenance.access.roles import Role
from countenance.flows import awaiting, gates
from countenance.flows.gates import Mode
from countenance.flows.venue import Venue
from support.server import Client, gate_of, key_of, refused, serving
from support.venue import SEARCH, VERIFY, enrolled


@pytest.mark.promise(9)
def test_a_key_makes_changes_and_closes_no_gate_of_another_purpose(venue: Venue) -> None:
    here = serving(venue)
    gate_of(here, "north")
    with Client(here, headers=key_of(here, Role.OPERATOR, purposes=[SEARCH])) as client:
        made = {"mode": "pass-and-face", "purpose": VERIFY}
        refused(client.post("/v1/gates", json={"gate": "south", **made}), "key-other-purpose", 403)
        refused(client.put("/v1/gates/north/state", json={"state": "closed"}), "key-other-purpose", 403)
        refused(client.delete("/v1/gates/north"), "key-other-purpose", 403)
        assert client.post("/v1/gates", json={"gate": "west", "mode": "face", "purpose": SEARCH}).status_code == 201
        assert client.put("/v1/gates/west/state", json={"state": "closed"}).status_code == 200
        assert client.delete("/v1/gates/west").status_code == 204
    with venue.store.read() as unit:
        assert gates.one(unit, "north").open
        assert [gate.gate_id for gate in gates.all_of(unit) if gate.gate_id in {"south", "west"}] == []
        assert gates.one(unit, "north").mode is Mode.PASS_AND_FACE


@pytest.mark.promise(9)
def test_a_key_hears_of_nobody_who_agreed_to_another_purpose_only(venue: Venue) -> None:
    here = serving(venue)
    enrolled(venue, "ada", 1, VERIFY)
    enrolled(venue, "ben", 2, SEARCH)
    awaiting.add(venue, "cleo", "en")
    subjects, faces = "/api/v1/recognition/subjects", "/api/v1/recognition/faces"
    with Client(here, headers=key_of(here, Role.OPERATOR)) as client:  # there is something to find
        assert client.get(subjects).json()["subjects"] == ["ada", "ben", "cleo"]
    with Client(here, headers=key_of(here, Role.OPERATOR, purposes=[SEARCH])) as client:
        assert client.get(subjects).json()["subjects"] == ["ben", "cleo"]
        assert [one["subject"] for one in client.get(faces).json()["faces"]] == ["ben", "cleo"]
        assert client.get(faces, params={"subject": "ada"}).json()["faces"] == []
        answers = [client.delete(f"{subjects}/{name}") for name in ("ada", "nobody")]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].json() == answers[1].json()
        assert client.put(f"{subjects}/ada", json={"subject": "eve"}).status_code == 404
