"""The fake of the port for monitors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from urlmon.domain._validators import check_first_version, check_text
from urlmon.domain.ids import ChannelId, MonitorId, TenantId, require_owner, require_tenant
from urlmon.domain.monitors import LONGEST_TAG, Monitor, check_switch
from urlmon.domain.pages import Page, check_many, check_page_size, ids_after, page_of
from urlmon.domain.tenants import TenantLimits
from urlmon.errors import AlreadyExistsError, ConflictError, LimitExceededError, NotFoundError
from urlmon.ports import MonitorRepo
from urlmon.testing.state import InMemoryState

_STORE: Final = "memory"


class InMemoryMonitorRepo(MonitorRepo):
    """Keeps monitors in memory."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def add(self, tenant_id: TenantId, monitor: Monitor) -> Monitor:
        operation = "MonitorRepo.add"
        require_owner(tenant_id, monitor.tenant_id)
        check_first_version(monitor.version)
        async with self._state.faults.call(operation):
            tenant = self._state.tenants.get(tenant_id)
            if tenant is None:
                raise NotFoundError(_STORE, operation, entity="tenant", key=str(tenant_id))
            stored = self._state.monitors.get((tenant_id, monitor.id))
            if stored == monitor:
                return monitor
            if stored is not None:
                raise AlreadyExistsError(_STORE, operation, entity="monitor", field="id")
            count = sum(owner == tenant_id for owner, _ in self._state.monitors)
            if count >= tenant.limits.max_monitors:
                raise LimitExceededError(
                    _STORE,
                    operation,
                    limit_name="max_monitors",
                    limit=str(tenant.limits.max_monitors),
                )
            self._check(monitor, tenant.limits, operation)
            self._state.removed.pop((tenant_id, monitor.id), None)
            self._put(monitor)
            return monitor

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> Monitor:
        require_tenant(tenant_id)
        async with self._state.faults.call("MonitorRepo.get"):
            return self._stored(tenant_id, monitor_id, "MonitorRepo.get")

    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, Monitor]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("MonitorRepo.get_many"):
            return {
                monitor_id: self._state.monitors[tenant_id, monitor_id]
                for monitor_id in monitor_ids
                if (tenant_id, monitor_id) in self._state.monitors
            }

    async def list(
        self,
        tenant_id: TenantId,
        *,
        enabled: bool | None = None,
        tag: str | None = None,
        channel_id: ChannelId | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Monitor]:
        scope = ("monitors", str(require_tenant(tenant_id)))
        check_page_size(limit)
        (after,) = ids_after(cursor, scope)
        if tag is not None:
            check_text("tag", tag, longest=LONGEST_TAG)
        async with self._state.faults.call("MonitorRepo.list"):
            rows = sorted(
                (
                    monitor
                    for (owner, monitor_id), monitor in self._state.monitors.items()
                    if owner == tenant_id
                    and monitor_id > after
                    and enabled in {None, monitor.enabled}
                    and (tag is None or tag in monitor.tags)
                    and (channel_id is None or channel_id in monitor.channel_ids)
                ),
                key=lambda monitor: monitor.id,
            )
            return page_of(rows, limit, scope, lambda monitor: (monitor.id,))

    async def update(self, tenant_id: TenantId, monitor: Monitor) -> Monitor:
        operation = "MonitorRepo.update"
        require_owner(tenant_id, monitor.tenant_id)
        changed = evolve(monitor, version=monitor.version + 1)
        async with self._state.faults.call(operation):
            stored = self._stored(tenant_id, monitor.id, operation)
            changed = evolve(changed, created_at=stored.created_at)
            if stored == changed:
                return stored
            if stored.version != monitor.version:
                raise ConflictError(
                    _STORE, operation, entity="monitor", current=str(stored.version)
                )
            self._check(changed, self._state.tenants[tenant_id].limits, operation)
            self._put(changed)
            return changed

    async def set_enabled(
        self,
        tenant_id: TenantId,
        monitor_id: MonitorId,
        *,
        enabled: bool,
        at: datetime,
        reason: str | None = None,
    ) -> Monitor:
        require_tenant(tenant_id)
        check_switch(enabled=enabled, reason=reason, at=at)
        async with self._state.faults.call("MonitorRepo.set_enabled"):
            stored = self._stored(tenant_id, monitor_id, "MonitorRepo.set_enabled")
            changed = stored.switched(enabled=enabled, reason=reason, at=at)
            if changed is not stored:
                self._put(changed)
            return changed

    async def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        require_tenant(tenant_id)
        async with self._state.faults.call("MonitorRepo.remove"):
            if self._state.monitors.pop((tenant_id, monitor_id), None) is None:
                return
            alerts = self._state.alerts
            for key, alert in list(alerts.items()):
                if (alert.tenant_id, alert.monitor_id) == (tenant_id, monitor_id):
                    del alerts[key]
            self._state.gone(tenant_id, monitor_id)

    def _stored(self, tenant_id: TenantId, monitor_id: MonitorId, operation: str) -> Monitor:
        stored = self._state.monitors.get((tenant_id, monitor_id))
        if stored is None:
            raise NotFoundError(_STORE, operation, entity="monitor", key=str(monitor_id))
        return stored

    def _check(self, monitor: Monitor, limits: TenantLimits, operation: str) -> None:
        """Refuse what the tenant's other rows do not allow."""
        if monitor.interval < limits.shortest_interval:
            raise LimitExceededError(
                _STORE,
                operation,
                limit_name="shortest_interval",
                limit=str(limits.shortest_interval),
            )
        for channel_id in monitor.channel_ids:
            if (monitor.tenant_id, channel_id) not in self._state.channels:
                raise NotFoundError(_STORE, operation, entity="channel", key=str(channel_id))
        for (owner, monitor_id), other in self._state.monitors.items():
            if (owner, other.name) == (monitor.tenant_id, monitor.name) and (
                monitor_id != monitor.id
            ):
                raise AlreadyExistsError(_STORE, operation, entity="monitor", field="name")

    def _put(self, monitor: Monitor) -> None:
        self._state.monitors[monitor.tenant_id, monitor.id] = monitor
        self._state.changed(monitor.tenant_id, monitor.id)
