"""A template as CWT claim 169 (the registry's "identity-data", attribute 62 "face"): what a `carried` pass seals.

{169: {62: {0: data, 1: 1}}}: 1 says that the data is a template, not an image. The data are the int8 codes
of the pack that the pass names. It stands inside the sealed part of a pass only (docs/formats/pass.md).
"""

from __future__ import annotations

from countenance.errors import BadInput
from countenance.formats import canonical

CLAIM, FACE, DATA, KIND, TEMPLATE = 169, 62, 0, 1, 1


def write(template: bytes) -> bytes:
    """Return the claim around a template's bytes."""
    return canonical.encode({CLAIM: {FACE: {DATA: template, KIND: TEMPLATE}}})


def read(claim: bytes) -> bytes:
    """Return the template's bytes. Raises BadInput(pass-malformed)."""
    value = canonical.decode(claim, "pass")
    try:
        template = value[CLAIM][FACE][DATA]
    except (KeyError, TypeError, IndexError):
        raise _malformed() from None
    if not isinstance(template, bytes) or write(template) != claim:  # nothing else in it, true is not 1
        raise _malformed()
    return template


def _malformed() -> BadInput:
    return BadInput("pass-malformed", "The sealed part of this pass is not a template.")
