"""Transactions over an engine: the unit of work that the rules are given."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from domain.errors import Unavailable
from storage import faults
from storage.migrate import head
from storage.purge import Purge
from storage.repositories.addresses import Addresses
from storage.repositories.backup_codes import BackupCodes
from storage.repositories.budgets import Budgets
from storage.repositories.challenges import Challenges
from storage.repositories.factors import Factors
from storage.repositories.sessions import Sessions
from storage.repositories.users import Users

_REVISION = text("SELECT version_num FROM alembic_version")


class SqlTransaction:
    """One transaction and its repositories (``domain.ports.Transaction``)."""

    __slots__ = ("_connection", "_writing")

    def __init__(self, connection: Connection, writing: bool) -> None:
        self._connection = connection
        self._writing = writing

    @property
    def users(self) -> Users:
        return Users(self._connection, self._writing)

    @property
    def sessions(self) -> Sessions:
        return Sessions(self._connection, self._writing)

    @property
    def challenges(self) -> Challenges:
        return Challenges(self._connection, self._writing)

    @property
    def factors(self) -> Factors:
        return Factors(self._connection, self._writing)

    @property
    def backup_codes(self) -> BackupCodes:
        return BackupCodes(self._connection, self._writing)

    @property
    def budgets(self) -> Budgets:
        return Budgets(self._connection, self._writing)

    @property
    def addresses(self) -> Addresses:
        return Addresses(self._connection, self._writing)

    def commit(self) -> None:
        self._connection.commit()

    def purge(self, now: datetime, limit: int) -> int:
        return Purge(self._connection, self._writing).run(now, limit)


class _Block:
    """``with`` over one transaction: rolled back unless committed, faults translated.

    A class and not a generator: it stands around every request.
    """

    __slots__ = ("_connection", "_engine", "_writing")

    def __init__(self, engine: Engine, writing: bool) -> None:
        self._engine = engine
        self._writing = writing

    def __enter__(self) -> SqlTransaction:
        with faults.translated():
            self._connection = self._engine.connect()
        try:
            with faults.translated():
                self._connection.begin()
        except BaseException:
            self._connection.close()
            raise
        return SqlTransaction(self._connection, self._writing)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with faults.translated():
            self._connection.close()
        if error is not None and faults.is_unavailable(error):
            raise Unavailable from error


class SqlStore:
    """The store over one engine (``domain.ports.Store``); it may be shared by threads."""

    def __init__(self, engine: Engine) -> None:
        self._reader = _reader(engine)
        self._writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    def read(self) -> _Block:
        return _Block(self._reader, False)

    def write(self) -> _Block:
        return _Block(self._writer, True)

    def ping(self) -> None:
        if self._revision() != head():
            raise Unavailable

    def _revision(self) -> str | None:
        try:
            with faults.translated(), self._reader.connect() as connection:
                return connection.execute(_REVISION).scalar()
        except ProgrammingError as error:
            # PostgreSQL's word for a table that is not there: nobody has migrated yet.
            raise Unavailable from error


def _reader(engine: Engine) -> Engine:
    if engine.dialect.name != "postgresql":
        return engine.execution_options(sqlite_begin="BEGIN")
    # Each statement sees its own snapshot under READ COMMITTED anyway, so a transaction around
    # reads would buy two round trips and nothing else. Repositories refuse to write here.
    return engine.execution_options(isolation_level="AUTOCOMMIT")
