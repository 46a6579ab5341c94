"""The composition root: what lasts, what one reading of the spec makes of it, one application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from contract.app import Around, ContractApp, Pages, create_app
from contract.bridge import Lanes
from contract.compile import Contract
from contract.guard import Observer
from contract.operation import Operation
from contract.request import Request
from domain.audit import Trail
from domain.errors import Refusal
from domain.passwords import Passwords
from domain.policy import OperationPolicy
from domain.ports import Clock
from domain.records import Client, Session
from domain.services import Services
from domain.sessions import authenticate
from server import docs, explain, keys, spec
from server.client import client_of
from server.cors import Cors, sent_headers, told_headers
from server.flood import READINESS, Flood, account_gate, gate
from server.foundation import NOTHING, Foundation, Promised
from server.housekeeping import keeping_house
from server.live import Lifespan, Live
from server.settings import Settings
from server.spec import Reading
from server.sunset import ending
from storage import migrate, patience

Observing = Callable[[Contract], Observer | None]


def prepare(current: Settings) -> None:
    """What happens once before any worker starts: keys in development, the schema on SQLite.

    Raises KeyDirectoryError before anything is migrated.
    """
    if current.env == "development":
        keys.ensure(current.key_dir)
    keys.load(current.key_dir)
    if current.database_url.startswith("sqlite"):
        migrate.upgrade(current.database_url)


def read(current: Settings, texts: Mapping[str, str] | None = None) -> Reading:
    """Read the spec that is served: its files, or the texts of an earlier reading. Raises SpecError.

    In development it may be ahead of the handlers.
    """
    return spec.read(
        current.spec,
        features_off=current.features_off,
        texts=texts,
        unimplemented="warning" if current.env == "development" else "error",
    )


def compose(current: Settings, reading: Reading) -> Services:
    """Everything the rules are given, for who serves nothing."""
    return Foundation(current).services(reading)


def create(
    current: Settings,
    reading: Reading,
    *,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
    observing: Observing | None = None,
    workers: int = 1,
    promised: Promised = NOTHING,
) -> Live:
    """The server's application. Raises SpecError or KeyDirectoryError before it serves.

    ``observing`` gives each contract that comes into force its observer, or none. ``workers`` is the
    number of processes that share the machine's cores, ``promised`` what holds of earlier contracts.
    """
    foundation = Foundation(
        current, clock=clock, passwords=passwords, workers=workers, promised=promised
    )
    flood = Flood(current.redis_url)
    build = partial(application_of, foundation, flood=flood, lanes=Lanes(), observing=observing)
    return Live(build, partial(read, current), reading, _life(foundation, flood))


def application_of(
    foundation: Foundation,
    reading: Reading,
    *,
    flood: Flood,
    lanes: Lanes,
    observing: Observing | None = None,
) -> ContractApp:
    """What serves one reading of the spec. Raises SpecError."""
    current, policies = foundation.settings, reading.policies
    services = foundation.services(reading)

    def client(request: Request) -> Client:
        return _client(request, current)

    def policy(request: Request) -> OperationPolicy:
        return policies.operations[request.operation.id]

    def trail(request: Request) -> Trail:
        # The lint sees to it that what changes something names its event.
        event = policies.operations[request.operation.id].audit or ""
        return Trail(event, client(request).address, request.request_id)

    operations = reading.contract.operations
    limiting = gate(flood, operations, partial(_address, current))
    application = create_app(
        reading.contract,
        registry=reading.registry,
        handlers=spec.HANDLERS,
        services=services,
        authenticate=_authentication(services, flood, operations),
        refusals=(Refusal,),
        context={"client": client, "policy": policy, "trail": trail},
        mode=current.contract,
        docs=_pages(reading),
        observe=observing(reading.contract) if observing else None,
        gate=ending(operations, services.clock, limiting),
        aside={READINESS},  # no flood limit keeps anybody from asking it
        lanes=lanes,
        around=_cors(current, reading),
        stand_in=reading.stand_in,
    )
    application.services, application.promised = services, foundation.promised
    application.app.before_request(patience.begin)
    return application


def _authentication(
    services: Services, flood: Flood, operations: Mapping[str, Operation]
) -> Callable[[Request, Operation], Session]:
    """What makes a session of a request's token, and counts the request of its account."""
    policies, admit = services.policies.operations, account_gate(flood, operations)

    def session_of(request: Request, operation: Operation) -> Session:
        session = authenticate(services, request.token or "", policies[operation.id])
        admit(operation, session.user_id)
        return session

    return session_of


def _client(request: Request, current: Settings) -> Client:
    forwarded = request.headers.all("x-forwarded-for")
    agent = request.headers.first("user-agent")
    return client_of(request.client or None, forwarded, agent, current.trusted_proxies)


def _address(current: Settings, request: Request) -> str | None:
    """Without the user agent, which is as long as its sender likes."""
    forwarded = request.headers.all("x-forwarded-for")
    return client_of(request.client or None, forwarded, None, current.trusted_proxies).address


def _pages(reading: Reading) -> Pages:
    return partial(
        docs.pages,
        explained=partial(explain.as_json, reading),
        texts=reading.bundle.texts,
        off=reading.contract.bundle.off,
    )


def _cors(current: Settings, reading: Reading) -> Around | None:
    """What lets pages of other origins in, where there are any."""
    if not current.cors_origins:
        return None
    operations = reading.contract.operations.values()
    return partial(
        Cors,
        origins=current.cors_origins,
        headers=sent_headers(operations),
        exposed=told_headers(operations),
    )


def _life(foundation: Foundation, flood: Flood) -> Lifespan:
    """The server's life: somebody keeps house, and at its end database and Redis get their connections back."""

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        async with keeping_house(foundation.store, foundation.clock):
            yield
        await flood.close()
        foundation.store.close()

    return life
