"""API keys: shown once, bound to what they were made for, and worth nothing when revoked or old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from countenance.access import keys
from countenance.access.roles import AT_A_GATE, KEY_ROLES, Role, Who
from countenance.clock import SetClock
from countenance.errors import BadInput, CountenanceError
from countenance.flows.venue import Venue
from countenance.quantities import DAY, PurposeId
from countenance.storage import schema
from support.venue import SEARCH, VERIFY, clear_events, open_venue, state_of


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


@pytest.fixture
def gates(venue: Venue) -> Venue:
    with venue.store.write() as unit:
        zone = unit.run(select(schema.zone.c.zone_id)).scalars().first()
        for name in ("north", "south"):
            unit.run(insert(schema.gate).values(gate_id=name, zone_id=zone, purpose_id=VERIFY, mode="face",
                                                liveness="none", state="open", closed_by="", door="", lease_minutes=5))
    return venue


def made(venue: Venue, role: Role = Role.GATE, **how: Any) -> keys.NewKey:
    gate = "north" if role in AT_A_GATE else ""
    with venue.store.write() as unit:
        return keys.make(unit, role, **{"gate": gate, "purposes": [VERIFY], "label": "k", "by": "machine", "days": 30,
                                        **how})


def who(venue: Venue, text: str) -> Who:
    with venue.store.read() as unit:
        return keys.who(unit, text)


@pytest.mark.parametrize("role", sorted(KEY_ROLES, key=str))
def test_a_key_says_what_it_was_made_for(gates: Venue, folder: Path, role: Role) -> None:
    key = made(gates, role, purposes=[SEARCH, VERIFY, SEARCH], pressed=role in AT_A_GATE)
    found = who(gates, key.text)
    assert (found.role, found.key_id, found.name, found.pressed) == (role, key.key_id, "k", role in AT_A_GATE)
    assert found.purposes == {VERIFY, SEARCH} and not found.operator_id
    assert found.gate == ("north" if role in AT_A_GATE else "")
    told = clear_events(folder)[-1]
    assert (told.type, told.body["role"], told.body["by"]) == ("key-made", role.value, "machine")
    assert key.text.rsplit("_", 1)[1] not in repr((told, key))


def test_a_key_serves_no_other_gate_and_no_other_purpose(gates: Venue, folder: Path) -> None:
    found, before = who(gates, made(gates).text), state_of(folder)
    found.require_gate("north")
    found.require_purpose(VERIFY)
    assert code_of(lambda: found.require_gate("south")) == "key-other-gate"
    assert code_of(lambda: found.require_gate("")) == "key-other-gate"
    assert code_of(lambda: found.require_purpose(SEARCH)) == "key-other-purpose"
    bare = who(gates, made(gates, purposes=[]).text)
    assert code_of(lambda: bare.require_purpose(VERIFY)) == "key-other-purpose"
    assert {name for name, digest in state_of(folder).items() if before[name] != digest} >= {"countenance.db/api_key"}


def test_a_key_ends_and_stays_ended_when_the_clock_is_set_back(gates: Venue, folder: Path, clock: SetClock) -> None:
    key, other = made(gates, days=1), made(gates, days=2)
    clock.move(DAY - 1)
    assert who(gates, key.text).key_id == key.key_id
    clock.move(1)
    before = state_of(folder)
    assert code_of(lambda: who(gates, key.text)) == "key-expired"
    assert state_of(folder) == before
    made(gates)
    clock.move(-DAY)
    assert code_of(lambda: who(gates, key.text)) == "key-expired"
    with gates.store.write() as unit:
        keys.revoke(unit, other.key_id)
        keys.revoke(unit, other.key_id)
        assert code_of(lambda: keys.revoke(unit, "0" * 32)) == "key-unknown"
    assert code_of(lambda: who(gates, other.text)) == "key-revoked"
    assert [event.type for event in clear_events(folder)].count("key-revoked") == 1
    with gates.store.read() as unit:
        assert [one.revoked_at is None for one in keys.all_of(unit)].count(False) == 1


def test_nothing_but_the_key_itself_is_taken(gates: Venue, folder: Path) -> None:
    key, other = made(gates), made(gates)
    _, name, secret = key.text.split("_")
    with gates.store.read() as unit:
        hashed = unit.run(select(schema.api_key.c.secret_hash).where(schema.api_key.c.key_id == name)).scalar_one()
    before = state_of(folder)
    for wrong in ("", "cnt", "cnt__", f"cnt_{name}_", f"cnt_{name}_{hashed}", f"cnt_{name}_{secret[:-1]}",
                  key.text + "\n", f" {key.text}", key.text.upper(), f"cnt_{other.key_id}_{secret}",
                  f"cnt_{'0' * 32}_{secret}",
                  f"cnt_{name}_{'a' * 52}", f"CNT_{name}_{secret}", key.text + "\0", "٣" * 90, "x" * 1_000_000,
                  f"cnt_{name}_{secret}' OR 1=1", "\ud800"):
        assert code_of(lambda wrong=wrong: who(gates, wrong)) == "key-unknown"
    assert state_of(folder) == before
    assert who(gates, key.text).key_id == name


@pytest.mark.parametrize(("how", "code"), [
    ({"role": Role.OWNER}, "key-role"), ({"role": Role.PERSON}, "key-role"), ({"gate": ""}, "key-gate"),
    ({"gate": "west"}, "key-gate"), ({"role": Role.DESK, "gate": "north"}, "key-gate"),
    ({"role": Role.AUDITOR, "pressed": True}, "key-pressed"),
    ({"purposes": [PurposeId("entry.track")]}, "key-purposes"),
    ({"label": "  "}, "key-label"), ({"label": "x" * 65}, "key-label"), ({"label": "a\nb"}, "key-label"),
    ({"days": 0}, "key-days"), ({"days": 401}, "key-days"), ({"days": -1}, "key-days")])
def test_an_unsound_key_is_not_made(gates: Venue, folder: Path, how: dict[str, Any], code: str) -> None:
    before = state_of(folder)
    with pytest.raises(BadInput) as caught:
        made(gates, **how)
    assert caught.value.code == code and state_of(folder) == before


def test_nobody_makes_a_key_that_may_do_more_than_they_may() -> None:
    may = {(maker, role) for maker in Role for role in Role
           if not _refused(lambda maker=maker, role=role: keys.require_may_make(Who(maker, "x"), role))}
    lower = {Role.DESK, Role.GATE_STAFF, Role.GATE, Role.WITNESS}
    assert may == {(Role.OWNER, role) for role in KEY_ROLES} | {(Role.OPERATOR, role) for role in lower}
    assert _refused(lambda: keys.require_may_make(Who(Role.OPERATOR, "x", key_id="1"), Role.GATE))


def _refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except CountenanceError as error:
        assert error.code == "key-role-higher"
        return True
    return False


def test_keys_outlive_a_restart(gates: Venue, folder: Path, clock: SetClock) -> None:
    key = made(gates)
    with open_venue(folder, clock) as again:
        assert who(again, key.text).key_id == key.key_id
