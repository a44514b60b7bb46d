"""One table of `outside.toml`, read strictly: what is not known is an error, and so is what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from countenance.errors import StoreFault

T = TypeVar("T")
_NEEDED: Any = object()


class StrictTable:
    """Takes keys out of a table; `done` raises where one is left. Every error names the key, and no value."""

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise StoreFault("outside-malformed", f"In outside.toml, {where} is not a table.")
        self.where, self._left = where, dict(value)

    def take(self, key: str, kind: type[T], default: Any = _NEEDED, ok: Callable[[T], bool] | None = None) -> T:
        """Return the value of a key. Raises StoreFault: outside-keys (missing), outside-value (type, or not `ok`)."""
        if key not in self._left:
            if default is _NEEDED:
                raise StoreFault("outside-keys", f"In outside.toml, {self.where} lacks {key}.")
            return default  # type: ignore[no-any-return]  # of the kind that the caller asks for
        value = self._left.pop(key)
        if type(value) is not kind or (ok is not None and not ok(value)):
            raise self.wrong(key)
        return value

    def done(self) -> None:
        """Raise StoreFault(outside-keys) where the table has a key that nobody took."""
        if self._left:
            key = min(self._left)
            raise StoreFault("outside-keys", f"In outside.toml, {self.where} has an unknown key: {key}.")

    def wrong(self, key: str) -> StoreFault:
        """Return the error for a key whose value cannot be."""
        return StoreFault("outside-value", f"In outside.toml, {self.where} has a wrong {key}.")
