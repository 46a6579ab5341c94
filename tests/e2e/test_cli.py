"""The command line as an administrator types it, beside a server that runs."""

from __future__ import annotations

import json
import os
import pty
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from server import keys, logs
from server.cli import main
from server.spec import read
from storage import migrate
from tests.e2e.conftest import Cluster
from tests.storage.databases import postgres_database
from tests.support.accounts import Account, RealClock, ok
from tests.support.ledger import LEDGER
from tests.support.servers import ROOT, command, environment, serving

Result = subprocess.CompletedProcess[str]
Runner = Callable[..., Result]


def run(env: dict[str, str], *arguments: str | bytes, line: bytes = b"") -> Result:
    """One command in a process of its own; it may print no secret, as a reply may not."""
    done = subprocess.run(
        [*command(), *arguments], env=env, cwd=ROOT, input=line, capture_output=True, check=False
    )
    return booked(Result(arguments, done.returncode, done.stdout.decode(), done.stderr.decode()))


def call(env: dict[str, str], *arguments: str | bytes, line: bytes = b"") -> Result:
    """The same in this process, which is quicker. Its log is the test run's."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        # Loggers keep what they were configured with when they were first used.
        patch.setattr(logs, "configure", lambda _level=None: None)
        done = CliRunner().invoke(main, [os.fsdecode(word) for word in arguments], input=line)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return booked(Result(arguments, done.exit_code, done.stdout, done.stderr))


def booked(result: Result) -> Result:
    if "bundle" not in result.args:  # the spec, whose examples are no secrets
        LEDGER.lines.append(("command line", result.stdout + result.stderr))
    assert "Traceback" not in result.stderr, result.stderr
    return result


def succeeded(result: Result) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def failed(result: Result, text: str) -> None:
    """Exit status 1, nothing on standard output, and what is wrong on standard error."""
    assert (result.returncode, result.stdout) == (1, ""), result
    assert text in result.stderr


def a_password() -> str:
    password = secrets.token_urlsafe(16)
    LEDGER.sent({"password": password}, None)
    return password


def with_password(
    env: dict[str, str], act: str, username: str | bytes, password: str, by: Runner = run
) -> Result:
    return by(env, "user", act, username, "--password-stdin", line=f"{password}\n".encode())


# -- spec ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment(tmp_path_factory.mktemp("cli"))


def broken_spec(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the shipped spec with one edit; the root file."""
    copy = shutil.copytree(ROOT / "spec", folder / "spec")
    text = (copy / file).read_text(encoding="utf-8")
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy / "openapi.yaml"


def test_the_shipped_spec_passes_the_lint(env: dict[str, str]) -> None:
    number = len(read(ROOT / "spec" / "openapi.yaml").contract.operations)
    assert succeeded(run(env, "spec", "lint")) == f"{number} operations, no errors\n"


def test_a_slip_is_named_with_its_place(env: dict[str, str], tmp_path: Path) -> None:
    root = broken_spec(tmp_path, "paths/mfa.yaml", "operationId:", "operationID:")
    for arguments in (("spec", "lint", str(root)), ("spec", "bundle", str(root))):
        result = call(env, *arguments)
        failed(result, 'unknown key "operationID" (did you mean "operationId"?)')
        assert result.stderr.startswith("spec/paths/mfa.yaml:")
    failed(call(env | {"COUNTERSIGN_SPEC": str(root)}, "spec", "explain"), "spec/paths/mfa.yaml:")


def test_an_example_that_does_not_fit_fails_the_lint_alone(
    env: dict[str, str], tmp_path: Path
) -> None:
    root = broken_spec(
        tmp_path, "schemas/auth.yaml", "example: ann.o'neil+x@exämple.org", "example: a"
    )
    failed(call(env, "spec", "lint", str(root)), "spec/schemas/auth.yaml:")
    result = call(env, "spec", "bundle", str(root))
    assert json.loads(succeeded(result))["openapi"].startswith("3.0.")


def test_the_bundle_is_the_same_document_in_both_forms(env: dict[str, str]) -> None:
    document = read(ROOT / "spec" / "openapi.yaml").bundle.document
    assert json.loads(succeeded(call(env, "spec", "bundle"))) == document
    assert yaml.safe_load(succeeded(call(env, "spec", "bundle", "--format", "yaml"))) == document


def test_what_the_spec_decides_is_explained(env: dict[str, str]) -> None:
    one = succeeded(run(env, "spec", "explain", "regenerateBackupCodes"))
    assert "aal2" in one
    assert "spec/paths/mfa.yaml:" in one
    assert "setupMFA" in succeeded(call(env, "spec", "explain"))
    unknown = call(env, "spec", "explain", "regenerateBackupCode")
    assert unknown.returncode == 2
    assert "regenerateBackupCodes" in unknown.stderr


def test_a_feature_that_is_switched_off_is_neither_served_nor_bundled_but_explained(
    env: dict[str, str], tmp_path: Path
) -> None:
    off = environment(tmp_path, COUNTERSIGN_FEATURES_OFF="registration")
    paths = json.loads(succeeded(call(env | off, "spec", "bundle")))["paths"]
    assert "/auth/register" not in paths
    assert "/auth/login" in paths
    whole = succeeded(call(env | off, "spec", "bundle", str(ROOT / "spec" / "openapi.yaml")))
    assert "/auth/register" in json.loads(whole)["paths"]
    explained = succeeded(call(env | off, "spec", "explain", "registerUser"))
    assert explained.startswith("registerUser  POST /auth/register\n")
    assert "  switched off " in explained
    assert "registerUser" not in succeeded(call(env | off, "spec", "explain"))
    assert "switched off" not in succeeded(call(env, "spec", "explain", "registerUser"))
    assert succeeded(call(env | off, "spec", "lint")) == succeeded(call(env, "spec", "lint"))
    unknown = env | {"COUNTERSIGN_FEATURES_OFF": "registation"}
    failed(run(unknown, "serve", "--port", "0"), "there are: administration, registration")
    with serving(tmp_path, env=off) as server:
        assert server.api().get("/auth/register").status == 404
    # Accounts are still made beside it, and the event has the operation's name.
    succeeded(with_password(off, "create", "ann", a_password()))
    assert "user.registered" in succeeded(call(off, "audit", "list"))


# -- database, keys, settings --------------------------------------------------------------------


def test_the_database_is_brought_to_this_version_once_and_again(tmp_path: Path) -> None:
    env = environment(tmp_path)
    for by in (run, call):
        assert succeeded(by(env, "db", "upgrade")) == f"schema at {migrate.head()}\n"
    assert migrate.current(env["COUNTERSIGN_DATABASE_URL"]) == migrate.head()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mysql://ann:hunter2hunter2@db/x", "must begin with sqlite:/// or postgresql://"),
        ("postgresql://ann:hunter2hunter2@127.0.0.1:1/x", "the database does not answer"),
        ("sqlite:////proc/nowhere/x.db", "No such file"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_in_a_line(
    env: dict[str, str], url: str, text: str
) -> None:
    result = run(env | {"COUNTERSIGN_DATABASE_URL": url}, "db", "upgrade")
    failed(result, text)
    assert len(result.stderr.splitlines()) == 1
    assert "hunter2" not in result.stderr


def test_a_misspelt_setting_stops_every_command(env: dict[str, str]) -> None:
    failed(call(env | {"COUNTERSIGN_ISSUERS": "x"}, "keys", "list"), "COUNTERSIGN_ISSUERS: unknown")


def test_keys_are_made_listed_and_rotated(tmp_path: Path) -> None:
    env = environment(tmp_path)
    assert succeeded(call(env, "keys", "list")) == ""
    made = succeeded(call(env, "keys", "rotate")).splitlines()
    assert [row.split()[0] for row in made] == list(keys.KINDS)
    for kind, use in (("signing", "published"), ("pepper", "current")):
        assert succeeded(call(env, "keys", "rotate", kind)).split()[::2] == [kind, use]
    rows = [row.split() for row in succeeded(run(env, "keys", "list")).splitlines()]
    assert [(row[0], row[2:]) for row in rows] == [
        ("signing", ["signing"]),
        ("signing", ["published"]),
        ("encryption", ["current"]),
        ("pepper", ["old"]),
        ("pepper", ["current"]),
        ("audit", ["current"]),
    ]
    files = [path for path in (tmp_path / "keys").iterdir() if path.suffix in (".pem", ".key")]
    assert len(files) == 6
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert call(env, "keys", "rotate", "password").returncode == 2


# -- users, beside a running server --------------------------------------------------------------


def account_at(cluster: Cluster, username: str, password: str) -> Account:
    return Account(cluster.api, RealClock(), username, password)


def refused(account: Account) -> None:
    """Whatever the account had before is no good any more."""
    assert account.get("/auth/session").code == "invalid_token"
    renewal = account.api.post("/auth/refresh", json={"refresh_token": account.refresh_token})
    assert renewal.code == "invalid_token"


def test_a_created_user_signs_in_and_is_listed(cluster: Cluster) -> None:
    username, password = f"ann.o'neil+{secrets.token_hex(4)}@exämple.org", a_password()
    created = succeeded(with_password(cluster.env, "create", username, password))
    ann = account_at(cluster, username, password).sign_in()
    user_id = ok(ann.get("/auth/session")).data["user_id"]
    assert created == f"{user_id}  {username}\n"
    rows = succeeded(run(cluster.env, "user", "list")).splitlines()
    (row,) = [row for row in rows if row.startswith(user_id)]
    assert row.split()[2:] == ["active", "user", "-", username]


def test_a_user_is_created_where_registration_is_closed(tmp_path: Path) -> None:
    env = environment(tmp_path, COUNTERSIGN_REGISTRATION="closed")
    succeeded(with_password(env, "create", "guest", a_password(), call))


def test_a_name_that_is_taken_however_written_is_refused(tmp_path: Path) -> None:
    env = environment(tmp_path)
    succeeded(with_password(env, "create", "Straße", a_password(), call))
    failed(with_password(env, "create", "STRASSE", a_password(), call), "The username is taken")


def test_a_common_password_is_refused(tmp_path: Path) -> None:
    env = environment(tmp_path)
    failed(
        with_password(env, "create", "ann", "password123", call),
        "The password is too easy to guess",
    )
    assert succeeded(call(env, "user", "list")) == ""
    succeeded(with_password(env, "create", "ann", a_password(), call))
    failed(with_password(env, "set-password", "ann", "password123", call), "too easy to guess")


@pytest.mark.parametrize(
    ("username", "password", "lines"),
    [
        ("al", "long enough", ["/username: minLength: is shorter than 3"]),
        ("a" * 65, "long enough", ["/username: maxLength: is longer than 64"]),
        ("white space", "long enough", ["/username: pattern: does not match the pattern"]),
        ("co:lon", "long enough", ["/username: pattern: does not match the pattern"]),
        ("zero\u200bwidth", "long enough", ["/username: pattern: does not match the pattern"]),
        ("shorty", "7 chars", ["/password: minLength: is shorter than 8"]),
        ("longy", "x" * 1025, ["/password: maxLength: is longer than 1024"]),
        (b"\xff\xfe\xfd", "long enough", ["/username: is not text"]),
        (
            "a:b",
            "",
            [
                "/username: pattern: does not match the pattern",
                "/password: minLength: is shorter than 8",
            ],
        ),
    ],
)
def test_what_registration_would_refuse_is_refused_here(
    tmp_path: Path, username: str | bytes, password: str, lines: list[str]
) -> None:
    env = environment(tmp_path)
    result = with_password(env, "create", username, password, call)
    assert (result.returncode, result.stdout) == (1, "")
    assert sorted(result.stderr.splitlines()) == sorted(lines)
    assert not (tmp_path / "countersign.db").exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("user", "deactivate"), "username"),
        (("user", "set-password"), "username"),
        (("audit", "list", "--user"), "username"),
        (("audit", "list", "--event"), "event"),
    ],
)
def test_an_argument_that_is_not_text_is_refused(
    tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    failed(call(environment(tmp_path), *command, b"caf\xe9"), f"/{name}: is not text")
    if command[0] == "audit":
        env = environment(tmp_path)
        succeeded(with_password(env, "create", "café", a_password(), call))
        value = "café" if name == "username" else "user.registered"
        succeeded(call(env, *command, value))


def test_a_password_that_is_not_text_is_refused(tmp_path: Path) -> None:
    line = b"caf\xe9 caf\xe9 caf\xe9\n"
    result = call(environment(tmp_path), "user", "create", "ann", "--password-stdin", line=line)
    failed(result, "/password: is not text")


def test_the_limits_are_those_of_the_spec(tmp_path: Path) -> None:
    root = broken_spec(tmp_path, "schemas/auth.yaml", "minLength: 8", "minLength: 15")
    env = environment(tmp_path, COUNTERSIGN_SPEC=str(root))
    failed(with_password(env, "create", "ann", "fourteen chars", call), "is shorter than 15")
    succeeded(with_password(env, "create", "ann", "fifteen chars!!", call))
    failed(with_password(env, "set-password", "ann", "fourteen chars", call), "is shorter than 15")


def test_a_new_password_ends_the_sessions_and_leaves_the_second_factor(cluster: Cluster) -> None:
    ann = cluster.account().sign_in().enrol()
    old, ann.password = ann.password, a_password()
    done = with_password(cluster.env, "set-password", ann.username, ann.password)
    assert succeeded(done) == "password set, sessions ended\n"
    refused(ann)
    body = {"username": ann.username, "password": old}
    assert ann.api.post("/auth/login", json=body).code == "invalid_credentials"
    assert ann.sign_in().status()["enabled"] is True


def test_a_reset_lets_the_password_alone_sign_in(cluster: Cluster) -> None:
    ann = cluster.account().sign_in().enrol()
    challenge = ann.begin()["challenge_id"]
    done = run(cluster.env, "user", "reset-mfa", ann.username)
    assert succeeded(done) == "second factor removed, sessions ended\n"
    refused(ann)
    assert ann.finish(challenge, ann.code()).code == "invalid_challenge"
    assert ann.sign_in().status()["enabled"] is False


@pytest.mark.slow
def test_a_deactivated_user_is_out_at_once(cluster: Cluster) -> None:
    ann = cluster.account().sign_in().enrol()
    challenge = ann.begin()["challenge_id"]
    done = run(cluster.env, "user", "deactivate", ann.username)
    assert succeeded(done) == "deactivated, sessions ended\n"
    refused(ann)
    assert ann.finish(challenge, ann.code()).code == "invalid_challenge"
    body = {"username": ann.username, "password": ann.password}
    assert ann.api.post("/auth/login", json=body).code == "invalid_credentials"
    assert listed(cluster, ann) == ["deactivated", "user", "mfa", ann.username]
    assert succeeded(run(cluster.env, "user", "reactivate", ann.username)) == "reactivated\n"
    refused(ann)
    assert ann.sign_in_with_backup_code().status()["enabled"] is True
    assert listed(cluster, ann) == ["active", "user", "mfa", ann.username]


def listed(cluster: Cluster, account: Account) -> list[str]:
    """What the list says of an account, its id and time left out."""
    rows = succeeded(run(cluster.env, "user", "list")).splitlines()
    (row,) = [row for row in rows if row.startswith(account.user_id)]
    return row.split()[2:]


def test_the_first_administrator_is_made_here_and_needs_a_second_factor(cluster: Cluster) -> None:
    username, password = f"root.{secrets.token_hex(4)}", a_password()
    command = ("user", "create", username, "--admin", "--password-stdin")
    succeeded(run(cluster.env, *command, line=f"{password}\n".encode()))
    root = account_at(cluster, username, password).sign_in()
    assert root.get("/admin/users").code == "insufficient_user_authentication"
    (found,) = ok(root.enrol().get("/admin/users", params={"username": username})).data["users"]
    assert (found["role"], found["mfa_enabled"]) == ("admin", True)


@pytest.mark.slow
def test_a_role_is_given_and_taken_away_at_once(cluster: Cluster) -> None:
    ann = cluster.account().sign_in().enrol()
    for act, done, role, status in (
        ("promote", "administrator now, sessions ended\n", "admin", 200),
        ("demote", "ordinary user now, sessions ended\n", "user", 403),
    ):
        assert succeeded(run(cluster.env, "user", act, ann.username.upper())) == done
        refused(ann)
        assert listed(cluster, ann) == ["active", role, "mfa", ann.username]
        ann.sign_in_with_backup_code()
        assert ann.get("/admin/users").status == status


@pytest.mark.parametrize(
    "act", ["set-password", "reset-mfa", "deactivate", "reactivate", "promote", "demote"]
)
def test_an_unknown_user_is_not_found(tmp_path: Path, act: str) -> None:
    env = environment(tmp_path)
    options = ["--password-stdin"] if act == "set-password" else []
    result = call(env, "user", act, "nobody", *options, line=f"{a_password()}\n".encode())
    failed(result, "Not found")


def test_a_database_that_nobody_has_upgraded_is_said_in_a_line(tmp_path: Path) -> None:
    with postgres_database() as url:
        env = environment(tmp_path, COUNTERSIGN_DATABASE_URL=url)
        failed(run(env, "user", "list"), "countersign db upgrade")
        succeeded(run(env, "db", "upgrade"))
        assert migrate.current(url) == migrate.head()


def on_a_terminal(env: dict[str, str], arguments: list[str], answers: list[str]) -> str:
    """What a terminal shows of a command whose every question, at a colon, gets its answer."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*command(), *arguments],
        env=env,
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown, left = "", list(answers)
    with open(master, "r+b", buffering=0) as terminal:
        try:
            while chunk := terminal.read(4096):
                shown += chunk.decode()
                if left and shown.rstrip(" ").endswith(":"):
                    terminal.write(left.pop(0).encode() + b"\n")
        except OSError:
            pass  # how Linux says that nobody holds the other end any more
    assert process.wait(30) == 0, shown
    return shown


def test_a_password_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    env, password = environment(tmp_path), a_password()
    shown = on_a_terminal(env, ["user", "create", "ann"], [password, password])
    assert "Password:" in shown
    assert "Repeat" in shown
    assert password not in shown
    assert "ann" in succeeded(call(env, "user", "list"))
