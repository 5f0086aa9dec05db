"""A connection that keeps its callers' deadlines, made again for as long as the server is away."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import AsyncConnection, capabilities, waiting
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

T = TypeVar("T")

_log = logging.getLogger("urlmon.postgresql")

# How long a caller whose time is over waits for the server's last word, at each of at most two
# places: the statement it was in, and the end of the transaction.  A server that is well stops a
# statement in 2 ms.
GRACE_SECONDS: Final = 0.03
_CANCEL_SECONDS: Final = 5.0
_INTERVAL_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 0.3

# The driver reads instants by these two, whatever role, database and server set.  PgBouncer follows
# a change of them from session to session.
_SESSION: Final = """
SELECT set_config('datestyle', 'ISO, YMD', false), set_config('timezone', 'UTC', false)
"""

# What the event loop itself holds on to weakly.
_requests: Final[set[asyncio.Task[bool]]] = set()


class Reconnecting:
    """Goes on with making the connections of one pool until it is stopped.

    The pool's own attempts are up to minutes apart after a while, so the pool sees one that takes
    its time.  While the server is away, one of them at a time knocks, at most every few tenths of a
    second.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False

    async def until_made(self, connect: Callable[[], Awaitable[T]]) -> T:
        """Return a connection, however long the server is away.

        Raises:
            psycopg.OperationalError: The login was refused, or the pool is closing.
        """
        if self._stopped or (task := asyncio.current_task()) is None:
            raise psycopg.OperationalError("the pool is closing")
        self._tasks.add(task)
        try:
            return await self._attempts(connect)
        except asyncio.CancelledError:
            pass  # it leads to a half-made connection: logged, it would keep that one open
        finally:
            self._tasks.discard(task)
        raise asyncio.CancelledError

    def stop(self) -> None:
        """Give up whatever is being made, and make nothing more."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def _attempts(self, connect: Callable[[], Awaitable[T]]) -> T:
        try:
            return await connect()
        except (psycopg.OperationalError, TimeoutError) as exc:
            _raise_if_refused(exc)
            _log.warning("no connection to PostgreSQL, trying on: %s", exc)
        async with self._turn:
            pause = _PAUSE_SECONDS
            while True:
                try:
                    return await connect()
                except (psycopg.OperationalError, TimeoutError) as exc:
                    _raise_if_refused(exc)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _raise_if_refused(error: Exception) -> None:
    """Leave a login that the server looked at to the pool, which asks less and less often."""
    pgconn = error.pgconn if isinstance(error, psycopg.Error) else None
    if pgconn is not None and pgconn.used_password:
        raise error


class PooledConnection(AsyncConnection[TupleRow]):
    """A connection of a pool.

    Attributes:
        made_at: When it was made, by the clock of the event loop.
    """

    made_at = 0.0

    @classmethod
    async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect and set the session up, for as long as it takes.

        Args:
            conninfo: A libpq connection string.
            **kwargs: What the driver takes, and the `Reconnecting` of the pool.
        """
        reconnecting: Reconnecting = kwargs.pop("reconnecting")
        return await reconnecting.until_made(partial(cls._connect, conninfo, **kwargs))

    @classmethod
    async def _connect(cls, conninfo: str, **kwargs: Any) -> Self:
        connection = await super().connect(conninfo, **kwargs)
        try:
            async with asyncio.timeout(kwargs.get("connect_timeout")):
                await connection.execute(_SESSION)
        except BaseException:
            await connection.close()
            raise
        connection.made_at = asyncio.get_running_loop().time()
        return connection

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = _INTERVAL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 - the driver's
    ) -> T:
        """Carry a dialogue with the server on; when cancelled, end it at once.

        The driver itself would wait up to 10 s for a server that does not answer.
        """
        try:
            return await waiting.wait_async(
                gen, self.pgconn.socket, interval=interval, timeout=timeout
            )
        except (asyncio.CancelledError, KeyboardInterrupt):
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._end_statement(gen)
            raise

    async def abandon(self) -> None:
        """Roll back for a caller whose time is over: at once, or by breaking the connection."""
        try:
            async with self.lock:
                await self.wait(self._rollback_gen(), timeout=GRACE_SECONDS)
        except psycopg.Error:
            self.pgconn.finish()

    async def _end_statement(self, gen: PQGen[T]) -> None:
        """Have the server stop a statement; break the connection if it does not do so at once.

        Only a connection that gave its last reply, and whose request to cancel is over, goes on:
        else a later statement would get that reply, or be cancelled.
        """
        until = asyncio.get_running_loop().time() + GRACE_SECONDS
        request = asyncio.create_task(self._request_cancel())
        _requests.add(request)
        request.add_done_callback(_requests.discard)
        over = False
        try:
            done, _ = await asyncio.wait({request}, timeout=GRACE_SECONDS)
            if done and request.result():
                left = until - asyncio.get_running_loop().time()
                await waiting.wait_async(gen, self.pgconn.socket, _INTERVAL_SECONDS, left)
                over = True
        except psycopg.errors.QueryCanceled:
            over = True
        except psycopg.Error:
            pass
        finally:
            if not over:
                self.pgconn.finish()

    async def _request_cancel(self) -> bool:
        """Ask the server to stop the statement, on a connection of its own; say whether it heard.

        It goes on when nobody waits for it any more, so that a statement whose caller has gone does
        not go on for ever.
        """
        if not capabilities.has_cancel_safe():
            return False  # the libpq before 17 can ask only by blocking
        with suppress(psycopg.Error):
            await self.cancel_safe(timeout=_CANCEL_SECONDS)
            return True
        return False
