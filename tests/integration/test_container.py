"""The container: what it builds, how it starts, and what it leaves behind."""

from __future__ import annotations

import asyncio
import inspect
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from dependency_injector import providers
from tests.fixtures.working import remove_keys

import urlmon.ports
from urlmon import ConfigurationError, MigrationError, UnavailableError
from urlmon.domain.health import HealthStatus
from urlmon.testing.builders import a_monitor, a_tenant, an_alert
from urlmon_adapters.container import PersistenceContainer, PersistencePorts, running
from urlmon_adapters.influx import Influx
from urlmon_adapters.redis import Keys
from urlmon_adapters.settings import Settings
from urlmon_adapters.testing import InMemoryContainer

if TYPE_CHECKING:
    from urlmon_adapters.servers import RedisEndpoint

PORTS = {
    "alert_state": urlmon.ports.AlertStateCache,
    "alerts": urlmon.ports.AlertRepo,
    "archive": urlmon.ports.CheckResultArchive,
    "cache": urlmon.ports.Cache,
    "channels": urlmon.ports.ChannelRepo,
    "check_results": urlmon.ports.CheckResultStore,
    "clock": urlmon.ports.Clock,
    "counters": urlmon.ports.FailureCounters,
    "deny_list": urlmon.ports.DenyList,
    "directory": urlmon.ports.MonitorDirectory,
    "locks": urlmon.ports.Locks,
    "monitors": urlmon.ports.MonitorRepo,
    "outbox": urlmon.ports.TransitionOutbox,
    "removals": urlmon.ports.Removals,
    "schedule": urlmon.ports.Schedule,
    "sessions": urlmon.ports.SessionStore,
    "statistics": urlmon.ports.CheckStatistics,
    "tenants": urlmon.ports.TenantRepo,
    "working_state": urlmon.ports.WorkingState,
}
NOWHERE = "redis://127.0.0.1:1/0"


def settings(**environ: str) -> Settings:
    """Build settings from nothing but the names given."""
    return Settings.load(environ)


def connections(url: str) -> int:
    """Count the connections that urlmon has to a database."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'urlmon%'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_every_port_has_a_provider() -> None:
    """What the ports package offers an application can ask for, but health checks and spools."""
    offered = {
        port
        for name in urlmon.ports.__all__
        if inspect.isclass(port := getattr(urlmon.ports, name))
    }
    assert set(PORTS.values()) == offered - {urlmon.ports.HealthCheck, urlmon.ports.Spool}
    assert set(PORTS) <= set(PersistencePorts.providers)


async def test_the_fakes_are_built_once_and_synchronously() -> None:
    """Each provider of the in-memory container gives one object, of its port."""
    async with running(InMemoryContainer()) as stores:
        for name, port in PORTS.items():
            built = getattr(stores, name)()
            assert port in type(built).__mro__
            assert getattr(stores, name)() is built
        assert [check.name for check in stores.health_checks()] == [
            "postgresql",
            "influxdb",
            "redis",
        ]


async def test_the_fakes_share_one_state() -> None:
    """A monitor of the fake repository is in the fake directory."""
    stores = InMemoryContainer()
    tenant = await stores.tenants().add(a_tenant())
    monitor = await stores.monitors().add(tenant.id, a_monitor(tenant.id))
    assert (await stores.directory().list_active()).items == (monitor,)


@pytest.mark.redis
async def test_the_real_stores_are_built_once_and_synchronously(
    postgres_url: str, redis_url: str
) -> None:
    """Each provider gives one object of its port, and the clients are open."""
    container = PersistenceContainer(
        settings=settings(DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    )
    async with running(container) as stores:
        for name, port in PORTS.items():
            built = getattr(stores, name)()
            assert port in type(built).__mro__
            assert getattr(stores, name)() is built
        assert [check.name for check in stores.health_checks()] == ["postgresql", "redis"]
        async with stores.pool().connection() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
        assert await stores.redis().ping()
    assert connections(postgres_url) == 0


async def test_a_failed_start_leaves_nothing_open(postgres_url: str) -> None:
    """Where Redis is down, the start fails with its name, and PostgreSQL is closed again."""
    container = PersistenceContainer(
        settings=settings(DATABASE_URL=postgres_url, REDIS_URL=NOWHERE)
    )
    with pytest.raises(UnavailableError, match="redis"):
        async with running(container):
            pytest.fail("it started without Redis")
    assert connections(postgres_url) == 0


@pytest.mark.redis
async def test_a_database_behind_the_code_is_refused(
    empty_postgres_url: str, redis_url: str
) -> None:
    """By default a start on a database without migrations stops, and says what to run."""
    container = PersistenceContainer(
        settings=settings(DATABASE_URL=empty_postgres_url, REDIS_URL=redis_url)
    )
    with pytest.raises(MigrationError, match="urlmon migrate"):
        async with running(container):
            pytest.fail("it started without a schema")


@pytest.mark.redis
async def test_a_start_migrates_where_it_may(empty_postgres_url: str, redis_url: str) -> None:
    """With URLMON_MIGRATE=run a start brings the schema up to date."""
    container = PersistenceContainer(
        settings=settings(
            DATABASE_URL=empty_postgres_url, REDIS_URL=redis_url, URLMON_MIGRATE="run"
        )
    )
    async with running(container) as stores:
        tenant = a_tenant()
        assert await stores.tenants().add(tenant) == tenant


@pytest.mark.redis
async def test_a_start_rebuilds_what_redis_lost(postgres_url: str, redis_url: str) -> None:
    """What the record knows is in Redis when a start on an empty one has ended."""
    namespace = f"test-{secrets.token_hex(8)}:"
    environment = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url}
    container = PersistenceContainer(
        settings=settings(**environment, URLMON_REDIS_NAMESPACE=namespace)
    )
    async with running(container) as stores:
        assert await stores.working_state().is_whole()
        tenant = await stores.tenants().add(a_tenant())
        monitor = await stores.monitors().add(tenant.id, a_monitor(tenant.id))
        alert = await stores.alerts().open(tenant.id, an_alert(tenant.id, monitor.id))
    await remove_keys(redis_url, Keys(namespace))
    container = PersistenceContainer(
        settings=settings(**environment, URLMON_REDIS_NAMESPACE=namespace)
    )
    async with running(container) as stores:
        assert await stores.working_state().is_whole()
        assert (await stores.schedule().backlog()).scheduled == 1
        state = await stores.alert_state().get(tenant.id, monitor.id)
        assert state.open_alert == alert.alert.id
    await remove_keys(redis_url, Keys(namespace))


@pytest.mark.redis
async def test_a_failing_stop_does_not_keep_the_others_from_stopping(
    postgres_url: str, redis_url: str
) -> None:
    """Where closing Redis fails, PostgreSQL is closed all the same, and the failure is raised."""
    container = PersistenceContainer(
        settings=settings(DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    )

    topology = container._redis_client()._topology
    close = topology.aclose

    async def stuck() -> None:
        await close()
        raise RuntimeError("stuck")

    async def start_and_stop() -> None:
        async with running(container):
            topology.aclose = stuck

    with pytest.raises(RuntimeError, match="stuck"):
        await start_and_stop()
    assert connections(postgres_url) == 0


@pytest.mark.influx
@pytest.mark.redis
async def test_results_go_to_influxdb_where_it_is_configured(
    postgres_url: str, redis_url: str, influx_environment: dict[str, str]
) -> None:
    """With InfluxDB settings check results and statistics are InfluxDB's."""
    namespace = f"test-{secrets.token_hex(8)}:"
    container = PersistenceContainer(
        settings=settings(
            DATABASE_URL=postgres_url,
            REDIS_URL=redis_url,
            URLMON_REDIS_NAMESPACE=namespace,
            **influx_environment,
        )
    )
    async with running(container) as stores:
        assert "Influx" in type(stores.check_results()).__name__
        assert "Influx" in type(stores.statistics()).__name__
        assert len(stores.health_checks()) == 3
        # Rollups are kept in the background.
        async with asyncio.timeout(100):
            while len(await rolled(stores.influxdb())) < 90 * 24 - 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    await remove_keys(redis_url, Keys(namespace))


async def rolled(influx: Influx) -> list[object]:
    """Return the hours that are rolled up."""
    found: list[object] = []
    query = 'SELECT "read_us" FROM "check_rolled" WHERE "span" = \'hour\''
    await influx.query("test", query, {}, take=lambda rows: found.extend(rows.values))
    return found


async def test_one_port_can_be_swapped() -> None:
    """An application's own stub takes the place of one port while a block runs."""
    stores, stub = InMemoryContainer(), object()
    with stores.locks.override(providers.Object(stub)):
        assert stores.locks() is stub
    assert stores.locks() is not stub


@pytest.mark.redis
async def test_a_cluster(postgres_url: str, redis_cluster: RedisEndpoint) -> None:
    """With the URL of a cluster every port works, and `redis_cluster` is the driver's client."""
    container = PersistenceContainer(
        settings=settings(
            DATABASE_URL=postgres_url,
            REDIS_URL=redis_cluster.url,
            URLMON_REDIS_NAMESPACE="test-container-cluster:",
        )
    )
    async with running(container) as stores:
        async with stores.locks().hold("job", ttl=timedelta(seconds=30)) as lease:
            assert lease is not None
        assert await stores.redis_cluster().ping()
        with pytest.raises(ConfigurationError, match="ask for `redis_cluster`"):
            stores.redis()
        health = await stores.health_checks()[-1].check()
        assert health.status is HealthStatus.PASS
    await remove_keys(redis_cluster.url, Keys("test-container-cluster:"))


@pytest.mark.redis
async def test_sentinels(postgres_url: str, redis_sentinel: RedisEndpoint) -> None:
    """With the URL of Sentinels every port works, and `redis` is a client of the master."""
    container = PersistenceContainer(
        settings=settings(
            DATABASE_URL=postgres_url,
            REDIS_URL=redis_sentinel.url,
            URLMON_REDIS_NAMESPACE="test-container-sentinel:",
        )
    )
    async with running(container) as stores:
        async with stores.locks().hold("job", ttl=timedelta(seconds=30)) as lease:
            assert lease is not None
        assert (await stores.redis().info("replication"))["role"] == "master"
        with pytest.raises(ConfigurationError, match="ask for `redis` instead"):
            stores.redis_cluster()
    await remove_keys(redis_sentinel.url, Keys("test-container-sentinel:"))
