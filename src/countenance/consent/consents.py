"""Consents in the store: give, renew, end, and require one that is live."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from countenance.consent import notices, rulings
from countenance.consent.acts import Act, Age
from countenance.consent.states import State, moved
from countenance.errors import Refused
from countenance.formats import canonical
from countenance.formats.notices import Notice
from countenance.quantities import DAY, Instant, PersonId, PurposeId, random_id
from countenance.storage import schema
from countenance.storage.outbox import Entry
from countenance.storage.unit import Unit

KEPT_DAYS_AFTER = 30
"""How long the row of an ended consent is kept before the sweep removes it. Fewer is stricter."""

MINORS_DAYS = 180
"""How long a consent lasts at most that a guardian gave for a child: then the child is older. Fewer is stricter."""

_WITH_ALIAS = 5  # parts of what is sealed of a consent to disclose


@dataclass(frozen=True)
class Consent:
    """One consent of one person to one notice."""

    consent_id: str
    person: PersonId
    purpose: PurposeId
    notice_hash: str
    language: str
    act: Act
    state: State
    given_at: Instant
    expires_at: Instant
    sealed: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Yes:
    """What a person said yes to: exactly this notice, read in this language, by this act.

    `age`: what they answered when asked; nobody guesses it. `guardian`: the booking number of whoever agrees for a
    child, on the same household's tickets.
    """

    notice_hash: str
    language: str
    act: Act
    age: Age = Age.UNASKED
    guardian: str = ""


def give(unit: Unit, person: PersonId, purpose_id: PurposeId, yes: Yes,
         event: str = "consent-given", latest: Instant | None = None) -> tuple[Consent, Entry]:
    """Record a separate consent to the notice in force. It ends after the purpose's days, or at `latest` before that.

    Raises Refused: purpose-unknown, notice-outdated (another text than the one in force),
    notice-language, consent-standing (there is one already).
    """
    purpose = notices.purpose(unit, purpose_id)
    _somebodys_act(unit, person, yes.act)
    require_shown(notices.in_force(unit, purpose_id), yes)
    if _standing(unit, person, purpose_id) is not None:
        raise Refused("consent-standing", "This person's consent stands already; renew it instead.")
    consent = Consent(random_id(), person, purpose_id, yes.notice_hash, yes.language, yes.act,
                      State.GIVEN, unit.now, _end(unit, purpose, yes.act, latest))
    unit.run(insert(schema.consent).values(
        consent_id=consent.consent_id, person_id=person, purpose_id=purpose_id,
        notice_hash=consent.notice_hash, language=consent.language, act=consent.act.value,
        state=consent.state.value, given_at=consent.given_at, expires_at=consent.expires_at,
        sealed=_sealed(unit, consent, random_id() if purpose.comparison == notices.DISCLOSE else ""),
        delete_at=consent.expires_at + KEPT_DAYS_AFTER * DAY))
    unit.move_gallery(purpose_id)
    return consent, unit.tell_of(person, event, _facts(consent))


def _end(unit: Unit, purpose: notices.Purpose, act: Act, latest: Instant | None) -> Instant:
    days = min(purpose.valid_days, MINORS_DAYS) if act is Act.GUARDIAN else purpose.valid_days
    end = Instant(unit.now + days * DAY)
    return end if latest is None else min(end, latest)


def renew(unit: Unit, person: PersonId, purpose_id: PurposeId, yes: Yes,
          latest: Instant | None = None) -> tuple[Consent, Entry]:
    """Put a new consent in the place of the standing one; of one that a guardian gave, by that guardian's act.

    Raises Refused as `give`, and consent-missing.
    """
    standing = _standing(unit, person, purpose_id)
    if standing is None:
        raise Refused("consent-missing", "There is no standing consent to renew; enrol again.")
    _not_expired(unit, standing)
    end(unit, standing, State.SUPERSEDED)
    if standing.act is Act.GUARDIAN:
        yes = replace(yes, act=Act.GUARDIAN)
    consent, entry = give(unit, person, purpose_id, yes, latest=latest, event="consent-renewed")
    unit.run(update(schema.template)
             .where(schema.template.c.consent_id == standing.consent_id)
             .values(consent_id=consent.consent_id, delete_at=consent.expires_at))
    return consent, entry


def end(unit: Unit, consent: Consent, how: State) -> Entry:
    """End a consent and say so in the person's chain. Raises Refused(consent-state)."""
    moved(consent.state, how)
    unit.run(update(schema.consent).where(schema.consent.c.consent_id == consent.consent_id).values(
        state=how.value, delete_at=unit.now + KEPT_DAYS_AFTER * DAY))
    unit.move_gallery(consent.purpose)
    return unit.tell_of_even_if_lost(consent.person, f"consent-{how.value}",
                                     {"consent": consent.consent_id, "purpose": consent.purpose})


def end_all(unit: Unit, person: PersonId, purpose_id: PurposeId, how: State) -> int:
    """End every consent of a person to a purpose that has not ended, and return how many those were.

    For withdrawing: it reads no more of a row than it must, so that no odd row keeps a face.
    """
    table = schema.consent
    over = [state.value for state in State if state is not State.GIVEN]
    rows = unit.run(select(table.c.consent_id).where(
        table.c.person_id == person, table.c.purpose_id == purpose_id, table.c.state.not_in(over))).scalars().all()
    for consent_id in rows:
        unit.run(update(table).where(table.c.consent_id == consent_id).values(
            state=how.value, delete_at=unit.now + KEPT_DAYS_AFTER * DAY))
        unit.tell_of_even_if_lost(person, f"consent-{how.value}", {"consent": consent_id, "purpose": purpose_id})
    unit.move_gallery(purpose_id)
    return len(rows)


def require_live(unit: Unit, person: PersonId, purpose_id: PurposeId) -> Consent:
    """Return the live consent of a person for a purpose, or raise Refused.

    Codes: purpose-unknown, consent-missing, consent-other-purpose, consent-withdrawn, consent-expired,
    consent-replaced, consent-lost, consent-ask-again, notice-outdated, consent-altered, order-stops,
    person-stopped. Raises StoreFault(key-destroyed) where the person's record is lost.
    """
    rulings.require_none(unit, notices.purpose(unit, purpose_id).zone, person)
    newest = _newest(unit, person, purpose_id)
    _not_ended(newest)
    _not_expired(unit, newest)
    _asked_since(unit, newest)
    _to_notice_in_force(unit, newest)
    _unaltered(unit, newest)
    return newest


def label(consent_id: str) -> str:
    """Return the label under which a consent is sealed."""
    return f"consent/{consent_id}"


def agreed(purpose_id: str, notice_hash: str, given_at: int, expires_at: int, alias: str = "") -> bytes:
    """Return what is sealed of a consent: whoever edits its row in the store cannot make it say more.

    `alias`: what the person is called to the one recipient that a purpose to disclose is about; empty for a face.
    """
    return canonical.encode([purpose_id, notice_hash, given_at, expires_at, *([alias] if alias else [])])


def alias(unit: Unit, consent: Consent) -> str:
    """Return what a person is called to the recipient that this consent is about, and to nobody else.

    Random, made with the consent: derived from nothing, so that with the record key, or `forget_alias`, it is gone.
    Raises Refused(consent-altered), StoreFault(key-destroyed, sealed-altered).
    """
    told = unit.outbox.open_for(consent.person, label(consent.consent_id), consent.sealed)
    facts = canonical.decode(told, "consent")
    name = facts[-1] if isinstance(facts, list) and len(facts) == _WITH_ALIAS else ""
    if not isinstance(name, str) or not name or told != _agreed(consent, name):
        raise Refused("consent-altered", "The record of this consent was altered after the person agreed.")
    return name


def forget_alias(unit: Unit, consent: Consent) -> None:
    """Keep no more of a consent than that it was given. Raises StoreFault(key-destroyed)."""
    unit.run(update(schema.consent).where(schema.consent.c.consent_id == consent.consent_id).values(
        sealed=_sealed(unit, consent, "")))


def asked_from(unit: Unit) -> Instant:
    """Return the moment up to which no consent counts: the stores were put back from a copy then; 0 for never."""
    return unit.mark("asked_from") or Instant(0)


def standing(unit: Unit, person: PersonId, purpose_id: PurposeId) -> Consent:
    """Return the consent that was given and not ended, live or not.

    Raises Refused: consent-missing, consent-other-purpose, consent-withdrawn, consent-expired.
    """
    found = _standing(unit, person, purpose_id)
    if found is None:
        _not_ended(_newest(unit, person, purpose_id))
        raise Refused("consent-missing", "This person has not agreed to this purpose.")
    return found


_ALL_OF = select(schema.consent).where(schema.consent.c.person_id == bindparam("whose"))


def all_of(unit: Unit, person: PersonId) -> list[Consent]:
    """Return every consent of a person that is still on record, oldest first."""
    rows = unit.run(_ALL_OF, {"whose": person})
    # In the second of a renewal the one that it superseded is the older.
    return sorted((_consent(row) for row in rows), key=lambda c: (c.given_at, c.state is not State.SUPERSEDED))


def purposes_given(unit: Unit, person: PersonId) -> list[PurposeId]:
    """Return the purposes to which a person's consent stands, live or not, each once, the oldest consent first."""
    return list(dict.fromkeys(c.purpose for c in all_of(unit, person) if c.state is State.GIVEN))


def waiting(unit: Unit, purpose_id: PurposeId) -> int:
    """Return how many standing consents are to an older notice than the one in force."""
    table = schema.consent
    older = (table.c.purpose_id == purpose_id, table.c.state == State.GIVEN.value,
             table.c.notice_hash != notices.hash_in_force(unit, purpose_id))
    return int(unit.run(select(func.count()).select_from(table).where(*older)).scalar_one())


def _not_ended(consent: Consent) -> None:
    if consent.state is State.WITHDRAWN:
        raise Refused("consent-withdrawn", "This person has withdrawn their consent.")
    if consent.state is State.REPLACED:
        raise Refused("consent-replaced", "The pass that held this face was replaced; enrol again.")
    if consent.state is State.LOST:
        raise Refused("consent-lost", "The key to this face is gone since records were put back; enrol again.")
    if consent.state is not State.GIVEN:
        raise Refused("consent-expired", "This person's consent has ended.")


def _not_expired(unit: Unit, consent: Consent) -> None:
    if unit.now >= consent.expires_at:
        raise Refused("consent-expired", "This person's consent has expired.")


def _asked_since(unit: Unit, consent: Consent) -> None:
    if consent.given_at <= asked_from(unit):
        raise Refused("consent-ask-again", "Records were put back from a copy, so this person is asked again.")


def _to_notice_in_force(unit: Unit, consent: Consent) -> None:
    if consent.notice_hash != notices.hash_in_force(unit, consent.purpose):
        raise Refused("notice-outdated", "The notice has changed; this person has not agreed to the new one.")


def _unaltered(unit: Unit, consent: Consent) -> None:
    if notices.purpose(unit, consent.purpose).comparison == notices.DISCLOSE:
        alias(unit, consent)
        return
    if unit.outbox.open_for(consent.person, label(consent.consent_id), consent.sealed) != _agreed(consent):
        raise Refused("consent-altered", "The record of this consent was altered after the person agreed.")


def _agreed(consent: Consent, name: str = "") -> bytes:
    return agreed(consent.purpose, consent.notice_hash, consent.given_at, consent.expires_at, name)


def _sealed(unit: Unit, consent: Consent, name: str) -> bytes:
    return unit.outbox.seal_for(consent.person, label(consent.consent_id), _agreed(consent, name))


def _newest(unit: Unit, person: PersonId, purpose_id: PurposeId) -> Consent:
    every = all_of(unit, person)
    mine = [c for c in every if c.purpose == purpose_id]
    if not mine and every:
        raise Refused("consent-other-purpose", "This person has agreed to another purpose, not to this one.")
    if not mine:
        raise Refused("consent-missing", "This person has not agreed to this purpose.")
    given = [c for c in mine if c.state is State.GIVEN]
    return given[-1] if given else mine[-1]


def _standing(unit: Unit, person: PersonId, purpose_id: PurposeId) -> Consent | None:
    # Of one person, and chosen from here: SQLite would take the index over the whole purpose.
    given = [one for one in all_of(unit, person) if one.purpose == purpose_id and one.state is State.GIVEN]
    return given[-1] if given else None


def _somebodys_act(unit: Unit, person: PersonId, act: Act) -> None:
    if act is Act.PASSKEY:
        raise Refused("consent-act", "A signature by a passkey cannot be checked here yet, so it cannot be claimed.")
    whose = select(schema.person.c.synthetic).where(schema.person.c.person_id == person)
    made_up = bool(unit.run(whose).scalar_one_or_none())
    if made_up != (act is Act.SYNTHETIC):
        raise Refused("consent-act", "Only made-up people agree by nobody's act, and they only so.")


def require_shown(notice: Notice, yes: Yes) -> None:
    """Raise Refused (notice-outdated, notice-language) unless the yes is to this notice, in one of its languages."""
    if yes.notice_hash != notice.hash:
        raise Refused("notice-outdated", "This is not the notice in force; show the new one and ask again.")
    if yes.language not in notice.texts:
        raise Refused("notice-language", "The notice has no text in this language.")


def _facts(consent: Consent) -> dict[str, Any]:
    # The person too, inside the seal: a receipt that shows another person's event is then found out.
    return {"person": consent.person, "consent": consent.consent_id, "purpose": consent.purpose,
            "notice": consent.notice_hash, "language": consent.language, "act": consent.act.value,
            "expires_at": consent.expires_at}


def _consent(row: Any) -> Consent:
    return Consent(row.consent_id, PersonId(row.person_id), PurposeId(row.purpose_id), row.notice_hash,
                   row.language, Act(row.act), State(row.state), Instant(row.given_at), Instant(row.expires_at),
                   row.sealed)
