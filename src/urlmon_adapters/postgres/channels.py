"""Notification channels in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from attrs import evolve
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from urlmon.domain.channels import (
    ChannelHealth,
    ChannelKind,
    NotificationChannel,
    check_new_channel,
    check_secrets,
)
from urlmon.domain.ids import ChannelId, MonitorId, TenantId, require_owner, require_tenant
from urlmon.domain.pages import Page, check_page_size, ids_after, page_of
from urlmon.domain.secrets import Secret
from urlmon.errors import AlreadyExistsError, ConflictError, NotFoundError
from urlmon.ports import ChannelRepo
from urlmon_adapters.postgres._database import Connection, Database
from urlmon_adapters.postgres._encryption import Keyring
from urlmon_adapters.postgres._errors import STORE, violated
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import (
    add_below,
    fetch_all,
    fetch_one,
    get_row,
    reading,
    text_pairs,
)

_ADD: Final = """
INSERT INTO notification_channels (
    tenant_id, id, name, kind, config, secrets, enabled, created_at, updated_at, version
)
SELECT
    id, %(id)s, %(name)s, %(kind)s, %(config)s, %(secrets)s, %(enabled)s, %(created_at)s,
    %(updated_at)s, %(version)s
FROM tenants WHERE id = %(tenant_id)s AND removed_in IS NULL FOR KEY SHARE
ON CONFLICT DO NOTHING
"""
_TENANT: Final = "SELECT id FROM tenants WHERE id = %(tenant_id)s AND removed_in IS NULL"
_IN_THE_WAY: Final = """
SELECT * FROM notification_channels
WHERE tenant_id = %(tenant_id)s AND (id = %(id)s OR name = %(name)s)
ORDER BY id = %(id)s DESC LIMIT 1
"""
_GET: Final = "SELECT * FROM notification_channels WHERE tenant_id = %(tenant_id)s AND id = %(id)s"
_LOCK: Final = _GET + " FOR NO KEY UPDATE"
# All but the secrets, here and below.
_LIST: Final = """
SELECT
    tenant_id, id, name, kind, config, enabled, consecutive_failures, last_delivery_at,
    last_success_at, last_error, created_at, updated_at, version
FROM notification_channels
WHERE tenant_id = %(tenant_id)s AND id > %(after)s
ORDER BY id LIMIT %(count)s
"""
_FOR_MONITOR: Final = """
SELECT
    c.tenant_id, c.id, c.name, c.kind, c.config, c.enabled, c.consecutive_failures,
    c.last_delivery_at, c.last_success_at, c.last_error, c.created_at, c.updated_at, c.version
FROM monitor_channels m
JOIN notification_channels c ON c.tenant_id = m.tenant_id AND c.id = m.channel_id
WHERE m.tenant_id = %(tenant_id)s AND m.monitor_id = %(monitor_id)s AND c.enabled
ORDER BY c.id
"""
_UPDATE: Final = """
UPDATE notification_channels SET
    name = %(name)s, kind = %(kind)s, config = %(config)s, secrets = %(secrets)s,
    enabled = %(enabled)s, updated_at = %(updated_at)s, version = %(version)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""
_DELIVERED: Final = """
UPDATE notification_channels SET
    consecutive_failures = %(consecutive_failures)s, last_delivery_at = %(last_delivery_at)s,
    last_success_at = %(last_success_at)s, last_error = %(last_error)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""
# Keeps the tenant's status from changing, which is told of each monitor too.
_LOCK_TENANT: Final = """
SELECT id FROM tenants WHERE id = %(tenant_id)s AND removed_in IS NULL FOR NO KEY UPDATE
"""
# Keeps monitors from referring to the channel anew.  Tenant, channels, monitors in order of their
# ids: see `monitors.py`.
_LOCK_TO_REMOVE: Final = """
SELECT id FROM notification_channels WHERE tenant_id = %(tenant_id)s AND id = %(id)s FOR UPDATE
"""
_TAKE_OFF: Final = """
UPDATE monitors SET version = version + 1
WHERE tenant_id = %(tenant_id)s AND id IN (
    SELECT m.id
    FROM monitors m JOIN monitor_channels c ON c.tenant_id = m.tenant_id AND c.monitor_id = m.id
    WHERE c.tenant_id = %(tenant_id)s AND c.channel_id = %(id)s
    ORDER BY m.id FOR NO KEY UPDATE OF m
)
"""
_REMOVE: Final = "DELETE FROM notification_channels WHERE tenant_id = %(tenant_id)s AND id = %(id)s"


@repeatable
class PostgresChannelRepo(ChannelRepo):
    """Keeps channels in the table `notification_channels`, their secrets encrypted.

    Args:
        database: Where.
        keyring: Encrypts the secrets; without keys, `add` and `update` raise `ConfigurationError`
            for a channel that has any.
    """

    __slots__ = ("_database", "_keyring")

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def add(
        self,
        tenant_id: TenantId,
        channel: NotificationChannel,
        *,
        secrets: Mapping[str, Secret] | None = None,
    ) -> NotificationChannel:
        operation = "ChannelRepo.add"
        check_new_channel(tenant_id, channel)
        given = check_secrets(secrets or {})
        values = _values(channel, self._keyring.encrypt(tenant_id, channel.id, given))
        async with self._database.tenant(operation, tenant_id) as connection:
            missing = NotFoundError(STORE, operation, entity="tenant", key=str(tenant_id))
            row = await add_below(
                connection, _ADD, values, in_the_way=_IN_THE_WAY, parent=_TENANT, missing=missing
            )
        if row is None:
            return channel
        stored = _channel_from(row, operation)
        # A delivery that was counted meanwhile changed the health alone.
        same = evolve(stored, health=channel.health) == channel
        if same and self._secrets_of(stored, row, operation) == given:
            return stored
        field = "id" if stored.id == channel.id else "name"
        raise AlreadyExistsError(STORE, operation, entity="channel", field=field)

    async def get(self, tenant_id: TenantId, channel_id: ChannelId) -> NotificationChannel:
        operation = "ChannelRepo.get"
        async with self._database.tenant(operation, tenant_id) as connection:
            row = await _row(connection, _GET, tenant_id, channel_id, operation)
        return _channel_from(row, operation)

    async def list(
        self, tenant_id: TenantId, *, cursor: str | None = None, limit: int = 100
    ) -> Page[NotificationChannel]:
        operation = "ChannelRepo.list"
        scope = ("channels", str(require_tenant(tenant_id)))
        check_page_size(limit)
        (after,) = ids_after(cursor, scope)
        values = {"tenant_id": tenant_id, "after": after, "count": limit + 1}
        async with self._database.tenant(operation, tenant_id) as connection:
            rows = await fetch_all(connection, _LIST, values)
        channels = [_channel_from(row, operation) for row in rows]
        return page_of(channels, limit, scope, lambda channel: (channel.id,))

    async def for_monitor(
        self, tenant_id: TenantId, monitor_id: MonitorId
    ) -> tuple[NotificationChannel, ...]:
        operation = "ChannelRepo.for_monitor"
        values = {"tenant_id": tenant_id, "monitor_id": monitor_id}
        async with self._database.tenant(operation, tenant_id) as connection:
            rows = await fetch_all(connection, _FOR_MONITOR, values)
        return tuple(_channel_from(row, operation) for row in rows)

    async def update(
        self,
        tenant_id: TenantId,
        channel: NotificationChannel,
        *,
        secrets: Mapping[str, Secret] | None = None,
    ) -> NotificationChannel:
        operation = "ChannelRepo.update"
        require_owner(tenant_id, channel.tenant_id)
        given = None if secrets is None else check_secrets(secrets)
        sealed = None if given is None else self._keyring.encrypt(tenant_id, channel.id, given)
        async with self._database.tenant(operation, tenant_id) as connection:
            row = await _row(connection, _LOCK, tenant_id, channel.id, operation)
            stored = _channel_from(row, operation)
            changed = stored.updated(channel)
            if stored == changed and (
                given is None or given == self._secrets_of(stored, row, operation)
            ):
                return stored
            if stored.version != channel.version:
                raise ConflictError(STORE, operation, entity="channel", current=str(stored.version))
            values = _values(changed, row["secrets"] if given is None else sealed)
            try:
                await connection.execute(_UPDATE, values)
            except psycopg.IntegrityError as exc:
                if violated(exc) != "notification_channels_name_key":
                    raise
                raise AlreadyExistsError(STORE, operation, entity="channel", field="name") from exc
        return changed

    async def remove(self, tenant_id: TenantId, channel_id: ChannelId) -> None:
        values = {"tenant_id": tenant_id, "id": channel_id}
        async with self._database.tenant("ChannelRepo.remove", tenant_id) as connection:
            await fetch_one(connection, _LOCK_TENANT, values)
            if await fetch_one(connection, _LOCK_TO_REMOVE, values) is not None:
                await connection.execute(_TAKE_OFF, values)
                await connection.execute(_REMOVE, values)

    async def reveal(self, tenant_id: TenantId, channel_id: ChannelId) -> Mapping[str, Secret]:
        operation = "ChannelRepo.reveal"
        async with self._database.tenant(operation, tenant_id) as connection:
            row = await _row(connection, _GET, tenant_id, channel_id, operation)
        return self._secrets_of(_channel_from(row, operation), row, operation)

    async def record_delivery(
        self, tenant_id: TenantId, channel_id: ChannelId, *, at: datetime, error: str | None = None
    ) -> ChannelHealth:
        operation = "ChannelRepo.record_delivery"
        ChannelHealth().after(at=at, error=error)  # refuses what is out of its limits
        async with self._database.tenant(operation, tenant_id) as connection:
            row = await _row(connection, _LOCK, tenant_id, channel_id, operation)
            stored = _channel_from(row, operation).health
            health = stored.after(at=at, error=error)
            if health is not stored:
                values = {
                    "tenant_id": tenant_id,
                    "id": channel_id,
                    "consecutive_failures": health.consecutive_failures,
                    "last_delivery_at": health.last_delivery_at,
                    "last_success_at": health.last_success_at,
                    "last_error": health.last_error,
                }
                await connection.execute(_DELIVERED, values)
        return health

    def _secrets_of(
        self, channel: NotificationChannel, row: Mapping[str, Any], operation: str
    ) -> dict[str, Secret]:
        return self._keyring.decrypt(
            channel.tenant_id, channel.id, row["secrets"], operation=operation
        )


async def _row(
    connection: Connection,
    query: LiteralString,
    tenant_id: TenantId,
    channel_id: ChannelId,
    operation: str,
) -> DictRow:
    values = {"tenant_id": tenant_id, "id": channel_id}
    return await get_row(connection, query, values, operation, "channel")


def _values(channel: NotificationChannel, secrets: str | None) -> dict[str, object]:
    return {
        "tenant_id": channel.tenant_id,
        "id": channel.id,
        "name": channel.name,
        "kind": str(channel.kind),
        "config": Jsonb(channel.config),
        "secrets": secrets,
        "enabled": channel.enabled,
        "created_at": channel.created_at,
        "updated_at": channel.updated_at,
        "version": channel.version,
    }


def _channel_from(row: Mapping[str, Any], operation: str) -> NotificationChannel:
    with reading(operation, "channel", row["id"]):
        return NotificationChannel(
            id=ChannelId(row["id"]),
            tenant_id=TenantId(row["tenant_id"]),
            name=row["name"],
            kind=ChannelKind(row["kind"]),
            config=text_pairs(row["config"]),
            enabled=row["enabled"],
            health=ChannelHealth(
                consecutive_failures=row["consecutive_failures"],
                last_delivery_at=row["last_delivery_at"],
                last_success_at=row["last_success_at"],
                last_error=row["last_error"],
            ),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            version=row["version"],
        )
