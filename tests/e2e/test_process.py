"""How a server begins and ends: signals, refusals to start, two that start at once, its log."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from server import keys
from server.serve import GRACE
from storage import migrate
from tests.e2e.wire import Line, raw_request
from tests.support.accounts import RealClock, register
from tests.support.api import over_http
from tests.support.ledger import LEDGER
from tests.support.servers import ROOT, ServerProcess, command, environment, free_port, serving

WORKERS = (1, 2)
STARTED = 60
"""Seconds that a busy machine may take to start a server, or to end one with nothing in flight."""


@contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that nobody waits for; its output is in ``folder/out``."""
    with (folder / "out").open("wb") as output:
        process = subprocess.Popen(
            [*command("serve", "--port", str(free_port())), *arguments],
            env=environment(folder, **settings),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# -- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", WORKERS)
def test_an_idle_server_ends_quietly_on_an_interrupt(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, "--workers", str(workers)) as server:
        assert server.stop(signal.SIGINT, STARTED) == 0
        assert "Traceback" not in server.log.read_text()


def processes_of(server: ServerProcess) -> list[int]:
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def wait_until_gone(family: list[int]) -> None:
    """Python's resource tracker goes when it sees that the others have gone."""
    end = time.monotonic() + STARTED
    while left := [pid for pid in family if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, left
        time.sleep(0.01)


def wait_until_heard(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Wait until the process catches the signal (proc(5), SigCgt)."""
    end = time.monotonic() + STARTED
    while time.monotonic() < end:
        status = Path(f"/proc/{process.pid}/status").read_text()
        (caught,) = re.findall(r"(?m)^SigCgt:\s+([0-9a-f]+)$", status)
        if int(caught, 16) >> (number - 1) & 1 and is_program(process):
            return
        time.sleep(0.002)
    raise AssertionError("the signal is not caught")


def is_program(process: subprocess.Popen[bytes]) -> bool:
    """False while the new process is still a copy of this one, before exec."""
    return b"countersign" in Path(f"/proc/{process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize(("workers", "delay"), [(1, 0.0), (1, 0.5), (2, 0.0), (2, 1.2), (2, 2.4)])
def test_a_server_that_is_starting_ends_quietly(tmp_path: Path, workers: int, delay: float) -> None:
    with started(tmp_path, "--workers", str(workers)) as process:
        wait_until_heard(process, signal.SIGTERM)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STARTED) == 0, (tmp_path / "out").read_text()
        assert "Traceback" not in (tmp_path / "out").read_text()


def test_the_signals_are_heard_before_the_program_is_read_in(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        wait_until_heard(process, signal.SIGTERM)
        assert "jsonschema_rs" not in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
def test_logins_in_flight_are_answered_and_half_a_body_holds_nobody(
    tmp_path: Path, workers: int
) -> None:
    with serving(tmp_path, "--workers", str(workers)) as server, ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=server.url, timeout=STARTED))
        ann = register(over_http(client), RealClock())
        body = {"username": ann.username, "password": ann.password}
        half, *lines = [stack.enter_context(Line(server)) for _ in range(9)]
        for line in (half, *lines):
            line.hold(httpx.Request("POST", f"{server.url}/auth/login", json=body))
        for line in lines:
            line.release()
        wait_until_read(server, [half, *lines])
        before = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        replies = [line.reply() for line in lines]
        assert server.process.wait(GRACE + STARTED) == 0
        assert time.monotonic() - before < GRACE + 10
        assert [reply.status_code for reply in replies] == [200] * len(lines)
        for reply in replies:
            LEDGER.received("POST /auth/login", "", reply.content)
            assert reply.json()["data"]["token_type"] == "Bearer"
        with pytest.raises(ConnectionRefusedError):
            Line(server)


def wait_until_read(server: ServerProcess, lines: list[Line]) -> None:
    """Wait until every connection was accepted and what it sent has been read."""
    for line in lines:
        assert line.worker() in processes_of(server)
    time.sleep(0.1)


# -- refusals to start ---------------------------------------------------------------------------


def refusal(folder: Path, *arguments: str, **settings: str) -> tuple[int, list[str]]:
    """The exit status and the lines on standard error of a server that must not start."""
    done = subprocess.run(
        command("serve", *(arguments or ("--port", str(free_port())))),
        env=environment(folder, **settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=STARTED,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_a_broken_spec_is_refused_with_every_error(tmp_path: Path) -> None:
    spec = shutil.copytree(ROOT / "spec", tmp_path / "spec")
    for file in (spec / "paths" / "mfa.yaml", spec / "paths" / "auth.yaml"):
        file.write_text(file.read_text().replace("operationId:", "operationID:", 1))
    status, lines = refusal(tmp_path, COUNTERSIGN_SPEC=str(spec / "openapi.yaml"))
    assert status == 1
    for line in lines:
        assert re.fullmatch(r"spec/\S+\.yaml:\d+:\d+: (error|warning): .+", line), line
    assert {line.split(":")[0] for line in lines} >= {"spec/paths/auth.yaml", "spec/paths/mfa.yaml"}
    assert not (tmp_path / "countersign.db").exists()


def test_an_example_that_does_not_fit_is_a_warning(tmp_path: Path) -> None:
    spec = shutil.copytree(ROOT / "spec", tmp_path / "spec")
    file = spec / "schemas" / "auth.yaml"
    text = file.read_text(encoding="utf-8")
    example = "example: ann.o'neil+x@exämple.org"
    assert example in text
    file.write_text(text.replace(example, "example: x", 1), encoding="utf-8")
    env = environment(tmp_path, COUNTERSIGN_SPEC=str(spec / "openapi.yaml"))
    with serving(tmp_path, env=env) as server:
        first = server.log.read_text().splitlines()[0]
        assert re.fullmatch(r"spec/schemas/auth\.yaml:\d+:\d+: warning: .+", first), first
        assert server.stop() == 0


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    status, lines = refusal(tmp_path, COUNTERSIGN_REGISTRATON="closed")
    assert (status, lines) == (1, ["COUNTERSIGN_REGISTRATON: unknown setting"])


PRODUCTION = {"COUNTERSIGN_ENV": "production", "COUNTERSIGN_ISSUER": "https://id.example.org"}


def key_folder(folder: Path) -> Path:
    keys.ensure(folder / "keys")
    return folder / "keys"


def test_production_does_not_make_its_own_keys(tmp_path: Path) -> None:
    status, lines = refusal(tmp_path, **PRODUCTION)
    assert status == 1
    assert lines[-1].endswith("make one with 'countersign keys rotate signing'")
    assert not list(tmp_path.glob("keys/*.pem"))


@pytest.mark.parametrize(
    ("pattern", "content", "text"),
    [
        ("encryption-*", b"c2hvcnQ=\n", "5 bytes; 32 are needed"),
        ("pepper-*", b"Y2hhbmdlbWVjaGFuZ2VtZWNoYW5nZW1lY2hhbmdlbWU=\n", "an example key"),
    ],
)
def test_production_refuses_weak_keys(
    tmp_path: Path, pattern: str, content: bytes, text: str
) -> None:
    (file,) = key_folder(tmp_path).glob(pattern)
    file.write_bytes(content)
    status, lines = refusal(tmp_path, **PRODUCTION)
    assert status == 1
    assert lines[-1].startswith(f"{file}: {text}")
    assert content.decode().strip() not in "\n".join(lines)


def test_production_starts_with_strong_keys(tmp_path: Path) -> None:
    key_folder(tmp_path)
    with serving(tmp_path, env=environment(tmp_path, **PRODUCTION)) as server:
        assert server.stop() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_a_port_in_use_is_refused(tmp_path: Path, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, lines = refusal(tmp_path, "--port", port, "--workers", str(workers))
    assert status not in (0, None)
    assert any("address already in use" in line.lower() for line in lines), lines
    assert not any("Traceback" in line for line in lines)


# -- two at once, and the log --------------------------------------------------------------------


def test_two_servers_that_start_at_once_share_keys_and_schema(tmp_path: Path) -> None:
    """The second of them comes in the middle of the first's start; both serve the same users."""
    ready: list[ServerProcess] = []
    failures: list[BaseException] = []
    both, done = threading.Barrier(3, timeout=STARTED * 2), threading.Event()

    def serve() -> None:
        try:
            with serving(tmp_path) as server:
                ready.append(server)
                both.wait()
                done.wait(STARTED)
        except BaseException as error:
            failures.append(error)
            both.abort()

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        both.wait()
        assert_one_service(ready)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures
    kinds = [kind for kind, _, _ in keys.listing(tmp_path / "keys")]
    assert kinds == list(keys.KINDS)
    assert migrate.current(environment(tmp_path)["COUNTERSIGN_DATABASE_URL"]) == migrate.head()


def assert_one_service(servers: list[ServerProcess]) -> None:
    with (
        httpx.Client(base_url=servers[0].url, timeout=30) as one,
        httpx.Client(base_url=servers[1].url, timeout=30) as two,
    ):
        ann = register(over_http(one), RealClock()).sign_in()
        ann.api = over_http(two)
        assert ann.get("/auth/session").status == 200
        assert one.get("/.well-known/jwks.json").json() == two.get("/.well-known/jwks.json").json()


@pytest.mark.parametrize("workers", WORKERS)
def test_every_log_line_is_json_and_none_repeats_a_request(tmp_path: Path, workers: int) -> None:
    sent = secrets.token_hex(12)
    LEDGER.sent({"code": sent}, None)
    with serving(tmp_path, "--workers", str(workers)) as server:
        unknown = httpx.Request("GET", f"{server.url}/{sent}")
        with Line(server) as line:
            url = f"{server.url}/auth/login?password={sent}"
            assert line.send(httpx.Request("POST", url, json={"x": sent})).status_code == 400
            assert line.send(unknown).status_code == 404
        with Line(server) as line:
            malformed = raw_request(unknown).replace(b"HTTP/1.1", f"HTTP/{sent}".encode())
            line.socket.sendall(malformed)
            assert line.socket.recv(4096).startswith(b"HTTP/1.1 400 ")
        family = processes_of(server)
        assert server.stop() == 0
        wait_until_gone(family)
        lines = server.log.read_text().splitlines()
    assert len(lines) > 3
    for entry in map(json.loads, lines):
        assert {"event", "level", "timestamp"} <= set(entry)
    assert sent not in "\n".join(lines)
