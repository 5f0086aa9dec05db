"""The contract of `AlertRepo`: open alerts and lists."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from attrs import evolve

from urlmon.domain.alerts import Alert, AlertStatus
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import Page
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_monitor, an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alerts_change import an_open_alert
from urlmon.testing.contracts._alerts_open import a_stored_monitor
from urlmon.testing.contracts.isolation import (
    refusal_of,
)
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages
from urlmon.testing.contracts.stores import RelationalStores

_MICROSECOND: Final = timedelta(microseconds=1)
_HOUR: Final = timedelta(hours=1)
PERIOD: Final = Period(since=NOON, until=NOON + _HOUR)
# In code point order; every language's own order puts them otherwise.
_RULES: Final = ("a", "a-b", "a0", "a_b", "ab", "b")


async def an_episode(
    relational: RelationalStores,
    tenant_id: TenantId,
    monitor_id: MonitorId,
    opened_at: datetime,
    resolved_at: datetime | None,
) -> Alert:
    """Store an alert of a rule of its own; None leaves it open."""
    alert = an_alert(tenant_id, monitor_id, opened_at=opened_at)
    alert = evolve(alert, rule=f"r{alert.id.hex}")
    await relational.alerts.open(tenant_id, alert)
    if resolved_at is None:
        return alert
    return await relational.alerts.resolve(tenant_id, alert.id, at=resolved_at)


class ListingContract:
    """What every `AlertRepo.open_for` and `list` must hold."""

    async def test_open_for(self, relational: RelationalStores) -> None:
        """The open alerts of each monitor come by rule; monitors without any are left out."""
        monitor = await a_stored_monitor(relational)
        tenant_id, repo = monitor.tenant_id, relational.alerts
        others = [await relational.monitors.add(tenant_id, a_monitor(tenant_id)) for _ in range(3)]
        by_rule = [an_alert(tenant_id, monitor.id, rule=rule) for rule in _RULES]
        for alert in by_rule[::-2] + by_rule[::2]:
            await repo.open(tenant_id, alert)
        by_rule[1] = await repo.acknowledge(tenant_id, by_rule[1].id, by="me", at=NOON)
        await repo.resolve(tenant_id, by_rule[2].id, at=NOON)
        single = (await repo.open(tenant_id, an_alert(tenant_id, others[0].id))).alert
        await repo.open(tenant_id, an_alert(tenant_id, others[1].id))
        await an_episode(relational, tenant_id, others[2].id, NOON, NOON)
        asked = [others[2].id, MonitorId.new(), monitor.id, others[0].id, monitor.id]
        assert await repo.open_for(tenant_id, asked) == {
            monitor.id: (*by_rule[:2], *by_rule[3:]),
            others[0].id: (single,),
        }
        assert await repo.open_for(tenant_id, []) == {}

    async def test_list(self, relational: RelationalStores) -> None:
        """Alerts are listed newest first, of equals the highest id first, in pages."""
        monitor = await a_stored_monitor(relational)
        tenant_id = monitor.tenant_id
        assert (await relational.alerts.list(tenant_id)).items == ()
        alerts = [
            await an_episode(relational, tenant_id, monitor.id, NOON + offset * _MICROSECOND, None)
            for offset in (0, 1, 0, -1, 0, 0)
        ]
        alerts.sort(key=attrgetter("opened_at", "id"), reverse=True)
        await assert_pages(
            lambda cursor, limit: relational.alerts.list(tenant_id, cursor=cursor, limit=limit),
            alerts,
        )

    async def test_list_filters(self, relational: RelationalStores) -> None:
        """Lists hold one monitor's alerts, or those of one status, where asked for."""
        first = await a_stored_monitor(relational)
        tenant_id, repo = first.tenant_id, relational.alerts
        second = await relational.monitors.add(tenant_id, a_monitor(tenant_id))
        alerts = [
            await an_episode(
                relational, tenant_id, monitor_id, NOON, NOON + _HOUR if number % 4 > 1 else None
            )
            for number in range(12)
            for monitor_id in (first.id, second.id)
        ]
        for number, alert in enumerate(alerts):
            if alert.resolved_at is None and number % 3:
                alerts[number] = await repo.acknowledge(tenant_id, alert.id, by="me", at=NOON)
        taken = an_alert(tenant_id, first.id, opened_at=NOON - _HOUR)
        await repo.open(tenant_id, taken)
        await repo.acknowledge(tenant_id, taken.id, by="me", at=NOON)
        alerts.append(await repo.resolve(tenant_id, taken.id, at=NOON))
        alerts.sort(key=attrgetter("opened_at", "id"), reverse=True)
        for monitor_id in (None, first.id, second.id):
            for status in (None, *AlertStatus):

                def filtered(
                    cursor: str | None,
                    limit: int,
                    monitor_id: MonitorId | None = monitor_id,
                    status: AlertStatus | None = status,
                ) -> Awaitable[Page[Alert]]:
                    return repo.list(
                        tenant_id, monitor_id=monitor_id, status=status, cursor=cursor, limit=limit
                    )

                expected = [
                    alert
                    for alert in alerts
                    if monitor_id in {None, alert.monitor_id} and status in {None, alert.status}
                ]
                await assert_pages(filtered, expected)
        assert (await repo.list(tenant_id, monitor_id=MonitorId.new())).items == ()

    async def test_list_arguments(self, relational: RelationalStores) -> None:
        """Limits out of range and cursors of other lists are refused."""
        monitor = await a_stored_monitor(relational)
        other = await a_stored_monitor(relational)
        for owner in (monitor, monitor, other, other):
            await an_episode(relational, owner.tenant_id, owner.id, NOON, None)
            await relational.monitors.add(owner.tenant_id, a_monitor(owner.tenant_id))
        await assert_page_arguments(
            lambda cursor, limit: relational.alerts.list(
                monitor.tenant_id, cursor=cursor, limit=limit
            ),
            others=[
                relational.alerts.list(other.tenant_id, limit=1),
                relational.monitors.list(monitor.tenant_id, limit=1),
                relational.tenants.list(limit=1),
            ],
        )

    async def test_too_many_monitors(self, relational: RelationalStores) -> None:
        """A thousand monitors are served at once, and not one more."""
        alert = await an_open_alert(relational)
        repo, tenant_id = relational.alerts, alert.tenant_id
        ids = [*(MonitorId.new() for _ in range(999)), alert.monitor_id]
        assert await repo.open_for(tenant_id, ids) == {alert.monitor_id: (alert,)}
        assert await repo.timeline(tenant_id, ids, period=PERIOD) == (alert,)
        ids.append(MonitorId.new())
        for call in (
            repo.open_for(tenant_id, ids),
            repo.timeline(tenant_id, ids, period=PERIOD),
        ):
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == "monitor_ids"
