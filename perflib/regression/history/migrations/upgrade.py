"""Run the migrations on an open database; alembic is imported only here, because most openings need none."""

from pathlib import Path

from sqlalchemy import Engine


def upgrade(engine: Engine, *, version_table: str, target: str = "head") -> None:
    """
    Bring a database to a schema, in one transaction.

    Args:
        engine: Connected, and nobody else changes its schema.
        version_table: Where the schema's number stands.
        target: A number of `versions`, or ``head``.
    """
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent))
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": version_table,
                "fn": lambda revision, _: scripts._upgrade_revs(target, revision),
                "script": scripts,
                "transactional_ddl": True,
            },
        )
        with Operations.context(context):
            context.run_migrations()
