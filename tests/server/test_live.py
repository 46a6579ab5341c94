"""Another contract comes into force while the server runs: what changes, and what must not."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contract.app import ContractApp
from contract.bridge import Lanes
from domain import meta
from domain.results import Readiness
from domain.services import Services
from server import app, keys, serve
from server.flood import Flood
from server.foundation import Foundation
from server.live import Live
from server.spec import Reading
from tests.contract.notes import plant
from tests.support.accounts import ok
from tests.support.api import Reply, in_process
from tests.support.specs import with_flood, without_flood
from tests.support.world import World, quick_passwords, settings_in, world_in

READY = ("paths/meta.yaml", "        description: Ready\n", "        description: Set\n")
BROKEN = ("schemas/auth.yaml", "  x-ttl: PT10M\n", "  x-ttl: soon\n")
UNFIT = ("schemas/auth.yaml", "  example: ann.o'neil+x@exämple.org\n", "  example: an\n")
SHORTER = ("schemas/auth.yaml", "  x-ttl: PT10M\n", "  x-ttl: PT1M\n")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return without_flood(tmp_path).parent


@pytest.fixture
def world(tmp_path: Path, spec: Path) -> World:
    return world_in(tmp_path, spec=spec / "openapi.yaml")


def renewed(world: World, spec: Path, *edit: str) -> None:
    """Make the edit and have it come into force."""
    before = world.application.contract
    plant(spec, *edit)
    world.application.renew()
    assert world.application.contract is not before


def message(reply: Reply) -> str:
    return str(reply.json["message"])


@asynccontextmanager
async def started(live: Live) -> AsyncIterator[None]:
    """The life of a server, as uvicorn leads it."""
    asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    span = asyncio.create_task(live({"type": "lifespan", "state": {}}, asked.get, said.put))
    for step in ("startup", "shutdown"):
        await asked.put({"type": f"lifespan.{step}"})
        assert (await said.get())["type"] == f"lifespan.{step}.complete"
        if step == "startup":
            yield
    await span


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


# -- the swap --------------------------------------------------------------------------------


def test_a_request_ends_under_the_contract_that_it_began_with(
    world: World, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave, true = threading.Event(), threading.Event(), meta.get_readiness

    def slow(services: Services) -> Readiness:
        entered.set()
        assert leave.wait(30)
        return true(services)

    monkeypatch.setattr(meta, "get_readiness", slow)
    live = world.application
    one, other = in_process(live), in_process(live)
    before = live.contract.revision

    async def ask() -> tuple[Reply, Reply]:
        async with started(live):
            first = asyncio.create_task(asyncio.to_thread(one.get, "/health/ready"))
            await until(entered.is_set)
            plant(spec, *READY)
            live.renew_soon()
            await until(lambda: live.contract.revision != before)
            second = asyncio.create_task(asyncio.to_thread(other.get, "/health/ready"))
            await asyncio.sleep(0.05)
            assert not first.done()
            leave.set()
            return await first, await second

    first, second = asyncio.run(ask())
    assert (message(first), first.data["revision"]) == ("Ready", before)
    assert (message(second), second.data["revision"]) == ("Set", live.contract.revision)


def test_both_revisions_and_the_time_that_it_took_are_told(world: World, spec: Path) -> None:
    before = world.application.contract.revision
    with capture_logs() as told:
        renewed(world, spec, *READY)
    (line,) = [each for each in told if each["event"] == "contract_renewed"]
    assert (line["before"], line["revision"]) == (before, world.application.contract.revision)
    assert before != line["revision"]
    assert 0 < line["seconds"] < 60


def test_what_nobody_has_changed_is_not_made_again(world: World) -> None:
    before = world.application.contract
    with capture_logs() as told:
        world.application.renew()
    assert [each["event"] for each in told] == ["contract_unchanged"]
    assert world.application.contract is before


def test_a_comment_moves_places_and_no_revision(world: World, spec: Path) -> None:
    before = world.application.contract
    renewed(world, spec, "schemas/auth.yaml", "\nAccessToken:\n", "\n# A note.\nAccessToken:\n")
    after, pointer = world.application.contract, "/components/schemas/AccessToken/type"
    assert after.revision == before.revision
    assert after.bundle.where(pointer).line == before.bundle.where(pointer).line + 1


def test_what_is_wanted_during_a_making_leads_to_one_more(world: World) -> None:
    """Three wishes in all: the second and the third come together, and nothing is made twice at once."""
    first = app.read(world.settings)
    going, most, leave = [0], [0], threading.Event()
    readings: list[None] = []

    def read(_texts: object) -> Reading:
        readings.append(None)
        going[0] += 1
        most[0] = max(most[0], going[0])
        assert leave.wait(30)
        going[0] -= 1
        return first

    live = _over(world, read=read)

    async def wish() -> None:
        async with started(live):
            live.renew_soon()
            await until(lambda: len(readings) == 1)
            live.renew_soon()
            live.renew_soon()
            await asyncio.sleep(0.05)
            leave.set()
            await until(lambda: len(readings) == 2 and going[0] == 0)
            await asyncio.sleep(0.05)

    asyncio.run(wish())
    assert (len(readings), most[0]) == (2, 1)


# -- what is wrong ---------------------------------------------------------------------------


def stays(world: World, before: object) -> None:
    assert world.application.contract is before
    assert message(world.api.get("/health/ready")) == "Ready"


def test_every_error_of_a_broken_edit_is_told_at_its_place_and_nothing_changes(
    world: World, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.application.contract
    plant(spec, *READY)
    plant(spec, "schemas/auth.yaml", "  x-ttl: PT10M\n", "  x-ttl: soon\n")
    plant(spec, "paths/meta.yaml", "operationId: getReadiness", "operationID: getReadiness")
    with capture_logs() as told:
        world.application.renew()
    stays(world, before)
    lines = capsys.readouterr().err.splitlines()
    line = (spec / "schemas" / "auth.yaml").read_text("utf-8").split("soon")[0].count("\n") + 1
    assert any(
        each.startswith(f'spec/schemas/auth.yaml:{line}:10: error: "x-ttl"') for each in lines
    )
    assert any(each.startswith("spec/paths/meta.yaml:") for each in lines)
    (refused,) = [each for each in told if each["event"] == "contract_refused"]
    assert (refused["errors"], refused["in_force"]) == (len(lines), before.revision)


def test_a_repaired_edit_comes_into_force(world: World, spec: Path) -> None:
    plant(spec, "schemas/auth.yaml", "  x-ttl: PT10M\n", "  x-ttl: soon\n")
    world.application.renew()
    renewed(world, spec, "schemas/auth.yaml", "  x-ttl: soon\n", "  x-ttl: PT9M\n")
    assert world.account().begin()["expires_in"] == 9 * 60


def _gone(file: Path) -> None:
    file.unlink()


def _half_written(file: Path) -> None:
    text = file.read_bytes()
    file.write_bytes(text[: len(text) // 2])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _not_text(file: Path) -> None:
    file.write_bytes(b"\xff" + file.read_bytes())


SPOILT = [
    *((spoil, "openapi.yaml") for spoil in (_gone, _half_written, _empty, _a_folder, _not_text)),
    *((spoil, "schemas/auth.yaml") for spoil in (_gone, _half_written, _empty, _a_folder)),
    *((spoil, "workflows/login.arazzo.yaml") for spoil in (_empty, _a_folder, _not_text)),
]


@pytest.mark.parametrize(("spoil", "name"), SPOILT)
def test_a_file_that_cannot_be_read_changes_nothing(
    world: World,
    spec: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    name: str,
) -> None:
    before = world.application.contract
    spoil(spec / name)
    world.application.renew()
    stays(world, before)
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("defect", [MemoryError(), RecursionError(), KeyError("x"), OSError(5, "")])
def test_a_defect_of_ours_changes_nothing_either(
    world: World, capsys: pytest.CaptureFixture[str], defect: Exception
) -> None:
    def build(_reading: Reading) -> ContractApp:
        if made:
            raise defect
        made.append(None)
        return world.application._current

    made: list[None] = []
    live = _over(world, build=build)
    plant(world.settings.spec.parent, *READY)
    with capture_logs() as told:
        live.renew()
    assert live.contract is world.application.contract
    assert [each["event"] for each in told] == ["internal_error", "contract_refused"]
    kind = type(defect).__name__
    assert capsys.readouterr().err == f"error: the spec cannot be taken up: {kind}\n"


class _Gone(io.StringIO):
    """A standard error whose terminal was closed."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("edit", [BROKEN, UNFIT])
def test_an_author_who_cannot_be_told_any_more_can_go_on(
    world: World, spec: Path, monkeypatch: pytest.MonkeyPatch, edit: tuple[str, str, str]
) -> None:
    file, right, wrong = edit
    monkeypatch.setattr(sys, "stderr", _Gone())
    plant(spec, file, right, wrong)
    world.application.renew()
    plant(spec, file, wrong, right)
    renewed(world, spec, *READY)
    assert message(world.api.get("/health/ready")) == "Set"


def _over(
    world: World,
    build: Callable[[Reading], ContractApp] | None = None,
    read: Callable[[object], Reading] | None = None,
) -> Live:
    """One with a way to read or to build of its own, beside the world's."""

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        yield

    return Live(
        build or (lambda _reading: world.application._current),
        read or partial(app.read, world.settings),
        app.read(world.settings),
        life,
    )


# -- what outlasts a contract ----------------------------------------------------------------


def test_nobody_is_logged_out_by_a_shorter_life_of_tokens(world: World, spec: Path) -> None:
    ann = world.account().sign_in()
    renewed(world, spec, *SHORTER)
    world.clock.advance(minutes=5)
    assert ann.get("/auth/session").status == 200
    assert world.account().begin()["expires_in"] == 60
    world.clock.advance(minutes=6)
    assert ann.get("/auth/session").status == 401


def test_nor_by_a_worker_that_starts_later(world: World, spec: Path) -> None:
    ann = world.account().sign_in()
    renewed(world, spec, *SHORTER)
    live = world.application
    started_with = serve._served_by_a_worker(live, 2).args
    later = app.create(
        world.settings,
        app.read(world.settings, live.texts),
        clock=world.clock,
        passwords=quick_passwords(),
        promised=started_with[-1],
    )
    assert in_process(later).get("/auth/session", token=ann.token).status == 200


def test_what_was_handed_out_keeps_its_life(world: World, spec: Path) -> None:
    ann = world.account().sign_in().enrol()
    challenge = ann.begin()
    assert challenge["expires_in"] == 300
    renewed(world, spec, "schemas/auth.yaml", "  x-ttl: PT5M\n", "  x-ttl: PT1M\n")
    world.clock.advance(minutes=4)
    ok(ann.finish(challenge["challenge_id"], ann.code()))
    assert ann.begin()["expires_in"] == 60


def test_a_new_budget_holds_for_the_guesses_of_before(world: World, spec: Path) -> None:
    ann = world.account()
    for _ in range(4):
        assert world.api.post("/auth/login", json=wrong(ann.username)).status == 401
    old = "password:    {free: 10,"
    renewed(world, spec, "components/policies.yaml", old, "password:    {free: 4,")
    assert world.api.post("/auth/login", json=wrong(ann.username)).status == 429


def wrong(username: str) -> dict[str, str]:
    return {"username": username, "password": "not the password of anybody"}


def test_the_flood_limit_goes_on_counting(tmp_path: Path) -> None:
    spec = with_flood(tmp_path, rate=1, per="PT1H", burst=10).parent
    world = world_in(tmp_path, spec=spec / "openapi.yaml")
    assert [world.api.get("/auth/session").status for _ in range(6)] == [401] * 6
    renewed(world, spec, *SHORTER)
    assert [world.api.get("/auth/session").status for _ in range(5)] == [401] * 4 + [429]


def test_a_key_of_before_signs_and_verifies_for_as_long_as_was_promised(
    tmp_path: Path, spec: Path
) -> None:
    """Whoever keeps the key set for the five minutes of before must find the key that signs in it."""
    world = world_in(tmp_path, spec=spec / "openapi.yaml")
    old = world.services.tokens
    plant(spec, *SHORTER)
    world.application.renew()
    assert world.services is not world.application.services
    assert world.application.services.tokens._keys._rota == old._keys._rota


# -- nothing is left behind ------------------------------------------------------------------


def _held(live: Live, spec: Path, times: int) -> tuple[int, int]:
    """How many threads and open files there are more after so many renewals, each asked something."""
    texts = [(spec / "paths" / "meta.yaml").read_text("utf-8")]
    texts.append(texts[0].replace(READY[1], READY[2]))
    counts = []
    for turn in range(times):
        (spec / "paths" / "meta.yaml").write_text(texts[(turn + 1) % 2], "utf-8")
        live.renew()
        api = in_process(live)
        for path in ("/health/live", "/health/ready", "/auth/session"):
            assert api.get(path).status in (200, 401)
        del api
        gc.collect()
        counts.append((threading.active_count(), len(os.listdir("/proc/self/fd"))))
    (threads, files), (most_threads, most_files) = counts[1], counts[-1]
    return most_threads - threads, most_files - files


def test_renewals_leave_no_threads_and_no_files_behind(world: World, spec: Path) -> None:
    threads, files = _held(world.application, spec, 12)
    assert threads <= 4  # a lane opens its threads as they are needed
    assert files <= 1


def test_threads_of_each_contract_would_be_seen(tmp_path: Path, spec: Path) -> None:
    current = settings_in(tmp_path, spec=spec / "openapi.yaml")
    keys.ensure(current.key_dir)
    app.prepare(current)
    foundation, flood = Foundation(current, passwords=quick_passwords()), Flood()

    def leaky(reading: Reading) -> ContractApp:
        application = app.application_of(foundation, reading, flood=flood, lanes=Lanes())
        kept.append(application)
        return application

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        yield

    kept: list[ContractApp] = []
    live = Live(leaky, partial(app.read, current), app.read(current), life)
    threads, _files = _held(live, spec, 6)
    assert threads > 6
