"""The tables. ``storage/migrations`` builds the same ones; a test holds the two together.

Tables whose rows have an order of arrival carry a ``number`` beside their public key, because
two rows of the same instant must still have an older and a newer one.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from storage.columns import RowNumber, UtcDateTime, Words

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _belongs_to(target: str) -> ForeignKey:
    return ForeignKey(target, ondelete="CASCADE")


users = Table(
    "users",
    metadata,
    Column("number", RowNumber, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("role", Text, nullable=False, server_default="user"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("number", RowNumber, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, _belongs_to("users.id"), nullable=False, index=True),
    Column("acr", Text, nullable=False),
    Column("amr", Words, nullable=False),
    Column("auth_time", UtcDateTime, nullable=False),
    Column("mfa_time", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    Column("idle_until", UtcDateTime, nullable=False, index=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("user_agent", Text),
    Column("ended_at", UtcDateTime),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("session_id", Text, _belongs_to("sessions.id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)

challenges = Table(
    "challenges",
    metadata,
    Column("number", RowNumber, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("user_id", Text, _belongs_to("users.id"), nullable=False, index=True),
    Column("session_id", Text, _belongs_to("sessions.id"), index=True),
    Column("wrong", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("used_at", UtcDateTime),
)

factors = Table(
    "factors",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, _belongs_to("users.id"), nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("sealed_secret", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("digits", Integer, nullable=False),
    Column("period", Integer, nullable=False),
    Column("window", Integer, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, index=True),
    Column("enabled_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    # One active and one pending factor a user, whatever races for the place.
    UniqueConstraint("user_id", "pending"),
)

code_sets = Table(
    "code_sets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("factor_id", Text, _belongs_to("factors.id"), nullable=False, unique=True),
    Column("salt", Text, nullable=False),
    Column("pepper_id", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("generated_at", UtcDateTime, nullable=False),
)

backup_codes = Table(
    "backup_codes",
    metadata,
    Column("set_id", Text, _belongs_to("code_sets.id"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("used_at", UtcDateTime),
)

budgets = Table(
    "budgets",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, index=True),
)

addresses = Table(
    "addresses",
    metadata,
    Column("user_id", Text, _belongs_to("users.id"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("last_seen_at", UtcDateTime, nullable=False, index=True),
)

# Append-only, without foreign keys: what happened stays on record when the account is gone.
audit_events = Table(
    "audit_events",
    metadata,
    Column("number", RowNumber, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("event", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("reason", Text),
    Column("user_id", Text),
    Column("actor_id", Text),
    Column("session_id", Text),
    Column("factor", Text),
    Column("address", Text),
    Column("request_id", Text),
    Column("key_id", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "user_id", "number"),
    Index(None, "event", "number"),
    Index(None, "key_id"),
)

# One row: the newest event's number and hash, locked by whoever appends.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

# What tells a wrong key from a right one: of each key that stored rows need.
key_fingerprints = Table(
    "key_fingerprints",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
)

# When a chore is due next; whose guarded UPDATE moves the time has the turn.
chores = Table(
    "chores",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", UtcDateTime),
)
