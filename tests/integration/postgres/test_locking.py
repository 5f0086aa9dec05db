"""Calls that meet at one row: held up for sure, not by luck."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve
from psycopg import sql

from urlmon.domain.tenants import TenantLimits, TenantStatus
from urlmon.errors import ConflictError, LimitExceededError, NotFoundError
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from urlmon.domain.directory import MonitorChange
    from urlmon.testing.contracts.stores import RelationalStores
    from urlmon_adapters.postgres._database import Pool

_LATER = NOON + timedelta(hours=1)
_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@asynccontextmanager
async def _held(pool: Pool, table: str) -> AsyncIterator[None]:
    """Hold every row of a table while the block runs."""
    async with pool.connection() as connection, connection.transaction():
        hold = sql.SQL("SELECT 1 FROM {} FOR UPDATE")
        await connection.execute(hold.format(sql.Identifier(table)))
        yield


async def _meeting(
    pool: Pool, table: str, calls: Sequence[Awaitable[object]]
) -> list[object | BaseException]:
    """Make calls that all come to wait for a table's rows; return the answers, then given."""
    async with _held(pool, table):
        tasks = [asyncio.ensure_future(call) for call in calls]
        async with asyncio.timeout(30), pool.connection() as connection:
            waiting = 0
            while waiting < len(calls):
                await asyncio.sleep(0.005)
                ((waiting,),) = await (await connection.execute(_WAITING)).fetchall()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_updates_of_a_monitor(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """Of two updates that saw one version, the second meets a conflict and not the first's rows."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    monitor = await stores.monitors.add(tenant.id, a_monitor(tenant.id))
    wanted = [evolve(monitor, body=body) for body in "ab"]
    answers = await _meeting(
        postgres_pool, "monitors", [stores.monitors.update(tenant.id, each) for each in wanted]
    )
    (conflict,) = (answer for answer in answers if isinstance(answer, ConflictError))
    assert conflict.current == "2"
    assert await stores.monitors.get(tenant.id, monitor.id) in answers


async def test_a_repeat_of_an_update(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """An update that is repeated while it runs gives one answer, with the channels it has set."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    channel = await stores.channels.add(tenant.id, a_channel(tenant.id))
    monitor = await stores.monitors.add(tenant.id, a_monitor(tenant.id))
    wanted = evolve(monitor, channel_ids=(channel.id,))
    answers = await _meeting(
        postgres_pool, "monitors", [stores.monitors.update(tenant.id, wanted) for _ in range(3)]
    )
    assert answers == [evolve(wanted, version=2)] * 3


async def test_an_update_and_a_pause(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """A pause that waited for an update is built on what that wrote."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    channel = await stores.channels.add(tenant.id, a_channel(tenant.id))
    monitor = await stores.monitors.add(tenant.id, a_monitor(tenant.id))
    repo = stores.monitors
    answers = await _meeting(
        postgres_pool,
        "monitors",
        [
            repo.update(tenant.id, evolve(monitor, body="new", channel_ids=(channel.id,))),
            repo.set_enabled(tenant.id, monitor.id, enabled=False, at=_LATER),
        ],
    )
    stored = await repo.get(tenant.id, monitor.id)
    assert not stored.enabled
    assert answers[1] == stored
    # Whichever came first: the update is there, or was told of the pause.
    assert isinstance(answers[0], ConflictError) or stored.channel_ids == (channel.id,)


async def test_changes_of_a_tenant(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """An update and a change of status do not undo each other."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    answers = await _meeting(
        postgres_pool,
        "tenants",
        [
            stores.tenants.update(evolve(tenant, name="New")),
            stores.tenants.set_status(tenant.id, status=TenantStatus.SUSPENDED, at=_LATER),
        ],
    )
    stored = await stores.tenants.get(tenant.id)
    assert stored.status is TenantStatus.SUSPENDED
    assert isinstance(answers[0], ConflictError) or stored.name == "New"


async def test_updates_of_a_tenant(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """Of two updates that saw one version, the second meets a conflict."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    wanted = [evolve(tenant, name=name) for name in "ab"]
    answers = await _meeting(
        postgres_pool, "tenants", [stores.tenants.update(each) for each in wanted]
    )
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 1
    assert await stores.tenants.get(tenant.id) in answers


async def test_the_last_place(postgres_relational: RelationalStores, postgres_pool: Pool) -> None:
    """Of monitors that are added at once, as many are as the tenant may have."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant(limits=TenantLimits(max_monitors=1)))
    answers = await _meeting(
        postgres_pool,
        "tenants",
        [stores.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(3)],
    )
    assert sum(isinstance(answer, LimitExceededError) for answer in answers) == 2
    assert len((await stores.monitors.list(tenant.id)).items) == 1


async def test_a_monitor_of_a_tenant_that_goes(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """A monitor is added before its tenant goes, and goes with it, or finds none."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    answers = await _meeting(
        postgres_pool,
        "tenants",
        [
            stores.tenants.remove(tenant.id),
            stores.monitors.add(tenant.id, a_monitor(tenant.id)),
        ],
    )
    assert answers[0] is None
    assert isinstance(answers[1], NotFoundError) or answers[1] is not None
    assert (await stores.monitors.list(tenant.id)).items == ()


async def test_a_suspension_reaches_a_new_monitor(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """A monitor that is added while its tenant is suspended is told of after the suspension."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    monitor = a_monitor(tenant.id)
    answers = await _meeting(
        postgres_pool,
        "tenants",
        [
            stores.monitors.add(tenant.id, monitor),
            stores.tenants.set_status(tenant.id, status=TenantStatus.SUSPENDED, at=_LATER),
        ],
    )
    assert answers[0] == monitor
    told: list[MonitorChange] = []
    async with asyncio.timeout(30):
        while not told:
            await asyncio.sleep(0.005)
            told += (await stores.directory.changes()).items
    assert [change.monitor for change in told] == [None]


async def test_what_touches_many_monitors_takes_turns(
    postgres_relational: RelationalStores, postgres_pool: Pool
) -> None:
    """A new status and the removal of a channel, which change many rows, wait at their tenant."""
    stores = postgres_relational
    tenant = await stores.tenants.add(a_tenant())
    channel = await stores.channels.add(tenant.id, a_channel(tenant.id))
    monitor = a_monitor(tenant.id, channel_ids=(channel.id,))
    await stores.monitors.add(tenant.id, monitor)
    answers = await _meeting(
        postgres_pool,
        "tenants",
        [
            stores.channels.remove(tenant.id, channel.id),
            stores.tenants.set_status(tenant.id, status=TenantStatus.SUSPENDED, at=_LATER),
            stores.monitors.remove(tenant.id, monitor.id),
        ],
    )
    assert not any(isinstance(answer, BaseException) for answer in answers)
    assert (await stores.monitors.list(tenant.id)).items == ()
