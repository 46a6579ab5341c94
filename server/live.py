"""The application that stays while contracts come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.routing import Router

from contract.app import ContractApp
from contract.asgi import Receive, Scope, Send
from contract.compile import Contract
from domain.services import Services
from server.spec import Reading

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


class Live:
    """Serves each request by the contract that is in force when the request arrives.

    ``build`` makes what serves a reading, ``life`` is entered when the server starts and left when
    it ends. Raises what ``build`` raises for the first reading.
    """

    def __init__(
        self, build: Callable[[Reading], ContractApp], first: Reading, life: Lifespan
    ) -> None:
        self._current = build(first)
        self._life = life
        self._life_span = Router(lifespan=self._live)

    @property
    def contract(self) -> Contract:
        """The contract in force."""
        return self._current.contract

    @property
    def services(self) -> Services:
        """What the rules are given under it."""
        services: Services = self._current.services
        return services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        serve = self._life_span if scope["type"] == "lifespan" else self._current
        await serve(scope, receive, send)

    @asynccontextmanager
    async def _live(self, _router: object) -> AsyncIterator[None]:
        async with self._life():
            yield
