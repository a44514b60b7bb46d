"""The tables of `keys.db`, a store apart with backups apart. Names nobody: a key knows its owner by hash.

The wrapping keys are in neither store: the epoch key is in its own file (DESIGN 3).
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table

HEAD = "0001"

metadata = MetaData()

wrapped_key = Table(
    "wrapped_key", metadata,
    Column("key_id", String(32), primary_key=True),
    Column("kind", String(8), nullable=False),          # face | record | pass
    Column("binding", LargeBinary, nullable=False),     # SHA-256 over key, kind, person, purpose
    Column("epoch", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),     # nonce ‖ AES-256-GCM
    Column("made_at", Integer, nullable=False),
    sqlite_with_rowid=False,  # in the order of the ids, as rotation goes through them
)
