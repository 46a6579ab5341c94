"""Which bearer tokens are good where nobody issues any: those that the spec itself shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract.compile import Contract
from contract.mock.answers import Answers
from contract.operation import Operation
from contract.replies import CHALLENGE, INVALID, Refused
from contract.request import Request

MEMBER = "access_token"
"""The member of a reply that hands a bearer token out (RFC 6749 section 5.1, RFC 6750 section 4)."""
STAND_IN = "mock"
"""The token of a spec that shows none."""


class Tokens:
    """Admits every `access_token` that a success shows, so that what signs in goes on as it does.

    A token that was drawn at random is not remembered.
    """

    def __init__(self, contract: Contract, answers: Answers) -> None:
        bodies = (body for each in contract.operations.values() for body in answers.shown(each))
        found = (token for body in bodies for token in _handed_out(body))
        self.good = tuple(dict.fromkeys(found)) or (STAND_IN,)

    def authenticate(self, request: Request, _operation: Operation) -> str:
        """The token. Raises Refused (401) for one that the spec does not show."""
        token = request.token or ""
        if token not in self.good:
            raise Refused(401, "invalid_token", {CHALLENGE: INVALID})
        return token


def _handed_out(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _handed_out(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name == MEMBER and isinstance(member, str):
                yield member
            else:
                yield from _handed_out(member)
