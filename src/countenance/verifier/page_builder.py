"""Puts `evidence.html` together: one file that opens from a USB stick, with no network (docs/formats/evidence.md).

The page is plain JavaScript and CSS of our own, put inline, and runs only what its own policy names by hash. The same
facts always give the same page.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from countenance.formats import evidence, strict64

_SCRIPTS = ("bytes", "json", "cbor", "hashes", "ed25519", "merkle", "notes", "records", "report", "receipts",
            "evidence", "words_en", "words_zh", "draw", "story", "main")
"""In the order in which each may use those before it."""


def render(evidence_json: str, signature: str) -> str:
    """Return the page that shows and checks these texts of evidence.json and evidence.sig."""
    style, code = _part("page.css"), script()
    policy = (f"default-src 'none'; script-src {_allowed(code)}; style-src {_allowed(style)}; "
              "base-uri 'none'; form-action 'none'")
    skeleton = _part("page.html")
    for mark, text in (("@POLICY@", policy), ("@STYLE@", style), ("@SCRIPT@", code)):
        skeleton = skeleton.replace(mark, text)
    before, _mark, after = skeleton.partition("@BLOCKS@")  # last: what is in the facts must not be taken for a mark
    return before + evidence.blocks(evidence_json, signature) + after


def script() -> str:
    """Return all of the page's JavaScript, as one function that leaves nothing behind but `window.countenance`."""
    return '(() => {\n"use strict";\n' + "\n".join(_part(f"{name}.js") for name in _SCRIPTS) + "})();\n"


def _part(name: str) -> str:
    return resources.files("countenance.verifier").joinpath("page", name).read_text(encoding="utf-8")


def _allowed(text: str) -> str:
    return f"'sha256-{strict64.encode(hashlib.sha256(text.encode()).digest())}'"
