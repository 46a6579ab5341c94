"""PostgreSQL over psycopg 3: every wait bounded, on the server and against a server that hangs."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy import create_engine as create
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from storage import patience

# Waiting for the pool (2 s) and then for a statement (2.8 s), or for the pool and then for a new
# connection (2 s), ends within five seconds; storage/patience.py bounds the waits of a request
# together.
POOL_SIZE = 15
POOL_SECONDS = 2.0
CONNECT_SECONDS = 2
STATEMENT_SECONDS = 2.5
LOCK_SECONDS = 2.0
ANSWER_SECONDS = 2.8
IDLE_IN_TRANSACTION_SECONDS = 5.0

# What a URL may say beyond user, password, host, port and name: TLS and how to find the server.
PARAMETERS = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "host", "port"}
    | {"passfile", "application_name", "target_session_attrs"}
)

_SESSION = {
    "timezone": "UTC",
    "statement_timeout": int(STATEMENT_SECONDS * 1000),
    "lock_timeout": int(LOCK_SECONDS * 1000),
    "idle_in_transaction_session_timeout": int(IDLE_IN_TRANSACTION_SECONDS * 1000),
}


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives up on a server that holds the line and says nothing.

    ``statement_timeout`` needs a server that runs and ``tcp_user_timeout`` a network that does
    not acknowledge; a stopped process behind a live kernel escapes both.
    """

    answer_seconds: float | None = ANSWER_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is None and self.answer_seconds is not None:
            timeout = patience.within(self.answer_seconds)
        try:
            with patience.present():
                return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                # The answer may still come, to whoever asks next: this connection is spent.
                self.pgconn.finish()
            raise


class PatientPool(QueuePool):
    """A pool that nobody waits for longer than ``POOL_SECONDS`` or what is left to the request."""

    # SQLAlchemy knows one timeout for everybody and reads it from here.
    _timeout = property(lambda _: patience.within(POOL_SECONDS), lambda _, __: None)


def create_postgresql(url: URL, pool_size: int | None) -> Engine:
    unknown = set(url.query) - PARAMETERS
    if unknown:
        raise ValueError(
            "a PostgreSQL URL takes no parameters but " + ", ".join(sorted(PARAMETERS))
        )
    engine = create(
        url.set(drivername="postgresql+psycopg"),
        connect_args=_connect_args(),
        poolclass=PatientPool,
        pool_size=pool_size or POOL_SIZE,
        max_overflow=0,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkout", _check)
    return engine


@contextmanager
def patient(connection: Connection, lock_seconds: int) -> Iterator[None]:
    """Lift every bound but one on locks, for a transaction that is no request's."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, BoundedConnection)  # noqa: S101
    driver.answer_seconds = None
    try:
        for bound in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(text(f"SET LOCAL {bound} = 0"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{lock_seconds}s'"))
        yield
    finally:
        driver.answer_seconds = ANSWER_SECONDS


def _connect_args() -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "countersign",
        "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": int(ANSWER_SECONDS * 1000),
    }


def _connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> BoundedConnection:
    if patience.present().left < CONNECT_SECONDS:
        # psycopg admits no shorter bound (libpq's documentation, connect_timeout).
        raise psycopg.OperationalError("no time left to connect")
    return BoundedConnection.connect(*arguments, **parameters)


def _check(connection: Any, _record: Any, _proxy: Any) -> None:
    """Drop a connection that the server has closed since it was last used.

    An idle connection has nothing to read unless the server has said goodbye, so a look at the
    socket stands in for the round trip of a ping.
    """
    poller = select.poll()
    poller.register(connection.pgconn.socket, select.POLLIN)
    if poller.poll(0):
        raise DisconnectionError("the server closed an idle connection")
