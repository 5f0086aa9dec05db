"""The contract of windows, days and usage, a part of `CheckStatisticsContract`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import DailyUsage, Statistics
from urlmon.domain.windows import MAX_WINDOWS
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts import _brute_force as brute_force
from urlmon.testing.contracts._alike import assert_alike
from urlmon.testing.contracts._recording import (
    BOOM,
    HOUR,
    MICROSECOND,
    MINUTE,
    RETENTION,
    SECOND,
    record,
    whole_span,
)
from urlmon.testing.contracts.stores import ResultStores

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


class SeriesContract:
    """What `series` answers."""

    @pytest.mark.parametrize("width", [5 * MINUTE, 7 * MINUTE, HOUR, 59 * SECOND, 36 * HOUR])
    @pytest.mark.parametrize("aligned", [True, False])
    async def test_windows(
        self, recording: ResultStores, *, width: timedelta, aligned: bool
    ) -> None:
        """Windows are cut at multiples of their width since 1970, and hold what is due in them."""
        tenant, monitor, empty = TenantId.new(), MonitorId.new(), MonitorId.new()
        cut = _EPOCH + (recording.clock.now() - _EPOCH) // width * width
        period = (
            Period(since=cut - 3 * width, until=cut)
            if aligned
            else Period(since=cut - 2 * width - SECOND, until=cut + 2 * MICROSECOND)
        )
        edges = (
            [cut - number * width for number in (3, 2, 1, 0)]
            if aligned
            else [period.since, cut - 2 * width, cut - width, cut, period.until]
        )
        results = around(tenant, monitor, (edges[0], edges[1], *edges[3:]))
        await record(recording, *results)
        series = await recording.statistics.series(
            tenant, [monitor, empty], period=period, width=width
        )
        assert list(series) == [monitor, empty]
        for asked, recorded in ((monitor, results), (empty, [])):
            assert [(each.period.since, each.period.until) for each in series[asked]] == list(
                pairwise(edges)
            )
            for window in series[asked]:
                assert_alike(window.statistics, brute_force.statistics(recorded, window.period))
        assert {window.statistics for window in series[empty]} == {Statistics()}

    async def test_a_window_without_results(self, recording: ResultStores) -> None:
        """It is there, between those that have some, with an uptime of None."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        hour = recording.clock.now().replace(minute=0, second=0, microsecond=0)
        for at in (hour - 3 * HOUR, hour - HOUR):
            await record(recording, a_result(tenant, monitor, scheduled_at=at))
        series = await recording.statistics.series(
            tenant, [monitor], period=Period(since=hour - 3 * HOUR, until=hour), width=HOUR
        )
        assert [window.statistics.uptime for window in series[monitor]] == [1.0, None, 1.0]

    async def test_a_series_has_its_limit(self, recording: ResultStores) -> None:
        """2,000 windows are given, however the period lies; 2,001 are refused, as is no width."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        second = recording.clock.now().replace(microsecond=0)
        whole = Period(since=second - MAX_WINDOWS * SECOND, until=second)
        for offset in (-MICROSECOND, timedelta(0)):
            late = a_result(tenant, monitor, scheduled_at=second - SECOND - offset)
            await record(recording, late)
        series = await recording.statistics.series(tenant, [monitor], period=whole, width=SECOND)
        assert len(series[monitor]) == MAX_WINDOWS
        assert series[monitor][-1].statistics.checks == 2
        for period in (
            Period(since=whole.since - MICROSECOND, until=whole.until),
            Period(since=whole.since, until=whole.until + MICROSECOND),
            Period(since=whole.since - HOUR, until=whole.until),
        ):
            with pytest.raises(InvalidValueError, match="width"):
                await recording.statistics.series(tenant, [monitor], period=period, width=SECOND)
        for width in (timedelta(0), -SECOND, cast("timedelta", 60)):
            with pytest.raises(InvalidValueError, match="width"):
                await recording.statistics.series(tenant, [monitor], period=whole, width=width)


class DaysContract:
    """What `daily` and `usage` answer."""

    @pytest.mark.parametrize(
        "zone", ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"]
    )
    async def test_days_of_a_zone(self, recording: ResultStores, zone: str) -> None:
        """A day begins and ends at midnight of its zone, by the microsecond, all 80 days long."""
        tenant, monitor, empty = TenantId.new(), MonitorId.new(), MonitorId.new()
        calendar = ZoneInfo(zone)
        last = recording.clock.now().astimezone(calendar).date() - _DAY
        first = last - timedelta(days=79)
        midnights = [
            datetime.combine(first + number * _DAY, datetime.min.time(), calendar).astimezone(UTC)
            for number in range(81)
        ]
        results = around(tenant, monitor, midnights)
        await record(recording, *results)
        daily = await recording.statistics.daily(
            tenant, [monitor, empty], first=first, last=last, zone=zone
        )
        assert list(daily) == [monitor, empty]
        for asked, recorded in ((monitor, results), (empty, [])):
            assert [bar.day for bar in daily[asked]] == [
                first + number * _DAY for number in range(80)
            ]
            for bar, since, until in zip(daily[asked], midnights, midnights[1:], strict=False):
                assert bar.period == Period(since=since, until=until)
                assert_alike(bar.statistics, brute_force.statistics(recorded, bar.period))

    @pytest.mark.parametrize(
        ("zone", "day", "since", "hours"),
        [
            ("Europe/Berlin", date(2025, 3, 30), (29, 23, 0), 23),
            ("Europe/Berlin", date(2025, 10, 26), (25, 22, 0), 25),
            ("Asia/Kolkata", date(2025, 3, 30), (29, 18, 30), 24),
            ("Australia/Lord_Howe", date(2025, 10, 5), (4, 13, 30), 23.5),
            # Clocks go forward at midnight, so the day begins at one o'clock.
            ("Africa/Cairo", date(2025, 4, 25), (24, 22, 0), 23),
            # Clocks go back at one o'clock to a second midnight.
            ("America/Havana", date(2025, 11, 2), (2, 4, 0), 25),
            ("UTC", date(2025, 3, 30), (30, 0, 0), 24),
        ],
    )
    async def test_the_day_that_clocks_change(
        self,
        recording: ResultStores,
        zone: str,
        day: date,
        since: tuple[int, int, int],
        hours: float,
    ) -> None:
        """A day has the hours that its zone gives it."""
        monitor = MonitorId.new()
        daily = await recording.statistics.daily(
            TenantId.new(), [monitor], first=day, last=day, zone=zone
        )
        (bar,) = daily[monitor]
        begins = datetime(day.year, day.month, since[0], *since[1:], tzinfo=UTC)
        assert (bar.day, bar.period.since, bar.statistics) == (day, begins, Statistics())
        assert bar.period.length == hours * HOUR

    async def test_days_that_cannot_be_are_refused(self, recording: ResultStores) -> None:
        """So are a zone that is none, no day, more than 2,000, and those of other centuries."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        statistics = recording.statistics
        today = recording.clock.now().date()
        first = today - (MAX_WINDOWS - 1) * _DAY
        daily = await statistics.daily(tenant, [monitor], first=first, last=today)
        assert len(daily[monitor]) == MAX_WINDOWS
        assert len(await statistics.usage(tenant, first=first, last=today)) == MAX_WINDOWS
        for zone in ("", "Mars/Olympus", "../UTC", "utc\x00", cast("str", None)):
            with pytest.raises(InvalidValueError, match="zone"):
                await statistics.daily(tenant, [monitor], first=today, last=today, zone=zone)
        for bad in (
            (today, today - _DAY),
            (first - _DAY, today),
            (date.min, date.min),
            (date.max, date.max),
            (cast("date", "2025-01-01"), today),
            (recording.clock.now(), recording.clock.now()),
        ):
            with pytest.raises(InvalidValueError, match=r"first|last"):
                await statistics.daily(tenant, [monitor], first=bad[0], last=bad[1])
            with pytest.raises(InvalidValueError, match=r"first|last"):
                await statistics.usage(tenant, first=bad[0], last=bad[1])

    async def test_usage(self, recording: ResultStores) -> None:
        """A tenant's results of all monitors are counted for each day of UTC, also if none."""
        tenant = TenantId.new()
        last = recording.clock.now().date() - _DAY
        first = last - timedelta(days=5)
        midnights = [
            datetime.combine(first + n * _DAY, datetime.min.time(), UTC) for n in (0, 1, 6)
        ]
        for each in (tenant, tenant, TenantId.new()):
            await record(recording, *around(each, MonitorId.new(), midnights))
        usage = await recording.statistics.usage(tenant, first=first, last=last)
        assert usage == tuple(
            DailyUsage(day=first + number * _DAY, checks=checks)
            for number, checks in enumerate((4, 2, 0, 0, 0, 2))
        )
        nobody = await recording.statistics.usage(TenantId.new(), first=first, last=last)
        assert [each.checks for each in nobody] == [0] * 6

    async def test_the_oldest_and_the_newest_count(self, recording: ResultStores) -> None:
        """Whatever the store keeps is counted, to the edges of its time."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        await record(
            recording,
            a_result(tenant, monitor, scheduled_at=now - RETENTION),
            a_result(tenant, monitor, scheduled_at=whole_span(recording).until - MICROSECOND),
        )
        usage = await recording.statistics.usage(
            tenant, first=(now - RETENTION).date(), last=whole_span(recording).until.date()
        )
        assert sum(day.checks for day in usage) == 2


def around(
    tenant_id: TenantId, monitor_id: MonitorId, instants: Sequence[datetime]
) -> list[CheckResult]:
    """Make a success just before each instant, and a failure at it."""
    return [
        a_result(tenant_id, monitor_id, scheduled_at=at - before, error=error)
        for at in instants
        for before, error in ((MICROSECOND, None), (timedelta(0), BOOM))
    ]
