"""Check results in InfluxDB.

The outcome is a tag, so a check that was recorded as a success and as a failure has two points.
Reading drops the success: both have the same instant, which is never read in part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from attrs import frozen

from urlmon.domain.check_results import (
    CheckResult,
    Key,
    check_batch,
    check_location,
    history_key,
    history_page,
    history_position,
    newest,
)
from urlmon.domain.fates import Fate, judge_batch, settle, strongest
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import Page, check_page_size
from urlmon.domain.periods import Period
from urlmon.errors import UnavailableError
from urlmon.ports import CheckResultStore, Clock
from urlmon.services.gently import gently
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._http import GOOD
from urlmon_adapters.influx._lines import microseconds
from urlmon_adapters.influx._marks import forgotten_line, late_lines, late_marks
from urlmon_adapters.influx._queries import END_US, FIELDS, TAGS, Select, batches, check_scope
from urlmon_adapters.influx._rows import decode
from urlmon_adapters.influx._spans import LONGEST_WRITE
from urlmon_adapters.influx._writing import write_results

_RECORD: Final = "CheckResultStore.record"
_LATEST: Final = "CheckResultStore.latest"
_HISTORY: Final = "CheckResultStore.history"
_FORGET: Final = "CheckResultStore.forget_monitor"
# A server that does not keep an hour as long as we do drops its mark, as it does its results.
_MEANT_FOR_MARKS: Final = {*GOOD, HTTPStatus.UNPROCESSABLE_ENTITY}
_NEWEST_OF_EACH: Final = f"GROUP BY {TAGS} ORDER BY time DESC LIMIT 1"
# Grouped by the one tenant that there is, so that its id is not said again with each row.
_NEWEST: Final = 'GROUP BY "tenant_id" ORDER BY time DESC'
_ROW: Final = f'{FIELDS}, "monitor_id", "location", "success"'
# How far `latest` looks back at first, and then for the monitors that it has not found: the server
# opens every series in every shard of the time that is asked for.
_LOOK_BACK: Final = (timedelta(hours=1), timedelta(days=1), timedelta(days=8))
# Rows read beyond a page, so that its last instant is nearly always read in full at once.
_SPARE: Final = 64


class InfluxCheckResultStore(CheckResultStore):
    """Check results in a bucket of InfluxDB."""

    __slots__ = ("_clock", "_influx", "_retention")

    def __init__(self, influx: Influx, clock: Clock, *, retention: timedelta) -> None:
        """Keep what it needs.

        Args:
            influx: The bucket, with at least this retention (`ensure_bucket`).
            clock: Decides what is too old, or not yet.
            retention: How long results are kept.
        """
        self._influx = influx
        self._clock = clock
        self._retention = retention

    async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        batch = check_batch(results)
        now = self._clock.now()
        judged = dict[Key, CheckResult]()
        fates = await gently(judge_batch(batch, judged, now=now, retention=self._retention))
        kept = list(judged.values())
        # First, so that no rollup is believed that lacks what is written then.
        await self._mark_late(kept, now)
        found = await self._write(kept, now) if kept else {}
        if not found and len(kept) == len(batch):
            return tuple(fates)  # each is stored, and stands for itself alone
        return tuple(await gently(settle(batch, fates, found)))

    async def _mark_late(self, kept: Sequence[CheckResult], now: datetime) -> None:
        marks = set(await gently(late_marks(kept, now)))
        if marks:
            await self._influx.write(_RECORD, late_lines(marks, now), accepts=_MEANT_FOR_MARKS)

    async def _write(self, kept: Sequence[CheckResult], began: datetime) -> Mapping[Key, Fate]:
        """Write results, and mark them as late if by now they may have come after a rollup."""
        try:
            return await write_results(self._influx, _RECORD, kept)
        finally:  # also if it failed: perhaps a part is stored, or all
            now = self._clock.now()
            if now - began > LONGEST_WRITE:
                try:
                    await self._mark_late(kept, now)
                except UnavailableError as exc:  # whoever repeats the call marks them again
                    exc.maybe_applied = True
                    raise

    async def latest(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, CheckResult]:
        asked = missing = check_scope(tenant_id, monitor_ids)
        now, until = self._clock.now(), END_US
        found: dict[MonitorId, CheckResult] = {}
        for back in (*(age for age in _LOOK_BACK if age < self._retention), self._retention):
            since = microseconds(now - back)
            for some in batches(missing):
                results = await self._newest_of_each(tenant_id, some, since, until)
                found |= {owner: newest(each) for owner, each in results.items()}
            missing, until = tuple(each for each in missing if each not in found), since
        return {each: found[each] for each in asked if each in found}

    async def history(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        period: Period,
        success: bool | None = None,
        location: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[CheckResult]:
        asked = check_scope(tenant_id, monitor_ids)
        check_page_size(limit)
        check_location(location)
        end, after = microseconds(period.until), None
        if cursor is not None:
            position = history_position(cursor, asked)
            after = history_key(*position)
            end = min(end, microseconds(position[0]) + 1)
        conditions = (
            *(['"location" = $location'] if location is not None else []),
            # A success can be overruled by a failure, which then has to be seen too.
            *(["\"success\" = 'false'"] if success is False else []),
        )
        found: list[CheckResult] = []
        for some in batches(asked):
            query = _History(
                influx=self._influx,
                tenant_id=tenant_id,
                monitor_ids=some,
                since=microseconds(period.since),
                conditions=conditions,
                location=location or "",
            )
            found += await query.newest(
                limit + 1,
                end,
                lambda each: (
                    success in {None, each.success} and (after is None or _order(each) > after)
                ),
            )
        return history_page(sorted(found, key=_order)[: limit + 1], asked, limit)

    async def forget_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        (monitor_id,) = check_scope(tenant_id, [monitor_id])
        owner = tenant_id, monitor_id
        # Values cannot be bound here; these are ids, of hexadecimal digits and hyphens.
        await self._influx.delete(
            _FORGET, f'''tenant_id="{tenant_id}" AND monitor_id="{monitor_id}"'''
        )
        # A rollup that was being made meanwhile is not believed.
        line = forgotten_line(owner, microseconds(self._clock.now()))
        await self._influx.write(_FORGET, [line])

    async def _newest_of_each(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], since: int, until: int
    ) -> Mapping[MonitorId, list[CheckResult]]:
        """Return of each monitor the newest point from each location, of each outcome."""
        found: defaultdict[MonitorId, list[CheckResult]] = defaultdict(list)

        def take(rows: Rows) -> None:
            for each in decode(rows, tenant_id, monitor_ids):
                found[each.monitor_id].append(each)

        query = Select(
            columns=FIELDS,
            since_us=since,
            until_us=until,
            tenant_id=tenant_id,
            monitor_ids=monitor_ids,
            then=_NEWEST_OF_EACH,
        )
        await self._influx.query(_LATEST, *query.bound(), take=take)
        return found


@frozen(kw_only=True)
class _History:
    """Reads the points of some monitors from the newest on, an instant never in part."""

    influx: Influx
    tenant_id: TenantId
    monitor_ids: Sequence[MonitorId]
    since: int
    conditions: Sequence[str]
    location: str

    async def newest(
        self, count: int, end: int, wanted: Callable[[CheckResult], bool]
    ) -> list[CheckResult]:
        """Return at least `count` of the results before an instant that are wanted, or all."""
        found: list[CheckResult] = []
        until: int | None = end
        while until is not None and len(found) < count:
            rows, until = await self._before(until, count + _SPARE)
            found += filter(wanted, strongest(rows))
        return found

    async def _before(self, until: int, count: int) -> tuple[list[CheckResult], int | None]:
        """Return about `count` points before an instant, and before which instant to go on."""
        rows = await self._read(self.since, until, f"{_NEWEST} LIMIT {count}")
        if len(rows) < count:
            return rows, None
        last = rows[-1].scheduled_at
        whole = [row for row in rows if row.scheduled_at > last]
        if whole:
            return whole, microseconds(last) + 1
        # More than that were due at one instant.
        at = microseconds(last)
        return await self._read(at, at + 1, _NEWEST), at

    async def _read(self, since: int, until: int, then: str) -> list[CheckResult]:
        monitors = self.monitor_ids
        query = Select(
            columns=_ROW,
            since_us=since,
            until_us=until,
            tenant_id=self.tenant_id,
            monitor_ids=monitors,
            conditions=self.conditions,
            values={"location": self.location},
            then=then,
        )
        found: list[CheckResult] = []
        await self.influx.query(
            _HISTORY,
            *query.bound(),
            take=lambda rows: found.extend(decode(rows, self.tenant_id, monitors)),
        )
        return found


def _order(result: CheckResult) -> tuple[timedelta, MonitorId, str]:
    return history_key(result.scheduled_at, result.monitor_id, result.location)
