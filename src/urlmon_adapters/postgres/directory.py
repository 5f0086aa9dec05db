"""All tenants' monitors in PostgreSQL, and what changes among them."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from urlmon.domain.directory import MonitorChange
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.pages import (
    Page,
    check_page_size,
    decode_cursor,
    encode_cursor,
    ids_after,
    number_from_text,
    page_of,
    uuid_from_text,
)
from urlmon.errors import InvalidValueError
from urlmon.ports import MonitorDirectory
from urlmon_adapters.postgres._database import Database
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import (
    SELECT_MONITORS,
    fetch_all,
    fetch_one,
    get_monitor,
    monitor_from,
    reading,
)

_ACTIVE_SCOPE: Final = ("directory",)
_CHANGES_SCOPE: Final = ("changes",)
_KEY: Final = itemgetter("change_place", "change_monitor", "change_tenant")

# The tenant is looked up monitor by monitor, in the order of the index: joined, all tenants would
# be read for each page.
_LIST_ACTIVE: Final = (
    SELECT_MONITORS  # noqa: S608 - both parts are constants
    + """
WHERE m.enabled AND (m.id, m.tenant_id) > (%(after_id)s, %(after_tenant)s) AND (
    SELECT t.status = 'active' AND t.removed_in IS NULL FROM tenants t WHERE t.id = m.tenant_id
)
ORDER BY m.id, m.tenant_id LIMIT %(count)s
"""
)
# Transactions get their numbers in one order and end in another.  Below the oldest that is still
# running all have ended: a cursor that stays below it passes nothing by.  A number that this
# cluster has not given out yet came with the dump of another: such a change stands first of all.
#
# The removal of a tenant is the newest change of every monitor that it still has then.
_CHANGES: Final = """
WITH snapshot AS MATERIALIZED (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS settled,
        pg_snapshot_xmax(pg_current_snapshot()) AS unknown
), removed AS MATERIALIZED (
    SELECT id, CASE WHEN removed_in < settled THEN removed_in ELSE '0'::xid8 END AS place
    FROM tenants CROSS JOIN snapshot
    WHERE removed_in IS NOT NULL AND (removed_in < settled OR removed_in >= unknown)
), page AS (
    (
        SELECT changed_in AS place, monitor_id, tenant_id FROM monitor_changes AS c
        WHERE changed_in < pg_snapshot_xmin(pg_current_snapshot())
            AND (changed_in, monitor_id, tenant_id)
                > (%(after)s::xid8, %(after_monitor)s::uuid, %(after_tenant)s::uuid)
            AND (
                SELECT true FROM tenants t JOIN monitors m ON m.tenant_id = t.id
                WHERE t.id = c.tenant_id AND t.removed_in IS NOT NULL AND m.id = c.monitor_id
            ) IS NULL
        ORDER BY changed_in, monitor_id, tenant_id LIMIT %(count)s
    ) UNION ALL (
        SELECT '0'::xid8, monitor_id, tenant_id FROM monitor_changes AS c
        WHERE %(after)s::xid8 = '0' AND changed_in >= pg_snapshot_xmax(pg_current_snapshot())
            AND (monitor_id, tenant_id) > (%(after_monitor)s::uuid, %(after_tenant)s::uuid)
            AND (
                SELECT true FROM tenants t JOIN monitors m ON m.tenant_id = t.id
                WHERE t.id = c.tenant_id AND t.removed_in IS NOT NULL AND m.id = c.monitor_id
            ) IS NULL
        ORDER BY monitor_id, tenant_id LIMIT %(count)s
    ) UNION ALL (
        SELECT removed.place, gone.id, removed.id FROM removed CROSS JOIN LATERAL (
            SELECT id FROM monitors
            WHERE tenant_id = removed.id
                AND id >= CASE removed.place WHEN %(after)s::xid8 THEN %(after_monitor)s::uuid
                    ELSE '00000000-0000-0000-0000-000000000000' END
                AND (removed.place, id, removed.id)
                    > (%(after)s::xid8, %(after_monitor)s::uuid, %(after_tenant)s::uuid)
            ORDER BY id LIMIT %(count)s
        ) AS gone
        WHERE removed.place >= %(after)s::xid8
        ORDER BY removed.place, gone.id, removed.id LIMIT %(count)s
    )
    ORDER BY place, monitor_id, tenant_id LIMIT %(count)s
)
SELECT page.place::text AS change_place, page.monitor_id AS change_monitor,
    page.tenant_id AS change_tenant, m.*, ARRAY(
        SELECT c.channel_id FROM monitor_channels c
        WHERE c.tenant_id = m.tenant_id AND c.monitor_id = m.id
        ORDER BY c.position
    ) AS channel_ids
FROM page LEFT JOIN (
    monitors m
    JOIN tenants t ON t.id = m.tenant_id AND t.status = 'active' AND t.removed_in IS NULL
) ON m.tenant_id = page.tenant_id AND m.id = page.monitor_id AND m.enabled
ORDER BY page.place, page.monitor_id, page.tenant_id
"""
# What a cursor that was kept over a restore shows.
_IS_AHEAD: Final = "SELECT 1 WHERE %(after)s::xid8 >= pg_snapshot_xmax(pg_current_snapshot())"


@repeatable
class PostgresMonitorDirectory(MonitorDirectory):
    """Reads the monitors of all tenants."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> Monitor:
        operation = "MonitorDirectory.get"
        async with self._database.tenant(operation, tenant_id) as connection:
            return await get_monitor(connection, tenant_id, monitor_id, operation)

    async def list_active(self, *, cursor: str | None = None, limit: int = 1000) -> Page[Monitor]:
        operation = "MonitorDirectory.list_active"
        check_page_size(limit)
        after_id, after_tenant = ids_after(cursor, _ACTIVE_SCOPE, ids=2)
        values = {"after_id": after_id, "after_tenant": after_tenant, "count": limit + 1}
        async with self._database.everyone(operation) as connection:
            rows = await fetch_all(connection, _LIST_ACTIVE, values)
        monitors = [monitor_from(row, operation) for row in rows]
        return page_of(
            monitors, limit, _ACTIVE_SCOPE, lambda monitor: (monitor.id, monitor.tenant_id)
        )

    async def changes(self, *, cursor: str | None = None, limit: int = 1000) -> Page[MonitorChange]:
        operation = "MonitorDirectory.changes"
        check_page_size(limit)
        place, monitor, tenant = _place(cursor)
        values = {"after": str(place), "after_monitor": monitor, "after_tenant": tenant}
        async with self._database.everyone(operation) as connection:
            rows = await fetch_all(connection, _CHANGES, values | {"count": limit})
            if not rows and await fetch_one(connection, _IS_AHEAD, values):
                raise InvalidValueError("cursor", "must come from this database cluster")
        items = tuple(_change(row, operation) for row in rows)
        if rows:
            place, monitor, tenant = _KEY(rows[-1])
        following = encode_cursor(*_CHANGES_SCOPE, str(place), str(monitor), str(tenant))
        return Page(items=items, next_cursor=following)


def _place(cursor: str | None) -> tuple[int, UUID, UUID]:
    """Return the change that a cursor stands after; one before all for None."""
    if cursor is None:
        return 0, UUID(int=0), UUID(int=0)
    place, monitor, tenant = decode_cursor(cursor, 3, scope=_CHANGES_SCOPE)
    return number_from_text(place), uuid_from_text(monitor), uuid_from_text(tenant)


def _change(row: Mapping[str, Any], operation: str) -> MonitorChange:
    with reading(operation, "monitor", row["change_monitor"]):
        return MonitorChange(
            tenant_id=TenantId(row["change_tenant"]),
            monitor_id=MonitorId(row["change_monitor"]),
            monitor=None if row["id"] is None else monitor_from(row, operation),
        )
