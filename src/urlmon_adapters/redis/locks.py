"""The Redis `Locks`."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Final

from attrs import evolve

from urlmon.domain.leases import Lease, check_lock_name, check_ttl, check_wait, remaining
from urlmon.errors import LeaseLostError, StoreError, UnavailableError
from urlmon.ports import Locks
from urlmon.services.leases import hold
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._replies import decoding, items, number
from urlmon_adapters.redis._scripts import load

_MICROSECOND: Final = timedelta(microseconds=1)
_TRIES: Final = 3
# A message can be lost, and a holder can vanish: a waiter looks again after so long.
_LOOK_AGAIN_SECONDS: Final = 1.0
_UNDO_SECONDS: Final = 0.25


class RedisLocks(Locks):
    """Leases names by the server's clock; waiters are woken by a message."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def acquire(
        self, name: str, *, ttl: timedelta, wait: timedelta = timedelta(0)
    ) -> Lease | None:
        check_lock_name(name)
        check_ttl(ttl)
        check_wait(wait)
        token, give_up_at = secrets.token_hex(16), self._end_of(wait)
        try:
            lease, left = await self._try(name, token, ttl)
            if lease is None and wait:
                lease = await self._wait(name, token, ttl, give_up_at, left)
        except asyncio.CancelledError:
            # The server may have leased it: better not to block others for all of `ttl`.
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(_UNDO_SECONDS):
                    await self._release(name, token)
            raise
        return lease

    async def renew(self, lease: Lease, *, ttl: timedelta) -> Lease:
        check_ttl(ttl)
        operation, expires_at = "Locks.renew", self._end_of(ttl)
        reply = await self._client.run(
            operation,
            load("clock", "lock_renew"),
            (self._client.keys.lock(lease.name),),
            lease.token,
            ttl // _MICROSECOND,
        )
        if not reply:
            raise LeaseLostError(STORE, operation, name=lease.name)
        return evolve(lease, expires_at=expires_at)

    async def release(self, lease: Lease) -> None:
        await self._release(lease.name, lease.token)

    def remaining(self, lease: Lease) -> timedelta:
        return remaining(lease, self._client.time.monotonic())

    def hold(
        self,
        name: str,
        *,
        ttl: timedelta,
        wait: timedelta = timedelta(0),
        lost: asyncio.Event | None = None,
    ) -> AbstractAsyncContextManager[Lease | None]:
        time = self._client.time
        return hold(
            self,
            name,
            ttl=ttl,
            wait=wait,
            lost=lost,
            store=STORE,
            monotonic=time.monotonic,
            sleep_until=time.sleep_until,
        )

    async def _release(self, name: str, token: str) -> None:
        keys = self._client.keys
        await self._client.run(
            "Locks.release", load("lock_release"), (keys.lock(name),), token, keys.released(name)
        )

    async def _try(self, name: str, token: str, ttl: timedelta) -> tuple[Lease | None, float]:
        """Ask for a lease once, again with the same token where the answer may be lost.

        Returns:
            The lease, or None and for how many seconds somebody else has it.
        """
        operation, keys = "Locks.acquire", self._client.keys
        expires_at = self._end_of(ttl)  # from before the first try: the server may count from it
        tries, maybe_applied = 0, False
        while True:
            try:
                reply = await self._client.run(
                    operation,
                    load("clock", "lock_acquire"),
                    (keys.lock(name), keys.fence(name)),
                    token,
                    ttl // _MICROSECOND,
                )
                break
            except UnavailableError as exc:
                tries += 1
                maybe_applied = exc.maybe_applied = maybe_applied or exc.maybe_applied
                if not maybe_applied or tries == _TRIES:
                    raise
        with decoding(operation):
            granted, figure = map(number, items(reply))
        if granted:
            return Lease(name=name, token=token, fence=figure, expires_at=expires_at), 0
        return None, figure / 1_000_000

    async def _wait(
        self, name: str, token: str, ttl: timedelta, give_up_at: float, left: float
    ) -> Lease | None:
        """Ask again whenever the name may be free; somebody has it for `left` seconds yet."""
        time = self._client.time
        async with self._client.listening(self._client.keys.released(name)) as heard:
            while True:
                look_again_at = time.monotonic() + min(left, _LOOK_AGAIN_SECONDS)
                await self._pause(heard, min(give_up_at, look_again_at))
                lease, left = await self._try(name, token, ttl)
                if lease is not None or time.monotonic() >= give_up_at:
                    return lease

    async def _pause(self, heard: asyncio.Event, moment: float) -> None:
        """Return when the event is set, or at a moment."""
        waits = [
            asyncio.create_task(heard.wait()),
            asyncio.create_task(self._client.time.sleep_until(moment)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        heard.clear()

    def _end_of(self, duration: timedelta) -> float:
        return self._client.time.monotonic() + duration.total_seconds()
