"""The tasks of docs/spec-authors.md: their edits, and what is seen on the wire before and after."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.accounts import Account, Clock, register
from tests.support.api import Api
from tests.support.servers import ROOT

GUIDE = ROOT / "docs" / "spec-authors.md"
_TASK = re.compile(r"^### \d+\. (.+?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"```diff\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Change:
    """One place of one file, the file named from the folder of the spec."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Stage:
    """A server, whose clock may be one that is moved or the machine's."""

    api: Api
    clock: Clock

    def user(self) -> Account:
        return register(self.api, self.clock).sign_in()

    def member(self) -> Account:
        return self.user().enrol()

    def wait(self, seconds: float) -> None:
        try:
            self.clock.advance(seconds=seconds)
        except AssertionError:  # the machine's own
            time.sleep(seconds)


def tasks(guide: str) -> dict[str, list[Change]]:
    """The edits of each task by its heading."""
    return {
        title: [change for block in _BLOCK.findall(text) for change in _changes(block)]
        for title, text in _TASK.findall(guide)
    }


def _changes(block: str) -> Iterator[Change]:
    """The changes of one diff: a file's name, then its places, parted by ``@@``."""
    file = ""
    for part in re.split(r"^@@\n|^(?=--- )", block, flags=re.MULTILINE):
        lines = part.splitlines()
        if lines and lines[0].startswith("--- "):
            file = lines.pop(0).removeprefix("--- spec/")
        if lines:
            assert all(line[:1] in (" ", "-", "+") for line in lines), lines
            old, new = ("\n".join(x[1:] for x in lines if x[0] in side) for side in (" -", " +"))
            yield Change(file, old, new)


def make(spec: Path, changes: list[Change]) -> None:
    """Make the edits in the folder of a spec: each file is written once, as an editor does."""
    for file in dict.fromkeys(change.file for change in changes):
        text = (spec / file).read_text("utf-8")
        for change in changes:
            if change.file == file:
                assert text.count(change.old) == 1, f"{change.old!r} in {file}"
                text = text.replace(change.old, change.new)
        (spec / file).write_text(text, "utf-8")


def undone(changes: list[Change]) -> list[Change]:
    """The edits that take these back."""
    return [Change(change.file, change.new, change.old) for change in changes]


# -- what is seen ----------------------------------------------------------------------------


def _digits(stage: Stage) -> Any:
    account = stage.user()
    setup = account.set_up()
    return (
        setup["digits"],
        f"digits={setup['digits']}" in setup["otpauth_uri"],
        bool(account.enrol()),
    )


def _fresh(stage: Stage) -> Any:
    account = stage.member()
    stage.wait(1.5)
    reply = account.post("/mfa/backup-codes/regenerate")
    return reply.status, "max_age" in reply.headers.get("WWW-Authenticate", "")


def _retired(stage: Stage) -> Any:
    reply = stage.user().get("/auth/sessions")
    told = [reply.headers.get(name) for name in ("Deprecation", "Sunset", "Link")]
    return reply.status, told


def _guesses(stage: Stage) -> Any:
    account = stage.member()
    for number in range(1, 10):
        reply = account.finish(account.begin()["challenge_id"], account.wrong_code())
        if reply.status == 429:
            return number, reply.headers["Retry-After"]
    return None


def _twelve(stage: Stage) -> Any:
    account = stage.member()
    codes = account.post("/mfa/backup-codes/regenerate").data["codes"]
    return len(codes), account.status()["backup_codes_total"]


def _wording(stage: Stage) -> Any:
    body = {"username": stage.user().username, "password": "not the one"}
    reply = stage.api.post("/auth/login", json=body)
    return reply.code, reply.json["message"]


def _header(stage: Stage) -> Any:
    return stage.user().get("/mfa/status").headers.get("Referrer-Policy")


def _life(stage: Stage) -> Any:
    return stage.user().begin()["expires_in"]


def _base(stage: Stage) -> Any:
    return [stage.api.get(path).status for path in ("/health/live", "/v1/health/live")]


def _longer(stage: Stage) -> Any:
    account = stage.user()
    body = {"current_password": account.password, "new_password": "eleven char"}
    reply = account.post("/auth/password", json=body)
    refused = (
        [each["keyword"] for each in reply.json["error"]["details"]] if reply.status == 400 else []
    )
    return reply.status, refused


@dataclass(frozen=True)
class Seen:
    """How the effect of a task is looked at, and what is seen without it and with it."""

    look: Callable[[Stage], Any]
    before: Any
    after: Any


_LINK = '</auth/session>; rel="successor-version"'
SEEN = {
    "Make codes eight digits": Seen(_digits, (6, True, True), (8, True, True)),
    "Ask for a fresh second factor before regenerating": Seen(_fresh, (200, False), (401, True)),
    "Retire an operation": Seen(
        _retired,
        (200, [None, None, None]),
        (410, ["@1767225600", "Tue, 30 Jun 2026 00:00:00 GMT", _LINK]),
    ),
    "Slow down guessing": Seen(_guesses, (6, "30"), (3, "30")),
    "Hand out twelve backup codes": Seen(_twelve, (10, 10), (12, 12)),
    "Say something in other words": Seen(
        _wording,
        ("invalid_credentials", "The credentials are not valid"),
        ("invalid_credentials", "The username or the password is wrong"),
    ),
    "Send one more header": Seen(_header, None, "no-referrer"),
    "Shorten the life of access tokens": Seen(_life, 600, 300),
    "Move everything under a base path": Seen(_base, [200, 404], [404, 200]),
    "Ask for longer passwords": Seen(_longer, (200, []), (400, ["minLength"])),
}
