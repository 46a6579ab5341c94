"""What the database says when it does not answer, told apart from what is our own fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from domain.errors import Unavailable

# InternalError: PostgreSQL's read-only and idle-in-transaction refusals. An integrity or a
# programming error is a defect of ours, and stays one.
UNAVAILABLE = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)


def is_unavailable(error: BaseException) -> bool:
    """Whether the error means locked, full, read-only, gone or late."""
    if isinstance(error, UNAVAILABLE):
        return True
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    # SQLite's plain DatabaseError: the file is damaged or no database.
    return type(error) is exc.DatabaseError


@contextmanager
def translated() -> Iterator[None]:
    """Raise :class:`Unavailable` in place of what means that the database did not answer."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        if is_unavailable(error):
            raise Unavailable from error
        raise
