"""The published log, evidence of the venue, and what is told as it happens; over HTTP."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from countenance.access import keys
from countenance.access.roles import Role
from countenance.errors import Refused
from countenance.flows import log as flow
from countenance.flows.venue import Venue
from countenance.formats import checkpoints, merkle, tiles
from countenance.server import state, streams
from countenance.server.api import log
from countenance.server.api.log import WATCHERS
from countenance.server.state import Serving
from countenance.storage.unit import Unit
from countenance.verifier import evidence as checker
from support import server
from support.server import Client, refused


@pytest.fixture
def here(venue: Venue) -> Serving:
    return server.serving(venue)


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here, [log.ROUTES]) as opened:
        yield opened


def fill(venue: Venue, size: int) -> None:
    """Make the log as long as `size` at least."""
    def told(unit: Unit) -> None:
        for _ in range(size):
            unit.tell("evidence", {"kind": "venue"})

    with venue.store.write() as unit:
        told(unit)


def test_the_log_can_be_copied_and_checked_from_its_files(client: Client, venue: Venue) -> None:
    refused(client.get("/v1/log/checkpoint"), "file-missing", 404)
    fill(venue, 300)
    flow.publish(venue, now=True)
    answer = client.get("/v1/log/checkpoint")
    head, _ = checkpoints.read(answer.text, venue.log.key())
    assert head.size > 300 and answer.headers["content-type"].startswith("text/plain")
    leaves = []
    for number, width in ((0, 256), (1, head.size - 256)):
        bundle = client.get(f"/v1/log/{tiles.path(tiles.ENTRIES, number, width)}")
        hashes = client.get(f"/v1/log/{tiles.path(0, number, width)}")
        found = [merkle.leaf_hash(entry) for entry in tiles.unbundle(bundle.content, width)]
        assert found == tiles.split(hashes.content, width)
        assert ("immutable" in bundle.headers["cache-control"]) is (width == 256)
        assert ("immutable" in hashes.headers["cache-control"]) is (width == 256)
        leaves += found
    assert merkle.root(leaves) == head.root
    assert "immutable" not in answer.headers["cache-control"]


@pytest.mark.parametrize("path", [
    "tile", "tile/0", "tile/0/", "tile/0/00", "tile/0/0000", "tile/0/000/", "tile/64/000", "tile/00/000", "tile/-1/000",
    "tile/0/000.p", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/x000", "tile/0/000.new",
    "tile/entries/000.p/17.new", "tile/0/000\u0661", "checkpoint.new", "checkpoint/", "venue.toml", "tile/0/000%0A",
    "x" * 2_000, "TILE/0/000",
])
def test_nothing_but_the_logs_own_names_is_a_file(client: Client, venue: Venue, path: str) -> None:
    fill(venue, 300)
    flow.publish(venue, now=True)
    assert client.get("/v1/log/tile/0/000").status_code == 200
    code = client.get(f"/v1/log/{path}")
    assert code.status_code in {404, 422, 400}
    assert code.json()["code"] in {"file-missing", "path-refused"}


@pytest.mark.parametrize("path", ["../venue.toml", "..%2fvenue.toml", "%2e%2e/venue.toml", "tile/../../venue.toml",
                                  "tile//0/000", "/etc/passwd", "tile%2f0%2f000", "tile\\0\\000"])
def test_no_way_out_of_the_logs_folder(client: Client, venue: Venue, folder: Path, path: str) -> None:
    flow.publish(venue, now=True)
    request = client.build_request("GET", "/v1/log/checkpoint")
    request.url = request.url.copy_with(raw_path=f"/v1/log/{path}".encode())  # httpx itself would tidy it
    answer = client.send(request)
    assert answer.status_code in {400, 404}, answer.text
    assert (folder / "venue.toml").read_text() not in answer.text


def test_what_lies_in_the_folder_and_is_no_file_is_not_read(client: Client, venue: Venue, folder: Path) -> None:
    flow.publish(venue, now=True)
    (folder / "log" / "tile" / "0" / "007").mkdir(parents=True)
    refused(client.get("/v1/log/tile/0/007"), "store-io", 503)
    refused(client.get("/v1/log/tile/0/008"), "file-missing", 404)
    refused(client.get("/v1/log/tile/0/007/000"), "file-missing", 404)


def test_evidence_of_the_venue_checks_itself_and_is_told_of(client: Client, here: Serving) -> None:
    auditor = server.key_of(here, Role.AUDITOR)
    answer = client.get("/v1/evidence", headers=auditor)
    assert answer.headers["content-type"] == "application/zip"
    checker.verify(answer.content, None).require_ok()
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert client.get("/v1/evidence", headers=auditor).status_code == 200
    refused(client.get("/v1/evidence", headers=auditor), "attempts", 429)  # each one writes into the log


def watching(here: Serving) -> Any:
    """A request by an auditor's key, as a route gets it."""
    given = server.key_of(here, Role.AUDITOR)
    request = Request({"type": "http", "method": "GET", "path": "/v1/events", "query_string": b"",
                       "headers": [(b"authorization", given["authorization"].encode())],
                       "app": SimpleNamespace(state=SimpleNamespace(serving=here))})
    with here.venue.store.read() as unit:
        request.state.who = keys.who(unit, given["authorization"].removeprefix("Bearer "))
    return request


def test_a_stream_ends_when_its_key_is_revoked(here: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "ALIVE_S", 0.05)

    async def watched() -> list[bytes]:
        request = watching(here)
        answer: Any = await streams.answer(here, request, WATCHERS)
        got = [await anext(answer.body_iterator), await anext(answer.body_iterator)]
        assert got == [b": listening\n\n", streams.ALIVE]  # it goes on while the key is good
        with here.venue.store.write() as unit:
            keys.revoke(unit, request.state.who.key_id)
        here.feed.tell("gate.answered", "main", {"decision": "admit"})
        return [part async for part in answer.body_iterator]

    assert len(asyncio.run(watched())) <= 2
    assert here.feed._listeners == []


def test_one_key_does_not_take_every_place(here: Serving) -> None:
    async def crowd() -> None:
        request = watching(here)
        answers: list[Any] = [await streams.answer(here, request, WATCHERS) for _ in range(state.MOST_STREAMS)]
        with pytest.raises(Refused) as caught:
            await streams.answer(here, request, WATCHERS)
        assert caught.value.code == "attempts"
        other: Any = await streams.answer(here, watching(here), WATCHERS)
        for one in (*answers, other):
            await anext(one.body_iterator)
            await one.body_iterator.aclose()
        again: Any = await streams.answer(here, request, WATCHERS)
        await anext(again.body_iterator)
        await again.body_iterator.aclose()

    asyncio.run(crowd())


def test_what_happens_is_told_to_who_watches_until_the_server_ends(here: Serving) -> None:
    async def watched() -> list[bytes]:
        answer: Any = await streams.answer(here, watching(here), WATCHERS)
        here.feed.tell("gate.answered", "main", {"decision": "admit"})
        got = [await anext(answer.body_iterator), await anext(answer.body_iterator)]
        here.ending.set()
        return [*got, *[part async for part in answer.body_iterator]]

    assert asyncio.run(watched()) == [
        b": listening\n\n", b'event: gate.answered\ndata: {"gate": "main", "missed": 0, "decision": "admit"}\n\n']


def test_too_many_watchers_are_told_so_and_do_not_get_a_broken_stream(client: Client, here: Serving) -> None:
    auditor = server.key_of(here, Role.AUDITOR)
    here.feed.close()
    refused(client.get("/v1/events", headers=auditor), "feed-full", 503)


def test_who_goes_away_stops_listening(here: Serving) -> None:
    async def left() -> None:
        answer: Any = await streams.answer(here, watching(here), WATCHERS)
        await anext(answer.body_iterator)
        assert len(here.feed._listeners) == 1
        await answer.body_iterator.aclose()
        assert here.feed._listeners == []

    asyncio.run(left())
