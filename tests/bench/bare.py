"""The same handlers on a bare Flask under gunicorn: one worker, four threads, nothing validated."""

from __future__ import annotations

import os
import sys
from typing import Any

import flask

from domain.errors import Refusal
from domain.records import Client
from tests.bench.acts import Act, load, refused
from tests.support.servers import ROOT

THREADS = 4
KEEP_ALIVE = 15


def view(act: Act) -> Any:
    """A Flask view: the token, the body where one is sent, the act."""
    takes_body = act.operation.body is not None

    def answer(**given: Any) -> Any:
        request = flask.request
        if takes_body:
            given["body"] = request.get_json()
        session = None
        if act.operation.security.bearer:
            _, _, token = request.headers.get("Authorization", "").partition("Bearer ")
            session = act.session(token or None)
        client = Client(request.remote_addr, request.headers.get("User-Agent"))
        return act.answer(given, session, client)

    return answer


def application() -> flask.Flask:
    bare = flask.Flask(__name__, static_folder=None)
    bare.register_error_handler(Refusal, refused)
    for name, act in load().items():
        path = act.operation.path.replace("{", "<").replace("}", ">")
        bare.add_url_rule(path, name, view(act), methods=[act.operation.method])
    return bare


def command(port: str) -> list[str]:
    """The command line of gunicorn that serves this module."""
    return [
        *(sys.executable, "-m", "gunicorn", "tests.bench.bare:application()"),
        *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--workers", "1"),
        *("--threads", str(THREADS), "--keep-alive", str(KEEP_ALIVE), "--log-level", "warning"),
    ]


if __name__ == "__main__":
    os.chdir(ROOT)
    line = command(sys.argv[-1])
    os.execv(line[0], line)
