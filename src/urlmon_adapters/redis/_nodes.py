"""One server, and how those behind one URL stand together."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar, Final, Protocol, TypeAlias

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from urlmon_adapters.redis._commands import Command, Fate
from urlmon_adapters.redis._sharing import Call, Sharing

Address: TypeAlias = tuple[str, int]
Options: TypeAlias = Mapping[str, Any]

_SHORTEST_PAUSE: Final = 0.025
_LONGEST_PAUSE: Final = 0.4


class Kind(Enum):
    """How servers stand together."""

    SERVER = "server"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


class Topology(Protocol):
    """The servers behind one URL: who is asked, and who is asked next.

    Attributes:
        kind: How they stand together.
    """

    kind: ClassVar[Kind]

    @abstractmethod
    async def exchange(self, commands: Sequence[Command], *, until: float | None) -> None:
        """Send commands and note their answers, also where they are errors.

        What cannot have been applied is sent again where another server may serve it, or the same
        one soon.

        Args:
            commands: Are told what became of them, also when this raises or is cancelled.
            until: When to give up, in the time of the event loop.

        Raises:
            RedisError: Not all were answered by the server that serves them.
        """

    @abstractmethod
    async def connection(self, channel: str) -> AbstractConnection:
        """Return a connection of the caller's own, not connected yet, for listening to a channel.

        Raises:
            RedisError: Nobody said whom to listen to.
        """

    @abstractmethod
    async def masters(self) -> Sequence[Node]:
        """Return the servers that take writes, after asking who they are now.

        Raises:
            RedisError: Nobody said it.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close every connection."""


class Node:
    """One server: connections to it, no more than so many in use at once.

    Attributes:
        pool: The connections.
        sharing: Who uses them.
        retired: Whether a connection is closed after its use.
    """

    def __init__(self, options: Options, *, largest: int) -> None:
        """Connect when it is first needed.

        Args:
            options: How, in the driver's words.
            largest: Connections at most, beside those of tasks that wait for a lock.
        """
        self.pool = ConnectionPool(**options)
        self.pool.max_connections = max(largest, self.pool.max_connections)
        self.sharing = Sharing(self._send, largest=largest)
        self.retired = False

    @property
    def address(self) -> Address:
        """Its host and port."""
        return address(self.pool.connection_kwargs)

    @property
    def name(self) -> str:
        """Where it is, for people."""
        path: str | None = self.pool.connection_kwargs.get("path")
        return path or "{}:{}".format(*self.address)

    def connection(self) -> AbstractConnection:
        """Return a connection that is not of the pool, not connected yet."""
        connection: AbstractConnection = self.pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def exchange(self, commands: Sequence[Command]) -> None:
        """Send commands on one connection, and note their answers.

        Raises:
            RedisError: The connection could not be made, or was lost.
        """
        await self.sharing.exchange(commands)

    async def retire(self) -> None:
        """Close the connections that nobody uses, and the others after their use."""
        self.retired = True
        await self.pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close every connection; the next use would open one again."""
        await self.pool.aclose()
        await self.sharing.settle()

    async def _send(self, calls: Sequence[Call]) -> None:
        """Send calls on one connection, those that were not cancelled meanwhile."""
        connection = await self.pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            calls = [call for call in calls if not call.done.done()]
            commands = [command for call in calls for command in call.commands]
            for command in commands:
                command.fate = Fate.SENT
            # The driver's own packer is in Python, and takes eight times as long.
            await connection.send_packed_command(b"".join(map(_pack, commands)))
            for call in calls:
                for command in call.commands:
                    await _hear(connection, command)
                if not call.done.done():
                    call.done.set_result(None)
        except BaseException:
            # There may be answers on the way that nobody waits for.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self.pool.release(connection)
            if self.retired:
                await self.pool.disconnect(inuse_connections=False)


class OneServer(Topology):
    """One server, which serves everything or nothing."""

    kind = Kind.SERVER

    def __init__(self, options: Options, *, largest: int) -> None:
        self._node = Node(options, largest=largest)

    async def exchange(self, commands: Sequence[Command], *, until: float | None) -> None:  # noqa: ARG002 - nothing is sent again
        await self._node.exchange(commands)

    async def connection(self, channel: str) -> AbstractConnection:  # noqa: ARG002 - all on one
        return self._node.connection()

    async def masters(self) -> Sequence[Node]:
        return [self._node]

    async def aclose(self) -> None:
        await self._node.aclose()


async def retire(nodes: dict[Address, Node], *, but: Collection[Address]) -> None:
    """Close and forget all servers but some, which are in use."""
    for kept in nodes.keys() & but:
        nodes[kept].retired = False
    for gone in nodes.keys() - but:
        await nodes[gone].retire()  # where this is cancelled, it stays for `aclose`
        nodes.pop(gone, None)


def address(options: Options) -> Address:
    """Return where a server is."""
    return options.get("host", "localhost"), options.get("port", 6379)


async def pause(tries: int, *, until: float | None, trouble: RedisError) -> None:
    """Wait before another try, longer after each.

    Args:
        tries: How many there were, from 1.
        until: When to give up.
        trouble: Why the last one failed; raised where there is no time for another.
    """
    seconds = min(_SHORTEST_PAUSE * 2**tries, _LONGEST_PAUSE)
    if until is not None and asyncio.get_running_loop().time() + seconds >= until:
        raise trouble
    await asyncio.sleep(seconds)


def _pack(command: Command) -> bytes:
    packed: bytes = pack_command(tuple(command.words))  # type: ignore[arg-type]  # of any length
    return packed


async def _hear(connection: AbstractConnection, command: Command) -> None:
    """Note the answer to a command; an error of its own does not keep others from being heard."""
    try:
        command.answer = await connection.read_response(disconnect_on_error=False)
    except RedisError as exc:
        if exc.status_code is None and not isinstance(exc, ResponseError):
            raise  # the connection was lost
        command.answer = exc
    command.fate = Fate.ANSWERED
