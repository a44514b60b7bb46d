"""Tables of what the law asks: statements that people signed, rulings in force, requests, lanes and their waits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them, empty."""
    op.create_table(
        "statement",
        sa.Column("statement_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("signer", sa.String(length=64), nullable=False),
        sa.Column("from_at", sa.Integer(), nullable=False),
        sa.Column("until_at", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("statement_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("statement_of", "statement", ["kind", "subject"], unique=False)
    op.create_table(
        "ruling",
        sa.Column("ruling_id", sa.String(length=64), nullable=False),
        sa.Column("effect", sa.String(length=8), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("ground", sa.String(length=16), nullable=False),
        sa.Column("from_at", sa.Integer(), nullable=False),
        sa.Column("until_at", sa.Integer(), nullable=True),
        sa.Column("lifted_at", sa.Integer(), nullable=True),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.CheckConstraint("effect IN ('stop', 'preserve')"),
        sa.CheckConstraint("scope IN ('person', 'zone', 'controller')"),
        sa.PrimaryKeyConstraint("ruling_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ruling_in_force", "ruling", ["effect", "scope", "target"], unique=False)
    op.create_table(
        "request",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("by_kin", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("opened_at", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.Integer(), nullable=True),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.CheckConstraint("outcome IN ('open', 'granted', 'partly', 'refused')"),
        sa.PrimaryKeyConstraint("request_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("request_of", "request", ["person_id"], unique=False)
    op.create_table(
        "withheld",
        sa.Column("withheld_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("until_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("withheld_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lane_proof",
        sa.Column("zone_id", sa.String(length=64), nullable=False),
        sa.Column("gate_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lane_wait",
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "zone_id", "lane", "seconds"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove them, with all that they hold."""
    op.drop_table("lane_wait")
    op.drop_table("lane_proof")
    op.drop_table("withheld")
    op.drop_index("request_of", table_name="request")
    op.drop_table("request")
    op.drop_index("ruling_in_force", table_name="ruling")
    op.drop_table("ruling")
    op.drop_index("statement_of", table_name="statement")
    op.drop_table("statement")
