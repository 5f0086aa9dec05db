"""SQL that tries to get round row-level security, from within a tenant's own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo
from tests.fixtures.tenancy import TABLES, Household, belongings, left_behind, settle_in

from urlmon.domain.ids import ChannelId
from urlmon.errors import StoreError
from urlmon_adapters.postgres import Database, build_pool
from urlmon_adapters.postgres.tenancy import find_gaps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from urlmon_adapters.postgres import Pool

# Each is run by one tenant and aims at the rows of another, the victim.
READS: Final = (
    *(f"SELECT t::text FROM {table} AS t" for table in TABLES),
    *(f"COPY {table} TO STDOUT" for table in TABLES if table != "check_results"),
    "COPY (SELECT * FROM check_results) TO STDOUT",
    "SELECT t::text FROM monitors AS t FOR UPDATE",
    "SELECT t::text FROM monitors AS t WHERE tenant_id = %(victim)s OR tenant_id IS NOT NULL",
    "DECLARE c CURSOR FOR SELECT t::text FROM alerts AS t; FETCH ALL FROM c",
    "SELECT m::text FROM tenants AS t FULL JOIN monitors AS m ON true",
    "WITH t AS (UPDATE monitors SET name = name || '!' RETURNING *) SELECT t::text FROM t",
    "WITH t AS (DELETE FROM check_results RETURNING *) SELECT t::text FROM t",
    "SELECT set_config('urlmon.tenant', '', true); SELECT t::text FROM monitors AS t",
    "RESET urlmon.tenant; SELECT t::text FROM monitors AS t",
    "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'monitors'",
    "CREATE TEMP VIEW v AS SELECT * FROM monitors; SELECT v::text FROM v",
    (
        "CREATE FUNCTION pg_temp.current_tenant() RETURNS uuid LANGUAGE sql"
        " AS 'SELECT %(victim_text)s::uuid'; SELECT t::text FROM monitors AS t"
    ),
)
REFUSED: Final = (
    (
        "INSERT INTO notification_channels SELECT %(victim)s, gen_random_uuid(), 'mine', kind,"
        " config, secrets, enabled, 0, NULL, NULL, NULL, created_at, updated_at, 1"
        " FROM notification_channels"
    ),
    "UPDATE monitors SET tenant_id = %(victim)s",
    "UPDATE monitors SET tenant_id = gen_random_uuid()",
    (
        "INSERT INTO monitor_changes VALUES (%(victim)s, %(victim_monitor)s)"
        " ON CONFLICT (tenant_id, monitor_id) DO UPDATE SET changed_in = DEFAULT"
    ),
    (
        "MERGE INTO monitor_changes AS c"
        " USING (VALUES (%(victim)s::uuid, %(victim_monitor)s::uuid)) AS v (tenant_id, monitor_id)"
        " ON c.tenant_id = v.tenant_id AND c.monitor_id = v.monitor_id"
        " WHEN MATCHED THEN DELETE"
        " WHEN NOT MATCHED THEN INSERT VALUES (v.tenant_id, v.monitor_id, DEFAULT)"
    ),
    "INSERT INTO tenants SELECT * FROM tenants",
    "COPY monitors FROM STDIN",
    "COPY check_results FROM STDIN",
    "TRUNCATE check_results",
    "TRUNCATE monitors CASCADE",
    "SET LOCAL row_security = off; SELECT t::text FROM monitors AS t",
    "SELECT t::text FROM check_results_default AS t",
    "ALTER TABLE monitors DISABLE ROW LEVEL SECURITY",
    "DROP POLICY of_tenant ON monitors",
    "CREATE POLICY mine ON monitors USING (true)",
    "CREATE VIEW v AS SELECT * FROM monitors",
    "SELECT protect_tenant_rows('monitors')",
    "SET LOCAL session_replication_role = replica",
)


@pytest.fixture(params=["superuser", "owner", "service"])
async def pool(
    request: pytest.FixtureRequest, postgres_url: str, postgres_service_url: str
) -> AsyncIterator[Pool]:
    """A pool of the library, opened with one login or another."""
    url = postgres_service_url if request.param == "service" else postgres_url
    if request.param == "owner":
        url = _hand_over(postgres_url)
    async with build_pool(url) as opened:
        yield opened
    if request.param == "owner":
        _take_back(postgres_url)


def _hand_over(url: str) -> str:
    """Make an ordinary login the owner of everything, and return its URL."""
    with psycopg.connect(url, autocommit=True) as admin:
        name = f"owner_of_{admin.info.dbname}"
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'".encode())
        admin.execute(f"GRANT urlmon_tenant, urlmon_service TO {name}".encode())
        rows = admin.execute(
            "SELECT format('ALTER TABLE %s OWNER TO ', oid::regclass) FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        ).fetchall()
        for (statement,) in rows:
            admin.execute(f"{statement}{name}".encode())
    return make_conninfo(url, user=name, password=name)


def _take_back(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        name = f"owner_of_{admin.info.dbname}"
        admin.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}".encode())
        admin.execute(f"DROP ROLE {name}".encode())


@pytest.fixture
async def victim(pool: Pool) -> Household:
    """Whose rows nobody else is to see."""
    return await settle_in(pool)


async def _attack(pool: Pool, statement: str, victim: Household) -> list[str]:
    """Run SQL as another tenant; return whatever comes back, each row as text."""
    attacker = await settle_in(pool)
    values = {"victim": victim.tenant_id, "victim_monitor": victim.monitor_id}
    found: list[str] = []
    async with Database(pool).tenant("attack", attacker.tenant_id) as connection:
        for part in statement.split("; "):
            sql = part.replace("%(victim_text)s", f"''{victim.tenant_id}''").encode()
            if part.startswith("COPY") and part.endswith("STDOUT"):
                async with connection.cursor().copy(sql) as copy:
                    found += [bytes(line).decode() async for line in copy]
                continue
            cursor = await connection.execute(sql, values if b"%(" in sql else None)
            if cursor.description:
                found += [str(row[0]) for row in await cursor.fetchall()]
    return found


@pytest.mark.parametrize("statement", READS)
async def test_reading(pool: Pool, postgres_url: str, victim: Household, statement: str) -> None:
    """A statement over all rows meets those of its own tenant, whoever has logged in."""
    before = belongings(postgres_url, victim.tenant_id)
    found = "\n".join(await _attack(pool, statement, victim))
    for secret in (victim.tenant_id, victim.monitor_id, victim.channel_id, victim.alert_id):
        assert str(secret) not in found
        assert secret.hex not in found
    assert belongings(postgres_url, victim.tenant_id) == before


@pytest.mark.parametrize("statement", REFUSED)
async def test_writing(pool: Pool, postgres_url: str, victim: Household, statement: str) -> None:
    """What reaches for another tenant's rows, or for the rules, is refused."""
    before = belongings(postgres_url, victim.tenant_id)
    with pytest.raises((errors.InsufficientPrivilege, errors.FeatureNotSupported)):
        await _attack_raw(pool, statement, victim)
    assert belongings(postgres_url, victim.tenant_id) == before


async def _attack_raw(pool: Pool, statement: str, victim: Household) -> None:
    """Attack, and raise the error of the driver instead of ours."""
    with pytest.raises(StoreError) as caught:
        await _attack(pool, statement, victim)
    assert caught.value.__cause__ is not None
    raise caught.value.__cause__ from None


async def test_a_foreign_key_tells_nothing(pool: Pool, victim: Household) -> None:
    """A reference to another tenant's channel fails just as one to no channel."""
    told = []
    for channel_id in (victim.channel_id, ChannelId.new()):
        attacker = await settle_in(pool)
        link = (
            f"INSERT INTO monitor_channels"
            f" VALUES ('{attacker.tenant_id}', '{attacker.monitor_id}', '{channel_id}', 1)"
        )
        with pytest.raises(StoreError) as caught:
            async with Database(pool).tenant("link", attacker.tenant_id) as connection:
                await connection.execute(link.encode())
        cause = caught.value.__cause__
        assert isinstance(cause, errors.ForeignKeyViolation)
        message = f"{caught.value} {cause.diag.message_primary} {cause.diag.message_detail}"
        for name in (attacker.tenant_id, attacker.monitor_id, channel_id):
            message = message.replace(str(name), "…")
        told.append(message)
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT t::text FROM monitors AS t",
        "SET ROLE postgres; SELECT t::text FROM monitors AS t",
        "SET SESSION AUTHORIZATION postgres; SELECT t::text FROM monitors AS t",
        "SET ROLE urlmon_ingest; SELECT t::text FROM check_results AS t",
        "SET ROLE urlmon_ingest; DELETE FROM check_results",
        "SET ROLE urlmon_ingest; COPY check_results TO STDOUT",
        "SELECT t::text FROM check_results_default AS t",
        "CREATE ROLE mine BYPASSRLS",
        "ALTER ROLE urlmon_tenant BYPASSRLS",
        "UPDATE schema_migrations SET description = 'mine'",
    ],
)
async def test_the_login_itself(
    postgres_service_pool: Pool, postgres_url: str, statement: str
) -> None:
    """A service's login may take its roles, and out of them may do nothing; RESET leads there."""
    victim = await settle_in(postgres_service_pool)
    before = belongings(postgres_url, victim.tenant_id)
    with pytest.raises(errors.InsufficientPrivilege):
        await _attack_raw(postgres_service_pool, f"RESET ROLE; {statement}", victim)
    assert belongings(postgres_url, victim.tenant_id) == before


async def test_a_login_of_one_role(postgres_url: str, postgres_service_pool: Pool) -> None:
    """Whoever is a member of `urlmon_tenant` alone cannot serve all tenants, nor find any."""
    victim = await settle_in(postgres_service_pool)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        name = f"api_of_{admin.info.dbname}"
        admin.execute(f"CREATE ROLE {name} LOGIN NOINHERIT PASSWORD '{name}'".encode())
        admin.execute(f"GRANT urlmon_tenant TO {name}".encode())
        try:
            url = make_conninfo(postgres_url, user=name, password=name)
            with psycopg.connect(url, autocommit=True) as api:
                with pytest.raises(errors.InsufficientPrivilege):
                    api.execute("SET ROLE urlmon_service")
                api.execute("SET ROLE urlmon_tenant")
                assert api.execute("SELECT id FROM tenants").fetchall() == []
                api.execute("SELECT set_config('urlmon.tenant', %s, false)", [str(victim.alert_id)])
                assert api.execute("SELECT id FROM tenants").fetchall() == []
        finally:
            admin.execute(f"DROP ROLE {name}".encode())


async def test_no_trace_in_the_connection(pool: Pool) -> None:
    """After a transaction the next user of its connection has neither its role nor its tenant."""
    await settle_in(pool)
    async with pool.connection() as connection:
        assert await left_behind(connection) == (True, "")


async def test_the_catalogue_shows_no_gap(pool: Pool) -> None:
    """The schema that the migrations make has no way round row-level security."""
    async with pool.connection() as connection:
        assert await find_gaps(connection) == ()
