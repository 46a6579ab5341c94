"""The migrations build the tables that the models describe, both ways, and one at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Index, MetaData, Text, inspect

from domain.errors import Unavailable
from storage import migrate
from storage.engine import create_engine
from storage.models import metadata

ROOT = Path(migrate.__file__).parent.parent


def differences(url: str, expected: MetaData) -> list[object]:
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, expected)
    engine.dispose()
    return found


def copied() -> MetaData:
    changed = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(changed)
    return changed


def tables_at(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def test_the_migrated_schema_is_the_models(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    assert differences(empty_url, metadata) == []
    assert set(metadata.tables) < tables_at(empty_url)


@pytest.mark.parametrize("change", ["column", "index", "table", "null"])
def test_a_model_without_its_migration_is_noticed(empty_url: str, change: str) -> None:
    migrate.upgrade(empty_url)
    planted = copied()
    users = planted.tables["users"]
    if change == "column":
        users.append_column(Column("nickname", Text))
    elif change == "index":
        Index("ix_users_username", users.c.username)
    elif change == "null":
        users.c.username.nullable = True
    else:
        planted.remove(planted.tables["addresses"])
    assert differences(empty_url, planted) != []


def test_up_down_up(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    migrate.downgrade(empty_url, "base")
    assert migrate.current(empty_url) is None
    assert tables_at(empty_url) == {"alembic_version"}
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    assert differences(empty_url, metadata) == []


def test_upgrading_again_changes_nothing(empty_url: str) -> None:
    for _ in range(2):
        migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()


def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    def fail_at_the_end() -> None:
        with migrate._locked(empty_url) as connection:
            command.upgrade(migrate._config(connection), "head")
            assert "budgets" in inspect(connection).get_table_names()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_at_the_end()
    assert tables_at(empty_url) == set()


MIGRATE = """
import sys
from storage import migrate
print("ready", flush=True)
sys.stdin.readline()
migrate.upgrade(sys.argv[1])
"""


def test_processes_that_migrate_at_once_take_turns(empty_url: str) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(4)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.close()
    assert [worker.wait(30) for worker in workers] == [0] * 4
    for worker in workers:
        worker.stdout.close()
    assert migrate.current(empty_url) == migrate.head()
    assert differences(empty_url, metadata) == []


def test_a_migration_waits_longer_than_a_request_may(empty_url: str) -> None:
    holding, released = threading.Event(), threading.Event()

    def hold() -> None:
        with migrate._locked(empty_url):
            holding.set()
            released.wait(20)

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(hold)
        assert holding.wait(10)
        upgraded = pool.submit(migrate.upgrade, empty_url)
        time.sleep(5)
        assert not upgraded.done()
        released.set()
        held.result(10)
        upgraded.result(10)
    assert migrate.current(empty_url) == migrate.head()


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        migrate.upgrade("postgresql://nobody@127.0.0.1:1/none")


def test_migrations_are_named_for_what_they_do() -> None:
    names = [path.stem for path in (ROOT / "storage/migrations/versions").glob("*.py")]
    numbers = sorted(int(name.split("_", 1)[0]) for name in names)
    assert numbers == list(range(1, len(names) + 1))
    assert all(len(name.split("_")) > 2 for name in names)


def test_the_newest_revision_is_the_one_that_alembic_finds() -> None:
    assert migrate.head() == ScriptDirectory(str(migrate._SCRIPTS)).get_current_head()


READS_ALEMBIC = "print('alembic' in __import__('sys').modules)"


def run(*lines: str) -> str:
    """What a fresh Python prints."""
    program = "\n".join(lines)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout.strip()


def test_only_who_migrates_reads_alembic_in(tmp_path: Path) -> None:
    """It would make each worker process start later, and each command of the command line."""
    url = f"sqlite:///{tmp_path}/file.db"
    start = ["import server.cli", "from storage import migrate", f"migrate.upgrade({url!r})"]
    assert run(*start, READS_ALEMBIC) == "True"
    assert run(*start, READS_ALEMBIC) == "False"
