"""Tenants in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, LiteralString

import psycopg
from attrs import evolve

from urlmon.domain._validators import check_first_version, check_instant
from urlmon.domain.ids import TenantId
from urlmon.domain.pages import Page, check_page_size, ids_after, page_of
from urlmon.domain.tenants import Tenant, TenantStatus, is_slug
from urlmon.errors import AlreadyExistsError, ConflictError, UnavailableError
from urlmon.ports import TenantRepo
from urlmon_adapters.postgres._database import Connection, Database
from urlmon_adapters.postgres._errors import STORE, violated
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import (
    fetch_all,
    fetch_one,
    get_row,
    tenant_from,
    tenant_values,
)

_LIST_SCOPE: Final = ("tenants",)

_ADD: Final = """
INSERT INTO tenants (
    id, slug, name, status, max_monitors, shortest_interval_seconds, created_at, updated_at, version
) VALUES (
    %(id)s, %(slug)s, %(name)s, %(status)s, %(max_monitors)s, %(shortest_interval_seconds)s,
    %(created_at)s, %(updated_at)s, %(version)s
) ON CONFLICT DO NOTHING
"""
_IN_THE_WAY: Final = """
SELECT * FROM tenants
WHERE (id = %(id)s OR slug = %(slug)s) AND removed_in IS NULL
ORDER BY id = %(id)s DESC LIMIT 1
"""
_GET: Final = "SELECT * FROM tenants WHERE id = %(id)s AND removed_in IS NULL"
_LOCK: Final = _GET + " FOR NO KEY UPDATE"
_FIND: Final = "SELECT * FROM tenants WHERE slug = %(slug)s AND removed_in IS NULL"
_LIST: Final = """
SELECT * FROM tenants
WHERE id > %(after)s AND (%(status)s::text IS NULL OR status = %(status)s) AND removed_in IS NULL
ORDER BY id LIMIT %(count)s
"""
_UPDATE: Final = """
UPDATE tenants SET
    slug = %(slug)s, name = %(name)s, status = %(status)s, max_monitors = %(max_monitors)s,
    shortest_interval_seconds = %(shortest_interval_seconds)s, updated_at = %(updated_at)s,
    version = %(version)s
WHERE id = %(id)s
"""
_REMOVE: Final = """
UPDATE tenants SET removed_in = pg_current_xact_id() WHERE id = %(id)s AND removed_in IS NULL
"""
# What the sweep would do, where the id is wanted again before it is done.
_LOCK_REMOVED: Final = """
SELECT id FROM tenants WHERE id = %(id)s AND removed_in IS NOT NULL FOR UPDATE
"""
# First, as monitors keep the place of the removal in the change feed while the tenant is there.
_CLEAR_MONITORS: Final = "DELETE FROM monitors WHERE tenant_id = %(id)s"
_CLEAR: Final = "DELETE FROM tenants WHERE id = %(id)s"


@repeatable
class PostgresTenantRepo(TenantRepo):
    """Keeps tenants in the table `tenants`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant: Tenant) -> Tenant:
        operation = "TenantRepo.add"
        check_first_version(tenant.version)
        values = tenant_values(tenant)
        async with self._database.everyone(operation) as connection:
            if await _added(connection, values):
                return tenant
            row = await fetch_one(connection, _IN_THE_WAY, values)
        if row is None:
            raise UnavailableError(STORE, operation, "what was in the way is gone: call again")
        stored = tenant_from(row, operation)
        if stored == tenant:
            return stored
        field = "id" if stored.id == tenant.id else "slug"
        raise AlreadyExistsError(STORE, operation, entity="tenant", field=field)

    async def get(self, tenant_id: TenantId) -> Tenant:
        async with self._database.tenant("TenantRepo.get", tenant_id) as connection:
            return await _one(connection, _GET, tenant_id, "TenantRepo.get")

    async def find_by_slug(self, slug: str) -> Tenant | None:
        if not is_slug(slug):
            return None
        async with self._database.everyone("TenantRepo.find_by_slug") as connection:
            row = await fetch_one(connection, _FIND, {"slug": slug})
        return None if row is None else tenant_from(row, "TenantRepo.find_by_slug")

    async def list(
        self,
        *,
        status: TenantStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Tenant]:
        check_page_size(limit)
        (after,) = ids_after(cursor, _LIST_SCOPE)
        wanted = None if status is None else str(status)
        async with self._database.everyone("TenantRepo.list") as connection:
            rows = await fetch_all(
                connection, _LIST, {"after": after, "status": wanted, "count": limit + 1}
            )
        tenants = [tenant_from(row, "TenantRepo.list") for row in rows]
        return page_of(tenants, limit, _LIST_SCOPE, lambda tenant: (tenant.id,))

    async def update(self, tenant: Tenant) -> Tenant:
        operation = "TenantRepo.update"
        changed = evolve(tenant, version=tenant.version + 1)
        async with self._database.everyone(operation) as connection:
            stored = await _one(connection, _LOCK, tenant.id, operation)
            changed = evolve(changed, created_at=stored.created_at)
            if stored == changed:
                return stored
            if stored.version != tenant.version:
                raise ConflictError(STORE, operation, entity="tenant", current=str(stored.version))
            try:
                await connection.execute(_UPDATE, tenant_values(changed))
            except psycopg.IntegrityError as exc:
                if violated(exc) != "tenants_slug_key":
                    raise
                raise AlreadyExistsError(STORE, operation, entity="tenant", field="slug") from exc
        return changed

    async def set_status(
        self, tenant_id: TenantId, *, status: TenantStatus, at: datetime
    ) -> Tenant:
        operation = "TenantRepo.set_status"
        check_instant("at", at)
        async with self._database.tenant(operation, tenant_id) as connection:
            stored = await _one(connection, _LOCK, tenant_id, operation)
            changed = stored.switched(status=status, at=at)
            if changed is not stored:
                await connection.execute(_UPDATE, tenant_values(changed))
        return changed

    async def remove(self, tenant_id: TenantId) -> None:
        async with self._database.tenant("TenantRepo.remove", tenant_id) as connection:
            await connection.execute(_REMOVE, {"id": tenant_id})


async def _added(connection: Connection, values: Mapping[str, object]) -> bool:
    """Insert a tenant; say whether nothing with its id or slug was in the way."""
    if (await connection.execute(_ADD, values)).rowcount:
        return True
    if await fetch_one(connection, _LOCK_REMOVED, values) is None:
        return False
    await connection.execute(_CLEAR_MONITORS, values)
    await connection.execute(_CLEAR, values)
    return (await connection.execute(_ADD, values)).rowcount == 1


async def _one(
    connection: Connection, query: LiteralString, tenant_id: TenantId, operation: str
) -> Tenant:
    row = await get_row(connection, query, {"id": tenant_id}, operation, "tenant")
    return tenant_from(row, operation)
