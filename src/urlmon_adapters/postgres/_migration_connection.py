"""Connections for migrations, and waiting for what others hold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, LiteralString

import psycopg
from psycopg import AsyncConnection, IsolationLevel

from urlmon.errors import UrlmonError
from urlmon_adapters._migration_errors import MigrationLockedError
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._errors import translate

Tell = Callable[[str], None]

_CONNECT_SECONDS: Final = 10
_FIRST_WAIT_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 1.0
_WATCH_SECONDS: Final = 0.4

_BLOCKERS: Final = """
SELECT format('pid %%s, %%s, in a transaction since %%s', pid,
    coalesce(nullif(application_name, ''), usename, 'unknown'),
    coalesce(to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SSZ'), '?'))
FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids(%s)) ORDER BY pid
"""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Open a connection for a block and close it; translates errors of the driver.

    Raises:
        UnavailableError: The server cannot be reached, or the connection was lost.
        StoreError: The server refused something.
    """
    try:
        connection = await AsyncConnection.connect(
            url,
            autocommit=True,
            prepare_threshold=None,
            application_name="urlmon-migrate",
            connect_timeout=_CONNECT_SECONDS,
        )
        async with connection:
            # Whatever the role's defaults are: after a wait for a lock, what others did is seen.
            await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
            await connection.set_read_only(False)
            yield connection
    except psycopg.Error as exc:
        raise translate(exc, "migrate") from exc


async def scalar(connection: Connection, query: LiteralString, *values: object) -> object:
    """Return the one value of a query."""
    row = await (await connection.execute(query, values or None)).fetchone()
    return row[0] if row else None


class Patience:
    """Waits longer and longer between attempts, but not for ever.

    Attributes:
        tell: Is told of what happens meanwhile.
    """

    def __init__(self, limit: timedelta, tell: Tell) -> None:
        self._limit = limit
        self.tell = tell
        self._deadline = asyncio.get_running_loop().time() + limit.total_seconds()
        self._wait_seconds = _FIRST_WAIT_SECONDS
        self._told = ""

    async def wait(self, reason: str) -> None:
        """Wait before another attempt; says why when that is new.

        Raises:
            MigrationLockedError: There is no time left.
        """
        if asyncio.get_running_loop().time() > self._deadline:
            raise MigrationLockedError(
                f"gave up after {self._limit.total_seconds():g} s: {reason}; run it again later"
            )
        if reason != self._told:
            self.tell(f"waiting: {reason}")
            self._told = reason
        await asyncio.sleep(self._wait_seconds * random.uniform(0.5, 1.5))  # noqa: S311
        self._wait_seconds = min(2 * self._wait_seconds, _LONGEST_WAIT_SECONDS)


class BlockerWatch:
    """Looks, from another connection, at who keeps a connection waiting.

    Attributes:
        seen: Who did when it last looked and found someone; empty before.
    """

    def __init__(self, url: str, tell: Tell | None = None) -> None:
        """Look at nothing yet.

        Args:
            url: Where the other connection is made.
            tell: Is told of each that was not seen before.
        """
        self._url = url
        self._tell = tell
        self.seen = ""

    @asynccontextmanager
    async def over(self, pid: int) -> AsyncIterator[None]:
        """Watch a server process during a block."""
        task = asyncio.create_task(self._look(pid))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _look(self, pid: int) -> None:
        await asyncio.sleep(_WATCH_SECONDS)
        # Only information: that it cannot be had must not fail the migration.
        with suppress(UrlmonError):
            async with connected(self._url) as connection:
                while True:
                    rows = await (await connection.execute(_BLOCKERS, [pid])).fetchall()
                    seen = "; ".join(blocker for (blocker,) in rows)
                    if seen and self._tell is not None and seen != self.seen:
                        self._tell(f"waiting for {seen}")
                    self.seen = seen or self.seen
                    await asyncio.sleep(_WATCH_SECONDS)
