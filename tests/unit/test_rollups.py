"""Sums and rollups: added up again, they are those of all results."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from tests.result_strategies import MICROSECOND, results

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.fates import strongest
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.rollups import hour_of, rollups_of, split_at_hours
from urlmon.domain.statistics import PhaseMeans, Statistics
from urlmon.domain.sums import Sums, statistics_of
from urlmon.testing.builders import a_result
from urlmon.testing.clock import NOON
from urlmon.testing.contracts import _brute_force as brute_force
from urlmon.testing.contracts._alike import assert_alike

HOUR = timedelta(hours=1)
ALWAYS = Period(since=NOON - 999 * HOUR, until=NOON + 999 * HOUR)
due = st.builds(
    lambda halves, near: NOON + halves * HOUR / 2 + near * MICROSECOND,
    st.integers(-6, 6),
    st.integers(-1, 1),
)
some = st.lists(results([TenantId.new()], [MonitorId.new() for _ in range(2)], due), max_size=20)


@given(some, st.integers(0, 20), st.integers(0, 20))
def test_sums_of_parts_are_exact(given_results: list[CheckResult], one: int, two: int) -> None:
    """While the response times are at hand, parts give what all results do."""
    first, second = sorted((one, two))
    parts = given_results[:first], given_results[first:second], given_results[second:]
    merged = Sums.merged(map(Sums.of, parts))
    assert merged.statistics() == statistics_of(given_results)
    assert merged.statistics() == brute_force.statistics(given_results, ALWAYS)
    assert merged.distribution() == Sums.of(given_results).distribution()


@given(some, st.integers(0, 20))
def test_rolled_up_parts_are_within_the_bound(given_results: list[CheckResult], cut: int) -> None:
    """Where a part has only its sketch, all but the percentiles is exact, and they say so."""
    rolled_up = Sums.of(given_results[:cut]).rolled_up()
    merged = Sums.merged([Sums.of(given_results[cut:]), rolled_up, Sums()])
    exact = statistics_of(given_results)
    assert_alike(merged.statistics(), exact)
    if merged.statistics().response_times is not None:
        sketched = any(
            each.success and each.response_time_us is not None for each in given_results[:cut]
        )
        assert merged.statistics().response_times.exact is not sketched


def test_no_results() -> None:
    """Nothing adds up to nothing, and phases that nobody has are None."""
    assert Sums.merged([]).statistics() == Statistics()
    assert Sums.merged([Sums(), Sums()]).statistics() == Statistics()
    assert Sums().rolled_up().statistics() == Statistics()


def test_phases_of_successes() -> None:
    """A mean is over the successes that have the phase; 0 is a phase."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    boom = CheckError(kind=ErrorKind.TLS)
    given_results = [
        a_result(tenant, monitor, phases=Phases(dns_us=0, ttfb_us=5)),
        a_result(tenant, monitor, phases=Phases(dns_us=3)),
        a_result(tenant, monitor, phases=Phases(dns_us=100, tls_us=7), error=boom),
    ]
    assert statistics_of(given_results).phases == PhaseMeans(dns_us=1.5, ttfb_us=5.0)


@given(some)
def test_rollups_divide_results_by_hour(given_results: list[CheckResult]) -> None:
    """Each result is in the rollup of its key and hour, which come in order."""
    stands = strongest(given_results)
    rollups = rollups_of(stands)
    keys = [(each.tenant_id, each.monitor_id, each.location, each.hour) for each in rollups]
    assert keys == sorted(set(keys))
    for rollup in rollups:
        members = [
            each
            for each in stands
            if (each.monitor_id, each.location) == (rollup.monitor_id, rollup.location)
            and rollup.hour <= each.scheduled_at < rollup.hour + HOUR
        ]
        assert rollup.sums == Sums.of(members).rolled_up()
    assert sum(rollup.sums.checks for rollup in rollups) == len(stands)
    assert_alike(Sums.merged(each.sums for each in rollups).statistics(), statistics_of(stands))


@given(due, st.integers(1, 20), st.integers(-1, 1), st.none() | due)
def test_a_period_is_split_without_a_gap(
    since: datetime, halves: int, near: int, closed: datetime | None
) -> None:
    """Edges and hours join in order, hours are whole and closed, and edges are short."""
    period = Period(since=since, until=since + halves * HOUR / 2 + near * MICROSECOND)
    split = split_at_hours(period, closed_until=closed)
    parts = sorted([*split.edges, *([split.hours] if split.hours else [])], key=lambda p: p.since)
    assert (parts[0].since, parts[-1].until) == (period.since, period.until)
    assert [part.until for part in parts[:-1]] == [part.since for part in parts[1:]]
    if split.hours is not None:
        assert split.hours.since == hour_of(split.hours.since)
        assert split.hours.until == hour_of(split.hours.until)
        assert closed is None or split.hours.until <= closed
    if closed is None:
        assert all(edge.length < 2 * HOUR for edge in split.edges)
        assert sum(edge.length >= HOUR for edge in split.edges) == (
            split.hours is None and period.length >= HOUR
        )


def test_a_period_of_whole_hours_has_no_edges() -> None:
    """Nothing is read that a rollup has."""
    period = Period(since=NOON, until=NOON + 3 * HOUR)
    assert split_at_hours(period).edges == ()
    assert split_at_hours(period).hours == period
    open_hour = split_at_hours(period, closed_until=NOON + 2.5 * HOUR)
    assert open_hour.hours == Period(since=NOON, until=NOON + 2 * HOUR)
    assert open_hour.edges == (Period(since=NOON + 2 * HOUR, until=NOON + 3 * HOUR),)
    assert evolve(open_hour, edges=()) == split_at_hours(open_hour.hours or period)
