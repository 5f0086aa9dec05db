"""Statistics worked out the slow and obvious way, to compare every store's answers with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from fractions import Fraction

from attrs import evolve

from urlmon.domain.check_results import CheckResult
from urlmon.domain.periods import Period
from urlmon.domain.statistics import PhaseMeans, ResponseTimes, Statistics, Summary


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
    successes = [each for each in within if each.error is None]
    times = [each.response_time_us for each in successes if each.response_time_us is not None]
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
        phases=phase_means(successes),
    )


def phase_means(successes: Sequence[CheckResult]) -> PhaseMeans:
    """Return the mean of each phase over the successes that have it."""
    means: dict[str, float | None] = {}
    for name in ("dns_us", "connect_us", "tls_us", "ttfb_us", "transfer_us"):
        known = [getattr(each.phases, name) for each in successes]
        known = [value for value in known if value is not None]
        means[name] = sum(known) / len(known) if known else None
    return PhaseMeans(**means)


def coverage(results: Iterable[CheckResult], period: Period, interval: timedelta) -> float:
    """Return the share of a period that its results cover, from hour to hour of UTC."""
    given = list(results)
    made = 0
    start = period.since
    while start < period.until:
        next_hour = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        end = min(next_hour, period.until)
        due = Counter(each.location for each in given if start <= each.scheduled_at < end)
        made += max(due.values(), default=0)
        start = end
    microsecond = timedelta(microseconds=1)
    share = Fraction(made * (interval // microsecond), period.length // microsecond)
    return float(min(share, Fraction(1)))


def summary(results: Sequence[CheckResult], period: Period, interval: timedelta) -> Summary:
    """Return the summary of a period, with that of the one before it."""
    before = Period(since=period.since - period.length, until=period.since)
    now, then = (
        Summary(
            period=each,
            statistics=statistics(results, each),
            coverage=coverage(results, each, interval),
        )
        for each in (period, before)
    )
    return evolve(now, previous=then)
