"""Check results in PostgreSQL: what no other store has to care about."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.fixtures.recording import in_postgres

from urlmon.domain.check_results import CheckError, ErrorKind
from urlmon.domain.fates import NEW
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.errors import CorruptDataError
from urlmon.testing.builders import a_result
from urlmon_adapters.postgres._database import Pool, build_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from urlmon.testing.clock import FakeClock
    from urlmon.testing.contracts.stores import ResultStores

_BOOM = CheckError(kind=ErrorKind.TIMEOUT, message="10 s")
_LAST_INSTANT = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.fixture(
    params=[("Pacific/Kiritimati", "ISO"), ("America/New_York", "German"), ("Asia/Kolkata", "SQL")],
    ids=lambda param: param[0],
)
async def elsewhere(
    postgres_url: str, still_clock: FakeClock, request: pytest.FixtureRequest
) -> AsyncIterator[ResultStores]:
    """Stores whose sessions have another time zone and another way to write dates."""
    zone, style = request.param
    pool = build_pool(
        make_conninfo(postgres_url, options=f"-c timezone={zone} -c datestyle={style}")
    )
    await pool.open(wait=True)
    yield in_postgres(pool, still_clock)
    await pool.close()


async def test_a_session_has_any_zone_and_date_style(elsewhere: ResultStores) -> None:
    """Instants are the same in every session, the last ones of the calendar too."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    now = elsewhere.clock.now()
    result = a_result(tenant, monitor, scheduled_at=now, tls_expires_at=_LAST_INSTANT, error=_BOOM)
    period = Period(since=now, until=now + timedelta(hours=1))
    assert await elsewhere.results.record([result]) == (NEW,)
    assert await elsewhere.results.latest(tenant, [monitor]) == {monitor: result}
    page = await elsewhere.results.history(tenant, [monitor], period=period)
    assert page.items == (result,)
    (group,) = (await elsewhere.statistics.failures(tenant, [monitor], period=period))[monitor]
    assert (group.first_at, group.last_at) == (now, now)
    assert group.last_at.tzinfo is UTC
    hour = timedelta(hours=1)
    summary = await elsewhere.statistics.summary(tenant, {monitor: hour}, period=period)
    assert summary[monitor].coverage == 1
    series = await elsewhere.statistics.series(tenant, [monitor], period=period, width=hour)
    assert series[monitor][0].statistics.checks == 1


async def test_the_order_needs_no_index(postgres_url: str, still_clock: FakeClock) -> None:
    """Order is made by the query itself, also where the server reads the whole table."""
    options = "-c enable_indexscan=off -c enable_bitmapscan=off"
    async with build_pool(make_conninfo(postgres_url, options=options)) as pool:
        async with pool.connection() as connection:
            await connection.execute("DROP INDEX idx_check_results_monitor_time")
        stores = in_postgres(pool, still_clock)
        tenant, monitor, now = TenantId.new(), MonitorId.new(), stores.clock.now()
        period = Period(since=now, until=now + timedelta(hours=1))
        found = {
            location: a_result(
                tenant,
                monitor,
                scheduled_at=now,
                location=location,
                error=CheckError(kind=ErrorKind.DNS, message=location),
            )
            for location in "dgbfahce"
        }
        # Rows are read in the order of their recording.
        for result in found.values():
            await stores.results.record([result])
        assert await stores.results.latest(tenant, [monitor]) == {monitor: found["a"]}
        page = await stores.results.history(tenant, [monitor], period=period)
        assert page.items == tuple(found[location] for location in "abcdefgh")
        (group,) = (await stores.statistics.failures(tenant, [monitor], period=period))[monitor]
        assert group.last_message == "a"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("error_kind", "martian"),
        ("error_message", "x" * 501),
        ("status_code", "99"),
        ("response_time_us", "-1"),
        ("tls_us", "3600000001"),
        ("size_bytes", "-1"),
        ("location", "Köln"),
        ("checked_at", "1999-12-31"),
        ("checked_at", "infinity"),
        ("tls_expires_at", "10000-01-01"),
        ("tls_expires_at", "1949-12-31"),
    ],
)
async def test_corrupt_rows(
    postgres_recording: ResultStores, postgres_pool: Pool, column: str, value: str
) -> None:
    """Rows that this version would not write are reported as such, whoever wrote them."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    now = postgres_recording.clock.now()
    await postgres_recording.results.record(
        [a_result(tenant, monitor, scheduled_at=now, error=_BOOM)]
    )
    async with postgres_pool.connection() as connection:
        for name in ("error", "status_code", "times", "size", "location"):
            constraint = sql.Identifier(f"check_results_{name}_check")
            drop = sql.SQL("ALTER TABLE check_results DROP CONSTRAINT {}")
            await connection.execute(drop.format(constraint))
        spoil = sql.SQL("UPDATE check_results SET {} = {}")
        await connection.execute(spoil.format(sql.Identifier(column), sql.Literal(value)))
    period = Period(since=now, until=now + timedelta(hours=1))
    calls = [
        postgres_recording.results.latest(tenant, [monitor]),
        postgres_recording.results.history(tenant, [monitor], period=period),
    ]
    if value == "martian":
        calls.append(postgres_recording.statistics.failures(tenant, [monitor], period=period))
    for call in calls:
        with pytest.raises(CorruptDataError) as caught:
            await call
        assert caught.value.store == "postgresql"
        assert str(monitor) in caught.value.detail or "unexpected data" in caught.value.detail


async def test_locations_sort_by_code_point(postgres_pool: Pool) -> None:
    """The order does not depend on the database's collation, in any partition."""
    async with postgres_pool.connection() as connection:
        rows = await connection.execute(
            "SELECT collname FROM pg_attribute JOIN pg_collation c ON c.oid = attcollation"
            " WHERE attname = 'location' AND attrelid::regclass::text LIKE 'check_results%'"
            " AND attrelid IN (SELECT relid FROM pg_partition_tree('check_results'))"
        )
        found = [name for (name,) in await rows.fetchall()]
    assert len(found) > 4
    assert set(found) == {"C"}


async def test_a_month_is_made_while_a_result_arrives(
    postgres_recording: ResultStores, postgres_pool: Pool
) -> None:
    """A result whose partition appears meanwhile is stored there; its sender notices nothing."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    old = postgres_recording.clock.now() - timedelta(days=60)
    result = a_result(tenant, monitor, scheduled_at=old)
    async with postgres_pool.connection() as connection:
        async with connection.transaction():
            await connection.execute("SELECT create_monthly_partition(%s)", [old.date()])
            call = asyncio.create_task(postgres_recording.results.record([result]))
            await blocked(postgres_pool)
        assert await call == (NEW,)
        rows = await connection.execute("SELECT tableoid::regclass::text FROM check_results")
        assert await rows.fetchall() == [(f"check_results_{old:%Y_%m}",)]


async def test_a_period_asks_its_own_months_only(
    postgres_recording: ResultStores, postgres_pool: Pool
) -> None:
    """What happens to another month's partition, or the default one, holds nobody up."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    now = postgres_recording.clock.now()
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    until = (first + timedelta(days=32)).replace(day=1)
    period = Period(since=first, until=until)
    one, statistics = [monitor], postgres_recording.statistics
    day, last = first.date(), until.date() - timedelta(days=1)
    hour = timedelta(hours=1)
    async with postgres_pool.connection() as other, other.transaction():
        await other.execute(
            sql.SQL("LOCK TABLE check_results_default, {}").format(
                sql.Identifier(f"check_results_{until:%Y_%m}")
            )
        )
        async with asyncio.timeout(10):
            result = a_result(tenant, monitor, scheduled_at=now, error=_BOOM)
            await postgres_recording.results.record([result])
            page = await postgres_recording.results.history(tenant, [monitor], period=period)
            assert page.items == (result,)
            assert (await statistics.summary(tenant, {monitor: hour}, period=period))[monitor]
            assert (await statistics.series(tenant, one, period=period, width=hour))[monitor]
            assert (await statistics.daily(tenant, one, first=day, last=last))[monitor]
            assert (await statistics.failures(tenant, one, period=period))[monitor]
            assert (await statistics.by_location(tenant, one, period=period))[monitor]
            assert await statistics.usage(tenant, first=day, last=last)


async def blocked(pool: Pool) -> None:
    """Return once a session of this database waits for a lock."""
    async with pool.connection() as connection:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        while await (await connection.execute(waiting)).fetchone() == (0,):  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)
