"""Keeps the sums of check results over more than an hour, and takes away what is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import evolve

from urlmon.domain.periods import Period
from urlmon.services.repeating import repeating
from urlmon_adapters.postgres._database import Connection, Database
from urlmon_adapters.postgres._rollups import ENTER
from urlmon_adapters.postgres._rows import fetch_one
from urlmon_adapters.postgres._spans import EARLIEST, HOUR, Spans, read_spans

INTERVAL: Final = timedelta(minutes=15)
# How long after its end a span is taken for over: results come a little late, and clocks differ.
_GRACE: Final = timedelta(minutes=10)
# What a span is made of, by their hours: four weeks of weeks, a week of days.
_PARTS: Final = {6: 1, 24: 1, 168: 24, 672: 168}
_STEP_ROWS: Final = 500

_TURN: Final = """
SELECT pg_try_advisory_xact_lock(hashtextextended('urlmon.rollups.upkeep', 0)) AS mine,
    clock_timestamp() AT TIME ZONE 'UTC' AS told_at
"""
_MARK: Final = "SELECT mark_rollups_stale(%(at)s, %(at)s + interval '1 hour')"
_SAVE: Final = """
UPDATE check_rollup_spans
SET made_from = %(made_from)s, made_until = %(made_until)s, opened_until = %(opened_until)s,
    closed_until = %(closed_until)s
WHERE hours = %(hours)s
"""
_NEWEST_BEFORE: Final = """
SELECT max(scheduled_at) AT TIME ZONE 'UTC' AS at FROM check_results WHERE scheduled_at < %(at)s
"""
_REBUILD: Final = "SELECT rebuild_hours(%(at)s, %(at)s + interval '1 hour')"
# Whoever has begun to store results may not know that a span is over: wait until they are through.
_EXCLUDE: Final = """
SELECT set_config('lock_timeout', '1s', true),
    pg_advisory_xact_lock(hashtextextended('urlmon.rollups', 0))
"""
_OPEN: Final = """
INSERT INTO check_rollups (tenant_id, hours, monitor_id, start_at, location, stale)
SELECT DISTINCT tenant_id, %(hours)s::smallint, monitor_id, %(at)s::timestamptz, place, true
FROM check_rollups CROSS JOIN LATERAL unnest(
    CASE WHEN %(by_location)s THEN ARRAY[location, ''] ELSE ARRAY[''] END
) AS place
WHERE hours = %(part)s AND start_at >= %(at)s AND start_at < %(until)s
ORDER BY tenant_id, monitor_id, place
ON CONFLICT (tenant_id, hours, monitor_id, start_at, location) DO NOTHING
"""
_REMAKE: Final = "SELECT remake_rollups(%(hours)s::smallint, %(part)s::smallint, %(rows)s) AS made"
# What no partition has results of any more.
_EXPIRE: Final = """
DELETE FROM check_rollups WHERE ctid = ANY(ARRAY(
    SELECT r.ctid
    FROM check_rollups AS r
    CROSS JOIN (SELECT min(from_at) FROM check_result_partitions()) AS first (at)
    WHERE r.start_at < first.at
        AND r.start_at + make_interval(hours => r.hours) <= least(first.at, now() - %(keep)s)
    LIMIT %(rows)s
))
"""


class RollupKeeper:
    """Makes longer spans of hours when they are over; any number of processes may have one."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def upkeep(self, keep: timedelta) -> None:
        """Make whatever is missing or stale, and take away what is older than `keep`.

        It goes on step by step, each a short transaction, until nothing is left to do or another
        process is at it.

        Raises:
            UnavailableError: The server did not answer; call again later.
        """
        while await self._step(keep):
            pass

    async def rebuild(self, period: Period) -> None:
        """Make the hours that a period touches anew, from the results themselves.

        Nothing calls for it but damage: a row that was changed by hand, or results that were stored
        by a version that knew of no sums.  Repeatable.
        """
        operation = "RollupKeeper.rebuild"
        start = period.since.replace(minute=0, second=0, microsecond=0)
        while start < period.until:
            async with self._database.everyone(operation) as connection:
                await connection.execute(ENTER)
                await connection.execute(_REBUILD, {"at": start})
                await connection.execute(_MARK, {"at": start})
            start += HOUR

    def running(
        self,
        keep: timedelta,
        *,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> AbstractAsyncContextManager[None]:
        """Do the upkeep now and about every 15 minutes, in the background, while a block runs.

        Args:
            keep: How long check results are kept.
            pause: Waits for so many seconds.
        """
        return repeating(
            lambda: self.upkeep(keep), name="upkeep of rollups", every=INTERVAL, pause=pause
        )

    async def _step(self, keep: timedelta) -> bool:
        """Do a part of what there is to do; say whether there may be more."""
        async with self._database.everyone("RollupKeeper.upkeep") as connection:
            turn = await fetch_one(connection, _TURN, {})
            if turn is None or not turn["mine"]:
                return False
            all_spans = {spans.hours: spans for spans in await read_spans(connection)}
            if await _make_hour(connection, all_spans[1]):
                return True
            now = turn["told_at"].replace(tzinfo=UTC)
            for hours, part in _PARTS.items():
                spans = all_spans[hours]
                if (
                    await _close(connection, spans, now)
                    or await _remake(connection, hours, part)
                    or await _declare(connection, spans)
                    or await _open(connection, spans, all_spans[part])
                ):
                    return True
            values = {"keep": keep, "rows": _STEP_ROWS}
            return (await connection.execute(_EXPIRE, values)).rowcount == _STEP_ROWS


async def _make_hour(connection: Connection, hours: Spans) -> bool:
    """Make the newest hour of results that were stored without; say whether there was one."""
    if hours.made_from <= EARLIEST:
        return False
    at = await _newest_before(connection, hours.made_from)
    start = EARLIEST if at is None else hours.floor(at)
    if at is not None:
        await connection.execute(_REBUILD, {"at": start})
    await _save(connection, evolve(hours, made_from=start))
    return True


async def _close(connection: Connection, spans: Spans, now: datetime) -> bool:
    """Let late results mark what is over by now; say whether something was."""
    until = spans.floor(now - _GRACE)
    if until <= spans.closed_until:
        return False
    await connection.execute(_EXCLUDE)
    await _save(connection, evolve(spans, closed_until=until))
    return True


async def _open(connection: Connection, spans: Spans, parts: Spans) -> bool:
    """Have rows for the next span that is over, to be made; say whether there was one.

    After those that are over come those before the first, of results that older versions stored.
    """
    start = spans.made_until
    if start >= spans.closed_until:
        if spans.made_from <= EARLIEST:
            return False
        at = await _newest_before(connection, spans.made_from)
        start = EARLIEST if at is None else spans.floor(at)
    until = start + spans.length
    if start > EARLIEST:
        if not parts.made_from <= start < until <= parts.made_until:
            return False
        values = {
            "hours": spans.hours,
            "by_location": spans.by_location,
            "part": parts.hours,
            "at": start,
            "until": until,
        }
        await connection.execute(_OPEN, values)
    made_from, opened_until = min(spans.made_from, start), max(spans.opened_until, until)
    await _save(connection, evolve(spans, made_from=made_from, opened_until=opened_until))
    return True


async def _declare(connection: Connection, spans: Spans) -> bool:
    """Let readers have the span that was made; say whether there was one.

    Not before: they would take the hours of each monitor that it is not made for yet.
    """
    if spans.made_until == spans.opened_until:
        return False
    await _save(connection, evolve(spans, made_until=spans.opened_until))
    return True


async def _remake(connection: Connection, hours: int, part: int) -> bool:
    """Make some of what is stale; say whether there was any."""
    values = {"hours": hours, "part": part, "rows": _STEP_ROWS}
    row = await fetch_one(connection, _REMAKE, values)
    return row is not None and row["made"] > 0


async def _newest_before(connection: Connection, at: datetime) -> datetime | None:
    row = await fetch_one(connection, _NEWEST_BEFORE, {"at": at})
    return None if row is None or row["at"] is None else row["at"].replace(tzinfo=UTC)


async def _save(connection: Connection, spans: Spans) -> None:
    values = {
        "hours": spans.hours,
        "made_from": spans.made_from,
        "made_until": spans.made_until,
        "opened_until": spans.opened_until,
        "closed_until": spans.closed_until,
    }
    await connection.execute(_SAVE, values)
