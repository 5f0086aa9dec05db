"""Real PostgreSQL, Redis and InfluxDB as child processes, for tests, the demo and development.

They listen on 127.0.0.1 alone, need no Docker and no root, and end with the process that started
them, even when that is killed.
"""

from __future__ import annotations

from urlmon_adapters.servers._influxd_build import build_influxd
from urlmon_adapters.servers._influxd_find import find_influxd
from urlmon_adapters.servers.endpoints import InfluxEndpoint, PostgresEndpoint, RedisEndpoint
from urlmon_adapters.servers.errors import MissingServerError, ServerError
from urlmon_adapters.servers.given import given_influxdb, given_postgres, given_redis
from urlmon_adapters.servers.influxdb import InfluxServer
from urlmon_adapters.servers.postgres import PostgresServer
from urlmon_adapters.servers.redis import RedisServer
from urlmon_adapters.servers.redis_cluster import RedisClusterServers
from urlmon_adapters.servers.redis_sentinel import RedisSentinelServers
from urlmon_adapters.servers.running import RunningServers, running_servers

__all__ = [
    "InfluxEndpoint",
    "InfluxServer",
    "MissingServerError",
    "PostgresEndpoint",
    "PostgresServer",
    "RedisClusterServers",
    "RedisEndpoint",
    "RedisSentinelServers",
    "RedisServer",
    "RunningServers",
    "ServerError",
    "build_influxd",
    "find_influxd",
    "given_influxdb",
    "given_postgres",
    "given_redis",
    "running_servers",
]
