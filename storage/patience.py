"""How long a request may wait for the database in all, however many transactions it makes.

Each wait has a bound of its own. A database that comes and goes could use it up once for each
transaction of a request, which together would be longer than clients are promised.
"""

from __future__ import annotations

from contextvars import ContextVar
from time import monotonic
from types import TracebackType

SECONDS = 4.0
LEAST = 0.1
"""A wait that begins when nothing is left still gets so much: most answers are there by then."""


class Patience:
    """What is left of one request's seconds. Used as a block it counts the time inside, once."""

    __slots__ = ("_depth", "_left", "_since")

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._depth = 0
        self._since = 0.0

    @property
    def left(self) -> float:
        """Seconds that are left, the wait of this moment counted; negative where it is overdue."""
        return self._left - (monotonic() - self._since if self._depth else 0.0)

    def __enter__(self) -> None:
        if not self._depth:
            self._since = monotonic()
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._left -= monotonic() - self._since


class _Endless(Patience):
    """Of whoever is no request: a command, a migration, a chore. It may be shared by threads."""

    __slots__ = ()

    @property
    def left(self) -> float:
        return float("inf")

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


_ENDLESS = _Endless(0.0)
_PATIENCE: ContextVar[Patience] = ContextVar("patience", default=_ENDLESS)


def begin() -> None:
    """Begin to count, in the present context: that of one request."""
    _PATIENCE.set(Patience(SECONDS))


def present() -> Patience:
    """The patience of whoever asks: :func:`begin` began it, or it has no end."""
    return _PATIENCE.get()


def within(most: float) -> float:
    """``most`` seconds, or what is left where that is less; never less than ``LEAST``."""
    return max(LEAST, min(most, _PATIENCE.get().left))
