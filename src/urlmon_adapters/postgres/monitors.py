"""A tenant's monitors in PostgreSQL.

Locks are taken in one order everywhere, so that calls wait for each other and do not deadlock: the
tenant, then channels by id, then monitors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from attrs import evolve
from psycopg.rows import DictRow

from urlmon.domain._validators import check_first_version, check_text
from urlmon.domain.ids import ChannelId, MonitorId, TenantId, require_owner, require_tenant
from urlmon.domain.monitors import LONGEST_TAG, Monitor, check_switch
from urlmon.domain.pages import Page, check_many, check_page_size, ids_after, page_of
from urlmon.domain.tenants import TenantLimits
from urlmon.errors import AlreadyExistsError, ConflictError, LimitExceededError, NotFoundError
from urlmon.ports import MonitorRepo
from urlmon_adapters.postgres._database import Connection, Database
from urlmon_adapters.postgres._errors import STORE, violated
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import (
    GET_MONITOR,
    SELECT_MONITORS,
    fetch_all,
    fetch_one,
    get_monitor,
    get_row,
    monitor_from,
    monitor_values,
    tenant_limits,
)

# Whoever adds or removes a monitor of the tenant waits here, as it is counted there; writers of
# other rows that refer to it do not.
_LOCK_TENANT: Final = """
SELECT max_monitors, shortest_interval_seconds, monitor_count FROM tenants
WHERE id = %(tenant_id)s AND removed_in IS NULL
FOR NO KEY UPDATE
"""
_LOCK_CHANNELS: Final = """
SELECT id FROM notification_channels
WHERE tenant_id = %(tenant_id)s AND id = ANY(%(channel_ids)s)
ORDER BY id FOR KEY SHARE
"""
# Locked first and read by the next statement: this one's subqueries would see the rows as they
# were before it waited.
_LOCK: Final = """
SELECT t.max_monitors, t.shortest_interval_seconds
FROM monitors m JOIN tenants t ON t.id = m.tenant_id
WHERE m.tenant_id = %(tenant_id)s AND m.id = %(id)s
FOR NO KEY UPDATE OF m
"""
_GET_MANY: Final = SELECT_MONITORS + "WHERE m.tenant_id = %(tenant_id)s AND m.id = ANY(%(ids)s)"
# A filter is an index in the order of monitors, or of these; of an OR the planner would make none.
_WITH_TAG: Final = """
JOIN monitor_tags g ON g.tenant_id = m.tenant_id AND g.monitor_id = m.id AND g.tag = %(tag)s
"""
_WITH_CHANNEL: Final = """
JOIN monitor_channels n
    ON n.tenant_id = m.tenant_id AND n.monitor_id = m.id AND n.channel_id = %(channel_id)s
"""
_PAGE: Final = """
WHERE m.tenant_id = %(tenant_id)s AND m.id > %(after)s
    AND (%(enabled)s::boolean IS NULL OR m.enabled = %(enabled)s)
ORDER BY m.id LIMIT %(count)s
"""
_ADD: Final = """
INSERT INTO monitors (
    tenant_id, id, name, url, method, headers, body, expected_statuses, interval_seconds,
    timeout_ms, locations, failure_threshold, recovery_threshold, reminder_interval_seconds,
    enabled, pause_reason, tags, created_at, updated_at, version
) VALUES (
    %(tenant_id)s, %(id)s, %(name)s, %(url)s, %(method)s, %(headers)s, %(body)s,
    %(expected_statuses)s, %(interval_seconds)s, %(timeout_ms)s, %(locations)s,
    %(failure_threshold)s, %(recovery_threshold)s, %(reminder_interval_seconds)s,
    %(enabled)s, %(pause_reason)s, %(tags)s, %(created_at)s, %(updated_at)s, %(version)s
)
"""
_UPDATE: Final = """
UPDATE monitors SET
    name = %(name)s, url = %(url)s, method = %(method)s, headers = %(headers)s, body = %(body)s,
    expected_statuses = %(expected_statuses)s, interval_seconds = %(interval_seconds)s,
    timeout_ms = %(timeout_ms)s, locations = %(locations)s,
    failure_threshold = %(failure_threshold)s, recovery_threshold = %(recovery_threshold)s,
    reminder_interval_seconds = %(reminder_interval_seconds)s, enabled = %(enabled)s,
    pause_reason = %(pause_reason)s, tags = %(tags)s, updated_at = %(updated_at)s,
    version = %(version)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""
_ADD_CHANNELS: Final = """
INSERT INTO monitor_channels (tenant_id, monitor_id, channel_id, position)
SELECT %(tenant_id)s, %(id)s, channel_id, number - 1
FROM unnest(%(channel_ids)s::uuid[]) WITH ORDINALITY AS given (channel_id, number)
"""
_REMOVE_CHANNELS: Final = """
DELETE FROM monitor_channels WHERE tenant_id = %(tenant_id)s AND monitor_id = %(id)s
"""
_REMOVE: Final = "DELETE FROM monitors WHERE tenant_id = %(tenant_id)s AND id = %(id)s"


@repeatable
class PostgresMonitorRepo(MonitorRepo):
    """Keeps monitors in the tables `monitors` and `monitor_channels`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant_id: TenantId, monitor: Monitor) -> Monitor:
        operation = "MonitorRepo.add"
        require_owner(tenant_id, monitor.tenant_id)
        check_first_version(monitor.version)
        values = monitor_values(monitor)
        async with self._database.tenant(operation, tenant_id) as connection:
            tenant = await fetch_one(connection, _LOCK_TENANT, values)
            if tenant is None:
                raise NotFoundError(STORE, operation, entity="tenant", key=str(tenant_id))
            row = await fetch_one(connection, GET_MONITOR, values)
            if row is not None:
                if monitor_from(row, operation) == monitor:
                    return monitor
                raise AlreadyExistsError(STORE, operation, entity="monitor", field="id")
            limits = tenant_limits(tenant)
            if tenant["monitor_count"] >= limits.max_monitors:
                raise LimitExceededError(
                    STORE, operation, limit_name="max_monitors", limit=str(limits.max_monitors)
                )
            missing = await _lock_channels(connection, values)
            _check(monitor, limits, missing, operation)
            await _write(connection, _ADD, values, operation)
            if monitor.channel_ids:
                await connection.execute(_ADD_CHANNELS, values)
        return monitor

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> Monitor:
        async with self._database.tenant("MonitorRepo.get", tenant_id) as connection:
            return await get_monitor(connection, tenant_id, monitor_id, "MonitorRepo.get")

    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, Monitor]:
        check_many("monitor_ids", monitor_ids)
        values = {"tenant_id": tenant_id, "ids": list(monitor_ids)}
        async with self._database.tenant("MonitorRepo.get_many", tenant_id) as connection:
            rows = await fetch_all(connection, _GET_MANY, values)
        monitors = (monitor_from(row, "MonitorRepo.get_many") for row in rows)
        return {monitor.id: monitor for monitor in monitors}

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
        values = {
            "tenant_id": tenant_id,
            "enabled": enabled,
            "tag": tag,
            "channel_id": channel_id,
            "after": after,
            "count": limit + 1,
        }
        with_tag = "" if tag is None else _WITH_TAG
        with_channel = "" if channel_id is None else _WITH_CHANNEL
        query = SELECT_MONITORS + with_tag + with_channel + _PAGE
        async with self._database.tenant("MonitorRepo.list", tenant_id) as connection:
            rows = await fetch_all(connection, query, values)
        monitors = [monitor_from(row, "MonitorRepo.list") for row in rows]
        return page_of(monitors, limit, scope, lambda monitor: (monitor.id,))

    async def update(self, tenant_id: TenantId, monitor: Monitor) -> Monitor:
        operation = "MonitorRepo.update"
        require_owner(tenant_id, monitor.tenant_id)
        changed = evolve(monitor, version=monitor.version + 1)
        values = monitor_values(changed)
        async with self._database.tenant(operation, tenant_id) as connection:
            missing = await _lock_channels(connection, values)
            tenant = await _lock(connection, tenant_id, monitor.id, operation)
            stored = await get_monitor(connection, tenant_id, monitor.id, operation)
            changed = evolve(changed, created_at=stored.created_at)
            if stored == changed:
                return stored
            if stored.version != monitor.version:
                raise ConflictError(STORE, operation, entity="monitor", current=str(stored.version))
            _check(monitor, tenant_limits(tenant), missing, operation)
            await _write(connection, _UPDATE, values, operation)
            if stored.channel_ids != changed.channel_ids:
                await connection.execute(_REMOVE_CHANNELS, values)
                await connection.execute(_ADD_CHANNELS, values)
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
        operation = "MonitorRepo.set_enabled"
        check_switch(enabled=enabled, reason=reason, at=at)
        async with self._database.tenant(operation, tenant_id) as connection:
            await _lock(connection, tenant_id, monitor_id, operation)
            stored = await get_monitor(connection, tenant_id, monitor_id, operation)
            changed = stored.switched(enabled=enabled, reason=reason, at=at)
            if changed is not stored:
                await _write(connection, _UPDATE, monitor_values(changed), operation)
        return changed

    async def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        async with self._database.tenant("MonitorRepo.remove", tenant_id) as connection:
            values = {"tenant_id": tenant_id, "id": monitor_id}
            if await fetch_one(connection, _LOCK_TENANT, values) is not None:
                await connection.execute(_REMOVE, values)


async def _lock(
    connection: Connection, tenant_id: TenantId, monitor_id: MonitorId, operation: str
) -> DictRow:
    """Keep others from changing a monitor; return the row of its tenant's limits."""
    values = {"tenant_id": tenant_id, "id": monitor_id}
    return await get_row(connection, _LOCK, values, operation, "monitor")


async def _lock_channels(connection: Connection, values: Mapping[str, Any]) -> ChannelId | None:
    """Keep a monitor's channels from being removed; return the first that is not the tenant's."""
    wanted: list[ChannelId] = values["channel_ids"]
    if not wanted:
        return None
    found = {row["id"] for row in await fetch_all(connection, _LOCK_CHANNELS, values)}
    return next((channel_id for channel_id in wanted if channel_id not in found), None)


def _check(
    monitor: Monitor, limits: TenantLimits, missing: ChannelId | None, operation: str
) -> None:
    """Refuse what the tenant's limits and channels do not allow."""
    if monitor.interval < limits.shortest_interval:
        raise LimitExceededError(
            STORE, operation, limit_name="shortest_interval", limit=str(limits.shortest_interval)
        )
    if missing is not None:
        raise NotFoundError(STORE, operation, entity="channel", key=str(missing))


async def _write(
    connection: Connection, statement: LiteralString, values: Mapping[str, object], operation: str
) -> None:
    try:
        await connection.execute(statement, values)
    except psycopg.IntegrityError as exc:
        if violated(exc) != "monitors_name_key":
            raise
        raise AlreadyExistsError(STORE, operation, entity="monitor", field="name") from exc
