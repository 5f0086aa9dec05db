"""Runs one migration file: exactly once, however many runners there are.

A file's statements, the check that it is still pending and the record that it was applied are one
transaction under one advisory lock of that transaction; so it holds behind a transaction pooler
too.  Nobody ever waits inside a statement for that lock: CREATE INDEX CONCURRENTLY waits for all
older statements, and the two would wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import psycopg
from attrs import frozen
from psycopg import errors
from psycopg.pq import TransactionStatus

from urlmon.errors import MigrationError
from urlmon_adapters.postgres import _migration_ledger as ledger
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._migration_connection import (
    BlockerWatch,
    Patience,
    connected,
    scalar,
)
from urlmon_adapters.postgres._migration_failure import explain
from urlmon_adapters.postgres._migration_files import MigrationFile
from urlmon_adapters.postgres._sql_scanner import Statement

Outcome = Literal["applied", "not pending", "locked"]

# "urlmon" in ASCII: one key for all that migrate a database.
_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(x'75726c6d6f6e'::bigint)"
_TRY_SESSION_LOCK: Final = "SELECT pg_try_advisory_lock(x'75726c6d6f6e'::bigint)"
_LOCK_HOLDER: Final = """
SELECT format('pid %s, %s', a.pid, coalesce(nullif(a.application_name, ''), a.usename))
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32) + l.objid::bigint = x'75726c6d6f6e'::bigint
"""

# Whatever the role and the database set, a file runs the same.
_SETTINGS: Final = """
SELECT set_config('lock_timeout', %(lock_timeout)s, %(local)s),
    set_config('statement_timeout', '0', %(local)s),
    set_config('idle_in_transaction_session_timeout', '0', %(local)s),
    set_config('timezone', 'UTC', %(local)s),
    set_config('datestyle', 'ISO, YMD', %(local)s),
    set_config('standard_conforming_strings', 'on', %(local)s),
    set_config('check_function_bodies', 'on', %(local)s)
"""
_TRANSACTION: Final = "SELECT pg_current_xact_id()::text"
_PID: Final = "SELECT pg_backend_pid()"

# Core PostgreSQL's own function under the name that schemas made for `uuid-ossp` use.
_LACKS_UUID_FUNCTION: Final = "SELECT to_regprocedure('uuid_generate_v4()') IS NULL"
_UUID_FUNCTION: Final = """
CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
AS 'SELECT pg_catalog.gen_random_uuid()'
"""
_INVALID_INDEXES: Final = """
SELECT c.oid::regclass::text FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname = ANY(%s)
"""


@frozen
class MigrationRun:
    """Runs one file against one database.

    Attributes:
        url: The database.
        file: What to run.
        is_pending: Says, asked under the lock, whether the file still has to be applied; raises
            MigrationError where the database's history has come to forbid it.
        patience: How long to try to get the locks.
    """

    url: str
    file: MigrationFile
    is_pending: Callable[[Connection], Awaitable[bool]]
    patience: Patience

    async def run(self) -> bool:
        """Run the file and return True, or return False when another runner has applied it.

        Raises:
            MigrationError: It failed; nothing of it was applied, or the message says otherwise.
            UnavailableError: The connection was lost; running it again is safe.
        """
        attempt = self._in_transaction if self.file.in_transaction else self._in_session
        blockers = BlockerWatch(self.url)
        async with connected(self.url) as connection:
            while True:
                try:
                    outcome = await attempt(connection, blockers)
                except (errors.LockNotAvailable, errors.DeadlockDetected):
                    holder = blockers.seen or "another session, which is gone"
                    await self.patience.wait(f"{self.file.name} needs a lock held by {holder}")
                    continue
                if outcome != "locked":
                    return outcome == "applied"
                holder = str(await scalar(connection, _LOCK_HOLDER) or "which has just ended")
                await self.patience.wait(f"another migration is running ({holder})")
                # Without the lock: whoever has nothing left to do must not wait for it.
                if not await self.is_pending(connection):
                    return False

    async def _in_transaction(self, connection: Connection, blockers: BlockerWatch) -> Outcome:
        async with connection.transaction():
            if not await scalar(connection, _TRY_LOCK):
                return "locked"
            if not await self.is_pending(connection):
                return "not pending"
            await connection.execute(_SETTINGS, {"lock_timeout": "1s", "local": True})
            transaction = await scalar(connection, _TRANSACTION)
            # Files for other runners may make the table themselves.
            if not self.file.has("create", "table", "schema_migrations"):
                await ledger.prepare(connection)
            await self._offer_uuid_function(connection)
            started = time.monotonic()
            async with blockers.over(await _pid(connection)):
                for statement in self.file.statements:
                    await self._execute(connection, statement)
            # The file may have changed the search path or the role; and a session behind a pooler
            # must not keep what it set.
            await connection.execute("RESET ALL")
            await connection.execute("RESET ROLE")
            await ledger.prepare(connection)
            await self._refuse_other_records(connection)
            await ledger.record(connection, self.file, _ms_since(started))
            if await scalar(connection, _TRANSACTION) != transaction:
                raise self._left_transaction()
        return "applied"

    async def _in_session(self, connection: Connection, blockers: BlockerWatch) -> Outcome:
        # A pooler gives its own number for the session: it may serve each statement by another.
        if await _pid(connection) != connection.info.backend_pid:
            raise MigrationError(
                f"{self.file.name} runs outside a transaction, which needs a direct connection:"
                " name one that goes past the pooler in URLMON_MIGRATION_URL"
            )
        # Held until the connection is closed.
        if not await scalar(connection, _TRY_SESSION_LOCK):
            return "locked"
        if not await self.is_pending(connection):
            return "not pending"
        await self._refuse_invalid_index(connection)
        await connection.execute(_SETTINGS, {"lock_timeout": "0", "local": False})
        await ledger.prepare(connection)
        started = time.monotonic()
        async with blockers.over(connection.info.backend_pid):
            try:
                await self._execute(connection, self.file.statements[0])
            except MigrationError as exc:
                await self._refuse_invalid_index(connection, str(exc))
                raise
        await connection.execute("RESET ALL")
        await ledger.record(connection, self.file, _ms_since(started))
        return "applied"

    async def _execute(self, connection: Connection, statement: Statement) -> None:
        sql = self.file.text[statement.start : statement.end]
        try:
            await connection.execute(sql.encode())
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            raise
        except psycopg.Error as exc:
            if connection.broken:
                raise
            raise MigrationError(explain(self.file, statement, exc)) from exc
        expected = TransactionStatus.INTRANS if self.file.in_transaction else TransactionStatus.IDLE
        if connection.info.transaction_status != expected:
            raise self._left_transaction()

    async def _offer_uuid_function(self, connection: Connection) -> None:
        wanted = "uuid_generate_v4" in self.file.text and not self.file.has(
            "create", "extension", '"uuid-ossp"'
        )
        if wanted and await scalar(connection, _LACKS_UUID_FUNCTION):
            await connection.execute(_UUID_FUNCTION)

    async def _refuse_other_records(self, connection: Connection) -> None:
        others = await ledger.other_records(connection, self.file)
        if others:
            raise MigrationError(
                f"{self.file.name} records the version {', '.join(others)}, but its header says"
                f" {self.file.version}: make them equal; nothing of this file was applied"
            )

    async def _refuse_invalid_index(self, connection: Connection, reason: str = "") -> None:
        names = [token.strip('"') for token in self.file.statements[0].tokens]
        index = await scalar(connection, _INVALID_INDEXES, names)
        if index is not None:
            raise MigrationError(
                f"{reason or self.file.name + ' was interrupted before'}\nIt left the invalid index"
                f" {index}: run DROP INDEX CONCURRENTLY {index}, then migrate again."
            )

    def _left_transaction(self) -> MigrationError:
        return MigrationError(
            f"{self.file.name} ended the transaction that it runs in: part of it is applied and not"
            " recorded; look at what it left, and take out what ends the transaction"
        )


async def _pid(connection: Connection) -> int:
    return int(str(await scalar(connection, _PID)))


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
