"""The rules that uptime, coverage, percentiles, windows and days are worked out by."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.result_strategies import MICROSECOND, results
from tests.result_strategies import instants as instants_between

from urlmon.domain import statistics
from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import (
    MAX_WINDOWS,
    ResponseTimes,
    Statistics,
    check_intervals,
    coverage_of,
    days,
    failure_groups,
    nearest_rank,
    response_times,
    slots,
    statistics_of,
    windows,
)
from urlmon.errors import InvalidValueError
from urlmon.testing.clock import NOON
from urlmon.testing.contracts import _brute_force as brute_force

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
ALWAYS = Period(since=datetime(2000, 1, 1, tzinfo=UTC), until=datetime(2199, 12, 31, tzinfo=UTC))
instants = instants_between(ALWAYS.since, ALWAYS.until - 400 * DAY)
seconds = st.integers(-100, 100).map(lambda number: NOON + number * SECOND)
some = st.lists(results([TenantId.new()], [MonitorId.new()], seconds))


@st.composite
def periods(draw: st.DrawFn, longest: timedelta) -> Period:
    """Make a period anywhere, up to a length."""
    since = draw(instants)
    return Period(since=since, until=since + draw(st.timedeltas(MICROSECOND, longest)))


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
    assert response_times([]) is None
    zero = response_times([0])
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
    st.lists(seconds),
    st.integers(0, 50),
    st.integers(1, 100),
    st.timedeltas(timedelta(milliseconds=700), timedelta(seconds=300)),
)
def test_coverage_is_its_definition(
    due: list[datetime], start: int, length: int, interval: timedelta
) -> None:
    """It is counted slot by slot."""
    since = NOON + start * SECOND
    period = Period(since=since, until=since + length * SECOND)
    assert coverage_of(due, period, interval) == brute_force.coverage(due, period, interval)


def test_slots_count_the_rest() -> None:
    """What is left over at the end is a slot too."""
    period = Period(since=NOON, until=NOON + 10 * SECOND)
    lengths = {1: 10, 3: 4, 5: 2, 6: 2, 10: 1, 11: 1}
    assert {each: slots(period, each * SECOND) for each in lengths} == lengths
    assert slots(period, timedelta.max) == 1


@given(periods(timedelta(days=400)), st.timedeltas(timedelta(hours=6), timedelta(days=1_000)))
def test_windows_cut_a_period_in_order(period: Period, width: timedelta) -> None:
    """They join without a gap, and every cut is a multiple of the width since 1970."""
    parts = windows(period, width)
    assert (parts[0].since, parts[-1].until) == (period.since, period.until)
    for left, right in pairwise(parts):
        assert left.until == right.since
        assert (left.until - EPOCH) % width == timedelta(0)
    assert all(part.length <= width for part in parts)
    assert all(part.length == width for part in parts[1:-1])


@given(instants, st.integers(-2, 2), st.integers(-1, 1), st.integers(-1, 1))
def test_windows_are_counted_exactly(at: datetime, more: int, before: int, behind: int) -> None:
    """2,000 are given and 2,001 refused, wherever the period begins and ends."""
    since = at.replace(microsecond=0) + before * MICROSECOND
    until = at.replace(microsecond=0) + (MAX_WINDOWS + more) * SECOND + behind * MICROSECOND
    assume(since >= ALWAYS.since)
    count = MAX_WINDOWS + more + (before < 0) + (behind > 0)
    period = Period(since=since, until=until)
    if count <= MAX_WINDOWS:
        assert len(windows(period, SECOND)) == count
    else:
        with pytest.raises(InvalidValueError, match="width"):
            windows(period, SECOND)


@pytest.mark.parametrize("width", [timedelta(0), -SECOND, timedelta.min, None, 60])
def test_a_width_must_be_positive(width: object) -> None:
    """Nothing cannot cut a period."""
    with pytest.raises(InvalidValueError, match="width"):
        windows(ALWAYS, cast("timedelta", width))


@given(
    st.sampled_from(sorted(available_timezones())),
    st.dates(date(2000, 1, 2), date(2100, 1, 1)),
    st.integers(1, 400),
)
def test_days_are_those_of_the_calendar(zone: str, first: date, count: int) -> None:
    """They join without a gap, and each begins with the first instant of its date."""
    calendar = ZoneInfo(zone)
    last = first + (count - 1) * DAY
    found = days(first, last, zone)
    assert count - 1 <= len(found) <= count
    assert [day for day, _ in found] == sorted({day for day, _ in found})
    assert first <= found[0][0] <= found[-1][0] <= last
    for day, period in found:
        assert period.since.astimezone(calendar).date() == day
        assert (period.since - MICROSECOND).astimezone(calendar).date() < day
        assert timedelta(hours=20) <= period.length <= timedelta(hours=28)
    for (_, left), (_, right) in pairwise(found):
        assert left.until == right.since


def test_a_day_that_a_zone_left_out() -> None:
    """Samoa had no 30 December 2011: it is no day, neither among others nor alone."""
    found = days(date(2011, 12, 29), date(2011, 12, 31), "Pacific/Apia")
    assert [(day.day, period.length) for day, period in found] == [(29, DAY), (31, DAY)]
    assert found[0][1].until == found[1][1].since
    with pytest.raises(InvalidValueError, match="last"):
        days(date(2011, 12, 30), date(2011, 12, 30), "Pacific/Apia")


def test_the_day_has_two_midnights() -> None:
    """In Newfoundland clocks went back from 00:01 to 23:01: the first midnight counts."""
    ((_, before), (_, after)) = days(date(2010, 11, 6), date(2010, 11, 7), "America/St_Johns")
    assert before.until == datetime(2010, 11, 7, 2, 30, tzinfo=UTC)
    assert after.length == timedelta(hours=25)


@pytest.mark.parametrize(
    ("first", "last", "zone", "field"),
    [
        (date(2025, 1, 2), date(2025, 1, 1), "UTC", "last"),
        (date(2025, 1, 2), date(2015, 1, 1), "UTC", "last"),
        (date(2020, 1, 1), date(2020, 1, 1) + MAX_WINDOWS * DAY, "UTC", "last"),
        (date(2000, 1, 1), date(2000, 1, 3), "UTC", "first"),
        (date(2199, 12, 30), date(2199, 12, 31), "UTC", "last"),
        (date.min, date.max, "UTC", "first"),
        (NOON, NOON, "UTC", "first"),
        (date(2025, 1, 1), None, "UTC", "last"),
        (date(2025, 1, 1), date(2025, 1, 1), "utc\x00", "zone"),
        (date(2025, 1, 1), date(2025, 1, 1), "Mars", "zone"),
        (date(2025, 1, 1), date(2025, 1, 1), "", "zone"),
        (date(2025, 1, 1), date(2025, 1, 1), ".", "zone"),
        (date(2025, 1, 1), date(2025, 1, 1), "/etc/passwd", "zone"),
        (date(2025, 1, 1), date(2025, 1, 1), None, "zone"),
    ],
)
def test_days_that_cannot_be(first: object, last: object, zone: object, field: str) -> None:
    """Each is refused by the name of the argument."""
    with pytest.raises(InvalidValueError) as caught:
        days(cast("date", first), cast("date", last), cast("str", zone))
    assert caught.value.field == field


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "Pacific/Kiritimati"])
def test_the_first_and_the_last_day(zone: str) -> None:
    """They are days in the earliest and in the latest zone."""
    for day in (date(2000, 1, 2), date(2199, 12, 30)):
        ((found, period),) = days(day, day, zone)
        assert (found, period.length) == (day, DAY)


def test_utc_needs_no_database_of_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without one still has days."""
    monkeypatch.setattr(statistics, "ZoneInfo", None)
    ((_, period),) = days(date(2025, 1, 1), date(2025, 1, 1))
    assert period.since == datetime(2025, 1, 1, tzinfo=UTC)


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
