"""The forms of `REDIS_URL`: one server, a cluster, or a master that Sentinels know.

    redis://:PASSWORD@HOST:6379/0
    redis+cluster://:PASSWORD@HOST:7000,HOST:7001
    redis+sentinel://:PASSWORD@HOST:26379,HOST:26379/MASTER/0?sentinel_password=PASSWORD

`rediss` instead of `redis` speaks TLS.  User and password are those of the servers that hold data;
the Sentinels' own are in the query.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from attrs import field, frozen

from urlmon_adapters._redaction import split_url

SCHEMES: Final = (
    "redis", "rediss", "unix",
    "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel",
)  # fmt: skip

_SENTINEL_PORT: Final = 26_379
# What in the query is for the Sentinels alone.
_OWN: Final = ("sentinel_username", "sentinel_password")
# What Sentinel takes as the name of a master.
_NAME: Final = re.compile(r"[\w.-]+", re.ASCII)


@frozen
class RedisAddress:
    """Where Redis is, as URLs that each name one server.

    Attributes:
        kind: How the servers stand together.
        urls: The server; some of the cluster's nodes; or the Sentinels.
        master: The name that the Sentinels know the master by; "" without Sentinels.
        master_url: How the master is reached, wherever it is; "" without Sentinels.
    """

    kind: Literal["server", "cluster", "sentinel"]
    urls: tuple[str, ...] = field(repr=False)
    master: str = ""
    master_url: str = field(default="", repr=False)


def parse_redis_url(url: str) -> RedisAddress:
    """Take a URL apart.

    Raises:
        ValueError: It has none of the forms; the text shows nothing of it.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES or "://" not in url:
        raise ValueError(f"must start with {' or '.join(f'{each}://' for each in SCHEMES)}")
    try:
        parts = split_url(url)
        login, at, netloc = parts.netloc.rpartition("@")
        hosts = [_host(each) for each in netloc.split(",")]
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise ValueError("must be a valid URL, special characters percent-encoded") from None
    plain, _, kind = scheme.partition("+")
    if not kind:
        if len(hosts) > 1:
            raise ValueError("names several hosts: only a cluster and Sentinels are several")
        return RedisAddress("server", (url,))
    if not all(host for host, _ in hosts):
        raise ValueError(f"must name the hosts of the {kind}, separated by commas")
    base = f"{plain}://{login}{at}"
    if kind == "cluster":
        if parts.path not in {"", "/", "/0"}:
            raise ValueError("must name no database but 0: a cluster has no other")
        tail = f"/0?{parts.query}"
        return RedisAddress("cluster", tuple(f"{base}{_joined(*each)}{tail}" for each in hosts))
    name, _, database = parts.path.removeprefix("/").partition("/")
    if not _NAME.fullmatch(name) or not re.fullmatch(r"\d*", database, re.ASCII):
        raise ValueError(
            "must end in /MASTER or /MASTER/DATABASE, as the Sentinels call the master"
        )
    own_login = _own_login(query)
    tail = urlencode([(key, value) for key, value in query if key not in _OWN])
    return RedisAddress(
        "sentinel",
        tuple(
            f"{plain}://{own_login}{_joined(host, port or _SENTINEL_PORT)}/0?{tail}"
            for host, port in hosts
        ),
        master=name,
        master_url=f"{base}localhost/{database or 0}?{tail}",
    )


def _own_login(query: list[tuple[str, str]]) -> str:
    """Return the Sentinels' own user and password, as they stand in a URL."""
    user, password = (quote(dict(query).get(each, ""), safe="") for each in _OWN)
    return f"{user}:{password}@" if user or password else ""


def _host(text: str) -> tuple[str, int | None]:
    """Return a host as it is written, and its port."""
    parts = urlsplit(f"//{text}")
    return text.removesuffix(f":{parts.port}") if parts.port is not None else text, parts.port


def _joined(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"
