"""``countersign``: serve, and look after the spec, the database, the keys and the users."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from contract.diagnostics import SpecError
from contract.operation import rule_for
from contract.replies import in_words
from domain import accounts, audit, reencryption, verification
from domain.audit import Trail
from domain.errors import Refusal, Unavailable
from domain.records import AuditEvent
from domain.services import Services
from domain.verification import Defect, verify
from server import app, foundation, keyring, keys, logs, mock, serve, settings, spec
from server.spec_commands import ROOT, root_of, spec_group, warn
from storage import migrate
from storage.engine import DatabaseURLError

_NO_DATABASE = (
    "the database does not answer, or its schema is of another version (countersign db upgrade)"
)

SETTLED = timedelta(minutes=1)
"""A key this old is the newest to every server, and what began under the one before has ended."""

ROLE_CHANGED = "user.role_changed"
"""The event of what only commands do, so that the spec has no name for it."""


class Unfit(Exception):
    """A username or a password that the spec does not admit: pointers and rules, no values."""


@contextmanager
def _plain_errors(ctx: click.Context) -> Iterator[None]:
    """What stops a command is said on standard error, a line a problem, with exit status 1."""
    try:
        yield
    except (SpecError, settings.SettingsError, keys.KeyDirectoryError, Unfit) as error:
        click.echo(str(error), err=True)
    except (DatabaseURLError, OSError) as error:
        click.echo(f"error: {error}", err=True)
    except Unavailable:
        click.echo(_NO_DATABASE, err=True)
    except Refusal as refusal:
        click.echo(_said(refusal, ctx.obj), err=True)
    else:
        return
    sys.exit(1)


def _said(refusal: Refusal, reading: spec.Reading | None) -> str:
    """What the spec has a client told who is refused for the same reason; else the code, in words."""
    operations = reading.contract.operations.values() if reading else ()
    rules = (rule_for(operation.responses, refusal.status) for operation in operations)
    speaking = (rule for rule in rules if rule and refusal.code in rule.wordings)
    rule = next(speaking, None)
    return rule.message(refusal.code, refusal.wording) if rule else in_words(refusal.code)


class _Group(click.Group):
    """A command group whose known errors end in a message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        with _plain_errors(ctx):
            return super().invoke(ctx)


def _as_text(_context: object, option: click.Parameter, value: str | None) -> str | None:
    """An argument that is text, for no other can be in the database; else :class:`Unfit`."""
    if value is not None and not _is_text(value):
        raise Unfit(f"/{option.name}: is not text")
    return value


def _is_text(value: str) -> bool:
    """False where an argument was not UTF-8 and came with lone surrogates in its place."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="countersign")
def main() -> None:
    """A spec-first multi-factor-authentication server."""


main.add_command(spec_group)


@main.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes."
)
@click.option("--watch", is_flag=True, help="Take up each change of the spec's files at once.")
def serve_command(host: str, port: int, workers: int, watch: bool) -> None:
    """Serve the API, its documentation at /docs and the bundle at /openapi.json.

    SIGHUP has the spec read again; a broken one is refused, and the contract in force stays.
    """
    logs.configure()
    current = settings.load()
    reading = app.read(current)
    warn(reading)
    app.prepare(current)
    serve.run(current, reading, host, port, workers, watch=watch)


@main.command("mock")
@ROOT
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8081, show_default=True, help="Port to listen on.")
def mock_command(root: Path | None, host: str, port: int) -> None:
    """Serve ROOT, or the spec in force, from its examples: requests are checked, nothing is done.

    A request can ask for another reply: "Prefer: code=409, example=username_taken" for a status and
    an example that the spec has, "Prefer: dynamic=true" for a body drawn at random.
    """
    logs.configure()
    application, tokens = mock.create(root_of(root))
    for token in tokens.good:
        click.echo(f"Authorization: Bearer {token}")
    serve.alone(application, host, port)


@main.group("db")
def db_group() -> None:
    """Look after the database."""


@db_group.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema to this version."""
    url = settings.load().database_url
    migrate.upgrade(url)
    click.echo(f"schema at {migrate.current(url)}")


@main.group("keys")
def keys_group() -> None:
    """Look after the keys. A running server sees within a second what has changed."""


@keys_group.command("list")
def keys_list() -> None:
    """List the keys by kind and age, each with what it is used for now."""
    current = settings.load()
    listed = keys.listing(current.key_dir)
    signing = [key_id for kind, key_id, _ in listed if kind == "signing"]
    policies = spec.read(current.spec).policies
    turns = keyring.turns_of(signing, policies, foundation.SystemClock().now()) if signing else {}
    for kind, key_id, newest in listed:
        use = turns[key_id] if kind == "signing" else "current" if newest else "old"
        click.echo(f"{kind:<12}{key_id}  {use}")


@keys_group.command("rotate")
@click.argument("kinds", nargs=-1, type=click.Choice(keys.KINDS))
def keys_rotate(kinds: tuple[str, ...]) -> None:
    """Make a new current key of each kind given (all where none is); old ones stay readable.

    A signing key is published first, and signs when verifiers have had the time to learn it.
    """
    folder = settings.load().key_dir
    with keys.locked(folder):
        for kind in kinds or keys.KINDS:
            first = not keys.ids(folder, kind)
            use = "current" if kind != "signing" else "signing" if first else "published"
            click.echo(f"{kind:<12}{keys.make(folder, kind)}  {use}")


@keys_group.command("reencrypt")
def keys_reencrypt() -> None:
    """Re-encrypt every TOTP secret with the current key, and tell which old keys can be deleted.

    Servers may run meanwhile. The exit status is 1 where secrets are left under an old key.
    """
    services = _services()
    found = reencryption.reencrypt(services)
    click.echo(f"{found.done} secrets re-encrypted, {found.left} left under another key")
    for line in _released(services):
        click.echo(line)
    sys.exit(1 if found.left else 0)


def _released(services: Services) -> Iterator[str]:
    for kind, ring in services.keys.rings.items():
        newest, _ = ring.current()
        if keys.made_at(newest) + SETTLED <= services.clock.now():
            for key_id in reencryption.release(services, kind):
                yield f"{kind:<12}{key_id}  no row needs it; its file can be deleted"
        elif len(ring.all()) > 1:
            yield f"{kind:<12}{newest}  is too new to tell whether the older ones are needed"


@main.group("audit")
def audit_group() -> None:
    """Look at what was done and what was refused."""


@audit_group.command("verify")
def audit_verify() -> None:
    """Hold the whole trail against its chain; name each event that was edited, removed or inserted.

    Servers may run meanwhile. The exit status is 1 where something does not fit.
    """
    services, found = _services(), []

    def tell(defect: Defect) -> None:
        found.append(defect.what)
        click.echo(str(defect))

    count = verify(services.store, services.chain.keys, tell)
    click.echo(f"{count} events, {len(found)} defects" if found else f"{count} events, no defects")
    sys.exit(1 if found else 0)


@audit_group.command("list")
@click.option("--user", "username", callback=_as_text, help="Only what concerns this user.")
@click.option("--event", callback=_as_text, help="Only events of this name, such as mfa.enabled.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000_000))
def audit_list(username: str | None, event: str | None, limit: int) -> None:
    """List events, the newest first: number, time, result, event, and what else is known."""
    services, cursor = _services(), None
    user_id = accounts.find(services, username).id if username else None
    while limit > 0:
        size = min(limit, verification.PAGE)
        page = audit.list_all(services, limit=size, cursor=cursor, user_id=user_id, event=event)
        for each in page.events:
            click.echo(_line(each))
        limit, cursor = limit - size if page.next_cursor else 0, page.next_cursor


def _line(event: AuditEvent) -> str:
    names = ("reason", "user_id", "actor_id", "session_id", "factor", "address", "request_id")
    known = ((name, getattr(event, name)) for name in names)
    what = [f"{event.number}  {event.at:%Y-%m-%dT%H:%M:%SZ}  {event.result:<7}  {event.event}"]
    return "  ".join([*what, *(f"{name}={value}" for name, value in known if value)])


@main.group("user")
def user_group() -> None:
    """Look after the users."""


def _services(reading: spec.Reading | None = None) -> Services:
    current, context = settings.load(), click.get_current_context()
    logs.configure(logging.WARNING)
    app.prepare(current)
    context.find_root().obj = reading = reading or spec.read(current.spec)
    services = app.compose(current, reading)
    context.call_on_close(services.store.close)
    services.store.ping()
    return services


def _hold(reading: spec.Reading, username: str, password: str, *, below: str = "") -> None:
    """Hold what an administrator types against what registration asks of everyone.

    ``below`` limits it to one member. Raises :class:`Unfit`.
    """
    if not _is_text(password):
        raise Unfit("/password: is not text")
    rule = reading.contract.operations["registerUser"].body
    body = {"username": username, "password": password}
    found = [] if rule is None else rule.rules.violations(body, "body")
    lines = [f"{fault.pointer}: {fault.keyword}: {fault.message}" for fault in found]
    unfit = [line for line in lines if line.startswith(below)]
    if unfit:
        raise Unfit("\n".join(unfit))


def _password(from_stdin: bool) -> str:
    if not from_stdin:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.buffer.readline().removesuffix(b"\n")
    return line.decode(errors="surrogateescape")


_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from one line.")

_USERNAME = click.argument("username", callback=_as_text)


@user_group.command("create")
@_USERNAME
@_STDIN
@click.option("--admin", is_flag=True, help="Make an administrator.")
def user_create(username: str, password_stdin: bool, admin: bool) -> None:
    """Create a user, even where registration is closed."""
    reading, password = spec.read(settings.load().spec), _password(password_stdin)
    _hold(reading, username, password)
    services, role = _services(reading), accounts.ADMIN if admin else accounts.USER
    trail = _trail(services, "registerUser")
    user = accounts.create_user(services, trail, username, password, role)
    click.echo(f"{user.user_id}  {user.username}")


@user_group.command("list")
def user_list() -> None:
    """List the users in the order of creation: id, time, state, role, MFA, name."""
    for user in accounts.list_accounts(_services()):
        state = "active" if user.active else "deactivated"
        mfa = "mfa" if user.mfa_enabled else "-"
        click.echo(
            f"{user.id}  {user.created_at:%Y-%m-%dT%H:%M:%SZ}  {state:<12}{user.role:<6}{mfa:<4}"
            f"{user.username}"
        )


@user_group.command("set-password")
@_USERNAME
@_STDIN
def user_set_password(username: str, password_stdin: bool) -> None:
    """Set a user's password; all sessions of the user end."""
    reading, password = spec.read(settings.load().spec), _password(password_stdin)
    _hold(reading, username, password, below="/password")
    services = _services(reading)
    accounts.set_password(services, _trail(services, "changePassword"), username, password)
    click.echo("password set, sessions ended")


def _trail(services: Services, operation_id: str | None) -> Trail:
    """The trail of a command that does to an account what the operation does, named as it is."""
    operation = operation_id and services.policies.operations[operation_id]
    return Trail((operation and operation.audit) or ROLE_CHANGED, actor_id=audit.COMMAND_LINE)


def _account_command(
    name: str,
    act: Callable[[Services, Trail, str], object],
    operation_id: str | None,
    done: str,
    text: str,
) -> None:
    @user_group.command(name, help=text)
    @_USERNAME
    def command(username: str) -> None:
        services = _services()
        act(services, _trail(services, operation_id), username)
        click.echo(done)


_account_command(
    "reset-mfa",
    accounts.reset_mfa,
    "resetUserMFA",
    "second factor removed, sessions ended",
    "Remove a user's second factor (for the lost phone); all sessions of the user end.",
)
_account_command(
    "deactivate",
    accounts.deactivate,
    "deactivateUser",
    "deactivated, sessions ended",
    "Deactivate a user: sessions, challenges and sign-in end at once.",
)
_account_command(
    "reactivate",
    accounts.activate,
    "reactivateUser",
    "reactivated",
    "Reactivate a user, who can sign in again.",
)
_account_command(
    "promote",
    accounts.promote,
    None,
    "administrator now, sessions ended",
    "Make an administrator of a user; all sessions of the user end.",
)
_account_command(
    "demote",
    accounts.demote,
    None,
    "ordinary user now, sessions ended",
    "Take the role of an administrator away; all sessions of the user end.",
)
