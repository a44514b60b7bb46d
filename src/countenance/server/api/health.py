"""How the server is: for load balancers, for Prometheus, and for whoever looks a problem's code up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import Response

from countenance.access.roles import Role
from countenance.errors import CountenanceError
from countenance.flows import gates
from countenance.flows.gates import Mode
from countenance.server import problems
from countenance.server.metrics import CONTENT_TYPE
from countenance.server.routing import ANYONE, Here, Route
from countenance.server.state import Serving
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.transparency.tree import Tree

WATCHERS = frozenset({Role.OWNER, Role.OPERATOR, Role.AUDITOR})
NOT_READY = "Not everything that decisions need is in order."


def health() -> dict[str, Any]:
    """Say that the server answers at all. Nothing is looked at."""
    return {"status": "ok"}


def ready(here: Here, request: Request) -> Response:
    """Say whether faces can be compared: 503 names in `not_ready` what is not in order, and no more of it.

    `start`: not up yet, or going down; `model`; `store`: put back, or the clock was; `sweep`: late; `rotation`:
    of keys, late; `threshold`: none, and a gate compares faces; `log`.
    A gate's lane without faces, withdrawals and this server's other routes go on.
    """
    missing = list(not_ready(here))
    if not missing:
        return Response('{"status":"ready"}', media_type="application/json")
    request.scope.setdefault("state", {})["code"] = "not-ready"
    body = problems.document("not-ready", 503, NOT_READY, problems.request_id_of(request))
    return Response(json.dumps(body | {"not_ready": missing}), 503, media_type=problems.MEDIA_TYPE)


def metrics(here: Here) -> Response:
    """Numbers for Prometheus; no person, key or pass is in them."""
    _refresh(here)
    return Response(here.metrics.render(), media_type=CONTENT_TYPE)


def list_problems() -> dict[str, Any]:
    """Every code that an error may have, with its status."""
    return {"problems": [problems.about(code) for code in sorted(problems.CODES)]}


def show_problem(code: str) -> dict[str, Any]:
    """One code of an error."""
    return problems.about(code)


def not_ready(here: Serving) -> dict[str, str]:
    """Return what is not in order for faces to be compared, each with the code of why; empty where all is."""
    if here.ending.is_set() or not here.ready.is_set():
        return {"start": "not-ready"}  # looking for a model would load it
    looks: dict[str, Callable[[], object]] = {
        "model": lambda: here.venue.pack, "store": lambda: _require_store(here),
        "sweep": lambda: _reading(here, here.venue.gate.require_swept),
        "rotation": lambda: _reading(here, here.venue.gate.require_rotated),
        "threshold": lambda: _reading(here, partial(_require_threshold, here)), "log": here.venue.log.require_continued}
    found: dict[str, str] = {}
    for name, look in looks.items():
        try:
            look()
        except CountenanceError as error:
            found[name] = error.code
    return found


def _require_store(here: Serving) -> None:
    here.venue.require_stores()
    here.venue.store.require_forward()


def _reading(here: Serving, look: Callable[[Unit], None]) -> None:
    with here.venue.store.read() as unit:
        look(unit)


def _require_threshold(here: Serving, unit: Unit) -> None:
    """A venue whose gates all go by passes alone needs none. Raises Refused(gate-uncalibrated)."""
    if any(gate.mode is not Mode.PASS for gate in gates.all_of(unit)):
        here.venue.threshold("verify")


def _refresh(here: Serving) -> None:
    """Set the gauges to what is so now; what cannot be read is not a number, and the rest is told all the same."""
    with here.venue.store.read() as unit:
        swept = unit.mark("swept")
        here.metrics.set("sweep_age_seconds", math.nan if swept is None else unit.now - swept)
        session = schema.session
        here.metrics.set("sessions", _count(unit, session, session.c.expires_at > unit.now))
        for state in ("pending", "dead"):
            here.metrics.set(f"deliveries_{state}", _count(unit, schema.delivery, schema.delivery.c.state == state))
        size = Tree(unit.connection).size
    here.metrics.set("log_size", size)
    here.metrics.set("log_unsigned", math.nan)
    with suppress(CountenanceError):
        signed = here.venue.log.last_signed()
        here.metrics.set("log_unsigned", size - (0 if signed is None else signed.checkpoint.size))
    here.metrics.galleries(here.venue.galleries.sizes())


def _count(unit: Unit, table: Any, which: Any) -> int:
    return int(unit.run(select(func.count()).select_from(table).where(which)).scalar_one())


ONE = {"type": "/v1/problems/key-unknown", "title": "Who asks is not known", "status": 401, "code": "key-unknown"}
ROUTES = [
    Route("GET", "/v1/health", health, ANYONE, "Say that the server answers", {"status": "ok"}),
    Route("GET", "/v1/ready", ready, ANYONE, "Say whether faces can be compared", {"status": "ready"},
          errors=("not-ready",)),
    Route("GET", "/metrics", metrics, WATCHERS, "Numbers for Prometheus",
          "# TYPE countenance_log_size gauge\ncountenance_log_size 812.0\n", errors=("log-missing",),
          media="text/plain"),
    Route("GET", "/v1/problems", list_problems, ANYONE, "List the codes of errors", {"problems": [ONE]}),
    Route("GET", "/v1/problems/{code}", show_problem, ANYONE, "Explain the code of an error", ONE,
          errors=("problem-unknown",)),
]
