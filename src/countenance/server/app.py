"""Puts the application together: the tables of routes, what holds for every request, and how errors are answered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from countenance import __version__
from countenance.server import problems
from countenance.server.limits_middleware import Limits
from countenance.server.logs import Log, RequestLog
from countenance.server.routing import Route, mount
from countenance.server.state import Serving

SILENT: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""The framework's own telemetry, which would tell addresses, with what stands in them, and traces."""


def tables() -> list[tuple[str, Sequence[Route]]]:
    """Return every table of routes with its name, in the order of docs/routes.md."""
    from countenance.server.api import console, enrolments, gates, health, log, me, people, setting, withdrawals
    from countenance.server.compat import routes as compreface
    from countenance.server.pages import routes as pages

    return [("health", health.ROUTES), ("setting", setting.ROUTES), ("people", people.ROUTES),
            ("enrolments", enrolments.ROUTES), ("withdrawals", withdrawals.ROUTES), ("gates", gates.ROUTES),
            ("me", me.ROUTES), ("log", log.ROUTES), ("console", console.ROUTES), ("compreface", compreface.ROUTES),
            ("pages", pages.ROUTES)]


def application(here: Serving) -> FastAPI:
    """Return the application alone: without what `app_of` puts around it, for tests of routes and their document."""
    app = FastAPI(
        title="Countenance", version=__version__, telemetry=SILENT, docs_url=None, redoc_url=None,
        openapi_url="/v1/openapi.json", redirect_slashes=False,
        summary="Face recognition that asks first: consent is the key that makes comparison possible.")
    app.state.serving = here
    problems.install(app)
    for name, routes in tables():
        mount(app, name, routes)
    return app


def app_of(here: Serving, log: Log, hosts: Collection[str]) -> ASGIApp:
    """Return the whole: the log of requests outermost, then the limits, then the application."""
    return RequestLog(Limits(application(here), hosts), log, here.venue.clock)
