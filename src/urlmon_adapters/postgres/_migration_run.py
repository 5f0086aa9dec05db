"""Runs migration files: each exactly once, however many runners there are.

A file's statements, the check that it is still pending and the record that it was applied are one
transaction under one advisory lock of that transaction; so it holds behind a transaction pooler
too.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, Literal

import psycopg
from attrs import define, field
from psycopg import errors
from psycopg.pq import TransactionStatus

from urlmon.errors import MigrationError
from urlmon_adapters.postgres import _migration_ledger as ledger
from urlmon_adapters.postgres import _migration_lock as lock
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._migration_connection import BlockerWatch, Patience, Tell, scalar
from urlmon_adapters.postgres._migration_failure import explain, left_transaction
from urlmon_adapters.postgres._migration_files import MigrationFile
from urlmon_adapters.postgres._migration_history import MigrationStatus
from urlmon_adapters.postgres._migration_repair import (
    begin_attempt,
    drop_invalid_index,
    end_attempt,
    invalid_index,
)
from urlmon_adapters.postgres._sql_scanner import Statement

Outcome = Literal["applied", "not pending", "locked"]

# Whatever the role and the database set, a file runs the same.  A server on Linux notices while a
# statement runs that its runner was killed, and lets go of what that held.
_SETTINGS: Final = """
SELECT pg_backend_pid(), pg_current_xact_id()::text,
    set_config('lock_timeout', %(lock_timeout)s, %(local)s),
    set_config('statement_timeout', '0', %(local)s),
    set_config('idle_in_transaction_session_timeout', '0', %(local)s),
    set_config('timezone', 'UTC', %(local)s),
    set_config('datestyle', 'ISO, YMD', %(local)s),
    set_config('standard_conforming_strings', 'on', %(local)s),
    set_config('check_function_bodies', 'on', %(local)s),
    set_config('client_connection_check_interval',
        CASE WHEN version() LIKE '%%linux%%' THEN '1s' ELSE '0' END, %(local)s)
"""
# What DISCARD ALL does, which cannot be in a transaction: the next file, or whoever a pooler gives
# the session to, finds nothing of this one.  Constraints that were put off are checked before.
_CLEAN_UP: Final = """
SET CONSTRAINTS ALL IMMEDIATE; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL;
DEALLOCATE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP;
DISCARD SEQUENCES
"""

# Core PostgreSQL's own function under the name that schemas made for `uuid-ossp` use.
_LACKS_UUID_FUNCTION: Final = "SELECT to_regprocedure('uuid_generate_v4()') IS NULL"
_UUID_FUNCTION: Final = """
CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
AS 'SELECT pg_catalog.gen_random_uuid()'
"""


@define
class MigrationRun:
    """Runs the pending files of one database, over one connection.

    Attributes:
        url: The database, for a look at who is in the way.
        connection: The connection that runs them.
        read_status: Reads how the database stands to the files; raises MigrationError where its
            history has come to forbid that one is applied.
        lock_wait: How long to try to get the locks, for each file.
        tell: Is told of each wait.
    """

    url: str
    connection: Connection
    read_status: Callable[[Connection], Awaitable[MigrationStatus]]
    lock_wait: timedelta
    tell: Tell
    _recorded: int = field(default=0, init=False)

    async def status(self) -> MigrationStatus:
        """Read how the database stands to the files."""
        status = await self.read_status(self.connection)
        self._recorded = len(status.applied)
        return status

    async def require_direct(self, files: Sequence[MigrationFile]) -> None:
        """Check, before any file is run, that the connection serves for all of them.

        Raises:
            MigrationError: One needs a session, and there is a pooler between.
        """
        outside = [file.name for file in files if not file.in_transaction]
        if outside and not await lock.is_direct(self.connection):
            raise MigrationError(
                f"{', '.join(outside)} runs outside a transaction, which needs a direct connection:"
                " name one that goes past the pooler in URLMON_MIGRATION_URL; nothing was applied"
            )

    async def run(self, file: MigrationFile) -> bool:
        """Run a file and return True, or return False when another runner has applied it.

        Raises:
            MigrationError: It failed; nothing of it was applied, or the message says otherwise.
            UnavailableError: The connection was lost; running it again is safe.
        """
        patience = Patience(self.lock_wait, self.tell)
        attempt = self._in_transaction if file.in_transaction else self._in_session
        blockers = BlockerWatch(self.url, None if file.in_transaction else self.tell)
        while True:
            try:
                outcome = await attempt(file, blockers, patience)
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                holder = blockers.seen or "another session, which is gone"
                await patience.wait(f"{file.name} needs a lock held by {holder}")
                continue
            if outcome != "locked":
                self._recorded += outcome == "applied"
                return outcome == "applied"
            await lock.wait_for_lock(self.connection, patience)
            # Without the lock: whoever has nothing left to do must not wait for it.
            if not await self._is_pending(file):
                return False

    async def _is_pending(self, file: MigrationFile) -> bool:
        # As long as nobody else records anything, what was read still holds.
        if self._recorded and await ledger.is_as_known(self.connection, file, self._recorded):
            return True
        return file in (await self.status()).pending

    async def _in_transaction(
        self, file: MigrationFile, blockers: BlockerWatch, _: Patience
    ) -> Outcome:
        connection = self.connection
        async with connection.transaction():
            if not await lock.try_lock(connection):
                return "locked"
            if not await self._is_pending(file):
                return "not pending"
            pid, transaction = await self._settle(lock_timeout="1s", local=True)
            # Files for other runners may make the table themselves.
            if not self._recorded and not file.has("create", "table", "schema_migrations"):
                await ledger.prepare(connection)
            await self._offer_uuid_function(file)
            started = time.monotonic()
            async with blockers.over(pid):
                for statement in file.statements:
                    await self._execute(file, statement, file.sql(statement))
                await self._execute(file, file.statements[-1], _CLEAN_UP)
            if "schema_migrations" in file.text:
                await self._refuse_other_records(file)
            if await ledger.record(connection, file, _ms_since(started)) != transaction:
                raise left_transaction(file)
        return "applied"

    async def _in_session(
        self, file: MigrationFile, blockers: BlockerWatch, patience: Patience
    ) -> Outcome:
        connection = self.connection
        if not await lock.try_session_lock(connection):
            return "locked"
        outcome: Outcome = "not pending"
        # Any other failure closes the connection, and that gives the lock back.
        try:
            if await self._is_pending(file):
                async with blockers.over(connection.info.backend_pid):
                    await self._run_alone(file, patience)
                outcome = "applied"
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            await lock.unlock_session(connection)
            raise
        await lock.unlock_session(connection)
        return outcome

    async def _run_alone(self, file: MigrationFile, patience: Patience) -> None:
        connection, (statement,) = self.connection, file.statements
        await self._settle(lock_timeout="0", local=False)
        await ledger.prepare(connection)
        await drop_invalid_index(connection, statement, patience)
        started = time.monotonic()
        try:
            if not await begin_attempt(connection, statement, file.version):
                await self._execute(file, statement, file.sql(statement))
        except MigrationError as exc:
            left = await invalid_index(connection, statement)
            if left is None:
                raise
            raise MigrationError(
                f"{exc}\nIt left the invalid index {left[0]}, which the next run drops and builds"
                " again."
            ) from exc.__cause__
        await connection.execute("RESET ALL")
        await ledger.record(connection, file, _ms_since(started))
        await end_attempt(connection, statement, file.version)

    async def _settle(self, *, lock_timeout: str, local: bool) -> tuple[int, str]:
        """Set what every file runs with; return the numbers of the session and the transaction."""
        values = {"lock_timeout": lock_timeout, "local": local}
        cursor = await self.connection.execute(_SETTINGS, values)
        ((pid, transaction, *_),) = await cursor.fetchall()
        return pid, transaction

    async def _execute(self, file: MigrationFile, statement: Statement, sql: str) -> None:
        try:
            await self.connection.execute(sql.encode())
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            raise
        except psycopg.Error as exc:
            if self.connection.broken:
                raise
            raise MigrationError(explain(file, statement, exc)) from exc
        expected = TransactionStatus.INTRANS if file.in_transaction else TransactionStatus.IDLE
        if self.connection.info.transaction_status != expected:
            raise left_transaction(file)

    async def _offer_uuid_function(self, file: MigrationFile) -> None:
        wanted = "uuid_generate_v4" in file.text and not file.has(
            "create", "extension", '"uuid-ossp"'
        )
        if wanted and await scalar(self.connection, _LACKS_UUID_FUNCTION):
            await self.connection.execute(_UUID_FUNCTION)

    async def _refuse_other_records(self, file: MigrationFile) -> None:
        await ledger.prepare(self.connection)
        others = await ledger.other_records(self.connection, file)
        if others:
            raise MigrationError(
                f"{file.name} records the version {', '.join(others)}, but its header says"
                f" {file.version}: make them equal; nothing of this file was applied"
            )


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
