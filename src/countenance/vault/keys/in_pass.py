"""What is sealed inside a pass: a template (`carried`), or the only key to one (`holder_keyed`).

Either is a COSE_Encrypt0 under the pass's own key, which the venue keeps, bound to the bytes that were issued.
Neither half alone is a face. A lost pass means enrolling again; that is the point (EDPB Opinion 11/2024).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from countenance.errors import BadInput
from countenance.formats import canonical, claim169, cose
from countenance.formats.passes import Pass
from countenance.vault.keys import sealing
from countenance.vault.keys.roots import KEY_BYTES
from countenance.vault.keys.store import FaceKeys, KeyRef


@dataclass(frozen=True, repr=False)
class Shown:
    """A pass as it was shown: the name of its key here, the SHA-256 of its bytes, and its content.

    What binds its secret is read off the content, so that one cannot be claimed for another.
    """

    key: KeyRef
    digest: bytes
    content: Pass


def carry(faces: FaceKeys, key: KeyRef, binding: bytes, template: bytes) -> bytes:
    """Return the secret of a `carried` pass."""
    claim = claim169.write(template)
    return faces.with_new_pass(key, lambda pass_key: cose.encrypt0(claim, pass_key, binding))


def carried(faces: FaceKeys, shown: Shown) -> bytearray:
    """Return the template out of a `carried` pass.

    Raises StoreFault(key-destroyed), Refused(pass-unknown), BadInput(pass-altered, pass-malformed).
    """
    return bytearray(claim169.read(_opened(faces, shown)))


def seal_for_holder(faces: FaceKeys, key: KeyRef, binding: bytes, aad: bytes, template: bytes) -> tuple[bytes, bytes]:
    """Seal a template under a new key that only the holder gets; return the ciphertext, and the pass's secret."""
    holder = bytearray(os.urandom(KEY_BYTES))
    try:
        secret = faces.with_new_pass(key, lambda pass_key: cose.encrypt0(bytes(holder), pass_key, binding))
        return sealing.seal(holder, aad, template), secret
    finally:
        holder[:] = bytes(KEY_BYTES)


def open_for_holder(faces: FaceKeys, shown: Shown, aad: bytes, sealed: bytes) -> bytearray:
    """Open what `seal_for_holder` sealed. Raises as `carried`, and StoreFault(sealed-altered)."""
    holder = bytearray(_opened(faces, shown))
    try:
        if len(holder) != KEY_BYTES:
            raise BadInput("pass-malformed", "The secret in this pass is not a key.")
        return sealing.open_sealed(holder, aad, sealed)
    finally:
        holder[:] = bytes(len(holder))


def holder_aad(label: str, person: str, purpose: str) -> bytes:
    """Return what a holder's ciphertext is bound to (docs/formats/template.md)."""
    return canonical.encode(["countenance/holder-sealed/1", label, person, purpose])


def _opened(faces: FaceKeys, shown: Shown) -> bytes:
    return faces.with_pass(shown.key, shown.digest,
                           lambda key: cose.decrypt0(
                               shown.content.secret, key, "pass", shown.content.binding()))
