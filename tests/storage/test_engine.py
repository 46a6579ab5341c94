"""What an engine promises before any rule uses it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select, text

from storage import migrate
from storage.columns import UtcDateTime, Words
from storage.engine import create_engine
from tests.storage import databases


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest):
    former = os.umask(request.param)
    yield
    os.umask(former)


@pytest.mark.usefixtures("umask")
def test_a_new_sqlite_file_and_its_folder_are_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "countersign.db"
    url = f"sqlite:///{path}"
    with databases.store_at(url) as store:
        with store.write() as transaction:
            transaction.budgets.charge("k", 0, datetime.now(UTC))
            transaction.commit()
        written = sorted(path.parent.iterdir())
        assert len(written) == 3, "the database, its write-ahead log and its index"
        assert {mode_of(each) for each in written} == {0o600}
    assert mode_of(path.parent) == 0o700


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    create_engine(f"sqlite:///{tmp_path / 'a.db'}").dispose()
    assert mode_of(tmp_path) == 0o750


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 4000)],
)
def test_every_sqlite_connection_is_set_up(tmp_path: Path, pragma: str, value: object) -> None:
    engine = create_engine(databases.sqlite_url(tmp_path))
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "a#b%41.db", "ä.db"])
def test_a_sqlite_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    migrate.upgrade(f"sqlite:///{quote(str(tmp_path / name))}")
    assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:secret?uri=true",
        "sqlite:///secret.db?mode=ro",
        "sqlite://secret/a.db",
        "mysql://ann:secret@host/name",
        "postgresql+psycopg2://ann:secret@host/name",
        "postgresql+asyncpg://ann:secret@host/name",
        "postgresql://ann:secret@host/name?options=-csecret",
        "postgresql://ann:secret@host:port/name",
        "secret",
        "",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL") as refused:
        create_engine(url)
    assert "secret" not in str(refused.value)


def test_without_the_driver_sqlite_works_and_postgresql_says_what_is_missing(tmp_path) -> None:
    program = """
import sys
sys.modules["psycopg"] = None
from storage import migrate, store
from storage.engine import create_engine
migrate.upgrade(sys.argv[1])
store.SqlStore(create_engine(sys.argv[1])).ping()
try:
    create_engine("postgresql://ann:secret@host/name")
except ValueError as error:
    print(error)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program, databases.sqlite_url(tmp_path)],
        cwd=Path(migrate.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "countersign[postgresql]" in finished.stdout
    assert "secret" not in finished.stdout


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_common_scheme_means_psycopg(scheme: str) -> None:
    engine = create_engine(f"{scheme}://ann@host/name?sslmode=verify-full")
    assert engine.dialect.driver == "psycopg"


def test_a_parameter_is_never_part_of_an_error(database_url: str) -> None:
    migrate.upgrade(database_url)
    engine = create_engine(database_url)
    with pytest.raises(Exception, match="nowhere") as failed, engine.connect() as connection:
        connection.execute(text("SELECT * FROM nowhere WHERE a = :a"), {"a": "s3cret"})
    engine.dispose()
    assert "s3cret" not in str(failed.value)


NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TIMES = [
    NOON,
    NOON + timedelta(microseconds=1),
    NOON + timedelta(milliseconds=10),
    datetime(2026, 11, 24, 14, 0, 1, tzinfo=timezone(timedelta(hours=2))),
    datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]


def test_times_come_back_as_they_went_in_and_sort_as_they_are(database_url: str) -> None:
    table = Table("times", MetaData(), Column("at", UtcDateTime), Column("amr", Words))
    engine = create_engine(database_url)
    with engine.connect() as connection:
        table.create(connection)
        for at in [*TIMES, None]:
            connection.execute(insert(table), {"at": at, "amr": ("pwd", "otp")})
        found = list(connection.scalars(select(table.c.at).order_by(table.c.at)).all())
        words = connection.scalar(select(table.c.amr))
        connection.rollback()
    engine.dispose()
    assert words == ("pwd", "otp")
    assert [at for at in found if at] == sorted(TIMES)
    assert {at.tzinfo for at in found if at} == {UTC}
    assert found.count(None) == 1


def test_a_naive_time_is_refused() -> None:
    engine = create_engine("postgresql://host/name")
    with pytest.raises(ValueError, match="naive"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), engine.dialect)  # noqa: DTZ001
