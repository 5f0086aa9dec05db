"""What PostgreSQL alone can show of alerts: constraints, races, odd rows, plans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from attrs import evolve

from urlmon.domain.alerts import AlertStatus, Opening
from urlmon.domain.periods import Period
from urlmon.errors import ConflictError, CorruptDataError, StoreError, UnavailableError
from urlmon.testing.builders import a_monitor, a_tenant, an_alert
from urlmon.testing.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from urlmon.domain.monitors import Monitor
    from urlmon.testing.contracts.stores import RelationalStores
    from urlmon_adapters.postgres._database import Pool

PERIOD = Period(since=NOON, until=NOON.replace(hour=13))
GUARDED = """
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing BEFORE INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION nothing()
"""


@pytest.fixture
async def monitor(postgres_relational: RelationalStores) -> Monitor:
    """A stored monitor of a stored tenant."""
    tenant = await postgres_relational.tenants.add(a_tenant())
    return await postgres_relational.monitors.add(tenant.id, a_monitor(tenant.id))


async def execute(pool: Pool, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement beside the adapter and return its rows."""
    async with pool.connection() as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def test_the_database_itself_allows_one_open_alert(
    postgres_relational: RelationalStores, postgres_pool: Pool, monitor: Monitor
) -> None:
    """Whoever writes past the adapter meets the constraint."""
    await postgres_relational.alerts.open(
        monitor.tenant_id, an_alert(monitor.tenant_id, monitor.id)
    )
    copy = (
        "INSERT INTO alerts SELECT tenant_id, gen_random_uuid(), monitor_id, rule, cause, opened_at"
        " FROM alerts"
    )
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        await execute(postgres_pool, copy)
    assert caught.value.diag.constraint_name == "alerts_one_open"
    await execute(postgres_pool, "UPDATE alerts SET resolved_at = opened_at")
    await execute(postgres_pool, copy)


async def test_race_of_openings_and_ends(
    postgres_relational: RelationalStores, monitor: Monitor
) -> None:
    """While alerts of one rule begin and end at once, never are two of them open."""
    repo, tenant_id = postgres_relational.alerts, monitor.tenant_id
    created, refused = [], []

    async def work() -> None:
        for _ in range(25):
            alert = an_alert(tenant_id, monitor.id)
            try:
                opening = await repo.open(tenant_id, alert)
            except (ConflictError, UnavailableError) as exc:
                refused.append(exc)
                continue
            assert opening == Opening(alert=alert, created=True)
            assert len((await repo.open_for(tenant_id, [monitor.id]))[monitor.id]) == 1
            created.append(alert)
            await repo.resolve(tenant_id, alert.id, at=NOON)

    await asyncio.gather(*(work() for _ in range(6)))
    assert any(isinstance(error, ConflictError) for error in refused), "they met"
    assert await repo.open_for(tenant_id, [monitor.id]) == {}
    assert len((await repo.list(tenant_id, limit=1_000)).items) == len(created)


async def test_constraints_are_told_apart(
    postgres_relational: RelationalStores, postgres_pool: Pool, monitor: Monitor
) -> None:
    """A constraint that we did not make is no missing monitor."""
    await execute(postgres_pool, "ALTER TABLE alerts ADD CHECK (cause <> 'odd')")
    with pytest.raises(StoreError) as caught:
        await postgres_relational.alerts.open(
            monitor.tenant_id, an_alert(monitor.tenant_id, monitor.id, cause="odd")
        )
    assert type(caught.value) is StoreError


async def test_what_was_in_the_way_is_gone(
    postgres_relational: RelationalStores, postgres_pool: Pool, monitor: Monitor
) -> None:
    """Nothing inserted and nothing in the way is a reason to call again."""
    await execute(postgres_pool, GUARDED)
    with pytest.raises(UnavailableError):
        await postgres_relational.alerts.open(
            monitor.tenant_id, an_alert(monitor.tenant_id, monitor.id)
        )


@pytest.mark.parametrize(
    "odd",
    [
        "rule = 'Not a rule'",
        "cause = repeat('x', 501)",
        "acknowledged_by = 'me'",
        "note = 'without a name'",
        "acknowledged_at = opened_at - interval '1 s', acknowledged_by = 'me'",
        "resolved_at = opened_at - interval '1 s'",
        "notification_count = -1",
        "opened_at = '1999-12-31'",
        "opened_at = '-infinity'",
    ],
)
async def test_rows_that_are_no_alerts(
    postgres_relational: RelationalStores, postgres_pool: Pool, monitor: Monitor, odd: str
) -> None:
    """Each way of reading an alert refuses what is none, and names it."""
    repo, tenant_id = postgres_relational.alerts, monitor.tenant_id
    alert = an_alert(tenant_id, monitor.id)
    await repo.open(tenant_id, alert)
    for check in ("rule", "cause", "acknowledged", "resolved", "notification_count"):
        await execute(postgres_pool, f"ALTER TABLE alerts DROP CONSTRAINT alerts_{check}_check")
    await execute(postgres_pool, f"UPDATE alerts SET {odd}")
    calls: list[Awaitable[object]] = [
        repo.get(tenant_id, alert.id),
        repo.open(tenant_id, alert),
        repo.acknowledge(tenant_id, alert.id, by="me", at=NOON),
        repo.resolve(tenant_id, alert.id, at=NOON),
        repo.list(tenant_id),
    ]
    if not odd.startswith("notification_count"):  # which a count of 1 would mend
        calls.append(repo.count_notification(tenant_id, alert.id, number=1))
    if not odd.startswith("resolved_at"):
        calls.append(repo.open_for(tenant_id, [monitor.id]))
    if not odd.startswith(("resolved_at", "opened_at = '1")):
        calls.append(repo.timeline(tenant_id, [monitor.id], period=PERIOD))
    for call in calls:
        with pytest.raises(CorruptDataError) as caught:
            await call
        if "infinity" not in odd:  # the driver refuses that, before it is known which row it is
            assert str(alert.id) in caught.value.detail


async def test_open_alerts_are_found_among_many(
    postgres_relational: RelationalStores, postgres_pool: Pool, monitor: Monitor
) -> None:
    """However long the history, what is open is read through an index and not past it."""
    repo, tenant_id = postgres_relational.alerts, monitor.tenant_id
    await execute(
        postgres_pool,
        "INSERT INTO alerts (tenant_id, id, monitor_id, rule, cause, opened_at, resolved_at)"
        " SELECT tenant_id, gen_random_uuid(), id, 'availability', '', at, at FROM monitors,"
        " generate_series(timestamptz '2020-01-01', '2020-02-01', '1 minute') AS at",
    )
    await execute(postgres_pool, "ANALYZE alerts")
    alert = an_alert(tenant_id, monitor.id, opened_at=NOON.replace(year=2019))
    await repo.open(tenant_id, alert)
    await execute(postgres_pool, "SELECT pg_stat_reset()")
    assert (await repo.list(tenant_id, status=AlertStatus.FIRING)).items == (alert,)
    assert await repo.open_for(tenant_id, [monitor.id]) == {monitor.id: (alert,)}
    assert (await repo.open(tenant_id, evolve(alert, cause="again"))).alert == alert
    await execute(postgres_pool, "SELECT pg_stat_force_next_flush()")
    ((sequential, fetched),) = await execute(
        postgres_pool,
        "SELECT seq_scan, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'alerts'",
    )
    assert sequential == 0
    assert fetched < 100
