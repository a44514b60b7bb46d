"""Routes of CompreFace's API: each of `calls.CALLS`, with bodies read in memory and errors in CompreFace's form."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from countenance.access.roles import Who
from countenance.errors import BadInput, CountenanceError
from countenance.server import bodies
from countenance.server.compat import options
from countenance.server.compat.calls import CALLS, Asked, Call
from countenance.server.routing import Caller, Here, Route
from countenance.server.state import Serving

LARGEST_JSON = 8 * 1024
"""Bytes of a body with a subject's name."""

_BAND = {400: "Not as it must be, or no face.", 403: "Refused by a rule.", 404: "Not there.", 409: "Not now.",
         413: "Too large.", 415: "Another format.", 422: "Not usable.", 429: "Too often.", 503: "Not in order."}
_ERROR = {"type": "object", "required": ["message", "code"], "properties": {
    "message": {"type": "string"}, "code": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}


def _endpoint(call: Call) -> Callable[..., Awaitable[Response]]:
    async def answer(request: Request, here: Here, who: Caller) -> Response:
        upload = bodies.Upload()
        try:
            upload, body = await _body(request, call)
            asked = Asked(dict(request.path_params), dict(request.query_params), body, upload.picture)
            return JSONResponse(await run_in_threadpool(_answered, here, who, call, asked), call.status)
        except CountenanceError as fault:
            status, said = options.error(fault)
            wait = getattr(fault, "retry_after", None)
            return JSONResponse(said, status, {"retry-after": str(int(wait) + 1)} if wait is not None else None)
        finally:
            upload.wipe()

    words = re.sub(r"[^a-z]+", "_", call.path.removeprefix("/api/v1/").lower()).strip("_")
    answer.__name__ = f"compreface_{call.method.lower()}_{words}"
    answer.__doc__ = "See docs/compreface.md."
    return answer


def _answered(here: Serving, who: Who, call: Call, asked: Asked) -> dict[str, Any]:
    if call.takes != "picture":
        return call.answer(here.venue, who, asked)
    rate = here.venue.settings.attempts_per_minute
    here.limits.attempt("compreface", who.key_id, per_minute=rate, burst=rate)
    with here.camera:
        return call.answer(here.venue, who, asked)


async def _body(request: Request, call: Call) -> tuple[bodies.Upload, object]:
    if call.takes == "picture":
        return await bodies.read_picture(request), None
    if call.takes != "json":
        return bodies.Upload(), None  # what is refused, or needs no body, is not read
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_JSON:
            raise BadInput("body-too-large", "This request is too large.")
    try:
        return bodies.Upload(), json.loads(data)
    except (ValueError, RecursionError):
        raise BadInput("body-malformed", "This request's body cannot be read as JSON.") from None


def _openapi(call: Call) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", call.path)
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                       for name in names],
        "responses": {str(status): {"description": text, "content": {"application/json": {"schema": _ERROR}}}
                      for status, text in _BAND.items()}}


ROUTES: tuple[Route, ...] = tuple(
    Route(call.method, call.path, _endpoint(call), call.roles, "CompreFace: " + call.path.removeprefix("/api/v1/"),
          status=call.status, secret=True, picture=call.takes == "picture", openapi=_openapi(call),
          asks={"subject": "ada"} if call.takes == "json" else None)
    for call in CALLS)
