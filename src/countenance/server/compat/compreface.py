"""CompreFace's subjects and face collection, as plain functions: who is on record, awaiting consent or enrolled.

A collection is the one 1:N purpose that a key is bound to. Nothing here looks at a picture, and no call deletes all.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from countenance.access.roles import Who
from countenance.consent import consents, notices
from countenance.consent.states import State
from countenance.errors import BadInput, Refused
from countenance.flows import awaiting, withdraw
from countenance.flows.awaiting import OnRecord
from countenance.flows.venue import Venue
from countenance.quantities import PersonId, PurposeId
from countenance.server.compat import options
from countenance.storage import schema

SOURCE = "compreface"


def collection(venue: Venue, who: Who) -> PurposeId:
    """Return the purpose that stands for a key's collection. Raises Refused(key-collection)."""
    with venue.store.read() as unit:
        found = [one for one in sorted(who.purposes) if notices.purpose(unit, one).comparison == "search"]
    if len(found) != 1:
        raise Refused("key-collection", "For this API a key is bound to exactly one purpose of 1:N search.")
    return found[0]


def heard_of(venue: Venue, who: Who) -> list[OnRecord]:
    """Return whom a key may hear of: who ever agreed to a purpose of it, and who has agreed to nothing at all yet.

    Whoever agreed to other purposes only is, for this key, not there.
    """
    everybody = awaiting.everybody(venue)
    table, agreed = schema.consent, dict[str, set[str]]()
    with venue.store.read() as unit:  # after it: who agrees in between to another purpose is left out
        for person, purpose in unit.run(select(table.c.person_id, table.c.purpose_id)).all():
            agreed.setdefault(person, set()).add(purpose)
    return [one for one in everybody if one.person not in agreed or agreed[one.person] & who.purposes]


def subjects_list(venue: Venue, who: Who) -> dict[str, Any]:
    """Return whom this key may hear of (`heard_of`)."""
    collection(venue, who)
    return {"subjects": [one.reference for one in heard_of(venue, who)]}


def subjects_add(venue: Venue, who: Who, body: object) -> dict[str, Any]:
    """Put a subject on record, awaiting consent. Raises Refused(subject-taken), BadInput(subject-missing, ...)."""
    purpose, subject = collection(venue, who), _named(body)
    if any(one.reference == subject for one in heard_of(venue, who)):
        raise Refused("subject-taken", "Subject already exists.")
    _add(venue, purpose, subject)
    return {"subject": subject}


def subjects_update(venue: Venue, who: Who, subject: str, body: object) -> dict[str, Any]:
    """Rename a subject who has no pass yet; two are never merged. Keys of the body that we do not know are ignored."""
    collection(venue, who)
    awaiting.rename(venue, _person(venue, who, subject).person, _named(body))
    return {"updated": True}


def subjects_delete(venue: Venue, who: Who, subject: str) -> dict[str, Any]:
    """Erase one subject whole. Nobody is there to take a receipt, so none is written."""
    collection(venue, who)
    found = _person(venue, who, subject)
    with venue.store.read() as unit:
        purposes = {one.purpose for one in consents.all_of(unit, found.person)}
    for one in sorted(purposes):
        who.require_purpose(one)
    withdraw.forget(venue, found.person)
    return {"subject": found.reference}


def delete_everybody(_venue: Venue, _who: Who) -> dict[str, Any]:
    """Refuse: an empty name must not empty a collection. Raises BadInput(subject-missing)."""
    raise BadInput("subject-missing", "Name the subject: nothing here deletes everybody at once.")


def faces_list(venue: Venue, who: Who, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a face for everybody on record: of those enrolled in this collection, and of those yet to be asked."""
    purpose = collection(venue, who)
    wanted = query.get("subject", "")
    number, size = options.page(query)
    faces = [{"image_id": _image_id(one, purpose), "subject": one.reference}
             for one in heard_of(venue, who) if wanted in {"", one.reference}]
    start, end = (0, len(faces)) if number is None else (number * size, (number + 1) * size)
    shown = faces[start:end]
    return {"faces": shown, "page_number": number or 0, "page_size": len(shown) if number is None else size,
            "total_pages": 1 if number is None else -(-len(faces) // size), "total_elements": len(faces)}


def faces_add(venue: Venue, who: Who, subject: str, picture_bytes: int) -> dict[str, Any]:
    """Put a subject on record, awaiting consent; of the picture only the length comes here, and nothing is kept.

    Raises BadInput(subject-missing, file-missing).
    """
    purpose = collection(venue, who)
    name = _named({"subject": subject})
    if picture_bytes <= 0:
        raise BadInput("file-missing", "Required part 'file' is not present.")
    person = _add(venue, purpose, name)
    seen = [one for one in heard_of(venue, who) if one.person == person]
    return {"image_id": _image_id(seen[0] if seen else OnRecord(person, name, {}), purpose), "subject": name}


def faces_delete(venue: Venue, who: Who, image_id: str) -> dict[str, Any]:
    """Withdraw the consent of a face, or take somebody off the record who was yet to be asked."""
    purpose = collection(venue, who)
    found = face(venue, who, purpose, image_id)
    _end(venue, found, purpose)
    return {"image_id": image_id, "subject": found.reference}


def faces_delete_all(venue: Venue, who: Who, subject: str) -> dict[str, Any]:
    """Withdraw what a subject agreed to in this collection. Raises BadInput(subject-missing): never everybody."""
    purpose = collection(venue, who)
    if not subject.strip():
        delete_everybody(venue, who)
    _end(venue, _person(venue, who, subject), purpose)
    return {"deleted": 1}


def face(venue: Venue, who: Who, purpose: PurposeId, image_id: str) -> OnRecord:
    """Return whose face an id is: a template's, or a person's, which a client got before they agreed.

    Raises Refused(face-unknown).
    """
    try:
        wanted = uuid.UUID(image_id).hex if len(image_id) <= 36 else ""
    except ValueError:
        wanted = ""
    for one in heard_of(venue, who) if wanted else ():
        if wanted in {one.purposes.get(purpose, ""), one.person}:
            return one
    raise Refused("face-unknown", "There is no face of this id here.")


def _add(venue: Venue, purpose: PurposeId, subject: str) -> PersonId:
    with venue.store.read() as unit:
        languages = notices.in_force(unit, purpose).texts
    return awaiting.add(venue, subject, "en" if "en" in languages else min(languages), source=SOURCE)


def _end(venue: Venue, found: OnRecord, purpose: PurposeId) -> None:
    with venue.store.read() as unit:
        every = consents.all_of(unit, found.person)
    if any(one.purpose == purpose and one.state is State.GIVEN for one in every):
        withdraw.end(venue, found.person, purpose)
    elif not every:
        withdraw.forget(venue, found.person)
    else:  # nothing of theirs is in this collection; what they agreed to elsewhere is not this key's to end
        raise Refused("face-unknown", "This person has no face in this collection.")


def _person(venue: Venue, who: Who, subject: str) -> OnRecord:
    name = subject.strip()
    if not name:
        raise BadInput("subject-missing", "Name the subject: nothing here is done to everybody at once.")
    for one in heard_of(venue, who):
        if one.reference == name:
            return one
    raise Refused("subject-unknown", "There is no subject of this name.")


def _named(body: object) -> str:
    name = body.get("subject") if isinstance(body, Mapping) else None
    if not isinstance(name, str) or not name.strip():
        raise BadInput("subject-missing", "A subject needs a name.")
    return awaiting.require_reference(name)


def _image_id(one: OnRecord, purpose: PurposeId) -> str:
    return str(uuid.UUID(one.purposes.get(purpose) or one.person))
