"""The venue's log as others see it, evidence of the whole venue, and what happens now, for the console."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from countenance import durable
from countenance.access.roles import Role
from countenance.errors import Refused, StoreFault
from countenance.flows import prove
from countenance.formats import log_entries, tiles
from countenance.server import streams
from countenance.server.routing import ANYONE, Caller, Here, Route
from countenance.server.state import Serving
from countenance.transparency import publish

AUDITING = frozenset({Role.OWNER, Role.AUDITOR})
WATCHERS = AUDITING | {Role.OPERATOR}

TILE = re.compile(r"tile/(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/){0,6}[0-9]{3}"
                  r"(\.p/(?:[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?")
"""The C2SP names of tiles and bundles of entries, full or (group 1) partial; nothing else lies below `tile/`."""

LARGEST_TILE = tiles.WIDTH * (2 + log_entries.LARGEST)
"""Bytes: a full bundle of the largest entries there can be."""

FOR_EVER, A_MOMENT = "public, max-age=31536000, immutable", "public, max-age=10"
EVIDENCE_PER_MINUTE = 2


def checkpoint(here: Here) -> Response:
    """The newest published checkpoint: a signed note. The log's address for `monitor` is this one's folder."""
    return Response(_file(here, publish.CHECKPOINT, publish.LARGEST), media_type="text/plain; charset=utf-8",
                    headers={"cache-control": A_MOMENT})


def log_file(here: Here, path: str) -> Response:
    """A tile of hashes, or a bundle of entries, as C2SP's tlog-tiles names them. Full ones never change."""
    named = TILE.fullmatch(path)
    if named is None:
        raise _missing()
    return Response(_file(here, path, LARGEST_TILE), media_type="application/octet-stream",
                    headers={"cache-control": A_MOMENT if named[1] else FOR_EVER})


def venue_evidence(here: Here, caller: Caller) -> Response:
    """Evidence of the venue as a whole: a ZIP with a page that checks it offline. Nobody's record is in it.

    That it was made is written into the log.
    """
    here.limits.attempt("evidence", caller.key_id or caller.operator_id, per_minute=EVIDENCE_PER_MINUTE,
                        burst=EVIDENCE_PER_MINUTE)
    return Response(prove.whole(here.venue), media_type="application/zip",
                    headers={"content-disposition": 'attachment; filename="evidence.zip"'})


async def watch_venue(here: Here, request: Request) -> StreamingResponse:
    """What happens at all gates, as server-sent events: no name, no picture, no number of a person."""
    return await streams.answer(here, request, WATCHERS)


def _file(here: Serving, path: str, largest: int) -> bytes:
    try:
        return durable.read(here.venue.folder / publish.FOLDER / path, largest)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing() from None
    except OSError:
        raise StoreFault("store-io", "This file of the log cannot be read.") from None


def _missing() -> Refused:
    return Refused("file-missing", "The published log has no such file.")


_PATH: dict[str, Any] = {"parameters": [{
    "name": "path", "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{TILE.pattern}$"},
    "example": "tile/0/000.p/17"}]}
ROUTES = [
    Route("GET", "/v1/log/checkpoint", checkpoint, ANYONE, "Fetch the log's checkpoint",
          "countenance/b7e0\n812\nq0c…=\n\n— countenance/b7e0 x4f…=\n", errors=("file-missing", "store-io"),
          media="text/plain"),
    Route("GET", "/v1/log/{path:path}", log_file, ANYONE, "Fetch a file of the log",
          errors=("file-missing", "store-io"), media="application/octet-stream", openapi=_PATH),
    Route("GET", "/v1/evidence", venue_evidence, AUDITING, "Fetch evidence of the whole venue",
          errors=("log-behind", "log-forked", "log-damaged", "log-missing", "log-signed", "log-other", "store-io",
                  "settings-value", "evidence-too-large"), media="application/zip"),
    Route("GET", "/v1/events", watch_venue, WATCHERS, "Watch the venue", errors=("feed-full",),
          media="text/event-stream"),
]
