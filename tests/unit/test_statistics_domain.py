"""The rules that uptime, coverage, percentiles, windows and days are worked out by."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.result_strategies import MICROSECOND, results

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.rollups import hour_of
from urlmon.domain.statistics import (
    ResponseTimes,
    Statistics,
    check_intervals,
    coverage,
    failure_groups,
    made,
    nearest_rank,
    previous,
)
from urlmon.domain.sums import Sums, statistics_of
from urlmon.errors import InvalidValueError
from urlmon.testing.clock import NOON
from urlmon.testing.contracts import _brute_force as brute_force

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ALWAYS = Period(since=datetime(2000, 1, 1, tzinfo=UTC), until=datetime(2199, 12, 31, tzinfo=UTC))
seconds = st.integers(-100, 100).map(lambda number: NOON + number * SECOND)
minutes = st.integers(-100, 400).map(lambda number: NOON + number * MINUTE)
some = st.lists(results([TenantId.new()], [MonitorId.new()], seconds))


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(1, 100))
def test_nearest_rank_is_its_definition(values: list[int], percent: int) -> None:
    """It is the smallest value that so many percent do not exceed."""
    assert nearest_rank(sorted(values), percent) == brute_force.percentile(values, percent)


@pytest.mark.parametrize(
    ("count", "percent", "position"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 2), (20, 95, 19), (21, 95, 20), (100, 99, 99), (101, 99, 100)],
)
def test_nearest_rank_at_whole_ranks(count: int, percent: int, position: int) -> None:
    """A rank that comes out whole is not rounded up."""
    assert nearest_rank(range(1, count + 1), percent) == position


def test_response_times_of_none() -> None:
    """No values have no figures, and values that are 0 have."""
    assert Sums.counted(checks=1, failures=0, values=[]).statistics().response_times is None
    zero = Sums.counted(checks=1, failures=0, values=[0]).statistics().response_times
    assert zero == ResponseTimes(
        count=1, total_us=0, min_us=0, max_us=0, p50_us=0, p95_us=0, p99_us=0
    )
    assert zero.mean_us == 0.0


@given(some)
def test_statistics_are_their_definition(given_results: list[CheckResult]) -> None:
    """Counts, sums and percentiles are those of the obvious way."""
    found = statistics_of(given_results)
    assert found == brute_force.statistics(given_results, ALWAYS)
    if not given_results:
        assert found.uptime is None
    else:
        good = sum(result.success for result in given_results)
        assert found.uptime == good / len(given_results)
    if found.response_times:
        times = found.response_times
        assert times.min_us <= times.p50_us <= times.p95_us <= times.p99_us <= times.max_us
        assert times.min_us <= times.mean_us <= times.max_us


def test_no_uptime_is_not_zero() -> None:
    """Nothing known is None; nothing but failures is 0."""
    assert Statistics().uptime is None
    assert Statistics(checks=3, failures=3).uptime == 0.0
    assert Statistics(checks=4, failures=1).uptime == 0.75


@given(
    st.lists(results([TenantId.new()], [MonitorId.new()], minutes), max_size=30),
    st.integers(0, 90),
    st.integers(1, 200),
    st.timedeltas(timedelta(milliseconds=700), timedelta(hours=3)),
)
def test_coverage_is_its_definition(
    given_results: list[CheckResult], start: int, length: int, interval: timedelta
) -> None:
    """It is counted from hour to hour."""
    since = NOON + start * MINUTE
    period = Period(since=since, until=since + length * MINUTE)
    due = Counter(
        (hour_of(each.scheduled_at), each.location)
        for each in given_results
        if each.scheduled_at in period
    )
    expected = brute_force.coverage(given_results, period, interval)
    assert coverage(made(due), interval, period) == expected


def test_coverage_is_of_whole_numbers() -> None:
    """The longest interval there is makes one check cover all, and none nothing."""
    period = Period(since=NOON, until=NOON + DAY)
    assert coverage(1, timedelta.max, period) == 1.0
    assert coverage(0, timedelta.max, period) == 0.0
    assert coverage(3, timedelta(hours=6), period) == 0.75
    assert made({(1, "a"): 3, (1, "b"): 5, (2, "a"): 2}) == 7


def test_the_period_before() -> None:
    """It has the same length, and is none where it would begin before the year 2000."""
    period = Period(since=NOON, until=NOON + DAY)
    assert previous(period) == Period(since=NOON - DAY, until=NOON)
    first = ALWAYS.since
    assert previous(Period(since=first + DAY, until=first + 2 * DAY)) is not None
    assert previous(Period(since=first + DAY, until=first + 2 * DAY + MICROSECOND)) is None
    assert previous(ALWAYS) is None


@given(some)
def test_failures_are_grouped_by_kind(given_results: list[CheckResult]) -> None:
    """Most frequent first, then by name; each with its ends and the newest message."""
    groups = failure_groups(given_results)
    failed = [(each, each.error) for each in given_results if each.error is not None]
    assert {group.kind: group.count for group in groups} == Counter(e.kind for _, e in failed)
    assert [(-group.count, group.kind.value) for group in groups] == sorted(
        (-group.count, group.kind.value) for group in groups
    )
    for group in groups:
        members = [(each, error) for each, error in failed if error.kind is group.kind]
        times = [each.scheduled_at for each, _ in members]
        assert (group.first_at, group.last_at) == (min(times), max(times))
        newest = [(each, error) for each, error in members if each.scheduled_at == group.last_at]
        place = min(each.location for each, _ in newest)
        assert group.last_message in {
            error.message for each, error in newest if each.location == place
        }


@pytest.mark.parametrize("bad", [timedelta(0), -SECOND, None, 60])
def test_intervals_are_positive(bad: object) -> None:
    """So many as may be asked for at once, and none that is nothing."""
    check_intervals({})
    check_intervals({MonitorId.new(): MICROSECOND for _ in range(1_000)})
    with pytest.raises(InvalidValueError, match="intervals"):
        check_intervals({MonitorId.new(): SECOND for _ in range(1_001)})
    with pytest.raises(InvalidValueError, match="intervals"):
        check_intervals({MonitorId.new(): SECOND, MonitorId.new(): cast("timedelta", bad)})
