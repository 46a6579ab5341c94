"""Keeps the books of a whole test run: every secret, every reply, every log line.

At the end each secret may stand in one place only: the reply that first handed it out. A secret
that the client chose (a password, a code) may stand nowhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SENT = {"password", "current_password", "new_password", "code", "mfa_code"}
"""Names of request members that hold what only the client may know."""
HANDED_OUT = {"secret", "backup_codes", "codes", "challenge_id", "access_token", "refresh_token"}
"""Names of reply members that hand a secret out once."""
SHORTEST = 6


@dataclass
class Ledger:
    """``replies`` and ``lines`` are texts with a label; ``secrets`` maps one to its first reply."""

    secrets: dict[str, int | None] = field(default_factory=dict)
    replies: list[tuple[str, str]] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def sent(self, body: Any, token: str | None) -> None:
        """Note what a request carries."""
        for value in _named(body, SENT | HANDED_OUT):
            self._note(value, None)
        if token:
            self._note(token, None)

    def received(self, label: str, head: str, body: bytes) -> None:
        """Note a reply and the secrets that it hands out."""
        number = len(self.replies)
        self.replies.append((label, f"{head}\n{body.decode('utf-8', 'replace')}"))
        try:
            document = json.loads(body)
        except ValueError:
            return
        for value in _named(document, HANDED_OUT):
            self._note(value, number)

    def _note(self, value: str, number: int | None) -> None:
        if len(value) >= SHORTEST:
            self.secrets.setdefault(value, number)

    def leaks(self) -> list[str]:
        """Where a secret stands that has no business there; never the secret itself."""
        texts = [(f"reply {i} ({label})", i, text) for i, (label, text) in enumerate(self.replies)]
        texts += [(f"log ({label})", -1, line) for label, line in [*self.lines, *self._on_disk()]]
        finder = _Finder(self.secrets)
        return [
            f"{place}: a secret first seen in {self._origin(secret)}"
            for place, number, text in texts
            for secret in finder.find(text)
            if number < 0 or self.secrets[secret] != number
        ]

    def _origin(self, secret: str) -> str:
        number = self.secrets[secret]
        return "a request" if number is None else f"reply {number} ({self.replies[number][0]})"

    def _on_disk(self) -> Iterator[tuple[str, str]]:
        for path in self.files:
            if path.exists():
                yield path.name, path.read_text(encoding="utf-8", errors="replace")


class _Finder:
    """Finds many secrets in a text in one pass.

    Long ones are found anywhere, by their first characters. Short codes are found where they stand
    alone: six digits turn up by chance inside request ids, images and fractions of a second.
    """

    _gram = 12
    _word = re.compile(r"(?<![0-9A-Za-z.+/_-])[0-9A-Za-z]{6,11}(?![0-9A-Za-z+/_-])")

    def __init__(self, secrets: dict[str, int | None]) -> None:
        self._long: dict[str, list[str]] = {}
        self._short = {secret for secret in secrets if len(secret) < self._gram}
        for secret in secrets:
            if len(secret) >= self._gram:
                self._long.setdefault(secret[: self._gram], []).append(secret)

    def find(self, text: str) -> Iterator[str]:
        for match in self._word.finditer(text):
            if match[0] in self._short:
                yield match[0]
        for start in range(len(text) - self._gram + 1):
            for secret in self._long.get(text[start : start + self._gram], ()):
                if text.startswith(secret, start):
                    yield secret


def _named(document: Any, names: set[str]) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            if key in names:
                yield from _strings(value)
            else:
                yield from _named(value, names)
    elif isinstance(document, list):
        for item in document:
            yield from _named(item, names)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))
    elif isinstance(value, dict):
        yield from _named(value, HANDED_OUT)


LEDGER = Ledger()
"""The books of this run."""
