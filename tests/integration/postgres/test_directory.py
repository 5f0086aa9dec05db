"""The change feed of the real directory: concurrent transactions, restores, and its cost."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import psycopg
import pytest
from attrs import evolve

from urlmon.domain.pages import encode_cursor
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_monitor, a_tenant
from urlmon_adapters.postgres import directory as module

if TYPE_CHECKING:
    from collections.abc import Callable

    from urlmon.domain.directory import MonitorChange
    from urlmon.domain.ids import MonitorId, TenantId
    from urlmon.domain.monitors import Monitor
    from urlmon.testing.contracts.stores import RelationalStores
    from urlmon_adapters.postgres._database import Pool

_TOUCH = "UPDATE monitors SET version = version + 1 WHERE tenant_id = %s AND id = %s"
_TO_ANOTHER_CLUSTER = (
    "UPDATE monitor_changes SET changed_in = (changed_in::text::bigint + 1e12)::text::xid8"
)


async def _monitors(stores: RelationalStores, count: int) -> tuple[TenantId, list[Monitor]]:
    tenant = await stores.tenants.add(a_tenant())
    return tenant.id, [
        await stores.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(count)
    ]


async def _read(
    stores: RelationalStores, cursor: str | None, enough: Callable[[list[MonitorChange]], bool]
) -> tuple[list[MonitorChange], str | None]:
    """Follow the feed, as transactions of other tests may hold it up, until there is enough."""
    found: list[MonitorChange] = []
    async with asyncio.timeout(30):
        while not enough(found):
            page = await stores.directory.changes(cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            await asyncio.sleep(0.005)
    return found, cursor


async def test_a_later_transaction_waits_for_an_earlier_one(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """A change that was begun first and committed last is not passed by."""
    stores = postgres_relational
    tenant_id, (first, second) = await _monitors(stores, 2)
    _, cursor = await _read(stores, None, lambda found: len(found) == 2)
    async with postgres_pool.connection() as connection, connection.transaction():
        await connection.execute(_TOUCH, [tenant_id, first.id])
        await stores.monitors.update(tenant_id, evolve(second, body="new"))
        for _ in range(3):
            page = await stores.directory.changes(cursor=cursor)
            assert page.items == ()
            cursor = page.next_cursor
    found, _ = await _read(stores, cursor, lambda found: len(found) >= 2)
    assert [change.monitor_id for change in found] == [first.id, second.id]


async def test_a_transaction_that_is_rolled_back_is_not_told(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """Only what was committed is in the feed."""
    stores = postgres_relational
    tenant_id, (first, second) = await _monitors(stores, 2)
    _, cursor = await _read(stores, None, lambda found: len(found) == 2)
    async with (
        postgres_pool.connection() as connection,
        connection.transaction(force_rollback=True),
    ):
        await connection.execute(_TOUCH, [tenant_id, first.id])
    await stores.monitors.update(tenant_id, evolve(second, body="new"))
    found, _ = await _read(stores, cursor, lambda found: len(found) >= 1)
    assert [change.monitor_id for change in found] == [second.id]


async def test_no_gap_under_concurrent_transactions(
    postgres_relational: RelationalStores, postgres_url: str
) -> None:
    """Who follows the feed while many write has the newest of everything in the end."""
    stores = postgres_relational
    tenant_id, monitors = await _monitors(stores, 6)
    seen: dict[MonitorId, int] = {}

    async def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - a failure must be repeatable
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as own:
            for _ in range(25):
                async with own.transaction():
                    await own.execute("SELECT pg_current_xact_id()")
                    await asyncio.sleep(chance.random() / 100)
                    await own.execute(_TOUCH, [tenant_id, chance.choice(monitors).id])
                    await asyncio.sleep(chance.random() / 200)

    async def follow() -> None:
        cursor: str | None = None
        while sum(seen.values()) < 6 + 5 * 25:
            page = await stores.directory.changes(cursor=cursor, limit=2)
            cursor = page.next_cursor
            for change in page.items:
                assert change.monitor is not None
                seen[change.monitor_id] = change.monitor.version
            await asyncio.sleep(0.002)

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        for seed in range(5):
            tasks.create_task(write(seed))
    stored = await stores.monitors.list(tenant_id)
    assert seen == {monitor.id: monitor.version for monitor in stored.items}


async def test_a_restored_dump_is_told_from_the_beginning(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """Changes with another cluster's transaction numbers come first, in pages, each once."""
    stores = postgres_relational
    tenant_id, monitors = await _monitors(stores, 5)
    async with postgres_pool.connection() as connection:
        await connection.execute(_TO_ANOTHER_CLUSTER)
    await stores.monitors.update(tenant_id, evolve(monitors[0], body="new"))
    for limit in (1, 2, 1000):
        cursor: str | None = None
        found: list[MonitorId] = []
        async with asyncio.timeout(30):
            while len(found) < 5:
                page = await stores.directory.changes(cursor=cursor, limit=limit)
                found += [change.monitor_id for change in page.items]
                cursor = page.next_cursor
        assert found == [*sorted(monitor.id for monitor in monitors[1:]), monitors[0].id]
        assert (await stores.directory.changes(cursor=cursor)).items == ()


async def test_a_cursor_of_another_cluster_is_refused(
    postgres_relational: RelationalStores,
) -> None:
    """A cursor that was kept over a restore is refused, and not answered with silence."""
    tenant_id, (monitor,) = await _monitors(postgres_relational, 1)
    cursor = encode_cursor("changes", str(10**15), str(monitor.id), str(tenant_id))
    with pytest.raises(InvalidValueError, match="cluster"):
        await postgres_relational.directory.changes(cursor=cursor)


async def test_reading_the_feed_costs_what_it_tells(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """At the end of the feed no table is read from end to end."""
    tenant_id, _ = await _monitors(postgres_relational, 1)
    async with postgres_pool.connection() as connection:
        await connection.execute(
            "INSERT INTO monitor_changes (tenant_id, monitor_id)"
            " SELECT %s, gen_random_uuid() FROM generate_series(1, 5000)",
            [tenant_id],
        )
        await connection.execute("ANALYZE monitor_changes, monitors")
        row = await (await connection.execute("SELECT pg_current_xact_id()::text")).fetchone()
        assert row is not None
        values = {
            "after": row[0],
            "after_monitor": tenant_id,
            "after_tenant": tenant_id,
            "count": 100,
        }
        cursor = await connection.execute("EXPLAIN " + module._CHANGES, values)
        plan = "\n".join(line for (line,) in await cursor.fetchall())
    assert "idx_monitor_changes_changed" in plan
    assert "Seq Scan on monitor_changes" not in plan
