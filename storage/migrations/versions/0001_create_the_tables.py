"""Create the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)

_TABLES = (
    "users",
    "sessions",
    "refresh_tokens",
    "challenges",
    "factors",
    "code_sets",
    "backup_codes",
    "budgets",
    "addresses",
)


def upgrade() -> None:
    _create_users()
    _create_sessions()
    _create_challenges()
    _create_factors()
    _create_backup_codes()
    _create_guess_keeping()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _owner(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [target], name=f"fk_{table}_{column}", ondelete="CASCADE"
    )


def _index(table: str, column: str) -> None:
    op.create_index(f"ix_{table}_{column}", table, [column])


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("username_key", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_users"),
        sa.UniqueConstraint("id", name="uq_users_id"),
        sa.UniqueConstraint("username_key", name="uq_users_username_key"),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("acr", sa.Text, nullable=False),
        sa.Column("amr", sa.Text, nullable=False),
        sa.Column("auth_time", _TIME, nullable=False),
        sa.Column("mfa_time", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME, nullable=False),
        sa.Column("idle_until", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("user_agent", sa.Text),
        sa.Column("ended_at", _TIME),
        sa.PrimaryKeyConstraint("number", name="pk_sessions"),
        sa.UniqueConstraint("id", name="uq_sessions_id"),
        _owner("sessions", "user_id", "users.id"),
    )
    _index("sessions", "user_id")
    _index("sessions", "idle_until")
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
        _owner("refresh_tokens", "session_id", "sessions.id"),
    )
    _index("refresh_tokens", "session_id")


def _create_challenges() -> None:
    op.create_table(
        "challenges",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("wrong", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
        sa.PrimaryKeyConstraint("number", name="pk_challenges"),
        sa.UniqueConstraint("digest", name="uq_challenges_digest"),
        _owner("challenges", "user_id", "users.id"),
        _owner("challenges", "session_id", "sessions.id"),
    )
    for column in ("user_id", "session_id", "expires_at"):
        _index("challenges", column)


def _create_factors() -> None:
    op.create_table(
        "factors",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("pending", sa.Boolean, nullable=False),
        sa.Column("sealed_secret", sa.Text, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("digits", sa.Integer, nullable=False),
        sa.Column("period", sa.Integer, nullable=False),
        sa.Column("window", sa.Integer, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("enabled_at", _TIME),
        sa.Column("last_used_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_factors"),
        sa.UniqueConstraint("user_id", "pending", name="uq_factors_user_id_pending"),
        _owner("factors", "user_id", "users.id"),
    )
    _index("factors", "expires_at")


def _create_backup_codes() -> None:
    op.create_table(
        "code_sets",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("factor_id", sa.Text, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("pepper_id", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("generated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_code_sets"),
        sa.UniqueConstraint("factor_id", name="uq_code_sets_factor_id"),
        _owner("code_sets", "factor_id", "factors.id"),
    )
    op.create_table(
        "backup_codes",
        sa.Column("set_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("used_at", _TIME),
        sa.PrimaryKeyConstraint("set_id", "digest", name="pk_backup_codes"),
        _owner("backup_codes", "set_id", "code_sets.id"),
    )


def _create_guess_keeping() -> None:
    op.create_table(
        "budgets",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last_at", _TIME),
        sa.PrimaryKeyConstraint("key", name="pk_budgets"),
    )
    _index("budgets", "last_at")
    op.create_table(
        "addresses",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("last_seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "address", name="pk_addresses"),
        _owner("addresses", "user_id", "users.id"),
    )
