"""One transaction and its repositories (``domain.ports.Transaction``)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from storage.purge import Purge
from storage.repositories.addresses import Addresses
from storage.repositories.audit import Audit
from storage.repositories.backup_codes import BackupCodes
from storage.repositories.budgets import Budgets
from storage.repositories.challenges import Challenges
from storage.repositories.chores import Chores
from storage.repositories.factors import Factors
from storage.repositories.keys import Keys
from storage.repositories.sessions import Sessions
from storage.repositories.users import Users


class SqlTransaction:
    """The repositories over one connection; nothing here begins or ends anything but commit."""

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

    @property
    def audit(self) -> Audit:
        return Audit(self._connection, self._writing)

    @property
    def keys(self) -> Keys:
        return Keys(self._connection, self._writing)

    @property
    def chores(self) -> Chores:
        return Chores(self._connection, self._writing)

    def commit(self) -> None:
        self._connection.commit()

    def purge(self, now: datetime, limit: int) -> int:
        return Purge(self._connection, self._writing).run(now, limit)
