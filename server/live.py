"""The application that stays while contracts come and go.

A contract is made aside, from the files to the views, on a thread: requests go on meanwhile. It
comes into force by one assignment between two requests. Whatever goes wrong before that is told,
and the contract before it stays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import click
import structlog
from starlette.routing import Router

from contract.app import ContractApp
from contract.asgi import Receive, Scope, Send
from contract.compile import Contract
from contract.diagnostics import SpecError
from contract.faults import report
from contract.replies import ConnectionReplies
from domain.services import Services
from server.foundation import Promised
from server.spec import Reading
from server.spec_commands import warn

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
Texts = Mapping[str, str]

ACT = "renewal"
"""Stands where log lines name an operation."""

log = structlog.get_logger("server")


class Live:
    """Serves each request by the contract that is in force when the request arrives.

    ``build`` makes what serves a reading; ``read`` makes readings that come later, of the files or
    of the texts that it is given; ``life`` is entered when the server starts and left when it ends.
    Raises what ``build`` raises for the first reading.
    """

    def __init__(
        self,
        build: Callable[[Reading], ContractApp],
        read: Callable[[Texts | None], Reading],
        first: Reading,
        life: Lifespan,
    ) -> None:
        self._build, self._read = build, read
        self._current = build(first)
        self._life = life
        self._life_span = Router(lifespan=self._live)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = asyncio.Event()
        self._given: Texts | None = None

    @property
    def contract(self) -> Contract:
        """The contract in force."""
        return self._current.contract

    @property
    def connection_replies(self) -> ConnectionReplies:
        """What the protocol answers by itself under it."""
        return self._current.connection_replies

    @property
    def texts(self) -> Texts:
        """The files that it was read from, as they were."""
        return self.contract.bundle.texts

    @property
    def services(self) -> Services:
        """What the rules are given under it."""
        services: Services = self._current.services
        return services

    @property
    def promised(self) -> Promised:
        """What tokens and key sets that are about can count on."""
        promised: Promised = self._current.promised
        return promised

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        serve = self._life_span if scope["type"] == "lifespan" else self._current
        await serve(scope, receive, send)

    def renew_soon(self, texts: Texts | None = None) -> None:
        """Read the files, or the texts, on a thread, and serve by them once they are found right.

        Any thread may ask, of a server that has started.
        """
        assert self._loop is not None  # noqa: S101 - it has started
        self._loop.call_soon_threadsafe(self._want, texts)

    def _want(self, texts: Texts | None) -> None:
        self._given = texts  # of several the last counts
        self._wanted.set()

    def renew(self) -> None:
        """Read the files at once, in a process that serves nothing itself."""
        self._put_in_force(self._made(None))

    def _put_in_force(self, application: ContractApp | None) -> None:
        if application is not None:
            self._current = application

    def _made(self, texts: Texts | None) -> ContractApp | None:
        """What serves the new reading; None where it is broken or as before, which is then told."""
        before, began = self.contract.revision, time.monotonic()
        try:
            reading = self._read(texts)
            if reading.bundle.texts == self.texts:
                log.info("contract_unchanged", revision=before)
                return None
            application = self._build(reading)
        except Exception as fault:
            _tell(fault, before)
            return None
        if texts is None:
            with suppress(OSError):
                warn(reading)
        took, revision = round(time.monotonic() - began, 3), reading.contract.revision
        log.info("contract_renewed", revision=revision, before=before, seconds=took)
        return application

    async def _renewing(self) -> None:
        """One at a time; what is wanted meanwhile leads to one more."""
        while await self._wanted.wait():
            self._wanted.clear()
            self._put_in_force(await asyncio.to_thread(self._made, self._given))

    @asynccontextmanager
    async def _live(self, _router: object) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        async with self._life():
            renewing = asyncio.create_task(self._renewing())
            try:
                yield
            finally:
                renewing.cancel()
                with suppress(asyncio.CancelledError):
                    await renewing


def _tell(fault: Exception, revision: str) -> None:
    """To the author in plain text, a line for each error, as at start; and a line in the log.

    Where standard error is gone, as with a terminal that was closed, the next edit still counts.
    """
    if isinstance(fault, SpecError):
        text, errors = str(fault), len(fault.diagnostics)
    else:
        report(fault, ACT, "-")
        text, errors = f"error: the spec cannot be taken up: {type(fault).__name__}", 1
    with suppress(OSError):
        click.echo(text, err=True)
    log.error("contract_refused", errors=errors, in_force=revision)
