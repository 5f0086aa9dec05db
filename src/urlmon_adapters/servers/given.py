"""Servers that the environment names instead of ours.

`URLMON_TEST_DATABASE_URL`, `URLMON_TEST_REDIS_URL`, and `URLMON_TEST_INFLUXDB_URL` with
`URLMON_TEST_INFLUXDB_TOKEN`, `_ORG` and `_BUCKET`.  Their data may be overwritten.
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Final

from urlmon_adapters.servers._http import request
from urlmon_adapters.servers.endpoints import InfluxEndpoint, PostgresEndpoint, RedisEndpoint
from urlmon_adapters.servers.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DATABASE_URL: Final = "URLMON_TEST_DATABASE_URL"
_REDIS_URL: Final = "URLMON_TEST_REDIS_URL"
_INFLUXDB_URL: Final = "URLMON_TEST_INFLUXDB_URL"
_INFLUXDB_TOKEN: Final = "URLMON_TEST_INFLUXDB_TOKEN"  # noqa: S105  # a name, not a token
_INFLUXDB_ORG: Final = "URLMON_TEST_INFLUXDB_ORG"
_INFLUXDB_BUCKET: Final = "URLMON_TEST_INFLUXDB_BUCKET"
_CONNECT_SECONDS: Final = 10


def given_postgres(environ: Mapping[str, str]) -> PostgresEndpoint | None:
    """Return the PostgreSQL that the environment names, if any.

    Raises:
        ServerError: It does not answer.
    """
    url = environ.get(_DATABASE_URL)
    if not url:
        return None
    import psycopg  # noqa: PLC0415  # only a running server needs the driver

    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
            version = connection.info.parameter_status("server_version") or "unknown"
    except psycopg.Error as exc:
        raise _unusable("PostgreSQL", _DATABASE_URL, exc) from None
    return PostgresEndpoint(
        url=url, version=version.partition(" ")[0], source=_DATABASE_URL, bin_dir=None
    )


def given_redis(environ: Mapping[str, str]) -> RedisEndpoint | None:
    """Return the Redis that the environment names, if any.

    Raises:
        ServerError: It does not answer.
    """
    url = environ.get(_REDIS_URL)
    if not url:
        return None
    import redis  # noqa: PLC0415  # only a running server needs the driver

    try:
        with redis.Redis.from_url(url, socket_timeout=_CONNECT_SECONDS, retry=None) as client:
            version = str(client.info("server").get("redis_version", "unknown"))
    except (redis.RedisError, ValueError) as exc:
        raise _unusable("Redis", _REDIS_URL, exc) from None
    return RedisEndpoint(url=url, version=version, source=_REDIS_URL)


def given_influxdb(environ: Mapping[str, str]) -> InfluxEndpoint | None:
    """Return the InfluxDB that the environment names, if any.

    Raises:
        ServerError: It does not answer, refuses the token, or part of the settings is missing.
    """
    url = environ.get(_INFLUXDB_URL)
    if not url:
        return None
    needed = (_INFLUXDB_TOKEN, _INFLUXDB_ORG, _INFLUXDB_BUCKET)
    missing = [name for name in needed if not environ.get(name)]
    if missing:
        raise ServerError("InfluxDB", f"{_INFLUXDB_URL} also needs {', '.join(missing)}")
    token = environ[_INFLUXDB_TOKEN]
    try:
        health = request(url, "/health")[1]
        status, _ = request(url, "/api/v2/buckets", token=token)
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise _unusable("InfluxDB", _INFLUXDB_URL, exc) from None
    if status != http.client.OK:
        raise ServerError("InfluxDB", f"{_INFLUXDB_TOKEN} is refused with status {status}")
    return InfluxEndpoint(
        url=url,
        token=token,
        org=environ[_INFLUXDB_ORG],
        bucket=environ[_INFLUXDB_BUCKET],
        version=str(health.get("version", "unknown")).removeprefix("v"),
        source=_INFLUXDB_URL,
        bin_dir=None,
    )


def _unusable(server: str, name: str, exc: Exception) -> ServerError:
    # A driver's text can repeat the URL and so a password: its class has to do.
    return ServerError(server, f"{name} names no server that answers ({type(exc).__name__})")
