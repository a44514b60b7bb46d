"""Tables of the server: who may do what, gates, codes, what is to be delivered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEFORE = "CHECK (comparison IN ('verify', 'search'))"
SINCE = ("CHECK (comparison IN ('verify', 'search', 'disclose')), \n\t"
         "CHECK ((comparison = 'disclose') = (custody = 'none'))")


def _rule(before: str, since: str) -> None:
    """Put another rule in the place of one of `purpose`: no row of a table changes (sqlite.org/lang_altertable.html).

    Making the table anew, which is the other way, would take foreign keys off in a transaction, and SQLite does not.
    """
    bind = op.get_bind()
    number = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema=ON")
    changed = bind.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'purpose'"
        " AND instr(sql, ?) > 0", (before, since, before)).rowcount
    bind.exec_driver_sql(f"PRAGMA schema_version={number + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema=OFF")
    if changed != 1:
        raise RuntimeError("the table purpose is not as migration 0001 made it")


def upgrade() -> None:
    """Make the tables, and let a purpose be one to disclose."""
    _rule(BEFORE, SINCE)
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("gate_id", sa.String(length=64), nullable=False),
        sa.Column("purposes", sa.String(length=2000), nullable=False),
        sa.Column("pressed", sa.Boolean(), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("revoked_at", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_table(
        "delivery",
        sa.Column("delivery_id", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("last_code", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("delivery_due", "delivery", ["state", "next_at"], unique=False)
    op.create_table(
        "idempotent",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("token"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "one_time",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("operator_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("one_time_for", "one_time", ["kind", "operator_id", "person_id"], unique=False)
    op.create_table(
        "operator",
        sa.Column("operator_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("operator_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("operator_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("csrf_hash", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("session_of", "session", ["person_id"], unique=False)
    op.create_table(
        "me_code",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.person_id"],
        ),
        sa.PrimaryKeyConstraint("person_id"),
        sa.UniqueConstraint("code_hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "passkey",
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("operator_id", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.operator_id"],
        ),
        sa.PrimaryKeyConstraint("credential_id"),
    )
    op.create_table(
        "gate",
        sa.Column("gate_id", sa.String(length=64), nullable=False),
        sa.Column("zone_id", sa.String(length=64), nullable=False),
        sa.Column("purpose_id", sa.String(length=64), nullable=True),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("liveness", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("closed_by", sa.String(length=64), nullable=False),
        sa.Column("door", sa.String(length=64), nullable=False),
        sa.Column("lease_minutes", sa.Integer(), nullable=False),
        sa.CheckConstraint("(mode = 'pass') = (purpose_id IS NULL)"),
        sa.CheckConstraint("mode IN ('pass', 'pass-and-face', 'face')"),
        sa.ForeignKeyConstraint(
            ["purpose_id"],
            ["purpose.purpose_id"],
        ),
        sa.ForeignKeyConstraint(
            ["zone_id"],
            ["zone.zone_id"],
        ),
        sa.PrimaryKeyConstraint("gate_id"),
    )


def downgrade() -> None:
    """Remove them, with all that they hold."""
    op.execute("DELETE FROM notice WHERE purpose_id IN (SELECT purpose_id FROM purpose WHERE comparison = 'disclose')")
    op.execute("DELETE FROM purpose WHERE comparison = 'disclose'")
    _rule(SINCE, BEFORE)
    op.drop_table("gate")
    op.drop_table("passkey")
    op.drop_table("me_code")
    op.drop_index("session_of", table_name="session")
    op.drop_table("session")
    op.drop_table("operator")
    op.drop_index("one_time_for", table_name="one_time")
    op.drop_table("one_time")
    op.drop_table("idempotent")
    op.drop_index("delivery_due", table_name="delivery")
    op.drop_table("delivery")
    op.drop_table("api_key")
