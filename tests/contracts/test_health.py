"""Every `HealthCheck` keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fixtures.influx import RETENTION, opened
from tests.fixtures.working import a_client

from urlmon.testing.contracts.health import HealthCheckContract
from urlmon.testing.health import InMemoryHealthCheck
from urlmon.testing.state import InMemoryState
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.influx import Influx, InfluxHealthCheck, ensure_bucket
from urlmon_adapters.postgres._database import Pool, build_pool
from urlmon_adapters.postgres.health import PostgresHealthCheck
from urlmon_adapters.postgres.migrations import Migrations
from urlmon_adapters.redis import RedisClient, RedisHealthCheck
from urlmon_adapters.spool import SpoolHealthCheck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


class TestInMemoryHealthCheck(HealthCheckContract):
    @pytest.fixture
    def healthy(self) -> InMemoryHealthCheck:
        """Nothing fails."""
        return InMemoryHealthCheck(InMemoryState(), "redis")

    @pytest.fixture
    def sick(self) -> Iterator[InMemoryHealthCheck]:
        """Every call fails."""
        state = InMemoryState()
        with state.faults.fail("HealthCheck.check"):
            yield InMemoryHealthCheck(state, "redis")


class TestPostgresHealthCheck(HealthCheckContract):
    @pytest.fixture
    def healthy(self, postgres_pool: Pool, postgres_url: str) -> PostgresHealthCheck:
        """A fresh, migrated database."""
        return PostgresHealthCheck(postgres_pool, SystemClock(), Migrations(postgres_url))

    @pytest.fixture
    async def sick(self) -> AsyncIterator[PostgresHealthCheck]:
        """Nobody listens on port 1."""
        url = "postgresql://user:hunter2@127.0.0.1:1/urlmon"
        pool = build_pool(url, timeout_seconds=0.2)
        await pool.open(wait=False)
        yield PostgresHealthCheck(pool, SystemClock(), Migrations(url))
        await pool.close()


class TestInfluxHealthCheck(HealthCheckContract):
    @pytest.fixture
    async def healthy(self, missing_bucket: Influx) -> InfluxHealthCheck:
        """A bucket with the retention that is asked for."""
        await ensure_bucket(missing_bucket, retention=RETENTION)
        return InfluxHealthCheck(missing_bucket, retention=RETENTION)

    @pytest.fixture
    async def sick(self) -> AsyncIterator[InfluxHealthCheck]:
        """Nobody listens on port 1."""
        async with opened("http://127.0.0.1:1", "a-token", bucket="b") as influx:
            yield InfluxHealthCheck(influx, retention=RETENTION)


class TestSpoolHealthCheck(HealthCheckContract):
    @pytest.fixture
    def healthy(self, tmp_path: Path) -> SpoolHealthCheck:
        """Nothing waits."""
        return SpoolHealthCheck(tmp_path, ("postgresql",), SystemClock(), limit_bytes=1 << 20)

    @pytest.fixture
    def sick(self, tmp_path: Path) -> SpoolHealthCheck:
        """What should be a segment is a folder, which cannot be read."""
        (tmp_path / "sick" / "postgresql" / f"{1:016x}-{1:016x}.spool").mkdir(parents=True)
        folder = tmp_path / "sick"
        return SpoolHealthCheck(folder, ("postgresql",), SystemClock(), limit_bytes=1 << 20)


class TestRedisHealthCheck(HealthCheckContract):
    @pytest.fixture
    def healthy(self, redis_client: RedisClient) -> RedisHealthCheck:
        """A server of the tests' own."""
        return RedisHealthCheck(redis_client, SystemClock())

    @pytest.fixture
    async def sick(self) -> AsyncIterator[RedisHealthCheck]:
        """Nobody listens on port 1."""
        client = a_client("redis://127.0.0.1:1/0")
        yield RedisHealthCheck(client, SystemClock())
        await client.aclose()
