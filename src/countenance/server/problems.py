"""Answers that are no success: RFC 9457, with a stable type and code, and one sentence that repeats nothing sent."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from countenance.errors import BadInput, CountenanceError, Refused
from countenance.quantities import random_id
from countenance.server.codes import BY_CLASS, STATUS, TITLES

if TYPE_CHECKING:
    from fastapi import FastAPI

MEDIA_TYPE = "application/problem+json"
TYPE = "/v1/problems/"
CODES: dict[str, tuple[int, str]] = {code: (status, TITLES[status]) for code, status in STATUS.items()}
"""Status and title of every code that the API may answer with."""

SENTENCES = {
    "internal": "Something went wrong inside; nothing was opened.",
    "route-unknown": "There is nothing under this address.",
    "method-refused": "This address does not take this method.",
    "request-invalid": "A part of this request is missing or not as it must be.",
    "request-malformed": "This is no request that can be read.",
    "headers-too-large": "The headers of this request are too large.",
}
_MOST_FIELDS = 16

SPOKEN_OTHERWISE = "/api/v1/"
"""Where CompreFace's clients ask."""


def status_of(error: CountenanceError) -> int:
    """Return the HTTP status of an error: of its code, else of its class; 500 where neither is known."""
    known = STATUS.get(error.code)
    return known or next((BY_CLASS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in BY_CLASS), 500)


def document(code: str, status: int, sentence: str, request_id: str) -> dict[str, Any]:
    """Return the object of a problem."""
    return {"type": TYPE + code, "title": TITLES.get(status, "Refused"), "status": status, "detail": sentence,
            "code": code, "request_id": request_id}


def problem(error: CountenanceError, request_id: str) -> Response:
    """Return the answer for an error. `retry_after` (seconds) of an error that has one becomes a header."""
    status = status_of(error)
    headers = {}
    wait = getattr(error, "retry_after", None)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["retry-after"] = str(max(1, math.ceil(wait or 1)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return _answer(document(error.code, status, error.sentence, request_id), headers)


def about(code: str) -> dict[str, Any]:
    """Return what `GET /v1/problems/{code}` answers. Raises Refused(problem-unknown)."""
    if code not in CODES:
        raise Refused("problem-unknown", "There is no problem of this code.")
    status, title = CODES[code]
    return {"type": TYPE + code, "title": title, "status": status, "code": code}


def bare(code: str) -> bytes:
    """Return a whole answer as bytes, for who does not get as far as the application; the connection ends behind it."""
    status, request_id = STATUS[code], random_id()
    body = json.dumps(document(code, status, SENTENCES[code], request_id)).encode()
    head = (f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\ncache-control: no-store\r\n"
            "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n")
    return head.encode() + body


def install(app: FastAPI) -> None:
    """Let the application answer every error as a problem."""
    app.add_exception_handler(CountenanceError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_anything)


def request_id_of(request: Request) -> str:
    """Return the id that the limits gave this request; a new one where they are not in place."""
    return str(request.scope.get("state", {}).get("request_id") or random_id())


def _answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body), int(body["status"]), headers, MEDIA_TYPE)


async def _on_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, CountenanceError):
        return await _on_anything(request, error)
    request.scope.setdefault("state", {})["code"] = error.code
    answer = problem(error, request_id_of(request))
    if request.url.path.startswith(SPOKEN_OTHERWISE):  # clients there look for a `message`
        body = document(error.code, status_of(error), error.sentence, request_id_of(request))
        answer.body = json.dumps(body | {"message": error.sentence}).encode()
        answer.headers["content-length"] = str(len(answer.body))
    return answer


async def _on_invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    body = document("request-invalid", 422, SENTENCES["request-invalid"], request_id_of(request))
    return _answer(body | {"fields": [_path(one) for one in found[:_MOST_FIELDS]]})


def _path(one: dict[str, Any]) -> str:
    """Return where something is wrong. A key that the route does not know is the sender's own text: left out."""
    where = list(one.get("loc", ()))
    if one.get("type") == "extra_forbidden":
        where = [*where[:-1], "?"]
    if one.get("type") == "json_invalid":
        where = where[:1]
    return ".".join(str(step) if isinstance(step, int) or str(step).isidentifier() else "?" for step in where)


async def _on_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    given = dict(getattr(error, "headers", None) or {})
    code = {404: "route-unknown", 405: "method-refused", 500: "internal"}.get(status)
    if code is None:
        return problem(BadInput("request-malformed", SENTENCES["request-malformed"]), request_id_of(request))
    allow = {name: value for name, value in given.items() if name.lower() == "allow"}
    return _answer(document(code, status, SENTENCES[code], request_id_of(request)), allow)


async def _on_anything(request: Request, error: Exception) -> Response:  # noqa: ARG001  # nothing of it is told
    return _answer(document("internal", 500, SENTENCES["internal"], request_id_of(request)))
