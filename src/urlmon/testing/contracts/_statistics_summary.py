"""The contract of summaries, a part of `CheckStatisticsContract`."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest
from attrs import evolve

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import Statistics, Summary
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts import _brute_force as brute_force
from urlmon.testing.contracts._recording import (
    BOOM,
    HOUR,
    HOUR_US,
    MICROSECOND,
    MINUTE,
    SECOND,
    record,
    some_results,
    whole_span,
)
from urlmon.testing.contracts.stores import ResultStores


class SummaryContract:
    """What `summary` answers."""

    async def test_uptime_and_response_times(self, recording: ResultStores) -> None:
        """Counts, sum and percentiles are exactly those of the definition, for any results."""
        tenant = TenantId.new()
        now = recording.clock.now()
        period = Period(since=now - 2 * HOUR, until=now)
        monitors = [MonitorId.new() for _ in range(4)]
        given = {
            monitor: some_results(recording, tenant, monitor, seed=seed)
            for seed, monitor in enumerate(monitors)
        }
        for results in given.values():
            await record(recording, *results)
        intervals = {monitor: (number + 1) * MINUTE for number, monitor in enumerate(given)}
        summaries = await recording.statistics.summary(tenant, intervals, period=period)
        assert summaries == {
            monitor: Summary(
                period=period,
                statistics=brute_force.statistics(results, period),
                coverage=brute_force.coverage(
                    [each.scheduled_at for each in results], period, intervals[monitor]
                ),
            )
            for monitor, results in given.items()
        }

    async def test_percentiles_are_nearest_rank(self, recording: ResultStores) -> None:
        """A percentile is one of the values, at the rank that the definition gives."""
        tenant = TenantId.new()
        now = recording.clock.now()
        counts = (1, 2, 3, 10, 19, 20, 21, 39, 40, 41, 99, 100, 101, 199, 200, 201, 300)
        given = {
            # 7,919 is prime: the values come in no order.
            MonitorId.new(): [HOUR_US - number * 7_919 % count for number in range(count)]
            for count in counts
        }
        for monitor, times in given.items():
            await record(
                recording,
                *(
                    a_result(
                        tenant, monitor, scheduled_at=now - number * SECOND, response_time_us=time
                    )
                    for number, time in enumerate(times)
                ),
            )
        summaries = await recording.statistics.summary(
            tenant, dict.fromkeys(given, MINUTE), period=whole_span(recording)
        )
        for monitor, times in given.items():
            found = summaries[monitor].statistics.response_times
            assert found is not None
            assert found.exact
            assert (found.p50_us, found.p95_us, found.p99_us) == tuple(
                brute_force.percentile(times, percent) for percent in (50, 95, 99)
            )
            assert (found.min_us, found.max_us) == (min(times), max(times))
            assert (found.count, found.total_us) == (len(times), sum(times))

    async def test_no_results_are_no_uptime(self, recording: ResultStores) -> None:
        """Every monitor is in the answer; without results its uptime is None, coverage 0."""
        tenant, empty, late = TenantId.new(), MonitorId.new(), MonitorId.new()
        now = recording.clock.now()
        await record(recording, a_result(tenant, late, scheduled_at=now))
        period = Period(since=now - HOUR, until=now)
        summaries = await recording.statistics.summary(
            tenant, {empty: MINUTE, late: MINUTE}, period=period
        )
        nothing = Summary(period=period, statistics=Statistics(), coverage=0.0)
        assert summaries == {empty: nothing, late: nothing}
        assert summaries[empty].statistics.uptime is None
        assert await recording.statistics.summary(tenant, {}, period=period) == {}

    async def test_only_successes_have_response_times(self, recording: ResultStores) -> None:
        """Those of failures do not count, and a success may have none; 0 is one."""
        tenant = TenantId.new()
        now = recording.clock.now()
        expected: dict[MonitorId, Statistics] = {}
        for time, error in ((5, BOOM), (None, None), (0, None), (HOUR_US, None), (None, BOOM)):
            monitor = MonitorId.new()
            result = a_result(tenant, monitor, scheduled_at=now, response_time_us=time, error=error)
            await record(recording, result)
            expected[monitor] = brute_force.statistics([result], whole_span(recording))
        summaries = await recording.statistics.summary(
            tenant, dict.fromkeys(expected, MINUTE), period=whole_span(recording)
        )
        assert {monitor: each.statistics for monitor, each in summaries.items()} == expected

    async def test_an_identity_counts_once(self, recording: ResultStores) -> None:
        """Recorded as a success and as a failure, it is one check that failed."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        result = a_result(tenant, monitor, scheduled_at=recording.clock.now())
        for each in (result, evolve(result, error=BOOM), result):
            await record(recording, each)
        span = whole_span(recording)
        summaries = await recording.statistics.summary(tenant, {monitor: HOUR}, period=span)
        assert summaries[monitor].statistics == Statistics(checks=1, failures=1)
        series = await recording.statistics.series(tenant, [monitor], period=span, width=100 * HOUR)
        assert sum(window.statistics.checks for window in series[monitor]) == 1
        (group,) = (await recording.statistics.failures(tenant, [monitor], period=span))[monitor]
        assert group.count == 1
        found = await recording.statistics.by_location(tenant, [monitor], period=span)
        assert found[monitor] == {"default": Statistics(checks=1, failures=1)}
        today = recording.clock.now().date()
        (usage,) = await recording.statistics.usage(tenant, first=today, last=today)
        assert usage.checks == 1

    async def test_coverage(self, recording: ResultStores) -> None:
        """A slot from the period's start on is covered by one result or more in it."""
        tenant = TenantId.new()
        now = recording.clock.now()
        period = Period(since=now - 10 * MINUTE, until=now)
        intervals: dict[MonitorId, timedelta] = {}
        expected: dict[MonitorId, float] = {}
        # Microseconds from the start, the interval, slots that are covered, slots that there are.
        for offsets, interval, covered, slots in (
            ([0], MICROSECOND, 1, 600_000_000),
            ([0, 1, 59_999_999], MINUTE, 1, 10),
            ([0, 60_000_000, 119_999_999, 599_999_999], MINUTE, 3, 10),
            ([-1, 600_000_000], MINUTE, 0, 10),
            ([599_999_999], 7 * MINUTE, 1, 2),
            ([0, 419_999_999], 7 * MINUTE, 1, 2),
            ([0, 420_000_000], 7 * MINUTE, 2, 2),
            ([300_000_000], 10 * MINUTE, 1, 1),
            ([300_000_000], timedelta(days=1), 1, 1),
            ([300_000_000], timedelta.max, 1, 1),
            ([600_000_000], timedelta.max, 0, 1),
        ):
            monitor = MonitorId.new()
            instants = [period.since + offset * MICROSECOND for offset in offsets]
            await record(
                recording,
                *(
                    a_result(tenant, monitor, scheduled_at=at, location=location)
                    for at in instants
                    for location in ("a", "b")
                ),
            )
            intervals[monitor] = interval
            expected[monitor] = covered / slots
        summaries = await recording.statistics.summary(tenant, intervals, period=period)
        assert {monitor: each.coverage for monitor, each in summaries.items()} == expected

    async def test_an_interval_must_be_positive(self, recording: ResultStores) -> None:
        """Coverage cannot be counted by an interval of nothing."""
        for interval in (timedelta(0), -MINUTE, cast("timedelta", 60)):
            intervals = {MonitorId.new(): MINUTE, MonitorId.new(): interval}
            with pytest.raises(InvalidValueError, match="intervals"):
                await recording.statistics.summary(
                    TenantId.new(), intervals, period=whole_span(recording)
                )
