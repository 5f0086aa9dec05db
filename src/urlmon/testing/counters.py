"""The in-memory `FailureCounters`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from urlmon.domain._validators import check_instant
from urlmon.domain.counters import (
    NO_COUNT,
    FailureCount,
    check_count_ttl,
    check_seed,
    count,
    reset,
)
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many
from urlmon.ports import FailureCounters
from urlmon.testing.state import InMemoryState


class InMemoryFailureCounters(FailureCounters):
    """Keeps counts in a dictionary."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def record(
        self,
        tenant_id: TenantId,
        monitor_id: MonitorId,
        *,
        scheduled_at: datetime,
        success: bool,
        ttl: timedelta,
    ) -> FailureCount:
        require_tenant(tenant_id)
        scheduled_at = check_instant("scheduled_at", scheduled_at)
        check_count_ttl(ttl)
        async with self._state.faults.call("FailureCounters.record"):
            self._state.require_whole("FailureCounters.record")
            known = self._read(tenant_id, monitor_id)
            after = count(known, scheduled_at=scheduled_at, success=success)
            if after.watermark != known.watermark:
                self._write(tenant_id, monitor_id, after, ttl)
            return after

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> FailureCount:
        require_tenant(tenant_id)
        async with self._state.faults.call("FailureCounters.get"):
            return self._read(tenant_id, monitor_id)

    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, FailureCount]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("FailureCounters.get_many"):
            return {each: self._read(tenant_id, each) for each in monitor_ids}

    async def reset(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime, ttl: timedelta
    ) -> FailureCount:
        require_tenant(tenant_id)
        until = check_instant("until", until)
        check_count_ttl(ttl)
        async with self._state.faults.call("FailureCounters.reset"):
            self._state.require_whole("FailureCounters.reset")
            after = reset(self._read(tenant_id, monitor_id), until=until)
            if after.watermark == until:
                self._write(tenant_id, monitor_id, after, ttl)
            return after

    async def seed(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, count: FailureCount, ttl: timedelta
    ) -> bool:
        require_tenant(tenant_id)
        check_seed(count)
        check_count_ttl(ttl)
        async with self._state.faults.call("FailureCounters.seed"):
            if self._read(tenant_id, monitor_id).watermark is None:
                self._write(tenant_id, monitor_id, count, ttl)
            return self._read(tenant_id, monitor_id) == count

    def _read(self, tenant_id: TenantId, monitor_id: MonitorId) -> FailureCount:
        known = self._state.failure_counts.get((tenant_id, monitor_id))
        return known[0] if known is not None and self._state.clock.now() < known[1] else NO_COUNT

    def _write(
        self, tenant_id: TenantId, monitor_id: MonitorId, after: FailureCount, ttl: timedelta
    ) -> None:
        end = self._state.clock.now() + ttl
        self._state.failure_counts[tenant_id, monitor_id] = after, end
