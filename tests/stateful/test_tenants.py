"""Random programs on tenants: the fake and PostgreSQL give the same answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.fixtures.relational_twins import RelationalTwins, run_relational_program

from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.tenants import TenantLimits, TenantStatus
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import RelationalStores

TENANTS: Final = [TenantId.new() for _ in range(4)]
CHANNEL_ID: Final = ChannelId.new()
MONITOR_ID: Final = MonitorId.new()
TENANT: Final = st.sampled_from(TENANTS)
SLUG: Final = st.sampled_from(["a", "b", "c", "d", "e"])
STATUS: Final = st.sampled_from(TenantStatus)
TEXT: Final = st.text(
    st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=9
)
INSTANT: Final = st.integers(-2, 8).map(lambda count: NOON + count * timedelta(microseconds=1))
FIELDS: Final = st.fixed_dictionaries(
    {
        "slug": SLUG,
        "name": st.just("A tenant") | TEXT,
        "status": STATUS,
        "limits": st.builds(TenantLimits, max_monitors=st.integers(0, 2)),
        "created_at": INSTANT,
        "updated_at": INSTANT,
    }
)


class TenantsProgram(RuleBasedStateMachine):
    """Everything that can be done to tenants, and rows that go with them."""

    def __init__(self, twins: RelationalTwins) -> None:
        super().__init__()
        self.twins = twins
        self.cursors: list[str | None] = [None]
        self.written: list[tuple[str, Any]] = []

    def write(self, method: str, tenant: Any) -> None:
        """Add or update a tenant, and remember it to be repeated."""
        self.written.append((method, tenant))
        self.twins.same(lambda stores: getattr(stores.tenants, method)(tenant))

    @rule(tenant_id=TENANT, fields=FIELDS, version=st.sampled_from([1, 1, 1, 2]))
    def add(self, tenant_id: TenantId, fields: Any, version: int) -> None:
        """Add a tenant, new or not."""
        self.write("add", a_tenant(id=tenant_id, version=version, **fields))

    @rule(tenant_id=TENANT, fields=FIELDS, version=st.integers(1, 4))
    def update(self, tenant_id: TenantId, fields: Any, version: int) -> None:
        """Update from some version."""
        self.write("update", a_tenant(id=tenant_id, version=version, **fields))

    @rule(
        tenant_id=TENANT,
        fields=FIELDS,
        some=st.sets(st.sampled_from(["slug", "status", "updated_at"])),
        back=st.sampled_from([0, 0, 1, -1]),
    )
    def update_what_is_there(
        self, tenant_id: TenantId, fields: Any, some: set[str], back: int
    ) -> None:
        """Update some fields of the present version, or of one beside it."""
        stored = self.twins.same(lambda stores: stores.tenants.get(tenant_id))
        if stored is not None:
            chosen = {name: fields[name] for name in some}
            self.write("update", evolve(stored, version=max(1, stored.version - back), **chosen))

    @rule(back=st.integers(1, 3))
    def repeat(self, back: int) -> None:
        """Make one of the newest writes again."""
        if self.written:
            self.write(*self.written[-min(back, len(self.written))])

    @rule(tenant_id=TENANT, status=STATUS, at=INSTANT)
    def set_status(self, tenant_id: TenantId, status: TenantStatus, at: Any) -> None:
        """Activate or suspend a tenant."""
        self.twins.same(lambda stores: stores.tenants.set_status(tenant_id, status=status, at=at))

    @rule(tenant_id=TENANT)
    def remove(self, tenant_id: TenantId) -> None:
        """Remove a tenant, there or not."""
        self.twins.same(lambda stores: stores.tenants.remove(tenant_id))

    @rule(limit=st.integers(1, 4))
    def sweep(self, limit: int) -> None:
        """Delete some of what removed tenants left, which changes no answer."""
        self.twins.same(lambda stores: _clear(stores, limit))

    @rule(tenant_id=TENANT)
    def furnish(self, tenant_id: TenantId) -> None:
        """Give a tenant a channel and a monitor, each the same every time."""
        channel = a_channel(tenant_id, id=CHANNEL_ID)
        monitor = a_monitor(tenant_id, id=MONITOR_ID, channel_ids=(CHANNEL_ID,))
        self.twins.same(lambda stores: stores.channels.add(tenant_id, channel))
        self.twins.same(lambda stores: stores.monitors.add(tenant_id, monitor))

    @rule(tenant_id=TENANT, slug=SLUG | TEXT)
    def read(self, tenant_id: TenantId, slug: str) -> None:
        """Read whatever there is of a tenant."""
        self.twins.same(lambda stores: stores.tenants.get(tenant_id))
        self.twins.same(lambda stores: stores.tenants.find_by_slug(slug))
        self.twins.same(lambda stores: stores.channels.list(tenant_id))
        self.twins.same(lambda stores: stores.monitors.list(tenant_id))

    @rule(status=st.none() | STATUS, limit=st.integers(0, 3), number=st.integers(0))
    def list(self, status: TenantStatus | None, limit: int, number: int) -> None:
        """List from the beginning or from any cursor seen."""
        cursor = self.cursors[-1 - number % len(self.cursors)]
        page = self.twins.same(
            lambda stores: stores.tenants.list(status=status, cursor=cursor, limit=limit)
        )
        if page is not None and page.next_cursor is not None:
            self.cursors.append(page.next_cursor)

    def teardown(self) -> None:
        """Compare what is there in the end."""
        self.twins.same(lambda stores: stores.tenants.list())
        self.twins.same(lambda stores: stores.directory.list_active())


async def _clear(stores: RelationalStores, limit: int) -> None:
    await stores.removals.clear(limit=limit)


@pytest.mark.timeout(300)
def test_tenants(postgres_url: str) -> None:
    """Whatever is done to tenants, the fake and PostgreSQL answer alike at every step."""
    run_relational_program(TenantsProgram, postgres_url)
