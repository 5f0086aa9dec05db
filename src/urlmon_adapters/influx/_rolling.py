"""Rolls up: reads what there is of a span, and writes what it adds up to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from urlmon.domain.ids import MonitorId
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._marks import Touched, read_touched
from urlmon_adapters.influx._points import TIMES, Collector, sum_up
from urlmon_adapters.influx._queries import TAGS, Select, batches
from urlmon_adapters.influx._rows import Owner, owner_of
from urlmon_adapters.influx._spans import HOUR, HOUR_US, Level, Stretch
from urlmon_adapters.influx._sums import TOTAL, Rolled, line, merged, read_at, unpack

COUNT: Final = 'count("checked_at_us")'
_BY_TAGS: Final = f"GROUP BY {TAGS}"
_BY_OWNER: Final = 'GROUP BY "tenant_id", "monitor_id"'
_BY_LOCATION: Final = f'{_BY_OWNER}, "location"'
_LINES_AT_ONCE: Final = 2_500

Owners = Mapping[MonitorId, Collection[Owner]]
"""Monitors, and whose they are: usually one tenant's each."""
Texts = dict[int, dict[str, dict[int, str]]]
"""The rollups that spans consist of, as they are stored: by span, by location, by part."""


class Roller:
    """Rolls up what it is told to, for one operation."""

    __slots__ = ("_influx", "_operation")

    def __init__(self, influx: Influx, operation: str) -> None:
        self._influx = influx
        self._operation = operation

    async def owners_of(self, parts: Level | None, since: int, until: int) -> Owners:
        """Return who has results in a stretch of time; or rollups of a length."""
        found: defaultdict[MonitorId, set[Owner]] = defaultdict(set)

        def take(rows: Rows) -> None:
            owner = owner_of(rows.tags)
            found[owner[1]].add(owner)

        query = Select(columns=COUNT, since_us=since, until_us=until, then=_BY_OWNER)
        if parts is not None:
            query = _rollups(parts, since, until, columns='count("sums")')
        await self._influx.query(self._operation, *query.bound(), take=take)
        return found

    async def roll_hours(
        self,
        hours: Sequence[int],
        owners: Owners,
        read_us: int,
        named: Container[tuple[int, Owner]] = (),
    ) -> None:
        """Roll up the results of some monitors in some hours, which should be near each other.

        Where there are none nothing is written, unless hour and owner are `named`.
        """
        edges = tuple(range(hours[0], hours[-1] + 2 * HOUR_US, HOUR_US))
        for some in batches(tuple(owners)):
            everyone = [owner for monitor_id in some for owner in owners[monitor_id]]
            collector = Collector(everyone)
            query = Select(
                columns=TIMES,
                since_us=edges[0],
                until_us=edges[-1],
                monitor_ids=some,
                then=_BY_TAGS,
            )
            await self._influx.query(self._operation, *query.bound(), take=collector)
            lines: list[str] = []
            for owner in everyone:
                # In a thread, as a monitor can have thousands of results a day.
                found = await asyncio.to_thread(sum_up, collector.of(owner), edges)
                for hour in hours:
                    pieces = found[(hour - edges[0]) // HOUR_US]
                    if pieces or (hour, owner) in named:
                        lines += _lines_of(HOUR, hour, owner, pieces, read_us)
            await self.write(lines)

    async def roll_spans(
        self,
        level: Level,
        spans: Sequence[int],
        owners: Owners,
        read_us: int,
        *,
        redone_us: int | None = None,
    ) -> None:
        """Add up the rollups that some days, or weeks, near each other consist of.

        Where there are none nothing is written, unless their week as a whole was just rolled up
        again: then that there is nothing is written.

        Args:
            level: Their length.
            spans: When they begin, in their order.
            owners: Of which monitors.
            read_us: When this reading begins.
            redone_us: When reading for rolling up the week again began.
        """
        for some in batches(tuple(owners) if spans else ()):
            since, until = spans[0], spans[-1] + level.length_us
            touched = await read_touched(self._influx, self._operation, since, monitor_ids=some)
            if redone_us is not None:
                touched = {
                    owner: what.redone_at(since, redone_us) for owner, what in touched.items()
                }
            texts = await self._read_parts(level, (since, until), some)
            lines: list[str] = []
            for owner in (owner for monitor_id in some for owner in owners[monitor_id]):
                what, mine = touched.get(owner), texts.get(owner, {})
                for span in spans:
                    parts = mine.get(span, {})
                    if parts or redone_us is not None:
                        lines += _lines_of_parts(level, span, owner, what, parts, read_us)
                        await asyncio.sleep(0)  # a span can have many parts; let others in
            await self.write(lines)

    async def _read_parts(
        self, level: Level, stretch: Stretch, some: Sequence[MonitorId]
    ) -> Mapping[Owner, Texts]:
        assert level.parts is not None  # noqa: S101 - only of days and weeks
        parts = level.parts
        texts: defaultdict[Owner, Texts] = defaultdict(dict)

        def take(rows: Rows) -> None:
            mine, location = texts[owner_of(rows.tags)], rows.tags.get("location", TOTAL)
            for time, text in rows.values:
                part = parts.span_at(time)
                span = part - part % level.length_us
                mine.setdefault(span, {}).setdefault(location, {})[part] = text

        for by_location in (False, True):
            query = _rollups(parts, *stretch, columns='"sums"', some=some, by_location=by_location)
            await self._influx.query(self._operation, *query.bound(), take=take)
        return texts

    async def write(self, lines: Iterable[str]) -> None:
        left = iter(lines)
        while some := "".join(islice(left, _LINES_AT_ONCE)):
            await self._influx.write(self._operation, [some.encode()])


def _rollups(
    level: Level,
    since: int,
    until: int,
    *,
    columns: str,
    some: Sequence[MonitorId] = (),
    by_location: bool = False,
) -> Select:
    """Return the query of the rollups of a stretch of time."""
    return Select(
        columns=columns,
        source=level.source(by_location=by_location),
        since_us=level.stands_at(since),
        until_us=level.stands_at(until - level.length_us) + 1,
        monitor_ids=some,
        then=_BY_LOCATION if by_location else _BY_OWNER,
    )


def _lines_of(
    level: Level, span: int, owner: Owner, pieces: Mapping[str, Rolled], read_us: int
) -> list[str]:
    """Return the points of a span, at least that of the total."""
    there = pieces or {TOTAL: merged(())}
    return [line(level, span, owner, name, read_at(each, read_us)) for name, each in there.items()]


def _lines_of_parts(
    level: Level,
    span: int,
    owner: Owner,
    touched: Touched | None,
    texts: Mapping[str, Mapping[int, str]],
    read_us: int,
) -> list[str]:
    """Return the points of a span, added up from its parts."""
    unpacked = {
        location: {at: unpack(text) for at, text in parts.items()}
        for location, parts in texts.items()
    }
    pieces = {location: merged(parts.values()) for location, parts in unpacked.items()}
    whole = _hold(level, span, touched, unpacked.get(TOTAL, {}))
    return _lines_of(level, span, owner, pieces, read_us if whole else 0)


def _hold(level: Level, span: int, touched: Touched | None, parts: Mapping[int, Rolled]) -> bool:
    """Say whether what a span consists of is all there is."""
    if touched is None or level.parts is None:
        return True
    late = touched.late_in(level.parts)
    return all(
        touched.holds(level.parts, late, each, parts[each].read_us if each in parts else None)
        for each in level.parts.within(span, span + level.length_us)
    )
