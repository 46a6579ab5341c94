"""What every repository is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Connection, Executable, Row, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
Values = Mapping[str, Any]
PerEngine = Mapping[str, Executable]


class Repository:
    """Carries out statements on the connection of one transaction."""

    __slots__ = ("_connection", "_writing")

    def __init__(self, connection: Connection, writing: bool) -> None:
        self._connection = connection
        self._writing = writing

    def _first(self, statement: Executable, values: Values) -> Row[Any] | None:
        return self._connection.execute(statement, values).first()

    def _one(self, make: Callable[..., T], statement: Executable, values: Values) -> T | None:
        """The first row as a record, whose fields the columns follow."""
        row = self._first(statement, values)
        return None if row is None else make(*row)

    def _many(self, make: Callable[..., T], statement: Executable, values: Values) -> list[T]:
        return [make(*row) for row in self._connection.execute(statement, values)]

    def _scalar(self, statement: Executable, values: Values) -> Any:
        return self._connection.execute(statement, values).scalar()

    def _change(self, statement: Executable, values: Values | list[Values]) -> int:
        """The number of rows that the statement changed."""
        if not self._writing:
            # PostgreSQL reads in autocommit: a change made there would outlive its block.
            raise RuntimeError("a reading transaction cannot change rows")
        return self._connection.execute(statement, values).rowcount

    def _changed_one(self, statement: Executable, values: Values) -> bool:
        return self._change(statement, values) == 1

    def _own(self, statements: PerEngine) -> Executable:
        return statements[self._connection.dialect.name]


def per_engine(build: Callable[[Any], Executable]) -> PerEngine:
    """The same INSERT … ON CONFLICT in both dialects; ``build`` is given each one's ``insert``.

    The row count says whether the row was taken; SQLAlchemy keeps it for an INSERT on request.
    """
    return {
        name: build(dialect.insert).execution_options(preserve_rowcount=True)
        for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
    }


def columns_of(table: Table, record: type) -> list[ColumnElement[Any]]:
    """The columns that the fields of a record name, in their order, so that a row makes one."""
    return [table.c[name] for name in record.__slots__]  # type: ignore[attr-defined]


def values_of(record: Any) -> dict[str, Any]:
    """A record's fields by name; ``dataclasses.asdict`` would copy them deeply."""
    return {name: getattr(record, name) for name in record.__slots__}


NOW: BindParameter[Any] = bindparam("now")
