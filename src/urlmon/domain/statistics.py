"""Uptime, coverage and percentiles, defined once for every store.

- Uptime is successes divided by checks, over the results there are.
- Coverage is the share of a period that has results: the period is cut into slots of the monitor's
  interval, from its start on, and a slot counts when at least one result was due in it.
- Response times are those of successful checks.  Percentiles are nearest-rank: of n ordered values,
  the one at position ceil(p / 100 * n) (https://en.wikipedia.org/wiki/Percentile, "The nearest-rank
  method").
- Windows are half-open, in UTC, and labelled by their start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from attrs import frozen

from urlmon.domain.check_results import CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId
from urlmon.domain.pages import check_many
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError

MAX_WINDOWS = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# In every zone these lie within the years 2000 to 2199 of UTC.
_FIRST_DAY, _LAST_DAY = date(2000, 1, 2), date(2199, 12, 30)
_HOW_MANY_DAYS = f"must give 1 to {MAX_WINDOWS} days from first on"


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
        exact: Whether the percentiles are exact, rather than read from a sketch.
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


@frozen(kw_only=True)
class Statistics:
    """What a set of results amounts to.

    Attributes:
        checks: How many results there are.
        failures: How many of them failed.
        response_times: Those of the successful ones; None where none has one.
    """

    checks: int = 0
    failures: int = 0
    response_times: ResponseTimes | None = None

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
    """

    period: Period
    statistics: Statistics
    coverage: float


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


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile of values in ascending order, at least one."""
    return ordered[-(-percent * len(ordered) // 100) - 1]


def response_times(values: Iterable[int]) -> ResponseTimes | None:
    """Sum up response times, exactly; None of no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ResponseTimes(
        count=len(ordered),
        total_us=sum(ordered),
        min_us=ordered[0],
        max_us=ordered[-1],
        p50_us=nearest_rank(ordered, 50),
        p95_us=nearest_rank(ordered, 95),
        p99_us=nearest_rank(ordered, 99),
    )


def statistics_of(results: Iterable[CheckResult]) -> Statistics:
    """Sum up results."""
    checks = failures = 0
    times: list[int] = []
    for result in results:
        checks += 1
        if not result.success:
            failures += 1
        elif result.response_time_us is not None:
            times.append(result.response_time_us)
    return Statistics(checks=checks, failures=failures, response_times=response_times(times))


def slots(period: Period, interval: timedelta) -> int:
    """Return into how many slots of the interval a period is cut; the last may be shorter."""
    return -(-period.length // interval)


def coverage_of(instants: Iterable[datetime], period: Period, interval: timedelta) -> float:
    """Return the share of a period's slots in which at least one of the instants lies."""
    covered = {(at - period.since) // interval for at in instants if at in period}
    return len(covered) / slots(period, interval)


def windows(period: Period, width: timedelta) -> tuple[Period, ...]:
    """Cut a period at the multiples of `width` since 1970.

    The first and last windows are shorter where the period does not begin or end at a multiple.

    Raises:
        InvalidValueError: The width is not positive, or there would be more than 2,000 windows.
    """
    if not _positive(width):
        raise InvalidValueError("width", "must be a positive duration")
    # The multiples that lie within the period, behind its beginning.
    first, end = (period.since - _EPOCH) // width + 1, -((_EPOCH - period.until) // width)
    if end - first >= MAX_WINDOWS:
        raise InvalidValueError("width", f"must give at most {MAX_WINDOWS} windows")
    cuts = (_EPOCH + number * width for number in range(first, end))
    edges = pairwise([period.since, *cuts, period.until])
    return tuple(Period(since=since, until=until) for since, until in edges)


def days(first: date, last: date, zone: str = "UTC") -> tuple[tuple[date, Period], ...]:
    """Return the days from `first` to `last`, both included, on the calendar of an IANA time zone.

    A day that the zone left out, when it moved across the date line, is left out here too.

    Raises:
        InvalidValueError: The zone is unknown, `last` is before `first`, there are more than 2,000
            days, or they reach out of the years 2000 to 2199.
    """
    for name, day in (("first", first), ("last", last)):
        if not _supported(day):
            raise InvalidValueError(name, f"must be a date from {_FIRST_DAY} to {_LAST_DAY}")
    calendar = _calendar(zone)
    if (last - first).days >= MAX_WINDOWS:
        raise InvalidValueError("last", _HOW_MANY_DAYS)
    dates = [first + timedelta(days=number) for number in range((last - first).days + 2)]
    # A day that begins without a midnight, because clocks are put forward at it, begins at what the
    # offset before makes of midnight; one with two midnights at the first.  Both are fold 0.
    edges = [datetime(d.year, d.month, d.day, tzinfo=calendar).astimezone(UTC) for d in dates]
    found = tuple(
        (day, Period(since=since, until=until))
        for day, (since, until) in zip(dates, pairwise(edges), strict=False)
        if since < until
    )
    if not found:
        raise InvalidValueError("last", _HOW_MANY_DAYS)
    return found


def _supported(day: object) -> bool:
    plain = not isinstance(day, datetime)
    return plain and isinstance(day, date) and _FIRST_DAY <= day <= _LAST_DAY


def _calendar(zone: str) -> tzinfo:
    # UTC is there also where the machine has no time zone database.
    if zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError, TypeError) as exc:
        raise InvalidValueError("zone", "must be the name of an IANA time zone") from exc


def check_intervals(intervals: Mapping[MonitorId, timedelta]) -> None:
    """Refuse intervals that coverage cannot be counted by, and too many of them.

    Raises:
        InvalidValueError: There are more than 1,000, or one is not positive.
    """
    check_many("intervals", tuple(intervals))
    if not all(map(_positive, intervals.values())):
        raise InvalidValueError("intervals", "must be positive durations")


def _positive(duration: object) -> bool:
    return isinstance(duration, timedelta) and duration > timedelta(0)


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
