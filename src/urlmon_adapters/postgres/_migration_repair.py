"""Goes on from an interrupted CREATE INDEX CONCURRENTLY, which no transaction takes back.

It leaves an index that is not valid, or one that is whole and was not recorded any more.
"""

from __future__ import annotations

from typing import Final

from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._migration_connection import Patience, scalar
from urlmon_adapters.postgres._sql_scanner import Statement

# Someone else may be building it at this moment; a session that holds our lock is none of them.
_LEFT: Final = """
SELECT c.oid::regclass::text, format('DROP INDEX CONCURRENTLY %%s', c.oid::regclass), p.pid
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p
    ON p.index_relid = c.oid AND p.datname = current_database()
WHERE NOT i.indisvalid AND c.relkind = 'i'
    AND i.indrelid = to_regclass(%s) AND c.relname = %s::name
"""

_WHOLE: Final = """
SELECT true FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE i.indisvalid AND i.indrelid = to_regclass(%s) AND c.relname = %s::name
"""
# Whose index it is: one that was there before a run began is not that run's.
_ATTEMPTS: Final = """
CREATE TABLE IF NOT EXISTS schema_migration_attempts (
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT schema_migration_attempts_pkey PRIMARY KEY (version)
)
"""
_ATTEMPT: Final = """
INSERT INTO schema_migration_attempts (version) VALUES (%s)
ON CONFLICT (version) DO UPDATE SET started_at = DEFAULT
"""
_ATTEMPTED: Final = "SELECT true FROM schema_migration_attempts WHERE version = %s"
_ENDED: Final = "DELETE FROM schema_migration_attempts WHERE version = %s"


def index_built(tokens: tuple[str, ...]) -> tuple[str, str] | None:
    """Return table and name of the index that a statement builds concurrently.

    None for every other statement; the name is empty where the statement leaves it to the server.
    """
    rest = [token for token in tokens[:4] if token != "unique"] + list(tokens[4:])  # noqa: S105
    if rest[:3] != ["create", "index", "concurrently"]:
        return None
    rest = rest[3:]
    if rest[:3] == ["if", "not", "exists"]:
        rest = rest[3:]
    named = rest[:1] != ["on"]
    name = rest.pop(0) if named else ""
    rest = rest[2:] if rest[1:2] == ["only"] else rest[1:]
    ends = [rest.index(end) for end in ("using", "(") if end in rest]
    table = "".join(rest[: min(ends, default=0)])
    return (table, _unquoted(name)) if table else None


async def invalid_index(
    connection: Connection, statement: Statement
) -> tuple[str, str, int | None] | None:
    """Return the index that a statement would build, where it is there and not valid.

    Its name, the statement that drops it, and who is building it at this moment, if anyone is.
    """
    built = index_built(statement.tokens)
    if built is None:
        return None
    return await (await connection.execute(_LEFT, built)).fetchone()


async def drop_invalid_index(
    connection: Connection, statement: Statement, patience: Patience
) -> None:
    """Drop, without blocking anyone, the invalid index in the way of a statement, if there is one.

    Raises:
        MigrationLockedError: Someone else went on building it.
    """
    while left := await invalid_index(connection, statement):
        name, drop, builder = left
        if builder is not None:
            await patience.wait(f"pid {builder} is building the index {name}")
            continue
        patience.tell(f"dropping the invalid index {name}, which an interrupted run left")
        await connection.execute(drop.encode())


async def begin_attempt(connection: Connection, statement: Statement, version: str) -> bool:
    """Note that the index of a migration is about to be built.

    Returns:
        Whether it is whole already, by a run that noted this and ended before it was recorded.
    """
    built = index_built(statement.tokens)
    if built is None:
        return False
    await connection.execute(_ATTEMPTS)
    if await scalar(connection, _WHOLE, *built):
        return bool(await scalar(connection, _ATTEMPTED, version))
    await connection.execute(_ATTEMPT, [version])
    return False


async def end_attempt(connection: Connection, statement: Statement, version: str) -> None:
    """Forget what was noted, as the migration is recorded."""
    if index_built(statement.tokens) is not None:
        await connection.execute(_ENDED, [version])


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
