"""The lanes to the threads: how many wait, and what one request leaves behind for the next."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from contract.bridge import Lane
from contract.replies import Reply

DONE = Reply(200, [])
MARK = ContextVar("mark", default="unset")


def test_a_lane_is_full_when_every_place_at_work_and_in_the_queue_is_taken() -> None:
    leave = threading.Event()

    def work() -> Reply:
        assert leave.wait(30)
        return DONE

    async def crowd() -> list[bool]:
        lane = Lane(1, waiting=1)
        seen = [lane.full]
        tasks = []
        for _ in range(2):
            tasks.append(asyncio.create_task(lane.run(work)))
            await asyncio.sleep(0)
            seen.append(lane.full)
        leave.set()
        await asyncio.gather(*tasks)
        return [*seen, lane.full]

    assert asyncio.run(crowd()) == [False, False, True, False]


def test_a_lane_without_an_end_is_never_full() -> None:
    async def crowd() -> bool:
        lane = Lane(1)
        tasks = [asyncio.create_task(lane.run(lambda: DONE)) for _ in range(50)]
        await asyncio.sleep(0)
        full = lane.full
        await asyncio.gather(*tasks)
        return full

    assert not asyncio.run(crowd())


def test_work_that_fails_gives_its_place_back() -> None:
    async def fail() -> bool:
        lane = Lane(1, waiting=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await lane.run(lambda: Reply(1 // 0, []))
        return lane.full

    assert not asyncio.run(fail())


def test_work_sees_its_request_s_context_and_leaves_none_of_its_own() -> None:
    seen: list[str] = []

    def work() -> Reply:
        seen.append(MARK.get())
        MARK.set("left behind")
        return DONE

    async def requests() -> None:
        lane = Lane(1)
        await lane.run(work)
        MARK.set("second")
        await lane.run(work)

    asyncio.run(requests())
    assert seen == ["unset", "second"]
