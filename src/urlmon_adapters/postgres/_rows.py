"""Reads rows, and maps those of tenants and monitors to the domain and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg.types.json import Jsonb

from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.monitors import Method, Monitor, StatusRange
from urlmon.domain.tenants import Tenant, TenantLimits, TenantStatus
from urlmon.errors import CorruptDataError, InvalidValueError, NotFoundError, UnavailableError
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._errors import STORE

_SECOND: Final = timedelta(seconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)

# Ends where a condition on `m` may follow.
SELECT_MONITORS: Final = """
SELECT m.*, ARRAY(
    SELECT c.channel_id FROM monitor_channels c
    WHERE c.tenant_id = m.tenant_id AND c.monitor_id = m.id
    ORDER BY c.position
) AS channel_ids
FROM monitors m
"""
GET_MONITOR: Final = SELECT_MONITORS + "WHERE m.tenant_id = %(tenant_id)s AND m.id = %(id)s"


async def fetch_one(
    connection: Connection, query: LiteralString, values: Mapping[str, object]
) -> DictRow | None:
    """Run a query and return its first row, by column; None if there is none."""
    cursor = connection.cursor(row_factory=dict_row)
    return await (await cursor.execute(query, values)).fetchone()


async def fetch_all(
    connection: Connection, query: LiteralString, values: Mapping[str, object]
) -> list[DictRow]:
    """Run a query and return its rows, each by column."""
    cursor = connection.cursor(row_factory=dict_row)
    return await (await cursor.execute(query, values)).fetchall()


async def fetch_tuples(
    connection: Connection, query: LiteralString, values: Mapping[str, object]
) -> list[TupleRow]:
    """Run a query and return its rows as tuples: for many of them, which come in binary."""
    cursor = connection.cursor(binary=True)
    return await (await cursor.execute(query, values)).fetchall()


async def get_row(
    connection: Connection,
    query: LiteralString,
    values: Mapping[str, object],
    operation: str,
    entity: str,
) -> DictRow:
    """Return the row that a query finds by the value `id`.

    Raises:
        NotFoundError: There is none.
    """
    row = await fetch_one(connection, query, values)
    if row is None:
        raise NotFoundError(STORE, operation, entity=entity, key=str(values["id"]))
    return row


async def add_below(
    connection: Connection,
    insert: LiteralString,
    values: Mapping[str, object],
    *,
    in_the_way: LiteralString,
    parent: LiteralString,
    missing: NotFoundError,
) -> DictRow | None:
    """Insert a row that belongs to another, and return None, or the row that was in the way.

    Args:
        connection: A transaction.
        insert: Inserts from its parent, which it locks, so that a missing parent is no error of a
            foreign key, nor of row-level security where the tenant was removed.
        values: Of all three.
        in_the_way: Finds the row with which it is in conflict.
        parent: Finds the row that it belongs to.
        missing: The error for no such parent.

    Raises:
        NotFoundError: `missing`.
        UnavailableError: What was in the way is gone.
    """
    if (await connection.execute(insert, values)).rowcount:
        return None
    row = await fetch_one(connection, in_the_way, values)
    if row is None:
        if await fetch_one(connection, parent, values) is None:
            raise missing
        detail = "what was in the way is gone: call again"
        raise UnavailableError(STORE, missing.operation, detail)
    return row


async def get_monitor(
    connection: Connection, tenant_id: TenantId, monitor_id: MonitorId, operation: str
) -> Monitor:
    """Return a tenant's monitor.

    Raises:
        NotFoundError: The tenant has none with this id.
    """
    values = {"tenant_id": tenant_id, "id": monitor_id}
    row = await get_row(connection, GET_MONITOR, values, operation, "monitor")
    return monitor_from(row, operation)


def tenant_values(tenant: Tenant) -> dict[str, object]:
    """Return the columns of a tenant."""
    return {
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.name,
        "status": str(tenant.status),
        "max_monitors": tenant.limits.max_monitors,
        "shortest_interval_seconds": tenant.limits.shortest_interval // _SECOND,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
        "version": tenant.version,
    }


def tenant_limits(row: Mapping[str, Any]) -> TenantLimits:
    """Return the limits in a row of tenants."""
    return TenantLimits(
        max_monitors=row["max_monitors"],
        shortest_interval=row["shortest_interval_seconds"] * _SECOND,
    )


def tenant_from(row: Mapping[str, Any], operation: str) -> Tenant:
    """Return the tenant in a row.

    Raises:
        CorruptDataError: The row is not what this version writes.
    """
    with reading(operation, "tenant", row["id"]):
        return Tenant(
            id=TenantId(row["id"]),
            slug=row["slug"],
            name=row["name"],
            status=TenantStatus(row["status"]),
            limits=tenant_limits(row),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            version=row["version"],
        )


def monitor_values(monitor: Monitor) -> dict[str, object]:
    """Return the columns of a monitor, and `channel_ids`."""
    reminder = monitor.reminder_interval
    return {
        "tenant_id": monitor.tenant_id,
        "id": monitor.id,
        "name": monitor.name,
        "url": monitor.url,
        "method": str(monitor.method),
        "headers": Jsonb(monitor.headers),
        "body": monitor.body,
        "expected_statuses": [str(each) for each in monitor.expected_statuses],
        "interval_seconds": monitor.interval // _SECOND,
        "timeout_ms": monitor.timeout // _MILLISECOND,
        "locations": list(monitor.locations),
        "failure_threshold": monitor.failure_threshold,
        "recovery_threshold": monitor.recovery_threshold,
        "reminder_interval_seconds": None if reminder is None else reminder // _SECOND,
        "enabled": monitor.enabled,
        "pause_reason": monitor.pause_reason,
        "tags": list(monitor.tags),
        "channel_ids": list(monitor.channel_ids),
        "created_at": monitor.created_at,
        "updated_at": monitor.updated_at,
        "version": monitor.version,
    }


def monitor_from(row: Mapping[str, Any], operation: str) -> Monitor:
    """Return the monitor in a row.

    Raises:
        CorruptDataError: The row is not what this version writes.
    """
    reminder = row["reminder_interval_seconds"]
    with reading(operation, "monitor", row["id"]):
        return Monitor(
            id=MonitorId(row["id"]),
            tenant_id=TenantId(row["tenant_id"]),
            name=row["name"],
            url=row["url"],
            method=Method(row["method"]),
            headers=text_pairs(row["headers"]),
            body=row["body"],
            expected_statuses=tuple(map(StatusRange.parse, row["expected_statuses"])),
            interval=row["interval_seconds"] * _SECOND,
            timeout=row["timeout_ms"] * _MILLISECOND,
            locations=tuple(row["locations"]),
            failure_threshold=row["failure_threshold"],
            recovery_threshold=row["recovery_threshold"],
            reminder_interval=None if reminder is None else reminder * _SECOND,
            enabled=row["enabled"],
            pause_reason=row["pause_reason"],
            tags=tuple(row["tags"]),
            channel_ids=tuple(map(ChannelId, row["channel_ids"])),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            version=row["version"],
        )


def text_pairs(value: object) -> tuple[tuple[str, str], ...]:
    """Return pairs out of the array of arrays that JSON has for them.

    Raises:
        TypeError: It is something else, such as text, which can be taken apart too.
    """
    if not isinstance(value, list) or not all(isinstance(pair, list) for pair in value):
        raise TypeError("must be an array of arrays")
    return tuple((first, second) for first, second in value)


@contextmanager
def reading(operation: str, entity: str, key: UUID) -> Iterator[None]:
    """Turn a refusal of the domain into the error that a stored row is corrupt.

    Raises:
        CorruptDataError: The block met a value that the domain refuses.
    """
    try:
        yield
    except (InvalidValueError, ValueError, TypeError) as exc:
        reason = str(exc) if isinstance(exc, InvalidValueError) else type(exc).__name__
        raise CorruptDataError(
            STORE, operation, f"{entity} {key} is not what this version writes: {reason}"
        ) from exc
