"""An open venue: one data folder with its keys, its stores, its gate and its model, put together.

The stories take a `Venue`; `opening.open_venue` gives one.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from countenance import settings
from countenance.clock import Clock
from countenance.consent.gate import ConsentGate
from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.flows import intents, witnesses
from countenance.flows.found import CALIBRATED, CLOSED, DATA, DEMO_ONLY, KEYS, SIGNING
from countenance.flows.ports import Entitlement
from countenance.matching import calibration, cohort
from countenance.matching.matcher import Matcher, Threshold
from countenance.matching.score import as_score
from countenance.permits import PermitBook
from countenance.quantities import Instant, PurposeId
from countenance.storage import engine as engines
from countenance.storage import key_schema, migrate, schema
from countenance.storage.unit import Store, Unit
from countenance.transparency.log import Cosigner, Log, Signer
from countenance.vault.keys import roots, signing
from countenance.vault.keys.store import KeyStore
from countenance.vault.keys.third import ThirdPlace
from countenance.vault.templates import TemplateVault
from countenance.vision import packs

if TYPE_CHECKING:
    from countenance.flows.events_out import Outgoing
    from countenance.flows.gallery import Galleries
    from countenance.formats.signed_note import NoteKey
    from countenance.vault.keys.roots import Root
    from countenance.vision.pack_runtime import FacePack

DEMO_FMR = {"verify": 1e-3, "search": 5e-6}
"""False match rates of one comparison that the demo's thresholds are for (docs/decisions/0005). Lower is stricter."""


OLDER = {"store-restored", "gone-missing", "gone-malformed", "epoch-older"}
"""What says that a store, or the epoch key, is not the newest."""

OLDER_MARK = "older"
"""In a data store that was found to be one. Whoever withdraws from it moves its count, which makes it no newer."""


DUTIES_S = 10.0
"""Seconds for which duties that were met are not looked at again, as each decision asks. Shorter is stricter."""

STRICTER = "stricter/"
"""The mark, in thousandths, by which a gallery that calibrated itself is stricter than its calibration."""


def stricter_by(unit: Unit, purpose: PurposeId) -> float:
    """Return by how much a gallery's threshold is lower than its calibration's: 0 or more, whatever stands there."""
    return max(0.0, (unit.mark(STRICTER + purpose) or 0) / 1_000)


def set_stricter_by(unit: Unit, purpose: PurposeId, by: float) -> None:
    """Keep what `stricter_by` returns."""
    unit.set_mark(STRICTER + purpose, Instant(thousandths(by)))


def thousandths(by: float) -> int:
    """Return a difference of scores as it is kept and logged: nothing that is signed holds a fraction."""
    return round(by * 1_000)


class Venue:
    """Everything a story needs. See `opening.open_venue`. `root`: in place of the one that the settings name."""

    def __init__(self, folder: Path, clock: Clock, entitlement: Entitlement, root: Root | None = None) -> None:
        self.folder = folder
        self.clock = clock
        self.entitlement = entitlement
        self.settings = settings.load(folder)
        self.venue_id = self.settings.venue
        self.keys, self.store = self._stores(folder, clock, root)
        self.book = PermitBook(clock)
        self.gate = ConsentGate(
            self.venue_id, self.store, self.book, clock, self.settings.sweep_late_after_hours,
            self.require_stores, self.require_duties)
        self.vault = TemplateVault(self.keys, self.book, self.venue_id)
        self.matcher = Matcher(self.book, self.venue_id)
        self.log = Log(self.store, folder, self._log_signer)
        self.outside: Outgoing | None = None  # whom it tells; set by whoever opened it (integrations/outside_events.py)
        self._pack: FacePack | None = None
        self._galleries: Galleries | None = None
        self._cohort: cohort.Cohort | None = None
        self._calibration: calibration.Calibration | None = None
        self._cosigner: Cosigner | None = None
        self._restored: StoreFault | None = None
        self._duties_met: dict[str, float] = {}
        self.lanes_tried: dict[str, float] = {}  # by zone: when it was last tried to write down that its lane works

    def _stores(self, folder: Path, clock: Clock, root: Root | None) -> tuple[KeyStore, Store]:
        with ExitStack() as opened:  # a venue that does not open leaves no file of its databases behind
            root = root or roots.open_root(self.settings.root, folder)
            keys_engine = engines.open_engine(folder / KEYS)
            opened.callback(keys_engine.dispose)
            migrate.require_current(keys_engine, key_schema.HEAD, "key")
            engine = engines.open_engine(folder / DATA)
            opened.callback(engine.dispose)
            migrate.require_current(engine, schema.HEAD, "data")
            keys = KeyStore(keys_engine, ThirdPlace.of(folder, root, self.settings.offsite), clock)
            opened.pop_all()
        return keys, Store(engine, clock, keys)

    def look_for_older_stores(self) -> None:
        """Compare both stores with the third place; from then on `require_stores` says what was found.

        An older data store is marked as one (`OLDER_MARK`): withdrawals would bring its count level again.
        """
        self._restored = None
        try:
            self._none_older()
        except StoreFault as fault:
            if fault.code not in OLDER:
                raise
            self._restored = fault

    def look_at_log(self) -> None:
        """Hold faces where the store does not contain what its log has signed. Withdrawing goes on."""
        try:
            self.log.require_continued()
        except CountenanceError as error:
            self.hold_faces(StoreFault(error.code, error.sentence))

    def hold_faces(self, fault: StoreFault) -> None:
        """Compare no face in this venue until it is opened again: `require_stores` raises this, or what came before."""
        self._restored = self._restored or fault

    @property
    def in_order(self) -> bool:
        """Say whether recovery may go on; what guards a face asks `require_stores`."""
        return self._restored is None

    def require_stores(self) -> None:
        """Raise StoreFault where a store was put back by hand (store-restored, gone-missing, epoch-older, ...).

        Or where recovery could not finish what a crash interrupted. No face then.
        """
        if self._restored is not None:
            raise StoreFault(self._restored.code, self._restored.sentence)

    def require_duties(self, unit: Unit, zone: str) -> None:
        """Raise Refused where people have not done what they must before faces are compared in a zone.

        Looked at again DUTIES_S after it was in order.
        """
        from countenance.flows import duties  # which looks at passes, and they at a venue

        at, now = self._duties_met.get(zone), self.clock.monotonic()
        if at is None or not 0 <= now - at < DUTIES_S:
            self._duties_met.pop(zone, None)
            duties.require_met(unit, self.settings, zone)
            self._duties_met[zone] = now

    def _none_older(self) -> None:
        gone = self.keys.place.gone.read()
        with self.store.read() as unit:
            count = unit.mark("forward") or 0
            begun = {key for intent in intents.all_pending(unit) for key in intent.keys}  # being destroyed just now
            older = unit.mark(OLDER_MARK) is not None
        if count < gone.count and not older:
            with suppress(StoreFault), self.store.write() as unit:  # faces wait anyhow, and withdrawing must go on
                unit.set_mark(OLDER_MARK, unit.now)
        if gone.restoring or older or count < gone.count:
            raise StoreFault("store-restored", "An older data store was put back; faces wait for `restore`.")
        self.keys.require_newest_epoch()
        self.keys.require_none_back([key for key in gone.keys if key not in begun])

    @property
    def pack(self) -> FacePack:
        """Return the face model, loaded at first use. Raises ModelFault."""
        if self._pack is None:
            from countenance.vision.pack_runtime import FacePack  # heavy; many commands need no model

            self._pack = FacePack.open(self.settings.pack)
        return self._pack

    def use_pack(self, pack: FacePack) -> None:
        """Use another pack than the settings name. Templates of different ones never meet."""
        self._pack = pack

    @property
    def cohort(self) -> cohort.Cohort:
        """Return the cohort that scores are normalised with, drawn at first use. Raises ModelFault(cohort-*)."""
        if self._cohort is None or self._cohort.pack != self.pack.identity:
            self._cohort = cohort.load(self.pack.identity, self.pack.own("cohort.json"))
        return self._cohort

    @property
    def galleries(self) -> Galleries:
        """Return the galleries in memory, loaded at first use."""
        if self._galleries is None:
            from countenance.flows.gallery import Galleries

            self._galleries = Galleries(self)
        return self._galleries

    def signer(self, use: str) -> signing.Signer:
        """Return a signing key: "pass", "receipt", "list" or "log"."""
        return signing.signer(self.folder / SIGNING, use)

    def witnesses(self) -> list[tuple[str, NoteKey]]:
        """Return address and key of each witness of the log. Raises StoreFault(settings-value)."""
        return witnesses.named(self.settings.witnesses)

    def _log_signer(self) -> Signer:
        if self._cosigner is None and self.settings.witnesses:
            self._cosigner = witnesses.cosigner(self.settings.witnesses)
        older = tuple(key.public_bytes_raw() for key in signing.retired(self.folder / SIGNING, "log"))
        return Signer(self.venue_id, self.signer("log").key, self._cosigner, older)

    def calibration(self) -> calibration.Calibration:
        """Return what thresholds rest on: what ships, or what was measured here. Raises ModelFault(calibration-*)."""
        held = self.cohort.identity
        if self._calibration is None or self._calibration.cohort != held:  # as the cohort: once, not at each decision
            self._calibration = calibration.load(self.pack.identity, held, self.pack.own("calibration.json"))
        return self._calibration

    def threshold(self, comparison: str, people: int = 1, purpose: PurposeId | None = None) -> Threshold:
        """Return the threshold of a comparison, "verify", or "search" among so many people.

        `purpose`: of a search, whose gallery may have calibrated itself: then it is stricter, never looser.

        Raises Refused(gate-uncalibrated): a gate without a calibration does not open, nor one whose calibration
        cannot support the rate that was settled, among so many; ModelFault.
        """
        if self.settings.threshold == CLOSED:
            raise Refused("gate-uncalibrated", "This gate has no calibration, so no face opens it.")
        if self.settings.threshold not in {DEMO_ONLY, CALIBRATED}:
            raise Refused("gate-uncalibrated", "This program does not know the threshold in venue.toml.")
        measured = self.calibration()
        if self.settings.threshold == DEMO_ONLY:
            return Threshold(measured.threshold(DEMO_FMR[comparison]), DEMO_ONLY, self.cohort)
        try:
            fmr = self.settings.fmr
            if comparison == "search":
                fmr = calibration.per_comparison(self.settings.fpir, people)
            stricter = self._stricter_by(purpose) if purpose else 0.0
            return Threshold(as_score(float(measured.threshold(fmr)) - stricter), measured.said(fmr), self.cohort)
        except BadInput as unsupported:
            raise Refused("gate-uncalibrated", unsupported.sentence) from None

    def threshold_rests_on(self) -> str:
        """Return data set, rate, interval and date of the 1:1 threshold, without loading a model; "" where none is."""
        if self.settings.threshold != CALIBRATED:
            return ""
        try:
            pack = packs.load(self.settings.pack)
            return calibration.read(pack.identity, pack.own("calibration.json")).said(self.settings.fmr)
        except CountenanceError as fault:
            return fault.sentence

    def _stricter_by(self, purpose: PurposeId) -> float:
        with self.store.read() as unit:
            return stricter_by(unit, purpose)

    def close(self) -> None:
        """Let go of files and wipe keys."""
        self.store.close()
        self.keys.close()
