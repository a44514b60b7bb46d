"""Claim: whoever said no comes in at the same gate, whatever happens to the lane for faces, and is not looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from countenance.access.roles import Role
from countenance.clock import SetClock
from countenance.flows import enrol, gates
from countenance.flows.venue import Venue
from countenance.quantities import DAY, HOUR
from countenance.server.state import Serving
from support import server
from support import venue as support
from support.server import Client

NORTH = "/v1/gates/north/decisions"


@pytest.fixture
def here(venue: Venue) -> Serving:
    served = server.serving(venue)
    server.gate_of(served)
    return served


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here) as opened:
        yield opened


def decided(client: Client, text: str) -> str:
    """Show a pass at the gate for a pass and a face; return what the person in front is told."""
    key = server.key_of(client.here, Role.GATE, gate="north")
    answer = client.post(NORTH, headers={**key, "countenance-pass": text})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["decision"])


@pytest.mark.promise(5)
def test_a_plain_pass_is_good_where_others_show_their_face(client: Client, here: Serving) -> None:
    agreed = support.enrolled(here.venue, "ben")
    plain = enrol.say_no(here.venue, "ada", support.as_written)
    here.venue.use_pack(None)  # type: ignore[arg-type]  # whoever looked for a face would fail
    assert decided(client, plain) == "admit"
    assert decided(client, agreed.pass_text) == "refer"  # a pass for a face alone is not enough here
    assert decided(client, plain[:-4] + "AAAA") == "refer"
    assert decided(client, "") == "refer"


@pytest.mark.promise(5)
def test_it_stays_good_while_the_lane_for_faces_is_closed(client: Client, here: Serving, clock: SetClock) -> None:
    plain = enrol.say_no(here.venue, "ada", support.as_written)
    clock.move((here.venue.settings.sweep_late_after_hours + 1) * HOUR)  # the sweep is late: no face is compared
    assert decided(client, plain) == "admit"
    with here.venue.store.write() as unit:
        gates.set_state(unit, "north", opened=False, by="rule")
    assert decided(client, plain) == "admit"


@pytest.mark.promise(5)
def test_its_time_ends_there_too(client: Client, here: Serving, clock: SetClock) -> None:
    plain = enrol.say_no(here.venue, "ada", support.as_written)
    clock.move(2_000 * DAY)
    assert decided(client, plain) == "refer"


def test_where_a_face_alone_is_looked_for_a_pass_opens_nothing(client: Client, here: Serving) -> None:
    plain = enrol.say_no(here.venue, "ada", support.as_written)
    key = server.key_of(here, Role.GATE, gate="quick")
    answer = client.post("/v1/gates/quick/decisions", headers={**key, "countenance-pass": plain})
    assert answer.json()["decision"] == "refer"
