"""Rolls up: reads what there is of a span, and writes what it adds up to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from urlmon.domain.ids import MonitorId
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._marks import Touched, read_touched
from urlmon_adapters.influx._points import TIMES, Collector, sum_up
from urlmon_adapters.influx._queries import TAGS, Select, batches
from urlmon_adapters.influx._rows import Owner, owner_of
from urlmon_adapters.influx._spans import HOUR, HOUR_US, Level
from urlmon_adapters.influx._sums import TOTAL, Rolled, line, merged, read_at, unpack

COUNT: Final = 'count("checked_at_us")'
_BY_HOUR_AND_OWNER: Final = 'GROUP BY time(1h), "tenant_id", "monitor_id" fill(none)'
_BY_TAGS: Final = f"GROUP BY {TAGS}"
_BY_OWNER: Final = 'GROUP BY "tenant_id", "monitor_id"'
_BY_LOCATION: Final = f'{_BY_OWNER}, "location"'
_LINES_AT_ONCE: Final = 1_000

Owners = Mapping[MonitorId, Collection[Owner]]
"""Monitors, and whose they are: usually one tenant's each."""


class Roller:
    """Rolls up what it is told to, for one operation."""

    __slots__ = ("_influx", "_operation")

    def __init__(self, influx: Influx, operation: str) -> None:
        self._influx = influx
        self._operation = operation

    async def owners_by_hour(self, since: int, until: int) -> Mapping[int, Owners]:
        """Return who has results in each hour."""
        found: defaultdict[int, defaultdict[MonitorId, set[Owner]]]
        found = defaultdict(lambda: defaultdict(set))

        def take(rows: Rows) -> None:
            owner = owner_of(rows.tags)
            for hour, _ in rows.values:
                found[hour][owner[1]].add(owner)

        query = Select(columns=COUNT, since_us=since, until_us=until, then=_BY_HOUR_AND_OWNER)
        await self._influx.query(self._operation, *query.bound(), take=take)
        return found

    async def roll_hour(self, hour: int, owners: Owners, read_us: int) -> None:
        """Roll up the results of some monitors; none of one that is named is written as none."""
        for some in batches(tuple(owners)):
            everyone = [owner for monitor_id in some for owner in owners[monitor_id]]
            collector = Collector(everyone)
            query = Select(
                columns=TIMES,
                since_us=hour,
                until_us=hour + HOUR_US,
                monitor_ids=some,
                then=_BY_TAGS,
            )
            await self._influx.query(self._operation, *query.bound(), take=collector)
            lines: list[str] = []
            for owner in everyone:
                (pieces,) = sum_up(collector.of(owner), (hour, hour + HOUR_US))
                lines += _lines_of(HOUR, hour, owner, pieces, read_us)
                await asyncio.sleep(0)  # a monitor can have many results; let others in
            await self.write(lines)

    async def owners_of(self, parts: Level, span: int, length: int) -> Owners:
        """Return who has rollups in a span."""
        found: defaultdict[MonitorId, set[Owner]] = defaultdict(set)

        def take(rows: Rows) -> None:
            owner = owner_of(rows.tags)
            found[owner[1]].add(owner)

        query = self._parts(parts, span, length, columns='count("sums")')
        await self._influx.query(self._operation, *query.bound(), take=take)
        return found

    async def roll_span(self, level: Level, span: int, owners: Owners, read_us: int) -> None:
        """Add up the rollups that a day, or a week, of some monitors consists of."""
        assert level.parts is not None  # noqa: S101 - only of days and weeks
        for some in batches(tuple(owners)):
            everyone = {owner for monitor_id in some for owner in owners[monitor_id]}
            touched = await read_touched(self._influx, self._operation, span, monitor_ids=some)
            texts: dict[Owner, dict[str, dict[int, str]]] = {owner: {} for owner in everyone}
            for by_location in (False, True):
                await self._read_parts(level, span, some, texts, by_location=by_location)
            lines: list[str] = []
            for owner in everyone:
                unpacked = {
                    location: {at: unpack(text) for at, text in by_span.items()}
                    for location, by_span in texts[owner].items()
                }
                pieces = {name: merged(parts.values()) for name, parts in unpacked.items()}
                whole = _hold(level, span, touched.get(owner), unpacked.get(TOTAL, {}))
                lines += _lines_of(level, span, owner, pieces, read_us if whole else 0)
                await asyncio.sleep(0)
            await self.write(lines)

    async def _read_parts(
        self,
        level: Level,
        span: int,
        some: Sequence[MonitorId],
        texts: Mapping[Owner, dict[str, dict[int, str]]],
        *,
        by_location: bool,
    ) -> None:
        parts = level.parts or level

        def take(rows: Rows) -> None:
            mine = texts.get(owner_of(rows.tags))
            if mine is not None:
                place = mine.setdefault(rows.tags["location"] if by_location else TOTAL, {})
                place |= {parts.span_at(time): text for time, text in rows.values}

        query = self._parts(
            parts, span, level.length_us, columns='"sums"', some=some, by_location=by_location
        )
        await self._influx.query(self._operation, *query.bound(), take=take)

    @staticmethod
    def _parts(
        parts: Level,
        span: int,
        length: int,
        *,
        columns: str,
        some: Sequence[MonitorId] = (),
        by_location: bool = False,
    ) -> Select:
        """Return the query of the rollups that a span consists of."""
        return Select(
            columns=columns,
            source=parts.source(by_location=by_location),
            since_us=parts.stands_at(span),
            until_us=parts.stands_at(span + length - parts.length_us) + 1,
            monitor_ids=some,
            then=_BY_LOCATION if by_location else _BY_OWNER,
        )

    async def write(self, lines: Iterable[str]) -> None:
        left = iter(lines)
        while some := "".join(islice(left, 1_000)):
            await self._influx.write(self._operation, [some.encode()])


def _lines_of(
    level: Level, span: int, owner: Owner, pieces: Mapping[str, Rolled], read_us: int
) -> list[str]:
    """Return the points of a span, at least that of the total."""
    there = pieces or {TOTAL: merged(())}
    return [line(level, span, owner, name, read_at(each, read_us)) for name, each in there.items()]


def _hold(level: Level, span: int, touched: Touched | None, parts: Mapping[int, Rolled]) -> bool:
    """Say whether what a span consists of is all there is."""
    if touched is None or level.parts is None:
        return True
    late = touched.late_in(level.parts)
    return all(
        touched.holds(late, each, parts[each].read_us if each in parts else None)
        for each in level.parts.within(span, span + level.length_us)
    )
