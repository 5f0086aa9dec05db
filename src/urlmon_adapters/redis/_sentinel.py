"""The master that Sentinels know under a name.

They are asked who it is before the first call, and again after a connection was lost, a call found
no answer in time, or a server said that it takes no writes; and beside the calls once a second,
because a master that is replaced while it is well hears of it only seconds later, and what it is
told until then is lost.  On every new connection a server is asked for its role, as
<https://redis.io/docs/latest/develop/reference/sentinel-clients/> demands: one that was demoted, or
that an outdated Sentinel named, is not used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    ConnectionError,  # noqa: A004 - the driver's
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from urlmon_adapters.redis._commands import Command, Fate
from urlmon_adapters.redis._errors import NO_MASTER, code_of, is_lost
from urlmon_adapters.redis._nodes import Address, Kind, Node, Options, Topology, pause, retire
from urlmon_adapters.redis._replies import items, number, text

# Answers of a server that did nothing: it is not the master, or not yet.
_WAITS: Final = frozenset({"READONLY", "LOADING", "MASTERDOWN"})
# How long all Sentinels have to answer, and by how much later than one the next is asked.
_LOOK_SECONDS: Final = 1.0
_APART_SECONDS: Final = 0.1
# How old the knowledge of the master is when it is renewed: beside a call, and before one.
_OLD_SECONDS: Final = 1.0
_TOO_OLD_SECONDS: Final = 2.0


class SentinelMaster(Topology):
    """A master that can move."""

    kind = Kind.SENTINEL

    def __init__(
        self, sentinels: Sequence[Options], name: str, options: Options, *, largest: int
    ) -> None:
        """Ask nobody yet.

        Args:
            sentinels: How the Sentinels are reached.
            name: What they call the master.
            options: How the master is reached, but for host and port.
            largest: Connections at most, beside those of tasks that wait for a lock.
        """
        # One connection each: they are asked by one task at a time.
        self._sentinels = [Node(each, largest=1) for each in sentinels]
        self._name = name
        self._options = {**options, "redis_connect_func": _greet}
        self._largest = largest
        self._nodes: dict[Address, Node] = {}
        self._master: Node | None = None
        # Whether the master may be another by now, and when somebody was asked.
        self._doubtful = True
        self._asked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    async def exchange(self, commands: Sequence[Command], *, until: float | None) -> None:
        rest, tries = list(commands), 0
        try:
            while True:
                trouble = await self._try(rest)
                rest = [each for each in rest if not _is_settled(each)]
                if not rest:
                    return
                trouble = trouble or cast("RedisError", rest[0].answer)
                if any(each.maybe_applied for each in rest) or not _may_pass(trouble):
                    raise trouble  # noqa: TRY301 - as if it had been raised down there
                self._doubtful = True
                tries += 1
                await pause(tries, until=until, trouble=trouble)
        except BaseException:
            # A master that is frozen shows only in that the caller's time is over.
            self._doubtful = True
            raise

    async def connection(self, channel: str) -> AbstractConnection:  # noqa: ARG002 - all on one
        return (await self._look()).connection()

    async def masters(self) -> Sequence[Node]:
        self._doubtful = True
        return [await self._look()]

    async def aclose(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        for node in [*self._sentinels, *self._nodes.values()]:
            await node.aclose()

    async def _try(self, commands: Sequence[Command]) -> RedisError | None:
        """Send commands to the master once; return why it was lost, or None."""
        master = await self._look()
        try:
            await master.exchange(commands)
        except RedisError as exc:
            return exc
        return None

    async def _look(self) -> Node:
        """Return the master, after asking who it is where that may have changed."""
        age, asked_at = self._age(), self._asked_at
        if self._master is None or self._doubtful or age > _TOO_OLD_SECONDS:
            async with self._looking:
                # Where another task was first, that is good enough.
                if self._master is None or self._doubtful or self._asked_at == asked_at:
                    return await self._learn()
        elif age > _OLD_SECONDS and (self._watch is None or self._watch.done()):
            self._watch = asyncio.create_task(self._look_again())
        return self._master

    def _age(self) -> float:
        """Return how many seconds ago somebody was asked."""
        return asyncio.get_running_loop().time() - self._asked_at

    async def _look_again(self) -> None:
        """Ask who is the master, while calls go on to the one that is known."""
        with suppress(RedisError):
            async with self._looking:
                await self._learn()

    async def _learn(self) -> Node:
        """Ask who is the master, and return it."""
        former = self._master
        try:
            where = await self._ask()
        except ConnectionError:
            if former is None:
                raise
            # It may well be up where no Sentinel is; who fails there doubts it again.
            self._doubtful = False
            return former
        finally:
            self._asked_at = asyncio.get_running_loop().time()
        self._doubtful = False
        if where not in self._nodes:
            options = {**self._options, "host": where[0], "port": where[1]}
            self._nodes[where] = Node(options, largest=self._largest)
        master = self._master = self._nodes[where]
        await retire(self._nodes, but=[where])
        return master

    async def _ask(self) -> Address:
        """Return where the first Sentinel that knows it says the master is."""
        # Another one each time: what the last one said was not of much use.
        self._sentinels.append(self._sentinels.pop(0))
        trouble: RedisError = ConnectionError("no Sentinel answers")
        asked = [
            asyncio.create_task(self._ask_one(each, after=place * _APART_SECONDS))
            for place, each in enumerate(self._sentinels)
        ]
        try:
            for said in asyncio.as_completed(asked, timeout=_LOOK_SECONDS):
                try:
                    return await said
                except RedisError as exc:
                    trouble = exc
        except TimeoutError:
            pass
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise trouble

    async def _ask_one(self, sentinel: Node, *, after: float) -> Address:
        """Return where a Sentinel says the master is; ask it only after so many seconds."""
        await asyncio.sleep(after)
        question = Command(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name))
        await sentinel.exchange([question])
        if isinstance(question.answer, RedisError):
            raise question.answer
        if question.answer is None:
            raise ResponseError("no such master", status_code=NO_MASTER)
        host, port = items(question.answer)
        return text(host), number(port)


async def _greet(connection: AbstractConnection) -> None:
    """Log in, and refuse a server that is no master now."""
    await connection.on_connect()
    await connection.send_command("ROLE")
    role, *_ = items(await connection.read_response())
    if text(role) != "master":
        raise ReadOnlyError("no master", status_code="READONLY")


def _is_settled(command: Command) -> bool:
    """Say whether a command was answered by a master."""
    return command.fate is Fate.ANSWERED and not (
        isinstance(command.answer, RedisError) and code_of(command.answer) in _WAITS
    )


def _may_pass(trouble: RedisError) -> bool:
    """Say whether the same may succeed soon."""
    return is_lost(trouble) or code_of(trouble) in _WAITS
