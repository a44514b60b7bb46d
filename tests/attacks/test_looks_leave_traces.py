"""Who looks into a record cannot take that back by putting the data store back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from countenance.clock import SetClock
from countenance.errors import StoreFault
from countenance.flows import about, log, prove, record
from countenance.flows.venue import Venue
from countenance.quantities import PersonId
from countenance.transparency.log import Log
from support.venue import START, copy_of, enrolled, make_venue, open_venue

LOOKS: dict[str, Callable[[Venue, PersonId], object]] = {
    "about": lambda venue, person: about.about(venue, person, "curious", "no reason"),
    "prove": lambda venue, person: prove.person(venue, person, "curious", "no reason"),
    "disclosure": lambda venue, person: record.disclosure(venue, person, "a friend", "all of it", "none"),
    "complaint": lambda venue, person: record.complaint(venue, person, "This is one."),
    "order": lambda venue, person: record.order(venue, "A court", "1", "Keep what there is."),
}


def put_back_after(folder: Path, copy: Path, clock: SetClock, look: Callable[[Venue, PersonId], object]) -> None:
    with open_venue(folder, clock) as venue:
        person = enrolled(venue).person
    copy_of(folder, copy)
    with open_venue(folder, clock) as venue:
        look(venue, person)
    shutil.copyfile(copy / "countenance.db", folder / "countenance.db")


@pytest.mark.promise(5)
@pytest.mark.parametrize("look", LOOKS)
def test_what_was_looked_at_is_missed_when_the_store_is_put_back(look: str, tmp_path: Path) -> None:
    clock = SetClock(START)
    folder = make_venue(tmp_path / "zoo", clock)
    put_back_after(folder, tmp_path / "copy", clock, LOOKS[look])
    with open_venue(folder, clock) as venue:
        for refused in (venue.require_stores, venue.log.sign, lambda: log.verify(venue)):
            with pytest.raises(StoreFault) as caught:
                refused()
            assert caught.value.code == "log-behind"


@pytest.mark.promise(5)
def test_without_the_signature_it_would_not_be_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard is worth: nothing else notices."""
    monkeypatch.setattr(Log, "sign_if_possible", lambda self: None)
    clock = SetClock(START)
    folder = make_venue(tmp_path / "zoo", clock)
    put_back_after(folder, tmp_path / "copy", clock, LOOKS["about"])
    with open_venue(folder, clock) as venue:
        venue.require_stores()
        log.verify(venue)
