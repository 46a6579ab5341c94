"""The same spec and handlers on Connexion as it comes, with both of its validations switched on.

Security is a function of a bearer token, as Connexion's documentation has it; services are bound
by a resolver; refusals of the rules are turned into replies by an error handler.
"""

from __future__ import annotations

import sys
import uuid
from typing import Any

import connexion
import flask
import uvicorn
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.resolver import Resolution, Resolver
from connexion.security import BearerSecurityHandler

from domain.errors import Refusal
from domain.records import Client
from server import settings
from tests.bench.acts import Act, load, refused


class Bound(Resolver):
    """Resolves an operationId to a view of its act."""

    def __init__(self, acts: dict[str, Act]) -> None:
        super().__init__()
        self._acts = acts

    def resolve(self, operation: Any) -> Resolution:
        name = operation.operation_id
        return Resolution(view(self._acts[name]), name)


def view(act: Act) -> Any:
    """A function for Connexion to call; it passes by name what its signature has."""

    fixed = dict(act.operation.responses[str(act.operation.success)].constants)

    def answer(body: Any = None, token_info: Any = None, session_id: str = "") -> Any:
        request = flask.request
        client = Client(request.remote_addr, request.headers.get("User-Agent"))
        session = token_info["session"] if token_info else None
        given = {"body": body, "session_id": session_id}
        # Response validation asks for every header that the spec declares.
        headers = {**fixed, "X-Request-ID": uuid.uuid4().hex}
        return *act.answer(given, session, client), headers

    return answer


def bearer(status: Act) -> type[BearerSecurityHandler]:
    """A handler of bearer tokens that checks each as an operation without an assurance does."""

    def token_info(token: str) -> dict[str, Any]:
        session = status.session(token)
        assert session is not None
        return {"sub": session.user_id, "session": session}

    class Bearer(BearerSecurityHandler):
        def _resolve_func(self, security_scheme: Any) -> Any:
            return token_info

    return Bearer


def refusal(_request: ConnexionRequest, exc: Exception) -> ConnexionResponse:
    assert isinstance(exc, Refusal)
    body, status = refused(exc)
    return ConnexionResponse(
        status_code=status,
        headers=dict(exc.headers),
        content_type="application/json",
        body=flask.json.dumps(body),
    )


def application() -> connexion.FlaskApp:
    acts = load()
    stock = connexion.FlaskApp(__name__)
    stock.add_error_handler(Refusal, refusal)
    stock.add_api(
        settings.load().spec.resolve(),
        resolver=Bound(acts),
        security_map={"bearer": bearer(acts["getMFAStatus"])},
        validate_responses=True,
        strict_validation=True,
    )
    return stock


if __name__ == "__main__":
    uvicorn.run(
        application(),
        host="127.0.0.1",
        port=int(sys.argv[-1]),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
    )
