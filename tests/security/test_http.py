"""Section 4.7: whatever comes over the wire, the answer is one of those that the spec declares."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.hardening.judge import Judge
from tests.hardening.wire import Connection, chunk, json_fields, message
from tests.security import planted
from tests.security import site as sites
from tests.security.doors import FREE, LOCK, delayed, use_up
from tests.security.refusals import refused, state, unchanged
from tests.security.site import House, Site, house_of
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.doors import at_disable, at_login
from tests.support.servers import ROOT
from tests.support.specs import body_limits

MB = 1_000_000
MOST_GROWTH = 50
"""Megabytes that hostile bodies may add to what a worker has in memory."""
JSON = {"Content-Type": "application/json"}


@dataclass
class Court:
    """A site whose every reply is held against the published bundle, by other code than its own."""

    site: Site
    judge: Judge
    token: str = ""

    def ask(self, method: str, path: str, **options: Any) -> Reply:
        options = {"token": self.token or None} | options
        reply = self.site.api().request(method, path, **options)
        target = path.partition("?")[0]
        assert self.judge.faults(method, target, reply) == [], (method, path, reply)
        assert reply.status < 500 or reply.status == 503
        return reply

    def say(self, data: bytes, method: str, target: str) -> Reply:
        """Bytes on a connection of their own to the first worker."""
        with Connection(port_of(self.site)) as connection:
            connection.try_to_send(data)
            answer = connection.answer(method)
        assert answer is not None
        assert self.judge.faults(method, target, answer) == [], (method, target, answer)
        return answer

    def posts(self, *, with_body: bool | None = None) -> list[str]:
        """Every path that takes POST, with ids filled in."""
        return [
            re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
            for path, method, operation in self.judge.operations()
            if method == "POST" and with_body in (None, "requestBody" in operation)
        ]


def port_of(site: Site, worker: int = 0) -> int:
    return int(httpx.URL(site.server(worker).url).port or 0)


@pytest.fixture(scope="module")
def judge(house: House) -> Judge:
    return judge_of(house)


def judge_of(house: House) -> Judge:
    return Judge(httpx.get(f"{house.servers[0].url}/openapi.json").json())


@pytest.fixture
def court(site: Site, judge: Judge) -> Court:
    return Court(site, judge)


@pytest.fixture
def chair(site: Site, court: Court) -> Court:
    return seated(site, court)


def seated(site: Site, court: Court) -> Court:
    """The court with the token of an administrator, who may ask for everything."""
    ann = site.user()
    site.rows("UPDATE users SET role = 'admin' WHERE id = :id", id=ann.user_id)
    court.token = ann.enrol().token
    return court


def still_served(site: Site) -> None:
    """Every worker is the process that it was, and answers."""
    assert all(server.process.poll() is None for server in site.house.servers)
    for worker in range(site.workers):
        assert site.api(worker).get("/health/ready").status == 200


NO_TEXT = {
    "invalid UTF-8 in a field": b'{"mfa_code":"\xff\xfe"}',
    "the header of a PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "a lone surrogate": b'{"mfa_code":"\\ud800"}',
}


@pytest.mark.parametrize("name", NO_TEXT)
def test_s71_bytes_that_are_no_text_are_refused_in_the_envelope(chair: Court, name: str) -> None:
    """Every POST answers a body that is no text with 400, or 415 under another type, never 5xx."""
    paths = chair.posts()
    assert len(paths) >= 14
    for path in paths:
        assert chair.ask("POST", path, content=NO_TEXT[name], headers=JSON).status == 400
        reply = chair.ask(
            "POST", path, content=NO_TEXT[name], headers={"Content-Type": "image/png"}
        )
        assert reply.status in (400, 415)
    assert chair.ask("GET", "/auth/session").status == 200  # not one of them was carried out


DEEP: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda size: b"[" * size,
    "a field": lambda size: (
        b'{"mfa_code":' + b"[" * (size // 2 - 8) + b"]" * (size // 2 - 8) + b"}"
    ),
    "objects": lambda size: b'{"a":' * (size // 6) + b"}" * (size // 6),
}


@pytest.mark.parametrize("name", DEEP)
def test_s72_deep_nesting_is_refused_and_kills_no_worker(chair: Court, name: str) -> None:
    """However deep a body is nested the answer is 400, or 413 where it is long too."""
    body = DEEP[name](100_000)
    for path in chair.posts(with_body=True):
        assert chair.ask("POST", path, content=body, headers=JSON).status == 413
        short = DEEP[name](body_limits()[str(chair.judge.cell("POST", path))])
        assert chair.ask("POST", path, content=short, headers=JSON).status == 400
    for path in chair.posts(with_body=False):
        assert chair.ask("POST", path, content=body, headers=JSON).status in (400, 413)
    still_served(chair.site)


LONG = 1000
"""Digits that every operation with a body reads."""
NUMBERS = [
    *("9" * LONG, "-" + "9" * LONG, "NaN", "Infinity", "-Infinity", "1e999", "0." + "1" * LONG),
    *("9" * 5 * LONG, "-" + "9" * 5 * LONG, "0." + "1" * 5 * LONG),
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: f"{text[:8]} {len(text)}")
def test_s73_numbers_that_are_none_are_refused(chair: Court, number: str) -> None:
    """Numbers of 1 000 and 5 000 digits, NaN, Infinity and 1e999 are a 400, alone and in a field.

    A body that is longer than its operation reads is a 413 before anybody looks for a number in it.
    """
    for path in chair.posts():
        limit = body_limits().get(str(chair.judge.cell("POST", path)))
        for body in (number, f'{{"mfa_code":{number}}}', f"[{number}]"):
            due = 413 if limit is not None and len(body) > limit else 400
            assert chair.ask("POST", path, content=body.encode(), headers=JSON).status == due


def test_s74_a_name_that_stands_twice_is_refused_whichever_is_right(
    site: Site, court: Court
) -> None:
    """With a duplicate member the request is a 400, spends nothing and charges nothing."""
    ann = site.member()
    challenge, code = ann.begin()["challenge_id"], ann.code()
    right = {"challenge_id": challenge, "mfa_code": code}
    begin = {"username": ann.username, "password": ann.password}
    with unchanged(site, ann):
        for body, name, other in [
            (right, "mfa_code", ann.wrong_code()),
            (right, "challenge_id", "A" * 43),
            (begin, "username", "somebody.else"),
            (begin, "password", "not the password"),
        ]:
            rest = {key: value for key, value in body.items() if key != name}
            for first, second in ((body[name], other), (other, body[name]), (other, other)):
                text = twice(rest, name, first, second)
                reply = court.ask("POST", "/auth/login", content=text, headers=JSON)
                assert refused(reply, "invalid_request").status == 400
    key = f"totp:{ann.user_id}"
    assert site.rows("SELECT count FROM budgets WHERE key = :key", key=key) == []
    ok(ann.finish(challenge, code))


def twice(rest: Mapping[str, str], name: str, first: str, second: str) -> bytes:
    members = [*rest.items(), (name, first), (name, second)]
    pairs = (f"{json.dumps(key)}:{json.dumps(value)}" for key, value in members)
    return ("{" + ",".join(pairs) + "}").encode()


NAMES = {
    "a NUL": ("a\0b", 400),
    "CR LF": ("ann\r\nroot", 400),
    "a newline at the end": ("ann\n", 400),
    "a right-to-left mark": ("ann\u200f", 400),
    "a right-to-left override": ("\u202enna", 400),
    "an emoji": ("ann\U0001f600", 201),
    "Hebrew": ("\u05d0\u05e0\u05d4", 201),
}


@pytest.mark.parametrize("name", NAMES)
def test_s75_odd_names_are_taken_or_refused_alike_on_both_engines(court: Court, name: str) -> None:
    """NUL, line breaks and direction marks in a name are a 400, an emoji is a letter like others;
    the table that is asserted is the same for SQLite and PostgreSQL."""
    text, status = NAMES[name]
    text = text if status == 400 else f"{text}{secrets.token_hex(4)}"
    body = {"username": text, "password": "correct horse battery"}
    assert court.ask("POST", "/auth/register", json=body).status == status
    assert court.ask("POST", "/auth/login", json=body).status == (400 if status == 400 else 200)


PASSWORDS = {
    "a NUL": "before\0after is long",
    "CR LF": "before\r\nafter is long",
    "an emoji": "before\U0001f600after is long",
    "a right-to-left mark": "before\u200fafter is long",
}


@pytest.mark.parametrize("name", PASSWORDS)
def test_s75_any_character_of_a_password_counts(site: Site, name: str) -> None:
    """A password with NUL, line breaks, an emoji or a mark signs in, and nothing short of it."""
    password = PASSWORDS[name]
    ann = site.account(password=password).sign_in()
    others = [password[:6], password[:7], password.replace(password[6], ""), password[::-1]]
    with unchanged(site, ann):
        for other in others:
            body = {"username": ann.username, "password": other}
            refused(ann.api.post("/auth/login", json=body), "invalid_credentials")


def test_s75_what_is_sent_forges_no_log_line(site: Site, court: Court) -> None:
    """Line breaks in a name, a password, a path and a query write no line of their own, and what
    was written there stands in no line."""
    mark = f"forged{secrets.token_hex(8)}"
    line = f'x\r\n{{"event": "{mark}", "level": "info"}}\n'
    encoded = line.replace("\r", "%0D").replace("\n", "%0A").replace(" ", "%20").replace('"', "%22")
    ann = site.user()
    for body in (
        {"username": line[:60], "password": "whatever else"},
        {"username": ann.username, "password": line},
        {"username": ann.username, "password": ann.password, line: line},
    ):
        assert court.ask("POST", "/auth/login", json=body).status in (400, 401)
    assert court.ask("GET", f"/{encoded}").status == 404
    assert court.ask("GET", f"/auth/session?{encoded}=1", token=ann.token).status == 400
    assert mark not in site.logs()


TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "text/xml",
    "application/vnd.api+json",
    "application/problem+json",
    "text/json",
    "application/json; charset=utf-16",
]


@pytest.mark.parametrize("content_type", TYPES)
def test_s76_another_media_type_is_no_way_round_the_limits(
    site: Site, court: Court, content_type: str
) -> None:
    """JSON under any other type is a 415 that is neither looked at nor counted; as JSON it is."""
    ann = site.member()
    challenge, code = ann.begin()["challenge_id"], ann.code()
    headers = {"Content-Type": content_type}
    with unchanged(site, ann):
        for text in [code, *[ann.wrong_code()] * FREE]:
            body = json.dumps({"challenge_id": challenge, "mfa_code": text}).encode()
            reply = court.ask("POST", "/auth/login", content=body, headers=headers)
            assert refused(reply, "unsupported_media_type").status == 415
    use_up(ann)
    delayed(at_login(ann, code), "totp", 30)
    site.clock.advance(seconds=30)
    ok(at_login(ann, code))


def test_s76_forms_and_xml_are_no_way_in(site: Site, court: Court) -> None:
    """A form, a multipart form and XML with the right name and password are a 415."""
    ann = site.account()
    form = str(httpx.QueryParams({"username": ann.username, "password": ann.password})).encode()
    part = "\r\n".join(
        line
        for name in ("username", "password")
        for line in ("--x", f'Content-Disposition: form-data; name="{name}"', "", vars(ann)[name])
    )
    xml = f"<login><username>{ann.username}</username><password>{ann.password}</password></login>"
    bodies = {
        "application/x-www-form-urlencoded": form,
        "multipart/form-data; boundary=x": f"{part}\r\n--x--\r\n".encode(),
        "application/xml": xml.encode(),
    }
    with unchanged(site, ann):
        for content_type, body in bodies.items():
            headers = {"Content-Type": content_type}
            reply = court.ask("POST", "/auth/login", content=body, headers=headers)
            assert refused(reply).status == 415
    ann.sign_in()


def resident(process: int) -> float:
    """Megabytes that a process has in memory."""
    path = Path(f"/proc/{process}/status")
    line = next(x for x in path.read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def announced(size: int) -> tuple[bytes, bytes]:
    return message(
        "POST", "/auth/login", json_fields(**{"Content-Length": str(size)})
    ), b" " * 65536


ENDLESS = message("POST", "/auth/login", json_fields(**{"Transfer-Encoding": "chunked"}))

FLOODS: dict[str, tuple[bytes, bytes, set[int]]] = {
    "a body of 1 MB": (*announced(MB), {413}),
    "a body of 20 MB": (*announced(20 * MB), {413}),
    "a chunked body without end": (ENDLESS, chunk(b" " * 65536), {413}),
    "tiny chunks without end": (ENDLESS, chunk(b" ") * 10_000, {413}),
    "a header of 64 KB": (
        b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-A: ",
        b"a" * 65536,
        {400, 431},
    ),
    "headers without end": (
        b"GET /health/live HTTP/1.1\r\nHost: a\r\n",
        b"X-A: a\r\n" * 999,
        {400, 431},
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_s77_a_flood_is_refused_before_it_is_read(site: Site, judge: Judge, name: str) -> None:
    """Huge and endless bodies and headers are a 413 or 400 while they still come, and add less
    than 50 MB to the worker. 20 MB at most are offered; a client that reads gets its answer."""
    start, piece, statuses = FLOODS[name]
    process = site.server(0).process.pid
    before = resident(process)
    with Connection(port_of(site)) as connection:
        connection.send(start)
        sender = threading.Thread(target=offer, args=(connection, piece))
        sender.start()
        answer = connection.answer("POST")
        grown = resident(process) - before
        connection.finish_sending()
        sender.join()
    assert answer is not None
    assert answer.status in statuses
    assert answer.closing
    assert max(grown, resident(process) - before) < MOST_GROWTH
    still_served(site)


def test_what_a_process_holds_is_seen() -> None:
    code = (
        "import sys; print(flush=True); input(); x = b'x' * 60_000_000; print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = resident(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        assert resident(process.pid) - before > MOST_GROWTH
        process.stdin.write("\n")


def offer(connection: Connection, piece: bytes) -> None:
    for _ in range(20 * MB // len(piece)):
        if not connection.try_to_send(piece, seconds=5):
            return


def test_s77_what_the_limits_allow_is_answered(site: Site, court: Court) -> None:
    """A body as long as its schema lets it be, in one piece or in chunks, and 8 KB of headers are no
    problem."""
    ann = site.account()
    body = json.dumps({"username": ann.username, "password": ann.password}).encode()
    padded = body.ljust(body_limits()["login"])
    assert court.ask("POST", "/auth/login", content=padded, headers=JSON).status == 200
    pieces = b"".join(chunk(padded[n : n + 4096]) for n in range(0, len(padded), 4096))
    assert court.say(ENDLESS + pieces + b"0\r\n\r\n", "POST", "/auth/login").status == 200
    long = JSON | {"X-A": "a" * 8000}
    assert court.ask("POST", "/auth/login", content=body, headers=long).status == 200
    assert court.ask("POST", "/auth/login", content=padded + b" ", headers=JSON).status == 413


EXTRA: dict[str, Any] = {
    "is_admin": True,
    "mfa_enabled": False,
    "id": str(uuid.uuid4()),
    "role": "admin",
    "totp_secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "amr": ["pwd", "otp", "mfa"],
    "acr": "aal2",
    "active": True,
    "__proto__": {"role": "admin"},
}


@pytest.mark.parametrize("name", EXTRA)
def test_s78_members_that_nobody_asked_for_are_refused(site: Site, court: Court, name: str) -> None:
    """Registration, sign-in and every other body with a member more is a 400 and changes nothing;
    without it the same request is carried out."""
    more = {name: EXTRA[name]}
    fresh = {"username": f"u{secrets.token_hex(6)}", "password": secrets.token_urlsafe(12)}
    assert court.ask("POST", "/auth/register", json=fresh | more).status == 400
    assert court.ask("POST", "/auth/login", json=fresh).status == 401  # it has made nobody
    assert court.ask("POST", "/auth/register", json=fresh).status == 201
    ann = site.member()
    bodies: dict[str, Any] = {
        "/auth/login": {"username": ann.username, "password": ann.password},
        "/auth/refresh": {"refresh_token": ann.refresh_token},
        "/auth/password": {"current_password": ann.password, "new_password": "another one, long"},
        "/mfa/setup": {},
        "/mfa/verify": {"code": ann.code()},
        "/mfa/disable": {"password": ann.password, "code": ann.backup_codes[0]},
        "/mfa/backup-codes/verify": {"code": ann.backup_codes[0]},
        "/mfa/backup-codes/regenerate": {},
        "/auth/challenge": {},
        "/auth/logout": {},
    }
    before = state(site, ann)
    with unchanged(site, ann):
        for path, body in bodies.items():
            reply = court.ask("POST", path, json=body | more, token=ann.token)
            assert refused(reply, "invalid_request").status == 400
    assert state(site, ann) == before
    assert court.ask("POST", "/auth/login", json=bodies["/auth/login"]).status == 200
    ok(at_disable(ann, ann.backup_codes[0]))


METHODS = ("GET", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "FOO")


@pytest.mark.parametrize("method", METHODS)
def test_s79_a_post_route_takes_post(chair: Court, method: str) -> None:
    """Other methods on POST routes are 405 with Allow, and no header or parameter overrides that.
    The control: POST itself is never 405."""
    overrides = dict.fromkeys(
        ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"), "POST"
    )
    for path in chair.posts():
        declared = {m for p, m, _ in chair.judge.operations() if chair.judge._path(path) == p}
        if method in declared:
            continue
        for target in (path, f"{path}?_method=POST"):
            fields = overrides | {"Authorization": f"Bearer {chair.token}"}
            reply = chair.say(message(method, target, fields), method, path)
            assert (reply.status, reply.code) == (405, "method_not_allowed")
            assert "POST" in reply.headers["Allow"].split(", ")
        assert chair.ask("OPTIONS", path).status == 204
    assert chair.ask("GET", "/auth/session").status == 200


def test_s79_no_header_makes_another_method_of_a_post(site: Site, court: Court) -> None:
    """POST with an override header is that POST, and with ``_method`` in the query a 400."""
    ann = site.account()
    body = {"username": ann.username, "password": ann.password}
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        headers = {name: "DELETE"}
        assert court.ask("POST", "/auth/login", json=body, headers=headers).status == 200
    assert court.ask("POST", "/auth/login?_method=DELETE", json=body).status == 400


def test_s79_no_credential_is_taken_from_the_query(site: Site, court: Court) -> None:
    """Name and password, a code or a token in the query are refused; in their place they work."""
    ann = site.member()
    challenge, code = ann.begin()["challenge_id"], ann.code()
    begin = {"username": ann.username, "password": ann.password}
    finish = {"challenge_id": challenge, "mfa_code": code}
    with unchanged(site, ann):
        for query in (begin, finish):
            for body in ({}, None):
                reply = court.ask("POST", "/auth/login", json=body, params=query)
                assert refused(reply, "invalid_request").status == 400
            assert court.ask("GET", "/auth/login", params=query).status == 405
        for name in ("access_token", "token", "authorization", "bearer"):
            reply = court.ask("GET", "/auth/session", params={name: ann.token})
            assert refused(reply, "invalid_token").status == 401
    assert court.ask("POST", "/auth/login", json=finish).status == 200
    assert court.ask("GET", "/auth/session", token=ann.token).status == 200


TELLING = re.compile(
    r"Traceback|File \"|line \d+|\.py\b|site-packages|sqlalchemy|sqlite|psycopg|postgres|alembic"
    r"|SELECT |INSERT |UPDATE |DELETE FROM|/usr/|/home/|/tmp/|/var/|python|uvicorn|werkzeug"
    rf"|/{re.escape(ROOT.parts[1])}/"
    r"|flask|connexion|starlette|jsonschema|\b\d+\.\d+\.\d+\b",
    re.IGNORECASE,
)
"""What a reply tells of how the server is made."""


def told(reply: Reply) -> list[str]:
    """What an error tells that it should not; all of it, the head included."""
    head = "\n".join(f"{k}: {v}" for k, v in reply.headers.items() if k != "date")
    return TELLING.findall(head + "\n" + reply.content.decode())


def test_what_tells_of_the_making_is_found() -> None:
    for text in (
        f'File "{ROOT}/server/app.py", line 3',
        str(ROOT / "server"),
        "near SELECT 1",
        "Python/3.11.2",
    ):
        reply = Reply(500, httpx.Headers({"Server": "x"}), json.dumps({"message": text}).encode())
        assert told(reply)
    assert told(Reply(500, httpx.Headers({"Server": "uvicorn"}), b"{}"))
    assert not told(Reply(500, httpx.Headers({"X": "y"}), b'{"message":"Something failed"}'))


def provoked(site: Site, court: Court) -> Iterator[Reply]:
    """One reply of every kind of refusal."""
    ann, ben = site.member(), site.user()
    ask, body = court.ask, {"username": ann.username, "password": ann.password}
    yield ask("POST", "/auth/login", json={"username": 1})
    yield ask("POST", "/auth/login", content=b'{"username":', headers=JSON)
    yield court.say(b"NONSENSE\r\n\r\n", "GET", "MALFORMED")
    yield ask("GET", "/auth/session")
    yield ask("GET", "/auth/session", token="x.y.z")
    yield ask("POST", "/auth/login", json=body | {"password": "not the password"})
    challenge = ask("POST", "/auth/login", json=body).data["challenge_id"]
    wrong = {"challenge_id": challenge, "mfa_code": ann.wrong_code()}
    yield ask("POST", "/auth/login", json=wrong)
    yield ask("POST", "/auth/login", json=wrong | {"challenge_id": "A" * 43})
    yield ask("POST", "/mfa/backup-codes/regenerate", token=ben.token)
    yield ask("GET", "/admin/users", token=ben.token)
    yield ask("GET", "/no/such/path")
    yield ask("DELETE", f"/auth/sessions/{uuid.uuid4()}", token=ben.token)
    yield ask("PUT", "/auth/login")
    yield ask("POST", "/auth/register", json=body)
    yield ask("POST", "/auth/register", json={"username": "new.one", "password": "password1"})
    yield ask("POST", "/mfa/verify", json={"code": "123456"}, token=ben.token)
    yield ask("POST", "/auth/challenge", token=ben.token)
    yield ask("POST", "/auth/login", content=b" " * 70_000, headers=JSON)
    yield ask("POST", "/auth/login", content=b"{}", headers={"Content-Type": "text/plain"})
    for _ in range(FREE - 1):
        refused(at_login(ann, ann.wrong_code()), "invalid_code")
    yield ask("POST", "/auth/login", json=wrong)
    key, locked = f"totp:{ann.user_id}", LOCK
    site.rows("UPDATE budgets SET count = :locked WHERE key = :key", locked=locked, key=key)
    yield ask("POST", "/auth/login", json=wrong)
    with database_held(site):
        yield ask("POST", "/auth/login", json=body)


KINDS = {
    *("invalid_request", "invalid_token", "insufficient_user_authentication"),
    *("invalid_credentials", "invalid_code", "invalid_challenge", "factor_locked"),
    *("not_found", "method_not_allowed", "username_taken", "password_refused"),
    *("no_pending_enrollment", "mfa_not_enabled", "payload_too_large"),
    *("unsupported_media_type", "too_many_attempts", "unavailable"),
}
"""Codes that :func:`provoked` reaches; that of administrators' operations comes on top."""


@contextmanager
def database_held(site: Site) -> Iterator[None]:
    """Nobody else can write while the block lasts."""
    if site.engine == "sqlite":
        path = site.house.database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(site.house.database_url) as database:
            database.execute("LOCK TABLE budgets, users IN ACCESS EXCLUSIVE MODE")
            yield
            database.rollback()


def test_s80_no_error_tells_how_the_server_is_made(site: Site, court: Court) -> None:
    """Every kind of refusal is in the one envelope, as JSON, without a trace, SQL, path or version."""
    replies = list(provoked(site, court))
    for reply in replies:
        assert told(reply) == [], reply
        assert reply.headers["content-type"] == "application/json"
        assert set(reply.json) == {"success", "message", "error"}
        assert set(reply.json["error"]) <= {"code", "details", "request_id"}
    assert {reply.code for reply in replies} >= KINDS
    assert {400, 401, 403, 404, 405, 409, 413, 415, 429, 503} == {r.status for r in replies}


@pytest.mark.parametrize(
    "bug", ["a handler breaks", "a handler returns what the spec does not allow"]
)
def test_s80_a_fault_of_the_server_s_own_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    """A handler that breaks, and a reply that the spec does not allow, are a 500 that says no more
    than that; the same request to the sound server is a success."""
    program = (sys.executable, "-m", "tests.security.planted")
    monkeypatch.setattr(sites, "PROGRAM", program)
    (tmp_path / "bug").touch()
    with (
        house_of("sqlite-1", tmp_path, PLANTED_BUG=str(tmp_path / "bug")) as house,
        closing(Site(house)) as site,
    ):
        ann = site.user()
        ok(ann.get("/mfa/status"))
        (tmp_path / "bug").write_text(bug)
        reply = ann.get("/mfa/status")
        code = "internal_error" if bug == "a handler breaks" else "contract_violation"
        assert (reply.status, reply.code) == (500, code)
        assert judge_of(house).faults("GET", "/mfa/status", reply) == []
        assert told(reply) == []
        assert planted.TALE not in site.logs()


def registration_closed(folder: Path) -> Reply:
    with (
        house_of("sqlite-1", folder, COUNTERSIGN_REGISTRATION="closed") as house,
        closing(Site(house)) as site,
    ):
        body = {"username": "somebody", "password": "correct horse battery"}
        return site.api().post("/auth/register", json=body)


def test_s80_closed_registration_tells_nothing_either(tmp_path: Path) -> None:
    """403 where registration is closed is an error like the others."""
    reply = registration_closed(tmp_path)
    assert (reply.status, reply.code) == (403, "registration_closed")
    assert told(reply) == []


def with_secrets(ann: Account) -> Iterator[Reply]:
    """Every reply that hands out a token, a challenge, a secret or codes."""
    begun = ann.api.post("/auth/login", json={"username": ann.username, "password": ann.password})
    yield begun
    yield ann.finish(begun.data["challenge_id"], ann.code())
    yield ann.post("/auth/challenge")
    yield ann.api.post("/auth/refresh", json={"refresh_token": ann.refresh_token})
    yield ann.post("/mfa/backup-codes/regenerate")
    yield ann.post("/mfa/setup")


def test_s81_what_carries_a_secret_is_not_stored(site: Site, court: Court) -> None:
    """Replies with tokens, challenges, secrets and codes say `no-store` and `nosniff`, and no
    reply, the refused ones included, names the software that made it."""
    ann, ben = site.member(), site.account()
    plain = ben.api.post("/auth/login", json={"username": ben.username, "password": ben.password})
    replies = [ok(reply) for reply in [*with_secrets(ann), plain]]
    for reply in replies:
        assert reply.headers.get_list("Cache-Control") == ["no-store"]
    replies += [court.ask("GET", path) for path in ("/health/live", "/nowhere", "/auth/session")]
    replies += [site.api().get(path) for path in ("/docs", "/openapi.json", "/openapi.yaml")]
    for reply in replies:
        assert reply.headers.get_list("X-Content-Type-Options") == ["nosniff"]
        assert not {"server", "x-powered-by", "via"} & set(reply.headers)
