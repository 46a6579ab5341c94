"""Flask with what a contract knows better left out of each request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flask
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import ClosingIterator


class Unabridged(flask.Response):
    """A response that is sent as it is.

    Werkzeug would drop the body of a 204, and so hide a breach, and would call an untyped body
    HTML.
    """

    default_mimetype = None

    def get_app_iter(self, environ: Any) -> Iterable[bytes]:  # noqa: ARG002 - Werkzeug's signature
        return ClosingIterator(self.iter_encoded(), self.close)


class Application(flask.Flask):
    """Serves rules without converters, one for each path of a spec, with plain functions."""

    response_class = Unabridged

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name, static_folder=None)
        # What goes wrong is answered by the contract layer, never by a page of Flask's.
        self.config.update(
            PROPAGATE_EXCEPTIONS=True, TRAP_BAD_REQUEST_ERRORS=True, TRAP_HTTP_EXCEPTIONS=True
        )
        self._adapters: dict[tuple[str, str], MapAdapter] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Handlers are known to be plain functions; Flask would inspect them for each request."""
        return func

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Kept for each path and method: their number is the spec's, and the host has no say."""
        if request is None:
            return None
        key = (request.path, request.method)
        if key not in self._adapters:
            self._adapters[key] = self.url_map.bind(
                "localhost", path_info=request.path, default_method=request.method
            )
        return self._adapters[key]
