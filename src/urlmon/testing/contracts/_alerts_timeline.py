"""The contract of `AlertRepo`: timelines, and isolation."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

import pytest
from attrs import evolve

from urlmon.domain.alerts import Opening
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.errors import InvalidValueError, UrlmonError
from urlmon.testing.builders import a_monitor, a_tenant, an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alerts_change import an_open_alert
from urlmon.testing.contracts._alerts_open import a_stored_monitor
from urlmon.testing.contracts._alerts_read import PERIOD, an_episode
from urlmon.testing.contracts.isolation import (
    assert_nil_refused,
    assert_same_refusal,
    refusal_of,
)
from urlmon.testing.contracts.stores import RelationalStores

_MICROSECOND: Final = timedelta(microseconds=1)
_HOUR: Final = timedelta(hours=1)


class TimelineContract:
    """What every `AlertRepo.timeline` must hold."""

    @pytest.mark.parametrize(
        ("opened_at", "resolved_at", "shown"),
        [
            (NOON - _HOUR, None, True),
            (NOON - _HOUR, NOON - _MICROSECOND, False),
            (NOON - _HOUR, NOON, False),
            (NOON - _HOUR, NOON + _MICROSECOND, True),
            (NOON - _HOUR, NOON + 2 * _HOUR, True),
            (NOON - _MICROSECOND, NOON - _MICROSECOND, False),
            (NOON, NOON, True),
            (NOON, None, True),
            (NOON + _MICROSECOND, NOON + 2 * _MICROSECOND, True),
            (NOON + _HOUR - _MICROSECOND, NOON + _HOUR - _MICROSECOND, True),
            (NOON + _HOUR - _MICROSECOND, None, True),
            (NOON + _HOUR, NOON + _HOUR, False),
            (NOON + _HOUR, None, False),
        ],
    )
    async def test_edges_of_the_period(
        self,
        relational: RelationalStores,
        opened_at: datetime,
        resolved_at: datetime | None,
        *,
        shown: bool,
    ) -> None:
        """An alert is shown if it was open at some instant of the half-open period."""
        monitor = await a_stored_monitor(relational)
        alert = await an_episode(relational, monitor.tenant_id, monitor.id, opened_at, resolved_at)
        timeline = await relational.alerts.timeline(monitor.tenant_id, [monitor.id], period=PERIOD)
        assert timeline == ((alert,) if shown else ())

    async def test_order(self, relational: RelationalStores) -> None:
        """Alerts of the monitors asked for come oldest first, of equals the lowest id first."""
        monitor = await a_stored_monitor(relational)
        tenant_id = monitor.tenant_id
        second, third = [
            await relational.monitors.add(tenant_id, a_monitor(tenant_id)) for _ in range(2)
        ]
        alerts = [
            await an_episode(relational, tenant_id, each.id, NOON + offset * _MICROSECOND, None)
            for offset in (2, 0, 1, 0)
            for each in (second, monitor)
        ]
        await an_episode(relational, tenant_id, third.id, NOON, None)
        alerts.sort(key=attrgetter("opened_at", "id"))
        asked = [monitor.id, second.id, monitor.id, MonitorId.new()]
        timeline = await relational.alerts.timeline(tenant_id, asked, period=PERIOD)
        assert timeline == tuple(alerts)
        assert await relational.alerts.timeline(tenant_id, [], period=PERIOD) == ()

    async def test_the_first_thousand(self, relational: RelationalStores) -> None:
        """A timeline ends after a thousand alerts."""
        monitor = await a_stored_monitor(relational)
        tenant_id = monitor.tenant_id
        alerts = [
            an_alert(
                tenant_id, monitor.id, rule=f"rule-{number}", opened_at=NOON + number * _MICROSECOND
            )
            for number in range(1_001)
        ]
        for start in range(0, len(alerts), 50):
            await asyncio.gather(
                *(relational.alerts.open(tenant_id, each) for each in alerts[start : start + 50])
            )
        timeline = await relational.alerts.timeline(tenant_id, [monitor.id], period=PERIOD)
        assert timeline == tuple(alerts[:1_000])


class AlertIsolationContract:
    """What every `AlertRepo` must keep from other tenants."""

    async def test_the_nil_tenant_is_refused(self, relational: RelationalStores) -> None:
        """No method serves the nil tenant."""
        repo, alert = relational.alerts, an_alert(TenantId.new(), MonitorId.new())
        await assert_nil_refused(
            lambda nil: repo.open(nil, alert),
            lambda nil: repo.acknowledge(nil, alert.id, by="me", at=NOON),
            lambda nil: repo.resolve(nil, alert.id, at=NOON),
            lambda nil: repo.count_notification(nil, alert.id, number=1),
            lambda nil: repo.get(nil, alert.id),
            lambda nil: repo.open_for(nil, [alert.monitor_id]),
            repo.list,
            lambda nil: repo.timeline(nil, [alert.monitor_id], period=PERIOD),
        )

    async def test_an_alert_names_its_tenant(self, relational: RelationalStores) -> None:
        """An alert cannot be stored for a tenant that it does not name."""
        monitor = await a_stored_monitor(relational)
        other = await relational.tenants.add(a_tenant())
        error = await refusal_of(
            relational.alerts.open(other.id, an_alert(monitor.tenant_id, monitor.id))
        )
        assert isinstance(error, InvalidValueError)
        assert error.field == "tenant_id"

    @pytest.mark.parametrize("stranger", ["tenant", "nobody"])
    async def test_a_stranger_finds_nothing(
        self, relational: RelationalStores, stranger: str
    ) -> None:
        """Another tenant's alert is refused like none, whoever asks, and stays as it is."""
        theirs = await an_open_alert(relational)
        asking = TenantId.new()
        if stranger == "tenant":
            asking = (await relational.tenants.add(a_tenant())).id
        repo = relational.alerts
        assert (await repo.list(asking)).items == ()
        assert (await repo.list(asking, monitor_id=theirs.monitor_id)).items == ()
        assert await repo.open_for(asking, [theirs.monitor_id]) == {}
        assert await repo.timeline(asking, [theirs.monitor_id], period=PERIOD) == ()
        unknown_id, unknown_monitor = AlertId.new(), MonitorId.new()
        foreign = await _refusals(relational, asking, theirs.id)
        unknown = await _refusals(relational, asking, unknown_id)
        for error, like in zip(foreign, unknown, strict=True):
            assert_same_refusal(error, like, keys=(theirs.id, unknown_id))
        assert_same_refusal(
            await refusal_of(repo.open(asking, an_alert(asking, theirs.monitor_id, id=theirs.id))),
            await refusal_of(repo.open(asking, an_alert(asking, unknown_monitor))),
            keys=(theirs.monitor_id, unknown_monitor),
        )
        assert await repo.get(theirs.tenant_id, theirs.id) == theirs

    async def test_tenants_do_not_collide(self, relational: RelationalStores) -> None:
        """Two tenants may have monitors and alerts of one id, and each has its own."""
        first = await a_stored_monitor(relational)
        second = evolve(first, tenant_id=(await relational.tenants.add(a_tenant())).id)
        await relational.monitors.add(second.tenant_id, second)
        alert = an_alert(first.tenant_id, first.id)
        rows = [alert, evolve(alert, tenant_id=second.tenant_id, cause="another")]
        for created in (True, False):
            for row in rows:
                opening = await relational.alerts.open(row.tenant_id, row)
                assert opening == Opening(alert=row, created=created)
        await relational.alerts.resolve(first.tenant_id, alert.id, at=NOON)
        rows[0] = rows[0].resolved(at=NOON)
        for row in rows:
            assert (await relational.alerts.list(row.tenant_id)).items == (row,)
            timeline = await relational.alerts.timeline(
                row.tenant_id, [row.monitor_id], period=PERIOD
            )
            assert timeline == (row,)
        await relational.monitors.remove(first.tenant_id, first.id)
        assert await relational.alerts.get(second.tenant_id, alert.id) == rows[1]


async def _refusals(
    relational: RelationalStores, tenant_id: TenantId, alert_id: AlertId
) -> list[UrlmonError]:
    """Return what each call that needs an alert says to a tenant without it."""
    repo = relational.alerts
    return [
        await refusal_of(call)
        for call in (
            repo.get(tenant_id, alert_id),
            repo.acknowledge(tenant_id, alert_id, by="me", at=NOON),
            repo.resolve(tenant_id, alert_id, at=NOON),
            repo.count_notification(tenant_id, alert_id, number=1),
        )
    ]
