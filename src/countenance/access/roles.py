"""The roles, and who a request comes from.

    owner        everything at the console, and who else may sign in; made by a one-time code, never by a default
    operator     the venue's day: gates, people, notices, keys of lower roles
    desk         enrolment, passes, withdrawal on behalf of people in front of it
    gate_staff   one gate: sees why somebody was referred, admits or turns away by hand
    gate         one gate: decisions, the revocation list
    auditor      reads what is in the clear: counts, the log, evidence of the whole venue; nobody's record
    witness      reads the log
    person       their own page and nothing of anybody else's
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from countenance.errors import Refused
from countenance.quantities import PersonId, PurposeId

NOBODY = PersonId("")


class Role(Enum):
    """What somebody may do. The rows of docs/routes.md say which route is open to whom."""

    OWNER = "owner"
    OPERATOR = "operator"
    DESK = "desk"
    GATE_STAFF = "gate_staff"
    GATE = "gate"
    AUDITOR = "auditor"
    WITNESS = "witness"
    PERSON = "person"


KEY_ROLES = frozenset({Role.OPERATOR, Role.DESK, Role.GATE_STAFF, Role.GATE, Role.AUDITOR, Role.WITNESS})
"""Roles that an API key may have. An owner and a person sign in themselves."""

CONSOLE_ROLES = frozenset({Role.OWNER, Role.OPERATOR, Role.DESK, Role.GATE_STAFF, Role.AUDITOR})
"""Roles of those who sign in with a password or a passkey."""

AT_A_GATE = frozenset({Role.GATE, Role.GATE_STAFF})
"""Roles of a key that is bound to one gate."""

MAY_BE_PRESSED = AT_A_GATE | {Role.DESK}
"""Roles of a key whose every call may stand for a press by the person in front. A client of another system, which
knows no press, has one key for all it does; whoever makes the key says so, and it stands in the log."""


@dataclass(frozen=True)
class Who:
    """Who a request comes from, as far as it was proved.

    `name`: of the operator or the key, for the record of who looked. `gate`, `purposes`, `pressed`: what an API key is
    bound to; empty for an operator, who is bound to none. `person`: of somebody at their own page.
    """

    role: Role
    name: str
    key_id: str = ""
    operator_id: str = ""
    gate: str = ""
    purposes: frozenset[PurposeId] = frozenset()
    pressed: bool = False
    person: PersonId = NOBODY
    session: str = ""

    def require_gate(self, gate: str) -> None:
        """Raise Refused(key-other-gate) where a key is bound to another gate."""
        if self.key_id and self.role in AT_A_GATE and self.gate != gate:
            raise Refused("key-other-gate", "This key belongs to another gate.")

    def require_purpose(self, purpose: PurposeId) -> None:
        """Raise Refused(key-other-purpose) where a key is bound to other purposes."""
        if self.key_id and purpose not in self.purposes:
            raise Refused("key-other-purpose", "This key is for other purposes.")
