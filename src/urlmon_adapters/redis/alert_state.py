"""The Redis `AlertStateCache`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from urlmon.domain._validators import check_instant
from urlmon.domain.alerting import AlertPolicy, AlertState, Decision
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId, require_owner, require_tenant
from urlmon.domain.pages import check_many
from urlmon.errors import NotFoundError
from urlmon.ports import AlertStateCache
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._replies import decoding
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import (
    decode_state,
    encode_state,
    read_decision,
    recording,
    to_us,
)

_RECORD: Final = ("clock", "outbox", "alert_record")


class RedisAlertStateCache(AlertStateCache):
    """Keeps alert states in hashes; the rules run in a script."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def record(
        self, tenant_id: TenantId, outcome: CheckOutcome, *, policy: AlertPolicy
    ) -> Decision:
        require_owner(tenant_id, outcome.tenant_id)
        operation = "AlertStateCache.record"
        keys, arguments = recording(self._client.keys, outcome, policy)
        reply = await self._client.run(operation, load(*_RECORD), keys, *arguments)
        with decoding(operation):
            return read_decision(reply)

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> AlertState:
        return (await self._read("AlertStateCache.get", tenant_id, (monitor_id,)))[monitor_id]

    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, AlertState]:
        check_many("monitor_ids", monitor_ids)
        return await self._read("AlertStateCache.get_many", tenant_id, monitor_ids)

    async def seed(self, tenant_id: TenantId, monitor_id: MonitorId, *, state: AlertState) -> bool:
        operation = "AlertStateCache.seed"
        reply = await self._run(operation, tenant_id, monitor_id, *encode_state(state))
        with decoding(operation):
            return decode_state(reply) == state

    async def suppress(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime | None
    ) -> AlertState:
        operation = "AlertStateCache.suppress"
        end = "" if until is None else str(to_us(check_instant("until", until)))
        reply = await self._run(operation, tenant_id, monitor_id, end)
        with decoding(operation):
            return decode_state(reply)

    async def acknowledge(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, alert_id: AlertId
    ) -> AlertState:
        operation = "AlertStateCache.acknowledge"
        reply = await self._run(operation, tenant_id, monitor_id, str(alert_id))
        if not reply:
            raise NotFoundError(STORE, operation, entity="alert", key=str(alert_id))
        with decoding(operation):
            return decode_state(reply)

    async def forget(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        await self._run("AlertStateCache.forget", tenant_id, monitor_id)

    async def _run(
        self, operation: str, tenant_id: TenantId, monitor_id: MonitorId, *arguments: str
    ) -> Reply:
        """Run the script of an operation on one state."""
        key = self._client.keys.alert_state(require_tenant(tenant_id), monitor_id)
        script = load(operation.replace("AlertStateCache.", "alert_"))
        return await self._client.run(operation, script, (key,), *arguments)

    async def _read(
        self, operation: str, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> dict[MonitorId, AlertState]:
        require_tenant(tenant_id)
        if not monitor_ids:
            return {}
        states = await self._client.read(
            operation,
            *(("HGETALL", self._client.keys.alert_state(tenant_id, each)) for each in monitor_ids),
        )
        with decoding(operation):
            decoded = map(decode_state, states)
            return dict(zip(monitor_ids, decoded, strict=True))
