"""What "rejected" means: a 4xx that gives nothing away and has changed nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.security.site import Site
from tests.support.accounts import Account
from tests.support.api import Reply

GIFTS = {"access_token", "refresh_token", "secret", "otpauth_uri", "backup_codes", "codes"}
"""Names of members that no refusal may have; a challenge is one more."""

KEPT = {
    "users": "SELECT username, password_hash, active FROM users WHERE id = :user",
    "factors": "SELECT id, pending, sealed_secret, last_step, enabled_at"
    " FROM factors WHERE user_id = :user ORDER BY id",
    "codes": "SELECT b.set_id, b.digest, b.used_at FROM backup_codes b"
    " JOIN code_sets c ON c.id = b.set_id JOIN factors f ON f.id = c.factor_id"
    " WHERE f.user_id = :user ORDER BY b.set_id, b.digest",
}
"""What a refused request leaves exactly as it was."""
GROWING = {
    "sessions": "SELECT id, acr, amr, auth_time, mfa_time, idle_until, ended_at"
    " FROM sessions WHERE user_id = :user",
    "tokens": "SELECT t.digest, t.used_at FROM refresh_tokens t"
    " JOIN sessions s ON s.id = t.session_id WHERE s.user_id = :user",
    "challenges": "SELECT digest, used_at FROM challenges WHERE user_id = :user",
}
"""What a refused request adds nothing to. Expired rows may be purged at any time."""


def refused(reply: Reply, *codes: str) -> Reply:
    """The reply, which must be a refusal (with one of ``codes``) without anything of value."""
    assert 400 <= reply.status < 500, (reply.status, reply.content)
    assert "set-cookie" not in reply.headers
    assert "location" not in reply.headers
    document = json.loads(reply.content)
    assert document["success"] is False
    assert not set(names(document)) & (GIFTS | {"challenge_id", "data"}), document
    assert not codes or reply.code in codes, (reply.code, codes)
    return reply


def names(document: Any) -> Iterator[str]:
    """The name of every member of a document, however deep."""
    if isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from names(value)
    elif isinstance(document, list):
        for item in document:
            yield from names(item)


def state(site: Site, account: Account) -> dict[str, list[tuple[Any, ...]]]:
    """What the database holds of an account, but for what counts failures."""
    return {
        name: [tuple(row.values()) for row in site.rows(sql, user=account.user_id)]
        for name, sql in (KEPT | GROWING).items()
    }


@contextmanager
def unchanged(site: Site, *accounts: Account) -> Iterator[None]:
    """Assert that the accounts have gained and lost nothing when the block ends."""
    before = [state(site, account) for account in accounts]
    assert all(rows["users"] for rows in before)
    yield
    for account, then in zip(accounts, before, strict=True):
        now = state(site, account)
        assert {name: now[name] for name in KEPT} == {name: then[name] for name in KEPT}
        assert all(set(now[name]) <= set(then[name]) for name in GROWING), (then, now)
