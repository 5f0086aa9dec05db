"""The half of a lane that looks after the spool: what goes there, and when."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from urlmon.domain.check_results import MAX_BATCH
from urlmon.errors import UnavailableError
from urlmon.services._lane_state import Flight, LaneState, flat
from urlmon.services._parcels import Parcel, ParcelQueue

_RETRY: Final = 1.0
_log = logging.getLogger("urlmon.writer")
FULL: Final = "the spool is full"


class WhenFull(StrEnum):
    """What happens where the spool leaves no room."""

    BLOCK = "block"
    """Whoever submits waits."""
    DROP_OLDEST = "drop_oldest"
    """What waited longest is dropped, and counted."""
    REFUSE = "refuse"
    """What is submitted is refused, and counted."""


class Keeper:
    """Spools what is to be durable, what waits too long and what memory has no room for."""

    def __init__(self, state: LaneState, when_full: WhenFull) -> None:
        self._state = state
        self._when_full = when_full
        self._disk_at = 0.0  # not to be asked before
        self.stopping = False

    @property
    def refuses(self) -> bool:
        """Whether what memory has no room for is refused at once."""
        return self._when_full is WhenFull.REFUSE and "append" in self._state.troubles

    async def run(self) -> None:
        """Work until `stopping` is set; never cancelled, so that nothing is half in the spool."""
        state = self._state
        while not self.stopping:
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - the lane must go on
                _log.exception("the spool for %s failed, which should not happen", state.name)
                self._disk_at = state.timing.monotonic() + _RETRY
            state.make_room()
            state.sender_bell.ring()
            await state.keeper_bell.wait(self._moment())

    async def step(self) -> None:
        """Do what is to be done now."""
        await self._forget()
        state, now = self._state, self._state.timing.monotonic()
        while state.fresh.results and now >= self._disk_at:
            parcels = await self._kept(state.fresh)
            for parcel in parcels:
                state.queue.put(parcel)
        while self._overdue(now) and now >= self._disk_at:
            state.shelve(await self._kept(state.queue))
        for flight in [each for each in state.flights if self._is_late(each, now)]:
            if now >= self._disk_at:
                await self._secure(flight)

    async def spill(self) -> None:
        """Spool all that waits in memory, or drop what there is no room for; at the end."""
        state = self._state
        for queue in (state.fresh, state.queue):
            while queue.results:
                self._disk_at = 0.0
                kept = await self._kept(queue)
                state.shelve(kept)
                if not kept and queue.results:
                    for parcel in queue.take(MAX_BATCH):
                        state.settle(parcel, parcel.results, "dropped")
        await self._forget()

    async def _forget(self) -> None:
        """Let the spool forget what is settled."""
        state = self._state
        if state.settled:
            numbers, state.settled = state.settled, []
            try:
                await state.spool.settle(numbers)
            except UnavailableError:
                state.settled += numbers
                return
            state.forgotten(numbers)
            if state.troubles.get("append") == FULL:
                del state.troubles["append"]  # there is room again
                self._disk_at = 0.0

    def _overdue(self, now: float) -> bool:
        queue, pace = self._state.queue, self._state.pace
        oldest = queue.oldest
        return oldest is not None and (
            now >= oldest + pace.spill_after.total_seconds()
            or self._state.memory > pace.memory_bytes // 2
        )

    def _is_late(self, flight: Flight, now: float) -> bool:
        pace = self._state.pace
        return not flight.secured and now >= flight.started + pace.spill_after.total_seconds()

    def _moment(self) -> float | None:
        """Return when there is something to do."""
        state, age = self._state, self._state.pace.spill_after.total_seconds()
        moments = [each.started + age for each in state.flights if not each.secured]
        if state.queue.oldest is not None:
            moments.append(state.queue.oldest + age)
        if state.fresh.results or state.memory > state.pace.memory_bytes // 2:
            moments.append(self._disk_at)
        moments = [max(moment, self._disk_at) for moment in moments]
        if state.settled:  # the spool refused to forget them
            moments.append(state.timing.monotonic() + _RETRY)
        return min(moments, default=None)

    # Into the spool

    async def _kept(self, queue: ParcelQueue) -> list[Parcel]:
        """Bring the first parcels of a queue into the spool and return them; none if it refuses."""
        state = self._state
        parcels = queue.take(state.pace.rows)
        loose = self._loose(parcels)
        for parcel in parcels:
            state.in_hand.put(parcel)
        kept = False
        try:
            kept = not loose or await self._append(loose, fresh=queue is state.fresh)
        finally:
            state.in_hand.clear()
            if not kept:
                queue.put_back(parcel for parcel in parcels if len(parcel))
        return parcels if kept else []

    def _loose(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Return those that the spool has not, or not as an entry that is whole here."""
        counts: dict[int, int] = {}
        for parcel in parcels:
            if parcel.entry is not None:
                number = parcel.entry.number
                counts[number] = counts.get(number, 0) + len(parcel)
        return [
            each
            for each in parcels
            if each.entry is None or counts[each.entry.number] != each.entry.count
        ]

    async def _append(self, parcels: Sequence[Parcel], *, fresh: bool) -> bool:
        """Spool parcels; say whether they are in the spool, or settled by the policy."""
        state = self._state
        number = await self._number(parcels)
        while number is None and self._when_full is WhenFull.DROP_OLDEST:
            if state.troubles.get("append") != FULL and not state.room:
                break
            if not await self._drop_oldest(sum(map(len, parcels))):
                break
            number = await self._number(parcels)
        if number is not None:
            state.spooled(parcels, number)
            return True
        self._disk_at = state.timing.monotonic() + _RETRY
        if fresh and self._when_full is WhenFull.REFUSE:
            self._give_up(parcels, "refused")
        elif self._when_full is WhenFull.DROP_OLDEST and state.room:
            self._give_up(parcels, "dropped")
        return False

    async def _number(self, parcels: Sequence[Parcel]) -> int | None:
        state = self._state
        try:
            number = await state.spool.append(flat(parcels))
        except UnavailableError as exc:
            state.troubles["append"] = exc.detail
            return None
        if number is None:
            state.troubles["append"] = FULL
        else:
            state.troubles.pop("append", None)
        return number

    def _give_up(self, parcels: Sequence[Parcel], fate: str) -> None:
        for parcel in parcels:
            self._state.settle(parcel, parcel.results, fate)
            parcel.results = ()

    async def _drop_oldest(self, count: int) -> bool:
        """Drop so many results that wait longest in the spool; say whether there were any."""
        state = self._state
        async with state.reading:
            try:
                found = await state.spool.read(
                    after=state.cursor, without=set(state.live), limit=count
                )
            except UnavailableError:
                return False
            for parcel in state.fetched(found):
                state.settle(parcel, parcel.results, "dropped")
        await self._forget()
        return bool(found)

    async def _secure(self, flight: Flight) -> None:
        """Spool what is under way for too long."""
        state = self._state
        loose = [parcel for parcel in flight.parcels if parcel.entry is None]
        number = await self._number(loose)
        if number is None:
            self._disk_at = state.timing.monotonic() + _RETRY
        elif flight.done:  # it landed meanwhile
            state.discard(number)
        else:
            flight.secured = True
            state.spooled(loose, number)
