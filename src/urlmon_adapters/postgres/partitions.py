"""Keeps the monthly partitions of check results: makes them ahead, drops them when they are old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, LiteralString

from attrs import frozen
from psycopg import errors as sql
from psycopg.errors import Diagnostic

from urlmon.errors import InvalidValueError, StoreError
from urlmon.ports import Clock
from urlmon.services.repeating import repeating
from urlmon_adapters._partition_errors import PartitionsBusyError
from urlmon_adapters.postgres._database import Connection, Database
from urlmon_adapters.postgres._errors import STORE
from urlmon_adapters.postgres._rows import fetch_all, fetch_one

_log = logging.getLogger("urlmon.partitions")

INTERVAL: Final = timedelta(hours=6)
_SHORTEST_KEEP: Final = timedelta(days=1)
_LARGEST_OFFSET: Final = timedelta(days=1)

_LIST: Final = """
SELECT quote_ident(c.relname) AS name, p.from_at AT TIME ZONE 'UTC' AS from_at,
    p.to_at AT TIME ZONE 'UTC' AS to_at, coalesce(pg_total_relation_size(c.oid), 0) AS size_bytes,
    coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples, 0)::bigint)
        AS row_estimate,
    c.oid IS NOT DISTINCT FROM default_partition()::oid AS is_default
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
LEFT JOIN check_result_partitions() AS p ON p.partition = c.oid
WHERE i.inhparent = 'check_results'::regclass
ORDER BY is_default, from_at
"""
_MISSING: Final = "SELECT month FROM missing_months() AS month"
_EXPIRED: Final = """
SELECT quote_ident(c.relname) AS name
FROM expired_partitions(%(keep)s) AS expired JOIN pg_class AS c ON c.oid = expired
"""
# Should this process vanish before its COMMIT, the server lets go of the locks by itself.
_TURN: Final = """
SELECT pg_try_advisory_xact_lock(hashtextextended('urlmon.partitions', 0)) AS mine,
    set_config('idle_in_transaction_session_timeout', '2s', true)
"""
_CREATE: Final = "SELECT create_monthly_partition(%(month)s)"
_DROP: Final = "SELECT drop_old_partitions(%(keep)s) AS name"
_NOW: Final = "SELECT clock_timestamp() AT TIME ZONE 'UTC' AS told_at"


@frozen(kw_only=True)
class Partition:
    """One partition of the table of check results.

    Attributes:
        name: Its name, quoted where SQL needs it.
        from_at: The first instant that it takes; None for the default partition.
        to_at: The first instant after those that it takes; None likewise.
        size_bytes: What it takes on disk, with its indexes.
        row_estimate: How many rows the server believes it has.
        is_default: Whether it takes what no other does.
    """

    name: str
    from_at: datetime | None
    to_at: datetime | None
    size_bytes: int
    row_estimate: int
    is_default: bool


class PartitionKeeper:
    """Makes, drops and lists partitions; any number of processes may have one.

    At any time one of them changes something: the others are told that it is busy.  No reader and
    no writer waits longer for it than some 50 ms.
    """

    __slots__ = ("_clock", "_database")

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep the parts; connect to nothing.

        Args:
            database: Where the table is.
            clock: What the server's clock is compared with, before it makes data old.
        """
        self._database = database
        self._clock = clock

    async def list(self) -> tuple[Partition, ...]:
        """Return all partitions by time, the default one last."""
        async with self._database.everyone("PartitionKeeper.list") as connection:
            return await _list(connection)

    async def ensure(self, *, dry_run: bool = False) -> tuple[date, ...]:
        """Make this month's partition, the next three and those of rows in the default partition.

        Each is made in a transaction of its own, and gets its rows out of the default partition.

        Returns:
            The months made, each by its first day; with `dry_run` those that would be.

        Raises:
            PartitionsBusyError: Another one is at it, or a lock was not to be had; call again.
        """
        operation = "PartitionKeeper.ensure"
        async with self._database.everyone(operation) as connection:
            missing = [row["month"] for row in await fetch_all(connection, _MISSING, {})]
        if dry_run:
            return tuple(missing)
        made: list[date] = []
        for month in missing:
            async with self._turn(operation) as connection:
                if await fetch_all(connection, _CREATE, {"month": month}):
                    made.append(month)
        return tuple(made)

    async def drop(self, keep: timedelta, *, dry_run: bool = False) -> tuple[Partition, ...]:
        """Drop the partitions all of whose range is older than `keep`.

        The newest, the present month's and the default partition stay; and so do all for a week
        after the server's clock has leapt forward, which is logged.

        Args:
            keep: At least 1 day.
            dry_run: Only say which.

        Returns:
            What was dropped or would be, the oldest first, as it was before.

        Raises:
            InvalidValueError: `keep` is less than 1 day.
            PartitionsBusyError: Another one is at it, or a lock was not to be had; call again.
            StoreError: The server's clock is more than a day off this machine's.
        """
        if keep < _SHORTEST_KEEP:
            raise InvalidValueError("keep", "must be at least 1 day")
        operation = "PartitionKeeper.drop"
        async with self._database.everyone(operation) as connection:
            await self._compare_clocks(connection, operation)
            if dry_run:
                return tuple(await _named(connection, _EXPIRED, keep))
        dropped: list[Partition] = []
        while True:  # the server takes a few at a time, so as to be short
            async with self._turn(operation) as connection:
                batch = await _named(connection, _DROP, keep)
            if not batch:
                return tuple(dropped)
            dropped += batch

    async def upkeep(self, keep: timedelta) -> bool:
        """Make what is missing, then drop what is older than `keep`.

        Returns:
            False if another one was at it or a lock was not to be had: the next time will do.
        """
        try:
            made = await self.ensure()
            dropped = await self.drop(keep)
        except PartitionsBusyError as exc:
            _log.warning("the upkeep of partitions waits for its next turn: %s", exc)
            return False
        if made:
            _log.info("made the partitions of %s", ", ".join(f"{each:%Y-%m}" for each in made))
        if dropped:
            _log.info("dropped old partitions: %s", ", ".join(each.name for each in dropped))
        return True

    def running(
        self,
        keep: timedelta,
        *,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> AbstractAsyncContextManager[None]:
        """Do the upkeep now and about every six hours, in the background, while a block runs.

        What fails is logged and tried again the next time.

        Args:
            keep: How long check results are kept.
            pause: Waits for so many seconds.
        """
        upkeep = partial(self.upkeep, keep)
        return repeating(upkeep, name="upkeep of partitions", every=INTERVAL, pause=pause)

    @asynccontextmanager
    async def _turn(self, operation: str) -> AsyncIterator[Connection]:
        """Open a transaction in which no other keeper changes anything.

        Raises:
            PartitionsBusyError: Another one is at it, or a lock was not to be had.
        """
        async with self._database.everyone(operation) as connection:
            row = await fetch_one(connection, _TURN, {})
            if row is None or not row["mine"]:
                detail = "another process changes the partitions: call again"
                raise PartitionsBusyError(STORE, operation, detail)
            try:
                yield connection
            except sql.LockNotAvailable as exc:
                detail = "check_results stayed locked, and nothing was changed: call again"
                raise PartitionsBusyError(STORE, operation, detail) from exc

    async def _compare_clocks(self, connection: Connection, operation: str) -> None:
        row = await fetch_one(connection, _NOW, {})
        now = self._clock.now()
        offset = (now if row is None else row["told_at"].replace(tzinfo=UTC)) - now
        if abs(offset) > _LARGEST_OFFSET:
            days = f"{offset / timedelta(days=1):+.0f} days"
            detail = f"the server's clock is {days} off this machine's: nothing was dropped"
            raise StoreError(STORE, operation, detail)


async def _list(connection: Connection) -> tuple[Partition, ...]:
    return tuple(
        Partition(
            name=row["name"],
            from_at=_utc(row["from_at"]),
            to_at=_utc(row["to_at"]),
            size_bytes=row["size_bytes"],
            row_estimate=row["row_estimate"],
            is_default=row["is_default"],
        )
        for row in await fetch_all(connection, _LIST, {})
    )


async def _named(connection: Connection, query: LiteralString, keep: timedelta) -> list[Partition]:
    """Return the partitions that a query names, as they were before it; log what it warns of."""
    known = {each.name: each for each in await _list(connection)}
    connection.add_notice_handler(_pass_on)
    try:
        rows = await fetch_all(connection, query, {"keep": keep})
    finally:
        connection.remove_notice_handler(_pass_on)
    return [known[row["name"]] for row in rows if row["name"] in known]


def _pass_on(notice: Diagnostic) -> None:
    _log.warning("%s: %s", notice.message_primary, notice.message_detail)


def _utc(at: datetime | None) -> datetime | None:
    return at and at.replace(tzinfo=UTC)
