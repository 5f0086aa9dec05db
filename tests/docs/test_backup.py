"""What the page on backups saves is there again after what it restores."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.docs.calls import KEY, opened, read_again, use
from tests.docs.documents import marked, redis_programs, run_shell
from tests.fixtures.influx import manage
from tests.fixtures.influx import opened as influx_opened
from tests.fixtures.servers import leave_out

from urlmon_adapters.servers import MissingServerError, RedisServer

if TYPE_CHECKING:
    from urlmon_adapters.servers import InfluxEndpoint, PostgresEndpoint

PAGE = "backup-and-recovery"


@pytest.mark.redis
async def test_postgresql(
    postgres_url: str,
    empty_postgres_url: str,
    postgres_server: PostgresEndpoint,
    redis_settings: dict[str, str],
    tmp_path: Path,
) -> None:
    """Everything that was stored is read from the restored database, secrets included."""
    async with opened(redis_settings | KEY | {"DATABASE_URL": postgres_url}) as stores:
        stored = await use(stores)
    run_shell(
        marked(PAGE, "sh with postgresql"),
        tmp_path,
        {"DATABASE_URL": postgres_url, "NEW_DATABASE_URL": empty_postgres_url},
        programs=dict.fromkeys(("pg_dump", "pg_restore"), postgres_server.bin_dir),
    )
    async with opened(redis_settings | KEY | {"DATABASE_URL": empty_postgres_url}) as stores:
        await read_again(stores, stored)
        assert (await stores.directory().changes()).next_cursor


@pytest.mark.redis
async def test_influxdb(
    postgres_url: str,
    influx_server: InfluxEndpoint,
    influx_environment: dict[str, str],
    redis_settings: dict[str, str],
    tmp_path: Path,
) -> None:
    """Results and statistics are read from the restored bucket."""
    settings = redis_settings | influx_environment | KEY | {"DATABASE_URL": postgres_url}
    restored = f"{settings['INFLUXDB_BUCKET']}-restored"
    async with opened(settings) as stores:
        stored = await use(stores)
    async with influx_opened(
        influx_server.url, influx_server.token, org=influx_server.org, bucket=restored
    ) as client:
        try:
            run_shell(
                marked(PAGE, "sh with influxdb"),
                tmp_path,
                influx_environment,
                programs={"influx": influx_server.bin_dir},
            )
            async with opened(settings | {"INFLUXDB_BUCKET": restored}) as stores:
                await read_again(stores, stored)
        finally:
            bucket = await client.found("fixture")
            if bucket is not None:
                await manage(client, "DELETE", f"/api/v2/buckets/{bucket['id']}")


async def test_redis(postgres_url: str, tmp_path: Path) -> None:
    """A Redis that starts on the copied snapshot knows how the monitors stand."""
    try:
        source = RedisServer(tmp_path / "source", durable=False)
        target = RedisServer(tmp_path / "target", durable=False)
    except MissingServerError as exc:
        leave_out(exc)
    settings = KEY | {"DATABASE_URL": postgres_url}
    with source:
        async with opened(settings | {"REDIS_URL": source.url}) as stores:
            stored = await use(stores)
        printed = run_shell(
            marked(PAGE, "sh with redis"),
            tmp_path,
            {
                "CACHE_HOST": "127.0.0.1",
                "CACHE_PORT": str(source.port),
                "REDISCLI_AUTH": urlsplit(source.url).password or "",
            },
            programs={"redis-cli": redis_programs()},
        )
    snapshot = Path(printed.splitlines()[-1]) / "dump.rdb"
    target.folder.mkdir()
    shutil.copy(snapshot, target.folder)
    with target:
        async with opened(settings | {"REDIS_URL": target.url}) as stores:
            await read_again(stores, stored)
