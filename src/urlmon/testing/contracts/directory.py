"""What every `MonitorDirectory` must pass."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter

from attrs import evolve

from urlmon.domain.directory import MonitorChange
from urlmon.domain.ids import MonitorId
from urlmon.domain.monitors import Monitor
from urlmon.domain.tenants import Tenant, TenantStatus
from urlmon.errors import NotFoundError
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import assert_nil_refused, assert_same_refusal, refusal_of
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages
from urlmon.testing.contracts.stores import RelationalStores

_LATER = NOON + timedelta(hours=1)
_SETTLING_SECONDS = 30


class MonitorDirectoryContract:
    """The contract of `MonitorDirectory`."""

    async def test_get(self, relational: RelationalStores) -> None:
        """A monitor is returned, active or not."""
        tenant, monitors = await _tenant_with(relational, 2)
        await relational.monitors.set_enabled(tenant.id, monitors[0].id, enabled=False, at=NOON)
        await _set_status(relational, tenant, TenantStatus.SUSPENDED)
        for monitor in monitors:
            stored = await relational.monitors.get(tenant.id, monitor.id)
            assert await relational.directory.get(tenant.id, monitor.id) == stored

    async def test_isolation(self, relational: RelationalStores) -> None:
        """A stranger's monitor is like none, and the nil tenant is refused."""
        _, (monitor,) = await _tenant_with(relational, 1)
        stranger, _ = await _tenant_with(relational, 1)
        unknown = MonitorId.new()
        directory = relational.directory
        refusal = await refusal_of(directory.get(stranger.id, monitor.id))
        assert isinstance(refusal, NotFoundError)
        assert (refusal.entity, refusal.key) == ("monitor", str(monitor.id))
        assert_same_refusal(
            refusal,
            await refusal_of(directory.get(stranger.id, unknown)),
            keys=(monitor.id, unknown),
        )
        await assert_nil_refused(lambda nil: directory.get(nil, monitor.id))

    async def test_list_active(self, relational: RelationalStores) -> None:
        """What is enabled and of an active tenant is listed, by id and then tenant, in pages."""
        directory = relational.directory
        assert (await directory.list_active()).items == ()
        one, ones = await _tenant_with(relational, 3)
        two, twos = await _tenant_with(relational, 3)
        suspended, _ = await _tenant_with(relational, 2)
        await _set_status(relational, suspended, TenantStatus.SUSPENDED)
        await relational.monitors.set_enabled(one.id, ones[1].id, enabled=False, at=NOON)
        twin = evolve(ones[2], tenant_id=two.id, name="The same id")
        await relational.monitors.add(two.id, twin)
        expected = sorted(
            [ones[0], ones[2], *twos, twin], key=lambda monitor: (monitor.id, monitor.tenant_id)
        )
        await assert_pages(
            lambda cursor, limit: directory.list_active(cursor=cursor, limit=limit), expected
        )

    async def test_arguments(self, relational: RelationalStores) -> None:
        """Limits out of range and cursors of other lists are refused by both lists."""
        tenant, _ = await _tenant_with(relational, 2)
        directory = relational.directory
        await assert_page_arguments(
            lambda cursor, limit: directory.list_active(cursor=cursor, limit=limit),
            others=[relational.monitors.list(tenant.id, limit=1), directory.changes(limit=1)],
        )
        await assert_page_arguments(
            lambda cursor, limit: directory.changes(cursor=cursor, limit=limit),
            others=[relational.monitors.list(tenant.id, limit=1), directory.list_active(limit=1)],
        )

    async def test_the_feed_begins_with_everything(self, relational: RelationalStores) -> None:
        """Without a cursor every monitor is there: as it is, or as none where it is not active."""
        tenant, (first, second) = await _tenant_with(relational, 2)
        suspended, (third,) = await _tenant_with(relational, 1)
        await _set_status(relational, suspended, TenantStatus.SUSPENDED)
        await relational.monitors.set_enabled(tenant.id, second.id, enabled=False, at=NOON)
        changes, _ = await _settled(relational, None)
        assert {change.monitor_id: change.monitor for change in changes} == {
            first.id: first,
            second.id: None,
            third.id: None,
        }

    async def test_each_change_is_reported(self, relational: RelationalStores) -> None:
        """Making, changing, pausing, resuming, removing and making again are all told."""
        tenant, (monitor,) = await _tenant_with(relational, 1)
        repo = relational.monitors
        changed = evolve(monitor, version=2, body="new")
        paused = evolve(changed, version=3, enabled=False, updated_at=_LATER)
        resumed = evolve(paused, version=4, enabled=True)
        cursor: str | None = None
        for call, expected in (
            (repo.add(tenant.id, monitor), monitor),
            (repo.update(tenant.id, evolve(monitor, body="new")), changed),
            (repo.set_enabled(tenant.id, monitor.id, enabled=False, at=_LATER), None),
            (repo.set_enabled(tenant.id, monitor.id, enabled=True, at=_LATER), resumed),
            (repo.remove(tenant.id, monitor.id), None),
            (repo.add(tenant.id, monitor), monitor),
        ):
            await call
            changes, cursor = await _settled(relational, cursor)
            assert changes == (_change(monitor, expected),)

    async def test_changes_of_the_tenant_are_reported(self, relational: RelationalStores) -> None:
        """Suspending, resuming and removing a tenant tells of each of its monitors."""
        tenant, monitors = await _tenant_with(relational, 3)
        _, cursor = await _settled(relational, None)
        for status, active in ((TenantStatus.SUSPENDED, False), (TenantStatus.ACTIVE, True)):
            await _set_status(relational, tenant, status)
            changes, cursor = await _settled(relational, cursor)
            assert sorted(changes, key=attrgetter("monitor_id")) == [
                _change(monitor, monitor if active else None) for monitor in monitors
            ]
        current = await relational.tenants.get(tenant.id)
        await relational.tenants.update(evolve(current, status=TenantStatus.SUSPENDED))
        changes, cursor = await _settled(relational, cursor)
        assert {change.monitor for change in changes} == {None}
        assert len(changes) == 3
        await relational.tenants.remove(tenant.id)
        changes, cursor = await _settled(relational, cursor)
        assert sorted(changes, key=attrgetter("monitor_id")) == [
            _change(monitor, None) for monitor in monitors
        ]

    async def test_a_removed_channel_changes_its_monitors(
        self, relational: RelationalStores
    ) -> None:
        """A monitor that loses a channel is told of, without the channel."""
        tenant, (_, monitor) = await _tenant_with(relational, 2)
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        await relational.monitors.update(tenant.id, evolve(monitor, channel_ids=(channel.id,)))
        _, cursor = await _settled(relational, None)
        await relational.channels.remove(tenant.id, channel.id)
        changes, _ = await _settled(relational, cursor)
        assert changes == (_change(monitor, evolve(monitor, version=3)),)

    async def test_what_changes_nothing_is_not_reported(self, relational: RelationalStores) -> None:
        """Repeats, refusals and changes of a tenant's name do not stir the feed."""
        tenant, (monitor, other) = await _tenant_with(relational, 2)
        repo = relational.monitors
        wanted = evolve(monitor, body="new")
        await repo.update(tenant.id, wanted)
        _, cursor = await _settled(relational, None)
        await repo.update(tenant.id, wanted)
        await repo.add(tenant.id, other)
        await repo.set_enabled(tenant.id, monitor.id, enabled=True, at=_LATER)
        await repo.remove(tenant.id, MonitorId.new())
        await refusal_of(repo.update(tenant.id, evolve(wanted, name=other.name, version=2)))
        await refusal_of(repo.add(tenant.id, a_monitor(tenant.id, name=other.name)))
        await relational.tenants.update(evolve(tenant, name="New"))
        await _set_status(relational, tenant, TenantStatus.ACTIVE)
        changes, _ = await _settled(relational, cursor)
        assert changes == ()

    async def test_only_the_newest_change(self, relational: RelationalStores) -> None:
        """Each monitor stands once, at its newest change, and the oldest of these comes first."""
        tenant, (one, two, three) = await _tenant_with(relational, 3)
        repo = relational.monitors
        await repo.update(tenant.id, evolve(one, body="1"))
        await repo.remove(tenant.id, three.id)
        await repo.add(tenant.id, three)
        await repo.update(tenant.id, evolve(two, body="1"))
        await repo.update(tenant.id, evolve(one, body="2", version=2))
        changes, _ = await _settled(relational, None)
        assert [change.monitor_id for change in changes] == [three.id, two.id, one.id]
        assert changes[-1].monitor == evolve(one, body="2", version=3)

    async def test_one_id_at_two_tenants(self, relational: RelationalStores) -> None:
        """Each tenant's change is told with its own monitor."""
        _, (monitor,) = await _tenant_with(relational, 1)
        other, _ = await _tenant_with(relational, 0)
        twin = evolve(monitor, tenant_id=other.id, name="The same id")
        await relational.monitors.add(other.id, twin)
        changes, cursor = await _settled(relational, None)
        assert changes == (_change(monitor, monitor), _change(twin, twin))
        await relational.monitors.remove(other.id, twin.id)
        changes, _ = await _settled(relational, cursor)
        assert changes == (_change(twin, None),)

    async def test_pages_of_changes(self, relational: RelationalStores) -> None:
        """However the feed is cut, it tells the same; at its end it still gives a cursor."""
        tenant, monitors = await _tenant_with(relational, 5)
        await _set_status(relational, tenant, TenantStatus.SUSPENDED)
        whole, end = await _settled(relational, None)
        assert {change.monitor_id for change in whole} == {monitor.id for monitor in monitors}
        for limit in (1, 2, 5, 6):
            cursor: str | None = None
            found: list[MonitorChange] = []
            while len(found) < len(whole):
                page = await relational.directory.changes(cursor=cursor, limit=limit)
                assert 1 <= len(page.items) <= limit
                found += page.items
                cursor = page.next_cursor
                assert cursor is not None
            assert tuple(found[: len(whole)]) == whole
        for _ in range(2):
            page = await relational.directory.changes(cursor=end)
            assert page.items == ()
            assert page.next_cursor is not None
            end = page.next_cursor

    async def test_an_empty_feed(self, relational: RelationalStores) -> None:
        """A cursor got before anything was there leads to what came after."""
        page = await relational.directory.changes()
        assert page.items == ()
        assert page.next_cursor is not None
        _, (monitor,) = await _tenant_with(relational, 1)
        changes, _ = await _settled(relational, page.next_cursor)
        assert changes == (_change(monitor, monitor),)


def _change(monitor: Monitor, now: Monitor | None) -> MonitorChange:
    return MonitorChange(tenant_id=monitor.tenant_id, monitor_id=monitor.id, monitor=now)


async def _tenant_with(
    relational: RelationalStores, monitors: int
) -> tuple[Tenant, Sequence[Monitor]]:
    """Make a tenant with monitors, and return these in order of their ids."""
    tenant = await relational.tenants.add(a_tenant())
    rows = sorted((a_monitor(tenant.id) for _ in range(monitors)), key=attrgetter("id"))
    return tenant, [await relational.monitors.add(tenant.id, row) for row in rows]


async def _set_status(relational: RelationalStores, tenant: Tenant, status: TenantStatus) -> None:
    await relational.tenants.set_status(tenant.id, status=status, at=_LATER)


async def _settled(
    relational: RelationalStores, cursor: str | None
) -> tuple[tuple[MonitorChange, ...], str]:
    """Return all that changed after a cursor until now, and the cursor that follows.

    Unrelated transactions can hold the feed up for a moment.  It has told everything once it tells
    of a monitor that was made last.
    """
    tenant = await relational.tenants.add(a_tenant())
    last = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
    found: list[MonitorChange] = []
    async with asyncio.timeout(_SETTLING_SECONDS):
        while True:
            page = await relational.directory.changes(cursor=cursor)
            cursor = page.next_cursor
            assert cursor is not None
            found += page.items
            if found and found[-1].monitor_id == last.id:
                return tuple(found[:-1]), cursor
            await asyncio.sleep(0.005)
