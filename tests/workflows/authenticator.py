"""The authenticator that the workflows read codes from: spec/workflows/authenticator.yaml.

oathtool computes the codes, so that no bug of the server is in them too.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from tests.e2e.tools import Phone

SECRET = re.compile(r"[A-Z2-7]{16,128}")
LONGEST_BODY = 1024


class Pocket:
    """The phones of all users. Each gives the code of a time step once.

    The present step comes first, then the next one, which is within the server's window, and then
    whoever asks has to wait. With ``wrong`` no code is right.
    """

    def __init__(
        self,
        wrong: bool = False,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wrong, self._now, self._sleep = wrong, now, sleep
        self._phones: dict[str, Phone] = {}
        self._lock = Lock()

    def code(self, secret: str) -> str:
        """The next code of a base32 secret."""
        with self._lock:
            phone = self._phones.setdefault(secret, Phone(secret))
            step = max(int(self._now()) // phone.period, phone.last_step + 1)
            phone.last_step = step
        self._sleep(max(0, (step - 1) * phone.period - self._now()))
        if self._wrong:
            return phone.wrong(datetime.fromtimestamp(self._now(), UTC))
        return phone.code_of(step)


@contextmanager
def serving(pocket: Pocket) -> Iterator[str]:
    """The service on a free port; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), LONGEST_BODY))
            secret = json.loads(body)["secret"]
            if self.path != "/code" or not SECRET.fullmatch(secret):
                self.send_error(400)
                return
            reply = json.dumps({"code": pocket.code(secret)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_request(self, *_reply: object) -> None:
            """Nothing is logged: a line would only tell that a code was read."""

        def log_error(self, *_reply: object) -> None:
            """Nor of a refusal, which who asked is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
