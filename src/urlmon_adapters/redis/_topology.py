"""From `REDIS_URL` to the servers behind it."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from urlmon.errors import ConfigurationError
from urlmon_adapters._redis_url import RedisAddress, parse_redis_url
from urlmon_adapters.redis._cluster import Cluster
from urlmon_adapters.redis._nodes import Node, OneServer, Options, Topology
from urlmon_adapters.redis._sentinel import SentinelMaster

_OURS: Final[Options] = {
    # What may be repeated is known here and not in the driver: it never repeats anything.
    "retry": Retry(NoBackoff(), 0),
    # `RedisClient` limits a whole call.  The driver's own limit would use `asyncio.wait_for`,
    # which before Python 3.12 now and then swallows a cancellation.
    "socket_timeout": None,
    "protocol": 2,
    "decode_responses": False,
    "client_name": "urlmon",
}


def build_topology(url: str, *, largest: int = 4) -> Topology:
    """Find out from a URL how the servers stand together; connects to none of them.

    Args:
        url: One of the forms of `urlmon_adapters._redis_url`, with options of redis-py in its
            query.
        largest: Connections to each server at most, beside those of tasks that wait for a lock.

    Raises:
        ConfigurationError: The URL cannot be used.
    """
    address = parse_address(url)
    options = [driver_options(each) for each in address.urls]
    if address.kind == "cluster":
        return Cluster(options, largest=largest)
    if address.kind == "sentinel":
        master = driver_options(address.master_url)
        return SentinelMaster(options, address.master, master, largest=largest)
    return OneServer(options[0], largest=largest)


def parse_address(url: str) -> RedisAddress:
    """Take a URL apart.

    Raises:
        ConfigurationError: It has none of the forms.
    """
    try:
        return parse_redis_url(url)
    except ValueError as exc:
        raise ConfigurationError(f"REDIS_URL: {exc}") from None


def driver_options(url: str) -> dict[str, Any]:
    """Return how a server is reached, in the driver's words.

    Args:
        url: `redis://`, `rediss://` or `unix://`, with options of redis-py in its query.

    Raises:
        ConfigurationError: The URL cannot be used.
    """
    try:
        options = {**parse_url(url), **_OURS}
        Node(options, largest=1).connection()  # refuses unknown ones
    except (ValueError, TypeError, RedisError):
        # Neither the text nor the cause of the error: they can hold a part of the password.
        raise ConfigurationError(
            "REDIS_URL: special characters must be percent-encoded, and options be of redis-py"
        ) from None
    return options
