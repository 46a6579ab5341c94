"""Logs an unexpected exception by its kind and place: its text may hold what was submitted."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import structlog

log = structlog.get_logger("contract")


def report(exc: BaseException, operation: str | None, request_id: str) -> None:
    """One `internal_error` event with kinds and frames, without texts and local variables."""
    chain = list(_chain(exc))
    log.error(
        "internal_error",
        operation=operation,
        request_id=request_id,
        kind=_name(chain[0]),
        causes=[_name(cause) for cause in chain[1:]],
        frames=[frame for link in chain for frame in _frames(link)],
    )


def _chain(exc: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _name(exc: BaseException) -> str:
    kind = type(exc)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _frames(exc: BaseException) -> list[str]:
    stack = traceback.extract_tb(exc.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
