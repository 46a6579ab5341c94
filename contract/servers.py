"""The path that everything of a spec stands under (OpenAPI 3.0.3, Server Object)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from contract.diagnostics import did_you_mean

JSON = dict[str, Any]

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")  # RFC 3986 section 3.3, unescaped


class Misplaced(ValueError):
    """A URL has no path that can be served; the message says why."""


def base_path(document: JSON) -> str:
    """The path of the first server, without a slash at the end. Raises Misplaced."""
    servers: list[JSON] = document.get("servers") or [{"url": "/"}]
    return path_of(servers[0])


def path_of(server: JSON) -> str:
    """The path of a server whose variables have their defaults. Raises Misplaced."""
    variables = server.get("variables", {})

    def default(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise Misplaced(
                f'the url has no variable "{match[1]}"{did_you_mean(match[1], variables)}'
            )
        return str(variables[match[1]].get("default", ""))

    url = _VARIABLE.sub(default, server["url"])
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        raise Misplaced("the url is none (RFC 3986)") from None
    if not _PATH.fullmatch(path):
        raise Misplaced("the path of a url begins with a slash and has neither escapes nor spaces")
    return path
