"""The fake of the port through which checkers see all monitors."""

from __future__ import annotations

from typing import Final

from urlmon.domain.directory import MonitorChange
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.monitors import Monitor
from urlmon.domain.pages import (
    Page,
    check_page_size,
    decode_cursor,
    encode_cursor,
    ids_after,
    number_from_text,
    page_of,
)
from urlmon.domain.tenants import TenantStatus
from urlmon.errors import NotFoundError
from urlmon.ports import MonitorDirectory
from urlmon.testing.state import InMemoryState

_ACTIVE: Final = ("directory",)
_CHANGES: Final = ("changes",)


class InMemoryMonitorDirectory(MonitorDirectory):
    """Reads monitors across tenants from memory."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> Monitor:
        require_tenant(tenant_id)
        async with self._state.faults.call("MonitorDirectory.get"):
            monitor = self._state.monitors.get((tenant_id, monitor_id))
            if monitor is None:
                raise NotFoundError(
                    "memory", "MonitorDirectory.get", entity="monitor", key=str(monitor_id)
                )
            return monitor

    async def list_active(self, *, cursor: str | None = None, limit: int = 1000) -> Page[Monitor]:
        check_page_size(limit)
        after = ids_after(cursor, _ACTIVE, ids=2)
        async with self._state.faults.call("MonitorDirectory.list_active"):
            rows = sorted(
                (
                    monitor
                    for monitor in self._state.monitors.values()
                    if (monitor.id, monitor.tenant_id) > after and self._is_active(monitor)
                ),
                key=lambda monitor: (monitor.id, monitor.tenant_id),
            )
            return page_of(rows, limit, _ACTIVE, lambda monitor: (monitor.id, monitor.tenant_id))

    async def changes(self, *, cursor: str | None = None, limit: int = 1000) -> Page[MonitorChange]:
        check_page_size(limit)
        after = 0
        if cursor is not None:
            after = number_from_text(*decode_cursor(cursor, 1, scope=_CHANGES))
        async with self._state.faults.call("MonitorDirectory.changes"):
            numbers = self._state.changes
            keys = sorted((key for key in numbers if numbers[key] > after), key=numbers.__getitem__)
            items = tuple(self._change(*key) for key in keys[:limit])
            newest = numbers[keys[:limit][-1]] if items else after
            return Page(items=items, next_cursor=encode_cursor(*_CHANGES, str(newest)))

    def _change(self, tenant_id: TenantId, monitor_id: MonitorId) -> MonitorChange:
        monitor = self._state.monitors.get((tenant_id, monitor_id))
        return MonitorChange(
            tenant_id=tenant_id,
            monitor_id=monitor_id,
            monitor=monitor if monitor is not None and self._is_active(monitor) else None,
        )

    def _is_active(self, monitor: Monitor) -> bool:
        tenant = self._state.tenants[monitor.tenant_id]
        return monitor.enabled and tenant.status is TenantStatus.ACTIVE
