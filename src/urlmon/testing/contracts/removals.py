"""What every `Removals` must pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.removals import RemovedMonitor
from urlmon.errors import InvalidValueError
from urlmon.ports import Removals
from urlmon.testing.builders import a_channel, a_monitor, a_tenant, an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import RelationalStores

# Later than any store's clock, which decides when a monitor was removed.
_LATER = datetime(2190, 1, 1, tzinfo=UTC)
_LEASE = timedelta(minutes=1)


class RemovalsContract:
    """The contract of `Removals`."""

    async def test_nothing_was_removed(self, relational: RelationalStores) -> None:
        """What is there is left alone."""
        tenant_id = await _tenant_with(relational, 2)
        assert await relational.removals.clear() == 0
        assert await relational.removals.claim(now=_LATER, lease=_LEASE) == ()
        assert len((await relational.monitors.list(tenant_id)).items) == 2

    async def test_a_removed_monitor(self, relational: RelationalStores) -> None:
        """A monitor that was removed is due at once; one that never was there is not known."""
        tenant_id = await _tenant_with(relational, 2)
        monitor, _ = (await relational.monitors.list(tenant_id)).items
        await relational.monitors.remove(tenant_id, monitor.id)
        await relational.monitors.remove(tenant_id, a_monitor(tenant_id).id)
        (removed,) = await relational.removals.claim(now=_LATER, lease=_LEASE)
        assert (removed.tenant_id, removed.monitor_id) == (tenant_id, monitor.id)
        assert removed.removed_at < _LATER

    async def test_a_lease(self, relational: RelationalStores) -> None:
        """What is claimed is nobody else's until its lease is over, to the microsecond."""
        await _removed(relational)
        claim = relational.removals.claim
        (removed,) = await claim(now=_LATER, lease=_LEASE)
        end = _LATER + _LEASE
        assert await claim(now=end - timedelta(microseconds=1), lease=_LEASE) == ()
        assert await claim(now=end, lease=_LEASE) == (removed,)

    async def test_settle(self, relational: RelationalStores) -> None:
        """A monitor is due again when it was said to be, or never; saying so twice is no harm."""
        await _removed(relational)
        removals = relational.removals
        (removed,) = await removals.claim(now=_LATER, lease=_LEASE)
        due_at = _LATER + timedelta(microseconds=1)
        for _ in range(2):
            await removals.settle({removed: due_at})
        assert await removals.claim(now=_LATER, lease=_LEASE) == ()
        assert await removals.claim(now=due_at, lease=_LEASE) == (removed,)
        for _ in range(2):
            await removals.settle({removed: None})
        assert await removals.claim(now=_LATER + 2 * _LEASE, lease=_LEASE) == ()

    @pytest.mark.parametrize("due_at", [None, _LATER + _LEASE])
    async def test_removed_again_meanwhile(
        self, relational: RelationalStores, due_at: datetime | None
    ) -> None:
        """Who settles an earlier removal leaves the later one due."""
        monitor = await _removed(relational)
        (removed,) = await relational.removals.claim(now=_LATER, lease=_LEASE)
        await relational.monitors.add(monitor.tenant_id, monitor)
        assert await relational.removals.claim(now=_LATER + _LEASE, lease=_LEASE) == ()
        await relational.monitors.remove(monitor.tenant_id, monitor.id)
        earlier = evolve(removed, removed_at=removed.removed_at - timedelta(seconds=1))
        await relational.removals.settle({earlier: due_at})
        (again,) = await relational.removals.claim(now=_LATER, lease=_LEASE)
        assert again.monitor_id == monitor.id

    async def test_a_removed_tenant(self, relational: RelationalStores) -> None:
        """However small the steps, a tenant goes and each of its monitors is due, once."""
        kept = await _tenant_with(relational, 1)
        monitors: set[tuple[TenantId, object]] = set()
        for _ in range(2):
            tenant_id = await _tenant_with(relational, 3)
            for monitor in (await relational.monitors.list(tenant_id)).items:
                monitors.add((tenant_id, monitor.id))
            await relational.tenants.remove(tenant_id)
        for _ in range(100):
            if not await relational.removals.clear(limit=2):
                break
        assert await relational.removals.clear() == 0
        claimed = await relational.removals.claim(now=_LATER, lease=_LEASE)
        assert {(each.tenant_id, each.monitor_id) for each in claimed} == monitors
        assert len(claimed) == 6
        (monitor,) = (await relational.monitors.list(kept)).items
        assert len((await relational.alerts.list(kept)).items) == 1
        assert len(await relational.channels.for_monitor(kept, monitor.id)) == 1

    async def test_a_tenant_that_is_added_again(self, relational: RelationalStores) -> None:
        """Id and slug are free before anything was cleared, and what was there does not return."""
        for field in ("id", "slug"):
            tenant = await relational.tenants.add(a_tenant())
            await _furnish(relational, tenant.id, 2)
            await relational.tenants.remove(tenant.id)
            again = a_tenant(**{field: getattr(tenant, field)})
            assert await relational.tenants.add(again) == again
            await _furnish(relational, again.id, 1)
            while await relational.removals.clear():
                pass
            assert await relational.tenants.find_by_slug(again.slug) == again
            assert len((await relational.monitors.list(again.id)).items) == 1
            assert len((await relational.alerts.list(again.id)).items) == 1
            assert len((await relational.channels.list(again.id)).items) == 1

    async def test_claims_of_many(self, relational: RelationalStores) -> None:
        """Claims at the same time share what is due, and none takes more than it asked for."""
        tenant_id = await _tenant_with(relational, 9)
        for monitor in (await relational.monitors.list(tenant_id)).items:
            await relational.monitors.remove(tenant_id, monitor.id)
        claims = [relational.removals.claim(now=_LATER, lease=_LEASE, limit=2) for _ in range(8)]
        claimed: list[RemovedMonitor] = []
        for some in await asyncio.gather(*claims):
            assert len(some) <= 2
            claimed += some
        claimed += await relational.removals.claim(now=_LATER, lease=_LEASE)
        assert len(claimed) == len(set(claimed)) == 9

    async def test_arguments(self, relational: RelationalStores) -> None:
        """Limits, leases and instants out of range are refused by name."""
        removals = relational.removals
        monitor = a_monitor(TenantId.new())
        removed = RemovedMonitor(
            tenant_id=monitor.tenant_id, monitor_id=monitor.id, removed_at=NOON
        )
        naive = NOON.replace(tzinfo=None)
        many = dict.fromkeys(
            (evolve(removed, monitor_id=MonitorId.new()) for _ in range(1001)), None
        )
        calls: list[tuple[str, Callable[[Removals], Coroutine[Any, Any, object]]]] = [
            ("limit", lambda removals: removals.clear(limit=0)),
            ("limit", lambda removals: removals.clear(limit=1001)),
            ("limit", lambda removals: removals.claim(now=NOON, lease=_LEASE, limit=0)),
            ("lease", lambda removals: removals.claim(now=NOON, lease=timedelta(0))),
            ("now", lambda removals: removals.claim(now=naive, lease=_LEASE)),
            ("due", lambda removals: removals.settle({removed: naive})),
            ("due", lambda removals: removals.settle(many)),
        ]
        for field, call in calls:
            error = await refusal_of(call(removals))
            assert isinstance(error, InvalidValueError)
            assert error.field == field


async def _tenant_with(relational: RelationalStores, monitors: int) -> TenantId:
    tenant = await relational.tenants.add(a_tenant())
    await _furnish(relational, tenant.id, monitors)
    return tenant.id


async def _furnish(relational: RelationalStores, tenant_id: TenantId, monitors: int) -> None:
    """Give a tenant monitors with a channel, a tag and an alert each."""
    channel = await relational.channels.add(tenant_id, a_channel(tenant_id))
    for _ in range(monitors):
        monitor = a_monitor(tenant_id, channel_ids=(channel.id,), tags=("a-tag",))
        await relational.monitors.add(tenant_id, monitor)
        await relational.alerts.open(tenant_id, an_alert(tenant_id, monitor.id))


async def _removed(relational: RelationalStores) -> Monitor:
    """Add a monitor, and remove it."""
    tenant = await relational.tenants.add(a_tenant())
    monitor = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
    await relational.monitors.remove(tenant.id, monitor.id)
    return monitor
