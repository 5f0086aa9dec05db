"""The contract of `CheckResultArchive`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import decode_cursor, encode_cursor
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts._recording import (
    BOOM,
    EMPTY,
    FULL,
    LOCATIONS,
    MICROSECOND,
    MINUTE,
    a_history,
    record,
    whole_span,
)
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages, walk
from urlmon.testing.contracts.stores import ResultStores


class CheckResultArchiveContract:
    """What every `CheckResultArchive` must hold, over the fixture `recording`."""

    async def test_everybodys_results_oldest_first(self, recording: ResultStores) -> None:
        """Each result of each tenant is there once and exactly, in order, however it is cut."""
        results: list[CheckResult] = []
        for _ in range(2):
            tenant = TenantId.new()
            for _ in range(2):
                results += await a_history(recording, tenant, MonitorId.new())
        at = recording.clock.now() - 5 * MINUTE
        for fields in (EMPTY, FULL):
            owner, monitor = TenantId.new(), MonitorId.new()
            results.append(a_result(owner, monitor, **fields, scheduled_at=at, error=BOOM))
            await record(recording, results[-1])
        results.sort(key=lambda each: (each.monitor_id, each.location))
        results.sort(key=lambda each: (each.scheduled_at, each.tenant_id))
        span = whole_span(recording)
        pages = await walk(
            lambda cursor, limit: recording.archive.scan(period=span, cursor=cursor, limit=limit),
            limit=7,
        )
        assert [each for page in pages for each in page] == results
        assert (await recording.archive.scan(period=span)).items == tuple(results)

    async def test_pages_join_without_a_seam(self, recording: ResultStores) -> None:
        """Also where many are due at one instant, and where instants lie far from each other."""
        tenant, now = TenantId.new(), recording.clock.now()
        results = [
            a_result(tenant, monitor, scheduled_at=at, location=location)
            for at in (now - timedelta(days=80), now - timedelta(days=3), now - MICROSECOND, now)
            for monitor in sorted(MonitorId.new() for _ in range(2))
            for location in LOCATIONS[:3]
        ]
        results.sort(key=lambda each: (each.scheduled_at, each.monitor_id, each.location))
        await record(recording, *results)
        span = whole_span(recording)
        await assert_pages(
            lambda cursor, limit: recording.archive.scan(period=span, cursor=cursor, limit=limit),
            results,
        )

    async def test_what_stands_is_there_once(self, recording: ResultStores) -> None:
        """Of an identity that was recorded as a success and as a failure, the failure is there."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        good = a_result(tenant, monitor, scheduled_at=recording.clock.now())
        bad = evolve(good, error=BOOM)
        for each in (good, bad, good):
            await record(recording, each)
        page = await recording.archive.scan(period=whole_span(recording))
        assert page.items == (bad,)

    async def test_a_period_is_half_open(self, recording: ResultStores) -> None:
        """Its beginning belongs to it and its end does not; a page may go on in another."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        first, second, third = (
            a_result(tenant, monitor, scheduled_at=now - MINUTE + number * MICROSECOND)
            for number in range(3)
        )
        await record(recording, first, second, third)
        period = Period(since=first.scheduled_at, until=third.scheduled_at)
        page = await recording.archive.scan(period=period)
        assert (page.items, page.next_cursor) == ((first, second), None)
        page = await recording.archive.scan(period=period, limit=1)
        assert page.items == (first,)
        rest = await recording.archive.scan(period=whole_span(recording), cursor=page.next_cursor)
        assert rest.items == (second, third)
        before = Period(since=now - 2 * MINUTE, until=now - MINUTE)
        assert (await recording.archive.scan(period=before)).items == ()

    async def test_what_cannot_be_is_refused(self, recording: ResultStores) -> None:
        """So are limits out of range and cursors of another list."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        await a_history(recording, tenant, monitor)
        span, scan = whole_span(recording), recording.archive.scan
        await assert_page_arguments(
            lambda cursor, limit: scan(period=span, cursor=cursor, limit=limit),
            others=[recording.results.history(tenant, [monitor], period=span, limit=2)],
        )
        name, *last = decode_cursor((await scan(period=span, limit=2)).next_cursor or "", 5)
        nil = "0" * 32
        for place, wrong in ((0, "yesterday"), (1, nil), (1, "x"), (2, nil), (3, "\x00")):
            cursor = encode_cursor(name, *last[:place], wrong, *last[place + 1 :])
            with pytest.raises(InvalidValueError, match="cursor"):
                await scan(period=span, cursor=cursor)
