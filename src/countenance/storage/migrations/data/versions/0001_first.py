"""The first tables of countenance.db."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "event",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(tag IS NULL) = (sealed IS NULL)"),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("event_of", "event", ["tag"], unique=False)
    op.create_table(
        "log",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("generation"),
    )
    op.create_table(
        "log_tile",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "level", "number"),
    )
    op.create_table(
        "hourly_count",
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "lane", "outcome"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "intent",
        sa.Column("intent_id", sa.String(length=64), nullable=False),
        sa.Column("story", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("purpose_id", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("begun_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("intent_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lease",
        sa.Column("gate", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("gate"),
    )
    op.create_table(
        "revocation",
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("before", sa.Integer(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mark",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "person",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("record_key", sa.String(length=32), nullable=False),
        sa.Column("sealed_profile", sa.LargeBinary(), nullable=False),
        sa.Column("household", sa.String(length=64), nullable=True),
        sa.Column("guardian", sa.String(length=64), nullable=True),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["guardian"],
            ["person.person_id"],
        ),
        sa.PrimaryKeyConstraint("person_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "zone",
        sa.Column("zone_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("zone_id"),
    )
    op.create_table(
        "issued_pass",
        sa.Column("pass_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("purpose_id", sa.String(length=64), nullable=True),
        sa.Column("face_id_hash", sa.LargeBinary(), nullable=True),
        sa.Column("pass_key", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.person_id"],
        ),
        sa.PrimaryKeyConstraint("pass_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("pass_person", "issued_pass", ["person_id"], unique=False)
    op.create_table(
        "purpose",
        sa.Column("purpose_id", sa.String(length=64), nullable=False),
        sa.Column("zone_id", sa.String(length=64), nullable=False),
        sa.Column("comparison", sa.String(length=8), nullable=False),
        sa.Column("custody", sa.String(length=16), nullable=False),
        sa.Column("valid_days", sa.Integer(), nullable=False),
        sa.Column("gallery_cap", sa.Integer(), nullable=False),
        sa.CheckConstraint("comparison IN ('verify', 'search')"),
        sa.ForeignKeyConstraint(
            ["zone_id"],
            ["zone.zone_id"],
        ),
        sa.PrimaryKeyConstraint("purpose_id"),
    )
    op.create_table(
        "gallery",
        sa.Column("purpose_id", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["purpose_id"],
            ["purpose.purpose_id"],
        ),
        sa.PrimaryKeyConstraint("purpose_id"),
    )
    op.create_table(
        "notice",
        sa.Column("notice_hash", sa.String(length=64), nullable=False),
        sa.Column("purpose_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("canonical", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["purpose_id"],
            ["purpose.purpose_id"],
        ),
        sa.PrimaryKeyConstraint("notice_hash"),
    )
    op.create_index("notice_in_force", "notice", ["purpose_id", "version"], unique=True)
    op.create_table(
        "consent",
        sa.Column("consent_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("purpose_id", sa.String(length=64), nullable=False),
        sa.Column("notice_hash", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("given_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_hash"],
            ["notice.notice_hash"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.person_id"],
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"],
            ["purpose.purpose_id"],
        ),
        sa.PrimaryKeyConstraint("consent_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("consent_live", "consent", ["purpose_id", "state", "expires_at"], unique=False)
    op.create_index("consent_of", "consent", ["person_id", "purpose_id"], unique=False)
    op.create_table(
        "template",
        sa.Column("template_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("purpose_id", sa.String(length=64), nullable=False),
        sa.Column("consent_id", sa.String(length=64), nullable=False),
        sa.Column("custody", sa.String(length=16), nullable=False),
        sa.Column("pack", sa.String(length=80), nullable=False),
        sa.Column("face_key", sa.String(length=32), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("delete_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_id"],
            ["consent.consent_id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.person_id"],
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"],
            ["purpose.purpose_id"],
        ),
        sa.CheckConstraint("(custody = 'carried') = (length(sealed) = 0)"),
        sa.PrimaryKeyConstraint("template_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("template_consent", "template", ["consent_id"], unique=False)
    op.create_index("template_of", "template", ["purpose_id", "state"], unique=False)
    op.create_index("template_person", "template", ["person_id", "purpose_id"], unique=False)


def downgrade() -> None:
    """Remove them, with all that they hold."""
    op.drop_index("template_person", table_name="template")
    op.drop_index("template_of", table_name="template")
    op.drop_index("template_consent", table_name="template")
    op.drop_table("template")
    op.drop_index("consent_of", table_name="consent")
    op.drop_index("consent_live", table_name="consent")
    op.drop_table("consent")
    op.drop_index("notice_in_force", table_name="notice")
    op.drop_table("notice")
    op.drop_table("gallery")
    op.drop_table("purpose")
    op.drop_index("pass_person", table_name="issued_pass")
    op.drop_table("issued_pass")
    op.drop_table("zone")
    op.drop_table("person")
    op.drop_table("revocation")
    op.drop_table("mark")
    op.drop_table("lease")
    op.drop_table("intent")
    op.drop_table("hourly_count")
    op.drop_table("log_tile")
    op.drop_table("log")
    op.drop_index("event_of", table_name="event")
    op.drop_table("event")
