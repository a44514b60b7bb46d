"""schemathesis tries the whole OpenAPI document: no fault of the server, and no answer that is not documented.

As nobody and as each role, with what the document says and with what it does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from countenance.access.limits import Limits, PassAttempts, SignIn
from countenance.access.roles import Role
from countenance.flows import sweep
from countenance.server import app as apps
from countenance.server.state import Serving
from support import server
from support.venue import enrolled, make_venue, open_venue

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what its own libraries warn about at import
    import schemathesis
    from schemathesis import checks

TRIED = 8
"""Examples for each operation and each who. More find more, and take longer."""

WHO: list[Role | None] = [None, Role.OWNER, Role.OPERATOR, Role.DESK, Role.GATE_STAFF, Role.GATE, Role.AUDITOR,
                          Role.WITNESS, Role.PERSON]
WITHOUT_END = {"/v1/events", "/v1/gates/{gate}/feed"}
ASKED = [checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance]


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with open_venue(make_venue(tmp_path_factory.mktemp("fire") / "zoo")) as venue:
        sweep.sweep(venue)  # as the server does when it starts: it publishes the log and posts the list
        yield server.serving(venue)


def unhurried(here: Serving) -> None:
    """Begin to count attempts anew: the venue's clock stands still, so that nobody would get on."""
    clock = here.venue.clock
    here.limits, here.sign_in, here.passes = Limits(clock), SignIn(clock), PassAttempts(clock)


@pytest.mark.parametrize("role", WHO, ids=lambda role: role.value if role else "nobody")
@pytest.mark.filterwarnings("ignore")
def test_no_answer_is_a_fault_or_undocumented(here: Serving, role: Role | None) -> None:
    with server.Client(here, raises=False) as client:
        person = enrolled(here.venue).person
        headers = {**server.auth_of(client, role, person=person)}
        cookies = dict(client.cookies)
        schema = schemathesis.openapi.from_asgi("/v1/openapi.json", apps.application(here))
        seen: set[int] = set()
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path not in WITHOUT_END and not _ends_the_session(operation):
                _try(operation, here, headers, cookies, seen)
    assert {200, 404, 422} <= seen, seen


def _ends_the_session(operation: Any) -> bool:
    return operation.method.upper() == "DELETE" and operation.path in {"/v1/session", "/v1/me/session", "/v1/me"}


def _try(operation: Any, here: Serving, headers: dict[str, str], cookies: dict[str, str], seen: set[int]) -> None:
    @settings(max_examples=TRIED, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        unhurried(here)
        answer = case.call(headers=headers, cookies=cookies)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=ASKED)

    run()
