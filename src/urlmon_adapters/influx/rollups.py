"""Keeps rollups: what the results of each hour, day and week add up to.

They are recomputed from what is there and written over, never changed: any number of processes may
do it at once, and one that is stopped in the middle has lost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from urlmon.domain.ids import MonitorId
from urlmon.ports import Clock
from urlmon_adapters.influx._client import Influx
from urlmon_adapters.influx._lines import microseconds
from urlmon_adapters.influx._marks import read_rolled, read_touched, redone_line, rolled_line
from urlmon_adapters.influx._queries import Select
from urlmon_adapters.influx._rolling import COUNT, Owners, Roller
from urlmon_adapters.influx._rows import Owner
from urlmon_adapters.influx._spans import (
    CLOSED_AFTER_US,
    DAY,
    DAY_US,
    GRACE_US,
    HOUR,
    HOUR_US,
    WEEK,
    Level,
)

_RUN: Final = "InfluxRollupKeeper.run"
_BY_HOUR: Final = "GROUP BY time(1h) fill(none)"
# So many to do, as after a time without upkeep, that empty ones are looked for first.
_MANY: Final = 24
_MICROSECOND: Final = timedelta(microseconds=1)

Hours = dict[int, Owners]
"""Hours, and whose results of each are meant."""


class InfluxRollupKeeper:
    """Rolls results up, once their hour is over and again where late ones arrive."""

    __slots__ = ("_clock", "_influx", "_retention_us", "_roller")

    def __init__(self, influx: Influx, clock: Clock, *, retention: timedelta) -> None:
        """Keep what it needs.

        Args:
            influx: The bucket.
            clock: Says what is over; three minutes off the recorders' clocks at most.
            retention: How long results are kept.
        """
        self._influx = influx
        self._clock = clock
        self._retention_us = retention // _MICROSECOND
        self._roller = Roller(influx, _RUN)

    async def run(self) -> None:
        """Do what is due: hours that are over, newest first, then late results, days and weeks.

        Repeatable, and safe to be cancelled.

        Raises:
            UnavailableError: The server did not answer; call again later.
        """
        now = self._now()
        hours = list(HOUR.within(now - self._retention_us - HOUR_US, now - CLOSED_AFTER_US))
        await self._roll_hours(hours)
        await self._redo(hours)
        for level in (DAY, WEEK):
            spans = list(level.within(hours[0], hours[-1] + HOUR_US))
            await self._roll_longer(level, spans)

    async def _roll_hours(self, hours: Sequence[int]) -> None:
        """Roll up the hours that have not been yet, a day at a time."""
        marked = await read_rolled(self._influx, _RUN, HOUR, hours)
        missing = [hour for hour in hours if hour not in marked]
        if len(missing) > _MANY:
            missing = await self._leave_empty(missing)
        by_day: defaultdict[int, list[int]] = defaultdict(list)
        for hour in missing:
            by_day[hour // DAY_US].append(hour)
        for day in sorted(by_day, reverse=True):
            read_us = self._now()
            owners = await self._roller.owners_by_hour(by_day[day][0], by_day[day][-1] + HOUR_US)
            for hour in by_day[day]:
                await self._roller.roll_hour(hour, owners.get(hour, {}), read_us)
            await self._roller.write(rolled_line(HOUR, hour, read_us) for hour in by_day[day])

    async def _leave_empty(self, hours: Sequence[int]) -> list[int]:
        """Mark the hours without any results, and return the others."""
        read_us, full = self._now(), set[int]()
        query = Select(
            columns=COUNT, since_us=hours[0], until_us=hours[-1] + HOUR_US, then=_BY_HOUR
        )
        await self._influx.query(
            _RUN, *query.bound(), take=lambda rows: full.update(row[0] for row in rows.values)
        )
        empty = (hour for hour in hours if hour not in full)
        await self._roller.write(rolled_line(HOUR, hour, read_us) for hour in empty)
        return [hour for hour in hours if hour in full]

    async def _redo(self, hours: Sequence[int]) -> None:
        """Roll up again what late results have touched, once they must have arrived."""
        touched = await read_touched(self._influx, _RUN, hours[0])
        due: defaultdict[int, defaultdict[MonitorId, list[Owner]]]
        due = defaultdict(lambda: defaultdict(list))
        now = self._now()
        for owner, what in touched.items():
            for hour, late_us in what.late.items():
                done = what.redone.get(hour, 0) > late_us + GRACE_US
                if not done and late_us + GRACE_US < now and hour <= hours[-1]:
                    due[hour][owner[1]].append(owner)
        for week in sorted({hour - hour % WEEK.length_us for hour in due}, reverse=True):
            await self._redo_hours(
                {hour: due[hour] for hour in sorted(due) if hour - hour % WEEK.length_us == week}
            )

    async def _redo_hours(self, due: Hours) -> None:
        """Roll up again some hours of one week, and then the days and the week."""
        read_us = self._now()
        for hour, owners in due.items():
            await self._roller.roll_hour(hour, owners, read_us)
        for level in (DAY, WEEK):
            spans: defaultdict[int, defaultdict[MonitorId, set[Owner]]]
            spans = defaultdict(lambda: defaultdict(set))
            for hour, owners in due.items():
                for monitor_id, some in owners.items():
                    spans[hour - hour % level.length_us][monitor_id].update(some)
            now = self._now()
            for span in await read_rolled(self._influx, _RUN, level, sorted(spans)):
                await self._roller.roll_span(level, span, spans[span], now)
        await self._roller.write(
            redone_line(owner, hour, read_us)
            for hour, owners in due.items()
            for some in owners.values()
            for owner in some
        )

    async def _roll_longer(self, level: Level, spans: Sequence[int]) -> None:
        """Roll up the days, or weeks, all of whose parts are rolled up."""
        if level.parts is None or not spans:
            return
        marked = await read_rolled(self._influx, _RUN, level, spans)
        length = level.length_us
        parts = list(level.parts.within(spans[0], spans[-1] + length))
        there = await read_rolled(self._influx, _RUN, level.parts, parts)
        due = [
            span
            for span in reversed(spans)
            if span not in marked and there.issuperset(level.parts.within(span, span + length))
        ]
        read_us = self._now()
        full = await self._full(level.parts, due, length)
        empty = (span for span in due if span not in full)
        await self._roller.write(rolled_line(level, span, read_us) for span in empty)
        for span in (each for each in due if each in full):
            read_us = self._now()
            owners = await self._roller.owners_of(level.parts, span, length)
            await self._roller.roll_span(level, span, owners, read_us)
            await self._roller.write([rolled_line(level, span, read_us)])

    async def _full(self, parts: Level, spans: Sequence[int], length: int) -> Collection[int]:
        """Return which spans, the newest first, may have rollups; asks only if they are many."""
        if parts.block or len(spans) <= _MANY:
            return spans
        full = set[int]()
        query = Select(
            columns='count("sums")',
            source=parts.source(by_location=False),
            since_us=spans[-1],
            until_us=spans[0] + length,
            then=_BY_HOUR,
        )
        await self._influx.query(
            _RUN,
            *query.bound(),
            take=lambda rows: full.update(row[0] - row[0] % length for row in rows.values),
        )
        return full

    def _now(self) -> int:
        return microseconds(self._clock.now())
