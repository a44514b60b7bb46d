"""An open venue: one data folder with its keys, its stores, its gate and its model, put together.

The stories take a `Venue`; `opening.open_venue` gives one.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from countenance import settings
from countenance.clock import Clock
from countenance.consent.gate import ConsentGate
from countenance.errors import Refused
from countenance.flows.found import CLOSED, DATA, DEMO_ONLY, EPOCH, KEYS, SIGNING
from countenance.flows.ports import Entitlement
from countenance.matching.matcher import Matcher
from countenance.matching.score import Threshold
from countenance.permits import PermitBook
from countenance.quantities import Distance
from countenance.storage import engine as engines
from countenance.storage import key_schema, migrate, schema
from countenance.storage.unit import Store
from countenance.vault.keys import roots, signing
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.store import KeyStore
from countenance.vault.templates import TemplateVault

if TYPE_CHECKING:
    from countenance.flows.gallery import Galleries
    from countenance.vision.pack_runtime import FacePack

# Measured on LFW, raw dlib distances: docs/decisions/0005. Lower is stricter.
DEMO_VERIFY = Distance(0.48)
DEMO_SEARCH = Distance(0.35)


class Venue:
    """Everything a story needs. See `opening.open_venue`."""

    def __init__(self, folder: Path, clock: Clock, entitlement: Entitlement) -> None:
        self.folder = folder
        self.clock = clock
        self.entitlement = entitlement
        self.settings = settings.load(folder)
        self.venue_id = self.settings.venue
        self.keys, self.store = self._stores(folder, clock)
        self.book = PermitBook(clock)
        self.gate = ConsentGate(
            self.venue_id, self.store, self.book, clock, self.settings.sweep_late_after_hours)
        self.vault = TemplateVault(self.keys, self.book, self.venue_id)
        self.matcher = Matcher(self.book, self.venue_id)
        self._pack: FacePack | None = None
        self._galleries: Galleries | None = None

    def _stores(self, folder: Path, clock: Clock) -> tuple[KeyStore, Store]:
        with ExitStack() as opened:  # a venue that does not open leaves no file of its databases behind
            root = roots.open_root(self.settings.root, folder)
            keys_engine = engines.open_engine(folder / KEYS)
            opened.callback(keys_engine.dispose)
            migrate.require_current(keys_engine, key_schema.HEAD, "key")
            engine = engines.open_engine(folder / DATA)
            opened.callback(engine.dispose)
            migrate.require_current(engine, schema.HEAD, "data")
            keys = KeyStore(keys_engine, EpochFile(folder / EPOCH, root), clock)
            opened.pop_all()
        return keys, Store(engine, clock, keys)

    @property
    def pack(self) -> FacePack:
        """Return the face model, loaded at first use. Raises ModelFault."""
        if self._pack is None:
            from countenance.vision.pack_runtime import FacePack  # heavy; many commands need no model

            self._pack = FacePack.open(self.settings.pack)
        return self._pack

    @property
    def galleries(self) -> Galleries:
        """Return the galleries in memory, loaded at first use."""
        if self._galleries is None:
            from countenance.flows.gallery import Galleries

            self._galleries = Galleries(self)
        return self._galleries

    def signer(self, use: str) -> signing.Signer:
        """Return a signing key: "pass" or "receipt"."""
        return signing.signer(self.folder / SIGNING, use)

    def threshold(self, comparison: str) -> Threshold:
        """Return the threshold of a comparison, "verify" or "search".

        Raises Refused(gate-uncalibrated): a gate without a calibration does not open.
        """
        if self.settings.threshold == CLOSED:
            raise Refused("gate-uncalibrated", "This gate has no calibration, so no face opens it.")
        if self.settings.threshold != DEMO_ONLY:
            raise Refused("gate-uncalibrated", "This program does not know the threshold in venue.toml.")
        distance = DEMO_VERIFY if comparison == "verify" else DEMO_SEARCH
        return Threshold(distance, DEMO_ONLY, self.pack.identity)

    def close(self) -> None:
        """Let go of files and wipe keys."""
        self.store.close()
        self.keys.close()
