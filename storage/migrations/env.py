"""What Alembic runs: the migrations, on the connection that ``storage.migrate`` has locked."""

from __future__ import annotations

from alembic import context

from storage.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    # SQLite can neither drop constraints nor change columns in place.
    render_as_batch=True,
    # With BEGIN issued by ourselves SQLite does roll DDL back.
    transactional_ddl=True,
)
context.run_migrations()
