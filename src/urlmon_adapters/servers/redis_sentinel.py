"""A real Redis with two replicas, watched by three Sentinels, as child processes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from urlmon_adapters.servers._process import HOST, new_secret
from urlmon_adapters.servers._redis_groups import RedisGroup, start_together
from urlmon_adapters.servers._redis_programs import PROGRAMS
from urlmon_adapters.servers.redis import RedisServer, follows, tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MASTER: Final = "urlmon"
"""What the Sentinels call the master."""

_REPLICAS: Final = 2
_SENTINELS: Final = 3
_QUORUM: Final = 2


class _Replica(RedisServer):
    """A server that can become the replica of another, and may start as one."""

    master: RedisServer | None = None

    def _settings(self) -> dict[str, str]:
        following = {} if self.master is None else {"replicaof": f"{HOST} {self.master.port}"}
        return {
            **super()._settings(),
            "masterauth": self.password,
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
            **following,
        }


class _Sentinel(RedisServer):
    """A Sentinel, with a password of its own."""

    def __init__(
        self,
        folder: Path,
        master: _Replica,
        *,
        programs: Sequence[str],
        password: str,
        down_ms: int,
    ) -> None:
        super().__init__(folder, durable=False, programs=programs, password=password)
        self._master = master
        self._down_ms = down_ms

    def _settings(self) -> dict[str, str]:
        of_all = super()._settings()
        return {
            **{key: of_all[key] for key in ("bind", "port", "requirepass", "daemonize", "dir")},
            "sentinel monitor": f"{MASTER} {HOST} {self._master.port} {_QUORUM}",
            "sentinel auth-pass": f"{MASTER} {self._master.password}",
            "sentinel down-after-milliseconds": f"{MASTER} {self._down_ms}",
            "sentinel failover-timeout": f"{MASTER} {4 * self._down_ms}",
        }

    def _command(self) -> list[str]:
        return [*super()._command(), "--sentinel"]


class RedisSentinelServers(RedisGroup):
    """A master, its replicas and their Sentinels, which belong to this process and end with it.

    Attributes:
        servers: The master first, as they started.
        sentinels: Those that watch them.
    """

    def __init__(
        self, folder: Path, *, programs: Sequence[str] = PROGRAMS, down_ms: int = 10_000
    ) -> None:
        """Find the program; nothing is written or started yet.

        Args:
            folder: Where logs go, one folder a server; made when missing.
            programs: As `RedisServer` takes them.
            down_ms: When a server that says nothing counts as failed.

        Raises:
            MissingServerError: There is no Redis on this machine.
        """
        super().__init__("Redis Sentinel")
        self._password, self._own_password = new_secret(), new_secret()
        self.servers = [
            _Replica(
                folder / f"server-{number}",
                durable=False,
                programs=programs,
                password=self._password,
            )
            for number in range(1 + _REPLICAS)
        ]
        self.sentinels = [
            _Sentinel(
                folder / f"sentinel-{number}",
                self.servers[0],
                programs=programs,
                password=self._own_password,
                down_ms=down_ms,
            )
            for number in range(_SENTINELS)
        ]

    @property
    def members(self) -> Sequence[RedisServer]:
        """The servers that hold data, and the Sentinels."""
        return (*self.servers, *self.sentinels)

    @property
    def url(self) -> str:
        """A connection URL; holds the password."""
        hosts = ",".join(f"{HOST}:{each.port}" for each in self.sentinels)
        login = f":{self._password}@"
        return f"redis+sentinel://{login}{hosts}/{MASTER}/0?sentinel_password={self._own_password}"

    @property
    def master(self) -> RedisServer:
        """Who is the master now, as a Sentinel that runs says."""
        sentinel = next(each for each in self.sentinels if each.pid is not None)
        with sentinel.driver() as client:
            _, port = tell(client, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(each for each in self.servers if each.port == int(port))

    def fail_over(self) -> None:
        """Have the Sentinels make another server the master, and wait until it is done."""
        former = self.master
        with self.sentinels[0].driver() as client:
            tell(client, "SENTINEL", "FAILOVER", MASTER)
        self.await_failover(former)

    def await_failover(self, former: RedisServer) -> None:
        """Wait until another server than the former is the master and every Sentinel knows it."""
        with ExitStack() as stack:
            clients = [stack.enter_context(each.driver()) for each in self.sentinels]

            def is_over() -> bool:
                states = [_state(client) for client in clients]
                ports = {state["port"] for state in states}
                return (
                    ports.isdisjoint({str(former.port)})
                    and len(ports) == 1
                    and all(state["flags"] == "master" for state in states)
                )

            self.wait_until("the failover is over", is_over)

    def _start(self) -> None:
        first, *others = self.servers
        first.start()
        for each in others:
            each.master = first
        start_together(others)
        with ExitStack() as stack:
            replicas = [stack.enter_context(each.driver()) for each in others]
            self.wait_until("the replicas follow", lambda: all(map(follows, replicas)))
            start_together(self.sentinels)
            sentinels = [stack.enter_context(each.driver()) for each in self.sentinels]
            self.wait_until("the Sentinels know all", lambda: all(map(_knows_all, sentinels)))


def _state(sentinel: Any) -> dict[str, str]:
    """Return what a Sentinel thinks of the master."""
    said = tell(sentinel, "SENTINEL", "MASTER", MASTER)
    return dict(zip(said[::2], said[1::2], strict=True))


def _knows_all(sentinel: Any) -> bool:
    state = _state(sentinel)
    return (state["num-slaves"], state["num-other-sentinels"]) == (
        str(_REPLICAS),
        str(_SENTINELS - 1),
    )
