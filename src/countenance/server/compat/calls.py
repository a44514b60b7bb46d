"""Every address of CompreFace's API that is answered, with what answers it. The lines of docs/compreface.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from countenance.access.roles import AT_A_GATE, Role, Who
from countenance.flows.venue import Venue
from countenance.server.compat import compreface as subjects
from countenance.server.compat import faces

ROLES = frozenset({Role.OPERATOR, Role.DESK})
"""Of a key that may put people on record and take them off."""

LOOKING = ROLES | AT_A_GATE
"""Of a key that may send a picture to be looked at; to look for anybody it must also stand for a press."""


@dataclass(frozen=True)
class Asked:
    """One request: parts of its path, its query, its JSON body or its picture."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    picture: bytearray | None = None


@dataclass(frozen=True)
class Call:
    """One address. `takes`: "json", "picture", or "" for a body that is not read at all."""

    method: str
    path: str
    answer: Callable[[Venue, Who, Asked], dict[str, Any]]
    takes: str = ""
    status: int = 200
    roles: frozenset[Role] = ROLES


_R = "/api/v1/recognition"

CALLS: tuple[Call, ...] = (
    Call("GET", f"{_R}/subjects", lambda v, w, _: subjects.subjects_list(v, w)),
    Call("POST", f"{_R}/subjects", lambda v, w, a: subjects.subjects_add(v, w, a.body), "json", 201),
    Call("PUT", f"{_R}/subjects/{{subject}}",
         lambda v, w, a: subjects.subjects_update(v, w, a.path["subject"], a.body), "json"),
    Call("DELETE", f"{_R}/subjects/{{subject}}", lambda v, w, a: subjects.subjects_delete(v, w, a.path["subject"])),
    Call("DELETE", f"{_R}/subjects", lambda v, w, _: subjects.delete_everybody(v, w)),
    Call("GET", f"{_R}/faces", lambda v, w, a: subjects.faces_list(v, w, a.query)),
    Call("POST", f"{_R}/faces", lambda v, w, a: subjects.faces_add(
        v, w, a.query.get("subject", ""), len(a.picture or b"")), "picture", 201),
    Call("DELETE", f"{_R}/faces/{{image_id}}", lambda v, w, a: subjects.faces_delete(v, w, a.path["image_id"])),
    Call("DELETE", f"{_R}/faces", lambda v, w, a: subjects.faces_delete_all(v, w, a.query.get("subject", ""))),
    Call("GET", f"{_R}/faces/{{image_id}}/img", lambda v, w, _: faces.picture_of(v, w)),
    Call("POST", f"{_R}/faces/{{image_id}}/verify",
         lambda v, w, a: faces.verified(v, w, a.path["image_id"], a.query, a.picture), "picture", roles=LOOKING),
    Call("POST", f"{_R}/recognize", lambda v, w, a: faces.recognised(v, w, a.query, a.picture), "picture",
         roles=LOOKING),
    Call("POST", f"{_R}/embeddings/recognize", lambda v, w, _: faces.embeddings(v, w)),
    Call("POST", f"{_R}/embeddings/faces/{{image_id}}/verify", lambda v, w, _: faces.embeddings(v, w)),
    Call("POST", "/api/v1/detection/detect", lambda v, w, a: faces.detected(v, w, a.query, a.picture), "picture",
         roles=LOOKING),
    Call("POST", "/api/v1/verification/verify", lambda v, w, _: faces.comparison(v, w)),
    Call("POST", "/api/v1/verification/embeddings/verify", lambda v, w, _: faces.embeddings(v, w)),
)
