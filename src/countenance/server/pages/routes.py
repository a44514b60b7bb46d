"""The pages: files as they stand here, each with a policy that lets nothing from another host in.

A page knows nobody: what it shows comes from the API, for which it signs in like any other client. So the files are
open to anyone, are the same for everyone, and have no text of a venue in them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated, Any

from fastapi import Path
from starlette.responses import Response

from countenance.errors import Refused
from countenance.server.routing import ANYONE, Route

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
          "media-src 'self' blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
"""What a page may load, and from where: its own files from this server, and what it made itself."""

_HTML, _STYLE, _SCRIPT = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"
_KINDS = {".css": _STYLE, ".js": _SCRIPT, ".svg": "image/svg+xml"}
FILES = frozenset({
    "api.js", "camera.js", "icon.svg", "shared.css", "words.js", "words_en.js", "words_zh.js",
    "gate.css", "gate.js", "staff.css", "staff.js", "me.css", "me.js", "enrol.css", "enrol.js",
    "console.css", "console.js", "passkeys.js"})
"""Every file that a page may ask for; no other name leads to a file."""

_OTHER_KINDS: dict[str, Any] = {"responses": {"200": {"content": {"text/css": {}, "image/svg+xml": {}}}}}
_FILES = resources.files("countenance.server.pages")
_AlsoInScript = Annotated[str, Path(description="Which gate; the page reads it from its own address.")]


@cache
def _text(name: str) -> str:
    return (_FILES / name).read_text("utf-8")


def _page(name: str, *, camera: bool) -> Response:
    may = "self" if camera else ""
    return Response(_text(f"{name}.html"), media_type=_HTML, headers={
        "content-security-policy": POLICY,
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": f"camera=({may}), microphone=(), geolocation=(), display-capture=()"})


def gate_page(gate: _AlsoInScript) -> Response:  # noqa: ARG001  # named for the API's document; the page needs none
    """Serve the page that stands at a gate. It signs in with that gate's API key."""
    return _page("gate", camera=True)


def staff_page(gate: _AlsoInScript) -> Response:  # noqa: ARG001  # as above
    """Serve the page of those who help at a gate. It signs in with a key of that gate's staff."""
    return _page("staff", camera=False)


def me_page() -> Response:
    """Serve the page on which a person sees what is held about them, and ends it."""
    return _page("me", camera=False)


def enrol_page() -> Response:
    """Serve the enrolment desk's page."""
    return _page("enrol", camera=True)


def console_page() -> Response:
    """Serve the console's page."""
    return _page("console", camera=False)


def page_file(name: str) -> Response:
    """Serve a script or a style of the pages."""
    if name not in FILES:
        raise Refused("route-unknown", "There is nothing under this address.")
    return Response(_text(name), media_type=_KINDS[name[name.rindex("."):]],
                    headers={"content-security-policy": POLICY})


ROUTES = [
    Route("GET", "/gate/{gate}", gate_page, ANYONE, "The page at a gate", media="text/html"),
    Route("GET", "/staff/{gate}", staff_page, ANYONE, "The page of a gate's staff", media="text/html"),
    Route("GET", "/me", me_page, ANYONE, "A person's own page", media="text/html"),
    Route("GET", "/enrol", enrol_page, ANYONE, "The enrolment desk's page", media="text/html"),
    Route("GET", "/console", console_page, ANYONE, "The console's page", media="text/html"),
    Route("GET", "/pages/{name}", page_file, ANYONE, "A file of the pages", errors=("route-unknown",),
          media="text/javascript", openapi=_OTHER_KINDS),
]
