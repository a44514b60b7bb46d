"""The third place: what lies beside both stores and is in no backup of either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from countenance import durable
from countenance.quantities import Instant
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.gone import GoneList
from countenance.vault.keys.roots import Root

EPOCH, GONE = "epoch.key", "gone.list"


def discard(folder: Path) -> None:
    """Destroy a third place that was copied for a rehearsal; absent is fine."""
    for name in (EPOCH, GONE):
        durable.destroy(folder / name)


@dataclass(frozen=True)
class ThirdPlace:
    """The epoch key and the list of what is gone."""

    epochs: EpochFile
    gone: GoneList

    @classmethod
    def of(cls, folder: Path, root: Root, offsite: str = "") -> Self:
        """Return the third place of a data folder; `offsite` names a folder for the copy, or is empty."""
        return cls(EpochFile(folder / EPOCH, root, folder / offsite / EPOCH if offsite else None),
                   GoneList(folder / GONE))

    def begin(self, now: Instant) -> None:
        """Make the first epoch and an empty list. Raises FileExistsError."""
        self.epochs.begin(now)
        self.gone.begin()
