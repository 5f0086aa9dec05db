"""Adds results up: from rollups where they hold, and from the results themselves elsewhere.

The longest spans come first; what no rollup can be believed of is left to the shorter ones, and at
last to the results.  So the answer is right however far the upkeep of rollups has got.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Final

from attrs import define, field

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon_adapters.influx._client import Influx, Rows, corrupt
from urlmon_adapters.influx._lines import microseconds
from urlmon_adapters.influx._marks import RolledUp, Touched, read_touched
from urlmon_adapters.influx._points import TIMES, Collector, sum_up
from urlmon_adapters.influx._queries import TAGS, Select, batches
from urlmon_adapters.influx._rows import Owner, check_owner
from urlmon_adapters.influx._spans import LEVELS, Level, Stretch, joined
from urlmon_adapters.influx._sums import TOTAL, Rolled, merged, read_us_of, unpack

_BY_TAGS: Final = f"GROUP BY {TAGS}"
_BY_OWNER: Final = 'GROUP BY "tenant_id", "monitor_id"'
_BY_LOCATION: Final = f'{_BY_OWNER}, "location"'

Pieces = defaultdict[str, list[Rolled]]
"""What has been found of a part of a period, by location."""
Texts = dict[tuple[MonitorId, int], dict[str, str]]
"""Rollups as they are stored, by monitor and span, and then by location."""

Left = tuple[tuple[Stretch, ...], ...]
"""What is left of each part of a period."""
Groups = Mapping[Left, Sequence[MonitorId]]
"""What is left, and of which monitors."""


@define(kw_only=True)
class Summing:
    """Adds up the results of some monitors, up to a hundred, in parts of a period.

    Attributes:
        influx: The bucket.
        operation: The port's method.
        tenant_id: The owner.
        monitor_ids: The monitors.
        parts: Stretches of time in their order, which do not overlap.
        by_location: Whether each location is added up, or all together as the `TOTAL`.
        rolled_up: Which spans have rollups.
    """

    influx: Influx
    operation: str
    tenant_id: TenantId
    monitor_ids: Sequence[MonitorId]
    parts: Sequence[Stretch]
    by_location: bool
    rolled_up: RolledUp
    _touched: Mapping[Owner, Touched] = field(init=False, factory=dict)
    _found: dict[MonitorId, list[Pieces]] = field(init=False, factory=dict)

    async def run(self) -> dict[MonitorId, list[dict[str, Rolled]]]:
        """Return of each monitor what each part adds up to, by location, in their order."""
        self._found = {each: [defaultdict(list) for _ in self.parts] for each in self.monitor_ids}
        self._touched = await read_touched(
            self.influx,
            self.operation,
            self.parts[0][0],
            tenant_id=self.tenant_id,
            monitor_ids=self.monitor_ids,
        )
        groups: Groups = {tuple((part,) for part in self.parts): self.monitor_ids}
        for level in LEVELS:
            groups = await self._take_rollups(level, groups)
        for left, some in groups.items():
            for stretch in joined(chain.from_iterable(left)):
                await self._take_results(stretch, some)
        answers: dict[MonitorId, list[dict[str, Rolled]]] = {}
        for monitor_id, found in self._found.items():
            answers[monitor_id] = [
                {location: merged(some) for location, some in sorted(pieces.items())}
                for pieces in found
            ]
            await asyncio.sleep(0)
        return answers

    async def _take_rollups(self, level: Level, groups: Groups) -> Groups:
        """Take the rollups of one length that hold; return what is left, and of which monitors.

        Monitors whose rollups do not all hold go on together, so that there are few groups; the
        others do not wait for them.
        """
        after: defaultdict[Left, list[MonitorId]] = defaultdict(list)
        for left, some in groups.items():
            places = {
                span: place
                for place, stretches in enumerate(left)
                for since, until in stretches
                for span in level.within(since, until)
            }
            spans = sorted(await self.rolled_up.among(level, places))
            texts = await self._read(level, spans, some)
            held = {each: self._held(level, each, spans, texts) for each in some}
            lacking = [set(good) for good in held.values() if len(good) < len(spans)]
            common = [span for span in spans if all(span in good for good in lacking)]
            rest, more = (_without(left, level, good) for good in (spans, common))
            for monitor_id, good in held.items():
                lacks = len(good) < len(spans)
                after[more if lacks else rest].append(monitor_id)
                for span in common if lacks else spans:
                    found = self._found[monitor_id][places[span]]
                    for location, text in texts.get((monitor_id, span), {}).items():
                        found[location].append(unpack(text))
                await asyncio.sleep(0)  # a monitor can have many; let others in
        return after

    def _held(
        self, level: Level, monitor_id: MonitorId, spans: Sequence[int], texts: Texts
    ) -> Sequence[int]:
        """Return the spans whose rollups hold for a monitor."""
        touched = self._touched.get((self.tenant_id, monitor_id))
        if touched is None:
            return spans
        late = touched.late_in(level)
        read_us = {
            span: min(map(read_us_of, texts.get((monitor_id, span), {}).values()), default=None)
            for span in spans
        }
        return [span for span in spans if touched.holds(level, late, span, read_us[span])]

    async def _read(self, level: Level, spans: Sequence[int], some: Sequence[MonitorId]) -> Texts:
        texts: Texts = {}

        def take(rows: Rows) -> None:
            monitor_id = check_owner(rows.tags, self.tenant_id, self._found)
            location = rows.tags["location"] if self.by_location else TOTAL
            for time, text in rows.values:
                texts.setdefault((monitor_id, level.span_at(time)), {})[location] = text

        for since, until in level.runs(spans):
            query = Select(
                columns='"sums"',
                source=level.source(by_location=self.by_location),
                since_us=level.stands_at(since),
                until_us=level.stands_at(until - level.length_us) + 1,
                tenant_id=self.tenant_id,
                monitor_ids=some,
                then=_BY_LOCATION if self.by_location else _BY_OWNER,
            )
            await self.influx.query(self.operation, *query.bound(), take=take)
        return texts

    async def _take_results(self, stretch: Stretch, some: Sequence[MonitorId]) -> None:
        """Take the results themselves, which may belong to several parts."""
        since, until = stretch
        collector = Collector((self.tenant_id, each) for each in some)
        query = Select(
            columns=TIMES,
            since_us=since,
            until_us=until,
            tenant_id=self.tenant_id,
            monitor_ids=some,
            then=_BY_TAGS,
        )
        await self.influx.query(self.operation, *query.bound(), take=collector)
        places = [
            place for place, part in enumerate(self.parts) if part[0] < until and since < part[1]
        ]
        edges = [since, *(self.parts[place][0] for place in places[1:]), until]
        for monitor_id in some:
            found = self._found[monitor_id]
            sums = sum_up(collector.of((self.tenant_id, monitor_id)), edges)
            for place, pieces in zip(places, sums, strict=True):
                for location, rolled in pieces.items():
                    if (location != TOTAL) == self.by_location:
                        found[place][location].append(rolled)
            await asyncio.sleep(0)


def _without(left: Left, level: Level, spans: Iterable[int]) -> Left:
    """Take spans, each within a stretch, out of what is left."""
    taken = joined((span, span + level.length_us) for span in spans)
    return tuple(
        tuple(piece for stretch in stretches for piece in _pieces(stretch, taken))
        for stretches in left
    )


def _pieces(stretch: Stretch, taken: Iterable[Stretch]) -> Iterator[Stretch]:
    """Yield what some stretches, in their order, leave of another."""
    since, until = stretch
    for start, end in taken:
        if since < end and start < until:
            if since < start:
                yield since, start
            since = end
    if since < until:
        yield since, until


async def add_up(
    influx: Influx,
    operation: str,
    tenant_id: TenantId,
    monitor_ids: Sequence[MonitorId],
    periods: Sequence[Period],
    *,
    by_location: bool = False,
) -> dict[MonitorId, list[dict[str, Rolled]]]:
    """Return of each monitor what each of some adjoining periods adds up to, by location.

    Args:
        influx: The bucket.
        operation: The port's method.
        tenant_id: The owner.
        monitor_ids: The monitors.
        periods: In their order, each beginning where the one before ends.
        by_location: Whether each location is added up, or all together as the `TOTAL`.
    """
    edges = [microseconds(each.since) for each in periods] + [microseconds(periods[-1].until)]
    rolled_up = RolledUp(influx, operation)
    found: dict[MonitorId, list[dict[str, Rolled]]] = {}
    for some in batches(monitor_ids):
        summing = Summing(
            influx=influx,
            operation=operation,
            tenant_id=tenant_id,
            monitor_ids=some,
            parts=list(pairwise(edges)),
            by_location=by_location,
            rolled_up=rolled_up,
        )
        with corrupt(operation):
            found |= await summing.run()
    return found
