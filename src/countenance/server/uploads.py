"""The picture of a request as a route takes it: read in memory, and overwritten when the answer is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from countenance.errors import BadInput
from countenance.server import bodies
from countenance.server.bodies import Upload


async def _upload(request: Request) -> AsyncIterator[Upload]:
    upload = await bodies.read_picture(request)
    try:
        yield upload
    finally:
        upload.wipe()


Picture = Annotated[Upload, Depends(_upload, scope="function")]
"""What came with a request; gone as soon as the route has returned."""


def camera(upload: Upload) -> Callable[[], bytes]:
    """Return the camera that took the picture of a request. It raises BadInput(image-missing) where there is none."""

    def take() -> bytes:
        if not upload.picture:
            raise BadInput("image-missing", "A picture is needed, and none came.")
        return bytes(upload.picture)

    return take


def field(upload: Upload, name: str, header: str, request: Request) -> str:
    """Return a text of a form, or of a header where the body is the picture itself; "" where there is neither."""
    return upload.fields.get(name) or request.headers.get(header, "")
