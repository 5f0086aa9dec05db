"""Long work leaves the event loop to others in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from urlmon.services.gently import SLICE, gently, let_go

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.mark.parametrize("work", [gently, let_go])
async def test_others_have_their_turns(work: Callable[[list[int]], Awaitable[object]]) -> None:
    """After each slice whoever else waits goes on."""
    turns, over = 0, asyncio.Event()

    async def other() -> None:
        nonlocal turns
        while not over.is_set():
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    await work(list(range(10 * SLICE)))
    over.set()
    await waiting
    assert turns >= 10


async def test_nothing_is_left() -> None:
    """A list that is let go is empty, and what `gently` returns is all there is."""
    items = list(range(SLICE + 1))
    assert await gently(iter(items)) == items
    await let_go(items)
    assert items == []
