"""The table `schema_migrations`: what was applied, when, and the hashes of what it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._migration_connection import scalar
from urlmon_adapters.postgres._migration_files import MigrationFile
from urlmon_adapters.postgres._migration_history import Acceptance, AppliedMigration

# Not by to_regclass: within a transaction that may answer from a cache, and miss the table that
# another runner has made since.
_EXISTS: Final = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relname = 'schema_migrations' AND n.nspname = ANY(current_schemas(false))
)
"""

# Through JSON, so that a table which something else made can lack any column but the version.
_READ: Final = """
SELECT r ->> 'version', r ->> 'description',
    extract(epoch FROM (r ->> 'applied_at')::timestamptz)::float8,
    r ->> 'file', r ->> 'text_hash', r ->> 'token_hash',
    coalesce((r ->> 'assumed')::boolean, false), r -> 'acceptances'
FROM (SELECT to_jsonb(m) AS r FROM schema_migrations AS m) AS rows
ORDER BY 3, 4, 1
"""

_CREATE: Final = """
CREATE TABLE schema_migrations (
    version text NOT NULL,
    description text,
    applied_at timestamptz DEFAULT clock_timestamp(),
    file text,
    text_hash text,
    token_hash text,
    duration_ms integer,
    assumed boolean,
    acceptances jsonb,
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
)
"""

_COMPLETE: Final = """
ALTER TABLE schema_migrations
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS applied_at timestamptz,
    ADD COLUMN IF NOT EXISTS file text,
    ADD COLUMN IF NOT EXISTS text_hash text,
    ADD COLUMN IF NOT EXISTS token_hash text,
    ADD COLUMN IF NOT EXISTS duration_ms integer,
    ADD COLUMN IF NOT EXISTS assumed boolean,
    ADD COLUMN IF NOT EXISTS acceptances jsonb
"""

_IS_COMPLETE: Final = """
SELECT count(*) = 8 FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass('schema_migrations') AND NOT attisdropped AND attname IN
    ('description', 'applied_at', 'file', 'text_hash', 'token_hash', 'duration_ms', 'assumed',
     'acceptances')
"""

_RECORD: Final = """
INSERT INTO schema_migrations AS m
    (version, description, applied_at, file, text_hash, token_hash, duration_ms)
VALUES (%s, %s, clock_timestamp(), %s, %s, %s, %s)
ON CONFLICT (version) DO UPDATE SET
    description = coalesce(m.description, EXCLUDED.description),
    applied_at = coalesce(m.applied_at, EXCLUDED.applied_at),
    file = EXCLUDED.file, text_hash = EXCLUDED.text_hash, token_hash = EXCLUDED.token_hash,
    duration_ms = EXCLUDED.duration_ms
RETURNING pg_current_xact_id()::text
"""

_ASSUME: Final = """
INSERT INTO schema_migrations
    (version, description, applied_at, file, text_hash, token_hash, assumed)
VALUES (%s, %s, clock_timestamp(), %s, %s, %s, true)
"""

_ACCEPT: Final = """
UPDATE schema_migrations SET
    acceptances = coalesce(acceptances, '[]') || jsonb_build_object(
        'at', extract(epoch FROM clock_timestamp()), 'by', session_user, 'reason', %s::text,
        'text_hash', text_hash, 'token_hash', token_hash
    ),
    text_hash = %s, token_hash = %s
WHERE version = %s
"""

_COUNT: Final = """
SELECT count(*), count(*) FILTER (WHERE version = %s) FROM schema_migrations
"""

_RECORDED_BY_US: Final = """
SELECT version::text FROM schema_migrations
WHERE xmin = pg_current_xact_id()::xid AND version::text <> %s
"""


async def read_applied(connection: Connection) -> dict[str, AppliedMigration]:
    """Return what the database records, by version; nothing where there is no table."""
    if not await scalar(connection, _EXISTS):
        return {}
    rows = await (await connection.execute(_READ)).fetchall()
    return {
        version: AppliedMigration(
            version=version,
            description=description,
            applied_at=None if seconds is None else datetime.fromtimestamp(seconds, UTC),
            file=file,
            text_hash=text_hash,
            token_hash=token_hash,
            assumed=assumed,
            acceptances=tuple(_acceptance(each) for each in acceptances or ()),
        )
        for version, description, seconds, file, text_hash, token_hash, assumed, acceptances in rows
    }


async def is_as_known(connection: Connection, file: MigrationFile, count: int) -> bool:
    """Whether the table, which is there, has so many records, and none of this file."""
    row = await (await connection.execute(_COUNT, [file.version])).fetchone()
    return row == (count, 0)


async def prepare(connection: Connection) -> None:
    """Make the table where there is none."""
    if not await scalar(connection, _EXISTS):
        await connection.execute(_CREATE)


async def record(connection: Connection, file: MigrationFile, duration_ms: int) -> str:
    """Record a migration, or complete the record that the file itself has made.

    Returns the number of the transaction that did.
    """
    await _complete(connection)
    return str(await scalar(connection, _RECORD, *_values(file), duration_ms))


async def assume(connection: Connection, files: Sequence[MigrationFile]) -> None:
    """Record migrations as applied that were not run, in a table that is made where missing."""
    await prepare(connection)
    await _complete(connection)
    await connection.cursor().executemany(_ASSUME, [_values(file) for file in files])


async def accept(connection: Connection, file: MigrationFile, reason: str) -> None:
    """Record the hashes that an applied file has now, beside those that it had."""
    await _complete(connection)
    values = (reason, file.text_hash, file.token_hash, file.version)
    await connection.execute(_ACCEPT, values)


async def other_records(connection: Connection, file: MigrationFile) -> list[str]:
    """Return the other versions that this transaction has recorded."""
    rows = await (await connection.execute(_RECORDED_BY_US, [file.version])).fetchall()
    return [version for (version,) in rows]


async def _complete(connection: Connection) -> None:
    if not await scalar(connection, _IS_COMPLETE):
        await prepare(connection)
        await connection.execute(_COMPLETE)


def _values(file: MigrationFile) -> tuple[str, ...]:
    return file.version, file.description, file.name, file.text_hash, file.token_hash


def _acceptance(recorded: dict[str, Any]) -> Acceptance:
    return Acceptance(**{**recorded, "at": datetime.fromtimestamp(recorded["at"], UTC)})
