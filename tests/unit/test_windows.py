"""The rules that periods are cut into windows and days by."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.result_strategies import MICROSECOND
from tests.result_strategies import instants as instants_between

from urlmon.domain import windows as module
from urlmon.domain.periods import Period
from urlmon.domain.windows import MAX_WINDOWS, days, windows
from urlmon.errors import InvalidValueError
from urlmon.testing.clock import NOON

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
ALWAYS = Period(since=datetime(2000, 1, 1, tzinfo=UTC), until=datetime(2199, 12, 31, tzinfo=UTC))
instants = instants_between(ALWAYS.since, ALWAYS.until - 400 * DAY)


@st.composite
def periods(draw: st.DrawFn, longest: timedelta) -> Period:
    """Make a period anywhere, up to a length."""
    since = draw(instants)
    return Period(since=since, until=since + draw(st.timedeltas(MICROSECOND, longest)))


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
    monkeypatch.setattr(module, "ZoneInfo", None)
    ((_, period),) = days(date(2025, 1, 1), date(2025, 1, 1))
    assert period.since == datetime(2025, 1, 1, tzinfo=UTC)
