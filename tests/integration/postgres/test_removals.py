"""Removal in the real database: what is hidden before the sweep has come, and what meets there."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from attrs import evolve

from urlmon.domain.ids import MonitorId
from urlmon.domain.periods import Period
from urlmon.domain.tenants import TenantLimits, TenantStatus
from urlmon.errors import ConflictError, LimitExceededError, NotFoundError
from urlmon.services.sweep import Sweep
from urlmon.testing.builders import a_channel, a_monitor, a_result, a_tenant, an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import assert_same_refusal, refusal_of

if TYPE_CHECKING:
    from urlmon.domain.channels import NotificationChannel
    from urlmon.domain.directory import MonitorChange
    from urlmon.domain.ids import TenantId
    from urlmon.domain.monitors import Monitor
    from urlmon.testing.contracts.stores import RelationalStores, ResultStores
    from urlmon_adapters.postgres._database import Pool

_COUNTS = """
SELECT
    (SELECT count(*) FROM tenants) + (SELECT count(*) FROM monitors)
    + (SELECT count(*) FROM notification_channels) + (SELECT count(*) FROM monitor_channels)
    + (SELECT count(*) FROM monitor_tags) + (SELECT count(*) FROM alerts),
    (SELECT count(*) FROM check_results), (SELECT count(*) FROM removed_monitors)
"""
_MISCOUNTED = """
SELECT count(*) FROM tenants AS t
WHERE monitor_count <> (SELECT count(*) FROM monitors AS m WHERE m.tenant_id = t.id)
"""
_MISTAGGED = """
SELECT count(*) FROM (SELECT tenant_id, id, unnest(tags) AS tag FROM monitors) AS m
FULL JOIN monitor_tags AS t
    ON t.tenant_id = m.tenant_id AND t.monitor_id = m.id AND t.tag = m.tag
WHERE m.tag IS NULL OR t.tag IS NULL
"""


async def _furnished(stores: RelationalStores) -> tuple[TenantId, NotificationChannel, Monitor]:
    tenant = await stores.tenants.add(a_tenant())
    channel = await stores.channels.add(tenant.id, a_channel(tenant.id))
    monitor = a_monitor(tenant.id, channel_ids=(channel.id,), tags=("a-tag",))
    await stores.monitors.add(tenant.id, monitor)
    await stores.alerts.open(tenant.id, an_alert(tenant.id, monitor.id))
    return tenant.id, channel, monitor


async def _once(method: Any, *args: object, **kwargs: object) -> object:
    """Make a call that is not made again after a deadlock."""
    return await inspect.unwrap(method.__func__)(method.__self__, *args, **kwargs)


async def _one(pool: Pool, query: str) -> tuple[int, ...]:
    async with pool.connection() as connection:
        row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return tuple(row)


async def test_nothing_of_a_removed_tenant_answers(
    postgres_relational: RelationalStores, postgres_recording: ResultStores, postgres_pool: Pool
) -> None:
    """Before the sweep has come, every call says what it says of a tenant that never was."""
    stores, results = postgres_relational, postgres_recording.results
    tenant_id, channel, monitor = await _furnished(stores)
    alert = an_alert(tenant_id, monitor.id)
    at = postgres_recording.clock.now()
    period = Period(since=at - timedelta(hours=1), until=at + timedelta(hours=1))
    result = a_result(tenant_id, monitor.id, scheduled_at=at)
    await results.record([result])
    tenant = await stores.tenants.get(tenant_id)
    await stores.tenants.remove(tenant_id)
    assert await _one(postgres_pool, _COUNTS) == (6, 1, 0)
    unknown = a_tenant()
    for owner, refused in ((tenant, []), (unknown, [])):
        calls = (
            stores.tenants.get(owner.id),
            stores.tenants.update(evolve(tenant, id=owner.id)),
            stores.tenants.set_status(owner.id, status=TenantStatus.SUSPENDED, at=NOON),
            stores.channels.get(owner.id, channel.id),
            stores.channels.add(owner.id, a_channel(owner.id)),
            stores.channels.reveal(owner.id, channel.id),
            stores.channels.record_delivery(owner.id, channel.id, at=NOON),
            stores.monitors.get(owner.id, monitor.id),
            stores.monitors.add(owner.id, a_monitor(owner.id)),
            stores.monitors.update(owner.id, evolve(monitor, tenant_id=owner.id)),
            stores.monitors.set_enabled(owner.id, monitor.id, enabled=False, at=NOON),
            stores.directory.get(owner.id, monitor.id),
            stores.alerts.open(owner.id, evolve(alert, tenant_id=owner.id)),
            stores.alerts.get(owner.id, alert.id),
        )
        for call in calls:
            refused.append(await refusal_of(call))
            assert isinstance(refused[-1], NotFoundError)
        assert await stores.tenants.find_by_slug(owner.slug) is None
        assert (await stores.tenants.list()).items == ()
        assert (await stores.monitors.list(owner.id, tag="a-tag")).items == ()
        assert await stores.monitors.get_many(owner.id, [monitor.id]) == {}
        assert (await stores.channels.list(owner.id)).items == ()
        assert await stores.channels.for_monitor(owner.id, monitor.id) == ()
        assert (await stores.alerts.list(owner.id)).items == ()
        assert await stores.alerts.open_for(owner.id, [monitor.id]) == {}
        assert (await stores.directory.list_active()).items == ()
        assert await results.latest(owner.id, [monitor.id]) == {}
        assert (await results.history(owner.id, [monitor.id], period=period)).items == ()
        for remove in (
            stores.tenants.remove(owner.id),
            stores.channels.remove(owner.id, channel.id),
            stores.monitors.remove(owner.id, monitor.id),
        ):
            await remove
        if owner is tenant:
            of_removed = refused
    assert await _one(postgres_pool, _COUNTS) == (6, 1, 0)
    for one, other in zip(of_removed, refused, strict=True):
        keys = (tenant.id, unknown.id) if str(tenant.id) in str(one) else (channel.id, channel.id)
        if "monitor" not in str(one) or str(monitor.id) in str(one):
            assert_same_refusal(one, other, keys=keys)


async def test_a_sweep(
    postgres_relational: RelationalStores, postgres_recording: ResultStores, postgres_pool: Pool
) -> None:
    """It deletes what was removed and nothing else; late results are stored, and go as well."""
    stores, results = postgres_relational, postgres_recording.results
    at = datetime.now(UTC)

    class LaterClock:
        """Past the grace, for the second sweep."""

        offset = timedelta(seconds=5)

        def now(self) -> datetime:
            return at + self.offset

    clock = LaterClock()
    sweep = Sweep(stores.removals, results, clock, grace=timedelta(days=90))
    owners = [await _furnished(stores) for _ in range(3)]
    batch = [a_result(owner, each.id, scheduled_at=at) for owner, _, each in owners]
    await results.record(batch)
    await stores.tenants.remove(owners[0][0])
    await stores.monitors.remove(owners[1][0], owners[1][2].id)
    await sweep.run()
    # Of the second a tenant and a channel are left, of the third all six.
    assert await _one(postgres_pool, _COUNTS) == (8, 1, 2)
    late = [evolve(each, scheduled_at=at - timedelta(minutes=1)) for each in batch]
    assert all(fate.stored for fate in await results.record(late))
    assert await _one(postgres_pool, _COUNTS) == (8, 4, 2)
    LaterClock.offset = timedelta(days=90, seconds=5)
    await sweep.run()
    assert await _one(postgres_pool, _COUNTS) == (8, 2, 0)


async def test_results_wait_for_the_rest_of_their_tenant(
    postgres_relational: RelationalStores,
) -> None:
    """A monitor is not due while its tenant's rows hide results from whoever deletes them."""
    stores = postgres_relational
    tenant_id, _, _ = await _furnished(stores)
    await stores.monitors.add(tenant_id, a_monitor(tenant_id))
    await stores.tenants.remove(tenant_id)
    assert await stores.removals.clear(limit=2) == 2  # an alert and one of two monitors
    later = datetime.now(UTC) + timedelta(hours=1)
    assert await stores.removals.claim(now=later, lease=timedelta(hours=1)) == ()
    assert await stores.removals.clear() == 3
    assert len(await stores.removals.claim(now=later, lease=timedelta(hours=1))) == 2


async def test_results_of_a_monitor_in_no_table(
    postgres_recording: ResultStores, postgres_pool: Pool
) -> None:
    """Deleting goes on past the rows of one step, and leaves other monitors' alone."""
    results = postgres_recording.results
    tenant, monitor, other = a_tenant(), MonitorId.new(), MonitorId.new()
    now = postgres_recording.clock.now()
    for part in range(3):
        await results.record(
            [
                a_result(tenant.id, monitor, scheduled_at=now - timedelta(minutes=part * 5000 + n))
                for n in range(4500)
            ]
        )
    await results.record([a_result(tenant.id, other, scheduled_at=now)])
    await results.forget_monitor(tenant.id, monitor)
    assert set(await results.latest(tenant.id, [monitor, other])) == {other}
    assert (await _one(postgres_pool, _COUNTS))[1] == 1


async def test_a_tenant_that_goes_while_it_is_used(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """Whatever meets the removal is refused as not found, or goes with it; nothing deadlocks."""
    stores = postgres_relational
    for _ in range(10):
        tenant_id, channel, monitor = await _furnished(stores)
        answers = await asyncio.gather(
            _once(stores.channels.remove, tenant_id, channel.id),
            _once(stores.monitors.update, tenant_id, evolve(monitor, channel_ids=())),
            _once(stores.monitors.add, tenant_id, a_monitor(tenant_id)),
            _once(stores.tenants.remove, tenant_id),
            _once(stores.alerts.open, tenant_id, an_alert(tenant_id, monitor.id, rule="new")),
            _once(stores.channels.add, tenant_id, a_channel(tenant_id)),
            _once(stores.monitors.remove, tenant_id, monitor.id),
            _once(stores.tenants.set_status, tenant_id, status=TenantStatus.SUSPENDED, at=NOON),
            _once(stores.removals.clear),
            return_exceptions=True,
        )
        for answer in answers:
            expected = (NotFoundError, ConflictError)
            assert not isinstance(answer, BaseException) or isinstance(answer, expected)
    while await stores.removals.clear():
        pass
    assert (await _one(postgres_pool, _COUNTS))[0] == 0


async def test_counts_and_tags_stay_in_step(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """Whoever adds, changes and removes monitors at once: the count and the tags are right."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant(limits=TenantLimits(max_monitors=20)))
    rows = [a_monitor(tenant.id, tags=(f"tag-{n}", "all")) for n in range(30)]
    answers = await asyncio.gather(
        *(stores.monitors.add(tenant.id, row) for row in rows), return_exceptions=True
    )
    assert sum(isinstance(answer, LimitExceededError) for answer in answers) == 10
    added = [answer for answer in answers if not isinstance(answer, BaseException)]
    await asyncio.gather(
        *(stores.monitors.remove(tenant.id, row.id) for row in added[:8]),
        *(stores.monitors.update(tenant.id, evolve(row, tags=("new",))) for row in added[8:14]),
        *(stores.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(8)),
        return_exceptions=True,
    )
    assert await _one(postgres_pool, _MISCOUNTED) == (0,)
    assert await _one(postgres_pool, _MISTAGGED) == (0,)
    assert len((await stores.monitors.list(tenant.id, tag="new")).items) == 6
    for _ in range(30):
        try:
            await stores.monitors.add(tenant.id, a_monitor(tenant.id))
        except LimitExceededError:
            break
    assert len((await stores.monitors.list(tenant.id)).items) == 20


async def test_the_feed_tells_of_a_removed_tenant_once(
    postgres_relational: RelationalStores,
) -> None:
    """However far the sweep has come, who follows the feed is told of each monitor, and once."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    ids = sorted(
        [(await stores.monitors.add(tenant.id, a_monitor(tenant.id))).id for _ in range(5)]
    )
    cursor: str | None = None
    told: list[MonitorChange] = []
    async with asyncio.timeout(30):
        while len(told) < 5:
            page = await stores.directory.changes(cursor=cursor)
            told += page.items
            cursor = page.next_cursor
        await stores.tenants.remove(tenant.id)
        told = []
        while len(told) < 5:
            page = await stores.directory.changes(cursor=cursor, limit=2)
            told += page.items
            cursor = page.next_cursor
            await stores.removals.clear(limit=1)
    while await stores.removals.clear(limit=2):
        assert (await stores.directory.changes(cursor=cursor)).items == ()
    assert [change.monitor_id for change in told] == ids
    assert {change.monitor for change in told} == {None}
    again = (await stores.directory.changes()).items
    assert [change.monitor_id for change in again] == ids
