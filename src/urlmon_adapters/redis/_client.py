"""The one way to Redis: commands and scripts on pooled connections, with errors translated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias

from redis.asyncio.connection import AbstractConnection, ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from urlmon.errors import ConfigurationError, UnavailableError
from urlmon_adapters.redis._errors import STORE, translate
from urlmon_adapters.redis._keys import Keys
from urlmon_adapters.redis._scripts import Script

Argument: TypeAlias = str | int | bytes
Reply: TypeAlias = "bytes | int | list[Reply] | None"

_MICROSECOND: Final = timedelta(microseconds=1)


class StoreTime:
    """The time that leases are measured by.

    Attributes:
        offset: Is added to the server's time and to this process's; 0 outside of tests.
    """

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def monotonic(self) -> float:
        """Return the seconds of `time.monotonic`."""
        return time.monotonic() + self.offset.total_seconds()

    async def sleep_until(self, moment: float) -> None:
        """Return once `monotonic` shows a moment."""
        await asyncio.sleep(moment - self.monotonic())


def build_pool(url: str) -> ConnectionPool:
    """Build a pool; it connects when it is first used.

    Args:
        url: `redis://`, `rediss://` or `unix://`, with options of redis-py in its query.

    Raises:
        ConfigurationError: The URL cannot be used.
    """
    ours: dict[str, Any] = {
        # What may be repeated is known here and not in the driver: it never repeats anything.
        "retry": Retry(NoBackoff(), 0),
        # `RedisClient` limits a whole call.  The driver's own limit would use `asyncio.wait_for`,
        # which before Python 3.12 now and then swallows a cancellation.
        "socket_timeout": None,
        "protocol": 2,
        "decode_responses": False,
        "client_name": "urlmon",
    }
    try:
        pool = ConnectionPool(**{**parse_url(url), **ours})
        pool.make_connection()  # type: ignore[no-untyped-call]  # refuses unknown options
    except (ValueError, TypeError, RedisError):
        # Neither the text nor the cause of the error: they can hold a part of the password.
        raise ConfigurationError(
            "REDIS_URL: must be redis://, rediss:// or unix://, special characters percent-encoded,"
            " with options of redis-py only"
        ) from None
    return pool


class RedisClient:
    """Commands and scripts.  Belongs to one event loop.

    Cancelling a call closes the connection it used: no answer is ever taken for another's.

    Attributes:
        keys: Builds the keys.
        time: The time that leases are measured by.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        *,
        keys: Keys | None = None,
        time: StoreTime | None = None,
        largest: int = 50,
        timeout_seconds: float = 5,
    ) -> None:
        """Use a pool, which `aclose` closes.

        Args:
            pool: Gives the connections.
            keys: Builds the keys; by default for the namespace `url-monitor:`.
            time: The time; only a test gives another.
            largest: Connections at most, beside those of tasks that wait for a lock.
            timeout_seconds: How long a call may take, from waiting for a connection to the answer.
        """
        self.keys = keys or Keys()
        self.time = time or StoreTime()
        self._pool = pool
        self._pool.max_connections = max(largest, self._pool.max_connections)
        self._timeout_seconds = timeout_seconds
        # Instead of the driver's blocking pool: a semaphore survives the cancelling of a waiter.
        self._slots = asyncio.Semaphore(largest)

    async def aclose(self) -> None:
        """Close every connection; the next call would open one again."""
        await self._pool.aclose()

    async def read(self, operation: str, *commands: Sequence[Argument]) -> list[Reply]:
        """Send commands that change nothing, together, and return their answers.

        Raises:
            StoreError: The driver's error, translated.
        """
        return await self._exchange(operation, commands, writes=False)

    async def run(
        self, operation: str, script: Script, keys: Sequence[str], *arguments: Argument
    ) -> Reply:
        """Run a script in one step; its first argument is the time offset.

        Raises:
            StoreError: The driver's error, translated.
        """
        return (await self.run_each(operation, script, [(*keys, *arguments)], keys=len(keys)))[0]

    async def run_each(
        self, operation: str, script: Script, calls: Sequence[Sequence[Argument]], *, keys: int
    ) -> list[Reply]:
        """Run a script several times, sent together: each in one step, but not all of them.

        Args:
            operation: The port's method.
            script: Must be repeatable: when the server lost it on the way, all are sent again.
            calls: The keys and then the arguments of each.
            keys: How many of them are keys.

        Raises:
            StoreError: The driver's error, translated.
        """
        offset = self.time.offset // _MICROSECOND
        rest = [(keys, *call[:keys], offset, *call[keys:]) for call in calls]
        by_digest = [("EVALSHA", script.digest, *each) for each in rest]
        try:
            return await self._exchange(operation, by_digest, writes=True)
        except NoScriptError:
            with_text = [("EVAL", script.text, *rest[0]), *by_digest[1:]]
            return await self._exchange(operation, with_text, writes=True)

    async def listen(self, channel: str, heard: asyncio.Event) -> None:
        """Set an event for each message on a channel, and once when listening has begun or ended.

        Uses a connection of its own, so that those who wait never starve those they wait for.
        """
        connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
            await connection.send_command("SUBSCRIBE", channel)
            while True:
                await connection.read_response()
                heard.set()
        except RedisError:
            heard.set()
        finally:
            await connection.disconnect(nowait=True)

    async def _exchange(
        self, operation: str, commands: Sequence[Sequence[Argument]], *, writes: bool
    ) -> list[Reply]:
        """Send commands on a connection and read their answers; `NoScriptError` passes."""
        sent = False
        try:
            async with asyncio.timeout(self._timeout_seconds), self._slots:
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
                try:
                    sent = True
                    await connection.send_packed_command(connection.pack_commands(commands))
                    read = [await _read_reply(connection) for _ in commands]
                finally:
                    # The driver has closed it if it was left in the midst of an answer.
                    await self._pool.release(connection)
            replies = list[Reply]()
            for reply in read:
                if isinstance(reply, ResponseError):
                    raise reply
                replies.append(reply)
        except NoScriptError:
            raise
        except TimeoutError as exc:
            detail = f"no answer within {self._timeout_seconds:g} s: is the server overloaded?"
            raise UnavailableError(STORE, operation, detail, maybe_applied=sent and writes) from exc
        except RedisError as exc:
            raise translate(exc, operation, maybe_applied=sent and writes) from exc
        else:
            return replies


async def _read_reply(connection: AbstractConnection) -> Reply | ResponseError:
    """Return an answer, also one that is an error: others may follow it."""
    try:
        reply: Reply = await connection.read_response()
    except ResponseError as exc:
        return exc
    return reply
