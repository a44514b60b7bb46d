"""Each type of docs/operating/events.md is written down to be sent by doing what it tells of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from countenance.access.roles import Role
from countenance.clock import SetClock
from countenance.flows import events_out, log, sweep
from countenance.flows.venue import Venue
from countenance.quantities import DAY, HOUR
from countenance.server.serving import _Beside
from support.recipients import agrees, recipient, rows, tells
from support.server import Client, key_of, serving
from support.venue import VERIFY, comes_back, enrolled

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "events.md"
Clocked = Callable[[Venue, SetClock], None]


def _visit(venue: Venue, _clock: SetClock) -> None:
    one = enrolled(venue)
    agrees(venue, one.person)
    comes_back(venue, one.pass_text)


def _hour(venue: Venue, clock: SetClock) -> None:
    comes_back(venue, enrolled(venue).pass_text)
    clock.move(HOUR)
    with venue.store.write() as unit:
        events_out.close_hours(unit, venue)


def _gate(venue: Venue, state: str) -> None:
    here = serving(venue)
    with Client(here, headers=key_of(here, Role.OPERATOR)) as client:
        assert client.post("/v1/gates", json={"gate": "south", "mode": "pass-and-face",
                                              "purpose": VERIFY}).status_code == 201
        for _ in range(2):  # what changes nothing is told once
            assert client.put("/v1/gates/south/state", json={"state": state}).status_code == 200


def _health(venue: Venue, clock: SetClock) -> None:
    beside = _Beside(serving(venue), None)  # type: ignore[arg-type]  # nothing is logged here
    sweep.sweep(venue)
    for _ in range(2):
        beside.tell_health()
    clock.move(3 * DAY)
    beside.tell_health()


DONE: dict[str, tuple[Clocked, list[dict[str, object]]]] = {
    "gate.hour": (_hour, [{"admitted": 1, "referred": 0}]),
    "gate.opened": (lambda venue, _: _gate(venue, "open"), [{"gate": "south", "by": ""}]),
    "gate.closed": (lambda venue, _: _gate(venue, "closed"), [{"gate": "south", "by": "operator"}]),
    "sweep.ran": (lambda venue, _: [sweep.sweep(venue), None][1], [{"rotated": False}]),
    "log.signed": (lambda venue, _: [log.publish(venue, now=True), None][1], [{}]),
    "health.changed": (_health, [{"ready": True, "code": ""}, {"ready": False, "code": "sweep-late"}]),
    events_out.VISIT: (_visit, [{"decision": "admit", "people": 1}]),
}


@pytest.mark.parametrize("kind", DONE)
def test_doing_it_tells_of_it(venue: Venue, clock: SetClock, kind: str) -> None:
    act, wanted = DONE[kind]
    tells(venue, recipient("parking", kind))
    assert rows(venue) == []
    act(venue, clock)
    found = [json.loads(row["body"]) for row in rows(venue)]
    assert {one["type"] for one in found} == {kind}
    assert len(found) == len(wanted)
    for one, must in zip(found, wanted, strict=True):
        assert must.items() <= one["data"].items()


def test_the_page_lists_these_types_and_the_test_one() -> None:
    listed = set(re.findall(r'^\{"type": "([\w.]+)"', PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == set(events_out.TYPES) == {*DONE, "test"}


def test_a_gate_that_was_refused_is_told_to_nobody(venue: Venue) -> None:
    tells(venue, recipient("parking", "gate.opened"))
    here = serving(venue)
    with Client(here, headers=key_of(here, Role.OPERATOR)) as client:
        for gate in ("South!", "north"):
            client.post("/v1/gates", json={"gate": gate, "mode": "face", "purpose": VERIFY})  # refused: other purpose
    assert rows(venue) == []
