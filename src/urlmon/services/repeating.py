"""Work that is done again and again in the background."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from urlmon.errors import UrlmonError

_log = logging.getLogger("urlmon.background")


@asynccontextmanager
async def repeating(
    work: Callable[[], Awaitable[object]],
    *,
    name: str,
    every: timedelta,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Do something now and then every so often, in the background, while a block runs.

    What fails is logged and tried again the next time.  The end of the block cancels it.

    Args:
        work: What to do.
        name: What it is called, for the log.
        every: How long it rests in between, give or take a fifth: not all replicas at once, not
            even those that were started at once.
        pause: Waits for so many seconds.
    """

    async def repeat() -> None:
        while True:
            try:
                await work()
            except UrlmonError as exc:
                _log.warning("%s failed, and is tried again later: %s", name, exc)
            except Exception:  # noqa: BLE001 - the next time is tried in any case
                _log.exception("%s failed, which should not happen", name)
            await pause(every.total_seconds() * random.uniform(0.8, 1.2))  # noqa: S311

    task = asyncio.create_task(repeat(), name=f"urlmon {name}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
