"""Deletes in the background what removed tenants and monitors leave behind, in whatever store."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

from urlmon.domain.removals import RemovedMonitor
from urlmon.ports import CheckResultStore, Clock, Removals

_ROWS: Final = 1_000
_MONITORS: Final = 200
_LEASE: Final = timedelta(minutes=10)
_FIRST_WAIT: Final = timedelta(hours=1)
_GROWTH: Final = 7
_OWNER: Final = attrgetter("tenant_id")


class Sweep:
    """Deletes the rows of removed tenants, and the results of removed monitors.

    Any number of sweeps may run at once.  One that fails or is cancelled has lost nothing: what it
    was at is taken up again, at the latest ten minutes later.
    """

    __slots__ = ("_clock", "_grace", "_removals", "_results")

    def __init__(
        self, removals: Removals, results: CheckResultStore, clock: Clock, *, grace: timedelta
    ) -> None:
        """Keep the ports.

        Args:
            removals: What was removed.
            results: Where the results of monitors are.
            clock: Decides what is due.
            grace: How long after its removal results of a monitor may still arrive: as long as the
                store accepts them, which is its retention.
        """
        self._removals = removals
        self._results = results
        self._clock = clock
        self._grace = grace

    async def run(self) -> None:
        """Take steps until nothing is due.

        Raises:
            UnavailableError: A store did not answer; call again later.
        """
        while await self.step():
            pass

    async def step(self) -> bool:
        """Take one step: up to 1,000 rows of a tenant, or the results of up to 200 monitors.

        Returns:
            Whether there may be more to do now.

        Raises:
            UnavailableError: A store did not answer; call again later.
        """
        if await self._removals.clear(limit=_ROWS):
            return True
        now = self._clock.now()
        claimed = await self._removals.claim(now=now, lease=_LEASE, limit=_MONITORS)
        # To ask for all at once is cheap; most have nothing, the second time at the latest.
        for tenant_id, some in groupby(sorted(claimed, key=_OWNER), key=_OWNER):
            monitor_ids = [removed.monitor_id for removed in some]
            for monitor_id in await self._results.latest(tenant_id, monitor_ids):
                await self._results.forget_monitor(tenant_id, monitor_id)
        if claimed:
            await self._removals.settle({each: self._due_again(each, now) for each in claimed})
        return bool(claimed)

    def _due_again(self, removed: RemovedMonitor, now: datetime) -> datetime | None:
        """Say when to look for late results: soon at first, then ever more rarely."""
        age = now - removed.removed_at
        if age >= self._grace:
            return None
        return min(now + max(_FIRST_WAIT, age * _GROWTH), removed.removed_at + self._grace)
