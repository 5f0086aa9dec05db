"""The container: every port over the real stores, from settings, with one start and one stop.

    async with running(PersistenceContainer(settings=Settings.load(os.environ))) as stores:
        monitor = await stores.monitors().get(tenant_id, monitor_id)

A container is for one event loop and one start: it is not used across a fork, nor again after its
stop.  dependency-injector wires objects; opening and closing them is done here, in order, as its
asynchronous resources start concurrently and stay open when one of them fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

from dependency_injector import containers, providers
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from urlmon.ports import (
    AlertRepo,
    AlertStateCache,
    Cache,
    ChannelRepo,
    CheckResultArchive,
    CheckResultStore,
    CheckStatistics,
    Clock,
    DenyList,
    FailureCounters,
    HealthCheck,
    Locks,
    MonitorDirectory,
    MonitorRepo,
    Removals,
    Schedule,
    SessionStore,
    TenantRepo,
    TransitionOutbox,
    WorkingState,
)
from urlmon.services.result_writer import ResultWriter
from urlmon.services.sweep import Sweep
from urlmon.services.upkeep import Upkeep
from urlmon_adapters import _wiring
from urlmon_adapters._upkeep import wire_upkeep
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.influx import Influx, InfluxRollupKeeper
from urlmon_adapters.postgres import (
    Database,
    Keyring,
    Migrations,
    PartitionKeeper,
    Pool,
    PostgresAlertRepo,
    PostgresChannelRepo,
    PostgresMonitorDirectory,
    PostgresMonitorRepo,
    PostgresRemovals,
    PostgresTenantRepo,
    RollupKeeper,
)
from urlmon_adapters.redis import (
    BareClients,
    RedisAlertStateCache,
    RedisCache,
    RedisClient,
    RedisDenyList,
    RedisFailureCounters,
    RedisLocks,
    RedisSchedule,
    RedisSessionStore,
    RedisTransitionOutbox,
    RedisWorkingState,
)
from urlmon_adapters.settings import Settings

C = TypeVar("C", bound="PersistencePorts")
Opened = AbstractAsyncContextManager[None]


class PersistencePorts(containers.DeclarativeContainer):
    """What an application may ask for.  Each provider gives the same object at every call."""

    clock: providers.Provider[Clock] = providers.AbstractSingleton(Clock)
    tenants: providers.Provider[TenantRepo] = providers.AbstractSingleton(TenantRepo)
    monitors: providers.Provider[MonitorRepo] = providers.AbstractSingleton(MonitorRepo)
    directory: providers.Provider[MonitorDirectory] = providers.AbstractSingleton(MonitorDirectory)
    channels: providers.Provider[ChannelRepo] = providers.AbstractSingleton(ChannelRepo)
    alerts: providers.Provider[AlertRepo] = providers.AbstractSingleton(AlertRepo)
    check_results: providers.Provider[CheckResultStore] = providers.AbstractSingleton(
        CheckResultStore
    )
    statistics: providers.Provider[CheckStatistics] = providers.AbstractSingleton(CheckStatistics)
    result_writer: providers.Provider[ResultWriter] = providers.AbstractSingleton(ResultWriter)
    archive: providers.Provider[CheckResultArchive] = providers.AbstractSingleton(
        CheckResultArchive
    )
    removals: providers.Provider[Removals] = providers.AbstractSingleton(Removals)
    sweep: providers.Provider[Sweep] = providers.AbstractSingleton(Sweep)
    alert_state: providers.Provider[AlertStateCache] = providers.AbstractSingleton(AlertStateCache)
    outbox: providers.Provider[TransitionOutbox] = providers.AbstractSingleton(TransitionOutbox)
    locks: providers.Provider[Locks] = providers.AbstractSingleton(Locks)
    schedule: providers.Provider[Schedule] = providers.AbstractSingleton(Schedule)
    cache: providers.Provider[Cache] = providers.AbstractSingleton(Cache)
    counters: providers.Provider[FailureCounters] = providers.AbstractSingleton(FailureCounters)
    sessions: providers.Provider[SessionStore] = providers.AbstractSingleton(SessionStore)
    deny_list: providers.Provider[DenyList] = providers.AbstractSingleton(DenyList)
    working_state: providers.Provider[WorkingState] = providers.AbstractSingleton(WorkingState)
    upkeep: providers.Provider[Upkeep] = providers.AbstractSingleton(Upkeep)
    health_checks: providers.Provider[tuple[HealthCheck, ...]] = providers.Object[
        tuple[HealthCheck, ...]
    ](())
    opened: providers.Provider[Opened] = providers.Factory(nullcontext)


class PersistenceContainer(PersistencePorts):
    """The ports over PostgreSQL, InfluxDB and Redis.

    Check results go where `Settings.result_stores` says.  With both, `check_results` writes to both
    and reads from PostgreSQL, and statistics are InfluxDB's.  What no port covers can be done with
    the clients themselves, which are open in `running`.  There is a result writer where
    URLMON_SPOOL_DIR says where results may wait, and it works in `running`.

    Attributes:
        settings: Given at construction: `PersistenceContainer(settings=…)`.
        pool: The psycopg pool.
        result_writer: Raises `ConfigurationError` where URLMON_SPOOL_DIR is not set.
        influxdb: The InfluxDB client; raises `ConfigurationError` where there are no settings.
        influx_rollups: Keeps the rollups in InfluxDB; likewise.
        redis: The client of one Redis, or of the master that Sentinels know; raises
            `ConfigurationError` where `REDIS_URL` names a cluster.
        redis_cluster: The client of a Redis Cluster; raises `ConfigurationError` where `REDIS_URL`
            names none.
        migrations: Applies and examines migrations, on connections of its own.
        partitions: Makes, drops and lists the partitions of check results.
        rollups: Keeps the sums of check results in PostgreSQL.
    """

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    retention: providers.Provider[timedelta] = providers.Singleton(_wiring.retention, settings)
    clock: providers.Provider[Clock] = providers.Singleton(SystemClock)

    _redis_client: providers.Provider[RedisClient] = providers.Singleton(
        _wiring.redis_client, settings
    )
    _bare_clients: providers.Provider[BareClients] = providers.Singleton(
        _wiring.bare_clients, settings
    )
    pool: providers.Provider[Pool] = providers.Singleton(_wiring.pool, settings)
    influxdb: providers.Provider[Influx] = providers.Singleton(_wiring.influxdb, settings)
    redis: providers.Provider[Redis] = providers.Singleton(_wiring.redis, _bare_clients)
    redis_cluster: providers.Provider[RedisCluster] = providers.Singleton(
        _wiring.redis_cluster, _bare_clients
    )
    migrations: providers.Provider[Migrations] = providers.Singleton(_wiring.migrations, settings)

    _database: providers.Provider[Database] = providers.Singleton(Database, pool)
    partitions: providers.Provider[PartitionKeeper] = providers.Singleton(
        PartitionKeeper, _database, clock
    )
    rollups: providers.Provider[RollupKeeper] = providers.Singleton(RollupKeeper, _database)
    _keyring: providers.Provider[Keyring] = providers.Singleton(_wiring.keyring, settings)
    tenants: providers.Provider[TenantRepo] = providers.Singleton(PostgresTenantRepo, _database)
    monitors: providers.Provider[MonitorRepo] = providers.Singleton(PostgresMonitorRepo, _database)
    directory: providers.Provider[MonitorDirectory] = providers.Singleton(
        PostgresMonitorDirectory, _database
    )
    channels: providers.Provider[ChannelRepo] = providers.Singleton(
        PostgresChannelRepo, _database, _keyring
    )
    alerts: providers.Provider[AlertRepo] = providers.Singleton(PostgresAlertRepo, _database)
    _result_stores: providers.Provider[Mapping[str, CheckResultStore]] = providers.Singleton(
        _wiring.result_stores,
        settings,
        database=_database,
        influxdb=influxdb.provider,
        clock=clock,
    )
    check_results: providers.Provider[CheckResultStore] = providers.Singleton(
        _wiring.check_results, _result_stores
    )
    archive: providers.Provider[CheckResultArchive] = providers.Singleton(
        _wiring.archive, settings, database=_database, influxdb=influxdb.provider
    )
    statistics: providers.Provider[CheckStatistics] = providers.Singleton(
        _wiring.statistics, settings, database=_database, influxdb=influxdb.provider
    )
    result_writer: providers.Provider[ResultWriter] = providers.Singleton(
        _wiring.result_writer, settings, _result_stores, clock
    )
    removals: providers.Provider[Removals] = providers.Singleton(PostgresRemovals, _database)
    sweep: providers.Provider[Sweep] = providers.Singleton(
        Sweep, removals, check_results, clock, grace=retention
    )
    alert_state: providers.Provider[AlertStateCache] = providers.Singleton(
        RedisAlertStateCache, _redis_client
    )
    outbox: providers.Provider[TransitionOutbox] = providers.Singleton(
        RedisTransitionOutbox, _redis_client
    )
    locks: providers.Provider[Locks] = providers.Singleton(RedisLocks, _redis_client)
    schedule: providers.Provider[Schedule] = providers.Singleton(RedisSchedule, _redis_client)
    cache: providers.Provider[Cache] = providers.Singleton(RedisCache, _redis_client)
    counters: providers.Provider[FailureCounters] = providers.Singleton(
        RedisFailureCounters, _redis_client
    )
    sessions: providers.Provider[SessionStore] = providers.Singleton(
        RedisSessionStore, _redis_client
    )
    deny_list: providers.Provider[DenyList] = providers.Singleton(RedisDenyList, _redis_client)
    working_state: providers.Provider[WorkingState] = providers.Singleton(
        RedisWorkingState, _redis_client
    )
    upkeep: providers.Provider[Upkeep] = wire_upkeep(
        working_state=working_state,
        directory=directory,
        alerts=alerts,
        results=check_results,
        schedule=schedule,
        alert_state=alert_state,
        outbox=outbox,
        counters=counters,
        locks=locks,
    )
    health_checks: providers.Provider[tuple[HealthCheck, ...]] = providers.Singleton(
        _wiring.health_checks,
        settings,
        pool=pool,
        influxdb=influxdb.provider,
        redis=_redis_client,
        migrations=migrations,
        clock=clock,
    )
    influx_rollups: providers.Provider[InfluxRollupKeeper] = providers.Singleton(
        InfluxRollupKeeper, influxdb, clock, retention=retention
    )
    _chores: providers.Provider[_wiring.Chores] = providers.Factory(
        _wiring.Chores,
        partitions=partitions,
        rollups=rollups,
        influx_rollups=influx_rollups.provider,
        sweep=sweep,
        upkeep=upkeep,
        locks=locks,
    )
    _stores: providers.Provider[Opened] = providers.Factory(
        _wiring.opened,
        settings,
        pool=pool.provider,
        influxdb=influxdb.provider,
        redis=_redis_client.provider,
        bare_clients=_bare_clients.provider,
        migrations=migrations.provider,
        chores=_chores.provider,
    )
    opened: providers.Provider[Opened] = providers.Factory(
        _wiring.writing, settings, _stores, result_writer.provider
    )


@asynccontextmanager
async def running(container: C) -> AsyncIterator[C]:
    """Start a container, and stop it when the block ends.

    A start connects to every store and then, as `URLMON_MIGRATE` says, applies pending migrations,
    refuses a schema that does not fit, or does not look.  If it fails, nothing is left open.  Until
    the stop, partitions and sums are kept and what was removed is swept in the background, but not
    where it does not look; and the working state is kept in step with the record by one container
    of all.  Where it was lost, or is used for the first time, the start waits up to 30 s until it
    is rebuilt (`urlmon.services.upkeep`).  A stop closes everything, in reverse, also where one of
    them fails to close.

    Raises:
        UnavailableError: A store cannot be reached.
        MigrationError: The schema does not fit this version, or a migration failed.
        StoreError: A store refuses the login, or what is needed there is missing.
    """
    async with container.opened():
        yield container
