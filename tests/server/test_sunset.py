"""An operation that is to end says so in every reply, and is a 410 from then on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from contract.diagnostics import SpecError
from contract.diff import Document, compare
from domain import errors
from server import mock, samples
from server.releases import STRICTER
from server.spec import read
from tests.contract.notes import copy, plant
from tests.support.api import Reply, in_process
from tests.support.servers import ROOT
from tests.support.world import START, World, world_in

MFA, AUTH = "paths/mfa.yaml", "paths/auth.yaml"
STATUS = "    operationId: getMFAStatus\n"
DEPRECATED = "    deprecated: true\n"
GONE = '      "410":\n        $ref: "../components/responses.yaml#/Gone"\n'
UNTIL = START + timedelta(hours=1)
TIMES = "since: 2026-01-01T00:00:00Z, until: 2026-11-24T10:00:07Z"
ENDS = f"    x-sunset: {{{TIMES}, successor: getSession}}\n"


def line_of(spec: Path, file: str, text: str) -> int:
    lines = (spec / file).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def edited(folder: Path, notes: str, *, gone: bool = False) -> Path:
    """A copy of the spec in which getMFAStatus carries notes, and declares 410 if it is to."""
    spec = copy(folder, ROOT / "spec")
    plant(spec, MFA, STATUS, notes + STATUS)
    if gone:
        before, name, after = (spec / MFA).read_text("utf-8").partition(STATUS)
        after = after.replace('      "500":\n', f'{GONE}      "500":\n', 1)
        (spec / MFA).write_text(before + name + after, "utf-8")
    return spec


def world_with(folder: Path, notes: str, *, gone: bool = False, **changes: object) -> World:
    spec = edited(folder, notes, gone=gone)
    return world_in(folder, spec=spec / "openapi.yaml", **changes)


def refused(spec: Path) -> list[str]:
    with pytest.raises(SpecError) as refusal:
        read(spec / "openapi.yaml")
    return str(refusal.value).splitlines()


def told(reply: Reply) -> tuple[str | None, ...]:
    return tuple(reply.headers.get(name) for name in ("Deprecation", "Sunset", "Link"))


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A server whose getMFAStatus ends an hour after the start."""
    folder = tmp_path_factory.mktemp("ending")
    return world_with(
        folder, DEPRECATED + ENDS, gone=True, cors_origins=("https://app.example.org",)
    )


# -- what is said ----------------------------------------------------------------------------


def test_every_reply_of_the_operation_says_it_and_no_other_does(ending: World) -> None:
    account = ending.account().sign_in()
    first = account.get("/mfa/status")
    assert first.status == 200
    deprecation, sunset, link = told(first)
    assert deprecation == f"@{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}"
    assert sunset == "Tue, 24 Nov 2026 10:00:07 GMT"
    assert parsedate_to_datetime(sunset) == UNTIL
    assert link == '</auth/session>; rel="successor-version"'
    for refusal in (ending.api.get("/mfa/status"), account.get("/mfa/status?extra=1")):
        assert refusal.status in (400, 401)
        assert told(refusal) == told(first)
    for other in (account.get("/auth/session"), ending.api.post("/mfa/status")):
        assert told(other) == (None, None, None)


def test_the_document_declares_what_is_said(ending: World) -> None:
    document = ending.api.get("/openapi.json").json
    operation = document["paths"]["/mfa/status"]["get"]
    assert operation["responses"].keys() >= {"200", "401", "410", "429"}
    for response in operation["responses"].values():
        for name in ("Deprecation", "Sunset", "Link"):
            assert response["headers"][name]["required"] is True
    shared = document["components"]["responses"]["Unauthorized"]
    assert "Deprecation" not in shared["headers"]


def test_pages_of_other_origins_may_read_it(ending: World) -> None:
    reply = ending.api.get("/mfa/status", headers={"Origin": "https://app.example.org"})
    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {"Deprecation", "Sunset", "Link", "WWW-Authenticate"} <= set(exposed)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        (DEPRECATED, ("@0", None, None)),
        (DEPRECATED + "    x-sunset: {}\n", ("@0", None, None)),
        (
            DEPRECATED + '    x-sunset: {since: "2026-01-01T00:00:00Z"}\n',
            ("@1767225600", None, None),
        ),
        (
            DEPRECATED
            + "    x-sunset: {since: 2030-01-01T00:00:00Z, successor: /v2/mfa%20status}\n",
            ("@1893456000", None, '</v2/mfa%20status>; rel="successor-version"'),
        ),
    ],
)
def test_only_what_the_spec_knows_is_said(
    tmp_path: Path, notes: str, said: tuple[str | None, ...]
) -> None:
    world = world_with(tmp_path, notes)
    assert told(world.api.get("/mfa/status")) == said
    world.clock.advance(days=3650)
    assert world.api.get("/mfa/status").status == 401


def test_the_successor_is_named_below_the_base_path(tmp_path: Path) -> None:
    spec = edited(tmp_path, f"{DEPRECATED}    x-sunset: {{successor: getSession}}\n")
    plant(spec, "openapi.yaml", "  - url: /\n", "  - url: https://id.example.org/v1\n")
    world = world_in(tmp_path, spec=spec / "openapi.yaml")
    assert told(world.api.get("/v1/mfa/status"))[2] == '</v1/auth/session>; rel="successor-version"'


def test_a_header_that_a_reply_declares_itself_stays(tmp_path: Path) -> None:
    spec = edited(tmp_path, DEPRECATED)
    own = "    deprecation:\n      required: true\n      description: Own.\n      schema:\n"
    own += '        type: string\n        enum: ["@7"]\n        example: "@7"\n'
    before, name, after = (
        (spec / "components/responses.yaml").read_text("utf-8").partition("Unauthorized:\n")
    )
    after = after.replace("  headers:\n", f"  headers:\n{own}", 1)
    (spec / "components/responses.yaml").write_text(before + name + after, "utf-8")
    world = world_in(tmp_path, spec=spec / "openapi.yaml")
    assert told(world.api.get("/mfa/status"))[0] == "@7"
    assert (
        told(world.api.get("/mfa/status?extra=1", headers={"Authorization": "Bearer x"}))[0] == "@7"
    )


def test_a_successor_that_is_switched_off_is_not_named(tmp_path: Path) -> None:
    spec = edited(tmp_path, f"{DEPRECATED}    x-sunset: {{successor: registerUser}}\n")
    root = spec / "openapi.yaml"
    assert told(world_in(tmp_path / "on", spec=root).api.get("/mfa/status"))[2] is not None
    off = world_in(tmp_path / "off", spec=root, features_off="registration")
    assert told(off.api.get("/mfa/status")) == ("@0", None, None)


def test_the_mock_says_it_as_well(tmp_path: Path) -> None:
    root = edited(tmp_path, DEPRECATED + ENDS, gone=True) / "openapi.yaml"
    application, tokens = mock.create(root)
    reply = in_process(application).get("/mfa/status", token=tokens.good[0])
    assert reply.status == 200
    assert told(reply)[2] == '</auth/session>; rel="successor-version"'


# -- the end ---------------------------------------------------------------------------------


def test_from_its_end_on_it_is_gone_whoever_asks_and_whatever(tmp_path: Path) -> None:
    world = world_with(tmp_path, DEPRECATED + ENDS, gone=True)
    account = world.account().sign_in()
    world.clock.advance(seconds=3599)
    assert world.api.get("/mfa/status").status == 401
    before = told(world.api.get("/mfa/status"))
    world.clock.advance(seconds=1)
    replies = [
        account.get("/mfa/status"),
        world.api.get("/mfa/status"),
        world.api.get("/mfa/status?extra=1", headers={"Authorization": "nonsense"}),
        world.api.request("GET", "/mfa/status", content=b"x" * 100_000),
    ]
    for reply in replies:
        assert (reply.status, reply.code) == (410, "gone")
        assert reply.json["message"] == "The operation has ended"
        assert told(reply) == before
    assert world.api.request("HEAD", "/mfa/status").status == 410
    assert world.api.request("OPTIONS", "/mfa/status").status == 204
    assert account.sign_in().get("/auth/session").status == 200


def test_what_has_ended_is_not_counted_as_a_flood(tmp_path: Path) -> None:
    """It is answered as an unknown path is."""
    spec = edited(tmp_path, DEPRECATED + ENDS, gone=True)
    with_flood_in(spec)
    world = world_in(tmp_path, spec=spec / "openapi.yaml")
    assert [world.api.get("/mfa/status").status for _ in range(3)] == [401, 401, 429]
    world.clock.advance(hours=1)
    assert {world.api.get("/mfa/status").status for _ in range(5)} == {410}
    assert world.api.get("/auth/session").status == 429


def with_flood_in(spec: Path) -> None:
    """Two requests in an hour."""
    text = (spec / "components/policies.yaml").read_text("utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("flood:"))
    plant(spec, "components/policies.yaml", line, "flood: {rate: 2, per: PT1H, burst: 2}")


def test_the_410_is_rehearsed(tmp_path: Path) -> None:
    spec = edited(tmp_path, DEPRECATED + ENDS, gone=True)
    reading = read(spec / "openapi.yaml")
    operation = reading.contract.operations["getMFAStatus"]
    assert errors.Gone in samples.kinds(operation, reading.policies)
    plant(spec, "schemas/common.yaml", "        - gone\n", "")
    plant(
        spec,
        "components/responses.yaml",
        "              code: gone\n",
        "              code: forbidden\n",
    )
    (line,) = refused(spec)
    assert "getMFAStatus answers 410 gone" in line
    assert line.startswith("spec/schemas/common.yaml:")


# -- what does not fit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "column", "message"),
    [
        ("{until: 2026-11-24T10:00:07+01:00}", 23, "a time is in UTC and in whole seconds"),
        ("{since: 2026-11-24}", 23, "a time is in UTC and in whole seconds"),
        ("{since: 2026-11-24 10:00:07}", 23, "a time is in UTC and in whole seconds"),
        ("{since: 2026-11-24T10:00:07.5Z}", 23, "a time is in UTC and in whole seconds"),
        ("{since: 2026-02-30T10:00:07Z}", 23, "a time is in UTC and in whole seconds"),
        ('{since: "2026-1-1T0:0:0Z"}', 23, "a time is in UTC and in whole seconds"),
        ("{since: 20261124}", 23, 'is not of type "string"'),
        ("{since: 2026-02-01T00:00:00Z, until: 2026-01-01T00:00:00Z}", 52, "until is before since"),
        ("{successor: //evil.example.org/x}", 27, "what follows is an operationId"),
        ('{successor: "/a b"}', 27, "what follows is an operationId"),
        ('{successor: "/a>; rel=next"}', 27, "what follows is an operationId"),
        ('{successor: "/a%2"}', 27, "what follows is an operationId"),
        ('{successor: ""}', 27, "what follows is an operationId"),
        ("{sucessor: getSession}", 16, 'unknown key "sucessor" (did you mean "successor"?)'),
        ("{successor: getSesion}", 27, 'no operation "getSesion" (did you mean "getSession"?)'),
        ("{successor: getMFAStatus}", 27, "getMFAStatus cannot follow itself"),
        ("{successor: getUser}", 27, "the path of getUser has parameters"),
    ],
)
def test_a_value_that_does_not_fit_is_told_at_its_place(
    tmp_path: Path, value: str, column: int, message: str
) -> None:
    spec = edited(tmp_path, f"{DEPRECATED}    x-sunset: {value}\n")
    lines = [line for line in refused(spec) if message in line]
    number = line_of(spec, MFA, "    x-sunset:")
    assert [line.split(" ")[0] for line in lines] == [f"spec/{MFA}:{number}:{column}:"], lines


def test_an_end_of_what_is_not_deprecated_is_refused(tmp_path: Path) -> None:
    for folder, notes in (("a", ENDS), ("b", "    deprecated: false\n" + ENDS)):
        spec = edited(tmp_path / folder, notes, gone=True)
        number = line_of(spec, MFA, "    x-sunset:")
        assert refused(spec) == [
            f'spec/{MFA}:{number}:5: error: "x-sunset" has no effect: getMFAStatus is not deprecated'
        ]


def test_a_410_is_declared_where_there_is_an_end_and_nowhere_else(tmp_path: Path) -> None:
    (line,) = refused(edited(tmp_path / "a", DEPRECATED + ENDS))
    assert "getMFAStatus must declare 410 (an extension ends it)" in line
    for folder, notes in (("b", ""), ("c", f"{DEPRECATED}    x-sunset: {{}}\n")):
        (line,) = refused(edited(tmp_path / folder, notes, gone=True))
        assert "getMFAStatus must not declare 410: no extension ends it" in line


def test_a_mistaken_operation_id_is_told_before_the_successor_that_misses_it(
    tmp_path: Path,
) -> None:
    spec = edited(tmp_path, f"{DEPRECATED}    x-sunset: {{successor: getSession}}\n")
    plant(spec, AUTH, "operationId: getSession", "operationId: getSesion")
    assert '"getSesion" has no handler' in refused(spec)[0]


# -- what a change of it means ---------------------------------------------------------------


def changes(old: Path, new: Path) -> list[tuple[str, str]]:
    before, after = Document(old, "old"), Document(new, "new")
    return [(change.kind, change.message) for change in compare(before, after, STRICTER)]


def test_what_is_said_is_compatible_and_an_end_is_breaking(tmp_path: Path) -> None:
    whole, soon = ROOT / "spec" / "openapi.yaml", "    x-sunset: {until: 2027-01-01T00:00:00Z}\n"
    said = f"{DEPRECATED}    x-sunset: {{since: 2026-01-01T00:00:00Z}}\n"
    told = edited(tmp_path / "told", said) / "openapi.yaml"
    later = edited(tmp_path / "later", DEPRECATED + soon, gone=True) / "openapi.yaml"
    sooner = edited(tmp_path / "sooner", DEPRECATED + ENDS, gone=True) / "openapi.yaml"
    assert {kind for kind, _ in changes(whole, told)} == {"compatible"}
    ended = [message for kind, message in changes(whole, later) if kind == "breaking"]
    assert any(message.startswith("x-sunset") for message in ended)
    assert "the status 410 is new" in ended
    assert [kind for kind, _ in changes(later, sooner)] == ["breaking"]
    assert [kind for kind, _ in changes(sooner, later)] == ["compatible"]


def test_a_bundle_is_no_change_of_the_files_it_was_made_of(tmp_path: Path) -> None:
    """A release is kept as a bundle, which has the headers that its files have not."""
    root = edited(tmp_path, DEPRECATED + ENDS, gone=True) / "openapi.yaml"
    released = tmp_path / "spec" / "released.json"
    released.write_text(json.dumps(read(root).bundle.document), "utf-8")
    assert "Deprecation" in released.read_text("utf-8")
    assert changes(released, root) == changes(root, released) == []
