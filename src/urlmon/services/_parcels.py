"""Results on their way to a store, in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from attrs import frozen

from urlmon.domain.check_results import CheckResult
from urlmon.services.receipts import Track

# What a result takes in memory, measured: with ids and instants of its own, without its message.
_RESULT_BYTES: Final = 800


@frozen(kw_only=True)
class Pace:
    """How fast a writer works, and how much it holds.

    Attributes:
        memory_bytes: What may wait in memory for each store, roughly.
        rows: Results of a batch at most, 1 to 5,000.
        linger: How long a result waits for company.
        spill_after: How long a result stays in memory alone before it goes to the spool.
        drain_rate: Results a second that are sent from the spool, beside those that come in.
    """

    memory_bytes: int = 64 << 20
    rows: int = 5_000
    linger: timedelta = timedelta(milliseconds=100)
    spill_after: timedelta = timedelta(seconds=1)
    drain_rate: int = 20_000


@frozen(kw_only=True)
class Timing:
    """The time that a writer waits by.

    Attributes:
        monotonic: Seconds that never go back.
        sleep_until: Returns once `monotonic` shows a moment.
    """

    monotonic: Callable[[], float]
    sleep_until: Callable[[float], Awaitable[None]]


class Entry:
    """An entry of the spool whose results are in memory too.

    Attributes:
        number: Its number.
        count: How many results it has.
        left: How many of them have no fate yet.
    """

    __slots__ = ("count", "left", "number")

    def __init__(self, number: int, count: int) -> None:
        self.number = number
        self.count = count
        self.left = count


class Parcel:
    """Results of one call, or of one entry of the spool, that are sent together.

    Attributes:
        results: Those without a fate.
        size: What they take in memory, roughly.
        since: When they came, or when to send them again.
        track: Who wants to know; None if nobody does.
        entry: Where they are in the spool, if they are.
        at: How many results stand before them in that entry.
    """

    __slots__ = ("at", "entry", "results", "since", "size", "track")

    def __init__(
        self,
        results: Sequence[CheckResult],
        *,
        since: float,
        track: Track | None,
        entry: Entry | None = None,
        at: int = 0,
    ) -> None:
        self.results = results
        self.since = since
        self.track = track
        self.entry = entry
        self.at = at
        self.size = _RESULT_BYTES * len(results)
        for result in results:
            if result.error is not None:
                self.size += 2 * len(result.error.message)

    def __len__(self) -> int:
        return len(self.results)


class ParcelQueue:
    """Parcels in the order of their coming.

    Attributes:
        results: How many results they hold.
        size: What they take in memory.
    """

    __slots__ = ("_parcels", "results", "size")

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self.results = 0
        self.size = 0

    @property
    def oldest(self) -> float | None:
        """Since when the first one waits."""
        return self._parcels[0].since if self._parcels else None

    def put(self, parcel: Parcel) -> None:
        """Add one at the end."""
        self._parcels.append(parcel)
        self._count(parcel, 1)

    def clear(self) -> None:
        """Let go of all of them."""
        self._parcels.clear()
        self.results = self.size = 0

    def put_back(self, parcels: Iterable[Parcel]) -> None:
        """Add some at the beginning."""
        for parcel in reversed(list(parcels)):
            self._parcels.appendleft(parcel)
            self._count(parcel, 1)

    def take(self, rows: int) -> list[Parcel]:
        """Take parcels from the beginning, at least one, while they hold no more results."""
        taken: list[Parcel] = []
        left = rows
        while self._parcels and (not taken or len(self._parcels[0]) <= left):
            parcel = self._parcels.popleft()
            self._count(parcel, -1)
            left -= len(parcel)
            taken.append(parcel)
        return taken

    def _count(self, parcel: Parcel, sign: int) -> None:
        self.results += sign * len(parcel)
        self.size += sign * parcel.size


class Bell:
    """Wakes one task that waits, for a time or for ever."""

    __slots__ = ("_event", "_timing")

    def __init__(self, timing: Timing) -> None:
        self._event = asyncio.Event()
        self._timing = timing

    def ring(self) -> None:
        """Wake it, or let it not fall asleep."""
        self._event.set()

    async def wait(self, moment: float | None) -> None:
        """Return once it was rung, or at a moment."""
        if moment is None:
            await self._event.wait()
        elif not self._event.is_set():
            waits = [
                asyncio.ensure_future(self._event.wait()),
                asyncio.ensure_future(self._timing.sleep_until(moment)),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
        self._event.clear()
