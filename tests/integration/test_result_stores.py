"""Results in both stores: what goes where, and what one failure leaves behind."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.proxy import Proxy

from urlmon.domain.fates import ALREADY_THERE, NEW
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.errors import UnavailableError
from urlmon.testing.builders import a_result
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.influx import InfluxCheckResultArchive, InfluxCheckStatistics
from urlmon_adapters.postgres import PostgresCheckStatistics
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.redis
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
PERIOD = Period(since=NOW - HOUR, until=NOW + HOUR)


@pytest.fixture(name="environ")
def _environ(
    postgres_url: str, redis_settings: dict[str, str], influx_environment: dict[str, str]
) -> dict[str, str]:
    return redis_settings | influx_environment | {"DATABASE_URL": postgres_url}


def container(environ: dict[str, str], results: str) -> PersistenceContainer:
    return PersistenceContainer(settings=Settings.load(environ | {"URLMON_RESULTS": results}))


async def test_both_have_everything(environ: dict[str, str]) -> None:
    """The newest result comes from PostgreSQL, statistics from InfluxDB, and each has it."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    result = a_result(tenant, monitor, scheduled_at=NOW)
    async with running(container(environ, "both")) as stores:
        assert await stores.check_results().record([result]) == (NEW,)
        assert await stores.check_results().latest(tenant, [monitor]) == {monitor: result}
        assert (await stores.archive().scan(period=PERIOD)).items == (result,)
        assert type(stores.statistics()) is InfluxCheckStatistics
        summary = await stores.statistics().summary(tenant, {monitor: HOUR}, period=PERIOD)
        assert summary[monitor].statistics.checks == 1
        series = InfluxCheckResultArchive(stores.influxdb())
        assert (await series.scan(period=PERIOD)).items == (result,)
        names = [check.name for check in stores.health_checks()]
        assert names == ["postgresql", "influxdb", "redis"]


@asynccontextmanager
async def with_a_proxy(
    environ: dict[str, str],
) -> AsyncIterator[tuple[PersistenceContainer, Proxy]]:
    """Run the stores, with something between them and InfluxDB."""
    async with (
        Proxy(environ["INFLUXDB_URL"]) as proxy,
        running(container(environ | {"INFLUXDB_URL": proxy.url}, "both")) as stores,
    ):
        yield stores, proxy


async def test_one_that_fails_is_told(environ: dict[str, str]) -> None:
    """PostgreSQL has the batch when InfluxDB does not answer; repeated, both have it."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    result = a_result(tenant, monitor, scheduled_at=NOW)
    async with with_a_proxy(environ) as (stores, proxy):
        proxy.refusing = True
        proxy.cut()
        with pytest.raises(UnavailableError) as caught:
            await stores.check_results().record([result])
        assert (caught.value.store, caught.value.maybe_applied) == ("influxdb", True)
        assert await stores.check_results().latest(tenant, [monitor]) == {monitor: result}
        proxy.refusing = False
        assert await stores.check_results().record([result]) == (ALREADY_THERE,)
        series = InfluxCheckResultArchive(stores.influxdb())
        assert (await series.scan(period=PERIOD)).items == (result,)


async def test_the_writer_has_a_lane_for_each(environ: dict[str, str], tmp_path: Path) -> None:
    """PostgreSQL gets at once what InfluxDB does not take, which gets it from the next process."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    result = a_result(tenant, monitor, scheduled_at=NOW)
    spooled = environ | {"URLMON_SPOOL_DIR": str(tmp_path)}
    async with with_a_proxy(spooled) as (stores, proxy):
        proxy.refusing = True
        proxy.cut()
        receipt = await stores.result_writer().submit([result])
        await receipt.durable()
        assert await stores.check_results().latest(tenant, [monitor]) == {monitor: result}
    async with running(container(spooled, "both")) as stores:
        archive = InfluxCheckResultArchive(stores.influxdb())
        for _ in range(600):
            if (await archive.scan(period=PERIOD)).items:
                break
            await asyncio.sleep(0.05)
        assert (await archive.scan(period=PERIOD)).items == (result,)


async def test_an_influxdb_that_is_not_used(environ: dict[str, str]) -> None:
    """With PostgreSQL as the choice it is neither opened nor asked how it is, nor rolled up."""
    nowhere = environ | {"INFLUXDB_URL": "http://127.0.0.1:9"}
    async with running(container(nowhere, "postgresql")) as stores:
        assert type(stores.statistics()) is PostgresCheckStatistics
        assert [check.name for check in stores.health_checks()] == ["postgresql", "redis"]
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "urlmon upkeep" in names
        assert "urlmon rollups in InfluxDB" not in names
