"""Rows that this version would not write are reported as such, whoever wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from urlmon.errors import CorruptDataError
from urlmon.testing.builders import a_monitor, a_tenant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from urlmon.testing.contracts.stores import RelationalStores
    from urlmon_adapters.postgres._database import Pool


async def _spoil(pool: Pool, table: str, column: str, value: str) -> None:
    """Write what the table's constraints, if they held, would keep out."""
    async with pool.connection() as connection:
        drop = "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}"
        constraint = sql.Identifier(f"{table}_{column}_check")
        await connection.execute(sql.SQL(drop).format(sql.Identifier(table), constraint))
        update = sql.SQL("UPDATE {} SET {} = {}")
        names = sql.Identifier(table), sql.Identifier(column)
        await connection.execute(update.format(*names, sql.Literal(value)))


async def _assert_corrupt(calls: Sequence[Awaitable[object]], key: object) -> None:
    for call in calls:
        with pytest.raises(CorruptDataError) as caught:
            await call
        assert caught.value.store == "postgresql"
        assert str(key) in caught.value.detail or "unexpected data" in caught.value.detail


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("url", "ftp://example.com/"),
        ("method", "TRACE"),
        ("headers", "[1]"),
        ("headers", '[["a"]]'),
        ("headers", '[["a", 1]]'),
        ("expected_statuses", "{2xx}"),
        ("locations", "{NULL}"),
        ("tags", "{a,a}"),
        ("created_at", "infinity"),
        ("updated_at", "1999-12-31"),
    ],
)
async def test_a_monitor(
    postgres_relational: RelationalStores, postgres_pool: Pool, column: str, value: str
) -> None:
    """Each way of reading a monitor refuses what is none, and names it."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    monitor = await stores.monitors.add(tenant.id, a_monitor(tenant.id))
    await _spoil(postgres_pool, "monitors", column, value)
    await _assert_corrupt(
        [
            stores.monitors.add(tenant.id, monitor),
            stores.monitors.get(tenant.id, monitor.id),
            stores.monitors.get_many(tenant.id, [monitor.id]),
            stores.monitors.list(tenant.id),
            stores.monitors.update(tenant.id, monitor),
            stores.directory.get(tenant.id, monitor.id),
            stores.directory.list_active(),
        ],
        monitor.id,
    )


@pytest.mark.parametrize(
    ("column", "value"), [("status", ""), ("name", ""), ("created_at", "-infinity")]
)
async def test_a_tenant(
    postgres_relational: RelationalStores, postgres_pool: Pool, column: str, value: str
) -> None:
    """Each way of reading a tenant refuses what is none, and names it."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    await _spoil(postgres_pool, "tenants", column, value)
    await _assert_corrupt(
        [
            stores.tenants.add(tenant),
            stores.tenants.get(tenant.id),
            stores.tenants.find_by_slug(tenant.slug),
            stores.tenants.list(),
            stores.tenants.update(tenant),
        ],
        tenant.id,
    )
