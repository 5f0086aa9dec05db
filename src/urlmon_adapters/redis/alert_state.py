"""The Redis `AlertStateCache`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from urlmon.domain._validators import check_instant
from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.alert_state import AlertState
from urlmon.domain.alerting import Decision
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId, require_owner, require_tenant
from urlmon.domain.pages import check_many
from urlmon.errors import NotFoundError
from urlmon.ports import AlertStateCache
from urlmon_adapters.redis._by_monitor import read_by_monitor
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._keys import bucket_of
from urlmon_adapters.redis._replies import decoding, text
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import (
    decode_state,
    encode_state,
    name_of,
    read_decision,
    recording,
    to_us,
)

RECORD: Final = ("whole", "alert", "alert_record", "clock", "outbox", "alert_enter")
_CHANGE: Final = ("whole", "clock", "outbox", "alert", "alert_tell")


class RedisAlertStateCache(AlertStateCache):
    """Keeps alert states in a hash of each bucket; the rules run in a script."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def record(
        self, tenant_id: TenantId, outcome: CheckOutcome, *, policy: AlertPolicy
    ) -> Decision:
        require_owner(tenant_id, outcome.tenant_id)
        operation = "AlertStateCache.record"
        keys, arguments = recording(self._client.keys, outcome, policy)
        bucket = bucket_of(outcome.monitor_id)
        reply = await self._client.run(
            operation,
            load(*RECORD),
            (*keys, self._client.keys.whole(bucket)),
            *arguments,
        )
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
        operation, given = "AlertStateCache.seed", encode_state(state)
        row = await self._run(operation, tenant_id, monitor_id, given)
        if row == given:
            return True
        with decoding(operation):
            known = decode_state(row)
            return known == evolve(state, suppressed_until=known.suppressed_until)

    async def replace(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, known: AlertState, state: AlertState
    ) -> bool:
        operation = "AlertStateCache.replace"
        states = encode_state(known), encode_state(state)
        return await self._run(operation, tenant_id, monitor_id, *states) == "1"

    async def suppress(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime | None
    ) -> AlertState:
        operation = "AlertStateCache.suppress"
        end = "-" if until is None else str(to_us(check_instant("until", until)))
        row = await self._run(operation, tenant_id, monitor_id, end)
        with decoding(operation):
            return decode_state(row)

    async def acknowledge(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, alert_id: AlertId
    ) -> AlertState:
        operation = "AlertStateCache.acknowledge"
        row = await self._run(operation, tenant_id, monitor_id, str(alert_id))
        if not row:
            raise NotFoundError(STORE, operation, entity="alert", key=str(alert_id))
        with decoding(operation):
            return decode_state(row)

    async def forget(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        await self._run("AlertStateCache.forget", tenant_id, monitor_id)

    async def _run(
        self, operation: str, tenant_id: TenantId, monitor_id: MonitorId, *arguments: str
    ) -> str:
        """Run the script of an operation on one state; return its answer, "" for none.

        All but a seed are refused where the state was lost.
        """
        require_tenant(tenant_id)
        keys, bucket = self._client.keys, bucket_of(monitor_id)
        needed = ("alert",) if operation.endswith(".seed") else _CHANGE
        reply = await self._client.run(
            operation,
            load(*needed, operation.replace("AlertStateCache.", "alert_")),
            (*keys.outbox(bucket), *keys.alerts(bucket), keys.whole(bucket)),
            name_of(tenant_id, monitor_id),
            *arguments,
        )
        with decoding(operation):
            return "" if reply is None else text(reply)

    async def _read(
        self, operation: str, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> dict[MonitorId, AlertState]:
        rows = await read_by_monitor(
            self._client,
            operation,
            lambda bucket: self._client.keys.alerts(bucket)[0],
            tenant_id=tenant_id,
            monitor_ids=monitor_ids,
        )
        with decoding(operation):
            return {
                each: decode_state("" if row is None else text(row)) for each, row in rows.items()
            }
