"""An edited spec comes into force in running servers: by ``--watch`` and by SIGHUP."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.contract.notes import plant
from tests.e2e.steady import Load
from tests.e2e.test_process import processes_of, started, wait_until_heard
from tests.e2e.wire import line_to, workers
from tests.support.servers import ServerProcess, environment, serving
from tests.support.specs import without_flood

NOTICED = 1.5
"""Seconds in which ``--watch`` notices an edit and has it in force, besides the making itself.

That takes half a second where nothing else is to do.
"""
PATIENCE = 30.0
"""Seconds that a busy machine may take for what is not measured."""
FILE = "schemas/auth.yaml"
LONG, SHORT, BROKEN = "  x-ttl: PT5M\n", "  x-ttl: PT2M\n", "  x-ttl: soon\n"


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[tuple[ServerProcess, Path]]:
    """A server of a spec of its own, and the spec's folder."""
    root = without_flood(folder)
    env = environment(folder, COUNTERSIGN_SPEC=str(root))
    with serving(folder, *arguments, env=env) as server:
        yield server, root.parent


def revision(server: ServerProcess) -> str:
    """What one of the workers says; a new connection each time."""
    return str(httpx.get(f"{server.url}/health/ready", timeout=PATIENCE).json()["data"]["revision"])


def revision_of(server: ServerProcess, worker: int) -> str:
    with line_to(server, worker) as line:
        reply = line.send(httpx.Request("GET", f"{server.url}/health/ready"))
    return str(reply.json()["data"]["revision"])


def revisions(server: ServerProcess) -> set[str]:
    """What all of the workers say."""
    return {revision_of(server, worker) for worker in workers(server)}


def wait_for(true: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """How many seconds it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it does not come to pass"
        time.sleep(0.02)
    return time.monotonic() - begun


def said(server: ServerProcess, text: str, times: int = 1) -> Callable[[], bool]:
    return lambda: server.log.read_text(encoding="utf-8").count(text) >= times


# -- --watch -----------------------------------------------------------------------------------


def making_seconds(server: ServerProcess) -> list[float]:
    lines = server.log.read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines if "contract_renewed" in line]
    return [each["seconds"] for each in told]


def test_an_edit_is_in_force_within_two_seconds_and_so_is_its_end(tmp_path: Path) -> None:
    with served(tmp_path, "--watch") as (server, spec):
        first = revision(server)
        plant(spec, FILE, LONG, SHORT)
        took = wait_for(lambda: revision(server) != first)
        plant(spec, FILE, SHORT, LONG)
        back = wait_for(lambda: revision(server) == first)
        made, again = making_seconds(server)
        print(f"in force after {took:.2f} s, {made:.2f} of making; undone after {back:.2f} s")
        assert took - made < NOTICED
        assert back - again < NOTICED
        assert server.stop() == 0


def test_a_broken_edit_is_printed_at_its_place_and_the_server_goes_on(tmp_path: Path) -> None:
    with served(tmp_path, "--watch") as (server, spec):
        first = revision(server)
        plant(spec, FILE, LONG, BROKEN)
        plant(spec, "paths/meta.yaml", "operationId: getLiveness", "operationID: getLiveness")
        line = (spec / FILE).read_text("utf-8").split("soon")[0].count("\n") + 1
        wait_for(said(server, f'spec/{FILE}:{line}:10: error: "x-ttl": "soon"'))
        wait_for(said(server, "spec/paths/meta.yaml:"))
        assert revision(server) == first
        plant(spec, "paths/meta.yaml", "operationID: getLiveness", "operationId: getLiveness")
        plant(spec, FILE, BROKEN, SHORT)
        wait_for(lambda: revision(server) != first)


@pytest.mark.slow
def test_workers_follow_the_files_as_well(tmp_path: Path) -> None:
    with served(tmp_path, "--watch", "--workers", "2") as (server, spec):
        (first,) = revisions(server)
        plant(spec, FILE, LONG, SHORT)
        wait_for(lambda: first not in revisions(server))
        assert len(revisions(server)) == 1


# -- SIGHUP ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_all_workers_come_to_the_spec_that_was_there_at_the_signal(
    tmp_path: Path, number: int
) -> None:
    """Without --watch nobody looks at the files but at the signal."""
    with served(tmp_path, "--workers", str(number)) as (server, spec):
        first = revision(server)
        plant(spec, FILE, LONG, SHORT)
        time.sleep(1)
        assert revision(server) == first
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: revision(server) != first)
        if number > 1:
            wait_for(lambda: first not in revisions(server))
            assert len(revisions(server)) == 1
        plant(spec, FILE, SHORT, BROKEN)
        second = revision(server)
        server.process.send_signal(signal.SIGHUP)
        wait_for(said(server, "contract_refused"))
        assert server.log.read_text("utf-8").count('error: "x-ttl": "soon"') == 1
        assert revision(server) == second
        assert server.stop() == 0


def test_a_worker_that_died_comes_back_with_the_last_good_contract(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2") as (server, spec):
        (first,) = revisions(server)
        plant(spec, FILE, LONG, SHORT)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: first not in revisions(server))
        (second,) = revisions(server)
        plant(spec, FILE, SHORT, BROKEN)
        killed, left = workers(server)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: len(set(workers(server)) - {killed}) == 2)
        (new,) = set(workers(server)) - {killed, left}
        assert revision_of(server, new) == second
        assert revision_of(server, left) == second


def test_a_worker_that_dies_before_it_answers_its_parent_holds_nobody_up(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2") as (server, _spec):
        silent, _ = workers(server)
        os.kill(silent, signal.SIGSTOP)
        time.sleep(1.5)  # the parent asks twice a second
        os.kill(silent, signal.SIGKILL)
        assert server.stop() == 0


@pytest.mark.slow
def test_a_hangup_of_the_whole_family_ends_no_worker(tmp_path: Path) -> None:
    """What a terminal that is closed sends, and what `kill` sends to a process group."""
    with served(tmp_path, "--workers", "2") as (server, _spec):
        family = processes_of(server)
        os.killpg(server.process.pid, signal.SIGHUP)
        wait_for(said(server, "contract_unchanged"))
        assert len(revisions(server)) == 1
        assert processes_of(server) == family


@pytest.mark.parametrize("number", ["1", "2"])
def test_a_hangup_during_the_start_waits_until_it_can_be_heard(tmp_path: Path, number: str) -> None:
    with started(tmp_path, "--workers", number) as process:
        wait_until_heard(process, signal.SIGTERM)
        process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 2 * PATIENCE
        while "contract_unchanged" not in (tmp_path / "out").read_text("utf-8"):
            assert process.poll() is None, (tmp_path / "out").read_text("utf-8")
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


# -- under load --------------------------------------------------------------------------------


PATHS = ("/health/live", "/health/ready", "/auth/session", "/.well-known/jwks.json")
RATE = 50
"""Requests a second."""


def load_on(server: ServerProcess) -> Load:
    return Load(server.url, tuple((path, {}) for path in PATHS), RATE)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["1", "2"])
def test_no_request_is_lost_while_contracts_change(tmp_path: Path, number: str) -> None:
    with served(tmp_path, "--workers", number) as (server, spec), load_on(server).sent() as load:
        made = 1 if number == "1" else 3  # by each worker, and by the parent
        for turn in range(8):
            plant(spec, FILE, *((LONG, SHORT) if turn % 2 == 0 else (SHORT, LONG)))
            server.process.send_signal(signal.SIGHUP)
            wait_for(said(server, "contract_renewed", made * (turn + 1)))
    assert set(load.outcomes) == {200, 401}, load.outcomes
    assert load.outcomes.total() > 100


@pytest.mark.slow
def test_many_renewals_leave_threads_files_and_memory_level(tmp_path: Path) -> None:
    with served(tmp_path) as (server, spec):
        held = []
        for turn in range(100):
            plant(spec, FILE, *((LONG, SHORT) if turn % 2 == 0 else (SHORT, LONG)))
            server.process.send_signal(signal.SIGHUP)
            wait_for(said(server, "contract_renewed", turn + 1))
            revision(server)
            if turn in (39, 99):
                held.append(_held(server.process.pid))
        print(f"threads, open files and MiB after 40 and after 100 renewals: {held}")
        (threads, files, memory), (most_threads, most_files, most_memory) = held
        assert most_threads <= threads + 2
        assert most_files <= files + 2
        assert most_memory < memory + 40


def _held(pid: int) -> tuple[int, int, int]:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return int(fields["Threads"]), files, int(fields["VmRSS"].split()[0]) // 1024
