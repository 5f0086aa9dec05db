"""Random programs on channels: the fake and PostgreSQL give the same answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.fixtures.relational_twins import RelationalTwins, run_relational_program

from urlmon.domain.channels import ChannelHealth, ChannelKind
from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.secrets import Secret
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON

TENANTS: Final = [TenantId.new() for _ in range(3)]  # the last one is never stored
CHANNELS: Final = [ChannelId.new() for _ in range(4)]
MONITORS: Final = [MonitorId.new() for _ in range(2)]
TENANT: Final = st.sampled_from([*TENANTS[:2], *TENANTS])
CHANNEL: Final = st.sampled_from(CHANNELS)
MONITOR: Final = st.sampled_from(MONITORS)
TEXT: Final = st.text(
    st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=9
)
INSTANT: Final = st.integers(-2, 8).map(lambda count: NOON + count * timedelta(microseconds=1))
SECRETS: Final = st.none() | st.dictionaries(
    st.sampled_from(["token", "password", ""]), TEXT.map(Secret), max_size=2
)
FIELDS: Final = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", "d"]),
        "kind": st.sampled_from([ChannelKind.SMS, ChannelKind.EMAIL]),
        "config": st.lists(st.tuples(TEXT, TEXT), max_size=2, unique_by=lambda p: p[0]).map(tuple),
        "enabled": st.booleans(),
        "updated_at": INSTANT,
    }
)


class ChannelsProgram(RuleBasedStateMachine):
    """Everything that can be done to channels, and to monitors that refer to them."""

    def __init__(self, twins: RelationalTwins) -> None:
        super().__init__()
        self.twins = twins
        for tenant_id in TENANTS[:2]:
            tenant = a_tenant(id=tenant_id)
            self.twins.same(lambda stores, tenant=tenant: stores.tenants.add(tenant))
        self.cursors: list[str | None] = [None]
        self.written: list[tuple[str, TenantId, Any, Any]] = []

    def write(self, method: str, tenant_id: TenantId, channel: Any, secrets: Any) -> None:
        """Add or update a channel, and remember it to be repeated."""
        self.written.append((method, tenant_id, channel, secrets))
        self.twins.same(
            lambda stores: getattr(stores.channels, method)(tenant_id, channel, secrets=secrets)
        )

    @rule(tenant_id=TENANT, channel_id=CHANNEL, fields=FIELDS, secrets=SECRETS)
    def add(self, tenant_id: TenantId, channel_id: ChannelId, fields: Any, secrets: Any) -> None:
        """Add a channel, new or not."""
        self.write("add", tenant_id, a_channel(tenant_id, id=channel_id, **fields), secrets)

    @rule(
        tenant_id=TENANT,
        owner=TENANT,
        version=st.integers(1, 2),
        health=st.sampled_from([ChannelHealth(), ChannelHealth(last_delivery_at=NOON)]),
    )
    def add_oddly(self, tenant_id: TenantId, owner: TenantId, **fields: object) -> None:
        """Add what may belong to somebody else, or not be new."""
        self.write("add", tenant_id, a_channel(owner, id=CHANNELS[0], name="a", **fields), None)

    @rule(
        tenant_id=TENANT,
        channel_id=CHANNEL,
        fields=FIELDS,
        secrets=SECRETS,
        version=st.integers(1, 4),
    )
    def update(
        self, tenant_id: TenantId, channel_id: ChannelId, fields: Any, secrets: Any, version: int
    ) -> None:
        """Update from some version."""
        channel = a_channel(tenant_id, id=channel_id, version=version, **fields)
        self.write("update", tenant_id, channel, secrets)

    @rule(tenant_id=TENANT, channel_id=CHANNEL, fields=FIELDS, secrets=SECRETS)
    def update_what_is_there(
        self, tenant_id: TenantId, channel_id: ChannelId, fields: Any, secrets: Any
    ) -> None:
        """Update from the present version."""
        stored = self.twins.same(lambda stores: stores.channels.get(tenant_id, channel_id))
        if stored is not None:
            channel = a_channel(tenant_id, id=channel_id, version=stored.version, **fields)
            self.write("update", tenant_id, channel, secrets)

    @rule(back=st.integers(1, 3))
    def repeat(self, back: int) -> None:
        """Make one of the newest writes again."""
        if self.written:
            self.write(*self.written[-min(back, len(self.written))])

    @rule(tenant_id=TENANT, channel_id=CHANNEL)
    def remove(self, tenant_id: TenantId, channel_id: ChannelId) -> None:
        """Remove a channel, there or not."""
        self.twins.same(lambda stores: stores.channels.remove(tenant_id, channel_id))

    @rule(
        tenant_id=TENANT,
        channel_id=CHANNEL,
        at=INSTANT,
        error=st.none() | TEXT | st.sampled_from(["", "x" * 501]),
    )
    def deliver(self, tenant_id: TenantId, channel_id: ChannelId, at: Any, error: Any) -> None:
        """Count a delivery, late or not."""
        self.twins.same(
            lambda stores: stores.channels.record_delivery(
                tenant_id, channel_id, at=at, error=error
            )
        )

    @rule(tenant_id=TENANT, monitor_id=MONITOR, ids=st.lists(CHANNEL, unique=True))
    def refer(self, tenant_id: TenantId, monitor_id: MonitorId, ids: list[ChannelId]) -> None:
        """Replace a monitor that refers to channels."""
        monitor = a_monitor(tenant_id, id=monitor_id, channel_ids=tuple(ids))
        self.twins.same(lambda stores: stores.monitors.remove(tenant_id, monitor_id))
        self.twins.same(lambda stores: stores.monitors.add(tenant_id, monitor))

    @rule(tenant_id=TENANT, channel_id=CHANNEL, monitor_id=MONITOR)
    def read(self, tenant_id: TenantId, channel_id: ChannelId, monitor_id: MonitorId) -> None:
        """Read whatever there is of a channel and a monitor."""
        self.twins.same(lambda stores: stores.channels.get(tenant_id, channel_id))
        self.twins.same(lambda stores: stores.channels.reveal(tenant_id, channel_id))
        self.twins.same(lambda stores: stores.channels.for_monitor(tenant_id, monitor_id))
        self.twins.same(lambda stores: stores.monitors.get(tenant_id, monitor_id))

    @rule(tenant_id=TENANT, limit=st.integers(0, 3), number=st.integers(0))
    def list(self, tenant_id: TenantId, limit: int, number: int) -> None:
        """List from the beginning or from any cursor seen."""
        cursor = self.cursors[-1 - number % len(self.cursors)]
        page = self.twins.same(
            lambda stores: stores.channels.list(tenant_id, cursor=cursor, limit=limit)
        )
        if page is not None and page.next_cursor is not None:
            self.cursors.append(page.next_cursor)

    def teardown(self) -> None:
        """Compare what is there in the end."""
        for tenant_id in TENANTS:
            self.twins.same(lambda stores, owner=tenant_id: stores.channels.list(owner))
            self.twins.same(lambda stores, owner=tenant_id: stores.monitors.list(owner))


@pytest.mark.timeout(300)
def test_channels(postgres_url: str) -> None:
    """Whatever is done to channels, the fake and PostgreSQL answer alike at every step."""
    run_relational_program(ChannelsProgram, postgres_url)
