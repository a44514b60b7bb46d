"""The helpers themselves: a state that moves is seen to move."""

from __future__ import annotations

from pathlib import Path

import pytest

from countenance.flows import admit, pad
from countenance.flows.venue import Venue
from support.venue import SEARCH, bytes_of, comes_back, count, enrolled, open_venue, picture, state_of, vector_of


def test_the_state_sees_one_row_and_one_byte(folder: Path) -> None:
    before, raw = state_of(folder), bytes_of(folder)
    assert len(before) > 15
    assert state_of(folder) == before
    with open_venue(folder) as venue:
        pad.pad(venue, SEARCH, 1)
    changed = {name for name, digest in state_of(folder).items() if before[name] != digest}
    assert {"countenance.db/person", "countenance.db/event", "keys.db/wrapped_key"} <= changed
    assert "countenance.db/zone" not in changed
    (folder / "epoch.key").write_bytes(b"x" + (folder / "epoch.key").read_bytes()[1:])
    assert state_of(folder)["epoch.key"] != before["epoch.key"]
    assert bytes_of(folder)["epoch.key"] != raw["epoch.key"]


def test_made_up_people_are_admitted_and_referred(venue: Venue) -> None:
    pass_text = enrolled(venue).pass_text
    assert comes_back(venue, pass_text, person=1).outcome is admit.Outcome.ADMIT
    assert comes_back(venue, pass_text, person=2).outcome is admit.Outcome.REFER
    assert picture(1)()[:4] == b"\x89PNG"
    assert vector_of(1).shape == (128,)


def test_padding_goes_through_consent_and_keys(venue: Venue, folder: Path) -> None:
    pad.pad(venue, SEARCH, 3)
    assert [count(folder, t) for t in ("person", "consent", "template", "wrapped_key")] == [3, 3, 3, 6]


@pytest.mark.parametrize("seed", [1, 2])
def test_strangers_lie_apart(seed: int) -> None:
    assert abs(vector_of(seed) - vector_of(seed + 10)).max() > 0.1
