"""Calls to a server share connections: those that are made together are sent together.

A call that is made while no other is on its way goes at once and alone.  What is made beside others
goes in the next turn of the event loop, with all else that waits then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from attrs import define

from urlmon_adapters.redis._commands import Command

_MOST_COMMANDS: Final = 100


@define(eq=False)
class Call:
    """Commands that belong together, on their way.

    Attributes:
        commands: Go on one connection, in this order.
        done: Is over when they were answered or lost, or the caller was cancelled.
        batch: The calls that it goes with, itself among them; empty until then.
        task: Sends them; None until then, and where the caller does.
    """

    commands: Sequence[Command]
    done: asyncio.Future[None]
    batch: Sequence[Call] = ()
    task: asyncio.Task[None] | None = None


Send: TypeAlias = Callable[[Sequence[Call]], Awaitable[None]]


class Sharing:
    """Shares out the connections to a server among calls."""

    def __init__(self, send: Send, *, largest: int) -> None:
        """Begin with no connection in use.

        Args:
            send: Sends calls on one connection and ends each as soon as it is answered; raises
                where one is not.
            largest: How many connections may be in use at once.
        """
        self._send = send
        self._largest = largest
        self._in_use = 0
        self._waiting: deque[Call] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # Whether one of the tasks has not begun, and so will take what waits.
        self._begins = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._in_use or self._waiting)

    async def exchange(self, commands: Sequence[Command]) -> None:
        """Send commands on one connection, and return when they are answered.

        When this is cancelled, what was not sent yet never is, and calls of others that were sent
        with this one are answered all the same.

        Raises:
            RedisError: The connection could not be made, or was lost.
        """
        call = Call(commands, asyncio.get_running_loop().create_future())
        if not self._in_use:
            self._in_use += 1
            try:
                await self._send([call])
            finally:
                self._in_use -= 1
                self._carry_on()
            return
        self._waiting.append(call)
        self._carry_on()
        try:
            await call.done
        except asyncio.CancelledError:
            _leave(call)
            raise

    async def settle(self) -> None:
        """Return when nothing is on its way that others wait for."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _carry_on(self) -> None:
        """Let those who wait have a connection, if there is one for them."""
        if self._waiting and not self._begins and self._in_use < self._largest:
            self._begins = True
            self._in_use += 1
            task = asyncio.create_task(self._carry())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _carry(self) -> None:
        """Send what waits now, and end each call."""
        self._begins = False
        calls = self._take()
        self._carry_on()  # where that was not all
        if not calls:
            return
        for call in calls:
            call.batch, call.task = calls, asyncio.current_task()
        try:
            await self._send(calls)
        except Exception as exc:  # noqa: BLE001 - it is for the callers
            for call in calls:
                if not call.done.done():
                    call.done.set_exception(exc)
        finally:
            for call in calls:
                call.done.cancel()  # where the loop comes to its end

    def _take(self) -> list[Call]:
        """Return the calls that go next: one, or several that are not too many commands."""
        calls, size = list[Call](), 0
        while self._waiting:
            call = self._waiting[0]
            if not call.done.done():
                size += len(call.commands)
                if calls and size > _MOST_COMMANDS:
                    break
                calls.append(call)
            self._waiting.popleft()
        return calls

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._begins = False  # also where it was cancelled before it began
        self._in_use -= 1
        self._carry_on()


def _leave(call: Call) -> None:
    """Stop what a call was sent by, where nobody waits for its answers any more."""
    if call.task is not None and all(each.done.done() for each in call.batch):
        call.task.cancel()
