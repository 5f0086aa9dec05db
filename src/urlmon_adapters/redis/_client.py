"""The one way to Redis: commands and scripts on pooled connections, with errors translated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError

from urlmon.errors import StoreError, UnavailableError
from urlmon_adapters.redis._commands import Argument, Command, Reply
from urlmon_adapters.redis._errors import STORE, translate
from urlmon_adapters.redis._keys import Keys
from urlmon_adapters.redis._nodes import Kind, Topology
from urlmon_adapters.redis._scripts import Script

_MICROSECOND: Final = timedelta(microseconds=1)
_KEYLESS: Final = frozenset({"ECHO", "INFO", "PING", "PUBSUB", "TIME"})


class StoreTime:
    """The time that leases are measured by.

    Attributes:
        offset: Is added to the server's time and to this process's; 0 outside of tests.
    """

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def monotonic(self) -> float:
        """Return the seconds of `time.monotonic`."""
        return time.monotonic() + self.offset.total_seconds()

    async def sleep_until(self, moment: float) -> None:
        """Return once `monotonic` shows a moment."""
        await asyncio.sleep(moment - self.monotonic())


class RedisClient:
    """Commands and scripts.  Belongs to one event loop.

    Calls that are made together are sent together.  Cancelling one of them disturbs no other, and
    no answer is ever taken for another's.

    Attributes:
        keys: Builds the keys.
        time: The time that leases are measured by.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        keys: Keys | None = None,
        time: StoreTime | None = None,
        timeout_seconds: float = 5,
    ) -> None:
        """Use servers, whose connections `aclose` closes.

        Args:
            topology: The servers.
            keys: Builds the keys; by default for the namespace `url-monitor:`.
            time: The time; only a test gives another.
            timeout_seconds: How long a call may take, from waiting for a connection to the answer.
        """
        self.keys = keys or Keys()
        self.time = time or StoreTime()
        self._topology = topology
        self._timeout_seconds = timeout_seconds
        self._listeners: set[asyncio.Task[None]] = set()

    @property
    def kind(self) -> Kind:
        """How the servers stand together."""
        return self._topology.kind

    async def aclose(self) -> None:
        """Close every connection; the next call would open one again."""
        for listener in self._listeners:
            listener.cancel()
        while self._listeners:
            await asyncio.wait(self._listeners)
        await self._topology.aclose()

    async def read(self, operation: str, *commands: Sequence[Argument]) -> list[Reply]:
        """Send commands that change nothing, together, and return their answers.

        A command names its key second, or is one of those without any; a cluster answers these
        from some node, where there are others from one of theirs.

        Raises:
            StoreError: The driver's error, translated.
        """
        return await self._exchange(operation, list(map(_reading, commands)))

    async def read_masters(
        self, operation: str, *commands: Sequence[Argument]
    ) -> dict[str, list[Reply]]:
        """Send commands that change nothing to every master; return their answers by its name.

        Raises:
            StoreError: The driver's error, translated, naming the one of several that failed.
        """
        answers: dict[str, list[Reply]] = {}
        name = ""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                for node in await self._topology.masters():
                    name, asked = node.name, list(map(_reading, commands))
                    await node.exchange(asked)
                    answers[name] = _answers(operation, asked)
        except (TimeoutError, RedisError) as exc:
            error = self._failure(exc, operation, ())
            if name and self.kind is not Kind.SERVER:
                raise type(error)(STORE, operation, f"{name}: {error.detail}") from exc
            raise error from exc
        return answers

    async def run(
        self, operation: str, script: Script, keys: Sequence[str], *arguments: Argument
    ) -> Reply:
        """Run a script in one step; its first argument is the time offset.

        Args:
            operation: The port's method.
            script: Finds its keys in `KEYS`.
            keys: All that it touches, with one hash tag.
            arguments: Follow the time offset.

        Raises:
            StoreError: The driver's error, translated.
        """
        return (await self.run_each(operation, script, [(*keys, *arguments)], keys=len(keys)))[0]

    async def run_each(
        self, operation: str, script: Script, calls: Sequence[Sequence[Argument]], *, keys: int
    ) -> list[Reply]:
        """Run a script several times, sent together: each in one step, but not all of them.

        Args:
            operation: The port's method.
            script: Must be repeatable.
            calls: The keys and then the arguments of each.
            keys: How many of them are keys.

        Raises:
            StoreError: The driver's error, translated; others of the calls may have been applied,
                and an `UnavailableError` tells so.
        """
        offset = self.time.offset // _MICROSECOND
        commands = [
            Command(
                ("EVALSHA", script.digest, keys, *call[:keys], offset, *call[keys:]),
                str(call[0]) if keys else None,
                writes=True,
            )
            for call in calls
        ]
        return await self._exchange(operation, commands, script)

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """Set an event for each message on a channel, and once when listening has begun or ended.

        Uses a connection of its own, so that those who wait never starve those they wait for.
        After the block it is closed, but nobody waits for that: a lock is had a fifth sooner.
        """
        heard = asyncio.Event()
        listener = asyncio.create_task(self._listen(channel, heard))
        self._listeners.add(listener)
        listener.add_done_callback(self._listeners.discard)
        try:
            yield heard
        finally:
            listener.cancel()

    async def _listen(self, channel: str, heard: asyncio.Event) -> None:
        connection: AbstractConnection | None = None
        try:
            connection = await self._topology.connection(channel)
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("SUBSCRIBE", channel)
            while True:
                await connection.read_response()
                heard.set()
        except RedisError:
            pass
        finally:
            heard.set()
            if connection is not None:
                await connection.disconnect(nowait=True)

    async def _exchange(
        self, operation: str, commands: Sequence[Command], script: Script | None = None
    ) -> list[Reply]:
        """Send commands and return their answers; a script again where the server forgot it."""
        try:
            async with asyncio.timeout(self._timeout_seconds) as limit:
                until = limit.when()
                await self._topology.exchange(commands, until=until)
                if script is not None:
                    lost = [each for each in commands if isinstance(each.answer, NoScriptError)]
                    for each in lost:
                        each.words = ("EVAL", script.text, *each.words[2:])
                    if lost:
                        await self._topology.exchange(lost, until=until)
        except (TimeoutError, RedisError) as exc:
            raise self._failure(exc, operation, commands) from exc
        return _answers(operation, commands)

    def _failure(
        self, error: TimeoutError | RedisError, operation: str, commands: Sequence[Command]
    ) -> StoreError:
        """Return what to raise for a call that was not answered."""
        applied = _any_applied(commands)
        if isinstance(error, RedisError):
            return translate(error, operation, maybe_applied=applied)
        detail = f"no answer within {self._timeout_seconds:g} s: is the server overloaded?"
        return UnavailableError(STORE, operation, detail, maybe_applied=applied)


def _reading(words: Sequence[Argument]) -> Command:
    """Return a command that changes nothing."""
    return Command(words, None if words[0] in _KEYLESS else str(words[1]))


def _answers(operation: str, commands: Sequence[Command]) -> list[Reply]:
    """Return the answers, if none is an error."""
    replies = list[Reply]()
    for command in commands:
        if isinstance(command.answer, RedisError):
            applied = _any_applied(commands)
            raise translate(command.answer, operation, maybe_applied=applied) from command.answer
        replies.append(command.answer)
    return replies


def _any_applied(commands: Sequence[Command]) -> bool:
    """Say whether any of some commands can have changed something."""
    return any(command.maybe_applied for command in commands)
