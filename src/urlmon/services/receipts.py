"""What a caller of the result writer can wait for, and how what it wrote is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from attrs import field, frozen

from urlmon.domain.ids import TenantId
from urlmon.domain.spool import SpoolStatus
from urlmon.errors import UnavailableError

_OPERATION: Final = "ResultWriter.submit"
FATES: Final = ("stored", "refused", "dropped", "dead")


@frozen(kw_only=True)
class Tally:
    """What became of results, in one store.

    Attributes:
        stored: The store has them.
        refused: The store keeps none so old or so far ahead, or the writer had no room for them.
        dropped: They were let go to make room, or at the end with nowhere to keep them.
        dead: No store takes them, or they could not be read any more: they were put aside.
    """

    stored: int = 0
    refused: int = 0
    dropped: int = 0
    dead: int = 0


@frozen(kw_only=True)
class Account:
    """What a writer did for one store, exactly: submitted = the four fates of `tally` + pending.

    Attributes:
        submitted: Results that it was given, those found in the spool at the start included.
        recovered: Of these, those found in the spool at the start.
        tally: What became of them.
        in_memory: Results that wait in memory.
        in_flight: Results that are being sent.
        spooled: Results that wait in the spool alone.
        dropped_by_tenant: Whose results were dropped.
        problem: Why nothing can be stored or spooled now; None where all is well.
        spool: How the spool is.
    """

    submitted: int
    recovered: int
    tally: Tally
    in_memory: int
    in_flight: int
    spooled: int
    dropped_by_tenant: Mapping[TenantId, int] = field(repr=False)
    problem: str | None
    spool: SpoolStatus

    @property
    def pending(self) -> int:
        """Results whose fate is open."""
        return self.in_memory + self.in_flight + self.spooled


class Track:
    """What became of the results of one call, in one store.

    Attributes:
        left: How many have no fate yet.
        kept: Whether they are safe in the spool.
        lost: Whether some of them were lost before they were safe anywhere.
    """

    __slots__ = ("__weakref__", "_changed", "_counts", "kept", "left", "lost")

    def __init__(self, count: int, changed: Callable[[], None]) -> None:
        self.left = count
        self.kept = False
        self.lost = False
        self._counts: dict[str, int] = {}
        self._changed = changed

    @property
    def safe(self) -> bool:
        """Whether nothing of it is in memory alone."""
        return self.kept or not self.left

    def keep(self) -> None:
        """Note that all of it is in the spool."""
        self.kept = True
        self._changed()

    def settle(self, fate: str, count: int) -> None:
        """Note the fate of some results."""
        self._counts[fate] = self._counts.get(fate, 0) + count
        self.left -= count
        if fate in {"dropped", "refused"} and not self.kept:
            self.lost = True
        if not self.left:
            self._changed()

    def tally(self) -> Tally:
        """Return the fates that are known."""
        return Tally(**self._counts)


class Ending:
    """Whether a writer has been closed, and who waits for a receipt of it.

    Attributes:
        over: Whether it has.
    """

    def __init__(self) -> None:
        self.over = False
        self.waiting: set[asyncio.Future[None]] = set()

    def end(self) -> None:
        """Close it, and wake all who wait."""
        self.over = True
        for future in self.waiting:
            if not future.done():
                future.set_result(None)


class Receipt:
    """What became of the results that one call of `ResultWriter.submit` took."""

    __slots__ = ("_ending", "_tracks", "_waiting")

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._tracks: dict[str, Track] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    def track(self, lane: str, count: int) -> Track:
        """Follow the results into a lane."""
        track = self._tracks[lane] = Track(count, self._changed)
        return track

    async def durable(self) -> None:
        """Return once every result is safe from a crash, for every store: spooled, or settled.

        Raises:
            UnavailableError: Some were lost before that: there was no room for them, and the policy
                is not to wait.  Submit them again.
        """
        await self._until(lambda track: track.safe or track.lost)
        lost = sorted(name for name, track in self._tracks.items() if track.lost)
        if lost:
            detail = f"there was no room for results for {', '.join(lost)}: submit them again"
            raise UnavailableError("spool", _OPERATION, detail)

    async def stored(self) -> Mapping[str, Tally]:
        """Return once every result has its fate in every store, however long that takes.

        Returns:
            By the store's name, what became of the results there.

        Raises:
            UnavailableError: The writer was closed before; what is left waits in the spool.
        """
        await self._until(lambda track: not track.left)
        return {name: track.tally() for name, track in self._tracks.items()}

    async def _until(self, fact: Callable[[Track], bool]) -> None:
        while not all(map(fact, self._tracks.values())):
            if self._ending.over:
                detail = "the writer was closed, and what is left waits in the spool"
                raise UnavailableError("spool", _OPERATION, detail)
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            self._ending.waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
                self._ending.waiting.discard(future)

    def _changed(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
