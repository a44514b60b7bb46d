"""Fixtures that most tests share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from countenance.clock import SetClock
from countenance.flows.venue import Venue
from support import venue as support

if TYPE_CHECKING:
    from countenance.vision.pack_runtime import FacePack


@pytest.fixture(scope="session")
def pack() -> FacePack:
    """The default pack, opened once. Most tests do with `support.venue.StubPack`."""
    from countenance.vision.pack_runtime import FacePack

    return FacePack.open()


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venue that nobody may change: `folder` is a copy of it."""
    return support.make_venue(tmp_path_factory.mktemp("founded") / "zoo")


@pytest.fixture
def clock() -> SetClock:
    return SetClock(support.START)


@pytest.fixture
def folder(founded: Path, tmp_path: Path) -> Path:
    """A fresh venue's data folder."""
    return Path(shutil.copytree(founded, tmp_path / "zoo"))


@pytest.fixture
def venue(folder: Path, clock: SetClock) -> Iterator[Venue]:
    """A fresh venue, open, with the stub pack."""
    with support.open_venue(folder, clock) as opened:
        yield opened
