"""Server-sent events: what happens now, to pages that watch. No thread waits for anybody who listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from countenance.access.roles import Role
from countenance.errors import Refused
from countenance.integrations.feed import Told
from countenance.server.routing import still_in
from countenance.server.state import Serving

ALIVE = b": alive\n\n"
LOOK_S, ALIVE_S = 0.2, 15.0
"""Seconds between looks at what has come, and between signs of life (proxies end what is silent)."""


async def as_events(here: Serving, gates: Collection[str] | None = None) -> AsyncGenerator[bytes]:
    """Yield what the feed tells of some gates, or of all, until the reader goes or the server ends.

    Raises Refused(feed-full) at the first step.
    """
    clock = asyncio.get_running_loop().time
    with here.feed.subscribe(gates) as listener:
        yield b": listening\n\n"
        due = clock() + ALIVE_S
        while not here.ending.is_set():
            told = listener.take()
            if told is not None:
                yield _written(told)
            else:
                await asyncio.sleep(LOOK_S)
            if clock() >= due:
                due = clock() + ALIVE_S
                yield ALIVE


async def answer(here: Serving, request: Request, roles: frozenset[Role],
                 gates: Collection[str] | None = None) -> StreamingResponse:
    """Return `as_events` as an answer that has begun: what is raised at its first step is answered as any error.

    It ends soon after whoever listens may not any more: their key was revoked, say.
    """
    events, who = as_events(here, gates), request.state.who
    counted = here.listening.of(who.key_id or who.operator_id)
    counted.__enter__()
    try:
        first = await anext(events)
    except BaseException:
        counted.__exit__(None, None, None)
        raise

    async def all_of() -> AsyncIterator[bytes]:
        try:
            async with aclosing(events):
                yield first
                async for one in events:
                    if one == ALIVE:
                        await run_in_threadpool(still_in, request, roles)
                    yield one
        except Refused:
            return
        finally:
            counted.__exit__(None, None, None)

    return StreamingResponse(all_of(), media_type="text/event-stream")


def _written(told: Told) -> bytes:
    body = json.dumps({"gate": told.gate, "missed": told.missed, **told.body}, ensure_ascii=False)
    return f"event: {told.kind}\ndata: {body}\n\n".encode()
