"""Keeps rollups: what the results of each hour, day and week add up to.

They are recomputed from what is there and written over, never changed: any number of processes may
do it at once, and one that is stopped in the middle has lost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from itertools import chain, groupby
from typing import Final

from urlmon.domain.ids import MonitorId
from urlmon.ports import Clock
from urlmon_adapters.influx._client import Influx, corrupt
from urlmon_adapters.influx._lines import microseconds
from urlmon_adapters.influx._marks import read_rolled, read_touched, redone_line, rolled_line
from urlmon_adapters.influx._queries import Select
from urlmon_adapters.influx._rolling import COUNT, Roller
from urlmon_adapters.influx._rows import Owner
from urlmon_adapters.influx._spans import (
    CLOSED_AFTER_US,
    DAY,
    DAY_US,
    HOUR,
    HOUR_US,
    WEEK,
    Level,
)

_RUN: Final = "InfluxRollupKeeper.run"
_BY_HOUR: Final = "GROUP BY time(1h) fill(none)"
# So many hours to do, as after a time without upkeep, that empty ones are looked for first.
_MANY: Final = 24
# So many days, or weeks, at most are added up together.
_SPANS_AT_ONCE: Final = 7
_MICROSECOND: Final = timedelta(microseconds=1)


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
            CorruptDataError: A rollup is not what urlmon writes.
        """
        now = self._now()
        hours = list(HOUR.within(now - self._retention_us - HOUR_US, now - CLOSED_AFTER_US))
        with corrupt(_RUN):
            await self._roll_hours(hours)
            await self._redo(hours)
            there = set(hours)
            for level in (DAY, WEEK):
                there = await self._roll_longer(level, there)

    async def _roll_hours(self, hours: Sequence[int]) -> None:
        """Roll up the hours that have not been yet, those of a day together."""
        marked = await read_rolled(self._influx, _RUN, HOUR, hours)
        missing = [hour for hour in hours if hour not in marked]
        if len(missing) > _MANY:
            missing = await self._leave_empty(missing)
        for _, some in groupby(reversed(missing), lambda hour: hour // DAY_US):
            day = sorted(some)
            read_us = self._now()
            owners = await self._roller.owners_of(None, day[0], day[-1] + HOUR_US)
            await self._roller.roll_hours(day, owners, read_us)
            await self._roller.write(rolled_line(HOUR, hour, read_us) for hour in day)

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
        now = self._now()
        for level in (HOUR, WEEK):
            due: defaultdict[int, list[Owner]] = defaultdict(list)
            for owner, what in touched.items():
                for span in what.due(level, now):
                    due[span].append(owner)
            ordered = sorted((span for span in due if span <= hours[-1]), reverse=True)
            for _, some in groupby(ordered, lambda span: span // WEEK.length_us):
                await self._redo_week(level, {span: due[span] for span in sorted(some)}, hours)

    async def _redo_week(
        self, level: Level, due: Mapping[int, Sequence[Owner]], closed: Sequence[int]
    ) -> None:
        """Roll up again some hours of one week, or all of it, and then the days and the week."""
        read_us = self._now()
        owners: defaultdict[MonitorId, set[Owner]] = defaultdict(set)
        for owner in chain.from_iterable(due.values()):
            owners[owner[1]].add(owner)
        # A week as a whole has been touched in some hour that nobody knows.
        named = {(span, owner) for span in due for owner in due[span]} if level == HOUR else set()
        hours = [
            hour
            for span in due
            for hour in HOUR.within(span, span + level.length_us)
            if closed[0] <= hour <= closed[-1]
        ]
        for _, day in groupby(hours, lambda hour: hour // DAY_US):
            await self._roller.roll_hours(list(day), owners, read_us, named)
        for longer in (DAY, WEEK):
            now = self._now()
            spans = sorted({hour - hour % longer.length_us for hour in hours})
            if level == HOUR:
                for span in await read_rolled(self._influx, _RUN, longer, spans):
                    await self._roller.roll_spans(longer, [span], owners, now)
            else:  # all that is over, rolled up before or not
                there = longer.within(closed[0], closed[-1] + HOUR_US)
                spans = [span for span in spans if span in there]
                await self._roller.roll_spans(longer, spans, owners, now, redone_us=read_us)
        await self._roller.write(
            redone_line(level, owner, span, read_us) for span in due for owner in due[span]
        )

    async def _roll_longer(self, level: Level, parts: Collection[int]) -> set[int]:
        """Roll up the days, or weeks, all of whose parts are rolled up; return all that are."""
        assert level.parts is not None  # noqa: S101 - only of days and weeks
        length = level.length_us
        spans = level.within(min(parts), max(parts) + level.parts.length_us) if parts else ()
        marked = await read_rolled(self._influx, _RUN, level, spans)
        due = [
            span
            for span in reversed(spans)
            if span not in marked
            and all(map(parts.__contains__, level.parts.within(span, span + length)))
        ]
        for start in range(0, len(due), _SPANS_AT_ONCE):
            some = due[start : start + _SPANS_AT_ONCE][::-1]
            read_us = self._now()
            owners = await self._roller.owners_of(level.parts, some[0], some[-1] + length)
            await self._roller.roll_spans(level, some, owners, read_us)
            await self._roller.write(rolled_line(level, span, read_us) for span in some)
        return marked.union(due)

    def _now(self) -> int:
        return microseconds(self._clock.now())
