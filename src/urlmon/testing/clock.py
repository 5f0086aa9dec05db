"""A clock that a test pushes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from urlmon.domain._validators import check_instant
from urlmon.ports import Clock

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


class FakeClock(Clock):
    """A clock that stands still until it is advanced."""

    __slots__ = ("_now", "_sleepers")

    def __init__(self, now: datetime = NOON) -> None:
        self._now = check_instant("now", now)
        self._sleepers: set[asyncio.Future[None]] = set()

    def now(self) -> datetime:
        return self._now

    def advance(self, duration: timedelta) -> None:
        """Push the clock on; a negative duration sets it back."""
        self._now = check_instant("now", self._now + duration)
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def reached(self, moment: datetime) -> None:
        """Return once the clock shows `moment`, which takes a push and no time."""
        while self._now < moment:
            sleeper = asyncio.get_running_loop().create_future()
            self._sleepers.add(sleeper)
            try:
                await sleeper
            finally:
                self._sleepers.discard(sleeper)


async def sleep_until(clock: Clock, moment: datetime) -> None:
    """Return once a clock shows `moment`: a fake one is pushed there, any other is waited for."""
    if isinstance(clock, FakeClock):
        await clock.reached(moment)
        return
    while (left := (moment - clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - sleeps it all
        await asyncio.sleep(left)
