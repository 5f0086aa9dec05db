"""The contract that all answers agree, a part of `CheckStatisticsContract`.

However results came, once or twice, in order or late, with copies that say otherwise: each question
counts what stands, by hours, days and at the edges of a period.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from zoneinfo import ZoneInfo

from attrs import evolve

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import Statistics, failure_groups
from urlmon.domain.windows import days, windows
from urlmon.testing.builders import a_result
from urlmon.testing.contracts import _brute_force as brute_force
from urlmon.testing.contracts._alike import assert_alike
from urlmon.testing.contracts._recording import (
    BOOM,
    HOUR,
    MICROSECOND,
    MINUTE,
    SECOND,
    everything,
    record,
    whole_span,
)
from urlmon.testing.contracts.stores import ResultStores

_DNS = CheckError(kind=ErrorKind.DNS, message="no such name")


class AgreementContract:
    """What every question answers of the same results."""

    async def test_an_identity_counts_once(self, recording: ResultStores) -> None:
        """Recorded as a success and as a failure, it is one check that failed, in every answer."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        good = a_result(tenant, monitor, scheduled_at=now, phases=Phases(dns_us=1))
        bad = evolve(good, error=BOOM, response_time_us=None)
        for each in (good, bad, good):
            await record(recording, each)
        span, failed = whole_span(recording), Statistics(checks=1, failures=1)
        statistics = recording.statistics
        assert await everything(recording, tenant, monitor) == (bad,)
        assert await recording.results.latest(tenant, [monitor]) == {monitor: bad}
        summaries = await statistics.summary(tenant, {monitor: HOUR}, period=span)
        assert summaries[monitor].statistics == failed
        assert summaries[monitor].coverage == HOUR / span.length
        series = await statistics.series(tenant, [monitor], period=span, width=100 * HOUR)
        assert [each.statistics for each in series[monitor] if now in each.period] == [failed]
        daily = await statistics.daily(tenant, [monitor], first=now.date(), last=now.date())
        assert [bar.statistics for bar in daily[monitor]] == [failed]
        (group,) = (await statistics.failures(tenant, [monitor], period=span))[monitor]
        assert (group.count, group.last_message) == (1, BOOM.message)
        found = await statistics.by_location(tenant, [monitor], period=span)
        assert found[monitor] == {"default": failed}
        (usage,) = await statistics.usage(tenant, first=now.date(), last=now.date())
        assert usage.checks == 1

    async def test_all_questions_agree(self, recording: ResultStores) -> None:
        """Batches that overlap, repeat, contradict and come late give what stands, by any cut."""
        tenant = TenantId.new()
        monitors = [MonitorId.new() for _ in range(2)]
        stands = await _arrivals(recording, tenant, monitors)
        now = recording.clock.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        for period in (
            Period(since=hour - 50 * HOUR, until=hour - 2 * HOUR),
            Period(since=hour - 49 * HOUR - 7 * MINUTE, until=now - MICROSECOND),
            Period(since=hour - 3 * HOUR + SECOND, until=hour - 2 * HOUR - SECOND),
            whole_span(recording),
        ):
            await _assert_answers(recording, tenant, stands, period)

    async def test_days_agree(self, recording: ResultStores) -> None:
        """Days in any zone, of half hours too, and those of UTC count what stands."""
        tenant = TenantId.new()
        monitors = [MonitorId.new() for _ in range(2)]
        stands = await _arrivals(recording, tenant, monitors)
        statistics, now = recording.statistics, recording.clock.now()
        for zone in ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York"):
            today = now.astimezone(ZoneInfo(zone)).date()
            first = today - timedelta(days=3)
            daily = await statistics.daily(tenant, monitors, first=first, last=today, zone=zone)
            for monitor, bars in daily.items():
                assert [(bar.day, bar.period) for bar in bars] == [*days(first, today, zone)]
                for bar in bars:
                    exact = brute_force.statistics(stands[monitor], bar.period)
                    assert_alike(bar.statistics, exact)
        first = now.date() - timedelta(days=3)
        every = [each for results in stands.values() for each in results]
        usage = await statistics.usage(tenant, first=first, last=now.date())
        assert [(each.day, each.checks) for each in usage] == [
            (day, sum(each.scheduled_at in period for each in every))
            for day, period in days(first, now.date())
        ]


async def _assert_answers(
    recording: ResultStores,
    tenant: TenantId,
    stands: dict[MonitorId, list[CheckResult]],
    period: Period,
) -> None:
    statistics, monitors = recording.statistics, list(stands)
    within = {
        monitor: [each for each in results if each.scheduled_at in period]
        for monitor, results in stands.items()
    }
    interval = 10 * MINUTE
    assert_alike(
        await statistics.summary(tenant, dict.fromkeys(monitors, interval), period=period),
        {each: brute_force.summary(stands[each], period, interval) for each in monitors},
    )
    for width in (30 * MINUTE, 4 * HOUR) if period.length < timedelta(days=3) else (24 * HOUR,):
        series = await statistics.series(tenant, monitors, period=period, width=width)
        for monitor, found in series.items():
            assert tuple(window.period for window in found) == windows(period, width)
            for window in found:
                exact = brute_force.statistics(within[monitor], window.period)
                assert_alike(window.statistics, exact)
    assert await statistics.failures(tenant, monitors, period=period) == {
        each: failure_groups(within[each]) for each in monitors
    }
    found_places = await statistics.by_location(tenant, monitors, period=period)
    for monitor, results in within.items():
        places = sorted({each.location for each in results})
        exact_places = {
            place: brute_force.statistics([e for e in results if e.location == place], period)
            for place in places
        }
        assert_alike(found_places[monitor], exact_places)


async def _arrivals(
    recording: ResultStores, tenant: TenantId, monitors: list[MonitorId]
) -> dict[MonitorId, list[CheckResult]]:
    """Record some hundred results of two days in a disorderly way; return what stands."""
    random = Random(1)  # noqa: S311 - not a secret
    now = recording.clock.now()
    results = [
        a_result(
            tenant,
            monitor,
            scheduled_at=now - number * 10 * MINUTE,
            location=location,
            error=random.choice([None] * 8 + [BOOM, _DNS]),
            response_time_us=random.choice([None, number, int(random.lognormvariate(12, 2))]),
            phases=Phases(dns_us=number, ttfb_us=random.choice([None, number])),
        )
        for monitor in monitors
        for location in ("eu", "us")
        for number in range(300)
        if random.random() < 0.8
    ]
    # Some are sent again, and of some another checker says that they failed.
    failed = [evolve(each, error=BOOM) for each in random.sample(results, 60) if each.success]
    sent = [*results, *random.sample(results, 200), *failed]
    random.shuffle(sent)
    for start in range(0, len(sent), 97):
        await record(recording, *sent[start : start + 97])
    stands = {each.identity: each for each in (*results, *failed)}
    return {
        monitor: [each for each in stands.values() if each.monitor_id == monitor]
        for monitor in monitors
    }
