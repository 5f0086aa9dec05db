"""How the container builds what needs more than its constructor, and opens and closes it all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from attrs import frozen
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from urlmon.errors import ConfigurationError
from urlmon.ports import (
    CheckResultArchive,
    CheckResultStore,
    CheckStatistics,
    Clock,
    HealthCheck,
    Locks,
)
from urlmon.services.both_stores import BothStores
from urlmon.services.repeating import repeating
from urlmon.services.result_writer import ResultWriter, Timing, WhenFull
from urlmon.services.sweep import Sweep
from urlmon.services.turns import take_turn
from urlmon.services.upkeep import Upkeep
from urlmon_adapters.influx import (
    Influx,
    InfluxCheckResultArchive,
    InfluxCheckResultStore,
    InfluxCheckStatistics,
    InfluxHealthCheck,
    InfluxRollupKeeper,
    ensure_bucket,
)
from urlmon_adapters.postgres import (
    Database,
    Keyring,
    Migrations,
    PartitionKeeper,
    Pool,
    PostgresCheckResultArchive,
    PostgresCheckResultStore,
    PostgresCheckStatistics,
    PostgresHealthCheck,
    RollupKeeper,
    build_pool,
    open_pool,
)
from urlmon_adapters.redis import BareClients, Keys, RedisClient, RedisHealthCheck, build_topology
from urlmon_adapters.settings import Settings
from urlmon_adapters.spool import FileSpool, SpoolHealthCheck

_BETWEEN_SWEEPS: Final = timedelta(minutes=1)
_BETWEEN_ROLLUPS: Final = timedelta(minutes=1)
_ROLLUP_TURN: Final = timedelta(minutes=2)
_ROLLUPS: Final = "urlmon: rollups in InfluxDB"
_BETWEEN_TRIES_TO_LEAD: Final = timedelta(seconds=5)
_REBUILD: Final = timedelta(seconds=30)

_log = logging.getLogger("urlmon.container")


def retention(settings: Settings) -> timedelta:
    """Return how long check results are kept."""
    return timedelta(days=settings.retention_days)


def pool(settings: Settings) -> Pool:
    """Build the pool of PostgreSQL, closed."""
    postgres = settings.postgres
    return build_pool(postgres.url.reveal(), smallest=postgres.pool_min, largest=postgres.pool_max)


def influxdb(settings: Settings) -> Influx:
    """Build the client of InfluxDB, closed.

    Raises:
        ConfigurationError: There are no InfluxDB settings.
    """
    influx = settings.influxdb
    if influx is None:
        raise ConfigurationError("INFLUXDB_URL: is not set, and InfluxDB was asked for")
    return Influx(influx.url, influx.token, org=influx.org, bucket=influx.bucket)


def redis_client(settings: Settings) -> RedisClient:
    """Build what the adapters of Redis call; it connects when it is used."""
    redis = settings.redis
    return RedisClient(build_topology(redis.url.reveal()), keys=Keys(redis.namespace))


def bare_clients(settings: Settings) -> BareClients:
    """Build what makes the driver's own clients of Redis."""
    return BareClients(settings.redis.url.reveal())


def redis(clients: BareClients) -> Redis:
    """Build the driver's client of one server, or of the master that Sentinels know."""
    return clients.redis()


def redis_cluster(clients: BareClients) -> RedisCluster:
    """Build the driver's client of a cluster."""
    return clients.cluster()


def migrations(settings: Settings) -> Migrations:
    """Build the migration runner, for a direct connection where one is given."""
    url = settings.postgres.migration_url or settings.postgres.url
    return Migrations(url.reveal())


def keyring(settings: Settings) -> Keyring:
    """Build what encrypts the secrets of channels."""
    return Keyring(settings.secret_keys)


def result_stores(
    settings: Settings, *, database: Database, influxdb: Callable[[], Influx], clock: Clock
) -> Mapping[str, CheckResultStore]:
    """Build the stores that check results go to, each by its name, the record first."""
    kept = retention(settings)
    makers: dict[str, Callable[[], CheckResultStore]] = {
        "postgresql": lambda: PostgresCheckResultStore(database, clock, retention=kept),
        "influxdb": lambda: InfluxCheckResultStore(influxdb(), clock, retention=kept),
    }
    return {name: makers[name]() for name in settings.result_stores}


def check_results(stores: Mapping[str, CheckResultStore]) -> CheckResultStore:
    """Return the store that results go to, or both as one."""
    only, *series = stores.values()
    return BothStores(only, *series) if series else only


def result_writer(
    settings: Settings, stores: Mapping[str, CheckResultStore], clock: Clock
) -> ResultWriter:
    """Build the writer, with a lane and a spool for each store.

    Raises:
        ConfigurationError: There are no spool settings.
    """
    spool = settings.spool
    if spool is None:
        raise ConfigurationError("URLMON_SPOOL_DIR: is not set, and the result writer needs it")
    return ResultWriter(
        stores,
        {
            name: FileSpool(spool.directory / name, clock, limit_bytes=spool.max_bytes)
            for name in stores
        },
        Timing(monotonic=time.monotonic, sleep_until=_sleep_until),
        when_full=WhenFull(spool.when_full),
        write_through=spool.mode == "write_through",
    )


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(moment - time.monotonic())


def statistics(
    settings: Settings, *, database: Database, influxdb: Callable[[], Influx]
) -> CheckStatistics:
    """Choose what sums check results up: InfluxDB where they go there."""
    if "influxdb" in settings.result_stores:
        return InfluxCheckStatistics(influxdb())
    return PostgresCheckStatistics(database)


def archive(
    settings: Settings, *, database: Database, influxdb: Callable[[], Influx]
) -> CheckResultArchive:
    """Choose what reads the results of all tenants: the record."""
    if settings.result_stores[0] == "postgresql":
        return PostgresCheckResultArchive(database)
    return InfluxCheckResultArchive(influxdb())


def health_checks(
    settings: Settings,
    *,
    pool: Pool,
    influxdb: Callable[[], Influx],
    redis: RedisClient,
    migrations: Migrations,
    clock: Clock,
) -> tuple[HealthCheck, ...]:
    """Build a health check for each store that is used."""
    checks: list[HealthCheck] = [PostgresHealthCheck(pool, clock, migrations)]
    if "influxdb" in settings.result_stores:
        checks.append(InfluxHealthCheck(influxdb(), retention=retention(settings)))
    checks.append(RedisHealthCheck(redis, clock))
    if settings.spool is not None:
        spool, names = settings.spool, settings.result_stores
        checks.append(SpoolHealthCheck(spool.directory, names, clock, limit_bytes=spool.max_bytes))
    return tuple(checks)


@frozen
class Chores:
    """What is done in the background while the stores are open."""

    partitions: PartitionKeeper
    rollups: RollupKeeper
    influx_rollups: Callable[[], InfluxRollupKeeper]
    sweep: Sweep
    upkeep: Upkeep
    locks: Locks

    @asynccontextmanager
    async def running(self, settings: Settings) -> AsyncIterator[None]:
        """Do it all while a block runs, which begins when the working state is there."""
        async with AsyncExitStack() as stack:
            if settings.migrate != "off":  # who looks away from the schema leaves it alone, too
                for keeper in (self.partitions, self.rollups):
                    await stack.enter_async_context(keeper.running(retention(settings)))
                sweeping = repeating(self.sweep.run, name="sweep", every=_BETWEEN_SWEEPS)
                await stack.enter_async_context(sweeping)
                if "influxdb" in settings.result_stores:
                    rolling_up = partial(
                        take_turn,
                        self.locks,
                        _ROLLUPS,
                        self.influx_rollups().run,
                        every=_ROLLUP_TURN,
                    )
                    await stack.enter_async_context(
                        repeating(rolling_up, name="rollups in InfluxDB", every=_BETWEEN_ROLLUPS)
                    )
            leading = repeating(self.upkeep.lead, name="upkeep", every=_BETWEEN_TRIES_TO_LEAD)
            await stack.enter_async_context(leading)
            if not await self.upkeep.until_whole(wait=_REBUILD):
                _log.warning("the working state is not rebuilt yet: calls that need it are refused")
            yield


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    pool: Callable[[], Pool],
    influxdb: Callable[[], Influx],
    redis: Callable[[], RedisClient],
    bare_clients: Callable[[], BareClients],
    migrations: Callable[[], Migrations],
    chores: Callable[[], Chores],
) -> AsyncIterator[None]:
    """Open every store in order; close what was opened in reverse, whatever fails."""
    async with AsyncExitStack() as stack:
        if settings.migrate == "run":
            await migrations().apply()
        elif settings.migrate == "verify":
            await migrations().verify()
        postgres = pool()
        stack.push_async_callback(postgres.close)
        await open_pool(postgres)
        if "influxdb" in settings.result_stores:
            influx = influxdb()
            stack.push_async_callback(influx.close)
            await influx.open()
            await ensure_bucket(influx, retention=retention(settings))
        client = redis()
        stack.push_async_callback(client.aclose)
        stack.push_async_callback(bare_clients().aclose)
        await client.read("open", ("PING",))
        _log.info("all stores are open")
        await stack.enter_async_context(chores().running(settings))
        yield


@asynccontextmanager
async def writing(
    settings: Settings,
    stores: AbstractAsyncContextManager[None],
    result_writer: Callable[[], ResultWriter],
) -> AsyncIterator[None]:
    """Open the stores, and where there is a spool run the writer: it ends before they close."""
    async with stores:
        if settings.spool is None:
            yield
        else:
            async with result_writer().running():
                yield
