"""CompreFace's calls that take a picture: recognise, verify a face, detect; and those that are refused unread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from countenance.access.roles import Who
from countenance.consent import gate
from countenance.errors import BadInput, Refused
from countenance.flows import capture, gates, recognise
from countenance.flows.venue import Venue
from countenance.quantities import PersonId, PurposeId
from countenance.server.compat import compreface, options

if TYPE_CHECKING:
    from countenance.vision.detect import Detection

MATCH = 1.0
"""The one band of `similarity`: a match at the gate's own threshold. There is no number for anything less."""


def recognised(venue: Venue, who: Who, query: Mapping[str, str], picture: bytearray | None) -> dict[str, Any]:
    """Look once for the person in front. Raises Refused(press-missing, ...), BadInput(no-face, several-faces, ...)."""
    wanted = options.read(query)
    found = _search(venue, who, picture, None)
    known = [{"similarity": MATCH, "subject": found.reference}] if found.person and wanted.predictions else []
    return _answer(venue, [_face(found.found) | {"subjects": known}], wanted)


def verified(venue: Venue, who: Who, image_id: str, query: Mapping[str, str],
             picture: bytearray | None) -> dict[str, Any]:
    """Say whether the person in front is the one whose face this id is: a search whose answer names nobody else."""
    wanted = options.read(query)
    subject = compreface.face(venue, who, compreface.collection(venue, who), image_id)
    found = _search(venue, who, picture, subject.person)
    same = MATCH if found.person else 0.0
    return _answer(venue, [_face(found.found) | {
        "subjects": [{"similarity": same, "subject": subject.reference}], "similarity": same}], wanted)


def detected(venue: Venue, _who: Who, query: Mapping[str, str], picture: bytearray | None) -> dict[str, Any]:
    """Say where faces are; none is measured, and nothing is kept. Raises BadInput(no-face, image-*)."""
    wanted = options.read(query)
    data = _sent(picture)
    found = capture.places(venue, lambda: data, wanted.limit, points=wanted.landmarks)
    if not found:
        raise BadInput("no-face", "No face was found.")
    return _answer(venue, [
        _face(one.found) | ({"landmarks": [[round(x), round(y)] for x, y in one.points]} if wanted.landmarks else {})
        for one in found], wanted)


def comparison(_venue: Venue, _who: Who) -> dict[str, Any]:
    """Refuse to compare two uploads: neither is anybody's consent. Raises Refused(comparison-refused)."""
    raise Refused("comparison-refused", "Two pictures are not compared: neither shows that anybody agreed.")


def embeddings(_venue: Venue, _who: Who) -> dict[str, Any]:
    """Refuse what a client measured itself. Raises Refused(embedding-refused)."""
    raise Refused("embedding-refused", "No client may bring an embedding.")


def picture_of(_venue: Venue, _who: Who) -> dict[str, Any]:
    """Say that there is no picture. Raises Refused(picture-none)."""
    raise Refused("picture-none", "No picture of anybody is kept.")


def _search(venue: Venue, who: Who, picture: bytearray | None, only: PersonId | None) -> recognise.Recognised:
    purpose = compreface.collection(venue, who)
    if not who.pressed:
        raise Refused("press-missing", "This key does not say that somebody pressed; no face is looked for.")
    _at_its_gate(venue, who, purpose)
    data = _sent(picture)
    return recognise.recognise(venue, purpose, gate.press(venue.clock), lambda: data, who.key_id, only)


def _at_its_gate(venue: Venue, who: Who, purpose: PurposeId) -> None:
    """Hold a gate's key to what holds at its gate: it is open, for this purpose, and asks for no liveness."""
    if not who.gate:
        return
    with venue.store.read() as unit:
        found = gates.one(unit, who.gate)
    found.require_open()
    if found.purpose != purpose or found.liveness != "none":
        raise Refused("key-collection", "This key's gate does not look for people in this way.")


def _sent(picture: bytearray | None) -> bytes:
    if not picture:
        raise BadInput("file-missing", "Required part 'file' is not present.")
    return bytes(picture)


def _face(found: Detection | None) -> dict[str, Any]:
    if found is None:
        return {}
    box = found.box.rounded()
    return {"box": {"probability": 1.0, "x_min": int(box.left), "y_min": int(box.top), "x_max": int(box.right),
                    "y_max": int(box.bottom)}}


def _answer(venue: Venue, faces: list[dict[str, Any]], wanted: options.Options) -> dict[str, Any]:
    versions = {"detector": venue.pack.identity, "calculator": venue.pack.identity}
    return {"result": faces, **({"plugins_versions": versions} if wanted.versions else {})}
