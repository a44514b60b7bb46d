"""Fetches a model's files: HTTPS, or plain HTTP from this machine itself; not one byte more than was announced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from countenance.errors import BadInput, ModelFault
from countenance.vision.manifest import ModelFile

LARGEST_MANIFEST = 1 << 20
TIMEOUT_SECONDS = 30.0
MOST_REDIRECTS = 5
_HERE = {"127.0.0.1", "::1", "localhost"}


def file(base: str = "") -> Callable[[ModelFile, Path, Callable[[int, int], None]], None]:
    """Return what fetches a pack's file to a path. `base`: the manifest's own address, for addresses relative to it.

    That raises BadInput(model-url), ModelFault(model-download, model-served-other: longer or shorter than announced).
    """

    def fetch(wanted: ModelFile, to: Path, progress: Callable[[int, int], None]) -> None:
        if not wanted.url:
            raise BadInput("model-url", f"The manifest does not say where {wanted.name} is; use `models add`.")
        with to.open("wb") as given:
            _stream(urljoin(base, wanted.url), wanted.size, given.write, progress)
            if given.tell() != wanted.size:
                raise _other()

    return fetch


def manifest(url: str) -> bytes:
    """Return a manifest's bytes. Raises BadInput(model-url), ModelFault(model-download, model-served-other)."""
    found = bytearray()
    _stream(url, LARGEST_MANIFEST, found.extend, lambda _done, _all: None)
    return bytes(found)


def _stream(url: str, most: int, take: Callable[[bytes], object], progress: Callable[[int, int], None]) -> None:
    import httpx

    done = 0
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=True) as client:
            for _ in range(MOST_REDIRECTS + 1):
                _require_allowed(url)
                with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers.get("location", ""))
                        continue
                    if answer.status_code != 200:
                        raise ModelFault("model-download", f"The server answered {answer.status_code}.")
                    for block in answer.iter_bytes(1 << 20):
                        done += len(block)
                        if done > most:
                            raise _other()
                        take(block)
                        progress(done, most)
                    return
    except (httpx.HTTPError, httpx.InvalidURL):
        raise ModelFault("model-download", "The file could not be fetched; nothing was kept.") from None
    raise ModelFault("model-download", "The server sends from one address to the next without end.")


def _require_allowed(url: str) -> None:
    try:
        parts = urlsplit(url)
        here = parts.scheme == "http" and parts.hostname in _HERE
        allowed = bool(parts.hostname) and (here or parts.scheme == "https")
    except ValueError:
        allowed = False
    if not allowed:
        raise BadInput("model-url", "A model is fetched over https only.")


def _other() -> ModelFault:
    return ModelFault("model-served-other", "What was served is not as long as the manifest says; nothing was kept.")
