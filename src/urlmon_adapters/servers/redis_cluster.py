"""A real Redis Cluster as child processes: three masters, each with a replica."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from urlmon_adapters.servers._process import HOST, new_secret
from urlmon_adapters.servers._redis_programs import PROGRAMS
from urlmon_adapters.servers._waiting import wait_until
from urlmon_adapters.servers.endpoints import RedisEndpoint
from urlmon_adapters.servers.redis import RedisServer, tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from redis import Redis

MASTERS: Final = 3
_SLOTS: Final = 16_384
_NAME: Final = "Redis Cluster"
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
            "masterauth": self._password,
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(self._timeout_ms),
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
        }


class RedisClusterServers:
    """A cluster that belongs to this process and ends with it.

    Attributes:
        nodes: First the masters, then the replica of each in the same order, as they started.
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
        password = new_secret()
        self.nodes = [
            RedisClusterNode(
                folder / f"node-{number}",
                programs=programs,
                password=password,
                timeout_ms=timeout_ms,
            )
            for number in range(2 * MASTERS)
        ]
        self._login = f":{password}@"

    @property
    def url(self) -> str:
        """A connection URL; holds the password."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"redis+cluster://{self._login}{hosts}"

    @property
    def endpoint(self) -> RedisEndpoint:
        """Where the cluster can be reached."""
        first = self.nodes[0]
        return RedisEndpoint(url=self.url, version=first.version, source=first.source)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the nodes, make them a cluster, and wait until it serves every key.

        Raises:
            ServerError: A node did not start, or they do not come together; none is left running.
        """
        try:
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(RedisServer.start, self.nodes))
            with ExitStack() as stack:
                clients = [stack.enter_context(node.driver()) for node in self.nodes]
                self._join(clients)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the nodes; nothing of the cluster is kept."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(RedisServer.kill, self.nodes))

    def _join(self, clients: Sequence[Redis]) -> None:
        """Give the masters their slots, and each a replica."""
        for number, client in enumerate(clients):
            # Otherwise the nodes would first have to agree on who is the newer one.
            tell(client, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, client in enumerate(clients[:MASTERS]):
            first, end = (_SLOTS * each // MASTERS for each in (number, number + 1))
            tell(client, "CLUSTER", "ADDSLOTS", *range(first, end))
        for node in self.nodes[1:]:
            tell(clients[0], "CLUSTER", "MEET", HOST, node.port)
        ids = [str(tell(client, "CLUSTER", "MYID")) for client in clients]
        wait_until(_NAME, "all nodes know each other", lambda: all(map(_knows_all, clients)))
        for client, master in zip(clients[MASTERS:], ids, strict=False):
            tell(client, "CLUSTER", "REPLICATE", master)
        wait_until(_NAME, "every slot is served", lambda: all(map(_serves, clients)))
        wait_until(_NAME, "the replicas follow", lambda: all(map(_follows, clients[MASTERS:])))


def _knows_all(client: Redis) -> bool:
    said = str(tell(client, "CLUSTER", "INFO"))
    return f"cluster_known_nodes:{2 * MASTERS}" in said and "cluster_state:ok" in said


def _serves(client: Redis) -> bool:
    slots = tell(client, "CLUSTER", "SLOTS")
    return len(slots) == MASTERS and all(len(each) == len(_RANGE) for each in slots)


def _follows(client: Redis) -> bool:
    return bool(client.info("replication")["master_link_status"] == "up")
