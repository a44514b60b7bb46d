"""Every way known to compare a face without a live consent, by its number in THREATS.md.

Each attack is tried twice. As the program is, it must be refused with its own code, and no row of either store
may have moved. With its guard removed, it must not be refused with that code any more: so the test is
known to fail where the guard is missing.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select, update

from countenance.clock import SetClock
from countenance.consent import acts, consents, gate, notices
from countenance.consent.gate import ConsentGate, DatasetGate, Granted
from countenance.consent.notices import Purpose
from countenance.errors import CountenanceError
from countenance.features import Probe, Reference, quantise
from countenance.flows import admit, enrol, gallery, passes, renew, restore, revocations, sweep, withdraw
from countenance.flows.admit import AtGate
from countenance.flows.venue import Venue
from countenance.formats import cose
from countenance.formats import passes as pass_form
from countenance.formats.passes import Custody
from countenance.formats.revocations import RevocationList
from countenance.lane import check as lane_check
from countenance.matching import matcher
from countenance.matching.cohort import Unnormalised
from countenance.matching.matcher import Threshold
from countenance.permits import Door, Kind, Permit, PermitBook, _Entry, person_scope
from countenance.quantities import DAY, HOUR, Instant, PersonId, PurposeId, Score, TemplateId, VenueId
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault import templates
from countenance.vault.keys import store
from countenance.vault.keys.in_pass import Shown
from countenance.vault.templates import Place, Stored
from countenance.vision import embed as embedding
from countenance.vision.embed import Embedder
from support import venue as support
from support.venue import KEYED, SEARCH, VERIFY, StubPack

ADA, BEN = 1, 2


@dataclass
class World:
    """A venue in which Ada and Ben are enrolled for three purposes, and an attacker's hands on it."""

    venue: Venue
    clock: SetClock
    ada: enrol.Enrolled          # 1:1, her face in her pass
    ada_keyed: enrol.Enrolled    # 1:1, the key in her pass
    ada_search: enrol.Enrolled   # 1:N
    ben: enrol.Enrolled
    ben_keyed: enrol.Enrolled
    ben_search: enrol.Enrolled
    opened: ExitStack = field(default_factory=ExitStack)
    steal: Callable[[], Any] = lambda: None
    baseline: dict[str, str] | None = None

    def begin(self) -> None:
        """Take note of the state that must not move."""
        self.baseline = support.state_of(self.venue.folder)

    def granted(self, who: enrol.Enrolled | None = None) -> Granted:
        who = who or self.ada
        return self.venue.gate.verify(who.person, who.purpose)

    def searching(self) -> Granted:
        held = self.venue.galleries.exact(SEARCH)
        return self.venue.gate.search(SEARCH, gate.press(self.clock), held.members)

    def probe(self, granted: Granted, person: int = ADA) -> Probe:
        chip = np.zeros((150, 150, 3), np.uint8)
        chip[:, :, 0] = person
        return self.venue.pack.embed(self.venue.book, granted.permit, granted.scope, chip)

    def stored(self, who: enrol.Enrolled) -> Stored:
        with self.venue.store.read() as unit:
            return gallery.stored_template(enrol.live_template(unit, who.person, who.purpose))

    def shown(self, who: enrol.Enrolled) -> Shown:
        with self.venue.store.read() as unit:
            content = passes.read_here(self.venue, who.pass_text, unit.now)
            return passes.shown(self.venue, unit, who.pass_text, content)

    def reference(self, granted: Granted, who: enrol.Enrolled | None = None) -> Reference:
        who = who or self.ada
        return self.venue.vault.open(granted.permit, self.stored(who), self.shown(who))

    def verify(self, granted: Granted, probe: Probe, reference: Reference) -> Any:
        return self.venue.matcher.verify(granted.permit, probe, reference, self.venue.threshold("verify"))

    def by_pass(self, who: enrol.Enrolled | None = None, person: int = ADA) -> Any:
        return admit.by_pass(self.venue, (who or self.ada).pass_text, support.picture(person, shade=9))

    def by_face(self, pressed: Any = None, person: int = ADA) -> Any:
        self.venue.galleries.exact(SEARCH)
        return admit.by_face(self.venue, SEARCH, pressed or gate.press(self.clock),
                             support.picture(person, shade=9))

    def copied(self, name: str) -> Path:
        """Take a backup of the whole folder, as it lies on the disk now."""
        return support.copy_of(self.venue.folder, self.venue.folder.with_name(name))

    def put_back(self, before: Path, *names: str) -> Path:
        """Close the venue, and put some of its files back as they were; return its folder."""
        self.opened.close()
        for name in names:
            for end in ("", "-wal", "-shm"):
                (self.venue.folder / (name + end)).unlink(missing_ok=True)
                if (before / (name + end)).exists():
                    shutil.copy2(before / (name + end), self.venue.folder / (name + end))
        return self.venue.folder

    def reopen(self, folder: Path) -> None:
        self.venue = self.opened.enter_context(support.open_venue(folder, self.clock))


@pytest.fixture(scope="module")
def peopled(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[enrol.Enrolled]]:
    folder = Path(shutil.copytree(founded, tmp_path_factory.mktemp("peopled") / "zoo"))
    with support.open_venue(folder) as venue:
        people = _enrolled(venue)
    return folder, people


def _enrolled(venue: Venue) -> list[enrol.Enrolled]:
    return [support.enrolled(venue, name, number, purpose)
            for name, number in (("ada", ADA), ("ben", BEN)) for purpose in (VERIFY, KEYED, SEARCH)]


@pytest.fixture
def world(peopled: tuple[Path, list[enrol.Enrolled]], tmp_path: Path, clock: SetClock) -> Iterator[World]:
    folder = Path(shutil.copytree(peopled[0], tmp_path / "zoo"))
    with ExitStack() as opened:
        venue = opened.enter_context(support.open_venue(folder, clock))
        yield World(venue, clock, *peopled[1], opened=opened)


# -- the attacks: each ends in what would be a comparison, or a step towards one -----------------------------


def embed_without_permit(w: World) -> None:
    """An embedding is asked for with no permit at all."""
    w.begin()
    ran: list[object] = []

    class Session:
        def run(self, chips: object) -> object:
            ran.append(chips)
            return np.zeros((1, 128), np.float32)

    chip = np.zeros((150, 150, 3), np.uint8)
    try:
        Embedder(Session(), "p", 0.01).embed(w.venue.book, None, w.granted().scope, chip)  # type: ignore[arg-type]
    finally:
        w.steal = lambda: ran


def forged_permit(w: World) -> None:
    """A permit is built by hand, with the right scope."""
    w.begin()
    scope = person_scope(Kind.VERIFY, w.venue.venue_id, VERIFY, w.ada.person)
    w.reference(Granted(Permit("0" * 32, scope), scope))


def permit_with_a_real_number(w: World) -> None:
    """A permit is built by hand with the number of a real one."""
    w.begin()
    real = w.granted()
    w.reference(Granted(Permit(real.permit.number, real.scope), real.scope))


def copied_permit(w: World) -> None:
    """A permit is copied, so as to be spent twice."""
    w.begin()
    copy.copy(w.granted().permit)


def pickled_permit(w: World) -> None:
    """A permit is written down for later."""
    w.begin()
    pickle.dumps(w.granted().permit)


def replayed_permit(w: World) -> None:
    """A permit that opened a reference opens it again."""
    granted = w.granted()
    w.reference(granted)
    w.begin()
    w.reference(granted)


def compared_twice(w: World) -> None:
    """One permit for two comparisons."""
    granted = w.granted()
    probe, reference = w.probe(granted), w.reference(granted)
    w.verify(granted, probe, reference)
    w.begin()
    w.verify(granted, probe, reference)


def old_permit(w: World) -> None:
    """A permit is kept until the person has gone home."""
    granted = w.granted()
    w.clock.move(31)
    w.begin()
    w.reference(granted)


def permit_of_another_person(w: World) -> None:
    """Ben's permit opens Ada's reference."""
    w.begin()
    granted = w.granted(w.ben)
    w.venue.vault.open(granted.permit, w.stored(w.ada), w.shown(w.ada))


def permit_for_another_purpose(w: World) -> None:
    """A permit to verify is presented as one to search."""
    w.begin()
    granted = w.granted()
    w.venue.matcher.search(granted.permit, w.probe(granted), w.venue.galleries.exact(SEARCH).index,
                           w.venue.threshold("search"))


def permit_of_another_venue(w: World) -> None:
    """Another venue's gate gave the permit."""
    w.begin()
    other = PermitBook(w.clock)
    scope = person_scope(Kind.VERIFY, VenueId("elsewhere"), VERIFY, w.ada.person)
    w.reference(Granted(other.appoint()(scope), scope))


def dataset_permit_at_the_vault(w: World) -> None:
    """A permit to evaluate photographs opens a person's template."""
    w.begin()
    granted = DatasetGate(PermitBook(w.clock)).permit("folder")
    w.venue.vault.open(granted.permit, w.stored(w.ada_search))


def enrolment_permit_compares(w: World) -> None:
    """A permit to enrol is used to compare."""
    w.begin()
    with w.venue.store.read() as unit:
        granted = w.venue.gate.enrol(unit, w.ada.person, VERIFY)
    reference = w.reference(w.granted())
    w.verify(granted, w.probe(granted), reference)


def gallery_permit_compares(w: World) -> None:
    """A permit to hold a gallery in memory is used to search it."""
    w.begin()
    granted, _ = w.venue.gate.load(SEARCH)
    codes = quantise(support.vector_of(ADA), StubPack.step)
    probe = Probe(codes, w.venue.pack.identity, granted.permit, StubPack.step)
    w.venue.matcher.search(granted.permit, probe, w.venue.galleries.exact(SEARCH).index,
                           w.venue.threshold("search"))


def second_issuer(w: World) -> None:
    """Somebody appoints an issuer of their own."""
    w.begin()
    w.venue.book.appoint()


def dataset_gate_on_a_venue(w: World) -> None:
    """An evaluation is run on an open venue's book."""
    w.begin()
    DatasetGate(w.venue.book)


def no_consent(w: World) -> None:
    """A person without any consent is verified."""
    w.begin()
    w.venue.gate.verify(PersonId("nobody"), VERIFY)


def consent_to_another_purpose(w: World) -> None:
    """Somebody who agreed to 1:1 only is put into the 1:N gallery."""
    only = support.enrolled(w.venue, "cem", 3, VERIFY)
    w.begin()
    with w.venue.store.read() as unit:
        consents.require_live(unit, only.person, SEARCH)


def unknown_purpose(w: World) -> None:
    """A purpose that no notice ever named."""
    w.begin()
    w.venue.gate.verify(w.ada.person, PurposeId("marketing"))


def search_by_a_verify_purpose(w: World) -> None:
    """People who agreed to be verified are searched for."""
    w.begin()
    w.venue.gate.load(VERIFY)


def expired_consent(w: World) -> None:
    """A year has passed, and the sweep has run until the day before."""
    w.clock.move(364 * DAY)
    sweep.sweep(w.venue)
    w.clock.move(1 * DAY)
    w.begin()
    w.by_pass()


def expired_by_the_clock_set_back(w: World) -> None:
    """The clock is set back, so that what has expired would be fresh again."""
    w.clock.move(10 * DAY)
    sweep.sweep(w.venue)
    w.clock.move(-9 * DAY)
    w.begin()
    w.by_pass()


def withdrawn_consent(w: World) -> None:
    """Ada has withdrawn; her pass and her face are shown."""
    withdraw.withdraw(w.venue, w.ada.person, VERIFY)
    w.begin()
    w.by_pass()


def old_notice(w: World) -> None:
    """The notice has changed and Ada has not renewed."""
    _changed_notice(w, VERIFY)
    w.begin()
    w.by_pass()


def message_as_consent(w: World) -> None:
    """A text message says that everybody agrees to the new notice."""
    notice = _changed_notice(w, VERIFY)
    w.begin()
    renew.renew(w.venue, w.ada.person, VERIFY, notice, "en", "sms")


def no_press(w: World) -> None:
    """A gallery is searched for a passer-by."""
    w.begin()
    admit.by_face(w.venue, SEARCH, "no press", support.no_camera)  # type: ignore[arg-type]


def old_press(w: World) -> None:
    """Somebody pressed, walked away, and another stands there."""
    pressed = gate.press(w.clock)
    w.clock.move(16)
    w.begin()
    w.by_face(pressed)


def press_used_twice(w: World) -> None:
    """One press for two searches."""
    pressed = gate.press(w.clock)
    w.by_face(pressed)
    w.begin()
    w.by_face(pressed, person=BEN)


def gallery_kept_in_memory(w: World) -> None:
    """A copy of the gallery from before Ada withdrew is searched."""
    held = w.venue.galleries.exact(SEARCH)
    withdraw.withdraw(w.venue, w.ada_search.person, SEARCH)
    w.begin()
    w.venue.gate.search(SEARCH, gate.press(w.clock), held.members)


def old_index_with_a_new_permit(w: World) -> None:
    """A fresh permit is used on the old copy of the gallery."""
    old = w.venue.galleries.exact(SEARCH).index
    withdraw.withdraw(w.venue, w.ben_search.person, SEARCH)
    granted = w.searching()
    w.begin()
    w.venue.matcher.search(granted.permit, w.probe(granted), old, w.venue.threshold("search"))


def gallery_over_its_cap(w: World) -> None:
    """More people are searched than the error rate allows."""
    with w.venue.store.write() as unit:
        unit.run(update(schema.purpose).where(schema.purpose.c.purpose_id == SEARCH).values(gallery_cap=1))
    w.begin()
    w.venue.gate.load(SEARCH)


def swapped_ciphertexts(w: World) -> None:
    """Ben's ciphertext is put into Ada's row, so that he enters as her."""
    _put(w, w.ada_search, sealed=w.stored(w.ben_search).sealed, face_key=w.stored(w.ben_search).face_key)
    w.venue.galleries._held.clear()
    w.begin()
    w.by_face(person=BEN)


def moved_ciphertext(w: World) -> None:
    """A ciphertext is moved between two records of the same person and key."""
    adas, bens = w.stored(w.ada_search), w.stored(w.ben_search)
    granted, members = w.venue.gate.load(SEARCH)
    moved = replace(adas, place=replace(adas.place, template_id=bens.place.template_id))
    w.begin()
    next(w.venue.vault.open_gallery(granted.permit, SEARCH, members.generation, members.templates, [moved]))


def another_packs_template(w: World) -> None:
    """A template of one model is compared with a probe of another."""
    granted = w.granted()
    probe = w.probe(granted)
    reference = w.reference(granted)
    w.begin()
    w.verify(granted, probe, Reference(reference.codes, "other@1", granted.permit))


def probe_of_another_permit(w: World) -> None:
    """A face that was measured for Ben's verification is compared with Ada."""
    bens = w.probe(w.granted(w.ben), BEN)
    granted = w.granted()
    reference = w.reference(granted)
    w.begin()
    w.verify(granted, bens, reference)


def enrolled_under_another_permit(w: World) -> None:
    """A face that was measured for a verification is sealed as somebody's template."""
    probe = w.probe(w.granted())
    with w.venue.store.read() as unit:
        granted = w.venue.gate.enrol(unit, w.ben_search.person, SEARCH)
    place = Place(TemplateId("t"), w.ben_search.person, SEARCH, w.venue.pack.identity)
    bens = store.KeyRef(w.stored(w.ben_search).face_key, store.FACE, w.ben_search.person, SEARCH)
    w.begin()
    w.venue.vault.seal(granted.permit, probe, place, Custody.VENUE_KEYED, bens)


def without_the_holders_key(w: World) -> None:
    """The venue opens a face whose key is in the person's pass."""
    granted = w.granted(w.ada_keyed)
    w.begin()
    w.venue.vault.open(granted.permit, w.stored(w.ada_keyed))


def not_a_number(w: World) -> None:
    """A probe of NaN, which compares as neither near nor far."""

    class Session:
        def run(self, chips: object) -> object:
            return np.full((1, 128), np.nan, np.float32)

    granted, chip = w.searching(), np.zeros((150, 150, 3), np.uint8)
    w.begin()
    probe = Embedder(Session(), w.venue.pack.identity, StubPack.step).embed(  # type: ignore[arg-type]  # no network
        w.venue.book, granted.permit, granted.scope, chip)
    w.venue.matcher.search(granted.permit, probe, w.venue.galleries.exact(SEARCH).index,
                           w.venue.threshold("search"))


def threshold_of_another_cohort(w: World) -> None:
    """A gallery is searched with a threshold that was measured with another cohort."""
    granted = w.searching()
    w.begin()
    other = Threshold(Score(1e9), "another's", Unnormalised(w.venue.pack.identity))
    w.venue.matcher.search(granted.permit, w.probe(granted), w.venue.galleries.exact(SEARCH).index, other)


def pass_of_another_venue(w: World) -> None:
    """A pass that another venue signed."""
    text = pass_form.write(_content(w), Ed25519PrivateKey.generate(), b"12345678")
    w.begin()
    admit.by_pass(w.venue, text, support.no_camera)


def pass_for_another_venue(w: World) -> None:
    """A pass that names another venue, signed with this one's key."""
    signer = w.venue.signer("pass")
    text = pass_form.write(replace(_content(w), venue=VenueId("elsewhere")), signer.key, signer.kid)
    w.begin()
    admit.by_pass(w.venue, text, support.no_camera)


def altered_pass(w: World) -> None:
    """One bit of a pass is altered."""
    message = bytearray(pass_form._message(w.ada.pass_text))
    message[-1] ^= 1  # of the signature
    text = pass_form.PREFIX + pass_form.base45.encode(bytes(message))
    w.begin()
    admit.by_pass(w.venue, text, support.no_camera)


def minted_pass(w: World) -> None:
    """A stolen signing key mints a pass for Ada's face."""
    signer = w.venue.signer("pass")
    text = pass_form.write(replace(_content(w), reference="ben"), signer.key, signer.kid)
    w.begin()
    admit.by_pass(w.venue, text, support.no_camera)


def secret_moved_to_another_pass(w: World) -> None:
    """The sealed key is moved into a pass that names another face."""
    _opened_in_another_pass(w, w.ada_keyed)


def sweep_that_has_not_run(w: World) -> None:
    """Retention has stopped working, and faces are compared all the same."""
    w.clock.move(37 * 3600)
    w.begin()
    w.by_pass()


def rotation_that_was_promised(w: World) -> None:
    """Ben withdrew, no rotation came within 24 hours, and faces are compared all the same."""
    withdraw.withdraw(w.venue, w.ben.person, VERIFY)
    w.clock.move(25 * 3600)
    w.begin()
    w.by_pass()


def withdrawn_at_the_last_moment(w: World) -> None:
    """Ada withdraws after the comparison and before the decision."""
    withdraw.withdraw(w.venue, w.ada.person, VERIFY)
    w.begin()
    admit._commit(w.venue, w.ada.person, VERIFY, admit.HERE)


def gate_without_calibration(w: World) -> None:
    """A gate that nobody calibrated compares with some number."""
    w.venue.settings = replace(w.venue.settings, threshold="none")
    w.begin()
    w.by_pass()


def a_stranger_to_the_gallery(w: World) -> None:
    """A permit to hold the gallery opens the face of somebody who is not in it any more."""
    adas = w.stored(w.ada_search)
    _changed_notice(w, SEARCH)
    granted, members = w.venue.gate.load(SEARCH)
    w.begin()
    next(w.venue.vault.open_gallery(granted.permit, SEARCH, members.generation, members.templates, [adas]))


def a_member_list_of_ones_own(w: World) -> None:
    """A permit to hold the gallery is shown with a longer list of members."""
    adas = w.stored(w.ada_search)
    _changed_notice(w, SEARCH)
    granted, members = w.venue.gate.load(SEARCH)
    longer = {*members.templates, adas.place.template_id}
    w.begin()
    next(w.venue.vault.open_gallery(granted.permit, SEARCH, members.generation, longer, [adas]))


def another_purposes_gallery(w: World) -> None:
    """People who agreed to one 1:N purpose are searched for another."""
    held = w.venue.galleries.exact(SEARCH)
    with w.venue.store.write() as unit:
        row = unit.run(select(schema.purpose).where(schema.purpose.c.purpose_id == SEARCH)).one()._asdict()
        unit.run(insert(schema.purpose).values(**{**row, "purpose_id": "entry.vip"}))
        unit.run(insert(schema.gallery).values(purpose_id="entry.vip", generation=held.members.generation))
    w.begin()
    w.venue.gate.search(PurposeId("entry.vip"), gate.press(w.clock), held.members)


def sealed_into_anothers_record(w: World) -> None:
    """Ada's face is enrolled as Ben's, so that she goes on entering after she withdrew."""
    with w.venue.store.read() as unit:
        granted = w.venue.gate.enrol(unit, w.ada_search.person, SEARCH)
    place = Place(TemplateId("t"), w.ben_search.person, SEARCH, w.venue.pack.identity)
    bens = store.KeyRef(w.stored(w.ben_search).face_key, store.FACE, w.ben_search.person, SEARCH)
    probe = w.probe(granted)
    w.begin()
    w.venue.vault.seal(granted.permit, probe, place, Custody.VENUE_KEYED, bens)


def withdrawn_while_the_camera_ran(w: World) -> None:
    """Ada withdraws at the desk between her press and the picture."""
    w.venue.galleries.exact(SEARCH)

    def camera() -> bytes:
        withdraw.withdraw(w.venue, w.ada_search.person, SEARCH)
        w.begin()
        return support.picture(ADA, shade=9)()

    admit.by_face(w.venue, SEARCH, gate.press(w.clock), camera)


def nobodys_signature(w: World) -> None:
    """The venue says that the person signed with a passkey."""
    w.begin()
    yes = support.says_yes(w.venue, VERIFY, acts.Act.PASSKEY)
    with w.venue.store.write() as unit:
        consents.give(unit, w.ada_search.person, VERIFY, yes)


def notice_rewritten_afterwards(w: World) -> None:
    """The text of a notice is replaced under its hash after people agreed to it."""
    with w.venue.store.write() as unit:
        table = schema.notice
        mine = table.c.purpose_id == VERIFY
        text = unit.run(select(table.c.canonical).where(mine)).scalar_one()
        unit.run(update(table).where(mine).values(canonical=text.replace(b"You may say no", b"You cannot say")))
    w.begin()
    with w.venue.store.read() as unit:
        notices.in_force(unit, VERIFY)


def opened_without_the_vault(w: World) -> None:
    """A template is opened by asking the key store itself."""
    stored = w.stored(w.ada_search)
    ref = store.KeyRef(stored.face_key, store.FACE, w.ada_search.person, SEARCH)
    w.begin()
    w.venue.keys.open(ref, stored.place.label(), stored.sealed)


def key_taken_without_the_vault(w: World) -> None:
    """The plain key of a face is asked for, as if to search the disk for it."""
    stored = w.stored(w.ada_search)
    w.begin()
    w.venue.keys.needles(store.KeyRef(stored.face_key, store.FACE, w.ada_search.person, SEARCH))


def vault_of_ones_own(w: World) -> None:
    """A second vault is made, with a book of permits whose issuer the attacker is."""
    book = PermitBook(w.clock)
    issue = book.appoint()
    w.begin()
    vault = templates.TemplateVault(w.venue.keys, book, w.venue.venue_id)
    permit = issue(person_scope(Kind.VERIFY, w.venue.venue_id, SEARCH, w.ada_search.person))
    vault.open(permit, w.stored(w.ada_search))


def consent_prolonged_in_the_file(w: World) -> None:
    """The end of a consent is put off by editing its row."""
    with w.venue.store.write() as unit:
        unit.run(update(schema.consent).values(expires_at=schema.consent.c.expires_at + 365 * DAY))
    w.begin()
    w.by_pass()


def consent_to_the_new_notice_in_the_file(w: World) -> None:
    """A consent to the old notice is made one to the new by editing its row."""
    notice = _changed_notice(w, VERIFY)
    with w.venue.store.write() as unit:
        unit.run(update(schema.consent).where(schema.consent.c.purpose_id == VERIFY).values(notice_hash=notice))
    w.begin()
    w.by_pass()


def anothers_key(w: World) -> None:
    """Ada's pass is shown after its row was made to name Ben's key."""
    with w.venue.store.write() as unit:
        table = schema.issued_pass
        bens = unit.run(select(table.c.pass_key).where(
            table.c.person_id == w.ben.person, table.c.purpose_id == VERIFY)).scalar_one()
        unit.run(update(table).where(
            table.c.person_id == w.ada.person, table.c.purpose_id == VERIFY).values(pass_key=bens))
    w.begin()
    w.by_pass()


def carried_face_moved_to_another_pass(w: World) -> None:
    """A face that is sealed in one pass is moved into another."""
    _opened_in_another_pass(w, w.ada)


def prolonged_pass(w: World) -> None:
    """A stolen signing key gives a pass that is on record another date."""
    content, signer = _content(w, w.ada_keyed), w.venue.signer("pass")
    text = pass_form.write(replace(content, expires_at=Instant(content.expires_at + DAY)), signer.key, signer.kid)
    w.begin()
    admit.by_pass(w.venue, text, support.no_camera)


def carried_face_without_its_pass(w: World) -> None:
    """The venue opens a face that is in the person's pass only."""
    granted = w.granted()
    w.begin()
    w.venue.vault.open(granted.permit, w.stored(w.ada))


def replaced_pass(w: World) -> None:
    """A pass that was lost and replaced is shown at the lane for faces."""
    with w.venue.store.write() as unit:  # as far as `replace` comes before it ends the face
        revocations.void(unit, w.venue.venue_id, "ada", Instant(unit.now + DAY))
    w.begin()
    w.by_pass()


def gate_with_an_old_list(w: World) -> None:
    """A gate goes by a copy of the revocation list whose time is over."""
    copied = revocations.read(w.venue, revocations.publish(w.venue, "north").text)
    w.clock.move(HOUR)
    w.begin()
    admit.by_pass(w.venue, w.ada.pass_text, support.picture(ADA, shade=9), AtGate(revoked=copied))


def face_on_the_list(w: World) -> None:
    """A gate's list names a face that its own copy of the store does not know to be withdrawn."""
    copied = revocations.read(w.venue, revocations.publish(w.venue, "north").text)
    names_her = replace(copied, faces=frozenset({pass_form.face_hash(_content(w).face_id)}))
    w.begin()
    admit.by_pass(w.venue, w.ada.pass_text, support.picture(ADA, shade=9), AtGate(revoked=names_her))


def both_stores_put_back(w: World) -> None:
    """Both databases are put back by hand, from before Ada withdrew."""
    _put_back_after_a_withdrawal(w, "countenance.db", "keys.db")
    w.by_pass()


def data_put_back(w: World) -> None:
    """The data store alone is put back by hand, from before Ada withdrew."""
    _put_back_after_a_withdrawal(w, "countenance.db")
    w.by_pass(w.ben, BEN)


def keys_put_back(w: World) -> None:
    """The key store alone is put back by hand, so that a destroyed key is there again."""
    _put_back_after_a_withdrawal(w, "keys.db")
    w.by_pass(w.ben, BEN)


def list_of_what_is_gone_deleted(w: World) -> None:
    """Both databases are put back, and the list that would tell is deleted."""
    _put_back_after_a_withdrawal(w, "countenance.db", "keys.db", "gone.list")
    w.by_pass()


def consent_from_before_a_restore(w: World) -> None:
    """Ben's consent is from before a restore, and he was not asked again."""
    _restored(w)
    w.begin()
    w.by_pass(w.ben, BEN)


def consent_dated_after_the_restore(w: World) -> None:
    """The date of a consent is edited to be after the restore."""
    _restored(w)
    w.clock.move(2 * DAY)
    with w.venue.store.write() as unit:
        unit.set_mark("swept", unit.now)
        unit.run(update(schema.consent).values(given_at=unit.now - DAY))
    w.begin()
    w.by_pass(w.ben, BEN)


def pass_opened_without_the_vault(w: World) -> None:
    """What is sealed in a pass is opened by asking the key store itself."""
    with w.venue.store.read() as unit:
        table = schema.issued_pass
        key = unit.run(select(table.c.pass_key).where(
            table.c.person_id == w.ada.person, table.c.purpose_id == VERIFY)).scalar_one()
    w.begin()
    with w.venue.keys.kept_open(store.KeyRef(key, store.PASS, w.ada.person, VERIFY)):
        pass


def key_before_its_pass_was_issued(w: World) -> None:
    """A pass whose key was never bound to any bytes is shown."""
    ref = store.new_ref(store.PASS, w.ada.person, VERIFY)
    w.venue.keys.make([ref])
    with w.venue.store.write() as unit:
        table = schema.issued_pass
        unit.run(update(table).where(
            table.c.person_id == w.ada.person, table.c.purpose_id == VERIFY).values(pass_key=ref.key_id))
    w.begin()
    w.by_pass()


def _opened_in_another_pass(w: World, who: enrol.Enrolled) -> None:
    other = replace(_content(w, who), face_id=b"another face id!")
    granted, shown = w.granted(who), replace(w.shown(who), content=other)
    w.begin()
    w.venue.vault.open(granted.permit, w.stored(who), shown)


def _put_back_after_a_withdrawal(w: World, *names: str) -> None:
    before = w.copied("before")
    (before / "gone.list").unlink()
    withdraw.withdraw(w.venue, w.ada.person, VERIFY)
    w.reopen(w.put_back(before, *names))
    w.begin()


def _restored(w: World) -> None:
    before = w.copied("copies")
    support.enrolled(w.venue, "cem", 3)  # so that the copies are older than the venue
    folder = w.put_back(before, "countenance.db", "keys.db")
    restore.restore(folder, w.venue.entitlement, w.clock, restore.Copies())
    w.reopen(folder)


def _changed_notice(w: World, purpose: PurposeId) -> str:
    with w.venue.store.write() as unit:
        texts = {k: v + " More." for k, v in notices.in_force(unit, purpose).texts.items()}
        return notices.publish(unit, w.venue.venue_id, purpose, texts).hash


def _content(w: World, who: enrol.Enrolled | None = None) -> pass_form.Pass:
    return passes.read_here(w.venue, (who or w.ada).pass_text, w.clock.now())


def _put(w: World, who: enrol.Enrolled, **values: Any) -> None:
    with w.venue.store.write() as unit:
        table = schema.template
        unit.run(update(table).where(
            table.c.person_id == who.person, table.c.purpose_id == who.purpose).values(**values))


# -- the guards, removed ------------------------------------------------------------------------------------


def _nothing(*_args: Any, **_more: Any) -> None:
    return None


def _known(_self: PermitBook, permit: Permit) -> _Entry:
    return _Entry(permit, float("inf"), set(Door))


def _any_consent(unit: Any, person: PersonId, _purpose: PurposeId) -> Any:
    return consents.all_of(unit, person)[0]


def _any_purpose(_unit: Any, purpose: PurposeId) -> Purpose:
    return Purpose(purpose, "entrance", "verify", "holder_keyed", 365, 0)


def _unverified(message: bytes, _key: Any, what: str, aad: bytes = b"", _largest: int = 0) -> Any:
    return cose._parts(message, 18, 4, what + str(aad))[2]


def _some_number(venue: Venue, _comparison: str) -> Threshold:
    return Threshold(Score(0.0), "made up", venue.cohort)


def _again(keys: store.KeyStore) -> store.FaceKeys:
    return store.FaceKeys(keys._seal, keys._open, keys._open_many, keys._with_new_pass, keys._with_pass)


def _any_pass(keys: store.KeyStore, ref: store.KeyRef, _digest: bytes, use: Callable[[bytearray], bytes]) -> bytes:
    with keys._opened(ref) as key:
        return use(key[:32])


def _unlooked(vector: Any, step: float) -> Any:
    return np.clip(np.rint(np.nan_to_num(vector) / step), -127, 127).astype(np.int8)


@dataclass(frozen=True)
class Attack:
    """One line of THREATS.md. `remove` are the guards to take away: where, its name, what stands in.

    `anew`: people must be enrolled without the guard too, where it is bound into their ciphertexts.
    """

    number: str
    run: Callable[[World], None]
    code: str
    remove: tuple[tuple[Any, str, Any], ...]
    anew: bool = False


def _of(book: str, stand_in: Any = _nothing) -> tuple[tuple[Any, str, Any], ...]:
    return ((PermitBook, book, stand_in),)


def _at_gate(name: str) -> tuple[tuple[Any, str, Any], ...]:
    return ((ConsentGate, name, _nothing),)


ANY_BYTES = ((store.hmac, "compare_digest", lambda _one, _other: True),)
ANY_STORES = ((Venue, "require_stores", _nothing),)

ATTACKS = [
    Attack("1.1", embed_without_permit, "permit-forged", _of("spend")),
    Attack("1.2", forged_permit, "permit-forged", _of("_issued_here", _known)),
    Attack("1.3", permit_with_a_real_number, "permit-forged", _of("_issued_here", _known)),
    Attack("1.4", copied_permit, "permit-copied", ((Permit, "__copy__", lambda self: self),)),
    Attack("1.5", pickled_permit, "permit-copied", ((Permit, "__reduce__", lambda _self: (str, ("x",))),)),
    Attack("1.6", replayed_permit, "permit-spent", _of("_first_time")),
    Attack("1.7", compared_twice, "permit-spent", _of("_first_time")),
    Attack("1.8", old_permit, "permit-expired", _of("_in_time")),
    Attack("1.9", permit_of_another_person, "permit-scope", _of("_right_scope")),
    Attack("1.10", permit_for_another_purpose, "permit-scope", _of("_right_scope")),
    Attack("1.11", permit_of_another_venue, "permit-forged", _of("_issued_here", _known)),
    Attack("1.12", dataset_permit_at_the_vault, "permit-forged", _of("_issued_here", _known)),
    Attack("1.13", enrolment_permit_compares, "permit-scope", _of("_right_scope")),
    Attack("1.14", gallery_permit_compares, "permit-scope", _of("_right_scope")),
    Attack("1.15", second_issuer, "permit-issuer", _of("_appointed_once")),
    Attack("1.16", dataset_gate_on_a_venue, "permit-issuer", _of("_appointed_once")),
    Attack("1.17", no_consent, "consent-missing", ((consents, "require_live", _nothing),)),
    Attack("1.18", consent_to_another_purpose, "consent-other-purpose", ((consents, "_newest", _any_consent),)),
    Attack("1.19", unknown_purpose, "purpose-unknown", ((notices, "purpose", _any_purpose),)),
    Attack("1.20", search_by_a_verify_purpose, "purpose-other", _at_gate("_compares")),
    Attack("1.21", expired_consent, "consent-expired", ((consents, "_not_expired", _nothing),)),
    Attack("1.22", expired_by_the_clock_set_back, "clock-set-back", ((Unit, "require_forward", _nothing),)),
    Attack("1.23", withdrawn_consent, "consent-withdrawn", ((consents, "_not_ended", _nothing),)),
    Attack("1.24", old_notice, "notice-outdated", ((consents, "_to_notice_in_force", _nothing),)),
    Attack("1.25", message_as_consent, "consent-message", ((acts, "MESSAGES", frozenset()),)),
    Attack("1.26", no_press, "press-missing", _at_gate("require_pressed")),
    Attack("1.27", old_press, "press-old", _at_gate("require_pressed")),
    Attack("1.28", press_used_twice, "press-used", _at_gate("require_pressed")),
    Attack("1.29", gallery_kept_in_memory, "gallery-stale", _at_gate("_still_exact")),
    Attack("1.30", old_index_with_a_new_permit, "permit-scope", _of("_right_scope")),
    Attack("1.31", gallery_over_its_cap, "gallery-full", _at_gate("_within_cap")),
    Attack("1.32", swapped_ciphertexts, "key-altered",
           ((store.KeyStore, "_bound", staticmethod(lambda _ref, stored: stored)),)),
    Attack("1.33", moved_ciphertext, "sealed-altered", ((Place, "label", lambda _self: "x"),), anew=True),
    Attack("1.34", another_packs_template, "pack-other", ((matcher, "_one_pack", _nothing),)),
    Attack("1.35", probe_of_another_permit, "permit-scope", ((matcher, "_made_under", _nothing),)),
    Attack("1.36", enrolled_under_another_permit, "permit-scope", ((templates, "_of_this_permit", _nothing),)),
    Attack("1.37", without_the_holders_key, "holder-key-missing", ()),
    Attack("1.38", not_a_number, "score-not-finite", ((embedding, "quantise", _unlooked),)),
    Attack("1.39", pass_of_another_venue, "pass-other-venue", ((lane_check, "_of_this_venue", _nothing),)),
    Attack("1.40", pass_for_another_venue, "pass-other-venue", ((lane_check, "_of_this_venue", _nothing),)),
    Attack("1.41", altered_pass, "pass-altered", ((cose, "verify1", _unverified),)),
    Attack("1.42", minted_pass, "pass-unknown", ANY_BYTES),
    Attack("1.43", secret_moved_to_another_pass, "pass-altered",
           ((pass_form.Pass, "binding", lambda _self: b"x"),), anew=True),
    Attack("1.44", sweep_that_has_not_run, "sweep-late", _at_gate("require_swept")),
    Attack("1.45", rotation_that_was_promised, "rotation-late", _at_gate("require_rotated")),
    Attack("1.46", withdrawn_at_the_last_moment, "consent-withdrawn", _at_gate("require_live")),
    Attack("1.47", gate_without_calibration, "gate-uncalibrated", ((Venue, "threshold", _some_number),)),
    Attack("1.48", a_stranger_to_the_gallery, "permit-scope", ((templates, "_of_this_gallery", _nothing),)),
    Attack("1.49", a_member_list_of_ones_own, "permit-scope", _of("_right_scope")),
    Attack("1.50", another_purposes_gallery, "purpose-other", _at_gate("_of_this_purpose")),
    Attack("1.51", sealed_into_anothers_record, "permit-scope", _of("_right_scope")),
    Attack("1.52", withdrawn_while_the_camera_ran, "gallery-stale", _at_gate("is_exact")),
    Attack("1.53", nobodys_signature, "consent-act", ((consents, "_somebodys_act", _nothing),)),
    Attack("1.54", notice_rewritten_afterwards, "notice-altered",
           ((notices, "_unaltered", lambda canonical, _hash: notices.form.parse(canonical)),)),
    Attack("1.55", opened_without_the_vault, "key-face", ((store.KeyStore, "_no_face", _nothing),)),
    Attack("1.56", key_taken_without_the_vault, "key-face", ((store.KeyStore, "_no_face", _nothing),)),
    Attack("1.57", vault_of_ones_own, "faces-taken", ((store.KeyStore, "take_faces", _again),)),
    Attack("1.58", consent_prolonged_in_the_file, "consent-altered", ((consents, "_unaltered", _nothing),)),
    Attack("1.59", consent_to_the_new_notice_in_the_file, "consent-altered", ((consents, "_unaltered", _nothing),)),
    Attack("1.60", anothers_key, "key-altered",
           ((store.KeyStore, "_bound", staticmethod(lambda _ref, stored: stored)),)),
    Attack("1.61", carried_face_moved_to_another_pass, "pass-altered",
           ((pass_form.Pass, "binding", lambda _self: b"x"),), anew=True),
    Attack("1.62", prolonged_pass, "pass-unknown", ANY_BYTES),
    Attack("1.63", carried_face_without_its_pass, "holder-key-missing", ()),
    Attack("1.64", replaced_pass, "pass-void", ((revocations, "require_not_void", _nothing),)),
    Attack("1.65", gate_with_an_old_list, "list-stale", ((revocations, "require_fresh", _nothing),)),
    Attack("1.66", face_on_the_list, "face-revoked", ((RevocationList, "require_face", _nothing),)),
    Attack("1.67", both_stores_put_back, "store-restored", ANY_STORES),
    Attack("1.68", data_put_back, "store-restored", ANY_STORES),
    Attack("1.69", keys_put_back, "store-restored", ANY_STORES),
    Attack("1.70", list_of_what_is_gone_deleted, "gone-missing", ANY_STORES),
    Attack("1.71", consent_from_before_a_restore, "consent-ask-again", ((consents, "_asked_since", _nothing),)),
    Attack("1.72", consent_dated_after_the_restore, "consent-altered", ((consents, "_unaltered", _nothing),)),
    Attack("1.73", pass_opened_without_the_vault, "key-face", ((store.KeyStore, "_no_face", _nothing),)),
    Attack("1.74", key_before_its_pass_was_issued, "pass-unknown",
           ((store.KeyStore, "_with_pass", _any_pass),), anew=True),
    Attack("1.75", threshold_of_another_cohort, "pack-other", ((matcher, "_one_cohort", _nothing),)),
]
BY_CONSTRUCTION = {"1.37", "1.63"}
"""Where there is no guard to remove: the venue does not have the key, or not the face."""

pytestmark = pytest.mark.promise(1)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.number}-{a.run.__name__}")
def test_is_refused_and_nothing_moves(world: World, attack: Attack) -> None:
    with pytest.raises(CountenanceError) as refusal:
        attack.run(world)
    assert refusal.value.code == attack.code
    assert world.baseline is not None
    assert support.state_of(world.venue.folder) == world.baseline
    assert not world.steal()


@pytest.mark.parametrize(
    "attack", [a for a in ATTACKS if a.number not in BY_CONSTRUCTION],
    ids=lambda a: f"{a.number}-{a.run.__name__}")
def test_is_let_through_once_its_guard_is_removed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, attack: Attack
) -> None:
    world: World | None = None if attack.anew else request.getfixturevalue("world")
    for where, name, stand_in in attack.remove:
        monkeypatch.setattr(where, name, stand_in)
    if world is not None:
        assert _code_of(attack, world) != attack.code
        return
    folder = Path(shutil.copytree(request.getfixturevalue("founded"), request.getfixturevalue("tmp_path") / "zoo"))
    clock = request.getfixturevalue("clock")
    with support.open_venue(folder, clock) as venue:
        assert _code_of(attack, World(venue, clock, *_enrolled(venue))) != attack.code


def _code_of(attack: Attack, world: World) -> str:
    try:
        attack.run(world)
    except CountenanceError as error:
        return error.code
    except Exception as error:  # noqa: BLE001  # without its guard an attack may end anyhow
        return type(error).__name__
    return "let through"


def test_every_attack_is_a_line_of_threats_and_every_line_an_attack() -> None:
    text = (Path(__file__).parents[2] / "THREATS.md").read_text(encoding="utf-8")
    told = {words[1].strip(): (words[2].strip(), words[3].strip()) for line in text.splitlines()
            if (words := line.split("|")) and len(words) > 3 and words[1].strip().startswith("1.")}
    assert [a.number for a in ATTACKS] == [f"1.{number}" for number in range(1, len(ATTACKS) + 1)]
    assert list(told) == [a.number for a in ATTACKS]
    for attack in ATTACKS:
        assert told[attack.number] == (inspect.getdoc(attack.run), f"`{attack.code}`")


def test_what_is_let_through_would_otherwise_be_admitted(world: World) -> None:
    """The attacks start from a world in which the honest way works."""
    assert world.by_pass().outcome is admit.Outcome.ADMIT
    assert world.by_pass(world.ada_keyed).outcome is admit.Outcome.ADMIT
    assert world.by_face().outcome is admit.Outcome.ADMIT
    assert world.by_pass(person=BEN).outcome is admit.Outcome.REFER
