"""What removed tenants and monitors leave behind, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from urlmon.domain._validators import check_instant
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.leases import check_ttl
from urlmon.domain.pages import check_page_size
from urlmon.domain.removals import RemovedMonitor, check_due
from urlmon.ports import Removals
from urlmon_adapters.postgres._database import Database
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import fetch_all, fetch_one, reading

_LOCK_TENANT: Final = """
SELECT id FROM tenants WHERE removed_in IS NOT NULL
ORDER BY removed_in LIMIT 1 FOR UPDATE SKIP LOCKED
"""
# A monitor takes its alerts, tags and channels along: what it can have many of goes first.
_CLEARINGS: Final = (
    """
    DELETE FROM alerts WHERE tenant_id = %(id)s AND id = ANY(ARRAY(
        SELECT id FROM alerts WHERE tenant_id = %(id)s ORDER BY id LIMIT %(limit)s
    ))
    """,
    """
    DELETE FROM monitors WHERE tenant_id = %(id)s AND id = ANY(ARRAY(
        SELECT id FROM monitors WHERE tenant_id = %(id)s ORDER BY id LIMIT %(limit)s
    ))
    """,
    """
    DELETE FROM notification_channels WHERE tenant_id = %(id)s AND id = ANY(ARRAY(
        SELECT id FROM notification_channels WHERE tenant_id = %(id)s ORDER BY id LIMIT %(limit)s
    ))
    """,
    "DELETE FROM tenants WHERE id = %(id)s",
)
_CLAIM: Final = """
UPDATE removed_monitors AS r SET sweep_at = %(until)s FROM (
    SELECT tenant_id, monitor_id FROM removed_monitors AS c
    WHERE sweep_at <= %(now)s
        AND (SELECT removed_in FROM tenants AS t WHERE t.id = c.tenant_id) IS NULL
    ORDER BY sweep_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) AS due
WHERE r.tenant_id = due.tenant_id AND r.monitor_id = due.monitor_id
RETURNING r.tenant_id, r.monitor_id, r.removed_at
"""
_PUT_OFF: Final = """
UPDATE removed_monitors AS r SET sweep_at = given.due_at
FROM unnest(
    %(tenant_ids)s::uuid[], %(monitor_ids)s::uuid[], %(removed_at)s::timestamptz[],
    %(due_at)s::timestamptz[]
) AS given (tenant_id, monitor_id, removed_at, due_at)
WHERE r.tenant_id = given.tenant_id AND r.monitor_id = given.monitor_id
    AND r.removed_at = given.removed_at AND given.due_at IS NOT NULL
"""
_FORGET: Final = """
DELETE FROM removed_monitors AS r
USING unnest(
    %(tenant_ids)s::uuid[], %(monitor_ids)s::uuid[], %(removed_at)s::timestamptz[],
    %(due_at)s::timestamptz[]
) AS given (tenant_id, monitor_id, removed_at, due_at)
WHERE r.tenant_id = given.tenant_id AND r.monitor_id = given.monitor_id
    AND r.removed_at = given.removed_at AND given.due_at IS NULL
"""


@repeatable
class PostgresRemovals(Removals):
    """Deletes the rows of removed tenants, and keeps the table `removed_monitors`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def clear(self, *, limit: int = 1000) -> int:
        check_page_size(limit)
        async with self._database.everyone("Removals.clear") as connection:
            tenant = await fetch_one(connection, _LOCK_TENANT, {})
            if tenant is None:
                return 0
            gone = 0
            for clearing in _CLEARINGS:
                values = {"id": tenant["id"], "limit": limit - gone}
                gone += (await connection.execute(clearing, values)).rowcount
                if gone == limit:
                    break
        return gone

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int = 100
    ) -> tuple[RemovedMonitor, ...]:
        operation = "Removals.claim"
        check_page_size(limit)
        until = check_instant("now", now) + check_ttl(lease, field="lease")
        values = {"now": now, "until": until, "limit": limit}
        async with self._database.everyone(operation) as connection:
            rows = await fetch_all(connection, _CLAIM, values)
        claimed: list[RemovedMonitor] = []
        for row in rows:
            with reading(operation, "removed monitor", row["monitor_id"]):
                claimed.append(
                    RemovedMonitor(
                        tenant_id=TenantId(row["tenant_id"]),
                        monitor_id=MonitorId(row["monitor_id"]),
                        removed_at=row["removed_at"],
                    )
                )
        return tuple(claimed)

    async def settle(self, due: Mapping[RemovedMonitor, datetime | None]) -> None:
        check_due(due)
        values = {
            "tenant_ids": [removed.tenant_id for removed in due],
            "monitor_ids": [removed.monitor_id for removed in due],
            "removed_at": [removed.removed_at for removed in due],
            "due_at": list(due.values()),
        }
        async with self._database.everyone("Removals.settle") as connection:
            await connection.execute(_PUT_OFF, values)
            await connection.execute(_FORGET, values)
