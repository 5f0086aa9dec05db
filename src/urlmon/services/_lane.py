"""A lane of the writer: what goes to one store, with a spool of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from urlmon.domain.check_results import CheckResult
from urlmon.ports import CheckResultStore, Spool
from urlmon.services._keeper import Keeper, WhenFull
from urlmon.services._lane_state import LaneState
from urlmon.services._parcels import Pace, Parcel, Timing
from urlmon.services._sender import Sender
from urlmon.services.receipts import Account, Receipt, Track


class Lane:
    """Takes results for one store; no other lane can hold it up."""

    def __init__(
        self,
        name: str,
        store: CheckResultStore,
        spool: Spool,
        *,
        pace: Pace,
        timing: Timing,
        when_full: WhenFull,
        write_through: bool,
    ) -> None:
        self._state = LaneState(name, spool, pace, timing)
        self._keeper = Keeper(self._state, when_full)
        self._sender = Sender(self._state, store)
        self._write_through = write_through
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Take the spool over, and begin to send what is in it."""
        status = await self._state.spool.open()
        self._state.recovered(status.results)
        name = self._state.name
        self._tasks = [
            asyncio.create_task(self._keeper.run(), name=f"urlmon keeper {name}"),
            asyncio.create_task(self._sender.run(), name=f"urlmon sender {name}"),
        ]

    def take(self, results: Sequence[CheckResult], receipt: Receipt) -> Track | None:
        """Take results, or refuse them; None if there is no room at the moment."""
        state = self._state
        parcel = Parcel(results, since=state.timing.monotonic(), track=None)
        room = state.has_room(parcel.size)
        if not room and not state.closing and not self._keeper.refuses:
            state.keeper_bell.ring()
            return None
        track = parcel.track = receipt.track(state.name, len(results))
        state.submitted(len(results))
        if not room or state.closing:
            state.settle(parcel, results, "refused")
        elif self._write_through:
            state.fresh.put(parcel)
        else:
            state.queue.put(parcel)
            state.sender_bell.ring()
        state.keeper_bell.ring()
        return track

    async def take_later(self, results: Sequence[CheckResult], receipt: Receipt) -> Track:
        """Take results as soon as there is room, or refuse them."""
        while (track := self.take(results, receipt)) is None:
            future = asyncio.get_running_loop().create_future()
            self._state.room[future] = None
            try:
                await future
            finally:
                del self._state.room[future]
        return track

    async def close(self, deadline: float) -> None:
        """Send what is in memory until a moment, spool the rest, and give the spool up."""
        state = self._state
        keeper, sender = self._tasks
        state.closing = True
        state.make_room()
        state.sender_bell.ring()
        # While the store is down waiting brings nothing.
        while (state.queue.results or state.flights) and state.breaker.closed:
            if state.timing.monotonic() >= deadline:
                break
            await self._sender.landed(deadline)
        sender.cancel()
        await asyncio.wait([sender])
        await self._sender.stop()
        self._keeper.stopping = True
        state.keeper_bell.ring()
        await asyncio.wait([keeper])
        await self._keeper.spill()
        await state.spool.close()

    def account(self) -> Account:
        """Return how things stand."""
        return self._state.account()
