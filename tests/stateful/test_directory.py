"""Random programs on the directory: the fake and PostgreSQL tell the same changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.fixtures.relational_twins import RelationalTwins, run_relational_program

from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.tenants import TenantStatus
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON

if TYPE_CHECKING:
    from urlmon.domain.directory import MonitorChange
    from urlmon.testing.contracts.stores import RelationalStores

TENANTS: Final = [TenantId.new() for _ in range(2)]
MONITORS: Final = [MonitorId.new() for _ in range(2)]
CHANNEL_ID: Final = ChannelId.new()
TENANT: Final = st.sampled_from(TENANTS)
MONITOR: Final = st.sampled_from(MONITORS)
LIMIT: Final = st.integers(0, 3) | st.just(1000)
LATER: Final = NOON + timedelta(hours=1)


class DirectoryProgram(RuleBasedStateMachine):
    """Everything that the feed tells of, and those who follow it."""

    def __init__(self, twins: RelationalTwins) -> None:
        super().__init__()
        self.twins = twins
        self.actives: list[str | None] = [None]
        # By the directory asked: where it goes on, for each of two who follow it.
        self.followed: dict[tuple[int, int], str | None] = {}
        self.expected = 0
        for tenant_id in TENANTS:
            self.add_tenant(tenant_id)
            for monitor_id in MONITORS:
                self.add(tenant_id, monitor_id, with_channel=True)

    @rule(tenant_id=TENANT)
    def add_tenant(self, tenant_id: TenantId) -> None:
        """Make a tenant with a channel."""
        tenant, channel = a_tenant(id=tenant_id), a_channel(tenant_id, id=CHANNEL_ID)
        self.twins.same(lambda stores: stores.tenants.add(tenant))
        self.twins.same(lambda stores: stores.channels.add(tenant_id, channel))

    @rule(tenant_id=TENANT, status=st.sampled_from(TenantStatus))
    def set_status(self, tenant_id: TenantId, status: TenantStatus) -> None:
        """Activate or suspend a tenant."""
        self.twins.same(
            lambda stores: stores.tenants.set_status(tenant_id, status=status, at=LATER)
        )

    @rule(tenant_id=TENANT, fields=st.fixed_dictionaries({"status": st.sampled_from(TenantStatus)}))
    def update_tenant(self, tenant_id: TenantId, fields: Any) -> None:
        """Update a tenant, whether or not that changes its status."""
        stored = self.twins.same(lambda stores: stores.tenants.get(tenant_id))
        if stored is not None:
            changed = evolve(stored, **fields)
            self.twins.same(lambda stores: stores.tenants.update(changed))

    @rule(tenant_id=TENANT)
    def remove_tenant(self, tenant_id: TenantId) -> None:
        """Remove a tenant with its monitors."""
        self.twins.same(lambda stores: stores.tenants.remove(tenant_id))

    @rule(limit=st.integers(1, 4))
    def sweep(self, limit: int) -> None:
        """Delete some of what removed tenants left, which changes no answer."""
        self.twins.same(lambda stores: _clear(stores, limit))

    @rule(tenant_id=TENANT, monitor_id=MONITOR, with_channel=st.booleans())
    def add(self, tenant_id: TenantId, monitor_id: MonitorId, *, with_channel: bool) -> None:
        """Make a monitor."""
        channel_ids = (CHANNEL_ID,) if with_channel else ()
        monitor = a_monitor(tenant_id, id=monitor_id, channel_ids=channel_ids)
        self.twins.same(lambda stores: stores.monitors.add(tenant_id, monitor))

    @rule(tenant_id=TENANT, monitor_id=MONITOR, body=st.sampled_from(["x", "y"]))
    def update(self, tenant_id: TenantId, monitor_id: MonitorId, body: str) -> None:
        """Update a monitor."""
        stored = self.twins.same(lambda stores: stores.directory.get(tenant_id, monitor_id))
        if stored is not None:
            changed = evolve(stored, body=body)
            self.twins.same(lambda stores: stores.monitors.update(tenant_id, changed))

    @rule(tenant_id=TENANT, monitor_id=MONITOR, enabled=st.booleans())
    def set_enabled(self, tenant_id: TenantId, monitor_id: MonitorId, *, enabled: bool) -> None:
        """Pause or resume a monitor."""
        self.twins.same(
            lambda stores: stores.monitors.set_enabled(
                tenant_id, monitor_id, enabled=enabled, at=LATER
            )
        )

    @rule(tenant_id=TENANT, monitor_id=MONITOR)
    def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Remove a monitor."""
        self.twins.same(lambda stores: stores.monitors.remove(tenant_id, monitor_id))

    @rule(tenant_id=TENANT)
    def remove_channel(self, tenant_id: TenantId) -> None:
        """Remove the channel, off whatever monitors refer to it."""
        self.twins.same(lambda stores: stores.channels.remove(tenant_id, CHANNEL_ID))

    @rule(limit=LIMIT, number=st.integers(0))
    def list_active(self, limit: int, number: int) -> None:
        """List from the beginning or from any cursor seen."""
        cursor = self.actives[-1 - number % len(self.actives)]
        page = self.twins.same(
            lambda stores: stores.directory.list_active(cursor=cursor, limit=limit)
        )
        if page is not None and page.next_cursor is not None:
            self.actives.append(page.next_cursor)

    @rule(follower=st.integers(0, 1), limit=LIMIT)
    def follow(self, follower: int, limit: int) -> None:
        """Let one who follows the feed read a page."""
        self.expected = 0
        self.twins.same(lambda stores: self.page(stores, follower, limit))

    @rule(follower=st.integers(0, 1))
    def start_over(self, follower: int) -> None:
        """Let one who follows the feed begin anew."""
        for key in self.followed:
            if key[1] == follower:
                self.followed[key] = None

    async def page(
        self, stores: RelationalStores, follower: int, limit: int
    ) -> tuple[MonitorChange, ...]:
        """Read a page: of the fake, which is asked first, or as much of the other.

        Transactions of other tests may hold the feed up for a moment.
        """
        key = id(stores), follower
        found: tuple[MonitorChange, ...] = ()
        async with asyncio.timeout(30):
            while True:
                page = await stores.directory.changes(
                    cursor=self.followed.get(key), limit=limit - len(found)
                )
                assert page.next_cursor is not None
                self.followed[key] = page.next_cursor
                found += page.items
                if len(found) >= self.expected:
                    self.expected = len(found)
                    return found
                await asyncio.sleep(0.005)

    def teardown(self) -> None:
        """Compare what is there in the end, and all that was to be told."""
        self.twins.same(lambda stores: stores.directory.list_active())
        for follower in (0, 1):
            self.follow(follower, 1000)


async def _clear(stores: RelationalStores, limit: int) -> None:
    await stores.removals.clear(limit=limit)


@pytest.mark.timeout(300)
def test_directory(postgres_url: str) -> None:
    """Whatever is done to monitors, the fake and PostgreSQL tell it alike."""
    run_relational_program(DirectoryProgram, postgres_url)
