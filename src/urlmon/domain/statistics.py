"""Uptime, coverage and percentiles, defined once for every store.

- Uptime is successes divided by checks, over the results there are.
- Coverage is the share of a period that has results.  The period is cut at the hours of UTC, and in
  each piece the location with the most results counts; coverage is the sum of these counts, times
  the monitor's interval, divided by the length of the period, and at most 1.  So it can be added up
  from hours.  It takes the interval as it is now: where a monitor was checked more often before, or
  out of turn, a gap can be hidden, and where it was checked more seldom, one can seem to be there.
- Response times are those of successful checks.  Percentiles are nearest-rank: of n ordered values,
  the one at position ceil(p / 100 * n) (https://en.wikipedia.org/wiki/Percentile, "The nearest-rank
  method").  Those over long periods are read from sketches where the store keeps them, and then are
  within 1 % of that value (`urlmon.domain.sketches.RELATIVE_ERROR`); `exact` tells.  Counts, sums,
  the smallest and the largest are always exact.
- Windows are half-open, in UTC, and labelled by their start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from attrs import evolve, frozen

from urlmon.domain._validators import is_positive
from urlmon.domain.check_results import CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId
from urlmon.domain.pages import check_many
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError

_Hour = TypeVar("_Hour")


@frozen(kw_only=True)
class ResponseTimes:
    """Response times of successful checks, in whole microseconds.

    Attributes:
        count: How many had a response time.
        total_us: Their sum.
        min_us: The shortest.
        max_us: The longest.
        p50_us: The median, by nearest rank.
        p95_us: The 95th percentile, by nearest rank.
        p99_us: The 99th percentile, by nearest rank.
        exact: Whether the percentiles are exact; if not, a sketch took part, and each is within
            1 % of the exact one (`urlmon.domain.sketches.RELATIVE_ERROR`).
    """

    count: int
    total_us: int
    min_us: int
    max_us: int
    p50_us: int
    p95_us: int
    p99_us: int
    exact: bool = True

    @property
    def mean_us(self) -> float:
        """The arithmetic mean."""
        return self.total_us / self.count


@frozen
class PhaseMeans:
    """The arithmetic mean of each phase, in microseconds.

    Each is over the successful checks that have the phase, and None where none has it.
    """

    dns_us: float | None = None
    connect_us: float | None = None
    tls_us: float | None = None
    ttfb_us: float | None = None
    transfer_us: float | None = None


@frozen(kw_only=True)
class Statistics:
    """What a set of results amounts to.

    Attributes:
        checks: How many results there are.
        failures: How many of them failed.
        response_times: Those of the successful ones; None where none has one.
        phases: How those divide.
    """

    checks: int = 0
    failures: int = 0
    response_times: ResponseTimes | None = None
    phases: PhaseMeans = PhaseMeans()

    @property
    def uptime(self) -> float | None:
        """Successes divided by checks, 0 to 1; None where there are no results."""
        return (self.checks - self.failures) / self.checks if self.checks else None


@frozen(kw_only=True)
class Summary:
    """A monitor's period.

    Attributes:
        period: Which.
        statistics: What its results amount to.
        coverage: The share of the period that has results, 0 to 1.
        previous: The period of the same length before it, which has none itself; None where that
            would begin before the year 2000.
    """

    period: Period
    statistics: Statistics
    coverage: float
    previous: Summary | None = None


@frozen(kw_only=True)
class Window:
    """One window of a series.

    Attributes:
        period: From its label on.
        statistics: What its results amount to; without any, the counts are 0 and uptime is None.
    """

    period: Period
    statistics: Statistics


@frozen(kw_only=True)
class DailyBar:
    """One day in a time zone.

    Attributes:
        day: The day on the zone's calendar.
        period: From its first to the next day's first instant: 24 hours on most days.
        statistics: What its results amount to.
    """

    day: date
    period: Period
    statistics: Statistics


@frozen(kw_only=True)
class FailureGroup:
    """The failures of one kind.

    Attributes:
        kind: At which step they failed.
        count: How many.
        first_at: `scheduled_at` of the oldest.
        last_at: `scheduled_at` of the newest.
        last_message: What the newest said; of several, the one whose location sorts first.
    """

    kind: ErrorKind
    count: int
    first_at: datetime
    last_at: datetime
    last_message: str


@frozen(kw_only=True)
class DailyUsage:
    """How many results a tenant had on a UTC day."""

    day: date
    checks: int


def rank_of(percent: int, count: int) -> int:
    """Return the rank of a percentile among `count` ordered values, from 1 on."""
    return -(-percent * count // 100)


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile of values in ascending order, at least one."""
    return ordered[rank_of(percent, len(ordered)) - 1]


def made(counts: Mapping[tuple[_Hour, str], int]) -> int:
    """Return how many checks were made, for coverage.

    Args:
        counts: How many results there are in each hour, or piece of one, from each location.
    """
    most: dict[_Hour, int] = {}
    for (hour, _), count in counts.items():
        most[hour] = max(count, most.get(hour, 0))
    return sum(most.values())


def coverage(checks_made: int, interval: timedelta, period: Period) -> float:
    """Return which share of a period that many checks cover, 0 to 1."""
    microsecond = timedelta(microseconds=1)
    # Whole numbers: the product can be longer than a timedelta is.
    expected = checks_made * (interval // microsecond)
    return min(1.0, expected / (period.length // microsecond))


def previous(period: Period) -> Period | None:
    """Return the period of the same length before one; None where it begins before 2000."""
    try:
        return Period(since=period.since - period.length, until=period.since)
    except (InvalidValueError, OverflowError):
        return None


def with_previous(
    summaries: Mapping[MonitorId, Summary], before: Mapping[MonitorId, Summary]
) -> dict[MonitorId, Summary]:
    """Put the summaries of the previous period beside those of a period."""
    return {
        monitor_id: evolve(summary, previous=before.get(monitor_id))
        for monitor_id, summary in summaries.items()
    }


def check_intervals(intervals: Mapping[MonitorId, timedelta]) -> None:
    """Refuse intervals that coverage cannot be counted by, and too many of them.

    Raises:
        InvalidValueError: There are more than 1,000, or one is not positive.
    """
    check_many("intervals", tuple(intervals))
    if not all(map(is_positive, intervals.values())):
        raise InvalidValueError("intervals", "must be positive durations")


def failure_groups(failures: Iterable[CheckResult]) -> tuple[FailureGroup, ...]:
    """Group failed results by kind: most frequent first, then by the kind's name."""
    by_kind: dict[ErrorKind, list[CheckResult]] = {}
    for failure in failures:
        if failure.error is not None:
            by_kind.setdefault(failure.error.kind, []).append(failure)
    groups = [_failure_group(kind, members) for kind, members in by_kind.items()]
    return tuple(sorted(groups, key=lambda group: (-group.count, group.kind)))


def _failure_group(kind: ErrorKind, members: Sequence[CheckResult]) -> FailureGroup:
    last_at = max(member.scheduled_at for member in members)
    newest = min(
        (member for member in members if member.scheduled_at == last_at),
        key=lambda member: member.location,
    )
    return FailureGroup(
        kind=kind,
        count=len(members),
        first_at=min(member.scheduled_at for member in members),
        last_at=last_at,
        last_message="" if newest.error is None else newest.error.message,
    )
