"""The contract of reading and forgetting check results, a part of `CheckResultStoreContract`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from urlmon.domain.check_results import CLOCK_TOLERANCE, CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import encode_cursor
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts._recording import (
    BOOM,
    LOCATIONS,
    MICROSECOND,
    MINUTE,
    RETENTION,
    everything,
    record,
    whole_span,
)
from urlmon.testing.contracts.isolation import assert_nil_refused
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages
from urlmon.testing.contracts.stores import ResultStores


class LatestContract:
    """What `latest` answers."""

    async def test_the_newest_of_each_monitor(self, recording: ResultStores) -> None:
        """Each monitor with results is there with its newest, however old that is."""
        tenant = TenantId.new()
        now = recording.clock.now()
        newest: dict[MonitorId, CheckResult] = {}
        for at in (now + CLOCK_TOLERANCE, now, now - timedelta(days=20), now - RETENTION):
            monitor = MonitorId.new()
            newest[monitor] = a_result(tenant, monitor, scheduled_at=at, checked_at=now)
            older = [
                evolve(newest[monitor], scheduled_at=each, error=BOOM)
                for each in (at - MICROSECOND, at - timedelta(days=3))
                if each >= now - RETENTION
            ]
            await record(recording, *older, newest[monitor])
        asked = [*newest, MonitorId.new(), *newest]
        assert await recording.results.latest(tenant, asked) == newest

    async def test_of_equally_new_ones_a_failure(self, recording: ResultStores) -> None:
        """Of one instant a failure comes first, then the location that sorts first."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        results = [
            a_result(tenant, monitor, scheduled_at=now, location=location) for location in LOCATIONS
        ]
        for result in reversed(results):
            await record(recording, result)
            assert await recording.results.latest(tenant, [monitor]) == {monitor: result}
        for result in reversed(results):
            failure = evolve(result, error=BOOM)
            await record(recording, failure)
            assert await recording.results.latest(tenant, [monitor]) == {monitor: failure}

    async def test_latest_has_its_limit(self, recording: ResultStores) -> None:
        """None, one or 1,000 monitors may be asked for; 1,001 are refused."""
        tenant = TenantId.new()
        at = recording.clock.now()
        monitors = [MonitorId.new() for _ in range(1_001)]
        results = [a_result(tenant, monitor, scheduled_at=at) for monitor in monitors[:500]]
        await record(recording, *results)
        assert await recording.results.latest(tenant, []) == {}
        found = await recording.results.latest(tenant, monitors[:1_000])
        assert found == {result.monitor_id: result for result in results}
        for too_many in (monitors, monitors[:1] * 1_001):
            with pytest.raises(InvalidValueError, match="monitor_ids"):
                await recording.results.latest(tenant, too_many)


class HistoryContract:
    """What `history` answers."""

    async def test_newest_first_then_by_location(self, recording: ResultStores) -> None:
        """A history is in order of time, and of the location's name within an instant."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        assert await everything(recording, tenant, monitor) == history

    async def test_filters(self, recording: ResultStores) -> None:
        """Filters leave in what they say, alone and together."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        for success in (None, True, False):
            for location in (None, "a-z", "eu.1", "elsewhere"):
                page = await recording.results.history(
                    tenant,
                    monitor,
                    period=whole_span(recording),
                    success=success,
                    location=location,
                )
                assert page.items == tuple(
                    result
                    for result in history
                    if success in {None, result.success} and location in {None, result.location}
                )

    async def test_a_period_is_half_open(self, recording: ResultStores) -> None:
        """The beginning of a period belongs to it and its end does not, by the microsecond."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        first, second, third = (
            a_result(tenant, monitor, scheduled_at=now - MINUTE + number * MICROSECOND)
            for number in range(3)
        )
        await record(recording, first, second, third)
        for since, until, expected in (
            (first, second, (first,)),
            (first, third, (second, first)),
            (second, third, (second,)),
        ):
            period = Period(since=since.scheduled_at, until=until.scheduled_at)
            page = await recording.results.history(tenant, monitor, period=period)
            assert page.items == expected
            assert page.next_cursor is None

    async def test_pages_join_without_a_seam(self, recording: ResultStores) -> None:
        """Pages give each result once, also where many share an instant, and end with the last."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        span = whole_span(recording)
        await assert_pages(
            lambda cursor, limit: recording.results.history(
                tenant, monitor, period=span, cursor=cursor, limit=limit
            ),
            history,
        )
        await assert_pages(
            lambda cursor, limit: recording.results.history(
                tenant, monitor, period=span, success=False, cursor=cursor, limit=limit
            ),
            [result for result in history if not result.success],
        )

    async def test_a_page_may_shrink_its_period(self, recording: ResultStores) -> None:
        """A cursor continues where it stands, also within another period or filter."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        span = whole_span(recording)
        page = await recording.results.history(tenant, monitor, period=span, limit=14)
        narrow = Period(since=history[14].scheduled_at, until=span.until)
        rest = await recording.results.history(
            tenant, monitor, period=narrow, cursor=page.next_cursor
        )
        assert rest.items == history[14:20]
        earlier = Period(since=span.since, until=history[10].scheduled_at)
        rest = await recording.results.history(
            tenant, monitor, period=earlier, cursor=page.next_cursor
        )
        assert rest.items == history[20:]
        later = Period(since=history[0].scheduled_at, until=span.until)
        rest = await recording.results.history(
            tenant, monitor, period=later, cursor=page.next_cursor
        )
        assert rest.items == ()

    async def test_what_cannot_be_is_refused(self, recording: ResultStores) -> None:
        """So are limits out of range, cursors of another list or monitor, and no locations."""
        tenant, monitor, other = TenantId.new(), MonitorId.new(), MonitorId.new()
        await a_history(recording, tenant, monitor)
        await a_history(recording, tenant, other)
        span = whole_span(recording)
        history = recording.results.history
        await assert_page_arguments(
            lambda cursor, limit: history(tenant, monitor, period=span, cursor=cursor, limit=limit),
            others=[history(tenant, other, period=span, limit=2)],
        )
        for at, location in (("yesterday", "a"), ("9" * 30, "a"), ("1790000000000000", "\x00")):
            cursor = encode_cursor("check_results", monitor.hex, at, location)
            with pytest.raises(InvalidValueError, match="cursor"):
                await history(tenant, monitor, period=span, cursor=cursor)
        for location in ("", "\x00", "Köln", "a" * 64, "-a", "a\n"):
            with pytest.raises(InvalidValueError, match="location"):
                await history(tenant, monitor, period=span, location=location)


class ForgettingContract:
    """What `forget_monitor` deletes, and who sees what."""

    async def test_a_monitor_is_forgotten(self, recording: ResultStores) -> None:
        """All of its results go and nobody else's, however often; new ones are kept."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        await a_history(recording, tenant, monitor)
        others = [(tenant, MonitorId.new()), (TenantId.new(), monitor)]
        kept = [await a_history(recording, *other) for other in others]
        for _ in range(2):
            await recording.results.forget_monitor(tenant, monitor)
            assert await everything(recording, tenant, monitor) == ()
            assert await recording.results.latest(tenant, [monitor]) == {}
        assert [await everything(recording, *other) for other in others] == kept
        again = await a_history(recording, tenant, monitor)
        assert await everything(recording, tenant, monitor) == again

    async def test_a_foreign_tenant_is_like_none(self, recording: ResultStores) -> None:
        """Another tenant sees and deletes nothing, just as for a monitor that nobody has."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        other = TenantId.new()
        await record(
            recording, a_result(other, MonitorId.new(), scheduled_at=recording.clock.now())
        )
        for stranger, asked in ((other, monitor), (TenantId.new(), monitor), (tenant, None)):
            target = asked or MonitorId.new()
            assert await everything(recording, stranger, target) == ()
            assert await recording.results.latest(stranger, [target]) == {}
            await recording.results.forget_monitor(stranger, target)
        assert await everything(recording, tenant, monitor) == history

    async def test_the_nil_tenant_is_refused(self, recording: ResultStores) -> None:
        """Every method for one tenant refuses the nil UUID."""
        monitor = MonitorId.new()
        span = whole_span(recording)
        await assert_nil_refused(
            lambda nil: recording.results.latest(nil, [monitor]),
            lambda nil: recording.results.history(nil, monitor, period=span),
            lambda nil: recording.results.forget_monitor(nil, monitor),
        )


async def a_history(
    recording: ResultStores, tenant_id: TenantId, monitor_id: MonitorId
) -> tuple[CheckResult, ...]:
    """Record three instants of ten locations each, every third failed; return them in order."""
    now = recording.clock.now()
    history = [
        a_result(
            tenant_id,
            monitor_id,
            scheduled_at=at,
            location=location,
            response_time_us=number,
            error=BOOM if number % 3 == 0 else None,
        )
        for at in (now, now - MICROSECOND, now - timedelta(days=40))
        for number, location in enumerate(LOCATIONS)
    ]
    await record(recording, *history[::2], *reversed(history[1::2]))
    return tuple(history)
