"""Random programs on monitors: the fake and PostgreSQL give the same answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.fixtures.relational_twins import RelationalTwins, run_relational_program

from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.monitors import Method, StatusRange
from urlmon.domain.tenants import TenantLimits
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON

SECOND: Final = timedelta(seconds=1)
TENANTS: Final = [TenantId.new() for _ in range(3)]  # the last one is never stored
MONITORS: Final = [MonitorId.new() for _ in range(3)]
CHANNELS: Final = [ChannelId.new() for _ in range(2)]
TENANT: Final = st.sampled_from([*TENANTS[:1] * 4, *TENANTS])
MONITOR: Final = st.sampled_from(MONITORS)
CHANNEL: Final = st.sampled_from(CHANNELS)
TEXT: Final = st.text(
    st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=9
)
TAG: Final = st.sampled_from(["x", "y"]) | TEXT
LINE: Final = st.text(st.characters(exclude_characters="\x00\r\n", codec="utf-8"), max_size=9)
INSTANT: Final = st.integers(-2, 8).map(lambda count: NOON + count * timedelta(microseconds=1))
FIELDS: Final = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c", "d"])},
    optional={
        "url": st.sampled_from(["http://example.com/", "https://[::1]:81/?"]),
        "method": st.sampled_from(Method),
        "headers": st.lists(st.tuples(st.sampled_from(["A", "b"]), LINE), max_size=3).map(tuple),
        "body": st.none() | st.just("") | TEXT,
        "expected_statuses": st.just((StatusRange.parse("404"), StatusRange.parse("200-202"))),
        "interval": st.sampled_from([9, 10, 11, 30, 61]).map(lambda count: count * SECOND),
        "timeout": st.integers(100, 9_000).map(lambda count: timedelta(milliseconds=count)),
        "locations": st.lists(st.sampled_from(["l", "m", "n"]), min_size=1, unique=True).map(tuple),
        "reminder_interval": st.none() | st.integers(60, 99).map(lambda count: count * SECOND),
        "tags": st.lists(TAG, max_size=3, unique=True).map(tuple),
        "channel_ids": st.lists(CHANNEL, max_size=2, unique=True).map(tuple),
        "created_at": INSTANT,
        "updated_at": INSTANT,
    },
).map(lambda fields: {"timeout": SECOND} | fields)
PAUSE: Final = st.sampled_from([(True, None), (False, None), (False, ""), (False, "x")])
ODD_PAUSE: Final = st.sampled_from([(True, "x"), (False, "x" * 501), (False, "\x00")])


class MonitorsProgram(RuleBasedStateMachine):
    """Everything that can be done to monitors, and to the tenants and channels they depend on."""

    def __init__(self, twins: RelationalTwins) -> None:
        super().__init__()
        self.twins = twins
        self.cursors: list[str | None] = [None]
        self.written: list[tuple[str, TenantId, Any]] = []
        for number, tenant_id in enumerate(TENANTS[:2]):
            limits = TenantLimits(max_monitors=2 + number, shortest_interval=10 * SECOND)
            tenant = a_tenant(id=tenant_id, limits=limits)
            self.twins.same(lambda stores, tenant=tenant: stores.tenants.add(tenant))
            for channel_id in CHANNELS:
                self.keep_channel(tenant_id, channel_id, there=True)
            self.add(tenant_id, MONITORS[0], {"name": "a", "channel_ids": tuple(CHANNELS)})

    def write(self, method: str, tenant_id: TenantId, monitor: Any) -> None:
        """Add or update a monitor, and remember it to be repeated."""
        self.written.append((method, tenant_id, monitor))
        self.twins.same(lambda stores: getattr(stores.monitors, method)(tenant_id, monitor))

    @rule(tenant_id=TENANT, monitor_id=MONITOR, fields=FIELDS)
    def add(self, tenant_id: TenantId, monitor_id: MonitorId, fields: Any) -> None:
        """Add a monitor, new or not."""
        self.write("add", tenant_id, a_monitor(tenant_id, id=monitor_id, **fields))

    @rule(method=st.sampled_from(["add", "update"]), owner=TENANT, version=st.integers(1, 2))
    def write_oddly(self, method: str, owner: TenantId, version: int) -> None:
        """Write what may belong to somebody else, or not be new."""
        monitor = a_monitor(owner, id=MONITORS[0], name="a", version=version)
        self.write(method, TENANTS[0], monitor)

    @rule(tenant_id=TENANT, monitor_id=MONITOR, fields=FIELDS, version=st.integers(1, 4))
    def update(self, tenant_id: TenantId, monitor_id: MonitorId, fields: Any, version: int) -> None:
        """Update from some version."""
        monitor = a_monitor(tenant_id, id=monitor_id, version=version, **fields)
        self.write("update", tenant_id, monitor)

    @rule(tenant_id=TENANT, monitor_id=MONITOR, fields=FIELDS, back=st.sampled_from([0, 0, 1, -1]))
    def update_what_is_there(
        self, tenant_id: TenantId, monitor_id: MonitorId, fields: Any, back: int
    ) -> None:
        """Update the present version, or one beside it."""
        stored = self.twins.same(lambda stores: stores.monitors.get(tenant_id, monitor_id))
        if stored is not None:
            version = max(1, stored.version - back)
            self.write("update", tenant_id, evolve(stored, version=version, **fields))

    @rule(back=st.integers(1, 3))
    def repeat(self, back: int) -> None:
        """Make one of the newest writes again."""
        if self.written:
            self.write(*self.written[-min(back, len(self.written))])

    @rule(tenant_id=TENANT, monitor_id=MONITOR, pause=PAUSE | PAUSE | ODD_PAUSE, at=INSTANT)
    def set_enabled(
        self, tenant_id: TenantId, monitor_id: MonitorId, pause: tuple[bool, str], at: Any
    ) -> None:
        """Pause or resume a monitor."""
        self.twins.same(
            lambda stores: stores.monitors.set_enabled(
                tenant_id, monitor_id, enabled=pause[0], reason=pause[1], at=at
            )
        )

    @rule(tenant_id=TENANT, monitor_id=MONITOR)
    def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Remove a monitor, there or not."""
        self.twins.same(lambda stores: stores.monitors.remove(tenant_id, monitor_id))

    @rule(tenant_id=TENANT, channel_id=CHANNEL, there=st.sampled_from([True, True, False]))
    def keep_channel(self, tenant_id: TenantId, channel_id: ChannelId, *, there: bool) -> None:
        """Make a channel, or remove it."""
        channel = a_channel(tenant_id, id=channel_id)
        if there:
            self.twins.same(lambda stores: stores.channels.add(tenant_id, channel))
        else:
            self.twins.same(lambda stores: stores.channels.remove(tenant_id, channel_id))

    @rule(
        tenant_id=TENANT,
        most=st.integers(0, 3),
        shortest=st.sampled_from([1, 10, 30]).map(lambda count: count * SECOND),
    )
    def limit(self, tenant_id: TenantId, most: int, shortest: timedelta) -> None:
        """Change a tenant's limits."""
        stored = self.twins.same(lambda stores: stores.tenants.get(tenant_id))
        if stored is not None:
            limits = TenantLimits(max_monitors=most, shortest_interval=shortest)
            changed = evolve(stored, limits=limits)
            self.twins.same(lambda stores: stores.tenants.update(changed))

    @rule(tenant_id=TENANT, ids=st.lists(MONITOR))
    def read(self, tenant_id: TenantId, ids: list[MonitorId]) -> None:
        """Read some monitors at once, and one alone."""
        self.twins.same(lambda stores: stores.monitors.get_many(tenant_id, ids))
        self.twins.same(lambda stores: stores.monitors.get(tenant_id, [*ids, MONITORS[0]][0]))

    @rule(
        tenant_id=TENANT,
        filters=st.fixed_dictionaries(
            {},
            optional={
                "enabled": st.booleans(),
                "tag": TAG | st.sampled_from(["", "\x00"]),
                "channel_id": CHANNEL,
            },
        ),
        limit=st.integers(0, 3),
        number=st.integers(0),
    )
    def list(self, tenant_id: TenantId, filters: Any, limit: int, number: int) -> None:
        """List from the beginning or from any cursor seen."""
        cursor = self.cursors[-1 - number % len(self.cursors)]
        page = self.twins.same(
            lambda stores: stores.monitors.list(tenant_id, cursor=cursor, limit=limit, **filters)
        )
        if page is not None and page.next_cursor is not None:
            self.cursors.append(page.next_cursor)

    def teardown(self) -> None:
        """Compare what is there in the end."""
        for tenant_id in TENANTS:
            self.twins.same(lambda stores, owner=tenant_id: stores.monitors.list(owner))


@pytest.mark.timeout(300)
def test_monitors(postgres_url: str) -> None:
    """Whatever is done to monitors, the fake and PostgreSQL answer alike at every step."""
    run_relational_program(MonitorsProgram, postgres_url)
