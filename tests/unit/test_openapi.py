"""The OpenAPI document: every operation has its examples, they are true, and no answer is undocumented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from countenance.access.roles import KEY_ROLES, Role
from countenance.consent import notices
from countenance.errors import Refused
from countenance.flows import log as flow
from countenance.flows.venue import Venue
from countenance.quantities import PersonId
from countenance.server import app as apps
from countenance.server import codes, problems
from countenance.server.routing import UNSAFE, Route
from countenance.server.state import Serving
from support import server
from support import venue as support
from support.server import Client

NO_EXAMPLE = {"application/zip", "application/octet-stream", "text/event-stream", "text/html", "text/plain",
              "image/png", "application/pdf", "image/svg+xml"}
"""Media whose answers are no text that could stand in the document, or a file that the page shows."""

COMPREFACE = "/api/v1/"
"""Errors there are CompreFace's own, without a code of ours: docs/compreface.md."""

ORDER = {Role.OWNER: 0, Role.OPERATOR: 1, Role.DESK: 2}


@cache
def routes() -> tuple[Route, ...]:
    return tuple(route for _, section in apps.tables() for route in section)


@pytest.fixture
def here(venue: Venue) -> Serving:
    found = server.serving(venue)
    found.ending.set()  # so that what streams ends at once
    return found


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here, raises=False) as opened:
        yield opened


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/openapi.json").json()
    return found


def spelled(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method.upper(), path): operation for path, methods in document["paths"].items()
            for method, operation in methods.items()}


def test_every_route_is_in_it_once_with_a_name_of_its_own(document: dict[str, Any]) -> None:
    found = operations(document)
    assert set(found) == {(route.method, spelled(route.path)) for route in routes()}
    names = [operation["operationId"] for operation in found.values()]
    assert len(names) == len(set(names)) > 60
    assert [key for key, one in found.items() if not (one.get("description") and one["summary"])] == []


def test_every_operation_says_who_may(document: dict[str, Any]) -> None:
    found = operations(document)
    for route in routes():
        roles = sorted(role.value for role in route.roles) or ["anyone"]
        assert found[route.method, spelled(route.path)]["x-roles"] == roles


def test_every_operation_has_an_example_of_its_answer(document: dict[str, Any]) -> None:
    bare = []
    for (method, path), operation in operations(document).items():
        good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert good, (method, path)
        if path.startswith(COMPREFACE):
            continue
        for status, answer in good.items():
            media = answer.get("content", {})
            if status != "204" and not any("example" in one or kind in NO_EXAMPLE for kind, one in media.items()):
                bare.append((method, path, status))
    assert bare == []


def test_every_error_has_an_example_with_a_code_of_its_status(document: dict[str, Any]) -> None:
    seen = set()
    for (method, path), operation in operations(document).items():
        for status, answer in operation["responses"].items():
            if status.startswith("2") or path.startswith(COMPREFACE):
                continue
            examples = answer["content"][problems.MEDIA_TYPE]["examples"]
            assert examples, (method, path, status)
            for code, example in examples.items():
                assert example["value"]["code"] == code and codes.STATUS[code] == int(status), (method, path)
                assert example["value"]["status"] == int(status)
                seen.add(code)
    assert {"attempts", "request-invalid", "role-refused", "sign-in-failed", "not-ready"} <= seen


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    bare = [key for key, operation in operations(document).items()
            if "application/json" in operation.get("requestBody", {}).get("content", {})
            and "example" not in operation["requestBody"]["content"]["application/json"]]
    assert bare == []


class Asker:
    """Asks for each route in a role that may."""

    def __init__(self, client: Client) -> None:
        self.client, self.here = client, client.here
        self._references = iter(support.everybody())
        self._keys: dict[Role, dict[str, str]] = {}
        person = self._somebody()
        flow.publish(self.here.venue, now=True)
        with self.here.venue.store.read() as unit:
            notice = notices.in_force(unit, support.VERIFY).hash
        self.person = person
        self.real = {"gate": "main", "purpose": "entry.verify", "person": person, "notice": notice,
                     "code": "store-busy", "path": "tile/0/000", "name": "me.js"}

    def _somebody(self) -> PersonId:
        return support.enrolled(self.here.venue, next(self._references), purpose=support.SEARCH).person

    def headers(self, route: Route) -> dict[str, str]:
        if not route.roles:
            return server.auth_of(self.client, None)
        role = min(route.roles, key=lambda one: ORDER.get(one, 9))
        if role in KEY_ROLES:
            self.client.cookies.clear()
            self._keys[role] = self._keys.get(role) or server.auth_of(self.client, role)
            return self._keys[role]
        try:
            return server.auth_of(self.client, role, person=self.person)
        except Refused:  # they erased themselves just now
            self.person = self._somebody()
            return server.auth_of(self.client, role, person=self.person)

    def path(self, route: Route) -> str:
        real = {} if route.method == "DELETE" else self.real  # what others need stays
        return re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: real.get(m[1], "0" * 32), route.path)


def documented(document: dict[str, Any], route: Route) -> set[int]:
    return {int(status) for status in operations(document)[route.method, spelled(route.path)]["responses"]}


def test_examples_of_bodies_can_be_sent(client: Client) -> None:
    asker, stale = Asker(client), []
    for route in routes():
        if route.asks is None or route.picture or route.method not in UNSAFE:
            continue
        answer = client.request(route.method, asker.path(route), json=route.asks, headers=asker.headers(route))
        if b"request-invalid" in answer.content:
            stale.append((route.method, route.path, answer.text))
    assert stale == []


def test_examples_of_answers_look_like_answers(client: Client) -> None:
    asker, other, compared = Asker(client), [], 0
    for route in routes():
        if route.method != "GET" or route.media != "application/json" or not isinstance(route.example, dict):
            continue
        query = "?why=asked" if b"why" in client.get(asker.path(route), headers=asker.headers(route)).content else ""
        answer = client.get(asker.path(route) + query, headers=asker.headers(route))
        if answer.status_code != 200:
            continue
        compared += 1
        other += [f"{route.path}: {where}" for where in unlike(answer.json(), route.example, "")]
    assert other == []
    assert compared > 15


def unlike(value: Any, example: Any, where: str) -> list[str]:
    """Return where the names in an answer are not those of its example; of lists the first is compared.

    What an event says beside its number, time and type depends on its type.
    """
    if isinstance(value, dict) and isinstance(example, dict):
        if where.endswith("events[0]"):
            return []
        found = [f"{where}.{name}" for name in set(value) ^ set(example)]
        return found + [one for name in set(value) & set(example)
                        for one in unlike(value[name], example[name], f"{where}.{name}")]
    if isinstance(value, list) and isinstance(example, list) and value and example:
        return unlike(value[0], example[0], f"{where}[0]")
    return []


BAD_BODIES = (b"", b"{", b"[]", b"null", b'{"x": 1}', b'"\\ud800"', b"\xff\xfe",
              json.dumps({"name": "x" * 9_000}).encode())
TYPES = ("application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x", "image/png", "",
         "\t")


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_no_answer_to_a_bad_body_is_undocumented(client: Client, document: dict[str, Any], body: bytes) -> None:
    asker, odd = Asker(client), []
    for number, route in enumerate(route for route in routes() if route.method in UNSAFE):
        kind = TYPES[number % len(TYPES)] if body != b"{" else "application/json"
        answer = client.request(route.method, asker.path(route), content=body,
                                headers=asker.headers(route) | {"content-type": kind})
        if answer.status_code not in documented(document, route) or answer.status_code == 500:
            odd.append((route.method, route.path, kind, answer.status_code, answer.text[:200]))
    assert odd == []


@pytest.mark.parametrize("value", ["%FF%FE", "x" * 1_000, "%20", "%F0%9F%92%A9", "-1", "null", "%27%3B--", "%7F"])
def test_no_answer_to_a_bad_path_or_query_is_undocumented(client: Client, document: dict[str, Any],
                                                          value: str) -> None:
    asker, odd = Asker(client), []
    for route in routes():
        parts = re.sub(r"\{(\w+)(?::\w+)?\}", value, route.path)
        query = "&".join(f"{name}={value}" for name in ("days", "why", "cursor", "limit", "subject", "purpose"))
        answer = client.request(route.method, f"{parts}?{query}", headers=asker.headers(route))
        if answer.status_code not in documented(document, route) or answer.status_code == 500:
            odd.append((route.method, parts[:80], answer.status_code, answer.text[:200]))
    assert odd == []
