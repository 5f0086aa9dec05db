"""The contract of summaries, a part of `CheckStatisticsContract`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from attrs import evolve

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import Statistics
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts import _brute_force as brute_force
from urlmon.testing.contracts._alike import assert_alike
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
        expected = {
            monitor: brute_force.summary(results, period, intervals[monitor])
            for monitor, results in given.items()
        }
        assert_alike(summaries, expected)

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
            span = whole_span(recording)
            results = [a_result(tenant, monitor, response_time_us=time) for time in times]
            exact = brute_force.statistics(
                [evolve(each, scheduled_at=now) for each in results], span
            )
            assert_alike(summaries[monitor].statistics, exact)

    async def test_no_results_are_no_uptime(self, recording: ResultStores) -> None:
        """Every monitor is in the answer; without results its uptime is None, coverage 0."""
        tenant, empty, late = TenantId.new(), MonitorId.new(), MonitorId.new()
        now = recording.clock.now()
        await record(recording, a_result(tenant, late, scheduled_at=now))
        period = Period(since=now - HOUR, until=now)
        summaries = await recording.statistics.summary(
            tenant, {empty: MINUTE, late: MINUTE}, period=period
        )
        nothing = brute_force.summary([], period, MINUTE)
        assert nothing.statistics == Statistics()
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
        for monitor, exact in expected.items():
            assert_alike(summaries[monitor].statistics, exact)

    async def test_coverage(self, recording: ResultStores) -> None:
        """In each hour of UTC the location with most results counts, each for one interval."""
        tenant = TenantId.new()
        hour = recording.clock.now().replace(minute=0, second=0, microsecond=0)
        period = Period(since=hour - 90 * MINUTE, until=hour)
        intervals: dict[MonitorId, timedelta] = {}
        expected: dict[MonitorId, float] = {}
        # Minutes from the start at which each location has results, interval, share.
        for places, interval, share in (
            ({"a": range(90), "b": range(90)}, MINUTE, 1.0),
            ({"a": range(45), "b": range(40, 90)}, MINUTE, (30 + 50) / 90),
            ({"a": [0], "b": [29]}, 30 * MINUTE, 1 / 3),
            ({"a": [0], "b": [30]}, 30 * MINUTE, 2 / 3),
            ({"a": [0, 1, 2, 3]}, 30 * MINUTE, 1.0),
            ({"a": [89]}, timedelta.max, 1.0),
            ({"a": [45]}, MICROSECOND, 1 / (90 * 60_000_000)),
            ({"a": [-1, 90]}, 90 * MINUTE, 0.0),
        ):
            monitor = MonitorId.new()
            results = [
                a_result(tenant, monitor, scheduled_at=period.since + n * MINUTE, location=location)
                for location, minutes in places.items()
                for n in minutes
            ]
            await record(recording, *results)
            intervals[monitor] = interval
            expected[monitor] = share
            assert brute_force.coverage(results, period, interval) == share
        summaries = await recording.statistics.summary(tenant, intervals, period=period)
        assert {monitor: each.coverage for monitor, each in summaries.items()} == expected

    async def test_the_period_before(self, recording: ResultStores) -> None:
        """It is as long, ends where the period begins, and is summed up in the same way."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        at = now - 30 * HOUR
        results = [
            a_result(tenant, monitor, scheduled_at=at + offset, response_time_us=number)
            for number, offset in enumerate(
                (-HOUR - MICROSECOND, -HOUR, -MICROSECOND, timedelta(0), HOUR - MICROSECOND, HOUR)
            )
        ]
        await record(recording, *results)
        period = Period(since=at, until=at + HOUR)
        summaries = await recording.statistics.summary(tenant, {monitor: MINUTE}, period=period)
        assert_alike(summaries, {monitor: brute_force.summary(results, period, MINUTE)})
        before = summaries[monitor].previous
        assert before is not None
        assert before.previous is None
        assert (before.period.since, before.period.until) == (at - HOUR, at)
        assert before.statistics.checks == summaries[monitor].statistics.checks == 2
        first = datetime(2000, 1, 1, tzinfo=UTC)
        for beginning, there in ((first + HOUR, True), (first + HOUR - MICROSECOND, False)):
            early = Period(since=beginning, until=beginning + HOUR)
            summaries = await recording.statistics.summary(tenant, {monitor: MINUTE}, period=early)
            assert (summaries[monitor].previous is not None) is there

    async def test_an_interval_must_be_positive(self, recording: ResultStores) -> None:
        """Coverage cannot be counted by an interval of nothing."""
        for interval in (timedelta(0), -MINUTE, cast("timedelta", 60)):
            intervals = {MonitorId.new(): MINUTE, MonitorId.new(): interval}
            with pytest.raises(InvalidValueError, match="intervals"):
                await recording.statistics.summary(
                    TenantId.new(), intervals, period=whole_span(recording)
                )
