"""Leaks that are planted on purpose, each of which some check finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from tests.fixtures.tenancy import belongings, left_behind, settle_in

from urlmon.domain.health import HealthStatus
from urlmon.errors import NotFoundError
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    PostgresHealthCheck,
    PostgresMonitorRepo,
    _database,
    _rows,
    monitors,
)
from urlmon_adapters.postgres.tenancy import find_gaps, is_leaky

if TYPE_CHECKING:
    from urlmon_adapters.postgres import Pool

_POLICY: Final = (
    "DROP POLICY of_tenant ON alerts; CREATE POLICY of_tenant ON alerts TO urlmon_tenant "
)
_LEAKS: Final = {
    "no row-level security": (
        "ALTER TABLE monitors DISABLE ROW LEVEL SECURITY",
        "monitors: row-level security is not enabled",
    ),
    "a table without any": (
        "CREATE TABLE notes (tenant_id uuid, note text)",
        "notes: row-level security is not enabled",
    ),
    "no policy": ("DROP POLICY of_tenant ON alerts", "alerts: lacks a policy for urlmon_tenant"),
    "no WITH CHECK": (
        _POLICY + "USING (tenant_id = current_tenant())",
        "alerts: the policy of_tenant lets other rows through",
    ),
    "an open WITH CHECK": (
        _POLICY + "USING (tenant_id = current_tenant()) WITH CHECK (true)",
        "alerts: the policy of_tenant lets other rows through",
    ),
    "an open USING": (
        _POLICY + "USING (true) WITH CHECK (tenant_id = current_tenant())",
        "alerts: the policy of_tenant lets other rows through",
    ),
    "a second policy": (
        "CREATE POLICY support ON monitors FOR SELECT USING (true)",
        "monitors: the policy support lets other rows through",
    ),
    "a policy on the parent only": (
        (
            "CREATE TABLE check_results_1999 PARTITION OF check_results"
            " FOR VALUES FROM ('1999-01-01 00:00Z') TO ('1999-02-01 00:00Z')"
        ),
        "check_results_1999: row-level security is not enabled",
    ),
    "a right on a partition": (
        "GRANT SELECT ON check_results_default TO urlmon_tenant",
        "check_results_default: urlmon_tenant has the right to SELECT",
    ),
    "a right of everybody": (
        "GRANT SELECT ON alerts TO PUBLIC",
        "alerts: everybody has the right to SELECT",
    ),
    "an ingest that reads": (
        "GRANT SELECT ON check_results TO urlmon_ingest",
        "check_results: urlmon_ingest has the right to SELECT",
    ),
    "a right that no row limits": (
        "GRANT TRUNCATE ON alerts TO urlmon_tenant",
        "alerts: urlmon_tenant has the right to TRUNCATE",
    ),
    "a key without tenant": (
        "CREATE UNIQUE INDEX alerts_cause ON alerts (monitor_id, cause)",
        "alerts_cause: this unique key lacks the tenant",
    ),
    "a reference without tenant": (
        (
            "CREATE TABLE notes (tenant_id uuid, alert_id uuid,"
            " CONSTRAINT alert FOREIGN KEY (alert_id) REFERENCES alerts (id));"
            " SELECT protect_tenant_rows('notes')"
        ),
        "notes: the foreign key alert lacks the tenant",
    ),
    "a view of the owner": (
        "CREATE VIEW all_monitors AS SELECT * FROM monitors",
        "all_monitors: this view shows rows with the rights of its owner",
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW fleet AS SELECT count(*) FROM monitors",
        "fleet: this view shows rows with the rights of its owner",
    ),
    "a function of the owner": (
        (
            "CREATE FUNCTION fleet() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
            " SET search_path = public, pg_temp AS 'SELECT count(*) FROM monitors'"
        ),
        "fleet(): this function runs with the rights of its owner",
    ),
    "a search path that others fill": (
        "ALTER FUNCTION drop_old_partitions(interval) SECURITY DEFINER SET search_path = public",
        (
            "drop_old_partitions(interval): this function of the owner looks tables up where others"
            " can put theirs"
        ),
    ),
}


@pytest.mark.parametrize(("statements", "gap"), _LEAKS.values(), ids=_LEAKS)
async def test_in_the_schema(postgres_pool: Pool, statements: str, gap: str) -> None:
    """The catalogue check names what was changed, and nothing else."""
    async with postgres_pool.connection() as connection:
        for statement in statements.split("; "):
            if "REFERENCES alerts" in statement:
                await connection.execute("ALTER TABLE alerts ADD CONSTRAINT single UNIQUE (id)")
            await connection.execute(statement.encode())
        assert gap in await find_gaps(connection)


@pytest.mark.parametrize(
    ("version", "leaky"),
    [
        (140_099, True),
        (150_013, True),
        (150_014, False),
        (160_009, True),
        (160_010, False),
        (170_005, True),
        (170_006, False),
        (180_000, False),
    ],
)
def test_in_the_server(version: int, leaky: bool) -> None:  # noqa: FBT001 - a parameter
    """Servers that are known to leak are told from those where that was mended."""
    assert is_leaky(version) is leaky


async def test_in_the_cluster(postgres_pool: Pool) -> None:
    """So it does for what is set for a role in this database."""
    async with postgres_pool.connection() as connection:
        name = connection.info.dbname
        await connection.execute(f"ALTER DATABASE {name} SET urlmon.tenant TO 'a tenant'".encode())
        gaps = await find_gaps(connection)
    assert gaps == ("urlmon.tenant: a role or database has a setting of its own for it",)


async def test_a_session_wide_setting(postgres_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role and tenant that outlive their transaction show in the connection."""
    wrong = _database._AS_TENANT.replace("true", "false")
    monkeypatch.setattr(_database, "_AS_TENANT", wrong)
    household = await settle_in(postgres_pool)
    async with Database(postgres_pool).tenant("test", household.tenant_id):
        pass
    async with postgres_pool.connection() as connection:
        trace = await left_behind(connection)
        await connection.execute("DISCARD ALL")
    assert trace == (False, str(household.tenant_id))


async def test_a_query_without_the_tenant(
    postgres_pool: Pool, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a query forgets the tenant, row-level security still hides the others' rows."""
    forgetful = _rows.GET_MONITOR.replace("m.tenant_id = %(tenant_id)s AND", "")
    assert forgetful != _rows.GET_MONITOR
    monkeypatch.setattr(_rows, "GET_MONITOR", forgetful)
    monkeypatch.setattr(monitors, "_REMOVE", "DELETE FROM monitors WHERE id = %(id)s")
    victim, attacker = await settle_in(postgres_pool), await settle_in(postgres_pool)
    repo = PostgresMonitorRepo(Database(postgres_pool))
    before = belongings(postgres_url, victim.tenant_id)
    with pytest.raises(NotFoundError):
        await repo.get(attacker.tenant_id, victim.monitor_id)
    await repo.remove(attacker.tenant_id, victim.monitor_id)
    assert belongings(postgres_url, victim.tenant_id) == before


async def test_health_warns(postgres_service_pool: Pool, postgres_url: str) -> None:
    """The health check of a service tells of a gap, and of none where there is none."""
    check = PostgresHealthCheck(postgres_service_pool, SystemClock(), Migrations(postgres_url))
    assert ("row-level security", "on every table") in (await check.check()).details
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("ALTER TABLE alerts DISABLE ROW LEVEL SECURITY")
    found = await check.check()
    assert found.status is HealthStatus.WARN
    (problem,) = found.problems
    assert problem.endswith("by the queries alone: alerts: row-level security is not enabled")
