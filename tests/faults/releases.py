"""A later release: a copy of this tree with one further migration, which only adds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.migrate import head
from tests.faults import planted
from tests.faults.scene import FaultHouse
from tests.support.servers import ROOT, ServerProcess, serving

ROOMS = ("contract", "domain", "handlers", "server", "spec", "storage", "tests")
LATER = f"{int(head()) + 1:04}"

# The lock on the busiest table is kept for a second, as if the table were a large one.
MIGRATION = f'''"""Add what the release before does not know."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{LATER}", "{head()}", None, None


def upgrade() -> None:
    op.add_column("users", sa.Column("nickname", sa.Text, nullable=True))
    op.create_table("badges", sa.Column("id", sa.Text, primary_key=True))
    op.execute("SELECT pg_sleep(1)")


def downgrade() -> None:
    op.drop_table("badges")
    op.drop_column("users", "nickname")
'''

_PING = """
import os
from storage.engine import create_engine
from storage.store import SqlStore
SqlStore(create_engine(os.environ["COUNTERSIGN_DATABASE_URL"])).ping()
"""


class Release:
    """The later release in a folder of its own, run over what a house runs over."""

    def __init__(self, folder: Path, house: FaultHouse) -> None:
        self.folder, self._house = folder / "later", house
        for room in ROOMS:
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / room, self.folder / room, ignore=unwanted)
        file = f"{LATER}_add_what_the_release_before_does_not_know.py"
        (self.folder / "storage/migrations/versions" / file).write_text(MIGRATION)

    def migrate(self) -> None:
        done = self._run("-m", "server.entry", "db", "upgrade")
        assert done.returncode == 0, done.stderr

    def fits(self) -> bool:
        """Whether the later release finds the schema that it needs."""
        done = self._run("-c", _PING)
        assert done.returncode == 0 or "Unavailable" in done.stderr, done.stderr
        return done.returncode == 0

    @contextmanager
    def serving(self) -> Iterator[ServerProcess]:
        # env -C, for the folder where a program is started is where Python looks first.
        program = ("env", "-C", str(self.folder), sys.executable, "-m", planted.__name__)
        with serving(self._house.folder, env=self._house.env, program=program) as server:
            self._house.logs.append(server.log)
            yield server

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | self._house.env,
            capture_output=True,
            text=True,
            check=False,
        )
