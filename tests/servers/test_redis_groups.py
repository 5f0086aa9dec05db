"""Several Redis that belong together: they start, serve, go over to each other, and end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import redis
from tests.fixtures.servers import leave_out

from urlmon_adapters.servers import (
    MissingServerError,
    RedisClusterServers,
    RedisSentinelServers,
    ServerError,
)
from urlmon_adapters.servers.redis import tell

if TYPE_CHECKING:
    from pathlib import Path

    from urlmon_adapters.servers._redis_groups import RedisGroup


def a_group(kind: type[RedisGroup], folder: Path) -> RedisGroup:
    """Make a group of servers, not yet started."""
    try:
        return kind(folder)  # type: ignore[call-arg]
    except MissingServerError as exc:
        leave_out(exc)


def processes_of(group: RedisGroup) -> list[int]:
    """Return the process of each member, all of which run."""
    pids = [each.pid for each in group.members]
    assert all(pid is not None and is_there(pid) for pid in pids)
    return [pid for pid in pids if pid is not None]


def is_there(pid: int) -> bool:
    """Say whether there is a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("kind", [RedisClusterServers, RedisSentinelServers])
def test_a_group(kind: type[RedisGroup], tmp_path: Path) -> None:
    """Six servers start and answer, hide their passwords, and end with the block."""
    group = a_group(kind, tmp_path)
    with group:
        first = processes_of(group)
        assert len(first) == 6
        for each in group.members:
            with each.driver() as client:
                assert client.ping()
        assert not any(each.password in repr(group.endpoint) for each in group.members)
        assert group.endpoint.version == group.members[0].version
    assert not any(map(is_there, first))
    with pytest.raises(redis.ConnectionError), group.members[0].driver() as client:
        client.ping()


@pytest.mark.parametrize("kind", [RedisClusterServers, RedisSentinelServers])
def test_a_start_that_fails_leaves_nothing(kind: type[RedisGroup], tmp_path: Path) -> None:
    """Where one member cannot start, the others do not stay behind."""
    group = a_group(kind, tmp_path)
    last = group.members[-1]
    last.folder.parent.mkdir(parents=True, exist_ok=True)
    last.folder.write_text("a file is in the way of its folder")
    with pytest.raises(ServerError, match="Redis"):
        group.start()
    assert [each.pid for each in group.members] == [None] * 6


def test_every_slot_of_a_cluster_is_served(tmp_path: Path) -> None:
    """The three masters have all slots between them, and a replica each."""
    group = a_group(RedisClusterServers, tmp_path)
    assert isinstance(group, RedisClusterServers)
    with group:
        for each in group.members:
            with each.driver() as client:
                ranges = tell(client, "CLUSTER", "SLOTS")
            assert sum(last - first + 1 for first, last, *_ in ranges) == 16_384
            assert {len(nodes) for _, _, *nodes in ranges} == {2}


def test_a_failover(tmp_path: Path) -> None:
    """Another server is the master after a failover on demand, and takes writes."""
    group = a_group(RedisSentinelServers, tmp_path)
    assert isinstance(group, RedisSentinelServers)
    with group:
        former = group.master
        assert former is group.servers[0]
        group.fail_over()
        assert group.master is not former
        with group.master.driver() as client:
            assert client.set("taken", "1")
