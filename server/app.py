"""The composition root: settings, keys, storage, the rules, the contract, one application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from contract.app import Around, ContractApp, create_app
from contract.operation import Operation
from contract.request import Request
from domain.audit import Trail
from domain.backup_codes import BackupCodes
from domain.chain import Chain
from domain.errors import Refusal
from domain.keyring import Turns
from domain.passwords import Passwords
from domain.policy import OperationPolicy
from domain.ports import Clock
from domain.records import Client, Session
from domain.sealing import Sealer
from domain.services import Services
from domain.sessions import authenticate
from domain.tokens import AccessTokens
from server import docs, explain, keys, logs, settings, spec
from server.client import client_of
from server.cors import Cors, sent_headers
from server.flood import READINESS, Flood, gate
from server.housekeeping import keeping_house
from server.keyring import Custodian, KeyDirectory, SigningRing, rota_of
from server.settings import Settings
from server.spec import Reading
from server.trail import tell
from storage import migrate, patience
from storage.engine import create_engine
from storage.store import SqlStore

WORKERS = "WEB_CONCURRENCY"
"""Tells a worker process how many share the machine; not a setting, so without our prefix."""

Observer = Callable[[str | None, int, str | None], None]


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def prepare(current: Settings) -> None:
    """What happens once before any worker starts: keys in development, the schema on SQLite.

    Raises KeyDirectoryError before anything is migrated.
    """
    if current.env == "development":
        keys.ensure(current.key_dir)
    keys.load(current.key_dir)
    if current.database_url.startswith("sqlite"):
        migrate.upgrade(current.database_url)


def compose(
    current: Settings,
    reading: Reading,
    *,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
    workers: int = 1,
) -> Services:
    """Everything the rules are given. Opens the key directory and the database's pool.

    ``workers`` is the number of processes that share the machine's cores.
    """
    policies = reading.policies
    store = SqlStore(create_engine(current.database_url))
    directory = KeyDirectory(current.key_dir)
    custodian = Custodian(directory, store)
    custodian.meet()
    return Services(
        clock=clock or SystemClock(),
        store=store,
        policies=policies,
        passwords=passwords or Passwords(max(1, (os.cpu_count() or 1) // workers)),
        sealer=Sealer(custodian.rings["encryption"]),
        tokens=AccessTokens(
            Turns(SigningRing(directory), rota_of(policies), keys.made_at),
            current.issuer,
            current.audience,
            policies.lifetimes.access_token,
        ),
        backup_codes=BackupCodes(policies.backup_codes, custodian.rings["pepper"]),
        chain=Chain(custodian.audit, tell),
        keys=custodian,
        revision=reading.contract.revision,
        registration_open=current.registration == "open",
        totp_issuer=current.totp_issuer,
    )


def create(
    current: Settings,
    reading: Reading,
    *,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
    observe: Observer | None = None,
    workers: int = 1,
) -> ContractApp:
    """The application. Raises SpecError or KeyDirectoryError before it serves.

    ``observe`` is told (operationId, status, media type) of every reply that leaves.
    """
    policies = reading.policies
    services = compose(current, reading, clock=clock, passwords=passwords, workers=workers)
    flood = Flood(current.redis_url)

    def session_of(request: Request, operation: Operation) -> Session:
        return authenticate(services, request.token or "", policies.operations[operation.id])

    def client(request: Request) -> Client:
        return _client(request, current)

    def policy(request: Request) -> OperationPolicy:
        return policies.operations[request.operation.id]

    def trail(request: Request) -> Trail:
        # The lint sees to it that what changes something names its event.
        event = policies.operations[request.operation.id].audit or ""
        return Trail(event, client(request).address, request.request_id)

    application = create_app(
        reading.contract,
        registry=reading.registry,
        handlers=spec.HANDLERS,
        services=services,
        authenticate=session_of,
        refusals=(Refusal,),
        context={"client": client, "policy": policy, "trail": trail},
        mode=current.contract,
        docs=partial(docs.pages, explained=partial(explain.as_json, reading)),
        observe=observe,
        lifespan=_closing(services, flood),
        gate=gate(flood, reading.contract.operations, partial(_address, current)),
        aside={READINESS},  # no flood limit keeps anybody from asking it
        around=_cors(current, reading),
    )
    application.services = services
    application.app.before_request(patience.begin)
    return application


def _client(request: Request, current: Settings) -> Client:
    forwarded = request.headers.all("x-forwarded-for")
    agent = request.headers.first("user-agent")
    return client_of(request.client or None, forwarded, agent, current.trusted_proxies)


def _address(current: Settings, request: Request) -> str | None:
    """Without the user agent, which is as long as its sender likes."""
    forwarded = request.headers.all("x-forwarded-for")
    return client_of(request.client or None, forwarded, None, current.trusted_proxies).address


def _cors(current: Settings, reading: Reading) -> Around | None:
    """What lets pages of other origins in, where there are any."""
    if not current.cors_origins:
        return None
    headers = sent_headers(reading.contract.operations.values())
    return partial(Cors, origins=current.cors_origins, headers=headers)


def _closing(
    services: Services, flood: Flood
) -> Callable[[object], AbstractAsyncContextManager[None]]:
    """The application's life: somebody keeps house, and at its end database and Redis get their connections back."""

    @asynccontextmanager
    async def life(_application: object) -> AsyncIterator[None]:
        async with keeping_house(services):
            yield
        await flood.close()
        services.store.close()

    return life


def from_environment() -> ContractApp:
    """What a worker process serves; ``prepare`` has run in its parent."""
    logs.configure()
    current = settings.load()
    return create(current, spec.read(current.spec), workers=int(os.environ.get(WORKERS, "1")))
