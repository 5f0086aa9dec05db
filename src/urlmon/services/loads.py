"""Loads what is not in a cache, once for all who ask at the same time."""

from __future__ import annotations

import asyncio
import secrets
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, Protocol

from urlmon.domain.caching import TURN, Cached, Entry, Load, Turn, check_value

LOOK_AGAIN: Final = timedelta(milliseconds=25)
"""How often to ask whether a load of another process has ended."""


class Shelf(Protocol):
    """What keeps the values.  Nothing here raises a `StoreError`."""

    __slots__ = ()

    @abstractmethod
    async def begin(self, entry: Entry, token: str) -> Cached | Turn | None:
        """Return what is kept, or the right to load; None while another has that."""

    @abstractmethod
    async def finish(
        self, entry: Entry, token: str, *, value: bytes | None, ttl: timedelta
    ) -> bool:
        """Keep what was loaded; return False if it must not be, or if that is unknown."""

    @abstractmethod
    async def abandon(self, entry: Entry, token: str) -> None:
        """Give the right to load back."""


class _Flight:
    """A load that goes on, or the question whether one is needed."""

    def __init__(self) -> None:
        self.waiting = 0
        self.asked = 0  # how often the store was asked something
        self.failed = False  # gives the right to load back, which nobody may interrupt
        self.task: asyncio.Task[tuple[bytes | None, bool]]


class SharedLoads:
    """Does what `Cache.get_or_load` says, by a shelf."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        monotonic: Callable[[], float],
        sleep_until: Callable[[float], Awaitable[None]],
    ) -> None:
        """Load for a shelf.

        Args:
            shelf: What keeps the values.
            monotonic: The clock that waiting is measured by, in seconds.
            sleep_until: Returns once `monotonic` shows a moment.
        """
        self._shelf = shelf
        self._monotonic = monotonic
        self._sleep_until = sleep_until
        self._flights = dict[Entry, _Flight]()

    async def get(
        self, entry: Entry, load: Load, *, ttl: timedelta, nothing_ttl: timedelta
    ) -> bytes | None:
        """Return what is kept of an entry, or load it."""
        rounds = 0
        while True:
            flight, started = self._flights.get(entry), False
            if flight is None or flight.task.done():
                flight = self._start(entry, load, ttl=ttl, nothing_ttl=nothing_ttl)
                started = True
            asked = flight.asked
            await self._wait(entry, flight)
            if flight.task.cancelled() and not started:
                continue  # by the load itself: it was another's, and this caller has its own
            value, kept = flight.task.result()
            # What the store last said may be from before this call, and no longer true.  A second
            # flight has begun after it, and what that brings is right in any case.
            if started or rounds or (kept and flight.asked > asked):
                return value
            rounds += 1

    def _start(
        self, entry: Entry, load: Load, *, ttl: timedelta, nothing_ttl: timedelta
    ) -> _Flight:
        flight = self._flights[entry] = _Flight()
        flight.task = asyncio.create_task(
            self._fly(flight, entry, load, ttl=ttl, nothing_ttl=nothing_ttl)
        )
        return flight

    async def _wait(self, entry: Entry, flight: _Flight) -> None:
        """Wait for the end of a flight; the last who waits ends it when it is cancelled."""
        flight.waiting += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                if self._flights.get(entry) is flight:
                    del self._flights[entry]
                if flight.failed or flight.task.cancel():
                    await asyncio.wait([flight.task])
                    # Nobody is left to be told of an error.
                    _ = flight.task.cancelled() or flight.task.exception()

    async def _fly(
        self, flight: _Flight, entry: Entry, load: Load, *, ttl: timedelta, nothing_ttl: timedelta
    ) -> tuple[bytes | None, bool]:
        """Return what is kept or loaded, and whether it was still true when the store said so."""
        token: str | None
        token = ours = secrets.token_hex(16)
        try:
            begun = await self._turn(flight, entry, ours)
            if isinstance(begun, Cached):
                return begun.value, True
            token = begun.token
            value = await load()
            if value is not None:
                check_value(value)
            if token is None:
                return value, False
            flight.asked += 1
            lasts = nothing_ttl if value is None else ttl
            return value, await self._shelf.finish(entry, token, value=value, ttl=lasts)
        except BaseException:
            if token is not None:
                flight.failed = True
                await self._shelf.abandon(entry, token)
            raise

    async def _turn(self, flight: _Flight, entry: Entry, token: str) -> Cached | Turn:
        """Wait while another process loads, but not for ever."""
        give_up_at = self._monotonic() + TURN.total_seconds()
        while True:
            flight.asked += 1
            begun = await self._shelf.begin(entry, token)
            if begun is not None:
                return begun
            now = self._monotonic()
            if now >= give_up_at:
                return Turn(None)
            await self._sleep_until(min(give_up_at, now + LOOK_AGAIN.total_seconds()))
