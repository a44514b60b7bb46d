"""Server-sent events: what happens now, to pages that watch. No thread waits for anybody who listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing

from starlette.responses import StreamingResponse

from countenance.integrations.feed import Told
from countenance.server.state import Serving

LOOK_S, ALIVE_S = 0.2, 15.0
"""Seconds between looks at what has come, and between signs of life (proxies end what is silent)."""


async def as_events(here: Serving, gates: Collection[str] | None = None) -> AsyncGenerator[bytes]:
    """Yield what the feed tells of some gates, or of all, until the reader goes or the server ends.

    Raises Refused(feed-full) at the first step.
    """
    with here.feed.subscribe(gates) as listener:
        yield b": listening\n\n"
        silent = 0.0
        while not here.ending.is_set():
            told = listener.take()
            if told is not None:
                silent = 0.0
                yield _written(told)
                continue
            await asyncio.sleep(LOOK_S)
            silent += LOOK_S
            if silent >= ALIVE_S:
                silent = 0.0
                yield b": alive\n\n"


async def answer(here: Serving, gates: Collection[str] | None = None) -> StreamingResponse:
    """Return `as_events` as an answer that has begun: what is raised at its first step is answered as any error."""
    events = as_events(here, gates)
    first = await anext(events)

    async def all_of() -> AsyncIterator[bytes]:
        async with aclosing(events):
            yield first
            async for one in events:
                yield one

    return StreamingResponse(all_of(), media_type="text/event-stream")


def _written(told: Told) -> bytes:
    body = json.dumps({"gate": told.gate, "missed": told.missed, **told.body}, ensure_ascii=False)
    return f"event: {told.kind}\ndata: {body}\n\n".encode()
