"""Idempotency keys: the same request sent again gets the same answer, and nothing happens twice.

A key belongs to whoever asks and to one operation. What was asked is kept as a digest, without any picture; the
answer is kept for a day, but one that holds a secret never is: then the second request is told that it was done.
The key goes into the digest, so that no password that was sent can be tried against it without that key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from countenance.errors import BadInput, Refused
from countenance.quantities import DAY, MINUTE
from countenance.server.state import Serving
from countenance.storage import schema
from countenance.storage.unit import Unit

KEPT_S = DAY
"""Seconds that an answer is kept."""

RUNNING_S = 5 * MINUTE
"""Seconds after which a request that never ended (the server died) may be sent again."""

LARGEST_ANSWER = 256 * 1024
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_SUCCESS = range(200, 300)
_TABLE = schema.idempotent

Inner = Callable[[Request], Awaitable[Response]]


async def once(request: Request, secret: bool, picture: bool, inner: Inner) -> Response:
    """Answer a request that carries a key.

    Raises BadInput(idempotency-key), Refused: idempotency-running, -other (the key was used for another request),
    -secret (it was done; its answer held a secret). A request that failed may be sent again with its key.
    """
    here: Serving = request.app.state.serving
    key = request.headers["idempotency-key"]
    if not _KEY.fullmatch(key):
        raise BadInput("idempotency-key", "An idempotency key is 1 to 128 visible ASCII characters.")
    token = _hash(_caller(request), request.method, request.url.path, key)
    body = b"" if picture else await request.body()
    digest = _hash(key, request.url.query, hashlib.sha256(body).hexdigest())
    kept = await run_in_threadpool(_begin, here, token, digest)
    if kept is not None:
        return kept
    try:
        response = await inner(request)
    except BaseException:
        await run_in_threadpool(_forget, here, token)
        raise
    await run_in_threadpool(_end, here, token, response, secret)
    return response


def _caller(request: Request) -> str:
    who = request.state.who
    return "" if who is None else who.key_id or who.operator_id or who.person


def _hash(*parts: str) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _begin(here: Serving, token: str, digest: str) -> Response | None:
    with here.venue.store.write() as unit:
        unit.run(delete(_TABLE).where(_TABLE.c.delete_at <= unit.now))
        row = unit.run(select(_TABLE).where(_TABLE.c.token == token)).one_or_none()
        if row is None:
            _add(unit, token, digest)
            return None
    if row.digest != digest:
        raise Refused("idempotency-other", "This idempotency key was used for another request.")
    if row.status == 0:
        raise Refused("idempotency-running", "The first request with this idempotency key has not ended yet.")
    if row.answer is None:
        raise Refused("idempotency-secret", "This was done already; its answer held a secret and is not repeated.")
    return Response(row.answer, row.status, {"idempotency-replayed": "true"}, "application/json")


def _add(unit: Unit, token: str, digest: str) -> None:
    try:
        unit.run(insert(_TABLE).values(token=token, digest=digest, status=0, answer=None, at=unit.now,
                                       delete_at=unit.now + RUNNING_S))
    except IntegrityError:
        raise Refused("idempotency-running", "The first request with this idempotency key has not ended yet.") from None


def _end(here: Serving, token: str, response: Response, secret: bool) -> None:
    body = getattr(response, "body", None)
    if response.status_code not in _SUCCESS:
        _forget(here, token)
        return
    keep = not secret and isinstance(body, bytes) and len(body) <= LARGEST_ANSWER
    with here.venue.store.write() as unit:
        unit.run(update(_TABLE).where(_TABLE.c.token == token).values(
            status=response.status_code, answer=body if keep else None, delete_at=unit.now + KEPT_S))


def _forget(here: Serving, token: str) -> None:
    with here.venue.store.write() as unit:
        unit.run(delete(_TABLE).where(_TABLE.c.token == token))
