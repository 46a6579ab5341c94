"""Countersign's handlers and services without its contract layer, for the servers compared with it.

Both of them call the same functions on the same rows; what differs is what stands around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.completeness import argument_names
from contract.operation import Operation
from contract.replies import in_words
from domain.audit import Trail
from domain.errors import InvalidToken, Refusal
from domain.policy import OperationPolicy
from domain.records import Client, Session
from domain.services import Services
from domain.sessions import authenticate
from server import app, settings, spec

Answer = tuple[Any, int]
"""Body and status, as a Flask view may return them."""


class Act:
    """The handler of an operation with everything bound that is no part of a request."""

    def __init__(self, services: Services, operation: Operation, policy: OperationPolicy) -> None:
        module = spec.HANDLERS[operation.stem]
        self.operation = operation
        self._services = services
        self._policy = policy
        self._handler = getattr(module, operation.function)
        self._names = argument_names(self._handler)

    def session(self, token: str | None) -> Session | None:
        """The session of a bearer token. Raises Refusal."""
        if token is None:
            if self.operation.security.mandatory:
                raise InvalidToken
            return None
        return authenticate(self._services, token, self._policy)

    def answer(self, given: Mapping[str, Any], session: Session | None, client: Client) -> Answer:
        """Call the handler; ``given`` holds the body and the parameters."""
        trail = Trail(self._policy.audit or "", client.address)
        own = {"session": session, "client": client, "policy": self._policy, "trail": trail}
        known = {**given, **own}
        data = self._handler(self._services, **{name: known[name] for name in self._names})
        if not self.operation.envelope:
            return data, self.operation.success
        body = {"success": True, "message": self.operation.message}
        return (body if data is None else {**body, "data": data}), self.operation.success


def refused(refusal: Refusal) -> Answer:
    """The envelope of a refusal by the rules."""
    error = {"code": refusal.code, "details": [], "request_id": ""}
    body = {"success": False, "message": in_words(refusal.code), "error": error}
    return body, refusal.status


def load() -> dict[str, Act]:
    """The acts by operationId, composed from the environment as Countersign composes itself."""
    current = settings.load()
    reading = spec.read(current.spec)
    services = app.compose(current, reading)
    return {
        name: Act(services, operation, reading.policies.operations[name])
        for name, operation in reading.contract.operations.items()
    }
