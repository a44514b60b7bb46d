"""Log lines without personal data: JSON, one a line, and of each line only what an allow-list names.

A request is told by the template of its route, never by its path; an exception by its class, never by its message.
What libraries log arrives as the name of the library and of the exception, and nothing of what they wrote.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countenance.clock import Clock, utc_text

KEYS = frozenset({"at", "code", "count", "error", "event", "job", "level", "library", "method", "ms", "port",
                  "request_id", "role", "route", "seconds", "status", "version"})
"""The only keys that a line may have."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PLAIN = re.compile(r"[A-Za-z0-9._:+{}/-]{0,200}")  # no blank: no sentence, and no line of its own
_LOUD = logging.WARNING


class Log:
    """Writes lines to a stream; by default the standard output, which the service manager keeps."""

    def __init__(self, clock: Clock, stream: TextIO | None = None) -> None:
        def dated(_logger: Any, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
            return {"at": utc_text(clock.now()), "level": level, **line}

        self._lines = structlog.wrap_logger(
            structlog.PrintLogger(stream or sys.stdout), wrapper_class=structlog.BoundLogger,
            processors=[dated, only_allowed, structlog.processors.JSONRenderer()])

    def say(self, event: str, **facts: str | float | bool | None) -> None:
        """Write one line. A key that is not allowed is dropped; a text that is more than a word becomes "?"."""
        self._lines.info(event, **facts)

    def trouble(self, event: str, error: BaseException | None = None, **facts: str | float | bool | None) -> None:
        """Write one line at level error, with an exception's class alone."""
        named = {} if error is None else {"error": type(error).__name__}
        self._lines.error(event, **facts, **named)


def only_allowed(_logger: Any, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return a line without the keys that are not allowed, and without texts that are more than a word."""
    return {key: _plain(value) for key, value in line.items() if key in KEYS}


def _plain(value: Any) -> str | float | None:
    if value is None or isinstance(value, int | float):
        return value
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else "?"


class RequestLog:
    """ASGI: one line for each answer. Stands outside `Limits`, so that what is refused there has its line too."""

    def __init__(self, app: ASGIApp, log: Log, clock: Clock) -> None:
        self._app, self._log, self._clock = app, log, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and tell of it when it is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = self._clock.monotonic(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001  # raised further, its message would stand in the server's own log
            self._log.trouble("request-failed", error, request_id=_state(scope, "request_id"))
            if not status:
                raise _Unsaid from None
        finally:
            self._log.say(
                "request", method=scope["method"] if scope["method"] in _METHODS else "other", status=status,
                route=getattr(scope.get("route"), "path", None), ms=round((self._clock.monotonic() - begun) * 1e3, 1),
                request_id=_state(scope, "request_id"), role=_state(scope, "role"), code=_state(scope, "code"))


class _Unsaid(RuntimeError):
    """Stands for an exception whose message may be anything; the HTTP server answers 500."""


def _state(scope: Scope, key: str) -> str | None:
    value = scope.get("state", {}).get(key)
    return None if value is None else str(value)


class _Names(logging.Handler):
    """Tells that a library logged something loud; nothing of what."""

    def __init__(self, log: Log) -> None:
        super().__init__(_LOUD)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.trouble("library", error, library=record.name.split(".")[0])


def take_over(log: Log) -> None:
    """Let every logger of this process, and what ends a thread, go through `log`."""
    root = logging.getLogger()
    for name in list(logging.Logger.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    root.handlers[:] = [_Names(log)]
    root.setLevel(_LOUD)
    threading.excepthook = lambda ended: log.trouble("thread-ended", ended.exc_value)
