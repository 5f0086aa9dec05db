"""A checker: finds what is due, requests it, records the result and the outcome.

Run as many as you like; a lock on each due check lets one of them do it.  Needs the settings of
urlmon in its environment, and stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from datetime import UTC, datetime, timedelta

import aiohttp

from probe import probe
from service import run_service
from urlmon import (
    AlertPolicy,
    CheckResult,
    Monitor,
    MonitorId,
    UnavailableError,
)
from urlmon_adapters.container import PersistencePorts

LOCATION = os.environ.get("LOCATION", "default")
TICK_SECONDS = 0.1
REFRESH = timedelta(seconds=2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_PENDING = 5_000

log = logging.getLogger("checker")


class Checker:
    """Walks the directory of monitors and checks each on its own grid of instants."""

    def __init__(self, stores: PersistencePorts, session: aiohttp.ClientSession) -> None:
        self._clock = stores.clock()
        self._directory = stores.directory()
        self._locks = stores.locks()
        self._results = stores.check_results()
        self._alert_state = stores.alert_state()
        self._session = session
        self._monitors: tuple[Monitor, ...] = ()
        self._refreshed_at = EPOCH
        self._done_until: dict[MonitorId, datetime] = {}
        self._pending: list[tuple[Monitor, CheckResult]] = []
        self._checks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Check until cancelled; a store that is down only delays what is recorded."""
        try:
            while True:
                try:
                    await self._refresh()
                    self._start_due()
                    await self._record()
                except UnavailableError as exc:
                    # The results stay pending: recording them again later is safe.
                    log.warning("will try again: %s", exc)
                    await asyncio.sleep(1)
                await asyncio.sleep(TICK_SECONDS)
        finally:
            for check in self._checks:
                check.cancel()
            await asyncio.gather(*self._checks, return_exceptions=True)
            with contextlib.suppress(UnavailableError):
                await self._record()

    async def _refresh(self) -> None:
        """Read the active monitors that this location checks."""
        now = self._clock.now()
        if now - self._refreshed_at < REFRESH:
            return
        monitors: list[Monitor] = []
        cursor: str | None = None
        while True:
            page = await self._directory.list_active(cursor=cursor)
            monitors += (each for each in page.items if LOCATION in each.locations)
            cursor = page.next_cursor
            if cursor is None:
                break
        self._monitors, self._refreshed_at = tuple(monitors), now

    def _start_due(self) -> None:
        now = self._clock.now()
        for monitor in self._monitors:
            due = last_due(monitor, now)
            if due > self._done_until.setdefault(monitor.id, now - monitor.interval):
                self._done_until[monitor.id] = due
                check = asyncio.create_task(self._check(monitor, due))
                self._checks.add(check)
                check.add_done_callback(self._checks.discard)

    async def _check(self, monitor: Monitor, due: datetime) -> None:
        """Check once, if no other checker does."""
        name = f"check:{LOCATION}:{monitor.tenant_id}:{monitor.id}:{due.isoformat()}"
        try:
            # Not released: its end frees the name, after no checker can want it any more.
            lease = await self._locks.acquire(name, ttl=monitor.interval + timedelta(seconds=5))
        except UnavailableError as exc:
            log.warning("check skipped: %s", exc)
            return
        if lease is not None and len(self._pending) < MAX_PENDING:
            result = await probe(
                self._session, monitor, location=LOCATION, scheduled_at=due, clock=self._clock
            )
            self._pending.append((monitor, result))

    async def _record(self) -> None:
        """Store the pending results, then apply their outcomes; both may be repeated."""
        batch = self._pending[:500]
        if not batch:
            return
        for (_, result), fate in zip(
            batch, await self._results.record([result for _, result in batch]), strict=True
        ):
            if not fate.stored:
                log.error("result of %s refused: %s", result.monitor_id, fate.refusal)
        for monitor, result in batch:
            await self._alert_state.record(
                monitor.tenant_id, result.outcome(), policy=AlertPolicy.of(monitor)
            )
        del self._pending[: len(batch)]


def last_due(monitor: Monitor, now: datetime) -> datetime:
    """Return the newest instant, not after now, of the monitor's grid.

    The grid is shifted by the monitor's id, so that monitors do not all fall due together.
    """
    shift = timedelta(microseconds=monitor.id.int % (monitor.interval // timedelta(microseconds=1)))
    return EPOCH + shift + (now - EPOCH - shift) // monitor.interval * monitor.interval


async def main(stores: PersistencePorts) -> None:
    """Check until cancelled."""
    async with aiohttp.ClientSession() as session:
        await Checker(stores, session).run()


if __name__ == "__main__":
    run_service("checker", main)
