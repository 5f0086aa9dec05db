"""How calls to Redis share connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as LostError

from urlmon_adapters.redis._commands import Command
from urlmon_adapters.redis._sharing import Sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from urlmon_adapters.redis._sharing import Call


class Line:
    """Takes calls as a connection does, and keeps each batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.cancelled: list[list[int]] = []
        self._locks: list[asyncio.Future[None]] = []

    async def send(self, calls: Sequence[Call]) -> None:
        """Wait until this batch is let go, and end its calls."""
        batch = [len(call.commands) for call in calls]
        self.batches.append(batch)
        self._locks.append(asyncio.get_running_loop().create_future())
        try:
            await self._locks[-1]
        except asyncio.CancelledError:
            self.cancelled.append(batch)
            raise
        for call in calls:
            if not call.done.done():
                call.done.set_result(None)

    async def let_go(self, number: int, *, trouble: Exception | None = None) -> None:
        """Answer a batch, or lose it; return when all that follows has happened."""
        if trouble is None:
            self._locks[number].set_result(None)
        else:
            self._locks[number].set_exception(trouble)
        await turns()


async def turns(number: int = 10) -> None:
    """Let the others have their turns."""
    for _ in range(number):
        await asyncio.sleep(0)


def begin(sharing: Sharing, *sizes: int) -> list[asyncio.Task[None]]:
    """Make calls of so many commands each."""
    return [
        asyncio.create_task(sharing.exchange([Command(("PING",)) for _ in range(size)]))
        for size in sizes
    ]


@pytest.fixture
def line() -> Line:
    """Where calls go."""
    return Line()


async def test_who_finds_company_goes_with_it(line: Line) -> None:
    """The first call goes alone, those beside it together, as many as there are connections."""
    sharing = Sharing(line.send, largest=3)
    tasks = begin(sharing, 1, 2, 3)
    await turns()
    assert line.batches == [[1], [2, 3]]
    tasks += begin(sharing, 4)
    await turns()
    assert line.batches == [[1], [2, 3], [4]]
    tasks += begin(sharing, 5, 6)
    await turns()
    assert len(line.batches) == 3
    await line.let_go(1)
    assert line.batches[3:] == [[5, 6]]
    for number in (0, 2, 3):
        await line.let_go(number)
    assert all(task.done() and task.exception() is None for task in tasks)
    assert sharing.is_idle


async def test_batches_are_bounded(line: Line) -> None:
    """No call waits for very many others; one of very many commands goes alone."""
    sharing = Sharing(line.send, largest=9)
    begin(sharing, 1, 60, 40, 1, 500, 99, 1)
    await turns(20)
    assert line.batches == [[1], [60, 40], [1], [500], [99, 1]]
    for number in range(5):
        await line.let_go(number)
    assert sharing.is_idle


async def test_cancelled_before_it_was_sent(line: Line) -> None:
    """What is cancelled while it waits is never sent."""
    sharing = Sharing(line.send, largest=1)
    tasks = begin(sharing, 1, 2, 3)
    await turns()
    tasks[1].cancel()
    await line.let_go(0)
    assert line.batches == [[1], [3]]
    await line.let_go(1)
    assert tasks[1].cancelled()
    assert sharing.is_idle


async def test_one_of_several_cancelled(line: Line) -> None:
    """The others are answered; where nobody is left, the connection is free for who waits."""
    sharing = Sharing(line.send, largest=1)
    _, first, second, third = begin(sharing, 1, 2, 3, 4)
    await turns()
    await line.let_go(0)
    waiting = begin(sharing, 5)
    first.cancel()
    await turns()
    assert not line.cancelled
    second.cancel()
    third.cancel()
    await turns()
    assert line.cancelled == [[2, 3, 4]]
    assert line.batches[2:] == [[5]]
    await line.let_go(2)
    assert waiting[0].done()
    assert sharing.is_idle


async def test_lost_together(line: Line) -> None:
    """Each of a batch that was lost is told so, and the others go on."""
    sharing = Sharing(line.send, largest=1)
    tasks = begin(sharing, 1, 2, 3)
    await turns()
    await line.let_go(0)
    tasks += begin(sharing, 4)
    await line.let_go(1, trouble=LostError("lost"))
    assert [type(task.exception()) for task in tasks[1:3]] == [LostError, LostError]
    await line.let_go(2)
    assert tasks[3].exception() is None
    assert sharing.is_idle


async def test_first_lost(line: Line) -> None:
    """A call that went alone and was cancelled or lost leaves its connection to the others."""
    sharing = Sharing(line.send, largest=1)
    first, second = begin(sharing, 1, 2)
    await turns()
    first.cancel()
    await turns()
    assert line.batches == [[1], [2]]
    await line.let_go(1)
    assert second.exception() is None
    assert sharing.is_idle
