"""A pool that gets over the loss of its connections, and gives each back whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, LiteralString

import psycopg
from psycopg import AsyncClientCursor
from psycopg_pool import AsyncConnectionPool

from urlmon.errors import UnavailableError
from urlmon_adapters.postgres._connection import PooledConnection, Reconnecting
from urlmon_adapters.postgres._errors import STORE

_PAUSE_SECONDS: Final = 0.05


class Pool(AsyncConnectionPool[PooledConnection]):
    """A pool of connections to one database, not open yet."""

    def __init__(self, url: str, *, smallest: int, largest: int, timeout_seconds: float) -> None:
        """Keep the settings; connect to nothing.

        Args:
            url: A libpq connection string.
            smallest: Connections kept open.
            largest: Connections at most.
            timeout_seconds: How long a call waits for a connection, and connecting lasts at most.
        """
        self._reconnecting = Reconnecting()
        self._emptied_at = 0.0
        self._returns: set[asyncio.Task[None]] = set()
        super().__init__(
            url,
            connection_class=PooledConnection,
            open=False,
            min_size=smallest,
            max_size=largest,
            timeout=timeout_seconds,
            name="urlmon",
            # A pooler between us and the server may give each transaction another session: nothing
            # of a session is relied on, and so no statement is prepared in it.
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,
                "application_name": "urlmon",
                "connect_timeout": max(2, int(timeout_seconds)),
                "reconnecting": self._reconnecting,
            },
        )

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the driver's
        """Close the pool, also while it is connecting."""
        self._reconnecting.stop()
        await super().close(timeout)

    @asynccontextmanager
    async def transaction(
        self, enter: LiteralString = "", *values: object
    ) -> AsyncIterator[PooledConnection]:
        """Run a block in a transaction, on a connection that was alive when the block began.

        Args:
            enter: The first statement of the transaction.
            values: What it binds.

        Raises:
            psycopg.Error: No connection could be had in the pool's time, the connection was lost
                within the block, or the server refused something.
        """
        connection = await self._begun(enter, values)
        try:
            yield connection
            await connection.commit()
        except BaseException as exc:
            await self._undo(connection, exc)
            raise
        finally:
            await self._give_back(connection)

    async def _begun(self, enter: LiteralString, values: tuple[object, ...]) -> PooledConnection:
        """Return a connection in a transaction; passes by those that turn out to be lost.

        Nothing of the caller has run by then, so it is as if it had waited for the first good one.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + self.timeout
        pause = 0.0
        while True:
            connection = await self._taken(until - clock())
            begun = False
            try:
                # In one round trip, which only values put into the text by the client allow.
                await AsyncClientCursor(connection).execute("BEGIN;" + enter, values)
                begun = True
            except BaseException as exc:
                if not await self._undo(connection, exc):
                    raise
            finally:
                if not begun:
                    await self._give_back(connection)
            if begun:
                return connection
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = _PAUSE_SECONDS

    async def _undo(self, connection: PooledConnection, error: BaseException) -> bool:
        """End a transaction that an error broke off; say whether it was the connection's loss."""
        if isinstance(error, psycopg.OperationalError) and connection.closed:
            await self._renew(connection)
            return True
        if isinstance(error, Exception):
            await _roll_back(connection)
        else:
            await connection.abandon()
        return False

    async def _taken(self, seconds: float) -> PooledConnection:
        """Take a connection out of the pool."""
        requests = _cancellations()
        connection = await self.getconn(timeout=max(seconds, 0))
        # Before Python 3.12 a cancellation is lost if it comes together with the connection.
        if _cancellations() > requests:
            await self._give_back(connection)
            raise asyncio.CancelledError
        return connection

    async def _give_back(self, connection: PooledConnection) -> None:
        """Return a connection; a cancellation meanwhile does not keep it from the pool."""
        returning = asyncio.create_task(self.putconn(connection))
        self._returns.add(returning)
        returning.add_done_callback(self._returns.discard)
        await asyncio.shield(returning)

    async def _renew(self, lost: PooledConnection) -> None:
        """Replace all connections as old as one that was lost: their server is another by now.

        However many calls find out at one time, it is done once.
        """
        if lost.made_at > self._emptied_at:
            self._emptied_at = asyncio.get_running_loop().time()
            await self.drain()


def _cancellations() -> int:
    """Return how often the running task was asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


async def _roll_back(connection: PooledConnection) -> None:
    """End a transaction that failed; the failure matters more than one of this."""
    with suppress(psycopg.Error):
        await connection.rollback()


def build_pool(
    url: str, *, smallest: int = 1, largest: int = 8, timeout_seconds: float = 10
) -> Pool:
    """Build a pool that is not open yet; opening it is the caller's.

    Args:
        url: A libpq connection string.
        smallest: Connections kept open.
        largest: Connections at most.
        timeout_seconds: How long a call waits for a connection, and connecting lasts at most.
    """
    return Pool(url, smallest=smallest, largest=largest, timeout_seconds=timeout_seconds)


async def open_pool(pool: Pool) -> None:
    """Open a pool and wait for its first connections.

    Raises:
        UnavailableError: None could be made in the pool's time limit; the pool is closed again.
    """
    try:
        await pool.open(wait=True, timeout=pool.timeout)
    except psycopg.Error as exc:
        detail = "no connection could be made: is the server up, are user and password right?"
        raise UnavailableError(STORE, "open", detail) from exc
    except BaseException:
        await pool.close()
        raise
