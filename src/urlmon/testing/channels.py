"""The fake of the port for notification channels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from attrs import evolve

from urlmon.domain.channels import (
    ChannelHealth,
    NotificationChannel,
    check_new_channel,
    check_secrets,
)
from urlmon.domain.ids import ChannelId, MonitorId, TenantId, require_owner, require_tenant
from urlmon.domain.pages import Page, check_page_size, ids_after, page_of
from urlmon.domain.secrets import Secret
from urlmon.errors import AlreadyExistsError, ConflictError, NotFoundError
from urlmon.ports import ChannelRepo
from urlmon.testing.state import InMemoryState

_STORE: Final = "memory"


class InMemoryChannelRepo(ChannelRepo):
    """Keeps notification channels in memory, their secrets in clear."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

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
        async with self._state.faults.call(operation):
            if tenant_id not in self._state.tenants:
                raise NotFoundError(_STORE, operation, entity="tenant", key=str(tenant_id))
            key = tenant_id, channel.id
            stored = self._state.channels.get(key)
            if stored is not None:
                # A delivery that was counted meanwhile changed the health alone.
                same = evolve(stored, health=channel.health) == channel
                if same and self._state.channel_secrets[key] == given:
                    return stored
                raise AlreadyExistsError(_STORE, operation, entity="channel", field="id")
            self._require_free_name(channel, operation)
            self._state.channels[key] = channel
            self._state.channel_secrets[key] = given
            return channel

    async def get(self, tenant_id: TenantId, channel_id: ChannelId) -> NotificationChannel:
        require_tenant(tenant_id)
        async with self._state.faults.call("ChannelRepo.get"):
            return self._stored(tenant_id, channel_id, "ChannelRepo.get")

    async def list(
        self, tenant_id: TenantId, *, cursor: str | None = None, limit: int = 100
    ) -> Page[NotificationChannel]:
        scope = ("channels", str(require_tenant(tenant_id)))
        check_page_size(limit)
        (after,) = ids_after(cursor, scope)
        async with self._state.faults.call("ChannelRepo.list"):
            keys = sorted(
                (owner, channel_id)
                for owner, channel_id in self._state.channels
                if owner == tenant_id and channel_id > after
            )
            rows = [self._state.channels[key] for key in keys]
            return page_of(rows, limit, scope, lambda channel: (channel.id,))

    async def for_monitor(
        self, tenant_id: TenantId, monitor_id: MonitorId
    ) -> tuple[NotificationChannel, ...]:
        require_tenant(tenant_id)
        async with self._state.faults.call("ChannelRepo.for_monitor"):
            monitor = self._state.monitors.get((tenant_id, monitor_id))
            if monitor is None:
                return ()
            channels = (self._state.channels[tenant_id, each] for each in monitor.channel_ids)
            return tuple(
                sorted((each for each in channels if each.enabled), key=lambda each: each.id)
            )

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
        async with self._state.faults.call(operation):
            key = tenant_id, channel.id
            stored = self._stored(*key, operation)
            changed = stored.updated(channel)
            if stored == changed and (given is None or given == self._state.channel_secrets[key]):
                return stored
            if stored.version != channel.version:
                raise ConflictError(
                    _STORE, operation, entity="channel", current=str(stored.version)
                )
            self._require_free_name(changed, operation)
            self._state.channels[key] = changed
            if given is not None:
                self._state.channel_secrets[key] = given
            return changed

    async def remove(self, tenant_id: TenantId, channel_id: ChannelId) -> None:
        require_tenant(tenant_id)
        async with self._state.faults.call("ChannelRepo.remove"):
            if self._state.channels.pop((tenant_id, channel_id), None) is None:
                return
            del self._state.channel_secrets[tenant_id, channel_id]
            for key, monitor in sorted(self._state.monitors.items(), key=lambda item: item[0]):
                if key[0] == tenant_id and channel_id in monitor.channel_ids:
                    left = tuple(each for each in monitor.channel_ids if each != channel_id)
                    self._state.monitors[key] = evolve(
                        monitor, channel_ids=left, version=monitor.version + 1
                    )
                    self._state.changed(*key)

    async def reveal(self, tenant_id: TenantId, channel_id: ChannelId) -> Mapping[str, Secret]:
        require_tenant(tenant_id)
        async with self._state.faults.call("ChannelRepo.reveal"):
            self._stored(tenant_id, channel_id, "ChannelRepo.reveal")
            return dict(self._state.channel_secrets[tenant_id, channel_id])

    async def record_delivery(
        self, tenant_id: TenantId, channel_id: ChannelId, *, at: datetime, error: str | None = None
    ) -> ChannelHealth:
        require_tenant(tenant_id)
        ChannelHealth().after(at=at, error=error)  # refuses what is out of its limits
        async with self._state.faults.call("ChannelRepo.record_delivery"):
            stored = self._stored(tenant_id, channel_id, "ChannelRepo.record_delivery")
            health = stored.health.after(at=at, error=error)
            self._state.channels[tenant_id, channel_id] = evolve(stored, health=health)
            return health

    def _stored(
        self, tenant_id: TenantId, channel_id: ChannelId, operation: str
    ) -> NotificationChannel:
        stored = self._state.channels.get((tenant_id, channel_id))
        if stored is None:
            raise NotFoundError(_STORE, operation, entity="channel", key=str(channel_id))
        return stored

    def _require_free_name(self, channel: NotificationChannel, operation: str) -> None:
        for (owner, channel_id), other in self._state.channels.items():
            if (owner, other.name) == (channel.tenant_id, channel.name) and (
                channel_id != channel.id
            ):
                raise AlreadyExistsError(_STORE, operation, entity="channel", field="name")
