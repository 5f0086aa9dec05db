from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from urlmon_adapters.servers import MissingServerError, RedisServer, _redis_programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_keeps_data_and_port_over_stop(redis_own: RedisServer) -> None:
    """A durable server has its keys again at the same address."""
    with redis.Redis.from_url(redis_own.url) as client:
        client.set("kept", "1")
        redis_own.stop()
        redis_own.start()
        assert client.get("kept") == b"1"


def test_forgets_when_not_durable(make_redis: Callable[..., RedisServer]) -> None:
    """A server for tests writes nothing to the disk."""
    server = make_redis(durable=False)
    with server, redis.Redis.from_url(server.url) as client:
        client.set("lost", "1")
        server.stop()
        server.start()
        assert client.get("lost") is None


def test_refuses_who_has_no_password(redis_own: RedisServer) -> None:
    """Another user of this machine cannot use it."""
    with (
        redis.Redis(port=redis_own.port, retry=None) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_hides_its_password(redis_own: RedisServer) -> None:
    """The password shows neither in a repr nor among the arguments that anyone can list."""
    password = redis_own.url.split(":")[2].split("@")[0]
    assert password not in repr(redis_own.endpoint)
    assert password not in " ".join(redis_own._command())


def test_names_the_package_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any Redis the error says how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_redis_programs, "find_spec", lambda _: None)
    with pytest.raises(MissingServerError, match="the package redis-server of Debian"):
        RedisServer(tmp_path)
