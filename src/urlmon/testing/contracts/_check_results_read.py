"""The contract of reading check results, a part of `CheckResultStoreContract`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import evolve

from urlmon.domain.check_results import CheckResult
from urlmon.domain.fates import CLOCK_TOLERANCE
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import decode_cursor, encode_cursor
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts._recording import (
    BOOM,
    LOCATIONS,
    MICROSECOND,
    MINUTE,
    RETENTION,
    a_history,
    everything,
    record,
    whole_span,
)
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages, walk
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
                    [monitor],
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
            page = await recording.results.history(tenant, [monitor], period=period)
            assert page.items == expected
            assert page.next_cursor is None

    async def test_pages_join_without_a_seam(self, recording: ResultStores) -> None:
        """Pages give each result once, also where many share an instant, and end with the last."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        span = whole_span(recording)
        await assert_pages(
            lambda cursor, limit: recording.results.history(
                tenant, [monitor], period=span, cursor=cursor, limit=limit
            ),
            history,
        )
        await assert_pages(
            lambda cursor, limit: recording.results.history(
                tenant, [monitor], period=span, success=False, cursor=cursor, limit=limit
            ),
            [result for result in history if not result.success],
        )

    async def test_many_monitors_in_one_list(self, recording: ResultStores) -> None:
        """Of several monitors, each once, an instant's results are in order of their ids."""
        tenant, unknown = TenantId.new(), MonitorId.new()
        monitors = [MonitorId.new() for _ in range(3)]
        results = [
            result for monitor in monitors for result in await a_history(recording, tenant, monitor)
        ]
        await a_history(recording, tenant, MonitorId.new())
        await a_history(recording, TenantId.new(), monitors[0])
        results.sort(key=lambda each: (each.monitor_id, each.location))
        results.sort(key=lambda each: each.scheduled_at, reverse=True)
        asked = [*reversed(monitors), unknown, monitors[0]]
        for success in (None, True, False):
            pages = await _walk(recording, tenant, asked, success=success)
            assert [each for page in pages for each in page] == [
                each for each in results if success in {None, each.success}
            ]

    async def test_a_history_has_its_limit(self, recording: ResultStores) -> None:
        """None, one or 1,000 monitors may be asked for; 1,001 are refused."""
        tenant = TenantId.new()
        span = whole_span(recording)
        monitors = [MonitorId.new() for _ in range(1_001)]
        at = recording.clock.now()
        results = [a_result(tenant, each, scheduled_at=at) for each in monitors[:1_000:2]]
        await record(recording, *results)
        history = recording.results.history
        assert (await history(tenant, [], period=span)).items == ()
        page = await history(tenant, monitors[:1_000], period=span, limit=400)
        in_order = sorted(results, key=lambda each: each.monitor_id)
        assert page.items == tuple(in_order[:400])
        rest = await history(tenant, monitors[:1_000], period=span, cursor=page.next_cursor)
        assert rest.items == tuple(in_order[400:])
        with pytest.raises(InvalidValueError, match="monitor_ids"):
            await history(tenant, monitors, period=span)

    async def test_a_page_may_shrink_its_period(self, recording: ResultStores) -> None:
        """A cursor continues where it stands, also within another period or filter."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        span = whole_span(recording)
        page = await recording.results.history(tenant, [monitor], period=span, limit=14)
        narrow = Period(since=history[14].scheduled_at, until=span.until)
        rest = await recording.results.history(
            tenant, [monitor], period=narrow, cursor=page.next_cursor
        )
        assert rest.items == history[14:20]
        earlier = Period(since=span.since, until=history[10].scheduled_at)
        rest = await recording.results.history(
            tenant, [monitor], period=earlier, cursor=page.next_cursor
        )
        assert rest.items == history[20:]
        later = Period(since=history[0].scheduled_at, until=span.until)
        rest = await recording.results.history(
            tenant, [monitor], period=later, cursor=page.next_cursor
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
            lambda cursor, limit: history(
                tenant, [monitor], period=span, cursor=cursor, limit=limit
            ),
            others=[history(tenant, [other], period=span, limit=2)],
        )
        good = (await history(tenant, [monitor], period=span, limit=2)).next_cursor or ""
        name, scope, *last = decode_cursor(good, 5)
        nil = "0" * 32
        for place, wrong in ((0, "yesterday"), (0, "9" * 30), (1, "x"), (1, nil), (2, "\x00")):
            cursor = encode_cursor(name, scope, *last[:place], wrong, *last[place + 1 :])
            with pytest.raises(InvalidValueError, match="cursor"):
                await history(tenant, [monitor], period=span, cursor=cursor)
        for location in ("", "\x00", "Köln", "a" * 64, "-a", "a\n"):
            with pytest.raises(InvalidValueError, match="location"):
                await history(tenant, [monitor], period=span, location=location)


async def _walk(
    recording: ResultStores,
    tenant_id: TenantId,
    monitor_ids: Sequence[MonitorId],
    *,
    success: bool | None,
) -> list[tuple[CheckResult, ...]]:
    """Return a history in pages of seven."""
    return await walk(
        lambda cursor, limit: recording.results.history(
            tenant_id,
            monitor_ids,
            period=whole_span(recording),
            success=success,
            cursor=cursor,
            limit=limit,
        ),
        limit=7,
    )
