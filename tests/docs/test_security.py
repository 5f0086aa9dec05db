"""The least rights that the page on security grants are enough, and are the least."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from tests.docs.calls import KEY, SECRETS, opened, read_again, use
from tests.docs.documents import ROOT, blocks, marked, run_shell
from tests.fixtures.servers import leave_out

from urlmon import StoreError
from urlmon_adapters.health import check_health
from urlmon_adapters.servers import MissingServerError, PostgresServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from urlmon_adapters.servers import InfluxEndpoint

PAGE = "security"
APP, NEXT_APP = (
    "urlmon_app_1:choose-another",
    "urlmon_app_2:choose-a-third",
)

FORBIDDEN = (
    "CREATE TABLE public.mine (id int)",
    "CREATE SCHEMA mine",
    "DROP TABLE alerts",
    "ALTER TABLE alerts ADD COLUMN mine int",
    "TRUNCATE check_results",
    "DELETE FROM schema_migrations",
    "UPDATE partition_clock SET seen_at = now()",
    "SELECT create_monthly_partition('2040-01-01')",
    "SELECT * FROM monitors",
    "SELECT * FROM check_results_default",
    "CREATE ROLE mine",
    "SET ROLE urlmon_owner",
)


@pytest.fixture(params=["16", "18"])
def own_postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own with an empty database `urlmon`: roles are a server's."""
    try:
        server = PostgresServer(tmp_path / "postgres", version=request.param, durable=False)
    except MissingServerError as exc:
        leave_out(exc)
    with server:
        run_sql(server.url, "CREATE DATABASE urlmon")
        yield server


def run_sql(url: str, *texts: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for text in texts:
            connection.execute(text.encode())


def login(server: PostgresServer, user: str = "") -> str:
    """Return the URL of the database for a user and password; for the superuser by default."""
    superuser = server.url.removeprefix("postgresql://").partition("@")[0]
    return f"postgresql://{user or superuser}@127.0.0.1:{server.port}/urlmon"


@pytest.fixture
def migrated(
    own_postgres: PostgresServer, own_redis: RedisServer, tmp_path: Path
) -> PostgresServer:
    """A server with the roles of the page, migrated by the owner as the page says."""
    run_sql(login(own_postgres), *marked(PAGE, "sql as superuser"))
    migrate, health = (
        run.replace("@db/urlmon", f"@127.0.0.1:{own_postgres.port}/urlmon")
        for run in marked(PAGE, "sh as the roles")
    )
    redis = {"REDIS_URL": own_redis.url}
    run_shell([migrate], tmp_path, redis, programs={"urlmon": None})
    run_sql(login(own_postgres), *marked(PAGE, "sql as superuser, migrated"))
    run_shell([health], tmp_path, redis, programs={"urlmon": None})
    return own_postgres


async def redis_user(server: RedisServer) -> str:
    """Make the user of the page, and return the URL with its name."""
    (line,) = marked(PAGE, "redis")
    async with Redis.from_url(server.url) as admin:
        assert await admin.execute_command(*shlex.split(line)) == b"OK"
    return f"redis://urlmon:choose-one@127.0.0.1:{server.port}/0"


async def test_the_roles_are_enough(
    migrated: PostgresServer, own_redis: RedisServer, tmp_path: Path
) -> None:
    """Over the service's role and the ACL's user an application does all of its work."""
    settings = KEY | {
        "DATABASE_URL": login(migrated, APP),
        "REDIS_URL": await redis_user(own_redis),
    }
    async with opened(settings) as stores:
        stored = await use(stores)
        report = await check_health(stores.health_checks(), clock=stores.clock())
        assert report.status == "pass", report

    # Another login of the role takes over, and the first one can go.
    run_sql(login(migrated), *marked(PAGE, "sql as superuser, later"))
    async with opened(settings | {"DATABASE_URL": login(migrated, NEXT_APP)}) as stores:
        await read_again(stores, stored)
    with pytest.raises(psycopg.OperationalError):
        run_sql(login(migrated, APP), "SELECT 1")

    # A dump has the rights in it.
    run_sql(migrated.url, "CREATE DATABASE urlmon_restored")
    restored = f"{login(migrated)}_restored"
    run_shell(
        marked("backup-and-recovery", "sh with postgresql"),
        tmp_path,
        {"DATABASE_URL": login(migrated), "NEW_DATABASE_URL": restored},
        programs=dict.fromkeys(("pg_dump", "pg_restore"), migrated.bin_dir),
    )
    url = f"{login(migrated, NEXT_APP)}_restored"
    async with opened(settings | {"DATABASE_URL": url}) as stores:
        await read_again(stores, stored)


@pytest.mark.parametrize("own_postgres", ["18"], indirect=True)
def test_a_service_cannot(migrated: PostgresServer) -> None:
    """The role of the services changes no schema and no history, and creates nothing."""
    for forbidden in FORBIDDEN:
        with pytest.raises(errors.InsufficientPrivilege):
            run_sql(login(migrated, APP), forbidden)


async def test_the_user_of_redis_reaches_its_namespace_alone(own_redis: RedisServer) -> None:
    """Foreign keys and channels, and what Redis calls dangerous, are refused."""
    async with Redis.from_url(await redis_user(own_redis)) as user:
        assert await user.set("url-monitor:mine", "1")
        for command in (
            ("GET", "foreign"),
            ("SET", "foreign", "1"),
            ("EVAL", "return redis.call('GET', 'foreign')", "0"),
            ("PUBLISH", "foreign", "1"),
            ("FLUSHALL",),
            ("KEYS", "*"),
            ("CONFIG", "GET", "requirepass"),
            ("ACL", "LIST"),
            ("CLIENT", "LIST"),
        ):
            # Redis 6 tells of a script in words of its own.
            with pytest.raises(ResponseError, match=r"permission|can't access"):
                await user.execute_command(*command)


@pytest.mark.redis
async def test_the_token_of_one_bucket_is_enough(
    postgres_url: str,
    redis_settings: dict[str, str],
    influx_server: InfluxEndpoint,
    influx_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """With the token of the page an application starts and works; another bucket is refused."""
    run_shell(
        marked(PAGE, "sh with influxdb"),
        tmp_path,
        influx_environment,
        programs={"influx": influx_server.bin_dir},
    )
    token = json.loads((tmp_path / "urlmon-token.json").read_text())["token"]
    settings = redis_settings | influx_environment | KEY
    settings |= {"DATABASE_URL": postgres_url, "INFLUXDB_TOKEN": token}
    async with opened(settings) as stores:
        await use(stores)
    with pytest.raises(StoreError, match="may not read it"):
        async with opened(settings | {"INFLUXDB_BUCKET": influx_server.bucket}):
            pytest.fail("it started on another bucket")
    async with opened(settings | {"URLMON_RETENTION_DAYS": "30"}) as stores:
        found = await stores.influxdb().found("fixture")
        assert found["retentionRules"][0]["everySeconds"] == 31 * 24 * 60 * 60


@pytest.mark.redis
async def test_a_new_key_takes_over(
    postgres_url: str, redis_settings: dict[str, str], tmp_path: Path
) -> None:
    """After the rotation of the page the new key alone opens every secret."""
    printed = run_shell(marked(PAGE, "sh"), tmp_path, {}, programs={"openssl": None})
    new, old = printed.strip(), KEY["URLMON_SECRET_KEY"]
    settings = redis_settings | {"DATABASE_URL": postgres_url}
    (example,) = (
        block.text
        for block in blocks(ROOT / "docs/how-to/security.md")
        if block.language == "python"
    )
    shown: dict[str, object] = {}
    exec(example, shown)  # noqa: S102 - our own page

    async with opened(settings | {"URLMON_SECRET_KEY": old}) as stores:
        stored = await use(stores)
    async with opened(settings | {"URLMON_SECRET_KEY": f"{new},{old}"}) as stores:
        await shown["encrypt_again"](stores, stored.tenant.id)  # type: ignore[operator]
    async with opened(settings | {"URLMON_SECRET_KEY": new}) as stores:
        assert await stores.channels().reveal(stored.tenant.id, stored.channel.id) == SECRETS
