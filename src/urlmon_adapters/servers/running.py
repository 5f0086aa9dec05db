"""Start all that the application needs, at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from attrs import field, frozen

from urlmon_adapters.servers.errors import MissingServerError
from urlmon_adapters.servers.given import given_influxdb, given_postgres, given_redis
from urlmon_adapters.servers.influxdb import InfluxServer
from urlmon_adapters.servers.postgres import PostgresServer
from urlmon_adapters.servers.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from urlmon_adapters.servers.endpoints import InfluxEndpoint, PostgresEndpoint, RedisEndpoint

    Endpoint = PostgresEndpoint | RedisEndpoint | InfluxEndpoint
    Own = PostgresServer | RedisServer | InfluxServer


@frozen(kw_only=True)
class RunningServers:
    """What runs, and what could not be had.

    Attributes:
        environment: The settings of urlmon that name the servers; holds secrets.
        running: By server, its version and where it was taken from.
        missing: By server, why it is not running and how to get it.
    """

    environment: Mapping[str, str] = field(repr=False)
    running: Mapping[str, str]
    missing: Mapping[str, str]


@contextmanager
def running_servers(
    folder: Path,
    *,
    durable: bool = True,
    postgres_version: str = "18",
    environ: Mapping[str, str] | None = None,
) -> Iterator[RunningServers]:
    """Run PostgreSQL, Redis and InfluxDB while the block runs; all start at the same time.

    A server that `URLMON_TEST_DATABASE_URL`, `URLMON_TEST_REDIS_URL` or `URLMON_TEST_INFLUXDB_URL`
    names is used as it is.  One that is not on this machine is listed as missing.

    Args:
        folder: Where data and logs go, one folder a server; kept afterwards.
        durable: Whether data survive a crash of the machine; without, tests run faster.
        postgres_version: The major version.
        environ: The environment; the process's own by default.

    Raises:
        ServerError: A server is there but does not start or answer; the others are stopped.
    """
    given = os.environ if environ is None else environ
    starts: dict[str, Callable[[ExitStack], Endpoint]] = {
        "PostgreSQL": lambda stack: (
            given_postgres(given)
            or _started(
                PostgresServer(
                    folder / f"postgresql-{postgres_version}",
                    version=postgres_version,
                    durable=durable,
                ),
                stack,
            )
        ),
        "Redis": lambda stack: (
            given_redis(given) or _started(RedisServer(folder / "redis", durable=durable), stack)
        ),
        "InfluxDB": lambda stack: (
            given_influxdb(given) or _started(InfluxServer(folder / "influxdb"), stack)
        ),
    }
    environment: dict[str, str] = {}
    running: dict[str, str] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        with ThreadPoolExecutor(len(starts)) as pool:
            futures = {name: pool.submit(start, stack) for name, start in starts.items()}
        for name, future in futures.items():
            try:
                endpoint = future.result()
            except MissingServerError as exc:
                missing[name] = exc.detail
            else:
                environment |= endpoint.environment()
                running[name] = f"{endpoint.version} from {endpoint.source}"
        yield RunningServers(environment=environment, running=running, missing=missing)


def _started(server: Own, stack: ExitStack) -> Endpoint:
    stack.callback(server.stop)
    server.start()
    return server.endpoint
