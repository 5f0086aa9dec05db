"""The fake of the port for tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeVar

from attrs import evolve

from urlmon.domain._validators import check_first_version, check_instant
from urlmon.domain.ids import Id, TenantId, require_tenant
from urlmon.domain.pages import Page, check_page_size, ids_after, page_of
from urlmon.domain.tenants import Tenant, TenantStatus
from urlmon.errors import AlreadyExistsError, ConflictError, NotFoundError
from urlmon.ports import TenantRepo
from urlmon.testing.state import InMemoryState

_STORE: Final = "memory"
_LIST: Final = ("tenants",)
_I = TypeVar("_I", bound=Id)
_Row = TypeVar("_Row")


class InMemoryTenantRepo(TenantRepo):
    """Keeps tenants in memory."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def add(self, tenant: Tenant) -> Tenant:
        check_first_version(tenant.version)
        async with self._state.faults.call("TenantRepo.add"):
            stored = self._state.tenants.get(tenant.id)
            if stored is not None and stored != tenant:
                raise AlreadyExistsError(_STORE, "TenantRepo.add", entity="tenant", field="id")
            self._require_free_slug(tenant, "TenantRepo.add")
            self._state.tenants[tenant.id] = tenant
            return tenant

    async def get(self, tenant_id: TenantId) -> Tenant:
        require_tenant(tenant_id)
        async with self._state.faults.call("TenantRepo.get"):
            return self._stored(tenant_id, "TenantRepo.get")

    async def find_by_slug(self, slug: str) -> Tenant | None:
        async with self._state.faults.call("TenantRepo.find_by_slug"):
            tenants = self._state.tenants.values()
            return next((tenant for tenant in tenants if tenant.slug == slug), None)

    async def list(
        self,
        *,
        status: TenantStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Tenant]:
        check_page_size(limit)
        (after,) = ids_after(cursor, _LIST)
        async with self._state.faults.call("TenantRepo.list"):
            rows = sorted(
                (
                    tenant
                    for tenant in self._state.tenants.values()
                    if tenant.id > after and status in {None, tenant.status}
                ),
                key=lambda tenant: tenant.id,
            )
            return page_of(rows, limit, _LIST, lambda tenant: (tenant.id,))

    async def update(self, tenant: Tenant) -> Tenant:
        operation = "TenantRepo.update"
        changed = evolve(tenant, version=tenant.version + 1)
        async with self._state.faults.call(operation):
            stored = self._stored(tenant.id, operation)
            changed = evolve(changed, created_at=stored.created_at)
            if stored == changed:
                return stored
            if stored.version != tenant.version:
                raise ConflictError(_STORE, operation, entity="tenant", current=str(stored.version))
            self._require_free_slug(tenant, operation)
            return self._replace(stored, changed)

    async def set_status(
        self, tenant_id: TenantId, *, status: TenantStatus, at: datetime
    ) -> Tenant:
        require_tenant(tenant_id)
        check_instant("at", at)
        async with self._state.faults.call("TenantRepo.set_status"):
            stored = self._stored(tenant_id, "TenantRepo.set_status")
            return self._replace(stored, stored.switched(status=status, at=at))

    async def remove(self, tenant_id: TenantId) -> None:
        require_tenant(tenant_id)
        async with self._state.faults.call("TenantRepo.remove"):
            state = self._state
            state.tenants.pop(tenant_id, None)
            for owner, monitor_id in sorted(state.monitors):
                if owner == tenant_id:
                    del state.monitors[owner, monitor_id]
                    state.gone(owner, monitor_id)
            state.channels = _of_others(tenant_id, state.channels)
            state.channel_secrets = _of_others(tenant_id, state.channel_secrets)
            state.alerts = _of_others(tenant_id, state.alerts)

    def _stored(self, tenant_id: TenantId, operation: str) -> Tenant:
        stored = self._state.tenants.get(tenant_id)
        if stored is None:
            raise NotFoundError(_STORE, operation, entity="tenant", key=str(tenant_id))
        return stored

    def _require_free_slug(self, tenant: Tenant, operation: str) -> None:
        for other in self._state.tenants.values():
            if other.slug == tenant.slug and other.id != tenant.id:
                raise AlreadyExistsError(_STORE, operation, entity="tenant", field="slug")

    def _replace(self, stored: Tenant, changed: Tenant) -> Tenant:
        self._state.tenants[stored.id] = changed
        if changed.status is not stored.status:
            for owner, monitor_id in sorted(self._state.monitors):
                if owner == stored.id:
                    self._state.changed(owner, monitor_id)
        return changed


def _of_others(
    tenant_id: TenantId, rows: dict[tuple[TenantId, _I], _Row]
) -> dict[tuple[TenantId, _I], _Row]:
    return {key: row for key, row in rows.items() if key[0] != tenant_id}
