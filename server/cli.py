"""``countersign``: serve, and look after the spec, the database, the keys and the users."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import yaml

from contract.diagnostics import SpecError
from domain import accounts
from domain.errors import Refusal, Unavailable
from domain.services import Services
from server import app, explain, keys, logs, serve, settings, spec
from storage import migrate
from storage.engine import DatabaseURLError

_NO_DATABASE = (
    "the database does not answer, or its schema is of another version (countersign db upgrade)"
)


class Unfit(Exception):
    """A username or a password that the spec does not admit: pointers and rules, no values."""


@contextmanager
def _plain_errors() -> Iterator[None]:
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
        click.echo(refusal.message, err=True)
    else:
        return
    sys.exit(1)


class _Group(click.Group):
    """A command group whose known errors end in a message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        with _plain_errors():
            return super().invoke(ctx)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="countersign")
def main() -> None:
    """A spec-first multi-factor-authentication server."""


@main.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes."
)
def serve_command(host: str, port: int, workers: int) -> None:
    """Serve the API, its documentation at /docs and the bundle at /openapi.json."""
    logs.configure()
    current = settings.load()
    reading = spec.read(current.spec)
    _warn(reading)
    app.prepare(current)
    serve.run(current, reading, host, port, workers)


def _warn(reading: spec.Reading) -> None:
    """What an author may leave for later; plain text, as the errors are."""
    for diagnostic in reading.bundle.warnings:
        click.echo(str(diagnostic), err=True)


@main.group("spec")
def spec_group() -> None:
    """Read the spec as the server does."""


_PATH = click.argument(
    "root", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)


def _root(given: Path | None) -> Path:
    return given or settings.load().spec


@spec_group.command("lint")
@_PATH
def spec_lint(root: Path | None) -> None:
    """List everything that is wrong with the spec, as file:line:column; examples included."""
    reading = spec.read(_root(root), examples="error")
    _warn(reading)
    click.echo(f"{len(reading.contract.operations)} operations, no errors")


@spec_group.command("bundle")
@_PATH
@click.option("--format", "form", type=click.Choice(["json", "yaml"]), default="json")
def spec_bundle(root: Path | None, form: str) -> None:
    """Print the spec as one document, component names kept."""
    document = spec.read(_root(root)).bundle.document
    if form == "json":
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        click.echo(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), nl=False)


@spec_group.command("explain")
@click.argument("operation_id", required=False)
def spec_explain(operation_id: str | None) -> None:
    """Print what the spec decides for one operation, or for all, and where it says so."""
    reading = spec.read(_root(None))
    try:
        click.echo(explain.table(reading, operation_id))
    except LookupError as error:
        raise click.BadParameter(str(error.args[0])) from None


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
    """Look after the keys. A running server reads them at its start."""


@keys_group.command("list")
def keys_list() -> None:
    """List the keys by kind and age; the current one of each kind is marked."""
    for kind, key_id, current in keys.listing(settings.load().key_dir):
        click.echo(f"{kind:<12}{key_id}{'  current' if current else ''}")


@keys_group.command("rotate")
@click.argument("kinds", nargs=-1, type=click.Choice(keys.KINDS))
def keys_rotate(kinds: tuple[str, ...]) -> None:
    """Make a new current key of each kind given (all where none is); old ones stay readable."""
    folder = settings.load().key_dir
    with keys.locked(folder):
        for kind in kinds or keys.KINDS:
            click.echo(f"{kind:<12}{keys.make(folder, kind)}  current")


@main.group("user")
def user_group() -> None:
    """Look after the users."""


def _services(reading: spec.Reading | None = None) -> Services:
    current = settings.load()
    logs.configure(logging.WARNING)
    app.prepare(current)
    services = app.compose(current, (reading or spec.read(current.spec)).policies)
    services.store.ping()
    return services


def _hold(reading: spec.Reading, username: str, password: str, *, below: str = "") -> None:
    """Hold what an administrator types against what registration asks of everyone.

    ``below`` limits it to one member. Raises :class:`Unfit`.
    """
    body = {"username": username, "password": password}
    lines = [f"/{name}: is not text" for name, text in body.items() if not _is_text(text)]
    rule = reading.contract.operations["registerUser"].body
    if rule is not None and not lines:
        found = rule.rules.violations(body, "body")
        lines = [f"{fault.pointer}: {fault.keyword}: {fault.message}" for fault in found]
    unfit = [line for line in lines if line.startswith(below)]
    if unfit:
        raise Unfit("\n".join(unfit))


def _is_text(value: str) -> bool:
    """False where an argument was not UTF-8 and came with lone surrogates in its place."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _password(from_stdin: bool) -> str:
    if not from_stdin:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.buffer.readline().removesuffix(b"\n")
    return line.decode(errors="surrogateescape")


_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from one line.")
_USERNAME = click.argument("username")


@user_group.command("create")
@_USERNAME
@_STDIN
@click.option("--admin", is_flag=True, help="Make an administrator.")
def user_create(username: str, password_stdin: bool, admin: bool) -> None:
    """Create a user, even where registration is closed."""
    reading, password = spec.read(settings.load().spec), _password(password_stdin)
    _hold(reading, username, password)
    role = accounts.ADMIN if admin else accounts.USER
    user = accounts.create_user(_services(reading), username, password, role)
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
    accounts.set_password(_services(reading), username, password)
    click.echo("password set, sessions ended")


def _account_command(
    name: str, act: Callable[[Services, str], object], done: str, text: str
) -> None:
    @user_group.command(name, help=text)
    @_USERNAME
    def command(username: str) -> None:
        act(_services(), username)
        click.echo(done)


_account_command(
    "reset-mfa",
    accounts.reset_mfa,
    "second factor removed, sessions ended",
    "Remove a user's second factor (for the lost phone); all sessions of the user end.",
)
_account_command(
    "deactivate",
    accounts.deactivate,
    "deactivated, sessions ended",
    "Deactivate a user: sessions, challenges and sign-in end at once.",
)
_account_command(
    "reactivate",
    accounts.activate,
    "reactivated",
    "Reactivate a user, who can sign in again.",
)
_account_command(
    "promote",
    accounts.promote,
    "administrator now, sessions ended",
    "Make an administrator of a user; all sessions of the user end.",
)
_account_command(
    "demote",
    accounts.demote,
    "ordinary user now, sessions ended",
    "Take the role of an administrator away; all sessions of the user end.",
)
