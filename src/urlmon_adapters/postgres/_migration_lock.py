"""The advisory lock that all who migrate a database share.

Nobody ever waits for it inside a statement: CREATE INDEX CONCURRENTLY waits for all older
statements, and the two would wait for each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from urlmon.errors import MigrationError
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._migration_connection import Patience, scalar

T = TypeVar("T")

# "urlmon" in ASCII: one key for all that migrate a database.
_TRY: Final = "SELECT pg_try_advisory_xact_lock(x'75726c6d6f6e'::bigint)"
_TRY_FOR_SESSION: Final = "SELECT pg_try_advisory_lock(x'75726c6d6f6e'::bigint)"
_UNLOCK: Final = "SELECT pg_advisory_unlock(x'75726c6d6f6e'::bigint)"
_HOLDER: Final = """
SELECT format('pid %s, %s', a.pid, coalesce(nullif(a.application_name, ''), a.usename))
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32) + l.objid::bigint = x'75726c6d6f6e'::bigint
"""
_PID: Final = "SELECT pg_backend_pid()"


async def try_lock(connection: Connection) -> bool:
    """Take the lock until the transaction ends, if it is free."""
    return bool(await scalar(connection, _TRY))


async def try_session_lock(connection: Connection) -> bool:
    """Take the lock until `unlock_session`, or until the session ends, if it is free."""
    return bool(await scalar(connection, _TRY_FOR_SESSION))


async def unlock_session(connection: Connection) -> None:
    """Give back the lock of the session.

    Raises:
        MigrationError: The session does not hold it: it is not the one that took it.
    """
    if not await scalar(connection, _UNLOCK):
        raise MigrationError(
            "the lock was taken in another session than this one, where it stays: there is a"
            " pooler between; name a direct connection in URLMON_MIGRATION_URL"
        )


async def is_direct(connection: Connection) -> bool:
    """Whether there is no pooler between; one gives its own number for the session.

    It may serve each transaction by another session.
    """
    return await scalar(connection, _PID) == connection.info.backend_pid


async def wait_for_lock(connection: Connection, patience: Patience) -> None:
    """Wait a little before the lock is tried again; says who holds it.

    Raises:
        MigrationLockedError: There is no time left.
    """
    holder = str(await scalar(connection, _HOLDER) or "which has just ended")
    await patience.wait(f"another migration is running ({holder})")


async def in_lock(
    connection: Connection, patience: Patience, work: Callable[[], Awaitable[T]]
) -> T:
    """Do something in a transaction that holds the lock.

    Raises:
        MigrationLockedError: It was not to be had in time.
    """
    while True:
        async with connection.transaction():
            if await try_lock(connection):
                return await work()
        await wait_for_lock(connection, patience)
