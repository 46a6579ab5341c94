"""The books: who may write into them, what goes in, and how those of several runs add up."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.compile import Contract
from server.app import create, prepare
from server.spec import read
from tests.report import recorder
from tests.report.evidence import Key
from tests.report.recorder import RECORDER, SHIPPED, Recorder, edition, gathered, shipped, suite_of
from tests.support.api import over_http
from tests.support.servers import PLANTED, environment, serving
from tests.support.specs import with_flood
from tests.support.world import settings_in, world_in

JSON = "application/json"
TEST = "PYTEST_CURRENT_TEST"
URL = "http://127.0.0.1:4711"


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(shipped().bundle.document)


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    """Empty ones, to be left in a folder of their own."""
    monkeypatch.setattr(recorder, "SEEN", tmp_path / "build" / "seen")
    return Recorder()


# -- which spec counts -----------------------------------------------------------------------


def test_another_flood_limit_is_the_same_edition(tmp_path: Path) -> None:
    roomy = read(with_flood(tmp_path, rate=1, per="PT1H", burst=1))
    assert roomy.contract.revision != shipped().contract.revision
    assert edition(roomy.bundle.document) == edition(shipped().bundle.document)
    assert Recorder().observer(roomy.contract) is not None


def test_no_flood_limit_is_another_edition(document: dict[str, Any]) -> None:
    del document["paths"]["/auth/session"]["get"]["x-rate-limit"]
    assert edition(document) != edition(shipped().bundle.document)


def test_what_a_server_of_an_edited_spec_sends_does_not_count(tmp_path: Path) -> None:
    root = with_flood(tmp_path, rate=100, per="PT1S", burst=100)
    file = root.parent / "schemas" / "auth.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count("minLength: 8") == 1
    file.write_text(text.replace("minLength: 8", "minLength: 9"), encoding="utf-8")
    before = RECORDER.seen.total()
    edited = world_in(tmp_path, spec=root)
    assert edited.api.get("/health/live").status == 200
    assert RECORDER.seen.total() == before
    world_in(tmp_path).api.get("/health/live")
    assert RECORDER.seen.total() == before + 1


def test_what_is_not_observed_does_not_count(tmp_path: Path) -> None:
    before = RECORDER.seen.total()
    assert world_in(tmp_path, observed=False).api.get("/health/live").status == 200
    assert RECORDER.seen.total() == before
    assert world_in(tmp_path / "observed").api.get("/health/live").status == 200
    assert RECORDER.seen.total() == before + 1


def test_clients_of_a_server_of_an_edited_spec_do_not_count(
    books: Recorder, document: dict[str, Any]
) -> None:
    document["info"]["title"] = "Another"
    books.serves(URL, document, SHIPPED.parent)
    request = httpx.Request("GET", f"{URL}/health/live")
    books.heard(request, httpx.Response(200, json={}))
    assert not books.seen
    assert not books.counts(URL)


def test_a_server_counts_no_more_when_its_spec_is_edited(
    books: Recorder, document: dict[str, Any], tmp_path: Path
) -> None:
    """It may have taken the edit up already."""
    root = with_flood(tmp_path, rate=50, per="PT1S", burst=500)
    books.serves(URL, document, root.parent)
    request = httpx.Request("GET", f"{URL}/health/live")
    books.heard(request, httpx.Response(200, json={}))
    assert books.seen.total() == 1
    os.utime(root, (0, 2**31))
    books.heard(request, httpx.Response(200, json={}))
    assert books.seen.total() == 1
    assert not books.counts(URL)


def test_an_application_asks_for_the_observer_of_each_contract_that_it_serves(
    tmp_path: Path,
) -> None:
    root = with_flood(tmp_path, rate=50, per="PT1S", burst=500)
    asked: list[Contract] = []
    settings = settings_in(tmp_path, spec=root)
    prepare(settings)
    reading = read(root)
    create(settings, reading, observing=lambda contract: asked.append(contract))
    assert asked == [reading.contract]


def test_a_real_server_counts_unless_a_bug_is_planted(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert RECORDER.counts(server.url)
        before = RECORDER.seen.total()
        server.api().get("/health/live")
        assert RECORDER.seen.total() == before + 1
    with serving(tmp_path, env=environment(tmp_path) | {PLANTED: "none"}) as server:
        assert not RECORDER.counts(server.url)


# -- what goes in ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/health/live", "getLiveness"),
        ("DELETE", "/auth/sessions/7c9e6679", "endSession"),
        ("GET", "/auth/sessions?limit=1", "listSessions"),
        ("PUT", "/health/live", "-"),
        ("GET", "/nowhere", "-"),
        ("GET", "/auth/sessions/", "-"),
    ],
)
def test_a_client_knows_the_operation(
    books: Recorder, document: dict[str, Any], method: str, path: str, operation: str
) -> None:
    books.serves(URL, document, SHIPPED.parent)
    refusal = {"success": False, "error": {"code": "not_found"}}
    books.heard(httpx.Request(method, URL + path), httpx.Response(404, json=refusal))
    assert dict(books.seen) == {("report", operation, "404", JSON, "not_found"): 1}


def test_a_client_tells_nothing_of_a_head_or_of_a_server_it_does_not_know(
    books: Recorder, document: dict[str, Any]
) -> None:
    answer = httpx.Response(200, json={})
    books.heard(httpx.Request("GET", f"{URL}/health/live"), answer)
    books.serves(URL, document, SHIPPED.parent)
    books.heard(httpx.Request("HEAD", f"{URL}/health/live"), answer)
    assert not books.seen


def test_a_client_over_http_writes_into_the_books(
    monkeypatch: pytest.MonkeyPatch, books: Recorder, document: dict[str, Any]
) -> None:
    monkeypatch.setattr("tests.support.api.RECORDER", books)
    books.serves(URL, document, SHIPPED.parent)
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"success": True}))
    with httpx.Client(base_url=URL, transport=transport) as client:
        over_http(client).get("/health/live")
    assert dict(books.seen) == {("report", "getLiveness", "200", JSON, "-"): 1}


def test_an_application_is_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    times: dict[str, list[int]] = {"getLiveness": [], "getSession": []}
    monkeypatch.setattr(RECORDER, "times", times)
    world = world_in(tmp_path)
    world.api.get("/health/live")
    world.api.get("/auth/session")  # a refusal, whose time says nothing of the operation's
    assert 0 < times["getLiveness"][0] < 60e6
    assert times["getSession"] == []


@pytest.mark.parametrize(
    ("test", "suite"),
    [
        ("tests/api/test_auth.py::test_x (call)", "api"),
        ("tests/contract/test_app.py::test_x[a/b] (setup)", "contract"),
        ("tests/contract/test_fuzz.py::test_x[GET /a] (call)", "fuzz"),
        ("tests/test_ledger.py::test_x (call)", "tests"),
        (None, "tests"),
    ],
)
def test_the_suite_is_told_from_the_test(test: str | None, suite: str) -> None:
    assert suite_of(test) == suite


# -- adding up -------------------------------------------------------------------------------


def test_runs_add_up(books: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key("login", "body", "/x/type")
    books.count("login", 200, JSON, b"{}")
    books.evidence.add((key, "satisfied"))
    books.times["login"].append(1500)
    books.save()
    books.evidence.add((key, "broken"))
    monkeypatch.setenv(TEST, "tests/e2e/test_x.py::test_y (call)")
    books.count("login", 200, JSON, b"{}")
    books.save()
    total = gathered(recorder.SEEN)
    row = ("login", "200", JSON, "-")
    assert dict(total.seen) == {("report", *row): 2, ("e2e", *row): 1}
    assert total.evidence == {(key, "satisfied"), (key, "broken")}
    assert total.times == {"login": [1500, 1500]}
    assert total.cells == {("login", "200", JSON)}


def test_books_without_an_entry_are_not_left(books: Recorder) -> None:
    books.save()
    assert not recorder.SEEN.exists()
    assert not gathered(recorder.SEEN).seen


def test_books_of_another_edition_do_not_count(
    books: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.count("login", 200, JSON, b"{}")
    books.save()
    monkeypatch.setattr(recorder, "edition", lambda _document: "of tomorrow")
    assert not gathered(recorder.SEEN).seen
