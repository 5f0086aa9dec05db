"""Periods are half-open and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def test_it_is_half_open() -> None:
    """The first instant belongs to it, the last does not."""
    period = Period(since=NOON, until=NOON + 2 * MICROSECOND)
    assert NOON - MICROSECOND not in period
    assert NOON in period
    assert NOON + MICROSECOND in period
    assert NOON + 2 * MICROSECOND not in period
    assert "noon" not in period
    assert period.length == 2 * MICROSECOND


@given(st.integers(-10, 10), st.integers(1, 10))
def test_neighbours_share_nothing(offset: int, length: int) -> None:
    """An instant belongs to exactly one of two periods that follow each other."""
    middle = NOON + length * MICROSECOND
    both = Period(since=NOON - 10 * MICROSECOND, until=middle + 10 * MICROSECOND)
    first, second = Period(since=both.since, until=middle), Period(since=middle, until=both.until)
    at = NOON + offset * MICROSECOND
    assert (at in both) == ((at in first) is not (at in second))


def test_it_is_in_utc() -> None:
    """A period is the same whatever zone it was given in."""
    zone = timezone(timedelta(hours=-3, minutes=-30))
    hour = timedelta(hours=1)
    local = Period(since=NOON.astimezone(zone), until=(NOON + hour).astimezone(zone))
    assert local == Period(since=NOON, until=NOON + hour)
    assert local.since.tzinfo is UTC
    assert NOON.astimezone(zone) in local


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        (NOON, NOON, "until"),
        (NOON, NOON - MICROSECOND, "until"),
        (NOON.replace(tzinfo=None), NOON, "since"),
        (NOON, NOON.replace(tzinfo=None), "until"),
        (NOON, None, "until"),
        (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), NOON, "since"),
        (NOON, datetime(2200, 1, 1, tzinfo=UTC), "until"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), NOON, "since"),
    ],
)
def test_what_is_no_period_is_refused(since: datetime, until: datetime, field: str) -> None:
    """It has two instants of the supported years, one later than the other."""
    with pytest.raises(InvalidValueError) as caught:
        Period(since=since, until=until)
    assert caught.value.field == field
