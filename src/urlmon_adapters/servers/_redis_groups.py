"""Several Redis that belong together, as child processes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from urlmon_adapters.servers.endpoints import RedisEndpoint
from urlmon_adapters.servers.errors import ServerError
from urlmon_adapters.servers.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02


class RedisGroup(ABC):
    """Servers that start and stop together; nothing of their data is kept.

    Attributes:
        name: What they are together.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def members(self) -> Sequence[RedisServer]:
        """All servers."""

    @property
    @abstractmethod
    def url(self) -> str:
        """A connection URL; holds the password."""

    @abstractmethod
    def _start(self) -> None:
        """Start the servers and bring them together."""

    @property
    def endpoint(self) -> RedisEndpoint:
        """Where they can be reached."""
        first = self.members[0]
        return RedisEndpoint(url=self.url, version=first.version, source=first.source)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the servers, bring them together, and wait until they serve.

        Raises:
            ServerError: One did not start, or they do not come together; none is left running.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every server at once."""
        with ThreadPoolExecutor(len(self.members)) as pool:
            list(pool.map(RedisServer.kill, self.members))

    def wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Return once a condition holds.

        Args:
            what: The condition, in words.
            condition: Is asked now and then.

        Raises:
            ServerError: It did not hold in a minute.
        """
        deadline = time.monotonic() + _SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise ServerError(self.name, f"not within {_SECONDS} s: {what}")
            time.sleep(_POLL_SECONDS)


def start_together(servers: Sequence[RedisServer]) -> None:
    """Start servers that do not need each other for it."""
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(RedisServer.start, servers))
