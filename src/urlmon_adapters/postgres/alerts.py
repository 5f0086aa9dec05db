"""Alerts in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final, LiteralString

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
from urlmon_adapters.postgres._database import Connection, Database
from urlmon_adapters.postgres._errors import STORE
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import add_below, fetch_all, get_row, reading

_OPEN: Final = """
INSERT INTO alerts (tenant_id, id, monitor_id, rule, cause, opened_at)
SELECT tenant_id, %(id)s, id, %(rule)s, %(cause)s, %(opened_at)s
FROM monitors WHERE tenant_id = %(tenant_id)s AND id = %(monitor_id)s FOR KEY SHARE
ON CONFLICT DO NOTHING
"""
_MONITOR: Final = "SELECT id FROM monitors WHERE tenant_id = %(tenant_id)s AND id = %(monitor_id)s"
_IN_THE_WAY: Final = """
SELECT * FROM alerts
WHERE tenant_id = %(tenant_id)s AND (
    id = %(id)s
    OR (monitor_id = %(monitor_id)s AND rule = %(rule)s AND resolved_at IS NULL)
)
ORDER BY id = %(id)s DESC LIMIT 1
"""
_GET: Final = "SELECT * FROM alerts WHERE tenant_id = %(tenant_id)s AND id = %(id)s"
_LOCK: Final = _GET + " FOR UPDATE"
_UPDATE: Final = """
UPDATE alerts SET
    acknowledged_at = %(acknowledged_at)s, acknowledged_by = %(acknowledged_by)s, note = %(note)s,
    resolved_at = %(resolved_at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""
_COUNT: Final = """
UPDATE alerts SET notification_count = greatest(notification_count, %(number)s)
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
RETURNING *
"""
_OPEN_FOR: Final = """
SELECT * FROM alerts
WHERE tenant_id = %(tenant_id)s AND monitor_id = ANY(%(monitor_ids)s) AND resolved_at IS NULL
ORDER BY monitor_id, rule COLLATE "C"
"""
_LIST: Final = """
SELECT * FROM alerts
WHERE tenant_id = %(tenant_id)s AND (opened_at, id) < (%(opened_at)s, %(before)s)
    AND (%(monitor_id)s::uuid IS NULL OR monitor_id = %(monitor_id)s)
    AND (%(status)s::text IS NULL OR alert_status(resolved_at, acknowledged_at) = %(status)s)
ORDER BY opened_at DESC, id DESC LIMIT %(count)s
"""
# The third condition follows from the others; there is an index for it.
_TIMELINE: Final = """
SELECT * FROM alerts
WHERE tenant_id = %(tenant_id)s AND monitor_id = ANY(%(monitor_ids)s)
    AND (resolved_at >= %(since)s OR resolved_at IS NULL)
    AND opened_at < %(until)s
    AND (opened_at >= %(since)s OR resolved_at IS NULL OR resolved_at > %(since)s)
ORDER BY opened_at, id LIMIT %(count)s
"""


@repeatable
class PostgresAlertRepo(AlertRepo):
    """Keeps alerts in the table `alerts`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, tenant_id: TenantId, alert: Alert) -> Opening:
        operation = "AlertRepo.open"
        check_opening(tenant_id, alert)
        values = {
            "tenant_id": tenant_id,
            "id": alert.id,
            "monitor_id": alert.monitor_id,
            "rule": alert.rule,
            "cause": alert.cause,
            "opened_at": alert.opened_at,
        }
        async with self._database.tenant(operation, tenant_id) as connection:
            missing = NotFoundError(STORE, operation, entity="monitor", key=str(alert.monitor_id))
            row = await add_below(
                connection, _OPEN, values, in_the_way=_IN_THE_WAY, parent=_MONITOR, missing=missing
            )
        if row is None:
            return Opening(alert=alert, created=True)
        stored = _alert_from(row, operation)
        if stored.id != alert.id:
            raise ConflictError(STORE, operation, entity="alert", current=stored.status)
        if (stored.monitor_id, stored.rule) != (alert.monitor_id, alert.rule):
            raise AlreadyExistsError(STORE, operation, entity="alert", field="id")
        return Opening(alert=stored, created=False)

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
        async with self._database.tenant(operation, tenant_id) as connection:
            stored = await _alert(connection, _LOCK, tenant_id, alert_id, operation)
            changed = stored.acknowledged(by=by, note=note, at=at)
            if changed == stored:
                return stored
            if stored.status is not AlertStatus.FIRING:
                raise ConflictError(STORE, operation, entity="alert", current=stored.status)
            await _update(connection, changed)
        return changed

    async def resolve(self, tenant_id: TenantId, alert_id: AlertId, *, at: datetime) -> Alert:
        operation = "AlertRepo.resolve"
        async with self._database.tenant(operation, tenant_id) as connection:
            stored = await _alert(connection, _LOCK, tenant_id, alert_id, operation)
            changed = stored.resolved(at=at)
            if changed is not stored:
                await _update(connection, changed)
        return changed

    async def count_notification(
        self, tenant_id: TenantId, alert_id: AlertId, *, number: int
    ) -> Alert:
        operation = "AlertRepo.count_notification"
        check_notification_number(number)
        async with self._database.tenant(operation, tenant_id) as connection:
            return await _alert(connection, _COUNT, tenant_id, alert_id, operation, number=number)

    async def get(self, tenant_id: TenantId, alert_id: AlertId) -> Alert:
        async with self._database.tenant("AlertRepo.get", tenant_id) as connection:
            return await _alert(connection, _GET, tenant_id, alert_id, "AlertRepo.get")

    async def open_for(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, tuple[Alert, ...]]:
        operation = "AlertRepo.open_for"
        check_many("monitor_ids", monitor_ids)
        values = {"tenant_id": tenant_id, "monitor_ids": list(monitor_ids)}
        async with self._database.tenant(operation, tenant_id) as connection:
            rows = await fetch_all(connection, _OPEN_FOR, values)
        alerts = [_alert_from(row, operation) for row in rows]
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
        opened_at, before = alerts_before(cursor, scope)
        values = {
            "tenant_id": tenant_id,
            "monitor_id": monitor_id,
            "status": None if status is None else status.value,
            "opened_at": opened_at,
            "before": before,
            "count": limit + 1,
        }
        async with self._database.tenant("AlertRepo.list", tenant_id) as connection:
            rows = await fetch_all(connection, _LIST, values)
        return alert_page([_alert_from(row, "AlertRepo.list") for row in rows], limit, scope)

    async def timeline(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> tuple[Alert, ...]:
        check_many("monitor_ids", monitor_ids)
        values = {
            "tenant_id": tenant_id,
            "monitor_ids": list(monitor_ids),
            "since": period.since,
            "until": period.until,
            "count": MAX_PAGE_SIZE,
        }
        async with self._database.tenant("AlertRepo.timeline", tenant_id) as connection:
            rows = await fetch_all(connection, _TIMELINE, values)
        return tuple(_alert_from(row, "AlertRepo.timeline") for row in rows)


async def _alert(
    connection: Connection,
    query: LiteralString,
    tenant_id: TenantId,
    alert_id: AlertId,
    operation: str,
    **values: object,
) -> Alert:
    bound = {"tenant_id": tenant_id, "id": alert_id, **values}
    return _alert_from(await get_row(connection, query, bound, operation, "alert"), operation)


async def _update(connection: Connection, alert: Alert) -> None:
    values = {
        "tenant_id": alert.tenant_id,
        "id": alert.id,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by,
        "note": alert.note,
        "resolved_at": alert.resolved_at,
    }
    await connection.execute(_UPDATE, values)


def _alert_from(row: Mapping[str, Any], operation: str) -> Alert:
    with reading(operation, "alert", row["id"]):
        return Alert(
            id=AlertId(row["id"]),
            tenant_id=TenantId(row["tenant_id"]),
            monitor_id=MonitorId(row["monitor_id"]),
            rule=row["rule"],
            cause=row["cause"],
            opened_at=row["opened_at"],
            acknowledged_at=row["acknowledged_at"],
            acknowledged_by=row["acknowledged_by"],
            note=row["note"],
            resolved_at=row["resolved_at"],
            notification_count=row["notification_count"],
        )
