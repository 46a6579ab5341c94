"""Add roles, the audit trail, fingerprints of keys, and the turns of chores.

Additive: a server of the version before it goes on beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _add_role()
    _create_audit()
    _create_key_fingerprints()
    _create_chores()
    op.create_index("ix_addresses_last_seen_at", "addresses", ["last_seen_at"])


def downgrade() -> None:
    op.drop_index("ix_addresses_last_seen_at", "addresses")
    for table in ("chores", "key_fingerprints", "audit_head", "audit_events"):
        op.drop_table(table)
    with op.batch_alter_table("users") as users:
        users.drop_column("role")


def _add_role() -> None:
    # The default is for the version before, which inserts users without a role.
    op.add_column("users", sa.Column("role", sa.Text, nullable=False, server_default="user"))


def _create_audit() -> None:
    # No foreign keys: what happened stays on record when the account is gone.
    op.create_table(
        "audit_events",
        sa.Column("number", _NUMBER, nullable=False, autoincrement=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("user_id", sa.Text),
        sa.Column("actor_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("factor", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_user_id_number", "audit_events", ["user_id", "number"])
    op.create_index("ix_audit_events_event_number", "audit_events", ["event", "number"])
    op.create_index("ix_audit_events_key_id", "audit_events", ["key_id"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "number": 0, "hash": ""}])


def _create_key_fingerprints() -> None:
    op.create_table(
        "key_fingerprints",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_key_fingerprints"),
    )


def _create_chores() -> None:
    chores = op.create_table(
        "chores",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("due_at", _TIME),
        sa.PrimaryKeyConstraint("name", name="pk_chores"),
    )
    op.bulk_insert(chores, [{"name": "purge", "due_at": None}])
