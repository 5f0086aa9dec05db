"""Statistics worked out the slow and obvious way, to compare every store's answers with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from urlmon.domain.check_results import CheckResult
from urlmon.domain.periods import Period
from urlmon.domain.statistics import ResponseTimes, Statistics


def percentile(values: Sequence[int], percent: int) -> int:
    """Return the smallest value that at least so many percent of the values do not exceed."""
    return min(
        value
        for value in values
        if 100 * sum(each <= value for each in values) >= percent * len(values)
    )


def statistics(results: Iterable[CheckResult], period: Period) -> Statistics:
    """Return what the results of a period amount to, by the words of the definition."""
    within = [each for each in results if period.since <= each.scheduled_at < period.until]
    failures = [each for each in within if each.error is not None]
    times = [
        each.response_time_us
        for each in within
        if each.error is None and each.response_time_us is not None
    ]
    return Statistics(
        checks=len(within),
        failures=len(failures),
        response_times=None
        if not times
        else ResponseTimes(
            count=len(times),
            total_us=sum(times),
            min_us=min(times),
            max_us=max(times),
            p50_us=percentile(times, 50),
            p95_us=percentile(times, 95),
            p99_us=percentile(times, 99),
        ),
    )


def coverage(instants: Iterable[datetime], period: Period, interval: timedelta) -> float:
    """Return the share of a period's slots that have a result, slot by slot."""
    due = list(instants)
    covered = slots = 0
    start = period.since
    while start < period.until:
        end = min(start + interval, period.until)
        covered += any(start <= at < end for at in due)
        slots += 1
        start = end
    return covered / slots
