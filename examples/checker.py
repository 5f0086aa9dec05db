"""A checker: claims the checks that are due at its location, makes them, and completes them.

Run as many as you like: each check is leased to one of them, and comes back to the others when that
one dies.  Needs the settings of urlmon in its environment, and stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import aiohttp

from probe import probe
from recorder import recorder
from service import Tally, run_service
from urlmon import (
    AlertPolicy,
    ClaimedCheck,
    LeaseLostError,
    Monitor,
    MonitorId,
    NotFoundError,
    ScheduleEntry,
    TenantId,
    UnavailableError,
)
from urlmon_adapters.container import PersistencePorts

LOCATION = os.environ.get("LOCATION", "default")
LEASE = timedelta(seconds=3)
MAX_CHECKS = 100
MAX_KNOWN = 50_000
IDLE_SECONDS = 0.1
RETRY_SECONDS = 0.5

T = TypeVar("T")

log = logging.getLogger("checker")


class Checker:
    """Makes the checks that it claimed, some at a time."""

    def __init__(
        self, stores: PersistencePorts, session: aiohttp.ClientSession, tally: Tally
    ) -> None:
        self._clock = stores.clock()
        self._directory = stores.directory()
        self._schedule = stores.schedule()
        self._recorder = recorder(stores)
        self._session = session
        self._tally = tally
        self._known: dict[tuple[TenantId, MonitorId], Monitor] = {}
        self._checks: dict[ClaimedCheck, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Check until cancelled; a store that is down only delays what is to be stored."""
        helpers = [asyncio.create_task(self._recorder.run()), asyncio.create_task(self._renew())]
        try:
            while True:
                for helper in helpers:
                    if helper.done():
                        helper.result()  # raises its error: no check is completed without it
                claimed = await self._claim(MAX_CHECKS - len(self._checks))
                for each in claimed:
                    self._checks[each] = check = asyncio.create_task(self._check(each))
                    check.add_done_callback(lambda _, each=each: self._checks.pop(each))
                await asyncio.sleep(0 if claimed else IDLE_SECONDS)
        finally:
            held = dict(self._checks)
            for task in (*helpers, *held.values()):
                task.cancel()
            await asyncio.gather(*helpers, *held.values(), return_exceptions=True)
            for each in held:  # so that others need not wait for the end of the lease
                with contextlib.suppress(UnavailableError, LeaseLostError):
                    await self._schedule.release(each, delay=timedelta(0))

    async def _claim(self, limit: int) -> Sequence[ClaimedCheck]:
        """Claim what is due, as one request until it is answered.

        What a lost answer leased to us comes with the next one.
        """
        request_id = uuid4().hex
        while limit:
            try:
                return await self._schedule.claim(
                    request_id=request_id, location=LOCATION, limit=limit, lease=LEASE
                )
            except UnavailableError as exc:
                log.warning("will try again: %s", exc)
                await asyncio.sleep(RETRY_SECONDS)
        return ()

    async def _renew(self) -> None:
        """Hold on to what takes long; let go of what another has by now."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            held = tuple(self._checks)
            try:
                kept = await self._schedule.renew(held, lease=LEASE)
            except UnavailableError as exc:
                log.warning("will try again: %s", exc)
                continue
            for lost in set(held) - set(kept):
                if lost in self._checks:
                    self._checks[lost].cancel()

    async def _check(self, claimed: ClaimedCheck) -> None:
        """Check once: the result is stored before the check counts as made.

        So a checker may die at any point.  What it had not completed is claimed again, and a result
        that is stored by both has the same identity and is one.
        """
        try:
            monitor = await self._monitor(claimed)
            if monitor is None:
                return
            result = await probe(
                self._session,
                monitor,
                location=claimed.location,
                scheduled_at=claimed.scheduled_at,
                clock=self._clock,
            )
            await self._recorder.record(result)
            await self._repeat(
                lambda: self._schedule.complete(
                    claimed, outcome=result.outcome(), policy=AlertPolicy.of(monitor)
                )
            )
            self._tally["checks"] += 1
        except LeaseLostError:
            self._tally["lost leases"] += 1
            log.info("another checker has taken over %s", claimed.monitor_id)

    async def _monitor(self, claimed: ClaimedCheck) -> Monitor | None:
        """Return what to check; what the directory no longer has is taken off the schedule."""
        key = claimed.tenant_id, claimed.monitor_id
        known = self._known.get(key)
        if known is None or known.version < claimed.version:
            try:
                known = await self._repeat(lambda: self._directory.get(*key))
            except NotFoundError:
                known = None
            if known is None or not known.enabled:
                await self._repeat(lambda: self._schedule.remove(*key))
                return None
            if claimed.location not in known.locations:
                entry = ScheduleEntry.of(known)
                await self._repeat(lambda: self._schedule.seed([entry]))
                return None
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = known
        return known

    async def _repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call until it is answered: each may be made again."""
        while True:
            try:
                return await call()
            except UnavailableError as exc:
                log.warning("will try again: %s", exc)
                await asyncio.sleep(RETRY_SECONDS)


async def main(stores: PersistencePorts, tally: Tally) -> None:
    """Check until cancelled."""
    async with aiohttp.ClientSession() as session:
        await Checker(stores, session, tally).run()


if __name__ == "__main__":
    run_service("checker", main)
