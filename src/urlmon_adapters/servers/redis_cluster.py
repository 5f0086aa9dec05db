"""A real Redis Cluster as child processes: three masters, each with a replica."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from urlmon_adapters.servers._process import HOST, new_secret
from urlmon_adapters.servers._redis_groups import RedisGroup, start_together
from urlmon_adapters.servers._redis_programs import PROGRAMS
from urlmon_adapters.servers.redis import RedisServer, follows, tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redis import Redis

MASTERS: Final = 3
_SLOTS: Final = 16_384
_RANGE: Final = ("first slot", "last slot", "master", "replica")


class RedisClusterNode(RedisServer):
    """One node; its replicas and masters learn the password from it, too."""

    # The bus between nodes is 10000 above the port, and also wants to be below what systems hand
    # out for outgoing connections.
    _ports = range(10_000, 22_000)

    def __init__(
        self, folder: Path, *, programs: Sequence[str], password: str, timeout_ms: int
    ) -> None:
        super().__init__(folder, durable=False, programs=programs, password=password)
        self._timeout_ms = timeout_ms

    def _settings(self) -> dict[str, str]:
        return {
            **super()._settings(),
            "masterauth": self.password,
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(self._timeout_ms),
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
        }


class RedisClusterServers(RedisGroup):
    """A cluster that belongs to this process and ends with it.

    Attributes:
        masters: Each serves a third of the slots, as they started.
        replicas: One of each, in the same order.
    """

    def __init__(
        self, folder: Path, *, programs: Sequence[str] = PROGRAMS, timeout_ms: int = 10_000
    ) -> None:
        """Find the program; nothing is written or started yet.

        Args:
            folder: Where logs go, one folder a node; made when missing.
            programs: As `RedisServer` takes them.
            timeout_ms: When a node that says nothing counts as failed.

        Raises:
            MissingServerError: There is no Redis on this machine.
        """
        super().__init__("Redis Cluster")
        self._password = new_secret()
        nodes = [
            RedisClusterNode(
                folder / f"node-{number}",
                programs=programs,
                password=self._password,
                timeout_ms=timeout_ms,
            )
            for number in range(2 * MASTERS)
        ]
        self.masters, self.replicas = nodes[:MASTERS], nodes[MASTERS:]

    @property
    def members(self) -> Sequence[RedisServer]:
        """The masters and then their replicas."""
        return (*self.masters, *self.replicas)

    @property
    def url(self) -> str:
        """A connection URL; holds the password."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.members)
        return f"redis+cluster://:{self._password}@{hosts}"

    def _start(self) -> None:
        start_together(self.members)
        with ExitStack() as stack:
            self._join([stack.enter_context(node.driver()) for node in self.members])

    def _join(self, clients: Sequence[Redis]) -> None:
        """Give the masters their slots, and each a replica."""
        for number, client in enumerate(clients):
            # Otherwise the nodes would first have to agree on who is the newer one.
            tell(client, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, client in enumerate(clients[:MASTERS]):
            first, end = (_SLOTS * each // MASTERS for each in (number, number + 1))
            tell(client, "CLUSTER", "ADDSLOTS", *range(first, end))
        for node in self.members[1:]:
            tell(clients[0], "CLUSTER", "MEET", HOST, node.port)
        ids = [str(tell(client, "CLUSTER", "MYID")) for client in clients]
        self.wait_until("all nodes know each other", lambda: all(map(_knows_all, clients)))
        for client, master in zip(clients[MASTERS:], ids, strict=False):
            tell(client, "CLUSTER", "REPLICATE", master)
        self.wait_until("every slot is served", lambda: all(map(_serves, clients)))
        self.wait_until("the replicas follow", lambda: all(map(follows, clients[MASTERS:])))


def _knows_all(client: Redis) -> bool:
    said = str(tell(client, "CLUSTER", "INFO"))
    return f"cluster_known_nodes:{2 * MASTERS}" in said and "cluster_state:ok" in said


def _serves(client: Redis) -> bool:
    slots = tell(client, "CLUSTER", "SLOTS")
    return len(slots) == MASTERS and all(len(each) == len(_RANGE) for each in slots)
