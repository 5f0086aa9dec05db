"""The check results of all tenants in InfluxDB."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

from urlmon.domain.check_results import CheckResult, archive_key, archive_page, archive_position
from urlmon.domain.fates import strongest
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import Page, check_page_size
from urlmon.domain.periods import Period
from urlmon.ports import CheckResultArchive
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._lines import microseconds
from urlmon_adapters.influx._queries import FIELDS, TAGS
from urlmon_adapters.influx._rows import decode

_SCAN: Final = "CheckResultArchive.scan"
_POINTS: Final = (
    f'SELECT {FIELDS}, {TAGS} FROM "check_results"'  # noqa: S608 - constants only
    " WHERE time >= $since AND time < $until ORDER BY time ASC"
)
# The server opens every series of the time that is asked for: first a little, and then more where
# there was not much.
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)
# Points read beyond a page, so that its last instant is nearly always read in full at once.
_SPARE: Final = 64


class InfluxCheckResultArchive(CheckResultArchive):
    """Reads the points of a bucket from the oldest on, an instant never in part."""

    __slots__ = ("_influx",)

    def __init__(self, influx: Influx) -> None:
        self._influx = influx

    async def scan(
        self, *, period: Period, cursor: str | None = None, limit: int = 1_000
    ) -> Page[CheckResult]:
        check_page_size(limit)
        last = None if cursor is None else archive_position(cursor)
        since = period.since if last is None else max(period.since, last[0])
        step, found = _SHORTEST, list[CheckResult]()
        while since < period.until and len(found) <= limit:
            until = min(since + step, period.until)
            rows, since = await self._stretch(since, until, limit + _SPARE)
            step = min(2 * step, _LONGEST) if since == until else max(step / 2, _SHORTEST)
            found += (row for row in rows if last is None or archive_key(row) > last)
        return archive_page(found[: limit + 1], limit)

    async def _stretch(
        self, since: datetime, until: datetime, count: int
    ) -> tuple[list[CheckResult], datetime]:
        """Return about `count` results from an instant on, and from which instant to go on."""
        rows = await self._read(since, until, f" LIMIT {count}")
        if len(rows) == count:
            end = max(row.scheduled_at for row in rows)
            rows = [row for row in rows if row.scheduled_at < end]
            until = end
            if not rows:
                # More than that were due at one instant.
                until = end + _MICROSECOND
                rows = await self._read(end, until, "")
        return sorted(strongest(rows), key=archive_key), until

    async def _read(self, since: datetime, until: datetime, then: str) -> list[CheckResult]:
        found: list[CheckResult] = []

        def take(rows: Rows) -> None:
            place = [rows.columns.index(name) for name in ("tenant_id", "monitor_id")]
            owners: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
            for row in rows.values:
                owners[row[place[0]], row[place[1]]].append(row)
            for (tenant, monitor), values in owners.items():
                own = Rows({}, rows.columns, values)
                monitor_id = MonitorId(monitor)
                found.extend(decode(own, TenantId(tenant), [monitor_id]))

        values = {"since": microseconds(since) * 1_000, "until": microseconds(until) * 1_000}
        await self._influx.query(_SCAN, _POINTS + then, values, take=take)
        return found
