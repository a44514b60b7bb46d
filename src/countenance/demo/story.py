"""The founding story: a zoo's annual pass, with consent as the key. Each step says what had to come out.

The woman who says yes is Eileen Collins and the stranger Grace Hopper, from portraits in the public
domain; the other people are made up, and those in the gallery have no face at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from countenance.clock import Clock, utc_day
from countenance.consent import gate, notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.demo import attacker, proof
from countenance.demo.teller import Teller
from countenance.errors import Refused
from countenance.evaluation import portraits
from countenance.flows import admit, enrol, pad, passes, renew, replace, revocations, rotate, withdraw
from countenance.flows.found import DEMO_ONLY, LIST, SIGNING, found
from countenance.flows.opening import open_venue
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import KeyId, PersonId, PurposeId
from countenance.storage import schema
from countenance.vault.keys import signing
from countenance.vault.keys.store import FACE, KeyRef

if TYPE_CHECKING:
    from countenance.flows.admit import Decision
    from countenance.flows.venue import Venue
    from countenance.formats.notices import Notice
    from countenance.vault.residue import Needle

VERIFY, KEYED, SEARCH = PurposeId("entry.verify"), PurposeId("entry.key"), PurposeId("entry.search")
PEOPLE = 10_000
Progress = Callable[[int, int], None]


class Story:
    """One telling, in one new folder."""

    def __init__(self, folder: Path, clock: Clock, teller: Teller, people: int = PEOPLE,
                 home: Path | None = None) -> None:
        self.folder = folder
        self.home = home or folder / "taken-home"
        self.clock = clock
        self.tell = teller
        self.people = people
        self.collins = portraits.at_gate("collins")
        self.now = portraits.jpeg(self.collins)
        self.stranger = portraits.jpeg(portraits.at_gate("hopper"))
        self.later = portraits.later(self.collins)
        self.shown = [self.now, self.stranger, *self.later.values()]
        self.pictures_taken = 0
        self.passes: dict[str, str] = {}
        self.receipts: dict[str, str] = {}
        self.person: dict[str, PersonId] = {}

    def run(self, progress: Progress) -> None:
        """Tell it from the beginning to the end."""
        self.tell.say("countenance: face recognition that asks first")
        self.tell.chapter("A zoo opens")
        self.tell.step("The zoo is set up: annual pass, rules of China", "open", self._found)
        with open_venue(self.folder, CsvEntitlement(self.folder / "tickets.csv"), self.clock) as venue:
            keys = proof.keys_noted(venue)
            self._fill(venue, progress)
            self._yes(venue)
            self._no(venue)
            self._strangers(venue)
            self._founding_case(venue)
            self._face_in_the_pass(venue)
            self._key_in_the_pass(venue)
            self._lost_pass(venue)
            self._withdrawal(venue)
            proof.taken_home(self, venue, keys)

    # -- the chapters ---------------------------------------------------------------------------------

    def _found(self) -> str:
        found(self.folder, self.clock, name="Lakeside Zoo", contact="desk@lakeside.example",
              scenario="annual-pass", regime="cn", threshold=DEMO_ONLY)
        self._tickets(expired=())
        return "open"

    def _fill(self, venue: Venue, progress: Progress) -> None:
        def fill() -> str:
            pad.pad(venue, SEARCH, self.people, progress=progress)
            return f"{len(venue.galleries.exact(SEARCH).owners)} enrolled"

        self.tell.step(f"{self.people:,} made-up people, marked synthetic, join", f"{self.people} enrolled", fill)

    def _yes(self, venue: Venue) -> None:
        self.tell.chapter("Collins reads the notice and says: use my face (kept by the venue)")
        self.tell.step("Consent, one capture, a key of her own, a pass", "enrolled",
                       lambda: self._enrol(venue, "collins", SEARCH))
        self.tell.step("Nobody presses: nobody is looked for", "refused: press-missing",
                       lambda: self._search(venue, self.now, pressed=False))
        for name, picture in self.later.items():
            self.tell.step(f"She presses. Later capture, {name}", "admit",
                           lambda picture=picture: self._search(venue, picture))  # type: ignore[misc]  # bound per turn

    def _no(self, venue: Venue) -> None:
        self.tell.chapter("Wen says: enter without my face (no face)")

        def say_no() -> str:
            self.passes["wen"] = enrol.say_no(venue, "wen", lambda text: text)
            return "plain pass"

        self.tell.step("Same gate, same price, no record of Wen's face", "plain pass", say_no)
        self.tell.step("Wen shows the plain pass", "admit", lambda: self._plain(venue, "wen"))

    def _strangers(self, venue: Venue) -> None:
        self.tell.chapter("Others come to the gate")
        before = self._rows(venue)
        self.tell.step("A stranger presses; staff will help", "refer", lambda: self._search(venue, self.stranger))
        self.tell.step("What the stranger leaves behind", "one count", lambda: self._left(before, self._rows(venue)))
        self.passes["old"] = enrol.say_no(venue, "old", lambda text: text)
        self._tickets(expired=("old",))
        taken = self.pictures_taken
        self.tell.step("An expired ticket, in the lane with faces", "refused: ticket-expired",
                       lambda: self._by_pass(venue, "old", self.now))
        self.tell.step("The same ticket, in the lane without", "refused: ticket-expired",
                       lambda: self._plain(venue, "old"))
        self.tell.step("Pictures taken for it", "0", lambda: str(self.pictures_taken - taken))

    def _founding_case(self, venue: Venue) -> None:
        self.tell.chapter("The zoo sends a text message: from today, faces only")
        before = self._rows(venue)
        self.tell.step("A message tries to change consents", "refused: consent-message", lambda: renew.renew(
            venue, self.person["collins"], SEARCH, self._notice(venue, SEARCH).hash, "en", "sms"))
        self.tell.step("What the message has changed", "nothing", lambda: self._left(before, self._rows(venue)))
        self.tell.step("The zoo publishes a changed notice", "in force", lambda: self._publish(venue))
        self.tell.step("She presses: nobody agreed to the new text yet", "refer",
                       lambda: self._search(venue, self.now))
        self.tell.step("She reads it and renews", "renewed", lambda: self._renew(venue))
        self.tell.step("She presses", "admit", lambda: self._search(venue, self.now))

    def _face_in_the_pass(self, venue: Venue) -> None:
        self.tell.chapter("She tries the more private way (face on your pass)")
        self.tell.step("Its own consent; the measurement is in her pass", "enrolled",
                       lambda: self._enrol(venue, "collins-pass", VERIFY))
        self.tell.step("Her pass, her face", "admit",
                       lambda: self._by_pass(venue, "collins-pass", self.later["turned by 5 degrees"]))
        self.tell.step("Her pass, another's face", "refer",
                       lambda: self._by_pass(venue, "collins-pass", self.stranger))
        needles = attacker.template_needles(venue, self.passes["collins-pass"])
        self.tell.step("The search finds it where it was planted", "found all 3",
                       lambda: attacker.plant_and_find(self.folder, needles))
        self.tell.step("It looks for it in the zoo's files, also sealed", "clean",
                       lambda: attacker.search(self.folder, needles))

    def _key_in_the_pass(self, venue: Venue) -> None:
        self.tell.chapter("Or only the key there, and what it opens at the zoo (key on your pass)")
        self.tell.step("Its own consent; ciphertext here, key with her", "enrolled",
                       lambda: self._enrol(venue, "collins-key", KEYED))
        self.tell.step("Her pass, her face", "admit",
                       lambda: self._by_pass(venue, "collins-key", self.later["closer by a tenth"]))
        self.tell.step("Her pass, another's face", "refer",
                       lambda: self._by_pass(venue, "collins-key", self.stranger))

    def _lost_pass(self, venue: Venue) -> None:
        self.tell.chapter("The pass with her face gets lost")
        lost = self.passes["collins-pass"]
        self.tell.step("The desk finds her booking, prints a plain one", "plain pass", lambda: self._replace(venue))
        self.tell.step("The lost pass, with her own face", "refused: pass-void",
                       lambda: self._decided(admit.by_pass(venue, lost, self._camera(self.now))))
        self.tell.step("The lost pass, in the lane without faces", "refused: pass-void",
                       lambda: self._plain_text(venue, lost))
        self.tell.step("The new one, in the lane without faces", "admit", lambda: self._plain(venue, "collins-pass"))

    def _withdrawal(self, venue: Venue) -> None:
        self.tell.chapter("Collins withdraws; no reason, no fee")
        person = self.person["collins"]
        needles = self._key_needles(venue, person)
        with tempfile.TemporaryDirectory(prefix="countenance-attacker-") as scratch:
            self._withdrawal_attacked(venue, person, needles, Path(scratch) / "yesterday")

    def _withdrawal_attacked(self, venue: Venue, person: PersonId, needles: list[Needle], copies: Path) -> None:
        attacker.copy_stores(venue, copies)
        self.tell.step("Matching stops, the key is destroyed", "final",
                       lambda: self._withdraw(venue, person))
        self.tell.step("The same photograph that she enrolled with", "refer",
                       lambda: self._search(venue, self.now))
        self.tell.step("Her pass, in the lane without faces", "admit", lambda: self._plain(venue, "collins"))
        self.tell.step("It finds a planted key: raw, in hex, in base64", "found all 3",
                       lambda: attacker.plant_and_find(self.folder, needles))
        self.tell.step("It looks for her key, plain and wrapped", "clean",
                       lambda: attacker.search(self.folder, needles))
        pictures = attacker.picture_needles(self.shown)
        self.tell.step("It finds a planted picture the same three ways", "found all 3",
                       lambda: attacker.plant_and_find(self.folder, pictures))
        self.tell.step("It looks for any picture that was taken", "clean",
                       lambda: attacker.search(self.folder, pictures))
        self.tell.step("Root key + yesterday's backup, before rotation", "still opens",
                       lambda: attacker.opens_from_copies(venue, copies, person, SEARCH))
        self.tell.step("The epoch rotates (at most 24 h later)", "epoch 2",
                       lambda: f"epoch {rotate.rotate(venue)}")
        self.tell.step("Root key + yesterday's backup, after rotation", "opens nothing",
                       lambda: attacker.opens_from_copies(venue, copies, person, SEARCH))

    # -- what the steps are made of -------------------------------------------------------------------

    def _tickets(self, expired: tuple[str, ...]) -> None:
        today = utc_day(self.clock.now())
        lines = ["person_ref,household,valid_until,language,contact"]
        for reference in ("collins", "collins-pass", "collins-key", "wen", "old"):
            until = today - timedelta(days=1) if reference in expired else today + timedelta(days=365)
            lines.append(f"{reference},,{until},en,")
        lines += [f"{pad.reference(number)},,{today + timedelta(days=365)},en," for number in range(self.people)]
        (self.folder / "tickets.csv").write_text("\n".join(lines) + "\n")

    def _camera(self, picture: bytes) -> Callable[[], bytes]:
        def take() -> bytes:
            self.pictures_taken += 1
            return picture

        return take

    def _notice(self, venue: Venue, purpose: PurposeId) -> Notice:
        with venue.store.read() as unit:
            return notices.in_force(unit, purpose)

    def _enrol(self, venue: Venue, reference: str, purpose: PurposeId) -> str:
        yes = Yes(self._notice(venue, purpose).hash, "en", Act.ASSERTED)
        done = enrol.enrol(venue, reference, purpose, yes, self._camera(self.now), lambda text: text)
        self.person[reference], self.passes[reference] = done.person, done.pass_text
        self.receipts[f"{reference}-enrolment"] = done.receipt
        venue.galleries.exact(SEARCH)
        return "enrolled"

    def _search(self, venue: Venue, picture: bytes, *, pressed: bool = True) -> str:
        if not pressed:
            venue.gate.search(SEARCH, None, venue.galleries.exact(SEARCH).members)  # type: ignore[arg-type]  # on purpose
        venue.galleries.exact(SEARCH)
        return self._decided(admit.by_face(venue, SEARCH, gate.press(self.clock), self._camera(picture)))

    def _by_pass(self, venue: Venue, whose: str, picture: bytes) -> str:
        return self._decided(admit.by_pass(venue, self.passes[whose], self._camera(picture)))

    def _decided(self, decision: Decision) -> str:
        self.tell.timings.append(decision.timings)
        return decision.outcome.value

    def _plain(self, venue: Venue, whose: str) -> str:
        return self._plain_text(venue, self.passes[whose])

    def _plain_text(self, venue: Venue, text: str) -> str:
        keys = signing.verifiers(self.folder / SIGNING, "pass")
        replaced = None
        if (self.folder / LIST).exists():
            replaced = revocations.read(venue, (self.folder / LIST).read_text())
        passes.plain_lane(text, keys, venue.venue_id, venue.entitlement, self.clock.now(), replaced)
        return "admit"

    def _replace(self, venue: Venue) -> str:
        done = replace.replace(venue, "collins-pass", lambda text: text)
        self.passes["collins-pass"] = done.pass_text
        return "plain pass"

    def _publish(self, venue: Venue) -> str:
        changed = {language: text + {"en": "\nNew: the gate by the lake is included.",
                                     "zh": "\n现在也包括湖边入口。"}[language]
                   for language, text in self._notice(venue, SEARCH).texts.items()}
        with venue.store.write() as unit:
            notices.publish(unit, venue.venue_id, SEARCH, changed)
        return "in force"

    def _renew(self, venue: Venue) -> str:
        notice = self._notice(venue, SEARCH).hash
        self.receipts["collins-renewal"] = renew.renew(venue, self.person["collins"], SEARCH, notice, "en", "desk")
        return "renewed"

    def _withdraw(self, venue: Venue, person: PersonId) -> str:
        done = withdraw.withdraw(venue, person, SEARCH)
        self.receipts["collins-erasure"] = done.receipt
        return done.final

    def keep_artefacts(self, folder: Path) -> None:
        """Write what the people of the story took home: `NAME.pass` and `NAME.receipt`."""
        for name, text in self.passes.items():
            (folder / f"{name}.pass").write_text(text + "\n", encoding="utf-8")
        for name, text in self.receipts.items():
            (folder / f"{name}.receipt").write_text(text, encoding="utf-8")

    def _rows(self, venue: Venue) -> dict[str, list[Any]]:
        with venue.store.read() as unit:
            return {table.name: [tuple(row) for row in unit.run(select(table))]
                    for table in schema.metadata.sorted_tables if table.name != "mark"}

    @staticmethod
    def _left(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> str:
        changed = [name for name in before if before[name] != after[name]]
        if not changed:
            return "nothing"
        return "one count" if changed == ["hourly_count"] else ", ".join(changed)

    @staticmethod
    def _key_needles(venue: Venue, person: PersonId) -> list[Needle]:
        with venue.store.read() as unit:
            row = enrol.live_template(unit, person, SEARCH)
        if row.face_key is None:
            raise Refused("template-missing", "This face has no key here.")
        return attacker.key_needles(venue, KeyRef(KeyId(row.face_key), FACE, person, SEARCH))
