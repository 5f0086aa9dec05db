"""The fake of the port for alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from attrs import evolve

from urlmon.domain.alerts import (
    Alert,
    AlertStatus,
    Opening,
    alert_page,
    alerts_before,
    check_notification_number,
    check_opening,
)
from urlmon.domain.ids import AlertId, MonitorId, TenantId, require_tenant
from urlmon.domain.pages import MAX_PAGE_SIZE, Page, check_many, check_page_size
from urlmon.domain.periods import Period
from urlmon.errors import AlreadyExistsError, ConflictError, NotFoundError
from urlmon.ports import AlertRepo
from urlmon.testing.state import InMemoryState

_STORE: Final = "memory"


class InMemoryAlertRepo(AlertRepo):
    """Keeps alerts in memory."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def open(self, tenant_id: TenantId, alert: Alert) -> Opening:
        operation = "AlertRepo.open"
        check_opening(tenant_id, alert)
        async with self._state.faults.call(operation):
            stored = self._state.alerts.get((tenant_id, alert.id))
            if stored is not None:
                if (stored.monitor_id, stored.rule) != (alert.monitor_id, alert.rule):
                    raise AlreadyExistsError(_STORE, operation, entity="alert", field="id")
                return Opening(alert=stored, created=False)
            if (tenant_id, alert.monitor_id) not in self._state.monitors:
                raise NotFoundError(_STORE, operation, entity="monitor", key=str(alert.monitor_id))
            for other in self._of(tenant_id, [alert.monitor_id]):
                if other.rule == alert.rule and other.resolved_at is None:
                    raise ConflictError(_STORE, operation, entity="alert", current=other.status)
            self._put(alert)
            return Opening(alert=alert, created=True)

    async def acknowledge(
        self,
        tenant_id: TenantId,
        alert_id: AlertId,
        *,
        by: str,
        at: datetime,
        note: str | None = None,
    ) -> Alert:
        operation = "AlertRepo.acknowledge"
        require_tenant(tenant_id)
        async with self._state.faults.call(operation):
            stored = self._stored(tenant_id, alert_id, operation)
            changed = stored.acknowledged(by=by, note=note, at=at)
            if changed == stored:
                return stored
            if stored.status is not AlertStatus.FIRING:
                raise ConflictError(_STORE, operation, entity="alert", current=stored.status)
            return self._put(changed)

    async def resolve(self, tenant_id: TenantId, alert_id: AlertId, *, at: datetime) -> Alert:
        require_tenant(tenant_id)
        async with self._state.faults.call("AlertRepo.resolve"):
            stored = self._stored(tenant_id, alert_id, "AlertRepo.resolve")
            return self._put(stored.resolved(at=at))

    async def count_notification(
        self, tenant_id: TenantId, alert_id: AlertId, *, number: int
    ) -> Alert:
        require_tenant(tenant_id)
        check_notification_number(number)
        async with self._state.faults.call("AlertRepo.count_notification"):
            stored = self._stored(tenant_id, alert_id, "AlertRepo.count_notification")
            count = max(stored.notification_count, number)
            return self._put(evolve(stored, notification_count=count))

    async def get(self, tenant_id: TenantId, alert_id: AlertId) -> Alert:
        require_tenant(tenant_id)
        async with self._state.faults.call("AlertRepo.get"):
            return self._stored(tenant_id, alert_id, "AlertRepo.get")

    async def open_for(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, tuple[Alert, ...]]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("AlertRepo.open_for"):
            alerts = sorted(
                (each for each in self._of(tenant_id, monitor_ids) if each.resolved_at is None),
                key=lambda alert: (alert.monitor_id, alert.rule),
            )
            groups = groupby(alerts, key=lambda alert: alert.monitor_id)
            return {monitor_id: tuple(each) for monitor_id, each in groups}

    async def list(
        self,
        tenant_id: TenantId,
        *,
        monitor_id: MonitorId | None = None,
        status: AlertStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Alert]:
        scope = ("alerts", str(require_tenant(tenant_id)))
        check_page_size(limit)
        before = alerts_before(cursor, scope)
        async with self._state.faults.call("AlertRepo.list"):
            rows = sorted(
                (
                    alert
                    for (owner, _), alert in self._state.alerts.items()
                    if owner == tenant_id
                    and (alert.opened_at, alert.id) < before
                    and monitor_id in {None, alert.monitor_id}
                    and status in {None, alert.status}
                ),
                key=lambda alert: (alert.opened_at, alert.id),
                reverse=True,
            )
            return alert_page(rows, limit, scope)

    async def timeline(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> tuple[Alert, ...]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("AlertRepo.timeline"):
            rows = sorted(
                (each for each in self._of(tenant_id, monitor_ids) if each.was_open_in(period)),
                key=lambda alert: (alert.opened_at, alert.id),
            )
            return tuple(rows[:MAX_PAGE_SIZE])

    def _stored(self, tenant_id: TenantId, alert_id: AlertId, operation: str) -> Alert:
        stored = self._state.alerts.get((tenant_id, alert_id))
        if stored is None:
            raise NotFoundError(_STORE, operation, entity="alert", key=str(alert_id))
        return stored

    def _of(self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]) -> tuple[Alert, ...]:
        wanted = set(monitor_ids)
        return tuple(
            alert
            for (owner, _), alert in self._state.alerts.items()
            if owner == tenant_id and alert.monitor_id in wanted
        )

    def _put(self, alert: Alert) -> Alert:
        self._state.alerts[alert.tenant_id, alert.id] = alert
        return alert
