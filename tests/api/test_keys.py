"""What a client sees of keys that change, that are missing and that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from domain.keyring import Rota
from server import keys
from server.keyring import rota_of
from tests.support.accounts import Account
from tests.support.api import Reply
from tests.support.world import World, world_in


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of its own, whose clock goes as the keys' clock does."""
    made = world_in(tmp_path)
    made.clock.present = keys.made_at(keys.ids(made.settings.key_dir, "signing")[0])
    return made


def rotate(world: World, kind: str) -> str:
    """A new key, which the server has seen."""
    folder = world.settings.key_dir
    with keys.locked(folder):
        made = keys.make(folder, kind, world.clock.now())
    world.api.get("/health/ready")
    return made


def file_of(world: World, kind: str) -> Path:
    return max(world.settings.key_dir.glob(f"{kind}-*"))


def lose(world: World, kind: str) -> None:
    """The newest key of a kind is gone, and an older one is the newest again."""
    file_of(world, kind).rename(world.settings.key_dir / ".lost")
    if not keys.ids(world.settings.key_dir, kind):
        rotate(world, kind)


def confuse(world: World, kind: str) -> None:
    """Another key has the newest one's name."""
    old = file_of(world, kind)
    with keys.locked(world.settings.key_dir):
        keys.make(world.settings.key_dir, kind)
    file_of(world, kind).rename(old)


FAULTS = pytest.mark.parametrize("spoil", [lose, confuse])


def not_ready(world: World) -> None:
    reply = world.api.get("/health/ready")
    assert (reply.status, reply.code) == (503, "unavailable")
    assert reply.json["message"] == "A key is missing or wrong; the log of the server names it"
    assert world.api.get("/health/live").status == 200


def unavailable(reply: Reply) -> None:
    assert (reply.status, reply.code) == (503, "unavailable"), reply.content


def shown(world: World) -> list[str]:
    return [key["kid"] for key in world.api.get("/.well-known/jwks.json").json["keys"]]


def signer(account: Account) -> str:
    return str(jwt.get_unverified_header(account.token)["kid"])


def rota(world: World) -> Rota:
    return rota_of(world.services.policies)


def test_a_signing_key_is_shown_signs_and_is_withdrawn_in_its_time(world: World) -> None:
    ann = world.account().sign_in()
    old = signer(ann)
    new, turn, clock = rotate(world, "signing"), rota(world), world.clock
    assert (shown(world), signer(ann.sign_in())) == ([old, new], old)
    clock.present = keys.made_at(new) + turn.notice - timedelta(seconds=1)
    assert signer(ann.sign_in()) == old
    last, present = ann.token, clock.now()
    clock.advance(seconds=1)
    assert signer(ann.sign_in()) == new
    assert world.api.get("/auth/session", token=last).status == 200
    clock.present = present + turn.overlap
    assert shown(world) == [old, new]
    clock.advance(seconds=1)
    assert shown(world) == [new]
    assert world.api.get("/auth/session", token=last).code == "invalid_token"


def test_what_an_old_key_made_is_good_under_a_new_one(world: World) -> None:
    ann = world.account().sign_in().enrol()
    for kind in ("encryption", "pepper", "audit"):
        rotate(world, kind)
    assert world.api.get("/health/ready").status == 200
    ann.sign_in().sign_in_with_backup_code()
    assert ann.status()["enabled"] is True


@FAULTS
def test_without_the_encryption_key_a_factor_is_on_and_a_code_is_neither_right_nor_wrong(
    world: World, spoil: Callable[[World, str], None]
) -> None:
    ann, bob = world.account().sign_in().enrol(), world.account().sign_in()
    spoil(world, "encryption")
    not_ready(world)
    challenge = ann.begin()["challenge_id"]
    unavailable(ann.finish(challenge, ann.code()))
    assert ann.status()["enabled"] is True
    unavailable(bob.post("/mfa/setup"))
    assert "access_token" in bob.begin()


@FAULTS
def test_without_the_pepper_a_backup_code_is_neither_right_nor_wrong(
    world: World, spoil: Callable[[World, str], None]
) -> None:
    ann = world.account().sign_in().enrol()
    spoil(world, "pepper")
    not_ready(world)
    unavailable(ann.finish(ann.begin()["challenge_id"], ann.backup_codes[0]))
    unavailable(ann.finish(ann.begin()["challenge_id"], "0000-0000-0000-0000"))
    ann.sign_in()
    unavailable(ann.post("/mfa/backup-codes/regenerate"))


@FAULTS
def test_what_was_refused_for_want_of_a_key_is_good_when_the_key_is_back(
    world: World, spoil: Callable[[World, str], None]
) -> None:
    ann = world.account().sign_in().enrol()
    right, content = file_of(world, "pepper"), file_of(world, "pepper").read_bytes()
    spoil(world, "pepper")
    not_ready(world)
    unavailable(ann.finish(ann.begin()["challenge_id"], ann.backup_codes[0]))
    for other in world.settings.key_dir.glob("pepper-*"):
        other.unlink()
    right.write_bytes(content)
    right.chmod(0o600)
    assert world.api.get("/health/ready").status == 200
    ann.sign_in_with_backup_code()


@FAULTS
def test_without_the_audit_key_nothing_happens_that_would_leave_no_trace(
    world: World, spoil: Callable[[World, str], None]
) -> None:
    ann = world.account()
    spoil(world, "audit")
    not_ready(world)
    body = {"username": ann.username, "password": ann.password}
    unavailable(world.api.post("/auth/login", json=body))


def test_half_a_key_in_the_directory_is_a_reason_not_to_be_ready_and_stops_nobody(
    world: World,
) -> None:
    half = world.settings.key_dir / "encryption-20990101T000000000000-00000000.key"
    half.write_bytes(b"AAAA")
    half.chmod(0o600)
    not_ready(world)
    ann = world.account().sign_in().enrol().sign_in()
    half.unlink()
    assert world.api.get("/health/ready").status == 200
    assert ann.status()["enabled"] is True
