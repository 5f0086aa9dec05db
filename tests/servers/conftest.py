"""Servers of a test's own, which it may stop, kill and restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fixtures.servers import leave_out

from urlmon_adapters.servers import InfluxServer, MissingServerError, PostgresServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Server = InfluxServer | PostgresServer | RedisServer


def _postgres_18(folder: Path) -> PostgresServer:
    return PostgresServer(folder, durable=False)


@pytest.fixture(
    params=[_postgres_18, RedisServer, InfluxServer], ids=["postgres", "redis", "influx"]
)
def make_server(request: pytest.FixtureRequest) -> Callable[[Path], Server]:
    """Make a server of each kind, not yet started."""

    def make(folder: Path) -> Server:
        try:
            return request.param(folder)
        except MissingServerError as exc:
            leave_out(exc)

    return make


@pytest.fixture(params=["16", "18"])
def postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PostgresServer]:
    """A running PostgreSQL of each version, to be stopped and killed."""
    with PostgresServer(tmp_path / "postgres", version=request.param, durable=False) as server:
        yield server


@pytest.fixture(scope="module", params=["16", "18"])
def idle_postgres(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """A running PostgreSQL of each version, only to be looked at."""
    folder = tmp_path_factory.mktemp("postgres")
    with PostgresServer(folder, version=request.param, durable=False) as server:
        yield server


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[InfluxServer]:
    """A running InfluxDB."""
    try:
        server = InfluxServer(tmp_path / "influxdb")
    except MissingServerError as exc:
        leave_out(exc)
    with server:
        yield server


@pytest.fixture
def make_redis(tmp_path: Path) -> Callable[..., RedisServer]:
    """Make a Redis, not yet started."""

    def make(**options: bool) -> RedisServer:
        try:
            return RedisServer(tmp_path / "redis", **options)
        except MissingServerError as exc:
            leave_out(exc)

    return make


@pytest.fixture
def redis_own(make_redis: Callable[..., RedisServer]) -> Iterator[RedisServer]:
    """A running Redis that keeps its data."""
    with make_redis() as server:
        yield server
