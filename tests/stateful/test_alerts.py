"""Random programs on alerts: the fake and PostgreSQL give the same answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.fixtures.relational_twins import RelationalTwins, run_relational_program

from urlmon.domain.alerts import AlertStatus
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.testing.builders import a_monitor, a_tenant, an_alert
from urlmon.testing.clock import NOON

MICROSECOND: Final = timedelta(microseconds=1)
TENANTS: Final = [TenantId.new() for _ in range(3)]  # the last one is never stored
MONITORS: Final = [MonitorId.new() for _ in range(3)]  # the last one has no alerts at first
ALERTS: Final = [AlertId.new() for _ in range(6)]
TENANT: Final = st.sampled_from([*TENANTS[:2], *TENANTS[:2], TENANTS[2]])
MONITOR: Final = st.sampled_from([*MONITORS[:2], *MONITORS])
ALERT: Final = st.sampled_from(ALERTS)
RULE: Final = st.sampled_from(["availability", "a_b", "a-b"])
TEXT: Final = st.text(
    st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=9
)
INSTANT: Final = st.integers(-3, 8).map(lambda count: NOON + count * MICROSECOND)
NAMES: Final = st.sampled_from(["me", "you", ""])
NOTES: Final = st.none() | st.sampled_from(["", "mine"]) | TEXT


class AlertsProgram(RuleBasedStateMachine):
    """Everything that can be done to alerts, and to the monitors that have them."""

    def __init__(self, twins: RelationalTwins) -> None:
        super().__init__()
        self.twins = twins
        for tenant_id in TENANTS[:2]:
            tenant = a_tenant(id=tenant_id)
            self.twins.same(lambda stores, tenant=tenant: stores.tenants.add(tenant))
            for monitor_id in MONITORS[:2]:
                self.add_monitor(tenant_id, monitor_id)
        self.cursors: list[str | None] = [None]
        self.done: list[tuple[str, TenantId, AlertId, dict[str, Any]]] = []

    def add_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Add a monitor."""
        monitor = a_monitor(tenant_id, id=monitor_id)
        self.twins.same(lambda stores: stores.monitors.add(tenant_id, monitor))

    def change(
        self, method: str, tenant_id: TenantId, alert_id: AlertId, given: dict[str, Any]
    ) -> None:
        """Change an alert, and remember it to be repeated."""
        self.done.append((method, tenant_id, alert_id, given))
        self.twins.same(lambda stores: getattr(stores.alerts, method)(tenant_id, alert_id, **given))

    @rule(
        tenant_id=TENANT,
        alert_id=ALERT,
        monitor_id=MONITOR,
        rule=RULE,
        cause=st.just("") | TEXT,
        opened_at=INSTANT,
    )
    def open(
        self, tenant_id: TenantId, alert_id: AlertId, monitor_id: MonitorId, **fields: object
    ) -> None:
        """Open an alert, new or not."""
        alert = an_alert(tenant_id, monitor_id, id=alert_id, **fields)
        self.twins.same(lambda stores: stores.alerts.open(tenant_id, alert))

    @rule(tenant_id=TENANT, owner=TENANT, count=st.integers(0, 1), over=st.booleans())
    def open_oddly(self, tenant_id: TenantId, owner: TenantId, count: int, *, over: bool) -> None:
        """Open what may belong to somebody else, or not be new."""
        alert = an_alert(
            owner,
            MONITORS[0],
            id=ALERTS[0],
            notification_count=count,
            resolved_at=NOON if over else None,
        )
        self.twins.same(lambda stores: stores.alerts.open(tenant_id, alert))

    @rule(tenant_id=TENANT, alert_id=ALERT, by=NAMES, note=NOTES, at=INSTANT)
    def acknowledge(self, tenant_id: TenantId, alert_id: AlertId, **given: object) -> None:
        """Take an alert on."""
        self.change("acknowledge", tenant_id, alert_id, given)

    @rule(tenant_id=TENANT, alert_id=ALERT, at=INSTANT)
    def resolve(self, tenant_id: TenantId, alert_id: AlertId, **given: object) -> None:
        """End an alert."""
        self.change("resolve", tenant_id, alert_id, given)

    @rule(tenant_id=TENANT, alert_id=ALERT, number=st.sampled_from([0, 1, 2, 3, 2**31]))
    def count(self, tenant_id: TenantId, alert_id: AlertId, **given: object) -> None:
        """Count a notification."""
        self.change("count_notification", tenant_id, alert_id, given)

    @rule(back=st.integers(1, 3))
    def repeat(self, back: int) -> None:
        """Make one of the newest changes again."""
        if self.done:
            self.change(*self.done[-min(back, len(self.done))])

    @rule(tenant_id=TENANT, monitor_id=MONITOR)
    def begin_anew(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Replace a monitor, whose alerts go with it."""
        self.twins.same(lambda stores: stores.monitors.remove(tenant_id, monitor_id))
        self.add_monitor(tenant_id, monitor_id)

    @rule(tenant_id=TENANT, alert_id=ALERT, monitor_ids=st.lists(MONITOR, max_size=4))
    def read(self, tenant_id: TenantId, alert_id: AlertId, monitor_ids: list[MonitorId]) -> None:
        """Read an alert, and what is open."""
        self.twins.same(lambda stores: stores.alerts.get(tenant_id, alert_id))
        self.twins.same(lambda stores: stores.alerts.open_for(tenant_id, monitor_ids))

    @rule(
        tenant_id=TENANT,
        monitor_ids=st.lists(MONITOR, max_size=4),
        since=INSTANT,
        length=st.integers(1, 5),
    )
    def look_back(self, tenant_id: TenantId, monitor_ids: Any, since: Any, length: int) -> None:
        """Read the timeline of a period."""
        period = Period(since=since, until=since + length * MICROSECOND)
        self.twins.same(
            lambda stores: stores.alerts.timeline(tenant_id, monitor_ids, period=period)
        )

    @rule(
        tenant_id=TENANT,
        monitor_id=st.none() | MONITOR,
        status=st.none() | st.sampled_from(AlertStatus),
        limit=st.integers(0, 3),
        number=st.integers(0),
    )
    def list(self, tenant_id: TenantId, number: int, **given: Any) -> None:
        """List from the beginning or from any cursor seen."""
        cursor = self.cursors[-1 - number % len(self.cursors)]
        page = self.twins.same(lambda stores: stores.alerts.list(tenant_id, cursor=cursor, **given))
        if page is not None and page.next_cursor is not None:
            self.cursors.append(page.next_cursor)

    def teardown(self) -> None:
        """Compare what is there in the end."""
        for tenant_id in TENANTS:
            self.twins.same(lambda stores, owner=tenant_id: stores.alerts.list(owner))


@pytest.mark.timeout(300)
def test_alerts(postgres_url: str) -> None:
    """Whatever is done to alerts, the fake and PostgreSQL answer alike at every step."""
    run_relational_program(AlertsProgram, postgres_url)
