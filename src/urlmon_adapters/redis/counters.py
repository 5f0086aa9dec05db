"""The Redis `FailureCounters`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from urlmon.domain._validators import check_instant
from urlmon.domain.counters import NO_COUNT, FailureCount, check_count_ttl, check_seed
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many
from urlmon.ports import FailureCounters
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._keys import bucket_of
from urlmon_adapters.redis._replies import decoding, items, number, text
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import from_us, to_us

_MICROSECOND: Final = timedelta(microseconds=1)


class RedisFailureCounters(FailureCounters):
    """Keeps each count in a string of its own."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

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
        due = to_us(check_instant("scheduled_at", scheduled_at))
        ttl_us = check_count_ttl(ttl) // _MICROSECOND
        return await self._change("record", tenant_id, monitor_id, due, int(success), ttl_us)

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> FailureCount:
        return (await self._read("FailureCounters.get", tenant_id, (monitor_id,)))[monitor_id]

    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, FailureCount]:
        check_many("monitor_ids", monitor_ids)
        return await self._read("FailureCounters.get_many", tenant_id, monitor_ids)

    async def reset(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime, ttl: timedelta
    ) -> FailureCount:
        require_tenant(tenant_id)
        end = to_us(check_instant("until", until))
        ttl_us = check_count_ttl(ttl) // _MICROSECOND
        return await self._change("reset", tenant_id, monitor_id, end, ttl_us)

    async def seed(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, count: FailureCount, ttl: timedelta
    ) -> bool:
        require_tenant(tenant_id)
        watermark = to_us(check_seed(count))
        ttl_us = check_count_ttl(ttl) // _MICROSECOND
        arguments = watermark, count.failures, ttl_us
        return await self._change("seed", tenant_id, monitor_id, *arguments) == count

    async def _change(
        self, what: str, tenant_id: TenantId, monitor_id: MonitorId, *arguments: int
    ) -> FailureCount:
        """Run the script of a change on one count; all but a seed only if nothing was lost."""
        operation, keys = f"FailureCounters.{what}", self._client.keys
        whole = () if what == "seed" else ("whole",)
        reply = await self._client.run(
            operation,
            load(*whole, "clock", "counter", f"counter_{what}"),
            (keys.failures(tenant_id, monitor_id), keys.whole(bucket_of(monitor_id))),
            *arguments,
        )
        with decoding(operation):
            watermark, failures = map(number, items(reply))
            return FailureCount(failures=failures, watermark=from_us(watermark))

    async def _read(
        self, operation: str, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> dict[MonitorId, FailureCount]:
        require_tenant(tenant_id)
        if not monitor_ids:
            return {}
        keys = self._client.keys
        time, *rows = await self._client.read(
            operation,
            ("TIME",),
            *(("GET", keys.failures(tenant_id, each)) for each in monitor_ids),
        )
        with decoding(operation):
            seconds, microseconds = map(number, items(time))
            now = seconds * 1_000_000 + microseconds + self._client.time.offset // _MICROSECOND
            counts = [_decode(row, now) for row in rows]
            return dict(zip(monitor_ids, counts, strict=True))


def _decode(row: Reply, now: int) -> FailureCount:
    """Read what `counter.lua` writes."""
    if row is None:
        return NO_COUNT
    end, watermark, failures = map(int, text(row).split(" "))
    if now >= end:
        return NO_COUNT
    return FailureCount(failures=failures, watermark=from_us(watermark))
