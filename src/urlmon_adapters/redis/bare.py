"""The driver's own clients, for what no port covers."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import ConnectionPool, SSLConnection
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from urlmon.errors import ConfigurationError
from urlmon_adapters.redis._nodes import address as place_of
from urlmon_adapters.redis._topology import driver_options, parse_address

_OF_PLACE: Final = frozenset({"host", "port", "path", "connection_class"})


class BareClients:
    """The driver's clients for a URL, made when they are asked for.

    They log in as the ports do, but have connections of their own, and repeat nothing by
    themselves that a lost connection left open.
    """

    def __init__(self, url: str) -> None:
        """Connect to nobody yet.

        Raises:
            ConfigurationError: The URL cannot be used.
        """
        self._address = parse_address(url)
        self._options = [driver_options(each) for each in self._address.urls]
        self._redis: Redis | None = None
        self._sentinel: Sentinel | None = None
        self._cluster: RedisCluster | None = None

    def redis(self) -> Redis:
        """Return the client of one server, or of the master that Sentinels know.

        Raises:
            ConfigurationError: The URL names a cluster.
        """
        if self._address.kind == "cluster":
            raise ConfigurationError("REDIS_URL: names a cluster: ask for `redis_cluster` instead")
        if self._redis is None:
            self._redis = Redis(connection_pool=self._pool())
        return self._redis

    def cluster(self) -> RedisCluster:
        """Return the client of a cluster.

        Raises:
            ConfigurationError: The URL names no cluster, or an option that only the ports know.
        """
        if self._address.kind != "cluster":
            raise ConfigurationError("REDIS_URL: names no cluster: ask for `redis` instead")
        if self._cluster is None:
            secure = _is_secure(self._options[0])
            nodes = [ClusterNode(*place_of(each)) for each in self._options]
            try:
                self._cluster = RedisCluster(
                    startup_nodes=nodes, ssl=secure, **_without_place(self._options[0])
                )
            except TypeError:
                raise ConfigurationError(
                    "REDIS_URL: has an option that redis-py's cluster client does not know"
                ) from None
        return self._cluster

    async def aclose(self) -> None:
        """Close what was made."""
        if self._redis is not None:
            await self._redis.connection_pool.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()
        if self._cluster is not None:
            await self._cluster.aclose()

    def _pool(self) -> ConnectionPool:
        if self._address.kind == "server":
            return ConnectionPool(**self._options[0])
        self._sentinel = Sentinel([])  # type: ignore[no-untyped-call]
        self._sentinel.sentinels = [
            Redis.from_pool(ConnectionPool(**each)) for each in self._options
        ]
        master = driver_options(self._address.master_url)
        kind = SentinelManagedSSLConnection if _is_secure(master) else SentinelManagedConnection
        return SentinelConnectionPool(  # type: ignore[no-untyped-call]
            self._address.master,
            self._sentinel,
            connection_class=kind,
            **_without_place(master),
        )


def _is_secure(options: dict[str, Any]) -> bool:
    return options.get("connection_class") is SSLConnection


def _without_place(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in _OF_PLACE}
