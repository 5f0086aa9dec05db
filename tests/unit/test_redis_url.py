"""The forms of `REDIS_URL`."""

from __future__ import annotations

import traceback

import pytest

from urlmon.domain.secrets import Secret
from urlmon.errors import ConfigurationError
from urlmon_adapters._redaction import Redactor, mask_url
from urlmon_adapters._redis_url import parse_redis_url
from urlmon_adapters.redis import BareClients, build_topology
from urlmon_adapters.redis._cluster import Cluster
from urlmon_adapters.redis._nodes import OneServer
from urlmon_adapters.redis._sentinel import SentinelMaster


@pytest.mark.parametrize(
    "url",
    ["redis://:pw@h:1/2?a=b", "rediss://h", "unix:///run/redis.sock?db=1", "redis://[::1]:7/0"],
)
def test_one_server(url: str) -> None:
    """The forms of the driver are taken as they are."""
    address = parse_redis_url(url)
    assert (address.kind, address.urls, address.master) == ("server", (url,), "")


def test_cluster() -> None:
    """A cluster is reached through any of the nodes that are named, all with one login."""
    address = parse_redis_url("rediss+cluster://me:p%40w@a:7000,[::1]:7001,c/?socket_keepalive=yes")
    assert address.kind == "cluster"
    assert address.urls == (
        "rediss://me:p%40w@a:7000/0?socket_keepalive=yes",
        "rediss://me:p%40w@[::1]:7001/0?socket_keepalive=yes",
        "rediss://me:p%40w@c/0?socket_keepalive=yes",
    )


def test_sentinel() -> None:
    """The login is the servers'; the Sentinels have their own in the query, or none."""
    address = parse_redis_url("redis+sentinel://me:p%40w@a,b:5/my-master/3?socket_keepalive=yes")
    assert address.kind == "sentinel"
    assert address.urls == (
        "redis://a:26379/0?socket_keepalive=yes",
        "redis://b:5/0?socket_keepalive=yes",
    )
    assert address.master == "my-master"
    assert address.master_url == "redis://me:p%40w@localhost/3?socket_keepalive=yes"
    own = parse_redis_url(
        "redis+sentinel://:pw@a/m?sentinel_username=it&sentinel_password=p%2Fw&socket_keepalive=yes"
    )
    assert own.urls == ("redis://it:p%2Fw@a:26379/0?socket_keepalive=yes",)
    assert own.master_url == "redis://:pw@localhost/0?socket_keepalive=yes"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+cluster:secret", "must start with"),
        ("redis+ring://:secret@h:1", "must start with"),
        ("redis://:secret@a:1,b:2/0", "names several hosts"),
        ("redis+cluster://", "must name the hosts of the cluster"),
        ("redis+cluster://:secret@a:1,,b:2", "must name the hosts of the cluster"),
        ("redis+cluster://:secret@a:1,b:2/1", "no database but 0"),
        ("redis+cluster://:secret@a:1,b:x/", "must be a valid URL"),
        ("redis+cluster://:secret@a:1,b:99999", "must be a valid URL"),
        ("redis+cluster://:sec/ret@a:1,b:2", "must be a valid URL"),
        ("redis+sentinel://:secret@a:1", "must end in /MASTER"),
        ("redis+sentinel://:secret@a:1/", "must end in /MASTER"),
        ("redis+sentinel://:secret@a:1/m/one", "must end in /MASTER"),
        ("redis+sentinel://:secret@a:1/m/0/0", "must end in /MASTER"),
        ("redis+sentinel://:secret@/m/0", "must name the hosts of the sentinel"),
        ("redis+cluster://a:1?no_such_option=secret", "options be of redis-py"),
        ("redis+sentinel://a:1/m?no_such_option=secret", "options be of redis-py"),
    ],
)  # fmt: skip
def test_refused(url: str, reason: str) -> None:
    """What has no form is refused with the reason, and nothing of it is shown."""
    for build in (build_topology, BareClients):
        with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
            build(url)
        assert reason in str(caught.value)
        shown = "".join(traceback.format_exception(caught.value, chain=True))
        assert "secret" not in shown
        assert "sec/ret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://user:{}@h1:7000,h2:7001",
        "rediss+sentinel://:{}@h1:26379,h2/mymaster/0",
        "redis+sentinel://:{}@h1/mymaster?sentinel_password={}",
        "redis+sentinel://h1/mymaster?sentinel_username=me&sentinel_password={}",
    ],
)
def test_masked(url: str) -> None:
    """No form shows a password, where it is listed or where it stands in another text."""
    secret = "correct-horse"
    text = url.format(*[secret] * url.count("{}"))
    assert secret not in mask_url(text)
    assert "h1" in mask_url(text)
    assert secret not in Redactor([Secret(text)])(f"there is {secret} in {text}")
    assert secret not in repr(parse_redis_url(text))


def test_topologies() -> None:
    """The URL alone decides what is built."""
    kinds = {
        "redis://h": OneServer,
        "rediss+cluster://h": Cluster,
        "redis+sentinel://h/m": SentinelMaster,
    }
    for url, kind in kinds.items():
        assert type(build_topology(url)) is kind
